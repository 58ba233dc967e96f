//! What the flags say about HTTP: how much clients may take up and for how long, and who may ask from where.

use std::future::ready;
use std::time::Duration;

use axum::error_handling::HandleErrorLayer;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::{BoxError, Router};
use tower::ServiceBuilder;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower_http::compression::{CompressionLayer, CompressionLevel};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::error::ApiError;

/// How the API is served.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// So many connections are served at once; more are answered with status 503 and closed.
    pub max_connections: usize,
    /// So many requests are worked on at once; more are answered with status 503. No limit if absent.
    pub max_concurrent_requests: Option<usize>,
    /// The origins whose pages may read answers (CORS).
    pub allowed_origins: Origins,
    /// Whether answers are compressed for clients that accept it.
    pub compression: bool,
    /// The time a client has for the head of a request, and for beginning the next one on the same
    /// connection. Marathon's idle timeout.
    pub header_timeout: Duration,
    /// The time a client has for the body of a request.
    pub body_timeout: Duration,
    /// A connection is given up when the other side has taken nothing of what waits to be sent for so long.
    pub stall_timeout: Duration,
    /// An event stream sends something at least this often, so that both sides notice a dead connection. Jetty's
    /// heartbeat, which Marathon's streams have.
    pub event_keep_alive: Duration,
    /// A look at the scheduler for a long answer takes so long, and then lets the scheduler do what else there is.
    pub look_time: Duration,
}

impl HttpSettings {
    /// Puts around `router` what the settings ask for.
    pub(super) fn around(&self, mut router: Router) -> Router {
        if let Some(limit) = self.max_concurrent_requests {
            let limited = ServiceBuilder::new()
                .layer(HandleErrorLayer::new(move |_: BoxError| ready(too_many_requests(limit))))
                .load_shed()
                .layer(GlobalConcurrencyLimitLayer::new(limit));
            router = router.layer(limited);
        }
        if self.compression {
            // Event streams are left alone, or events would wait for a full block. Lists shrink to a fraction
            // at any quality; the processors have other things to do.
            router = router.layer(CompressionLayer::new().quality(CompressionLevel::Fastest));
        }
        match self.allowed_origins.layer() {
            Some(layer) => router.layer(layer),
            None => router,
        }
    }
}

/// A request that would be one too many (Marathon's `LimitConcurrentRequestsFilter`).
fn too_many_requests(limit: usize) -> ApiError {
    let message = format!("Too many concurrent requests! Allowed: {limit}.");
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message)
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            max_connections: 16_384,
            max_concurrent_requests: None,
            allowed_origins: Origins::default(),
            compression: true,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(60),
            event_keep_alive: Duration::from_secs(10),
            look_time: Duration::from_millis(2),
        }
    }
}

/// The origins whose pages may read answers; nobody's by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(Vec<HeaderValue>);

/// An origin cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no origin; expected '*', or scheme://host[:port] as browsers send it")]
pub struct InvalidOrigin(String);

impl Origins {
    /// Understands origins as a flag lists them.
    ///
    /// # Errors
    /// One of them cannot be an origin.
    pub fn parse<'a>(origins: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidOrigin> {
        let origins = origins.into_iter().map(str::trim).filter(|origin| !origin.is_empty()).map(|origin| {
            let names_host = origin.split_once("://").is_some_and(|(scheme, host)| {
                !scheme.is_empty() && !host.is_empty() && !host.contains(['/', ' '])
            });
            let value = HeaderValue::from_str(origin).ok().filter(|_| names_host || origin == "*");
            value.ok_or_else(|| InvalidOrigin(origin.to_owned()))
        });
        origins.collect::<Result<_, _>>().map(Self)
    }

    /// What tells browsers about them (Marathon's `CORSFilter`); nothing if there are none.
    fn layer(&self) -> Option<CorsLayer> {
        if self.0.is_empty() {
            return None;
        }
        let origins = if self.0.iter().any(|origin| origin == "*") {
            AllowOrigin::any()
        } else {
            AllowOrigin::list(self.0.iter().cloned())
        };
        let layer = CorsLayer::new()
            .allow_origin(origins)
            .allow_headers(AllowHeaders::mirror_request())
            .allow_methods([Method::GET, Method::HEAD, Method::OPTIONS])
            .max_age(Duration::from_secs(86_400));
        Some(layer.vary([header::ORIGIN]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_what_browsers_send() {
        for (list, count) in [("", 0), ("*", 1), ("http://a, https://b.example:8443,", 2), ("null://x", 1)] {
            assert_eq!(Origins::parse(list.split(',')).unwrap().0.len(), count, "{list}");
        }
        for list in ["a.example", "http://", "http://a/path", "http://a b", "http://a,\u{7f}"] {
            Origins::parse(list.split(',')).expect_err(list);
        }
    }
}
