//! What is remembered of instances that are gone: how they ended, that they may come back, and what is kept for them.

use std::sync::Arc;

use super::State;
use crate::model::ids::{AgentId, InstanceId, Role, Uuid};
use crate::model::instance::{Instance, Termination};
use crate::model::time::Timestamp;
use crate::record::{Forgotten, Key, Leftover};

impl State {
    /// Keeps how an instance ended, and forgets the oldest end of its pod if there are too many.
    pub(crate) fn add_termination(&mut self, end: Arc<Termination>) {
        self.changes.keys.insert(key_of(&end));
        self.load_termination(end);
    }

    /// The same, of one that is durable.
    pub(super) fn load_termination(&mut self, end: Arc<Termination>) {
        let pod = self.pods.get_or_insert(&end.instance.pod);
        if let Some(forgotten) = pod.add_termination(end) {
            self.changes.keys.insert(key_of(&forgotten));
        }
    }

    /// How a launch of an instance ended, if it is kept.
    pub(super) fn termination(&self, id: &InstanceId, incarnation: u32) -> Option<&Arc<Termination>> {
        let ends = &self.pods.get(&id.pod)?.terminations;
        ends.iter().find(|end| end.instance == *id && end.incarnation == incarnation)
    }

    /// Removes an instance whose containers may still run: they are killed if they come back.
    pub(crate) fn forget(&mut self, uuid: Uuid, now: Timestamp) -> Option<Instance> {
        let instance = self.remove(uuid)?;
        let forgotten =
            Forgotten { instance: instance.id.clone(), since: now, agent: instance.agent.clone() };
        self.changes.keys.insert(Key::Forgotten(instance.id.clone()));
        self.forgotten.insert(uuid, forgotten);
        Some(instance)
    }

    /// An instance that was forgotten.
    pub(crate) fn forgotten(&self, uuid: Uuid) -> Option<&Forgotten> {
        self.forgotten.get(&uuid)
    }

    /// All instances that were forgotten.
    pub(crate) fn all_forgotten(&self) -> impl Iterator<Item = &Forgotten> {
        self.forgotten.values()
    }

    /// Forgets a forgotten instance for good.
    pub(crate) fn drop_forgotten(&mut self, uuid: Uuid) {
        if let Some(forgotten) = self.forgotten.remove(&uuid) {
            self.changes.keys.insert(Key::Forgotten(forgotten.instance));
        }
    }

    /// What is kept on agents for instances that are gone.
    pub(crate) fn leftovers(&self) -> impl Iterator<Item = &Leftover> {
        self.leftovers.iter()
    }

    /// What is kept on `agent` for instances that are gone, reserved for `role`.
    pub(crate) fn leftovers_on<'a>(
        &'a self,
        agent: &AgentId,
        role: &Role,
    ) -> impl Iterator<Item = &'a Leftover> {
        self.leftovers.on(agent, role)
    }

    /// The roles that something is reserved for which is kept for instances that are gone.
    pub(crate) fn roles_of_leftovers(&self) -> impl Iterator<Item = &Role> {
        self.leftovers.roles()
    }

    /// Whether an instance is, or is known to be gone.
    pub(crate) fn has_record_of(&self, uuid: Uuid) -> bool {
        self.instance(uuid).is_some()
            || self.forgotten.contains_key(&uuid)
            || self.leftovers.get(uuid).is_some()
    }

    /// Notes that something is kept for an instance that is gone, or that it was seen again.
    pub(crate) fn put_leftover(&mut self, leftover: Leftover) {
        self.changes.keys.insert(Key::Leftover(leftover.instance.clone()));
        self.changes.waiting_changed = true;
        self.leftovers.insert(leftover);
    }

    /// `agent` is gone for good, with all that was kept on it.
    pub(crate) fn drop_leftovers_on(&mut self, agent: &AgentId) {
        for uuid in self.leftovers.all_on(agent) {
            self.drop_leftover(uuid);
        }
    }

    /// Nothing is kept any more for an instance that is gone.
    pub(crate) fn drop_leftover(&mut self, uuid: Uuid) {
        if let Some(leftover) = self.leftovers.remove(uuid) {
            self.changes.keys.insert(Key::Leftover(leftover.instance));
            self.changes.waiting_changed = true;
        }
    }
}

fn key_of(end: &Termination) -> Key {
    Key::Termination(end.instance.clone(), end.incarnation)
}
