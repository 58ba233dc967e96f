//! What a scheduler says to the master (`mesos.v1.scheduler.Call`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{LaunchGroup, Resource, StatusUuid, TaskInfo};
use crate::model::ids::{AgentId, ExecutorId, FrameworkId, OfferId, Role, TaskId};

/// `mesos.v1.FrameworkInfo`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrameworkInfo {
    /// The system user that tasks run as unless they say otherwise.
    pub user: String,
    /// A name for people.
    pub name: String,
    /// Absent on the very first subscription.
    pub id: Option<FrameworkId>,
    /// How long the master keeps the tasks of a framework that is not connected.
    pub failover_timeout: Duration,
    /// Whether tasks survive a restart of their agent.
    pub checkpoint: bool,
    /// The roles whose offers it wants (with `MULTI_ROLE`).
    pub roles: Vec<Role>,
    /// The one role (without `MULTI_ROLE`).
    pub role: Option<Role>,
    /// Which behaviours it understands.
    pub capabilities: Vec<FrameworkCapability>,
    /// Its host, for people.
    pub hostname: Option<String>,
    /// Its web page, for people.
    pub webui_url: Option<String>,
    /// The name it is authenticated under.
    pub principal: Option<String>,
}

/// `FrameworkInfo.Capability.Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the capabilities are Mesos' and documented there")]
pub enum FrameworkCapability {
    RevocableResources,
    TaskKillingState,
    GpuResources,
    SharedResources,
    PartitionAware,
    MultiRole,
    ReservationRefinement,
    RegionAware,
}

/// An operation of `ACCEPT` with its optional feedback id (`Offer.Operation`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// Asks for an operation status; not allowed on launches.
    pub id: Option<String>,
    /// What to do.
    pub info: OperationInfo,
}

/// The kinds of [`Operation`] that Podium uses or the model of Mesos understands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationInfo {
    /// Turn disk into persistent volumes.
    Create(Vec<Resource>),
    /// Turn persistent volumes back into disk, and lose what is on them.
    Destroy(Vec<Resource>),
    /// Launch single tasks.
    Launch(Vec<TaskInfo>),
    /// Launch a task group.
    LaunchGroup(Box<LaunchGroup>),
    /// Reserve resources for a role.
    Reserve(Vec<Resource>),
    /// Give reserved resources back.
    Unreserve(Vec<Resource>),
}

/// One entry of an explicit `RECONCILE`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileTask {
    /// The task asked about.
    pub task_id: TaskId,
    /// Where it was last known to be; without it the answer for a lost agent is worth less.
    pub agent_id: Option<AgentId>,
}

/// One entry of an explicit `RECONCILE_OPERATIONS`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileOperation {
    /// The operation asked about.
    pub operation_id: String,
    /// Where it was sent to; without it an operation that the master does not know is just unknown.
    pub agent_id: Option<AgentId>,
}

/// `mesos.v1.scheduler.Call`. The framework id is the sender's business, not repeated here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Use offers of one agent and one role.
    Accept {
        /// The offers, whose resources are added up.
        offer_ids: Vec<OfferId>,
        /// Applied in order.
        operations: Vec<Operation>,
        /// How long not to offer what is left over; 5 s if absent.
        refuse: Option<Duration>,
    },
    /// Agree to maintenance (advisory).
    AcceptInverseOffers {
        /// The inverse offers.
        inverse_offer_ids: Vec<OfferId>,
        /// How long not to ask again; 5 s if absent.
        refuse: Option<Duration>,
    },
    /// Confirm a status update, so that the agent sends the next one.
    Acknowledge {
        /// Copied from the update.
        agent_id: AgentId,
        /// Copied from the update.
        task_id: TaskId,
        /// Copied from the update.
        uuid: StatusUuid,
    },
    /// Confirm an operation status.
    AcknowledgeOperation {
        /// Copied from the status.
        agent_id: Option<AgentId>,
        /// Copied from the status.
        operation_id: String,
        /// Copied from the status.
        uuid: StatusUuid,
    },
    /// Give offers back.
    Decline {
        /// The offers.
        offer_ids: Vec<OfferId>,
        /// How long not to offer them again; 5 s if absent.
        refuse: Option<Duration>,
    },
    /// Disagree with maintenance (advisory).
    DeclineInverseOffers {
        /// The inverse offers.
        inverse_offer_ids: Vec<OfferId>,
        /// How long not to ask again; 5 s if absent.
        refuse: Option<Duration>,
    },
    /// End a task.
    Kill {
        /// The task.
        task_id: TaskId,
        /// Where it is; without it the answer for a lost agent is worth less.
        agent_id: Option<AgentId>,
        /// Overrides the task's own grace period.
        grace_period: Option<Duration>,
    },
    /// Bytes for an executor.
    Message {
        /// Its agent.
        agent_id: AgentId,
        /// The executor.
        executor_id: ExecutorId,
        /// The bytes.
        data: Vec<u8>,
    },
    /// Ask for the state of tasks; of all tasks if none is named (implicit reconciliation).
    Reconcile {
        /// The tasks asked about.
        tasks: Vec<ReconcileTask>,
    },
    /// Ask for the state of operations that have an id; of all of them if none is named.
    ReconcileOperations {
        /// The operations asked about.
        operations: Vec<ReconcileOperation>,
    },
    /// Want offers again, and forget all filters. All roles if none is named.
    Revive {
        /// The roles.
        roles: Vec<Role>,
    },
    /// End an executor with all its tasks.
    Shutdown {
        /// The executor.
        executor_id: ExecutorId,
        /// Its agent.
        agent_id: AgentId,
    },
    /// Open the event stream.
    Subscribe {
        /// Who subscribes.
        framework_info: FrameworkInfo,
        /// Roles that want no offers for now.
        suppressed_roles: Vec<Role>,
    },
    /// Want no more offers. All roles if none is named.
    Suppress {
        /// The roles.
        roles: Vec<Role>,
    },
    /// End the framework with all its tasks.
    Teardown,
    /// Change roles, capabilities or the like without a new subscription.
    UpdateFramework {
        /// The framework as it shall be.
        framework_info: FrameworkInfo,
        /// Roles that want no offers for now.
        suppressed_roles: Vec<Role>,
    },
}
