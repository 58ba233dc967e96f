//! What a command would do, found out by doing it where it has no effect.
//!
//! ```text
//!   Scheduler ── excerpt ──► Rehearsal: the same command through the same code
//!                               │
//!                               ├─ a refusal is the refusal
//!                               └─ rounds: write down what is started and ended, let the
//!                                  started run and the ended be gone, look again
//! ```
//!
//! Nothing here decides anything, so a plan cannot differ from what a deployment does while all goes well. The
//! excerpt copies what the command may touch (its pods with their instances) and an outline of everything else;
//! that is far less than everything, and the rounds can be played elsewhere while the scheduler goes on.

use std::collections::BTreeSet;

use crate::input::{Command, Origin};
use crate::model::event::ApiEventKind;
use crate::model::ids::{DeploymentId, PodId, Uuid};
use crate::model::instance::{Condition, Goal, Instance, KillReason, Task};
use crate::model::pod::{Container, PodSpec};
use crate::model::time::Timestamp;
use crate::output::{Refusal, Response};
use crate::portion::Portion;
use crate::reconcile::Reconciliation;
use crate::scheduler::Scheduler;
use crate::state::Stage;
use crate::view::{Plan, PlannedKill, PlannedStart, StepStatus};

/// So many rounds are played: enough to replace a thousand copies one by one.
const MAX_ROUNDS: u32 = 1000;

/// A copy of the scheduler in which a command can be tried.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    scheduler: Scheduler,
    command: Command,
    /// The pods that the command is about.
    pods: BTreeSet<PodId>,
}

/// How a command would be answered, and what would follow.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// The answer. Ids and versions in it are made up.
    pub response: Response,
    /// What would follow.
    pub plan: Plan,
}

impl Scheduler {
    /// What is needed to try `command`. Costs as much as a look at every pod, and at every instance of those
    /// that the command is about; [`Rehearsal::play`] needs the scheduler no more.
    pub fn rehearse(&self, command: Command) -> Rehearsal {
        let pods: BTreeSet<PodId> = match &command {
            Command::CreatePod { pod, .. } | Command::UpdatePod { pod, .. } => [pod.id.clone()].into(),
            Command::DeletePod { id, .. } => [id.clone()].into(),
            Command::DeleteGroup { id, .. } => self.pods_below(id).map(|spec| spec.id.clone()).collect(),
            Command::CancelDeployment { id, .. } => {
                let deployment = self.state.deployments().get(id);
                deployment.into_iter().flat_map(|deployment| deployment.affected_pods()).cloned().collect()
            }
            Command::KillInstance { pod, .. }
            | Command::KillInstances { pod, .. }
            | Command::ResetDelay { pod } => [pod.clone()].into(),
            // Only the way back to an earlier version asks what became of pods.
            Command::UpdateGroup { group } if group.version.is_some() => {
                self.state.pods().below(group.id.as_str()).map(|pod| pod.state.id.clone()).collect()
            }
            Command::CreateGroup { .. } | Command::EnforceGroupRole { .. } | Command::UpdateGroup { .. } => {
                BTreeSet::new()
            }
        };
        Rehearsal { scheduler: self.excerpt(&pods), command, pods }
    }
}

impl Rehearsal {
    /// Tries the command at `now`, and plays on from there.
    ///
    /// # Errors
    /// The command would be refused.
    pub fn play(mut self, now: Timestamp) -> Result<Preview, Refusal> {
        let scheduler = &mut self.scheduler;
        scheduler.now = scheduler.now.max(now);
        scheduler.state.begin_step(scheduler.now);
        scheduler.portion = Portion::unlimited();
        scheduler.reconciliation = Reconciliation::trusting(scheduler.now);
        let mut story = Story::new(scheduler, &self.pods);
        let response = scheduler.execute(self.command, Origin::default())?;
        let deployment = response.deployment().cloned();
        let mut plan = Plan {
            steps: Vec::new(),
            cancels: Vec::new(),
            waits_for: None,
            start: Vec::new(),
            kill: Vec::new(),
            is_complete: true,
        };
        let unmet = self.pods.iter().find_map(|pod| scheduler.unmet_dependency(pod));
        let waits_for = unmet.map(|unmet| scheduler.describe(&unmet));
        scheduler.ignore_dependencies(&self.pods);
        loop {
            scheduler.drive_pods();
            let events = std::mem::take(&mut scheduler.state.changes.events);
            story.write_down(events, scheduler, deployment.as_ref(), &mut plan);
            let is_on_its_way = |id: &DeploymentId| scheduler.state.deployments().contains_key(id);
            plan.is_complete = !deployment.as_ref().is_some_and(is_on_its_way);
            if plan.is_complete || story.round > MAX_ROUNDS || !scheduler.let_it_go_well(&self.pods) {
                // Ending copies for good never waits.
                plan.waits_for = waits_for.filter(|_| !plan.start.is_empty() || story.replaces_in_place);
                return Ok(Preview { response, plan });
            }
        }
    }
}

/// What has been seen happening to the pods that the command is about.
struct Story<'a> {
    pods: &'a BTreeSet<PodId>,
    /// Copies that were there before.
    named: BTreeSet<Uuid>,
    /// Copies that were started.
    started: BTreeSet<Uuid>,
    /// Copies that are ending or were ended.
    ended: BTreeSet<Uuid>,
    /// Whether copies were ended that come back as the new version, to their volumes.
    replaces_in_place: bool,
    /// The round that is being played.
    round: u32,
}

impl<'a> Story<'a> {
    fn new(scheduler: &Scheduler, pods: &'a BTreeSet<PodId>) -> Self {
        let copies = || {
            let pods = pods.iter().filter_map(|pod| scheduler.state.pod(pod));
            pods.flat_map(|pod| scheduler.state.instances_of(pod))
        };
        let is_ending = |instance: &&Instance| instance.goal == Goal::Decommissioned || makes_place(instance);
        let ending = copies().filter(is_ending);
        Self {
            pods,
            named: copies().map(|instance| instance.id.uuid).collect(),
            started: BTreeSet::new(),
            ended: ending.map(|instance| instance.id.uuid).collect(),
            replaces_in_place: false,
            round: 1,
        }
    }

    /// Adds what `events` tell to `plan`, and which copies in `scheduler` make place for the new version. If anything was
    /// started or ended, that was a round.
    fn write_down(
        &mut self,
        events: Vec<ApiEventKind>,
        scheduler: &Scheduler,
        deployment: Option<&DeploymentId>,
        plan: &mut Plan,
    ) {
        let before = (plan.start.len(), plan.kill.len());
        for event in events {
            match event {
                ApiEventKind::DeploymentFailed { id, .. } => plan.cancels.push(id),
                ApiEventKind::DeploymentInfo { plan: info, .. } if Some(&info.id) == deployment => {
                    plan.steps = info.steps.iter().map(StepStatus::from).collect();
                }
                ApiEventKind::InstanceChangedEvent { instance_id, goal, .. }
                    if self.pods.contains(&instance_id.pod) =>
                {
                    let (pod, round) = (instance_id.pod.clone(), self.round);
                    if !self.named.contains(&instance_id.uuid) && self.started.insert(instance_id.uuid) {
                        match plan.start.last_mut().filter(|last| last.round == round && last.pod == pod) {
                            Some(last) => last.instances += 1,
                            None => plan.start.push(PlannedStart { round, pod: pod.clone(), instances: 1 }),
                        }
                    }
                    if goal == Goal::Decommissioned && self.ended.insert(instance_id.uuid) {
                        let instance = Some(instance_id).filter(|id| self.named.contains(&id.uuid));
                        plan.kill.push(PlannedKill { round, pod, instance });
                    }
                }
                _ => {}
            }
        }
        let pods = self.pods.iter().filter_map(|pod| scheduler.state.pod(pod));
        for instance in pods.flat_map(|pod| scheduler.state.instances_of(pod)).filter(makes_place) {
            if self.ended.insert(instance.id.uuid) {
                self.replaces_in_place = true;
                let (pod, id) = (instance.id.pod.clone(), Some(instance.id.clone()));
                plan.kill.push(PlannedKill { round: self.round, pod, instance: id });
            }
        }
        if (plan.start.len(), plan.kill.len()) != before {
            self.round += 1;
        }
    }
}

impl Scheduler {
    /// A copy that knows `pods` and their instances, and of everything else only what decisions about these
    /// may ask.
    fn excerpt(&self, pods: &BTreeSet<PodId>) -> Self {
        Self {
            config: self.config.clone(),
            state: self.state.excerpt(pods),
            dependencies: self.dependencies.clone(),
            now: self.now,
            ..Self::new(self.config.clone(), 0)
        }
    }

    /// Has nobody wait for anybody any more.
    fn ignore_dependencies(&mut self, pods: &BTreeSet<PodId>) {
        self.state.forget_groups();
        self.dependencies = super::Dependencies::default();
        self.state.changes.touched.extend(pods.iter().cloned());
    }

    /// Whatever was asked to end is gone, and every copy that is to stay runs and is healthy. Says whether that
    /// changed anything.
    fn let_it_go_well(&mut self, pods: &BTreeSet<PodId>) -> bool {
        let mut gone = Vec::new();
        let mut well = Vec::new();
        for pod in pods.iter().filter_map(|pod| self.state.pod(pod)) {
            for instance in self.state.instances_of(pod) {
                let (uuid, stage) = (instance.id.uuid, pod.stage(instance));
                match (stage, pod.spec()) {
                    (Stage::Stopping, _) => gone.push(uuid),
                    // It ends, and is launched again from the current definition.
                    (Stage::Ending, Some(spec)) => well.push((uuid, spec.clone())),
                    // Nothing is done any more for copies of older definitions, nor for those out of reach.
                    (Stage::Available | Stage::Unreachable | Stage::Inactive, _) | (_, None) => {}
                    (_, Some(spec)) => {
                        if pod.counts_as_current(instance, stage) {
                            well.push((uuid, spec.clone()));
                        }
                    }
                }
            }
        }
        let changed = !gone.is_empty() || !well.is_empty();
        for uuid in gone {
            self.state.remove(uuid);
        }
        for (uuid, spec) in well {
            self.state.edit(&self.config, uuid, |instance| run_well(instance, &spec, self.now));
        }
        changed
    }
}

/// Whether `instance` is ending so that the new version can have its volumes.
fn makes_place(instance: &&Instance) -> bool {
    instance.kill_requested.is_some_and(|request| request.reason == KillReason::Upgrading)
}

/// Makes `instance` one that was launched from `spec`, runs and is healthy.
fn run_well(instance: &mut Instance, spec: &PodSpec, now: Timestamp) {
    instance.version = spec.version;
    instance.kill_requested = None;
    instance.condition = Condition::Running;
    instance.active_since = Some(now);
    instance.healthy = spec.has_health_checks().then_some(true);
    instance.available = true;
    let run = |container: &Container| Task {
        condition: Condition::Running,
        started_at: Some(now),
        ..Task::provisioned(container.name.as_str().into(), Vec::new(), now)
    };
    instance.tasks = spec.containers.iter().map(run).collect();
}
