//! What survives the scheduler's process.

use std::collections::BTreeMap;
use std::sync::Arc;

use podium_core::model::deployment::Deployment;
use podium_core::model::ids::{InstanceId, PodId};
use podium_core::model::pod::PodSpec;
use podium_core::model::time::Timestamp;
use podium_core::{Entry, Key, Record};

use crate::random::{Key as Name, Named};

/// The entries that are durable.
#[derive(Clone, Debug, Default)]
pub struct Store {
    /// All but instances.
    entries: BTreeMap<Key, Entry>,
    /// Instances, which are most of all that is written and read: by number, for texts take longer to compare.
    instances: BTreeMap<(u128, PodId), Entry>,
    /// The definition that each pod has now, which follows from the entries: it is asked for all the time.
    specs: BTreeMap<PodId, Arc<PodSpec>>,
}

impl Store {
    /// Makes `records` durable.
    pub(super) fn apply(&mut self, records: impl IntoIterator<Item = Record>) {
        for record in records {
            let pod = match &record {
                Record::Put(Entry::Pod(pod)) => Some(pod.id.clone()),
                Record::Put(Entry::PodVersion(spec)) => Some(spec.id.clone()),
                Record::Delete(Key::Pod(id) | Key::PodVersion(id, _)) => Some(id.clone()),
                Record::Put(_) | Record::Delete(_) => None,
            };
            match record {
                Record::Delete(Key::Instance(id)) => {
                    self.instances.remove(&number(&id));
                }
                Record::Delete(key) => {
                    self.entries.remove(&key);
                }
                Record::Put(Entry::Instance(instance)) => {
                    self.instances.insert(number(&instance.id), Entry::Instance(instance));
                }
                Record::Put(entry) => {
                    self.entries.insert(entry.key(), entry);
                }
            }
            if let Some(pod) = pod {
                self.note_spec(pod);
            }
        }
    }

    /// Something was written or deleted that says which definition `pod` has.
    fn note_spec(&mut self, pod: PodId) {
        let current = match self.get(&Key::Pod(pod.clone())) {
            Some(Entry::Pod(state)) => state.current,
            _ => None,
        };
        match current.and_then(|version| self.version(&pod, version).cloned()) {
            Some(spec) => self.specs.insert(pod, spec),
            None => self.specs.remove(&pod),
        };
    }

    /// One entry.
    pub fn get(&self, key: &Key) -> Option<&Entry> {
        match key {
            Key::Instance(id) => self.instances.get(&number(id)),
            key => self.entries.get(key),
        }
    }

    /// All entries.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().chain(self.instances.values())
    }

    /// The definition that a pod has now; none if it is deleted or never was.
    pub fn spec(&self, pod: &PodId) -> Option<&Arc<PodSpec>> {
        self.specs.get(pod)
    }

    /// A definition that a pod has had.
    pub fn version(&self, pod: &PodId, version: Timestamp) -> Option<&Arc<PodSpec>> {
        match self.get(&Key::PodVersion(pod.clone(), version)) {
            Some(Entry::PodVersion(spec)) => Some(spec),
            _ => None,
        }
    }

    /// The deployments on their way.
    pub fn deployments(&self) -> impl Iterator<Item = &Deployment> {
        // Keys of one kind are next to each other, and deployments come first.
        self.entries.values().map_while(|entry| match entry {
            Entry::Deployment(deployment) => Some(deployment),
            _ => None,
        })
    }

    /// All entries, as a store without an order would give them back for the `nth` time.
    pub(super) fn read_back(&self, chance: &Named, nth: u64) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self.entries().cloned().collect();
        chance.only(Name::of("read back").number(nth)).shuffle(&mut entries);
        entries
    }
}

fn number(id: &InstanceId) -> (u128, PodId) {
    (id.uuid.as_u128(), id.pod.clone())
}

#[cfg(test)]
mod tests {
    use podium_core::model::ids::DeploymentId;
    use serde_json::json;

    use super::*;

    /// What [`Store::deployments`] relies on.
    #[test]
    fn deployments_come_first() {
        let deployment = Key::Deployment(DeploymentId::new("zzz"));
        for other in [Key::Framework, Key::Pod(PodId::from("/a"))] {
            assert!(deployment < other);
        }
    }

    #[test]
    fn the_definition_of_a_pod_follows_what_is_written_in_whatever_order() {
        let entry = |json| Record::Put(serde_json::from_value(json).unwrap());
        let version = |n: i64| Timestamp::from_millis(n).to_string();
        let definition = |n| {
            entry(json!({ "type": "pod_version",
                "id": "/a", "version": version(n), "containers": [], "role": "*",
                "scaling": { "kind": "fixed", "instances": 1 },
                "scheduling": {
                    "backoff": { "backoff": 1, "backoffFactor": 2, "maxLaunchDelay": 60 },
                    "upgrade": { "minimumHealthCapacity": 1, "maximumOverCapacity": 1 },
                    "placement": { "constraints": [], "acceptedResourceRoles": [] },
                    "killSelection": "YOUNGEST_FIRST", "unreachableStrategy": "disabled"
                },
                "executorResources": { "cpus": 0.1, "mem": 32, "disk": 10 }
            }))
        };
        let current = |n: Option<i64>| {
            entry(json!({ "type": "pod", "id": "/a", "current": n.map(version), "newest": version(2) }))
        };
        let shown = |records: Vec<Record>| {
            let mut store = Store::default();
            store.apply(records);
            store.spec(&PodId::from("/a")).map(|spec| spec.version.as_millis())
        };
        assert_eq!(shown(vec![definition(1), definition(2), current(Some(2))]), Some(2));
        assert_eq!(shown(vec![current(Some(1)), definition(1)]), Some(1));
        assert_eq!(shown(vec![definition(1), current(Some(1)), current(None)]), None);
        let deleted = Record::Delete(Key::Pod(PodId::from("/a")));
        assert_eq!(shown(vec![definition(1), current(Some(1)), deleted]), None);
    }
}
