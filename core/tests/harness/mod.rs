//! A hand to drive the scheduler with: every step is one input, and what comes out is there to be compared.

#![allow(dead_code, reason = "each test file uses its part")]

use std::fmt::Write as _;
use std::time::Duration;

use podium_core::admission::{Rules, read_pod};
use podium_core::model::ids::{AgentId, FrameworkId, InstanceId, OfferId, PodId, Role, TaskId};
use podium_core::model::mesos::{
    Call, Event, Offer, PortRange, Resource, ResourceKind, StatusReason, StatusSource, StatusUuid, TaskState,
    TaskStatus,
};
use podium_core::model::number::Scalar;
use podium_core::model::pod::PodSpec;
use podium_core::model::time::Timestamp;
use podium_core::view::{InstanceStatus, PodStatus};
use podium_core::{
    Action, Command, CommandId, Config, Entry, Input, Key, Origin, Output, Record, Refusal, Response,
    Scheduler,
};

/// The scheduler with a clock, a store and a log of what it asked for.
#[derive(Clone)]
pub(crate) struct Driver {
    pub(crate) scheduler: Scheduler,
    pub(crate) now: Timestamp,
    pub(crate) store: std::collections::BTreeMap<Key, Entry>,
    /// The calls since they were last taken.
    pub(crate) calls: Vec<Call>,
    /// Whether Mesos answers questions about tasks, as it spoke of them the last time.
    pub(crate) answers: bool,
    /// What Mesos said last of each task.
    said: std::collections::BTreeMap<TaskId, TaskStatus>,
    starts: u64,
    commands: u64,
    offers: u64,
    uuids: u128,
}

impl Driver {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        Self {
            scheduler: Scheduler::new(config, 1),
            now: Timestamp::from_millis(1_600_000_000_000),
            store: std::collections::BTreeMap::new(),
            calls: Vec::new(),
            answers: false,
            said: std::collections::BTreeMap::new(),
            starts: 1,
            commands: 0,
            offers: 0,
            uuids: 0,
        }
    }

    /// A scheduler with a subscription.
    pub(crate) fn connected() -> Self {
        Self::connected_with(Config::default())
    }

    pub(crate) fn connected_with(config: Config) -> Self {
        let mut driver = Self::with(config);
        driver.subscribe();
        driver.calls.clear();
        driver
    }

    /// A scheduler with a pod whose copies all run on agent `s1`.
    pub(crate) fn running(pod: PodSpec) -> Self {
        let mut driver = Self::connected();
        let instances = pod.instances() as usize;
        driver.create(pod);
        driver.offer("s1", 80.0, 80_000.0);
        for n in 0..instances {
            driver.run(n);
        }
        driver.wait(5.0);
        driver.calls.clear();
        driver
    }

    pub(crate) fn subscribe(&mut self) {
        self.subscribe_as("fw");
    }

    pub(crate) fn subscribe_as(&mut self, id: &str) {
        self.event(Event::Subscribed {
            framework_id: FrameworkId::from(id),
            heartbeat_interval: Some(Duration::from_secs(15)),
            master: None,
        });
    }

    pub(crate) fn step(&mut self, input: Input) -> Output {
        let output = self.scheduler.step(self.now, input);
        for record in &output.records {
            match record.clone() {
                Record::Delete(key) => {
                    self.store.remove(&key);
                }
                Record::Put(entry) => {
                    self.store.insert(entry.key(), entry);
                }
            }
        }
        for action in &output.actions {
            match action {
                Action::Call(call) => self.calls.push(call.clone()),
                Action::Accept(accept) => self.calls.push(self.scheduler.accept_call(accept)),
                Action::LookUpSecrets(_) | Action::Publish(_) | Action::Reply { .. } => {}
            }
        }
        for action in &output.actions {
            if let Action::Call(Call::Reconcile { tasks }) = action
                && self.answers
            {
                tasks.iter().for_each(|task| self.answer(&task.task_id));
            }
        }
        output
    }

    pub(crate) fn event(&mut self, event: Event) {
        if let Event::Update(status) = &event {
            self.said.insert(status.task_id.clone(), status.clone());
        }
        let _ = self.step(Input::Event(Box::new(event)));
    }

    /// Mesos says of `task` what it said the last time.
    fn answer(&mut self, task: &TaskId) {
        if let Some(mut status) = self.said.get(task).cloned() {
            status.uuid = None;
            status.source = Some(StatusSource::SourceMaster);
            status.reason = Some(StatusReason::ReasonReconciliation);
            self.event(Event::Update(status));
        }
    }

    /// Has the scheduler do what it left for later steps.
    pub(crate) fn finish(&mut self) {
        for _ in 0..100_000 {
            if self.scheduler.deadline().is_none_or(|at| at > self.now) {
                return;
            }
            let _ = self.step(Input::Tick);
        }
        panic!("the scheduler does not come to rest");
    }

    /// Lets `seconds` go by, ticking whenever the scheduler wants it.
    pub(crate) fn wait(&mut self, seconds: f64) {
        let end = self.now + Duration::from_secs_f64(seconds);
        let mut ticks = 0;
        while let Some(at) = self.scheduler.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            let _ = self.step(Input::Tick);
            ticks += 1;
            assert!(ticks < 100_000, "the scheduler does not come to rest");
        }
        self.now = end;
    }

    /// Crashes, and starts again from what was stored.
    pub(crate) fn restart(&mut self) {
        let config = self.scheduler.config().clone();
        self.starts += 1;
        self.scheduler = Scheduler::restore(config, self.starts, self.store.values().cloned()).unwrap();
        self.calls.clear();
    }

    pub(crate) fn command(&mut self, command: Command) -> Result<Response, Refusal> {
        self.commands += 1;
        // Instances are ordered by the time of their creation.
        self.now = self.now.next();
        let id = CommandId(self.commands);
        let origin = Origin::default();
        let output = self.step(Input::Command { id, origin, command: Box::new(command) });
        self.finish();
        output
            .actions
            .into_iter()
            .find_map(|action| match action {
                Action::Reply { id: of, result } if of == id => Some(result.map(|r| *r).map_err(|r| *r)),
                _ => None,
            })
            .expect("every command is answered in its own step")
    }

    pub(crate) fn create(&mut self, pod: PodSpec) -> Response {
        self.command(Command::CreatePod { role_given: names_role(&pod), pod, force: false }).unwrap()
    }

    pub(crate) fn update_pod(&mut self, pod: PodSpec) -> Response {
        self.command(Command::UpdatePod { role_given: names_role(&pod), pod, force: false }).unwrap()
    }

    pub(crate) fn force_pod(&mut self, pod: PodSpec) -> Response {
        self.command(Command::UpdatePod { role_given: names_role(&pod), pod, force: true }).unwrap()
    }

    pub(crate) fn delete_pod(&mut self, id: &str) -> Response {
        self.command(Command::DeletePod { id: pod_id(id), force: false }).unwrap()
    }

    pub(crate) fn delete_pod_by_force(&mut self, id: &str) -> Response {
        self.command(Command::DeletePod { id: pod_id(id), force: true }).unwrap()
    }

    /// A person kills the `n`-th instance.
    pub(crate) fn kill(&mut self, n: usize, wipe: bool) {
        let (instance, ..) = self.instance(n);
        self.command(Command::KillInstance { pod: instance.pod.clone(), instance, wipe }).unwrap();
    }

    /// Cancels the only deployment.
    pub(crate) fn cancel(&mut self, force: bool) -> Response {
        let id = self.scheduler.deployments(self.now)[0].id.clone();
        self.command(Command::CancelDeployment { id, force }).unwrap()
    }

    /// Offers so much of `agent`, and says what was asked for.
    pub(crate) fn offer(&mut self, agent: &str, cpus: f64, mem: f64) -> Vec<Call> {
        let offer = self.make_offer(agent, cpus, mem);
        self.offer_all(vec![offer])
    }

    pub(crate) fn offer_all(&mut self, offers: Vec<Offer>) -> Vec<Call> {
        let before = self.calls.len();
        self.event(Event::Offers(offers));
        self.calls[before..].to_vec()
    }

    pub(crate) fn make_offer(&mut self, agent: &str, cpus: f64, mem: f64) -> Offer {
        self.offers += 1;
        let role = Role::from("*");
        let scalar =
            |kind, amount| Resource::scalar(kind, Scalar::from_f64(amount)).allocated_to(role.clone());
        Offer {
            id: OfferId::from(format!("o{}", self.offers)),
            framework_id: FrameworkId::from("fw"),
            agent_id: AgentId::from(agent),
            hostname: format!("{agent}.example"),
            role: Some(role.clone()),
            resources: vec![
                scalar(ResourceKind::Cpus, cpus),
                scalar(ResourceKind::Mem, mem),
                scalar(ResourceKind::Disk, 10_000.0),
                Resource::ports(vec![PortRange { begin: 31_000, end: 31_009 }]).allocated_to(role.clone()),
            ],
            attributes: Vec::new(),
            executor_ids: Vec::new(),
            domain: None,
            unavailability: None,
        }
    }

    /// Mesos says that a container of the only instance, or of the `n`-th of them, is in `state`.
    pub(crate) fn update(&mut self, n: usize, container: &str, state: TaskState) {
        let status = self.status(n, container, state);
        self.event(Event::Update(status));
    }

    pub(crate) fn update_all(&mut self, n: usize, state: TaskState) {
        let containers: Vec<String> =
            self.instances()[n].containers.iter().map(|container| container.name.clone()).collect();
        let statuses: Vec<TaskStatus> =
            containers.iter().map(|container| self.status(n, container, state)).collect();
        for status in statuses {
            self.event(Event::Update(status));
        }
    }

    /// The `n`-th instance comes up.
    pub(crate) fn run(&mut self, n: usize) {
        self.update_all(n, TaskState::TaskStarting);
        self.update_all(n, TaskState::TaskRunning);
    }

    /// The health check of a running container gives its verdict.
    pub(crate) fn health(&mut self, n: usize, container: &str, healthy: bool) {
        let mut status = self.status(n, container, TaskState::TaskRunning);
        status.healthy = Some(healthy);
        self.event(Event::Update(status));
    }

    /// A container ends by itself, and Mesos ends the rest of its group.
    pub(crate) fn crash(&mut self, n: usize) {
        let containers: Vec<String> =
            self.instances()[n].containers.iter().map(|container| container.name.clone()).collect();
        let mut statuses = Vec::new();
        for (index, container) in containers.iter().enumerate() {
            let state = if index == 0 { TaskState::TaskFailed } else { TaskState::TaskKilled };
            let mut status = self.status(n, container, state);
            if index == 0 {
                status.message = Some("Command exited with status 1".to_owned());
            }
            statuses.push(status);
        }
        for status in statuses {
            self.event(Event::Update(status));
        }
    }

    pub(crate) fn status(&mut self, n: usize, container: &str, state: TaskState) -> TaskStatus {
        let (id, incarnation, agent) = self.instance(n);
        self.uuids += 1;
        let mut status = TaskStatus::new(id.task_id(container, incarnation), state);
        status.agent_id = agent;
        status.timestamp = Some(self.now);
        match state {
            TaskState::TaskUnreachable => {
                status.source = Some(StatusSource::SourceMaster);
                status.reason = Some(StatusReason::ReasonAgentRemoved);
                status.unreachable_time = Some(self.now);
            }
            _ => {
                status.source = Some(StatusSource::SourceExecutor);
                status.uuid = Some(StatusUuid::from_u128(self.uuids));
            }
        }
        status
    }

    /// Mesos confirms every kill that was asked for since the calls were last taken, and says how many there
    /// were.
    pub(crate) fn confirm_kills(&mut self) -> usize {
        let kills: Vec<(TaskId, Option<AgentId>)> = std::mem::take(&mut self.calls)
            .iter()
            .filter_map(|call| match call {
                Call::Kill { task_id, agent_id, .. } => Some((task_id.clone(), agent_id.clone())),
                _ => None,
            })
            .collect();
        for (task_id, agent_id) in &kills {
            let mut status = TaskStatus::new(task_id.clone(), TaskState::TaskKilled);
            status.agent_id.clone_from(agent_id);
            self.event(Event::Update(status));
        }
        kills.len()
    }

    /// All instances of all pods.
    pub(crate) fn instances(&self) -> Vec<InstanceStatus> {
        self.scheduler
            .pods()
            .filter_map(|spec| self.scheduler.pod_status(&spec.id, self.now))
            .flat_map(|status| status.instances)
            .collect()
    }

    /// The `n`-th instance of all pods, with its incarnation and agent.
    pub(crate) fn instance(&self, n: usize) -> (InstanceId, u32, Option<AgentId>) {
        let instance = &self.instances()[n];
        (instance.id.clone(), instance.incarnation, instance.agent_id.clone())
    }

    pub(crate) fn status_of(&self, pod: &str) -> PodStatus {
        self.scheduler.pod_status(&pod_id(pod), self.now).expect("there is such a pod")
    }

    /// The instances of all pods, oldest first: the number of the definition and of the launch, where it is and
    /// how.
    pub(crate) fn picture(&self) -> Vec<String> {
        self.instances()
            .iter()
            .map(|instance| {
                let versions = self.scheduler.pod_versions(&instance.id.pod);
                let version = versions
                    .iter()
                    .position(|version| instance.spec_reference.ends_with(&version.to_string()))
                    .expect("its version is one of its pod's");
                let agent = instance.agent_id.as_ref().map_or("-", |agent| agent.as_str());
                format!("v{}.{} {agent} {:?}", version + 1, instance.incarnation, instance.status)
            })
            .collect()
    }

    /// What each deployment is doing, and what it waits for.
    pub(crate) fn deployments(&self) -> Vec<String> {
        self.scheduler
            .deployments(self.now)
            .iter()
            .flat_map(|deployment| deployment.current_actions.clone())
            .map(|action| {
                format!("{:?} {}: {}", action.action, action.pod, action.message.unwrap_or_default())
            })
            .collect()
    }

    /// The tasks whose end was asked for since the calls were last taken.
    pub(crate) fn kills(&mut self) -> Vec<String> {
        std::mem::take(&mut self.calls)
            .iter()
            .filter_map(|call| match call {
                Call::Kill { task_id, .. } => Some(short(task_id)),
                _ => None,
            })
            .collect()
    }

    /// The calls since this was last asked, a line each, with ids shortened.
    pub(crate) fn story(&mut self) -> String {
        let calls = std::mem::take(&mut self.calls);
        let mut text = String::new();
        for call in calls {
            let _ = writeln!(text, "{}", self.line(&call));
        }
        text
    }

    fn line(&self, call: &Call) -> String {
        match call {
            Call::Accept { offer_ids, operations, refuse } => {
                format!("ACCEPT {offer_ids:?} {} launches, refuse {refuse:?}", operations.len())
            }
            Call::Acknowledge { task_id, .. } => format!("ACKNOWLEDGE {}", short(task_id)),
            Call::Decline { offer_ids, refuse } => format!("DECLINE {offer_ids:?} refuse {refuse:?}"),
            Call::Kill { task_id, agent_id, .. } => format!("KILL {} on {agent_id:?}", short(task_id)),
            Call::Reconcile { tasks } if tasks.is_empty() => "RECONCILE implicitly".to_owned(),
            Call::Reconcile { tasks } => {
                let tasks: Vec<String> =
                    tasks.iter().map(|t| format!("{} on {:?}", short(&t.task_id), t.agent_id)).collect();
                format!("RECONCILE {}", tasks.join(", "))
            }
            Call::Shutdown { agent_id, .. } => format!("SHUTDOWN on {agent_id}"),
            other => format!("{other:?}"),
        }
    }
}

/// A task id without its instance's uuid.
pub(crate) fn short(task: &TaskId) -> String {
    match task.parse() {
        Ok(id) => format!("{}.{}.{}", id.instance().pod, id.container, id.incarnation),
        Err(_) => task.to_string(),
    }
}

/// A pod with containers `a`, `b`, … of 0.1 cpus and 32 MiB each.
pub(crate) fn pod(id: &str, containers: usize, instances: u32) -> PodSpec {
    let names = ["a", "b", "c", "d"];
    let containers: Vec<serde_json::Value> = names[..containers]
        .iter()
        .map(|name| {
            serde_json::json!({
                "name": name,
                "exec": {"command": {"shell": "sleep 1000"}},
                "resources": {"cpus": 0.1, "mem": 32}
            })
        })
        .collect();
    from_json(&serde_json::json!({
        "id": id,
        "containers": containers,
        "networks": [{"mode": "host"}],
        "scaling": {"kind": "fixed", "instances": instances}
    }))
}

/// The same with these fields in addition.
pub(crate) fn pod_with(id: &str, containers: usize, instances: u32, more: &serde_json::Value) -> PodSpec {
    let mut json = serde_json::to_value(pod(id, containers, instances)).expect("a pod is JSON");
    merge(&mut json, more);
    from_json(&json)
}

/// A pod of one container with a health check.
pub(crate) fn checked_pod(id: &str, instances: u32, more: &serde_json::Value) -> PodSpec {
    let check = serde_json::json!({"exec": {"command": {"shell": "true"}}});
    let mut json = serde_json::to_value(pod(id, 1, instances)).expect("a pod is JSON");
    json["containers"][0]["healthCheck"] = check;
    merge(&mut json, more);
    from_json(&json)
}

/// `pod` in another version: with a new label.
pub(crate) fn changed(mut pod: PodSpec, version: &str) -> PodSpec {
    pod.labels.insert("version".into(), version.into());
    pod
}

/// Whether the author of `pod` named a role, as far as it can be told.
fn names_role(pod: &PodSpec) -> bool {
    pod.role != Role::from("*")
}

fn merge(json: &mut serde_json::Value, more: &serde_json::Value) {
    match (json, more) {
        (serde_json::Value::Object(json), serde_json::Value::Object(more)) => {
            for (key, value) in more {
                merge(json.entry(key.clone()).or_insert(serde_json::Value::Null), value);
            }
        }
        (json, more) => json.clone_from(more),
    }
}

pub(crate) fn from_json(json: &serde_json::Value) -> PodSpec {
    read_pod(json, &Rules::default()).expect("the test's pod is valid").pod
}

pub(crate) fn pod_id(id: &str) -> PodId {
    PodId::from(id)
}
