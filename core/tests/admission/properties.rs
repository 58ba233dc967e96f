//! What holds for every document.

use podium_core::admission::{
    Admitted, Change, Rules, change, check_role, pod_id_from_path, read_instance_ids, read_pod,
};
use podium_core::model::pod::PodSpec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use serde_json::{Value, json};

use crate::documents::{any_json, changed};
use crate::sample::{complete, minimal, resident, rules};

/// Valid definitions with a few things changed at random; most are refused, many are not.
fn nearly_valid() -> impl Strategy<Value = Value> {
    changed(vec![minimal(), complete(), resident()])
}

fn any_rules() -> impl Strategy<Value = Rules> {
    (any::<bool>(), any::<bool>()).prop_map(|(named, secrets)| Rules {
        default_network_name: named.then(|| "dcos".to_owned()),
        secrets,
        ..rules()
    })
}

/// What is admitted is complete and stable; what is refused says why.
fn check(json: &Value, rules: &Rules) -> Result<(), TestCaseError> {
    let pod = match read_pod(json, rules) {
        Err(rejection) => {
            prop_assert!(!rejection.details.is_empty());
            prop_assert!(
                rejection.details.iter().all(|detail| !detail.path.is_empty() && !detail.errors.is_empty())
            );
            return Ok(());
        }
        // Without a role the definition is not complete before a group has had its say.
        Ok(Admitted { pod, role_given, .. }) if !role_given && check_role(&pod).is_err() => {
            prop_assert!(pod.id.segments().count() > 1);
            return Ok(());
        }
        Ok(Admitted { pod, .. }) => pod,
    };
    let stored = serde_json::to_string(&pod).unwrap();
    prop_assert_eq!(&serde_json::from_str::<PodSpec>(&stored).unwrap(), &pod);
    let again = read_pod(&serde_json::from_str(&stored).unwrap(), rules);
    prop_assert_eq!(
        again.as_ref().map(|again| &again.pod),
        Ok(&pod),
        "what is answered is accepted without a change"
    );
    prop_assert_eq!(again.map(|again| again.unknown_fields), Ok(vec![]));
    prop_assert_eq!(change(&pod, &pod), Change::None);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn any_document_is_admitted_or_refused(json in any_json(), rules in any_rules()) {
        check(&json, &rules)?;
        let _ = read_instance_ids(&json);
    }

    #[test]
    fn nearly_valid_definitions_are_admitted_or_refused(json in nearly_valid(), rules in any_rules()) {
        check(&json, &rules)?;
    }

    #[test]
    fn any_id_is_canonical_or_refused(text in "([a-z0-9.]{0,4}[-/_.:]{0,2}){0,6}|\\PC*") {
        if let Ok(id) = pod_id_from_path(&text) {
            prop_assert_eq!(pod_id_from_path(id.as_str()), Ok(id));
        }
    }
}

/// The generator would prove nothing if everything it makes were refused.
#[test]
fn the_generator_finds_valid_definitions() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = nearly_valid();
    let admitted = (0..500)
        .filter(|_| read_pod(&strategy.new_tree(&mut runner).unwrap().current(), &rules()).is_ok())
        .count();
    assert!((100..450).contains(&admitted), "{admitted} of 500");
}

#[test]
fn changes_reach_as_far_as_they_must() {
    let read = |json: Value| read_pod(&json, &rules()).unwrap().pod;
    let base = read(complete());
    let changed =
        |pointer: &str, value: Value| change(&base, &read(crate::sample::with(complete(), pointer, value)));
    for (pointer, value) in [
        ("/scheduling/killSelection", json!("YOUNGEST_FIRST")),
        ("/scheduling/unreachableStrategy", json!("disabled")),
        ("/scheduling/backoff/backoff", json!(7)),
        ("/scheduling/upgrade/maximumOverCapacity", json!(1)),
        ("/scaling/maxInstances", json!(9)),
        ("/scheduling/placement/acceptedResourceRoles", json!(["dev", "*"])),
    ] {
        assert_eq!(changed(pointer, value), Change::Settings, "{pointer}");
    }
    assert_eq!(changed("/scaling", json!({"instances": 4})), Change::Scaling);
    for (pointer, value) in [
        ("/user", json!("nobody")),
        ("/labels", json!({})),
        ("/environment/PLAIN", json!("y")),
        ("/containers/0/resources/cpus", json!(0.5)),
        ("/containers/0/labels", json!({})),
        ("/secrets/key/source", json!("/elsewhere")),
        ("/volumes/1/host", json!("/var")),
        ("/networks/0/labels", json!({})),
        ("/role", json!("*")),
        ("/linuxInfo", json!(null)),
        ("/executorResources/mem", json!(64)),
        ("/scheduling/placement/constraints", json!([])),
        ("/scheduling/placement/acceptedResourceRoles", json!(["*"])),
    ] {
        let pod = crate::sample::with(complete(), pointer, value);
        let pod = if pointer == "/role" {
            crate::sample::with(pod, "/scheduling/placement/acceptedResourceRoles", json!(["*"]))
        } else {
            pod
        };
        assert_eq!(change(&base, &read(pod)), Change::Upgrade, "{pointer}");
    }
    let mut shared = base.clone();
    shared.legacy_shared_cgroups = Some(true);
    assert_eq!(change(&base, &shared), Change::Upgrade);
    let mut later = base.clone();
    later.version = later.version.next();
    assert_eq!(change(&base, &later), Change::None);
}
