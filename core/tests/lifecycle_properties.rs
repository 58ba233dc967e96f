//! What holds whatever happens, in whatever order: people, Mesos, time and crashes draw lots.

#[path = "lifecycle_properties/definitions.rs"]
mod definitions;
mod harness;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use definitions::{PODS, Spec, definition, spec};
use harness::{Driver, pod_id};
use podium_core::model::ids::{AgentId, InstanceId, TaskId};
use podium_core::model::mesos::{
    Call, Event, ExecutorFailure, Offer, StatusReason, StatusUuid, TaskState, TaskStatus,
};
use podium_core::model::time::Timestamp;
use podium_core::placement::Launch;
use podium_core::view::{
    DeploymentStatus, PodInstanceState, PodState, PodStatus, ProcessedOffersSummary, QueueItem,
};
use podium_core::{
    Action, Command, CommandId, Config, Entry, Input, Key, Origin, Output, Scheduler, SecretsReport,
};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Something that happens. Indices choose among what there is when it happens.
#[derive(Clone, Debug)]
enum Happening {
    Cancel {
        deployment: Index,
        force: bool,
    },
    Create {
        pod: usize,
        spec: Spec,
        force: bool,
    },
    Delete {
        pod: usize,
        force: bool,
    },
    Disconnect,
    /// The same word about every container of some copy that is there.
    GroupStatus {
        instance: Index,
        status: Word,
    },
    Failure {
        instance: Index,
    },
    Kill {
        pod: usize,
        instance: Index,
        wipe: bool,
    },
    Offers {
        agents: Vec<u8>,
        tenths: u32,
        what_comes_of_it: Outcome,
    },
    Rescind,
    ResetDelay {
        pod: usize,
    },
    Restart,
    Status {
        task: Index,
        status: Word,
    },
    StatusOfNobody {
        id: &'static str,
        state: TaskState,
    },
    Subscribe,
    Update {
        pod: usize,
        spec: Spec,
        force: bool,
    },
    Wait {
        millis: u64,
    },
}

/// What becomes of launches.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// They are on their way.
    Sent,
    /// The master refuses them.
    Refused,
    /// They never got as far as the master.
    Unsent,
}

/// What Mesos says about some task that was once asked for.
#[derive(Clone, Debug)]
struct Word {
    state: TaskState,
    /// Which launch of its instance is meant: the right one, or another.
    incarnation: i8,
    healthy: Option<bool>,
    must_be_acknowledged: bool,
    /// When the partition is said to have begun, in seconds from now.
    unreachable_for: Option<i8>,
    from_elsewhere: bool,
}

impl Word {
    const RUNNING: Self = Self {
        state: TaskState::TaskRunning,
        incarnation: 0,
        healthy: Some(true),
        must_be_acknowledged: true,
        unreachable_for: None,
        from_elsewhere: false,
    };
    const FAILED: Self = Self { state: TaskState::TaskFailed, healthy: None, ..Self::RUNNING };
}

fn word() -> impl Strategy<Value = Word> {
    use TaskState::{TaskFailed, TaskKilled, TaskKilling, TaskRunning, TaskStarting, TaskUnreachable};
    let likely =
        vec![TaskStarting, TaskRunning, TaskRunning, TaskKilling, TaskKilled, TaskFailed, TaskUnreachable];
    let state = prop_oneof![4 => select(likely), 1 => select(TaskState::ALL.to_vec())];
    let incarnation = prop_oneof![8 => Just(0), 1 => -1..=1_i8];
    (
        state,
        incarnation,
        any::<Option<bool>>(),
        any::<bool>(),
        prop::option::of(-20..=20_i8),
        prop::bool::weighted(0.05),
    )
        .prop_map(
            |(state, incarnation, healthy, must_be_acknowledged, unreachable_for, from_elsewhere)| Word {
                state,
                incarnation,
                healthy,
                must_be_acknowledged,
                unreachable_for,
                from_elsewhere,
            },
        )
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![8 => Just(Outcome::Sent), 1 => Just(Outcome::Refused), 1 => Just(Outcome::Unsent)]
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening as H;
    let pod = || 0..PODS.len();
    let nobody = vec!["", "x", "a.b.c.d", "p.instance-0190163d-8694-739b-aea5-966c26f8ad91.a.1"];
    prop_oneof![
        1 => (any::<Index>(), any::<bool>()).prop_map(|(deployment, force)| H::Cancel { deployment, force }),
        4 => (pod(), spec(), any::<bool>()).prop_map(|(pod, spec, force)| H::Create { pod, spec, force }),
        1 => (pod(), any::<bool>()).prop_map(|(pod, force)| H::Delete { pod, force }),
        1 => Just(H::Disconnect),
        1 => any::<Index>().prop_map(|instance| H::Failure { instance }),
        2 => (pod(), any::<Index>(), any::<bool>())
            .prop_map(|(pod, instance, wipe)| H::Kill { pod, instance, wipe }),
        8 => (prop::collection::vec(0..4_u8, 1..5), 0..20_u32, outcome())
            .prop_map(|(agents, tenths, what_comes_of_it)| H::Offers { agents, tenths, what_comes_of_it }),
        1 => Just(H::Rescind),
        1 => pod().prop_map(|pod| H::ResetDelay { pod }),
        1 => Just(H::Restart),
        10 => (any::<Index>(), word()).prop_map(|(task, status)| H::Status { task, status }),
        5 => (any::<Index>(), word()).prop_map(|(instance, status)| H::GroupStatus { instance, status }),
        14 => any::<Index>().prop_map(|instance| H::GroupStatus { instance, status: Word::RUNNING }),
        6 => any::<Index>().prop_map(|instance| H::GroupStatus { instance, status: Word::FAILED }),
        1 => (select(nobody), select(TaskState::ALL.to_vec()))
            .prop_map(|(id, state)| H::StatusOfNobody { id, state }),
        2 => Just(H::Subscribe),
        4 => (pod(), spec(), any::<bool>()).prop_map(|(pod, spec, force)| H::Update { pod, spec, force }),
        4 => select(vec![1, 500, 1000, 5000, 10_000, 60_000, 1_000_000]).prop_map(|millis| H::Wait { millis }),
    ]
}

/// Everything people can look at, apart from what a new connection would answer differently.
type View = (Vec<PodStatus>, Vec<DeploymentStatus>, Vec<QueueItem>);

fn view(scheduler: &Scheduler, now: Timestamp) -> View {
    let statuses = scheduler.pods().filter_map(|spec| scheduler.pod_status(&spec.id, now)).collect();
    let mut queue = scheduler.queue(now);
    for item in &mut queue {
        // What became of offers is of interest for as long as somebody looks at it: it is not kept.
        item.processed_offers_summary = ProcessedOffersSummary::default();
    }
    (statuses, scheduler.deployments(now), queue)
}

/// The world around the scheduler, as far as it is needed to make things happen and to judge.
struct World {
    driver: Driver,
    is_connected: bool,
    /// Every task that was ever asked for, in order.
    tasks: Vec<(TaskId, AgentId)>,
    /// Those of them of which Mesos has reported an end.
    ended: BTreeSet<TaskId>,
    /// Instances of which a launch was heard that nobody asked for: the records are older than it, so they prove nothing.
    disowned: BTreeSet<InstanceId>,
    /// The newest launch of each instance.
    launches: BTreeMap<InstanceId, u32>,
    offer: Option<Offer>,
    outputs: Vec<String>,
}

impl World {
    fn new() -> Self {
        Self {
            driver: Driver::with(Config::default()),
            is_connected: false,
            tasks: Vec::new(),
            ended: BTreeSet::new(),
            disowned: BTreeSet::new(),
            launches: BTreeMap::new(),
            offer: None,
            outputs: Vec::new(),
        }
    }

    fn happen(&mut self, happening: &Happening) {
        match happening {
            Happening::Cancel { deployment, force } => {
                let deployments = self.driver.scheduler.deployments(self.driver.now);
                if !deployments.is_empty() {
                    let id = deployment.get(&deployments).id.clone();
                    self.command(Command::CancelDeployment { id, force: *force });
                }
            }
            Happening::Create { pod, spec, force } => {
                let pod = definition(*pod, spec);
                self.command(Command::CreatePod { pod, force: *force, role_given: false });
            }
            Happening::Update { pod, spec, force } => {
                let pod = definition(*pod, spec);
                self.command(Command::UpdatePod { pod, force: *force, role_given: false });
            }
            Happening::Delete { pod, force } => {
                self.command(Command::DeletePod { id: pod_id(PODS[*pod]), force: *force });
            }
            Happening::Kill { pod, instance, wipe } => {
                let pod = pod_id(PODS[*pod]);
                let status = self.driver.scheduler.pod_status(&pod, self.driver.now);
                let instances = status.map(|status| status.instances).unwrap_or_default();
                let instances = if instances.is_empty() {
                    Vec::new()
                } else {
                    vec![instance.get(&instances).id.clone(), instances[0].id.clone()]
                };
                self.command(Command::KillInstances { pod, instances, wipe: *wipe });
            }
            Happening::ResetDelay { pod } => self.command(Command::ResetDelay { pod: pod_id(PODS[*pod]) }),
            Happening::Disconnect => {
                self.is_connected = false;
                let _ = self.step(Input::Disconnected);
            }
            Happening::Subscribe => {
                self.is_connected = true;
                let _ = self.step(Input::Event(Box::new(Event::Subscribed {
                    framework_id: "fw".into(),
                    heartbeat_interval: None,
                    master: None,
                })));
            }
            Happening::Restart => {
                self.is_connected = false;
                self.driver.restart();
            }
            Happening::Wait { millis } => {
                let end = self.driver.now + Duration::from_millis(*millis);
                while let Some(at) = self.driver.scheduler.deadline().filter(|at| *at <= end) {
                    self.driver.now = self.driver.now.max(at);
                    let _ = self.step(Input::Tick);
                }
                self.driver.now = end;
                let _ = self.step(Input::Tick);
            }
            Happening::Offers { .. } | Happening::Rescind if !self.is_connected => {}
            Happening::Offers { agents, tenths, what_comes_of_it } => {
                let output = self.offers(agents, f64::from(*tenths) / 10.0);
                self.is_not_launched(&output, *what_comes_of_it);
            }
            Happening::Rescind => {
                if let Some(offer) = self.offer.take() {
                    let _ = self.step(Input::Event(Box::new(Event::Rescind(offer.id))));
                }
            }
            Happening::Failure { instance } => {
                let instances: Vec<&InstanceId> = self.launches.keys().collect();
                if !instances.is_empty() {
                    let executor_id = Some(instance.get(&instances).executor_id());
                    let failure = ExecutorFailure { agent_id: Some("s0".into()), executor_id, status: None };
                    let _ = self.step(Input::Event(Box::new(Event::Failure(failure))));
                }
            }
            Happening::Status { task, status } => {
                if !self.tasks.is_empty() {
                    let (task, agent) = task.get(&self.tasks).clone();
                    self.status(&task, &agent, status);
                }
            }
            Happening::GroupStatus { instance, status } => {
                let instances = self.driver.instances();
                if !instances.is_empty() {
                    let instance = instance.get(&instances);
                    for container in &instance.containers {
                        let task = instance.id.task_id(&container.name, instance.incarnation);
                        let agent = instance.agent_id.clone().expect("it was launched");
                        self.status(&task, &agent, status);
                    }
                }
            }
            Happening::StatusOfNobody { id, state } => {
                let _ = self.step(Input::Tick);
                self.driver.calls.clear();
                let _ = self
                    .step(Input::Event(Box::new(Event::Update(TaskStatus::new(TaskId::from(*id), *state)))));
                assert_eq!(self.driver.kills(), [""; 0], "what is not ours is left alone");
            }
        }
    }

    fn command(&mut self, command: Command) {
        self.driver.now = self.driver.now.next();
        // What is due by itself is not the command's doing.
        while self.driver.scheduler.deadline().is_some_and(|at| at <= self.driver.now) {
            let _ = self.step(Input::Tick);
        }
        let id = CommandId(self.outputs.len() as u64);
        let output = self.step(Input::Command { id, origin: Origin::default(), command: Box::new(command) });
        let refused = output.actions.iter().find_map(|action| match action {
            Action::Reply { id: of, result } if *of == id => Some(result.is_err()),
            _ => None,
        });
        let replies = output.actions.iter().filter(|action| matches!(action, Action::Reply { .. }));
        assert_eq!(replies.count(), 1, "every command is answered once");
        if refused == Some(true) {
            let records: Vec<_> = output.records.iter().collect();
            assert!(records.is_empty(), "a refused command changes nothing: {records:?}");
        }
    }

    fn offers(&mut self, agents: &[u8], cpus: f64) -> Output {
        let offers: Vec<Offer> =
            agents.iter().map(|agent| self.driver.make_offer(&format!("s{agent}"), cpus, 4096.0)).collect();
        let asked: BTreeSet<_> = offers.iter().map(|offer| offer.id.clone()).collect();
        self.offer = offers.first().cloned();
        let output = self.step(Input::Event(Box::new(Event::Offers(offers))));
        let mut answered = Vec::new();
        for action in &output.actions {
            match action {
                Action::Accept(accept) => answered.extend(accept.offer_ids.iter().cloned()),
                Action::Call(Call::Decline { offer_ids, .. }) => answered.extend(offer_ids.iter().cloned()),
                _ => {}
            }
        }
        assert_eq!(answered.len(), asked.len(), "every offer is answered once");
        assert_eq!(answered.into_iter().collect::<BTreeSet<_>>(), asked);
        output
    }

    /// Nothing comes of the launches in `output`, unless they are sent.
    fn is_not_launched(&mut self, output: &Output, outcome: Outcome) {
        let accepts = output.actions.iter().filter_map(|action| match action {
            Action::Accept(accept) if !accept.launches.is_empty() => Some(accept),
            _ => None,
        });
        for accept in accepts {
            let input = match outcome {
                Outcome::Sent => return,
                Outcome::Refused => {
                    let call = Box::new(self.driver.scheduler.accept_call(accept));
                    Input::Refused { call, reason: "no".to_owned() }
                }
                Outcome::Unsent => {
                    let unsent =
                        accept.launches.iter().map(|launch| (launch.instance.clone(), launch.incarnation));
                    Input::Secrets(SecretsReport { unsent: unsent.collect(), ..SecretsReport::default() })
                }
            };
            for launch in &accept.launches {
                let containers = launch.spec.containers.iter();
                let tasks =
                    containers.map(|container| launch.instance.task_id(&container.name, launch.incarnation));
                self.ended.extend(tasks);
            }
            let _ = self.step(input);
        }
    }

    fn status(&mut self, task: &TaskId, agent: &AgentId, word: &Word) {
        let parsed = task.parse().expect("it is ours");
        let incarnation = parsed.incarnation.saturating_add_signed(word.incarnation.into());
        let instance = parsed.instance();
        let task = instance.task_id(parsed.container, incarnation);
        let mut status = TaskStatus::new(task.clone(), word.state);
        status.agent_id = Some(if word.from_elsewhere { AgentId::from("elsewhere") } else { agent.clone() });
        status.healthy = word.healthy;
        status.timestamp = Some(self.driver.now);
        status.reason = (word.state == TaskState::TaskLost).then_some(StatusReason::ReasonReconciliation);
        status.uuid = word.must_be_acknowledged.then(|| StatusUuid::from_u128(self.outputs.len() as u128));
        status.unreachable_time = word.unreachable_for.map(|seconds| {
            let ago = Duration::from_secs(seconds.unsigned_abs().into());
            if seconds < 0 { self.driver.now + ago } else { self.driver.now - ago }
        });
        let is_current = self.launches.get(&instance) == Some(&incarnation);
        if is_current && is_end(word.state) {
            self.ended.insert(task.clone());
        }
        if !is_end(word.state) && self.launches.get(&instance).is_some_and(|asked| incarnation > *asked) {
            self.disowned.insert(instance.clone());
        }
        let was_there = self.is_alive(&instance, incarnation);
        self.driver.calls.clear();
        let output = self.step(Input::Event(Box::new(Event::Update(status))));
        let acknowledged =
            output.actions.iter().filter(|action| matches!(action, Action::Call(Call::Acknowledge { .. })));
        let expected = usize::from(word.must_be_acknowledged && self.is_connected);
        assert_eq!(acknowledged.count(), expected, "what must be acknowledged is, once");
        let speaks_of_life =
            matches!(word.state, TaskState::TaskStarting | TaskState::TaskRunning | TaskState::TaskStaging);
        let was_asked_for = self.tasks.iter().any(|(asked, _)| *asked == task);
        if self.is_connected
            && speaks_of_life
            && was_asked_for
            && !was_there
            && !self.disowned.contains(&instance)
            && !self.has_said_its_end(&instance, &task)
        {
            let killed = self
                .driver
                .calls
                .iter()
                .any(|call| matches!(call, Call::Kill { task_id, .. } if *task_id == task));
            assert!(killed, "{task} has no place any more and is alive: it must end");
        }
    }

    /// Whether the scheduler counts on this launch of the instance, or has it ending.
    fn is_alive(&self, instance: &InstanceId, incarnation: u32) -> bool {
        self.driver.store.values().any(|entry| match entry {
            Entry::Instance(stored) => {
                stored.id == *instance && stored.incarnation == incarnation && !stored.has_ended()
            }
            _ => false,
        })
    }

    /// Whether the scheduler may believe that nothing of the task is left: then words of life are not true.
    fn has_said_its_end(&self, instance: &InstanceId, task: &TaskId) -> bool {
        let forgotten = self.driver.store.contains_key(&Key::Forgotten(instance.clone()));
        !forgotten && self.ended.contains(task)
    }

    fn step(&mut self, input: Input) -> Output {
        let before = self.terminal_containers();
        let output = self.driver.step(input);
        self.outputs.push(format!("{output:?}"));
        for action in &output.actions {
            if let Action::Accept(accept) = action {
                assert!(self.is_connected);
                for launch in &accept.launches {
                    self.launched(launch);
                }
            }
        }
        let after = self.terminal_containers();
        for (task, state) in before {
            if let Some(now) = after.get(&task) {
                assert_eq!(*now, state, "{task} had ended");
            }
        }
        self.check_restored();
        output
    }

    fn launched(&mut self, launch: &Launch) {
        let before = self.launches.insert(launch.instance.clone(), launch.incarnation).unwrap_or(0);
        assert_eq!(launch.incarnation, before + 1, "{} is launched again", launch.instance);
        for container in &launch.spec.containers {
            let task = launch.instance.task_id(&container.name, launch.incarnation);
            self.tasks.push((task, launch.agent.agent_id.clone()));
        }
        let earlier = self.tasks.iter().map(|(task, _)| task).filter(|task| {
            task.parse().is_ok_and(|id| id.incarnation == before && id.is_of(&launch.instance))
        });
        for task in earlier {
            assert!(self.ended.contains(task), "{task} has not ended, and {} runs again", launch.instance);
        }
    }

    /// The tasks that are shown to have ended, with how.
    fn terminal_containers(&self) -> BTreeMap<TaskId, TaskState> {
        let mut terminal = BTreeMap::new();
        for instance in self.driver.instances() {
            for container in instance.containers {
                if is_end(container.status) {
                    let task = instance.id.task_id(&container.name, instance.incarnation);
                    terminal.insert(task, container.status);
                }
            }
        }
        terminal
    }

    /// A scheduler that starts from what is stored is like the one that stored it, once that has lost its
    /// connection too.
    fn check_restored(&self) {
        let now = self.driver.now;
        let mut live = self.driver.scheduler.clone();
        let _ = live.step(now, Input::Disconnected);
        let entries = self.driver.store.values().rev().cloned();
        let mut restored =
            Scheduler::restore(live.config().clone(), 9, entries).expect("it was stored whole");
        // Definitions of one moment, such as one that is led back to and an update, differ by a millisecond: the last one
        // of them is ahead.
        let newest = PODS.iter().filter_map(|pod| live.pod_versions(&pod_id(pod)).last().copied()).max();
        let latest = newest.map_or(now, |newest| newest.max(now));
        assert!(restored.now() <= latest, "time does not jump ahead: {} {now}", restored.now());
        assert_eq!(view(&restored, now), view(&live, now));
        for pod in PODS {
            assert_eq!(restored.pod_versions(&pod_id(pod)), live.pod_versions(&pod_id(pod)));
        }
        assert_eq!(restored.instance_count(), live.instance_count());
        assert_eq!(restored.step(now, Input::Tick), Output::default(), "nothing was left undone");
        assert_eq!(restored.deadline(), live.deadline());
        assert_eq!(restored.subscription(now), live.subscription(now));
        for (status, spec) in view(&live, now).0.iter().zip(live.pods()) {
            let stable = status.instances.iter().filter(|i| i.status == PodInstanceState::Stable).count();
            let is_stable = status.status == PodState::Stable;
            assert_eq!(is_stable, stable >= spec.instances() as usize, "{status:?}");
        }
    }
}

fn is_end(state: TaskState) -> bool {
    use TaskState as T;
    match state {
        T::TaskError | T::TaskFailed | T::TaskFinished | T::TaskKilled => true,
        T::TaskDropped | T::TaskGone | T::TaskGoneByOperator | T::TaskUnknown => true,
        T::TaskKilling | T::TaskRunning | T::TaskStaging | T::TaskStarting => false,
        // Lost because of a reconciliation: out of reach.
        T::TaskLost | T::TaskUnreachable => false,
    }
}

fn run(happenings: &[Happening]) -> Vec<String> {
    let mut world = World::new();
    world.happen(&Happening::Subscribe);
    for happening in happenings {
        world.happen(happening);
    }
    world.outputs
}

/// The properties would hold easily if nothing ever got far.
#[test]
fn the_lots_lead_far() {
    let mut runner = TestRunner::deterministic();
    let histories = prop::collection::vec(happening(), 1..80);
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for _ in 0..100 {
        let history = histories.new_tree(&mut runner).expect("nothing is filtered out").current();
        let mut world = World::new();
        world.happen(&Happening::Subscribe);
        for happening in &history {
            world.happen(happening);
            let deployments = world.driver.scheduler.deployments(world.driver.now);
            let mut see = |what, is_so: bool| *seen.entry(what).or_default() += u32::from(is_so);
            see(
                "a rollout",
                deployments.iter().any(|d| format!("{:?}", d.current_actions).contains("Restart")),
            );
            see(
                "a restart within a rollout",
                matches!(happening, Happening::Restart) && !deployments.is_empty(),
            );
            see(
                "two copies that serve",
                world.driver.picture().iter().filter(|line| line.ends_with("Stable")).count() > 1,
            );
            see("a second launch", world.launches.values().any(|launches| *launches > 1));
            see(
                "a copy given up",
                world.driver.store.values().any(|entry| matches!(entry, Entry::Forgotten(_))),
            );
            see("a kill", world.driver.calls.iter().any(|call| matches!(call, Call::Kill { .. })));
        }
    }
    assert!(seen.values().all(|count| *count >= 20), "{seen:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_rules_hold(happenings in prop::collection::vec(happening(), 1..80)) {
        run(&happenings);
    }

    #[test]
    fn equal_histories_give_equal_outputs(happenings in prop::collection::vec(happening(), 1..40)) {
        prop_assert_eq!(run(&happenings), run(&happenings));
    }
}
