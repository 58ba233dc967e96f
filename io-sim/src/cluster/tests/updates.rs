//! Status updates: order, retries, acknowledgements, losses; reconciliation.

use std::time::Duration;

use podium_core::model::ids::AgentId;
use podium_core::model::mesos::{
    Call, FrameworkCapability, ReconcileTask, StatusReason, StatusSource, TaskState,
};
use uuid::Uuid;

use super::super::{AgentIndex, Exit, Fault, OperatorCall};
use super::harness::{A0, World, config, framework};

#[test]
fn the_head_is_sent_again_until_it_is_acknowledged() {
    let mut world = World::new(1);
    world.acknowledges = false;
    world.launch("pod", &["A"]);
    world.seconds(3);
    let first = world.updates[0].clone();
    world.tell("* a wrong acknowledgement");
    world.acknowledge(&first, Uuid::from_u128(1));
    world.seconds(15);
    world.end("A", Exit::Code(0));
    world.seconds(60);
    world.tell("* what reconciliation says meanwhile");
    world.reconcile(&["A"]);
    world.tell("* now acknowledging");
    world.acknowledges = true;
    world.acknowledge(&first, first.uuid.unwrap());
    world.seconds(1);
    world.tell("* again, too late");
    world.acknowledge(&first, first.uuid.unwrap());
    world.reconcile(&["A"]);
    insta::assert_snapshot!(world.story());
}

#[test]
fn retries_stop_growing_at_ten_minutes() {
    let mut world = World::new(1);
    world.acknowledges = false;
    world.launch("pod", &["A"]);
    world.seconds(4000);
    let times: Vec<_> = world.story().lines().filter(|line| line.contains("STARTING")).collect();
    let seconds: Vec<i64> =
        times.iter().map(|line| line.trim_start().split('.').next().unwrap().parse().unwrap()).collect();
    let gaps: Vec<i64> = seconds.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps, [10, 20, 40, 80, 160, 320, 600, 600, 600, 600, 600]);
}

#[test]
fn a_lost_update_comes_again() {
    let mut world = World::new(1);
    world.fault(Fault::DropUpdate { task_id: "A".into() });
    world.fault(Fault::DuplicateUpdate { task_id: "B".into() });
    world.launch("pod", &["A", "B"]);
    world.seconds(15);
    insta::assert_snapshot!(world.story());
}

#[test]
fn a_lost_acknowledgement_brings_the_update_again() {
    let mut world = World::new(1);
    world.fault(Fault::DropAcknowledgement { task_id: "A".into() });
    world.launch("pod", &["A"]);
    world.seconds(15);
    insta::assert_snapshot!(world.story());
}

#[test]
fn updates_wait_for_a_scheduler_that_is_away() {
    let mut world = World::new(1);
    world.launch("pod", &["A", "B"]);
    world.seconds(2);
    world.disconnect();
    world.end("A", Exit::Code(0));
    world.seconds(3);
    world.tell("* it is back");
    world.subscribe();
    world.run(Duration::from_millis(10));
    insta::assert_snapshot!(world.story());
}

#[test]
fn resources_are_free_before_the_scheduler_knows_why() {
    let mut world = World::new(1);
    world.acknowledges = false;
    world.launch("pod", &["A"]);
    world.seconds(2);
    world.end("A", Exit::Code(0));
    world.seconds(12);
    assert_eq!(world.offered_cpus(), 4.0);
    assert!(!world.story().contains("FINISHED"));
}

#[test]
fn what_is_asked_about_unknown_tasks() {
    let mut world = World::new(2);
    let agent_id = world.offers[0].agent_id.clone();
    let ask = |world: &mut World, agent_id: Option<&str>| {
        let agent_id = agent_id.map(Into::into);
        world.call(Call::Reconcile { tasks: vec![ReconcileTask { task_id: "X".into(), agent_id }] });
    };
    ask(&mut world, Some(agent_id.as_str()));
    ask(&mut world, None);
    ask(&mut world, Some("nope"));
    world.tell("* a kill is a question too");
    world.call(Call::Kill { task_id: "X".into(), agent_id: Some(agent_id.clone()), grace_period: None });
    world.call(Call::Kill { task_id: "X".into(), agent_id: None, grace_period: None });
    world.tell("* the agent is unreachable");
    let index = world.cluster.agents().find(|agent| agent.agent_id == Some(&agent_id)).unwrap().index;
    world.fault(Fault::Partition { agent: index, loss: false });
    world.seconds(100);
    ask(&mut world, Some(agent_id.as_str()));
    ask(&mut world, None);
    insta::assert_snapshot!(world.story());
}

/// Everything that a master may answer to the question how a task is, in the order in which it looks. A partition-aware
/// framework is told the first state, any other one the second; none where there is no answer.
#[test]
fn the_seven_answers_to_a_question() {
    use TaskState::{TaskGone, TaskGoneByOperator, TaskLost, TaskRunning, TaskUnknown, TaskUnreachable};
    const KNOWN: Option<usize> = Some(0);
    const UNREACHABLE: Option<usize> = Some(1);
    const GONE: Option<usize> = Some(2);
    const AWAITED: Option<usize> = Some(3);
    const NO_SUCH: Option<usize> = Some(4);
    let (latest, unknown) = ("Latest task state", "Task is unknown");
    // What is asked about, on which agent, and the answer; first while a new master waits for an agent, then when it
    // has given it up.
    let while_it_waits = [
        ("1 known task", "A", KNOWN, Some((TaskRunning, TaskRunning, latest))),
        ("1 without its agent", "A", None, Some((TaskRunning, TaskRunning, latest))),
        ("2a agent awaited", "X", AWAITED, None),
        ("2b no agent named, one awaited", "X", None, None),
        ("3 agent registered", "X", KNOWN, Some((TaskGone, TaskLost, "Task is unknown to the agent"))),
        ("4 agent unreachable", "X", UNREACHABLE, Some((TaskUnreachable, TaskLost, "Task is unreachable"))),
        ("5 agent gone", "X", GONE, Some((TaskGoneByOperator, TaskLost, "Task is gone"))),
        ("6 no such agent", "X", NO_SUCH, Some((TaskUnknown, TaskLost, unknown))),
    ];
    let afterwards = [
        ("4 agent given up", "X", AWAITED, Some((TaskUnreachable, TaskLost, "Task is unreachable"))),
        ("6 no agent named", "X", None, Some((TaskUnknown, TaskLost, unknown))),
    ];
    for is_aware in [true, false] {
        let mut framework = framework();
        if !is_aware {
            framework.capabilities.retain(|it| *it != FrameworkCapability::PartitionAware);
        }
        let mut world = World::with(config(4), framework);
        let id = |world: &World, index: u32| {
            world.cluster.agents().find(|agent| agent.index == AgentIndex(index)).unwrap().agent_id.cloned()
        };
        let mut agents: Vec<AgentId> = (0..4).map(|index| id(&world, index).unwrap()).collect();
        agents.push("nope".into());
        let at = world.offers.iter().position(|offer| offer.agent_id == agents[0]).unwrap();
        let offer = world.offers.remove(at);
        world.offers.push(offer);
        world.launch("pod", &["A"]);
        world.fault(Fault::Partition { agent: AgentIndex(1), loss: false });
        world.seconds(100);
        world.operator(OperatorCall::MarkAgentGone { agent_id: agents[2].clone() });
        world.fault(Fault::PowerOff { agent: AgentIndex(3) });
        world.fault(Fault::MasterFailover);
        for (seconds, rows) in [(20, &while_it_waits[..]), (600, &afterwards[..])] {
            world.seconds(seconds);
            if world.stream.is_none() {
                world.subscribe();
            }
            for (case, task, agent, answer) in rows {
                let case = format!("{case}, partition-aware: {is_aware}");
                let agent_id = agent.map(|index| agents[index].clone());
                world.updates.clear();
                let asked = ReconcileTask { task_id: (*task).into(), agent_id: agent_id.clone() };
                world.call(Call::Reconcile { tasks: vec![asked] });
                let Some((aware, unaware, text)) = *answer else {
                    assert_eq!(world.updates, [], "{case}");
                    continue;
                };
                let [update] = &world.updates[..] else { panic!("{case}: {:?}", world.updates) };
                assert_eq!(update.task_id.as_str(), *task, "{case}");
                assert_eq!(update.state, if is_aware { aware } else { unaware }, "{case}");
                assert_eq!(update.reason, Some(StatusReason::ReasonReconciliation), "{case}");
                assert_eq!(update.source, Some(StatusSource::SourceMaster), "{case}");
                assert_eq!(update.message, Some(format!("Reconciliation: {text}")), "{case}");
                assert_eq!(update.unreachable_time.is_some(), aware == TaskUnreachable, "{case}");
                assert_eq!(update.uuid, None, "{case}: there is nothing to acknowledge");
                assert!(
                    aware == TaskRunning || update.agent_id == agent_id,
                    "{case}: the agent as it was asked"
                );
            }
        }
    }
}

#[test]
fn a_kill_names_the_right_agent_or_does_nothing() {
    let mut world = World::new(1);
    world.launch("pod", &["A"]);
    world.seconds(2);
    world.call(Call::Kill { task_id: "A".into(), agent_id: Some("nope".into()), grace_period: None });
    world.seconds(2);
    assert_eq!(world.task_containers(), 1);
}

#[test]
fn agents_that_never_come_back_after_a_failover_become_unreachable() {
    let mut world = World::new(1);
    world.launch("pod", &["A"]);
    world.seconds(2);
    world.fault(Fault::PowerOff { agent: A0 });
    world.fault(Fault::MasterFailover);
    world.seconds(20);
    world.subscribe();
    world.reconcile(&["A"]);
    world.call(Call::Reconcile { tasks: vec![ReconcileTask { task_id: "A".into(), agent_id: None }] });
    world.seconds(580);
    world.reconcile(&["A"]);
    world.tell("* ten minutes are over");
    world.seconds(20);
    world.reconcile(&["A"]);
    world.call(Call::Reconcile { tasks: vec![ReconcileTask { task_id: "A".into(), agent_id: None }] });
    insta::assert_snapshot!(world.story());
}

#[test]
fn the_registry_forgets() {
    let mut config = config(1);
    config.master.registry_max_agent_age = Duration::from_secs(3600);
    let mut world = World::with(config, framework());
    world.launch("pod", &["A"]);
    world.seconds(2);
    world.fault(Fault::Partition { agent: A0, loss: false });
    world.seconds(3000);
    world.reconcile(&["A"]);
    world.seconds(3000);
    world.tell("* collected");
    world.reconcile(&["A"]);
    world.fault(Fault::Heal { agent: A0 });
    world.seconds(10);
    insta::assert_snapshot!(world.story());
}
