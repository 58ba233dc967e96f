//! `/v2/deployments`: changes on their way.

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use podium_core::model::ids::DeploymentId;
use podium_core::model::time::Timestamp;
use podium_core::{Command, Refusal, Response as Reply};
use schemars::JsonSchema;
use serde::Serialize;

use super::error::ApiError;
use super::{Api, Asked, headers, json, unexpected};

/// `GET /v2/deployments`
pub(super) async fn list(State(api): State<Api>) -> Result<Response, ApiError> {
    let deployments = api.driver.query(|scheduler, _| scheduler.deployments()).await?;
    Ok(json(StatusCode::OK, &deployments))
}

/// `GET /v2/deployments/{id}`: where the `Location` of a `DELETE` leads. Marathon has no such thing.
pub(super) async fn read(State(api): State<Api>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let id = DeploymentId::new(id);
    let deployments = api.driver.query(|scheduler, _| scheduler.deployments()).await?;
    let found = deployments.into_iter().find(|deployment| deployment.id == id);
    Ok(json(StatusCode::OK, &found.ok_or(Refusal::UnknownDeployment(id))?))
}

/// `DELETE /v2/deployments/{id}`: stops a deployment; another one leads back, unless forced.
pub(super) async fn cancel(
    State(api): State<Api>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let asked = Asked::of(&request);
    let command = Command::CancelDeployment { id: DeploymentId::new(id), force: asked.flag("force") };
    match api.command(&asked, command).await? {
        Reply::DeploymentCancelled => Ok(StatusCode::ACCEPTED.into_response()),
        Reply::DeploymentReverted { deployment, version } => {
            let mut response = json(StatusCode::OK, &Reverted { deployment_id: &deployment, version });
            headers::add_deployment(&mut response, &deployment);
            Ok(response)
        }
        _ => Err(unexpected()),
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reverted<'a> {
    deployment_id: &'a DeploymentId,
    version: Timestamp,
}
