//! Agents that come back: after a broken connection, a restart, a partition, or to a new master.

use std::sync::Arc;

use podium_core::model::ids::{AgentId, ExecutorId, FrameworkId, TaskId};
use podium_core::model::mesos::{Event, ExecutorInfo, StatusReason, StatusSource, TaskStatus};

use super::{Framework, Master, Task};
use crate::cluster::env::Env;
use crate::cluster::io::AgentIndex;
use crate::cluster::wire::{ReportedTask, Reregister, Run, ToAgent, UnknownTask};

impl Master {
    pub(super) fn reregister_agent(
        &mut self,
        env: &mut Env,
        from: AgentIndex,
        session: Run,
        report: Reregister,
    ) {
        if self.registry.gone.contains_key(&report.agent_id) || self.registry.down.contains(&from) {
            return env.send_to_agent(from, ToAgent::Shutdown);
        }
        if self.agent(from).is_some_and(|agent| agent.id == report.agent_id) {
            self.known_agent_returns(env, from, session, &report);
        } else {
            if self.agent(from).is_some() {
                self.remove_agent(env, from, "a new agent registered at the same address");
            }
            self.lost_agent_returns(env, from, session, report);
        }
    }

    /// An agent that this master has on its books: it may have lost tasks in the meantime, and it hears again of
    /// kills that it may have missed.
    fn known_agent_returns(&mut self, env: &mut Env, from: AgentIndex, session: Run, report: &Reregister) {
        for (framework_id, info) in &report.frameworks {
            if !self.completed.contains(framework_id) {
                self.recover_framework(env, framework_id, info);
            }
        }
        let Some(agent) = self.agent_mut(from) else { return };
        agent.session = session;
        let was_connected = std::mem::replace(&mut agent.connected, true);
        env.queue.cancel(agent.ping_alarm.take());
        agent.pings_since = env.now;
        let deactivated = self.registry.deactivated.contains(&report.agent_id);
        if !was_connected {
            self.allocator.set_agent_active(from, !deactivated);
        }
        self.forget_executors(env, from, report);

        let Some(agent) = self.agent(from) else { return };
        let reported = |framework_id: &FrameworkId, task_id: &TaskId| {
            let is =
                |task: &&ReportedTask| task.framework_id == *framework_id && task.info.task_id == *task_id;
            report.tasks.iter().find(is)
        };
        let mut unknown = Vec::new();
        let mut known = Vec::new();
        for (framework_id, task_id) in &agent.tasks {
            let Some(framework) = self.frameworks.get(framework_id) else { continue };
            match reported(framework_id, task_id) {
                Some(task) => known.push(task),
                None => unknown.push(UnknownTask {
                    framework_id: framework_id.clone(),
                    framework: framework.info.clone(),
                    task_id: task_id.clone(),
                }),
            }
        }
        let kills: Vec<_> = agent.kills.iter().map(|(key, grace)| (key.clone(), *grace)).collect();
        if let Some(config) = self.registry.draining.get(&report.agent_id) {
            env.send_to_agent(from, ToAgent::Drain(*config));
        }
        env.send_to_agent(from, ToAgent::Reregistered { unknown });
        for ((framework_id, task_id), grace) in kills {
            let live = self
                .frameworks
                .get(&framework_id)
                .and_then(|framework| framework.tasks.get(&task_id))
                .is_some_and(|task| !task.state.is_terminal());
            if live {
                env.send_to_agent(from, ToAgent::Kill { framework_id, task_id, grace });
            }
        }
        self.adopt_states(env, &known);
        self.adopt_unknown(from, report);
        self.tell_frameworks(env, from, report);
        self.allocate_later(env);
        self.check_drained(env, from);
    }

    /// What the agent says of tasks that both know.
    fn adopt_states(&mut self, env: &mut Env, tasks: &[&ReportedTask]) {
        for reported in tasks {
            let Some(framework) = self.frameworks.get_mut(&reported.framework_id) else { continue };
            let Some(task) = framework.tasks.get_mut(&reported.info.task_id) else { continue };
            if task.state.is_terminal() || task.state == reported.state {
                continue;
            }
            task.state = reported.state;
            if reported.state.is_terminal() {
                self.recover_task(env, &reported.framework_id, &reported.info.task_id);
            }
        }
    }

    /// Tasks and executors that the agent has and this master does not: launched in a session that the master
    /// gave up.
    fn adopt_unknown(&mut self, from: AgentIndex, report: &Reregister) {
        for task in &report.tasks {
            let known = self
                .frameworks
                .get(&task.framework_id)
                .is_none_or(|framework| framework.tasks.contains_key(&task.info.task_id));
            if !known {
                self.adopt_task(from, task);
            }
        }
        for (framework_id, executor) in &report.executors {
            let known = self
                .agent(from)
                .and_then(|agent| agent.executors.get(framework_id))
                .is_some_and(|executors| executors.contains_key(&executor.executor_id));
            if !known && self.frameworks.contains_key(framework_id) {
                self.adopt_executor(from, framework_id, executor);
            }
        }
    }

    /// Executors that the agent does not have any more.
    fn forget_executors(&mut self, env: &Env, from: AgentIndex, report: &Reregister) {
        let Some(agent) = self.agent(from) else { return };
        let reported = |framework_id: &FrameworkId, executor_id: &ExecutorId| {
            report.executors.iter().any(|(id, info): &(FrameworkId, Arc<ExecutorInfo>)| {
                id == framework_id && info.executor_id == *executor_id
            })
        };
        let mut lost: Vec<(FrameworkId, ExecutorId)> = Vec::new();
        for (framework_id, executors) in &agent.executors {
            for executor_id in executors.keys().filter(|id| !reported(framework_id, id)) {
                lost.push((framework_id.clone(), executor_id.clone()));
            }
        }
        for (framework_id, executor_id) in lost {
            self.remove_executor(env, from, (&framework_id, &executor_id));
        }
    }

    /// An agent that this master does not have on its books: unreachable, forgotten, or from before a failover.
    fn lost_agent_returns(&mut self, env: &mut Env, from: AgentIndex, session: Run, report: Reregister) {
        let agent_id = report.agent_id.clone();
        let recovered = self.recovered.remove(&agent_id).is_some();
        let text = if self.registry.unreachable.remove(&agent_id).is_some() {
            "Unreachable agent re-reregistered"
        } else {
            "Unknown agent reregistered"
        };
        for (framework_id, info) in &report.frameworks {
            if !self.completed.contains(framework_id) {
                self.recover_framework(env, framework_id, info);
            }
        }
        if !recovered {
            for task in &report.tasks {
                self.announce_return(env, &agent_id, task, text);
            }
            for framework in self.frameworks.values_mut() {
                framework.forget_unreachable(|task| task.info.agent_id == agent_id);
            }
        }
        self.admit(env, from, (agent_id.clone(), session), report.total.clone());
        for (framework_id, executor) in &report.executors {
            if !self.completed.contains(framework_id) {
                self.adopt_executor(from, framework_id, executor);
            }
        }
        for task in &report.tasks {
            if !self.completed.contains(&task.framework_id) {
                self.adopt_task(from, task);
            }
        }
        if let Some(config) = self.registry.draining.get(&agent_id) {
            env.send_to_agent(from, ToAgent::Drain(*config));
        }
        env.send_to_agent(from, ToAgent::Reregistered { unknown: Vec::new() });
        self.tell_frameworks(env, from, &report);
        self.allocate_soon(env);
        self.check_drained(env, from);
    }

    /// A task came back with its agent.
    fn announce_return(&self, env: &mut Env, agent_id: &AgentId, task: &ReportedTask, text: &str) {
        let last = task.forwarded.as_deref();
        let status = TaskStatus {
            source: Some(StatusSource::SourceMaster),
            reason: Some(StatusReason::ReasonAgentReregistered),
            message: Some(text.to_owned()),
            agent_id: Some(agent_id.clone()),
            executor_id: Some(task.executor_id.clone()),
            timestamp: Some(env.now),
            healthy: last.and_then(|last| last.healthy),
            check_status: last.and_then(|last| last.check_status.clone()),
            networks: last.map(|last| last.networks.clone()).unwrap_or_default(),
            container_id: last.and_then(|last| last.container_id.clone()),
            ..TaskStatus::new(task.info.task_id.clone(), task.state)
        };
        self.send(env, &task.framework_id, Event::Update(status));
    }

    fn adopt_task(&mut self, from: AgentIndex, reported: &ReportedTask) {
        let Some(framework) = self.frameworks.get_mut(&reported.framework_id) else { return };
        let ended = reported.state.is_terminal();
        let task_id = reported.info.task_id.clone();
        framework.tasks.insert(
            task_id.clone(),
            Task {
                info: reported.info.clone(),
                executor_id: reported.executor_id.clone(),
                state: reported.state,
                forwarded: reported.forwarded.clone(),
                recovered: ended,
            },
        );
        if let Some(agent) = self.agent_mut(from) {
            agent.tasks.insert((reported.framework_id.clone(), task_id));
        }
        if !ended {
            self.allocator.use_resources(from, &reported.framework_id, &reported.info.resources);
        }
    }

    fn adopt_executor(&mut self, from: AgentIndex, framework_id: &FrameworkId, executor: &Arc<ExecutorInfo>) {
        if let Some(agent) = self.agent_mut(from) {
            let executors = agent.executors.entry(framework_id.clone()).or_default();
            executors.insert(executor.executor_id.clone(), executor.clone());
            self.allocator.use_resources(from, framework_id, &executor.resources);
        }
    }

    /// The agent learns what its frameworks look like now, and which of them are no more.
    fn tell_frameworks(&self, env: &mut Env, from: AgentIndex, report: &Reregister) {
        for (framework_id, _) in &report.frameworks {
            let framework_id = framework_id.clone();
            let message = match self.frameworks.get(&framework_id) {
                Some(Framework { info, .. }) => {
                    ToAgent::UpdateFramework { framework_id, framework: info.clone() }
                }
                None if self.completed.contains(&framework_id) => ToAgent::ShutdownFramework { framework_id },
                None => continue,
            };
            env.send_to_agent(from, message);
        }
    }
}
