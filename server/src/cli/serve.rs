//! `podium serve`: the daemon's flags.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use podium_core::Config;
use podium_core::admission::Rules;
use podium_core::config::{AcceptedResourceRoles, FrameworkRemoved, UnknownTasks};
use podium_core::model::ids::Role;
use serde::Serialize;

use crate::api::{HttpSettings, Origins};
use crate::daemon::{Master, Settings};

/// The flags of `podium serve`. They serialise to what `/v2/info` shows.
#[derive(Debug, Args, Serialize)]
#[command(rename_all = "snake_case")]
pub(super) struct ServeArgs {
    /// Listen on this address; 0.0.0.0 is all of them
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", help_heading = "API")]
    http_address: String,

    /// Listen on this port; 0 is any free one
    #[arg(long, value_name = "PORT", default_value_t = 8080, help_heading = "API")]
    http_port: u16,

    /// The name under which others reach this daemon [default: --http_address, or this machine's name]
    #[arg(long, value_name = "NAME", help_heading = "API")]
    hostname: Option<String>,

    /// The page that Mesos links to [default: the API]
    #[arg(long, value_name = "URL", help_heading = "API")]
    webui_url: Option<String>,

    /// So many requests are worked on at once; more are answered with status 503 [default: no limit]
    #[arg(long, value_name = "N", value_parser = at_least_one, help_heading = "API")]
    http_max_concurrent_requests: Option<usize>,

    /// So many connections are served at once, if the system allows as many open files
    #[arg(long, value_name = "N", default_value_t = 16_384, value_parser = at_least_one, help_heading = "API")]
    http_max_connections: usize,

    /// The pages from elsewhere that may read answers: origins, or * for all [default: none]
    #[arg(long, value_name = "ORIGIN,...", value_delimiter = ',', help_heading = "API")]
    access_control_allow_origin: Vec<String>,

    /// Compress answers for clients that accept it
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = true,
        default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "API")]
    http_compression: bool,

    /// The opposite of --http_compression
    #[arg(long, conflicts_with = "http_compression", help_heading = "API")]
    #[serde(skip)]
    disable_http_compression: bool,

    /// So many of the newest events are kept for readers of /v2/events that come back or are slow
    #[arg(long, value_name = "EVENTS", default_value_t = 16_384, value_parser = at_least_one, help_heading = "API")]
    event_stream_max_outstanding_messages: usize,

    /// The folder for everything that is kept; created if there is none
    #[arg(long, value_name = "FOLDER", default_value = "podium-data", help_heading = "Data")]
    data_dir: PathBuf,

    /// Where the Mesos master is: "embedded", or http://HOST:PORT[,HOST:PORT]...
    #[arg(long, value_name = "MASTER", default_value = "embedded", help_heading = "Mesos")]
    master: Master,

    /// So many agents the embedded cluster has
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100),
        help_heading = "Mesos")]
    agents: u32,

    /// The framework's name in Mesos
    #[arg(long, value_name = "NAME", default_value = "podium", help_heading = "Mesos")]
    framework_name: String,

    /// The role of pods that name none
    #[arg(long, value_name = "ROLE", default_value = "*", help_heading = "Mesos")]
    mesos_role: String,

    /// Whether new groups at the top allow their pods only the role of the group's name
    #[arg(long, value_name = "HOW", default_value = "off", help_heading = "Mesos")]
    new_group_enforce_role: EnforceRoleArg,

    /// The system user of containers that name none [default: this process' user]
    #[arg(long, value_name = "USER", help_heading = "Mesos")]
    mesos_user: Option<String>,

    /// So long Mesos keeps the pods running while no daemon is connected
    #[arg(long, value_name = "SECONDS", default_value_t = 604_800, help_heading = "Mesos")]
    failover_timeout: u64,

    /// Let containers survive a restart of their agent's process
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = true,
        default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Mesos")]
    checkpoint: bool,

    /// The opposite of --checkpoint
    #[arg(long, conflicts_with = "checkpoint", help_heading = "Mesos")]
    #[serde(skip)]
    disable_checkpoint: bool,

    /// The name for authentication and reservations
    #[arg(long, value_name = "NAME", help_heading = "Mesos")]
    mesos_authentication_principal: Option<String>,

    /// A file with the secret for authentication
    #[arg(long, value_name = "FILE", requires = "mesos_authentication_principal", help_heading = "Mesos")]
    mesos_authentication_secret_file: Option<PathBuf>,

    /// What to do with tasks and persistent volumes of this framework that the daemon has no record of
    #[arg(long, value_name = "WHAT", default_value = "ignore", help_heading = "Mesos")]
    unknown_tasks: UnknownTasksArg,

    /// What to do when Mesos has removed the framework, because nobody was connected for longer than the failover timeout
    /// or because somebody tore it down
    #[arg(long, value_name = "WHAT", default_value = "end", help_heading = "Mesos")]
    framework_removed: FrameworkRemovedArg,

    /// Whose resources a pod may use that lists no roles
    #[arg(long, value_name = "WHOSE", default_value = "any", help_heading = "Scheduling")]
    accepted_resource_roles_default_behavior: AcceptedResourceRolesArg,

    /// So long an agent's unused resources need not be offered again
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 120_000, help_heading = "Scheduling")]
    decline_offer_duration: u64,

    /// Time between two requests for offers [default: 5000, to spare the master; embedded cluster: 200]
    #[arg(long, value_name = "MILLISECONDS", help_heading = "Scheduling")]
    min_revive_offers_interval: Option<u64>,

    /// A launch without any word from Mesos is given up after this time
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 300_000, value_parser = at_least_a_second,
        help_heading = "Scheduling")]
    task_launch_confirm_timeout: u64,

    /// A container that was confirmed but does not run is killed after this time
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 300_000, value_parser = at_least_a_second,
        help_heading = "Scheduling")]
    task_launch_timeout: u64,

    /// The longest time between two attempts to kill the same container
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 30_000, value_parser = at_least_a_second,
        help_heading = "Scheduling")]
    kill_retry_timeout: u64,

    /// So many instances are killed at once
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = at_least_one, help_heading = "Scheduling")]
    kill_chunk_size: usize,

    /// Time between two comparisons of all tasks with Mesos
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 600_000, value_parser = at_least_a_second,
        help_heading = "Scheduling")]
    reconciliation_interval: u64,

    /// During an upgrade, a new copy without health checks must have run this long before an old one ends
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 5_000, help_heading = "Scheduling")]
    minimum_ready: u64,

    /// So many deployments may run at once
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = at_least_one, help_heading = "Scheduling")]
    max_running_deployments: usize,

    /// Use nothing of an agent from so long before its maintenance begins
    #[arg(long, value_name = "SECONDS", default_value_t = 0, help_heading = "Scheduling")]
    draining_seconds: u64,

    /// Use nothing of agents in maintenance
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = true,
        default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Scheduling")]
    maintenance_mode: bool,

    /// The opposite of --maintenance_mode
    #[arg(long, conflicts_with = "maintenance_mode", help_heading = "Scheduling")]
    #[serde(skip)]
    disable_maintenance_mode: bool,

    /// Whether pods without GPUs may run on agents that have some
    #[arg(long, value_name = "HOW", default_value = "restricted", help_heading = "Scheduling")]
    gpu_scheduling_behavior: GpuBehaviorArg,

    /// Features of Marathon to switch on: secrets, gpu_resources
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', help_heading = "Pods")]
    enable_features: Vec<Feature>,

    /// The folder with the secrets of pods, one file each; switches the feature "secrets" on [default: pods' references
    /// to secrets go to the agents]
    #[arg(long, value_name = "FOLDER", help_heading = "Pods")]
    secrets_dir: Option<PathBuf>,

    /// The network of container networks without a name
    #[arg(long, value_name = "NAME", help_heading = "Pods")]
    default_network_name: Option<String>,

    /// The network of pods in mode container/bridge
    #[arg(long, value_name = "NAME", default_value = "mesos-bridge", help_heading = "Pods")]
    mesos_bridge_name: String,

    /// Put before the names of the variables that tell a container its ports
    #[arg(long, value_name = "PREFIX", help_heading = "Pods")]
    env_vars_prefix: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum AcceptedResourceRolesArg {
    /// Those reserved for its role, and unreserved ones
    Any,
    /// Only those reserved for its role
    Reserved,
    /// Only unreserved ones
    Unreserved,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum EnforceRoleArg {
    /// They allow the default role as well
    Off,
    /// They allow only that
    Top,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum GpuBehaviorArg {
    /// They may not
    Restricted,
    /// They may
    Unrestricted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum UnknownTasksArg {
    /// Leave them alone
    Ignore,
    /// Kill the tasks, destroy the volumes
    Kill,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum FrameworkRemovedArg {
    /// End, and change nothing
    End,
    /// Register as a new framework and launch all pods anew, those with persistent volumes where these are
    Register,
}

/// What `--enable_features` can name (Marathon's `Features`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
enum Feature {
    /// Volumes of apps
    ExternalVolumes,
    /// Use agents with GPUs
    GpuResources,
    /// Let definitions refer to secrets
    Secrets,
    /// The state TASK_KILLING, which is always on
    TaskKilling,
    /// Labels for load balancers
    Vips,
}

impl ServeArgs {
    /// What the daemon is to do.
    ///
    /// # Errors
    /// A line about what makes no sense or is missing.
    pub(super) fn into_settings(mut self) -> Result<Settings, String> {
        self.checkpoint &= !self.disable_checkpoint;
        self.http_compression &= !self.disable_http_compression;
        self.maintenance_mode &= !self.disable_maintenance_mode;
        for feature in &self.enable_features {
            if matches!(feature, Feature::ExternalVolumes | Feature::Vips) {
                tracing::warn!("--enable_features {feature:?} has no effect: it concerns apps");
            }
        }
        let hostname = self.hostname.clone().unwrap_or_else(|| default_hostname(&self.http_address));
        let origins = self.access_control_allow_origin.iter().map(String::as_str);
        let allowed_origins =
            Origins::parse(origins).map_err(|error| format!("--access_control_allow_origin: {error}"))?;
        let secret = self.mesos_authentication_secret_file.as_deref().map(read_secret).transpose()?;
        let shown = match serde_json::to_value(&self) {
            Ok(serde_json::Value::Object(shown)) => shown,
            _ => return Err("a flag is not valid UTF-8".to_owned()),
        };
        Ok(Settings {
            scheduler: self.scheduler_config(&hostname),
            rules: Rules {
                default_network_name: self.default_network_name,
                mesos_role: Role::new(self.mesos_role),
                secrets: self.enable_features.contains(&Feature::Secrets) || self.secrets_dir.is_some(),
            },
            http_address: self.http_address,
            http_port: self.http_port,
            http: HttpSettings {
                max_connections: self.http_max_connections,
                max_concurrent_requests: self.http_max_concurrent_requests,
                allowed_origins,
                compression: self.http_compression,
                ..HttpSettings::default()
            },
            hostname,
            data_dir: self.data_dir,
            master: self.master,
            agents: self.agents,
            secrets_dir: self.secrets_dir,
            secret,
            event_log_capacity: self.event_stream_max_outstanding_messages,
            shown,
        })
    }

    fn scheduler_config(&self, hostname: &str) -> Config {
        Config {
            framework_name: self.framework_name.clone(),
            mesos_user: self.mesos_user.clone().unwrap_or_else(process_user),
            hostname: Some(hostname.to_owned()),
            webui_url: self.webui_url.clone(),
            principal: self.mesos_authentication_principal.clone(),
            failover_timeout: Duration::from_secs(self.failover_timeout),
            checkpoint: self.checkpoint,
            mesos_role: Role::new(&*self.mesos_role),
            new_group_enforce_role: self.new_group_enforce_role == EnforceRoleArg::Top,
            accepted_resource_roles: match self.accepted_resource_roles_default_behavior {
                AcceptedResourceRolesArg::Any => AcceptedResourceRoles::Any,
                AcceptedResourceRolesArg::Reserved => AcceptedResourceRoles::Reserved,
                AcceptedResourceRolesArg::Unreserved => AcceptedResourceRoles::Unreserved,
            },
            decline_offer_duration: Duration::from_millis(self.decline_offer_duration),
            min_revive_offers_interval: Duration::from_millis(self.min_revive_offers_interval.unwrap_or(
                match self.master {
                    Master::At { .. } => 5_000,
                    Master::Embedded => 200,
                },
            )),
            task_launch_confirm_timeout: Duration::from_millis(self.task_launch_confirm_timeout),
            task_launch_timeout: Duration::from_millis(self.task_launch_timeout),
            kill_retry_timeout: Duration::from_millis(self.kill_retry_timeout),
            kill_chunk_size: self.kill_chunk_size,
            portion: Config::default().portion,
            reconciliation_chunk: Config::default().reconciliation_chunk,
            reconciliation_interval: Duration::from_millis(self.reconciliation_interval),
            minimum_ready: Duration::from_millis(self.minimum_ready),
            max_running_deployments: self.max_running_deployments,
            bridge_name: self.mesos_bridge_name.clone(),
            env_vars_prefix: self.env_vars_prefix.clone().unwrap_or_default(),
            draining: Duration::from_secs(self.draining_seconds),
            maintenance_mode: self.maintenance_mode,
            gpu_restricted: self.gpu_scheduling_behavior == GpuBehaviorArg::Restricted,
            gpu_resources: self.enable_features.contains(&Feature::GpuResources),
            unknown_tasks: match self.unknown_tasks {
                UnknownTasksArg::Ignore => UnknownTasks::Ignore,
                UnknownTasksArg::Kill => UnknownTasks::Kill,
            },
            framework_removed: match self.framework_removed {
                FrameworkRemovedArg::End => FrameworkRemoved::End,
                FrameworkRemovedArg::Register => FrameworkRemoved::Register,
            },
        }
    }
}

/// For intervals in milliseconds: shorter ones would make the daemon do nothing but ask the master, or give every copy
/// up before it can start.
fn at_least_a_second(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0..1000) => Err("expected 1000 milliseconds or more".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(error.to_string()),
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("expected a number above 0".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(error.to_string()),
    }
}

/// A name that leads to a daemon that listens on `http_address`.
fn default_hostname(http_address: &str) -> String {
    let listens_everywhere = http_address.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified());
    let name = listens_everywhere.then(|| nix::unistd::gethostname().ok()?.into_string().ok()).flatten();
    name.unwrap_or_else(|| http_address.to_owned())
}

fn process_user() -> String {
    let id = nix::unistd::getuid();
    let user = nix::unistd::User::from_uid(id).ok().flatten();
    user.map_or_else(|| id.to_string(), |user| user.name)
}

fn read_secret(file: &std::path::Path) -> Result<String, String> {
    let secret = std::fs::read_to_string(file).map_err(|error| {
        format!("cannot read the secret of --mesos_authentication_secret_file {}: {error}", file.display())
    })?;
    // An editor's line break at the end is not part of it.
    Ok(secret.trim_end_matches(['\r', '\n']).to_owned())
}
