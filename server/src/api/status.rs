//! `::status`: how pods are.

use std::io;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use podium_core::Refusal;
use podium_core::model::ids::PodId;
use podium_core::view::PodStatus;

use super::error::ApiError;
use super::{Api, json};
use crate::driver::Handle;

/// A query looks at pods until it has seen so many instances, and then lets the scheduler do other things.
pub(super) const INSTANCES_PER_QUERY: usize = 500;

/// `GET /v2/pods/{id}::status`
pub(super) async fn one(api: &Api, id: PodId) -> Result<Response, ApiError> {
    let wanted = id.clone();
    let status = api.driver.query(move |scheduler, now| scheduler.pod_status(&wanted, now)).await?;
    Ok(json(StatusCode::OK, &status.ok_or(Refusal::UnknownPod(id))?))
}

/// `GET /v2/pods/::status`: written piece by piece, so that neither the scheduler waits for it nor memory is
/// needed for all of it.
pub(super) async fn all(api: &Api) -> Result<Response, ApiError> {
    let pods = api.driver.query(|scheduler, _| scheduler.pods().map(|pod| pod.id.clone()).collect()).await?;
    let state = Listing { driver: api.driver.clone(), pods, next: 0, is_first: true, has_ended: false };
    let pieces = stream::try_unfold(state, Listing::piece);
    Ok(([(CONTENT_TYPE, "application/json")], Body::from_stream(pieces)).into_response())
}

/// A list of statuses that is being written.
struct Listing {
    driver: Handle,
    pods: Vec<PodId>,
    next: usize,
    is_first: bool,
    has_ended: bool,
}

impl Listing {
    async fn piece(mut self) -> io::Result<Option<(Bytes, Self)>> {
        if self.has_ended {
            return Ok(None);
        }
        let mut piece = if self.next == 0 { b"[".to_vec() } else { Vec::new() };
        for status in self.look().await? {
            if !self.is_first {
                piece.push(b',');
            }
            self.is_first = false;
            serde_json::to_writer(&mut piece, &status)?;
        }
        if self.next == self.pods.len() {
            piece.push(b']');
            self.has_ended = true;
        }
        Ok(Some((piece.into(), self)))
    }

    /// The statuses of some more pods. Pods that are gone by now are passed over.
    async fn look(&mut self) -> io::Result<Vec<PodStatus>> {
        let pods = std::mem::take(&mut self.pods);
        let from = self.next;
        let look = self.driver.query(move |scheduler, now| {
            let mut statuses = Vec::new();
            let (mut next, mut instances) = (from, 0);
            while next < pods.len() && instances < INSTANCES_PER_QUERY {
                let status = scheduler.pod_status(&pods[next], now);
                instances += 1 + status.as_ref().map_or(0, |status| status.instances.len());
                statuses.extend(status);
                next += 1;
            }
            (pods, next, statuses)
        });
        // The answer has begun already: all that is left is to break it off.
        let (pods, next, statuses) = look.await.map_err(io::Error::other)?;
        self.pods = pods;
        self.next = next;
        Ok(statuses)
    }
}
