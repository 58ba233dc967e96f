//! From a store's entries back to the state, with everything that is derived from them.

use crate::config::Config;
use crate::model::ids::PodId;
use crate::model::time::Timestamp;
use crate::record::{Entry, Key};

use super::in_use::InUse;
use super::{Changes, Slot, State};

impl State {
    /// Takes over an entry of a store. [`State::rebuild`] has to follow.
    pub(crate) fn load(&mut self, entry: Entry) {
        match entry {
            Entry::Deployment(deployment) => {
                self.deployments.insert(deployment);
            }
            Entry::Forgotten(forgotten) => {
                self.forgotten.insert(forgotten.instance.uuid, forgotten);
            }
            Entry::Framework(identity) => self.identity = identity,
            Entry::Leftover(leftover) => self.leftovers.insert(leftover),
            Entry::Group(group) => self.groups.insert(group),
            Entry::Instance(instance) => {
                let uuid = instance.id.uuid;
                self.pods.get_or_insert(&instance.id.pod).instances.insert(uuid);
                self.instances.insert(uuid, Slot { instance, deadline: None });
            }
            Entry::Pod(mut state) => {
                let id = state.id.clone();
                let ends = std::mem::take(&mut state.terminations);
                self.pods.get_or_insert(&id).state = state;
                if !ends.is_empty() {
                    // From now on each has an entry of its own.
                    self.changes.keys.insert(Key::Pod(id));
                    ends.into_iter().for_each(|end| self.add_termination(end));
                }
            }
            Entry::PodVersion(spec) => {
                let pod = self.pods.get_or_insert(&spec.id);
                pod.versions.insert(spec.version, spec);
            }
            Entry::Termination(end) => self.load_termination(end),
        }
    }

    /// A definition that is in use and was not loaded.
    pub(crate) fn missing_version(&self) -> Option<(PodId, Timestamp)> {
        self.pods
            .iter()
            .find_map(|pod| {
                let used = pod.instances.iter().filter_map(|uuid| self.instance(*uuid)).map(|i| i.version);
                let missing = used.chain(pod.state.current).find(|version| pod.spec_of(*version).is_none());
                missing.map(|version| (pod.state.id.clone(), version))
            })
            .or_else(|| self.missing_original())
    }

    /// A definition that some deployment could lead back to and that was not loaded.
    fn missing_original(&self) -> Option<(PodId, Timestamp)> {
        let originals = self.deployments.all().values().flat_map(|deployment| &deployment.original);
        let mut originals = originals.filter_map(|(pod, version)| Some((pod, (*version)?)));
        let is_missing = |(pod, version): &(&PodId, Timestamp)| {
            self.pods.get(*pod).is_none_or(|pod| pod.spec_of(*version).is_none())
        };
        originals.find(is_missing).map(|(pod, version)| (pod.clone(), version))
    }

    /// A pod of which something was loaded, but not what it is.
    pub(crate) fn missing_pod(&self) -> Option<PodId> {
        let mut pods = self.pods.iter();
        pods.find(|pod| pod.state.newest == Timestamp::EPOCH).map(|pod| pod.state.id.clone())
    }

    /// Derives everything that is derived, after all entries have been taken over.
    pub(crate) fn rebuild(&mut self, config: &Config) {
        for deployment in self.deployments.all().values() {
            for pod in deployment.affected_pods() {
                if let Some(pod) = self.pods.get_mut(pod) {
                    pod.deployment = Some(deployment.id.clone());
                }
            }
        }
        let ids: Vec<PodId> = self.pods.ids().cloned().collect();
        for id in &ids {
            self.recount(config, id);
        }
        let uuids = self.pods.iter().flat_map(|pod| &pod.instances);
        let instances = uuids.filter_map(|uuid| self.instances.get(uuid)).map(|slot| &*slot.instance);
        for instance in instances.filter(|instance| InUse::uses(instance)) {
            self.in_use.add(&self.pods, instance);
        }
        self.changes = Changes {
            keys: std::mem::take(&mut self.changes.keys),
            touched: ids.iter().cloned().collect(),
            waiting: ids.into_iter().collect(),
            ..Changes::default()
        };
    }
}
