//! The state machine itself: one input in, one output out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::{Config, FrameworkRemoved};
use crate::input::Input;
use crate::kill::Strays;
use crate::marks::{Mark, Marks};
use crate::model::event::{ApiEvent, ApiEventKind};
use crate::model::ids::{AgentId, FrameworkId, PodId, Role, TaskId, Uuid};
use crate::model::mesos::{Call, Event, FrameworkInfo, MasterInfo, Operation};
use crate::model::pod::PodSpec;
use crate::model::time::Timestamp;
use crate::output::{Accept, Action, Output};
use crate::placement::{Agents, Site};
use crate::portion::Portion;
use crate::queue::Demand;
use crate::random::Random;
use crate::reconcile::Reconciliation;
use crate::record::Entry;
use crate::rollout::{Dependencies, Searches};
use crate::secrets::LackedSecret;
use crate::state::State;
use crate::view::{StrayTask, UnknownReservation, UnknownTask};

/// The scheduler.
#[derive(Clone, Debug)]
pub struct Scheduler {
    pub(crate) config: Config,
    /// Everything that outlives a connection.
    pub(crate) state: State,
    pub(crate) random: Random,
    /// The time of the input that is being taken.
    pub(crate) now: Timestamp,
    /// The master at the other end, while there is a subscription.
    pub(crate) connection: Option<Connection>,
    pub(crate) demand: Demand,
    /// Which pods wait for which, derived from the state.
    pub(crate) dependencies: Dependencies,
    pub(crate) reconciliation: Reconciliation,
    /// Tasks of ours that Mesos reported and that we have no record of.
    pub(crate) unknown_tasks: BTreeMap<TaskId, UnknownTask>,
    /// Tasks without a place that are being ended.
    pub(crate) strays: Strays,
    /// What carries our marks, was offered, and names instances that we have no record of; by agent and instance.
    pub(crate) unknown_reservations: BTreeMap<(AgentId, Uuid), UnknownReservation>,
    /// What the agents had to offer.
    pub(crate) agents: Agents,
    /// Where the next batch of offers begins to ask who waits.
    pub(crate) launch_cursor: Option<PodId>,
    /// Pods of which copies would go if what is known of them were not old news.
    pub(crate) held: BTreeSet<PodId>,
    /// Pods of which old copies would go if Mesos had answered what it was asked about others.
    pub(crate) in_doubt: BTreeSet<PodId>,
    /// Pods of which new copies look for a place beside the old ones.
    pub(crate) searches: Searches,
    /// The pod that was looked at last when the last step's portion was used up: the next step goes on behind it.
    pub(crate) drive_cursor: Option<PodId>,
    /// When to look again for the secrets that are missing.
    pub(crate) next_look_for_secrets: Option<Timestamp>,
    /// Those that launches lacked, by their paths in the store.
    pub(crate) lacked_secrets: BTreeMap<String, LackedSecret>,
    /// What the current step may still do for pods.
    pub(crate) portion: Portion,
    /// What the output being made will ask of the driver, answers apart.
    pub(crate) actions: Vec<Action>,
    /// The rare paths that were taken.
    pub(crate) marks: Marks,
    /// The answers in the output being made.
    pub(crate) replies: Vec<Action>,
}

/// A subscription that is open.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Connection {
    /// Who answers.
    pub(crate) master: MasterInfo,
}

/// How to subscribe: the scheduler's wishes at this moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    /// Who subscribes.
    pub framework_info: FrameworkInfo,
    /// Roles that want no offers for now.
    pub suppressed_roles: Vec<Role>,
}

/// Stored entries that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// A pod is missing.
    #[error("there are instances or definitions of pod '{pod}', but what is wanted of it was not stored")]
    MissingPod {
        /// The pod.
        pod: PodId,
    },
    /// A definition is missing.
    #[error("the definition {version} of pod '{pod}' is in use but was not stored")]
    MissingVersion {
        /// The pod.
        pod: PodId,
        /// The version.
        version: Timestamp,
    },
}

impl Scheduler {
    /// A scheduler that knows nothing yet. All that is random comes from `seed`, which must be fresh for each
    /// start: names of new instances are made from it.
    pub fn new(config: Config, seed: u64) -> Self {
        Self {
            config,
            state: State::default(),
            random: Random::new(seed),
            now: Timestamp::EPOCH,
            connection: None,
            demand: Demand::default(),
            dependencies: Dependencies::default(),
            reconciliation: Reconciliation::default(),
            unknown_tasks: BTreeMap::new(),
            strays: Strays::default(),
            unknown_reservations: BTreeMap::new(),
            agents: Agents::default(),
            launch_cursor: None,
            held: BTreeSet::new(),
            in_doubt: BTreeSet::new(),
            searches: Searches::default(),
            drive_cursor: None,
            next_look_for_secrets: None,
            lacked_secrets: BTreeMap::new(),
            portion: Portion::unlimited(),
            actions: Vec::new(),
            marks: Marks::default(),
            replies: Vec::new(),
        }
    }

    /// A scheduler that continues from what was stored, in any order. Its time goes on from [`Self::now`].
    ///
    /// # Errors
    /// The entries contradict each other.
    pub fn restore(
        config: Config,
        seed: u64,
        entries: impl IntoIterator<Item = Entry>,
    ) -> Result<Self, RestoreError> {
        let mut scheduler = Self::new(config, seed);
        for entry in entries {
            scheduler.now = scheduler.now.max(entry.latest());
            scheduler.state.load(entry);
        }
        if let Some(pod) = scheduler.state.missing_pod() {
            return Err(RestoreError::MissingPod { pod });
        }
        if let Some((pod, version)) = scheduler.state.missing_version() {
            return Err(RestoreError::MissingVersion { pod, version });
        }
        scheduler.state.rebuild(&scheduler.config);
        scheduler.state.refresh_waiting(scheduler.now, usize::MAX);
        scheduler.note_settled_pods();
        Ok(scheduler)
    }

    /// Takes one input. A time earlier than one seen before counts as that one: time never goes back.
    pub fn step(&mut self, now: Timestamp, input: Input) -> Output {
        self.now = self.now.max(now);
        self.state.begin_step(self.now);
        self.portion = Portion::new(self.config.portion);
        self.state.refresh_waiting(self.now, self.config.portion);
        match input {
            Input::Command { id, origin, command } => self.on_command(id, origin, *command),
            Input::Disconnected => self.on_disconnected(),
            Input::Event(event) => self.on_event(*event),
            Input::FrameworkRemoved => self.on_framework_removed(),
            Input::Refused { call, reason } => self.on_refused(&call, reason),
            Input::Resumed => self.on_resumed(),
            Input::Secrets(report) => self.on_secrets(report),
            Input::Tick => {}
        }
        self.on_instances_due();
        self.drive_pods();
        self.end_overdue_deployments();
        self.state.refresh_waiting(self.now, self.config.portion);
        self.pump_kills();
        self.pump_strays();
        self.pump_reconciliation();
        self.pump_demand();
        self.pump_secrets();
        self.take_output()
    }

    /// Does what is due of copies, unless what is known of them is old news.
    pub(crate) fn on_instances_due(&mut self) {
        if !self.is_up_to_date() {
            return;
        }
        let due: Vec<Uuid> = self.state.due(self.now).take(self.config.portion).collect();
        for uuid in due {
            self.on_instance_due(uuid);
        }
    }

    /// Whether what is known can be acted upon: Mesos has been asked since the subscription began, and has answered or
    /// had time to.
    pub(crate) fn is_up_to_date(&self) -> bool {
        self.reconciliation.trusted_from().is_some_and(|at| at <= self.now)
    }

    /// When to send [`Input::Tick`] at the latest; never if absent. A time that has come already says that there
    /// is more to do than one step does: other inputs may come first.
    pub fn deadline(&self) -> Option<Timestamp> {
        let connected = match self.is_connected() {
            true => [
                self.state.kills.deadline(),
                self.strays.deadline(),
                self.reconciliation.deadline(),
                self.demand.deadline(),
            ],
            false => [None; 4],
        };
        let unfinished = (!self.state.changes.touched.is_empty()).then_some(self.now);
        let held = (!self.held.is_empty()).then_some(Timestamp::EPOCH);
        let judged =
            [held, self.searches.deadline(), self.state.deadline(), self.state.deployments_deadline()];
        let judged = judged.into_iter().flatten().min();
        let judged = self.reconciliation.trusted_from().zip(judged);
        let own = [
            unfinished,
            judged.map(|(trusted, due)| due.max(trusted)),
            self.state.waiting().deadline(),
            self.next_look_for_secrets,
        ];
        connected.iter().chain(&own).filter_map(|at| *at).min()
    }

    /// The latest time that this scheduler, or whoever stored what it continues from, is known to have seen. Whoever
    /// drives it has to go on from there if its own clock is behind: until that has caught up, time would stand still.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The rare paths that were taken since the scheduler was made.
    pub fn marks(&self) -> Marks {
        self.marks
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// This framework's id, once Mesos has given one.
    pub fn framework_id(&self) -> Option<&FrameworkId> {
        self.state.identity().id.as_ref()
    }

    /// Whether there is a subscription.
    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// The master at the other end, while there is a subscription.
    pub fn master(&self) -> Option<&MasterInfo> {
        self.connection.as_ref().map(|connection| &connection.master)
    }

    /// How to subscribe at `now`, which may be later than the last step: delays end by themselves.
    pub fn subscription(&self, now: Timestamp) -> Subscription {
        let (roles, suppressed_roles) = self.roles_for_subscription(now);
        let mut framework_info = self.config.framework_info();
        framework_info.id = self.framework_id().cloned();
        framework_info.roles = roles;
        Subscription { framework_info, suppressed_roles }
    }

    /// Writes `accept` out as the call for Mesos.
    pub fn accept_call(&self, accept: &Accept) -> Call {
        let framework_id = self.framework_id().cloned().unwrap_or_else(|| FrameworkId::from(""));
        accept.to_call(&self.config, &framework_id)
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Subscribed { framework_id, master, .. } => {
                self.on_subscribed(framework_id, master.unwrap_or_default());
            }
            Event::Offers(offers) => self.on_offers(&offers),
            Event::Update(status) => self.on_status_update(status),
            Event::UpdateOperationStatus(status) => self.on_operation_status(status),
            Event::InverseOffers(offers) => {
                // Pods are not moved away from maintenance by themselves; the answer is advisory anyway.
                let inverse_offer_ids = offers.into_iter().map(|offer| offer.id).collect();
                self.call(Call::AcceptInverseOffers { inverse_offer_ids, refuse: None });
            }
            // An offer is answered in the step in which it comes, so none can be outstanding here. If the
            // answer crossed the withdrawal, Mesos drops the launch and says so.
            Event::Rescind(_) | Event::RescindInverseOffer(_) => {}
            // The end of the subscription follows as `Input::Disconnected`; what it means for the process is
            // the driver's business.
            Event::Error { .. } => {}
            // A hint only: what became of tasks comes as updates. If those got lost, reconciliation finds out.
            Event::Failure(failure) => self.on_failure(&failure),
            Event::Message { agent_id, executor_id, data } => {
                let slave_id = agent_id;
                self.publish(ApiEventKind::FrameworkMessageEvent { executor_id, slave_id, message: data });
            }
            Event::Heartbeat | Event::Unknown => {}
        }
    }

    fn on_subscribed(&mut self, framework_id: FrameworkId, master: MasterInfo) {
        let at = format!("{}:{}", master.hostname.as_deref().unwrap_or_default(), master.port);
        let is_first = self.framework_id() != Some(&framework_id);
        self.connection = Some(Connection { master });
        self.restart_demand();
        if is_first {
            self.state.set_framework_id(framework_id.clone());
            self.publish(ApiEventKind::SchedulerRegisteredEvent { framework_id, master: at });
        } else {
            self.publish(ApiEventKind::SchedulerReregisteredEvent { master: at });
        }
        self.agents = Agents::default();
        self.strays = Strays::default();
        self.restart_kills();
        self.restart_reconciliation();
        self.restart_searches();
        self.note_new_demand();
    }

    fn on_disconnected(&mut self) {
        if self.connection.take().is_some() {
            self.publish(ApiEventKind::SchedulerDisconnectedEvent {});
        }
        self.restart_demand();
        self.strays = Strays::default();
        self.reconciliation = Reconciliation::default();
    }

    /// Mesos may have said more than has come so far: nobody goes by what is known before it was asked.
    fn on_resumed(&mut self) {
        if self.is_connected() {
            self.mark(Mark::Resumed);
            self.restart_reconciliation();
            self.restart_searches();
        }
    }

    /// Everything goes on under a new id, if it may. What became of the copies Mesos says when it is asked about them, as
    /// after each subscription: those on agents that it reaches are gone, those on others are out of reach like
    /// others there.
    fn on_framework_removed(&mut self) {
        self.on_disconnected();
        if self.config.framework_removed == FrameworkRemoved::Register && self.framework_id().is_some() {
            self.mark(Mark::FrameworkReborn);
            self.state.retire_framework_id();
            self.unknown_tasks.clear();
        }
    }

    fn on_failure(&mut self, failure: &crate::model::mesos::ExecutorFailure) {
        let Some(executor) = &failure.executor_id else {
            if let Some(agent) = &failure.agent_id {
                self.agents.remove(agent);
                self.unknown_reservations.retain(|(at, _), _| at != agent);
                self.on_agent_lost(agent);
            }
            return;
        };
        let Some(uuid) = executor.as_str().rsplit_once('.').and_then(|(_, uuid)| uuid.parse().ok()) else {
            return;
        };
        if self.state.instance(uuid).is_some_and(|instance| !instance.has_ended()) {
            self.mark(Mark::ExecutorFailureHeard);
            self.ask_about(uuid);
        }
    }

    /// The master has lost an agent. What it says of its tasks depends on how: nothing at all if it took over from another
    /// master and the agent never came, and that they are lost, not since when, if it left in good order.
    fn on_agent_lost(&mut self, agent: &AgentId) {
        let mut copies = self.state.copies_on(agent).to_vec();
        copies.extend(self.state.copies_waiting_for(agent));
        copies.sort_unstable();
        if !copies.is_empty() {
            self.mark(Mark::AgentLossHeard);
        }
        for uuid in copies {
            self.ask_about(uuid);
        }
    }

    fn on_operation_status(&mut self, status: crate::model::mesos::OperationStatus) {
        if let (Some(uuid), Some(operation_id)) = (status.uuid, status.operation_id) {
            self.call(Call::AcknowledgeOperation { agent_id: status.agent_id, operation_id, uuid });
        }
    }

    /// What decides about placement beside the copy and the agent.
    pub(crate) fn site(&self) -> Site<'_> {
        let domain = self.connection.as_ref().and_then(|connection| connection.master.domain.as_ref());
        Site { config: &self.config, identity: self.state.identity(), domain, now: self.now }
    }

    /// Notes that a rare path is taken.
    pub(crate) fn mark(&mut self, mark: Mark) {
        self.marks.leave(mark);
    }

    /// Asks the driver to tell the master.
    pub(crate) fn call(&mut self, call: Call) {
        self.actions.push(Action::Call(call));
    }

    /// Asks the driver to tell whoever listens.
    pub(crate) fn publish(&mut self, kind: ApiEventKind) {
        self.state.changes.events.push(kind);
    }

    fn take_output(&mut self) -> Output {
        let timestamp = self.now;
        let events = std::mem::take(&mut self.state.changes.events);
        let mut actions = std::mem::take(&mut self.actions);
        if self.connection.is_none() {
            actions.retain(|action| !matches!(action, Action::Call(_) | Action::Accept(_)));
        }
        actions
            .extend(events.into_iter().map(|kind| Action::Publish(Box::new(ApiEvent { timestamp, kind }))));
        actions.append(&mut self.replies);
        Output { records: self.state.take_records(), actions }
    }
}

/// Reading.
impl Scheduler {
    /// The current definitions of all pods, by id.
    pub fn pods(&self) -> impl Iterator<Item = &Arc<PodSpec>> {
        self.pods_after(None)
    }

    /// The current definitions of the pods whose ids come after `last`, if that is given, by id: for those who cannot
    /// look at all pods in one go.
    pub fn pods_after(&self, last: Option<&PodId>) -> impl Iterator<Item = &Arc<PodSpec>> {
        self.state.pods().after(last).filter_map(|pod| pod.spec())
    }

    /// The current definition of a pod.
    pub fn pod(&self, id: &PodId) -> Option<&Arc<PodSpec>> {
        self.state.pod(id)?.spec()
    }

    /// Every version a pod has had, oldest first; empty if there never was one.
    pub fn pod_versions(&self, id: &PodId) -> Vec<Timestamp> {
        self.state.pod(id).map(|pod| pod.versions.keys().copied().collect()).unwrap_or_default()
    }

    /// One definition a pod has had, also of a deleted pod.
    pub fn pod_version(&self, id: &PodId, version: Timestamp) -> Option<&Arc<PodSpec>> {
        self.state.pod(id)?.spec_of(version)
    }

    /// The number of instances of all pods.
    pub fn instance_count(&self) -> usize {
        self.state.instance_count()
    }

    /// Tasks of ours that Mesos reports and that we have no record of, by id.
    pub fn unknown_tasks(&self) -> impl Iterator<Item = &UnknownTask> {
        self.unknown_tasks.values()
    }

    /// Tasks that are being ended because they have no place any more, by id.
    pub fn strays(&self) -> impl Iterator<Item = &StrayTask> {
        self.strays.iter()
    }

    /// What is kept on agents for instances that we have no record of, by agent.
    pub fn unknown_reservations(&self) -> impl Iterator<Item = &UnknownReservation> {
        self.unknown_reservations.values()
    }
}

impl Accept {
    /// The call for Mesos.
    pub fn to_call(&self, config: &Config, framework_id: &FrameworkId) -> Call {
        let launches = self.launches.iter().flat_map(|launch| launch.operations(config, framework_id));
        let operations = self.release.operations().chain(launches);
        Call::Accept {
            offer_ids: self.offer_ids.clone(),
            operations: operations.map(|info| Operation { id: None, info }).collect(),
            refuse: Some(self.refuse),
        }
    }
}
