//! Tasks as `GET /v2/tasks` shows them (Marathon's `EnrichedTask`): one per container of every copy.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::event::IpAddress;
use crate::model::ids::{AgentId, PodId, Role, TaskId, Uuid};
use crate::model::instance::{Instance, Task};
use crate::model::mesos::TaskState;
use crate::model::pod::{Endpoint, PodSpec};
use crate::model::time::Timestamp;
use crate::scheduler::Scheduler;
use crate::state::Pod;

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
    /// The endpoint's name; empty for a pod without host ports.
    pub endpoint: String,
    /// The endpoint's port in the container, if the definition names one. None for a pod without host ports.
    pub port: Option<u16>,
    /// `host:port`, or only the host for a pod without host ports, of each task that runs.
    pub addresses: Vec<String>,
}

impl Scheduler {
    /// The tasks of a pod's copies, oldest copy first; of those after `after`, if that is given. A copy's tasks are in
    /// the order of the definition.
    pub fn tasks_of(
        &self,
        pod: &PodId,
        after: Option<Uuid>,
    ) -> impl Iterator<Item = (Uuid, impl Iterator<Item = EnrichedTask>)> {
        let instances = self.state.pod(pod).into_iter();
        let instances = instances.flat_map(move |pod| self.state.instances_after(pod, after));
        instances.map(|instance| (instance.id.uuid, EnrichedTask::all_of(instance)))
    }

    /// The endpoints with a host port of a pod, for which [`Self::addresses_of`] tells where they are; one without a
    /// name for a pod that has none.
    pub fn reachable_endpoints(&self, pod: &PodId) -> Vec<EndpointAddresses> {
        let Some(spec) = self.state.pod(pod).and_then(|pod| pod.spec()) else { return Vec::new() };
        let line = |endpoint: &str, port| EndpointAddresses {
            pod: spec.id.clone(),
            endpoint: endpoint.to_owned(),
            port,
            addresses: Vec::new(),
        };
        let with_ports = with_host_port(spec).map(|endpoint| line(&endpoint.name, endpoint.container_port));
        let lines: Vec<_> = with_ports.collect();
        if lines.is_empty() { vec![line("", None)] } else { lines }
    }

    /// Where the running tasks of a pod can be reached, by copy, oldest first; of those after `after`, if that is given.
    /// Endpoints are named, because older definitions may have had others; copies of a pod without host ports are
    /// reached by their hosts alone.
    pub fn addresses_of(
        &self,
        pod: &PodId,
        after: Option<Uuid>,
    ) -> impl Iterator<Item = (Uuid, Vec<(&str, String)>)> {
        let pods = self.state.pod(pod).into_iter();
        pods.flat_map(move |pod| {
            let instances = self.state.instances_after(pod, after);
            instances.map(|instance| (instance.id.uuid, addresses(pod, instance)))
        })
    }
}

fn with_host_port(spec: &PodSpec) -> impl Iterator<Item = &Endpoint> {
    let endpoints = spec.containers.iter().flat_map(|container| &container.endpoints);
    endpoints.filter(|endpoint| endpoint.host_port.is_some())
}

/// Where `instance` can be reached, by endpoint.
fn addresses<'a>(pod: &'a Pod, instance: &Instance) -> Vec<(&'a str, String)> {
    let (Some(agent), Some(spec)) = (&instance.agent, pod.spec_of(instance.version)) else {
        return Vec::new();
    };
    let has_ports = pod.spec().is_some_and(|current| with_host_port(current).next().is_some());
    let containers = spec.containers.iter().zip(&instance.tasks).enumerate();
    let running = containers.filter(|(_, (_, task))| task.condition.task_state() == TaskState::TaskRunning);
    let mut found = Vec::new();
    for (index, (container, task)) in running {
        let endpoints = container.endpoints.iter().filter(|endpoint| endpoint.host_port.is_some());
        if has_ports {
            let reachable = endpoints.zip(&task.host_ports);
            found.extend(
                reachable.map(|(endpoint, port)| (&*endpoint.name, format!("{}:{port}", agent.host))),
            );
        } else if index == 0 {
            found.push(("", agent.host.clone()));
        }
    }
    found
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
