//! The program as a person meets it: what it prints, when it gives up, how it ends.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use podium::store::{DataDir, EmbeddedStore};

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
    _stdout: BufReader<std::process::ChildStdout>,
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
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let api = loop {
            let mut line = String::new();
            assert_ne!(stdout.read_line(&mut line).unwrap(), 0, "the daemon ended before it was ready");
            if let Some(api) = line.trim().strip_prefix("API") {
                break api.trim().strip_suffix("/v2/pods").unwrap().to_owned();
            }
        };
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

fn get(url: &str) -> String {
    let address = url.strip_prefix("http://").unwrap();
    let (host, path) = address.split_at(address.find('/').unwrap());
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_daemon_is_ready_when_it_says_so_and_ends_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let daemon = Daemon::start(folder.path(), &[]);
        let answer = get(&format!("{}/ping", daemon.api));
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("pong"), "{answer}");
        daemon.end(signal);
    }
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
fn help_is_for_standard_output_and_no_failure() {
    for args in [&["--help"][..], &["serve", "--help"], &["cluster", "--help"], &["--version"]] {
        let output = podium(args).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty() && !output.stdout.is_empty(), "{args:?}");
    }
}
