//! What passes between the processes of the cluster, and what they plan for later.
//!
//! Names follow Mesos' internal messages (`messages.proto`); the fields are those that matter to behaviour.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use podium_core::model::ids::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
use podium_core::model::mesos::{
    ExecutorInfo, FrameworkInfo, OperationState, OperationStatus, StatusUuid, TaskInfo, TaskState, TaskStatus,
};

use super::io::{AgentIndex, ProbeId};
use super::resources::Resources;
use crate::random::Key;

/// Tells the executors of one machine apart, for ever.
pub(super) type ExecutorNumber = u32;

/// Counts the starts of a process, so that what an earlier one planned is not mistaken for its own.
pub(super) type Run = u32;

/// Tells operations apart, for ever, as `operation_uuid` does in Mesos.
pub(super) type OperationNumber = u64;

/// A task group, or a single task, as it is delivered: together or not at all.
pub(super) type Group = Arc<[Arc<TaskInfo>]>;

/// Anything that is planned.
#[derive(Clone, Debug)]
pub(super) enum Work {
    /// A message arrives at the master over the agent's connection number `session`.
    ToMaster { from: AgentIndex, session: Run, message: ToMaster },
    /// A message of the master number `master` arrives at an agent.
    ToAgent { to: AgentIndex, session: Run, master: Run, message: ToAgent },
    /// A message arrives at the run `run` of an agent from an executor.
    FromExecutor { agent: AgentIndex, run: Run, executor: ExecutorNumber, message: FromExecutor },
    /// A message arrives at an executor from the run `run` of its agent.
    ToExecutor { agent: AgentIndex, run: Run, executor: ExecutorNumber, message: ToExecutor },
    /// The master's own.
    Master { run: Run, timer: MasterTimer },
    /// An agent's own.
    Agent { agent: AgentIndex, run: Run, timer: AgentTimer },
    /// An executor's own.
    Executor { agent: AgentIndex, executor: ExecutorNumber, timer: ExecutorTimer },
    /// Everything is switched on.
    Boot,
    /// A master wins the election.
    Elect,
}

/// From an agent to the master.
#[derive(Clone, Debug)]
pub(super) enum ToMaster {
    /// The connection `session` broke (seen by the master as `exited`).
    Exited,
    /// `RegisterSlaveMessage`: a new agent, with the reservations and volumes that it knows of.
    Register { total: Resources },
    /// `ReregisterSlaveMessage`: an agent that had an id before.
    Reregister(Box<Reregister>),
    /// `UnregisterSlaveMessage`: an orderly leave.
    Unregister { agent_id: AgentId },
    /// `StatusUpdateMessage`. `latest` is the newest state that the agent knows of the task.
    StatusUpdate { framework_id: FrameworkId, status: Arc<TaskStatus>, latest: TaskState },
    /// `ExitedExecutorMessage` with the raw wait status.
    ExitedExecutor { agent_id: AgentId, framework_id: FrameworkId, executor_id: ExecutorId, status: i32 },
    /// `UpdateOperationStatusMessage`. Without a framework it is the answer to a question of the master.
    OperationStatus {
        operation: OperationNumber,
        framework_id: Option<FrameworkId>,
        status: Box<OperationStatus>,
    },
}

impl ToMaster {
    /// What its latency is drawn by, with the agent's index.
    pub(super) fn key(&self) -> Key {
        match self {
            Self::Exited => Key::of("exited"),
            Self::Register { .. } | Self::Reregister(_) => Key::of("register"),
            Self::Unregister { .. } => Key::of("unregister"),
            Self::StatusUpdate { status, .. } => {
                let key = Key::of("update");
                status.uuid.as_ref().map_or_else(|| key.task(&status.task_id), |uuid| key.uuid(uuid))
            }
            Self::ExitedExecutor { executor_id, .. } => Key::of("exited").executor(executor_id),
            Self::OperationStatus { .. } => Key::of("operation"),
        }
    }
}

/// What an agent tells a master about itself.
#[derive(Clone, Debug)]
pub(super) struct Reregister {
    pub(super) agent_id: AgentId,
    /// Its resources with the reservations and volumes that it knows of.
    pub(super) total: Resources,
    pub(super) frameworks: Vec<(FrameworkId, Arc<FrameworkInfo>)>,
    pub(super) executors: Vec<(FrameworkId, Arc<ExecutorInfo>)>,
    pub(super) tasks: Vec<ReportedTask>,
    /// Operations whose end is not acknowledged. In Mesos they follow in an `UpdateSlaveMessage`.
    pub(super) operations: BTreeMap<OperationNumber, OperationRecord>,
}

/// A task as an agent reports it.
#[derive(Clone, Debug)]
pub(super) struct ReportedTask {
    pub(super) framework_id: FrameworkId,
    pub(super) executor_id: ExecutorId,
    pub(super) info: Arc<TaskInfo>,
    /// The newest state.
    pub(super) state: TaskState,
    /// The update that was last sent towards the scheduler.
    pub(super) forwarded: Option<Arc<TaskStatus>>,
}

/// From the master to an agent.
#[derive(Clone, Debug)]
pub(super) enum ToAgent {
    /// `SlaveRegisteredMessage`.
    Registered { agent_id: AgentId },
    /// `SlaveReregisteredMessage` with the tasks that only the master knows.
    Reregistered { unknown: Vec<UnknownTask> },
    /// `ShutdownMessage`: the master wants nothing to do with this agent.
    Shutdown,
    /// A ping that says that the master believes the agent to be disconnected.
    PingDisconnected,
    /// `RunTaskGroupMessage` or `RunTaskMessage`.
    Run(Box<RunGroup>),
    /// `KillTaskMessage`.
    Kill { framework_id: FrameworkId, task_id: TaskId, grace: Option<Duration> },
    /// `StatusUpdateAcknowledgementMessage`.
    Acknowledge { framework_id: FrameworkId, task_id: TaskId, uuid: StatusUuid },
    /// `ShutdownExecutorMessage`.
    ShutdownExecutor { framework_id: FrameworkId, executor_id: ExecutorId },
    /// `ShutdownFrameworkMessage`.
    ShutdownFramework { framework_id: FrameworkId },
    /// `UpdateFrameworkMessage`.
    UpdateFramework { framework_id: FrameworkId, framework: Arc<FrameworkInfo> },
    /// `DrainSlaveMessage`.
    Drain(DrainConfig),
    /// The agent is no longer draining.
    Reactivate,
    /// `ApplyOperationMessage`.
    ApplyOperation(Box<ApplyOperation>),
    /// `AcknowledgeOperationStatusMessage`.
    AcknowledgeOperation { operation: OperationNumber, uuid: StatusUuid },
    /// `ReconcileOperationsMessage`: the agent did not tell of these.
    ReconcileOperations { operations: Vec<OperationNumber> },
}

impl ToAgent {
    /// What its latency is drawn by, with the agent's index.
    pub(super) fn key(&self) -> Key {
        match self {
            Self::Registered { .. } | Self::Reregistered { .. } => Key::of("registered"),
            Self::Shutdown => Key::of("shutdown"),
            Self::PingDisconnected => Key::of("ping"),
            Self::Run(run) => {
                let first = run.tasks.first();
                first.map_or(Key::of("run"), |task| Key::of("run").task(&task.task_id))
            }
            Self::Kill { task_id, .. } => Key::of("kill").task(task_id),
            Self::Acknowledge { uuid, .. } => Key::of("acknowledge").uuid(uuid),
            Self::ShutdownExecutor { executor_id, .. } => Key::of("shutdown").executor(executor_id),
            Self::ShutdownFramework { .. } | Self::UpdateFramework { .. } => Key::of("framework"),
            Self::Drain(_) | Self::Reactivate => Key::of("drain"),
            Self::ApplyOperation(_)
            | Self::AcknowledgeOperation { .. }
            | Self::ReconcileOperations { .. } => Key::of("operation"),
        }
    }
}

/// A task that a master knows and a returning agent does not.
#[derive(Clone, Debug)]
pub(super) struct UnknownTask {
    pub(super) framework_id: FrameworkId,
    pub(super) framework: Arc<FrameworkInfo>,
    pub(super) task_id: TaskId,
}

/// A launch.
#[derive(Clone, Debug)]
pub(super) struct RunGroup {
    pub(super) framework_id: FrameworkId,
    pub(super) framework: Arc<FrameworkInfo>,
    pub(super) executor: Arc<ExecutorInfo>,
    pub(super) tasks: Group,
    /// Whether the master believes that the executor has to be started.
    pub(super) launch_executor: bool,
}

/// A reservation or volume operation.
#[derive(Clone, Debug)]
pub(super) struct ApplyOperation {
    /// Who hears what becomes of it. Without an id nobody does.
    pub(super) feedback: Option<(OperationNumber, OperationRecord)>,
    pub(super) consumed: Resources,
    pub(super) converted: Resources,
}

/// An operation that has an id, as master and agent remember it until its end is acknowledged.
#[derive(Clone, Debug)]
pub(super) struct OperationRecord {
    pub(super) framework_id: FrameworkId,
    /// The latest one, which has the operation's id.
    pub(super) status: OperationStatus,
}

/// A status that needs no acknowledgement.
pub(super) fn operation_status(
    operation_id: Option<String>,
    state: OperationState,
    agent_id: Option<AgentId>,
) -> OperationStatus {
    OperationStatus {
        operation_id,
        state,
        message: None,
        converted_resources: Vec::new(),
        uuid: None,
        agent_id,
    }
}

/// `DrainConfig`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DrainConfig {
    pub(super) max_grace_period: Option<Duration>,
    pub(super) mark_gone: bool,
}

/// From an executor to its agent.
#[derive(Clone, Debug)]
pub(super) enum FromExecutor {
    /// `SUBSCRIBE`, with the updates that the agent has not confirmed and the tasks that it may not know of.
    Subscribe { unacknowledged: Vec<Arc<TaskStatus>>, tasks: Vec<TaskId> },
    /// `UPDATE`.
    Update(Arc<TaskStatus>),
}

/// From an agent to an executor.
#[derive(Clone, Debug)]
pub(super) enum ToExecutor {
    /// `SUBSCRIBED`.
    Subscribed,
    /// `LAUNCH_GROUP`.
    LaunchGroup(Group),
    /// `KILL`.
    Kill { task_id: TaskId, grace: Option<Duration> },
    /// `ACKNOWLEDGED`: the agent has stored the update.
    Acknowledged { uuid: StatusUuid },
    /// `SHUTDOWN`.
    Shutdown,
    /// The framework's properties changed.
    UpdateFramework(Arc<FrameworkInfo>),
}

/// What the master plans.
#[derive(Clone, Debug)]
pub(super) enum MasterTimer {
    /// The registry is read.
    Recovered,
    /// Agents of the registry that have not come back are given up.
    ReregisterTimeout,
    RegistryGc,
    Allocate,
    Heartbeat(FrameworkId),
    FailoverTimeout(FrameworkId),
    OfferTimeout(OfferId),
    /// The agent has missed too many pings.
    PingTimeouts(AgentIndex),
    /// The next ping to an agent that is believed to be disconnected.
    PingDisconnected(AgentIndex),
}

/// What an agent plans.
#[derive(Clone, Debug)]
pub(super) enum AgentTimer {
    /// A new leading master is detected.
    Detected,
    /// (Another) try to register.
    Register,
    /// No ping for too long.
    PingTimeout,
    /// Executors that have not come back after a restart are given up.
    RecoveryTimeout,
    RetryUpdate(FrameworkId, TaskId),
    RetryOperation(OperationNumber),
    /// The executor has been silent since its launch.
    ExecutorRegistration(FrameworkId, ExecutorId, ExecutorNumber),
    /// The executor was asked to shut down and is still there.
    ExecutorShutdown(FrameworkId, ExecutorId, ExecutorNumber),
}

/// What an executor plans. Members are numbered within their executor.
#[derive(Clone, Copy, Debug)]
pub(super) enum ExecutorTimer {
    /// SIGTERM was not enough.
    Escalate(usize),
    MaxCompletion(usize),
    HealthCheck(usize),
    Check(usize),
    ProbeTimeout(ProbeId),
    /// The agent has not confirmed the last updates.
    FinalExit,
    /// The agent has not come back.
    RecoveryTimeout,
}
