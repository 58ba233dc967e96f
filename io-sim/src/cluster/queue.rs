//! What is still to happen, in order of time; what is due at the same time happens in the order it was planned.

use std::collections::BTreeMap;
use std::fmt;

use podium_core::model::time::Timestamp;

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
        f.debug_list().entries(&self.events).finish()
    }
}

/// Planned events.
#[derive(Clone)]
pub(super) struct Queue<E> {
    events: BTreeMap<Alarm, E>,
    serial: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { events: BTreeMap::new(), serial: 0 }
    }
}

impl<E> Queue<E> {
    /// Plans `event`.
    pub(super) fn plan(&mut self, at: Timestamp, event: E) -> Alarm {
        self.serial += 1;
        let alarm = Alarm { at, serial: self.serial };
        self.events.insert(alarm, event);
        alarm
    }

    /// Forgets a planned event; without effect when it has happened.
    pub(super) fn cancel(&mut self, alarm: Option<Alarm>) {
        if let Some(alarm) = alarm {
            self.events.remove(&alarm);
        }
    }

    /// The next event that is due.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<E> {
        let first = self.events.first_entry()?;
        (first.key().at <= now).then(|| first.remove())
    }

    /// When the next event is due.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.events.first_key_value().map(|(alarm, _)| alarm.at)
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
        assert_eq!(queue.deadline(), Some(at(3)));
        assert_eq!(queue.pop_due(at(2)), None);
        let due: Vec<_> = std::iter::from_fn(|| queue.pop_due(at(4))).collect();
        assert_eq!((due, queue.deadline()), (vec!["first", "second"], Some(at(5))));
    }
}
