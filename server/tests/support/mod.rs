//! A driver with everything around it replaced by things that write down what happens to them.

#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod events;
pub(crate) mod server;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use podium::driver::{Audience, Connection, Handle};
use podium::store::{Store, StoreError};
use podium_core::admission::{Rules, read_pod};
use podium_core::model::event::ApiEvent;
use podium_core::model::ids::{AgentId, FrameworkId, OfferId, Role, TaskId};
use podium_core::model::mesos::{
    Call, Event, Offer, OperationInfo, PortRange, Resource, ResourceKind, StatusSource, StatusUuid,
    TaskState, TaskStatus,
};
use podium_core::model::number::Scalar;
use podium_core::model::pod::PodSpec;
use podium_core::record::{Entry, Record};

/// How long a condition may take to come true. Only a test that fails waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What happened, in order, a line each.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    pub(crate) fn write(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// Waits until some line contains `text`.
    pub(crate) async fn wait_for(&self, text: &str) {
        eventually(async || self.lines().iter().any(|line| line.contains(text)).then_some(())).await;
    }
}

/// Waits until `condition` gives something.
pub(crate) async fn eventually<T>(mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "the condition did not come true");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A store that keeps nothing, writes down each commit, and fails when it is told to.
pub(crate) struct JournalStore {
    pub(crate) journal: Journal,
    /// So many commits succeed.
    pub(crate) healthy_commits: usize,
}

impl JournalStore {
    pub(crate) fn healthy(journal: &Journal) -> Box<Self> {
        Box::new(Self { journal: journal.clone(), healthy_commits: usize::MAX })
    }
}

impl Store for JournalStore {
    fn load(&mut self) -> Result<Vec<Entry>, StoreError> {
        Ok(Vec::new())
    }

    fn commit(&mut self, records: &[Record]) -> Result<(), StoreError> {
        if self.healthy_commits == 0 {
            self.journal.write("commit fails");
            return Err(StoreError::Write { path: "journal".into(), reason: "the disk is full".into() });
        }
        self.healthy_commits -= 1;
        let kind = |record: &Record| match record {
            Record::Delete(key) => format!("-{}", key.to_string().split(' ').next().unwrap()),
            Record::Put(entry) => format!("+{}", entry.key().to_string().split(' ').next().unwrap()),
        };
        self.journal.write(format!("commit {}", records.iter().map(kind).collect::<Vec<_>>().join(" ")));
        Ok(())
    }
}

/// Writes down the type of each event.
pub(crate) struct JournalAudience(pub(crate) Journal);

impl Audience for JournalAudience {
    fn publish(&mut self, event: ApiEvent) {
        let json = serde_json::to_value(&event).unwrap();
        self.0.write(format!("publish {}", json["eventType"].as_str().unwrap()));
    }
}

/// A master's end of a connection: writes down each call, and keeps it.
#[derive(Clone)]
pub(crate) struct FakeMaster {
    pub(crate) name: &'static str,
    pub(crate) journal: Journal,
    pub(crate) calls: Arc<Mutex<Vec<Call>>>,
}

impl FakeMaster {
    pub(crate) fn new(name: &'static str, journal: &Journal) -> Self {
        Self { name, journal: journal.clone(), calls: Arc::default() }
    }

    /// Lets `driver` subscribe.
    pub(crate) async fn accept(&self, driver: &Handle) {
        driver.connected(Box::new(self.clone())).await.unwrap();
        driver
            .event(Event::Subscribed {
                framework_id: FrameworkId::from("framework"),
                heartbeat_interval: Some(Duration::from_secs(15)),
                master: None,
            })
            .await
            .unwrap();
    }

    /// Offers an agent, waits for launches on it, and says that all their tasks are in `state`. The tasks.
    pub(crate) async fn launch_what_waits(
        &self,
        driver: &Handle,
        offer: &str,
        state: TaskState,
    ) -> Vec<TaskId> {
        self.launch_on(make_offer(offer), driver, state).await
    }

    /// The same on an agent that is called like the offer: where a copy has just ended it is not launched again
    /// at once.
    pub(crate) async fn launch_elsewhere(
        &self,
        driver: &Handle,
        offer: &str,
        state: TaskState,
    ) -> Vec<TaskId> {
        let agent_id = AgentId::from(offer);
        self.launch_on(Offer { agent_id, ..make_offer(offer) }, driver, state).await
    }

    /// The same on what is offered.
    pub(crate) async fn launch_on(&self, offer: Offer, driver: &Handle, state: TaskState) -> Vec<TaskId> {
        let id = offer.id.clone();
        driver.event(Event::Offers(vec![offer])).await.unwrap();
        let tasks = eventually(async || self.launched(&id)).await;
        for task in &tasks {
            driver.event(Event::Update(update(task, state))).await.unwrap();
        }
        tasks
    }

    /// The tasks that were launched on an offer, once it has been accepted.
    fn launched(&self, offer: &OfferId) -> Option<Vec<TaskId>> {
        let calls = self.calls.lock().unwrap();
        let operations = calls.iter().find_map(|call| match call {
            Call::Accept { offer_ids, operations, .. } if offer_ids.contains(offer) => Some(operations),
            _ => None,
        })?;
        let groups = operations.iter().filter_map(|operation| match &operation.info {
            OperationInfo::LaunchGroup(group) => Some(&group.tasks),
            _ => None,
        });
        Some(groups.flatten().map(|task| task.task_id.clone()).collect())
    }
}

impl Connection for FakeMaster {
    fn send(&mut self, call: Call) {
        let debug = format!("{call:?}");
        let kind = debug.split([' ', '(']).next().unwrap();
        self.journal.write(format!("call to {}: {kind}", self.name));
        self.calls.lock().unwrap().push(call);
    }
}

/// An offer of an ordinary agent.
pub(crate) fn make_offer(id: &str) -> Offer {
    make_offer_of(id, 8.0)
}

/// An offer of an agent that has room for thousands.
pub(crate) fn make_large_offer(id: &str) -> Offer {
    make_offer_of(id, 8000.0)
}

fn make_offer_of(id: &str, cpus: f64) -> Offer {
    let role = Role::from("*");
    let scalar = |kind, amount| Resource::scalar(kind, Scalar::from_f64(amount)).allocated_to(role.clone());
    Offer {
        id: OfferId::from(id),
        framework_id: FrameworkId::from("framework"),
        agent_id: AgentId::from("agent"),
        hostname: "agent.example".to_owned(),
        role: Some(role.clone()),
        resources: vec![
            scalar(ResourceKind::Cpus, cpus),
            scalar(ResourceKind::Mem, cpus * 2048.0),
            scalar(ResourceKind::Disk, cpus * 1250.0),
            Resource::ports(vec![PortRange { begin: 31_000, end: 31_009 }]).allocated_to(role.clone()),
        ],
        attributes: Vec::new(),
        executor_ids: Vec::new(),
        domain: None,
        unavailability: None,
    }
}

/// How many updates there were, to tell them apart.
static UPDATES: AtomicU64 = AtomicU64::new(1);

pub(crate) fn update(task: &TaskId, state: TaskState) -> TaskStatus {
    let mut status = TaskStatus::new(task.clone(), state);
    status.agent_id = Some(AgentId::from("agent"));
    status.source = Some(StatusSource::SourceExecutor);
    status.uuid = Some(StatusUuid::from_u128(UPDATES.fetch_add(1, Ordering::Relaxed).into()));
    status
}

pub(crate) fn pod_json(id: &str, instances: u32) -> serde_json::Value {
    serde_json::json!({
        "id": id,
        "containers": [{
            "name": "sleep1",
            "exec": {"command": {"shell": "sleep 1000"}},
            "resources": {"cpus": 0.1, "mem": 32}
        }],
        "networks": [{"mode": "host"}],
        "scaling": {"kind": "fixed", "instances": instances}
    })
}

pub(crate) fn pod(id: &str, instances: u32) -> PodSpec {
    read_pod(&pod_json(id, instances), &Rules::default()).expect("the test's pod is valid").pod
}
