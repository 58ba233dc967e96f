//! `/v2/groups` and `?dryRun=true` over a real socket.

mod support;

use podium_core::model::mesos::TaskState;
use reqwest::StatusCode;
use serde_json::{Value, json};
use support::server::Server;
use support::{FakeMaster, Journal, eventually, pod_json};

#[tokio::test]
async fn groups_live_and_die() {
    let server = Server::start().await;
    server.post_pod(&pod_json("/shop/web/nginx", 0)).await;
    let transcript = server
        .transcript(&[
            ("POST", "/v2/groups", Some(r#"{"id": "/db", "groups": [{"id": "main"}], "nmae": 1}"#)),
            ("POST", "/v2/groups", Some(r#"{"id": "db"}"#)),
            ("POST", "/v2/groups/db", Some(r#"{"id": "spare"}"#)),
            ("PUT", "/v2/groups/shop", Some(r#"{"dependencies": ["../db"]}"#)),
            ("PATCH", "/v2/groups/shop", Some(r#"{"enforceRole": true}"#)),
            ("GET", "/v2/groups/shop?embed=group.groups", None),
            ("GET", "/v2/groups/db?embed=group.pods&embed=nonsense", None),
            ("GET", "/v2/groups/db/versions", None),
            ("GET", "/v2/groups/shop/apps", None),
            ("HEAD", "/v2/groups", None),
            ("PUT", "/v2/groups/shop", Some(r#"{"groups": []}"#)),
            ("PUT", "/v2/groups/db", Some(r#"{"dependencies": ["/shop/web"]}"#)),
            ("PUT", "/v2/groups/shop/web", Some(r#"{"pods": [{"id": "/shop/web/other"}]}"#)),
            ("PATCH", "/v2/groups/shop", Some("{}")),
            ("PATCH", "/v2/groups/shop/web", Some(r#"{"enforceRole": true}"#)),
            ("DELETE", "/v2/groups/shop?force=true", None),
            ("DELETE", "/v2/groups/shop", None),
            ("GET", "/v2/groups/shop", None),
            ("GET", "/v2/groups/shop/versions", None),
            ("GET", "/v2/groups/db/versions/2017-01-03T18:21:19.310Z", None),
            ("DELETE", "/v2/groups/db/versions", None),
            ("DELETE", "/v2/groups", None),
            ("GET", "/v2/groups", None),
        ])
        .await;
    insta::assert_snapshot!(transcript);
}

#[tokio::test]
async fn what_was_read_can_be_sent_back() {
    let server = Server::start().await;
    for id in ["/shop/web/nginx", "/shop/db/mysql"] {
        assert_eq!(server.post_pod(&pod_json(id, 2)).await.status(), StatusCode::CREATED);
    }
    let mut group = server.get("/v2/groups/shop").await;
    assert_eq!(group["groups"][1]["pods"][0]["spec"]["id"], "/shop/web/nginx");
    assert_eq!(group["groups"][1]["pods"][0]["status"], "DEGRADED");
    forget_version(&mut group);
    group["groups"][1]["dependencies"] = json!(["../db"]);
    let answer = server.request("PUT", "/v2/groups/shop").json(&group).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text().await.unwrap());
    let group = server.get("/v2/groups/shop/web").await;
    assert_eq!(group["dependencies"], json!(["/shop/db"]));
    let version = group["version"].as_str().unwrap();
    assert_eq!(
        server.get(&format!("/v2/groups/shop/web/versions/{version}")).await["dependencies"],
        json!(["/shop/db"])
    );
}

/// A change says nothing of versions, which only lead back.
fn forget_version(group: &mut Value) {
    group.as_object_mut().unwrap().remove("version");
    for group in group["groups"].as_array_mut().unwrap() {
        forget_version(group);
    }
}

#[tokio::test]
async fn a_deployment_waits_for_what_its_group_depends_on() {
    let server = Server::start().await;
    let master = FakeMaster::new("m", &Journal::default());
    master.accept(&server.driver).await;
    let group = json!({"dependencies": ["/db"]});
    let answer = server.request("PUT", "/v2/groups/shop").json(&group).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    server.post_pod(&pod_json("/db/mysql", 1)).await;
    server.post_pod(&pod_json("/shop/web", 1)).await;
    let waits = "waits for /db/mysql, because group /shop depends on /db: 0 of its 1 instance healthy";
    assert_eq!(server.get("/v2/pods/shop/web::status").await["message"], waits);
    assert_eq!(server.get("/v2/deployments").await[1]["currentActions"][0]["message"], waits);
    let plan =
        server.request("PUT", "/v2/pods/shop/web?dryRun=true&force=true").json(&pod_json("/shop/web", 2));
    let plan: Value = plan.send().await.unwrap().json().await.unwrap();
    assert_eq!(plan["plan"]["waitsFor"], waits);
    master.launch_what_waits(&server.driver, "offer", TaskState::TaskRunning).await;
    eventually(async || {
        let status = server.get("/v2/pods/shop/web::status").await;
        (status["instances"].as_array().unwrap().len() == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let server = Server::start().await;
    let pod = pod_json("/g/p", 2).to_string();
    let transcript = server
        .transcript(&[
            ("POST", "/v2/pods?dryRun=true", Some(&pod)),
            ("GET", "/v2/pods", None),
            ("DELETE", "/v2/pods/g/p?dryRun=true", None),
            ("POST", "/v2/pods?dryRun=true", Some(r#"{"id": "/g/p"}"#)),
        ])
        .await;
    insta::assert_snapshot!(transcript);
    server.post_pod(&pod_json("/g/p", 2)).await;
    let transcript = server
        .transcript(&[
            ("PUT", "/v2/pods/g/p?dryRun=true", Some(&pod_json("/g/p", 3).to_string())),
            ("DELETE", "/v2/pods/g/p?dryRun=true&force=true", None),
            ("DELETE", "/v2/groups/g?dryRun=true&force=true", None),
            ("PUT", "/v2/groups/g?dryRun=true", Some(r#"{"dependencies": ["/x"]}"#)),
            ("GET", "/v2/groups/g?embed=group.groups", None),
        ])
        .await;
    insta::assert_snapshot!(transcript);
}

#[tokio::test]
async fn what_was_only_to_be_tried_is_never_done() {
    let server = Server::start().await;
    let master = FakeMaster::new("m", &Journal::default());
    master.accept(&server.driver).await;
    server.post_pod(&pod_json("/g/p", 1)).await;
    let tasks = master.launch_what_waits(&server.driver, "offer", TaskState::TaskRunning).await;
    server.wait_for_no_deployments().await;
    server.post_pod(&pod_json("/waits", 1)).await;
    let deployment = server.get("/v2/deployments").await[0]["id"].as_str().unwrap().to_owned();
    let instance =
        server.get("/v2/pods/g/p::status").await["instances"][0]["id"].as_str().unwrap().to_owned();

    // Where there is no trying, and where it is not clear whether it is to be tried.
    let everywhere = [
        ("DELETE", format!("/v2/pods/g/p::instances/{instance}"), Value::Null),
        ("DELETE", "/v2/pods/g/p::instances".to_owned(), json!([instance])),
        ("POST", "/v2/tasks/delete".to_owned(), json!({"ids": [tasks[0].as_str()]})),
        ("DELETE", format!("/v2/deployments/{deployment}"), Value::Null),
        ("DELETE", "/v2/queue/waits/delay".to_owned(), Value::Null),
        ("DELETE", "/v2/leader".to_owned(), Value::Null),
        ("PATCH", "/v2/groups/g".to_owned(), json!({"enforceRole": true})),
    ];
    let where_it_can = [
        ("POST", "/v2/pods".to_owned(), pod_json("/new", 1)),
        ("PUT", "/v2/pods/g/p".to_owned(), pod_json("/g/p", 2)),
        ("DELETE", "/v2/pods/g/p".to_owned(), Value::Null),
        ("POST", "/v2/groups".to_owned(), json!({"id": "new"})),
        ("PUT", "/v2/groups/g".to_owned(), json!({"dependencies": ["/x"]})),
        ("DELETE", "/v2/groups/g".to_owned(), Value::Null),
    ];
    let unclear = everywhere.iter().chain(&where_it_can).flat_map(|request| {
        ["", "1", "yes", "tru"]
            .map(|value| (request, value, format!("dryRun is true or false, got '{value}'")))
    });
    let impossible = everywhere.iter().flat_map(|request| {
        ["true", "TRUE"]
            .map(|value| (request, value, "dryRun is for POST, PUT and DELETE of pods".to_owned()))
    });
    let state = async || {
        let [pods, groups, deployments] =
            ["/v2/pods", "/v2/groups?embed=group.groups", "/v2/deployments"].map(|path| server.get(path));
        (pods.await, groups.await, deployments.await)
    };
    let before = state().await;
    for ((method, path, body), value, words) in unclear.chain(impossible) {
        let request = server.request(method, &format!("{path}?dryRun={value}"));
        let request = if body.is_null() { request } else { request.json(body) };
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY, "{method} {path} {value}");
        let refused: Value = response.json().await.unwrap();
        assert!(refused["message"].as_str().unwrap().starts_with(&words), "{method} {path}: {refused}");
    }
    assert_eq!(state().await, before);
    let calls = master.journal.lines();
    assert!(!calls.iter().any(|line| line.contains("Kill")), "{calls:?}");
}
