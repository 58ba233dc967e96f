//! What is launched where, and what is kept there.

use super::*;

#[test]
fn a_launch_that_takes_more_than_is_offered() {
    #[derive(Clone, Default)]
    struct Greedy;
    impl Bug for Greedy {
        fn say(&mut self, mut output: Output) -> Output {
            for action in &mut output.actions {
                let Action::Accept(accept) = action else { continue };
                for draw in accept.launches.iter_mut().flat_map(|launch| &mut launch.draws) {
                    draw.amount = Scalar::from_f64(1_000_000.0);
                }
            }
            output
        }
    }
    assert_eq!(verdict::<Greedy>(), "placement");
}

#[test]
fn a_launch_on_ports_that_are_not_offered() {
    #[derive(Clone, Default)]
    struct Privileged;
    impl Bug for Privileged {
        fn say(&mut self, mut output: Output) -> Output {
            for action in &mut output.actions {
                let Action::Accept(accept) = action else { continue };
                for draw in accept.launches.iter_mut().flat_map(|launch| &mut launch.ports) {
                    draw.port = 80;
                }
            }
            output
        }
    }
    let found = violation::<Privileged>(&plan()).to_string();
    assert!(found.starts_with("placement: ") && found.contains("port 80"), "{found}");
}

#[test]
fn a_launch_against_a_constraint() {
    #[derive(Clone, Default)]
    struct Confused;
    impl Bug for Confused {
        /// Takes every offer for one of another machine.
        fn hear(&mut self, mut input: Input) -> Input {
            if let Input::Event(event) = &mut input
                && let Event::Offers(offers) = &mut **event
            {
                for offer in offers {
                    offer.hostname = offer.id.to_string();
                }
            }
            input
        }
    }
    let constraint =
        r#""placement": { "constraints": [{ "fieldName": "@hostname", "operator": "UNIQUE" }] }"#;
    let found = violation::<Confused>(&plan_with(constraint, "")).to_string();
    assert!(found.starts_with("placement: ") && found.contains("against a constraint"), "{found}");
}

/// Two copies with a volume each; the pod is deleted in the end.
fn residents() -> Plan {
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
    #[derive(Clone, Default)]
    struct Hoarder;
    impl Bug for Hoarder {
        fn say(&mut self, mut output: Output) -> Output {
            for action in &mut output.actions {
                if let Action::Accept(accept) = action {
                    accept.release = Default::default();
                }
            }
            output
        }
    }
    assert_eq!(violation::<Hoarder>(&residents()).oracle, "volumes");
    assert_eq!(run(&residents()).violation, None);
}

#[test]
fn a_volume_that_is_destroyed_while_its_instance_needs_it() {
    #[derive(Clone, Default)]
    struct Shredder;
    impl Bug for Shredder {
        fn say(&mut self, mut output: Output) -> Output {
            for action in &mut output.actions {
                if let Action::Accept(accept) = action {
                    let homes = accept.launches.iter().filter_map(|launch| launch.home.as_ref());
                    accept.release.volumes = homes.flat_map(|home| home.volumes.clone()).collect();
                }
            }
            output
        }
    }
    assert_eq!(violation::<Shredder>(&residents()).oracle, "volumes");
}
