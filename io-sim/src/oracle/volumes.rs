//! What is on a persistent volume is there as long as its instance, and nothing is kept for instances that are gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use podium_core::Input;
use podium_core::model::ids::{ExecutorId, InstanceId};
use podium_core::model::mesos::{Call, LaunchGroup, OperationInfo, Resource};
use podium_core::model::time::Timestamp;

use super::ledger::Ledger;
use super::{Violation, short};
use crate::world::{Scene, Seen};

const NAME: &str = "volumes";
/// The label that says for which instance something is reserved.
const INSTANCE_LABEL: &str = "marathon_task_id";
/// So long, and so long after everything was mended, something may still be reserved for an instance that is gone.
const PATIENCE: Duration = Duration::from_secs(20 * 60);
/// So often somebody looks.
const INTERVAL: Duration = Duration::from_secs(5);

/// Ports by the endpoint's container and name.
type Ports = BTreeMap<(String, String), u32>;

/// Watches over volumes and reservations.
#[derive(Clone, Debug, Default)]
pub(super) struct Volumes {
    /// The volumes that an instance was launched with.
    of_instance: BTreeMap<InstanceId, Vec<String>>,
    /// The host ports of endpoints that those have which have volumes, with the definition that they were launched from.
    ports: BTreeMap<InstanceId, (Option<Timestamp>, Ports)>,
    mended_at: Option<Timestamp>,
    next_look: Option<Timestamp>,
    /// The instances that are gone and have something reserved for them, with the time since when that was seen.
    left: BTreeMap<InstanceId, Timestamp>,
}

impl Volumes {
    pub(super) fn see(
        &mut self,
        seen: &Seen<'_>,
        ledger: &Ledger,
        scene: &Scene<'_>,
    ) -> Result<(), Violation> {
        match seen {
            Seen::Call(Call::Accept { operations, .. }) => {
                for operation in operations {
                    match &operation.info {
                        OperationInfo::Destroy(volumes) => nobody_needs(volumes, ledger)?,
                        OperationInfo::LaunchGroup(group) => self.launched(group, ledger)?,
                        _ => {}
                    }
                }
                Ok(())
            }
            // What was to be reserved with a first launch was not.
            Seen::Stepped { input: Input::Refused { call, .. }, .. } => {
                for instance in launched_by(call) {
                    self.of_instance.remove(&instance);
                    self.ports.remove(&instance);
                }
                Ok(())
            }
            Seen::Mended => {
                self.mended_at = Some(scene.now);
                self.next_look = Some(scene.now);
                self.look(ledger, scene)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.next_look
    }

    /// A pod whose launches fail for ever leaves something for a while again and again: that need not be waited for.
    pub(super) fn is_satisfied(&self) -> bool {
        self.mended_at.is_none_or(|at| self.left.values().all(|since| since.since(at) > PATIENCE))
    }

    /// An instance goes back to the volumes that it had, and its endpoints have the ports that they had, which are reserved
    /// for it.
    fn launched(&mut self, group: &LaunchGroup, ledger: &Ledger) -> Result<(), Violation> {
        let volumes: Vec<String> = group.executor.resources.iter().filter_map(volume_id).collect();
        let Some(task) = group.tasks.first().and_then(|task| task.task_id.parse().ok()) else {
            return Ok(());
        };
        let instance = task.instance();
        let before = self.of_instance.entry(instance.clone()).or_insert_with(|| volumes.clone());
        if *before == volumes {
            return if volumes.is_empty() { Ok(()) } else { self.has_its_ports(instance, group, ledger) };
        }
        let sentence =
            format!("{} had the volumes {before:?} and is launched with {volumes:?}", short(&instance));
        Err(Violation::new(NAME, sentence))
    }

    fn has_its_ports(
        &mut self,
        instance: InstanceId,
        group: &LaunchGroup,
        ledger: &Ledger,
    ) -> Result<(), Violation> {
        let copy = ledger.copies.get(&instance.pod).and_then(|copies| copies.get(&instance.uuid));
        let now = (copy.map(|copy| copy.version), ports_of(group));
        let name = short(&instance);
        match self.ports.insert(instance, now.clone()) {
            Some(before) if before.0 == now.0 && before.1 != now.1 => {
                let sentence =
                    format!("{name} had the ports {:?} and is launched with {:?}", before.1, now.1);
                Err(Violation::new(NAME, sentence))
            }
            // The first launch, or the first one of another definition.
            _ => Ok(()),
        }
    }

    #[inline]
    pub(super) fn look(&mut self, ledger: &Ledger, scene: &Scene<'_>) -> Result<(), Violation> {
        match self.mended_at {
            Some(mended_at) if self.next_look.is_none_or(|at| at <= scene.now) => {
                self.look_closely(mended_at, ledger, scene)
            }
            _ => Ok(()),
        }
    }

    fn look_closely(
        &mut self,
        mended_at: Timestamp,
        ledger: &Ledger,
        scene: &Scene<'_>,
    ) -> Result<(), Violation> {
        self.next_look = Some(scene.now + INTERVAL);
        let mut left = reserved_for_gone(ledger, scene);
        if !left.is_empty() {
            // What is in use nobody is offered. Whether its user should have ended others judge.
            let executors = scene.cluster.executors().filter(|executor| executor.alive);
            let users: BTreeSet<&ExecutorId> = executors.map(|executor| executor.executor_id).collect();
            left.retain(|instance, _| !users.contains(&instance.executor_id()));
        }
        self.left.retain(|instance, _| left.contains_key(instance));
        for (instance, host) in left {
            let since = *self.left.entry(instance.clone()).or_insert(scene.now);
            if scene.now.since(since.max(mended_at)) > PATIENCE {
                let sentence = format!(
                    "for {PATIENCE:?}, with everything mended, resources of {host} are reserved for {}, which is gone",
                    short(&instance)
                );
                return Err(Violation::new(NAME, sentence));
            }
        }
        Ok(())
    }
}

/// The instances that `volumes` belong to are not wanted any more.
fn nobody_needs(volumes: &[Resource], ledger: &Ledger) -> Result<(), Violation> {
    let needed =
        volumes.iter().find(|volume| resident(volume).is_some_and(|instance| is_wanted(&instance, ledger)));
    match needed {
        Some(volume) => {
            let id = volume_id(volume).unwrap_or_default();
            Err(Violation::new(NAME, format!("the volume {id} is destroyed, and its instance needs it")))
        }
        None => Ok(()),
    }
}

/// The instances that are gone and have something reserved for them, and where.
pub(super) fn reserved_for_gone(ledger: &Ledger, scene: &Scene<'_>) -> BTreeMap<InstanceId, String> {
    let mut gone = BTreeMap::new();
    for agent in scene.cluster.agents().filter(|agent| agent.running) {
        // What is reserved for one instance was reserved at once, and lies side by side.
        let mut labels: Vec<&str> = agent.total.iter().filter_map(resident_label).collect();
        labels.dedup();
        let instances = labels.into_iter().filter_map(|label| label.parse().ok());
        let left = instances.filter(|instance| !is_wanted(instance, ledger));
        gone.extend(left.map(|instance| (instance, agent.config.hostname.clone())));
    }
    gone
}

/// Whether there is a record of the instance.
fn is_wanted(instance: &InstanceId, ledger: &Ledger) -> bool {
    ledger.copies.get(&instance.pod).is_some_and(|copies| copies.contains_key(&instance.uuid))
}

/// The instance that something is reserved for.
pub(crate) fn resident(resource: &Resource) -> Option<InstanceId> {
    resident_label(resource)?.parse().ok()
}

/// The label that says for which instance something is reserved.
fn resident_label(resource: &Resource) -> Option<&str> {
    let labels = &resource.reservations.last()?.labels;
    labels.iter().find(|label| label.key == INSTANCE_LABEL)?.value.as_deref()
}

/// The instances that `call` launches.
fn launched_by(call: &Call) -> impl Iterator<Item = InstanceId> {
    let operations = match call {
        Call::Accept { operations, .. } => &operations[..],
        _ => &[],
    };
    operations.iter().filter_map(|operation| match &operation.info {
        OperationInfo::LaunchGroup(group) => Some(group.tasks.first()?.task_id.parse().ok()?.instance()),
        _ => None,
    })
}

/// What service discovery is told of the endpoints' ports.
fn ports_of(group: &LaunchGroup) -> Ports {
    let mut ports = Ports::new();
    for task in &group.tasks {
        for port in task.discovery.iter().flat_map(|discovery| &discovery.ports) {
            let name = port.name.clone().unwrap_or_default();
            ports.insert((task.name.clone(), name), port.number);
        }
    }
    ports
}

fn volume_id(resource: &Resource) -> Option<String> {
    Some(resource.disk.as_ref()?.persistence.as_ref()?.id.clone())
}
