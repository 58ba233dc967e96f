//! What became of the offers that were looked at for a pod, as `GET /v2/queue` shows it.

use serde::Serialize;

use crate::model::time::Timestamp;
use crate::placement::Reason;

/// The offers that were looked at since the pod began to wait.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RejectSummary {
    /// For what offers are refused here.
    pub reason: Reason,
    /// So many were refused for it.
    pub declined: u64,
    /// So many came so far.
    pub processed: u64,
}
