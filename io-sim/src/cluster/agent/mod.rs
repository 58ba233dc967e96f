//! A machine: the agent on it, and the executors, which outlive the agent's process.
//!
//! ```text
//!   master ◄──link──► agent process ◄──► executor ◄──► containers (the driver's)
//!                         │                 │
//!                     work directory     survives the agent, if the framework checkpoints
//! ```
//!
//! An agent that is stopped for a while (SIGSTOP) keeps what arrives and handles it when it goes on. One that
//! dies comes back with what frameworks with checkpointing had on disk: executors, tasks, and updates.

mod executors;
mod launch;
mod operations;
mod registration;
mod streams;

use std::collections::BTreeMap;
use std::sync::Arc;

use podium_core::model::ids::{AgentId, ExecutorId, FrameworkId, TaskId};
use podium_core::model::mesos::{
    ExecutorInfo, FrameworkCapability, FrameworkInfo, Resource, StatusReason, TaskInfo, TaskState, TaskStatus,
};

use self::operations::{Operations, converted};
use self::streams::Streams;
use super::env::{ContainerRef, Env};
use super::executor::{Exceeded, Executor, Process, Real};
use super::io::{AgentIndex, ContainerCommand, ContainerEvent, Exit};
use super::queue::Alarm;
use super::resources::Resources;
use super::wire::{
    AgentTimer, DrainConfig, ExecutorNumber, ExecutorTimer, FromExecutor, Group, Run, ToAgent, ToExecutor,
    Work,
};

/// A machine.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) index: AgentIndex,
    pub(super) process: AgentProcess,
    /// Counts the starts of the agent.
    run: Run,
    pub(super) agent: Agent,
    /// The executors' containers that exist.
    pub(super) executors: BTreeMap<ExecutorNumber, Executor>,
    next_executor: ExecutorNumber,
    /// What a stopped agent will find when it goes on.
    held: Vec<Work>,
    /// Executors that start hang before they register.
    pub(super) executors_hang: bool,
}

/// The agent's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AgentProcess {
    Down,
    Running,
    /// Stopped by SIGSTOP.
    Suspended,
}

/// The agent: what it knows, most of which is on disk for frameworks with checkpointing.
#[derive(Clone, Debug)]
pub(super) struct Agent {
    pub(super) id: Option<AgentId>,
    phase: Phase,
    /// The master that it knows of.
    master: Option<Run>,
    pub(super) frameworks: BTreeMap<FrameworkId, Framework>,
    /// What it has, with the reservations and volumes that were made on it.
    total: Resources,
    operations: Operations,
    drain: Option<DrainConfig>,
    /// The next try to register.
    registration: Option<Alarm>,
    /// How often it tried.
    attempts: u32,
    ping_timeout: Option<Alarm>,
}

/// What the agent's process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Reads its work directory and waits for its executors.
    Recovering,
    /// Has no master, or tries to register with it.
    Disconnected,
    Registered,
    /// Ends its executors, then itself.
    Terminating,
}

/// A framework on this agent.
#[derive(Clone, Debug)]
pub(super) struct Framework {
    pub(super) info: Arc<FrameworkInfo>,
    /// It was removed; its executors are being shut down and nothing is reported any more.
    terminating: bool,
    pub(super) executors: BTreeMap<ExecutorId, ExecutorRecord>,
    streams: Streams,
}

/// What the agent knows of an executor.
#[derive(Clone, Debug)]
pub(super) struct ExecutorRecord {
    number: ExecutorNumber,
    pub(super) info: Arc<ExecutorInfo>,
    state: ExecutorState,
    /// Groups that wait for the executor to register.
    queued: Vec<Group>,
    /// What was delivered and whose end is not acknowledged.
    pub(super) tasks: BTreeMap<TaskId, TaskRecord>,
    ever_sent_task: bool,
    /// Why the agent destroys it.
    termination: Option<Termination>,
    /// Registration or shutdown timeout.
    timeout: Option<Alarm>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExecutorState {
    Registering,
    Running,
    Terminating,
    /// Ended, but some task's end is not acknowledged.
    Terminated,
}

/// What the agent knows of a task.
#[derive(Clone, Debug)]
pub(super) struct TaskRecord {
    pub(super) info: Arc<TaskInfo>,
    pub(super) state: TaskState,
    /// The update that was last sent towards the scheduler.
    forwarded: Option<Arc<TaskStatus>>,
}

/// What the tasks of an executor that ends are told.
#[derive(Clone, Debug)]
struct Termination {
    state: TaskState,
    reason: StatusReason,
    message: String,
    limitation: Vec<Resource>,
}

/// An agent with its master.
#[derive(Clone, Copy, Debug)]
struct Sender {
    address: (AgentIndex, Run),
    master: Option<Run>,
}

impl Machine {
    pub(super) fn new(env: &Env, index: AgentIndex) -> Self {
        let config = &env.config.agents[index.0 as usize];
        Self {
            index,
            process: AgentProcess::Down,
            run: 0,
            agent: Agent {
                id: config.agent_id.clone(),
                ..Agent::new(converted(Resources::sum(&config.resources), &config.converted))
            },
            executors: BTreeMap::new(),
            next_executor: 0,
            held: Vec::new(),
            executors_hang: false,
        }
    }

    /// Whether the agent answers pings, as far as it is concerned.
    pub(super) fn is_responsive(&self) -> bool {
        self.process == AgentProcess::Running
    }

    // -- what happens --------------------------------------------------------------------------------------

    /// Something planned is due. What comes while the agent is stopped waits, also what executors do, because
    /// nearly all of it needs the agent.
    pub(super) fn on_work(&mut self, env: &mut Env, work: Work) {
        if self.process == AgentProcess::Suspended {
            self.held.push(work);
            return;
        }
        match work {
            // What an earlier master said does not count any more.
            Work::ToAgent { master, message, .. }
                if self.process == AgentProcess::Running && self.agent.master == Some(master) =>
            {
                self.on_master_message(env, message);
            }
            Work::FromExecutor { run, executor, message, .. } if self.is_run(run) => {
                self.on_executor_message(env, executor, message);
            }
            Work::Agent { run, timer, .. } if self.is_run(run) => self.on_timer(env, timer),
            Work::ToExecutor { run, executor, message, .. } if self.is_run(run) => {
                self.with_executor(env, executor, |executor, env| match executor.process {
                    Process::Running => executor.on_message(env, run, message),
                    Process::Suspended => executor.hold(Work::ToExecutor {
                        agent: executor.agent,
                        run,
                        executor: executor.number,
                        message,
                    }),
                    Process::Starting | Process::Dead { .. } => {}
                });
            }
            Work::Executor { executor, timer, .. } => self.on_executor_timer(env, executor, timer),
            _ => {}
        }
    }

    fn is_run(&self, run: Run) -> bool {
        self.process == AgentProcess::Running && self.run == run
    }

    fn on_executor_timer(&mut self, env: &mut Env, executor: ExecutorNumber, timer: ExecutorTimer) {
        self.with_executor(env, executor, |executor, env| match executor.process {
            Process::Running => executor.on_timer(env, timer),
            Process::Suspended => {
                executor.hold(Work::Executor { agent: executor.agent, executor: executor.number, timer })
            }
            Process::Starting | Process::Dead { .. } => {}
        });
    }

    fn on_master_message(&mut self, env: &mut Env, message: ToAgent) {
        match message {
            ToAgent::Registered { agent_id } => self.registered(env, agent_id),
            ToAgent::Reregistered { unknown } => self.reregistered(env, unknown),
            ToAgent::Shutdown => self.shut_down(env),
            ToAgent::PingDisconnected => {
                if self.agent.phase == Phase::Registered {
                    self.detected(env);
                }
            }
            _ if matches!(self.agent.phase, Phase::Recovering | Phase::Terminating) => {}
            ToAgent::Run(run) => self.run_group(env, *run),
            ToAgent::Kill { framework_id, task_id, grace } => {
                self.kill_task(env, &framework_id, &task_id, grace);
            }
            ToAgent::Acknowledge { framework_id, task_id, uuid } => {
                self.acknowledged(env, &framework_id, &task_id, uuid);
            }
            ToAgent::ShutdownExecutor { framework_id, executor_id } => {
                self.shut_down_executor(env, &framework_id, &executor_id);
            }
            ToAgent::ShutdownFramework { framework_id } => self.shut_down_framework(env, &framework_id),
            ToAgent::UpdateFramework { framework_id, framework } => {
                self.update_framework(env, &framework_id, &framework);
            }
            ToAgent::Drain(config) => self.drain(env, config),
            ToAgent::Reactivate => self.agent.drain = None,
            ToAgent::ApplyOperation(operation) => self.apply_operation(env, *operation),
            ToAgent::AcknowledgeOperation { operation, uuid } => {
                self.agent.operations.acknowledged(env, operation, uuid);
            }
            ToAgent::ReconcileOperations { operations } => self.reconcile_operations(env, &operations),
        }
    }

    fn on_timer(&mut self, env: &mut Env, timer: AgentTimer) {
        match timer {
            AgentTimer::Detected => self.detected(env),
            AgentTimer::Register => self.register(env),
            AgentTimer::PingTimeout => {
                self.agent.ping_timeout = None;
                if self.agent.phase == Phase::Registered {
                    self.detected(env);
                }
            }
            AgentTimer::RecoveryTimeout => self.recovered(env),
            AgentTimer::RetryUpdate(framework_id, task_id) => self.retry_update(env, framework_id, &task_id),
            AgentTimer::RetryOperation(operation) => {
                let sender = self.sender();
                self.agent.operations.retry(env, sender, operation);
            }
            AgentTimer::ExecutorRegistration(framework_id, executor_id, number) => {
                self.executor_registration_timeout(env, &framework_id, &executor_id, number);
            }
            AgentTimer::ExecutorShutdown(framework_id, executor_id, number) => {
                let record = self.agent.executor(&framework_id, &executor_id);
                if record.is_some_and(|record| record.number == number) {
                    self.destroy(env, number);
                }
            }
        }
    }

    fn on_executor_message(&mut self, env: &mut Env, number: ExecutorNumber, message: FromExecutor) {
        let Some(executor) = self.executors.get(&number) else { return };
        let framework_id = executor.framework_id.clone();
        match message {
            FromExecutor::Subscribe { unacknowledged, tasks } => {
                let executor_id = executor.info.executor_id.clone();
                self.executor_subscribed(env, &framework_id, &executor_id, (unacknowledged, tasks));
            }
            FromExecutor::Update(status) => {
                let address = executor.address();
                let uuid = status.uuid;
                if self.update(env, &framework_id, status)
                    && let Some(uuid) = uuid
                {
                    let message = ToExecutor::Acknowledged { uuid };
                    env.send_to_executor((self.index, self.run), address, message);
                }
            }
        }
    }

    // -- containers ----------------------------------------------------------------------------------------

    /// The driver reports about one of this machine's containers.
    pub(super) fn on_container_event(
        &mut self,
        env: &mut Env,
        reference: ContainerRef,
        event: ContainerEvent,
    ) {
        match reference.member {
            None => self.on_executor_container_event(env, reference.executor, event),
            Some(member) => self.on_task_container_event(env, (reference.executor, member), event),
        }
    }

    fn on_executor_container_event(&mut self, env: &mut Env, number: ExecutorNumber, event: ContainerEvent) {
        match event {
            ContainerEvent::Started { networks, .. } => {
                let (hang, run) = (self.executors_hang, self.run);
                let up = self.process == AgentProcess::Running;
                if let Some(executor) = self.executors.get_mut(&number)
                    && executor.process == Process::Starting
                {
                    executor.started(env, networks, (up && !hang).then_some(run));
                    if hang {
                        executor.process = Process::Suspended;
                    }
                }
            }
            ContainerEvent::LaunchFailed { message, .. } => {
                let Some(executor) = self.remove_executor(env, number) else { return };
                let termination = Termination {
                    state: TaskState::TaskFailed,
                    reason: StatusReason::ReasonContainerLaunchFailed,
                    message: format!("Failed to launch container: {message}"),
                    limitation: Vec::new(),
                };
                self.executor_terminated(env, &executor, -1, Some(termination));
            }
            ContainerEvent::Exited { exit, .. } => {
                let Some(executor) = self.remove_executor(env, number) else { return };
                let status = match (executor.process, exit) {
                    (Process::Dead { status }, _) => status,
                    (_, Some(Exit::Code(code))) => code << 8,
                    (_, Some(Exit::Signal { number, .. })) => number,
                    (_, None) => -1,
                };
                self.executor_terminated(env, &executor, status, None);
            }
            ContainerEvent::LimitExceeded { limit, message, limitation, .. } => {
                let Some(executor) = self.executors.get(&number) else { return };
                let (framework_id, executor_id) =
                    (executor.framework_id.clone(), executor.info.executor_id.clone());
                if let Some(record) = self.agent.executor_mut(&framework_id, &executor_id) {
                    record.termination = Some(Termination {
                        state: TaskState::TaskFailed,
                        reason: super::executor::limit_reason(limit),
                        message,
                        limitation,
                    });
                    record.state = ExecutorState::Terminating;
                }
                self.destroy(env, number);
            }
            ContainerEvent::ProbeResult { .. } => {}
        }
    }

    fn on_task_container_event(
        &mut self,
        env: &mut Env,
        (number, member): (ExecutorNumber, usize),
        event: ContainerEvent,
    ) {
        let observable = self.process == AgentProcess::Running;
        self.with_executor(env, number, |executor, env| {
            let this = &mut executor.members[member];
            if matches!(this.real, Real::Failed(_) | Real::Exited(_)) {
                return;
            }
            this.real = match event {
                ContainerEvent::Started { networks, pid, .. } => Real::Running { networks, pid },
                ContainerEvent::LaunchFailed { message, .. } => Real::Failed(message),
                ContainerEvent::Exited { exit, .. } => Real::Exited(exit),
                ContainerEvent::LimitExceeded { limit, message, limitation, .. } => {
                    this.exceeded(Exceeded { limit, message, resources: limitation });
                    return;
                }
                ContainerEvent::ProbeResult { probe, result } => {
                    if executor.process == Process::Running {
                        executor.probed(env, member, probe, &result);
                    }
                    return;
                }
            };
            if matches!(this.real, Real::Failed(_) | Real::Exited(_)) {
                env.containers.remove(&this.container);
            }
            if observable {
                executor.observe(env, member);
            }
        });
    }

    /// Ends an executor's container with everything in it.
    fn destroy(&mut self, env: &mut Env, number: ExecutorNumber) {
        const SIGKILL: i32 = 9;
        self.with_executor(env, number, |executor, _| executor.exit(SIGKILL));
    }

    /// Does something with an executor. If its process is dead afterwards, the agent cleans up its container.
    fn with_executor<R>(
        &mut self,
        env: &mut Env,
        number: ExecutorNumber,
        act: impl FnOnce(&mut Executor, &mut Env) -> R,
    ) -> Option<R> {
        let executor = self.executors.get_mut(&number)?;
        let result = act(executor, env);
        if executor.is_dead() && self.process == AgentProcess::Running {
            executor.clean_up(env);
        }
        Some(result)
    }

    /// Forgets an executor's container and all in it, because nothing of it is left.
    fn remove_executor(&mut self, env: &mut Env, number: ExecutorNumber) -> Option<Executor> {
        let executor = self.executors.remove(&number)?;
        env.containers.remove(&executor.container);
        for member in &executor.members {
            env.containers.remove(&member.container);
        }
        Some(executor)
    }

    // -- faults --------------------------------------------------------------------------------------------

    pub(super) fn kill_executor(&mut self, env: &mut Env, number: ExecutorNumber, signal: i32) {
        self.with_executor(env, number, |executor, _| executor.exit(signal));
    }

    pub(super) fn suspend_executor(&mut self, env: &mut Env, number: ExecutorNumber, suspend: bool) {
        let run = self.run;
        let up = self.process == AgentProcess::Running;
        let held = self.with_executor(env, number, |executor, env| match (executor.process, suspend) {
            (Process::Running, true) => {
                executor.process = Process::Suspended;
                Vec::new()
            }
            (Process::Suspended, false) => {
                executor.process = Process::Running;
                if up && !executor.is_subscribed() {
                    executor.subscribe(env, run);
                }
                executor.release()
            }
            _ => Vec::new(),
        });
        for work in held.into_iter().flatten() {
            self.on_work(env, work);
        }
        if !suspend && self.process == AgentProcess::Running {
            self.observe_all(env, number);
        }
    }

    /// An executor learns what became of its members' containers while it could not.
    fn observe_all(&mut self, env: &mut Env, number: ExecutorNumber) {
        self.with_executor(env, number, |executor, env| {
            for member in 0..executor.members.len() {
                executor.observe(env, member);
            }
        });
    }

    /// The machine loses power: everything that runs on it is gone.
    pub(super) fn power_off(&mut self, env: &mut Env) {
        self.stop(env);
        for number in self.executors.keys().copied().collect::<Vec<_>>() {
            self.remove_executor(env, number);
        }
        env.output(ContainerCommand::DestroyAll { agent: self.index });
    }

    /// For messages to the master.
    fn sender(&self) -> Sender {
        Sender { address: self.address(), master: self.agent.master }
    }

    /// Where the agent's timers and messages go.
    fn address(&self) -> (AgentIndex, Run) {
        (self.index, self.run)
    }
}

impl Agent {
    fn new(total: Resources) -> Self {
        Self {
            id: None,
            phase: Phase::Disconnected,
            master: None,
            frameworks: BTreeMap::new(),
            total,
            operations: Operations::default(),
            drain: None,
            registration: None,
            attempts: 0,
            ping_timeout: None,
        }
    }

    fn executor(&self, framework_id: &FrameworkId, executor_id: &ExecutorId) -> Option<&ExecutorRecord> {
        self.frameworks.get(framework_id)?.executors.get(executor_id)
    }

    fn executor_mut(
        &mut self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
    ) -> Option<&mut ExecutorRecord> {
        self.frameworks.get_mut(framework_id)?.executors.get_mut(executor_id)
    }
}

impl Framework {
    fn new(info: Arc<FrameworkInfo>) -> Self {
        Self { info, terminating: false, executors: BTreeMap::new(), streams: Streams::default() }
    }

    /// `state` if the framework understands it, else `TASK_LOST`.
    fn or_lost(&self, state: TaskState) -> TaskState {
        or_lost(&self.info, state)
    }
}

/// `state` if the framework is aware of partitions, else `TASK_LOST`.
pub(super) fn or_lost(framework: &FrameworkInfo, state: TaskState) -> TaskState {
    if framework.capabilities.contains(&FrameworkCapability::PartitionAware) {
        state
    } else {
        TaskState::TaskLost
    }
}
