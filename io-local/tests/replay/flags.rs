//! The cluster of a recording, from the flags of its processes.

use std::sync::Arc;
use std::time::Duration;

use podium_core::model::ids::Role;
use podium_core::model::mesos::{
    Attribute, AttributeValue, FaultDomain, PortRange, Reservation, ReservationType, Resource, ResourceKind,
    ResourceValue,
};
use podium_core::model::number::Scalar;
use podium_sim::cluster::{AgentConfig, ClusterConfig, Latency};
use serde_json::Value as Json;

use crate::recording::Recording;

/// Flags that change nothing that a scheduler sees of the model.
const NO_EFFECT: [&str; 20] = [
    "registry",
    "isolation",
    "launcher",
    "containerizers",
    "recover",
    "quorum",
    "zk",
    "cgroups_root",
    "enforce_container_disk_quota",
    "container_disk_watch_interval",
    "authenticate_http_frameworks",
    "http_framework_authenticators",
    "authenticate_http_readonly",
    "authenticate_http_readwrite",
    "credentials",
    "ip",
    "port",
    "work_dir",
    "log_dir",
    "hostname",
];

/// The cluster and the names of the agents' processes, in the same order as its machines.
pub(crate) fn cluster(recording: &Recording, remarks: &mut Vec<String>) -> (ClusterConfig, Vec<String>) {
    let mut config = ClusterConfig::default();
    config.master.port = recording.master_port;
    // Registrations are as quick as can be: their real delays are chance.
    config.agent.registration_backoff = Duration::from_millis(10);
    config.links.master_agent = Latency::millis(2, 2);
    config.links.agent_executor = Latency::millis(1, 1);
    let mut names = Vec::new();
    for (process, flags) in &recording.processes {
        let agent = process.starts_with("agent");
        let port = recording.master_port.saturating_add(number(process).unwrap_or(1));
        if agent && !is_there(recording, process, port) {
            continue;
        }
        let mut machine = AgentConfig::new("127.0.0.1", 1.0, 1024.0, 1024.0);
        for flag in flags {
            let flag = flag.trim_start_matches("--");
            let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
            let known = if agent {
                agent_flag(&mut config, &mut machine, name, value)
            } else {
                master_flag(&mut config, name, value)
            };
            if known.is_none() && !NO_EFFECT.contains(&name) {
                remarks.push(format!("flag --{flag} of {process} is not understood"));
            }
        }
        if agent {
            machine.port = port;
            config.agents.push(machine);
            names.push(process.clone());
        }
    }
    (config, names)
}

/// Whether a machine belongs to the process. One that is started later under the number of another is that one
/// with a new work directory; one that was never offered was lost before the recording began.
fn is_there(recording: &Recording, process: &str, port: u16) -> bool {
    let same_number = |other: &&String| *other != process && number(other) == number(process);
    if recording.starts_later(process) && recording.processes.keys().any(|other| same_number(&other)) {
        return false;
    }
    let mut offered =
        recording.events.iter().flat_map(|event| &event.ports).map(|(_, port)| *port).peekable();
    let agents = recording.processes.keys().filter(|process| process.starts_with("agent")).count();
    agents == 1 || offered.peek().is_none() || offered.any(|offered| offered == port)
}

/// The number in a process' name.
pub(crate) fn number(process: &str) -> Option<u16> {
    process.split('-').nth(1)?.parse().ok()
}

fn master_flag(config: &mut ClusterConfig, name: &str, value: &str) -> Option<()> {
    let master = &mut config.master;
    match name {
        "allocation_interval" => master.allocation_interval = duration(value)?,
        "agent_ping_timeout" => master.agent_ping_timeout = duration(value)?,
        "max_agent_ping_timeouts" => master.max_agent_ping_timeouts = value.parse().ok()?,
        "agent_reregister_timeout" => master.agent_reregister_timeout = duration(value)?,
        "offer_timeout" => master.offer_timeout = Some(duration(value)?),
        "registry_gc_interval" => master.registry_gc_interval = duration(value)?,
        "registry_max_agent_age" => master.registry_max_agent_age = duration(value)?,
        "domain" => master.domain = Some(domain(value)?),
        "acls" => {
            let acls: Json = serde_json::from_str(value).ok()?;
            master.permitted_roles = permitted(&acls["register_frameworks"], "roles")
                .map(|roles| roles.iter().map(|role| Role::from(role.as_str())).collect());
            master.permitted_users = permitted(&acls["run_tasks"], "users");
        }
        _ => return None,
    }
    Some(())
}

fn agent_flag(config: &mut ClusterConfig, machine: &mut AgentConfig, name: &str, value: &str) -> Option<()> {
    let flags = &mut config.agent;
    match name {
        "resources" => machine.resources = value.split(';').map(resource).collect::<Option<_>>()?,
        "attributes" => machine.attributes = value.split(';').map(attribute).collect::<Option<_>>()?,
        "domain" => machine.domain = Some(domain(value)?),
        "executor_registration_timeout" => flags.executor_registration_timeout = duration(value)?,
        "executor_reregistration_timeout" => flags.executor_reregistration_timeout = duration(value)?,
        "executor_shutdown_grace_period" => flags.executor_shutdown_grace_period = duration(value)?,
        "registration_backoff_factor" => flags.registration_backoff = duration(value)?,
        "recovery_timeout" => flags.recovery_timeout = duration(value)?,
        _ => return None,
    }
    Some(())
}

/// What anybody is permitted: the values of the first entry that names some.
fn permitted(rules: &Json, what: &str) -> Option<Vec<String>> {
    let values = rules.as_array()?.iter().find_map(|rule| rule[what]["values"].as_array())?;
    Some(values.iter().filter_map(Json::as_str).map(ToOwned::to_owned).collect())
}

/// `10secs`.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (amount, unit) = text.split_at(digits);
    let seconds = match unit {
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "secs" => 1.0,
        "mins" => 60.0,
        "hrs" => 3600.0,
        "days" => 86_400.0,
        "weeks" => 604_800.0,
        _ => return None,
    };
    Some(Duration::from_secs_f64(amount.parse::<f64>().ok()? * seconds))
}

fn domain(text: &str) -> Option<FaultDomain> {
    let json: Json = serde_json::from_str(text).ok()?;
    let name = |part: &str| Some(json["fault_domain"][part]["name"].as_str()?.to_owned());
    Some(FaultDomain { region: name("region")?, zone: name("zone")? })
}

/// `cpus(role):2` or `ports:[31000-31099,31500-31599]`.
fn resource(text: &str) -> Option<Resource> {
    let (name, value) = text.split_once(':')?;
    let (name, role) = match name.split_once('(') {
        Some((name, role)) => (name, Some(role.trim_end_matches(')'))),
        None => (name, None),
    };
    let value = if value.starts_with('[') {
        ResourceValue::Ranges(ranges(value)?)
    } else {
        ResourceValue::Scalar(Scalar::from_f64(value.parse().ok()?))
    };
    let mut resource = Resource::new(ResourceKind::from(name), value);
    if let Some(role) = role.filter(|role| *role != "*") {
        resource.reservations = Arc::from([Reservation {
            kind: ReservationType::Static,
            role: Role::from(role),
            principal: None,
            labels: Vec::new(),
        }]);
    }
    Some(resource)
}

/// `rack:r1`, `n:1` or `slots:[1-3,7-9]`.
fn attribute(text: &str) -> Option<Attribute> {
    let (name, value) = text.split_once(':')?;
    let value = if value.starts_with('[') {
        AttributeValue::Ranges(ranges(value)?)
    } else if let Ok(amount) = value.parse() {
        AttributeValue::Scalar(Scalar::from_f64(amount))
    } else {
        AttributeValue::Text(value.to_owned())
    };
    Some(Attribute { name: name.to_owned(), value })
}

/// `[1-3,7-9]`.
fn ranges(text: &str) -> Option<Vec<PortRange>> {
    let text = text.strip_prefix('[')?.strip_suffix(']')?;
    let range = |text: &str| {
        let (begin, end) = text.split_once('-')?;
        Some(PortRange { begin: begin.trim().parse().ok()?, end: end.trim().parse().ok()? })
    };
    text.split(',').map(range).collect()
}
