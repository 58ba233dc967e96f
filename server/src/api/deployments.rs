//! `/v2/deployments`: changes on their way.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use podium_core::model::ids::DeploymentId;
use podium_core::model::time::Timestamp;
use podium_core::{Command, Refusal, Response as Reply};
use schemars::JsonSchema;
use serde::Serialize;

use super::error::ApiError;
use super::{Api, Asked, headers, json, path, unexpected};

/// `GET /v2/deployments`
pub(super) async fn list(State(api): State<Api>) -> Result<Response, ApiError> {
    let deployments = api.driver.query(|scheduler, now| scheduler.deployments(now)).await?;
    Ok(json(StatusCode::OK, &deployments))
}

/// `GET /v2/deployments/{id}`: where the `Location` of a `DELETE` leads. Marathon has no such thing.
pub(super) async fn read(State(api): State<Api>, request: Request) -> Result<Response, ApiError> {
    let id = named(&Asked::of(&request))?;
    let deployments = api.driver.query(|scheduler, now| scheduler.deployments(now)).await?;
    let found = deployments.into_iter().find(|deployment| deployment.id == id);
    Ok(json(StatusCode::OK, &found.ok_or(Refusal::UnknownDeployment(id))?))
}

/// `DELETE /v2/deployments/{id}`: stops a deployment; another one leads back, unless forced.
pub(super) async fn cancel(State(api): State<Api>, request: Request) -> Result<Response, ApiError> {
    let asked = Asked::of(&request);
    let command = Command::CancelDeployment { id: named(&asked)?, force: asked.flag("force") };
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

/// The deployment that a path names. axum's own way says in plain text what is wrong with a path.
fn named(asked: &Asked) -> Result<DeploymentId, ApiError> {
    let path = path::decode(&asked.origin.uri)?;
    Ok(DeploymentId::new(path.strip_prefix("/v2/deployments/").unwrap_or(&path).trim_end_matches('/')))
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reverted<'a> {
    deployment_id: &'a DeploymentId,
    version: Timestamp,
}
