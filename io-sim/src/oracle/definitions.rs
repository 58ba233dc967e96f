//! What clients want of each pod: the definition that was accepted last, and whether copies of older ones may stay.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use podium_core::model::deployment::Deployment;
use podium_core::model::ids::{DeploymentId, GroupId, PodId};
use podium_core::model::pod::PodSpec;
use podium_core::model::time::Timestamp;
use podium_core::{Command, Entry, Key, Record, Response};
use serde_json::Value;

use crate::world::{Scene, Seen, Store};

/// Follows what is decided.
#[derive(Clone, Debug, Default)]
pub(super) struct Definitions {
    /// What each pod shall be; absent if it was deleted.
    accepted: BTreeMap<PodId, Option<Arc<PodSpec>>>,
    /// The pods whose last deployment was not brought to its end: everything was left as it was.
    left: BTreeSet<PodId>,
    /// The deployments on their way.
    deployments: BTreeMap<DeploymentId, Deployment>,
}

impl Definitions {
    pub(super) fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) {
        match seen {
            Seen::Decided { command, result: Ok(response) } => self.decide(command, response, scene.store),
            Seen::Written(records) => {
                for record in *records {
                    self.write(record, scene.store);
                }
                for record in *records {
                    if let Record::Delete(Key::Deployment(id)) = record {
                        self.deployments.remove(id);
                    }
                }
            }
            _ => {}
        }
    }

    /// A pod that is not shown as it was accepted last, given those that are shown.
    pub(super) fn unlike<'a>(&self, shown: impl Iterator<Item = &'a Arc<PodSpec>>) -> Option<PodId> {
        let mut wanted = self.accepted.iter().filter_map(|(id, spec)| Some((id, spec.as_ref()?)));
        for spec in shown {
            match wanted.next() {
                Some((_, accepted)) if Arc::ptr_eq(accepted, spec) || accepted == spec => {}
                Some((id, _)) => return Some(id.clone().min(spec.id.clone())),
                None => return Some(spec.id.clone()),
            }
        }
        wanted.next().map(|(id, _)| id.clone())
    }

    /// Whether copies of a pod that are of older definitions may stay so.
    pub(super) fn may_be_old(&self, pod: &PodId) -> bool {
        self.left.contains(pod)
    }

    fn decide(&mut self, command: &Command, response: &Response, store: &Store) {
        match (command, response) {
            (_, Response::PodCreated { pod, .. } | Response::PodUpdated { pod, .. }) => {
                let is_new = self.version(&pod.id) != Some(pod.version);
                if is_new {
                    self.supersede(|id| *id == pod.id);
                    self.accept(&pod.id, Some(pod.clone()));
                }
            }
            (Command::DeletePod { id, .. }, Response::PodDeleted { .. }) => {
                self.supersede(|pod| pod == id);
                self.accept(id, None);
            }
            (Command::DeleteGroup { id, .. }, Response::GroupDeleted { .. }) => {
                self.supersede(|pod| is_below(pod, id));
                let below = self.accepted.iter_mut().filter(|(pod, _)| is_below(pod, id));
                below.for_each(|(_, accepted)| *accepted = None);
            }
            (Command::CancelDeployment { id, .. }, Response::DeploymentCancelled) => {
                let deployment = self.deployments.get(id);
                self.left.extend(deployment.into_iter().flat_map(|it| it.original.keys()).cloned());
            }
            (Command::CancelDeployment { id, .. }, Response::DeploymentReverted { version, .. }) => {
                if let Some(deployment) = self.deployments.get(id).cloned() {
                    self.lead_back(&deployment, *version, store);
                }
            }
            _ => {}
        }
    }

    fn write(&mut self, record: &Record, store: &Store) {
        match record {
            Record::Put(Entry::Deployment(deployment)) => {
                self.deployments.insert(deployment.id.clone(), deployment.clone());
            }
            // A deployment was not done by its deadline.
            Record::Put(Entry::Pod(pod)) if pod.rollout_failure.is_some() => {
                let of_pod = |deployment: &&Deployment| {
                    pod.rollout_failure.as_ref().is_some_and(|failure| failure.version == deployment.version)
                        && deployment.original.contains_key(&pod.id)
                };
                let Some(deployment) = self.deployments.values().find(of_pod).cloned() else { return };
                match pod.current.filter(|version| *version > deployment.version) {
                    Some(version) => self.lead_back(&deployment, version, store),
                    None => self.left.extend(deployment.original.into_keys()),
                }
            }
            Record::Put(_) | Record::Delete(_) => {}
        }
    }

    fn version(&self, pod: &PodId) -> Option<Timestamp> {
        self.accepted.get(pod)?.as_ref().map(|spec| spec.version)
    }

    fn accept(&mut self, pod: &PodId, spec: Option<Arc<PodSpec>>) {
        self.left.remove(pod);
        self.accepted.insert(pod.clone(), spec);
    }

    /// Another change comes in the way of the deployments of the pods that `is_changed` names, and ends them for all
    /// their pods.
    fn supersede(&mut self, is_changed: impl Fn(&PodId) -> bool) {
        let ended =
            self.deployments.values().filter(|deployment| deployment.original.keys().any(&is_changed));
        self.left.extend(ended.flat_map(|deployment| deployment.original.keys()).cloned());
    }

    /// The pods of `deployment` shall be as they were before it; `version` is the name of that.
    fn lead_back(&mut self, deployment: &Deployment, version: Timestamp, store: &Store) {
        for (pod, before) in &deployment.original {
            let before = before.and_then(|before| store.version(pod, before));
            let spec = before.map(|spec| Arc::new(PodSpec { version, ..PodSpec::clone(spec) }));
            self.accept(pod, spec);
        }
    }
}

/// Whether `pod` is in `group`, or in one below it.
pub(super) fn is_below(pod: &PodId, group: &GroupId) -> bool {
    group.is_root() || pod.as_str().strip_prefix(group.as_str()).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether copies of the definition `old` are to be replaced under the definition `new` (Pods page, "Rolling
/// upgrades"): they differ in something else than in how many copies there shall be and how those are looked after.
pub(super) fn replaces(new: &PodSpec, old: &PodSpec) -> bool {
    new.version != old.version && what_runs(new) != what_runs(old)
}

/// What of a definition decides what runs, and where.
fn what_runs(spec: &PodSpec) -> Value {
    let mut value = serde_json::to_value(spec).unwrap_or_default();
    for name in ["version", "scaling"] {
        value[name] = Value::Null;
    }
    let mut placement = value["scheduling"]["placement"].take();
    for name in ["constraints", "acceptedResourceRoles"] {
        // What is in these lists is a set.
        let mut items: Vec<String> =
            placement[name].as_array().into_iter().flatten().map(Value::to_string).collect();
        items.sort_unstable();
        items.dedup();
        placement[name] = items.into();
    }
    value["scheduling"] = placement;
    value
}
