//! Which calls are let in (the order of the checks is Mesos'), and where they go.

use podium_core::model::ids::FrameworkId;
use podium_core::model::mesos::Call;

use super::{Master, Phase};
use crate::cluster::env::Env;
use crate::cluster::io::{Answer, Output, RequestId, SchedulerCall, StreamId};

impl Master {
    /// A call other than `SUBSCRIBE`.
    pub(in crate::cluster) fn on_call(&mut self, env: &mut Env, call: SchedulerCall) {
        let request = call.request;
        let answer = match self.admit_call(&call) {
            Ok(framework_id) => self.handle(env, &framework_id, call.call),
            Err(answer) => answer,
        };
        respond(env, request, answer);
    }

    /// Whether anybody is there to answer.
    pub(super) fn ready(&self) -> Result<(), Answer> {
        match self.phase {
            Phase::Down => Err(Answer::NoMaster),
            Phase::Recovering => Err(rejected(503, "Master has not finished recovery")),
            Phase::Up => Ok(()),
        }
    }

    fn admit_call(&self, call: &SchedulerCall) -> Result<FrameworkId, Answer> {
        self.ready()?;
        let invalid = |text: &str| Err(rejected(400, format!("Failed to validate scheduler::Call: {text}")));
        if matches!(call.call, Call::Subscribe { .. }) {
            return Err(rejected(400, "SUBSCRIBE has an input of its own"));
        }
        let Some(framework_id) = &call.framework_id else {
            return invalid("Expecting 'framework_id' to be present");
        };
        if let Call::UpdateFramework { framework_info, .. } = &call.call
            && framework_info.id.as_ref() != Some(framework_id)
        {
            return invalid("'framework_id' differs from 'update_framework.framework_info.id'");
        }
        if let Call::AcknowledgeOperation { agent_id: None, .. } = &call.call {
            return invalid("Expecting 'agent_id' to be present");
        }
        let Some(framework) = self.frameworks.get(framework_id) else {
            return Err(rejected(400, "Framework cannot be found"));
        };
        if let (Some(authenticated), Some(own)) = (&call.principal, &framework.info.principal)
            && authenticated != own
        {
            let text = format!(
                "Authenticated principal '{authenticated}' does not match principal '{own}' set in `FrameworkInfo`"
            );
            return Err(rejected(400, text));
        }
        let Some(current) = &framework.stream else {
            return Err(rejected(403, "Framework is not subscribed"));
        };
        let Some(stream) = &call.stream else {
            return Err(rejected(400, "All non-subscribe calls should include the 'Mesos-Stream-Id' header"));
        };
        if stream != current {
            return Err(rejected(400, wrong_stream(stream, framework_id)));
        }
        Ok(framework_id.clone())
    }

    fn handle(&mut self, env: &mut Env, framework_id: &FrameworkId, call: Call) -> Answer {
        match call {
            Call::Accept { offer_ids, operations, refuse } => {
                self.accept(env, framework_id, (&offer_ids, operations), refuse);
            }
            Call::Decline { offer_ids, refuse } => self.decline(env, &offer_ids, refuse),
            Call::AcceptInverseOffers { inverse_offer_ids, refuse }
            | Call::DeclineInverseOffers { inverse_offer_ids, refuse } => {
                self.answer_inverse_offers(env, framework_id, &inverse_offer_ids, refuse);
            }
            Call::Acknowledge { agent_id, task_id, uuid } => {
                self.acknowledge(env, framework_id, (&agent_id, task_id), uuid);
            }
            Call::AcknowledgeOperation { agent_id, operation_id, uuid } => {
                self.acknowledge_operation(env, framework_id, (agent_id.as_ref(), &operation_id), uuid);
            }
            Call::Kill { task_id, agent_id, grace_period } => {
                self.kill(env, framework_id, (task_id, agent_id), grace_period);
            }
            // The default executor takes no messages.
            Call::Message { .. } | Call::Subscribe { .. } => {}
            Call::Reconcile { tasks } => self.reconcile(env, framework_id, &tasks),
            Call::ReconcileOperations { operations } => {
                self.reconcile_operations(env, framework_id, &operations);
            }
            Call::Revive { roles } => self.revive(env, framework_id, &roles),
            Call::Suppress { roles } => self.suppress(framework_id, &roles),
            Call::Shutdown { executor_id, agent_id } => {
                self.shutdown_executor(env, framework_id, &agent_id, executor_id);
            }
            Call::Teardown => self.remove_framework(env, framework_id),
            Call::UpdateFramework { framework_info, suppressed_roles } => {
                return self.update_framework_call(env, framework_id, framework_info, &suppressed_roles);
            }
        }
        Answer::Accepted
    }
}

pub(super) fn respond(env: &mut Env, request: RequestId, answer: Answer) {
    env.outputs.push(Output::Answer { request, answer });
}

pub(super) fn rejected(status: u16, message: impl Into<String>) -> Answer {
    Answer::Rejected { status, message: message.into() }
}

fn wrong_stream(stream: &StreamId, framework_id: &FrameworkId) -> String {
    format!(
        "The stream ID '{}' included in this request didn't match the stream ID currently associated with \
         framework ID {framework_id}",
        stream.0
    )
}
