//! Commands that change what there shall be: a new definition, a deployment that brings it, and the locks.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::admission::{Change, change};
use crate::input::{Command, CommandId, Origin};
use crate::model::deployment::{ActionKind, Deployment, DeploymentAction, Step};
use crate::model::event::{ApiEventKind, DeploymentPlan};
use crate::model::ids::{DeploymentId, InstanceId, PodId, new_uuid};
use crate::model::instance::{GoalReason, Instance, KillReason};
use crate::model::pod::PodSpec;
use crate::model::time::Timestamp;
use crate::output::{Action, Refusal, Response};
use crate::scheduler::Scheduler;

impl Scheduler {
    /// Does what `command` wants, or refuses and changes nothing.
    pub(crate) fn on_command(&mut self, id: CommandId, origin: Origin, command: Command) {
        let result = match command {
            Command::CancelDeployment { id, force } => self.cancel_deployment(&id, force),
            Command::CreatePod { pod, force, role_given } => self.create_pod(pod, role_given, force, origin),
            Command::DeletePod { id, force } => self.delete_pod(&id, force, origin),
            Command::KillInstance { pod, instance, wipe } => self.kill_instance(&pod, &instance, wipe),
            Command::KillInstances { pod, instances, wipe } => self.kill_instances(&pod, &instances, wipe),
            Command::ResetDelay { pod } => self.reset_delay(&pod),
            Command::UpdatePod { pod, force, role_given } => self.update_pod(pod, role_given, force, origin),
        };
        // Whatever follows from the change belongs to the same records as the answer.
        self.drive_pods();
        self.replies.push(Action::Reply { id, result: result.map(Box::new).map_err(Box::new) });
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
        self.settle_role(&mut pod, role_given, force)?;
        let (id, original) = (pod.id.clone(), BTreeMap::from([(pod.id.clone(), None)]));
        self.lock(&id, force)?;
        let version = self.new_version(&id);
        let pod = Arc::new(PodSpec { version, ..pod });
        self.state.set_spec(&self.config, pod.clone());
        let steps = [ActionKind::StartPod, ActionKind::ScalePod];
        let deployment = self.deploy(original, version, steps.map(|action| (action, id.clone())).into());
        self.announce_change(&id, version);
        self.publish(ApiEventKind::PodCreatedEvent { client_ip: origin.client_ip, uri: origin.uri });
        Ok(Response::PodCreated { pod, deployment })
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
        let change = change(&old, &pod);
        let current = self.state.pod(&id);
        // Copies that a cancelled deployment left behind are replaced by the next change, whatever it changes,
        // and also if it merely says once more what there shall be.
        let has_old = current.is_some_and(|pod| pod.tally.old.counted() > 0);
        let is_on_its_way = current.is_some_and(|pod| pod.deployment.is_some());
        if change == Change::None && (!has_old || is_on_its_way) {
            let deployment = self.new_deployment_id();
            self.publish(ApiEventKind::PodUpdatedEvent { client_ip: origin.client_ip, uri: origin.uri });
            return Ok(Response::PodUpdated { pod: old, deployment });
        }
        self.lock(&id, force)?;
        let version = self.new_version(&id);
        let pod = Arc::new(PodSpec { version, ..pod });
        self.state.set_spec(&self.config, pod.clone());
        let replaces = (change == Change::Upgrade || has_old) && pod.instances() > 0;
        let action = if replaces { ActionKind::RestartPod } else { ActionKind::ScalePod };
        let original = BTreeMap::from([(id.clone(), Some(old.version))]);
        let deployment = self.deploy(original, version, vec![(action, id.clone())]);
        self.announce_change(&id, version);
        self.publish(ApiEventKind::PodUpdatedEvent { client_ip: origin.client_ip, uri: origin.uri });
        Ok(Response::PodUpdated { pod, deployment })
    }

    fn delete_pod(&mut self, id: &PodId, force: bool, origin: Origin) -> Result<Response, Refusal> {
        let Some(old) = self.pod(id).cloned() else { return Err(Refusal::UnknownPod(id.clone())) };
        self.lock(id, force)?;
        let version = self.new_version(id);
        self.state.delete_spec(&self.config, id);
        self.state.edit_pod(id, |pod| {
            pod.newest = version;
            pod.delay = None;
        });
        let original = BTreeMap::from([(id.clone(), Some(old.version))]);
        let deployment = self.deploy(original, version, vec![(ActionKind::StopPod, id.clone())]);
        self.announce_change(id, version);
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
    /// others take their place.
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
        for id in instances {
            let Some(instance) = self.state.instance(id.uuid).cloned() else { continue };
            if instance.id != *id || instance.id.pod != *pod || killed.iter().any(|k| k.id == *id) {
                continue;
            }
            let out_of_reach = instance.tasks.iter().any(|task| task.unreachable_since.is_some());
            if wipe || out_of_reach {
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
        self.state.edit_pod(id, |pod| pod.delay = None);
        self.note_new_demand();
        Ok(Response::DelayReset)
    }

    fn cancel_deployment(&mut self, id: &DeploymentId, force: bool) -> Result<Response, Refusal> {
        let Some(deployment) = self.state.remove_deployment(id) else {
            return Err(Refusal::UnknownDeployment(id.clone()));
        };
        self.announce_failure(&deployment, "The upgrade has been cancelled");
        if force {
            return Ok(Response::DeploymentCancelled);
        }
        let mut version = self.now;
        let mut actions = Vec::new();
        let mut original = BTreeMap::new();
        for (pod, before) in &deployment.original {
            let current = self.pod(pod).map(|spec| spec.version);
            original.insert(pod.clone(), current);
            version = version.max(self.new_version(pod));
            let spec = before.and_then(|before| self.pod_version(pod, before)).cloned();
            actions.push((self.revert_pod(pod, spec, version), pod.clone()));
        }
        let deployment = self.deploy(original, version, actions);
        Ok(Response::DeploymentReverted { deployment, version })
    }

    /// Makes `spec` the definition of `pod` again, and says what that takes.
    fn revert_pod(&mut self, pod: &PodId, spec: Option<Arc<PodSpec>>, version: Timestamp) -> ActionKind {
        let Some(spec) = spec else {
            self.state.delete_spec(&self.config, pod);
            self.state.edit_pod(pod, |state| state.newest = state.newest.max(version));
            return ActionKind::StopPod;
        };
        // It gets a new version, but copies that still run this very definition need not be replaced.
        self.state.set_spec(&self.config, Arc::new(PodSpec { version, ..PodSpec::clone(&spec) }));
        ActionKind::RestartPod
    }

    /// Makes sure that no deployment changes `pod`, cancelling those that do if `force` is given.
    fn lock(&mut self, pod: &PodId, force: bool) -> Result<(), Refusal> {
        let holder = self.state.pod(pod).and_then(|pod| pod.deployment.clone());
        match holder {
            Some(holder) if !force => Err(Refusal::Locked { deployments: vec![holder] }),
            Some(holder) => {
                if let Some(deployment) = self.state.remove_deployment(&holder) {
                    self.announce_failure(&deployment, "The upgrade has been cancelled");
                }
                Ok(())
            }
            // A stuck cluster must still be changeable by force.
            None if !force && self.state.deployments().len() >= self.config.max_running_deployments => {
                Err(Refusal::TooManyDeployments { limit: self.config.max_running_deployments })
            }
            None => Ok(()),
        }
    }

    fn deploy(
        &mut self,
        original: BTreeMap<PodId, Option<Timestamp>>,
        version: Timestamp,
        actions: Vec<(ActionKind, PodId)>,
    ) -> DeploymentId {
        let step = |(action, pod)| Step { actions: vec![DeploymentAction { action, pod, ready_target: 0 }] };
        let id = self.new_deployment_id();
        let mut deployment = Deployment {
            id: id.clone(),
            version,
            original,
            steps: actions.into_iter().map(step).collect(),
            current_step: 0,
        };
        self.set_ready_targets(&mut deployment);
        if let Some(current_step) = deployment.steps.first().cloned() {
            let plan = DeploymentPlan::from(&deployment);
            self.publish(ApiEventKind::DeploymentInfo { plan, current_step });
        }
        self.state.put_deployment(deployment);
        id
    }

    fn new_deployment_id(&mut self) -> DeploymentId {
        let mut random = [0; 10];
        self.random.fill(&mut random);
        DeploymentId::new(new_uuid(self.now, random).to_string())
    }

    /// A version for the next change of `pod`: now, but greater than every earlier one.
    fn new_version(&self, pod: &PodId) -> Timestamp {
        self.state.pod(pod).map_or(self.now, |pod| self.now.max(pod.state.newest.next()))
    }

    fn announce_change(&mut self, pod: &PodId, version: Timestamp) {
        self.publish(ApiEventKind::GroupChangeSuccess { group_id: pod.group(), version });
    }

    fn announce_failure(&mut self, deployment: &Deployment, reason: &str) {
        self.publish(ApiEventKind::DeploymentFailed {
            id: deployment.id.clone(),
            plan: DeploymentPlan::from(deployment),
            reason: reason.to_owned(),
        });
    }
}
