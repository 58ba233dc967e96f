//! A rollout never has fewer copies that serve than `minimumHealthCapacity` allows, nor more copies than
//! `maximumOverCapacity` does (Pods page, Rolling upgrades).
//!
//! *Floor.* While a new definition replaces an old one, the scheduler may end a copy that serves, be it an old or a new
//! one, only if enough others serve. What containers do by themselves, and what clients ask to be killed, is not its fault; but what
//! is to be killed does not count among those that serve. Others serve if Mesos has told the scheduler so, and not otherwise
//! since: news that are on their way nobody can go by. But they do not travel for ever: a copy that has really been gone
//! for a minute in which nothing was broken does not count whatever was said of it, since its scheduler has had time to
//! hear of it, or to ask and to hear nothing, as of an agent that a new master waits for. Health has no such rule: by when
//! it must be noticed depends on the checks.
//!
//! *Ceiling.* A new copy may come only if there is room for it; those that are still ending take up room, whether or
//! not there is a record of them. Where
//! both factors leave no room to move, one more than the ceiling is allowed, as for Marathon. Outside of
//! rollouts the ceiling is the number of copies that is wanted. Copies that are out of reach take up room until
//! they count as lost, which [`super::unreachable`] judges.

use std::collections::BTreeSet;
use std::time::Duration;

use podium_core::model::deployment::ActionKind;
use podium_core::model::ids::PodId;
use podium_core::model::pod::PodSpec;
use podium_core::model::time::Timestamp;

use super::ledger::{Copy, Group, Ledger};
use super::{Violation, short};
use crate::world::{Scene, Seen};

const FLOOR: &str = "floor";
const CEILING: &str = "ceiling";
/// In a time without faults everybody has heard of what happened so long ago. An agent that is not answered says it
/// again after 10 s, and once more after 20 s.
const TRAVEL: Duration = Duration::from_secs(60);

/// Looks at every step that changed which copies there are.
pub(super) fn see(seen: &Seen<'_>, ledger: &Ledger, scene: &Scene<'_>) -> Result<(), Violation> {
    if !matches!(seen, Seen::Written(_)) {
        return Ok(());
    }
    let pods: BTreeSet<&PodId> = ledger.changes.iter().map(|change| &change.id.pod).collect();
    for pod in pods {
        let Some(spec) = scene.store.spec(pod) else { continue };
        ceiling(spec, ledger, scene)?;
        floor(spec, ledger, scene)?;
    }
    Ok(())
}

fn ceiling(spec: &PodSpec, ledger: &Ledger, scene: &Scene<'_>) -> Result<(), Violation> {
    let is_new = |change: &&super::ledger::CopyChange| {
        change.id.pod == spec.id && change.was.is_none() && change.is.is_some()
    };
    let Some(new) = ledger.changes.iter().find(is_new) else { return Ok(()) };
    let is_replacing = is_replacing(&spec.id, scene);
    let (_, most) = if is_replacing { bounds(spec) } else { (0, spec.instances() as usize) };
    let takes_room = |copy: &&Copy| !copy.inactive && (copy.wanted || is_replacing);
    let dropped = ledger.dropped(&spec.id);
    let there = ledger.copies_of(&spec.id).filter(takes_room).count() + dropped;
    if there <= most {
        return Ok(());
    }
    let still = if dropped > 0 {
        format!(", {dropped} of them still running without a record")
    } else {
        String::new()
    };
    let sentence = format!(
        "{} is wanted in addition, which makes {there} copies of pod {}{still}, where {most} are the most",
        short(&new.id),
        spec.id
    );
    Err(Violation::new(CEILING, sentence))
}

fn floor(spec: &PodSpec, ledger: &Ledger, scene: &Scene<'_>) -> Result<(), Violation> {
    if !is_replacing(&spec.id, scene) {
        return Ok(());
    }
    let serves = |copy: &Copy| {
        let launched_from = scene.store.version(&spec.id, copy.version);
        let group = ledger.newest_of(copy.id.uuid).filter(|group| group.incarnation == copy.incarnation);
        !copy.ending
            && !ledger.is_killed(copy)
            && group.zip(launched_from).is_some_and(|(group, spec)| group.serves(spec))
    };
    let was_ended = |change: &&super::ledger::CopyChange| {
        change.id.pod == spec.id
            && change.is.as_ref().is_none_or(|copy| !copy.wanted || copy.ending)
            && change.was.as_ref().is_some_and(|copy| copy.wanted && serves(copy))
    };
    let Some(ended) = ledger.changes.iter().find(was_ended) else { return Ok(()) };
    let (least, _) = bounds(spec);
    let is_gone = |copy: &Copy| {
        let broken_since = ledger.newest_of(copy.id.uuid).and_then(Group::broken_since);
        let calm = broken_since.zip(scene.calm_since).map(|(broken, calm): (Timestamp, _)| broken.max(calm));
        calm.is_some_and(|since| scene.now.since(since) >= TRAVEL)
    };
    let (gone, serving): (Vec<&Copy>, Vec<&Copy>) =
        ledger.copies_of(&spec.id).filter(|copy| copy.wanted && serves(copy)).partition(|copy| is_gone(copy));
    let serving = serving.len();
    if serving >= least {
        return Ok(());
    }
    let gone = gone.first().map(|copy| format!("; {} is gone, although nobody said so", short(&copy.id)));
    let sentence = format!(
        "{} served and is ended in a rollout, which leaves {serving} copies of pod {} that serve, \
         where {least} are the least{}",
        short(&ended.id),
        spec.id,
        gone.unwrap_or_default()
    );
    Err(Violation::new(FLOOR, sentence))
}

/// Whether a deployment is replacing copies of the pod just now.
pub(super) fn is_replacing(pod: &PodId, scene: &Scene<'_>) -> bool {
    let mut actions = scene.store.deployments().filter_map(|deployment| deployment.current_action(pod));
    actions.any(|action| action.action == ActionKind::RestartPod)
}

/// The fewest copies that must serve and the most that may exist, in whole thousandths so that nothing is lost
/// to the way numbers are kept.
pub(super) fn bounds(spec: &PodSpec) -> (usize, usize) {
    let instances = spec.instances() as usize;
    let thousandths =
        |factor: f64| (0..=1000).find(|t| f64::from(*t) >= factor * 1000.0 - 0.5).unwrap_or(1000);
    let upgrade = spec.scheduling.upgrade;
    let least = (instances * thousandths(upgrade.minimum_health_capacity.0) as usize).div_ceil(1000);
    let over = instances * thousandths(upgrade.maximum_over_capacity.0) as usize / 1000;
    let most = instances + over;
    match (least == most, spec.is_resident()) {
        (false, _) => (least, most),
        (true, false) => (least, most + 1),
        (true, true) => (least.saturating_sub(1), most),
    }
}
