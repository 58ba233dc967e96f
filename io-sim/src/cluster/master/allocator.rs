//! The allocator: decides what of each agent goes to which role of which framework.
//!
//! Mesos looks at every agent in every batch. This one only looks at agents for which something changed since
//! the last batch: resources came back, or a filter ran out. The outcome is the same, and a quiet cluster
//! costs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use podium_core::model::ids::{FrameworkId, Role};
use podium_core::model::mesos::{FaultDomain, FrameworkCapability, FrameworkInfo, Resource, ResourceKind};
use podium_core::model::number::Scalar;
use podium_core::model::time::Timestamp;

use super::subscribe::roles_of;
use crate::cluster::config::MasterConfig;
use crate::cluster::env::Env;
use crate::cluster::io::AgentIndex;
use crate::cluster::queue::Alarm;
use crate::cluster::resources::{Resources, is_allocatable_to};
use crate::cluster::wire::MasterTimer;

/// See the top of the file.
#[derive(Clone, Debug)]
pub(in crate::cluster) struct Allocator {
    /// By machine; present while the agent is registered.
    slots: Vec<Option<Slot>>,
    frameworks: BTreeMap<FrameworkId, Client>,
    quota: BTreeMap<Role, Vec<(ResourceKind, Scalar)>>,
    /// Agents to look at.
    dirty: BTreeSet<AgentIndex>,
    /// When to look at an agent again, because a filter that held it back runs out.
    rechecks: BTreeSet<(Timestamp, AgentIndex)>,
    /// The cluster's size, for shares.
    total: Share,
    /// When the batches began; they come at the allocation interval from then on.
    started: Timestamp,
    alarm: Option<(Timestamp, Alarm)>,
    /// The next batch takes place even if nothing changes.
    keep_going: bool,
}

/// A share of a bundle to one role of one framework.
#[derive(Clone, Debug)]
pub(super) struct Allocation {
    pub(super) agent: AgentIndex,
    pub(super) framework_id: FrameworkId,
    pub(super) role: Role,
    /// Not allocated to a role.
    pub(super) resources: Resources,
}

#[derive(Clone, Debug)]
struct Slot {
    /// All that the agent has, with dynamic reservations and volumes.
    total: Resources,
    /// What is used or offered. It may not be in the total, if the agent has come back with less than it left with.
    allocated: Resources,
    available: Available,
    /// Whether it may be offered.
    active: bool,
    has_gpus: bool,
    domain: Option<FaultDomain>,
    recheck: Option<Timestamp>,
}

/// What is neither used nor offered of an agent, from when it is asked for until that changes.
#[derive(Clone, Default)]
struct Available(Option<Resources>);

// States that differ only in whether it was asked for have the same future.
impl fmt::Debug for Available {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Available")
    }
}

/// A framework, as far as it gets offers.
#[derive(Clone, Debug)]
struct Client {
    active: bool,
    capabilities: Vec<FrameworkCapability>,
    roles: Vec<ClientRole>,
}

#[derive(Clone, Debug)]
struct ClientRole {
    role: Role,
    suppressed: bool,
    filters: BTreeMap<AgentIndex, Vec<Filter>>,
    /// What it uses or is offered.
    allocated: Share,
}

/// Resources of an agent that were refused, and until when.
#[derive(Clone, Debug)]
struct Filter {
    refused: Resources,
    until: Timestamp,
}

/// The amounts that fairness and quota look at, in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    cpus: i64,
    mem: i64,
    disk: i64,
    gpus: i64,
}

impl Allocator {
    pub(super) fn new(machines: usize) -> Self {
        Self {
            slots: vec![None; machines],
            frameworks: BTreeMap::new(),
            quota: BTreeMap::new(),
            dirty: BTreeSet::new(),
            rechecks: BTreeSet::new(),
            total: Share::default(),
            started: Timestamp::EPOCH,
            alarm: None,
            keep_going: false,
        }
    }

    pub(super) fn start(&mut self, env: &Env, quota: &BTreeMap<Role, Vec<(ResourceKind, Scalar)>>) {
        self.started = env.now;
        self.quota.clone_from(quota);
    }

    // -- frameworks ----------------------------------------------------------------------------------------

    pub(super) fn add_framework(&mut self, id: &FrameworkId, info: &FrameworkInfo, suppressed: &[Role]) {
        let mut client = Client { active: false, capabilities: info.capabilities.clone(), roles: Vec::new() };
        client.set_roles(&roles_of(info), suppressed);
        self.frameworks.insert(id.clone(), client);
    }

    /// New roles and capabilities. A role that is no longer suppressed loses its filters.
    pub(super) fn change_framework(&mut self, id: &FrameworkId, info: &FrameworkInfo, suppressed: &[Role]) {
        if let Some(client) = self.frameworks.get_mut(id) {
            client.capabilities.clone_from(&info.capabilities);
            client.set_roles(&roles_of(info), suppressed);
            self.all_dirty();
        }
    }

    pub(super) fn remove_framework(&mut self, id: &FrameworkId) {
        self.frameworks.remove(id);
    }

    /// An inactive framework gets no offers and loses its filters; suppressed roles stay so.
    pub(super) fn set_framework_active(&mut self, id: &FrameworkId, active: bool) {
        if let Some(client) = self.frameworks.get_mut(id) {
            client.active = active;
            for role in &mut client.roles {
                role.filters.clear();
            }
        }
        if active {
            self.all_dirty();
        }
    }

    /// Whether all `roles` are the framework's; if not, Mesos ignores the call that names them.
    fn client_with(&mut self, id: &FrameworkId, roles: &[Role]) -> Option<&mut Client> {
        let client = self.frameworks.get_mut(id)?;
        roles.iter().all(|role| client.roles.iter().any(|own| own.role == *role)).then_some(client)
    }

    pub(super) fn suppress(&mut self, id: &FrameworkId, roles: &[Role]) {
        if let Some(client) = self.client_with(id, roles) {
            for own in &mut client.roles {
                if roles.is_empty() || roles.contains(&own.role) {
                    own.suppressed = true;
                }
            }
        }
    }

    pub(super) fn revive(&mut self, id: &FrameworkId, roles: &[Role]) {
        if let Some(client) = self.client_with(id, roles) {
            for own in &mut client.roles {
                if roles.is_empty() || roles.contains(&own.role) {
                    own.suppressed = false;
                    own.filters.clear();
                }
            }
            self.all_dirty();
        }
    }

    pub(in crate::cluster) fn suppressed(&self, id: &FrameworkId) -> impl Iterator<Item = &Role> {
        let roles = self.frameworks.get(id).into_iter().flat_map(|client| client.roles.iter());
        roles.filter(|role| role.suppressed).map(|role| &role.role)
    }

    pub(super) fn set_quota(&mut self, role: Role, limits: Vec<(ResourceKind, Scalar)>) {
        if limits.is_empty() {
            self.quota.remove(&role);
        } else {
            self.quota.insert(role, limits);
        }
        self.all_dirty();
    }

    // -- agents --------------------------------------------------------------------------------------------

    pub(super) fn add_agent(
        &mut self,
        agent: AgentIndex,
        total: Resources,
        domain: Option<FaultDomain>,
        active: bool,
    ) {
        self.total.add(&total);
        let slot = Slot {
            has_gpus: total.has(&ResourceKind::Gpus),
            total,
            allocated: Resources::default(),
            available: Available::default(),
            active,
            domain,
            recheck: None,
        };
        self.slots[agent.0 as usize] = Some(slot);
        self.dirty.insert(agent);
    }

    pub(super) fn remove_agent(&mut self, agent: AgentIndex) {
        if let Some(slot) = self.slots[agent.0 as usize].take() {
            self.total.subtract(&slot.total);
        }
        self.dirty.remove(&agent);
        for client in self.frameworks.values_mut() {
            for role in &mut client.roles {
                role.filters.remove(&agent);
            }
        }
    }

    pub(super) fn set_agent_active(&mut self, agent: AgentIndex, active: bool) {
        if let Some(slot) = &mut self.slots[agent.0 as usize] {
            slot.active = active;
            self.dirty.insert(agent);
        }
    }

    /// An agent says what it has: operations that it did not hear of have not happened.
    pub(super) fn set_agent_total(&mut self, agent: AgentIndex, total: &Resources) {
        if let Some(slot) = &mut self.slots[agent.0 as usize]
            && slot.total != *total
        {
            self.total.subtract(&slot.total);
            self.total.add(total);
            slot.total.clone_from(total);
            slot.available = Available::default();
            self.dirty.insert(agent);
        }
    }

    /// All that a registered agent has.
    pub(in crate::cluster) fn total(&self, agent: AgentIndex) -> Option<&Resources> {
        self.slots[agent.0 as usize].as_ref().map(|slot| &slot.total)
    }

    /// What of a registered agent is used or offered.
    pub(in crate::cluster) fn allocated(&self, agent: AgentIndex) -> Option<&Resources> {
        self.slots[agent.0 as usize].as_ref().map(|slot| &slot.allocated)
    }

    pub(in crate::cluster) fn is_active(&self, agent: AgentIndex) -> bool {
        self.slots[agent.0 as usize].as_ref().is_some_and(|slot| slot.active)
    }

    /// A returning agent's task or executor uses something.
    pub(super) fn use_resources(
        &mut self,
        agent: AgentIndex,
        framework_id: &FrameworkId,
        resources: &[Resource],
    ) {
        let role = role_of(resources);
        let resources = Resources::sum(resources).allocated(None);
        if let Some(slot) = &mut self.slots[agent.0 as usize] {
            slot.allocated.add_all(&resources);
            slot.available = Available::default();
        }
        if let Some(role) = self.role(framework_id, role.as_ref()) {
            role.allocated.add(&resources);
        }
    }

    /// Resources come back: from an offer, a task or an executor. With `refuse` they are not offered to the
    /// role again for so long; the allocation interval is the least.
    pub(super) fn recover(
        &mut self,
        env: &Env,
        agent: AgentIndex,
        (framework_id, role): (&FrameworkId, Option<&Role>),
        resources: Resources,
        refuse: Option<Duration>,
    ) {
        let resources = resources.allocated(None);
        if let Some(slot) = &mut self.slots[agent.0 as usize] {
            slot.allocated.subtract(&resources);
            slot.available = Available::default();
            self.dirty.insert(agent);
        }
        if !self.quota.is_empty() {
            // What one agent gives back may be what another was waiting for.
            self.all_dirty();
        }
        let Some(role) = self.role(framework_id, role) else { return };
        role.allocated.subtract(&resources);
        if let Some(refuse) = refuse.filter(|refuse| !refuse.is_zero() && !resources.is_empty()) {
            const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
            let until = env.now + refuse.min(YEAR).max(env.config.master.allocation_interval);
            let filters = role.filters.entry(agent).or_default();
            filters.retain(|filter| filter.until > env.now);
            filters.push(Filter { refused: resources, until });
        }
    }

    /// An operation turns some of an agent's resources, which were offered, into others.
    pub(super) fn convert(&mut self, agent: AgentIndex, consumed: &Resources, converted: &Resources) {
        if let Some(slot) = &mut self.slots[agent.0 as usize] {
            for own in [&mut slot.total, &mut slot.allocated] {
                own.subtract(consumed);
                own.add_all(converted);
            }
            slot.available = Available::default();
        }
        self.total.subtract(consumed);
        self.total.add(converted);
    }

    fn role(&mut self, framework_id: &FrameworkId, role: Option<&Role>) -> Option<&mut ClientRole> {
        let client = self.frameworks.get_mut(framework_id)?;
        client.roles.iter_mut().find(|own| Some(&own.role) == role)
    }

    fn all_dirty(&mut self) {
        let registered = self.slots.iter().zip(0..).filter(|(slot, _)| slot.is_some());
        self.dirty.extend(registered.map(|(_, index)| AgentIndex(index)));
    }

    // -- allocation ----------------------------------------------------------------------------------------

    /// Plans the next batch, if there will be anything to do: at once, or at the next regular time.
    pub(super) fn plan(&mut self, env: &mut Env, at_once: bool) {
        let demand = |client: &Client| client.active && client.roles.iter().any(|role| !role.suppressed);
        if !self.frameworks.values().any(demand) {
            return;
        }
        let at = if !self.dirty.is_empty() {
            if at_once { env.now } else { self.next_batch(env, env.now) }
        } else if let Some((at, _)) = self.rechecks.first() {
            self.next_batch(env, *at)
        } else if self.keep_going {
            self.next_batch(env, env.now)
        } else {
            return;
        };
        if self.alarm.is_some_and(|(planned, _)| planned <= at) {
            return;
        }
        env.queue.cancel(self.alarm.take().map(|(_, alarm)| alarm));
        self.alarm = Some((at, env.plan_master_at(at, MasterTimer::Allocate)));
    }

    /// Batches go on although nothing changes.
    pub(super) fn keep_going(&mut self) {
        self.keep_going = true;
    }

    /// The first batch after `at`.
    fn next_batch(&self, env: &Env, at: Timestamp) -> Timestamp {
        let interval = env.config.master.allocation_interval.as_millis().max(1);
        let passed = at.since(self.started).as_millis();
        let next = (passed / interval + 1) * interval;
        self.started + Duration::from_millis(u64::try_from(next).unwrap_or(u64::MAX))
    }

    /// One batch.
    pub(super) fn allocate(&mut self, env: &mut Env) -> Vec<Allocation> {
        self.alarm = None;
        self.keep_going = false;
        while let Some(&(at, agent)) = self.rechecks.first()
            && at <= env.now
        {
            self.rechecks.pop_first();
            if let Some(slot) = &mut self.slots[agent.0 as usize]
                && slot.recheck == Some(at)
            {
                slot.recheck = None;
                self.dirty.insert(agent);
            }
        }
        let mut agents: Vec<AgentIndex> = std::mem::take(&mut self.dirty).into_iter().collect();
        if agents.len() > 1 {
            env.shuffle(&mut agents);
        }
        let mut allocations = Vec::new();
        for agent in agents {
            self.allocate_agent(env, agent, &mut allocations);
        }
        allocations
    }

    fn allocate_agent(&mut self, env: &Env, agent: AgentIndex, allocations: &mut Vec<Allocation>) {
        let Some(slot) = &mut self.slots[agent.0 as usize] else { return };
        if !slot.active {
            return;
        }
        let mut available = slot.take_available();
        if available.is_empty() {
            slot.available = Available(Some(available));
            return;
        }
        let mut is_changed = false;
        let mut recheck: Option<Timestamp> = None;
        for (framework_id, position) in by_share(&self.frameworks, self.total) {
            let Some(client) = self.frameworks.get_mut(&framework_id) else { continue };
            if !client.may_have(slot, &env.config.master) {
                continue;
            }
            let role = &client.roles[position];
            let may_be_its =
                |item: &Resource| client.understands(item) && is_allocatable_to(item, &role.role);
            let limits = self.quota.get(&role.role);
            // Mostly it may have all there is: that is moved, and back if it does not get it.
            let is_all = limits.is_none() && available.as_slice().iter().all(may_be_its);
            let mut resources = if is_all { std::mem::take(&mut available) } else { available.clone() };
            if !is_all {
                resources.retain(may_be_its);
                resources.unlimited_first();
            }
            for (kind, limit) in limits.into_iter().flatten() {
                let left = limit.saturating_sub(Scalar::from_thousandths(role.allocated.get(kind)));
                resources.limit(kind, left);
            }
            let is_enough = is_allocatable(&resources, &env.config.master);
            let role = &mut client.roles[position];
            let refused = if is_enough { role.filtered_until(agent, &resources, env.now) } else { None };
            if !is_enough || refused.is_some() {
                recheck = [recheck, refused].into_iter().flatten().min();
                if is_all {
                    available = resources;
                }
                continue;
            }
            is_changed = true;
            if is_all {
                resources.unlimited_first();
            } else {
                available.subtract(&resources);
            }
            slot.allocated.add_all(&resources);
            role.allocated.add(&resources);
            let role = role.role.clone();
            allocations.push(Allocation { agent, framework_id, role, resources });
            if available.is_empty() {
                break;
            }
        }
        let is_used_up = available.is_empty();
        // What is left of some is not kept: the order of resources shows in offers, and may be another one.
        slot.available = Available((is_used_up || !is_changed).then_some(available));
        if let Some(at) = recheck.filter(|_| !is_used_up) {
            slot.recheck = Some(at);
            self.rechecks.insert((at, agent));
        }
    }
}

impl Slot {
    /// Neither used nor offered.
    fn take_available(&mut self) -> Resources {
        self.available.0.take().unwrap_or_else(|| {
            let mut available = self.total.clone();
            available.subtract(&self.allocated);
            available
        })
    }
}

impl Client {
    fn set_roles(&mut self, roles: &[Role], suppressed: &[Role]) {
        let mut old = std::mem::take(&mut self.roles);
        self.roles = roles
            .iter()
            .map(|role| {
                let now_suppressed = suppressed.contains(role);
                match old.iter().position(|own| own.role == *role) {
                    Some(position) => {
                        let mut own = old.swap_remove(position);
                        if own.suppressed && !now_suppressed {
                            own.filters.clear();
                        }
                        own.suppressed = now_suppressed;
                        own
                    }
                    None => ClientRole {
                        role: role.clone(),
                        suppressed: now_suppressed,
                        filters: BTreeMap::new(),
                        allocated: Share::default(),
                    },
                }
            })
            .collect();
    }

    fn has(&self, capability: FrameworkCapability) -> bool {
        self.capabilities.contains(&capability)
    }

    /// Whether the agent's nature allows it to be offered to this framework.
    fn may_have(&self, slot: &Slot, master: &MasterConfig) -> bool {
        let home = master.domain.as_ref().map(|domain| &domain.region);
        let elsewhere = slot.domain.as_ref().is_some_and(|domain| Some(&domain.region) != home);
        (!slot.has_gpus || self.has(FrameworkCapability::GpuResources))
            && (!elsewhere || self.has(FrameworkCapability::RegionAware))
    }

    fn understands(&self, resource: &Resource) -> bool {
        (!resource.revocable || self.has(FrameworkCapability::RevocableResources))
            && (!resource.shared || self.has(FrameworkCapability::SharedResources))
            && (resource.reservations.len() < 2 || self.has(FrameworkCapability::ReservationRefinement))
    }
}

impl ClientRole {
    /// Until when these resources are refused, if they are.
    fn filtered_until(
        &mut self,
        agent: AgentIndex,
        resources: &Resources,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let filters = self.filters.get_mut(&agent)?;
        filters.retain(|filter| filter.until > now);
        let holding = filters.iter().filter(|filter| filter.refused.contains(resources));
        holding.map(|filter| filter.until).max()
    }
}

impl Share {
    fn add(&mut self, resources: &Resources) {
        self.apply(resources, 1);
    }

    fn subtract(&mut self, resources: &Resources) {
        self.apply(resources, -1);
    }

    fn merge(&mut self, other: Self) {
        self.cpus += other.cpus;
        self.mem += other.mem;
        self.disk += other.disk;
        self.gpus += other.gpus;
    }

    fn apply(&mut self, resources: &Resources, sign: i64) {
        for item in resources.as_slice() {
            let amount = sign * item.amount().as_thousandths();
            match item.kind {
                ResourceKind::Cpus => self.cpus += amount,
                ResourceKind::Mem => self.mem += amount,
                ResourceKind::Disk => self.disk += amount,
                ResourceKind::Gpus => self.gpus += amount,
                ResourceKind::Ports | ResourceKind::Other(_) => {}
            }
        }
    }

    fn get(&self, kind: &ResourceKind) -> i64 {
        match kind {
            ResourceKind::Cpus => self.cpus,
            ResourceKind::Mem => self.mem,
            ResourceKind::Disk => self.disk,
            ResourceKind::Gpus => self.gpus,
            ResourceKind::Ports | ResourceKind::Other(_) => 0,
        }
    }

    /// The greatest part of anything, in units of 2^-32.
    fn dominant(&self, total: Self) -> i128 {
        let part = |own: i64, all: i64| if all > 0 { (i128::from(own) << 32) / i128::from(all) } else { 0 };
        part(self.cpus, total.cpus)
            .max(part(self.mem, total.mem))
            .max(part(self.disk, total.disk))
            .max(part(self.gpus, total.gpus))
    }
}

/// Who is served first: roles with a small share of the cluster, and in them the frameworks with a small share.
///
/// Roles are a tree, and shares are compared among siblings, each with everything below it. A role that has others
/// below it competes with them as their sibling (Mesos' hierarchical dominant resource fairness).
fn by_share(frameworks: &BTreeMap<FrameworkId, Client>, total: Share) -> Vec<(FrameworkId, usize)> {
    let roles = || frameworks.values().flat_map(|client| &client.roles);
    let mut clients = Vec::new();
    for (id, client) in frameworks.iter().filter(|(_, client)| client.active) {
        for (position, role) in client.roles.iter().enumerate().filter(|(_, role)| !role.suppressed) {
            clients.push((role, id.clone(), position));
        }
    }
    if clients.len() > 1 {
        let sum = |includes: &dyn Fn(&str) -> bool| {
            let mut sum = Share::default();
            roles()
                .filter(|other| includes(other.role.as_str()))
                .for_each(|other| sum.merge(other.allocated));
            sum.dominant(total)
        };
        let is_below =
            |role: &str, above: &str| role.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'));
        clients.sort_by_cached_key(|(role, id, position)| {
            let role: &ClientRole = role;
            let name = role.role.as_str();
            let ends = name.match_indices('/').map(|(end, _)| end).chain([name.len()]);
            let mut path: Vec<(i128, &str)> = ends
                .map(|end| &name[..end])
                .map(|node| (sum(&|role| role == node || is_below(role, node)), node))
                .collect();
            if roles().any(|other| is_below(other.role.as_str(), name)) {
                path.push((sum(&|role| role == name), "."));
            }
            (path, role.allocated.dominant(total), id.clone(), *position)
        });
    }
    clients.into_iter().map(|(_, id, position)| (id, position)).collect()
}

/// `--min_allocatable_resources`: whether there is enough of anything.
fn is_allocatable(resources: &Resources, config: &MasterConfig) -> bool {
    !resources.is_empty()
        && config.min_allocatable.iter().any(|(kind, least)| resources.amount(kind) >= *least)
}

/// The role that resources are allocated to.
pub(super) fn role_of(resources: &[Resource]) -> Option<Role> {
    resources.first().and_then(|item| item.allocation_role.clone())
}
