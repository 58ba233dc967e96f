//! Tasks as `GET /v2/tasks` shows them (Marathon's `EnrichedTask`): one per container of every copy.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::event::IpAddress;
use crate::model::ids::{AgentId, PodId, Role, TaskId};
use crate::model::instance::{Instance, Task};
use crate::model::mesos::TaskState;
use crate::model::time::Timestamp;
use crate::scheduler::Scheduler;

/// A Mesos task: one container of a copy of a pod.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnrichedTask {
    /// Its id.
    pub id: TaskId,
    /// The pod. The name is Marathon's.
    pub app_id: PodId,
    /// Its state.
    pub state: TaskState,
    /// The agent's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slave_id: Option<AgentId>,
    /// The agent's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The ports of the agent that it has, in the order of its endpoints with a host port.
    pub ports: Vec<u16>,
    /// Always empty: pods have no service ports. Kept because clients read it.
    pub service_ports: [u16; 0],
    /// Its addresses.
    pub ip_addresses: Vec<IpAddress>,
    /// When it was launched.
    pub staged_at: Timestamp,
    /// When it was first seen running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// The definition that it was launched from.
    pub version: Timestamp,
    /// The verdict of its health check, if there is one.
    pub health_check_results: Vec<HealthCheckResult>,
    /// The role whose resources it uses.
    pub role: Role,
}

/// The verdict of a health check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheckResult {
    /// The task.
    pub task_id: TaskId,
    /// Whether it is healthy.
    pub alive: bool,
}

/// Where the running tasks of a pod can be reached under one of its endpoints, as `GET /v2/tasks` says it in
/// `text/plain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointAddresses {
    /// The pod.
    pub pod: PodId,
    /// The endpoint's port in the container, if the definition names one. None for a pod without host ports.
    pub port: Option<u16>,
    /// `host:port`, or only the host for a pod without host ports, of each task that runs.
    pub addresses: Vec<String>,
}

impl Scheduler {
    /// The tasks of a pod, by copy and then in the order of the definition.
    pub fn tasks_of(&self, pod: &PodId) -> Vec<EnrichedTask> {
        let Some(pod) = self.state.pod(pod) else { return Vec::new() };
        self.state.instances_of(pod).flat_map(EnrichedTask::all_of).collect()
    }

    /// Where the running tasks of a pod can be reached: by endpoint with a host port, or only the hosts if there
    /// is none.
    pub fn addresses_of(&self, pod: &PodId) -> Vec<EndpointAddresses> {
        let Some(pod) = self.state.pod(pod) else { return Vec::new() };
        let Some(current) = pod.spec() else { return Vec::new() };
        let line = |port| EndpointAddresses { pod: current.id.clone(), port, addresses: Vec::new() };
        let endpoints = || current.containers.iter().flat_map(|container| &container.endpoints);
        let has_ports = endpoints().any(|endpoint| endpoint.host_port.is_some());
        let mut lines: Vec<(&str, EndpointAddresses)> = if has_ports {
            let endpoints = endpoints().filter(|endpoint| endpoint.host_port.is_some());
            endpoints.map(|endpoint| (endpoint.name.as_str(), line(endpoint.container_port))).collect()
        } else {
            vec![("", line(None))]
        };
        for instance in self.state.instances_of(pod) {
            let (Some(agent), Some(spec)) = (&instance.agent, pod.spec_of(instance.version)) else {
                continue;
            };
            let running = spec.containers.iter().zip(&instance.tasks);
            let running = running.filter(|(_, task)| task.condition.task_state() == TaskState::TaskRunning);
            for (container, task) in running {
                let endpoints = container.endpoints.iter().filter(|endpoint| endpoint.host_port.is_some());
                for (endpoint, port) in endpoints.zip(&task.host_ports) {
                    // By name: an older definition may have had others.
                    if let Some((_, line)) = lines.iter_mut().find(|(name, _)| *name == endpoint.name) {
                        line.addresses.push(format!("{}:{port}", agent.host));
                    }
                }
                if !has_ports && task.container == instance.tasks[0].container {
                    lines[0].1.addresses.push(agent.host.clone());
                }
            }
        }
        lines.into_iter().map(|(_, line)| line).collect()
    }
}

impl EnrichedTask {
    /// The tasks of the newest launch of `instance`.
    pub fn all_of(instance: &Instance) -> impl Iterator<Item = Self> {
        instance.tasks.iter().map(|task| Self::new(instance, task))
    }

    fn new(instance: &Instance, task: &Task) -> Self {
        let id = instance.task_id(task);
        let networks = task.last.iter().flat_map(|last| &last.networks);
        let alive = task.healthy.into_iter();
        Self {
            app_id: instance.id.pod.clone(),
            state: task.condition.task_state(),
            slave_id: instance.agent_id().cloned(),
            host: instance.agent.as_ref().map(|agent| agent.host.clone()),
            ports: task.host_ports.clone(),
            service_ports: [],
            ip_addresses: networks
                .flat_map(|network| &network.ip_addresses)
                .map(|address| IpAddress::new(address))
                .collect(),
            staged_at: task.staged_at,
            started_at: task.started_at,
            version: instance.version,
            health_check_results: alive
                .map(|alive| HealthCheckResult { task_id: id.clone(), alive })
                .collect(),
            role: instance.role.clone(),
            id,
        }
    }
}
