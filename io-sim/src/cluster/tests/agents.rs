//! Agents: partitions, restarts, new identities.

use podium_core::model::mesos::FrameworkCapability;

use super::super::{AgentStanding, Exit, Fault};
use super::harness::{A0, World, config, framework};

fn running(mut world: World) -> World {
    world.launch("pod", &["A", "B"]);
    world.seconds(2);
    world
}

fn not_partition_aware() -> podium_core::model::mesos::FrameworkInfo {
    let mut framework = framework();
    framework.capabilities.retain(|capability| *capability != FrameworkCapability::PartitionAware);
    framework
}

fn not_checkpointing() -> podium_core::model::mesos::FrameworkInfo {
    podium_core::model::mesos::FrameworkInfo { checkpoint: false, ..framework() }
}

fn restart(world: &mut World, down: u64) {
    world.fault(Fault::StopAgent { agent: A0 });
    world.seconds(down);
    world.tell("* the agent starts");
    world.fault(Fault::StartAgent { agent: A0 });
}

#[test]
fn a_short_partition_is_not_noticed() {
    let mut world = running(World::new(1));
    world.fault(Fault::Partition { agent: A0, loss: false });
    world.end("A", Exit::Code(0));
    world.seconds(60);
    assert!(!world.story().contains("FINISHED"));
    world.fault(Fault::Heal { agent: A0 });
    world.seconds(30);
    insta::assert_snapshot!(world.story());
}

#[test]
fn losing_messages_breaks_the_connection() {
    let mut world = running(World::new(1));
    world.fault(Fault::Partition { agent: A0, loss: true });
    world.launch("other", &["C"]);
    world.kill("B", None);
    world.seconds(20);
    world.tell("* healed");
    world.fault(Fault::Heal { agent: A0 });
    world.seconds(30);
    insta::assert_snapshot!(world.story());
    assert_eq!(world.task_containers(), 0, "the kill is remembered, the launch dropped");
}

#[test]
fn lost_to_frameworks_that_know_no_better() {
    let mut world = running(World::with(config(1), not_partition_aware()));
    world.fault(Fault::Partition { agent: A0, loss: false });
    world.seconds(100);
    world.reconcile(&["A"]);
    world.fault(Fault::Heal { agent: A0 });
    world.seconds(5);
    insta::assert_snapshot!(world.story());
    assert_eq!(world.task_containers(), 2, "nothing is killed");
}

#[test]
fn kills_are_forgotten_with_the_agent() {
    let mut world = running(World::new(1));
    world.fault(Fault::Partition { agent: A0, loss: true });
    world.kill("A", None);
    world.seconds(100);
    world.tell("* a kill while it is unreachable");
    world.kill("A", None);
    world.fault(Fault::Heal { agent: A0 });
    world.seconds(100);
    assert_eq!(world.task_containers(), 2);
    world.kill("A", None);
    world.seconds(5);
    insta::assert_snapshot!(world.story());
    assert_eq!(world.task_containers(), 0);
}

#[test]
fn a_checkpointing_framework_survives_an_agent_restart() {
    let mut world = running(World::new(1));
    world.fault(Fault::StopAgent { agent: A0 });
    world.end("A", Exit::Code(0));
    world.seconds(5);
    world.reconcile(&["A", "B"]);
    world.tell("* the agent starts");
    world.fault(Fault::StartAgent { agent: A0 });
    world.seconds(10);
    world.kill("B", None);
    world.seconds(5);
    insta::assert_snapshot!(world.story());
    assert_eq!(world.offered_cpus(), 4.0);
}

#[test]
fn without_checkpointing_everything_is_lost() {
    let mut world = running(World::with(config(1), not_checkpointing()));
    restart(&mut world, 5);
    world.seconds(10);
    insta::assert_snapshot!(world.story());
    assert_eq!(world.task_containers(), 0);
    assert_eq!(world.offered_cpus(), 4.0);
}

#[test]
fn an_executor_that_died_with_its_agent_is_gone() {
    for framework in [framework(), not_partition_aware()] {
        let mut world = running(World::with(config(1), framework));
        world.fault(Fault::StopAgent { agent: A0 });
        let container = world.executor_container();
        world.fault(Fault::KillExecutor { container, signal: 9 });
        world.seconds(3);
        world.tell("* the agent starts");
        world.fault(Fault::StartAgent { agent: A0 });
        world.seconds(10);
        let aware = world.story().contains("GONE");
        insta::assert_snapshot!(if aware { "executor_gone" } else { "executor_lost" }, world.story());
        assert_eq!(world.task_containers(), 0);
    }
}

#[test]
fn a_group_that_was_being_launched_falls_with_the_agent() {
    let mut world = World::new(1);
    world.launch("pod", &["A", "B"]);
    world.run(std::time::Duration::from_millis(150));
    restart(&mut world, 1);
    world.seconds(10);
    insta::assert_snapshot!(world.story());
    assert_eq!(world.task_containers(), 0);
}

#[test]
fn a_wiped_agent_is_a_new_one() {
    let mut world = running(World::new(1));
    world.fault(Fault::StopAgent { agent: A0 });
    world.fault(Fault::WipeAgent { agent: A0, keeps_disk: false });
    world.seconds(2);
    world.tell("* the agent starts");
    world.fault(Fault::StartAgent { agent: A0 });
    world.seconds(5);
    world.reconcile(&["A"]);
    world.tell("* the same task id again");
    world.launch("pod", &["A"]);
    world.seconds(2);
    insta::assert_snapshot!(world.story());
    assert_eq!(world.task_containers(), 1, "what the old one ran was cleaned up");
}

#[test]
fn an_orderly_leave_loses_the_tasks() {
    let mut world = running(World::new(1));
    world.fault(Fault::ShutDownAgent { agent: A0 });
    world.seconds(10);
    world.reconcile(&["A"]);
    insta::assert_snapshot!(world.story());
    assert_eq!(world.task_containers(), 0);
    let agent = world.cluster.agents().next().unwrap();
    assert_eq!((agent.running, agent.standing), (false, AgentStanding::Unknown));
    world.fault(Fault::StartAgent { agent: A0 });
    world.seconds(2);
    assert_eq!(world.offered_cpus(), 4.0);
}

#[test]
fn a_stopped_agent_goes_on_where_it_was() {
    let mut world = running(World::new(1));
    world.fault(Fault::SuspendAgent { agent: A0 });
    world.end("A", Exit::Code(0));
    world.seconds(100);
    world.tell("* it goes on");
    world.fault(Fault::ResumeAgent { agent: A0 });
    world.seconds(5);
    insta::assert_snapshot!(world.story());
}

#[test]
fn a_framework_that_was_removed_meanwhile_is_shut_down() {
    let mut world = running(World::new(1));
    world.fault(Fault::Partition { agent: A0, loss: true });
    world.seconds(100);
    world.call(podium_core::model::mesos::Call::Teardown);
    world.seconds(10);
    assert_eq!(world.task_containers(), 2);
    world.fault(Fault::Heal { agent: A0 });
    world.seconds(100);
    assert_eq!(world.task_containers(), 0);
}
