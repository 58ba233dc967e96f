//! Agents that get lost and come back, and status updates that contradict each other.

mod harness;

use std::time::Duration;

use harness::{Driver, changed, pod, pod_id, pod_with};
use podium_core::model::ids::AgentId;
use podium_core::model::instance::Instance;
use podium_core::model::mesos::{Call, Event, NetworkStatus, TaskState};
use podium_core::model::pod::PodSpec;
use podium_core::view::PodInstanceState;
use podium_core::{Action, Entry, Input};
use serde_json::json;

/// A pod whose copies are replaced after `inactive` seconds out of reach and given up after `expunge`.
fn patient(instances: u32, inactive: u32, expunge: u32) -> PodSpec {
    let strategy = json!({"inactiveAfterSeconds": inactive, "expungeAfterSeconds": expunge});
    pod_with("/p", 2, instances, &json!({"scheduling": {"unreachableStrategy": strategy}}))
}

fn disabled(instances: u32) -> PodSpec {
    pod_with("/p", 2, instances, &json!({"scheduling": {"unreachableStrategy": "disabled"}}))
}

/// What is stored of the only instance.
fn stored(driver: &Driver) -> Instance {
    let mut instances = driver.store.values().filter_map(|entry| match entry {
        Entry::Instance(instance) => Some((**instance).clone()),
        _ => None,
    });
    instances.next().expect("there is an instance")
}

fn forgotten(driver: &Driver) -> usize {
    driver.store.values().filter(|entry| matches!(entry, Entry::Forgotten(_))).count()
}

#[test]
fn equal_times_replace_and_give_up_in_the_same_moment() {
    let mut driver = Driver::running(patient(1, 60, 60));
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.wait(59.999);
    assert_eq!(driver.picture(), ["v1.1 s1 Degraded"]);
    driver.wait(0.001);
    assert_eq!(driver.picture(), ["v1.0 - Pending"]);
    assert_eq!(forgotten(&driver), 1);
}

#[test]
fn no_time_at_all_replaces_with_the_news_even_if_the_masters_clock_is_ahead() {
    let mut driver = Driver::running(patient(1, 0, 0));
    for container in ["a", "b"] {
        let mut status = driver.status(0, container, TaskState::TaskUnreachable);
        status.unreachable_time = Some(driver.now + Duration::from_secs(30));
        let first = container == "a";
        driver.event(Event::Update(status));
        if first {
            // The other container may be in reach, so it is asked to end before the copy is given up.
            assert_eq!(driver.picture(), ["v1.1 s1 Terminal", "v1.0 - Pending"]);
        }
    }
    assert_eq!(driver.picture(), ["v1.0 - Pending"]);
    assert_eq!(forgotten(&driver), 1);
}

#[test]
fn a_replacement_comes_after_the_pods_own_time_and_not_at_the_next_reconciliation() {
    let mut driver = Driver::running(patient(1, 61, 6000));
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.wait(60.0);
    assert_eq!(driver.picture(), ["v1.1 s1 Degraded"]);
    driver.wait(1.0);
    assert_eq!(driver.picture(), ["v1.1 s1 Degraded", "v1.0 - Pending"]);
}

#[test]
fn time_that_passed_before_the_news_came_counts() {
    let mut driver = Driver::running(patient(1, 60, 6000));
    for container in ["a", "b"] {
        let mut status = driver.status(0, container, TaskState::TaskUnreachable);
        status.unreachable_time = Some(driver.now - Duration::from_secs(50));
        driver.event(Event::Update(status));
    }
    driver.wait(10.0);
    assert_eq!(driver.picture(), ["v1.1 s1 Degraded", "v1.0 - Pending"]);
}

#[test]
fn a_partition_counts_from_its_own_beginning_even_if_the_return_before_it_was_missed() {
    let mut driver = Driver::running(patient(1, 60, 6000));
    let out_of_reach_since = |driver: &mut Driver, at| {
        for container in ["a", "b"] {
            let mut status = driver.status(0, container, TaskState::TaskUnreachable);
            status.unreachable_time = Some(at);
            driver.event(Event::Update(status));
        }
    };
    // The master's clock is ahead. What it says again is no other partition.
    let first = driver.now + Duration::from_secs(5);
    out_of_reach_since(&mut driver, first);
    driver.wait(50.0);
    out_of_reach_since(&mut driver, first);
    let second = driver.now - Duration::from_secs(10);
    out_of_reach_since(&mut driver, second);
    driver.wait(49.999);
    assert_eq!(driver.picture(), ["v1.1 s1 Degraded"]);
    driver.wait(0.001);
    assert_eq!(driver.picture(), ["v1.1 s1 Degraded", "v1.0 - Pending"]);
}

#[test]
fn a_task_given_up_for_lost_that_speaks_up_is_killed_and_does_not_run_beside_its_next_launch() {
    for state in [
        TaskState::TaskDropped,
        TaskState::TaskGone,
        TaskState::TaskGoneByOperator,
        TaskState::TaskUnknown,
        TaskState::TaskLost,
    ] {
        let mut driver = Driver::running(pod("/p", 1, 1));
        let (lost, ..) = driver.instance(0);
        let alive = driver.status(0, "a", TaskState::TaskRunning);
        driver.update_all(0, state);
        driver.calls.clear();
        driver.event(Event::Update(alive));
        assert_eq!(driver.kills(), ["/p.a.1"], "{state}");
        assert_eq!(driver.picture(), ["v1.0 - Pending"], "{state}");
        assert_ne!(driver.instance(0).0, lost, "{state}: another instance, with another executor");
    }
}

#[test]
fn a_short_partition_changes_nothing() {
    let mut driver = Driver::running(pod("/p", 2, 3));
    let before = driver.picture();
    for n in 0..3 {
        driver.update_all(n, TaskState::TaskUnreachable);
    }
    driver.wait(600.0);
    for n in 0..3 {
        driver.update_all(n, TaskState::TaskRunning);
    }
    driver.wait(100_000.0);
    assert_eq!(driver.picture(), before);
    assert_eq!(driver.kills(), [""; 0]);
}

#[test]
fn containers_that_are_still_in_reach_are_ended_before_their_group_is_given_up() {
    let mut driver = Driver::running(patient(1, 60, 120));
    driver.update(0, "a", TaskState::TaskUnreachable);
    driver.wait(60.0);
    assert_eq!(driver.picture(), ["v1.1 s1 Degraded", "v1.0 - Pending"]);
    driver.wait(60.0);
    assert_eq!(driver.picture(), ["v1.1 s1 Terminal", "v1.0 - Pending"]);
    assert_eq!(driver.kills(), ["/p.b.1"]);
    driver.update(0, "b", TaskState::TaskKilled);
    assert_eq!(driver.picture(), ["v1.0 - Pending"]);
    assert_eq!(forgotten(&driver), 1);
}

/// A pod whose first copy was replaced by a second one, which runs.
fn replaced(selection: &str) -> Driver {
    let mut driver = Driver::running(pod_with(
        "/p",
        1,
        1,
        &json!({"scheduling": {
            "killSelection": selection,
            "unreachableStrategy": {"inactiveAfterSeconds": 60, "expungeAfterSeconds": 6000}
        }}),
    ));
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.wait(60.0);
    driver.offer("s2", 8.0, 8192.0);
    driver.run(1);
    driver.wait(60.0);
    driver.calls.clear();
    driver
}

#[test]
fn when_the_first_copy_returns_one_too_many_goes_at_once_by_kill_selection() {
    for (selection, stays) in [("YOUNGEST_FIRST", "s1"), ("OLDEST_FIRST", "s2")] {
        let mut driver = replaced(selection);
        driver.update_all(0, TaskState::TaskRunning);
        assert_eq!(driver.confirm_kills(), 1, "{selection}");
        assert_eq!(driver.picture(), [format!("v1.1 {stays} Stable")], "{selection}");
    }
}

/// The same with three copies, checked for their health, of which the second was replaced.
fn replaced_of_three(on_return: &str) -> Driver {
    let mut driver = Driver::connected();
    let strategy = json!({"inactiveAfterSeconds": 60, "expungeAfterSeconds": 6000, "onReturn": on_return});
    let scheduling = json!({"killSelection": "OLDEST_FIRST", "unreachableStrategy": strategy});
    driver.create(harness::checked_pod("/p", 3, &json!({"scheduling": scheduling})));
    for n in 0..3 {
        driver.offer(&format!("s{}", n + 1), 0.3, 100.0);
        driver.run(n);
        driver.health(n, "a", true);
    }
    driver.update_all(1, TaskState::TaskUnreachable);
    driver.wait(60.0);
    driver.offer("s4", 8.0, 8192.0);
    driver.run(3);
    driver.wait(60.0);
    driver.health(3, "a", true);
    driver.wait(60.0);
    driver
}

#[test]
fn a_pod_may_say_which_copy_stays_when_the_first_returns() {
    for (on_return, goes) in [("ORIGINAL", "s4"), ("REPLACEMENT", "s2"), ("BEST_HEALTH", "s2")] {
        let mut driver = replaced_of_three(on_return);
        driver.health(1, "a", true);
        driver.confirm_kills();
        let left: Vec<_> = ["s1", "s2", "s3", "s4"].into_iter().filter(|agent| *agent != goes).collect();
        let picture: Vec<_> = left.iter().map(|agent| format!("v1.1 {agent} Stable")).collect();
        assert_eq!(driver.picture(), picture, "{on_return}");
    }
}

#[test]
fn whatever_a_pod_says_copies_that_serve_stay() {
    for (on_return, healthy, goes) in
        [("ORIGINAL", false, "s2"), ("BEST_HEALTH", false, "s2"), ("REPLACEMENT", true, "s4")]
    {
        let mut driver = replaced_of_three(on_return);
        driver.health(3, "a", !healthy);
        driver.health(1, "a", healthy);
        driver.confirm_kills();
        assert_eq!(driver.instances().len(), 3, "{on_return}");
        assert!(driver.picture().iter().all(|line| !line.contains(goes)), "{on_return}");
    }
}

#[test]
fn scaling_down_goes_by_kill_selection_also_after_a_copy_has_returned() {
    let mut driver = replaced_of_three("ORIGINAL");
    driver.health(1, "a", true);
    driver.confirm_kills();
    let mut spec = (*driver.status_of("/p").spec).clone();
    spec.scaling.instances = 2;
    driver.update_pod(spec);
    driver.confirm_kills();
    assert_eq!(driver.picture(), ["v1.1 s2 Stable", "v1.1 s3 Stable"], "the oldest goes");
}

/// A scaling down waits for a copy that does not end. Meanwhile another one is out of reach, is replaced and returns.
#[test]
fn a_copy_that_returns_while_a_scaling_down_waits_stays_if_the_pod_says_so() {
    let with = |instances, on_return: &str| {
        let strategy =
            json!({"inactiveAfterSeconds": 60, "expungeAfterSeconds": 6000, "onReturn": on_return});
        let scheduling = json!({"unreachableStrategy": strategy, "killSelection": "OLDEST_FIRST"});
        pod_with("/p", 1, instances, &json!({ "scheduling": scheduling }))
    };
    for (on_return, goes) in [("ORIGINAL", 3), ("REPLACEMENT", 1)] {
        let mut driver = Driver::running(with(3, on_return));
        driver.update_pod(with(2, on_return));
        assert_eq!(driver.deployments().len(), 1, "the oldest does not end");
        driver.update_all(1, TaskState::TaskUnreachable);
        driver.wait(60.0);
        driver.offer("s4", 8.0, 8192.0);
        driver.run(3);
        driver.wait(10.0);
        driver.calls.clear();
        let names: Vec<_> = (0..4)
            .map(|n| driver.instance(n))
            .map(|(id, incarnation, _)| id.task_id("a", incarnation))
            .collect();
        driver.update_all(1, TaskState::TaskRunning);
        let killed = |task| {
            driver.calls.iter().any(|call| matches!(call, Call::Kill { task_id, .. } if task_id == task))
        };
        let killed: Vec<usize> = (0..4).filter(|n| killed(&names[*n])).collect();
        assert_eq!(killed, [goes], "{on_return}");
    }
}

#[test]
fn when_the_first_copy_returns_before_the_second_serves_the_second_goes() {
    let mut driver = Driver::running(patient(1, 60, 6000));
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.wait(60.0);
    driver.offer("s2", 8.0, 8192.0);
    driver.update_all(1, TaskState::TaskStarting);
    driver.update_all(0, TaskState::TaskRunning);
    driver.confirm_kills();
    assert_eq!(driver.picture(), ["v1.1 s1 Stable"]);
}

#[test]
fn a_place_that_only_one_copy_may_have_is_free_again_once_its_copy_is_inactive() {
    let constraint = json!([{"fieldName": "@hostname", "operator": "UNIQUE"}]);
    let strategy = json!({"inactiveAfterSeconds": 60, "expungeAfterSeconds": 6000});
    let scheduling = json!({"placement": {"constraints": constraint}, "unreachableStrategy": strategy});
    let mut driver = Driver::running(pod_with("/p", 1, 1, &json!({"scheduling": scheduling})));
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.wait(60.0);
    driver.offer("s1", 8.0, 8192.0);
    assert_eq!(driver.picture(), ["v1.1 s1 Degraded", "v1.1 s1 Pending"]);
}

#[test]
fn nobody_waits_for_copies_that_are_unwanted_and_out_of_reach() {
    let mut driver = Driver::running(disabled(2));
    let late = driver.status(0, "a", TaskState::TaskRunning);
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.update_pod(disabled(1));
    assert_eq!(driver.picture(), ["v1.1 s1 Stable"]);
    assert_eq!(driver.deployments(), [""; 0]);
    driver.calls.clear();
    driver.event(Event::Update(late));
    assert_eq!(driver.kills(), ["/p.a.1"]);
}

#[test]
fn a_copy_that_gets_lost_while_it_ends_does_not_hold_up_a_deletion() {
    let mut driver = Driver::running(disabled(1));
    let statuses: Vec<_> =
        ["a", "b"].iter().map(|name| driver.status(0, name, TaskState::TaskUnreachable)).collect();
    driver.delete_pod("/p");
    assert_eq!(driver.scheduler.deployments(driver.now).len(), 1);
    for status in statuses {
        driver.event(Event::Update(status));
    }
    assert_eq!(driver.deployments(), [""; 0]);
    assert_eq!((driver.scheduler.instance_count(), forgotten(&driver)), (0, 1));
}

/// It did not start in time, and hangs while it is being ended, when a person kills it.
#[test]
fn what_a_person_kills_is_replaced_at_once_out_of_reach_whyever_it_was_to_end_before() {
    let mut driver = Driver::connected();
    driver.create(patient(1, 600, 6000));
    driver.offer("s1", 8.0, 8192.0);
    driver.update_all(0, TaskState::TaskStarting);
    driver.wait(300.0);
    assert_eq!(driver.kills().len(), 2, "it is too slow");
    driver.kill(0, false);
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.offer("s2", 8.0, 8192.0);
    assert!(driver.picture().contains(&"v1.1 s2 Pending".to_owned()), "{:?}", driver.picture());
}

#[test]
fn disabled_neither_replaces_nor_gives_up() {
    let mut driver = Driver::running(disabled(1));
    driver.answers = true;
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.wait(10_000_000.0);
    assert_eq!(driver.picture(), ["v1.1 s1 Degraded"]);
}

#[test]
fn a_deployment_does_not_hold_up_replacements() {
    let mut driver = Driver::running(patient(2, 60, 6000));
    // A deployment that nobody has room for holds the lock.
    driver.update_pod(patient(3, 60, 6000));
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.wait(60.0);
    assert_eq!(driver.deployments().len(), 1);
    assert_eq!(driver.picture(), ["v1.1 s1 Degraded", "v1.1 s1 Stable", "v2.0 - Pending", "v2.0 - Pending"]);
}

#[test]
fn a_group_is_launched_again_only_after_its_executor_is_gone() {
    let mut driver = Driver::running(pod("/p", 2, 1));
    let executor = driver.instance(0).0.executor_id();
    driver.update(0, "a", TaskState::TaskFailed);
    driver.wait(2.0);
    driver.offer("s1", 8.0, 8192.0);
    assert_eq!(driver.picture(), ["v1.1 s1 Terminal"], "b still runs");
    driver.update(0, "b", TaskState::TaskKilled);
    driver.wait(2.0);
    let mut offer = driver.make_offer("s1", 8.0, 8192.0);
    offer.executor_ids.push(executor);
    driver.offer_all(vec![offer]);
    assert_eq!(driver.picture(), ["v1.1 s1 Pending"], "the executor is still ending");
    driver.offer("s1", 8.0, 8192.0);
    assert_eq!(driver.picture(), ["v1.2 s1 Pending"]);
    assert_eq!(
        driver.status_of("/p").instances[0].message.as_deref(),
        Some("waits for Mesos to confirm its launch")
    );
}

#[test]
fn a_group_of_which_one_container_was_killed_is_ending_and_the_rest_is_hunted() {
    let mut driver = Driver::running(pod("/p", 2, 1));
    driver.update(0, "a", TaskState::TaskKilled);
    assert_eq!(driver.picture(), ["v1.1 s1 Terminal"]);
    driver.calls.clear();
    driver.wait(10.0);
    assert_eq!(driver.kills(), ["/p.b.1"]);
}

#[test]
fn late_news_of_a_partition_that_is_over_changes_nothing() {
    let mut driver = Driver::running(patient(1, 60, 6000));
    let gone = [
        driver.status(0, "a", TaskState::TaskUnreachable),
        driver.status(0, "b", TaskState::TaskUnreachable),
    ];
    for status in gone.clone() {
        driver.event(Event::Update(status));
    }
    driver.wait(10.0);
    driver.update_all(0, TaskState::TaskRunning);
    for status in gone {
        let output = driver.step(Input::Event(Box::new(Event::Update(status))));
        assert_eq!(output.records, []);
    }
    assert_eq!(driver.picture(), ["v1.1 s1 Stable"]);
    driver.wait(10.0);
    driver.update_all(0, TaskState::TaskUnreachable);
    assert_eq!(driver.picture(), ["v1.1 s1 Degraded"], "a new partition is news");
}

#[test]
fn new_addresses_are_shown_also_if_nothing_else_is_new() {
    let mut driver = Driver::running(pod("/p", 1, 1));
    for address in ["10.0.0.1", "10.0.0.2"] {
        let mut status = driver.status(0, "a", TaskState::TaskRunning);
        status.networks = vec![NetworkStatus { name: None, ip_addresses: vec![address.to_owned()] }];
        driver.event(Event::Update(status));
        assert_eq!(driver.status_of("/p").instances[0].networks[0].addresses, [address]);
    }
}

#[test]
fn what_became_due_without_a_scheduler_is_done_as_soon_as_mesos_says_that_it_is_still_so() {
    let mut driver = Driver::running(patient(1, 60, 120));
    let unreachable = ["a", "b"].map(|container| driver.status(0, container, TaskState::TaskUnreachable));
    unreachable.iter().for_each(|status| driver.event(Event::Update(status.clone())));
    driver.now = driver.now + Duration::from_secs(3600);
    driver.restart();
    driver.subscribe();
    assert_eq!(driver.picture(), ["v1.1 s1 Degraded"], "that is an hour ago");
    unreachable.into_iter().for_each(|status| driver.event(Event::Update(status)));
    driver.finish();
    assert_eq!(driver.picture(), ["v1.0 - Pending"]);
    assert_eq!(forgotten(&driver), 1);
}

#[test]
fn a_copy_that_came_back_while_there_was_no_scheduler_is_kept() {
    let mut driver = Driver::running(patient(1, 60, 120));
    driver.update_all(0, TaskState::TaskUnreachable);
    let _ = driver.step(Input::Disconnected);
    driver.wait(3600.0);
    driver.restart();
    driver.wait(3600.0);
    assert_eq!(driver.picture(), ["v1.1 s1 Degraded"], "nobody can say");
    driver.subscribe();
    driver.update_all(0, TaskState::TaskRunning);
    driver.wait(3600.0);
    assert_eq!(driver.picture(), ["v1.1 s1 Stable"]);
    assert_eq!(driver.kills(), [""; 0]);
}

#[test]
fn a_copy_of_which_a_new_master_says_nothing_is_treated_as_what_it_was() {
    let mut driver = Driver::running(patient(1, 60, 120));
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.wait(59.0);
    driver.restart();
    driver.subscribe();
    driver.wait(14.999);
    assert_eq!(driver.picture(), ["v1.1 s1 Degraded"]);
    driver.wait(0.001);
    assert_eq!(driver.picture(), ["v1.1 s1 Degraded", "v1.0 - Pending"]);
}

#[test]
fn a_copy_that_came_up_while_there_was_no_scheduler_is_not_killed_for_being_slow() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 1, 1));
    driver.offer("s1", 8.0, 8192.0);
    driver.update_all(0, TaskState::TaskStarting);
    driver.now = driver.now + Duration::from_secs(3600);
    driver.restart();
    driver.subscribe();
    driver.update_all(0, TaskState::TaskRunning);
    driver.wait(3600.0);
    assert_eq!((driver.picture(), driver.kills()), (vec!["v1.1 s1 Stable".to_owned()], vec![]));
}

#[test]
fn a_new_strategy_reaches_copies_that_are_already_out_of_reach() {
    let mut driver = Driver::running(disabled(1));
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.wait(100.0);
    driver.update_pod(patient(1, 60, 150));
    assert_eq!(driver.picture(), ["v1.1 s1 Degraded", "v2.0 - Pending"]);
    driver.wait(50.0);
    assert_eq!(driver.picture(), ["v2.0 - Pending"]);
}

#[test]
fn a_strategy_that_is_taken_back_gives_nobody_up_any_more() {
    let mut driver = Driver::running(patient(1, 60, 120));
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.wait(60.0);
    driver.offer("s2", 8.0, 8192.0);
    driver.run(1);
    driver.update_pod(disabled(1));
    driver.wait(1_000_000.0);
    assert_eq!(driver.picture(), ["v1.1 s1 Degraded", "v1.1 s2 Stable"]);
    driver.update_all(0, TaskState::TaskRunning);
    driver.confirm_kills();
    assert_eq!(driver.instances().len(), 1, "one is enough");
}

#[test]
fn the_deletion_of_a_pod_that_is_out_of_reach_is_done_at_once() {
    let mut driver = Driver::running(disabled(1));
    let late = driver.status(0, "a", TaskState::TaskRunning);
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.delete_pod("/p");
    assert_eq!((driver.scheduler.deployments(driver.now).len(), driver.scheduler.instance_count()), (0, 0));
    driver.calls.clear();
    driver.event(Event::Update(late));
    assert_eq!(driver.kills(), ["/p.a.1"]);
}

#[test]
fn the_verdict_of_a_health_check_does_not_change_since_when_a_copy_runs() {
    let mut driver = Driver::running(harness::checked_pod("/p", 1, &json!({})));
    let running_since = stored(&driver).since;
    driver.wait(10.0);
    driver.health(0, "a", true);
    driver.wait(10.0);
    driver.health(0, "a", false);
    assert_eq!(stored(&driver).since, running_since);
    let instance = &driver.status_of("/p").instances[0];
    assert_eq!((instance.status, instance.status_since), (PodInstanceState::Degraded, driver.now));
}

#[test]
fn an_update_is_acknowledged_together_with_what_it_changed() {
    let mut driver = Driver::running(pod("/p", 1, 1));
    let status = driver.status(0, "a", TaskState::TaskFailed);
    let output = driver.step(Input::Event(Box::new(Event::Update(status))));
    assert!(!output.records.is_empty());
    let acknowledged =
        output.actions.iter().filter(|action| matches!(action, Action::Call(Call::Acknowledge { .. })));
    assert_eq!(acknowledged.count(), 1);
}

#[test]
fn every_update_of_a_burst_is_taken_in_and_acknowledged() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 4, 500));
    driver.offer("s1", 10_000.0, 1e6);
    let (_, _, agent) = driver.instance(0);
    assert_eq!(agent, Some(AgentId::from("s1")));
    let mut statuses = Vec::new();
    for instance in driver.instances() {
        for container in instance.containers {
            let mut status = podium_core::model::mesos::TaskStatus::new(
                container.container_id.expect("it was launched"),
                TaskState::TaskRunning,
            );
            status.agent_id.clone_from(&agent);
            status.uuid = Some(podium_core::model::mesos::StatusUuid::from_u128(statuses.len() as u128));
            statuses.push(status);
        }
    }
    driver.calls.clear();
    for status in statuses {
        driver.event(Event::Update(status));
    }
    let acknowledged = driver.calls.iter().filter(|call| matches!(call, Call::Acknowledge { .. })).count();
    assert_eq!(acknowledged, 2000);
    let stable = driver.instances().iter().filter(|i| i.status == PodInstanceState::Stable).count();
    assert_eq!(stable, 500);
}

#[test]
fn an_executor_that_is_lost_is_asked_about_at_once() {
    let mut driver = Driver::running(pod("/p", 2, 1));
    driver.calls.clear();
    driver.event(Event::Failure(podium_core::model::mesos::ExecutorFailure {
        agent_id: Some(AgentId::from("s1")),
        executor_id: Some(driver.instance(0).0.executor_id()),
        status: Some(9),
    }));
    let story = driver.story();
    assert_eq!(story, "RECONCILE /p.a.1 on Some(\"s1\"), /p.b.1 on Some(\"s1\")\n");
}

/// An agent that comes back tells of the tasks that it has: of a launch that it never heard of it says nothing.
#[test]
fn an_agent_that_is_offered_is_asked_about_copies_that_seem_to_be_out_of_reach() {
    let mut driver = Driver::running(pod("/p", 1, 1));
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.wait(9.0);
    driver.calls.clear();
    driver.offer("s1", 0.1, 32.0);
    assert!(!driver.story().contains("RECONCILE"), "its word may be on its way: {}", driver.story());
    driver.wait(1.0);
    driver.offer("s2", 0.1, 32.0);
    assert!(!driver.story().contains("RECONCILE"), "another agent: {}", driver.story());
    driver.offer("s1", 0.1, 32.0);
    assert!(driver.story().contains("RECONCILE /p.a.1 on Some(\"s1\")\n"), "{}", driver.story());
    driver.calls.clear();
    driver.offer("s1", 0.1, 32.0);
    assert!(!driver.story().contains("RECONCILE"), "not again and again: {}", driver.story());
    driver.update_all(0, TaskState::TaskRunning);
    driver.wait(10.0);
    driver.offer("s1", 0.1, 32.0);
    assert!(!driver.story().contains("RECONCILE"), "it is back: {}", driver.story());
}

#[test]
fn an_upgrade_and_a_kill_of_a_copy_out_of_reach_do_not_wait_for_it() {
    let mut driver = Driver::running(disabled(1));
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.update_pod(changed(disabled(1), "2"));
    driver.offer("s2", 8.0, 8192.0);
    driver.run(1);
    assert_eq!(driver.picture(), ["v1.1 s1 Degraded", "v2.1 s2 Stable"]);
    driver.wait(5.0);
    assert_eq!(driver.picture(), ["v2.1 s2 Stable"]);
    assert_eq!(driver.scheduler.pod(&pod_id("/p")).map(|pod| pod.instances()), Some(1));
    assert_eq!(driver.deployments(), [""; 0]);
}

/// One that was out of sight for a moment was not replaced by anybody.
#[test]
fn a_copy_that_was_out_of_reach_for_a_moment_does_not_go_for_another_that_returns() {
    let mut driver = Driver::connected();
    let strategy =
        json!({"inactiveAfterSeconds": 60, "expungeAfterSeconds": 6000, "onReturn": "REPLACEMENT"});
    driver.create(pod_with("/p", 1, 3, &json!({"scheduling": {"unreachableStrategy": strategy}})));
    for n in 0..3 {
        driver.offer(&format!("s{}", n + 1), 0.3, 100.0);
        driver.run(n);
    }
    driver.update_all(2, TaskState::TaskUnreachable);
    driver.wait(10.0);
    driver.update_all(2, TaskState::TaskRunning);
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.wait(60.0);
    driver.offer("s4", 8.0, 8192.0);
    driver.run(3);
    driver.wait(60.0);
    driver.update_all(0, TaskState::TaskRunning);
    driver.confirm_kills();
    assert_eq!(driver.picture(), ["v1.1 s2 Stable", "v1.1 s3 Stable", "v1.1 s4 Stable"]);
}

/// A replacement that has run for a second counts as much as the one that returns, whatever else goes first.
#[test]
fn what_on_return_says_holds_for_a_replacement_that_has_only_just_started() {
    for (on_return, left) in [("REPLACEMENT", "s2"), ("ORIGINAL", "s1")] {
        let strategy =
            json!({"inactiveAfterSeconds": 60, "expungeAfterSeconds": 6000, "onReturn": on_return});
        let mut driver =
            Driver::running(pod_with("/p", 1, 1, &json!({"scheduling": {"unreachableStrategy": strategy}})));
        driver.update_all(0, TaskState::TaskUnreachable);
        driver.wait(60.0);
        driver.offer("s2", 8.0, 8192.0);
        driver.run(1);
        driver.wait(1.0);
        driver.update_all(0, TaskState::TaskRunning);
        driver.confirm_kills();
        assert_eq!(driver.picture(), [format!("v1.1 {left} Stable")]);
    }
}

/// It was lost while it started, so nobody has seen yet that it stays.
#[test]
fn a_copy_that_runs_for_the_first_time_when_it_returns_is_as_new_as_others() {
    let mut driver = Driver::connected();
    driver.create(patient(2, 0, 6000));
    driver.offer("s1", 0.3, 96.0);
    driver.offer("s2", 0.3, 96.0);
    driver.run(1);
    driver.wait(60.0);
    driver.update_all(0, TaskState::TaskStarting);
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.offer("s3", 8.0, 8192.0);
    driver.run(2);
    driver.wait(1.0);
    driver.update_all(0, TaskState::TaskRunning);
    assert_eq!(driver.picture(), ["v1.1 s1 Terminal", "v1.1 s2 Stable", "v1.1 s3 Stable"]);
}
