//! While it is subscribed, the scheduler asks Mesos again and again: about each copy, and what else there may be.
//!
//! ```text
//!   A runs ──► RECONCILE A … ──► RECONCILE of all ──► it is looked whether both have come
//!   └──── twice the interval, and some patience ────┘
//! ```

use std::time::Duration;

use podium_core::Config;
use podium_core::model::ids::TaskId;
use podium_core::model::mesos::{Call, TaskState};
use podium_core::model::time::Timestamp;
use rustc_hash::FxHashSet;

use super::ledger::{Group, GroupKey, Ledger};
use super::{Violation, short};
use crate::digest::Digest;
use crate::world::{Scene, Seen};

const NAME: &str = "questions";
/// A round takes a while where little is asked at once, and a clock may be set back.
const PATIENCE: Duration = Duration::from_secs(3 * 60);

/// What was asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Questions {
    /// Since when somebody listens.
    since: Option<Timestamp>,
    next_look: Option<Timestamp>,
    /// Since then Mesos was asked what it knows.
    asked_for_all: bool,
    /// Hashes of the tasks that it was asked about.
    asked: FxHashSet<u64>,
    /// The launches that ran then.
    running: Vec<GroupKey>,
}

impl Questions {
    pub(super) fn see(&mut self, seen: &Seen<'_>, ledger: &Ledger, scene: &Scene<'_>) {
        match seen {
            Seen::Subscribed => self.begin(ledger, scene),
            Seen::Died { .. } | Seen::Disconnected => *self = Self::default(),
            Seen::Call(Call::Reconcile { tasks }) if self.since.is_some() => {
                self.asked_for_all |= tasks.is_empty();
                self.asked.extend(tasks.iter().map(|task| hash(&task.task_id)));
            }
            _ => {}
        }
    }

    pub(super) fn look(&mut self, ledger: &Ledger, scene: &Scene<'_>) -> Result<(), Violation> {
        let Some(since) = self.since.filter(|_| self.next_look.is_some_and(|at| at <= scene.now)) else {
            return Ok(());
        };
        // Who sleeps asks nobody.
        if scene.awake_since.is_some_and(|awake| awake <= since) {
            self.judge(since, ledger, scene)?;
        }
        self.begin(ledger, scene);
        Ok(())
    }

    fn begin(&mut self, ledger: &Ledger, scene: &Scene<'_>) {
        let interval = match scene.plan.scheduler.reconciliation_interval {
            Some(interval) => interval.to_duration(),
            None => Config::default().reconciliation_interval,
        };
        self.since = Some(scene.now);
        self.next_look = Some(scene.now + 2 * interval + PATIENCE);
        self.asked_for_all = false;
        self.asked.clear();
        self.running.clear();
        let running = ledger.groups.iter().filter(|(key, group)| runs(group) && is_newest(**key, ledger));
        self.running.extend(running.map(|(key, _)| *key));
    }

    fn judge(&self, since: Timestamp, ledger: &Ledger, scene: &Scene<'_>) -> Result<(), Violation> {
        let waited = scene.now.since(since);
        if !self.asked_for_all {
            let sentence = format!("for {waited:?}, with a subscription, Mesos was not asked what it knows");
            return Err(Violation::new(NAME, sentence));
        }
        let unasked = self.running.iter().find_map(|key| {
            let group = ledger.groups.get(key).filter(|group| runs(group) && is_newest(*key, ledger))?;
            group.task_ids().any(|task| !self.asked.contains(&hash(&task))).then_some(group)
        });
        match unasked {
            None => Ok(()),
            Some(group) => {
                let name = short(&group.instance);
                Err(Violation::new(
                    NAME,
                    format!("for {waited:?}, Mesos was not asked about {name}, which runs"),
                ))
            }
        }
    }
}

/// Whether all of it runs and is in reach, as far as anybody can say.
fn runs(group: &Group) -> bool {
    let runs = |heard| heard == Some(TaskState::TaskRunning);
    group.members.values().all(|member| runs(member.heard) && member.unreachable_since.is_none())
}

/// Whether it is the launch that the scheduler has a record of.
fn is_newest(key: GroupKey, ledger: &Ledger) -> bool {
    let group = ledger.groups.get(&key);
    let copies = group.and_then(|group| ledger.copies.get(&group.instance.pod));
    let copy = copies.and_then(|copies| copies.get(&key.instance));
    copy.is_some_and(|copy| copy.incarnation == key.incarnation)
}

fn hash(task: &TaskId) -> u64 {
    Digest::of(&[task.as_str()])
}
