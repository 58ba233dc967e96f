//! The cluster's state as JSON, for people and tests.

use std::path::Path;

use podium_core::model::mesos::{Resource, ResourceValue};
use podium_sim::cluster::{AgentStanding, AgentView, Cluster, ContainerId, ContainerView};
use serde_json::{Map, Value, json};

/// Everything that the cluster's views show. `sandbox` knows where an executor's files are.
pub(crate) fn state<'a>(cluster: &Cluster, sandbox: impl Fn(&ContainerId) -> Option<&'a Path>) -> Value {
    json!({
        "agents": cluster.agents().map(|view| agent(&view)).collect::<Vec<_>>(),
        "frameworks": cluster.frameworks().map(|view| json!({
            "id": view.framework_id,
            "name": view.info.name,
            "connected": view.stream.is_some(),
            "recovered": view.recovered,
            "registered_at": view.registered_at,
        })).collect::<Vec<_>>(),
        "executors": cluster.executors().map(|view| json!({
            "executor_id": view.executor_id,
            "framework_id": view.framework_id,
            "agent": view.agent.0,
            "container_id": view.container.as_str(),
            "alive": view.alive,
            "sandbox": sandbox(view.container),
        })).collect::<Vec<_>>(),
        "tasks": cluster.tasks().map(|view| json!({
            "task_id": view.task.task_id,
            "framework_id": view.framework_id,
            "executor_id": view.executor_id,
            "agent_id": view.task.agent_id,
            "state": view.state,
            "unreachable": view.unreachable,
        })).collect::<Vec<_>>(),
        "containers": cluster.containers().map(|view| container(&view, &sandbox)).collect::<Vec<_>>(),
        "offers": cluster.offers().map(|view| json!({
            "id": view.id,
            "agent": view.agent.0,
            "framework_id": view.framework_id,
            "role": view.role,
            "resources": resources(view.resources),
        })).collect::<Vec<_>>(),
    })
}

fn agent(view: &AgentView<'_>) -> Value {
    json!({
        "agent": view.index.0,
        "agent_id": view.agent_id,
        "hostname": view.config.hostname,
        "running": view.running,
        "standing": match view.standing {
            AgentStanding::Registered => "registered",
            AgentStanding::Disconnected => "disconnected",
            AgentStanding::Recovered => "recovered",
            AgentStanding::Unreachable => "unreachable",
            AgentStanding::Gone => "gone",
            AgentStanding::Unknown => "unknown",
        },
        "registered_at": view.registered_at,
        "active": view.active,
        "deactivated": view.deactivated,
        "total": resources(view.total),
        "available": resources(&view.available()),
    })
}

fn container<'a>(view: &ContainerView<'_>, sandbox: impl Fn(&ContainerId) -> Option<&'a Path>) -> Value {
    let sandbox = sandbox(view.parent).map(|sandbox| sandbox.join("tasks").join(view.task_id.as_str()));
    json!({
        "container_id": view.container.as_str(),
        "agent": view.agent.0,
        "task_id": view.task_id,
        "executor_id": view.executor_id,
        "started": view.started,
        "sandbox": sandbox,
    })
}

/// Amounts by name, whatever their reservations.
fn resources(resources: &[Resource]) -> Value {
    let mut amounts = Map::new();
    for resource in resources {
        let amount = match &resource.value {
            ResourceValue::Scalar(amount) => {
                let before = amounts.get(resource.kind.as_str()).and_then(Value::as_f64).unwrap_or_default();
                json!(before + amount.to_f64())
            }
            ResourceValue::Ranges(ranges) => {
                let text = ranges.iter().map(|range| format!("{}-{}", range.begin, range.end));
                json!(text.collect::<Vec<_>>().join(","))
            }
            ResourceValue::Set(items) => json!(items),
        };
        amounts.insert(resource.kind.to_string(), amount);
    }
    Value::Object(amounts)
}
