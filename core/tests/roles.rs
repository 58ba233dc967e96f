//! Which role a pod may use: its group's, the daemon's, or the one it has.

mod harness;

use harness::{Driver, from_json, pod, pod_id};
use podium_core::admission::{Rejection, Violation};
use podium_core::model::ids::Role;
use podium_core::model::pod::PodSpec;
use podium_core::{Command, Config, Refusal};
use serde_json::json;

fn enforcing() -> Driver {
    Driver::with(Config { new_group_enforce_role: true, ..Config::default() })
}

fn with_role(id: &str, role: &str) -> Command {
    let pod = PodSpec { role: Role::from(role), ..pod(id, 1, 1) };
    Command::CreatePod { pod, force: false, role_given: true }
}

fn role_of(driver: &Driver, id: &str) -> String {
    driver.scheduler.pod(&pod_id(id)).unwrap().role.to_string()
}

fn not_valid(path: &str, error: &str) -> Refusal {
    Refusal::Invalid(Rejection {
        message: Rejection::NOT_VALID.into(),
        details: vec![Violation { path: path.into(), errors: vec![error.into()] }],
    })
}

#[test]
fn a_pod_without_a_role_gets_its_groups_or_the_daemons() {
    let mut driver = Driver::new();
    driver.create(pod("/dev/p", 1, 1));
    assert_eq!(role_of(&driver, "/dev/p"), "*");
    let mut driver = enforcing();
    driver.create(pod("/dev/deep/p", 1, 1));
    assert_eq!(role_of(&driver, "/dev/deep/p"), "dev");
    driver.create(pod("/p", 1, 1));
    assert_eq!(role_of(&driver, "/p"), "*");
}

#[test]
fn a_role_of_somebody_else_is_refused() {
    let mut driver = Driver::new();
    let refused = driver.command(with_role("/dev/p", "other")).unwrap_err();
    assert_eq!(refused, not_valid("/role", "got other, expected one of: [*, dev]"));
    let refused = driver.command(with_role("/p", "dev")).unwrap_err();
    assert_eq!(refused, not_valid("/role", "got dev, expected one of: [*]"));
    driver.command(with_role("/dev/p", "dev")).unwrap();
    let refused = enforcing().command(with_role("/dev/p", "*")).unwrap_err();
    assert_eq!(refused, not_valid("/role", "got *, expected one of: [dev]"));
}

#[test]
fn a_role_that_was_good_once_may_be_kept() {
    let mut driver = Driver::new();
    driver.command(with_role("/dev/p", "*")).unwrap();
    let config = Config { new_group_enforce_role: true, ..Config::default() };
    let entries: Vec<_> = driver.store.values().cloned().collect();
    driver.scheduler = podium_core::Scheduler::restore(config, 2, entries).unwrap();
    let pod = pod("/dev/p", 1, 2);
    driver.command(Command::UpdatePod { pod, force: true, role_given: true }).unwrap();
    assert_eq!(role_of(&driver, "/dev/p"), "*");
}

#[test]
fn the_roles_of_resources_follow_the_role_that_the_group_gives() {
    let accepting = |roles| {
        let mut pod = pod("/dev/p", 1, 1);
        pod.scheduling.placement.accepted_resource_roles = roles;
        Command::CreatePod { pod, force: false, role_given: false }
    };
    let refused = enforcing().command(accepting(vec![Role::from("other")])).unwrap_err();
    let error = "acceptedResourceRoles can only contain * and dev, got 'other'";
    assert_eq!(refused, not_valid("/scheduling/placement/acceptedResourceRoles", error));
    enforcing().command(accepting(vec![Role::from("dev")])).unwrap();
}

#[test]
fn copies_with_volumes_change_their_role_only_by_force() {
    let resident = |role: &str, force| {
        let mut pod = from_json(&json!({
            "id": "/dev/p", "role": "dev",
            "containers": [{
                "name": "a", "resources": {"cpus": 0.1, "mem": 32},
                "volumeMounts": [{"name": "data", "mountPath": "data"}]
            }],
            "volumes": [{"name": "data", "persistent": {"size": 10}}]
        }));
        pod.role = Role::from(role);
        Command::UpdatePod { pod, force, role_given: true }
    };
    let mut driver = Driver::new();
    let refused = driver.command(resident("*", false)).unwrap_err();
    assert_eq!(refused, not_valid("/role", "Resident pods cannot have the role *"));
    driver.command(resident("dev", false)).unwrap();
    let config = Config { mesos_role: Role::from("web"), ..Config::default() };
    let entries: Vec<_> = driver.store.values().cloned().collect();
    driver.scheduler = podium_core::Scheduler::restore(config, 2, entries).unwrap();
    let refused = driver.command(resident("web", false)).unwrap_err();
    assert!(refused.to_string().contains("retry with ?force=true"), "{refused}");
    driver.command(resident("web", true)).unwrap();
    assert_eq!(role_of(&driver, "/dev/p"), "web");
}
