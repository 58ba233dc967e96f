//! Deployments: when a step is done, what comes next, and what an unfinished one waits for.

use crate::model::deployment::{ActionKind, Deployment, DeploymentAction};
use crate::model::event::{ApiEventKind, DeploymentPlan};
use crate::model::ids::{DeploymentId, PodId};
use crate::model::time::Timestamp;
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
        if let Some(index) = self.find_unfinished(id, &step.actions) {
            self.state.note_unfinished_action(id, index);
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

    /// The index of one of `actions` that is not done. The search begins where the last one ended: a step with
    /// thousands of pods is looked at whenever something happens to one of them, and most of those looks shall
    /// end at once.
    fn find_unfinished(&self, id: &DeploymentId, actions: &[DeploymentAction]) -> Option<usize> {
        let from = self.state.unfinished_action(id).min(actions.len());
        (from..actions.len()).chain(0..from).find(|index| !self.is_done(&actions[*index]))
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
            let not_ready = pod.tally.counted().saturating_sub(pod.tally.serving());
            action.ready_target = wanted.saturating_sub(not_ready);
        }
    }

    pub(super) fn is_done(&self, action: &DeploymentAction) -> bool {
        // Some of its copies would have to go.
        !self.held.contains(&action.pod)
            && self.state.pod(&action.pod).is_none_or(|pod| blocker(pod, action).is_none())
    }

    /// What the deployment that changes `pod` waits for there, in words.
    pub(crate) fn what_deployment_waits_for(&self, pod: &PodId) -> Option<String> {
        self.what_holds_up_deployment(pod, None)
    }

    /// The same, and why copies that it waits for are not placed at `now`, which is a look at many agents.
    pub(crate) fn why_deployment_waits(&self, pod: &PodId, now: Timestamp) -> Option<String> {
        self.what_holds_up_deployment(pod, Some(now))
    }

    fn what_holds_up_deployment(&self, pod: &PodId, explained_at: Option<Timestamp>) -> Option<String> {
        let found = self.state.pod(pod)?;
        let deployment = self.state.deployments().get(found.deployment.as_ref()?)?;
        let (action, is_now) = deployment.next_action(pod)?;
        if !is_now {
            let (at, of) = (deployment.current_step + 1, deployment.steps.len());
            return Some(format!("waits for its turn: its deployment is at step {at} of {of}"));
        }
        if self.is_connected() && self.held.contains(pod) {
            return Some(
                "waits for word from Mesos of what became of its instances since it was last heard of them"
                    .to_owned(),
            );
        }
        let Some(blocker) = blocker(found, action) else {
            // Some of its copies would have to go.
            return (!self.is_connected()).then(|| "waits for a connection to the Mesos master".to_owned());
        };
        let mut text = blocker.describe(found, deployment.version);
        let still_to_be_asked = found.tally.old.wanted() > 0;
        let waits_for_others = match blocker {
            Blocker::Ready(_) | Blocker::Replaced(_) => true,
            Blocker::OldEnding(_) => still_to_be_asked,
            Blocker::Ending(_) => false,
        };
        if waits_for_others {
            if let Some(unmet) = self.unmet_dependency(pod) {
                return Some(self.describe(&unmet));
            }
            if !found.waiting.is_empty()
                && let Some(why) = explained_at.and_then(|now| self.why_pod_waits(found, now))
            {
                text += &format!("; {why}");
            }
            if let Some(until) = self.makes_place_from(pod).filter(|_| self.is_connected()) {
                text += &format!(
                    "; if they find no place beside older ones by {until}, those make it, as far as \
                     minimumHealthCapacity allows"
                );
            }
        }
        if let Some(count) = self.copies_waited_for(found).filter(|_| self.is_connected()) {
            text += &format!(
                "; Mesos has not answered yet what became of {}: until then older ones that serve stay",
                instances(count)
            );
        }
        Some(text)
    }
}

/// What an action still waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blocker {
    /// So many instances to be ready, of whatever definition.
    Ready(u32),
    /// So many instances of the new definition to be ready, so that older ones may end.
    Replaced(u32),
    /// So many instances to end.
    Ending(u32),
    /// So many instances of older definitions to end.
    OldEnding(u32),
}

/// What `action` still waits for; nothing when it is done.
fn blocker(pod: &Pod, action: &DeploymentAction) -> Option<Blocker> {
    let tally = &pod.tally;
    let stopping = tally.get(Stage::Stopping);
    let wanted = pod.spec().map_or(0, |spec| spec.instances());
    match action.action {
        ActionKind::StartPod => None,
        ActionKind::StopPod => some(tally.all()).map(Blocker::Ending),
        // Those that wait for a dependency, or that one step is not enough for, are still to come.
        ActionKind::ScalePod if tally.counted() < wanted => Some(Blocker::Ready(wanted)),
        ActionKind::ScalePod if tally.serving() < action.ready_target.min(wanted) => {
            Some(Blocker::Ready(action.ready_target.min(wanted)))
        }
        ActionKind::RestartPod if tally.current.get(Stage::Available) < wanted => {
            Some(Blocker::Replaced(wanted))
        }
        ActionKind::RestartPod if tally.old.all() > 0 => Some(Blocker::OldEnding(tally.old.all())),
        ActionKind::ScalePod | ActionKind::RestartPod => some(stopping).map(Blocker::Ending),
    }
}

fn some(count: u32) -> Option<u32> {
    (count > 0).then_some(count)
}

impl Blocker {
    /// The same in words, for a deployment of `pod` that was accepted at `accepted`.
    fn describe(self, pod: &Pod, accepted: Timestamp) -> String {
        let tally = &pod.tally;
        let (wanted, counts, ready, what) = match self {
            Self::Ending(left) => return format!("waits for {} to end", instances(left)),
            Self::OldEnding(left) => {
                return format!("waits for {} of older versions to end", instances(left));
            }
            Self::Ready(wanted) => (wanted, tally.current + tally.old, tally.serving(), ""),
            Self::Replaced(wanted) => {
                (wanted, tally.current, tally.current.get(Stage::Available), " of the new version")
            }
        };
        let mut text = format!("waits for {}{what} to be ready: {} so", instances(wanted), are(ready));
        let unsettled = if matches!(self, Self::Replaced(_)) { counts.get(Stage::Ready) } else { 0 };
        let no_room = wanted.saturating_sub(counts.counted());
        let rest = [
            (counts.get(Stage::Waiting), "waiting to be launched"),
            (counts.get(Stage::Launching), "starting"),
            (counts.get(Stage::Unready), "not healthy"),
            (unsettled, "running, but not for long enough"),
            (counts.get(Stage::Ending), "ending"),
            (counts.get(Stage::Unreachable), "out of reach"),
            (no_room, "to come when there is room"),
        ];
        // What takes that room.
        let is_replaced = matches!(self, Self::Replaced(_)) && no_room > 0;
        let in_the_way = [
            (tally.old.get(Stage::Unreachable) + tally.old.get(Stage::Inactive), "out of reach"),
            (tally.get(Stage::Stopping) + tally.old.get(Stage::Ending), "still ending"),
        ];
        for (count, how) in rest.into_iter().filter(|(count, _)| *count > 0) {
            text += &format!(", {} {how}", are(count));
        }
        for (count, how) in in_the_way.into_iter().filter(|(count, _)| is_replaced && *count > 0) {
            text += &format!("; of older ones {} {how}", are(count));
        }
        let last = pod.terminations.last().filter(|last| last.terminated_at >= accepted);
        if let Some(last) = last {
            let message = last.message.as_deref().filter(|message| !message.is_empty());
            let message = message.map(|message| format!(": {message}")).unwrap_or_default();
            text += &format!("; the last to end was {}{message}", last.condition.task_state());
        }
        text
    }
}

fn instances(count: u32) -> String {
    if count == 1 { "1 instance".to_owned() } else { format!("{count} instances") }
}

fn are(count: u32) -> String {
    if count == 1 { "1 is".to_owned() } else { format!("{count} are") }
}
