//! What is still to happen, in order of time; what is due at the same time happens in the order it was planned.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;

use podium_core::model::time::Timestamp;
use rustc_hash::FxHashMap;

/// Names a planned event so that it can be cancelled.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Alarm {
    at: Timestamp,
    serial: u64,
}

// Numbers say in which order events were planned, which matters only among those of one time, and these are in order:
// states that differ in numbers alone are the same to whoever compares them by what they print.
impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Alarm").field(&self.at).finish()
    }
}

impl<E: fmt::Debug> fmt::Debug for Queue<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No map: events of one time would look as if one had replaced the other.
        let mut events: Vec<(&Alarm, &E)> = self
            .alarms
            .iter()
            .filter_map(|Reverse(alarm)| Some((alarm, self.events.get(&alarm.serial)?)))
            .collect();
        events.sort_unstable_by_key(|(alarm, _)| **alarm);
        f.debug_list().entries(events).finish()
    }
}

/// Planned events.
#[derive(Clone)]
pub(super) struct Queue<E> {
    /// When events are due. Those of cancelled events stay until they are the first.
    alarms: BinaryHeap<Reverse<Alarm>>,
    /// The events, apart from their order: they are large, and moved only once.
    events: FxHashMap<u64, E>,
    serial: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { alarms: BinaryHeap::new(), events: FxHashMap::default(), serial: 0 }
    }
}

impl<E> Queue<E> {
    /// Plans `event`.
    pub(super) fn plan(&mut self, at: Timestamp, event: E) -> Alarm {
        self.serial += 1;
        let alarm = Alarm { at, serial: self.serial };
        self.alarms.push(Reverse(alarm));
        self.events.insert(alarm.serial, event);
        alarm
    }

    /// Forgets a planned event; without effect when it has happened.
    pub(super) fn cancel(&mut self, alarm: Option<Alarm>) {
        if let Some(alarm) = alarm {
            self.events.remove(&alarm.serial);
            self.drop_cancelled();
        }
    }

    /// The next event that is due.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<E> {
        self.deadline().filter(|at| *at <= now)?;
        let Reverse(alarm) = self.alarms.pop()?;
        let event = self.events.remove(&alarm.serial);
        self.drop_cancelled();
        event
    }

    /// When the next event is due.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.alarms.peek().map(|Reverse(alarm)| alarm.at)
    }

    /// Sees to it that the first alarm is of an event that is still to happen.
    fn drop_cancelled(&mut self) {
        while let Some(Reverse(alarm)) = self.alarms.peek()
            && !self.events.contains_key(&alarm.serial)
        {
            self.alarms.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_order_of_time_then_of_planning() {
        let at = Timestamp::from_millis;
        let mut queue = Queue::default();
        queue.plan(at(5), "late");
        queue.plan(at(3), "first");
        let cancelled = queue.plan(at(3), "cancelled");
        queue.plan(at(3), "second");
        queue.cancel(Some(cancelled));
        let left = [("first", 3), ("second", 3), ("late", 5)]
            .map(|(event, millis)| format!("(Alarm({:?}), {event:?})", at(millis)));
        assert_eq!(format!("{queue:?}"), format!("[{}]", left.join(", ")));
        assert_eq!(queue.deadline(), Some(at(3)));
        assert_eq!(queue.pop_due(at(2)), None);
        let due: Vec<_> = std::iter::from_fn(|| queue.pop_due(at(4))).collect();
        assert_eq!((due, queue.deadline()), (vec!["first", "second"], Some(at(5))));
        let next = queue.plan(at(4), "next");
        queue.cancel(Some(next));
        assert_eq!(queue.deadline(), Some(at(5)), "what is cancelled is not waited for");
    }
}
