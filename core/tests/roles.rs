//! Which role a pod may use: its group's, the daemon's, or the one it has.

mod harness;

use harness::{Driver, from_json, pod, pod_id};
use podium_core::admission::{Rejection, Violation};
use podium_core::model::ids::Role;
use podium_core::model::mesos::Call;
use podium_core::model::pod::PodSpec;
use podium_core::{Command, Config, Input, Refusal};
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

/// The roles that the master was asked for since the calls were last taken, each time. It refuses what has `bad` in it.
fn ask_a_strict_master(driver: &mut Driver, bad: &str) -> Vec<String> {
    let mut asked = Vec::new();
    while let Some(call) = driver.calls.iter().position(|call| matches!(call, Call::UpdateFramework { .. })) {
        let call = driver.calls.remove(call);
        let Call::UpdateFramework { framework_info, .. } = &call else { continue };
        let roles: Vec<&str> = framework_info.roles.iter().map(|role| role.as_str()).collect();
        asked.push(roles.join(" "));
        if roles.contains(&bad) {
            let reason = format!("Not authorized to use the role {bad}");
            let _ = driver.step(Input::Refused { call: Box::new(call), reason });
        }
    }
    asked
}

#[test]
fn a_role_that_the_master_refuses_holds_up_only_those_who_need_it() {
    let mut driver = Driver::connected();
    driver.calls.clear();
    for id in ["/bad/p", "/good/p"] {
        driver.command(with_role(id, id.split('/').nth(1).unwrap())).unwrap();
    }
    let mut asked = ask_a_strict_master(&mut driver, "bad");
    for _ in 0..30 {
        driver.wait(0.5);
        asked.extend(ask_a_strict_master(&mut driver, "bad"));
    }
    assert_eq!(asked, ["* bad", "* good"], "it is asked again only much later");
    let message = |driver: &Driver, pod: &str| driver.status_of(pod).instances[0].message.clone().unwrap();
    assert_eq!(
        message(&driver, "/bad/p"),
        "waits for the role 'bad', which the Mesos master does not let this framework have: \
         Not authorized to use the role bad"
    );
    let mut offer = driver.make_offer("s1", 8.0, 8192.0);
    offer.role = Some(Role::from("good"));
    driver.offer_all(vec![offer]);
    assert_eq!(driver.status_of("/good/p").instances[0].incarnation, 1);
    // Perhaps it may have it by then.
    let mut asked = Vec::new();
    for _ in 0..300 {
        driver.wait(1.0);
        asked.extend(ask_a_strict_master(&mut driver, "bad"));
    }
    assert_eq!(asked, ["* bad good"]);
}

#[test]
fn of_several_roles_that_were_refused_together_the_bad_one_is_found() {
    let mut driver = Driver::connected();
    for id in ["/a/p", "/bad/p", "/c/p"] {
        driver.command(with_role(id, id.split('/').nth(1).unwrap())).unwrap();
    }
    driver.restart();
    driver.subscribe();
    let mut asked = Vec::new();
    for _ in 0..60 {
        asked.extend(ask_a_strict_master(&mut driver, "bad"));
        driver.wait(0.5);
    }
    assert_eq!(asked, ["* a bad c", "* a", "* a bad", "* a c"]);
}

#[test]
fn a_subscription_asks_only_for_what_it_cannot_do_without() {
    let mut driver = Driver::connected();
    driver.command(with_role("/a/p", "a")).unwrap();
    driver.command(with_role("/bad/p", "bad")).unwrap();
    let mut offer = driver.make_offer("s1", 8.0, 8192.0);
    offer.role = Some(Role::from("a"));
    driver.offer_all(vec![offer]);
    driver.run(0);
    driver.restart();
    // Or one pod whose role is refused would keep the scheduler from ever coming back.
    let subscription = driver.scheduler.subscription(driver.now);
    assert_eq!(subscription.framework_info.roles, [Role::from("*"), Role::from("a")]);
}

#[test]
fn a_refusal_that_is_not_about_roles_is_not_asked_for_again_at_once() {
    let mut driver = Driver::connected();
    driver.restart();
    driver.subscribe();
    let is_update = |call: &&Call| matches!(call, Call::UpdateFramework { .. });
    let call = driver.calls.iter().find(is_update).unwrap().clone();
    driver.calls.clear();
    let reason = "Updating 'FrameworkInfo.user' is unsupported".to_owned();
    let _ = driver.step(Input::Refused { call: Box::new(call), reason });
    driver.finish();
    assert_eq!(driver.calls.iter().filter(is_update).count(), 0);
}

#[test]
fn a_refusal_that_comes_late_is_one_all_the_same() {
    let mut driver = Driver::connected();
    driver.command(with_role("/bad/p", "bad")).unwrap();
    driver.wait(10.0);
    let is_update = |call: &&Call| matches!(call, Call::UpdateFramework { .. });
    let call = driver.calls.iter().rfind(is_update).unwrap().clone();
    driver.calls.clear();
    let _ = driver.step(Input::Refused { call: Box::new(call), reason: "no".into() });
    let asked = ask_a_strict_master(&mut driver, "bad");
    assert_eq!(asked, ["* bad"], "once more, to be sure");
    driver.create(pod("/p", 1, 1));
    driver.wait(10.0);
    let revived = driver.calls.iter().rev().find_map(|call| match call {
        Call::Revive { roles } => Some(roles.clone()),
        _ => None,
    });
    assert_eq!(
        revived,
        Some(vec![Role::from("*")]),
        "a master ignores who names a role that it does not have"
    );
}

/// While an answer is awaited, a role whose time has come waits for its turn, and nobody is asked to look at it.
#[test]
fn a_refused_role_is_asked_for_again_after_the_question_that_is_on_its_way() {
    let mut driver = Driver::connected();
    driver.command(with_role("/bad/p", "bad")).unwrap();
    ask_a_strict_master(&mut driver, "bad");
    driver.wait(299.0);
    driver.command(with_role("/new/q", "new")).unwrap();
    driver.calls.clear();
    for _ in 0..20 {
        driver.wait(0.1);
        assert!(driver.scheduler.deadline() > Some(driver.now), "there is nothing to do");
    }
    driver.wait(2.0);
    let asked = driver.calls.iter().find_map(|call| match call {
        Call::UpdateFramework { framework_info, .. } => Some(framework_info.roles.clone()),
        _ => None,
    });
    assert_eq!(asked, Some(["*", "bad", "new"].map(Role::from).to_vec()));
}
