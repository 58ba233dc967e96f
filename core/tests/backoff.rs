//! Back-off: what makes copies wait before they are launched again, for how long, and what takes that back.

mod harness;

use harness::{Driver, pod, pod_id, pod_with};
use podium_core::model::mesos::{Call, Event, StatusReason, StatusSource, TaskState};
use podium_core::{Command, Entry, Input};
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

/// The delay in seconds before the next launch of the only pod.
fn stored_delay(driver: &Driver) -> f64 {
    let state = driver.store.values().find_map(|entry| match entry {
        Entry::Pod(pod) => pod.delay,
        _ => None,
    });
    state.map_or(0.0, |delay| delay.millis as f64 / 1000.0)
}

/// It was up for minutes, as a grace period lets it be, but nobody was ever served.
#[test]
fn a_copy_that_was_never_healthy_was_no_success() {
    let mut driver = Driver::connected();
    driver.create(harness::checked_pod("/p", 1, &json!({})));
    let mut delays = Vec::new();
    for _ in 0..3 {
        driver.offer("s1", 8.0, 8192.0);
        driver.run(0);
        driver.health(0, "a", false);
        driver.wait(250.0);
        driver.crash(0);
        delays.push(stored_delay(&driver));
        driver.wait(10.0);
    }
    assert!(delays[0] < delays[1] && delays[1] < delays[2], "{delays:?}");
}

/// One container was up while the other one's image was on its way, which never came.
#[test]
fn a_copy_of_which_a_container_never_ran_was_no_success() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 2, 1));
    let mut delays = Vec::new();
    for _ in 0..3 {
        driver.offer("s1", 8.0, 8192.0);
        driver.update(0, "a", TaskState::TaskStarting);
        driver.update(0, "a", TaskState::TaskRunning);
        driver.update(0, "b", TaskState::TaskStarting);
        driver.wait(100.0);
        driver.update(0, "b", TaskState::TaskFailed);
        driver.update(0, "a", TaskState::TaskKilled);
        delays.push(stored_delay(&driver));
        driver.wait(10.0);
    }
    assert!(delays[0] < delays[1] && delays[1] < delays[2], "{delays:?}");
}

/// Whoever declines what the master refuses without end has to slow down, and to say what is the matter.
#[test]
fn a_launch_that_the_master_refuses_again_and_again_is_told_and_slows_down() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 1, 1));
    for n in 0..50 {
        let calls = driver.offer(&format!("s{n}"), 8.0, 8192.0);
        let Some(accept) = calls.into_iter().find(|call| matches!(call, Call::Accept { .. })) else {
            return;
        };
        let _ = driver.step(Input::Refused { call: Box::new(accept), reason: "too large".to_owned() });
        driver.wait(1.0);
    }
    panic!("launched 50 times in 50 s, and all that is said is: {:?}", driver.instances()[0].message);
}

/// One copy finishes again and again, as it may; that is no merit of the other one, which fails again and again.
#[test]
fn a_copy_that_finishes_does_not_take_back_the_delay_of_one_that_fails() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 1, 2));
    let mut delays = Vec::new();
    for _ in 0..10 {
        driver.offer("s1", 8.0, 8192.0);
        driver.run(0);
        driver.run(1);
        driver.update_all(1, TaskState::TaskFinished);
        driver.crash(0);
        delays.push(stored_delay(&driver));
        driver.wait(10.0);
    }
    assert!(delays[9] > 2.0, "{delays:?}");
}

#[test]
fn a_copy_of_which_only_a_part_was_done_when_it_was_killed_for_being_slow_did_not_finish() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 2, 1));
    let mut delays = Vec::new();
    for _ in 0..2 {
        driver.offer("s1", 8.0, 8192.0);
        driver.update(0, "a", TaskState::TaskFinished);
        driver.update(0, "b", TaskState::TaskStarting);
        driver.calls.clear();
        driver.wait(300.0);
        driver.confirm_kills();
        delays.push(stored_delay(&driver));
        driver.wait(2.0);
    }
    assert_eq!(delays, [1.0, 1.15]);
    let history = driver.status_of("/p").termination_history;
    assert_eq!(history[0].message.as_deref(), Some("did not start in time and was killed"));
}

#[test]
fn a_launch_that_the_master_refuses_is_no_fault_of_its_agent() {
    let mut driver = Driver::connected();
    let failing = json!({"scheduling": {"backoff": {"failingAgents": {"failures": 1, "seconds": 600}}}});
    driver.create(pod_with("/p", 1, 1, &failing));
    let accept = driver.offer("s1", 8.0, 8192.0).into_iter().find(|call| matches!(call, Call::Accept { .. }));
    let call = Box::new(accept.expect("it is launched"));
    let _ = driver.step(Input::Refused { call, reason: "no".to_owned() });
    driver.wait(2.0);
    let calls = driver.offer("s1", 8.0, 8192.0);
    assert!(calls.iter().any(|call| matches!(call, Call::Accept { .. })), "{calls:?}");
}

#[test]
fn a_launch_that_was_dropped_is_the_fault_of_its_agent_only_if_the_agent_could_not_do_it() {
    use StatusReason::{
        ReasonAgentDraining, ReasonInvalidOffers, ReasonTaskGroupInvalid, ReasonTaskGroupUnauthorized,
    };
    let is_avoided_after = |state, source, reason| {
        let mut driver = Driver::connected();
        let rule = json!({"maxLaunchDelay": 1, "failingAgents": {"failures": 1, "seconds": 600}});
        driver.create(pod_with("/p", 1, 1, &json!({"scheduling": {"backoff": rule}})));
        driver.offer("s1", 8.0, 8192.0);
        let mut status = driver.status(0, "a", state);
        status.source = Some(source);
        status.reason = reason;
        driver.event(Event::Update(status));
        driver.wait(2.0);
        let calls = driver.offer("s1", 8.0, 8192.0);
        !calls.iter().any(|call| matches!(call, Call::Accept { .. }))
    };
    let (master, agent) = (StatusSource::SourceMaster, StatusSource::SourceAgent);
    let (dropped, error) = (TaskState::TaskDropped, TaskState::TaskError);
    assert!(!is_avoided_after(dropped, master, Some(ReasonInvalidOffers)), "the offer was withdrawn");
    assert!(!is_avoided_after(error, master, Some(ReasonTaskGroupInvalid)));
    assert!(!is_avoided_after(error, master, Some(ReasonTaskGroupUnauthorized)));
    assert!(!is_avoided_after(dropped, agent, Some(ReasonAgentDraining)));
    assert!(is_avoided_after(dropped, agent, None));
    assert!(is_avoided_after(TaskState::TaskFailed, agent, None));
}
