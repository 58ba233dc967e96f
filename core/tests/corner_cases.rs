//! What happens where two things meet: partitions and deadlines, scalings and dependencies, cancellations and ids, rounds of
//! questions and the time between them; and what people are told then.

mod harness;

use std::time::Duration;

use harness::{Driver, changed, checked_pod, from_json, pod, pod_id, pod_with};
use podium_core::admission::{Rules, read_group};
use podium_core::model::event::ApiEventKind;
use podium_core::model::ids::{GroupId, Role};
use podium_core::model::mesos::{Call, Event, TaskState};
use podium_core::model::pod::PodSpec;
use podium_core::{Action, Command, CommandId, Config, Input, Origin};
use serde_json::json;

fn patient(containers: usize, inactive: u32, expunge: u32) -> PodSpec {
    let strategy = json!({"inactiveAfterSeconds": inactive, "expungeAfterSeconds": expunge});
    pod_with("/p", containers, 1, &json!({"scheduling": {"unreachableStrategy": strategy}}))
}

fn put(driver: &mut Driver, id: &str, body: &serde_json::Value) {
    let group = read_group(body, &GroupId::from(id), &Rules::default()).unwrap().update;
    driver.command(Command::UpdateGroup { group }).unwrap();
}

/// A copy is out of reach when the scheduler loses its connection. Its agent comes back, and is lost once more ten
/// seconds before the scheduler is connected again: the time counts from then, also of a pod with two containers.
#[test]
fn a_second_partition_counts_from_its_own_beginning_whatever_the_number_of_containers() {
    for containers in [1, 2] {
        let mut driver = Driver::running(patient(containers, 60, 120));
        driver.update_all(0, TaskState::TaskUnreachable);
        let _ = driver.step(Input::Disconnected);
        driver.wait(1000.0);
        let lost_again = driver.now;
        driver.wait(10.0);
        driver.subscribe();
        for container in ["a", "b"].iter().take(containers) {
            if driver.instances()[0].containers.iter().any(|known| known.name == *container) {
                let mut status = driver.status(0, container, TaskState::TaskUnreachable);
                status.unreachable_time = Some(lost_again);
                driver.event(Event::Update(status));
            }
        }
        assert_eq!(driver.picture(), ["v1.1 s1 Degraded"], "{containers} containers: ten seconds, not 1010");
        driver.wait(49.0);
        assert_eq!(driver.picture(), ["v1.1 s1 Degraded"], "{containers} containers");
        driver.wait(1.0);
        assert_eq!(driver.picture().len(), 2, "{containers} containers");
    }
}

/// Three copies are not healthy, because the database is not, when two more are wanted. They recover while the
/// database does not serve fully yet.
#[test]
fn a_scaling_that_waits_for_a_dependency_is_not_done_before_it_has_begun() {
    let mut driver = Driver::connected();
    driver.create(pod("/db/a", 1, 2));
    driver.create(checked_pod("/shop/web", 3, &json!({})));
    driver.offer("s1", 8.0, 8192.0);
    for n in 0..5 {
        driver.run(n);
    }
    for n in 2..5 {
        driver.health(n, "a", true);
    }
    driver.wait(5.0);
    put(&mut driver, "/shop", &json!({"dependencies": ["/db"]}));
    assert_eq!(driver.deployments(), [""; 0]);
    driver.crash(0);
    for n in 2..5 {
        driver.health(n, "a", false);
    }
    driver.update_pod(checked_pod("/shop/web", 5, &json!({})));
    let copies = |driver: &Driver| driver.status_of("/shop/web").instances.len();
    assert_eq!((copies(&driver), driver.deployments().len()), (3, 1), "it waits");
    for n in 2..5 {
        driver.health(n, "a", true);
    }
    assert_eq!(
        (copies(&driver), driver.deployments().len()),
        (3, 1),
        "/db/a has one of its two copies: it waits still, and is not done"
    );
}

/// New copies come up, and then there is no connection until the time of their deployment is up: with the first step
/// that may judge them all are due to be relied on, which is more than one step does.
#[test]
fn a_deployment_of_more_copies_than_a_step_looks_at_is_not_given_up_when_it_was_done_in_time() {
    let with = |version: &str| {
        let deadline = json!({"seconds": 600, "action": "ROLL_BACK"});
        let upgrade = json!({"deadline": deadline, "minimumHealthCapacity": 0.0, "maximumOverCapacity": 0.0});
        changed(pod_with("/p", 1, 8, &json!({"scheduling": {"upgrade": upgrade}})), version)
    };
    for portion in [500, 4] {
        let mut driver = Driver::connected_with(Config { portion, ..Config::default() });
        driver.create(with("1"));
        driver.offer("s1", 80.0, 80_000.0);
        (0..8).for_each(|n| driver.run(n));
        driver.wait(5.0);
        driver.update_pod(with("2"));
        while driver.confirm_kills() > 0 {
            driver.finish();
        }
        driver.offer("s2", 80.0, 80_000.0);
        (0..8).for_each(|n| driver.run(n));
        assert_eq!(driver.picture(), ["v2.1 s2 Stable"; 8], "portion {portion}");
        assert_eq!(driver.deployments().len(), 1, "portion {portion}");
        let _ = driver.step(Input::Disconnected);
        driver.wait(700.0);
        driver.subscribe();
        (0..8).for_each(|n| driver.update_all(n, TaskState::TaskRunning));
        driver.finish();
        let (spec, message) = (driver.status_of("/p").spec, driver.status_of("/p").message);
        let version = spec.labels.get("version").map(ToString::to_string);
        assert_eq!(version.as_deref(), Some("2"), "portion {portion}: {message:?}");
    }
}

/// Asking about all copies takes longer than the time between two rounds.
#[test]
fn a_round_of_questions_that_takes_longer_than_the_time_between_rounds_comes_to_its_end() {
    for (chunk, copies) in [(1000, 20), (1, 20)] {
        let config = Config {
            reconciliation_interval: Duration::from_secs(1),
            reconciliation_chunk: chunk,
            ..Config::default()
        };
        let mut driver = Driver::connected_with(config);
        driver.create(pod("/p", 1, copies));
        driver.offer("s1", 80.0, 80_000.0);
        for n in 0..copies as usize {
            driver.run(n);
        }
        driver.wait(30.0);
        driver.restart();
        driver.subscribe();
        driver.wait(60.0);
        let asked = |driver: &Driver, n: usize| {
            let (id, incarnation, _) = driver.instance(n);
            let task = id.task_id("a", incarnation);
            driver.calls.iter().any(|call| match call {
                Call::Reconcile { tasks } => tasks.iter().any(|asked| asked.task_id == task),
                _ => false,
            })
        };
        let unasked = (0..copies as usize).filter(|n| !asked(&driver, *n)).count();
        assert_eq!(unasked, 0, "chunks of {chunk}: after a minute, copies that were never asked about");
        driver.calls.clear();
        driver.update_pod(pod("/p", 1, 1));
        driver.wait(60.0);
        assert!(
            !driver.kills().is_empty(),
            "chunks of {chunk}: two minutes after the subscription nothing goes"
        );
    }
}

/// A group and a pod of one id.
#[test]
fn the_way_back_of_a_deletion_makes_no_group_with_the_id_of_a_pod() {
    let mut driver = Driver::connected();
    put(&mut driver, "/g", &json!({"groups": [{"id": "/g/x"}]}));
    driver.create(pod("/g/a", 1, 1));
    driver.offer("s1", 8.0, 8192.0);
    driver.run(0);
    driver.wait(5.0);
    driver.command(Command::DeleteGroup { id: GroupId::from("/g"), force: false }).unwrap();
    driver.create(pod("/g/x", 1, 1));
    let deployments = driver.scheduler.deployments(driver.now);
    let id = deployments.into_iter().find(|d| d.affected_pods[0] == pod_id("/g/a")).unwrap().id;
    let result = driver.command(Command::CancelDeployment { id, force: false });
    let group = driver.scheduler.group(&GroupId::from("/g/x"), podium_core::view::GroupEmbed::ALL);
    assert!(
        result.is_err() || group.is_none(),
        "{result:?}: there are a group /g/x and a pod /g/x: {:?}",
        driver.scheduler.pod(&pod_id("/g/x")).map(|pod| &pod.id)
    );
}

/// An old copy that does not end takes the room of the new ones.
#[test]
fn a_replacement_that_has_no_room_says_what_takes_it() {
    let upgrade = json!({"minimumHealthCapacity": 1.0, "maximumOverCapacity": 0.0});
    let spec = pod_with("/p", 1, 3, &json!({"scheduling": {"upgrade": upgrade}}));
    let mut driver = Driver::running(spec.clone());
    driver.update_pod(changed(spec, "2"));
    driver.offer("s2", 8.0, 8192.0);
    driver.run(3);
    driver.wait(5.0);
    assert_eq!(driver.kills().len(), 1, "the first old copy is asked to end");
    driver.wait(60.0);
    let told = driver.deployments();
    assert!(told[0].contains("end"), "{told:?}");
}

fn resident(instances: u32) -> PodSpec {
    let mut json = serde_json::to_value(pod("/db", 1, instances)).unwrap();
    json["role"] = json!("dev");
    json["volumes"] = json!([{ "name": "data", "persistent": { "size": 100 } }]);
    json["containers"][0]["volumeMounts"] = json!([{ "name": "data", "mountPath": "/var/data" }]);
    json.as_object_mut().unwrap().remove("scheduling");
    from_json(&json)
}

/// The old copy of which the data is on an agent out of reach.
#[test]
fn a_replacement_that_waits_for_an_agent_out_of_reach_says_so() {
    let mut driver = Driver::connected_with(Config { mesos_role: Role::from("dev"), ..Config::default() });
    driver.create(resident(1));
    let mut offer = driver.make_offer("s1", 8.0, 8192.0);
    offer.role = Some(Role::from("dev"));
    for resource in &mut offer.resources {
        resource.allocation_role = Some(Role::from("dev"));
    }
    driver.offer_all(vec![offer]);
    driver.run(0);
    driver.wait(10.0);
    assert_eq!(driver.deployments(), [""; 0]);
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.update_pod(changed(resident(1), "2"));
    driver.wait(60.0);
    let told = driver.deployments();
    assert!(told[0].contains("out of reach"), "{told:?}");
}

/// Which copies are to go nobody can say without a connection.
#[test]
fn a_scaling_down_without_a_connection_says_what_it_waits_for() {
    let mut driver = Driver::running(pod("/p", 1, 3));
    let _ = driver.step(Input::Disconnected);
    driver.update_pod(pod("/p", 1, 1));
    driver.wait(600.0);
    let told = driver.deployments();
    assert_eq!(told.len(), 1);
    assert_ne!(told, ["ScalePod /p: "], "it waits, and does not say for what");
}

/// All new copies are there, and the old ones are not asked to end, because the database got ill.
#[test]
fn a_replacement_that_waits_for_a_dependency_at_its_end_says_so() {
    let mut driver = Driver::connected();
    driver.create(pod("/db/a", 1, 1));
    driver.create(pod("/shop/web", 1, 2));
    driver.offer("s1", 8.0, 8192.0);
    (0..3).for_each(|n| driver.run(n));
    driver.wait(5.0);
    put(&mut driver, "/shop", &json!({"dependencies": ["/db"]}));
    driver.update_pod(changed(pod("/shop/web", 1, 2), "2"));
    driver.offer("s2", 8.0, 8192.0);
    driver.run(3);
    driver.run(4);
    driver.calls.clear();
    driver.crash(0);
    driver.wait(60.0);
    assert_eq!(driver.kills(), [""; 0]);
    let told = driver.deployments();
    assert!(told.iter().any(|line| line.contains("/db/a")), "nobody was asked to end: {told:?}");
}

/// One of three copies has been ill for long. Two more were wanted, and are not any more.
#[test]
fn the_way_back_of_a_scaling_does_not_wait_for_copies_that_were_ill_before() {
    let ill = |instances| {
        let mut driver = Driver::running(checked_pod("/p", 3, &json!({})));
        (0..3).for_each(|n| driver.health(n, "a", true));
        assert_eq!(driver.deployments(), [""; 0]);
        driver.health(0, "a", false);
        driver.update_pod(checked_pod("/p", instances, &json!({})));
        driver
    };
    let mut driver = ill(5);
    driver.force_pod(checked_pod("/p", 3, &json!({})));
    driver.confirm_kills();
    assert_eq!(driver.deployments(), [""; 0], "another scaling takes it back");
    let mut driver = ill(5);
    driver.cancel(false);
    driver.confirm_kills();
    driver.wait(600.0);
    assert_eq!(driver.picture().len(), 3);
    assert_eq!(driver.deployments(), [""; 0], "so does the way back");
}

/// A copy came back long ago, before its replacement served. Then more were wanted, and are not any more.
#[test]
fn the_way_back_of_a_scaling_takes_copies_by_kill_selection() {
    let with = |instances| {
        let strategy =
            json!({"inactiveAfterSeconds": 60, "expungeAfterSeconds": 6000, "onReturn": "REPLACEMENT"});
        pod_with("/p", 1, instances, &json!({"scheduling": {"unreachableStrategy": strategy}}))
    };
    for by_cancelling in [false, true] {
        let mut driver = Driver::running(with(2));
        driver.update_all(0, TaskState::TaskUnreachable);
        driver.wait(60.0);
        driver.update_all(0, TaskState::TaskRunning);
        driver.wait(10_000.0);
        assert_eq!(driver.picture(), ["v1.1 s1 Stable", "v1.1 s1 Stable"]);
        driver.update_pod(with(4));
        driver.offer("s2", 8.0, 8192.0);
        driver.run(2);
        if by_cancelling {
            driver.cancel(false);
        } else {
            driver.command(Command::UpdatePod { pod: with(2), force: true, role_given: false }).unwrap();
        }
        driver.confirm_kills();
        let picture = driver.picture();
        assert!(
            picture.len() == 2 && picture.iter().all(|copy| copy.contains("s1")),
            "the youngest go first; by cancelling: {by_cancelling}: {picture:?}"
        );
    }
}

/// The flag may be as low as a second.
#[test]
fn a_launch_that_nobody_confirms_ends_when_the_flag_says() {
    let timeout = Duration::from_secs(2);
    let mut driver =
        Driver::connected_with(Config { task_launch_confirm_timeout: timeout, ..Config::default() });
    driver.create(pod("/p", 1, 1));
    driver.offer("s1", 8.0, 8192.0);
    driver.wait(2.0);
    assert_eq!(driver.kills(), ["/p.a.1"]);
}

/// Who follows the events of a deletion hears that its next step begins also if force took the last pod out of the
/// current one.
#[test]
fn a_step_that_begins_because_a_pod_was_taken_out_is_told() {
    let mut driver = Driver::connected();
    put(&mut driver, "/all/shop", &json!({"dependencies": ["/all/db"]}));
    for id in ["/all/db/a", "/all/shop/web"] {
        driver.create(pod(id, 1, 1));
        driver.offer("s1", 8.0, 8192.0);
        driver.run(driver.instances().len() - 1);
        driver.wait(5.0);
    }
    driver.command(Command::DeleteGroup { id: GroupId::from("/all"), force: false }).unwrap();
    let deletion = driver.scheduler.deployments(driver.now)[0].id.clone();
    let command = Command::CreatePod { pod: pod("/all/shop/web", 1, 1), force: true, role_given: false };
    driver.now = driver.now.next();
    let command = Box::new(command);
    let output = driver.step(Input::Command { id: CommandId(99), origin: Origin::default(), command });
    assert!(driver.kills().contains(&"/all/db/a.a.1".to_owned()), "the next step has begun");
    let told: Vec<String> = output
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::Publish(event) => match &event.kind {
                ApiEventKind::DeploymentStepSuccess { plan, .. } if plan.id == deletion => {
                    Some("done".to_owned())
                }
                ApiEventKind::DeploymentInfo { plan, current_step } if plan.id == deletion => {
                    Some(current_step.actions.iter().map(|action| action.pod.to_string()).collect())
                }
                _ => None,
            },
            _ => None,
        })
        .collect();
    assert_eq!(told, ["done", "/all/db/a"]);
}
