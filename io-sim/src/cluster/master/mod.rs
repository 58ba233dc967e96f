//! The master: frameworks, agents, tasks and offers, as one actor that handles one thing at a time.
//!
//! | file | what |
//! |---|---|
//! | `calls` | who may call, and which call goes where |
//! | `subscribe` | subscription, failover, removal of frameworks |
//! | `allocator`, `offers` | who is offered what, and what becomes of an offer |
//! | `accept`, `validation`, `operations` | launches, reservations, volumes |
//! | `tasks`, `reconcile` | status updates, kills, questions about tasks and operations |
//! | `agents`, `reregister` | agents that come, fall silent, and come back |
//! | `operator`, `maintenance` | the operator's calls |
//!
//! Only the registry survives a master: which agents exist, are unreachable, gone, or drained.

mod accept;
mod agents;
mod allocator;
mod calls;
mod maintenance;
mod offers;
mod operations;
mod operator;
mod reconcile;
mod reregister;
mod subscribe;
mod tasks;
mod validation;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use podium_core::model::ids::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
use podium_core::model::mesos::{
    Event, ExecutorInfo, FrameworkCapability, FrameworkInfo, MasterInfo, StatusSource, StatusUuid, TaskInfo,
    TaskState, TaskStatus, Unavailability,
};
use podium_core::model::time::Timestamp;
use rustc_hash::FxHashMap;

use self::allocator::Allocator;
use self::maintenance::InverseOffers;
pub(super) use self::offers::OfferRecord;
use super::env::Env;
use super::io::{AgentIndex, Output, StreamId};
use super::queue::Alarm;
use super::view::AgentStanding;
use super::wire::{DrainConfig, MasterTimer, OperationNumber, OperationRecord, Run, ToMaster};
use crate::random::Key;

/// The leading master, or the place where there is none.
#[derive(Clone, Debug)]
pub(super) struct Master {
    phase: Phase,
    pub(super) info: MasterInfo,
    registry: Registry,
    pub(super) frameworks: BTreeMap<FrameworkId, Framework>,
    streams: FxHashMap<StreamId, FrameworkId>,
    /// Removed frameworks, oldest first.
    completed: VecDeque<FrameworkId>,
    /// The agents that registered, by machine.
    pub(super) agents: Vec<Option<Agent>>,
    ids: FxHashMap<AgentId, AgentIndex>,
    /// Agents of the registry that have not come back since this master took over.
    pub(super) recovered: BTreeMap<AgentId, AgentIndex>,
    offers: FxHashMap<OfferId, OfferRecord>,
    inverse_offers: InverseOffers,
    pub(super) allocator: Allocator,
    /// Which machines answer pings, as the link and the agent's process have it.
    responsive: Vec<bool>,
    next_offer: u64,
    next_framework: u64,
    next_agent: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Down,
    /// Elected, but the registry is not read yet.
    Recovering,
    Up,
}

/// What survives a master.
#[derive(Clone, Debug, Default)]
struct Registry {
    admitted: BTreeMap<AgentId, AgentIndex>,
    unreachable: BTreeMap<AgentId, Timestamp>,
    gone: BTreeMap<AgentId, Timestamp>,
    deactivated: BTreeSet<AgentId>,
    draining: BTreeMap<AgentId, DrainConfig>,
    /// Maintenance windows by machine.
    windows: BTreeMap<AgentIndex, Unavailability>,
    /// Machines that are down for maintenance.
    down: BTreeSet<AgentIndex>,
    /// Whether the next collection is planned with the present master.
    collecting: bool,
}

/// A framework.
#[derive(Clone, Debug)]
pub(super) struct Framework {
    pub(super) info: Arc<FrameworkInfo>,
    pub(super) stream: Option<StreamId>,
    /// Known only from its agents since the last failover.
    pub(super) recovered: bool,
    pub(super) registered_at: Timestamp,
    pub(super) tasks: BTreeMap<TaskId, Task>,
    /// Tasks on unreachable agents.
    pub(super) unreachable: BTreeMap<TaskId, Task>,
    /// In which order they became so, for the limit of their number.
    unreachable_order: VecDeque<TaskId>,
    heartbeat: Option<Alarm>,
    failover: Option<Alarm>,
}

/// A task that is not forgotten.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) info: Arc<TaskInfo>,
    pub(super) executor_id: ExecutorId,
    /// The newest state that the agent told of.
    pub(super) state: TaskState,
    /// The last update that was really sent to the scheduler.
    pub(super) forwarded: Option<Arc<TaskStatus>>,
    /// Whether its resources were given back.
    recovered: bool,
}

/// An agent that registered.
#[derive(Clone, Debug)]
pub(super) struct Agent {
    pub(super) id: AgentId,
    pub(super) index: AgentIndex,
    /// The connection that it registered over.
    session: Run,
    pub(super) connected: bool,
    pub(super) registered_at: Timestamp,
    tasks: BTreeSet<(FrameworkId, TaskId)>,
    executors: BTreeMap<FrameworkId, BTreeMap<ExecutorId, Arc<ExecutorInfo>>>,
    pub(super) offers: Vec<OfferId>,
    /// Kills that were asked for, for an agent that comes back.
    kills: BTreeSet<(FrameworkId, TaskId)>,
    /// Operations with an id whose end is not acknowledged.
    operations: BTreeMap<OperationNumber, OperationRecord>,
    /// When its pings began; they come at a fixed interval from then on.
    pings_since: Timestamp,
    /// Too many missed pings, or the next ping to a disconnected agent.
    ping_alarm: Option<Alarm>,
}

impl Master {
    pub(super) fn new(machines: usize) -> Self {
        Self {
            phase: Phase::Down,
            info: MasterInfo::default(),
            registry: Registry::default(),
            frameworks: BTreeMap::new(),
            streams: FxHashMap::default(),
            completed: VecDeque::new(),
            agents: vec![None; machines],
            ids: FxHashMap::default(),
            recovered: BTreeMap::new(),
            offers: FxHashMap::default(),
            inverse_offers: InverseOffers::default(),
            allocator: Allocator::new(machines),
            responsive: vec![false; machines],
            next_offer: 0,
            next_framework: 0,
            next_agent: 0,
        }
    }

    /// An earlier master has admitted this agent.
    pub(super) fn remember_agent(&mut self, agent_id: AgentId, index: AgentIndex) {
        self.registry.admitted.insert(agent_id, index);
    }

    pub(super) fn is_down(&self) -> bool {
        self.phase == Phase::Down
    }

    // -- life ----------------------------------------------------------------------------------------------

    /// A master wins the election and begins to read the registry.
    pub(super) fn elected(&mut self, env: &mut Env) {
        env.master_run += 1;
        env.has_leader = true;
        let responsive = std::mem::take(&mut self.responsive);
        let registry = std::mem::take(&mut self.registry);
        let machines = responsive.len();
        *self = Self { phase: Phase::Recovering, registry, responsive, ..Self::new(machines) };
        let config = &env.config.master;
        self.info = MasterInfo {
            id: env.chance.next(Key::of("master")).uuid().to_string(),
            hostname: Some(config.hostname.clone()),
            port: u32::from(config.port),
            version: Some(config.version.clone()),
            domain: config.domain.clone(),
        };
        if env.master_run == 1 {
            // Nothing to read.
            self.recover(env);
        } else {
            env.plan_master(config.recovery, MasterTimer::Recovered);
        }
    }

    fn recover(&mut self, env: &mut Env) {
        self.phase = Phase::Up;
        self.recovered = self.registry.admitted.clone();
        self.allocator.start(env, &env.config.master.quota.clone());
        if !self.recovered.is_empty() {
            let timeout = env.config.master.agent_reregister_timeout;
            env.plan_master(timeout, MasterTimer::ReregisterTimeout);
        }
        self.registry.collecting = false;
        self.plan_registry_gc(env);
    }

    /// The master dies: all connections break.
    pub(super) fn stop(&mut self, env: &mut Env) {
        if self.phase == Phase::Down {
            return;
        }
        self.phase = Phase::Down;
        env.has_leader = false;
        for framework in self.frameworks.values_mut() {
            env.queue.cancel(framework.heartbeat.take());
            env.queue.cancel(framework.failover.take());
            if let Some(stream) = framework.stream.take() {
                env.outputs.push(Output::CloseStream { stream, clean: false });
            }
        }
        self.streams.clear();
    }

    pub(super) fn on_timer(&mut self, env: &mut Env, timer: MasterTimer) {
        match timer {
            MasterTimer::Recovered => self.recover(env),
            MasterTimer::ReregisterTimeout => self.give_up_recovered_agents(env),
            MasterTimer::RegistryGc => self.collect_registry(env),
            MasterTimer::Allocate => self.allocate(env),
            MasterTimer::Heartbeat(framework_id) => self.heartbeat(env, &framework_id),
            MasterTimer::FailoverTimeout(framework_id) => {
                if self.frameworks.get(&framework_id).is_some_and(|framework| framework.stream.is_none()) {
                    self.remove_framework(env, &framework_id);
                }
            }
            MasterTimer::OfferTimeout(offer_id) => self.rescind_offer(env, &offer_id),
            MasterTimer::PingTimeouts(agent) => self.ping_timeouts(env, agent),
            MasterTimer::PingDisconnected(agent) => self.ping_disconnected(env, agent),
        }
    }

    /// A message of an agent, over the connection `session`.
    pub(super) fn on_message(&mut self, env: &mut Env, from: AgentIndex, session: Run, message: ToMaster) {
        if self.phase != Phase::Up {
            return;
        }
        match &message {
            ToMaster::Register { .. } | ToMaster::Reregister(_) => env.link(from).master_session = session,
            // From now on it makes a new connection for what it has to say.
            ToMaster::Exited => env.link(from).master_session = env.session(from),
            _ => {}
        }
        match message {
            ToMaster::Exited => self.agent_exited(env, from, session),
            ToMaster::Register { total } => self.register_agent(env, from, session, total),
            ToMaster::Reregister(report) => self.reregister_agent(env, from, session, *report),
            ToMaster::Unregister { agent_id } => self.unregister_agent(env, from, &agent_id),
            ToMaster::StatusUpdate { framework_id, status, latest } => {
                self.status_update(env, from, &framework_id, &status, latest);
            }
            ToMaster::ExitedExecutor { agent_id, framework_id, executor_id, status } => {
                self.executor_exited(env, &agent_id, (&framework_id, &executor_id), status);
            }
            ToMaster::OperationStatus { operation, framework_id, status } => {
                self.update_operation(env, from, (operation, framework_id), *status);
            }
        }
    }

    // -- helpers -------------------------------------------------------------------------------------------

    /// Sends an event to a framework, if it is connected.
    fn send(&self, env: &mut Env, framework_id: &FrameworkId, event: Event) {
        if let Some(framework) = self.frameworks.get(framework_id)
            && let Some(stream) = &framework.stream
        {
            env.outputs.push(Output::Event { stream: stream.clone(), event });
        }
    }

    fn send_to_all(&self, env: &mut Env, event: &Event) {
        for framework in self.frameworks.values() {
            if let Some(stream) = &framework.stream {
                env.outputs.push(Output::Event { stream: stream.clone(), event: event.clone() });
            }
        }
    }

    fn agent(&self, index: AgentIndex) -> Option<&Agent> {
        self.agents.get(index.0 as usize)?.as_ref()
    }

    fn agent_mut(&mut self, index: AgentIndex) -> Option<&mut Agent> {
        self.agents.get_mut(index.0 as usize)?.as_mut()
    }

    pub(super) fn agent_by_id(&self, agent_id: &AgentId) -> Option<&Agent> {
        self.agent(*self.ids.get(agent_id)?)
    }

    /// What is thought of the agent, for views.
    pub(super) fn standing(&self, agent_id: &AgentId) -> AgentStanding {
        if let Some(agent) = self.agent_by_id(agent_id) {
            return agent.standing();
        }
        if self.recovered.contains_key(agent_id) {
            AgentStanding::Recovered
        } else if self.registry.unreachable.contains_key(agent_id) {
            AgentStanding::Unreachable
        } else if self.registry.gone.contains_key(agent_id) {
            AgentStanding::Gone
        } else {
            AgentStanding::Unknown
        }
    }

    pub(super) fn is_deactivated(&self, agent_id: &AgentId) -> bool {
        self.registry.deactivated.contains(agent_id)
    }

    pub(super) fn offer(&self, offer_id: &OfferId) -> Option<&OfferRecord> {
        self.offers.get(offer_id)
    }
}

impl Agent {
    /// What is thought of it, for views.
    pub(super) fn standing(&self) -> AgentStanding {
        if self.connected { AgentStanding::Registered } else { AgentStanding::Disconnected }
    }
}

#[cfg(test)]
impl Agent {
    /// The resources of its live tasks and its executors.
    pub(super) fn used<'a>(&'a self, master: &'a Master) -> Vec<&'a [podium_core::model::mesos::Resource]> {
        let executors = self.executors.values().flat_map(|executors| executors.values());
        let tasks = self.tasks.iter().filter_map(|(framework_id, task_id)| {
            let task = master.frameworks.get(framework_id)?.tasks.get(task_id)?;
            (!task.recovered).then_some(task.info.resources.as_slice())
        });
        executors.map(|executor| executor.resources.as_slice()).chain(tasks).collect()
    }
}

impl Framework {
    fn has(&self, capability: FrameworkCapability) -> bool {
        self.info.capabilities.contains(&capability)
    }

    /// `state` if the framework understands it, else `TASK_LOST`.
    fn or_lost(&self, state: TaskState) -> TaskState {
        super::agent::or_lost(&self.info, state)
    }
}

impl Task {
    /// What the scheduler was last told, or what it would have been.
    fn visible_state(&self) -> TaskState {
        self.forwarded.as_ref().map_or(self.state, |status| status.state)
    }

    fn forwarded_uuid(&self) -> Option<StatusUuid> {
        self.forwarded.as_ref().and_then(|status| status.uuid)
    }

    /// An update about this task made by the master.
    fn status(&self, env: &Env, state: TaskState) -> TaskStatus {
        TaskStatus {
            source: Some(StatusSource::SourceMaster),
            agent_id: Some(self.info.agent_id.clone()),
            executor_id: Some(self.executor_id.clone()),
            timestamp: Some(env.now),
            ..TaskStatus::new(self.info.task_id.clone(), state)
        }
    }

    /// The same with what the last update said about health, checks and the container.
    fn full_status(&self, env: &Env, state: TaskState) -> TaskStatus {
        let mut status = self.status(env, state);
        if let Some(last) = &self.forwarded {
            status.healthy = last.healthy;
            status.check_status.clone_from(&last.check_status);
            status.networks.clone_from(&last.networks);
            status.container_id.clone_from(&last.container_id);
        }
        status
    }
}
