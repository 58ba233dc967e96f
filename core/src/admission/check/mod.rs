//! The rules that a complete definition must keep. Every function goes on after a violation.
//!
//! Texts are Marathon's where it has the rule, without its slips, and often with the value that is at fault.

mod container;
mod resident;
mod scheduling;

use std::collections::{BTreeMap, BTreeSet};

use self::container::container;
pub use self::resident::check_residents;
use self::scheduling::scheduling;
use super::Rules;
use super::reader::quote;
use super::report::{Rejection, Report};
use crate::model::mesos::IpcMode;
use crate::model::pod::{EnvironmentValue, IpcInfo, NetworkMode, PodSpec, VolumeKind};

/// What is said of everything that needs the feature.
const SECRETS_OFF: &str = "Feature secrets is not enabled. Enable with --enable_features secrets";

/// What the rules for parts look up again and again.
struct Context<'a> {
    pod: &'a PodSpec,
    rules: &'a Rules,
    volumes: BTreeSet<&'a str>,
    /// The names of its networks.
    networks: BTreeSet<&'a str>,
    host_networks: usize,
    bridge_networks: usize,
    container_networks: usize,
}

impl<'a> Context<'a> {
    fn new(pod: &'a PodSpec, rules: &'a Rules) -> Self {
        let count = |mode| pod.networks.iter().filter(|network| network.mode == mode).count();
        Self {
            pod,
            rules,
            volumes: pod.volumes.iter().map(|volume| volume.name.as_str()).collect(),
            networks: pod.networks.iter().filter_map(|network| network.name.as_deref()).collect(),
            host_networks: count(NetworkMode::Host),
            bridge_networks: count(NetworkMode::ContainerBridge),
            container_networks: count(NetworkMode::Container),
        }
    }
}

pub(super) fn pod(pod: &PodSpec, rules: &Rules, role_given: bool, report: &mut Report) {
    let context = Context::new(pod, rules);
    if pod.user.as_deref() == Some("") {
        report.violation("/user", "must not be empty");
    }
    environment("", &pod.environment, &context, report);
    secrets(&context, report);
    volumes(&context, report);
    networks(&context, report);
    if let Some(maximum) = pod.scaling.max_instances.filter(|maximum| pod.scaling.instances > *maximum) {
        report.violation(
            "/scaling/instances",
            format!("got {}, expected {maximum} or less, which is maxInstances", pod.scaling.instances),
        );
    }
    if let Some(info) = pod.linux_info.as_ref().and_then(|info| info.ipc_info.as_ref()) {
        ipc_info("/linuxInfo", info, report);
    }
    uniqueness(pod, report);
    for (index, one) in pod.containers.iter().enumerate() {
        container(&format!("/containers({index})"), one, &context, report);
    }
    scheduling(pod, report);
    // A group may still replace a role that was not given.
    if role_given || pod.id.segments().count() < 2 {
        role(pod, report);
    }
}

/// Checks what depends on the pod's final role: to be repeated when a group has decided it.
///
/// # Errors
/// The definition accepts roles other than its own and `*`, or has persistent volumes without a role of its own.
pub fn check_role(pod: &PodSpec) -> Result<(), Rejection> {
    let mut report = Report::default();
    role(pod, &mut report);
    if report.is_clean() { Ok(()) } else { Err(report.into_rejection()) }
}

fn role(pod: &PodSpec, report: &mut Report) {
    if pod.is_resident() && pod.role.as_str() == "*" {
        report.violation("/role", "Resident pods cannot have the role *");
    }
    scheduling::accepted_resource_roles(pod, report);
}

/// `path` is that of the pod or the container that has the environment.
fn environment(
    path: &str,
    environment: &BTreeMap<String, EnvironmentValue>,
    context: &Context<'_>,
    report: &mut Report,
) {
    let mut references = false;
    for (name, value) in environment {
        let EnvironmentValue::Secret { secret } = value else { continue };
        references = true;
        if !context.pod.secrets.contains_key(secret) {
            report.violation(
                format_args!("{path}/environment/{name}/secret"),
                format!("references an undefined secret, the pod's secrets lack {}", quote(secret)),
            );
        }
    }
    if references && !context.rules.secrets {
        report.violation(
            format_args!("{path}/environment"),
            "use of secret-references in the environment requires the secrets feature to be enabled",
        );
        report.violation(format_args!("{path}/environment"), SECRETS_OFF);
    }
}

fn secrets(Context { pod, rules, .. }: &Context<'_>, report: &mut Report) {
    if !rules.secrets && !pod.secrets.is_empty() {
        report.violation("/secrets", "must be empty");
        report.violation("/secrets", SECRETS_OFF);
    }
    if pod.secrets.contains_key("") {
        report.violation("/secrets", "names must not be empty");
    }
}

fn volumes(Context { pod, rules, .. }: &Context<'_>, report: &mut Report) {
    let mounted: BTreeSet<&str> = pod
        .containers
        .iter()
        .flat_map(|container| &container.volume_mounts)
        .map(|mount| mount.name.as_str())
        .collect();
    for (index, volume) in pod.volumes.iter().enumerate() {
        if !mounted.contains(volume.name.as_str()) {
            report.violation(
                format_args!("/volumes({index})"),
                "volume must be referenced by at least one container",
            );
        }
        if let VolumeKind::Persistent { persistent } = &volume.kind {
            resident::volume(&format!("/volumes({index})"), &volume.name, persistent, report);
        }
        if let VolumeKind::Secret { secret } = &volume.kind {
            let path = format!("/volumes({index})/secret");
            if !rules.secrets {
                report.violation(&path, SECRETS_OFF);
            }
            if !pod.secrets.contains_key(secret) {
                report.violation(&path, "volume.secret must refer to an existing secret");
            }
        }
    }
    unique("/volumes", "volume names must be unique", pod.volumes.iter().map(|volume| &volume.name), report);
}

/// The first broken rule only: each presumes the ones before it.
fn networks(context: &Context<'_>, report: &mut Report) {
    let of = |mode| context.pod.networks.iter().filter(move |network| network.mode == mode);
    let mut names: Vec<_> = of(NetworkMode::Container).map(|network| network.name.as_deref()).collect();
    names.sort_unstable();
    let kinds = (context.host_networks, context.bridge_networks, context.container_networks);
    let error = if of(NetworkMode::Host).any(|network| network.name.is_some() || !network.labels.is_empty()) {
        "Host networks may not have names or labels"
    } else if of(NetworkMode::ContainerBridge).any(|network| network.name.is_some()) {
        "Bridge networks may not have names"
    } else if names.windows(2).any(|pair| pair[0] == pair[1]) {
        "Duplicate networks are not allowed"
    } else if !matches!(kinds, (0 | 1, 0, 0) | (0, 1, 0) | (0, 0, _)) {
        "May specify a single host network, single bridge network, or else 1-to-n container networks"
    } else if names.first() == Some(&None) {
        "Network name must be specified when container network is selected. The daemon has no \
         --default_network_name."
    } else {
        return;
    };
    report.violation("/networks", error);
}

fn ipc_info(path: &str, info: &IpcInfo, report: &mut Report) {
    if info.mode == IpcMode::ShareParent && info.shm_size.is_some() {
        report.violation(
            format_args!("{path}/ipcInfo"),
            "ipcInfo shmSize can NOT be set when mode is SHARE_PARENT",
        );
    }
}

/// What must differ across all containers, which share one network namespace.
fn uniqueness(pod: &PodSpec, report: &mut Report) {
    let endpoints = || pod.containers.iter().flat_map(|container| &container.endpoints);
    unique(
        "/containers",
        "container names must be unique",
        pod.containers.iter().map(|one| &one.name),
        report,
    );
    unique(
        "/",
        "endpoint names must be unique across all containers",
        endpoints().map(|one| &one.name),
        report,
    );
    let ports = endpoints().filter_map(|endpoint| endpoint.container_port);
    unique("/", "container ports must be unique across all containers", ports, report);
    let ports = endpoints().filter_map(|endpoint| endpoint.host_port).filter(|port| *port != 0);
    unique("/", "host ports must be unique across all containers", ports, report);
}

fn unique<T: Ord + std::fmt::Display>(
    path: &str,
    rule: &str,
    values: impl Iterator<Item = T>,
    report: &mut Report,
) {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    let mut repeated: Vec<&T> =
        values.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| &pair[0]).collect();
    repeated.dedup();
    if !repeated.is_empty() {
        report.violation(path, format!("{rule}: {} appears more than once", listed(repeated.into_iter())));
    }
}

/// The first few of the values, for an error.
fn listed(values: impl Iterator<Item = impl std::fmt::Display>) -> String {
    let mut values = values.peekable();
    let first: Vec<_> = values.by_ref().take(10).map(|value| value.to_string()).collect();
    first.join(", ") + if values.peek().is_some() { ", …" } else { "" }
}
