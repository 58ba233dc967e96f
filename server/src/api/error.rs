//! Refusals in Marathon's shapes.

use axum::http::StatusCode;
use axum::http::header::{ALLOW, HeaderValue};
use axum::response::{IntoResponse, Response};
use podium_core::Refusal;
use podium_core::admission::{Rejection, Violation};
use podium_core::model::ids::DeploymentId;
use schemars::JsonSchema;
use serde::Serialize;

use super::json;
use crate::driver::Stopped;

/// An answer that says no. Its body is `message`, where it applies with `details` or `deployments`.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    body: Body,
    allow: Option<&'static str>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub(super) struct Body {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployments: Option<Vec<Holder>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum Details {
    Text(String),
    List(Vec<Violation>),
}

/// A deployment that holds a lock.
#[derive(Debug, Serialize, JsonSchema)]
struct Holder {
    id: DeploymentId,
}

impl ApiError {
    /// A refusal that is only a text.
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let body = Body { message: message.into(), details: None, deployments: None };
        Self { status, body, allow: None }
    }

    /// The body is not JSON, or there is none.
    pub(super) fn bad_json(message: &str, reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message).with_details(Details::Text(reason.into()))
    }

    /// What the path names is not there.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message).with_details(Details::List(Vec::new()))
    }

    /// The path names something, but it has no such method.
    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed") }
    }

    fn with_details(mut self, details: Details) -> Self {
        self.body.details = Some(details);
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = json(self.status, &self.body);
        if let Some(methods) = self.allow {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
        }
        response
    }
}

impl From<Rejection> for ApiError {
    fn from(Rejection { message, details }: Rejection) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message).with_details(Details::List(details))
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::Invalid(rejection) => rejection.into(),
            Refusal::AlreadyExists(_) | Refusal::GroupExists(_) => Self::new(StatusCode::CONFLICT, message),
            Refusal::Locked { deployments } => {
                let mut error = Self::new(StatusCode::CONFLICT, message);
                error.body.deployments = Some(deployments.into_iter().map(|id| Holder { id }).collect());
                error
            }
            Refusal::TooManyDeployments { .. } => Self::new(StatusCode::FORBIDDEN, message),
            Refusal::NotQueued(_)
            | Refusal::UnknownDeployment(_)
            | Refusal::UnknownGroup(_)
            | Refusal::UnknownInstance(_)
            | Refusal::UnknownPod(_) => Self::not_found(message),
        }
    }
}

impl From<Stopped> for ApiError {
    fn from(stopped: Stopped) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, stopped.to_string())
    }
}
