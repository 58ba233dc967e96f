//! What can come over a socket besides well-formed requests.

mod support;

use std::time::Duration;

use podium::api::{HttpSettings, Origins};
use reqwest::StatusCode;
use serde_json::{Value, json};
use support::server::Server;
use support::{PATIENCE, eventually, pod_json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

async fn raw(server: &Server, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.base.strip_prefix("http://").unwrap()).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn wrong_content_types_are_refused() {
    let server = Server::start().await;
    let pod = pod_json("/a", 1).to_string();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "", "x\u{7f}"] {
        let request = server.request("POST", "/v2/pods").body(pod.clone());
        let Ok(kind) = reqwest::header::HeaderValue::from_bytes(kind.as_bytes()) else { continue };
        let response = request.header("content-type", kind).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    for (kind, id) in
        [(Some("application/json; charset=utf-8"), "/b"), (Some("Application/JSON"), "/c"), (None, "/d")]
    {
        let request = server.request("POST", "/v2/pods").body(pod_json(id, 1).to_string());
        let request = kind.into_iter().fold(request, |request, kind| request.header("content-type", kind));
        assert_eq!(request.send().await.unwrap().status(), StatusCode::CREATED, "{kind:?}");
    }
}

#[tokio::test]
async fn a_client_that_reads_no_json_is_told() {
    let server = Server::start().await;
    for (path, accept, status) in [
        ("/v2/pods", "text/html", 406),
        ("/v2/pods", "text/html, */*;q=0.1", 200),
        ("/v2/pods", "application/json", 200),
        ("/v2/events", "application/json", 406),
    ] {
        let response = server.request("GET", path).header("accept", accept).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{path} {accept}");
    }
}

#[tokio::test]
async fn a_body_can_be_too_large() {
    let server = Server::start().await;
    let large = format!("{{\"id\": \"{}\"}}", "x".repeat(5 << 20));
    let response = server.request("POST", "/v2/pods").body(large).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body, json!({"message": "Payload Too Large: the body may have up to 4194304 bytes"}));
}

#[tokio::test]
async fn any_bytes_get_an_answer_that_says_why() {
    let server = Server::start().await;
    let deep = "[".repeat(100_000);
    let nested = format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200));
    for (body, why) in [
        (&b"\xff\xfe"[..], "expected value at line 1 column 1"),
        (b"{\"id\":\"\xff\"}", "invalid unicode code point at line 1 column 8"),
        (b"\0", "expected value at line 1 column 1"),
        (b"nul", "EOF while parsing a value at line 1 column 3"),
        (b"\"\\ud800\"", "unexpected end of hex escape at line 1 column 8"),
        (b"1e999", "number out of range at line 1 column 5"),
        (b"{\"id\":\"/a\"}x", "trailing characters at line 1 column 12"),
        (deep.as_bytes(), "recursion limit exceeded at line 1 column 128"),
        (nested.as_bytes(), "recursion limit exceeded at line 1 column 636"),
    ] {
        let response = server.request("POST", "/v2/pods").body(body.to_vec()).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer, json!({"message": "Invalid JSON", "details": why}));
    }
    let answer = raw(&server, b"GET /v2/pods/%ff HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(
        answer.ends_with(r#"{"message":"the path '/v2/pods/%ff' does not decode to UTF-8"}"#),
        "{answer}"
    );
    server.get("/v2/pods").await;
}

#[tokio::test]
async fn what_is_no_http_is_refused_and_the_connection_closed() {
    let server = Server::start().await;
    let long = "x".repeat(1 << 20);
    for (request, status) in [
        ("GET /v2/pods HTTP/1.1\r\nno header\r\n\r\n".to_owned(), "HTTP/1.1 400 "),
        ("\u{0}\u{1}\u{2}\r\n\r\n".to_owned(), "HTTP/1.1 400 "),
        (format!("GET /{long} HTTP/1.1\r\nhost: a\r\n\r\n"), "HTTP/1.1 431 "),
        (format!("GET / HTTP/1.1\r\nlong: {long}\r\n\r\n"), "HTTP/1.1 431 "),
    ] {
        let answer = raw(&server, request.as_bytes()).await;
        assert!(answer.starts_with(status), "{:.40}: {answer}", request);
    }
    server.get("/v2/pods").await;
}

#[tokio::test]
async fn requests_may_be_pipelined() {
    let server = Server::start().await;
    let request = "GET /ping HTTP/1.1\r\nhost: a\r\n\r\n".repeat(9);
    let last = "GET /v2/pods HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answer = raw(&server, format!("{request}{last}").as_bytes()).await;
    assert_eq!(answer.matches("pong").count(), 9);
    assert!(answer.ends_with("[]"), "{answer}");
}

#[tokio::test]
async fn a_head_has_no_body() {
    let server = Server::start().await;
    server.post_pod(&pod_json("/a", 1)).await;
    for path in ["/ping", "/v2/pods", "/v2/pods/a", "/v2/pods/a::status", "/v2/pods/::status", "/nope"] {
        let request = format!("HEAD {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let answer = raw(&server, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 ") && answer.ends_with("\r\n\r\n"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn options_name_the_methods() {
    let server = Server::start().await;
    for (path, allow) in [
        ("/ping", "GET,HEAD"),
        ("/v2/deployments/x", "GET,HEAD,DELETE"),
        ("/v2/pods", "GET, HEAD, OPTIONS, POST"),
        ("/v2/pods/a/b", "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("/v2/pods/a::status", "GET, HEAD, OPTIONS"),
        ("/v2/pods/a::instances", "DELETE, OPTIONS"),
    ] {
        let options = server.request("OPTIONS", path).send().await.unwrap();
        assert_eq!(
            (options.status().as_u16(), options.headers()["allow"].as_bytes()),
            (204, allow.as_bytes()),
            "{path}"
        );
        let patch = server.request("PATCH", path).send().await.unwrap();
        assert_eq!(
            (patch.status().as_u16(), patch.headers()["allow"].as_bytes()),
            (405, allow.as_bytes()),
            "{path}"
        );
        assert_eq!(patch.json::<Value>().await.unwrap(), json!({"message": "Method Not Allowed"}));
    }
}

#[tokio::test]
async fn clients_that_never_finish_disturb_nobody_and_are_sent_away() {
    // Long enough for a busy machine to take in what has been sent.
    let http = HttpSettings {
        header_timeout: Duration::from_secs(2),
        body_timeout: Duration::from_secs(2),
        ..HttpSettings::default()
    };
    let server = Server::with_http(http).await;
    let address = server.base.strip_prefix("http://").unwrap();
    let mut unfinished = Vec::new();
    for (begin, end) in [
        ("", ""),
        ("GET /v2", ""),
        ("GET /ping HTTP/1.1\r\nhost: a\r\n\r\n", "pong"),
        (
            "POST /v2/pods HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{\"id\"",
            r#"{"message":"Request Timeout: the body did not arrive within 2s"}"#,
        ),
        (
            "POST /v2/pods HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{",
            r#"{"message":"Request Timeout: the body did not arrive within 2s"}"#,
        ),
    ] {
        for _ in 0..20 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(begin.as_bytes()).await.unwrap();
            unfinished.push((stream, end));
        }
    }
    assert_eq!(server.get("/v2/pods").await, json!([]));
    for (mut stream, end) in unfinished {
        let mut answer = String::new();
        let closed = timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
        closed.expect("the connection is closed").unwrap();
        assert!(answer.ends_with(end) && answer.is_empty() == end.is_empty(), "{answer}");
    }
    // Not over the connection of before, which has been idle for as long.
    let answer = raw(&server, b"GET /v2/pods HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(answer.ends_with("\r\n\r\n[]"), "{answer}");
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up() {
    let http = HttpSettings { stall_timeout: Duration::from_millis(300), ..HttpSettings::default() };
    let server = Server::with_http(http).await;
    server.post_pod(&pod_json("/a", 1)).await;
    // Asks for far more than fits between the two, and does not read.
    let mut greedy = TcpStream::connect(server.base.strip_prefix("http://").unwrap()).await.unwrap();
    let requests = "GET /v2/pods HTTP/1.1\r\nhost: a\r\n\r\n".repeat(1_000_000);
    let given_up = timeout(PATIENCE, greedy.write_all(requests.as_bytes())).await;
    given_up.expect("the connection is reset").unwrap_err();
    server.get("/v2/pods").await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_told_why() {
    let server = Server::with_http(HttpSettings { max_connections: 2, ..HttpSettings::default() }).await;
    let address = server.base.strip_prefix("http://").unwrap();
    let mut first = TcpStream::connect(address).await.unwrap();
    let second = TcpStream::connect(address).await.unwrap();
    for _ in 0..100 {
        let answer = raw(&server, b"GET /ping HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.ends_with(r#"{"message":"Too many connections! Allowed: 2."}"#), "{answer}");
    }
    // Those that are in are served, and when one goes another can come.
    first.write_all(b"GET /ping HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    first.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("pong"), "{answer}");
    drop(second);
    eventually(async || server.request("GET", "/ping").send().await.ok().filter(|ping| ping.status() == 200))
        .await;
}

#[tokio::test]
async fn requests_beyond_the_limit_are_told_why() {
    let http = HttpSettings { max_concurrent_requests: Some(1), ..HttpSettings::default() };
    let server = Server::with_http(http).await;
    // Streams count only until they begin.
    let _events = server.request("GET", "/v2/events").send().await.unwrap();
    let pod = pod_json("/a", 1).to_string();
    let head = format!(
        "POST /v2/pods HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        pod.len()
    );
    let mut slow = TcpStream::connect(server.base.strip_prefix("http://").unwrap()).await.unwrap();
    slow.write_all(head.as_bytes()).await.unwrap();
    let refused = eventually(async || {
        let response = server.request("GET", "/v2/pods").send().await.unwrap();
        (response.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(response)
    });
    let refused: Value = refused.await.json().await.unwrap();
    assert_eq!(refused, json!({"message": "Too many concurrent requests! Allowed: 1."}));
    slow.write_all(pod.as_bytes()).await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert_eq!(server.get("/v2/pods").await[0]["id"], "/a");
}

#[tokio::test]
async fn pages_from_elsewhere_may_read_what_the_flag_allows() {
    let silent = Server::start().await;
    let answer = silent.request("GET", "/ping").header("origin", "http://ui.example").send().await.unwrap();
    assert_eq!(answer.headers().get("access-control-allow-origin"), None);

    let allowed_origins = Origins::parse(["http://ui.example", "http://other.example"]).unwrap();
    let server = Server::with_http(HttpSettings { allowed_origins, ..HttpSettings::default() }).await;
    for (origin, allowed) in [
        ("http://ui.example", Some("http://ui.example")),
        ("http://other.example", Some("http://other.example")),
        ("http://evil.example", None),
    ] {
        for path in ["/v2/pods", "/v2/events", "/nope"] {
            let answer = server.request("GET", path).header("origin", origin).send().await.unwrap();
            let found = answer.headers().get("access-control-allow-origin");
            assert_eq!(found.map(|found| found.to_str().unwrap()), allowed, "{origin} {path}");
        }
    }
    let preflight = server
        .request("OPTIONS", "/v2/pods")
        .header("origin", "http://ui.example")
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "x-thing");
    let answer = preflight.send().await.unwrap();
    let header = |name: &str| answer.headers()[name].to_str().unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(header("access-control-allow-methods"), "GET,HEAD,OPTIONS");
    assert_eq!(header("access-control-allow-headers"), "x-thing");
    assert_eq!(header("access-control-max-age"), "86400");
}

#[tokio::test]
async fn answers_are_compressed_for_clients_that_accept_it() {
    let server = Server::start().await;
    server.post_pod(&pod_json("/a", 1)).await;
    let plain = server.get("/v2/pods").await;
    for path in ["/v2/pods", "/v2/pods/::status"] {
        let answer = server.request("GET", path).header("accept-encoding", "br, gzip").send().await.unwrap();
        assert_eq!(answer.headers()["content-encoding"], "gzip", "{path}");
        let bytes = answer.bytes().await.unwrap();
        let unpacked: Value = serde_json::from_reader(flate2::read::GzDecoder::new(&*bytes)).unwrap();
        assert_eq!(unpacked[0]["id"], plain[0]["id"]);
    }
    let events = server.request("GET", "/v2/events").header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(events.headers().get("content-encoding"), None);

    let server = Server::with_http(HttpSettings { compression: false, ..HttpSettings::default() }).await;
    server.post_pod(&pod_json("/a", 1)).await;
    let answer = server.request("GET", "/v2/pods").header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(answer.headers().get("content-encoding"), None);
}
