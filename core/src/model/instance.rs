//! Instances: the copies of a pod, as the scheduler knows and stores them.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::{AgentId, InstanceId, Role, TaskId};
use super::mesos::{
    Attribute, FaultDomain, NetworkStatus, StatusReason, StatusSource, TaskState, TaskStatus,
};
use super::residence::Residence;
use super::time::Timestamp;

/// What state an instance or one of its containers is in (Marathon's names).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Condition {
    /// Waits for an offer. Instances only.
    Scheduled,
    /// Placed on an agent and asked for; Mesos has not confirmed it yet.
    Provisioned,
    /// The master has it.
    Staging,
    /// The executor has it.
    Starting,
    /// It runs.
    Running,
    /// It was asked to end and is ending.
    Killing,
    /// Its agent cannot be reached.
    Unreachable,
    /// Its agent has not been reachable for so long that a replacement is wanted. Instances only.
    UnreachableInactive,
    /// Ended by itself, without an error.
    Finished,
    /// Ended because it was asked to.
    Killed,
    /// Ended with an error.
    Failed,
    /// Refused by Mesos: it can never run as it is defined.
    Error,
    /// Never started.
    Dropped,
    /// Known not to run any more, without a word about how it ended.
    Gone,
    /// Nobody knows it.
    Unknown,
}

impl Condition {
    /// Whether the container has ended for good: no process of it is left, as far as anyone can say.
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Finished
            | Self::Killed
            | Self::Failed
            | Self::Error
            | Self::Dropped
            | Self::Gone
            | Self::Unknown => true,
            Self::Scheduled
            | Self::Provisioned
            | Self::Staging
            | Self::Starting
            | Self::Running
            | Self::Killing
            | Self::Unreachable
            | Self::UnreachableInactive => false,
        }
    }

    /// Whether the container may have a process that uses resources (Marathon's `Active`).
    pub const fn is_active(self) -> bool {
        matches!(
            self,
            Self::Provisioned
                | Self::Staging
                | Self::Starting
                | Self::Running
                | Self::Killing
                | Self::Unreachable
        )
    }

    /// The Mesos state that Marathon's API shows for it.
    pub const fn task_state(self) -> TaskState {
        match self {
            Self::Scheduled | Self::Provisioned | Self::Staging => TaskState::TaskStaging,
            Self::Starting => TaskState::TaskStarting,
            Self::Running => TaskState::TaskRunning,
            Self::Killing => TaskState::TaskKilling,
            Self::Unreachable | Self::UnreachableInactive => TaskState::TaskUnreachable,
            Self::Finished => TaskState::TaskFinished,
            Self::Killed => TaskState::TaskKilled,
            Self::Failed => TaskState::TaskFailed,
            Self::Error => TaskState::TaskError,
            Self::Dropped => TaskState::TaskDropped,
            Self::Gone => TaskState::TaskGone,
            Self::Unknown => TaskState::TaskUnknown,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What is wanted of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Goal {
    /// That it ends and is forgotten. Never taken back.
    Decommissioned,
    /// That it runs, and is launched again when it ends.
    Running,
}

/// Why an instance shall end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GoalReason {
    /// Its pod was deleted.
    DeletingPod,
    /// A copy of an older definition makes place for a newer one.
    Upgrading,
    /// There are more copies than wanted.
    OverCapacity,
    /// A person asked for it.
    UserRequest,
    /// Part of it was out of reach for so long that it is given up.
    Unreachable,
}

/// That the containers of an instance shall end now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KillRequest {
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub reason: KillReason,
}

/// Why the containers of an instance shall end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KillReason {
    /// One container ended and the others did not follow it.
    GroupEnded,
    /// It did not start in time.
    LaunchTimeout,
    /// It is to run a newer definition, where its volumes are.
    Upgrading,
    /// A person asked for it.
    UserRequest,
}

/// The agent that an instance was placed on, as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentInfo {
    /// Its id.
    pub agent_id: AgentId,
    /// The name under which it is known.
    pub host: String,
    /// Its place.
    pub domain: Option<FaultDomain>,
    /// Its attributes.
    pub attributes: Vec<Attribute>,
}

/// One copy of a pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    /// Its name.
    pub id: InstanceId,
    /// The version of the definition that it was, or is to be, launched from.
    pub version: Timestamp,
    /// The role whose resources it uses.
    pub role: Role,
    /// What is wanted of it.
    pub goal: Goal,
    /// Why it shall end, if it shall.
    pub goal_reason: Option<GoalReason>,
    /// That its containers shall end now, whatever becomes of it afterwards. Cleared by the next launch.
    pub kill_requested: Option<KillRequest>,
    /// When it was first wanted.
    pub created: Timestamp,
    /// Its state: a function of its containers' states (see `lifecycle::condition`).
    pub condition: Condition,
    /// Since when it has been in that state.
    pub since: Timestamp,
    /// Since when people have been shown the same status of it (`view::PodInstanceState`).
    pub status_since: Timestamp,
    /// Since when all of its containers have run.
    pub active_since: Option<Timestamp>,
    /// The verdict of its containers' health checks; absent while one is missing or there are none.
    pub healthy: Option<bool>,
    /// Whether it has run without interruption for so long (`--minimum_ready`) that it can be relied on. Of no
    /// meaning for a pod with health checks, whose verdicts say that.
    #[serde(default)]
    pub available: bool,
    /// When it came back last, since it was launched, after another one had been wanted in its place because it was out of
    /// reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned_at: Option<Timestamp>,
    /// How often it was launched; 0 before the first time.
    pub incarnation: u32,
    /// Whether Mesos was asked about the newest launch because it had not said a word about it.
    #[serde(default)]
    pub launch_questioned: bool,
    /// Where it runs or ran last.
    pub agent: Option<Arc<AgentInfo>>,
    /// What is kept for it on that agent, if its pod has persistent volumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residence: Option<Box<Residence>>,
    /// Its containers in the newest incarnation, in the order of the definition; none before the first.
    pub tasks: Vec<Task>,
}

impl Instance {
    /// A copy that waits for its first launch.
    pub fn scheduled(id: InstanceId, version: Timestamp, role: Role, now: Timestamp) -> Self {
        Self {
            id,
            version,
            role,
            goal: Goal::Running,
            goal_reason: None,
            kill_requested: None,
            created: now,
            condition: Condition::Scheduled,
            since: now,
            status_since: now,
            active_since: None,
            healthy: None,
            available: false,
            incarnation: 0,
            returned_at: None,
            launch_questioned: false,
            agent: None,
            residence: None,
            tasks: Vec::new(),
        }
    }

    /// Whether every container has ended, or none was ever launched.
    pub fn has_ended(&self) -> bool {
        self.tasks.iter().all(|task| task.condition.is_terminal())
    }

    /// Whether it waits to be launched: it is wanted and nothing of it is left from an earlier launch.
    pub fn is_waiting(&self) -> bool {
        self.goal == Goal::Running && self.has_ended()
    }

    /// Whether it waits to go back to its volumes.
    pub fn waits_for_its_home(&self) -> bool {
        self.is_waiting() && self.residence.is_some()
    }

    /// Whether it was killed because it did not start in time.
    pub fn was_too_slow(&self) -> bool {
        let asked = self.kill_requested.is_some_and(|request| request.reason == KillReason::LaunchTimeout);
        asked && self.end() == Condition::Killed
    }

    /// How it ended: as its condition says, unless it was killed after a part of it had finished.
    pub fn end(&self) -> Condition {
        let was_killed = self.tasks.iter().any(|task| task.condition == Condition::Killed);
        if self.condition == Condition::Finished && was_killed { Condition::Killed } else { self.condition }
    }

    /// The Mesos id of `task`, one of this instance's.
    pub fn task_id(&self, task: &Task) -> TaskId {
        self.id.task_id(&task.container, self.incarnation)
    }

    /// The id of the agent that it runs on, or ran on last.
    pub fn agent_id(&self) -> Option<&AgentId> {
        self.agent.as_ref().map(|agent| &agent.agent_id)
    }
}

/// One container of an instance: a Mesos task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// The container's name.
    pub container: Arc<str>,
    /// Its state.
    pub condition: Condition,
    /// Since when it has been in that state.
    pub since: Timestamp,
    /// When it was asked for.
    pub staged_at: Timestamp,
    /// When it was first seen running.
    pub started_at: Option<Timestamp>,
    /// Since when its agent has been unreachable, by the master's clock. Set exactly while `condition` is
    /// [`Condition::Unreachable`].
    pub unreachable_since: Option<Timestamp>,
    /// When the partition began that it came back from last: late news of it is no news.
    #[serde(default)]
    pub returned_from: Option<Timestamp>,
    /// The furthest it got before it became unreachable: where a late update may not lead it back from.
    pub reached: Condition,
    /// The verdict of its health check.
    pub healthy: Option<bool>,
    /// When that verdict was first given, and not another one.
    #[serde(default)]
    pub health_since: Option<Timestamp>,
    /// Whether its health check has ever found it healthy.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub was_healthy: bool,
    /// The agent's ports that were taken for it, in the order of its endpoints with a host port.
    pub host_ports: Vec<u16>,
    /// What Mesos said last.
    pub last: Option<Box<LastStatus>>,
}

impl Task {
    /// The same without what Mesos said last.
    pub(crate) fn without_words(&self) -> Self {
        let Self { condition, since, staged_at, started_at, unreachable_since, .. } = *self;
        let Self { returned_from, reached, healthy, health_since, was_healthy, .. } = *self;
        let (container, host_ports) = (self.container.clone(), self.host_ports.clone());
        Self {
            container,
            condition,
            since,
            staged_at,
            started_at,
            unreachable_since,
            returned_from,
            reached,
            healthy,
            health_since,
            was_healthy,
            host_ports,
            last: None,
        }
    }

    /// Whether it makes sense to ask for its end: it has not ended, and its agent can be reached.
    pub fn can_be_killed(&self) -> bool {
        !self.condition.is_terminal() && self.condition != Condition::Unreachable
    }

    /// Whether it runs, and did so before it was out of reach the last time.
    pub(crate) fn runs_again(&self) -> bool {
        // It has been running since then, and was first said to run earlier.
        self.condition == Condition::Running
            && self.returned_from.is_some()
            && self.started_at.is_some_and(|started| started < self.since)
    }

    /// Whether it has ended by the word of whoever ran it, and not by what somebody else concluded: then it may
    /// turn out to be alive.
    pub fn reported_its_end(&self) -> bool {
        let concluded = matches!(self.condition, Condition::Gone | Condition::Dropped | Condition::Unknown);
        self.condition.is_terminal() && !concluded
    }

    /// Whether it has ended beyond doubt. Mesos also reports an end when it merely lost track of a task
    /// (`TASK_UNKNOWN`, `TASK_LOST`) or was told so by an operator (`TASK_GONE_BY_OPERATOR`). A master's
    /// `TASK_GONE` only says that the agent did not know the task when it registered: a launch that was still on
    /// its way then may start it afterwards.
    pub fn has_surely_ended(&self) -> bool {
        let last = self.last.as_deref();
        let is_doubtful = match last.and_then(|last| last.state) {
            Some(TaskState::TaskUnknown | TaskState::TaskLost | TaskState::TaskGoneByOperator) => true,
            Some(TaskState::TaskGone) => {
                last.and_then(|last| last.source) == Some(StatusSource::SourceMaster)
            }
            _ => false,
        };
        self.condition.is_terminal() && !is_doubtful
    }

    /// Whether it was ended because its health check had failed too often.
    pub fn was_killed_by_its_health_check(&self) -> bool {
        let end_is_unhealthy = self.last.as_ref().is_some_and(|last| last.healthy == Some(false));
        self.condition.is_terminal() && end_is_unhealthy && self.healthy == Some(false)
    }

    /// A container that was just placed.
    pub fn provisioned(container: Arc<str>, host_ports: Vec<u16>, now: Timestamp) -> Self {
        Self {
            container,
            condition: Condition::Provisioned,
            since: now,
            staged_at: now,
            started_at: None,
            unreachable_since: None,
            returned_from: None,
            reached: Condition::Provisioned,
            healthy: None,
            health_since: None,
            was_healthy: false,
            host_ports,
            last: None,
        }
    }
}

/// The parts of a task's newest status update that people look at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastStatus {
    /// When it came. An update that says nothing new does not count.
    #[serde(default)]
    pub at: Option<Timestamp>,
    /// The state.
    pub state: Option<TaskState>,
    /// Mesos' words.
    pub message: Option<String>,
    /// Why.
    pub reason: Option<StatusReason>,
    /// Who said so.
    pub source: Option<StatusSource>,
    /// The health that came with it. After an executor has killed a container because of its health check, it
    /// says `false` at the end of every container of the group.
    #[serde(default)]
    pub healthy: Option<bool>,
    /// The container's networks, as last reported: a later update without any does not erase them.
    pub networks: Vec<NetworkStatus>,
}

impl LastStatus {
    /// Takes over what `status` says.
    pub fn refresh(&mut self, status: &TaskStatus, now: Timestamp) {
        self.state = Some(status.state);
        self.message.clone_from(&status.message);
        self.reason = status.reason;
        self.source = status.source;
        self.healthy = status.healthy;
        self.refresh_networks(status, now);
    }

    /// Takes over the networks that `status` names, if it names any.
    pub fn refresh_networks(&mut self, status: &TaskStatus, now: Timestamp) {
        self.at = Some(now);
        if !status.networks.is_empty() {
            self.networks.clone_from(&status.networks);
        }
    }
}

/// How one incarnation of an instance ended, kept for people to look at (`terminationHistory`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Termination {
    /// The instance.
    pub instance: InstanceId,
    /// Which launch of it.
    pub incarnation: u32,
    /// Where it ran.
    pub agent: Option<Arc<AgentInfo>>,
    /// When it was launched or, if it got so far, ran.
    pub started_at: Timestamp,
    /// When the last of its containers ended.
    pub terminated_at: Timestamp,
    /// How the instance as a whole ended.
    pub condition: Condition,
    /// What ended it: its health check, or Mesos' words about the container that ended first.
    pub message: Option<String>,
    /// How each container ended.
    pub containers: Vec<ContainerTermination>,
}

/// How one container ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerTermination {
    /// The container's name.
    pub container: Arc<str>,
    /// The Mesos task that ran it.
    pub task_id: TaskId,
    /// How it ended.
    pub condition: Condition,
    /// When.
    pub terminated_at: Timestamp,
    /// Mesos' words, such as `Command exited with status 1`.
    pub message: Option<String>,
    /// Why, in Mesos' terms.
    pub reason: Option<StatusReason>,
    /// Whether its health check was the reason.
    #[serde(default)]
    pub killed_by_health_check: bool,
}
