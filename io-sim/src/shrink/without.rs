//! Plans with something left out.

use std::ops::Range;

use crate::plan::{Claim, Plan};

/// `plan` without a pod and all that is about it.
pub(super) fn pod(plan: &Plan, pod: &str) -> Plan {
    let mut plan = plan.clone();
    plan.workload.retain(|order| order.what.pod() != Some(pod));
    plan.containers.retain(|rule| rule.pod.as_deref() != Some(pod));
    plan.faults
        .retain(|planned| planned.what.target().is_none_or(|target| target.pod.as_deref() != Some(pod)));
    plan.expect.retain(|expectation| match &expectation.that {
        Claim::Gone(id) | Claim::Pod { id, .. } => id != pod,
        _ => true,
    });
    plan
}

/// `plan` without these events: orders, then faults, rules for containers, and expectations.
pub(super) fn events(plan: &Plan, range: Range<usize>) -> Plan {
    let mut plan = plan.clone();
    let mut index = 0;
    let mut keep = || {
        index += 1;
        !range.contains(&(index - 1))
    };
    plan.workload.retain(|_| keep());
    plan.faults.retain(|_| keep());
    plan.containers.retain(|_| keep());
    plan.expect.retain(|_| keep());
    plan
}

/// `plan` without these machines and what happens to them. The others get new numbers.
pub(super) fn agents(plan: &Plan, range: Range<usize>) -> Plan {
    let mut plan = plan.clone();
    // Names come from numbers: who keeps its name stays the one that constraints and snapshots speak of.
    let is_gone = |agent: u32| range.contains(&(agent as usize));
    plan.faults.retain(|planned| !planned.what.agent().is_some_and(is_gone));
    for agent in plan.faults.iter_mut().filter_map(|planned| planned.what.agent_mut()) {
        if *agent as usize >= range.end {
            *agent -= u32::try_from(range.len()).unwrap_or_default();
        }
    }
    plan.cluster.agents.drain(range);
    plan
}

impl Plan {
    /// How many events it has: what clients ask for, what breaks, how containers behave, and what is expected.
    pub fn event_count(&self) -> usize {
        self.workload.len() + self.faults.len() + self.containers.len() + self.expect.len()
    }
}
