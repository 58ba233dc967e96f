//! Whom to kill first when there are too many copies.
//!
//! Least useful first: copies that were never launched, then those that are ending, out of reach, being
//! launched, unhealthy, and only then those that serve. Among equally useful ones, those go of which there are
//! most on one value that the pod's copies are spread over (`GROUP_BY`), so that what stays is spread evenly.
//! What is left to decide the pod's `killSelection` decides, by the time since which they have run, or have been
//! wanted.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use crate::model::ids::Uuid;
use crate::model::instance::{Condition, Instance};
use crate::model::pod::KillSelection;
use crate::model::time::Timestamp;
use crate::placement::{Constraints, holds_place};
use crate::state::Stage;

/// The first `count` of `candidates`, in the order in which they should go.
pub(crate) fn select_victims<'a>(
    candidates: impl Iterator<Item = (&'a Instance, Stage)>,
    selection: KillSelection,
    constraints: &Constraints,
    count: usize,
) -> Vec<Uuid> {
    let mut ranked: Vec<Candidate<'a>> = candidates
        .map(|(instance, stage)| Candidate {
            usefulness: usefulness(instance, stage),
            age: Age::of(instance, selection),
            instance,
        })
        .collect();
    ranked.sort_unstable_by_key(|candidate| (candidate.usefulness, candidate.age));
    if constraints.spread_copies() {
        return keep_spread(&ranked, constraints, count);
    }
    ranked.into_iter().take(count).map(|candidate| candidate.instance.id.uuid).collect()
}

struct Candidate<'a> {
    usefulness: u8,
    age: Age,
    instance: &'a Instance,
}

impl<'a> Candidate<'a> {
    fn values(&self, constraints: &Constraints) -> Values<'a> {
        let agent = self.instance.agent.as_deref().filter(|_| holds_place(self.instance));
        agent.map(|agent| constraints.spread_values(agent)).unwrap_or_default()
    }
}

/// Who goes first of those that are equally useful.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    OldestFirst((Timestamp, Uuid)),
    YoungestFirst(Reverse<(Timestamp, Uuid)>),
}

impl Age {
    fn of(instance: &Instance, selection: KillSelection) -> Self {
        let age = (instance.active_since.unwrap_or(instance.created), instance.id.uuid);
        match selection {
            KillSelection::OldestFirst => Self::OldestFirst(age),
            KillSelection::YoungestFirst => Self::YoungestFirst(Reverse(age)),
        }
    }
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
                    (crowds.of(values), group.front().map(|first| Reverse(first.age)))
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
