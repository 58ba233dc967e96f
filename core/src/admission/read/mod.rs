//! From JSON to a [`PodSpec`]: what a pod definition may contain, and what its absent parts mean.
//!
//! One function per object of the schema, top down. Where a limit or default is not the Pods page's, it is
//! Marathon 1.11's (`docs/compatibility.md` lists the exceptions).

mod container;
mod scheduling;
mod volume;

use std::collections::BTreeMap;

use serde_json::Value;

use self::container::{container, ipc_info};
use self::scheduling::{executor_resources, scaling, scheduling};
use self::volume::{network, volume};
use super::id::{self, Form};
use super::reader::{At, Fields, boolean, echo, quote, string};
use super::report::Report;
use super::{Rules, normalise};
use crate::model::ids::{PodId, Role};
use crate::model::pod::{EnvironmentValue, PodLinuxInfo, PodSpec, SecretSource, VolumeKind};
use crate::model::time::Timestamp;

/// The largest amount of a resource: what Mesos can still account to the thousandth, many times over.
const MAX_AMOUNT: f64 = 1e12;

/// The longest duration in seconds: the nanoseconds of it fit into 64 bits, some 292 years.
const MAX_SECONDS: i64 = 9_223_372_036;

/// The largest whole number of a field that Marathon and Mesos keep in 32 bits.
const MAX_INT: i64 = 0x7fff_ffff;

/// What was read; meaningless if the report is not clean.
pub(super) struct Read {
    pub(super) pod: PodSpec,
    pub(super) role_given: bool,
}

pub(super) fn document(json: &Value, rules: &Rules, report: &mut Report) -> Read {
    At::document(json, report).object(|fields| pod(fields, rules))
}

fn pod(fields: &mut Fields<'_>, rules: &Rules) -> Read {
    // Informative only: the scheduler gives every accepted definition its version.
    let _: Option<()> = fields.optional("version", |at| {
        let text = at.value.as_str().unwrap_or_default();
        if text.parse::<Timestamp>().is_err() {
            let found = echo(at.value);
            at.unreadable(format!(
                "error.expected.date.isoformat: got {found}, expected e.g. 2017-01-03T18:21:19.31Z"
            ));
        }
    });
    let volumes = fields.list("volumes", volume);
    let resident = volumes.iter().any(|volume| matches!(volume.kind, VolumeKind::Persistent { .. }));
    let role = fields.optional("role", |at| Role::new(at.text(1..=usize::MAX)));
    let role_given = role.is_some();
    let mut pod = PodSpec {
        id: fields.required("id", pod_id),
        version: Timestamp::EPOCH,
        labels: fields.strings("labels"),
        user: fields.optional("user", string),
        environment: environment(fields),
        containers: fields.required("containers", |at| at.filled_list(container)),
        secrets: fields.or("secrets", BTreeMap::new(), |at| at.map(|_, at| at.object(secret))),
        volumes,
        networks: fields.list("networks", network),
        scaling: fields.section("scaling", scaling),
        scheduling: fields.section("scheduling", |at| scheduling(at, resident)),
        executor_resources: fields.section("executorResources", executor_resources),
        role: role.unwrap_or_else(|| rules.mesos_role.clone()),
        linux_info: fields.optional("linuxInfo", |at| at.object(pod_linux_info)),
        legacy_shared_cgroups: fields.optional("legacySharedCgroups", boolean).filter(|given| *given),
    };
    normalise(&mut pod, rules);
    Read { pod, role_given }
}

fn pod_id(at: At<'_>) -> PodId {
    let Value::String(text) = at.value else {
        return PodId::new(string(at));
    };
    match id::canonical(text, Form::Absolute) {
        Ok(id) => id,
        Err(error) => {
            at.violation(error);
            PodId::new("/")
        }
    }
}

/// The field `environment` of a pod or a container (Pods page, "Additional pod fields").
fn environment(fields: &mut Fields<'_>) -> BTreeMap<String, EnvironmentValue> {
    fields.or("environment", BTreeMap::new(), |at| at.map(environment_variable))
}

fn environment_variable(name: &str, at: At<'_>) -> EnvironmentValue {
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if !starts_well
        || name.len() > 254
        || !name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
    {
        at.unreadable(format!(
            "error.pattern: {} is no name of an environment variable, expected up to 254 letters, digits and \
             underscores that do not begin with a digit",
            quote(name)
        ));
        return EnvironmentValue::Value(String::new());
    }
    match at.value {
        Value::Object(_) => {
            EnvironmentValue::Secret { secret: at.object(|fields| fields.required("secret", non_empty)) }
        }
        Value::String(text) => EnvironmentValue::Value(text.clone()),
        other => {
            let found = echo(other);
            at.unreadable(format!(
                "error.expected.jsstring: got {found}, expected a string or {{\"secret\": name}}"
            ));
            EnvironmentValue::Value(String::new())
        }
    }
}

fn secret(fields: &mut Fields<'_>) -> SecretSource {
    SecretSource { source: fields.required("source", non_empty) }
}

fn pod_linux_info(fields: &mut Fields<'_>) -> PodLinuxInfo {
    let _: Option<()> = fields.optional("seccomp", |at| {
        at.violation("Seccomp configuration on executor level is not supported, set it for the containers");
    });
    PodLinuxInfo { ipc_info: fields.optional("ipcInfo", |at| at.object(ipc_info)) }
}

fn non_empty(at: At<'_>) -> String {
    at.text(1..=usize::MAX)
}

/// A name as Mesos-DNS can use it (Pods page, "Service name length limitations").
fn name(at: At<'_>) -> String {
    dns_name(at, false)
}

/// A [`name`] that may also contain underscores, as networks' names may.
fn network_name(at: At<'_>) -> String {
    dns_name(at, true)
}

fn dns_name(at: At<'_>, underscores: bool) -> String {
    let Value::String(text) = at.value else {
        return string(at);
    };
    let edge = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit();
    let inner = |char: char| edge(char) || char == '-' || (underscores && char == '_');
    if text.is_empty()
        || text.len() > 63
        || (text.starts_with(edge) && text.ends_with(edge) && text.chars().all(inner))
    {
        return at.text(1..=63);
    }
    let pattern =
        if underscores { "^[a-z0-9]([-a-z0-9_]*[a-z0-9])?$" } else { "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" };
    let mut error = format!("error.pattern: {} does not match {pattern}", quote(text));
    let near: String =
        text.to_ascii_lowercase().chars().map(|char| if inner(char) { char } else { '-' }).collect();
    let near = near.trim_matches(|char| !edge(char));
    if !near.is_empty() {
        error.push_str(&format!(", try {}", quote(near)));
    }
    at.unreadable(error);
    String::new()
}
