//! What waits to be launched, as `GET /v2/queue` shows it.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::ids::{PodId, Role};
use crate::model::pod::PodSpec;
use crate::model::time::Timestamp;
use crate::scheduler::Scheduler;
use crate::state::Pod;
use crate::view::{ProcessedOffersSummary, UnusedOffer};

/// Copies of one pod that wait.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueItem {
    /// How many.
    pub count: u32,
    /// The role whose offers they wait for.
    pub role: Role,
    /// The delay after failures.
    pub delay: DelayStatus,
    /// Since when the oldest of them waits.
    pub since: Timestamp,
    /// What became of the offers that were looked at for them.
    pub processed_offers_summary: ProcessedOffersSummary,
    /// What the agents had left unused when they were last offered, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_unused_offers: Option<Vec<UnusedOffer>>,
    /// Why they wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The pod.
    pub pod: Arc<PodSpec>,
}

/// The delay after failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DelayStatus {
    /// Whole seconds until the delay ends.
    pub time_left_seconds: u64,
    /// Whether there is none or it has ended.
    pub overdue: bool,
}

impl Scheduler {
    /// The pods of which some copy waits to be launched, by id.
    pub fn waiting_pods(&self) -> impl Iterator<Item = &PodId> {
        self.state.waiting().iter()
    }

    /// What waits to be launched at `now`, by pod.
    pub fn queue(&self, now: Timestamp) -> Vec<QueueItem> {
        self.waiting_pods().filter_map(|pod| self.queue_item(pod, now, false)).collect()
    }

    /// What waits of a pod at `now`, if something does; `with_offers` adds what the agents had left unused.
    pub fn queue_item(&self, id: &PodId, now: Timestamp, with_offers: bool) -> Option<QueueItem> {
        let pod = self.state.pod(id).filter(|pod| !pod.waiting.is_empty())?;
        let spec = pod.spec()?.clone();
        let left = pod.state.delay.map_or(Duration::ZERO, |delay| delay.until.since(now));
        let waiting = pod.waiting.iter().filter_map(|uuid| self.state.instance(*uuid));
        Some(QueueItem {
            count: u32::try_from(pod.waiting.len()).unwrap_or(u32::MAX),
            role: spec.role.clone(),
            delay: DelayStatus { time_left_seconds: left.as_secs(), overdue: left.is_zero() },
            since: waiting.map(|instance| instance.since).min().unwrap_or(now),
            processed_offers_summary: self.processed_offers(pod, &spec.role),
            last_unused_offers: with_offers.then(|| self.last_unused_offers(id)),
            message: self.why_pod_waits(pod, now),
            pod: spec,
        })
    }

    /// The offers that were looked at for `pod` since it began to wait; of the last ones what would become of
    /// them now.
    fn processed_offers(&self, pod: &Pod, role: &Role) -> ProcessedOffersSummary {
        let now = self.refusals_now(pod).unwrap_or_default();
        pod.refusals.summary(self.state.offers_to(role), &now)
    }
}
