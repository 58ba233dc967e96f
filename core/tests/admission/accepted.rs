//! What is accepted, and what becomes of it.

use podium_core::admission::{Admitted, Rules, read_pod};
use podium_core::model::ids::Role;
use podium_core::model::pod::PodSpec;
use serde_json::{Value, json};

use crate::sample::{complete, minimal, resident, rules, with};

fn admitted(pod: &Value) -> Admitted {
    read_pod(pod, &rules()).unwrap_or_else(|rejection| panic!("{rejection}\n{pod:#}"))
}

fn admit(pod: &Value) -> PodSpec {
    admitted(pod).pod
}

/// What is at the JSON pointer after `pod` with `value` there has been admitted.
fn becomes(pod: Value, pointer: &str, value: Value) -> Value {
    let printed = serde_json::to_value(admit(&with(pod, pointer, value))).unwrap();
    printed.pointer(pointer).cloned().unwrap_or(Value::Null)
}

#[test]
fn minimal_pod() {
    insta::assert_json_snapshot!(admit(&minimal()));
}

#[test]
fn complete_pod() {
    let Admitted { pod, role_given, unknown_fields } = admitted(&complete());
    assert!(role_given);
    assert_eq!(unknown_fields, Vec::<String>::new());
    insta::assert_json_snapshot!(pod);
}

#[test]
fn resident_pod() {
    insta::assert_json_snapshot!(admit(&resident()));
}

#[test]
fn nulls_mean_absent() {
    let mut nulls = minimal();
    for (name, value) in complete().as_object().unwrap() {
        if nulls.get(name).is_none() {
            nulls[name] = Value::Null;
            if value.is_object() && name != "labels" && name != "environment" && name != "secrets" {
                nulls[name] =
                    value.as_object().unwrap().keys().map(|key| (key.clone(), Value::Null)).collect();
            }
        }
    }
    nulls["linuxInfo"] = Value::Null;
    for name in complete()["containers"][0].as_object().unwrap().keys() {
        if nulls["containers"][0].get(name).is_none() {
            nulls["containers"][0][name] = Value::Null;
        }
    }
    assert_eq!(admit(&nulls), admit(&minimal()));
}

#[test]
fn numbers_stay_what_was_written() {
    for number in [
        json!(0.1),
        json!(1),
        json!(0.001),
        json!(1e-2),
        json!(1.15),
        json!(0.30000000000000004),
        json!(1e12),
    ] {
        let printed = becomes(minimal(), "/containers/0/resources/cpus", number.clone());
        assert_eq!(printed.as_f64(), number.as_f64());
    }
    assert_eq!(becomes(minimal(), "/containers/0/resources/disk", json!(-0.0)), json!(0));
    assert_eq!(becomes(minimal(), "/scaling", json!({"instances": 3.0}))["instances"], json!(3));
    assert_eq!(
        becomes(minimal(), "/scaling", json!({"instances": 1_000_000, "maxInstances": 2_147_483_647})),
        json!({"kind": "fixed", "instances": 1_000_000, "maxInstances": 2_147_483_647})
    );
}

#[test]
fn spellings() {
    for (pointer, written, kept) in [
        ("/id", json!("//a//b/"), json!("/a/b")),
        ("/environment", json!({"lower_case": "x", "_": ""}), json!({"lower_case": "x", "_": ""})),
        ("/networks", json!([{"mode": "Host"}]), json!([{"mode": "host"}])),
        ("/networks", json!([{"mode": "CONTAINER/BRIDGE"}]), json!([{"mode": "container/bridge"}])),
        ("/networks", json!([{}]), json!([{"mode": "container", "name": "dcos"}])),
        ("/networks", json!([{"name": "a_b"}]), json!([{"mode": "container", "name": "a_b"}])),
        ("/scaling", json!({}), json!({"kind": "fixed", "instances": 1})),
        ("/scaling", json!({"kind": "FIXED", "instances": 0}), json!({"kind": "fixed", "instances": 0})),
        ("/legacySharedCgroups", json!(true), json!(true)),
        ("/legacySharedCgroups", json!(false), Value::Null),
        ("/containers/0/exec", json!({"command": {"shell": ""}}), json!({"command": {"shell": ""}})),
        (
            "/containers/0/exec",
            json!({"command": {"shell": null, "argv": ["a"]}}),
            json!({"command": {"argv": ["a"]}}),
        ),
        ("/containers/0/image", json!({"kind": "appc", "id": "i"}), json!({"kind": "APPC", "id": "i"})),
    ] {
        assert_eq!(becomes(minimal(), pointer, written), kept, "{pointer}");
    }
}

#[test]
fn unreachable_strategies() {
    for (written, kept) in [
        (json!("Disabled"), json!("disabled")),
        (json!({}), json!({"inactiveAfterSeconds": 900, "expungeAfterSeconds": 604_800})),
        (
            json!({"inactiveAfterSeconds": 0, "expungeAfterSeconds": 0}),
            json!({"inactiveAfterSeconds": 0, "expungeAfterSeconds": 0}),
        ),
        (
            json!({"inactiveAfterSeconds": 1, "expungeAfterSeconds": 2, "onReturn": "best_health"}),
            json!({"inactiveAfterSeconds": 1, "expungeAfterSeconds": 2, "onReturn": "BEST_HEALTH"}),
        ),
        (json!({"expungeAfterSeconds": 60}), json!({"inactiveAfterSeconds": 60, "expungeAfterSeconds": 60})),
        (
            json!({"inactiveAfterSeconds": 700_000}),
            json!({"inactiveAfterSeconds": 700_000, "expungeAfterSeconds": 700_000}),
        ),
    ] {
        let pointer = "/scheduling/unreachableStrategy";
        let pod = with(minimal(), "/scheduling", json!({}));
        assert_eq!(becomes(pod, pointer, written.clone()), kept, "{written}");
    }
}

#[test]
fn deadlines() {
    for (written, kept) in [
        (json!({"seconds": 600}), json!({"seconds": 600, "action": "STOP"})),
        (json!({"seconds": 1, "action": "roll_back"}), json!({"seconds": 1, "action": "ROLL_BACK"})),
        (json!(null), json!(null)),
    ] {
        let pod = with(minimal(), "/scheduling", json!({"upgrade": {}}));
        assert_eq!(becomes(pod, "/scheduling/upgrade/deadline", written.clone()), kept, "{written}");
    }
}

#[test]
fn agents_to_avoid() {
    let pod = with(minimal(), "/scheduling", json!({"backoff": {}}));
    let written = json!({"failures": 3, "seconds": 600});
    assert_eq!(becomes(pod.clone(), "/scheduling/backoff/failingAgents", written.clone()), written);
    assert_eq!(becomes(pod, "/scheduling/backoff/failingAgents", json!(null)), json!(null));
}

#[test]
fn constraints() {
    let unique = json!([{"fieldName": "hostname", "operator": "UNIQUE"}]);
    for (written, kept) in [
        (json!([["hostname", "unique"]]), unique.clone()),
        (json!(["hostname", "UNIQUE"]), unique.clone()),
        (
            json!([["hostname", "UNIQUE"], {"fieldName": "hostname", "operator": "Unique", "value": null}]),
            unique,
        ),
        (json!([["a", "GROUP_BY"]]), json!([{"fieldName": "a", "operator": "GROUP_BY"}])),
        (json!([["a", "GROUP_BY", "0"]]), json!([{"fieldName": "a", "operator": "GROUP_BY", "value": "0"}])),
        (json!(["a", "CLUSTER", "x y"]), json!([{"fieldName": "a", "operator": "CLUSTER", "value": "x y"}])),
        (json!(["a", "MAX_PER", "-1"]), json!([{"fieldName": "a", "operator": "MAX_PER", "value": "-1"}])),
        (
            json!(["a", "UNLIKE", r"\Qx\E.*+"]),
            json!([{"fieldName": "a", "operator": "UNLIKE", "value": r"\Qx\E.*+"}]),
        ),
        (json!(["a", "IS", "1.50"]), json!([{"fieldName": "a", "operator": "IS", "value": "1.50"}])),
        (json!([]), Value::Null),
    ] {
        let pod = with(minimal(), "/scheduling", json!({"placement": {}}));
        assert_eq!(becomes(pod, "/scheduling/placement/constraints", written.clone()), kept, "{written}");
    }
}

#[test]
fn host_ports_are_asked_for_where_the_agent_has_the_address() {
    let networks = [
        json!([]),
        json!([{"mode": "host"}]),
        json!([{"mode": "container/bridge"}]),
        json!([{"mode": "container"}]),
    ];
    for (networks, host_port) in networks.into_iter().zip([json!(0), json!(0), json!(0), Value::Null]) {
        let port = if networks == json!([{"mode": "host"}]) { Value::Null } else { json!(80) };
        let pod = with(minimal(), "/networks", networks);
        let printed = becomes(pod, "/containers/0/endpoints", json!([{"name": "e", "containerPort": port}]));
        assert_eq!(printed[0]["hostPort"], host_port);
    }
}

#[test]
fn the_default_role_is_the_daemons() {
    let rules = Rules { mesos_role: Role::new("web"), ..Rules::default() };
    let Admitted { pod, role_given, .. } = read_pod(&minimal(), &rules).unwrap();
    assert_eq!((pod.role.as_str(), role_given), ("web", false));
}

#[test]
fn unknown_fields_are_named() {
    let pod = json!({
        "id": "/p",
        "instances": 3,
        "constraint": null,
        "containers": [{
            "name": "a",
            "resources": {"cpu": 2},
            "check": {"http": {}},
            "exec": {"command": {"shell": "true", "argv": ["true"]}},
            "endpoints": [{"name": "e", "port": 80}],
        }],
        "scheduling": {"backoff": {"factor": 2}},
    });
    assert_eq!(
        admitted(&pod).unknown_fields,
        [
            "/containers(0)/exec/command/argv",
            "/containers(0)/resources/cpu",
            "/containers(0)/endpoints(0)/port",
            "/containers(0)/check",
            "/scheduling/backoff/factor",
            "/instances",
            "/constraint",
        ]
    );
}
