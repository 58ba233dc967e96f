//! `/v2/queue`: what waits to be launched.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use podium_core::Command;
use podium_core::view::QueueItem;
use schemars::JsonSchema;
use serde::Serialize;

use super::error::ApiError;
use super::metrics::Template;
use super::{Api, Asked, json, path};

/// `GET /v2/queue`
pub(super) async fn list(State(api): State<Api>) -> Result<Response, ApiError> {
    let queue = api.driver.query(|scheduler, now| scheduler.queue(now)).await?;
    Ok(json(StatusCode::OK, &Queue { queue }))
}

/// `DELETE /v2/queue/{id}/delay`: ends the wait after failures.
pub(super) async fn reset_delay(State(api): State<Api>, request: Request) -> Result<Response, ApiError> {
    let asked = Asked::of(&request);
    let path = path::decode(&asked.origin.uri)?;
    let id =
        path.strip_prefix("/v2/queue/").and_then(|rest| rest.trim_end_matches('/').strip_suffix("/delay"));
    let not_found = || ApiError::new(StatusCode::NOT_FOUND, format!("URI not found: {path}"));
    let pod = path::pod(id.ok_or_else(not_found)?)?;
    let result = api.command(&asked, Command::ResetDelay { pod }).await;
    let answer = result.map(|_| StatusCode::NO_CONTENT);
    Ok((Extension(Template("/v2/queue/{id}/delay")), answer).into_response())
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Queue {
    queue: Vec<QueueItem>,
}
