//! A plan taken to pieces as JSON, and what each piece could be instead.

use serde_json::{Map, Number, Value};

use crate::plan::{Plan, Span};

/// Fields that must keep their values: changed, they could make a plan that nobody can fulfil.
const KEPT: [&str; 5] = ["about", "converges", "quiet", "settle", "expect"];
/// Fields that may be left out, but not be given another value, for the same reason.
const ALL_OR_NOTHING: [&str; 4] = ["cluster", "gracePeriodSeconds", "mended_at", "scheduler"];

/// Simpler plans, each with another value of the piece at position `at`; none if there are not that many pieces.
/// The simplest comes first.
pub(super) fn simpler(plan: &Plan, at: usize) -> Option<Vec<Plan>> {
    let json = serde_json::to_value(plan).unwrap_or_default();
    let mut paths = Vec::new();
    let expects = !plan.expect.is_empty();
    let is_fixed = |name: &str| match name {
        // Machines may become smaller; what else belongs to the cluster may not.
        "agents" if !expects => Some(false),
        // Of two copies there are never three.
        "workload" if expects => Some(true),
        _ => ALL_OR_NOTHING.contains(&name).then_some(true),
    };
    collect(&json, &mut Vec::new(), false, &is_fixed, &mut paths);
    let piece = paths.get(at)?;
    let mut plans = Vec::new();
    if let Some(shorter) = removed(&json, &piece.path) {
        plans.extend(Plan::from_value(shorter));
    }
    if !piece.all_or_nothing {
        let old = look_up(&json, &piece.path);
        for value in old.map(simpler_values).unwrap_or_default() {
            let mut changed = json.clone();
            if let Some(place) = look_up_mut(&mut changed, &piece.path) {
                *place = value;
                plans.extend(Plan::from_value(changed));
            }
        }
    }
    Some(plans)
}

/// One step into a JSON value.
#[derive(Clone, Debug)]
enum Step {
    Field(String),
    Element(usize),
}

struct Piece {
    path: Vec<Step>,
    all_or_nothing: bool,
}

/// Finds all pieces, the greater ones before what is in them. `is_fixed` says of fields whether they may only be left
/// out, if that does not depend on where they are.
fn collect(
    value: &Value,
    path: &mut Vec<Step>,
    all_or_nothing: bool,
    is_fixed: &impl Fn(&str) -> Option<bool>,
    pieces: &mut Vec<Piece>,
) {
    if !path.is_empty() {
        pieces.push(Piece { path: path.clone(), all_or_nothing });
    }
    match value {
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                path.push(Step::Element(index));
                collect(element, path, all_or_nothing, is_fixed, pieces);
                path.pop();
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                if path.is_empty() && KEPT.contains(&name.as_str()) {
                    continue;
                }
                path.push(Step::Field(name.clone()));
                collect(field, path, is_fixed(name).unwrap_or(all_or_nothing), is_fixed, pieces);
                path.pop();
            }
        }
        _ => {}
    }
}

fn look_up<'a>(value: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Field(name) => value.get(name),
        Step::Element(index) => value.get(index),
    })
}

fn look_up_mut<'a>(value: &'a mut Value, path: &[Step]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Field(name) => value.get_mut(name),
        Step::Element(index) => value.get_mut(index),
    })
}

/// `json` without the piece at `path`.
fn removed(json: &Value, path: &[Step]) -> Option<Value> {
    let (last, parents) = path.split_last()?;
    let mut json = json.clone();
    match (look_up_mut(&mut json, parents)?, last) {
        (Value::Object(fields), Step::Field(name)) => _ = fields.shift_remove(name),
        (Value::Array(elements), Step::Element(index)) => _ = elements.remove(*index),
        _ => return None,
    }
    Some(json)
}

/// What `value` could be instead, simplest first. Each is smaller, so that there is an end to it.
fn simpler_values(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(elements) if !elements.is_empty() => vec![Value::Array(Vec::new())],
        Value::Bool(true) => vec![Value::Bool(false)],
        Value::Number(number) => simpler_numbers(number),
        Value::Object(fields) if !fields.is_empty() => vec![Value::Object(Map::new())],
        Value::String(text) => match text.parse::<Span>() {
            Ok(span) => simpler_spans(span).into_iter().map(|span| Value::String(span.to_string())).collect(),
            Err(_) => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn simpler_numbers(number: &Number) -> Vec<Value> {
    if let Some(n) = number.as_u64() {
        let mut values: Vec<u64> =
            [0, 1, n / 2, n.saturating_sub(1)].into_iter().filter(|m| *m < n).collect();
        values.dedup();
        return values.into_iter().map(Value::from).collect();
    }
    let Some(x) = number.as_f64().filter(|x| x.is_finite()) else { return Vec::new() };
    let simpler = [0.0, 1.0, (x / 2.0).floor(), x.floor()];
    let mut values: Vec<f64> = simpler.into_iter().filter(|y| y.abs() < x.abs()).collect();
    values.dedup();
    values.into_iter().map(Value::from).collect()
}

fn simpler_spans(span: Span) -> Vec<Span> {
    let millis = span.as_millis();
    let round = |unit: u64| millis / unit * unit;
    let mut simpler =
        vec![0, 1000, round(3_600_000), round(60_000), round(10_000), round(1000), round(100), millis / 2];
    simpler.retain(|shorter| *shorter < millis);
    simpler.sort_unstable();
    simpler.dedup();
    simpler.into_iter().map(Span::from_millis).collect()
}

impl Plan {
    /// The plan that `json` says, if it is one.
    fn from_value(json: Value) -> Option<Self> {
        serde_json::from_value(json).ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_simpler_is_smaller() {
        assert_eq!(simpler_values(&json!(12)), [json!(0), json!(1), json!(6), json!(11)]);
        assert_eq!(simpler_values(&json!(1)), [json!(0)]);
        assert_eq!(simpler_values(&json!(0)), [] as [Value; 0]);
        assert_eq!(simpler_values(&json!(2.5)), [json!(0.0), json!(1.0), json!(2.0)]);
        let spans = ["0s", "1s", "37s50ms", "1m", "1m10s", "1m14s"].map(|span| json!(span));
        assert_eq!(simpler_values(&json!("1m14s100ms")), spans);
        assert_eq!(simpler_values(&json!("/web")), [] as [Value; 0]);
    }

    #[test]
    fn what_makes_a_plan_possible_is_not_changed() {
        let plan = Plan::from_json(
            r#"{ "cluster": { "agents": [{ "cpus": 4, "mem": 512 }], "ping_timeout": "30s" }, "settle": "5m" }"#,
        )
        .unwrap();
        let all: Vec<Plan> = (0..).map_while(|at| simpler(&plan, at)).flatten().collect();
        assert!(all.iter().all(|simpler| simpler.settle == plan.settle));
        let timeouts: std::collections::BTreeSet<_> =
            all.iter().map(|plan| plan.cluster.ping_timeout).collect();
        assert_eq!(timeouts, [None, plan.cluster.ping_timeout].into());
        let is_smaller = |plan: &Plan| plan.cluster.agents.first().is_some_and(|agent| agent.cpus < 4.0);
        assert!(all.iter().any(is_smaller));
        let claim = r#"{ "at": "1m", "that": { "deployments": 0 } }"#;
        let expecting = Plan { expect: vec![serde_json::from_str(claim).unwrap()], ..plan };
        let all: Vec<Plan> = (0..).map_while(|at| simpler(&expecting, at)).flatten().collect();
        assert!(!all.is_empty() && !all.iter().any(is_smaller));
    }
}
