//! Events for whoever listens: the types of Marathon's `/v2/events` that concern pods.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use super::deployment::{Deployment, Step};
use super::ids::{AgentId, DeploymentId, ExecutorId, FrameworkId, GroupId, InstanceId, PodId, TaskId};
use super::instance::{Condition, Goal};
use super::mesos::TaskState;
use super::time::Timestamp;

/// An event with the time it happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiEvent {
    /// When.
    pub timestamp: Timestamp,
    /// What.
    #[serde(flatten)]
    pub kind: ApiEventKind,
}

/// What happened. The JSON's `eventType` is Marathon's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "eventType", rename_all = "snake_case", rename_all_fields = "camelCase")]
#[expect(missing_docs, reason = "the fields are Marathon's and documented there")]
pub enum ApiEventKind {
    /// All copies of a deleted pod have ended.
    AppTerminatedEvent { app_id: PodId },
    /// A deployment was cancelled or superseded.
    DeploymentFailed { id: DeploymentId, plan: DeploymentPlan, reason: String },
    /// A step of a deployment begins.
    DeploymentInfo {
        plan: DeploymentPlan,
        #[serde(serialize_with = "step")]
        current_step: Step,
    },
    /// A step of a deployment is done.
    DeploymentStepSuccess {
        plan: DeploymentPlan,
        #[serde(serialize_with = "step")]
        current_step: Step,
    },
    /// A deployment is done.
    DeploymentSuccess { id: DeploymentId, plan: DeploymentPlan },
    /// An executor says something. Those of pods never do by themselves.
    FrameworkMessageEvent { executor_id: ExecutorId, slave_id: AgentId, message: Vec<u8> },
    /// A change of definitions was refused, for a reason that needs to know what there is.
    GroupChangeFailed { group_id: GroupId, version: Timestamp, reason: String },
    /// A change of definitions was accepted.
    GroupChangeSuccess { group_id: GroupId, version: Timestamp },
    /// An instance's condition or goal is another one.
    InstanceChangedEvent {
        instance_id: InstanceId,
        condition: Condition,
        goal: Goal,
        run_spec_id: PodId,
        agent_id: Option<AgentId>,
        host: Option<String>,
        run_spec_version: Timestamp,
    },
    /// An instance's health is another one.
    InstanceHealthChangedEvent {
        instance_id: InstanceId,
        run_spec_id: PodId,
        healthy: Option<bool>,
        run_spec_version: Timestamp,
    },
    /// `POST` on a pod.
    PodCreatedEvent { client_ip: String, uri: String },
    /// `DELETE` on a pod.
    PodDeletedEvent { client_ip: String, uri: String },
    /// `PUT` on a pod.
    PodUpdatedEvent { client_ip: String, uri: String },
    /// The connection to the master is gone.
    SchedulerDisconnectedEvent {},
    /// The first subscription ever.
    SchedulerRegisteredEvent { framework_id: FrameworkId, master: String },
    /// A later subscription.
    SchedulerReregisteredEvent { master: String },
    /// A container's state is another one.
    StatusUpdateEvent {
        slave_id: Option<AgentId>,
        task_id: TaskId,
        task_status: TaskState,
        message: String,
        app_id: PodId,
        host: Option<String>,
        ip_addresses: Vec<IpAddress>,
        ports: Vec<u16>,
        version: Timestamp,
    },
    /// A task that we have no record of has ended.
    UnknownInstanceTerminatedEvent { instance_id: InstanceId, run_spec_id: PodId, condition: Condition },
}

/// An address of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IpAddress {
    /// The address.
    pub ip_address: String,
    /// `IPv4` or `IPv6`.
    pub protocol: String,
}

/// A deployment as events show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentPlan {
    /// Its id.
    pub id: DeploymentId,
    /// Its steps.
    #[serde(serialize_with = "steps")]
    pub steps: Vec<Step>,
    /// When it was accepted.
    pub version: Timestamp,
}

impl From<&Deployment> for DeploymentPlan {
    fn from(deployment: &Deployment) -> Self {
        Self { id: deployment.id.clone(), steps: deployment.steps.clone(), version: deployment.version }
    }
}

impl IpAddress {
    /// The address with its protocol.
    pub fn new(address: &str) -> Self {
        let protocol = if address.contains(':') { "IPv6" } else { "IPv4" };
        Self { ip_address: address.to_owned(), protocol: protocol.to_owned() }
    }
}

/// A step without what only the scheduler needs to know of it.
fn step<S: Serializer>(step: &Step, serializer: S) -> Result<S::Ok, S::Error> {
    Shown(step).serialize(serializer)
}

fn steps<S: Serializer>(steps: &[Step], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(steps.iter().map(Shown))
}

struct Shown<'a>(&'a Step);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        crate::view::StepStatus::from(self.0).serialize(serializer)
    }
}
