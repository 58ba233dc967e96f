//! Agents on which copies of a pod fail again and again (`scheduling.backoff.failingAgents`).
//!
//! The back-off holds a pod back wherever it fails. A pod that asks for it is also kept away from an agent on
//! which so many of its copies failed, each within so many seconds of the one before: for so many seconds from the
//! last failure. A definition that replaces copies begins without a memory, and so does whoever resets the delay.

use std::time::Duration;

use crate::model::ids::AgentId;
use crate::model::instance::{Condition, Instance, KillReason, Task};
use crate::model::mesos::{StatusReason, StatusSource};
use crate::model::pod::FailingAgents;
use crate::model::time::Timestamp;
use crate::record::{AgentFailures, PodState};
use crate::state::Pod;

/// So many agents are remembered for each pod; those that failed longest ago are forgotten first.
const REMEMBERED_AGENTS: usize = 100;

impl PodState {
    /// Takes down that `instance`, which has ended without being asked to, failed where it was.
    pub(crate) fn note_failing_agent(
        &mut self,
        rule: Option<FailingAgents>,
        instance: &Instance,
        now: Timestamp,
    ) {
        let (Some(rule), Some(agent), true) = (rule, instance.agent_id(), has_failed(instance)) else {
            return;
        };
        let agents = &mut self.failing_agents;
        agents.retain(|_, failures| now < failures.last + memory(rule));
        let failures = agents.entry(agent.clone()).or_insert(AgentFailures { count: 0, last: now });
        *failures = AgentFailures { count: failures.count.saturating_add(1), last: now };
        while agents.len() > REMEMBERED_AGENTS
            && let Some(oldest) =
                agents.iter().min_by_key(|(_, failures)| failures.last).map(|(id, _)| id.clone())
        {
            agents.remove(&oldest);
        }
    }
}

impl Pod {
    /// Until when no copy is placed on `agent`, if that is so at `now`.
    pub(crate) fn avoids(&self, agent: &AgentId, now: Timestamp) -> Option<Timestamp> {
        self.avoided_until(self.state.failing_agents.get(agent)?, now)
    }

    /// When the first of the agents that are avoided at `now` can be used again.
    pub(crate) fn avoids_until(&self, now: Timestamp) -> Option<Timestamp> {
        let agents = self.state.failing_agents.values();
        agents.filter_map(|failures| self.avoided_until(failures, now)).min()
    }

    fn avoided_until(&self, failures: &AgentFailures, now: Timestamp) -> Option<Timestamp> {
        let rule = self.spec()?.scheduling.backoff.failing_agents?;
        let until = failures.last + memory(rule);
        (failures.count >= rule.failures && now < until).then_some(until)
    }
}

fn memory(rule: FailingAgents) -> Duration {
    Duration::from_secs(rule.seconds)
}

/// Whether the way in which `instance` ended may be its agent's fault.
fn has_failed(instance: &Instance) -> bool {
    let too_slow = instance.kill_requested.is_some_and(|request| request.reason == KillReason::LaunchTimeout);
    too_slow || instance.tasks.iter().any(has_failed_there)
}

/// Whether `task` failed by the word of somebody on the agent. What the master refuses or drops never came there, and an
/// agent that is drained does not take what it could run.
fn has_failed_there(task: &Task) -> bool {
    let last = task.last.as_deref();
    let never_came = last.and_then(|last| last.source) == Some(StatusSource::SourceMaster);
    let is_drained = last.and_then(|last| last.reason) == Some(StatusReason::ReasonAgentDraining);
    match task.condition {
        Condition::Failed => true,
        Condition::Error | Condition::Dropped => !never_came && !is_drained,
        _ => false,
    }
}
