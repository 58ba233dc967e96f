//! From instances to `PodStatus`.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::pod_status::{
    ContainerStatus, ContainerTerminationHistory, ContainerTerminationStatus, EndpointStatus,
    HealthCondition, InstanceStatus, LocalVolumeStatus, NetworkStatus, PodInstanceState, PodState, PodStatus,
    ResourceAmounts, TerminationHistory,
};
use crate::model::ids::Role;
use crate::model::ids::{PodId, Uuid};
use crate::model::instance::{Condition, Goal, Instance, KillReason, Task, Termination};
use crate::model::pod::{Container, PodSpec, Probe, ScalarResources};
use crate::model::residence::LocalVolume;
use crate::model::time::Timestamp;
use crate::placement::{Asker, NoMatch, Refusals, match_instance, might_ever_match};
use crate::record::{RolloutFailure, Stability};
use crate::scheduler::Scheduler;
use crate::state::{Pod, Stage};

/// So many agents are asked when it is explained why a pod waits: enough for people, and a bound on the cost.
pub(super) const EXPLAINED_AGENTS: usize = 1000;

impl Scheduler {
    /// The state of a pod at `now`.
    pub fn pod_status(&self, id: &PodId, now: Timestamp) -> Option<PodStatus> {
        let mut status = self.pod_status_outline(id, None, now)?;
        status.instances = self.instance_statuses(id, None, now).collect();
        let changes = status.instances.iter().map(|instance| instance.last_changed);
        status.last_changed = changes.fold(status.last_changed, Timestamp::max);
        Some(status)
    }

    /// The state of a pod at `now` without its copies, which [`Self::instance_statuses`] gives: for pods that
    /// have too many of them to be looked at in one go. When anything last changed does not count them either.
    ///
    /// It is shown with the definition of `version`, if one is given, or else the current one. Of a definition that
    /// counts no more, the copies are nevertheless those there are now.
    pub fn pod_status_outline(
        &self,
        id: &PodId,
        version: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<PodStatus> {
        let pod = self.state.pod(id)?;
        let spec = version.map_or_else(|| pod.spec(), |version| pod.spec_of(version))?;
        Some(self.outline_of(pod, spec.clone(), now))
    }

    /// The states at `now` of a pod's copies, oldest first; of those after `after`, if that is given.
    pub fn instance_statuses(
        &self,
        id: &PodId,
        after: Option<Uuid>,
        now: Timestamp,
    ) -> impl Iterator<Item = InstanceStatus> {
        let pods = self.state.pod(id).into_iter();
        pods.flat_map(move |pod| self.copies_of(pod, after, now))
    }

    fn outline_of(&self, pod: &Pod, spec: Arc<PodSpec>, now: Timestamp) -> PodStatus {
        let Stability { is_stable, since: status_since } = pod.stability();
        PodStatus {
            id: spec.id.clone(),
            status: if is_stable { PodState::Stable } else { PodState::Degraded },
            status_since,
            last_updated: now,
            last_changed: status_since.max(spec.version),
            message: self.what_deployment_waits_for(&spec.id).or_else(|| how_rollout_failed(pod)),
            spec,
            instances: Vec::new(),
            termination_history: pod.terminations.iter().rev().map(|ended| (&**ended).into()).collect(),
        }
    }

    fn copies_of<'a>(
        &'a self,
        pod: &'a Pod,
        after: Option<Uuid>,
        now: Timestamp,
    ) -> impl Iterator<Item = InstanceStatus> + 'a {
        // To find out why a pod waits costs a look at many agents, and holds for all copies that do.
        let why_pod_waits = OnceCell::new();
        // Most copies are of one definition, and to write out its version takes as long as much of the rest.
        let mut reference = (None, String::new());
        let instances = self.state.instances_after(pod, after);
        instances.map(move |instance| {
            let version = instance.version;
            if reference.0 != Some(version) {
                reference = (Some(version), format!("/v2/pods{}::versions/{version}", instance.id.pod));
            }
            self.instance_status(pod, instance, reference.1.clone(), &why_pod_waits, now)
        })
    }

    fn instance_status(
        &self,
        pod: &Pod,
        instance: &Instance,
        spec_reference: String,
        why_pod_waits: &OnceCell<Option<String>>,
        now: Timestamp,
    ) -> InstanceStatus {
        let spec = pod.spec_of(instance.version);
        let stage = pod.stage(instance);
        let containers: Vec<ContainerStatus> = spec
            .into_iter()
            .flat_map(|spec| spec.containers.iter().zip(&instance.tasks))
            .map(|(container, task)| container_status(container, task, instance))
            .collect();
        let agent = instance.agent.as_ref();
        let domain = agent.and_then(|agent| agent.domain.as_ref());
        let last_changed = containers.iter().map(|container| container.last_changed);
        let last_changed = last_changed.fold(instance.status_since, Timestamp::max);
        InstanceStatus {
            id: instance.id.clone(),
            status: PodInstanceState::of(stage, instance),
            status_since: instance.status_since,
            last_updated: last_changed,
            last_changed,
            message: self.why_so(pod, stage, instance, why_pod_waits, now),
            agent_id: agent.map(|agent| agent.agent_id.clone()),
            agent_hostname: agent.map(|agent| agent.host.clone()),
            agent_region: domain.map(|domain| domain.region.clone()),
            agent_zone: domain.map(|domain| domain.zone.clone()),
            resources: spec.map(|spec| resources_in_use(spec, instance)).unwrap_or_default(),
            networks: networks_of(instance),
            containers,
            spec_reference,
            local_volumes: local_volumes_of(instance),
            role: instance.role.clone(),
            incarnation: instance.incarnation,
        }
    }

    /// Why `instance` is in its status, if that needs saying.
    fn why_so(
        &self,
        pod: &Pod,
        stage: Stage,
        instance: &Instance,
        why_pod_waits: &OnceCell<Option<String>>,
        now: Timestamp,
    ) -> Option<String> {
        let text = match stage {
            Stage::Stopping => "is ending",
            Stage::Waiting => return Some(self.why_waiting(pod, instance, why_pod_waits, now)),
            Stage::Launching if instance.condition == Condition::Provisioned => {
                "waits for Mesos to confirm its launch"
            }
            Stage::Launching | Stage::Ready | Stage::Available => return None,
            Stage::Unready if instance.healthy == Some(false) => "at least one container is not healthy",
            Stage::Unready => "waits for the first result of its health checks",
            Stage::Ending => return Some(why_ending(instance)),
            Stage::Unreachable => "pod instance has become unreachable",
            Stage::Inactive => "pod instance has become unreachable; a replacement is wanted",
        };
        Some(text.to_owned())
    }

    /// Why `instance` is not launched right now.
    fn why_waiting(
        &self,
        pod: &Pod,
        instance: &Instance,
        why_pod_waits: &OnceCell<Option<String>>,
        now: Timestamp,
    ) -> String {
        let ended = match what_ended(instance) {
            None if instance.tasks.is_empty() => String::new(),
            None => "ended; ".to_owned(),
            Some(what) => format!("{what}; "),
        };
        let home = instance.residence.as_ref().and(instance.agent.as_ref());
        let waits = match home {
            Some(agent) => {
                let why = self.what_holds_up(pod, &instance.role, now);
                why.or_else(|| self.why_home_refuses(pod, instance)).unwrap_or_else(|| {
                    format!("waits for its persistent volumes on agent {} to be offered", agent.host)
                })
            }
            None => {
                let why = why_pod_waits.get_or_init(|| self.why_pod_waits(pod, now));
                why.clone().unwrap_or_else(|| "waits for an offer".to_owned())
            }
        };
        format!("{ended}{waits}")
    }

    /// What would have to happen before offers are of any use to copies of `pod` that wait.
    fn what_holds_up(&self, pod: &Pod, role: &Role, now: Timestamp) -> Option<String> {
        let delay = pod.state.delay.filter(|delay| delay.until > now);
        if let Some(delay) = delay {
            let seconds = delay.until.since(now).as_secs_f64();
            return Some(format!("waits {seconds:.1} s more before the next launch (back-off)"));
        }
        if let Some((source, why)) = self.state.missing_secret(pod) {
            return Some(format!("waits for the secret '{source}': {why}"));
        }
        if !self.is_connected() {
            return Some("waits for a connection to the Mesos master".to_owned());
        }
        let why = self.demand.refusal(role)?;
        Some(format!(
            "waits for the role '{role}', which the Mesos master does not let this framework have: {why}"
        ))
    }

    /// Why `instance` is not launched where its volumes are, although they were offered.
    fn why_home_refuses(&self, pod: &Pod, instance: &Instance) -> Option<String> {
        let asker = Asker { pod, spec: pod.spec()?, instance };
        let mut pools = self.agents.offered_to(&instance.role);
        let home = pools.find(|pool| instance.agent_id() == Some(&pool.agent.agent_id))?;
        let why =
            match_instance(asker, home, &self.site(), 0).err().filter(|why| *why != NoMatch::Reservation)?;
        let needs = asker.spec.total_resources();
        let why = Refusals { whys: vec![why], are_cut: false }.sentence(&pod.constraints, needs)?;
        Some(format!("its persistent volumes were offered on agent {}, but {why}", home.agent.host))
    }

    /// Why copies of `pod` that wait are not launched.
    pub(crate) fn why_pod_waits(&self, pod: &Pod, now: Timestamp) -> Option<String> {
        let spec = pod.spec()?;
        if let Some(why) = self.what_holds_up(pod, &spec.role, now) {
            return Some(why);
        }
        let why = self.refusals_now(pod)?.sentence(&pod.constraints, spec.total_resources());
        let parts: Vec<String> = why.into_iter().chain(self.why_in_vain(pod)).collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// That new copies of `pod` wait in vain, if no agent could ever take one: not even with everything free that
    /// offers and our own copies have shown of it. What others use of it, too, is not known.
    fn why_in_vain(&self, pod: &Pod) -> Option<String> {
        let spec = pod.spec()?;
        self.newest_without_home(pod)?;
        let mut agents = self.agents.known_to(&spec.role);
        let mut count = 0;
        for known in agents.by_ref().take(EXPLAINED_AGENTS) {
            if might_ever_match(pod, spec, known, &self.site()) {
                return None;
            }
            count += 1;
        }
        let text = match agents.next() {
            None => "no agent that was offered can ever take it, as far as offers show".to_owned(),
            Some(_) => format!("of {count} agents looked at, none can ever take it, as far as offers show"),
        };
        (count > 0).then_some(text)
    }

    /// A copy that waits and may go anywhere.
    fn newest_without_home<'a>(&'a self, pod: &Pod) -> Option<&'a Instance> {
        self.state.instance(pod.waiting.free().next_back()?)
    }

    /// Why the agents would refuse a copy of `pod`, going by what each had to offer when it was last offered.
    /// Nothing if some agent would not: then it is a matter of the next offer.
    pub(crate) fn refusals_now(&self, pod: &Pod) -> Option<Refusals> {
        let spec = pod.spec()?;
        // One that may go anywhere, if there is one: the others only wait for their own agents.
        let free = self.newest_without_home(pod);
        let instance = free.or_else(|| self.state.instance(pod.waiting.residents().next()?))?;
        let asker = Asker { pod, spec, instance };
        let role = if instance.residence.is_some() { &instance.role } else { &spec.role };
        let mut pools = self.agents.offered_to(role);
        let refusals = pools.by_ref().take(EXPLAINED_AGENTS);
        let refusals = refusals.map(|pool| match_instance(asker, pool, &self.site(), 0).err());
        let whys = refusals.collect::<Option<Vec<NoMatch>>>()?;
        Some(Refusals { whys, are_cut: pools.next().is_some() })
    }
}

impl PodInstanceState {
    /// How an instance is shown that is in this `stage`.
    pub(crate) fn of(stage: Stage, instance: &Instance) -> Self {
        match stage {
            Stage::Stopping | Stage::Ending => Self::Terminal,
            Stage::Waiting => Self::Pending,
            Stage::Launching if instance.condition == Condition::Provisioned => Self::Pending,
            // A copy that was not checked yet is no cause for alarm.
            Stage::Unready if instance.healthy.is_none() => Self::Staging,
            Stage::Launching => Self::Staging,
            Stage::Unready | Stage::Unreachable | Stage::Inactive => Self::Degraded,
            Stage::Ready | Stage::Available => Self::Stable,
        }
    }
}

/// What became of the last deployment of `pod`, if it was given up.
fn how_rollout_failed(pod: &Pod) -> Option<String> {
    let RolloutFailure { version, at, reason } = pod.state.rollout_failure.as_ref()?;
    Some(format!("at {at} the deployment of version {version} {reason}"))
}

/// What was the end of the containers of `instance`.
fn what_ended(instance: &Instance) -> Option<String> {
    if instance.was_too_slow() {
        return Some("did not start in time and was killed".to_owned());
    }
    let culprit = instance
        .tasks
        .iter()
        .filter(|task| task.condition == instance.end())
        .min_by_key(|task| (!task.was_killed_by_its_health_check(), task.since))?;
    let message = culprit.last.as_ref().and_then(|last| last.message.as_deref()).unwrap_or_default();
    let state = culprit.condition.task_state();
    let what = if culprit.was_killed_by_its_health_check() {
        format!("container '{}' is {state}, because its health check failed", culprit.container)
    } else {
        format!("container '{}' is {state}", culprit.container)
    };
    Some(if message.is_empty() { what } else { format!("{what}: {message}") })
}

fn why_ending(instance: &Instance) -> String {
    let requested = instance.kill_requested.map(|request| match request.reason {
        KillReason::GroupEnded => "did not end together with its group and is being killed",
        KillReason::Upgrading => "is ending to make place for the new version, which takes over its volumes",
        KillReason::LaunchTimeout => "did not start in time and is being killed",
        KillReason::UserRequest => "is being killed on request and will be launched again",
    });
    match (requested, what_ended(instance)) {
        (Some(requested), _) => requested.to_owned(),
        (None, Some(what)) => format!("{what}; the other containers are ending"),
        (None, None) => "is ending".to_owned(),
    }
}

fn container_status(container: &Container, task: &Task, instance: &Instance) -> ContainerStatus {
    let is_active = task.condition.is_active();
    let last = task.last.as_deref();
    let last_changed = last.and_then(|last| last.at).unwrap_or(task.since).max(task.since);
    let message = last.and_then(|last| last.message.clone()).filter(|message| !message.is_empty());
    ContainerStatus {
        name: container.name.clone(),
        status: task.condition.task_state(),
        status_since: task.since,
        last_updated: last_changed,
        last_changed,
        container_id: is_active.then(|| instance.task_id(task)),
        endpoints: if is_active { endpoints_of(container, task) } else { Vec::new() },
        conditions: health_condition(container, task).into_iter().collect(),
        resources: is_active.then(|| container.resources.to_scalars().into()),
        termination: task
            .condition
            .is_terminal()
            .then(|| ContainerTerminationStatus::new(message.clone(), task.was_killed_by_its_health_check())),
        message,
    }
}

fn endpoints_of(container: &Container, task: &Task) -> Vec<EndpointStatus> {
    let checked = container.health_check.as_ref().and_then(|check| match &check.probe {
        Probe::Http { endpoint, .. } | Probe::Tcp { endpoint } => Some(endpoint),
        Probe::Exec { .. } => None,
    });
    let mut ports = task.host_ports.iter().copied();
    container
        .endpoints
        .iter()
        .map(|endpoint| EndpointStatus {
            name: endpoint.name.clone(),
            allocated_host_port: endpoint.host_port.and_then(|_| ports.next()),
            healthy: task.healthy.filter(|_| checked == Some(&endpoint.name)),
        })
        .collect()
}

fn health_condition(container: &Container, task: &Task) -> Option<HealthCondition> {
    let checkable = matches!(task.condition, Condition::Running | Condition::Killing);
    if container.health_check.is_none() || !checkable {
        return None;
    }
    let (value, reason) = match task.healthy {
        Some(true) => ("true", "health-reported-by-mesos"),
        Some(false) => ("false", "health-reported-by-mesos"),
        None => ("false", "health-unreported-by-mesos"),
    };
    let last_changed = task.health_since.unwrap_or(task.since);
    let last_updated = task.last.as_ref().and_then(|last| last.at).unwrap_or(last_changed);
    Some(HealthCondition { name: "healthy", value, reason, last_changed, last_updated })
}

fn networks_of(instance: &Instance) -> Vec<NetworkStatus> {
    let mut by_name: BTreeMap<Option<&String>, Vec<String>> = BTreeMap::new();
    let networks =
        instance.tasks.iter().filter_map(|task| task.last.as_ref()).flat_map(|last| &last.networks);
    for network in networks {
        let addresses = by_name.entry(network.name.as_ref()).or_default();
        for address in &network.ip_addresses {
            if !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
    }
    let statuses = by_name.into_iter();
    statuses.map(|(name, addresses)| NetworkStatus { name: name.cloned(), addresses }).collect()
}

fn local_volumes_of(instance: &Instance) -> Vec<LocalVolumeStatus> {
    let volumes = instance.residence.iter().flat_map(|residence| &residence.volumes);
    let status = |volume: &LocalVolume| LocalVolumeStatus {
        run_spec_id: instance.id.pod.clone(),
        container_path: volume.name.clone(),
        uuid: volume.uuid.to_string(),
        persistence_id: volume.persistence_id(&instance.id),
    };
    volumes.map(status).collect()
}

/// What the instance uses now: nothing before it is launched or after it has ended, otherwise its executor and
/// those containers that have not ended.
fn resources_in_use(spec: &PodSpec, instance: &Instance) -> ResourceAmounts {
    if instance.has_ended() && instance.goal == Goal::Running {
        return ResourceAmounts::default();
    }
    let active = spec.containers.iter().zip(&instance.tasks).filter(|(_, task)| task.condition.is_active());
    let executor = spec.executor_resources.to_scalars();
    active.fold(executor, |sum, (container, _)| sum + container.resources.to_scalars()).into()
}

impl From<ScalarResources> for ResourceAmounts {
    fn from(scalars: ScalarResources) -> Self {
        Self {
            cpus: scalars.cpus.to_f64().into(),
            mem: scalars.mem.to_f64().into(),
            disk: scalars.disk.to_f64().into(),
            gpus: scalars.gpus.to_f64().into(),
        }
    }
}

impl ContainerTerminationStatus {
    /// Reads the exit status from Mesos' words, which are the only place where it can be found. They do not say
    /// that a health check was the reason.
    fn new(said: Option<String>, killed_by_health_check: bool) -> Self {
        let exit_code = said
            .as_deref()
            .and_then(|message| message.strip_prefix("Command exited with status "))
            .and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
        let message = if killed_by_health_check {
            let said = said.filter(|said| !said.is_empty()).map(|said| format!(": {said}"));
            Some(format!("was killed because its health check failed{}", said.unwrap_or_default()))
        } else {
            said
        };
        Self { exit_code, message }
    }
}

impl From<&Termination> for TerminationHistory {
    fn from(termination: &Termination) -> Self {
        let containers = termination.containers.iter().map(|container| ContainerTerminationHistory {
            container_id: container.task_id.clone(),
            last_known_state: container.condition.task_state(),
            termination: ContainerTerminationStatus::new(
                container.message.clone(),
                container.killed_by_health_check,
            ),
        });
        Self {
            instance_id: termination.instance.clone(),
            started_at: termination.started_at,
            terminated_at: termination.terminated_at,
            message: termination.message.clone(),
            containers: containers.collect(),
        }
    }
}
