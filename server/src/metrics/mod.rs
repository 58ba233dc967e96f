//! What `/metrics` shows, in the text format of Prometheus.
//!
//! ```text
//!   driver ── DriverMetrics ──┐  counted as it happens: offers, launches, updates, times
//!   api ───── HttpMetrics ────┤  likewise: requests, connections
//!   census, process ──────────┴──► looked at when somebody asks
//! ```
//!
//! The scheduler itself counts nothing: what it decides is counted where its outputs are performed.

mod driver;
mod http;
mod process;

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Registry, Unit};

pub(crate) use driver::DriverMetrics;
pub use http::HttpMetrics;
pub(crate) use http::Request;

use podium_core::view::Census;

/// To be called at the start of the process.
pub(crate) fn note_start() {
    process::note_start();
}

/// What one look found.
pub(crate) struct Look {
    /// How much there is of everything.
    pub(crate) census: Census,
    /// Whether there is a subscription with a master.
    pub(crate) is_subscribed: bool,
    /// Clients of `/v2/events`.
    pub(crate) event_stream_clients: u64,
}

/// Everything as text.
///
/// # Errors
/// None in practice: writing to a string does not fail.
pub(crate) fn write(
    look: &Look,
    driver: &DriverMetrics,
    http: &HttpMetrics,
) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::default();
    let podium = registry.sub_registry_with_prefix("podium");
    register_build(podium);
    register_look(podium, look);
    driver.register(podium);
    http.register(podium);
    process::register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

fn register_build(registry: &mut Registry) {
    let build = labelled([(("version", env!("CARGO_PKG_VERSION")), 1)]);
    registry.register("build", "Always 1; the label says which Podium this is", build);
}

fn register_look(registry: &mut Registry, look: &Look) {
    let Look { census, is_subscribed, event_stream_clients } = look;
    let pods = [
        ("stable", census.stable_pods),
        ("degraded", census.degraded_pods),
        ("terminal", census.terminal_pods),
    ];
    let pods = labelled(pods.map(|(status, count)| (("status", status), count.into())));
    registry.register("pods", "Pods by status", pods);
    let instances = census.instances.map(|(stage, count)| (("stage", stage), count.into()));
    registry.register("instances", "Instances by stage", labelled(instances));
    let mut gauge = |name, help, value| registry.register(name, help, ConstGauge::new(value));
    gauge("deployments", "Deployments under way", u64::from(census.deployments));
    gauge("queue_pods", "Pods of which instances wait to be launched", census.waiting_pods.into());
    gauge("unknown_tasks", "Tasks of this framework without a record", census.unknown_tasks.into());
    gauge("subscribed", "1 while there is a subscription with a master", u64::from(*is_subscribed));
    gauge("event_stream_clients", "Clients of /v2/events", *event_stream_clients);
    registry.register_with_unit(
        "queue_oldest_wait",
        "How long the oldest instance that waits to be launched has waited",
        Unit::Seconds,
        ConstGauge::new(census.oldest_wait.as_secs_f64()),
    );
}

type LabelledGauge = Family<[(&'static str, &'static str); 1], Gauge<u64, AtomicU64>>;

/// Gauges with one label each.
fn labelled(values: impl IntoIterator<Item = ((&'static str, &'static str), u64)>) -> LabelledGauge {
    let family = LabelledGauge::default();
    for (label, value) in values {
        family.get_or_create(&[label]).set(value);
    }
    family
}
