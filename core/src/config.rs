//! What a person can set: the flags that concern decisions, under Marathon's names.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::ids::Role;
use crate::model::mesos::{FrameworkCapability, FrameworkInfo};

/// The scheduler's settings. They are part of a recording: with equal settings, seed and inputs the scheduler
/// does equal things.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// `--framework_name`: the name Mesos shows.
    pub framework_name: String,
    /// `--mesos_user`: the system user of tasks that name none.
    pub mesos_user: String,
    /// `--hostname`: the host that Mesos shows.
    pub hostname: Option<String>,
    /// `--webui_url`: the page that Mesos links to.
    pub webui_url: Option<String>,
    /// `--mesos_authentication_principal`: the name used for authentication and reservations.
    pub principal: Option<String>,
    /// `--failover_timeout`: how long Mesos keeps the tasks while no scheduler is connected.
    pub failover_timeout: Duration,
    /// `--checkpoint`: whether tasks survive a restart of their agent's process.
    pub checkpoint: bool,
    /// `--mesos_role`: the role of pods that name none.
    pub mesos_role: Role,
    /// `--new_group_enforce_role` is `top`: a new group below the root allows its pods only the role of its name.
    #[serde(default)]
    pub new_group_enforce_role: bool,
    /// `--accepted_resource_roles_default_behavior`: whose resources a pod may use that lists no roles.
    pub accepted_resource_roles: AcceptedResourceRoles,
    /// `--decline_offer_duration`: how long an agent's unused resources are not offered again.
    pub decline_offer_duration: Duration,
    /// `--min_revive_offers_interval`: time between two requests for offers.
    pub min_revive_offers_interval: Duration,
    /// `--task_launch_confirm_timeout`: how long a launch may go without any word from Mesos.
    pub task_launch_confirm_timeout: Duration,
    /// `--task_launch_timeout`: how long a container may take from being confirmed to running.
    pub task_launch_timeout: Duration,
    /// `--kill_retry_timeout`: the longest time between two attempts to kill the same container.
    pub kill_retry_timeout: Duration,
    /// `--kill_chunk_size`: how many instances are killed at once.
    pub kill_chunk_size: usize,
    /// How many instances one step makes, ends or finds due, and how many pods it looks at, at most: see
    /// [`Scheduler::deadline`](crate::Scheduler::deadline). At least 2, or nothing is ever finished.
    pub portion: usize,
    /// `--reconciliation_interval`: time between two comparisons of all tasks with Mesos.
    pub reconciliation_interval: Duration,
    /// About how many tasks Mesos is asked with one call. One copy's are asked about together.
    pub reconciliation_chunk: usize,
    /// `--minimum_ready`: how long a copy without health checks must have run without interruption before an
    /// older copy ends in its place. Long enough for a program that cannot start to fail, and short beside the
    /// time that launches take.
    pub minimum_ready: Duration,
    /// `--max_running_deployments`.
    pub max_running_deployments: usize,
    /// `--mesos_bridge_name`: the network of pods in mode `container/bridge`.
    pub bridge_name: String,
    /// `--env_vars_prefix`: put before the names of the endpoint variables.
    pub env_vars_prefix: String,
    /// `--draining_seconds`: decline offers of an agent so long before its maintenance.
    pub draining: Duration,
    /// `--maintenance_mode`: decline offers of agents in maintenance.
    pub maintenance_mode: bool,
    /// `--gpu_scheduling_behavior` is `restricted`: only pods that need GPUs are placed on agents that have some.
    pub gpu_restricted: bool,
    /// `--enable_features gpu_resources`: ask for offers of agents with GPUs.
    pub gpu_resources: bool,
    /// `--unknown_tasks`: what to do with tasks of ours that Mesos reports and we have no record of, and with what is
    /// kept on agents for instances that we have no record of.
    pub unknown_tasks: UnknownTasks,
    /// `--framework_removed`: what to do when Mesos has removed the framework.
    #[serde(default)]
    pub framework_removed: FrameworkRemoved,
}

/// `--accepted_resource_roles_default_behavior`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AcceptedResourceRoles {
    /// Resources reserved for the pod's role, and unreserved ones.
    Any,
    /// Only resources reserved for the pod's role.
    Reserved,
    /// Only unreserved resources.
    Unreserved,
}

/// What to do with tasks and reservations of ours that Mesos reports and we have no record of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownTasks {
    /// List them, and leave them alone. The default: after a loss of records they may be all that is left of
    /// a running service.
    Ignore,
    /// Kill the tasks; destroy the volumes, and unreserve the rest.
    Kill,
}

/// What to do when Mesos has removed the framework: because no scheduler was connected for longer than the failover
/// timeout, or because somebody tore it down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FrameworkRemoved {
    /// End, and do nothing until a person has decided. The default: somebody may have wanted everything to end.
    #[default]
    End,
    /// Register as a new framework and launch all that is wanted anew; what is reserved for copies stays theirs.
    Register,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            framework_name: "podium".to_owned(),
            mesos_user: "root".to_owned(),
            hostname: None,
            webui_url: None,
            principal: None,
            failover_timeout: Duration::from_secs(604_800),
            checkpoint: true,
            mesos_role: Role::new("*"),
            new_group_enforce_role: false,
            accepted_resource_roles: AcceptedResourceRoles::Any,
            decline_offer_duration: Duration::from_secs(120),
            min_revive_offers_interval: Duration::from_secs(5),
            task_launch_confirm_timeout: Duration::from_secs(300),
            task_launch_timeout: Duration::from_secs(300),
            kill_retry_timeout: Duration::from_secs(30),
            kill_chunk_size: 100,
            portion: 500,
            reconciliation_interval: Duration::from_secs(600),
            reconciliation_chunk: 1000,
            minimum_ready: Duration::from_secs(5),
            max_running_deployments: 100,
            bridge_name: "mesos-bridge".to_owned(),
            env_vars_prefix: String::new(),
            draining: Duration::ZERO,
            maintenance_mode: true,
            gpu_restricted: true,
            gpu_resources: false,
            unknown_tasks: UnknownTasks::Ignore,
            framework_removed: FrameworkRemoved::End,
        }
    }
}

/// The pause after the first attempt to end something; it doubles with each further one.
const FIRST_KILL_PAUSE: Duration = Duration::from_secs(2);

impl Config {
    /// How long a container is given to end after it was asked to, having been asked so often before: 2 s, 4 s, 8 s and so
    /// on up to `--kill_retry_timeout`.
    pub fn kill_pause(&self, asked_before: u32) -> Duration {
        let pause = FIRST_KILL_PAUSE.saturating_mul(2u32.saturating_pow(asked_before));
        pause.min(self.kill_retry_timeout).max(Duration::from_millis(1))
    }

    /// How the framework presents itself to Mesos, apart from its id and roles.
    pub(crate) fn framework_info(&self) -> FrameworkInfo {
        let mut capabilities = vec![
            FrameworkCapability::TaskKillingState,
            FrameworkCapability::PartitionAware,
            FrameworkCapability::MultiRole,
            FrameworkCapability::ReservationRefinement,
            FrameworkCapability::RegionAware,
        ];
        if self.gpu_resources {
            capabilities.push(FrameworkCapability::GpuResources);
        }
        FrameworkInfo {
            user: self.mesos_user.clone(),
            name: self.framework_name.clone(),
            id: None,
            failover_timeout: self.failover_timeout,
            checkpoint: self.checkpoint,
            roles: Vec::new(),
            role: None,
            capabilities,
            hostname: self.hostname.clone(),
            webui_url: self.webui_url.clone(),
            principal: self.principal.clone(),
        }
    }
}
