//! `ACCEPT`: offers are turned into launches, reservations and volumes, and what is left is refused.

use std::sync::Arc;
use std::time::Duration;

use podium_core::model::ids::{FrameworkId, OfferId, Role, TaskId};
use podium_core::model::mesos::{
    Event, ExecutorInfo, LaunchGroup, Operation, OperationInfo, OperationState, Resource, StatusReason,
    StatusSource, TaskInfo, TaskState, TaskStatus,
};

use super::validation::{Launch, validate_group, validate_task};
use super::{Master, OfferRecord, Task};
use crate::cluster::env::Env;
use crate::cluster::io::AgentIndex;
use crate::cluster::resources::Resources;
use crate::cluster::wire::{RunGroup, ToAgent, operation_status};

/// What an `ACCEPT` works with: the offers' resources, less what its operations have used so far.
pub(super) struct Pool {
    pub(super) agent: AgentIndex,
    pub(super) role: Role,
    pub(super) resources: Resources,
    /// What operations have made, which is not refused with the rest.
    pub(super) converted: Resources,
}

impl Master {
    pub(super) fn accept(
        &mut self,
        env: &mut Env,
        framework_id: &FrameworkId,
        (offer_ids, operations): (&[OfferId], Vec<Operation>),
        refuse: Option<Duration>,
    ) {
        let valid = self.validate_offers(framework_id, offer_ids);
        let mut records: Vec<OfferRecord> =
            offer_ids.iter().filter_map(|offer_id| self.take_offer(env, offer_id)).collect();
        let (first, others) = match (valid, records.split_first_mut()) {
            (Ok(()), Some(all)) => all,
            (valid, _) => {
                // Every offer that was named is lost, also another framework's.
                for record in records {
                    self.give_all_back(env, record, None);
                }
                let text = valid.err().unwrap_or_else(|| "No offers specified".to_owned());
                self.refuse_operations(env, framework_id, operations, &text);
                self.allocate_later(env);
                return;
            }
        };
        let mut pool = Pool {
            agent: first.agent,
            role: first.role.clone(),
            resources: std::mem::take(&mut first.resources),
            converted: Resources::default(),
        };
        for record in others {
            pool.resources.add_all(&record.resources);
        }
        for operation in operations {
            self.apply(env, framework_id, &mut pool, operation);
        }
        // What was just made is meant to be used; the rest is not wanted for a while.
        let mut made = Resources::default();
        for item in pool.converted.as_slice() {
            let one = Resources::sum([item]);
            if pool.resources.contains(&one) {
                pool.resources.subtract(&one);
                made.add(item);
            }
        }
        self.give_back(env, first, pool.resources, Self::refusal(refuse));
        self.give_back(env, first, made, None);
        self.allocate_later(env);
    }

    fn validate_offers(&self, framework_id: &FrameworkId, offer_ids: &[OfferId]) -> Result<(), String> {
        for (index, offer_id) in offer_ids.iter().enumerate() {
            if offer_ids[..index].contains(offer_id) {
                return Err(format!("Duplicate offer {offer_id} in offer list"));
            }
        }
        let mut records = Vec::with_capacity(offer_ids.len());
        for offer_id in offer_ids {
            let Some(record) = self.offers.get(offer_id) else {
                return Err(format!("Offer {offer_id} is no longer valid"));
            };
            records.push(record);
        }
        for record in &records {
            if record.framework_id != *framework_id {
                return Err(format!(
                    "Offer {} has invalid framework {} while framework {framework_id} is expected",
                    record.id, record.framework_id
                ));
            }
        }
        let Some(first) = records.first() else { return Err("No offers specified".to_owned()) };
        for record in &records {
            if record.role != first.role {
                // The quotation marks are Mesos' own.
                return Err(format!(
                    "Aggregated offers must be allocated to the same role. Offer {} uses role '{} but another \
                     is using role '{}",
                    record.id, record.role, first.role
                ));
            }
        }
        for record in &records {
            if record.agent != first.agent {
                return Err(format!(
                    "Aggregated offers must belong to one single agent. Offer {} uses agent {} and agent {}",
                    record.id, record.agent_id, first.agent_id
                ));
            }
        }
        Ok(())
    }

    /// The call's offers are no good: nothing is launched, and no operation applied.
    fn refuse_operations(
        &self,
        env: &mut Env,
        framework_id: &FrameworkId,
        operations: Vec<Operation>,
        text: &str,
    ) {
        let Some(framework) = self.frameworks.get(framework_id) else { return };
        let dropped = framework.or_lost(TaskState::TaskDropped);
        for operation in operations {
            let tasks = match operation.info {
                OperationInfo::Launch(tasks) => tasks,
                OperationInfo::LaunchGroup(group) => group.tasks,
                _ => {
                    let text = format!("Operation attempted with invalid offers: {text}");
                    self.operation_error(env, framework_id, operation.id, text);
                    continue;
                }
            };
            for task in &tasks {
                let text = format!("Task launched with invalid offers: {text}");
                let status = refusal(env, task, dropped, (StatusReason::ReasonInvalidOffers, &text));
                self.send(env, framework_id, Event::Update(status));
            }
        }
    }

    fn apply(&mut self, env: &mut Env, framework_id: &FrameworkId, pool: &mut Pool, operation: Operation) {
        match operation.info {
            OperationInfo::LaunchGroup(group) => {
                self.launch_group(env, framework_id, pool, (*group, operation.id.is_some()));
            }
            OperationInfo::Launch(tasks) => {
                for task in tasks {
                    self.launch_task(env, framework_id, pool, (task, operation.id.is_some()));
                }
            }
            info => self.convert(env, framework_id, pool, (operation.id, info)),
        }
    }

    fn launch_group(
        &mut self,
        env: &mut Env,
        framework_id: &FrameworkId,
        pool: &mut Pool,
        (mut group, has_id): (LaunchGroup, bool),
    ) {
        inject_role(&mut group.executor.resources, &pool.role);
        for task in &mut group.tasks {
            inject_role(&mut task.resources, &pool.role);
        }
        let refused = if has_id {
            let text = "The `id` field cannot be set on LAUNCH_GROUP operations".to_owned();
            Some((StatusReason::ReasonTaskGroupInvalid, text))
        } else if let Some(text) = self.unauthorized(env, framework_id, &group.tasks) {
            Some((StatusReason::ReasonTaskGroupUnauthorized, text))
        } else {
            let checked = self.with_launch(framework_id, pool, |launch| validate_group(launch, &group));
            checked.err().map(|text| (StatusReason::ReasonTaskGroupInvalid, text))
        };
        if let Some((reason, text)) = refused {
            return self.refuse_tasks(env, framework_id, &group.tasks, (reason, &text));
        }
        self.launch(env, framework_id, pool, (Arc::new(group.executor), group.tasks));
    }

    /// A single task of `LAUNCH`. The command executor that Mesos would start for it behaves like a default
    /// executor with one task, named after the task.
    fn launch_task(
        &mut self,
        env: &mut Env,
        framework_id: &FrameworkId,
        pool: &mut Pool,
        (mut task, has_id): (TaskInfo, bool),
    ) {
        inject_role(&mut task.resources, &pool.role);
        let tasks = vec![task];
        let refused = if has_id {
            let text = "The `id` field cannot be set on LAUNCH operations".to_owned();
            Some((StatusReason::ReasonTaskInvalid, text))
        } else if let Some(text) = self.unauthorized(env, framework_id, &tasks) {
            Some((StatusReason::ReasonTaskUnauthorized, text))
        } else {
            let checked = self.with_launch(framework_id, pool, |launch| validate_task(launch, &tasks[0]));
            checked.err().map(|text| (StatusReason::ReasonTaskInvalid, text))
        };
        if let Some((reason, text)) = refused {
            return self.refuse_tasks(env, framework_id, &tasks, (reason, &text));
        }
        let executor = ExecutorInfo {
            executor_id: tasks[0].task_id.as_str().into(),
            framework_id: Some(framework_id.clone()),
            kind: None,
            resources: Vec::new(),
            command: tasks[0].command.clone(),
            container: None,
            shutdown_grace_period: None,
            labels: Vec::new(),
        };
        self.launch(env, framework_id, pool, (Arc::new(executor), tasks));
    }

    fn with_launch(
        &self,
        framework_id: &FrameworkId,
        pool: &Pool,
        check: impl FnOnce(&Launch<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        let (Some(framework), Some(agent)) = (self.frameworks.get(framework_id), self.agent(pool.agent))
        else {
            return Err("Agent disconnected".to_owned());
        };
        check(&Launch { framework, framework_id, agent, pool: &pool.resources })
    }

    /// The tasks are on their way.
    fn launch(
        &mut self,
        env: &mut Env,
        framework_id: &FrameworkId,
        pool: &mut Pool,
        (executor, tasks): (Arc<ExecutorInfo>, Vec<TaskInfo>),
    ) {
        let tasks: Arc<[Arc<TaskInfo>]> = tasks.into_iter().map(Arc::new).collect();
        let Some(framework) = self.frameworks.get_mut(framework_id) else { return };
        let Some(agent) = self.agents.get_mut(pool.agent.0 as usize).and_then(Option::as_mut) else { return };
        let executors = agent.executors.entry(framework_id.clone()).or_default();
        let launch_executor = !executors.contains_key(&executor.executor_id);
        if launch_executor {
            executors.insert(executor.executor_id.clone(), executor.clone());
            pool.resources.subtract(&Resources::sum(&executor.resources));
        }
        for task in tasks.iter() {
            pool.resources.subtract(&Resources::sum(&task.resources));
            agent.tasks.insert((framework_id.clone(), task.task_id.clone()));
            framework.tasks.insert(
                task.task_id.clone(),
                Task {
                    info: task.clone(),
                    executor_id: executor.executor_id.clone(),
                    state: TaskState::TaskStaging,
                    forwarded: None,
                    recovered: false,
                },
            );
        }
        let run = RunGroup {
            framework_id: framework_id.clone(),
            framework: framework.info.clone(),
            executor,
            tasks,
            launch_executor,
        };
        env.send_to_agent(pool.agent, ToAgent::Run(Box::new(run)));
    }

    /// The ACL `run_tasks`. With several offenders Mesos names the last one.
    fn unauthorized(&self, env: &Env, framework_id: &FrameworkId, tasks: &[TaskInfo]) -> Option<String> {
        let permitted = env.config.master.permitted_users.as_ref()?;
        let framework = self.frameworks.get(framework_id)?;
        let user = |task: &TaskInfo| {
            let own = task.command.as_ref().and_then(|command| command.user.clone());
            own.unwrap_or_else(|| framework.info.user.clone())
        };
        let offender = tasks.iter().rfind(|task| !permitted.contains(&user(task)))?;
        // The missing blank is Mesos' own.
        Some(format!(
            "Task '{id}' is not authorized tolaunch task {id} of framework {framework_id} under user '{}'",
            user(offender),
            id = offender.task_id,
        ))
    }

    fn refuse_tasks(
        &self,
        env: &mut Env,
        framework_id: &FrameworkId,
        tasks: &[TaskInfo],
        why: (StatusReason, &str),
    ) {
        for task in tasks {
            let status = refusal(env, task, TaskState::TaskError, why);
            self.send(env, framework_id, Event::Update(status));
        }
    }

    /// An operation failed before it was applied; only one with an id is told of.
    pub(super) fn operation_error(
        &self,
        env: &mut Env,
        framework_id: &FrameworkId,
        operation_id: Option<String>,
        message: String,
    ) {
        if operation_id.is_none() {
            return;
        }
        let mut status = operation_status(operation_id, OperationState::OperationError, None);
        status.message = Some(message);
        self.send(env, framework_id, Event::UpdateOperationStatus(status));
    }
}

/// Resources that do not say so are allocated to the offers' role.
pub(super) fn inject_role(resources: &mut [Resource], role: &Role) {
    for resource in resources {
        resource.allocation_role.get_or_insert_with(|| role.clone());
    }
}

/// The master's answer to a launch that does not happen.
fn refusal(
    env: &Env,
    task: &TaskInfo,
    state: TaskState,
    (reason, message): (StatusReason, &str),
) -> TaskStatus {
    TaskStatus {
        source: Some(StatusSource::SourceMaster),
        reason: Some(reason),
        message: Some(message.to_owned()),
        agent_id: Some(task.agent_id.clone()),
        timestamp: Some(env.now),
        ..TaskStatus::new(TaskId::clone(&task.task_id), state)
    }
}
