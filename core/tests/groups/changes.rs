//! What a group may be changed to, what it says of itself, and what is refused.

use podium_core::admission::{Rejection, Rules, read_group};
use podium_core::model::ids::GroupId;
use podium_core::view::GroupEmbed;
use podium_core::{Command, Config, Refusal, Response};
use serde_json::{Value, json};

use super::harness::{Driver, pod, pod_id};
use super::{delete, launch, put};

fn show(driver: &Driver, id: &str) -> Value {
    let group = driver.scheduler.group(&GroupId::from(id), GroupEmbed::ALL).unwrap();
    let mut names = |pod: podium_core::view::PodVersion| Some(pod.id);
    let mut json = serde_json::to_value(group.map_pods(&mut names)).unwrap();
    forget_versions(&mut json);
    json
}

/// Takes what every run has differently out of `json`.
fn forget_versions(json: &mut Value) {
    json.as_object_mut().unwrap().remove("version").unwrap();
    for group in json["groups"].as_array_mut().unwrap() {
        forget_versions(group);
    }
}

fn rejection(result: Result<Response, Refusal>) -> Rejection {
    match result {
        Err(Refusal::Invalid(rejection)) => rejection,
        other => panic!("expected a refusal against a rule, got {other:?}"),
    }
}

#[test]
fn groups_are_implied_by_pods_and_can_say_something() {
    let mut driver = Driver::connected();
    driver.create(pod("/shop/web/nginx", 1, 1));
    driver.create(pod("/shop/cache", 1, 1));
    driver.create(pod("/alone", 1, 1));
    put(&mut driver, "/shop/web", &json!({"dependencies": ["../cache", "/elsewhere/x"]})).unwrap();
    put(&mut driver, "/empty/inner", &json!({})).unwrap();
    insta::assert_json_snapshot!(show(&driver, "/"));
    driver.restart();
    assert_eq!(show(&driver, "/shop/web")["dependencies"], json!(["/elsewhere/x", "/shop/cache"]));
    let nothing = GroupEmbed { pods: false, groups: false };
    let root = driver.scheduler.group(&GroupId::root(), nothing).unwrap();
    assert_eq!((root.pods.len(), root.groups.len()), (0, 0));
    assert_eq!(driver.scheduler.group(&GroupId::from("/nowhere"), GroupEmbed::ALL), None);
    assert_eq!(driver.scheduler.group(&GroupId::from("/alone"), GroupEmbed::ALL), None, "it is a pod");
}

#[test]
fn an_implied_group_goes_with_its_last_pod_and_a_defined_one_stays() {
    let mut driver = Driver::connected();
    driver.create(pod("/implied/p", 1, 0));
    driver.create(pod("/defined/p", 1, 0));
    put(&mut driver, "/defined", &json!({})).unwrap();
    driver.delete_pod("/implied/p");
    driver.delete_pod("/defined/p");
    let there = |id| driver.scheduler.group(&GroupId::from(id), GroupEmbed::ALL).is_some();
    assert_eq!((there("/implied"), there("/defined")), (false, true));
}

#[test]
fn a_group_is_created_once() {
    let mut driver = Driver::connected();
    let create = |driver: &mut Driver, body: Value, base| {
        let group = read_group(&body, &GroupId::from(base), &Rules::default()).unwrap().update;
        driver.command(Command::CreateGroup { group })
    };
    let tree =
        json!({"id": "shop", "groups": [{"id": "db"}, {"id": "/shop/web", "dependencies": ["../db"]}]});
    let Response::GroupUpdated { id, .. } = create(&mut driver, tree.clone(), "/").unwrap() else { panic!() };
    assert_eq!(id, GroupId::from("/shop"));
    assert_eq!(show(&driver, "/shop")["groups"][1]["dependencies"], json!(["/shop/db"]));
    let refused = create(&mut driver, tree, "/").unwrap_err();
    assert_eq!(refused.to_string(), "Group /shop is already created. Use PUT to change this group.");
    assert_eq!(
        create(&mut driver, json!({"id": "web"}), "/shop"),
        Err(Refusal::GroupExists("/shop/web".into()))
    );
    create(&mut driver, json!({"id": "new"}), "/shop").unwrap();
    assert_eq!(create(&mut driver, json!({}), "/"), Err(Refusal::GroupExists("/".into())));
}

#[test]
fn pods_are_read_only_in_groups() {
    let mut driver = Driver::connected();
    driver.create(pod("/shop/a", 1, 0));
    driver.create(pod("/shop/b", 1, 0));
    let a = serde_json::to_value(driver.scheduler.pod(&pod_id("/shop/a")).unwrap()).unwrap();
    let b = serde_json::to_value(driver.status_of("/shop/b")).unwrap();
    put(&mut driver, "/shop", &json!({"pods": [a, b]})).unwrap();
    let mut changed = a.clone();
    changed["scaling"]["instances"] = json!(7);
    let mut added = a.clone();
    added["id"] = json!("/shop/c");
    let before = driver.store.clone();
    let refused = rejection(put(&mut driver, "/shop", &json!({"pods": [changed, added]})));
    insta::assert_json_snapshot!(refused);
    rejection(put(&mut driver, "/shop", &json!({"pods": [{"id": "/shop/a"}]})));
    rejection(put(&mut driver, "/", &json!({"groups": [{"id": "shop", "pods": []}]})));
    assert_eq!(driver.store, before);
}

#[test]
fn leaving_out_a_group_deletes_it_only_without_pods() {
    let mut driver = Driver::connected();
    put(
        &mut driver,
        "/g",
        &json!({"groups": [{"id": "empty", "groups": [{"id": "inner"}]}, {"id": "full"}]}),
    )
    .unwrap();
    driver.create(pod("/g/full/deep/p", 1, 0));
    let refused = rejection(put(&mut driver, "/g", &json!({"groups": []})));
    insta::assert_json_snapshot!(refused);
    put(&mut driver, "/g", &json!({"groups": [{"id": "full"}]})).unwrap();
    assert_eq!(show(&driver, "/g")["groups"].as_array().unwrap().len(), 1);
}

#[test]
fn whatever_contradicts_itself_is_refused() {
    let mut driver = Driver::connected();
    driver.create(pod("/a/p", 1, 0));
    put(&mut driver, "/a", &json!({"dependencies": ["/b"]})).unwrap();
    let mut refused = |id: &str, body: Value| rejection(put(&mut driver, id, &body));
    insta::assert_json_snapshot!([
        refused("/b", json!({"dependencies": ["/c", "/a/p"]})),
        refused("/c", json!({"dependencies": ["/c/inner"]})),
        refused("/", json!({"groups": [{"id": "a"}, {"id": "a/p"}]})),
        refused("/a/p", json!({})),
        refused("/a/p/inner", json!({})),
        refused("/", json!({"dependencies": ["/a"], "enforceRole": true})),
        refused("/c", json!({"apps": [{"id": "x"}], "scaleBy": 2, "dependencies": ["UPPER", 3]})),
        refused("/c", json!({"version": "2017-01-03T18:21:19.310Z", "dependencies": []})),
        refused("/c", json!({"groups": [{"id": "x"}, {"id": "x"}, {}], "enforceRole": "yes"})),
    ]);
    for id in ["/a", "/a/p/below"] {
        let refused = rejection(driver.command(Command::CreatePod {
            pod: pod(id, 1, 0),
            force: true,
            role_given: false,
        }));
        assert!(
            refused.details[0].errors[0].starts_with("Groups and Pods may not have the same identifier.")
        );
    }
    put(&mut driver, "/b", &json!({"dependencies": ["/c"]})).unwrap();
}

#[test]
fn a_deletion_is_refused_while_a_pod_is_locked() {
    let mut driver = Driver::connected();
    driver.create(pod("/g/a", 1, 1));
    driver.create(pod("/g/b", 1, 1));
    assert!(
        matches!(delete(&mut driver, "/g"), Err(Refusal::Locked { deployments }) if deployments.len() == 2)
    );
    driver.command(Command::DeleteGroup { id: "/g".into(), force: true }).unwrap();
    assert_eq!((driver.scheduler.pods().count(), driver.deployments().len()), (0, 0));
    assert_eq!(delete(&mut driver, "/g"), Err(Refusal::UnknownGroup("/g".into())));
    delete(&mut driver, "/").unwrap();
}

#[test]
fn history_shows_how_things_were_and_leads_back_unless_pods_changed() {
    let mut driver = Driver::connected();
    put(&mut driver, "/g", &json!({"dependencies": ["/x"]})).unwrap();
    driver.create(pod("/g/p", 1, 0));
    put(&mut driver, "/g", &json!({"dependencies": ["/y"]})).unwrap();
    driver.delete_pod("/g/p");
    driver.create(pod("/g/p", 1, 0));
    let id = GroupId::from("/g");
    let versions: Vec<_> = driver.scheduler.group_versions(&id).unwrap().into_iter().collect();
    assert_eq!(versions.len(), 5);
    let then: Vec<String> = versions
        .iter()
        .map(|version| {
            let group = driver.scheduler.group_version(&id, *version, GroupEmbed::ALL).unwrap();
            assert_eq!(group.version, *version);
            format!("{:?} {} pods", group.dependencies, group.pods.len())
        })
        .collect();
    assert_eq!(
        then,
        [r#"{"/x"} 0 pods"#, r#"{"/x"} 1 pods"#, r#"{"/y"} 1 pods"#, r#"{"/y"} 0 pods"#, r#"{"/y"} 1 pods"#]
    );
    assert_eq!(driver.scheduler.group_version(&id, versions[4].next(), GroupEmbed::ALL), None);
    let refused = rejection(put(&mut driver, "/g", &json!({"version": versions[1]})));
    assert!(refused.details[0].errors[0].contains("the pod /g/p has changed since"), "{refused}");
    put(&mut driver, "/g", &json!({"dependencies": ["/z"]})).unwrap();
    put(&mut driver, "/g", &json!({"version": versions[4]})).unwrap();
    assert_eq!(show(&driver, "/g")["dependencies"], json!(["/y"]));
    let unknown = put(&mut driver, "/g", &json!({"version": "2017-01-03T18:21:19.310Z"}));
    assert_eq!(unknown, Err(Refusal::UnknownGroup(id)));
}

#[test]
fn a_group_decides_the_role_of_its_pods() {
    let enforce = |driver: &mut Driver, id: &str, enforce_role| {
        driver.command(Command::EnforceGroupRole { id: id.into(), enforce_role })
    };
    let role = |driver: &Driver, id| driver.scheduler.pod(&pod_id(id)).unwrap().role.to_string();
    let mut driver = Driver::connected();
    put(&mut driver, "/dev", &json!({"enforceRole": true})).unwrap();
    driver.create(pod("/dev/inner/p", 1, 0));
    assert_eq!(role(&driver, "/dev/inner/p"), "dev");
    put(&mut driver, "/dev", &json!({"dependencies": ["/x"]})).unwrap();
    assert_eq!(show(&driver, "/dev")["enforceRole"], json!(true), "not reset by what does not mention it");
    enforce(&mut driver, "/dev", false).unwrap();
    driver.create(pod("/dev/q", 1, 0));
    assert_eq!(role(&driver, "/dev/q"), "*");
    assert_eq!(show(&driver, "/dev")["dependencies"], json!(["/x"]));
    rejection(enforce(&mut driver, "/dev/inner", true));
    assert_eq!(enforce(&mut driver, "/none", true), Err(Refusal::UnknownGroup("/none".into())));
    let mut driver = Driver::connected_with(Config { new_group_enforce_role: true, ..Config::default() });
    put(&mut driver, "/g/inner", &json!({})).unwrap();
    assert_eq!(show(&driver, "/g")["enforceRole"], json!(true));
    assert_eq!(show(&driver, "/g/inner").get("enforceRole"), None);
}

#[test]
fn a_step_is_done_when_all_of_its_pods_are_at_the_same_time() {
    let mut driver = Driver::connected();
    for id in ["/g/a", "/g/b"] {
        driver.create(pod(id, 1, 1));
    }
    launch(&mut driver);
    delete(&mut driver, "/g").unwrap();
    driver.cancel(false);
    driver.confirm_kills();
    driver.wait(5.0);
    driver.offer("s1", 8.0, 8192.0);
    driver.run(0);
    driver.wait(5.0);
    driver.crash(0);
    driver.run(1);
    driver.wait(5.0);
    let message = "RestartPod /g/a: waits for 1 instance of the new version to be ready";
    let deployments = driver.deployments();
    assert!(deployments[0].starts_with(message), "{deployments:?}");
    driver.offer("s1", 8.0, 8192.0);
    driver.run(0);
    driver.wait(5.0);
    assert_eq!(driver.deployments(), [""; 0]);
}
