//! The cluster's ground truth, by reference: for oracles, and for pages that show a cluster.

use podium_core::model::ids::{AgentId, ExecutorId, FrameworkId, OfferId, Role, TaskId};
use podium_core::model::mesos::{FrameworkInfo, Resource, TaskInfo, TaskState};
use podium_core::model::time::Timestamp;

use super::config::AgentConfig;
use super::io::{AgentIndex, ContainerId, StreamId};
use super::resources::Resources;

/// A machine and what the master thinks of its agent.
#[derive(Clone, Debug)]
pub struct AgentView<'a> {
    /// The machine.
    pub index: AgentIndex,
    /// Its description.
    pub config: &'a AgentConfig,
    /// The id that the agent has; absent before its first registration or after its loss.
    pub agent_id: Option<&'a AgentId>,
    /// Whether the agent's process runs.
    pub running: bool,
    /// What the master thinks.
    pub standing: AgentStanding,
    /// When it registered with this master.
    pub registered_at: Option<Timestamp>,
    /// Whether the master offers it.
    pub active: bool,
    /// Whether an operator deactivated it.
    pub deactivated: bool,
    /// Its total resources with dynamic reservations and volumes; empty unless it is registered.
    pub total: &'a [Resource],
    /// What of it is used or offered.
    pub allocated: &'a [Resource],
}

impl AgentView<'_> {
    /// What is neither used nor offered.
    pub fn available(&self) -> Vec<Resource> {
        let mut available = Resources::sum(self.total);
        available.subtract(&Resources::sum(self.allocated));
        available.into_vec()
    }
}

/// What the master thinks of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AgentStanding {
    /// Connected.
    Registered,
    /// Its connection broke; it may come back.
    Disconnected,
    /// Read from the registry after a failover, not back yet.
    Recovered,
    /// It did not answer for too long.
    Unreachable,
    /// An operator said that it is gone for good.
    Gone,
    /// Never heard of, or removed.
    Unknown,
}

/// A task as the master sees it.
#[derive(Clone, Debug)]
pub struct TaskView<'a> {
    /// Its framework.
    pub framework_id: &'a FrameworkId,
    /// The task.
    pub task: &'a TaskInfo,
    /// Its executor.
    pub executor_id: &'a ExecutorId,
    /// The newest state that the master knows.
    pub state: TaskState,
    /// The state of the last update that was really sent to the scheduler.
    pub forwarded: Option<TaskState>,
    /// Whether its agent is unreachable.
    pub unreachable: bool,
}

/// A task's container as it really is.
#[derive(Clone, Debug)]
pub struct ContainerView<'a> {
    /// Its id.
    pub container: &'a ContainerId,
    /// Its executor's container.
    pub parent: &'a ContainerId,
    /// The machine.
    pub agent: AgentIndex,
    /// Its framework.
    pub framework_id: &'a FrameworkId,
    /// Its executor.
    pub executor_id: &'a ExecutorId,
    /// Its task.
    pub task_id: &'a TaskId,
    /// The task.
    pub task: &'a TaskInfo,
    /// Whether it has started; otherwise it is being launched.
    pub started: bool,
}

/// An executor as it really is.
#[derive(Clone, Debug)]
pub struct ExecutorView<'a> {
    /// Its container.
    pub container: &'a ContainerId,
    /// The machine.
    pub agent: AgentIndex,
    /// Its framework.
    pub framework_id: &'a FrameworkId,
    /// Its id.
    pub executor_id: &'a ExecutorId,
    /// Whether its process is alive.
    pub alive: bool,
}

/// A framework as the master sees it.
#[derive(Clone, Debug)]
pub struct FrameworkView<'a> {
    /// Its id.
    pub framework_id: &'a FrameworkId,
    /// Who it says it is.
    pub info: &'a FrameworkInfo,
    /// Its subscription.
    pub stream: Option<&'a StreamId>,
    /// Whether only its agents told of it since the last failover.
    pub recovered: bool,
    /// When it registered with this master.
    pub registered_at: Timestamp,
    /// The roles that want no offers.
    pub suppressed: Vec<&'a Role>,
}

/// An outstanding offer.
#[derive(Clone, Debug)]
pub struct OfferView<'a> {
    /// Its id.
    pub id: &'a OfferId,
    /// The machine.
    pub agent: AgentIndex,
    /// The machine's agent.
    pub agent_id: &'a AgentId,
    /// To whom it was made.
    pub framework_id: &'a FrameworkId,
    /// To which of its roles it was made, whether the framework sees that or not.
    pub role: &'a Role,
    /// What was offered, allocated to the role.
    pub resources: &'a [Resource],
    /// When it was made.
    pub made_at: Timestamp,
}
