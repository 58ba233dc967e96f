//! Reading much of the state: it comes in pieces, says the same, and holds up nobody.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use podium::api::HttpSettings;
use podium_core::model::ids::PodId;
use podium_core::model::mesos::TaskState;
use podium_core::{Command, Origin, Scheduler};
use reqwest::StatusCode;
use serde_json::Value;
use support::server::Server;
use support::{FakeMaster, Journal, PATIENCE, eventually, make_large_offer, pod, pod_json};
use tokio::time::timeout;

/// So many that looks of 2 ms are many, too.
const INSTANCES: u32 = 20_000;

/// Looks are as short as can be, so that there are many of them on a fast machine as well.
async fn server_with_short_looks() -> Server {
    Server::with_http(HttpSettings { look_time: Duration::ZERO, ..HttpSettings::default() }).await
}

async fn server_with_many_instances() -> Server {
    let server = server_with_short_looks().await;
    for id in ["/a", "/large", "/z"] {
        let instances = if id == "/large" { INSTANCES } else { 2 };
        assert_eq!(server.post_pod(&pod_json(id, instances)).await.status(), StatusCode::CREATED);
    }
    wait_for_instances(&server, INSTANCES + 4).await;
    server
}

/// Waits until there are so many instances: large pods come in portions.
async fn wait_for_instances(server: &Server, instances: u32) {
    eventually(async || {
        let count = server.driver.query(|scheduler, _| scheduler.instance_count()).await.unwrap();
        (count == instances as usize).then_some(())
    })
    .await;
}

/// The state of a pod as the scheduler sees it in one look, apart from the moment of the look.
async fn in_one_look(server: &Server, id: &'static str) -> Value {
    let look = server.driver.query(move |scheduler, now| scheduler.pod_status(&PodId::from(id), now));
    without_moment(serde_json::to_value(look.await.unwrap()).unwrap())
}

fn without_moment(mut status: Value) -> Value {
    status.as_object_mut().unwrap().remove("lastUpdated");
    status
}

#[tokio::test]
async fn states_in_pieces_say_the_same() {
    let server = server_with_many_instances().await;
    let large = server.request("GET", "/v2/pods/large::status").send().await.unwrap();
    assert_eq!(large.content_length(), None, "it is written while it is looked up");
    let large: Value = large.json().await.unwrap();
    assert_eq!(large["instances"].as_array().unwrap().len(), INSTANCES as usize);
    let all = server.get("/v2/pods/::status").await;
    assert_eq!(all.as_array().unwrap().len(), 3);
    for (id, found) in [("/large", &large), ("/a", &all[0]), ("/large", &all[1]), ("/z", &all[2])] {
        assert!(without_moment(found.clone()) == in_one_look(&server, id).await, "{id}");
    }
}

/// How many looks at the scheduler it takes to answer `path`, and the answer.
async fn looks(server: &Server, path: &str, accept: &str) -> (u64, String) {
    let count = async || {
        let metrics = server.request("GET", "/metrics").send().await.unwrap().text().await.unwrap();
        let count = metrics.lines().find_map(|line| line.strip_prefix("podium_query_seconds_count "));
        count.unwrap().parse::<u64>().unwrap()
    };
    let before = count().await;
    let answer = server.request("GET", path).header("accept", accept).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    let text = answer.text().await.unwrap();
    (count().await - before, text)
}

#[tokio::test]
async fn groups_and_the_queue_are_looked_at_in_pieces_as_well() {
    let server = server_with_many_instances().await;
    let (few, _) = looks(&server, "/v2/pods/a::status", "*/*").await;
    for (path, pods) in [("/v2/groups", "/pods"), ("/v2/queue", "/queue")] {
        let (many, text) = looks(&server, path, "*/*").await;
        assert!(many > few + 2, "{path}: {many} looks");
        let answer: Value = serde_json::from_str(&text).unwrap();
        let listed = answer.pointer(pods).unwrap().as_array().unwrap();
        assert_eq!(listed.len(), 3);
        for (found, id) in listed.iter().zip(["/a", "/large", "/z"]) {
            if path == "/v2/groups" {
                assert!(without_moment(found.clone()) == in_one_look(&server, id).await, "{id}");
            } else {
                let item = move |scheduler: &Scheduler, now| {
                    scheduler.queue(now).into_iter().find(|item| item.pod.id.as_str() == id)
                };
                let item = serde_json::to_value(server.driver.query(item).await.unwrap()).unwrap();
                assert_eq!((found["pod"]["id"].as_str(), found), (Some(id), &item));
            }
        }
    }
}

#[tokio::test]
async fn tasks_are_looked_at_in_pieces_as_well() {
    const RUNNING: u32 = 6000;
    let server = server_with_short_looks().await;
    let master = FakeMaster::new("m", &Journal::default());
    master.accept(&server.driver).await;
    for id in ["/a", "/large", "/z"] {
        let instances = if id == "/large" { RUNNING } else { 1 };
        assert_eq!(server.post_pod(&pod_json(id, instances)).await.status(), StatusCode::CREATED);
    }
    wait_for_instances(&server, RUNNING + 2).await;
    let tasks = master.launch_on(make_large_offer("large"), &server.driver, TaskState::TaskRunning).await;
    assert_eq!(tasks.len(), RUNNING as usize + 2);
    eventually(async || {
        let running = |scheduler: &Scheduler, now| scheduler.deployments(now).is_empty();
        server.driver.query(running).await.unwrap().then_some(())
    })
    .await;

    let (few, _) = looks(&server, "/v2/pods/a::status", "*/*").await;
    let (many, text) = looks(&server, "/v2/tasks", "application/json").await;
    assert!(many > few + 2, "{many} looks");
    let listed: Value = serde_json::from_str(&text).unwrap();
    let in_one_look = |scheduler: &Scheduler, _| {
        let pods = scheduler.pods().map(|pod| pod.id.clone());
        let tasks = pods
            .flat_map(|pod| scheduler.tasks_of(&pod, None).flat_map(|(_, tasks)| tasks).collect::<Vec<_>>());
        serde_json::to_value(tasks.collect::<Vec<_>>()).unwrap()
    };
    assert!(listed["tasks"] == server.driver.query(in_one_look).await.unwrap());
    assert_eq!(listed["tasks"].as_array().unwrap().len(), tasks.len());

    let (many, text) = looks(&server, "/v2/tasks", "text/plain").await;
    assert!(many > few + 2, "{many} looks");
    let hosts = |count: u32| "agent.example\t".repeat(count as usize);
    let expected = format!("a\t \t{}\nlarge\t \t{}\nz\t \t{}\n", hosts(1), hosts(RUNNING), hosts(1));
    assert!(text == expected, "{text:.100}");
}

#[tokio::test]
async fn pods_are_listed_in_pieces_as_well() {
    // More than twice as many as are listed at once.
    const PODS: u32 = 2500;
    let server = server_with_short_looks().await;
    for n in 0..PODS {
        let pod = pod(&format!("/p{n:04}"), 0);
        let command = Command::CreatePod { pod, force: false, role_given: false };
        server.driver.command(Origin::default(), command).await.unwrap().unwrap();
    }
    let expected: Vec<_> = (0..PODS).map(|n| format!("/p{n:04}")).collect();
    for path in ["/v2/pods", "/v2/pods/::status"] {
        let (many, text) = looks(&server, path, "*/*").await;
        // Definitions are only referred to, which takes no time.
        assert!(many > 3 || path == "/v2/pods", "{path}: {many} looks");
        let listed: Vec<Value> = serde_json::from_str(&text).unwrap();
        let ids: Vec<_> = listed.iter().map(|pod| pod["id"].as_str().unwrap()).collect();
        assert!(ids == expected, "{path}: {} pods", ids.len());
    }
}

#[tokio::test]
async fn a_pod_that_goes_while_it_is_looked_at_leaves_a_whole_answer() {
    let server = server_with_many_instances().await;
    let response = server.request("GET", "/v2/pods/::status").send().await.unwrap();
    assert_eq!(server.request("DELETE", "/v2/pods/large?force=true").send().await.unwrap().status(), 202);
    let statuses: Value = response.json().await.unwrap();
    let ids: Vec<_> =
        statuses.as_array().unwrap().iter().map(|status| status["id"].as_str().unwrap()).collect();
    assert!(ids == ["/a", "/large", "/z"] || ids == ["/a", "/z"], "{ids:?}");
}

#[tokio::test]
async fn readers_do_not_keep_others_waiting() {
    let server = server_with_many_instances().await;
    let done = AtomicBool::new(false);
    let read = async {
        while !done.load(Ordering::Relaxed) {
            server.get("/v2/pods/::status").await;
        }
    };
    let others = async {
        for n in 0..20 {
            let created = server.post_pod(&pod_json(&format!("/p{n}"), 1)).await;
            assert_eq!(created.status(), StatusCode::CREATED);
        }
        done.store(true, Ordering::Relaxed);
    };
    timeout(PATIENCE, futures_util::future::join(others, read)).await.expect("nobody waits long");
}
