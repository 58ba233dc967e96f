//! Long answers, looked up and written piece by piece: neither does the scheduler wait for them, nor is memory
//! needed for all of one.

use std::io;
use std::sync::Arc;
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

/// A query looks at things for so long, and then lets the scheduler do what else there is.
const BUDGET: Duration = Duration::from_millis(2);

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

/// Looks at some of `keys`, from the index `from` on: at least at one if there is one, and at as many as there is
/// time for.
pub(super) async fn look_at_some<K, R>(
    driver: &Handle,
    keys: &Arc<[K]>,
    from: usize,
    look: impl Fn(&Scheduler, &K, Timestamp) -> R + Send + 'static,
) -> Result<Vec<R>, Stopped>
where
    K: Send + Sync + 'static,
    R: Send + 'static,
{
    let keys = keys.clone();
    let look_at_all = move |scheduler: &Scheduler, now| {
        let start = Instant::now();
        let mut found = Vec::new();
        for key in keys.iter().skip(from) {
            found.push(look(scheduler, key, now));
            if start.elapsed() >= BUDGET {
                break;
            }
        }
        found
    };
    driver.query(look_at_all).await
}

/// The answer that lists what `look` finds for each of `keys`, in their order.
pub(super) fn answer<K, R>(
    driver: &Handle,
    keys: Vec<K>,
    look: impl Fn(&Scheduler, &K, Timestamp) -> R + Copy + Send + 'static,
    format: Format<R::Item>,
) -> Response
where
    K: Send + Sync + 'static,
    R: IntoIterator<Item: 'static> + Send + 'static,
{
    struct Place {
        key: usize,
        items: usize,
        has_ended: bool,
    }
    let (driver, keys): (_, Arc<[K]>) = (driver.clone(), keys.into());
    let content_type = [(CONTENT_TYPE, format.media_type)];
    let pieces = stream::try_unfold(Place { key: 0, items: 0, has_ended: false }, move |mut place| {
        let (driver, keys) = (driver.clone(), keys.clone());
        let Format { head, write, tail, .. } = format;
        async move {
            if place.has_ended {
                return Ok::<_, io::Error>(None);
            }
            let mut piece = if place.key == 0 { head.as_bytes().to_vec() } else { Vec::new() };
            // The answer has begun already: if the scheduler has stopped, all that is left is to break it off.
            let found = look_at_some(&driver, &keys, place.key, look).await.map_err(io::Error::other)?;
            place.key += found.len();
            for item in found.into_iter().flatten() {
                write(&mut piece, place.items, item)?;
                place.items += 1;
            }
            if place.key == keys.len() {
                piece.extend_from_slice(tail.as_bytes());
                place.has_ended = true;
            }
            Ok(Some((Bytes::from(piece), place)))
        }
    });
    (StatusCode::OK, content_type, Body::from_stream(pieces)).into_response()
}
