//! Rollouts whose new copies find no place beside the old ones.
//!
//! ```text
//!   new copies wait for offers ──(PATIENCE)──► is it a place that they lack? ── yes ──► old ones make it (places.rs),
//!     ▲         │                                              │ no                     as far as the floor allows
//!     │         └── one is launched, or an old one has ended   │                           │
//!     └─────────────────────────┴──────────────────────────────┴───────────────────────────┘
//! ```
//!
//! What `minimumHealthCapacity` would give up need not be, so old copies that serve stay until new ones serve in their
//! place, and those that do not may come to serve. But where the cluster is full, or a fixed port is taken, new ones would
//! wait for ever. Then those that do not serve go first, and those that are out of reach not at all: they make no place.
//!
//! It is no place that new ones lack if offers would be of no use to them now. And old ones make no more of it than that:
//! what they have made has to be found before more of them go, or it was not enough.
//!
//! None of this is stored: another leader is as patient again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::capacity::Capacity;
use crate::model::ids::PodId;
use crate::model::pod::PodSpec;
use crate::model::time::Timestamp;
use crate::scheduler::Scheduler;
use crate::state::{Pod, Stage, Tally};

/// So long new copies look for a place at least. Meanwhile the offers of all agents are asked for again, whatever was
/// refused.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pods of which new copies look for a place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Searches {
    by_pod: BTreeMap<PodId, Search>,
    ends: BTreeSet<(Timestamp, PodId)>,
}

/// New copies that look for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Search {
    /// The definition that they are to be launched from.
    version: Timestamp,
    /// So many.
    copies: u32,
    /// So many others were ending meanwhile, whose places can be found once they have.
    ending: u32,
    /// Until when.
    until: Timestamp,
    /// Whether offers could be of use to them when it began: else what they have missed until now is no place.
    is_useful: bool,
}

impl Searches {
    /// When the first of them ends.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.ends.first().map(|(at, _)| *at)
    }

    /// The pods whose search ends by `now`.
    pub(super) fn due(&self, now: Timestamp) -> impl Iterator<Item = &PodId> {
        self.ends.iter().take_while(move |(at, _)| *at <= now).map(|(_, pod)| pod)
    }

    fn set(&mut self, pod: &PodId, search: Search) {
        self.ends.insert((search.until, pod.clone()));
        self.by_pod.insert(pod.clone(), search);
    }

    /// There is no such pod any more.
    pub(super) fn forget(&mut self, pod: &PodId) {
        self.remove(pod);
    }

    fn remove(&mut self, pod: &PodId) -> Option<Search> {
        let search = self.by_pod.remove(pod)?;
        self.ends.remove(&(search.until, pod.clone()));
        Some(search)
    }
}

impl Scheduler {
    /// How many new copies of the pod `id` lack a place that old ones could make. `replaced` is its definition while older
    /// ones are being replaced. The search begins anew when it has come to its end: a place that is made has to be found.
    pub(super) fn lack_place(&mut self, id: &PodId, replaced: Option<&PodSpec>, tally: Tally) -> u32 {
        let before = self.searches.remove(id);
        let Some(pod) = self.state.pod(id) else { return 0 };
        // Copies with volumes go back to them. And without anything to be given up nobody need look.
        let may_help = |spec: &&PodSpec| {
            let is_spare = || tally.old.serving() > 0 && Capacity::of(spec).floor < spec.instances();
            !spec.is_resident() && (tally.old.idle() > 0 || is_spare())
        };
        let Some(version) = replaced.filter(may_help).map(|spec| spec.version) else { return 0 };
        let (copies, ending) = (tally.current.get(Stage::Waiting), tally.get(Stage::Stopping));
        if copies == 0 {
            return 0;
        }
        // If fewer wait, or are ending, some were launched meanwhile, or have left a place that can be found.
        let is_same =
            |before: &Search| before.version == version && before.copies <= copies && before.ending <= ending;
        let before = before.filter(is_same);
        let is_over = |before: &Search| before.until <= self.now && self.is_up_to_date();
        if let Some(before) = before.filter(|before| !is_over(before)) {
            self.searches.set(id, Search { copies, ending, ..before });
            return 0;
        }
        let (is_useful, until) = (self.can_use_offers(pod), self.now + self.patience());
        let lacks_place = before.is_some_and(|before| before.is_useful) && self.lacks_place(pod);
        self.searches.set(id, Search { version, copies, ending, until, is_useful });
        if lacks_place { copies } else { 0 }
    }

    /// This step's portion was not enough for all that make place for new copies of the pod: the next one goes on.
    pub(super) fn go_on_making_place(&mut self, id: &PodId) {
        if let Some(search) = self.searches.remove(id) {
            self.searches.set(id, Search { until: self.now, ..search });
        }
    }

    /// How long new copies look for a place, so that offers are asked for in that time.
    fn patience(&self) -> Duration {
        PATIENCE.max(self.config.min_revive_offers_interval * 2)
    }

    /// Whether new copies of `pod` have waited for nothing but a place.
    fn lacks_place(&self, pod: &Pod) -> bool {
        let had_time = pod.state.delay.is_none_or(|delay| delay.until + self.patience() <= self.now);
        had_time && self.state.waiting().is_ready(&pod.state.id) && self.can_use_offers(pod)
    }

    /// Whether new copies of `pod` could be launched on offers, the back-off apart.
    fn can_use_offers(&self, pod: &Pod) -> bool {
        let is_refused = pod.spec().is_none_or(|spec| self.demand.refusal(&spec.role).is_some());
        !is_refused && self.state.missing_secret(pod).is_none()
    }

    /// From when on old copies of the pod `id` make place for new ones that look for it.
    pub(super) fn makes_place_from(&self, id: &PodId) -> Option<Timestamp> {
        let search = self.searches.by_pod.get(id)?;
        search.is_useful.then_some(search.until)
    }

    /// There were no offers for a while: all that look for a place begin anew.
    pub(crate) fn restart_searches(&mut self) {
        let (searches, until) = (std::mem::take(&mut self.searches), self.now + self.patience());
        for (pod, search) in searches.by_pod {
            self.searches.set(&pod, Search { until, ..search });
        }
    }
}
