//! What the API counts: requests and connections.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// What the API counts.
#[derive(Debug)]
pub struct HttpMetrics {
    requests: Family<Request, Counter>,
    times: Family<Route, Histogram, fn() -> Histogram>,
    connections: Gauge,
    refused: Counter,
}

/// What is told apart when requests are counted. Routes are those of the API's document, so that there are not
/// more of them than that.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) route: Cow<'static, str>,
    pub(crate) status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: Cow<'static, str>,
}

/// From 1 ms to 30 s.
fn times() -> Histogram {
    Histogram::new([0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0])
}

impl Default for HttpMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            times: Family::new_with_constructor(times),
            connections: Gauge::default(),
            refused: Counter::default(),
        }
    }
}

impl HttpMetrics {
    /// A request was answered; `took` is the time until the answer began.
    pub(crate) fn answered(&self, request: &Request, took: Duration) {
        self.times.get_or_create(&Route { route: request.route.clone() }).observe(took.as_secs_f64());
        self.requests.get_or_create(request).inc();
    }

    /// Somebody has connected.
    pub(crate) fn connected(self: &Arc<Self>) -> Connection {
        self.connections.inc();
        Connection(self.clone())
    }

    /// Somebody was sent away because too many are connected.
    pub(crate) fn refused(&self) {
        self.refused.inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("http_requests", "Requests by method, route and status", self.requests.clone());
        registry.register_with_unit(
            "http_request",
            "Time until the answer to a request begins, by route",
            Unit::Seconds,
            self.times.clone(),
        );
        registry.register("http_connections", "Open connections of clients", self.connections.clone());
        registry.register(
            "http_connections_refused",
            "Connections refused because of --http_max_connections",
            self.refused.clone(),
        );
    }
}

/// An open connection; ends when it is dropped.
pub(crate) struct Connection(Arc<HttpMetrics>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}
