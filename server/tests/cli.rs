//! The program as a person meets it: what it prints, when it gives up, how it ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use podium::store::{DataDir, EmbeddedStore};
use serde_json::{Value, json};

/// How long a condition may take to come true. Only a test that fails waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program with a clean environment.
fn podium(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_podium"));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("PODIUM_")) {
            command.env_remove(name);
        }
    }
    command.args(args).stdin(Stdio::null());
    command
}

/// What a program says that gives up: one line.
fn last_words(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(!output.status.success(), "{text}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    let line = text.strip_suffix('\n').unwrap_or_else(|| panic!("no whole line: {text:?}"));
    assert!(!line.contains('\n'), "more than one line: {text}");
    line.to_owned()
}

fn refusal(args: &[&str]) -> String {
    last_words(&podium(args).output().unwrap())
}

/// A daemon that has said that it is ready.
struct Daemon {
    child: Child,
    api: String,
    _stdout: BufReader<ChildStdout>,
}

impl Daemon {
    fn start(data_dir: &Path, args: &[&str]) -> Self {
        let mut child = podium(args)
            .args(["--http_port", "0", "--data_dir"])
            .arg(data_dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (api, stdout) = wait_until_ready(&mut child);
        Self { child, api, _stdout: stdout }
    }

    fn end(mut self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address of the API, once the program has printed it.
fn wait_until_ready(child: &mut Child) -> (String, BufReader<ChildStdout>) {
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    loop {
        let mut line = String::new();
        assert_ne!(stdout.read_line(&mut line).unwrap(), 0, "the daemon ended before it was ready");
        if let Some(api) = line.trim().strip_prefix("API") {
            return (api.trim().strip_suffix("/v2/pods").unwrap().to_owned(), stdout);
        }
    }
}

fn exchange(api: &str, request: &str) -> String {
    exchange_with(api, request, "")
}

/// The whole answer; nothing if the connection breaks. It is in one piece: HTTP/1.0 knows no chunks, of which a busy
/// daemon makes several.
fn exchange_with(api: &str, request: &str, body: &str) -> String {
    let host = api.strip_prefix("http://").unwrap();
    let exchange = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(host)?;
        let length = body.len();
        write!(
            stream,
            "{request} HTTP/1.0\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    exchange().unwrap_or_default()
}

#[test]
fn a_daemon_is_ready_when_it_says_so_and_ends_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let daemon = Daemon::start(folder.path(), &[]);
        let answer = exchange(&daemon.api, "GET /ping");
        assert!(answer.starts_with("HTTP/1.0 200 ") && answer.ends_with("pong"), "{answer}");
        daemon.end(signal);
    }
}

#[test]
fn a_daemon_that_gives_up_leadership_ends_in_order_and_can_be_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = podium(&["--http_port", "0", "--data_dir", folder.path().to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (api, _stdout) = wait_until_ready(&mut child);
    assert!(post_pod(&api, 1).starts_with("HTTP/1.0 201 "));
    for parameter in ["backup=file:///tmp/b", "restore="] {
        let refused = json_of(&exchange(&api, &format!("DELETE /v2/leader?{parameter}")), 422);
        assert!(refused["message"].as_str().unwrap().contains("is not supported"), "{refused}");
    }
    let answer = json_of(&exchange(&api, "DELETE /v2/leader"), 200);
    assert_eq!(answer, json!({"message": "Leadership abdicated", "details": []}));
    let output = child.wait_with_output().unwrap();
    // Not 0, or a supervisor that restarts what fails would leave it at that.
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("ending the embedded cluster with all its containers"), "{words}");
    assert!(
        words.lines().last().unwrap().starts_with("podium: gave up leadership, as DELETE /v2/leader asked")
    );

    let daemon = Daemon::start(folder.path(), &[]);
    assert_eq!(json_of(&exchange(&daemon.api, "GET /v2/pods/pod-1"), 200)["id"], "/pod-1");
}

#[test]
fn two_daemons_do_not_share_data_or_a_port() {
    let parent = tempfile::tempdir().unwrap();
    let (one, two) = (parent.path().join("one"), parent.path().join("two"));
    let daemon = Daemon::start(&one, &[]);
    let port = daemon.api.rsplit(':').next().unwrap().to_owned();

    let line = refusal(&["--http_port", "0", "--data_dir", one.to_str().unwrap()]);
    assert!(line.contains("is in use by another podium (process "), "{line}");
    let line = refusal(&["--http_port", &port, "--data_dir", two.to_str().unwrap()]);
    let expected = format!("podium: cannot listen on 127.0.0.1:{port} (--http_address, --http_port): ");
    assert!(line.starts_with(&expected), "{line}");
}

#[test]
fn data_that_cannot_be_used_is_left_alone() {
    let line = refusal(&["--http_port", "0", "--data_dir", "/dev/null/data"]);
    assert!(line.starts_with("podium: cannot create the data folder /dev/null/data: "), "{line}");

    let folder = tempfile::tempdir().unwrap();
    let data_dir = DataDir::open(folder.path()).unwrap();
    EmbeddedStore::open(&data_dir).unwrap();
    let file = data_dir.store_file();
    drop(data_dir);
    let database = redb::Database::create(&file).unwrap();
    let transaction = database.begin_write().unwrap();
    let meta = redb::TableDefinition::<&str, u64>::new("meta");
    transaction.open_table(meta).unwrap().insert("format", 99).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let line = refusal(&["--http_port", "0", "--data_dir", folder.path().to_str().unwrap()]);
    assert!(line.contains("has format 99, written by a newer podium"), "{line}");
}

#[test]
fn a_disk_that_fills_up_ends_the_daemon_before_anything_is_promised() {
    let folder = tempfile::tempdir().unwrap();
    // No file may grow beyond some MiB: a disk that is full, as far as the store can tell.
    let limited = "trap '' XFSZ; ulimit -f 8192; exec \"$0\" --http_port 0 --data_dir \"$1\"";
    let mut child = Command::new("sh")
        .args(["-c", limited, env!("CARGO_BIN_EXE_podium")])
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (api, _stdout) = wait_until_ready(&mut child);
    let mut created = 0;
    loop {
        let answer = post_pod(&api, created);
        if !answer.starts_with("HTTP/1.0 201 ") {
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.0 503 "), "{answer}");
            break;
        }
        created += 1;
        assert!(created < 1000, "the disk does not fill up");
    }
    let output = child.wait_with_output().unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    let last = words.lines().last().unwrap();
    assert!(last.starts_with("podium: cannot write to "), "{words}");
    assert_eq!(output.status.code(), Some(1));

    // With room again, what was promised is there, and nothing else.
    let daemon = Daemon::start(folder.path(), &[]);
    let answer = exchange(&daemon.api, "GET /v2/pods");
    let pods: Vec<serde_json::Value> = serde_json::from_str(answer.rsplit("\r\n").next().unwrap()).unwrap();
    assert_eq!(pods.len(), created);
}

/// Posts a pod that takes much room.
fn post_pod(api: &str, number: usize) -> String {
    let label = "x".repeat(100_000);
    let pod = serde_json::json!({
        "id": format!("/pod-{number}"),
        "labels": {"large": label},
        "containers": [{"name": "c", "exec": {"command": {"shell": "true"}}, "resources": {}}],
        "scaling": {"kind": "fixed", "instances": 0}
    });
    let body = pod.to_string();
    exchange_with(api, "POST /v2/pods", &body)
}

#[test]
fn flags_can_be_set_in_the_environment() {
    let output = podium(&[]).env("PODIUM_HTTP_PORT", "many").output().unwrap();
    let line = last_words(&output);
    assert!(line.starts_with("podium: invalid value 'many' for '--http_port <PORT>'"), "{line}");
    assert_eq!(output.status.code(), Some(2));
    let output = podium(&["cluster"]).env("PODIUM_AGENTS", "0").output().unwrap();
    assert!(last_words(&output).contains("--agents"), "{output:?}");
    // The command line wins.
    let folder = tempfile::tempdir().unwrap();
    let mut command = podium(&["--http_address", "nowhere.invalid", "--data_dir"]);
    let output = command.arg(folder.path()).env("PODIUM_HTTP_ADDRESS", "127.0.0.1").output().unwrap();
    assert!(last_words(&output).contains("cannot listen on nowhere.invalid:8080"), "{output:?}");
}

#[test]
fn numbers_with_which_nothing_would_ever_be_done_are_refused() {
    let refused = [
        ("--kill_chunk_size", "0", "above 0"),
        ("--max_running_deployments", "0", "above 0"),
        ("--event_stream_max_outstanding_messages", "0", "above 0"),
        ("--http_max_connections", "0", "above 0"),
        ("--http_max_concurrent_requests", "0", "above 0"),
        ("--reconciliation_interval", "0", "1000 milliseconds or more"),
        ("--kill_retry_timeout", "999", "1000 milliseconds or more"),
        ("--task_launch_timeout", "0", "1000 milliseconds or more"),
        ("--task_launch_confirm_timeout", "0", "1000 milliseconds or more"),
    ];
    for (flag, value, expected) in refused {
        // Should it be taken after all, the daemon gives up for want of a folder.
        let output = podium(&[flag, value, "--data_dir", "/dev/null/data"]).output().unwrap();
        let line = last_words(&output);
        assert!(line.starts_with(&format!("podium: invalid value '{value}' for '{flag} ")), "{line}");
        assert!(line.contains(expected), "{line}");
        assert_eq!(output.status.code(), Some(2), "{line}");
    }
}

#[test]
fn help_is_for_standard_output_and_no_failure() {
    for args in [&["--help"][..], &["serve", "--help"], &["cluster", "--help"], &["--version"]] {
        let output = podium(args).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty() && !output.stdout.is_empty(), "{args:?}");
    }
}

/// The JSON of an answer with this status.
fn json_of(answer: &str, status: u16) -> Value {
    assert!(answer.starts_with(&format!("HTTP/1.0 {status} ")), "{answer}");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[test]
fn new_groups_enforce_their_role_if_the_flag_says_so() {
    let pod = |id: &str, more: Value| {
        let mut pod = json!({
            "id": id,
            "containers": [{"name": "c", "exec": {"command": {"shell": "sleep 1000"}}, "resources": {"cpus": 0.1}}],
        });
        pod.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        pod.to_string()
    };
    let role_of = |api: &str, id: &str| -> Value {
        let created = exchange_with(api, "POST /v2/pods", &pod(id, json!({})));
        json_of(&created, 201)["role"].clone()
    };
    for (args, role) in [(&[][..], "web"), (&["--new_group_enforce_role", "top"][..], "dev")] {
        let folder = tempfile::tempdir().unwrap();
        let daemon = Daemon::start(folder.path(), &[&["--mesos_role", "web"], args].concat());
        assert_eq!(role_of(&daemon.api, "/dev/deep/pod"), role);
        assert_eq!(role_of(&daemon.api, "/pod"), "web");
        let group = json_of(&exchange(&daemon.api, "GET /v2/groups/dev"), 200);
        assert_eq!(group["enforceRole"], json!(role == "dev"), "{group}");
        let info = json_of(&exchange(&daemon.api, "GET /v2/info"), 200);
        let shown = if role == "dev" { "top" } else { "off" };
        assert_eq!(info["marathon_config"]["new_group_enforce_role"], shown);

        // Mesos gives the copy resources of that role.
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            let status = json_of(&exchange(&daemon.api, "GET /v2/pods/dev/deep/pod::status"), 200);
            if status["status"] == "STABLE" {
                break status;
            }
            assert!(Instant::now() < deadline, "{status:#}");
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(status["instances"][0]["role"], role);

        let default = pod("/dev/other", json!({"role": "web"}));
        let answer = exchange_with(&daemon.api, "POST /v2/pods", &default);
        if role == "dev" {
            let details = json_of(&answer, 422)["details"].clone();
            assert_eq!(details, json!([{"path": "/role", "errors": ["got web, expected one of: [dev]"]}]));
        } else {
            json_of(&answer, 201);
        }
        daemon.end(Signal::SIGTERM);
    }
}

/// So many connections a daemon must stand.
const CONNECTIONS: u64 = 10_000;

#[test]
fn ten_thousand_connections_leave_room_for_a_request() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    // Our own ends are files as well. Where the system allows fewer, as many as it does.
    let connections = CONNECTIONS.min(hard - 300);
    if connections < CONNECTIONS {
        eprintln!("the system allows {hard} open files, so these are {connections} connections only");
    }
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(folder.path(), &[]);
    let host = daemon.api.strip_prefix("http://").unwrap();
    let open: Vec<TcpStream> = (0..connections)
        .map(|n| {
            let mut stream =
                TcpStream::connect(host).unwrap_or_else(|error| panic!("connection {n}: {error}"));
            stream.write_all(b"GET /ping HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
            // It is open at the other end, too, once that has answered.
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(answer, *b"HTTP/1.1 200", "connection {n}");
            stream
        })
        .collect();
    let answer = exchange(&daemon.api, "GET /v2/pods");
    assert!(answer.starts_with("HTTP/1.0 200 "), "{answer}");
    drop(open);
    daemon.end(Signal::SIGTERM);
}
