//! Maintenance: windows shown in offers, requests to leave an agent, machines that are down.

use std::collections::BTreeMap;
use std::time::Duration;

use podium_core::model::ids::{FrameworkId, OfferId};
use podium_core::model::mesos::{Event, InverseOffer, Unavailability};
use podium_core::model::time::Timestamp;

use super::Master;
use crate::cluster::env::Env;
use crate::cluster::io::{AgentIndex, Answer};
use crate::cluster::wire::ToAgent;

/// Inverse offers that are outstanding, and those that were answered and are not repeated for a while.
#[derive(Clone, Debug, Default)]
pub(super) struct InverseOffers {
    outstanding: BTreeMap<(FrameworkId, AgentIndex), OfferId>,
    answered: BTreeMap<(FrameworkId, AgentIndex), Timestamp>,
}

/// An answered inverse offer is repeated after this unless the answer says otherwise (`Filters.refuse_seconds`' default);
/// answers are advisory.
const REPEAT_AFTER: Duration = Duration::from_secs(5);

impl InverseOffers {
    pub(super) fn remove_framework(&mut self, framework_id: &FrameworkId) {
        self.outstanding.retain(|(id, _), _| id != framework_id);
        self.answered.retain(|(id, _), _| id != framework_id);
    }

    pub(super) fn remove_agent(&mut self, agent: AgentIndex) {
        self.outstanding.retain(|(_, index), _| *index != agent);
        self.answered.retain(|(_, index), _| *index != agent);
    }
}

impl Master {
    /// The new windows. Offers of agents whose window changes are made anew, so that they show it.
    pub(super) fn update_maintenance_schedule(
        &mut self,
        env: &mut Env,
        windows: Vec<(AgentIndex, Unavailability)>,
    ) {
        let known = u32::try_from(self.agents.len()).unwrap_or(u32::MAX);
        let windows: BTreeMap<_, _> = windows.into_iter().filter(|(index, _)| index.0 < known).collect();
        let old = std::mem::replace(&mut self.registry.windows, windows);
        for index in (0..known).map(AgentIndex) {
            if old.get(&index) != self.registry.windows.get(&index) {
                self.rescind_agent(env, index);
                self.rescind_inverse_offers(env, index);
            }
        }
        self.allocate_soon(env);
    }

    fn rescind_inverse_offers(&mut self, env: &mut Env, agent: AgentIndex) {
        let outstanding = self.inverse_offers.outstanding.iter();
        let of_agent = outstanding.filter(|((_, index), _)| *index == agent);
        let rescinded: Vec<_> = of_agent.map(|((id, _), offer)| (id.clone(), offer.clone())).collect();
        self.inverse_offers.remove_agent(agent);
        for (framework_id, offer_id) in rescinded {
            self.send(env, &framework_id, Event::RescindInverseOffer(offer_id));
        }
    }

    /// Every framework with something on an agent that will go away is asked to leave.
    pub(super) fn make_inverse_offers(&mut self, env: &mut Env) {
        if self.registry.windows.is_empty() {
            return;
        }
        let mut asked: BTreeMap<FrameworkId, Vec<InverseOffer>> = BTreeMap::new();
        for (agent, unavailability) in self.registry.windows.clone() {
            let Some(record) = self.agent(agent).filter(|agent| agent.connected) else { continue };
            let agent_id = record.id.clone();
            for framework_id in record.executors.keys().cloned().collect::<Vec<_>>() {
                let key = (framework_id.clone(), agent);
                let connected = self.frameworks.get(&framework_id).is_some_and(|f| f.stream.is_some());
                let answered = self.inverse_offers.answered.get(&key).is_some_and(|until| *until > env.now);
                if !connected || answered || self.inverse_offers.outstanding.contains_key(&key) {
                    continue;
                }
                let id = self.next_offer_id();
                self.inverse_offers.outstanding.insert(key, id.clone());
                let agent_id = Some(agent_id.clone());
                let unavailability = unavailability.clone();
                asked.entry(framework_id).or_default().push(InverseOffer { id, agent_id, unavailability });
            }
        }
        for (framework_id, offers) in asked {
            self.send(env, &framework_id, Event::InverseOffers(offers));
        }
        // Answers run out, and frameworks come to agents: as long as there are windows, batches go on.
        self.allocator.keep_going();
    }

    /// Either answer only says that the question was heard.
    pub(super) fn answer_inverse_offers(
        &mut self,
        env: &mut Env,
        framework_id: &FrameworkId,
        offer_ids: &[OfferId],
        refuse: Option<Duration>,
    ) {
        for offer_id in offer_ids {
            let found = self.inverse_offers.outstanding.iter();
            let found = found.filter(|((id, _), _)| id == framework_id).find(|(_, id)| *id == offer_id);
            if let Some((key, _)) = found {
                let key = key.clone();
                self.inverse_offers.outstanding.remove(&key);
                self.inverse_offers.answered.insert(key, env.now + refuse.unwrap_or(REPEAT_AFTER));
            }
        }
    }

    /// Machines go down: their agents are removed and told to end.
    pub(super) fn start_maintenance(&mut self, env: &mut Env, agents: &[AgentIndex]) -> Answer {
        for agent in
            agents.iter().filter(|agent| (agent.0 as usize) < self.agents.len()).copied().collect::<Vec<_>>()
        {
            self.registry.down.insert(agent);
            if self.agent(agent).is_some() {
                env.send_to_agent(agent, ToAgent::Shutdown);
                self.remove_agent(env, agent, "Operator initiated 'Machine DOWN'");
            }
        }
        Answer::Ok
    }

    /// Machines are back; their agents may register.
    pub(super) fn stop_maintenance(&mut self, agents: &[AgentIndex]) -> Answer {
        for agent in agents {
            self.registry.down.remove(agent);
            self.registry.windows.remove(agent);
        }
        Answer::Ok
    }
}
