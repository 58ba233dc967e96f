//! The networks of a pod.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A network that a pod joins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
