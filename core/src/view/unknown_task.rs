//! Tasks of which there is no record, as `GET /v2/unknown_tasks` shows them.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::ids::{AgentId, TaskId};
use crate::model::mesos::{TaskState, TaskStatus};
use crate::model::time::Timestamp;

/// A task of this framework that Mesos reports and that there is no record of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnknownTask {
    /// The task.
    pub task_id: TaskId,
    /// Its agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// What Mesos says of it.
    pub state: TaskState,
    /// When this scheduler first heard of it since it was started.
    pub since: Timestamp,
    /// When it last heard of it.
    pub last_heard: Timestamp,
}

impl UnknownTask {
    /// A task of which `status` is heard at `now`, and of which this was known `before`.
    pub(crate) fn heard_of(before: Option<&Self>, status: &TaskStatus, now: Timestamp) -> Self {
        Self {
            task_id: status.task_id.clone(),
            agent_id: status.agent_id.clone(),
            state: status.state,
            since: before.map_or(now, |before| before.since),
            last_heard: now,
        }
    }
}
