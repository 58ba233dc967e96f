//! Task status updates (`mesos.v1.TaskStatus`).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::ids::{AgentId, ExecutorId, TaskId};
use crate::model::time::Timestamp;

/// `mesos.v1.TaskState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the states are Mesos' and documented there; DESIGN: names are the field's")]
pub enum TaskState {
    TaskStaging,
    TaskStarting,
    TaskRunning,
    TaskKilling,
    TaskFinished,
    TaskFailed,
    TaskKilled,
    TaskError,
    TaskLost,
    TaskDropped,
    TaskUnreachable,
    TaskGone,
    TaskGoneByOperator,
    TaskUnknown,
}

impl TaskState {
    /// Every state.
    pub const ALL: [Self; 14] = [
        Self::TaskStaging,
        Self::TaskStarting,
        Self::TaskRunning,
        Self::TaskKilling,
        Self::TaskFinished,
        Self::TaskFailed,
        Self::TaskKilled,
        Self::TaskError,
        Self::TaskLost,
        Self::TaskDropped,
        Self::TaskUnreachable,
        Self::TaskGone,
        Self::TaskGoneByOperator,
        Self::TaskUnknown,
    ];

    /// The Mesos name, such as `TASK_RUNNING`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TaskStaging => "TASK_STAGING",
            Self::TaskStarting => "TASK_STARTING",
            Self::TaskRunning => "TASK_RUNNING",
            Self::TaskKilling => "TASK_KILLING",
            Self::TaskFinished => "TASK_FINISHED",
            Self::TaskFailed => "TASK_FAILED",
            Self::TaskKilled => "TASK_KILLED",
            Self::TaskError => "TASK_ERROR",
            Self::TaskLost => "TASK_LOST",
            Self::TaskDropped => "TASK_DROPPED",
            Self::TaskUnreachable => "TASK_UNREACHABLE",
            Self::TaskGone => "TASK_GONE",
            Self::TaskGoneByOperator => "TASK_GONE_BY_OPERATOR",
            Self::TaskUnknown => "TASK_UNKNOWN",
        }
    }

    /// Whether the master gives the task's resources away in this state (`isTerminalState`).
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::TaskFinished
            | Self::TaskFailed
            | Self::TaskKilled
            | Self::TaskError
            | Self::TaskLost
            | Self::TaskDropped
            | Self::TaskGone
            | Self::TaskGoneByOperator => true,
            Self::TaskStaging
            | Self::TaskStarting
            | Self::TaskRunning
            | Self::TaskKilling
            | Self::TaskUnreachable
            | Self::TaskUnknown => false,
        }
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `TaskStatus.Source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StatusSource {
    /// The agent that the task is on.
    SourceAgent,
    /// The executor that runs it.
    SourceExecutor,
    /// The master.
    SourceMaster,
}

/// `TaskStatus.Reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the reasons are Mesos' and documented there")]
pub enum StatusReason {
    ReasonCommandExecutorFailed,
    ReasonContainerLaunchFailed,
    ReasonContainerLimitation,
    ReasonContainerLimitationDisk,
    ReasonContainerLimitationMemory,
    ReasonContainerPreempted,
    ReasonContainerUpdateFailed,
    ReasonMaxCompletionTimeReached,
    ReasonExecutorRegistrationTimeout,
    ReasonExecutorReregistrationTimeout,
    ReasonExecutorTerminated,
    ReasonExecutorUnregistered,
    ReasonFrameworkRemoved,
    ReasonGcError,
    ReasonInvalidFrameworkid,
    ReasonInvalidOffers,
    ReasonIoSwitchboardExited,
    ReasonMasterDisconnected,
    ReasonReconciliation,
    ReasonResourcesUnknown,
    ReasonAgentDisconnected,
    ReasonAgentDraining,
    ReasonAgentRemoved,
    ReasonAgentRemovedByOperator,
    ReasonAgentReregistered,
    ReasonAgentRestarted,
    ReasonAgentUnknown,
    ReasonTaskKilledDuringLaunch,
    ReasonTaskCheckStatusUpdated,
    ReasonTaskHealthCheckStatusUpdated,
    ReasonTaskGroupInvalid,
    ReasonTaskGroupUnauthorized,
    ReasonTaskInvalid,
    ReasonTaskUnauthorized,
    ReasonTaskUnknown,
}

impl StatusReason {
    /// All of them.
    pub const ALL: [Self; 35] = [
        Self::ReasonCommandExecutorFailed,
        Self::ReasonContainerLaunchFailed,
        Self::ReasonContainerLimitation,
        Self::ReasonContainerLimitationDisk,
        Self::ReasonContainerLimitationMemory,
        Self::ReasonContainerPreempted,
        Self::ReasonContainerUpdateFailed,
        Self::ReasonMaxCompletionTimeReached,
        Self::ReasonExecutorRegistrationTimeout,
        Self::ReasonExecutorReregistrationTimeout,
        Self::ReasonExecutorTerminated,
        Self::ReasonExecutorUnregistered,
        Self::ReasonFrameworkRemoved,
        Self::ReasonGcError,
        Self::ReasonInvalidFrameworkid,
        Self::ReasonInvalidOffers,
        Self::ReasonIoSwitchboardExited,
        Self::ReasonMasterDisconnected,
        Self::ReasonReconciliation,
        Self::ReasonResourcesUnknown,
        Self::ReasonAgentDisconnected,
        Self::ReasonAgentDraining,
        Self::ReasonAgentRemoved,
        Self::ReasonAgentRemovedByOperator,
        Self::ReasonAgentReregistered,
        Self::ReasonAgentRestarted,
        Self::ReasonAgentUnknown,
        Self::ReasonTaskKilledDuringLaunch,
        Self::ReasonTaskCheckStatusUpdated,
        Self::ReasonTaskHealthCheckStatusUpdated,
        Self::ReasonTaskGroupInvalid,
        Self::ReasonTaskGroupUnauthorized,
        Self::ReasonTaskInvalid,
        Self::ReasonTaskUnauthorized,
        Self::ReasonTaskUnknown,
    ];
}

/// The 16 bytes that name a status update of the agent's stream and that its acknowledgement must repeat.
pub type StatusUuid = uuid::Uuid;

/// One network of a container as reported by the agent (`NetworkInfo` in `ContainerStatus`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkStatus {
    /// The network's name; absent for the host's own.
    pub name: Option<String>,
    /// The addresses.
    pub ip_addresses: Vec<String>,
}

/// The newest result of a task's [`super::Check`] (`CheckStatusInfo`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// Exit code of the command, when there was one.
    Command(Option<i32>),
    /// Status code of the response, when there was one.
    Http(Option<u32>),
    /// Whether the connection was established, when it was tried.
    Tcp(Option<bool>),
}

/// `mesos.v1.TaskStatus`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskStatus {
    /// Of which task.
    pub task_id: TaskId,
    /// The state.
    pub state: TaskState,
    /// A text for people.
    pub message: Option<String>,
    /// Who says so.
    pub source: Option<StatusSource>,
    /// Why.
    pub reason: Option<StatusReason>,
    /// Absent in answers about tasks that nobody knows.
    pub agent_id: Option<AgentId>,
    /// The task's executor, when the sender knows it.
    pub executor_id: Option<ExecutorId>,
    /// When the sender noticed.
    pub timestamp: Option<Timestamp>,
    /// Present exactly when the update must be acknowledged: then the agent sends it again until it is.
    pub uuid: Option<StatusUuid>,
    /// The health check's verdict.
    pub healthy: Option<bool>,
    /// The check's newest result.
    pub check_status: Option<CheckStatus>,
    /// The container's networks.
    pub networks: Vec<NetworkStatus>,
    /// The container's id, with its parents' ids in front, separated by dots.
    pub container_id: Option<String>,
    /// Since when the agent has been unreachable.
    pub unreachable_time: Option<Timestamp>,
    /// The resources whose limit was exceeded, such as `mem` (`TaskResourceLimitation`).
    pub limitation: Vec<super::Resource>,
}

impl TaskStatus {
    /// A status with nothing but its task and state.
    pub fn new(task_id: TaskId, state: TaskState) -> Self {
        Self {
            task_id,
            state,
            message: None,
            source: None,
            reason: None,
            agent_id: None,
            executor_id: None,
            timestamp: None,
            uuid: None,
            healthy: None,
            check_status: None,
            networks: Vec::new(),
            container_id: None,
            unreachable_time: None,
            limitation: Vec::new(),
        }
    }
}
