//! What the master says to a scheduler (`mesos.v1.scheduler.Event`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{FaultDomain, Offer, Resource, StatusUuid, TaskStatus, Unavailability};
use crate::model::ids::{AgentId, ExecutorId, FrameworkId, OfferId};

/// `mesos.v1.MasterInfo`, as far as a scheduler cares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MasterInfo {
    /// A UUID, new with each start of a master.
    pub id: String,
    /// Its host.
    pub hostname: Option<String>,
    /// Its port.
    pub port: u32,
    /// Its version, such as `1.11.0`.
    pub version: Option<String>,
    /// Its place.
    pub domain: Option<FaultDomain>,
}

/// `mesos.v1.InverseOffer`: a request to leave an agent that will go into maintenance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InverseOffer {
    /// Names it in the answer.
    pub id: OfferId,
    /// The agent; any agent if absent.
    pub agent_id: Option<AgentId>,
    /// When the agent will be away.
    pub unavailability: Unavailability,
}

/// `Event.Failure`: an agent was lost, or an executor ended. A hint, never a proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorFailure {
    /// The agent.
    pub agent_id: Option<AgentId>,
    /// The executor; if absent the agent itself was lost.
    pub executor_id: Option<ExecutorId>,
    /// The executor's raw wait status; -1 if it never started.
    pub status: Option<i32>,
}

/// `mesos.v1.OperationState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the states are Mesos' and documented there")]
pub enum OperationState {
    OperationUnsupported,
    OperationPending,
    OperationFinished,
    OperationFailed,
    OperationError,
    OperationDropped,
    OperationUnreachable,
    OperationGoneByOperator,
    OperationRecovering,
    OperationUnknown,
}

/// `mesos.v1.OperationStatus`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperationStatus {
    /// The operation, if it was given an id.
    pub operation_id: Option<String>,
    /// Its state.
    pub state: OperationState,
    /// A text for people.
    pub message: Option<String>,
    /// What the operation made.
    pub converted_resources: Vec<Resource>,
    /// Present exactly when the status must be acknowledged.
    pub uuid: Option<StatusUuid>,
    /// The agent.
    pub agent_id: Option<AgentId>,
}

/// `mesos.v1.scheduler.Event`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The subscription ends; the text says why.
    Error {
        /// Mesos' words.
        message: String,
    },
    /// An agent or executor ended.
    Failure(ExecutorFailure),
    /// The stream is alive.
    Heartbeat,
    /// Agents will go into maintenance.
    InverseOffers(Vec<InverseOffer>),
    /// Bytes from an executor.
    Message {
        /// Its agent.
        agent_id: AgentId,
        /// The executor.
        executor_id: ExecutorId,
        /// The bytes.
        data: Vec<u8>,
    },
    /// Agents have something free.
    Offers(Vec<Offer>),
    /// An offer is no longer usable.
    Rescind(OfferId),
    /// An inverse offer is no longer of interest.
    RescindInverseOffer(OfferId),
    /// The first event of a subscription.
    Subscribed {
        /// This framework's id, to be kept for ever.
        framework_id: FrameworkId,
        /// How often to expect [`Event::Heartbeat`].
        heartbeat_interval: Option<Duration>,
        /// The master that answers.
        master: Option<MasterInfo>,
    },
    /// Anything this version does not know: ignored, but counted.
    Unknown,
    /// A task's state.
    Update(TaskStatus),
    /// An operation's state.
    UpdateOperationStatus(OperationStatus),
}
