//! From a placed copy of a pod to the Mesos messages that launch it.
//!
//! ```text
//!   Launch                              LaunchGroup
//!   ├─ instance, incarnation ─────────► executor id, task ids
//!   ├─ spec ──┬─ networks, linuxInfo ─► executor.container
//!   │         └─ containers[i] ───────► tasks[i]: command, container, health check, discovery, kill policy
//!   ├─ draws ─┬─ Executor ────────────► executor.resources
//!   │         └─ Container(i) ────────► tasks[i].resources
//!   ├─ home ─────────────────────────► executor.resources (the persistent volumes)
//!   └─ ports ─┬───────────────────────► executor.resources (all of them)
//!             └─ endpoints[i][j] ─────► port mappings, variables, health checks, discovery
//! ```
//!
//! Everything about a member is found by its index in the definition: ids, commands, amounts and ports of two
//! containers cannot be mixed up. Nothing here can fail: what could not be assembled is refused by admission,
//! and what slips through all the same is left for the master to refuse with a reason that people see.

mod container;
mod discovery;
mod environment;
mod health;
mod ports;

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Launch, Member};
use crate::config::Config;
use crate::model::ids::{FrameworkId, TaskId};
use crate::model::mesos::{
    CommandInfo, ContainerInfo, ExecutorInfo, ExecutorKind, Label, LaunchGroup, LinuxInfo, NetworkInfo,
    PortMapping, Resource, ResourceKind, ResourceValue, Secret, TaskInfo, Uri,
};
use crate::model::pod::{
    Command, Container, IpcInfo, Network, NetworkMode, PodSpec, ResourceLimit, ResourceLimits,
};
use ports::EndpointPorts;

/// How much longer than its slowest container an executor may take to shut down: time for the SIGKILL, and for
/// the last status updates to leave. The agent's own default for a whole shutdown.
const SHUTDOWN_MARGIN: Duration = Duration::from_secs(5);

impl Launch {
    /// What Mesos is asked for: a `LAUNCH_GROUP` operation with one task per container, in the definition's
    /// order, under an executor of the copy's own.
    pub fn task_group(&self, config: &Config, framework_id: &FrameworkId) -> LaunchGroup {
        Assembly::new(self, config).group(framework_id)
    }
}

/// A launch with what is derived from it once for all members.
struct Assembly<'a> {
    launch: &'a Launch,
    config: &'a Config,
    spec: &'a PodSpec,
    /// Whether endpoints are reached on the agent's address itself.
    host_network: bool,
    /// By container, then by endpoint.
    endpoints: Vec<Vec<EndpointPorts<'a>>>,
}

impl<'a> Assembly<'a> {
    fn new(launch: &'a Launch, config: &'a Config) -> Self {
        let spec = &*launch.spec;
        let host_network = spec.networks.iter().all(|network| network.mode == NetworkMode::Host);
        let endpoints = ports::of_endpoints(spec, host_network, &launch.ports);
        Self { launch, config, spec, host_network, endpoints }
    }

    fn group(&self, framework_id: &FrameworkId) -> LaunchGroup {
        let mut executor_resources = Vec::new();
        let mut task_resources = vec![Vec::new(); self.spec.containers.len()];
        for draw in &self.launch.draws {
            let resource = self.resource(draw.kind.clone(), ResourceValue::Scalar(draw.amount), draw.pool);
            match draw.member {
                Member::Executor => executor_resources.push(resource),
                Member::Container(index) => task_resources[index].push(resource),
            }
        }
        // On the executor, in whose sandbox the agent mounts them, for all members that ask for them.
        if let Some(home) = &self.launch.home {
            executor_resources.extend(home.volumes.iter().cloned());
        }
        // On the executor, because its network is everybody's and outlives each of them.
        for (pool, ranges) in ports::ranges_by_pool(&self.launch.ports) {
            executor_resources.push(self.resource(ResourceKind::Ports, ResourceValue::Ranges(ranges), pool));
        }
        let shared_environment = environment::Shared::new(self);
        let tasks = task_resources
            .into_iter()
            .enumerate()
            .map(|(index, resources)| self.task(index, resources, &shared_environment))
            .collect();
        LaunchGroup { executor: self.executor(framework_id, executor_resources), tasks }
    }

    fn executor(&self, framework_id: &FrameworkId, resources: Vec<Resource>) -> ExecutorInfo {
        let ipc = self.spec.linux_info.as_ref().and_then(|info| info.ipc_info.as_ref());
        ExecutorInfo {
            executor_id: self.launch.instance.executor_id(),
            framework_id: Some(framework_id.clone()),
            kind: Some(ExecutorKind::Default),
            resources,
            command: None,
            container: Some(ContainerInfo {
                network_infos: self.network_infos(),
                // A master refuses an executor that shares control groups, which is what silence would mean.
                linux_info: Some(linux_info(false, ipc)),
                ..ContainerInfo::default()
            }),
            shutdown_grace_period: self.shutdown_grace_period(),
            labels: labels(&self.spec.labels),
        }
    }

    /// Longer than the longest grace period of a container, so that none is cut short. Without any the agent's
    /// own setting stays, which outlasts the executor's 3 s.
    fn shutdown_grace_period(&self) -> Option<Duration> {
        let longest = self.spec.longest_kill_grace_period()?;
        Some(longest.saturating_add(SHUTDOWN_MARGIN))
    }

    fn network_infos(&self) -> Vec<NetworkInfo> {
        let networks = self.spec.networks.iter().filter(|network| network.mode != NetworkMode::Host);
        networks
            .map(|network| NetworkInfo {
                name: self.network_name(network).map(ToOwned::to_owned),
                labels: labels(&network.labels),
                port_mappings: self.port_mappings(network),
            })
            .collect()
    }

    /// The CNI network that `network` stands for.
    fn network_name<'n>(&'n self, network: &'n Network) -> Option<&'n str> {
        match network.mode {
            NetworkMode::Host => None,
            NetworkMode::Container => network.name.as_deref(),
            NetworkMode::ContainerBridge => Some(&self.config.bridge_name),
        }
    }

    /// The ports of the agent that lead to endpoints on `network`: one mapping per transport protocol.
    fn port_mappings(&self, network: &Network) -> Vec<PortMapping> {
        let mut mappings = Vec::new();
        for ports in self.endpoints.iter().flatten().filter(|ports| ports.is_on(network)) {
            let (Some(host_port), Some(container_port)) = (ports.host, ports.container) else { continue };
            for protocol in ports.transports() {
                mappings.push(PortMapping {
                    host_port: host_port.into(),
                    container_port: container_port.into(),
                    protocol: Some(protocol),
                });
            }
        }
        mappings
    }

    fn task(&self, index: usize, resources: Vec<Resource>, environment: &environment::Shared) -> TaskInfo {
        let container = &self.spec.containers[index];
        let task_id = self.launch.instance.task_id(&container.name, self.launch.incarnation);
        TaskInfo {
            name: container.name.clone(),
            agent_id: self.launch.agent.agent_id.clone(),
            resources,
            limits: container.resource_limits.as_ref().map(limits).unwrap_or_default(),
            command: Some(self.command(container, &task_id, environment)),
            container: Some(self.container_info(container)),
            health_check: self.health_check(index),
            check: None,
            kill_grace_period: kill_grace_period(container),
            max_completion_time: None,
            labels: labels(&container.labels),
            discovery: Some(self.discovery(index)),
            task_id,
        }
    }

    fn command(
        &self,
        container: &Container,
        task_id: &TaskId,
        environment: &environment::Shared,
    ) -> CommandInfo {
        let mut info = match &container.exec {
            None => image_entrypoint(),
            Some(exec) => match &exec.command {
                // Only an image has an entry point that could be kept.
                Command::Argv(argv)
                    if exec.override_entrypoint == Some(false) && container.image.is_some() =>
                {
                    CommandInfo { arguments: argv.clone(), ..image_entrypoint() }
                }
                command => command_info(command),
            },
        };
        info.user = self.user(container);
        info.environment = environment.of(self, container, task_id);
        info.uris = container
            .artifacts
            .iter()
            .map(|artifact| Uri {
                value: artifact.uri.clone(),
                executable: artifact.executable,
                extract: artifact.extract,
                cache: artifact.cache,
                output_file: artifact.dest_path.clone(),
            })
            .collect();
        info
    }

    /// The system user of `container`; the framework's if absent.
    fn user(&self, container: &Container) -> Option<String> {
        container.user.clone().or_else(|| self.spec.user.clone())
    }

    /// The secret that the definition calls `name`, for the driver or the agent's secret resolver to look up.
    fn secret(&self, name: &str) -> Secret {
        Secret::Reference { name: self.spec.secret_source(name).to_owned(), key: None }
    }

    fn resource(&self, kind: ResourceKind, value: ResourceValue, pool: usize) -> Resource {
        let reservations = &self.launch.pools[pool];
        let made_first = self.launch.home.as_ref().and_then(|home| home.reserve.as_ref());
        Resource {
            reservations: match made_first {
                Some(made_first) => reservations.iter().chain([made_first]).cloned().collect(),
                None => reservations.clone(),
            },
            allocation_role: Some(self.launch.role.clone()),
            ..Resource::new(kind, value)
        }
    }
}

/// A command that leaves it to the image what is run.
fn image_entrypoint() -> CommandInfo {
    CommandInfo {
        shell: false,
        value: None,
        arguments: Vec::new(),
        environment: Vec::new(),
        uris: Vec::new(),
        user: None,
    }
}

/// `command` without an environment. An empty shell command means the image's entry point (Pods page, "Basic
/// pod container fields").
fn command_info(command: &Command) -> CommandInfo {
    match command {
        Command::Shell(line) if line.is_empty() => image_entrypoint(),
        Command::Shell(line) => CommandInfo { shell: true, value: Some(line.clone()), ..image_entrypoint() },
        Command::Argv(argv) => {
            CommandInfo { value: argv.first().cloned(), arguments: argv.clone(), ..image_entrypoint() }
        }
    }
}

fn kill_grace_period(container: &Container) -> Option<Duration> {
    container.lifecycle.and_then(|lifecycle| lifecycle.kill_grace_period())
}

fn limits(limits: &ResourceLimits) -> BTreeMap<String, f64> {
    let kinds = [(ResourceKind::Cpus, limits.cpus), (ResourceKind::Mem, limits.mem)];
    let amount = |limit| match limit {
        ResourceLimit::Amount(amount) => amount.to_scalar().to_f64(),
        ResourceLimit::Unlimited(_) => f64::INFINITY,
    };
    kinds.into_iter().filter_map(|(kind, limit)| Some((kind.as_str().to_owned(), amount(limit?)))).collect()
}

fn linux_info(share_cgroups: bool, ipc: Option<&IpcInfo>) -> LinuxInfo {
    LinuxInfo {
        share_cgroups: Some(share_cgroups),
        seccomp: None,
        ipc_mode: ipc.map(|ipc| ipc.mode),
        shm_size: ipc.and_then(|ipc| ipc.shm_size),
    }
}

fn labels(labels: &BTreeMap<String, String>) -> Vec<Label> {
    labels.iter().map(|(key, value)| Label { key: key.clone(), value: Some(value.clone()) }).collect()
}

#[cfg(test)]
mod tests;
