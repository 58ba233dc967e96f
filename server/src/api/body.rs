//! Request bodies: JSON of a sensible size that arrives in a sensible time.

use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::Value;

use super::Api;
use super::error::ApiError;

/// The largest body that is read. Far more than any sensible pod definition, or list of instances to kill,
/// needs.
const MAX_BYTES: usize = 4 << 20;

/// The JSON document that `request` brings.
///
/// # Errors
/// It brings none, one of another type, too large a one, too slowly, or the text is not JSON.
pub(super) async fn read_json(api: &Api, request: Request) -> Result<Value, ApiError> {
    check_content_type(request.headers())?;
    let timeout = api.http.body_timeout;
    let body = Limited::new(request.into_body(), MAX_BYTES).collect();
    let bytes = match tokio::time::timeout(timeout, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let message = format!("Payload Too Large: the body may have up to {MAX_BYTES} bytes");
            return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        Ok(Err(error)) => {
            return Err(ApiError::new(StatusCode::BAD_REQUEST, format!("the body did not arrive: {error}")));
        }
        Err(_) => {
            let message = format!("Request Timeout: the body did not arrive within {timeout:?}");
            return Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, message));
        }
    };
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(ApiError::bad_json(
            "Please specify data in JSON format",
            "the request has an empty body",
        ));
    }
    serde_json::from_slice(&bytes).map_err(|error| ApiError::bad_json("Invalid JSON", error.to_string()))
}

/// A body is JSON unless its header says otherwise.
fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(found) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let media_type = found.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = format!(
        "Unsupported Media Type: expected 'Content-Type: application/json', got '{}'",
        media_type.escape_default()
    );
    Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
}
