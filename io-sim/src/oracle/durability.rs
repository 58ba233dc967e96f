//! Nothing is said to anybody before it is durable.
//!
//! Whatever the scheduler has told Mesos or a client, its successor must know: so at the moment a call leaves
//! or an answer goes out, the store must already say what follows from it.

use std::collections::{BTreeMap, BTreeSet};

use podium_core::model::ids::{ParsedTaskId, PodId};
use podium_core::model::instance::{Condition, Goal, Instance};
use podium_core::model::mesos::{Call, Event, OperationInfo, StatusUuid, TaskState};
use podium_core::model::time::Timestamp;
use podium_core::{Entry, Input, Key, Record, Response};

use super::Violation;
use crate::world::{Answer, Scene, Seen, Store};

const NAME: &str = "durability";

/// Watches over what is said.
#[derive(Clone, Debug, Default)]
pub(super) struct Durability {
    /// The states of the updates that are to be acknowledged.
    updates: BTreeMap<StatusUuid, TaskState>,
    /// Pods whose deletion became durable and was not confirmed yet.
    deleted: BTreeSet<PodId>,
}

impl Durability {
    pub(super) fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Stepped { input: Input::Event(event), .. } => {
                if let Event::Update(status) = &**event
                    && let Some(uuid) = status.uuid
                {
                    self.updates.insert(uuid, status.state);
                }
            }
            Seen::Died { .. } => self.updates.clear(),
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
            _ => {}
        }
        Ok(())
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
