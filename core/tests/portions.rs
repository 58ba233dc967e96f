//! However much an input leads to, one step does only a portion of it, and the rest is done soon.
//!
//! What is bounded is the number of instances and pods that a step changes. How long that takes, the benchmarks show.

mod harness;

use std::sync::Arc;
use std::time::Duration;

use harness::{Driver, changed, pod, pod_id};
use podium_core::model::ids::{GroupId, new_uuid};
use podium_core::model::instance::Goal;
use podium_core::model::mesos::Call;
use podium_core::{Action, Command, CommandId, Config, Entry, Input, Key, Origin, Output, Record};

/// No step changes more instances, or begins to look at more pods.
const PORTION: usize = 500;

/// The numbers of instances that each tick writes down, until the scheduler comes to rest.
fn portions(driver: &mut Driver) -> Vec<usize> {
    let mut portions = Vec::new();
    while driver.scheduler.deadline().is_some_and(|at| at <= driver.now) {
        portions.push(instances_in(&driver.step(Input::Tick)));
        assert!(portions.len() < 1000, "the scheduler does not come to rest");
    }
    portions
}

/// Gives a command and nothing after it.
fn command(driver: &mut Driver, command: Command) -> Output {
    driver.now = driver.now.next();
    driver.step(Input::Command { id: CommandId(77), origin: Origin::default(), command: Box::new(command) })
}

fn instances_in(output: &Output) -> usize {
    let is_of_instance = |record: &&Record| match record {
        Record::Put(entry) => matches!(entry, Entry::Instance(_)),
        Record::Delete(key) => matches!(key, Key::Instance(_)),
    };
    output.records.iter().filter(is_of_instance).count()
}

/// A scheduler with `copies` that were launched in one moment, ten seconds ago, and nothing was heard of them since.
fn with_launches(copies: u32) -> Driver {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 1, 1));
    driver.offer("s1", 8.0, 8192.0);
    let mut entries = Vec::new();
    for entry in std::mem::take(&mut driver.store).into_values() {
        match entry {
            Entry::Instance(instance) => entries.extend((0..copies).map(|n| {
                let mut instance = (*instance).clone();
                let mut random = [0; 10];
                random[6..].copy_from_slice(&n.to_be_bytes());
                instance.id.uuid = new_uuid(driver.now, random);
                Entry::Instance(instance.into())
            })),
            Entry::PodVersion(spec) => {
                let mut spec = (*spec).clone();
                spec.scaling.instances = copies;
                entries.push(Entry::PodVersion(Arc::new(spec)));
            }
            entry => entries.push(entry),
        }
    }
    driver.store = entries.into_iter().map(|entry| (entry.key(), entry)).collect();
    driver.restart();
    driver.subscribe();
    // It takes as long to ask about all of them.
    driver.wait(f64::from(copies) / 10_000.0);
    // Nobody answers.
    driver.now = driver.now + Duration::from_secs(15);
    driver
}

#[test]
fn a_step_takes_a_portion_of_a_hundred_thousand_timers_that_are_due() {
    let mut driver = with_launches(100_000);
    let first = command(&mut driver, Command::ResetDelay { pod: pod_id("/nobody") });
    assert_eq!(instances_in(&first), PORTION, "whatever the input is");
    assert_eq!(portions(&mut driver), [vec![PORTION; 199], vec![]].concat());
    assert!(driver.scheduler.deadline().unwrap() > driver.now, "nothing is left to be done now");
    let asked = |entry: &Entry| matches!(entry, Entry::Instance(instance) if instance.launch_questioned);
    assert_eq!(driver.store.values().filter(|entry| asked(entry)).count(), 100_000);
}

#[test]
fn other_inputs_have_their_turn_between_two_portions() {
    let mut driver = with_launches(2_000);
    let _ = driver.step(Input::Tick);
    let output = command(&mut driver, Command::DeletePod { id: pod_id("/p"), force: true });
    let replies = output.actions.iter().filter(|action| matches!(action, Action::Reply { .. }));
    assert_eq!(replies.count(), 1);
    assert!(driver.scheduler.pod(&pod_id("/p")).is_none(), "the change is whole");
    driver.finish();
    let goals = driver.store.values().filter_map(|entry| match entry {
        Entry::Instance(instance) => Some(instance.goal),
        _ => None,
    });
    assert_eq!(goals.filter(|goal| *goal == Goal::Decommissioned).count(), 2_000);
}

#[test]
fn copies_are_made_and_ended_in_portions() {
    let mut driver = Driver::connected();
    let created = command(&mut driver, create("/p", 1_200));
    assert_eq!(instances_in(&created), PORTION - 2, "two looks at the pod count, too");
    assert_eq!(portions(&mut driver), [PORTION - 1, 1_200 - (PORTION - 2) - (PORTION - 1)]);
    assert_eq!(driver.scheduler.instance_count(), 1_200);
    assert_eq!(driver.deployments().len(), 1, "it waits for them");
    // Of those that were never launched nothing is left to be waited for.
    let mut fewer = pod("/p", 1, 50);
    fewer.version = driver.now;
    let fewer = Command::UpdatePod { pod: fewer, force: true, role_given: false };
    let scaled = command(&mut driver, fewer);
    assert_eq!(instances_in(&scaled), PORTION - 1);
    assert_eq!(driver.deployments().len(), 1, "it is not done before the last of them is gone");
    assert_eq!(portions(&mut driver).iter().sum::<usize>(), 1_200 - 50 - (PORTION - 1));
    assert_eq!(driver.scheduler.instance_count(), 50);
    let _ = command(&mut driver, create("/q", 1_200));
    driver.finish();
    let deleted = command(&mut driver, Command::DeletePod { id: pod_id("/q"), force: true });
    assert_eq!(instances_in(&deleted), PORTION - 1);
    driver.finish();
    assert_eq!(driver.scheduler.instance_count(), 50);
}

/// How many steps it takes until `is_so`.
fn steps_until(driver: &mut Driver, is_so: impl Fn(&Driver) -> bool) -> usize {
    let mut steps = 0;
    while !is_so(driver) {
        assert!(driver.scheduler.deadline().is_some_and(|at| at <= driver.now), "it is at rest");
        let _ = driver.step(Input::Tick);
        steps += 1;
    }
    steps
}

#[test]
fn a_large_pod_does_not_delay_those_behind_it_in_the_alphabet() {
    let portion = 20;
    let mut driver = Driver::connected_with(Config { portion, ..Config::default() });
    let _ = command(&mut driver, create("/a", 2_000));
    let _ = command(&mut driver, create("/b", 2_000));
    let _ = command(&mut driver, create("/z", 1));
    let has_a_copy = |driver: &Driver| !driver.status_of("/z").instances.is_empty();
    let steps = steps_until(&mut driver, has_a_copy);
    assert!(steps <= 2, "{steps}: one portion for each of those before it");
    let steps = steps_until(&mut driver, |driver| driver.scheduler.instance_count() == 4_001);
    assert!(steps <= 4_000 / (portion - 2), "{steps}: both large ones get on");
    let _ = command(&mut driver, Command::DeletePod { id: pod_id("/a"), force: true });
    let _ = command(&mut driver, Command::DeletePod { id: pod_id("/z"), force: true });
    let is_gone = |driver: &Driver| {
        !driver.store.keys().any(|key| matches!(key, Key::Instance(id) if id.pod == pod_id("/z")))
    };
    assert!(steps_until(&mut driver, is_gone) <= 1, "ending them does not either");
    driver.finish();
    assert_eq!(driver.scheduler.instance_count(), 2_000);
}

#[test]
fn a_pod_that_is_touched_with_every_step_does_not_delay_those_behind_it() {
    let mut driver = Driver::with(Config { portion: 2, ..Config::default() });
    driver.create(pod("/a", 1, 0));
    driver.create(pod("/z", 1, 1));
    let busy = |n: u32| Command::UpdatePod {
        pod: harness::changed(pod("/a", 1, 0), &n.to_string()),
        force: true,
        role_given: false,
    };
    let _ = command(&mut driver, Command::DeletePod { id: pod_id("/z"), force: true });
    for n in 0..10 {
        let _ = command(&mut driver, busy(n));
    }
    assert_eq!(driver.scheduler.instance_count(), 0);
}

#[test]
fn the_pods_of_a_large_group_end_in_portions_and_in_one_deployment() {
    let config = Config { max_running_deployments: 2_000, ..Config::default() };
    let mut driver = Driver::connected_with(config);
    for n in 0..1_200 {
        driver.create(pod(&format!("/g/p{n}"), 1, 1));
    }
    let before = driver.scheduler.instance_count();
    assert_eq!(before, 1_200);
    let deleted = command(&mut driver, Command::DeleteGroup { id: GroupId::from("/g"), force: true });
    assert!(instances_in(&deleted) <= PORTION, "{}", instances_in(&deleted));
    assert_eq!(driver.scheduler.pods().count(), 0, "all of them are gone from the API");
    assert!(portions(&mut driver).iter().all(|portion| *portion <= PORTION));
    assert_eq!((driver.scheduler.instance_count(), driver.scheduler.deployments(driver.now)), (0, vec![]));
}

#[test]
fn a_crash_between_two_portions_loses_none() {
    let mut driver = Driver::connected();
    let _ = command(&mut driver, create("/p", 1_200));
    driver.restart();
    driver.finish();
    assert_eq!(driver.scheduler.instance_count(), 1_200);
    let _ = command(&mut driver, Command::DeletePod { id: pod_id("/p"), force: true });
    driver.restart();
    driver.finish();
    assert_eq!((driver.scheduler.instance_count(), driver.scheduler.deployments(driver.now)), (0, vec![]));
}

#[test]
fn a_plan_shows_all_that_follows_and_not_only_a_portion() {
    let driver = Driver::connected();
    let plan = driver.scheduler.rehearse(create("/p", 1_200)).play(driver.now).unwrap().plan;
    assert_eq!(plan.start.iter().map(|start| start.instances).collect::<Vec<_>>(), [1_200]);
}

/// A master that does not answer is asked again about everything, and never with one call about all.
#[test]
fn what_mesos_did_not_answer_is_repeated_in_portions() {
    let mut driver = with_launches(10_000);
    driver.subscribe();
    driver.finish();
    let mut asked = 0;
    for _ in 0..600 {
        driver.calls.clear();
        driver.now = driver.now + Duration::from_millis(100);
        let _ = driver.step(Input::Tick);
        let tasks: Vec<usize> = driver
            .calls
            .iter()
            .filter_map(|call| match call {
                Call::Reconcile { tasks } => Some(tasks.len()),
                _ => None,
            })
            .collect();
        assert!(tasks.iter().all(|tasks| *tasks <= 1000), "{tasks:?}");
        asked += tasks.iter().sum::<usize>();
    }
    assert!(asked >= 20_000, "{asked}");
}

fn create(id: &str, instances: u32) -> Command {
    Command::CreatePod { pod: pod(id, 1, instances), force: false, role_given: false }
}

#[test]
fn a_pod_created_anew_while_its_copies_are_being_chosen_to_end_gets_new_ones() {
    let mut driver = Driver::connected_with(Config { portion: 3, ..Config::default() });
    driver.create(pod("/p", 1, 6));
    driver.offer("s1", 80.0, 80_000.0);
    driver.finish();
    for n in 0..6 {
        driver.run(n);
    }
    driver.wait(10.0);
    let delete = Command::DeletePod { id: pod_id("/p"), force: false };
    let create = Command::CreatePod { pod: changed(pod("/p", 1, 3), "2"), force: true, role_given: false };
    let _ = command(&mut driver, delete);
    let _ = command(&mut driver, create);
    for _ in 0..20 {
        driver.finish();
        driver.offer("s1", 80.0, 80_000.0);
        driver.confirm_kills();
        for n in 0..driver.instances().len() {
            driver.run(n);
        }
        driver.wait(10.0);
    }
    assert_eq!(driver.picture(), ["v2.1 s1 Stable"; 3]);
    assert_eq!(driver.deployments(), [""; 0]);
}
