//! What the README shows works.

use std::process::Command;

use podium_tests::{Daemon, eventually};

use crate::pod::{pod, sleeper};

const README: &str = include_str!("../../README.md");

/// The README's blocks of shell commands.
fn blocks() -> Vec<String> {
    let blocks = README.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    blocks.map(str::to_owned).collect()
}

#[test]
fn the_two_commands_exist() {
    let commands = blocks().concat();
    assert!(commands.contains("cargo run --release"));
    assert!(commands.contains("scripts/test"));
    for script in ["scripts/test", ".ci/run"] {
        let path = format!("{}/../{script}", env!("CARGO_MANIFEST_DIR"));
        let check = Command::new("bash").args(["-n", &path]).status().unwrap();
        assert!(check.success(), "{script} is no script");
    }
}

#[test]
fn cargo_run_starts_a_daemon_that_takes_its_flags_from_the_environment() {
    let daemon = Daemon::start_through_cargo();
    assert_eq!(daemon.get("/ping").text, "pong");
    daemon.create(&pod("/web", 1, &[sleeper("main")]));
    daemon.wait_until_stable("/web");
    assert!(daemon.folder().path().join("data/podium.redb").exists());
}

#[test]
fn the_first_pod_can_be_posted_looked_at_and_deleted() {
    let daemon = Daemon::start();
    let curls: Vec<_> = blocks().into_iter().filter(|block| block.contains("/v2/pods")).collect();
    let [block] = &curls[..] else { panic!("expected one block that posts a pod, got {curls:#?}") };
    let script = block.replace("http://127.0.0.1:8080", daemon.url());
    assert_ne!(&script, block);
    // One command after the other, each as soon as its predecessor's effect is there.
    let (post, rest) = script.split_once("\n\n").expect("the commands are separated by empty lines");
    let (look, delete) = rest.split_once("\n\n").expect("there are three");
    let bash = |command: &str| {
        let output = Command::new("bash").args(["-euo", "pipefail", "-c", command]).output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(bash(post).contains("/simplepod"));
    eventually("the pod is stable", || {
        let status = bash(look);
        if status.contains("\"status\":\"STABLE\"") { Ok(()) } else { Err(status) }
    });
    bash(delete);
    daemon.wait_until_gone("/simplepod");
}
