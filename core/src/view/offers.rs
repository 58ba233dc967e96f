//! What became of the offers that were looked at for a pod, as `GET /v2/queue` shows it.

use schemars::JsonSchema;
use serde::Serialize;

use super::ResourceAmounts;
use crate::model::ids::{AgentId, PodId, Role};
use crate::model::time::Timestamp;
use crate::placement::{Asker, NoMatch, Reason, RefusalStatistics, match_instance};
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
    /// How far each offer came.
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

/// What an agent had left unused, and why the pod could not use it (`embed=lastUnusedOffers`).
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct UnusedOffer {
    /// What was offered last.
    pub offer: OfferedResources,
    /// Under which names the refusal is counted.
    pub reason: Vec<Reason>,
    /// Why, in words; nothing if the next offer like it would be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What an agent had left unused when it was last offered.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OfferedResources {
    /// The agent.
    pub agent_id: AgentId,
    /// Its name.
    pub hostname: String,
    /// The role to which it was offered.
    pub role: Role,
    /// Plain amounts.
    pub resources: ResourceAmounts,
}

impl Scheduler {
    /// What the agents had left unused when they were last offered to `pod`'s role, and why `pod` could not use
    /// it. Nothing if no copy of it waits.
    pub fn last_unused_offers(&self, pod: &PodId) -> Vec<UnusedOffer> {
        let waiting = self.state.pod(pod).and_then(|pod| {
            let instance = self.state.instance(*pod.waiting.first()?)?;
            Some(Asker { pod, spec: pod.spec()?, instance })
        });
        let Some(asker) = waiting else { return Vec::new() };
        let constraints = &asker.pod.constraints;
        let offers = self.agents.offered_to(&asker.spec.role).map(|pool| {
            let refusal = match_instance(asker, pool, &self.site(), 0).err();
            let message = refusal.and_then(|why| match why {
                NoMatch::Constraint(why) => Some(constraints.explain(why, &pool.agent)),
                why => {
                    let mut refusals = RefusalStatistics::default();
                    refusals.refused(&pool.agent, why, self.now);
                    refusals.sentence(constraints)
                }
            });
            UnusedOffer {
                offer: OfferedResources {
                    agent_id: pool.agent.agent_id.clone(),
                    hostname: pool.agent.host.clone(),
                    role: pool.role.clone(),
                    resources: pool.total().into(),
                },
                reason: refusal.into_iter().map(NoMatch::reason).collect(),
                message,
            }
        });
        offers.collect()
    }
}
