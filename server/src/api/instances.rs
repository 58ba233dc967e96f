//! `DELETE ::instances`: ending copies of a pod.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use podium_core::admission::read_instance_ids;
use podium_core::model::ids::{AgentId, InstanceId, PodId};
use podium_core::model::instance::{Condition, Goal, Instance};
use podium_core::model::pod::UnreachableStrategy;
use podium_core::model::time::Timestamp;
use podium_core::{Command, Response as Reply};
use schemars::JsonSchema;
use serde::Serialize;

use super::error::ApiError;
use super::{Api, Asked, body, json, unexpected};

/// `DELETE /v2/pods/{id}::instances` with a list of instance ids.
pub(super) async fn kill_some(api: &Api, pod: PodId, request: Request) -> Result<Response, ApiError> {
    let asked = Asked::of(&request);
    let instances = read_instance_ids(&body::read_json(api, request).await?)?;
    let command = Command::KillInstances { pod, instances, wipe: asked.flag("wipe") };
    let Reply::InstancesKilled(killed) = api.command(&asked, command).await? else {
        return Err(unexpected());
    };
    Ok(json(StatusCode::OK, &views(api, killed).await?))
}

/// `DELETE /v2/pods/{id}::instances/{instanceId}`
pub(super) async fn kill_one(
    api: &Api,
    pod: PodId,
    instance: InstanceId,
    asked: Asked,
) -> Result<Response, ApiError> {
    let command = Command::KillInstance { pod, instance, wipe: asked.flag("wipe") };
    let Reply::InstancesKilled(killed) = api.command(&asked, command).await? else {
        return Err(unexpected());
    };
    let view = views(api, killed).await?.pop().ok_or_else(unexpected)?;
    Ok(json(StatusCode::OK, &view))
}

/// Marathon's `instance`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct InstanceView {
    instance_id: InstanceId,
    state: StateView,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_info: Option<AgentView>,
    run_spec_version: Timestamp,
    unreachable_strategy: UnreachableStrategy,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct StateView {
    condition: Condition,
    since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthy: Option<bool>,
    goal: Goal,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct AgentView {
    host: String,
    agent_id: AgentId,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    /// Always empty, as in Marathon. Kept because clients read it.
    attributes: [(); 0],
}

async fn views(api: &Api, instances: Vec<Instance>) -> Result<Vec<InstanceView>, ApiError> {
    let with_strategies = move |scheduler: &podium_core::Scheduler, _| {
        let strategy = |instance: &Instance| {
            let spec = scheduler.pod_version(&instance.id.pod, instance.version);
            // Every instance has a stored definition.
            spec.map_or(UnreachableStrategy::DISABLED, |spec| spec.scheduling.unreachable_strategy)
        };
        instances.into_iter().map(|instance| (strategy(&instance), instance)).collect::<Vec<_>>()
    };
    let found = api.driver.query(with_strategies).await?;
    Ok(found.into_iter().map(|(strategy, instance)| view(instance, strategy)).collect())
}

fn view(instance: Instance, unreachable_strategy: UnreachableStrategy) -> InstanceView {
    let agent_info = instance.agent.as_deref().map(|agent| AgentView {
        host: agent.host.clone(),
        agent_id: agent.agent_id.clone(),
        region: agent.domain.as_ref().map(|domain| domain.region.clone()),
        zone: agent.domain.as_ref().map(|domain| domain.zone.clone()),
        attributes: [],
    });
    InstanceView {
        instance_id: instance.id,
        state: StateView {
            condition: instance.condition,
            since: instance.since,
            active_since: instance.active_since,
            healthy: instance.healthy,
            goal: instance.goal,
        },
        agent_info,
        run_spec_version: instance.version,
        unreachable_strategy,
    }
}
