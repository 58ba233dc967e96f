//! `PodStatus`: what `::status` answers (Pods page, "Status"; Marathon's `podStatus` schema).

use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

use crate::model::ids::{AgentId, InstanceId, PodId, Role, TaskId};
use crate::model::mesos::TaskState;
use crate::model::number::Number;
use crate::model::pod::PodSpec;
use crate::model::time::Timestamp;

/// The state of a pod.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodStatus {
    /// The pod.
    pub id: PodId,
    /// Its current definition.
    pub spec: Arc<PodSpec>,
    /// How it is.
    pub status: PodState,
    /// Since when it has been so.
    pub status_since: Timestamp,
    /// When this status was made.
    pub last_updated: Timestamp,
    /// When anything of it last changed.
    pub last_changed: Timestamp,
    /// Why it is so, if that needs saying.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Its copies, oldest first.
    pub instances: Vec<InstanceStatus>,
    /// How copies ended lately, newest first.
    pub termination_history: Vec<TerminationHistory>,
}

/// How a pod is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PodState {
    /// Fewer copies are stable than wanted.
    Degraded,
    /// As many copies are stable as wanted.
    Stable,
    /// It is being deleted.
    Terminal,
}

/// The state of one copy.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceStatus {
    /// The copy.
    pub id: InstanceId,
    /// How it is.
    pub status: PodInstanceState,
    /// Since when it has been so.
    pub status_since: Timestamp,
    /// When anything of it was last updated.
    pub last_updated: Timestamp,
    /// When its status last changed.
    pub last_changed: Timestamp,
    /// Why it is so, if that needs saying.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Its agent's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// Its agent's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_hostname: Option<String>,
    /// Its agent's region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_region: Option<String>,
    /// Its agent's zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_zone: Option<String>,
    /// What it uses in all.
    pub resources: ResourceAmounts,
    /// Its addresses, by network.
    pub networks: Vec<NetworkStatus>,
    /// Its containers, in the order of the definition.
    pub containers: Vec<ContainerStatus>,
    /// Where the definition is that it was launched from.
    pub spec_reference: String,
    /// Its persistent volumes, while they are kept for it.
    pub local_volumes: Vec<LocalVolumeStatus>,
    /// The role whose resources it uses.
    pub role: Role,
    /// How often it was launched.
    pub incarnation: u32,
}

/// A persistent volume that is kept for a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalVolumeStatus {
    /// The pod.
    pub run_spec_id: PodId,
    /// The volume's name in the definition, which is where its agent mounts it, below the executor's sandbox.
    pub container_path: String,
    /// What tells it from all others of that name.
    pub uuid: String,
    /// Its name in Mesos.
    pub persistence_id: String,
}

/// Amounts of resources, as numbers a person wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[expect(missing_docs, reason = "the resources are Mesos'")]
pub struct ResourceAmounts {
    pub cpus: Number,
    pub mem: Number,
    pub disk: Number,
    pub gpus: Number,
}

/// How a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PodInstanceState {
    /// It runs, but not as it should: unhealthy or out of reach.
    Degraded,
    /// It waits to be launched.
    Pending,
    /// It runs and is healthy.
    Stable,
    /// It was launched and does not run yet.
    Staging,
    /// It is ending or has ended.
    Terminal,
}

/// The addresses of a copy on one network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NetworkStatus {
    /// The network; absent for the host's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The addresses.
    pub addresses: Vec<String>,
}

/// The state of one container.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerStatus {
    /// Its name.
    pub name: String,
    /// Its Mesos state.
    pub status: TaskState,
    /// Since when it has been in that state.
    pub status_since: Timestamp,
    /// When it was last heard of.
    pub last_updated: Timestamp,
    /// When its state last changed.
    pub last_changed: Timestamp,
    /// The id of its Mesos task, while there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_id: Option<TaskId>,
    /// Under which ports it can be reached.
    pub endpoints: Vec<EndpointStatus>,
    /// The verdict of its health check.
    pub conditions: Vec<HealthCondition>,
    /// What it uses, while it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceAmounts>,
    /// Mesos' words about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How it ended, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub termination: Option<ContainerTerminationStatus>,
}

/// Under which port an endpoint can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointStatus {
    /// The endpoint.
    pub name: String,
    /// The agent's port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocated_host_port: Option<u16>,
    /// The verdict of the health check that uses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy: Option<bool>,
}

/// The verdict of a health check, in the shape of Marathon's `conditions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthCondition {
    /// `healthy`.
    pub name: &'static str,
    /// `true` or `false`, as text.
    pub value: &'static str,
    /// Who says so.
    pub reason: &'static str,
    /// When it last became so.
    pub last_changed: Timestamp,
    /// When it was last said.
    pub last_updated: Timestamp,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerTerminationStatus {
    /// Its exit status, when it ended by itself with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Mesos' words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How one launch of a copy ended.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TerminationHistory {
    /// The copy.
    #[serde(rename = "instanceID")]
    pub instance_id: InstanceId,
    /// When it was launched or, if it got so far, ran.
    pub started_at: Timestamp,
    /// When it had ended.
    pub terminated_at: Timestamp,
    /// Why, in Mesos' words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How each container ended.
    pub containers: Vec<ContainerTerminationHistory>,
}

/// How a container of an ended copy ended.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerTerminationHistory {
    /// The id of its Mesos task.
    pub container_id: TaskId,
    /// Its last state.
    pub last_known_state: TaskState,
    /// How it ended.
    pub termination: ContainerTerminationStatus,
}
