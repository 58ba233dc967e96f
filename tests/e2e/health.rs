//! Health checks.

use podium_tests::{Daemon, lease_agent_ports};
use serde_json::{Value, json};

use crate::pod::{all_task_ids, container, list, main_process, pod, text};

const ANSWER: &str = env!("CARGO_BIN_EXE_answer");

/// A pod that is healthy until its sandbox has a file `broken`. Two failures in a row make it unhealthy: a machine
/// that is so busy that twice nothing answers within seconds is not to be taken for that.
fn checked(id: &str, shell: &str, check: (&str, Value)) -> Value {
    let mut definition = pod(id, 1, &[container("main", shell)]);
    definition["containers"][0]["endpoints"] = json!([{ "name": "web", "hostPort": 0, "protocol": ["tcp"] }]);
    definition["containers"][0]["healthCheck"] = json!({
        "gracePeriodSeconds": 60,
        "intervalSeconds": 7,
        "maxConsecutiveFailures": 2,
        "timeoutSeconds": 6,
        "delaySeconds": 0,
    });
    definition["containers"][0]["healthCheck"][check.0] = check.1;
    definition
}

#[test]
fn a_pod_is_stable_once_it_is_healthy_and_replaced_when_it_is_not_any_more() {
    let _ports = lease_agent_ports();
    let daemon = Daemon::start();
    let http = json!({ "endpoint": "web", "path": "/healthy" });
    let exec = json!({ "command": { "shell": "test ! -e broken" } });
    let pods = [
        checked("/http", &format!("exec {ANSWER} http $ENDPOINT_WEB"), ("http", http)),
        checked("/tcp", &format!("exec {ANSWER} tcp $ENDPOINT_WEB"), ("tcp", json!({ "endpoint": "web" }))),
        checked("/exec", "sleep 1000", ("exec", exec)),
    ];
    for pod in &pods {
        daemon.create(pod);
    }

    let is_healthy = |status: &Value| {
        let instance = status["instances"].as_array()?.first()?.clone();
        let condition = &instance["containers"][0]["conditions"][0];
        let is_healthy = condition["name"] == "healthy" && condition["value"] == "true";
        (is_healthy && instance["status"] == "STABLE" && status["status"] == "STABLE").then_some(instance)
    };
    let healthy =
        pods.each_ref().map(|pod| daemon.wait_for_status(text(pod, "id"), "it is healthy", is_healthy));
    for instance in &healthy {
        assert_eq!(instance["incarnation"], 1, "nobody was replaced for no reason");
        if !text(instance, "id").starts_with("exec") {
            assert_eq!(instance["containers"][0]["endpoints"][0]["healthy"], true, "{instance:#}");
        }
    }
    let processes = healthy.each_ref().map(|instance| {
        let task_id = text(&instance["containers"][0], "containerId");
        std::fs::write(daemon.folder().sandbox(task_id).join("broken"), "").unwrap();
        main_process(task_id)
    });

    for (pod, process) in pods.iter().zip(&processes) {
        let status = daemon.wait_for_status(text(pod, "id"), "a healthy one is back", |status| {
            // It may take more than one attempt, if somebody else on this machine has its port for a moment.
            (is_healthy(status)?["incarnation"].as_u64()? >= 2).then(|| status.clone())
        });
        assert!(!process.is_alive());
        let Some(ended) = list(&status, "terminationHistory").last() else { panic!("{status:#}") };
        assert_eq!(ended["containers"][0]["lastKnownState"], "TASK_KILLED");
        let told = "container 'main' was killed because its health check failed: Command terminated";
        assert!(text(ended, "message").starts_with(told), "{ended:#}");
        let incarnation = &list(&status, "instances")[0]["incarnation"];
        assert!(all_task_ids(&status)[0].ends_with(&format!(".{incarnation}")), "{status:#}");
        let (log, told) = (daemon.log(), format!("{}: unhealthy", text(ended, "instanceID")));
        assert!(log.contains(&told), "no '{told}' in:\n{log}");
    }
}
