//! What has been said on the wire and what really exists, group by group: the common ground of the oracles.
//!
//! The ledger is a second, deliberately simple account of what a scheduler could know. It is kept from calls,
//! events and containers alone. A *group* is one launch of one instance: all that one `LAUNCH_GROUP` asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use podium_core::model::ids::{InstanceId, PodId, Uuid};
use podium_core::model::mesos::{Call, Event, LaunchGroup, OperationInfo, Resource, TaskState, TaskStatus};
use podium_core::model::pod::PodSpec;
use podium_core::model::time::Timestamp;
use podium_core::{Command, Response};

use crate::cluster::{AgentIndex, Exit};
use crate::world::{Scene, Seen, TaskRole};

/// Names a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct GroupKey {
    pub(super) instance: Uuid,
    pub(super) incarnation: u32,
}

/// One launch of one instance.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) instance: InstanceId,
    pub(super) incarnation: u32,
    pub(super) members: BTreeMap<Arc<str>, Member>,
    /// What it uses in all, its executor included.
    pub(super) resources: Vec<Resource>,
    /// The machine, once something of it is there.
    pub(super) agent: Option<AgentIndex>,
    /// The scheduler asked for the end of one of its members.
    pub(super) kill_sent: bool,
}

/// One container of a group.
#[derive(Clone, Debug, Default)]
pub(super) struct Member {
    pub(super) truth: Truth,
    /// What the scheduler and whoever comes after it know.
    pub(super) heard: Option<TaskState>,
    /// Since when they know that it is out of reach.
    pub(super) unreachable_since: Option<Timestamp>,
    pub(super) healthy: Option<bool>,
}

/// How a container really is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Truth {
    /// No agent has begun to launch it.
    #[default]
    Absent,
    Starting,
    Running,
    /// It ended by itself without an error.
    Finished,
    /// It ended in any other way.
    Ended,
}

impl Truth {
    pub(super) fn is_live(self) -> bool {
        matches!(self, Self::Starting | Self::Running)
    }
}

impl Group {
    pub(super) fn key(&self) -> GroupKey {
        GroupKey { instance: self.instance.uuid, incarnation: self.incarnation }
    }

    /// Whether some container of it exists.
    pub(super) fn is_live(&self) -> bool {
        self.members.values().any(|member| member.truth.is_live())
    }

    /// Whether every container of it runs, or has ended without an error.
    pub(super) fn is_whole(&self) -> bool {
        self.is_live()
            && self.members.values().all(|member| matches!(member.truth, Truth::Running | Truth::Finished))
    }
}

/// What clients have been promised about a pod.
#[derive(Clone, Debug, Default)]
pub(super) struct PodBook {
    /// The present definition; absent if it was deleted.
    pub(super) spec: Option<Arc<PodSpec>>,
    /// Every version there ever was.
    pub(super) versions: Vec<Timestamp>,
}

/// The account.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    /// Groups of which something may exist, and the newest of each instance.
    pub(super) groups: BTreeMap<GroupKey, Group>,
    pub(super) pods: BTreeMap<PodId, PodBook>,
    /// Requests of clients that were answered.
    pub(super) answered: usize,
}

impl Ledger {
    /// The groups of an instance, oldest first.
    pub(super) fn groups_of(&self, instance: Uuid) -> impl Iterator<Item = &Group> {
        let key = |incarnation| GroupKey { instance, incarnation };
        self.groups.range(key(0)..=key(u32::MAX)).map(|(_, group)| group)
    }

    /// Takes down what has happened.
    pub(super) fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) {
        match seen {
            Seen::Answered { .. } => self.answered += 1,
            Seen::Call(call) => self.see_call(call),
            Seen::Decided { result: Ok(response), command } => self.see_decision(command, response),
            Seen::Ended { container, exit } => {
                if let Some(task) = container.task() {
                    let truth = if *exit == Some(Exit::Code(0)) { Truth::Finished } else { Truth::Ended };
                    self.set_truth(task, container.agent, truth);
                }
            }
            Seen::Heard(Event::Update(status)) => self.see_status(status, scene.now),
            Seen::Launched(container) => {
                if let Some(task) = container.task() {
                    self.set_truth(task, container.agent, Truth::Starting);
                }
            }
            Seen::Started(container) => {
                if let Some(task) = container.task() {
                    self.set_truth(task, container.agent, Truth::Running);
                }
            }
            _ => {}
        }
    }

    fn see_call(&mut self, call: &Call) {
        match call {
            Call::Accept { operations, .. } => {
                for operation in operations {
                    if let OperationInfo::LaunchGroup(launch) = &operation.info {
                        self.see_launch(launch);
                    }
                }
            }
            Call::Kill { task_id, .. } => {
                let Ok(id) = task_id.parse() else { return };
                let key = GroupKey { instance: id.uuid, incarnation: id.incarnation };
                if let Some(group) = self.groups.get_mut(&key) {
                    group.kill_sent = true;
                }
            }
            _ => {}
        }
    }

    fn see_launch(&mut self, launch: &LaunchGroup) {
        let Some(Ok(first)) = launch.tasks.first().map(|task| task.task_id.parse()) else { return };
        let members = launch.tasks.iter().filter_map(|task| task.task_id.parse().ok());
        let resources = launch.tasks.iter().flat_map(|task| &task.resources);
        let group = Group {
            members: members.map(|id| (id.container.into(), Member::default())).collect(),
            resources: resources.chain(&launch.executor.resources).cloned().collect(),
            agent: None,
            kill_sent: false,
            incarnation: first.incarnation,
            instance: first.instance(),
        };
        let key = group.key();
        // Earlier launches of the instance are of no interest any more, unless something of them is left.
        let earlier: Vec<GroupKey> =
            self.groups_of(key.instance).filter(|group| !group.is_live()).map(Group::key).collect();
        for key in earlier {
            self.groups.remove(&key);
        }
        self.groups.insert(key, group);
    }

    fn see_status(&mut self, status: &TaskStatus, now: Timestamp) {
        let Ok(id) = status.task_id.parse() else { return };
        let key = GroupKey { instance: id.uuid, incarnation: id.incarnation };
        let Some(member) = self.groups.get_mut(&key).and_then(|group| group.members.get_mut(id.container))
        else {
            return;
        };
        member.heard = Some(status.state);
        member.healthy = status.healthy.or(member.healthy);
        member.unreachable_since = match status.state {
            TaskState::TaskUnreachable => {
                let since = status.unreachable_time.or(status.timestamp).unwrap_or(now);
                member.unreachable_since.or(Some(since))
            }
            _ => None,
        };
    }

    fn see_decision(&mut self, command: &Command, response: &Response) {
        match response {
            Response::PodCreated { pod, .. } | Response::PodUpdated { pod, .. } => {
                let book = self.pods.entry(pod.id.clone()).or_default();
                if book.versions.last() != Some(&pod.version) {
                    book.versions.push(pod.version);
                }
                book.spec = Some(pod.clone());
            }
            Response::PodDeleted { .. } => {
                if let Command::DeletePod { id, .. } = command {
                    self.pods.entry(id.clone()).or_default().spec = None;
                }
            }
            // The definition that is current again is not part of the answer; the API shows it.
            Response::DeploymentReverted { .. } => {}
            // No client of the world changes groups.
            Response::GroupDeleted { .. } | Response::GroupUpdated { .. } => {}
            Response::DelayReset | Response::DeploymentCancelled | Response::InstancesKilled(_) => {}
        }
    }

    fn set_truth(&mut self, task: &TaskRole, agent: AgentIndex, truth: Truth) {
        let key = GroupKey { instance: task.instance.uuid, incarnation: task.incarnation };
        if let Some(group) = self.groups.get_mut(&key) {
            group.agent = Some(agent);
            group.members.entry(task.name.clone()).or_default().truth = truth;
        }
    }
}
