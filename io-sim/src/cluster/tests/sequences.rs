//! The eighteen reference sequences: the events of a real Mesos for each common course of a pod's life.
//!
//! In the stories `u1`, `u2` .. are updates that need an acknowledgement, by order of appearance; `m` are the
//! master's own, which need none.

use std::time::Duration;

use podium_core::model::mesos::Call;

use super::super::{ContainerEvent, Exit, Fault, Limit, OperatorCall};
use super::harness::{A0, World, resources};

/// A pod of two containers, running.
fn running_pod() -> World {
    let mut world = World::new(1);
    world.launch("pod", &["A", "B"]);
    world.seconds(2);
    world
}

macro_rules! assert_story {
    ($world:expr) => {
        insta::assert_snapshot!($world.story())
    };
}

#[test]
fn normal_start() {
    let world = running_pod();
    assert_story!(world);
}

#[test]
fn normal_end() {
    let mut world = running_pod();
    world.end("A", Exit::Code(0));
    world.seconds(5);
    assert_eq!(world.task_containers(), 1, "the other goes on");
    world.end("B", Exit::Code(0));
    world.seconds(2);
    assert_story!(world);
    assert_eq!(world.task_containers(), 0);
    assert_eq!(world.offered_cpus(), 4.0);
}

#[test]
fn a_member_fails() {
    let mut world = World::new(1);
    world.launch("pod", &["A", "B=deaf"]);
    world.seconds(2);
    world.end("A", Exit::Code(1));
    world.seconds(5);
    assert_story!(world);
    assert_eq!(world.offered_cpus(), 4.0);
}

#[test]
fn a_member_is_killed_with_grace() {
    let mut world = World::new(1);
    world.launch("pod", &["A=deaf", "B=deaf"]);
    world.seconds(2);
    world.kill("A", Some(10));
    world.seconds(15);
    assert_story!(world);
}

#[test]
fn killed_before_delivery() {
    let mut world = World::new(1);
    let agent_id = world.offers[0].agent_id.clone();
    world.launch("pod", &["A", "B"]);
    world.call(Call::Kill { task_id: "A".into(), agent_id: Some(agent_id), grace_period: None });
    world.seconds(2);
    assert_story!(world);
    assert_eq!(world.cluster.executors().count(), 0);
    assert_eq!(world.offered_cpus(), 4.0);
}

#[test]
fn an_image_cannot_be_pulled() {
    let mut world = World::new(1);
    world.launch("pod", &["A", "B=unlaunchable: no such image"]);
    world.seconds(2);
    assert_story!(world);
}

#[test]
fn an_invalid_group() {
    let mut world = World::new(1);
    let offer = world.offers[0].clone();
    let mut tasks: Vec<_> = ["A", "B"].iter().map(|name| super::harness::task(&offer, name)).collect();
    tasks[0].resources = resources(100.0, 32.0, 10.0);
    world.launch_tasks("pod", tasks);
    world.seconds(2);
    assert_story!(world);
    assert_eq!(world.offered_cpus(), 4.0);
}

#[test]
fn the_offer_was_rescinded() {
    let mut world = World::new(1);
    let offer = world.offers[0].clone();
    world.fault(Fault::RescindOffers { agent: None });
    world.offers.push(offer);
    world.launch("pod", &["A", "B"]);
    assert_story!(world);
}

#[test]
fn a_user_without_permission() {
    let mut config = super::harness::config(1);
    config.master.permitted_users = Some(vec!["daemon".to_owned()]);
    let mut world = World::with(config, super::harness::framework());
    world.launch("pod", &["A", "B"]);
    assert_story!(world);
}

#[test]
fn the_executor_crashes() {
    let mut world = running_pod();
    let container = world.executor_container();
    world.fault(Fault::KillExecutor { container, signal: 9 });
    world.seconds(2);
    assert_story!(world);
    assert_eq!(world.task_containers(), 0);
}

#[test]
fn out_of_memory_in_the_shared_control_group() {
    let mut world = running_pod();
    let container = world.executor_container();
    let limitation = resources(0.0, 96.0, 0.0);
    world.container_event(ContainerEvent::LimitExceeded {
        container,
        limit: Limit::Memory,
        message: "Memory limit exceeded: Requested: 96MB Maximum Used: 96MB".to_owned(),
        limitation,
    });
    world.seconds(2);
    assert_story!(world);
}

#[test]
fn out_of_memory_in_a_members_own_control_group() {
    let mut world = running_pod();
    let container = world.container("A");
    world.container_event(ContainerEvent::LimitExceeded {
        container,
        limit: Limit::Memory,
        message: "Memory limit exceeded".to_owned(),
        limitation: resources(0.0, 32.0, 0.0),
    });
    world.end("A", Exit::Signal { number: 9, core: false });
    world.seconds(2);
    assert_story!(world);
}

#[test]
fn an_agent_is_away_and_returns() {
    let mut world = running_pod();
    world.fault(Fault::Partition { agent: A0, loss: false });
    world.seconds(100);
    world.tell("* the partition ends");
    world.fault(Fault::Heal { agent: A0 });
    world.seconds(10);
    assert_story!(world);
    assert_eq!(world.task_containers(), 2);
}

#[test]
fn a_pod_ends_while_its_agent_is_away() {
    let mut world = running_pod();
    world.fault(Fault::Partition { agent: A0, loss: false });
    world.seconds(100);
    world.end("A", Exit::Code(0));
    world.end("B", Exit::Code(0));
    world.seconds(10);
    world.tell("* the partition ends");
    world.fault(Fault::Heal { agent: A0 });
    world.seconds(10);
    assert_story!(world);
}

#[test]
fn an_agent_is_marked_gone() {
    let mut world = running_pod();
    let agent_id = world.updates[0].agent_id.clone().unwrap();
    world.operator(OperatorCall::MarkAgentGone { agent_id });
    world.seconds(10);
    world.reconcile(&["A"]);
    assert_story!(world);
    assert_eq!(world.task_containers(), 0, "the agent ends its executors before itself");
}

#[test]
fn an_agent_reboots() {
    let mut world = running_pod();
    world.fault(Fault::PowerOff { agent: A0 });
    world.seconds(20);
    world.tell("* the machine is back");
    world.fault(Fault::StartAgent { agent: A0 });
    world.seconds(5);
    assert_story!(world);
    assert_eq!(world.offered_cpus(), 4.0);
}

#[test]
fn an_agent_reboots_slowly() {
    let mut world = running_pod();
    world.fault(Fault::PowerOff { agent: A0 });
    world.seconds(100);
    world.tell("* the machine is back");
    world.fault(Fault::StartAgent { agent: A0 });
    world.seconds(5);
    assert_story!(world);
}

#[test]
fn the_master_fails_over() {
    let mut world = World::new(1);
    world.acknowledges = false;
    world.launch("pod", &["A", "B"]);
    world.seconds(2);
    world.fault(Fault::MasterFailover);
    world.seconds(5);
    world.subscribe();
    world.seconds(6);
    world.subscribe();
    world.reconcile(&["A", "B"]);
    world.tell("* no answer while the agent is not back");
    world.seconds(5);
    world.tell("* the agent is back");
    world.reconcile(&["A", "B", "C"]);
    world.acknowledges = true;
    world.seconds(20);
    assert_story!(world);
}

#[test]
fn the_scheduler_fails_over() {
    let mut world = World::new(1);
    world.acknowledges = false;
    world.launch("pod", &["A", "B"]);
    world.seconds(2);
    world.tell("* another instance subscribes");
    world.subscribe();
    world.run(Duration::from_millis(10));
    world.reconcile(&[]);
    world.acknowledges = true;
    world.seconds(11);
    assert_story!(world);
}

#[test]
fn the_scheduler_stays_away_too_long() {
    let mut world = running_pod();
    world.disconnect();
    world.seconds(601);
    world.tell("* too late");
    world.subscribe();
    assert_story!(world);
    world.seconds(10);
    assert_eq!(world.task_containers(), 0);
}
