//! Headers that answers have in common (Marathon's `CacheDisablingFilter` and `LeaderProxyFilter`), and the
//! ones that handlers add.

use axum::http::HeaderMap;
use axum::http::header::{
    CACHE_CONTROL, EXPIRES, HOST, HeaderName, HeaderValue, LOCATION, PRAGMA, WARNING, X_FRAME_OPTIONS,
    X_XSS_PROTECTION,
};
use axum::response::Response;
use podium_core::model::ids::DeploymentId;

use super::About;

const DEPLOYMENT_ID: HeaderName = HeaderName::from_static("marathon-deployment-id");
const LEADER: HeaderName = HeaderName::from_static("x-marathon-leader");

/// So many unknown fields are named; a client that sends more has other worries.
const MAX_WARNINGS: usize = 20;

/// The headers of every answer.
#[derive(Clone)]
pub(super) struct Common {
    leader: Option<HeaderValue>,
}

impl Common {
    pub(super) fn new(about: &About) -> Self {
        Self { leader: HeaderValue::try_from(format!("http://{}", about.leader)).ok() }
    }

    pub(super) async fn add(self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        let mut insert = |name, value| headers.insert(name, HeaderValue::from_static(value));
        insert(CACHE_CONTROL, "no-cache, no-store, must-revalidate");
        insert(PRAGMA, "no-cache");
        insert(EXPIRES, "0");
        insert(X_FRAME_OPTIONS, "DENY");
        insert(X_XSS_PROTECTION, "1; mode=block");
        if let Some(leader) = self.leader {
            headers.insert(LEADER, leader);
        }
        response
    }
}

/// Names the deployment that a change started.
pub(super) fn add_deployment(response: &mut Response, id: &DeploymentId) {
    add(response, DEPLOYMENT_ID, id.as_str());
}

/// Says where the thing is that the answer is about, as an address that leads there from where the client is.
pub(super) fn add_location(response: &mut Response, request: &HeaderMap, path: &str) {
    let host = request.get(HOST).and_then(|host| host.to_str().ok());
    // A client of HTTP/1.0 may not have said under which name it knows us.
    let location = host.map_or_else(|| path.to_owned(), |host| format!("http://{host}{path}"));
    add(response, LOCATION, &location);
}

/// Names the fields of a document that mean nothing here, so that a typing error is seen.
pub(super) fn add_warnings(response: &mut Response, unknown_fields: &[String]) {
    for field in unknown_fields.iter().take(MAX_WARNINGS) {
        let field: String = field.escape_default().collect();
        add(response, WARNING, &format!("299 podium \"unknown field {field} was ignored\""));
    }
    if let Some(more) = unknown_fields.len().checked_sub(MAX_WARNINGS).filter(|more| *more > 0) {
        add(response, WARNING, &format!("299 podium \"and {more} more\""));
    }
}

fn add(response: &mut Response, name: HeaderName, value: &str) {
    // What cannot be a header is left out: the answer matters more.
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().append(name, value);
    }
}
