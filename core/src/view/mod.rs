//! The state as the API shows it: plain values, made on demand, that say why things are as they are.

mod census;
mod deployments;
mod groups;
mod offers;
mod plan;
mod pod_status;
mod queue;
mod status;
mod stray_task;
mod tasks;
mod unknown_reservation;
mod unknown_task;

pub use census::Census;
pub use deployments::{CurrentAction, DeploymentStatus, StepStatus};
pub use groups::{GroupEmbed, GroupInfo, PodVersion};
pub use offers::{
    OfferAttribute, OfferResource, OfferStatus, OfferValue, ProcessedOffersSummary, RejectSummary,
    UnusedOffer,
};
pub use plan::{Plan, PlannedKill, PlannedStart};
pub use pod_status::{
    ContainerStatus, ContainerTerminationHistory, ContainerTerminationStatus, EndpointStatus,
    HealthCondition, InstanceStatus, NetworkStatus, PodInstanceState, PodState, PodStatus, ResourceAmounts,
    TerminationHistory,
};
pub use queue::{DelayStatus, QueueItem};
pub use stray_task::StrayTask;
pub use tasks::{EndpointAddresses, EnrichedTask, HealthCheckResult};
pub use unknown_reservation::UnknownReservation;
pub use unknown_task::UnknownTask;
