//! Deployments: when a step is done, what comes next, and what an unfinished one waits for.

use crate::model::deployment::{ActionKind, Deployment, DeploymentAction};
use crate::model::event::{ApiEventKind, DeploymentPlan};
use crate::model::ids::{DeploymentId, PodId};
use crate::scheduler::Scheduler;
use crate::state::{Pod, Stage};

impl Scheduler {
    /// Goes on with the deployment that changes `pod`, as far as things have come.
    pub(crate) fn advance_deployment_of(&mut self, pod: &PodId) {
        let Some(id) = self.state.pod(pod).and_then(|pod| pod.deployment.clone()) else { return };
        self.advance_deployment(&id);
    }

    fn advance_deployment(&mut self, id: &DeploymentId) {
        let Some(deployment) = self.state.deployments().get(id) else { return };
        let Some(step) = deployment.steps.get(deployment.current_step) else {
            self.finish_deployment(id);
            return;
        };
        if !step.actions.iter().all(|action| self.is_done(action)) {
            return;
        }
        let mut deployment = deployment.clone();
        let plan = DeploymentPlan::from(&deployment);
        let current_step = step.clone();
        self.publish(ApiEventKind::DeploymentStepSuccess { plan: plan.clone(), current_step });
        deployment.current_step += 1;
        match deployment.steps.get(deployment.current_step).cloned() {
            Some(current_step) => {
                self.publish(ApiEventKind::DeploymentInfo { plan, current_step });
                self.set_ready_targets(&mut deployment);
                self.state.put_deployment(deployment);
            }
            None => {
                self.state.put_deployment(deployment);
                self.finish_deployment(id);
            }
        }
    }

    fn finish_deployment(&mut self, id: &DeploymentId) {
        let Some(deployment) = self.state.remove_deployment(id) else { return };
        for action in deployment.steps.iter().flat_map(|step| &step.actions) {
            if action.action == ActionKind::StopPod {
                self.publish(ApiEventKind::AppTerminatedEvent { app_id: action.pod.clone() });
            }
        }
        let plan = DeploymentPlan::from(&deployment);
        self.publish(ApiEventKind::DeploymentSuccess { id: deployment.id, plan });
    }

    /// Sets, for the step that begins, how many copies must be ready before a scaling is done: as many as
    /// there shall be, less those that were not ready before. It must not wait for what it did not start.
    pub(crate) fn set_ready_targets(&self, deployment: &mut Deployment) {
        let Some(step) = deployment.steps.get_mut(deployment.current_step) else { return };
        for action in &mut step.actions {
            let Some(pod) = self.state.pod(&action.pod) else { continue };
            let wanted = pod.spec().map_or(0, |spec| spec.instances());
            let not_ready = pod.tally.counted().saturating_sub(pod.tally.get(Stage::Ready));
            action.ready_target = wanted.saturating_sub(not_ready);
        }
    }

    fn is_done(&self, action: &DeploymentAction) -> bool {
        self.state.pod(&action.pod).is_none_or(|pod| waits_for(pod, action).is_none())
    }

    /// What the deployment that changes `pod` waits for there, in words.
    pub(crate) fn what_deployment_waits_for(&self, pod: &PodId) -> Option<String> {
        let pod = self.state.pod(pod)?;
        let deployment = self.state.deployments().get(pod.deployment.as_ref()?)?;
        waits_for(pod, deployment.current_action(&pod.state.id)?)
    }
}

/// What `action` still waits for; nothing when it is done.
fn waits_for(pod: &Pod, action: &DeploymentAction) -> Option<String> {
    let tally = &pod.tally;
    let ready = tally.get(Stage::Ready);
    let stopping = tally.get(Stage::Stopping);
    let wanted = pod.spec().map_or(0, |spec| spec.instances());
    match action.action {
        ActionKind::StartPod => None,
        ActionKind::StopPod => {
            let left = tally.all();
            (left > 0).then(|| format!("waits for {left} instances to end"))
        }
        ActionKind::ScalePod if ready < action.ready_target.min(wanted) => {
            let target = action.ready_target.min(wanted);
            Some(format!("waits for {target} instances to run and be healthy; {ready} are"))
        }
        ActionKind::RestartPod if tally.current.get(Stage::Ready) < wanted => {
            let replaced = tally.current.get(Stage::Ready);
            Some(format!(
                "waits for {wanted} instances of the new version to run and be healthy; {replaced} are"
            ))
        }
        ActionKind::RestartPod if tally.old.all() > 0 => {
            let left = tally.old.all();
            Some(format!("waits for {left} instances of older versions to end"))
        }
        ActionKind::ScalePod | ActionKind::RestartPod => {
            (stopping > 0).then(|| format!("waits for {stopping} instances to end"))
        }
    }
}
