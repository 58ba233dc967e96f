//! `RECONCILE` and `RECONCILE_OPERATIONS`: what the master knows about tasks and operations, as updates that need no
//! acknowledgement.

use podium_core::model::ids::FrameworkId;
use podium_core::model::mesos::{
    Event, OperationState, OperationStatus, ReconcileOperation, ReconcileTask, StatusReason, StatusSource,
    TaskState, TaskStatus,
};

use super::{Framework, Master};
use crate::cluster::env::Env;
use crate::cluster::view::AgentStanding;
use crate::cluster::wire::operation_status;

impl Master {
    /// Without tasks: all that are not forgotten. With tasks: one answer each, or none while the master cannot
    /// know.
    pub(super) fn reconcile(&self, env: &mut Env, framework_id: &FrameworkId, tasks: &[ReconcileTask]) {
        let Some(framework) = self.frameworks.get(framework_id) else { return };
        if tasks.is_empty() {
            for task in framework.tasks.values() {
                let status = task.full_status(env, task.visible_state());
                self.answer(env, framework_id, status, "Latest task state");
            }
            return;
        }
        for entry in tasks {
            if let Some((status, text)) = self.answer_to(env, framework, entry) {
                self.answer(env, framework_id, status, text);
            }
        }
    }

    fn answer(&self, env: &mut Env, framework_id: &FrameworkId, mut status: TaskStatus, text: &str) {
        status.reason = Some(StatusReason::ReasonReconciliation);
        status.message = Some(["Reconciliation: ", text].concat());
        self.send(env, framework_id, Event::Update(status));
    }

    /// The first case that fits; the order is Mesos'.
    fn answer_to(
        &self,
        env: &Env,
        framework: &Framework,
        entry: &ReconcileTask,
    ) -> Option<(TaskStatus, &'static str)> {
        if let Some(task) = framework.tasks.get(&entry.task_id) {
            return Some((task.full_status(env, task.visible_state()), "Latest task state"));
        }
        let about = |state: TaskState| TaskStatus {
            source: Some(StatusSource::SourceMaster),
            agent_id: entry.agent_id.clone(),
            timestamp: Some(env.now),
            ..TaskStatus::new(entry.task_id.clone(), framework.or_lost(state))
        };
        let agent_id = match &entry.agent_id {
            // An agent may still come back and tell of the task.
            Some(agent_id) if self.recovered.contains_key(agent_id) => return None,
            None if !self.recovered.is_empty() => return None,
            None => return Some((about(TaskState::TaskUnknown), "Task is unknown")),
            Some(agent_id) => agent_id,
        };
        if self.ids.contains_key(agent_id) {
            return Some((about(TaskState::TaskGone), "Task is unknown to the agent"));
        }
        if let Some(since) = self.registry.unreachable.get(agent_id) {
            let mut status = about(TaskState::TaskUnreachable);
            status.unreachable_time = Some(*since);
            return Some((status, "Task is unreachable"));
        }
        if self.registry.gone.contains_key(agent_id) {
            return Some((about(TaskState::TaskGoneByOperator), "Task is gone"));
        }
        Some((about(TaskState::TaskUnknown), "Task is unknown"))
    }

    /// Without operations: all that are not forgotten. With operations: one answer each.
    pub(super) fn reconcile_operations(
        &self,
        env: &mut Env,
        framework_id: &FrameworkId,
        operations: &[ReconcileOperation],
    ) {
        let agents = self.agents.iter().flatten();
        let own = agents.flat_map(|agent| agent.operations.values());
        let own = own.filter(|operation| operation.framework_id == *framework_id);
        let statuses: Vec<OperationStatus> = if operations.is_empty() {
            own.map(|operation| operation.status.clone()).collect()
        } else {
            operations.iter().map(|entry| self.status_of(framework_id, entry)).collect()
        };
        for status in statuses {
            let status = OperationStatus { uuid: None, ..status };
            self.send(env, framework_id, Event::UpdateOperationStatus(status));
        }
    }

    /// As the master last heard it. An operation whose end was acknowledged is as unknown as one that never was.
    fn status_of(&self, framework_id: &FrameworkId, entry: &ReconcileOperation) -> OperationStatus {
        use OperationState::{
            OperationGoneByOperator, OperationRecovering, OperationUnknown, OperationUnreachable,
        };
        let agents = self.agents.iter().flatten();
        let known = agents.filter_map(|agent| agent.operation(framework_id, &entry.operation_id));
        if let Some((_, operation)) = known.max_by_key(|(number, _)| *number) {
            return operation.status.clone();
        }
        let (state, text) = match entry.agent_id.as_ref().map(|agent_id| self.standing(agent_id)) {
            Some(AgentStanding::Recovered) => {
                (OperationRecovering, "Agent is recovered but has not re-registered")
            }
            Some(AgentStanding::Registered | AgentStanding::Disconnected) => {
                (OperationUnknown, "Operation is unknown")
            }
            Some(AgentStanding::Unreachable) => (OperationUnreachable, "Agent is unreachable"),
            Some(AgentStanding::Gone) => (OperationGoneByOperator, "Agent marked gone by operator"),
            Some(AgentStanding::Unknown) => (OperationUnknown, "Both operation and agent are unknown"),
            None => (OperationUnknown, "Operation is unknown and no 'agent_id' was provided"),
        };
        let id = Some(entry.operation_id.clone());
        let mut status = operation_status(id, state, entry.agent_id.clone());
        status.message = Some(["Reconciliation: ", text].concat());
        status
    }
}
