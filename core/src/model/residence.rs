//! What ties a copy of a pod with persistent volumes to its agent (Marathon's `Reservation`).
//!
//! The resources of such a copy are reserved for its role and carry two labels, Marathon's: which framework
//! reserved them, and for which instance. Its volumes lie on reserved disk. So whoever sees an offer can tell for
//! whom each part of it is kept, also after a crash, and whether anybody needs it any more.

use serde::{Deserialize, Serialize};

use super::identity::Identity;
use super::ids::{FrameworkId, InstanceId, Role, Uuid};
use super::mesos::{Label, Reservation, ReservationType};

/// The label that names the framework.
const FRAMEWORK_LABEL: &str = "marathon_framework_id";
/// The label that names the instance.
const INSTANCE_LABEL: &str = "marathon_task_id";

/// The home of an instance: what is reserved for it on the agent it was placed on first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Residence {
    /// Its volumes, in the order of the definition.
    pub volumes: Vec<LocalVolume>,
    /// Whether Mesos has said anything that proves that reservation and volumes were made.
    pub is_confirmed: bool,
}

/// A persistent volume of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalVolume {
    /// Its name in the definition.
    pub name: String,
    /// What tells it from all others of that name.
    pub uuid: Uuid,
}

impl LocalVolume {
    /// Its name in Mesos (`Persistence.id`), if it belongs to `instance`.
    pub fn persistence_id(&self, instance: &InstanceId) -> String {
        format!("{}#{}#{}", instance.pod.safe_path(), self.name, self.uuid)
    }
}

/// The reservation that marks what is kept for `instance`.
pub(crate) fn reservation(
    framework: &FrameworkId,
    instance: &InstanceId,
    role: Role,
    principal: Option<String>,
) -> Reservation {
    let label = |key: &str, value: String| Label { key: key.to_owned(), value: Some(value) };
    let labels =
        vec![label(FRAMEWORK_LABEL, framework.to_string()), label(INSTANCE_LABEL, instance.to_string())];
    Reservation { kind: ReservationType::Dynamic, role, principal, labels }
}

/// Whether something under these reservations is kept for an instance, of whatever framework.
pub(crate) fn is_for_an_instance(reservations: &[Reservation]) -> bool {
    let names_one = |last: &Reservation| last.labels.iter().any(|label| label.key == INSTANCE_LABEL);
    reservations.last().is_some_and(names_one)
}

/// For which of our instances something under these reservations is kept.
pub(crate) fn resident_of(identity: &Identity, reservations: &[Reservation]) -> Option<InstanceId> {
    let last = reservations.last().filter(|last| last.kind == ReservationType::Dynamic)?;
    let value = |key| last.labels.iter().find(|label| label.key == key)?.value.as_deref();
    value(INSTANCE_LABEL)
        .filter(|_| value(FRAMEWORK_LABEL).is_some_and(|framework| identity.has_been(framework)))
        .and_then(|instance| instance.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_tells_for_whom_it_is() {
        let framework = FrameworkId::from("fw");
        let instance: InstanceId = "a_b.instance-0190163d-8694-739b-aea5-966c26f8ad91".parse().unwrap();
        let made = reservation(&framework, &instance, Role::from("dev"), None);
        let framework = Identity::from(framework);
        let other = Identity::from(FrameworkId::from("other"));
        let reborn = Identity { former: vec![FrameworkId::from("fw")], ..other.clone() };
        let stack = |last: Reservation| {
            let below = Reservation {
                kind: ReservationType::Static,
                role: Role::from("d"),
                principal: None,
                labels: vec![],
            };
            [below, last]
        };
        assert_eq!(resident_of(&framework, &stack(made.clone())), Some(instance.clone()));
        assert_eq!(resident_of(&reborn, &stack(made.clone())), Some(instance));
        assert_eq!(resident_of(&other, &stack(made.clone())), None);
        let fixed = Reservation { kind: ReservationType::Static, ..made.clone() };
        assert_eq!(resident_of(&framework, &stack(fixed)), None);
        let mut foreign = made;
        foreign.labels.pop();
        assert_eq!(resident_of(&framework, &[foreign]), None);
        assert_eq!(resident_of(&framework, &[]), None);
    }

    #[test]
    fn volumes_have_marathons_names() {
        let instance: InstanceId = "a_b.instance-0190163d-8694-739b-aea5-966c26f8ad91".parse().unwrap();
        let volume = LocalVolume { name: "data".to_owned(), uuid: instance.uuid };
        assert_eq!(volume.persistence_id(&instance), "a_b#data#0190163d-8694-739b-aea5-966c26f8ad91");
    }
}
