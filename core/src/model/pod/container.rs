//! A container: what it runs, how it is reached, when it counts as healthy, how it ends.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EnvironmentValue, ResourceLimits, Resources};
use crate::model::mesos::{
    HttpScheme as MesosHttpScheme, ImageKind as MesosImageKind, IpcMode as MesosIpcMode,
};
use crate::model::number::Number;

/// A container of a pod (Pods page, "Basic pod container fields").
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Exec {
    /// The command.
    pub command: Command,
    /// Whether the command replaces the image's entry point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_entrypoint: Option<bool>,
}

/// A command line or an argument vector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Command {
    /// Run with `/bin/sh -c`; empty means the image's entry point.
    Shell(String),
    /// Run as it is.
    Argv(Vec<String>),
}

/// A port under which a container can be reached (Pods page, "Networking").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PullConfig {
    /// The name of a secret of the pod that holds a Docker `config.json`.
    pub secret: String,
}

/// When a container counts as healthy. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodLinuxInfo {
    /// Inter-process communication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipc_info: Option<IpcInfo>,
}

/// Isolation of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Seccomp {
    /// The profile's name on the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_name: Option<String>,
    /// No filter at all.
    pub unconfined: bool,
}

/// Inter-process communication.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IpcInfo {
    /// Own or shared namespace.
    pub mode: MesosIpcMode,
    /// Size of `/dev/shm` in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<u32>,
}
