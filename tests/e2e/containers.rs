//! What a definition says about its containers is what their processes find.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use podium_tests::{Daemon, Folder, eventually};
use serde_json::{Value, json};

use crate::pod::{all_task_ids, container, list, main_process, pod, text};

/// What the container has written to its standard output, once that contains `wanted`.
#[track_caller]
fn output(daemon: &Daemon, task_id: &str, wanted: &str) -> String {
    let file = daemon.folder().sandbox(task_id).join("stdout");
    eventually(&format!("{task_id} writes '{wanted}'"), || {
        let output = fs::read_to_string(&file).unwrap_or_default();
        if output.contains(wanted) { Ok(output) } else { Err(output) }
    })
}

/// Creates a pod of one container and waits until it runs; its task's id.
#[track_caller]
fn run_one(daemon: &Daemon, definition: &Value) -> String {
    daemon.create(definition);
    all_task_ids(&daemon.wait_until_stable(text(definition, "id"))).remove(0)
}

#[test]
fn argv_is_not_read_by_a_shell() {
    let daemon = Daemon::start();
    let script = r#"printf '<%s>' "$@"; echo; exec sleep 1000"#;
    let mut argv = pod("/argv", 1, &[container("main", "")]);
    argv["containers"][0]["exec"]["command"] =
        json!({ "argv": ["sh", "-c", script, "name", "a b", "$HOME", "*", ""] });
    let task_id = run_one(&daemon, &argv);
    assert_eq!(output(&daemon, &task_id, "\n"), "<a b><$HOME><*><>\n");
    assert!(main_process(&task_id).has_args(&["sleep", "1000"]), "exec replaces the first process");
}

#[test]
fn a_container_finds_its_environment() {
    let daemon = Daemon::start();
    let mut definition = pod("/group/env", 1, &[container("main", "env; echo the end; sleep 1000")]);
    definition["environment"] = json!({ "OF_POD": "pod", "OF_BOTH": "pod" });
    definition["labels"] = json!({ "owner": "zeus" });
    definition["containers"][0]["environment"] = json!({ "OF_BOTH": "container", "WITH_SPACE": " a  b " });
    let task_id = run_one(&daemon, &definition);
    let output = output(&daemon, &task_id, "the end");
    let lines: Vec<_> = output.lines().collect();
    for line in [
        "OF_POD=pod".to_owned(),
        "OF_BOTH=container".to_owned(),
        "WITH_SPACE= a  b ".to_owned(),
        "MARATHON_APP_ID=/group/env".to_owned(),
        "MARATHON_APP_LABEL_OWNER=zeus".to_owned(),
        "MARATHON_CONTAINER_ID=main".to_owned(),
        "HOST=127.0.0.1".to_owned(),
        format!("MESOS_TASK_ID={task_id}"),
    ] {
        assert!(lines.contains(&&*line), "no {line} in:\n{output}");
    }
    let is_told_of_the_test = lines.iter().any(|line| line.starts_with("TEST_FOLDER="));
    assert!(!is_told_of_the_test, "the daemon's own environment is not the container's");
    let sandbox = lines.iter().find_map(|line| line.strip_prefix("MESOS_SANDBOX=")).unwrap();
    assert_eq!(
        fs::canonicalize(sandbox).unwrap(),
        fs::canonicalize(daemon.folder().sandbox(&task_id)).unwrap()
    );
}

#[test]
fn a_container_runs_as_its_user_or_says_why_not() {
    let daemon = Daemon::start();
    let mut definition = pod("/user", 1, &[container("main", "id -un; touch mine; sleep 1000")]);
    definition["user"] = json!("nobody");
    daemon.create(&definition);
    if nix::unistd::getuid().is_root() {
        let task_id = all_task_ids(&daemon.wait_until_stable("/user")).remove(0);
        assert_eq!(output(&daemon, &task_id, "\n"), "nobody\n");
        eventually("it can write to its sandbox", || {
            let file = daemon.folder().sandbox(&task_id).join("mine");
            if file.exists() { Ok(()) } else { Err(format!("no {}", file.display())) }
        });
    } else {
        let message = failure(&daemon, "/user");
        assert!(message.contains("nobody") && message.contains("root"), "{message}");
    }

    definition["id"] = json!("/stranger");
    definition["user"] = json!("no-such-user");
    daemon.create(&definition);
    let message = failure(&daemon, "/stranger");
    assert!(message.contains("no-such-user"), "{message}");
}

/// How the only container of a pod ended for the first time.
#[track_caller]
fn failure(daemon: &Daemon, id: &str) -> String {
    daemon.wait_for_status(id, "it has failed", |status| {
        let ended = status["terminationHistory"].as_array()?.last()?;
        assert_eq!(ended["containers"][0]["lastKnownState"], "TASK_FAILED");
        ended["containers"][0]["termination"]["message"].as_str().map(str::to_owned)
    })
}

#[test]
fn a_container_that_is_asked_to_end_has_its_grace_period_and_no_more() {
    let daemon = Daemon::start();
    // Much longer than Mesos' default of three seconds: without the definition's period there would be no last line.
    let tidy =
        "trap 'echo asked; sleep 5; echo tidied up; exit 0' TERM; echo ready; while true; do sleep 0.1; done";
    let mut tidy = pod("/tidy", 1, &[container("main", tidy)]);
    tidy["containers"][0]["lifecycle"] = json!({ "killGracePeriodSeconds": 300 });
    let stubborn = "trap '' TERM; echo ready; while true; do sleep 0.1; done";
    let mut stubborn = pod("/stubborn", 1, &[container("main", stubborn)]);
    stubborn["containers"][0]["lifecycle"] = json!({ "killGracePeriodSeconds": 1 });

    let tidy = run_one(&daemon, &tidy);
    let stubborn = run_one(&daemon, &stubborn);
    output(&daemon, &tidy, "ready");
    output(&daemon, &stubborn, "ready");
    let processes = [main_process(&tidy), main_process(&stubborn)];
    daemon.delete("/v2/pods/tidy").expect(202);
    daemon.delete("/v2/pods/stubborn").expect(202);

    eventually("both have ended", || {
        let left = processes.iter().filter(|process| process.is_alive()).count();
        if left == 0 { Ok(()) } else { Err(left) }
    });
    assert_eq!(output(&daemon, &tidy, "ready"), "ready\nasked\ntidied up\n");
    eventually("the log tells how the stubborn one ended", || {
        let log = daemon.log();
        let told = log.lines().any(|line| line.contains(&stubborn) && line.contains("signal Killed"));
        if told { Ok(()) } else { Err(log) }
    });
}

#[test]
fn volumes_are_seen_where_they_are_mounted() {
    let daemon = Daemon::start();
    let outside = Folder::new();
    fs::write(outside.path().join("greeting"), "from the host").unwrap();
    fs::set_permissions(outside.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let mut definition = pod(
        "/volumes",
        1,
        &[
            container("writer", "cat data/host/greeting; echo written > data/shared/file; sleep 1000"),
            container("reader", "until cat elsewhere/file; do sleep 0.1; done; echo no > host/x; sleep 1000"),
        ],
    );
    definition["volumes"] = json!([{ "name": "shared" }, { "name": "host", "host": outside.path() }]);
    definition["containers"][0]["volumeMounts"] = json!([
        { "name": "shared", "mountPath": "data/shared" },
        { "name": "host", "mountPath": "data/host" },
    ]);
    definition["containers"][1]["volumeMounts"] = json!([
        { "name": "shared", "mountPath": "elsewhere" },
        { "name": "host", "mountPath": "host" },
    ]);
    daemon.create(&definition);
    let task_ids = all_task_ids(&daemon.wait_until_stable("/volumes"));
    assert_eq!(output(&daemon, &task_ids[0], "host"), "from the host");
    assert_eq!(output(&daemon, &task_ids[1], "\n"), "written\n");
    eventually("the host sees what a container writes", || {
        let found = fs::read_to_string(outside.path().join("x"));
        if found.as_ref().is_ok_and(|text| text == "no\n") { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

#[test]
fn a_pod_that_no_agent_has_room_for_waits_and_says_why() {
    let daemon = Daemon::start();
    let mut huge = pod("/huge", 1, &[container("main", "sleep 1000")]);
    huge["containers"][0]["resources"]["cpus"] = json!(100_000);
    daemon.create(&huge);
    let queue = eventually("it waits", || {
        let queue = daemon.get("/v2/queue").expect(200);
        let waits = list(&queue, "queue").iter().any(|item| item.to_string().contains("/huge"));
        if waits { Ok(queue) } else { Err(queue) }
    });
    assert!(queue.to_string().contains("100000"), "{queue:#}");
    // It holds up nobody else.
    run_one(&daemon, &pod("/small", 1, &[container("main", "sleep 1000")]));
}
