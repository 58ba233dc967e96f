//! Recorded calls to the operator API that change something.

use std::time::Duration;

use podium_core::model::ids::{AgentId, FrameworkId, Role};
use podium_core::model::mesos::{ResourceKind, Unavailability};
use podium_core::model::number::Scalar;
use podium_core::model::time::Timestamp;
use podium_sim::cluster::{AgentIndex, OperatorCall};
use serde_json::Value as Json;

/// What the call wants changed; all machines are meant by a machine's name, for all have the same.
pub(crate) fn read(call: &Json, machines: u32) -> Option<OperatorCall> {
    let kind = call["type"].as_str()?;
    let body = &call[kind.to_ascii_lowercase()];
    let agent_id = || Some(AgentId::from(body["agent_id"]["value"].as_str()?));
    let all = || (0..machines).map(AgentIndex);
    Some(match kind {
        "DEACTIVATE_AGENT" => OperatorCall::DeactivateAgent { agent_id: agent_id()? },
        "DRAIN_AGENT" => OperatorCall::DrainAgent {
            agent_id: agent_id()?,
            max_grace_period: body
                .get("max_grace_period")
                .map(|period| Duration::from_secs(period["seconds"].as_u64().unwrap_or_default())),
            mark_gone: body["mark_gone"].as_bool().unwrap_or_default(),
        },
        "MARK_AGENT_GONE" => OperatorCall::MarkAgentGone { agent_id: agent_id()? },
        "REACTIVATE_AGENT" => OperatorCall::ReactivateAgent { agent_id: agent_id()? },
        "START_MAINTENANCE" => OperatorCall::StartMaintenance { agents: all().collect() },
        "STOP_MAINTENANCE" => OperatorCall::StopMaintenance { agents: all().collect() },
        "TEARDOWN" => OperatorCall::Teardown {
            framework_id: FrameworkId::from(body["framework_id"]["value"].as_str()?),
        },
        "UPDATE_MAINTENANCE_SCHEDULE" => {
            let windows = body["schedule"]["windows"].as_array()?.iter().map(|window| {
                let nanos = |field: &str| window["unavailability"][field]["nanoseconds"].as_i64();
                let duration = nanos("duration").and_then(|nanos| u64::try_from(nanos).ok());
                Some(Unavailability {
                    start: Timestamp::from_millis(nanos("start")? / 1_000_000),
                    duration: duration.map(Duration::from_nanos),
                })
            });
            let windows: Vec<_> = windows.collect::<Option<_>>()?;
            let of_all =
                windows.into_iter().flat_map(|window| all().map(move |agent| (agent, window.clone())));
            OperatorCall::UpdateMaintenanceSchedule { windows: of_all.collect() }
        }
        "UPDATE_QUOTA" => {
            let config = body["quota_configs"].as_array()?.first()?;
            let limits = config["limits"].as_object()?.iter().filter_map(|(kind, limit)| {
                Some((ResourceKind::from(&**kind), Scalar::from_f64(limit["value"].as_f64()?)))
            });
            OperatorCall::UpdateQuota { role: Role::from(config["role"].as_str()?), limits: limits.collect() }
        }
        _ => return None,
    })
}
