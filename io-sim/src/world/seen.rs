//! What can be seen of a run from outside: by the oracles, and by whoever draws it.

use std::sync::Arc;

use podium_core::model::event::ApiEvent;
use podium_core::model::mesos::{Call, Event};
use podium_core::model::time::Timestamp;
use podium_core::{Command, Input, Output, Record, Refusal, Response, Scheduler};

use super::containers::{Container, Containers};
use super::store::Store;
use crate::cluster::{AgentIndex, AgentStanding, Cluster, Exit};
use crate::plan::{Fault, Plan, Request};

/// Something that has just happened.
#[derive(Clone, Debug)]
pub enum Seen<'a> {
    /// The master thinks differently of an agent.
    Agent {
        /// The machine.
        agent: AgentIndex,
        /// What it thought.
        from: AgentStanding,
        /// What it thinks.
        to: AgentStanding,
    },
    /// A client was answered.
    Answered {
        /// The request's index in the plan.
        order: usize,
        /// The request.
        request: &'a Request,
        /// The answer.
        answer: &'a Answer,
    },
    /// A client is about to ask for something, at once.
    Asked(&'a Command),
    /// The scheduler sends a call to the master.
    Call(&'a Call),
    /// A command was decided on and what follows from it is durable.
    Decided {
        /// The command.
        command: &'a Command,
        /// What the client is to be told.
        result: &'a Result<Box<Response>, Box<Refusal>>,
    },
    /// The scheduler's process ended.
    Died {
        /// Why.
        why: &'static str,
    },
    /// The scheduler knows that its connection is gone.
    Disconnected,
    /// A container is gone.
    Ended {
        /// The container.
        container: &'a Arc<Container>,
        /// How it ended; absent if it was destroyed from outside or never started.
        exit: Option<Exit>,
    },
    /// A fault begins.
    FaultBegan {
        /// Its index in the plan.
        index: usize,
        /// The fault.
        fault: &'a Fault,
    },
    /// A fault is over.
    FaultEnded {
        /// Its index in the plan.
        index: usize,
        /// The fault.
        fault: &'a Fault,
    },
    /// An event reached the scheduler, and what follows from it is durable.
    Heard(&'a Event),
    /// An agent begins to launch a container.
    Launched(&'a Arc<Container>),
    /// All that was broken is mended.
    Mended,
    /// The scheduler tells whoever listens.
    Published(&'a ApiEvent),
    /// The scheduler's process started.
    Restarted,
    /// A container runs.
    Started(&'a Arc<Container>),
    /// The scheduler took a step. It is not durable yet.
    Stepped {
        /// The scheduler's clock.
        clock: Timestamp,
        /// What it was told.
        input: &'a Input,
        /// What it decided.
        output: &'a Output,
    },
    /// The scheduler is subscribed.
    Subscribed,
    /// Time has passed.
    Time,
    /// Records became durable.
    Written(&'a [Record]),
}

/// What a client hears.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The scheduler's answer.
    Scheduler(Result<Box<Response>, Box<Refusal>>),
    /// The request is bad: the scheduler never saw it.
    Rejected(String),
    /// There is nothing that the request could be about.
    Pointless,
}

/// How everything is at that moment.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The true time.
    pub now: Timestamp,
    /// When the run began.
    pub start: Timestamp,
    /// What the run is made of.
    pub plan: &'a Plan,
    /// Mesos.
    pub cluster: &'a Cluster,
    /// What really runs.
    pub containers: &'a Containers,
    /// What is durable.
    pub store: &'a Store,
    /// The scheduler, if it runs and nothing it decided is still to become durable or to be done: what the API
    /// shows.
    pub api: Option<&'a Scheduler>,
    /// The scheduler's clock.
    pub clock: Timestamp,
    /// Since when the scheduler's process has run without being suspended; absent if it does not run.
    pub awake_since: Option<Timestamp>,
    /// How many requests that wait for a moment have seen it come.
    pub aimed_requests: usize,
    /// Whether everything is mended.
    pub mended: bool,
    /// Since when nothing has been broken and the scheduler has been subscribed; absent if that is not so.
    pub calm_since: Option<Timestamp>,
}

impl Seen<'_> {
    /// Whether it disturbs whoever expects something to happen soon.
    pub fn is_disturbance(&self) -> bool {
        match self {
            Self::Agent { .. }
            | Self::Died { .. }
            | Self::Disconnected
            | Self::FaultBegan { .. }
            | Self::FaultEnded { .. }
            | Self::Mended
            | Self::Restarted
            | Self::Subscribed => true,
            Self::Answered { .. }
            | Self::Asked(_)
            | Self::Call(_)
            | Self::Decided { .. }
            | Self::Ended { .. }
            | Self::Heard(_)
            | Self::Launched(_)
            | Self::Published(_)
            | Self::Started(_)
            | Self::Stepped { .. }
            | Self::Time
            | Self::Written(_) => false,
        }
    }
}
