//! Containers (Pods page, "Basic pod container fields" and "Additional pod container fields").

use serde_json::Value;

use super::{MAX_AMOUNT, MAX_INT, MAX_SECONDS, environment, name, non_empty};
use crate::admission::reader::{At, Fields, boolean, quote, string};
use crate::model::mesos::{ImageKind, IpcMode};
use crate::model::number::Number;
use crate::model::pod::{
    Artifact, Command, Container, ContainerLinuxInfo, Endpoint, Exec, HealthCheck, HttpScheme, Image,
    IpcInfo, Lifecycle, Probe, PullConfig, ResourceLimit, ResourceLimits, Resources, Seccomp, Unlimited,
    VolumeMount,
};

pub(super) fn container(at: At<'_>) -> Container {
    at.object(|fields| Container {
        name: fields.required("name", name),
        exec: fields.optional("exec", |at| at.object(exec)),
        resources: fields.required("resources", |at| at.object(resources)),
        resource_limits: fields.optional("resourceLimits", |at| at.object(resource_limits)),
        endpoints: fields.list("endpoints", |at| at.object(endpoint)),
        image: fields.optional("image", |at| at.object(image)),
        environment: environment(fields),
        user: fields.optional("user", string),
        health_check: fields.optional("healthCheck", |at| at.object(health_check)),
        volume_mounts: fields.list("volumeMounts", |at| at.object(volume_mount)),
        artifacts: fields.list("artifacts", |at| at.object(artifact)),
        labels: fields.strings("labels"),
        lifecycle: fields.optional("lifecycle", |at| at.object(lifecycle)),
        linux_info: fields.optional("linuxInfo", |at| at.object(linux_info)),
        tty: fields.optional("tty", boolean),
    })
}

fn exec(fields: &mut Fields<'_>) -> Exec {
    Exec {
        command: fields.required("command", |at| at.object(command)),
        override_entrypoint: fields.optional("overrideEntrypoint", boolean),
    }
}

/// `{shell}` or `{argv}`; with both, `shell` counts and `argv` is noted as unknown.
fn command(fields: &mut Fields<'_>) -> Command {
    if let Some(shell) = fields.optional("shell", string) {
        return Command::Shell(shell);
    }
    let argv = fields.optional("argv", |at| at.filled_list(string));
    Command::Argv(argv.unwrap_or_else(|| {
        fields.unreadable("error.path.missing: one of shell and argv is required");
        Vec::new()
    }))
}

fn resources(fields: &mut Fields<'_>) -> Resources {
    Resources {
        cpus: fields.or("cpus", Number(1.0), |at| at.number(0.001..=MAX_AMOUNT)),
        mem: fields.or("mem", Number(128.0), |at| at.number(0.001..=MAX_AMOUNT)),
        // The page's table says 128, but its sample response fills in 0, as does Marathon.
        disk: fields.or("disk", Number(0.0), |at| at.number(0.0..=MAX_AMOUNT)),
        gpus: fields.or("gpus", 0, |at| at.integer(0..=MAX_INT)),
    }
}

fn resource_limits(fields: &mut Fields<'_>) -> ResourceLimits {
    ResourceLimits {
        cpus: fields.optional("cpus", resource_limit),
        mem: fields.optional("mem", resource_limit),
    }
}

fn resource_limit(at: At<'_>) -> ResourceLimit {
    let Value::String(word) = at.value else {
        return ResourceLimit::Amount(at.number(0.0..=MAX_AMOUNT));
    };
    if word != "unlimited" {
        let word = quote(word);
        at.violation(format!("{word} is an invalid resource limit. It must be 'unlimited' or a number"));
    }
    ResourceLimit::Unlimited(Unlimited::Unlimited)
}

fn endpoint(fields: &mut Fields<'_>) -> Endpoint {
    let mut network_names = fields.list("networkNames", string);
    let mut seen = rustc_hash::FxHashSet::default();
    network_names.retain(|name| seen.insert(name.clone()));
    Endpoint {
        name: fields.required("name", name),
        container_port: fields.optional("containerPort", |at| at.integer(1..=i64::from(u16::MAX))),
        host_port: fields.optional("hostPort", |at| at.integer(0..=i64::from(u16::MAX))),
        protocol: fields.or("protocol", Vec::new(), |at| at.filled_list(string)),
        labels: fields.strings("labels"),
        network_names,
    }
}

fn image(fields: &mut Fields<'_>) -> Image {
    Image {
        kind: fields
            .required("kind", |at| at.choice(&[("DOCKER", ImageKind::Docker), ("APPC", ImageKind::Appc)])),
        id: fields.required("id", |at| at.text(1..=1024)),
        pull_config: fields.optional("pullConfig", |at| {
            at.object(|fields| PullConfig { secret: fields.required("secret", non_empty) })
        }),
        force_pull: fields.optional("forcePull", boolean),
        labels: fields.strings("labels"),
    }
}

fn health_check(fields: &mut Fields<'_>) -> HealthCheck {
    let probes = [
        fields.optional("http", |at| at.object(http_probe)),
        fields.optional("tcp", |at| {
            at.object(|fields| Probe::Tcp { endpoint: fields.required("endpoint", name) })
        }),
        fields.optional("exec", |at| {
            at.object(|fields| Probe::Exec {
                command: fields.required("command", |at| at.object(probe_command)),
            })
        }),
    ];
    let mut probes = probes.into_iter().flatten();
    let probe = probes.next();
    if probe.is_none() || probes.next().is_some() {
        fields.violation("Only one of http, tcp, or exec may be specified, and one must be");
    }
    let seconds = |at: At<'_>| at.integer(0..=MAX_INT);
    HealthCheck {
        probe: probe.unwrap_or(Probe::Tcp { endpoint: String::new() }),
        grace_period_seconds: fields.or("gracePeriodSeconds", 300, seconds),
        interval_seconds: fields.or("intervalSeconds", 60, seconds),
        max_consecutive_failures: fields.or("maxConsecutiveFailures", 3, seconds),
        timeout_seconds: fields.or("timeoutSeconds", 20, seconds),
        delay_seconds: fields.or("delaySeconds", 2, seconds),
    }
}

/// The command of a health check: there is no entry point that an empty one could stand for, and the master refuses every
/// launch with it.
fn probe_command(fields: &mut Fields<'_>) -> Command {
    let command = command(fields);
    if command == Command::Shell(String::new()) {
        fields.violation_of("shell", "must not be empty");
    }
    command
}

fn http_probe(fields: &mut Fields<'_>) -> Probe {
    Probe::Http {
        endpoint: fields.required("endpoint", name),
        path: fields.optional("path", |at| at.text(1..=1024)),
        scheme: fields.or("scheme", HttpScheme::Http, |at| {
            at.choice(&[("HTTP", HttpScheme::Http), ("HTTPS", HttpScheme::Https)])
        }),
    }
}

fn volume_mount(fields: &mut Fields<'_>) -> VolumeMount {
    VolumeMount {
        name: fields.required("name", name),
        mount_path: fields.required("mountPath", |at| at.text(1..=1024)),
        read_only: fields.or("readOnly", false, boolean),
    }
}

fn artifact(fields: &mut Fields<'_>) -> Artifact {
    Artifact {
        uri: fields.required("uri", |at| at.text(1..=1024)),
        extract: fields.or("extract", true, boolean),
        executable: fields.or("executable", false, boolean),
        cache: fields.or("cache", false, boolean),
        dest_path: fields.optional("destPath", |at| at.text(1..=1024)),
    }
}

fn lifecycle(fields: &mut Fields<'_>) -> Lifecycle {
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    Lifecycle {
        kill_grace_period_seconds: fields
            .optional("killGracePeriodSeconds", |at| at.number(0.0..=MAX_SECONDS as f64)),
    }
}

fn linux_info(fields: &mut Fields<'_>) -> ContainerLinuxInfo {
    ContainerLinuxInfo {
        seccomp: fields.optional("seccomp", |at| {
            at.object(|fields| Seccomp {
                profile_name: fields.optional("profileName", string),
                unconfined: fields.or("unconfined", false, boolean),
            })
        }),
        ipc_info: fields.optional("ipcInfo", |at| at.object(ipc_info)),
    }
}

pub(super) fn ipc_info(fields: &mut Fields<'_>) -> IpcInfo {
    IpcInfo {
        mode: fields.required("mode", |at| {
            at.choice(&[("PRIVATE", IpcMode::Private), ("SHARE_PARENT", IpcMode::ShareParent)])
        }),
        shm_size: fields.optional("shmSize", |at| at.integer(0..=MAX_INT)),
    }
}
