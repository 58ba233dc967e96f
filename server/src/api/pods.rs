//! `/v2/pods` and everything below it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use podium_core::admission::{Admitted, read_pod};
use podium_core::model::ids::PodId;
use podium_core::model::pod::PodSpec;
use podium_core::model::time::Timestamp;
use podium_core::{Command, Refusal, Response as Reply, Scheduler};

use super::error::ApiError;
use super::listing::{self, Budget, Format, Pods, Tour};
use super::path::{self, Target};
use super::{Api, Asked, body, dry_run, headers, instances, json, status, unexpected};

/// Finds out what a path means.
pub(super) async fn dispatch(State(api): State<Api>, request: Request) -> Response {
    match path::parse(request.uri().path()) {
        Ok(target) => (Extension(target.template()), answer(api, target, request).await).into_response(),
        Err(error) => error.into_response(),
    }
}

/// Does what is asked of `target`.
async fn answer(api: Api, target: Target, request: Request) -> Result<Response, ApiError> {
    let method = request.method().clone();
    // HEAD is GET without a body, which the connection leaves away by itself.
    match (target, method.as_str()) {
        (Target::Pods, "HEAD") => Ok(StatusCode::OK.into_response()),
        (Target::Pods, "GET") => list(&api).await,
        (Target::Pods, "POST") => create(&api, request).await,
        (Target::Pods, method) => other(method, "GET, HEAD, OPTIONS, POST"),

        (Target::Pod(id), "GET" | "HEAD") => read(&api, id).await,
        (Target::Pod(id), "PUT") => update(&api, id, request).await,
        (Target::Pod(id), "DELETE") => remove(&api, id, Asked::of(&request)).await,
        (Target::Pod(_), method) => other(method, "DELETE, GET, HEAD, OPTIONS, PUT"),

        (Target::Statuses, "GET" | "HEAD") => status::all(&api).await,
        (Target::Status(id), "GET" | "HEAD") => status::one(&api, id).await,
        (Target::Versions(id), "GET" | "HEAD") => versions(&api, id).await,
        (Target::Version(id, version), "GET" | "HEAD") => version_of(&api, id, version).await,
        (Target::Statuses | Target::Status(_) | Target::Versions(_) | Target::Version(..), method) => {
            other(method, "GET, HEAD, OPTIONS")
        }

        (Target::Instances(id), "DELETE") => instances::kill_some(&api, id, request).await,
        (Target::Instance(id, instance), "DELETE") => {
            instances::kill_one(&api, id, instance, Asked::of(&request)).await
        }
        (Target::Instances(_) | Target::Instance(..), method) => other(method, "DELETE, OPTIONS"),
    }
}

pub(super) fn other(method: &str, allow: &'static str) -> Result<Response, ApiError> {
    match method {
        "OPTIONS" => Ok((StatusCode::NO_CONTENT, [(axum::http::header::ALLOW, allow)]).into_response()),
        _ => Err(ApiError::method_not_allowed(allow)),
    }
}

async fn list(api: &Api) -> Result<Response, ApiError> {
    listing::answer(api, Definitions(Pods::all()), Format::json("[", "]")).await
}

/// Through the definitions of pods.
struct Definitions(Pods);

impl Tour for Definitions {
    type Item = Arc<PodSpec>;

    fn look(&mut self, scheduler: &Scheduler, _: Timestamp, time: Budget, found: &mut Vec<Arc<PodSpec>>) {
        while let Some((pod, _)) = self.0.next(scheduler) {
            found.extend(scheduler.pod(pod).cloned());
            self.0.pass_by();
            if time.is_spent() {
                return;
            }
        }
    }

    fn is_over(&self) -> bool {
        self.0.is_over()
    }
}

async fn create(api: &Api, request: Request) -> Result<Response, ApiError> {
    let asked = Asked::of(&request);
    let Admitted { pod, role_given, unknown_fields } = read_definition(api, request).await?;
    let command = Command::CreatePod { pod, force: asked.flag("force"), role_given };
    if dry_run::is_wanted(&asked)? {
        return plan(api, command, &unknown_fields).await;
    }
    let Reply::PodCreated { pod, deployment } = api.command(&asked, command).await? else {
        return Err(unexpected());
    };
    let mut response = json(StatusCode::CREATED, &pod);
    headers::add_deployment(&mut response, &deployment);
    headers::add_location(&mut response, &asked.headers, &format!("/v2/pods{}", pod.id));
    headers::add_warnings(&mut response, &unknown_fields);
    Ok(response)
}

async fn read(api: &Api, id: PodId) -> Result<Response, ApiError> {
    let wanted = id.clone();
    let pod = api.driver.query(move |scheduler, _| scheduler.pod(&wanted).cloned()).await?;
    Ok(json(StatusCode::OK, &pod.ok_or(Refusal::UnknownPod(id))?))
}

async fn update(api: &Api, id: PodId, request: Request) -> Result<Response, ApiError> {
    let asked = Asked::of(&request);
    let Admitted { pod, role_given, unknown_fields } = read_definition(api, request).await?;
    if pod.id != id {
        let message = format!("'{id}' does not match definition's id ('{}')", pod.id);
        return Err(ApiError::new(StatusCode::BAD_REQUEST, message));
    }
    let command = Command::UpdatePod { pod, force: asked.flag("force"), role_given };
    if dry_run::is_wanted(&asked)? {
        return plan(api, command, &unknown_fields).await;
    }
    let Reply::PodUpdated { pod, deployment } = api.command(&asked, command).await? else {
        return Err(unexpected());
    };
    let mut response = json(StatusCode::OK, &pod);
    headers::add_deployment(&mut response, &deployment);
    headers::add_warnings(&mut response, &unknown_fields);
    Ok(response)
}

async fn remove(api: &Api, id: PodId, asked: Asked) -> Result<Response, ApiError> {
    let command = Command::DeletePod { id, force: asked.flag("force") };
    if dry_run::is_wanted(&asked)? {
        return plan(api, command, &[]).await;
    }
    let Reply::PodDeleted { deployment } = api.command(&asked, command).await? else {
        return Err(unexpected());
    };
    let mut response = StatusCode::ACCEPTED.into_response();
    headers::add_deployment(&mut response, &deployment);
    headers::add_location(&mut response, &asked.headers, &format!("/v2/deployments/{deployment}"));
    Ok(response)
}

/// What `command` would do.
async fn plan(api: &Api, command: Command, unknown_fields: &[String]) -> Result<Response, ApiError> {
    let mut response = dry_run::pod_plan(api, command).await?;
    headers::add_warnings(&mut response, unknown_fields);
    Ok(response)
}

async fn versions(api: &Api, id: PodId) -> Result<Response, ApiError> {
    let wanted = id.clone();
    let versions = api
        .driver
        .query(move |scheduler, _| scheduler.pod(&wanted).is_some().then(|| scheduler.pod_versions(&wanted)))
        .await?;
    Ok(json(StatusCode::OK, &versions.ok_or(Refusal::UnknownPod(id))?))
}

async fn version_of(api: &Api, id: PodId, version: Timestamp) -> Result<Response, ApiError> {
    let wanted = id.clone();
    let pod = api.driver.query(move |scheduler, _| scheduler.pod_version(&wanted, version).cloned()).await?;
    let missing = || ApiError::not_found(format!("Pod '{id}' in version {version} does not exist"));
    Ok(json(StatusCode::OK, &pod.ok_or_else(missing)?))
}

async fn read_definition(api: &Api, request: Request) -> Result<Admitted, ApiError> {
    Ok(read_pod(&body::read_json(api, request).await?, &api.rules)?)
}
