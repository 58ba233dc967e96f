//! JSON documents at random, with a preference for those that get somewhere.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Number, Value};

use super::sample::{complete, resident};

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

/// Any JSON, mostly with names that mean something.
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
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

fn mutate(mut document: Value, mutations: Vec<Mutation>) -> Value {
    for (index, value) in mutations {
        let pointers = pointers(&document);
        let pointer = index.get(&pointers);
        match (value, pointer.rsplit_once('/')) {
            (Some(value), _) => {
                if let Some(target) = document.pointer_mut(pointer) {
                    *target = value;
                }
            }
            (None, Some((parent, name))) => match document.pointer_mut(parent) {
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
    document
}

/// The documents of `bases` with a few things changed at random.
pub(crate) fn changed(bases: Vec<Value>) -> impl Strategy<Value = Value> {
    let value = prop_oneof![2 => scalar().prop_map(Some), 1 => any_json().prop_map(Some), 3 => Just(None)];
    (select(bases), prop::collection::vec((any::<Index>(), value), 0..4))
        .prop_map(|(base, mutations)| mutate(base, mutations))
}
