//! Copies of which their agents owe a word: launches that nothing was heard of, and copies that are out of reach.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::State;
use crate::model::ids::{AgentId, Uuid};
use crate::model::instance::{Condition, Instance};
use crate::model::time::Timestamp;

/// So much time passes between two questions about the same agent's copies.
const PAUSE: Duration = Duration::from_secs(10);

/// By agent, the launches that Mesos was asked about because nothing had been heard of them, and of which the agent has
/// still said nothing; and the copies that are out of reach. An agent that is offered is there.
#[derive(Clone, Debug, Default)]
pub(super) struct OverdueWords(BTreeMap<AgentId, Overdue>);

#[derive(Clone, Debug)]
struct Overdue {
    instances: BTreeSet<Uuid>,
    /// When they were last asked about.
    asked: Timestamp,
}

impl OverdueWords {
    /// Adds `instance` if it is one of them.
    pub(super) fn add(&mut self, instance: &Instance, now: Timestamp) {
        if let Some(agent) = agent_that_owes(instance) {
            let new = || Overdue { instances: BTreeSet::new(), asked: now };
            self.0.entry(agent.clone()).or_insert_with(new).instances.insert(instance.id.uuid);
        }
    }

    /// Removes `instance` if it is one of them.
    pub(super) fn remove(&mut self, instance: &Instance) {
        if let Some(agent) = agent_that_owes(instance)
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
    /// The copies on `agent`, which is there as it seems, to be asked about: it owes a word about them.
    pub(crate) fn overdue_words_of(&mut self, agent: &AgentId) -> Vec<Uuid> {
        self.overdue_words.ask_about(agent, self.now)
    }
}

/// The agent that owes a word about `instance`. A master's word (`TASK_STAGING`) is none of the agent's. A launch that an
/// agent never heard of before it got out of reach is not among what it tells when it is back.
fn agent_that_owes(instance: &Instance) -> Option<&AgentId> {
    let is_silent = || {
        instance.launch_questioned
            && instance
                .tasks
                .iter()
                .all(|t| matches!(t.condition, Condition::Provisioned | Condition::Staging))
    };
    let is_away = matches!(instance.condition, Condition::Unreachable | Condition::UnreachableInactive);
    instance.agent_id().filter(|_| is_away || is_silent())
}
