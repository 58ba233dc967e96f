//! `/metrics`, and what is counted for it.

use std::borrow::Cow;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::error::ApiError;
use super::{Api, accept};
use crate::metrics::{self, Look, Request as Counted};

/// The path as the API's document has it. Handlers that take paths apart themselves put it into their answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Template(pub(super) &'static str);

/// `GET /metrics`
pub(super) async fn show(State(api): State<Api>, headers: HeaderMap) -> Result<Response, ApiError> {
    let look = api.driver.query(|scheduler, now| (scheduler.census(now), scheduler.is_connected()));
    let (census, is_subscribed) = look.await?;
    let look = Look { census, is_subscribed, event_stream_clients: api.events.listeners() };
    let text = metrics::write(&look, api.driver.metrics(), &api.metrics)
        .map_err(|error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    // What is written is valid in the older format as well, which people's tools know.
    let format = if accept::names(&headers, "application/openmetrics-text") {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; version=0.0.4; charset=utf-8"
    };
    Ok(([(CONTENT_TYPE, format)], text).into_response())
}

/// Counts a request and its answer.
pub(super) async fn count(State(api): State<Api>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = method_name(request.method());
    let matched = request.extensions().get::<MatchedPath>();
    let matched = matched.map(|path| path.as_str().trim_end_matches('/').to_owned());
    let response = next.run(request).await;
    let route = match response.extensions().get::<Template>() {
        Some(Template(template)) => Cow::Borrowed(*template),
        // A path that a handler could not take apart belongs to no template.
        None => matched.filter(|path| !path.contains('*')).map_or("none".into(), Cow::Owned),
    };
    let counted = Counted { method, route, status: response.status().as_u16() };
    api.metrics.answered(&counted, began.elapsed());
    response
}

/// Clients can invent methods; those are not told apart.
fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "DELETE" => "DELETE",
        "GET" => "GET",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        "PATCH" => "PATCH",
        "POST" => "POST",
        "PUT" => "PUT",
        _ => "other",
    }
}
