//! Pods, and what to read in their status.

use podium_tests::process::{self, Process};
use serde_json::{Value, json};

/// A pod with this many copies of these containers, on the host's network.
pub(crate) fn pod(id: &str, instances: u32, containers: &[Value]) -> Value {
    json!({
        "id": id,
        "scaling": { "kind": "fixed", "instances": instances },
        "networks": [{ "mode": "host" }],
        "containers": containers,
    })
}

/// A container that runs `shell`.
pub(crate) fn container(name: &str, shell: &str) -> Value {
    json!({
        "name": name,
        "exec": { "command": { "shell": shell } },
        "resources": { "cpus": 0.1, "mem": 32 },
    })
}

/// A container that does nothing for a long time.
pub(crate) fn sleeper(name: &str) -> Value {
    container(name, "sleep 1000")
}

/// An element of an array of a status.
#[track_caller]
pub(crate) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().unwrap_or_else(|| panic!("no array {name} in {value:#}"))
}

/// A text in a status.
#[track_caller]
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no text {name} in {value:#}"))
}

/// The ids of all tasks of a copy, by its status. Containers that wait to be launched have none.
#[track_caller]
pub(crate) fn task_ids(instance: &Value) -> Vec<String> {
    let ids = list(instance, "containers").iter().filter_map(|container| container["containerId"].as_str());
    ids.map(str::to_owned).collect()
}

/// The ids of all tasks of a pod, by its status.
#[track_caller]
pub(crate) fn all_task_ids(status: &Value) -> Vec<String> {
    list(status, "instances").iter().flat_map(task_ids).collect()
}

/// The first process of a running container.
#[track_caller]
pub(crate) fn main_process(task_id: &str) -> Process {
    let processes = process::of_container(task_id);
    let leader = processes.iter().find(|process| process.group == process.pid);
    leader.unwrap_or_else(|| panic!("{task_id} has no process: {processes:?}")).clone()
}

/// The first processes of all containers of a pod, by its status.
#[track_caller]
pub(crate) fn main_processes(status: &Value) -> Vec<Process> {
    all_task_ids(status).iter().map(|task_id| main_process(task_id)).collect()
}
