//! Health checks against real servers and commands.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use podium_core::model::mesos::{HttpScheme, Probe};
use podium_sim::cluster::ProbeResult;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::fixture::{Fixture, Launched, eventually, marker, processes, shell};

async fn sleeper(fixture: &Fixture) -> Launched {
    fixture.start("echo $$ > pid; sleep 1000").await
}

fn command(text: &str) -> Probe {
    Probe::Command(shell("check", text).command.unwrap())
}

fn http(port: u16, path: &str, scheme: Option<HttpScheme>) -> Probe {
    Probe::Http { port: port.into(), path: Some(path.to_owned()), scheme }
}

#[tokio::test]
async fn a_command_runs_in_the_container() {
    let fixture = Fixture::new();
    let launched = sleeper(&fixture).await;
    let probe = async |text: &str| launched.container.probe(&command(text)).await;
    eventually("the container is under way", || launched.sandbox.join("pid").exists()).await;
    assert_eq!(probe("test -d /proc/$(cat pid) && test $MESOS_TASK_ID = c").await, ProbeResult::Command(0));
    assert_eq!(probe("echo noise; exit 3").await, ProbeResult::Command(3));
    assert_eq!(launched.stdout(), "", "a check's output is not the container's");
    assert_eq!(
        probe("kill -KILL $$").await,
        ProbeResult::Failed("The command ended by signal: 9 (SIGKILL)".to_owned())
    );
}

#[tokio::test]
async fn a_command_that_is_no_longer_wanted_is_ended() {
    let fixture = Fixture::new();
    let launched = sleeper(&fixture).await;
    let mark = marker();
    let probe = command(&format!("sleep {mark} & sleep {mark}"));
    tokio::select! {
        result = launched.container.probe(&probe) => panic!("it should sleep, not end with {result:?}"),
        () = eventually("the check runs", || processes(&format!("sleep\0{mark}")).len() == 2) => {}
    }
    eventually("the check's processes are gone", || processes(&mark).is_empty()).await;
    // The container has not noticed.
    assert_eq!(launched.container.probe(&command("true")).await, ProbeResult::Command(0));
}

#[tokio::test]
async fn a_container_that_has_ended_runs_nothing() {
    let fixture = Fixture::new();
    let mut launched = fixture.start("true").await;
    launched.exited().await;
    let result = launched.container.probe(&command("true")).await;
    assert_eq!(result, ProbeResult::Failed("The container has ended".to_owned()));
}

#[tokio::test]
async fn http_gives_the_status_code() {
    let fixture = Fixture::new();
    let launched = sleeper(&fixture).await;
    let router = Router::new()
        .route("/ok", get(|| async { "fine" }))
        .route("/moved", get(|| async { axum::response::Redirect::temporary("/ok") }))
        .route("/bad", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))
        .route("/never", get(|| async { std::future::pending::<StatusCode>().await }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await });

    let probe = async |path: &str| launched.container.probe(&http(port, path, None)).await;
    assert_eq!(probe("/ok").await, ProbeResult::Http(200));
    assert_eq!(probe("/moved").await, ProbeResult::Http(200));
    assert_eq!(probe("/bad").await, ProbeResult::Http(503));
    let never = tokio::time::timeout(Duration::from_millis(50), probe("/never")).await;
    assert!(never.is_err());
    let closed = launched.container.probe(&http(1, "/", None)).await;
    assert_eq!(
        closed,
        ProbeResult::Failed("GET http://127.0.0.1:1/: Connection refused (os error 111)".to_owned())
    );
}

#[tokio::test]
async fn https_takes_any_certificate() {
    let fixture = Fixture::new();
    let launched = sleeper(&fixture).await;
    let signed = rcgen::generate_simple_self_signed(["elsewhere.example".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.cert.der().clone()], key)
            .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await.unwrap();
        stream.write_all(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    });
    let result = launched.container.probe(&http(port, "/", Some(HttpScheme::Https))).await;
    assert_eq!(result, ProbeResult::Http(204));
}

#[tokio::test]
async fn tcp_needs_only_a_connection() {
    let fixture = Fixture::new();
    let launched = sleeper(&fixture).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let probe = Probe::Tcp { port: port.into() };
    assert_eq!(launched.container.probe(&probe).await, ProbeResult::Tcp(true));
    drop(listener);
    assert_eq!(launched.container.probe(&probe).await, ProbeResult::Tcp(false));
}
