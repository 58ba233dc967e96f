//! Pod definitions on their way in: read, completed, checked.
//!
//! ```text
//!   JSON ──► read ──► normalise ──► check ──► Admitted { pod, … }
//!             │                       │
//!             │ cannot be read        │ against a rule
//!             ▼                       ▼
//!       "Invalid JSON"       "Object is not valid"      Rejection { message, details: [{ path, errors }] }
//! ```
//!
//! Pure functions: the same document and [`Rules`] give the same answer. Every error of a document is reported
//! at once; the rules are only checked on what could be read, because a stand-in would break them for no
//! reason of the writer's. What is admitted can be printed and admitted again without a change.
//!
//! The Pods page decides what is accepted and what defaults are; where it is silent, Marathon 1.11 does. The
//! differences are listed in `docs/compatibility.md`. Rules that need more than the document (the roles that
//! a group allows, what persistent volumes forbid to change) are the scheduler's.

mod change;
mod check;
mod group;
mod id;
mod read;
mod reader;
mod report;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use change::{Change, change};
pub use check::{check_residents, check_role};
pub use group::{AdmittedGroup, read_enforce_role, read_group};
pub use id::{group_id_from_path, instance_id_from_path, pod_id_from_path, read_instance_ids, read_task_ids};
pub use report::{Rejection, Violation};

use crate::model::ids::Role;
use crate::model::pod::{NetworkMode, PodSpec};
use report::Report;

/// What the daemon's flags say about definitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// The network of `container` networks without a name (`--default_network_name`).
    pub default_network_name: Option<String>,
    /// The role of pods that name none (`--mesos_role`).
    pub mesos_role: Role,
    /// Whether secrets may be used (`--enable_features secrets`).
    pub secrets: bool,
}

impl Default for Rules {
    /// Marathon's defaults: no default network, role `*`, no secrets.
    fn default() -> Self {
        Self { default_network_name: None, mesos_role: Role::new("*"), secrets: false }
    }
}

/// A definition that keeps all rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Admitted {
    /// The definition, complete. Its version is [`Timestamp::EPOCH`](crate::model::time::Timestamp::EPOCH)
    /// until the scheduler gives it one.
    pub pod: PodSpec,
    /// Whether the document names the role. If not, [`PodSpec::role`] is `--mesos_role`, and a group that
    /// enforces its own may replace it; [`check_role`] then has the last word.
    pub role_given: bool,
    /// The paths of fields that mean nothing to Podium, in the document's order.
    pub unknown_fields: Vec<String>,
}

/// Reads, completes and checks a pod definition.
///
/// # Errors
/// Everything that is wrong with the document.
pub fn read_pod(json: &Value, rules: &Rules) -> Result<Admitted, Rejection> {
    let mut report = Report::default();
    let read::Read { pod, role_given } = read::document(json, rules, &mut report);
    if !report.unreadable {
        check::pod(&pod, rules, role_given, &mut report);
    }
    if !report.is_clean() {
        return Err(report.into_rejection());
    }
    Ok(Admitted { pod, role_given, unknown_fields: report.unknown_fields })
}

/// Fills in what depends on other parts of the definition or on the daemon's flags.
fn normalise(pod: &mut PodSpec, rules: &Rules) {
    let mut on_container_network = false;
    for network in pod.networks.iter_mut().filter(|network| network.mode == NetworkMode::Container) {
        on_container_network = true;
        if network.name.is_none() {
            network.name.clone_from(&rules.default_network_name);
        }
    }
    // On the agent's address an endpoint is nothing without a port; on a network of its own it may do without.
    if !on_container_network {
        for endpoint in pod.containers.iter_mut().flat_map(|container| &mut container.endpoints) {
            endpoint.host_port.get_or_insert(0);
        }
    }
}
