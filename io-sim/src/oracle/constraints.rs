//! Placement constraints, evaluated apart from the scheduler.
//!
//! Copies count if they are, or are believed to be, on a machine. While a deployment of their pod is on its way, those
//! do not that it replaces: their successors take their places.

use std::collections::{BTreeMap, BTreeSet};

use podium_core::Scheduler;
use podium_core::model::mesos::AttributeValue;
use podium_core::model::pod::{Constraint, ConstraintOperator, PodSpec};
use podium_core::model::regex::JavaRegex;
use podium_core::view::{InstanceStatus, PodInstanceState, PodStatus};

use super::definitions::replaces;
use super::ledger::Ledger;
use crate::cluster::AgentConfig;
use crate::world::Scene;

/// The machines that copies of `spec` are on.
pub(super) fn placed<'a>(
    api: &Scheduler,
    spec: &PodSpec,
    status: &PodStatus,
    ledger: &Ledger,
    scene: &Scene<'a>,
) -> Vec<&'a AgentConfig> {
    let old_ones_stay = !ledger.is_deploying(&spec.id);
    let counts = |reference: &str| {
        let version = reference.rsplit_once("::versions/").and_then(|(_, version)| version.parse().ok());
        let old = version.and_then(|version| api.pod_version(&spec.id, version));
        old_ones_stay || old.is_some_and(|old| !replaces(spec, old))
    };
    let has_place = |instance: &&InstanceStatus| match instance.status {
        // Whoever has volumes goes back to them, as what the current definition says.
        PodInstanceState::Pending => spec.is_resident(),
        _ => counts(&instance.spec_reference),
    };
    let copies = ledger.copies.get(&spec.id);
    let is_given_up = |instance: &&InstanceStatus| {
        copies.and_then(|copies| copies.get(&instance.id.uuid)).is_some_and(|copy| ledger.is_given_up(copy))
    };
    let there = status.instances.iter().filter(has_place).filter(|instance| !is_given_up(instance));
    let agents: Vec<&AgentConfig> = scene.cluster.agents().map(|agent| agent.config).collect();
    there
        .filter_map(|instance| {
            let host = instance.agent_hostname.as_ref()?;
            agents.iter().find(|agent| agent.hostname == *host).copied()
        })
        .collect()
}

/// Whether `agent` is in the master's region, or `spec` says something about regions or zones.
pub(super) fn in_reach(spec: &PodSpec, agent: &AgentConfig, scene: &Scene<'_>) -> bool {
    let Some(domain) = &agent.domain else { return true };
    let master = scene.plan.cluster.domain.as_ref();
    let mut rules = spec.scheduling.placement.constraints.iter();
    rules.any(|rule| matches!(rule.field_name.as_str(), "@region" | "@zone"))
        || master.is_some_and(|[region, _]| *region == domain.region)
}

/// Whether those constraints of `spec` that `which` names let one more copy run on `agent`.
pub(super) fn allow(
    spec: &PodSpec,
    which: impl Fn(&Constraint) -> bool,
    agent: &AgentConfig,
    placed: &[&AgentConfig],
) -> bool {
    spec.scheduling.placement.constraints.iter().filter(|rule| which(rule)).all(|constraint| {
        let others: Vec<Option<String>> = placed.iter().map(|agent| value(constraint, agent)).collect();
        allows(constraint, value(constraint, agent), &others, spec.instances() as usize)
    })
}

/// Whether `constraint` is `GROUP_BY` without a number of values.
pub(super) fn spreads_evenly(constraint: &Constraint) -> bool {
    constraint.operator == ConstraintOperator::GroupBy
        && constraint.value.as_deref().is_none_or(|number| number.parse() == Ok(0))
}

/// How many copies there are on the value that has the fewest.
pub(super) fn least(values: &[Option<String>]) -> Option<usize> {
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    for value in values.iter().flatten() {
        *counts.entry(value).or_default() += 1;
    }
    counts.into_values().min()
}

fn allows(
    constraint: &Constraint,
    value: Option<String>,
    others: &[Option<String>],
    instances: usize,
) -> bool {
    let wanted = constraint.value.as_deref().unwrap_or_default();
    let Some(value) = value else { return constraint.operator == ConstraintOperator::Unlike };
    let same = others.iter().filter(|other| other.as_ref() == Some(&value)).count();
    let matches = || JavaRegex::new(wanted).is_ok_and(|regex| regex.is_match(&value).unwrap_or(false));
    match constraint.operator {
        ConstraintOperator::Cluster if wanted.is_empty() => others.is_empty() || same > 0,
        ConstraintOperator::Cluster | ConstraintOperator::Is => {
            let number = |text: &str| text.parse::<f64>().ok();
            value == wanted || number(&value).is_some_and(|value| number(wanted) == Some(value))
        }
        ConstraintOperator::GroupBy if spreads_evenly(constraint) => {
            same == 0 || least(others).is_none_or(|least| same <= least)
        }
        ConstraintOperator::GroupBy => {
            let groups: usize = wanted.parse().unwrap_or(1).max(1);
            let present: BTreeSet<&Option<String>> = others.iter().collect();
            if same == 0 { present.len() < groups } else { same < instances.div_ceil(groups) }
        }
        ConstraintOperator::Like => matches(),
        ConstraintOperator::MaxPer => wanted.parse().is_ok_and(|most: usize| same < most),
        ConstraintOperator::Unique => same == 0,
        ConstraintOperator::Unlike => !matches(),
    }
}

/// The value of the constraint's field on `agent`.
pub(super) fn value(constraint: &Constraint, agent: &AgentConfig) -> Option<String> {
    match constraint.field_name.as_str() {
        "@hostname" | "hostname" => Some(agent.hostname.clone()),
        "@region" => agent.domain.as_ref().map(|domain| domain.region.clone()),
        "@zone" => agent.domain.as_ref().map(|domain| domain.zone.clone()),
        name => {
            agent.attributes.iter().find(|attribute| attribute.name == name).map(|attribute| match &attribute
                .value
            {
                AttributeValue::Scalar(scalar) => scalar.to_string(),
                AttributeValue::Ranges(ranges) => {
                    let ranges: Vec<String> =
                        ranges.iter().map(|range| format!("{}-{}", range.begin, range.end)).collect();
                    format!("[{}]", ranges.join(","))
                }
                AttributeValue::Set(items) => format!("{{{}}}", items.join(",")),
                AttributeValue::Text(text) => text.clone(),
            })
        }
    }
}
