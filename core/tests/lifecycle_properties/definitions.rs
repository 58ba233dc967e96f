//! Definitions of a few pods that differ in what decides about their copies.

use podium_core::model::pod::PodSpec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::harness::{checked_pod, pod_with};

/// What varies between definitions.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    containers: usize,
    instances: u32,
    label: u8,
    checked: bool,
    oldest_first: bool,
    /// Seconds until copies out of reach are replaced, and until they are given up.
    unreachable: Option<(u32, u32)>,
    /// Tenths of `minimumHealthCapacity` and `maximumOverCapacity`.
    upgrade: (u32, u32),
    unique: bool,
    /// What happens to deployments of more than 20 s.
    deadline: Option<&'static str>,
    on_return: Option<&'static str>,
    avoids_failing_agents: bool,
}

/// Their ids.
pub(super) const PODS: [&str; 3] = ["/p", "/g/q", "/g/r"];

/// Any of them.
pub(super) fn spec() -> impl Strategy<Value = Spec> {
    (
        (1..3_usize, 0..4_u32, 0..3_u8, prop::bool::weighted(0.3), any::<bool>()),
        (
            select(vec![
                None,
                Some((0, 0)),
                Some((1, 1)),
                Some((0, 30)),
                Some((10, 20)),
                Some((900, 604_800)),
            ]),
            (select(vec![0, 5, 10]), select(vec![0, 3, 10])),
            prop::bool::weighted(0.2),
        ),
        (
            select(vec![None, None, Some("STOP"), Some("ROLL_BACK")]),
            select(vec![None, Some("ORIGINAL"), Some("REPLACEMENT"), Some("BEST_HEALTH")]),
            prop::bool::weighted(0.3),
        ),
    )
        .prop_map(
            |(
                (containers, instances, label, checked, oldest_first),
                (unreachable, upgrade, unique),
                (deadline, on_return, avoids_failing_agents),
            )| Spec {
                containers,
                instances,
                label,
                checked,
                oldest_first,
                unreachable,
                upgrade,
                unique,
                deadline,
                on_return,
                avoids_failing_agents,
            },
        )
}

/// The definition of one of [`PODS`].
pub(super) fn definition(pod: usize, spec: &Spec) -> PodSpec {
    let unreachable = match spec.unreachable {
        None => json!("disabled"),
        Some((inactive, expunge)) => {
            json!({
                "inactiveAfterSeconds": inactive,
                "expungeAfterSeconds": expunge,
                "onReturn": spec.on_return
            })
        }
    };
    let constraints =
        if spec.unique { json!([{"fieldName": "@hostname", "operator": "UNIQUE"}]) } else { json!([]) };
    let deadline = spec.deadline.map(|action| json!({"seconds": 20, "action": action}));
    let failing_agents = spec.avoids_failing_agents.then(|| json!({"failures": 1, "seconds": 30}));
    let mut pod = pod_with(
        PODS[pod],
        spec.containers,
        spec.instances,
        &json!({
            "labels": {"version": spec.label.to_string()},
            "scheduling": {
                "killSelection": if spec.oldest_first { "OLDEST_FIRST" } else { "YOUNGEST_FIRST" },
                "unreachableStrategy": unreachable,
                "backoff": {"failingAgents": failing_agents},
                "placement": {"constraints": constraints},
                "upgrade": {
                    "minimumHealthCapacity": f64::from(spec.upgrade.0) / 10.0,
                    "maximumOverCapacity": f64::from(spec.upgrade.1) / 10.0,
                    "deadline": deadline
                }
            }
        }),
    );
    if spec.checked {
        let checked = checked_pod(PODS[pod_index(&pod)], 1, &json!({}));
        pod.containers[0].health_check.clone_from(&checked.containers[0].health_check);
    }
    pod
}

fn pod_index(pod: &PodSpec) -> usize {
    PODS.iter().position(|id| *id == pod.id.as_str()).expect("one of ours")
}
