//! Once nothing is broken any more, everything becomes as clients want it, and stays so.
//!
//! What clients want is what the API shows as definitions; what there is, is the containers that really exist.
//! Not to get there is excused only for pods that cannot get there, see [`super::feasibility`], and for deployments
//! that have to wait for such a pod. All others get there nevertheless, and stay there.
//!
//! They have the plan's `settle` for that. A run ends earlier if for a long time nothing was missing but what is
//! excused: then all that would come are more attempts to start what cannot run.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use podium_core::Scheduler;
use podium_core::model::deployment::Deployment;
use podium_core::model::ids::{DeploymentId, InstanceId, PodId, TaskId, Uuid};
use podium_core::model::mesos::{Call, OperationInfo};
use podium_core::model::pod::PodSpec;
use podium_core::model::time::Timestamp;
use podium_core::view::{InstanceStatus, PodInstanceState};

use super::definitions::{Definitions, replaces};
use super::feasibility;
use super::ledger::{Copy, Group, GroupKey, Ledger};
use super::{Violation, short};
use crate::cluster::AgentStanding;
use crate::plan::Fault;
use crate::world::{Scene, Seen};

const NAME: &str = "convergence";
/// So often somebody looks whether everything is as it should be.
const INTERVAL: Duration = Duration::from_secs(1);

/// So often somebody looks whether what is missing is excused already, and whether it still is. That is dear.
const EXCUSE_INTERVAL: Duration = Duration::from_secs(60);
const EXCUSED_INTERVAL: Duration = Duration::from_secs(5 * 60);
/// So long only what is excused has to be missing for a run to end with it before its time is up: longer than the pauses
/// after which the scheduler tries anything again by itself.
const EXCUSED_TIME: Duration = Duration::from_secs(10 * 60);

/// So long after an agent was told to drain its containers may still have to hear of it, also if that is over by then.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// Waits for everything to be as clients want it.
#[derive(Clone, Debug, Default)]
pub(super) struct Convergence {
    definitions: Definitions,
    mended_at: Option<Timestamp>,
    next_look: Option<Timestamp>,
    /// Since when everything is as it should be, but for what is excused.
    since: Option<Timestamp>,
    /// The pods that cannot become as they should be, and those that wait for them.
    excused: BTreeSet<PodId>,
    /// When to look next whether what is missing is excused.
    next_excuse: Option<Timestamp>,
    /// The pods that would be excused if time were up, and since when nothing but them is missing.
    excusable: Option<(BTreeSet<PodId>, Timestamp)>,
    /// The container that the scheduler tried to kill last although it had ended. It cannot know before it
    /// hears of the end, but then it has to stop.
    killed_in_vain: Option<TaskId>,
    /// When an agent was last told to drain.
    drained_at: Option<Timestamp>,
    satisfied: bool,
    /// The pod that was not as it should be the last time.
    suspect: Option<PodId>,
    orphans: Orphans,
}

/// What ran, or was to, when the framework was torn down. What agents have not ended when another master takes over, since
/// they were out of reach or the word is still on its way, nobody knows any more to have to end: Mesos keeps it for the
/// framework's `failover_timeout`.
#[derive(Clone, Debug, Default)]
struct Orphans {
    doomed: BTreeSet<GroupKey>,
    forgotten: BTreeSet<GroupKey>,
}

impl Orphans {
    fn see(&mut self, fault: &Fault, ledger: &Ledger) {
        match fault {
            Fault::FrameworkTornDown {} => {
                // An agent that does not react just now may begin what it was told to launch later.
                let left = ledger.groups.iter().filter(|(_, group)| !group.has_ended());
                self.doomed.extend(left.map(|(key, _)| *key));
            }
            Fault::MasterFailover {} | Fault::MasterStopped { .. } => {
                self.forgotten.append(&mut self.doomed);
            }
            _ => {}
        }
    }
}

impl Convergence {
    pub(super) fn see(
        &mut self,
        seen: &Seen<'_>,
        ledger: &Ledger,
        scene: &Scene<'_>,
    ) -> Result<(), Violation> {
        if !scene.plan.converges {
            return Ok(());
        }
        self.definitions.see(seen, scene);
        match seen {
            Seen::FaultBegan { fault, .. } => {
                self.orphans.see(fault, ledger);
                if matches!(fault, Fault::AgentDrained { .. }) {
                    self.drained_at = Some(scene.now);
                }
            }
            Seen::Mended => {
                self.mended_at = Some(scene.now);
                self.next_look = Some(scene.now);
            }
            Seen::Call(Call::Kill { task_id, .. })
                if self.since.is_some() && !self.is_excused(task_id) && !ledger.is_live(task_id) =>
            {
                self.since = None;
                self.killed_in_vain = Some(task_id.clone());
            }
            _ => {
                if let Some(since) = self.since
                    && let Some(what) = self.change(seen)
                {
                    let ago = scene.now.since(since);
                    let sentence = format!("everything was as it should be for {ago:?}, and then {what}");
                    return Err(Violation::new(NAME, sentence));
                }
            }
        }
        Ok(())
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.next_look
    }

    pub(super) fn is_satisfied(&self) -> bool {
        self.satisfied
    }

    /// How many pods are not as they should be, and nobody can help it.
    pub(super) fn excused(&self) -> usize {
        self.excused.len()
    }

    #[inline]
    pub(super) fn look(&mut self, ledger: &Ledger, scene: &Scene<'_>) -> Result<(), Violation> {
        match self.mended_at {
            Some(mended_at) if self.next_look.is_none_or(|at| at <= scene.now) => {
                self.look_closely(mended_at, ledger, scene)
            }
            _ => Ok(()),
        }
    }

    fn look_closely(
        &mut self,
        mended_at: Timestamp,
        ledger: &Ledger,
        scene: &Scene<'_>,
    ) -> Result<(), Violation> {
        self.next_look = Some(scene.now + INTERVAL);
        if let Some(since) = self.since {
            self.satisfied = scene.now.since(since) >= scene.plan.quiet.to_duration();
            return Ok(());
        }
        let (waited, settle) = (scene.now.since(mended_at), scene.plan.settle.to_duration());
        let is_late = waited >= settle;
        if !is_late && !all_agents_are_there(scene) {
            // What was sent to one before it went may still be on its disk, and begin once it is back.
            return Ok(());
        }
        if !is_late && self.drained_at.is_some_and(|at| scene.now.since(at) < DRAIN_TIME) {
            return Ok(());
        }
        let missing = match scene.api {
            Some(api) if is_late => match self.overdue(api, ledger, scene) {
                Ok(excused) => {
                    self.excused = excused;
                    None
                }
                Err(missing) => Some(missing),
            },
            Some(api) => {
                let missing = self.missing(api, ledger, scene);
                missing.filter(|_| !self.is_beyond_help(api, ledger, scene))
            }
            // It is in the middle of a write: the next look sees what came of it.
            None if scene.awake_since.is_some() && waited < settle * 2 => return Ok(()),
            None => Some(Missing::Scheduler),
        };
        let in_vain = self.killed_in_vain.take().filter(|_| is_late).map(Missing::Rest);
        let Some(missing) = missing.or(in_vain) else {
            self.since = Some(scene.now);
            return Ok(());
        };
        if !is_late {
            return Ok(());
        }
        let missing = missing.sentence(ledger, scene);
        let sentence = format!("{} after everything was mended, {missing}", crate::plan::Span::from(waited));
        Err(Violation::new(NAME, sentence))
    }

    /// Something that is not as it should be.
    fn missing(&mut self, api: &Scheduler, ledger: &Ledger, scene: &Scene<'_>) -> Option<Missing> {
        if !all_are_answered(ledger, scene) {
            return Some(Missing::Answers);
        }
        if let Some(deployment) = scene.store.deployments().next() {
            return Some(Missing::Deployment(deployment.id.clone()));
        }
        let suspect = self.suspect.take().and_then(|pod| api.pod(&pod));
        for spec in suspect.into_iter().chain(api.pods()) {
            // To ask for a status is dear: nobody does as long as it is plain what it would say.
            let missing = match is_populated(spec, ledger) {
                true => missing_of(spec, api, ledger, scene),
                false => Some(Missing::Copies(spec.id.clone())),
            };
            if missing.is_some() {
                self.suspect = Some(spec.id.clone());
                return missing;
            }
        }
        // Every copy that is wanted is one of them.
        let live = self.live(ledger).count();
        let wanted: usize = api.pods().map(|spec| spec.instances() as usize).sum();
        if live != wanted {
            return Some(Missing::End);
        }
        self.unlike(api).or_else(|| api.pods().find_map(|spec| self.old_copy(spec, ledger, scene)))
    }

    /// The groups that run and that somebody could end.
    fn live<'a>(&'a self, ledger: &'a Ledger) -> impl Iterator<Item = &'a Group> {
        let groups = ledger.groups.iter().filter(|(_, group)| group.is_live());
        groups.filter(|(key, _)| !self.orphans.forgotten.contains(key)).map(|(_, group)| group)
    }

    /// A pod that has another definition than clients were told.
    fn unlike(&self, api: &Scheduler) -> Option<Missing> {
        self.definitions.unlike(api.pods()).map(Missing::Definition)
    }

    /// A copy of a pod that its definition should have replaced.
    fn old_copy(&self, spec: &PodSpec, ledger: &Ledger, scene: &Scene<'_>) -> Option<Missing> {
        let is_old = |copy: &&Copy| {
            let old = (copy.version != spec.version).then(|| scene.store.version(&spec.id, copy.version));
            copy.wanted && old.flatten().is_some_and(|old| replaces(spec, old))
        };
        let old =
            ledger.copies_of(&spec.id).find(is_old).filter(|_| !self.definitions.may_be_old(&spec.id))?;
        Some(Missing::Upgrade(old.id.clone(), old.version))
    }

    /// What is not as it should be although it has had its time, and is not excused; otherwise the pods that are.
    fn overdue(
        &self,
        api: &Scheduler,
        ledger: &Ledger,
        scene: &Scene<'_>,
    ) -> Result<BTreeSet<PodId>, Missing> {
        if !all_are_answered(ledger, scene) {
            return Err(Missing::Answers);
        }
        let cannot = |spec: &&Arc<PodSpec>| feasibility::is_infeasible(spec, api, ledger, scene);
        let mut excused: BTreeSet<PodId> = api.pods().filter(cannot).map(|spec| spec.id.clone()).collect();
        // Those that may have another number of copies, because their deployment has to wait.
        let mut waiting = excused.clone();
        let mut open: Vec<&Deployment> = scene.store.deployments().collect();
        while !open.is_empty() {
            let waits = |pod: &PodId| feasibility::depends_on(pod, &excused, scene.store);
            let is_held_up = |deployment: &&Deployment| {
                deployment.affected_pods().any(|pod| excused.contains(pod) || waits(pod))
            };
            let (held_up, others): (Vec<&Deployment>, Vec<&Deployment>) =
                open.into_iter().partition(is_held_up);
            if held_up.is_empty() {
                return Err(Missing::Deployment(others[0].id.clone()));
            }
            for deployment in &held_up {
                let comes_later =
                    |pod: &PodId| deployment.next_action(pod).is_some_and(|(_, is_now)| !is_now);
                waiting
                    .extend(deployment.affected_pods().filter(|pod| comes_later(pod) || waits(pod)).cloned());
            }
            excused.extend(held_up.iter().flat_map(|deployment| deployment.affected_pods()).cloned());
            open = others;
        }
        if let Some(missing) = self.unlike(api) {
            return Err(missing);
        }
        for spec in api.pods() {
            match missing_of(spec, api, ledger, scene) {
                Some(Missing::Copies(pod)) if waiting.contains(&pod) => {}
                Some(missing) => return Err(missing),
                None => {}
            }
            if let Some(old) = self.old_copy(spec, ledger, scene).filter(|_| !excused.contains(&spec.id)) {
                return Err(old);
            }
        }
        match stray(self.live(ledger), scene) {
            Some(_) => Err(Missing::End),
            None => Ok(excused),
        }
    }

    /// Whether nothing was missing for a long time but what is excused, which it is then.
    fn is_beyond_help(&mut self, api: &Scheduler, ledger: &Ledger, scene: &Scene<'_>) -> bool {
        if self.next_excuse.is_some_and(|at| at > scene.now) {
            return false;
        }
        let Ok(excused) = self.overdue(api, ledger, scene) else {
            self.next_excuse = Some(scene.now + EXCUSE_INTERVAL);
            self.excusable = None;
            return false;
        };
        self.next_excuse = Some(scene.now + EXCUSED_INTERVAL);
        let before = self.excusable.take().filter(|(pods, _)| *pods == excused);
        let since = before.map_or(scene.now, |(_, since)| since);
        let is_over = scene.now.since(since) >= EXCUSED_TIME;
        if is_over {
            self.excused = excused;
        } else {
            self.excusable = Some((excused, since));
        }
        is_over
    }

    fn is_excused(&self, task_id: &TaskId) -> bool {
        !self.excused.is_empty() && task_id.parse().is_ok_and(|id| self.excused.contains(&id.instance().pod))
    }

    /// What of `seen` must not happen once everything is as it should be.
    fn change(&self, seen: &Seen<'_>) -> Option<String> {
        match seen {
            Seen::Call(Call::Accept { operations, .. }) => {
                let launches = operations.iter().filter_map(|operation| match &operation.info {
                    OperationInfo::LaunchGroup(launch) => launch.tasks.first(),
                    _ => None,
                });
                let launched =
                    launches.map(|task| &task.task_id).find(|task_id| !self.is_excused(task_id))?;
                Some(format!("the scheduler launched {launched}"))
            }
            Seen::Call(Call::Kill { task_id, .. }) => {
                (!self.is_excused(task_id)).then(|| format!("the scheduler killed {task_id}"))
            }
            Seen::Launched(container) => match container.task() {
                Some(task) if self.is_excused(&task.task_id) => None,
                None if !self.excused.is_empty() => None,
                _ => Some(format!("container {} was launched", container.id)),
            },
            Seen::Ended { container, .. } => {
                let task = container.task().filter(|task| !self.is_excused(&task.task_id))?;
                Some(format!("task {} ended", task.task_id))
            }
            _ => None,
        }
    }
}

/// Whether every client that asked was answered.
fn all_are_answered(ledger: &Ledger, scene: &Scene<'_>) -> bool {
    let timed = scene.plan.workload.iter().filter(|planned| planned.on.is_none()).count();
    ledger.answered >= timed + scene.aimed_requests
}

/// A group that runs, and no copy is shown that it belongs to.
fn stray<'a>(mut live: impl Iterator<Item = &'a Group>, scene: &Scene<'_>) -> Option<&'a Group> {
    // All copies are asked for once, not those of its pod for each group: that is dear.
    let pods = scene.api.into_iter().flat_map(|api| api.pods().map(move |spec| (api, &spec.id)));
    let shown: BTreeSet<Uuid> = pods
        .flat_map(|(api, pod)| api.instance_statuses(pod, None, scene.clock))
        .map(|status| status.id.uuid)
        .collect();
    live.find(|group| !shown.contains(&group.instance.uuid))
}

/// Whether the master has all agents on its books.
fn all_agents_are_there(scene: &Scene<'_>) -> bool {
    scene.cluster.standings().all(|(_, standing)| standing == AgentStanding::Registered)
}

/// What is not as it should be.
enum Missing {
    /// The scheduler does not run.
    Scheduler,
    /// Clients wait for answers.
    Answers,
    /// A deployment is on its way.
    Deployment(DeploymentId),
    /// A pod does not have the copies that it shall have.
    Copies(PodId),
    /// A copy is shown as stable.
    Containers(InstanceId),
    /// A pod is not what clients were told it would be.
    Definition(PodId),
    /// A copy is still of an older definition.
    Upgrade(InstanceId, Timestamp),
    /// Something runs that nobody wants.
    End,
    /// The scheduler kills what has ended.
    Rest(TaskId),
}

impl Missing {
    fn sentence(&self, ledger: &Ledger, scene: &Scene<'_>) -> String {
        let status = |pod: &PodId| scene.api.and_then(|api| api.pod_status(pod, scene.clock));
        match self {
            Self::Scheduler => "the scheduler does not run".to_owned(),
            Self::Answers => "some request of a client has not been answered".to_owned(),
            Self::Deployment(id) => {
                let deployments = scene.api.map(|api| api.deployments(scene.clock)).unwrap_or_default();
                let Some(deployment) = deployments.iter().find(|deployment| deployment.id == *id) else {
                    return format!("deployment {id} is not done");
                };
                let why = deployment.current_actions.iter().find_map(|action| action.message.as_deref());
                let pods: Vec<&str> = deployment.affected_pods.iter().map(|pod| pod.as_str()).collect();
                let others = deployment.affected_pods.iter().filter_map(status);
                let other = others.map(|status| first_unstable(&status.instances)).collect::<String>();
                let why = why.unwrap_or("it does not say why");
                format!("a deployment of {} is not done: {why}{other}", pods.join(", "))
            }
            Self::Copies(pod) => {
                let wanted = scene.store.spec(pod).map_or(0, |spec| spec.instances());
                let instances = status(pod).map(|status| status.instances).unwrap_or_default();
                format!(
                    "pod {pod} has {} of {wanted} instances stable and {} in all{}",
                    stable(&instances),
                    instances.len(),
                    first_unstable(&instances)
                )
            }
            Self::Containers(instance) => {
                format!("{} is STABLE, but not all of it runs", short(instance))
            }
            Self::Definition(pod) => {
                let is = match scene.api.and_then(|api| api.pod(pod)) {
                    Some(spec) => format!("version {} of it is shown", spec.version),
                    None => "it is not shown".to_owned(),
                };
                format!("pod {pod} is not as it was accepted: {is}")
            }
            Self::Upgrade(instance, version) => {
                format!("{} is still of version {version}, which was replaced", short(instance))
            }
            Self::End => {
                let name = stray(ledger.groups.values().filter(|group| group.is_live()), scene)
                    .map_or_else(|| "some instance".to_owned(), |group| short(&group.instance));
                format!("{name} still runs, and nobody wants it")
            }
            Self::Rest(task) => format!("the scheduler still kills {task}, which has ended"),
        }
    }
}

/// What of one pod is not as it should be.
fn missing_of(spec: &PodSpec, api: &Scheduler, ledger: &Ledger, scene: &Scene<'_>) -> Option<Missing> {
    let status = api.pod_status(&spec.id, scene.clock);
    let instances = status.map(|status| status.instances).unwrap_or_default();
    let wanted = spec.instances() as usize;
    if instances.len() != wanted || stable(&instances) != wanted {
        return Some(Missing::Copies(spec.id.clone()));
    }
    let is_there = |instance: &&InstanceStatus| {
        let mut live = ledger.groups_of(instance.id.uuid).filter(|group| group.is_live());
        live.next().is_some_and(|group| group.incarnation == instance.incarnation && group.is_whole())
    };
    let gone = instances.iter().find(|instance| !is_there(instance))?;
    Some(Missing::Containers(gone.id.clone()))
}

/// Whether there are as many whole copies of a pod as there shall be.
fn is_populated(spec: &PodSpec, ledger: &Ledger) -> bool {
    let is_whole = |copy: &&Copy| ledger.newest_of(copy.id.uuid).is_some_and(Group::is_whole);
    ledger.copies_of(&spec.id).filter(is_whole).count() == spec.instances() as usize
}

fn stable(instances: &[InstanceStatus]) -> usize {
    instances.iter().filter(|instance| instance.status == PodInstanceState::Stable).count()
}

/// The first instance that is not stable, and why.
fn first_unstable(instances: &[InstanceStatus]) -> String {
    let unstable = instances.iter().find(|instance| instance.status != PodInstanceState::Stable);
    unstable
        .map(|instance| {
            let why = instance.message.as_deref().unwrap_or_default();
            format!("; {} is {:?}: {why}", short(&instance.id), instance.status)
        })
        .unwrap_or_default()
}
