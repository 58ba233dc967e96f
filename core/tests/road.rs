//! The whole road of a pod through the scheduler, and the turns it can take.

mod harness;

use harness::{Driver, pod, pod_id};
use podium_core::model::mesos::{Call, Event, StatusSource, TaskState};
use podium_core::view::PodInstanceState;
use podium_core::{Command, Input, Refusal};

/// A pod of two containers that runs.
fn running(instances: u32) -> Driver {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 2, instances));
    driver.offer("s1", 8.0, 8192.0);
    for n in 0..instances as usize {
        driver.update_all(n, TaskState::TaskStarting);
        driver.update_all(n, TaskState::TaskRunning);
    }
    driver.calls.clear();
    driver
}

fn states(driver: &Driver) -> Vec<PodInstanceState> {
    let status = driver.scheduler.pod_status(&pod_id("/p"), driver.now).unwrap();
    status.instances.iter().map(|instance| instance.status).collect()
}

fn accepted(calls: &[Call]) -> bool {
    calls.iter().any(|call| matches!(call, Call::Accept { .. }))
}

#[test]
fn a_pod_from_its_creation_to_its_end() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 2, 1));
    driver.offer("s1", 8.0, 8192.0);
    driver.update_all(0, TaskState::TaskStarting);
    driver.update_all(0, TaskState::TaskRunning);
    assert_eq!(states(&driver), [PodInstanceState::Stable]);
    assert_eq!(driver.scheduler.deployments(driver.now), []);
    driver.command(Command::DeletePod { id: pod_id("/p"), force: false }).unwrap();
    insta::assert_snapshot!(driver.story());
}

#[test]
fn an_offer_nobody_needs_is_declined() {
    let mut driver = Driver::connected();
    let calls = driver.offer("s1", 8.0, 8192.0);
    assert!(matches!(&calls[..], [Call::Decline { .. }]), "{calls:?}");
}

#[test]
fn one_failed_container_takes_the_group_down_and_the_next_incarnation_waits_for_all() {
    let mut driver = running(1);
    driver.update(0, "a", TaskState::TaskFailed);
    assert_eq!(states(&driver), [PodInstanceState::Terminal]);
    assert!(!accepted(&driver.offer("s1", 8.0, 8192.0)), "b still runs");
    driver.update(0, "b", TaskState::TaskKilled);
    assert_eq!(states(&driver), [PodInstanceState::Pending]);
    assert!(!accepted(&driver.offer("s1", 8.0, 8192.0)), "back-off");
    driver.wait(1.0);
    assert!(accepted(&driver.offer("s1", 8.0, 8192.0)));
    assert_eq!(driver.instance(0).1, 2);
}

#[test]
fn a_member_that_outlives_its_group_is_hunted() {
    let mut driver = running(1);
    driver.update(0, "a", TaskState::TaskFailed);
    driver.calls.clear();
    let why = |driver: &Driver| driver.status_of("/p").instances[0].message.clone();
    assert_eq!(
        why(&driver).as_deref(),
        Some("container 'a' is TASK_FAILED; the other containers are ending")
    );
    driver.wait(60.0);
    assert_eq!(why(&driver).as_deref(), Some("did not end together with its group and is being killed"));
    insta::assert_snapshot!(driver.story());
}

#[test]
fn a_container_that_finishes_leaves_the_others_running() {
    let mut driver = running(1);
    driver.update(0, "a", TaskState::TaskFinished);
    assert_eq!(states(&driver), [PodInstanceState::Stable]);
    driver.wait(100.0);
    assert!(driver.calls.iter().all(|call| !matches!(call, Call::Kill { .. })));
}

#[test]
fn a_restarted_scheduler_adopts_what_runs() {
    let mut driver = running(2);
    let before = driver.scheduler.pod_status(&pod_id("/p"), driver.now);
    driver.restart();
    assert_eq!(driver.scheduler.pod_status(&pod_id("/p"), driver.now), before);
    driver.subscribe();
    driver.wait(0.0);
    insta::assert_snapshot!(driver.story());
}

#[test]
fn an_unreachable_instance_is_replaced_to_the_second_and_surplus_is_removed_when_it_returns() {
    let mut driver = running(1);
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.wait(899.0);
    assert!(!accepted(&driver.offer("s2", 8.0, 8192.0)));
    driver.wait(1.0);
    assert!(accepted(&driver.offer("s2", 8.0, 8192.0)));
    driver.update_all(1, TaskState::TaskRunning);
    driver.calls.clear();
    driver.update_all(0, TaskState::TaskRunning);
    insta::assert_snapshot!(driver.story());
}

#[test]
fn a_forgotten_instance_is_killed_when_it_returns() {
    let mut driver = running(1);
    driver.update_all(0, TaskState::TaskUnreachable);
    let late = driver.status(0, "a", TaskState::TaskRunning);
    driver.wait(604_800.0);
    driver.calls.clear();
    driver.event(Event::Update(late));
    insta::assert_snapshot!(driver.story());
}

#[test]
fn late_updates_do_not_lead_back() {
    let mut driver = running(1);
    let before = driver.scheduler.pod_status(&pod_id("/p"), driver.now);
    let late = driver.status(0, "a", TaskState::TaskStarting);
    let output = driver.step(Input::Event(Box::new(Event::Update(late))));
    assert_eq!(output.records, []);
    assert_eq!(driver.scheduler.pod_status(&pod_id("/p"), driver.now), before);
    assert!(matches!(&driver.calls[..], [Call::Acknowledge { .. }]));
}

#[test]
fn a_change_of_definition_replaces_copies_within_its_capacities() {
    let mut driver = running(2);
    let mut changed = pod("/p", 2, 2);
    changed.labels.insert("version".into(), "2".into());
    driver.command(Command::UpdatePod { pod: changed, force: false, role_given: false }).unwrap();
    driver.wait(5.0);
    driver.offer("s1", 8.0, 8192.0);
    assert_eq!(states(&driver).len(), 4);
    assert!(driver.calls.iter().all(|call| !matches!(call, Call::Kill { .. })));
    driver.update_all(2, TaskState::TaskRunning);
    driver.wait(5.0);
    let kills = driver.calls.iter().filter(|call| matches!(call, Call::Kill { .. })).count();
    assert_eq!(kills, 2, "one old copy goes for one new that is ready");
    driver.update_all(3, TaskState::TaskRunning);
    driver.wait(5.0);
    driver.confirm_kills();
    assert_eq!(states(&driver), [PodInstanceState::Stable; 2]);
    assert_eq!(driver.scheduler.deployments(driver.now), []);
}

#[test]
fn a_pod_that_is_being_changed_is_locked() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 1, 1));
    let refused =
        driver.command(Command::UpdatePod { pod: pod("/p", 1, 2), force: false, role_given: false });
    assert!(matches!(refused, Err(Refusal::Locked { .. })));
    assert_eq!(driver.scheduler.pod_versions(&pod_id("/p")).len(), 1);
    driver.command(Command::UpdatePod { pod: pod("/p", 1, 2), force: true, role_given: false }).unwrap();
    assert_eq!(driver.scheduler.pod(&pod_id("/p")).unwrap().instances(), 2);
}

#[test]
fn scaling_down_keeps_what_serves() {
    let mut driver = running(2);
    driver.command(Command::UpdatePod { pod: pod("/p", 2, 3), force: false, role_given: false }).unwrap();
    driver.command(Command::UpdatePod { pod: pod("/p", 2, 2), force: true, role_given: false }).unwrap();
    assert_eq!(states(&driver), [PodInstanceState::Stable; 2]);
    assert!(driver.calls.iter().all(|call| !matches!(call, Call::Kill { .. })));
}

#[test]
fn nothing_is_left_of_a_deleted_pod_but_its_history() {
    let mut driver = running(3);
    driver.command(Command::DeletePod { id: pod_id("/p"), force: false }).unwrap();
    assert_eq!(driver.confirm_kills(), 6);
    assert_eq!(driver.scheduler.instance_count(), 0);
    assert_eq!(driver.scheduler.deployments(driver.now), []);
    assert_eq!(driver.scheduler.pod_versions(&pod_id("/p")).len(), 1);
    driver.wait(100_000.0);
    let keys: Vec<String> = driver.store.keys().map(|key| key.to_string()).collect();
    assert_eq!(keys.len(), 3, "{keys:?}");
}

#[test]
fn a_pod_that_fits_nowhere_says_what_is_missing() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 2, 1));
    driver.offer("s1", 0.2, 8192.0);
    driver.offer("s2", 0.1, 8192.0);
    let status = driver.scheduler.pod_status(&pod_id("/p"), driver.now).unwrap();
    insta::assert_snapshot!(status.instances[0].message.as_deref().unwrap_or_default());
    // The same again is not looked at again, more of it is.
    assert!(!accepted(&driver.offer("s1", 0.2, 8192.0)));
    assert!(accepted(&driver.offer("s1", 0.3, 8192.0)));
}

#[test]
fn a_delay_that_ends_makes_agents_worth_trying_again() {
    let mut driver = running(1);
    driver.update(0, "a", TaskState::TaskFailed);
    driver.update(0, "b", TaskState::TaskKilled);
    assert!(!accepted(&driver.offer("s1", 8.0, 8192.0)));
    driver.wait(2.0);
    assert!(accepted(&driver.offer("s1", 8.0, 8192.0)));
}

#[test]
fn a_task_that_the_master_does_not_know_may_still_run() {
    let mut driver = running(1);
    let (id, _, agent) = driver.instance(0);
    for container in ["a", "b"] {
        let mut status = driver.status(0, container, TaskState::TaskGone);
        status.source = Some(StatusSource::SourceMaster);
        status.uuid = None;
        driver.event(Event::Update(status));
    }
    // Its executor ends in any case, and another instance takes its place.
    let shutdown = Call::Shutdown { executor_id: id.executor_id(), agent_id: agent.unwrap() };
    assert!(driver.calls.contains(&shutdown), "{:?}", driver.calls);
    assert_ne!(driver.instance(0).0, id);
    // An end that the agent tells of is one.
    let mut driver = running(1);
    let (id, ..) = driver.instance(0);
    driver.update_all(0, TaskState::TaskGone);
    assert_eq!(driver.instance(0).0, id);
}
