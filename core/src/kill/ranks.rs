//! A pod's copies in the order in which they would have to go, so that to choose a few of many costs a look at a few.
//!
//! ```text
//!                     least useful ─────────────────────────────► most useful
//!   current, rack a  │ waiting │ launching │ … │ serving: first to go … last │
//!   current, rack b  │ waiting │ launching │ … │ serving: first to go … last │
//!   older,   rack a  │ …
//! ```
//!
//! There is one line for each value that copies are to stay spread over, or a single one. To choose is to go through the
//! columns, and in each to take from the line that most are in. That is a look at each line and each copy that is chosen,
//! however many others there are.
//!
//! A pod has ranks once copies of it had to be chosen. They are kept up to date with every change of a copy, and dropped
//! when so many copies have changed as there are without a choice: what they cost is never more than a few times what the
//! choices and changes cost. Copies that go already are not in them. Nothing depends on whether they are there but the
//! time that a choice takes.

use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, btree_set};

use super::selection::{CLASSES, Choice, Class, Preference, Turn, class};
use crate::model::ids::Uuid;
use crate::model::instance::Instance;
use crate::model::time::Timestamp;
use crate::placement::{Constraints, holds_place};
use crate::state::Stage;

/// A copy, its stage, and whether its definition is the current one.
pub(crate) type Ranked<'a> = (&'a Instance, Stage, bool);

/// The copies of one pod that stay, ranked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranks {
    orders: Vec<Order>,
    /// How many copies are ranked.
    len: usize,
    /// How many of them came back when, of those that returned after they had been replaced: of older definitions, and of
    /// the current one.
    returned: [[BTreeMap<Timestamp, u32>; CLASSES]; 2],
    /// How many changes there were since the last choice.
    unused: usize,
}

/// The copies in one order.
#[derive(Clone, Debug)]
struct Order {
    preference: Preference,
    /// Of older definitions, and of the current one.
    sides: [Columns; 2],
}

/// Copies by usefulness, by the values that they are spread over, and in turn.
type Columns = BTreeMap<Class, BTreeMap<Values, BTreeSet<Turn>>>;

/// The values of a copy's agent that copies are spread over; none if it takes up no place, or they are not spread.
type Values = Vec<Option<Box<str>>>;

impl Ranks {
    /// Of `copies`, in no order yet.
    pub(crate) fn of<'a>(copies: impl Iterator<Item = Ranked<'a>>) -> Self {
        let mut ranks = Self::default();
        copies.filter(is_ranked).for_each(|copy| ranks.count(&copy));
        ranks
    }

    /// Adds a copy.
    pub(crate) fn add(&mut self, copy: Ranked<'_>, constraints: &Constraints) {
        if is_ranked(&copy) {
            self.count(&copy);
            self.unused += 1;
            self.orders.iter_mut().for_each(|order| order.add(&copy, constraints));
        }
    }

    /// Removes a copy that was added as what it is.
    pub(crate) fn remove(&mut self, copy: Ranked<'_>, constraints: &Constraints) {
        if is_ranked(&copy) {
            let (instance, stage, is_current) = copy;
            self.len -= 1;
            if let Some(at) = instance.returned_at {
                let column = &mut self.returned[usize::from(is_current)][column(instance, stage)];
                if let Entry::Occupied(mut count) = column.entry(at) {
                    *count.get_mut() -= 1;
                    if *count.get() == 0 {
                        count.remove();
                    }
                }
            }
            self.orders.iter_mut().for_each(|order| order.remove(&copy, constraints));
        }
    }

    /// Whether it costs more to keep them than to make them anew if they should be needed.
    pub(crate) fn are_useless(&self) -> bool {
        self.unused > self.len
    }

    /// The first `count` that go, by `choice`. `copies` are those that were added.
    pub(crate) fn choose<'a, I: Iterator<Item = Ranked<'a>>>(
        &mut self,
        choice: Choice,
        count: usize,
        copies: impl Fn() -> I,
        constraints: &Constraints,
    ) -> Vec<Uuid> {
        self.unused = 0;
        let preference = match choice.preference {
            Preference::OnReturn(on_return, selection, since) if self.has_returned(choice, since) => {
                // The order is the same, whenever that was.
                Preference::OnReturn(on_return, selection, Timestamp::EPOCH)
            }
            Preference::OnReturn(_, selection, _) => Preference::KillSelection(selection),
            preference => preference,
        };
        let place = self.orders.iter().position(|order| order.preference == preference);
        let place = place.unwrap_or_else(|| {
            let mut order = Order { preference, sides: Default::default() };
            copies().filter(is_ranked).for_each(|copy| order.add(&copy, constraints));
            self.orders.push(order);
            self.orders.len() - 1
        });
        self.orders[place].first(choice, count)
    }

    fn count(&mut self, (instance, stage, is_current): &Ranked<'_>) {
        self.len += 1;
        if let Some(at) = instance.returned_at {
            let column = &mut self.returned[usize::from(*is_current)][column(instance, *stage)];
            *column.entry(at).or_default() += 1;
        }
    }

    /// Whether one of those that could go came back at that time or later, after it had been replaced.
    fn has_returned(&self, choice: Choice, since: Timestamp) -> bool {
        let sides = self.returned.iter().zip([false, true]);
        let sides = sides.filter(|(_, is_current)| choice.of.include(*is_current)).map(|(side, _)| side);
        let columns = sides.flat_map(|side| (0..).zip(side));
        let mut columns = columns.filter(|(class, _)| choice.among.include(*class));
        columns.any(|(_, times)| times.last_key_value().is_some_and(|(last, _)| *last >= since))
    }
}

fn is_ranked((_, stage, _): &Ranked<'_>) -> bool {
    *stage != Stage::Stopping
}

fn column(instance: &Instance, stage: Stage) -> usize {
    usize::from(class(instance, stage))
}

impl Order {
    fn add(&mut self, copy: &Ranked<'_>, constraints: &Constraints) {
        let (side, class, values, turn) = self.place_of(copy, constraints);
        self.sides[side].entry(class).or_default().entry(values).or_default().insert(turn);
    }

    fn remove(&mut self, copy: &Ranked<'_>, constraints: &Constraints) {
        let (side, class, values, turn) = self.place_of(copy, constraints);
        let Some(column) = self.sides[side].get_mut(&class) else { return };
        let Some(turns) = column.get_mut(&values) else { return };
        turns.remove(&turn);
        if turns.is_empty() {
            column.remove(&values);
        }
    }

    fn place_of(
        &self,
        (instance, stage, is_current): &Ranked<'_>,
        constraints: &Constraints,
    ) -> (usize, Class, Values, Turn) {
        let class = self.preference.class(instance, *stage);
        let values = if self.preference.spreads(constraints) {
            let agent = instance.agent.as_deref().filter(|_| holds_place(instance));
            let values = agent.map(|agent| constraints.spread_values(agent)).unwrap_or_default();
            values.into_iter().map(|value| value.map(Box::from)).collect()
        } else {
            Values::new()
        };
        (usize::from(*is_current), class, values, Turn::of(instance, self.preference))
    }

    fn first(&self, choice: Choice, count: usize) -> Vec<Uuid> {
        let sides = self.sides.iter().zip([false, true]);
        let sides = sides.filter(|(_, is_current)| choice.of.include(*is_current));
        let mut columns: BTreeMap<Class, Vec<(&Values, &BTreeSet<Turn>)>> = BTreeMap::new();
        let mut crowds = Crowds::default();
        for (class, column) in sides.flat_map(|(side, _)| side) {
            if choice.among.include(*class) {
                for (values, turns) in column {
                    columns.entry(*class).or_default().push((values, turns));
                    crowds.add(values, turns.len() as i64);
                }
            }
        }
        let mut first = Vec::with_capacity(count);
        for lines in columns.into_values() {
            take_from_most_crowded(lines, &mut crowds, count, &mut first);
            if first.len() == count {
                break;
            }
        }
        first
    }
}

/// Takes from `lines` until there are `count`, always the next one in turn where most are left; where equally many are,
/// the one whose turn is first.
fn take_from_most_crowded<'a>(
    lines: Vec<(&'a Values, &'a BTreeSet<Turn>)>,
    crowds: &mut Crowds<'a>,
    count: usize,
    taken: &mut Vec<Uuid>,
) {
    let mut lines: Vec<(&Values, btree_set::Iter<'_, Turn>)> =
        lines.into_iter().map(|(values, turns)| (values, turns.iter())).collect();
    let mut next: BinaryHeap<(i64, Reverse<Turn>, usize)> = BinaryHeap::with_capacity(lines.len());
    for (line, (values, turns)) in lines.iter_mut().enumerate() {
        next.extend(turns.next().map(|turn| (crowds.of(values), Reverse(*turn), line)));
    }
    while taken.len() < count
        && let Some((crowd, turn, line)) = next.pop()
    {
        let (values, turns) = &mut lines[line];
        // What others have taken meanwhile can only have made it fewer: the next one may come first now.
        let left = crowds.of(values);
        if left < crowd {
            next.push((left, turn, line));
            continue;
        }
        taken.push(turn.0.uuid());
        crowds.add(values, -1);
        next.extend(turns.next().map(|turn| (crowds.of(values), Reverse(*turn), line)));
    }
}

/// How many copies are on each value, by the field's place among those that copies are spread over.
#[derive(Default)]
struct Crowds<'a>(BTreeMap<(usize, &'a str), i64>);

impl<'a> Crowds<'a> {
    fn add(&mut self, values: &'a Values, change: i64) {
        for (field, value) in values.iter().enumerate() {
            if let Some(value) = value {
                *self.0.entry((field, value)).or_default() += change;
            }
        }
    }

    /// How many there are on the same values.
    fn of(&self, values: &Values) -> i64 {
        let values = values.iter().enumerate().filter_map(|(field, value)| Some((field, value.as_deref()?)));
        values.filter_map(|place| self.0.get(&place)).sum()
    }
}
