//! What is said before it is durable.

use super::*;

/// What a scheduler does before the records are durable that go with it: they come one step late.
macro_rules! early {
    ($plan:expr, $pattern:pat $(if $guard:expr)?) => {{
        let early = bug!(say_with, Vec<Record>, |late, output| {
            let is_it = |action: &Action| matches!(action, $pattern $(if $guard)?);
            let mut records = std::mem::take(late);
            if output.actions.iter().any(is_it) {
                *late = std::mem::take(&mut output.records);
                let is_kill = |action: &Action| matches!(action, Action::Call(Call::Kill { .. }));
                output.actions.retain(|action| is_it(action) || !is_kill(action));
            }
            records.append(&mut output.records);
            output.records = records;
        });
        let plan = $plan;
        assert_eq!(run(&plan).violation, None);
        violation_unheard(early, &plan).to_string()
    }};
}

/// Whether `action` is this answer.
macro_rules! answers {
    ($action:expr, $pattern:pat) => {
        matches!($action, Ok(response) if matches!(**response, $pattern))
    };
}

#[test]
fn a_launch() {
    let found = early!(plan(), Action::Accept(_));
    assert!(found.starts_with("durability: the launch of "), "{found}");
}

#[test]
fn a_kill() {
    let found = early!(plan(), Action::Call(Call::Kill { .. }));
    assert!(
        found.starts_with("durability: the end of ") && found.contains("the wish was durable"),
        "{found}"
    );
}

#[test]
fn a_launch_without_the_id_of_the_framework() {
    let anonymous = bug!(say, |output| {
        output.records.retain(|record| !matches!(record, Record::Put(Entry::Framework(_))));
    });
    let found = violation(anonymous, &plan()).to_string();
    assert!(found.starts_with("durability: ") && found.contains("framework's id"), "{found}");
}

#[test]
fn answers_about_pods() {
    let found = early!(plan(), Action::Reply { result, .. } if answers!(result, Response::PodCreated { .. }));
    assert!(found.starts_with("durability: version "), "{found}");
    let found = early!(plan(), Action::Reply { result, .. } if answers!(result, Response::PodUpdated { .. }));
    assert!(found.starts_with("durability: version "), "{found}");
    let found = early!(plan(), Action::Reply { result, .. } if answers!(result, Response::PodDeleted { .. }));
    assert!(found.starts_with("durability: the deletion of pod "), "{found}");
    let plan = requests(&[r#"{ "kill": { "pod": "/web", "nth": [0] } }"#]);
    let found = early!(plan, Action::Reply { result, .. } if answers!(result, Response::InstancesKilled(_)));
    assert!(found.starts_with("durability: the end of ") && found.contains("was confirmed"), "{found}");
}

/// A copy of `/web`, and requests from the third minute on, ten seconds apart.
fn requests(requests: &[&str]) -> Plan {
    let mut plan = surplus("", "", "");
    plan.workload.truncate(1);
    let times = (0..).map(|nth| format!("{}s", 180 + 10 * nth));
    for (at, request) in times.zip(requests) {
        let text = format!(r#"{{ "at": "{at}", "do": {request} }}"#);
        plan.workload.push(serde_json::from_str(&text).unwrap());
    }
    plan
}

#[test]
fn answers_about_groups() {
    let update = r#"{ "update_group": { "group": { "id": "/g", "dependencies": ["/h"] } } }"#;
    let delete = r#"{ "delete_group": { "group": "/" } }"#;
    let found = early!(
        requests(&[update]),
        Action::Reply { result, .. } if answers!(result, Response::GroupUpdated { .. })
    );
    assert!(found.starts_with("durability: the change of group /g was confirmed"), "{found}");
    let found = early!(
        requests(&[delete]),
        Action::Reply { result, .. } if answers!(result, Response::GroupDeleted { .. })
    );
    assert!(found.starts_with("durability: the deletion of group / was confirmed"), "{found}");
}

#[test]
fn answers_about_deployments() {
    let create = r#"{ "create": { "pod": { "id": "/large", "networks": [{ "mode": "host" }],
        "scaling": { "kind": "fixed", "instances": 1 },
        "containers": [{ "name": "a", "exec": { "command": { "shell": "x" } },
          "resources": { "cpus": 9, "mem": 32 } }] } } }"#;
    let cancel = |force: bool| format!(r#"{{ "cancel": {{ "pod": "/large", "force": {force} }} }}"#);
    let (force, revert) = (cancel(true), cancel(false));
    let found = early!(
        requests(&[create, &revert]),
        Action::Reply { result, .. } if answers!(result, Response::DeploymentReverted { .. })
    );
    assert!(
        found.starts_with("durability: the end of deployment ") && found.contains("confirmed"),
        "{found}"
    );
    let plan = requests(&[create, &force]);
    let found = early!(plan, Action::Reply { result, .. } if answers!(result, Response::DeploymentCancelled));
    assert!(
        found.starts_with("durability: the end of deployment ") && found.contains("confirmed"),
        "{found}"
    );
}

#[test]
fn an_acknowledgement_of_a_change_of_health() {
    // Does not keep that something is not healthy.
    let rosy = bug!(say, |output| {
        for instance in copies(output) {
            for task in &mut instance.tasks {
                task.healthy = task.healthy.map(|_| true);
            }
        }
    });
    let check = r#", "healthCheck": { "exec": { "command": { "shell": "check" } }, "intervalSeconds": 5,
                     "timeoutSeconds": 1, "maxConsecutiveFailures": 30, "gracePeriodSeconds": 5 }"#;
    let ill = r#", "faults": [
        { "at": "3m", "do": { "container_unhealthy": { "of": { "nth": 0 }, "lasts": "1m" } } }]"#;
    let plan = surplus("", check, ill);
    assert_eq!(run(&plan).violation, None);
    let found = violation_unheard(rosy, &plan).to_string();
    assert!(
        found.starts_with("durability: ") && found.contains("was acknowledged before it was durable"),
        "{found}"
    );
}

#[test]
fn a_release_before_the_end_of_its_instance_is_durable() {
    // Gives back what it reserves.
    let hasty = bug!(say, |output| {
        for accept in accepts(output) {
            let homes = accept.launches.iter().filter_map(|launch| launch.home.as_ref());
            accept.release.resources = homes.flat_map(|home| home.volumes.clone()).collect();
        }
    });
    let found = violation(hasty, &placement::residents()).to_string();
    assert!(found.starts_with("durability: ") && found.contains("given back before"), "{found}");
}
