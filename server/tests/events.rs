//! The event stream: order, numbers, filters, coming back, and being too slow.

mod support;

use podium::driver::Audience as _;
use podium_core::model::event::{ApiEvent, ApiEventKind};
use podium_core::model::time::Timestamp;
use serde_json::json;
use support::events::listen;
use support::server::Server;
use support::{eventually, pod_json};

#[tokio::test]
async fn events_come_numbered_and_in_order() {
    let server = Server::start().await;
    let mut events = listen(&server, "", None).await;
    server.post_pod(&pod_json("/a", 1)).await;
    let seen = events.until("instance_changed_event").await;
    let kinds: Vec<_> = seen.iter().map(|event| event.kind.as_str()).collect();
    insta::assert_snapshot!(kinds.join("\n"));
    let created = seen.iter().find(|event| event.kind == "pod_created_event").unwrap();
    assert_eq!(created.data["eventType"], "pod_created_event");
    assert_eq!((&created.data["clientIp"], &created.data["uri"]), (&json!("127.0.0.1"), &json!("/v2/pods")));
    assert!(created.data["timestamp"].as_str().unwrap().ends_with('Z'));
    let numbers: Vec<u64> = seen
        .iter()
        .map(|event| event.id.as_ref().unwrap().rsplit_once('-').unwrap().1.parse().unwrap())
        .collect();
    assert!(numbers.is_sorted_by(|one, next| one + 1 == *next), "{numbers:?}");
}

#[tokio::test]
async fn a_client_may_ask_for_some_types_only() {
    let server = Server::start().await;
    let query = "?event_type=pod_created_event&event_type=pod_deleted_event&event_type=nonsense";
    let mut events = listen(&server, query, None).await;
    server.post_pod(&pod_json("/a", 1)).await;
    server.request("DELETE", "/v2/pods/a?force=true").send().await.unwrap();
    let seen = events.until("pod_deleted_event").await;
    let kinds: Vec<_> = seen.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["pod_created_event", "pod_deleted_event"]);
}

#[tokio::test]
async fn a_client_that_comes_back_misses_nothing() {
    let server = Server::start().await;
    let mut events = listen(&server, "", None).await;
    server.post_pod(&pod_json("/a", 1)).await;
    let all = events.until("instance_changed_event").await;
    drop(events);
    let mut events = listen(&server, "", all[2].id.as_deref()).await;
    assert_eq!(events.until("instance_changed_event").await, all[3..]);
}

#[tokio::test]
async fn a_client_that_missed_something_is_told() {
    let server = Server::with(podium_core::Config::default(), 5).await;
    server.post_pod(&pod_json("/a", 1)).await;
    let mut events = listen(&server, "", Some("123-4")).await;
    let gap = events.next().await.unwrap();
    assert_eq!((gap.kind.as_str(), &gap.id), ("event_stream_gap", &None));
    assert_eq!(gap.data["lastEventId"], "123-4");
    let next = events.next().await.unwrap();
    assert_eq!(next.id.as_deref(), gap.data["oldest"].as_str());
}

#[tokio::test]
async fn a_reader_that_is_too_slow_is_told_and_dropped() {
    let server = Server::with(podium_core::Config::default(), 50).await;
    let mut slow = listen(&server, "", None).await;
    let mut log = server.events.clone();
    // The stream's task has no chance to read in between.
    for _ in 0..100 {
        let kind = ApiEventKind::SchedulerDisconnectedEvent {};
        log.publish(ApiEvent { timestamp: Timestamp::EPOCH, kind });
    }
    let dropped = slow.until("event_stream_dropped").await.pop().unwrap();
    assert_eq!(dropped.id, None);
    assert_eq!(slow.next().await, None);
    // What it lost before that is still there can be had.
    let oldest = dropped.data["oldest"].as_str().unwrap().to_owned();
    let mut events = listen(&server, "", Some("1-1")).await;
    assert_eq!(events.next().await.unwrap().kind, "event_stream_gap");
    let next = events.next().await.unwrap().id.unwrap();
    let number = |id: &str| id.rsplit_once('-').unwrap().1.parse::<u64>().unwrap();
    assert!(number(&next) >= number(&oldest), "{next} {oldest}");
}

#[tokio::test]
async fn listeners_are_announced_and_leave() {
    let server = Server::start().await;
    let mut watcher = listen(&server, "?event_type=event_stream_detached", None).await;
    let mut other = listen(&server, "", None).await;
    let attached = other.next().await.unwrap();
    assert_eq!(attached.kind, "event_stream_attached");
    drop(other);
    let detached = watcher.next().await.unwrap();
    assert_eq!(detached.data["remoteAddress"], attached.data["remoteAddress"]);
}

#[tokio::test]
async fn the_stream_ends_with_the_daemon() {
    let server = Server::start().await;
    let mut events = listen(&server, "", None).await;
    server.events.close();
    let ended = eventually(async || events.next().await.is_none().then_some(()));
    ended.await;
}
