//! The cluster's whole surface: what goes in ([`Input`]) and what comes out ([`Output`]).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use podium_core::model::ids::{AgentId, ExecutorId, FrameworkId, Role, TaskId};
use podium_core::model::mesos::{
    Call, Event, ExecutorInfo, FrameworkInfo, NetworkStatus, Probe, Resource, ResourceKind, TaskInfo,
    Unavailability,
};
use podium_core::model::number::Scalar;

/// The `Mesos-Stream-Id` of a subscription, chosen by whoever holds the connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub Arc<str>);

/// Connects a call with its [`Output::Answer`]; chosen by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Connects a [`ContainerCommand::Probe`] with its [`ContainerEvent::ProbeResult`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeId(pub u64);

/// A machine: its position in [`super::ClusterConfig::agents`]. Stays the same when the agent on it gets a new
/// [`AgentId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentIndex(pub u32);

/// A container: a UUID for an executor's, and `<executor's>.<own UUID>` for a task's.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId(pub Arc<str>);

impl ContainerId {
    /// The id as `TaskStatus.container_status` shows it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// What can happen to a cluster.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time has passed; due at [`super::Cluster::deadline`] at the latest, harmless earlier.
    Tick,
    /// A `SUBSCRIBE` call.
    Subscribe(Box<Subscribe>),
    /// The connection of a subscription broke or was closed by the scheduler.
    StreamClosed {
        /// Which.
        stream: StreamId,
    },
    /// Any other call of a scheduler.
    Call(Box<SchedulerCall>),
    /// A call to the operator API.
    Operator {
        /// Names the answer.
        request: RequestId,
        /// What to do.
        call: OperatorCall,
    },
    /// What became of a container command, or what a container did by itself.
    Container(ContainerEvent),
    /// Something breaks or is mended.
    Fault(Fault),
}

/// A `SUBSCRIBE` call.
#[derive(Clone, Debug)]
pub struct Subscribe {
    /// Names the answer: [`Answer::Ok`], upon which the stream's events follow, or a rejection.
    pub request: RequestId,
    /// The id of the stream that opens; never used before.
    pub stream: StreamId,
    /// `Call.framework_id`, which has to equal the one in the info.
    pub framework_id: Option<FrameworkId>,
    /// Who subscribes.
    pub framework_info: FrameworkInfo,
    /// Roles that want no offers for now.
    pub suppressed_roles: Vec<Role>,
    /// As whom the connection is authenticated, if it is.
    pub principal: Option<String>,
}

/// A call other than `SUBSCRIBE`.
#[derive(Clone, Debug)]
pub struct SchedulerCall {
    /// Names the answer.
    pub request: RequestId,
    /// `Call.framework_id`.
    pub framework_id: Option<FrameworkId>,
    /// The header `Mesos-Stream-Id`.
    pub stream: Option<StreamId>,
    /// As whom the connection is authenticated, if it is.
    pub principal: Option<String>,
    /// The call. [`Call::Subscribe`] is refused here: it is an [`Input::Subscribe`].
    pub call: Call,
}

/// A call to the operator API (`mesos.v1.master.Call`) that changes something. Those that only look are served
/// from the cluster's views.
#[derive(Clone, Debug, PartialEq)]
pub enum OperatorCall {
    /// Stop offers of an agent.
    DeactivateAgent {
        /// The agent.
        agent_id: AgentId,
    },
    /// Stop offers of an agent and kill its tasks.
    DrainAgent {
        /// The agent.
        agent_id: AgentId,
        /// Upper bound of the tasks' kill grace periods.
        max_grace_period: Option<Duration>,
        /// Mark the agent gone when it is empty.
        mark_gone: bool,
    },
    /// Declare that an agent will never come back.
    MarkAgentGone {
        /// The agent.
        agent_id: AgentId,
    },
    /// Undo deactivation or draining.
    ReactivateAgent {
        /// The agent.
        agent_id: AgentId,
    },
    /// Machines go down for maintenance now.
    StartMaintenance {
        /// The machines.
        agents: Vec<AgentIndex>,
    },
    /// Machines are back from maintenance.
    StopMaintenance {
        /// The machines.
        agents: Vec<AgentIndex>,
    },
    /// Remove a framework with all its tasks.
    Teardown {
        /// The framework.
        framework_id: FrameworkId,
    },
    /// Replace the maintenance schedule.
    UpdateMaintenanceSchedule {
        /// Which machine will be away when.
        windows: Vec<(AgentIndex, Unavailability)>,
    },
    /// Replace a role's quota limits; an empty list removes them.
    UpdateQuota {
        /// The role.
        role: Role,
        /// The limits.
        limits: Vec<(ResourceKind, Scalar)>,
    },
}

/// What the driver of containers reports.
#[derive(Clone, Debug, PartialEq)]
pub enum ContainerEvent {
    /// A launched container runs.
    Started {
        /// Which.
        container: ContainerId,
        /// Its networks; empty means the agent's own.
        networks: Vec<NetworkStatus>,
        /// Its main process.
        pid: Option<u32>,
    },
    /// A container could not be launched; there is nothing left of it.
    LaunchFailed {
        /// Which.
        container: ContainerId,
        /// The agent's words: `Failed to launch container: <message>` for an executor's.
        message: String,
    },
    /// A container ended. For an executor's container: nothing runs in it any more, also none of its tasks.
    Exited {
        /// Which.
        container: ContainerId,
        /// How; absent if nobody knows.
        exit: Option<Exit>,
    },
    /// A probe's result.
    ProbeResult {
        /// Which.
        probe: ProbeId,
        /// What was seen.
        result: ProbeResult,
    },
    /// A container went over a limit of its own control group. An executor's container is destroyed for it; a
    /// task's container ends by itself, so [`ContainerEvent::Exited`] follows.
    LimitExceeded {
        /// Which.
        container: ContainerId,
        /// Which limit.
        limit: Limit,
        /// The agent's words, such as `Memory limit exceeded: ..`.
        message: String,
        /// What was used (`TaskResourceLimitation.resources`).
        limitation: Vec<Resource>,
    },
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself.
    Code(i32),
    /// By a signal.
    Signal {
        /// Its number.
        number: i32,
        /// Whether a core was dumped.
        core: bool,
    },
}

/// A limit of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Disk space.
    Disk,
    /// Memory.
    Memory,
}

/// What a probe saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeResult {
    /// The command's exit code.
    Command(i32),
    /// The response's status code.
    Http(u32),
    /// Whether the connection was established.
    Tcp(bool),
    /// There was no result, for this reason.
    Failed(String),
}

/// Something breaks or is mended. Faults of things that do not exist are ignored.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Nothing passes between the master and an agent any more. Both notice only by silence.
    Partition {
        /// The agent.
        agent: AgentIndex,
        /// Whether messages are lost for good; otherwise they arrive at the end of a short partition, as TCP
        /// would deliver them.
        loss: bool,
    },
    /// The end of a partition. If anything was lost the connection is broken and made anew.
    Heal {
        /// The agent.
        agent: AgentIndex,
    },
    /// The connection between master and agent breaks; what was on its way is lost. The agent registers again.
    Disconnect {
        /// The agent.
        agent: AgentIndex,
    },
    /// The agent's process dies (SIGKILL); its executors stay.
    StopAgent {
        /// The agent.
        agent: AgentIndex,
    },
    /// A dead agent's process is started again.
    StartAgent {
        /// The agent.
        agent: AgentIndex,
    },
    /// The agent's process is stopped for a while (SIGSTOP).
    SuspendAgent {
        /// The agent.
        agent: AgentIndex,
    },
    /// The agent's process goes on (SIGCONT).
    ResumeAgent {
        /// The agent.
        agent: AgentIndex,
    },
    /// The agent is told to leave in an orderly way (SIGUSR1): it ends its executors and unregisters.
    ShutDownAgent {
        /// The agent.
        agent: AgentIndex,
    },
    /// The machine goes down with everything on it. [`Fault::StartAgent`] boots it.
    PowerOff {
        /// The machine.
        agent: AgentIndex,
    },
    /// The agent's work directory is lost: at its next start it registers as a new agent.
    WipeAgent {
        /// The agent.
        agent: AgentIndex,
        /// Only its id and what it knows of executors are lost, as when an operator removes `meta/slaves/latest` because
        /// its configuration has changed: what is reserved and its volumes stay.
        keeps_disk: bool,
    },
    /// An executor's process dies by a signal.
    KillExecutor {
        /// Its container.
        container: ContainerId,
        /// The signal's number.
        signal: i32,
    },
    /// An executor's process is stopped (SIGSTOP).
    SuspendExecutor {
        /// Its container.
        container: ContainerId,
    },
    /// An executor's process goes on (SIGCONT).
    ResumeExecutor {
        /// Its container.
        container: ContainerId,
    },
    /// From now on executors start on this machine, or do not: they hang before they register.
    ExecutorsHang {
        /// The machine.
        agent: AgentIndex,
        /// Whether they hang.
        hang: bool,
    },
    /// The leading master dies.
    StopMaster,
    /// A master is elected.
    StartMaster,
    /// The leading master dies and another one is elected [`super::MasterConfig::election`] later.
    MasterFailover,
    /// Offers are taken back, of one agent or of all.
    RescindOffers {
        /// The agent; all if absent.
        agent: Option<AgentIndex>,
    },
    /// The next status update of a task is lost between agent and master.
    DropUpdate {
        /// The task.
        task_id: TaskId,
    },
    /// The next status update of a task is delivered twice.
    DuplicateUpdate {
        /// The task.
        task_id: TaskId,
    },
    /// The next acknowledgement for a task is lost between master and agent.
    DropAcknowledgement {
        /// The task.
        task_id: TaskId,
    },
    /// Messages between master and an agent take longer from now on, each way; zero ends it.
    Delay {
        /// The agent.
        agent: AgentIndex,
        /// Added to each message's latency.
        extra: Duration,
    },
}

/// What a cluster does.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// An event on a subscription.
    Event {
        /// Which subscription.
        stream: StreamId,
        /// The event.
        event: Event,
    },
    /// The master ends a subscription.
    CloseStream {
        /// Which.
        stream: StreamId,
        /// Whether the HTTP response ends properly, with its last chunk; otherwise the connection breaks.
        clean: bool,
    },
    /// The response to a call.
    Answer {
        /// The call.
        request: RequestId,
        /// The response.
        answer: Answer,
    },
    /// Something to do with a container.
    Container(ContainerCommand),
}

/// The HTTP response to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 202: everything but the calls below.
    Accepted,
    /// 200: a subscription, `UPDATE_FRAMEWORK` and operator calls.
    Ok,
    /// Refused.
    Rejected {
        /// The status code.
        status: u16,
        /// The body.
        message: String,
    },
    /// No master listens: connection refused.
    NoMaster,
}

/// What to do with real or simulated containers.
#[derive(Clone, Debug, PartialEq)]
pub enum ContainerCommand {
    /// Prepare an executor's container and sandbox. Answered by [`ContainerEvent::Started`] or
    /// [`ContainerEvent::LaunchFailed`]. The executor's own logic is inside the cluster.
    LaunchExecutor(Box<ExecutorLaunch>),
    /// Start a task in its executor's container. Answered by [`ContainerEvent::Started`] or
    /// [`ContainerEvent::LaunchFailed`].
    LaunchTask(Box<TaskLaunch>),
    /// Send a signal to the processes of a task's container.
    Signal {
        /// The container.
        container: ContainerId,
        /// The signal.
        signal: Signal,
    },
    /// End an executor's container with everything in it, or clean up after it ended by itself. Answered by
    /// [`ContainerEvent::Exited`] for this container once nothing is left; its tasks' exits may be reported,
    /// but need not be.
    Destroy {
        /// The executor's container.
        container: ContainerId,
    },
    /// The machine lost power: its containers are gone, no event is expected about them.
    DestroyAll {
        /// The machine.
        agent: AgentIndex,
    },
    /// A persistent volume was destroyed: what is on it is lost.
    RemoveVolume {
        /// The machine.
        agent: AgentIndex,
        /// The agent's present id.
        agent_id: Option<AgentId>,
        /// The volume.
        volume: VolumeId,
    },
    /// Look at a container. Answered by [`ContainerEvent::ProbeResult`], unless cancelled before.
    Probe {
        /// Names the answer.
        probe: ProbeId,
        /// The container to look at, or to run the command in.
        container: ContainerId,
        /// What to do.
        what: Arc<Probe>,
    },
    /// A probe took too long or is of no interest any more.
    CancelProbe {
        /// Which.
        probe: ProbeId,
    },
}

/// A signal to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM.
    Term,
    /// SIGKILL.
    Kill,
}

/// What tells a persistent volume from all others of its agent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VolumeId {
    /// The role that it is reserved for.
    pub role: Role,
    /// Its `Persistence.id`.
    pub id: String,
}

impl VolumeId {
    /// The id of the volume that a resource is, if it is one.
    pub fn of(resource: &Resource) -> Option<Self> {
        let persistence = resource.disk.as_ref()?.persistence.as_ref()?;
        Some(Self { role: resource.reserved_role()?.clone(), id: persistence.id.clone() })
    }
}

/// An executor's container.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutorLaunch {
    /// Its id.
    pub container: ContainerId,
    /// The machine.
    pub agent: AgentIndex,
    /// The agent's present id.
    pub agent_id: AgentId,
    /// Whose executor it is.
    pub framework: Arc<FrameworkInfo>,
    /// The framework's id.
    pub framework_id: FrameworkId,
    /// The executor, with the group's networks, volumes and limits.
    pub executor: Arc<ExecutorInfo>,
}

/// A task's container.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskLaunch {
    /// Its id.
    pub container: ContainerId,
    /// The executor's container.
    pub parent: ContainerId,
    /// The machine.
    pub agent: AgentIndex,
    /// The agent's present id.
    pub agent_id: AgentId,
    /// Whose task it is.
    pub framework: Arc<FrameworkInfo>,
    /// The framework's id.
    pub framework_id: FrameworkId,
    /// The executor.
    pub executor_id: ExecutorId,
    /// The task.
    pub task: Arc<TaskInfo>,
}
