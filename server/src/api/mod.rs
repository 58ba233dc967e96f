//! The HTTP API: Marathon's, as far as it concerns pods.
//!
//! ```text
//!   socket ──► listener ──► headers ──► router ──► a handler ──► driver::Handle
//!              (hyper)      (on every              │
//!                            answer)               ├─ path    whose pod, which part of it
//!                                                  ├─ body    content type, size, JSON
//!                                                  └─ error   Marathon's shapes
//! ```
//!
//! Handlers hold no state: a command or a query goes to the driver, and its answer becomes JSON outside of the
//! driver's thread.

mod accept;
mod body;
mod deployments;
mod dry_run;
mod error;
mod event_log;
mod events;
mod groups;
mod headers;
mod instances;
mod listener;
mod listing;
mod metrics;
mod openapi;
mod path;
mod pods;
mod queue;
mod settings;
mod status;
mod story;
mod system;
mod tasks;
mod unknown_tasks;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, Request};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, any, delete, get, post};
use podium_core::admission::Rules;
use podium_core::{Command, Origin};
use serde::Serialize;
use tokio::sync::Notify;

use crate::driver::Handle;
pub use crate::metrics::HttpMetrics;
use error::ApiError;
pub use event_log::EventLog;
pub use listener::{Listener, bind};
pub use settings::{HttpSettings, InvalidOrigin, Origins};

/// What the handlers work with.
#[derive(Clone)]
pub struct Api {
    /// The way to the scheduler.
    pub driver: Handle,
    /// What happened lately, for `/v2/events`.
    pub events: Arc<EventLog>,
    /// What the flags say about pod definitions.
    pub rules: Arc<Rules>,
    /// What this daemon says about itself.
    pub about: Arc<About>,
    /// How much clients may take up.
    pub http: Arc<HttpSettings>,
    /// What is counted for `/metrics`.
    pub metrics: Arc<HttpMetrics>,
    /// Notified when the daemon is to give up leadership (`DELETE /v2/leader`).
    pub abdication: Arc<Notify>,
}

/// What a daemon says about itself.
#[derive(Clone, Debug)]
pub struct About {
    /// The name Mesos shows (`--framework_name`).
    pub framework_name: String,
    /// Under which host and port the API can be reached (`--hostname`, `--http_port`).
    pub leader: String,
    /// The port of the API.
    pub http_port: u16,
    /// The settings, by the names of their flags, without secrets.
    pub settings: serde_json::Map<String, serde_json::Value>,
}

/// Where a request comes from. The listener puts it into every request.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub SocketAddr);

impl Api {
    /// Everything the API answers.
    pub fn router(self) -> Router {
        let headers = headers::Common::new(&self.about);
        let http = self.http.clone();
        let router = routes()
            .into_iter()
            .fold(Router::new(), |router, (path, methods)| {
                // Marathon passes over a slash at the end.
                let takes_slash = path.ends_with("{*rest}");
                let router =
                    if takes_slash { router } else { router.route(&format!("{path}/"), methods.clone()) };
                router.route(path, methods)
            })
            .method_not_allowed_fallback(method_not_allowed)
            .fallback(not_found)
            .layer(axum::middleware::from_fn(accept::check))
            .with_state(self.clone());
        http.around(router)
            .layer(axum::middleware::from_fn_with_state(self, metrics::count))
            .layer(axum::middleware::map_response(move |response| headers.clone().add(response)))
    }
}

/// The router's part of routing. What is below `{*rest}` takes paths apart itself.
fn routes() -> Vec<(&'static str, MethodRouter<Api>)> {
    vec![
        ("/metrics", get(metrics::show)),
        ("/metrics/prometheus", get(metrics::show)),
        ("/ping", get(system::ping)),
        ("/v2/deployments", get(deployments::list)),
        ("/v2/deployments/{id}", get(deployments::read).delete(deployments::cancel)),
        ("/v2/events", get(events::stream)),
        ("/v2/groups", any(groups::dispatch)),
        ("/v2/groups/{*rest}", any(groups::dispatch)),
        ("/v2/info", get(system::info)),
        ("/v2/leader", get(system::leader).delete(system::abdicate)),
        ("/v2/openapi.json", get(openapi::show)),
        ("/v2/pods", any(pods::dispatch)),
        ("/v2/pods/{*rest}", any(pods::dispatch)),
        ("/v2/queue", get(queue::list)),
        ("/v2/queue/{*rest}", delete(queue::reset_delay)),
        ("/v2/unknown_tasks", get(unknown_tasks::list)),
        ("/v2/tasks", get(tasks::list)),
        ("/v2/tasks/delete", post(tasks::kill)),
    ]
}

async fn not_found(uri: axum::http::Uri) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, format!("URI not found: {}", uri.path()))
}

/// The router adds the `Allow` header.
async fn method_not_allowed(method: Method) -> Response {
    match method {
        Method::OPTIONS => StatusCode::NO_CONTENT.into_response(),
        _ => ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed").into_response(),
    }
}

/// An answer in JSON.
fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => {
            (status, [(axum::http::header::CONTENT_TYPE, "application/json")], bytes).into_response()
        }
        // Only a map with keys that are not text could do this, and there is none.
        Err(error) => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// What a request says apart from its path and body.
struct Asked {
    headers: HeaderMap,
    origin: Origin,
    parameters: Vec<(String, String)>,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let address = request.extensions().get::<ClientAddress>();
        let client_ip = address.map(|ClientAddress(address)| address.ip().to_string()).unwrap_or_default();
        Self {
            headers: request.headers().clone(),
            origin: Origin { client_ip, uri: request.uri().path().to_owned() },
            // What cannot be understood counts as absent.
            parameters: Query::try_from_uri(request.uri()).map(|query| query.0).unwrap_or_default(),
        }
    }

    /// Whether the query parameter is `true`, in any case. Anything else means false, as in Marathon.
    fn flag(&self, name: &str) -> bool {
        let value = self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

impl Api {
    /// Has the scheduler do something, and says no in Marathon's way if it does.
    async fn command(&self, asked: &Asked, command: Command) -> Result<podium_core::Response, ApiError> {
        // Where it can be done, it has been.
        dry_run::must_not_be_wanted(asked)?;
        let answer = self.driver.command(asked.origin.clone(), command).await?;
        Ok(*answer.map_err(|refusal| *refusal)?)
    }
}

/// The scheduler answers each command with the kind of response that belongs to it.
fn unexpected() -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the scheduler answered something else; this is a bug")
}
