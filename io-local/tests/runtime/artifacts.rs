//! Artifacts over http and from files.

use std::io::Write;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use podium_core::model::mesos::Uri;

use crate::fixture::{Fixture, code, shell};

/// Serves `/hello.tar.gz`, `/script`, `/moved` (to the script) and `/never`, which never answers.
async fn server() -> String {
    let mut archive =
        tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_size(6);
    header.set_mode(0o644);
    archive.append_data(&mut header, "greeting/text", &b"hello\n"[..]).unwrap();
    let archive = archive.into_inner().unwrap().finish().unwrap();
    let router = Router::new()
        .route("/hello.tar.gz", get(move || async { archive }))
        .route("/script", get(|| async { "#!/bin/sh\necho from the script\n" }))
        .route("/moved", get(|| async { axum::response::Redirect::temporary("/script") }))
        .route("/never", get(|| async { std::future::pending::<StatusCode>().await }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

fn uri(value: &str) -> Uri {
    Uri { value: value.to_owned(), executable: false, extract: true, cache: false, output_file: None }
}

fn with_artifacts(command: &str, uris: Vec<Uri>) -> podium_core::model::mesos::TaskInfo {
    let mut task = shell("c", command);
    task.command.as_mut().unwrap().uris = uris;
    task
}

#[tokio::test]
async fn artifacts_are_there_when_the_program_starts() {
    let base = server().await;
    let folder = tempfile::tempdir().unwrap();
    let local = folder.path().join("local.txt");
    std::fs::File::create(&local).unwrap().write_all(b"local\n").unwrap();
    let uris = vec![
        uri(&format!("{base}/hello.tar.gz")),
        Uri {
            extract: false,
            output_file: Some("packed.tar.gz".into()),
            ..uri(&format!("{base}/hello.tar.gz"))
        },
        Uri { executable: true, output_file: Some("bin/run".into()), ..uri(&format!("{base}/moved")) },
        uri(&format!("file://{}", local.display())),
        Uri { output_file: Some("again.txt".into()), ..uri(local.to_str().unwrap()) },
    ];
    let command = "cat greeting/text; ./bin/run; cat local.txt again.txt; ls packed.tar.gz";
    let fixture = Fixture::new();
    let mut launched = fixture.launch(with_artifacts(command, uris));
    launched.started().await;
    assert_eq!(launched.exited().await, code(0));
    assert_eq!(launched.stdout(), "hello\nfrom the script\nlocal\nlocal\npacked.tar.gz\n");
}

#[tokio::test]
async fn a_missing_artifact_fails_the_launch() {
    let uri = uri(&format!("{}/nothing", server().await));
    let expected = format!("Failed to fetch artifact '{}': the server answered 404 Not Found", uri.value);
    assert_eq!(Fixture::new().refused(with_artifacts("true", vec![uri])).await, expected);
}

#[tokio::test]
async fn a_container_can_be_killed_while_it_fetches() {
    let fixture = Fixture::new();
    let never = uri(&format!("{}/never", server().await));
    let mut launched = fixture.launch(with_artifacts("true", vec![never]));
    launched.container.kill();
    assert_eq!(launched.failed().await, "The container was killed before it started");
}
