//! Whom to kill first when there are too many copies.
//!
//! Least useful first: copies that were never launched, then those that are ending, out of reach, being
//! launched, unhealthy, and only then those that serve. Among equals the pod's `killSelection` decides by the
//! time since which they have run, or have been wanted.

use std::cmp::Reverse;

use crate::model::ids::Uuid;
use crate::model::instance::{Condition, Instance};
use crate::model::pod::KillSelection;
use crate::state::Stage;

/// The first `count` of `candidates`, in the order in which they should go.
pub(crate) fn select_victims<'a>(
    candidates: impl Iterator<Item = (&'a Instance, Stage)>,
    selection: KillSelection,
    count: usize,
) -> Vec<Uuid> {
    let mut ranked: Vec<_> = candidates
        .map(|(instance, stage)| {
            let age = instance.active_since.unwrap_or(instance.created);
            let (youngest, oldest) = match selection {
                KillSelection::YoungestFirst => (Some(Reverse((age, instance.id.uuid))), None),
                KillSelection::OldestFirst => (None, Some((age, instance.id.uuid))),
            };
            ((usefulness(instance, stage), youngest, oldest), instance.id.uuid)
        })
        .collect();
    ranked.sort_unstable();
    ranked.into_iter().take(count).map(|(_, uuid)| uuid).collect()
}

fn usefulness(instance: &Instance, stage: Stage) -> u8 {
    match stage {
        Stage::Stopping | Stage::Waiting => 0,
        Stage::Inactive => 1,
        Stage::Ending => 2,
        Stage::Unreachable => 3,
        Stage::Launching if instance.condition == Condition::Provisioned => 4,
        Stage::Launching => 5,
        Stage::Unready => 6,
        Stage::Ready | Stage::Available => 7,
    }
}
