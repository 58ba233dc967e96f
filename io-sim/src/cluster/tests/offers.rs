//! Offers: what is offered when, filters, suppression, rescission, several roles, reservations.

use std::time::Duration;

use podium_core::model::ids::Role;
use podium_core::model::mesos::{
    Call, FaultDomain, FrameworkCapability, Operation, OperationInfo, Reservation, ReservationType, Resource,
    ResourceKind,
};
use podium_core::model::number::Scalar;

use super::super::Fault;
use super::harness::{A0, World, config, framework, resources, task};

fn decline(world: &mut World, refuse: Option<u64>) {
    let offer = world.offers.pop().unwrap();
    let refuse = refuse.map(Duration::from_secs);
    world.call(Call::Decline { offer_ids: vec![offer.id], refuse });
}

/// How long until there is an offer again.
fn until_offer(world: &mut World) -> u64 {
    let start = world.now;
    while world.offers.is_empty() {
        world.run(Duration::from_millis(100));
        assert!(world.now.since(start) < Duration::from_secs(100), "no offer");
    }
    u64::try_from(world.now.since(start).as_millis()).unwrap()
}

#[test]
fn a_declined_offer_comes_back_after_its_filter() {
    let mut world = World::new(1);
    decline(&mut world, Some(0));
    assert!(until_offer(&mut world) <= 1000, "no filter: with the next batch");
    decline(&mut world, Some(3));
    let wait = until_offer(&mut world);
    assert!((3000..=4100).contains(&wait), "{wait}");
    decline(&mut world, None);
    let wait = until_offer(&mut world);
    assert!((5000..=6100).contains(&wait), "five seconds unless the call says: {wait}");
}

#[test]
fn a_filter_hides_less_but_not_more() {
    let mut world = World::new(1);
    world.launch("pod", &["A"]);
    world.seconds(2);
    let rest = world.offers.pop().unwrap();
    world.call(Call::Decline { offer_ids: vec![rest.id], refuse: Some(Duration::from_secs(3600)) });
    world.kill("A", None);
    world.seconds(3);
    assert_eq!(world.offered_cpus(), 4.0, "more than was refused is offered");
    decline(&mut world, Some(3600));
    world.seconds(30);
    assert!(world.offers.is_empty());
    world.call(Call::Revive { roles: Vec::new() });
    world.run(Duration::ZERO);
    assert_eq!(world.offered_cpus(), 4.0, "at once");
}

#[test]
fn suppressed_roles_get_nothing_until_revived() {
    let mut world = World::new(1);
    world.call(Call::Suppress { roles: Vec::new() });
    assert_eq!(world.offers.len(), 1, "outstanding offers stay valid");
    decline(&mut world, Some(0));
    world.seconds(30);
    assert!(world.offers.is_empty());
    world.call(Call::Revive { roles: vec![Role::new("foreign")] });
    world.seconds(5);
    assert!(world.offers.is_empty(), "a call with a foreign role is ignored");
    world.disconnect();
    world.seconds(1);
    world.call(Call::Revive { roles: Vec::new() });
    world.subscribe();
    world.seconds(2);
    assert_eq!(world.offers.len(), 1, "a new subscription says anew what is suppressed");
}

#[test]
fn freed_resources_come_in_further_offers() {
    let mut world = World::new(1);
    world.launch("pod", &["A", "B", "C"]);
    world.seconds(2);
    world.end("A", super::super::Exit::Code(0));
    world.seconds(2);
    world.end("B", super::super::Exit::Code(0));
    world.seconds(2);
    assert_eq!(world.offers.len(), 3);
    let offer = world.offers[0].clone();
    let ids: Vec<_> = world.offers.iter().map(|offer| offer.id.clone()).collect();
    let mut big = task(&offer, "D");
    big.resources = resources(3.7, 64.0, 10.0);
    let group =
        podium_core::model::mesos::LaunchGroup { executor: world.executor("other"), tasks: vec![big] };
    let info = OperationInfo::LaunchGroup(Box::new(group));
    world.accept(ids, vec![Operation { id: None, info }]);
    world.seconds(2);
    assert!(world.story().contains("D RUNNING"), "offers of one agent and role add up: {}", world.story());
    assert_eq!(world.offers[0].executor_ids, ["other".into(), "pod".into()]);
}

#[test]
fn crumbs_are_not_offered() {
    let mut world = World::new(1);
    let offer = world.offers[0].clone();
    let mut big = task(&offer, "A");
    // What is left: neither a hundredth of a processor nor 32 MB.
    big.resources = resources(3.895, 8135.0, 10.0);
    world.launch_tasks("pod", vec![big]);
    world.seconds(5);
    assert!(world.offers.is_empty());
}

#[test]
fn an_unanswered_offer_runs_out_if_so_configured() {
    let mut config = config(1);
    config.master.offer_timeout = Some(Duration::from_secs(10));
    let mut world = World::with(config, framework());
    world.chatty = true;
    world.seconds(12);
    insta::assert_snapshot!(world.story());
}

#[test]
fn reserved_resources_go_to_their_role_and_those_below_it() {
    let mut config = config(1);
    let reserved = |role: &str, cpus: f64| Resource {
        reservations: [Reservation {
            kind: ReservationType::Static,
            role: Role::new(role),
            principal: None,
            labels: Vec::new(),
        }]
        .into(),
        ..Resource::scalar(ResourceKind::Cpus, Scalar::from_f64(cpus))
    };
    config.agents[0].resources.extend([reserved("a", 1.0), reserved("b", 2.0), reserved("a/x", 4.0)]);
    let mut framework = framework();
    framework.roles = vec![Role::new("a/x")];
    let world = World::with(config.clone(), framework.clone());
    assert_eq!(world.offered_cpus(), 4.0 + 1.0 + 4.0);
    framework.roles = vec![Role::new("a")];
    let world = World::with(config.clone(), framework.clone());
    assert_eq!(world.offered_cpus(), 4.0 + 1.0);
    framework.roles = vec![Role::new("b"), Role::new("a")];
    let world = World::with(config, framework);
    let mut roles: Vec<_> = world.offers.iter().map(|offer| offer.role.clone().unwrap()).collect();
    roles.sort();
    assert_eq!(roles, [Role::new("a"), Role::new("b")], "one offer per role");
    assert_eq!(world.offered_cpus(), 4.0 + 1.0 + 2.0);
}

#[test]
fn without_multi_role_no_offer_names_a_role() {
    let mut framework = framework();
    framework.roles = Vec::new();
    framework.role = Some(Role::new("pods"));
    framework.capabilities = Vec::new();
    let mut world = World::with(config(1), framework);
    let offer = &world.offers[0];
    assert_eq!(offer.role, None);
    assert!(offer.resources.iter().all(|item| item.allocation_role.is_none()));
    world.launch("pod", &["A"]);
    world.seconds(2);
    world.kill("A", None);
    world.seconds(2);
    insta::assert_snapshot!(world.story());
    assert_eq!(world.offered_cpus(), 4.0);
}

#[test]
fn special_agents_need_capabilities() {
    let mut config = config(3);
    config.agents[0].resources.push(Resource::scalar(ResourceKind::Gpus, Scalar::from_f64(2.0)));
    let domain = |region: &str| Some(FaultDomain { region: region.to_owned(), zone: "z".to_owned() });
    config.master.domain = domain("here");
    config.agents[1].domain = domain("there");
    config.agents[2].domain = domain("here");
    let hosts = |world: &World| {
        let mut hosts: Vec<_> = world.offers.iter().map(|offer| offer.hostname.clone()).collect();
        hosts.sort();
        hosts
    };
    let world = World::with(config.clone(), framework());
    assert_eq!(hosts(&world), ["host-2"]);
    let mut able = framework();
    able.capabilities.extend([FrameworkCapability::GpuResources, FrameworkCapability::RegionAware]);
    let world = World::with(config, able);
    assert_eq!(hosts(&world), ["host-0", "host-1", "host-2"]);
}

#[test]
fn quota_limits_what_is_offered() {
    let mut config = config(2);
    let limit = |kind, amount| (kind, Scalar::from_f64(amount));
    config
        .master
        .quota
        .insert(Role::new("pods"), vec![limit(ResourceKind::Cpus, 1.0), limit(ResourceKind::Mem, 256.0)]);
    let mut world = World::with(config, framework());
    assert_eq!(world.offered_cpus(), 1.0, "of both agents together");
    world.launch("pod", &["A"]);
    world.seconds(2);
    assert!((world.offered_cpus() - 0.8).abs() < 1e-9);
}

#[test]
fn a_broken_connection_takes_the_offers_back() {
    let mut world = World::new(1);
    world.fault(Fault::Disconnect { agent: A0 });
    world.seconds(20);
    assert!(world.story().contains("RESCIND O0"));
    assert_eq!(world.offers.len(), 1, "the next ping tells the agent to register again");
}

#[test]
fn a_framework_that_changes_hands_is_offered_with_the_next_batch() {
    let mut world = World::new(1);
    world.run(Duration::from_millis(100));
    world.subscribe();
    world.run(Duration::from_millis(100));
    assert!(world.offers.is_empty(), "the allocator sees no change");
    assert!(until_offer(&mut world) <= 1000);
    world.disconnect();
    world.run(Duration::from_millis(100));
    world.subscribe();
    world.run(Duration::from_millis(10));
    assert_eq!(world.offers.len(), 1, "one that was away is offered at once");
}

/// The roles that agents go to when nobody has anything yet.
fn first_offers(roles: &[&str], agents: usize) -> Vec<String> {
    let mut info = framework();
    info.roles = roles.iter().map(|role| Role::new(*role)).collect();
    let world = World::with(config(agents), info);
    let mut roles: Vec<_> =
        world.offers.iter().filter_map(|offer| offer.role.as_ref()).map(ToString::to_string).collect();
    roles.sort_unstable();
    roles
}

#[test]
fn roles_below_another_share_with_it() {
    assert_eq!(first_offers(&["a", "b"], 2), ["a", "b"]);
    assert_eq!(first_offers(&["a", "a/x", "b"], 2), ["a", "b"], "a/x belongs to a");
    assert_eq!(first_offers(&["a", "a/x", "b"], 4), ["a", "a/x", "b", "b"]);
}
