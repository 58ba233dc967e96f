//! Updates where no agent has room for new copies beside the old ones.

mod harness;

use harness::{Driver, changed, checked_pod, pod_with};
use podium_core::model::mesos::{Event, TaskState};
use podium_core::model::number::Number;
use podium_core::model::pod::PodSpec;
use serde_json::json;

const NOTHING: [&str; 0] = [];

/// `instances` copies of which `floor` (a share) must stay healthy and that may grow by `over`.
fn elastic(instances: u32, floor: f64, over: f64) -> PodSpec {
    let upgrade = json!({"minimumHealthCapacity": floor, "maximumOverCapacity": over});
    pod_with("/p", 1, instances, &json!({"scheduling": {"upgrade": upgrade}}))
}

/// There may be twice as many copies, but there is no room for them, and half of them may be given up.
#[test]
fn old_copies_make_place_for_new_ones_that_find_none_beside_them() {
    for restarts in [false, true] {
        let mut driver = Driver::running(elastic(2, 0.5, 1.0));
        driver.update_pod(changed(elastic(2, 0.5, 1.0), "2"));
        if restarts {
            driver.wait(50.0);
            driver.restart();
            driver.subscribe();
            driver.wait(15.0);
        }
        driver.offer("s1", 0.1, 16.0);
        driver.kills();
        driver.wait(44.0);
        assert_eq!(driver.kills(), NOTHING);
        driver.wait(16.0);
        assert_eq!(
            driver.picture(),
            ["v1.1 s1 Stable", "v1.1 s1 Terminal", "v2.0 - Pending", "v2.0 - Pending"]
        );
        driver.wait(1000.0);
        let serving = driver.picture().iter().filter(|line| line.ends_with("Stable")).count();
        assert_eq!(serving, 1);
        let ended = driver.status(1, "a", TaskState::TaskKilled);
        driver.event(Event::Update(ended));
        driver.offer("s1", 0.2, 64.0);
        driver.run(1);
        driver.wait(59.0);
        assert_eq!(driver.picture(), ["v1.1 s1 Stable", "v2.1 s1 Stable", "v2.0 - Pending"]);
        driver.wait(1.0);
        assert_eq!(driver.picture(), ["v1.1 s1 Terminal", "v2.1 s1 Stable", "v2.0 - Pending"]);
    }
}

/// What has ended leaves a place that nobody has found yet: no further copy need make one meanwhile.
#[test]
fn no_more_old_copies_make_place_than_new_ones_lack_it() {
    let mut driver = Driver::running(elastic(3, 0.0, 1.0));
    driver.update_pod(changed(elastic(3, 0.0, 1.0), "2"));
    driver.offer("s2", 0.2, 64.0);
    driver.offer("s1", 0.1, 16.0);
    driver.wait(61.0);
    let making = ["v1.1 s1 Stable", "v1.1 s1 Terminal", "v1.1 s1 Terminal"];
    assert_eq!(driver.picture()[..3], making);
    let ended = driver.status(2, "a", TaskState::TaskKilled);
    driver.event(Event::Update(ended));
    assert_eq!(driver.picture()[..2], making[..2]);
    let ended = driver.status(1, "a", TaskState::TaskKilled);
    driver.event(Event::Update(ended));
    driver.wait(59.0);
    assert_eq!(driver.picture()[0], "v1.1 s1 Stable");
    // It was of no use to the new ones, or somebody else has taken it.
    driver.wait(2.0);
    assert_eq!(driver.picture()[0], "v1.1 s1 Terminal");
}

/// A version that is ill is no use to anybody, and one that is out of reach makes no place.
#[test]
fn what_does_not_serve_makes_place_and_what_is_out_of_reach_does_not() {
    let patient = json!({"scheduling": {
        "upgrade": {"minimumHealthCapacity": 0.5, "maximumOverCapacity": 1},
        "unreachableStrategy": {"inactiveAfterSeconds": 36000, "expungeAfterSeconds": 36000}
    }});
    let mut driver = Driver::running(checked_pod("/p", 3, &patient));
    (0..3).for_each(|n| driver.health(n, "a", true));
    driver.health(2, "a", false);
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.update_pod(changed(checked_pod("/p", 3, &patient), "2"));
    driver.offer("s1", 0.1, 16.0);
    driver.kills();
    driver.wait(61.0);
    assert_eq!(driver.picture()[..3], ["v1.1 s1 Degraded", "v1.1 s1 Stable", "v1.1 s1 Terminal"]);
    driver.wait(1000.0);
    assert_eq!(driver.picture()[..3], ["v1.1 s1 Degraded", "v1.1 s1 Stable", "v1.1 s1 Terminal"]);
}

/// Nobody is offered a machine on which nothing is free: what it has is not known after a restart.
#[test]
fn what_is_not_offered_may_have_a_place_once_somebody_leaves_it() {
    let mut driver = Driver::running(elastic(2, 0.5, 1.0));
    driver.update_pod(changed(elastic(2, 0.5, 1.0), "2"));
    driver.restart();
    driver.subscribe();
    driver.offer("s2", 0.1, 16.0);
    driver.wait(80.0);
    assert_eq!(driver.picture()[..2], ["v1.1 s1 Stable", "v1.1 s1 Terminal"]);
}

#[test]
fn no_old_copy_makes_place_where_that_would_not_help() {
    let waits_in_vain = |update: PodSpec| {
        let mut driver = Driver::running(elastic(2, 0.5, 1.0));
        driver.update_pod(update);
        driver.offer("s1", 0.1, 16.0);
        for _ in 0..20 {
            driver.wait(60.0);
        }
        assert_eq!(driver.picture()[..2], ["v1.1 s1 Stable"; 2]);
    };
    // No agent could ever take it.
    let mut large = elastic(2, 0.5, 1.0);
    large.containers[0].resources.cpus = Number(1000.0);
    waits_in_vain(large);
    // It may not go where the old ones are.
    let constraints = json!([["hostname", "LIKE", "s2.*"]]);
    let elsewhere = json!({"scheduling": {"placement": {"constraints": constraints}}});
    waits_in_vain({
        let mut pod = pod_with("/p", 1, 2, &elsewhere);
        pod.scheduling.upgrade = elastic(2, 0.5, 1.0).scheduling.upgrade;
        pod
    });
    // None may be given up.
    waits_in_vain(changed(elastic(2, 1.0, 1.0), "2"));
    // It is the back-off that they wait for.
    let mut driver = Driver::running(elastic(1, 0.0, 1.0));
    let slow = json!({"backoff": 600, "backoffFactor": 10});
    let upgrade = json!({"minimumHealthCapacity": 0, "maximumOverCapacity": 1});
    let slow = pod_with("/p", 1, 1, &json!({"scheduling": {"upgrade": upgrade, "backoff": slow}}));
    driver.update_pod(changed(slow, "2"));
    for _ in 0..3 {
        driver.offer("s2", 8.0, 8192.0);
        driver.crash(1);
        driver.wait(500.0);
        assert_eq!(driver.picture()[0], "v1.1 s1 Stable");
        driver.wait(100.0);
    }
}
