//! The driver: the one thread that owns the scheduler, and stands between it and the world.
//!
//! ```text
//!   API ── command ──┐                    ┌── query ── API
//!   Mesos ── event ──┤                    │
//!   clock ── tick ───┤                    │
//!                    ▼                    ▼
//!        ┌───────────────── a turn ───────────────────┐
//!        │ 1 step    all inputs that wait (bounded)   │
//!        │ 2 commit  their records, in one write      │
//!        │ 3 perform their actions, in order          │──► replies, calls, events
//!        │ 4 answer  queries (bounded)                │
//!        └────────────────────────────────────────────┘
//! ```
//!
//! Nothing leaves in step 3 or 4 that is not durable after step 2; if step 2 fails the driver ends with an
//! error and performs nothing. Steps 1 and 4 are bounded in time, so that neither inputs nor queries hold up
//! the other for long: the scheduler does a bounded portion of work with each input, and wants a tick at once if
//! that was not all; offers, which it always answers at once, it is given in portions. Inputs wait in a bounded channel: a master that talks faster than the scheduler
//! thinks is slowed down by its own connection.

mod offers;
mod outbox;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, UnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use podium_core::model::event::ApiEvent;
use podium_core::model::mesos::{Call, Event};
use podium_core::model::time::Timestamp;
use podium_core::{
    Command, CommandId, Input, Origin, Output, Refusal, Response, Scheduler, SecretsReport, Subscription,
};
use tokio::sync::{mpsc, oneshot};

use crate::clock::{self, Clock};
use crate::metrics::DriverMetrics;
use crate::secrets::SecretStore;
use crate::store::{Store, StoreError};
use offers::split_off;
use outbox::{Outbox, World};

/// So many inputs share one write at most.
const MAX_BATCH: usize = 1024;
/// Stepping makes room for the write and for queries after so long.
const STEP_BUDGET: Duration = Duration::from_millis(3);
/// Queries make room for stepping after so long. A single query is never cut short: whoever asks much asks in
/// pieces.
const QUERY_BUDGET: Duration = Duration::from_millis(1);
/// Inputs, and likewise queries, that may wait.
const CHANNEL_CAPACITY: usize = 1024;
/// The longest sleep, so that a wall clock that was set forward is noticed.
const MAX_SLEEP: Duration = Duration::from_secs(10);
/// A longer time without a look at the clock means that the machine slept, that the process was stopped or held up by a
/// write, or that the clock was set forward: what was heard before is old news, and what came since is still to be read.
const LONGEST_ABSENCE: Duration = Duration::from_secs(60);

/// What became of a command.
pub type Answer = Result<Box<Response>, Box<Refusal>>;

/// A subscription's way to the master.
pub trait Connection: Send {
    /// Sends `call` after those before it. Must not block; a call that cannot be sent is dropped, and the end
    /// of the connection is reported through [`Handle::disconnected`].
    fn send(&mut self, call: Call);
}

/// Takes the events that the scheduler publishes, in order. Must not block.
pub trait Audience: Send {
    /// An event that is durable.
    fn publish(&mut self, event: ApiEvent);
}

/// Why a driver ended.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The scheduler panicked: a bug. What was acknowledged is durable, and a restart continues from there.
    #[error("the scheduler panicked ({message}) at {now} on the input {input}")]
    Panicked {
        /// When.
        now: Timestamp,
        /// On what.
        input: String,
        /// The panic's words.
        message: String,
    },
    /// Records could not be made durable; nothing of them has been acted upon.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The driver has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the scheduler has stopped")]
pub struct Stopped;

/// Starts a thread that drives `scheduler`. Without a secret store, references to secrets go to the agents as
/// they are. The receiver tells how it ended: without an error after
/// [`Handle::stop`] or when no handle is left.
///
/// # Panics
/// When the system cannot start a thread.
pub fn start(
    scheduler: Scheduler,
    store: Box<dyn Store>,
    audience: Box<dyn Audience>,
    secrets: Option<Box<dyn SecretStore>>,
) -> (Handle, oneshot::Receiver<Result<(), DriverError>>) {
    let (driver, handle) = Driver::new(scheduler, store, audience, secrets, CHANNEL_CAPACITY);
    let (ended, receiver) = oneshot::channel();
    std::thread::Builder::new()
        .name("driver".to_owned())
        .spawn(move || {
            let result = driver.run();
            // Nobody may be left to hear it.
            let _ = ended.send(result);
        })
        .expect("a process that has just started can start a thread");
    (handle, receiver)
}

/// Reaches a driver from anywhere.
#[derive(Clone)]
pub struct Handle {
    inputs: mpsc::Sender<Message>,
    queries: mpsc::Sender<Query>,
    metrics: Arc<DriverMetrics>,
}

impl Handle {
    /// Has the scheduler do something. The answer is durable when it comes.
    ///
    /// # Errors
    /// The driver has ended; whether the command took effect is unknown.
    pub async fn command(&self, origin: Origin, command: Command) -> Result<Answer, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Command { origin, command: Box::new(command), reply }).await?;
        answer.await.map_err(|_| Stopped)
    }

    /// Looks at the scheduler between two turns. `look` holds up everything else while it runs: it takes what it
    /// needs and leaves the rest of the work to the caller.
    ///
    /// # Errors
    /// The driver has ended, or `look` panicked.
    pub async fn query<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Scheduler, Timestamp) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        let query = move |scheduler: &Scheduler, now| {
            // The asker may have gone away.
            let _ = reply.send(look(scheduler, now));
        };
        self.queries.send(Box::new(query)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// How to subscribe now.
    ///
    /// # Errors
    /// The driver has ended.
    pub async fn subscription(&self) -> Result<Subscription, Stopped> {
        self.query(|scheduler, now| scheduler.subscription(now)).await
    }

    /// There is a new subscription: from now on calls go to `connection`. Its events follow, the first being
    /// `Subscribed`.
    ///
    /// # Errors
    /// The driver has ended.
    pub async fn connected(&self, connection: Box<dyn Connection>) -> Result<(), Stopped> {
        self.send(Message::Connected(connection)).await
    }

    /// The subscription has ended: calls are dropped until there is a new one.
    ///
    /// # Errors
    /// The driver has ended.
    pub async fn disconnected(&self) -> Result<(), Stopped> {
        self.send(Message::Disconnected).await
    }

    /// The master refused a call, in these words; the connection goes on.
    ///
    /// # Errors
    /// The driver has ended.
    pub async fn refused(&self, call: Box<Call>, reason: String) -> Result<(), Stopped> {
        self.send(Message::Refused { call, reason }).await
    }

    /// The master has removed the framework; there is no subscription.
    ///
    /// # Errors
    /// The driver has ended.
    pub async fn framework_removed(&self) -> Result<(), Stopped> {
        self.send(Message::FrameworkRemoved).await
    }

    /// The master says something.
    ///
    /// # Errors
    /// The driver has ended.
    pub async fn event(&self, event: Event) -> Result<(), Stopped> {
        self.send(Message::Event(Box::new(event))).await
    }

    /// Ends the driver after everything that was sent before.
    pub async fn stop(&self) {
        // An error means that it has ended already.
        let _ = self.send(Message::Stop).await;
    }

    /// What the driver has counted.
    pub(crate) fn metrics(&self) -> &DriverMetrics {
        &self.metrics
    }

    async fn send(&self, message: Message) -> Result<(), Stopped> {
        self.inputs.send(message).await.map_err(|_| Stopped)
    }
}

type Query = Box<dyn FnOnce(&Scheduler, Timestamp) + Send>;

enum Message {
    Command { origin: Origin, command: Box<Command>, reply: oneshot::Sender<Answer> },
    Connected(Box<dyn Connection>),
    Disconnected,
    Event(Box<Event>),
    FrameworkRemoved,
    Refused { call: Box<Call>, reason: String },
    Resumed,
    Secrets(SecretsReport),
    Stop,
    Tick,
}

struct Driver {
    scheduler: Scheduler,
    store: Box<dyn Store>,
    clock: Clock,
    /// When the clock was last looked at.
    looked_at: Timestamp,
    outbox: Outbox,
    world: World,
    metrics: Arc<DriverMetrics>,
    /// What the secret store said, for the next turn.
    reports: VecDeque<SecretsReport>,
    /// Offers that came with others, which are to be looked at before anything else.
    offers: VecDeque<Event>,
    /// How many commands there were, to number them.
    commands: u64,
    inputs: mpsc::Receiver<Message>,
    queries: mpsc::Receiver<Query>,
}

/// What ends a wait.
enum Wakeup {
    Message(Message),
    Query(Query),
    Report(SecretsReport),
    Nobody,
}

impl Driver {
    /// A driver that is not running yet. So many inputs, and likewise queries, may wait for it.
    fn new(
        scheduler: Scheduler,
        store: Box<dyn Store>,
        audience: Box<dyn Audience>,
        secrets: Option<Box<dyn SecretStore>>,
        capacity: usize,
    ) -> (Self, Handle) {
        let (input_sender, inputs) = mpsc::channel(capacity);
        let (query_sender, queries) = mpsc::channel(capacity);
        let metrics = Arc::<DriverMetrics>::default();
        let earliest = scheduler.now();
        let behind = earliest.since(clock::wall());
        if behind >= Duration::from_secs(1) {
            tracing::warn!(
                "the clock is {behind:?} behind the newest record: until it has caught up, time goes on from that record"
            );
        }
        let mut clock = Clock::new(earliest);
        let driver = Self {
            scheduler,
            store,
            looked_at: clock.now(),
            clock,
            outbox: Outbox::default(),
            world: World::new(audience, secrets),
            reports: VecDeque::new(),
            offers: VecDeque::new(),
            metrics: metrics.clone(),
            commands: 0,
            inputs,
            queries,
        };
        (driver, Handle { inputs: input_sender, queries: query_sender, metrics })
    }

    fn run(mut self) -> Result<(), DriverError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|source| StoreError::Io { action: "start", path: "a timer".into(), source })?;
        loop {
            let (first, query) = match runtime.block_on(self.wait()) {
                Wakeup::Message(message) => (Some(message), None),
                Wakeup::Query(query) => (None, Some(query)),
                Wakeup::Report(report) => (Some(Message::Secrets(report)), None),
                Wakeup::Nobody => return Ok(()),
            };
            let stop = self.step_waiting(first)?;
            self.outbox.commit(&mut *self.store, &self.metrics)?;
            let reports = self.outbox.perform(&mut self.world, &self.scheduler, &self.metrics);
            self.reports.extend(reports);
            self.answer_queries(query);
            if stop {
                return Ok(());
            }
        }
    }

    /// Sleeps until there is something to do.
    async fn wait(&mut self) -> Wakeup {
        if let Some(offers) = self.offers.pop_front() {
            return Wakeup::Message(Message::Event(Box::new(offers)));
        }
        if let Some(report) = self.reports.pop_front() {
            return Wakeup::Report(report);
        }
        loop {
            if self.was_absent() {
                return Wakeup::Message(Message::Resumed);
            }
            let due = self.scheduler.deadline().map(|deadline| deadline.since(self.clock.now()));
            let sleep = due.unwrap_or(MAX_SLEEP).min(MAX_SLEEP);
            tokio::select! {
                biased;
                message = self.inputs.recv() => return message.map_or(Wakeup::Nobody, Wakeup::Message),
                Some(query) = self.queries.recv() => return Wakeup::Query(query),
                () = tokio::time::sleep(sleep) => {
                    if due.is_some_and(|due| due <= sleep) {
                        return Wakeup::Message(Message::Tick);
                    }
                }
            }
        }
    }

    /// Steps `first`, then what else waits. True if the driver is to end after this turn.
    fn step_waiting(&mut self, first: Option<Message>) -> Result<bool, DriverError> {
        let began = Instant::now();
        // Before anything that waits: what comes first is not the newest.
        if self.was_absent() {
            self.take(Message::Resumed)?;
        }
        let mut next = first.or_else(|| self.next_waiting());
        let mut taken = 0;
        while let Some(message) = next {
            if matches!(message, Message::Stop) {
                return Ok(true);
            }
            self.take(message)?;
            taken += 1;
            // Whatever is received from here on is taken: nobody sends it a second time.
            if taken == MAX_BATCH || began.elapsed() > STEP_BUDGET {
                break;
            }
            next = self.next_waiting().or_else(|| self.is_tick_due().then_some(Message::Tick));
        }
        // Inputs may have kept it from coming to that.
        if self.is_tick_due() {
            self.take(Message::Tick)?;
        }
        Ok(false)
    }

    /// Whether nobody has looked at the clock for too long.
    fn was_absent(&mut self) -> bool {
        let now = self.clock.now();
        let before = std::mem::replace(&mut self.looked_at, now);
        let absence = now.since(before);
        if absence > LONGEST_ABSENCE {
            tracing::warn!("nothing was done for {absence:?}: Mesos is asked about everything");
        }
        absence > LONGEST_ABSENCE
    }

    fn next_waiting(&mut self) -> Option<Message> {
        let offers = self.offers.pop_front().map(|offers| Message::Event(Box::new(offers)));
        offers.or_else(|| self.inputs.try_recv().ok())
    }

    fn is_tick_due(&mut self) -> bool {
        self.scheduler.deadline().is_some_and(|deadline| deadline <= self.clock.now())
    }

    fn take(&mut self, message: Message) -> Result<(), DriverError> {
        let input = match message {
            Message::Command { origin, command, reply } => {
                self.commands += 1;
                let id = CommandId(self.commands);
                self.world.expect_reply(id, reply);
                Input::Command { id, origin, command }
            }
            Message::Connected(connection) => {
                self.outbox.connect(connection);
                return Ok(());
            }
            Message::Disconnected => {
                self.outbox.disconnect();
                Input::Disconnected
            }
            Message::Event(mut event) => {
                if let Event::Offers(offers) = &mut *event {
                    self.offers.extend(split_off(offers).map(Event::Offers));
                }
                self.metrics.heard(&event);
                Input::Event(event)
            }
            Message::FrameworkRemoved => Input::FrameworkRemoved,
            Message::Refused { call, reason } => Input::Refused { call, reason },
            Message::Resumed => Input::Resumed,
            Message::Secrets(report) => Input::Secrets(report),
            Message::Stop => return Ok(()),
            Message::Tick => Input::Tick,
        };
        let output = self.step(input)?;
        self.outbox.add(output);
        Ok(())
    }

    /// The only place where anything happens to the scheduler.
    fn step(&mut self, input: Input) -> Result<Output, DriverError> {
        let now = self.clock.now();
        let scheduler = &mut self.scheduler;
        let again = input.clone();
        let began = Instant::now();
        // After a panic the scheduler may be half changed: it is never used again.
        let output = catch(AssertUnwindSafe(|| scheduler.step(now, input)));
        self.metrics.stepped(began.elapsed());
        output.map_err(|message| {
            let input = serde_json::to_string(&again).unwrap_or_else(|_| format!("{again:?}"));
            DriverError::Panicked { now, input, message }
        })
    }

    fn answer_queries(&mut self, first: Option<Query>) {
        let began = Instant::now();
        let mut next = first.or_else(|| self.queries.try_recv().ok());
        while let Some(query) = next {
            let now = self.clock.now();
            let asked = Instant::now();
            // A query changes nothing, so a panic in it harms nobody but the asker, who is told.
            if let Err(message) = catch(AssertUnwindSafe(|| query(&self.scheduler, now))) {
                tracing::error!("a query panicked, which is a bug: {message}");
            }
            self.metrics.queried(asked.elapsed());
            if began.elapsed() > QUERY_BUDGET {
                return;
            }
            next = self.queries.try_recv().ok();
        }
    }
}

/// Calls `f`, and gives the words of its panic if it has one. The panic hook has told the place already.
fn catch<T>(f: impl FnOnce() -> T + UnwindSafe) -> Result<T, String> {
    catch_unwind(f).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
    })
}

#[cfg(test)]
mod tests {
    use podium_core::record::{Entry, Record};
    use podium_core::{Config, Mark};

    use super::*;

    struct Nobody;

    impl Audience for Nobody {
        fn publish(&mut self, _: ApiEvent) {}
    }

    impl Connection for Nobody {
        fn send(&mut self, _: Call) {}
    }

    impl Store for Nobody {
        fn load(&mut self) -> Result<Vec<Entry>, StoreError> {
            Ok(Vec::new())
        }

        fn commit(&mut self, _: &[Record]) -> Result<(), StoreError> {
            Ok(())
        }
    }

    /// A process that was stopped reads what came meanwhile only when it goes on, and its timers are due before that.
    #[test]
    fn after_an_absence_the_scheduler_is_told_before_anything_else() {
        let mut scheduler = Scheduler::new(Config::default(), 1);
        let framework_id = "f".into();
        let subscribed = Event::Subscribed { framework_id, heartbeat_interval: None, master: None };
        let _ = scheduler.step(clock::wall(), Input::Event(Box::new(subscribed)));
        let (mut driver, _handle) = Driver::new(scheduler, Box::new(Nobody), Box::new(Nobody), None, 1);
        assert!(!driver.step_waiting(None).unwrap());
        assert!(!driver.scheduler.marks().has(Mark::Resumed));
        let before = driver.looked_at;
        driver.looked_at = Timestamp::from_millis(before.as_millis() - 61_000);
        assert!(!driver.step_waiting(None).unwrap());
        assert!(driver.scheduler.marks().has(Mark::Resumed));
        assert!(driver.looked_at >= before, "once is enough");
    }

    #[test]
    fn a_turn_leaves_to_the_next_one_what_it_does_not_take() {
        let scheduler = Scheduler::new(Config::default(), 1);
        let (mut driver, handle) =
            Driver::new(scheduler, Box::new(Nobody), Box::new(Nobody), None, 3 * MAX_BATCH);
        for _ in 0..3 * MAX_BATCH {
            // The cheapest input there is: a turn ends because there are too many of them.
            handle.inputs.try_send(Message::Connected(Box::new(Nobody))).expect("there is room");
        }
        for turns in 1..=3 {
            assert!(!driver.step_waiting(None).unwrap());
            assert!(driver.inputs.len() >= (3 - turns) * MAX_BATCH, "after {turns} turns");
        }
    }
}
