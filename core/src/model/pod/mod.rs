//! Pod definitions: what a person wants to run, after admission has read, completed and checked it.
//!
//! The types mirror the JSON of Marathon's pods API, and serialise to it: absent options and empty collections
//! are left out, everything with a default is always present. Reading what a person wrote is `admission`'s
//! business; `Deserialize` here only reads back what was stored.

mod container;
mod network;
mod resources;
mod scheduling;
mod volume;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use container::{
    Artifact, Command, Container, ContainerLinuxInfo, Endpoint, Exec, HealthCheck, HttpScheme, Image,
    IpcInfo, Lifecycle, PodLinuxInfo, Probe, PullConfig, Seccomp, VolumeMount,
};
pub use network::{Network, NetworkMode};
pub use resources::{
    ExecutorResources, ResourceLimit, ResourceLimits, Resources, ScalarResources, Unlimited,
};
pub use scheduling::{
    Backoff, Constraint, ConstraintOperator, Deadline, DeadlineAction, Disabled, FailingAgents,
    KillSelection, OnReturn, Placement, Scaling, ScalingKind, Scheduling, UnreachableStrategy, Upgrade,
};
pub use volume::{PersistentVolume, PersistentVolumeType, Volume, VolumeKind};

use super::ids::{PodId, Role};
use super::time::Timestamp;

/// A pod definition (Pods page, "Pod Definitions").
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodSpec {
    /// The pod's absolute path.
    pub id: PodId,
    /// When this definition was accepted: its name in the pod's history.
    pub version: Timestamp,
    /// Metadata.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The system user of all containers that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Inherited by all containers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, EnvironmentValue>,
    /// The containers, launched together on one agent.
    pub containers: Vec<Container>,
    /// Secrets that containers, volumes and images refer to by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, SecretSource>,
    /// Volumes that containers mount by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    /// Networks to join; none means the host's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Network>,
    /// How many copies.
    pub scaling: Scaling,
    /// When, where and how copies are started, replaced and stopped.
    pub scheduling: Scheduling,
    /// What the executor of each copy uses itself.
    pub executor_resources: ExecutorResources,
    /// The Mesos role whose offers are used.
    pub role: Role,
    /// Isolation of the copy as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linux_info: Option<PodLinuxInfo>,
    /// Whether containers share the executor's control group; only `true` is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy_shared_cgroups: Option<bool>,
}

impl PodSpec {
    /// The number of copies wanted.
    pub fn instances(&self) -> u32 {
        self.scaling.instances
    }

    /// Whether some volume is persistent, which ties each copy to an agent.
    pub fn is_resident(&self) -> bool {
        self.volumes.iter().any(|volume| matches!(volume.kind, VolumeKind::Persistent { .. }))
    }

    /// The persistent volumes with their names, in order.
    pub fn persistent_volumes(&self) -> impl Iterator<Item = (&str, &PersistentVolume)> {
        self.volumes.iter().filter_map(|volume| match &volume.kind {
            VolumeKind::Persistent { persistent } => Some((volume.name.as_str(), persistent)),
            _ => None,
        })
    }

    /// Whether some container has a health check.
    pub fn has_health_checks(&self) -> bool {
        self.containers.iter().any(|container| container.health_check.is_some())
    }

    /// The longest time that one of its containers may take to end; none if no container says so.
    pub fn longest_kill_grace_period(&self) -> Option<Duration> {
        let lifecycles = self.containers.iter().filter_map(|container| container.lifecycle);
        lifecycles.filter_map(Lifecycle::kill_grace_period).max()
    }

    /// The secrets that a launch takes, by their paths in the store.
    pub fn secrets_in_use(&self) -> BTreeSet<&str> {
        let containers = self.containers.iter();
        let environments =
            containers.clone().map(|container| &container.environment).chain([&self.environment]);
        let variables = environments.flat_map(BTreeMap::values).filter_map(|value| match value {
            EnvironmentValue::Secret { secret } => Some(secret),
            EnvironmentValue::Value(_) => None,
        });
        let volumes = self.volumes.iter().filter_map(|volume| match &volume.kind {
            VolumeKind::Secret { secret } => Some(secret),
            _ => None,
        });
        let images = containers.filter_map(|container| container.image.as_ref()?.pull_config.as_ref());
        let names = variables.chain(volumes).chain(images.map(|config| &config.secret));
        names.map(|name| self.secret_source(name)).collect()
    }

    /// Where the secret is kept that this definition calls `name`.
    pub fn secret_source<'a>(&'a self, name: &'a str) -> &'a str {
        self.secrets.get(name).map_or(name, |secret| &secret.source)
    }

    /// What one copy uses in all: the executor and every container.
    pub fn total_resources(&self) -> ScalarResources {
        let executor = self.executor_resources.to_scalars();
        self.containers.iter().fold(executor, |total, container| total + container.resources.to_scalars())
    }
}

/// The value of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum EnvironmentValue {
    /// Plain text.
    Value(String),
    /// A secret of the pod, by name.
    Secret {
        /// Its name in [`PodSpec::secrets`].
        secret: String,
    },
}

/// Where a secret is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretSource {
    /// The fully qualified path in the secret store.
    pub source: String,
}
