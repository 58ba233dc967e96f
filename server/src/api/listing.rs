//! Long answers, looked up and written piece by piece: neither does the scheduler wait for them, nor is memory
//! needed for all of one.
//!
//! ```text
//!   Tour ──look, 2 ms──► items ──► Format ──► a piece of the body
//!     ▲                              │
//!     └──── when the client has taken it ─────┘
//! ```
//!
//! A pod may have a hundred thousand copies, and there may be as many pods, so a tour stops in the middle of a pod if
//! need be. What the pieces say is true at slightly different moments.

use std::collections::VecDeque;
use std::io;
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use podium_core::Scheduler;
use podium_core::model::ids::PodId;
use podium_core::model::time::Timestamp;
use serde::Serialize;

use super::Api;
use super::error::ApiError;
use crate::driver::Stopped;

/// A way through everything that an answer tells of.
pub(super) trait Tour: Send + 'static {
    /// What is found on the way.
    type Item: Send + 'static;

    /// Goes on from where it was, adding to `found` what it finds, until the end or until the `time` is up. It gets
    /// on by a step at least.
    fn look(&mut self, scheduler: &Scheduler, now: Timestamp, time: Budget, found: &mut Vec<Self::Item>);

    /// Whether it is at the end.
    fn is_over(&self) -> bool;
}

/// The time for one look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    end: Instant,
}

impl Budget {
    /// Whether the time is up.
    pub(super) fn is_spent(self) -> bool {
        Instant::now() >= self.end
    }
}

/// So many pods are listed at once.
const CHUNK: usize = 1000;

/// The pods that a tour comes by, each with a version of it, or none for its current definition.
pub(super) struct Pods {
    listed: VecDeque<(PodId, Option<Timestamp>)>,
    /// Whether there are more, and after which one.
    more: Option<After>,
}

struct After(Option<PodId>);

impl Pods {
    /// All that there are, by id.
    pub(super) fn all() -> Self {
        Self { listed: VecDeque::new(), more: Some(After(None)) }
    }

    /// Those of a list.
    pub(super) fn these(pods: impl IntoIterator<Item = (PodId, Option<Timestamp>)>) -> Self {
        Self { listed: pods.into_iter().collect(), more: None }
    }

    /// The next one, again and again until it is passed by.
    pub(super) fn next(&mut self, scheduler: &Scheduler) -> Option<(&PodId, Option<Timestamp>)> {
        if self.listed.is_empty()
            && let Some(After(last)) = self.more.take()
        {
            let pods = scheduler.pods_after(last.as_ref()).take(CHUNK);
            self.listed.extend(pods.map(|pod| (pod.id.clone(), None)));
            self.more = self.listed.back().map(|(last, _)| After(Some(last.clone())));
        }
        self.listed.front().map(|(pod, version)| (pod, *version))
    }

    /// Goes on to the one after it.
    pub(super) fn pass_by(&mut self) {
        self.listed.pop_front();
    }

    /// Whether there is none any more.
    pub(super) fn is_over(&self) -> bool {
        self.listed.is_empty() && self.more.is_none()
    }
}

/// How a long answer is written.
pub(super) struct Format<T> {
    /// Its media type.
    pub(super) media_type: &'static str,
    /// What comes first.
    pub(super) head: &'static str,
    /// How an item is written; the number says how many there were before it.
    pub(super) write: fn(&mut Vec<u8>, usize, T) -> io::Result<()>,
    /// What comes last.
    pub(super) tail: &'static str,
}

impl<T: Serialize> Format<T> {
    /// Items of a JSON array that `head` begins and `tail` ends.
    pub(super) const fn json(head: &'static str, tail: &'static str) -> Self {
        let write = |piece: &mut Vec<u8>, before, item| {
            if before > 0 {
                piece.push(b',');
            }
            Ok(serde_json::to_writer(piece, &item)?)
        };
        Self { media_type: "application/json", head, write, tail }
    }
}

/// Goes on with `tour` for one look.
pub(super) async fn look<T: Tour>(api: &Api, mut tour: T) -> Result<(T, Vec<T::Item>), Stopped> {
    let time = api.http.look_time;
    let look = move |scheduler: &Scheduler, now| {
        let mut found = Vec::new();
        tour.look(scheduler, now, Budget { end: Instant::now() + time }, &mut found);
        (tour, found)
    };
    api.driver.query(look).await
}

/// Everything that there is on `tour`, for what can only be said when all is known.
pub(super) async fn collect<T: Tour>(api: &Api, mut tour: T) -> Result<Vec<T::Item>, Stopped> {
    let mut all = Vec::new();
    while !tour.is_over() {
        let found;
        (tour, found) = look(api, tour).await?;
        all.extend(found);
    }
    Ok(all)
}

/// The answer that lists what there is on `tour`.
///
/// # Errors
/// The scheduler has stopped before anything was found. If it stops later, the answer is broken off.
pub(super) async fn answer<T: Tour>(
    api: &Api,
    tour: T,
    format: Format<T::Item>,
) -> Result<Response, ApiError> {
    let (tour, found) = look(api, tour).await?;
    answer_from(api, tour, found, format)
}

/// The answer that lists what has been `found` on `tour` already, and then what else there is.
pub(super) fn answer_from<T: Tour>(
    api: &Api,
    tour: T,
    found: Vec<T::Item>,
    format: Format<T::Item>,
) -> Result<Response, ApiError> {
    let content_type = [(CONTENT_TYPE, format.media_type)];
    let head = format.head.as_bytes().to_vec();
    let mut listing = Listing { api: api.clone(), tour: Some(tour), format, written: 0 };
    let first = listing
        .write(head, found)
        .map_err(|error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    if listing.tour.is_none() {
        return Ok((StatusCode::OK, content_type, first).into_response());
    }
    let pieces = stream::try_unfold((Some(first), listing), async |(first, mut listing)| {
        let piece = match first {
            Some(piece) => Some(piece),
            None => listing.piece().await?,
        };
        Ok::<_, io::Error>(piece.map(|piece| (piece, (None, listing))))
    });
    Ok((StatusCode::OK, content_type, Body::from_stream(pieces)).into_response())
}

/// An answer that is being written.
struct Listing<T: Tour> {
    api: Api,
    /// Nothing once everything is written.
    tour: Option<T>,
    format: Format<T::Item>,
    /// So many items.
    written: usize,
}

impl<T: Tour> Listing<T> {
    /// The next piece, if there is one.
    async fn piece(&mut self) -> io::Result<Option<Bytes>> {
        let Some(tour) = self.tour.take() else { return Ok(None) };
        // The answer has begun already: if the scheduler has stopped, all that is left is to break it off.
        let (tour, found) = look(&self.api, tour).await.map_err(io::Error::other)?;
        self.tour = Some(tour);
        self.write(Vec::new(), found).map(Some)
    }

    /// Adds to `piece` what was `found`, and the end if this is it.
    fn write(&mut self, mut piece: Vec<u8>, found: Vec<T::Item>) -> io::Result<Bytes> {
        for item in found {
            (self.format.write)(&mut piece, self.written, item)?;
            self.written += 1;
        }
        if self.tour.take_if(|tour| tour.is_over()).is_some() {
            piece.extend_from_slice(self.format.tail.as_bytes());
        }
        Ok(piece.into())
    }
}
