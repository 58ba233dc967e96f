//! What is kept on agents for instances of which there is no record, as `GET /v2/unknown_tasks` shows it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::ids::{AgentId, InstanceId, Role};
use crate::model::time::Timestamp;

/// Resources that carry this framework's marks and name an instance that there is no record of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnknownReservation {
    /// The instance that the marks name.
    pub instance_id: InstanceId,
    /// Where they are.
    pub agent_id: AgentId,
    /// The agent's host.
    pub host: String,
    /// The role they are reserved for.
    pub role: Role,
    /// The persistent volumes among them, by the names that Mesos knows them by.
    pub volumes: Vec<String>,
    /// When this scheduler was first offered them since it was started.
    pub since: Timestamp,
    /// When it was last offered them.
    pub last_offered: Timestamp,
}
