//! The default executor: kills in every phase, checks, limits of time, and its own end.

use std::time::Duration;

use podium_core::model::mesos::{Call, Check, FrameworkCapability, HealthCheck, Probe, TaskState};

use super::super::{ContainerEvent, Exit, Fault, ProbeResult};
use super::harness::{A0, World, config, framework, task};

fn health_check(interval: u64, grace: u64) -> HealthCheck {
    HealthCheck {
        probe: Some(Probe::Tcp { port: 80 }),
        delay: Duration::from_secs(1),
        interval: Duration::from_secs(interval),
        timeout: Duration::from_secs(2),
        consecutive_failures: 3,
        grace_period: Duration::from_secs(grace),
    }
}

fn world_with_health_check(check: HealthCheck) -> World {
    let mut world = World::new(1);
    let offer = world.offers[0].clone();
    let (mut first, second) = (task(&offer, "A"), task(&offer, "B"));
    first.health_check = Some(check);
    world.launch_tasks("pod", vec![first, second]);
    world
}

#[test]
fn each_member_has_its_own_grace_period_when_each_is_killed() {
    let mut world = World::new(1);
    let offer = world.offers[0].clone();
    let (mut first, second) = (task(&offer, "A=deaf"), task(&offer, "B=deaf"));
    first.kill_grace_period = Some(Duration::from_secs(8));
    world.launch_tasks("pod", vec![first, second]);
    world.seconds(2);
    world.kill("A", None);
    world.kill("B", Some(5));
    world.kill("A", Some(0));
    world.seconds(12);
    insta::assert_snapshot!(world.story());
}

#[test]
fn a_kill_policy_does_not_help_a_sibling() {
    let mut world = World::new(1);
    let offer = world.offers[0].clone();
    let (first, mut second) = (task(&offer, "A"), task(&offer, "B=deaf"));
    second.kill_grace_period = Some(Duration::from_secs(60));
    world.launch_tasks("pod", vec![first, second]);
    world.seconds(2);
    world.end("A", Exit::Signal { number: 11, core: true });
    world.seconds(5);
    insta::assert_snapshot!(world.story());
}

#[test]
fn a_kill_between_starting_and_running_is_lost() {
    let mut world = World::new(1);
    world.launch("pod", &["A", "B"]);
    world.run(Duration::from_millis(150));
    assert!(world.story().contains("A STARTING") && !world.story().contains("RUNNING"));
    world.kill("A", None);
    world.seconds(5);
    assert_eq!(world.task_containers(), 2, "{}", world.story());
    world.kill("A", None);
    world.seconds(5);
    assert_eq!(world.task_containers(), 0);
}

#[test]
fn exit_0_after_a_kill_is_killed() {
    let mut world = World::new(1);
    world.launch("pod", &["A=deaf"]);
    world.seconds(2);
    world.kill("A", None);
    world.end("A", Exit::Code(0));
    let last = world.updates.last().unwrap();
    assert_eq!(
        (last.state, last.message.as_deref()),
        (TaskState::TaskKilled, Some("Command exited with status 0"))
    );
}

#[test]
fn without_the_capability_there_is_no_killing_state() {
    let mut framework = framework();
    framework.capabilities.retain(|capability| *capability != FrameworkCapability::TaskKillingState);
    let mut world = World::with(config(1), framework);
    world.launch("pod", &["A"]);
    world.seconds(2);
    world.kill("A", None);
    world.seconds(2);
    assert!(world.updates.iter().all(|status| status.state != TaskState::TaskKilling));
}

#[test]
fn bad_health_kills_and_marks_all_members() {
    let mut world = world_with_health_check(health_check(1, 0));
    world.probes.insert("A".to_owned(), ProbeResult::Tcp(true));
    world.seconds(4);
    world.probes.insert("A".to_owned(), ProbeResult::Tcp(false));
    world.seconds(6);
    insta::assert_snapshot!(world.story());
}

#[test]
fn health_recovers() {
    let mut world = world_with_health_check(health_check(1, 0));
    world.run(Duration::from_millis(700));
    for healthy in [true, false, false, true, true] {
        world.probes.insert("A".to_owned(), ProbeResult::Tcp(healthy));
        world.run(Duration::from_millis(1050));
    }
    world.seconds(10);
    let health: Vec<_> = world.updates.iter().filter_map(|status| status.healthy).collect();
    assert_eq!(health, [true, false, false, true], "failures each time, successes on change");
}

#[test]
fn failures_in_the_grace_period_do_not_count() {
    let mut world = world_with_health_check(health_check(1, 10));
    world.probes.insert("A".to_owned(), ProbeResult::Tcp(false));
    world.seconds(9);
    assert!(world.updates.iter().all(|status| status.healthy.is_none()));
    world.seconds(10);
    assert!(world.story().contains("A KILLED"));
}

#[test]
fn a_success_ends_the_grace_period() {
    let mut world = world_with_health_check(health_check(1, 1000));
    world.probes.insert("A".to_owned(), ProbeResult::Tcp(true));
    world.seconds(3);
    world.probes.insert("A".to_owned(), ProbeResult::Tcp(false));
    world.seconds(6);
    assert!(world.story().contains("A KILLED"));
}

#[test]
fn a_probe_without_an_answer_times_out() {
    let mut world = world_with_health_check(health_check(1, 0));
    // No result at all: each look takes its two seconds, then one second passes.
    world.seconds(20);
    let failures: Vec<_> = world
        .updates
        .iter()
        .filter(|status| status.healthy == Some(false) && status.state == TaskState::TaskRunning)
        .map(|status| status.timestamp.unwrap().as_millis())
        .collect();
    assert_eq!(failures, [3201, 6201, 9201]);
}

#[test]
fn checks_only_report() {
    let mut world = World::new(1);
    let offer = world.offers[0].clone();
    let mut checked = task(&offer, "A");
    let second = Duration::from_secs(1);
    let probe = Some(Probe::Http { port: 80, path: None, scheme: None });
    checked.check = Some(Check { probe, delay: second, interval: second, timeout: second });
    world.launch_tasks("pod", vec![checked]);
    for result in [
        ProbeResult::Http(200),
        ProbeResult::Http(200),
        ProbeResult::Http(500),
        ProbeResult::Failed("x".into()),
    ] {
        world.probes.insert("A".to_owned(), result);
        world.run(Duration::from_millis(1100));
    }
    world.seconds(10);
    insta::assert_snapshot!(world.story());
    assert_eq!(world.task_containers(), 1);
}

#[test]
fn a_task_may_run_only_so_long() {
    let mut world = World::new(1);
    let offer = world.offers[0].clone();
    let (mut first, second) = (task(&offer, "A=deaf"), task(&offer, "B"));
    first.max_completion_time = Some(Duration::from_secs(3));
    first.kill_grace_period = Some(Duration::from_secs(10));
    world.launch_tasks("pod", vec![first, second]);
    world.seconds(6);
    insta::assert_snapshot!(world.story());
}

#[test]
fn shutdown_ends_all_members() {
    let mut world = World::new(1);
    world.launch("pod", &["A", "B=deaf"]);
    world.seconds(2);
    let agent_id = world.updates[0].agent_id.clone().unwrap();
    world.call(Call::Shutdown { executor_id: "pod".into(), agent_id });
    world.seconds(6);
    insta::assert_snapshot!(world.story());
}

#[test]
fn a_hanging_executor_is_destroyed_after_its_grace_period() {
    let mut world = World::new(1);
    world.launch("pod", &["A", "B"]);
    world.seconds(2);
    let container = world.executor_container();
    world.fault(Fault::SuspendExecutor { container });
    world.kill("A", None);
    world.seconds(8);
    world.tell("* SHUTDOWN");
    let agent_id = world.updates[0].agent_id.clone().unwrap();
    world.call(Call::Shutdown { executor_id: "pod".into(), agent_id });
    world.seconds(6);
    insta::assert_snapshot!(world.story());
    assert_eq!(world.task_containers(), 0);
}

#[test]
fn a_hanging_executor_goes_on() {
    let mut world = World::new(1);
    world.launch("pod", &["A", "B"]);
    world.seconds(2);
    let container = world.executor_container();
    world.fault(Fault::SuspendExecutor { container: container.clone() });
    world.end("A", Exit::Code(0));
    world.kill("B", None);
    world.seconds(8);
    world.tell("* it goes on");
    world.fault(Fault::ResumeExecutor { container });
    world.seconds(6);
    insta::assert_snapshot!(world.story());
}

#[test]
fn an_executor_that_never_registers_is_given_up() {
    let mut world = World::new(1);
    world.fault(Fault::ExecutorsHang { agent: A0, hang: true });
    world.launch("pod", &["A", "B"]);
    world.seconds(65);
    insta::assert_snapshot!(world.story());
}

#[test]
fn an_executor_that_cannot_be_launched_fails_all() {
    let mut world = World::new(1);
    world.launch("pod", &["A", "B"]);
    let container = world.executor_container();
    world.container_event(ContainerEvent::LaunchFailed {
        container,
        message: "Unknown CNI network 'nonet'".to_owned(),
    });
    world.seconds(2);
    insta::assert_snapshot!(world.story());
}

#[test]
fn an_executor_waits_for_its_agent_to_take_the_last_updates() {
    let mut config = config(1);
    config.links.agent_executor = super::super::Latency::millis(200, 200);
    let mut world = World::with(config, framework());
    world.launch("pod", &["A"]);
    world.seconds(2);
    world.end("A", Exit::Code(0));
    world.run(Duration::from_millis(350));
    assert!(world.cluster.executors().all(|executor| executor.alive), "the confirmation is on its way");
    world.seconds(1);
    assert_eq!(world.cluster.executors().count(), 0);
}
