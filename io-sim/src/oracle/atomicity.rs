//! A group lives and dies as one.
//!
//! All containers of a pod are launched by one `LAUNCH_GROUP`, each as its definition says. When one of them ends badly or is killed, the
//! others end too. One that ends without an error leaves the others running.

use std::collections::BTreeMap;
use std::time::Duration;

use podium_core::model::ids::ParsedTaskId;
use podium_core::model::mesos::{Call, LaunchGroup, OperationInfo};
use podium_core::model::time::Timestamp;
use podium_core::{Entry, Key};

use super::ledger::{Group, GroupKey, Ledger, Truth};
use super::{Violation, launch};
use crate::world::{Scene, Seen};

const NAME: &str = "atomicity";
/// So long the rest of a group may outlive the member that took it down, while nothing else is broken. The
/// executor gives it 3 s; an executor that does not care is shut down after some kills, and its agent gives it
/// a few seconds more.
const PATIENCE: Duration = Duration::from_secs(240);

/// Watches over groups.
#[derive(Clone, Debug, Default)]
pub(super) struct Atomicity {
    /// Groups that must end, with when they began to have to.
    broken: BTreeMap<GroupKey, Timestamp>,
}

impl Atomicity {
    pub(super) fn see(
        &mut self,
        seen: &Seen<'_>,
        ledger: &Ledger,
        scene: &Scene<'_>,
    ) -> Result<(), Violation> {
        match seen {
            Seen::Call(Call::Accept { operations, .. }) => {
                for operation in operations {
                    if let OperationInfo::LaunchGroup(launch) = &operation.info {
                        as_defined(launch, scene)?;
                    }
                }
            }
            Seen::Ended { container, .. } => {
                let Some(task) = container.task() else { return Ok(()) };
                let key = GroupKey { instance: task.instance.uuid, incarnation: task.incarnation };
                match ledger.groups.get(&key) {
                    Some(group) if is_broken(group) => {
                        self.broken.entry(key).or_insert(scene.now);
                    }
                    _ => {
                        self.broken.remove(&key);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    #[inline]
    pub(super) fn deadline(&self, calm_since: Option<Timestamp>) -> Option<Timestamp> {
        let first = self.broken.values().min()?;
        Some((*first).max(calm_since?) + PATIENCE)
    }

    #[inline]
    pub(super) fn look(&self, ledger: &Ledger, scene: &Scene<'_>) -> Result<(), Violation> {
        if self.broken.is_empty() { Ok(()) } else { self.look_closely(ledger, scene) }
    }

    fn look_closely(&self, ledger: &Ledger, scene: &Scene<'_>) -> Result<(), Violation> {
        let Some(calm_since) = scene.calm_since else { return Ok(()) };
        for (key, since) in &self.broken {
            if scene.now.since(calm_since.max(*since)) < PATIENCE {
                continue;
            }
            let Some(group) = ledger.groups.get(key) else { continue };
            if is_broken(group) {
                let left: Vec<&str> = group
                    .members
                    .iter()
                    .filter(|(_, member)| member.truth.is_live())
                    .map(|(name, _)| &**name)
                    .collect();
                let sentence = format!(
                    "launch {} of {} lost a container {:?} ago, and {} still runs",
                    group.incarnation,
                    group.instance,
                    scene.now.since(*since),
                    left.join(", ")
                );
                return Err(Violation::new(NAME, sentence));
            }
        }
        Ok(())
    }
}

/// Whether a member has taken the group down and others are left.
fn is_broken(group: &Group) -> bool {
    group.is_live() && group.members.values().any(|member| member.truth == Truth::Ended)
}

/// Whether `launch` asks for all containers of the definition that it is made from, as they are defined.
fn as_defined(launch: &LaunchGroup, scene: &Scene<'_>) -> Result<(), Violation> {
    let Some(Ok(first)) = launch.tasks.first().map(|task| task.task_id.parse()) else {
        return Err(Violation::new(NAME, "a LAUNCH_GROUP without any task of ours was sent"));
    };
    let id = first.instance();
    let Some(Entry::Instance(instance)) = scene.store.get(&Key::Instance(id.clone())) else { return Ok(()) };
    let Some(spec) = scene.store.version(&id.pod, instance.version) else { return Ok(()) };
    let tasks: Vec<ParsedTaskId<'_>> =
        launch.tasks.iter().filter_map(|task| task.task_id.parse().ok()).collect();
    let one_launch = tasks.iter().all(|id| (id.uuid, id.incarnation) == (first.uuid, first.incarnation));
    let wanted = spec.containers.iter().map(|container| container.name.as_str());
    if !one_launch || !wanted.clone().eq(tasks.iter().map(|id| id.container)) {
        let wanted: Vec<&str> = wanted.collect();
        let launched: Vec<&str> = tasks.iter().map(|id| id.container).collect();
        let sentence = format!(
            "{id} has the containers {}, but its launch asks for {}",
            wanted.join(", "),
            launched.join(", ")
        );
        return Err(Violation::new(NAME, sentence));
    }
    match launch::difference(launch, spec) {
        Some(difference) => Err(Violation::new(NAME, format!("{id} is launched with {difference}"))),
        None => Ok(()),
    }
}
