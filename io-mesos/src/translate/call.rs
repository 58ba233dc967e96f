//! Calls: what a scheduler says and a master hears.

use std::time::Duration;

use podium_core::model::ids::Role;
use podium_core::model::mesos::{
    Call, FrameworkCapability, FrameworkInfo, ReconcileOperation, ReconcileTask,
};

use super::enums::WireEnum;
use super::{
    At, Format, Invalid, Translate, duration_from_seconds, read, read_all, read_some, read_uuid, write_all,
    write_some,
};
use crate::proto;
use crate::proto::framework_info::Capability;
use crate::proto::scheduler::{self, call};

/// The longest time a master refuses resources for (365 days).
const MAX_REFUSE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// `Call.framework_id` belongs to the subscription: it is neither written nor read here, except that a
/// `SUBSCRIBE` must repeat what is in its [`FrameworkInfo`].
impl Translate for Call {
    type Proto = scheduler::Call;

    fn to_proto(&self, format: Format) -> scheduler::Call {
        let mut proto = scheduler::Call::default();
        let kind = match self {
            Self::Accept { offer_ids, operations, refuse } => {
                proto.accept = Some(call::Accept {
                    offer_ids: write_all(offer_ids, format),
                    operations: write_all(operations, format),
                    filters: write_filters(*refuse),
                });
                call::Type::Accept
            }
            Self::AcceptInverseOffers { inverse_offer_ids, refuse } => {
                let inverse_offer_ids = write_all(inverse_offer_ids, format);
                proto.accept_inverse_offers =
                    Some(call::AcceptInverseOffers { inverse_offer_ids, filters: write_filters(*refuse) });
                call::Type::AcceptInverseOffers
            }
            Self::Acknowledge { agent_id, task_id, uuid } => {
                proto.acknowledge = Some(call::Acknowledge {
                    agent_id: agent_id.to_proto(format),
                    task_id: task_id.to_proto(format),
                    uuid: uuid.as_bytes().to_vec(),
                });
                call::Type::Acknowledge
            }
            Self::AcknowledgeOperation { agent_id, operation_id, uuid } => {
                proto.acknowledge_operation_status = Some(call::AcknowledgeOperationStatus {
                    agent_id: write_some(agent_id.as_ref(), format),
                    resource_provider_id: None,
                    uuid: uuid.as_bytes().to_vec(),
                    operation_id: proto::OperationId { value: operation_id.clone() },
                });
                call::Type::AcknowledgeOperationStatus
            }
            Self::Decline { offer_ids, refuse } => {
                proto.decline = Some(call::Decline {
                    offer_ids: write_all(offer_ids, format),
                    filters: write_filters(*refuse),
                });
                call::Type::Decline
            }
            Self::DeclineInverseOffers { inverse_offer_ids, refuse } => {
                let inverse_offer_ids = write_all(inverse_offer_ids, format);
                proto.decline_inverse_offers =
                    Some(call::DeclineInverseOffers { inverse_offer_ids, filters: write_filters(*refuse) });
                call::Type::DeclineInverseOffers
            }
            Self::Kill { task_id, agent_id, grace_period } => {
                proto.kill = Some(call::Kill {
                    task_id: task_id.to_proto(format),
                    agent_id: write_some(agent_id.as_ref(), format),
                    kill_policy: grace_period
                        .map(|period| proto::KillPolicy { grace_period: Some(period.to_proto(format)) }),
                });
                call::Type::Kill
            }
            Self::Message { agent_id, executor_id, data } => {
                proto.message = Some(call::Message {
                    agent_id: agent_id.to_proto(format),
                    executor_id: executor_id.to_proto(format),
                    data: data.clone(),
                });
                call::Type::Message
            }
            Self::Reconcile { tasks } => {
                // Without tasks the empty message must still be there.
                proto.reconcile = Some(call::Reconcile { tasks: write_all(tasks, format) });
                call::Type::Reconcile
            }
            Self::ReconcileOperations { operations } => {
                // As for RECONCILE.
                proto.reconcile_operations =
                    Some(call::ReconcileOperations { operations: write_all(operations, format) });
                call::Type::ReconcileOperations
            }
            Self::Revive { roles } => {
                proto.revive = (!roles.is_empty()).then(|| call::Revive { roles: write_roles(roles) });
                call::Type::Revive
            }
            Self::Shutdown { executor_id, agent_id } => {
                proto.shutdown = Some(call::Shutdown {
                    executor_id: executor_id.to_proto(format),
                    agent_id: agent_id.to_proto(format),
                });
                call::Type::Shutdown
            }
            Self::Subscribe { framework_info, suppressed_roles } => {
                proto.framework_id = write_some(framework_info.id.as_ref(), format);
                proto.subscribe = Some(call::Subscribe {
                    framework_info: framework_info.to_proto(format),
                    suppressed_roles: write_roles(suppressed_roles),
                    offer_constraints: None,
                });
                call::Type::Subscribe
            }
            Self::Suppress { roles } => {
                proto.suppress = (!roles.is_empty()).then(|| call::Suppress { roles: write_roles(roles) });
                call::Type::Suppress
            }
            Self::Teardown => call::Type::Teardown,
            Self::UpdateFramework { framework_info, suppressed_roles } => {
                proto.update_framework = Some(call::UpdateFramework {
                    framework_info: framework_info.to_proto(format),
                    suppressed_roles: write_roles(suppressed_roles),
                    offer_constraints: None,
                });
                call::Type::UpdateFramework
            }
        };
        proto.set_type(kind);
        proto
    }

    fn from_proto(proto: scheduler::Call) -> Result<Self, Invalid> {
        match proto.r#type() {
            call::Type::Accept => read_accept(member("accept", proto.accept)?).at("accept"),
            call::Type::AcceptInverseOffers => {
                let accept = member("accept_inverse_offers", proto.accept_inverse_offers)?;
                let inverse_offer_ids =
                    read_all("inverse_offer_ids", accept.inverse_offer_ids).at("accept_inverse_offers")?;
                Ok(Self::AcceptInverseOffers { inverse_offer_ids, refuse: read_filters(accept.filters) })
            }
            call::Type::Acknowledge => {
                read_acknowledge(member("acknowledge", proto.acknowledge)?).at("acknowledge")
            }
            call::Type::AcknowledgeOperationStatus => {
                let name = "acknowledge_operation_status";
                read_acknowledge_operation(member(name, proto.acknowledge_operation_status)?).at(name)
            }
            call::Type::Decline => read_decline(member("decline", proto.decline)?).at("decline"),
            call::Type::DeclineInverseOffers => {
                let decline = member("decline_inverse_offers", proto.decline_inverse_offers)?;
                let inverse_offer_ids =
                    read_all("inverse_offer_ids", decline.inverse_offer_ids).at("decline_inverse_offers")?;
                Ok(Self::DeclineInverseOffers { inverse_offer_ids, refuse: read_filters(decline.filters) })
            }
            call::Type::Kill => read_kill(member("kill", proto.kill)?).at("kill"),
            call::Type::Message => read_message(member("message", proto.message)?).at("message"),
            call::Type::Reconcile => {
                let tasks = read_all("tasks", member("reconcile", proto.reconcile)?.tasks).at("reconcile")?;
                Ok(Self::Reconcile { tasks })
            }
            call::Type::ReconcileOperations => {
                let name = "reconcile_operations";
                let operations = member(name, proto.reconcile_operations)?.operations;
                Ok(Self::ReconcileOperations { operations: read_all("operations", operations).at(name)? })
            }
            call::Type::Revive => {
                Ok(Self::Revive { roles: read_roles(proto.revive.unwrap_or_default().roles) })
            }
            call::Type::Shutdown => read_shutdown(member("shutdown", proto.shutdown)?).at("shutdown"),
            call::Type::Subscribe => {
                let subscribe = member("subscribe", proto.subscribe)?;
                Ok(Self::Subscribe {
                    framework_info: read("framework_info", subscribe.framework_info).at("subscribe")?,
                    suppressed_roles: read_roles(subscribe.suppressed_roles),
                })
            }
            call::Type::Suppress => {
                Ok(Self::Suppress { roles: read_roles(proto.suppress.unwrap_or_default().roles) })
            }
            call::Type::Teardown => Ok(Self::Teardown),
            call::Type::UpdateFramework => {
                let update = member("update_framework", proto.update_framework)?;
                Ok(Self::UpdateFramework {
                    framework_info: read("framework_info", update.framework_info).at("update_framework")?,
                    suppressed_roles: read_roles(update.suppressed_roles),
                })
            }
            call::Type::Unknown => Err(Invalid::absent("type")),
            other @ call::Type::Request => {
                Err(Invalid::unusable("type", other.as_str_name(), "the scheduler has no use for this call"))
            }
        }
    }
}

fn member<T>(name: &str, member: Option<T>) -> Result<T, Invalid> {
    member.ok_or_else(|| Invalid::absent(name))
}

fn read_accept(accept: call::Accept) -> Result<Call, Invalid> {
    Ok(Call::Accept {
        offer_ids: read_all("offer_ids", accept.offer_ids)?,
        operations: read_all("operations", accept.operations)?,
        refuse: read_filters(accept.filters),
    })
}

fn read_acknowledge(acknowledge: call::Acknowledge) -> Result<Call, Invalid> {
    Ok(Call::Acknowledge {
        agent_id: read("agent_id", acknowledge.agent_id)?,
        task_id: read("task_id", acknowledge.task_id)?,
        uuid: read_uuid("uuid", &acknowledge.uuid)?,
    })
}

fn read_acknowledge_operation(acknowledge: call::AcknowledgeOperationStatus) -> Result<Call, Invalid> {
    Ok(Call::AcknowledgeOperation {
        agent_id: read_some("agent_id", acknowledge.agent_id)?,
        operation_id: acknowledge.operation_id.value,
        uuid: read_uuid("uuid", &acknowledge.uuid)?,
    })
}

fn read_decline(decline: call::Decline) -> Result<Call, Invalid> {
    Ok(Call::Decline {
        offer_ids: read_all("offer_ids", decline.offer_ids)?,
        refuse: read_filters(decline.filters),
    })
}

fn read_kill(kill: call::Kill) -> Result<Call, Invalid> {
    let grace_period = kill.kill_policy.and_then(|policy| policy.grace_period);
    Ok(Call::Kill {
        task_id: read("task_id", kill.task_id)?,
        agent_id: read_some("agent_id", kill.agent_id)?,
        grace_period: read_some("grace_period", grace_period).at("kill_policy")?,
    })
}

fn read_message(message: call::Message) -> Result<Call, Invalid> {
    Ok(Call::Message {
        agent_id: read("agent_id", message.agent_id)?,
        executor_id: read("executor_id", message.executor_id)?,
        data: message.data,
    })
}

fn read_shutdown(shutdown: call::Shutdown) -> Result<Call, Invalid> {
    Ok(Call::Shutdown {
        executor_id: read("executor_id", shutdown.executor_id)?,
        agent_id: read("agent_id", shutdown.agent_id)?,
    })
}

/// A refusal for a negative time, or none that is a number, is one for the default time: the same as absent.
fn read_filters(filters: Option<proto::Filters>) -> Option<Duration> {
    let seconds = filters?.refuse_seconds.filter(|seconds| *seconds >= 0.0)?;
    Some(duration_from_seconds(seconds).unwrap_or(MAX_REFUSE).min(MAX_REFUSE))
}

fn write_filters(refuse: Option<Duration>) -> Option<proto::Filters> {
    refuse.map(|refuse| proto::Filters { refuse_seconds: Some(refuse.as_secs_f64()) })
}

fn read_roles(roles: Vec<String>) -> Vec<Role> {
    roles.into_iter().map(Role::from).collect()
}

fn write_roles(roles: &[Role]) -> Vec<String> {
    roles.iter().map(ToString::to_string).collect()
}

impl Translate for ReconcileTask {
    type Proto = call::reconcile::Task;

    fn to_proto(&self, format: Format) -> call::reconcile::Task {
        call::reconcile::Task {
            task_id: self.task_id.to_proto(format),
            agent_id: write_some(self.agent_id.as_ref(), format),
        }
    }

    fn from_proto(proto: call::reconcile::Task) -> Result<Self, Invalid> {
        Ok(Self {
            task_id: read("task_id", proto.task_id)?,
            agent_id: read_some("agent_id", proto.agent_id)?,
        })
    }
}

/// What a resource provider does is unknown here: the id of one is left out.
impl Translate for ReconcileOperation {
    type Proto = call::reconcile_operations::Operation;

    fn to_proto(&self, format: Format) -> call::reconcile_operations::Operation {
        call::reconcile_operations::Operation {
            operation_id: proto::OperationId { value: self.operation_id.clone() },
            agent_id: write_some(self.agent_id.as_ref(), format),
            resource_provider_id: None,
        }
    }

    fn from_proto(proto: call::reconcile_operations::Operation) -> Result<Self, Invalid> {
        Ok(Self { operation_id: proto.operation_id.value, agent_id: read_some("agent_id", proto.agent_id)? })
    }
}

#[expect(deprecated, reason = "FrameworkInfo.role is for frameworks without MULTI_ROLE")]
impl Translate for FrameworkInfo {
    type Proto = proto::FrameworkInfo;

    fn to_proto(&self, format: Format) -> proto::FrameworkInfo {
        let capability = |capability: &FrameworkCapability| Capability { r#type: Some(capability.to_wire()) };
        proto::FrameworkInfo {
            user: self.user.clone(),
            name: self.name.clone(),
            id: write_some(self.id.as_ref(), format),
            failover_timeout: Some(self.failover_timeout.as_secs_f64()),
            checkpoint: Some(self.checkpoint),
            role: self.role.as_ref().map(ToString::to_string),
            roles: write_roles(&self.roles),
            capabilities: self.capabilities.iter().map(capability).collect(),
            hostname: self.hostname.clone(),
            webui_url: self.webui_url.clone(),
            principal: self.principal.clone(),
            ..Default::default()
        }
    }

    /// A negative `failover_timeout` is accepted like a master does, and means none.
    fn from_proto(proto: proto::FrameworkInfo) -> Result<Self, Invalid> {
        let failover_timeout = proto.failover_timeout();
        Ok(Self {
            user: proto.user,
            name: proto.name,
            id: read_some("id", proto.id)?,
            failover_timeout: duration_from_seconds(failover_timeout.max(0.0))
                .filter(|timeout| i64::try_from(timeout.as_nanos()).is_ok())
                .ok_or_else(|| {
                    let rule = "it must fit into 64 bits of nanoseconds (292 years)";
                    Invalid::unusable("failover_timeout", format_args!("{failover_timeout:?}"), rule)
                })?,
            checkpoint: proto.checkpoint.unwrap_or_default(),
            role: proto.role.map(Role::from),
            roles: read_roles(proto.roles),
            capabilities: proto
                .capabilities
                .into_iter()
                .filter_map(|capability| FrameworkCapability::from_wire(capability.r#type?))
                .collect(),
            hostname: proto.hostname,
            webui_url: proto.webui_url,
            principal: proto.principal,
        })
    }
}
