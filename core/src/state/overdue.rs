//! Launches without a word from their agents.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::State;
use crate::model::ids::{AgentId, Uuid};
use crate::model::instance::{Condition, Instance};
use crate::model::time::Timestamp;

/// So much time passes between two questions about the same agent's launches.
const PAUSE: Duration = Duration::from_secs(10);

/// The launches that Mesos was asked about because nothing had been heard of them, and of which their agents have
/// still said nothing, by agent.
#[derive(Clone, Debug, Default)]
pub(super) struct OverdueLaunches(BTreeMap<AgentId, Overdue>);

#[derive(Clone, Debug)]
struct Overdue {
    instances: BTreeSet<Uuid>,
    /// When they were last asked about.
    asked: Timestamp,
}

impl OverdueLaunches {
    /// Adds `instance` if it is one of them.
    pub(super) fn add(&mut self, instance: &Instance, now: Timestamp) {
        if let Some(agent) = agent_of_overdue(instance) {
            let new = || Overdue { instances: BTreeSet::new(), asked: now };
            self.0.entry(agent.clone()).or_insert_with(new).instances.insert(instance.id.uuid);
        }
    }

    /// Removes `instance` if it is one of them.
    pub(super) fn remove(&mut self, instance: &Instance) {
        if let Some(agent) = agent_of_overdue(instance)
            && let Some(overdue) = self.0.get_mut(agent)
        {
            overdue.instances.remove(&instance.id.uuid);
            if overdue.instances.is_empty() {
                self.0.remove(agent);
            }
        }
    }

    fn ask_about(&mut self, agent: &AgentId, now: Timestamp) -> Vec<Uuid> {
        match self.0.get_mut(agent) {
            Some(overdue) if now.since(overdue.asked) >= PAUSE => {
                overdue.asked = now;
                overdue.instances.iter().copied().collect()
            }
            _ => Vec::new(),
        }
    }
}

impl State {
    /// The launches on `agent`, which is there as it seems, to be asked about: it has not said a word about them.
    pub(crate) fn overdue_launches_on(&mut self, agent: &AgentId) -> Vec<Uuid> {
        self.overdue_launches.ask_about(agent, self.now)
    }
}

/// The agent that owes a word about the launch of `instance`. A master's word (`TASK_STAGING`) is none of the agent's.
fn agent_of_overdue(instance: &Instance) -> Option<&AgentId> {
    let is_silent = instance.launch_questioned
        && instance.tasks.iter().all(|t| matches!(t.condition, Condition::Provisioned | Condition::Staging));
    instance.agent_id().filter(|_| is_silent)
}
