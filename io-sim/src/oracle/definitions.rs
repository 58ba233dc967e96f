//! What clients want of each pod: the definition that was accepted last, and whether copies of older ones may stay.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use podium_core::model::deployment::Deployment;
use podium_core::model::ids::{DeploymentId, GroupId, PodId};
use podium_core::model::pod::PodSpec;
use podium_core::model::time::Timestamp;
use podium_core::{Command, Entry, Key, Record, Response};

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
/// Oracles that ask the scheduler's own comparison would believe it whatever it says.
pub(super) fn replaces(new: &PodSpec, old: &PodSpec) -> bool {
    if new.version == old.version {
        return false;
    }
    // Whoever adds something to definitions has to say here whether it is compared.
    let PodSpec {
        id,
        version: _,
        labels,
        user,
        environment,
        containers,
        secrets,
        volumes,
        networks,
        scaling: _,
        scheduling,
        executor_resources,
        role,
        linux_info,
        legacy_shared_cgroups,
    } = old;
    let (from, to) = (&scheduling.placement, &new.scheduling.placement);
    *id != new.id
        || *labels != new.labels
        || *user != new.user
        || *environment != new.environment
        || *containers != new.containers
        || *secrets != new.secrets
        || *volumes != new.volumes
        || *networks != new.networks
        || *executor_resources != new.executor_resources
        || *role != new.role
        || *linux_info != new.linux_info
        || *legacy_shared_cgroups != new.legacy_shared_cgroups
        || !are_one_set(&from.constraints, &to.constraints)
        || !are_one_set(&from.accepted_resource_roles, &to.accepted_resource_roles)
}

/// Whether each is in the other, in whatever order and how often.
fn are_one_set<T: PartialEq>(one: &[T], other: &[T]) -> bool {
    one.iter().all(|item| other.contains(item)) && other.iter().all(|item| one.contains(item))
}

#[cfg(test)]
mod tests {
    use podium_core::admission::{Change, change};
    use podium_core::model::pod::{Placement, Scheduling};
    use serde_json::{Value, json};

    use super::*;

    /// A definition in which nothing is left out that has parts.
    fn complete() -> Value {
        json!({
            "id": "/web",
            "version": "2017-01-03T18:21:19.310Z",
            "labels": { "owner": "zeus" },
            "user": "root",
            "environment": { "PLAIN": "x", "KEY": { "secret": "key" } },
            "containers": [{
                "name": "web",
                "exec": { "command": { "argv": ["nginx", "-g"] }, "overrideEntrypoint": true },
                "resources": { "cpus": 0.25, "mem": 64.5, "disk": 7, "gpus": 1 },
                "resourceLimits": { "cpus": 1, "mem": 128 },
                "endpoints": [{
                    "name": "http", "containerPort": 8080, "hostPort": 31000, "protocol": ["tcp"],
                    "labels": { "VIP_0": "/web:80" }, "networkNames": ["blue"]
                }],
                "image": {
                    "kind": "DOCKER", "id": "nginx:1", "pullConfig": { "secret": "key" }, "forcePull": false,
                    "labels": { "a": "b" }
                },
                "environment": { "PLAIN": "" },
                "user": "www",
                "healthCheck": {
                    "http": { "endpoint": "http", "path": "/health", "scheme": "HTTPS" }, "gracePeriodSeconds": 1,
                    "intervalSeconds": 10, "maxConsecutiveFailures": 0, "timeoutSeconds": 9, "delaySeconds": 4
                },
                "volumeMounts": [{ "name": "scratch", "mountPath": "/scratch", "readOnly": true }],
                "artifacts": [{
                    "uri": "https://example.com/a.tgz", "extract": false, "executable": true, "cache": true,
                    "destPath": "a"
                }],
                "labels": { "tier": "front" },
                "lifecycle": { "killGracePeriodSeconds": 2.5 },
                "linuxInfo": {
                    "seccomp": { "profileName": "strict", "unconfined": false },
                    "ipcInfo": { "mode": "PRIVATE", "shmSize": 16 }
                },
                "tty": true
            }],
            "secrets": { "key": { "source": "/path/to/key" } },
            "volumes": [{ "name": "scratch" }, { "name": "etc", "host": "/etc" }],
            "networks": [{ "mode": "container", "name": "blue", "labels": { "a": "b" } }],
            "scaling": { "kind": "fixed", "instances": 3, "maxInstances": 9 },
            "scheduling": {
                "backoff": {
                    "backoff": 1, "backoffFactor": 2, "maxLaunchDelay": 60,
                    "failingAgents": { "failures": 3, "seconds": 600 }
                },
                "upgrade": {
                    "minimumHealthCapacity": 0.5, "maximumOverCapacity": 0.5,
                    "deadline": { "seconds": 600, "action": "STOP" }
                },
                "placement": {
                    "constraints": [
                        { "fieldName": "@hostname", "operator": "UNIQUE" },
                        { "fieldName": "rack", "operator": "MAX_PER", "value": "2" }
                    ],
                    "acceptedResourceRoles": ["*", "dev"]
                },
                "killSelection": "YOUNGEST_FIRST",
                "unreachableStrategy": {
                    "inactiveAfterSeconds": 60, "expungeAfterSeconds": 120, "onReturn": "ORIGINAL"
                }
            },
            "executorResources": { "cpus": 0.1, "mem": 32, "disk": 10 },
            "role": "dev",
            "linuxInfo": { "ipcInfo": { "mode": "PRIVATE", "shmSize": 16 } },
            "legacySharedCgroups": true
        })
    }

    /// `value` with one thing changed in it, in every way: another text, number or truth, a member less, another order,
    /// something twice. Some of them are no definitions.
    fn changed(value: &Value) -> Vec<Value> {
        let texts = [
            "x",
            "/x",
            "STOP",
            "ROLL_BACK",
            "OLDEST_FIRST",
            "REPLACEMENT",
            "HTTP",
            "APPC",
            "SHARE_PARENT",
            "host",
        ];
        match value {
            Value::Null => Vec::new(),
            Value::Bool(it) => vec![json!(!it)],
            Value::Number(it) => vec![json!(it.as_u64().map(|it| it + 1)), json!(0.75)],
            Value::String(_) => texts.map(Value::from).to_vec(),
            Value::Array(items) => {
                let with = |index: usize, item: Value| {
                    let mut items = items.clone();
                    items[index] = item;
                    Value::from(items)
                };
                let twice = [&items[..], &items[..]].concat();
                let others =
                    [items.iter().rev().cloned().collect(), items[1..].to_vec().into(), twice.into()];
                let inner = (0..)
                    .zip(items)
                    .flat_map(|(index, item)| changed(item).into_iter().map(move |item| with(index, item)));
                others.into_iter().chain(inner).collect()
            }
            Value::Object(members) => {
                let with = |name: &String, member: Option<Value>| {
                    let mut members = members.clone();
                    match member {
                        Some(member) => members.insert(name.clone(), member),
                        None => members.remove(name),
                    };
                    Value::from(members)
                };
                let inner = members.iter().flat_map(|(name, member)| {
                    changed(member).into_iter().map(Some).chain([None]).map(move |member| with(name, member))
                });
                inner.collect()
            }
        }
    }

    #[test]
    fn copies_are_replaced_by_the_same_rule_as_the_schedulers() {
        let base: PodSpec = serde_json::from_value(complete()).unwrap();
        // Taken apart completely, so that a new field cannot be forgotten in what is compared.
        let PodSpec {
            id: _,
            version: _,
            labels,
            user,
            environment,
            containers,
            secrets,
            volumes,
            networks,
            scaling: _,
            scheduling,
            executor_resources: _,
            role: _,
            linux_info,
            legacy_shared_cgroups,
        } = &base;
        let Scheduling { backoff: _, upgrade: _, placement, kill_selection: _, unreachable_strategy: _ } =
            scheduling;
        let Placement { constraints, accepted_resource_roles } = placement;
        assert!(!labels.is_empty() && user.is_some() && !environment.is_empty() && !containers.is_empty());
        assert!(!secrets.is_empty() && !volumes.is_empty() && !networks.is_empty() && linux_info.is_some());
        assert!(
            legacy_shared_cgroups.is_some() && constraints.len() > 1 && accepted_resource_roles.len() > 1
        );

        let mut verdicts = BTreeMap::new();
        for mut value in changed(&complete()) {
            value["id"] = json!(base.id);
            value["version"] = json!(base.version.next());
            let Ok(new) = serde_json::from_value::<PodSpec>(value.clone()) else { continue };
            let is_upgrade = change(&base, &new) == Change::Upgrade;
            assert_eq!(replaces(&new, &base), is_upgrade, "{value}");
            assert_eq!(replaces(&base, &new), is_upgrade, "back from {value}");
            *verdicts.entry(is_upgrade).or_insert(0) += 1;
        }
        assert!(verdicts[&true] > 100 && verdicts[&false] > 20, "{verdicts:?}");
    }
}
