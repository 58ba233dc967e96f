//! What containers and executors use, and the bounds of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::number::{Number, Scalar};

/// Amounts of the four scalar resources, as Mesos accounts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScalarResources {
    /// Processor shares.
    pub cpus: Scalar,
    /// Memory in MiB.
    pub mem: Scalar,
    /// Disk in MiB.
    pub disk: Scalar,
    /// Whole graphics processors.
    pub gpus: Scalar,
}

impl ScalarResources {
    /// Whether each amount is at most what `free` has of it.
    pub fn fit(&self, free: &Self) -> bool {
        self.cpus <= free.cpus && self.mem <= free.mem && self.disk <= free.disk && self.gpus <= free.gpus
    }

    /// Of each the greater amount.
    pub fn max(self, other: Self) -> Self {
        Self {
            cpus: self.cpus.max(other.cpus),
            mem: self.mem.max(other.mem),
            disk: self.disk.max(other.disk),
            gpus: self.gpus.max(other.gpus),
        }
    }

    /// What is left of each without `other`, or nothing if that is more.
    pub fn saturating_sub(self, other: Self) -> Self {
        Self {
            cpus: self.cpus.saturating_sub(other.cpus),
            mem: self.mem.saturating_sub(other.mem),
            disk: self.disk.saturating_sub(other.disk),
            gpus: self.gpus.saturating_sub(other.gpus),
        }
    }
}

impl std::ops::Add for ScalarResources {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            cpus: self.cpus + other.cpus,
            mem: self.mem + other.mem,
            disk: self.disk + other.disk,
            gpus: self.gpus + other.gpus,
        }
    }
}

/// What a container uses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resources {
    /// Processor shares.
    pub cpus: Number,
    /// Memory in MiB.
    pub mem: Number,
    /// Disk in MiB.
    pub disk: Number,
    /// Whole graphics processors.
    pub gpus: u32,
}

impl Resources {
    /// The amounts Mesos accounts.
    pub fn to_scalars(self) -> ScalarResources {
        ScalarResources {
            cpus: self.cpus.to_scalar(),
            mem: self.mem.to_scalar(),
            disk: self.disk.to_scalar(),
            gpus: Scalar::from_thousandths(i64::from(self.gpus) * 1000),
        }
    }
}

/// What an executor uses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExecutorResources {
    /// Processor shares.
    pub cpus: Number,
    /// Memory in MiB.
    pub mem: Number,
    /// Disk in MiB.
    pub disk: Number,
}

impl ExecutorResources {
    /// The amounts Mesos accounts.
    pub fn to_scalars(self) -> ScalarResources {
        ScalarResources {
            cpus: self.cpus.to_scalar(),
            mem: self.mem.to_scalar(),
            disk: self.disk.to_scalar(),
            gpus: Scalar::ZERO,
        }
    }
}

/// Upper bounds of what a container uses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceLimits {
    /// Processor shares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<ResourceLimit>,
    /// Memory in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mem: Option<ResourceLimit>,
}

/// An upper bound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ResourceLimit {
    /// So much.
    Amount(Number),
    /// No bound.
    Unlimited(Unlimited),
}

/// The word `unlimited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unlimited {
    /// No bound.
    Unlimited,
}
