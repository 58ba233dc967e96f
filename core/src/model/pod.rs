//! Pod definitions: what a person wants to run, after admission has read, completed and checked it.
//!
//! The types mirror the JSON of Marathon's pods API, and serialise to it: absent options and empty collections
//! are left out, everything with a default is always present. Reading what a person wrote is `admission`'s
//! business; `Deserialize` here only reads back what was stored.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ids::{PodId, Role};
use super::mesos::{HttpScheme as MesosHttpScheme, ImageKind as MesosImageKind, IpcMode as MesosIpcMode};
use super::number::{Number, Scalar};
use super::time::Timestamp;

/// A pod definition (Pods page, "Pod Definitions").
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

    /// Whether some container has a health check.
    pub fn has_health_checks(&self) -> bool {
        self.containers.iter().any(|container| container.health_check.is_some())
    }

    /// What one copy uses in all: the executor and every container.
    pub fn total_resources(&self) -> ScalarResources {
        let executor = self.executor_resources.to_scalars();
        self.containers.iter().fold(executor, |total, container| total + container.resources.to_scalars())
    }
}

/// The value of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretSource {
    /// The fully qualified path in the secret store.
    pub source: String,
}

/// A container of a pod (Pods page, "Basic pod container fields").
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// Unique within the pod.
    pub name: String,
    /// What it runs; absent means the image's entry point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<Exec>,
    /// What it uses.
    pub resources: Resources,
    /// Upper bounds of what it uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_limits: Option<ResourceLimits>,
    /// Ports under which it can be reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Endpoint>,
    /// What its file system is made from; absent means the agent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// Overrides the pod's environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, EnvironmentValue>,
    /// Overrides the pod's user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// When it counts as healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
    /// Where the pod's volumes appear.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volume_mounts: Vec<VolumeMount>,
    /// What is fetched before it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
    /// Metadata.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Lifecycle>,
    /// Isolation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linux_info: Option<ContainerLinuxInfo>,
    /// Attach a terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tty: Option<bool>,
}

/// What a container runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exec {
    /// The command.
    pub command: Command,
    /// Whether the command replaces the image's entry point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_entrypoint: Option<bool>,
}

/// A command line or an argument vector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Command {
    /// Run with `/bin/sh -c`; empty means the image's entry point.
    Shell(String),
    /// Run as it is.
    Argv(Vec<String>),
}

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
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResourceLimits {
    /// Processor shares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<ResourceLimit>,
    /// Memory in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mem: Option<ResourceLimit>,
}

/// An upper bound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ResourceLimit {
    /// So much.
    Amount(Number),
    /// No bound.
    Unlimited(Unlimited),
}

/// The word `unlimited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unlimited {
    /// No bound.
    Unlimited,
}

/// A port under which a container can be reached (Pods page, "Networking").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Unique within the pod.
    pub name: String,
    /// The port it listens on, for networks that are not the host's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_port: Option<u16>,
    /// The agent's port; 0 means any free one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_port: Option<u16>,
    /// Protocols, as written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protocol: Vec<String>,
    /// Metadata.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The networks it belongs to; all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network_names: Vec<String>,
}

/// A container image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Its format.
    pub kind: MesosImageKind,
    /// Its name.
    pub id: String,
    /// Where the registry's credentials are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_config: Option<PullConfig>,
    /// Pull it each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_pull: Option<bool>,
    /// Metadata.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Where a registry's credentials are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullConfig {
    /// The name of a secret of the pod that holds a Docker `config.json`.
    pub secret: String,
}

/// When a container counts as healthy. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// What is looked at.
    #[serde(flatten)]
    pub probe: Probe,
    /// Failures are ignored so long after the start, until the first success.
    pub grace_period_seconds: u32,
    /// Wait between looks.
    pub interval_seconds: u32,
    /// Kill after so many failures in a row.
    pub max_consecutive_failures: u32,
    /// A look that takes longer fails.
    pub timeout_seconds: u32,
    /// Wait before the first look.
    pub delay_seconds: u32,
}

/// What a health check looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Probe {
    /// A command in the container.
    Exec {
        /// The command.
        command: Command,
    },
    /// A GET request.
    Http {
        /// The endpoint's name.
        endpoint: String,
        /// The path.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
        /// The scheme.
        scheme: HttpScheme,
    },
    /// A connection.
    Tcp {
        /// The endpoint's name.
        endpoint: String,
    },
}

/// The scheme of an HTTP health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpScheme {
    /// Plain.
    Http,
    /// Over TLS.
    Https,
}

impl From<HttpScheme> for MesosHttpScheme {
    fn from(scheme: HttpScheme) -> Self {
        match scheme {
            HttpScheme::Http => Self::Http,
            HttpScheme::Https => Self::Https,
        }
    }
}

/// Where a volume appears in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeMount {
    /// The volume's name.
    pub name: String,
    /// Relative to the sandbox unless absolute.
    pub mount_path: String,
    /// Not writable.
    pub read_only: bool,
}

/// Something fetched before a container starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// From where.
    pub uri: String,
    /// Unpack archives by their ending.
    pub extract: bool,
    /// Set the executable bits.
    pub executable: bool,
    /// Use the agent's cache.
    pub cache: bool,
    /// Under which name to keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dest_path: Option<String>,
}

/// How a container ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lifecycle {
    /// Time between asking it to end and killing it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kill_grace_period_seconds: Option<Number>,
}

impl Lifecycle {
    /// The grace period, if one is given.
    pub fn kill_grace_period(self) -> Option<Duration> {
        self.kill_grace_period_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds.0).ok())
    }
}

/// Isolation of a copy as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodLinuxInfo {
    /// Inter-process communication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipc_info: Option<IpcInfo>,
}

/// Isolation of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerLinuxInfo {
    /// System call filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<Seccomp>,
    /// Inter-process communication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipc_info: Option<IpcInfo>,
}

/// A system call filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seccomp {
    /// The profile's name on the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_name: Option<String>,
    /// No filter at all.
    pub unconfined: bool,
}

/// Inter-process communication.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IpcInfo {
    /// Own or shared namespace.
    pub mode: MesosIpcMode,
    /// Size of `/dev/shm` in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<u32>,
}

/// A volume of a pod (Pods page, "Volumes").
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Volume {
    /// By which containers mount it.
    pub name: String,
    /// What it is.
    #[serde(flatten)]
    pub kind: VolumeKind,
}

/// What a volume is. The JSON has a field of the kind's name; an ephemeral volume has only its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum VolumeKind {
    /// A file or directory of the agent.
    Host {
        /// Its path.
        host: String,
    },
    /// Disk that survives the copy's containers.
    Persistent {
        /// Its properties.
        persistent: PersistentVolume,
    },
    /// A file that holds a secret.
    Secret {
        /// The secret's name in [`PodSpec::secrets`].
        secret: String,
    },
    /// A directory that lives and dies with the copy.
    Ephemeral {},
}

/// Disk that survives the copy's containers. Sizes are in MiB.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PersistentVolume {
    /// On which kind of disk.
    #[serde(rename = "type")]
    pub kind: PersistentVolumeType,
    /// At least so large.
    pub size: u64,
    /// At most so large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<u64>,
    /// Only on disks of this profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_name: Option<String>,
    /// Only on disks whose path matches: `["path", "LIKE", regex]`.
    #[serde(default)]
    pub constraints: Vec<Vec<String>>,
}

/// On which kind of disk a persistent volume lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PersistentVolumeType {
    /// A whole mounted disk.
    Mount,
    /// A part of a separate disk.
    Path,
    /// A part of the agent's own disk.
    Root,
}

/// A network that a pod joins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its kind.
    pub mode: NetworkMode,
    /// Its name, for container networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For the network plugin.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// The kind of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkMode {
    /// A virtual network.
    #[serde(rename = "container")]
    Container,
    /// A virtual network of the agent alone.
    #[serde(rename = "container/bridge")]
    ContainerBridge,
    /// The agent's own.
    #[serde(rename = "host")]
    Host,
}

/// How many copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scaling {
    /// How the number is found.
    pub kind: ScalingKind,
    /// The number of copies.
    pub instances: u32,
    /// No scaling may go beyond it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_instances: Option<u32>,
}

/// How the number of copies is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScalingKind {
    /// A fixed number.
    Fixed,
}

/// When, where and how copies are started, replaced and stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scheduling {
    /// The delay after failures.
    pub backoff: Backoff,
    /// How a new definition replaces an old one.
    pub upgrade: Upgrade,
    /// Where copies may run.
    #[serde(default)]
    pub placement: Placement,
    /// Which copies go first when there are too many.
    pub kill_selection: KillSelection,
    /// What happens to copies that cannot be reached.
    pub unreachable_strategy: UnreachableStrategy,
}

/// The delay after failures. Times are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backoff {
    /// After the first failure.
    pub backoff: Number,
    /// Grows by this factor with each further failure.
    pub backoff_factor: Number,
    /// Never longer than this.
    pub max_launch_delay: Number,
}

/// How a new definition replaces an old one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Upgrade {
    /// The part of the copies that stays healthy throughout, 0 to 1.
    pub minimum_health_capacity: Number,
    /// The part of the copies that may run in addition, 0 to 1.
    pub maximum_over_capacity: Number,
}

/// Where copies may run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// All must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Constraint>,
    /// The roles whose resources may be used; the daemon's default if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted_resource_roles: Vec<Role>,
}

/// A condition on the agent of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Constraint {
    /// `@hostname`, `@region`, `@zone` or the name of an attribute.
    pub field_name: String,
    /// The kind of condition.
    pub operator: ConstraintOperator,
    /// Its operand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// The kinds of [`Constraint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ConstraintOperator {
    /// All copies on one value.
    Cluster,
    /// Spread evenly over the values.
    GroupBy,
    /// The value is exactly this.
    Is,
    /// The value matches a regular expression.
    Like,
    /// At most so many copies on one value.
    MaxPer,
    /// Every copy on another value.
    Unique,
    /// The value does not match a regular expression.
    Unlike,
}

/// Which copies go first when there are too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum KillSelection {
    /// Those that have run longest.
    OldestFirst,
    /// Those that have run shortest.
    #[default]
    YoungestFirst,
}

/// What happens to copies that cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum UnreachableStrategy {
    /// They are replaced, then forgotten.
    #[serde(rename_all = "camelCase")]
    Enabled {
        /// Seconds after which a replacement is wanted.
        inactive_after_seconds: u64,
        /// Seconds after which the copy is forgotten, and killed should it return.
        expunge_after_seconds: u64,
    },
    /// They are neither replaced nor forgotten.
    Disabled(Disabled),
}

impl UnreachableStrategy {
    /// Neither replace nor forget.
    pub const DISABLED: Self = Self::Disabled(Disabled::Disabled);

    /// Time until a replacement is wanted; never if absent.
    pub fn inactive_after(self) -> Option<Duration> {
        match self {
            Self::Enabled { inactive_after_seconds, .. } => Some(Duration::from_secs(inactive_after_seconds)),
            Self::Disabled(_) => None,
        }
    }

    /// Time until the copy is forgotten; never if absent. Never before it would be replaced.
    pub fn expunge_after(self) -> Option<Duration> {
        match self {
            Self::Enabled { inactive_after_seconds, expunge_after_seconds } => {
                Some(Duration::from_secs(expunge_after_seconds.max(inactive_after_seconds)))
            }
            Self::Disabled(_) => None,
        }
    }
}

/// The word `disabled`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Disabled {
    /// Neither replace nor forget.
    Disabled,
}
