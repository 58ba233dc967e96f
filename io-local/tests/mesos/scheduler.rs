//! A scheduler that is nothing but a connection: it sends the calls and collects the events that a test wants.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use podium_core::model::ids::{AgentId, ExecutorId, FrameworkId, Role, TaskId};
use podium_core::model::mesos::{
    Call, CommandInfo, ContainerInfo, Event, ExecutorFailure, ExecutorInfo, ExecutorKind,
    FrameworkCapability, FrameworkInfo, LaunchGroup, Offer, Operation, OperationInfo, Resource, ResourceKind,
    TaskInfo, TaskState, TaskStatus,
};
use podium_core::model::number::Scalar;
use podium_mesos::codec::{MediaType, decode, encode};
use podium_mesos::proto;
use podium_mesos::recordio::Decoder;
use podium_mesos::translate::{Format, Translate};

/// For everything that should take milliseconds, or a grace period.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Scheduler {
    base: String,
    media: MediaType,
    client: reqwest::Client,
    info: FrameworkInfo,
    stream_id: String,
    response: reqwest::Response,
    decoder: Decoder,
    events: VecDeque<Event>,
    /// Not used yet.
    offers: VecDeque<Offer>,
    /// Not looked at yet; they may come before the updates of the tasks that ended.
    failures: VecDeque<ExecutorFailure>,
    /// Whether to acknowledge updates as they come.
    pub(crate) acknowledges: bool,
}

pub(crate) fn framework() -> FrameworkInfo {
    FrameworkInfo {
        user: user(),
        name: "test".to_owned(),
        id: None,
        failover_timeout: Duration::from_secs(600),
        checkpoint: true,
        roles: vec![Role::new("pods")],
        role: None,
        capabilities: vec![
            FrameworkCapability::MultiRole,
            FrameworkCapability::PartitionAware,
            FrameworkCapability::ReservationRefinement,
            FrameworkCapability::TaskKillingState,
        ],
        hostname: None,
        webui_url: None,
        principal: None,
    }
}

fn user() -> String {
    nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name
}

impl Scheduler {
    /// Subscribes and waits for `SUBSCRIBED`.
    pub(crate) async fn subscribe(base: &str, media: MediaType) -> Self {
        Self::subscribe_as(base, media, framework()).await
    }

    pub(crate) async fn subscribe_as(base: &str, media: MediaType, info: FrameworkInfo) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let call = Call::Subscribe { framework_info: info.clone(), suppressed_roles: Vec::new() };
        let response = client
            .post(format!("{base}/api/v1/scheduler"))
            .header("Content-Type", media.as_str())
            .header("Accept", media.as_str())
            .body(encode(&call.to_proto(Format::CURRENT), media))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], media.as_str());
        let stream_id = response.headers()["mesos-stream-id"].to_str().unwrap().to_owned();
        let mut scheduler = Self {
            base: base.to_owned(),
            media,
            client,
            info,
            stream_id,
            response,
            decoder: Decoder::default(),
            events: VecDeque::new(),
            offers: VecDeque::new(),
            failures: VecDeque::new(),
            acknowledges: true,
        };
        match scheduler.next().await {
            Event::Subscribed { framework_id, .. } => scheduler.info.id = Some(framework_id),
            other => panic!("expected SUBSCRIBED, not {other:?}"),
        }
        scheduler
    }

    /// The framework, to subscribe again.
    pub(crate) fn info(&self) -> FrameworkInfo {
        self.info.clone()
    }

    pub(crate) fn framework_id(&self) -> FrameworkId {
        self.info.id.clone().unwrap()
    }

    /// Sends a call, which must be accepted.
    pub(crate) async fn call(&self, call: Call) {
        let mut proto = call.to_proto(Format::CURRENT);
        proto.framework_id = Some(proto::FrameworkId { value: self.framework_id().to_string() });
        let response = self
            .client
            .post(format!("{}/api/v1/scheduler", self.base))
            .header("Content-Type", self.media.as_str())
            .header("Mesos-Stream-Id", &self.stream_id)
            .body(encode(&proto, self.media))
            .send()
            .await
            .unwrap();
        let status = response.status();
        assert_eq!(status, 202, "{call:?}: {}", response.text().await.unwrap());
    }

    /// The next event; nothing at the end of the stream, or an error if it breaks off.
    pub(crate) async fn try_next(&mut self) -> Result<Option<Event>, reqwest::Error> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            let Some(bytes) = chunk.expect("the stream says something in time")? else { return Ok(None) };
            self.decoder.feed(&bytes);
            while let Some(record) = self.decoder.next_record().unwrap() {
                let proto: proto::scheduler::Event = decode(&record, self.media).unwrap();
                self.events.push_back(Event::from_proto(proto).unwrap());
            }
        }
    }

    pub(crate) async fn next(&mut self) -> Event {
        self.try_next().await.unwrap().expect("the stream goes on")
    }

    /// Waits for an event that `wanted` makes something of; others are dropped.
    pub(crate) async fn wait_for<T>(&mut self, what: &str, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            assert!(tokio::time::Instant::now() < deadline, "waited in vain for {what}");
            let event = self.next().await;
            match &event {
                Event::Failure(failure) => self.failures.push_back(failure.clone()),
                Event::Offers(offers) => self.offers.extend(offers.iter().cloned()),
                _ => {}
            }
            if let Some(found) = wanted(event) {
                return found;
            }
        }
    }

    /// An offer that has not been used yet.
    pub(crate) async fn offer(&mut self) -> Offer {
        loop {
            if let Some(offer) = self.offers.pop_front() {
                return offer;
            }
            self.wait_for("an offer", |event| matches!(event, Event::Offers(_)).then_some(())).await;
        }
    }

    /// The end of an executor that has not been looked at yet.
    pub(crate) async fn failure(&mut self) -> ExecutorFailure {
        loop {
            if let Some(failure) = self.failures.pop_front() {
                return failure;
            }
            self.wait_for("an executor's end", |event| matches!(event, Event::Failure(_)).then_some(()))
                .await;
        }
    }

    /// The next status update.
    pub(crate) async fn update(&mut self) -> TaskStatus {
        let status = self
            .wait_for("a status update", |event| match event {
                Event::Update(status) => Some(status),
                _ => None,
            })
            .await;
        // For whoever reads about a test that failed.
        eprintln!("{} {:?} {:?}", status.task_id, status.state, status.message);
        if self.acknowledges {
            self.acknowledge(&status).await;
        }
        status
    }

    pub(crate) async fn acknowledge(&self, status: &TaskStatus) {
        if let (Some(uuid), Some(agent_id)) = (status.uuid, status.agent_id.clone()) {
            self.call(Call::Acknowledge { agent_id, task_id: status.task_id.clone(), uuid }).await;
        }
    }

    /// Waits until the task has reached `state`.
    pub(crate) async fn state(&mut self, task: &str, state: TaskState) -> TaskStatus {
        let mut seen = Vec::new();
        for _ in 0..1000 {
            let status = self.update().await;
            if status.task_id.as_str() == task {
                if status.state == state {
                    return status;
                }
                assert!(!status.state.is_terminal(), "{task} should become {state}, not {status:?}");
            }
            seen.push((status.task_id, status.state));
        }
        panic!("{task} should become {state}; instead: {seen:?}");
    }

    /// Waits until each of the tasks has ended, and says how.
    pub(crate) async fn ends(&mut self, tasks: &[&str]) -> BTreeMap<String, (TaskState, String)> {
        let mut ends = BTreeMap::new();
        while ends.len() < tasks.len() {
            let status = self.update().await;
            if status.state.is_terminal() && tasks.contains(&status.task_id.as_str()) {
                let message = status.message.unwrap_or_default();
                ends.insert(status.task_id.to_string(), (status.state, message));
            }
        }
        ends
    }

    /// Launches a group with the next offer: an executor and its tasks.
    pub(crate) async fn launch(&mut self, executor: &str, tasks: Vec<TaskInfo>) -> AgentId {
        let offer = self.offer().await;
        self.launch_on(&offer, executor, tasks).await;
        offer.agent_id
    }

    pub(crate) async fn launch_on(&mut self, offer: &Offer, executor: &str, mut tasks: Vec<TaskInfo>) {
        for task in &mut tasks {
            task.agent_id = offer.agent_id.clone();
        }
        let executor = ExecutorInfo {
            executor_id: ExecutorId::new(executor),
            framework_id: self.info.id.clone(),
            kind: Some(ExecutorKind::Default),
            resources: resources(0.1, 32.0),
            command: None,
            container: None,
            shutdown_grace_period: None,
            labels: Vec::new(),
        };
        self.accept(offer, LaunchGroup { executor, tasks }).await;
    }

    pub(crate) async fn accept(&self, offer: &Offer, group: LaunchGroup) {
        self.call(Call::Accept {
            offer_ids: vec![offer.id.clone()],
            operations: vec![Operation { id: None, info: OperationInfo::LaunchGroup(Box::new(group)) }],
            refuse: Some(Duration::ZERO),
        })
        .await;
    }

    /// Launches a group and waits until all of it runs.
    pub(crate) async fn start(&mut self, executor: &str, tasks: Vec<TaskInfo>) -> AgentId {
        let mut missing: Vec<_> = tasks.iter().map(|task| task.task_id.clone()).collect();
        let agent_id = self.launch(executor, tasks).await;
        while !missing.is_empty() {
            let status = self.update().await;
            assert!(!status.state.is_terminal(), "{status:?}");
            if status.state == TaskState::TaskRunning {
                missing.retain(|task| *task != status.task_id);
            }
        }
        agent_id
    }

    pub(crate) async fn kill(&self, task: &str, agent_id: &AgentId) {
        let (task_id, agent_id) = (TaskId::new(task), Some(agent_id.clone()));
        self.call(Call::Kill { task_id, agent_id, grace_period: None }).await;
    }
}

fn resources(cpus: f64, mem: f64) -> Vec<Resource> {
    [(ResourceKind::Cpus, cpus), (ResourceKind::Mem, mem), (ResourceKind::Disk, 10.0)]
        .into_iter()
        .map(|(kind, amount)| {
            Resource::scalar(kind, Scalar::from_f64(amount)).allocated_to(Role::new("pods"))
        })
        .collect()
}

/// A task that runs `sh -c command`.
pub(crate) fn task(id: &str, command: &str) -> TaskInfo {
    TaskInfo {
        name: id.to_owned(),
        task_id: TaskId::new(id),
        agent_id: AgentId::new(""),
        resources: resources(0.1, 32.0),
        limits: BTreeMap::new(),
        command: Some(CommandInfo {
            shell: true,
            value: Some(command.to_owned()),
            arguments: Vec::new(),
            environment: Vec::new(),
            uris: Vec::new(),
            user: None,
        }),
        container: Some(ContainerInfo::default()),
        health_check: None,
        check: None,
        kill_grace_period: None,
        max_completion_time: None,
        labels: Vec::new(),
        discovery: None,
    }
}
