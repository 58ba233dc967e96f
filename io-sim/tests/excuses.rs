//! Not to converge is excused only by what nobody can help.

use podium_sim::plan::Plan;
use podium_sim::run::run;

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
