//! What an agent has free in the offers at hand, while launches are being planned on it.

use std::sync::Arc;

use crate::model::ids::{ExecutorId, OfferId, Role};
use crate::model::instance::AgentInfo;
use crate::model::mesos::{
    Offer, PortRange, Reservation, Resource, ResourceKind, ResourceValue, Unavailability,
};
use crate::model::number::Scalar;
use crate::model::pod::ScalarResources;

/// Offers of one agent to one role, put together.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    /// The offers.
    pub(crate) offer_ids: Vec<OfferId>,
    /// The agent.
    pub(crate) agent: Arc<AgentInfo>,
    /// The role.
    pub(crate) role: Role,
    /// Our executors that are alive there.
    pub(crate) executor_ids: Vec<ExecutorId>,
    /// The agent's maintenance.
    pub(crate) unavailability: Option<Unavailability>,
    /// What is free, by reservation.
    pub(crate) stacks: Vec<Stack>,
    /// Separate disks, and persistent volumes, that are free.
    pub(crate) disks: Vec<Resource>,
}

/// What is free under one stack of reservations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stack {
    /// The reservations; none means unreserved.
    pub(crate) reservations: Arc<[Reservation]>,
    /// Plain amounts.
    pub(crate) scalars: ScalarResources,
    /// Ports.
    pub(crate) ports: Vec<PortRange>,
}

impl Stack {
    /// The role it is reserved for, if it is.
    pub(crate) fn reserved_role(&self) -> Option<&Role> {
        self.reservations.last().map(|reservation| &reservation.role)
    }
}

impl Stack {
    /// The same as resources that are offered to `role`.
    pub(crate) fn into_resources(mut self, role: &Role) -> Vec<Resource> {
        let mut resources = Vec::new();
        let mut add = |kind, value| {
            let resource = Resource::new(kind, value).allocated_to(role.clone());
            resources.push(Resource { reservations: self.reservations.clone(), ..resource });
        };
        for kind in [ResourceKind::Cpus, ResourceKind::Mem, ResourceKind::Disk, ResourceKind::Gpus] {
            if let Some(amount) = amount_of(&mut self.scalars, &kind).filter(|amount| !amount.is_zero()) {
                add(kind, ResourceValue::Scalar(*amount));
            }
        }
        if !self.ports.is_empty() {
            add(ResourceKind::Ports, ResourceValue::Ranges(self.ports));
        }
        resources
    }
}

impl Pool {
    /// A pool with what `offer` holds.
    pub(crate) fn new(offer: &Offer, default_role: &Role) -> Self {
        let mut pool = Self {
            offer_ids: Vec::new(),
            agent: Arc::new(AgentInfo {
                agent_id: offer.agent_id.clone(),
                host: offer.hostname.clone(),
                domain: offer.domain.clone(),
                attributes: offer.attributes.clone(),
            }),
            role: offer.role.clone().unwrap_or_else(|| default_role.clone()),
            executor_ids: Vec::new(),
            unavailability: None,
            stacks: Vec::new(),
            disks: Vec::new(),
        };
        pool.add(offer);
        pool
    }

    /// Adds what another offer of the same agent and role holds.
    pub(crate) fn add(&mut self, offer: &Offer) {
        self.offer_ids.push(offer.id.clone());
        self.executor_ids.extend(offer.executor_ids.iter().cloned());
        self.unavailability = offer.unavailability.clone();
        for resource in &offer.resources {
            // Not what may be taken away again, and what is shared.
            if resource.revocable || resource.shared {
                continue;
            }
            // Separate disks are not for ordinary containers.
            if resource.disk.as_ref().is_some_and(|disk| **disk != Default::default()) {
                self.disks.push(resource.clone());
                continue;
            }
            // Nor what storage plugins manage, disks apart.
            if resource.provider_id.is_some() {
                continue;
            }
            let stack = self.stack(&resource.reservations);
            match &resource.value {
                ResourceValue::Scalar(amount) => {
                    if let Some(free) = amount_of(&mut stack.scalars, &resource.kind) {
                        *free += *amount;
                    }
                }
                ResourceValue::Ranges(ranges) if resource.kind == ResourceKind::Ports => {
                    stack.ports.extend(ranges);
                }
                ResourceValue::Ranges(_) | ResourceValue::Set(_) => {}
            }
        }
        // What is reserved is used before what anybody could use.
        self.stacks.sort_by_key(|stack| stack.reservations.is_empty());
    }

    fn stack(&mut self, reservations: &Arc<[Reservation]>) -> &mut Stack {
        let found = self.stacks.iter().position(|stack| stack.reservations == *reservations);
        let index = found.unwrap_or_else(|| {
            self.stacks.push(Stack { reservations: reservations.clone(), ..Stack::default() });
            self.stacks.len() - 1
        });
        &mut self.stacks[index]
    }

    /// Takes away a disk or a part of one.
    pub(crate) fn take_disk(&mut self, taken: &Resource) {
        let Some(info) = &taken.disk else {
            let stack = self.stacks.iter_mut().find(|stack| stack.reservations == taken.reservations);
            if let Some(stack) = stack {
                stack.scalars.disk -= taken.amount();
            }
            return;
        };
        let same = |disk: &Resource| {
            disk.disk.as_ref() == Some(info)
                && disk.reservations == taken.reservations
                && disk.amount() >= taken.amount()
        };
        let Some(index) = self.disks.iter().position(same) else { return };
        let left = self.disks[index].amount().saturating_sub(taken.amount());
        if left.is_zero() {
            self.disks.remove(index);
        } else {
            self.disks[index].value = ResourceValue::Scalar(left);
        }
    }

    /// All that is free, whoever may use it.
    pub(crate) fn total(&self) -> ScalarResources {
        self.stacks.iter().fold(ScalarResources::default(), |total, stack| total + stack.scalars)
    }
}

/// The amount of `kind` in `scalars`; none for kinds that are not plain amounts.
pub(crate) fn amount_of<'a>(scalars: &'a mut ScalarResources, kind: &ResourceKind) -> Option<&'a mut Scalar> {
    match kind {
        ResourceKind::Cpus => Some(&mut scalars.cpus),
        ResourceKind::Mem => Some(&mut scalars.mem),
        ResourceKind::Disk => Some(&mut scalars.disk),
        ResourceKind::Gpus => Some(&mut scalars.gpus),
        ResourceKind::Ports | ResourceKind::Other(_) => None,
    }
}
