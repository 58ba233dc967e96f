//! How an agent's process starts and ends, and how it gets and keeps its place with the master.

use std::sync::Arc;

use podium_core::model::ids::AgentId;
use podium_core::model::mesos::{StatusReason, StatusSource, TaskState, TaskStatus};

use super::streams::framework_for_updates;
use super::{Agent, AgentProcess, ExecutorState, Machine, Phase, Termination, or_lost};
use crate::cluster::config::describe_duration;
use crate::cluster::env::Env;
use crate::cluster::executor::Process;
use crate::cluster::resources::Resources;
use crate::cluster::wire::{AgentTimer, ReportedTask, Reregister, ToMaster, UnknownTask, Work};
use crate::random::Key;

impl Machine {
    // -- process -------------------------------------------------------------------------------------------

    /// The agent's process starts and reads what is left of its earlier runs.
    pub(in crate::cluster) fn start(&mut self, env: &mut Env) {
        if self.process != AgentProcess::Down {
            return;
        }
        self.process = AgentProcess::Running;
        self.run += 1;
        self.agent.phase = Phase::Recovering;
        self.agent.master = None;
        self.agent.frameworks.retain(|_, framework| framework.info.checkpoint);
        // What is not on disk is an orphan.
        let known: Vec<_> = self.agent.frameworks.values().flat_map(|f| f.executors.values()).collect();
        let orphans: Vec<_> = self
            .executors
            .keys()
            .copied()
            .filter(|number| !known.iter().any(|record| record.number == *number))
            .collect();
        for number in orphans {
            self.destroy(env, number);
        }
        self.recover_executors(env);
        let waits = self.agent.frameworks.values().flat_map(|framework| framework.executors.values());
        if waits.into_iter().any(|record| record.state == ExecutorState::Registering) {
            let timeout = env.config.agent.executor_reregistration_timeout;
            env.plan_agent(self.address(), timeout, AgentTimer::RecoveryTimeout);
        } else {
            self.recovered(env);
        }
    }

    /// The agent's process dies.
    pub(in crate::cluster) fn stop(&mut self, env: &mut Env) {
        if self.process == AgentProcess::Down {
            return;
        }
        self.process = AgentProcess::Down;
        // The executors' own plans waited with a stopped agent, but do not die with it.
        for work in std::mem::take(&mut self.held) {
            if matches!(work, Work::Executor { .. }) {
                env.queue.plan(env.now, work);
            }
        }
        self.pause_streams(env);
        self.agent.operations.pause(env);
        env.queue.cancel(self.agent.registration.take());
        env.queue.cancel(self.agent.ping_timeout.take());
        for executor in self.executors.values_mut() {
            executor.agent_lost(env);
        }
        env.break_link(self.index);
    }

    pub(in crate::cluster) fn suspend(&mut self) {
        if self.process == AgentProcess::Running {
            self.process = AgentProcess::Suspended;
        }
    }

    /// The stopped agent goes on: what has come in the meantime is handled, in order.
    pub(in crate::cluster) fn resume(&mut self, env: &mut Env) {
        if self.process != AgentProcess::Suspended {
            return;
        }
        self.process = AgentProcess::Running;
        for work in std::mem::take(&mut self.held) {
            self.on_work(env, work);
        }
        for number in self.executors.keys().copied().collect::<Vec<_>>() {
            self.observe_all(env, number);
        }
    }

    /// The work directory is lost, or all of it but what is reserved and its volumes: the next start is that of a new
    /// agent.
    pub(in crate::cluster) fn wipe(&mut self, env: &mut Env, keeps_disk: bool) {
        for framework in self.agent.frameworks.values_mut() {
            framework.pause_streams(env);
        }
        let total = if keeps_disk {
            self.agent.total.clone()
        } else {
            Resources::sum(&env.config.agents[self.index.0 as usize].resources)
        };
        self.agent = Agent::new(total);
    }

    /// The agent leaves for good: its executors end, then its process. Its next start is that of a new agent.
    pub(super) fn shut_down(&mut self, env: &mut Env) {
        self.agent.phase = Phase::Terminating;
        env.queue.cancel(self.agent.registration.take());
        let frameworks: Vec<_> = self.agent.frameworks.keys().cloned().collect();
        for framework_id in frameworks {
            self.shut_down_framework(env, &framework_id);
        }
        self.end_if_empty(env);
    }

    /// SIGUSR1: leaves in an orderly way.
    pub(in crate::cluster) fn unregister(&mut self, env: &mut Env) {
        if self.process != AgentProcess::Running {
            return;
        }
        if let Some(agent_id) = self.agent.id.clone() {
            env.send_to_master(self.index, self.agent.master, ToMaster::Unregister { agent_id });
        }
        self.shut_down(env);
    }

    /// A leaving agent ends when its last executor has.
    pub(super) fn end_if_empty(&mut self, env: &mut Env) {
        if self.agent.phase == Phase::Terminating && self.agent.frameworks.is_empty() {
            self.stop(env);
            self.wipe(env, false);
        }
    }

    // -- recovery ------------------------------------------------------------------------------------------

    fn recover_executors(&mut self, env: &mut Env) {
        let run = self.run;
        let mut lost = Vec::new();
        for (framework_id, framework) in &mut self.agent.frameworks {
            // That it was being removed was only in memory; its master will say so again.
            framework.terminating = false;
            for (executor_id, record) in &mut framework.executors {
                if record.state == ExecutorState::Terminated {
                    continue;
                }
                record.state = ExecutorState::Registering;
                record.timeout = None;
                match self.executors.get_mut(&record.number) {
                    Some(executor) if executor.process == Process::Running => executor.subscribe(env, run),
                    // Still being launched, hanging, or dead: given up if it does not come in time.
                    Some(_) => {}
                    None => lost.push((framework_id.clone(), executor_id.clone())),
                }
            }
        }
        for (framework_id, executor_id) in lost {
            let termination = Termination {
                state: TaskState::TaskFailed,
                reason: StatusReason::ReasonExecutorTerminated,
                message: "Abnormal executor termination: unknown container".to_owned(),
                limitation: Vec::new(),
            };
            self.record_terminated(env, (&framework_id, &executor_id), -1, Some(termination));
        }
    }

    /// All executors that are still there have come back: the others are given up, and the agent looks for its
    /// master.
    pub(super) fn recovered(&mut self, env: &mut Env) {
        if self.agent.phase != Phase::Recovering {
            return;
        }
        let timeout = describe_duration(env.config.agent.executor_reregistration_timeout);
        let mut given_up = Vec::new();
        for framework in self.agent.frameworks.values_mut() {
            let gone = framework.or_lost(TaskState::TaskGone);
            for record in framework.executors.values_mut() {
                if record.state == ExecutorState::Registering {
                    record.state = ExecutorState::Terminating;
                    record.termination = Some(Termination {
                        state: gone,
                        reason: StatusReason::ReasonExecutorReregistrationTimeout,
                        message: format!("Executor did not reregister within {timeout}"),
                        limitation: Vec::new(),
                    });
                    given_up.push(record.number);
                }
            }
        }
        self.agent.phase = Phase::Disconnected;
        for number in given_up {
            self.destroy(env, number);
        }
        if env.has_leader {
            self.detected(env);
        }
    }

    // -- registration --------------------------------------------------------------------------------------

    /// A leading master is known (again): the agent registers with it.
    pub(in crate::cluster) fn detected(&mut self, env: &mut Env) {
        if matches!(self.agent.phase, Phase::Recovering | Phase::Terminating) {
            return;
        }
        self.agent.phase = Phase::Disconnected;
        self.agent.master = env.has_leader.then_some(env.master_run);
        self.agent.attempts = 0;
        env.reconnect(self.index);
        self.pause_streams(env);
        self.agent.operations.pause(env);
        self.plan_registration(env);
    }

    /// There is a new leading master; the agent finds out after a while.
    pub(in crate::cluster) fn master_elected(&mut self, env: &mut Env) {
        if self.process != AgentProcess::Down {
            let key = || Key::of("detection").number(self.index.0);
            let after = env.latency(env.config.agent.master_detection, key);
            env.plan_agent(self.address(), after, AgentTimer::Detected);
        }
    }

    /// The first try after up to the backoff factor, each further one after up to twice as long.
    fn plan_registration(&mut self, env: &mut Env) {
        env.queue.cancel(self.agent.registration.take());
        let flags = &env.config.agent;
        let max = flags.registration_backoff.saturating_mul(1 << self.agent.attempts.min(16));
        let max = max.min(flags.registration_backoff_max);
        let key = Key::of("registration").number(self.index.0);
        let after = env.chance.next(key).duration(std::time::Duration::ZERO, max);
        self.agent.registration = Some(env.plan_agent(self.address(), after, AgentTimer::Register));
    }

    pub(super) fn register(&mut self, env: &mut Env) {
        self.agent.registration = None;
        if self.agent.phase != Phase::Disconnected {
            return;
        }
        let message = match self.agent.id.clone() {
            None => ToMaster::Register { total: self.agent.total.clone() },
            Some(agent_id) => ToMaster::Reregister(Box::new(self.report(agent_id))),
        };
        env.send_to_master(self.index, self.agent.master, message);
        // Even without any configured backoff, tries without an answer must not follow each other at once.
        self.agent.attempts = (self.agent.attempts + 1).max(1);
        let retry = env.config.agent.registration_backoff.max(std::time::Duration::from_secs(1));
        let max = retry.saturating_mul(1 << self.agent.attempts.min(16));
        let max = max.min(env.config.agent.registration_backoff_max.max(retry));
        let key = Key::of("registration").number(self.index.0);
        let after = env.chance.next(key).duration(retry, max);
        self.agent.registration = Some(env.plan_agent(self.address(), after, AgentTimer::Register));
    }

    fn report(&self, agent_id: AgentId) -> Reregister {
        let mut report = Reregister {
            agent_id,
            total: self.agent.total.clone(),
            frameworks: Vec::new(),
            executors: Vec::new(),
            tasks: Vec::new(),
            operations: self.agent.operations.report(),
        };
        for (framework_id, framework) in &self.agent.frameworks {
            if framework.terminating {
                continue;
            }
            report.frameworks.push((framework_id.clone(), framework.info.clone()));
            for (executor_id, record) in &framework.executors {
                if record.state != ExecutorState::Terminated {
                    report.executors.push((framework_id.clone(), record.info.clone()));
                }
                let mut add = |info: &Arc<_>, state, forwarded| {
                    report.tasks.push(ReportedTask {
                        framework_id: framework_id.clone(),
                        executor_id: executor_id.clone(),
                        info: Arc::clone(info),
                        state,
                        forwarded,
                    });
                };
                for task in record.queued.iter().flat_map(|group| group.iter()) {
                    add(task, TaskState::TaskStaging, None);
                }
                for task in record.tasks.values() {
                    add(&task.info, task.state, task.forwarded.clone());
                }
            }
        }
        report
    }

    pub(super) fn registered(&mut self, env: &mut Env, agent_id: AgentId) {
        match self.agent.phase {
            Phase::Disconnected => {
                self.agent.id = Some(agent_id);
                self.enter_service(env);
            }
            // Two tries to register crossed with a broken connection: it gives up, to come back as who it was.
            Phase::Registered if self.agent.id.as_ref() != Some(&agent_id) => self.stop(env),
            Phase::Registered | Phase::Recovering | Phase::Terminating => {}
        }
    }

    pub(super) fn reregistered(&mut self, env: &mut Env, unknown: Vec<UnknownTask>) {
        match self.agent.phase {
            Phase::Recovering | Phase::Terminating => return,
            Phase::Disconnected => self.enter_service(env),
            Phase::Registered => {}
        }
        // If it shall still drain, the master says so next. Assumed: no recording has an agent that was out of reach
        // when it was reactivated.
        self.agent.drain = None;
        for task in unknown {
            let known = self.agent.frameworks.get(&task.framework_id).is_some_and(|framework| {
                framework.executors.values().any(|record| {
                    let queued = || record.queued.iter().flat_map(|group| group.iter());
                    record.tasks.contains_key(&task.task_id) || queued().any(|t| t.task_id == task.task_id)
                })
            });
            if known {
                continue;
            }
            let state = or_lost(&task.framework, TaskState::TaskDropped);
            let status = TaskStatus {
                source: Some(StatusSource::SourceAgent),
                reason: Some(StatusReason::ReasonReconciliation),
                message: Some("Reconciliation: task unknown to the agent".to_owned()),
                agent_id: self.agent.id.clone(),
                timestamp: Some(env.now),
                uuid: Some(env.new_status_uuid(self.index, &task.task_id)),
                ..TaskStatus::new(task.task_id, state)
            };
            self.agent
                .frameworks
                .entry(task.framework_id.clone())
                .or_insert_with(|| framework_for_updates(&task.framework));
            self.update(env, &task.framework_id, Arc::new(status));
        }
    }

    fn enter_service(&mut self, env: &mut Env) {
        self.agent.phase = Phase::Registered;
        env.queue.cancel(self.agent.registration.take());
        // The master may have given it up again before its answer came, and send no pings.
        let master = &env.config.master;
        self.pings_stopped(env, Some(master.agent_ping_timeout * master.max_agent_ping_timeouts));
        self.resume_streams(env);
        let sender = self.sender();
        self.agent.operations.resume(env, sender);
    }

    /// The link or the process stopped answering pings; `last_ping` ago was the last one. Or it answers again.
    pub(in crate::cluster) fn pings_stopped(&mut self, env: &mut Env, after: Option<std::time::Duration>) {
        env.queue.cancel(self.agent.ping_timeout.take());
        if let Some(after) = after
            && self.process != AgentProcess::Down
        {
            self.agent.ping_timeout = Some(env.plan_agent(self.address(), after, AgentTimer::PingTimeout));
        }
    }
}
