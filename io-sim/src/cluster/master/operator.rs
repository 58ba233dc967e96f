//! The operator's calls.

use podium_core::model::ids::AgentId;

use super::calls::{rejected, respond};
use super::{Master, Phase};
use crate::cluster::env::Env;
use crate::cluster::io::{AgentIndex, Answer, OperatorCall, RequestId};
use crate::cluster::wire::{DrainConfig, ToAgent};

impl Master {
    pub(in crate::cluster) fn on_operator_call(
        &mut self,
        env: &mut Env,
        request: RequestId,
        call: OperatorCall,
    ) {
        let answer = match self.ready() {
            Ok(()) => self.operate(env, call),
            Err(answer) => answer,
        };
        respond(env, request, answer);
    }

    fn operate(&mut self, env: &mut Env, call: OperatorCall) -> Answer {
        match call {
            OperatorCall::DeactivateAgent { agent_id } => self.deactivate_agent(env, &agent_id, None),
            OperatorCall::DrainAgent { agent_id, max_grace_period, mark_gone } => {
                let config = DrainConfig { max_grace_period, mark_gone };
                self.deactivate_agent(env, &agent_id, Some(config))
            }
            OperatorCall::MarkAgentGone { agent_id } => self.mark_agent_gone(env, &agent_id),
            OperatorCall::ReactivateAgent { agent_id } => self.reactivate_agent(env, &agent_id),
            OperatorCall::StartMaintenance { agents } => self.start_maintenance(env, &agents),
            OperatorCall::StopMaintenance { agents } => self.stop_maintenance(&agents),
            OperatorCall::Teardown { framework_id } => {
                if !self.frameworks.contains_key(&framework_id) {
                    return rejected(400, "No framework found with specified ID");
                }
                self.remove_framework(env, &framework_id);
                Answer::Ok
            }
            OperatorCall::UpdateMaintenanceSchedule { windows } => {
                self.update_maintenance_schedule(env, windows);
                Answer::Ok
            }
            OperatorCall::UpdateQuota { role, limits } => {
                self.allocator.set_quota(role.clone(), limits);
                let offers: Vec<_> = self.agents.iter().flatten().flat_map(|a| a.offers.clone()).collect();
                for offer_id in offers {
                    if self.offer(&offer_id).is_some_and(|record| record.role == role) {
                        self.rescind_offer(env, &offer_id);
                    }
                }
                self.allocate_later(env);
                Answer::Ok
            }
        }
    }

    /// Faults and admin pages take offers back too.
    pub(in crate::cluster) fn rescind_offers(&mut self, env: &mut Env, agent: Option<AgentIndex>) {
        if self.phase != Phase::Up {
            return;
        }
        let agents: Vec<_> = self.agents.iter().flatten().map(|agent| agent.index).collect();
        for index in agents.into_iter().filter(|index| agent.is_none_or(|agent| agent == *index)) {
            self.rescind_agent(env, index);
        }
    }

    /// Offers of the agent stop. With a drain its tasks are killed as well.
    fn deactivate_agent(&mut self, env: &mut Env, agent_id: &AgentId, drain: Option<DrainConfig>) -> Answer {
        let index = self.ids.get(agent_id).copied();
        if index.is_none()
            && !self.recovered.contains_key(agent_id)
            && !self.registry.unreachable.contains_key(agent_id)
        {
            return rejected(400, "Unknown agent");
        }
        self.registry.deactivated.insert(agent_id.clone());
        if let Some(config) = drain {
            self.registry.draining.insert(agent_id.clone(), config);
        }
        let Some(index) = index else { return Answer::Ok };
        self.allocator.set_agent_active(index, false);
        self.rescind_agent(env, index);
        if let Some(config) = drain {
            env.send_to_agent(index, ToAgent::Drain(config));
            self.check_drained(env, index);
        }
        Answer::Ok
    }

    fn reactivate_agent(&mut self, env: &mut Env, agent_id: &AgentId) -> Answer {
        if !self.registry.deactivated.remove(agent_id) {
            return rejected(400, "Agent is not deactivated");
        }
        let drained = self.registry.draining.remove(agent_id).is_some();
        if let Some(index) = self.ids.get(agent_id).copied() {
            if drained {
                env.send_to_agent(index, ToAgent::Reactivate);
            }
            if self.agent(index).is_some_and(|agent| agent.connected) {
                self.allocator.set_agent_active(index, true);
            }
            self.allocate_later(env);
        }
        Answer::Ok
    }

    fn mark_agent_gone(&mut self, env: &mut Env, agent_id: &AgentId) -> Answer {
        if self.registry.gone.contains_key(agent_id) {
            return Answer::Ok;
        }
        if let Some(index) = self.ids.get(agent_id).copied() {
            self.mark_gone(env, index);
        } else if self.registry.unreachable.remove(agent_id).is_some() {
            self.registry.gone.insert(agent_id.clone(), env.now);
            self.unreachable_tasks_gone(env, agent_id);
        } else if self.recovered.contains_key(agent_id) {
            // It stays among the recovered ones, so that questions about its tasks are not answered until those are
            // given up: a flaw of Mesos.
            self.registry.admitted.remove(agent_id);
            self.registry.gone.insert(agent_id.clone(), env.now);
        } else {
            return rejected(404, format!("Agent '{agent_id}' not found"));
        }
        Answer::Ok
    }

    fn unreachable_tasks_gone(&mut self, env: &mut Env, agent_id: &AgentId) {
        use podium_core::model::mesos::{Event, StatusReason, TaskState};
        let mut updates = Vec::new();
        for (framework_id, framework) in &mut self.frameworks {
            let state = framework.or_lost(TaskState::TaskGoneByOperator);
            for task in framework.unreachable.values().filter(|task| task.info.agent_id == *agent_id) {
                let mut status = task.status(env, state);
                status.reason = Some(if state == TaskState::TaskLost {
                    StatusReason::ReasonAgentRemoved
                } else {
                    StatusReason::ReasonAgentRemovedByOperator
                });
                status.message = Some("Agent has been marked gone".to_owned());
                updates.push((framework_id.clone(), status));
            }
            framework.forget_unreachable(|task| task.info.agent_id == *agent_id);
        }
        for (framework_id, status) in updates {
            self.send(env, &framework_id, Event::Update(status));
        }
    }

    /// A draining agent whose last task and operation has ended and is acknowledged is drained; if so configured, it is gone.
    pub(super) fn check_drained(&mut self, env: &mut Env, index: AgentIndex) {
        let Some(agent) = self.agent(index) else { return };
        let Some(config) = self.registry.draining.get(&agent.id) else { return };
        if config.mark_gone && agent.tasks.is_empty() && agent.operations.is_empty() {
            self.mark_gone(env, index);
        }
    }
}
