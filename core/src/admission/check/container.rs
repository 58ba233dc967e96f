//! The rules for containers.

use std::collections::BTreeSet;

use super::{Context, SECRETS_OFF, environment, ipc_info, listed};
use crate::admission::reader::quote;
use crate::admission::report::Report;
use crate::model::number::Number;
use crate::model::pod::{Container, Endpoint, HealthCheck, PodSpec, Probe, ResourceLimit, Seccomp};

/// `path` is the container's.
pub(super) fn container(path: &str, container: &Container, context: &Context<'_>, report: &mut Report) {
    if container.user.as_deref() == Some("") {
        report.violation(format_args!("{path}/user"), "must not be empty");
    }
    limits(path, container, context.pod, report);
    pull_config(path, container, context, report);
    environment(path, &container.environment, context, report);
    for (mount, volume) in container.volume_mounts.iter().map(|mount| &mount.name).enumerate() {
        if !context.volumes.contains(volume.as_str()) {
            report.violation(
                format_args!("{path}/volumeMounts({mount})/name"),
                format!(
                    "Referenced Volume in VolumeMount should exist, the pod has no volume {}",
                    quote(volume)
                ),
            );
        }
    }
    if let Some(info) = &container.linux_info {
        if let Some(profile) = &info.seccomp {
            seccomp(path, profile, report);
        }
        if let Some(info) = &info.ipc_info {
            ipc_info(&format!("{path}/linuxInfo"), info, report);
        }
    }
    for (index, one) in container.endpoints.iter().enumerate() {
        endpoint(&format!("{path}/endpoints({index})"), one, context, report);
    }
    if let Some(check) = &container.health_check {
        health_check(&format!("{path}/healthCheck"), check, container, report);
    }
}

fn limits(path: &str, container: &Container, pod: &PodSpec, report: &mut Report) {
    let Some(limits) = &container.resource_limits else { return };
    let mut not_below = |kind: &str, request: Number, limit: Option<ResourceLimit>| {
        if let Some(ResourceLimit::Amount(limit)) = limit
            && limit < request
        {
            report.violation(
                format_args!("{path}/resourceLimits/{kind}"),
                format!("resource limit must be greater than or equal to requested resource ({request}), got {limit}"),
            );
        }
    };
    not_below("cpus", container.resources.cpus, limits.cpus);
    not_below("mem", container.resources.mem, limits.mem);
    if pod.legacy_shared_cgroups == Some(true) {
        report.violation(
            format_args!("{path}/resourceLimits"),
            "resourceLimits cannot be defined if legacySharedCgroups is enabled",
        );
    }
}

fn pull_config(path: &str, container: &Container, context: &Context<'_>, report: &mut Report) {
    let Some(config) = container.image.as_ref().and_then(|image| image.pull_config.as_ref()) else { return };
    let path = format!("{path}/image/pullConfig");
    if !context.rules.secrets {
        report.violation(&path, "must be empty");
        report.violation(&path, SECRETS_OFF);
    }
    if !context.pod.secrets.contains_key(&config.secret) {
        report.violation(&path, "pullConfig.secret must refer to an existing secret");
    }
}

fn seccomp(path: &str, profile: &Seccomp, report: &mut Report) {
    let error = match (&profile.profile_name, profile.unconfined) {
        (Some(_), true) => "Seccomp unconfined can NOT be true when Profile is defined",
        (None, false) => "Seccomp unconfined must be true when Profile is NOT defined",
        _ => return,
    };
    report.violation(format_args!("{path}/linuxInfo/seccomp"), error);
}

fn endpoint(path: &str, endpoint: &Endpoint, context: &Context<'_>, report: &mut Report) {
    for (index, name) in endpoint.network_names.iter().enumerate() {
        if !context.networks.contains(name.as_str()) {
            report.violation(
                format_args!("{path}/networkNames({index})"),
                format!("is not one of ({}), got {}", listed(context.networks.iter()), quote(name)),
            );
        }
    }
    let port_error = match endpoint.container_port {
        Some(_) if context.host_networks > 0 => {
            "is not allowed when using host-mode networking, the container listens on the host port"
        }
        None if context.container_networks > 0 => "is required when using container-mode networking",
        None if context.bridge_networks > 0 => "is required when using bridge-mode networking",
        _ => "",
    };
    if !port_error.is_empty() {
        report.violation(format_args!("{path}/containerPort"), port_error);
    }
    if endpoint.protocol.iter().collect::<BTreeSet<_>>().len() < endpoint.protocol.len() {
        report.violation(
            format_args!("{path}/protocol"),
            "Duplicate protocols within the same endpoint are not allowed",
        );
    }
    if context.container_networks > 1 && endpoint.host_port.is_some() && endpoint.network_names.len() != 1 {
        report.violation(
            path,
            "networkNames must be a single item list when hostPort is specified and more than 1 container network \
             is defined",
        );
    }
}

fn health_check(path: &str, check: &HealthCheck, container: &Container, report: &mut Report) {
    if check.timeout_seconds >= check.interval_seconds {
        report.violation(
            format_args!("{path}/timeoutSeconds"),
            format!(
                "got {}, expected less than {}, which is intervalSeconds",
                check.timeout_seconds, check.interval_seconds
            ),
        );
    }
    let (kind, endpoint) = match &check.probe {
        Probe::Http { endpoint, path: page, .. } => {
            // The master refuses such a task.
            if page.as_ref().is_some_and(|page| !page.starts_with('/')) {
                report.violation(format_args!("{path}/http/path"), "must begin with /");
            }
            ("http", endpoint)
        }
        Probe::Tcp { endpoint } => ("tcp", endpoint),
        Probe::Exec { .. } => return,
    };
    // An empty name stands for a check that names no endpoint at all, which has been reported.
    if !endpoint.is_empty() && !container.endpoints.iter().any(|known| known.name == *endpoint) {
        report.violation(
            format_args!("{path}/{kind}/endpoint"),
            format!("must be contained in the container endpoints, {} is not", quote(endpoint)),
        );
    }
}
