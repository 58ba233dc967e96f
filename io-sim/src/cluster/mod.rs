//! A Mesos master, its agents and their default executors as one pure state machine.
//!
//! ```text
//!                Input                                            Output
//!   calls, stream ends, operator calls,   ┌─────────┐   events, answers, closed streams,
//!   container events, faults, ticks  ───► │ Cluster │ ───►  container commands
//!                                         └─────────┘
//!
//!   ┌──────────┐ link (latency, ┌────────────── machine i ──────────────┐
//!   │  master  │◄──partitions)─►│  agent  ◄──►  executors  (containers: │
//!   └──────────┘                │ (restarts)    (survive)   the driver's)
//!        │                      └───────────────────────────────────────┘
//!     registry (survives the master)
//! ```
//!
//! Nothing here does I/O or knows the time: whoever drives the cluster hands in `now`, carries out
//! [`ContainerCommand`]s on real or simulated processes, and comes back with [`ContainerEvent`]s. The simulator
//! does so in virtual time, the embedded cluster in real time over child processes, and a test replays recorded
//! traffic. A cluster can be cloned at any point; both copies have the same future.
//!
//! What is inside follows Mesos' own division: the parts talk only through messages (`wire`), which take time
//! and can be held up or lost (`env`). `master/`, `agent/` and `executor/` each explain themselves.

mod agent;
mod config;
mod env;
mod executor;
mod io;
mod master;
mod queue;
mod resources;
mod view;
mod wire;

#[cfg(test)]
mod tests;

use std::fmt;

use podium_core::model::ids::AgentId;
use podium_core::model::time::Timestamp;

use self::agent::Machine;
pub use self::config::{
    AgentConfig, AgentFlags, ClusterConfig, ExecutorFlags, Latency, LinkConfig, MasterConfig,
};
use self::env::{ContainerRef, Env, LinkMode, Tampering};
pub use self::io::{
    AgentIndex, Answer, ContainerCommand, ContainerEvent, ContainerId, ExecutorLaunch, Exit, Fault, Input,
    Limit, OperatorCall, Output, ProbeId, ProbeResult, RequestId, SchedulerCall, Signal, StreamId, Subscribe,
    TaskLaunch, VolumeId,
};
use self::master::Master;
use self::resources::Resources;
pub use self::view::{
    AgentStanding, AgentView, ContainerView, ExecutorView, FrameworkView, OfferView, TaskView,
};
use self::wire::{AgentTimer, ExecutorTimer, MasterTimer, ToMaster, Work};

/// A Mesos cluster. See the top of the module.
#[derive(Clone, Debug)]
pub struct Cluster {
    env: Env,
    master: Master,
    machines: Vec<Machine>,
    stirred: Stirred,
}

/// Whether something has happened that may change what the master thinks of an agent.
#[derive(Clone)]
struct Stirred(bool);

// States that differ in this alone are the same to whoever compares them by what they print.
impl fmt::Debug for Stirred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stirred")
    }
}

/// Whether the master thinks of its agents as before, whatever comes of this: it is between master and scheduler, or in an
/// executor.
fn is_about_no_agent(work: &Work) -> bool {
    use ExecutorTimer::{Check, HealthCheck, ProbeTimeout};
    matches!(
        work,
        Work::Master { timer: MasterTimer::Heartbeat(_) | MasterTimer::Allocate, .. }
            | Work::Executor { timer: HealthCheck(_) | Check(_) | ProbeTimeout(_), .. }
    )
}

impl Cluster {
    /// A cluster whose processes start at the first step. All chance comes from `seed`.
    pub fn new(config: ClusterConfig, seed: u64) -> Self {
        let mut env = Env::new(config, seed);
        let machines: Vec<_> = (0..)
            .map(AgentIndex)
            .take(env.config.agents.len())
            .map(|index| Machine::new(&env, index))
            .collect();
        env.queue.plan(Timestamp::EPOCH, Work::Boot);
        let mut master = Master::new(machines.len());
        for machine in &machines {
            if let Some(agent_id) = &machine.agent.id {
                master.remember_agent(agent_id.clone(), machine.index);
            }
        }
        Self { env, master, machines, stirred: Stirred(true) }
    }

    /// Takes one input at `now` and appends what follows from it, and from the time that passed, to `outputs`.
    /// Time never goes back: an earlier `now` counts as the latest one so far.
    pub fn step(&mut self, now: Timestamp, input: Input, outputs: &mut Vec<Output>) {
        self.env.now = self.env.now.max(now);
        std::mem::swap(&mut self.env.outputs, outputs);
        self.run_due();
        self.take(input);
        self.run_due();
        std::mem::swap(&mut self.env.outputs, outputs);
    }

    /// When to send [`Input::Tick`] at the latest.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.env.queue.deadline()
    }

    fn run_due(&mut self) {
        while let Some(work) = self.env.queue.pop_due(self.env.now) {
            self.run(work);
        }
    }

    fn run(&mut self, work: Work) {
        self.stirred.0 |= !is_about_no_agent(&work);
        let env = &mut self.env;
        match work {
            Work::Boot => {
                self.elect();
                for index in 0..self.machines.len() {
                    self.machines[index].start(&mut self.env);
                    self.check_pings(index);
                }
            }
            Work::Elect => {
                if self.master.is_down() {
                    self.elect();
                }
            }
            Work::Master { run, timer } => {
                if run == env.master_run && !self.master.is_down() {
                    self.master.on_timer(env, timer);
                }
            }
            Work::ToMaster { from, session, message } => {
                // The end of a connection is noticed outside the connection.
                let now_in = if matches!(message, ToMaster::Exited) { env.session(from) } else { session };
                let work = || Work::ToMaster { from, session, message: message.clone() };
                if env.arrives(from, now_in, work) {
                    self.master.on_message(env, from, session, message);
                }
            }
            Work::ToAgent { to, session, master, message } => {
                let work = || Work::ToAgent { to, session, master, message: message.clone() };
                if env.arrives(to, session, work) {
                    self.at_machine(to, Work::ToAgent { to, session, master, message });
                }
            }
            Work::Agent { agent, timer: AgentTimer::PingTimeout, .. } if self.is_pinged(agent) => {}
            Work::FromExecutor { agent, .. }
            | Work::ToExecutor { agent, .. }
            | Work::Agent { agent, .. }
            | Work::Executor { agent, .. } => self.at_machine(agent, work),
        }
    }

    fn at_machine(&mut self, agent: AgentIndex, work: Work) {
        let index = agent.0 as usize;
        if let Some(machine) = self.machines.get_mut(index) {
            let was = machine.is_responsive();
            machine.on_work(&mut self.env, work);
            // An agent that was told to shut down ends by itself.
            if machine.is_responsive() != was {
                self.check_pings(index);
            }
        }
    }

    fn take(&mut self, input: Input) {
        self.stirred.0 |= !matches!(
            input,
            Input::Tick | Input::Call(_) | Input::Container(ContainerEvent::ProbeResult { .. })
        );
        let env = &mut self.env;
        match input {
            Input::Tick => {}
            Input::Subscribe(call) => self.master.on_subscribe(env, *call),
            Input::StreamClosed { stream } => self.master.stream_closed(env, &stream),
            Input::Call(call) => self.master.on_call(env, *call),
            Input::Operator { request, call } => self.master.on_operator_call(env, request, call),
            Input::Container(event) => self.on_container_event(event),
            Input::Fault(fault) => self.on_fault(fault),
        }
    }

    fn on_container_event(&mut self, event: ContainerEvent) {
        let reference = match &event {
            ContainerEvent::ProbeResult { probe, .. } => self.env.probes.remove(probe),
            ContainerEvent::Started { container, .. }
            | ContainerEvent::LaunchFailed { container, .. }
            | ContainerEvent::Exited { container, .. }
            | ContainerEvent::LimitExceeded { container, .. } => self.env.containers.get(container).copied(),
        };
        let Some(reference) = reference else { return };
        let index = reference.agent.0 as usize;
        self.machines[index].on_container_event(&mut self.env, reference, event);
        self.check_pings(index);
    }

    // -- faults --------------------------------------------------------------------------------------------

    fn on_fault(&mut self, fault: Fault) {
        match fault {
            Fault::StopMaster => self.master.stop(&mut self.env),
            Fault::StartMaster => {
                if self.master.is_down() {
                    self.elect();
                }
            }
            Fault::MasterFailover => {
                self.master.stop(&mut self.env);
                let at = self.env.now + self.env.config.master.election;
                self.env.queue.plan(at, Work::Elect);
            }
            Fault::RescindOffers { agent } => self.master.rescind_offers(&mut self.env, agent),
            Fault::DropUpdate { task_id } => self.env.tamper(task_id, Tampering::DropUpdate),
            Fault::DuplicateUpdate { task_id } => self.env.tamper(task_id, Tampering::DuplicateUpdate),
            Fault::DropAcknowledgement { task_id } => {
                self.env.tamper(task_id, Tampering::DropAcknowledgement);
            }
            Fault::KillExecutor { container, signal } => {
                self.on_executor(&container, |machine, env, number| {
                    machine.kill_executor(env, number, signal)
                });
            }
            Fault::SuspendExecutor { container } => {
                self.on_executor(&container, |machine, env, number| {
                    machine.suspend_executor(env, number, true);
                });
            }
            Fault::ResumeExecutor { container } => {
                self.on_executor(&container, |machine, env, number| {
                    machine.suspend_executor(env, number, false);
                });
            }
            Fault::Partition { agent, .. }
            | Fault::Heal { agent }
            | Fault::Disconnect { agent }
            | Fault::StopAgent { agent }
            | Fault::StartAgent { agent }
            | Fault::SuspendAgent { agent }
            | Fault::ResumeAgent { agent }
            | Fault::ShutDownAgent { agent }
            | Fault::PowerOff { agent }
            | Fault::WipeAgent { agent, .. }
            | Fault::ExecutorsHang { agent, .. }
            | Fault::Delay { agent, .. } => self.on_machine_fault(agent, &fault),
        }
    }

    fn on_machine_fault(&mut self, agent: AgentIndex, fault: &Fault) {
        let index = agent.0 as usize;
        let env = &mut self.env;
        let Some(machine) = self.machines.get_mut(index) else { return };
        match fault {
            Fault::Partition { loss, .. } => env.partition(agent, *loss),
            Fault::Heal { .. } => env.heal(agent),
            Fault::Disconnect { .. } => env.break_link(agent),
            Fault::StopAgent { .. } => machine.stop(env),
            Fault::StartAgent { .. } => machine.start(env),
            Fault::SuspendAgent { .. } => machine.suspend(),
            Fault::ResumeAgent { .. } => machine.resume(env),
            Fault::ShutDownAgent { .. } => machine.unregister(env),
            Fault::PowerOff { .. } => machine.power_off(env),
            Fault::WipeAgent { keeps_disk, .. } => machine.wipe(env, *keeps_disk),
            Fault::ExecutorsHang { hang, .. } => machine.executors_hang = *hang,
            Fault::Delay { extra, .. } => env.link(agent).extra = *extra,
            _ => {}
        }
        self.check_pings(index);
    }

    fn on_executor(&mut self, container: &ContainerId, act: impl FnOnce(&mut Machine, &mut Env, u32)) {
        if let Some(ContainerRef { agent, executor, member: None }) =
            self.env.containers.get(container).copied()
        {
            act(&mut self.machines[agent.0 as usize], &mut self.env, executor);
        }
    }

    fn elect(&mut self) {
        for index in (0..).map(AgentIndex).take(self.machines.len()) {
            // Connections to the old master are gone.
            self.env.reconnect(index);
        }
        self.master.elected(&mut self.env);
        if self.env.master_run > 1 {
            for machine in &mut self.machines {
                machine.master_elected(&mut self.env);
            }
        }
    }

    /// Whether the agent gets pings from the master that it is registered with.
    fn is_pinged(&self, agent: AgentIndex) -> bool {
        let machine = &self.machines[agent.0 as usize];
        machine.agent.id.as_ref().is_some_and(|agent_id| self.master.pings(agent, agent_id))
    }

    /// Master and agent notice after a while when pings are not answered any more.
    fn check_pings(&mut self, index: usize) {
        let machine = &mut self.machines[index];
        let responsive = machine.is_responsive() && self.env.link(machine.index).mode == LinkMode::Up;
        if let Some(silence) = self.master.set_responsive(&mut self.env, machine.index, responsive) {
            machine.pings_stopped(&mut self.env, silence);
        }
    }

    /// Whether the master may think differently of an agent than before [`Self::calm`].
    pub fn is_stirred(&self) -> bool {
        self.stirred.0
    }

    /// Somebody looks at what the master thinks of the agents.
    pub fn calm(&mut self) {
        self.stirred.0 = false;
    }

    // -- views ---------------------------------------------------------------------------------------------

    /// The machines, in order.
    pub fn agents(&self) -> impl Iterator<Item = AgentView<'_>> {
        self.machines.iter().map(|machine| {
            let config = &self.env.config.agents[machine.index.0 as usize];
            let record = self.master.agents[machine.index.0 as usize].as_ref();
            let (agent_id, standing) = self.standing_of(machine);
            AgentView {
                index: machine.index,
                config,
                agent_id,
                running: machine.process != agent::AgentProcess::Down,
                standing,
                registered_at: record.map(|record| record.registered_at),
                active: self.master.allocator.is_active(machine.index),
                deactivated: agent_id.is_some_and(|agent_id| self.master.is_deactivated(agent_id)),
                total: self.master.allocator.total(machine.index).map_or(&[], Resources::as_slice),
                allocated: self.master.allocator.allocated(machine.index).map_or(&[], Resources::as_slice),
            }
        })
    }

    /// The id of each machine's agent, and what the master thinks of it, in order: a part of [`Self::agents`]
    /// that is cheap enough to look at often.
    pub fn standings(&self) -> impl Iterator<Item = (Option<&AgentId>, AgentStanding)> {
        self.machines.iter().map(|machine| self.standing_of(machine))
    }

    /// The machine whose agent has this id, and what the master thinks of it.
    pub fn standing(&self, agent_id: &AgentId) -> Option<(AgentIndex, AgentStanding)> {
        if let Some(record) = self.master.agent_by_id(agent_id) {
            return Some((record.index, record.standing()));
        }
        let machine = self.machines.iter().find(|machine| self.id_of(machine) == Some(agent_id))?;
        Some((machine.index, self.standing_of(machine).1))
    }

    /// The description of a machine.
    pub fn agent_config(&self, agent: AgentIndex) -> Option<&AgentConfig> {
        self.env.config.agents.get(agent.0 as usize)
    }

    fn standing_of<'a>(&'a self, machine: &'a Machine) -> (Option<&'a AgentId>, AgentStanding) {
        let agent_id = self.id_of(machine);
        let standing = match &self.master.agents[machine.index.0 as usize] {
            Some(record) => record.standing(),
            None => agent_id.map_or(AgentStanding::Unknown, |id| self.master.standing(id)),
        };
        (agent_id, standing)
    }

    /// The id of the machine's agent that the master knows; otherwise the agent's own.
    fn id_of<'a>(&'a self, machine: &'a Machine) -> Option<&'a AgentId> {
        let record = self.master.agents[machine.index.0 as usize].as_ref();
        record.map(|record| &record.id).or(machine.agent.id.as_ref())
    }

    /// The tasks that the master knows.
    pub fn tasks(&self) -> impl Iterator<Item = TaskView<'_>> {
        self.master.frameworks.iter().flat_map(|(framework_id, framework)| {
            let live = framework.tasks.values().map(|task| (task, false));
            let unreachable = framework.unreachable.values().map(|task| (task, true));
            live.chain(unreachable).map(move |(task, unreachable)| TaskView {
                framework_id,
                task: &task.info,
                executor_id: &task.executor_id,
                state: task.state,
                forwarded: task.forwarded.as_ref().map(|status| status.state),
                unreachable,
            })
        })
    }

    /// The task containers that exist, whatever anybody thinks.
    pub fn containers(&self) -> impl Iterator<Item = ContainerView<'_>> {
        self.machines.iter().flat_map(|machine| {
            machine.executors.values().flat_map(move |executor| {
                let existing = executor.members.iter().filter_map(|member| match &member.real {
                    executor::Real::Launching => Some((member, false)),
                    executor::Real::Running { .. } => Some((member, true)),
                    executor::Real::Failed(_) | executor::Real::Exited(_) => None,
                });
                existing.map(move |(member, started)| ContainerView {
                    container: &member.container,
                    parent: &executor.container,
                    agent: machine.index,
                    framework_id: &executor.framework_id,
                    executor_id: &executor.info.executor_id,
                    task_id: &member.task.task_id,
                    task: &member.task,
                    started,
                })
            })
        })
    }

    /// The executors that exist.
    pub fn executors(&self) -> impl Iterator<Item = ExecutorView<'_>> {
        self.machines.iter().flat_map(|machine| {
            machine.executors.values().map(move |executor| ExecutorView {
                container: &executor.container,
                agent: machine.index,
                framework_id: &executor.framework_id,
                executor_id: &executor.info.executor_id,
                alive: !executor.is_dead(),
            })
        })
    }

    /// The frameworks that the master knows.
    pub fn frameworks(&self) -> impl Iterator<Item = FrameworkView<'_>> {
        self.master.frameworks.iter().map(|(framework_id, framework)| FrameworkView {
            framework_id,
            info: &framework.info,
            stream: framework.stream.as_ref(),
            recovered: framework.recovered,
            registered_at: framework.registered_at,
            suppressed: self.master.allocator.suppressed(framework_id).collect(),
        })
    }

    /// The outstanding offers, in the order of the machines.
    pub fn offers(&self) -> impl Iterator<Item = OfferView<'_>> {
        let ids = self.master.agents.iter().flatten().flat_map(|agent| agent.offers.iter());
        ids.filter_map(|id| self.master.offer(id)).map(|record| OfferView {
            id: &record.id,
            agent: record.agent,
            agent_id: &record.agent_id,
            framework_id: &record.framework_id,
            role: &record.role,
            resources: record.resources.as_slice(),
            made_at: record.made_at,
        })
    }
}
