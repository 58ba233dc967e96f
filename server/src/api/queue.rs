//! `/v2/queue`: what waits to be launched.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use podium_core::model::ids::PodId;
use podium_core::view::QueueItem;
use podium_core::{Command, Scheduler};
use schemars::JsonSchema;
use serde::Serialize;

use super::error::ApiError;
use super::listing::{self, Format};
use super::metrics::Template;
use super::{Api, Asked, path};

/// `GET /v2/queue[?embed=lastUnusedOffers]`
pub(super) async fn list(State(api): State<Api>, request: Request) -> Result<Response, ApiError> {
    let parameters = Asked::of(&request).parameters;
    // Unknown words are passed over, as in Marathon.
    let with_offers = parameters.iter().any(|(key, word)| key == "embed" && word == "lastUnusedOffers");
    let pods = api.driver.query(|scheduler, _| scheduler.waiting_pods().cloned().collect()).await?;
    let look = move |scheduler: &Scheduler, pod: &PodId, now| scheduler.queue_item(pod, now, with_offers);
    Ok(listing::answer(&api.driver, pods, look, Format::json("{\"queue\":[", "]}")))
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

/// What `GET /v2/queue` answers, piece by piece.
#[derive(Serialize, JsonSchema)]
pub(super) struct Queue {
    queue: Vec<QueueItem>,
}
