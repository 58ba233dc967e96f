//! What the containers of a recording did: they are the world outside of Mesos, so their doings are fed to the
//! model and not expected of it.
//!
//! A status says when it was made, so the recording tells when a container started, when and how it ended, and
//! what its checks saw. An end that followed a signal follows the *model's* signal here: a container that was
//! killed lives on if the model never kills it.
//!
//! ```text
//!   LaunchTask ──► Started when its RUNNING was made, or LaunchFailed when its failure was
//!   Signal TERM ─► Exited when it did, unless only SIGKILL had ended it
//!   Signal KILL ─► Exited
//!   Probe ───────► the next recorded result when it was made; else the last one again
//! ```

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use podium_core::model::ids::{ExecutorId, TaskId};
use podium_core::model::mesos::{
    CheckStatus, Event, Probe, StatusReason, StatusSource, TaskInfo, TaskState, TaskStatus,
};
use podium_core::model::time::Timestamp;
use podium_sim::cluster::{
    AgentIndex, ContainerCommand, ContainerEvent, ContainerId, ExecutorLaunch, Exit, Fault, Input, Limit,
    ProbeId, ProbeResult, Signal, TaskLaunch,
};

use crate::recording::Recording;

const SOON: Duration = Duration::from_millis(10);
/// An end this much after SIGTERM, by SIGKILL, was the executor's doing.
const DEAF: Duration = Duration::from_millis(900);

pub(crate) struct Containers {
    lives: HashMap<TaskId, Vec<Life>>,
    executors: HashMap<ExecutorId, ExecutorHistory>,
    live: BTreeMap<ContainerId, Live>,
    probes: HashMap<ProbeId, ContainerId>,
}

/// An end that is reported this much later was not noticed at once.
const UNNOTICED: Duration = Duration::from_secs(2);

/// One run of a task in the recording.
#[derive(Clone, Debug, Default)]
struct Life {
    running: Option<Timestamp>,
    end: Option<(Timestamp, TaskStatus)>,
    /// Results of its health check that were reported.
    health: Vec<(Timestamp, bool)>,
    /// Results of its check that were reported.
    checks: Vec<(Timestamp, CheckStatus)>,
}

#[derive(Debug, Default)]
struct ExecutorHistory {
    /// When its processes were first heard of.
    starts: Vec<Timestamp>,
    /// When they ended, and how.
    ends: Vec<(Timestamp, i32)>,
    /// How many of these belong to containers that were launched by now.
    ended: usize,
    /// What the agent said about its tasks.
    agent_says: Vec<(Timestamp, TaskStatus)>,
}

#[derive(Debug)]
struct Live {
    agent: AgentIndex,
    parent: Option<ContainerId>,
    executor: Option<ExecutorId>,
    life: Life,
    task: Option<TaskInfo>,
    started: bool,
    signalled: bool,
}

/// Something that happens to the cluster at a time.
pub(crate) type Planned = (Timestamp, Input);

impl Containers {
    pub(crate) fn new(recording: &Recording) -> Self {
        let mut lives: HashMap<TaskId, Vec<(Option<String>, Life)>> = HashMap::new();
        let mut executors: HashMap<ExecutorId, ExecutorHistory> = HashMap::new();
        let mut parents = HashSet::new();
        let mut seen = HashSet::new();
        for event in &recording.events {
            if let Event::Failure(failure) = &event.event
                && let (Some(executor), Some(status)) = (&failure.executor_id, failure.status)
            {
                let ends = &mut executors.entry(executor.clone()).or_default().ends;
                ends.push((recording.time(event.at), status));
            }
        }
        for (at, status) in recording.updates() {
            if status.uuid.is_none() || !seen.insert(status.uuid) {
                continue;
            }
            let made = status.timestamp.unwrap_or_else(|| recording.time(at));
            if let Some(executor) = &status.executor_id {
                let history = executors.entry(executor.clone()).or_default();
                match status.source {
                    Some(StatusSource::SourceExecutor) => {
                        let parent = status.container_id.as_ref().and_then(|id| id.split('.').next());
                        if parent.is_some_and(|parent| parents.insert(parent.to_owned())) {
                            history.starts.push(made);
                        }
                    }
                    _ => history.agent_says.push((made, status.clone())),
                }
            }
            if status.source != Some(StatusSource::SourceExecutor) {
                continue;
            }
            let of_task = lives.entry(status.task_id.clone()).or_default();
            if of_task.last().is_none_or(|(container, _)| *container != status.container_id) {
                of_task.push((status.container_id.clone(), Life::default()));
            }
            if let Some((_, life)) = of_task.last_mut() {
                life.learn(made, status);
            }
        }
        let without_ids = |lives: Vec<(_, Life)>| lives.into_iter().map(|(_, life)| life).rev().collect();
        Self {
            lives: lives.into_iter().map(|(task, lives)| (task, without_ids(lives))).collect(),
            executors,
            live: BTreeMap::new(),
            probes: HashMap::new(),
        }
    }

    /// The executors' containers that exist, on one machine or all.
    pub(crate) fn executors(&self, agent: Option<AgentIndex>) -> impl Iterator<Item = &ContainerId> {
        self.live
            .iter()
            .filter(move |(_, live)| live.executor.is_some() && agent.is_none_or(|agent| live.agent == agent))
            .map(|(id, _)| id)
    }

    /// Does what an agent wants.
    pub(crate) fn command(&mut self, now: Timestamp, command: ContainerCommand) -> Vec<Planned> {
        match command {
            // Nothing is written to volumes here.
            ContainerCommand::RemoveVolume { .. } => Vec::new(),
            ContainerCommand::LaunchExecutor(launch) => self.launch_executor(now, &launch),
            ContainerCommand::LaunchTask(launch) => self.launch_task(now, &launch),
            ContainerCommand::Signal { container, signal } => self.signal(now, &container, signal),
            ContainerCommand::Destroy { container } => self.destroy(now, &container),
            ContainerCommand::DestroyAll { agent } => {
                self.live.retain(|_, live| live.agent != agent);
                Vec::new()
            }
            ContainerCommand::Probe { probe, container, what } => self.probe(now, probe, &container, &what),
            ContainerCommand::CancelProbe { probe } => {
                self.probes.remove(&probe);
                Vec::new()
            }
        }
    }

    /// Whether a planned event still happens; the container may be gone by now.
    pub(crate) fn happens(&mut self, input: &Input) -> bool {
        match input {
            Input::Container(ContainerEvent::ProbeResult { probe, .. }) => {
                self.probes.remove(probe).is_some()
            }
            Input::Container(ContainerEvent::Exited { container, .. }) => {
                let existed = self.live.remove(container).is_some();
                self.live.retain(|_, live| live.parent.as_ref() != Some(container));
                existed
            }
            Input::Container(ContainerEvent::Started { container, .. }) => {
                self.live.get_mut(container).map(|live| live.started = true).is_some()
            }
            Input::Container(
                ContainerEvent::LaunchFailed { container, .. }
                | ContainerEvent::LimitExceeded { container, .. },
            ) => self.live.contains_key(container),
            _ => true,
        }
    }

    fn launch_executor(&mut self, now: Timestamp, launch: &ExecutorLaunch) -> Vec<Planned> {
        let container = launch.container.clone();
        let executor_id = launch.executor.executor_id.clone();
        let history = self.executors.entry(executor_id.clone()).or_default();
        // A call may have waited a little longer than in the recording.
        let next = history.ends.iter().skip(history.ended).position(|(at, _)| *at + DEAF > now);
        let end = next.map(|next| history.ends[history.ended + next]);
        history.ended += next.map_or(0, |next| next + 1);
        let within = |at: Timestamp| at > now && end.is_none_or(|(end, _)| at <= end + SOON);
        let start = history.starts.iter().copied().find(|at| within(*at));
        let mut planned = Vec::new();
        let says = |reasons: &[StatusReason]| {
            history.agent_says.iter().find(|(at, status)| {
                *at > now
                    && end.is_none_or(|(end, _)| *at <= end + Duration::from_secs(1))
                    && status.reason.is_some_and(|reason| reasons.contains(&reason))
            })
        };
        let started =
            ContainerEvent::Started { container: container.clone(), networks: Vec::new(), pid: None };
        if let Some(at) = start {
            // A few milliseconds for the registration and the launch itself.
            planned.push(((at - Duration::from_millis(6)).max(now), Input::Container(started)));
        } else if let Some((at, status)) = says(&[StatusReason::ReasonContainerLaunchFailed]) {
            let message = status.message.clone().unwrap_or_default();
            let message = message.strip_prefix("Failed to launch container: ").unwrap_or(&message).to_owned();
            let failed = ContainerEvent::LaunchFailed { container: container.clone(), message };
            planned.push((*at, Input::Container(failed)));
        } else if says(&[StatusReason::ReasonExecutorRegistrationTimeout]).is_some() {
            planned.extend(hanging(now, launch.agent, started));
        } else if let Some((at, 0)) = end {
            planned.push(((at - SOON).max(now), Input::Container(started)));
        } else if let Some((at, -1)) = end {
            // It was given up before it came to that.
            let message = "never launched".to_owned();
            let failed = ContainerEvent::LaunchFailed { container: container.clone(), message };
            planned.push(((at - SOON).max(now), Input::Container(failed)));
        } else if let Some((at, status)) = end.filter(|(_, status)| *status > 0xff) {
            // It ended before it said anything.
            planned.extend(hanging(now, launch.agent, started));
            planned.push((at - SOON, exited(&container, Some(Exit::Code(status >> 8)))));
        } else if end.is_none() {
            planned.push((now + 30 * SOON, Input::Container(started)));
        }
        let limits =
            [StatusReason::ReasonContainerLimitationDisk, StatusReason::ReasonContainerLimitationMemory];
        if let Some((at, status)) = says(&limits) {
            let limit = match status.reason {
                Some(StatusReason::ReasonContainerLimitationDisk) => Limit::Disk,
                _ => Limit::Memory,
            };
            let message = status.message.clone().unwrap_or_default();
            let limitation = status.limitation.clone();
            let event =
                ContainerEvent::LimitExceeded { container: container.clone(), limit, message, limitation };
            planned.push((*at, Input::Container(event)));
        }
        let live = Live {
            agent: launch.agent,
            parent: None,
            executor: Some(executor_id),
            life: Life::default(),
            task: None,
            started: false,
            signalled: false,
        };
        self.live.insert(container, live);
        planned
    }

    fn launch_task(&mut self, now: Timestamp, launch: &TaskLaunch) -> Vec<Planned> {
        let container = launch.container.clone();
        let life = self.lives.get_mut(&launch.task.task_id).and_then(Vec::pop).unwrap_or_default();
        let mut planned = Vec::new();
        match (life.running, &life.end) {
            // It never ran, whatever the words.
            (None, Some((at, status))) if !was_killed(status) => {
                let message = status.message.clone().unwrap_or_default();
                let failed = ContainerEvent::LaunchFailed { container: container.clone(), message };
                planned.push(((*at).max(now), Input::Container(failed)));
            }
            (running, end) => {
                let started =
                    ContainerEvent::Started { container: container.clone(), networks: Vec::new(), pid: None };
                let at = running.unwrap_or(now + SOON).max(now);
                planned.push((at, Input::Container(started)));
                let by_itself = end.as_ref().filter(|(_, status)| !was_killed(status));
                if let Some((end, exit)) = by_itself.and_then(|(end, status)| Some((*end, exit(status)?))) {
                    // The command may tell that it ended before anybody noticed.
                    let by_command = lasts(&launch.task).map(|lasts| at + lasts);
                    let end = by_command.filter(|early| end.since(*early) > UNNOTICED).unwrap_or(end);
                    planned.push((end.max(at), exited(&container, Some(exit))));
                }
            }
        }
        let live = Live {
            agent: launch.agent,
            parent: Some(launch.parent.clone()),
            executor: None,
            life,
            task: Some((*launch.task).clone()),
            started: false,
            signalled: false,
        };
        self.live.insert(container, live);
        planned
    }

    fn signal(&mut self, now: Timestamp, id: &ContainerId, signal: Signal) -> Vec<Planned> {
        const KILLED: Exit = Exit::Signal { number: 9, core: false };
        let Some(live) = self.live.get_mut(id) else { return Vec::new() };
        let end = live.life.end.as_ref().filter(|(_, status)| was_killed(status));
        let end = end.and_then(|(at, status)| Some(((*at).max(now), exit(status)?)));
        let (at, exit) = match (signal, end) {
            (Signal::Term, _) if live.signalled => return Vec::new(),
            (Signal::Term, Some((at, KILLED))) if at.since(now) > DEAF => return Vec::new(),
            (Signal::Term, Some(end)) => end,
            (Signal::Term, None) if live.is_deaf() => return Vec::new(),
            (Signal::Term, None) => (now + SOON, Exit::Signal { number: 15, core: false }),
            (Signal::Kill, Some((at, exit))) if at.since(now) < DEAF => (at, exit),
            (Signal::Kill, _) => (now + SOON, KILLED),
        };
        live.signalled = true;
        vec![(at, exited(id, Some(exit)))]
    }

    fn destroy(&mut self, now: Timestamp, id: &ContainerId) -> Vec<Planned> {
        let Some(executor) = self.live.get(id).and_then(|live| live.executor.clone()) else {
            return Vec::new();
        };
        // How long cleaning up takes is the machine's business.
        let ends = self.executors.get(&executor).map_or(&[][..], |history| &history.ends);
        let recorded = ends.iter().map(|(at, _)| *at - SOON).find(|at| *at >= now);
        let at = recorded.filter(|at| at.since(now) < Duration::from_secs(3)).unwrap_or(now + SOON);
        // What has not started has no status.
        let exit = self.live.get(id).filter(|live| live.started);
        vec![(at, exited(id, exit.map(|_| Exit::Signal { number: 9, core: false })))]
    }

    fn probe(&mut self, now: Timestamp, probe: ProbeId, id: &ContainerId, what: &Probe) -> Vec<Planned> {
        let Some(live) = self.live.get_mut(id) else { return Vec::new() };
        let task = live.task.as_ref();
        let of = |probe: Option<&Probe>| probe == Some(what);
        let is_check =
            task.and_then(|task| task.check.as_ref()).is_some_and(|check| of(check.probe.as_ref()));
        let (at, result) = if is_check {
            let interval = task.and_then(|task| task.check.as_ref()).map(|check| check.interval);
            let (at, status) = next(&mut live.life.checks, now, interval.unwrap_or_default());
            (at, status.map(|status| check_result(&status)))
        } else {
            let health = task.and_then(|task| task.health_check.as_ref());
            let interval = health.map(|health| health.interval).unwrap_or_default();
            let (at, healthy) = next(&mut live.life.health, now, interval);
            (at, healthy.map(|healthy| health_result(what, healthy)))
        };
        self.probes.insert(probe, id.clone());
        let result = result.map(|result| ContainerEvent::ProbeResult { probe, result });
        result.map(|result| (at, Input::Container(result))).into_iter().collect()
    }
}

impl Live {
    fn is_deaf(&self) -> bool {
        let command = self.task.as_ref().and_then(|task| task.command.as_ref());
        command
            .and_then(|command| command.value.as_ref())
            .is_some_and(|text| text.starts_with("trap '' TERM"))
    }
}

impl Life {
    fn learn(&mut self, made: Timestamp, status: &TaskStatus) {
        match (status.state, status.reason) {
            (_, Some(StatusReason::ReasonTaskHealthCheckStatusUpdated)) => {
                self.health.extend(status.healthy.map(|healthy| (made, healthy)));
            }
            (_, Some(StatusReason::ReasonTaskCheckStatusUpdated)) => {
                self.checks.extend(status.check_status.clone().map(|result| (made, result)));
            }
            (TaskState::TaskRunning, _) => self.running = self.running.or(Some(made)),
            // Without words it is no end: the agent has rewritten the state.
            (state, _) if state.is_terminal() && status.message.is_some() => {
                self.end = Some((made, status.clone()));
            }
            _ => {}
        }
    }
}

/// The next result within reach, when it was made; otherwise the last one again, at once. Nothing if the last one
/// would have been reported.
fn next<T: Clone + IsGood>(
    results: &mut [(Timestamp, T)],
    now: Timestamp,
    interval: Duration,
) -> (Timestamp, Option<T>) {
    let first = results.first().is_some_and(|(at, _)| *at != Timestamp::EPOCH);
    // A look takes a while on a busy machine. Nothing goes unreported before the first result.
    let reach =
        if first { now + interval + LONGEST_LOOK } else { now + interval.mul_f64(1.25).max(SHORT_LOOK) };
    let past = results.iter().take_while(|(at, _)| *at + SOON < now).count();
    let last = past.checked_sub(1).map(|last| results[last].1.clone());
    match results.get(past) {
        Some((at, result)) if *at <= reach => {
            let found = ((*at).max(now), Some(result.clone()));
            // It is past from now on.
            results[past].0 = Timestamp::EPOCH;
            results.sort_by_key(|(at, _)| *at);
            found
        }
        _ => (now + SOON, last.filter(IsGood::is_silent)),
    }
}

const LONGEST_LOOK: Duration = Duration::from_secs(2);
const SHORT_LOOK: Duration = Duration::from_millis(300);

/// Whether a result that has not changed goes unreported.
trait IsGood {
    fn is_silent(&self) -> bool;
}

impl IsGood for bool {
    fn is_silent(&self) -> bool {
        *self
    }
}

impl IsGood for CheckStatus {
    fn is_silent(&self) -> bool {
        true
    }
}

fn check_result(status: &CheckStatus) -> ProbeResult {
    let nothing = || ProbeResult::Failed("no result".to_owned());
    match status {
        CheckStatus::Command(code) => code.map_or_else(nothing, ProbeResult::Command),
        CheckStatus::Http(code) => code.map_or_else(nothing, ProbeResult::Http),
        CheckStatus::Tcp(open) => open.map_or_else(nothing, ProbeResult::Tcp),
    }
}

fn health_result(what: &Probe, healthy: bool) -> ProbeResult {
    match what {
        Probe::Command(_) => ProbeResult::Command(i32::from(!healthy)),
        Probe::Http { .. } => ProbeResult::Http(if healthy { 200 } else { 500 }),
        Probe::Tcp { .. } => ProbeResult::Tcp(healthy),
    }
}

/// An executor starts that never says anything.
fn hanging(now: Timestamp, agent: AgentIndex, started: ContainerEvent) -> [Planned; 3] {
    [
        (now, Input::Fault(Fault::ExecutorsHang { agent, hang: true })),
        (now + SOON, Input::Container(started)),
        (now + 2 * SOON, Input::Fault(Fault::ExecutorsHang { agent, hang: false })),
    ]
}

fn exited(container: &ContainerId, exit: Option<Exit>) -> Input {
    Input::Container(ContainerEvent::Exited { container: container.clone(), exit })
}

/// Whether the container ended because the executor wanted it to.
fn was_killed(status: &TaskStatus) -> bool {
    status.state == TaskState::TaskKilled
        || status.state == TaskState::TaskGoneByOperator
        || status.reason == Some(StatusReason::ReasonMaxCompletionTimeReached)
}

/// How the container ended, from the executor's words.
fn exit(status: &TaskStatus) -> Option<Exit> {
    let message = status.message.as_deref()?;
    if let Some(code) = message.strip_prefix("Command exited with status ") {
        return Some(Exit::Code(code.parse().ok()?));
    }
    let signal = message.strip_prefix("Command terminated with signal ")?;
    let core = signal.contains("(core dumped)");
    let number = match signal.trim_end_matches(" (core dumped)") {
        "Hangup" => 1,
        "Interrupt" => 2,
        "Quit" => 3,
        "Aborted" => 6,
        "Killed" => 9,
        "Segmentation fault" => 11,
        "Terminated" => 15,
        _ => return None,
    };
    Some(Exit::Signal { number, core })
}

/// How long a plain `sleep N` or `sleep N; exit M` lasts.
fn lasts(task: &TaskInfo) -> Option<Duration> {
    let command = task.command.as_ref()?.value.as_deref()?;
    let sleep = command.split("; exit ").next()?.strip_prefix("sleep ")?;
    Some(Duration::from_secs_f64(sleep.parse().ok()?))
}
