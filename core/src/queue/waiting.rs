//! The pods of which some copy waits for an offer, indexed so that offers find whom they could serve without
//! asking everybody.
//!
//! ```text
//!              delay runs ──► delayed ──(its end)──┐
//!   waits ───┤                                     ▼
//!            │ no delay  ─────────────────────► ready:  by cpus │ by mem │ by disk │ by gpus │ by epoch
//!              a secret is missing ─► blocked ─────▲
//! ```
//!
//! A pod that is ready and avoids some agents for a while is looked at again when the first of them can be used
//! again.
//!
//! A pod can only use an agent if each of its needs fits what is free there: the index of the scarcest
//! resource names the few that remain to be looked at. And an agent that comes back with no more than it had
//! when all these pods were tried on it before needs to be tried only on those for which something has changed
//! since: every change of a pod gives it a new, greater *epoch*.

use std::collections::{BTreeMap, BTreeSet};

use smallvec::SmallVec;

use crate::model::ids::{PodId, Role};
use crate::model::number::Scalar;
use crate::model::pod::ScalarResources;
use crate::model::time::Timestamp;
use crate::state::Pod;

/// The pods of which some copy waits.
#[derive(Clone, Debug, Default)]
pub(crate) struct WaitingPods {
    places: BTreeMap<PodId, Place>,
    ready: BTreeMap<Role, RoleIndex>,
    /// When to look again at pods, because a delay ends or an agent can be used again.
    wakes: BTreeSet<(Timestamp, PodId)>,
    epoch: Epoch,
}

/// Counts changes of pods that wait. Later changes have greater epochs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Epoch(u64);

/// Where a pod is in the indices.
#[derive(Clone, Debug, PartialEq)]
enum Place {
    Delayed(Timestamp),
    /// Something else than an offer is missing. Whoever finds it [updates](WaitingPods::update) the pod.
    Blocked,
    Ready {
        roles: Roles,
        needs: ScalarResources,
        epoch: Epoch,
        wake: Option<Timestamp>,
    },
}

/// The roles whose offers copies of a pod wait for: one, unless the pod's role was changed while volumes are reserved for
/// the old one.
pub(crate) type Roles = SmallVec<[Role; 1]>;

/// The pods that wait for offers of one role and may be launched now.
#[derive(Clone, Debug, Default)]
struct RoleIndex {
    cpus: BTreeSet<(Scalar, PodId)>,
    mem: BTreeSet<(Scalar, PodId)>,
    disk: BTreeSet<(Scalar, PodId)>,
    gpus: BTreeSet<(Scalar, PodId)>,
    epochs: BTreeSet<(Epoch, PodId)>,
}

impl WaitingPods {
    /// The pods, by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &PodId> {
        self.places.keys()
    }

    /// The roles whose offers could be used now.
    pub(crate) fn wanted_roles(&self) -> impl Iterator<Item = &Role> {
        self.ready.keys()
    }

    /// When the next delay ends, or the next agent can be used again.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// The newest epoch given.
    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Takes `pod` as it is now, with a new epoch if it waits for offers to `roles`, which would be of no use to it if
    /// it `is_blocked`.
    pub(crate) fn update(&mut self, pod: &Pod, roles: Roles, is_blocked: bool, now: Timestamp) {
        let id = &pod.state.id;
        self.remove(id);
        let Some(spec) = pod.spec().filter(|_| !pod.waiting.is_empty()) else { return };
        let place = match pod.state.delay.filter(|delay| delay.until > now) {
            Some(delay) => {
                self.wakes.insert((delay.until, id.clone()));
                Place::Delayed(delay.until)
            }
            None if is_blocked => Place::Blocked,
            None => {
                self.epoch.0 += 1;
                let (needs, epoch) = (spec.total_resources(), self.epoch);
                for role in &roles {
                    self.ready.entry(role.clone()).or_default().insert(id, needs, epoch);
                }
                let wake = pod.avoids_until(now);
                self.wakes.extend(wake.map(|at| (at, id.clone())));
                Place::Ready { roles, needs, epoch, wake }
            }
        };
        self.places.insert(id.clone(), place);
    }

    /// Pods to be looked at again by `now`. They have to be [updated](Self::update).
    pub(crate) fn due(&self, now: Timestamp) -> impl Iterator<Item = &PodId> {
        self.wakes.iter().take_while(move |(at, _)| *at <= now).map(|(_, id)| id)
    }

    /// The pods waiting for offers of `role` whose needs each fit `free`; of those only the ones that changed
    /// `since`, if that is given. By id.
    pub(crate) fn candidates(
        &self,
        role: &Role,
        free: &ScalarResources,
        since: Option<Epoch>,
    ) -> BTreeSet<&PodId> {
        let Some(index) = self.ready.get(role) else { return BTreeSet::new() };
        let named = index.fewest(free, since);
        named.into_iter().filter(|id| self.fits(id, free, since)).collect()
    }

    fn fits(&self, id: &PodId, free: &ScalarResources, since: Option<Epoch>) -> bool {
        match self.places.get(id) {
            Some(Place::Ready { needs, epoch, .. }) => {
                needs.fit(free) && since.is_none_or(|since| *epoch > since)
            }
            Some(Place::Delayed(_) | Place::Blocked) | None => false,
        }
    }

    fn remove(&mut self, id: &PodId) {
        match self.places.remove(id) {
            None | Some(Place::Blocked) => {}
            Some(Place::Delayed(until)) => {
                self.wakes.remove(&(until, id.clone()));
            }
            Some(Place::Ready { roles, needs, epoch, wake }) => {
                if let Some(at) = wake {
                    self.wakes.remove(&(at, id.clone()));
                }
                for role in roles {
                    let Some(index) = self.ready.get_mut(&role) else { continue };
                    index.remove(id, needs, epoch);
                    if index.epochs.is_empty() {
                        self.ready.remove(&role);
                    }
                }
            }
        }
    }
}

impl RoleIndex {
    fn insert(&mut self, id: &PodId, needs: ScalarResources, epoch: Epoch) {
        self.cpus.insert((needs.cpus, id.clone()));
        self.mem.insert((needs.mem, id.clone()));
        self.disk.insert((needs.disk, id.clone()));
        self.gpus.insert((needs.gpus, id.clone()));
        self.epochs.insert((epoch, id.clone()));
    }

    fn remove(&mut self, id: &PodId, needs: ScalarResources, epoch: Epoch) {
        self.cpus.remove(&(needs.cpus, id.clone()));
        self.mem.remove(&(needs.mem, id.clone()));
        self.disk.remove(&(needs.disk, id.clone()));
        self.gpus.remove(&(needs.gpus, id.clone()));
        self.epochs.remove(&(epoch, id.clone()));
    }

    /// The pods that the most selective of the indices names. All are read side by side until the first one
    /// ends, so the cost is that of the shortest.
    fn fewest(&self, free: &ScalarResources, since: Option<Epoch>) -> Vec<&PodId> {
        let up_to = |set, most| within(set, most);
        let mut sources: Vec<Box<dyn Iterator<Item = &PodId> + '_>> = vec![
            Box::new(up_to(&self.cpus, free.cpus)),
            Box::new(up_to(&self.mem, free.mem)),
            Box::new(up_to(&self.disk, free.disk)),
            Box::new(up_to(&self.gpus, free.gpus)),
        ];
        if let Some(since) = since {
            let newest = self.epochs.iter().rev().take_while(move |(epoch, _)| *epoch > since);
            sources.push(Box::new(newest.map(|(_, id)| id)));
        }
        let mut named: Vec<Vec<&PodId>> = sources.iter().map(|_| Vec::new()).collect();
        loop {
            for (source, named) in sources.iter_mut().zip(&mut named) {
                match source.next() {
                    Some(id) => named.push(id),
                    None => return std::mem::take(named),
                }
            }
        }
    }
}

/// The pods that need at most `most`, those that need least first.
fn within(set: &BTreeSet<(Scalar, PodId)>, most: Scalar) -> impl Iterator<Item = &PodId> {
    set.iter().take_while(move |(needed, _)| *needed <= most).map(|(_, id)| id)
}
