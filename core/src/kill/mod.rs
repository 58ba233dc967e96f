//! How things end: whom to kill first, how many at once, and how often to ask.
//!
//! Whether an instance must die is a property of the instance (`lifecycle::must_die`), durable with it. This
//! queue only paces the asking: a limited number at a time, oldest request first, each repeated with growing
//! pauses until Mesos confirms the end, because a `KILL` can get lost without a trace. The default executor ignores
//! one that comes before a container has been started, so a container that starts after it was asked to end is
//! asked again at once. When repeating does not help, the executor itself is shut down.

#[cfg(debug_assertions)]
mod plainly;
mod ranks;
mod selection;
mod strays;
#[cfg(all(test, debug_assertions))]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

#[cfg(debug_assertions)]
pub(crate) use self::plainly::choose as choose_plainly;
pub(crate) use self::ranks::Ranks;
pub(crate) use self::selection::{Among, Choice, Preference, Versions};
pub(crate) use self::strays::Strays;
use crate::config::Config;
use crate::marks::Mark;
use crate::model::ids::{AgentId, TaskId, Uuid};
use crate::model::instance::Task;
use crate::model::mesos::Call;
use crate::model::time::Timestamp;
use crate::scheduler::Scheduler;

/// So many requests are repeated before the executor itself is shut down. With the default settings that
/// comes after two minutes, and never before the containers' grace periods are over: a shutdown knows none.
const ATTEMPTS_BEFORE_SHUTDOWN: u32 = 7;

/// Who was asked more often than this, which takes 14 s, does not keep others from being asked: its containers may have
/// a long grace period, or its agent may hang.
const ATTEMPTS_IN_CHUNK: u32 = 3;

/// Instances that must end, and how far the asking has got.
#[derive(Clone, Debug, Default)]
pub(crate) struct KillQueue {
    /// Those not asked yet, in the order in which they were added.
    waiting: BTreeMap<u64, Uuid>,
    /// Their places in `waiting`.
    places: FxHashMap<Uuid, u64>,
    /// The next free place.
    next_place: u64,
    /// Those asked and not yet ended.
    in_flight: BTreeMap<Uuid, Attempts>,
    /// So many of those count towards the chunk that is asked at once.
    chunk: usize,
    /// When to ask them again.
    timers: BTreeSet<(Timestamp, Uuid)>,
}

#[derive(Clone, Copy, Debug)]
struct Attempts {
    made: u32,
    next: Timestamp,
    /// Its place in `waiting` before it was asked.
    place: u64,
    /// When it was asked first.
    since: Timestamp,
}

impl Attempts {
    fn count_towards_chunk(&self) -> bool {
        self.made <= ATTEMPTS_IN_CHUNK
    }
}

impl KillQueue {
    /// Adds an instance, unless it is there already.
    pub(crate) fn add(&mut self, uuid: Uuid) {
        if self.in_flight.contains_key(&uuid) || self.places.contains_key(&uuid) {
            return;
        }
        self.places.insert(uuid, self.next_place);
        self.waiting.insert(self.next_place, uuid);
        self.next_place += 1;
    }

    /// Removes an instance, because it has ended, is out of reach or need not end after all.
    pub(crate) fn remove(&mut self, uuid: Uuid) {
        if let Some(place) = self.places.remove(&uuid) {
            self.waiting.remove(&place);
        }
        if let Some(attempts) = self.in_flight.remove(&uuid) {
            self.timers.remove(&(attempts.next, uuid));
            self.chunk -= usize::from(attempts.count_towards_chunk());
        }
    }

    /// Whether an instance was asked and has not ended.
    pub(crate) fn was_asked(&self, uuid: Uuid) -> bool {
        self.in_flight.contains_key(&uuid)
    }

    /// When somebody has to be asked again; at once if somebody has not been asked and may be.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Forgets how often anybody was asked: there is a new connection. The order stays.
    fn start_over(&mut self) {
        self.timers.clear();
        self.chunk = 0;
        for (uuid, attempts) in std::mem::take(&mut self.in_flight) {
            self.places.insert(uuid, attempts.place);
            self.waiting.insert(attempts.place, uuid);
        }
    }

    /// The next instance to be asked, with the number of attempts made before and since when they have been made.
    fn next(&mut self, now: Timestamp, config: &Config) -> Option<(Uuid, u32, Timestamp)> {
        let (uuid, made, place, since) = match self.timers.first().copied() {
            Some((at, uuid)) if at <= now => {
                self.timers.pop_first();
                let asked = self.in_flight.remove(&uuid)?;
                self.chunk -= usize::from(asked.count_towards_chunk());
                (uuid, asked.made, asked.place, asked.since)
            }
            _ if self.chunk < config.kill_chunk_size => {
                let (place, uuid) = self.waiting.pop_first()?;
                self.places.remove(&uuid);
                (uuid, 0, place, now)
            }
            _ => return None,
        };
        let next = now + config.kill_pause(made);
        let attempts = Attempts { made: made + 1, next, place, since };
        self.chunk += usize::from(attempts.count_towards_chunk());
        self.in_flight.insert(uuid, attempts);
        self.timers.insert((next, uuid));
        Some((uuid, made, since))
    }
}

/// The call that asks for the end of a task.
pub(crate) fn kill_call(task_id: TaskId, agent_id: Option<AgentId>) -> Call {
    Call::Kill { task_id, agent_id, grace_period: None }
}

impl Scheduler {
    /// Asks for the end of whatever must end and is due to be asked. Does nothing without a connection.
    pub(crate) fn pump_kills(&mut self) {
        if !self.is_connected() {
            return;
        }
        while let Some((uuid, attempts, since)) = self.state.kills.next(self.now, &self.config) {
            let Some(instance) = self.state.instance(uuid) else {
                self.state.kills.remove(uuid);
                continue;
            };
            let agent_id = instance.agent_id().cloned();
            let mut calls: Vec<Call> = instance
                .tasks
                .iter()
                .filter(|task| Task::can_be_killed(task))
                .map(|task| kill_call(instance.task_id(task), agent_id.clone()))
                .collect();
            let spec = self.state.pod(&instance.id.pod).and_then(|pod| pod.spec_of(instance.version));
            let grace = spec.and_then(|spec| spec.longest_kill_grace_period()).unwrap_or_default();
            let mut gives_up_asking = false;
            if attempts >= ATTEMPTS_BEFORE_SHUTDOWN
                && self.now.since(since) > grace
                && let Some(agent_id) = agent_id
            {
                gives_up_asking = true;
                calls.push(Call::Shutdown { executor_id: instance.id.executor_id(), agent_id });
            }
            if attempts > 0 {
                self.mark(if gives_up_asking { Mark::ExecutorShutDown } else { Mark::KillRepeated });
            }
            for call in calls {
                self.call(call);
            }
        }
    }

    /// A new connection: whatever was asked on the old one may not have been heard.
    pub(crate) fn restart_kills(&mut self) {
        self.state.kills.start_over();
    }
}
