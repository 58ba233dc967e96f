//! `/ping`, `/v2/info`, `/v2/leader`: the daemon about itself.

use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use podium_core::model::ids::FrameworkId;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::error::ApiError;
use super::{Api, Asked, accept, dry_run, json};

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
        buildref: None,
        elected: true,
        leader: &api.about.leader,
        framework_id,
        marathon_config: &api.about.settings,
        zookeeper_config: ZookeeperConfig::default(),
        http_config: HttpConfig { http_port: api.about.http_port, https_port: None },
    };
    Ok(json(StatusCode::OK, &info))
}

/// `GET /v2/leader`
pub(super) async fn leader(State(api): State<Api>) -> Response {
    json(StatusCode::OK, &Leader { leader: &api.about.leader })
}

/// `DELETE /v2/leader`: the daemon ends, so that another one leads: the one that its supervisor starts in its place.
pub(super) async fn abdicate(State(api): State<Api>, request: Request) -> Result<Response, ApiError> {
    let asked = Asked::of(&request);
    dry_run::must_not_be_wanted(&asked)?;
    if let Some((name, _)) = asked.parameters.iter().find(|(name, _)| name == "backup" || name == "restore") {
        let message = format!(
            "'{name}' is not supported, nothing is done: stop the daemon, and copy or replace the file podium.redb in \
             --data_dir"
        );
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, message));
    }
    // It waits for this answer to be sent.
    api.abdication.notify_one();
    Ok(json(StatusCode::OK, &Abdicated { message: "Leadership abdicated", details: [] }))
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Abdicated {
    message: &'static str,
    /// Always empty. Kept because Marathon has it.
    details: [(); 0],
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Info<'a> {
    name: &'a str,
    version: &'a str,
    /// Not known.
    buildref: Option<&'a str>,
    elected: bool,
    leader: &'a str,
    #[serde(rename = "frameworkId")]
    framework_id: Option<FrameworkId>,
    /// The name is Marathon's.
    marathon_config: &'a Map<String, Value>,
    zookeeper_config: ZookeeperConfig,
    http_config: HttpConfig,
}

/// All of it is null, as in Marathon what is not set: there is no ZooKeeper.
#[derive(Default, Serialize, JsonSchema)]
struct ZookeeperConfig {
    zk: Option<&'static str>,
    zk_timeout: Option<u64>,
    zk_session_timeout: Option<u64>,
    zk_connection_timeout: Option<u64>,
    zk_max_versions: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
struct HttpConfig {
    http_port: u16,
    /// Null: there is no TLS.
    https_port: Option<u16>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Leader<'a> {
    leader: &'a str,
}
