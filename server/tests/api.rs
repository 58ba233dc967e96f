//! The HTTP API over real sockets: every endpoint, and every way of saying no.

mod support;

use std::sync::Arc;

use podium_core::model::ids::{Role, TaskId};
use podium_core::model::mesos::{Event, Label, Reservation, ReservationType, TaskState};
use reqwest::StatusCode;
use serde_json::{Value, json};
use support::server::Server;
use support::{FakeMaster, Journal, eventually, make_offer, pod_json, update};

const SIMPLE: &str = r#"{"id":"/simplepod","containers":[{"name":"sleep1","exec":{"command":{"shell":"sleep 1000"}},"resources":{"cpus":0.1,"mem":32}}]}"#;

/// A server with a fake cluster on which `/simplepod` runs.
async fn running(instances: u32) -> (Server, FakeMaster) {
    let server = Server::start().await;
    let master = FakeMaster::new("m", &Journal::default());
    let response = server.post_pod(&pod_json("/simplepod", instances)).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    master.accept(&server.driver).await;
    master.launch_what_waits(&server.driver, "offer", TaskState::TaskRunning).await;
    wait_for_status(&server, "STABLE").await;
    (server, master)
}

async fn wait_for_status(server: &Server, status: &str) -> Value {
    eventually(async || {
        let found = server.get("/v2/pods/simplepod::status").await;
        (found["status"] == status).then_some(found)
    })
    .await
}

#[tokio::test]
async fn a_pod_lives_and_dies() {
    let (server, _master) = running(1).await;
    server.wait_for_no_deployments().await;
    let transcript = server
        .transcript(&[
            ("HEAD", "/v2/pods", None),
            ("GET", "/v2/pods", None),
            ("GET", "/v2/pods/simplepod", None),
            ("HEAD", "/v2/pods/simplepod", None),
            ("GET", "/v2/pods/simplepod::versions", None),
            ("GET", "/v2/queue", None),
            ("PUT", "/v2/pods/simplepod", Some(SIMPLE)),
            ("DELETE", "/v2/pods/simplepod", None),
            ("DELETE", "/v2/pods/simplepod?force=true", None),
            ("GET", "/v2/pods/simplepod", None),
            ("GET", "/v2/pods/simplepod::status", None),
            ("GET", "/v2/pods/simplepod::versions", None),
        ])
        .await;
    insta::assert_snapshot!(transcript);
}

#[tokio::test]
async fn creation_is_answered_with_the_normalised_pod() {
    let server = Server::start().await;
    let transcript = server
        .transcript(&[
            ("POST", "/v2/pods", Some(SIMPLE)),
            ("POST", "/v2/pods", Some(SIMPLE)),
            (
                "POST",
                "/v2/pods",
                Some(r#"{"id":"/a/b","containres":[],"containers":[{"name":"c","resuorces":{},"resources":{}}]}"#),
            ),
        ])
        .await;
    insta::assert_snapshot!(transcript);
}

#[tokio::test]
async fn fields_that_mean_nothing_are_named_and_the_rest_of_many_counted() {
    let server = Server::start().await;
    let mut pod = pod_json("/a", 0);
    for n in 0..30 {
        pod[format!("unknown{n:02}")] = json!(n);
    }
    // Whatever it is called, it fits into a header.
    pod["containers"][0]["\"quoted\", \u{e4}\n"] = json!(1);
    let warnings = |response: &reqwest::Response| -> Vec<String> {
        let warnings = response.headers().get_all("warning").iter();
        warnings.map(|warning| warning.to_str().unwrap().to_owned()).collect()
    };
    let named = |path: &str| format!(r#"299 podium "unknown field {path} was ignored""#);
    let mut expected = vec![named(r#"/containers(0)/\"quoted\", \u{e4}\n"#)];
    expected.extend((0..19).map(|n| named(&format!("/unknown{n:02}"))));
    expected.push(r#"299 podium "and 11 more""#.to_owned());
    for (method, path, status) in [
        ("POST", "/v2/pods?dryRun=true", 200),
        ("POST", "/v2/pods", 201),
        ("PUT", "/v2/pods/a?dryRun=true", 200),
        ("PUT", "/v2/pods/a?force=true", 200),
    ] {
        let response = server.request(method, path).json(&pod).send().await.unwrap();
        assert_eq!((response.status().as_u16(), warnings(&response)), (status, expected.clone()), "{path}");
    }
    // As many as fit: nothing is left to be counted.
    pod.as_object_mut().unwrap().retain(|name, _| name.as_str() < "unknown19");
    let response = server.request("PUT", "/v2/pods/a").json(&pod).send().await.unwrap();
    assert_eq!(warnings(&response), expected[..20]);

    let mut group: Value = json!({"groups": [{"id": "b"}]});
    for n in 0..21 {
        group["groups"][0][format!("unknown{n:02}")] = json!(n);
    }
    let response = server.request("PUT", "/v2/groups/g").json(&group).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let found = warnings(&response);
    assert_eq!((found.len(), &*found[0]), (21, &*named("/groups(0)/unknown00")));
    assert_eq!(found[20], r#"299 podium "and 1 more""#);
}

#[tokio::test]
async fn locations_lead_to_what_they_name() {
    let (server, _master) = running(1).await;
    let created = server.post_pod(&pod_json("/a/b", 1)).await;
    let location = created.headers()["location"].to_str().unwrap().to_owned();
    let found: Value = reqwest::get(&location).await.unwrap().json().await.unwrap();
    assert_eq!(found["id"], "/a/b");

    // Of a pod that takes its time to end.
    let deleted = server.request("DELETE", "/v2/pods/simplepod").send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::ACCEPTED);
    let id = deleted.headers()["marathon-deployment-id"].to_str().unwrap().to_owned();
    let location = deleted.headers()["location"].to_str().unwrap().to_owned();
    let found: Value = reqwest::get(&location).await.unwrap().json().await.unwrap();
    assert_eq!((&found["id"], &found["affectedPods"]), (&json!(id), &json!(["/simplepod"])));
}

#[tokio::test]
async fn bad_definitions_are_refused_and_change_nothing() {
    let server = Server::start().await;
    let transcript = server
        .transcript(&[
            ("POST", "/v2/pods", None),
            ("POST", "/v2/pods", Some(" \n")),
            ("POST", "/v2/pods", Some("{\"id\": \"/a\",\n  \"containers\": [}")),
            ("POST", "/v2/pods", Some("[]")),
            ("POST", "/v2/pods", Some(r#"{"id":"/a"}"#)),
            ("POST", "/v2/pods", Some(r#"{"id":"/A_","containers":[{"name":"X","resources":{"cpus":-1}}]}"#)),
            ("PUT", "/v2/pods/other", Some(SIMPLE)),
            ("PUT", "/v2/pods/UPPER", Some(SIMPLE)),
            ("GET", "/v2/pods", None),
        ])
        .await;
    insta::assert_snapshot!(transcript);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = Server::start().await;
    let transcript = server
        .transcript(&[
            ("GET", "/", None),
            ("GET", "/v2/apps", None),
            ("GET", "/v2/pods/nope", None),
            ("DELETE", "/v2/pods/nope", None),
            ("GET", "/v2/pods/nope::status", None),
            ("GET", "/v2/pods/nope::versions", None),
            ("GET", "/v2/pods/nope::versions/2017-01-03T18:21:19.31Z", None),
            ("GET", "/v2/pods/nope::versions/yesterday", None),
            ("GET", "/v2/pods/nope::what", None),
            ("GET", "/v2/pods/NOPE", None),
            ("DELETE", "/v2/pods/nope::instances", Some("[]")),
            ("DELETE", "/v2/pods/nope::instances", Some("{}")),
            ("DELETE", "/v2/pods/nope::instances", None),
            ("DELETE", "/v2/pods/nope::instances/nope.instance-1", None),
            ("DELETE", "/v2/pods/nope::instances/what", None),
            ("DELETE", "/v2/pods/nope::instances/nope.instance-0190163d-8694-739b-aea5-966c26f8ad91", None),
            ("GET", "/v2/deployments/nope", None),
            ("DELETE", "/v2/deployments/nope", None),
            ("DELETE", "/v2/queue/nope/delay", None),
            ("DELETE", "/v2/queue//nope/delay", None),
            ("DELETE", "/v2/queue/nope", None),
        ])
        .await;
    insta::assert_snapshot!(transcript);
}

#[tokio::test]
async fn a_slash_at_the_end_says_nothing() {
    let server = Server::start().await;
    // Without a master its deployment does not end.
    let created = server.post_pod(&pod_json("/a", 1)).await;
    let id = created.headers()["marathon-deployment-id"].to_str().unwrap();
    let deployment = format!("/v2/deployments/{id}");
    for path in [
        "/ping",
        "/v2/deployments",
        &deployment,
        "/v2/events",
        "/v2/groups",
        "/v2/groups/a",
        "/v2/info",
        "/v2/leader",
        "/v2/openapi.json",
        "/v2/pods",
        "/v2/pods/a",
        "/v2/pods/a::versions",
        "/v2/queue",
        "/v2/tasks",
        "/v2/unknown_tasks",
        "/v2/nothing",
    ] {
        let get = async |path: &str| {
            let response = server.request("GET", path).send().await.unwrap();
            let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
            let is_stream = kind.starts_with("text/event-stream");
            let body = if is_stream { String::new() } else { response.text().await.unwrap() };
            (kind, server.redact(&body.replace("nothing/", "nothing")))
        };
        assert_eq!(get(&format!("{path}/")).await, get(path).await, "{path}");
    }
    let options = |path| server.request("OPTIONS", path).send();
    let (one, other) = (options("/v2/queue/").await.unwrap(), options("/v2/queue").await.unwrap());
    assert_eq!(one.headers()["allow"], other.headers()["allow"]);
    let metrics = server.request("GET", "/metrics/").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains(r#"route="/v2/queue""#) && !metrics.contains(r#"route="/v2/queue/""#));
}

#[tokio::test]
async fn methods_that_do_not_exist_are_named() {
    let server = Server::start().await;
    for path in [
        "/ping",
        "/v2/deployments",
        "/v2/events",
        "/v2/info",
        "/v2/leader",
        "/v2/pods",
        "/v2/pods/a",
        "/v2/pods/a::status",
        "/v2/pods/a::instances",
        "/v2/queue",
        "/v2/queue/a/delay",
        "/v2/deployments/a",
    ] {
        let response = server.request("PATCH", path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert!(response.headers().contains_key("allow"), "{path}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body, json!({"message": "Method Not Allowed"}), "{path}");
        let response = server.request("OPTIONS", path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NO_CONTENT, "{path}");
        assert!(response.headers().contains_key("allow"), "{path}");
    }
}

#[tokio::test]
async fn a_locked_pod_says_who_holds_the_lock() {
    let server = Server::start().await;
    // Without a master its deployment does not end.
    let created = server.post_pod(&pod_json("/simplepod", 1)).await;
    let holder = created.headers()["marathon-deployment-id"].to_str().unwrap().to_owned();
    let refused = server.request("PUT", "/v2/pods/simplepod").json(&pod_json("/simplepod", 2));
    let refused = refused.send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    let body: Value = refused.json().await.unwrap();
    assert_eq!(body["deployments"], json!([{"id": holder}]));
    let forced = server.request("PUT", "/v2/pods/simplepod?force=TRUE").json(&pod_json("/simplepod", 2));
    assert_eq!(forced.send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(server.get("/v2/pods/simplepod::versions").await.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn deployments_can_be_cancelled_and_taken_back() {
    let server = Server::start().await;
    let id = async || {
        let deployments = server.get("/v2/deployments").await;
        deployments[0]["id"].as_str().unwrap().to_owned()
    };
    server.post_pod(&pod_json("/simplepod", 1)).await;
    let first = id().await;
    let cancelled =
        server.request("DELETE", &format!("/v2/deployments/{first}?force=true")).send().await.unwrap();
    assert_eq!((cancelled.status(), cancelled.text().await.unwrap()), (StatusCode::ACCEPTED, String::new()));
    server.get("/v2/pods/simplepod").await;

    let scaled =
        server.request("PUT", "/v2/pods/simplepod").json(&pod_json("/simplepod", 5)).send().await.unwrap();
    assert_eq!(scaled.status(), StatusCode::OK);
    let second = id().await;
    let reverted = server.request("DELETE", &format!("/v2/deployments/{second}")).send().await.unwrap();
    assert_eq!(reverted.status(), StatusCode::OK);
    let header = reverted.headers()["marathon-deployment-id"].to_str().unwrap().to_owned();
    let body: Value = reverted.json().await.unwrap();
    assert_eq!(body["deploymentId"], header);
    assert!(body["version"].as_str().unwrap().ends_with('Z'), "{body}");
    assert_eq!(server.get("/v2/pods/simplepod").await["scaling"]["instances"], 1);
}

#[tokio::test]
async fn copies_can_be_killed() {
    let (server, _master) = running(3).await;
    let status = server.get("/v2/pods/simplepod::status").await;
    let ids: Vec<_> =
        status["instances"].as_array().unwrap().iter().map(|instance| &instance["id"]).collect();
    let one = format!("/v2/pods/simplepod::instances/{}", ids[0].as_str().unwrap());
    let some = json!([ids[1], ids[1], "simplepod.instance-0190163d-8694-739b-aea5-966c26f8ad91"]).to_string();
    let killed = server.transcript(&[("DELETE", &one, None)]).await;
    insta::assert_snapshot!(killed);
    let response =
        server.request("DELETE", "/v2/pods/simplepod::instances?wipe=true").body(some).send().await;
    let killed: Value = response.unwrap().json().await.unwrap();
    let killed: Vec<_> = killed.as_array().unwrap().iter().map(|instance| &instance["instanceId"]).collect();
    assert_eq!(killed, [ids[1]]);
}

#[tokio::test]
async fn old_versions_stay_readable_after_deletion() {
    let (server, _master) = running(1).await;
    let version = server.get("/v2/pods/simplepod::versions").await[0].as_str().unwrap().to_owned();
    let path = format!("/v2/pods/simplepod::versions/{version}");
    let pod = server.get(&path).await;
    assert_eq!((&pod["id"], &pod["version"]), (&json!("/simplepod"), &json!(version)));
    server.request("DELETE", "/v2/pods/simplepod?force=true").send().await.unwrap();
    assert_eq!(server.get(&path).await, pod);
    let missing =
        server.request("GET", "/v2/pods/simplepod::versions/2001-01-01T00:00:00Z").send().await.unwrap();
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_status_of_many_pods_is_one_list() {
    let server = Server::start().await;
    assert_eq!(server.get("/v2/pods/::status").await, json!([]));
    for number in 0..30 {
        // More than one query looks at, together.
        server.post_pod(&pod_json(&format!("/many/pod-{number:02}"), 40)).await;
    }
    let statuses = server.get("/v2/pods/::status").await;
    let statuses = statuses.as_array().unwrap();
    let ids: Vec<_> = statuses.iter().map(|status| status["id"].as_str().unwrap()).collect();
    let expected: Vec<_> = (0..30).map(|number| format!("/many/pod-{number:02}")).collect();
    assert_eq!(ids, expected);
    assert!(statuses.iter().all(|status| status["instances"].as_array().unwrap().len() == 40));
}

#[tokio::test]
async fn tasks_without_a_record_are_listed() {
    let server = Server::start().await;
    let master = FakeMaster::new("m", &Journal::default());
    master.accept(&server.driver).await;
    assert_eq!(
        server.get("/v2/unknown_tasks").await,
        json!({"unknownTasks": [], "strays": [], "unknownReservations": []})
    );
    let id = "lost.instance-2a7ea5c4-c6d1-11f0-8000-0242ac110002.c.1";
    let status = update(&TaskId::from(id), TaskState::TaskRunning);
    server.driver.event(Event::Update(status)).await.unwrap();
    let listed = eventually(async || {
        let listed = server.get("/v2/unknown_tasks").await;
        listed["unknownTasks"].get(0).cloned()
    })
    .await;
    assert_eq!((&listed["taskId"], &listed["agentId"]), (&json!(id), &json!("agent")));
    assert_eq!(listed["state"], "TASK_RUNNING");
    assert_eq!(listed["since"], listed["lastHeard"]);
}

#[tokio::test]
async fn tasks_without_a_place_are_listed_until_they_end() {
    let server = Server::start().await;
    let master = FakeMaster::new("m", &Journal::default());
    master.accept(&server.driver).await;
    let mut pod = pod_json("/given-up", 1);
    pod["scheduling"] = json!({"unreachableStrategy": {"inactiveAfterSeconds": 0, "expungeAfterSeconds": 0}});
    assert_eq!(server.post_pod(&pod).await.status(), StatusCode::CREATED);
    let tasks = master.launch_elsewhere(&server.driver, "o", TaskState::TaskRunning).await;
    for state in [TaskState::TaskUnreachable, TaskState::TaskRunning] {
        server.driver.event(Event::Update(update(&tasks[0], state))).await.unwrap();
    }
    let strays = async || server.get("/v2/unknown_tasks").await["strays"].clone();
    let listed = eventually(async || strays().await.get(0).cloned()).await;
    assert_eq!((&listed["taskId"], &listed["kills"]), (&json!(tasks[0]), &json!(1)));
    assert_eq!(listed["state"], "TASK_RUNNING");
    server.driver.event(Event::Update(update(&tasks[0], TaskState::TaskKilled))).await.unwrap();
    eventually(async || (strays().await == json!([])).then_some(())).await;
}

#[tokio::test]
async fn what_is_kept_without_a_record_is_listed() {
    let server = Server::start().await;
    FakeMaster::new("m", &Journal::default()).accept(&server.driver).await;
    let instance = "lost.instance-2a7ea5c4-c6d1-11f0-8000-0242ac110002";
    let label = |key: &str, value: &str| Label { key: key.to_owned(), value: Some(value.to_owned()) };
    let role = Role::from("dev");
    let mut offer = make_offer("o");
    offer.role = Some(role.clone());
    for resource in &mut offer.resources {
        resource.allocation_role = Some(role.clone());
        resource.reservations = Arc::from([Reservation {
            kind: ReservationType::Dynamic,
            role: role.clone(),
            principal: None,
            labels: vec![label("marathon_framework_id", "framework"), label("marathon_task_id", instance)],
        }]);
    }
    let (agent, host) = (offer.agent_id.clone(), offer.hostname.clone());
    server.driver.event(Event::Offers(vec![offer])).await.unwrap();
    let listed = eventually(async || {
        let listed = server.get("/v2/unknown_tasks").await;
        listed["unknownReservations"].get(0).cloned()
    })
    .await;
    let since = listed["since"].clone();
    assert!(since.is_string(), "{since}");
    assert_eq!(
        listed,
        json!({
            "instanceId": instance,
            "agentId": agent.as_str(),
            "host": host,
            "role": "dev",
            "volumes": [],
            "since": since,
            "lastOffered": since,
        })
    );
}

#[tokio::test]
async fn the_daemon_tells_about_itself() {
    let server = Server::start().await;
    let ping = async |accept: Option<&str>| {
        let mut request = server.request("GET", "/ping");
        if let Some(accept) = accept {
            request = request.header("accept", accept);
        }
        let response = request.send().await.unwrap();
        let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        (response.status().as_u16(), kind.unwrap_or_default(), response.text().await.unwrap())
    };
    let plain = (200, "text/plain".to_owned(), "pong".to_owned());
    assert_eq!(ping(None).await, plain);
    assert_eq!(ping(Some("*/*")).await, plain);
    assert_eq!(ping(Some("text/*")).await, plain);
    assert_eq!(ping(Some("text/html")).await, (200, "text/html".into(), "pong".into()));
    assert_eq!(ping(Some("application/json")).await, (200, "application/json".into(), "\"pong\"".into()));
    assert_eq!(ping(Some("image/png")).await, (204, String::new(), String::new()));

    let info = server.get("/v2/info").await;
    assert_eq!(info["frameworkId"], Value::Null);
    FakeMaster::new("m", &Journal::default()).accept(&server.driver).await;
    let info = eventually(async || {
        let info = server.get("/v2/info").await;
        info["frameworkId"].is_string().then_some(info)
    });
    assert_eq!(
        info.await,
        json!({
            "name": "podium",
            "version": env!("CARGO_PKG_VERSION"),
            "elected": true,
            "leader": "leader.example:8080",
            "frameworkId": "framework",
            "marathon_config": {"master": "embedded"},
            "buildref": null,
            "zookeeper_config": {
                "zk": null,
                "zk_timeout": null,
                "zk_session_timeout": null,
                "zk_connection_timeout": null,
                "zk_max_versions": null
            },
            "http_config": {
                "http_port": server.base.rsplit(':').next().unwrap().parse::<u16>().unwrap(),
                "https_port": null
            }
        })
    );
    assert_eq!(server.get("/v2/leader").await, json!({"leader": "leader.example:8080"}));
}

#[tokio::test]
async fn every_answer_has_marathon_s_headers() {
    let server = Server::start().await;
    for path in ["/ping", "/v2/pods", "/nope", "/v2/pods/NOPE"] {
        let response = server.request("GET", path).send().await.unwrap();
        let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("cache-control"), Some("no-cache, no-store, must-revalidate"), "{path}");
        assert_eq!(header("pragma"), Some("no-cache"), "{path}");
        assert_eq!(header("expires"), Some("0"), "{path}");
        assert_eq!(header("x-marathon-leader"), Some("http://leader.example:8080"), "{path}");
        assert_eq!(header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(header("x-xss-protection"), Some("1; mode=block"), "{path}");
        assert_eq!(header("server"), None, "{path}");
    }
}

#[tokio::test]
async fn a_daemon_whose_driver_has_stopped_says_so() {
    let server = Server::start().await;
    server.driver.stop().await;
    let stopped = eventually(async || {
        let response = server.request("GET", "/v2/pods").send().await.unwrap();
        (response.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(response)
    });
    let body: Value = stopped.await.json().await.unwrap();
    assert_eq!(body, json!({"message": "the scheduler has stopped"}));
}
