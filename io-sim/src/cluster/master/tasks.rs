//! Tasks while they live: updates from agents, acknowledgements, kills, ends of executors.

use std::sync::Arc;
use std::time::Duration;

use podium_core::model::ids::{AgentId, ExecutorId, FrameworkId, TaskId};
use podium_core::model::mesos::{Event, ExecutorFailure, ReconcileTask, StatusUuid, TaskState, TaskStatus};

use super::allocator::role_of;
use super::{Master, Task};
use crate::cluster::env::Env;
use crate::cluster::io::AgentIndex;
use crate::cluster::resources::Resources;
use crate::cluster::wire::ToAgent;

impl Master {
    /// An agent's update. It goes to the scheduler if that is connected; `latest` counts in any case.
    pub(super) fn status_update(
        &mut self,
        env: &mut Env,
        from: AgentIndex,
        framework_id: &FrameworkId,
        status: &Arc<TaskStatus>,
        latest: TaskState,
    ) {
        // From an agent that was removed, or an earlier one on the same machine.
        let Some(agent) = self.agent(from) else { return };
        if status.agent_id.as_ref() != Some(&agent.id) {
            return;
        }
        let Some(framework) = self.frameworks.get_mut(framework_id) else { return };
        let connected = framework.stream.is_some();
        let Some(task) = framework.tasks.get_mut(&status.task_id) else {
            self.send(env, framework_id, Event::Update((**status).clone()));
            return;
        };
        if connected {
            task.forwarded = Some(status.clone());
        }
        let changed = task.state != latest && !task.state.is_terminal();
        if changed {
            task.state = latest;
        }
        let task_id = status.task_id.clone();
        self.send(env, framework_id, Event::Update((**status).clone()));
        if changed && latest.is_terminal() {
            self.recover_task(env, framework_id, &task_id);
            self.allocate_later(env);
            self.check_drained(env, from);
        }
    }

    /// A task's resources are free.
    pub(super) fn recover_task(&mut self, env: &Env, framework_id: &FrameworkId, task_id: &TaskId) {
        let Some(framework) = self.frameworks.get_mut(framework_id) else { return };
        let Some(task) = framework.tasks.get_mut(task_id) else { return };
        if std::mem::replace(&mut task.recovered, true) {
            return;
        }
        let task = task.info.clone();
        let Some(&agent) = self.ids.get(&task.agent_id) else { return };
        let role = role_of(&task.resources);
        let resources = Resources::sum(&task.resources);
        self.allocator.recover(env, agent, (framework_id, role.as_ref()), resources, None);
    }

    /// The task is forgotten.
    pub(super) fn remove_task(
        &mut self,
        env: &Env,
        framework_id: &FrameworkId,
        task_id: &TaskId,
    ) -> Option<Task> {
        self.recover_task(env, framework_id, task_id);
        let task = self.frameworks.get_mut(framework_id)?.tasks.remove(task_id)?;
        if let Some(&index) = self.ids.get(&task.info.agent_id)
            && let Some(agent) = self.agent_mut(index)
        {
            let key = (framework_id.clone(), task_id.clone());
            agent.tasks.remove(&key);
            agent.kills.remove(&key);
        }
        Some(task)
    }

    /// `ACKNOWLEDGE`: passed on to the agent. The end of a task, acknowledged, is the end of its record.
    pub(super) fn acknowledge(
        &mut self,
        env: &mut Env,
        framework_id: &FrameworkId,
        (agent_id, task_id): (&AgentId, TaskId),
        uuid: StatusUuid,
    ) {
        let Some(agent) = self.agent_by_id(agent_id).filter(|agent| agent.connected) else { return };
        let index = agent.index;
        let task = self.frameworks.get(framework_id).and_then(|framework| framework.tasks.get(&task_id));
        let ended = task.is_some_and(|task| {
            task.forwarded_uuid() == Some(uuid)
                && task.forwarded.as_ref().is_some_and(|status| status.state.is_terminal())
        });
        if ended {
            self.remove_task(env, framework_id, &task_id);
            self.allocate_later(env);
            self.check_drained(env, index);
        }
        let framework_id = framework_id.clone();
        env.send_to_agent(index, ToAgent::Acknowledge { framework_id, task_id, uuid });
    }

    /// `KILL`. A task that is not known is asked about instead.
    pub(super) fn kill(
        &mut self,
        env: &mut Env,
        framework_id: &FrameworkId,
        (task_id, agent_id): (TaskId, Option<AgentId>),
        grace: Option<Duration>,
    ) {
        let framework = self.frameworks.get(framework_id);
        let Some(task) = framework.and_then(|framework| framework.tasks.get(&task_id)) else {
            return self.reconcile(env, framework_id, &[ReconcileTask { task_id, agent_id }]);
        };
        if agent_id.is_some_and(|agent_id| agent_id != task.info.agent_id) {
            return;
        }
        let Some(&index) = self.ids.get(&task.info.agent_id) else { return };
        let Some(agent) = self.agent_mut(index) else { return };
        agent.kills.insert((framework_id.clone(), task_id.clone()));
        if agent.connected {
            let framework_id = framework_id.clone();
            env.send_to_agent(index, ToAgent::Kill { framework_id, task_id, grace });
        }
    }

    /// `SHUTDOWN`.
    pub(super) fn shutdown_executor(
        &self,
        env: &mut Env,
        framework_id: &FrameworkId,
        agent_id: &AgentId,
        executor_id: ExecutorId,
    ) {
        if let Some(agent) = self.agent_by_id(agent_id) {
            let framework_id = framework_id.clone();
            env.send_to_agent(agent.index, ToAgent::ShutdownExecutor { framework_id, executor_id });
        }
    }

    /// An executor ended, or never came to be.
    pub(super) fn executor_exited(
        &mut self,
        env: &mut Env,
        agent_id: &AgentId,
        (framework_id, executor_id): (&FrameworkId, &ExecutorId),
        status: i32,
    ) {
        let Some(&index) = self.ids.get(agent_id) else { return };
        if !self.remove_executor(env, index, (framework_id, executor_id)) {
            return;
        }
        let failure = ExecutorFailure {
            agent_id: Some(agent_id.clone()),
            executor_id: Some(executor_id.clone()),
            status: Some(status),
        };
        self.send(env, framework_id, Event::Failure(failure));
        self.allocate_later(env);
    }

    /// Forgets an executor and frees its resources. Says whether it was known.
    pub(super) fn remove_executor(
        &mut self,
        env: &Env,
        index: AgentIndex,
        (framework_id, executor_id): (&FrameworkId, &ExecutorId),
    ) -> bool {
        let Some(agent) = self.agent_mut(index) else { return false };
        let Some(executors) = agent.executors.get_mut(framework_id) else { return false };
        let Some(executor) = executors.remove(executor_id) else { return false };
        if executors.is_empty() {
            agent.executors.remove(framework_id);
        }
        let role = role_of(&executor.resources);
        let resources = Resources::sum(&executor.resources);
        self.allocator.recover(env, index, (framework_id, role.as_ref()), resources, None);
        true
    }
}
