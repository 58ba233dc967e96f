//! Each oracle reports the bug that it exists for, planted into an otherwise good scheduler.

mod capacity;
mod containers;
mod convergence;
mod durability;
mod events;
mod lists;
mod news;
mod offers;
mod placement;
mod records;
mod selection;
mod unreachable;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use podium_core::model::deployment::ActionKind;
use podium_core::model::event::ApiEventKind;
use podium_core::model::ids::{DeploymentId, TaskId, Uuid};
use podium_core::model::instance::{Condition, Goal, Instance, KillReason, KillRequest};
use podium_core::model::mesos::{Call, Event, TaskState, TaskStatus};
use podium_core::model::number::Scalar;
use podium_core::model::pod::{
    Constraint, ConstraintOperator, KillSelection, OnReturn, Scheduling, UnreachableStrategy,
};
use podium_core::model::time::Timestamp;
use podium_core::placement::{Launch, Member};
use podium_core::record::PodState;
use podium_core::{
    Accept, Action, Command, CommandId, Config, Entry, Input, Key, Output, Record, Response, RestoreError,
    Scheduler,
};
use podium_sim::oracle::{Jury, Violation};
use podium_sim::plan::{Fault, Plan, Planned, Request, Span};
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

/// What is wrong with a scheduler.
trait Bug: Clone + Default {
    /// What it starts from, which is nothing the first time.
    fn remember(&mut self, _: &mut Vec<Entry>) {}

    fn clock(&self, now: Timestamp) -> Timestamp {
        now
    }

    fn hear(&mut self, _: &mut Input) {}

    fn say(&mut self, _: &mut Output) {}

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
    fn start(config: Config, seed: u64, mut entries: Vec<Entry>) -> Result<Self, RestoreError> {
        let mut bug = B::default();
        bug.remember(&mut entries);
        Ok(Self { scheduler: Scheduler::restore(config, seed, entries)?, bug })
    }

    fn step(&mut self, now: Timestamp, mut input: Input) -> Output {
        self.bug.hear(&mut input);
        let mut output = self.scheduler.step(self.bug.clock(now), input);
        self.bug.say(&mut output);
        output
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.bug.deadline(self.scheduler.deadline())
    }

    fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }
}

/// A bug in what is remembered, heard or said alone, perhaps with a memory of its own.
macro_rules! bug {
    (remember, $change:expr) => {
        bug!(@ remember, Vec<Entry>, $change)
    };
    (hear, $change:expr) => {
        bug!(@ hear, Input, $change)
    };
    (say, $change:expr) => {
        bug!(@ say, Output, $change)
    };
    (say_with, $memory:ty, $change:expr) => {
        bug!(@ say, Output, $memory, $change)
    };
    (@ $method:ident, $what:ty, $change:expr) => {
        bug!(@ $method, $what, (), |_, it| {
            let change: fn(&mut $what) = $change;
            change(it);
        })
    };
    (@ $method:ident, $what:ty, $memory:ty, $change:expr) => {{
        #[derive(Clone, Default)]
        struct Simple($memory);
        impl Bug for Simple {
            fn $method(&mut self, it: &mut $what) {
                let change: fn(&mut $memory, &mut $what) = $change;
                change(&mut self.0, it);
            }
        }
        Simple::default()
    }};
}
use bug;

/// Who finds this bug; of what it is only its kind counts, since the scheduler may die and start again.
fn verdict(bug: impl Bug) -> &'static str {
    violation(bug, &plan()).oracle
}

fn violation<B: Bug>(_: B, plan: &Plan) -> Violation {
    let report: Report = run_subject::<Planted<B>>(plan, false);
    report.violation.expect("the planted bug is found")
}

/// The same for a bug that mishears Mesos, and so also publishes what is not true.
fn violation_unheard<B: Bug>(_: B, plan: &Plan) -> Violation {
    let mut world: World<'_, Planted<B>, Jury> = World::new(plan, Jury::deaf());
    world.run().expect_err("the planted bug is found")
}

/// Changes the status in `input`, if it is one.
fn with_status(input: &mut Input, change: impl FnOnce(&mut TaskStatus)) {
    if let Input::Event(event) = input
        && let Event::Update(status) = &mut **event
    {
        change(status);
    }
}

/// Takes an update away that `is_it` names.
fn without(input: &mut Input, is_it: impl FnOnce(&TaskStatus) -> bool) {
    let mut is_unheard = false;
    with_status(input, |status| is_unheard = is_it(status));
    if is_unheard {
        *input = Input::Tick;
    }
}

/// The calls that launch something or give something back.
fn accepts(output: &mut Output) -> impl Iterator<Item = &mut Accept> {
    output.actions.iter_mut().filter_map(|action| match action {
        Action::Accept(accept) => Some(&mut **accept),
        _ => None,
    })
}

/// What is launched.
fn launches(output: &mut Output) -> impl Iterator<Item = &mut Launch> {
    accepts(output).flat_map(|accept| &mut accept.launches)
}

/// The copies of which something is to be kept.
fn copies(output: &mut Output) -> impl Iterator<Item = &mut Instance> {
    output.records.iter_mut().filter_map(|record| match record {
        Record::Put(Entry::Instance(instance)) => Some(Arc::make_mut(instance)),
        _ => None,
    })
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
    let leak = bug!(say, |output| {
        output.actions.retain(|action| !matches!(action, Action::Call(Call::Decline { .. })));
    });
    assert_eq!(verdict(leak), "offers");
}

#[test]
fn an_acknowledgement_before_its_record() {
    // Records of status updates come one step late.
    let early = bug!(say_with, Vec<Record>, |late, output| {
        let acknowledges = |action: &Action| matches!(action, Action::Call(Call::Acknowledge { .. }));
        let mut records = std::mem::take(late);
        if output.actions.iter().any(acknowledges) {
            *late = std::mem::take(&mut output.records);
        }
        records.append(&mut output.records);
        output.records = records;
    });
    assert_eq!(verdict(early), "durability");
}

#[test]
fn a_launch_of_half_a_group() {
    let half = bug!(say, |output| {
        for launch in launches(output) {
            Arc::make_mut(&mut launch.spec).containers.truncate(1);
            launch.draws.retain(|draw| draw.member != Member::Container(1));
        }
    });
    assert_eq!(verdict(half), "atomicity");
}

#[test]
fn a_next_launch_beside_the_last_one() {
    // Takes what is out of reach for what has failed.
    let hasty = bug!(hear, |input| {
        with_status(input, |status| {
            if status.state == TaskState::TaskUnreachable {
                status.state = TaskState::TaskFailed;
            }
        })
    });
    let found = violation_unheard(hasty, &partition(r#""disabled""#)).to_string();
    assert!(found.starts_with("single: launch 2 of ") && found.ends_with("launch 1 still exist"), "{found}");
}

#[test]
fn a_scheduler_that_forgets_what_is_wanted() {
    // Does not hear that anything has ended.
    let deaf = bug!(hear, |input| without(input, |status| status.state.is_terminal()));
    assert_eq!(violation_unheard(deaf, &plan()).oracle, "convergence");
}

/// Takes a container that starts for one that runs.
fn hopeful(input: &mut Input) {
    with_status(input, |status| {
        if status.state == TaskState::TaskStarting {
            status.state = TaskState::TaskRunning;
        }
    })
}

const ONE_BY_ONE: &str = r#""upgrade": { "minimumHealthCapacity": 1, "maximumOverCapacity": 1 }"#;

#[test]
fn old_copies_that_end_before_new_ones_serve() {
    let hopeful = bug!(hear, hopeful);
    let found = violation_unheard(hopeful, &plan_with(ONE_BY_ONE, ""));
    assert_eq!(found.oracle, "floor", "{found}");
}

#[test]
fn old_copies_that_are_killed_before_new_ones_serve() {
    #[derive(Clone, Default)]
    struct Hopeful;
    impl Bug for Hopeful {
        fn hear(&mut self, input: &mut Input) {
            hopeful(input)
        }

        /// Calls the end of a copy a kill after which it would be launched again.
        fn say(&mut self, output: &mut Output) {
            for instance in copies(output).filter(|instance| instance.goal != Goal::Running) {
                instance.goal = Goal::Running;
                instance.kill_requested =
                    Some(KillRequest { at: instance.since, reason: KillReason::Upgrading });
            }
        }
    }
    let found = violation_unheard(Hopeful, &plan_with(ONE_BY_ONE, ""));
    assert_eq!(found.oracle, "floor", "{found}");
}

#[test]
fn a_copy_too_many() {
    // Every new copy is two.
    let generous = bug!(say, |output| {
        let twins = output.records.iter().filter_map(|record| match record {
            Record::Put(Entry::Instance(instance)) if instance.incarnation == 0 => {
                let mut twin = (**instance).clone();
                twin.id.uuid = Uuid::from_u128(twin.id.uuid.as_u128() ^ 1);
                Some(Record::Put(Entry::Instance(twin.into())))
            }
            _ => None,
        });
        let twins: Vec<Record> = twins.collect();
        output.records.extend(twins);
    });
    assert_eq!(verdict(generous), "ceiling");
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
        violation(Fast, &partition(&strategy)).to_string()
    };
    let found = early(100, 200);
    assert!(found.starts_with("unreachable: ") && found.contains("is counted as lost"), "{found}");
    let found = early(0, 200);
    assert!(found.starts_with("unreachable: ") && found.contains("is given up"), "{found}");
}

#[test]
fn a_copy_out_of_reach_that_is_given_up_against_its_strategy() {
    // Takes what is out of reach for gone.
    let impatient = bug!(hear, |input| {
        with_status(input, |status| {
            if status.state == TaskState::TaskUnreachable {
                status.state = TaskState::TaskUnknown;
            }
        })
    });
    let found = violation_unheard(impatient, &partition(r#""disabled""#)).to_string();
    assert!(found.starts_with("unreachable: ") && found.contains("strategy is disabled"), "{found}");
}

#[test]
fn a_copy_out_of_reach_that_is_never_replaced() {
    let unaware = bug!(hear, |input| without(input, |status| status.state == TaskState::TaskUnreachable));
    let strategy = r#"{ "inactiveAfterSeconds": 0, "expungeAfterSeconds": 3600 }"#;
    let found = violation_unheard(unaware, &partition(strategy)).to_string();
    assert!(
        found.starts_with("unreachable: ") && found.contains("should have been counted as lost"),
        "{found}"
    );
}

#[test]
fn a_copy_that_was_given_up_and_comes_back_to_stay() {
    let merciful = bug!(say, |output| {
        output.actions.retain(|action| !matches!(action, Action::Call(Call::Kill { .. })));
    });
    let strategy = r#"{ "inactiveAfterSeconds": 0, "expungeAfterSeconds": 0 }"#;
    let found = violation(merciful, &partition(strategy)).to_string();
    assert!(found.starts_with("unreachable: ") && found.contains("is not killed"), "{found}");
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

        fn hear(&mut self, input: &mut Input) {
            self.ticks = matches!(input, Input::Tick);
        }

        fn say(&mut self, output: &mut Output) {
            let kill = |action: &&Action| matches!(action, Action::Call(Call::Kill { .. }));
            self.kill = self.kill.take().or_else(|| output.actions.iter().find(kill).cloned());
            output.actions.extend(self.kill.clone().filter(|_| self.ticks));
        }

        fn deadline(&self, deadline: Option<Timestamp>) -> Option<Timestamp> {
            let again = self.now.get() + Duration::from_secs(5);
            Some(deadline.map_or(again, |deadline| deadline.min(again)))
        }
    }
    let found = violation(Stubborn::default(), &plan()).to_string();
    assert!(found.starts_with("convergence: ") && found.contains("which has ended"), "{found}");
}
