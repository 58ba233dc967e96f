//! Whatever is sent to whatever path: the answer is Marathon's, and the daemon stays up.

mod support;

#[path = "../../core/tests/admission/documents.rs"]
mod documents;
#[path = "../../core/tests/admission/sample.rs"]
#[allow(dead_code, reason = "it is made for other tests as well")]
mod sample;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use podium::api::HttpSettings;
use podium_core::{Config, Scheduler};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use support::server::api;
use support::{Journal, JournalStore};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

use documents::{any_json, changed};

/// Every operation that reads a body.
const WITH_BODY: [(&str, &str); 10] = [
    ("POST", "/v2/pods"),
    ("POST", "/v2/pods?dryRun=true"),
    ("PUT", "/v2/pods/p?force=true"),
    ("PUT", "/v2/pods/dev/team/everything?force=true"),
    ("DELETE", "/v2/pods/p::instances"),
    ("POST", "/v2/groups"),
    ("PUT", "/v2/groups/dev?force=true"),
    ("PUT", "/v2/groups?force=true"),
    ("PATCH", "/v2/groups/dev"),
    ("POST", "/v2/tasks/delete"),
];

const METHODS: [&str; 8] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "BREW"];

/// The API without a socket.
struct App {
    router: Router,
    runtime: Runtime,
}

impl App {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let store = JournalStore::healthy(&Journal::default());
        let scheduler = Scheduler::new(Config::default(), 1);
        let (api, _) = api(scheduler, store, 1000, HttpSettings::default(), sample::rules(), 8080);
        let app = Self { router: api.router(), runtime };
        // Something that can be changed, and a group.
        for pod in [sample::minimal(), sample::complete()] {
            let status = app.send("POST", &Uri::from_static("/v2/pods"), pod.to_string().into()).unwrap();
            assert_eq!(status, StatusCode::CREATED);
        }
        app
    }

    /// Sends a request. The status of the answer, if the answer is as it must be.
    fn send(&self, method: &str, uri: &Uri, body: Body) -> Result<StatusCode, TestCaseError> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let is_head = method == Method::HEAD;
        let request = Request::builder().method(method).uri(uri).body(body).unwrap();
        let response = self.runtime.block_on(self.router.clone().oneshot(request)).unwrap();
        let (head, body) = response.into_parts();
        let (status, kind) = (head.status, head.headers.get(header::CONTENT_TYPE));
        prop_assert!(!status.is_server_error() && !status.is_redirection(), "{}", status);
        if status.is_success() && kind != Some(&HeaderValue::from_static("application/json")) {
            // Nothing, text, or a stream that does not end.
            return Ok(status);
        }
        prop_assert_eq!(kind.map(HeaderValue::as_bytes), Some(&b"application/json"[..]), "{}", status);
        let body = self.runtime.block_on(body.collect()).unwrap().to_bytes();
        if is_head {
            prop_assert!(body.is_empty());
            return Ok(status);
        }
        let json: Value = serde_json::from_slice(&body)
            .map_err(|error| TestCaseError::fail(format!("{error} in {}", String::from_utf8_lossy(&body))))?;
        if !status.is_success() {
            let message = json["message"].as_str().unwrap_or_default();
            prop_assert!(!message.is_empty(), "{} {}", status, json);
        }
        Ok(status)
    }
}

/// Runs `test` on as many things of `strategy`, all with one daemon.
fn check<S: Strategy>(cases: u32, strategy: &S, test: impl Fn(&App, S::Value) -> Result<(), TestCaseError>) {
    let app = App::new();
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(strategy, |value| test(&app, value))
        .unwrap_or_else(|error| panic!("{error}"));
}

/// What is sent where a body is expected is refused or done, and the refusal says why.
fn check_body(app: &App, (method, path): (&str, &str), body: Vec<u8>) -> Result<(), TestCaseError> {
    let status = app.send(method, &path.parse().unwrap(), body.into())?;
    prop_assert!(status.is_success() || status.is_client_error(), "{}", status);
    Ok(())
}

#[test]
fn any_bytes_are_answered() {
    let bytes = prop_oneof![
        any::<Vec<u8>>(),
        "\\PC{0,40}".prop_map(String::into_bytes),
        "[\\[\\]{}\",:0-9a-z \\\\]{0,40}".prop_map(String::into_bytes),
        any_json().prop_map(|json| json.to_string().into_bytes()),
    ];
    check(2000, &(select(&WITH_BODY[..]), bytes), |app, (operation, body)| check_body(app, operation, body));
}

fn documents() -> Vec<Value> {
    let id = "p.instance-0190163d-8694-739b-aea5-966c26f8ad91";
    vec![
        sample::minimal(),
        sample::with(sample::minimal(), "/id", json!("/new")),
        sample::complete(),
        sample::resident(),
        json!({"id": "dev", "dependencies": ["../db"], "enforceRole": true, "groups": [
            {"id": "a", "groups": [{"id": "b"}], "apps": []}, {"id": "c", "dependencies": ["a"]}
        ]}),
        json!({"version": "2017-01-03T18:21:19.31Z"}),
        json!({"enforceRole": false}),
        json!([id]),
        json!({"ids": [format!("{id}.a.1")]}),
    ]
}

#[test]
fn nearly_valid_documents_are_answered() {
    let strategy = (select(&WITH_BODY[..]), changed(documents()));
    check(2000, &strategy, |app, (operation, json)| check_body(app, operation, json.to_string().into()));
}

/// The property would say little if no document were ever accepted.
#[test]
fn valid_documents_are_accepted() {
    for (method, path) in WITH_BODY {
        let app = App::new();
        let uri: Uri = path.parse().unwrap();
        let is_accepted =
            |document: &Value| app.send(method, &uri, document.to_string().into()).unwrap().is_success();
        assert!(documents().iter().any(is_accepted), "{method} {path}");
    }
}

/// Paths around those that exist: pieces of them, and any bytes, of which few are UTF-8.
fn any_path() -> impl Strategy<Value = String> {
    let encode = |bytes: Vec<u8>| percent_encode(&bytes, NON_ALPHANUMERIC).to_string();
    let segment = prop_oneof![
        2 => any::<Vec<u8>>().prop_map(encode),
        2 => "\\PC{0,8}".prop_map(String::into_bytes).prop_map(encode),
        2 => select(&["p", "dev", "..", ".", "%ff", "%2F", "%2e%2e", "%00", "", "%", "%zz", "a%2Fb", "A"][..])
            .prop_map(str::to_owned),
        2 => select(&["delay", "delete", "versions", "apps", "2017-01-03T18:21:19.31Z", "pods", "groups"][..])
            .prop_map(str::to_owned),
        1 => "[!-~&&[^?# ]]{0,6}",
    ];
    let suffix = prop_oneof![
        4 => Just(String::new()),
        1 => select(&["::status", "::versions", "::instances", "::", "::x", "%3A%3Astatus"][..])
            .prop_map(str::to_owned),
    ];
    let root = select(
        &[
            "",
            "/metrics",
            "/ping",
            "/v2",
            "/v2/apps",
            "/v2/deployments",
            "/v2/events",
            "/v2/groups",
            "/v2/info",
            "/v2/leader",
            "/v2/openapi.json",
            "/v2/pods",
            "/v2/queue",
            "/v2/tasks",
            "/v2/unknown_tasks",
        ][..],
    );
    let segments = prop::collection::vec((segment, suffix), 0..4);
    (root, segments, "(\\?[!-~&&[^# ]]{0,12})?").prop_map(|(root, segments, query)| {
        let segments: String =
            segments.iter().map(|(segment, suffix)| format!("/{segment}{suffix}")).collect();
        format!("{root}{segments}{query}")
    })
}

#[test]
fn any_path_is_answered() {
    check(5000, &(select(&METHODS[..]), any_path()), |app, (method, path)| {
        // What is no URI does not get past the connection.
        let Ok(uri) = path.parse::<Uri>() else { return Ok(()) };
        app.send(method, &uri, Body::empty())?;
        Ok(())
    });
}

#[test]
fn what_is_not_utf_8_is_refused_alike_everywhere() {
    let app = App::new();
    for path in [
        "/v2/deployments/%ff",
        "/v2/groups/%ff",
        "/v2/pods/%ff",
        "/v2/pods/p::instances/%ff",
        "/v2/pods/p::versions/%ff",
        "/v2/queue/%ff/delay",
    ] {
        let status = app.send("DELETE", &Uri::from_static(path), Body::empty()).unwrap();
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
    }
}
