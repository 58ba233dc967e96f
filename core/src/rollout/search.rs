//! Rollouts whose new copies find no place beside the old ones.
//!
//! ```text
//!   new copies wait for offers ──(PATIENCE)──► is it a place that they lack? ── yes ──► old ones make it,
//!            │                                       │                                as far as the floor allows;
//!            └── one is launched: anew               └── no: look again later         when they have: anew
//! ```
//!
//! What `minimumHealthCapacity` would give up need not be, so old copies that serve stay until new ones serve in their
//! place, and those that do not may come to serve. But where the cluster is full, or a fixed port is taken, new ones would
//! wait for ever. Then those that do not serve go first, and those that are out of reach not at all: they make no place.
//! As many go as there are new ones that lack a place, and no more before these have had their time to find it.
//!
//! It is no place that new ones lack if offers would be of no use to them now, and nobody need go if no new one could ever
//! go where an old one is.
//!
//! None of this is stored: another leader is as patient again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::capacity::Capacity;
use crate::marks::Mark;
use crate::model::ids::{AgentId, PodId};
use crate::model::pod::PodSpec;
use crate::model::time::Timestamp;
use crate::placement::might_ever_match;
use crate::scheduler::Scheduler;
use crate::state::{Stage, Tally};

/// So long new copies look for a place. Meanwhile the offers of all agents are asked for again, whatever was refused.
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
    /// So many.
    copies: u32,
    stage: SearchStage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SearchStage {
    /// There may be a place beside the old copies: they look for it until then.
    Looking(Timestamp),
    /// There is none: of the old copies that take up a place as many go as leave so many.
    Making(u32),
}

impl Search {
    fn end(self) -> Option<Timestamp> {
        match self.stage {
            SearchStage::Looking(until) => Some(until),
            SearchStage::Making(_) => None,
        }
    }
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
        self.ends.extend(search.end().map(|at| (at, pod.clone())));
        self.by_pod.insert(pod.clone(), search);
    }

    /// There is no such pod any more.
    pub(super) fn forget(&mut self, pod: &PodId) {
        self.remove(pod);
    }

    fn remove(&mut self, pod: &PodId) -> Option<Search> {
        let search = self.by_pod.remove(pod)?;
        if let Some(at) = search.end() {
            self.ends.remove(&(at, pod.clone()));
        }
        Some(search)
    }
}

impl Scheduler {
    /// How many old copies of the pod `id` have to make place for new ones that lack it. `replaced` is its definition while
    /// older ones are being replaced.
    pub(super) fn make_place(&mut self, id: &PodId, replaced: Option<&PodSpec>, tally: Tally) -> u32 {
        let before = self.searches.remove(id);
        // Copies with volumes go back to them. And without anything to be given up nobody need look.
        let may_help = |spec: &&PodSpec| {
            let is_spare = || tally.old.serving() > 0 && Capacity::of(spec).floor < spec.instances();
            !spec.is_resident() && (tally.old.idle() > 0 || is_spare())
        };
        let copies = replaced.filter(may_help).map_or(0, |_| tally.current.get(Stage::Waiting));
        if copies == 0 {
            return 0;
        }
        let (old, ending) = (tally.old.idle() + tally.old.serving(), tally.get(Stage::Stopping));
        let stage = match before.filter(|before| before.copies <= copies).map(|before| before.stage) {
            Some(SearchStage::Looking(until)) if until > self.now || !self.is_up_to_date() => {
                SearchStage::Looking(until)
            }
            Some(SearchStage::Looking(_)) if self.is_place_lacking(id) => {
                self.mark(Mark::PlaceMade);
                // Those that are ending make it already.
                let lacking = copies.saturating_sub(ending);
                SearchStage::Making(old.saturating_sub(lacking))
            }
            Some(SearchStage::Making(left)) if old > left || ending > 0 => SearchStage::Making(left),
            // Others were launched meanwhile, or it has been made, or it is something else that is or was missing.
            _ => SearchStage::Looking(self.now + PATIENCE),
        };
        self.searches.set(id, Search { copies, stage });
        match stage {
            SearchStage::Looking(_) => 0,
            SearchStage::Making(left) => old.saturating_sub(left),
        }
    }

    /// Whether new copies of the pod have waited for nothing but a place, and one might go where an old one is.
    fn is_place_lacking(&self, id: &PodId) -> bool {
        let Some(pod) = self.state.pod(id) else { return false };
        let Some(spec) = pod.spec() else { return false };
        let had_time = pod.state.delay.is_none_or(|delay| delay.until + PATIENCE <= self.now);
        let waits_for_offers = self.state.waiting().is_ready(id) && self.demand.refusal(&spec.role).is_none();
        let site = self.site();
        // Of an agent that was not offered for as long as there is the connection nobody can say.
        let might_take_one = |agent: &AgentId| {
            let known = self.agents.known(agent, &spec.role);
            known.is_none_or(|known| might_ever_match(pod, spec, known, &site))
        };
        let mut old = self.state.instances_of(pod).filter(|copy| {
            let stage = pod.stage(copy);
            let takes_place = (Stage::Launching..=Stage::Available).contains(&stage);
            takes_place && !pod.counts_as_current(copy, stage)
        });
        had_time && waits_for_offers && old.any(|copy| copy.agent_id().is_some_and(might_take_one))
    }

    /// There were no offers for a while: all that look for a place begin anew.
    pub(crate) fn restart_searches(&mut self) {
        let searches = std::mem::take(&mut self.searches);
        for (pod, search) in searches.by_pod {
            let stage = SearchStage::Looking(self.now + PATIENCE);
            self.searches.set(&pod, Search { stage, ..search });
        }
    }
}
