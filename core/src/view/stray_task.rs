//! Tasks that are being ended because they have no place any more, as `GET /v2/unknown_tasks` shows them.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::ids::{AgentId, TaskId};
use crate::model::mesos::TaskState;
use crate::model::time::Timestamp;

/// A task that is alive although its instance was given up, replaced or launched again, and that is asked to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StrayTask {
    /// The task.
    pub task_id: TaskId,
    /// Its agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// What Mesos said of it last.
    pub state: TaskState,
    /// When it was asked to end first, since the subscription began.
    pub since: Timestamp,
    /// How often it was asked to end since then. After seven times its executor is shut down.
    pub kills: u32,
}
