//! The default executor (`mesos-default-executor`): runs task groups as containers nested in its own.
//!
//! ```text
//!  LAUNCH_GROUP ──► STARTING per member ──► all launches answered ──► RUNNING per launched member
//!                                                                        │
//!            exit 0: FINISHED, the others go on ◄── a container ends ◄───┤
//!            else:   FAILED or KILLED, the others get SIGTERM,           │
//!                    and SIGKILL 3 s later                               │
//!                                                                        ▼
//!                         last member ended and its updates taken by the agent: the executor exits
//! ```
//!
//! A member's container exists apart from what the executor has heard of it: while the agent is away the
//! container may end, and the executor learns it from the agent when that is back.

mod checks;
mod kill;

pub(super) use self::kill::limit_reason;

use std::sync::Arc;
use std::time::Duration;

use podium_core::model::ids::{AgentId, FrameworkId, TaskId};
use podium_core::model::mesos::{
    Check, CheckStatus, ExecutorInfo, FrameworkCapability, FrameworkInfo, NetworkStatus, Probe, Resource,
    StatusSource, TaskInfo, TaskState, TaskStatus,
};

use self::checks::Prober;
use super::env::{ContainerRef, Env};
use super::io::{AgentIndex, ContainerCommand, ContainerId, Exit, Limit, TaskLaunch};
use super::queue::Alarm;
use super::wire::{ExecutorNumber, ExecutorTimer, FromExecutor, Group, Run, ToExecutor, Work};
use crate::random::Key;

/// An executor: its container, and its process in it.
#[derive(Clone, Debug)]
pub(super) struct Executor {
    pub(super) number: ExecutorNumber,
    pub(super) agent: AgentIndex,
    pub(super) agent_id: AgentId,
    pub(super) container: ContainerId,
    pub(super) framework_id: FrameworkId,
    pub(super) framework: Arc<FrameworkInfo>,
    pub(super) info: Arc<ExecutorInfo>,
    pub(super) process: Process,
    pub(super) members: Vec<Member>,
    groups: Vec<GroupState>,
    /// Members that have not ended in the executor's eyes.
    live: usize,
    networks: Vec<NetworkStatus>,
    latency: Duration,
    /// The run of the agent that it is subscribed with.
    agent_run: Option<Run>,
    shutting_down: bool,
    /// Some member was killed for bad health: from then on every terminal update says `healthy: false`.
    unhealthy: bool,
    /// Updates that the agent has not confirmed.
    unacknowledged: Vec<Arc<TaskStatus>>,
    exit_alarm: Option<Alarm>,
    recovery_alarm: Option<Alarm>,
    /// What waits for a stopped process.
    held: Vec<Work>,
    cleaned_up: bool,
}

/// The executor's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Process {
    /// Its container is being launched.
    Starting,
    Running,
    /// Stopped by SIGSTOP.
    Suspended,
    /// Ended with this raw wait status; its container is being cleaned up.
    Dead {
        status: i32,
    },
}

/// A member of a task group.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) task: Arc<TaskInfo>,
    pub(super) container: ContainerId,
    pub(super) real: Real,
    group: usize,
    /// The executor knows that it was launched.
    launched: bool,
    /// The executor knows that it ended.
    ended: bool,
    killing: bool,
    /// It runs longer than it may.
    timed_out: bool,
    limit: Option<Exceeded>,
    /// The last health that was reported.
    healthy: Option<bool>,
    /// The last result of its check that was reported.
    check_status: Option<CheckStatus>,
    health: Option<Prober>,
    check: Option<Prober>,
    completion: Option<Alarm>,
    escalation: Option<Alarm>,
}

/// A member's container as it really is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Real {
    Launching,
    Running { networks: Vec<NetworkStatus>, pid: Option<u32> },
    Failed(String),
    Exited(Option<Exit>),
}

/// A limit that a container went over.
#[derive(Clone, Debug)]
pub(super) struct Exceeded {
    pub(super) limit: Limit,
    pub(super) message: String,
    pub(super) resources: Vec<Resource>,
}

#[derive(Clone, Debug)]
struct GroupState {
    /// Some launches are not answered yet.
    launching: bool,
    /// One member took the others with it.
    killing: bool,
}

/// What an executor is made from.
#[derive(Clone, Debug)]
pub(super) struct NewExecutor {
    pub(super) number: ExecutorNumber,
    pub(super) agent: AgentIndex,
    pub(super) agent_id: AgentId,
    pub(super) framework_id: FrameworkId,
    pub(super) framework: Arc<FrameworkInfo>,
    pub(super) info: Arc<ExecutorInfo>,
}

impl Executor {
    pub(super) fn new(env: &mut Env, new: NewExecutor) -> Self {
        let key = Key::of("container").number(new.agent.0).number(new.number);
        let container = ContainerId(env.chance.only(key).uuid().to_string().into());
        let key = || Key::of("executor").number(new.agent.0).executor(&new.info.executor_id);
        let latency = env.latency(env.config.links.agent_executor, key);
        let reference = ContainerRef { agent: new.agent, executor: new.number, member: None };
        env.containers.insert(container.clone(), reference);
        Self {
            number: new.number,
            agent: new.agent,
            agent_id: new.agent_id,
            container,
            framework_id: new.framework_id,
            framework: new.framework,
            info: new.info,
            process: Process::Starting,
            members: Vec::new(),
            groups: Vec::new(),
            live: 0,
            networks: Vec::new(),
            latency,
            agent_run: None,
            shutting_down: false,
            unhealthy: false,
            unacknowledged: Vec::new(),
            exit_alarm: None,
            recovery_alarm: None,
            held: Vec::new(),
            cleaned_up: false,
        }
    }

    /// The agent cleans up after a dead process: everything in the container ends.
    pub(super) fn clean_up(&mut self, env: &mut Env) {
        if !std::mem::replace(&mut self.cleaned_up, true) {
            env.output(ContainerCommand::Destroy { container: self.container.clone() });
        }
    }

    /// A stopped process finds this when it goes on.
    pub(super) fn hold(&mut self, work: Work) {
        self.held.push(work);
    }

    pub(super) fn release(&mut self) -> Vec<Work> {
        std::mem::take(&mut self.held)
    }

    pub(super) fn is_dead(&self) -> bool {
        matches!(self.process, Process::Dead { .. })
    }

    pub(super) fn is_subscribed(&self) -> bool {
        self.agent_run.is_some()
    }

    /// Number and latency, as the agent addresses its messages.
    pub(super) fn address(&self) -> (ExecutorNumber, Duration) {
        (self.number, self.latency)
    }

    // -- connection with the agent -------------------------------------------------------------------------

    /// The executor's container runs: its process comes up and subscribes with the agent.
    pub(super) fn started(&mut self, env: &mut Env, networks: Vec<NetworkStatus>, agent_run: Option<Run>) {
        self.process = Process::Running;
        self.networks = networks;
        if let Some(agent_run) = agent_run {
            self.subscribe(env, agent_run);
        }
    }

    /// Says hello to a run of the agent.
    pub(super) fn subscribe(&mut self, env: &mut Env, agent_run: Run) {
        let tasks = self.members.iter().filter(|member| member.launched && !member.ended);
        let message = FromExecutor::Subscribe {
            unacknowledged: self.unacknowledged.clone(),
            tasks: tasks.map(|member| member.task.task_id.clone()).collect(),
        };
        env.send_from_executor((self.agent, agent_run), self.address(), message);
    }

    /// The agent's process is gone. Without checkpointing the executor gives up at once. One that was just
    /// launching aborts, as Mesos' does.
    pub(super) fn agent_lost(&mut self, env: &mut Env) {
        if self.agent_run.take().is_none() {
            return;
        }
        for member in 0..self.members.len() {
            self.pause_probers(env, member);
        }
        if !self.framework.checkpoint {
            self.exit(0);
        } else if self.groups.iter().any(|group| group.launching) {
            const SIGABRT: i32 = 6;
            self.process = Process::Dead { status: SIGABRT };
        } else {
            let after = env.config.agent.recovery_timeout;
            let timer = ExecutorTimer::RecoveryTimeout;
            self.recovery_alarm = Some(env.plan_executor((self.agent, self.number), after, timer));
        }
    }

    pub(super) fn on_message(&mut self, env: &mut Env, agent_run: Run, message: ToExecutor) {
        match message {
            ToExecutor::Subscribed => self.subscribed(env, agent_run),
            ToExecutor::LaunchGroup(tasks) => self.launch_group(env, &tasks),
            ToExecutor::Kill { task_id, grace } => self.kill_task(env, &task_id, grace),
            ToExecutor::Acknowledged { uuid } => {
                self.unacknowledged.retain(|status| status.uuid != Some(uuid));
                if self.live == 0 && self.unacknowledged.is_empty() && !self.members.is_empty() {
                    self.exit(0);
                }
            }
            ToExecutor::Shutdown => self.shut_down(env),
            ToExecutor::UpdateFramework(framework) => self.framework = framework,
        }
    }

    pub(super) fn on_timer(&mut self, env: &mut Env, timer: ExecutorTimer) {
        match timer {
            ExecutorTimer::Escalate(member) => self.escalate(env, member),
            ExecutorTimer::MaxCompletion(member) => self.max_completion(env, member),
            ExecutorTimer::HealthCheck(member) => self.start_probe(env, member, checks::Kind::Health),
            ExecutorTimer::Check(member) => self.start_probe(env, member, checks::Kind::Check),
            ExecutorTimer::ProbeTimeout(probe) => self.probe_timed_out(env, probe),
            ExecutorTimer::FinalExit => self.exit(0),
            ExecutorTimer::RecoveryTimeout => self.exit(0),
        }
    }

    fn subscribed(&mut self, env: &mut Env, agent_run: Run) {
        self.agent_run = Some(agent_run);
        env.queue.cancel(self.recovery_alarm.take());
        for member in 0..self.members.len() {
            self.observe(env, member);
            self.resume_probers(env, member);
        }
    }

    // -- launch --------------------------------------------------------------------------------------------

    fn launch_group(&mut self, env: &mut Env, tasks: &Group) {
        if self.shutting_down {
            return;
        }
        let group = self.groups.len();
        self.groups.push(GroupState { launching: true, killing: false });
        for task in tasks.iter() {
            let member = self.members.len();
            let key = Key::of("container").number(self.agent.0);
            let uuid = env.chance.only(key.number(self.number).number(member as u64)).uuid();
            let container = ContainerId(format!("{}.{uuid}", self.container).into());
            let reference = ContainerRef { agent: self.agent, executor: self.number, member: Some(member) };
            env.containers.insert(container.clone(), reference);
            self.members.push(Member::new(task.clone(), container.clone(), group));
            self.live += 1;
            self.send(env, member, TaskState::TaskStarting, |_| {});
            env.output(ContainerCommand::LaunchTask(Box::new(TaskLaunch {
                container,
                parent: self.container.clone(),
                agent: self.agent,
                agent_id: self.agent_id.clone(),
                framework: self.framework.clone(),
                framework_id: self.framework_id.clone(),
                executor_id: self.info.executor_id.clone(),
                task: task.clone(),
            })));
        }
    }

    /// Learns what became of a member's container, if anything has.
    pub(super) fn observe(&mut self, env: &mut Env, member: usize) {
        if self.process != Process::Running || self.agent_run.is_none() {
            return;
        }
        let group = self.members[member].group;
        if self.groups[group].launching {
            let waits = |member: &Member| member.group == group && member.real == Real::Launching;
            if !self.members.iter().any(waits) && !self.shutting_down {
                self.launched(env, group);
            }
        } else {
            self.wait(env, member);
        }
    }

    /// All launches of a group are answered: the launched members run, and only then the failed ones fail.
    fn launched(&mut self, env: &mut Env, group: usize) {
        self.groups[group].launching = false;
        let members: Vec<usize> =
            (0..self.members.len()).filter(|&member| self.members[member].group == group).collect();
        for &member in &members {
            if matches!(self.members[member].real, Real::Failed(_)) {
                continue;
            }
            self.members[member].launched = true;
            self.start_probers(env, member);
            if let Some(limit) = self.members[member].task.max_completion_time {
                let timer = ExecutorTimer::MaxCompletion(member);
                let alarm = env.plan_executor((self.agent, self.number), limit, timer);
                self.members[member].completion = Some(alarm);
            }
            self.send(env, member, TaskState::TaskRunning, |_| {});
        }
        for &member in &members {
            self.wait(env, member);
        }
    }

    // -- updates -------------------------------------------------------------------------------------------

    /// Sends an update of a member towards the scheduler.
    fn send(&mut self, env: &mut Env, member: usize, state: TaskState, fill: impl FnOnce(&mut TaskStatus)) {
        let mut status = self.status(env, member, state);
        fill(&mut status);
        let status = Arc::new(status);
        self.unacknowledged.push(status.clone());
        if let Some(run) = self.agent_run {
            env.send_from_executor((self.agent, run), self.address(), FromExecutor::Update(status));
        }
    }

    fn status(&self, env: &mut Env, member: usize, state: TaskState) -> TaskStatus {
        let member = &self.members[member];
        // The agent adds the networks while the container is there.
        let networks = match (&member.real, state) {
            (Real::Running { networks, .. }, TaskState::TaskRunning | TaskState::TaskKilling) => {
                if !networks.is_empty() {
                    networks.clone()
                } else if !self.networks.is_empty() {
                    self.networks.clone()
                } else {
                    let ip = env.config.agents[self.agent.0 as usize].ip.clone();
                    vec![NetworkStatus { name: None, ip_addresses: vec![ip] }]
                }
            }
            _ => Vec::new(),
        };
        TaskStatus {
            source: Some(StatusSource::SourceExecutor),
            agent_id: Some(self.agent_id.clone()),
            executor_id: Some(self.info.executor_id.clone()),
            timestamp: Some(env.now),
            uuid: Some(env.new_status_uuid(self.agent, &member.task.task_id)),
            check_status: member.task.check.as_ref().and_then(no_result),
            networks,
            container_id: Some(member.container.as_str().to_owned()),
            ..TaskStatus::new(member.task.task_id.clone(), state)
        }
    }

    fn has(&self, capability: FrameworkCapability) -> bool {
        self.framework.capabilities.contains(&capability)
    }

    fn position(&self, task_id: &TaskId) -> Option<usize> {
        // From the end: a task id may be used again after its end.
        self.members.iter().rposition(|member| member.task.task_id == *task_id)
    }
}

impl Member {
    fn new(task: Arc<TaskInfo>, container: ContainerId, group: usize) -> Self {
        Self {
            task,
            container,
            real: Real::Launching,
            group,
            launched: false,
            ended: false,
            killing: false,
            timed_out: false,
            limit: None,
            healthy: None,
            check_status: None,
            health: None,
            check: None,
            completion: None,
            escalation: None,
        }
    }

    /// Its container went over a limit of its own; it is about to end.
    pub(super) fn exceeded(&mut self, exceeded: Exceeded) {
        self.limit = Some(exceeded);
    }
}

/// What `check_status` says before there is a result.
fn no_result(check: &Check) -> Option<CheckStatus> {
    check.probe.as_ref().map(|probe| match probe {
        Probe::Command(_) => CheckStatus::Command(None),
        Probe::Http { .. } => CheckStatus::Http(None),
        Probe::Tcp { .. } => CheckStatus::Tcp(None),
    })
}
