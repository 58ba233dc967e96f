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
    /// kills that it may have missed. Newer states come with its updates. What it has is what it says, so that an
    /// operation that it did not hear of is undone (`Master::___reregisterSlave`, of agents with resource providers).
    fn known_agent_returns(&mut self, env: &mut Env, from: AgentIndex, session: Run, report: &Reregister) {
        self.allocator.set_agent_total(from, &report.total);
        let Some(agent) = self.agent(from) else { return };
        let reported = |key: &(FrameworkId, TaskId)| {
            let is = |task: &&ReportedTask| task.framework_id == key.0 && task.info.task_id == key.1;
            report.tasks.iter().find(is)
        };
        let unknown =
            agent.tasks.iter().filter(|key| reported(key).is_none()).filter_map(|(framework_id, task_id)| {
                let framework = self.frameworks.get(framework_id)?;
                Some(UnknownTask {
                    framework_id: framework_id.clone(),
                    framework: framework.info.clone(),
                    task_id: task_id.clone(),
                })
            });
        env.send_to_agent(from, ToAgent::Reregistered { unknown: unknown.collect() });
        // The grace period that the kill asked for is not remembered.
        for key in
            agent.kills.iter().filter(|key| reported(key).is_some_and(|task| !task.state.is_terminal()))
        {
            let (framework_id, task_id) = key.clone();
            env.send_to_agent(from, ToAgent::Kill { framework_id, task_id, grace: None });
        }
        self.forget_executors(env, from, report);
        self.adopt_operations(env, from, &report.operations);

        let deactivated = self.registry.deactivated.contains(&report.agent_id);
        let Some(agent) = self.agent_mut(from) else { return };
        agent.session = session;
        agent.pings_since = env.now;
        env.queue.cancel(agent.ping_alarm.take());
        if !std::mem::replace(&mut agent.connected, true) {
            self.allocator.set_agent_active(from, !deactivated);
        }
        if !self.responsive[from.0 as usize] {
            self.count_pings(env, from);
        }
        if let Some(config) = self.registry.draining.get(&report.agent_id) {
            env.send_to_agent(from, ToAgent::Drain(*config));
        }
        self.tell_frameworks(env, from, report);
        self.allocate_later(env);
        self.check_drained(env, from);
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
        self.adopt_operations(env, from, &report.operations);
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
