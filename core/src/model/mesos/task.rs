//! Tasks, executors and what belongs to them (`TaskInfo`, `ExecutorInfo`, `CommandInfo`, `ContainerInfo`).

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use super::Resource;
use crate::model::ids::{AgentId, ExecutorId, FrameworkId, TaskId};

/// A task group with the executor that runs it (`Offer.Operation.LaunchGroup`): one pod instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LaunchGroup {
    /// The executor; started unless it is already alive on the agent.
    pub executor: ExecutorInfo,
    /// The members, launched together or not at all.
    pub tasks: Vec<TaskInfo>,
}

/// `mesos.v1.ExecutorInfo`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExecutorInfo {
    /// Unique on its agent.
    pub executor_id: ExecutorId,
    /// The framework it belongs to. Validation of `LAUNCH_GROUP` demands it.
    pub framework_id: Option<FrameworkId>,
    /// Mesos' own executor or a custom one; a master refuses a group without it.
    pub kind: Option<ExecutorKind>,
    /// What the executor itself uses.
    pub resources: Vec<Resource>,
    /// The command of a custom executor.
    pub command: Option<CommandInfo>,
    /// Networks, shared volumes and limits of the whole group.
    pub container: Option<ContainerInfo>,
    /// Time between asking the executor to shut down and destroying its container; the agent's flag if absent.
    pub shutdown_grace_period: Option<Duration>,
    /// Free marks.
    pub labels: Vec<Label>,
}

/// `ExecutorInfo.Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExecutorKind {
    /// A framework's own executor.
    Custom,
    /// The executor that comes with Mesos and runs task groups.
    Default,
}

/// `mesos.v1.TaskInfo`: one member of a group, one container of a pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskInfo {
    /// A name for people.
    pub name: String,
    /// Unique among all tasks of the framework, ever.
    pub task_id: TaskId,
    /// Where it runs; must be the offer's agent.
    pub agent_id: AgentId,
    /// What it uses.
    pub resources: Vec<Resource>,
    /// Upper bounds for `cpus` and `mem`; infinity means no bound.
    pub limits: BTreeMap<String, f64>,
    /// What it runs; absent means the image's own entry point.
    pub command: Option<CommandInfo>,
    /// Image, volumes and isolation.
    pub container: Option<ContainerInfo>,
    /// Kills the task when it fails often enough in a row.
    pub health_check: Option<HealthCheck>,
    /// A probe whose result is only reported.
    pub check: Option<Check>,
    /// Time from SIGTERM to SIGKILL (`KillPolicy`); the executor uses 3 s if absent.
    pub kill_grace_period: Option<Duration>,
    /// The task fails when it runs longer.
    pub max_completion_time: Option<Duration>,
    /// Free marks.
    pub labels: Vec<Label>,
    /// What service discovery is told.
    pub discovery: Option<DiscoveryInfo>,
}

/// `mesos.v1.Label`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Label {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: Option<String>,
}

/// `mesos.v1.CommandInfo`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandInfo {
    /// Run `value` with `sh -c`; otherwise `value` is the executable and `arguments` the whole argv.
    pub shell: bool,
    /// The command line or the executable.
    pub value: Option<String>,
    /// The whole argv, its first element included; unused with `shell`.
    pub arguments: Vec<String>,
    /// The environment, in order; a later entry of the same name wins.
    pub environment: Vec<EnvironmentVariable>,
    /// What is fetched into the sandbox first.
    pub uris: Vec<Uri>,
    /// The system user; the framework's if absent.
    pub user: Option<String>,
}

/// `mesos.v1.Environment.Variable`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentVariable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: EnvironmentValue,
}

/// What an environment variable holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EnvironmentValue {
    /// Plain text.
    Value(String),
    /// A secret, put in by the agent.
    Secret(Secret),
}

/// `mesos.v1.Secret`. Neither `Debug` nor what is serialized shows the bytes, so that they stay out of logs and of recordings
/// of a call that the master refused.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Secret {
    /// The agent's secret resolver looks it up.
    Reference {
        /// The secret's name in the resolver's store.
        name: String,
        /// A part of it.
        key: Option<String>,
    },
    /// The bytes themselves.
    Value(#[serde(serialize_with = "serialize_length")] Vec<u8>),
}

/// As many zeros.
fn serialize_length<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(bytes.iter().map(|_| 0))
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reference { name, key } => {
                f.debug_struct("Reference").field("name", name).field("key", key).finish()
            }
            Self::Value(bytes) => write!(f, "Value(<{} bytes>)", bytes.len()),
        }
    }
}

/// `mesos.v1.CommandInfo.URI`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uri {
    /// A path or URL.
    pub value: String,
    /// Set the executable bits.
    pub executable: bool,
    /// Unpack archives by their ending.
    pub extract: bool,
    /// Use the agent's fetcher cache.
    pub cache: bool,
    /// Under which name to keep it, relative to the sandbox.
    pub output_file: Option<String>,
}

/// `mesos.v1.ContainerInfo` of type `MESOS` (Podium launches no other; the model refuses `docker`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ContainerInfo {
    /// Set for a container of type `DOCKER`, which a task group may not have.
    pub docker: bool,
    /// What the root file system is made from.
    pub image: Option<Image>,
    /// What is mounted into it.
    pub volumes: Vec<Volume>,
    /// Networks to join; only on executors.
    pub network_infos: Vec<NetworkInfo>,
    /// Isolation details.
    pub linux_info: Option<LinuxInfo>,
    /// Attach a terminal.
    pub tty: bool,
}

/// `mesos.v1.Image`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its format.
    pub kind: ImageKind,
    /// Its name: `registry/repository:tag` for Docker.
    pub name: String,
    /// The `config.json` with registry credentials.
    pub pull_config: Option<Secret>,
    /// Whether a copy from an earlier pull will do; the default (yes) if absent.
    pub cached: Option<bool>,
    /// Labels that an `APPC` image must have.
    pub labels: Vec<Label>,
}

/// `mesos.v1.Image.Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ImageKind {
    /// An App Container image.
    Appc,
    /// A Docker image.
    Docker,
}

/// `mesos.v1.Volume`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Where it appears; relative to the sandbox unless absolute.
    pub container_path: String,
    /// Not writable.
    pub read_only: bool,
    /// What is mounted.
    pub source: VolumeSource,
}

/// What a [`Volume`] is made of (`host_path` or `Volume.Source`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeSource {
    /// A file or directory of the agent (`Volume.host_path`).
    HostPath(String),
    /// A directory in the executor's sandbox, shared by the group (`SANDBOX_PATH`, type `PARENT`).
    SandboxParent(String),
    /// A directory in the task's own sandbox (`SANDBOX_PATH`, type `SELF`).
    SandboxSelf(String),
    /// A file with a secret's bytes (`SECRET`).
    Secret(Secret),
}

/// `mesos.v1.NetworkInfo` as a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkInfo {
    /// The CNI network.
    pub name: Option<String>,
    /// For the network plugin.
    pub labels: Vec<Label>,
    /// Ports of the agent that lead into the container.
    pub port_mappings: Vec<PortMapping>,
}

/// `mesos.v1.NetworkInfo.PortMapping`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortMapping {
    /// The agent's port.
    pub host_port: u32,
    /// The container's port.
    pub container_port: u32,
    /// `tcp` or `udp`; the plugin's default if absent.
    pub protocol: Option<String>,
}

/// `mesos.v1.LinuxInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinuxInfo {
    /// Whether a member lives in the executor's control group; Mesos' default (yes) if absent.
    pub share_cgroups: Option<bool>,
    /// System call filter.
    pub seccomp: Option<Seccomp>,
    /// Inter-process communication namespace.
    pub ipc_mode: Option<IpcMode>,
    /// Size of `/dev/shm` in MiB.
    pub shm_size: Option<u32>,
}

/// `mesos.v1.SeccompInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seccomp {
    /// The profile's name on the agent.
    pub profile_name: Option<String>,
    /// No filter at all.
    pub unconfined: Option<bool>,
}

/// `mesos.v1.LinuxInfo.IpcMode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum IpcMode {
    /// A namespace of its own.
    Private,
    /// The parent's namespace.
    ShareParent,
}

/// What a check looks at (the member of `HealthCheck` and `CheckInfo` that goes with their type).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Probe {
    /// A command in the container; 0 means good.
    Command(CommandInfo),
    /// A GET request; 200 to 399 means good.
    Http {
        /// The port, as seen from the container's network.
        port: u32,
        /// The path, with its leading `/`.
        path: Option<String>,
        /// `http` if absent.
        scheme: Option<HttpScheme>,
    },
    /// A connection; established means good.
    Tcp {
        /// The port, as seen from the container's network.
        port: u32,
    },
}

/// `HTTPCheckInfo.scheme`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HttpScheme {
    /// Plain.
    Http,
    /// Over TLS; the certificate is not verified.
    Https,
}

/// `mesos.v1.HealthCheck`. Fields that are absent on the wire have Mesos' defaults here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// What is looked at; absent when the message names none, which a master refuses.
    pub probe: Option<Probe>,
    /// Wait before the first look (15 s).
    pub delay: Duration,
    /// Wait between looks (10 s).
    pub interval: Duration,
    /// A look that takes longer fails (20 s); zero means no limit.
    pub timeout: Duration,
    /// Kill after so many failures in a row (3).
    pub consecutive_failures: u32,
    /// Failures are ignored so long after the launch, until the first success (10 s).
    pub grace_period: Duration,
}

/// `mesos.v1.CheckInfo`: a probe that is reported and never kills.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// What is looked at; absent when the message names none, which a master refuses.
    pub probe: Option<Probe>,
    /// Wait before the first look (15 s).
    pub delay: Duration,
    /// Wait between looks (10 s).
    pub interval: Duration,
    /// A look that takes longer has no result (20 s); zero means no limit.
    pub timeout: Duration,
}

/// `mesos.v1.DiscoveryInfo`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscoveryInfo {
    /// Who may see it.
    pub visibility: Visibility,
    /// The service's name.
    pub name: Option<String>,
    /// Its ports.
    pub ports: Vec<DiscoveryPort>,
}

/// `DiscoveryInfo.Visibility`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Visibility {
    /// Anyone in the cluster.
    Cluster,
    /// Anyone.
    External,
    /// Only this framework.
    Framework,
}

/// `mesos.v1.Port`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscoveryPort {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: Option<String>,
    /// Its protocol.
    pub protocol: Option<String>,
    /// Free marks.
    pub labels: Vec<Label>,
}
