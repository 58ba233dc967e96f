//! Scaling and scheduling (Pods page, "Basic pod fields" and "Additional pod fields").

use serde_json::Value;

use super::{MAX_AMOUNT, MAX_INT, MAX_SECONDS};
use crate::admission::reader::{At, Fields, echo, string};
use crate::model::ids::Role;
use crate::model::number::Number;
use crate::model::pod::{
    Backoff, Constraint, ConstraintOperator, Deadline, DeadlineAction, ExecutorResources, FailingAgents,
    KillSelection, OnReturn, Placement, Scaling, ScalingKind, Scheduling, UnreachableStrategy, Upgrade,
};

/// The most copies of one pod. Each is kept in memory whether it finds a place or not; a number typed wrong must not use
/// all of it.
const MAX_INSTANCES: i64 = 1_000_000;

/// The largest growth of the back-off; any larger one reaches `maxLaunchDelay` at once as well.
const MAX_BACKOFF_FACTOR: f64 = 1e6;

/// Defaults of `unreachableStrategy` in seconds (Pods page, "Additional pod fields"; its 603800 is a slip of
/// the 604800 in its examples).
const INACTIVE_AFTER: u64 = 900;
const EXPUNGE_AFTER: u64 = 604_800;

pub(super) fn scaling(at: At<'_>) -> Scaling {
    at.object(|fields| Scaling {
        kind: fields.or("kind", ScalingKind::Fixed, |at| at.choice(&[("fixed", ScalingKind::Fixed)])),
        instances: fields.or("instances", 1, |at| instance_count(at, MAX_INSTANCES)),
        max_instances: fields.optional("maxInstances", |at| instance_count(at, MAX_INT)),
    })
}

fn instance_count(at: At<'_>, most: i64) -> u32 {
    // The comparison is a rule of Marathon's validator, not of its reader.
    if at.value.as_i64().is_some_and(|value| value < 0) {
        let found = echo(at.value);
        at.violation(format!("got {found}, expected 0 or more"));
        return 0;
    }
    at.integer(0..=most)
}

/// A pod with persistent volumes is `resident`: its copies cannot move, so other defaults make sense.
pub(super) fn scheduling(at: At<'_>, resident: bool) -> Scheduling {
    at.object(|fields| Scheduling {
        backoff: fields.section("backoff", |at| at.object(backoff)),
        upgrade: match fields.optional("upgrade", |at| at.object(upgrade)) {
            Some(upgrade) => upgrade,
            None if resident => Upgrade {
                minimum_health_capacity: Number(0.5),
                maximum_over_capacity: Number(0.0),
                deadline: None,
            },
            None => Upgrade {
                minimum_health_capacity: Number(1.0),
                maximum_over_capacity: Number(1.0),
                deadline: None,
            },
        },
        placement: fields.section("placement", |at| at.object(placement)),
        kill_selection: fields.or("killSelection", KillSelection::YoungestFirst, |at| {
            at.choice(&[
                ("YOUNGEST_FIRST", KillSelection::YoungestFirst),
                ("OLDEST_FIRST", KillSelection::OldestFirst),
            ])
        }),
        unreachable_strategy: match fields.optional("unreachableStrategy", unreachable_strategy) {
            Some(strategy) => strategy,
            None if resident => UnreachableStrategy::DISABLED,
            None => UnreachableStrategy::Enabled {
                inactive_after_seconds: INACTIVE_AFTER,
                expunge_after_seconds: EXPUNGE_AFTER,
                on_return: None,
            },
        },
    })
}

fn backoff(fields: &mut Fields<'_>) -> Backoff {
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    let seconds = |at: At<'_>| at.number(0.0..=MAX_SECONDS as f64);
    Backoff {
        backoff: fields.or("backoff", Number(1.0), seconds),
        backoff_factor: fields.or("backoffFactor", Number(1.15), |at| at.number(0.0..=MAX_BACKOFF_FACTOR)),
        max_launch_delay: fields.or("maxLaunchDelay", Number(3600.0), seconds),
        failing_agents: fields.optional("failingAgents", |at| {
            at.object(|fields| FailingAgents {
                failures: fields.required("failures", |at| at.integer(1..=MAX_INT)),
                seconds: fields.required("seconds", |at| at.integer(1..=MAX_SECONDS)),
            })
        }),
    }
}

fn upgrade(fields: &mut Fields<'_>) -> Upgrade {
    Upgrade {
        minimum_health_capacity: fields.or("minimumHealthCapacity", Number(1.0), |at| at.number(0.0..=1.0)),
        maximum_over_capacity: fields.or("maximumOverCapacity", Number(1.0), |at| at.number(0.0..=1.0)),
        deadline: fields.optional("deadline", |at| at.object(deadline)),
    }
}

fn deadline(fields: &mut Fields<'_>) -> Deadline {
    Deadline {
        seconds: fields.required("seconds", |at| at.integer(1..=MAX_SECONDS)),
        action: fields.or("action", DeadlineAction::Stop, |at| {
            at.choice(&[("STOP", DeadlineAction::Stop), ("ROLL_BACK", DeadlineAction::RollBack)])
        }),
    }
}

fn placement(fields: &mut Fields<'_>) -> Placement {
    let mut constraints = fields.or("constraints", Vec::new(), constraints);
    let mut accepted_resource_roles = fields.list("acceptedResourceRoles", |at| Role::new(string(at)));
    keep_first(&mut constraints);
    keep_first(&mut accepted_resource_roles);
    Placement { constraints, accepted_resource_roles }
}

/// Both lists of [`Placement`] are sets; the order is the writer's.
fn keep_first<T: Clone + Ord>(list: &mut Vec<T>) {
    let mut seen = std::collections::BTreeSet::new();
    list.retain(|item| seen.insert(item.clone()));
}

/// Objects, as Marathon has them, or arrays of strings, as the page has them; one such array may also stand
/// for the whole list.
fn constraints(at: At<'_>) -> Vec<Constraint> {
    match at.value {
        Value::Array(words) if matches!(words.first(), Some(Value::String(_))) => vec![constraint(at)],
        _ => at.list(constraint),
    }
}

fn constraint(mut at: At<'_>) -> Constraint {
    let Value::Array(words) = at.value else {
        return at.object(|fields| Constraint {
            field_name: fields.required("fieldName", string),
            operator: fields.required("operator", operator),
            value: fields.optional("value", string),
        });
    };
    if !(2..=3).contains(&words.len()) {
        at.unreadable("error.expected.jsobject: a constraint is an object, [field, operator] or [field, operator, value]");
        return Constraint { field_name: String::new(), operator: ConstraintOperator::Unique, value: None };
    }
    Constraint {
        field_name: at.item(0).map(string).unwrap_or_default(),
        operator: at.item(1).map_or(ConstraintOperator::Unique, operator),
        value: at.item(2).map(string),
    }
}

fn operator(at: At<'_>) -> ConstraintOperator {
    at.choice(&[
        ("UNIQUE", ConstraintOperator::Unique),
        ("CLUSTER", ConstraintOperator::Cluster),
        ("GROUP_BY", ConstraintOperator::GroupBy),
        ("LIKE", ConstraintOperator::Like),
        ("UNLIKE", ConstraintOperator::Unlike),
        ("MAX_PER", ConstraintOperator::MaxPer),
        ("IS", ConstraintOperator::Is),
    ])
}

/// `"disabled"`, or an object. A time that is absent gives way to the one that is given, so that no default
/// contradicts what was written.
fn unreachable_strategy(at: At<'_>) -> UnreachableStrategy {
    match at.value {
        Value::String(word) if word.eq_ignore_ascii_case("disabled") => UnreachableStrategy::DISABLED,
        Value::Object(_) => at.object(|fields| {
            let seconds = |at: At<'_>| at.integer::<u64>(0..=MAX_SECONDS);
            let inactive = fields.optional("inactiveAfterSeconds", seconds);
            let expunge = fields.optional("expungeAfterSeconds", seconds);
            UnreachableStrategy::Enabled {
                inactive_after_seconds: inactive
                    .unwrap_or_else(|| expunge.map_or(INACTIVE_AFTER, |expunge| expunge.min(INACTIVE_AFTER))),
                expunge_after_seconds: expunge.unwrap_or_else(|| {
                    inactive.map_or(EXPUNGE_AFTER, |inactive| inactive.max(EXPUNGE_AFTER))
                }),
                on_return: fields.optional("onReturn", |at| {
                    at.choice(&[
                        ("ORIGINAL", OnReturn::Original),
                        ("REPLACEMENT", OnReturn::Replacement),
                        ("BEST_HEALTH", OnReturn::BestHealth),
                    ])
                }),
            }
        }),
        other => {
            let found = echo(other);
            at.unreadable(format!(
                "error.unknown.enum.literal: got {found}, expected 'disabled' or an object with \
                 inactiveAfterSeconds and expungeAfterSeconds"
            ));
            UnreachableStrategy::DISABLED
        }
    }
}

pub(super) fn executor_resources(at: At<'_>) -> ExecutorResources {
    at.object(|fields| ExecutorResources {
        cpus: fields.or("cpus", Number(0.1), |at| at.number(0.1..=MAX_AMOUNT)),
        mem: fields.or("mem", Number(32.0), |at| at.number(32.0..=MAX_AMOUNT)),
        disk: fields.or("disk", Number(10.0), |at| at.number(10.0..=MAX_AMOUNT)),
    })
}
