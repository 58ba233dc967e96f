//! Nothing is said to anybody before it is durable.
//!
//! Whatever the scheduler has told Mesos or a client, its successor must know: so at the moment a call leaves
//! or an answer goes out, the store must already say what follows from it.

use std::collections::{BTreeMap, BTreeSet};

use podium_core::model::group::GroupUpdate;
use podium_core::model::ids::{GroupId, InstanceId, ParsedTaskId, PodId, TaskId};
use podium_core::model::instance::{Condition, Goal, Instance};
use podium_core::model::mesos::{Call, Event, OperationInfo, Resource, StatusUuid, TaskState};
use podium_core::model::time::Timestamp;
use podium_core::{Command, Entry, Input, Key, Record, Response};

use super::Violation;
use super::definitions::is_below;
use super::volumes::resident;
use crate::world::{Answer, Scene, Seen, Store};

const NAME: &str = "durability";

/// Watches over what is said.
#[derive(Clone, Debug, Default)]
pub(super) struct Durability {
    /// The states of the updates that are to be acknowledged.
    updates: BTreeMap<StatusUuid, TaskState>,
    /// What was said last of the health of each task, and in which update.
    health: BTreeMap<TaskId, (Option<StatusUuid>, bool)>,
    /// Pods whose deletion became durable and was not confirmed yet.
    deleted: BTreeSet<PodId>,
}

impl Durability {
    pub(super) fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Stepped { input: Input::Event(event), .. } => {
                if let Event::Update(status) = &**event {
                    self.updates.extend(status.uuid.map(|uuid| (uuid, status.state)));
                    if let Some(healthy) = status.healthy.filter(|_| status.state == TaskState::TaskRunning) {
                        self.health.insert(status.task_id.clone(), (status.uuid, healthy));
                    }
                }
            }
            Seen::Died { .. } => {
                self.updates.clear();
                self.health.clear();
            }
            Seen::Decided { command, result: Ok(_) } => see_decision(command, scene.store)?,
            Seen::Written(records) => {
                let deleted = records.iter().filter_map(|record| match record {
                    Record::Put(Entry::Pod(pod)) if pod.current.is_none() => Some(pod.id.clone()),
                    _ => None,
                });
                self.deleted.extend(deleted);
            }
            Seen::Call(call) => self.see_call(call, scene.store)?,
            Seen::Answered { answer: Answer::Scheduler(Ok(response)), request, .. } => {
                if let (Response::PodDeleted { .. }, Some(pod)) = (&**response, request.pod())
                    && !self.deleted.remove(&PodId::from(pod))
                {
                    let sentence = format!("the deletion of pod {pod} was confirmed before it was durable");
                    return Err(Violation::new(NAME, sentence));
                }
                see_answer(response, scene.store)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn see_call(&mut self, call: &Call, store: &Store) -> Result<(), Violation> {
        match call {
            Call::Accept { operations, .. } => {
                if store.get(&Key::Framework).is_none() {
                    return Err(Violation::new(
                        NAME,
                        "a launch was sent before the framework's id was durable",
                    ));
                }
                for operation in operations {
                    if let OperationInfo::Unreserve(resources) = &operation.info {
                        is_released(resources, store)?;
                    }
                    let OperationInfo::LaunchGroup(launch) = &operation.info else { continue };
                    for task in &launch.tasks {
                        let Ok(id) = task.task_id.parse() else { continue };
                        let known = instance(store, &id).is_some_and(|instance| {
                            instance.incarnation == id.incarnation
                                && instance.agent_id() == Some(&task.agent_id)
                        });
                        if !known {
                            let sentence =
                                format!("the launch of {} was sent before it was durable", task.task_id);
                            return Err(Violation::new(NAME, sentence));
                        }
                    }
                }
            }
            Call::Acknowledge { task_id, uuid, .. } => {
                let Some(state) = self.updates.get(uuid).copied() else {
                    let sentence = format!("{task_id} was acknowledged with a uuid that no update had");
                    return Err(Violation::new(NAME, sentence));
                };
                if let Ok(id) = task_id.parse()
                    && let Some(instance) = instance(store, &id)
                    && !reflects(instance, &id, state)
                {
                    let sentence = format!("{state} of {task_id} was acknowledged before it was durable");
                    return Err(Violation::new(NAME, sentence));
                }
                if let Some((newest, healthy)) = self.health.get(task_id)
                    && newest.as_ref() == Some(uuid)
                    && let Ok(id) = task_id.parse()
                    && let Some(instance) = instance(store, &id)
                    && !reflects_health(instance, &id, *healthy)
                {
                    let sentence =
                        format!("the health of {task_id} was acknowledged before it was durable: {healthy}");
                    return Err(Violation::new(NAME, sentence));
                }
            }
            Call::Kill { task_id, .. } => {
                if let Ok(id) = task_id.parse()
                    && let Some(instance) = instance(store, &id)
                    && !may_kill(instance, &id)
                {
                    let sentence = format!("the end of {task_id} was asked for before the wish was durable");
                    return Err(Violation::new(NAME, sentence));
                }
            }
            Call::Shutdown { executor_id, .. } => {
                let uuid = executor_id.as_str().rsplit_once('.').and_then(|(_, uuid)| uuid.parse().ok());
                let mut stored = store.entries().filter_map(|entry| match entry {
                    Entry::Instance(instance) if Some(instance.id.uuid) == uuid => Some(instance),
                    _ => None,
                });
                let may_end =
                    |it: &Instance| it.goal != Goal::Running || it.kill_requested.is_some() || it.has_ended();
                if stored.next().is_some_and(|instance| !may_end(instance)) {
                    let sentence =
                        format!("the end of {executor_id} was asked for before the wish was durable");
                    return Err(Violation::new(NAME, sentence));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Whether what belongs to instances is given back only after these have gone.
fn is_released(resources: &[Resource], store: &Store) -> Result<(), Violation> {
    let is_there = |instance: &InstanceId| store.get(&Key::Instance(instance.clone())).is_some();
    match resources.iter().filter_map(resident).find(is_there) {
        Some(instance) => {
            let sentence = format!("what {instance} has was given back before its end was durable");
            Err(Violation::new(NAME, sentence))
        }
        None => Ok(()),
    }
}

fn instance<'a>(store: &'a Store, id: &ParsedTaskId<'_>) -> Option<&'a Instance> {
    match store.get(&Key::Instance(id.instance())) {
        Some(Entry::Instance(instance)) => Some(instance),
        _ => None,
    }
}

/// Whether the stored instance knows that the task has got as far as `state`.
fn reflects(instance: &Instance, id: &ParsedTaskId<'_>, state: TaskState) -> bool {
    if instance.incarnation != id.incarnation {
        return instance.incarnation > id.incarnation;
    }
    let Some(task) = instance.tasks.iter().find(|task| *task.container == *id.container) else { return true };
    let reached =
        |least: Condition| task.condition.is_terminal() || task.reached >= least || task.condition >= least;
    match state {
        TaskState::TaskStaging => reached(Condition::Staging),
        TaskState::TaskStarting => reached(Condition::Starting),
        TaskState::TaskRunning => reached(Condition::Running),
        TaskState::TaskKilling => reached(Condition::Killing),
        TaskState::TaskUnreachable => true,
        _ => task.condition.is_terminal(),
    }
}

/// Whether the stored instance knows the health of the task.
fn reflects_health(instance: &Instance, id: &ParsedTaskId<'_>, healthy: bool) -> bool {
    let task = instance.tasks.iter().find(|task| *task.container == *id.container);
    instance.incarnation != id.incarnation
        || task.is_none_or(|task| task.condition.is_terminal() || task.healthy == Some(healthy))
}

/// Whether what a client is about to be told is so in the store.
fn see_decision(command: &Command, store: &Store) -> Result<(), Violation> {
    let groups = || {
        let groups = store.entries().filter_map(|entry| match entry {
            Entry::Group(group) => Some(group),
            _ => None,
        });
        // What a later definition says counts.
        groups.map(|group| (&group.id, group)).collect::<BTreeMap<_, _>>()
    };
    let settings =
        |id: &GroupId| groups().get(id).and_then(|group| group.settings.clone()).unwrap_or_default();
    let sentence = match command {
        Command::CreateGroup { group } | Command::UpdateGroup { group } => {
            let is_so = |wanted: &GroupUpdate| {
                let is = settings(&wanted.id);
                wanted.dependencies.as_ref().is_none_or(|dependencies| *dependencies == is.dependencies)
                    && wanted.enforce_role.is_none_or(|enforce| enforce == is.enforce_role)
            };
            let mut wanted = vec![group];
            let mut changed = None;
            while let Some(group) = wanted.pop().filter(|_| changed.is_none()) {
                changed = (!is_so(group)).then_some(&group.id);
                wanted.extend(group.groups.iter().flatten());
            }
            changed.map(|group| format!("the change of group {group}"))
        }
        Command::EnforceGroupRole { id, enforce_role } => {
            (settings(id).enforce_role != *enforce_role).then(|| format!("the change of group {id}"))
        }
        Command::DeleteGroup { id, .. } => {
            let is_left = store.entries().any(|entry| match entry {
                Entry::Pod(pod) => pod.current.is_some() && is_below(&pod.id, id),
                _ => false,
            });
            is_left.then(|| format!("the deletion of group {id}"))
        }
        Command::CancelDeployment { id, .. } => {
            let is_there = store.get(&Key::Deployment(id.clone())).is_some();
            is_there.then(|| format!("the end of deployment {id}"))
        }
        _ => None,
    };
    match sentence {
        Some(what) => Err(Violation::new(NAME, format!("{what} was confirmed before it was durable"))),
        None => Ok(()),
    }
}

/// Whether the stored instance says that the task shall end.
fn may_kill(instance: &Instance, id: &ParsedTaskId<'_>) -> bool {
    let task = instance.tasks.iter().find(|task| *task.container == *id.container);
    instance.goal != Goal::Running
        || instance.kill_requested.is_some()
        || instance.incarnation > id.incarnation
        // It was given up for ended and turned out to be alive.
        || task.is_none_or(|task| task.condition.is_terminal())
}

fn see_answer(response: &Response, store: &Store) -> Result<(), Violation> {
    match response {
        Response::PodCreated { pod, .. } | Response::PodUpdated { pod, .. } => {
            let version = Key::PodVersion(pod.id.clone(), pod.version);
            let newest = match store.get(&Key::Pod(pod.id.clone())) {
                Some(Entry::Pod(state)) => state.newest,
                _ => Timestamp::EPOCH,
            };
            if store.get(&version).is_none() || newest < pod.version {
                let sentence =
                    format!("version {} of pod {} was confirmed before it was durable", pod.version, pod.id);
                return Err(Violation::new(NAME, sentence));
            }
        }
        Response::InstancesKilled(killed) => {
            if let Some(killed) = killed.iter().find(|killed| is_untouched(killed, store)) {
                let sentence = format!("the end of {} was confirmed before it was durable", killed.id);
                return Err(Violation::new(NAME, sentence));
            }
        }
        _ => {}
    }
    Ok(())
}

/// Whether `killed`, which ran, still runs for all that is stored.
fn is_untouched(killed: &Instance, store: &Store) -> bool {
    match store.get(&Key::Instance(killed.id.clone())) {
        Some(Entry::Instance(stored)) => {
            !killed.has_ended()
                && stored.incarnation == killed.incarnation
                && stored.goal == Goal::Running
                && stored.kill_requested.is_none()
                && !stored.has_ended()
        }
        _ => false,
    }
}
