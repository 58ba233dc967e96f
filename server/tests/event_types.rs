//! Each type of event, seen over HTTP after what causes it.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use podium::api::HttpSettings;
use podium::driver::Audience as _;
use podium_core::model::event::{ApiEvent, ApiEventKind};
use podium_core::model::ids::{AgentId, ExecutorId, TaskId};
use podium_core::model::mesos::{Event, NetworkStatus, TaskState};
use podium_core::model::time::Timestamp;
use reqwest::StatusCode;
use serde_json::{Value, json};
use support::events::{self, Events, listen};
use support::server::Server;
use support::{FakeMaster, Journal, PATIENCE, pod_json, update};

/// The name of an event. One that is new here makes `every_type_of_event_can_be_seen` ask for it.
fn name(kind: &ApiEventKind) -> &'static str {
    match kind {
        ApiEventKind::AppTerminatedEvent { .. } => "app_terminated_event",
        ApiEventKind::DeploymentFailed { .. } => "deployment_failed",
        ApiEventKind::DeploymentInfo { .. } => "deployment_info",
        ApiEventKind::DeploymentStepSuccess { .. } => "deployment_step_success",
        ApiEventKind::DeploymentSuccess { .. } => "deployment_success",
        ApiEventKind::FrameworkMessageEvent { .. } => "framework_message_event",
        ApiEventKind::GroupChangeFailed { .. } => "group_change_failed",
        ApiEventKind::GroupChangeSuccess { .. } => "group_change_success",
        ApiEventKind::InstanceChangedEvent { .. } => "instance_changed_event",
        ApiEventKind::InstanceHealthChangedEvent { .. } => "instance_health_changed_event",
        ApiEventKind::PodCreatedEvent { .. } => "pod_created_event",
        ApiEventKind::PodDeletedEvent { .. } => "pod_deleted_event",
        ApiEventKind::PodUpdatedEvent { .. } => "pod_updated_event",
        ApiEventKind::SchedulerDisconnectedEvent {} => "scheduler_disconnected_event",
        ApiEventKind::SchedulerRegisteredEvent { .. } => "scheduler_registered_event",
        ApiEventKind::SchedulerReregisteredEvent { .. } => "scheduler_reregistered_event",
        ApiEventKind::StatusUpdateEvent { .. } => "status_update_event",
        ApiEventKind::UnknownInstanceTerminatedEvent { .. } => "unknown_instance_terminated_event",
    }
}

/// What the function above names.
const SCHEDULER_EVENTS: usize = 18;

/// Has everything happen that an event of the scheduler tells of.
async fn live_a_whole_life(server: &Server) {
    let pod = async |method: &str, path: &str, pod: Option<Value>| {
        let request = server.request(method, path);
        let request = pod.iter().fold(request, |request, pod| request.json(pod));
        request.send().await.unwrap().status()
    };
    let master = FakeMaster::new("m", &Journal::default());
    master.accept(&server.driver).await;
    server.driver.disconnected().await.unwrap();
    master.accept(&server.driver).await;

    let mut web = pod_json("/shop/web", 1);
    web["containers"][0]["endpoints"] = json!([{"name": "http", "hostPort": 0}]);
    web["containers"][0]["healthCheck"] = json!({"http": {"endpoint": "http"}});
    assert_eq!(pod("POST", "/v2/pods", Some(web.clone())).await, StatusCode::CREATED);
    let task = &master.launch_what_waits(&server.driver, "offer", TaskState::TaskStarting).await[0];
    let mut running = update(task, TaskState::TaskRunning);
    running.message = Some("it runs".to_owned());
    running.networks =
        vec![NetworkStatus { name: None, ip_addresses: vec!["10.0.0.1".to_owned(), "fe80::1".to_owned()] }];
    running.healthy = Some(true);
    server.driver.event(Event::Update(running)).await.unwrap();

    server.wait_for_no_deployments().await;
    let exists = pod("POST", "/v2/pods", Some(web)).await;
    assert_eq!(exists, StatusCode::CONFLICT);
    assert_eq!(pod("PUT", "/v2/pods/shop/web", Some(pod_json("/shop/web", 1))).await, StatusCode::OK);
    assert_eq!(pod("DELETE", "/v2/pods/shop/web?force=true", None).await, StatusCode::ACCEPTED);
    server.driver.event(Event::Update(update(task, TaskState::TaskKilled))).await.unwrap();
    server.wait_for_no_deployments().await;

    let said = Event::Message {
        agent_id: AgentId::from("agent"),
        executor_id: ExecutorId::from("executor"),
        data: b"hi".to_vec(),
    };
    server.driver.event(said).await.unwrap();
    let nobodys = TaskId::from("lost.instance-2a7ea5c4-c6d1-11f0-8000-0242ac110002.c.1");
    for state in [TaskState::TaskRunning, TaskState::TaskFailed] {
        server.driver.event(Event::Update(update(&nobodys, state))).await.unwrap();
    }
}

/// Ports and addresses differ from run to run.
fn redact(event: &events::Event) -> Value {
    let mut data = event.data.clone();
    if data.get("remoteAddress").is_some() {
        assert!(data["remoteAddress"].as_str().unwrap().starts_with("127.0.0.1:"), "{data}");
        data["remoteAddress"] = json!("ADDRESS");
    }
    if let Some(port) = data.pointer_mut("/ports/0") {
        assert!((31_000..=31_009).contains(&port.as_u64().unwrap()), "{port}");
        *port = json!("PORT");
    }
    data
}

#[tokio::test]
async fn every_type_of_event_can_be_seen() {
    let server = Server::start().await;
    let mut stream = listen(&server, "", None).await;
    live_a_whole_life(&server).await;

    let mut seen: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut of_scheduler = BTreeSet::new();
    let mut events = stream.until("unknown_instance_terminated_event").await;
    drop(listen(&server, "", None).await);
    events.extend(stream.until("event_stream_detached").await);
    for event in events {
        assert!(event.id.is_some(), "{event:?}");
        assert_eq!(event.data["eventType"], event.kind);
        let time = event.data["timestamp"].as_str().unwrap();
        time.parse::<Timestamp>().unwrap();
        of_scheduler
            .extend(serde_json::from_value(event.data.clone()).map(|event: ApiEvent| name(&event.kind)));
        seen.entry(event.kind.clone()).or_default().push(redact(&event));
    }
    assert_eq!(of_scheduler.len(), SCHEDULER_EVENTS, "{of_scheduler:?}");

    let mut story = String::new();
    for (kind, events) in &seen {
        story += &format!("{kind}\n");
        // What says nothing new is left out.
        let mut lines: Vec<String> =
            events.iter().map(|event| server.redact(&format!("  {event}\n"))).collect();
        lines.dedup();
        story.extend(lines);
    }
    insta::assert_snapshot!(story);
}

#[tokio::test]
async fn plans_are_light_whatever_is_asked_for() {
    let server = Server::start().await;
    for query in ["?plan-format=light", "?plan-format=full", ""] {
        let mut events = listen(&server, query, None).await;
        server.post_pod(&pod_json(&format!("/pod{}", query.len()), 0)).await;
        for event in events.until("deployment_success").await {
            if let Some(plan) = event.data["plan"].as_object() {
                let fields: Vec<_> = plan.keys().map(String::as_str).collect();
                assert_eq!(fields, ["id", "steps", "version"], "{query} {}", event.kind);
            }
        }
    }
}

/// Reads comments until there were `count` of them.
async fn comments(response: &mut reqwest::Response, count: usize) -> String {
    let mut text = String::new();
    while text.matches(":\n\n").count() < count {
        let chunk = tokio::time::timeout(PATIENCE, response.chunk()).await;
        let chunk = chunk.expect("something is sent").unwrap().expect("the stream goes on");
        text += std::str::from_utf8(&chunk).unwrap();
    }
    text
}

#[tokio::test]
async fn something_is_sent_even_if_nothing_happens() {
    let http = HttpSettings { event_keep_alive: Duration::from_millis(20), ..HttpSettings::default() };
    let server = Server::with_http(http).await;
    let mut idle = server.request("GET", "/v2/events?event_type=none").send().await.unwrap();
    let began = Instant::now();
    assert_eq!(comments(&mut idle, 5).await, ":\n\n".repeat(5), "comments, which clients pass over");
    // The first one comes at once, so that headers do not wait.
    assert!(began.elapsed() >= Duration::from_millis(4 * 20), "{:?}", began.elapsed());
    // Events still come.
    let mut busy: Events = listen(&server, "", None).await;
    server.post_pod(&pod_json("/a", 1)).await;
    busy.until("pod_created_event").await;
}

#[tokio::test]
async fn something_is_sent_even_if_only_others_care_for_what_happens() {
    let http = HttpSettings { event_keep_alive: Duration::from_millis(50), ..HttpSettings::default() };
    let server = Server::with_http(http).await;
    let mut log = server.events.clone();
    let noise = tokio::spawn(async move {
        loop {
            let kind = ApiEventKind::SchedulerDisconnectedEvent {};
            log.publish(ApiEvent { timestamp: Timestamp::EPOCH, kind });
            tokio::task::yield_now().await;
        }
    });
    let mut filtered = server.request("GET", "/v2/events?event_type=none").send().await.unwrap();
    comments(&mut filtered, 3).await;
    noise.abort();
}
