//! Copies with volumes among others: whose place and whose disk is whose, what is kept for them, and what is said of that.

use super::harness::{self, Driver, changed, from_json, pod};
use super::{UNKNOWN, config, make_offer, message, offer, relabel, running, unknown};
use podium_core::model::ids::{InstanceId, Role};
use podium_core::model::mesos::{
    Call, DiskInfo, DiskSource, DiskSourceType, Event, ExecutorFailure, LaunchGroup, Operation,
    OperationInfo, Resource, ResourceKind, StatusReason, StatusSource, TaskState, Unavailability,
};
use podium_core::model::number::Scalar;
use podium_core::model::pod::PodSpec;
use podium_core::{Command, Config, Entry, Input, Scheduler};
use serde_json::{Value, json};

/// A pod of one container with a volume of 100 MiB.
fn resident(instances: u32, more: &Value) -> PodSpec {
    let mut json = serde_json::to_value(pod("/db", 1, instances)).unwrap();
    json["role"] = json!("dev");
    json["volumes"] = json!([{ "name": "data", "persistent": { "size": 100 } }]);
    json["containers"][0]["volumeMounts"] = json!([{ "name": "data", "mountPath": "/var/data" }]);
    json.as_object_mut().unwrap().remove("scheduling");
    for (key, value) in more.as_object().unwrap() {
        json[key] = value.clone();
    }
    from_json(&json)
}

fn unique() -> Value {
    json!({ "scheduling": { "placement": { "constraints": [{ "fieldName": "@hostname", "operator": "UNIQUE" }] } } })
}

fn groups(operations: &[Operation]) -> Vec<&LaunchGroup> {
    let group = |operation: &'_ Operation| matches!(operation.info, OperationInfo::LaunchGroup(_));
    let groups = operations.iter().filter(|operation| group(operation));
    groups
        .map(|operation| match &operation.info {
            OperationInfo::LaunchGroup(group) => &**group,
            _ => unreachable!(),
        })
        .collect()
}

/// All that a launch uses.
fn used(group: &LaunchGroup) -> Vec<Resource> {
    group
        .executor
        .resources
        .iter()
        .chain(group.tasks.iter().flat_map(|task| &task.resources))
        .cloned()
        .collect()
}

fn disk(kind: DiskSourceType, root: &str, size: u32, profile: Option<&str>) -> Resource {
    let profile = profile.map(ToOwned::to_owned);
    let source = DiskSource { kind, root: Some(root.to_owned()), profile, id: None };
    let disk = DiskInfo { source: Some(source), ..DiskInfo::default() };
    Resource {
        disk: Some(Box::new(disk)),
        ..Resource::scalar(ResourceKind::Disk, Scalar::from_f64(size.into()))
    }
}

/// A pod that waits, whose container has the volumes `v0`, `v1`, …
fn waiting_for(volumes: &[Value]) -> Driver {
    let mut driver = Driver::connected_with(config());
    let mut definition = serde_json::to_value(pod("/db", 1, 1)).unwrap();
    definition["role"] = json!("dev");
    definition.as_object_mut().unwrap().remove("scheduling");
    let named = |(n, persistent): (usize, &Value)| json!({"name": format!("v{n}"), "persistent": persistent});
    definition["volumes"] = volumes.iter().enumerate().map(named).collect();
    let mount = |n: usize| json!({"name": format!("v{n}"), "mountPath": format!("/mnt/v{n}")});
    definition["containers"][0]["volumeMounts"] = (0..volumes.len()).map(mount).collect();
    driver.create(from_json(&definition));
    driver
}

/// Two copies of a pod with volumes and `UNIQUE` hosts, on `s1` and `s2`, with what is kept for each.
fn two_unique() -> (Driver, [Vec<Resource>; 2]) {
    let mut driver = Driver::connected_with(config());
    driver.create(resident(2, &unique()));
    let kept = ["s1", "s2"].map(|agent| used(groups(&offer(&mut driver, agent, &[]))[0]));
    driver.run(0);
    driver.run(1);
    driver.wait(6.0);
    assert_eq!(driver.picture(), ["v1.1 s1 Stable", "v1.1 s2 Stable"]);
    (driver, kept)
}

/// A copy with volumes comes back to them whatever its version is: its place is taken during an update, too.
#[test]
fn an_update_with_more_copies_keeps_copies_with_volumes_on_hosts_of_their_own() {
    let (mut driver, _) = two_unique();
    driver.update_pod(changed(resident(3, &unique()), "2"));
    offer(&mut driver, "s2", &[]);
    let on_s2 = driver
        .instances()
        .iter()
        .filter(|copy| copy.agent_id.as_ref().is_some_and(|a| a.as_str() == "s2"))
        .count();
    assert_eq!(on_s2, 1, "{:?}", driver.picture());
}

#[test]
fn a_copy_that_is_wiped_during_an_update_gets_a_host_of_its_own() {
    let (mut driver, _) = two_unique();
    driver.update_pod(changed(resident(2, &unique()), "2"));
    // The first copy's agent burns down.
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.kill(0, true);
    driver.wait(3.0);
    offer(&mut driver, "s2", &[]);
    let on_s2 = driver
        .instances()
        .iter()
        .filter(|copy| copy.agent_id.as_ref().is_some_and(|a| a.as_str() == "s2"))
        .count();
    assert_eq!(on_s2, 1, "{:?}", driver.picture());
}

/// What is on the volumes of a copy is lost with it: which copies those are does not depend on whose turn it is in the update.
#[test]
fn an_update_to_fewer_copies_destroys_the_volumes_that_scaling_down_would() {
    for (selection, stays) in [("YOUNGEST_FIRST", 0), ("OLDEST_FIRST", 1)] {
        let selected =
            |instances| resident(instances, &json!({ "scheduling": { "killSelection": selection } }));
        let mut driver = Driver::connected_with(config());
        driver.create(selected(2));
        let kept: Vec<Vec<Resource>> = groups(&offer(&mut driver, "s1", &[])).into_iter().map(used).collect();
        (0..2).for_each(|n| driver.run(n));
        driver.wait(6.0);
        driver.calls.clear();
        let id = driver.instances()[stays].id.clone();
        driver.update_pod(changed(selected(1), "2"));
        // First that one ends that is too many, then the other one for the new version.
        assert_eq!([driver.confirm_kills(), driver.confirm_kills()], [1, 1], "{selection}");
        driver.wait(2.0);
        offer(&mut driver, "s1", &kept[stays]);
        driver.run(0);
        driver.wait(6.0);
        assert_eq!(driver.deployments(), [""; 0]);
        assert_eq!(driver.picture(), ["v2.2 s1 Stable"]);
        assert_eq!(driver.instances()[0].id, id);
    }
}

/// They are not decommissioned, but they do not run while the new version takes over their volumes.
#[test]
fn a_dry_run_names_the_copies_whose_volumes_the_new_version_takes_over() {
    let (driver, _) = two_unique();
    let rounds = |instances| {
        let pod = changed(resident(instances, &unique()), "2");
        let command = Command::UpdatePod { pod, force: false, role_given: true };
        let plan = driver.scheduler.rehearse(command).play(driver.now).unwrap().plan;
        let started: u32 = plan.start.iter().map(|start| start.instances).sum();
        let copies = driver.instances();
        let copy = |id: &InstanceId| copies.iter().position(|copy| copy.id == *id).unwrap();
        let kills = plan.kill.iter().map(|kill| (kill.round, copy(kill.instance.as_ref().unwrap())));
        (kills.collect::<Vec<_>>(), started, plan.is_complete)
    };
    assert_eq!(rounds(2), (vec![(1, 1), (2, 0)], 0, true));
    assert_eq!(rounds(1), (vec![(1, 1), (2, 0)], 0, true));
}

/// There is a disk for each volume, but the first volume takes the only one that the second can use.
#[test]
fn volumes_do_not_take_the_only_disk_of_each_other() {
    let any = json!({"type": "mount", "size": 100});
    let fast = json!({"type": "mount", "size": 100, "constraints": [["path", "LIKE", "/fast"]]});
    let mut driver = waiting_for(&[any, fast]);
    let disks =
        [disk(DiskSourceType::Mount, "/fast", 100, None), disk(DiskSourceType::Mount, "/slow", 200, None)];
    let made = offer(&mut driver, "s1", &disks);
    assert_eq!(groups(&made).len(), 1, "{}", message(&driver, 0));
}

/// Only storage plugins give disks a profile, and what they manage carries their id.
#[test]
fn a_volume_with_a_profile_finds_the_disk_of_a_storage_plugin() {
    let mut driver = waiting_for(&[json!({"type": "mount", "size": 100, "profileName": "fast"})]);
    let mut of_plugin = disk(DiskSourceType::Mount, "/fast", 100, Some("fast"));
    of_plugin.provider_id = Some("plugin".to_owned());
    let made = offer(&mut driver, "s1", &[of_plugin]);
    assert_eq!(groups(&made).len(), 1, "{}", message(&driver, 0));
}

#[test]
fn what_a_disk_lacks_is_the_difference() {
    let mut driver = waiting_for(&[json!({"type": "path", "size": 100})]);
    offer(&mut driver, "s1", &[disk(DiskSourceType::Path, "/a", 95, None)]);
    assert!(message(&driver, 0).contains("needs 5 MiB"), "{}", message(&driver, 0));
}

#[test]
fn a_disk_that_is_too_large_is_not_called_too_small() {
    let mut driver = waiting_for(&[json!({"type": "mount", "size": 100, "maxSize": 200})]);
    offer(&mut driver, "s1", &[disk(DiskSourceType::Mount, "/a", 1000, None)]);
    assert!(!message(&driver, 0).contains("more disk"), "{}", message(&driver, 0));
}

/// Of the home of one copy somebody has unreserved the cpus; the other copy's is whole.
#[test]
fn a_copy_whose_home_is_broken_holds_up_no_other() {
    let mut driver = Driver::connected_with(config());
    driver.create(resident(2, &json!({})));
    let made = offer(&mut driver, "s1", &[]);
    let kept: Vec<Vec<Resource>> = groups(&made).into_iter().map(used).collect();
    assert_eq!(kept.len(), 2);
    driver.run(0);
    driver.run(1);
    driver.wait(6.0);
    driver.crash(0);
    driver.crash(1);
    driver.wait(5.0);
    let broken = kept[0].iter().filter(|resource| resource.kind != ResourceKind::Cpus);
    let all: Vec<Resource> = broken.chain(&kept[1]).cloned().collect();
    let again = offer(&mut driver, "s1", &all);
    assert_eq!(
        groups(&again).len(),
        1,
        "{:?}: {}; {}",
        driver.picture(),
        message(&driver, 0),
        message(&driver, 1)
    );
}

#[test]
fn a_new_copy_is_placed_beside_a_home_that_is_broken() {
    let mut driver = Driver::connected_with(config());
    driver.create(resident(1, &json!({})));
    let made = offer(&mut driver, "s1", &[]);
    let kept = used(groups(&made)[0]);
    driver.run(0);
    driver.wait(6.0);
    driver.update_pod(resident(2, &json!({})));
    driver.crash(0);
    driver.wait(5.0);
    let broken: Vec<Resource> =
        kept.iter().filter(|resource| resource.kind != ResourceKind::Cpus).cloned().collect();
    let again = offer(&mut driver, "s1", &broken);
    assert_eq!(
        groups(&again).len(),
        1,
        "{:?}: {}; {}",
        driver.picture(),
        message(&driver, 0),
        message(&driver, 1)
    );
}

#[test]
fn a_copy_without_a_home_is_not_said_to_look_for_its_volumes() {
    let (mut driver, _) = two_unique();
    // One copy waits for its volumes, another one for any agent that is large enough.
    driver.update_pod(resident(3, &unique()));
    driver.crash(0);
    driver.wait(3.0);
    let small = make_offer(&mut driver, "s3", 0.1, &[]);
    driver.offer_all(vec![small]);
    let offers = driver.scheduler.last_unused_offers(&harness::pod_id("/db"));
    let of_s3 = offers.iter().find(|offer| offer.offer.agent_id.as_str() == "s3").unwrap();
    assert_eq!(format!("{:?}", of_s3.reason), "[InsufficientCpus]", "{:?}", of_s3.message);
}

/// A copy with volumes is offered what is reserved for it in the role that its pod had then.
#[test]
fn the_offers_that_a_copy_cannot_use_are_those_of_the_role_of_its_volumes() {
    let (mut driver, kept) = two_unique();
    driver.crash(0);
    driver.wait(3.0);
    let ops = PodSpec { role: Role::from("ops"), ..resident(2, &unique()) };
    let config = Config { mesos_role: Role::from("ops"), ..config() };
    driver.scheduler = Scheduler::restore(config, 2, driver.store.values().cloned()).unwrap();
    driver.subscribe();
    driver.force_pod(ops);
    let mut away = make_offer(&mut driver, "s1", 8.0, &kept[0]);
    let start = driver.now;
    away.unavailability = Some(Unavailability { start, duration: None });
    driver.offer_all(vec![away]);
    let offers = driver.scheduler.last_unused_offers(&harness::pod_id("/db"));
    let refused: Vec<String> =
        offers.iter().map(|offer| format!("{} {:?}", offer.offer.agent_id, offer.reason)).collect();
    assert_eq!(refused, ["s1 [AgentMaintenance]"]);
}

/// Ports that are reserved for a copy lead to the same endpoints after each launch.
#[test]
fn reserved_ports_stay_with_their_endpoints() {
    let endpoints = json!([{ "name": "x" }, { "name": "y" }, { "name": "z" }]);
    let mut json = serde_json::to_value(resident(1, &json!({}))).unwrap();
    json["containers"][0]["endpoints"] = endpoints;
    let mut driver = Driver::connected_with(config());
    driver.create(from_json(&json));
    let kept = used(groups(&offer(&mut driver, "s1", &[]))[0]);
    let ports = |driver: &Driver| -> Vec<Option<u16>> {
        let endpoints = &driver.instances()[0].containers[0].endpoints;
        endpoints.iter().map(|endpoint| endpoint.allocated_host_port).collect()
    };
    driver.run(0);
    let first = ports(&driver);
    for _ in 0..10 {
        driver.wait(100.0);
        driver.crash(0);
        driver.wait(5.0);
        assert_eq!(groups(&offer(&mut driver, "s1", &kept)).len(), 1);
        driver.run(0);
        assert_eq!(ports(&driver), first);
    }
}

/// The agent that a wiped copy was on is gone for good, by its operator's word: nothing is to be given back there.
#[test]
fn nothing_is_looked_for_on_an_agent_that_is_gone() {
    let mut driver = Driver::connected_with(config());
    driver.create(resident(1, &json!({})));
    offer(&mut driver, "s1", &[]);
    driver.run(0);
    driver.wait(6.0);
    driver.update_all(0, TaskState::TaskUnreachable);
    let mut gone = driver.status(0, "a", TaskState::TaskGoneByOperator);
    gone.source = None;
    gone.uuid = None;
    driver.kill(0, true);
    driver.event(Event::Update(gone));
    driver.event(Event::Failure(ExecutorFailure {
        agent_id: Some("s1".into()),
        executor_id: None,
        status: None,
    }));
    driver.delete_pod("/db");
    for _ in 0..24 {
        driver.wait(3600.0);
        offer(&mut driver, "s2", &[]);
    }
    assert!(driver.instances().is_empty());
    let left = driver.store.values().filter(|entry| matches!(entry, Entry::Leftover(_))).count();
    let suppressed = driver.scheduler.subscription(driver.now).suppressed_roles;
    assert_eq!((left, suppressed), (0, vec![Role::from("dev")]));
}

fn lost(agent: &str) -> Event {
    Event::Failure(ExecutorFailure { agent_id: Some(agent.into()), executor_id: None, status: None })
}

/// `/db` has been drained away from `s1`, where this is kept for it, and nothing else of ours runs there.
fn drained() -> (Driver, Vec<Resource>) {
    let (mut driver, kept) = running(resident(1, &json!({})));
    let mut killed = driver.status(0, "a", TaskState::TaskKilled);
    killed.reason = Some(StatusReason::ReasonAgentDraining);
    driver.event(Event::Update(killed));
    driver.wait(60.0);
    driver.calls.clear();
    (driver, kept)
}

/// The master's answer about the only copy, if it is asked: its agent is gone.
fn answer_that_it_is_gone(driver: &mut Driver) {
    let mut gone = driver.status(0, "a", TaskState::TaskGoneByOperator);
    gone.source = Some(StatusSource::SourceMaster);
    gone.reason = Some(StatusReason::ReasonReconciliation);
    gone.uuid = None;
    let is_asked = |call: &Call| match call {
        Call::Reconcile { tasks } => tasks.iter().any(|task| task.task_id == gone.task_id),
        _ => false,
    };
    assert!(std::mem::take(&mut driver.calls).iter().any(is_asked), "nobody asked");
    driver.event(Event::Update(gone));
}

/// Mesos says nothing of a copy of which nothing runs, not even when an operator declares its agent gone.
#[test]
fn a_copy_that_waits_for_volumes_on_an_agent_that_is_gone_for_good_is_placed_anew() {
    type Telling<'a> = (&'a str, &'a dyn Fn(&mut Driver, &[Resource]));
    let told: [Telling<'_>; 4] = [
        ("by the loss of the agent", &|driver, _| driver.event(lost("s1"))),
        ("by the next round", &|driver, _| driver.wait(600.0)),
        ("by the first round after a restart", &|driver, _| {
            driver.restart();
            driver.subscribe();
        }),
        ("though its last launch was never sent", &|driver, kept| {
            let home = make_offer(driver, "s1", 8.0, kept);
            let mut calls = driver.offer_all(vec![home]).into_iter();
            let call = calls.find(|call| matches!(call, Call::Accept { .. })).unwrap();
            let _ = driver.step(Input::Refused { call: Box::new(call), reason: "no".to_owned() });
            driver.event(lost("s1"));
            // The back-off.
            driver.wait(1.0);
        }),
    ];
    for (how, told) in told {
        let (mut driver, kept) = drained();
        let (before, ..) = driver.instance(0);
        told(&mut driver, &kept);
        answer_that_it_is_gone(&mut driver);
        assert_eq!(driver.picture(), ["v1.0 - Pending"], "{how}");
        assert_ne!(driver.instance(0).0, before, "{how}: an id stands for the data as well");
        assert_eq!(groups(&offer(&mut driver, "s2", &[])).len(), 1, "{how}");
        assert!(!driver.store.values().any(|entry| matches!(entry, Entry::Leftover(_))), "{how}");
    }
}

#[test]
fn a_copy_that_waits_for_volumes_on_an_agent_that_is_merely_lost_goes_on_waiting() {
    let (mut driver, _) = drained();
    driver.event(lost("s1"));
    for state in [TaskState::TaskUnreachable, TaskState::TaskGone, TaskState::TaskUnknown] {
        let mut answer = driver.status(0, "a", state);
        answer.source = Some(StatusSource::SourceMaster);
        answer.uuid = None;
        driver.event(Event::Update(answer));
    }
    driver.wait(2000.0);
    assert_eq!(groups(&offer(&mut driver, "s2", &[])).len(), 0);
    assert_eq!(driver.picture(), ["v1.1 s1 Pending"]);
}

#[test]
fn nothing_is_listed_as_kept_on_an_agent_that_is_lost() {
    let (mut driver, kept) = running(resident(1, &json!({})));
    offer(&mut driver, "s1", &relabel(&kept, "fw", UNKNOWN));
    driver.event(lost("s2"));
    assert_eq!(unknown(&driver).len(), 1);
    driver.event(lost("s1"));
    assert_eq!(unknown(&driver), []);
}

/// What is said of one copy is true for all that are kept there.
#[test]
fn an_agent_that_is_gone_is_gone_for_those_of_which_nothing_runs_there_too() {
    let mut driver = Driver::connected_with(config());
    driver.create(resident(2, &json!({})));
    offer(&mut driver, "s1", &[]);
    driver.run(0);
    driver.run(1);
    driver.wait(6.0);
    driver.crash(0);
    driver.update_all(1, TaskState::TaskGoneByOperator);
    driver.wait(5.0);
    assert_eq!(groups(&offer(&mut driver, "s2", &[])).len(), 2);
}

/// What is kept for a copy of ours is free once that copy is deleted.
#[test]
fn waiting_is_not_in_vain_for_what_a_copy_keeps_for_itself() {
    let mut driver = Driver::connected_with(config());
    let big = json!([{ "name": "a", "exec": {"command": {"shell": "x"}}, "resources": {"cpus": 4, "mem": 32},
        "volumeMounts": [{ "name": "data", "mountPath": "/d" }] }]);
    driver
        .create(resident(1, &json!({ "containers": big, "scheduling": { "backoff": { "backoff": 3000 } } })));
    let kept = used(groups(&offer(&mut driver, "s1", &[]))[0]);
    driver.run(0);
    driver.wait(6.0);
    driver.crash(0);
    driver.event(Event::Failure(ExecutorFailure {
        agent_id: Some("s1".into()),
        executor_id: None,
        status: None,
    }));
    let mut plain = serde_json::to_value(pod("/p", 1, 1)).unwrap();
    plain["role"] = json!("dev");
    plain["containers"][0]["resources"]["cpus"] = json!(3);
    driver.create(from_json(&plain));
    let rest = make_offer(&mut driver, "s1", 1.0, &kept);
    driver.offer_all(vec![rest]);
    let why = driver.status_of("/p").instances[0].message.clone().unwrap();
    assert!(!why.contains("can ever take it"), "{why}");
}
