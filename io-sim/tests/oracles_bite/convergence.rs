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
    /// Does not hear that anything has ended.
    #[derive(Clone, Default)]
    struct Deaf;
    impl Bug for Deaf {
        fn hear(&mut self, input: Input) -> Input {
            let is_end =
                |status: &TaskStatus| status.state.is_terminal() || status.state == TaskState::TaskUnknown;
            match &input {
                Input::Event(event) => match &**event {
                    Event::Update(status) if is_end(status) => Input::Tick,
                    _ => input,
                },
                _ => input,
            }
        }
    }
    let report = run(&one_too_large(""));
    assert_eq!((report.violation, report.excused), (None, 1));
    let report = run(&one_too_large(r#", "dependencies": ["/a"]"#));
    assert_eq!((report.violation, report.excused), (None, 2));
    let mut plan = one_too_large("");
    plan.workload
        .push(serde_json::from_str(r#"{ "at": "1m", "do": { "delete": { "pod": "/b/x" } } }"#).unwrap());
    assert_eq!(run(&plan).violation, None);
    let found = violation_unheard::<Deaf>(&plan).to_string();
    assert!(found.contains("a deployment of /b/x is not done"), "{found}");
}

#[test]
fn a_request_that_is_never_answered_while_a_pod_has_no_room() {
    #[derive(Clone, Default)]
    struct Silent;
    impl Bug for Silent {
        fn say(&mut self, mut output: Output) -> Output {
            let is_it = |action: &Action| match action {
                Action::Reply { result: Ok(response), .. } => {
                    matches!(**response, Response::GroupUpdated { .. })
                }
                _ => false,
            };
            output.actions.retain(|action| !is_it(action));
            output
        }
    }
    let found = violation::<Silent>(&one_too_large("")).to_string();
    assert!(found.ends_with("some request of a client has not been answered"), "{found}");
}
