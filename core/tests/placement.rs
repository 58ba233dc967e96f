//! Which resources of an offer a copy may use, and whose turn it is.

mod harness;

use std::collections::BTreeMap;
use std::time::Duration;

use harness::{Driver, changed, pod, pod_with};
use podium_core::config::AcceptedResourceRoles;
use podium_core::model::ids::Role;
use podium_core::model::mesos::{
    Call, LaunchGroup, Offer, OperationInfo, Reservation, ReservationType, Resource, ResourceKind,
    Unavailability,
};
use podium_core::model::number::Scalar;
use podium_core::model::pod::PodSpec;
use podium_core::{Config, Response};
use serde_json::json;

/// Everything that is launched, by the call that asks for it, with the number of offers it is launched on.
fn accepts(calls: &[Call]) -> Vec<(usize, Vec<&LaunchGroup>)> {
    let group = |operation: &OperationInfo| matches!(operation, OperationInfo::LaunchGroup(_));
    calls
        .iter()
        .filter_map(|call| match call {
            Call::Accept { offer_ids, operations, .. } => Some((offer_ids, operations)),
            _ => None,
        })
        .map(|(offer_ids, operations)| {
            let groups = operations.iter().filter(|operation| group(&operation.info));
            let groups = groups.filter_map(|operation| match &operation.info {
                OperationInfo::LaunchGroup(group) => Some(&**group),
                _ => None,
            });
            (offer_ids.len(), groups.collect())
        })
        .collect()
}

fn used(group: &LaunchGroup) -> impl Iterator<Item = &Resource> {
    group.executor.resources.iter().chain(group.tasks.iter().flat_map(|task| &task.resources))
}

fn cpus(amount: f64) -> serde_json::Value {
    json!({"executorResources": {"cpus": amount - 0.1}})
}

fn gpus(amount: f64) -> Resource {
    Resource::scalar(ResourceKind::Gpus, Scalar::from_f64(amount)).allocated_to(Role::from("*"))
}

/// How many copies of each of `pods` were launched.
fn launched(driver: &Driver, pods: &[&str]) -> Vec<usize> {
    let count = |pod: &&str| driver.status_of(pod).instances.iter().filter(|i| i.incarnation > 0).count();
    pods.iter().map(count).collect()
}

/// An offer of `reserved` and `unreserved` cpus to `role`, with plenty of everything else under either.
fn offer_to(driver: &mut Driver, role: &Role, reserved: f64, unreserved: f64) -> Offer {
    let mut offer = driver.make_offer("s1", 0.0, 0.0);
    let reservation = Reservation {
        kind: ReservationType::Static,
        role: role.clone(),
        principal: None,
        labels: Vec::new(),
    };
    offer.role = Some(role.clone());
    offer.resources.clear();
    // What anybody may use comes first in the offer: that is not the order in which it is used.
    for (cpus, reservations) in [(unreserved, vec![]), (reserved, vec![reservation])] {
        let amounts = [(ResourceKind::Cpus, cpus), (ResourceKind::Mem, 4096.0), (ResourceKind::Disk, 4096.0)];
        for (kind, amount) in amounts.into_iter().filter(|_| cpus > 0.0) {
            let resource = Resource::scalar(kind, Scalar::from_f64(amount)).allocated_to(role.clone());
            offer.resources.push(Resource { reservations: reservations.clone().into(), ..resource });
        }
    }
    offer
}

/// Of which cpus a copy that needs 0.2 is launched, by what it accepts and by how much of which is offered.
#[test]
fn a_pod_uses_resources_of_the_roles_it_accepts_and_reserved_ones_first() {
    let launch = |role: &Role, accepted: &[&str], default, (reserved, unreserved): (f64, f64)| {
        let config =
            Config { mesos_role: role.clone(), accepted_resource_roles: default, ..Config::default() };
        let mut driver = Driver::connected_with(config);
        let mut pod = PodSpec { role: role.clone(), ..pod("/p", 1, 1) };
        pod.scheduling.placement.accepted_resource_roles =
            accepted.iter().map(|role| (*role).into()).collect();
        driver.create(pod);
        let offer = offer_to(&mut driver, role, reserved, unreserved);
        let calls = driver.offer_all(vec![offer]);
        let launches = accepts(&calls);
        let resources = launches.iter().flat_map(|(_, groups)| groups.iter().flat_map(|group| used(group)));
        let mut of: BTreeMap<&str, Scalar> = BTreeMap::new();
        for resource in resources.filter(|resource| resource.kind == ResourceKind::Cpus) {
            *of.entry(resource.reserved_role().map_or("*", Role::as_str)).or_default() += resource.amount();
        }
        let of: Vec<String> = of.iter().rev().map(|(role, amount)| format!("{amount} of {role}")).collect();
        if of.is_empty() { "-".to_owned() } else { of.join(", ") }
    };
    use AcceptedResourceRoles::{Any, Reserved, Unreserved};
    let offers = [(8.0, 0.0), (0.0, 8.0), (8.0, 8.0), (0.15, 8.0), (0.15, 0.15)];
    let mut table = format!("{:34}{:?}\n", "reserved and unreserved cpus:", offers);
    let dev: [(&str, &[&str]); 4] =
        [("dev", &[]), ("dev", &["*"]), ("dev", &["dev"]), ("dev", &["*", "dev"])];
    for (role, accepted) in dev.into_iter().chain([("*", &[][..]), ("*", &["*"])]) {
        for default in [Any, Reserved, Unreserved] {
            // Nothing can be reserved for everybody.
            let offers = offers.into_iter().filter(|(reserved, _)| role != "*" || *reserved == 0.0);
            let found = offers.map(|offer| launch(&Role::from(role), accepted, default, offer));
            let found: Vec<String> = found.collect();
            let accepts = accepted.join(" ");
            table += &format!("{role:4}accepts [{accepts:5}] or {default:?}: {}\n", found.join(" | "));
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_pod_that_needs_gpus_goes_where_they_are() {
    let mut driver = Driver::connected();
    let mut needy = pod("/p", 1, 2);
    needy.containers[0].resources.gpus = 1;
    driver.create(needy);
    driver.offer("s1", 8.0, 8192.0);
    assert_eq!(
        driver.instances()[0].message.as_deref(),
        Some(
            "needs 1 more GPUs on 1 agent; no agent that was offered can ever take it, as far as offers show"
        )
    );
    let mut offer = driver.make_offer("s2", 8.0, 8192.0);
    offer.resources.push(gpus(1.0));
    let calls = driver.offer_all(vec![offer]);
    let accepts = accepts(&calls);
    let [(1, groups)] = &accepts[..] else { panic!("{accepts:?}") };
    let [group] = &groups[..] else { panic!("one GPU is enough for one copy: {groups:?}") };
    let of_task: Vec<&Resource> =
        group.tasks[0].resources.iter().filter(|resource| resource.kind == ResourceKind::Gpus).collect();
    assert_eq!(of_task, [&gpus(1.0)]);
    assert!(group.executor.resources.iter().all(|resource| resource.kind != ResourceKind::Gpus));
}

#[test]
fn a_pod_decides_by_its_label_whether_it_may_go_where_gpus_are() {
    let goes = |gpu_restricted, label: Option<&str>| {
        let mut driver = Driver::connected_with(Config { gpu_restricted, ..Config::default() });
        let mut pod = pod("/p", 1, 1);
        pod.labels.extend(label.map(|label| ("GPU_SCHEDULING_BEHAVIOR".into(), label.into())));
        driver.create(pod);
        let mut offer = driver.make_offer("s1", 8.0, 8192.0);
        offer.resources.push(gpus(1.0));
        !accepts(&driver.offer_all(vec![offer])).is_empty()
    };
    let labels = [None, Some("unrestricted"), Some("restricted")];
    assert_eq!(labels.map(|label| goes(true, label)), [false, true, false]);
    assert_eq!(labels.map(|label| goes(false, label)), [true, true, false]);
}

/// Less than before may be more: without GPUs the agent is not kept any more for those who need some.
#[test]
fn an_agent_whose_gpus_somebody_else_took_is_open_to_all() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 1, 1));
    let mut offer = driver.make_offer("s1", 8.0, 8192.0);
    offer.resources.push(gpus(1.0));
    assert_eq!(accepts(&driver.offer_all(vec![offer])).len(), 0);
    let offer = driver.make_offer("s1", 8.0, 8192.0);
    assert_eq!(accepts(&driver.offer_all(vec![offer])).len(), 1);
}

#[test]
fn a_copy_may_need_two_offers_of_its_agent() {
    let mut driver = Driver::connected();
    driver.create(pod_with("/p", 1, 1, &cpus(3.0)));
    let offers = [("s1", 2.0), ("s2", 2.0)].map(|(agent, cpus)| driver.make_offer(agent, cpus, 8192.0));
    assert_eq!(accepts(&driver.offer_all(offers.into())), [], "two agents do not make one");
    let offers = [2.0, 1.0].map(|cpus| driver.make_offer("s1", cpus, 4096.0));
    let calls = driver.offer_all(offers.into());
    let accepts = accepts(&calls);
    let [(2, groups)] = &accepts[..] else { panic!("{accepts:?}") };
    assert_eq!(groups.len(), 1);
}

#[test]
fn several_pods_may_use_one_offer() {
    let mut driver = Driver::connected();
    driver.create(pod("/a", 2, 1));
    driver.create(pod("/b", 1, 1));
    let calls = driver.offer("s1", 8.0, 8192.0);
    let accepts = accepts(&calls);
    let [(1, groups)] = &accepts[..] else { panic!("{accepts:?}") };
    let tasks = groups.iter().flat_map(|group| &group.tasks).map(|task| harness::short(&task.task_id));
    assert_eq!(tasks.collect::<Vec<_>>(), ["/a.a.1", "/a.b.1", "/b.a.1"]);
}

#[test]
fn pods_take_turns_on_one_agent() {
    let mut driver = Driver::connected();
    driver.create(pod("/a-small", 1, 40));
    driver.create(pod_with("/b-large", 1, 40, &cpus(4.0)));
    driver.offer("s1", 8.4, 81_920.0);
    assert_eq!(launched(&driver, &["/a-small", "/b-large"]), [2, 2]);
}

#[test]
fn a_large_pod_is_not_starved_by_a_small_one_when_room_is_scarce() {
    let mut driver = Driver::connected();
    driver.create(pod("/a-small", 1, 400));
    driver.create(pod_with("/b-large", 1, 400, &cpus(4.0)));
    // Each agent has room for one large copy, or for twenty small ones.
    for agent in 0..10 {
        driver.offer(&format!("s{agent}"), 4.0, 81_920.0);
    }
    assert_eq!(launched(&driver, &["/a-small", "/b-large"]), [100, 5]);
}

#[test]
fn an_agent_is_used_again_once_its_maintenance_is_over() {
    let mut driver = Driver::connected();
    let window = Unavailability { start: driver.now, duration: Some(Duration::from_secs(600)) };
    let offer = |driver: &mut Driver| {
        let mut offer = driver.make_offer("s1", 8.0, 8192.0);
        offer.unavailability = Some(window.clone());
        accepts(&driver.offer_all(vec![offer])).len()
    };
    driver.create(pod("/p", 1, 1));
    assert_eq!(offer(&mut driver), 0);
    assert_eq!(driver.instances()[0].message.as_deref(), Some("1 agent leaves for maintenance"));
    driver.wait(599.0);
    assert_eq!(offer(&mut driver), 0);
    driver.wait(1.0);
    assert_eq!(offer(&mut driver), 1);
}

/// A copy of a new definition does not take the place of an old one that nobody is about to replace.
#[test]
fn what_a_cancelled_update_leaves_behind_keeps_its_place() {
    let unique = json!([{"fieldName": "@hostname", "operator": "UNIQUE"}]);
    let pod = pod_with("/p", 1, 2, &json!({"scheduling": {"placement": {"constraints": unique}}}));
    let mut driver = Driver::connected();
    driver.create(pod.clone());
    for (n, agent) in ["s1", "s2"].into_iter().enumerate() {
        driver.offer(agent, 8.0, 8192.0);
        driver.run(n);
    }
    driver.wait(5.0);
    driver.update_pod(changed(pod, "2"));
    driver.offer("s3", 8.0, 8192.0);
    driver.run(2);
    driver.wait(5.0);
    driver.confirm_kills();
    assert_eq!(driver.cancel(true), Response::DeploymentCancelled);
    driver.confirm_kills();
    let left = driver.picture();
    assert_eq!(left, ["v1.1 s1 Stable", "v2.1 s3 Stable"]);
    for restarted in [false, true] {
        if restarted {
            driver.restart();
            driver.subscribe();
        }
        driver.crash(1);
        driver.wait(100.0);
        driver.offer("s1", 8.0, 8192.0);
        assert!(driver.picture()[1].ends_with("Pending"), "{:?}", driver.picture());
        driver.offer("s3", 8.0, 8192.0);
        driver.run(1);
        driver.wait(5.0);
        assert!(driver.picture()[1].ends_with("s3 Stable"), "{:?}", driver.picture());
    }
    // The next update replaces it, and then its place is free.
    let next = driver.scheduler.pods().next().map(|spec| changed((**spec).clone(), "3")).unwrap();
    driver.update_pod(next);
    driver.offer("s1", 8.0, 8192.0);
    assert!(driver.picture().contains(&"v3.1 s1 Pending".to_owned()), "{:?}", driver.picture());
}
