//! Daemons die and come back.

use std::sync::Mutex;
use std::thread;

use nix::sys::signal::Signal;
use podium_tests::process::{self, Process};
use podium_tests::{Cluster, Daemon, api, eventually};
use serde_json::{Value, json};

use crate::pod::{all_task_ids, list, main_process, main_processes, pod, sleeper, task_ids, text};

/// What is to be the same after a restart: everything but when it was last heard of.
fn lasting(status: &Value) -> Value {
    match status {
        Value::Array(items) => items.iter().map(lasting).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(name, _)| *name != "lastUpdated");
            fields.map(|(name, value)| (name.clone(), lasting(value))).collect()
        }
        other => other.clone(),
    }
}

fn all_alive(processes: &[Process]) {
    let dead: Vec<_> = processes.iter().filter(|process| !process.is_alive()).collect();
    assert!(dead.is_empty(), "these processes have ended: {dead:#?}");
}

#[test]
fn a_killed_daemon_comes_back_as_the_same_framework_with_the_same_pods_whose_containers_never_stopped() {
    let cluster = Cluster::start(2);
    let mut daemon = Daemon::start_with(&["--master", cluster.url()]);
    daemon.create(&pod("/old", 1, &[sleeper("main")]));
    daemon.wait_until_stable("/old");
    daemon.delete("/v2/pods/old").expect(202);
    daemon.create(&pod("/group/web", 2, &[sleeper("a"), sleeper("b")]));
    daemon.wait_until_stable("/group/web");
    let mut changed = pod("/group/web", 3, &[sleeper("a"), sleeper("b")]);
    changed["labels"] = json!({ "changed": "yes" });
    daemon.update(&changed);
    let status = daemon.wait_until_stable("/group/web");
    // So that there is something in the history of how copies ended.
    main_processes(&status)[0].signal(Signal::SIGKILL);
    daemon.wait_for_status("/group/web", "a copy has failed", |status| {
        let ended = status["terminationHistory"].as_array()?;
        ended.iter().any(|end| end.to_string().contains("TASK_FAILED")).then_some(())
    });
    let status = daemon.wait_until_stable("/group/web");
    let processes = main_processes(&status);
    let about = daemon.get("/v2/info").expect(200);
    let pods = daemon.get("/v2/pods").expect(200);
    let versions = daemon.get("/v2/pods/group/web::versions").expect(200);
    assert_eq!((processes.len(), list(&json!({ "v": versions }), "v").len()), (6, 2));

    daemon.crash();
    all_alive(&processes);
    daemon.start_again();

    assert_eq!(daemon.get("/v2/info").expect(200)["frameworkId"], about["frameworkId"]);
    assert_eq!(daemon.get("/v2/pods").expect(200), pods);
    assert_eq!(daemon.get("/v2/pods/group/web::versions").expect(200), versions);
    let restarted = daemon.wait_until_stable("/group/web");
    assert_eq!(lasting(&restarted), lasting(&status));

    // It does not only remember them: it goes on managing them.
    changed["scaling"]["instances"] = json!(4);
    daemon.update(&changed);
    let scaled = daemon.wait_until_stable("/group/web");
    all_alive(&processes);
    assert!(all_task_ids(&status).iter().all(|task_id| all_task_ids(&scaled).contains(task_id)));
    let frameworks = cluster.state();
    let [framework] = list(&frameworks, "frameworks") else { panic!("{frameworks:#}") };
    assert_eq!(framework["id"], about["frameworkId"]);

    // The pod that was deleted before the crash still has its history.
    daemon.create(&pod("/old", 1, &[sleeper("main")]));
    assert_eq!(daemon.get("/v2/pods/old::versions").expect(200).as_array().map(Vec::len), Some(2));
}

#[test]
fn what_happens_while_the_daemon_is_away_is_noticed_when_it_is_back() {
    let cluster = Cluster::start(1);
    let mut daemon = Daemon::start_with(&["--master", cluster.url()]);
    daemon.create(&pod("/web", 2, &[sleeper("a"), sleeper("b")]));
    let before = daemon.wait_until_stable("/web");
    let [first, second] = list(&before, "instances") else { panic!("{before:#}") };
    let (first, second) = (task_ids(first), task_ids(second));

    daemon.crash();
    crate::pod::main_process(&first[0]).signal(Signal::SIGKILL);
    eventually("the whole copy has ended", || {
        let left: Vec<_> = first.iter().flat_map(|task_id| process::of_container(task_id)).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    daemon.start_again();

    let after = daemon.wait_for_status("/web", "the copy is back", |status| {
        let ids = all_task_ids(status);
        let is_back = first.iter().all(|old| ids.contains(&format!("{}.2", old.strip_suffix(".1").unwrap())));
        (is_back && status["status"] == "STABLE").then(|| status.clone())
    });
    assert!(second.iter().all(|task_id| all_task_ids(&after).contains(task_id)));
    assert_eq!(list(&after, "terminationHistory").len(), 1);
}

#[test]
fn what_was_acknowledged_is_there_after_a_crash_at_any_moment_and_runs_once() {
    let cluster = Cluster::start(1);
    let mut daemon = Daemon::start_with(&["--master", cluster.url()]);
    let acknowledged = Mutex::new(Vec::new());
    for round in 1..=3 {
        // A client posts pods as fast as it can, and in the middle of that the daemon is killed.
        let pods = format!("{}/v2/pods", daemon.url());
        let post_until_it_fails = || {
            for number in 0.. {
                let id = format!("/round-{round}/pod-{number}");
                match api::request("POST", &pods, &[], &pod(&id, 1, &[sleeper("main")]).to_string()) {
                    Ok(reply) => assert_eq!(reply.status, 201, "{}", reply.text),
                    // Whether this one exists is unknown.
                    Err(_) => break,
                }
                acknowledged.lock().unwrap().push(id);
            }
        };
        thread::scope(|scope| {
            let client = scope.spawn(post_until_it_fails);
            eventually("some pods are acknowledged", || {
                let count = acknowledged.lock().unwrap().len();
                if count >= 3 * round { Ok(()) } else { Err(count) }
            });
            daemon.crash();
            client.join().unwrap();
        });
        daemon.start_again();
        let kept = daemon.get("/v2/pods").expect(200);
        let kept: Vec<_> = kept.as_array().unwrap().iter().map(|pod| text(pod, "id")).collect();
        let acknowledged = acknowledged.lock().unwrap();
        let lost: Vec<_> = acknowledged.iter().filter(|id| !kept.contains(&id.as_str())).collect();
        assert!(lost.is_empty(), "acknowledged and lost in round {round}: {lost:?}");
    }

    let kept = daemon.get("/v2/pods").expect(200);
    for id in kept.as_array().unwrap().iter().map(|pod| text(pod, "id")) {
        let status = daemon.wait_until_stable(id);
        let running = process::find(|process| {
            process.variable("MARATHON_APP_ID") == Some(id) && process.group == process.pid
        });
        let running: Vec<_> =
            running.into_iter().filter(|process| cluster.folder().processes().contains(process)).collect();
        assert_eq!(running, main_processes(&status), "{id} shall run once");
    }
}

#[test]
fn no_process_of_the_embedded_cluster_outlives_a_killed_daemon() {
    let mut daemon = Daemon::start();
    // A process that leaves its session and its parent, and one that ignores SIGTERM.
    let runaway = crate::pod::container("runaway", "setsid sh -c 'sleep 1000 & sleep 1000' & sleep 1000");
    let stubborn = crate::pod::container("stubborn", "trap '' TERM HUP INT; while true; do sleep 1; done");
    daemon.create(&pod("/web", 3, &[sleeper("main"), runaway, stubborn]));
    let status = daemon.wait_until_stable("/web");
    let first = main_processes(&status);

    daemon.crash();
    daemon.folder().wait_until_deserted();

    // With the next daemon a new cluster starts, and the pod runs there.
    daemon.start_again();
    let status = daemon.wait_for_status("/web", "it runs again", |status| {
        let all_new = all_task_ids(status).iter().all(|task_id| !process::of_container(task_id).is_empty());
        (status["status"] == "STABLE" && all_new).then(|| status.clone())
    });
    for process in main_processes(&status) {
        assert!(!first.contains(&process));
    }
}

#[test]
fn a_daemon_that_is_asked_to_end_takes_its_embedded_cluster_with_it() {
    let mut daemon = Daemon::start();
    daemon.create(&pod("/web", 2, &[sleeper("main")]));
    daemon.wait_until_stable("/web");
    assert!(daemon.terminate().success());
    assert_eq!(daemon.folder().processes(), []);
}

#[test]
fn a_daemon_that_is_asked_to_end_leaves_a_cluster_of_its_own_alone() {
    let cluster = Cluster::start(1);
    let mut daemon = Daemon::start_with(&["--master", cluster.url()]);
    daemon.create(&pod("/web", 2, &[sleeper("main")]));
    let status = daemon.wait_until_stable("/web");
    let processes = main_processes(&status);
    assert!(daemon.terminate().success());
    all_alive(&processes);
    daemon.start_again();
    assert_eq!(lasting(&daemon.wait_until_stable("/web")), lasting(&status));
    all_alive(&processes);
}

#[test]
fn a_framework_that_was_torn_down_comes_back_as_another_one_if_it_may() {
    let cluster = Cluster::start(1);
    let mut daemon = Daemon::start_with(&["--master", cluster.url()]);
    daemon.create(&pod("/web", 1, &[sleeper("a")]));
    let before = task_ids(&list(&daemon.wait_until_stable("/web"), "instances")[0]);
    let process = main_process(&before[0]);
    let framework = |state: &Value| text(&list(state, "frameworks")[0], "id").to_owned();
    let first = framework(&cluster.state());

    // What Mesos does by itself when nobody is connected for longer than the failover timeout.
    cluster.command(&format!("framework/{first}/tear-down"));

    let (status, log) = daemon.wait_for_end();
    assert!(!status.success());
    assert!(log.contains("--framework_removed register"), "it says what to do: {log}");
    eventually("Mesos ends what ran", || if process.is_alive() { Err(first.clone()) } else { Ok(()) });

    daemon.start_again_with(&["--framework_removed", "register"]);
    let after = daemon.wait_for_status("/web", "it runs again", |status| {
        let instance = status["instances"].as_array()?.first()?;
        let is_new = instance["status"] == "STABLE" && task_ids(instance) != before;
        is_new.then(|| task_ids(instance))
    });
    assert!(main_process(&after[0]).is_alive());
    assert_ne!(framework(&cluster.state()), first);
}
