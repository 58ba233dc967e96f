//! What the API shows after the daemon was started again on its store.

mod support;

use podium::store::DataDir;
use podium_core::model::mesos::{Event, TaskState};
use reqwest::StatusCode;
use serde_json::{Value, json};
use support::server::Server;
use support::{FakeMaster, Journal, eventually, pod_json, update};

#[tokio::test]
async fn the_history_of_ends_is_bounded_and_survives() {
    let folder = tempfile::tempdir().unwrap();
    let folder = DataDir::open(folder.path()).unwrap();
    let server = Server::in_folder(&folder).await;
    let master = FakeMaster::new("m", &Journal::default());
    master.accept(&server.driver).await;
    let mut pod = pod_json("/crashing", 1);
    pod["scheduling"] = json!({"backoff": {"backoff": 0, "maxLaunchDelay": 0}});
    assert_eq!(server.post_pod(&pod).await.status(), StatusCode::CREATED);
    for launch in 1..=25 {
        let tasks =
            master.launch_elsewhere(&server.driver, &format!("offer {launch}"), TaskState::TaskRunning).await;
        let mut status = update(&tasks[0], TaskState::TaskFailed);
        status.message = Some(format!("Command exited with status {launch}"));
        server.driver.event(Event::Update(status)).await.unwrap();
    }
    let codes = |history: &Value| {
        let ends = history.as_array().unwrap().iter();
        ends.map(|end| end["containers"][0]["termination"]["exitCode"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let history = eventually(async || {
        let history = server.get("/v2/pods/crashing::status").await["terminationHistory"].clone();
        (codes(&history).first() == Some(&25)).then_some(history)
    })
    .await;
    assert_eq!(codes(&history), (6..=25).rev().collect::<Vec<_>>());
    server.stop().await;

    let server = Server::in_folder(&folder).await;
    assert_eq!(server.get("/v2/pods/crashing::status").await["terminationHistory"], history);
}

#[tokio::test]
async fn what_was_said_of_pods_and_groups_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = DataDir::open(folder.path()).unwrap();
    let server = Server::in_folder(&folder).await;
    let put = |server: &Server, path: &str, body: Value| server.request("PUT", path).json(&body).send();
    server.post_pod(&pod_json("/shop/web", 1)).await;
    put(&server, "/v2/pods/shop/web?force=true", pod_json("/shop/web", 2)).await.unwrap();
    server.post_pod(&pod_json("/shop/gone", 1)).await;
    server.request("DELETE", "/v2/pods/shop/gone?force=true").send().await.unwrap();
    put(&server, "/v2/groups/shop", json!({"dependencies": ["/db"]})).await.unwrap();
    let paths = [
        "/v2/deployments",
        "/v2/groups?embed=group.groups",
        "/v2/groups/shop/versions",
        "/v2/pods",
        "/v2/pods/shop/web::versions",
    ];
    let mut before = Vec::new();
    for path in paths {
        before.push(server.get(path).await);
    }
    assert_eq!(before[4].as_array().unwrap().len(), 2);
    server.stop().await;

    let server = Server::in_folder(&folder).await;
    for (path, before) in paths.into_iter().zip(before) {
        assert_eq!(server.get(path).await, before, "{path}");
    }
    // History is tied to the id, through deletion and re-creation.
    server.post_pod(&pod_json("/shop/gone", 1)).await;
    let versions = server.get("/v2/pods/shop/gone::versions").await;
    let versions = versions.as_array().unwrap();
    assert_eq!(versions.len(), 2);
    for version in versions {
        let pod = server.get(&format!("/v2/pods/shop/gone::versions/{}", version.as_str().unwrap())).await;
        assert_eq!(pod["version"], *version);
    }
}
