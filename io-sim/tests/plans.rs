//! Seeds draw everything that a plan can say.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use podium_core::model::pod::ConstraintOperator;
use podium_sim::plan::{
    AgentPlan, Aim, Boundary, ClusterPlan, Direction, ExitStatus, Fault, Moment, Plan, Planned, Request,
    SchedulerPlan, generate,
};
use serde::Serialize;
use serde_json::Value;
use strum::VariantNames;

const SEEDS: Range<u64> = 0..400;

fn plans() -> impl Iterator<Item = Plan> {
    SEEDS.map(generate)
}

/// What is never `drawn` of `all`.
fn missing(all: &[&str], drawn: impl IntoIterator<Item = &'static str>) -> Vec<String> {
    let drawn: BTreeSet<&str> = drawn.into_iter().collect();
    all.iter().filter(|name| !drawn.contains(*name)).map(|name| (*name).to_owned()).collect()
}

const NONE: [&str; 0] = [];

#[test]
fn every_kind_of_fault_and_request_is_drawn() {
    let plans: Vec<Plan> = plans().collect();
    let faults = || plans.iter().flat_map(|plan| &plan.faults).map(|planned| &planned.what);
    let requests = || plans.iter().flat_map(|plan| &plan.workload).map(|planned| &planned.what);
    assert_eq!(missing(Fault::VARIANTS, faults().map(Fault::name)), NONE);
    assert_eq!(missing(Request::VARIANTS, requests().map(Into::into)), NONE);
    let boundaries = faults().filter_map(|fault| match fault {
        Fault::SchedulerCrashed { boundary, .. } => Some(<&str>::from(boundary)),
        _ => None,
    });
    assert_eq!(missing(Boundary::VARIANTS, boundaries), NONE);
    let directions = faults().filter_map(|fault| match fault {
        Fault::ConnectionPartitioned { direction, .. } => Some(<&str>::from(direction)),
        _ => None,
    });
    assert_eq!(missing(Direction::VARIANTS, directions), NONE);
    let exits = faults().filter_map(|fault| match fault {
        Fault::ContainerExits { status, .. } => Some(<&str>::from(status)),
        _ => None,
    });
    assert_eq!(missing(ExitStatus::VARIANTS, exits), NONE);
    let behaviours = plans.iter().flat_map(|plan| &plan.containers).map(|rule| &rule.behaviour.status);
    assert_eq!(missing(ExitStatus::VARIANTS, behaviours.map(Into::into)), NONE);
}

#[test]
fn every_moment_is_aimed_at_by_faults_and_requests() {
    let plans: Vec<Plan> = plans().collect();
    let begins = plans.iter().flat_map(|plan| &plan.faults).filter_map(|planned| planned.on);
    let ends = plans.iter().flat_map(|plan| &plan.faults).filter_map(|planned| planned.until);
    let orders = plans.iter().flat_map(|plan| &plan.workload).filter_map(|planned| planned.on);
    assert_eq!(missing(Moment::VARIANTS, begins.map(Moment::name)), NONE);
    let is_timer = |name: &&&str| name.parse::<Moment>().unwrap().is_timer();
    let timers: Vec<&str> = Moment::VARIANTS.iter().filter(is_timer).copied().collect();
    assert_eq!(missing(&timers, orders.map(Moment::name)), NONE);
    assert_eq!(missing(&timers, ends.clone().map(|aim| aim.on.name())), NONE);
    for timer in timers {
        let at = |is_it: fn(&Aim) -> bool| ends.clone().any(|aim| aim.on.name() == timer && is_it(&aim));
        assert!(at(|aim| aim.before.as_millis() > 0), "before {timer}");
        assert!(at(|aim| aim.before.as_millis() == 0 && aim.after.as_millis() == 0), "at {timer}");
        assert!(at(|aim| aim.after.as_millis() > 0), "after {timer}");
    }
}

/// All texts that `value` has under the names `const` and `enum`.
fn constants(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match (name.as_str(), field) {
                    ("const", Value::String(text)) => _ = found.insert(text.clone()),
                    ("enum", Value::Array(texts)) => {
                        found.extend(texts.iter().filter_map(Value::as_str).map(str::to_owned));
                    }
                    _ => constants(field, found),
                }
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| constants(element, found)),
        _ => {}
    }
}

/// The definitions that clients post.
fn definitions(plans: &[Plan]) -> impl Iterator<Item = &Value> {
    plans.iter().flat_map(|plan| &plan.workload).filter_map(|planned| match &planned.what {
        Request::Create { pod, .. } | Request::Update { pod, .. } => Some(pod),
        _ => None,
    })
}

#[test]
fn every_operator_is_drawn_and_every_field_that_is_no_attribute() {
    let plans: Vec<Plan> = plans().collect();
    let constraints = || {
        let placements = definitions(&plans).map(|pod| &pod["scheduling"]["placement"]["constraints"]);
        placements.filter_map(Value::as_array).flatten()
    };
    let mut operators = BTreeSet::new();
    constants(schemars::schema_for!(ConstraintOperator).as_value(), &mut operators);
    assert!(operators.len() > 5, "{operators:?}");
    let drawn =
        |name: &str| constraints().map(|it| it[name].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(operators.difference(&drawn("operator")).collect::<Vec<_>>(), [""; 0]);
    for field in ["@hostname", "@region", "@zone"] {
        assert!(drawn("fieldName").contains(field), "{field}");
    }
    assert!(definitions(&plans).any(|pod| pod["containers"][0]["resources"]["gpus"] == 1));
}

#[test]
fn every_way_to_lose_patience_is_drawn() {
    let plans: Vec<Plan> = plans().collect();
    let deadlines = definitions(&plans).filter_map(|pod| pod["scheduling"]["upgrade"].get("deadline"));
    let actions: BTreeSet<Option<&str>> = deadlines.map(|deadline| deadline["action"].as_str()).collect();
    assert_eq!(actions, BTreeSet::from([None, Some("ROLL_BACK"), Some("STOP")]));
    let failing = definitions(&plans).map(|pod| &pod["scheduling"]["backoff"]["failingAgents"]["failures"]);
    let failures: BTreeSet<u64> = failing.filter_map(Value::as_u64).collect();
    assert_eq!(failures, BTreeSet::from([1, 2, 3]));
}

/// The values of each field of some objects, as JSON; those of fields within fields by their paths.
fn values<T: Serialize>(objects: impl IntoIterator<Item = T>) -> BTreeMap<String, BTreeSet<String>> {
    let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for object in objects {
        for (name, value) in serde_json::to_value(object).unwrap().as_object().unwrap() {
            values.entry(name.clone()).or_default().insert(value.to_string());
        }
    }
    values
}

/// The fields of `T` that always have the same value in `objects`.
fn constant_fields<T: Serialize + schemars::JsonSchema>(objects: Vec<T>) -> Vec<String> {
    let schema = schemars::schema_for!(T);
    let count = objects.len();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for object in &objects {
        for name in serde_json::to_value(object).unwrap().as_object().unwrap().keys() {
            *seen.entry(name.clone()).or_default() += 1;
        }
    }
    let values = values(objects);
    let fields = schema.as_value()["properties"].as_object().unwrap().keys();
    // What is left out has its default, which is another value.
    let varies = |name: &&String| {
        let kinds = values.get(*name).map_or(0, BTreeSet::len);
        kinds > 1 || kinds == 1 && seen[*name] < count
    };
    fields.filter(|name| !varies(name)).cloned().collect()
}

#[test]
fn every_setting_is_drawn() {
    let plans: Vec<Plan> = plans().collect();
    assert_eq!(
        constant_fields::<SchedulerPlan>(plans.iter().map(|plan| plan.scheduler.clone()).collect()),
        NONE
    );
    assert_eq!(
        constant_fields::<ClusterPlan>(plans.iter().map(|plan| plan.cluster.clone()).collect()),
        ["domain", "permitted_users"]
    );
    let agents = plans.iter().flat_map(|plan| plan.cluster.agents.clone()).collect();
    // Machines are called by their numbers, and disks are large.
    assert_eq!(constant_fields::<AgentPlan>(agents), ["hostname", "disk"]);
    let rules: Vec<_> = plans.iter().flat_map(|plan| plan.containers.clone()).collect();
    assert_eq!(constant_fields(rules.iter().map(|rule| rule.behaviour.clone()).collect()), NONE);
    assert_eq!(constant_fields(rules), NONE);
    let planned: Vec<Planned<Fault>> = plans.iter().flat_map(|plan| plan.faults.clone()).collect();
    assert_eq!(constant_fields(planned), NONE);
    let planned: Vec<Planned<Request>> = plans.iter().flat_map(|plan| plan.workload.clone()).collect();
    // A request has no end.
    assert_eq!(constant_fields(planned), ["until"]);
}

/// The fields of each variant of `T`, by its schema.
fn fields<T: schemars::JsonSchema>() -> BTreeSet<String> {
    let schema = schemars::schema_for!(T);
    let variants = schema.as_value()["oneOf"].as_array().unwrap();
    let named = variants.iter().filter_map(|variant| variant["properties"].as_object()).flatten();
    let fields = named.filter_map(|(name, variant)| Some((name, variant["properties"].as_object()?)));
    fields.flat_map(|(name, fields)| fields.keys().map(move |field| format!("{name}.{field}"))).collect()
}

/// Those of them that always have the same value in `objects`.
fn constant_parts<T: Serialize + schemars::JsonSchema>(objects: &[T]) -> Vec<String> {
    let mut by_variant: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for object in objects {
        for (name, value) in serde_json::to_value(object).unwrap().as_object().unwrap() {
            by_variant.entry(name.clone()).or_default().push(value.clone());
        }
    }
    let varies = |path: &&String| {
        let (variant, field) = path.split_once('.').unwrap();
        let drawn = by_variant.get(variant).into_iter().flatten().map(|value| value.get(field));
        drawn.map(|value| value.map(Value::to_string)).collect::<BTreeSet<_>>().len() > 1
    };
    fields::<T>().iter().filter(|path| !varies(path)).cloned().collect()
}

#[test]
fn every_field_of_faults_and_requests_is_drawn() {
    let plans: Vec<Plan> = plans().collect();
    let faults: Vec<Fault> =
        plans.iter().flat_map(|plan| &plan.faults).map(|planned| planned.what.clone()).collect();
    assert!(fields::<Fault>().len() > 50, "{:?}", fields::<Fault>());
    assert_eq!(constant_parts(&faults), NONE);
    let requests: Vec<Request> =
        plans.iter().flat_map(|plan| &plan.workload).map(|planned| planned.what.clone()).collect();
    assert!(fields::<Request>().len() > 15, "{:?}", fields::<Request>());
    assert_eq!(constant_parts(&requests), NONE);
}
