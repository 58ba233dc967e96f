//! Not to converge is excused only by what nobody can help.

use std::time::Duration;

use podium_sim::plan::Plan;
use podium_sim::run::{Report, run};

/// A pod whose container needs 43 s until it is healthy, if it ever is.
fn verdict(behaviour: &str, check: &str) -> Option<&'static str> {
    let text = format!(
        r#"{{ "cluster": {{ "agents": [{{ "cpus": 4, "mem": 4096 }}] }},
             "containers": [{{ "lasting": true, "do": {{ "start": ["1s", "1s"], {behaviour} }} }}],
             "workload": [{{ "at": "2s", "do": {{ "create": {{ "pod": {{
               "id": "/p",
               "scaling": {{ "kind": "fixed", "instances": 1 }},
               "networks": [{{ "mode": "host" }}],
               "containers": [{{
                 "name": "a", "exec": {{ "command": {{ "shell": "x" }} }},
                 "resources": {{ "cpus": 0.1, "mem": 32 }},
                 "healthCheck": {{ "exec": {{ "command": {{ "shell": "check" }} }}, "intervalSeconds": 10,
                                  "timeoutSeconds": 5, {check} }}
               }}]
             }} }} }} }}],
             "expect": [{{ "at": "30s", "that": {{ "pod": {{ "id": "/p", "instances": 1 }} }} }}] }}"#
    );
    run(&Plan::from_json(&text).unwrap()).violation.map(|violation| violation.oracle)
}

#[test]
fn a_check_that_ends_its_container_before_it_can_be_healthy_excuses() {
    let hasty = r#""gracePeriodSeconds": 17, "maxConsecutiveFailures": 1"#;
    assert_eq!(verdict(r#""warm_up": "43s""#, hasty), None);
}

#[test]
fn a_check_that_leaves_enough_time_excuses_nothing() {
    let patient = r#""gracePeriodSeconds": 60, "maxConsecutiveFailures": 1"#;
    assert_eq!(verdict(r#""warm_up": "43s""#, patient), None);
    assert_eq!(verdict(r#""unhealthy": 1000"#, patient), Some("convergence"));
}

/// Of pod `/a` more cannot be than what `scheduling` and `cpus` allow; nothing is wrong with `/b`. `more` is what else
/// the plan has.
fn two_pods(cluster: &str, a: &str, more: &str) -> Report {
    let pod = |id: &str, fields: &str| {
        format!(
            r#"{{ "at": "2s", "do": {{ "create": {{ "pod": {{
                 "id": "{id}", "scaling": {{ "kind": "fixed", "instances": 2 }}, "networks": [{{ "mode": "host" }}],
                 {fields} }} }} }} }}"#
        )
    };
    let plain = r#""containers": [{ "name": "a", "exec": { "command": { "shell": "x" } },
                                    "resources": { "cpus": 0.1, "mem": 32 } }]"#;
    let a = if a.contains("containers") { a.to_owned() } else { format!("{plain}, {a}") };
    let text = format!(
        r#"{{ "cluster": {{ "agents": [{{ "cpus": 4, "mem": 4096 }}] {cluster} }}, "scheduler": {{ "mesos_role": "dev" }},
             "workload": [{}, {}] {more} }}"#,
        pod("/a", &a),
        pod("/b", plain)
    );
    run(&Plan::from_json(&text).unwrap())
}

fn oracle(report: &Report) -> Option<&'static str> {
    report.violation.as_ref().map(|violation| violation.oracle)
}

/// Containers of `/a` never get further than to be started.
const HANGING: &str =
    r#", "containers": [{ "pod": "/a", "lasting": true, "do": { "start": ["9h", "9h"] } }]"#;

/// What excuses in `cluster` and `a`, but not in a cluster and a pod where that is not so.
#[track_caller]
fn only_this_excuses([cluster, a]: [&str; 2], [other_cluster, other_a]: [&str; 2]) {
    let report = two_pods(cluster, a, "");
    assert_eq!((oracle(&report), report.excused), (None, 1), "{:?}", report.violation);
    let report = two_pods(other_cluster, other_a, "");
    assert_eq!((oracle(&report), report.excused), (None, 0), "{:?}", report.violation);
    let report = two_pods(other_cluster, other_a, HANGING);
    assert_eq!(oracle(&report), Some("convergence"));
}

#[test]
fn machines_that_are_too_small_excuse() {
    let needs = |cpus: &str| {
        format!(
            r#""containers": [{{ "name": "a", "exec": {{ "command": {{ "shell": "x" }} }},
                                 "resources": {{ "cpus": {cpus}, "mem": 32 }} }}]"#
        )
    };
    only_this_excuses(["", &needs("4")], ["", &needs("1")]);
}

#[test]
fn a_user_whom_the_master_does_not_let_run_anything_excuses() {
    let user = r#""user": "mallory""#;
    only_this_excuses(
        [r#", "permitted_users": ["root"]"#, user],
        [r#", "permitted_users": ["root", "mallory"]"#, user],
    );
}

#[test]
fn a_constraint_that_no_machine_meets_excuses() {
    let per_host = |most: &str| {
        format!(
            r#""scheduling": {{ "placement": {{ "constraints": [
                {{ "fieldName": "@hostname", "operator": "MAX_PER", "value": "{most}" }}] }} }}"#
        )
    };
    only_this_excuses(["", &per_host("1")], ["", &per_host("2")]);
}

#[test]
fn volumes_that_are_lost_excuse() {
    let resident = r#""volumes": [{ "name": "data", "persistent": { "size": 10 } }],
        "containers": [{ "name": "a", "exec": { "command": { "shell": "x" } }, "resources": { "cpus": 0.1, "mem": 32 },
                         "volumeMounts": [{ "name": "data", "mountPath": "data" }] }]"#;
    let fault = |what: &str| format!(r#", "faults": [{{ "at": "1m", "do": {{ {what} }} }}]"#);
    let report =
        two_pods("", resident, &fault(r#""agent_power_off": { "agent": 0, "wipe": true, "lasts": "1m" }"#));
    assert_eq!((oracle(&report), report.excused), (None, 1), "{:?}", report.violation);
    let back = fault(r#""agent_power_off": { "agent": 0, "wipe": false, "lasts": "1m" }"#);
    let report = two_pods("", resident, &back);
    assert_eq!((oracle(&report), report.excused), (None, 0), "{:?}", report.violation);
}

#[test]
fn a_pod_without_room_does_not_excuse_another() {
    let large = r#""containers": [{ "name": "a", "exec": { "command": { "shell": "x" } },
                                    "resources": { "cpus": 9, "mem": 32 } }]"#;
    let exits_late = r#", "containers": [{ "pod": "/b", "lasting": true, "do": {
        "exits": 1000, "runs": ["12m", "12m"], "status": { "code": 1 } } }]"#;
    let report = two_pods("", large, exits_late);
    let found = report.violation.unwrap().to_string();
    assert!(found.contains("and then task b.") && found.ends_with(" ended"), "{found}");
    // Nobody waits for half an hour if nothing else is missing.
    assert!(report.elapsed < Duration::from_secs(20 * 60), "{:?}", report.elapsed);
}
