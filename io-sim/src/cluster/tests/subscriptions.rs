//! Subscriptions: who is let in, who takes over, and what calls are refused.

use std::time::Duration;

use podium_core::model::ids::Role;
use podium_core::model::mesos::{Call, FrameworkInfo};

use super::super::{Answer, Exit, Fault, StreamId};
use super::harness::{World, config, framework};

type Change = fn(&mut FrameworkInfo);

const INVALID: &[(&str, Change)] = &[
    ("role with MULTI_ROLE", |info| info.role = Some(Role::new("a"))),
    ("roles without MULTI_ROLE", |info| info.capabilities.clear()),
    ("role twice", |info| info.roles = vec![Role::new("a"), Role::new("a")]),
    ("role with space", |info| info.roles = vec![Role::new("a b")]),
    ("empty role", |info| info.roles = vec![Role::new("")]),
    ("role with dash", |info| info.roles = vec![Role::new("-a")]),
    ("role with star", |info| info.roles = vec![Role::new("*/a")]),
    ("role with two slashes", |info| info.roles = vec![Role::new("a//b")]),
];

#[test]
fn wrong_frameworks_hear_why() {
    let mut stories = String::new();
    for (name, change) in INVALID {
        let mut info = framework();
        change(&mut info);
        let world = World::with(config(1), info);
        assert_eq!(world.answers[0].1, Answer::Ok, "{name}: the response itself is fine");
        stories.push_str(&format!("{name}\n{}", world.story()));
    }
    insta::assert_snapshot!(stories);
}

#[test]
fn roles_may_be_forbidden() {
    let mut config = config(1);
    config.master.permitted_roles = Some(vec![Role::new("other")]);
    let world = World::with(config, framework());
    // Both blanks are Mesos' own.
    assert!(world.story().contains("Not authorized to register framework  with roles { pods }"));
}

#[test]
fn calls_are_checked_in_order() {
    let mut world = World::new(1);
    let stream = world.stream.clone();
    let revive = || Call::Revive { roles: Vec::new() };
    world.stream = None;
    world.call(revive());
    world.stream = Some(StreamId("x".into()));
    world.call(revive());
    let framework_id = world.framework_id.replace("unknown".into());
    world.call(revive());
    world.framework_id = None;
    world.call(revive());
    world.framework_id = framework_id;
    world.stream = stream;
    let info = FrameworkInfo { id: None, ..world.framework.clone() };
    world.call(Call::UpdateFramework { framework_info: info, suppressed_roles: Vec::new() });
    world.disconnect();
    world.call(revive());
    world.fault(Fault::StopMaster);
    world.call(revive());
    world.fault(Fault::StartMaster);
    world.call(revive());
    world.seconds(1);
    world.call(revive());
    let id = world.framework_id.clone().unwrap();
    insta::assert_snapshot!(world.story().replace(id.as_str(), "FRAMEWORK"));
}

#[test]
fn a_subscription_states_the_same_id_twice() {
    let mut world = World::new(1);
    world.framework.id = Some("another".into());
    let request = world.subscribe();
    let text =
        "Failed to validate scheduler::Call: 'framework_id' differs from 'subscribe.framework_info.id'";
    let refused = Answer::Rejected { status: 400, message: text.to_owned() };
    assert_eq!(world.answers.last().unwrap(), &(request, refused));
}

#[test]
fn an_unknown_id_is_believed() {
    let mut world = World::new(1);
    world.framework_id = Some("made-up-0007".into());
    world.subscribe();
    assert!(world.story().ends_with("SUBSCRIBED 0007\n"), "{}", world.story());
    let mut world = World::new(1);
    world.framework_id = Some("a/b".into());
    world.subscribe();
    assert!(world.story().contains("'a/b' contains invalid characters"), "{}", world.story());
}

#[test]
fn a_framework_changes_its_roles() {
    let mut world = World::new(2);
    world.chatty = true;
    let mut info = FrameworkInfo { id: world.framework_id.clone(), ..framework() };
    info.roles = vec![Role::new("other")];
    let update = |info: &FrameworkInfo| Call::UpdateFramework {
        framework_info: info.clone(),
        suppressed_roles: Vec::new(),
    };
    assert_eq!(world.call(update(&info)), Answer::Ok);
    world.run(Duration::from_millis(10));
    info.user = "daemon".to_owned();
    world.call(update(&info));
    info.user = "root".to_owned();
    info.principal = Some("p".to_owned());
    world.call(update(&info));
    insta::assert_snapshot!(world.story());
}

#[test]
fn what_cannot_change_is_kept_silently() {
    let mut world = World::new(1);
    world.framework.checkpoint = false;
    world.framework.user = "daemon".to_owned();
    world.framework.name = "renamed".to_owned();
    world.subscribe();
    let framework = world.cluster.frameworks().next().unwrap();
    assert_eq!(
        (framework.info.checkpoint, framework.info.user.as_str(), framework.info.name.as_str()),
        (true, "root", "renamed")
    );
}

#[test]
fn without_a_failover_timeout_the_end_of_the_stream_is_the_end() {
    let mut info = framework();
    info.failover_timeout = Duration::ZERO;
    let mut world = World::with(config(1), info);
    world.launch("pod", &["A"]);
    world.seconds(2);
    world.disconnect();
    world.seconds(10);
    assert_eq!(world.task_containers(), 0);
    assert_eq!(world.cluster.frameworks().count(), 0);
}

#[test]
fn a_framework_in_time_keeps_its_tasks() {
    let mut world = World::new(1);
    world.launch("pod", &["A"]);
    world.seconds(2);
    world.disconnect();
    world.seconds(599);
    world.subscribe();
    world.seconds(700);
    assert_eq!(world.task_containers(), 1, "the timer of the first absence is off");
}

#[test]
fn removed_frameworks_are_forgotten_in_time() {
    let mut config = config(1);
    config.master.max_completed_frameworks = 1;
    let mut world = World::with(config, framework());
    let first = world.framework_id.clone();
    world.call(Call::Teardown);
    world.framework_id = None;
    world.subscribe();
    world.call(Call::Teardown);
    world.framework_id = first;
    world.subscribe();
    assert!(world.stream.is_some(), "the older one is unknown again: {}", world.story());
}

#[test]
fn what_a_removed_framework_used_is_free_at_once() {
    let mut world = World::new(1);
    let whole = world.offers[0].resources.clone();
    world.launch("pod", &["A"]);
    world.seconds(2);
    world.call(Call::Teardown);
    world.framework_id = None;
    world.subscribe();
    world.seconds(2);
    assert_eq!(world.offers[0].resources, whole);
    assert_eq!(world.task_containers(), 0, "its agents were told to end what it ran");
}

#[test]
fn heartbeats_come_every_fifteen_seconds() {
    let mut world = World::new(0);
    world.chatty = true;
    world.seconds(46);
    insta::assert_snapshot!(world.story());
}

#[test]
fn after_a_failover_agents_bring_their_frameworks_back() {
    let mut world = World::new(1);
    world.launch("pod", &["A"]);
    world.seconds(2);
    world.fault(Fault::MasterFailover);
    world.seconds(30);
    let framework = world.cluster.frameworks().next().unwrap();
    assert!(framework.recovered);
    assert_eq!(world.cluster.tasks().count(), 1);
    world.end("A", Exit::Code(0));
    world.seconds(5);
    world.subscribe();
    world.seconds(2);
    insta::assert_snapshot!(world.story());
}
