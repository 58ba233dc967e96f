//! Does one copy of a pod fit what an agent has free? If so, what exactly is taken; if not, why not.

use std::time::Duration;

use super::agents::KnownAgent;
use super::pool::{Pool, Stack, amount_of};
use super::refusal::NoMatch;
use super::{Draw, Member, PortDraw, disks, policy, ports, residence};
use crate::config::{AcceptedResourceRoles, Config};
use crate::model::identity::Identity;
use crate::model::ids::Role;
use crate::model::instance::Instance;
use crate::model::mesos::{FaultDomain, Resource, ResourceKind};
use crate::model::number::Scalar;
use crate::model::pod::{PodSpec, ScalarResources};
use crate::model::time::Timestamp;
use crate::state::Pod;

/// An acknowledgement has reached its agent after so long. It is asked for in the step in which the update comes,
/// but it may be overtaken by a launch.
const ACKNOWLEDGEMENT_TIME: Duration = Duration::from_secs(1);

/// What is taken from an agent for one copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    /// Plain amounts.
    pub(crate) draws: Vec<Draw>,
    /// Ports, in the order of the endpoints that have a host port.
    pub(crate) ports: Vec<PortDraw>,
    /// Disks for the persistent volumes, or those volumes if there are some already, in their order.
    pub(crate) disks: Vec<Resource>,
}

/// The copy that a place is looked for.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    /// The pod.
    pub(crate) pod: &'a Pod,
    /// Its current definition.
    pub(crate) spec: &'a PodSpec,
    /// The copy.
    pub(crate) instance: &'a Instance,
}

/// What decides beside the copy and the agent.
#[derive(Clone, Copy)]
pub(crate) struct Site<'a> {
    /// The settings.
    pub(crate) config: &'a Config,
    /// This framework's ids.
    pub(crate) identity: &'a Identity,
    /// The master's place.
    pub(crate) domain: Option<&'a FaultDomain>,
    /// The time.
    pub(crate) now: Timestamp,
}

/// Whether a copy fits `pool`. `random` picks its dynamic ports.
///
/// # Errors
/// The first thing that is against it, in the order of [`super::Reason::ALL`].
pub(crate) fn match_instance(
    asker: Asker<'_>,
    pool: &Pool,
    site: &Site<'_>,
    random: u64,
) -> Result<Match, NoMatch> {
    let Asker { pod, spec, instance } = asker;
    if instance.residence.is_some() {
        return match_resident(asker, pool, site, random);
    }
    let config = site.config;
    let is_accepted = |index: &usize| accepts(spec, &pool.stacks[*index], config);
    let accepted: Vec<usize> = (0..pool.stacks.len()).filter(is_accepted).collect();
    if accepted.is_empty() {
        return Err(NoMatch::Role);
    }
    if !policy::in_reach(&pod.constraints, pool.agent.domain.as_ref(), site.domain) {
        return Err(NoMatch::Region);
    }
    pod.constraints.check(&pool.agent, &pod.placed, spec.instances()).map_err(NoMatch::Constraint)?;
    if policy::in_maintenance(pool.unavailability.as_ref(), config, site.now) {
        return Err(NoMatch::Maintenance);
    }
    if let Some(why) = NoMatch::insufficient(residence::all_resources(spec), free_for(spec, pool, config)) {
        return Err(why);
    }
    let disks = disks::choose(spec, &pool.disks)?;
    let ports = ports::choose(spec, &pool.stacks, &accepted, random).map_err(NoMatch::Ports)?;
    if policy::is_kept_for_gpus(spec, !pool.total().gpus.is_zero(), config) {
        return Err(NoMatch::Scarce);
    }
    if pod.avoids(&pool.agent.agent_id, site.now).is_some() {
        return Err(NoMatch::CopiesFailedThere);
    }
    if may_still_be_ending(instance, pool, site.now) {
        return Err(NoMatch::ExecutorStillAlive);
    }
    Ok(Match { draws: draw(spec, &pool.stacks, &accepted), ports, disks })
}

/// What is free in `pool` for new copies of `spec`, ports and separate disks apart.
pub(crate) fn free_for(spec: &PodSpec, pool: &Pool, config: &Config) -> ScalarResources {
    let accepted = pool.stacks.iter().filter(|stack| accepts(spec, stack, config));
    accepted.fold(ScalarResources::default(), |sum, stack| sum + stack.scalars)
}

/// Whether this port is free in `pool` for new copies of `spec`.
pub(crate) fn has_port_for(spec: &PodSpec, pool: &Pool, port: u16, config: &Config) -> bool {
    let mut accepted = pool.stacks.iter().filter(|stack| accepts(spec, stack, config));
    accepted.any(|stack| stack.ports.iter().any(|range| (range.begin..=range.end).contains(&port.into())))
}

/// Whether new copies of `spec` are kept away from the agent of `pool` for now, however much is free there.
pub(crate) fn is_closed(spec: &PodSpec, pool: &Pool, site: &Site<'_>) -> bool {
    policy::in_maintenance(pool.unavailability.as_ref(), site.config, site.now)
        || policy::is_kept_for_gpus(spec, !pool.total().gpus.is_zero(), site.config)
}

/// Whether new copies of `pod` might ever fit an agent that had the most of everything free that was ever known of
/// it: whatever passes or can be changed by the end of something is left out.
pub(crate) fn might_ever_match(pod: &Pod, spec: &PodSpec, known: KnownAgent<'_>, site: &Site<'_>) -> bool {
    let KnownAgent { agent, most, disks } = known;
    let accepted: Vec<usize> =
        (0..most.len()).filter(|index| accepts(spec, &most[*index], site.config)).collect();
    let total = accepted.iter().fold(ScalarResources::default(), |sum, index| sum + most[*index].scalars);
    !accepted.is_empty()
        && policy::in_reach(&pod.constraints, agent.domain.as_ref(), site.domain)
        && pod.constraints.check_agent(agent).is_ok()
        && residence::all_resources(spec).fit(&total)
        && disks.is_none_or(|disks| disks::choose(spec, disks).is_ok())
        && ports::choose(spec, most, &accepted, 0).is_ok()
}

/// Whether a copy that has a home can go back to it. Whether it is a good place was decided when it came there.
fn match_resident(asker: Asker<'_>, pool: &Pool, site: &Site<'_>, random: u64) -> Result<Match, NoMatch> {
    let Asker { spec, instance, .. } = asker;
    let (disks, stacks) = residence::find_home(instance, pool, site.identity)?;
    if policy::in_maintenance(pool.unavailability.as_ref(), site.config, site.now) {
        return Err(NoMatch::Maintenance);
    }
    let free = stacks.iter().fold(ScalarResources::default(), |sum, index| sum + pool.stacks[*index].scalars);
    if let Some(why) = NoMatch::insufficient(spec.total_resources(), free) {
        return Err(why);
    }
    let before: Vec<u16> = instance.tasks.iter().flat_map(|task| task.host_ports.iter().copied()).collect();
    let ports = match ports::choose_again(spec, &pool.stacks, &stacks, &before) {
        Some(ports) => ports,
        None => ports::choose(spec, &pool.stacks, &stacks, random).map_err(NoMatch::Ports)?,
    };
    if may_still_be_ending(instance, pool, site.now) || residence::may_be_in_use(instance, spec, site) {
        return Err(NoMatch::ExecutorStillAlive);
    }
    Ok(Match { draws: draw(spec, &pool.stacks, &stacks), ports, disks })
}

impl Match {
    /// Takes what it names out of `pool`.
    pub(crate) fn take_from(&self, pool: &mut Pool) {
        for draw in &self.draws {
            if let Some(free) = amount_of(&mut pool.stacks[draw.pool].scalars, &draw.kind) {
                *free -= draw.amount;
            }
        }
        for draw in &self.ports {
            ports::remove(&mut pool.stacks[draw.pool].ports, draw.port);
        }
        for disk in &self.disks {
            pool.take_disk(disk);
        }
    }
}

/// Whether the agent may still know the executor of the copy's last launch, whose id the next one has: it is
/// listed in its offers, or the agent waits for the acknowledgement of its last words. A launch would be dropped.
fn may_still_be_ending(instance: &Instance, pool: &Pool, now: Timestamp) -> bool {
    let was_here = || instance.agent_id() == Some(&pool.agent.agent_id);
    let just_ended = || instance.tasks.iter().any(|task| now < task.since + ACKNOWLEDGEMENT_TIME);
    instance.incarnation > 0
        && (pool.executor_ids.contains(&instance.id.executor_id()) || (was_here() && just_ended()))
}

/// Whether copies of `spec` may use what is under `stack`.
fn accepts(spec: &PodSpec, stack: &Stack, config: &Config) -> bool {
    // What a copy with persistent volumes uses is reserved for it alone, so it must not be reserved already.
    if spec.is_resident() {
        return stack.reservations.is_empty();
    }
    // Whatever carries marks was reserved by somebody for something particular.
    if stack.reservations.iter().any(|reservation| !reservation.labels.is_empty()) {
        return false;
    }
    let any = Role::new("*");
    let role = stack.reserved_role().unwrap_or(&any);
    let listed = &spec.scheduling.placement.accepted_resource_roles;
    if !listed.is_empty() {
        return listed.contains(role);
    }
    match config.accepted_resource_roles {
        AcceptedResourceRoles::Any => *role == any || *role == spec.role,
        AcceptedResourceRoles::Reserved => *role == spec.role,
        AcceptedResourceRoles::Unreserved => *role == any,
    }
}

/// Spreads the needs of all members over the accepted stacks; there is enough, as was checked.
fn draw(spec: &PodSpec, stacks: &[Stack], accepted: &[usize]) -> Vec<Draw> {
    let mut left: Vec<(usize, ScalarResources)> =
        accepted.iter().map(|index| (*index, stacks[*index].scalars)).collect();
    let mut draws = Vec::with_capacity(3 * (1 + spec.containers.len()));
    for member in Member::all(spec) {
        let mut needed = match member {
            Member::Executor => spec.executor_resources.to_scalars(),
            Member::Container(index) => spec.containers[index].resources.to_scalars(),
        };
        for kind in [ResourceKind::Cpus, ResourceKind::Mem, ResourceKind::Disk, ResourceKind::Gpus] {
            let Some(wanted) = amount_of(&mut needed, &kind) else { continue };
            for (pool, free) in &mut left {
                let Some(free) = amount_of(free, &kind) else { continue };
                let amount = (*wanted).min(*free);
                if amount > Scalar::ZERO {
                    draws.push(Draw { member, kind: kind.clone(), amount, pool: *pool });
                    *free -= amount;
                    *wanted -= amount;
                }
            }
        }
    }
    draws
}
