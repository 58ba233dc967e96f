//! Whether a launch asks for what its definition says: the Pods page read once more, apart from the scheduler.

use std::time::Duration;

use podium_core::model::mesos::{
    CommandInfo, HealthCheck, LaunchGroup, Probe, Resource, ResourceKind, ResourceValue, TaskInfo,
};
use podium_core::model::number::Scalar;
use podium_core::model::pod::{self, Container, PodSpec, ScalarResources};

/// What `launch` asks for and `spec`, whose containers it has, does not say, if there is anything.
pub(super) fn difference(launch: &LaunchGroup, spec: &PodSpec) -> Option<String> {
    let executor = amounts(&launch.executor.resources, &spec.executor_resources.to_scalars());
    executor.map(|what| format!("{what} for its executor")).or_else(|| port(launch, spec)).or_else(|| {
        let mut containers = launch.tasks.iter().zip(&spec.containers);
        containers.find_map(|(task, container)| {
            let what = of_container(task, container, spec)?;
            Some(format!("{what} for container {}", container.name))
        })
    })
}

fn of_container(task: &TaskInfo, container: &Container, spec: &PodSpec) -> Option<String> {
    if let Some(what) = amounts(&task.resources, &container.resources.to_scalars()) {
        return Some(what);
    }
    let user = container.user.as_ref().or(spec.user.as_ref());
    let grace = container.lifecycle.and_then(|lifecycle| lifecycle.kill_grace_period());
    let others = [
        (is_command(task.command.as_ref(), container), "another command"),
        (task.command.as_ref().and_then(|command| command.user.as_ref()) == user, "another user"),
        (is_check(task.health_check.as_ref(), container), "another health check"),
        (task.kill_grace_period == grace, "another grace period"),
    ];
    others.into_iter().find(|(is_same, _)| !is_same).map(|(_, what)| what.to_owned())
}

/// An amount that is not the one that is `wanted`. What is on persistent volumes is no part of it.
fn amounts(resources: &[Resource], wanted: &ScalarResources) -> Option<String> {
    let is_volume =
        |resource: &&Resource| resource.disk.as_ref().is_some_and(|disk| disk.persistence.is_some());
    let amount = |kind: &ResourceKind| -> Scalar {
        let of_kind = resources.iter().filter(|resource| resource.kind == *kind && !is_volume(resource));
        of_kind.map(Resource::amount).sum()
    };
    let wanted = [
        (ResourceKind::Cpus, wanted.cpus),
        (ResourceKind::Mem, wanted.mem),
        (ResourceKind::Disk, wanted.disk),
        (ResourceKind::Gpus, wanted.gpus),
    ];
    let mut amounts = wanted.iter().map(|(kind, wanted)| (kind, amount(kind), wanted));
    let (kind, amount, wanted) = amounts.find(|(_, amount, wanted)| amount != *wanted)?;
    Some(format!("{amount} {kind} instead of {wanted}"))
}

/// A port of the agent that the definition names and the launch does not take, or too few or too many of them.
fn port(launch: &LaunchGroup, spec: &PodSpec) -> Option<String> {
    let ranges = launch.executor.resources.iter().filter_map(|resource| match &resource.value {
        ResourceValue::Ranges(ranges) => Some(ranges),
        ResourceValue::Scalar(_) | ResourceValue::Set(_) => None,
    });
    let ports: Vec<u64> = ranges.flatten().flat_map(|range| range.begin..=range.end).collect();
    let wanted = || spec.containers.iter().flat_map(|it| &it.endpoints).filter_map(|it| it.host_port);
    if ports.len() != wanted().count() {
        return Some(format!("{} ports instead of {}", ports.len(), wanted().count()));
    }
    let missing = wanted().find(|port| *port != 0 && !ports.contains(&u64::from(*port)))?;
    Some(format!("other ports: port {missing} is missing"))
}

/// Whether `command` is what `container` runs.
fn is_command(command: Option<&CommandInfo>, container: &Container) -> bool {
    let Some(command) = command else { return false };
    let keeps_entrypoint =
        |exec: &pod::Exec| exec.override_entrypoint == Some(false) && container.image.is_some();
    match &container.exec {
        None => is_image_entrypoint(command) && command.arguments.is_empty(),
        Some(exec) if keeps_entrypoint(exec) => match &exec.command {
            pod::Command::Argv(argv) => is_image_entrypoint(command) && command.arguments == *argv,
            shell @ pod::Command::Shell(_) => runs(command, shell),
        },
        Some(exec) => runs(command, &exec.command),
    }
}

fn is_image_entrypoint(command: &CommandInfo) -> bool {
    !command.shell && command.value.is_none()
}

/// Whether `command` runs `wanted`.
fn runs(command: &CommandInfo, wanted: &pod::Command) -> bool {
    match wanted {
        pod::Command::Shell(line) if line.is_empty() => is_image_entrypoint(command),
        pod::Command::Shell(line) => command.shell && command.value.as_ref() == Some(line),
        pod::Command::Argv(argv) => {
            !command.shell && command.value.as_ref() == argv.first() && command.arguments == *argv
        }
    }
}

/// Whether `check` is the health check of `container`. Which port an endpoint has is the cluster's business: containers
/// whose checks look at the wrong one do not become healthy.
fn is_check(check: Option<&HealthCheck>, container: &Container) -> bool {
    let (Some(check), Some(wanted)) = (check, &container.health_check) else {
        return check.is_none() && container.health_check.is_none();
    };
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    let is_probe = match (&check.probe, &wanted.probe) {
        (Some(Probe::Command(info)), pod::Probe::Exec { command }) => runs(info, command),
        (Some(Probe::Http { path, .. }), pod::Probe::Http { path: wanted, .. }) => path == wanted,
        (Some(Probe::Tcp { .. }), pod::Probe::Tcp { .. }) => true,
        _ => false,
    };
    is_probe
        && check.consecutive_failures == wanted.max_consecutive_failures
        && check.grace_period == seconds(wanted.grace_period_seconds)
        && check.interval == seconds(wanted.interval_seconds)
        && check.timeout == seconds(wanted.timeout_seconds)
        && check.delay == seconds(wanted.delay_seconds)
}
