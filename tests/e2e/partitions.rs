//! Connections break: between an agent and the master, between the master and the daemon.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use podium_tests::{Cluster, Daemon, Proxy, eventually, process};
use serde_json::{Value, json};

use crate::pod::{all_task_ids, list, main_process, pod, sleeper, task_ids, text};

#[test]
fn a_copy_on_an_agent_that_is_cut_off_is_replaced_and_goes_on_when_the_agent_is_back() {
    replace_and_return("cut-off", "bring-back");
}

#[test]
fn a_copy_on_an_agent_that_hangs_is_replaced_and_goes_on_when_the_agent_is_back() {
    replace_and_return("pause", "resume");
}

fn replace_and_return(away: &str, back: &str) {
    let cluster = Cluster::start_with(2, &["--agent_ping_timeout", "1", "--max_agent_ping_timeouts", "3"]);
    let daemon = Daemon::start_with(&["--master", cluster.url()]);
    let mut definition = pod("/web", 1, &[sleeper("a"), sleeper("b")]);
    definition["scheduling"] =
        json!({ "unreachableStrategy": { "inactiveAfterSeconds": 2, "expungeAfterSeconds": 3600 } });
    daemon.create(&definition);
    let before = daemon.wait_until_stable("/web");
    let [first] = list(&before, "instances") else { panic!("{before:#}") };
    let first_tasks = task_ids(first);
    let processes: Vec<_> = first_tasks.iter().map(|task_id| main_process(task_id)).collect();
    let state = cluster.state();
    let is_its_agent = |agent: &&Value| agent["agent_id"] == first["agentId"];
    let agent = list(&state, "agents").iter().find(is_its_agent).unwrap()["agent"].clone();

    cluster.command(&format!("agent/{agent}/{away}"));
    let of = |status: &Value, is_first: bool| {
        let mut instances = list(status, "instances").iter();
        instances.find(|instance| (instance["id"] == first["id"]) == is_first).cloned()
    };
    daemon.wait_for_status("/web", "the instance is out of reach", |status| {
        let instance = of(status, true)?;
        (instance["containers"][0]["status"] == "TASK_UNREACHABLE").then_some(())
    });
    let second = daemon.wait_for_status("/web", "another one runs elsewhere", |status| {
        of(status, false).filter(|instance| instance["status"] == "STABLE")
    });
    assert_ne!(second["agentId"], first["agentId"]);
    assert!(
        processes.iter().all(|process| process.is_alive()),
        "nobody can reach the first one's agent to kill it"
    );

    cluster.command(&format!("agent/{agent}/{back}"));
    let after = daemon.wait_until_stable("/web");
    let [left] = list(&after, "instances") else { panic!("{after:#}") };
    // Which of the two stays is decided by `killSelection`, which is YOUNGEST_FIRST.
    assert_eq!(left["id"], first["id"]);
    assert_eq!(
        task_ids(left),
        first_tasks,
        "the one that was out of reach goes on as if nothing had happened"
    );
    assert!(processes.iter().all(|process| process.is_alive()));
    for task_id in task_ids(&second) {
        let left = process::of_container(&task_id);
        assert_eq!(left, [], "the surplus is gone");
    }
    assert_eq!(text(&after, "status"), "STABLE");
}

#[test]
fn a_daemon_that_loses_its_master_goes_on_where_it_was_when_it_finds_it_again() {
    let cluster = Cluster::start(1);
    let proxy = Proxy::new();
    proxy.connect(cluster.url());
    let daemon = Daemon::start_with(&["--master", &proxy.url()]);
    daemon.create(&pod("/web", 2, &[sleeper("main")]));
    let before = daemon.wait_until_stable("/web");
    let framework = daemon.get("/v2/info").expect(200)["frameworkId"].clone();
    let [first, second] = list(&before, "instances") else { panic!("{before:#}") };
    let (first, second) = (task_ids(first).remove(0), task_ids(second).remove(0));
    let survivor = main_process(&second);

    proxy.cut();
    main_process(&first).signal(Signal::SIGKILL);
    // The API goes on without the master.
    daemon.create(&pod("/later", 1, &[sleeper("main")]));
    assert_eq!(daemon.status("/later")["status"], "DEGRADED");
    proxy.connect(cluster.url());

    daemon.wait_until_stable("/later");
    let relaunched = format!("{}.2", first.strip_suffix(".1").unwrap());
    daemon.wait_for_status("/web", "what had failed meanwhile is back", |status| {
        (status["status"] == "STABLE" && all_task_ids(status).contains(&relaunched)).then_some(())
    });
    assert!(survivor.is_alive());
    assert_eq!(daemon.get("/v2/info").expect(200)["frameworkId"], framework);
}

#[test]
fn a_master_that_fails_over_disturbs_no_container() {
    let cluster = Cluster::start(2);
    let daemon = Daemon::start_with(&["--master", cluster.url()]);
    daemon.create(&pod("/web", 3, &[sleeper("main")]));
    let before = daemon.wait_until_stable("/web");
    let framework = daemon.get("/v2/info").expect(200)["frameworkId"].clone();

    cluster.command("master/fail-over");
    // Both it and its agents are known to the new master as soon as it can be scaled.
    let mut more = pod("/web", 4, &[sleeper("main")]);
    more["version"] = before["spec"]["version"].clone();
    daemon.update(&more);
    let after = daemon.wait_until_stable("/web");

    for task_id in all_task_ids(&before) {
        assert!(all_task_ids(&after).contains(&task_id));
        assert!(main_process(&task_id).is_alive());
    }
    assert_eq!(daemon.get("/v2/info").expect(200)["frameworkId"], framework);
}

/// By its clock the time of a copy that was out of reach is over when it goes on; but the copy came back meanwhile.
#[test]
fn a_daemon_that_stood_still_asks_before_it_replaces_anything() {
    let cluster = Cluster::start_with(2, &["--agent_ping_timeout", "1", "--max_agent_ping_timeouts", "3"]);
    let daemon = Daemon::start_with(&["--master", cluster.url()]);
    let mut definition = pod("/web", 1, &[sleeper("main")]);
    definition["scheduling"] =
        json!({ "unreachableStrategy": { "inactiveAfterSeconds": 60, "expungeAfterSeconds": 3600 } });
    daemon.create(&definition);
    let before = daemon.wait_until_stable("/web");
    let state = cluster.state();
    let is_its_agent = |agent: &&Value| agent["agent_id"] == before["instances"][0]["agentId"];
    let agent = list(&state, "agents").iter().find(is_its_agent).unwrap()["agent"].clone();
    cluster.command(&format!("agent/{agent}/cut-off"));
    daemon.wait_for_status("/web", "the instance is out of reach", |status| {
        (status["instances"][0]["containers"][0]["status"] == "TASK_UNREACHABLE").then_some(())
    });

    let asked = |metrics: &str| {
        let line = metrics.lines().find(|line| line.starts_with(r#"podium_calls_total{call="RECONCILE"}"#));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or(0.0)
    };
    let asked_before = asked(&daemon.get("/metrics").text);
    daemon.process().signal(Signal::SIGSTOP);
    let stopped = Instant::now();
    cluster.command(&format!("agent/{agent}/bring-back"));
    eventually("it has stood still for longer than the instance may be out of reach", || {
        let stands_still = stopped.elapsed();
        if stands_still > Duration::from_secs(65) { Ok(()) } else { Err(format!("{stands_still:?}")) }
    });
    daemon.process().signal(Signal::SIGCONT);

    let after = daemon.wait_until_stable("/web");
    assert_eq!(all_task_ids(&after), all_task_ids(&before));
    assert!(daemon.log().contains("nothing was done for"), "{}", daemon.log());
    let metrics = daemon.get("/metrics").text;
    assert!(asked(&metrics) > asked_before, "Mesos was not asked: {metrics}");
    assert!(metrics.contains("\npodium_launches_total 1\n"), "nothing was launched in its place: {metrics}");
}

#[test]
fn an_agent_that_restarts_keeps_its_containers_and_one_that_reboots_loses_them() {
    let cluster = Cluster::start(1);
    let daemon = Daemon::start_with(&["--master", cluster.url()]);
    daemon.create(&pod("/web", 1, &[sleeper("main")]));
    let before = all_task_ids(&daemon.wait_until_stable("/web")).remove(0);
    let process = main_process(&before);

    cluster.command("agent/0/restart");
    daemon.create(&pod("/later", 1, &[sleeper("main")]));
    daemon.wait_until_stable("/later");
    assert!(process.is_alive());
    assert_eq!(all_task_ids(&daemon.wait_until_stable("/web")), [before.as_str()]);

    cluster.command("agent/0/reboot");
    daemon.wait_for_status("/web", "it runs again", |status| {
        (status["status"] == "STABLE" && all_task_ids(status) != [before.as_str()]).then_some(())
    });
    assert!(!process.is_alive());
}
