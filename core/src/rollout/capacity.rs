//! How many copies there must and may be while a new definition replaces an old one.

use crate::model::pod::PodSpec;

/// Floor and ceiling of a rollout (Marathon's `minimumHealthCapacity` and `maximumOverCapacity`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capacity {
    /// So many must stay healthy: ⌈instances · minimumHealthCapacity⌉.
    pub(crate) floor: u32,
    /// So many may exist: ⌊instances · (1 + maximumOverCapacity)⌋. Where floor and ceiling are equal nothing
    /// could ever move: then one more may exist or, for a resident pod, whose copies cannot be doubled, one
    /// fewer must stay healthy.
    pub(crate) ceiling: u32,
}

impl Capacity {
    /// Floor and ceiling for `spec`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "float-to-int casts saturate, and admission keeps both factors between 0 and 1"
    )]
    pub(crate) fn of(spec: &PodSpec) -> Self {
        let instances = f64::from(spec.instances());
        let upgrade = spec.scheduling.upgrade;
        // Products like 10 · 1.1 must not become 11.000000000000002 and then 12.
        let floor = (instances * upgrade.minimum_health_capacity.0 - 1e-9).ceil().max(0.0) as u32;
        let ceiling = (instances * (1.0 + upgrade.maximum_over_capacity.0) + 1e-9).floor() as u32;
        let ceiling = ceiling.max(spec.instances());
        match (floor == ceiling, spec.is_resident()) {
            (false, _) => Self { floor, ceiling },
            (true, false) => Self { floor, ceiling: ceiling.saturating_add(1) },
            (true, true) => Self { floor: floor.saturating_sub(1), ceiling },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::admission::{Rules, read_pod};
    use crate::model::number::Number;

    fn pod() -> PodSpec {
        let json = json!({
            "id": "/p",
            "containers": [{"name": "c", "exec": {"command": {"shell": "true"}}, "resources": {"cpus": 1, "mem": 1}}]
        });
        read_pod(&json, &Rules::default()).expect("the test's pod is valid").pod
    }

    fn of(spec: &mut PodSpec, instances: u32, minimum_health: f64, over: f64) -> Capacity {
        spec.scaling.instances = instances;
        spec.scheduling.upgrade.minimum_health_capacity = Number(minimum_health);
        spec.scheduling.upgrade.maximum_over_capacity = Number(over);
        Capacity::of(spec)
    }

    /// Hundredths are what people write, and few of them are exact in binary.
    #[test]
    fn floor_and_ceiling_are_those_of_exact_arithmetic() {
        let mut spec = pod();
        for instances in 1..=1000 {
            for hundredths in 0..=100 {
                let part = f64::from(hundredths) / 100.0;
                // Never equal to the other bound.
                let floor = of(&mut spec, instances, part, 1.0).floor;
                assert_eq!(floor, (instances * hundredths).div_ceil(100), "{instances} · {part}");
                let ceiling = of(&mut spec, instances, 0.0, part).ceiling;
                assert_eq!(ceiling, instances + instances * hundredths / 100, "{instances} · (1 + {part})");
            }
        }
    }
}
