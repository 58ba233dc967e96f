//! Files that are put into a sandbox before the container starts.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use podium_tests::{Daemon, Folder, eventually};
use serde_json::json;

use crate::pod::{all_task_ids, container, pod};

/// Serves one file to everybody, for as long as the test runs.
fn serve(path: &'static str, content: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap_or_default();
            let is_asked_for = request[..length].starts_with(format!("GET {path} ").as_bytes());
            let (status, body) =
                if is_asked_for { ("200 OK", &content[..]) } else { ("404 Not Found", &b""[..]) };
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            // A client that goes away finds out by itself.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        }
    });
    address
}

/// A `.tar.gz` with one file.
fn archive(name: &str, content: &str) -> Vec<u8> {
    let mut archive =
        tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, content.as_bytes()).unwrap();
    archive.into_inner().unwrap().finish().unwrap()
}

#[test]
fn artifacts_are_fetched_unpacked_renamed_and_made_executable() {
    let daemon = Daemon::start();
    let outside = Folder::new();
    fs::write(outside.path().join("plain.txt"), "plain\n").unwrap();
    fs::write(outside.path().join("tool"), "#!/bin/sh\necho tool runs\n").unwrap();
    fs::write(outside.path().join("kept.tar.gz"), archive("inside", "packed\n")).unwrap();
    let server = serve("/dir/served.tar.gz", archive("unpacked/file", "unpacked\n"));
    let of_file = |name: &str| format!("file://{}/{name}", outside.path().display());

    let script = "cat plain.txt renamed/plain; ./tool; cat unpacked/file; test -f kept.tar.gz && echo kept; \
                  test -e inside || echo not unpacked; echo the end; sleep 1000";
    let mut definition = pod("/artifacts", 1, &[container("main", script)]);
    definition["containers"][0]["artifacts"] = json!([
        { "uri": of_file("plain.txt") },
        { "uri": of_file("plain.txt"), "destPath": "renamed/plain" },
        { "uri": of_file("tool"), "executable": true },
        { "uri": format!("http://{server}/dir/served.tar.gz"), "extract": true },
        { "uri": of_file("kept.tar.gz"), "extract": false },
    ]);
    daemon.create(&definition);
    let task_id = all_task_ids(&daemon.wait_until_stable("/artifacts")).remove(0);
    let sandbox = daemon.folder().sandbox(&task_id);
    eventually("the container has seen them all", || {
        let output = fs::read_to_string(sandbox.join("stdout")).unwrap_or_default();
        let wanted = "plain\nplain\ntool runs\nunpacked\nkept\nnot unpacked\nthe end\n";
        let errors = fs::read_to_string(sandbox.join("stderr")).unwrap_or_default();
        if output == wanted { Ok(()) } else { Err(format!("{output}{errors}")) }
    });
}

#[test]
fn an_artifact_that_cannot_be_fetched_fails_the_instance_with_its_address() {
    let daemon = Daemon::start();
    let server = serve("/there", Vec::new());
    let uri = format!("http://{server}/not-there");
    let mut definition = pod("/missing", 1, &[container("main", "echo started; sleep 1000")]);
    definition["containers"][0]["artifacts"] = json!([{ "uri": uri }]);
    daemon.create(&definition);
    let message = daemon.wait_for_status("/missing", "it has failed", |status| {
        let ended = status["terminationHistory"].as_array()?.first()?;
        ended["containers"][0]["termination"]["message"].as_str().map(str::to_owned)
    });
    assert!(message.contains(&uri) && message.contains("404"), "{message}");
}
