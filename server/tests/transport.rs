//! What can come over a socket besides well-formed requests.

mod support;

use reqwest::StatusCode;
use serde_json::{Value, json};
use support::pod_json;
use support::server::Server;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

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
async fn any_bytes_get_an_answer() {
    let server = Server::start().await;
    let deep = "[".repeat(100_000);
    for body in
        [&b"\xff\xfe"[..], b"\0", b"nul", b"\"\\ud800\"", b"1e999", deep.as_bytes(), b"{\"id\":\"/a\"}x"]
    {
        let response = server.request("POST", "/v2/pods").body(body.to_vec()).send().await.unwrap();
        assert_eq!(response.status().as_u16() / 100, 4, "{:?}", &body[..body.len().min(20)]);
        let answer: Value = response.json().await.unwrap();
        assert!(answer["message"].is_string(), "{answer}");
    }
    for request in [
        "GET /v2/pods/%ff HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        "GET /v2/pods HTTP/1.1\r\nno header\r\n\r\n",
    ] {
        let answer = raw(&server, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{request}: {answer}");
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
async fn a_client_that_never_finishes_disturbs_nobody() {
    let server = Server::start().await;
    let address = server.base.strip_prefix("http://").unwrap();
    let mut unfinished = Vec::new();
    for begin in ["", "GET /v2", "POST /v2/pods HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{\"id\""] {
        for _ in 0..50 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(begin.as_bytes()).await.unwrap();
            unfinished.push(stream);
        }
    }
    assert_eq!(server.get("/v2/pods").await, json!([]));
    drop(unfinished);
    assert_eq!(server.get("/v2/pods").await, json!([]));
}
