//! What the Pods page of Marathon's documentation shows, done as it is printed there.

use std::io::Write as _;
use std::process::{Command, Stdio};

use podium_tests::{Daemon, eventually, process};
use serde_json::{Value, json};

use crate::pod::{all_task_ids, list, main_processes, text};

const QUICK_START: &str = include_str!("../../core/tests/pods_page/quick_start.json");
const MULTIPLE_CONTAINERS: &str = include_str!("../../core/tests/pods_page/multiple_containers.json");
const EPHEMERAL_VOLUMES: &str = include_str!("../../core/tests/pods_page/ephemeral_volumes.json");
const WITH_AN_IMAGE: &str = include_str!("../../core/tests/pods_page/annotated_simple.json");

/// Runs `curl` with these arguments and `input`. The status code and the body.
fn curl(args: &[&str], input: &str) -> (u16, String) {
    let mut child = Command::new("curl")
        .args(["--silent", "--show-error", "--write-out", "\n%{http_code}"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("curl is installed");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "curl: {}", output.status);
    let output = String::from_utf8(output.stdout).unwrap();
    let (body, status) = output.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

/// Posts a document as the page does.
fn post(daemon: &Daemon, document: &str) -> (u16, Value) {
    let pods = format!("{}/v2/pods", daemon.url());
    let (status, body) =
        curl(&["-X", "POST", "-H", "Content-type: application/json", "-d@-", &pods], document);
    (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error} in {body}")))
}

#[test]
fn the_quick_start_works_as_printed() {
    let daemon = Daemon::start();

    let (code, created) = post(&daemon, QUICK_START);
    assert_eq!(code, 201, "{created:#}");
    let version = created["version"].clone();
    assert_eq!(
        created,
        json!({
            "id": "/simplepod",
            "version": version,
            "containers": [{
                "name": "sleep1",
                "exec": { "command": { "shell": "sleep 1000" } },
                "resources": { "cpus": 0.1, "mem": 32, "disk": 0, "gpus": 0 },
            }],
            "networks": [{ "mode": "host" }],
            "scaling": { "kind": "fixed", "instances": 1 },
            "scheduling": {
                "backoff": { "backoff": 1, "backoffFactor": 1.15, "maxLaunchDelay": 3600 },
                "upgrade": { "minimumHealthCapacity": 1, "maximumOverCapacity": 1 },
                "placement": {},
                "killSelection": "YOUNGEST_FIRST",
                "unreachableStrategy": { "inactiveAfterSeconds": 900, "expungeAfterSeconds": 604_800 },
            },
            "executorResources": { "cpus": 0.1, "mem": 32, "disk": 10 },
            "role": "*",
        })
    );

    let url = format!("{}/v2/pods/simplepod", daemon.url());
    let status: Value = eventually("curl says that the pod is stable", || {
        let (code, body) = curl(&["-X", "GET", &format!("{url}::status")], "");
        let status: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(code, 200, "{status:#}");
        if status["status"] == "STABLE" { Ok(status) } else { Err(body) }
    });
    assert_eq!(status["id"], "/simplepod");
    assert_eq!(status["spec"], created);
    let [instance] = list(&status, "instances") else { panic!("{status:#}") };
    assert_eq!(instance["status"], "STABLE");
    assert_eq!(instance["incarnation"], 1);
    assert_eq!(instance["agentHostname"], "127.0.0.1");
    assert!(!text(instance, "agentId").is_empty());
    assert_eq!(instance["resources"], json!({ "cpus": 0.2, "mem": 64, "disk": 10, "gpus": 0 }));
    assert_eq!(
        instance["specReference"],
        format!("/v2/pods/simplepod::versions/{}", text(&created, "version"))
    );
    let [container] = list(instance, "containers") else { panic!("{status:#}") };
    assert_eq!(container["name"], "sleep1");
    assert_eq!(container["status"], "TASK_RUNNING");
    assert_eq!(container["resources"], json!({ "cpus": 0.1, "mem": 32, "disk": 0, "gpus": 0 }));
    assert_eq!(text(container, "containerId"), format!("{}.sleep1.1", text(instance, "id")));
    for part in [&status, instance, container] {
        for name in ["statusSince", "lastUpdated", "lastChanged"] {
            // Texts of one form, so that they sort like the times they mean.
            let time = text(part, name);
            assert_eq!(time.len(), "2017-01-03T18:21:19.310Z".len(), "{name}: {time}");
            assert!(time >= text(&created, "version"), "{name}: {time}");
        }
    }
    assert_eq!(daemon.get("/v2/pods/::status").expect(200)[0]["id"], "/simplepod");

    let processes = process::of_container(text(container, "containerId"));
    let sleep = processes.iter().find(|process| process.has_args(&["sleep", "1000"]));
    let sleep = sleep.unwrap_or_else(|| panic!("sleep 1000 is no process of this machine: {processes:?}"));
    assert!(sleep.descends_from(&daemon.process()));

    let (code, body) = curl(&["-X", "DELETE", &url], "");
    assert_eq!((code, body.as_str()), (202, ""));
    eventually("the process is gone", || {
        let left: Vec<_> = processes.iter().filter(|process| process.is_alive()).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    daemon.wait_until_gone("/simplepod");
}

#[test]
fn the_pod_with_multiple_containers_works_as_printed() {
    let daemon = Daemon::start();
    let (code, created) = post(&daemon, MULTIPLE_CONTAINERS);
    assert_eq!(code, 201, "{created:#}");
    assert_eq!(created["scheduling"]["killSelection"], "YOUNGEST_FIRST");

    let status = daemon.wait_until_stable("/pod-with-multiple-containers");
    let instances = list(&status, "instances");
    assert_eq!(instances.len(), 10);
    for instance in instances {
        let names: Vec<_> =
            list(instance, "containers").iter().map(|container| text(container, "name")).collect();
        assert_eq!(names, ["sleep1", "sleep2", "sleep3"]);
        assert!(list(instance, "containers").iter().all(|container| container["status"] == "TASK_RUNNING"));
    }
    let processes = main_processes(&status);
    assert_eq!(processes.len(), 30);
    assert!(processes.iter().all(|process| process.is_alive()));

    daemon.delete("/v2/pods/pod-with-multiple-containers").expect(202);
    eventually("all processes are gone", || {
        let left = processes.iter().filter(|process| process.is_alive()).count();
        if left == 0 { Ok(()) } else { Err(left) }
    });
}

#[test]
fn the_pod_with_an_ephemeral_volume_works_as_printed() {
    let daemon = Daemon::start();
    let (code, created) = post(&daemon, EPHEMERAL_VOLUMES);
    assert_eq!(code, 201, "{created:#}");

    let status = daemon.wait_until_stable("/with-ephemeral-vol");
    let task_ids = all_task_ids(&status);
    let [writer, reader] = &task_ids[..] else { panic!("{status:#}") };
    let output = daemon.folder().sandbox(reader).join("stdout");
    eventually("the second container reads what the first one writes", || {
        let read = std::fs::read_to_string(&output).unwrap_or_default();
        if read.contains("the current time is") { Ok(()) } else { Err(format!("'{read}'")) }
    });
    let written = std::fs::read_to_string(daemon.folder().sandbox(writer).join("stdout")).unwrap();
    assert_eq!(written, "", "the first container writes into the volume only");
}

#[test]
fn a_pod_with_a_container_image_fails_with_a_message_that_says_what_can_run_it() {
    let daemon = Daemon::start();
    let (code, created) = post(&daemon, WITH_AN_IMAGE);
    assert_eq!(code, 201, "{created:#}");

    let ended = daemon.wait_for_status("/simple-pod", "it has failed", |status| {
        status["terminationHistory"].as_array()?.first().cloned()
    });
    let [container] = list(&ended, "containers") else { panic!("{ended:#}") };
    assert_eq!(container["lastKnownState"], "TASK_FAILED");
    let message = text(&container["termination"], "message");
    for part in ["python:3.5.2-alpine", "cannot run container images", "--master http://HOST:PORT"] {
        assert!(message.contains(part), "no '{part}' in: {message}");
    }
    assert_ne!(daemon.status("/simple-pod")["status"], "STABLE");
}
