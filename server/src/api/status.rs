//! `::status`: how pods are.
//!
//! A pod may have a hundred thousand copies, and there may be as many pods. So states are looked up and written
//! piece by piece: neither does the scheduler wait for an answer, nor is memory needed for all of it. What the pieces
//! say is true at slightly different moments.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use podium_core::model::ids::{PodId, Uuid};
use podium_core::model::time::Timestamp;
use podium_core::view::{InstanceStatus, PodStatus};
use podium_core::{Refusal, Scheduler};
use serde_json::Value;

use super::error::ApiError;
use super::{Api, json};
use crate::driver::{Handle, Stopped};

/// A look takes so long, and then lets the scheduler do what else there is.
const BUDGET: Duration = Duration::from_millis(2);

/// `GET /v2/pods/{id}::status`
pub(super) async fn one(api: &Api, id: PodId) -> Result<Response, ApiError> {
    let mut looker = Looker::new(api, vec![id.clone()]);
    let parts = looker.look().await?;
    match whole(parts) {
        Ok(Some(status)) => Ok(json(StatusCode::OK, &status)),
        Ok(None) => Err(Refusal::UnknownPod(id).into()),
        Err(parts) => Ok(stream(looker, Some(parts), "", "")),
    }
}

/// `GET /v2/pods/::status`
pub(super) async fn all(api: &Api) -> Result<Response, ApiError> {
    let pods = api.driver.query(|scheduler, _| scheduler.pods().map(|pod| pod.id.clone()).collect()).await?;
    Ok(stream(Looker::new(api, pods), None, "[", "]"))
}

/// What a look finds, in the order in which it is written.
enum Part {
    /// A pod, without its copies.
    Begin(Box<PodStatus>),
    Copy(Box<InstanceStatus>),
    /// There are no more copies; when anything of the pod last changed.
    End(Timestamp),
}

/// The state of the one pod that `parts` tell of, or nothing if there is none.
///
/// # Errors
/// They do not tell all of it.
fn whole(parts: Vec<Part>) -> Result<Option<PodStatus>, Vec<Part>> {
    if !parts.is_empty() && !matches!(parts.last(), Some(Part::End(_))) {
        return Err(parts);
    }
    let mut whole = None;
    for part in parts {
        match (part, &mut whole) {
            (Part::Begin(outline), _) => whole = Some(*outline),
            (Part::Copy(copy), Some(status)) => status.instances.push(*copy),
            (Part::End(last_changed), Some(status)) => status.last_changed = last_changed,
            // Nothing comes before the beginning.
            (Part::Copy(_) | Part::End(_), None) => {}
        }
    }
    Ok(whole)
}

/// Goes through pods and their copies.
struct Looker {
    driver: Handle,
    pods: Arc<[PodId]>,
    place: Place,
}

#[derive(Clone, Default)]
struct Place {
    /// How many pods are done.
    pods: usize,
    /// Within the next one, if it has begun.
    copy: Option<Copied>,
}

#[derive(Clone)]
struct Copied {
    /// The last copy that was looked at.
    last: Option<Uuid>,
    /// When anything of the pod so far last changed.
    last_changed: Timestamp,
}

impl Looker {
    fn new(api: &Api, pods: Vec<PodId>) -> Self {
        Self { driver: api.driver.clone(), pods: pods.into(), place: Place::default() }
    }

    fn is_done(&self) -> bool {
        self.place.pods == self.pods.len()
    }

    /// Looks at as much as there is time for.
    async fn look(&mut self) -> Result<Vec<Part>, Stopped> {
        let (pods, mut place) = (self.pods.clone(), self.place.clone());
        let look = move |scheduler: &Scheduler, now| {
            let mut parts = Vec::new();
            place.advance(&pods, scheduler, now, &mut parts);
            (parts, place)
        };
        let parts;
        (parts, self.place) = self.driver.query(look).await?;
        Ok(parts)
    }
}

impl Place {
    /// Adds to `parts` what can be found in the time there is. Pods that are gone by now are passed over.
    fn advance(&mut self, pods: &[PodId], scheduler: &Scheduler, now: Timestamp, parts: &mut Vec<Part>) {
        let began = Instant::now();
        while let Some(id) = pods.get(self.pods).filter(|_| began.elapsed() < BUDGET) {
            if self.copy.is_none() {
                let Some(outline) = scheduler.pod_status_outline(id, now) else {
                    self.pods += 1;
                    continue;
                };
                self.copy = Some(Copied { last: None, last_changed: outline.last_changed });
                parts.push(Part::Begin(Box::new(outline)));
            }
            if let Some(copied) = &mut self.copy {
                for copy in scheduler.instance_statuses(id, copied.last, now) {
                    copied.last = Some(copy.id.uuid);
                    copied.last_changed = copied.last_changed.max(copy.last_changed);
                    parts.push(Part::Copy(Box::new(copy)));
                    if began.elapsed() >= BUDGET {
                        return;
                    }
                }
                parts.push(Part::End(copied.last_changed));
            }
            self.copy = None;
            self.pods += 1;
        }
    }
}

/// An answer that is written while it is looked up. `parts` have been looked up already.
fn stream(looker: Looker, parts: Option<Vec<Part>>, head: &'static str, tail: &'static str) -> Response {
    let writer = Writer { looker, parts, head: Some(head), tail: Some(tail), needs_comma: false };
    let pieces = stream::try_unfold(writer, async |mut writer| {
        let piece = writer.piece().await?;
        Ok::<_, io::Error>(piece.map(|piece| (piece, writer)))
    });
    ([(CONTENT_TYPE, "application/json")], Body::from_stream(pieces)).into_response()
}

struct Writer {
    looker: Looker,
    parts: Option<Vec<Part>>,
    head: Option<&'static str>,
    tail: Option<&'static str>,
    needs_comma: bool,
}

impl Writer {
    async fn piece(&mut self) -> io::Result<Option<Bytes>> {
        let mut piece = self.head.take().unwrap_or_default().as_bytes().to_vec();
        let parts = match self.parts.take() {
            Some(parts) => parts,
            // If the scheduler has stopped, all that is left is to break the answer off.
            None if !self.looker.is_done() => self.looker.look().await.map_err(io::Error::other)?,
            None => Vec::new(),
        };
        for part in &parts {
            self.write(&mut piece, part)?;
        }
        if self.looker.is_done() {
            let Some(tail) = self.tail.take() else { return Ok(None) };
            piece.extend_from_slice(tail.as_bytes());
        }
        Ok(Some(piece.into()))
    }

    fn write(&mut self, piece: &mut Vec<u8>, part: &Part) -> io::Result<()> {
        if self.needs_comma && !matches!(part, Part::End(_)) {
            piece.push(b',');
        }
        self.needs_comma = !matches!(part, Part::Begin(_));
        match part {
            Part::Begin(outline) => {
                let mut fields = serde_json::to_value(outline)?;
                if let Value::Object(fields) = &mut fields {
                    // They come at the end, when they are known.
                    fields.shift_remove("instances");
                    fields.shift_remove("lastChanged");
                }
                serde_json::to_writer(&mut *piece, &fields)?;
                // The object goes on.
                piece.pop();
                piece.extend_from_slice(b",\"instances\":[");
            }
            Part::Copy(copy) => serde_json::to_writer(piece, copy)?,
            Part::End(last_changed) => {
                piece.extend_from_slice(b"],\"lastChanged\":");
                serde_json::to_writer(&mut *piece, last_changed)?;
                piece.push(b'}');
            }
        }
        Ok(())
    }
}
