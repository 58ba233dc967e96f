//! A copy of a pod is one thing: its containers live and die together.

use jiff::Timestamp;
use nix::sys::signal::Signal;
use podium_tests::{Cluster, Daemon, eventually};
use serde_json::{Value, json};

use crate::pod::{container, list, main_process, pod, sleeper, task_ids, text};

fn find<'a>(status: &'a Value, id: &str) -> Option<&'a Value> {
    list(status, "instances").iter().find(|instance| instance["id"] == id)
}

#[test]
fn kill_9_of_one_process_ends_its_whole_instance_which_comes_back_as_the_next_incarnation() {
    let cluster = Cluster::start(1);
    let daemon = Daemon::start_with(&["--master", cluster.url()]);
    daemon.create(&pod("/web", 2, &[sleeper("a"), sleeper("b"), sleeper("c")]));
    let before = daemon.wait_until_stable("/web");
    let [sibling, victim] = list(&before, "instances") else { panic!("{before:#}") };
    // Each copy is one task group, so it has one executor.
    let state = cluster.state();
    for instance in [sibling, victim] {
        let of_copy = |task: &&Value| task_ids(instance).contains(&text(task, "task_id").to_owned());
        let tasks: Vec<_> = list(&state, "tasks").iter().filter(of_copy).collect();
        let executor = text(tasks[0], "executor_id");
        assert_eq!(tasks.len(), 3);
        assert!(tasks.iter().all(|task| text(task, "executor_id") == executor), "{state:#}");
    }
    assert_eq!(list(&state, "executors").len(), 2);
    let victim_id = text(victim, "id");
    let (victims, siblings) = (task_ids(victim), task_ids(sibling));
    let victim_processes: Vec<_> = victims.iter().map(|task_id| main_process(task_id)).collect();
    let sibling_processes: Vec<_> = siblings.iter().map(|task_id| main_process(task_id)).collect();

    victim_processes[1].signal(Signal::SIGKILL);

    let after = daemon.wait_for_status("/web", "the instance is back", |status| {
        let instance = find(status, victim_id)?;
        (instance["incarnation"] == 2 && instance["status"] == "STABLE").then(|| status.clone())
    });
    for process in &victim_processes {
        assert!(!process.is_alive(), "{process:?} outlived its instance");
    }
    let relaunched = find(&after, victim_id).unwrap();
    for (old, new) in victims.iter().zip(task_ids(relaunched)) {
        assert_eq!(new, format!("{}.2", old.strip_suffix(".1").unwrap()));
        assert!(main_process(&new).is_alive());
    }

    let untouched = find(&after, text(sibling, "id")).unwrap();
    assert_eq!((untouched["incarnation"].clone(), task_ids(untouched)), (1.into(), siblings));
    for process in &sibling_processes {
        assert!(process.is_alive(), "{process:?} died with its sibling");
    }

    // What happened is to be seen, too.
    let [ended] = list(&after, "terminationHistory") else { panic!("{after:#}") };
    assert_eq!(ended["instanceID"], victim_id);
    let [a, b, c] = list(ended, "containers") else { panic!("{ended:#}") };
    assert_eq!([a, b, c].map(|container| text(container, "containerId").to_owned()), victims[..]);
    assert_eq!(
        [a, b, c].map(|container| text(container, "lastKnownState")),
        ["TASK_KILLED", "TASK_FAILED", "TASK_KILLED"]
    );
    let message = text(&b["termination"], "message");
    assert!(message.contains("signal Killed"), "{message}");
    assert!(text(ended, "message").contains(message), "{ended:#}");
    eventually("the log tells it", || {
        let log = daemon.log();
        let wanted = [
            format!("{}: TASK_FAILED", victims[1]),
            format!("{}: TASK_KILLED", victims[0]),
            message.to_owned(),
        ];
        if wanted.iter().all(|line| log.contains(line)) { Ok(()) } else { Err(log) }
    });

    // The first delay of this pod is one second (`scheduling.backoff.backoff`).
    let time = |value: &Value, name: &str| text(value, name).parse::<Timestamp>().unwrap();
    let pause = time(&relaunched["containers"][0], "statusSince") - time(ended, "terminatedAt");
    assert!(pause.total(jiff::Unit::Second).unwrap() >= 1.0, "relaunched after {pause:#}");
}

#[test]
fn a_container_that_ends_well_leaves_the_others_running() {
    let daemon = Daemon::start();
    daemon.create(&pod(
        "/job",
        1,
        &[
            container("first", "true"),
            sleeper("server"),
            container("second", "until test -e go; do sleep 0.1; done"),
        ],
    ));
    // The one copy, once the containers are in these states.
    let wait_for = |states: [&str; 3]| {
        daemon.wait_for_status("/job", &format!("its containers are {states:?}"), |status| {
            let instance = status["instances"].as_array()?.first()?;
            let are: Vec<_> =
                list(instance, "containers").iter().map(|container| text(container, "status")).collect();
            (are == states).then(|| instance.clone())
        })
    };

    let instance = wait_for(["TASK_FINISHED", "TASK_RUNNING", "TASK_RUNNING"]);
    let server = text(&instance["containers"][1], "containerId").to_owned();
    let process = main_process(&server);
    let second = daemon.folder().sandbox(text(&instance["containers"][2], "containerId"));
    std::fs::write(second.join("go"), "").unwrap();
    let instance = wait_for(["TASK_FINISHED", "TASK_RUNNING", "TASK_FINISHED"]);
    assert_eq!(instance["incarnation"], 1);
    assert_eq!(instance["containers"][0]["termination"]["exitCode"], 0);
    assert_eq!(daemon.status("/job")["terminationHistory"], json!([]));
    assert!(process.is_alive());
}

#[test]
fn a_pod_that_fails_again_and_again_is_relaunched_less_and_less_often() {
    let daemon = Daemon::start();
    let mut crashing = pod("/crashing", 1, &[container("main", "echo started; exit 3")]);
    crashing["scheduling"] = json!({ "backoff": { "backoff": 1, "backoffFactor": 2, "maxLaunchDelay": 60 } });
    daemon.create(&crashing);

    let status = daemon.wait_for_status("/crashing", "it has failed three times", |status| {
        (status["terminationHistory"].as_array()?.len() >= 3).then(|| status.clone())
    });
    let mut ends: Vec<_> = list(&status, "terminationHistory").iter().collect();
    // The newest comes first.
    ends.reverse();
    let time = |end: &Value, name: &str| text(end, name).parse::<Timestamp>().unwrap();
    for (end, (next, least)) in ends.iter().zip(ends[1..].iter().zip([1.0, 2.0])) {
        assert_eq!(end["containers"][0]["lastKnownState"], "TASK_FAILED");
        assert_eq!(end["containers"][0]["termination"]["exitCode"], 3);
        let pause = (time(next, "startedAt") - time(end, "terminatedAt")).total(jiff::Unit::Second).unwrap();
        assert!(pause >= least, "relaunched after {pause} s instead of {least} s: {status:#}");
    }
}
