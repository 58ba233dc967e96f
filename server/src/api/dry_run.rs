//! `?dryRun=true`: what a change would do.

use axum::http::StatusCode;
use axum::response::Response;
use podium_core::model::pod::PodSpec;
use podium_core::view::Plan;
use podium_core::{Command, Preview, Response as Reply};
use schemars::JsonSchema;
use serde::Serialize;

use super::error::ApiError;
use super::{Api, Asked, json, unexpected};

/// Whether only the plan is asked for.
///
/// # Errors
/// It is not clear. Of other flags what is not `true` counts as false; here that might do what was only to be tried.
pub(super) fn is_wanted(asked: &Asked) -> Result<bool, ApiError> {
    let value = asked.parameters.iter().find(|(name, _)| name == "dryRun").map(|(_, value)| value.as_str());
    match value.map(str::to_ascii_lowercase).as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => {
            let value = value.unwrap_or_default().escape_debug();
            Err(refusal(format!("dryRun is true or false, got '{value}'. Nothing was done")))
        }
    }
}

/// Refuses to do what was only to be tried, where that is not possible.
pub(super) fn must_not_be_wanted(asked: &Asked) -> Result<(), ApiError> {
    if !is_wanted(asked)? {
        return Ok(());
    }
    let possible = "dryRun is for POST, PUT and DELETE of pods and groups only. Nothing was done";
    Err(refusal(possible.to_owned()))
}

fn refusal(message: String) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, message)
}

/// Tries `command`. The scheduler only gives what is needed for that; the rest happens here.
///
/// # Errors
/// The command would be refused.
pub(super) async fn preview(api: &Api, command: Command) -> Result<Preview, ApiError> {
    let rehearsal = api.driver.query(move |scheduler, now| (scheduler.rehearse(command), now)).await?;
    let played = tokio::task::spawn_blocking(move || {
        let (rehearsal, now) = rehearsal;
        rehearsal.play(now)
    });
    let failed =
        |_| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the plan could not be made; this is a bug");
    Ok(played.await.map_err(failed)??)
}

/// The answer to a change of a pod that is not made: its definition as it would be, or was, and the plan.
pub(super) async fn pod_plan(api: &Api, command: Command) -> Result<Response, ApiError> {
    let deleted = match &command {
        Command::DeletePod { id, .. } => {
            let id = id.clone();
            api.driver.query(move |scheduler, _| scheduler.pod(&id).cloned()).await?
        }
        _ => None,
    };
    let Preview { response, plan } = preview(api, command).await?;
    let pod = match response {
        Reply::PodCreated { pod, .. } | Reply::PodUpdated { pod, .. } => Some(pod),
        _ => deleted,
    };
    let pod = pod.ok_or_else(unexpected)?;
    Ok(json(StatusCode::OK, &PodPlan { pod: &pod, plan }))
}

#[derive(Serialize, JsonSchema)]
pub(super) struct PodPlan<'a> {
    pod: &'a PodSpec,
    plan: Plan,
}
