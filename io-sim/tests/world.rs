//! The world itself: when things happen in it.

use podium_sim::plan::Plan;
use podium_sim::run::{run, run_traced};

fn plan(text: &str) -> Plan {
    Plan::from_json(text).unwrap()
}

/// The request comes at the very instant at which the scheduler connects, and is all that happens: everything
/// counts as mended from that instant on, in the middle of what happens at it.
#[test]
fn everything_may_be_mended_at_the_instant_of_the_last_event() {
    let plan = plan(
        r#"{
          "cluster": { "agents": [{ "cpus": 4, "mem": 4096 }] },
          "workload": [{ "at": "1s", "do": { "delete": { "pod": "/p" } } }]
        }"#,
    );
    assert_eq!(plan.mended_at().as_millis(), 1000);
    assert_eq!(run(&plan).violation, None);
}

#[test]
fn a_fault_at_the_instant_of_mending_still_happens() {
    let plan = plan(
        r#"{
          "cluster": { "agents": [{ "cpus": 4, "mem": 4096 }] },
          "faults": [{ "at": "10s", "do": { "master_failover": {} } }]
        }"#,
    );
    let report = run_traced(&plan);
    assert_eq!(report.violation, None);
    let story = report.trace.unwrap().short();
    let line =
        |what: &str| story.lines().position(|line| line.contains(what)).unwrap_or_else(|| panic!("{story}"));
    assert!(line("master_failover") < line("all mended"), "{story}");
}

#[test]
fn what_an_author_expects_is_compared_with_what_is() {
    let violation = |expected: &str| {
        let plan = plan(&format!(
            r#"{{
              "cluster": {{ "agents": [{{ "cpus": 4, "mem": 4096 }}] }},
              "workload": [{{ "at": "2s", "do": {{ "create": {{ "pod": {{
                "id": "/p",
                "scaling": {{ "kind": "fixed", "instances": 2 }},
                "networks": [{{ "mode": "host" }}],
                "containers": [
                  {{ "name": "a", "exec": {{ "command": {{ "shell": "x" }} }}, "resources": {{ "cpus": 0.1, "mem": 32 }} }}
                ]
              }} }} }} }}],
              "expect": [{{ "at": "1h", "that": {expected} }}]
            }}"#
        ));
        run(&plan).violation.map(|violation| violation.to_string())
    };
    let right = r#"{ "pod": { "id": "/p", "stable": 2, "instances": 2, "containers": 2, "launches": 2 } }"#;
    assert_eq!(violation(right), None);
    for (wrong, sentence) in [
        (r#"{ "pod": { "id": "/p", "stable": 3 } }"#, "of pod /p, 2 instances are stable instead of 3"),
        (r#"{ "pod": { "id": "/p", "instances": 1 } }"#, "of pod /p, 2 instances are shown instead of 1"),
        (r#"{ "pod": { "id": "/p", "containers": 4 } }"#, "of pod /p, 2 containers run instead of 4"),
        (r#"{ "pod": { "id": "/p", "launches": 3 } }"#, "of pod /p, 2 launches there were instead of 3"),
        (r#"{ "pod": { "id": "/q" } }"#, "there is no pod /q"),
        (r#"{ "gone": "/p" }"#, "there is a pod /p"),
        (r#"{ "deployments": 1 }"#, "0 deployments are on their way instead of 1"),
    ] {
        let expected = format!("expectation: expect[0], at 1h: {sentence}");
        assert_eq!(violation(wrong), Some(expected));
    }
}
