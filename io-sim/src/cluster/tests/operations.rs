//! Reservations and volumes, and what their frameworks hear of them.

use std::sync::Arc;
use std::time::Duration;

use podium_core::model::ids::{AgentId, Role};
use podium_core::model::mesos::{
    Call, DiskInfo, Event, Offer, Operation, OperationInfo, OperationState, OperationStatus, Persistence,
    ReconcileOperation, Reservation, ReservationType, Resource, ResourceKind, StatusUuid,
};
use podium_core::model::number::Scalar;

use super::super::{Fault, Latency, OperatorCall};
use super::harness::{A0, World, config, framework, task};

fn reserved(item: Resource) -> Resource {
    Resource {
        reservations: [Reservation {
            kind: ReservationType::Dynamic,
            role: Role::new("pods"),
            principal: None,
            labels: Vec::new(),
        }]
        .into(),
        ..item
    }
}

fn volume(id: &str, size: f64) -> Resource {
    Resource {
        disk: Some(Box::new(DiskInfo {
            persistence: Some(Persistence { id: id.to_owned(), principal: None }),
            container_path: Some("data".to_owned()),
            source: None,
        })),
        ..reserved(Resource::scalar(ResourceKind::Disk, Scalar::from_f64(size)))
    }
}

fn operate(world: &mut World, infos: Vec<OperationInfo>) -> Vec<(String, OperationState, Option<String>)> {
    let offer = world.offers.pop().expect("an offer");
    let heard = world.events.len();
    let operations = (0..).zip(infos).map(|(n, info)| Operation { id: Some(format!("op-{n}")), info });
    world.accept(vec![offer.id], operations.collect());
    world.seconds(2);
    let statuses = world.events[heard..].iter().filter_map(|event| match event {
        Event::UpdateOperationStatus(status) => Some(status.clone()),
        _ => None,
    });
    let statuses: Vec<_> = statuses.collect();
    for status in &statuses {
        acknowledge(world, status);
    }
    statuses.into_iter().map(|status| (status.operation_id.unwrap(), status.state, status.message)).collect()
}

fn acknowledge(world: &mut World, status: &OperationStatus) {
    if let (Some(operation_id), Some(uuid)) = (status.operation_id.clone(), status.uuid) {
        world.call(Call::AcknowledgeOperation { agent_id: status.agent_id.clone(), operation_id, uuid });
    }
}

fn is_volume(item: &Resource) -> bool {
    item.disk.is_some()
}

#[test]
fn reservations_and_volumes_come_and_go() {
    let mut world = World::new(1);
    let finished = OperationState::OperationFinished;
    let disk = reserved(Resource::scalar(ResourceKind::Disk, Scalar::from_f64(100.0)));
    let statuses = operate(
        &mut world,
        vec![OperationInfo::Reserve(vec![disk.clone()]), OperationInfo::Create(vec![volume("v", 64.0)])],
    );
    assert_eq!(statuses, [("op-0".into(), finished, None), ("op-1".into(), finished, None)]);
    let offer: Offer = world.offers.last().cloned().unwrap();
    let of_disk: Vec<_> = offer.resources.iter().filter(|item| item.kind == ResourceKind::Disk).collect();
    assert_eq!(of_disk.len(), 3, "plain, reserved and volume: {of_disk:?}");

    let mut user = task(&offer, "A");
    user.resources.push(volume("v", 64.0));
    world.launch_tasks("pod", vec![user]);
    world.seconds(2);
    assert!(!world.offers.last().unwrap().resources.iter().any(is_volume), "in use");
    let statuses = operate(&mut world, vec![OperationInfo::Destroy(vec![volume("v", 64.0)])]);
    assert_eq!(statuses[0].1, OperationState::OperationError);
    assert!(statuses[0].2.as_deref().unwrap().starts_with("Persistent volumes in use; on agent"));

    world.kill("A", None);
    world.seconds(2);
    let ids: Vec<_> = world.offers.drain(..).map(|offer| offer.id).collect();
    let destroy = Operation { id: None, info: OperationInfo::Destroy(vec![volume("v", 64.0)]) };
    world.accept(ids, vec![destroy]);
    world.seconds(2);
    let statuses = operate(&mut world, vec![OperationInfo::Unreserve(vec![disk])]);
    assert_eq!(statuses[0].1, finished);
    let offer = world.offers.last().unwrap();
    assert!(offer.resources.iter().all(|item| item.reservations.is_empty() && !is_volume(item)));
}

#[test]
fn impossible_operations_are_refused() {
    let mut world = World::new(1);
    let cpus = |amount| reserved(Resource::scalar(ResourceKind::Cpus, Scalar::from_f64(amount)));
    let mut foreign = cpus(1.0);
    Arc::make_mut(&mut foreign.reservations)[0].role = Role::new("other");
    let mut unreserved = volume("v", 1.0);
    unreserved.reservations = Arc::default();
    let statuses = operate(
        &mut world,
        vec![
            OperationInfo::Reserve(vec![cpus(100.0)]),
            OperationInfo::Reserve(vec![foreign]),
            OperationInfo::Unreserve(vec![Resource::scalar(ResourceKind::Cpus, Scalar::from_f64(1.0))]),
            OperationInfo::Create(vec![unreserved]),
            OperationInfo::Create(vec![volume("v", 1.0)]),
            OperationInfo::Destroy(vec![volume("nope", 1.0)]),
        ],
    );
    let id = world.framework_id.as_ref().unwrap().as_str().rsplit_once('-').unwrap().0.to_owned();
    let texts: Vec<_> = statuses
        .iter()
        .map(|(id_, state, text)| format!("{id_} {state:?} {}", text.as_deref().unwrap()))
        .collect();
    insta::assert_snapshot!(texts.join("\n").replace(&id, "MASTER"));
}

#[test]
fn a_volume_survives_its_agents_restart() {
    let mut world = World::new(1);
    let disk = reserved(Resource::scalar(ResourceKind::Disk, Scalar::from_f64(64.0)));
    let infos = vec![OperationInfo::Reserve(vec![disk]), OperationInfo::Create(vec![volume("v", 64.0)])];
    operate(&mut world, infos);
    world.fault(Fault::StopAgent { agent: A0 });
    world.fault(Fault::StartAgent { agent: A0 });
    world.fault(Fault::MasterFailover);
    world.seconds(20);
    world.subscribe();
    world.seconds(5);
    assert!(world.offers.last().unwrap().resources.iter().any(is_volume));
}

#[test]
fn what_an_agent_did_not_hear_of_is_undone_when_it_comes_back() {
    let mut world = World::new(1);
    let disk = reserved(Resource::scalar(ResourceKind::Disk, Scalar::from_f64(64.0)));
    let reserve = vec![OperationInfo::Reserve(vec![disk.clone()])];
    operate(&mut world, reserve);
    world.fault(Fault::Partition { agent: A0, loss: true });
    let heard = operate(&mut world, vec![OperationInfo::Unreserve(vec![disk])]);
    assert_eq!(heard, [], "the master says nothing of what it believes");
    let is_reserved = |item: &Resource| !item.reservations.is_empty();
    assert!(!world.offers.last().unwrap().resources.iter().any(is_reserved), "it believes that it is done");
    world.seconds(10);
    world.offers.clear();
    world.fault(Fault::Heal { agent: A0 });
    world.seconds(20);
    assert!(world.offers.last().expect("an offer").resources.iter().any(is_reserved));
}

// -- feedback ----------------------------------------------------------------------------------------------

/// A world in which messages take 100 ms each way.
fn slow() -> World {
    let mut config = config(1);
    config.links.master_agent = Latency::millis(100, 100);
    let mut world = World::with(config, framework());
    world.seconds(2);
    world
}

/// Reserves some disk without waiting for what becomes of it. Returns the agent.
fn reserve(world: &mut World, id: &str) -> AgentId {
    let offer = world.offers.pop().expect("an offer");
    let info =
        OperationInfo::Reserve(vec![reserved(Resource::scalar(ResourceKind::Disk, Scalar::from_f64(1.0)))]);
    world.accept(vec![offer.id], vec![Operation { id: Some(id.to_owned()), info }]);
    offer.agent_id
}

fn ask(world: &mut World, operations: &[(&str, Option<&AgentId>)]) {
    let names: Vec<_> = operations.iter().map(|(id, _)| *id).collect();
    world.tell(&format!(
        "* asks {}",
        if names.is_empty() { "about all".to_owned() } else { names.join(", ") }
    ));
    let operations = operations.iter().map(|(id, agent_id)| ReconcileOperation {
        operation_id: (*id).to_owned(),
        agent_id: agent_id.cloned(),
    });
    let operations = operations.collect();
    world.call(Call::ReconcileOperations { operations });
}

fn last_status(world: &World) -> OperationStatus {
    let mut statuses = world.events.iter().rev().filter_map(|event| match event {
        Event::UpdateOperationStatus(status) => Some(status.clone()),
        _ => None,
    });
    statuses.next().expect("a status")
}

#[test]
fn an_operation_is_known_until_its_end_is_acknowledged() {
    let mut world = slow();
    let agent = reserve(&mut world, "op");
    ask(&mut world, &[("op", Some(&agent))]);
    world.seconds(1);
    let status = last_status(&world);
    ask(
        &mut world,
        &[("op", None), ("never", Some(&agent)), ("never", None), ("never", Some(&"nowhere".into()))],
    );
    ask(&mut world, &[]);
    acknowledge(&mut world, &OperationStatus { operation_id: Some("another".to_owned()), ..status.clone() });
    acknowledge(
        &mut world,
        &OperationStatus { uuid: Some(StatusUuid::from_bytes([7; 16])), ..status.clone() },
    );
    ask(&mut world, &[("op", None)]);
    acknowledge(&mut world, &status);
    ask(&mut world, &[("op", Some(&agent)), ("op", None)]);
    ask(&mut world, &[]);
    world.seconds(60);
    insta::assert_snapshot!(world.story());
}

#[test]
fn a_new_master_learns_of_operations_from_their_agents() {
    let mut world = slow();
    let agent = reserve(&mut world, "op");
    world.seconds(1);
    let status = last_status(&world);
    world.fault(Fault::StopAgent { agent: A0 });
    world.fault(Fault::MasterFailover);
    world.seconds(20);
    world.subscribe();
    ask(&mut world, &[("op", Some(&agent))]);
    ask(&mut world, &[]);
    world.fault(Fault::StartAgent { agent: A0 });
    world.seconds(10);
    ask(&mut world, &[]);
    acknowledge(&mut world, &status);
    world.seconds(60);
    insta::assert_snapshot!(world.story());
}

#[test]
fn operations_of_agents_that_are_given_up() {
    let mut world = slow();
    let agent = reserve(&mut world, "op");
    world.seconds(1);
    world.fault(Fault::StopAgent { agent: A0 });
    world.seconds(100);
    ask(&mut world, &[("op", Some(&agent))]);
    world.fault(Fault::StartAgent { agent: A0 });
    world.seconds(10);
    ask(&mut world, &[("op", Some(&agent))]);
    world.operator(OperatorCall::MarkAgentGone { agent_id: agent.clone() });
    ask(&mut world, &[("op", Some(&agent))]);
    world.seconds(60);
    insta::assert_snapshot!(world.story());
}

#[test]
fn what_an_agent_did_not_hear_of_is_dropped_when_it_comes_back() {
    let mut world = slow();
    let agent = reserve(&mut world, "op");
    world.fault(Fault::Disconnect { agent: A0 });
    world.seconds(20);
    ask(&mut world, &[("op", Some(&agent))]);
    insta::assert_snapshot!(world.story());
}

#[test]
fn what_is_under_way_while_an_agent_registers_is_not_dropped() {
    let mut config = config(1);
    // An answer takes longer than the wait before the next try to register, so that the master hears two.
    config.links.master_agent = Latency::millis(1600, 1600);
    let mut world = World::with(config, framework());
    world.seconds(10);
    world.fault(Fault::StopAgent { agent: A0 });
    world.fault(Fault::StartAgent { agent: A0 });
    for _ in 0..500 {
        if !world.story().contains("RESCIND") || world.offers.is_empty() {
            world.run(Duration::from_millis(10));
        }
    }
    reserve(&mut world, "op");
    world.seconds(10);
    insta::assert_snapshot!(world.story());
}

#[test]
fn a_drain_waits_for_operations() {
    let mut world = slow();
    let agent_id = reserve(&mut world, "op");
    world.seconds(1);
    let drain = OperatorCall::DrainAgent { agent_id, max_grace_period: None, mark_gone: true };
    world.operator(drain);
    world.seconds(5);
    assert!(!world.story().contains("FAILURE"), "the operation is not acknowledged");
    let status = last_status(&world);
    acknowledge(&mut world, &status);
    assert!(world.story().contains("FAILURE agent S0"), "{}", world.story());
}

#[test]
fn the_master_acknowledges_for_a_framework_that_is_no_more() {
    let mut world = slow();
    reserve(&mut world, "op");
    world.seconds(1);
    world.call(Call::Teardown);
    world.seconds(100);
    assert_eq!(world.cluster.deadline(), None, "nothing is left to be told");
}
