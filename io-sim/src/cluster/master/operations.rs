//! `RESERVE`, `UNRESERVE`, `CREATE` and `DESTROY`: applied at once by the master, so that later operations of
//! the same `ACCEPT` can build on them, and carried out by the agent.
//!
//! One that has an id is remembered until its framework has acknowledged what became of it, or its agent is lost.

use std::collections::BTreeMap;

use podium_core::model::ids::{AgentId, FrameworkId};
use podium_core::model::mesos::{
    Event, FrameworkCapability, OperationInfo, OperationState, OperationStatus, ReservationType, Resource,
    StatusUuid,
};

use super::accept::{Pool, inject_role};
use super::subscribe::roles_of;
use super::validation::{validate_disks, validate_resources};
use super::{Agent, Framework, Master};
use crate::cluster::env::Env;
use crate::cluster::io::AgentIndex;
use crate::cluster::resources::{Notation, Resources, plain_disk};
use crate::cluster::wire::{ApplyOperation, OperationNumber, OperationRecord, ToAgent, operation_status};

impl Master {
    /// Applies an operation to the pool, or says why not.
    pub(super) fn convert(
        &mut self,
        env: &mut Env,
        framework_id: &FrameworkId,
        pool: &mut Pool,
        (operation_id, info): (Option<String>, OperationInfo),
    ) {
        let (Some(framework), Some(agent), Some(total)) =
            (self.frameworks.get(framework_id), self.agent(pool.agent), self.allocator.total(pool.agent))
        else {
            return;
        };
        let in_use = |volume: &Resource| self.is_in_use(agent, volume);
        let conversion = conversion(framework, total, pool, info, in_use).map_err(|text| {
            let config = &env.config.agents[pool.agent.0 as usize];
            let (id, ip, port, hostname) = (&agent.id, &config.ip, config.port, &config.hostname);
            format!("{text}; on agent {id} at slave(1)@{ip}:{port} ({hostname})")
        });
        let conversion = conversion.and_then(|(consumed, converted)| {
            if pool.resources.contains(&consumed) {
                Ok((consumed, converted))
            } else {
                Err(format!("{} does not contain {consumed}", pool.resources))
            }
        });
        let (consumed, converted) = match conversion {
            Ok(conversion) => conversion,
            Err(text) => return self.operation_error(env, framework_id, operation_id, text),
        };
        pool.resources.subtract(&consumed);
        pool.resources.add_all(&converted);
        pool.converted.add_all(&converted);
        let (consumed, converted) = (consumed.allocated(None), converted.allocated(None));
        self.allocator.convert(pool.agent, &consumed, &converted);
        let Some(agent) = self.agent_mut(pool.agent) else { return };
        let feedback = operation_id.map(|operation_id| {
            let state = OperationState::OperationPending;
            let status = operation_status(Some(operation_id), state, Some(agent.id.clone()));
            (env.new_operation(), OperationRecord { framework_id: framework_id.clone(), status })
        });
        agent.operations.extend(feedback.clone());
        let operation = ApplyOperation { feedback, consumed, converted };
        env.send_to_agent(pool.agent, ToAgent::ApplyOperation(Box::new(operation)));
    }

    // -- feedback ------------------------------------------------------------------------------------------

    /// `UpdateOperationStatusMessage`.
    pub(super) fn update_operation(
        &mut self,
        env: &mut Env,
        from: AgentIndex,
        (number, framework_id): (OperationNumber, Option<FrameworkId>),
        mut status: OperationStatus,
    ) {
        // Not from an agent that was removed, or an earlier one on the same machine.
        let agent = self.agents.get_mut(from.0 as usize).and_then(Option::as_mut);
        let Some(agent) = agent.filter(|agent| status.agent_id.as_ref() == Some(&agent.id)) else { return };
        let Some(operation) = agent.operations.get_mut(&number) else {
            // It crossed with its acknowledgement.
            if let Some(framework_id) = framework_id {
                self.send(env, &framework_id, Event::UpdateOperationStatus(status));
            }
            return;
        };
        status.operation_id.clone_from(&operation.status.operation_id);
        operation.status = status.clone();
        let framework_id = operation.framework_id.clone();
        let heard = !self.completed.contains(&framework_id);
        if !heard && let Some(uuid) = status.uuid {
            // The master acknowledges for a framework that is no more.
            env.send_to_agent(from, ToAgent::AcknowledgeOperation { operation: number, uuid });
        }
        // Whatever an agent says is final.
        if !heard || status.uuid.is_none() {
            agent.operations.remove(&number);
        }
        self.send(env, &framework_id, Event::UpdateOperationStatus(status));
    }

    /// `ACKNOWLEDGE_OPERATION_STATUS`.
    pub(super) fn acknowledge_operation(
        &mut self,
        env: &mut Env,
        framework_id: &FrameworkId,
        (agent_id, operation_id): (Option<&AgentId>, &str),
        uuid: StatusUuid,
    ) {
        let Some((index, number)) = agent_id.and_then(|agent_id| {
            let agent = self.agent_by_id(agent_id).filter(|agent| agent.connected)?;
            let (number, operation) = agent.operation(framework_id, operation_id)?;
            (operation.status.uuid == Some(uuid)).then_some((agent.index, number))
        }) else {
            return;
        };
        if let Some(agent) = self.agent_mut(index) {
            agent.operations.remove(&number);
        }
        env.send_to_agent(index, ToAgent::AcknowledgeOperation { operation: number, uuid });
        self.check_drained(env, index);
    }

    /// The agent is given up, and all that it was to do.
    pub(super) fn lose_operations(
        &self,
        env: &mut Env,
        index: AgentIndex,
        (state, message): (OperationState, &str),
    ) {
        let Some(agent) = self.agent(index) else { return };
        for operation in agent.operations.values() {
            let id = operation.status.operation_id.clone();
            let mut status = operation_status(id, state, Some(agent.id.clone()));
            status.message = Some(message.to_owned());
            self.send(env, &operation.framework_id, Event::UpdateOperationStatus(status));
        }
    }

    /// What a returning agent knows and the master does not, as after a failover, is taken over. About what only the
    /// master knows the agent is asked: it may have been under way when the connection broke.
    pub(super) fn adopt_operations(
        &mut self,
        env: &mut Env,
        from: AgentIndex,
        report: &BTreeMap<OperationNumber, OperationRecord>,
    ) {
        let Some(agent) = self.agent_mut(from) else { return };
        let operations: Vec<OperationNumber> =
            agent.operations.keys().filter(|number| !report.contains_key(number)).copied().collect();
        for (number, operation) in report {
            agent.operations.entry(*number).or_insert_with(|| operation.clone());
        }
        if !operations.is_empty() {
            env.send_to_agent(from, ToAgent::ReconcileOperations { operations });
        }
    }

    /// Whether some task on the agent uses a volume.
    fn is_in_use(&self, agent: &Agent, volume: &Resource) -> bool {
        agent.tasks.iter().any(|(framework_id, task_id)| {
            let task = self.frameworks.get(framework_id).and_then(|framework| framework.tasks.get(task_id));
            task.filter(|task| !task.recovered).is_some_and(|task| {
                task.info.resources.iter().any(|item| item.disk == volume.disk && item.kind == volume.kind)
            })
        })
    }
}

impl Agent {
    /// The framework's operation with this id; of several the newest, as in Mesos.
    pub(super) fn operation(
        &self,
        framework_id: &FrameworkId,
        id: &str,
    ) -> Option<(OperationNumber, &OperationRecord)> {
        let is = |operation: &OperationRecord| {
            operation.framework_id == *framework_id && operation.status.operation_id.as_deref() == Some(id)
        };
        let found = self.operations.iter().rfind(|(_, operation)| is(operation))?;
        Some((*found.0, found.1))
    }
}

/// What an operation takes and what it makes.
fn conversion(
    framework: &Framework,
    total: &Resources,
    pool: &Pool,
    info: OperationInfo,
    in_use: impl Fn(&Resource) -> bool,
) -> Result<(Resources, Resources), String> {
    let prepare = |mut resources: Vec<Resource>| {
        inject_role(&mut resources, &pool.role);
        validate_resources(&resources).map_err(|text| format!("Invalid resources: {text}"))?;
        validate_disks(&resources).map_err(|text| format!("Invalid resources: Invalid DiskInfo: {text}"))?;
        Ok::<_, String>(resources)
    };
    match info {
        OperationInfo::Reserve(resources) => {
            let resources = prepare(resources)?;
            validate_reserve(framework, &resources)?;
            let before = resources.iter().map(unreserved).collect::<Vec<_>>();
            Ok((Resources::sum(&before), Resources::sum(&resources)))
        }
        OperationInfo::Unreserve(resources) => {
            let resources = prepare(resources)?;
            for item in &resources {
                if !is_dynamically_reserved(item) {
                    return Err(format!("Resource {} is not dynamically reserved", Notation(item)));
                }
                if is_volume(item) {
                    return Err(format!(
                        "A dynamically reserved persistent volume {} cannot be unreserved directly. Please \
                         destroy the persistent volume first then unreserve the resource",
                        Notation(item)
                    ));
                }
            }
            let after = resources.iter().map(unreserved).collect::<Vec<_>>();
            Ok((Resources::sum(&resources), Resources::sum(&after)))
        }
        OperationInfo::Create(volumes) => {
            let volumes = prepare(volumes)?;
            validate_create(framework, total, &volumes)?;
            let before = volumes.iter().map(plain_disk).collect::<Vec<_>>();
            Ok((Resources::sum(&before), Resources::sum(&volumes)))
        }
        OperationInfo::Destroy(volumes) => {
            let volumes = prepare(volumes)?;
            validate_volumes(&volumes)?;
            for volume in &volumes {
                let unallocated = Resources::sum([volume]).allocated(None);
                if !total.contains(&unallocated) {
                    return Err("Persistent volumes not found".to_owned());
                }
            }
            if volumes.iter().any(in_use) {
                return Err("Persistent volumes in use".to_owned());
            }
            let after = volumes.iter().map(plain_disk).collect::<Vec<_>>();
            Ok((Resources::sum(&volumes), Resources::sum(&after)))
        }
        OperationInfo::Launch(_) | OperationInfo::LaunchGroup(_) => {
            Ok((Resources::default(), Resources::default()))
        }
    }
}

fn validate_reserve(framework: &Framework, resources: &[Resource]) -> Result<(), String> {
    let roles = roles_of(&framework.info);
    for item in resources {
        let Some(reservation) =
            item.reservations.last().filter(|reservation| reservation.kind == ReservationType::Dynamic)
        else {
            return Err(format!("Resource {} is not dynamically reserved", Notation(item)));
        };
        if let Some(principal) = &framework.info.principal {
            match &reservation.principal {
                None => {
                    return Err(format!(
                        "A reserve operation was attempted by principal '{principal}', but there is a reserved \
                         resource in the request with no principal set"
                    ));
                }
                Some(other) if other != principal => {
                    return Err(format!(
                        "A reserve operation was attempted by authenticated principal '{principal}', which does \
                         not match a reserved resource in the request with principal '{other}'"
                    ));
                }
                Some(_) => {}
            }
        }
        if let Some(role) = &item.allocation_role
            && *role != reservation.role
        {
            return Err(format!(
                "A reserve operation was attempted for a resource with role '{}', but the resource was \
                 allocated to role '{role}'",
                reservation.role
            ));
        }
        if !roles.contains(&reservation.role) {
            return Err(format!(
                "A reserve operation was attempted for a resource with role '{}', but the framework can only \
                 reserve resources with roles '{}'",
                reservation.role,
                roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ")
            ));
        }
    }
    Ok(())
}

fn validate_create(framework: &Framework, total: &Resources, volumes: &[Resource]) -> Result<(), String> {
    validate_volumes(volumes)?;
    for (index, volume) in volumes.iter().enumerate() {
        let id = persistence_id(volume);
        let same =
            |other: &Resource| persistence_id(other) == id && other.reserved_role() == volume.reserved_role();
        if total.as_slice().iter().chain(&volumes[..index]).any(same) {
            return Err(format!("Persistence ID '{}' is not unique", id.unwrap_or_default()));
        }
        if volume.shared && !framework.has(FrameworkCapability::SharedResources) {
            return Err(format!(
                "Create volume operation for '{}' has been attempted by framework '{}' with no SHARED_RESOURCES \
                 capability",
                Notation(volume),
                framework.info.id.as_ref().map_or("", |id| id.as_str())
            ));
        }
        let Some(principal) = &framework.info.principal else { continue };
        let own = volume.disk.as_ref().and_then(|disk| disk.persistence.as_ref());
        match own.and_then(|persistence| persistence.principal.as_ref()) {
            None => {
                return Err(format!(
                    "Create volume operation attempted by principal '{principal}', but there is a volume in the \
                     operation with no principal set in 'disk.persistence'"
                ));
            }
            Some(other) if other != principal => {
                return Err(format!(
                    "Create volume operation attempted by authenticated principal '{principal}', which does not \
                     match a volume in the operation with principal '{other}' set in 'disk.persistence'"
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn validate_volumes(volumes: &[Resource]) -> Result<(), String> {
    for volume in volumes {
        let text = match &volume.disk {
            None => format!("Resource {} does not have DiskInfo", Notation(volume)),
            Some(disk) if disk.persistence.is_none() => "'persistence' is not set in DiskInfo".to_owned(),
            Some(disk) if disk.container_path.is_none() => {
                "Expecting 'volume' to be set for persistent volume".to_owned()
            }
            Some(_) => continue,
        };
        return Err(format!("Not a persistent volume: {text}"));
    }
    Ok(())
}

fn is_dynamically_reserved(resource: &Resource) -> bool {
    resource.reservations.last().is_some_and(|last| last.kind == ReservationType::Dynamic)
}

fn is_volume(resource: &Resource) -> bool {
    persistence_id(resource).is_some()
}

fn persistence_id(resource: &Resource) -> Option<&str> {
    Some(&resource.disk.as_ref()?.persistence.as_ref()?.id)
}

/// The same without its last reservation.
fn unreserved(resource: &Resource) -> Resource {
    let mut resource = resource.clone();
    if let Some((_, below)) = resource.reservations.split_last() {
        resource.reservations = below.into();
    }
    resource
}
