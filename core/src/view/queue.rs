//! What waits to be launched, as `GET /v2/queue` shows it.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::ids::{PodId, Role, Uuid};
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
        let item = |pod: &PodId| {
            let oldest = self.waiting_copies(pod, None).map(|(_, since)| since).min();
            self.queue_item(pod, oldest.unwrap_or(now), now, false)
        };
        self.waiting_pods().filter_map(item).collect()
    }

    /// The copies of a pod that wait, and since when, oldest first; those after `after`, if that is given.
    pub fn waiting_copies(&self, id: &PodId, after: Option<Uuid>) -> impl Iterator<Item = (Uuid, Timestamp)> {
        let pods = self.state.pod(id).into_iter();
        let waiting = pods.flat_map(move |pod| pod.waiting.after(after));
        waiting.filter_map(|uuid| Some((uuid, self.state.instance(uuid)?.since)))
    }

    /// What waits of a pod at `now`, if something does, the longest `since` then, as [`Self::waiting_copies`] tells;
    /// `with_offers` adds what the agents had left unused.
    pub fn queue_item(
        &self,
        id: &PodId,
        since: Timestamp,
        now: Timestamp,
        with_offers: bool,
    ) -> Option<QueueItem> {
        let pod = self.state.pod(id).filter(|pod| !pod.waiting.is_empty())?;
        let spec = pod.spec()?.clone();
        let left = pod.state.delay.map_or(Duration::ZERO, |delay| delay.until.since(now));
        Some(QueueItem {
            count: u32::try_from(pod.waiting.len()).unwrap_or(u32::MAX),
            role: spec.role.clone(),
            delay: DelayStatus { time_left_seconds: left.as_secs(), overdue: left.is_zero() },
            since,
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
