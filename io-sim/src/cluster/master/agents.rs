//! Agents that come, fall silent, and are removed.
//!
//! Mesos pings every agent all the time. Here pings are only counted while an agent does not answer them: what
//! follows from the pings that it does answer is nothing.

use std::time::Duration;

use podium_core::model::ids::{AgentId, FrameworkId, TaskId};
use podium_core::model::mesos::{Event, ExecutorFailure, OperationState, StatusReason, TaskState};

use super::{Agent, Master, Task};
use crate::cluster::env::Env;
use crate::cluster::io::AgentIndex;
use crate::cluster::queue::Alarm;
use crate::cluster::resources::Resources;
use crate::cluster::wire::{MasterTimer, Run, ToAgent};

/// Why an agent's tasks are lost.
struct Loss<'a> {
    /// For frameworks that are aware of partitions.
    state: TaskState,
    reason: StatusReason,
    /// For the others, if it differs.
    reason_for_others: StatusReason,
    message: &'a str,
}

impl Master {
    // -- registration --------------------------------------------------------------------------------------

    /// A new agent.
    pub(super) fn register_agent(&mut self, env: &mut Env, from: AgentIndex, session: Run, total: Resources) {
        if self.registry.down.contains(&from) {
            return env.send_to_agent(from, ToAgent::Shutdown);
        }
        match self.agent(from) {
            // It did not hear the answer to its first try.
            Some(agent) if agent.connected && agent.session == session => {
                let agent_id = agent.id.clone();
                return env.send_to_agent(from, ToAgent::Registered { agent_id });
            }
            Some(_) => self.remove_agent(env, from, "a new agent registered at the same address"),
            None => {}
        }
        let agent_id = AgentId::new(format!("{}-S{}", self.info.id, self.next_agent));
        self.next_agent += 1;
        self.admit(env, from, (agent_id.clone(), session), total);
        env.send_to_agent(from, ToAgent::Registered { agent_id });
        self.allocate_soon(env);
    }

    /// Gives an agent its place.
    pub(super) fn admit(
        &mut self,
        env: &mut Env,
        index: AgentIndex,
        (id, session): (AgentId, Run),
        total: Resources,
    ) {
        self.registry.admitted.insert(id.clone(), index);
        self.recovered.remove(&id);
        self.ids.insert(id.clone(), index);
        let active = !self.registry.deactivated.contains(&id);
        let domain = env.config.agents[index.0 as usize].domain.clone();
        self.allocator.add_agent(index, total, domain, active);
        self.agents[index.0 as usize] = Some(Agent {
            id,
            index,
            session,
            connected: true,
            registered_at: env.now,
            tasks: Default::default(),
            executors: Default::default(),
            offers: Vec::new(),
            kills: Default::default(),
            operations: Default::default(),
            pings_since: env.now,
            ping_alarm: None,
        });
        if !self.responsive[index.0 as usize] {
            self.count_pings(env, index);
        }
    }

    // -- pings ---------------------------------------------------------------------------------------------

    /// Whether pings to the machine are answered from now on. Returns after how long without a ping the agent
    /// itself will find that its master is gone.
    pub(in crate::cluster) fn set_responsive(
        &mut self,
        env: &mut Env,
        index: AgentIndex,
        responsive: bool,
    ) -> Option<Option<Duration>> {
        if std::mem::replace(&mut self.responsive[index.0 as usize], responsive) == responsive {
            return None;
        }
        let agent = self.agent_mut(index)?;
        env.queue.cancel(agent.ping_alarm.take());
        let connected = agent.connected;
        if responsive {
            if !connected {
                self.plan_ping_disconnected(env, index);
            }
            return Some(None);
        }
        Some(self.count_pings(env, index))
    }

    /// From now on every ping times out.
    pub(super) fn count_pings(&mut self, env: &mut Env, index: AgentIndex) -> Option<Duration> {
        let config = &env.config.master;
        let (interval, limit) = (config.agent_ping_timeout, config.max_agent_ping_timeouts);
        let now = env.now;
        let agent = self.agent_mut(index)?;
        let until_next = until_next_ping(now.since(agent.pings_since), interval);
        let timer = MasterTimer::PingTimeouts(index);
        let alarm: Alarm = env.plan_master(until_next + interval * limit, timer);
        agent.ping_alarm = Some(alarm);
        // The agent counts from the last ping that it got, one interval before the first that it misses.
        Some((until_next + interval * limit).saturating_sub(interval))
    }

    /// Whether the agent is on the books and gets the pings that it is sent.
    pub(in crate::cluster) fn pings(&self, index: AgentIndex, agent_id: &AgentId) -> bool {
        !self.is_down()
            && self.responsive[index.0 as usize]
            && self.agent(index).is_some_and(|agent| agent.id == *agent_id)
    }

    /// The agent has missed too many pings.
    pub(super) fn ping_timeouts(&mut self, env: &mut Env, index: AgentIndex) {
        if self.agent(index).is_some() && !self.responsive[index.0 as usize] {
            self.mark_unreachable(env, index, "health check timed out");
        }
    }

    /// The next ping tells an agent that is believed to be disconnected to register again.
    fn plan_ping_disconnected(&mut self, env: &mut Env, index: AgentIndex) {
        let interval = env.config.master.agent_ping_timeout;
        let now = env.now;
        if let Some(agent) = self.agent_mut(index) {
            let after = until_next_ping(now.since(agent.pings_since), interval);
            agent.ping_alarm = Some(env.plan_master(after, MasterTimer::PingDisconnected(index)));
        }
    }

    pub(super) fn ping_disconnected(&mut self, env: &mut Env, index: AgentIndex) {
        if self.agent(index).is_some_and(|agent| !agent.connected) && self.responsive[index.0 as usize] {
            env.send_to_agent(index, ToAgent::PingDisconnected);
            // Not by way of the time until the next ping: this is a ping's very moment, so that is none at all.
            let interval = env.config.master.agent_ping_timeout;
            let alarm = env.plan_master(interval, MasterTimer::PingDisconnected(index));
            if let Some(agent) = self.agent_mut(index) {
                agent.ping_alarm = Some(alarm);
            }
        }
    }

    // -- loss ----------------------------------------------------------------------------------------------

    /// The connection broke. Tasks of frameworks without checkpointing are lost with it.
    pub(super) fn agent_exited(&mut self, env: &mut Env, index: AgentIndex, session: Run) {
        let Some(agent) = self.agent_mut(index) else { return };
        if agent.session > session || !agent.connected {
            return;
        }
        agent.connected = false;
        self.allocator.set_agent_active(index, false);
        self.rescind_agent(env, index);
        self.inverse_offers.remove_agent(index);
        let volatile: Vec<FrameworkId> = self
            .frameworks
            .iter()
            .filter(|(_, framework)| !framework.info.checkpoint)
            .map(|(id, _)| id.clone())
            .collect();
        let hostname = env.config.agents[index.0 as usize].hostname.clone();
        for framework_id in volatile {
            self.lose_framework(env, index, &framework_id, &format!("Agent {hostname} disconnected"));
        }
        if self.responsive[index.0 as usize] {
            self.plan_ping_disconnected(env, index);
        }
    }

    /// All that one framework has on an agent is gone.
    fn lose_framework(
        &mut self,
        env: &mut Env,
        index: AgentIndex,
        framework_id: &FrameworkId,
        message: &str,
    ) {
        for task in self.take_framework(env, index, framework_id) {
            if task.state.is_terminal() {
                continue;
            }
            let mut status = task.status(env, TaskState::TaskLost);
            status.reason = Some(StatusReason::ReasonAgentDisconnected);
            status.message = Some(message.to_owned());
            self.send(env, framework_id, Event::Update(status));
        }
    }

    /// Takes all that one framework has on an agent off the books. What it used is free.
    pub(super) fn take_framework(
        &mut self,
        env: &mut Env,
        index: AgentIndex,
        framework_id: &FrameworkId,
    ) -> Vec<Task> {
        let Some(agent) = self.agent(index) else { return Vec::new() };
        let tasks: Vec<TaskId> =
            agent.tasks.iter().filter(|(id, _)| id == framework_id).map(|(_, task)| task.clone()).collect();
        let executors: Vec<_> =
            agent.executors.get(framework_id).into_iter().flat_map(|map| map.keys().cloned()).collect();
        let tasks = tasks.iter().filter_map(|task_id| self.remove_task(env, framework_id, task_id)).collect();
        for executor_id in executors {
            self.remove_executor(env, index, (framework_id, &executor_id));
        }
        tasks
    }

    /// The agent left in an orderly way.
    pub(super) fn unregister_agent(&mut self, env: &mut Env, from: AgentIndex, agent_id: &AgentId) {
        if self.agent(from).is_some_and(|agent| agent.id == *agent_id) {
            self.remove_agent(env, from, "the agent unregistered");
        }
    }

    /// The agent will not come back under its id.
    pub(super) fn remove_agent(&mut self, env: &mut Env, index: AgentIndex, cause: &str) {
        let hostname = env.config.agents[index.0 as usize].hostname.clone();
        let loss = Loss {
            state: TaskState::TaskLost,
            reason: StatusReason::ReasonAgentRemoved,
            reason_for_others: StatusReason::ReasonAgentRemoved,
            message: &format!("Agent {hostname} removed: {cause}"),
        };
        if let Some(agent_id) = self.lose_agent(env, index, &loss) {
            self.registry.admitted.remove(&agent_id);
            self.registry.deactivated.remove(&agent_id);
            self.registry.draining.remove(&agent_id);
        }
    }

    fn mark_unreachable(&mut self, env: &mut Env, index: AgentIndex, message: &str) {
        let operations = (OperationState::OperationUnreachable, "Agent was marked unreachable");
        self.lose_operations(env, index, operations);
        let loss = Loss {
            state: TaskState::TaskUnreachable,
            reason: StatusReason::ReasonAgentRemoved,
            reason_for_others: StatusReason::ReasonAgentRemoved,
            message,
        };
        if let Some(agent_id) = self.lose_agent(env, index, &loss) {
            self.registry.admitted.remove(&agent_id);
            self.registry.unreachable.insert(agent_id, env.now);
            self.plan_registry_gc(env);
        }
    }

    /// An operator says that the agent is gone for good; it is told to end, should it hear it.
    pub(super) fn mark_gone(&mut self, env: &mut Env, index: AgentIndex) {
        env.send_to_agent(index, ToAgent::Shutdown);
        let message = "Agent has been marked gone";
        self.lose_operations(env, index, (OperationState::OperationGoneByOperator, message));
        let loss = Loss {
            state: TaskState::TaskGoneByOperator,
            reason: StatusReason::ReasonAgentRemovedByOperator,
            reason_for_others: StatusReason::ReasonAgentRemoved,
            message,
        };
        if let Some(agent_id) = self.lose_agent(env, index, &loss) {
            self.registry.admitted.remove(&agent_id);
            self.registry.deactivated.remove(&agent_id);
            self.registry.draining.remove(&agent_id);
            self.registry.gone.insert(agent_id, env.now);
            self.plan_registry_gc(env);
        }
    }

    /// Takes an agent and all it has out of the books: updates first, then rescissions, then the failure.
    fn lose_agent(&mut self, env: &mut Env, index: AgentIndex, loss: &Loss<'_>) -> Option<AgentId> {
        let agent_id = self.agent(index)?.id.clone();
        let tasks: Vec<_> = self.agent(index)?.tasks.iter().cloned().collect();
        let unreachable = loss.state == TaskState::TaskUnreachable;
        let max = env.config.master.max_unreachable_tasks_per_framework;
        for (framework_id, task_id) in tasks {
            let Some(task) = self.remove_task(env, &framework_id, &task_id) else { continue };
            if task.state.is_terminal() {
                continue;
            }
            let Some(framework) = self.frameworks.get_mut(&framework_id) else { continue };
            let state = framework.or_lost(loss.state);
            let mut status = task.status(env, state);
            status.reason = Some(if state == loss.state { loss.reason } else { loss.reason_for_others });
            status.message = Some(loss.message.to_owned());
            if unreachable {
                status.unreachable_time = Some(env.now);
                framework.remember_unreachable(task, max);
            }
            self.send(env, &framework_id, Event::Update(status));
        }
        self.rescind_agent(env, index);
        self.inverse_offers.remove_agent(index);
        let agent = self.agents[index.0 as usize].take()?;
        env.queue.cancel(agent.ping_alarm);
        for (framework_id, executors) in &agent.executors {
            for executor in executors.values() {
                // Only for the framework's share: the agent's slot goes away with it.
                let role = super::allocator::role_of(&executor.resources);
                let resources = Resources::sum(&executor.resources);
                self.allocator.recover(env, index, (framework_id, role.as_ref()), resources, None);
            }
        }
        self.allocator.remove_agent(index);
        self.ids.remove(&agent_id);
        self.send_to_all(env, &agent_failure(&agent_id));
        Some(agent_id)
    }

    /// The agents of the registry that did not come back in time after a failover. Nothing is known of their
    /// tasks, so there are no updates.
    pub(super) fn give_up_recovered_agents(&mut self, env: &mut Env) {
        for agent_id in std::mem::take(&mut self.recovered).into_keys() {
            // The registry marks only those that it has admitted: one that was marked gone in the meantime stays so.
            if self.registry.admitted.remove(&agent_id).is_some() {
                self.registry.unreachable.insert(agent_id.clone(), env.now);
            }
            self.send_to_all(env, &agent_failure(&agent_id));
        }
        self.plan_registry_gc(env);
    }

    // -- registry ------------------------------------------------------------------------------------------

    /// Plans the next collection, if there is anything to collect.
    pub(super) fn plan_registry_gc(&mut self, env: &mut Env) {
        let registry = &mut self.registry;
        let full = !registry.unreachable.is_empty() || !registry.gone.is_empty();
        if full && !registry.collecting {
            registry.collecting = true;
            env.plan_master(env.config.master.registry_gc_interval, MasterTimer::RegistryGc);
        }
    }

    /// Forgets agents that have been unreachable or gone for long, and the oldest if there are too many.
    pub(super) fn collect_registry(&mut self, env: &mut Env) {
        let config = &env.config.master;
        let (max_age, max_count) = (config.registry_max_agent_age, config.registry_max_agent_count);
        self.registry.collecting = false;
        for agents in [&mut self.registry.unreachable, &mut self.registry.gone] {
            agents.retain(|_, since| env.now.since(*since) <= max_age);
            if agents.len() > max_count {
                let mut by_age: Vec<_> = agents.iter().map(|(id, since)| (*since, id.clone())).collect();
                by_age.sort_unstable();
                for (_, agent_id) in &by_age[..agents.len() - max_count] {
                    agents.remove(agent_id);
                }
            }
        }
        self.plan_registry_gc(env);
    }
}

impl super::Framework {
    /// The newest so many are remembered.
    fn remember_unreachable(&mut self, task: super::Task, max: usize) {
        let task_id = task.info.task_id.clone();
        self.unreachable_order.retain(|id| *id != task_id);
        self.unreachable_order.push_back(task_id.clone());
        self.unreachable.insert(task_id, task);
        if self.unreachable_order.len() > max
            && let Some(oldest) = self.unreachable_order.pop_front()
        {
            self.unreachable.remove(&oldest);
        }
    }

    pub(super) fn forget_unreachable(&mut self, matches: impl Fn(&super::Task) -> bool) {
        self.unreachable.retain(|_, task| !matches(task));
        let unreachable = &self.unreachable;
        self.unreachable_order.retain(|id| unreachable.contains_key(id));
    }
}

fn agent_failure(agent_id: &AgentId) -> Event {
    Event::Failure(ExecutorFailure { agent_id: Some(agent_id.clone()), executor_id: None, status: None })
}

/// Pings come at multiples of `interval` after the agent's registration; the one of this moment has been sent.
fn until_next_ping(since: Duration, interval: Duration) -> Duration {
    let interval_ms = interval.as_millis().max(1);
    let left = interval_ms - since.as_millis() % interval_ms;
    Duration::from_millis(u64::try_from(left).unwrap_or(u64::MAX))
}
