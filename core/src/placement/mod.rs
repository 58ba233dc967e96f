//! One offer: whether a copy of a pod fits it, and what exactly is asked of Mesos then.

mod agents;
mod constraints;
mod disks;
mod matcher;
mod offers;
mod policy;
mod pool;
mod ports;
mod refusal;
mod residence;
mod task_group;

pub(crate) use self::agents::Agents;
pub(crate) use self::constraints::{Constraints, PlacedCounts, holds_place};
pub(crate) use self::matcher::{
    Asker, Site, free_for, has_port_for, is_closed, match_instance, might_ever_match,
};
pub(crate) use self::pool::{Pool, Stack};
pub(crate) use self::refusal::{NoMatch, OfferCount, RefusalStatistics, Refusals};
pub(crate) use self::residence::all_resources;

use std::sync::Arc;

pub use refusal::Reason;
pub use residence::{Home, Release};
use serde::{Deserialize, Serialize};

use crate::model::ids::{InstanceId, Role};
use crate::model::instance::AgentInfo;
use crate::model::mesos::{Reservation, ResourceKind};
use crate::model::number::Scalar;
use crate::model::pod::PodSpec;

/// A copy of a pod that is to be launched, with everything that was decided about it. The task group that
/// Mesos is asked for is a function of it: [`Launch::task_group`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    /// The copy.
    pub instance: InstanceId,
    /// Which launch of it this is, from 1.
    pub incarnation: u32,
    /// The definition.
    pub spec: Arc<PodSpec>,
    /// The agent.
    pub agent: Arc<AgentInfo>,
    /// The role that the offer was made to.
    pub role: Role,
    /// The kinds of reservation that resources are taken from; an empty stack means unreserved.
    pub pools: Arc<[Arc<[Reservation]>]>,
    /// Which amounts are taken from where.
    pub draws: Vec<Draw>,
    /// The agent's ports that are taken, in the order of the containers' endpoints that have a host port.
    pub ports: Vec<PortDraw>,
    /// Where its persistent volumes are, if it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
}

/// An amount taken for one member of the group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draw {
    /// For whom.
    pub member: Member,
    /// Of what.
    pub kind: ResourceKind,
    /// How much.
    pub amount: Scalar,
    /// An index into [`Launch::pools`].
    pub pool: usize,
}

/// Who of a group uses something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Member {
    /// The container with this index in the definition.
    Container(usize),
    /// The executor.
    Executor,
}

impl Member {
    /// Every member of a group for `spec`, the executor first.
    pub(crate) fn all(spec: &PodSpec) -> impl Iterator<Item = Self> {
        std::iter::once(Self::Executor).chain((0..spec.containers.len()).map(Self::Container))
    }
}

/// A port taken from the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortDraw {
    /// The port.
    pub port: u16,
    /// An index into [`Launch::pools`].
    pub pool: usize,
}
