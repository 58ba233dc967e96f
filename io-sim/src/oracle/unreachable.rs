//! Copies that are out of reach are treated as their pod's `unreachableStrategy` says (Pods page,
//! unreachableStrategy).
//!
//! ```text
//!   out of reach ──── inactiveAfter ────► counts as lost ──── expungeAfter ────► given up
//!    keeps its place                       another one takes                      killed should it
//!    in the count                          its place                              come back
//! ```
//!
//! Neither step comes by old news, neither comes early, neither comes late, and with `disabled` neither comes. Windows are
//! measured from the time at which the master gave the agent up, by the scheduler's clock: it has no other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use podium_core::Input;
use podium_core::model::ids::{InstanceId, TaskId, Uuid};
use podium_core::model::mesos::{Call, Event, TaskState};
use podium_core::model::pod::UnreachableStrategy;
use podium_core::model::time::Timestamp;

use super::definitions::replaces;
use super::ledger::{Copy, CopyChange, Ledger};
use super::news::News;
use super::{Violation, short};
use crate::plan::Span;
use crate::world::{Scene, Seen};

const NAME: &str = "unreachable";
/// So late may be what is due: the scheduler may be waiting for Mesos to say, for 15 s, whether it is still so, or writing.
const PATIENCE: Duration = Duration::from_secs(30);

/// So often somebody looks for what is late.
const INTERVAL: Duration = Duration::from_secs(1);

/// Watches over copies that are out of reach.
#[derive(Clone, Debug, Default)]
pub(super) struct Unreachable {
    /// The latest time that the scheduler's clock has ever shown.
    latest: Timestamp,
    /// Since when there has been a connection on which Mesos was asked about everything: before that nobody can say whether a
    /// copy is still out of reach.
    asked_since: Option<Timestamp>,
    /// Since when something has been due for a copy, in true time.
    due_since: BTreeMap<Uuid, Timestamp>,
    /// Copies that count as lost while others are still to take their places, with since when.
    unreplaced: BTreeMap<InstanceId, Timestamp>,
    /// Copies that were given up although nobody saw them end.
    given_up: BTreeSet<Uuid>,
    /// Tasks of those that turned out to be alive, with when that became known: they are to be killed.
    returned: BTreeMap<TaskId, Timestamp>,
    next_look: Timestamp,
}

impl Unreachable {
    pub(super) fn see(
        &mut self,
        seen: &Seen<'_>,
        ledger: &Ledger,
        news: &News,
        scene: &Scene<'_>,
    ) -> Result<(), Violation> {
        self.latest = self.latest.max(scene.clock);
        match seen {
            Seen::Written(_) => {
                for change in &ledger.changes {
                    self.see_change(change, ledger, news, scene)?;
                }
            }
            Seen::Heard(Event::Update(status)) => {
                let is_alive = matches!(
                    status.state,
                    TaskState::TaskStaging
                        | TaskState::TaskStarting
                        | TaskState::TaskRunning
                        | TaskState::TaskKilling
                );
                if !self.given_up.is_empty()
                    && let Ok(id) = status.task_id.parse()
                    && self.given_up.contains(&id.uuid)
                {
                    if is_alive {
                        self.returned.entry(status.task_id.clone()).or_insert(scene.now);
                    } else {
                        self.returned.remove(&status.task_id);
                    }
                }
            }
            Seen::Call(Call::Kill { task_id, .. }) => {
                self.returned.remove(task_id);
            }
            // The end of the first round of questions.
            Seen::Call(Call::Reconcile { tasks }) if tasks.is_empty() => {
                self.asked_since.get_or_insert(scene.now);
            }
            // Everything is asked about again.
            Seen::Stepped { input: Input::Resumed, .. } => self.asked_since = None,
            Seen::Died { .. } | Seen::Disconnected => {
                self.asked_since = None;
                // On the next connection the master says again what lives.
                self.returned.clear();
            }
            _ => {}
        }
        Ok(())
    }

    fn see_change(
        &mut self,
        change: &CopyChange,
        ledger: &Ledger,
        news: &News,
        scene: &Scene<'_>,
    ) -> Result<(), Violation> {
        let Some(was) = &change.was else { return Ok(()) };
        let group = ledger.newest_of(change.id.uuid).filter(|group| group.incarnation == was.incarnation);
        if change.is.is_none() && group.is_some_and(|group| !group.has_ended()) {
            self.given_up.insert(change.id.uuid);
        }
        if !was.wanted {
            return Ok(());
        }
        let since = group
            .and_then(|group| group.members.values().filter_map(|member| member.unreachable_since).min());
        let strategy = || {
            let spec = scene.store.spec(&change.id.pod);
            spec.map_or(UnreachableStrategy::DISABLED, |spec| spec.scheduling.unreachable_strategy)
        };
        let is = change.is.as_ref();
        let is_given_up = is.is_none_or(|copy| !copy.wanted);
        let check_news = |what: &str| match group.is_some_and(|group| news.lacks_word_of(group)) {
            true => Err(Violation::new(
                NAME,
                format!(
                    "{} is {what} although Mesos has not said again that it is out of reach",
                    short(&change.id)
                ),
            )),
            false => Ok(()),
        };
        if !was.inactive && is.is_some_and(|copy| copy.inactive) {
            check_news("counted as lost")?;
            self.check_window(change, since, strategy().inactive_after(), "counted as lost")?;
            if !is_given_up {
                // A step does not do everything: the next ones may be about to replace it.
                self.unreplaced.insert(change.id.clone(), scene.now);
            }
        }
        if since.is_some() && is_given_up && !may_be_given_up(change, was, ledger, scene) {
            check_news("given up")?;
            self.check_window(change, since, strategy().expunge_after(), "given up")?;
        }
        Ok(())
    }

    /// Whether the window of `change`'s copy, out of reach since `since`, was over after `after`.
    fn check_window(
        &self,
        change: &CopyChange,
        since: Option<Timestamp>,
        after: Option<Duration>,
        what: &str,
    ) -> Result<(), Violation> {
        let name = short(&change.id);
        let sentence = match (since, after) {
            (None, _) => format!("{name} is {what} although it was never out of reach"),
            (Some(_), None) => format!("{name} is {what} although its pod's strategy is disabled"),
            (Some(since), Some(after)) => {
                let passed = self.latest.since(since);
                if passed >= after {
                    return Ok(());
                }
                let (passed, after) = (Span::from(passed), Span::from(after));
                format!("{name} is {what} {passed} after it went out of reach, which is less than {after}")
            }
        };
        Err(Violation::new(NAME, sentence))
    }

    #[inline]
    pub(super) fn look(&mut self, ledger: &Ledger, scene: &Scene<'_>) -> Result<(), Violation> {
        self.latest = self.latest.max(scene.clock);
        if self.next_look > scene.now { Ok(()) } else { self.look_closely(ledger, scene) }
    }

    fn look_closely(&mut self, ledger: &Ledger, scene: &Scene<'_>) -> Result<(), Violation> {
        self.next_look = scene.now + INTERVAL;
        let late = |since: Timestamp| {
            let able_since = scene.awake_since?.max(self.asked_since?);
            Some(scene.now.since(since.max(able_since))).filter(|late| *late > PATIENCE)
        };
        if let Some((task, by)) = self.returned.iter().find_map(|(task, since)| Some((task, late(*since)?))) {
            let sentence = format!("{task} came back {by:?} after it was given up, and is not killed");
            return Err(Violation::new(NAME, sentence));
        }
        self.unreplaced.retain(|copy, _| !is_replaced(copy, ledger, scene));
        if let Some(copy) = self.unreplaced.iter().find_map(|(copy, since)| late(*since).map(|_| copy)) {
            let name = short(copy);
            return Err(Violation::new(
                NAME,
                format!("{name} counts as lost, and no other copy takes its place"),
            ));
        }
        self.due_since.retain(|uuid, _| ledger.unreachable.contains(uuid));
        for uuid in &ledger.unreachable {
            let Some(group) = ledger.newest_of(*uuid) else { continue };
            let copy = ledger.copies.get(&group.instance.pod).and_then(|copies| copies.get(uuid));
            let what = copy.and_then(|copy| what_is_due(copy, ledger, scene));
            let Some(what) = what else {
                self.due_since.remove(uuid);
                continue;
            };
            let since = *self.due_since.entry(*uuid).or_insert(scene.now);
            if let Some(by) = late(since) {
                let sentence = format!("{} should have been {what} {by:?} ago", short(&group.instance));
                return Err(Violation::new(NAME, sentence));
            }
        }
        Ok(())
    }
}

/// What should have become of `copy`, which is out of reach, by now.
fn what_is_due(copy: &Copy, ledger: &Ledger, scene: &Scene<'_>) -> Option<&'static str> {
    let since = ledger.unreachable_since(copy.id.uuid).filter(|_| copy.wanted)?;
    let strategy = scene.store.spec(&copy.id.pod)?.scheduling.unreachable_strategy;
    let passed = scene.clock.since(since);
    if copy.inactive {
        strategy.expunge_after().filter(|after| passed > *after).map(|_| "given up")
    } else {
        strategy.inactive_after().filter(|after| passed > *after).map(|_| "counted as lost")
    }
}

/// Whether there is another reason to end a copy that is out of reach than that its time is over: a client asked
/// for it, its pod changes in a way that replaces it, or there are enough others.
fn may_be_given_up(change: &CopyChange, was: &Copy, ledger: &Ledger, scene: &Scene<'_>) -> bool {
    let pod = &change.id.pod;
    let Some(spec) = scene.store.spec(pod) else { return true };
    // Those that the same step brought took its place, or that of others; and those whose time was over in it may have been
    // there when it was decided who goes.
    let was_there = |copy: &Copy| {
        let change = ledger.changes.iter().find(|change| change.id == copy.id);
        change.map_or(!copy.inactive, |change| {
            change.was.as_ref().is_some_and(|was| !was.inactive || !copy.inactive)
        })
    };
    let others = ledger.copies_of(pod).filter(|copy| copy.wanted && was_there(copy)).count();
    let is_deploying = ledger.is_deploying(pod);
    ledger.is_killed(was)
        || others >= spec.instances() as usize && (is_deploying || !was.inactive || spec.instances() == 0)
        || is_deploying && scene.store.version(pod, was.version).is_some_and(|old| replaces(spec, old))
}

/// Whether the pod of `copy`, which counts as lost, has enough others, or is not to have any. While a deployment changes
/// the pod, its own rules decide.
fn is_replaced(copy: &InstanceId, ledger: &Ledger, scene: &Scene<'_>) -> bool {
    let pod = &copy.pod;
    let is_lost = |copy: &Copy| copy.wanted && copy.inactive;
    if !ledger.copies.get(pod).and_then(|copies| copies.get(&copy.uuid)).is_some_and(is_lost) {
        return true;
    }
    let Some(spec) = scene.store.spec(pod) else { return true };
    let others = ledger.copies_of(pod).filter(|copy| copy.wanted && !copy.inactive).count();
    others >= spec.instances() as usize || ledger.is_deploying(pod)
}
