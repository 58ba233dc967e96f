//! `/v2/events`: the event stream (server-sent events).
//!
//! Beyond Marathon's stream every event has an `id:`, and a client that comes back with `Last-Event-ID` goes
//! on where it was. Two more event types tell what the client missed: `event_stream_gap` when events it asks
//! for are no longer known, and `event_stream_dropped`, the last one of a client that read too slowly.

use std::fmt::Write as _;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use podium_core::model::time::Timestamp;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use super::event_log::{EventId, EventLog, Next, Reader};
use super::{Api, Asked, ClientAddress};
use crate::clock;

/// `GET /v2/events[?event_type=…]`
pub(super) async fn stream(State(api): State<Api>, request: Request) -> Response {
    let parameters = Asked::of(&request).parameters.into_iter();
    let kinds = parameters.filter(|(name, _)| name == "event_type").map(|(_, kind)| kind).collect();
    let address = request.extensions().get::<ClientAddress>();
    let address = address.map(|ClientAddress(address)| address.to_string()).unwrap_or_default();
    let last = request.headers().get("last-event-id").map(|last| last.to_str().unwrap_or_default());
    let (reader, gap) = match last {
        None => (api.events.subscribe(), None),
        Some(last) => api.events.resume(last.parse().ok()),
    };
    // A client sees that it is attached.
    let attached = Attached::new(api.events.clone(), address);
    let greeting = gap.map_or_else(
        || KEEP_ALIVE,
        |oldest| {
            let last_event_id = last.unwrap_or_default();
            let oldest = oldest.to_string();
            notice(&Notice::EventStreamGap { timestamp: clock::wall(), last_event_id, oldest }).into()
        },
    );
    let listener = Listener {
        reader,
        kinds,
        keep_alive: api.http.event_keep_alive,
        greeting: Some(greeting),
        ended: false,
        _attached: attached,
    };
    let pieces = stream::unfold(listener, async |mut listener| {
        let piece = listener.piece().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), listener))
    });
    ([(CONTENT_TYPE, "text/event-stream;charset=utf-8")], Body::from_stream(pieces)).into_response()
}

/// A client that listens.
struct Listener {
    reader: Reader,
    /// The types of events it wants; all if empty.
    kinds: Vec<String>,
    /// Something is sent at least this often.
    keep_alive: Duration,
    greeting: Option<Bytes>,
    ended: bool,
    _attached: Attached,
}

impl Listener {
    /// The next piece of the stream, or nothing at its end.
    async fn piece(&mut self) -> Option<Bytes> {
        if let Some(greeting) = self.greeting.take() {
            return Some(greeting);
        }
        if self.ended {
            return None;
        }
        // What only others want to hear is no sign of life for this client.
        let silent_until = Instant::now() + self.keep_alive;
        loop {
            let Ok(next) = timeout_at(silent_until, self.reader.next()).await else {
                return Some(KEEP_ALIVE);
            };
            let mut piece = String::new();
            match next {
                Next::Events(events) => {
                    for event in events {
                        let text = event.text();
                        if self.kinds.is_empty() || self.kinds.contains(&text.kind) {
                            frame(&mut piece, Some(event.id), &text.kind, &text.json);
                        }
                    }
                }
                Next::Lost(oldest) => {
                    self.ended = true;
                    let oldest = oldest.to_string();
                    piece = notice(&Notice::EventStreamDropped { timestamp: clock::wall(), oldest });
                }
                Next::Closed => return None,
            }
            if !piece.is_empty() {
                return Some(piece.into());
            }
        }
    }
}

/// A comment, which clients pass over.
const KEEP_ALIVE: Bytes = Bytes::from_static(b":\n\n");

/// What the stream says about itself. It has no `id`, because it is not part of the log.
#[derive(Serialize)]
#[serde(tag = "eventType", rename_all = "snake_case", rename_all_fields = "camelCase")]
enum Notice<'a> {
    /// The client was too slow and is dropped: events before `oldest` are lost to it.
    EventStreamDropped { timestamp: Timestamp, oldest: String },
    /// Events between the client's last one and `oldest` are no longer known.
    EventStreamGap { timestamp: Timestamp, last_event_id: &'a str, oldest: String },
}

fn notice(notice: &Notice<'_>) -> String {
    let kind = match notice {
        Notice::EventStreamDropped { .. } => "event_stream_dropped",
        Notice::EventStreamGap { .. } => "event_stream_gap",
    };
    let mut text = String::new();
    // Plain data always has a JSON form.
    frame(&mut text, None, kind, &serde_json::to_string(notice).unwrap_or_default());
    text
}

/// Writes one event. The JSON has no line breaks.
fn frame(text: &mut String, id: Option<EventId>, kind: &str, json: &str) {
    // Writing to a string does not fail.
    if let Some(id) = id {
        let _ = writeln!(text, "id: {id}");
    }
    let _ = write!(text, "event: {kind}\ndata: {json}\n\n");
}

/// Tells everybody who listens that somebody does, and when no longer.
struct Attached {
    log: std::sync::Arc<EventLog>,
    address: String,
}

impl Attached {
    fn new(log: std::sync::Arc<EventLog>, address: String) -> Self {
        log.note_listener(true, address.clone());
        Self { log, address }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.log.note_listener(false, std::mem::take(&mut self.address));
    }
}
