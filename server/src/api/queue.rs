//! `/v2/queue`: what waits to be launched.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use podium_core::model::ids::{PodId, Uuid};
use podium_core::model::time::Timestamp;
use podium_core::view::QueueItem;
use podium_core::{Command, Scheduler};
use schemars::JsonSchema;
use serde::Serialize;

use super::error::ApiError;
use super::listing::{self, Budget, Format, Tour};
use super::metrics::Template;
use super::{Api, Asked, path};

/// `GET /v2/queue[?embed=lastUnusedOffers]`
pub(super) async fn list(State(api): State<Api>, request: Request) -> Result<Response, ApiError> {
    let parameters = Asked::of(&request).parameters;
    // Unknown words are passed over, as in Marathon.
    let with_offers = parameters.iter().any(|(key, word)| key == "embed" && word == "lastUnusedOffers");
    let pods = |scheduler: &Scheduler, _| scheduler.waiting_pods().cloned().collect::<Vec<_>>();
    let pods = api.driver.query(pods).await?.into_iter();
    let tour = Waiting { pods, current: None, with_offers };
    listing::answer(&api, tour, Format::json("{\"queue\":[", "]}")).await
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

/// Through the pods of which copies wait, and those copies. Pods that wait no longer are passed over.
struct Waiting {
    /// Those that are not done.
    pods: std::vec::IntoIter<PodId>,
    /// The one that is looked at.
    current: Option<Current>,
    with_offers: bool,
}

struct Current {
    pod: PodId,
    /// The last copy that was looked at.
    last: Option<Uuid>,
    /// Since when the one waits that has waited longest so far.
    since: Timestamp,
}

impl Tour for Waiting {
    type Item = QueueItem;

    fn look(&mut self, scheduler: &Scheduler, now: Timestamp, time: Budget, found: &mut Vec<QueueItem>) {
        while !self.is_over() {
            let Some(current) = &mut self.current else {
                self.current = self.pods.next().map(|pod| Current { pod, last: None, since: now });
                continue;
            };
            for (copy, since) in scheduler.waiting_copies(&current.pod, current.last) {
                current.last = Some(copy);
                current.since = current.since.min(since);
                if time.is_spent() {
                    return;
                }
            }
            found.extend(scheduler.queue_item(&current.pod, current.since, now, self.with_offers));
            self.current = None;
            if time.is_spent() {
                return;
            }
        }
    }

    fn is_over(&self) -> bool {
        self.current.is_none() && self.pods.as_slice().is_empty()
    }
}
