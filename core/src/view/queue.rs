//! What waits to be launched, as `GET /v2/queue` shows it.

use std::sync::Arc;

use serde::Serialize;

use crate::model::ids::Role;
use crate::model::pod::PodSpec;
use crate::model::time::Timestamp;

/// Copies of one pod that wait.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueItem {
    /// How many.
    pub count: u32,
    /// The role whose offers they wait for.
    pub role: Role,
    /// The delay after failures.
    pub delay: DelayStatus,
    /// Since when the oldest of them waits.
    pub since: Timestamp,
    /// Why they wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The pod.
    pub pod: Arc<PodSpec>,
}

/// The delay after failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DelayStatus {
    /// Whole seconds until the delay ends.
    pub time_left_seconds: u64,
    /// Whether there is none or it has ended.
    pub overdue: bool,
}
