//! What happens to the scheduler.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::group::GroupUpdate;
use crate::model::ids::{DeploymentId, GroupId, InstanceId, PodId};
use crate::model::mesos::{Call, Event};
use crate::model::pod::PodSpec;

/// Everything that can happen to the scheduler. There is no other way in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// Somebody wants something. Exactly one [`Action::Reply`](crate::Action::Reply) with the same id answers.
    Command {
        /// Chosen by the driver.
        id: CommandId,
        /// Who asks, for the event stream.
        origin: Origin,
        /// What is wanted.
        command: Box<Command>,
    },
    /// The connection to the master is gone; its stream gives no more events.
    Disconnected,
    /// The master says something. The first event of a connection is `Subscribed`.
    Event(Box<Event>),
    /// The master has removed the framework: its id is dead, its tasks are killed wherever agents can be reached, and no
    /// subscription with this id is accepted any more.
    FrameworkRemoved,
    /// The master refused a call that [`Action`](crate::Action) asked for: it did nothing. The connection goes on.
    Refused {
        /// The call.
        call: Box<Call>,
        /// The master's words.
        reason: String,
    },
    /// The process did not get to run for a while, or its clock was set forward: what the master said in the meantime is
    /// still to come, and time has passed in which nobody looked. What is known may be old news, as after a new
    /// subscription.
    Resumed,
    /// What the secret store said: to [`Action::LookUpSecrets`](crate::Action::LookUpSecrets), or when a launch was
    /// to be written out.
    Secrets(SecretsReport),
    /// Time has passed: at or after [`deadline`](crate::Scheduler::deadline).
    Tick,
}

/// Which secrets can be had. Their values never come here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretsReport {
    /// By their paths in the store: those that are there.
    pub found: BTreeSet<String>,
    /// Those that are not, or cannot be used, and why.
    pub missing: BTreeMap<String, String>,
    /// Launches that were therefore never sent to Mesos, by instance and incarnation.
    pub unsent: Vec<(InstanceId, u32)>,
}

/// Ties an answer to its command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandId(pub u64);

/// Who sent a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// The client's address.
    pub client_ip: String,
    /// The path of the request.
    pub uri: String,
}

/// What somebody can want. Definitions have passed admission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Stop a deployment (`DELETE /v2/deployments/{id}`).
    CancelDeployment {
        /// The deployment.
        id: DeploymentId,
        /// Leave everything as it is; otherwise a new deployment leads back to where it was.
        force: bool,
    },
    /// Begin a group (`POST /v2/groups`), which must not exist.
    CreateGroup {
        /// What it shall be.
        group: GroupUpdate,
    },
    /// Begin a pod (`POST /v2/pods`).
    CreatePod {
        /// Its definition; the version is set when it is accepted.
        pod: PodSpec,
        /// Take the pods out of deployments that are in the way.
        force: bool,
        /// Whether its author named the role. If not, the group decides
        /// ([`Admitted::role_given`](crate::admission::Admitted::role_given)).
        role_given: bool,
    },
    /// End a group with all groups and pods below it (`DELETE /v2/groups/{id}`).
    DeleteGroup {
        /// The group; the root stands for everything.
        id: GroupId,
        /// Take the pods out of deployments that are in the way.
        force: bool,
    },
    /// End a pod and all its copies (`DELETE /v2/pods/{id}`).
    DeletePod {
        /// The pod.
        id: PodId,
        /// Take the pods out of deployments that are in the way.
        force: bool,
    },
    /// Say whether the pods of a group may only use the role of its name (`PATCH /v2/groups/{id}`).
    EnforceGroupRole {
        /// The group, which must be directly below the root.
        id: GroupId,
        /// Whether they may.
        enforce_role: bool,
    },
    /// End copies of a pod (`DELETE /v2/pods/{id}::instances`). They are launched again, or, when wiped,
    /// replaced by new ones.
    KillInstances {
        /// The pod.
        pod: PodId,
        /// The copies; those that do not exist are passed over.
        instances: Vec<InstanceId>,
        /// Forget them, with their reservations and volumes.
        wipe: bool,
    },
    /// End one copy of a pod (`DELETE /v2/pods/{id}::instances/{instance}`), which must exist.
    KillInstance {
        /// The pod.
        pod: PodId,
        /// The copy.
        instance: InstanceId,
        /// Forget it, with its reservations and volumes.
        wipe: bool,
    },
    /// Launch at once what waits for its back-off to end (`DELETE /v2/queue/{id}/delay`).
    ResetDelay {
        /// The pod.
        pod: PodId,
    },
    /// Change a group or begin it (`PUT /v2/groups/{id}`). Changes no pods.
    UpdateGroup {
        /// What it shall be.
        group: GroupUpdate,
    },
    /// Change a pod (`PUT /v2/pods/{id}`).
    UpdatePod {
        /// Its new definition; the version is set when it is accepted.
        pod: PodSpec,
        /// Take the pods out of deployments that are in the way.
        force: bool,
        /// Whether its author named the role. If not, the group decides
        /// ([`Admitted::role_given`](crate::admission::Admitted::role_given)).
        role_given: bool,
    },
}

impl Command {
    /// The group in which it changes definitions, if it does: the one that contains the pod or group.
    pub fn changed_group(&self) -> Option<GroupId> {
        match self {
            Self::CreateGroup { group } | Self::UpdateGroup { group } => Some(group.id.parent()),
            Self::CreatePod { pod, .. } | Self::UpdatePod { pod, .. } => Some(pod.id.group()),
            Self::DeleteGroup { id, .. } | Self::EnforceGroupRole { id, .. } => Some(id.parent()),
            Self::DeletePod { id, .. } => Some(id.group()),
            Self::CancelDeployment { .. }
            | Self::KillInstance { .. }
            | Self::KillInstances { .. }
            | Self::ResetDelay { .. } => None,
        }
    }
}
