//! Offers (`mesos.v1.Offer`): what an agent has free, held for this framework until answered.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{PortRange, Resource};
use crate::model::ids::{AgentId, ExecutorId, FrameworkId, OfferId, Role};
use crate::model::number::Scalar;
use crate::model::time::Timestamp;

/// `mesos.v1.Offer`. One agent, one role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Names it in `ACCEPT` and `DECLINE`.
    pub id: OfferId,
    /// To whom it is made.
    pub framework_id: FrameworkId,
    /// Whose resources these are.
    pub agent_id: AgentId,
    /// The name under which the agent is known.
    pub hostname: String,
    /// The role to which it is made; absent only without the `MULTI_ROLE` capability.
    pub role: Option<Role>,
    /// What is free.
    pub resources: Vec<Resource>,
    /// The agent's attributes, in its order.
    pub attributes: Vec<Attribute>,
    /// This framework's executors that are alive on the agent.
    pub executor_ids: Vec<ExecutorId>,
    /// The agent's place, for fault domain aware placement.
    pub domain: Option<FaultDomain>,
    /// The agent's next maintenance window, if one is scheduled.
    pub unavailability: Option<Unavailability>,
}

/// An agent's attribute (`mesos.v1.Attribute`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// Its name; an agent may have several of one name, of which the first counts.
    pub name: String,
    /// Its value.
    pub value: AttributeValue,
}

/// The value of an [`Attribute`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttributeValue {
    /// A number, kept to three decimals.
    Scalar(Scalar),
    /// Ranges of whole numbers.
    Ranges(Vec<PortRange>),
    /// Named items.
    Set(Vec<String>),
    /// Text.
    Text(String),
}

/// `mesos.v1.DomainInfo.FaultDomain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultDomain {
    /// The region's name.
    pub region: String,
    /// The zone's name, within its region.
    pub zone: String,
}

/// A maintenance window (`mesos.v1.Unavailability`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unavailability {
    /// When it begins.
    pub start: Timestamp,
    /// How long it lasts; without an end if absent.
    pub duration: Option<Duration>,
}
