//! No copy goes by old news: after a new subscription, or when the scheduler could not look for a while, nobody is chosen to
//! end before Mesos has said how the others are that are to stay in its place, or has had time to.
//!
//! ```text
//!   subscribed ──► word of A ──► word of B ──► word of C
//!   ├─ A may not go for B and C ─┤              └─ now it may
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use podium_core::Input;
use podium_core::model::ids::TaskId;
use podium_core::model::mesos::Event;
use podium_core::model::time::Timestamp;

use super::ledger::{Copy, CopyChange, Group, Ledger};
use super::{Violation, selection, short};
use crate::world::{Scene, Seen};

const NAME: &str = "news";

/// Mesos has at least so long to answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// What was heard since the subscription began, or the scheduler could look again.
#[derive(Clone, Debug, Default)]
pub(super) struct News {
    /// When it began, by the scheduler's clock.
    since: Option<Timestamp>,
    heard_of: BTreeSet<TaskId>,
    /// When the scheduler was told of the newest one.
    stepped_at: Option<Timestamp>,
}

impl News {
    pub(super) fn see(
        &mut self,
        seen: &Seen<'_>,
        ledger: &Ledger,
        scene: &Scene<'_>,
    ) -> Result<(), Violation> {
        match seen {
            Seen::Stepped { input: Input::Event(event), .. }
                if matches!(**event, Event::Subscribed { .. }) =>
            {
                self.stepped_at = Some(scene.clock);
            }
            Seen::Stepped { input: Input::Resumed, .. } => {
                self.since = Some(scene.clock);
                self.heard_of.clear();
            }
            // The write may have taken long.
            Seen::Heard(Event::Subscribed { .. }) => {
                self.since = Some(self.stepped_at.unwrap_or(scene.clock));
                self.heard_of.clear();
            }
            Seen::Heard(Event::Update(status)) if self.since.is_some() => {
                self.heard_of.insert(status.task_id.clone());
            }
            Seen::Written(_) => {
                if self.since.is_some_and(|since| scene.clock.since(since) >= PATIENCE) {
                    self.since = None;
                    self.heard_of.clear();
                }
                if self.since.is_some() {
                    ledger.changes.iter().try_for_each(|change| self.judge(change, ledger, scene))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// One that ends by choice leaves only such that were heard of.
    fn judge(&self, change: &CopyChange, ledger: &Ledger, scene: &Scene<'_>) -> Result<(), Violation> {
        let spec = scene.store.spec(&change.id.pod).filter(|spec| spec.instances() > 0);
        let (Some(spec), Some(victim)) = (spec, change.was.as_ref()) else { return Ok(()) };
        let serves = |copy: &Copy| {
            let group = ledger.newest_of(copy.id.uuid).filter(|group| group.incarnation == copy.incarnation);
            group.filter(|group| {
                scene.store.version(&spec.id, copy.version).is_some_and(|of| group.serves(of))
            })
        };
        if !selection::is_ended(change, ledger) || serves(victim).is_none() {
            return Ok(());
        }
        let stays = |copy: &&Copy| copy.wanted && copy.id != change.id;
        let unheard = ledger
            .copies_of(&spec.id)
            .filter(stays)
            .find(|copy| serves(copy).is_some_and(|group| !self.has_heard_of(group)));
        match unheard {
            None => Ok(()),
            Some(other) => Err(Violation::new(
                NAME,
                format!(
                    "{} is ended although nothing was heard since the subscription of {}, which is to stay",
                    short(&change.id),
                    short(&other.id)
                ),
            )),
        }
    }

    /// Whether nothing was heard of `group` yet that is not old news.
    pub(super) fn lacks_word_of(&self, group: &Group) -> bool {
        self.since.is_some() && !self.has_heard_of(group)
    }

    fn has_heard_of(&self, group: &Group) -> bool {
        group.task_ids().any(|task| self.heard_of.contains(&task))
    }
}
