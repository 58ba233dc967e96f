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
