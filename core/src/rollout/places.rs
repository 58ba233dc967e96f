//! Which old copies make place for new ones that find none beside them.
//!
//! ```text
//!   agent a   ░░░░ free │ old │ old │        one has to go before a new one fits
//!   agent b   old │ old │ old                two have to go
//!   agent c   old                            never: it is too small, or a constraint is against it
//! ```
//!
//! An old copy that goes from where no new one can come is lost for nothing, and so is one of two on different agents
//! if a new one takes more than either. So copies go agent by agent: first from where fewest that serve have to, and
//! otherwise in the order in which all of the pod's copies go. Ports are not looked at: which of them would be free is
//! not known.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::kill::{Among, Choice, Preference, Versions};
use crate::model::ids::{AgentId, PodId, Uuid};
use crate::model::instance::{AgentInfo, Goal};
use crate::model::pod::{PodSpec, ScalarResources};
use crate::placement::{all_resources, free_for, is_closed, might_ever_match};
use crate::scheduler::Scheduler;

/// The old copies on one agent, and what is free there.
#[derive(Debug)]
struct Lot {
    agent: Arc<AgentInfo>,
    /// What is free once the first `gone` copies have ended and new ones have taken the places they made.
    free: ScalarResources,
    /// In the order in which they go.
    copies: Vec<OldCopy>,
    gone: usize,
}

#[derive(Clone, Copy, Debug)]
struct OldCopy {
    uuid: Uuid,
    /// When it goes among all old copies of the pod.
    turn: usize,
    serves: bool,
    uses: ScalarResources,
}

/// What it takes to make one more place on an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    /// So many copies that serve have to go.
    serving: u32,
    /// When the first that goes would go otherwise.
    turn: usize,
    /// All up to this one have to go.
    until: usize,
}

impl Lot {
    /// What one more place for a copy that `needs` so much costs; none if there cannot be one.
    fn cost(&self, needs: ScalarResources) -> Option<Cost> {
        // As it is now there is none, whatever it is that is against it.
        let least = if self.gone == 0 { 1 } else { self.gone };
        let mut free = self.copies.get(self.gone..least)?.iter().fold(self.free, |sum, copy| sum + copy.uses);
        let mut until = least;
        while !needs.fit(&free) {
            free = free + self.copies.get(until)?.uses;
            until += 1;
        }
        let going = &self.copies[self.gone..until];
        let serving = going.iter().map(|copy| u32::from(copy.serves)).sum();
        Some(Cost { serving, turn: going.first().map_or(0, |copy| copy.turn), until })
    }

    /// Makes the place that costs so much.
    fn make(&mut self, cost: Cost, needs: ScalarResources) -> impl Iterator<Item = Uuid> {
        let going = &self.copies[self.gone..cost.until];
        self.gone = cost.until;
        let free = going.iter().fold(self.free, |sum, copy| sum + copy.uses);
        self.free = free.saturating_sub(needs);
        going.iter().map(|copy| copy.uuid)
    }
}

impl Scheduler {
    /// The old copies of the pod `id` that go to make so many `places` for copies of `spec`, at most `spare` of them
    /// ones that serve.
    pub(super) fn who_makes_place(
        &mut self,
        id: &PodId,
        spec: &PodSpec,
        places: u32,
        spare: u32,
    ) -> Vec<Uuid> {
        let mut lots = self.lots_of_old(id, spec, spare > 0);
        let Some(pod) = self.state.pod(id) else { return Vec::new() };
        let needs = all_resources(spec);
        let mut placed = pod.placed.clone();
        // Those that are about to end make places, too.
        let ending = self
            .state
            .instances_of(pod)
            .filter(|copy| copy.goal != Goal::Running && !pod.is_in_use(copy.version));
        ending.filter_map(|copy| copy.agent.as_deref()).for_each(|agent| placed.add(agent));
        let (mut places, mut spare) = (places, spare);
        let mut going = Vec::new();
        loop {
            let before = places;
            // One place on each agent, then the next one: what comes together is spread.
            lots.sort_by_cached_key(|lot| lot.cost(needs).map_or((true, None), |cost| (false, Some(cost))));
            for lot in &mut lots {
                let Some(cost) = lot.cost(needs).filter(|_| places > 0) else { break };
                let is_allowed = pod.constraints.check(&lot.agent, &placed, spec.instances()).is_ok();
                if cost.serving <= spare && is_allowed {
                    going.extend(lot.make(cost, needs));
                    placed.add(&lot.agent);
                    places -= 1;
                    spare -= cost.serving;
                }
            }
            if places == 0 || places == before {
                return going;
            }
        }
    }

    /// The agents with old copies of the pod `id` where one of `spec` might ever be placed. Those that serve are among the
    /// copies if they `may_serve`.
    fn lots_of_old(&mut self, id: &PodId, spec: &PodSpec, may_serve: bool) -> Vec<Lot> {
        let Some(tally) = self.state.pod(id).map(|pod| pod.tally.old) else { return Vec::new() };
        let preference = Preference::KillSelection(spec.scheduling.kill_selection);
        let choice = |among| Choice { of: Versions::Older, among, preference };
        let mut copies = self.state.choose(id, choice(Among::Idle), tally.idle() as usize);
        let idle = copies.len();
        if may_serve {
            copies.extend(self.state.choose(id, choice(Among::Serving), tally.serving() as usize));
        }
        let Some(pod) = self.state.pod(id) else { return Vec::new() };
        let mut lots: BTreeMap<&AgentId, Lot> = BTreeMap::new();
        for (turn, uuid) in copies.into_iter().enumerate() {
            let Some(instance) = self.state.instance(uuid) else { continue };
            let (Some(agent), Some(launched)) = (&instance.agent, pod.spec_of(instance.version)) else {
                continue;
            };
            let lot = lots.entry(&agent.agent_id).or_insert_with(|| {
                let unused = self.agents.unused_on(&agent.agent_id, &spec.role);
                let free = unused.map(|pool| free_for(spec, pool, &self.config)).unwrap_or_default();
                let agent = unused.map_or(agent, |pool| &pool.agent).clone();
                Lot { agent, free, copies: Vec::new(), gone: 0 }
            });
            lot.copies.push(OldCopy { uuid, turn, serves: turn >= idle, uses: all_resources(launched) });
        }
        let site = self.site();
        let might_take_one = |lot: &Lot| {
            let agent = &lot.agent.agent_id;
            let unused = self.agents.unused_on(agent, &spec.role);
            // Of an agent that was not offered for as long as there is the connection nobody can say.
            self.agents.known(agent, &spec.role).is_none_or(|known| might_ever_match(pod, spec, known, &site))
                && unused.is_none_or(|pool| !is_closed(spec, pool, &site))
                && pod.avoids(agent, self.now).is_none()
        };
        lots.into_values().filter(might_take_one).collect()
    }
}
