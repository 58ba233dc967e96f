//! Who waits for offers, and what is against it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Pod, State};
use crate::model::ids::{PodId, Role};
use crate::model::time::Timestamp;
use crate::placement::NoMatch;
use crate::queue::{Roles, WaitingPods};

impl State {
    /// The pods of which some instance waits for an offer.
    pub(crate) fn waiting(&self) -> &WaitingPods {
        &self.waiting
    }

    /// Looks again at who waits: at the pods that changed since the last time, and a portion of those whose delay has
    /// ended.
    pub(crate) fn refresh_waiting(&mut self, now: Timestamp, portion: usize) {
        let mut changed = std::mem::take(&mut self.changes.waiting);
        for id in self.waiting.due(now).take(portion) {
            self.changes.demand = true;
            changed.insert(id.clone());
        }
        for id in &changed {
            if let Some(pod) = self.pods.get(id) {
                let lacks_secret = missing_secret(pod, &self.missing_secrets).is_some();
                let roles = awaited_roles(pod);
                self.waiting.update(pod, roles, lacks_secret, now);
            }
        }
        self.changes.waiting_changed |= !changed.is_empty();
    }

    /// A secret that copies of `pod` need and that cannot be had, and why.
    pub(crate) fn missing_secret<'a>(&'a self, pod: &Pod) -> Option<(&'a str, &'a str)> {
        missing_secret(pod, &self.missing_secrets)
    }

    /// The secrets that copies wait for and that cannot be had.
    pub(crate) fn missing_secrets(&self) -> &BTreeMap<String, String> {
        &self.missing_secrets
    }

    /// Other secrets cannot be had now: those who wait look again.
    pub(crate) fn set_missing_secrets(&mut self, missing: BTreeMap<String, String>) {
        if self.missing_secrets != missing {
            self.missing_secrets = missing;
            self.changes.waiting.extend(self.waiting.iter().cloned());
        }
    }

    /// An offer was looked at for a pod that waits, and not used.
    pub(crate) fn note_refusal(&mut self, pod: &PodId, why: NoMatch, now: Timestamp) {
        if let Some(pod) = self.pods.get_mut(pod) {
            pod.refusals.refused(why, now);
        }
    }

    /// An offer was used for a pod that waits.
    pub(crate) fn note_use(&mut self, pod: &PodId, now: Timestamp) {
        if let Some(pod) = self.pods.get_mut(pod) {
            pod.refusals.used(now);
        }
    }
}

/// The roles whose offers copies of `pod` wait for.
fn awaited_roles(pod: &Pod) -> Roles {
    let Some(spec) = pod.spec() else { return Roles::new() };
    if !spec.is_resident() {
        return Roles::from_elem(spec.role.clone(), 1);
    }
    let of_free = pod.waiting.free().next().map(|_| &spec.role);
    let awaited: BTreeSet<&Role> = pod.waiting.roles_of_residents().chain(of_free).collect();
    awaited.into_iter().cloned().collect()
}

fn missing_secret<'a>(pod: &Pod, missing: &'a BTreeMap<String, String>) -> Option<(&'a str, &'a str)> {
    if missing.is_empty() {
        return None;
    }
    let found = pod.spec()?.secrets_in_use().into_iter().find_map(|source| missing.get_key_value(source));
    found.map(|(source, why)| (source.as_str(), why.as_str()))
}
