//! What is on a persistent volume outlives containers, definitions, daemons and clusters, but not its pod.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use podium_tests::{Cluster, Daemon, Folder, eventually};
use serde_json::{Value, json};

use crate::pod::{all_task_ids, container, list, main_process, pod, text};

/// A pod that adds a line to a file on its volume whenever it is launched. A second container sees the same volume.
fn diary() -> Value {
    let write = "echo launched >> data/diary; exec sleep 1000";
    let read = "ln -s diary journal/seen 2>/dev/null; exec sleep 1000";
    let mut definition = pod("/diary", 1, &[container("writer", write), container("reader", read)]);
    definition["role"] = json!("dev");
    definition["volumes"] = json!([{ "name": "data", "persistent": { "size": 16 } }]);
    definition["containers"][0]["volumeMounts"] = json!([{ "name": "data", "mountPath": "data" }]);
    definition["containers"][1]["volumeMounts"] = json!([{ "name": "data", "mountPath": "journal" }]);
    definition
}

/// All files of this name below `folder`, links apart.
fn find(folder: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            found.extend(find(&entry.path(), name));
        } else if kind.is_file() && entry.file_name() == name {
            found.push(entry.path());
        }
    }
    found
}

/// Waits until the only diary has so many lines.
#[track_caller]
fn wait_for_lines(folder: &Folder, lines: usize) {
    eventually(&format!("there is one diary of {lines} lines"), || {
        let texts: Vec<String> = find(&folder.path(), "diary")
            .iter()
            .map(|file| fs::read_to_string(file).unwrap_or_default())
            .collect();
        if texts == ["launched\n".repeat(lines)] { Ok(()) } else { Err(format!("{texts:?}")) }
    });
}

#[track_caller]
fn wait_for_incarnation(daemon: &Daemon, incarnation: u64) -> Value {
    daemon.wait_for_status("/diary", &format!("launch {incarnation} runs"), |status| {
        let instance = &status["instances"][0];
        (instance["incarnation"] == incarnation && instance["status"] == "STABLE").then(|| status.clone())
    })
}

fn start(cluster: &Cluster) -> Daemon {
    Daemon::start_with(&["--master", cluster.url(), "--mesos_role", "dev"])
}

#[test]
fn a_copy_finds_what_it_wrote_after_whatever_ended_it_and_a_deleted_pod_leaves_nothing() {
    let cluster = Cluster::start(2);
    let mut daemon = start(&cluster);
    daemon.create(&diary());
    let first = daemon.wait_until_stable("/diary");
    wait_for_lines(cluster.folder(), 1);
    let instance = first["instances"][0].clone();
    let [volume] = list(&instance, "localVolumes") else { panic!("{instance:#}") };
    assert_eq!((text(volume, "containerPath"), text(volume, "runSpecId")), ("data", "/diary"));
    assert!(text(volume, "persistenceId").starts_with("diary#data#"), "{volume:#}");

    // A container dies.
    main_process(&all_task_ids(&first)[0]).signal(Signal::SIGKILL);
    let second = wait_for_incarnation(&daemon, 2);
    wait_for_lines(cluster.folder(), 2);
    for what in ["id", "agentId", "localVolumes"] {
        assert_eq!(second["instances"][0][what], instance[what], "{what}");
    }

    // A person kills it.
    daemon.delete(&format!("/v2/pods/diary::instances/{}", text(&instance, "id"))).expect(200);
    wait_for_incarnation(&daemon, 3);
    wait_for_lines(cluster.folder(), 3);

    // Its definition changes.
    let mut changed = diary();
    changed["labels"] = json!({ "changed": "yes" });
    daemon.update(&changed);
    wait_for_incarnation(&daemon, 4);
    wait_for_lines(cluster.folder(), 4);

    // The daemon dies, and then the container.
    daemon.crash();
    daemon.start_again();
    let fourth = daemon.wait_until_stable("/diary");
    main_process(&all_task_ids(&fourth)[0]).signal(Signal::SIGKILL);
    wait_for_incarnation(&daemon, 5);
    wait_for_lines(cluster.folder(), 5);

    daemon.delete("/v2/pods/diary").expect(202);
    daemon.wait_until_gone("/diary");
    eventually("the data is gone", || {
        let left = find(&cluster.folder().path(), "diary");
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    // What was reserved for it can be used by others: all of both agents.
    let mut large = pod("/large", 2, &[container("main", "sleep 1000")]);
    large["role"] = json!("dev");
    large["containers"][0]["resources"]["cpus"] = json!(7.9);
    daemon.create(&large);
    daemon.wait_until_stable("/large");
}

#[test]
fn a_wiped_copy_begins_anew() {
    let cluster = Cluster::start(1);
    let daemon = start(&cluster);
    daemon.create(&diary());
    let first = daemon.wait_until_stable("/diary");
    wait_for_lines(cluster.folder(), 1);
    let id = text(&first["instances"][0], "id").to_owned();
    daemon.delete(&format!("/v2/pods/diary::instances/{id}?wipe=true")).expect(200);
    daemon.wait_for_status("/diary", "another copy runs", |status| {
        let instance = &status["instances"][0];
        (instance["id"] != id.as_str() && instance["status"] == "STABLE").then_some(())
    });
    wait_for_lines(cluster.folder(), 1);
}

#[test]
fn the_embedded_cluster_keeps_volumes_when_it_is_started_again() {
    let mut daemon = Daemon::start_with(&["--mesos_role", "dev"]);
    daemon.create(&diary());
    daemon.wait_until_stable("/diary");
    wait_for_lines(daemon.folder(), 1);
    daemon.terminate();
    daemon.start_again();
    wait_for_incarnation(&daemon, 2);
    wait_for_lines(daemon.folder(), 2);
    daemon.crash();
    daemon.start_again();
    wait_for_incarnation(&daemon, 3);
    wait_for_lines(daemon.folder(), 3);
}
