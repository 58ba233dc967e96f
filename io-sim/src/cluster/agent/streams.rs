//! The status update manager: one stream of updates per task, whose head is sent again until the scheduler
//! acknowledges it, and only then the next.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use podium_core::model::ids::{FrameworkId, TaskId};
use podium_core::model::mesos::{FrameworkInfo, StatusReason, StatusUuid, TaskState, TaskStatus};

use super::{ExecutorState, Framework, Machine, Phase, Sender};
use crate::cluster::env::Env;
use crate::cluster::queue::Alarm;
use crate::cluster::wire::{AgentTimer, ToExecutor, ToMaster};

/// The streams of one framework's tasks.
#[derive(Clone, Debug, Default)]
pub(super) struct Streams(BTreeMap<TaskId, Stream>);

#[derive(Clone, Debug)]
struct Stream {
    /// Never empty.
    pending: VecDeque<Arc<TaskStatus>>,
    /// The wait after the next try.
    interval: Duration,
    alarm: Option<Alarm>,
}

impl Machine {
    /// An update of a task, from its executor or made by this agent: stored, and sent when it is its turn. Says
    /// whether it was dealt with; a framework that is being removed gets no updates.
    pub(super) fn update(
        &mut self,
        env: &mut Env,
        framework_id: &FrameworkId,
        mut status: Arc<TaskStatus>,
    ) -> bool {
        let connected = self.agent.phase == Phase::Registered;
        let sender = self.sender();
        let drain = self.agent.drain;
        let Some(framework) = self.agent.frameworks.get_mut(framework_id) else { return false };
        if framework.terminating {
            return false;
        }
        // While draining, the end of a task is the operator's doing.
        if let Some(drain) = drain
            && matches!(status.state, TaskState::TaskKilling | TaskState::TaskKilled)
        {
            let gone = drain.mark_gone
                && framework.or_lost(TaskState::TaskGoneByOperator) == TaskState::TaskGoneByOperator;
            let status = Arc::make_mut(&mut status);
            status.reason = Some(StatusReason::ReasonAgentDraining);
            if gone {
                status.state = TaskState::TaskGoneByOperator;
            }
        }
        if let Some(task) = framework.task_mut(&status) {
            if task.state.is_terminal() {
                return true;
            }
            task.state = status.state;
        }
        let task_id = status.task_id.clone();
        match framework.streams.0.get_mut(&task_id) {
            Some(stream) => {
                let known = stream.pending.iter().any(|pending| pending.uuid == status.uuid);
                let ended = stream.pending.back().is_some_and(|last| last.state.is_terminal());
                if !known && !ended {
                    stream.pending.push_back(status);
                }
            }
            None => {
                let stream = Stream {
                    pending: VecDeque::from([status]),
                    interval: env.config.agent.update_retry_min,
                    alarm: None,
                };
                framework.streams.0.insert(task_id.clone(), stream);
                if connected {
                    framework.forward(env, sender, framework_id, &task_id);
                }
            }
        }
        true
    }

    pub(super) fn acknowledged(
        &mut self,
        env: &mut Env,
        framework_id: &FrameworkId,
        task_id: &TaskId,
        uuid: StatusUuid,
    ) {
        let sender = self.sender();
        let connected = self.agent.phase == Phase::Registered;
        let Some(framework) = self.agent.frameworks.get_mut(framework_id) else { return };
        let Some(stream) = framework.streams.0.get_mut(task_id) else { return };
        if stream.pending.front().is_none_or(|head| head.uuid != Some(uuid)) {
            return;
        }
        let Some(head) = stream.pending.pop_front() else { return };
        env.queue.cancel(stream.alarm.take());
        stream.interval = env.config.agent.update_retry_min;
        if !stream.pending.is_empty() {
            if connected {
                framework.forward(env, sender, framework_id, task_id);
            }
            return;
        }
        framework.streams.0.remove(task_id);
        if !head.state.is_terminal() {
            return;
        }
        if let Some(executor_id) = &head.executor_id
            && let Some(executor) = framework.executors.get_mut(executor_id)
        {
            executor.tasks.remove(task_id);
            if executor.state == ExecutorState::Terminated && executor.tasks.is_empty() {
                framework.executors.remove(executor_id);
            }
        }
        self.remove_framework_if_idle(env, framework_id);
    }

    pub(super) fn retry_update(&mut self, env: &mut Env, framework_id: FrameworkId, task_id: &TaskId) {
        let sender = self.sender();
        if self.agent.phase != Phase::Registered {
            return;
        }
        if let Some(framework) = self.agent.frameworks.get_mut(&framework_id) {
            let max = env.config.agent.update_retry_max;
            if let Some(stream) = framework.streams.0.get_mut(task_id) {
                stream.alarm = None;
                stream.interval = (stream.interval * 2).min(max);
            }
            framework.forward(env, sender, &framework_id, task_id);
        }
    }

    /// The agent has a master (again): the head of every stream is sent at once.
    pub(super) fn resume_streams(&mut self, env: &mut Env) {
        let sender = self.sender();
        let interval = env.config.agent.update_retry_min;
        for (framework_id, framework) in &mut self.agent.frameworks {
            let tasks: Vec<TaskId> = framework.streams.0.keys().cloned().collect();
            for task_id in tasks {
                if let Some(stream) = framework.streams.0.get_mut(&task_id) {
                    env.queue.cancel(stream.alarm.take());
                    stream.interval = interval;
                }
                framework.forward(env, sender, framework_id, &task_id);
            }
        }
    }

    pub(super) fn pause_streams(&mut self, env: &mut Env) {
        for framework in self.agent.frameworks.values_mut() {
            framework.pause_streams(env);
        }
    }

    /// The framework subscribed again, or changed: its executors hear of it, and as Mesos does, the heads of all
    /// streams are sent again, also other frameworks'.
    pub(super) fn update_framework(
        &mut self,
        env: &mut Env,
        framework_id: &FrameworkId,
        info: &Arc<FrameworkInfo>,
    ) {
        let sender = self.sender();
        let Some(framework) = self.agent.frameworks.get_mut(framework_id) else { return };
        if framework.terminating {
            return;
        }
        framework.info = info.clone();
        for record in framework.executors.values() {
            if let Some(executor) = self.executors.get(&record.number) {
                let message = ToExecutor::UpdateFramework(info.clone());
                env.send_to_executor(sender.address, executor.address(), message);
            }
        }
        if self.agent.phase == Phase::Registered {
            self.resume_streams(env);
        }
    }
}

impl Framework {
    /// Sends the head of a task's stream, and plans to send it again.
    fn forward(&mut self, env: &mut Env, sender: Sender, framework_id: &FrameworkId, task_id: &TaskId) {
        if self.terminating {
            return;
        }
        let Some(stream) = self.streams.0.get_mut(task_id) else { return };
        let Some(head) = stream.pending.front().cloned() else { return };
        let timer = AgentTimer::RetryUpdate(framework_id.clone(), task_id.clone());
        stream.alarm = Some(env.plan_agent(sender.address, stream.interval, timer));
        let mut latest = head.state;
        if let Some(task) = self.task_mut(&head) {
            task.forwarded = Some(head.clone());
            latest = task.state;
        }
        let framework_id = framework_id.clone();
        env.send_to_master(
            sender.address.0,
            sender.master,
            ToMaster::StatusUpdate { framework_id, status: head, latest },
        );
    }

    fn task_mut(&mut self, status: &TaskStatus) -> Option<&mut super::TaskRecord> {
        self.executors.get_mut(status.executor_id.as_ref()?)?.tasks.get_mut(&status.task_id)
    }

    /// Nothing is sent for now. What is stored stays, should the agent die before it has forgotten the framework.
    pub(super) fn pause_streams(&mut self, env: &mut Env) {
        for stream in self.streams.0.values_mut() {
            env.queue.cancel(stream.alarm.take());
        }
    }

    pub(super) fn has_streams(&self) -> bool {
        !self.streams.0.is_empty()
    }
}

/// A framework that is only known by an update that is owed to it.
pub(super) fn framework_for_updates(info: &Arc<FrameworkInfo>) -> Framework {
    Framework::new(info.clone())
}
