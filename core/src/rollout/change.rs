//! Commands that change what there shall be: a new definition, a deployment that brings it, and the locks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::admission::{Change, change, check_residents};
use crate::input::{Command, CommandId, Origin};
use crate::marks::Mark;
use crate::model::deployment::{ActionKind, Deployment, DeploymentAction, DeploymentDeadline, Step};
use crate::model::event::{ApiEventKind, DeploymentPlan};
use crate::model::ids::{DeploymentId, GroupId, InstanceId, PodId, Uuid, new_uuid, time_of_uuid};
use crate::model::instance::{Goal, GoalReason, Instance, KillReason};
use crate::model::pod::PodSpec;
use crate::model::time::Timestamp;
use crate::output::{Action, Refusal, Response};
use crate::scheduler::Scheduler;

impl Scheduler {
    /// Does what `command` wants, or refuses and changes nothing.
    pub(crate) fn on_command(&mut self, id: CommandId, origin: Origin, command: Command) {
        let group = command.changed_group();
        let result = self.execute(command, origin);
        if let (Some(group_id), Err(refusal)) = (group, &result)
            && !refusal.is_about_something_unknown()
        {
            let (version, reason) = (self.now, refusal.to_string());
            self.publish(ApiEventKind::GroupChangeFailed { group_id, version, reason });
        }
        // What follows from the change belongs to the same records as the answer, as far as one step goes.
        self.drive_pods();
        self.replies.push(Action::Reply { id, result: result.map(Box::new).map_err(Box::new) });
    }

    /// Makes the change that `command` wants, without what follows from it.
    pub(super) fn execute(&mut self, command: Command, origin: Origin) -> Result<Response, Refusal> {
        match command {
            Command::CancelDeployment { id, force } => self.cancel_deployment(&id, force),
            Command::CreateGroup { group } => self.create_group(&group),
            Command::CreatePod { pod, force, role_given } => self.create_pod(pod, role_given, force, origin),
            Command::DeleteGroup { id, force } => self.delete_group(&id, force),
            Command::DeletePod { id, force } => self.delete_pod(&id, force, origin),
            Command::EnforceGroupRole { id, enforce_role } => self.enforce_group_role(&id, enforce_role),
            Command::KillInstance { pod, instance, wipe } => self.kill_instance(&pod, &instance, wipe),
            Command::KillInstances { pod, instances, wipe } => self.kill_instances(&pod, &instances, wipe),
            Command::ResetDelay { pod } => self.reset_delay(&pod),
            Command::UpdateGroup { group } => self.update_group(&group),
            Command::UpdatePod { pod, force, role_given } => self.update_pod(pod, role_given, force, origin),
        }
    }

    fn create_pod(
        &mut self,
        mut pod: PodSpec,
        role_given: bool,
        force: bool,
        origin: Origin,
    ) -> Result<Response, Refusal> {
        if self.pod(&pod.id).is_some() {
            return Err(Refusal::AlreadyExists(pod.id));
        }
        self.check_free_for_pod(&pod.id)?;
        self.settle_role(&mut pod, role_given, force)?;
        let (id, original) = (pod.id.clone(), BTreeMap::from([(pod.id.clone(), None)]));
        self.lock([&id], force)?;
        let version = self.new_version(&id);
        let pod = Arc::new(PodSpec { version, ..pod });
        self.state.set_spec(&self.config, pod.clone());
        let bring = if self.outlived_by_copies(&id) && pod.instances() > 0 {
            ActionKind::RestartPod
        } else {
            ActionKind::ScalePod
        };
        let steps = [ActionKind::StartPod, bring].map(|action| vec![(action, id.clone())]).into();
        let deadline = self.deadline_of(&pod);
        let deployment = self.deploy(original, BTreeMap::new(), version, steps, deadline);
        self.announce_change(id.group(), version);
        self.publish(ApiEventKind::PodCreatedEvent { client_ip: origin.client_ip, uri: origin.uri });
        Ok(Response::PodCreated { pod, deployment })
    }

    /// Whether there are copies of a pod that was deleted and has just been created anew, by force, before all of them
    /// were asked to end, and that are to be replaced. Those that run the same definition stay. Those with volumes go in
    /// any case, and their volumes with them: that was asked for with the deletion.
    fn outlived_by_copies(&mut self, id: &PodId) -> bool {
        let Some(pod) = self.state.pod(id) else { return false };
        let residents = self
            .state
            .instances_of(pod)
            .filter(|instance| instance.goal == Goal::Running && instance.residence.is_some());
        let residents: Vec<Uuid> = residents.map(|instance| instance.id.uuid).collect();
        for uuid in residents {
            self.decommission_instance(uuid, GoalReason::DeletingPod);
        }
        self.state.pod(id).is_some_and(|pod| pod.tally.old.wanted() > 0)
    }

    fn update_pod(
        &mut self,
        mut pod: PodSpec,
        role_given: bool,
        force: bool,
        origin: Origin,
    ) -> Result<Response, Refusal> {
        let id = pod.id.clone();
        let Some(old) = self.pod(&id).cloned() else {
            return self.create_pod(pod, role_given, force, origin);
        };
        self.settle_role(&mut pod, role_given, force)?;
        check_residents(&old, &pod)?;
        let change = change(&old, &pod);
        let current = self.state.pod(&id);
        // Copies that a cancelled deployment left behind are replaced by the next change, whatever it changes,
        // and also if it merely says once more what there shall be.
        let has_old = current.is_some_and(|pod| pod.tally.old.wanted() > 0);
        let is_on_its_way = current.is_some_and(|pod| pod.deployment.is_some());
        if change == Change::None && (!has_old || is_on_its_way) {
            let deployment = self.new_deployment_id();
            self.publish(ApiEventKind::PodUpdatedEvent { client_ip: origin.client_ip, uri: origin.uri });
            return Ok(Response::PodUpdated { pod: old, deployment });
        }
        self.lock([&id], force)?;
        let version = self.new_version(&id);
        let pod = Arc::new(PodSpec { version, ..pod });
        self.state.set_spec(&self.config, pod.clone());
        let replaces = (change == Change::Upgrade || has_old) && pod.instances() > 0;
        let action = if replaces { ActionKind::RestartPod } else { ActionKind::ScalePod };
        let original = BTreeMap::from([(id.clone(), Some(old.version))]);
        let (steps, deadline) = (vec![vec![(action, id.clone())]], self.deadline_of(&pod));
        let deployment = self.deploy(original, BTreeMap::new(), version, steps, deadline);
        self.announce_change(id.group(), version);
        self.publish(ApiEventKind::PodUpdatedEvent { client_ip: origin.client_ip, uri: origin.uri });
        Ok(Response::PodUpdated { pod, deployment })
    }

    fn delete_pod(&mut self, id: &PodId, force: bool, origin: Origin) -> Result<Response, Refusal> {
        let Some(old) = self.pod(id).cloned() else { return Err(Refusal::UnknownPod(id.clone())) };
        self.lock([id], force)?;
        let version = self.new_version(id);
        self.state.delete_spec(&self.config, id, version);
        let original = BTreeMap::from([(id.clone(), Some(old.version))]);
        let steps = vec![vec![(ActionKind::StopPod, id.clone())]];
        let deployment = self.deploy(original, BTreeMap::new(), version, steps, None);
        self.announce_change(id.group(), version);
        self.publish(ApiEventKind::PodDeletedEvent { client_ip: origin.client_ip, uri: origin.uri });
        Ok(Response::PodDeleted { deployment })
    }

    fn kill_instance(&mut self, pod: &PodId, instance: &InstanceId, wipe: bool) -> Result<Response, Refusal> {
        if self.pod(pod).is_none() {
            return Err(Refusal::UnknownPod(pod.clone()));
        }
        let found = self.state.instance(instance.uuid).filter(|found| found.id == *instance);
        if found.is_none_or(|found| found.id.pod != *pod) {
            return Err(Refusal::UnknownInstance(instance.to_string()));
        }
        self.kill_instances(pod, std::slice::from_ref(instance), wipe)
    }

    /// Ends instances now. Those out of reach cannot be launched again where they are: they are given up, and
    /// others take their place, unless they have volumes there.
    fn kill_instances(
        &mut self,
        pod: &PodId,
        instances: &[InstanceId],
        wipe: bool,
    ) -> Result<Response, Refusal> {
        if self.pod(pod).is_none() {
            return Err(Refusal::UnknownPod(pod.clone()));
        }
        let mut killed: Vec<Instance> = Vec::new();
        let mut named: BTreeSet<Uuid> = BTreeSet::new();
        for id in instances {
            let Some(instance) = self.state.instance(id.uuid).cloned() else { continue };
            if instance.id != *id || instance.id.pod != *pod || !named.insert(id.uuid) {
                continue;
            }
            let out_of_reach = instance.tasks.iter().any(|task| task.unreachable_since.is_some());
            // One with volumes can only be launched again where they are.
            if wipe || (out_of_reach && instance.residence.is_none()) {
                self.decommission_instance(id.uuid, GoalReason::UserRequest);
            } else if !instance.has_ended() {
                self.request_kill(id.uuid, KillReason::UserRequest);
            }
            killed.push(instance);
        }
        Ok(Response::InstancesKilled(killed))
    }

    fn reset_delay(&mut self, id: &PodId) -> Result<Response, Refusal> {
        if self.pod(id).is_none() {
            return Err(Refusal::UnknownPod(id.clone()));
        }
        if self.state.pod(id).is_none_or(|pod| pod.waiting.is_empty()) {
            return Err(Refusal::NotQueued(id.clone()));
        }
        self.state.edit_pod(id, |pod| {
            pod.delay = None;
            pod.failing_agents.clear();
        });
        self.note_new_demand();
        Ok(Response::DelayReset)
    }

    fn cancel_deployment(&mut self, id: &DeploymentId, force: bool) -> Result<Response, Refusal> {
        let Some(deployment) = self.state.deployments().get(id).cloned() else {
            return Err(Refusal::UnknownDeployment(id.clone()));
        };
        if !force {
            self.check_way_back(&deployment)?;
        }
        self.state.remove_deployment(id);
        self.announce_failure(&deployment, "The upgrade has been cancelled");
        if force {
            self.mark(Mark::DeploymentAbandoned);
            return Ok(Response::DeploymentCancelled);
        }
        self.mark(Mark::DeploymentReverted);
        let (deployment, version) = self.lead_back(&deployment);
        Ok(Response::DeploymentReverted { deployment, version })
    }

    /// Begins to bring back what there was before `deployment`, which has been removed, and says by which
    /// deployment and with which version.
    pub(super) fn lead_back(&mut self, deployment: &Deployment) -> (DeploymentId, Timestamp) {
        let version = self.new_version_of_all(deployment.affected_pods(), deployment.original_groups.keys());
        let mut original = BTreeMap::new();
        let mut stopped = BTreeSet::new();
        let mut restarted = Vec::new();
        for (pod, before) in &deployment.original {
            let current = self.pod(pod).map(|spec| spec.version);
            original.insert(pod.clone(), current);
            match before.and_then(|before| self.pod_version(pod, before)).cloned() {
                // It gets a new version, but copies that still run this very definition need not be replaced.
                Some(spec) => {
                    let found = self.state.pod(pod);
                    let is_mere_scaling = found.is_some_and(|found| {
                        found.tally.old.all() == 0
                            && found.spec().is_some_and(|now| change(now, &spec) < Change::Upgrade)
                    });
                    let action = if is_mere_scaling { ActionKind::ScalePod } else { ActionKind::RestartPod };
                    let spec = PodSpec { version, ..PodSpec::clone(&spec) };
                    self.state.set_spec(&self.config, Arc::new(spec));
                    restarted.push((action, pod.clone()));
                }
                None => {
                    if current.is_some() {
                        self.state.delete_spec(&self.config, pod, version);
                    }
                    stopped.insert(pod.clone());
                }
            }
        }
        let stop = |pods: Vec<PodId>| pods.into_iter().map(|pod| (ActionKind::StopPod, pod)).collect();
        let mut steps: Vec<Vec<_>> = self.stop_order(&stopped).into_iter().map(stop).collect();
        // All in one step: they wait for each other pod by pod, as far as they depend on each other.
        steps.push(restarted);
        self.restore_groups(&deployment.original_groups, version);
        // The way back has no deadline: there is no further way back.
        let deployment = self.deploy(original, BTreeMap::new(), version, steps, None);
        self.announce_change(GroupId::root(), version);
        (deployment, version)
    }

    /// Makes sure that no deployment changes any of `pods`. If `force` is given they are taken out of those that do: what
    /// these do to others goes on, in its order, and one that has no other pods is cancelled.
    pub(super) fn lock<'a>(
        &mut self,
        pods: impl IntoIterator<Item = &'a PodId>,
        force: bool,
    ) -> Result<(), Refusal> {
        let mut holders: BTreeMap<DeploymentId, BTreeSet<PodId>> = BTreeMap::new();
        for pod in pods.into_iter().filter_map(|pod| self.state.pod(pod)) {
            if let Some(holder) = &pod.deployment {
                holders.entry(holder.clone()).or_default().insert(pod.state.id.clone());
            }
        }
        if !force && !holders.is_empty() {
            return Err(Refusal::Locked { deployments: holders.into_keys().collect() });
        }
        // A stuck cluster must still be changeable by force.
        if !force && self.state.deployments().len() >= self.config.max_running_deployments {
            return Err(Refusal::TooManyDeployments { limit: self.config.max_running_deployments });
        }
        for (holder, pods) in holders {
            let Some(mut deployment) = self.state.remove_deployment(&holder) else { continue };
            let is_all = deployment.affected_pods().all(|pod| pods.contains(pod));
            if is_all {
                self.mark(Mark::DeploymentSuperseded);
                self.announce_failure(&deployment, "The upgrade has been cancelled");
            } else {
                self.mark(Mark::DeploymentCurtailed);
                deployment.release(&pods);
                self.state.put_deployment(deployment);
            }
        }
        Ok(())
    }

    /// Begins to make a change true: the actions of each of the `steps` side by side, empty ones left out.
    pub(super) fn deploy(
        &mut self,
        original: BTreeMap<PodId, Option<Timestamp>>,
        original_groups: BTreeMap<GroupId, Timestamp>,
        version: Timestamp,
        steps: Vec<Vec<(ActionKind, PodId)>>,
        deadline: Option<DeploymentDeadline>,
    ) -> DeploymentId {
        let copies = |pod: &PodId| self.state.pod(pod).map_or(0, |pod| pod.tally.counted());
        let step = |mut actions: Vec<(ActionKind, PodId)>| {
            actions.sort_unstable_by(|(_, one), (_, other)| one.cmp(other));
            let actions = actions.into_iter().map(|(action, pod)| {
                let copies_before = copies(&pod);
                DeploymentAction { action, pod, ready_target: 0, copies_before }
            });
            Step { actions: actions.collect() }
        };
        let steps = steps.into_iter().filter(|step| !step.is_empty()).map(step).collect();
        let id = self.new_deployment_id();
        let mut deployment = Deployment {
            id: id.clone(),
            version,
            original,
            original_groups,
            steps,
            current_step: 0,
            deadline,
        };
        self.set_ready_targets(&mut deployment);
        if let Some(current_step) = deployment.steps.first().cloned() {
            let plan = DeploymentPlan::from(&deployment);
            self.publish(ApiEventKind::DeploymentInfo { plan, current_step });
        }
        self.state.put_deployment(deployment);
        id
    }

    /// An id that comes after those of all deployments on their way: they are shown in its order. Those of one
    /// millisecond, or of a clock that was set back, take the next milliseconds; the rest of each is random, because the
    /// one after the newest may have been that of a deployment that has ended since.
    pub(super) fn new_deployment_id(&mut self) -> DeploymentId {
        let random = self.random.id_part(&["deployment"]);
        let newest: Option<Uuid> =
            self.state.deployments().last_key_value().and_then(|(id, _)| id.as_str().parse().ok());
        let after = newest.and_then(time_of_uuid).map_or(Timestamp::EPOCH, Timestamp::next);
        DeploymentId::new(new_uuid(self.now.max(after), random).to_string())
    }

    /// A version for the next change of `pod`: now, but greater than every earlier one.
    fn new_version(&self, pod: &PodId) -> Timestamp {
        self.state.pod(pod).map_or(self.now, |pod| self.now.max(pod.state.newest.next()))
    }

    /// A version for the next change of all `pods` and `groups`.
    pub(super) fn new_version_of_all<'a>(
        &self,
        pods: impl IntoIterator<Item = &'a PodId>,
        groups: impl IntoIterator<Item = &'a GroupId>,
    ) -> Timestamp {
        let pods = pods.into_iter().map(|pod| self.new_version(pod));
        let groups = groups.into_iter().filter_map(|id| self.state.groups().newest(id));
        pods.chain(groups.map(|group| group.version.next())).fold(self.now, Timestamp::max)
    }

    pub(super) fn announce_change(&mut self, group_id: GroupId, version: Timestamp) {
        self.publish(ApiEventKind::GroupChangeSuccess { group_id, version });
    }

    pub(super) fn announce_failure(&mut self, deployment: &Deployment, reason: &str) {
        self.publish(ApiEventKind::DeploymentFailed {
            id: deployment.id.clone(),
            plan: DeploymentPlan::from(deployment),
            reason: reason.to_owned(),
        });
    }
}
