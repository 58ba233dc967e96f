//! Is there a reason for something to wait that is nobody's fault? Judged apart from the scheduler: from the
//! machines and what really runs on them.

use std::collections::BTreeSet;

use podium_core::config::AcceptedResourceRoles;
use podium_core::model::group;
use podium_core::model::ids::{GroupId, PodId};
use podium_core::model::mesos::{Resource, ResourceKind, ResourceValue, TaskState};
use podium_core::model::number::Scalar;
use podium_core::model::pod::{PersistentVolume, PersistentVolumeType, PodSpec};
use podium_core::view::{InstanceStatus, PodInstanceState, PodStatus};
use podium_core::{Entry, Scheduler};

use super::definitions::replaces;
use super::ledger::{Group, GroupKey, Ledger, Truth};
use super::{capacity, constraints, volumes};
use crate::cluster::{ExecutorView, TaskView};
use crate::plan::Span;
use crate::world::{Scene, Store};

/// Whether `spec` cannot have the copies that it shall have: some wait, and none of them fits on any machine, nor where an
/// old copy is that may go, or the master lets nobody run what is asked for, or their own health checks end them before they
/// are healthy.
pub(super) fn is_infeasible(spec: &PodSpec, api: &Scheduler, ledger: &Ledger, scene: &Scene<'_>) -> bool {
    let Some(status) = api.pod_status(&spec.id, scene.clock) else { return false };
    let is_wrong = |instance: &&InstanceStatus| instance.status != PodInstanceState::Stable;
    if !status.instances.iter().any(|instance| is_wrong(&instance)) {
        return false;
    }
    let is_lost = |instance: &&InstanceStatus| has_lost_its_volumes(spec, instance, api, scene);
    let wrong: Vec<&InstanceStatus> =
        status.instances.iter().filter(is_wrong).filter(|instance| !is_lost(instance)).collect();
    let mut groups = wrong.iter().filter_map(|instance| ledger.newest_of(instance.id.uuid));
    if groups.any(|group| is_passed_over(group, scene)) {
        return true;
    }
    if wrong.is_empty() || !can_become_healthy(spec, scene) || !is_permitted(spec, api, scene) {
        return true;
    }
    let only_waits = wrong.iter().all(|instance| instance.status == PodInstanceState::Pending);
    only_waits
        && !has_room(api, spec, &status, ledger, scene, None)
        && !spare(spec, &status, ledger, scene)
            .any(|old| has_room(api, spec, &status, ledger, scene, Some(old.key())))
}

/// Old copies that serve and that the rollout of `spec` may give up before new ones serve in their place.
fn spare<'a>(
    spec: &'a PodSpec,
    status: &PodStatus,
    ledger: &'a Ledger,
    scene: &'a Scene<'_>,
) -> impl Iterator<Item = &'a Group> {
    let serving =
        status.instances.iter().filter(|instance| instance.status == PodInstanceState::Stable).count();
    let (least, _) = capacity::bounds(spec);
    let may_go = !spec.is_resident() && serving > least && capacity::is_replacing(&spec.id, scene);
    let copies = ledger.copies_of(&spec.id).filter(move |copy| may_go && copy.wanted && !copy.ending);
    let old = copies.filter(|copy| {
        scene.store.version(&spec.id, copy.version).is_some_and(|version| replaces(spec, version))
    });
    old.filter_map(|copy| ledger.newest_of(copy.id.uuid)).filter(|group| group.is_live())
}

/// Whether a deployment of `pod` waits for one of `others`, by what its groups depend on.
pub(super) fn depends_on(pod: &PodId, others: &BTreeSet<PodId>, store: &Store) -> bool {
    let newest = |group: &GroupId| -> Option<&group::Group> {
        let versions = store.entries().filter_map(|entry| match entry {
            Entry::Group(found) if found.id == *group => Some(&**found),
            _ => None,
        });
        versions.max_by_key(|group| group.version)
    };
    let mut group = pod.group();
    loop {
        let settings = newest(&group).and_then(|group| group.settings.as_ref());
        let mut dependencies = settings.into_iter().flat_map(|settings| &settings.dependencies);
        if dependencies.any(|path| others.iter().any(|other| path.contains(other.as_str()))) {
            return true;
        }
        if group == group.parent() {
            return false;
        }
        group = group.parent();
    }
}

/// Whether an instance waits for volumes that are on no machine any more, which it does until somebody wipes it; or that
/// are in use by what an earlier framework has launched, which nobody can end who knows of it (see [`super::convergence`]).
fn has_lost_its_volumes(
    spec: &PodSpec,
    instance: &InstanceStatus,
    api: &Scheduler,
    scene: &Scene<'_>,
) -> bool {
    let is_for_it = |resource: &Resource| volumes::resident(resource).is_some_and(|id| id == instance.id);
    let is_there = || scene.cluster.agents().any(|agent| agent.running && agent.total.iter().any(is_for_it));
    let executor_id = instance.id.executor_id();
    let is_orphan = |executor: ExecutorView<'_>| {
        executor.alive
            && *executor.executor_id == executor_id
            && Some(executor.framework_id) != api.framework_id()
    };
    let waits = instance.status == PodInstanceState::Pending && instance.incarnation > 0;
    spec.is_resident() && waits && (!is_there() || scene.cluster.executors().any(is_orphan))
}

/// Whether `group` exists for nobody but the master: an agent that was told to end the framework passes over what it is to
/// launch until it has, and says nothing (Mesos, `Slave::run`). A master that has taken over meanwhile, and knows the
/// framework again, takes it for launched, and nothing that it is told to end it with finds it.
fn is_passed_over(group: &Group, scene: &Scene<'_>) -> bool {
    if group.has_ended() || group.members.values().any(|member| member.truth != Truth::Absent) {
        return false;
    }
    let executor_id = group.instance.executor_id();
    let is_launched = |task: &TaskView<'_>| {
        *task.executor_id == executor_id && task.state == TaskState::TaskStaging && !task.unreachable
    };
    scene.cluster.tasks().any(|task| is_launched(&task))
        && !scene.cluster.executors().any(|executor| *executor.executor_id == executor_id)
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

/// Whether the master lets tasks run in `spec`'s role, and as the users that it names, or the framework's where it names
/// none.
fn is_permitted(spec: &PodSpec, api: &Scheduler, scene: &Scene<'_>) -> bool {
    let may = |permitted: &Option<Vec<String>>, name: &str| {
        permitted.as_ref().is_none_or(|permitted| permitted.iter().any(|one| one == name))
    };
    let cluster = &scene.plan.cluster;
    let users = spec.containers.iter().map(|container| container.user.as_ref().or(spec.user.as_ref()));
    let mut users = users.map(|user| user.unwrap_or(&api.config().mesos_user));
    users.all(|user| may(&cluster.permitted_users, user)) && may(&cluster.permitted_roles, spec.role.as_str())
}

/// Whether one more copy of `spec` fits on some machine, if that one were not there.
fn has_room(
    api: &Scheduler,
    spec: &PodSpec,
    status: &PodStatus,
    ledger: &Ledger,
    scene: &Scene<'_>,
    without: Option<GroupKey>,
) -> bool {
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
        let is_here = |group: &&Group| group.agent == Some(agent.index) && Some(group.key()) != without;
        let uses = |group: &&Group| group.is_live() || is_passed_over(group, scene);
        let here: Vec<&Group> = ledger.groups.values().filter(is_here).filter(uses).collect();
        let enough = needed.iter().all(|(kind, amount)| {
            let has = usable(agent.total, kind, spec, scene);
            has.saturating_sub(used(&here, kind)) >= *amount
        });
        agent.running
            && enough
            && constraints::in_reach(spec, agent.config, scene)
            && may_use_gpus(spec, agent.total, used(&here, &ResourceKind::Gpus), scene)
            && constraints::allow(spec, |_| true, agent.config, &placed)
            && has_ports(spec, agent.total, &here, scene)
    })
}

/// How much a machine has that copies of `spec` may use: of what is reserved, their role's, unless it is kept for a copy
/// of another pod.
fn usable(total: &[Resource], kind: &ResourceKind, spec: &PodSpec, scene: &Scene<'_>) -> Scalar {
    let open = |resource: &&Resource| {
        resource.kind == *kind
            && volumes::resident(resource).is_none_or(|instance| instance.pod == spec.id)
            && match resource.reserved_role() {
                None => accepts(spec, "*", scene),
                Some(role) => *role == spec.role && accepts(spec, role.as_str(), scene),
            }
    };
    total.iter().filter(open).map(Resource::amount).sum()
}

/// Whether `spec` uses what is reserved for `role`, or for nobody if that is `*`.
fn accepts(spec: &PodSpec, role: &str, scene: &Scene<'_>) -> bool {
    let accepted = &spec.scheduling.placement.accepted_resource_roles;
    match scene.plan.scheduler.accepted_resource_roles_default_behavior {
        _ if !accepted.is_empty() => accepted.iter().any(|name| name.as_str() == role),
        None | Some(AcceptedResourceRoles::Any) => true,
        Some(AcceptedResourceRoles::Reserved) => role == spec.role.as_str(),
        Some(AcceptedResourceRoles::Unreserved) => role == "*",
    }
}

/// Whether a machine that has GPUs is offered at all, and not kept for those who need some.
fn may_use_gpus(spec: &PodSpec, total: &[Resource], used: Scalar, scene: &Scene<'_>) -> bool {
    let settings = &scene.plan.scheduler;
    let gpus: Scalar =
        total.iter().filter(|resource| resource.kind == ResourceKind::Gpus).map(Resource::amount).sum();
    let is_kept = match spec.labels.get("GPU_SCHEDULING_BEHAVIOR").map(String::as_str) {
        Some("restricted") => true,
        Some("unrestricted") => false,
        _ => !settings.gpu_unrestricted,
    };
    let has_free = gpus > used;
    gpus.is_zero()
        || settings.gpu_resources && (!is_kept || !has_free || !spec.total_resources().gpus.is_zero())
}

fn used(here: &[&Group], kind: &ResourceKind) -> Scalar {
    let resources = here.iter().flat_map(|group| group.in_use());
    resources.filter(|resource| resource.kind == *kind).map(Resource::amount).sum()
}

/// Whether the fixed host ports of `spec` are free. Dynamic ones are never scarce enough to wait for.
fn has_ports(spec: &PodSpec, total: &[Resource], here: &[&Group], scene: &Scene<'_>) -> bool {
    let endpoints = spec.containers.iter().flat_map(|container| &container.endpoints);
    let ports: Vec<u64> = endpoints.filter_map(|endpoint| endpoint.host_port).map(u64::from).collect();
    // Ports are reserved for nobody.
    if !ports.is_empty() && !accepts(spec, "*", scene) {
        return false;
    }
    let mut fixed = ports.into_iter().filter(|port| *port != 0);
    let includes = |resource: &Resource, port: u64| match &resource.value {
        ResourceValue::Ranges(ranges) => ranges.iter().any(|range| range.begin <= port && port <= range.end),
        ResourceValue::Scalar(_) | ResourceValue::Set(_) => false,
    };
    fixed.all(|port| {
        total.iter().any(|resource| resource.reserved_role().is_none() && includes(resource, port))
            && !here.iter().flat_map(|group| group.in_use()).any(|resource| includes(resource, port))
    })
}
