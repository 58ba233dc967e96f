//! Copies that wait to go back to their volumes, by the agent where these are.

use std::collections::{BTreeMap, BTreeSet};

use super::State;
use crate::model::ids::{AgentId, Uuid};
use crate::model::instance::Instance;

/// By agent, the copies that wait to go back to their volumes there. As nothing of them runs, Mesos says nothing of them
/// by itself, not even that their agent is gone for good.
#[derive(Clone, Debug, Default)]
pub(super) struct AwaitedHomes(BTreeMap<AgentId, BTreeSet<Uuid>>);

impl AwaitedHomes {
    /// Adds `instance` if it is one of them.
    pub(super) fn add(&mut self, instance: &Instance) {
        if let Some(agent) = awaited_agent(instance) {
            self.0.entry(agent.clone()).or_default().insert(instance.id.uuid);
        }
    }

    /// Removes `instance` if it is one of them.
    pub(super) fn remove(&mut self, instance: &Instance) {
        if let Some(agent) = awaited_agent(instance)
            && let Some(copies) = self.0.get_mut(agent)
        {
            copies.remove(&instance.id.uuid);
            if copies.is_empty() {
                self.0.remove(agent);
            }
        }
    }
}

impl State {
    /// The copies that wait to go back to their volumes on `agent`, oldest first.
    pub(crate) fn copies_waiting_for(&self, agent: &AgentId) -> impl Iterator<Item = Uuid> {
        self.awaited_homes.0.get(agent).into_iter().flatten().copied()
    }
}

fn awaited_agent(instance: &Instance) -> Option<&AgentId> {
    instance.agent_id().filter(|_| instance.waits_for_its_home())
}
