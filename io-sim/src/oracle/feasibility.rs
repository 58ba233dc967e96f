//! Is there a reason for something to wait that is nobody's fault? Judged apart from the scheduler: from the
//! machines and what really runs on them.

use std::collections::BTreeSet;

use podium_core::Scheduler;
use podium_core::model::mesos::{Resource, ResourceKind, ResourceValue};
use podium_core::model::number::Scalar;
use podium_core::model::pod::{PersistentVolume, PersistentVolumeType, PodSpec};
use podium_core::view::{InstanceStatus, PodInstanceState, PodStatus};

use super::ledger::Ledger;
use super::{constraints, volumes};
use crate::cluster::AgentIndex;
use crate::plan::Span;
use crate::world::Scene;

/// Whether all that is wrong is that some instances wait, and none of them fits on any machine, or that the
/// master lets nobody run what is asked for, or that their own health checks end them before they are healthy.
pub(super) fn is_excused(api: &Scheduler, ledger: &Ledger, scene: &Scene<'_>) -> bool {
    let mut waits = false;
    let mut wanted = BTreeSet::new();
    for spec in api.pods() {
        let Some(status) = api.pod_status(&spec.id, scene.clock) else { continue };
        wanted.extend(status.instances.iter().map(|instance| instance.id.uuid));
        let is_wrong = |instance: &&InstanceStatus| instance.status != PodInstanceState::Stable;
        let mut wrong = status.instances.iter().filter(is_wrong).peekable();
        if wrong.peek().is_none() {
            continue;
        }
        waits = true;
        let mut wrong = wrong.filter(|instance| !has_lost_its_volumes(spec, instance, scene)).peekable();
        if wrong.peek().is_none() {
            continue;
        }
        let only_waiting = wrong.all(|instance| instance.status == PodInstanceState::Pending);
        if !can_become_healthy(spec, scene) {
            continue;
        }
        if is_permitted(spec, scene) && (!only_waiting || has_room(api, spec, &status, ledger, scene)) {
            return false;
        }
    }
    // Nothing excuses what runs although nobody wants it.
    let mut live = ledger.groups.values().filter(|group| group.is_live());
    waits && live.all(|group| wanted.contains(&group.instance.uuid))
}

/// Whether an instance waits for volumes that are on no machine any more: it does so until somebody wipes it.
fn has_lost_its_volumes(spec: &PodSpec, instance: &InstanceStatus, scene: &Scene<'_>) -> bool {
    let is_for_it = |resource: &Resource| volumes::resident(resource).is_some_and(|id| id == instance.id);
    spec.is_resident()
        && instance.status == PodInstanceState::Pending
        && instance.incarnation > 0
        && !scene.cluster.agents().any(|agent| agent.running && agent.total.iter().any(is_for_it))
}

/// Whether the containers of `spec` can become healthy before their health checks end them. Failures count from
/// the end of the grace period on, and one more comes with each interval.
fn can_become_healthy(spec: &PodSpec, scene: &Scene<'_>) -> bool {
    spec.containers.iter().all(|container| {
        let Some(check) = &container.health_check else { return true };
        let spare = check.max_consecutive_failures.saturating_sub(1);
        let patience =
            u64::from(check.grace_period_seconds) + u64::from(spare) * u64::from(check.interval_seconds);
        scene.containers.next_behaviour(&spec.id, &container.name).warm_up < Span::from_secs(patience)
    })
}

/// Whether the master lets tasks run as the users that `spec` names, in its role.
fn is_permitted(spec: &PodSpec, scene: &Scene<'_>) -> bool {
    let may = |permitted: &Option<Vec<String>>, name: &str| {
        permitted.as_ref().is_none_or(|permitted| permitted.iter().any(|one| one == name))
    };
    let cluster = &scene.plan.cluster;
    let mut users = spec.containers.iter().filter_map(|container| container.user.as_ref()).chain(&spec.user);
    users.all(|user| may(&cluster.permitted_users, user)) && may(&cluster.permitted_roles, spec.role.as_str())
}

/// Whether one more copy of `spec` fits on some machine.
fn has_room(api: &Scheduler, spec: &PodSpec, status: &PodStatus, ledger: &Ledger, scene: &Scene<'_>) -> bool {
    let of_root = |volume: &&PersistentVolume| volume.kind == PersistentVolumeType::Root;
    let volumes =
        spec.persistent_volumes().map(|(_, volume)| volume).filter(of_root).map(|volume| volume.size);
    let volumes = Scalar::from_thousandths(i64::try_from(volumes.sum::<u64>() * 1000).unwrap_or(i64::MAX));
    let needed = spec.total_resources();
    let needed = [
        (ResourceKind::Cpus, needed.cpus),
        (ResourceKind::Mem, needed.mem),
        (ResourceKind::Disk, needed.disk + volumes),
        (ResourceKind::Gpus, needed.gpus),
    ];
    let placed = constraints::placed(api, spec, status, ledger, scene);
    scene.cluster.agents().any(|agent| {
        let enough = needed.iter().all(|(kind, amount)| {
            let has = usable(agent.total, kind, spec);
            has.saturating_sub(used(ledger, agent.index, kind)) >= *amount
        });
        agent.running
            && enough
            && constraints::in_reach(spec, agent.config, scene)
            && constraints::allow(spec, |_| true, agent.config, &placed)
            && has_ports(spec, agent.total, ledger, agent.index)
    })
}

/// How much a machine has that copies of `spec` may use: of what is reserved, their role's, unless it is kept for a copy
/// of another pod.
fn usable(total: &[Resource], kind: &ResourceKind, spec: &PodSpec) -> Scalar {
    let accepted = &spec.scheduling.placement.accepted_resource_roles;
    let is_accepted = |role: &str| accepted.is_empty() || accepted.iter().any(|name| name.as_str() == role);
    let open = |resource: &&Resource| {
        resource.kind == *kind
            && volumes::resident(resource).is_none_or(|instance| instance.pod == spec.id)
            && match resource.reserved_role() {
                None => is_accepted("*"),
                Some(role) => *role == spec.role && is_accepted(role.as_str()),
            }
    };
    total.iter().filter(open).map(Resource::amount).sum()
}

fn used(ledger: &Ledger, agent: AgentIndex, kind: &ResourceKind) -> Scalar {
    let here = ledger.groups.values().filter(|group| group.is_live() && group.agent == Some(agent));
    here.flat_map(|group| &group.resources)
        .filter(|resource| resource.kind == *kind)
        .map(Resource::amount)
        .sum()
}

/// Whether the fixed host ports of `spec` are free. Dynamic ones are never scarce enough to wait for.
fn has_ports(spec: &PodSpec, total: &[Resource], ledger: &Ledger, agent: AgentIndex) -> bool {
    let fixed = spec.containers.iter().flat_map(|container| &container.endpoints);
    let mut fixed = fixed.filter_map(|endpoint| endpoint.host_port).filter(|port| *port != 0).map(u64::from);
    let includes = |resource: &Resource, port: u64| match &resource.value {
        ResourceValue::Ranges(ranges) => ranges.iter().any(|range| range.begin <= port && port <= range.end),
        ResourceValue::Scalar(_) | ResourceValue::Set(_) => false,
    };
    let here = || ledger.groups.values().filter(|group| group.is_live() && group.agent == Some(agent));
    fixed.all(|port| {
        total.iter().any(|resource| resource.reserved_role().is_none() && includes(resource, port))
            && !here().flat_map(|group| &group.resources).any(|resource| includes(resource, port))
    })
}
