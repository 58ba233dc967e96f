//! A pod waits while what its group depends on is not healthy (Pods page, "Limitations").

use podium_core::Command;
use podium_core::model::ids::GroupId;
use podium_core::model::mesos::TaskState;
use serde_json::json;

use super::harness::{Driver, changed, pod, pod_id};
use super::{copies, delete, depend, launch, message, put};

/// `/shop` depends on `/db`; `/db/a` does not run yet.
fn shop() -> Driver {
    let mut driver = Driver::connected();
    depend(&mut driver, "/shop", "../db");
    driver.create(pod("/db/a", 1, 2));
    driver.create(pod("/shop/web/nginx", 1, 1));
    driver
}

/// Ends one copy of `/db/a` for the time of its back-off.
fn break_db(driver: &mut Driver) {
    driver.crash(0);
}

#[test]
fn a_pod_waits_until_its_groups_dependency_is_healthy() {
    let mut driver = shop();
    assert_eq!((copies(&driver, "/db/a"), copies(&driver, "/shop/web/nginx")), (2, 0));
    insta::assert_snapshot!(driver.deployments().join("\n"), @r"
    ScalePod /db/a: waits for 2 instances to be ready: 0 are so, 2 are waiting to be launched
    ScalePod /shop/web/nginx: waits for /db/a, because group /shop depends on /db: 0 of its 2 instances healthy
    ");
    driver.offer("s1", 0.25, 8192.0);
    driver.run(0);
    assert_eq!(copies(&driver, "/shop/web/nginx"), 0, "one of two is not enough");
    driver.wait(5.0);
    driver.offer("s1", 8.0, 8192.0);
    driver.run(1);
    assert_eq!(copies(&driver, "/shop/web/nginx"), 1);
    launch(&mut driver);
    assert_eq!(driver.deployments(), [""; 0]);
}

#[test]
fn waiting_survives_a_restart() {
    let mut driver = shop();
    let before = driver.deployments();
    driver.restart();
    driver.subscribe();
    assert_eq!(driver.deployments(), before);
    assert_eq!(copies(&driver, "/shop/web/nginx"), 0);
    launch(&mut driver);
    assert_eq!(copies(&driver, "/shop/web/nginx"), 1);
}

#[test]
fn a_pod_without_a_deployment_does_not_wait() {
    let mut driver = shop();
    launch(&mut driver);
    launch(&mut driver);
    break_db(&mut driver);
    driver.crash(2);
    driver.wait(1.0);
    // Offers suffice for one copy at a time: the failed copies take turns.
    driver.offer("s1", 8.0, 8192.0);
    assert_eq!(driver.instance(2).1, 2, "launched again although /db/a is not healthy");
}

#[test]
fn a_deployment_that_waits_keeps_up_what_there_was() {
    let mut driver = shop();
    launch(&mut driver);
    launch(&mut driver);
    break_db(&mut driver);
    let mut changed = pod("/shop/web/nginx", 1, 3);
    changed.labels.insert("v".into(), "2".into());
    driver.update_pod(changed);
    assert_eq!(copies(&driver, "/shop/web/nginx"), 1, "neither replaced nor scaled");
    assert!(message(&driver, "/shop/web/nginx").contains("because group /shop depends on /db"));
    driver.kill(2, true);
    driver.confirm_kills();
    assert_eq!(copies(&driver, "/shop/web/nginx"), 1, "a lost copy is replaced");
    launch(&mut driver);
    launch(&mut driver);
    launch(&mut driver);
    assert_eq!(driver.deployments(), [""; 0]);
    assert_eq!(copies(&driver, "/shop/web/nginx"), 3);
}

#[test]
fn a_deployment_that_waits_replaces_no_copy_beyond_what_there_shall_be() {
    let mut driver = shop();
    launch(&mut driver);
    driver.force_pod(pod("/shop/web/nginx", 1, 3));
    (0..3).for_each(|_| launch(&mut driver));
    assert_eq!(copies(&driver, "/shop/web/nginx"), 3);
    break_db(&mut driver);
    driver.update_pod(changed(pod("/shop/web/nginx", 1, 2), "2"));
    driver.kill(4, true);
    driver.confirm_kills();
    assert_eq!(copies(&driver, "/shop/web/nginx"), 2, "as many are left as are wanted");
    driver.kill(3, true);
    driver.confirm_kills();
    assert_eq!(copies(&driver, "/shop/web/nginx"), 2, "a lost copy is replaced");
}

#[test]
fn scaling_down_does_not_wait() {
    let mut driver = shop();
    launch(&mut driver);
    driver.update_pod(pod("/db/a", 1, 1));
    break_db(&mut driver);
    driver.force_pod(pod("/shop/web/nginx", 1, 0));
    assert_eq!(copies(&driver, "/shop/web/nginx"), 0);
    assert!(!driver.deployments().iter().any(|line| line.contains("nginx")), "{:?}", driver.deployments());
}

#[test]
fn a_dependency_is_not_healthy_while_it_is_being_changed() {
    let mut driver = shop();
    launch(&mut driver);
    launch(&mut driver);
    let mut changed = pod("/db/a", 1, 2);
    changed.labels.insert("v".into(), "2".into());
    driver.update_pod(changed);
    driver.update_pod(pod("/shop/web/nginx", 1, 2));
    assert_eq!(copies(&driver, "/shop/web/nginx"), 1);
    let message = message(&driver, "/shop/web/nginx");
    assert_eq!(
        message,
        "waits for /db/a, because group /shop depends on /db: its own deployment is not done"
    );
}

#[test]
fn what_is_gone_is_not_waited_for() {
    for end in [
        |driver: &mut Driver| drop(driver.delete_pod("/db/a")),
        |driver: &mut Driver| drop(delete(driver, "/db").unwrap()),
        |driver: &mut Driver| drop(put(driver, "/shop", &json!({"dependencies": []})).unwrap()),
        |driver: &mut Driver| drop(driver.force_pod(pod("/db/a", 1, 0))),
    ] {
        let mut driver = Driver::connected();
        depend(&mut driver, "/shop", "/db");
        driver.create(pod("/db/a", 1, 1));
        launch(&mut driver);
        driver.crash(0);
        driver.create(pod("/shop/web", 1, 1));
        assert_eq!(copies(&driver, "/shop/web"), 0);
        end(&mut driver);
        assert_eq!(copies(&driver, "/shop/web"), 1);
    }
}

#[test]
fn force_ends_waiting_only_where_it_is_meant_to() {
    let mut driver = shop();
    driver.force_pod(pod("/shop/web/nginx", 1, 2));
    assert_eq!(copies(&driver, "/shop/web/nginx"), 0, "the new deployment waits as well");
    let deployments = driver.scheduler.deployments(driver.now);
    let id = deployments.into_iter().find(|d| d.affected_pods[0] == pod_id("/shop/web/nginx")).unwrap().id;
    driver.command(Command::CancelDeployment { id, force: true }).unwrap();
    assert_eq!(copies(&driver, "/shop/web/nginx"), 2, "nothing is left that could wait");
}

#[test]
fn a_dependency_that_gets_ill_holds_up_what_is_left() {
    let mut driver = Driver::connected();
    depend(&mut driver, "/shop", "/db");
    driver.create(pod("/db/a", 1, 1));
    launch(&mut driver);
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.create(pod("/shop/web", 1, 1));
    assert_eq!(copies(&driver, "/shop/web"), 0);
    driver.update_all(0, TaskState::TaskRunning);
    assert_eq!(copies(&driver, "/shop/web"), 1);
}

#[test]
fn a_pod_may_be_depended_on_by_name_and_inner_groups_count_too() {
    let mut driver = Driver::connected();
    depend(&mut driver, "/shop/web", "/shop/cache");
    driver.create(pod("/shop/cache", 1, 1));
    driver.create(pod("/shop/web/x", 1, 1));
    driver.create(pod("/shop/other", 1, 1));
    assert_eq!((copies(&driver, "/shop/web/x"), copies(&driver, "/shop/other")), (0, 1));
    launch(&mut driver);
    assert_eq!(copies(&driver, "/shop/web/x"), 1);
}

#[test]
fn a_group_is_deleted_dependants_first() {
    let mut driver = Driver::connected();
    depend(&mut driver, "/shop/web", "/shop/db");
    depend(&mut driver, "/shop/db", "/shop/disk");
    for id in ["/shop/disk", "/shop/db/a", "/shop/web/x", "/shop/web/y"] {
        driver.create(pod(id, 1, 1));
    }
    for _ in 0..3 {
        launch(&mut driver);
    }
    assert_eq!(driver.deployments(), [""; 0]);
    driver.calls.clear();
    delete(&mut driver, "/shop").unwrap();
    assert_eq!(driver.scheduler.pods().count(), 0);
    let mut order = Vec::new();
    loop {
        let kills = driver.calls.clone();
        order.push(driver.kills());
        driver.calls = kills;
        if driver.confirm_kills() == 0 {
            break;
        }
    }
    assert_eq!(
        order,
        [vec!["/shop/web/x.a.1", "/shop/web/y.a.1"], vec!["/shop/db/a.a.1"], vec!["/shop/disk.a.1"], vec![]]
    );
    assert_eq!(driver.deployments(), [""; 0]);
    assert_eq!(driver.scheduler.instance_count(), 0);
    assert!(delete(&mut driver, "/shop").is_err());
}

/// `/all` is being deleted: its `/all/shop/web` was asked to end, and `/all/db/a`, on which that depends, waits for its turn.
fn being_deleted() -> Driver {
    let mut driver = Driver::connected();
    depend(&mut driver, "/all/shop", "/all/db");
    driver.create(pod("/all/db/a", 1, 1));
    driver.create(pod("/all/shop/web", 1, 1));
    launch(&mut driver);
    launch(&mut driver);
    driver.calls.clear();
    delete(&mut driver, "/all").unwrap();
    driver
}

#[test]
fn a_pod_created_anew_by_force_leaves_the_others_to_end_in_their_order() {
    let mut driver = Driver::connected();
    depend(&mut driver, "/shop/web", "/shop/db");
    depend(&mut driver, "/shop/db", "/shop/disk");
    for id in ["/shop/disk", "/shop/db/a", "/shop/web/x"] {
        driver.create(pod(id, 1, 1));
    }
    for _ in 0..3 {
        launch(&mut driver);
    }
    driver.calls.clear();
    delete(&mut driver, "/shop").unwrap();
    let create = Command::CreatePod { pod: pod("/shop/web/x", 1, 1), force: true, role_given: false };
    driver.command(create).unwrap();
    let deletion = |driver: &Driver| {
        let deployment = &driver.scheduler.deployments(driver.now)[0];
        let pods = deployment.affected_pods.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        format!("step {} of {}: {pods}", deployment.current_step, deployment.steps.len())
    };
    assert_eq!(
        driver.scheduler.deployments(driver.now).len(),
        2,
        "the rest of the deletion, and what takes the pod out of it"
    );
    assert_eq!(deletion(&driver), "step 2 of 3: /shop/db/a /shop/disk");
    assert_eq!(driver.kills(), ["/shop/web/x.a.1", "/shop/db/a.a.1"], "the disk waits for the database");
    driver.restart();
    assert_eq!(deletion(&driver), "step 2 of 3: /shop/db/a /shop/disk");
}

#[test]
fn a_deletion_that_is_cancelled_by_force_ends_everything_at_once() {
    let mut driver = being_deleted();
    driver.cancel(true);
    assert_eq!(driver.kills(), ["/all/shop/web.a.1", "/all/db/a.a.1"]);
    assert_eq!(driver.deployments(), [""; 0]);
}

#[test]
fn a_deletion_of_several_groups_can_be_taken_back() {
    let mut driver = being_deleted();
    driver.cancel(false);
    assert_eq!(driver.kills().len(), 1, "only the dependant had been asked to end");
    let group =
        driver.scheduler.group(&GroupId::from("/all/shop"), podium_core::view::GroupEmbed::ALL).unwrap();
    assert_eq!(serde_json::to_value(&group.dependencies).unwrap(), json!(["/all/db"]));
    assert_eq!(
        (copies(&driver, "/all/db/a"), copies(&driver, "/all/shop/web")),
        (1, 2),
        "{:?}",
        driver.deployments()
    );
}

#[test]
fn a_pod_created_anew_before_its_turn_to_end_gets_new_copies() {
    let mut driver = being_deleted();
    assert_eq!(driver.kills(), ["/all/shop/web.a.1"], "the dependency is still to be asked to end");
    let create =
        Command::CreatePod { pod: changed(pod("/all/db/a", 1, 1), "2"), force: true, role_given: false };
    driver.command(create).unwrap();
    assert_eq!(driver.picture(), ["v1.1 s1 Stable", "v2.0 - Pending"]);
    launch(&mut driver);
    driver.wait(5.0);
    assert_eq!(driver.kills().last().unwrap(), "/all/db/a.a.1", "its copy is replaced, not taken over");
    driver.update_all(0, TaskState::TaskKilled);
    let rest = "StopPod /all/shop/web: waits for 1 instance to end".to_owned();
    assert_eq!((driver.picture(), driver.deployments()), (vec!["v2.1 s1 Stable".to_owned()], vec![rest]));
}

#[test]
fn a_pod_created_anew_as_it_was_before_its_turn_to_end_keeps_its_copies() {
    let mut driver = being_deleted();
    let create = Command::CreatePod { pod: pod("/all/db/a", 1, 1), force: true, role_given: false };
    driver.command(create).unwrap();
    let rest = "StopPod /all/shop/web: waits for 1 instance to end".to_owned();
    assert_eq!((driver.picture(), driver.deployments()), (vec!["v1.1 s1 Stable".to_owned()], vec![rest]));
}
