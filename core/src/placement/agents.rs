//! What every agent had to offer when it was last offered: so that an agent that comes back with no more than
//! before is not tried again on those it was tried on, and so that anybody who waits can be told why. And the
//! most there ever was on it, so that whoever can never be placed can be told that, too.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::pool::{Pool, Stack};
use super::{ports, residence};
use crate::model::ids::{AgentId, Role};
use crate::model::instance::AgentInfo;
use crate::model::mesos::{PortRange, Resource};
use crate::model::residence::is_for_an_instance;
use crate::model::time::Timestamp;
use crate::queue::Epoch;
use crate::state::Usage;

/// The agents whose offers were seen on this connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Agents {
    seen: BTreeMap<(AgentId, Role), Seen>,
}

#[derive(Clone, Debug)]
struct Seen {
    agent: Arc<AgentInfo>,
    /// The most there ever was under each stack of reservations, free or in use by our copies. Of which stack these
    /// use something is not known: it may be any, so that nothing is thought too small that is not.
    most: Vec<Stack>,
    /// All separate disks, if it was ever offered while no copy of ours used it: a disk in use is not offered. Of each
    /// the most there ever was.
    disks: Option<Vec<Resource>>,
    /// What was not used when it was offered last; none if something was.
    unused: Option<Unused>,
}

#[derive(Clone, Debug)]
struct Unused {
    pool: Pool,
    /// When it was offered.
    at: Timestamp,
    /// All pods that had not changed after this epoch were tried on it, and did not fit.
    tried: Epoch,
}

/// What is known of an agent beside what it has free now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownAgent<'a> {
    /// What it is.
    pub(crate) agent: &'a AgentInfo,
    /// The most there ever was on it for us.
    pub(crate) most: &'a [Stack],
    /// Its separate disks, without what is reserved on them; none if there may be others.
    pub(crate) disks: Option<&'a [Resource]>,
}

impl Agents {
    /// The epoch up to which all pods are known not to fit `pool`; none if it has to be tried on all.
    pub(crate) fn tried(&self, pool: &Pool) -> Option<Epoch> {
        let seen = self.seen.get(&(pool.agent.agent_id.clone(), pool.role.clone()))?;
        let unused = seen.unused.as_ref()?;
        pool.offers_nothing_beyond(&unused.pool).then_some(unused.tried)
    }

    /// `pool` was tried on all pods that had not changed after `tried`, and was not used. Its agent is `in_use`.
    pub(crate) fn unused(&mut self, pool: Pool, in_use: Option<&Usage>, at: Timestamp, tried: Epoch) {
        let seen = self.saw(&pool);
        seen.note_most(&pool, in_use);
        seen.unused = Some(Unused { pool, at, tried });
    }

    /// What `pool`'s agent had to offer is another thing now: `pool` is what is left, and the rest is among what is
    /// `in_use`.
    pub(crate) fn used(&mut self, pool: &Pool, in_use: Option<&Usage>) {
        let seen = self.saw(pool);
        seen.note_most(pool, in_use);
        seen.note_ports(in_use);
        seen.unused = None;
    }

    fn saw(&mut self, pool: &Pool) -> &mut Seen {
        let key = (pool.agent.agent_id.clone(), pool.role.clone());
        let seen = self.seen.entry(key).or_insert_with(|| Seen {
            agent: pool.agent.clone(),
            most: Vec::new(),
            disks: None,
            unused: None,
        });
        seen.agent = pool.agent.clone();
        seen
    }

    /// The agent is gone.
    pub(crate) fn remove(&mut self, agent: &AgentId) {
        let of_agent = |(seen, _): &(AgentId, Role)| seen == agent;
        let gone: Vec<(AgentId, Role)> = self
            .seen
            .range((agent.clone(), Role::from(""))..)
            .map(|(key, _)| key.clone())
            .take_while(of_agent)
            .collect();
        for key in gone {
            self.seen.remove(&key);
        }
    }

    /// What was left unused of the offers made to `role`, by agent.
    pub(crate) fn offered_to<'a>(&'a self, role: &'a Role) -> impl Iterator<Item = &'a Pool> {
        self.unused_offers(role).map(|(pool, _)| pool)
    }

    /// The same, with the time of the offer.
    pub(crate) fn unused_offers<'a>(&'a self, role: &'a Role) -> impl Iterator<Item = (&'a Pool, Timestamp)> {
        let to_role = self.seen.iter().filter(move |((_, to), _)| to == role);
        to_role.filter_map(|(_, seen)| seen.unused.as_ref()).map(|unused| (&unused.pool, unused.at))
    }

    /// What was left unused of `agent` when it was offered to `role` last.
    pub(crate) fn unused_on(&self, agent: &AgentId, role: &Role) -> Option<&Pool> {
        let seen = self.seen.get(&(agent.clone(), role.clone()))?;
        seen.unused.as_ref().map(|unused| &unused.pool)
    }

    /// What is known of `agent`, if it was offered to `role`.
    pub(crate) fn known<'a>(&'a self, agent: &AgentId, role: &Role) -> Option<KnownAgent<'a>> {
        let Seen { agent, most, disks, .. } = self.seen.get(&(agent.clone(), role.clone()))?;
        Some(KnownAgent { agent, most, disks: disks.as_deref() })
    }

    /// All agents that were offered to `role`.
    pub(crate) fn known_to<'a>(&'a self, role: &'a Role) -> impl Iterator<Item = KnownAgent<'a>> {
        let to_role = self.seen.iter().filter(move |((_, to), _)| to == role);
        to_role.map(|(_, Seen { agent, most, disks, .. })| KnownAgent {
            agent,
            most,
            disks: disks.as_deref(),
        })
    }
}

impl Seen {
    /// Notes what there is in `pool`, and what is `in_use` beside it.
    fn note_most(&mut self, pool: &Pool, in_use: Option<&Usage>) {
        let is_first = self.most.is_empty();
        for stack in once_all_is_given_back(pool) {
            let index = self.most.iter().position(|known| known.reservations == stack.reservations);
            let index = index.unwrap_or_else(|| {
                self.most.push(Stack { reservations: stack.reservations.clone(), ..Stack::default() });
                self.most.len() - 1
            });
            let most = &mut self.most[index];
            let total = in_use.map_or(stack.scalars, |usage| stack.scalars + usage.scalars);
            most.scalars = most.scalars.max(total);
            stack.ports.iter().for_each(|range| ports::add(&mut most.ports, *range));
        }
        if in_use.is_none() || self.disks.is_some() {
            residence::note_disks(self.disks.get_or_insert_default(), &pool.disks);
        }
        // Those that are taken later were free before.
        if is_first {
            self.note_ports(in_use);
        }
    }

    /// Notes which ports are `in_use`.
    fn note_ports(&mut self, in_use: Option<&Usage>) {
        for port in in_use.into_iter().flat_map(|usage| &usage.ports) {
            let range = PortRange { begin: u64::from(*port), end: u64::from(*port) };
            self.most.iter_mut().for_each(|most| ports::add(&mut most.ports, range));
        }
    }
}

/// What `pool` would hold if nothing were kept there for instances: that is free once they are gone.
fn once_all_is_given_back(pool: &Pool) -> Vec<Stack> {
    let mut stacks: Vec<Stack> = Vec::new();
    for stack in &pool.stacks {
        let reservations = match is_for_an_instance(&stack.reservations) {
            true => Arc::default(),
            false => stack.reservations.clone(),
        };
        match stacks.iter_mut().find(|known| known.reservations == reservations) {
            Some(known) => {
                known.scalars = known.scalars + stack.scalars;
                known.ports.extend(&stack.ports);
            }
            None => stacks.push(Stack { reservations, ..stack.clone() }),
        }
    }
    stacks
}

impl Pool {
    /// Whether everything that is free here was free in `earlier`, so that who did not fit there cannot fit
    /// here.
    fn offers_nothing_beyond(&self, earlier: &Self) -> bool {
        // Maintenance begins and ends by itself.
        self.unavailability.is_none()
            && earlier.unavailability.is_none()
            && self.agent == earlier.agent
            && self.executor_ids == earlier.executor_ids
            && self.disks == earlier.disks
            // Without the last GPU it is not kept any more for those who need some.
            && self.total().gpus.is_zero() == earlier.total().gpus.is_zero()
            && self.stacks.len() == earlier.stacks.len()
            && self.stacks.iter().zip(&earlier.stacks).all(|(now, then)| {
                now.reservations == then.reservations
                    && now.ports == then.ports
                    && now.scalars.fit(&then.scalars)
            })
    }
}
