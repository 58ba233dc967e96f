//! `::status`: how pods are.

use std::io;

use axum::http::StatusCode;
use axum::response::Response;
use podium_core::model::ids::{PodId, Uuid};
use podium_core::model::time::Timestamp;
use podium_core::view::{InstanceStatus, PodStatus};
use podium_core::{Refusal, Scheduler};
use serde_json::Value;

use super::error::ApiError;
use super::listing::{self, Budget, Format, Pods, Tour};
use super::{Api, json};

/// `GET /v2/pods/{id}::status`
pub(super) async fn one(api: &Api, id: PodId) -> Result<Response, ApiError> {
    let tour = Statuses { pods: Pods::these([(id.clone(), None)]), current: None };
    let (tour, parts) = listing::look(api, tour).await?;
    if !tour.is_over() {
        return listing::answer_from(api, tour, parts, format("", ""));
    }
    let status = whole(parts).pop().ok_or(Refusal::UnknownPod(id))?;
    Ok(json(StatusCode::OK, &status))
}

/// `GET /v2/pods/::status`
pub(super) async fn all(api: &Api) -> Result<Response, ApiError> {
    let tour = Statuses { pods: Pods::all(), current: None };
    listing::answer(api, tour, format("[", "]")).await
}

/// The states of all `pods` there are, each with the definition of a version, or else the current one.
pub(super) async fn of(
    api: &Api,
    pods: impl IntoIterator<Item = (PodId, Option<Timestamp>)>,
) -> Result<Vec<PodStatus>, ApiError> {
    let tour = Statuses { pods: Pods::these(pods), current: None };
    Ok(whole(listing::collect(api, tour).await?))
}

/// What a look finds, in the order in which it is written.
enum Part {
    /// A pod, without its copies.
    Begin(Box<PodStatus>),
    Copy {
        status: Box<InstanceStatus>,
        is_first: bool,
    },
    /// There are no more copies; when anything of the pod last changed.
    End(Timestamp),
}

/// The states that `parts` tell of.
fn whole(parts: Vec<Part>) -> Vec<PodStatus> {
    let mut pods: Vec<PodStatus> = Vec::new();
    for part in parts {
        match (part, pods.last_mut()) {
            (Part::Begin(outline), _) => pods.push(*outline),
            (Part::Copy { status, .. }, Some(pod)) => pod.instances.push(*status),
            (Part::End(last_changed), Some(pod)) => pod.last_changed = last_changed,
            // Nothing comes before the beginning.
            (Part::Copy { .. } | Part::End(_), None) => {}
        }
    }
    pods
}

/// Through pods and their copies. Pods that are gone by now are passed over.
struct Statuses {
    /// Those that have not begun.
    pods: Pods,
    /// The one that is looked at.
    current: Option<Current>,
}

struct Current {
    pod: PodId,
    /// The last copy that was looked at.
    last: Option<Uuid>,
    /// When anything of the pod so far last changed.
    last_changed: Timestamp,
}

impl Statuses {
    /// Begins with the next pod, if there is one that is still there.
    fn begin(&mut self, scheduler: &Scheduler, now: Timestamp, found: &mut Vec<Part>) {
        let Some((pod, version)) = self.pods.next(scheduler) else { return };
        if let Some(outline) = scheduler.pod_status_outline(pod, version, now) {
            let pod = pod.clone();
            self.current = Some(Current { pod, last: None, last_changed: outline.last_changed });
            found.push(Part::Begin(Box::new(outline)));
        }
        self.pods.pass_by();
    }
}

impl Tour for Statuses {
    type Item = Part;

    fn look(&mut self, scheduler: &Scheduler, now: Timestamp, time: Budget, found: &mut Vec<Part>) {
        while !self.is_over() {
            let Some(current) = &mut self.current else {
                self.begin(scheduler, now, found);
                continue;
            };
            for status in scheduler.instance_statuses(&current.pod, current.last, now) {
                let is_first = current.last.replace(status.id.uuid).is_none();
                current.last_changed = current.last_changed.max(status.last_changed);
                found.push(Part::Copy { status: Box::new(status), is_first });
                if time.is_spent() {
                    return;
                }
            }
            found.push(Part::End(current.last_changed));
            self.current = None;
            if time.is_spent() {
                return;
            }
        }
    }

    fn is_over(&self) -> bool {
        self.current.is_none() && self.pods.is_over()
    }
}

/// Pods as JSON, between `head` and `tail`.
const fn format(head: &'static str, tail: &'static str) -> Format<Part> {
    Format { media_type: "application/json", head, write, tail }
}

fn write(piece: &mut Vec<u8>, before: usize, part: Part) -> io::Result<()> {
    match part {
        Part::Begin(outline) => {
            if before > 0 {
                piece.push(b',');
            }
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
        Part::Copy { status, is_first } => {
            if !is_first {
                piece.push(b',');
            }
            serde_json::to_writer(piece, &status)?;
        }
        Part::End(last_changed) => {
            piece.extend_from_slice(b"],\"lastChanged\":");
            serde_json::to_writer(&mut *piece, &last_changed)?;
            piece.push(b'}');
        }
    }
    Ok(())
}
