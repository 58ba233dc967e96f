//! Pods with persistent volumes: from the reservation to its end.

#[path = "../harness/mod.rs"]
mod harness;

mod created_anew;
mod homes;
mod moves;
mod updates;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use harness::{Driver, changed, from_json, pod};
use podium_core::config::UnknownTasks;
use podium_core::model::ids::Role;
use podium_core::model::mesos::{
    Call, Label, LaunchGroup, Offer, Operation, OperationInfo, Reservation, ReservationType, Resource,
    ResourceValue, TaskState, Unavailability,
};
use podium_core::model::pod::PodSpec;
use podium_core::{Command, Config, Entry, Input, Refusal, Scheduler};
use serde_json::{Value, json};

fn config() -> Config {
    Config { mesos_role: Role::from("dev"), ..Config::default() }
}

/// A pod whose containers share the volume `data` of 100 MiB.
fn resident(instances: u32, more: &Value) -> PodSpec {
    let mut json = serde_json::to_value(pod("/db", 2, instances)).unwrap();
    json["role"] = json!("dev");
    json["volumes"] = json!([{ "name": "data", "persistent": { "size": 100 } }]);
    for container in json["containers"].as_array_mut().unwrap() {
        container["volumeMounts"] = json!([{ "name": "data", "mountPath": "/var/data" }]);
    }
    json.as_object_mut().unwrap().remove("scheduling");
    for (key, value) in more.as_object().unwrap() {
        json[key] = value.clone();
    }
    from_json(&json)
}

fn one() -> PodSpec {
    resident(1, &json!({}))
}

/// Offers `agent` to the role `dev`, with what is `kept` there beside what anybody may use.
fn offer(driver: &mut Driver, agent: &str, kept: &[Resource]) -> Vec<Operation> {
    offer_of(driver, agent, 8.0, kept)
}

/// The same, of so many unreserved cpus: a copy needs 0.3.
fn offer_of(driver: &mut Driver, agent: &str, cpus: f64, kept: &[Resource]) -> Vec<Operation> {
    let offer = make_offer(driver, agent, cpus, kept);
    operations(&driver.offer_all(vec![offer]))
}

fn make_offer(driver: &mut Driver, agent: &str, cpus: f64, kept: &[Resource]) -> Offer {
    let mut offer = driver.make_offer(agent, cpus, 8192.0);
    offer.role = Some(Role::from("dev"));
    offer.resources.extend(kept.iter().cloned());
    for resource in &mut offer.resources {
        resource.allocation_role = Some(Role::from("dev"));
    }
    offer
}

fn operations(calls: &[Call]) -> Vec<Operation> {
    let accepts = calls.iter().filter_map(|call| match call {
        Call::Accept { operations, .. } => Some(operations.clone()),
        _ => None,
    });
    accepts.flatten().collect()
}

fn group(operations: &[Operation]) -> &LaunchGroup {
    let group = operations.iter().find_map(|operation| match &operation.info {
        OperationInfo::LaunchGroup(group) => Some(&**group),
        _ => None,
    });
    group.unwrap_or_else(|| panic!("nothing is launched: {operations:?}"))
}

/// All that a launch uses.
fn used(operations: &[Operation]) -> Vec<Resource> {
    let group = group(operations);
    group
        .executor
        .resources
        .iter()
        .chain(group.tasks.iter().flat_map(|task| &task.resources))
        .cloned()
        .collect()
}

/// The operations, a line each.
fn story(operations: &[Operation]) -> Vec<String> {
    operations
        .iter()
        .map(|operation| match &operation.info {
            OperationInfo::Reserve(resources) => format!("RESERVE {}", list(resources)),
            OperationInfo::Create(resources) => format!("CREATE {}", list(resources)),
            OperationInfo::Destroy(resources) => format!("DESTROY {}", list(resources)),
            OperationInfo::Unreserve(resources) => format!("UNRESERVE {}", list(resources)),
            OperationInfo::LaunchGroup(group) => {
                let tasks = group.tasks.iter().map(|task| harness::short(&task.task_id));
                format!(
                    "LAUNCH {} on {}",
                    tasks.collect::<Vec<_>>().join(" "),
                    list(&group.executor.resources)
                )
            }
            OperationInfo::Launch(_) => "LAUNCH".to_owned(),
        })
        .collect()
}

fn list(resources: &[Resource]) -> String {
    resources.iter().map(show).collect::<Vec<_>>().join(", ")
}

fn show(resource: &Resource) -> String {
    let value = match &resource.value {
        ResourceValue::Scalar(amount) => amount.to_string(),
        other => format!("{other:?}"),
    };
    let kept = if resource.reservations.is_empty() { "" } else { " (kept)" };
    let disk = resource.disk.as_ref().and_then(|disk| disk.persistence.as_ref());
    let id = disk.map(|volume| format!(" {}", volume.id.rsplit_once('#').unwrap().0)).unwrap_or_default();
    format!("{} {value}{kept}{id}", resource.kind)
}

fn leftovers(driver: &Driver) -> usize {
    driver.store.values().filter(|entry| matches!(entry, Entry::Leftover(_))).count()
}

/// A driver with the only copy of `pod` running on `s1`, and what is kept for it there.
fn running(pod: PodSpec) -> (Driver, Vec<Resource>) {
    running_with(config(), pod)
}

fn running_with(config: Config, pod: PodSpec) -> (Driver, Vec<Resource>) {
    let mut driver = Driver::connected_with(config);
    driver.create(pod);
    let kept = used(&offer(&mut driver, "s1", &[]));
    driver.run(0);
    driver.wait(6.0);
    driver.calls.clear();
    (driver, kept)
}

fn message(driver: &Driver, n: usize) -> String {
    driver.instances()[n].message.clone().unwrap_or_default()
}

#[test]
fn everything_a_copy_uses_is_reserved_with_its_volumes_and_launched_in_one_call() {
    let mut driver = Driver::connected_with(config());
    driver.create(one());
    let made = offer(&mut driver, "s1", &[]);
    assert_eq!(
        story(&made),
        [
            "RESERVE cpus 0.1 (kept), mem 32 (kept), disk 10 (kept), disk 100 (kept), cpus 0.1 (kept), mem 32 (kept), cpus 0.1 (kept), mem 32 (kept)",
            "CREATE disk 100 (kept) db#data",
            "LAUNCH /db.a.1 /db.b.1 on cpus 0.1 (kept), mem 32 (kept), disk 10 (kept), disk 100 (kept) db#data",
        ]
    );
    let (instance, ..) = driver.instance(0);
    let label = |key: &str, value: &str| Label { key: key.to_owned(), value: Some(value.to_owned()) };
    let expected = Reservation {
        kind: ReservationType::Dynamic,
        role: Role::from("dev"),
        principal: None,
        labels: vec![label("marathon_framework_id", "fw"), label("marathon_task_id", &instance.to_string())],
    };
    for resource in used(&made) {
        assert_eq!(*resource.reservations, *std::slice::from_ref(&expected), "{resource:?}");
    }
    let status = &driver.instances()[0];
    let [volume] = &status.local_volumes[..] else { panic!("{status:?}") };
    assert_eq!((volume.container_path.as_str(), volume.run_spec_id.as_str()), ("data", "/db"));
    assert_eq!(volume.persistence_id, format!("db#data#{}", volume.uuid));
    let created = used(&made).into_iter().find_map(|resource| resource.disk?.persistence).unwrap();
    assert_eq!(created.id, volume.persistence_id);
}

#[test]
fn a_copy_that_ended_comes_back_to_its_volumes_and_goes_nowhere_else() {
    let (mut driver, kept) = running(one());
    driver.crash(0);
    driver.wait(2.0);
    assert_eq!(offer(&mut driver, "s2", &[]), []);
    assert_eq!(offer(&mut driver, "s1", &[]), [], "the volume is still in use");
    let waits = "container 'a' is TASK_FAILED: Command exited with status 1; waits for its persistent volumes on agent \
                 s1.example to be offered";
    assert_eq!(message(&driver, 0), waits);
    let (rest, volume): (Vec<_>, Vec<_>) = kept.iter().cloned().partition(|one| one.disk.is_none());
    assert_eq!(offer(&mut driver, "s1", &volume), [], "what else is reserved is still in use");
    assert_eq!(offer(&mut driver, "s1", &rest), []);
    let again = offer(&mut driver, "s1", &kept);
    assert_eq!(
        story(&again),
        ["LAUNCH /db.a.2 /db.b.2 on cpus 0.1 (kept), mem 32 (kept), disk 10 (kept), disk 100 (kept) db#data"]
    );
    assert_eq!(used(&again), kept);
    driver.run(0);
    assert_eq!(driver.picture(), ["v1.2 s1 Stable"]);
    assert_eq!(leftovers(&driver), 0);
}

#[test]
fn reserved_ports_are_kept_as_well() {
    let mut json = serde_json::to_value(one()).unwrap();
    json["containers"][0]["endpoints"] = json!([{ "name": "web", "hostPort": 0 }]);
    let (mut driver, kept) = running(from_json(&json));
    let port = driver.instances()[0].containers[0].endpoints[0].allocated_host_port;
    driver.crash(0);
    driver.wait(2.0);
    offer(&mut driver, "s1", &kept);
    assert_eq!(driver.instances()[0].containers[0].endpoints[0].allocated_host_port, port);
}

#[test]
fn what_was_kept_for_a_deleted_pod_is_given_back_until_it_is_offered_no_more() {
    let (mut driver, kept) = running(one());
    driver.delete_pod("/db");
    driver.confirm_kills();
    assert_eq!((driver.scheduler.instance_count(), leftovers(&driver)), (0, 1));
    let release = [
        "DESTROY disk 100 (kept) db#data",
        "UNRESERVE disk 100 (kept), cpus 0.3 (kept), mem 96 (kept), disk 10 (kept)",
    ];
    assert_eq!(story(&offer(&mut driver, "s1", &kept)), release);
    // The call got lost, and so did the memory of the scheduler.
    driver.restart();
    driver.subscribe();
    let (roles, suppressed) = {
        let subscription = driver.scheduler.subscription(driver.now);
        (subscription.framework_info.roles, subscription.suppressed_roles)
    };
    assert_eq!((roles, suppressed), (vec![Role::from("dev")], vec![]), "offers are wanted");
    assert_eq!(story(&offer(&mut driver, "s1", &kept)), release);
    driver.wait(299.0);
    assert_eq!(offer(&mut driver, "s1", &[]), []);
    assert_eq!(leftovers(&driver), 1, "the agent may not have heard of it");
    driver.wait(2.0);
    assert_eq!(offer(&mut driver, "s2", &[]), []);
    assert_eq!(leftovers(&driver), 1, "that was another agent");
    driver.calls.clear();
    assert_eq!(offer(&mut driver, "s1", &[]), []);
    assert_eq!(leftovers(&driver), 0);
    assert!(driver.calls.iter().any(|call| matches!(call, Call::Suppress { .. })), "{:?}", driver.calls);
}

/// The back-off of a pod is about launches, and about nothing else.
#[test]
fn what_a_wiped_copy_leaves_is_given_back_while_its_pod_waits_for_its_delay() {
    let slow = json!({ "scheduling": { "backoff": { "backoff": 3000 } } });
    let mut driver = Driver::connected_with(config());
    driver.create(resident(2, &slow));
    let kept = [used(&offer_of(&mut driver, "s1", 0.4, &[])), used(&offer_of(&mut driver, "s2", 0.4, &[]))];
    driver.run(0);
    driver.run(1);
    driver.wait(10.0);
    driver.crash(0);
    driver.kill(1, true);
    driver.confirm_kills();
    driver.wait(10.0);
    assert_eq!(driver.picture(), ["v1.1 s1 Pending", "v1.0 - Pending"]);
    let subscription = driver.scheduler.subscription(driver.now);
    assert_eq!(subscription.suppressed_roles, [], "offers are wanted for what is to be given back");
    assert_eq!(story(&offer(&mut driver, "s1", &kept[0])), [""; 0], "the one that failed has to wait");
    assert_eq!(
        story(&offer(&mut driver, "s2", &kept[1])),
        [
            "DESTROY disk 100 (kept) db#data",
            "UNRESERVE disk 100 (kept), cpus 0.3 (kept), mem 96 (kept), disk 10 (kept)",
        ]
    );
    driver.wait(3000.0);
    let launched = story(&offer(&mut driver, "s1", &kept[0]));
    assert!(launched.iter().any(|line| line.starts_with("LAUNCH /db.a.2")), "{launched:?}");
}

#[test]
fn a_new_copy_can_be_launched_beside_what_is_given_back() {
    let (mut driver, kept) = running(one());
    driver.kill(0, true);
    driver.confirm_kills();
    let both = story(&offer(&mut driver, "s1", &kept));
    let first_words: Vec<&str> = both.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(first_words, ["DESTROY", "UNRESERVE", "RESERVE", "CREATE", "LAUNCH"]);
}

#[test]
fn scaling_down_gives_volumes_back_and_a_kill_does_not() {
    let mut driver = Driver::connected_with(config());
    driver.create(resident(2, &json!({})));
    let first = used(&offer_of(&mut driver, "s1", 0.5, &[]));
    offer(&mut driver, "s2", &[]);
    driver.run(0);
    driver.run(1);
    driver.wait(6.0);
    driver.calls.clear();
    driver.kill(0, false);
    driver.confirm_kills();
    driver.wait(2.0);
    assert_eq!(leftovers(&driver), 0);
    assert!(message(&driver, 0).contains("waits for its persistent volumes on agent s1"));
    offer(&mut driver, "s1", &first);
    driver.run(0);
    driver.wait(6.0);
    driver.update_pod(one());
    driver.confirm_kills();
    assert_eq!((driver.picture().len(), leftovers(&driver)), (1, 1));
}

#[test]
fn a_first_launch_that_got_lost_leaves_nothing_behind() {
    let mut driver = Driver::connected_with(config());
    driver.create(one());
    let lost = used(&offer(&mut driver, "s1", &[]));
    let (before, ..) = driver.instance(0);
    // The call was never sent, or did arrive and only the answer got lost: nobody can tell. The master says that it has
    // it, which does not mean that the agent had.
    driver.restart();
    driver.subscribe();
    driver.update_all(0, TaskState::TaskStaging);
    driver.update_all(0, TaskState::TaskGone);
    driver.wait(2.0);
    let (after, ..) = driver.instance(0);
    assert_ne!(before, after, "another copy takes its place");
    assert_eq!(leftovers(&driver), 1);
    let made = offer(&mut driver, "s1", &lost);
    assert_eq!(story(&made)[..2].iter().filter(|line| line.starts_with("DESTROY")).count(), 1);
    assert_eq!(made.len(), 5);
    driver.run(0);
    assert_eq!(driver.picture(), ["v1.1 s1 Stable"]);
}

/// An instance that there is no record of.
const UNKNOWN: &str = "gone.instance-0190163d-8694-739b-aea5-966c26f8ad91";

/// What is kept, as if it was so by `framework` for `instance`.
fn relabel(kept: &[Resource], framework: &str, instance: &str) -> Vec<Resource> {
    let mut kept = kept.to_vec();
    for resource in &mut kept {
        let labels = &mut Arc::make_mut(&mut resource.reservations)[0].labels;
        labels[0].value = Some(framework.to_owned());
        labels[1].value = Some(instance.to_owned());
    }
    kept
}

/// For whom something is kept that we have no record of, and how many volumes that are.
fn unknown(driver: &Driver) -> Vec<(String, usize)> {
    let found = driver.scheduler.unknown_reservations();
    found.map(|found| (found.instance_id.to_string(), found.volumes.len())).collect()
}

#[test]
fn what_there_is_no_record_of_is_kept_and_listed() {
    let (mut driver, kept) = running(one());
    let lost = relabel(&kept, "fw", UNKNOWN);
    for foreign in [relabel(&kept, "other", UNKNOWN), relabel(&kept, "fw", "no id")] {
        assert_eq!((offer(&mut driver, "s1", &foreign), unknown(&driver)), (vec![], vec![]));
    }
    let first = driver.now;
    assert_eq!(offer(&mut driver, "s1", &lost), []);
    driver.wait(10.0);
    assert_eq!(offer(&mut driver, "s1", &lost), []);
    assert_eq!((unknown(&driver), leftovers(&driver)), (vec![(UNKNOWN.to_owned(), 1)], 0));
    let found = driver.scheduler.unknown_reservations().next().unwrap();
    assert_eq!((found.since, found.last_offered), (first, driver.now));
    assert_eq!((found.agent_id.as_str(), found.role.as_str()), ("s1", "dev"));
    // Nor is it used for anything else.
    driver.update_pod(resident(2, &json!({})));
    assert_eq!(offer_of(&mut driver, "s1", 0.2, &lost), []);
    offer(&mut driver, "s2", &[]);
    assert_eq!(unknown(&driver).len(), 1, "another agent has nothing to do with it");
    offer(&mut driver, "s1", &[]);
    assert_eq!(unknown(&driver), [], "it is offered no more");
}

#[test]
fn whoever_wants_unknown_tasks_killed_has_unknown_volumes_destroyed() {
    let config = Config { unknown_tasks: UnknownTasks::Kill, ..config() };
    let (mut driver, kept) = running_with(config, one());
    assert_eq!(offer(&mut driver, "s1", &relabel(&kept, "other", UNKNOWN)), []);
    assert_eq!(offer(&mut driver, "s1", &relabel(&kept, "fw", "no id")), []);
    assert_eq!(story(&offer(&mut driver, "s1", &relabel(&kept, "fw", UNKNOWN))).len(), 2);
    assert_eq!((leftovers(&driver), unknown(&driver)), (1, vec![]));
    let (instance, ..) = driver.instance(0);
    // Volumes of a living copy are not offered while they are in use; if they are all the same, they are left alone.
    assert_eq!(offer(&mut driver, "s1", &relabel(&kept, "fw", &instance.to_string())), []);
}

/// The records say who is gone, also after a restart.
#[test]
fn what_is_known_to_be_gone_is_given_back_whatever_becomes_of_the_unknown() {
    let (mut driver, kept) = running(one());
    let (instance, ..) = driver.instance(0);
    driver.kill(0, true);
    driver.confirm_kills();
    driver.restart();
    driver.subscribe();
    let known = relabel(&kept, "fw", &instance.to_string());
    assert_eq!(story(&offer_of(&mut driver, "s1", 0.2, &known)).len(), 2);
    // A living copy is known as well, and that it lives elsewhere.
    offer(&mut driver, "s2", &[]);
    let (instance, ..) = driver.instance(0);
    let elsewhere = relabel(&kept, "fw", &instance.to_string());
    assert_eq!(story(&offer(&mut driver, "s3", &elsewhere)).len(), 2);
    assert_eq!(unknown(&driver), []);
}

/// An older backup knows neither the newer copies nor that they have volumes.
#[test]
fn a_restored_backup_costs_no_volumes() {
    let mut driver = Driver::connected_with(config());
    let backup = driver.store.clone();
    driver.create(one());
    let kept = used(&offer(&mut driver, "s1", &[]));
    driver.run(0);
    let (instance, ..) = driver.instance(0);
    driver.store = backup;
    driver.restart();
    driver.subscribe();
    assert_eq!(offer(&mut driver, "s1", &kept), []);
    assert_eq!(unknown(&driver), [(instance.to_string(), 1)]);
}

#[test]
fn a_new_version_takes_over_the_volumes_one_copy_after_the_other() {
    let mut driver = Driver::connected_with(config());
    driver.create(resident(3, &json!({})));
    let mut kept = Vec::new();
    for agent in ["s1", "s2", "s3"] {
        kept.push(used(&offer_of(&mut driver, agent, 0.5, &[])));
    }
    for n in 0..3 {
        driver.run(n);
    }
    driver.wait(6.0);
    driver.calls.clear();
    let volumes = |driver: &Driver| -> Vec<_> {
        driver.instances().into_iter().map(|instance| (instance.id, instance.local_volumes)).collect()
    };
    let before = volumes(&driver);
    driver.update_pod(changed(resident(3, &json!({})), "two"));
    for round in 0..3 {
        assert_eq!(driver.confirm_kills(), 2, "one copy of two containers in round {round}");
        driver.wait(2.0);
        let n = (0..3).find(|n| driver.picture()[*n].ends_with("Pending")).unwrap();
        let agent = driver.instances()[n].agent_id.clone().unwrap();
        let again = offer(&mut driver, agent.as_str(), &kept[n]);
        assert_eq!(used(&again), kept[n]);
        driver.run(n);
        driver.wait(6.0);
    }
    assert_eq!(driver.picture(), ["v2.2 s1 Stable", "v2.2 s2 Stable", "v2.2 s3 Stable"]);
    assert_eq!(volumes(&driver), before);
    assert_eq!(driver.deployments(), [""; 0]);
    assert_eq!((driver.confirm_kills(), leftovers(&driver)), (0, 0));
}

#[test]
fn copies_that_come_back_to_their_volumes_are_ended_in_portions() {
    let mut driver = Driver::connected_with(Config { portion: 4, ..config() });
    let all_at_once = json!({ "upgrade": { "minimumHealthCapacity": 0, "maximumOverCapacity": 0 } });
    let pod = resident(6, &json!({ "scheduling": all_at_once }));
    driver.create(pod.clone());
    offer(&mut driver, "s1", &[]);
    for n in 0..6 {
        driver.run(n);
    }
    driver.wait(6.0);
    driver.calls.clear();
    driver.update_pod(changed(pod, "two"));
    assert_eq!(driver.confirm_kills(), 12, "six copies of two containers");
}

#[test]
fn an_unreachable_copy_is_waited_for_unless_it_is_wiped() {
    let (mut driver, kept) = running(one());
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.wait(30.0 * 24.0 * 3600.0);
    assert_eq!(driver.picture(), ["v1.1 s1 Degraded"]);
    driver.kill(0, false);
    assert_eq!(driver.picture(), ["v1.1 s1 Degraded"], "it can only be launched again where its volumes are");
    driver.run(0);
    driver.wait(3.0);
    assert_eq!(driver.confirm_kills(), 4, "it is back, and somebody wanted it killed: each, and once more");
    driver.wait(2.0);
    offer(&mut driver, "s1", &kept);
    driver.run(0);
    driver.kill(0, false);
    driver.update_all(0, TaskState::TaskUnreachable);
    assert_eq!(driver.picture(), ["v1.2 s1 Degraded"], "whatever comes first, the kill or the partition");
    driver.kill(0, true);
    assert_eq!((driver.picture(), leftovers(&driver)), (vec!["v1.0 - Pending".to_owned()], 1));
}

#[test]
fn an_agent_that_is_gone_takes_its_volumes_with_it() {
    let (mut driver, _) = running(one());
    let (before, ..) = driver.instance(0);
    driver.update_all(0, TaskState::TaskGoneByOperator);
    assert_eq!((driver.picture(), leftovers(&driver)), (vec!["v1.0 - Pending".to_owned()], 0));
    assert_ne!(driver.instance(0).0, before);
}

#[test]
fn a_rebooted_agent_has_the_volumes_and_nothing_that_runs() {
    let (mut driver, kept) = running(one());
    driver.update_all(0, TaskState::TaskGone);
    driver.wait(2.0);
    let again = offer(&mut driver, "s1", &kept);
    assert_eq!(used(&again), kept);
    driver.run(0);
    assert_eq!(driver.picture(), ["v1.2 s1 Stable"]);
}

#[test]
fn a_copy_that_waits_for_its_volumes_keeps_its_place() {
    let constraints =
        json!({ "placement": { "constraints": [{ "fieldName": "@hostname", "operator": "UNIQUE" }] } });
    let (mut driver, kept) = running(resident(1, &json!({ "scheduling": constraints })));
    driver.crash(0);
    driver.update_pod(resident(2, &json!({ "scheduling": constraints })));
    driver.wait(2.0);
    assert_eq!(offer(&mut driver, "s1", &[]), [], "the place is taken");
    assert_eq!(group(&offer(&mut driver, "s2", &[])).tasks.len(), 2);
    assert_eq!(used(&offer(&mut driver, "s1", &kept)), kept, "by the one that may come back to it");
}

#[test]
fn copies_without_volumes_do_not_use_what_is_kept() {
    let (mut driver, kept) = running(one());
    driver.crash(0);
    let mut json = serde_json::to_value(pod("/other", 1, 1)).unwrap();
    json["containers"][0]["resources"]["cpus"] = json!(8);
    json["role"] = json!("dev");
    driver.create(from_json(&json));
    driver.wait(0.5);
    assert_eq!(offer(&mut driver, "s1", &kept), [], "8 cpus are unreserved, and it needs 8.1");
}

#[test]
fn what_is_reserved_cannot_be_changed() {
    let (mut driver, _) = running(one());
    let refused = |driver: &mut Driver, pod: PodSpec| -> Vec<String> {
        let before = driver.store.clone();
        let result = driver.command(Command::UpdatePod { pod, force: true, role_given: true });
        assert_eq!(driver.store, before, "a refused command changes nothing");
        let Err(Refusal::Invalid(rejection)) = result else { panic!("{result:?}") };
        rejection
            .details
            .iter()
            .flat_map(|one| one.errors.iter().map(|error| format!("{} {error}", one.path)))
            .collect()
    };
    let mut larger = serde_json::to_value(one()).unwrap();
    larger["volumes"][0]["persistent"]["size"] = json!(200);
    larger["containers"][0]["resources"]["cpus"] = json!(0.2);
    larger["containers"][0]["endpoints"] = json!([{ "name": "web", "hostPort": 80 }]);
    assert_eq!(
        refused(&mut driver, from_json(&larger)),
        [
            "/volumes persistent volumes cannot be updated",
            "/containers cpus cannot be updated if a pod has persistent volumes: its containers and executor have 0.3 in all, got 0.4",
            "/containers host ports cannot be updated if a pod has persistent volumes",
        ]
    );
    let mut plain = serde_json::to_value(pod("/db", 2, 1)).unwrap();
    plain["role"] = json!("dev");
    assert_eq!(refused(&mut driver, from_json(&plain))[0], "/volumes persistent volumes cannot be updated");
    // Containers may share what they have in another way.
    let mut moved = serde_json::to_value(one()).unwrap();
    moved["containers"][0]["resources"]["mem"] = json!(40);
    moved["containers"][1]["resources"]["mem"] = json!(24);
    driver.update_pod(from_json(&moved));
}

#[test]
fn a_changed_role_is_for_new_copies_only() {
    let (mut driver, kept) = running(one());
    driver.crash(0);
    driver.wait(2.0);
    // The daemon has another role now, so that a pod may have it.
    driver.scheduler = Scheduler::restore(
        Config { mesos_role: Role::from("ops"), ..config() },
        2,
        driver.store.values().cloned(),
    )
    .unwrap();
    driver.subscribe();
    let two = PodSpec { role: Role::from("ops"), ..resident(2, &json!({})) };
    let refused = driver.command(Command::UpdatePod { pod: two.clone(), force: false, role_given: true });
    assert!(refused.unwrap_err().to_string().contains("retry with ?force=true"));
    driver.force_pod(two);
    // The old copy waits for its old role, the new one for the new: offers to both are wanted.
    let wanted = |driver: &Driver| -> BTreeSet<Role> {
        let subscription = driver.scheduler.subscription(driver.now);
        let suppressed = subscription.suppressed_roles;
        subscription.framework_info.roles.into_iter().filter(|role| !suppressed.contains(role)).collect()
    };
    assert_eq!(wanted(&driver), ["dev", "ops"].map(Role::from).into());
    let again = offer(&mut driver, "s1", &kept);
    assert_eq!(used(&again), kept);
    assert_eq!(wanted(&driver), ["ops"].map(Role::from).into());
    let mut to_ops = driver.make_offer("s2", 8.0, 8192.0);
    to_ops.role = Some(Role::from("ops"));
    to_ops.resources.iter_mut().for_each(|resource| resource.allocation_role = Some(Role::from("ops")));
    let new = operations(&driver.offer_all(vec![to_ops]));
    assert!(used(&new).iter().all(|resource| resource.reserved_role() == Some(&Role::from("ops"))));
    assert_eq!(driver.picture(), ["v2.2 s1 Pending", "v2.1 s2 Pending"]);
    let roles: Vec<Role> = driver.instances().into_iter().map(|instance| instance.role).collect();
    assert_eq!(roles, ["dev", "ops"].map(Role::from));
}

#[test]
fn time_alone_does_nothing_to_volumes() {
    let (mut driver, kept) = running(one());
    driver.crash(0);
    driver.wait(3600.0);
    assert_eq!((driver.picture(), leftovers(&driver)), (vec!["v1.1 s1 Pending".to_owned()], 0));
    driver.now = driver.now + Duration::from_secs(1);
    let _ = driver.step(Input::Tick);
    assert_eq!(used(&offer(&mut driver, "s1", &kept)), kept);
}

#[test]
fn a_copy_that_goes_back_shows_its_agent_as_it_is_now() {
    let (mut driver, kept) = running(one());
    driver.crash(0);
    driver.wait(2.0);
    let mut moved = make_offer(&mut driver, "s1", 8.0, &kept);
    moved.hostname = "new-name.example".to_owned();
    driver.offer_all(vec![moved]);
    let instance = &driver.instances()[0];
    assert_eq!(
        (instance.agent_id.clone().unwrap().as_str(), instance.agent_hostname.as_deref()),
        ("s1", Some("new-name.example"))
    );
}

#[test]
fn copies_with_volumes_that_are_launched_together_keep_their_constraints() {
    let constraints =
        json!({ "placement": { "constraints": [{ "fieldName": "@hostname", "operator": "UNIQUE" }] } });
    let mut driver = Driver::connected_with(config());
    driver.create(resident(3, &json!({ "scheduling": constraints })));
    let offers = ["s1", "s2"].map(|agent| make_offer(&mut driver, agent, 8.0, &[])).to_vec();
    let calls = driver.offer_all(offers);
    let launches = operations(&calls).into_iter();
    let launches = launches.filter(|operation| matches!(operation.info, OperationInfo::LaunchGroup(_)));
    assert_eq!(launches.count(), 2);
    assert_eq!(driver.picture(), ["v1.1 s1 Pending", "v1.1 s2 Pending", "v1.0 - Pending"]);
}

#[test]
fn a_copy_whose_volumes_are_offered_and_refused_says_why() {
    let (mut driver, kept) = running(one());
    driver.crash(0);
    driver.wait(5.0);
    let message = |driver: &Driver| driver.instances()[0].message.clone().unwrap();
    assert!(message(&driver).ends_with("waits for its persistent volumes on agent s1.example to be offered"));
    let mut offer = make_offer(&mut driver, "s1", 8.0, &kept);
    offer.unavailability = Some(Unavailability { start: driver.now, duration: None });
    driver.offer_all(vec![offer]);
    let why = "its persistent volumes were offered on agent s1.example, but 1 agent leaves for maintenance";
    assert!(message(&driver).ends_with(why), "{}", message(&driver));
}
