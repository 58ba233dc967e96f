//! Launches that a master refuses, and kills and reuse around launches.

use std::time::Duration;

use podium_core::model::ids::{OfferId, Role};
use podium_core::model::mesos::{
    Check, CommandInfo, ContainerInfo, ExecutorInfo, ExecutorKind, HealthCheck, Image, ImageKind,
    LaunchGroup, LinuxInfo, NetworkInfo, Operation, OperationInfo, PortRange, Probe, Resource, TaskInfo,
};

use super::super::{Exit, Fault};
use super::harness::{A0, World, resources, task};

fn command() -> CommandInfo {
    CommandInfo {
        shell: true,
        value: None,
        arguments: Vec::new(),
        environment: Vec::new(),
        uris: Vec::new(),
        user: None,
    }
}

fn health_check(probe: Option<Probe>) -> HealthCheck {
    HealthCheck {
        probe,
        delay: Duration::ZERO,
        interval: Duration::from_secs(1),
        timeout: Duration::ZERO,
        consecutive_failures: 3,
        grace_period: Duration::ZERO,
    }
}

fn linux(share_cgroups: bool) -> ContainerInfo {
    let linux_info = LinuxInfo { share_cgroups: Some(share_cgroups), ..LinuxInfo::default() };
    ContainerInfo { linux_info: Some(linux_info), ..ContainerInfo::default() }
}

fn ports(begin: u64) -> Resource {
    Resource::ports(vec![PortRange { begin, end: begin }])
}

type Change = fn(&mut ExecutorInfo, &mut TaskInfo);

/// One wrong thing each; the answers are a snapshot.
const INVALID: &[(&str, Change)] = &[
    ("executor cpus 0.001", |executor, _| executor.resources = resources(0.001, 32.0, 10.0)),
    ("executor mem 16", |executor, _| executor.resources = resources(0.1, 16.0, 10.0)),
    ("executor without disk", |executor, _| executor.resources.truncate(2)),
    ("executor without resources", |executor, _| executor.resources.clear()),
    ("executor without type", |executor, _| executor.kind = None),
    ("executor without framework id", |executor, _| executor.framework_id = None),
    ("executor of another framework", |executor, _| executor.framework_id = Some("other".into())),
    ("default executor with command", |executor, _| executor.command = Some(command())),
    ("default executor with image", |executor, _| {
        let image = Image {
            kind: ImageKind::Docker,
            name: "x".to_owned(),
            pull_config: None,
            cached: None,
            labels: Vec::new(),
        };
        executor.container = Some(ContainerInfo { image: Some(image), ..ContainerInfo::default() });
    }),
    ("executor with Docker container", |executor, _| {
        executor.container = Some(ContainerInfo { docker: true, ..ContainerInfo::default() });
    }),
    ("custom executor without command", |executor, _| executor.kind = Some(ExecutorKind::Custom)),
    ("executor that shares control groups", |executor, _| executor.container = Some(linux(true))),
    ("executor id with slash", |executor, _| executor.executor_id = "a/b".into()),
    ("more cpus than offered", |_, task| task.resources = resources(100.0, 32.0, 10.0)),
    ("port that is not offered", |_, task| task.resources.push(ports(5))),
    ("port named twice", |executor, task| {
        executor.resources.push(ports(31_000));
        task.resources.push(ports(31_000));
    }),
    ("resources of another role", |_, task| {
        for item in &mut task.resources {
            item.allocation_role = Some(Role::new("other"));
        }
    }),
    ("resources of two roles", |_, task| task.resources[0].allocation_role = Some(Role::new("other"))),
    ("no resources", |_, task| task.resources.clear()),
    ("negative cpus", |_, task| task.resources = resources(-1.0, 32.0, 10.0)),
    ("another agent", |_, task| task.agent_id = "nope".into()),
    ("task id with slash", |_, task| task.task_id = "x/y".into()),
    ("empty task id", |_, task| task.task_id = "".into()),
    ("dots as task id", |_, task| task.task_id = "..".into()),
    ("health check without type", |_, task| task.health_check = Some(health_check(None))),
    ("health check path without slash", |_, task| {
        let probe = Probe::Http { port: 1, path: Some("x".to_owned()), scheme: None };
        task.health_check = Some(health_check(Some(probe)));
    }),
    ("health check without command", |_, task| {
        task.health_check = Some(health_check(Some(Probe::Command(command()))));
    }),
    ("check without type", |_, task| {
        let delay = Duration::ZERO;
        task.check = Some(Check { probe: None, delay, interval: delay, timeout: delay });
    }),
    ("Docker container", |_, task| {
        task.container = Some(ContainerInfo { docker: true, ..ContainerInfo::default() });
    }),
    ("network check apart from the pod's network", |_, task| {
        let network =
            NetworkInfo { name: Some("n".to_owned()), labels: Vec::new(), port_mappings: Vec::new() };
        task.container = Some(ContainerInfo { network_infos: vec![network], ..ContainerInfo::default() });
        task.health_check = Some(health_check(Some(Probe::Tcp { port: 1 })));
    }),
    ("limit in a shared control group", |_, task| _ = task.limits.insert("cpus".to_owned(), 1.0)),
    ("limit of disk", |_, task| _ = task.limits.insert("disk".to_owned(), 1.0)),
    ("limit below request", |_, task| {
        task.container = Some(linux(false));
        task.limits.insert("mem".to_owned(), 1.0);
    }),
];

#[test]
fn every_wrong_launch_is_refused_in_mesos_words() {
    let mut table = String::new();
    for (name, change) in INVALID {
        let mut world = World::new(1);
        let offer = world.offers.pop().unwrap();
        let mut executor = world.executor("pod");
        let (mut first, second) = (task(&offer, "A"), task(&offer, "B"));
        change(&mut executor, &mut first);
        let group = LaunchGroup { executor, tasks: vec![first, second] };
        let info = OperationInfo::LaunchGroup(Box::new(group));
        world.accept(vec![offer.id], vec![Operation { id: None, info }]);
        world.seconds(2);
        let updates = world.updates.clone();
        let lines: Vec<String> = updates.iter().map(|status| world.describe(status)).collect();
        let [first, second] = &lines[..] else { panic!("{name}: {lines:?}") };
        let without_id = |line: &str| line.split_once(' ').unwrap().1.to_owned();
        assert_eq!(without_id(first), without_id(second), "{name}: every member hears the same");
        assert_eq!(world.offered_cpus(), 4.0, "{name}: nothing is used");
        let master = world.framework_id.unwrap().as_str().trim_end_matches("-0000").to_owned();
        let refusal = without_id(first).replace(&master, "MASTER");
        table.push_str(&format!("{name}: {refusal}\n"));
    }
    insta::assert_snapshot!(table);
}

#[test]
fn no_processor_is_allowed() {
    let mut world = World::new(1);
    let offer = world.offers[0].clone();
    let mut idle = task(&offer, "A");
    idle.resources = resources(0.0, 32.0, 10.0);
    world.launch_tasks("pod", vec![idle]);
    world.seconds(2);
    assert!(world.story().contains("A RUNNING"));
}

#[test]
fn ids_in_use_cannot_be_used_again() {
    let mut world = World::new(1);
    world.acknowledges = false;
    world.launch("pod", &["A"]);
    world.seconds(2);
    world.launch("other", &["A"]);
    world.acknowledges = true;
    world.seconds(20);
    world.end("A", Exit::Code(0));
    world.seconds(2);
    world.tell("* after its end is acknowledged");
    world.launch("third", &["A"]);
    world.seconds(2);
    insta::assert_snapshot!(world.story());
}

#[test]
fn a_live_executor_takes_further_groups_if_it_is_the_same() {
    let mut world = World::new(1);
    world.launch("pod", &["A"]);
    world.seconds(2);
    world.launch("pod", &["B", "C"]);
    world.seconds(2);
    let offer = world.offers.pop().unwrap();
    let mut executor = world.executor("pod");
    executor.resources = resources(0.2, 32.0, 10.0);
    let group = LaunchGroup { executor, tasks: vec![task(&offer, "D")] };
    let info = OperationInfo::LaunchGroup(Box::new(group));
    world.accept(vec![offer.id], vec![Operation { id: None, info }]);
    assert!(
        world
            .updates
            .last()
            .unwrap()
            .message
            .as_deref()
            .unwrap()
            .starts_with("ExecutorInfo is not compatible")
    );
    world.tell("* a group does not fall with another");
    world.end("B", Exit::Code(1));
    world.seconds(2);
    assert_eq!(world.task_containers(), 1);
    assert_eq!(world.cluster.executors().count(), 1);
}

#[test]
fn an_executor_id_waits_for_the_last_acknowledgement() {
    let mut world = World::new(1);
    world.launch("pod", &["A"]);
    world.seconds(2);
    world.acknowledges = false;
    world.end("A", Exit::Code(0));
    world.seconds(2);
    world.tell("* the same executor again");
    world.launch("pod", &["A2"]);
    world.seconds(2);
    insta::assert_snapshot!(world.story());
    assert_eq!(world.task_containers(), 0);
}

#[test]
fn bad_offers_drop_the_launch() {
    let mut world = World::new(2);
    let offers = std::mem::take(&mut world.offers);
    let launch = |world: &World, name: &str| {
        let group = LaunchGroup { executor: world.executor(name), tasks: vec![task(&offers[0], name)] };
        vec![Operation { id: None, info: OperationInfo::LaunchGroup(Box::new(group)) }]
    };
    let [first, second] = [offers[0].id.clone(), offers[1].id.clone()];
    for (name, ids) in [
        ("none", vec![]),
        ("unknown", vec![OfferId::new("nope")]),
        ("agents", vec![first.clone(), second.clone()]),
        ("used", vec![first]),
        ("twice", vec![second.clone(), second]),
    ] {
        let operations = launch(&world, name);
        world.accept(ids, operations);
    }
    let master = world.framework_id.clone().unwrap().as_str().trim_end_matches("-0000").to_owned();
    insta::assert_snapshot!(world.story().replace(&master, "MASTER"));
    world.seconds(2);
    assert_eq!(world.offered_cpus(), 8.0, "offers named in a bad call are given back");
}

#[test]
fn an_id_on_a_launch_is_refused() {
    let mut world = World::new(1);
    let offer = world.offers.pop().unwrap();
    let group = LaunchGroup { executor: world.executor("pod"), tasks: vec![task(&offer, "A")] };
    let info = OperationInfo::LaunchGroup(Box::new(group));
    world.accept(vec![offer.id], vec![Operation { id: Some("x".to_owned()), info }]);
    insta::assert_snapshot!(world.story());
}

#[test]
fn a_single_task_can_be_launched() {
    let mut world = World::new(1);
    let offer = world.offers.pop().unwrap();
    let (good, mut bad) = (task(&offer, "A"), task(&offer, "B"));
    bad.command = None;
    let info = OperationInfo::Launch(vec![good, bad]);
    world.accept(vec![offer.id], vec![Operation { id: None, info }]);
    world.seconds(2);
    world.end("A", Exit::Code(0));
    world.seconds(2);
    insta::assert_snapshot!(world.story());
}

#[test]
fn a_launch_to_a_stopped_agent_waits() {
    let mut world = World::new(1);
    world.fault(Fault::SuspendAgent { agent: A0 });
    world.launch("pod", &["A"]);
    world.seconds(6);
    world.reconcile(&["A"]);
    world.fault(Fault::ResumeAgent { agent: A0 });
    world.seconds(2);
    insta::assert_snapshot!(world.story());
}

#[test]
fn a_launch_that_never_reached_the_agent_is_dropped_at_its_return() {
    let mut world = World::new(1);
    world.launch("seed", &["S"]);
    world.seconds(2);
    world.fault(Fault::SuspendAgent { agent: A0 });
    world.launch("pod", &["A", "B"]);
    world.seconds(2);
    world.fault(Fault::StopAgent { agent: A0 });
    world.seconds(1);
    world.tell("* a kill for later");
    world.kill("S", None);
    world.fault(Fault::StartAgent { agent: A0 });
    world.seconds(10);
    insta::assert_snapshot!(world.story());
    assert_eq!(world.task_containers(), 0);
}
