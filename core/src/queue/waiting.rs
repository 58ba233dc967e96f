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
//!
//! The indices are of *seats*: a number that a pod has while it is ready. Numbers are compared much faster than ids.

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
    /// The pods that are ready.
    seats: Vec<Option<Seated>>,
    free_seats: Vec<Seat>,
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
        seat: Seat,
        roles: Roles,
        wake: Option<Timestamp>,
    },
}

/// A number of a pod that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seat(u32);

/// A pod that is ready.
#[derive(Clone, Debug)]
struct Seated {
    id: PodId,
    needs: ScalarResources,
    epoch: Epoch,
}

/// The roles whose offers copies of a pod wait for: one, unless the pod's role was changed while volumes are reserved for
/// the old one.
pub(crate) type Roles = SmallVec<[Role; 1]>;

/// The pods that wait for offers of one role and may be launched now.
#[derive(Clone, Debug, Default)]
struct RoleIndex {
    cpus: BTreeSet<(Scalar, Seat)>,
    mem: BTreeSet<(Scalar, Seat)>,
    disk: BTreeSet<(Scalar, Seat)>,
    gpus: BTreeSet<(Scalar, Seat)>,
    epochs: BTreeSet<(Epoch, Seat)>,
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

    /// Whether offers would be of use to `pod` now.
    pub(crate) fn is_ready(&self, pod: &PodId) -> bool {
        matches!(self.places.get(pod), Some(Place::Ready { .. }))
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
                let seat = self.sit_down(Seated { id: id.clone(), needs, epoch });
                for role in &roles {
                    self.ready.entry(role.clone()).or_default().insert(seat, needs, epoch);
                }
                let wake = pod.avoids_until(now);
                self.wakes.extend(wake.map(|at| (at, id.clone())));
                Place::Ready { seat, roles, wake }
            }
        };
        self.places.insert(id.clone(), place);
    }

    /// Pods to be looked at again by `now`. They have to be [updated](Self::update).
    pub(crate) fn due(&self, now: Timestamp) -> impl Iterator<Item = &PodId> {
        self.wakes.iter().take_while(move |(at, _)| *at <= now).map(|(_, id)| id)
    }

    /// The pods waiting for offers of `role` whose needs each fit `free`; of those only the ones that changed
    /// `since`, if that is given. In no order.
    pub(crate) fn candidates(
        &self,
        role: &Role,
        free: ScalarResources,
        since: Option<Epoch>,
    ) -> impl Iterator<Item = Seat> {
        let named = self.ready.get(role).map(|index| index.fewest(&free, since)).unwrap_or_default();
        named.into_iter().filter(move |seat| {
            self.seated(*seat)
                .is_some_and(|pod| pod.needs.fit(&free) && since.is_none_or(|since| pod.epoch > since))
        })
    }

    /// The pod with this number.
    pub(crate) fn pod_at(&self, seat: Seat) -> Option<&PodId> {
        self.seated(seat).map(|pod| &pod.id)
    }

    fn seated(&self, seat: Seat) -> Option<&Seated> {
        self.seats.get(seat.0 as usize)?.as_ref()
    }

    fn sit_down(&mut self, pod: Seated) -> Seat {
        let seat = self.free_seats.pop().unwrap_or_else(|| {
            self.seats.push(None);
            Seat(self.seats.len() as u32 - 1)
        });
        self.seats[seat.0 as usize] = Some(pod);
        seat
    }

    fn remove(&mut self, id: &PodId) {
        match self.places.remove(id) {
            None | Some(Place::Blocked) => {}
            Some(Place::Delayed(until)) => {
                self.wakes.remove(&(until, id.clone()));
            }
            Some(Place::Ready { seat, roles, wake }) => {
                if let Some(at) = wake {
                    self.wakes.remove(&(at, id.clone()));
                }
                let Some(Seated { needs, epoch, .. }) = self.seats[seat.0 as usize].take() else { return };
                self.free_seats.push(seat);
                for role in roles {
                    let Some(index) = self.ready.get_mut(&role) else { continue };
                    index.remove(seat, needs, epoch);
                    if index.epochs.is_empty() {
                        self.ready.remove(&role);
                    }
                }
            }
        }
    }
}

impl RoleIndex {
    fn insert(&mut self, seat: Seat, needs: ScalarResources, epoch: Epoch) {
        self.cpus.insert((needs.cpus, seat));
        self.mem.insert((needs.mem, seat));
        self.disk.insert((needs.disk, seat));
        self.gpus.insert((needs.gpus, seat));
        self.epochs.insert((epoch, seat));
    }

    fn remove(&mut self, seat: Seat, needs: ScalarResources, epoch: Epoch) {
        self.cpus.remove(&(needs.cpus, seat));
        self.mem.remove(&(needs.mem, seat));
        self.disk.remove(&(needs.disk, seat));
        self.gpus.remove(&(needs.gpus, seat));
        self.epochs.remove(&(epoch, seat));
    }

    /// The pods that the most selective of the indices names. All are read side by side until the first one
    /// ends, so the cost is that of the shortest.
    fn fewest(&self, free: &ScalarResources, since: Option<Epoch>) -> Vec<Seat> {
        let needs = [
            (&self.cpus, free.cpus),
            (&self.mem, free.mem),
            (&self.disk, free.disk),
            (&self.gpus, free.gpus),
        ];
        let mut sources = needs.map(|(set, most)| (within(set, most), Vec::new()));
        let mut newest = since.map(|since| {
            let newest = self.epochs.iter().rev().take_while(move |(epoch, _)| *epoch > since);
            (newest.map(|(_, seat)| *seat), Vec::new())
        });
        loop {
            if let Some((source, named)) = &mut newest {
                match source.next() {
                    Some(seat) => named.push(seat),
                    None => return std::mem::take(named),
                }
            }
            for (source, named) in &mut sources {
                match source.next() {
                    Some(seat) => named.push(seat),
                    None => return std::mem::take(named),
                }
            }
        }
    }
}

/// The pods that need at most `most`, those that need least first.
fn within(set: &BTreeSet<(Scalar, Seat)>, most: Scalar) -> impl Iterator<Item = Seat> {
    set.iter().take_while(move |(needed, _)| *needed <= most).map(|(_, seat)| *seat)
}
