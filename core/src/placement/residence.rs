//! Copies with persistent volumes: a home for a new one, the way back to it, and the end of it.
//!
//! ```text
//!   first launch      RESERVE ─► CREATE ─► LAUNCH_GROUP     one ACCEPT
//!   every later one   LAUNCH_GROUP on what carries its labels
//!   nobody lives there any more   DESTROY ─► UNRESERVE     one ACCEPT
//! ```
//!
//! Mesos lets the operations of one `ACCEPT` build on each other and refuses the launch if an earlier one fails, so
//! there is no half-made home to come back to: no time between reservation and launch in which somebody else could
//! be offered the disk, and no timeout for it. Nor are operations asked for feedback. What became of them shows in the
//! status of the tasks and in the next offers, which have to be looked at anyway, because any call can get lost:
//!
//! - A first launch that ends without any sign that it reached its agent is given up, home and all; a new copy takes its
//!   place.
//! - A machine can come back as another agent with what was on it: one that was started anew, for its configuration had
//!   changed, keeps its volumes and gets another id. Whoever has volumes there moves with them.
//! - Whatever carries this framework's labels, and is offered, belongs to the instance that the labels name. If the
//!   records say that it is gone, or has its volumes elsewhere, its home goes, too, as often as it is offered; the role stays
//!   unsuppressed until it is not. If there is no record at all of it, the records may have been lost and the volumes
//!   be all that is left of a service: `--unknown_tasks` decides, like about tasks.
//!
//! The resources of the containers, the executor and the ports are reserved as well as the disk: a copy that cannot
//! move must find room where it is.

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::disks;
use super::pool::Pool;
use super::{Launch, NoMatch, Site};
use crate::config::{Config, UnknownTasks};
use crate::marks::Mark;
use crate::model::identity::Identity;
use crate::model::ids::{FrameworkId, InstanceId, Uuid, new_uuid};
use crate::model::instance::{Goal, Instance, Task};
use crate::model::mesos::{DiskInfo, OperationInfo, Persistence, Reservation, Resource, ResourceValue};
use crate::model::pod::{PersistentVolume, PersistentVolumeType, PodSpec, ScalarResources};
use crate::model::residence::{LocalVolume, reservation, resident_of};
use crate::record::Leftover;
use crate::scheduler::Scheduler;
use crate::view::UnknownReservation;

/// Something left over is no longer looked for when the agent is offered without it so long after it was seen there.
///
/// The master counts with a release as soon as it has sent it to the agent, and offers the agent without it even if it
/// is out of reach. Only a master that gave the agent up (`--agent_ping_timeout` × `--max_agent_ping_timeouts`, 75 s
/// unless set otherwise) takes the agent's word for what is reserved there, when it is back.
const RELEASE_TIME: Duration = Duration::from_secs(300);

/// So long beyond its containers' grace what ran for a removed framework takes at most to end: the agent may hear of it late
/// without being given up (75 s, see [`RELEASE_TIME`]), and then gives the executor time
/// (`--executor_shutdown_grace_period`, 5 s unless set otherwise).
const ENDING_TIME: Duration = Duration::from_secs(90);

/// Where a copy with persistent volumes lives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Home {
    /// The reservation that is to be made before the launch; absent when there is one.
    pub reserve: Option<Reservation>,
    /// Its volumes; to be created if a reservation is to be made.
    pub volumes: Vec<Resource>,
}

/// What is given back to the agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Release {
    /// Persistent volumes to be destroyed.
    pub volumes: Vec<Resource>,
    /// Everything to be unreserved, among it the disk that those volumes lie on.
    pub resources: Vec<Resource>,
}

impl Release {
    /// Whether nothing is given back.
    pub fn is_empty(&self) -> bool {
        self.volumes.is_empty() && self.resources.is_empty()
    }

    /// The operations for Mesos, in order.
    pub fn operations(&self) -> impl Iterator<Item = OperationInfo> + use<> {
        let destroy = by_provider(self.volumes.iter().cloned()).map(OperationInfo::Destroy);
        let unreserve = by_provider(self.resources.iter().cloned()).map(OperationInfo::Unreserve);
        destroy.chain(unreserve)
    }
}

impl Launch {
    /// The operations for Mesos, in order.
    pub fn operations(&self, config: &Config, framework_id: &FrameworkId) -> Vec<OperationInfo> {
        let group = self.task_group(config, framework_id);
        let mut operations = Vec::with_capacity(3);
        if let Some(home) = self.home.as_ref().filter(|home| home.reserve.is_some()) {
            let of_tasks = group.tasks.iter().flat_map(|task| &task.resources);
            let reserved = group.executor.resources.iter().chain(of_tasks).map(plain_disk);
            operations.extend(by_provider(reserved).map(OperationInfo::Reserve));
            operations.extend(by_provider(home.volumes.iter().cloned()).map(OperationInfo::Create));
        }
        operations.push(OperationInfo::LaunchGroup(Box::new(group)));
        operations
    }
}

/// What the agent itself has, then what each storage plugin manages: an operation may be about one of them only.
fn by_provider(
    resources: impl Iterator<Item = Resource>,
) -> btree_map::IntoValues<Option<String>, Vec<Resource>> {
    let mut groups: BTreeMap<Option<String>, Vec<Resource>> = BTreeMap::new();
    for resource in resources {
        groups.entry(resource.provider_id.clone()).or_default().push(resource);
    }
    groups.into_values()
}

/// The volumes of `instance`, and the indices of the stacks that are reserved for it, if all of that is in `pool`.
pub(super) fn find_home(
    instance: &Instance,
    pool: &Pool,
    identity: &Identity,
) -> Result<(Vec<Resource>, Vec<usize>), NoMatch> {
    let is_its = |reservations: &[Reservation]| {
        resident_of(identity, reservations).is_some_and(|resident| resident == instance.id)
    };
    if instance.agent_id() != Some(&pool.agent.agent_id) {
        return Err(NoMatch::Reservation);
    }
    let volumes = instance.residence.iter().flat_map(|residence| &residence.volumes).map(|volume| {
        let id = volume.persistence_id(&instance.id);
        let has_id = |disk: &&Resource| persistence_id(disk) == Some(&id) && is_its(&disk.reservations);
        pool.disks.iter().find(has_id).cloned()
    });
    let volumes = volumes.collect::<Option<Vec<Resource>>>().ok_or(NoMatch::Reservation)?;
    let stacks = pool.stacks.iter().enumerate().filter(|(_, stack)| is_its(&stack.reservations));
    Ok((volumes, stacks.map(|(index, _)| index).collect()))
}

/// Those whose volumes are in `pool`, some more than once.
pub(super) fn residents_of(pool: &Pool, identity: &Identity) -> impl Iterator<Item = Uuid> {
    let residents = pool.disks.iter().filter_map(|disk| resident_of(identity, &disk.reservations));
    residents.map(|resident| resident.uuid)
}

/// Whether the last launch of `instance` may still use its volumes. What Mesos knows to be in use it does not offer; but what
/// ran for a framework that it removed is free to it as soon as it has told the agent to end that.
pub(super) fn may_be_in_use(instance: &Instance, spec: &PodSpec, site: &Site<'_>) -> bool {
    let Some(since) = site.identity.since else { return false };
    let was_removed = |task: &&Task| task.staged_at < since && !task.has_surely_ended();
    let ended = instance.tasks.iter().filter(was_removed).map(|task| task.since).max();
    let grace = spec.longest_kill_grace_period().unwrap_or_default().saturating_add(ENDING_TIME);
    ended.is_some_and(|ended| site.now.since(ended) < grace)
}

/// What one copy of `spec` takes of its agent in all: beside what it uses, its volumes on the agent's own disk.
pub(crate) fn all_resources(spec: &PodSpec) -> ScalarResources {
    let of_root = |volume: &&PersistentVolume| volume.kind == PersistentVolumeType::Root;
    let disk = spec.persistent_volumes().map(|(_, volume)| volume).filter(of_root).map(disks::size).sum();
    spec.total_resources() + ScalarResources { disk, ..ScalarResources::default() }
}

/// Adds to the disks that are `known` of an agent those that are `offered`: each once, without what is reserved on it, and
/// as large as it ever was.
pub(super) fn note_disks(known: &mut Vec<Resource>, offered: &[Resource]) {
    let mut whole: Vec<Resource> = Vec::new();
    for part in offered {
        let part = Resource { reservations: Arc::default(), ..plain_disk(part) };
        match whole.iter_mut().find(|disk| disk.disk == part.disk) {
            Some(disk) => disk.value = ResourceValue::Scalar(disk.amount() + part.amount()),
            None => whole.push(part),
        }
    }
    for disk in whole {
        match known.iter_mut().find(|known| known.disk == disk.disk) {
            Some(known) if known.amount() < disk.amount() => *known = disk,
            Some(_) => {}
            None => known.push(disk),
        }
    }
}

pub(super) fn persistence_id(disk: &Resource) -> Option<&String> {
    Some(&disk.disk.as_ref()?.persistence.as_ref()?.id)
}

/// The resource without the volume that lies on it.
fn plain_disk(resource: &Resource) -> Resource {
    let source = resource.disk.as_ref().and_then(|disk| disk.source.clone());
    let disk = source.map(|source| Box::new(DiskInfo { source: Some(source), ..DiskInfo::default() }));
    Resource { disk, ..resource.clone() }
}

impl Scheduler {
    /// A home for a copy of `spec` on these unreserved `disks` of `pool`, with the names of its volumes.
    pub(super) fn make_home(
        &mut self,
        instance: &InstanceId,
        spec: &PodSpec,
        disks: Vec<Resource>,
        pool: &Pool,
        framework: &FrameworkId,
    ) -> (Home, Vec<LocalVolume>) {
        let principal = self.config.principal.clone();
        let reserve = reservation(framework, instance, pool.role.clone(), principal.clone());
        let mut volumes = Vec::with_capacity(disks.len());
        let mut names = Vec::with_capacity(disks.len());
        for ((name, _), mut resource) in spec.persistent_volumes().zip(disks) {
            let random = self.random.id_part(&["volume", instance.pod.as_str(), name]);
            let volume = LocalVolume { name: name.to_owned(), uuid: new_uuid(self.now, random) };
            resource.reservations = resource.reservations.iter().chain([&reserve]).cloned().collect();
            resource.allocation_role = Some(pool.role.clone());
            resource.disk = Some(Box::new(DiskInfo {
                persistence: Some(Persistence {
                    id: volume.persistence_id(instance),
                    principal: principal.clone(),
                }),
                container_path: Some(name.to_owned()),
                source: resource.disk.and_then(|disk| disk.source),
            }));
            volumes.push(resource);
            names.push(volume);
        }
        (Home { reserve: Some(reserve), volumes }, names)
    }

    /// Takes out of `pool` what is kept there for instances that are gone, to be given back.
    pub(super) fn release_leftovers(&mut self, pool: &mut Pool) -> Release {
        let agent = pool.agent.agent_id.clone();
        let mut release = Release::default();
        let mut released: Vec<InstanceId> = Vec::new();
        let mut unknown: BTreeMap<InstanceId, Vec<String>> = BTreeMap::new();
        let moved = self.follow_volumes(pool);
        let mut is_left = |reservations: &[Reservation], volume: Option<&String>| {
            let Some(resident) = resident_of(self.state.identity(), reservations) else { return false };
            if self.config.unknown_tasks == UnknownTasks::Ignore && !self.state.has_record_of(resident.uuid) {
                unknown.entry(resident).or_default().extend(volume.cloned());
                return false;
            }
            let lives_here = self.state.instance(resident.uuid).is_some_and(|instance| {
                let is_its_home = || instance.agent_id() == Some(&agent) || moved.contains(&resident);
                instance.id == resident && instance.residence.is_some() && is_its_home()
            });
            if !lives_here && !released.contains(&resident) {
                released.push(resident);
            }
            !lives_here
        };
        for disk in pool.disks.extract_if(.., |disk| is_left(&disk.reservations, persistence_id(disk))) {
            release.resources.push(plain_disk(&disk));
            if persistence_id(&disk).is_some() {
                release.volumes.push(disk);
            }
        }
        let role = pool.role.clone();
        for stack in pool.stacks.extract_if(.., |stack| is_left(&stack.reservations, None)) {
            release.resources.extend(stack.into_resources(&role));
        }
        self.note_released(pool, released);
        self.note_unknown(pool, unknown);
        release
    }

    /// The instances whose volumes are in `pool`, although they were on another agent. Volumes are only offered while
    /// nothing uses them, so those of them that nobody can reach have ended, and go on here if they are to.
    fn follow_volumes(&mut self, pool: &Pool) -> BTreeSet<InstanceId> {
        let mut moved = BTreeSet::new();
        for disk in pool.disks.iter().filter(|disk| persistence_id(disk).is_some()) {
            let Some(resident) = resident_of(self.state.identity(), &disk.reservations) else { continue };
            let is_its = |instance: &&Instance| {
                let volumes = instance.residence.iter().flat_map(|residence| &residence.volumes);
                let mut ids = volumes.map(|volume| volume.persistence_id(&instance.id));
                instance.id == resident
                    && instance.agent_id().is_some_and(|agent| *agent != pool.agent.agent_id)
                    && ids.any(|id| persistence_id(disk) == Some(&id))
            };
            if self.state.instance(resident.uuid).as_ref().is_some_and(is_its) {
                moved.insert(resident);
            }
        }
        for resident in &moved {
            if self.state.instance(resident.uuid).is_some_and(|instance| instance.goal == Goal::Running) {
                self.move_home(resident.uuid, &pool.agent);
            }
        }
        moved
    }

    /// Notes what is kept in `pool` for instances without a record, with the volumes among it.
    fn note_unknown(&mut self, pool: &Pool, unknown: BTreeMap<InstanceId, Vec<String>>) {
        if unknown.is_empty() && self.unknown_reservations.is_empty() {
            return;
        }
        let (agent_id, now) = (&pool.agent.agent_id, self.now);
        // What is not offered any more is gone, or in use; then it will be offered again.
        let of_agent = (agent_id.clone(), Uuid::nil())..=(agent_id.clone(), Uuid::max());
        let is_gone =
            |found: &UnknownReservation| found.role == pool.role && !unknown.contains_key(&found.instance_id);
        self.unknown_reservations.extract_if(of_agent, |_, found| is_gone(found)).for_each(drop);
        for (instance_id, volumes) in unknown {
            self.mark(Mark::UnknownReservationSeen);
            let key = (agent_id.clone(), instance_id.uuid);
            let since = self.unknown_reservations.get(&key).map_or(now, |found| found.since);
            let found = UnknownReservation {
                instance_id,
                agent_id: agent_id.clone(),
                host: pool.agent.host.clone(),
                role: pool.role.clone(),
                volumes,
                since,
                last_offered: now,
            };
            self.unknown_reservations.insert(key, found);
        }
    }

    /// Notes what was seen of what is kept for instances that are gone: it will be looked for again. What was not
    /// seen any more is forgotten.
    fn note_released(&mut self, pool: &Pool, released: Vec<InstanceId>) {
        let now = self.now;
        let is_over = |leftover: &&Leftover| {
            !released.contains(&leftover.instance)
                && now.since(leftover.since) >= RELEASE_TIME
                && !pool.executor_ids.contains(&leftover.instance.executor_id())
        };
        let left = self.state.leftovers_on(&pool.agent.agent_id, &pool.role);
        let over: Vec<Uuid> = left.filter(is_over).map(|leftover| leftover.instance.uuid).collect();
        for uuid in over {
            self.state.drop_leftover(uuid);
        }
        for instance in released {
            self.mark(Mark::LeftoverReleased);
            let (agent, role) = (pool.agent.clone(), pool.role.clone());
            self.state.put_leftover(Leftover { instance, agent, role, since: now });
        }
    }
}
