//! `/ping`, `/v2/info`, `/v2/leader`: the daemon about itself.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use podium_core::model::ids::FrameworkId;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::error::ApiError;
use super::{Api, accept, json};

/// `GET /ping`: the API is ready.
pub(super) async fn ping(headers: HeaderMap) -> Response {
    let types = [("text/plain", "pong"), ("text/html", "pong"), ("application/json", "\"pong\"")];
    match types.into_iter().find(|(media_type, _)| accept::accepts(&headers, media_type)) {
        Some((media_type, text)) => ([(CONTENT_TYPE, media_type)], text).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

/// `GET /v2/info`
pub(super) async fn info(State(api): State<Api>) -> Result<Response, ApiError> {
    let framework_id = api.driver.query(|scheduler, _| scheduler.framework_id().cloned()).await?;
    let info = Info {
        name: &api.about.framework_name,
        version: env!("CARGO_PKG_VERSION"),
        elected: true,
        leader: &api.about.leader,
        framework_id,
        marathon_config: &api.about.settings,
        http_config: HttpConfig { http_port: api.about.http_port },
    };
    Ok(json(StatusCode::OK, &info))
}

/// `GET /v2/leader`
pub(super) async fn leader(State(api): State<Api>) -> Response {
    json(StatusCode::OK, &Leader { leader: &api.about.leader })
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Info<'a> {
    name: &'a str,
    version: &'a str,
    elected: bool,
    leader: &'a str,
    #[serde(rename = "frameworkId")]
    framework_id: Option<FrameworkId>,
    /// The name is Marathon's.
    marathon_config: &'a Map<String, Value>,
    http_config: HttpConfig,
}

#[derive(Serialize, JsonSchema)]
struct HttpConfig {
    http_port: u16,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Leader<'a> {
    leader: &'a str,
}
