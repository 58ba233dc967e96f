//! A pod's copies in the order in which they would have to go, so that to choose a few of many costs a look at a few.
//!
//! ```text
//!              least useful ──────────────────────► most useful
//!   current  │ waiting │ launching │ … │ serving: oldest … youngest │
//!   older    │ waiting │ launching │ … │ serving: oldest … youngest │
//! ```
//!
//! A pod has them only while copies of it are chosen again and again, as a rollout does: they are made when first needed,
//! kept up to date with every change of a copy, and dropped when the pod comes to rest. Copies that go already are not in
//! them. Nothing depends on whether they are there but the time that a choice takes.

use std::collections::BTreeSet;

use super::selection::{age, usefulness};
use crate::model::ids::Uuid;
use crate::model::instance::Instance;
use crate::model::pod::KillSelection;
use crate::model::time::Timestamp;
use crate::state::Stage;

/// What decides when a copy goes.
type Rank = (u8, (Timestamp, Uuid));

/// Copies of which definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Versions {
    All,
    Current,
    Older,
}

impl Versions {
    pub(crate) fn include(self, is_current: bool) -> bool {
        match self {
            Self::All => true,
            Self::Current => is_current,
            Self::Older => !is_current,
        }
    }
}

/// The copies of one pod that stay, ranked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranks {
    current: BTreeSet<Rank>,
    older: BTreeSet<Rank>,
}

impl Ranks {
    /// Adds a copy.
    pub(crate) fn add(&mut self, instance: &Instance, is_current: bool, stage: Stage) {
        if stage != Stage::Stopping {
            self.of(is_current).insert(rank(instance, stage));
        }
    }

    /// Removes a copy that was added as what it is.
    pub(crate) fn remove(&mut self, instance: &Instance, is_current: bool, stage: Stage) {
        self.of(is_current).remove(&rank(instance, stage));
    }

    /// The first `count` to go of those `of` these definitions that `candidate` makes something of, and perhaps some more:
    /// so many of the current definition and so many of older ones.
    pub(crate) fn first<T>(
        &self,
        of: Versions,
        selection: KillSelection,
        count: usize,
        candidate: impl Fn(Uuid) -> Option<T>,
    ) -> Vec<T> {
        let mut first = Vec::new();
        let sets: &[&BTreeSet<Rank>] = match of {
            Versions::All => &[&self.current, &self.older],
            Versions::Current => &[&self.current],
            Versions::Older => &[&self.older],
        };
        for ranks in sets {
            first.extend(in_turn(ranks, selection).filter_map(&candidate).take(count));
        }
        first
    }

    fn of(&mut self, is_current: bool) -> &mut BTreeSet<Rank> {
        if is_current { &mut self.current } else { &mut self.older }
    }
}

fn rank(instance: &Instance, stage: Stage) -> Rank {
    (usefulness(instance, stage), age(instance))
}

/// `ranks` in the order in which they go.
fn in_turn(ranks: &BTreeSet<Rank>, selection: KillSelection) -> Box<dyn Iterator<Item = Uuid> + '_> {
    let uuid = |&(_, (_, uuid)): &Rank| uuid;
    match selection {
        KillSelection::OldestFirst => Box::new(ranks.iter().map(uuid)),
        KillSelection::YoungestFirst => {
            // The least useful first all the same.
            let mut next = ranks.first().map(|rank| rank.0);
            let classes = std::iter::from_fn(move || {
                let class = next?;
                let after = (class.checked_add(1)?, (Timestamp::EPOCH, Uuid::nil()));
                next = ranks.range(after..).next().map(|rank| rank.0);
                Some(ranks.range((class, (Timestamp::EPOCH, Uuid::nil()))..after).rev())
            });
            Box::new(classes.flatten().map(uuid))
        }
    }
}
