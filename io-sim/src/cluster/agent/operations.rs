//! Reservations and volumes: applied to the agent's resources, and reported until acknowledged.

use std::collections::BTreeMap;
use std::time::Duration;

use podium_core::model::ids::FrameworkId;
use podium_core::model::mesos::{OperationState, OperationStatus, ReservationType, Resource, StatusUuid};

use super::{Machine, Phase, Sender};
use crate::cluster::env::Env;
use crate::cluster::io::{ContainerCommand, VolumeId};
use crate::cluster::queue::Alarm;
use crate::cluster::resources::{Resources, plain_disk};
use crate::cluster::wire::{AgentTimer, ApplyOperation, ToMaster};

/// Operation updates that are not acknowledged.
#[derive(Clone, Debug, Default)]
pub(super) struct Operations(BTreeMap<StatusUuid, Pending>);

#[derive(Clone, Debug)]
struct Pending {
    framework_id: FrameworkId,
    status: OperationStatus,
    interval: Duration,
    alarm: Option<Alarm>,
}

impl Machine {
    /// `ApplyOperationMessage`.
    pub(super) fn apply_operation(&mut self, env: &mut Env, operation: ApplyOperation) {
        let known = self.agent.total.contains(&operation.consumed);
        if known {
            self.agent.total.subtract(&operation.consumed);
            self.agent.total.add_all(&operation.converted);
            let kept: Vec<VolumeId> = volumes(&operation.converted).collect();
            for volume in volumes(&operation.consumed).filter(|volume| !kept.contains(volume)) {
                let (agent, agent_id) = (self.index, self.agent.id.clone());
                env.output(ContainerCommand::RemoveVolume { agent, agent_id, volume });
            }
        }
        // Without an id nobody asked for feedback.
        let Some(operation_id) = operation.operation_id else { return };
        let uuid = env.random.uuid();
        let status = OperationStatus {
            operation_id: Some(operation_id),
            state: if known { OperationState::OperationFinished } else { OperationState::OperationDropped },
            message: None,
            converted_resources: operation.converted.into_vec(),
            uuid: Some(uuid),
            agent_id: self.agent.id.clone(),
        };
        let interval = env.config.agent.update_retry_min;
        let pending = Pending { framework_id: operation.framework_id, status, interval, alarm: None };
        self.agent.operations.0.insert(uuid, pending);
        if self.agent.phase == Phase::Registered {
            let sender = self.sender();
            self.agent.operations.send(env, sender, uuid);
        }
    }
}

/// `total` with the `converted` parts in the place of what they were made from. Nothing is changed if that is not all
/// there: then it is another machine.
pub(super) fn converted(mut total: Resources, converted: &[Resource]) -> Resources {
    let plain = |resource: &Resource| {
        let mut plain = plain_disk(resource);
        plain.reservations.retain(|reservation| reservation.kind == ReservationType::Static);
        plain
    };
    let before = Resources::sum(&converted.iter().map(plain).collect::<Vec<_>>());
    if total.contains(&before) {
        total.subtract(&before);
        total.add_all(&Resources::sum(converted));
    }
    total
}

fn volumes(resources: &Resources) -> impl Iterator<Item = VolumeId> {
    resources.as_slice().iter().filter_map(VolumeId::of)
}

impl Operations {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn acknowledged(&mut self, env: &mut Env, uuid: StatusUuid) {
        if let Some(pending) = self.0.remove(&uuid) {
            env.queue.cancel(pending.alarm);
        }
    }

    pub(super) fn retry(&mut self, env: &mut Env, sender: Sender, uuid: StatusUuid) {
        let max = env.config.agent.update_retry_max;
        if let Some(pending) = self.0.get_mut(&uuid) {
            pending.interval = (pending.interval * 2).min(max);
            self.send(env, sender, uuid);
        }
    }

    pub(super) fn resume(&mut self, env: &mut Env, sender: Sender) {
        let uuids: Vec<_> = self.0.keys().copied().collect();
        for uuid in uuids {
            self.send(env, sender, uuid);
        }
    }

    pub(super) fn pause(&mut self, env: &mut Env) {
        for pending in self.0.values_mut() {
            env.queue.cancel(pending.alarm.take());
        }
    }

    fn send(&mut self, env: &mut Env, sender: Sender, uuid: StatusUuid) {
        let Some(pending) = self.0.get_mut(&uuid) else { return };
        env.queue.cancel(pending.alarm.take());
        pending.alarm =
            Some(env.plan_agent(sender.address, pending.interval, AgentTimer::RetryOperation(uuid)));
        let framework_id = pending.framework_id.clone();
        let status = Box::new(pending.status.clone());
        env.send_to_master(
            sender.address.0,
            sender.master,
            ToMaster::OperationStatus { framework_id, status },
        );
    }
}
