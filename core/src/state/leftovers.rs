//! What is kept on agents for instances that are gone, indexed by where it is.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::ids::{AgentId, Role, Uuid};
use crate::record::Leftover;

/// What is kept on agents for instances that are gone.
#[derive(Clone, Debug, Default)]
pub(super) struct Leftovers {
    all: BTreeMap<Uuid, Leftover>,
    /// Them by the role that they are reserved for, and the agent.
    places: BTreeMap<Role, BTreeMap<AgentId, BTreeSet<Uuid>>>,
}

impl Leftovers {
    /// Adds what is left of an instance, in place of what was known of it.
    pub(super) fn insert(&mut self, leftover: Leftover) {
        let uuid = leftover.instance.uuid;
        self.remove(uuid);
        let agents = self.places.entry(leftover.role.clone()).or_default();
        agents.entry(leftover.agent.agent_id.clone()).or_default().insert(uuid);
        self.all.insert(uuid, leftover);
    }

    /// Removes what is left of an instance.
    pub(super) fn remove(&mut self, uuid: Uuid) -> Option<Leftover> {
        let leftover = self.all.remove(&uuid)?;
        if let Some(agents) = self.places.get_mut(&leftover.role) {
            if let Some(left) = agents.get_mut(&leftover.agent.agent_id) {
                left.remove(&uuid);
                if left.is_empty() {
                    agents.remove(&leftover.agent.agent_id);
                }
            }
            if agents.is_empty() {
                self.places.remove(&leftover.role);
            }
        }
        Some(leftover)
    }

    /// What is left of an instance.
    pub(super) fn get(&self, uuid: Uuid) -> Option<&Leftover> {
        self.all.get(&uuid)
    }

    /// All of it.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Leftover> {
        self.all.values()
    }

    /// What is kept on `agent`, reserved for `role`.
    pub(super) fn on<'a>(&'a self, agent: &AgentId, role: &Role) -> impl Iterator<Item = &'a Leftover> {
        let left = self.places.get(role).and_then(|agents| agents.get(agent));
        left.into_iter().flatten().filter_map(|uuid| self.all.get(uuid))
    }

    /// All that is kept on `agent`.
    pub(super) fn all_on(&self, agent: &AgentId) -> Vec<Uuid> {
        self.places.values().filter_map(|agents| agents.get(agent)).flatten().copied().collect()
    }

    /// The roles that something of it is reserved for.
    pub(super) fn roles(&self) -> impl Iterator<Item = &Role> {
        self.places.keys()
    }
}
