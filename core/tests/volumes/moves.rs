//! Volumes that turn up on another agent than they were on.

use podium_core::config::FrameworkRemoved;
use podium_core::model::mesos::{Event, ExecutorFailure, StatusSource, TaskState};
use podium_core::{Config, Input};
use serde_json::json;

use super::harness::{Driver, from_json};
use super::{config, list, offer, one, running, running_with, story, unknown, used};

/// A machine that is started anew because its configuration has changed keeps its volumes and gets another id.
#[test]
fn a_copy_follows_its_volumes_to_an_agent_of_another_name() {
    let (mut driver, kept) = running(one());
    driver.wait(100.0);
    assert_eq!(
        offer(&mut driver, "s1-again", &kept),
        [],
        "while it runs they are nobody else's, and are not touched"
    );
    driver.update_all(0, TaskState::TaskUnreachable);
    assert_eq!(driver.picture(), ["v1.1 s1 Degraded"]);
    assert_eq!(offer(&mut driver, "s1-again", &kept), [], "it has ended there, and waits for its back-off");
    assert_eq!(driver.picture(), ["v1.1 s1-again Pending"]);
    driver.wait(2.0);
    let again = offer(&mut driver, "s1-again", &kept);
    assert_eq!(used(&again), kept);
    driver.run(0);
    assert_eq!(driver.picture(), ["v1.2 s1-again Stable"]);
}

#[test]
fn a_copy_that_waits_for_its_agent_finds_its_volumes_on_another_one() {
    let (mut driver, kept) = running(one());
    driver.crash(0);
    driver.wait(2.0);
    let again = offer(&mut driver, "s1-again", &kept);
    assert_eq!(used(&again), kept);
    driver.restart();
    driver.subscribe();
    driver.run(0);
    assert_eq!(driver.picture(), ["v1.2 s1-again Stable"]);
}

/// Some of them are on another machine: that is none that it could run on, and they are not destroyed either.
#[test]
fn volumes_of_a_copy_that_is_wanted_are_never_destroyed() {
    let mut driver = Driver::connected_with(config());
    let mut json = serde_json::to_value(one()).unwrap();
    json["volumes"].as_array_mut().unwrap().push(json!({ "name": "log", "persistent": { "size": 10 } }));
    json["containers"][0]["volumeMounts"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "name": "log", "mountPath": "/log" }));
    driver.create(from_json(&json));
    let mut kept = used(&offer(&mut driver, "s1", &[]));
    driver.run(0);
    driver.update_all(0, TaskState::TaskUnreachable);
    let log = kept.iter().position(|r| list(std::slice::from_ref(r)).contains("#log")).unwrap();
    kept.remove(log);
    for _ in 0..3 {
        driver.wait(100.0);
        assert_eq!(story(&offer(&mut driver, "s2", &kept)), [""; 0]);
    }
}

#[test]
fn volumes_of_a_framework_that_was_removed_are_its_successors() {
    let register = Config { framework_removed: FrameworkRemoved::Register, ..config() };
    let (mut driver, kept) = running_with(register, one());
    let _ = driver.step(Input::Disconnected);
    let _ = driver.step(Input::FrameworkRemoved);
    driver.subscribe_as("fw-2");
    let mut gone = driver.status(0, "a", TaskState::TaskGone);
    gone.source = Some(StatusSource::SourceMaster);
    driver.event(Event::Update(gone.clone()));
    gone.task_id = driver.instance(0).0.task_id("b", 1);
    driver.event(Event::Update(gone));
    assert_eq!(unknown(&driver), vec![]);
    driver.wait(89.0);
    assert_eq!(offer(&mut driver, "s1", &kept), [], "what ran may take so long to end, and uses them");
    driver.wait(1.0);
    let went_back = offer(&mut driver, "s1", &kept);
    assert_eq!(used(&went_back), kept, "under the labels that it has");
    driver.run(0);

    driver.delete_pod_by_force("/db");
    driver.confirm_kills();
    let given_back = offer(&mut driver, "s1", &kept);
    assert!(story(&given_back)[0].starts_with("DESTROY"), "{given_back:?}");
}

/// What a copy used where it was it does not use any more.
#[test]
fn nobody_asks_about_a_copy_that_has_moved_when_its_old_agent_is_lost() {
    let (mut driver, kept) = running(one());
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.wait(20.0);
    for _ in 0..2 {
        let _ = offer(&mut driver, "s2", &kept);
        driver.wait(20.0);
    }
    driver.run(0);
    assert_eq!(driver.picture(), ["v1.2 s2 Stable"]);
    driver.calls.clear();
    let agent_id = Some("s1".into());
    driver.event(Event::Failure(ExecutorFailure { agent_id, executor_id: None, status: None }));
    driver.wait(1.0);
    assert_eq!(driver.calls, []);
}
