//! A batch of offers arrives: who is launched where, and what is given back.
//!
//! Offers of one agent to one role are put together. Then the pods that wait take turns: in each round every
//! pod may place one copy on every agent, so a large pod cannot starve a small one, and copies that come
//! together spread over the agents that were offered together. Every offer is answered in the same step:
//! accepted with what is launched on it, or declined for as long as nobody could use it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::matcher::{Match, match_instance};
use super::pool::Pool;
use super::{Launch, Member};
use crate::model::ids::{AgentId, OfferId, PodId, Role, Uuid};
use crate::model::instance::{Condition, Task};
use crate::model::mesos::{Call, Offer};
use crate::model::pod::PodSpec;
use crate::output::{Accept, Action};
use crate::scheduler::Scheduler;

impl Scheduler {
    /// Answers a batch of offers.
    pub(crate) fn on_offers(&mut self, offers: &[Offer]) {
        let mut pools: BTreeMap<(AgentId, Role), Pool> = BTreeMap::new();
        for offer in offers {
            let role = offer.role.clone().unwrap_or_else(|| self.config.mesos_role.clone());
            match pools.entry((offer.agent_id.clone(), role)) {
                std::collections::btree_map::Entry::Occupied(pool) => pool.into_mut().add(offer),
                std::collections::btree_map::Entry::Vacant(free) => {
                    free.insert(Pool::new(offer, &self.config.mesos_role));
                }
            }
        }
        let mut pools: Vec<Pool> = pools.into_values().collect();
        let launches = self.plan_launches(&mut pools);
        let mut declined: Vec<OfferId> = Vec::new();
        for (pool, launches) in pools.into_iter().zip(launches) {
            if launches.is_empty() {
                declined.extend(pool.offer_ids);
            } else {
                // The rest comes back at the next allocation, for whoever still waits.
                let refuse = Duration::ZERO;
                let accept = Accept { offer_ids: pool.offer_ids, launches, refuse };
                self.actions.push(Action::Accept(Box::new(accept)));
            }
        }
        if !declined.is_empty() {
            let refuse = Some(self.config.decline_offer_duration);
            self.call(Call::Decline { offer_ids: declined, refuse });
        }
    }

    /// Launches on `pools` what fits, and says what is launched on each.
    fn plan_launches(&mut self, pools: &mut [Pool]) -> Vec<Vec<Launch>> {
        let mut launches: Vec<Vec<Launch>> = pools.iter().map(|_| Vec::new()).collect();
        let mut candidates = self.candidates();
        // Pods that an agent has refused once need not be tried there again: it only gets fuller.
        while !candidates.is_empty() {
            let mut placed_any = false;
            for candidate in &mut candidates {
                for (index, pool) in pools.iter_mut().enumerate() {
                    if candidate.refused_by[..].contains(&index) || candidate.spec.role != pool.role {
                        continue;
                    }
                    let Some(uuid) = self.first_waiting(&candidate.pod) else { break };
                    match self.try_launch(candidate, uuid, pool) {
                        Some(launch) => {
                            launches[index].push(launch);
                            placed_any = true;
                        }
                        None => candidate.refused_by.push(index),
                    }
                }
            }
            if !placed_any {
                break;
            }
            candidates.retain(|candidate| self.first_waiting(&candidate.pod).is_some());
        }
        launches
    }

    /// The pods of which some copy may be launched now, beginning where the last batch left off.
    fn candidates(&mut self) -> Vec<Candidate> {
        let waiting = self.state.waiting_pods();
        let cursor = self.launch_cursor.clone();
        let rotated = match &cursor {
            Some(cursor) => waiting.range(cursor.clone()..).chain(waiting.range(..cursor.clone())),
            None => waiting.range::<PodId, _>(..).chain(waiting.range(PodId::from("")..PodId::from(""))),
        };
        let candidates: Vec<Candidate> = rotated
            .filter_map(|id| self.state.pod(id))
            .filter(|pod| pod.state.delay.is_none_or(|delay| delay.until <= self.now))
            .filter_map(|pod| {
                let spec = pod.spec()?.clone();
                Some(Candidate { pod: spec.id.clone(), spec, refused_by: Vec::new() })
            })
            .collect();
        self.launch_cursor = candidates.get(1).map(|candidate| candidate.pod.clone());
        candidates
    }

    fn first_waiting(&self, pod: &PodId) -> Option<Uuid> {
        self.state.pod(pod)?.waiting.first().copied()
    }

    /// Launches the instance `uuid` on `pool` if it fits.
    fn try_launch(&mut self, candidate: &Candidate, uuid: Uuid, pool: &mut Pool) -> Option<Launch> {
        let spec = &candidate.spec;
        let random = self.random.next_u64();
        let instance = self.state.instance(uuid)?;
        let pod = self.state.pod(&candidate.pod)?;
        let found = match_instance(pod, spec, instance, pool, &self.config, random).ok()?;
        found.take_from(pool);
        let Match { draws, ports } = found;
        let (id, incarnation) = (instance.id.clone(), instance.incarnation + 1);
        let now = self.now;
        let agent = pool.agent.clone();
        let tasks = provision(spec, &ports.iter().map(|draw| draw.port).collect::<Vec<u16>>(), now);
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
            instance.launch_questioned = false;
        });
        Some(Launch {
            instance: id,
            incarnation,
            spec: spec.clone(),
            agent,
            role: pool.role.clone(),
            pools: pool.stacks.iter().map(|stack| stack.reservations.clone()).collect(),
            draws,
            ports,
        })
    }
}

/// A pod of which some copy may be launched.
struct Candidate {
    pod: PodId,
    spec: Arc<PodSpec>,
    /// Indices of the pools on which it does not fit.
    refused_by: Vec<usize>,
}

/// The containers of `spec` as they are when just asked for, with their share of the `ports` taken.
fn provision(spec: &PodSpec, ports: &[u16], now: crate::model::time::Timestamp) -> Vec<Task> {
    let mut ports = ports.iter().copied();
    spec.containers
        .iter()
        .map(|container| {
            let wanted = container.endpoints.iter().filter(|endpoint| endpoint.host_port.is_some());
            let ports = ports.by_ref().take(wanted.count()).collect();
            Task::provisioned(container.name.as_str().into(), ports, now)
        })
        .collect()
}

impl Member {
    /// Every member of a group for `spec`, the executor first.
    pub(crate) fn all(spec: &PodSpec) -> impl Iterator<Item = Self> {
        std::iter::once(Self::Executor).chain((0..spec.containers.len()).map(Self::Container))
    }
}
