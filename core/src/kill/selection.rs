//! Whom to kill first when there are too many copies.
//!
//! Least useful first: copies that were never launched, then those that are ending, out of reach, being
//! launched, unhealthy, running but not for long enough to be relied on, and only then the others. Among equally useful ones, those go of which there are
//! most on one value that the pod's copies are spread over (`GROUP_BY`), so that what stays is spread evenly.
//! What is left to decide the pod's `killSelection` decides, by the time since which they have run, or have been
//! wanted.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use crate::model::ids::Uuid;
use crate::model::instance::{Condition, Instance};
use crate::model::pod::{KillSelection, OnReturn};
use crate::model::time::Timestamp;
use crate::placement::{Constraints, holds_place};
use crate::state::Stage;

/// Who goes of copies that are equally useful.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preference {
    /// By the time since which they have run, and so that they stay spread.
    KillSelection(KillSelection),
    /// There are too many because a copy returned that was replaced: this decides, if that is so.
    OnReturn(OnReturn, KillSelection),
}

/// The first `count` of `candidates`, in the order in which they should go.
pub(crate) fn select_victims<'a>(
    candidates: Vec<(&'a Instance, Stage)>,
    preference: Preference,
    constraints: &Constraints,
    count: usize,
) -> Vec<Uuid> {
    let preference = match preference {
        Preference::OnReturn(_, selection) if !candidates.iter().any(|(one, _)| has_returned(one)) => {
            Preference::KillSelection(selection)
        }
        preference => preference,
    };
    let mut ranked: Vec<Candidate<'a>> = candidates
        .into_iter()
        .map(|(instance, stage)| Candidate {
            usefulness: match preference {
                Preference::KillSelection(_) => usefulness(instance, stage),
                // Who was replaced is to go, or to stay, although its replacement has only just come.
                Preference::OnReturn(..) => usefulness(instance, stage).min(SERVES),
            },
            turn: Turn::of(instance, preference),
            instance,
        })
        .collect();
    ranked.sort_unstable_by_key(|candidate| (candidate.usefulness, candidate.turn));
    if constraints.spread_copies() && matches!(preference, Preference::KillSelection(_)) {
        return keep_spread(&ranked, constraints, count);
    }
    ranked.into_iter().take(count).map(|candidate| candidate.instance.id.uuid).collect()
}

struct Candidate<'a> {
    usefulness: u8,
    turn: Turn,
    instance: &'a Instance,
}

impl<'a> Candidate<'a> {
    fn values(&self, constraints: &Constraints) -> Values<'a> {
        let agent = self.instance.agent.as_deref().filter(|_| holds_place(self.instance));
        agent.map(|agent| constraints.spread_values(agent)).unwrap_or_default()
    }
}

/// Who goes first of those that are equally useful: the least. Only copies with the same kind of `age` are
/// compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    is_kept: bool,
    age: Age,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    OldestFirst((Timestamp, Uuid)),
    YoungestFirst(Reverse<(Timestamp, Uuid)>),
}

impl Turn {
    fn of(instance: &Instance, preference: Preference) -> Self {
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
            Preference::OnReturn(OnReturn::Original, _) => Self {
                is_kept: has_returned(instance),
                age: Age::YoungestFirst(Reverse((instance.created, uuid))),
            },
            Preference::OnReturn(OnReturn::Replacement, selection) => {
                Self { is_kept: !has_returned(instance), age: by_age(selection) }
            }
            Preference::OnReturn(OnReturn::BestHealth, _) => {
                Self { is_kept: false, age: Age::YoungestFirst(Reverse((healthy_since(instance), uuid))) }
            }
        }
    }
}

/// Whether its agent was out of reach for so long that another copy was wanted in its place.
fn has_returned(instance: &Instance) -> bool {
    instance.was_inactive
}

/// Since when it has run and has not been found unhealthy.
fn healthy_since(instance: &Instance) -> Timestamp {
    let verdicts = instance.tasks.iter().filter_map(|task| task.health_since);
    verdicts.fold(instance.since, Timestamp::max)
}

/// The values of a copy's agent that copies are spread over; none if it takes up no place.
type Values<'a> = Vec<Option<Cow<'a, str>>>;

/// The first `count` of `ranked`; of equally useful ones always one from where most are left.
fn keep_spread(ranked: &[Candidate<'_>], constraints: &Constraints, count: usize) -> Vec<Uuid> {
    let mut crowds = Crowds::default();
    for candidate in ranked {
        crowds.count(&candidate.values(constraints), 1);
    }
    let mut victims = Vec::with_capacity(count.min(ranked.len()));
    for class in ranked.chunk_by(|one, other| one.usefulness == other.usefulness) {
        let mut groups: BTreeMap<Values<'_>, VecDeque<&Candidate<'_>>> = BTreeMap::new();
        for candidate in class {
            groups.entry(candidate.values(constraints)).or_default().push_back(candidate);
        }
        while victims.len() < count
            && let Some((values, group)) =
                groups.iter_mut().filter(|(_, group)| !group.is_empty()).max_by_key(|(values, group)| {
                    (crowds.of(values), group.front().map(|first| Reverse(first.turn)))
                })
            && let Some(victim) = group.pop_front()
        {
            crowds.count(values, -1);
            victims.push(victim.instance.id.uuid);
        }
    }
    victims
}

/// How many copies are on each value, by the field's place among those that copies are spread over.
#[derive(Default)]
struct Crowds(BTreeMap<(usize, String), i64>);

impl Crowds {
    fn count(&mut self, values: &Values<'_>, change: i64) {
        for (field, value) in values.iter().enumerate() {
            if let Some(value) = value {
                *self.0.entry((field, value.to_string())).or_default() += change;
            }
        }
    }

    /// How many others there are on the same values.
    fn of(&self, values: &Values<'_>) -> i64 {
        let copies = |(field, value): (usize, &Option<Cow<'_, str>>)| {
            self.0.get(&(field, value.as_ref()?.to_string())).copied()
        };
        values.iter().enumerate().filter_map(copies).sum()
    }
}

/// Since when a copy has run, or has been wanted. No two copies have the same.
pub(super) fn age(instance: &Instance) -> (Timestamp, Uuid) {
    (instance.active_since.unwrap_or(instance.created), instance.id.uuid)
}

/// The usefulness of what serves, if nothing more is asked.
const SERVES: u8 = 7;

/// How much would be lost with a copy; the least goes first.
pub(super) fn usefulness(instance: &Instance, stage: Stage) -> u8 {
    match stage {
        // With the data on its volumes it would take more to replace it.
        Stage::Waiting if instance.residence.is_some() => 2,
        Stage::Stopping | Stage::Waiting => 0,
        Stage::Inactive => 1,
        Stage::Ending => 2,
        Stage::Unreachable => 3,
        Stage::Launching if instance.condition == Condition::Provisioned => 4,
        Stage::Launching => 5,
        Stage::Unready => 6,
        // Whether it stays so is not known yet, unless it only comes back from where nobody saw it.
        Stage::Ready if instance.tasks.iter().all(|task| task.returned_from.is_none()) => SERVES,
        Stage::Ready | Stage::Available => 8,
    }
}
