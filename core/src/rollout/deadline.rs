//! Deployments that take too long, for pods that say how long is too long (`scheduling.upgrade.deadline`).
//!
//! Whatever a deployment waits for when its time is up, it is over then: either everything is left as it is, as
//! if a person had cancelled it by force, or another deployment leads back to the definition before, which has
//! no deadline itself. What has happened is kept with the pod until its next change.

use std::time::Duration;

use crate::marks::Mark;
use crate::model::deployment::{Deployment, DeploymentDeadline};
use crate::model::ids::PodId;
use crate::model::pod::{Deadline, DeadlineAction, PodSpec};
use crate::record::RolloutFailure;
use crate::scheduler::Scheduler;

impl Scheduler {
    /// Ends every deployment whose time is up, and does what follows from that. Without news of its copies nobody can say
    /// whether it is done, nor while there are timers that are due, or pods to look at, that this step's portion was not
    /// enough for.
    pub(crate) fn end_overdue_deployments(&mut self) {
        if !self.is_up_to_date() {
            return;
        }
        while self.state.changes.touched.is_empty()
            && self.state.due(self.now).next().is_none()
            && let Some(deployment) = self.state.overdue_deployment(self.now).cloned()
        {
            self.end_overdue(&deployment);
            // The definition before may be less patient with copies that are out of reach.
            self.on_instances_due();
            self.drive_pods();
        }
    }

    /// When a deployment of `pod` that begins now has to be done.
    pub(super) fn deadline_of(&self, pod: &PodSpec) -> Option<DeploymentDeadline> {
        let Deadline { seconds, action } = pod.scheduling.upgrade.deadline?;
        Some(DeploymentDeadline { at: self.now + Duration::from_secs(seconds), action })
    }

    fn end_overdue(&mut self, deployment: &Deployment) {
        let pods: Vec<PodId> = deployment.affected_pods().cloned().collect();
        let waits_for = pods.iter().find_map(|pod| self.why_deployment_waits(pod, self.now));
        let waits_for = waits_for.unwrap_or_else(|| "it was not done".to_owned());
        // A pod that did not exist before is not deleted: somebody will want to see what is the matter with it.
        let leads_back = deployment.deadline.is_some_and(|d| d.action == DeadlineAction::RollBack)
            && deployment.original.values().all(Option::is_some)
            && self.check_way_back(deployment).is_ok();
        let outcome = if leads_back { "rolled back" } else { "stopped" };
        self.state.remove_deployment(&deployment.id);
        let reason = format!("was {outcome} because its deadline passed: {waits_for}");
        self.announce_failure(deployment, &format!("The deployment {reason}"));
        self.mark(Mark::DeploymentOverdue);
        if leads_back {
            self.mark(Mark::DeploymentRolledBack);
            self.lead_back(deployment);
        }
        let at = self.now;
        for pod in pods {
            let failure = RolloutFailure { version: deployment.version, at, reason: reason.clone() };
            self.state.edit_pod(&pod, |pod| pod.rollout_failure = Some(failure));
        }
    }
}
