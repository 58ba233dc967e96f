//! Does one copy of a pod fit what an agent has free? If so, what exactly is taken; if not, why not.

use super::constraints::ConstraintRefusal;
use super::pool::{Pool, Stack, amount_of};
use super::ports;
use super::{Draw, Member, PortDraw};
use crate::config::{AcceptedResourceRoles, Config};
use crate::model::ids::Role;
use crate::model::instance::Instance;
use crate::model::mesos::ResourceKind;
use crate::model::number::Scalar;
use crate::model::pod::{PodSpec, ScalarResources};
use crate::state::Pod;

/// What is taken from an agent for one copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    /// Plain amounts.
    pub(crate) draws: Vec<Draw>,
    /// Ports, in the order of the endpoints that have a host port.
    pub(crate) ports: Vec<PortDraw>,
}

/// Why a copy does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// A constraint is against the agent.
    Constraint(ConstraintRefusal),
    /// The executor of its last launch is still ending there; it has the same id.
    ExecutorStillAlive,
    /// There is not enough of something.
    Insufficient {
        /// Of what.
        kind: ResourceKind,
        /// So much more is needed.
        missing: Scalar,
    },
    /// The ports it needs are not free.
    Ports,
}

/// Whether `instance` of `pod`, launched from its current definition `spec`, fits `pool`. `random` picks its
/// dynamic ports.
pub(crate) fn match_instance(
    pod: &Pod,
    spec: &PodSpec,
    instance: &Instance,
    pool: &Pool,
    config: &Config,
    random: u64,
) -> Result<Match, Misfit> {
    let accepted: Vec<usize> = pool
        .stacks
        .iter()
        .enumerate()
        .filter(|(_, stack)| accepts(spec, stack, config))
        .map(|(index, _)| index)
        .collect();
    let needed = spec.total_resources();
    let free =
        accepted.iter().fold(ScalarResources::default(), |sum, index| sum + pool.stacks[*index].scalars);
    enough(needed, free)?;
    if instance.incarnation > 0 && pool.executor_ids.contains(&instance.id.executor_id()) {
        return Err(Misfit::ExecutorStillAlive);
    }
    pod.constraints.check(&pool.agent, &pod.placed, spec.instances()).map_err(Misfit::Constraint)?;
    let ports = ports::choose(spec, &pool.stacks, &accepted, random).map_err(|_| Misfit::Ports)?;
    Ok(Match { draws: draw(spec, &pool.stacks, &accepted), ports })
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
    }
}

/// Whether copies of `spec` may use what is under `stack`.
fn accepts(spec: &PodSpec, stack: &Stack, config: &Config) -> bool {
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
        AcceptedResourceRoles::Reserved => *role == spec.role && *role != any,
        AcceptedResourceRoles::Unreserved => *role == any,
    }
}

fn enough(needed: ScalarResources, free: ScalarResources) -> Result<(), Misfit> {
    let kinds = [
        (ResourceKind::Cpus, needed.cpus, free.cpus),
        (ResourceKind::Mem, needed.mem, free.mem),
        (ResourceKind::Disk, needed.disk, free.disk),
        (ResourceKind::Gpus, needed.gpus, free.gpus),
    ];
    match kinds.into_iter().find(|(_, needed, free)| needed > free) {
        Some((kind, needed, free)) => Err(Misfit::Insufficient { kind, missing: needed - free }),
        None => Ok(()),
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
