//! Tasks that have no place in any instance and must end: of instances that were given up or replaced and came back, of
//! earlier launches, and, if the settings say so, those without a record.
//!
//! They are hunted as instances are: asked again and again until Mesos says that they have ended, and then their executor
//! is shut down. Nothing of it is stored, since whatever is alive is reported anew after each subscription.

use std::collections::{BTreeMap, BTreeSet};

use super::{ATTEMPTS_BEFORE_SHUTDOWN, kill_call};
use crate::config::Config;
use crate::marks::Mark;
use crate::model::ids::{InstanceId, TaskId};
use crate::model::mesos::{Call, TaskStatus};
use crate::model::time::Timestamp;
use crate::scheduler::Scheduler;
use crate::view::StrayTask;

/// The tasks that are hunted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Strays {
    tasks: BTreeMap<TaskId, Stray>,
    /// When to ask them again.
    timers: BTreeSet<(Timestamp, TaskId)>,
}

#[derive(Clone, Debug)]
struct Stray {
    shown: StrayTask,
    next: Timestamp,
}

impl Strays {
    /// When the next one has to be asked again.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Those that have not ended, by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &StrayTask> {
        self.tasks.values().map(|stray| &stray.shown)
    }

    /// The task has ended, or is out of reach: it is reported if it returns.
    pub(crate) fn remove(&mut self, task_id: &TaskId) {
        if let Some(stray) = self.tasks.remove(task_id) {
            self.timers.remove(&(stray.next, stray.shown.task_id));
        }
    }

    /// `status` says that the task is alive. It is being asked to end.
    fn heard_of(&mut self, status: &TaskStatus, now: Timestamp, config: &Config) {
        if let Some(known) = self.tasks.get_mut(&status.task_id) {
            known.shown.state = status.state;
            known.shown.agent_id.clone_from(&status.agent_id);
            return;
        }
        let shown = StrayTask {
            task_id: status.task_id.clone(),
            agent_id: status.agent_id.clone(),
            state: status.state,
            since: now,
            kills: 1,
        };
        let next = now + config.kill_pause(0);
        self.timers.insert((next, status.task_id.clone()));
        self.tasks.insert(status.task_id.clone(), Stray { shown, next });
    }

    /// The next one to be asked again.
    fn next(&mut self, now: Timestamp, config: &Config) -> Option<StrayTask> {
        self.timers.first().filter(|(at, _)| *at <= now)?;
        let (_, task_id) = self.timers.pop_first()?;
        let stray = self.tasks.get_mut(&task_id)?;
        stray.next = now + config.kill_pause(stray.shown.kills);
        stray.shown.kills += 1;
        self.timers.insert((stray.next, task_id));
        Some(stray.shown.clone())
    }
}

impl Scheduler {
    /// Asks a task without a place to end, now and until it has.
    pub(crate) fn hunt(&mut self, status: &TaskStatus) {
        self.call(kill_call(status.task_id.clone(), status.agent_id.clone()));
        self.strays.heard_of(status, self.now, &self.config);
    }

    /// Asks those again that are due to be asked. Does nothing without a connection.
    pub(crate) fn pump_strays(&mut self) {
        if !self.is_connected() {
            return;
        }
        for _ in 0..self.config.portion {
            let Some(stray) = self.strays.next(self.now, &self.config) else { return };
            self.mark(Mark::KillRepeated);
            self.call(kill_call(stray.task_id.clone(), stray.agent_id.clone()));
            if stray.kills > ATTEMPTS_BEFORE_SHUTDOWN {
                self.shut_down_stray(&stray);
            }
        }
    }

    /// Ends the executor of a task that does not end, after the grace period that its containers may have had, unless a
    /// launch of an instance of ours runs under it.
    fn shut_down_stray(&mut self, stray: &StrayTask) {
        let (Ok(task), Some(agent_id)) = (stray.task_id.parse(), &stray.agent_id) else { return };
        let instance: InstanceId = task.instance();
        let graces = self.state.pod(&instance.pod).into_iter().flat_map(|pod| pod.versions.values());
        let grace = graces.filter_map(|spec| spec.longest_kill_grace_period()).max().unwrap_or_default();
        let is_used = self
            .state
            .instance(instance.uuid)
            .is_some_and(|instance| instance.agent_id() == Some(agent_id) && !instance.has_ended());
        if self.now.since(stray.since) > grace && !is_used {
            self.mark(Mark::ExecutorShutDown);
            let agent_id = agent_id.clone();
            self.call(Call::Shutdown { executor_id: instance.executor_id(), agent_id });
        }
    }
}
