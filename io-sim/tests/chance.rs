//! What is left to chance depends on what it is for, and not on what else happens in a run.

use podium_sim::plan::{Plan, Planned, Request, Span};
use podium_sim::run::run_traced;
use serde_json::{Value, json};

fn container(name: &str) -> Value {
    json!({
        "name": name,
        "exec": { "command": { "shell": "serve" } },
        "resources": { "cpus": 0.1, "mem": 32 },
        "healthCheck": { "exec": { "command": { "shell": "check" } }, "intervalSeconds": 7, "timeoutSeconds": 5 }
    })
}

/// A pod on the machines of a rack.
fn pod(id: &str, rack: &str) -> Value {
    json!({
        "id": id,
        "scaling": { "kind": "fixed", "instances": 3 },
        "networks": [{ "mode": "host" }],
        "scheduling": {
            "backoff": { "backoff": 1, "backoffFactor": 2, "maxLaunchDelay": 20 },
            "placement": { "constraints": [{ "fieldName": "rack", "operator": "IS", "value": rack }] }
        },
        "containers": [container("a"), container("b")]
    })
}

/// A run in which much happens to `/web` after five minutes, all of it with chance.
fn plan() -> Plan {
    let agent = |rack: &str| json!({ "cpus": 4, "mem": 4096, "attributes": { "rack": rack } });
    let plan = json!({
        "seed": 11,
        "cluster": {
            "agents": [agent("r0"), agent("r0"), agent("r1"), agent("r1")],
            "latency": ["1ms", "300ms"]
        },
        "scheduler": { "latency": ["1ms", "300ms"], "write": ["1ms", "40ms"] },
        "containers": [{ "pod": "/web", "do": { "start": ["50ms", "20s"], "stop": ["10ms", "3s"], "unhealthy": 30, "deaf": 300 } }],
        "workload": [
            { "at": "2s", "do": { "create": { "pod": pod("/web", "r0") } } },
            { "at": "6m", "do": { "kill": { "pod": "/web", "nth": [1] } } },
            { "at": "9m", "do": { "scale": { "pod": "/web", "instances": 4 } } },
            { "at": "12m", "do": { "scale": { "pod": "/web", "instances": 3 } } }
        ],
        "faults": [
            { "at": "5m", "do": { "container_exits": { "of": { "pod": "/web" }, "status": { "code": 1 } } } },
            { "at": "7m", "do": { "executor_killed": { "of": { "pod": "/web" } } } },
            { "at": "14m", "do": { "agent_stopped": { "agent": 0, "lasts": "20s" } } },
            { "at": "15m", "do": { "connection_broken": {} } },
            { "at": "16m", "do": { "scheduler_crashed": { "lasts": "3s" } } },
            { "at": "18m", "do": { "container_exits": { "of": { "pod": "/web" }, "status": { "code": 0 } } } }
        ]
    });
    Plan::from_json(&plan.to_string()).unwrap()
}

/// Everything that happens to `/web` in a run, with its time.
fn story(plan: &Plan) -> Vec<String> {
    let report = run_traced(plan);
    assert_eq!(report.violation, None);
    let trace = report.trace.unwrap();
    let lines = trace.lines().iter().filter(|line| line.who.starts_with("web#"));
    let lines =
        lines.map(|line| format!("{} {} {} → {}: {}", line.at, line.who, line.from, line.to, line.why));
    lines.collect()
}

/// Compares what happens to `/web` in `plan` with what happens to it without what it has in addition.
fn assert_same_for_web(with: &Plan) {
    let (without, with) = (story(&plan()), story(with));
    assert!(without.len() > 100, "{without:#?}");
    let part = without.iter().zip(&with).position(|(a, b)| a != b);
    let around =
        |story: &[String]| part.map(|at| story[at.saturating_sub(3)..story.len().min(at + 3)].to_vec());
    assert_eq!(around(&without), around(&with));
    assert_eq!(without.len(), with.len());
}

fn with(requests: impl IntoIterator<Item = (u64, Request)>) -> Plan {
    let mut plan = plan();
    let requests = requests.into_iter().map(|(at, what)| Planned::at(Span::from_secs(at), what));
    plan.workload.extend(requests);
    plan
}

#[test]
fn another_pod_on_other_machines_changes_no_latency() {
    let create = Request::Create { pod: pod("/other", "r1"), force: false };
    assert_same_for_web(&with([
        (150, create),
        (270, Request::Delete { pod: "/other".to_owned(), force: false }),
    ]));
}

/// Also those that the scheduler draws (ids, and thereby which of two equal copies comes first).
#[test]
fn a_pod_that_is_made_before_it_changes_no_order_of_its_copies() {
    let order = |plan: &Plan| -> Vec<String> {
        let report = run_traced(plan);
        let trace = report.trace.unwrap();
        let launched =
            trace.lines().iter().filter(|line| line.who.starts_with("web#") && line.to == "Provisioned");
        launched.map(|line| format!("{} {}", line.who, line.why)).collect()
    };
    let mut with = plan();
    let create = Request::Create { pod: pod("/other", "r1"), force: false };
    with.workload.insert(0, Planned::at(Span::from_secs(1), create));
    assert_eq!(order(&plan()), order(&with));
}

#[test]
fn requests_that_change_nothing_change_no_latency() {
    let reset = || Request::ResetDelay { pod: "/web".to_owned() };
    let same = Request::Scale { pod: "/web".to_owned(), instances: 3, force: false };
    let none = Request::Delete { pod: "/none".to_owned(), force: false };
    assert_same_for_web(&with([(100, reset()), (200, same), (220, none), (400, reset())]));
}

#[test]
fn questions_that_are_asked_more_often_change_no_latency() {
    let mut plan = plan();
    plan.scheduler.reconciliation_interval = Some(Span::from_secs(47));
    assert_same_for_web(&plan);
}
