//! Ends: who asks for them, how often, in which order, and what is true before they are confirmed.

mod harness;

use harness::{Driver, pod, pod_id, pod_with, short};
use podium_core::model::mesos::{Attribute, AttributeValue, Call, Event, TaskState, TaskStatus};
use podium_core::model::number::Number;
use podium_core::model::pod::Lifecycle;
use podium_core::{Command, Config, Input, Refusal};
use serde_json::json;

const NOTHING: [&str; 0] = [];

fn disabled(instances: u32) -> podium_core::model::pod::PodSpec {
    pod_with("/p", 1, instances, &json!({"scheduling": {"unreachableStrategy": "disabled"}}))
}

#[test]
fn a_kill_asked_for_without_a_connection_is_made_with_the_next() {
    let mut driver = Driver::running(pod("/p", 1, 1));
    let _ = driver.step(Input::Disconnected);
    driver.delete_pod("/p");
    driver.wait(1000.0);
    assert_eq!(driver.kills(), NOTHING);
    driver.subscribe();
    assert_eq!(driver.kills(), ["/p.a.1"]);
}

#[test]
fn a_new_connection_hears_of_every_kill_at_once() {
    let mut driver = Driver::running(pod("/p", 1, 2));
    driver.delete_pod("/p");
    assert_eq!(driver.kills(), ["/p.a.1", "/p.a.1"]);
    driver.wait(30.0);
    driver.calls.clear();
    let _ = driver.step(Input::Disconnected);
    driver.subscribe();
    assert_eq!(driver.kills(), ["/p.a.1", "/p.a.1"]);
}

#[test]
fn kills_are_repeated_for_what_is_left_and_in_the_end_the_executor_is_shut_down() {
    let mut driver = Driver::running(pod("/p", 2, 1));
    let half = driver.status(0, "a", TaskState::TaskKilled);
    driver.delete_pod("/p");
    driver.wait(10.0);
    driver.event(Event::Update(half));
    driver.wait(290.0);
    insta::assert_snapshot!(driver.story());
}

/// A copy that was given up and is back, and of whose end there is no word.
fn returned(grace: Option<f64>) -> (Driver, TaskStatus) {
    let strategy = json!({"inactiveAfterSeconds": 0, "expungeAfterSeconds": 0});
    let mut pod = pod_with("/p", 1, 1, &json!({"scheduling": {"unreachableStrategy": strategy}}));
    pod.containers[0].lifecycle =
        grace.map(|seconds| Lifecycle { kill_grace_period_seconds: Some(Number(seconds)) });
    let mut driver = Driver::running(pod);
    let back = driver.status(0, "a", TaskState::TaskRunning);
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.calls.clear();
    driver.event(Event::Update(back.clone()));
    (driver, back)
}

/// When the calls for the end of anything were made, in seconds from now on, and what they were.
fn hunt(driver: &mut Driver, seconds: u32) -> Vec<String> {
    let mut asked = Vec::new();
    for second in 0..=seconds {
        asked.extend(std::mem::take(&mut driver.calls).into_iter().filter_map(|call| match call {
            Call::Kill { task_id, .. } => Some(format!("{second} kill {}", short(&task_id))),
            Call::Shutdown { agent_id, .. } => Some(format!("{second} shut down on {agent_id}")),
            _ => None,
        }));
        driver.wait(1.0);
    }
    asked
}

#[test]
fn a_copy_that_was_given_up_and_returns_is_hunted_until_it_ends() {
    let (mut driver, back) = returned(None);
    let asked = [0, 2, 6, 14, 30, 60, 90].map(|second| format!("{second} kill /p.a.1"));
    let last = ["120 kill /p.a.1", "120 shut down on s1"].map(ToOwned::to_owned);
    assert_eq!(hunt(&mut driver, 121), [&asked[..], &last].concat());
    let [stray] = &driver.scheduler.strays().collect::<Vec<_>>()[..] else { panic!("one is shown") };
    assert_eq!((&stray.task_id, stray.kills), (&back.task_id, 8));

    let mut ended = back;
    ended.state = TaskState::TaskKilled;
    driver.event(Event::Update(ended));
    assert_eq!(hunt(&mut driver, 300), NOTHING);
    assert_eq!(driver.scheduler.strays().count(), 0);
}

#[test]
fn a_stray_that_goes_out_of_reach_is_left_alone_until_it_returns() {
    let (mut driver, back) = returned(None);
    let mut lost = back.clone();
    lost.state = TaskState::TaskUnreachable;
    driver.event(Event::Update(lost));
    driver.calls.clear();
    assert_eq!(hunt(&mut driver, 300), NOTHING);
    driver.event(Event::Update(back));
    assert_eq!(hunt(&mut driver, 1), ["0 kill /p.a.1"]);
    let _ = driver.step(Input::Disconnected);
    assert_eq!(driver.scheduler.strays().count(), 0, "the next subscription tells who is left");
}

#[test]
fn the_executor_of_a_stray_is_not_shut_down_before_its_grace_is_over() {
    let (mut driver, _) = returned(Some(300.0));
    let shut_down = |asked: &[String]| asked.iter().position(|line| line.contains("shut down"));
    assert_eq!(shut_down(&hunt(&mut driver, 299)), None);
    assert!(shut_down(&hunt(&mut driver, 60)).is_some());
}

/// Launches of an instance have the same executor: what ends it would end the launch that is to stay.
#[test]
fn the_executor_of_a_stray_is_not_shut_down_while_a_later_launch_runs_there() {
    let mut driver = Driver::running(pod("/p", 1, 1));
    let early = driver.status(0, "a", TaskState::TaskRunning);
    driver.update_all(0, TaskState::TaskFailed);
    driver.wait(30.0);
    driver.offer("s1", 8.0, 8192.0);
    driver.run(0);
    driver.calls.clear();
    driver.event(Event::Update(early));
    let asked = hunt(&mut driver, 300);
    assert!(asked.len() > 7 && asked.iter().all(|line| line.ends_with("kill /p.a.1")), "{asked:?}");
}

/// The default executor ignores a kill that comes before a container was started.
#[test]
fn an_executor_is_not_shut_down_before_the_grace_periods_of_its_containers_are_over() {
    let mut slow = pod("/p", 1, 1);
    slow.containers[0].lifecycle = Some(Lifecycle { kill_grace_period_seconds: Some(Number(1200.0)) });
    let mut driver = Driver::running(slow);
    driver.kill(0, false);
    let shutdowns =
        |driver: &Driver| driver.calls.iter().filter(|call| matches!(call, Call::Shutdown { .. })).count();
    driver.wait(1200.0);
    assert_eq!(shutdowns(&driver), 0);
    driver.wait(120.0);
    assert!(shutdowns(&driver) > 0);
}

#[test]
fn a_copy_that_comes_up_after_it_was_asked_to_end_is_asked_again_at_once() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 2, 1));
    driver.offer("s1", 8.0, 8192.0);
    driver.force_pod(pod("/p", 2, 0));
    assert_eq!(driver.kills(), ["/p.a.1", "/p.b.1"]);
    driver.update(0, "a", TaskState::TaskStarting);
    assert_eq!(driver.kills(), ["/p.a.1"]);
    driver.update(0, "a", TaskState::TaskRunning);
    assert_eq!(driver.kills(), ["/p.a.1"]);
    driver.update(0, "a", TaskState::TaskRunning);
    driver.health(0, "a", true);
    assert_eq!(driver.kills(), NOTHING, "that is no news of its life");
    driver.update(0, "a", TaskState::TaskKilling);
    driver.update(0, "a", TaskState::TaskRunning);
    assert_eq!(driver.kills(), NOTHING, "it was heard");
    driver.wait(2.0);
    assert_eq!(driver.kills(), ["/p.a.1", "/p.b.1"], "what is asked for so often is not asked for less");
}

#[test]
fn a_copy_that_is_wanted_is_left_alone_when_it_comes_up() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 1, 1));
    driver.offer("s1", 8.0, 8192.0);
    driver.run(0);
    assert_eq!(driver.kills(), NOTHING);
}

#[test]
fn stray_containers_of_one_group_are_all_killed() {
    let mut driver = Driver::running(pod("/p", 3, 1));
    let strays: Vec<TaskStatus> =
        ["a", "b", "c"].iter().map(|name| driver.status(0, name, TaskState::TaskRunning)).collect();
    driver.update_all(0, TaskState::TaskUnknown);
    driver.calls.clear();
    for stray in strays {
        driver.event(Event::Update(stray));
    }
    assert_eq!(driver.kills(), ["/p.a.1", "/p.b.1", "/p.c.1"]);
}

#[test]
fn a_copy_out_of_reach_that_a_person_kills_is_replaced_at_once() {
    let strategies = [json!("disabled"), json!({"inactiveAfterSeconds": 10, "expungeAfterSeconds": 6000})];
    for strategy in strategies {
        for wipe in [false, true] {
            let more = json!({"scheduling": {"unreachableStrategy": strategy}});
            let mut driver = Driver::running(pod_with("/p", 1, 1, &more));
            let late = driver.status(0, "a", TaskState::TaskRunning);
            driver.update_all(0, TaskState::TaskUnreachable);
            driver.wait(20.0);
            driver.kill(0, wipe);
            assert_eq!(driver.picture(), ["v1.0 - Pending"], "{strategy} {wipe}");
            driver.calls.clear();
            driver.event(Event::Update(late));
            assert_eq!(driver.kills(), ["/p.a.1"], "{strategy} {wipe}");
        }
    }
}

#[test]
fn a_copy_that_a_person_kills_and_that_goes_out_of_reach_before_its_end_is_replaced_at_once() {
    for strategy in [json!("disabled"), json!({"inactiveAfterSeconds": 900, "expungeAfterSeconds": 6000})] {
        let more = json!({"scheduling": {"unreachableStrategy": strategy}});
        let mut driver = Driver::running(pod_with("/p", 2, 1, &more));
        let late = driver.status(0, "a", TaskState::TaskRunning);
        driver.kill(0, false);
        assert_eq!(driver.kills(), ["/p.a.1", "/p.b.1"], "{strategy}");
        driver.update(0, "a", TaskState::TaskUnreachable);
        assert_eq!(driver.picture(), ["v1.1 s1 Terminal", "v1.0 - Pending"], "{strategy}");
        driver.update(0, "b", TaskState::TaskUnreachable);
        assert_eq!(driver.picture(), ["v1.0 - Pending"], "{strategy}");
        driver.calls.clear();
        driver.event(Event::Update(late));
        assert_eq!(driver.kills(), ["/p.a.1"], "{strategy}");
    }
}

#[test]
fn a_copy_that_takes_too_long_to_start_is_not_given_up_for_a_partition_on_top_of_it() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 1, 1));
    driver.offer("s1", 8.0, 8192.0);
    driver.update_all(0, TaskState::TaskStarting);
    driver.wait(301.0);
    assert_eq!(driver.kills(), ["/p.a.1"]);
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.wait(899.0);
    assert_eq!(driver.instances().len(), 1, "nobody asked for it: the pod's own time decides");
    driver.wait(1.0);
    assert_eq!(driver.instances().len(), 2);
}

#[test]
fn a_killed_copy_is_launched_again_without_a_delay_and_a_wiped_one_is_replaced() {
    let mut driver = Driver::running(pod("/p", 2, 2));
    let ids = [driver.instance(0).0, driver.instance(1).0];
    driver.kill(0, false);
    driver.kill(1, true);
    assert_eq!(driver.picture(), ["v1.1 s1 Terminal", "v1.1 s1 Terminal", "v1.0 - Pending"]);
    assert_eq!(driver.confirm_kills(), 4);
    driver.wait(1.0);
    driver.offer("s1", 8.0, 8192.0);
    assert_eq!(driver.picture(), ["v1.2 s1 Pending", "v1.1 s1 Pending"]);
    assert_eq!(driver.instance(0).0, ids[0]);
    assert_ne!(driver.instance(1).0, ids[1]);
}

/// A launch that nobody has confirmed costs less than one that an agent is working on.
#[test]
fn a_copy_that_had_failed_when_a_person_killed_it_has_failed_all_the_same() {
    let after = |fails: bool| {
        let mut driver = Driver::running(pod("/p", 2, 1));
        if fails {
            driver.update(0, "a", TaskState::TaskFailed);
        }
        driver.wait(1.0);
        driver.kill(0, false);
        driver.update_all(0, TaskState::TaskKilled);
        let status = driver.status_of("/p");
        let is_delayed = status.instances[0].message.as_deref().is_some_and(|why| why.contains("back-off"));
        (status.termination_history.len(), is_delayed)
    };
    assert_eq!(after(true), (1, true));
    assert_eq!(after(false), (0, false));
}

#[test]
fn of_copies_that_do_not_run_yet_those_go_first_that_nothing_was_heard_of() {
    for (selection, heard) in [("YOUNGEST_FIRST", 1), ("OLDEST_FIRST", 0)] {
        let spec =
            |instances| pod_with("/p", 1, instances, &json!({"scheduling": {"killSelection": selection}}));
        let mut driver = Driver::connected();
        driver.create(spec(2));
        driver.offer("s1", 8.0, 8192.0);
        driver.update_all(heard, TaskState::TaskStaging);
        let (stays, ..) = driver.instance(heard);
        driver.force_pod(spec(1));
        assert_eq!(driver.confirm_kills(), 1, "{selection}");
        assert_eq!((driver.instances().len(), driver.instance(0).0), (1, stays), "{selection}");
    }
}

#[test]
fn a_wiped_copy_is_there_until_its_end_is_confirmed() {
    let mut driver = Driver::running(pod("/p", 2, 1));
    driver.kill(0, true);
    driver.wait(10_000.0);
    assert_eq!(driver.picture(), ["v1.1 s1 Terminal", "v1.0 - Pending"]);
    let wiped = driver.instance(0).0;
    driver.restart();
    driver.subscribe();
    driver.calls.clear();
    driver.wait(60.0);
    assert!(driver.confirm_kills() > 0);
    assert!(driver.instances().iter().all(|instance| instance.id != wiped));
}

#[test]
fn so_many_are_killed_at_once_and_no_more_in_the_order_of_the_requests() {
    let config = Config { kill_chunk_size: 2, ..Config::default() };
    let mut driver = Driver::connected_with(config);
    driver.create(pod("/p", 1, 5));
    driver.offer("s1", 80.0, 80_000.0);
    for n in 0..5 {
        driver.run(n);
    }
    let ids: Vec<_> = driver.instances().into_iter().map(|instance| instance.id).collect();
    driver.calls.clear();
    for n in [3, 1, 4, 0, 2] {
        driver.kill(n, false);
    }
    let order: Vec<_> = [3, 1, 4, 0, 2].iter().map(|n| ids[*n].task_id("a", 1)).collect();
    let kills = |driver: &mut Driver| -> Vec<_> {
        std::mem::take(&mut driver.calls)
            .into_iter()
            .filter_map(|call| match call {
                Call::Kill { task_id, .. } => Some(task_id),
                _ => None,
            })
            .collect()
    };
    assert_eq!(kills(&mut driver), order[..2]);
    driver.wait(13.9);
    let mut again = kills(&mut driver);
    again.sort();
    again.dedup();
    let mut first = order[..2].to_vec();
    first.sort();
    assert_eq!(again, first, "repeating makes no room");
    let end = |driver: &mut Driver, n: usize| {
        driver.event(Event::Update(TaskStatus::new(order[n].clone(), TaskState::TaskKilled)));
    };
    end(&mut driver, 0);
    assert_eq!(kills(&mut driver), [order[2].clone()]);
    driver.wait(0.2);
    assert_eq!(kills(&mut driver), [order[1].clone(), order[3].clone()], "who takes long holds nobody up");
    // Another connection asks in the same order.
    driver.subscribe();
    assert_eq!(kills(&mut driver), order[1..3]);
    end(&mut driver, 2);
    assert_eq!(kills(&mut driver), [order[3].clone()]);
    end(&mut driver, 1);
    assert_eq!(kills(&mut driver), [order[4].clone()]);
}

#[test]
fn of_copies_that_are_spread_those_go_of_which_there_are_most() {
    let grouped = |instances| {
        let constraint = json!([{"fieldName": "rack", "operator": "GROUP_BY"}]);
        let scheduling = json!({"placement": {"constraints": constraint}});
        pod_with("/p", 1, instances, &json!({"scheduling": scheduling}))
    };
    let mut driver = Driver::connected();
    driver.create(grouped(7));
    // Rack 1 has two agents; its copies are the oldest.
    let racks = [("s1", "r1", 0.3), ("s2", "r2", 8.0), ("s3", "r3", 8.0), ("s4", "r1", 8.0)];
    while driver.picture().iter().any(|line| line.ends_with("- Pending")) {
        for (agent, rack, cpus) in racks {
            let mut offer = driver.make_offer(agent, cpus, 8192.0);
            offer.attributes =
                vec![Attribute { name: "rack".to_owned(), value: AttributeValue::Text(rack.to_owned()) }];
            driver.offer_all(vec![offer]);
        }
    }
    for n in 0..7 {
        driver.run(n);
    }
    let per_rack = |driver: &Driver| {
        let agents: Vec<_> = driver.instances().into_iter().filter_map(|i| i.agent_id).collect();
        let on = |names: &[&str]| agents.iter().filter(|agent| names.contains(&agent.as_str())).count();
        [on(&["s1", "s4"]), on(&["s2"]), on(&["s3"])]
    };
    driver.calls.clear();
    let before = per_rack(&driver);
    assert_eq!(before.iter().sum::<usize>(), 7);
    for (instances, most) in [(6, 2), (3, 1), (2, 1)] {
        driver.update_pod(grouped(instances));
        driver.confirm_kills();
        let left = per_rack(&driver);
        assert_eq!(left.iter().sum::<usize>(), instances as usize);
        assert_eq!(left.iter().max(), Some(&most), "{left:?}");
    }
}

#[test]
fn an_instance_that_is_ending_is_not_done_before_the_last_of_its_containers() {
    let mut driver = Driver::running(pod("/p", 3, 1));
    driver.delete_pod("/p");
    let tasks: Vec<_> = driver
        .calls
        .iter()
        .filter_map(|call| match call {
            Call::Kill { task_id, .. } => Some(task_id.clone()),
            _ => None,
        })
        .collect();
    let ends =
        [TaskState::TaskKilling, TaskState::TaskKilled, TaskState::TaskFinished, TaskState::TaskFailed];
    for (task, end) in tasks.iter().zip(ends) {
        assert_eq!(driver.scheduler.deployments(driver.now).len(), 1, "{}", short(task));
        driver.event(Event::Update(TaskStatus::new(task.clone(), end)));
    }
    assert_eq!(driver.scheduler.instance_count(), 1, "one is still ending");
    driver.event(Event::Update(TaskStatus::new(tasks[0].clone(), TaskState::TaskKilled)));
    assert_eq!((driver.scheduler.instance_count(), driver.scheduler.deployments(driver.now).len()), (0, 0));
}

#[test]
fn a_copy_that_returns_while_it_is_not_wanted_is_killed() {
    let mut driver = Driver::running(disabled(2));
    let late = driver.status(1, "a", TaskState::TaskRunning);
    driver.update_pod(disabled(1));
    driver.calls.clear();
    let mut lost = late.clone();
    lost.state = TaskState::TaskUnreachable;
    driver.event(Event::Update(lost));
    assert_eq!(driver.deployments(), NOTHING, "nobody waits for it");
    driver.calls.clear();
    driver.event(Event::Update(late));
    assert_eq!(driver.kills(), ["/p.a.1"]);
}

#[test]
fn killing_what_is_not_there_is_refused_or_passed_over() {
    let mut driver = Driver::running(pod("/p", 1, 1));
    let (instance, ..) = driver.instance(0);
    let pod = pod_id("/p");
    driver.kill(0, true);
    driver.confirm_kills();
    let one = Command::KillInstance { pod: pod.clone(), instance: instance.clone(), wipe: false };
    assert_eq!(driver.command(one), Err(Refusal::UnknownInstance(instance.to_string())));
    let several = Command::KillInstances { pod, instances: vec![instance], wipe: false };
    assert_eq!(driver.command(several), Ok(podium_core::Response::InstancesKilled(Vec::new())));
}
