//! The operator's calls.

use std::time::Duration;

use podium_core::model::ids::AgentId;
use podium_core::model::mesos::{Call, Event, Unavailability};

use super::super::{Answer, Fault, OperatorCall};
use super::harness::{A0, World, task};

fn running() -> World {
    let mut world = World::new(1);
    let offer = world.offers[0].clone();
    let (first, mut second) = (task(&offer, "A"), task(&offer, "B=deaf"));
    second.kill_grace_period = Some(Duration::from_secs(4));
    world.launch_tasks("pod", vec![first, second]);
    world.seconds(2);
    world
}

fn agent_id(world: &World) -> AgentId {
    world.updates[0].agent_id.clone().unwrap()
}

fn drain(world: &mut World, max_grace_period: Option<u64>, mark_gone: bool) {
    let agent_id = agent_id(world);
    let max_grace_period = max_grace_period.map(Duration::from_secs);
    let answer = world.operator(OperatorCall::DrainAgent { agent_id, max_grace_period, mark_gone });
    assert_eq!(answer, Answer::Ok);
}

#[test]
fn a_drained_agent_is_empty_and_can_be_reactivated() {
    let mut world = running();
    drain(&mut world, None, false);
    world.seconds(10);
    assert!(world.offers.is_empty());
    world.tell("* reactivated");
    let agent_id = agent_id(&world);
    assert_eq!(world.operator(OperatorCall::ReactivateAgent { agent_id }), Answer::Ok);
    world.seconds(2);
    assert_eq!(world.offered_cpus(), 4.0);
    world.launch("pod", &["C"]);
    world.seconds(2);
    insta::assert_snapshot!(world.story());
}

#[test]
fn a_drain_can_shorten_grace_periods() {
    let mut world = running();
    drain(&mut world, Some(1), false);
    world.seconds(2);
    assert!(world.story().contains("B KILLED"), "{}", world.story());
}

#[test]
fn with_mark_gone_the_state_goes_ahead_of_the_process() {
    let mut world = running();
    drain(&mut world, None, true);
    world.run(Duration::from_millis(10));
    assert_eq!(world.task_containers(), 2, "told gone, still running");
    world.seconds(10);
    world.reconcile(&["A"]);
    insta::assert_snapshot!(world.story());
    assert_eq!(world.task_containers(), 0);
}

#[test]
fn a_deactivated_agent_only_gets_no_offers() {
    let mut world = running();
    let agent_id = agent_id(&world);
    world.operator(OperatorCall::DeactivateAgent { agent_id: agent_id.clone() });
    world.seconds(10);
    assert!(world.offers.is_empty());
    assert_eq!(world.task_containers(), 2);
    world.fault(Fault::MasterFailover);
    world.seconds(20);
    world.subscribe();
    world.seconds(5);
    assert!(world.offers.is_empty(), "a new master knows it from the registry");
    world.operator(OperatorCall::ReactivateAgent { agent_id });
    world.seconds(2);
    assert_eq!(world.offers.len(), 1);
}

#[test]
fn unknown_things_are_refused() {
    let mut world = World::new(1);
    let nope = AgentId::new("nope");
    let calls = [
        OperatorCall::MarkAgentGone { agent_id: nope.clone() },
        OperatorCall::DeactivateAgent { agent_id: nope.clone() },
        OperatorCall::DrainAgent { agent_id: nope, max_grace_period: None, mark_gone: false },
        OperatorCall::Teardown { framework_id: "nope".into() },
    ];
    for call in calls {
        world.operator(call);
    }
    insta::assert_snapshot!(world.story());
}

#[test]
fn gone_beats_unreachable() {
    let mut world = running();
    world.fault(Fault::Partition { agent: A0, loss: false });
    world.seconds(100);
    world.tell("* marked gone");
    let agent_id = agent_id(&world);
    world.operator(OperatorCall::MarkAgentGone { agent_id: agent_id.clone() });
    assert_eq!(world.operator(OperatorCall::MarkAgentGone { agent_id }), Answer::Ok, "again");
    world.reconcile(&["A"]);
    world.fault(Fault::Heal { agent: A0 });
    world.seconds(70);
    insta::assert_snapshot!(world.story());
    assert_eq!(world.task_containers(), 0, "it is told to shut down when it comes back");
}

#[test]
fn what_was_marked_gone_while_a_new_master_waited_for_it_stays_gone() {
    let mut world = running();
    let agent_id = agent_id(&world);
    world.fault(Fault::Partition { agent: A0, loss: false });
    world.fault(Fault::MasterFailover);
    world.seconds(15);
    world.subscribe();
    world.operator(OperatorCall::MarkAgentGone { agent_id });
    world.tell("* nobody answers as long as the master waits");
    world.reconcile(&["A"]);
    world.seconds(600);
    world.tell("* it waits no longer");
    world.reconcile(&["A"]);
    insta::assert_snapshot!(world.story());
}

#[test]
fn an_operator_tears_a_framework_down() {
    let mut world = running();
    let framework_id = world.framework_id.clone().unwrap();
    world.operator(OperatorCall::Teardown { framework_id });
    world.seconds(10);
    world.subscribe();
    insta::assert_snapshot!(world.story());
    assert_eq!(world.task_containers(), 0);
}

#[test]
fn maintenance_asks_then_takes() {
    let mut world = running();
    let window = Unavailability { start: world.now + Duration::from_secs(3600), duration: None };
    world.operator(OperatorCall::UpdateMaintenanceSchedule { windows: vec![(A0, window.clone())] });
    world.run(Duration::from_millis(10));
    assert_eq!(world.offers.last().unwrap().unavailability, Some(window));
    let asked = |world: &World| {
        let inverse = world.events.iter().filter_map(|event| match event {
            Event::InverseOffers(offers) => Some(offers.clone()),
            _ => None,
        });
        inverse.flatten().collect::<Vec<_>>()
    };
    let first = asked(&world);
    assert_eq!(first.len(), 1);
    world.seconds(20);
    assert_eq!(asked(&world).len(), 1, "one at a time");
    world.call(Call::DeclineInverseOffers { inverse_offer_ids: vec![first[0].id.clone()], refuse: None });
    world.seconds(7);
    assert_eq!(asked(&world).len(), 2, "an answer is advisory");
    assert_eq!(world.task_containers(), 2);
    world.story.clear();
    world.operator(OperatorCall::StartMaintenance { agents: vec![A0] });
    world.seconds(10);
    world.reconcile(&["A"]);
    world.fault(Fault::StartAgent { agent: A0 });
    world.seconds(10);
    assert!(world.offers.is_empty(), "it may not register");
    world.operator(OperatorCall::StopMaintenance { agents: vec![A0] });
    world.fault(Fault::StartAgent { agent: A0 });
    world.seconds(10);
    assert_eq!(world.offered_cpus(), 4.0);
    insta::assert_snapshot!(world.story());
}
