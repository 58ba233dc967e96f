//! Deployments beside each other, and deployments that take too long.

mod harness;

use std::time::Duration;

use harness::{Driver, changed, pod, pod_id, pod_with};
use podium_core::model::event::ApiEventKind;
use podium_core::model::mesos::TaskState;
use podium_core::model::pod::PodSpec;
use podium_core::{Action, Command, Input};
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
            let deployments = driver.scheduler.deployments();
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
