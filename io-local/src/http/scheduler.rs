//! `POST /api/v1/scheduler`: refusals in the order, with the status codes and texts of a real master, then the call.

use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode};
use podium_core::model::ids::FrameworkId;
use podium_core::model::mesos::{Call, Event};
use podium_mesos::codec::{self, DecodeError, MediaType};
use podium_mesos::proto::scheduler;
use podium_mesos::proto::scheduler::call::Type;
use podium_mesos::translate::{Format, Translate};
use podium_sim::cluster::{Answer, RequestId, SchedulerCall, StreamId, Subscribe};
use tokio::sync::mpsc;

use super::response::{Response, bad_request, empty, method_not_allowed, text};
use super::stream::{EventStream, Guard};
use super::{NoMaster, body, validation};
use crate::cluster::{Handle, StreamItem};

/// Names the subscription that a call belongs to.
const STREAM_ID: &str = "mesos-stream-id";

pub(super) async fn handle(request: Request<Incoming>, cluster: &Handle) -> Result<Response, NoMaster> {
    if request.method() != Method::POST {
        return Ok(method_not_allowed(request.method(), "POST"));
    }
    let headers = request.headers().clone();
    let call = match read(&headers, request).await {
        Ok(call) => call,
        Err(response) => return Ok(response),
    };
    match validation::validate(&call) {
        Ok(Type::Subscribe) => subscribe(call, &headers, cluster).await,
        Ok(kind) => other(kind, call, &headers, cluster).await,
        Err(reason) => Ok(bad_request(format!("Failed to validate scheduler::Call: {reason}"))),
    }
}

async fn read(headers: &HeaderMap, request: Request<Incoming>) -> Result<scheduler::Call, Response> {
    let Some(content_type) = headers.get(CONTENT_TYPE) else {
        return Err(bad_request("Expecting 'Content-Type' to be present"));
    };
    let Some(media) = content_type.to_str().ok().and_then(MediaType::from_header) else {
        return Err(text(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Expecting 'Content-Type' of application/json or application/x-protobuf",
        ));
    };
    let body = body(request).await?;
    codec::decode(&body, media).map_err(|error| {
        bad_request(match (media, error) {
            (MediaType::Protobuf, _) => "Failed to parse body into Call protobuf".to_owned(),
            (MediaType::Json, DecodeError::JsonSyntax(error)) => {
                format!("Failed to parse body into JSON: {error}")
            }
            (MediaType::Json, error) => format!("Failed to convert JSON into Call protobuf: {error}"),
        })
    })
}

async fn subscribe(
    call: scheduler::Call,
    headers: &HeaderMap,
    cluster: &Handle,
) -> Result<Response, NoMaster> {
    let Some(media) = accepted(headers) else {
        return Ok(text(
            StatusCode::NOT_ACCEPTABLE,
            "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'",
        ));
    };
    if headers.contains_key(STREAM_ID) {
        return Ok(bad_request("Subscribe calls should not include the 'Mesos-Stream-Id' header"));
    }
    let stream = StreamId(uuid::Uuid::new_v4().to_string().into());
    let guard = Guard { cluster: cluster.clone(), stream: stream.clone() };
    let framework_id = call.framework_id.as_ref().map(|id| FrameworkId::from(id.value.as_str()));
    let (format, items) = match Call::from_proto(call.clone()) {
        Ok(Call::Subscribe { framework_info, suppressed_roles }) => {
            let format = Format::of(&framework_info);
            let subscribe = Subscribe {
                request: RequestId(0), // chosen by the cluster's owner
                stream: stream.clone(),
                framework_id,
                framework_info,
                suppressed_roles,
                principal: None,
            };
            match cluster.subscribe(subscribe).await {
                (Answer::Ok | Answer::Accepted, items) => (format, items),
                (answer, _) => return respond(answer),
            }
        }
        // A framework that the model cannot express, as a real master cannot: the stream opens and says so.
        Ok(_) | Err(_) => (Format::CURRENT, refusal(&call)),
    };
    let mut response = Response::new(http_body_util::BodyExt::boxed_unsync(EventStream {
        items,
        media,
        format,
        _guard: guard,
    }));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media.as_str()));
    if let Ok(stream) = stream.0.parse() {
        headers.insert(STREAM_ID, stream);
    }
    Ok(response)
}

/// A stream that holds nothing but the error.
fn refusal(call: &scheduler::Call) -> mpsc::UnboundedReceiver<StreamItem> {
    let message = match Call::from_proto(call.clone()) {
        Err(invalid) if invalid.field().ends_with("failover_timeout") => {
            let timeout =
                call.subscribe.as_ref().and_then(|subscribe| subscribe.framework_info.failover_timeout);
            format!("The framework failover_timeout ({}) is invalid", c_double(timeout.unwrap_or_default()))
        }
        Err(invalid) => invalid.to_string(),
        Ok(_) => "Not a subscription".to_owned(),
    };
    let (sender, items) = mpsc::unbounded_channel();
    for item in [StreamItem::Event(Box::new(Event::Error { message })), StreamItem::End] {
        // The receiver is right here.
        let _ = sender.send(item);
    }
    items
}

/// A great number as C++ prints it: `1e+300`.
fn c_double(value: f64) -> String {
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent:0>2}"),
        _ => text,
    }
}

async fn other(
    kind: Type,
    call: scheduler::Call,
    headers: &HeaderMap,
    cluster: &Handle,
) -> Result<Response, NoMaster> {
    let framework_id = call.framework_id.as_ref().map(|id| FrameworkId::from(id.value.as_str()));
    let call = match kind {
        // These need the same permission as any call and then have no effect, here as with Mesos' own allocator. So
        // does an empty DECLINE.
        Type::Request | Type::Unknown => Call::Decline { offer_ids: Vec::new(), refuse: None },
        _ => match Call::from_proto(call) {
            Ok(call) => call,
            Err(reason) => return Ok(bad_request(format!("Failed to validate scheduler::Call: {reason}"))),
        },
    };
    // Of several headers the last one counts.
    let stream = headers
        .get_all(STREAM_ID)
        .iter()
        .next_back()
        .map(|id| StreamId(String::from_utf8_lossy(id.as_bytes()).into()));
    let call = SchedulerCall { request: RequestId(0), framework_id, stream, principal: None, call };
    match cluster.call(call).await {
        // A real master aborts here; see `Call.Type.UNKNOWN`.
        Answer::Accepted | Answer::Ok if kind == Type::Unknown => Ok(empty(StatusCode::NOT_IMPLEMENTED)),
        answer => respond(answer),
    }
}

pub(super) fn respond(answer: Answer) -> Result<Response, NoMaster> {
    match answer {
        Answer::Accepted => Ok(empty(StatusCode::ACCEPTED)),
        Answer::Ok => Ok(empty(StatusCode::OK)),
        Answer::Rejected { status, message } => {
            Ok(text(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), message))
        }
        Answer::NoMaster => Err(NoMaster),
    }
}

/// The media type that the `Accept` header allows. JSON is tried first; without a header everything is allowed.
pub(super) fn accepted(headers: &HeaderMap) -> Option<MediaType> {
    let mut ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
    if ranges.peek().is_none() {
        return Some(MediaType::Json);
    }
    let ranges: Vec<_> = ranges.flat_map(|value| value.split(',')).collect();
    [MediaType::Json, MediaType::Protobuf]
        .into_iter()
        .find(|media| ranges.iter().any(|range| allows(range, media.as_str())))
}

/// Whether one entry of an `Accept` header allows the type. Of its parameters only `q=0` counts.
fn allows(range: &str, media: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let range = parts.next().unwrap_or_default();
    let refused =
        parts.any(|parameter| parameter.strip_prefix("q=").is_some_and(|weight| weight.parse() == Ok(0.0)));
    let matches = match range.strip_suffix("/*") {
        Some("*") => true,
        Some(kind) => media.split('/').next() == Some(kind),
        None => range == media,
    };
    matches && !refused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_header_chooses() {
        let accepted = |value: &'static str| {
            accepted(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(value))]))
        };
        assert_eq!(super::accepted(&HeaderMap::new()), Some(MediaType::Json));
        for (value, expected) in [
            ("application/x-protobuf", Some(MediaType::Protobuf)),
            ("application/json", Some(MediaType::Json)),
            ("*/*", Some(MediaType::Json)),
            ("application/*", Some(MediaType::Json)),
            ("application/x-protobuf, application/json", Some(MediaType::Json)),
            ("application/json;q=0.1, application/x-protobuf", Some(MediaType::Json)),
            ("application/json; charset=utf-8", Some(MediaType::Json)),
            ("application/json;q=0, application/x-protobuf", Some(MediaType::Protobuf)),
            ("application/x-protobuf;q=0", None),
            ("application/recordio", None),
            ("text/*", None),
        ] {
            assert_eq!(accepted(value), expected, "{value}");
        }
    }

    #[test]
    fn numbers_look_like_mesos_own() {
        assert_eq!(c_double(1e300), "1e+300");
        assert_eq!(c_double(9.5e9), "9.5e+09");
    }
}
