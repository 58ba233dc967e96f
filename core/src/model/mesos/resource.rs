//! Resources (`mesos.v1.Resource`), in the post-refinement format: unreserved means an empty stack.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Label;
use crate::model::ids::Role;
use crate::model::number::Scalar;

/// What a resource is an amount of (`Resource.name`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResourceKind {
    /// Processor shares.
    Cpus,
    /// Disk space in MiB.
    Disk,
    /// Whole graphics processors.
    Gpus,
    /// Memory in MiB.
    Mem,
    /// Ports of the agent.
    Ports,
    /// Anything else, by its Mesos name.
    #[serde(untagged)]
    Other(String),
}

impl ResourceKind {
    /// The Mesos name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Cpus => "cpus",
            Self::Disk => "disk",
            Self::Gpus => "gpus",
            Self::Mem => "mem",
            Self::Ports => "ports",
            Self::Other(name) => name,
        }
    }
}

impl From<&str> for ResourceKind {
    fn from(name: &str) -> Self {
        match name {
            "cpus" => Self::Cpus,
            "disk" => Self::Disk,
            "gpus" => Self::Gpus,
            "mem" => Self::Mem,
            "ports" => Self::Ports,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A range of ports, both ends included (`Value.Range`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct PortRange {
    /// The first port.
    pub begin: u64,
    /// The last port.
    pub end: u64,
}

/// How much of a resource (`Resource.type` with its member).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResourceValue {
    /// A plain amount.
    Scalar(Scalar),
    /// Ports.
    Ranges(Vec<PortRange>),
    /// Named items.
    Set(Vec<String>),
}

/// One entry of a resource's reservation stack (`Resource.ReservationInfo`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// Who made it: the agent's configuration or an operation.
    pub kind: ReservationType,
    /// For which role.
    pub role: Role,
    /// Under whose name (dynamic reservations).
    pub principal: Option<String>,
    /// Marks of whoever reserved it.
    pub labels: Vec<Label>,
}

/// `Resource.ReservationInfo.Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReservationType {
    /// By `RESERVE`.
    Dynamic,
    /// By the agent's flags.
    Static,
}

/// What kind of disk a disk resource lies on (`Resource.DiskInfo.Source`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSource {
    /// How the disk is made available.
    pub kind: DiskSourceType,
    /// The directory it is under, for `Path` and `Mount`.
    pub root: Option<String>,
    /// The volume profile, set by a storage plugin.
    pub profile: Option<String>,
    /// The id, set by a storage plugin.
    pub id: Option<String>,
}

/// `Resource.DiskInfo.Source.Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskSourceType {
    /// A raw block device made ready.
    Block,
    /// A whole mounted file system, given away as one piece.
    Mount,
    /// A part of a directory.
    Path,
    /// Storage that is not yet a disk.
    Raw,
}

/// A persistent volume's identity (`Resource.DiskInfo.Persistence`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Persistence {
    /// Unique for its role on its agent.
    pub id: String,
    /// Who created it.
    pub principal: Option<String>,
}

/// `Resource.DiskInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskInfo {
    /// Present when the disk is a persistent volume.
    pub persistence: Option<Persistence>,
    /// Where a persistent volume is mounted, relative to the executor's sandbox.
    pub container_path: Option<String>,
    /// Absent for the agent's own disk.
    pub source: Option<DiskSource>,
}

/// An amount of something on an agent (`mesos.v1.Resource`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Of what.
    pub kind: ResourceKind,
    /// How much.
    pub value: ResourceValue,
    /// The stack of reservations; empty means unreserved, the last entry counts. Shared: resources are copied all the time,
    /// and parts of one have the same.
    pub reservations: Arc<[Reservation]>,
    /// The role that it is offered to or used by (`AllocationInfo.role`).
    pub allocation_role: Option<Role>,
    /// For disk: its source and what lies on it. Boxed, because it is large and nearly always absent.
    pub disk: Option<Box<DiskInfo>>,
    /// May be taken back by the agent at any time.
    pub revocable: bool,
    /// May be used by several tasks at once.
    pub shared: bool,
    /// The resource provider that manages it.
    pub provider_id: Option<String>,
}

impl Resource {
    /// An unreserved plain amount.
    pub fn scalar(kind: ResourceKind, amount: Scalar) -> Self {
        Self::new(kind, ResourceValue::Scalar(amount))
    }

    /// Unreserved ports.
    pub fn ports(ranges: Vec<PortRange>) -> Self {
        Self::new(ResourceKind::Ports, ResourceValue::Ranges(ranges))
    }

    /// An unreserved, unallocated resource.
    pub fn new(kind: ResourceKind, value: ResourceValue) -> Self {
        Self {
            kind,
            value,
            reservations: Arc::default(),
            allocation_role: None,
            disk: None,
            revocable: false,
            shared: false,
            provider_id: None,
        }
    }

    /// The same, allocated to `role`.
    #[must_use]
    pub fn allocated_to(mut self, role: Role) -> Self {
        self.allocation_role = Some(role);
        self
    }

    /// The role that the resource is reserved for, if it is reserved.
    pub fn reserved_role(&self) -> Option<&Role> {
        self.reservations.last().map(|reservation| &reservation.role)
    }

    /// The amount, for a plain amount; nothing otherwise.
    pub fn amount(&self) -> Scalar {
        match self.value {
            ResourceValue::Scalar(amount) => amount,
            ResourceValue::Ranges(_) | ResourceValue::Set(_) => Scalar::ZERO,
        }
    }
}
