//! A status update arrives.

use std::sync::Arc;

use crate::config::UnknownTasks;
use crate::kill::kill_call;
use crate::lifecycle::condition::{condition_of, condition_of_instance, health_of_instance};
use crate::marks::Mark;
use crate::model::event::{ApiEventKind, IpAddress};
use crate::model::ids::{AgentId, InstanceId, ParsedTaskId, Uuid};
use crate::model::instance::{
    AgentInfo, Condition, ContainerTermination, Goal, GoalReason, Instance, KillReason, LastStatus, Task,
    Termination,
};
use crate::model::mesos::{Call, StatusSource, TaskState, TaskStatus};
use crate::model::pod::{FailingAgents, PodSpec};
use crate::model::time::Timestamp;
use crate::output::Action;
use crate::queue::backoff;
use crate::scheduler::Scheduler;
use crate::view::UnknownTask;

/// Marathon keeps so much of a message.
const MAX_MESSAGE_LENGTH: usize = 10_000;

/// What a status update meant for its container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// Nothing new.
    None,
    /// Its state, its health or where it can be reached is another one.
    Changed,
    /// It was given up for ended, and is alive.
    Returned,
}

impl Scheduler {
    /// Takes in what Mesos says about a task, and confirms it once that is durable.
    pub(crate) fn on_status_update(&mut self, mut status: TaskStatus) {
        if let Some(message) = &mut status.message {
            truncate(message);
        }
        if !may_be_alive(&status) {
            self.strays.remove(&status.task_id);
        }
        match status.task_id.parse() {
            Ok(task) => self.on_update_of_ours(&task, &status),
            Err(_) => self.on_update_of_unknown_task(&status),
        }
        // After it was heard of the copy itself, which may be one of those that are let go.
        if status.state == TaskState::TaskGoneByOperator
            && let Some(agent) = &status.agent_id
        {
            self.on_agent_gone(agent);
        }
        self.answered(&status.task_id);
        // Last, so that everything the update led to goes with the same records.
        self.acknowledge(&status);
    }

    /// An operator has declared `agent` gone. It never comes back under this id: there is nothing to be looked for, and who
    /// waits to go back to volumes there makes place for a new copy.
    fn on_agent_gone(&mut self, agent: &AgentId) {
        self.state.drop_leftovers_on(agent);
        let waiting: Vec<Uuid> = self.state.copies_waiting_for(agent).collect();
        for uuid in waiting {
            self.mark(Mark::HomeGone);
            self.state.edit(&self.config, uuid, |instance| instance.residence = None);
            self.let_go(uuid);
        }
    }

    fn on_update_of_ours(&mut self, id: &ParsedTaskId<'_>, status: &TaskStatus) {
        let uuid = id.uuid;
        let Some(instance) = self.state.instance(uuid).filter(|instance| id.is_of(&instance.id)) else {
            if self.state.forgotten(uuid).is_some() {
                self.on_update_of_forgotten(id, status);
            } else {
                self.on_update_of_unknown_task(status);
            }
            return;
        };
        let member = instance.tasks.iter().position(|task| *task.container == *id.container);
        if id.incarnation > instance.incarnation && may_be_alive(status) {
            self.mark(Mark::Disowned);
            self.disown(uuid);
            self.on_update_of_unknown_task(status);
            return;
        }
        let (Some(member), true) = (member, instance.incarnation == id.incarnation) else {
            // An earlier launch, which had ended before this one began. If it lives, it must not.
            if may_be_alive(status) {
                self.mark(Mark::EarlierLaunchReturned);
                self.hunt(status);
            }
            return;
        };
        let Some(spec) =
            self.state.pod(&instance.id.pod).and_then(|pod| pod.spec_of(instance.version)).cloned()
        else {
            return;
        };
        let now = self.now;
        let known = &instance.tasks[member];
        let mut task = known.without_words();
        match apply(&mut task, known.last.as_deref(), status, now) {
            Effect::None => {}
            Effect::Changed => {
                let comes_up = matches!(task.condition, Condition::Starting | Condition::Running)
                    && task.condition != known.condition;
                if comes_up && self.state.kills.was_asked(uuid) {
                    // The executor ignored the request, because there was nothing to end.
                    self.mark(Mark::KillIgnored);
                    self.call(kill_call(status.task_id.clone(), status.agent_id.clone()));
                }
                self.state.edit(&self.config, uuid, |instance| {
                    task.last = instance.tasks[member].last.take();
                    note_words(&mut task, status, now);
                    instance.tasks[member] = task;
                    refresh(instance, &spec, now);
                });
                self.publish_status_update(id, status);
                self.after_change(id, status);
            }
            Effect::Returned => {
                self.mark(Mark::EndedReturned);
                self.hunt(status);
                // Its next launch must not run beside it: another instance takes its place. Where there are volumes,
                // they keep the next launch away as long as they are in use.
                let moves_on = |instance: &Instance| instance.has_ended() && instance.residence.is_none();
                if self.state.instance(uuid).is_some_and(moves_on) {
                    self.state.forget(uuid, now);
                }
            }
        }
    }

    /// Looks at what became of the instance as a whole.
    fn after_change(&mut self, id: &ParsedTaskId<'_>, status: &TaskStatus) {
        let uuid = id.uuid;
        let now = self.now;
        let Some(instance) = self.state.instance(uuid) else { return };
        if instance.has_ended() {
            self.on_instance_ended(instance.clone());
        } else if matches!(instance.condition, Condition::Unreachable | Condition::UnreachableInactive) {
            if instance.goal == Goal::Running {
                // All containers are on one agent; but what was known of the others may be old.
                if condition_of(status) == Condition::Unreachable {
                    if was_killed_by_a_person(instance) {
                        // It cannot be launched again where it is: another one takes its place.
                        self.mark(Mark::KilledUnreachable);
                        self.decommission_instance(uuid, GoalReason::UserRequest);
                    } else {
                        // `0/0` replaces at once.
                        self.on_instance_due(uuid);
                    }
                }
            } else if !instance.tasks.iter().any(Task::can_be_killed) {
                // Not wanted any more and out of reach: nobody waits for it. It is killed if it returns.
                self.mark(Mark::UnwantedUnreachable);
                self.state.forget(uuid, now);
            }
        }
    }

    /// The master has refused to launch `instance`, and said `why`: that is a failure like others.
    pub(crate) fn on_launch_refused(&mut self, id: &InstanceId, incarnation: u32, why: &str) {
        let (uuid, now) = (id.uuid, self.now);
        let is_meant = |instance: &Instance| instance.id == *id && instance.incarnation == incarnation;
        if !self.state.instance(uuid).is_some_and(is_meant) {
            return;
        }
        self.state.edit(&self.config, uuid, |instance| {
            for task in &mut instance.tasks {
                task.condition = Condition::Dropped;
                task.since = now;
                task.last.get_or_insert_default().message =
                    Some(format!("the Mesos master refused the launch: {why}"));
            }
            instance.condition = Condition::Dropped;
        });
        if let Some(instance) = self.state.instance(uuid).filter(|one| one.goal == Goal::Running).cloned() {
            // That is no fault of the agent.
            self.note_failure(&instance, None);
        }
        self.on_unsent(id, incarnation);
    }

    /// Keeps how `instance` ended, and has its pod wait before the next launch, and avoid its agent if there is a `rule`.
    fn note_failure(&mut self, instance: &Instance, rule: Option<FailingAgents>) {
        let termination = termination_of(instance, self.now);
        let delay = backoff::after_end(&self.state, instance, self.now);
        let now = self.now;
        self.state.add_termination(termination.into());
        self.state.edit_pod(&instance.id.pod, |pod| {
            pod.note_failing_agent(rule, instance, now);
            if let Some(delay) = delay {
                pod.delay = Some(delay);
            }
        });
    }

    /// Every container of `instance` has ended.
    fn on_instance_ended(&mut self, instance: Instance) {
        let uuid = instance.id.uuid;
        let on_purpose = instance.goal != Goal::Running
            || instance.kill_requested.is_some_and(|request| {
                matches!(request.reason, KillReason::Upgrading | KillReason::UserRequest)
                    && !was_broken_before(&instance, request.at)
            });
        if !on_purpose {
            // A new definition begins without a memory, whatever becomes of copies of others.
            let pod = self.state.pod(&instance.id.pod).filter(|pod| pod.is_in_use(instance.version));
            let rule = pod.and_then(|pod| pod.spec()?.scheduling.backoff.failing_agents);
            self.note_failure(&instance, rule);
        }
        let surely = instance.tasks.iter().all(Task::has_surely_ended);
        if instance.goal != Goal::Decommissioned && self.keeps_home(&instance) {
            // Its volumes are where it was. While anything uses them they are not offered, so nothing of an earlier
            // launch is left when it goes back to them.
            if !surely {
                self.shut_down(&instance.id, instance.agent_id());
            }
            return;
        }
        match (instance.goal, surely) {
            // Nobody knows whether its volumes were ever made: a new instance gets new ones.
            (Goal::Running, true) if instance.residence.is_some() => self.let_go(uuid),
            // Launched again as the next incarnation.
            (Goal::Running, true) => {}
            (Goal::Decommissioned, true) => self.let_go(uuid),
            // Something of it may still be alive somewhere: a new instance takes its place.
            (_, false) => {
                self.mark(Mark::EndedInDoubt);
                self.shut_down(&instance.id, instance.agent_id());
                self.let_go(uuid);
            }
        }
    }

    /// The volumes of an instance have turned up on `agent`, unused. If it was out of reach it has ended, then, and goes
    /// back to them there. One that still runs by all that is known stays where it is.
    pub(crate) fn move_home(&mut self, uuid: Uuid, agent: &Arc<AgentInfo>) {
        let now = self.now;
        let Some(instance) = self.state.instance(uuid) else { return };
        let is_over = |task: &Task| task.condition.is_terminal() || task.unreachable_since.is_some();
        let spec = self.state.pod(&instance.id.pod).and_then(|pod| pod.spec_of(instance.version)).cloned();
        let (true, Some(spec)) = (instance.tasks.iter().all(is_over), spec) else { return };
        let (had_ended, was_on) = (instance.has_ended(), instance.agent.clone());
        self.mark(Mark::HomeMoved);
        self.state.edit(&self.config, uuid, |instance| {
            for task in instance.tasks.iter_mut().filter(|task| !task.condition.is_terminal()) {
                task.unreachable_since = None;
                task.condition = Condition::Gone;
                task.since = now;
            }
            refresh(instance, &spec, now);
            instance.agent = Some(agent.clone());
            // They have been made, even if nobody has ever heard of the launch that needs them.
            instance.residence.iter_mut().for_each(|residence| residence.is_confirmed = true);
        });
        if let Some(ended) = self.state.instance(uuid).cloned().filter(|_| !had_ended) {
            self.on_instance_ended(Instance { agent: was_on, ..ended });
        }
    }

    /// Whether `instance`, which has ended, has volumes to go back to. An agent that an operator has declared gone
    /// never comes back, and neither does what is on it.
    fn keeps_home(&mut self, instance: &Instance) -> bool {
        let is_gone = instance.tasks.iter().any(|task| {
            task.last.as_ref().is_some_and(|last| last.state == Some(TaskState::TaskGoneByOperator))
        });
        if is_gone && instance.residence.is_some() {
            self.mark(Mark::HomeGone);
            self.state.edit(&self.config, instance.id.uuid, |instance| instance.residence = None);
        }
        !is_gone && instance.residence.as_ref().is_some_and(|residence| residence.is_confirmed)
    }

    /// An instance that was given up speaks up again, or is confirmed to be gone.
    fn on_update_of_forgotten(&mut self, id: &ParsedTaskId<'_>, status: &TaskStatus) {
        if may_be_alive(status) {
            self.mark(Mark::ForgottenReturned);
            self.hunt(status);
        } else if condition_of(status).is_terminal() {
            self.mark(Mark::ForgottenEnded);
            let instance_id = id.instance();
            if status.state == TaskState::TaskGone && status.source == Some(StatusSource::SourceMaster) {
                self.shut_down(&instance_id, status.agent_id.as_ref());
            }
            self.publish(ApiEventKind::UnknownInstanceTerminatedEvent {
                run_spec_id: instance_id.pod.clone(),
                instance_id,
                condition: condition_of(status),
            });
        }
    }

    /// Ends an executor that may run something of an instance that was given up. A master that does not know a
    /// task does not pass its `KILL` on, even if the agent runs it; the end of an executor it does pass on.
    fn shut_down(&mut self, instance: &InstanceId, agent_id: Option<&AgentId>) {
        if let Some(agent_id) = agent_id.cloned() {
            self.call(Call::Shutdown { executor_id: instance.executor_id(), agent_id });
        }
    }

    /// A task that we have no record of. Its records may have been lost, so it is not killed unless the settings
    /// say so.
    fn on_update_of_unknown_task(&mut self, status: &TaskStatus) {
        if may_be_alive(status) {
            self.mark(Mark::UnknownTaskHeard);
            let before = self.unknown_tasks.get(&status.task_id);
            let task = UnknownTask::heard_of(before, status, self.now);
            self.unknown_tasks.insert(status.task_id.clone(), task);
            if self.config.unknown_tasks == UnknownTasks::Kill {
                self.mark(Mark::UnknownTaskKilled);
                self.hunt(status);
            }
        } else if self.unknown_tasks.remove(&status.task_id).is_some()
            && let Ok(id) = status.task_id.parse()
        {
            self.mark(Mark::UnknownTaskEnded);
            let instance_id = id.instance();
            self.publish(ApiEventKind::UnknownInstanceTerminatedEvent {
                run_spec_id: instance_id.pod.clone(),
                instance_id,
                condition: condition_of(status),
            });
        }
    }

    /// Forgets an instance of which there is a later launch than our records know, which are older than it then: they
    /// prove nothing about it, and the launch that they know has ended. Its volumes stay where they are.
    fn disown(&mut self, uuid: Uuid) {
        self.state.edit(&self.config, uuid, |instance| instance.residence = None);
        self.state.remove(uuid);
    }

    fn acknowledge(&mut self, status: &TaskStatus) {
        if let (Some(uuid), Some(agent_id)) = (status.uuid, &status.agent_id) {
            let (agent_id, task_id) = (agent_id.clone(), status.task_id.clone());
            self.actions.push(Action::Call(Call::Acknowledge { agent_id, task_id, uuid }));
        }
    }

    fn publish_status_update(&mut self, id: &ParsedTaskId<'_>, status: &TaskStatus) {
        let Some(instance) = self.state.instance(id.uuid) else { return };
        let task = instance.tasks.iter().find(|task| *task.container == *id.container);
        let networks = task.and_then(|task| task.last.as_ref()).map(|last| last.networks.as_slice());
        let event = ApiEventKind::StatusUpdateEvent {
            slave_id: instance.agent_id().cloned(),
            task_id: status.task_id.clone(),
            task_status: status.state,
            message: status.message.clone().unwrap_or_default(),
            app_id: instance.id.pod.clone(),
            host: instance.agent.as_ref().map(|agent| agent.host.clone()),
            ip_addresses: networks
                .unwrap_or_default()
                .iter()
                .flat_map(|network| &network.ip_addresses)
                .map(|address| IpAddress::new(address))
                .collect(),
            ports: task.map(|task| task.host_ports.clone()).unwrap_or_default(),
            version: instance.version,
        };
        self.publish(event);
    }
}

/// Whether a person wants `instance` ended and launched again, and it need not be where it is.
fn was_killed_by_a_person(instance: &Instance) -> bool {
    let asked = instance.kill_requested.is_some_and(|request| request.reason == KillReason::UserRequest);
    asked && instance.residence.is_none()
}

/// Whether a container had taken the group of `instance` down before `asked`: it would have ended anyway.
fn was_broken_before(instance: &Instance, asked: Timestamp) -> bool {
    let mut ended = instance.tasks.iter().filter(|task| task.condition != Condition::Finished);
    ended.any(|task| task.since < asked)
}

/// Whether the task may have a process.
fn may_be_alive(status: &TaskStatus) -> bool {
    matches!(
        condition_of(status),
        Condition::Staging | Condition::Starting | Condition::Running | Condition::Killing
    )
}

/// How far a container has got on its way to its end.
fn progress(condition: Condition) -> u8 {
    match condition {
        Condition::Scheduled => 0,
        Condition::Provisioned => 1,
        Condition::Staging => 2,
        Condition::Starting => 3,
        Condition::Running => 4,
        Condition::Killing => 5,
        Condition::Unreachable | Condition::UnreachableInactive => 6,
        Condition::Finished
        | Condition::Killed
        | Condition::Failed
        | Condition::Error
        | Condition::Dropped
        | Condition::Gone
        | Condition::Unknown => 7,
    }
}

/// Changes `task` as `status` says, apart from what was said `last`.
fn apply(task: &mut Task, last: Option<&LastStatus>, status: &TaskStatus, now: Timestamp) -> Effect {
    let said = condition_of(status);
    if task.condition.is_terminal() {
        let returned = may_be_alive(status) && !task.reported_its_end();
        return if returned { Effect::Returned } else { Effect::None };
    }
    let before = (task.condition, task.healthy);
    let mut is_out_again = false;
    if said.is_terminal() {
        task.unreachable_since = None;
        task.condition = said;
    } else if said == Condition::Unreachable {
        let is_old = status.unreachable_time.is_some() && status.unreachable_time == task.returned_from;
        // It was back in between, which we missed.
        is_out_again = task.unreachable_since.is_some() && status.unreachable_time > task.unreachable_since;
        if is_out_again || task.unreachable_since.is_none() && !is_old {
            task.unreachable_since = Some(status.unreachable_time.or(status.timestamp).unwrap_or(now));
            task.condition = Condition::Unreachable;
        }
    } else {
        // Back in reach, or further on its way; never back on it.
        if progress(said) > progress(task.reached) {
            task.reached = said;
        }
        if let Some(since) = task.unreachable_since.take() {
            task.returned_from = Some(since);
        }
        task.condition = task.reached;
        if said == Condition::Running {
            task.healthy = status.healthy.or(task.healthy);
            task.was_healthy |= task.healthy == Some(true);
        }
    }
    if task.condition == Condition::Running && task.started_at.is_none() {
        task.started_at = Some(now);
    }
    let moved = !status.networks.is_empty() && last.is_none_or(|last| last.networks != status.networks);
    if (task.condition, task.healthy) == before && !is_out_again && !moved && last.is_some() {
        return Effect::None;
    }
    if task.condition != before.0 || is_out_again {
        task.since = now;
    }
    if task.healthy != before.1 {
        task.health_since = Some(now);
    }
    Effect::Changed
}

/// Keeps what was said of `task` last.
fn note_words(task: &mut Task, status: &TaskStatus, now: Timestamp) {
    let last = task.last.get_or_insert_default();
    if condition_of(status) == task.condition {
        last.refresh(status, now);
    } else {
        // Late words: only the addresses in them may be news.
        last.refresh_networks(status, now);
    }
}

/// Derives the instance's condition and health from its containers.
fn refresh(instance: &mut Instance, spec: &PodSpec, now: Timestamp) {
    let condition = condition_of_instance(&instance.tasks);
    let still_inactive =
        condition == Condition::Unreachable && instance.condition == Condition::UnreachableInactive;
    if condition != instance.condition && !still_inactive {
        if instance.condition == Condition::UnreachableInactive {
            instance.returned_at = Some(now);
        }
        instance.condition = condition;
        instance.since = now;
    }
    if let Some(residence) = &mut instance.residence {
        // The agent has taken a launch that needs them. `TASK_STAGING` may be the master's word alone.
        residence.is_confirmed |= instance.tasks.iter().any(|task| task.reached > Condition::Staging);
    }
    instance.healthy = health_of_instance(&instance.tasks, spec);
    instance.available &= instance.condition == Condition::Running;
    if instance.active_since.is_none() && instance.tasks.iter().all(|task| task.started_at.is_some()) {
        instance.active_since = Some(now);
    }
}

fn termination_of(instance: &Instance, now: Timestamp) -> Termination {
    let containers = instance.tasks.iter().map(|task| {
        let last = task.last.as_deref().cloned().unwrap_or_default();
        let LastStatus { message, reason, .. } = last;
        ContainerTermination {
            container: task.container.clone(),
            task_id: instance.task_id(task),
            condition: task.condition,
            terminated_at: task.since,
            message,
            reason,
            killed_by_health_check: task.was_killed_by_its_health_check(),
        }
    });
    let containers: Vec<ContainerTermination> = containers.collect();
    // The container whose health check failed, or that ended first in the way the whole instance did: it took the
    // others with it.
    let culprit = containers
        .iter()
        .filter(|container| container.condition == instance.end())
        .min_by_key(|container| (!container.killed_by_health_check, container.terminated_at));
    Termination {
        instance: instance.id.clone(),
        incarnation: instance.incarnation,
        agent: instance.agent.clone(),
        started_at: instance
            .active_since
            .or_else(|| instance.tasks.iter().map(|task| task.staged_at).min())
            .unwrap_or(instance.since),
        terminated_at: now,
        condition: instance.end(),
        message: match instance.was_too_slow() {
            // Mesos' words only say that it was killed, and not by whom.
            true => Some("did not start in time and was killed".to_owned()),
            false => culprit.and_then(|container| match container.message.clone() {
                said if container.killed_by_health_check => Some(failed_check(&container.container, said)),
                said => said,
            }),
        },
        containers,
    }
}

/// Mesos' words about the end of a container do not say that its health check was the reason.
fn failed_check(container: &str, said: Option<String>) -> String {
    let said = said.filter(|said| !said.is_empty()).map(|said| format!(": {said}"));
    format!("container '{container}' was killed because its health check failed{}", said.unwrap_or_default())
}

fn truncate(message: &mut String) {
    if message.len() > MAX_MESSAGE_LENGTH {
        let end = message.floor_char_boundary(MAX_MESSAGE_LENGTH);
        message.truncate(end);
    }
}
