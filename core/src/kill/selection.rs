//! Whom to kill first when there are too many copies.
//!
//! Least useful first: copies that were never launched, then those that are ending, out of reach, being
//! launched, unhealthy, running but not for long enough to be relied on, and only then the others. Among equally useful ones, those go of which there are
//! most on one value that the pod's copies are spread over (`GROUP_BY`), so that what stays is spread evenly.
//! What is left to decide the pod's `killSelection` decides, by the time since which they have run, or have been
//! wanted.

use std::cmp::Reverse;

use crate::model::ids::Uuid;
use crate::model::instance::{Condition, Instance, Task};
use crate::model::pod::{KillSelection, OnReturn};
use crate::model::time::Timestamp;
use crate::placement::Constraints;
use crate::state::Stage;

/// Which copies may go, and which of them go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) of: Versions,
    pub(crate) among: Among,
    pub(crate) preference: Preference,
}

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

/// Copies in which stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Among {
    /// All that stay.
    All,
    /// All but those that another copy is wanted for.
    NotInactive,
    /// Those that another copy is wanted for.
    Inactive,
    /// Those that serve.
    Serving,
    /// Those that do not.
    NotServing,
    /// Those that neither serve nor are ending.
    NotServingNorEnding,
    /// Those of them that are in reach.
    Idle,
}

impl Among {
    pub(crate) fn include(self, class: Class) -> bool {
        match self {
            Self::All => true,
            Self::NotInactive => class != INACTIVE,
            Self::Inactive => class == INACTIVE,
            Self::Serving => class >= SERVES,
            Self::NotServing => class < SERVES,
            Self::NotServingNorEnding => class < SERVES && class != ENDING,
            Self::Idle => (LAUNCHING..SERVES).contains(&class),
        }
    }
}

/// Who goes of copies that are equally useful.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preference {
    /// By the time since which they have run, and so that they stay spread.
    KillSelection(KillSelection),
    /// There may be too many because a copy returned that was replaced: this decides, if one of those that could go came
    /// back at that time or later. Otherwise `killSelection` does.
    OnReturn(OnReturn, KillSelection, Timestamp),
}

impl Preference {
    /// How much would be lost with a copy, as far as that decides.
    pub(super) fn class(self, instance: &Instance, stage: Stage) -> Class {
        match self {
            Self::KillSelection(_) => class(instance, stage),
            // Who was replaced is to go, or to stay, although its replacement has only just come.
            Self::OnReturn(..) => class(instance, stage).min(SERVES),
        }
    }

    /// Whether copies are to stay spread.
    pub(super) fn spreads(self, constraints: &Constraints) -> bool {
        matches!(self, Self::KillSelection(_)) && constraints.spread_copies()
    }
}

/// Who goes first of those that are equally useful: the least. Only copies with the same kind of `age` are
/// compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    is_kept: bool,
    age: Age,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    OldestFirst((Timestamp, Uuid)),
    YoungestFirst(Reverse<(Timestamp, Uuid)>),
}

impl Turn {
    pub(super) fn of(instance: &Instance, preference: Preference) -> Self {
        let uuid = instance.id.uuid;
        let by_age = |selection| {
            let age = age(instance);
            match selection {
                KillSelection::OldestFirst => Age::OldestFirst(age),
                KillSelection::YoungestFirst => Age::YoungestFirst(Reverse(age)),
            }
        };
        match preference {
            Preference::KillSelection(selection) => Self { is_kept: false, age: by_age(selection) },
            // The copy that was created last was created in its place.
            Preference::OnReturn(OnReturn::Original, ..) => Self {
                is_kept: instance.returned_at.is_some(),
                age: Age::YoungestFirst(Reverse((instance.created, uuid))),
            },
            Preference::OnReturn(OnReturn::Replacement, selection, _) => {
                Self { is_kept: instance.returned_at.is_none(), age: by_age(selection) }
            }
            Preference::OnReturn(OnReturn::BestHealth, ..) => {
                Self { is_kept: false, age: Age::YoungestFirst(Reverse((healthy_since(instance), uuid))) }
            }
        }
    }

    /// Whose it is.
    pub(super) fn uuid(self) -> Uuid {
        match self.age {
            Age::OldestFirst((_, uuid)) | Age::YoungestFirst(Reverse((_, uuid))) => uuid,
        }
    }
}

/// Since when it has run and has not been found unhealthy.
fn healthy_since(instance: &Instance) -> Timestamp {
    let verdicts = instance.tasks.iter().filter_map(|task| task.health_since);
    verdicts.fold(instance.since, Timestamp::max)
}

/// Since when a copy has run, or has been wanted. No two copies have the same.
fn age(instance: &Instance) -> (Timestamp, Uuid) {
    (instance.active_since.unwrap_or(instance.created), instance.id.uuid)
}

/// How much would be lost with a copy; the least goes first.
pub(super) type Class = u8;

/// The class of copies that another one is wanted for.
const INACTIVE: Class = 1;

/// The class of copies that are ending, or have ended and wait to go back to their volumes.
const ENDING: Class = 2;

/// The lowest class of copies that are in reach and may come to serve.
const LAUNCHING: Class = 4;

/// The class of what serves, if nothing more is asked.
const SERVES: Class = 7;

/// How much would be lost with a copy.
pub(super) fn class(instance: &Instance, stage: Stage) -> Class {
    match stage {
        // With the data on its volumes it would take more to replace it.
        Stage::Waiting if instance.residence.is_some() => ENDING,
        Stage::Stopping | Stage::Waiting => 0,
        Stage::Inactive => INACTIVE,
        Stage::Ending => ENDING,
        Stage::Unreachable => 3,
        Stage::Launching if instance.condition == Condition::Provisioned => LAUNCHING,
        Stage::Launching => 5,
        Stage::Unready => 6,
        // Whether it stays so is not known yet, unless it ran before, where nobody saw it for a while.
        Stage::Ready if !instance.tasks.iter().any(Task::runs_again) => SERVES,
        Stage::Ready | Stage::Available => 8,
    }
}
