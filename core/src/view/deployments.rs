//! Deployments as `GET /v2/deployments` shows them.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::deployment::{ActionKind, Deployment, Step};
use crate::model::ids::{DeploymentId, PodId};
use crate::model::time::Timestamp;
use crate::scheduler::Scheduler;

/// A deployment on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentStatus {
    /// Its id.
    pub id: DeploymentId,
    /// When it was accepted.
    pub version: Timestamp,
    /// Always empty: Podium runs pods only. Kept because clients read it.
    pub affected_apps: [PodId; 0],
    /// The pods it changes.
    pub affected_pods: Vec<PodId>,
    /// All it does, in order.
    pub steps: Vec<StepStatus>,
    /// What it is doing now.
    pub current_actions: Vec<CurrentAction>,
    /// The number of the step it is at, from 1.
    pub current_step: usize,
    /// How many steps there are.
    pub total_steps: usize,
}

/// Actions that are done side by side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StepStatus {
    /// The actions.
    pub actions: Vec<ActionStatus>,
}

/// What a deployment does to one pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ActionStatus {
    /// What.
    pub action: ActionKind,
    /// To which pod.
    pub pod: PodId,
}

/// What a deployment is doing to one pod just now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CurrentAction {
    /// What.
    pub action: ActionKind,
    /// To which pod.
    pub pod: PodId,
    /// Always empty: pods have no readiness checks. Kept because clients read it.
    pub readiness_check_results: [PodId; 0],
    /// What it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl From<&Step> for StepStatus {
    fn from(step: &Step) -> Self {
        let actions = step.actions.iter();
        Self { actions: actions.map(|a| ActionStatus { action: a.action, pod: a.pod.clone() }).collect() }
    }
}

/// Of so many pods it is said why their copies are not placed; of others only that they wait.
const EXPLAINED_PODS: usize = 20;

impl Scheduler {
    /// The deployments on their way at `now`, oldest first.
    pub fn deployments(&self, now: Timestamp) -> Vec<DeploymentStatus> {
        // To find out why copies are not placed is a look at many agents.
        let mut explained = 0..EXPLAINED_PODS;
        let mut waits_for = |pod: &PodId| {
            let is_explained = self.has_copies_waiting(pod) && explained.next().is_some();
            if is_explained {
                self.why_deployment_waits(pod, now)
            } else {
                self.what_deployment_waits_for(pod)
            }
        };
        self.state.deployments().values().map(|d| DeploymentStatus::new(d, &mut waits_for)).collect()
    }

    fn has_copies_waiting(&self, pod: &PodId) -> bool {
        self.state.pod(pod).is_some_and(|pod| !pod.waiting.is_empty())
    }

    /// How many deployments are on their way.
    pub fn deployment_count(&self) -> usize {
        self.state.deployments().len()
    }
}

impl DeploymentStatus {
    /// Shows `deployment`; `waits_for` says what an action of it waits for.
    fn new(deployment: &Deployment, mut waits_for: impl FnMut(&PodId) -> Option<String>) -> Self {
        let current = deployment.steps.get(deployment.current_step);
        Self {
            id: deployment.id.clone(),
            version: deployment.version,
            affected_apps: [],
            affected_pods: deployment.affected_pods().cloned().collect(),
            steps: deployment.steps.iter().map(StepStatus::from).collect(),
            current_actions: current
                .into_iter()
                .flat_map(|step| &step.actions)
                .map(|action| CurrentAction {
                    action: action.action,
                    pod: action.pod.clone(),
                    readiness_check_results: [],
                    message: waits_for(&action.pod),
                })
                .collect(),
            current_step: (deployment.current_step + 1).min(deployment.steps.len()),
            total_steps: deployment.steps.len(),
        }
    }
}
