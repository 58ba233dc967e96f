//! What must survive a crash: the scheduler's durable state as a set of keyed entries.
//!
//! A store keeps the newest entry of each key. Given back to [`Scheduler::restore`](crate::Scheduler::restore)
//! in any order, the entries rebuild the scheduler.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::deployment::Deployment;
use crate::model::group::Group;
use crate::model::identity::Identity;
use crate::model::ids::{AgentId, DeploymentId, GroupId, InstanceId, PodId, Role};
use crate::model::instance::{AgentInfo, Instance, Termination};
use crate::model::pod::PodSpec;
use crate::model::time::Timestamp;

/// A change of the durable state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// Forget the entry with this key.
    Delete(Key),
    /// Keep this entry, in place of an older one with the same key.
    Put(Entry),
}

/// One piece of durable state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Entry {
    /// A change on its way.
    Deployment(Deployment),
    /// An instance that was given up while its containers may still run: to be killed if it comes back.
    Forgotten(Forgotten),
    /// This framework's ids.
    Framework(Identity),
    /// What is kept on an agent for an instance that is gone.
    Leftover(Leftover),
    /// One definition of a group, or its end. Never changed and never deleted: history is permanent.
    Group(Arc<Group>),
    /// A copy of a pod.
    Instance(Arc<Instance>),
    /// What is known of a pod apart from its definitions.
    Pod(PodState),
    /// One definition of a pod. Never changed and never deleted: history is permanent.
    PodVersion(Arc<PodSpec>),
    /// How an instance ended. The latest of each pod are kept.
    Termination(Arc<Termination>),
}

/// The name of an [`Entry`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// Of [`Entry::Deployment`].
    Deployment(DeploymentId),
    /// Of [`Entry::Forgotten`].
    Forgotten(InstanceId),
    /// Of [`Entry::Framework`].
    Framework,
    /// Of [`Entry::Group`].
    Group(GroupId, Timestamp),
    /// Of [`Entry::Instance`].
    Instance(InstanceId),
    /// Of [`Entry::Leftover`].
    Leftover(InstanceId),
    /// Of [`Entry::Pod`].
    Pod(PodId),
    /// Of [`Entry::PodVersion`].
    PodVersion(PodId, Timestamp),
    /// Of [`Entry::Termination`]: the instance, and which launch of it ended.
    Termination(InstanceId, u32),
}

impl Entry {
    /// The entry's name.
    pub fn key(&self) -> Key {
        match self {
            Self::Deployment(deployment) => Key::Deployment(deployment.id.clone()),
            Self::Forgotten(forgotten) => Key::Forgotten(forgotten.instance.clone()),
            Self::Framework(_) => Key::Framework,
            Self::Group(group) => Key::Group(group.id.clone(), group.version),
            Self::Instance(instance) => Key::Instance(instance.id.clone()),
            Self::Leftover(leftover) => Key::Leftover(leftover.instance.clone()),
            Self::Pod(pod) => Key::Pod(pod.id.clone()),
            Self::PodVersion(spec) => Key::PodVersion(spec.id.clone(), spec.version),
            Self::Termination(end) => Key::Termination(end.instance.clone(), end.incarnation),
        }
    }
}

impl Entry {
    /// The latest time at which something happened that is written here. What is still to come does not count, and
    /// neither does what another clock said.
    pub(crate) fn latest(&self) -> Timestamp {
        match self {
            Self::Deployment(deployment) => deployment.version,
            Self::Forgotten(forgotten) => forgotten.since,
            Self::Framework(_) => Timestamp::EPOCH,
            Self::Group(group) => group.version,
            Self::Instance(instance) => latest_of_instance(instance),
            Self::Leftover(leftover) => leftover.since,
            Self::Pod(pod) => pod.latest(),
            Self::PodVersion(spec) => spec.version,
            Self::Termination(end) => end.terminated_at,
        }
    }
}

fn latest_of_instance(instance: &Instance) -> Timestamp {
    let Instance { since, status_since, kill_requested, tasks, .. } = instance;
    let heard = tasks.iter().flat_map(|task| {
        let last = task.last.as_deref().and_then(|last| last.at);
        [Some(task.since), task.health_since, last]
    });
    let asked = kill_requested.map(|request| request.at);
    heard.flatten().chain(asked).fold(*since.max(status_since), Timestamp::max)
}

impl fmt::Display for Key {
    /// A text that is unique among all keys and sorts entries of one kind together.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deployment(id) => write!(f, "deployment {id}"),
            Self::Forgotten(id) => write!(f, "forgotten {id}"),
            Self::Framework => write!(f, "framework"),
            Self::Group(id, version) => write!(f, "group {id} {version}"),
            Self::Instance(id) => write!(f, "instance {id}"),
            Self::Leftover(id) => write!(f, "leftover {id}"),
            Self::Pod(id) => write!(f, "pod {id}"),
            Self::PodVersion(id, version) => write!(f, "pod-version {id} {version}"),
            Self::Termination(id, incarnation) => write!(f, "termination {id} {incarnation}"),
        }
    }
}

/// The text names no entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not the key of a record")]
pub struct InvalidKey(pub String);

impl FromStr for Key {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidKey(text.to_owned());
        let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
        match kind {
            "deployment" => Ok(Self::Deployment(DeploymentId::from(rest))),
            "forgotten" => rest.parse().map(Self::Forgotten).map_err(|_| invalid()),
            "framework" => Ok(Self::Framework),
            "leftover" => rest.parse().map(Self::Leftover).map_err(|_| invalid()),
            "instance" => rest.parse().map(Self::Instance).map_err(|_| invalid()),
            "pod" => Ok(Self::Pod(PodId::from(rest))),
            "termination" => {
                let (id, incarnation) = rest.split_once(' ').ok_or_else(invalid)?;
                let id = id.parse().map_err(|_| invalid())?;
                Ok(Self::Termination(id, incarnation.parse().map_err(|_| invalid())?))
            }
            "group" | "pod-version" => {
                let (id, version) = rest.split_once(' ').ok_or_else(invalid)?;
                let version = version.parse().map_err(|_| invalid())?;
                Ok(match kind {
                    "group" => Self::Group(GroupId::from(id), version),
                    _ => Self::PodVersion(PodId::from(id), version),
                })
            }
            _ => Err(invalid()),
        }
    }
}

/// What is known of a pod apart from its definitions. Kept for ever, through deletion and re-creation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodState {
    /// The pod.
    pub id: PodId,
    /// The version of its current definition; absent when it is deleted.
    pub current: Option<Timestamp>,
    /// The newest version ever given, so that the next one is greater even if the clock went back.
    pub newest: Timestamp,
    /// When it was deleted, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deleted: Vec<Timestamp>,
    /// Whether as many copies serve as shall; absent while it is deleted.
    #[serde(default)]
    pub stability: Option<Stability>,
    /// The delay before the next launch.
    pub delay: Option<LaunchDelay>,
    /// How its instances ended lately, oldest first, as earlier releases kept it. Now each end is an entry of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub terminations: Vec<Arc<Termination>>,
    /// How its last deployment came to nothing, until the next change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout_failure: Option<RolloutFailure>,
    /// Where copies of its current definition, whatever their number, failed, if it avoids such agents.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failing_agents: BTreeMap<AgentId, AgentFailures>,
}

impl PodState {
    /// A pod that has no definition yet.
    pub(crate) fn new(id: PodId) -> Self {
        Self {
            id,
            current: None,
            newest: Timestamp::EPOCH,
            deleted: Vec::new(),
            stability: None,
            delay: None,
            terminations: Vec::new(),
            rollout_failure: None,
            failing_agents: BTreeMap::new(),
        }
    }

    /// The latest time at which something happened to it.
    fn latest(&self) -> Timestamp {
        let failures = self.failing_agents.values().map(|failures| failures.last);
        let ends = self.terminations.iter().map(|end| end.terminated_at);
        let stability = self.stability.map(|stability| stability.since);
        let given_up = self.rollout_failure.as_ref().map(|failure| failure.at);
        failures.chain(ends).chain(stability).chain(given_up).fold(self.newest, Timestamp::max)
    }

    /// `version` is its definition from now on.
    pub(crate) fn begin(&mut self, version: Timestamp) {
        self.current = Some(version);
        self.newest = self.newest.max(version);
        self.rollout_failure = None;
    }
}

/// That a deployment was not done by its deadline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutFailure {
    /// The definition that it brought.
    pub version: Timestamp,
    /// When it was given up.
    pub at: Timestamp,
    /// What was done about it and why, in words that follow "the deployment".
    pub reason: String,
}

/// How often copies of a pod failed on an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentFailures {
    /// So often.
    pub count: u32,
    /// The last time.
    pub last: Timestamp,
}

/// Whether as many copies of a pod serve as shall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stability {
    /// Whether they do.
    pub is_stable: bool,
    /// Since when it has been so.
    pub since: Timestamp,
}

/// The delay before the next launch of a pod's copies (Marathon's back-off). It ends with the definition that failed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LaunchDelay {
    /// How long the newest delay is, in milliseconds.
    pub millis: u64,
    /// When it ends.
    pub until: Timestamp,
    /// When the delay of the newest failure ended, if copies that finished have moved `until`: one that fails and was
    /// launched before that is not counted again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures_until: Option<Timestamp>,
}

impl LaunchDelay {
    /// The same, but not longer than `longest` from `now` on.
    pub(crate) fn at_most(self, longest: Duration, now: Timestamp) -> Self {
        let millis = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        Self { millis: self.millis.min(millis), until: self.until.min(now + longest), ..self }
    }
}

/// An instance that was given up while its containers may still run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Forgotten {
    /// The instance.
    pub instance: InstanceId,
    /// When it was given up.
    pub since: Timestamp,
    /// Where it was.
    pub agent: Option<Arc<AgentInfo>>,
}

/// Reserved resources and volumes of an instance that is gone. They are given back as soon as they are offered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Leftover {
    /// The instance.
    pub instance: InstanceId,
    /// Where they are.
    pub agent: Arc<AgentInfo>,
    /// For which role they are reserved.
    pub role: Role,
    /// When they were last thought to be there.
    pub since: Timestamp,
}
