//! Content negotiation: what a client is willing to read.

use axum::extract::Request;
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::error::ApiError;

/// Refuses requests whose client cannot read what the API answers with.
pub(super) async fn check(request: Request, next: Next) -> Response {
    let path = request.uri().path().trim_end_matches('/');
    let produces = match path {
        // They say themselves what they can be read as.
        "/metrics" | "/metrics/prometheus" | "/ping" => return next.run(request).await,
        "/v2/tasks" if accepts(request.headers(), "text/plain") => return next.run(request).await,
        "/v2/events" => "text/event-stream",
        _ => "application/json",
    };
    if accepts(request.headers(), produces) {
        next.run(request).await
    } else {
        let message = format!("Not Acceptable: {path} answers with {produces}");
        ApiError::new(StatusCode::NOT_ACCEPTABLE, message).into_response()
    }
}

/// Whether a client names `media_type` itself among what it reads.
pub(super) fn names(headers: &HeaderMap, media_type: &str) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|range| {
        range.split(';').next().is_some_and(|range| range.trim().eq_ignore_ascii_case(media_type))
    })
}

/// Whether a client with these headers reads `media_type`. One that does not say reads everything.
pub(super) fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let mut values = headers.get_all(ACCEPT).iter().peekable();
    if values.peek().is_none() {
        return true;
    }
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let covers = parts.next().is_some_and(|range| covers(range, media_type));
        // RFC 9110, 12.4.2: a weight of 0 means "not acceptable".
        let refused =
            parts.filter_map(|part| part.strip_prefix("q=")).any(|weight| weight.parse() == Ok(0.0_f32));
        covers && !refused
    })
}

fn covers(range: &str, media_type: &str) -> bool {
    match range.strip_suffix("/*") {
        Some("*") => true,
        Some(main) => media_type.split('/').next().is_some_and(|found| found.eq_ignore_ascii_case(main)),
        None => range == "*" || range.eq_ignore_ascii_case(media_type),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_weights() {
        let accepts = |accept: &str, media_type| {
            accepts(&HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]), media_type)
        };
        for accept in ["*/*", "text/plain", "TEXT/*;q=0.5", "text/html, text/plain;q=0.1", "*"] {
            assert!(accepts(accept, "text/plain"), "{accept}");
        }
        for accept in ["", "text/html", "text/plain;q=0", "text/plain; q=0.0", "image/*"] {
            assert!(!accepts(accept, "text/plain"), "{accept}");
        }
        assert!(super::accepts(&HeaderMap::new(), "text/plain"));
    }
}
