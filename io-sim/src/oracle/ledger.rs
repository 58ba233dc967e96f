//! What has been said on the wire and what really exists, group by group: the common ground of the oracles.
//!
//! The ledger is a second, deliberately simple account of what a scheduler could know. It is kept from calls,
//! events and containers, and from what the scheduler makes durable and shows: which copies there are, and
//! which of them are wanted. A *group* is one launch of one instance: all that one `LAUNCH_GROUP` asked for.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use podium_core::model::ids::{DeploymentId, InstanceId, PodId, TaskId, Uuid};
use podium_core::model::instance::{Condition, Goal, Instance};
use podium_core::model::mesos::{
    Call, Event, LaunchGroup, OperationInfo, Resource, StatusReason, TaskState, TaskStatus,
};
use podium_core::model::pod::PodSpec;
use podium_core::model::time::Timestamp;
use podium_core::{Command, Entry, Input, Key, Record, Response};

use crate::cluster::{AgentIndex, Exit};
use crate::world::{Scene, Seen, TaskRole};

/// Names a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct GroupKey {
    pub(super) instance: Uuid,
    pub(super) incarnation: u32,
}

impl GroupKey {
    /// What is compared: numbers, because groups are looked up all the time.
    fn number(self) -> (u128, u32) {
        (self.instance.as_u128(), self.incarnation)
    }
}

impl Ord for GroupKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number().cmp(&other.number())
    }
}

impl PartialOrd for GroupKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// One launch of one instance.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) instance: InstanceId,
    pub(super) incarnation: u32,
    pub(super) members: BTreeMap<Arc<str>, Member>,
    /// What its executor uses.
    executor: Vec<Resource>,
    /// The machine; absent if its agent was gone already when it was asked for.
    pub(super) agent: Option<AgentIndex>,
    /// The scheduler asked for the end of one of its members.
    pub(super) kill_sent: bool,
    /// Since when it has served without interruption, by the scheduler's clock.
    pub(super) serves_since: Option<Timestamp>,
}

/// One container of a group.
#[derive(Clone, Debug, Default)]
pub(super) struct Member {
    pub(super) truth: Truth,
    /// What it uses until it ends.
    resources: Vec<Resource>,
    /// When it really ended, if not by itself without an error.
    ended_at: Option<Timestamp>,
    /// The furthest it got, by what the scheduler and whoever comes after it know.
    pub(super) heard: Option<TaskState>,
    /// Since when they know that it is out of reach.
    pub(super) unreachable_since: Option<Timestamp>,
    /// When the last partition began, by the master's clock.
    partition: Option<Timestamp>,
    /// When the one began that it came back from: late words of that are no news.
    returned_from: Option<Timestamp>,
    /// When it was first said to run, by the scheduler's clock.
    started_at: Option<Timestamp>,
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

impl Member {
    /// How far it got, since when it is out of reach, and its health.
    fn known(&self) -> (Option<TaskState>, Option<Timestamp>, Option<bool>) {
        (self.heard, self.unreachable_since, self.healthy)
    }

    /// Takes in what is said of it. What is late or said again changes nothing.
    fn hear(&mut self, status: &TaskStatus, clock: Timestamp) {
        if self.heard.is_some_and(TaskState::is_terminal) {
            return;
        }
        match status.state {
            _ if is_out_of_reach(status) => {
                let is_old =
                    status.unreachable_time.is_some() && status.unreachable_time == self.returned_from;
                // It may have been back in between.
                let is_new = status.unreachable_time.is_some() && status.unreachable_time > self.partition;
                if self.unreachable_since.is_none() && !is_old || self.unreachable_since.is_some() && is_new {
                    let since = status.unreachable_time.or(status.timestamp).unwrap_or(clock);
                    self.partition = Some(since);
                    self.unreachable_since = Some(since.min(clock));
                }
            }
            state if state.is_terminal() || state == TaskState::TaskUnknown => {
                self.unreachable_since = None;
                self.heard = Some(state);
            }
            state => {
                if self.unreachable_since.take().is_some() {
                    self.returned_from = self.partition;
                }
                if self.heard.is_none_or(|heard| progress(heard) < progress(state)) {
                    self.heard = Some(state);
                }
                if self.heard == Some(TaskState::TaskRunning) {
                    self.started_at.get_or_insert(clock);
                }
                if state == TaskState::TaskRunning {
                    self.healthy = status.healthy.or(self.healthy);
                }
            }
        }
    }
}

/// Whether `status` says that nobody can say anything. A master that removes an agent calls its tasks lost.
fn is_out_of_reach(status: &TaskStatus) -> bool {
    let is_removed = || {
        matches!(
            status.reason,
            Some(
                StatusReason::ReasonAgentRemoved
                    | StatusReason::ReasonAgentDisconnected
                    | StatusReason::ReasonReconciliation
            )
        )
    };
    match status.state {
        TaskState::TaskUnreachable => true,
        TaskState::TaskLost => is_removed(),
        _ => false,
    }
}

/// How far a container has got that has not ended.
fn progress(state: TaskState) -> u8 {
    match state {
        TaskState::TaskStaging => 0,
        TaskState::TaskStarting => 1,
        TaskState::TaskRunning => 2,
        _ => 3,
    }
}

impl Copy {
    fn of(instance: &Instance) -> Self {
        Self {
            id: instance.id.clone(),
            version: instance.version,
            incarnation: instance.incarnation,
            wanted: instance.goal == Goal::Running,
            inactive: instance.condition == Condition::UnreachableInactive,
            was_inactive: instance.condition == Condition::UnreachableInactive,
            returned: Some(instance.since),
            ending: instance.kill_requested.is_some(),
        }
    }
}

impl About {
    fn of(copy: Option<&Copy>, launch: GroupKey, is_news: bool) -> Self {
        match copy {
            Some(copy) if copy.incarnation == launch.incarnation => Self::Copy { is_news },
            Some(_) => Self::NoMatter,
            None => Self::Stranger(launch.instance),
        }
    }
}

impl Group {
    /// The newest launch of `instance`, before it is sent.
    fn of(instance: &Instance, scene: &Scene<'_>) -> Self {
        Self {
            instance: instance.id.clone(),
            incarnation: instance.incarnation,
            members: instance.tasks.iter().map(|task| (task.container.clone(), Member::default())).collect(),
            executor: Vec::new(),
            agent: instance.agent_id().and_then(|id| Some(scene.cluster.standing(id)?.0)),
            kill_sent: false,
            serves_since: None,
        }
    }

    /// The ids of its tasks.
    pub(super) fn task_ids(&self) -> impl Iterator<Item = TaskId> {
        self.members.keys().map(|name| self.instance.task_id(name, self.incarnation))
    }

    /// Whether it serves, as far as anybody can say: all of it runs, or has finished, and all that has a health
    /// check by `spec` is healthy.
    pub(super) fn serves(&self, spec: &PodSpec) -> bool {
        let runs = |member: &Member| member.heard == Some(TaskState::TaskRunning);
        let finished = |member: &Member| member.heard == Some(TaskState::TaskFinished);
        let is_well = |name: &str, member: &Member| {
            let container = spec.containers.iter().find(|container| container.name == name);
            let is_checked = container.is_some_and(|container| container.health_check.is_some());
            !is_checked || member.healthy == Some(true)
        };
        !self.kill_sent
            && self.members.values().any(runs)
            && self.members.iter().all(|(name, member)| {
                member.unreachable_since.is_none()
                    && (finished(member) || (runs(member) && is_well(name, member)))
            })
    }

    /// Whether all of it is known to have ended, or nobody knows anything of it any more.
    pub(super) fn has_ended(&self) -> bool {
        let ended = |state: TaskState| state.is_terminal() || state == TaskState::TaskUnknown;
        self.members.values().all(|member| member.heard.is_some_and(ended))
    }

    /// Whether nothing of it is out of reach, as far as anybody can say.
    fn is_in_reach(&self) -> bool {
        self.members.values().all(|member| member.unreachable_since.is_none())
    }

    /// Since when all of it has run, by the scheduler's clock.
    pub(super) fn started_at(&self) -> Option<Timestamp> {
        let all: Option<Vec<Timestamp>> = self.members.values().map(|member| member.started_at).collect();
        all?.into_iter().max()
    }

    pub(super) fn key(&self) -> GroupKey {
        GroupKey { instance: self.instance.uuid, incarnation: self.incarnation }
    }

    /// Whether some container of it exists.
    pub(super) fn is_live(&self) -> bool {
        self.members.values().any(|member| member.truth.is_live())
    }

    /// What it uses, its executor included. Of a container that has ended Mesos gives others what it used.
    pub(super) fn in_use(&self) -> impl Iterator<Item = &Resource> {
        let members = self.members.values();
        let there = members.filter(|member| !matches!(member.truth, Truth::Finished | Truth::Ended));
        self.executor.iter().chain(there.flat_map(|member| &member.resources))
    }

    /// Since when it has really lacked a container that did not end by itself without an error.
    pub(super) fn broken_since(&self) -> Option<Timestamp> {
        self.members.values().filter_map(|member| member.ended_at).min()
    }

    /// Whether every container of it runs, or has ended without an error.
    pub(super) fn is_whole(&self) -> bool {
        self.is_live()
            && self.members.values().all(|member| matches!(member.truth, Truth::Running | Truth::Finished))
    }
}

/// A copy of a pod that the scheduler says there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Copy {
    pub(super) id: InstanceId,
    /// The definition that it is, or is to be, launched from.
    pub(super) version: Timestamp,
    pub(super) incarnation: u32,
    /// Whether it shall run, and not end for good.
    pub(super) wanted: bool,
    /// Whether it counts as lost: another one may take its place.
    pub(super) inactive: bool,
    /// Whether it was so at any time since its newest launch.
    pub(super) was_inactive: bool,
    /// When that ended last, by its scheduler's clock.
    pub(super) returned: Option<Timestamp>,
    /// Whether its containers shall end, whatever becomes of it afterwards.
    pub(super) ending: bool,
}

/// What a step made of a copy.
#[derive(Clone, Debug)]
pub(super) struct CopyChange {
    pub(super) id: InstanceId,
    pub(super) was: Option<Copy>,
    pub(super) is: Option<Copy>,
}

/// Whom a status that was heard is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum About {
    /// The newest launch of a copy; whether it says something new of it.
    Copy { is_news: bool },
    /// An instance that there is no record of.
    Stranger(Uuid),
    /// An earlier launch of a copy, or nothing of the scheduler's.
    #[default]
    NoMatter,
}

/// The account.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    /// Groups of which something may exist, and the newest of each instance.
    pub(super) groups: BTreeMap<GroupKey, Group>,
    /// The copies of each pod.
    pub(super) copies: BTreeMap<PodId, BTreeMap<Uuid, Copy>>,
    /// What the step whose records were just written made of copies.
    pub(super) changes: Vec<CopyChange>,
    /// The copies that clients asked to end, each with the launch that was meant.
    killed: BTreeMap<Uuid, u32>,
    /// Copies of which something is out of reach.
    pub(super) unreachable: BTreeSet<Uuid>,
    /// The launches, by pod, of which there was no record any more while they were in reach and had not ended.
    dropped: BTreeMap<PodId, BTreeSet<GroupKey>>,
    /// The pods that each deployment changes.
    deployments: BTreeMap<DeploymentId, BTreeSet<PodId>>,
    /// The pods of deployments that ended in the step whose records were just written.
    deployed: BTreeSet<PodId>,
    /// The scheduler's clock when it took its last step.
    stepped_at: Timestamp,
    /// Whom the status that was just heard is about.
    pub(super) heard: About,
    /// Requests of clients that were answered.
    pub(super) answered: usize,
}

impl Ledger {
    /// The groups of an instance, oldest first.
    pub(super) fn groups_of(&self, instance: Uuid) -> impl Iterator<Item = &Group> {
        let key = |incarnation| GroupKey { instance, incarnation };
        self.groups.range(key(0)..=key(u32::MAX)).map(|(_, group)| group)
    }

    /// The newest launch of an instance.
    pub(super) fn newest_of(&self, instance: Uuid) -> Option<&Group> {
        let newest = GroupKey { instance, incarnation: u32::MAX };
        let (key, group) = self.groups.range(..=newest).next_back()?;
        (key.instance == instance).then_some(group)
    }

    /// The copies of a pod.
    pub(super) fn copies_of(&self, pod: &PodId) -> impl Iterator<Item = &Copy> {
        self.copies.get(pod).into_iter().flat_map(BTreeMap::values)
    }

    /// How many launches of a pod that nobody has heard the end of have no record, although they were in reach.
    pub(super) fn dropped(&self, pod: &PodId) -> usize {
        let dropped = self.dropped.get(pod).into_iter().flatten().filter_map(|key| self.groups.get(key));
        dropped.filter(|group| !group.has_ended() && group.is_in_reach()).count()
    }

    /// Whether the container of a task exists.
    pub(super) fn is_live(&self, task_id: &TaskId) -> bool {
        let Ok(id) = task_id.parse() else { return false };
        let group = self.groups.get(&GroupKey { instance: id.uuid, incarnation: id.incarnation });
        group.and_then(|group| group.members.get(id.container)).is_some_and(|member| member.truth.is_live())
    }

    /// Whether a client asked for the end of the newest launch of `copy`.
    pub(super) fn is_killed(&self, copy: &Copy) -> bool {
        self.killed.get(&copy.id.uuid) == Some(&copy.incarnation)
    }

    /// Whether another copy may be where `copy` is, as far as anybody can say: it counts as lost, or it is to end and
    /// out of reach.
    pub(super) fn is_given_up(&self, copy: &Copy) -> bool {
        copy.inactive || !copy.wanted && self.unreachable.contains(&copy.id.uuid)
    }

    /// Whether a deployment changes the pod, or has just ended.
    pub(super) fn is_deploying(&self, pod: &PodId) -> bool {
        self.has_just_deployed(pod) || self.deployments.values().any(|pods| pods.contains(pod))
    }

    /// Whether a deployment that changed the pod ended in this step.
    pub(super) fn has_just_deployed(&self, pod: &PodId) -> bool {
        self.deployed.contains(pod)
    }

    /// Since when something of a copy's newest launch has been out of reach.
    pub(super) fn unreachable_since(&self, instance: Uuid) -> Option<Timestamp> {
        let members = self.newest_of(instance)?.members.values();
        members.filter_map(|member| member.unreachable_since).min()
    }

    /// Takes down what has happened.
    pub(super) fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) {
        match seen {
            Seen::Answered { .. } => self.answered += 1,
            Seen::Call(call) => self.see_call(call, scene),
            Seen::Decided { result: Ok(response), command } => self.see_decision(command, response),
            Seen::Written(records) => {
                self.changes.clear();
                self.deployed.clear();
                for record in *records {
                    self.see_record(record, scene);
                }
            }
            Seen::Ended { container, exit } => {
                if let Some(task) = container.task() {
                    let truth = if *exit == Some(Exit::Code(0)) { Truth::Finished } else { Truth::Ended };
                    self.set_truth(task, container.agent, truth, scene.now);
                }
            }
            Seen::Heard(Event::Update(status)) => {
                self.heard = self.see_status(status, scene);
            }
            Seen::Stepped { clock, input, .. } => {
                self.stepped_at = *clock;
                if let Input::Refused { call, .. } = input {
                    self.see_refusal(call);
                }
            }
            Seen::Launched(container) => {
                if let Some(task) = container.task() {
                    self.set_truth(task, container.agent, Truth::Starting, scene.now);
                }
            }
            Seen::Started(container) => {
                if let Some(task) = container.task() {
                    self.set_truth(task, container.agent, Truth::Running, scene.now);
                }
            }
            _ => {}
        }
    }

    fn see_call(&mut self, call: &Call, scene: &Scene<'_>) {
        match call {
            Call::Accept { operations, .. } => {
                for operation in operations {
                    if let OperationInfo::LaunchGroup(launch) = &operation.info {
                        self.see_launch(launch, scene);
                    }
                }
            }
            Call::Kill { task_id, .. } => {
                let Ok(id) = task_id.parse() else { return };
                let key = GroupKey { instance: id.uuid, incarnation: id.incarnation };
                if let Some(group) = self.groups.get_mut(&key) {
                    group.kill_sent = true;
                    group.serves_since = None;
                }
            }
            _ => {}
        }
    }

    fn see_launch(&mut self, launch: &LaunchGroup, scene: &Scene<'_>) {
        let Some(task) = launch.tasks.first() else { return };
        let Ok(first) = task.task_id.parse() else { return };
        let members = launch.tasks.iter().filter_map(|task| {
            let member = Member { resources: task.resources.clone(), ..Member::default() };
            Some((task.task_id.parse().ok()?.container.into(), member))
        });
        let group = Group {
            members: members.collect(),
            executor: launch.executor.resources.clone(),
            agent: scene.cluster.standing(&task.agent_id).map(|(agent, _)| agent),
            kill_sent: false,
            serves_since: None,
            incarnation: first.incarnation,
            instance: first.instance(),
        };
        self.add_group(group);
    }

    /// The master did nothing of it: what was to be launched is nowhere.
    fn see_refusal(&mut self, call: &Call) {
        let Call::Accept { operations, .. } = call else { return };
        let tasks = operations.iter().flat_map(|operation| match &operation.info {
            OperationInfo::LaunchGroup(launch) => &launch.tasks[..],
            _ => &[],
        });
        for id in tasks.filter_map(|task| task.task_id.parse().ok()) {
            let key = GroupKey { instance: id.uuid, incarnation: id.incarnation };
            let group = self.groups.get_mut(&key);
            if let Some(member) = group.and_then(|group| group.members.get_mut(id.container)) {
                member.heard = Some(TaskState::TaskDropped);
            }
        }
    }

    fn add_group(&mut self, group: Group) {
        let key = group.key();
        // Earlier launches of the instance are of no interest any more, unless something of them is left.
        let earlier: Vec<GroupKey> =
            self.groups_of(key.instance).filter(|group| !group.is_live()).map(Group::key).collect();
        for key in earlier {
            self.groups.remove(&key);
        }
        self.groups.insert(key, group);
    }

    /// Whom `status` is about.
    fn see_status(&mut self, status: &TaskStatus, scene: &Scene<'_>) -> About {
        let Ok(id) = status.task_id.parse() else { return About::NoMatter };
        let copy_of = |pod: &PodId| self.copies.get(pod).and_then(|copies| copies.get(&id.uuid));
        let key = GroupKey { instance: id.uuid, incarnation: id.incarnation };
        let Some(group) = self.groups.get_mut(&key) else {
            return About::of(copy_of(&id.instance().pod), key, false);
        };
        let copy = copy_of(&group.instance.pod);
        let Some(member) = group.members.get_mut(id.container) else { return About::of(copy, key, false) };
        let before = member.known();
        member.hear(status, self.stepped_at);
        if member.known() == before {
            return About::of(copy, key, false);
        }
        let is_news = before.0 != Some(TaskState::TaskUnknown);
        let spec = copy.and_then(|copy| scene.store.version(&copy.id.pod, copy.version));
        let serves = spec.is_some_and(|spec| group.serves(spec));
        group.serves_since = group.serves_since.or(Some(self.stepped_at)).filter(|_| serves);
        if group.members.values().any(|member| member.unreachable_since.is_some()) {
            self.unreachable.insert(id.uuid);
        } else {
            self.unreachable.remove(&id.uuid);
        }
        About::of(copy, key, is_news)
    }

    fn see_decision(&mut self, command: &Command, response: &Response) {
        if let (
            Command::KillInstance { .. } | Command::KillInstances { .. },
            Response::InstancesKilled(killed),
        ) = (command, response)
        {
            self.killed.extend(killed.iter().map(|instance| (instance.id.uuid, instance.incarnation)));
        }
    }

    fn see_record(&mut self, record: &Record, scene: &Scene<'_>) {
        let (id, mut is) = match record {
            Record::Delete(Key::Instance(id)) => (id, None),
            Record::Put(Entry::Instance(instance)) => (&instance.id, Some(Copy::of(instance))),
            Record::Put(Entry::Deployment(deployment)) => {
                let pods = deployment.affected_pods().cloned().collect();
                self.deployments.insert(deployment.id.clone(), pods);
                return;
            }
            Record::Delete(Key::Deployment(id)) => {
                self.deployed.extend(self.deployments.remove(id).unwrap_or_default());
                return;
            }
            Record::Delete(_) | Record::Put(_) => return,
        };
        let copies = self.copies.entry(id.pod.clone()).or_default();
        if let (Some(was), Some(is)) = (copies.get(&id.uuid), &mut is)
            && was.incarnation == is.incarnation
        {
            is.was_inactive |= was.was_inactive;
            let returns = was.inactive && !is.inactive;
            is.returned = if returns { is.returned } else { was.returned };
        } else if let Some(is) = &mut is {
            is.returned = None;
        }
        let was = match is.clone() {
            Some(copy) => copies.insert(id.uuid, copy),
            None => copies.remove(&id.uuid),
        };
        match record {
            // The launch may never be sent, and Mesos may still have something to say about it.
            Record::Put(Entry::Instance(instance))
                if was.as_ref().map_or(0, |copy| copy.incarnation) < instance.incarnation =>
            {
                self.add_group(Group::of(instance, scene));
            }
            Record::Put(Entry::Instance(instance)) if instance.has_ended() => self.conclude(instance),
            Record::Put(_) => {}
            Record::Delete(_) => {
                self.unreachable.remove(&id.uuid);
                let newest =
                    self.newest_of(id.uuid).filter(|group| !group.has_ended() && group.is_in_reach());
                if let Some(key) = newest.map(Group::key) {
                    self.dropped.entry(id.pod.clone()).or_default().insert(key);
                }
            }
        }
        if was != is {
            self.changes.push(CopyChange { id: id.clone(), was, is });
        }
    }

    /// The scheduler says that `instance` has ended. Nobody has to say so of what was out of reach if it is true.
    fn conclude(&mut self, instance: &Instance) {
        let key = GroupKey { instance: instance.id.uuid, incarnation: instance.incarnation };
        let Some(group) = self.groups.get_mut(&key) else { return };
        let is_over = |member: &&mut Member| member.unreachable_since.is_some() && !member.truth.is_live();
        for member in group.members.values_mut().filter(is_over) {
            member.unreachable_since = None;
            member.heard = Some(TaskState::TaskUnknown);
        }
        if group.members.values().all(|member| member.unreachable_since.is_none()) {
            self.unreachable.remove(&instance.id.uuid);
        }
    }

    fn set_truth(&mut self, task: &TaskRole, agent: AgentIndex, truth: Truth, now: Timestamp) {
        let key = GroupKey { instance: task.instance.uuid, incarnation: task.incarnation };
        if let Some(group) = self.groups.get_mut(&key) {
            group.agent = Some(agent);
            let member = group.members.entry(task.name.clone()).or_default();
            member.truth = truth;
            member.ended_at = (truth == Truth::Ended).then_some(now);
        }
    }
}
