//! What the scheduler answers: records to be kept, then actions to be done.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::admission::Rejection;
use crate::input::CommandId;
use crate::model::event::ApiEvent;
use crate::model::ids::{DeploymentId, GroupId, OfferId, PodId};
use crate::model::instance::Instance;
use crate::model::mesos::Call;
use crate::model::pod::PodSpec;
use crate::model::time::Timestamp;
use crate::placement::{Launch, Release};
use crate::record::Record;

/// The answer to one [`Input`](crate::Input).
///
/// The driver makes `records` durable, all of them or none, and only then performs `actions`, in order. It may
/// make the records of several outputs durable in one go, as long as the order of outputs and actions is kept.
/// If the records cannot be made durable, it stops.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[must_use = "records must be made durable and actions performed"]
pub struct Output {
    /// What must survive a crash.
    pub records: Vec<Record>,
    /// What to tell the world.
    pub actions: Vec<Action>,
}

/// Something to tell the world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "the large calls are the rare ones; boxing would cost the common"
)]
pub enum Action {
    /// Launch pods on offers of one agent: an `ACCEPT` call. A driver with a secret store puts in the values of
    /// the secrets that it refers to; launches whose secrets cannot be had it leaves out, and says so with
    /// [`Input::Secrets`](crate::Input::Secrets).
    Accept(Box<Accept>),
    /// Tell the master. Dropped by the driver when there is no subscription; the scheduler says again what
    /// still matters after the next one.
    Call(Call),
    /// Look whether the secret store has these by now, and send [`Input::Secrets`](crate::Input::Secrets). If the
    /// answer gets lost, the question comes again.
    LookUpSecrets(BTreeSet<String>),
    /// Tell whoever listens to the event stream.
    Publish(Box<ApiEvent>),
    /// Answer a command.
    Reply {
        /// The command.
        id: CommandId,
        /// The answer.
        result: Result<Box<Response>, Box<Refusal>>,
    },
}

/// Offers used up for launches. Kept small, because a cluster may need hundreds of thousands: the driver
/// writes it out with [`Accept::to_call`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accept {
    /// The offers, all of one agent and one role.
    pub offer_ids: Vec<OfferId>,
    /// What is given back to the agent first.
    #[serde(default, skip_serializing_if = "Release::is_empty")]
    pub release: Release,
    /// The pod instances to be launched.
    pub launches: Vec<Launch>,
    /// How long the rest of the offers need not be offered again.
    pub refuse: Duration,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// The back-off is over.
    DelayReset,
    /// A deployment was cancelled and everything left as it was.
    DeploymentCancelled,
    /// A deployment was cancelled, and another one leads back.
    DeploymentReverted {
        /// The deployment that leads back.
        deployment: DeploymentId,
        /// When it was accepted.
        version: Timestamp,
    },
    /// The group and all below it are gone from the API; a deployment ends their copies.
    GroupDeleted {
        /// The deployment.
        deployment: DeploymentId,
        /// When the change was accepted.
        version: Timestamp,
    },
    /// The group is as it was wanted. Pods did not change, so there is nothing left to deploy.
    GroupUpdated {
        /// The group.
        id: GroupId,
        /// A deployment without steps, which is over.
        deployment: DeploymentId,
        /// When the change was accepted.
        version: Timestamp,
    },
    /// The copies that end now, as they were.
    InstancesKilled(Vec<Instance>),
    /// The pod is accepted; a deployment starts its copies.
    PodCreated {
        /// The definition with its version.
        pod: Arc<PodSpec>,
        /// The deployment.
        deployment: DeploymentId,
    },
    /// The pod is gone from the API; a deployment ends its copies.
    PodDeleted {
        /// The deployment.
        deployment: DeploymentId,
    },
    /// The change is accepted; a deployment makes it true.
    PodUpdated {
        /// The definition with its version.
        pod: Arc<PodSpec>,
        /// The deployment.
        deployment: DeploymentId,
    },
}

impl Response {
    /// The deployment that makes the change true, if that takes one.
    pub fn deployment(&self) -> Option<&DeploymentId> {
        match self {
            Self::DeploymentReverted { deployment, .. }
            | Self::GroupDeleted { deployment, .. }
            | Self::GroupUpdated { deployment, .. }
            | Self::PodCreated { deployment, .. }
            | Self::PodDeleted { deployment }
            | Self::PodUpdated { deployment, .. } => Some(deployment),
            Self::DelayReset | Self::DeploymentCancelled | Self::InstancesKilled(_) => None,
        }
    }
}

/// Why a command was refused. It changed nothing. The texts are Marathon's where it has one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// There is such a pod already.
    #[error("A pod with id [{0}] already exists.")]
    AlreadyExists(PodId),
    /// There is such a group already.
    #[error("Group {0} is already created. Use PUT to change this group.")]
    GroupExists(GroupId),
    /// What is wanted is against a rule that needs to know what there is.
    #[error(transparent)]
    Invalid(#[from] Rejection),
    /// Other deployments are changing the pod.
    #[error(
        "App is locked by one or more deployments. Override with the option '?force=true'. View details at \
         '/v2/deployments/<DEPLOYMENT_ID>'."
    )]
    Locked {
        /// They hold the lock.
        deployments: Vec<DeploymentId>,
    },
    /// Too many deployments at once; forced changes are let through.
    #[error(
        "Max number ({limit}) of running deployments is achieved. Wait for existing deployments to complete \
         or cancel one using force=true parameter. You can increase max deployment number by using \
         --max_running_deployments parameter"
    )]
    TooManyDeployments {
        /// The limit.
        limit: usize,
    },
    /// No such deployment.
    #[error("DeploymentPlan {0} does not exist")]
    UnknownDeployment(DeploymentId),
    /// No such group.
    #[error("Group '{0}' does not exist")]
    UnknownGroup(GroupId),
    /// No such instance.
    #[error("Instance '{0}' does not exist")]
    UnknownInstance(String),
    /// No such pod.
    #[error("Pod '{0}' does not exist")]
    UnknownPod(PodId),
    /// Nothing of the pod waits.
    #[error("Pod '{0}' is not waiting to be launched")]
    NotQueued(PodId),
}

impl Refusal {
    /// Whether what the command names is not there.
    pub fn is_about_something_unknown(&self) -> bool {
        match self {
            Self::NotQueued(_)
            | Self::UnknownDeployment(_)
            | Self::UnknownGroup(_)
            | Self::UnknownInstance(_)
            | Self::UnknownPod(_) => true,
            Self::AlreadyExists(_)
            | Self::GroupExists(_)
            | Self::Invalid(_)
            | Self::Locked { .. }
            | Self::TooManyDeployments { .. } => false,
        }
    }
}
