//! What becomes of everything in the end.

use super::*;

/// Pod `/a/x` is too large for any machine; pod `/b/x` is not. `dependencies` is what group `/b` says.
fn one_too_large(dependencies: &str) -> Plan {
    let pod = |id: &str, cpus: &str| {
        format!(
            r#"{{ "at": "5s", "do": {{ "create": {{ "pod": {{
                 "id": "{id}", "scaling": {{ "kind": "fixed", "instances": 1 }}, "networks": [{{ "mode": "host" }}],
                 "containers": [{{ "name": "a", "exec": {{ "command": {{ "shell": "x" }} }},
                   "resources": {{ "cpus": {cpus}, "mem": 32 }} }}] }} }} }} }}"#
        )
    };
    let text = format!(
        r#"{{ "cluster": {{ "agents": [{{ "cpus": 4, "mem": 4096 }}] }},
             "workload": [
               {{ "at": "2s", "do": {{ "update_group": {{ "group": {{ "id": "/b" {dependencies} }} }} }} }},
               {}, {}
             ] }}"#,
        pod("/a/x", "9"),
        pod("/b/x", "1")
    );
    Plan::from_json(&text).unwrap()
}

#[test]
fn a_deployment_that_is_never_done_while_another_pod_has_no_room() {
    // Does not hear that anything has ended.
    let deaf = bug!(hear, |input| without(input, |status| {
        status.state.is_terminal() || status.state == TaskState::TaskUnknown
    }));
    let report = run(&one_too_large(""));
    assert_eq!((report.violation, report.excused), (None, 1));
    let report = run(&one_too_large(r#", "dependencies": ["/a"]"#));
    assert_eq!((report.violation, report.excused), (None, 2));
    let mut plan = one_too_large("");
    plan.workload
        .push(serde_json::from_str(r#"{ "at": "1m", "do": { "delete": { "pod": "/b/x" } } }"#).unwrap());
    assert_eq!(run(&plan).violation, None);
    let found = violation_unheard(deaf, &plan).to_string();
    assert!(found.contains("a deployment of /b/x is not done"), "{found}");
}

#[test]
fn a_request_that_is_never_answered_while_a_pod_has_no_room() {
    let silent = bug!(say, |output| {
        let is_it = |action: &Action| match action {
            Action::Reply { result: Ok(response), .. } => {
                matches!(**response, Response::GroupUpdated { .. })
            }
            _ => false,
        };
        output.actions.retain(|action| !is_it(action));
    });
    let found = violation(silent, &one_too_large("")).to_string();
    assert!(found.ends_with("some request of a client has not been answered"), "{found}");
}

/// Two definitions, one after the other; the scheduler dies at the second one, `on` that occasion.
fn crash_in_rollout(on: &str) -> Plan {
    let crash = format!(
        r#", "mended_at": "20m",
             "faults": [{{ "at": "5m", {on} "do": {{ "scheduler_crashed": {{ "lasts": "20s" }} }} }}]"#
    );
    let mut plan = plan_with(ONE_BY_ONE, &crash);
    plan.workload.truncate(2);
    plan
}

#[test]
fn a_rollout_that_replaces_nothing() {
    let content = bug!(remember, |entries| {
        for entry in entries {
            if let Entry::Deployment(deployment) = entry {
                for action in deployment.steps.iter_mut().flat_map(|step| &mut step.actions) {
                    action.action = ActionKind::ScalePod;
                }
            }
        }
    });
    let plan = crash_in_rollout(r#""after": "1s","#);
    assert_eq!(run(&plan).violation, None);
    let found = violation(content, &plan).to_string();
    assert!(found.starts_with("convergence: ") && found.contains("is still of version"), "{found}");
}

#[test]
fn a_change_that_is_accepted_and_never_made() {
    // Keeps the new definition, but not that it is the one that counts.
    let absent = bug!(say_with, Option<Timestamp>, |first, output| {
        let mut is_change = false;
        for record in &mut output.records {
            if let Record::Put(Entry::Pod(PodState { current: Some(version), .. })) = record {
                is_change |= *first.get_or_insert(*version) < *version;
                *version = first.unwrap_or_default();
            }
        }
        if is_change {
            let is_kept = |record: &Record| match record {
                Record::Put(Entry::Deployment(_)) => false,
                Record::Put(Entry::Instance(instance)) => instance.incarnation > 0,
                _ => true,
            };
            output.records.retain(is_kept);
        }
    });
    let found = violation_unheard(absent, &crash_in_rollout(r#""on": "reply","#)).to_string();
    assert!(
        found.starts_with("convergence: ") && found.contains("pod /web is not as it was accepted"),
        "{found}"
    );
}

#[test]
fn a_copy_that_nobody_wants_and_nobody_ends() {
    let merciful = bug!(say, |output| {
        let is_end =
            |action: &Action| matches!(action, Action::Call(Call::Kill { .. } | Call::Shutdown { .. }));
        output.actions.retain(|action| !is_end(action));
    });
    let mut plan = surplus("", "", "");
    plan.workload.truncate(1);
    for (at, request) in [
        ("1m", r#"{ "delete": { "pod": "/web" } }"#),
        ("1m1s", r#"{ "cancel": { "pod": "/web", "force": true } }"#),
    ] {
        let text = format!(r#"{{ "at": "{at}", "do": {request} }}"#);
        plan.workload.push(serde_json::from_str(&text).unwrap());
    }
    assert_eq!(run(&plan).violation, None);
    let found = violation(merciful, &plan).to_string();
    assert!(
        found.starts_with("convergence: ") && found.ends_with("still runs, and nobody wants it"),
        "{found}"
    );
}

#[test]
fn an_update_that_old_copies_make_no_place_for() {
    // Its clock stands still soon after the update: no search for a place ever ends.
    #[derive(Clone, Default)]
    struct Patient(Cell<Option<Timestamp>>);
    impl Bug for Patient {
        fn clock(&self, now: Timestamp) -> Timestamp {
            let last = self.0.get().unwrap_or(now + Duration::from_secs(70));
            self.0.set(Some(last));
            now.min(last)
        }

        fn deadline(&self, deadline: Option<Timestamp>) -> Option<Timestamp> {
            deadline.filter(|at| Some(*at) <= self.0.get())
        }
    }
    let full = include_str!(
        "../../../sim-scenarios/scenarios/an-update-finds-a-place-where-there-is-none-beside-the-old-copies.json"
    );
    let mut plan = Plan::from_json(full).unwrap();
    plan.expect.clear();
    plan.settle = Span::from_secs(10 * 60);
    let found = violation(Patient::default(), &plan).to_string();
    assert!(
        found.starts_with("convergence: ") && found.contains("a deployment of /web is not done"),
        "{found}"
    );
}
