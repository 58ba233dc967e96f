//! Deployments as such: how they begin and end, beside each other, their ids and order, and those that take too long.

mod harness;

use std::collections::BTreeSet;
use std::time::Duration;

use harness::{Driver, changed, pod, pod_id, pod_with};
use podium_core::model::event::ApiEventKind;
use podium_core::model::ids::DeploymentId;
use podium_core::model::mesos::{Event, TaskState};
use podium_core::model::pod::PodSpec;
use podium_core::model::time::Timestamp;
use podium_core::{Action, Command, CommandId, Config, Input, Origin, Refusal, Response};
use serde_json::json;

const NOTHING: [&str; 0] = [];

#[test]
fn deployments_of_different_pods_have_nothing_to_do_with_each_other() {
    for force in [false, true] {
        let mut driver = Driver::connected();
        for id in ["/a", "/b"] {
            driver.create(pod(id, 1, 1));
        }
        driver.offer("s1", 8.0, 8192.0);
        driver.run(0);
        driver.run(1);
        driver.wait(5.0);
        for id in ["/a", "/b"] {
            driver.update_pod(changed(pod(id, 1, 1), "2"));
        }
        let of = |driver: &Driver, id: &str| {
            let deployments = driver.scheduler.deployments(driver.now);
            deployments.into_iter().find(|deployment| deployment.affected_pods == [pod_id(id)])
        };
        let (b, spec) = (of(&driver, "/b"), driver.status_of("/b").spec);
        let id = of(&driver, "/a").expect("it was accepted").id;
        driver.command(Command::CancelDeployment { id, force }).unwrap();
        assert_eq!(of(&driver, "/b"), b, "force: {force}");
        assert_eq!(driver.status_of("/b").spec, spec, "force: {force}");
        // The other one goes on to its end.
        driver.offer("s2", 8.0, 8192.0);
        let of_b = driver.instances().iter().position(|i| i.id.pod == pod_id("/b") && i.incarnation == 1);
        driver.run(of_b.expect("one runs") + 1);
        driver.wait(5.0);
        driver.confirm_kills();
        assert_eq!(of(&driver, "/b"), None, "force: {force}");
        assert_eq!(driver.status_of("/b").instances.len(), 1, "force: {force}");
    }
}

/// One copy that stays healthy throughout and whose deployments have to be done in ten minutes.
fn in_ten_minutes(action: &str) -> PodSpec {
    let upgrade = json!({"deadline": {"seconds": 600, "action": action}});
    pod_with("/p", 1, 1, &json!({"scheduling": {"upgrade": upgrade}}))
}

fn failures(output: &podium_core::Output) -> Vec<String> {
    let reason = |action: &Action| match action {
        Action::Publish(event) => match &event.kind {
            ApiEventKind::DeploymentFailed { reason, .. } => Some(reason.clone()),
            _ => None,
        },
        _ => None,
    };
    output.actions.iter().filter_map(reason).collect()
}

#[test]
fn a_deployment_that_takes_too_long_is_stopped_if_its_pod_says_so() {
    let mut driver = Driver::running(in_ten_minutes("STOP"));
    driver.update_pod(changed(in_ten_minutes("STOP"), "2"));
    let accepted = driver.now;
    driver.wait(599.0);
    assert_eq!(driver.deployments().len(), 1);
    driver.restart();
    driver.subscribe();
    driver.update_all(0, TaskState::TaskRunning);
    assert!(driver.scheduler.deadline() <= Some(accepted + Duration::from_secs(600)));
    driver.now = accepted + Duration::from_secs(600);
    let output = driver.step(Input::Tick);
    let why = "was stopped because its deadline passed: waits for 1 instance of the new version to be ready: 0 are \
               so, 1 is waiting to be launched";
    assert_eq!(failures(&output), [format!("The deployment {why}")]);
    assert_eq!(driver.deployments(), NOTHING);
    assert_eq!(driver.picture(), ["v1.1 s1 Stable"], "what serves stays");
    let message = driver.status_of("/p").message.unwrap();
    assert!(message.ends_with(why), "{message}");
    // Whoever tries again tries afresh.
    driver.update_pod(changed(in_ten_minutes("STOP"), "3"));
    driver.offer("s2", 8.0, 8192.0);
    driver.run(1);
    driver.wait(5.0);
    driver.confirm_kills();
    assert_eq!(driver.picture(), ["v3.1 s2 Stable"]);
    assert_eq!(driver.status_of("/p").message, None);
}

#[test]
fn a_deployment_is_not_given_up_before_mesos_has_said_how_its_copies_are() {
    let mut driver = Driver::running(in_ten_minutes("ROLL_BACK"));
    driver.update_pod(changed(in_ten_minutes("ROLL_BACK"), "2"));
    driver.offer("s2", 8.0, 8192.0);
    driver.run(1);
    let _ = driver.step(Input::Disconnected);
    driver.wait(600.0);
    assert_eq!(driver.deployments().len(), 1, "nobody knows how it is");
    // The new copy has served for long, the old one has ended: it was done in time.
    driver.subscribe();
    driver.update_all(1, TaskState::TaskRunning);
    driver.update_all(0, TaskState::TaskKilled);
    driver.wait(600.0);
    assert_eq!(driver.picture(), ["v2.1 s2 Stable"]);
    assert_eq!(
        (driver.deployments(), driver.status_of("/p").message),
        (NOTHING.map(str::to_owned).to_vec(), None)
    );
}

#[test]
fn a_deployment_that_takes_too_long_is_rolled_back_if_its_pod_says_so() {
    let mut driver = Driver::running(in_ten_minutes("ROLL_BACK"));
    driver.update_pod(changed(in_ten_minutes("ROLL_BACK"), "2"));
    driver.offer("s2", 8.0, 8192.0);
    driver.crash(1);
    driver.wait(600.0);
    let message = driver.status_of("/p").message.unwrap();
    assert!(
        message.ends_with(
            "was rolled back because its deadline passed: waits for 1 instance of the new version to be ready: 0 are \
             so, 1 is waiting to be launched; the last to end was TASK_FAILED: Command exited with status 1"
        ),
        "{message}"
    );
    assert_eq!(driver.picture(), ["v1.1 s1 Stable"]);
    let spec = driver.status_of("/p").spec;
    assert_eq!((driver.scheduler.pod_versions(&pod_id("/p")).len(), spec.labels.len()), (3, 0));
    assert_eq!(driver.deployments(), NOTHING, "the copy never had to be replaced");
}

/// Nobody knew how its copies are until its time was up. What it would have ended then is wanted by what leads back.
#[test]
fn a_deployment_whose_time_is_up_begins_nothing_more() {
    let with = |instances: u32| {
        let upgrade = json!({"deadline": {"seconds": 10, "action": "ROLL_BACK"}});
        pod_with("/p", 1, instances, &json!({"scheduling": {"upgrade": upgrade}}))
    };
    let mut driver = Driver::connected();
    driver.create(with(3));
    driver.offer("s1", 8.0, 8192.0);
    (0..3).for_each(|copy| driver.run(copy));
    driver.wait(5.0);
    let _ = driver.step(Input::Disconnected);
    driver.update_pod(changed(with(1), "2"));
    driver.wait(20.0);
    driver.subscribe();
    (0..3).for_each(|copy| driver.update_all(copy, TaskState::TaskRunning));
    assert_eq!(driver.picture(), ["v1.1 s1 Stable"; 3]);
    assert_eq!(driver.deployments(), NOTHING);
}

#[test]
fn a_strategy_that_is_rolled_back_counts_at_once() {
    let with = |strategy: serde_json::Value, action: &str| {
        let upgrade = json!({"deadline": {"seconds": 20, "action": action}});
        pod_with("/p", 1, 1, &json!({"scheduling": {"upgrade": upgrade, "unreachableStrategy": strategy}}))
    };
    let mut driver = Driver::connected();
    driver.create(with(json!({"inactiveAfterSeconds": 0, "expungeAfterSeconds": 0}), "STOP"));
    driver.offer("s1", 8.0, 8192.0);
    driver.force_pod(changed(with(json!("disabled"), "ROLL_BACK"), "2"));
    let accepted = driver.now;
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.wait(19.0);
    assert_eq!(driver.deployments().len(), 1);
    driver.now = accepted + Duration::from_secs(20);
    drop(driver.step(Input::Tick));
    assert!(driver.scheduler.deadline() > Some(driver.now), "the same step replaces the copy");
    let pictures = driver.picture();
    assert!(pictures.iter().all(|copy| !copy.contains("s1")), "{pictures:?}");
}

#[test]
fn the_way_back_has_no_deadline_and_a_pod_that_was_not_there_before_stays() {
    // Its only copy makes place first, so the way back takes an offer, which does not come.
    let tight = |action: &str| {
        let upgrade = json!({
            "minimumHealthCapacity": 0, "maximumOverCapacity": 0,
            "deadline": {"seconds": 600, "action": action}
        });
        let more = json!({"scheduling": {"upgrade": upgrade}});
        pod_with("/p", 1, 1, &more)
    };
    let mut driver = Driver::running(tight("ROLL_BACK"));
    driver.update_pod(changed(tight("ROLL_BACK"), "2"));
    driver.confirm_kills();
    driver.wait(100_000.0);
    assert_eq!(driver.deployments().len(), 1);
    driver.offer("s1", 8.0, 8192.0);
    assert_eq!(driver.picture(), ["v3.1 s1 Pending"]);

    let mut driver = Driver::connected();
    driver.create(tight("ROLL_BACK"));
    driver.wait(600.0);
    assert_eq!(driver.deployments(), NOTHING);
    assert_eq!(driver.picture(), ["v1.0 - Pending"]);
    driver.offer("s1", 8.0, 8192.0);
    driver.run(0);
    assert_eq!(driver.picture(), ["v1.1 s1 Stable"]);
}

#[test]
fn a_limit_on_deployments_never_stops_what_is_forced() {
    let config = Config { max_running_deployments: 1, ..Config::default() };
    let mut driver = Driver::connected_with(config);
    driver.create(pod("/p", 1, 1));
    let refused =
        driver.command(Command::CreatePod { pod: pod("/q", 1, 1), force: false, role_given: false });
    assert_eq!(refused, Err(Refusal::TooManyDeployments { limit: 1 }));
    driver.force_pod(changed(pod("/p", 1, 1), "2"));
    driver.command(Command::CreatePod { pod: pod("/q", 1, 1), force: true, role_given: false }).unwrap();
    driver.cancel(false);
    assert_eq!(driver.scheduler.deployments(driver.now).len(), 2);
}

#[test]
fn a_deployment_that_is_accepted_is_seen_and_can_be_cancelled_at_once() {
    let mut driver = Driver::connected();
    let Response::PodCreated { deployment, .. } = driver.create(pod("/p", 1, 1)) else { panic!() };
    assert_eq!(driver.scheduler.deployments(driver.now)[0].id, deployment);
    assert_eq!(
        driver.deployments(),
        ["ScalePod /p: waits for 1 instance to be ready: 0 are so, 1 is waiting to be launched"]
    );
    driver.command(Command::CancelDeployment { id: deployment.clone(), force: true }).unwrap();
    assert_eq!(driver.scheduler.deployments(driver.now), []);
    let unknown = driver.command(Command::CancelDeployment { id: deployment.clone(), force: true });
    assert_eq!(unknown, Err(Refusal::UnknownDeployment(deployment)));
}

#[test]
fn a_deletion_is_done_when_everything_has_ended_and_not_before() {
    let mut driver = Driver::running(pod("/p", 2, 2));
    driver.delete_pod("/p");
    let first = driver.calls[0].clone();
    driver.wait(1000.0);
    assert_eq!(driver.deployments(), ["StopPod /p: waits for 2 instances to end"]);
    driver.calls = vec![first];
    driver.confirm_kills();
    assert_eq!(driver.deployments(), ["StopPod /p: waits for 2 instances to end"]);
    driver.wait(60.0);
    driver.confirm_kills();
    assert_eq!(driver.deployments(), NOTHING);
}

#[test]
fn a_change_is_kept_in_one_piece_with_its_deployment_and_so_is_its_end() {
    let mut driver = Driver::running(pod("/p", 1, 1));
    let command = Command::UpdatePod { pod: pod("/p", 1, 0), force: false, role_given: false };
    let input = Input::Command { id: CommandId(99), origin: Origin::default(), command: Box::new(command) };
    let output = driver.step(input);
    let kept: Vec<String> = output
        .records
        .iter()
        .map(|record| serde_json::to_value(record).unwrap()["put"]["type"].as_str().unwrap_or("?").to_owned())
        .collect();
    assert_eq!(kept, ["deployment", "pod", "pod_version", "instance"]);
    let before = driver.store.clone();
    let killed = driver.status_of("/p").instances[0].containers[0].container_id.clone().unwrap();
    let status = podium_core::model::mesos::TaskStatus::new(killed, TaskState::TaskKilled);
    let output = driver.step(Input::Event(Box::new(Event::Update(status))));
    let finished: Vec<&DeploymentId> = output
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::Publish(event) => match &event.kind {
                ApiEventKind::DeploymentSuccess { id, .. } => Some(id),
                _ => None,
            },
            _ => None,
        })
        .collect();
    assert_eq!(finished.len(), 1);
    assert_eq!(driver.store.len(), before.len() - 2, "the instance and the deployment are gone together");
}

#[test]
fn no_two_deployments_have_one_id() {
    let mut driver = Driver::connected();
    let first = driver.create(pod("/first", 1, 1)).deployment().cloned().unwrap();
    // The next leader's clock is behind: the ids of its deployments come after that of the first all the same.
    driver.restart();
    driver.now = Timestamp::from_millis(driver.now.as_millis() - 10_000);
    driver.subscribe();
    let mut ids = vec![first];
    ids.extend(driver.create(pod("/again", 1, 1)).deployment().cloned());
    for instances in 2..10 {
        // It ends the one before.
        ids.extend(driver.force_pod(pod("/again", 1, instances)).deployment().cloned());
        assert_eq!(driver.deployments().len(), 2);
    }
    assert_eq!(ids.len(), 10);
    assert!(ids.iter().all(|id| *id >= ids[0]), "{ids:?}");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 10, "{ids:?}");
}

#[test]
fn deployments_are_listed_in_the_order_in_which_they_began() {
    // All at the same instant, which alone gives them no order.
    let mut driver = Driver::connected();
    let began: Vec<DeploymentId> =
        (0..20).map(|n| driver.create(pod(&format!("/p-{n}"), 1, 1)).deployment().unwrap().clone()).collect();
    let listed: Vec<DeploymentId> =
        driver.scheduler.deployments(driver.now).into_iter().map(|d| d.id).collect();
    assert_eq!(listed, began);
}

#[test]
fn a_refused_change_leaves_the_lock_where_it_was() {
    let mut driver = Driver::running(pod("/p", 1, 1));
    driver.update_pod(pod("/p", 1, 2));
    let holder = driver.scheduler.deployments(driver.now)[0].id.clone();
    for _ in 0..2 {
        let refused =
            driver.command(Command::UpdatePod { pod: pod("/p", 1, 3), force: false, role_given: false });
        assert_eq!(refused, Err(Refusal::Locked { deployments: vec![holder.clone()] }));
    }
    assert_eq!(driver.picture(), ["v1.1 s1 Stable", "v2.0 - Pending"]);
}
