//! The containers that really exist: what the cluster's agents start and stop, and what containers do by
//! themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use podium_core::model::ids::{ExecutorId, InstanceId, PodId, TaskId};
use podium_core::model::mesos::Probe;
use podium_core::model::time::Timestamp;
use rustc_hash::FxHashMap;

use crate::cluster::{
    AgentIndex, ContainerCommand, ContainerEvent, ContainerId, Exit, ProbeId, ProbeResult, Signal,
};
use crate::plan::{Behaviour, ContainerRule, Target};
use crate::random::{Key, Named};

/// How long it takes until a killed process is gone.
const KILL: Duration = Duration::from_millis(5);
/// How long it takes to end an executor's container with everything in it.
const DESTROY: Duration = Duration::from_millis(20);
/// How long a look at a container's health takes.
const PROBE: Duration = Duration::from_millis(10);
/// How long an executor's container takes to start: from, to.
const EXECUTOR_START: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(300));

/// A container that exists or existed.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    /// Counts all containers of a run, in the order of their launches.
    pub ordinal: u64,
    /// Its id.
    pub id: ContainerId,
    /// The machine.
    pub agent: AgentIndex,
    /// What runs in it.
    pub role: ContainerRole,
}

/// What runs in a container.
#[derive(Clone, Debug, PartialEq)]
pub enum ContainerRole {
    /// An executor.
    Executor {
        /// Its id.
        executor_id: ExecutorId,
    },
    /// A task.
    Task(TaskRole),
}

/// A task's place.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskRole {
    /// The task.
    pub task_id: TaskId,
    /// The instance that it belongs to.
    pub instance: InstanceId,
    /// The container's name in the pod's definition.
    pub name: Arc<str>,
    /// Which launch of the instance.
    pub incarnation: u32,
    /// The ordinal of the executor's container.
    pub parent: u64,
}

impl Container {
    /// The task that runs in it, if it is a task's.
    pub fn task(&self) -> Option<&TaskRole> {
        match &self.role {
            ContainerRole::Executor { .. } => None,
            ContainerRole::Task(task) => Some(task),
        }
    }
}

/// What is about to happen to a container.
#[derive(Clone, Debug)]
pub(super) enum Timer {
    Destroyed { ordinal: u64 },
    Exit { ordinal: u64, exit: Exit, by_itself: bool },
    LaunchFailed { ordinal: u64 },
    Probe { probe: ProbeId, container: ContainerId, what: ProbeKind },
    Started { ordinal: u64 },
}

#[derive(Clone, Copy, Debug)]
pub(super) enum ProbeKind {
    Command,
    Http,
    Tcp,
}

/// What has happened to containers.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Launched(Arc<Container>),
    Started(Arc<Container>),
    Ended(Arc<Container>, Option<Exit>),
}

/// All containers of all machines.
#[derive(Clone, Debug)]
pub struct Containers {
    chance: Named,
    rules: Arc<[ContainerRule]>,
    live: BTreeMap<u64, Live>,
    by_id: FxHashMap<ContainerId, u64>,
    /// Launches so far, by pod and container.
    launches: FxHashMap<(PodId, Arc<str>), u32>,
    next: u64,
    /// Probes that are awaited.
    probes: BTreeSet<ProbeId>,
    /// Machines on which nothing can be started.
    pub(super) failing: BTreeSet<AgentIndex>,
    /// Everything is mended: containers stay as they are.
    mended: bool,
}

#[derive(Clone, Debug)]
struct Live {
    container: Arc<Container>,
    behaviour: Behaviour,
    /// Whether its behaviour goes on when everything is mended.
    lasting: bool,
    /// What it does is drawn by this and what it is.
    key: Key,
    started_at: Option<Timestamp>,
    unhealthy_until: Option<Timestamp>,
    ending: bool,
}

impl Containers {
    pub(super) fn new(seed: u64, rules: &[ContainerRule]) -> Self {
        Self {
            chance: Named::new(seed),
            rules: rules.into(),
            live: BTreeMap::new(),
            by_id: FxHashMap::default(),
            launches: FxHashMap::default(),
            next: 0,
            probes: BTreeSet::new(),
            failing: BTreeSet::new(),
            mended: false,
        }
    }

    /// The containers of tasks that exist, in the order of their launches.
    pub fn tasks(&self) -> impl Iterator<Item = (&Arc<Container>, &TaskRole)> {
        self.live.values().filter_map(|live| Some((&live.container, live.container.task()?)))
    }

    /// Whether the container with this ordinal exists and has started.
    pub fn has_started(&self, ordinal: u64) -> bool {
        self.live.get(&ordinal).is_some_and(|live| live.started_at.is_some())
    }

    /// How the next container of a pod with this name will behave.
    pub fn next_behaviour(&self, pod: &PodId, name: &str) -> Behaviour {
        let nth = self.launches.get(&(pod.clone(), Arc::from(name))).copied().unwrap_or_default() + 1;
        self.rule(pod, name, nth).map(|rule| rule.behaviour.clone()).unwrap_or_default()
    }

    fn rule(&self, pod: &PodId, name: &str, nth: u32) -> Option<&ContainerRule> {
        self.rules.iter().find(|rule| applies(rule, pod, name, nth))
    }

    /// A container that exists.
    pub fn get(&self, ordinal: u64) -> Option<&Arc<Container>> {
        self.live.get(&ordinal).map(|live| &live.container)
    }

    /// Everything is mended.
    pub(super) fn mend(&mut self) {
        self.mended = true;
        self.failing.clear();
        for live in self.live.values_mut() {
            live.unhealthy_until = None;
        }
    }

    /// The container that a fault hits.
    pub(super) fn find(&self, target: &Target) -> Option<&Arc<Container>> {
        let fits = |container: &Container, task: &TaskRole| {
            target.pod.as_ref().is_none_or(|pod| task.instance.pod.as_str() == pod)
                && target.container.as_ref().is_none_or(|name| *task.name == **name)
                && target.agent.is_none_or(|agent| container.agent.0 == agent)
        };
        let count = self.tasks().filter(|(container, task)| fits(container, task)).count();
        let nth = (target.nth as usize).checked_rem(count)?;
        self.tasks()
            .filter(|(container, task)| fits(container, task))
            .map(|(container, _)| container)
            .nth(nth)
    }

    /// Does what an agent wants.
    pub(super) fn command(
        &mut self,
        command: ContainerCommand,
        timers: &mut Vec<(Duration, Timer)>,
        changes: &mut Vec<Change>,
    ) {
        match command {
            ContainerCommand::LaunchExecutor(launch) => {
                let key = Key::of("executor").executor(&launch.executor.executor_id);
                let mut draw = self.chance.next(key);
                let role = ContainerRole::Executor { executor_id: launch.executor.executor_id.clone() };
                let ordinal = self.add(launch.container, launch.agent, role, None, key);
                let delay = draw.duration(EXECUTOR_START.0, EXECUTOR_START.1);
                let fails = self.failing.contains(&launch.agent);
                let timer = if fails { Timer::LaunchFailed { ordinal } } else { Timer::Started { ordinal } };
                timers.push((delay, timer));
            }
            ContainerCommand::LaunchTask(launch) => {
                let (Some(parent), Ok(id)) = (self.by_id.get(&launch.parent), launch.task.task_id.parse())
                else {
                    // No container of ours: it cannot be started.
                    return;
                };
                let task = TaskRole {
                    task_id: launch.task.task_id.clone(),
                    name: id.container.into(),
                    incarnation: id.incarnation,
                    instance: id.instance(),
                    parent: *parent,
                };
                self.launch_task(launch.container, launch.agent, task, timers, changes);
            }
            ContainerCommand::Signal { container, signal } => self.signal(&container, signal, timers),
            ContainerCommand::Destroy { container } => {
                if let Some(ordinal) = self.by_id.get(&container) {
                    timers.push((DESTROY, Timer::Destroyed { ordinal: *ordinal }));
                }
            }
            ContainerCommand::DestroyAll { agent } => self.destroy_all(agent, changes),
            // Nothing is written to volumes here.
            ContainerCommand::RemoveVolume { .. } => {}
            ContainerCommand::Probe { probe, container, what } => {
                let what = match *what {
                    Probe::Command(_) => ProbeKind::Command,
                    Probe::Http { .. } => ProbeKind::Http,
                    Probe::Tcp { .. } => ProbeKind::Tcp,
                };
                self.probes.insert(probe);
                timers.push((PROBE, Timer::Probe { probe, container, what }));
            }
            ContainerCommand::CancelProbe { probe } => {
                self.probes.remove(&probe);
            }
        }
    }

    /// Something is due. Returns what the agent hears of it.
    pub(super) fn fire(
        &mut self,
        now: Timestamp,
        timer: Timer,
        timers: &mut Vec<(Duration, Timer)>,
        changes: &mut Vec<Change>,
    ) -> Option<ContainerEvent> {
        match timer {
            Timer::Started { ordinal } => {
                let mended = self.mended;
                let live = self.live.get_mut(&ordinal)?;
                live.started_at = Some(now);
                let mut draw = self.chance.only(live.key.text("run"));
                if (live.lasting || !mended) && live.behaviour.exits.happens(&mut draw) {
                    let delay = live.behaviour.runs.draw(&mut draw);
                    let exit = live.behaviour.status.into();
                    timers.push((delay, Timer::Exit { ordinal, exit, by_itself: true }));
                }
                if live.container.task().is_some() {
                    changes.push(Change::Started(live.container.clone()));
                }
                let container = live.container.id.clone();
                Some(ContainerEvent::Started { container, networks: Vec::new(), pid: None })
            }
            Timer::LaunchFailed { ordinal } => {
                let live = self.remove(ordinal)?;
                changes.push(Change::Ended(live.container.clone(), None));
                let message = "no such image".to_owned();
                Some(ContainerEvent::LaunchFailed { container: live.container.id.clone(), message })
            }
            Timer::Exit { ordinal, by_itself, exit } => {
                let live = self.live.get(&ordinal)?;
                if by_itself && self.mended && !live.lasting {
                    return None;
                }
                self.exit(ordinal, exit, changes)
            }
            Timer::Destroyed { ordinal } => {
                let executor = self.live.get(&ordinal)?.container.clone();
                let members: Vec<u64> = self
                    .tasks()
                    .filter(|(_, task)| task.parent == ordinal)
                    .map(|(container, _)| container.ordinal)
                    .collect();
                for member in members {
                    if let Some(live) = self.remove(member) {
                        changes.push(Change::Ended(live.container, None));
                    }
                }
                self.remove(ordinal);
                let exit = Some(Exit::Signal { number: 9, core: false });
                Some(ContainerEvent::Exited { container: executor.id.clone(), exit })
            }
            Timer::Probe { probe, container, what } => {
                if !self.probes.remove(&probe) {
                    return None;
                }
                let healthy = self.is_healthy(now, &container);
                let result = match what {
                    ProbeKind::Command => ProbeResult::Command(i32::from(!healthy)),
                    ProbeKind::Http => ProbeResult::Http(if healthy { 200 } else { 503 }),
                    ProbeKind::Tcp => ProbeResult::Tcp(healthy),
                };
                Some(ContainerEvent::ProbeResult { probe, result })
            }
        }
    }

    /// A container ends by itself. Returns what the agent hears of it.
    pub(super) fn exit(
        &mut self,
        ordinal: u64,
        exit: Exit,
        changes: &mut Vec<Change>,
    ) -> Option<ContainerEvent> {
        // What has not started cannot end by itself.
        self.live.get(&ordinal)?.started_at?;
        let live = self.remove(ordinal)?;
        changes.push(Change::Ended(live.container.clone(), Some(exit)));
        Some(ContainerEvent::Exited { container: live.container.id.clone(), exit: Some(exit) })
    }

    /// The health of a container is bad for a while.
    pub(super) fn make_unhealthy(&mut self, ordinal: u64, until: Timestamp) {
        if let Some(live) = self.live.get_mut(&ordinal) {
            live.unhealthy_until = live.unhealthy_until.max(Some(until));
        }
    }

    fn launch_task(
        &mut self,
        id: ContainerId,
        agent: AgentIndex,
        task: TaskRole,
        timers: &mut Vec<(Duration, Timer)>,
        changes: &mut Vec<Change>,
    ) {
        let launches = self.launches.entry((task.instance.pod.clone(), task.name.clone())).or_default();
        *launches += 1;
        let nth = *launches;
        let rule = self.rule(&task.instance.pod, &task.name, nth).cloned();
        let key = Key::of("task").text(task.instance.pod.as_str()).text(&task.name).number(nth);
        let ordinal = self.add(id, agent, ContainerRole::Task(task), rule, key);
        let fails_here = self.failing.contains(&agent);
        let Some(live) = self.live.get_mut(&ordinal) else { return };
        changes.push(Change::Launched(live.container.clone()));
        let mut draw = self.chance.only(key.text("start"));
        let delay = live.behaviour.start.draw(&mut draw);
        let drawn = live.behaviour.launch_fails.happens(&mut draw);
        let fails = fails_here || (drawn && (live.lasting || !self.mended));
        timers
            .push((delay, if fails { Timer::LaunchFailed { ordinal } } else { Timer::Started { ordinal } }));
    }

    fn signal(&mut self, id: &ContainerId, signal: Signal, timers: &mut Vec<(Duration, Timer)>) {
        let Some(live) = self.by_id.get(id).and_then(|ordinal| self.live.get_mut(ordinal)) else { return };
        let ordinal = live.container.ordinal;
        let mut draw = self.chance.only(live.key.text("stop"));
        let (delay, number) = match signal {
            Signal::Term if live.ending || live.behaviour.deaf.happens(&mut draw) => return,
            Signal::Term => (live.behaviour.stop.draw(&mut draw), 15),
            Signal::Kill => (KILL, 9),
        };
        live.ending = true;
        let exit = Exit::Signal { number, core: false };
        timers.push((delay, Timer::Exit { ordinal, exit, by_itself: false }));
    }

    fn destroy_all(&mut self, agent: AgentIndex, changes: &mut Vec<Change>) {
        let all = self.live.values().filter(|live| live.container.agent == agent);
        let ordinals: Vec<u64> = all.map(|live| live.container.ordinal).collect();
        for ordinal in ordinals {
            if let Some(live) = self.remove(ordinal)
                && live.container.task().is_some()
            {
                changes.push(Change::Ended(live.container, None));
            }
        }
    }

    fn is_healthy(&mut self, now: Timestamp, id: &ContainerId) -> bool {
        let mended = self.mended;
        let Some(live) = self.by_id.get(id).and_then(|ordinal| self.live.get_mut(ordinal)) else {
            return false;
        };
        let Some(started_at) = live.started_at else { return false };
        let warming_up = now.since(started_at) < live.behaviour.warm_up.to_duration();
        let unhealthy = live.unhealthy_until.is_some_and(|until| now < until);
        let drawn =
            live.behaviour.unhealthy.happens(&mut self.chance.only(live.key.text("probe").moment(now)));
        !warming_up && !unhealthy && !(drawn && (live.lasting || !mended))
    }

    fn add(
        &mut self,
        id: ContainerId,
        agent: AgentIndex,
        role: ContainerRole,
        rule: Option<ContainerRule>,
        key: Key,
    ) -> u64 {
        let ordinal = self.next;
        self.next += 1;
        let (behaviour, lasting) = rule.map_or_else(Default::default, |rule| (rule.behaviour, rule.lasting));
        let container = Arc::new(Container { ordinal, id: id.clone(), agent, role });
        self.by_id.insert(id, ordinal);
        let (started_at, unhealthy_until, ending) = (None, None, false);
        self.live.insert(
            ordinal,
            Live { container, behaviour, lasting, key, started_at, unhealthy_until, ending },
        );
        ordinal
    }

    fn remove(&mut self, ordinal: u64) -> Option<Live> {
        let live = self.live.remove(&ordinal)?;
        self.by_id.remove(&live.container.id);
        Some(live)
    }
}

fn applies(rule: &ContainerRule, pod: &PodId, container: &str, nth: u32) -> bool {
    rule.pod.as_ref().is_none_or(|of| pod.as_str() == of)
        && rule.container.as_ref().is_none_or(|name| container == name)
        && rule.launches.is_none_or(|[first, last]| (first..=last).contains(&nth))
}
