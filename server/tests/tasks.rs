//! `/v2/tasks` and `/v2/queue`: what runs, what waits, and why.

mod support;

use podium_core::model::mesos::{Attribute, AttributeValue, Event, TaskState};
use reqwest::StatusCode;
use serde_json::{Value, json};
use support::server::Server;
use support::{FakeMaster, Journal, eventually, make_offer, pod_json, update};

/// A pod of two containers, of which the first has an endpoint.
fn web(instances: u32) -> Value {
    json!({
        "id": "/shop/web",
        "containers": [
            {
                "name": "nginx",
                "resources": {"cpus": 0.1, "mem": 32},
                "endpoints": [{"name": "http", "hostPort": 0}]
            },
            {"name": "log", "resources": {"cpus": 0.1, "mem": 32}}
        ],
        "networks": [{"mode": "host"}],
        "scaling": {"kind": "fixed", "instances": instances}
    })
}

/// A server on whose cluster two copies of `/shop/web` run and one of `/batch` is starting.
async fn busy() -> (Server, FakeMaster) {
    let server = Server::start().await;
    let master = FakeMaster::new("m", &Journal::default());
    master.accept(&server.driver).await;
    assert_eq!(server.post_pod(&web(2)).await.status(), StatusCode::CREATED);
    master.launch_what_waits(&server.driver, "first", TaskState::TaskRunning).await;
    assert_eq!(server.post_pod(&pod_json("/batch", 1)).await.status(), StatusCode::CREATED);
    master.launch_what_waits(&server.driver, "second", TaskState::TaskStaging).await;
    (server, master)
}

#[tokio::test]
async fn the_tasks_of_all_pods_are_listed() {
    let (server, _master) = busy().await;
    let listed = server.transcript(&[("GET", "/v2/tasks?status=staging", None)]).await;
    insta::assert_snapshot!(listed);
    let states = async |query: &str| {
        let tasks = server.get(&format!("/v2/tasks{query}")).await;
        let tasks = tasks["tasks"].as_array().unwrap().clone();
        tasks
            .iter()
            .map(|task| format!("{} {}", task["appId"].as_str().unwrap(), task["state"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    let running = ["/shop/web TASK_RUNNING"; 4];
    let staging = ["/batch TASK_STAGING"];
    assert_eq!(states("").await, [&staging[..], &running].concat());
    assert_eq!(states("?status=running").await, running);
    assert_eq!(states("?status[]=running&status=staging").await, [&staging[..], &running].concat());
    assert_eq!(states("?status=nonsense").await, [&staging[..], &running].concat());
    let tasks = server.get("/v2/tasks?status=running").await;
    let ports: Vec<_> = (0..4).map(|n| tasks["tasks"][n]["ports"].as_array().unwrap().len()).collect();
    assert_eq!(ports, [1, 0, 1, 0]);
}

#[tokio::test]
async fn load_balancers_read_text() {
    let (server, _master) = busy().await;
    let tasks = server.get("/v2/tasks?status=running").await;
    let port = |n: usize| tasks["tasks"][n]["ports"][0].as_u64().unwrap();
    let response = server.request("GET", "/v2/tasks").header("accept", "text/plain").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/plain");
    let expected =
        format!("batch\t \t\nshop_web\t \tagent.example:{}\tagent.example:{}\t\n", port(0), port(2));
    assert_eq!(response.text().await.unwrap(), expected);
    for accept in ["application/json", "*/*", "text/plain, application/json"] {
        let response = server.request("GET", "/v2/tasks").header("accept", accept).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/json", "{accept}");
    }
    let response = server.request("GET", "/v2/tasks").header("accept", "image/png").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_ACCEPTABLE);
}

#[tokio::test]
async fn copies_can_be_ended_by_their_tasks() {
    let (server, master) = busy().await;
    let tasks = server.get("/v2/tasks?status=running").await;
    let ids: Vec<&str> = (0..4).map(|n| tasks["tasks"][n]["id"].as_str().unwrap()).collect();
    let kill = async |query: &str, body: &Value| {
        let request = server.request("POST", &format!("/v2/tasks/delete{query}")).json(body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    // Both containers of the first copy, and one that nobody knows.
    let unknown = "nope.instance-0190163d-8694-739b-aea5-966c26f8ad91.x.1";
    let (status, killed) = kill("", &json!({"ids": [ids[0], ids[1], unknown]})).await;
    let killed: Vec<_> = killed["tasks"].as_array().unwrap().iter().map(|task| &task["id"]).collect();
    assert_eq!((status, killed), (200, vec![&json!(ids[0]), &json!(ids[1])]));
    master.journal.wait_for("call to m: Kill").await;

    for (query, body, status, words) in [
        ("", json!({"ids": ["nonsense"]}), 400, "Invalid task id 'nonsense'. ["),
        ("?scale=true&wipe=true", json!({"ids": []}), 400, "You cannot use scale and wipe at the same time."),
        ("?scale=true", json!({"ids": [ids[2]]}), 422, "'scale' is for apps"),
        ("", json!({}), 422, "Invalid JSON"),
        ("", json!({"ids": 7}), 422, "Invalid JSON"),
    ] {
        let (found, answer) = kill(query, &body).await;
        let message = answer["message"].as_str().unwrap();
        assert!(found == status && message.starts_with(words), "{query} {body}: {found} {answer}");
    }
}

#[tokio::test]
async fn the_queue_says_what_became_of_offers() {
    let server = Server::start().await;
    let master = FakeMaster::new("m", &Journal::default());
    master.accept(&server.driver).await;
    let mut pod = pod_json("/huge", 1);
    pod["containers"][0]["resources"]["cpus"] = json!(64);
    server.post_pod(&pod).await;
    let mut offer = make_offer("offer");
    offer.attributes = vec![
        Attribute { name: "rack".to_owned(), value: AttributeValue::Text("r7".to_owned()) },
        Attribute { name: "slots".to_owned(), value: AttributeValue::Set(vec!["a".to_owned()]) },
    ];
    server.driver.event(Event::Offers(vec![offer])).await.unwrap();
    eventually(async || {
        let queue = server.get("/v2/queue").await;
        let summary = &queue["queue"][0]["processedOffersSummary"];
        (summary["unusedOffersCount"] == json!(1)).then_some(())
    })
    .await;
    let plain = server.get("/v2/queue?embed=nonsense").await;
    assert_eq!(plain["queue"][0].get("lastUnusedOffers"), None);
    let mut queue = server.get("/v2/queue?embed=lastUnusedOffers").await;
    let item = &mut queue["queue"][0];
    assert_eq!(item["pod"], server.get("/v2/pods/huge").await);
    item["pod"] = json!("the definition");
    for time in ["/since", "/processedOffersSummary/lastUnusedOfferAt", "/lastUnusedOffers/0/timestamp"] {
        let time = item.pointer_mut(time).unwrap();
        assert!(time.as_str().unwrap().ends_with('Z'), "{time}");
        *time = json!("TIME");
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&queue).unwrap());
}

#[tokio::test]
async fn a_delay_can_be_ended() {
    let server = Server::start().await;
    let master = FakeMaster::new("m", &Journal::default());
    master.accept(&server.driver).await;
    let mut pod = pod_json("/crashing", 1);
    pod["scheduling"] = json!({"backoff": {"backoff": 3600, "maxLaunchDelay": 3600}});
    server.post_pod(&pod).await;
    let tasks = master.launch_what_waits(&server.driver, "offer", TaskState::TaskRunning).await;
    server.driver.event(Event::Update(update(&tasks[0], TaskState::TaskFailed))).await.unwrap();
    let delay = eventually(async || {
        let queue = server.get("/v2/queue").await;
        queue["queue"].get(0).map(|item| item["delay"].clone())
    });
    let delay = delay.await;
    assert_eq!(delay["overdue"], json!(false));
    assert!(delay["timeLeftSeconds"].as_u64().unwrap() > 3000, "{delay}");
    let reset = server.request("DELETE", "/v2/queue//crashing/delay").send().await.unwrap();
    assert_eq!((reset.status(), reset.text().await.unwrap()), (StatusCode::NO_CONTENT, String::new()));
    let queue = server.get("/v2/queue").await;
    assert_eq!(queue["queue"][0]["delay"], json!({"timeLeftSeconds": 0, "overdue": true}));
    master.launch_elsewhere(&server.driver, "again", TaskState::TaskRunning).await;
    let idle = eventually(async || (server.get("/v2/queue").await == json!({"queue": []})).then_some(()));
    idle.await;
    let missing = server.transcript(&[
        ("DELETE", "/v2/queue/crashing/delay", None),
        ("DELETE", "/v2/queue/nobody/delay", None),
    ]);
    insta::assert_snapshot!(missing.await);
}
