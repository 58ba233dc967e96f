//! `/v2/unknown_tasks`: tasks of this framework of which there is no record or that have no place any more, and what is kept
//! on agents for instances of which there is no record. Marathon has no such list; it kills the ones and destroys the others.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use podium_core::view::{StrayTask, UnknownReservation, UnknownTask};
use schemars::JsonSchema;
use serde::Serialize;

use super::error::ApiError;
use super::{Api, json};

/// `GET /v2/unknown_tasks`
pub(super) async fn list(State(api): State<Api>) -> Result<Response, ApiError> {
    let look = api.driver.query(|scheduler, _| UnknownTasks {
        unknown_tasks: scheduler.unknown_tasks().cloned().collect(),
        strays: scheduler.strays().cloned().collect(),
        unknown_reservations: scheduler.unknown_reservations().cloned().collect(),
    });
    Ok(json(StatusCode::OK, &look.await?))
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct UnknownTasks {
    unknown_tasks: Vec<UnknownTask>,
    strays: Vec<StrayTask>,
    unknown_reservations: Vec<UnknownReservation>,
}
