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
//! otherwise in the order in which all of the pod's copies go. Of ports only those count that are fixed. Where nothing was
//! offered nothing should be free; if that leaves nobody to go, one copy goes there, and what is offered then will show.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::kill::{Among, Choice, Preference, Versions};
use crate::model::ids::{AgentId, PodId, Uuid};
use crate::model::instance::{AgentInfo, Goal, Instance};
use crate::model::pod::{PodSpec, ScalarResources};
use crate::placement::{all_resources, free_for, has_port_for, is_closed, might_ever_match};
use crate::scheduler::Scheduler;

/// The old copies on one agent, and what is free there.
#[derive(Debug)]
struct Lot {
    agent: Arc<AgentInfo>,
    /// Whether it was offered: otherwise most likely nothing is free, but nobody can be sure.
    was_offered: bool,
    /// What is free once the first `gone` copies have ended and new ones have taken the places they made.
    free: ScalarResources,
    /// Fixed ports of the new version that are not free there.
    taken: Vec<u16>,
    /// In the order in which they go.
    copies: Vec<OldCopy>,
    gone: usize,
}

#[derive(Debug)]
struct OldCopy {
    uuid: Uuid,
    /// When it goes among all old copies of the pod.
    turn: usize,
    serves: bool,
    uses: ScalarResources,
    /// Fixed ports of the new version that it uses.
    ports: Vec<u16>,
}

/// What a new copy needs.
#[derive(Debug)]
struct Needs {
    amounts: ScalarResources,
    fixed_ports: Vec<u16>,
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

impl Needs {
    /// Those of the fixed ports that are among `ports`.
    fn among(&self, ports: &[u16]) -> Vec<u16> {
        self.fixed_ports.iter().copied().filter(|port| ports.contains(port)).collect()
    }
}

impl Lot {
    /// What one more place for a copy that `needs` this costs; none if there cannot be one.
    fn cost(&self, needs: &Needs) -> Option<Cost> {
        // As it is now there is none, whatever it is that is against it.
        let least = if self.gone == 0 { 1 } else { self.gone };
        let mut free = self.copies.get(self.gone..least)?.iter().fold(self.free, |sum, copy| sum + copy.uses);
        let mut until = least;
        while !needs.amounts.fit(&free) || !self.has_ports(until) {
            free = free + self.copies.get(until)?.uses;
            until += 1;
        }
        let going = &self.copies[self.gone..until];
        let serving = going.iter().map(|copy| u32::from(copy.serves)).sum();
        Some(Cost { serving, turn: going.first().map_or(0, |copy| copy.turn), until })
    }

    /// Whether all fixed ports are free once the first `until` copies have ended.
    fn has_ports(&self, until: usize) -> bool {
        let first = self.copies.get(..until).unwrap_or_default();
        let has = |port: &u16| first.iter().any(|copy| copy.ports.contains(port));
        self.taken.iter().all(has)
    }

    /// Makes the place that costs so much.
    fn make(&mut self, cost: Cost, needs: &Needs) -> Vec<Uuid> {
        let going = &self.copies[self.gone..cost.until];
        let free = going.iter().fold(self.free, |sum, copy| sum + copy.uses);
        let going = going.iter().map(|copy| copy.uuid).collect();
        self.gone = cost.until;
        self.free = free.saturating_sub(needs.amounts);
        if !needs.fixed_ports.is_empty() {
            // The new copy has them then.
            self.copies.truncate(self.gone);
            self.free = ScalarResources::default();
        }
        going
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
        let endpoints = spec.containers.iter().flat_map(|container| &container.endpoints);
        let fixed_ports = endpoints.filter_map(|endpoint| endpoint.host_port).filter(|port| *port != 0);
        let needs = Needs { amounts: all_resources(spec), fixed_ports: fixed_ports.collect() };
        let mut lots = self.lots_of_old(id, spec, &needs, spare > 0);
        let Some(pod) = self.state.pod(id) else { return Vec::new() };
        let mut placed = pod.placed.clone();
        // Those that are about to end make places, too.
        let is_ending = |copy: &&Instance| copy.goal != Goal::Running && !pod.is_in_use(copy.version);
        let ending = self.state.instances_of(pod).filter(is_ending).filter_map(|copy| copy.agent.as_deref());
        let ending: Vec<&AgentInfo> = ending.collect();
        ending.iter().for_each(|agent| placed.add(agent));
        if !needs.fixed_ports.is_empty() {
            let made: BTreeSet<&AgentId> = ending.iter().map(|agent| &agent.agent_id).collect();
            lots.retain(|lot| !made.contains(&lot.agent.agent_id));
        }
        let (mut places, mut spare) = (places, spare);
        let mut going = Vec::new();
        loop {
            let before = places;
            // One place on each agent, then the next one: what comes together is spread.
            lots.sort_by_cached_key(|lot| lot.cost(&needs).map_or((true, None), |cost| (false, Some(cost))));
            for lot in &mut lots {
                let Some(cost) = lot.cost(&needs).filter(|_| places > 0) else { break };
                let is_allowed = pod.constraints.check(&lot.agent, &placed, spec.instances()).is_ok();
                if cost.serving <= spare && is_allowed {
                    going.extend(lot.make(cost, &needs));
                    placed.add(&lot.agent);
                    places -= 1;
                    spare -= cost.serving;
                }
            }
            if places == 0 || places == before {
                break;
            }
        }
        if going.is_empty() && ending.is_empty() {
            // What is free where nothing was offered one copy that goes will show.
            let may_show = |lot: &&Lot| {
                let is_allowed = || pod.constraints.check(&lot.agent, &placed, spec.instances()).is_ok();
                !lot.was_offered && lot.has_ports(1) && is_allowed()
            };
            let first = lots.iter().filter(may_show).filter_map(|lot| lot.copies.first());
            going.extend(first.min_by_key(|copy| copy.turn).map(|copy| copy.uuid));
        }
        going
    }

    /// The agents with old copies of the pod `id` where one of `spec` might ever be placed. Those that serve are among the
    /// copies if they `may_serve`.
    fn lots_of_old(&mut self, id: &PodId, spec: &PodSpec, needs: &Needs, may_serve: bool) -> Vec<Lot> {
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
                let in_use = self.state.in_use_on(&agent.agent_id).map_or(&[][..], |usage| &usage.ports);
                let is_taken = |port: &u16| match unused {
                    Some(pool) => !has_port_for(spec, pool, *port, &self.config),
                    // That others use it is not known.
                    None => in_use.contains(port),
                };
                let taken = needs.fixed_ports.iter().copied().filter(is_taken).collect();
                let agent = unused.map_or(agent, |pool| &pool.agent).clone();
                let was_offered = unused.is_some();
                Lot { agent, was_offered, free, taken, copies: Vec::new(), gone: 0 }
            });
            let ports = instance.tasks.iter().flat_map(|task| needs.among(&task.host_ports)).collect();
            let (serves, uses) = (turn >= idle, all_resources(launched));
            lot.copies.push(OldCopy { uuid, turn, serves, uses, ports });
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
