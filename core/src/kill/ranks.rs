//! A pod's copies in the order in which they would have to go, so that to choose a few of many costs a look at a few.
//!
//! ```text
//!              least useful ─────────────────────────────────► most useful
//!   host a    │ waiting │ launching │ … │ serving: first to go … last      │  3 copies
//!   host b    │         │ launching │ … │ serving: first to go … last      │  5 copies
//!   host c    │                       …
//!             ╰────┬────┴─────┬─────┴───┴────┬─────────────────────────────╯
//!   queues:    b, a, …    b, a, …        b, a, …      the most crowded line first
//! ```
//!
//! There is a line for each class of copies on each value that copies are to stay spread over, and for each class a
//! queue of its lines, the most crowded first. To choose is to go through the queues, and in each to take from the first
//! line until another one is more crowded: only lines are looked at from which somebody is taken, and those just behind
//! them. A copy that comes or goes makes its value more or less crowded, which moves the lines there, one for each class
//! that has copies on it.
//!
//! Where copies are spread over several fields there are such queues for each combination of values of all fields but
//! one, and each choice looks at the first line of each. That one field is the hostname, if it is among them: others
//! seldom have more than some ten values.
//!
//! There is an order for each kind of choice: only those make a value crowded that the choice is about. When copies are
//! chosen from serving ones, for instance, it is those left that serve which stay spread.
//!
//! A pod has ranks once copies of it had to be chosen. They are kept up to date with every change of a copy, and dropped
//! when so many copies have changed as there are without a choice: what they cost is never more than a few times what the
//! choices and changes cost. Copies that go already are not in them. Nothing depends on whether they are there but the
//! time that a choice takes.

use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, btree_set};
use std::iter::Peekable;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::selection::{Among, Choice, Class, Preference, Turn, Versions};
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
    returns: Vec<Returns>,
    /// How many copies have changed since the last choice.
    unused: usize,
}

impl Ranks {
    /// Adds a copy.
    pub(crate) fn add(&mut self, copy: Ranked<'_>, constraints: &Constraints) {
        self.unused += 1;
        self.orders.iter_mut().for_each(|order| order.add(&copy, constraints));
        self.returns.iter_mut().for_each(|returns| returns.add(&copy));
    }

    /// Removes a copy that was added as what it is.
    pub(crate) fn remove(&mut self, copy: Ranked<'_>, constraints: &Constraints) {
        self.orders.iter_mut().for_each(|order| order.remove(&copy, constraints));
        self.returns.iter_mut().for_each(|returns| returns.remove(&copy));
    }

    /// Whether it costs more to keep them than to make them anew if they should be needed, of so many copies.
    pub(crate) fn are_useless(&self, copies: usize) -> bool {
        self.unused > copies
    }

    /// The first `count` that go, by `choice`. `copies` are all of the pod's, as they were added.
    pub(crate) fn choose<'a, I: Iterator<Item = Ranked<'a>>>(
        &mut self,
        choice: Choice,
        count: usize,
        copies: impl Fn() -> I,
        constraints: &Constraints,
    ) -> Vec<Uuid> {
        self.unused = 0;
        let rivals = Rivals { of: choice.of, among: choice.among };
        let preference = match choice.preference {
            Preference::OnReturn(on_return, selection, since) => {
                match self.last_return(rivals, &copies).is_some_and(|last| last >= since) {
                    // The order is the same, whenever that was.
                    true => Preference::OnReturn(on_return, selection, Timestamp::EPOCH),
                    false => Preference::KillSelection(selection),
                }
            }
            preference => preference,
        };
        let is_asked_for = |order: &Order| order.rivals == rivals && order.preference == preference;
        let place = self.orders.iter().position(is_asked_for).unwrap_or_else(|| {
            self.orders.push(Order::of(rivals, preference, copies(), constraints));
            self.orders.len() - 1
        });
        self.orders[place].first(count)
    }

    /// When the last one of `rivals` came back that had been replaced.
    fn last_return<'a, I: Iterator<Item = Ranked<'a>>>(
        &mut self,
        rivals: Rivals,
        copies: impl Fn() -> I,
    ) -> Option<Timestamp> {
        let place = self.returns.iter().position(|returns| returns.rivals == rivals);
        let place = place.unwrap_or_else(|| {
            let mut returns = Returns { rivals, times: BTreeMap::new() };
            copies().for_each(|copy| returns.add(&copy));
            self.returns.push(returns);
            self.returns.len() - 1
        });
        self.returns[place].times.last_key_value().map(|(last, _)| *last)
    }
}

/// The copies that a choice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rivals {
    of: Versions,
    among: Among,
}

impl Rivals {
    fn include(self, stage: Stage, class: Class, is_current: bool) -> bool {
        stage != Stage::Stopping && self.of.include(is_current) && self.among.include(class)
    }
}

/// When some of the rivals came back that had been replaced, and how many at each time.
#[derive(Clone, Debug)]
struct Returns {
    rivals: Rivals,
    times: BTreeMap<Timestamp, u32>,
}

impl Returns {
    fn add(&mut self, copy: &Ranked<'_>) {
        if let Some(at) = self.time_of(copy) {
            *self.times.entry(at).or_default() += 1;
        }
    }

    fn remove(&mut self, copy: &Ranked<'_>) {
        if let Some(at) = self.time_of(copy)
            && let Entry::Occupied(mut count) = self.times.entry(at)
        {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    fn time_of(&self, (instance, stage, is_current): &Ranked<'_>) -> Option<Timestamp> {
        let at = instance.returned_at?;
        self.rivals.include(*stage, super::selection::class(instance, *stage), *is_current).then_some(at)
    }
}

/// The rivals in one order.
#[derive(Clone, Debug)]
struct Order {
    rivals: Rivals,
    preference: Preference,
    /// The lines on each value of the last field.
    lines: FxHashMap<Arc<str>, Lines>,
    queues: Queues,
    /// How many copies are on each value of the other fields.
    crowds: FxHashMap<Spot, i64>,
}

/// The value of a field that copies are spread over; none if a copy takes up no place, or its agent lacks the field.
type Value = Option<Arc<str>>;

/// The values of all fields that copies are spread over but the last one.
type Others = Vec<Value>;

/// A value, with its field's place among those that copies are spread over.
type Spot = (usize, Arc<str>);

/// The copies on one value of the last field, those whose turn is first in front. There are no empty lines.
type Lines = BTreeMap<(Class, Others), BTreeSet<Turn>>;

/// The queues by class and values of the other fields.
type Queues = BTreeMap<Class, BTreeMap<Others, Queue>>;

/// The lines of one class that have the values of the other fields in common, the most crowded first.
#[derive(Clone, Debug, Default)]
struct Queue {
    heads: BTreeSet<Head>,
    /// The line of those that are on no value of the last field, where nobody is crowded: it comes last.
    apart: BTreeSet<Turn>,
}

/// What places a line in its queue: how many copies are on its value of the last field, whose turn is first in it, and
/// the value.
type Head = (Reverse<i64>, Turn, Arc<str>);

/// Where a copy is in an order.
struct Place {
    class: Class,
    others: Others,
    last: Value,
}

impl Order {
    /// Puts the rivals among `copies` in order.
    fn of<'a>(
        rivals: Rivals,
        preference: Preference,
        copies: impl Iterator<Item = Ranked<'a>>,
        constraints: &Constraints,
    ) -> Self {
        let (lines, queues, crowds) = Default::default();
        let mut order = Self { rivals, preference, lines, queues, crowds };
        let mut all: FxHashMap<Value, BTreeMap<(Class, Others), Vec<Turn>>> = FxHashMap::default();
        for copy in copies {
            if let Some(Place { class, others, last }) = order.place_of(&copy, constraints) {
                order.count(&others, 1);
                let line = all.entry(last).or_default().entry((class, others)).or_default();
                line.push(Turn::of(copy.0, preference));
            }
        }
        // To put a line in order as a whole costs less than to find the place of one after the other. Which line comes
        // first makes no difference.
        for (last, lines) in all {
            let in_order = |(key, turns): (_, Vec<Turn>)| (key, turns.into_iter().collect());
            let lines: Lines = lines.into_iter().map(in_order).collect();
            if let Some(last) = last {
                for (class, others, head) in heads(&lines, &last) {
                    queue(&mut order.queues, class, others).heads.insert(head);
                }
                order.lines.insert(last, lines);
            } else {
                for ((class, others), line) in lines {
                    queue(&mut order.queues, class, &others).apart = line;
                }
            }
        }
        order
    }

    fn add(&mut self, copy: &Ranked<'_>, constraints: &Constraints) {
        if let Some(place) = self.place_of(copy, constraints) {
            let turn = Turn::of(copy.0, self.preference);
            self.count(&place.others, 1);
            self.change(place, |line| line.insert(turn));
        }
    }

    fn remove(&mut self, copy: &Ranked<'_>, constraints: &Constraints) {
        if let Some(place) = self.place_of(copy, constraints) {
            let turn = Turn::of(copy.0, self.preference);
            self.count(&place.others, -1);
            self.change(place, |line| line.remove(&turn));
        }
    }

    /// The place of a copy; none if it is not one of the rivals.
    fn place_of(
        &self,
        (instance, stage, is_current): &Ranked<'_>,
        constraints: &Constraints,
    ) -> Option<Place> {
        let class = self.preference.class(instance, *stage);
        if !self.rivals.include(*stage, class, *is_current) {
            return None;
        }
        let spreads = self.preference.spreads(constraints) && holds_place(instance);
        let agent = instance.agent.as_deref().filter(|_| spreads);
        let values = agent.map(|agent| constraints.spread_values(agent)).unwrap_or_default();
        let mut others: Others = values.into_iter().map(|value| value.map(Arc::from)).collect();
        let last = others.pop().flatten();
        Some(Place { class, others, last })
    }

    /// Changes the line at `place`, and moves the lines whose value is more or less crowded then.
    fn change(&mut self, place: Place, change: impl FnOnce(&mut BTreeSet<Turn>) -> bool) {
        let Place { class, others, last } = place;
        let Some(last) = last else {
            change(&mut queue(&mut self.queues, class, &others).apart);
            return;
        };
        let lines = self.lines.entry(last.clone()).or_default();
        for (class, others, head) in heads(lines, &last) {
            queue(&mut self.queues, class, others).heads.remove(&head);
        }
        change(lines.entry((class, others)).or_default());
        lines.retain(|_, line| !line.is_empty());
        for (class, others, head) in heads(lines, &last) {
            queue(&mut self.queues, class, others).heads.insert(head);
        }
        if lines.is_empty() {
            self.lines.remove(&last);
        }
    }

    /// There are so many more copies on these values.
    fn count(&mut self, others: &Others, more: i64) {
        for spot in spots(others, None) {
            *self.crowds.entry(spot).or_default() += more;
        }
    }

    /// The first `count` that go.
    fn first(&self, count: usize) -> Vec<Uuid> {
        let mut first = Vec::with_capacity(count);
        let mut gone = Gone::default();
        for (class, queues) in &self.queues {
            if first.len() == count {
                break;
            }
            let queues = queues.iter().map(|(others, queue)| Opened {
                others,
                crowd: spots(others, None).filter_map(|spot| self.crowds.get(&spot)).sum(),
                closed: self.lines_of(*class, others, queue).peekable(),
                lines: Vec::new(),
                next: BinaryHeap::new(),
            });
            take_from_most_crowded(queues.collect(), count, &mut gone, &mut first);
        }
        first
    }

    /// The lines of a queue.
    fn lines_of<'a>(
        &'a self,
        class: Class,
        others: &'a Others,
        queue: &'a Queue,
    ) -> impl Iterator<Item = Line<'a>> {
        let crowded = queue.heads.iter().filter_map(move |(Reverse(crowd), _, last)| {
            let turns = self.lines.get(last)?.get(&(class, others.clone()))?;
            Some((*crowd, Some(last), turns))
        });
        crowded.chain([(0, None, &queue.apart)]).filter_map(|(crowd, last, turns)| {
            let mut turns = turns.iter();
            Some(Line { last, crowd, first: *turns.next()?, turns })
        })
    }
}

/// Takes from the queues of one class until there are `count`, always the next one in turn where most are left; where
/// equally many are, the one whose turn is first.
fn take_from_most_crowded<'a, I: Iterator<Item = Line<'a>>>(
    mut queues: Vec<Opened<'a, I>>,
    count: usize,
    gone: &mut Gone,
    taken: &mut Vec<Uuid>,
) {
    let first = |(index, queue): (usize, &mut Opened<'a, I>)| Some((queue.first(gone)?, index));
    let mut next: BinaryHeap<(Candidate, usize)> = queues.iter_mut().enumerate().filter_map(first).collect();
    while let Some((_, index)) = next.pop() {
        let queue = &mut queues[index];
        // What was taken meanwhile can only have made others less crowded than they were at the last look.
        while let Some(candidate) = queue.first(gone) {
            if taken.len() == count {
                return;
            }
            if next.peek().is_some_and(|(other, _)| *other > candidate) {
                next.push((candidate, index));
                break;
            }
            taken.push(candidate.1.0.uuid());
            queue.take(gone);
        }
    }
}

/// How many were taken from each value.
type Gone = FxHashMap<Spot, i64>;

/// How many copies are left where one is, and its turn. The greatest goes first.
type Candidate = (i64, Reverse<Turn>);

/// A line that copies can be taken from.
struct Line<'a> {
    last: Option<&'a Arc<str>>,
    /// How many copies were on that value before any was taken.
    crowd: i64,
    first: Turn,
    /// Those behind the first one.
    turns: btree_set::Iter<'a, Turn>,
}

/// A queue that copies are taken from.
struct Opened<'a, I: Iterator<Item = Line<'a>>> {
    others: &'a Others,
    /// How many copies were on these values before any was taken, added up.
    crowd: i64,
    /// The lines that nobody has looked at yet.
    closed: Peekable<I>,
    lines: Vec<Line<'a>>,
    /// The first in each of the other lines. There were so many on its value of the last field at the last look.
    next: BinaryHeap<(Candidate, usize)>,
}

impl<'a, I: Iterator<Item = Line<'a>>> Opened<'a, I> {
    /// Who goes first, after so many have gone.
    fn first(&mut self, gone: &Gone) -> Option<Candidate> {
        loop {
            let top = self.next.peek().map(|(candidate, _)| *candidate);
            if let Some(line) = self.closed.next_if(|line| Some((line.crowd, Reverse(line.first))) > top) {
                self.next.push(((line.crowd, Reverse(line.first)), self.lines.len()));
                self.lines.push(line);
                continue;
            }
            let mut top = self.next.peek_mut()?;
            let ((crowd, turn), index) = *top;
            let Line { last, crowd: all, .. } = self.lines[index];
            let spot = last.map(|last| (self.others.len(), last.clone()));
            let left = all - spot.and_then(|spot| gone.get(&spot)).copied().unwrap_or(0);
            if left == crowd {
                let gone: i64 = spots(self.others, None).filter_map(|spot| gone.get(&spot)).sum();
                return Some((self.crowd - gone + left, turn));
            }
            // It is less crowded than it was: another one may come first now.
            top.0.0 = left;
        }
    }

    /// Takes the one that goes first.
    fn take(&mut self, gone: &mut Gone) {
        let Some(((crowd, _), index)) = self.next.pop() else { return };
        let line = &mut self.lines[index];
        for spot in spots(self.others, line.last) {
            *gone.entry(spot).or_default() += 1;
        }
        self.next.extend(line.turns.next().map(|turn| ((crowd, Reverse(*turn)), index)));
    }
}

/// The values that a copy is on.
fn spots<'a>(others: &'a Others, last: Option<&'a Arc<str>>) -> impl Iterator<Item = Spot> + 'a {
    let values = others.iter().map(Option::as_ref).chain([last]).enumerate();
    values.filter_map(|(field, value)| Some((field, value?.clone())))
}

fn queue<'a>(queues: &'a mut Queues, class: Class, others: &Others) -> &'a mut Queue {
    queues.entry(class).or_default().entry(others.clone()).or_default()
}

/// What places the lines on `last` in their queues.
fn heads<'a>(lines: &'a Lines, last: &'a Arc<str>) -> impl Iterator<Item = (Class, &'a Others, Head)> {
    let crowd = lines.values().map(BTreeSet::len).sum::<usize>() as i64;
    lines.iter().filter_map(move |((class, others), line)| {
        Some((*class, others, (Reverse(crowd), *line.first()?, last.clone())))
    })
}
