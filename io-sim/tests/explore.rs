//! Small worlds, in every order of events up to a bound.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::ops::ControlFlow;
use std::time::Duration;

use podium_core::model::ids::InstanceId;
use podium_core::model::mesos::{Call, Event, TaskState};
use podium_core::model::time::Timestamp;
use podium_core::{Action, Config, Entry, Input, Output, Record, RestoreError, Scheduler};
use podium_sim::explore::{
    Bounds, Findings, LATE, Small, explore, explore_subject, explore_watched, replay_subject, small_world,
};
use podium_sim::oracle::Violation;
use podium_sim::plan::{Behaviour, Chance, ContainerRule, Plan, Planned, Request, Span};
use podium_sim::run::{run_subject, run_traced};
use podium_sim::world::Subject;

fn assert_clean(found: &Findings) {
    if let Some(found) = &found.violation {
        let path: Vec<_> = found.path.iter().map(|(at, event)| format!("{at:?} {event}")).collect();
        panic!("{}\n{}", found.violation, path.join("\n"));
    }
    assert!(found.complete);
}

#[test]
fn a_pod_is_launched_in_every_order() {
    let mut plan = small_world(Small { agents: 1, crash: true, partition: Some(LATE), exit: true });
    plan.workload.push(Planned::at(LATE, kill()));
    let found = explore(&plan, Bounds { depth: 7, finish: true, ..Bounds::default() });
    assert_clean(&found);
    assert!(found.states > 400, "{found:?}");
    assert!(found.merged > found.states / 3, "orders that do not matter lead to the same state: {found:?}");
}

#[test]
fn a_machine_is_lost_and_comes_back_in_every_order() {
    let partition = Some(Span::from_secs(10));
    for agents in [1, 2] {
        let mut plan = small_world(Small { agents, crash: true, partition, exit: true });
        plan.workload.push(Planned::at(LATE, kill()));
        let usual = run_traced(&plan).trace.expect("it is written down").short();
        assert!(usual.contains("Unreachable               UnreachableInactive"), "{usual}");
        // Around the moments when the copies are out of reach, replaced, given up, and back.
        for from in [11_900, 14_900, 16_900, 19_900] {
            let from = Duration::from_millis(from);
            let found = explore(&plan, Bounds { from, depth: 5, finish: true, ..Bounds::default() });
            assert_clean(&found);
        }
    }
}

#[test]
fn a_bound_on_states_is_kept() {
    let plan = small_world(Small { agents: 1, crash: false, partition: None, exit: false });
    let found = explore(&plan, Bounds { depth: 20, states: 50, ..Bounds::default() });
    assert_eq!((found.states, found.complete), (50, false));
}

#[test]
fn whoever_has_seen_enough_gets_what_there_is_so_far() {
    let plan = small_world(Small { agents: 1, crash: false, partition: None, exit: false });
    let found = explore_watched::<Scheduler>(&plan, Bounds { depth: 20, ..Bounds::default() }, |so_far| {
        if so_far.events == 30 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!((found.events, found.complete), (30, false));
    assert!(found.states > 1 && found.violation.is_none(), "{found:?}");
}

/// Makes durable too late that a copy runs if it runs before one that was heard of earlier: a mistake that only another
/// order of events brings to light.
#[derive(Clone, Debug)]
struct Confused {
    scheduler: Scheduler,
    heard_of: Vec<InstanceId>,
    running: BTreeSet<InstanceId>,
    late: Vec<Record>,
}

impl Confused {
    fn is_confused_by(&mut self, input: &Input) -> bool {
        let Input::Event(event) = input else { return false };
        let Event::Update(status) = &**event else { return false };
        let Ok(id) = status.task_id.parse() else { return false };
        let instance = id.instance();
        if !self.heard_of.contains(&instance) {
            self.heard_of.push(instance.clone());
        }
        if status.state != TaskState::TaskRunning {
            return false;
        }
        let mut earlier = self.heard_of.iter().take_while(|other| **other != instance);
        let all_run = earlier.all(|other| self.running.contains(other));
        self.running.insert(instance);
        !all_run
    }
}

impl Subject for Confused {
    fn start(config: Config, seed: u64, entries: Vec<Entry>) -> Result<Self, RestoreError> {
        let scheduler = Scheduler::restore(config, seed, entries)?;
        Ok(Self { scheduler, heard_of: Vec::new(), running: BTreeSet::new(), late: Vec::new() })
    }

    fn step(&mut self, now: Timestamp, input: Input) -> Output {
        let confused = self.is_confused_by(&input);
        let mut output = self.scheduler.step(now, input);
        let mut records = std::mem::take(&mut self.late);
        if confused {
            self.late = std::mem::take(&mut output.records);
        }
        records.append(&mut output.records);
        output.records = records;
        output
    }

    fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }
}

#[test]
fn a_mistake_in_one_order_only_is_found() {
    let plan = small_world(Small { agents: 1, crash: false, partition: None, exit: false });
    let usual = run_subject::<Confused>(&plan, false);
    assert_eq!(usual.violation, None, "the usual order does not show it");
    let bounds = Bounds { from: Duration::from_secs(1), depth: 10, ..Bounds::default() };
    let found = explore_subject::<Confused>(&plan, bounds).violation.expect("the mistake is found");
    assert_eq!(found.violation.oracle, "durability");
    let path: Vec<_> = found.path.iter().map(|(at, event)| format!("{at:?} {event}")).collect();
    assert_eq!(path.len(), 4, "the shortest way: {path:#?}");
    assert!(path[3].contains("the scheduler gets") || path[3].contains("Written"), "{path:#?}");
    let again = replay_subject::<Confused>(&plan, bounds, &found.choices).unwrap();
    assert_eq!(again.violation, Some(found.violation));
    let trace = again.trace.expect("it is written down").short();
    assert!(trace.lines().last().is_some_and(|line| line.contains("VIOLATED")), "{trace}");
    let lost = replay_subject::<Confused>(&plan, bounds, &[0, 99]).unwrap_err();
    assert_eq!((lost.place, lost.number), (1, 99));
}

/// Its clock jumps ahead by a second when it hears that a copy is out of reach.
#[derive(Clone, Debug)]
struct Impatient {
    scheduler: Scheduler,
    ahead: Duration,
}

impl Subject for Impatient {
    fn start(config: Config, seed: u64, entries: Vec<Entry>) -> Result<Self, RestoreError> {
        Ok(Self { scheduler: Scheduler::restore(config, seed, entries)?, ahead: Duration::ZERO })
    }

    fn step(&mut self, now: Timestamp, input: Input) -> Output {
        if let Input::Event(event) = &input
            && let Event::Update(status) = &**event
            && status.state == TaskState::TaskUnreachable
        {
            self.ahead = Duration::from_secs(1);
        }
        self.scheduler.step(now + self.ahead, input)
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.scheduler.deadline().map(|at| at - self.ahead)
    }

    fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }
}

#[test]
fn a_copy_that_is_replaced_early_is_found() {
    let partition = Some(Span::from_secs(10));
    let plan = small_world(Small { agents: 2, crash: false, partition, exit: false });
    let bounds = Bounds { from: Duration::from_millis(11_900), depth: 16, ..Bounds::default() };
    let found = explore_subject::<Impatient>(&plan, bounds);
    let found = found.violation.expect("the hurry is found");
    assert_eq!(found.violation.oracle, "unreachable", "{found:?}");
}

/// Whoever asks for the end of a copy.
fn kill() -> Request {
    Request::Kill { pod: "/p".to_owned(), nth: vec![0], wipe: false }
}

/// What the plain exploration of `plan` does not see, nor a run as usual, but one that goes on to the end.
fn found_in_the_end<S: Subject + Debug>(plan: &Plan, bounds: Bounds) -> Violation {
    assert_eq!(run_subject::<S>(plan, false).violation, None, "the usual order does not show it");
    assert_clean(&explore_subject::<S>(plan, Bounds { finish: false, ..bounds }));
    let found = explore_subject::<S>(plan, Bounds { finish: true, ..bounds }).violation.expect("it is found");
    let path: Vec<_> = found.path.iter().map(|(at, event)| format!("{at:?} {event}")).collect();
    assert_eq!(path.len(), found.choices.len() + 1, "{path:#?}");
    let again = replay_subject::<S>(plan, Bounds { finish: true, ..bounds }, &found.choices).unwrap();
    assert_eq!(again.violation.as_ref(), Some(&found.violation));
    found.violation
}

/// In its first minute it gives one container of a copy an hour to end, and leaves its executor alone.
#[derive(Clone, Debug)]
struct Lenient {
    scheduler: Scheduler,
    begun: Option<Timestamp>,
}

impl Subject for Lenient {
    fn start(config: Config, seed: u64, entries: Vec<Entry>) -> Result<Self, RestoreError> {
        Ok(Self { scheduler: Scheduler::restore(config, seed, entries)?, begun: None })
    }

    fn step(&mut self, now: Timestamp, input: Input) -> Output {
        let begun = *self.begun.get_or_insert(now);
        let mut output = self.scheduler.step(now, input);
        for action in &mut output.actions {
            if let Action::Call(Call::Kill { task_id, grace_period, .. }) = action
                && task_id.as_str().ends_with(".b.1")
                && now.since(begun) < Duration::from_secs(60)
            {
                *grace_period = Some(Duration::from_secs(3600));
            }
        }
        output.actions.retain(|action| !matches!(action, Action::Call(Call::Shutdown { .. })));
        output
    }

    fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }
}

#[test]
fn a_container_that_outlives_its_group_is_found_in_the_end() {
    let mut plan = small_world(Small { agents: 1, crash: false, partition: None, exit: false });
    plan.workload.push(Planned::at(LATE, kill()));
    plan.containers.push(ContainerRule {
        container: Some("b".to_owned()),
        behaviour: Behaviour { deaf: Chance::ALWAYS, ..Behaviour::default() },
        lasting: true,
        ..ContainerRule::default()
    });
    let bounds = Bounds { from: Duration::from_secs(3), depth: 4, ..Bounds::default() };
    let found = found_in_the_end::<Lenient>(&plan, bounds);
    assert_eq!(found.oracle, "atomicity", "{found}");
}

/// Never ends anything that comes back after a restart.
#[derive(Clone, Debug)]
struct Merciful {
    scheduler: Scheduler,
    is_second: bool,
}

impl Subject for Merciful {
    fn start(config: Config, seed: u64, entries: Vec<Entry>) -> Result<Self, RestoreError> {
        let is_second = !entries.is_empty();
        Ok(Self { scheduler: Scheduler::restore(config, seed, entries)?, is_second })
    }

    fn step(&mut self, now: Timestamp, input: Input) -> Output {
        let mut output = self.scheduler.step(now, input);
        let is_end =
            |action: &Action| matches!(action, Action::Call(Call::Kill { .. } | Call::Shutdown { .. }));
        output.actions.retain(|action| !self.is_second || !is_end(action));
        output
    }

    fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }
}

#[test]
fn a_copy_that_comes_back_and_is_not_ended_is_found_in_the_end() {
    let partition = Some(Span::from_secs(10));
    let plan = small_world(Small { agents: 2, crash: true, partition, exit: false });
    let bounds = Bounds { from: Duration::from_millis(19_900), depth: 4, ..Bounds::default() };
    let found = found_in_the_end::<Merciful>(&plan, bounds);
    assert_eq!(found.oracle, "unreachable", "{found}");
}

/// Does not know what to do about a failed container.
#[derive(Clone, Debug)]
struct Fragile(Scheduler);

impl Subject for Fragile {
    fn start(config: Config, seed: u64, entries: Vec<Entry>) -> Result<Self, RestoreError> {
        Scheduler::restore(config, seed, entries).map(Self)
    }

    fn step(&mut self, now: Timestamp, input: Input) -> Output {
        if let Input::Event(event) = &input
            && let Event::Update(status) = &**event
        {
            assert_ne!(status.state, TaskState::TaskFailed, "that was not planned");
        }
        self.0.step(now, input)
    }

    fn scheduler(&self) -> &Scheduler {
        &self.0
    }
}

#[test]
fn a_panic_is_found_with_what_led_to_it() {
    let plan = small_world(Small { agents: 1, crash: false, partition: None, exit: true });
    let bounds = Bounds { from: Duration::from_secs(10), depth: 6, ..Bounds::default() };
    let found = explore_subject::<Fragile>(&plan, bounds).violation.expect("the panic is found");
    assert_eq!(found.violation.oracle, "panic");
    assert!(found.violation.sentence.contains("that was not planned"), "{}", found.violation);
    assert!(!found.path.is_empty());
}
