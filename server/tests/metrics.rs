//! `/metrics`: its text can be read, and its figures move with what happens.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use podium_core::model::mesos::TaskState;
use reqwest::StatusCode;
use support::server::Server;
use support::{FakeMaster, Journal, eventually, pod_json};

/// The samples of a text in Prometheus' format, by name and labels.
///
/// # Panics
/// When a line is not in that format, or a sample comes without help and type before it.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut family = "";
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.split(' ');
            match words.next().unwrap() {
                "HELP" => {
                    family = words.next().unwrap();
                    assert!(words.next().is_some(), "no help: {line}");
                }
                "TYPE" => {
                    assert_eq!(words.next(), Some(family), "{line}");
                    assert!(matches!(words.next(), Some("counter" | "gauge" | "histogram")), "{line}");
                }
                "UNIT" => assert_eq!(words.next(), Some(family), "{line}"),
                "EOF" => {}
                _ => panic!("{line}"),
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
        let bare = name.split('{').next().unwrap();
        assert!(bare.starts_with(family), "{line} is not of {family}");
        assert!(bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{line}");
        assert!(name == bare || name.ends_with("\"}"), "{line}");
        let earlier = samples.insert(name.to_owned(), value.parse().unwrap());
        assert_eq!(earlier, None, "{name} comes twice");
    }
    assert!(text.ends_with("# EOF\n"));
    samples
}

async fn metrics(server: &Server) -> BTreeMap<String, f64> {
    let response = server.request("GET", "/metrics").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    parse(&response.text().await.unwrap())
}

#[tokio::test]
async fn the_figures_tell_what_happened() {
    let server = Server::start().await;
    let master = FakeMaster::new("m", &Journal::default());
    assert_eq!(server.post_pod(&pod_json("/a/b", 2)).await.status(), StatusCode::CREATED);
    assert_eq!(server.post_pod(&pod_json("/a/b", 2)).await.status(), StatusCode::CONFLICT);
    let before = metrics(&server).await;
    for (name, expected) in [
        ("podium_subscribed", 0.0),
        ("podium_pods{status=\"degraded\"}", 1.0),
        ("podium_instances{stage=\"waiting\"}", 2.0),
        ("podium_queue_pods", 1.0),
        ("podium_deployments", 1.0),
        ("podium_launches_total", 0.0),
        ("podium_commands_total{result=\"accepted\"}", 1.0),
        ("podium_commands_total{result=\"refused\"}", 1.0),
        ("podium_http_requests_total{method=\"POST\",route=\"/v2/pods\",status=\"201\"}", 1.0),
        ("podium_http_requests_total{method=\"POST\",route=\"/v2/pods\",status=\"409\"}", 1.0),
    ] {
        assert_eq!(before.get(name), Some(&expected), "{name}: {before:#?}");
    }
    assert!(before["podium_step_seconds_count"] >= 2.0);

    let _events = server.request("GET", "/v2/events").send().await.unwrap();
    master.accept(&server.driver).await;
    master.launch_what_waits(&server.driver, "offer", TaskState::TaskRunning).await;
    master.launch_what_waits(&server.driver, "offer", TaskState::TaskFailed).await;
    let after = eventually(async || {
        let found = metrics(&server).await;
        (found.get("podium_status_updates_total{state=\"TASK_FAILED\"}") == Some(&2.0)).then_some(found)
    })
    .await;
    for (name, expected) in [
        ("podium_subscribed", 1.0),
        ("podium_subscriptions_total", 1.0),
        ("podium_offers_received_total", 2.0),
        ("podium_launches_total", 2.0),
        ("podium_status_updates_total{state=\"TASK_RUNNING\"}", 2.0),
        ("podium_event_stream_clients", 1.0),
        ("podium_instances{stage=\"waiting\"}", 2.0),
    ] {
        assert_eq!(after.get(name), Some(&expected), "{name}: {after:#?}");
    }
    let offers = after["podium_offers_used_total"] + after["podium_offers_declined_total"];
    assert_eq!(offers, 2.0);
    let grown = ["podium_store_write_seconds_count", "podium_store_records_total", "podium_events_total"];
    for name in grown.into_iter().chain(["podium_query_seconds_count", "podium_step_seconds_sum"]) {
        assert!(after[name] > before[name], "{name}");
    }
    for name in ["process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"] {
        assert!(after[name] > 0.0, "{name}");
    }
}

#[tokio::test]
async fn requests_are_told_apart_by_route() {
    let server = Server::start().await;
    for (path, route) in [
        ("/ping", "/ping"),
        ("/v2/pods", "/v2/pods"),
        ("/v2/pods/::status", "/v2/pods/::status"),
        ("/v2/pods/some/pod", "/v2/pods/{id}"),
        ("/v2/pods/some/pod::status", "/v2/pods/{id}::status"),
        ("/v2/pods/some/pod::versions/2017-01-03T18:21:19.31Z", "/v2/pods/{id}::versions/{version}"),
        ("/v2/groups/some", "/v2/groups/{id}"),
        ("/v2/groups", "/v2/groups"),
        ("/v2/deployments/some", "/v2/deployments/{id}"),
        ("/v2/pods/NO", "none"),
        ("/some/where", "none"),
    ] {
        let status = server.request("GET", path).send().await.unwrap().status().as_u16();
        let name =
            format!("podium_http_requests_total{{method=\"GET\",route=\"{route}\",status=\"{status}\"}}");
        let found = metrics(&server).await;
        assert!(found.contains_key(&name), "{name}: {found:#?}");
    }
    // Whatever clients come up with, the figures stay few.
    let before = metrics(&server).await.len();
    for n in 0..100 {
        server.request(&format!("M{n}"), &format!("/x{n}")).send().await.unwrap();
        server.request("GET", &format!("/v2/pods/p{n}")).send().await.unwrap();
    }
    assert!(metrics(&server).await.len() < before + 5);
}

#[tokio::test]
async fn the_manual_lists_them_all() {
    let server = Server::start().await;
    let master = FakeMaster::new("m", &Journal::default());
    // Figures with labels are shown once there are some.
    server.post_pod(&pod_json("/a", 1)).await;
    master.accept(&server.driver).await;
    master.launch_what_waits(&server.driver, "offer", TaskState::TaskRunning).await;
    let text = eventually(async || {
        let response = server.request("GET", "/metrics/prometheus").send().await.unwrap();
        Some(response.text().await.unwrap()).filter(|text| text.contains("ACKNOWLEDGE"))
    })
    .await;
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let served: BTreeSet<String> = families
        .map(|family| match family.rsplit_once(' ').unwrap() {
            (name, "counter") => format!("{name}_total"),
            (name, _) => name.to_owned(),
        })
        .collect();
    let manual = include_str!("../../docs/operating.md");
    let section = manual.split("## Metrics").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.map(|row| row.split('|').nth(1).unwrap());
    let listed: BTreeSet<String> =
        cells.flat_map(|cell| cell.split(',')).map(|name| name.trim().trim_matches('`').to_owned()).collect();
    assert_eq!(listed, served);
}

#[tokio::test]
async fn the_format_is_what_the_client_knows() {
    let server = Server::start().await;
    for (accept, format) in [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain", "text/plain; version=0.0.4; charset=utf-8"),
        (
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
    ] {
        let response = server.request("GET", "/metrics").header("accept", accept).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], format);
    }
}
