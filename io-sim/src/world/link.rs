//! The way between scheduler and master: one TCP connection after another.
//!
//! ```text
//!   scheduler ── calls, in order ──────────────► master
//!             ◄───────────── events, in order ──
//!
//!   broken:       what is on its way is lost, both ends are told
//!   partitioned:  what is on its way waits, nobody is told; silence and missing answers are noticed
//!                 after a while, and only then is the connection given up
//!   suspended:    what comes for the scheduler waits until its process goes on
//! ```
//!
//! Within a connection nothing is lost, doubled or reordered, as TCP has it. Across connections nothing is
//! promised: the master may still hold an old subscription for one that is open.

use std::time::Duration;

use podium_core::Subscription;
use podium_core::model::ids::FrameworkId;
use podium_core::model::mesos::{Call, Event, OperationInfo};
use podium_core::model::time::Timestamp;

use crate::cluster::{Answer, StreamId};
use crate::plan::{Direction, Range};
use crate::random::{Key, Named};

/// So long without a word from the master, and the connection is given up: five heartbeats.
pub(super) const SILENCE: Duration = Duration::from_secs(75);
/// So long without an answer to a call, likewise.
pub(super) const UNANSWERED: Duration = Duration::from_secs(75);
/// So long a connection may take to open.
pub(super) const CONNECT: Duration = Duration::from_secs(10);
/// The upper bound of the first pause between attempts. It doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Counts connections.
pub(super) type Number = u64;

/// From the scheduler to the master.
#[derive(Clone, Debug)]
pub(super) enum Up {
    Call { framework_id: Option<FrameworkId>, call: Box<Call> },
    Close,
    Subscribe(Box<Subscription>),
}

/// From the master to the scheduler.
#[derive(Clone, Debug)]
pub(super) enum Down {
    Answered(Answer),
    Closed,
    Event(Box<Event>),
    /// A call was refused; the connection goes on.
    Refused {
        call: Box<Call>,
        reason: String,
    },
}

// What has a name of its own draws by it; anything else by the moment at which it is sent.

impl Up {
    fn key(&self, now: Timestamp) -> Key {
        match self {
            Self::Call { call, .. } => call_key(call, now),
            Self::Close => Key::of("close").moment(now),
            Self::Subscribe(_) => Key::of("subscribe").moment(now),
        }
    }
}

impl Down {
    fn key(&self, now: Timestamp) -> Key {
        match self {
            Self::Answered(_) => Key::of("answered").moment(now),
            Self::Closed => Key::of("closed").moment(now),
            Self::Event(event) => event_key(Key::of("event"), event, now),
            Self::Refused { call, .. } => call_key(call, now),
        }
    }
}

fn call_key(call: &Call, now: Timestamp) -> Key {
    match call {
        Call::Acknowledge { uuid, .. } => Key::of("acknowledge").uuid(uuid),
        Call::Kill { task_id, .. } => Key::of("kill").task(task_id),
        Call::Accept { operations, .. } => {
            let launched = operations.iter().find_map(|operation| match &operation.info {
                OperationInfo::LaunchGroup(launch) => launch.tasks.first(),
                OperationInfo::Launch(tasks) => tasks.first(),
                _ => None,
            });
            let key = Key::of("accept");
            launched.map_or_else(|| key.moment(now), |task| key.task(&task.task_id))
        }
        Call::Decline { .. } => Key::of("decline").moment(now),
        Call::Reconcile { .. } => Key::of("reconcile").moment(now),
        Call::Revive { .. } => Key::of("revive").moment(now),
        Call::Suppress { .. } => Key::of("suppress").moment(now),
        _ => Key::of("call").moment(now),
    }
}

/// What an event's latency is drawn by, and that of a write that it leads to.
pub(super) fn event_key(key: Key, event: &Event, now: Timestamp) -> Key {
    match event {
        Event::Update(status) => match &status.uuid {
            Some(uuid) => key.uuid(uuid),
            // The answer to a question.
            None => key.task(&status.task_id).moment(now),
        },
        // Their ids depend on how many there were before.
        Event::Offers(offers) => key.text(offers.first().map_or("", |offer| &offer.hostname)).moment(now),
        Event::Heartbeat => key.text("heartbeat").moment(now),
        _ => key.moment(now),
    }
}

/// The connection and what is on its way.
#[derive(Clone, Debug)]
pub(super) struct Link {
    latency: Range,
    pub(super) extra: Duration,
    chance: Named,
    pub(super) state: State,
    /// The present connection, or the last one.
    pub(super) number: Number,
    /// What was sent up on connections before this one is lost, except their ends.
    lost_before: Number,
    up_at: Timestamp,
    down_at: Timestamp,
    pub(super) blocked: Blocked,
    /// The scheduler's process is suspended and reads nothing.
    pub(super) asleep: bool,
    held_up: Vec<(Number, Up)>,
    held_down: Vec<(Number, Down)>,
    /// When the scheduler last heard anything.
    pub(super) heard_at: Timestamp,
    failures: u32,
    opened_at: Timestamp,
}

/// How far the scheduler's side of the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Closed,
    /// `SUBSCRIBE` was sent.
    Subscribing,
    Open,
}

/// Which ways are blocked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Blocked {
    pub(super) up: bool,
    pub(super) down: bool,
}

impl Blocked {
    pub(super) fn of(direction: Direction) -> Self {
        Self { up: direction != Direction::Events, down: direction != Direction::Calls }
    }

    pub(super) fn any(self) -> bool {
        self.up || self.down
    }
}

/// Messages with their numbers.
type Held<T> = Vec<(Number, T)>;

impl Link {
    pub(super) fn new(latency: Range, chance: Named) -> Self {
        Self {
            latency,
            extra: Duration::ZERO,
            chance,
            state: State::Closed,
            number: 0,
            lost_before: 0,
            up_at: Timestamp::EPOCH,
            down_at: Timestamp::EPOCH,
            blocked: Blocked::default(),
            asleep: false,
            held_up: Vec::new(),
            held_down: Vec::new(),
            heard_at: Timestamp::EPOCH,
            failures: 0,
            opened_at: Timestamp::EPOCH,
        }
    }

    /// The name of a connection's subscription.
    pub(super) fn stream(number: Number) -> StreamId {
        StreamId(["stream-", &number.to_string()].concat().into())
    }

    /// The connection that a subscription is on.
    pub(super) fn number_of(stream: &StreamId) -> Option<Number> {
        stream.0.strip_prefix("stream-")?.parse().ok()
    }

    /// Begins a new connection.
    pub(super) fn open(&mut self, now: Timestamp) -> Number {
        self.number += 1;
        self.state = State::Subscribing;
        self.heard_at = now;
        self.number
    }

    /// The scheduler is subscribed.
    pub(super) fn opened(&mut self, now: Timestamp) {
        self.state = State::Open;
        self.opened_at = now;
        self.heard_at = now;
    }

    /// The connection is over on the scheduler's side: nothing that comes on it any more is heard.
    pub(super) fn closed(&mut self, now: Timestamp) {
        if self.state == State::Open && now.since(self.opened_at) >= LONGEST_PAUSE {
            self.failures = 0;
        }
        self.state = State::Closed;
        self.held_down.clear();
    }

    /// What was sent up and has not arrived never will.
    pub(super) fn lose_calls(&mut self) {
        self.lost_before = self.number + 1;
    }

    /// The pause before the next attempt.
    pub(super) fn pause(&mut self) -> Duration {
        let bound = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE);
        self.failures += 1;
        self.chance.next(Key::of("pause").number(self.number)).duration(Duration::ZERO, bound)
    }

    /// A process that starts has had no failures yet.
    pub(super) fn start_over(&mut self) {
        self.failures = 0;
        self.asleep = false;
    }

    /// When something that is sent up now arrives.
    pub(super) fn up_arrival(&mut self, now: Timestamp, message: &Up) -> Timestamp {
        let at = now + self.latency(|| message.key(now)) + self.extra;
        self.up_at = self.up_at.max(at);
        self.up_at
    }

    /// When something that is sent down now arrives.
    pub(super) fn down_arrival(&mut self, now: Timestamp, message: &Down) -> Timestamp {
        let at = now + self.latency(|| message.key(now)) + self.extra;
        self.down_at = self.down_at.max(at);
        self.down_at
    }

    fn latency(&mut self, key: impl FnOnce() -> Key) -> Duration {
        if self.latency.min() == self.latency.max() {
            return self.latency.min().to_duration();
        }
        self.latency.draw(&mut self.chance.next(key()))
    }

    /// Something sent up is due to arrive: does it? If it waits, it is kept here.
    pub(super) fn arrives_up(&mut self, number: Number, message: Up) -> Option<Up> {
        if number < self.lost_before && !matches!(message, Up::Close) {
            return None;
        }
        if self.blocked.up {
            self.held_up.push((number, message));
            return None;
        }
        Some(message)
    }

    /// Something sent down is due to arrive: does it? If it waits, it is kept here.
    pub(super) fn arrives_down(&mut self, now: Timestamp, number: Number, message: Down) -> Option<Down> {
        if number != self.number || self.state == State::Closed {
            return None;
        }
        if self.blocked.down || self.asleep {
            self.held_down.push((number, message));
            return None;
        }
        self.heard_at = now;
        Some(message)
    }

    /// Whether a call waits for the end of a partition.
    pub(super) fn has_unanswered(&self) -> bool {
        self.blocked.up && self.held_up.iter().any(|(number, _)| *number == self.number)
    }

    /// The process goes on: what waited to be read, to be sent again in order. What comes first then is chance, timers of
    /// the process or what waits in its sockets.
    pub(super) fn wake(&mut self) -> Held<Down> {
        self.asleep = false;
        if self.blocked.down { Vec::new() } else { std::mem::take(&mut self.held_down) }
    }

    /// The end of a partition: what waited, to be sent again in order.
    pub(super) fn unblock(&mut self) -> (Held<Up>, Held<Down>) {
        self.blocked = Blocked::default();
        (std::mem::take(&mut self.held_up), std::mem::take(&mut self.held_down))
    }
}
