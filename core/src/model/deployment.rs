//! Deployments: accepted changes on their way to becoming true.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::{DeploymentId, GroupId, PodId};
use super::pod::DeadlineAction;
use super::time::Timestamp;

/// A change of one or more pods. While it lives, its pods are locked against other changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// Its name.
    pub id: DeploymentId,
    /// When it was accepted; also the version of the definitions it brings.
    pub version: Timestamp,
    /// The version of each pod before the change; absent if there was none.
    pub original: BTreeMap<PodId, Option<Timestamp>>,
    /// The version of each group that it deleted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub original_groups: BTreeMap<GroupId, Timestamp>,
    /// Done one after another.
    pub steps: Vec<Step>,
    /// The index of the step that is being done.
    pub current_step: usize,
    /// When it has to be done, if its pod says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<DeploymentDeadline>,
}

/// When a deployment has to be done, and what happens otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentDeadline {
    /// When.
    pub at: Timestamp,
    /// What happens then.
    pub action: DeadlineAction,
}

/// Actions that are done side by side, one for each of its pods, by pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The actions.
    pub actions: Vec<DeploymentAction>,
}

/// What a deployment does to one pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentAction {
    /// What.
    pub action: ActionKind,
    /// To which pod.
    pub pod: PodId,
    /// For [`ActionKind::ScalePod`]: so many copies must be ready before the action is done. Copies that were
    /// not ready before are not waited for.
    #[serde(default)]
    pub ready_target: u32,
    /// So many copies there were when the deployment began: while it waits for what the pod depends on, lost
    /// ones of them are replaced.
    #[serde(default)]
    pub copies_before: u32,
}

/// The kinds of [`DeploymentAction`] (`DeploymentAction` in Marathon's API).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ActionKind {
    /// Replace copies of older definitions.
    RestartPod,
    /// Bring the number of copies to what is wanted.
    ScalePod,
    /// Begin a new pod; the copies come with the next step.
    StartPod,
    /// End all copies.
    StopPod,
}

impl Deployment {
    /// The pods it changes, which are locked while it lives.
    pub fn affected_pods(&self) -> impl Iterator<Item = &PodId> {
        self.original.keys()
    }

    /// What it is doing to `pod` just now, if anything.
    pub fn current_action(&self, pod: &PodId) -> Option<&DeploymentAction> {
        self.steps.get(self.current_step)?.action(pod)
    }

    /// What it does to `pod` next, and whether it is doing that just now; nothing if it is done with it.
    pub fn next_action(&self, pod: &PodId) -> Option<(&DeploymentAction, bool)> {
        let steps = self.steps.get(self.current_step..)?;
        steps.iter().enumerate().find_map(|(ahead, step)| Some((step.action(pod)?, ahead == 0)))
    }

    /// Leaves `pods` alone from now on. What it does to others stays in its order. Of steps that have nothing left to do
    /// only later ones vanish: where it is, and the end of the current step, is known to whoever follows its events.
    pub(crate) fn release(&mut self, pods: &BTreeSet<PodId>) {
        self.original.retain(|pod, _| !pods.contains(pod));
        for step in &mut self.steps {
            step.actions.retain(|action| !pods.contains(&action.pod));
        }
        let begun = self.steps.len().min(self.current_step + 1);
        let later = self.steps.split_off(begun);
        self.steps.extend(later.into_iter().filter(|step| !step.actions.is_empty()));
    }

    /// Whether no step after the current one does anything to `pod`.
    pub fn is_last_for(&self, pod: &PodId) -> bool {
        let later = self.steps.get(self.current_step + 1..).unwrap_or_default();
        later.iter().all(|step| step.action(pod).is_none())
    }
}

impl Step {
    /// What is done to `pod`.
    pub fn action(&self, pod: &PodId) -> Option<&DeploymentAction> {
        let index = self.actions.binary_search_by(|action| action.pod.cmp(pod)).ok()?;
        self.actions.get(index)
    }
}
