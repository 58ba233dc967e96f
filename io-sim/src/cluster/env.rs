//! What all processes of the cluster share: the time, chance, the queue of what is to happen, the links between
//! them, and the buffer of outputs.
//!
//! ```text
//!              links[i]                      machine i
//!   master ◄──────────────► agent ◄──────────────► executors
//!            up, held, lost         (same machine, never broken)
//! ```
//!
//! A link has a *session*: the number of its present connection. Breaking the connection begins a new session,
//! and what was sent in an earlier one never arrives.

use std::sync::Arc;
use std::time::Duration;

use podium_core::model::ids::TaskId;
use podium_core::model::mesos::StatusUuid;
use podium_core::model::time::Timestamp;
use rustc_hash::FxHashMap;

use super::config::{ClusterConfig, Latency};
use super::io::{AgentIndex, ContainerCommand, ContainerId, Output, ProbeId};
use super::queue::{Alarm, Queue};
use super::wire::{
    AgentTimer, ExecutorNumber, ExecutorTimer, FromExecutor, MasterTimer, OperationNumber, Run, ToAgent,
    ToExecutor, ToMaster, Work,
};
use crate::random::{Key, Named};

/// Shared by all processes of the cluster.
#[derive(Clone, Debug)]
pub(super) struct Env {
    pub(super) config: Arc<ClusterConfig>,
    pub(super) now: Timestamp,
    pub(super) chance: Named,
    pub(super) queue: Queue<Work>,
    pub(super) outputs: Vec<Output>,
    pub(super) links: Vec<Link>,
    /// Counts the masters.
    pub(super) master_run: Run,
    /// Whether a master leads.
    pub(super) has_leader: bool,
    /// Who is behind a container, while there is one.
    pub(super) containers: FxHashMap<ContainerId, ContainerRef>,
    /// Who waits for a probe.
    pub(super) probes: FxHashMap<ProbeId, ContainerRef>,
    next_probe: u64,
    next_operation: OperationNumber,
    /// What to do to the next message about a task.
    tampering: Vec<(TaskId, Tampering)>,
}

/// An executor's container, or one of its members'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ContainerRef {
    pub(super) agent: AgentIndex,
    pub(super) executor: ExecutorNumber,
    pub(super) member: Option<usize>,
}

/// The way between the master and one agent.
#[derive(Clone, Debug, Default)]
pub(super) struct Link {
    pub(super) mode: LinkMode,
    pub(super) session: Run,
    /// The connection that the master uses: the one that the agent registered over. What it sends over one that
    /// has ended without its knowing is lost.
    pub(super) master_session: Run,
    /// What waits for the end of a partition.
    held: Vec<Work>,
    /// Whether something was lost in this session.
    lost: bool,
    pub(super) extra: Duration,
    /// When the last message so far arrives, so that none overtakes it.
    last_up: Timestamp,
    last_down: Timestamp,
}

impl Link {
    fn hold(&mut self, work: Work) {
        // An agent that tries to register again and again has one message under way.
        let registers = |work: &Work| {
            matches!(
                work,
                Work::ToMaster { message: ToMaster::Register { .. } | ToMaster::Reregister(_), .. }
            )
        };
        if registers(&work) {
            self.held.retain(|held| !registers(held));
        }
        self.held.push(work);
    }
}

/// Whether messages pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum LinkMode {
    #[default]
    Up,
    /// They wait.
    Held,
    /// They are lost.
    Lost,
}

/// A fault that hits the next message about a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tampering {
    DropUpdate,
    DuplicateUpdate,
    DropAcknowledgement,
}

impl Env {
    pub(super) fn new(config: ClusterConfig, seed: u64) -> Self {
        Self {
            links: vec![Link::default(); config.agents.len()],
            config: Arc::new(config),
            now: Timestamp::EPOCH,
            chance: Named::new(seed),
            queue: Queue::default(),
            outputs: Vec::new(),
            master_run: 0,
            has_leader: false,
            containers: FxHashMap::default(),
            probes: FxHashMap::default(),
            next_probe: 0,
            next_operation: 0,
            tampering: Vec::new(),
        }
    }

    pub(super) fn link(&mut self, agent: AgentIndex) -> &mut Link {
        &mut self.links[agent.0 as usize]
    }

    pub(super) fn session(&self, agent: AgentIndex) -> Run {
        self.links[agent.0 as usize].session
    }

    pub(super) fn new_operation(&mut self) -> OperationNumber {
        self.next_operation += 1;
        self.next_operation
    }

    // -- planning ------------------------------------------------------------------------------------------

    pub(super) fn plan_master(&mut self, after: Duration, timer: MasterTimer) -> Alarm {
        self.plan_master_at(self.now + after, timer)
    }

    pub(super) fn plan_master_at(&mut self, at: Timestamp, timer: MasterTimer) -> Alarm {
        self.queue.plan(at, Work::Master { run: self.master_run, timer })
    }

    pub(super) fn plan_agent(
        &mut self,
        (agent, run): (AgentIndex, Run),
        after: Duration,
        timer: AgentTimer,
    ) -> Alarm {
        self.queue.plan(self.now + after, Work::Agent { agent, run, timer })
    }

    pub(super) fn plan_executor(
        &mut self,
        (agent, executor): (AgentIndex, ExecutorNumber),
        after: Duration,
        timer: ExecutorTimer,
    ) -> Alarm {
        self.queue.plan(self.now + after, Work::Executor { agent, executor, timer })
    }

    // -- sending -------------------------------------------------------------------------------------------

    pub(super) fn output(&mut self, command: ContainerCommand) {
        self.outputs.push(Output::Container(command));
    }

    /// Sends a message to the master number `to`; if another one leads by now, nobody gets it.
    pub(super) fn send_to_master(&mut self, from: AgentIndex, to: Option<Run>, message: ToMaster) {
        if !self.has_leader || to != Some(self.master_run) {
            return;
        }
        let copies = match &message {
            ToMaster::StatusUpdate { status, .. } if !self.tampering.is_empty() => {
                if self.tampers(&status.task_id, Tampering::DropUpdate) {
                    return;
                }
                1 + usize::from(self.tampers(&status.task_id, Tampering::DuplicateUpdate))
            }
            _ => 1,
        };
        for _ in 1..copies {
            self.plan_to_master(from, message.clone());
        }
        self.plan_to_master(from, message);
    }

    fn plan_to_master(&mut self, from: AgentIndex, message: ToMaster) {
        let latency = self.latency(self.config.links.master_agent, || message.key().number(from.0));
        let now = self.now;
        let link = self.link(from);
        link.last_up = link.last_up.max(now + latency + link.extra);
        let (at, session) = (link.last_up, link.session);
        self.queue.plan(at, Work::ToMaster { from, session, message });
    }

    pub(super) fn send_to_agent(&mut self, to: AgentIndex, message: ToAgent) {
        if let ToAgent::Acknowledge { task_id, .. } = &message
            && !self.tampering.is_empty()
            && self.tampers(task_id, Tampering::DropAcknowledgement)
        {
            return;
        }
        let latency = self.latency(self.config.links.master_agent, || message.key().number(to.0));
        let now = self.now;
        let link = self.link(to);
        link.last_down = link.last_down.max(now + latency + link.extra);
        let (at, session, master) = (link.last_down, link.master_session, self.master_run);
        self.queue.plan(at, Work::ToAgent { to, session, master, message });
    }

    /// Messages between an agent and its executors do not overtake each other either: each executor draws one
    /// latency for its life.
    pub(super) fn send_to_executor(
        &mut self,
        (agent, run): (AgentIndex, Run),
        (executor, latency): (ExecutorNumber, Duration),
        message: ToExecutor,
    ) {
        self.queue.plan(self.now + latency, Work::ToExecutor { agent, run, executor, message });
    }

    pub(super) fn send_from_executor(
        &mut self,
        (agent, run): (AgentIndex, Run),
        (executor, latency): (ExecutorNumber, Duration),
        message: FromExecutor,
    ) {
        self.queue.plan(self.now + latency, Work::FromExecutor { agent, run, executor, message });
    }

    /// How long the next thing of a name takes.
    pub(super) fn latency(&mut self, latency: Latency, key: impl FnOnce() -> Key) -> Duration {
        // The common case of a fixed latency costs no draw.
        if latency.min == latency.max {
            return latency.min;
        }
        self.chance.next(key()).duration(latency.min, latency.max)
    }

    /// Names an update about a task that is made on a machine.
    pub(super) fn new_status_uuid(&mut self, agent: AgentIndex, task: &TaskId) -> StatusUuid {
        self.chance.next(Key::of("status").number(agent.0).task(task)).uuid()
    }

    /// Puts machines into a random order. How two of them come to stand does not depend on the others.
    pub(super) fn shuffle(&self, agents: &mut [AgentIndex]) {
        let place =
            |agent: &AgentIndex| self.chance.only(Key::of("shuffle").moment(self.now).number(agent.0)).bits();
        agents.sort_by_cached_key(place);
    }

    // -- faults --------------------------------------------------------------------------------------------

    /// Whether a message of session `session` arrives now. One that does not is kept or lost here.
    pub(super) fn arrives(&mut self, agent: AgentIndex, session: Run, work: impl FnOnce() -> Work) -> bool {
        let link = self.link(agent);
        if link.session != session {
            return false;
        }
        match link.mode {
            LinkMode::Up => true,
            LinkMode::Held => {
                link.hold(work());
                false
            }
            LinkMode::Lost => {
                link.lost = true;
                false
            }
        }
    }

    /// Breaks the connection: a new session begins. The master hears of it as soon as the link lets it.
    pub(super) fn break_link(&mut self, agent: AgentIndex) {
        self.plan_to_master(agent, ToMaster::Exited);
        self.reconnect(agent);
    }

    /// An agent that looks for its master (again) makes a new connection.
    pub(super) fn reconnect(&mut self, agent: AgentIndex) {
        let link = self.link(agent);
        link.session += 1;
        link.lost = false;
        // What was under way in the old session never arrives, so a new connection need not wait for it. But
        // the master must not hear from the new connection before it heard of the end of the old one.
        link.held.retain(|work| matches!(work, Work::ToMaster { message: ToMaster::Exited, .. }));
    }

    /// A partition begins.
    pub(super) fn partition(&mut self, agent: AgentIndex, loss: bool) {
        self.link(agent).mode = if loss { LinkMode::Lost } else { LinkMode::Held };
    }

    /// A partition ends: what waited arrives. If something was lost, the connection has to be made anew.
    pub(super) fn heal(&mut self, agent: AgentIndex) {
        let now = self.now;
        let link = self.link(agent);
        link.mode = LinkMode::Up;
        link.last_up = link.last_up.max(now);
        link.last_down = link.last_down.max(now);
        let (held, lost) = (std::mem::take(&mut link.held), std::mem::take(&mut link.lost));
        for work in held {
            self.queue.plan(now, work);
        }
        if lost {
            self.break_link(agent);
        }
    }

    pub(super) fn tamper(&mut self, task_id: TaskId, tampering: Tampering) {
        self.tampering.push((task_id, tampering));
    }

    fn tampers(&mut self, task_id: &TaskId, tampering: Tampering) -> bool {
        let found = self.tampering.iter().position(|(task, kind)| task == task_id && *kind == tampering);
        found.map(|index| self.tampering.swap_remove(index)).is_some()
    }

    // -- containers ----------------------------------------------------------------------------------------

    pub(super) fn new_probe(&mut self, container: ContainerRef) -> ProbeId {
        self.next_probe += 1;
        let probe = ProbeId(self.next_probe);
        self.probes.insert(probe, container);
        probe
    }
}
