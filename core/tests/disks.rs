//! Persistent volumes on separate disks: which disk is taken, how much of it, and which one a copy goes back to.

mod harness;

use std::sync::Arc;

use harness::{Driver, from_json, pod};
use podium_core::Config;
use podium_core::model::ids::Role;
use podium_core::model::mesos::{
    Call, DiskInfo, DiskSource, DiskSourceType, Operation, OperationInfo, Reservation, ReservationType,
    Resource, ResourceKind, ResourceValue, TaskState,
};
use podium_core::model::number::Scalar;
use serde_json::{Value, json};

const NOTHING: [&str; 0] = [];

/// A scheduler with a pod of one container that waits to be launched, which has the `volumes` `v0`, `v1`, …
fn waiting(instances: u32, volumes: &[Value]) -> Driver {
    let config = Config { mesos_role: Role::from("dev"), ..Config::default() };
    let mut driver = Driver::connected_with(config);
    let mut definition = serde_json::to_value(pod("/db", 1, instances)).unwrap();
    definition["role"] = json!("dev");
    definition.as_object_mut().unwrap().remove("scheduling");
    let named = |(n, persistent): (usize, &Value)| json!({"name": format!("v{n}"), "persistent": persistent});
    definition["volumes"] = volumes.iter().enumerate().map(named).collect();
    let mount = |n: usize| json!({"name": format!("v{n}"), "mountPath": format!("/mnt/v{n}")});
    definition["containers"][0]["volumeMounts"] = (0..volumes.len()).map(mount).collect();
    driver.create(from_json(&definition));
    driver
}

/// A disk of so many MiB under `root`.
fn disk(kind: DiskSourceType, root: &str, size: u32) -> Resource {
    let source = DiskSource { kind, root: Some(root.to_owned()), profile: None, id: None };
    let disk = DiskInfo { source: Some(source), ..DiskInfo::default() };
    Resource {
        disk: Some(Box::new(disk)),
        ..Resource::scalar(ResourceKind::Disk, Scalar::from_f64(size.into()))
    }
}

fn path(root: &str, size: u32) -> Resource {
    disk(DiskSourceType::Path, root, size)
}

fn mount(root: &str, size: u32) -> Resource {
    disk(DiskSourceType::Mount, root, size)
}

fn kept_for(role: &str) -> Arc<[Reservation]> {
    let kind = ReservationType::Dynamic;
    Arc::from([Reservation { kind, role: Role::from(role), principal: None, labels: Vec::new() }])
}

/// Offers agent `s1` with these separate disks, and says what is done with disks.
fn offer(driver: &mut Driver, disks: &[Resource]) -> Vec<String> {
    story(&operations(driver, disks))
}

fn operations(driver: &mut Driver, disks: &[Resource]) -> Vec<Operation> {
    let mut offer = driver.make_offer("s1", 8.0, 8192.0);
    offer.role = Some(Role::from("dev"));
    offer.resources.extend(disks.iter().cloned());
    for resource in &mut offer.resources {
        resource.allocation_role = Some(Role::from("dev"));
    }
    let calls = driver.offer_all(vec![offer]);
    let accepts = calls.into_iter().filter_map(|call| match call {
        Call::Accept { operations, .. } => Some(operations),
        _ => None,
    });
    accepts.flatten().collect()
}

/// What `operations` do with volumes, a line each.
fn story(operations: &[Operation]) -> Vec<String> {
    let list = |verb: &str, resources: &[Resource]| {
        let separate = resources.iter().filter(|resource| resource.disk.is_some());
        let disks: Vec<String> = separate.map(show).collect();
        format!("{verb} {}", disks.join(", "))
    };
    let line = |operation: &Operation| match &operation.info {
        OperationInfo::Reserve(resources) => list("RESERVE", resources),
        OperationInfo::Create(resources) => list("CREATE", resources),
        OperationInfo::Destroy(resources) => list("DESTROY", resources),
        OperationInfo::Unreserve(resources) => list("UNRESERVE", resources),
        OperationInfo::LaunchGroup(_) => "LAUNCH".to_owned(),
        OperationInfo::Launch(_) => "LAUNCH of a task".to_owned(),
    };
    operations.iter().map(line).collect()
}

/// Its size, where it lies, and which volume it is.
fn show(resource: &Resource) -> String {
    let ResourceValue::Scalar(size) = &resource.value else { panic!("{resource:?}") };
    let disk = resource.disk.as_ref().unwrap();
    let source = disk.source.as_ref().map(|source| {
        let kind = if source.kind == DiskSourceType::Mount { "mount" } else { "path" };
        format!(" of {kind} {}", source.root.as_deref().unwrap_or_default())
    });
    let id = disk.persistence.as_ref().map(|volume| format!(" as {}", volume.id.rsplit_once('#').unwrap().0));
    format!("{size}{}{}", source.unwrap_or_default(), id.unwrap_or_default())
}

#[test]
fn a_path_disk_is_shared_by_volumes() {
    let mut driver = waiting(2, &[json!({"type": "path", "size": 100})]);
    let one = ["RESERVE 100 of path /mnt/a", "CREATE 100 of path /mnt/a as db#v0", "LAUNCH"];
    assert_eq!(offer(&mut driver, &[path("/mnt/a", 250)]), [one, one].concat());
}

/// The smaller ones find room where the largest lies, but not the other way round.
#[test]
fn the_largest_volume_chooses_its_path_disk_first() {
    let sizes = [50, 50, 70];
    let mut driver = waiting(1, &sizes.map(|size| json!({"type": "path", "size": size})));
    let done = offer(&mut driver, &[path("/mnt/a", 100), path("/mnt/b", 70)]);
    assert_eq!(done.last().map(String::as_str), Some("LAUNCH"));
}

#[test]
fn no_more_than_there_is_is_taken_of_a_path_disk() {
    let mut driver = waiting(3, &[json!({"type": "path", "size": 100})]);
    assert_eq!(offer(&mut driver, &[path("/mnt/a", 250)]).len(), 2 * 3);
    let waits = driver.instances().iter().filter(|instance| instance.agent_id.is_none()).count();
    assert_eq!(waits, 1);
}

#[test]
fn a_mount_disk_is_taken_whole_and_the_smallest_that_will_do() {
    let mut driver = waiting(1, &[json!({"type": "mount", "size": 100})]);
    let disks = [mount("/mnt/large", 5000), mount("/mnt/small", 99), mount("/mnt/right", 120)];
    let expected = ["RESERVE 120 of mount /mnt/right", "CREATE 120 of mount /mnt/right as db#v0", "LAUNCH"];
    assert_eq!(offer(&mut driver, &disks), expected);
}

#[test]
fn two_volumes_never_share_a_mount_disk() {
    let volume = json!({"type": "mount", "size": 100});
    let mut driver = waiting(1, &[volume.clone(), volume]);
    assert_eq!(offer(&mut driver, &[mount("/mnt/a", 5000)]), NOTHING);
    assert_eq!(
        offer(&mut driver, &[mount("/mnt/a", 5000), mount("/mnt/b", 5000)]),
        [
            "RESERVE 5000 of mount /mnt/a, 5000 of mount /mnt/b",
            "CREATE 5000 of mount /mnt/a as db#v0, 5000 of mount /mnt/b as db#v1",
            "LAUNCH",
        ]
    );
}

#[test]
fn a_mount_disk_can_be_too_large() {
    let mut driver = waiting(1, &[json!({"type": "mount", "size": 100, "maxSize": 200})]);
    assert_eq!(offer(&mut driver, &[mount("/mnt/large", 201)]), NOTHING);
    assert_eq!(offer(&mut driver, &[mount("/mnt/right", 200)]).len(), 3);
}

#[test]
fn a_disk_of_another_type_is_not_taken() {
    let mut driver = waiting(1, &[json!({"type": "mount", "size": 100})]);
    assert_eq!(offer(&mut driver, &[path("/mnt/a", 5000)]), NOTHING);
    let mut driver = waiting(1, &[json!({"type": "path", "size": 100})]);
    assert_eq!(offer(&mut driver, &[mount("/mnt/a", 5000)]), NOTHING, "nor the agent's own");
    let queue = driver.scheduler.queue(driver.now);
    let refused = &queue[0].processed_offers_summary.reject_summary_last_offers;
    let reasons: Vec<_> =
        refused.iter().filter(|reason| reason.declined > 0).map(|reason| reason.reason).collect();
    assert_eq!(format!("{reasons:?}"), "[InsufficientDisk]");
}

#[test]
fn a_volume_lies_only_where_its_constraints_allow() {
    let volume = json!({"type": "path", "size": 100, "constraints": [["path", "LIKE", "/mnt/ssd-.*"]]});
    let mut driver = waiting(1, &[volume]);
    assert_eq!(offer(&mut driver, &[path("/mnt/disk-1", 150)]), NOTHING);
    let disks = [path("/mnt/disk-1", 150), path("/mnt/ssd-1", 5000), path("/old/mnt/ssd-2", 150)];
    assert_eq!(offer(&mut driver, &disks)[0], "RESERVE 100 of path /mnt/ssd-1");
}

/// Of storage that has profiles, only that of the right one.
#[test]
fn a_volume_lies_only_on_storage_of_its_profile() {
    let with = |profile: Option<&str>, root: &str| {
        let mut disk = mount(root, 200);
        let source = disk.disk.as_mut().unwrap().source.as_mut().unwrap();
        source.profile = profile.map(str::to_owned);
        disk
    };
    let mut driver = waiting(1, &[json!({"size": 100, "profileName": "fast"})]);
    assert_eq!(offer(&mut driver, &[with(None, "/mnt/a"), with(Some("slow"), "/mnt/b")]), NOTHING);
    let disks = [with(Some("slow"), "/mnt/b"), with(Some("fast"), "/mnt/c")];
    assert_eq!(offer(&mut driver, &disks)[0], "RESERVE 200 of mount /mnt/c");
    // Whoever asks for no profile takes any: for Marathon the two were alike.
    let mut driver = waiting(1, &[json!({"type": "mount", "size": 100})]);
    assert_eq!(offer(&mut driver, &[with(Some("fast"), "/mnt/c")]).len(), 3);
}

#[test]
fn whoever_waits_for_a_disk_that_no_agent_has_is_told() {
    let is_in_vain = |volume: &Value, disks: &[&[Resource]]| {
        let mut driver = waiting(1, std::slice::from_ref(volume));
        for disks in disks {
            assert_eq!(offer(&mut driver, disks), NOTHING);
        }
        let message = driver.instances()[0].message.clone().unwrap();
        assert!(message.starts_with("needs "), "{message}");
        message.contains("can ever take it")
    };
    let volume = json!({"type": "mount", "size": 100});
    assert!(is_in_vain(&volume, &[&[mount("/mnt/a", 99), path("/mnt/b", 5000)]]));
    assert!(is_in_vain(&volume, &[&[]]));
    let kept = Resource { reservations: kept_for("dev"), ..mount("/mnt/a", 100) };
    assert!(!is_in_vain(&volume, &[std::slice::from_ref(&kept)]), "it may be given back");
    assert!(!is_in_vain(&volume, &[&[kept], &[]]), "it may come back");
    let volume = json!({"type": "path", "size": 100});
    assert!(is_in_vain(&volume, &[&[path("/mnt/b", 60), path("/mnt/c", 60)]]));
    let part = |size| Resource { reservations: kept_for("dev"), ..path("/mnt/b", size) };
    assert!(!is_in_vain(&volume, &[&[path("/mnt/b", 60), part(40)]]), "a part of it is kept for somebody");
}

/// A copy's disk is not offered while it is in use, so whoever sees its agent then does not know all of its disks.
#[test]
fn nobody_says_that_disks_do_not_exist_that_may_be_in_use() {
    let volume = json!({"type": "mount", "size": 100});
    let mut driver = waiting(2, &[volume]);
    assert_eq!(offer(&mut driver, &[mount("/mnt/a", 100)]).len(), 3);
    driver.run(0);
    driver.restart();
    driver.subscribe();
    assert_eq!(offer(&mut driver, &[]), NOTHING);
    let message = driver.instances()[1].message.clone().unwrap();
    assert!(message.starts_with("needs 100 MiB") && !message.contains("can ever take it"), "{message}");
}

#[test]
fn what_is_reserved_for_somebody_is_not_taken() {
    let mut driver = waiting(1, &[json!({"type": "mount", "size": 100})]);
    let made = operations(&mut driver, &[mount("/mnt/a", 200)]);
    let OperationInfo::Create(volumes) = &made[1].info else { panic!("{made:?}") };
    let mut another = waiting(1, &[json!({"type": "mount", "size": 100})]);
    let mut foreign = volumes[0].clone();
    Arc::make_mut(&mut foreign.reservations)[0].labels[0].value = Some("another framework".to_owned());
    assert_eq!(offer(&mut another, &[foreign]), NOTHING);
}

#[test]
fn a_copy_goes_back_to_its_disks_and_gives_them_back_whole() {
    let volumes =
        [json!({"type": "mount", "size": 100}), json!({"type": "path", "size": 50}), json!({"size": 10})];
    let mut driver = waiting(1, &volumes);
    let made = operations(&mut driver, &[mount("/mnt/a", 200), path("/mnt/b", 1000)]);
    let OperationInfo::Create(created) = &made[1].info else { panic!("{made:?}") };
    assert_eq!(
        created.iter().map(show).collect::<Vec<_>>(),
        ["200 of mount /mnt/a as db#v0", "50 of path /mnt/b as db#v1", "10 as db#v2"]
    );
    let OperationInfo::LaunchGroup(group) = &made[2].info else { panic!("{made:?}") };
    let of_tasks = group.tasks.iter().flat_map(|task| &task.resources);
    let kept: Vec<Resource> = group.executor.resources.iter().chain(of_tasks).cloned().collect();
    driver.run(0);
    driver.update_all(0, TaskState::TaskFailed);
    driver.wait(10.0);
    assert_eq!(offer(&mut driver, &[mount("/mnt/c", 200), path("/mnt/b", 950)]), NOTHING, "not its own");
    assert_eq!(offer(&mut driver, &kept), ["LAUNCH"]);
    driver.run(0);
    driver.delete_pod_by_force("/db");
    driver.confirm_kills();
    assert_eq!(
        offer(&mut driver, &kept),
        [
            "DESTROY 200 of mount /mnt/a as db#v0, 50 of path /mnt/b as db#v1, 10 as db#v2",
            "UNRESERVE 200 of mount /mnt/a, 50 of path /mnt/b",
        ]
    );
}
