//! What copies use of each agent.

use rustc_hash::FxHashMap;

use super::{Pods, State};
use crate::model::ids::{AgentId, Uuid};
use crate::model::instance::{AgentInfo, Instance};
use crate::model::pod::ScalarResources;
use crate::placement::all_resources;

/// What all copies use, by agent. Never iterated.
#[derive(Clone, Debug, Default)]
pub(super) struct InUse(FxHashMap<AgentId, Usage>);

/// What copies use of one agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// The copies.
    copies: Vec<Uuid>,
    /// Plain amounts.
    pub(crate) scalars: ScalarResources,
    /// Host ports.
    pub(crate) ports: Vec<u16>,
}

impl InUse {
    /// Whether `instance` uses something of its agent: until the last of its containers has ended.
    pub(super) fn uses(instance: &Instance) -> bool {
        !instance.has_ended()
    }

    /// `instance` begins to use what its definition says.
    pub(super) fn add(&mut self, pods: &Pods, instance: &Instance) {
        let (Some(needs), Some(agent)) = (needs(pods, instance), instance.agent_id()) else { return };
        let usage = self.0.entry(agent.clone()).or_default();
        usage.copies.push(instance.id.uuid);
        usage.scalars = usage.scalars + needs;
        usage.ports.extend(ports(instance));
    }

    /// `instance` has ceased to use anything of `agent`, where it was.
    pub(super) fn remove(&mut self, pods: &Pods, instance: &Instance, agent: Option<&AgentInfo>) {
        let (Some(needs), Some(agent)) = (needs(pods, instance), agent) else { return };
        let agent = &agent.agent_id;
        let Some(usage) = self.0.get_mut(agent) else { return };
        if let Some(index) = usage.copies.iter().position(|uuid| *uuid == instance.id.uuid) {
            usage.copies.swap_remove(index);
        }
        if usage.copies.is_empty() {
            self.0.remove(agent);
            return;
        }
        usage.scalars = usage.scalars.saturating_sub(needs);
        for port in ports(instance) {
            if let Some(index) = usage.ports.iter().position(|used| *used == port) {
                usage.ports.swap_remove(index);
            }
        }
    }
}

impl State {
    /// What copies use of `agent`; nothing if there are none.
    pub(crate) fn in_use_on(&self, agent: &AgentId) -> Option<&Usage> {
        self.in_use.0.get(agent)
    }

    /// The copies on `agent` of which something has not ended, in no order.
    pub(crate) fn copies_on(&self, agent: &AgentId) -> &[Uuid] {
        self.in_use.0.get(agent).map_or(&[], |usage| &usage.copies)
    }
}

/// What `instance` needs, which does not change while it runs.
fn needs(pods: &Pods, instance: &Instance) -> Option<ScalarResources> {
    Some(all_resources(pods.get(&instance.id.pod)?.spec_of(instance.version)?))
}

fn ports(instance: &Instance) -> impl Iterator<Item = u16> {
    instance.tasks.iter().flat_map(|task| task.host_ports.iter().copied())
}
