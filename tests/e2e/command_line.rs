//! What `podium` says when it cannot do what it was asked to.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use podium_tests::{Cluster, Daemon, Folder, Proxy, run, run_with};

use crate::pod::{pod, sleeper};

/// Runs `podium` in vain. It says why in one line, which has all of `words`.
#[track_caller]
fn refused(args: &[&str], variables: &[(&str, &str)], words: &[&str]) {
    let outcome = run_with(args, variables);
    let said = outcome.stderr.trim_end();
    assert!(!outcome.status.success(), "{args:?} {variables:?}: {outcome:?}");
    assert_eq!(said.lines().count(), 1, "{args:?}: {said}");
    for word in words {
        assert!(said.contains(word), "no '{word}' in: {said}");
    }
    assert_eq!(outcome.stdout, "", "{args:?}");
}

#[test]
fn a_port_in_use_ends_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    refused(&["--http_port", &port], &[], &["--http_port", &port, "in use"]);
    refused(&["serve"], &[("PODIUM_HTTP_PORT", &port)], &[&port, "in use"]);
    refused(&["cluster", "--http_port", &port], &[], &[&port, "in use"]);
}

#[test]
fn a_flag_that_makes_no_sense_ends_it() {
    refused(&["--http_prot", "80"], &[], &["--http_prot"]);
    refused(&["--http_port", "seventy"], &[], &["--http_port", "seventy"]);
    refused(&["--http_port"], &[], &["--http_port"]);
    refused(&[], &[("PODIUM_HTTP_PORT", "70000")], &["70000"]);
    refused(&["--master", "gopher://mesos"], &[], &["--master", "gopher"]);
    refused(&["--master", "zk://localhost:2181/mesos"], &[], &["ZooKeeper"]);
    refused(&["--http_address", "no.such.host.invalid"], &[], &["--http_address", "no.such.host.invalid"]);
    refused(&["juggle"], &[], &["juggle"]);
    refused(&["cluster", "--agents", "0"], &[], &["--agents"]);
}

#[test]
fn a_data_folder_that_cannot_be_used_ends_it() {
    let folder = Folder::new();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let file = file.display().to_string();
    refused(&["--http_port", "0", "--data_dir", &file], &[], &["data folder", &file]);
    refused(&["--http_port", "0", "--data_dir", "/proc/podium"], &[], &["data folder", "/proc/podium"]);
    refused(&["cluster", "--http_port", "0", "--data_dir", &file], &[], &[&file]);
    // Root may write everywhere.
    if !nix::unistd::getuid().is_root() {
        let locked = folder.path().join("locked");
        fs::create_dir(&locked).unwrap();
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).unwrap();
        let locked = locked.display().to_string();
        refused(&["--http_port", "0", "--data_dir", &locked], &[], &[&locked, "denied"]);
    }
}

#[test]
fn a_data_folder_belongs_to_one_daemon_at_a_time() {
    let mut daemon = Daemon::start();
    let data = daemon.folder().path().join("data").display().to_string();
    refused(&["--http_port", "0", "--data_dir", &data], &[], &["in use", &data]);
    assert_eq!(daemon.get("/ping").text, "pong", "the first one goes on");
    daemon.crash();
    daemon.start_again();
}

#[test]
fn help_and_version_are_no_errors() {
    for args in [&["--help"][..], &["--version"], &["serve", "--help"], &["cluster", "--help"]] {
        let outcome = run(args);
        assert!(outcome.status.success() && outcome.stderr.is_empty(), "{args:?}: {outcome:?}");
        assert!(outcome.stdout.contains("podium"), "{args:?}: {outcome:?}");
    }
    let help = run(&["serve", "--help"]).stdout;
    for flag in ["--http_address", "--http_port", "--master", "--hostname", "--data_dir", "PODIUM_HTTP_PORT"]
    {
        assert!(help.contains(flag), "no {flag} in:\n{help}");
    }
    let help = run(&["cluster", "--help"]).stdout;
    for words in ["cut-off", "bring-back", "pause", "standard input"] {
        assert!(help.contains(words), "no {words} in:\n{help}");
    }
}

#[test]
fn a_daemon_says_where_everything_is() {
    let daemon = Daemon::start();
    let greeting = daemon.output();
    let data = daemon.folder().path().join("data").display().to_string();
    for words in [&format!("{}/v2/pods", daemon.url()), &data, "curl -X POST"] {
        assert!(greeting.contains(words), "no '{words}' in:\n{greeting}");
    }
    assert_eq!(daemon.get("/ping").text, "pong");
    let about = daemon.get("/v2/info").expect(200);
    assert_eq!(about["elected"], true);
}

#[test]
fn a_daemon_waits_for_a_master_that_is_not_there_yet() {
    let proxy = Proxy::new();
    let daemon = Daemon::start_with(&["--master", &proxy.url()]);
    daemon.create(&pod("/web", 1, &[sleeper("main")]));
    assert_eq!(daemon.status("/web")["status"], "DEGRADED");
    let cluster = Cluster::start(1);
    proxy.connect(cluster.url());
    daemon.wait_until_stable("/web");
}

#[test]
fn a_cluster_takes_commands_on_its_standard_input() {
    let mut cluster = Cluster::start(2);
    let state: serde_json::Value = serde_json::from_str(&cluster.ask("state")).unwrap();
    assert_eq!(state["agents"].as_array().map(Vec::len), Some(2), "{state:#}");
    assert_eq!(cluster.ask("agent 1 pause"), r#"{"done":true}"#);
    assert_eq!(cluster.ask("agent 1 resume"), r#"{"done":true}"#);
    let refusal = cluster.ask("agent 7 pause");
    assert!(refusal.contains("0 to 1"), "{refusal}");
    let refusal = cluster.ask("agent 1 levitate");
    assert!(refusal.contains("bring-back"), "{refusal}");
}
