//! Deployments: how old copies give way to new ones, and what happens when something comes between.

mod harness;

use std::time::Duration;

use harness::{Driver, changed, checked_pod, pod, pod_id, pod_with};
use podium_core::model::mesos::{Event, TaskState};
use podium_core::model::pod::PodSpec;
use podium_core::view::PodState;
use podium_core::{Config, Response};
use serde_json::json;

const NOTHING: [&str; 0] = [];

/// `instances` copies of which `floor` (a share) must stay healthy and that may grow by `over`.
fn elastic(instances: u32, floor: f64, over: f64) -> PodSpec {
    let upgrade = json!({"minimumHealthCapacity": floor, "maximumOverCapacity": over});
    pod_with("/p", 1, instances, &json!({"scheduling": {"upgrade": upgrade}}))
}

fn forget_at_once(instances: u32) -> PodSpec {
    let strategy = json!({"inactiveAfterSeconds": 0, "expungeAfterSeconds": 0});
    pod_with("/p", 1, instances, &json!({"scheduling": {"unreachableStrategy": strategy}}))
}

/// So many copies run and, if they are checked, are healthy.
fn serving(driver: &Driver) -> usize {
    driver.picture().iter().filter(|line| line.ends_with("Stable")).count()
}

#[test]
fn a_surplus_that_is_slow_to_end_holds_up_nothing_else() {
    let mut driver = Driver::running(pod("/p", 1, 3));
    driver.update_pod(pod("/p", 1, 2));
    assert_eq!(driver.picture(), ["v1.1 s1 Stable", "v1.1 s1 Stable", "v1.1 s1 Terminal"]);
    driver.crash(0);
    driver.wait(2.0);
    driver.offer("s1", 8.0, 8192.0);
    driver.run(0);
    assert_eq!(driver.picture(), ["v2.2 s1 Stable", "v1.1 s1 Stable", "v1.1 s1 Terminal"]);
}

#[test]
fn a_new_copy_that_gets_lost_midway_is_replaced_and_the_rollout_goes_on() {
    let mut driver = Driver::running(forget_at_once(1));
    driver.update_pod(changed(forget_at_once(1), "2"));
    driver.offer("s2", 8.0, 8192.0);
    driver.run(1);
    driver.update_all(1, TaskState::TaskUnreachable);
    assert_eq!(driver.picture(), ["v1.1 s1 Stable", "v2.0 - Pending"]);
    driver.offer("s3", 8.0, 8192.0);
    driver.run(1);
    driver.wait(5.0);
    driver.confirm_kills();
    assert_eq!(driver.picture(), ["v2.1 s3 Stable"]);
    assert_eq!(driver.deployments(), NOTHING);
}

#[test]
fn a_new_copy_that_a_person_wipes_midway_is_replaced_and_the_rollout_goes_on() {
    let mut driver = Driver::running(elastic(1, 0.0, 0.0));
    driver.update_pod(changed(elastic(1, 0.0, 0.0), "2"));
    driver.confirm_kills();
    driver.offer("s2", 8.0, 8192.0);
    assert_eq!(driver.picture(), ["v2.1 s2 Pending"]);
    driver.kill(0, true);
    driver.confirm_kills();
    driver.offer("s2", 8.0, 8192.0);
    driver.run(0);
    driver.wait(5.0);
    assert_eq!(driver.picture(), ["v2.1 s2 Stable"]);
    assert_eq!(driver.deployments(), NOTHING);
}

#[test]
fn a_version_that_crashes_in_a_loop_ends_no_old_copy() {
    let mut driver = Driver::running(pod("/p", 1, 3));
    driver.update_pod(changed(pod("/p", 1, 3), "2"));
    for _ in 0..20 {
        driver.offer("s2", 8.0, 8192.0);
        for n in 3..6 {
            if driver.picture()[n].contains("s2 Pending") {
                driver.run(n);
            }
        }
        driver.wait(4.9);
        for n in 3..6 {
            driver.crash(n);
        }
        driver.wait(60.0);
        assert_eq!(driver.picture()[..3], ["v1.1 s1 Stable"; 3]);
    }
    assert_eq!(driver.kills(), NOTHING);
    assert_eq!(driver.status_of("/p").status, PodState::Stable);
}

#[test]
fn rollouts_go_on_by_themselves_once_new_copies_have_run_for_long_enough() {
    let mut driver = Driver::running(pod("/p", 1, 2));
    driver.update_pod(changed(pod("/p", 1, 2), "2"));
    driver.offer("s2", 8.0, 8192.0);
    driver.run(2);
    driver.wait(4.999);
    assert_eq!(driver.kills(), NOTHING);
    driver.wait(0.001);
    assert_eq!(driver.kills(), ["/p.a.1"]);
}

#[test]
fn how_long_new_copies_must_run_can_be_set() {
    let config = Config { minimum_ready: Duration::ZERO, ..Config::default() };
    let mut driver = Driver::connected_with(config);
    driver.create(pod("/p", 1, 1));
    driver.offer("s1", 8.0, 8192.0);
    driver.run(0);
    driver.update_pod(changed(pod("/p", 1, 1), "2"));
    driver.offer("s2", 8.0, 8192.0);
    driver.calls.clear();
    driver.run(1);
    assert_eq!(driver.kills(), ["/p.a.1"]);
}

#[test]
fn a_restart_does_not_make_new_copies_run_longer_before_they_count() {
    let mut driver = Driver::running(pod("/p", 1, 1));
    driver.update_pod(changed(pod("/p", 1, 1), "2"));
    driver.offer("s2", 8.0, 8192.0);
    driver.run(1);
    driver.wait(3.0);
    driver.restart();
    driver.subscribe();
    for n in [0, 1] {
        driver.update_all(n, TaskState::TaskRunning);
    }
    driver.wait(2.0);
    assert_eq!(driver.kills(), ["/p.a.1"]);
}

#[test]
fn a_new_copy_that_turns_unhealthy_does_not_count_any_more() {
    let mut driver = Driver::connected();
    driver.answers = true;
    driver.create(checked_pod("/p", 2, &json!({})));
    driver.offer("s1", 8.0, 8192.0);
    for n in 0..2 {
        driver.run(n);
        driver.health(n, "a", true);
    }
    driver.update_pod(changed(checked_pod("/p", 2, &json!({})), "2"));
    driver.offer("s2", 8.0, 8192.0);
    driver.run(2);
    driver.run(3);
    driver.health(2, "a", true);
    assert_eq!(driver.confirm_kills(), 1, "one for one");
    assert_eq!(driver.picture(), ["v1.1 s1 Stable", "v2.1 s2 Stable", "v2.1 s2 Staging"]);
    driver.health(1, "a", false);
    driver.health(2, "a", true);
    driver.wait(600.0);
    assert_eq!(driver.kills(), NOTHING, "only two serve, and two must");
    assert_eq!(
        driver.deployments(),
        ["RestartPod /p: waits for 2 instances of the new version to be ready: 1 is so, 1 is not healthy"]
    );
    driver.health(1, "a", true);
    assert_eq!(driver.confirm_kills(), 1);
    assert_eq!(driver.picture(), ["v2.1 s2 Stable", "v2.1 s2 Stable"]);
    assert_eq!(driver.deployments(), NOTHING);
}

#[test]
fn copies_that_do_not_run_yet_do_not_stand_in_for_those_that_do() {
    let mut driver = Driver::running(elastic(2, 0.5, 0.0));
    // Four are wanted, two of them are still to come: half of four must stay.
    driver.update_pod(elastic(4, 0.5, 0.0));
    driver.force_pod(changed(elastic(4, 0.5, 0.0), "2"));
    assert_eq!(driver.kills(), NOTHING);
    assert_eq!(driver.picture(), ["v1.1 s1 Stable", "v1.1 s1 Stable", "v2.0 - Pending", "v2.0 - Pending"]);
}

#[test]
fn copies_that_do_not_serve_go_first_and_then_kill_selection_decides() {
    for (selection, last) in [("YOUNGEST_FIRST", 0), ("OLDEST_FIRST", 2)] {
        let more = json!({"scheduling": {
            "killSelection": selection,
            "upgrade": {"minimumHealthCapacity": 0.25, "maximumOverCapacity": 0}
        }});
        let mut driver = Driver::connected();
        driver.create(checked_pod("/p", 4, &more));
        driver.offer("s1", 8.0, 8192.0);
        for n in 0..4 {
            driver.run(n);
            driver.health(n, "a", true);
            driver.wait(1.0);
        }
        driver.health(3, "a", false);
        let ids: Vec<_> = driver.instances().into_iter().map(|instance| instance.id).collect();
        driver.calls.clear();
        driver.update_pod(changed(checked_pod("/p", 4, &more), "2"));
        let left: Vec<_> = driver
            .instances()
            .into_iter()
            .filter(|instance| format!("{:?}", instance.status) == "Stable")
            .map(|instance| instance.id)
            .collect();
        assert_eq!(left, [ids[last].clone()], "{selection}");
    }
}

#[test]
fn a_change_by_force_counts_only_copies_that_are_there_to_stay() {
    let mut driver = Driver::running(pod("/p", 1, 2));
    driver.update_pod(changed(pod("/p", 1, 2), "2"));
    driver.offer("s2", 8.0, 8192.0);
    // The copies of version 2 have to make room, and take their time.
    driver.force_pod(changed(pod("/p", 1, 2), "3"));
    driver.wait(60.0);
    driver.offer("s3", 8.0, 8192.0);
    assert_eq!(
        driver.picture(),
        ["v1.1 s1 Stable", "v1.1 s1 Stable", "v2.1 s2 Terminal", "v2.1 s2 Terminal"]
    );
    insta::assert_snapshot!(finish(&mut driver));
}

/// Lets a rollout run its course, and tells it round by round.
fn finish(driver: &mut Driver) -> String {
    let mut story = Vec::new();
    for _ in 0..10 {
        story.push(driver.picture().join(", "));
        story.extend(driver.deployments());
        driver.confirm_kills();
        driver.offer("s3", 8.0, 8192.0);
        for n in 0..driver.picture().len() {
            if driver.picture()[n].ends_with("s3 Pending") {
                driver.run(n);
            }
        }
        driver.wait(5.0);
        if driver.scheduler.deployments(driver.now).is_empty() {
            break;
        }
    }
    driver.confirm_kills();
    story.push(driver.picture().join(", "));
    story.join("\n")
}

#[test]
fn a_restart_midway_resumes_the_rollout_where_it_was() {
    let mut driver = Driver::running(pod("/p", 1, 2));
    driver.answers = true;
    driver.update_pod(changed(pod("/p", 1, 2), "2"));
    driver.offer("s2", 8.0, 8192.0);
    driver.update_all(2, TaskState::TaskStarting);
    let before = (driver.picture(), driver.deployments());
    driver.restart();
    driver.subscribe();
    driver.wait(100.0);
    assert_eq!((driver.picture(), driver.deployments()), before, "what does not run yet does not count");
    assert_eq!(driver.kills(), NOTHING);
    driver.run(2);
    driver.run(3);
    insta::assert_snapshot!(finish(&mut driver));
}

#[test]
fn a_restart_between_two_steps_does_not_do_the_first_again() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 1, 1));
    let before = driver.scheduler.deployments(driver.now);
    assert_eq!(before[0].current_step, 2, "the pod was begun, now it is scaled");
    driver.restart();
    driver.subscribe();
    driver.wait(0.0);
    assert_eq!(driver.scheduler.deployments(driver.now), before);
}

#[test]
fn more_new_copies_than_wanted_do_not_hold_up_the_end() {
    let strategy = json!({"inactiveAfterSeconds": 10, "expungeAfterSeconds": 6000});
    let spec = pod_with("/p", 1, 1, &json!({"scheduling": {"unreachableStrategy": strategy}}));
    let mut driver = Driver::running(spec.clone());
    driver.update_pod(changed(spec, "2"));
    driver.offer("s2", 8.0, 8192.0);
    driver.run(1);
    driver.update_all(1, TaskState::TaskUnreachable);
    driver.wait(10.0);
    driver.offer("s3", 8.0, 8192.0);
    driver.run(2);
    driver.update_all(1, TaskState::TaskRunning);
    driver.wait(5.0);
    driver.confirm_kills();
    assert_eq!(driver.picture(), ["v2.1 s2 Stable"]);
    assert_eq!(driver.deployments(), NOTHING);
}

#[test]
fn a_deployment_without_progress_says_why() {
    let mut driver = Driver::running(pod("/p", 1, 3));
    driver.update_pod(changed(pod("/p", 1, 3), "2"));
    driver.offer("s2", 0.45, 8192.0);
    driver.run(3);
    driver.crash(3);
    driver.run(4);
    assert_eq!(
        driver.deployments(),
        [
            "RestartPod /p: waits for 3 instances of the new version to be ready: 0 are so, 2 are waiting to be \
          launched, 1 is running, but not for long enough; the last to end was TASK_FAILED: Command exited \
          with status 1; waits 1.0 s more before the next launch (back-off)"
        ]
    );
    let message = driver.status_of("/p").message;
    assert!(
        message.is_some_and(|message| driver.deployments()[0].contains(&message)),
        "each of the instances says why it waits"
    );
}

#[test]
fn a_deployment_says_why_its_new_copies_are_not_placed() {
    let mut driver = Driver::running(pod("/p", 1, 3));
    driver.update_pod(changed(pod("/p", 1, 3), "2"));
    driver.offer("s2", 0.05, 8192.0);
    assert_eq!(
        driver.deployments(),
        [
            "RestartPod /p: waits for 3 instances of the new version to be ready: 0 are so, 3 are waiting to be \
             launched; needs 0.15 more cpus on 1 agent"
        ]
    );
}

#[test]
fn scaling_up_counts_only_copies_that_are_there_to_stay() {
    let mut driver = Driver::running(pod("/p", 1, 3));
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.update_pod(pod("/p", 1, 2));
    driver.update_pod(pod("/p", 1, 1));
    assert_eq!(driver.picture(), ["v1.1 s1 Stable", "v1.1 s1 Terminal"]);
    driver.force_pod(pod("/p", 1, 4));
    assert_eq!(
        driver.picture(),
        ["v1.1 s1 Stable", "v1.1 s1 Terminal", "v4.0 - Pending", "v4.0 - Pending", "v4.0 - Pending"]
    );
    driver.offer("s2", 8.0, 8192.0);
    driver.run(2);
    driver.run(3);
    assert_eq!(
        driver.deployments(),
        ["ScalePod /p: waits for 4 instances to be ready: 3 are so, 1 is starting"]
    );
    driver.run(4);
    assert_eq!(driver.deployments(), ["ScalePod /p: waits for 1 instance to end"]);
}

#[test]
fn scaling_down_takes_what_serves_least() {
    let mut driver = Driver::connected();
    driver.create(checked_pod("/p", 6, &json!({})));
    driver.offer("s1", 1.1, 8192.0);
    assert_eq!(driver.instances().iter().filter(|i| i.agent_id.is_some()).count(), 5);
    for n in 0..4 {
        driver.run(n);
        driver.health(n, "a", n != 1);
    }
    driver.update_all(0, TaskState::TaskUnreachable);
    assert_eq!(
        driver.picture(),
        [
            "v1.1 s1 Degraded",
            "v1.1 s1 Degraded",
            "v1.1 s1 Stable",
            "v1.1 s1 Stable",
            "v1.1 s1 Pending",
            "v1.0 - Pending"
        ]
    );
    let mut left = driver.instances().into_iter().map(|instance| instance.id).collect::<Vec<_>>();
    // Not launched, out of reach, not confirmed, unhealthy, youngest.
    for victim in [5, 0, 3, 0, 1] {
        left.remove(victim);
        driver.force_pod(checked_pod("/p", u32::try_from(left.len()).unwrap(), &json!({})));
        driver.confirm_kills();
        let now: Vec<_> = driver.instances().into_iter().map(|instance| instance.id).collect();
        assert_eq!(now, left);
    }
}

#[test]
fn the_back_off_of_a_definition_ends_with_it() {
    let slow = |copies, max| {
        let backoff = json!({"backoff": 600, "maxLaunchDelay": max});
        pod_with("/p", 1, copies, &json!({"scheduling": {"backoff": backoff}}))
    };
    let mut driver = Driver::running(slow(2, 3600));
    driver.crash(0);
    driver.offer("s2", 8.0, 8192.0);
    assert_eq!(driver.picture(), ["v1.1 s1 Pending", "v1.1 s1 Stable"], "it waits");
    // Another number of copies, or other settings, do not end it.
    driver.update_pod(slow(3, 3600));
    driver.force_pod(slow(3, 3000));
    driver.offer("s2", 8.0, 8192.0);
    assert_eq!(driver.picture(), ["v1.1 s1 Pending", "v1.1 s1 Stable", "v2.0 - Pending"]);
    driver.force_pod(changed(slow(2, 3600), "mended"));
    driver.offer("s2", 8.0, 8192.0);
    driver.run(0);
    assert_eq!(driver.picture()[0], "v4.2 s2 Stable");
    // What the old copies do says nothing about the new ones.
    driver.crash(1);
    driver.offer("s2", 8.0, 8192.0);
    driver.run(1);
    assert_eq!(driver.picture(), ["v4.2 s2 Stable", "v4.1 s2 Stable"]);
}

#[test]
fn a_change_of_settings_alone_is_kept_and_restarts_nothing() {
    let settings = json!({"scheduling": {
        "killSelection": "OLDEST_FIRST",
        "unreachableStrategy": {"inactiveAfterSeconds": 1, "expungeAfterSeconds": 2},
        "backoff": {"backoff": 7, "backoffFactor": 2, "maxLaunchDelay": 99}
    }});
    let mut driver = Driver::running(pod("/p", 1, 2));
    let before = driver.picture();
    driver.update_pod(pod_with("/p", 1, 2, &settings));
    assert_eq!(driver.deployments(), NOTHING);
    driver.restart();
    assert_eq!(driver.scheduler.pod_versions(&pod_id("/p")).len(), 2);
    let kept = driver.scheduler.pod(&pod_id("/p")).unwrap().scheduling.clone();
    assert_eq!(kept, pod_with("/p", 1, 2, &settings).scheduling);
    assert_eq!(driver.picture(), before);
}

#[test]
fn what_a_cancelled_rollout_leaves_behind_the_next_change_repairs() {
    for next in [
        changed(pod("/p", 1, 2), "2"),
        changed(pod("/p", 1, 3), "2"),
        changed(pod_with("/p", 1, 2, &json!({"scheduling": {"killSelection": "OLDEST_FIRST"}})), "2"),
    ] {
        let mut driver = Driver::running(pod("/p", 1, 2));
        driver.answers = true;
        driver.update_pod(changed(pod("/p", 1, 2), "2"));
        driver.offer("s2", 8.0, 8192.0);
        driver.run(2);
        driver.wait(5.0);
        driver.confirm_kills();
        assert_eq!(driver.cancel(true), Response::DeploymentCancelled);
        driver.confirm_kills();
        let mixed = ["v1.1 s1 Stable", "v2.1 s2 Stable"];
        assert_eq!(driver.picture(), mixed);
        driver.wait(10_000.0);
        assert_eq!(driver.picture(), mixed, "as it was left");
        let wanted = next.instances() as usize;
        driver.update_pod(next);
        finish(&mut driver);
        assert_eq!(driver.deployments(), NOTHING);
        let picture = driver.picture();
        assert!(picture.iter().all(|line| !line.starts_with("v1")), "{picture:?}");
        assert_eq!(picture.len(), wanted);
    }
}

/// Also what is out of reach and was replaced already may come back: it must not stay for the sake of its age.
#[test]
fn the_next_change_gives_up_what_a_cancelled_rollout_left_out_of_reach() {
    let strategy = json!({"inactiveAfterSeconds": 10, "expungeAfterSeconds": 1000});
    let patient =
        |instances| pod_with("/p", 1, instances, &json!({"scheduling": {"unreachableStrategy": strategy}}));
    let mut driver = Driver::running(patient(1));
    driver.update_pod(changed(patient(1), "2"));
    driver.cancel(true);
    let running = driver.status(0, "a", TaskState::TaskRunning);
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.wait(11.0);
    driver.offer("s2", 8.0, 8192.0);
    driver.run(1);
    driver.wait(6.0);
    assert_eq!(driver.picture(), ["v1.1 s1 Degraded", "v2.1 s2 Stable"]);
    driver.update_pod(changed(patient(2), "2"));
    driver.offer("s2", 8.0, 8192.0);
    driver.run(2);
    driver.wait(6.0);
    assert_eq!(driver.picture(), ["v2.1 s2 Stable", "v3.1 s2 Stable"]);
    assert_eq!(driver.deployments(), NOTHING);
    driver.calls.clear();
    driver.event(Event::Update(running));
    assert_eq!(driver.kills(), ["/p.a.1"]);
}

#[test]
fn saying_the_same_again_while_it_is_being_done_changes_nothing() {
    let mut driver = Driver::running(pod("/p", 1, 2));
    driver.update_pod(changed(pod("/p", 1, 2), "2"));
    let before = driver.scheduler.deployments(driver.now);
    driver.update_pod(changed(pod("/p", 1, 2), "2"));
    assert_eq!(driver.scheduler.deployments(driver.now), before);
}

#[test]
fn a_rollback_keeps_the_copies_that_still_run_the_good_version() {
    let mut driver = Driver::running(pod("/p", 1, 2));
    driver.update_pod(changed(pod("/p", 1, 2), "2"));
    driver.offer("s2", 8.0, 8192.0);
    driver.run(2);
    driver.wait(5.0);
    driver.confirm_kills();
    let kept = driver.instance(0).0;
    driver.cancel(false);
    insta::assert_snapshot!(finish(&mut driver));
    assert_eq!(driver.instance(0), (kept, 1, Some("s1".into())));
}

#[test]
fn an_old_copy_that_is_out_of_reach_for_a_moment_stays_until_a_new_one_takes_its_place() {
    let mut driver = Driver::running(pod("/p", 1, 2));
    driver.update_pod(changed(pod("/p", 1, 2), "2"));
    driver.offer("s2", 8.0, 8192.0);
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.wait(1.0);
    driver.update_all(0, TaskState::TaskRunning);
    assert_eq!(driver.kills(), NOTHING);
    assert_eq!(driver.picture()[..2], ["v1.1 s1 Stable", "v1.1 s1 Stable"]);
}

#[test]
fn the_floor_holds_at_every_moment_and_not_only_at_the_start() {
    let mut driver = Driver::running(elastic(4, 0.75, 0.25));
    driver.answers = true;
    driver.update_pod(changed(elastic(4, 0.75, 0.25), "2"));
    driver.offer("s2", 8.0, 8192.0);
    assert_eq!(driver.confirm_kills(), 1, "three must serve, so one may make room");
    let launched = driver.picture().iter().position(|copy| copy.contains("s2"));
    driver.run(launched.expect("there is room for one"));
    driver.wait(5.0);
    assert_eq!(driver.confirm_kills(), 1, "a new one serves: one more may go");
    let mut picture = driver.picture();
    picture.sort();
    assert_eq!(
        picture,
        ["v1.1 s1 Stable", "v1.1 s1 Stable", "v2.0 - Pending", "v2.0 - Pending", "v2.1 s2 Stable"]
    );
    // An old copy dies for reasons of its own, and a new one comes: nobody else may go.
    driver.crash(0);
    driver.offer("s2", 8.0, 8192.0);
    driver.wait(60.0);
    driver.offer("s2", 8.0, 8192.0);
    for n in 0..driver.picture().len() {
        if driver.picture()[n] == "v2.1 s2 Pending" {
            driver.run(n);
            driver.wait(4.0);
            driver.crash(n);
            assert_eq!(driver.kills(), NOTHING, "it cannot be relied on");
        }
    }
    assert_eq!(serving(&driver), 2);
    driver.wait(600.0);
    finish(&mut driver);
    assert_eq!(driver.picture().len(), 4);
    assert_eq!(driver.deployments(), NOTHING);
}

#[test]
fn an_update_finds_copies_that_were_never_launched_also_after_a_restart() {
    let mut driver = Driver::connected();
    driver.answers = true;
    driver.create(pod("/p", 1, 2));
    driver.offer("s1", 0.2, 8192.0);
    driver.run(0);
    assert_eq!(driver.picture(), ["v1.1 s1 Stable", "v1.0 - Pending"]);
    driver.restart();
    driver.subscribe();
    driver.force_pod(changed(pod("/p", 1, 2), "2"));
    for _ in 0..3 {
        driver.offer("s2", 8.0, 8192.0);
        for n in 0..driver.instances().len() {
            if driver.picture()[n].ends_with("s2 Pending") {
                driver.run(n);
            }
        }
        driver.wait(6.0);
        driver.confirm_kills();
    }
    assert_eq!(driver.picture(), ["v2.1 s2 Stable"; 2]);
    assert_eq!(driver.deployments(), NOTHING);
}

#[test]
fn a_version_whose_copies_finish_at_once_ends_no_old_copy() {
    let mut driver = Driver::running(pod("/p", 1, 1));
    driver.update_pod(changed(pod("/p", 1, 1), "2"));
    for _ in 0..5 {
        driver.offer("s2", 8.0, 8192.0);
        driver.run(1);
        driver.wait(4.0);
        driver.update_all(1, TaskState::TaskFinished);
        driver.wait(60.0);
        assert_eq!(driver.picture()[0], "v1.1 s1 Stable");
    }
    assert_eq!(driver.kills(), NOTHING);
    assert_eq!(driver.deployments().len(), 1);
}

#[test]
fn copies_that_will_be_replaced_do_not_take_the_places_of_their_successors() {
    let unique = json!([{"fieldName": "@hostname", "operator": "UNIQUE"}]);
    let unique = pod_with("/p", 1, 1, &json!({"scheduling": {"placement": {"constraints": unique}}}));
    let mut driver = Driver::running(unique.clone());
    driver.update_pod(changed(unique, "2"));
    driver.offer("s1", 8.0, 8192.0);
    assert_eq!(driver.picture(), ["v1.1 s1 Stable", "v2.1 s1 Pending"], "there is no other agent");
    driver.run(1);
    driver.wait(5.0);
    driver.confirm_kills();
    assert_eq!((driver.picture(), driver.deployments()), (vec!["v2.1 s1 Stable".to_owned()], vec![]));
}

#[test]
fn an_update_is_done_when_the_last_old_copy_has_ended() {
    let mut driver = Driver::running(pod("/p", 1, 1));
    driver.update_pod(changed(pod("/p", 1, 1), "2"));
    driver.offer("s2", 8.0, 8192.0);
    driver.run(1);
    driver.wait(5.0);
    assert_eq!(driver.picture(), ["v1.1 s1 Terminal", "v2.1 s2 Stable"]);
    assert_eq!(driver.deployments(), ["RestartPod /p: waits for 1 instance of older versions to end"]);
    driver.confirm_kills();
    assert_eq!((driver.picture(), driver.deployments()), (vec!["v2.1 s2 Stable".to_owned()], vec![]));
}

/// What has only just started may not stay, and what would be left then is nothing.
#[test]
fn a_cancel_ends_new_copies_that_cannot_be_relied_on_yet_whatever_kill_selection_says() {
    for selection in ["OLDEST_FIRST", "YOUNGEST_FIRST"] {
        let upgrade = json!({"minimumHealthCapacity": 1.0, "maximumOverCapacity": 1.0});
        let scheduling = json!({"upgrade": upgrade, "killSelection": selection});
        let spec = pod_with("/p", 1, 2, &json!({ "scheduling": scheduling }));
        let mut driver = Driver::running(spec.clone());
        driver.wait(60.0);
        driver.update_pod(changed(spec, "2"));
        for n in 2..4 {
            driver.offer("s2", 8.0, 8192.0);
            driver.run(n);
        }
        driver.wait(1.0);
        driver.cancel(true);
        driver.confirm_kills();
        assert_eq!(driver.picture(), ["v1.1 s1 Stable", "v1.1 s1 Stable"], "{selection}");
    }
}
