//! Environment variables (Marathon's names).
//!
//! What the definition says wins over what is generated, and a container's environment over the pod's: whoever
//! writes `HOST` or `ENDPOINT_WEB` wants the process to see that. (Marathon lets the generated ones win.)

use std::collections::BTreeMap;

use super::Assembly;
use crate::model::ids::TaskId;
use crate::model::mesos::{EnvironmentValue, EnvironmentVariable};
use crate::model::pod::{Container, EnvironmentValue as PodEnvironmentValue, PodSpec};

/// Labels with longer names or values have no variable, so that no environment grows without bound.
const MAX_LABEL_VARIABLE: usize = 512;
const LABEL_PREFIX: &str = "MARATHON_APP_LABEL_";

/// The variables that are equal in all containers of a copy.
pub(super) struct Shared(Vec<(String, EnvironmentValue)>);

impl Shared {
    pub(super) fn new(assembly: &Assembly<'_>) -> Self {
        let launch = assembly.launch;
        let spec = assembly.spec;
        let mut variables = vec![
            ("HOST".to_owned(), text(&*launch.agent.host)),
            (
                "MARATHON_APP_ENFORCE_GROUP_ROLE".to_owned(),
                text(if runs_in_group_role(assembly) { "TRUE" } else { "FALSE" }),
            ),
            ("MARATHON_APP_ID".to_owned(), text(spec.id.as_str())),
            ("MARATHON_APP_VERSION".to_owned(), text(spec.version.to_string())),
            ("MESOS_EXECUTOR_ID".to_owned(), text(launch.instance.executor_id().as_str())),
        ];
        variables.extend(
            endpoint_variables(assembly).into_iter().map(|(name, port)| (name, text(port.to_string()))),
        );
        Self(variables)
    }

    /// The whole environment of `container`, by name, each name once.
    pub(super) fn of(
        &self,
        assembly: &Assembly<'_>,
        container: &Container,
        task_id: &TaskId,
    ) -> Vec<EnvironmentVariable> {
        let mut variables = Variables(Vec::with_capacity(
            self.0.len() + 7 + assembly.spec.environment.len() + container.environment.len(),
        ));
        for (name, value) in &self.0 {
            variables.set(name.as_str(), value.clone());
        }
        variables.set("MARATHON_CONTAINER_ID", text(&*container.name));
        variables.set("MARATHON_CONTAINER_RESOURCE_CPUS", decimal(container.resources.cpus.0));
        variables.set("MARATHON_CONTAINER_RESOURCE_DISK", decimal(container.resources.disk.0));
        variables.set("MARATHON_CONTAINER_RESOURCE_GPUS", text(container.resources.gpus.to_string()));
        variables.set("MARATHON_CONTAINER_RESOURCE_MEM", decimal(container.resources.mem.0));
        variables.set("MESOS_TASK_ID", text(task_id.as_str()));
        set_labels(&mut variables, assembly.spec, container);
        for (name, value) in assembly.spec.environment.iter().chain(&container.environment) {
            let value = match value {
                PodEnvironmentValue::Value(value) => EnvironmentValue::Value(value.clone()),
                PodEnvironmentValue::Secret { secret } => EnvironmentValue::Secret(assembly.secret(secret)),
            };
            variables.set(name.as_str(), value);
        }
        variables.by_name()
    }
}

/// Variables in the order in which they were set: later ones win over earlier ones of the same name. Those that every
/// container has are set by name, for what is nearly sorted is sorted in no time.
struct Variables(Vec<EnvironmentVariable>);

impl Variables {
    fn set(&mut self, name: impl Into<String>, value: EnvironmentValue) {
        self.0.push(EnvironmentVariable { name: name.into(), value });
    }

    /// Each name once, with the value that it was given last.
    fn by_name(mut self) -> Vec<EnvironmentVariable> {
        self.0.sort_by(|a, b| a.name.cmp(&b.name));
        self.0.dedup_by(|later, earlier| {
            let is_same = later.name == earlier.name;
            if is_same {
                std::mem::swap(later, earlier);
            }
            is_same
        });
        self.0
    }
}

/// Whether the copy runs in the role of its top-level group, as it must where the group enforces its role.
fn runs_in_group_role(assembly: &Assembly<'_>) -> bool {
    let mut segments = assembly.spec.id.segments();
    let (group, rest) = (segments.next(), segments.next());
    rest.is_some() && group == Some(assembly.launch.role.as_str())
}

/// The variables by which containers find their own endpoints and each other's.
fn endpoint_variables(assembly: &Assembly<'_>) -> Vec<(String, u16)> {
    let prefix = assembly.config.env_vars_prefix.to_uppercase();
    let names: Vec<&str> =
        assembly.endpoints.iter().flatten().map(|ports| ports.endpoint.name.as_str()).collect();
    let mut taken = Vec::new();
    let mut variables = Vec::new();
    for ports in assembly.endpoints.iter().flatten() {
        let mut name = escape(&ports.endpoint.name);
        let exact = escape_exactly(&ports.endpoint.name);
        let is_others = || names.iter().any(|other| escape_exactly(other) == name);
        if taken.contains(&name) || (exact != name && is_others()) {
            // `a-b` and `a--b`: who has no other form keeps the usual one, or else the first. Replaced character by
            // character, names that differ stay different, and differ from all usual forms by their `__`.
            name = exact;
        }
        if let Some(port) = ports.listening() {
            variables.push((format!("{prefix}ENDPOINT_{name}"), port));
        }
        if let Some(port) = ports.host {
            variables.push((format!("{prefix}EP_HOST_{name}"), port));
        }
        if let Some(port) = ports.container {
            variables.push((format!("{prefix}EP_CONTAINER_{name}"), port));
        }
        taken.push(name);
    }
    variables
}

/// `MARATHON_APP_LABELS` and one variable per label; a container's labels cover the pod's.
fn set_labels(variables: &mut Variables, spec: &PodSpec, container: &Container) {
    let mut names = Vec::new();
    let labels: BTreeMap<_, _> = spec.labels.iter().chain(&container.labels).collect();
    for (key, value) in labels {
        if key.len() >= MAX_LABEL_VARIABLE - LABEL_PREFIX.len() || value.len() >= MAX_LABEL_VARIABLE {
            continue;
        }
        let name = escape(key);
        variables.set(format!("{LABEL_PREFIX}{name}"), text(&**value));
        if !names.contains(&name) {
            names.push(name);
        }
    }
    variables.set("MARATHON_APP_LABELS", text(names.join(" ")));
}

/// `name` as a part of a variable's name: upper case, and `_` for each run of anything but letters and digits.
fn escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    let mut in_gap = false;
    for character in name.chars() {
        let keep = character.is_ascii_alphanumeric() || character == '_';
        if keep {
            escaped.push(character.to_ascii_uppercase());
        } else if !in_gap {
            escaped.push('_');
        }
        in_gap = !keep;
    }
    escaped
}

/// The same with `_` for each character, for names without capitals of which nothing but hyphens has to be replaced.
fn escape_exactly(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

fn text(value: impl Into<String>) -> EnvironmentValue {
    EnvironmentValue::Value(value.into())
}

/// With a fraction always, as Marathon writes amounts: `0.1`, `32.0`.
fn decimal(value: f64) -> EnvironmentValue {
    EnvironmentValue::Value(format!("{value:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_by_runs() {
        assert_eq!(escape("http-endpoint"), "HTTP_ENDPOINT");
        assert_eq!(escape("com.example//a_b"), "COM_EXAMPLE_A_B");
        assert_eq!(escape("grün"), "GR_N");
    }
}
