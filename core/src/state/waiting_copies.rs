//! The copies of one pod that wait for an offer.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::model::ids::{Role, Uuid};
use crate::model::instance::Instance;

/// The copies of one pod that wait for an offer: those that may go anywhere, and those that have volumes somewhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct WaitingCopies {
    /// Those that may go anywhere, oldest first.
    free: BTreeSet<Uuid>,
    /// Those that have volumes, oldest first.
    residents: BTreeSet<Uuid>,
    /// For how many of those with volumes they are reserved for each role.
    roles: BTreeMap<Role, u32>,
}

impl WaitingCopies {
    /// Adds a copy. Whether it was not there yet.
    pub(super) fn add(&mut self, instance: &Instance) -> bool {
        let uuid = instance.id.uuid;
        if instance.residence.is_none() {
            return self.free.insert(uuid);
        }
        let is_new = self.residents.insert(uuid);
        if is_new {
            *self.roles.entry(instance.role.clone()).or_default() += 1;
        }
        is_new
    }

    /// Removes a copy that was added as what it is, if it was.
    pub(super) fn remove(&mut self, instance: &Instance) {
        let uuid = instance.id.uuid;
        if instance.residence.is_none() {
            self.free.remove(&uuid);
        } else if self.residents.remove(&uuid)
            && let Some(count) = self.roles.get_mut(&instance.role)
        {
            *count -= 1;
            if *count == 0 {
                self.roles.remove(&instance.role);
            }
        }
    }

    /// Removes all.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.free.is_empty() && self.residents.is_empty()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.free.len() + self.residents.len()
    }

    /// Those that may go anywhere, oldest first.
    pub(crate) fn free(&self) -> impl DoubleEndedIterator<Item = Uuid> + '_ {
        self.free.iter().copied()
    }

    /// Those that have volumes, oldest first.
    pub(crate) fn residents(&self) -> impl DoubleEndedIterator<Item = Uuid> + '_ {
        self.residents.iter().copied()
    }

    /// Whether this one waits for its volumes.
    pub(crate) fn has_resident(&self, uuid: Uuid) -> bool {
        self.residents.contains(&uuid)
    }

    /// The roles that the volumes of those that have some are reserved for.
    pub(crate) fn roles_of_residents(&self) -> impl Iterator<Item = &Role> {
        self.roles.keys()
    }

    /// All of them, oldest first; those after `after`, if that is given.
    pub(crate) fn after(&self, after: Option<Uuid>) -> impl Iterator<Item = Uuid> + '_ {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut free = self.free.range((start, Bound::Unbounded)).copied().peekable();
        let mut residents = self.residents.range((start, Bound::Unbounded)).copied().peekable();
        std::iter::from_fn(move || match (free.peek(), residents.peek()) {
            (Some(one), Some(other)) if one > other => residents.next(),
            (Some(_), _) => free.next(),
            (None, _) => residents.next(),
        })
    }
}
