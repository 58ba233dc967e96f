//! What the driver counts: what comes from Mesos, what goes there, and how long everything takes.

use std::time::Duration;

use podium_core::model::mesos::{Call, Event};
use podium_core::{Accept, Action};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// From 10 µs to 10 s.
const TIMES: [f64; 13] =
    [0.000_01, 0.000_03, 0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];

type Labelled = Family<[(&'static str, &'static str); 1], Counter>;

/// What the driver counts.
pub(crate) struct DriverMetrics {
    offers_received: Counter,
    offers_rescinded: Counter,
    offers_used: Counter,
    offers_declined: Counter,
    launches: Counter,
    status_updates: Labelled,
    subscriptions: Counter,
    calls: Labelled,
    commands: Labelled,
    events: Counter,
    records: Counter,
    /// Taking one input.
    steps: Histogram,
    /// Making the records of a turn durable.
    writes: Histogram,
    /// Looking at the scheduler, which nothing else can do meanwhile.
    queries: Histogram,
}

impl Default for DriverMetrics {
    fn default() -> Self {
        Self {
            offers_received: Counter::default(),
            offers_rescinded: Counter::default(),
            offers_used: Counter::default(),
            offers_declined: Counter::default(),
            launches: Counter::default(),
            status_updates: Family::default(),
            subscriptions: Counter::default(),
            calls: Family::default(),
            commands: Family::default(),
            events: Counter::default(),
            records: Counter::default(),
            steps: Histogram::new(TIMES),
            writes: Histogram::new(TIMES),
            queries: Histogram::new(TIMES),
        }
    }
}

impl DriverMetrics {
    /// Mesos said something.
    pub(crate) fn heard(&self, event: &Event) {
        match event {
            Event::Subscribed { .. } => {
                self.subscriptions.inc();
            }
            Event::Offers(offers) => {
                self.offers_received.inc_by(number(offers.len()));
            }
            Event::Rescind(_) => {
                self.offers_rescinded.inc();
            }
            Event::Update(status) => {
                self.status_updates.get_or_create(&[("state", status.state.as_str())]).inc();
            }
            _ => {}
        }
    }

    /// The scheduler wants something done.
    pub(crate) fn acts(&self, action: &Action) {
        match action {
            Action::Accept(accept) => {
                let Accept { offer_ids, launches, .. } = &**accept;
                self.offers_used.inc_by(number(offer_ids.len()));
                self.launches.inc_by(number(launches.len()));
                self.calls.get_or_create(&[("call", "ACCEPT")]).inc();
            }
            Action::Call(call) => {
                if let Call::Decline { offer_ids, .. } = call {
                    self.offers_declined.inc_by(number(offer_ids.len()));
                }
                self.calls.get_or_create(&[("call", call_name(call))]).inc();
            }
            Action::LookUpSecrets(_) => {}
            Action::Publish(_) => {
                self.events.inc();
            }
            Action::Reply { result, .. } => {
                let result = if result.is_ok() { "accepted" } else { "refused" };
                self.commands.get_or_create(&[("result", result)]).inc();
            }
        }
    }

    /// An input was taken.
    pub(crate) fn stepped(&self, took: Duration) {
        self.steps.observe(took.as_secs_f64());
    }

    /// Records are durable.
    pub(crate) fn wrote(&self, records: usize, took: Duration) {
        self.records.inc_by(number(records));
        self.writes.observe(took.as_secs_f64());
    }

    /// Somebody had a look.
    pub(crate) fn queried(&self, took: Duration) {
        self.queries.observe(took.as_secs_f64());
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let mut counter = |name, help, counter: &Counter| registry.register(name, help, counter.clone());
        counter("offers_received", "Offers from Mesos", &self.offers_received);
        counter("offers_rescinded", "Offers that Mesos took back", &self.offers_rescinded);
        counter("offers_used", "Offers on which something was launched", &self.offers_used);
        counter("offers_declined", "Offers given back unused", &self.offers_declined);
        counter("launches", "Instances launched", &self.launches);
        counter("subscriptions", "How often Mesos accepted a subscription", &self.subscriptions);
        counter("events", "Events published on /v2/events", &self.events);
        counter("store_records", "Records made durable", &self.records);
        let mut family = |name, help, family: &Labelled| registry.register(name, help, family.clone());
        family("status_updates", "Status updates from Mesos, by the task's state", &self.status_updates);
        family("calls", "Calls to Mesos, by type", &self.calls);
        family("commands", "Commands of clients, by what became of them", &self.commands);
        let mut times = |name, help, histogram: &Histogram| {
            registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        };
        times("step", "Time the scheduler took for one input", &self.steps);
        times("store_write", "Time to make the records of a turn durable", &self.writes);
        times("query", "Time the scheduler was held up by one look at it", &self.queries);
    }
}

fn number(length: usize) -> u64 {
    length as u64
}

/// Mesos' name of a call's type.
fn call_name(call: &Call) -> &'static str {
    match call {
        Call::Accept { .. } => "ACCEPT",
        Call::AcceptInverseOffers { .. } => "ACCEPT_INVERSE_OFFERS",
        Call::Acknowledge { .. } => "ACKNOWLEDGE",
        Call::AcknowledgeOperation { .. } => "ACKNOWLEDGE_OPERATION_STATUS",
        Call::Decline { .. } => "DECLINE",
        Call::DeclineInverseOffers { .. } => "DECLINE_INVERSE_OFFERS",
        Call::Kill { .. } => "KILL",
        Call::Message { .. } => "MESSAGE",
        Call::Reconcile { .. } => "RECONCILE",
        Call::ReconcileOperations { .. } => "RECONCILE_OPERATIONS",
        Call::Revive { .. } => "REVIVE",
        Call::Shutdown { .. } => "SHUTDOWN",
        Call::Subscribe { .. } => "SUBSCRIBE",
        Call::Suppress { .. } => "SUPPRESS",
        Call::Teardown => "TEARDOWN",
        Call::UpdateFramework { .. } => "UPDATE_FRAMEWORK",
    }
}
