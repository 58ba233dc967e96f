//! The agent's side of its executors' lives: subscription, shutdown, and end.

use std::sync::Arc;

use podium_core::model::ids::{ExecutorId, FrameworkId, TaskId};
use podium_core::model::mesos::{StatusReason, TaskState, TaskStatus};

use super::{ExecutorState, Machine, Termination};
use crate::cluster::config::describe_duration;
use crate::cluster::env::Env;
use crate::cluster::executor::{Executor, Process};
use crate::cluster::wire::{AgentTimer, ExecutorNumber, ToExecutor};

impl Machine {
    /// An executor says hello: after its launch, or to a restarted agent.
    pub(super) fn executor_subscribed(
        &mut self,
        env: &mut Env,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
        (unacknowledged, tasks): (Vec<Arc<TaskStatus>>, Vec<TaskId>),
    ) {
        let address = self.address();
        let Some(record) = self.agent.executor_mut(framework_id, executor_id) else { return };
        if record.state != ExecutorState::Registering {
            // It was given up or told to end before it came.
            let number = record.number;
            if let Some(executor) = self.executors.get(&number) {
                env.send_to_executor(address, executor.address(), ToExecutor::Shutdown);
            }
            return;
        }
        record.state = ExecutorState::Running;
        env.queue.cancel(record.timeout.take());
        let Some(executor) = self.executors.get(&record.number) else { return };
        let executor_address = executor.address();
        let idle = !record.ever_sent_task && record.queued.is_empty();
        let staging = record.tasks.values().filter(|task| {
            task.state == TaskState::TaskStaging
                && !tasks.contains(&task.info.task_id)
                && !unacknowledged.iter().any(|status| status.task_id == task.info.task_id)
        });
        let never_delivered: Vec<_> = staging.map(|task| task.info.clone()).collect();
        let queued = std::mem::take(&mut record.queued);

        env.send_to_executor(address, executor_address, ToExecutor::Subscribed);
        for status in unacknowledged {
            let uuid = status.uuid;
            if self.update(env, framework_id, status)
                && let Some(uuid) = uuid
            {
                env.send_to_executor(address, executor_address, ToExecutor::Acknowledged { uuid });
            }
        }
        for task in never_delivered {
            let Some(framework) = self.agent.frameworks.get(framework_id) else { return };
            let state = framework.or_lost(TaskState::TaskDropped);
            let (reason, text) = (StatusReason::ReasonAgentRestarted, "Task launched during agent restart");
            let status = self.agent_status(env, (&task, state), reason, text, executor_id);
            self.update(env, framework_id, Arc::new(status));
        }
        if idle {
            self.shut_down_executor(env, framework_id, executor_id);
        } else {
            for group in queued {
                self.deliver(env, framework_id, executor_id, group);
            }
        }
    }

    pub(super) fn executor_registration_timeout(
        &mut self,
        env: &mut Env,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
        number: ExecutorNumber,
    ) {
        let timeout = describe_duration(env.config.agent.executor_registration_timeout);
        let Some(record) = self.agent.executor_mut(framework_id, executor_id) else { return };
        if record.number != number || record.state != ExecutorState::Registering {
            return;
        }
        record.state = ExecutorState::Terminating;
        record.termination = Some(Termination {
            state: TaskState::TaskFailed,
            reason: StatusReason::ReasonExecutorRegistrationTimeout,
            message: format!("Executor did not register within {timeout}"),
            limitation: Vec::new(),
        });
        self.destroy(env, number);
    }

    /// Asks an executor to end, and destroys its container when it does not.
    pub(super) fn shut_down_executor(
        &mut self,
        env: &mut Env,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
    ) {
        let address = self.address();
        let Some(record) = self.agent.executor_mut(framework_id, executor_id) else { return };
        if matches!(record.state, ExecutorState::Terminating | ExecutorState::Terminated) {
            return;
        }
        let number = record.number;
        // One that has not registered does not get the message.
        let registered = record.state == ExecutorState::Running;
        record.state = ExecutorState::Terminating;
        env.queue.cancel(record.timeout.take());
        let grace =
            record.info.shutdown_grace_period.unwrap_or(env.config.agent.executor_shutdown_grace_period);
        let timer = AgentTimer::ExecutorShutdown(framework_id.clone(), executor_id.clone(), number);
        record.timeout = Some(env.plan_agent(address, grace, timer));
        if let Some(executor) = self.executors.get(&number).filter(|_| registered) {
            env.send_to_executor(address, executor.address(), ToExecutor::Shutdown);
        }
    }

    /// The framework was removed: its executors end, and nothing about them is reported.
    pub(super) fn shut_down_framework(&mut self, env: &mut Env, framework_id: &FrameworkId) {
        let Some(framework) = self.agent.frameworks.get_mut(framework_id) else { return };
        framework.terminating = true;
        framework.pause_streams(env);
        let executors: Vec<_> = framework.executors.keys().cloned().collect();
        for executor_id in executors {
            let ended = |record: &super::ExecutorRecord| record.state == ExecutorState::Terminated;
            if self.agent.executor(framework_id, &executor_id).is_some_and(ended) {
                self.remove_record(framework_id, &executor_id);
            } else {
                self.shut_down_executor(env, framework_id, &executor_id);
            }
        }
        self.remove_framework_if_idle(env, framework_id);
    }

    /// Nothing is left of an executor's container.
    pub(super) fn executor_terminated(
        &mut self,
        env: &mut Env,
        executor: &Executor,
        status: i32,
        termination: Option<Termination>,
    ) {
        if self.process == super::AgentProcess::Down {
            return;
        }
        let (framework_id, executor_id) = (executor.framework_id.clone(), executor.info.executor_id.clone());
        let record = self.agent.executor(&framework_id, &executor_id);
        if record.is_some_and(|record| record.number == executor.number) {
            let status = if executor.process == Process::Starting { -1 } else { status };
            self.record_terminated(env, (&framework_id, &executor_id), status, termination);
        }
    }

    /// An executor is no more: the master is told, and its tasks that have not ended have now.
    pub(super) fn record_terminated(
        &mut self,
        env: &mut Env,
        (framework_id, executor_id): (&FrameworkId, &ExecutorId),
        status: i32,
        termination: Option<Termination>,
    ) {
        let Some(framework) = self.agent.frameworks.get_mut(framework_id) else { return };
        let terminating = framework.terminating;
        let Some(record) = framework.executors.get_mut(executor_id) else { return };
        if record.state == ExecutorState::Terminated {
            return;
        }
        record.state = ExecutorState::Terminated;
        env.queue.cancel(record.timeout.take());
        let termination = termination.or_else(|| record.termination.take()).unwrap_or_else(|| Termination {
            state: TaskState::TaskFailed,
            reason: StatusReason::ReasonExecutorTerminated,
            message: "Executor terminated".to_owned(),
            limitation: Vec::new(),
        });
        let queued = std::mem::take(&mut record.queued);
        let launched = record.tasks.values().filter(|task| !task.state.is_terminal());
        let mut live: Vec<_> = launched.map(|task| task.info.clone()).collect();
        live.extend(queued.iter().flat_map(|group| group.iter().cloned()));
        // A queued task has to be known so that its end is remembered until it is acknowledged.
        for task in queued.iter().flat_map(|group| group.iter()) {
            let new =
                super::TaskRecord { info: task.clone(), state: TaskState::TaskStaging, forwarded: None };
            record.tasks.insert(task.task_id.clone(), new);
        }
        self.send_exited_executor(env, framework_id, executor_id, status);
        if !terminating {
            for task in live {
                let of = (&*task, termination.state);
                let mut status =
                    self.agent_status(env, of, termination.reason, &termination.message, executor_id);
                status.limitation.clone_from(&termination.limitation);
                self.update(env, framework_id, Arc::new(status));
            }
        }
        let settled = |record: &super::ExecutorRecord| terminating || record.tasks.is_empty();
        if self.agent.executor(framework_id, executor_id).is_some_and(settled) {
            self.remove_record(framework_id, executor_id);
        }
        self.remove_framework_if_idle(env, framework_id);
    }

    fn remove_record(&mut self, framework_id: &FrameworkId, executor_id: &ExecutorId) {
        if let Some(framework) = self.agent.frameworks.get_mut(framework_id) {
            framework.executors.remove(executor_id);
        }
    }

    /// Forgets a framework that has nothing here any more.
    pub(super) fn remove_framework_if_idle(&mut self, env: &mut Env, framework_id: &FrameworkId) {
        let idle = |framework: &super::Framework| {
            framework.executors.is_empty() && (framework.terminating || !framework.has_streams())
        };
        if self.agent.frameworks.get(framework_id).is_some_and(idle) {
            self.agent.frameworks.remove(framework_id);
            if self.agent.frameworks.is_empty() {
                self.agent.drain = None;
            }
            self.end_if_empty(env);
        }
    }
}
