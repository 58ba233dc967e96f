//! What holds for every document.

use podium_core::admission::{
    Admitted, Change, Rules, change, check_role, pod_id_from_path, read_instance_ids, read_pod,
};
use podium_core::model::pod::PodSpec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;
use serde_json::{Number, Value, json};

use crate::sample::{complete, minimal, resident, rules};

/// Every field name of the schema, so that random objects get somewhere.
fn field_names() -> Vec<String> {
    fn collect(value: &Value, names: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    names.push(name.clone());
                    collect(value, names);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
            _ => {}
        }
    }
    let mut names = Vec::new();
    collect(&complete(), &mut names);
    collect(&resident(), &mut names);
    names.sort_unstable();
    names.dedup();
    names
}

fn scalar() -> impl Strategy<Value = Value> {
    let numbers = [
        0.0, -0.0, 1.0, -1.0, 0.1, 1e-9, 1e-308, 5e-324, 1e15, 1e18, 1e300, 1.797e308, -1e308, 65535.0,
        65536.0,
    ];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-2_i64..100).prop_map(Value::from),
        any::<f64>().prop_map(|number| Number::from_f64(number).map_or(Value::Null, Value::Number)),
        select(numbers.to_vec()).prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        "[a-z/.*-]{0,8}".prop_map(Value::from),
        select(words()).prop_map(Value::from),
    ]
}

/// Words that mean something somewhere.
fn words() -> Vec<&'static str> {
    vec![
        "host",
        "container",
        "container/bridge",
        "DOCKER",
        "APPC",
        "fixed",
        "disabled",
        "unlimited",
        "UNIQUE",
        "GROUP_BY",
        "LIKE",
        "MAX_PER",
        "IS",
        "CLUSTER",
        "YOUNGEST_FIRST",
        "HTTP",
        "https",
        "PRIVATE",
        "SHARE_PARENT",
        "mount",
        "path",
        "tcp",
        "*",
        "/a",
        "/a/../b",
        "key",
        "http",
        "etc",
        "scratch",
        "blue",
        "2017-01-03T18:21:19.31Z",
        "(a)\\1",
        "[",
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    let names = field_names();
    scalar().prop_recursive(5, 60, 6, move |inner| {
        let name = prop_oneof![4 => select(names.clone()), 1 => "\\PC{0,8}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// The places in a document where something can be changed, as JSON pointers.
fn pointers(value: &Value) -> Vec<String> {
    fn collect(value: &Value, here: &str, pointers: &mut Vec<String>) {
        pointers.push(here.to_owned());
        match value {
            Value::Object(fields) => {
                fields.iter().for_each(|(name, value)| collect(value, &format!("{here}/{name}"), pointers));
            }
            Value::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(index, item)| collect(item, &format!("{here}/{index}"), pointers));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(value, "", &mut found);
    found
}

/// A change to a document: what is put where. `None` removes.
type Mutation = (Index, Option<Value>);

fn mutate(mut pod: Value, mutations: Vec<Mutation>) -> Value {
    for (index, value) in mutations {
        let pointers = pointers(&pod);
        let pointer = index.get(&pointers);
        match (value, pointer.rsplit_once('/')) {
            (Some(value), _) => {
                if let Some(target) = pod.pointer_mut(pointer) {
                    *target = value;
                }
            }
            (None, Some((parent, name))) => match pod.pointer_mut(parent) {
                Some(Value::Object(fields)) => {
                    fields.shift_remove(name);
                }
                Some(Value::Array(items)) => {
                    items.remove(name.parse().unwrap());
                }
                _ => {}
            },
            (None, None) => {}
        }
    }
    pod
}

/// Valid definitions with a few things changed at random; most are refused, many are not.
fn nearly_valid() -> impl Strategy<Value = Value> {
    let base = select(vec![minimal(), complete(), resident()]);
    let value = prop_oneof![2 => scalar().prop_map(Some), 1 => any_json().prop_map(Some), 3 => Just(None)];
    (base, prop::collection::vec((any::<Index>(), value), 0..4))
        .prop_map(|(base, mutations)| mutate(base, mutations))
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
