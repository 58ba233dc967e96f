//! Offers: made from allocations, and ended by `ACCEPT`, `DECLINE`, a rescission, or silently with the
//! subscription.

use std::time::Duration;

use podium_core::model::ids::{AgentId, FrameworkId, OfferId, Role};
use podium_core::model::mesos::{Event, FrameworkCapability, Offer};
use podium_core::model::time::Timestamp;

use super::Master;
use super::allocator::Allocation;
use crate::cluster::env::Env;
use crate::cluster::io::AgentIndex;
use crate::cluster::queue::Alarm;
use crate::cluster::resources::Resources;
use crate::cluster::wire::MasterTimer;

/// `Filters.refuse_seconds` when the call does not say.
const DEFAULT_REFUSE: Duration = Duration::from_secs(5);

/// An outstanding offer.
#[derive(Clone, Debug)]
pub(in crate::cluster) struct OfferRecord {
    pub(in crate::cluster) id: OfferId,
    pub(in crate::cluster) agent: AgentIndex,
    pub(in crate::cluster) agent_id: AgentId,
    pub(in crate::cluster) made_at: Timestamp,
    pub(in crate::cluster) framework_id: FrameworkId,
    pub(in crate::cluster) role: Role,
    /// Allocated to the role, whether the framework sees that or not.
    pub(in crate::cluster) resources: Resources,
    timeout: Option<Alarm>,
}

impl Master {
    /// Plans an allocation at once, as an event triggers it.
    pub(super) fn allocate_soon(&mut self, env: &mut Env) {
        self.allocator.plan(env, true);
    }

    /// Plans an allocation with the next batch.
    pub(super) fn allocate_later(&mut self, env: &mut Env) {
        self.allocator.plan(env, false);
    }

    /// A batch: offers, and inverse offers for agents that will go into maintenance.
    pub(super) fn allocate(&mut self, env: &mut Env) {
        let allocations = self.allocator.allocate(env);
        let mut by_framework: Vec<(FrameworkId, Vec<Offer>)> = Vec::new();
        for allocation in allocations {
            let Some(offer) = self.make_offer(env, allocation) else { continue };
            match by_framework.iter_mut().find(|(id, _)| *id == offer.framework_id) {
                Some((_, offers)) => offers.push(offer),
                None => by_framework.push((offer.framework_id.clone(), vec![offer])),
            }
        }
        for (framework_id, offers) in by_framework {
            self.send(env, &framework_id, Event::Offers(offers));
        }
        self.make_inverse_offers(env);
        self.allocate_later(env);
    }

    fn make_offer(&mut self, env: &mut Env, allocation: Allocation) -> Option<Offer> {
        let Allocation { agent: index, framework_id, role, resources } = allocation;
        let framework = self.frameworks.get(&framework_id)?;
        let multi_role = framework.has(FrameworkCapability::MultiRole);
        self.agent(index)?;
        let id = self.next_offer_id();
        let agent = self.agent_mut(index)?;
        agent.offers.push(id.clone());
        let agent_id = agent.id.clone();
        let executors = agent.executors.get(&framework_id);
        let executor_ids = executors.map(|executors| executors.keys().cloned().collect()).unwrap_or_default();
        // Without that capability the framework is not shown what the master knows all the same.
        let unseen = (!multi_role).then(|| resources.as_slice().to_vec());
        let resources = resources.allocated(Some(&role));
        let config = &env.config.agents[index.0 as usize];
        let offer = Offer {
            id: id.clone(),
            framework_id: framework_id.clone(),
            agent_id: agent_id.clone(),
            hostname: config.hostname.clone(),
            role: multi_role.then(|| role.clone()),
            resources: unseen.unwrap_or_else(|| resources.as_slice().to_vec()),
            attributes: config.attributes.clone(),
            executor_ids,
            domain: config.domain.clone(),
            unavailability: self.registry.windows.get(&index).cloned(),
        };
        let timeout = env.config.master.offer_timeout;
        let timeout = timeout.map(|after| env.plan_master(after, MasterTimer::OfferTimeout(id.clone())));
        let made_at = env.now;
        let record = OfferRecord {
            id: id.clone(),
            agent: index,
            agent_id,
            made_at,
            framework_id,
            role,
            resources,
            timeout,
        };
        self.offers.insert(id, record);
        Some(offer)
    }

    pub(super) fn next_offer_id(&mut self) -> OfferId {
        let id = OfferId::new([self.info.id.as_str(), "-O", &self.next_offer.to_string()].concat());
        self.next_offer += 1;
        id
    }

    /// `DECLINE`. Like Mesos' it also takes away another framework's offer.
    pub(super) fn decline(&mut self, env: &mut Env, offer_ids: &[OfferId], refuse: Option<Duration>) {
        for offer_id in offer_ids {
            if let Some(record) = self.take_offer(env, offer_id) {
                self.give_all_back(env, record, Self::refusal(refuse));
            }
        }
        self.allocate_later(env);
    }

    /// What is left of accepted offers goes back, refused for a while.
    pub(super) fn give_back(
        &mut self,
        env: &Env,
        record: &OfferRecord,
        resources: Resources,
        refuse: Option<Duration>,
    ) {
        let of = (&record.framework_id, Some(&record.role));
        self.allocator.recover(env, record.agent, of, resources, refuse);
    }

    /// All of an offer goes back.
    pub(super) fn give_all_back(&mut self, env: &Env, record: OfferRecord, refuse: Option<Duration>) {
        let OfferRecord { agent, framework_id, role, resources, .. } = record;
        self.allocator.recover(env, agent, (&framework_id, Some(&role)), resources, refuse);
    }

    /// The refusal that goes with a call.
    pub(super) fn refusal(refuse: Option<Duration>) -> Option<Duration> {
        Some(refuse.unwrap_or(DEFAULT_REFUSE))
    }

    /// Removes an offer; its resources are the caller's business.
    pub(super) fn take_offer(&mut self, env: &mut Env, offer_id: &OfferId) -> Option<OfferRecord> {
        let record = self.offers.remove(offer_id)?;
        env.queue.cancel(record.timeout);
        if let Some(agent) = self.agent_mut(record.agent) {
            agent.offers.retain(|id| id != offer_id);
        }
        Some(record)
    }

    /// Takes an offer back and says so.
    pub(super) fn rescind_offer(&mut self, env: &mut Env, offer_id: &OfferId) {
        if let Some(record) = self.take_offer(env, offer_id) {
            let framework_id = record.framework_id.clone();
            self.give_all_back(env, record, None);
            self.send(env, &framework_id, Event::Rescind(offer_id.clone()));
            self.allocate_later(env);
        }
    }

    /// Takes back all offers of an agent.
    pub(super) fn rescind_agent(&mut self, env: &mut Env, agent: AgentIndex) {
        let offers = self.agent(agent).map(|agent| agent.offers.clone()).unwrap_or_default();
        for offer_id in &offers {
            self.rescind_offer(env, offer_id);
        }
    }

    /// Takes back a framework's offers to some roles.
    pub(super) fn rescind_offers_where(
        &mut self,
        env: &mut Env,
        framework_id: &FrameworkId,
        matches: impl Fn(&Role) -> bool,
    ) {
        for offer_id in self.offers_of(framework_id) {
            if self.offers.get(&offer_id).is_some_and(|record| matches(&record.role)) {
                self.rescind_offer(env, &offer_id);
            }
        }
    }

    /// Takes back all of a framework's offers without a word: its subscription is gone.
    pub(super) fn discard_offers_of(&mut self, env: &mut Env, framework_id: &FrameworkId) {
        for offer_id in self.offers_of(framework_id) {
            if let Some(record) = self.take_offer(env, &offer_id) {
                self.give_all_back(env, record, None);
            }
        }
        self.allocate_later(env);
    }

    /// A framework's offers, in the order of the agents.
    fn offers_of(&self, framework_id: &FrameworkId) -> Vec<OfferId> {
        let offers = self.agents.iter().flatten().flat_map(|agent| agent.offers.iter());
        let own =
            |id: &&OfferId| self.offers.get(*id).is_some_and(|record| record.framework_id == *framework_id);
        offers.filter(own).cloned().collect()
    }

    pub(super) fn revive(&mut self, env: &mut Env, framework_id: &FrameworkId, roles: &[Role]) {
        self.allocator.revive(framework_id, roles);
        self.allocate_soon(env);
    }

    pub(super) fn suppress(&mut self, framework_id: &FrameworkId, roles: &[Role]) {
        self.allocator.suppress(framework_id, roles);
    }
}
