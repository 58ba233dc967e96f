//! Rules about agents that do not depend on how much is free.

use std::time::Duration;

use super::constraints::Constraints;
use crate::config::Config;
use crate::model::mesos::{FaultDomain, Unavailability};
use crate::model::pod::PodSpec;
use crate::model::time::Timestamp;

/// The label by which a pod overrides `--gpu_scheduling_behavior`.
const GPU_LABEL: &str = "GPU_SCHEDULING_BEHAVIOR";

/// Whether an agent in the domain `agent` is near enough. A pod stays in the master's region, because what is
/// between regions is slow, unless its constraints say something about regions or zones.
pub(crate) fn in_reach(
    constraints: &Constraints,
    agent: Option<&FaultDomain>,
    master: Option<&FaultDomain>,
) -> bool {
    let Some(agent) = agent else { return true };
    constraints.concern_fault_domains() || master.is_some_and(|master| master.region == agent.region)
}

/// Whether an agent with this maintenance window takes no more copies: from `--draining_seconds` before its
/// beginning until its end.
pub(crate) fn in_maintenance(
    unavailability: Option<&Unavailability>,
    config: &Config,
    now: Timestamp,
) -> bool {
    let Some(Unavailability { start, duration }) = unavailability else { return false };
    let is_over = |duration: Duration| now >= *start + duration;
    config.maintenance_mode && now >= *start - config.draining && !duration.is_some_and(is_over)
}

/// Whether an agent that has GPUs free, if `has_gpus`, is kept for pods that need some.
pub(crate) fn is_kept_for_gpus(spec: &PodSpec, has_gpus: bool, config: &Config) -> bool {
    let restricted = match spec.labels.get(GPU_LABEL).map(String::as_str) {
        Some("restricted") => true,
        Some("unrestricted") => false,
        _ => config.gpu_restricted,
    };
    has_gpus && restricted && spec.total_resources().gpus.is_zero()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::admission::{Rules, read_pod};
    use crate::model::pod::{Constraint, ConstraintOperator};

    fn constraints(fields: &[&str]) -> Constraints {
        let constraint = |field: &&str| Constraint {
            field_name: (*field).to_owned(),
            operator: ConstraintOperator::Unlike,
            value: Some("x".to_owned()),
        };
        Constraints::compile(&fields.iter().map(constraint).collect::<Vec<_>>())
    }

    #[test]
    fn pods_stay_in_the_masters_region_unless_they_say_otherwise() {
        let region = |name: &str| Some(FaultDomain { region: name.to_owned(), zone: "a".to_owned() });
        let (eu, us) = (region("eu"), region("us"));
        let plain = constraints(&["@hostname"]);
        assert!(in_reach(&plain, eu.as_ref(), eu.as_ref()));
        assert!(in_reach(&plain, None, eu.as_ref()));
        assert!(in_reach(&plain, None, None));
        assert!(!in_reach(&plain, us.as_ref(), eu.as_ref()));
        assert!(!in_reach(&plain, us.as_ref(), None));
        for field in ["@region", "@zone"] {
            assert!(in_reach(&constraints(&["@hostname", field]), us.as_ref(), eu.as_ref()));
        }
    }

    #[test]
    fn maintenance_begins_with_draining_and_ends_with_the_window() {
        let at = Timestamp::from_millis;
        let config = |maintenance_mode| Config {
            draining: Duration::from_millis(10),
            maintenance_mode,
            ..Config::default()
        };
        let window = |duration| Unavailability { start: at(100), duration };
        let bounded = window(Some(Duration::from_millis(50)));
        let check = |window: &Unavailability, now| in_maintenance(Some(window), &config(true), at(now));
        let found = [89, 90, 100, 149, 150].map(|now| check(&bounded, now));
        assert_eq!(found, [false, true, true, true, false]);
        let found = [89, 90, i64::MAX].map(|now| check(&window(None), now));
        assert_eq!(found, [false, true, true]);
        assert!(!in_maintenance(Some(&bounded), &config(false), at(120)));
        assert!(!in_maintenance(None, &config(true), at(120)));
    }

    #[test]
    fn agents_with_gpus_are_kept_for_those_who_need_them() {
        let spec = |gpus: u32, label: Option<&str>| {
            let mut json =
                json!({ "id": "/p", "containers": [{ "name": "c", "resources": { "gpus": gpus } }] });
            if let Some(label) = label {
                json["labels"] = json!({ "GPU_SCHEDULING_BEHAVIOR": label });
            }
            read_pod(&json, &Rules::default()).unwrap().pod
        };
        let config = |gpu_restricted| Config { gpu_restricted, ..Config::default() };
        let kept = |spec: &PodSpec, restricted| is_kept_for_gpus(spec, true, &config(restricted));
        assert!(kept(&spec(0, None), true));
        assert!(!kept(&spec(0, None), false));
        assert!(!kept(&spec(1, None), true));
        assert!(kept(&spec(0, Some("restricted")), false));
        assert!(!kept(&spec(0, Some("unrestricted")), true));
        assert!(!is_kept_for_gpus(&spec(0, None), false, &config(true)));
    }
}
