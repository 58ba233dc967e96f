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

use std::io;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use podium_core::Scheduler;
use podium_core::model::time::Timestamp;
use serde::Serialize;

use crate::driver::{Handle, Stopped};

/// A look takes so long, and then lets the scheduler do what else there is.
const BUDGET: Duration = Duration::from_millis(2);

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
pub(super) async fn look<T: Tour>(driver: &Handle, mut tour: T) -> Result<(T, Vec<T::Item>), Stopped> {
    let look = |scheduler: &Scheduler, now| {
        let mut found = Vec::new();
        tour.look(scheduler, now, Budget { end: Instant::now() + BUDGET }, &mut found);
        (tour, found)
    };
    driver.query(look).await
}

/// Everything that there is on `tour`, for what can only be said when all is known.
pub(super) async fn collect<T: Tour>(driver: &Handle, mut tour: T) -> Result<Vec<T::Item>, Stopped> {
    let mut all = Vec::new();
    while !tour.is_over() {
        let found;
        (tour, found) = look(driver, tour).await?;
        all.extend(found);
    }
    Ok(all)
}

/// The answer that lists what there is on `tour`.
pub(super) fn answer<T: Tour>(driver: &Handle, tour: T, format: Format<T::Item>) -> Response {
    answer_from(driver, tour, Vec::new(), format)
}

/// The answer that lists what has been `found` on `tour` already, and then what else there is.
pub(super) fn answer_from<T: Tour>(
    driver: &Handle,
    tour: T,
    found: Vec<T::Item>,
    format: Format<T::Item>,
) -> Response {
    let content_type = [(CONTENT_TYPE, format.media_type)];
    let head = format.head.as_bytes().to_vec();
    let listing = Listing { driver: driver.clone(), tour: Some(tour), format, written: 0 };
    let first = (head, found);
    let pieces = stream::try_unfold((listing, Some(first)), async |(mut listing, first)| {
        let piece = listing.piece(first).await?;
        Ok::<_, io::Error>(piece.map(|piece| (piece, (listing, None))))
    });
    (StatusCode::OK, content_type, Body::from_stream(pieces)).into_response()
}

/// An answer that is being written.
struct Listing<T: Tour> {
    driver: Handle,
    /// Nothing once everything is written.
    tour: Option<T>,
    format: Format<T::Item>,
    /// So many items.
    written: usize,
}

impl<T: Tour> Listing<T> {
    /// The next piece; `first` is what it begins with.
    async fn piece(&mut self, first: Option<(Vec<u8>, Vec<T::Item>)>) -> io::Result<Option<Bytes>> {
        let Some(mut tour) = self.tour.take() else { return Ok(None) };
        let (mut piece, mut found) = first.unwrap_or_default();
        if found.is_empty() {
            // The answer has begun already: if the scheduler has stopped, all that is left is to break it off.
            (tour, found) = look(&self.driver, tour).await.map_err(io::Error::other)?;
        }
        for item in found {
            (self.format.write)(&mut piece, self.written, item)?;
            self.written += 1;
        }
        if tour.is_over() {
            piece.extend_from_slice(self.format.tail.as_bytes());
        } else {
            self.tour = Some(tour);
        }
        Ok(Some(piece.into()))
    }
}
