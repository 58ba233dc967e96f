//! `RECONCILE`: what the master knows about tasks, as updates that need no acknowledgement.

use podium_core::model::ids::FrameworkId;
use podium_core::model::mesos::{Event, ReconcileTask, StatusReason, StatusSource, TaskState, TaskStatus};

use super::{Framework, Master};
use crate::cluster::env::Env;

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
        status.message = Some(format!("Reconciliation: {text}"));
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
}
