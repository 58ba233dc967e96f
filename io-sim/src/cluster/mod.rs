//! A Mesos master, its agents and their default executors as one pure state machine.

mod config;
mod io;
mod view;

use podium_core::model::time::Timestamp;

pub use self::config::{
    AgentConfig, AgentFlags, ClusterConfig, ExecutorFlags, Latency, LinkConfig, MasterConfig,
};
pub use self::io::{
    AgentIndex, Answer, ContainerCommand, ContainerEvent, ContainerId, ExecutorLaunch, Exit, Fault, Input,
    Limit, OperatorCall, Output, ProbeId, ProbeResult, RequestId, SchedulerCall, Signal, StreamId, Subscribe,
    TaskLaunch,
};
pub use self::view::{
    AgentStanding, AgentView, ContainerView, ExecutorView, FrameworkView, OfferView, TaskView,
};
use crate::random::Random;

/// A simulated Mesos cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    config: ClusterConfig,
    #[expect(dead_code, reason = "the behaviour follows")]
    random: Random,
}

impl Cluster {
    /// A cluster whose processes start at the first step. All chance comes from `seed`.
    pub fn new(config: ClusterConfig, seed: u64) -> Self {
        Self { config, random: Random::new(seed) }
    }

    /// Takes one input at `now` and appends what follows from it, and from the time that passed, to `outputs`.
    pub fn step(&mut self, now: Timestamp, input: Input, outputs: &mut Vec<Output>) {
        let _ = (now, input, outputs);
    }

    /// When to send [`Input::Tick`] at the latest.
    pub fn deadline(&self) -> Option<Timestamp> {
        None
    }

    /// The machines, in order.
    pub fn agents(&self) -> impl Iterator<Item = AgentView<'_>> {
        self.config.agents.iter().zip(0..).map(|(config, index)| AgentView {
            index: AgentIndex(index),
            config,
            agent_id: None,
            running: false,
            standing: AgentStanding::Unknown,
            registered_at: None,
            active: false,
            deactivated: false,
            total: &[],
            available: &[],
        })
    }

    /// The tasks that the master knows.
    pub fn tasks(&self) -> impl Iterator<Item = TaskView<'_>> {
        std::iter::empty()
    }

    /// The task containers that exist, whatever anybody thinks.
    pub fn containers(&self) -> impl Iterator<Item = ContainerView<'_>> {
        std::iter::empty()
    }

    /// The executors that exist.
    pub fn executors(&self) -> impl Iterator<Item = ExecutorView<'_>> {
        std::iter::empty()
    }

    /// The frameworks that the master knows.
    pub fn frameworks(&self) -> impl Iterator<Item = FrameworkView<'_>> {
        std::iter::empty()
    }

    /// The outstanding offers.
    pub fn offers(&self) -> impl Iterator<Item = OfferView<'_>> {
        std::iter::empty()
    }
}
