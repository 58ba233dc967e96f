//! What a command would do (`?dryRun=true`).

use schemars::JsonSchema;
use serde::Serialize;

use super::deployments::StepStatus;
use crate::model::ids::{DeploymentId, InstanceId, PodId};

/// What a command would do, provided that everything goes well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The steps of the deployment, in order; none if nothing has to be started or ended.
    pub steps: Vec<StepStatus>,
    /// Deployments on their way that would be cancelled.
    pub cancels: Vec<DeploymentId>,
    /// For whom the deployment would wait before it begins. The rest of the plan is what comes after that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// The copies that would be started, in order.
    pub start: Vec<PlannedStart>,
    /// The copies that would be ended, in order.
    pub kill: Vec<PlannedKill>,
    /// Whether the deployment would be done after the last round. Otherwise it would go on for more rounds than
    /// are shown, or wait for copies that are neither started nor ended by it.
    pub is_complete: bool,
}

/// New copies of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedStart {
    /// When, from 1. What happens in one round happens side by side; the next one begins when the copies
    /// started in this one run and are healthy, and those ended in it are gone.
    pub round: u32,
    /// The pod.
    pub pod: PodId,
    /// How many. They have no names yet.
    pub instances: u32,
}

/// A copy that is ended. One with persistent volumes comes back as the new version, unless there are too many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedKill {
    /// When, as for [`PlannedStart::round`].
    pub round: u32,
    /// The pod.
    pub pod: PodId,
    /// The copy. One that the plan itself has started before is not named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
}
