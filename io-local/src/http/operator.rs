//! `POST /api/v1`: the few calls of Mesos' operator API that disturb agents and frameworks, in JSON.

use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, StatusCode};
use podium_core::model::ids::AgentId;
use podium_mesos::codec::MediaType;
use podium_sim::cluster::OperatorCall;
use serde_json::Value;

use super::response::{Response, bad_request, method_not_allowed, text};
use super::scheduler::respond;
use super::{NoMaster, body};
use crate::cluster::Handle;

pub(super) async fn handle(request: Request<Incoming>, cluster: &Handle) -> Result<Response, NoMaster> {
    if request.method() != Method::POST {
        return Ok(method_not_allowed(request.method(), "POST"));
    }
    let Some(content_type) = request.headers().get(CONTENT_TYPE) else {
        return Ok(bad_request("Expecting 'Content-Type' to be present"));
    };
    match content_type.to_str().ok().and_then(MediaType::from_header) {
        Some(MediaType::Json) => {}
        Some(MediaType::Protobuf) => {
            return Ok(text(
                StatusCode::NOT_IMPLEMENTED,
                "The embedded cluster understands its operator API in application/json only",
            ));
        }
        None => {
            return Ok(text(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Expecting 'Content-Type' of application/json or application/x-protobuf",
            ));
        }
    }
    let body = match body(request).await {
        Ok(body) => body,
        Err(response) => return Ok(response),
    };
    match serde_json::from_slice(&body) {
        Ok(call) => match parse(&call) {
            Ok(call) => respond(cluster.operator(call).await),
            Err(problem) => Ok(bad_request(format!("Failed to validate master::Call: {problem}"))),
        },
        Err(error) => Ok(bad_request(format!("Failed to parse body into JSON: {error}"))),
    }
}

fn parse(call: &Value) -> Result<OperatorCall, String> {
    let absent = |field: &str| format!("Expecting '{field}' to be present");
    let kind = call["type"].as_str().unwrap_or_default();
    let member = kind.to_ascii_lowercase();
    let id = |name: &str| {
        call[&member][name]["value"]
            .as_str()
            .map(ToOwned::to_owned)
            .ok_or_else(|| absent(&format!("{member}.{name}")))
    };
    let agent_id = || id("agent_id").map(AgentId::from);
    Ok(match kind {
        "DEACTIVATE_AGENT" => OperatorCall::DeactivateAgent { agent_id: agent_id()? },
        "DRAIN_AGENT" => OperatorCall::DrainAgent {
            agent_id: agent_id()?,
            // A google.protobuf.Duration, not a DurationInfo.
            max_grace_period: call[&member]
                .get("max_grace_period")
                .map(|period| Duration::from_secs(period["seconds"].as_u64().unwrap_or_default())),
            mark_gone: call[&member]["mark_gone"].as_bool().unwrap_or_default(),
        },
        "MARK_AGENT_GONE" => OperatorCall::MarkAgentGone { agent_id: agent_id()? },
        "REACTIVATE_AGENT" => OperatorCall::ReactivateAgent { agent_id: agent_id()? },
        "TEARDOWN" => OperatorCall::Teardown { framework_id: id("framework_id")?.into() },
        _ => return Err(absent("type")),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn calls_are_read() {
        let drain = json!({
            "type": "DRAIN_AGENT",
            "drain_agent": { "agent_id": { "value": "a" }, "max_grace_period": { "seconds": 3 }, "mark_gone": true },
        });
        let agent_id = "a".into();
        let expected = OperatorCall::DrainAgent {
            agent_id,
            max_grace_period: Some(Duration::from_secs(3)),
            mark_gone: true,
        };
        assert_eq!(parse(&drain), Ok(expected));
        assert_eq!(
            parse(&json!({ "type": "TEARDOWN", "teardown": {} })),
            Err("Expecting 'teardown.framework_id' to be present".to_owned())
        );
        assert_eq!(parse(&json!({ "type": "NOPE" })), Err("Expecting 'type' to be present".to_owned()));
    }
}
