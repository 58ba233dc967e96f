//! Reading much of the state: it comes in pieces, says the same, and holds up nobody.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};

use podium_core::model::ids::PodId;
use reqwest::StatusCode;
use serde_json::Value;
use support::server::Server;
use support::{PATIENCE, pod_json};
use tokio::time::timeout;

/// Far more than fit into one look.
const INSTANCES: u32 = 20_000;

async fn server_with_many_instances() -> Server {
    let server = Server::start().await;
    for id in ["/a", "/large", "/z"] {
        let instances = if id == "/large" { INSTANCES } else { 2 };
        assert_eq!(server.post_pod(&pod_json(id, instances)).await.status(), StatusCode::CREATED);
    }
    server
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
