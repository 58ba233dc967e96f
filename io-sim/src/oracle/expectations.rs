//! What the author of a plan expects at certain times is true.
//!
//! An expectation that comes due while the scheduler does not run, or has not yet done what it decided, is judged
//! as soon as there is an API to be asked.

use std::collections::{BTreeMap, BTreeSet};

use podium_core::Scheduler;
use podium_core::model::ids::PodId;
use podium_core::model::time::Timestamp;
use podium_core::view::PodInstanceState;

use super::Violation;
use super::ledger::GroupKey;
use crate::plan::Claim;
use crate::world::{Scene, Seen};

const NAME: &str = "expectation";

/// Compares a run with what its author expects.
#[derive(Clone, Debug, Default)]
pub(super) struct Expectations {
    /// Those that are not judged yet: when, and which. Absent before time has passed.
    open: Option<BTreeSet<(Timestamp, usize)>>,
    /// The launches so far, with their pods.
    launches: BTreeMap<GroupKey, PodId>,
}

impl Expectations {
    pub(super) fn see(&mut self, seen: &Seen<'_>) {
        if let Seen::Launched(container) = seen
            && let Some(task) = container.task()
        {
            let key = GroupKey { instance: task.instance.uuid, incarnation: task.incarnation };
            self.launches.insert(key, task.instance.pod.clone());
        }
    }

    #[inline]
    pub(super) fn look(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        if self.is_satisfied() { Ok(()) } else { self.look_closely(scene) }
    }

    fn look_closely(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        let open = self.open.get_or_insert_with(|| {
            let expectations = scene.plan.expect.iter().enumerate();
            expectations.map(|(index, it)| (scene.start + it.at.to_duration(), index)).collect()
        });
        let Some(api) = scene.api else { return Ok(()) };
        while let Some((_, index)) = open.first().filter(|(at, _)| *at <= scene.now).copied() {
            open.pop_first();
            let expectation = &scene.plan.expect[index];
            if let Some(what) = contradiction(&expectation.that, api, &self.launches, scene) {
                let sentence = format!("expect[{index}], at {}: {what}", expectation.at);
                return Err(Violation::new(NAME, sentence));
            }
        }
        Ok(())
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.open.as_ref()?.first().map(|(at, _)| *at)
    }

    pub(super) fn is_satisfied(&self) -> bool {
        self.open.as_ref().is_some_and(BTreeSet::is_empty)
    }
}

/// What is otherwise than `claim` says.
fn contradiction(
    claim: &Claim,
    api: &Scheduler,
    launches: &BTreeMap<GroupKey, PodId>,
    scene: &Scene<'_>,
) -> Option<String> {
    let running = |id: &str| {
        let of_pod = scene.containers.tasks().filter(|(_, task)| task.instance.pod.as_str() == id);
        of_pod.filter(|(container, _)| scene.containers.has_started(container.ordinal)).count()
    };
    let differs = |what: &str, expected: Option<usize>, found: usize| {
        expected
            .filter(|expected| *expected != found)
            .map(|expected| format!("{found} {what} instead of {expected}"))
    };
    match claim {
        Claim::Deployments(expected) => {
            differs("deployments are on their way", Some(*expected), api.deployment_count())
        }
        Claim::Gone(id) => {
            if api.pod(&PodId::from(id.as_str())).is_some() {
                return Some(format!("there is a pod {id}"));
            }
            differs(&format!("containers of {id} run"), Some(0), running(id))
        }
        Claim::Pod { id, stable, instances, containers, launches: launched, waits_for } => {
            let pod = PodId::from(id.as_str());
            let Some(status) = api.pod_status(&pod, scene.clock) else {
                return Some(format!("there is no pod {id}"));
            };
            let is_stable =
                status.instances.iter().filter(|it| it.status == PodInstanceState::Stable).count();
            let launches = launches.values().filter(|of| **of == pod).count();
            let unstable = status.instances.iter().find(|it| it.status != PodInstanceState::Stable);
            let message = unstable.and_then(|it| it.message.as_deref()).unwrap_or_default();
            let differs_in_words = waits_for
                .as_deref()
                .filter(|expected| *expected != message)
                .map(|expected| format!("a copy waits for '{message}' instead of '{expected}'"));
            let differences = [
                differs("instances are stable", *stable, is_stable),
                differs("instances are shown", *instances, status.instances.len()),
                differs("containers run", *containers, running(id)),
                differs("launches there were", *launched, launches),
                differs_in_words,
            ];
            let differences: Vec<String> = differences.into_iter().flatten().collect();
            (!differences.is_empty()).then(|| format!("of pod {id}, {}", differences.join(", ")))
        }
    }
}
