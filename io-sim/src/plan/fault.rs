//! What breaks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use super::behaviour::ExitStatus;
use super::span::Span;

/// Something breaks, and is mended by itself after some time where it says so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[strum(serialize_all = "snake_case")]
pub enum Fault {
    /// The next acknowledgement for a task is lost between master and agent.
    AcknowledgementLost {
        /// A container of the task.
        of: Target,
    },
    /// An operator stops offers of an agent.
    AgentDeactivated {
        /// The agent.
        agent: u32,
        /// For how long.
        lasts: Span,
    },
    /// Messages between master and agent take longer.
    AgentDelayed {
        /// The agent.
        agent: u32,
        /// By so much, each way.
        extra: Span,
        /// For how long.
        lasts: Span,
    },
    /// The connection between master and agent breaks; the agent registers again.
    AgentDisconnected {
        /// The agent.
        agent: u32,
    },
    /// An operator drains an agent.
    AgentDrained {
        /// The agent.
        agent: u32,
        /// Containers get no longer than this to end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grace: Option<Span>,
        /// Whether it is gone for good once it is empty. Then its machine comes back as a new agent.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        mark_gone: bool,
        /// For how long.
        lasts: Span,
    },
    /// An operator declares an agent gone for good. Its machine comes back as a new agent.
    AgentGone {
        /// The agent.
        agent: u32,
        /// After so long.
        lasts: Span,
    },
    /// Nothing passes between master and agent.
    AgentPartitioned {
        /// The agent.
        agent: u32,
        /// Whether messages are lost; otherwise they arrive afterwards.
        loss: bool,
        /// For how long.
        lasts: Span,
    },
    /// The machine goes down with everything on it, and boots again.
    AgentPowerOff {
        /// The agent.
        agent: u32,
        /// Whether it comes back under a new id.
        wipe: bool,
        /// Whether it keeps what is reserved and its volumes even so.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        keeps_disk: bool,
        /// For how long.
        lasts: Span,
    },
    /// An operator schedules maintenance of an agent: its offers say so, and frameworks are asked to leave it. Nobody
    /// takes the machine down.
    AgentMaintenance {
        /// The agent.
        agent: u32,
        /// The window opens after so long.
        opens: Span,
        /// For how long it is in the schedule, from now on; then it closes.
        lasts: Span,
    },
    /// The agent leaves in an orderly way, and is started again.
    AgentShutDown {
        /// The agent.
        agent: u32,
        /// After so long.
        lasts: Span,
    },
    /// The agent's process dies, its executors stay, and it is started again.
    AgentStopped {
        /// The agent.
        agent: u32,
        /// After so long.
        lasts: Span,
    },
    /// The agent's process is stopped for a while.
    AgentSuspended {
        /// The agent.
        agent: u32,
        /// For how long.
        lasts: Span,
    },
    /// The scheduler's clock is set.
    ClockSet {
        /// By so much.
        by: Span,
        /// Back instead of forward.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        back: bool,
    },
    /// The connection between scheduler and master breaks; both ends notice.
    ConnectionBroken {},
    /// Messages between scheduler and master take longer.
    ConnectionDelayed {
        /// By so much, each way.
        extra: Span,
        /// For how long.
        lasts: Span,
    },
    /// Nothing passes between scheduler and master, and nobody is told.
    ConnectionPartitioned {
        /// Which way.
        direction: Direction,
        /// For how long.
        lasts: Span,
    },
    /// A container ends by itself.
    ContainerExits {
        /// The container.
        of: Target,
        /// How.
        status: ExitStatus,
    },
    /// A container's health is bad.
    ContainerUnhealthy {
        /// The container.
        of: Target,
        /// For how long.
        lasts: Span,
    },
    /// The process of an executor dies.
    ExecutorKilled {
        /// One of its containers.
        of: Target,
    },
    /// The process of an executor is stopped for a while.
    ExecutorSuspended {
        /// One of its containers.
        of: Target,
        /// For how long.
        lasts: Span,
    },
    /// Executors that start on a machine hang before they register.
    ExecutorsHang {
        /// The machine.
        agent: u32,
        /// For how long.
        lasts: Span,
    },
    /// An operator tears the framework down (`TEARDOWN`): Mesos kills its tasks, and its id is dead.
    FrameworkTornDown {},
    /// Containers cannot be started on a machine.
    LaunchesFail {
        /// The machine.
        agent: u32,
        /// For how long.
        lasts: Span,
    },
    /// The master refuses every `ACCEPT`: it launches nothing, and says so.
    LaunchesRefused {
        /// For how long.
        lasts: Span,
    },
    /// Another process, on another machine with a clock of its own, leads from now on. What the old one sent
    /// still arrives.
    LeaderChanged {
        /// So far is its clock from the old one's.
        by: Span,
        /// Behind instead of ahead.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        back: bool,
    },
    /// The leading master dies and another one takes over.
    MasterFailover {},
    /// There is no master.
    MasterStopped {
        /// For how long.
        lasts: Span,
    },
    /// Offers are taken back.
    OffersRescinded {
        /// Of this agent; of all if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<u32>,
    },
    /// The scheduler's process dies and is started again.
    SchedulerCrashed {
        /// Where between the steps of the driver's contract.
        #[serde(default)]
        boundary: Boundary,
        /// Whether calls that were sent are lost; otherwise they still arrive.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        calls_lost: bool,
        /// After so long it is started again.
        lasts: Span,
    },
    /// The scheduler's process is stopped for a while.
    SchedulerSuspended {
        /// For how long.
        lasts: Span,
    },
    /// A write fails, upon which the scheduler's process ends. It is started again.
    StoreFails {
        /// Whether the records are durable all the same.
        applied: bool,
        /// After so long it is started again.
        lasts: Span,
    },
    /// Writes take longer.
    StoreSlow {
        /// So long each.
        write: Span,
        /// For how long.
        lasts: Span,
    },
    /// The next status update of a task is delivered twice.
    UpdateDoubled {
        /// A container of the task.
        of: Target,
    },
    /// The next status update of a task is lost between agent and master.
    UpdateLost {
        /// A container of the task.
        of: Target,
    },
}

/// A container that runs when the fault happens. If there is none, nothing happens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Target {
    /// Of this pod; of any if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// With this name; any if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// On this machine; on any if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<u32>,
    /// Counted in the order of launches; a number too great counts on from the first.
    pub nth: u32,
}

/// Where between the steps of the driver's contract the scheduler dies.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    JsonSchema,
    IntoStaticStr,
    VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Boundary {
    /// At once, wherever it is: what is being written is lost.
    #[default]
    Now,
    /// Before the next write.
    BeforeWrite,
    /// In the next write, of which the outputs of so many steps have become durable.
    DuringWrite(u32),
    /// After the next write, before any action.
    AfterWrite,
    /// After the next write and so many actions, but before the last one if there are that many.
    AfterActions(u32),
}

/// Which way nothing passes.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    JsonSchema,
    IntoStaticStr,
    VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Direction {
    /// Both.
    #[default]
    Both,
    /// From the scheduler to the master.
    Calls,
    /// From the master to the scheduler.
    Events,
}

impl Fault {
    /// The agent that it names.
    pub fn agent(&self) -> Option<u32> {
        self.clone().agent_mut().copied()
    }

    /// The same, to be changed.
    pub fn agent_mut(&mut self) -> Option<&mut u32> {
        match self {
            Self::AgentDeactivated { agent, .. }
            | Self::AgentDelayed { agent, .. }
            | Self::AgentDisconnected { agent }
            | Self::AgentDrained { agent, .. }
            | Self::AgentGone { agent, .. }
            | Self::AgentMaintenance { agent, .. }
            | Self::AgentPartitioned { agent, .. }
            | Self::AgentPowerOff { agent, .. }
            | Self::AgentShutDown { agent, .. }
            | Self::AgentStopped { agent, .. }
            | Self::AgentSuspended { agent, .. }
            | Self::ExecutorsHang { agent, .. }
            | Self::LaunchesFail { agent, .. } => Some(agent),
            Self::OffersRescinded { agent } => agent.as_mut(),
            _ => self.target_mut().and_then(|target| target.agent.as_mut()),
        }
    }

    /// The container that it hits, if it hits one.
    pub fn target(&self) -> Option<&Target> {
        match self {
            Self::AcknowledgementLost { of }
            | Self::ContainerExits { of, .. }
            | Self::ContainerUnhealthy { of, .. }
            | Self::ExecutorKilled { of }
            | Self::ExecutorSuspended { of, .. }
            | Self::UpdateDoubled { of }
            | Self::UpdateLost { of } => Some(of),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn target_mut(&mut self) -> Option<&mut Target> {
        match self {
            Self::AcknowledgementLost { of }
            | Self::ContainerExits { of, .. }
            | Self::ContainerUnhealthy { of, .. }
            | Self::ExecutorKilled { of }
            | Self::ExecutorSuspended { of, .. }
            | Self::UpdateDoubled { of }
            | Self::UpdateLost { of } => Some(of),
            _ => None,
        }
    }

    /// How long it lasts; none for what has no end to wait for.
    pub fn lasts(&self) -> Option<Span> {
        self.clone().lasts_mut().map(|lasts| *lasts)
    }

    /// The same, to be changed.
    pub fn lasts_mut(&mut self) -> Option<&mut Span> {
        match self {
            Self::AgentDeactivated { lasts, .. }
            | Self::AgentDelayed { lasts, .. }
            | Self::AgentDrained { lasts, .. }
            | Self::AgentGone { lasts, .. }
            | Self::AgentMaintenance { lasts, .. }
            | Self::AgentPartitioned { lasts, .. }
            | Self::AgentPowerOff { lasts, .. }
            | Self::AgentShutDown { lasts, .. }
            | Self::AgentStopped { lasts, .. }
            | Self::AgentSuspended { lasts, .. }
            | Self::ConnectionDelayed { lasts, .. }
            | Self::ConnectionPartitioned { lasts, .. }
            | Self::ContainerUnhealthy { lasts, .. }
            | Self::ExecutorSuspended { lasts, .. }
            | Self::ExecutorsHang { lasts, .. }
            | Self::LaunchesFail { lasts, .. }
            | Self::LaunchesRefused { lasts }
            | Self::MasterStopped { lasts }
            | Self::SchedulerCrashed { lasts, .. }
            | Self::SchedulerSuspended { lasts }
            | Self::StoreFails { lasts, .. }
            | Self::StoreSlow { lasts, .. } => Some(lasts),
            Self::AcknowledgementLost { .. }
            | Self::AgentDisconnected { .. }
            | Self::ClockSet { .. }
            | Self::ConnectionBroken {}
            | Self::ContainerExits { .. }
            | Self::ExecutorKilled { .. }
            | Self::FrameworkTornDown {}
            | Self::LeaderChanged { .. }
            | Self::MasterFailover {}
            | Self::OffersRescinded { .. }
            | Self::UpdateDoubled { .. }
            | Self::UpdateLost { .. } => None,
        }
    }

    /// Its name, as in a plan.
    pub fn name(&self) -> &'static str {
        self.into()
    }
}
