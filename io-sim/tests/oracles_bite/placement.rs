//! What is launched where, and what is kept there.

use super::*;

#[test]
fn a_launch_that_takes_more_than_is_offered() {
    let greedy = bug!(say, |output| {
        for draw in launches(output).flat_map(|launch| &mut launch.draws) {
            draw.amount = Scalar::from_f64(1_000_000.0);
        }
    });
    assert_eq!(verdict(greedy), "placement");
}

#[test]
fn a_launch_on_ports_that_are_not_offered() {
    let privileged = bug!(say, |output| {
        for draw in launches(output).flat_map(|launch| &mut launch.ports) {
            draw.port = 80;
        }
    });
    let found = violation(privileged, &plan()).to_string();
    assert!(found.starts_with("placement: ") && found.contains("port 80"), "{found}");
}

#[test]
fn a_launch_against_a_constraint() {
    // Takes every offer for one of another machine.
    let confused = bug!(hear, |input| {
        if let Input::Event(event) = input
            && let Event::Offers(offers) = &mut **event
        {
            for offer in offers {
                offer.hostname = offer.id.to_string();
            }
        }
    });
    let constraint =
        r#""placement": { "constraints": [{ "fieldName": "@hostname", "operator": "UNIQUE" }] }"#;
    let found = violation(confused, &plan_with(constraint, "")).to_string();
    assert!(found.starts_with("placement: ") && found.contains("against a constraint"), "{found}");
}

/// Asks for something else than what the definition says.
macro_rules! misread {
    ($plan:expr, $launch:ident => $change:expr) => {{
        let sloppy = bug!(say, |output| {
            for $launch in launches(output) {
                $change;
            }
        });
        violation(sloppy, $plan).to_string()
    }};
}

#[test]
fn a_launch_of_something_else() {
    let found = misread!(&plan(), launch => launch.draws[0].amount = Scalar::from_f64(0.05));
    assert!(found.starts_with("atomicity: ") && found.contains("is launched with 0.05 cpus"), "{found}");
    let found = misread!(&plan(), launch => Arc::make_mut(&mut launch.spec).containers[1].exec = None);
    assert!(
        found.starts_with("atomicity: ") && found.contains("is launched with another command"),
        "{found}"
    );
    let check = r#", "healthCheck": { "exec": { "command": { "shell": "check" } }, "intervalSeconds": 5,
                     "timeoutSeconds": 1, "maxConsecutiveFailures": 30, "gracePeriodSeconds": 5 }"#;
    let plan = surplus("", check, "");
    let found = misread!(&plan, launch => Arc::make_mut(&mut launch.spec).containers[0].health_check = None);
    assert!(found.starts_with("atomicity: ") && found.contains("with another health check"), "{found}");
    let port = r#", "endpoints": [{ "name": "web", "hostPort": 31005 }]"#;
    let found = misread!(&surplus("", port, ""), launch => launch.ports[0].port = 31_006);
    assert!(found.starts_with("atomicity: ") && found.contains("port 31005"), "{found}");
}

#[test]
fn a_port_that_is_used_twice() {
    let found = misread!(&plan(), launch => launch.ports[1] = launch.ports[0]);
    assert!(found.starts_with("placement: port ") && found.ends_with("is used twice"), "{found}");
}

#[test]
fn a_launch_in_another_region() {
    // Does not see where anything is.
    let global = bug!(hear, |input| {
        if let Input::Event(event) = input
            && let Event::Offers(offers) = &mut **event
        {
            offers.iter_mut().for_each(|offer| offer.domain = None);
        }
    });
    let mut plan = plan();
    plan.cluster.domain = Some(["east".to_owned(), "a".to_owned()]);
    for agent in &mut plan.cluster.agents {
        agent.domain = Some(["west".to_owned(), "a".to_owned()]);
    }
    let found = violation(global, &plan).to_string();
    assert!(found.starts_with("placement: ") && found.ends_with("in another region"), "{found}");
}

#[test]
fn a_launch_with_other_volumes_than_before() {
    let careless = bug!(say, |output| {
        for launch in launches(output).filter(|launch| launch.incarnation > 1) {
            launch.home = None;
        }
    });
    let mut plan = residents();
    let exits = r#"{ "at": "1m", "do": { "container_exits": { "of": {}, "status": { "code": 1 } } } }"#;
    plan.faults.push(serde_json::from_str(exits).unwrap());
    assert_eq!(run(&plan).violation, None);
    let found = violation(careless, &plan).to_string();
    assert!(found.starts_with("volumes: ") && found.contains("is launched with []"), "{found}");
}

/// Two copies with a volume each; the pod is deleted in the end.
pub(super) fn residents() -> Plan {
    Plan::from_json(
        r#"{ "cluster": { "agents": [{ "cpus": 4, "mem": 4096 }] }, "scheduler": { "mesos_role": "dev" },
             "workload": [
               { "at": "2s", "do": { "create": { "pod": {
                 "id": "/db", "scaling": { "kind": "fixed", "instances": 2 }, "networks": [{ "mode": "host" }],
                 "volumes": [{ "name": "data", "persistent": { "size": 10 } }],
                 "containers": [{ "name": "a", "exec": { "command": { "shell": "one" } },
                   "resources": { "cpus": 0.1, "mem": 32 },
                   "volumeMounts": [{ "name": "data", "mountPath": "data" }] }] } } } },
               { "at": "2m", "do": { "delete": { "pod": "/db" } } }
             ] }"#,
    )
    .unwrap()
}

#[test]
fn reservations_that_nobody_gives_back() {
    let hoarder = bug!(say, |output| {
        for accept in accepts(output) {
            accept.release = Default::default();
        }
    });
    assert_eq!(violation(hoarder, &residents()).oracle, "volumes");
    assert_eq!(run(&residents()).violation, None);
}

#[test]
fn a_volume_that_is_destroyed_while_its_instance_needs_it() {
    let shredder = bug!(say, |output| {
        for accept in accepts(output) {
            let homes = accept.launches.iter().filter_map(|launch| launch.home.as_ref());
            accept.release.volumes = homes.flat_map(|home| home.volumes.clone()).collect();
        }
    });
    assert_eq!(violation(shredder, &residents()).oracle, "volumes");
}
