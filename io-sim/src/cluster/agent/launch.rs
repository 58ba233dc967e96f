//! Task groups on their way to an executor, and kills.

use std::sync::Arc;
use std::time::Duration;

use podium_core::model::ids::{ExecutorId, FrameworkId, TaskId};
use podium_core::model::mesos::{StatusReason, StatusSource, TaskInfo, TaskState, TaskStatus};

use super::{ExecutorRecord, ExecutorState, Framework, Machine, TaskRecord};
use crate::cluster::env::Env;
use crate::cluster::executor::{Executor, NewExecutor};
use crate::cluster::io::{ContainerCommand, ExecutorLaunch};
use crate::cluster::resources::{Resources, is_made_by_operation};
use crate::cluster::wire::{AgentTimer, DrainConfig, Group, RunGroup, ToExecutor, ToMaster};

const KILLED_BEFORE_DELIVERY: &str =
    "A task within the task group was killed before delivery to the executor";

impl Machine {
    /// `RunTaskGroupMessage`: delivers a group, starting its executor if need be, or drops it.
    pub(super) fn run_group(&mut self, env: &mut Env, run: RunGroup) {
        if run.tasks.iter().any(|task| Some(&task.agent_id) != self.agent.id.as_ref()) {
            // Meant for an earlier agent on this machine.
            return;
        }
        if run.tasks.is_empty() {
            return;
        }
        let framework = self
            .agent
            .frameworks
            .entry(run.framework_id.clone())
            .or_insert_with(|| Framework::new(run.framework.clone()));
        if framework.terminating {
            if run.launch_executor {
                self.send_exited_executor(env, &run.framework_id, &run.executor.executor_id, -1);
            }
            return;
        }
        let executor_id = run.executor.executor_id.clone();
        let record = framework.executors.get(&executor_id);
        if self.agent.drain.is_some() {
            return self.drop_group(env, &run, StatusReason::ReasonAgentDraining, "Agent is draining");
        }
        if let Some(unknown) = unknown_resources(&self.agent.total, &run) {
            return self.drop_group(env, &run, StatusReason::ReasonResourcesUnknown, &unknown);
        }
        let terminated = StatusReason::ReasonExecutorTerminated;
        match record.map(|record| record.state) {
            Some(state) if run.launch_executor => {
                // The master has heard of the executor's end, but some task's end is not acknowledged, or the
                // two disagree altogether.
                self.drop_group(
                    env,
                    &run,
                    terminated,
                    "Master wants to launch executor, but one already exists",
                );
                if state != ExecutorState::Terminated {
                    self.shut_down_executor(env, &run.framework_id, &executor_id);
                }
            }
            None if !run.launch_executor => {
                let text = "No executor is expected to launch and there is none running";
                self.drop_group(env, &run, terminated, text);
            }
            Some(ExecutorState::Terminating) => {
                self.drop_group(env, &run, terminated, "Executor terminating");
            }
            Some(ExecutorState::Terminated) => {
                self.drop_group(env, &run, terminated, "Executor terminated");
            }
            Some(ExecutorState::Registering) => self.enqueue(&run),
            Some(ExecutorState::Running) => {
                self.deliver(env, &run.framework_id, &executor_id, run.tasks);
            }
            None => {
                self.launch_executor(env, &run);
                self.enqueue(&run);
            }
        }
    }

    fn enqueue(&mut self, run: &RunGroup) {
        if let Some(record) = self.agent.executor_mut(&run.framework_id, &run.executor.executor_id) {
            record.queued.push(run.tasks.clone());
        }
    }

    fn launch_executor(&mut self, env: &mut Env, run: &RunGroup) {
        let Some(agent_id) = self.agent.id.clone() else { return };
        let number = self.next_executor;
        self.next_executor += 1;
        let executor_id = run.executor.executor_id.clone();
        let new = NewExecutor {
            number,
            agent: self.index,
            agent_id: agent_id.clone(),
            framework_id: run.framework_id.clone(),
            framework: run.framework.clone(),
            info: run.executor.clone(),
        };
        let executor = Executor::new(env, new);
        env.output(ContainerCommand::LaunchExecutor(Box::new(ExecutorLaunch {
            container: executor.container.clone(),
            agent: self.index,
            agent_id,
            framework: run.framework.clone(),
            framework_id: run.framework_id.clone(),
            executor: run.executor.clone(),
        })));
        self.executors.insert(number, executor);
        let timer = AgentTimer::ExecutorRegistration(run.framework_id.clone(), executor_id.clone(), number);
        let after = env.config.agent.executor_registration_timeout;
        let timeout = Some(env.plan_agent(self.address(), after, timer));
        if let Some(framework) = self.agent.frameworks.get_mut(&run.framework_id) {
            framework.executors.insert(
                executor_id,
                ExecutorRecord {
                    number,
                    info: run.executor.clone(),
                    state: ExecutorState::Registering,
                    queued: Vec::new(),
                    tasks: Default::default(),
                    ever_sent_task: false,
                    termination: None,
                    timeout,
                },
            );
        }
    }

    /// Hands a group to its executor.
    pub(super) fn deliver(
        &mut self,
        env: &mut Env,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
        tasks: Group,
    ) {
        let address = self.address();
        let Some(record) = self.agent.executor_mut(framework_id, executor_id) else { return };
        record.ever_sent_task = true;
        for task in tasks.iter() {
            let new = TaskRecord { info: task.clone(), state: TaskState::TaskStaging, forwarded: None };
            record.tasks.insert(task.task_id.clone(), new);
        }
        if let Some(executor) = self.executors.get(&record.number) {
            env.send_to_executor(address, executor.address(), ToExecutor::LaunchGroup(tasks));
        }
    }

    /// A group that is not launched: every member gets `TASK_DROPPED`.
    fn drop_group(&mut self, env: &mut Env, run: &RunGroup, reason: StatusReason, text: &str) {
        for task in run.tasks.iter() {
            let state = super::or_lost(&run.framework, TaskState::TaskDropped);
            let status = self.agent_status(env, (task, state), reason, text, &run.executor.executor_id);
            self.update(env, &run.framework_id, Arc::new(status));
        }
        if run.launch_executor {
            // The master has an entry for the executor that will not come to be.
            self.send_exited_executor(env, &run.framework_id, &run.executor.executor_id, -1);
        }
        self.remove_framework_if_idle(env, &run.framework_id);
    }

    /// `KillTaskMessage`.
    pub(super) fn kill_task(
        &mut self,
        env: &mut Env,
        framework_id: &FrameworkId,
        task_id: &TaskId,
        grace: Option<Duration>,
    ) {
        let Some(framework) = self.agent.frameworks.get_mut(framework_id) else { return };
        if framework.terminating {
            return;
        }
        let queued_in = |record: &ExecutorRecord| {
            record.queued.iter().position(|group| group.iter().any(|task| task.task_id == *task_id))
        };
        let found = framework.executors.iter_mut().find_map(|(executor_id, record)| {
            let queued = queued_in(record);
            (queued.is_some() || record.tasks.contains_key(task_id))
                .then(|| (executor_id.clone(), record, queued))
        });
        let Some((executor_id, record, queued)) = found else {
            let state = framework.or_lost(TaskState::TaskDropped);
            let status = TaskStatus {
                source: Some(StatusSource::SourceAgent),
                reason: Some(StatusReason::ReasonExecutorTerminated),
                message: Some("Cannot find executor".to_owned()),
                agent_id: self.agent.id.clone(),
                timestamp: Some(env.now),
                uuid: Some(env.new_status_uuid(self.index, task_id)),
                ..TaskStatus::new(task_id.clone(), state)
            };
            self.update(env, framework_id, Arc::new(status));
            return;
        };
        if let Some(position) = queued {
            let group = record.queued.remove(position);
            return self.kill_queued(env, framework_id, &executor_id, &group);
        }
        if record.state == ExecutorState::Running
            && let Some(executor) = self.executors.get(&record.number)
        {
            let message = ToExecutor::Kill { task_id: task_id.clone(), grace };
            env.send_to_executor((self.index, self.run), executor.address(), message);
        }
    }

    /// A group ends before its executor had it. The executor is ended when it registers, if it has nothing else
    /// to do.
    fn kill_queued(
        &mut self,
        env: &mut Env,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
        group: &Group,
    ) {
        for task in group.iter() {
            let reason = StatusReason::ReasonTaskKilledDuringLaunch;
            let state = TaskState::TaskKilled;
            let status = self.agent_status(env, (task, state), reason, KILLED_BEFORE_DELIVERY, executor_id);
            self.update(env, framework_id, Arc::new(status));
        }
    }

    /// `DrainSlaveMessage`: all tasks end. An agent without any has nothing to drain.
    pub(super) fn drain(&mut self, env: &mut Env, config: DrainConfig) {
        if self.agent.frameworks.is_empty() && self.agent.operations.is_empty() {
            return;
        }
        self.agent.drain = Some(config);
        let mut kills = Vec::new();
        for (framework_id, framework) in &self.agent.frameworks {
            for record in framework.executors.values() {
                let queued = record.queued.iter().flat_map(|group| group.iter());
                let running = record.tasks.values().filter(|task| !task.state.is_terminal());
                for task in running.map(|task| &task.info).chain(queued) {
                    // A shorter grace period than the task's own, or one where the task has none.
                    let grace = config
                        .max_grace_period
                        .filter(|max| task.kill_grace_period.is_none_or(|own| *max < own));
                    kills.push((framework_id.clone(), task.task_id.clone(), grace));
                }
            }
        }
        for (framework_id, task_id, grace) in kills {
            // A member of a group that was killed as a whole is gone by now.
            if self.agent.knows_task(&framework_id, &task_id) {
                self.kill_task(env, &framework_id, &task_id, grace);
            }
        }
    }

    pub(super) fn send_exited_executor(
        &mut self,
        env: &mut Env,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
        status: i32,
    ) {
        let Some(agent_id) = self.agent.id.clone() else { return };
        let (framework_id, executor_id) = (framework_id.clone(), executor_id.clone());
        let message = ToMaster::ExitedExecutor { agent_id, framework_id, executor_id, status };
        env.send_to_master(self.index, self.agent.master, message);
    }

    /// An update made by this agent.
    pub(super) fn agent_status(
        &self,
        env: &mut Env,
        (task, state): (&TaskInfo, TaskState),
        reason: StatusReason,
        message: &str,
        executor_id: &ExecutorId,
    ) -> TaskStatus {
        TaskStatus {
            source: Some(StatusSource::SourceAgent),
            reason: Some(reason),
            message: Some(message.to_owned()),
            agent_id: self.agent.id.clone(),
            executor_id: Some(executor_id.clone()),
            timestamp: Some(env.now),
            uuid: Some(env.new_status_uuid(self.index, &task.task_id)),
            ..TaskStatus::new(task.task_id.clone(), state)
        }
    }
}

impl super::Agent {
    fn knows_task(&self, framework_id: &FrameworkId, task_id: &TaskId) -> bool {
        self.frameworks.get(framework_id).is_some_and(|framework| {
            framework.executors.values().any(|record| {
                record.tasks.get(task_id).is_some_and(|task| !task.state.is_terminal())
                    || record.queued.iter().any(|group| group.iter().any(|task| task.task_id == *task_id))
            })
        })
    }
}

/// Reserved resources or volumes that the group uses and this agent does not have, in words.
fn unknown_resources(total: &Resources, run: &RunGroup) -> Option<String> {
    let of_tasks = run.tasks.iter().flat_map(|task| task.resources.iter());
    let mut made =
        of_tasks.chain(&run.executor.resources).filter(|item| is_made_by_operation(item)).peekable();
    made.peek()?;
    let needed = Resources::sum(made).allocated(None);
    (!total.contains(&needed))
        .then(|| format!("Task launch with unknown checkpointed resources: {needed} not in {total}"))
}
