//! What happened lately, numbered, for everybody who listens.
//!
//! ```text
//!   driver ──publish──►  [ 4711 | 4712 | 4713 | … | 21094 ]        oldest ones fall off
//!                            ▲             ▲          ▲
//!                         a slow        another      one that
//!                         reader        reader       keeps up
//! ```
//!
//! The log never waits for a reader: each reader keeps its own place and comes for the events when its client
//! has taken the last ones. A reader whose place has fallen off the log has lost events and is told so. A
//! reader that comes back takes with it what is there, or it would begin at the edge. An event is written out
//! at most once, by the first reader that needs it.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use podium_core::model::event::ApiEvent;
use podium_core::model::time::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

use super::story;
use crate::clock;
use crate::driver::Audience;

/// So many events a reader gets at once.
const MAX_PIECE: usize = 256;

/// The newest events, up to a fixed number of them.
#[derive(Debug)]
pub struct EventLog {
    ring: Mutex<Ring>,
    capacity: usize,
    /// Distinguishes this run of the daemon from others.
    run: i64,
    grown: watch::Sender<()>,
    listeners: AtomicU64,
}

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Arc<LoggedEvent>>,
    /// The number of the next event.
    next: u64,
    closed: bool,
}

/// An event with its place in the log.
#[derive(Debug)]
pub(super) struct LoggedEvent {
    pub(super) id: EventId,
    source: Source,
    text: OnceLock<EventText>,
}

/// An event as it is sent.
#[derive(Debug)]
pub(super) struct EventText {
    /// Marathon's `eventType`.
    pub(super) kind: String,
    pub(super) json: String,
}

/// Names an event: the run of the daemon that saw it, and its number in that run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EventId {
    run: i64,
    number: u64,
}

/// What comes next for a reader.
#[derive(Debug)]
pub(super) enum Next {
    /// Some events, at least one.
    Events(Vec<Arc<LoggedEvent>>),
    /// The reader was too slow, and events between its place and this one are lost to it.
    Lost(EventId),
    /// The daemon ends.
    Closed,
}

/// A listener's place in the log.
#[derive(Debug)]
pub(super) struct Reader {
    log: Arc<EventLog>,
    /// What it took with it when it came back.
    backlog: VecDeque<Arc<LoggedEvent>>,
    /// The number of the next event that it wants after those.
    place: u64,
    grown: watch::Receiver<()>,
}

impl EventLog {
    /// An empty log that keeps `capacity` events.
    pub fn new(capacity: usize) -> Self {
        Self::of_run(capacity, clock::wall().as_millis())
    }

    fn of_run(capacity: usize, run: i64) -> Self {
        let ring = Mutex::new(Ring { next: 1, ..Ring::default() });
        Self {
            ring,
            capacity: capacity.max(1),
            run,
            grown: watch::Sender::new(()),
            listeners: AtomicU64::new(0),
        }
    }

    /// Ends all readers when they have read everything.
    pub fn close(&self) {
        self.ring().closed = true;
        self.grown.send_replace(());
    }

    /// Notes that somebody began or stopped to listen.
    pub(super) fn note_listener(&self, attached: bool, remote_address: String) {
        let timestamp = clock::wall();
        let event = if attached {
            self.listeners.fetch_add(1, Ordering::Relaxed);
            ListenerEvent::EventStreamAttached { remote_address, timestamp }
        } else {
            self.listeners.fetch_sub(1, Ordering::Relaxed);
            ListenerEvent::EventStreamDetached { remote_address, timestamp }
        };
        self.append(Source::Listener(event));
    }

    /// How many listen.
    pub(super) fn listeners(&self) -> u64 {
        self.listeners.load(Ordering::Relaxed)
    }

    /// A reader of what comes from now on.
    pub(super) fn subscribe(self: &Arc<Self>) -> Reader {
        let place = self.ring().next;
        Reader { log: self.clone(), backlog: VecDeque::new(), place, grown: self.grown.subscribe() }
    }

    /// A reader that goes on after the event `last`. If there were events in between that are no longer known,
    /// it starts at the oldest one that is, whose id is given as well.
    pub(super) fn resume(self: &Arc<Self>, last: Option<EventId>) -> (Reader, Option<EventId>) {
        let ring = self.ring();
        let oldest = ring.oldest();
        let wanted = last.filter(|last| last.run == self.run).map(|last| last.number + 1);
        let known = wanted.filter(|wanted| (oldest..=ring.next).contains(wanted));
        let backlog = ring.from(known.unwrap_or(oldest)).cloned().collect();
        let place = ring.next;
        drop(ring);
        let gap = if known.is_some() { None } else { Some(self.id(oldest)) };
        (Reader { log: self.clone(), backlog, place, grown: self.grown.subscribe() }, gap)
    }

    fn append(&self, source: Source) {
        let mut ring = self.ring();
        let id = self.id(ring.next);
        ring.next += 1;
        if ring.events.len() == self.capacity {
            ring.events.pop_front();
        }
        ring.events.push_back(Arc::new(LoggedEvent { id, source, text: OnceLock::new() }));
        drop(ring);
        self.grown.send_replace(());
    }

    fn id(&self, number: u64) -> EventId {
        EventId { run: self.run, number }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // Nothing that is done under the lock can leave the ring half changed.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn oldest(&self) -> u64 {
        self.next - self.events.len() as u64
    }

    /// The events from number `place` on, which must not be older than the oldest.
    fn from(&self, place: u64) -> impl Iterator<Item = &Arc<LoggedEvent>> {
        let skip = usize::try_from(place - self.oldest()).unwrap_or(usize::MAX);
        self.events.iter().skip(skip)
    }
}

impl Audience for Arc<EventLog> {
    fn publish(&mut self, event: ApiEvent) {
        story::tell(&event.kind);
        self.append(Source::Scheduler(event));
    }
}

impl Reader {
    /// Waits for what comes next.
    pub(super) async fn next(&mut self) -> Next {
        loop {
            self.grown.mark_unchanged();
            if let Some(next) = self.look() {
                return next;
            }
            // The log, which this reader holds, cannot go away.
            let _ = self.grown.changed().await;
        }
    }

    fn look(&mut self) -> Option<Next> {
        if !self.backlog.is_empty() {
            let count = self.backlog.len().min(MAX_PIECE);
            return Some(Next::Events(self.backlog.drain(..count).collect()));
        }
        let ring = self.log.ring();
        if self.place < ring.oldest() {
            return Some(Next::Lost(self.log.id(ring.oldest())));
        }
        if self.place == ring.next {
            return ring.closed.then_some(Next::Closed);
        }
        let events: Vec<_> = ring.from(self.place).take(MAX_PIECE).cloned().collect();
        drop(ring);
        self.place += events.len() as u64;
        Some(Next::Events(events))
    }
}

impl LoggedEvent {
    pub(super) fn text(&self) -> &EventText {
        self.text.get_or_init(|| match &self.source {
            Source::Listener(event) => write(event),
            Source::Scheduler(event) => write(event),
        })
    }
}

#[derive(Debug)]
enum Source {
    Listener(ListenerEvent),
    Scheduler(ApiEvent),
}

#[derive(Debug, Serialize)]
#[serde(tag = "eventType", rename_all = "snake_case", rename_all_fields = "camelCase")]
enum ListenerEvent {
    EventStreamAttached { remote_address: String, timestamp: Timestamp },
    EventStreamDetached { remote_address: String, timestamp: Timestamp },
}

fn write(event: &impl Serialize) -> EventText {
    // An event is plain data, which always has a JSON form.
    let value = serde_json::to_value(event).unwrap_or_default();
    let kind = value.get("eventType").and_then(|kind| kind.as_str()).unwrap_or_default().to_owned();
    EventText { kind, json: value.to_string() }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.run, self.number)
    }
}

impl FromStr for EventId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (run, number) = text.rsplit_once('-').ok_or(())?;
        let number = number.parse().ok().filter(|number| *number < u64::MAX).ok_or(())?;
        Ok(Self { run: run.parse().map_err(|_| ())?, number })
    }
}

#[cfg(test)]
mod tests {
    use podium_core::model::event::ApiEventKind;

    use super::*;

    fn publish(log: &Arc<EventLog>, count: usize) {
        for _ in 0..count {
            let kind = ApiEventKind::SchedulerDisconnectedEvent {};
            log.clone().publish(ApiEvent { timestamp: Timestamp::EPOCH, kind });
        }
    }

    async fn numbers(reader: &mut Reader) -> Vec<u64> {
        match reader.next().await {
            Next::Events(events) => events.iter().map(|event| event.id.number).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn every_reader_has_its_own_place() {
        let log = Arc::new(EventLog::of_run(10, 7));
        publish(&log, 2);
        let mut late = log.subscribe();
        publish(&log, 3);
        assert_eq!(numbers(&mut late).await, [3, 4, 5]);
        publish(&log, 1);
        assert_eq!(numbers(&mut late).await, [6]);
        log.close();
        assert!(matches!(late.next().await, Next::Closed));
    }

    #[tokio::test]
    async fn a_waiting_reader_wakes_up() {
        let log = Arc::new(EventLog::of_run(10, 7));
        let mut reader = log.subscribe();
        let waiting = tokio::spawn(async move { numbers(&mut reader).await });
        tokio::task::yield_now().await;
        publish(&log, 1);
        assert_eq!(waiting.await.unwrap(), [1]);
    }

    #[tokio::test]
    async fn a_reader_that_is_too_slow_is_told() {
        let log = Arc::new(EventLog::of_run(3, 7));
        let mut reader = log.subscribe();
        publish(&log, 3);
        let (mut resumed, gap) = log.resume(Some(log.id(0)));
        publish(&log, 1);
        assert!(matches!(reader.next().await, Next::Lost(id) if id == log.id(2)));
        // Whoever comes back has until the log is full again.
        assert_eq!((numbers(&mut resumed).await, gap), (vec![1, 2, 3], None));
        assert_eq!(numbers(&mut resumed).await, [4]);
    }

    #[tokio::test]
    async fn a_reader_resumes_where_it_was_or_learns_of_the_gap() {
        let log = Arc::new(EventLog::of_run(3, 7));
        publish(&log, 5);
        for (last, expected, gap) in [
            ("7-3", vec![4, 5], None),
            ("7-2", vec![3, 4, 5], None),
            ("7-1", vec![3, 4, 5], Some("7-3")),
            // Of another run, or never sent.
            ("6-4", vec![3, 4, 5], Some("7-3")),
            ("7-9", vec![3, 4, 5], Some("7-3")),
            ("what", vec![3, 4, 5], Some("7-3")),
        ] {
            let (mut reader, found) = log.resume(last.parse().ok());
            assert_eq!(found.map(|id| id.to_string()).as_deref(), gap, "{last}");
            assert_eq!(numbers(&mut reader).await, expected, "{last}");
        }
        let (mut reader, gap) = log.resume("7-5".parse().ok());
        assert_eq!(gap, None);
        publish(&log, 1);
        assert_eq!(numbers(&mut reader).await, [6]);
    }
}
