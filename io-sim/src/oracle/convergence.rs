//! Once nothing is broken any more, everything becomes as clients want it, and stays so.
//!
//! What clients want is what the API shows as definitions; what there is, is the containers that really exist.
//! Not to get there is excused only if nothing but room is missing: see [`super::feasibility`].

use std::time::Duration;

use podium_core::Scheduler;
use podium_core::model::ids::TaskId;
use podium_core::model::mesos::{Call, OperationInfo};
use podium_core::model::time::Timestamp;
use podium_core::view::{PodInstanceState, PodStatus};

use super::feasibility;
use super::ledger::Ledger;
use super::{Violation, short};
use crate::world::{Scene, Seen};

const NAME: &str = "convergence";
/// So often somebody looks whether everything is as it should be.
const INTERVAL: Duration = Duration::from_secs(1);

/// Waits for everything to be as clients want it.
#[derive(Clone, Debug, Default)]
pub(super) struct Convergence {
    mended_at: Option<Timestamp>,
    next_look: Option<Timestamp>,
    /// Since when everything is as it should be.
    since: Option<Timestamp>,
    /// The container that the scheduler tried to kill last although it had ended. It cannot know before it
    /// hears of the end, but then it has to stop.
    killed_in_vain: Option<TaskId>,
    satisfied: bool,
}

impl Convergence {
    pub(super) fn see(
        &mut self,
        seen: &Seen<'_>,
        ledger: &Ledger,
        scene: &Scene<'_>,
    ) -> Result<(), Violation> {
        if !scene.plan.converges {
            return Ok(());
        }
        match seen {
            Seen::Mended => {
                self.mended_at = Some(scene.now);
                self.next_look = Some(scene.now);
            }
            Seen::Time => return self.look(ledger, scene),
            Seen::Call(Call::Kill { task_id, .. }) if self.since.is_some() && !ledger.is_live(task_id) => {
                self.since = None;
                self.killed_in_vain = Some(task_id.clone());
            }
            _ => {
                if let (Some(since), Some(what)) = (self.since, change(seen)) {
                    let ago = scene.now.since(since);
                    let sentence = format!("everything was as it should be for {ago:?}, and then {what}");
                    return Err(Violation::new(NAME, sentence));
                }
            }
        }
        Ok(())
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.next_look
    }

    pub(super) fn is_satisfied(&self) -> bool {
        self.satisfied
    }

    fn look(&mut self, ledger: &Ledger, scene: &Scene<'_>) -> Result<(), Violation> {
        let Some(mended_at) = self.mended_at else { return Ok(()) };
        if self.next_look.is_some_and(|at| at > scene.now) {
            return Ok(());
        }
        self.next_look = Some(scene.now + INTERVAL);
        if let Some(since) = self.since {
            self.satisfied = scene.now.since(since) >= scene.plan.quiet.to_duration();
            return Ok(());
        }
        let missing = match scene.api {
            Some(api) => missing(api, ledger, scene),
            None => Some("the scheduler does not run".to_owned()),
        };
        let waited = scene.now.since(mended_at);
        let is_late = waited >= scene.plan.settle.to_duration();
        let missing = match (missing, &self.killed_in_vain) {
            (Some(missing), _) => missing,
            (None, Some(task)) if is_late => format!("the scheduler still kills {task}, which has ended"),
            (None, _) => {
                self.since = Some(scene.now);
                return Ok(());
            }
        };
        if !is_late {
            return Ok(());
        }
        if scene.api.is_some_and(|api| feasibility::is_excused(api, ledger, scene)) {
            self.satisfied = true;
            return Ok(());
        }
        let sentence = format!("{} after everything was mended, {missing}", crate::plan::Span::from(waited));
        Err(Violation::new(NAME, sentence))
    }
}

/// The first thing that is not as it should be.
fn missing(api: &Scheduler, ledger: &Ledger, scene: &Scene<'_>) -> Option<String> {
    if ledger.answered < scene.plan.workload.iter().filter(|planned| planned.on.is_none()).count() {
        return Some("some request of a client has not been answered".to_owned());
    }
    if let Some(deployment) = api.deployments().first() {
        let why = deployment.current_actions.iter().filter_map(|action| action.message.clone()).next();
        let pods: Vec<&str> = deployment.affected_pods.iter().map(|pod| pod.as_str()).collect();
        let others = deployment.affected_pods.iter().filter_map(|pod| api.pod_status(pod, scene.clock));
        let other = others.map(|status| first_unstable(&status)).collect::<String>();
        let why = why.unwrap_or_else(|| "it does not say why".to_owned());
        return Some(format!("a deployment of {} is not done: {why}{other}", pods.join(", ")));
    }
    let mut groups = 0;
    for spec in api.pods() {
        let status = api.pod_status(&spec.id, scene.clock)?;
        let wanted = spec.instances() as usize;
        let stable = status.instances.iter().filter(|i| i.status == PodInstanceState::Stable).count();
        if status.instances.len() != wanted || stable != wanted {
            return Some(format!(
                "pod {} has {stable} of {wanted} instances stable and {} in all{}",
                spec.id,
                status.instances.len(),
                first_unstable(&status)
            ));
        }
        for instance in &status.instances {
            let mut live = ledger.groups_of(instance.id.uuid).filter(|group| group.is_live());
            let is_there = live
                .next()
                .is_some_and(|group| group.incarnation == instance.incarnation && group.is_whole());
            if !is_there {
                return Some(format!("{} is STABLE, but not all of it runs", short(&instance.id)));
            }
            groups += 1;
        }
    }
    let live = ledger.groups.values().filter(|group| group.is_live());
    if live.clone().count() != groups {
        let wanted = |group: &super::ledger::Group| {
            api.pod_status(&group.instance.pod, scene.clock)
                .is_some_and(|status| status.instances.iter().any(|instance| instance.id == group.instance))
        };
        let stray = live.clone().find(|group| !wanted(group));
        let name = stray.map_or_else(|| "some instance".to_owned(), |group| short(&group.instance));
        return Some(format!("{name} still runs, and nobody wants it"));
    }
    None
}

/// The first instance that is not stable, and why.
fn first_unstable(status: &PodStatus) -> String {
    let unstable = status.instances.iter().find(|instance| instance.status != PodInstanceState::Stable);
    unstable
        .map(|instance| {
            let why = instance.message.as_deref().unwrap_or_default();
            format!("; {} is {:?}: {why}", short(&instance.id), instance.status)
        })
        .unwrap_or_default()
}

/// What of `seen` must not happen once everything is as it should be.
fn change(seen: &Seen<'_>) -> Option<String> {
    match seen {
        Seen::Call(Call::Accept { operations, .. }) => operations
            .iter()
            .any(|operation| matches!(operation.info, OperationInfo::LaunchGroup(_)))
            .then(|| "the scheduler launched something".to_owned()),
        Seen::Call(Call::Kill { task_id, .. }) => Some(format!("the scheduler killed {task_id}")),
        Seen::Launched(container) => Some(format!("container {} was launched", container.id)),
        Seen::Ended { container, .. } => container.task().map(|task| format!("task {} ended", task.task_id)),
        _ => None,
    }
}
