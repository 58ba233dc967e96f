//! The machines of a plan, and the settings of Mesos and of the scheduler.

use std::collections::BTreeMap;

use podium_core::Config;
use podium_core::config::{AcceptedResourceRoles, FrameworkRemoved, UnknownTasks};
use podium_core::model::ids::Role;
use podium_core::model::mesos::{
    Attribute, AttributeValue, DiskInfo, DiskSource, DiskSourceType, FaultDomain, PortRange, Reservation,
    ReservationType, Resource, ResourceKind,
};
use podium_core::model::number::Scalar;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::behaviour::Range;
use super::span::Span;
use crate::cluster::{AgentConfig, ClusterConfig, Latency};

/// The machines and Mesos' settings. What is absent is as Mesos has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterPlan {
    /// The machines.
    pub agents: Vec<AgentPlan>,
    /// The master's region and zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<[String; 2]>,
    /// How long messages between master and agents take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Range>,
    /// `--agent_ping_timeout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ping_timeout: Option<Span>,
    /// `--max_agent_ping_timeouts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ping_timeouts: Option<u32>,
    /// `--agent_reregister_timeout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reregister_timeout: Option<Span>,
    /// `--allocation_interval`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocation_interval: Option<Span>,
    /// `--offer_timeout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offer_timeout: Option<Span>,
    /// The system users that tasks may run as; any if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permitted_users: Option<Vec<String>>,
    /// The roles that frameworks may have; any if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permitted_roles: Option<Vec<String>>,
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentPlan {
    /// Its name; `agent-<index>` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Processors that are not reserved.
    pub cpus: f64,
    /// Memory that is not reserved, in MiB.
    pub mem: f64,
    /// Disk that is not reserved, in MiB.
    #[serde(default = "AgentPlan::default_disk")]
    pub disk: f64,
    /// GPUs. They are offered only if the scheduler asks for them.
    #[serde(default, skip_serializing_if = "AgentPlan::is_zero")]
    pub gpus: f64,
    /// Separate disks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<DiskPlan>,
    /// First and last port that is not reserved; 31000 to 32000 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<[u16; 2]>,
    /// What is reserved for a role.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reserved: Vec<ReservedPlan>,
    /// Attributes, in order of their names: scalars if they are numbers, otherwise text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// Region and zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<[String; 2]>,
}

/// A disk of a machine beside the one that its [`AgentPlan::disk`] is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiskPlan {
    /// Where it is mounted.
    pub root: String,
    /// Its size in MiB.
    pub size: f64,
    /// Whether it is given away as one piece (`MOUNT`); otherwise in parts (`PATH`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
}

/// What is reserved for a role on a machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReservedPlan {
    /// The role.
    pub role: String,
    /// Processors.
    pub cpus: f64,
    /// Memory in MiB.
    pub mem: f64,
    /// Disk in MiB.
    #[serde(default)]
    pub disk: f64,
}

/// The scheduler's settings, under Marathon's names, and how fast what is around it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SchedulerPlan {
    /// How long messages between scheduler and master take, each way.
    pub latency: Range,
    /// How long a write to the store takes.
    pub write: Range,
    /// How long the process needs to start.
    pub boot: Span,
    /// `--mesos_role`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesos_role: Option<String>,
    /// `--reconciliation_interval`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconciliation_interval: Option<Span>,
    /// `--decline_offer_duration`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decline_offer_duration: Option<Span>,
    /// `--task_launch_confirm_timeout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_launch_confirm_timeout: Option<Span>,
    /// `--task_launch_timeout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_launch_timeout: Option<Span>,
    /// `--kill_chunk_size`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kill_chunk_size: Option<usize>,
    /// `--kill_retry_timeout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kill_retry_timeout: Option<Span>,
    /// How much one step does at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub portion: Option<usize>,
    /// About how many tasks the master is asked with one call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconciliation_chunk: Option<usize>,
    /// `--max_running_deployments`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_running_deployments: Option<usize>,
    /// `--draining_seconds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draining: Option<Span>,
    /// `--enable_features gpu_resources`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gpu_resources: bool,
    /// `--accepted_resource_roles_default_behavior`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "accepted_resource_roles")]
    pub accepted_resource_roles_default_behavior: Option<AcceptedResourceRoles>,
    /// `--gpu_scheduling_behavior unrestricted`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gpu_unrestricted: bool,
    /// `--new_group_enforce_role top`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub new_group_enforce_role: bool,
    /// Kill tasks that the scheduler has no record of.
    pub kill_unknown_tasks: bool,
}

impl Default for SchedulerPlan {
    fn default() -> Self {
        Self {
            latency: Range::millis(1, 5),
            write: Range::millis(0, 2),
            boot: Span::from_secs(1),
            mesos_role: None,
            reconciliation_interval: None,
            decline_offer_duration: None,
            task_launch_confirm_timeout: None,
            task_launch_timeout: None,
            kill_chunk_size: None,
            portion: None,
            reconciliation_chunk: None,
            kill_retry_timeout: None,
            max_running_deployments: None,
            draining: None,
            gpu_resources: false,
            accepted_resource_roles_default_behavior: None,
            gpu_unrestricted: false,
            new_group_enforce_role: false,
            kill_unknown_tasks: false,
        }
    }
}

impl SchedulerPlan {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The settings as the scheduler takes them.
    pub fn config(&self) -> Config {
        let mut config = Config::default();
        let set = |to: &mut std::time::Duration, from: Option<Span>| {
            if let Some(span) = from {
                *to = span.to_duration();
            }
        };
        set(&mut config.reconciliation_interval, self.reconciliation_interval);
        set(&mut config.decline_offer_duration, self.decline_offer_duration);
        set(&mut config.task_launch_confirm_timeout, self.task_launch_confirm_timeout);
        set(&mut config.task_launch_timeout, self.task_launch_timeout);
        set(&mut config.kill_retry_timeout, self.kill_retry_timeout);
        set(&mut config.draining, self.draining);
        config.gpu_resources = self.gpu_resources;
        config.gpu_restricted = !self.gpu_unrestricted;
        config.new_group_enforce_role = self.new_group_enforce_role;
        config.accepted_resource_roles =
            self.accepted_resource_roles_default_behavior.unwrap_or(config.accepted_resource_roles);
        if let Some(role) = &self.mesos_role {
            config.mesos_role = Role::new(role.as_str());
        }
        config.kill_chunk_size = self.kill_chunk_size.unwrap_or(config.kill_chunk_size);
        // One that is smaller is never done.
        config.portion = self.portion.map_or(config.portion, |portion| portion.max(2));
        config.reconciliation_chunk =
            self.reconciliation_chunk.map_or(config.reconciliation_chunk, |chunk| chunk.max(1));
        config.max_running_deployments =
            self.max_running_deployments.unwrap_or(config.max_running_deployments);
        if self.kill_unknown_tasks {
            config.unknown_tasks = UnknownTasks::Kill;
        }
        // One that ends is of no use here.
        config.framework_removed = FrameworkRemoved::Register;
        config
    }
}

fn accepted_resource_roles(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["any", "reserved", "unreserved"] })
}

impl ClusterPlan {
    /// The cluster as its model takes it.
    pub fn config(&self) -> ClusterConfig {
        let mut config = ClusterConfig {
            agents: self.agents.iter().enumerate().map(|(index, agent)| agent.config(index)).collect(),
            ..ClusterConfig::default()
        };
        if let Some(latency) = self.latency {
            config.links.master_agent =
                Latency { min: latency.min().to_duration(), max: latency.max().to_duration() };
        }
        let master = &mut config.master;
        master.domain = self.domain.clone().map(|[region, zone]| FaultDomain { region, zone });
        if let Some(timeout) = self.ping_timeout {
            master.agent_ping_timeout = timeout.to_duration();
        }
        if let Some(timeout) = self.reregister_timeout {
            master.agent_reregister_timeout = timeout.to_duration();
        }
        if let Some(interval) = self.allocation_interval {
            master.allocation_interval = interval.to_duration();
        }
        master.max_agent_ping_timeouts = self.max_ping_timeouts.unwrap_or(master.max_agent_ping_timeouts);
        master.offer_timeout = self.offer_timeout.map(Span::to_duration);
        master.permitted_users.clone_from(&self.permitted_users);
        let roles = |roles: &Vec<String>| roles.iter().map(|role| Role::from(role.as_str())).collect();
        master.permitted_roles = self.permitted_roles.as_ref().map(roles);
        config
    }
}

impl AgentPlan {
    /// A machine with these amounts and nothing special.
    pub fn new(cpus: f64, mem: f64) -> Self {
        Self {
            hostname: None,
            cpus,
            mem,
            disk: Self::default_disk(),
            gpus: 0.0,
            disks: Vec::new(),
            ports: None,
            reserved: Vec::new(),
            attributes: BTreeMap::new(),
            domain: None,
        }
    }

    /// The name of the machine with this index.
    pub fn hostname(&self, index: usize) -> String {
        self.hostname.clone().unwrap_or_else(|| format!("agent-{index}"))
    }

    fn default_disk() -> f64 {
        10_000.0
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    fn is_zero(amount: &f64) -> bool {
        *amount == 0.0
    }

    fn config(&self, index: usize) -> AgentConfig {
        let scalar = |kind, amount| Resource::scalar(kind, Scalar::from_f64(amount));
        let [begin, end] = self.ports.unwrap_or([31_000, 32_000]).map(u64::from);
        let mut resources = vec![
            scalar(ResourceKind::Cpus, self.cpus),
            scalar(ResourceKind::Mem, self.mem),
            scalar(ResourceKind::Disk, self.disk),
            Resource::ports(vec![PortRange { begin, end }]),
        ];
        if self.gpus > 0.0 {
            resources.push(scalar(ResourceKind::Gpus, self.gpus));
        }
        resources.extend(self.disks.iter().map(DiskPlan::resource));
        for reserved in &self.reserved {
            let reservation = Reservation {
                kind: ReservationType::Static,
                role: Role::new(reserved.role.as_str()),
                principal: None,
                labels: Vec::new(),
            };
            let amounts = [
                (ResourceKind::Cpus, reserved.cpus),
                (ResourceKind::Mem, reserved.mem),
                (ResourceKind::Disk, reserved.disk),
            ];
            resources.extend(amounts.into_iter().filter(|(_, amount)| *amount > 0.0).map(
                |(kind, amount)| Resource {
                    reservations: [reservation.clone()].into(),
                    ..scalar(kind, amount)
                },
            ));
        }
        let attribute = |(name, value): (&String, &String)| Attribute {
            name: name.clone(),
            // As an agent reads its `--attributes`.
            value: match value.parse::<f64>() {
                Ok(number) if number.is_finite() => AttributeValue::Scalar(Scalar::from_f64(number)),
                _ => AttributeValue::Text(value.clone()),
            },
        };
        AgentConfig {
            converted: Vec::new(),
            resources,
            ip: format!("10.0.{}.{}", index / 250, index % 250 + 1),
            attributes: self.attributes.iter().map(attribute).collect(),
            domain: self.domain.clone().map(|[region, zone]| FaultDomain { region, zone }),
            ..AgentConfig::new(self.hostname(index), 0.0, 0.0, 0.0)
        }
    }
}

impl DiskPlan {
    fn resource(&self) -> Resource {
        let kind = if self.whole { DiskSourceType::Mount } else { DiskSourceType::Path };
        let source = DiskSource { kind, root: Some(self.root.clone()), profile: None, id: None };
        Resource {
            disk: Some(Box::new(DiskInfo { source: Some(source), ..DiskInfo::default() })),
            ..Resource::scalar(ResourceKind::Disk, Scalar::from_f64(self.size))
        }
    }
}
