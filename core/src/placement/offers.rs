//! A batch of offers arrives: who is launched where, and what is given back.
//!
//! Offers of one agent to one role are put together. Then the pods that wait take turns: in each round every
//! pod may place one copy on every agent, so a large pod cannot starve a small one, and copies that come
//! together spread over the agents that were offered together. Every offer is answered in the same step:
//! accepted with what is launched on it, or declined: for a moment if somebody may use it then, otherwise for
//! `--decline_offer_duration`.

use std::collections::{BTreeMap, BTreeSet, VecDeque, btree_map};
use std::sync::Arc;
use std::time::Duration;

use super::matcher::{Asker, Match, match_instance};
use super::pool::Pool;
use super::residence::{find_home, residents_of};
use super::{Home, Launch, NoMatch, Release};
use crate::marks::Mark;
use crate::model::ids::{AgentId, OfferId, PodId, Role, Uuid};
use crate::model::instance::{Condition, Instance, Task};
use crate::model::mesos::{Call, Offer};
use crate::model::pod::PodSpec;
use crate::model::residence::Residence;
use crate::model::time::Timestamp;
use crate::output::{Accept, Action};
use crate::queue::{Epoch, Seat};
use crate::scheduler::Scheduler;

/// An offer is declined for so long if what is against it passes by itself.
const MOMENT: Duration = Duration::from_secs(1);

/// So many copies are passed over in one batch because of something that is a matter of theirs alone.
const MOST_PASSED: usize = 100;

impl Scheduler {
    /// Answers a batch of offers.
    pub(crate) fn on_offers(&mut self, offers: &[Offer]) {
        let mut pools: BTreeMap<(AgentId, Role), Pool> = BTreeMap::new();
        for offer in offers {
            let role = offer.role.clone().unwrap_or_else(|| self.config.mesos_role.clone());
            match pools.entry((offer.agent_id.clone(), role)) {
                btree_map::Entry::Occupied(pool) => pool.into_mut().add(offer),
                btree_map::Entry::Vacant(free) => {
                    free.insert(Pool::new(offer, &self.config.mesos_role));
                }
            }
        }
        let mut pools: Vec<Pool> = pools.into_values().collect();
        for pool in &pools {
            self.state.note_offer(&pool.role, self.now);
            // It is there: what became of its copies can be told.
            for uuid in self.state.overdue_words_of(&pool.agent.agent_id) {
                self.ask_about(uuid);
            }
        }
        let releases: Vec<Release> = pools.iter_mut().map(|pool| self.release_leftovers(pool)).collect();
        let epoch = self.state.waiting().epoch();
        let plans = self.plan_launches(&mut pools);
        let mut declined: Vec<OfferId> = Vec::new();
        let mut declined_for_a_moment: Vec<OfferId> = Vec::new();
        for ((mut pool, release), plan) in pools.into_iter().zip(releases).zip(plans) {
            let Plan { launches, is_of_use_soon } = plan;
            let in_use = self.state.in_use_on(&pool.agent.agent_id);
            if !launches.is_empty() || !release.is_empty() {
                self.agents.used(&pool, in_use);
                let offer_ids = std::mem::take(&mut pool.offer_ids);
                // The rest comes back at the next allocation, for whoever still waits.
                let accept = Accept { offer_ids, release, launches, refuse: Duration::ZERO };
                self.actions.push(Action::Accept(Box::new(accept)));
            } else if is_of_use_soon {
                declined_for_a_moment.extend(pool.offer_ids.iter().cloned());
                // When it comes back it is another matter, even with nothing more to offer.
                self.agents.unused(pool, in_use, self.now, Epoch::default());
            } else {
                declined.extend(pool.offer_ids.iter().cloned());
                self.agents.unused(pool, in_use, self.now, epoch);
            }
        }
        let duration = self.config.decline_offer_duration;
        for (offer_ids, refuse) in [(declined, duration), (declined_for_a_moment, MOMENT.min(duration))] {
            if !offer_ids.is_empty() {
                self.call(Call::Decline { offer_ids, refuse: Some(refuse) });
            }
        }
    }

    /// Launches on `pools` what fits, and says what becomes of each.
    fn plan_launches(&mut self, pools: &mut [Pool]) -> Vec<Plan> {
        let mut plans: Vec<Plan> = pools.iter().map(|_| Plan::default()).collect();
        let mut turns = self.turns(pools);
        let mut passed: BTreeSet<(usize, Uuid)> = BTreeSet::new();
        while let Some(mut turn) = turns.pop_front() {
            let mut untried = std::mem::take(&mut turn.pools);
            // Where it did not fit it will not fit later in this batch either: agents only get fuller.
            untried.retain(|index| {
                let is_passed = |uuid| passed.contains(&(*index, uuid));
                let Some(uuid) = self.whose_turn(&turn, &pools[*index], is_passed) else { return false };
                match self.try_launch(&turn, uuid, &mut pools[*index]) {
                    Ok(launch) => {
                        plans[*index].launches.push(launch);
                        true
                    }
                    Err(why) => {
                        if why == NoMatch::CopiesFailedThere {
                            self.mark(Mark::AgentAvoided);
                        }
                        plans[*index].is_of_use_soon |= why.is_momentary();
                        self.state.note_refusal(&turn.pod, why, self.now);
                        // That is a matter of this copy alone, or of its home: another one may fit.
                        let has_home = |copy: &Instance| copy.residence.is_some();
                        (why == NoMatch::ExecutorStillAlive
                            || why != NoMatch::Reservation && self.state.instance(uuid).is_some_and(has_home))
                            && passed.len() < MOST_PASSED
                            && passed.insert((*index, uuid))
                    }
                }
            });
            if !untried.is_empty() {
                turns.push_back(Turn { pools: untried, ..turn });
            }
        }
        plans
    }

    /// Whose turn it is on which of `pools`, beginning where the last batch left off.
    fn turns(&mut self, pools: &[Pool]) -> VecDeque<Turn> {
        let waiting = self.state.waiting();
        let mut candidates: Vec<(Seat, usize)> = Vec::new();
        for (index, pool) in pools.iter().enumerate() {
            let seats = waiting.candidates(&pool.role, pool.total(), self.agents.tried(pool));
            candidates.extend(seats.map(|seat| (seat, index)));
        }
        candidates.sort_unstable();
        let by_pod = candidates.chunk_by(|(a, _), (b, _)| a == b);
        let turn = |of_pod: &[(Seat, usize)]| {
            let pod = waiting.pod_at(of_pod.first()?.0)?.clone();
            let spec = self.state.pod(&pod)?.spec()?.clone();
            Some(Turn { pod, spec, pools: of_pod.iter().map(|(_, index)| *index).collect() })
        };
        let mut turns: VecDeque<Turn> = by_pod.filter_map(turn).collect();
        turns.make_contiguous().sort_unstable_by(|a, b| a.pod.cmp(&b.pod));
        if let Some(cursor) = &self.launch_cursor {
            turns.rotate_left(turns.partition_point(|turn| turn.pod < *cursor));
        }
        self.launch_cursor = turns.get(1).map(|turn| turn.pod.clone());
        turns
    }

    /// Which copy is to be launched on `pool` next: the oldest that waits. A copy that lives on that agent comes before
    /// those that have no home yet, and one that lives elsewhere does not come, nor one that was passed over there.
    fn whose_turn(&self, turn: &Turn, pool: &Pool, is_passed: impl Fn(Uuid) -> bool) -> Option<Uuid> {
        let waiting = &self.state.pod(&turn.pod)?.waiting;
        let is_open = |uuid: &Uuid| !is_passed(*uuid);
        if !turn.spec.is_resident() {
            return waiting.free().find(is_open).or_else(|| waiting.residents().find(is_open));
        }
        let identity = self.state.identity();
        let is_at_home = |uuid: &Uuid| {
            self.state.instance(*uuid).is_some_and(|copy| find_home(copy, pool, identity).is_ok())
        };
        let residents = residents_of(pool, identity);
        let mut residents: Vec<Uuid> =
            residents.filter(|uuid| waiting.has_resident(*uuid) && is_open(uuid)).collect();
        residents.sort_unstable();
        let at_home = residents.into_iter().find(is_at_home);
        // Those that have a home may wait for offers to a role that the pod had before.
        let is_for_new = pool.role == turn.spec.role;
        let free = || waiting.free().filter(|_| is_for_new).find(is_open);
        at_home.or_else(free).or_else(|| waiting.residents().find(is_open))
    }

    /// Launches the instance `uuid` on `pool` if it fits.
    fn try_launch(&mut self, turn: &Turn, uuid: Uuid, pool: &mut Pool) -> Result<Launch, NoMatch> {
        let spec = &turn.spec;
        let (Some(instance), Some(pod)) = (self.state.instance(uuid), self.state.pod(&turn.pod)) else {
            return Err(NoMatch::Role);
        };
        let random = self.random.number_of(uuid, instance.incarnation);
        let asker = Asker { pod, spec, instance };
        let found = match_instance(asker, pool, &self.site(), random)?;
        found.take_from(pool);
        let Match { draws, ports, disks } = found;
        let (id, incarnation) = (instance.id.clone(), instance.incarnation + 1);
        let is_at_home = instance.residence.is_some();
        let framework = self.framework_id().cloned();
        let (home, residence) = match framework.filter(|_| spec.is_resident()) {
            None => (None, None),
            Some(_) if is_at_home => (Some(Home { reserve: None, volumes: disks }), None),
            Some(framework) => {
                let (home, volumes) = self.make_home(&id, spec, disks, pool, &framework);
                (Some(home), Some(Residence { volumes, is_confirmed: false }))
            }
        };
        let now = self.now;
        let agent = pool.agent.clone();
        let tasks = provision(spec, ports.iter().map(|draw| draw.port), now);
        self.state.edit(&self.config, uuid, |instance| {
            instance.version = spec.version;
            instance.role = pool.role.clone();
            instance.incarnation = incarnation;
            instance.agent = Some(agent.clone());
            instance.tasks = tasks;
            instance.condition = Condition::Provisioned;
            instance.since = now;
            instance.active_since = None;
            instance.healthy = None;
            instance.kill_requested = None;
            instance.returned_at = None;
            instance.launch_questioned = false;
            if let Some(residence) = residence {
                instance.residence = Some(Box::new(residence));
            }
        });
        self.state.note_use(&turn.pod, now);
        Ok(Launch {
            instance: id,
            incarnation,
            spec: spec.clone(),
            agent,
            role: pool.role.clone(),
            pools: pool.stacks.iter().map(|stack| stack.reservations.clone()).collect(),
            draws,
            ports,
            home,
        })
    }
}

/// What becomes of the offers of one pool.
#[derive(Default)]
struct Plan {
    /// What is launched on them.
    launches: Vec<Launch>,
    /// Whether what is against them passes by itself.
    is_of_use_soon: bool,
}

/// A pod of which some copy may be launched.
struct Turn {
    pod: PodId,
    spec: Arc<PodSpec>,
    /// Indices of the pools that may be tried.
    pools: Vec<usize>,
}

/// The containers of `spec` as they are when just asked for, with their share of the `ports` taken.
fn provision(spec: &PodSpec, mut ports: impl Iterator<Item = u16>, now: Timestamp) -> Vec<Task> {
    spec.containers
        .iter()
        .map(|container| {
            let wanted = container.endpoints.iter().filter(|endpoint| endpoint.host_port.is_some());
            let ports = ports.by_ref().take(wanted.count()).collect();
            Task::provisioned(container.name.as_str().into(), ports, now)
        })
        .collect()
}
