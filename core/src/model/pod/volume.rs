//! The volumes of a pod.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A volume of a pod (Pods page, "Volumes").
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Volume {
    /// By which containers mount it.
    pub name: String,
    /// What it is.
    #[serde(flatten)]
    pub kind: VolumeKind,
}

/// What a volume is. The JSON has a field of the kind's name; an ephemeral volume has only its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
        /// The secret's name in [`PodSpec::secrets`](super::PodSpec::secrets).
        secret: String,
    },
    /// A directory that lives and dies with the copy.
    Ephemeral {},
}

/// Disk that survives the copy's containers. Sizes are in MiB.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PersistentVolumeType {
    /// A whole mounted disk.
    Mount,
    /// A part of a separate disk.
    Path,
    /// A part of the agent's own disk.
    Root,
}
