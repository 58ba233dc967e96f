//! Back-off: what makes copies wait before they are launched again, for how long, and what takes that back.

mod harness;

use harness::{Driver, pod, pod_id, pod_with};
use podium_core::Command;
use podium_core::model::mesos::{Event, StatusReason, TaskState};
use serde_json::json;

/// The seconds that the copies of `/p` still wait for their back-off.
fn delay(driver: &Driver) -> u64 {
    driver.scheduler.queue(driver.now)[0].delay.time_left_seconds
}

/// The next launch of the only copy, as soon as its back-off is over, runs for `seconds` and then ends so.
fn run_again(driver: &mut Driver, seconds: f64, end: TaskState) {
    driver.wait(4000.0);
    driver.offer("s1", 8.0, 8192.0);
    driver.run(0);
    driver.wait(seconds);
    driver.update_all(0, end);
}

#[test]
fn a_pod_that_finishes_on_purpose_is_not_punished() {
    let mut driver = Driver::running(pod("/p", 1, 1));
    driver.update_all(0, TaskState::TaskFinished);
    for _ in 0..20 {
        assert_eq!(delay(&driver), 1);
        run_again(&mut driver, 0.0, TaskState::TaskFinished);
    }
}

#[test]
fn copies_that_fail_together_and_those_that_are_sent_away_are_not_punished_for_their_number() {
    let mut driver = Driver::running(pod("/p", 1, 100));
    for n in 0..100 {
        driver.crash(n);
    }
    assert_eq!(delay(&driver), 1);
    let mut driver = Driver::running(pod("/p", 1, 1));
    let mut status = driver.status(0, "a", TaskState::TaskKilled);
    status.reason = Some(StatusReason::ReasonAgentDraining);
    driver.event(Event::Update(status));
    driver.offer("s2", 8.0, 8192.0);
    assert_eq!(driver.picture(), ["v1.2 s2 Pending"]);
}

#[test]
fn copies_that_start_do_not_make_others_wait_longer() {
    let mut driver = Driver::running(pod("/p", 1, 3));
    driver.crash(0);
    driver.wait(0.5);
    driver.crash(1);
    driver.wait(0.999);
    driver.offer("s1", 0.2, 8192.0);
    assert_eq!(driver.picture()[..2], ["v1.1 s1 Pending"; 2]);
    driver.wait(0.001);
    driver.offer("s1", 0.2, 8192.0);
    driver.run(0);
    assert_eq!(driver.picture(), ["v1.2 s1 Stable", "v1.1 s1 Pending", "v1.1 s1 Stable"]);
    driver.offer("s1", 0.2, 8192.0);
    assert_eq!(driver.instance(1).1, 2);
}

#[test]
fn success_takes_the_delay_back() {
    let mut driver = Driver::running(pod("/p", 1, 1));
    driver.crash(0);
    for _ in 0..40 {
        run_again(&mut driver, 1.0, TaskState::TaskFailed);
    }
    let grown = delay(&driver);
    assert!(grown > 200, "{grown}");
    run_again(&mut driver, 1000.0, TaskState::TaskFailed);
    assert_eq!(delay(&driver), 1);
}

#[test]
fn a_crash_loop_does_not_begin_anew_with_another_leader() {
    let mut driver = Driver::running(pod("/p", 1, 1));
    driver.crash(0);
    for _ in 0..10 {
        run_again(&mut driver, 1.0, TaskState::TaskFailed);
    }
    assert_eq!(delay(&driver), 4);
    driver.restart();
    driver.subscribe();
    assert_eq!(delay(&driver), 4);
    driver.offer("s1", 8.0, 8192.0);
    assert_eq!(driver.picture(), ["v1.11 s1 Pending"]);
    run_again(&mut driver, 1.0, TaskState::TaskFailed);
    assert_eq!(delay(&driver), 4);
    driver.command(Command::ResetDelay { pod: pod_id("/p") }).unwrap();
    assert_eq!(delay(&driver), 0);
}

#[test]
fn a_shorter_longest_delay_applies_to_the_one_that_runs() {
    let backoff = |longest| {
        let backoff = json!({"backoff": 600, "backoffFactor": 2, "maxLaunchDelay": longest});
        pod_with("/p", 1, 1, &json!({"scheduling": {"backoff": backoff}}))
    };
    let mut driver = Driver::running(backoff(3600));
    driver.crash(0);
    assert_eq!(delay(&driver), 600);
    driver.update_pod(backoff(10));
    assert_eq!(delay(&driver), 10);
    driver.update_pod(backoff(3600));
    assert!(delay(&driver) <= 10, "a longer one does not");
    driver.wait(10.0);
    driver.offer("s1", 8.0, 8192.0);
    assert_eq!(driver.picture(), ["v3.2 s1 Pending"]);
}
