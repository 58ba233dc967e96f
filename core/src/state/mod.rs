//! Everything the scheduler knows, behind the one door through which it changes.
//!
//! ```text
//!   insert / edit / remove an instance          put a pod, a version, a deployment
//!              │                                              │
//!              ▼                                              ▼
//!      ┌─ the entry itself ─┬─ tally of its pod ─┬─ timers ─┬─ kill queue ─┐
//!      └────────────────────┴────────────────────┴──────────┴──────────────┘
//!              │
//!              ▼
//!        Changes: keys to be recorded, pods to look at again, events to publish
//! ```
//!
//! Whatever is derived from an instance (counts, deadlines, the need to be killed) is brought up to date right
//! here, so no decision can forget to. What has to be durable is collected as keys and read off once, at the
//! end of a step.

mod deployments;
mod gone;
mod groups;
mod homes;
mod in_use;
mod leftovers;
mod overdue;
mod pod;
mod restore;
mod tally;
mod waiting;
mod waiting_copies;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use self::deployments::Deployments;
pub(crate) use self::groups::Groups;
use self::homes::AwaitedHomes;
use self::in_use::InUse;
pub(crate) use self::in_use::Usage;
use self::leftovers::Leftovers;
use self::overdue::OverdueWords;
pub(crate) use self::pod::{Pod, Pods};
pub(crate) use self::tally::{Stage, Tally};
use self::waiting_copies::WaitingCopies;
use crate::admission::{Change, change};
use crate::config::Config;
use crate::kill::{Choice, KillQueue};
use crate::lifecycle;
use crate::model::deployment::Deployment;
use crate::model::event::ApiEventKind;
use crate::model::group::Group;
use crate::model::identity::Identity;
use crate::model::ids::{DeploymentId, FrameworkId, InstanceId, PodId, Role, Uuid};
use crate::model::instance::{AgentInfo, Instance, Task};
use crate::model::mesos::TaskState;
use crate::model::pod::PodSpec;
use crate::model::time::Timestamp;
use crate::placement::{Constraints, OfferCount, RefusalStatistics, holds_place};
use crate::queue::WaitingPods;
use crate::record::{Entry, Forgotten, Key, Leftover, PodState, Record};
use crate::view::PodInstanceState;

/// An instance with what is known about it for now.
#[derive(Clone, Debug)]
struct Slot {
    /// Shared with records of it that are on their way: what becomes of those does not matter here.
    instance: Arc<Instance>,
    /// When to look at it again; also in [`State::timers`].
    deadline: Option<Timestamp>,
}

/// What a step has changed so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    /// Entries to be recorded, or deleted if they are not there any more.
    keys: BTreeSet<Key>,
    /// Instances to be recorded, some more than once; apart from `keys` because there are so many more of them.
    instances: Vec<(PodId, Uuid)>,
    /// Pods whose definition changed, or the stage of a copy: rollouts look at them again.
    pub(crate) touched: BTreeSet<PodId>,
    /// Pods whose place among those that wait for offers may be another one.
    waiting: BTreeSet<PodId>,
    /// Whether the set of those that wait for offers is another one.
    pub(crate) waiting_changed: bool,
    /// Whether somebody began to wait for offers.
    pub(crate) demand: bool,
    /// The roles of definitions that came since the master was last told of our roles.
    pub(crate) roles: BTreeSet<Role>,
    /// What listeners shall hear.
    pub(crate) events: Vec<ApiEventKind>,
}

/// Everything the scheduler knows that outlives a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    identity: Identity,
    pods: Pods,
    /// By uuid. Never iterated: order comes from the pods.
    instances: FxHashMap<Uuid, Slot>,
    forgotten: BTreeMap<Uuid, Forgotten>,
    leftovers: Leftovers,
    groups: Groups,
    deployments: Deployments,
    /// Which action of its current step each deployment was last found to wait for.
    unfinished: BTreeMap<DeploymentId, usize>,
    /// Instances to be looked at, by time.
    timers: BTreeSet<(Timestamp, Uuid)>,
    overdue_words: OverdueWords,
    awaited_homes: AwaitedHomes,
    in_use: InUse,
    /// Pods of which some instance waits for an offer.
    waiting: WaitingPods,
    /// Secrets that copies wait for, by their paths in the store, and why they cannot be had.
    missing_secrets: BTreeMap<String, String>,
    /// How many offers were looked at for each role.
    offers: BTreeMap<Role, OfferCount>,
    /// Instances that must end.
    pub(crate) kills: KillQueue,
    /// What the current step has changed.
    pub(crate) changes: Changes,
    /// The time of the current step.
    now: Timestamp,
}

impl State {
    /// A step begins at `now`.
    pub(crate) fn begin_step(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// This framework's ids.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Keeps this framework's id.
    pub(crate) fn set_framework_id(&mut self, id: FrameworkId) {
        self.identity.id = Some(id);
        self.identity.since = (!self.identity.former.is_empty()).then_some(self.now);
        self.changes.keys.insert(Key::Framework);
    }

    /// This framework's id is dead: the next subscription gives another one.
    pub(crate) fn retire_framework_id(&mut self) {
        self.identity.former.extend(self.identity.id.take());
        self.changes.keys.insert(Key::Framework);
    }

    /// All pods that ever were, by id.
    pub(crate) fn pods(&self) -> &Pods {
        &self.pods
    }

    /// A pod that is or was.
    pub(crate) fn pod(&self, id: &PodId) -> Option<&Pod> {
        self.pods.get(id)
    }

    /// Changes the durable part of a pod, which is made if it never was.
    pub(crate) fn edit_pod<R>(&mut self, id: &PodId, change: impl FnOnce(&mut PodState) -> R) -> R {
        let pod = self.pods.get_or_insert(id);
        let result = change(&mut pod.state);
        self.changes.keys.insert(Key::Pod(id.clone()));
        self.changes.touched.insert(id.clone());
        self.changes.waiting.insert(id.clone());
        result
    }

    /// Makes `spec` the pod's current definition.
    pub(crate) fn set_spec(&mut self, config: &Config, spec: Arc<PodSpec>) {
        let (id, version) = (spec.id.clone(), spec.version);
        self.changes.roles.insert(spec.role.clone());
        self.changes.keys.insert(Key::PodVersion(id.clone(), version));
        let before = self.pods.get(&id).and_then(Pod::spec);
        let is_upgrade = before.is_none_or(|before| change(before, &spec) >= Change::Upgrade);
        // Otherwise each copy is what it was, and is not looked at.
        let is_another_for_copies = is_upgrade
            || before.is_some_and(|before| {
                before.scheduling.unreachable_strategy != spec.scheduling.unreachable_strategy
            });
        let (backoff, now) = (spec.scheduling.backoff, self.now);
        self.edit_pod(&id, |state| {
            state.begin(version);
            if is_upgrade {
                // What the one before did is not its fault.
                state.delay = None;
                state.failing_agents.clear();
            }
            state.delay = state.delay.map(|delay| delay.at_most(backoff.longest(), now));
        });
        if let Some(pod) = self.pods.get_mut(&id) {
            pod.versions.insert(version, spec);
            pod.compatible.insert(version);
        }
        if is_another_for_copies {
            self.recount(config, &id);
        }
    }

    /// Takes the pod's definition away at `version`; its history stays.
    pub(crate) fn delete_spec(&mut self, config: &Config, id: &PodId, version: Timestamp) {
        self.edit_pod(id, |state| {
            state.current = None;
            state.newest = state.newest.max(version);
            state.deleted.push(version);
            state.stability = None;
            state.delay = None;
        });
        self.recount(config, id);
    }

    /// An instance.
    pub(crate) fn instance(&self, uuid: Uuid) -> Option<&Instance> {
        self.instances.get(&uuid).map(|slot| &*slot.instance)
    }

    /// The instances of a pod, oldest first.
    pub(crate) fn instances_of<'a>(&'a self, pod: &'a Pod) -> impl Iterator<Item = &'a Instance> {
        self.instances_after(pod, None)
    }

    /// The instances of `pod`, oldest first; those after `after`, if that is given.
    pub(crate) fn instances_after<'a>(
        &'a self,
        pod: &'a Pod,
        after: Option<Uuid>,
    ) -> impl Iterator<Item = &'a Instance> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        pod.instances.range((start, Bound::Unbounded)).filter_map(|uuid| self.instance(*uuid))
    }

    /// The first `count` of a pod's copies that go, by `choice`.
    pub(crate) fn choose(&mut self, id: &PodId, choice: Choice, count: usize) -> Vec<Uuid> {
        let Some(ranks) = self.pods.get_mut(id).map(|pod| pod.ranks.take()) else { return Vec::new() };
        let Some(pod) = self.pods.get(id) else { return Vec::new() };
        let ranked = |instance| {
            let stage = pod.stage(instance);
            (instance, stage, pod.counts_as_current(instance, stage))
        };
        let copies = || self.instances_of(pod).map(ranked);
        let mut ranks = ranks.unwrap_or_default();
        let chosen = ranks.choose(choice, count, copies, &pod.constraints);
        #[cfg(debug_assertions)]
        assert_eq!(chosen, crate::kill::choose_plainly(copies(), choice, &pod.constraints, count));
        if let Some(pod) = self.pods.get_mut(id) {
            pod.ranks = Some(ranks);
        }
        chosen
    }

    /// The number of all instances.
    pub(crate) fn instance_count(&self) -> usize {
        self.instances.len()
    }

    /// Adds an instance.
    pub(crate) fn insert(&mut self, config: &Config, instance: Instance) {
        self.changes.note_instance_changed(&instance);
        self.pods.get_or_insert(&instance.id.pod).instances.insert(instance.id.uuid);
        self.put_slot(config, Slot { instance: Arc::new(instance), deadline: None }, None);
    }

    /// Changes an instance, and everything that is derived from it. Nothing happens if there is none.
    pub(crate) fn edit<R>(
        &mut self,
        config: &Config,
        uuid: Uuid,
        change: impl FnOnce(&mut Instance) -> R,
    ) -> Option<R> {
        let mut slot = self.instances.remove(&uuid)?;
        let (condition, goal, healthy) = (slot.instance.condition, slot.instance.goal, slot.instance.healthy);
        let (used, agent) = (InUse::uses(&slot.instance), slot.instance.agent.clone());
        let before = self.forget_derived(&slot);
        let result = change(Arc::make_mut(&mut slot.instance));
        match (used, InUse::uses(&slot.instance)) {
            (false, true) => self.in_use.add(&self.pods, &slot.instance),
            (true, false) => self.in_use.remove(&self.pods, &slot.instance, agent.as_deref()),
            _ => {}
        }
        if (slot.instance.condition, slot.instance.goal) != (condition, goal) {
            self.changes.note_instance_changed(&slot.instance);
        }
        if slot.instance.healthy != healthy {
            self.changes.note_health_changed(&slot.instance);
        }
        self.put_slot(config, slot, before);
        Some(result)
    }

    /// Removes an instance, all of whose containers have ended.
    pub(crate) fn remove(&mut self, uuid: Uuid) -> Option<Instance> {
        let slot = self.instances.remove(&uuid)?;
        self.forget_derived(&slot);
        if InUse::uses(&slot.instance) {
            self.in_use.remove(&self.pods, &slot.instance, slot.instance.agent.as_deref());
        }
        if let Some(at) = slot.deadline {
            self.timers.remove(&(at, uuid));
        }
        if let Some(pod) = self.pods.get_mut(&slot.instance.id.pod) {
            pod.instances.remove(&uuid);
        }
        self.kills.remove(uuid);
        self.changes.instances.push((slot.instance.id.pod.clone(), uuid));
        self.changes.touched.insert(slot.instance.id.pod.clone());
        let Instance { id, role, agent, residence, tasks, .. } = &*slot.instance;
        let is_gone = tasks.iter().any(|task| {
            task.last.as_ref().is_some_and(|last| last.state == Some(TaskState::TaskGoneByOperator))
        });
        if let (Some(_), Some(agent), false) = (residence, agent, is_gone) {
            let (instance, agent, role, since) = (id.clone(), agent.clone(), role.clone(), self.now);
            self.put_leftover(Leftover { instance, agent, role, since });
        }
        Some(Arc::unwrap_or_clone(slot.instance))
    }

    /// What groups say of their pods.
    pub(crate) fn groups(&self) -> &Groups {
        &self.groups
    }

    /// Makes `group` the newest definition of its group, or its end.
    pub(crate) fn put_group(&mut self, group: Group) {
        let id = group.id.clone();
        self.changes.keys.insert(Key::Group(id.clone(), group.version));
        // Those who may wait for others from now on, and those for whom others begin or cease to wait.
        let mut paths = vec![id.as_str().to_owned()];
        paths.extend(self.groups.dependencies_of(&id).map(|path| path.as_str().to_owned()));
        self.groups.insert(Arc::new(group));
        paths.extend(self.groups.dependencies_of(&id).map(|path| path.as_str().to_owned()));
        for path in paths {
            let pods = self.pods.below(&path).chain(self.pods.get(path.as_str()));
            self.changes.touched.extend(pods.map(|pod| pod.state.id.clone()));
        }
    }

    /// All deployments, oldest first.
    pub(crate) fn deployments(&self) -> &BTreeMap<DeploymentId, Deployment> {
        self.deployments.all()
    }

    /// A deployment whose time is up at `now`.
    pub(crate) fn overdue_deployment(&self, now: Timestamp) -> Option<&Deployment> {
        self.deployments.overdue(now)
    }

    /// Adds a deployment or changes it.
    pub(crate) fn put_deployment(&mut self, deployment: Deployment) {
        self.changes.keys.insert(Key::Deployment(deployment.id.clone()));
        for id in deployment.affected_pods() {
            self.set_deployment(id, Some(deployment.id.clone()));
            self.changes.touched.insert(id.clone());
        }
        self.deployments.insert(deployment);
    }

    /// The index of the action that the current step of a deployment was last found to wait for; 0 if nobody has
    /// looked yet.
    pub(crate) fn unfinished_action(&self, id: &DeploymentId) -> usize {
        self.unfinished.get(id).copied().unwrap_or_default()
    }

    /// Notes for which action the current step of a deployment was found to wait.
    pub(crate) fn note_unfinished_action(&mut self, id: &DeploymentId, index: usize) {
        self.unfinished.insert(id.clone(), index);
    }

    /// Removes a deployment, done or not.
    pub(crate) fn remove_deployment(&mut self, id: &DeploymentId) -> Option<Deployment> {
        let deployment = self.deployments.remove(id)?;
        self.unfinished.remove(id);
        self.changes.keys.insert(Key::Deployment(id.clone()));
        for pod in deployment.affected_pods() {
            if self.pods.get(pod).is_some_and(|pod| pod.deployment.as_ref() == Some(id)) {
                self.set_deployment(pod, None);
            }
            self.changes.touched.insert(pod.clone());
        }
        Some(deployment)
    }

    /// `deployment` changes the pod from now on, or none does. That decides whether its old copies will be replaced.
    fn set_deployment(&mut self, id: &PodId, deployment: Option<DeploymentId>) {
        let Some(pod) = self.pods.get_mut(id) else { return };
        pod.deployment = deployment;
        // Mostly there are none.
        if pod.tally.old.all() == 0 || !pod.constraints.count_copies() {
            return;
        }
        let mut placed = pod.constraints.counts();
        for slot in pod.instances.iter().filter_map(|uuid| self.instances.get(uuid)) {
            let derived = Derived::of(&slot.instance, pod);
            if let Some(agent) = place_of(&slot.instance, pod, derived.is_current) {
                placed.add(agent);
            }
        }
        pod.placed = placed;
        self.changes.waiting.insert(id.clone());
    }

    /// An offer to `role` is looked at.
    pub(crate) fn note_offer(&mut self, role: &Role, now: Timestamp) {
        let offers = match self.offers.get_mut(role) {
            Some(offers) => offers,
            None => self.offers.entry(role.clone()).or_default(),
        };
        *offers = OfferCount { count: offers.count + 1, last: now };
    }

    /// How many offers to `role` were looked at.
    pub(crate) fn offers_to(&self, role: &Role) -> OfferCount {
        self.offers.get(role).copied().unwrap_or_default()
    }

    /// When the first instance is due to be looked at.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// When the time of a deployment is up.
    pub(crate) fn deployments_deadline(&self) -> Option<Timestamp> {
        self.deployments.deadline()
    }

    /// The instances that are due at `now`, the longest due first.
    pub(crate) fn due(&self, now: Timestamp) -> impl Iterator<Item = Uuid> {
        self.timers.iter().take_while(move |(at, _)| *at <= now).map(|(_, uuid)| *uuid)
    }

    /// A copy that knows `pods` with their instances, and of all others what they are and how many copies they
    /// have.
    pub(crate) fn excerpt(&self, pods: &BTreeSet<PodId>) -> Self {
        let instances = pods.iter().filter_map(|id| self.pods.get(id)).flat_map(|pod| &pod.instances);
        Self {
            pods: self.pods.excerpt(pods),
            instances: instances
                .filter_map(|uuid| Some((*uuid, self.instances.get(uuid)?.clone())))
                .collect(),
            groups: self.groups.clone(),
            deployments: self.deployments.clone(),
            ..Self::default()
        }
    }

    /// Forgets what groups say.
    pub(crate) fn forget_groups(&mut self) {
        self.groups = Groups::default();
    }

    /// Reads off what has to be recorded, and begins a new collection.
    pub(crate) fn take_records(&mut self) -> Vec<Record> {
        let keys = std::mem::take(&mut self.changes.keys);
        let mut instances = std::mem::take(&mut self.changes.instances);
        instances.sort_unstable();
        instances.dedup();
        let mut records = Vec::with_capacity(keys.len() + instances.len());
        records.extend(keys.into_iter().map(|key| self.record(key)));
        records.extend(instances.drain(..).map(|(pod, uuid)| match self.instances.get(&uuid) {
            Some(slot) => Record::Put(Entry::Instance(slot.instance.clone())),
            None => Record::Delete(Key::Instance(InstanceId { pod, uuid })),
        }));
        // The next step has room for as many.
        self.changes.instances = instances;
        records
    }

    fn record(&self, key: Key) -> Record {
        let entry = match &key {
            Key::Deployment(id) => self.deployments.all().get(id).cloned().map(Entry::Deployment),
            Key::Forgotten(id) => self.forgotten.get(&id.uuid).cloned().map(Entry::Forgotten),
            Key::Framework => {
                Some(&self.identity).filter(|own| !own.is_empty()).cloned().map(Entry::Framework)
            }
            Key::Group(id, version) => self.groups.definition(id, *version).cloned().map(Entry::Group),
            Key::Leftover(id) => self.leftovers.get(id.uuid).cloned().map(Entry::Leftover),
            Key::Instance(id) => {
                self.instances.get(&id.uuid).map(|slot| Entry::Instance(slot.instance.clone()))
            }
            Key::Pod(id) => self.pods.get(id).map(|pod| Entry::Pod(pod.state.clone())),
            Key::PodVersion(id, version) => {
                let spec = self.pods.get(id).and_then(|pod| pod.spec_of(*version));
                spec.cloned().map(Entry::PodVersion)
            }
            Key::Termination(id, incarnation) => {
                self.termination(id, *incarnation).cloned().map(Entry::Termination)
            }
        };
        entry.map_or(Record::Delete(key), Record::Put)
    }

    /// Puts `slot` in its place, whose instance was `before`.
    fn put_slot(&mut self, config: &Config, mut slot: Slot, before: Option<Derived>) {
        let uuid = slot.instance.id.uuid;
        self.changes.instances.push((slot.instance.id.pod.clone(), uuid));
        self.derive(config, &mut slot, before);
        self.instances.insert(uuid, slot);
    }

    /// Takes `slot` out of everything that is derived from it, its timer apart, and says what it was.
    fn forget_derived(&mut self, slot: &Slot) -> Option<Derived> {
        let instance = &slot.instance;
        self.overdue_words.remove(instance);
        self.awaited_homes.remove(instance);
        let pod = self.pods.get_mut(&instance.id.pod)?;
        let derived = Derived::of(instance, pod);
        pod.tally.remove(derived.is_current, derived.stage);
        if let Some(ranks) = &mut pod.ranks {
            ranks.remove((instance, derived.stage, derived.is_current), &pod.constraints);
        }
        if let Some(agent) = place_of(instance, pod, derived.is_current) {
            pod.placed.remove(agent);
        }
        // What any copy does may open a place to those that wait.
        if !pod.waiting.is_empty() {
            pod.waiting.remove(instance);
            self.changes.waiting.insert(instance.id.pod.clone());
        }
        Some(derived)
    }

    /// Puts `slot` into everything that is derived from it. Its instance was `before`.
    fn derive(&mut self, config: &Config, slot: &mut Slot, before: Option<Derived>) {
        let instance = &slot.instance;
        let uuid = instance.id.uuid;
        self.overdue_words.add(instance, self.now);
        self.awaited_homes.add(instance);
        let pod = self.pods.get_or_insert(&instance.id.pod);
        let derived = Derived::of(instance, pod);
        let Derived { is_current, stage, .. } = derived;
        if before.is_some_and(|before| before.status != derived.status) {
            Arc::make_mut(&mut slot.instance).status_since = self.now;
        }
        let instance = &slot.instance;
        // What rollouts decide follows from how many copies are in which stage.
        if before.is_none_or(|before| (before.is_current, before.stage) != (is_current, stage)) {
            self.changes.touched.insert(instance.id.pod.clone());
        }
        pod.tally.add(is_current, stage);
        if let Some(ranks) = &mut pod.ranks {
            ranks.add((instance, stage, is_current), &pod.constraints);
            if ranks.are_useless(pod.instances.len()) {
                pod.ranks = None;
            }
        }
        if let Some(agent) = place_of(instance, pod, is_current) {
            pod.placed.add(agent);
        }
        if stage == Stage::Waiting && pod.waiting.add(instance) {
            self.changes.waiting.insert(instance.id.pod.clone());
            self.changes.demand = true;
            let waited_before = before.is_some_and(|before| before.stage == Stage::Waiting);
            if pod.waiting.len() == 1 && !waited_before {
                // A new attempt: what became of earlier offers is no longer of interest.
                let role = pod.spec().map_or(&instance.role, |spec| &spec.role);
                let offers = self.offers.get(role).copied().unwrap_or_default();
                pod.refusals = RefusalStatistics::begin(offers);
            }
        }
        if lifecycle::must_die(instance) && instance.tasks.iter().any(Task::can_be_killed) {
            self.kills.add(uuid);
        } else {
            self.kills.remove(uuid);
        }
        // Most changes leave the timer as it is.
        let deadline = lifecycle::deadline(instance, stage, pod.unreachable_strategy(), config);
        let before = std::mem::replace(&mut slot.deadline, deadline);
        if deadline != before {
            if let Some(at) = before {
                self.timers.remove(&(at, uuid));
            }
            if let Some(at) = deadline {
                self.timers.insert((at, uuid));
            }
        }
    }

    /// Derives everything of one pod anew, after its definition changed.
    fn recount(&mut self, config: &Config, id: &PodId) {
        let Some(pod) = self.pods.get_mut(id) else { return };
        pod.tally = Tally::default();
        pod.ranks = None;
        pod.constraints = pod
            .spec()
            .map(|spec| Constraints::compile(&spec.scheduling.placement.constraints))
            .unwrap_or_default();
        pod.placed = pod.constraints.counts();
        pod.waiting.clear();
        self.changes.waiting.insert(id.clone());
        let uuids: Vec<Uuid> = pod.instances.iter().copied().collect();
        let versions = uuids.iter().filter_map(|uuid| self.instances.get(uuid));
        pod.compatible = pod.compatible_of(versions.map(|slot| slot.instance.version).collect());
        for uuid in uuids {
            let Some(mut slot) = self.instances.remove(&uuid) else { continue };
            self.derive(config, &mut slot, None);
            self.instances.insert(uuid, slot);
        }
    }
}

/// What an instance is in the eyes of its pod.
#[derive(Clone, Copy)]
struct Derived {
    /// The status in which it is shown.
    status: PodInstanceState,
    stage: Stage,
    is_current: bool,
}

impl Derived {
    fn of(instance: &Instance, pod: &Pod) -> Self {
        let stage = pod.stage(instance);
        let status = PodInstanceState::of(stage, instance);
        Self { status, stage, is_current: pod.counts_as_current(instance, stage) }
    }
}

/// The agent on which `instance` takes up a place that constraints count: an old one takes none while it is about to
/// be replaced, or its successor might find none. One with volumes comes back to them as the new version.
fn place_of<'a>(instance: &'a Instance, pod: &Pod, is_current: bool) -> Option<&'a AgentInfo> {
    let comes_back = || instance.residence.is_some() && pod.spec().is_some_and(|spec| spec.is_resident());
    let stays = is_current || pod.deployment.is_none() || comes_back();
    instance.agent.as_deref().filter(|_| stays && holds_place(instance))
}

impl Changes {
    fn note_instance_changed(&mut self, instance: &Instance) {
        self.events.push(ApiEventKind::InstanceChangedEvent {
            instance_id: instance.id.clone(),
            condition: instance.condition,
            goal: instance.goal,
            run_spec_id: instance.id.pod.clone(),
            agent_id: instance.agent_id().cloned(),
            host: instance.agent.as_ref().map(|agent| agent.host.clone()),
            run_spec_version: instance.version,
        });
    }

    fn note_health_changed(&mut self, instance: &Instance) {
        self.events.push(ApiEventKind::InstanceHealthChangedEvent {
            instance_id: instance.id.clone(),
            run_spec_id: instance.id.pod.clone(),
            healthy: instance.healthy,
            run_spec_version: instance.version,
        });
    }
}
