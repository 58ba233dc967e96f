//! What is still to happen, in order of time; what is due at the same time happens in the order it was planned.
//! Whoever wants another order takes events out by their numbers.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use podium_core::model::time::Timestamp;

/// Planned events. None is cancelled: an event that has become pointless is ignored when it is due.
#[derive(Clone, Debug)]
pub(super) struct Queue<E> {
    heap: BinaryHeap<Planned<E>>,
    serial: u64,
}

#[derive(Clone, Debug)]
struct Planned<E> {
    at: Timestamp,
    serial: u64,
    event: E,
}

impl<E> Queue<E> {
    pub(super) fn new() -> Self {
        Self { heap: BinaryHeap::new(), serial: 0 }
    }

    /// Plans `event`.
    pub(super) fn plan(&mut self, at: Timestamp, event: E) {
        self.serial += 1;
        self.heap.push(Planned { at, serial: self.serial, event });
    }

    /// When the next event is due.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.heap.peek().map(|planned| planned.at)
    }

    /// The next event that is due at `now`.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<E> {
        if self.deadline()? > now {
            return None;
        }
        self.heap.pop().map(|planned| planned.event)
    }

    /// All planned events with when they are due and their numbers, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Timestamp, u64, &E)> {
        self.heap.iter().map(|planned| (planned.at, planned.serial, &planned.event))
    }

    /// The event with this number, out of its turn.
    pub(super) fn take(&mut self, serial: u64) -> Option<(Timestamp, E)> {
        let (taken, left): (Vec<_>, _) =
            std::mem::take(&mut self.heap).into_iter().partition(|planned| planned.serial == serial);
        self.heap = left.into();
        taken.into_iter().next().map(|planned| (planned.at, planned.event))
    }
}

// The heap gives the greatest first, so the order is turned round.
impl<E> Ord for Planned<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.serial).cmp(&(self.at, self.serial))
    }
}

impl<E> PartialOrd for Planned<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Planned<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Planned<E> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_order_of_time_then_of_planning() {
        let at = Timestamp::from_millis;
        let mut queue = Queue::new();
        queue.plan(at(5), "late");
        queue.plan(at(3), "first");
        queue.plan(at(3), "second");
        assert_eq!((queue.deadline(), queue.pop_due(at(2))), (Some(at(3)), None));
        queue.plan(at(2), "elsewhere");
        assert_eq!(queue.take(4), Some((at(2), "elsewhere")));
        let due: Vec<_> = std::iter::from_fn(|| queue.pop_due(at(4))).collect();
        assert_eq!((due, queue.deadline()), (vec!["first", "second"], Some(at(5))));
    }
}
