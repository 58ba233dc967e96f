//! How many copies of a pod are on each value of each constrained field.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::Field;
use crate::model::instance::{AgentInfo, Condition, Goal, Instance};

/// How many copies are on each value of each constrained field. Copies on agents that lack a field are not
/// counted for it: they were placed when it was not constrained, and hold no value that others could share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PlacedCounts {
    fields: Arc<[Field]>,
    counts: Vec<ValueCounts>,
}

impl PlacedCounts {
    pub(super) fn new(fields: Arc<[Field]>) -> Self {
        let counts = vec![ValueCounts::default(); fields.len()];
        Self { fields, counts }
    }

    /// A copy was placed on `agent`.
    pub(crate) fn add(&mut self, agent: &AgentInfo) {
        self.for_each_value(agent, ValueCounts::add);
    }

    /// A copy is no longer on `agent`, given exactly as it was added.
    pub(crate) fn remove(&mut self, agent: &AgentInfo) {
        self.for_each_value(agent, ValueCounts::remove);
    }

    fn for_each_value(&mut self, agent: &AgentInfo, change: impl Fn(&mut ValueCounts, &str)) {
        for (field, counts) in self.fields.iter().zip(&mut self.counts) {
            if let Some(value) = field.of(agent) {
                change(counts, &value.text);
            }
        }
    }

    pub(super) fn of(&self, index: usize) -> &ValueCounts {
        &self.counts[index]
    }
}

/// Whether `instance` takes up a place on its agent, as far as constraints are concerned.
///
/// All copies do that may have a running process, except those that a replacement was asked for: without their
/// place the replacement might have none. So a copy that cannot be reached keeps its place until it is given up
/// (`inactiveAfterSeconds`, or a person's kill), and one that was asked to end keeps it until it has ended.
/// A copy whose volumes are on the agent keeps its place until they are given up: it comes back.
pub(crate) fn holds_place(instance: &Instance) -> bool {
    if instance.residence.is_some() {
        return true;
    }
    if instance.has_ended() {
        return false;
    }
    match instance.condition {
        Condition::UnreachableInactive => false,
        Condition::Unreachable => instance.goal == Goal::Running,
        _ => true,
    }
}

/// How many copies are on each value of one field; only values with copies are there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ValueCounts {
    by_value: BTreeMap<Box<str>, u32>,
    /// By number of copies, how many values have so many.
    histogram: BTreeMap<u32, u32>,
}

impl ValueCounts {
    fn add(&mut self, value: &str) {
        let copies = match self.by_value.get_mut(value) {
            Some(copies) => {
                *copies += 1;
                *copies
            }
            None => {
                self.by_value.insert(value.into(), 1);
                1
            }
        };
        self.move_value(copies - 1, copies);
    }

    fn remove(&mut self, value: &str) {
        // Absent only if somebody removes what was not added; then nothing is left to be corrected.
        let Some(copies) = self.by_value.get_mut(value) else { return };
        *copies -= 1;
        let copies = *copies;
        if copies == 0 {
            self.by_value.remove(value);
        }
        self.move_value(copies + 1, copies);
    }

    /// A value that had `before` copies has `after`.
    fn move_value(&mut self, before: u32, after: u32) {
        if let Some(values) = self.histogram.get_mut(&before) {
            *values -= 1;
            if *values == 0 {
                self.histogram.remove(&before);
            }
        }
        if after > 0 {
            *self.histogram.entry(after).or_default() += 1;
        }
    }

    /// So many copies are on `value`.
    pub(super) fn copies_on(&self, value: &str) -> u32 {
        self.by_value.get(value).copied().unwrap_or(0)
    }

    /// So many values have copies.
    pub(super) fn values(&self) -> u32 {
        u32::try_from(self.by_value.len()).unwrap_or(u32::MAX)
    }

    /// The number of copies on the value that has fewest, of those that have any; 0 if none has.
    pub(super) fn least_copies(&self) -> u32 {
        self.histogram.first_key_value().map_or(0, |(copies, _)| *copies)
    }

    /// The value with most copies; of several the first in text order.
    pub(super) fn most_common(&self) -> Option<&str> {
        let (value, _) = self.by_value.iter().max_by_key(|(value, copies)| (**copies, Reverse(*value)))?;
        Some(value)
    }

    /// So many copies are on some value beyond the first `share` there.
    pub(super) fn copies_beyond(&self, share: u32) -> u64 {
        let above = self.histogram.range(share.saturating_add(1)..);
        above.map(|(copies, values)| u64::from(copies - share) * u64::from(*values)).sum()
    }
}
