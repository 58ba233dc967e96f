//! The rules for scheduling.

use crate::admission::reader::quote;
use crate::admission::report::Report;
use crate::model::pod::{Constraint, ConstraintOperator, PodSpec, UnreachableStrategy};
use crate::model::regex::JavaRegex;

pub(super) fn scheduling(pod: &PodSpec, report: &mut Report) {
    let scheduling = &pod.scheduling;
    if let UnreachableStrategy::Enabled { inactive_after_seconds, expunge_after_seconds, .. } =
        scheduling.unreachable_strategy
    {
        if inactive_after_seconds > expunge_after_seconds {
            report.violation(
                "/scheduling/unreachableStrategy/inactiveAfterSeconds",
                format!("got {inactive_after_seconds}, expected {expunge_after_seconds} or less, which is expungeAfterSeconds"),
            );
        }
        if pod.is_resident() {
            report.violation(
                "/scheduling/unreachableStrategy",
                "unreachableStrategy must be disabled for pods with persistent volumes",
            );
        }
    }
    let over_capacity = scheduling.upgrade.maximum_over_capacity;
    if pod.is_resident() && over_capacity.0 != 0.0 {
        report.violation(
            "/scheduling/upgrade/maximumOverCapacity",
            format!("got {over_capacity}, expected 0 for pods with persistent volumes"),
        );
    }
    for (index, one) in scheduling.placement.constraints.iter().enumerate() {
        if let Some(error) = constraint_error(one) {
            report.violation(format_args!("/scheduling/placement/constraints({index})"), error);
        }
    }
}

fn constraint_error(constraint: &Constraint) -> Option<String> {
    let value = constraint.value.as_deref();
    let integer = value.is_some_and(|value| value.parse::<i32>().is_ok());
    let error = match constraint.operator {
        _ if constraint.field_name.is_empty() => "missing field for constraint declaration",
        ConstraintOperator::Unique if value.is_some() => "UNIQUE does not accept a value",
        ConstraintOperator::GroupBy if value.is_some() && !integer => {
            "GROUP BY must define an integer value or else no value at all"
        }
        ConstraintOperator::MaxPer if !integer => "MAX_PER requires an integer value",
        ConstraintOperator::Like | ConstraintOperator::Unlike => {
            match value.filter(|value| !value.is_empty()) {
                None => "LIKE and UNLIKE require a non-empty, regular expression value",
                Some(pattern) => return JavaRegex::new(pattern).err().map(|error| error.to_string()),
            }
        }
        ConstraintOperator::Is if !value.unwrap_or_default().chars().all(is_attribute_text) => {
            "IS only supports Mesos text and float values (see \
             http://mesos.apache.org/documentation/latest/attributes-resources/)"
        }
        _ => return None,
    };
    Some(match value {
        Some(value) => format!("{error}, got {}", quote(value)),
        None => error.to_owned(),
    })
}

/// The characters of Mesos' text attributes.
fn is_attribute_text(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '_' | '/' | '.' | '-')
}

pub(super) fn accepted_resource_roles(pod: &PodSpec, report: &mut Report) {
    const PATH: &str = "/scheduling/placement/acceptedResourceRoles";
    let accepted = &pod.scheduling.placement.accepted_resource_roles;
    let role = pod.role.as_str();
    if accepted.is_empty() {
        return;
    }
    for (index, name) in accepted.iter().map(|role| role.as_str()).enumerate() {
        if name == role {
            continue;
        }
        if let Some(error) = role_name_error(name) {
            report.violation(format_args!("{PATH}({index})"), error);
        }
    }
    let others: Vec<_> =
        accepted.iter().map(|role| role.as_str()).filter(|name| *name != "*" && *name != role).collect();
    if let Some(other) = others.first() {
        let allowed = if role == "*" { "*".to_owned() } else { format!("* and {role}") };
        report.violation(
            PATH,
            format!("acceptedResourceRoles can only contain {allowed}, got {}", quote(other)),
        );
    }
    if pod.is_resident() && !(accepted.len() == 1 && accepted[0].as_str() == "*") {
        report.violation(PATH, "A resident pod must have `acceptedResourceRoles = [\"*\"]`.");
    }
}

/// What Mesos has against the name of a role (`roles::validate`).
fn role_name_error(name: &str) -> Option<String> {
    if matches!(name, "" | "." | "..") {
        return Some(format!("A role name must not be \"{name}\"."));
    }
    if name.starts_with('-') {
        return Some("A role name must not start with a '-'.".to_owned());
    }
    let character = match name.chars().find(|char| matches!(char, '\t'..='\r' | ' ' | '/' | '\x7f'))? {
        '\t' => "tab",
        '\n' => "line feed",
        '\x0b' => "vertical tab",
        '\x0c' => "form feed",
        '\r' => "carriage return",
        ' ' => "space",
        '/' => "slash",
        _ => "delete",
    };
    Some(format!("A role name must not include a {character} character."))
}
