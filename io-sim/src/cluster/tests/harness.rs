//! A small world for tests: virtual time, containers that do as their command says, and a scheduler that
//! acknowledges. What the scheduler hears is written down as a story, one line per event.
//!
//! A container starts 100 ms after its launch, unless its command is `unlaunchable: <message>`. It ends when told
//! ([`World::end`]), 50 ms after SIGTERM, or, if its command is `deaf`, 50 ms after SIGKILL.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use podium_core::model::ids::{AgentId, ExecutorId, FrameworkId, OfferId, Role, TaskId};
use podium_core::model::mesos::{
    Call, CommandInfo, Event, ExecutorInfo, ExecutorKind, FrameworkCapability, FrameworkInfo, LaunchGroup,
    Offer, Operation, OperationInfo, OperationStatus, ReconcileTask, Resource, ResourceKind, StatusUuid,
    TaskInfo, TaskStatus,
};
use podium_core::model::number::Scalar;
use podium_core::model::time::Timestamp;

use super::super::{
    AgentConfig, AgentIndex, Answer, Cluster, ClusterConfig, ContainerCommand, ContainerEvent, ContainerId,
    Exit, Fault, Input, LinkConfig, OperatorCall, Output, ProbeId, ProbeResult, RequestId, SchedulerCall,
    Signal, StreamId, Subscribe,
};

pub(super) const A0: AgentIndex = AgentIndex(0);

/// See the top of the file.
#[derive(Clone)]
pub(super) struct World {
    pub(super) cluster: Cluster,
    pub(super) now: Timestamp,
    pub(super) framework_id: Option<FrameworkId>,
    pub(super) framework: FrameworkInfo,
    pub(super) stream: Option<StreamId>,
    /// Acknowledge every update at once.
    pub(super) acknowledges: bool,
    pub(super) offers: Vec<Offer>,
    pub(super) answers: Vec<(RequestId, Answer)>,
    pub(super) updates: Vec<TaskStatus>,
    pub(super) events: Vec<Event>,
    /// What probes of a task see.
    pub(super) probes: BTreeMap<String, ProbeResult>,
    pub(super) story: String,
    containers: BTreeMap<ContainerId, Container>,
    pending: BTreeMap<(Timestamp, u64), ContainerEvent>,
    serial: u64,
    streams: u64,
    requests: u64,
    uuids: Vec<StatusUuid>,
    /// Acknowledgements to send once the step's outputs are dealt with.
    owed: Vec<(TaskStatus, StatusUuid)>,
    /// Heartbeats and offers are part of the story.
    pub(super) chatty: bool,
}

#[derive(Clone)]
struct Container {
    agent: AgentIndex,
    task: Option<Arc<TaskInfo>>,
}

pub(super) fn config(agents: usize) -> ClusterConfig {
    let agents = (0..agents).map(|index| AgentConfig::new(format!("host-{index}"), 4.0, 8192.0, 10_000.0));
    let mut config =
        ClusterConfig { agents: agents.collect(), links: LinkConfig::INSTANT, ..ClusterConfig::default() };
    config.agent.registration_backoff = Duration::ZERO;
    config.agent.registration_backoff_max = Duration::from_secs(2);
    config
}

pub(super) fn framework() -> FrameworkInfo {
    FrameworkInfo {
        user: "root".to_owned(),
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

impl World {
    /// A cluster with so many agents, and a subscribed scheduler.
    pub(super) fn new(agents: usize) -> Self {
        Self::with(config(agents), framework())
    }

    pub(super) fn with(config: ClusterConfig, framework: FrameworkInfo) -> Self {
        let mut world = Self {
            cluster: Cluster::new(config, 1),
            now: Timestamp::EPOCH,
            framework_id: None,
            framework,
            stream: None,
            acknowledges: true,
            offers: Vec::new(),
            answers: Vec::new(),
            updates: Vec::new(),
            events: Vec::new(),
            probes: BTreeMap::new(),
            story: String::new(),
            containers: BTreeMap::new(),
            pending: BTreeMap::new(),
            serial: 0,
            streams: 0,
            requests: 0,
            uuids: Vec::new(),
            owed: Vec::new(),
            chatty: false,
        };
        world.step(Input::Tick);
        world.subscribe();
        world.run(Duration::from_millis(1));
        world
    }

    // -- time ----------------------------------------------------------------------------------------------

    pub(super) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let container = self.pending.first_key_value().map(|((at, _), _)| *at);
            let next = [container, self.cluster.deadline()].into_iter().flatten().min();
            let Some(at) = next.filter(|at| *at <= end) else { break };
            self.now = self.now.max(at);
            if container.is_some_and(|at| at <= self.now) {
                let (_, event) = self.pending.pop_first().unwrap();
                if let ContainerEvent::Exited { container, .. } = &event {
                    self.containers.remove(container);
                }
                self.step(Input::Container(event));
            } else {
                self.step(Input::Tick);
            }
        }
        self.now = end;
    }

    pub(super) fn seconds(&mut self, seconds: u64) {
        self.run(Duration::from_secs(seconds));
    }

    fn step(&mut self, input: Input) {
        let mut outputs = Vec::new();
        self.cluster.step(self.now, input, &mut outputs);
        for output in outputs {
            match output {
                Output::Event { stream, event } => self.on_event(&stream, event),
                Output::CloseStream { stream, clean } => {
                    if self.stream.as_ref() == Some(&stream) {
                        self.stream = None;
                    }
                    self.tell(&format!("END of {} ({})", stream.0, if clean { "clean" } else { "broken" }));
                }
                Output::Answer { request, answer } => {
                    if !matches!(answer, Answer::Accepted | Answer::Ok) {
                        self.tell(&format!("answer {answer:?}"));
                    }
                    self.answers.push((request, answer));
                }
                Output::Container(command) => self.on_command(command),
            }
        }
        for (status, uuid) in std::mem::take(&mut self.owed) {
            self.acknowledge(&status, uuid);
        }
    }

    // -- scheduler -----------------------------------------------------------------------------------------

    fn on_event(&mut self, stream: &StreamId, event: Event) {
        self.events.push(event.clone());
        match event {
            Event::Subscribed { framework_id, .. } => {
                self.tell(&format!("SUBSCRIBED {}", short(framework_id.as_str())));
                self.framework_id = Some(framework_id);
                self.offers.clear();
            }
            Event::Heartbeat => {
                if self.chatty {
                    self.tell("HEARTBEAT");
                }
            }
            Event::Offers(offers) => {
                if self.chatty {
                    let texts: Vec<_> = offers.iter().map(describe_offer).collect();
                    self.tell(&format!("OFFERS {}", texts.join("; ")));
                }
                self.offers.extend(offers);
            }
            Event::Rescind(id) => {
                self.tell(&format!("RESCIND {}", short(id.as_str())));
                self.offers.retain(|offer| offer.id != id);
            }
            Event::Failure(failure) => {
                let agent = failure.agent_id.as_ref().map_or("-", |id| short(id.as_str()));
                match failure.executor_id {
                    Some(executor) => {
                        let status = failure.status.unwrap_or_default();
                        self.tell(&format!("FAILURE agent {agent} executor {executor} status {status}"));
                    }
                    None => self.tell(&format!("FAILURE agent {agent}")),
                }
            }
            Event::Error { message } => self.tell(&format!("ERROR on {}: {message}", stream.0)),
            Event::Update(status) => self.on_update(status),
            Event::UpdateOperationStatus(status) => {
                let line = self.describe_operation(&status);
                self.tell(&line);
            }
            other => self.tell(&format!("{other:?}")),
        }
    }

    fn on_update(&mut self, status: TaskStatus) {
        let line = self.describe(&status);
        self.tell(&line);
        self.updates.push(status.clone());
        if let (Some(uuid), true) = (status.uuid, self.acknowledges) {
            self.owed.push((status, uuid));
        }
    }

    pub(super) fn acknowledge(&mut self, status: &TaskStatus, uuid: StatusUuid) {
        let agent_id = status.agent_id.clone().unwrap();
        self.call(Call::Acknowledge { agent_id, task_id: status.task_id.clone(), uuid });
    }

    /// One line about an update.
    pub(super) fn describe(&mut self, status: &TaskStatus) -> String {
        let mut line = format!("{} {}", status.task_id, &status.state.as_str()["TASK_".len()..]);
        let name = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        if let Some(source) = status.source {
            let source = name(serde_json::to_value(source).unwrap());
            write!(line, " {}", &source["SOURCE_".len()..]).unwrap();
        }
        if let Some(reason) = status.reason {
            let reason = name(serde_json::to_value(reason).unwrap());
            write!(line, " {}", &reason["REASON_".len()..]).unwrap();
        }
        if let Some(message) = &status.message {
            write!(line, " '{message}'").unwrap();
        }
        if let Some(healthy) = status.healthy {
            write!(line, " healthy={healthy}").unwrap();
        }
        if let Some(check) = &status.check_status {
            write!(line, " {check:?}").unwrap();
        }
        if status.unreachable_time.is_some() {
            line.push_str(" unreachable");
        }
        if !status.limitation.is_empty() {
            line.push_str(" limitation");
        }
        match status.uuid {
            Some(uuid) => write!(line, " u{}", self.number(uuid)).unwrap(),
            None => line.push_str(" m"),
        }
        if status.agent_id.is_none() {
            line.push_str(" no-agent");
        }
        if status.executor_id.is_none() {
            line.push_str(" no-executor");
        }
        if status.networks.is_empty() && status.container_id.is_some() {
            line.push_str(" no-network");
        }
        if status.container_id.is_none() {
            line.push_str(" no-container");
        }
        line
    }

    /// One line about an operation.
    fn describe_operation(&mut self, status: &OperationStatus) -> String {
        let state = serde_json::to_value(status.state).unwrap();
        let state = &state.as_str().unwrap()["OPERATION_".len()..];
        let mut line = format!("{} {state}", status.operation_id.as_deref().unwrap_or("-"));
        if let Some(message) = &status.message {
            write!(line, " '{message}'").unwrap();
        }
        match status.uuid {
            Some(uuid) => write!(line, " u{}", self.number(uuid)).unwrap(),
            None => line.push_str(" m"),
        }
        if status.agent_id.is_none() {
            line.push_str(" no-agent");
        }
        line
    }

    /// Uuids are numbered as they come.
    fn number(&mut self, uuid: StatusUuid) -> usize {
        let known = self.uuids.iter().position(|known| *known == uuid);
        known.unwrap_or_else(|| {
            self.uuids.push(uuid);
            self.uuids.len() - 1
        }) + 1
    }

    pub(super) fn tell(&mut self, line: &str) {
        let millis = self.now.as_millis();
        writeln!(self.story, "{:4}.{:03} {line}", millis / 1000, millis % 1000).unwrap();
    }

    pub(super) fn subscribe(&mut self) -> RequestId {
        self.streams += 1;
        self.requests += 1;
        let stream = StreamId(format!("stream-{}", self.streams).into());
        let request = RequestId(self.requests);
        self.stream = Some(stream.clone());
        let mut framework_info = self.framework.clone();
        if framework_info.id.is_none() {
            framework_info.id.clone_from(&self.framework_id);
        }
        self.step(Input::Subscribe(Box::new(Subscribe {
            request,
            stream,
            framework_id: self.framework_id.clone(),
            framework_info,
            suppressed_roles: Vec::new(),
            principal: None,
        })));
        if self.answer(request) != Answer::Ok {
            self.stream = None;
        }
        request
    }

    /// The scheduler's connection breaks.
    pub(super) fn disconnect(&mut self) {
        let stream = self.stream.take().unwrap();
        self.step(Input::StreamClosed { stream });
    }

    pub(super) fn call(&mut self, call: Call) -> Answer {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.step(Input::Call(Box::new(SchedulerCall {
            request,
            framework_id: self.framework_id.clone(),
            stream: self.stream.clone(),
            principal: None,
            call,
        })));
        self.answer(request)
    }

    pub(super) fn operator(&mut self, call: OperatorCall) -> Answer {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.step(Input::Operator { request, call });
        self.answer(request)
    }

    /// Without a line in the story.
    pub(super) fn operator_quietly(&mut self, call: OperatorCall) {
        let story = self.story.len();
        self.operator(call);
        self.story.truncate(story);
    }

    fn answer(&self, request: RequestId) -> Answer {
        self.answers.iter().find(|(id, _)| *id == request).map(|(_, answer)| answer.clone()).unwrap()
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        self.step(Input::Fault(fault));
    }

    pub(super) fn kill(&mut self, task: &str, grace: Option<u64>) {
        let agent_id = self.agent_of(task);
        let grace_period = grace.map(Duration::from_secs);
        self.call(Call::Kill { task_id: task.into(), agent_id, grace_period });
    }

    pub(super) fn reconcile(&mut self, tasks: &[&str]) {
        let entry = |task: &&str| ReconcileTask { task_id: (*task).into(), agent_id: self.agent_of(task) };
        let tasks = tasks.iter().map(entry).collect();
        self.call(Call::Reconcile { tasks });
    }

    fn agent_of(&self, task: &str) -> Option<AgentId> {
        let of_task = |status: &&TaskStatus| status.task_id.as_str() == task && status.agent_id.is_some();
        self.updates.iter().rev().find(of_task).and_then(|status| status.agent_id.clone())
    }

    /// Launches a group with the newest offer of the first agent; each task is `name` or `name=command`.
    pub(super) fn launch(&mut self, executor: &str, tasks: &[&str]) -> OfferId {
        let offer = self.offers.last().cloned().expect("an offer");
        let tasks = tasks.iter().map(|text| task(&offer, text)).collect();
        self.launch_tasks(executor, tasks)
    }

    pub(super) fn launch_tasks(&mut self, executor: &str, tasks: Vec<TaskInfo>) -> OfferId {
        let offer = self.offers.pop().expect("an offer");
        let group = LaunchGroup { executor: self.executor(executor), tasks };
        let info = OperationInfo::LaunchGroup(Box::new(group));
        self.accept(vec![offer.id.clone()], vec![Operation { id: None, info }]);
        offer.id
    }

    pub(super) fn accept(&mut self, offer_ids: Vec<OfferId>, operations: Vec<Operation>) {
        self.offers.retain(|offer| !offer_ids.contains(&offer.id));
        let refuse = Some(Duration::ZERO);
        self.call(Call::Accept { offer_ids, operations, refuse });
    }

    pub(super) fn executor(&self, id: &str) -> ExecutorInfo {
        ExecutorInfo {
            executor_id: ExecutorId::new(id),
            framework_id: self.framework_id.clone(),
            kind: Some(ExecutorKind::Default),
            resources: resources(0.1, 32.0, 10.0),
            command: None,
            container: None,
            shutdown_grace_period: None,
            labels: Vec::new(),
        }
    }

    // -- containers ----------------------------------------------------------------------------------------

    fn on_command(&mut self, command: ContainerCommand) {
        match command {
            ContainerCommand::RemoveVolume { volume, .. } => {
                self.tell(&format!("removes volume {}", volume.id))
            }
            ContainerCommand::LaunchExecutor(launch) => {
                self.containers
                    .insert(launch.container.clone(), Container { agent: launch.agent, task: None });
                self.start(launch.container);
            }
            ContainerCommand::LaunchTask(launch) => {
                let command = launch.task.command.as_ref().and_then(|command| command.value.clone());
                if let Some(message) = command.as_deref().and_then(|text| text.strip_prefix("unlaunchable: "))
                {
                    let message = message.to_owned();
                    let container = launch.container;
                    self.later(100, ContainerEvent::LaunchFailed { container, message });
                    return;
                }
                let container = Container { agent: launch.agent, task: Some(launch.task) };
                self.containers.insert(launch.container.clone(), container);
                self.start(launch.container);
            }
            ContainerCommand::Signal { container, signal } => {
                let command =
                    self.containers.get(&container).and_then(|c| c.task.as_ref()?.command.clone()?.value);
                let deaf = command.as_deref() == Some("deaf");
                match signal {
                    Signal::Term if deaf => {}
                    Signal::Term => self.exit_later(container, Exit::Signal { number: 15, core: false }),
                    Signal::Kill => self.exit_later(container, Exit::Signal { number: 9, core: false }),
                }
            }
            ContainerCommand::Destroy { container } => {
                let prefix = format!("{container}.");
                let inside = |id: &ContainerId| id.as_str().starts_with(&prefix);
                self.pending.retain(|_, event| !subject(event).is_some_and(inside));
                self.containers.retain(|id, _| !inside(id));
                self.exit_later(container, Exit::Signal { number: 9, core: false });
            }
            ContainerCommand::DestroyAll { agent } => {
                let gone: Vec<_> = self.containers.iter().filter(|(_, c)| c.agent == agent).collect();
                let gone: Vec<_> = gone.into_iter().map(|(id, _)| id.clone()).collect();
                self.pending.retain(|_, event| !subject(event).is_some_and(|id| gone.contains(id)));
                self.containers.retain(|id, _| !gone.contains(id));
            }
            ContainerCommand::Probe { probe, container, .. } => {
                let task = self.containers.get(&container).and_then(|c| c.task.as_ref());
                let result = task.and_then(|task| self.probes.get(task.task_id.as_str())).cloned();
                if let Some(result) = result {
                    self.probe_later(probe, result);
                }
            }
            ContainerCommand::CancelProbe { .. } => {}
        }
    }

    fn start(&mut self, container: ContainerId) {
        self.later(100, ContainerEvent::Started { container, networks: Vec::new(), pid: None });
    }

    fn exit_later(&mut self, container: ContainerId, exit: Exit) {
        self.later(50, ContainerEvent::Exited { container, exit: Some(exit) });
    }

    fn probe_later(&mut self, probe: ProbeId, result: ProbeResult) {
        self.later(10, ContainerEvent::ProbeResult { probe, result });
    }

    fn later(&mut self, millis: u64, event: ContainerEvent) {
        self.serial += 1;
        self.pending.insert((self.now + Duration::from_millis(millis), self.serial), event);
    }

    /// The task's container ends by itself.
    pub(super) fn end(&mut self, task: &str, exit: Exit) {
        let container = self.container(task);
        self.containers.remove(&container);
        self.container_event(ContainerEvent::Exited { container, exit: Some(exit) });
    }

    pub(super) fn container_event(&mut self, event: ContainerEvent) {
        self.step(Input::Container(event));
    }

    pub(super) fn container(&self, task: &str) -> ContainerId {
        let is = |c: &Container| c.task.as_ref().is_some_and(|t| t.task_id.as_str() == task);
        self.containers.iter().find(|(_, c)| is(c)).map(|(id, _)| id.clone()).expect("a container")
    }

    pub(super) fn exists(&self, task: &str) -> bool {
        let is = |c: &Container| c.task.as_ref().is_some_and(|t| t.task_id.as_str() == task);
        self.containers.values().any(is)
    }

    pub(super) fn executor_container(&self) -> ContainerId {
        self.containers.iter().find(|(_, c)| c.task.is_none()).map(|(id, _)| id.clone()).expect("an executor")
    }

    /// How many task containers exist on the machines.
    pub(super) fn task_containers(&self) -> usize {
        let here = self.containers.values().filter(|c| c.task.is_some()).count();
        assert_eq!(here, self.cluster.containers().count(), "the model's idea of the containers");
        here
    }

    pub(super) fn offered_cpus(&self) -> f64 {
        let cpus = self.offers.iter().flat_map(|offer| &offer.resources);
        cpus.filter(|r| r.kind == ResourceKind::Cpus).map(Resource::amount).sum::<Scalar>().to_f64()
    }

    pub(super) fn story(&self) -> &str {
        &self.story
    }
}

pub(super) fn resources(cpus: f64, mem: f64, disk: f64) -> Vec<Resource> {
    [(ResourceKind::Cpus, cpus), (ResourceKind::Mem, mem), (ResourceKind::Disk, disk)]
        .into_iter()
        .map(|(kind, amount)| Resource::scalar(kind, Scalar::from_f64(amount)))
        .collect()
}

/// A task for an offer, from `name` or `name=command`.
pub(super) fn task(offer: &Offer, text: &str) -> TaskInfo {
    let (name, command) = text.split_once('=').unwrap_or((text, "run"));
    TaskInfo {
        name: name.to_owned(),
        task_id: TaskId::new(name),
        agent_id: offer.agent_id.clone(),
        resources: resources(0.1, 32.0, 10.0),
        limits: BTreeMap::new(),
        command: Some(CommandInfo {
            shell: true,
            value: Some(command.to_owned()),
            arguments: Vec::new(),
            environment: Vec::new(),
            uris: Vec::new(),
            user: None,
        }),
        container: None,
        health_check: None,
        check: None,
        kill_grace_period: None,
        max_completion_time: None,
        labels: Vec::new(),
        discovery: None,
    }
}

/// Ids without their random part.
pub(super) fn short(id: &str) -> &str {
    id.rsplit_once('-').map_or(id, |(_, end)| end)
}

fn describe_offer(offer: &Offer) -> String {
    let mut text = format!("{}@{}", short(offer.id.as_str()), short(offer.agent_id.as_str()));
    if let Some(role) = &offer.role {
        write!(text, "/{role}").unwrap();
    }
    for item in &offer.resources {
        match item.kind {
            ResourceKind::Ports => text.push_str(" ports"),
            _ => write!(text, " {}={}", item.kind, item.amount()).unwrap(),
        }
        if let Some(role) = item.reserved_role() {
            write!(text, "({role})").unwrap();
        }
    }
    for executor in &offer.executor_ids {
        write!(text, " ex={executor}").unwrap();
    }
    text
}

fn subject(event: &ContainerEvent) -> Option<&ContainerId> {
    match event {
        ContainerEvent::Started { container, .. }
        | ContainerEvent::LaunchFailed { container, .. }
        | ContainerEvent::Exited { container, .. }
        | ContainerEvent::LimitExceeded { container, .. } => Some(container),
        ContainerEvent::ProbeResult { .. } => None,
    }
}
