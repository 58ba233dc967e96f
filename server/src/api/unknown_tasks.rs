//! `/v2/unknown_tasks`: tasks of this framework of which there is no record. Marathon has no such list; it kills them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use podium_core::view::UnknownTask;
use schemars::JsonSchema;
use serde::Serialize;

use super::error::ApiError;
use super::{Api, json};

/// `GET /v2/unknown_tasks`
pub(super) async fn list(State(api): State<Api>) -> Result<Response, ApiError> {
    let unknown_tasks = api.driver.query(|scheduler, _| scheduler.unknown_tasks().cloned().collect()).await?;
    Ok(json(StatusCode::OK, &UnknownTasks { unknown_tasks }))
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct UnknownTasks {
    unknown_tasks: Vec<UnknownTask>,
}
