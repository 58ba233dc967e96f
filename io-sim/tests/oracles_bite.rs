//! Each oracle reports the bug that it exists for, planted into an otherwise good scheduler.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use podium_core::model::event::ApiEventKind;
use podium_core::model::ids::{DeploymentId, Uuid};
use podium_core::model::mesos::{Call, Event, TaskState, TaskStatus};
use podium_core::model::number::Scalar;
use podium_core::model::pod::{
    Constraint, ConstraintOperator, KillSelection, OnReturn, Scheduling, UnreachableStrategy,
};
use podium_core::model::time::Timestamp;
use podium_core::record::PodState;
use podium_core::{
    Action, Command, CommandId, Config, Entry, Input, Key, Output, Record, Response, RestoreError, Scheduler,
};
use podium_sim::oracle::{Jury, Violation};
use podium_sim::plan::{Plan, Planned, Request};
use podium_sim::run::{Report, run, run_subject};
use podium_sim::world::{Subject, World};

/// A cluster of two agents and a pod of two containers with three copies; `more` is what else the plan has.
fn plan_with(scheduling: &str, more: &str) -> Plan {
    let pod = |revision: &str| {
        let container = |name: &str, revision: &str| {
            format!(
                r#"{{ "name": "{name}", "exec": {{ "command": {{ "shell": "{revision}" }} }},
                     "resources": {{ "cpus": 0.1, "mem": 32 }},
                     "endpoints": [{{ "name": "{name}", "hostPort": 0 }}] }}"#
            )
        };
        format!(
            r#"{{ "id": "/web", "scaling": {{ "kind": "fixed", "instances": 3 }},
                 "networks": [{{ "mode": "host" }}], "scheduling": {{ {scheduling} }},
                 "containers": [{}, {}] }}"#,
            container("a", revision),
            container("b", revision)
        )
    };
    let text = format!(
        r#"{{ "cluster": {{ "agents": [{{ "cpus": 4, "mem": 4096 }}, {{ "cpus": 4, "mem": 4096 }}] }},
             "containers": [{{ "launches": [4, 9], "do": {{ "start": ["30s", "30s"] }} }}],
             "workload": [
               {{ "at": "2s", "do": {{ "create": {{ "pod": {} }} }} }},
               {{ "at": "5m", "do": {{ "update": {{ "pod": {} }} }} }},
               {{ "at": "10m", "do": {{ "delete": {{ "pod": "/web" }} }} }}
             ]
             {more} }}"#,
        pod("one"),
        pod("two")
    );
    Plan::from_json(&text).unwrap()
}

/// One container ends badly, the scheduler dies once, and everything that clients can do happens.
fn plan() -> Plan {
    plan_with(
        "",
        r#", "faults": [
          { "at": "1m", "do": { "container_exits": { "of": {}, "status": { "code": 1 } } } },
          { "at": "2m", "do": { "scheduler_crashed": { "lasts": "20s" } } }
        ]"#,
    )
}

/// One agent of the two is out of reach for a while.
fn partition(strategy: &str) -> Plan {
    plan_with(
        &format!(r#""unreachableStrategy": {strategy}"#),
        r#", "faults": [
          { "at": "1m", "do": { "agent_partitioned": { "agent": 0, "loss": false, "lasts": "4m" } } },
          { "at": "1m", "do": { "agent_partitioned": { "agent": 1, "loss": false, "lasts": "4m" } } }
        ]"#,
    )
}

/// What is wrong with a scheduler.
trait Bug: Clone + Default {
    fn clock(&self, now: Timestamp) -> Timestamp {
        now
    }

    fn hear(&mut self, input: Input) -> Input {
        input
    }

    fn say(&mut self, output: Output) -> Output {
        output
    }

    fn deadline(&self, deadline: Option<Timestamp>) -> Option<Timestamp> {
        deadline
    }
}

#[derive(Clone)]
struct Planted<B> {
    scheduler: Scheduler,
    bug: B,
}

impl<B: Bug> Subject for Planted<B> {
    fn start(config: Config, seed: u64, entries: Vec<Entry>) -> Result<Self, RestoreError> {
        Ok(Self { scheduler: Scheduler::restore(config, seed, entries)?, bug: B::default() })
    }

    fn step(&mut self, now: Timestamp, input: Input) -> Output {
        let input = self.bug.hear(input);
        let output = self.scheduler.step(self.bug.clock(now), input);
        self.bug.say(output)
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.bug.deadline(self.scheduler.deadline())
    }

    fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }
}

fn verdict<B: Bug>() -> &'static str {
    violation::<B>(&plan()).oracle
}

fn violation<B: Bug>(plan: &Plan) -> Violation {
    let report: Report = run_subject::<Planted<B>>(plan, false);
    report.violation.expect("the planted bug is found")
}

/// The same for a bug that mishears Mesos, and so also publishes what is not true.
fn violation_unheard<B: Bug>(plan: &Plan) -> Violation {
    let mut world: World<'_, Planted<B>, Jury> = World::new(plan, Jury::deaf());
    world.run().expect_err("the planted bug is found")
}

/// Changes the status in `input`, if it is one.
fn with_status(mut input: Input, change: impl FnOnce(&mut TaskStatus)) -> Input {
    if let Input::Event(event) = &mut input
        && let Event::Update(status) = &mut **event
    {
        change(status);
    }
    input
}

#[test]
fn a_good_scheduler_is_found_good() {
    for plan in [
        plan(),
        partition(r#"{ "inactiveAfterSeconds": 100, "expungeAfterSeconds": 200 }"#),
        partition(r#"{ "inactiveAfterSeconds": 0, "expungeAfterSeconds": 0 }"#),
        partition(r#""disabled""#),
    ] {
        assert_eq!(run(&plan).violation, None);
    }
}

#[test]
fn an_offer_that_nobody_answers() {
    #[derive(Clone, Default)]
    struct Leak;
    impl Bug for Leak {
        fn say(&mut self, mut output: Output) -> Output {
            output.actions.retain(|action| !matches!(action, Action::Call(Call::Decline { .. })));
            output
        }
    }
    assert_eq!(verdict::<Leak>(), "offers");
}

#[test]
fn an_acknowledgement_before_its_record() {
    #[derive(Clone, Default)]
    struct Early(Vec<Record>);
    impl Bug for Early {
        /// Records of status updates come one step late.
        fn say(&mut self, mut output: Output) -> Output {
            let acknowledges = |action: &Action| matches!(action, Action::Call(Call::Acknowledge { .. }));
            let mut records = std::mem::take(&mut self.0);
            if output.actions.iter().any(acknowledges) {
                self.0 = std::mem::take(&mut output.records);
            }
            records.append(&mut output.records);
            output.records = records;
            output
        }
    }
    assert_eq!(verdict::<Early>(), "durability");
}

#[test]
fn a_launch_of_half_a_group() {
    #[derive(Clone, Default)]
    struct Half;
    impl Bug for Half {
        fn say(&mut self, mut output: Output) -> Output {
            for action in &mut output.actions {
                let Action::Accept(accept) = action else { continue };
                for launch in &mut accept.launches {
                    let spec = Arc::make_mut(&mut launch.spec);
                    spec.containers.truncate(1);
                    launch.draws.retain(|draw| draw.member != podium_core::placement::Member::Container(1));
                }
            }
            output
        }
    }
    assert_eq!(verdict::<Half>(), "atomicity");
}

#[test]
fn a_next_launch_beside_the_last_one() {
    #[derive(Clone, Default)]
    struct Hasty;
    impl Bug for Hasty {
        /// Takes what is out of reach for what has failed.
        fn hear(&mut self, input: Input) -> Input {
            with_status(input, |status| {
                if status.state == TaskState::TaskUnreachable {
                    status.state = TaskState::TaskFailed;
                }
            })
        }
    }
    let found = violation_unheard::<Hasty>(&partition(r#""disabled""#)).to_string();
    assert!(found.starts_with("single: launch 2 of ") && found.ends_with("launch 1 still exist"), "{found}");
}

#[test]
fn a_scheduler_that_forgets_what_is_wanted() {
    #[derive(Clone, Default)]
    struct Deaf;
    impl Bug for Deaf {
        /// Does not hear that anything has ended.
        fn hear(&mut self, input: Input) -> Input {
            match &input {
                Input::Event(event) => match &**event {
                    Event::Update(status) if status.state.is_terminal() => Input::Tick,
                    _ => input,
                },
                _ => input,
            }
        }
    }
    assert_eq!(violation_unheard::<Deaf>(&plan()).oracle, "convergence");
}

#[test]
fn old_copies_that_end_before_new_ones_serve() {
    #[derive(Clone, Default)]
    struct Hopeful;
    impl Bug for Hopeful {
        /// Takes a container that starts for one that runs.
        fn hear(&mut self, input: Input) -> Input {
            with_status(input, |status| {
                if status.state == TaskState::TaskStarting {
                    status.state = TaskState::TaskRunning;
                }
            })
        }
    }
    let plan = plan_with(r#""upgrade": { "minimumHealthCapacity": 1, "maximumOverCapacity": 1 }"#, "");
    let found = violation_unheard::<Hopeful>(&plan);
    assert_eq!(found.oracle, "floor", "{found}");
}

#[test]
fn a_copy_too_many() {
    #[derive(Clone, Default)]
    struct Generous;
    impl Bug for Generous {
        /// Every new copy is two.
        fn say(&mut self, mut output: Output) -> Output {
            let twins = output.records.iter().filter_map(|record| match record {
                Record::Put(Entry::Instance(instance)) if instance.incarnation == 0 => {
                    let mut twin = instance.clone();
                    twin.id.uuid = Uuid::from_u128(twin.id.uuid.as_u128() ^ 1);
                    Some(Record::Put(Entry::Instance(twin)))
                }
                _ => None,
            });
            let twins: Vec<Record> = twins.collect();
            output.records.extend(twins);
            output
        }
    }
    assert_eq!(verdict::<Generous>(), "ceiling");
}

#[test]
fn a_replacement_that_comes_early() {
    #[derive(Clone, Default)]
    struct Fast;
    impl Bug for Fast {
        fn clock(&self, now: Timestamp) -> Timestamp {
            now + Duration::from_secs(3600)
        }
    }
    let early = |inactive: u32, expunge: u32| {
        let strategy =
            format!(r#"{{ "inactiveAfterSeconds": {inactive}, "expungeAfterSeconds": {expunge} }}"#);
        violation::<Fast>(&partition(&strategy)).to_string()
    };
    let found = early(100, 200);
    assert!(found.starts_with("unreachable: ") && found.contains("is counted as lost"), "{found}");
    let found = early(0, 200);
    assert!(found.starts_with("unreachable: ") && found.contains("is given up"), "{found}");
}

#[test]
fn a_copy_out_of_reach_that_is_given_up_against_its_strategy() {
    #[derive(Clone, Default)]
    struct Impatient;
    impl Bug for Impatient {
        /// Takes what is out of reach for gone.
        fn hear(&mut self, input: Input) -> Input {
            with_status(input, |status| {
                if status.state == TaskState::TaskUnreachable {
                    status.state = TaskState::TaskUnknown;
                }
            })
        }
    }
    let found = violation_unheard::<Impatient>(&partition(r#""disabled""#)).to_string();
    assert!(found.starts_with("unreachable: ") && found.contains("strategy is disabled"), "{found}");
}

#[test]
fn a_copy_out_of_reach_that_is_never_replaced() {
    #[derive(Clone, Default)]
    struct Unaware;
    impl Bug for Unaware {
        fn hear(&mut self, input: Input) -> Input {
            match &input {
                Input::Event(event) => match &**event {
                    Event::Update(status) if status.state == TaskState::TaskUnreachable => Input::Tick,
                    _ => input,
                },
                _ => input,
            }
        }
    }
    let strategy = r#"{ "inactiveAfterSeconds": 0, "expungeAfterSeconds": 3600 }"#;
    let found = violation_unheard::<Unaware>(&partition(strategy)).to_string();
    assert!(
        found.starts_with("unreachable: ") && found.contains("should have been counted as lost"),
        "{found}"
    );
}

#[test]
fn a_copy_that_was_given_up_and_comes_back_to_stay() {
    #[derive(Clone, Default)]
    struct Merciful;
    impl Bug for Merciful {
        fn say(&mut self, mut output: Output) -> Output {
            output.actions.retain(|action| !matches!(action, Action::Call(Call::Kill { .. })));
            output
        }
    }
    let strategy = r#"{ "inactiveAfterSeconds": 0, "expungeAfterSeconds": 0 }"#;
    let found = violation::<Merciful>(&partition(strategy)).to_string();
    assert!(found.starts_with("unreachable: ") && found.contains("is not killed"), "{found}");
}

/// Leaves out or doubles what it is to publish, once.
macro_rules! misreport {
    ($name:ident, $times:expr, $kind:pat) => {
        #[derive(Clone, Default)]
        struct $name(bool);
        impl Bug for $name {
            fn say(&mut self, mut output: Output) -> Output {
                let is_it = |action: &Action| {
                    matches!(action, Action::Publish(event) if matches!(event.kind, $kind))
                };
                if let Some(index) = output.actions.iter().position(is_it).filter(|_| !self.0) {
                    self.0 = true;
                    let action = output.actions.remove(index);
                    output.actions.splice(index..index, std::iter::repeat_n(action, $times));
                }
                output
            }
        }
        let found = violation::<$name>(&plan()).to_string();
        assert!(found.starts_with("events: "), "{found}");
    };
}

#[test]
fn events_that_do_not_come() {
    misreport!(Update, 0, ApiEventKind::StatusUpdateEvent { .. });
    misreport!(Instance, 0, ApiEventKind::InstanceChangedEvent { .. });
    misreport!(Begin, 0, ApiEventKind::DeploymentInfo { .. });
    misreport!(Step, 0, ApiEventKind::DeploymentStepSuccess { .. });
    misreport!(End, 0, ApiEventKind::DeploymentSuccess { .. });
    misreport!(Created, 0, ApiEventKind::PodCreatedEvent { .. });
    misreport!(Deleted, 0, ApiEventKind::PodDeletedEvent { .. });
    misreport!(Subscribed, 0, ApiEventKind::SchedulerRegisteredEvent { .. });
}

#[test]
fn events_that_come_twice() {
    misreport!(Update, 2, ApiEventKind::StatusUpdateEvent { .. });
    misreport!(Instance, 2, ApiEventKind::InstanceChangedEvent { .. });
    misreport!(Begin, 2, ApiEventKind::DeploymentInfo { .. });
    misreport!(End, 2, ApiEventKind::DeploymentSuccess { .. });
    misreport!(Changed, 2, ApiEventKind::PodUpdatedEvent { .. });
}

#[test]
fn a_health_that_is_not_the_one_that_is_shown() {
    #[derive(Clone, Default)]
    struct Rosy;
    impl Bug for Rosy {
        fn say(&mut self, mut output: Output) -> Output {
            for action in &mut output.actions {
                if let Action::Publish(event) = action
                    && let ApiEventKind::InstanceHealthChangedEvent { healthy, .. } = &mut event.kind
                {
                    *healthy = healthy.map(|_| true);
                }
            }
            output
        }
    }
    let check = r#", "healthCheck": { "exec": { "command": { "shell": "check" } }, "intervalSeconds": 5,
                     "timeoutSeconds": 1, "maxConsecutiveFailures": 30, "gracePeriodSeconds": 5 }"#;
    let ill = r#", "faults": [
        { "at": "3m", "do": { "container_unhealthy": { "of": { "nth": 0 }, "lasts": "1m" } } }]"#;
    let found = violation::<Rosy>(&surplus("", check, ill)).to_string();
    assert!(found.starts_with("events: the health of "), "{found}");
}

#[test]
fn a_kill_that_is_repeated_long_after_the_end() {
    #[derive(Clone, Default)]
    struct Stubborn {
        now: Cell<Timestamp>,
        ticks: bool,
        kill: Option<Action>,
    }
    impl Bug for Stubborn {
        fn clock(&self, now: Timestamp) -> Timestamp {
            self.now.set(now);
            now
        }

        fn hear(&mut self, input: Input) -> Input {
            self.ticks = matches!(input, Input::Tick);
            input
        }

        fn say(&mut self, mut output: Output) -> Output {
            let kill = |action: &&Action| matches!(action, Action::Call(Call::Kill { .. }));
            self.kill = self.kill.take().or_else(|| output.actions.iter().find(kill).cloned());
            output.actions.extend(self.kill.clone().filter(|_| self.ticks));
            output
        }

        fn deadline(&self, deadline: Option<Timestamp>) -> Option<Timestamp> {
            let again = self.now.get() + Duration::from_secs(5);
            Some(deadline.map_or(again, |deadline| deadline.min(again)))
        }
    }
    let found = violation::<Stubborn>(&plan()).to_string();
    assert!(found.starts_with("convergence: ") && found.contains("which has ended"), "{found}");
}

/// One copy, soon two more, then something, and in the end one less.
fn surplus(scheduling: &str, check: &str, events: &str) -> Plan {
    let text = format!(
        r#"{{ "cluster": {{ "agents": [{{ "cpus": 4, "mem": 4096 }}, {{ "cpus": 4, "mem": 4096 }}],
                             "max_ping_timeouts": 2 }},
             "mended_at": "6m",
             "workload": [
               {{ "at": "2s", "do": {{ "create": {{ "pod": {{
                 "id": "/web", "scaling": {{ "kind": "fixed", "instances": 1 }}, "networks": [{{ "mode": "host" }}],
                 "scheduling": {{ {scheduling} }},
                 "containers": [{{ "name": "a", "exec": {{ "command": {{ "shell": "x" }} }},
                   "resources": {{ "cpus": 0.1, "mem": 32 }} {check} }}] }} }} }} }},
               {{ "at": "30s", "do": {{ "scale": {{ "pod": "/web", "instances": 3 }} }} }},
               {{ "at": "4m", "do": {{ "scale": {{ "pod": "/web", "instances": 2 }} }} }}
             ]
             {events} }}"#
    );
    Plan::from_json(&text).unwrap()
}

/// Has another definition in mind than the one that it makes durable.
macro_rules! misread_definitions {
    ($name:ident, $in_mind:expr, $durable:expr) => {
        #[derive(Clone, Default)]
        struct $name;
        impl Bug for $name {
            fn hear(&mut self, mut input: Input) -> Input {
                if let Input::Command { command, .. } = &mut input
                    && let Command::CreatePod { pod, .. } | Command::UpdatePod { pod, .. } = &mut **command
                {
                    $in_mind(&mut pod.scheduling);
                }
                input
            }

            fn say(&mut self, mut output: Output) -> Output {
                for record in &mut output.records {
                    if let Record::Put(Entry::PodVersion(spec)) = record {
                        $durable(&mut Arc::make_mut(spec).scheduling);
                    }
                }
                output
            }
        }
    };
}

#[test]
fn the_wrong_one_of_equal_copies_ends() {
    fn set(selection: KillSelection) -> impl Fn(&mut Scheduling) {
        move |scheduling| scheduling.kill_selection = selection
    }
    misread_definitions!(Young, set(KillSelection::OldestFirst), set(KillSelection::YoungestFirst));
    misread_definitions!(Old, set(KillSelection::YoungestFirst), set(KillSelection::OldestFirst));
    let plan = surplus("", "", "");
    assert_eq!(run(&plan).violation, None);
    let found = violation::<Young>(&plan).to_string();
    assert!(found.ends_with("although it is the older one and killSelection is YOUNGEST_FIRST"), "{found}");
    let found = violation::<Old>(&plan).to_string();
    assert!(found.ends_with("although it is the younger one and killSelection is OLDEST_FIRST"), "{found}");
    assert!(found.starts_with("selection: "), "{found}");
}

#[test]
fn a_healthy_copy_ends_and_an_unhealthy_one_stays() {
    #[derive(Clone, Default)]
    struct Hopeful;
    impl Bug for Hopeful {
        fn hear(&mut self, input: Input) -> Input {
            with_status(input, |status| status.healthy = status.healthy.map(|_| true))
        }
    }
    let check = r#", "healthCheck": { "exec": { "command": { "shell": "check" } }, "intervalSeconds": 5,
                     "timeoutSeconds": 1, "maxConsecutiveFailures": 30, "gracePeriodSeconds": 5 }"#;
    let ill = r#", "faults": [
        { "at": "3m30s", "do": { "container_unhealthy": { "of": { "nth": 0 }, "lasts": "2m" } } }]"#;
    let plan = surplus("", check, ill);
    assert_eq!(run(&plan).violation, None);
    let found = violation_unheard::<Hopeful>(&plan).to_string();
    assert!(
        found.starts_with("selection: ") && found.contains("the one serves and the other is not"),
        "{found}"
    );
}

#[test]
fn the_wrong_one_ends_when_a_copy_has_returned() {
    fn set(wanted: OnReturn) -> impl Fn(&mut Scheduling) {
        move |scheduling| {
            if let UnreachableStrategy::Enabled { on_return, .. } = &mut scheduling.unreachable_strategy {
                *on_return = Some(wanted);
            }
        }
    }
    misread_definitions!(Original, set(OnReturn::Replacement), set(OnReturn::Original));
    misread_definitions!(Replacement, set(OnReturn::Original), set(OnReturn::Replacement));
    misread_definitions!(BestHealth, set(OnReturn::Original), set(OnReturn::BestHealth));
    let plan = |more: &str| {
        let strategy = format!(
            r#""unreachableStrategy": {{ "inactiveAfterSeconds": 0, "expungeAfterSeconds": 3600 {more} }}"#
        );
        let out_of_reach = r#", "faults": [
            { "at": "1m", "do": { "agent_partitioned": { "agent": 0, "loss": true, "lasts": "2m" } } }]"#;
        surplus(&strategy, "", out_of_reach)
    };
    for (on_return, found) in [
        ("ORIGINAL", violation::<Original>(&plan(""))),
        ("REPLACEMENT", violation::<Replacement>(&plan(""))),
        ("BEST_HEALTH", violation::<BestHealth>(&plan(""))),
    ] {
        assert_eq!(run(&plan(&format!(r#", "onReturn": "{on_return}""#))).violation, None);
        let found = found.to_string();
        assert!(found.starts_with("selection: "), "{on_return}: {found}");
        assert!(found.contains(&format!("although onReturn is {on_return}: ")), "{found}");
    }
}

#[test]
fn copies_end_where_few_are() {
    misread_definitions!(
        Blind,
        |scheduling: &mut Scheduling| scheduling.placement.constraints.truncate(1),
        |scheduling: &mut Scheduling| {
            let (field_name, operator) = ("rack".to_owned(), ConstraintOperator::GroupBy);
            scheduling.placement.constraints.truncate(1);
            scheduling.placement.constraints.push(Constraint { field_name, operator, value: None });
        }
    );
    // The youngest two are on one machine.
    let text = r#"{ "cluster": { "agents": [
          { "cpus": 4, "mem": 4096, "attributes": { "rack": "a" } },
          { "cpus": 4, "mem": 4096, "attributes": { "rack": "b" } }] },
        "mended_at": "6m",
        "containers": [{ "launches": [1, 2], "do": { "start": ["20s", "20s"] } }],
        "workload": [
          { "at": "2s", "do": { "create": { "pod": {
            "id": "/web", "scaling": { "kind": "fixed", "instances": 6 }, "networks": [{ "mode": "host" }],
            "scheduling": { "placement": { "constraints": [
              { "fieldName": "@hostname", "operator": "MAX_PER", "value": "3" },
              { "fieldName": "rack", "operator": "GROUP_BY" }] } },
            "containers": [{ "name": "a", "exec": { "command": { "shell": "x" } },
              "resources": { "cpus": 0.1, "mem": 32 } }] } } } },
          { "at": "4m", "do": { "scale": { "pod": "/web", "instances": 4 } } }
        ] }"#;
    let plan = Plan::from_json(text).unwrap();
    assert_eq!(run(&plan).violation, None);
    let found = violation::<Blind>(&plan).to_string();
    assert!(found.starts_with("selection: ") && found.contains("that leaves 1 copies on"), "{found}");
}

#[test]
fn a_launch_that_takes_more_than_is_offered() {
    #[derive(Clone, Default)]
    struct Greedy;
    impl Bug for Greedy {
        fn say(&mut self, mut output: Output) -> Output {
            for action in &mut output.actions {
                let Action::Accept(accept) = action else { continue };
                for draw in accept.launches.iter_mut().flat_map(|launch| &mut launch.draws) {
                    draw.amount = Scalar::from_f64(1_000_000.0);
                }
            }
            output
        }
    }
    assert_eq!(verdict::<Greedy>(), "placement");
}

#[test]
fn a_launch_on_ports_that_are_not_offered() {
    #[derive(Clone, Default)]
    struct Privileged;
    impl Bug for Privileged {
        fn say(&mut self, mut output: Output) -> Output {
            for action in &mut output.actions {
                let Action::Accept(accept) = action else { continue };
                for draw in accept.launches.iter_mut().flat_map(|launch| &mut launch.ports) {
                    draw.port = 80;
                }
            }
            output
        }
    }
    let found = violation::<Privileged>(&plan()).to_string();
    assert!(found.starts_with("placement: ") && found.contains("port 80"), "{found}");
}

#[test]
fn a_launch_against_a_constraint() {
    #[derive(Clone, Default)]
    struct Confused;
    impl Bug for Confused {
        /// Takes every offer for one of another machine.
        fn hear(&mut self, mut input: Input) -> Input {
            if let Input::Event(event) = &mut input
                && let Event::Offers(offers) = &mut **event
            {
                for offer in offers {
                    offer.hostname = offer.id.to_string();
                }
            }
            input
        }
    }
    let constraint =
        r#""placement": { "constraints": [{ "fieldName": "@hostname", "operator": "UNIQUE" }] }"#;
    let found = violation::<Confused>(&plan_with(constraint, "")).to_string();
    assert!(found.starts_with("placement: ") && found.contains("against a constraint"), "{found}");
}

#[test]
fn a_version_that_was_there_before() {
    #[derive(Clone, Default)]
    struct Backward;
    impl Bug for Backward {
        fn say(&mut self, mut output: Output) -> Output {
            for action in &mut output.actions {
                if let Action::Reply { result: Ok(response), .. } = action
                    && let Response::PodUpdated { pod, .. } = &mut **response
                {
                    Arc::make_mut(pod).version = Timestamp::EPOCH;
                }
            }
            output
        }
    }
    assert_eq!(verdict::<Backward>(), "history");
}

#[test]
fn a_change_that_goes_back_in_history() {
    #[derive(Clone, Default)]
    struct Rewound {
        first: Option<Timestamp>,
    }
    impl Bug for Rewound {
        fn say(&mut self, mut output: Output) -> Output {
            for record in &mut output.records {
                if let Record::Put(Entry::Pod(PodState { current: Some(version), .. })) = record
                    && *self.first.get_or_insert(*version) < *version
                {
                    *version = Timestamp::EPOCH;
                }
            }
            output
        }
    }
    let found = violation::<Rewound>(&plan_with("", "")).to_string();
    assert!(found.starts_with("history: /web went from version"), "{found}");
}

#[test]
fn a_history_that_is_tidied_up() {
    #[derive(Clone, Default)]
    struct Tidy;
    impl Bug for Tidy {
        fn say(&mut self, mut output: Output) -> Output {
            let old = output.records.iter().filter_map(|record| match record {
                Record::Put(Entry::PodVersion(spec)) => {
                    Some(Record::Delete(Key::PodVersion(spec.id.clone(), Timestamp::EPOCH)))
                }
                _ => None,
            });
            let old: Vec<Record> = old.collect();
            output.records.extend(old);
            output
        }
    }
    assert_eq!(verdict::<Tidy>(), "history");
}

#[test]
fn a_deletion_that_is_only_said() {
    #[derive(Clone, Default)]
    struct Liar {
        asked: Option<CommandId>,
        pod: Option<PodState>,
    }
    impl Bug for Liar {
        fn hear(&mut self, input: Input) -> Input {
            match input {
                Input::Command { id, ref command, .. } if matches!(**command, Command::DeletePod { .. }) => {
                    self.asked = Some(id);
                    Input::Tick
                }
                _ => input,
            }
        }

        fn say(&mut self, mut output: Output) -> Output {
            for record in &output.records {
                if let Record::Put(Entry::Pod(state)) = record {
                    self.pod = Some(state.clone());
                }
            }
            if let (Some(id), Some(pod)) = (self.asked.take(), self.pod.clone()) {
                output.records.push(Record::Put(Entry::Pod(PodState { current: None, ..pod })));
                let deployment = DeploymentId::new("none");
                let result = Ok(Box::new(Response::PodDeleted { deployment }));
                output.actions.push(Action::Reply { id, result });
            }
            output
        }
    }
    assert_eq!(violation_unheard::<Liar>(&plan()).oracle, "deletion");
}

#[test]
fn a_change_that_is_not_kept() {
    #[derive(Clone, Default)]
    struct Forgetful;
    impl Bug for Forgetful {
        fn say(&mut self, mut output: Output) -> Output {
            output.records.retain(|record| !matches!(record, Record::Delete(Key::Deployment(_))));
            output
        }
    }
    assert_eq!(violation_unheard::<Forgetful>(&plan()).oracle, "restore");
}

#[test]
fn a_request_that_does_not_do_what_its_dry_run_said() {
    #[derive(Clone, Default)]
    struct Moody;
    impl Bug for Moody {
        /// Takes what is to be changed by force for what is not.
        fn hear(&mut self, mut input: Input) -> Input {
            if let Input::Command { command, .. } = &mut input
                && let Command::UpdatePod { force, .. } = &mut **command
            {
                *force = false;
            }
            input
        }
    }
    let mut plan = surplus("", "", "");
    plan.rehearsed = true;
    let at = plan.workload[1].at;
    let what = Request::Scale { pod: "/web".to_owned(), instances: 5, force: true };
    plan.workload.insert(2, Planned::at(at, what));
    assert_eq!(run(&plan).violation, None);
    let found = violation::<Moody>(&plan).to_string();
    assert!(
        found.starts_with("rehearsal: the dry run was accepted, the request refused: App is locked"),
        "{found}"
    );
}

#[test]
fn an_answer_that_comes_twice() {
    #[derive(Clone, Default)]
    struct Stutter;
    impl Bug for Stutter {
        fn say(&mut self, mut output: Output) -> Output {
            let replies = output.actions.iter().filter(|action| matches!(action, Action::Reply { .. }));
            let replies: Vec<Action> = replies.cloned().collect();
            output.actions.extend(replies);
            output
        }
    }
    assert_eq!(verdict::<Stutter>(), "answers");
}

#[test]
fn a_timer_that_never_rests() {
    #[derive(Clone, Default)]
    struct Restless;
    impl Bug for Restless {
        fn deadline(&self, _: Option<Timestamp>) -> Option<Timestamp> {
            Some(Timestamp::EPOCH)
        }
    }
    assert_eq!(verdict::<Restless>(), "rest");
}

/// Two copies with a volume each; the pod is deleted in the end.
fn residents() -> Plan {
    Plan::from_json(
        r#"{ "cluster": { "agents": [{ "cpus": 4, "mem": 4096 }] }, "scheduler": { "mesos_role": "dev" },
             "workload": [
               { "at": "2s", "do": { "create": { "pod": {
                 "id": "/db", "scaling": { "kind": "fixed", "instances": 2 }, "networks": [{ "mode": "host" }],
                 "volumes": [{ "name": "data", "persistent": { "size": 10 } }],
                 "containers": [{ "name": "a", "exec": { "command": { "shell": "one" } },
                   "resources": { "cpus": 0.1, "mem": 32 },
                   "volumeMounts": [{ "name": "data", "mountPath": "data" }] }] } } } },
               { "at": "2m", "do": { "delete": { "pod": "/db" } } }
             ] }"#,
    )
    .unwrap()
}

#[test]
fn reservations_that_nobody_gives_back() {
    #[derive(Clone, Default)]
    struct Hoarder;
    impl Bug for Hoarder {
        fn say(&mut self, mut output: Output) -> Output {
            for action in &mut output.actions {
                if let Action::Accept(accept) = action {
                    accept.release = Default::default();
                }
            }
            output
        }
    }
    assert_eq!(violation::<Hoarder>(&residents()).oracle, "volumes");
    assert_eq!(run(&residents()).violation, None);
}

#[test]
fn a_volume_that_is_destroyed_while_its_instance_needs_it() {
    #[derive(Clone, Default)]
    struct Shredder;
    impl Bug for Shredder {
        fn say(&mut self, mut output: Output) -> Output {
            for action in &mut output.actions {
                if let Action::Accept(accept) = action {
                    let homes = accept.launches.iter().filter_map(|launch| launch.home.as_ref());
                    accept.release.volumes = homes.flat_map(|home| home.volumes.clone()).collect();
                }
            }
            output
        }
    }
    assert_eq!(violation::<Shredder>(&residents()).oracle, "volumes");
}
