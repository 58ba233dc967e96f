//! The state machine itself: one input in, one output out.

use std::sync::Arc;

use crate::config::Config;
use crate::input::Input;
use crate::model::ids::{FrameworkId, PodId, Role};
use crate::model::mesos::{Call, FrameworkInfo};
use crate::model::pod::PodSpec;
use crate::model::time::Timestamp;
use crate::output::{Accept, Output};
use crate::record::Entry;
use crate::view::{DeploymentStatus, PodStatus, QueueItem};

/// The scheduler.
#[derive(Clone, Debug)]
pub struct Scheduler {
    config: Config,
}

/// How to subscribe: the scheduler's wishes at this moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    /// Who subscribes.
    pub framework_info: FrameworkInfo,
    /// Roles that want no offers for now.
    pub suppressed_roles: Vec<Role>,
}

/// Stored entries that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// A pod's current definition is missing.
    #[error("the definition {version} of pod '{pod}' is referred to but was not stored")]
    MissingVersion {
        /// The pod.
        pod: PodId,
        /// The version.
        version: Timestamp,
    },
}

impl Scheduler {
    /// A scheduler that knows nothing yet. All that is random comes from `seed`, which should be fresh for
    /// each start.
    pub fn new(config: Config, _seed: u64) -> Self {
        Self { config }
    }

    /// A scheduler that continues from what was stored, in any order.
    ///
    /// # Errors
    /// The entries contradict each other.
    pub fn restore(
        config: Config,
        seed: u64,
        _entries: impl IntoIterator<Item = Entry>,
    ) -> Result<Self, RestoreError> {
        Ok(Self::new(config, seed))
    }

    /// Takes one input. `now` never goes back; an earlier time counts as the latest one seen.
    pub fn step(&mut self, _now: Timestamp, _input: Input) -> Output {
        Output::default()
    }

    /// When to send [`Input::Tick`] at the latest; never if absent.
    pub fn deadline(&self) -> Option<Timestamp> {
        None
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// This framework's id, once Mesos has given one.
    pub fn framework_id(&self) -> Option<&FrameworkId> {
        None
    }

    /// Whether there is a subscription.
    pub fn is_connected(&self) -> bool {
        false
    }

    /// How to subscribe now.
    pub fn subscription(&self) -> Subscription {
        Subscription { framework_info: self.config.framework_info(), suppressed_roles: Vec::new() }
    }

    /// The current definitions of all pods, by id.
    pub fn pods(&self) -> impl Iterator<Item = &Arc<PodSpec>> {
        std::iter::empty()
    }

    /// The current definition of a pod.
    pub fn pod(&self, _id: &PodId) -> Option<&Arc<PodSpec>> {
        None
    }

    /// Every version a pod has had, oldest first; empty if there never was one.
    pub fn pod_versions(&self, _id: &PodId) -> Vec<Timestamp> {
        Vec::new()
    }

    /// One definition a pod has had, also of a deleted pod.
    pub fn pod_version(&self, _id: &PodId, _version: Timestamp) -> Option<&Arc<PodSpec>> {
        None
    }

    /// The state of a pod.
    pub fn pod_status(&self, _id: &PodId, _now: Timestamp) -> Option<PodStatus> {
        None
    }

    /// The deployments on their way, oldest first.
    pub fn deployments(&self) -> Vec<DeploymentStatus> {
        Vec::new()
    }

    /// What waits to be launched.
    pub fn queue(&self, _now: Timestamp) -> Vec<QueueItem> {
        Vec::new()
    }

    /// Writes `accept` out as the call for Mesos.
    pub fn accept_call(&self, accept: &Accept) -> Call {
        Call::Accept {
            offer_ids: accept.offer_ids.clone(),
            operations: Vec::new(),
            refuse: Some(accept.refuse),
        }
    }
}
