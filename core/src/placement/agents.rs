//! What every agent had to offer when it was last offered: so that an agent that comes back with no more than
//! before is not tried again on those it was tried on, and so that anybody who waits can be told why.

use std::collections::BTreeMap;

use super::pool::Pool;
use crate::model::ids::{AgentId, Role};
use crate::model::time::Timestamp;
use crate::queue::Epoch;

/// The agents whose offers were seen on this connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Agents {
    seen: BTreeMap<(AgentId, Role), Seen>,
}

#[derive(Clone, Debug)]
struct Seen {
    pool: Pool,
    /// When it was offered last.
    at: Timestamp,
    /// All pods that had not changed after this epoch were tried on it, and did not fit.
    tried: Epoch,
}

impl Agents {
    /// The epoch up to which all pods are known not to fit `pool`; none if it has to be tried on all.
    pub(crate) fn tried(&self, pool: &Pool) -> Option<Epoch> {
        let seen = self.seen.get(&(pool.agent.agent_id.clone(), pool.role.clone()))?;
        pool.offers_nothing_beyond(&seen.pool).then_some(seen.tried)
    }

    /// `pool` was tried on all pods that had not changed after `tried`, and was not used.
    pub(crate) fn unused(&mut self, pool: Pool, at: Timestamp, tried: Epoch) {
        self.seen.insert((pool.agent.agent_id.clone(), pool.role.clone()), Seen { pool, at, tried });
    }

    /// What `pool`'s agent had to offer is another thing now.
    pub(crate) fn used(&mut self, pool: &Pool) {
        self.seen.remove(&(pool.agent.agent_id.clone(), pool.role.clone()));
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
        self.seen.iter().filter(move |((_, to), _)| to == role).map(|(_, seen)| (&seen.pool, seen.at))
    }
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
            && self.stacks.len() == earlier.stacks.len()
            && self.stacks.iter().zip(&earlier.stacks).all(|(now, then)| {
                now.reservations == then.reservations
                    && now.ports == then.ports
                    && now.scalars.fit(&then.scalars)
            })
    }
}
