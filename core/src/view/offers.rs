//! What became of the offers that were looked at for a pod, as `GET /v2/queue` shows it.

use schemars::JsonSchema;
use serde::Serialize;

use super::status::EXPLAINED_AGENTS;
use crate::model::ids::{AgentId, OfferId, PodId, Role};
use crate::model::mesos::{Attribute, AttributeValue, PortRange};
use crate::model::number::Number;
use crate::model::pod::ScalarResources;
use crate::model::time::Timestamp;
use crate::placement::{Asker, NoMatch, Pool, Reason, Refusals, Stack, match_instance};
use crate::scheduler::Scheduler;

/// The offers that were looked at since the pod began to wait.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProcessedOffersSummary {
    /// How many.
    pub processed_offers_count: u64,
    /// How many of them were not used.
    pub unused_offers_count: u64,
    /// When one was last not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_unused_offer_at: Option<Timestamp>,
    /// When one was last used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_offer_at: Option<Timestamp>,
    /// How far each agent's last refused offer came.
    pub reject_summary_last_offers: Vec<RejectSummary>,
    /// How far each offer came. Offers that are known not to fit are counted, but not tried one by one: each of ten
    /// thousand waiting pods would have to look at each of them. They are divided among the reasons in the proportion
    /// in which these are against the agents now, so the sum is exact and its parts are estimates.
    pub reject_summary_launch_attempt: Vec<RejectSummary>,
}

/// One stage of the funnel through which offers go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RejectSummary {
    /// For what offers are refused here.
    pub reason: Reason,
    /// So many were refused for it.
    pub declined: u64,
    /// So many came so far.
    pub processed: u64,
}

/// An offer that was not used, and why the pod could not use it (`embed=lastUnusedOffers`).
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct UnusedOffer {
    /// What was left of the agent's last offers.
    pub offer: OfferStatus,
    /// Under which names the refusal is counted.
    pub reason: Vec<Reason>,
    /// When it was offered.
    pub timestamp: Timestamp,
    /// Why, in words; nothing if the next offer like it would be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What an agent had left unused when it was last offered (Marathon's `Offer`).
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OfferStatus {
    /// The offer; of several that came together the first one.
    pub id: OfferId,
    /// The agent.
    pub agent_id: AgentId,
    /// Its name.
    pub hostname: String,
    /// What was free.
    pub resources: Vec<OfferResource>,
    /// What is said of the agent.
    pub attributes: Vec<OfferAttribute>,
}

/// A resource in an offer.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct OfferResource {
    /// Its Mesos name.
    pub name: &'static str,
    /// For whom it is reserved; `*` if for nobody.
    pub role: Role,
    /// How much of it.
    #[serde(flatten)]
    pub value: OfferValue,
}

/// An attribute of the agent in an offer.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct OfferAttribute {
    /// Its name.
    pub name: String,
    /// Its value.
    #[serde(flatten)]
    pub value: OfferValue,
}

/// A Mesos value.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OfferValue {
    /// A number.
    Scalar(Number),
    /// Ranges of whole numbers.
    Ranges(Vec<PortRange>),
    /// Named items.
    Set(Vec<String>),
    /// Text.
    Text(String),
}

impl Scheduler {
    /// What the agents had left unused when they were last offered to `pod`'s role, and why `pod` could not use
    /// it; of many agents, some. Nothing if no copy of it waits.
    pub fn last_unused_offers(&self, pod: &PodId) -> Vec<UnusedOffer> {
        let waiting = self.state.pod(pod).and_then(|pod| {
            // As in what is said of the pod: one that may go anywhere, if there is one.
            let free = pod.waiting.free().next_back();
            let instance = self.state.instance(free.or_else(|| pod.waiting.residents().next())?)?;
            Some(Asker { pod, spec: pod.spec()?, instance })
        });
        let Some(asker) = waiting else { return Vec::new() };
        let constraints = &asker.pod.constraints;
        // One that has volumes waits for offers to the role that they are reserved for.
        let at_home = asker.instance.residence.is_some();
        let role = if at_home { &asker.instance.role } else { &asker.spec.role };
        let offers = self.agents.unused_offers(role).take(EXPLAINED_AGENTS);
        let offers = offers.map(|(pool, timestamp)| {
            let refusal = match_instance(asker, pool, &self.site(), 0).err();
            let message = refusal.and_then(|why| match why {
                NoMatch::Constraint(why) => Some(constraints.explain(why, &pool.agent)),
                why => Refusals { whys: vec![why], are_cut: false }
                    .sentence(constraints, asker.spec.total_resources()),
            });
            let reason = refusal.into_iter().map(NoMatch::reason).collect();
            UnusedOffer { offer: pool.into(), reason, timestamp, message }
        });
        offers.collect()
    }
}

impl From<&Pool> for OfferStatus {
    fn from(pool: &Pool) -> Self {
        Self {
            id: pool.offer_ids.first().cloned().unwrap_or_else(|| OfferId::from("")),
            agent_id: pool.agent.agent_id.clone(),
            hostname: pool.agent.host.clone(),
            resources: pool.stacks.iter().flat_map(resources).collect(),
            attributes: pool.agent.attributes.iter().map(OfferAttribute::from).collect(),
        }
    }
}

fn resources(stack: &Stack) -> Vec<OfferResource> {
    let role = stack.reserved_role().cloned().unwrap_or_else(|| Role::from("*"));
    let ScalarResources { cpus, mem, disk, gpus } = stack.scalars;
    let scalars = [("cpus", cpus), ("mem", mem), ("disk", disk), ("gpus", gpus)];
    let scalars = scalars.into_iter().filter(|(_, amount)| !amount.is_zero());
    let scalars = scalars.map(|(name, amount)| (name, OfferValue::Scalar(amount.to_f64().into())));
    let ports = (!stack.ports.is_empty()).then(|| ("ports", OfferValue::Ranges(stack.ports.clone())));
    let resources = scalars.chain(ports);
    resources.map(|(name, value)| OfferResource { name, role: role.clone(), value }).collect()
}

impl From<&Attribute> for OfferAttribute {
    fn from(attribute: &Attribute) -> Self {
        let value = match &attribute.value {
            AttributeValue::Scalar(number) => OfferValue::Scalar(number.to_f64().into()),
            AttributeValue::Ranges(ranges) => OfferValue::Ranges(ranges.clone()),
            AttributeValue::Set(items) => OfferValue::Set(items.clone()),
            AttributeValue::Text(text) => OfferValue::Text(text.clone()),
        };
        Self { name: attribute.name.clone(), value }
    }
}
