//! Responses in the form that a Mesos master gives them.

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, StatusCode};
use serde_json::Value;

use super::stream::Broken;

/// A response; its body can break off in the middle.
pub(super) type Response = hyper::Response<UnsyncBoxBody<Bytes, Broken>>;

/// No body, and no type of it.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response
}

pub(super) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response {
    full(status, "text/plain; charset=utf-8", body.into())
}

pub(super) fn html(body: impl Into<Bytes>) -> Response {
    full(StatusCode::OK, "text/html", body.into())
}

pub(super) fn json(status: StatusCode, body: &Value) -> Response {
    full(status, "application/json", body.to_string().into())
}

pub(super) fn not_found() -> Response {
    text(StatusCode::NOT_FOUND, "404 Not Found.")
}

pub(super) fn method_not_allowed(method: &Method, allowed: &'static str) -> Response {
    let body =
        format!("405 Method Not Allowed. Expecting one of {{ '{allowed}' }}, but received '{method}'.");
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, body);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

pub(super) fn bad_request(body: impl Into<Bytes>) -> Response {
    text(StatusCode::BAD_REQUEST, body)
}

fn full(status: StatusCode, media: &'static str, body: Bytes) -> Response {
    let mut response = Response::new(Full::new(body).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    response
}
