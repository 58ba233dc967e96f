//! Reservations and volumes: applied to the agent's resources, and reported until acknowledged.

use std::collections::BTreeMap;
use std::time::Duration;

use podium_core::model::mesos::{OperationState, Reservation, ReservationType, Resource, StatusUuid};

use super::{Machine, Phase, Sender};
use crate::cluster::env::Env;
use crate::cluster::io::{ContainerCommand, VolumeId};
use crate::cluster::queue::Alarm;
use crate::cluster::resources::{Resources, plain_disk};
use crate::cluster::wire::{
    AgentTimer, ApplyOperation, OperationNumber, OperationRecord, ToMaster, operation_status,
};
use crate::random::Key;

/// Operations whose end is not acknowledged.
#[derive(Clone, Debug, Default)]
pub(super) struct Operations(BTreeMap<OperationNumber, Pending>);

#[derive(Clone, Debug)]
struct Pending {
    operation: OperationRecord,
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
        let Some((number, mut operation)) = operation.feedback else { return };
        operation.status.state =
            if known { OperationState::OperationFinished } else { OperationState::OperationDropped };
        operation.status.uuid = Some(env.chance.next(Key::of("operation").number(self.index.0)).uuid());
        let interval = env.config.agent.update_retry_min;
        self.agent.operations.0.insert(number, Pending { operation, interval, alarm: None });
        if self.agent.phase == Phase::Registered {
            let sender = self.sender();
            self.agent.operations.send(env, sender, number);
        }
    }

    /// `ReconcileOperationsMessage`: what the agent does not know has never reached it. What it does know was under
    /// way to it when it registered.
    pub(super) fn reconcile_operations(&mut self, env: &mut Env, operations: &[OperationNumber]) {
        for operation in operations.iter().filter(|number| !self.agent.operations.0.contains_key(number)) {
            // Which framework's it is, and its id, only the master knows.
            let status = operation_status(None, OperationState::OperationDropped, self.agent.id.clone());
            let (operation, status) = (*operation, Box::new(status));
            let message = ToMaster::OperationStatus { operation, framework_id: None, status };
            env.send_to_master(self.index, self.agent.master, message);
        }
    }
}

/// `total` with the `converted` parts in the place of what they were made from. Nothing is changed if that is not all
/// there: then it is another machine.
pub(super) fn converted(mut total: Resources, converted: &[Resource]) -> Resources {
    let plain = |resource: &Resource| {
        let mut plain = plain_disk(resource);
        let is_static = |reservation: &&Reservation| reservation.kind == ReservationType::Static;
        plain.reservations = plain.reservations.iter().filter(is_static).cloned().collect();
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

    /// For the master that the agent registers with.
    pub(super) fn report(&self) -> BTreeMap<OperationNumber, OperationRecord> {
        self.0.iter().map(|(number, pending)| (*number, pending.operation.clone())).collect()
    }

    pub(super) fn acknowledged(&mut self, env: &mut Env, number: OperationNumber, uuid: StatusUuid) {
        if self.0.get(&number).is_some_and(|pending| pending.operation.status.uuid == Some(uuid))
            && let Some(pending) = self.0.remove(&number)
        {
            env.queue.cancel(pending.alarm);
        }
    }

    pub(super) fn retry(&mut self, env: &mut Env, sender: Sender, number: OperationNumber) {
        let max = env.config.agent.update_retry_max;
        if let Some(pending) = self.0.get_mut(&number) {
            pending.interval = (pending.interval * 2).min(max);
            self.send(env, sender, number);
        }
    }

    pub(super) fn resume(&mut self, env: &mut Env, sender: Sender) {
        let numbers: Vec<_> = self.0.keys().copied().collect();
        for number in numbers {
            self.send(env, sender, number);
        }
    }

    pub(super) fn pause(&mut self, env: &mut Env) {
        for pending in self.0.values_mut() {
            env.queue.cancel(pending.alarm.take());
        }
    }

    fn send(&mut self, env: &mut Env, sender: Sender, number: OperationNumber) {
        let Some(pending) = self.0.get_mut(&number) else { return };
        env.queue.cancel(pending.alarm.take());
        pending.alarm =
            Some(env.plan_agent(sender.address, pending.interval, AgentTimer::RetryOperation(number)));
        let OperationRecord { framework_id, status } = pending.operation.clone();
        let message = ToMaster::OperationStatus {
            operation: number,
            framework_id: Some(framework_id),
            status: Box::new(status),
        };
        env.send_to_master(sender.address.0, sender.master, message);
    }
}
