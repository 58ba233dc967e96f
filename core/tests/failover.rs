//! What survives the loss of the scheduler, of its connection and of the master.

mod harness;

use std::time::Duration;

use harness::{Driver, changed, pod, pod_id, pod_with};
use podium_core::config::FrameworkRemoved;
use podium_core::model::identity::Identity;
use podium_core::model::ids::{AgentId, FrameworkId};
use podium_core::model::mesos::{Call, Event, StatusReason, StatusSource, TaskState, TaskStatus};
use podium_core::model::time::Timestamp;
use podium_core::{Command, Config, Entry, Input, Key, Record, RestoreError, Scheduler};
use serde_json::json;

const NOTHING: [&str; 0] = [];

#[test]
fn copies_from_before_a_scaling_keep_their_places_after_a_restart() {
    let constraint = json!([{"fieldName": "@hostname", "operator": "UNIQUE"}]);
    let unique = |instances| {
        pod_with("/p", 1, instances, &json!({"scheduling": {"placement": {"constraints": constraint}}}))
    };
    let mut driver = Driver::running(unique(1));
    driver.update_pod(unique(2));
    driver.restart();
    driver.subscribe();
    driver.offer("s1", 8.0, 8192.0);
    assert_eq!(driver.picture(), ["v1.1 s1 Stable", "v2.0 - Pending"]);
    driver.offer("s2", 8.0, 8192.0);
    assert_eq!(driver.picture(), ["v1.1 s1 Stable", "v2.1 s2 Pending"]);
}

#[test]
fn no_definition_is_ever_lost_and_old_copies_stay_old_through_a_restart() {
    let mut driver = Driver::running(pod("/p", 1, 1));
    for n in 0..60 {
        driver.force_pod(changed(pod("/p", 1, 1), &n.to_string()));
    }
    driver.restart();
    assert_eq!(driver.picture()[0], "v1.1 s1 Stable");
    assert_eq!(driver.deployments().len(), 1);
    let versions = driver.scheduler.pod_versions(&pod_id("/p"));
    assert_eq!(versions.len(), 61);
    assert!(versions.is_sorted_by(|a, b| a < b));
    for (version, label) in versions[1..].iter().zip(0..) {
        let spec = driver.scheduler.pod_version(&pod_id("/p"), *version).unwrap();
        assert_eq!(spec.labels["version"], label.to_string());
    }
}

#[test]
fn records_that_contradict_each_other_are_refused_and_nothing_is_killed_for_it() {
    let driver = Driver::running(pod("/p", 1, 1));
    let version = driver.scheduler.pod_versions(&pod_id("/p"))[0];
    let entries = driver.store.values().filter(|entry| !matches!(entry, Entry::PodVersion(_))).cloned();
    let refused = Scheduler::restore(Config::default(), 1, entries).map(|_| ());
    assert_eq!(refused, Err(RestoreError::MissingVersion { pod: pod_id("/p"), version }));
}

#[test]
fn a_pod_whose_record_is_missing_is_not_taken_for_deleted() {
    let driver = Driver::running(pod("/p", 1, 1));
    let entries = driver.store.values().filter(|entry| !matches!(entry, Entry::Pod(_))).cloned();
    let refused = Scheduler::restore(Config::default(), 1, entries).map(|_| ());
    assert_eq!(refused, Err(RestoreError::MissingPod { pod: pod_id("/p") }));
}

#[test]
fn a_definition_that_a_deployment_may_lead_back_to_is_not_taken_for_one_that_never_was() {
    let mut driver = Driver::running(pod("/p", 1, 1));
    let version = driver.scheduler.pod_versions(&pod_id("/p"))[0];
    driver.update_pod(changed(pod("/p", 1, 1), "2"));
    // The copy of the old one has ended and is not launched again.
    driver.crash(0);
    driver.wait(2.0);
    driver.offer("s2", 8.0, 8192.0);
    assert_eq!((driver.picture(), driver.deployments().len()), (vec!["v2.2 s2 Pending".to_owned()], 1));
    let is_old = |entry: &&Entry| matches!(entry, Entry::PodVersion(spec) if spec.version == version);
    let entries = driver.store.values().filter(|entry| !is_old(entry)).cloned();
    let refused = Scheduler::restore(Config::default(), 1, entries).map(|_| ());
    assert_eq!(refused, Err(RestoreError::MissingVersion { pod: pod_id("/p"), version }));
}

#[test]
fn another_master_changes_nothing_but_the_questions() {
    let mut driver = Driver::running(pod("/p", 2, 1));
    let before = driver.picture();
    let _ = driver.step(Input::Disconnected);
    driver.wait(300.0);
    driver.calls.clear();
    driver.subscribe();
    driver.wait(1.0);
    assert_eq!(driver.picture(), before);
    // The wishes are told again, because those of the subscription may have been outdated.
    driver.calls.retain(|call| !matches!(call, Call::UpdateFramework { .. }));
    assert_eq!(
        driver.story(),
        "RECONCILE /p.a.1 on Some(\"s1\"), /p.b.1 on Some(\"s1\")\nRECONCILE implicitly\n"
    );
}

#[test]
fn tasks_of_which_the_records_were_lost_are_listed_and_left_alone() {
    let mut driver = Driver::running(pod("/p", 2, 1));
    let alive: Vec<TaskStatus> =
        ["a", "b"].iter().map(|name| driver.status(0, name, TaskState::TaskRunning)).collect();
    driver.store.clear();
    driver.restart();
    driver.subscribe();
    let since = driver.now;
    for status in &alive {
        driver.event(Event::Update(status.clone()));
    }
    driver.wait(1.0);
    assert_eq!(driver.kills(), NOTHING);
    let listed = |driver: &Driver| -> Vec<_> {
        driver.scheduler.unknown_tasks().map(|task| (task.task_id.clone(), task.since)).collect()
    };
    let ids = [alive[0].task_id.clone(), alive[1].task_id.clone()];
    assert_eq!(listed(&driver), [(ids[0].clone(), since), (ids[1].clone(), since)]);
    // Those of which Mesos has nothing to say any more in a whole round are not there any more.
    driver.wait(700.0);
    driver.event(Event::Update(alive[0].clone()));
    driver.wait(500.0);
    assert_eq!(listed(&driver), [(ids[0].clone(), since)]);
    driver.wait(600.0);
    assert_eq!(listed(&driver), []);
    assert_eq!(driver.kills(), NOTHING);
}

/// The next round may begin a little late.
#[test]
fn a_task_without_a_record_is_listed_as_long_as_each_round_brings_word_of_it() {
    let mut driver = Driver::running(pod("/p", 1, 1));
    let alive = driver.status(0, "a", TaskState::TaskRunning);
    driver.store.clear();
    driver.restart();
    driver.subscribe();
    let since = driver.now;
    for _ in 0..3 {
        driver.event(Event::Update(alive.clone()));
        driver.wait(599.0);
        driver.now = driver.now + Duration::from_secs(2);
        let _ = driver.step(Input::Tick);
        let listed: Vec<_> = driver.scheduler.unknown_tasks().map(|task| task.since).collect();
        assert_eq!(listed, [since]);
    }
}

#[test]
fn a_launch_that_is_newer_than_the_records_is_listed_and_left_alone() {
    let mut driver = Driver::running(pod("/p", 1, 1));
    let old = driver.store.clone();
    driver.crash(0);
    driver.wait(2.0);
    driver.offer("s1", 8.0, 8192.0);
    driver.run(0);
    let alive = driver.status(0, "a", TaskState::TaskRunning);
    assert_eq!(driver.picture(), ["v1.2 s1 Stable"]);
    // Somebody brings back an older copy of the store.
    driver.store = old;
    driver.restart();
    driver.subscribe();
    driver.event(Event::Update(alive.clone()));
    let unknown: Vec<_> = driver.scheduler.unknown_tasks().map(|task| task.task_id.clone()).collect();
    assert_eq!(unknown, [alive.task_id]);
    assert_eq!(driver.kills(), NOTHING);
    assert_eq!(
        driver.picture(),
        ["v1.0 - Pending"],
        "another copy, whose launches cannot be taken for that one"
    );
}

#[test]
fn whoever_wants_unknown_tasks_killed_can_have_it() {
    let config = Config { unknown_tasks: podium_core::config::UnknownTasks::Kill, ..Config::default() };
    let mut driver = Driver::connected_with(config);
    driver.create(pod("/p", 1, 1));
    driver.offer("s1", 8.0, 8192.0);
    let alive = driver.status(0, "a", TaskState::TaskRunning);
    driver.store.clear();
    driver.restart();
    driver.subscribe();
    driver.event(Event::Update(alive));
    assert_eq!(driver.kills(), ["/p.a.1"]);
}

#[test]
fn launches_without_a_word_are_asked_about_after_a_restart() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 1, 1));
    driver.offer("s1", 8.0, 8192.0);
    driver.restart();
    driver.subscribe();
    driver.wait(0.0);
    assert!(driver.story().starts_with("RECONCILE /p.a.1 on Some(\"s1\")\n"));
    let mut lost = driver.status(0, "a", TaskState::TaskGone);
    lost.reason = Some(StatusReason::ReasonReconciliation);
    driver.event(Event::Update(lost));
    driver.wait(1.0);
    driver.offer("s1", 8.0, 8192.0);
    assert_eq!(driver.picture(), ["v1.2 s1 Pending"]);
}

#[test]
fn everything_is_asked_about_in_portions_always_with_its_agent_and_again_from_time_to_time() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 1, 2500));
    for _ in 0..3 {
        driver.offer("s1", 1000.0, 1e6);
    }
    let launched: Vec<TaskStatus> = driver
        .instances()
        .iter()
        .map(|instance| TaskStatus::new(instance.id.task_id("a", 1), TaskState::TaskRunning))
        .collect();
    let confirm = |driver: &mut Driver| {
        for status in &launched {
            driver.event(Event::Update(status.clone()));
        }
    };
    confirm(&mut driver);
    let _ = driver.step(Input::Disconnected);
    driver.calls.clear();
    driver.subscribe();
    let begin = driver.now;
    let mut asked = Vec::new();
    for tenth in 0..6010 {
        driver.wait(0.1);
        if tenth == 5 {
            confirm(&mut driver);
        }
        for call in std::mem::take(&mut driver.calls) {
            if let Call::Reconcile { tasks } = call {
                assert!(tasks.iter().all(|task| task.agent_id == Some(AgentId::from("s1"))));
                asked.push((driver.now.since(begin).as_millis() / 100, tasks.len()));
            }
        }
    }
    // The first portion goes with the subscription.
    let first = [(1, 1000), (1, 1000), (2, 500), (2, 0)];
    let second = [(6000, 1000), (6001, 1000), (6002, 500), (6002, 0)];
    assert_eq!(asked, [first, second].concat());
}

#[test]
fn questions_without_an_answer_are_repeated() {
    let mut driver = Driver::running(pod("/p", 1, 1));
    driver.restart();
    driver.subscribe();
    driver.wait(100.0);
    let asked =
        driver.calls.iter().filter(|call| matches!(call, Call::Reconcile { tasks } if !tasks.is_empty()));
    assert_eq!(asked.count(), 3, "at once, after 15 s, after 30 s more");
}

#[test]
fn what_was_given_up_stays_given_up() {
    let strategy = json!({"inactiveAfterSeconds": 0, "expungeAfterSeconds": 0});
    let mut driver =
        Driver::running(pod_with("/p", 1, 1, &json!({"scheduling": {"unreachableStrategy": strategy}})));
    let late = driver.status(0, "a", TaskState::TaskRunning);
    driver.update_all(0, TaskState::TaskUnreachable);
    let output = driver.step(Input::Event(Box::new(Event::Update(late.clone()))));
    assert!(output.records.iter().all(|record| !matches!(record, Record::Put(Entry::Instance(_)))));
    driver.restart();
    driver.subscribe();
    driver.event(Event::Update(late));
    assert_eq!(driver.picture(), ["v1.0 - Pending"]);
    assert_eq!(driver.kills(), ["/p.a.1"]);
}

/// What waits for a time waits anew at most, however far the next leader's clock is behind.
#[test]
fn time_goes_on_from_the_newest_record_if_the_next_leaders_clock_is_behind_it() {
    let start = |driver: &mut Driver| {
        driver.restart();
        let behind = driver.now - Duration::from_secs(3600);
        let last = driver.now;
        driver.now = behind.max(driver.scheduler.now());
        assert!(driver.now > behind && driver.now <= last, "{} {last}", driver.now);
        driver.subscribe();
    };
    // A delay, after a failure.
    let mut driver = Driver::running(pod("/p", 1, 1));
    driver.crash(0);
    start(&mut driver);
    driver.wait(1.0);
    driver.offer("s1", 8.0, 8192.0);
    assert_eq!(driver.picture(), ["v1.2 s1 Pending"]);
    // A launch that nobody answers.
    start(&mut driver);
    driver.wait(600.0);
    assert!(!driver.kills().is_empty(), "it has taken too long");
    // A copy out of reach.
    let mut driver = Driver::running(pod("/p", 1, 1));
    driver.update_all(0, TaskState::TaskUnreachable);
    start(&mut driver);
    driver.wait(899.0);
    assert_eq!(driver.picture(), ["v1.1 s1 Degraded"]);
    driver.wait(1.0);
    assert_eq!(driver.picture(), ["v1.1 s1 Degraded", "v1.0 - Pending"]);
}

#[test]
fn versions_grow_even_if_the_clock_stands_still_or_goes_back() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 1, 0));
    let early = Timestamp::from_millis(1_000_000);
    let mut wanted = 1;
    for restart in [false, true, false] {
        if restart {
            driver.restart();
            driver.subscribe();
        }
        for _ in 0..3 {
            driver.now = early;
            driver.force_pod(changed(pod("/p", 1, 0), &wanted.to_string()));
            wanted += 1;
        }
    }
    driver.command(Command::DeletePod { id: pod_id("/p"), force: true }).unwrap();
    driver.create(pod("/p", 1, 0));
    let versions = driver.scheduler.pod_versions(&pod_id("/p"));
    assert_eq!(versions.len(), wanted + 1, "{versions:?}");
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
    let newest = driver.scheduler.pod(&pod_id("/p")).unwrap().version;
    assert_eq!(newest, versions[wanted]);
}

#[test]
fn half_a_change_is_never_kept() {
    // Whatever was made durable by the end of any step is a whole that can be continued from.
    let mut driver = Driver::running(pod("/p", 2, 2));
    driver.update_pod(changed(pod("/p", 2, 2), "2"));
    driver.offer("s2", 8.0, 8192.0);
    driver.run(2);
    driver.wait(5.0);
    driver.delete_pod_by_force("/p");
    for entry in driver.store.values() {
        if let Entry::Deployment(deployment) = entry {
            for pod in deployment.affected_pods() {
                assert!(driver.store.contains_key(&Key::Pod(pod.clone())));
            }
        }
    }
    driver.restart();
    driver.subscribe();
    driver.wait(60.0);
    driver.confirm_kills();
    assert_eq!((driver.scheduler.instance_count(), driver.deployments()), (0, Vec::new()));
}

#[test]
fn an_end_that_was_asked_for_is_asked_for_again_by_the_next_leader() {
    let mut driver = Driver::running(pod("/p", 2, 2));
    driver.kill(0, false);
    driver.update_pod(pod("/p", 2, 1));
    driver.restart();
    driver.subscribe();
    driver.wait(0.0);
    let mut kills = driver.kills();
    kills.sort();
    assert_eq!(kills, ["/p.a.1", "/p.b.1"], "the one that was ending anyway is the one too many");
}

/// A copy runs on `s1`, another one on `s2`, and Mesos has removed the framework.
fn removed(framework_removed: FrameworkRemoved) -> Driver {
    let mut driver = Driver::connected_with(Config { framework_removed, ..Config::default() });
    driver.create(pod("/p", 1, 2));
    driver.offer("s1", 0.3, 64.0);
    driver.offer("s2", 0.3, 64.0);
    driver.run(0);
    driver.run(1);
    assert_eq!(driver.picture(), ["v1.1 s1 Stable", "v1.1 s2 Stable"]);
    let _ = driver.step(Input::Disconnected);
    let output = driver.step(Input::FrameworkRemoved);
    assert_eq!(output.actions, []);
    driver
}

fn subscription_id(driver: &Driver) -> Option<FrameworkId> {
    driver.scheduler.subscription(driver.now).framework_info.id
}

#[test]
fn a_framework_that_was_removed_keeps_its_id_until_a_person_decides() {
    let mut driver = removed(FrameworkRemoved::End);
    assert_eq!(subscription_id(&driver), Some(FrameworkId::from("fw")));
    assert_eq!(driver.picture(), ["v1.1 s1 Stable", "v1.1 s2 Stable"]);
    driver.restart();
    assert_eq!(subscription_id(&driver), Some(FrameworkId::from("fw")));
}

#[test]
fn a_framework_that_was_removed_goes_on_under_another_id() {
    let mut driver = removed(FrameworkRemoved::Register);
    driver.restart();
    assert_eq!(subscription_id(&driver), None);
    driver.calls.clear();
    driver.subscribe_as("fw-2");
    let former = vec![FrameworkId::from("fw")];
    let identity = Identity { id: Some(FrameworkId::from("fw-2")), former, since: Some(driver.now) };
    assert_eq!(driver.store[&Key::Framework], Entry::Framework(identity));
    let is_question = |call: &Call| matches!(call, Call::Reconcile { tasks } if tasks.len() == 2);
    assert!(driver.calls.iter().any(is_question), "Mesos knows what became of them: {:?}", driver.calls);

    // The agent that can be reached has ended what it ran, the other one will.
    let mut gone = driver.status(0, "a", TaskState::TaskGone);
    gone.source = Some(StatusSource::SourceMaster);
    gone.reason = Some(StatusReason::ReasonReconciliation);
    let mut lost = driver.status(1, "a", TaskState::TaskUnreachable);
    lost.unreachable_time = Some(driver.now);
    driver.event(Event::Update(gone));
    driver.event(Event::Update(lost));
    // Its back-off.
    driver.wait(1.0);
    driver.offer("s3", 0.3, 64.0);
    let mut picture = driver.picture();
    picture.sort();
    assert_eq!(picture, ["v1.1 s2 Degraded", "v1.1 s3 Pending"]);
}
