//! What a command would do, and that asking changes nothing.

mod harness;

use harness::{Driver, pod, pod_id, pod_with};
use podium_core::admission::{Rules, read_group};
use podium_core::model::ids::GroupId;
use podium_core::model::mesos::TaskState;
use podium_core::model::pod::PodSpec;
use podium_core::view::Plan;
use podium_core::{Command, Preview, Refusal, Response};
use serde_json::json;

/// Tries `command`, and makes sure that this changed nothing.
fn preview(driver: &Driver, command: &Command) -> Result<Preview, Refusal> {
    let before = format!("{:?}", driver.scheduler);
    let preview = driver.scheduler.rehearse(command.clone()).play(driver.now);
    assert_eq!(format!("{:?}", driver.scheduler), before);
    preview
}

fn update(pod: PodSpec, force: bool) -> Command {
    Command::UpdatePod { pod, force, role_given: false }
}

fn relabelled(pod: PodSpec) -> PodSpec {
    PodSpec { labels: [("v".to_owned(), "2".to_owned())].into(), ..pod }
}

/// The plan, a line for each step and each round.
fn story(plan: &Plan) -> String {
    let mut lines: Vec<String> = plan
        .steps
        .iter()
        .map(|step| {
            let actions: Vec<String> =
                step.actions.iter().map(|action| format!("{:?} {}", action.action, action.pod)).collect();
            format!("step: {}", actions.join(", "))
        })
        .collect();
    if let Some(waits_for) = &plan.waits_for {
        lines.push(waits_for.clone());
    }
    let last =
        plan.start.iter().map(|start| start.round).chain(plan.kill.iter().map(|kill| kill.round)).max();
    for round in 1..=last.unwrap_or(0) {
        let starts = plan.start.iter().filter(|start| start.round == round);
        let starts = starts.map(|start| format!("start {} of {}", start.instances, start.pod));
        let kills = plan.kill.iter().filter(|kill| kill.round == round);
        let kills = kills.map(|kill| {
            format!("kill one of {}{}", kill.pod, if kill.instance.is_none() { " (new)" } else { "" })
        });
        lines.push(format!("round {round}: {}", starts.chain(kills).collect::<Vec<_>>().join(", ")));
    }
    lines.push(format!("complete: {}", plan.is_complete));
    lines.join("\n")
}

fn running(pods: &[PodSpec]) -> Driver {
    let mut driver = Driver::connected();
    for pod in pods {
        driver.create(pod.clone());
        driver.wait(5.0);
        driver.offer("s1", 8.0, 8192.0);
        for n in 0..driver.instances().len() {
            if driver.instances()[n].containers.iter().all(|one| one.status == TaskState::TaskStaging) {
                driver.run(n);
            }
        }
    }
    driver.wait(60.0);
    assert_eq!(driver.deployments(), [""; 0]);
    driver
}

#[test]
fn a_new_pod_is_started_in_one_round() {
    let driver = Driver::connected();
    let command = Command::CreatePod { pod: pod("/g/p", 2, 3), force: false, role_given: false };
    let preview = preview(&driver, &command).unwrap();
    let Response::PodCreated { pod, .. } = &preview.response else { panic!() };
    assert_eq!((pod.id.as_str(), pod.role.as_str()), ("/g/p", "*"));
    insta::assert_snapshot!(story(&preview.plan), @r"
    step: StartPod /g/p
    step: ScalePod /g/p
    round 1: start 3 of /g/p
    complete: true
    ");
    assert_eq!(driver.scheduler.pod(&pod_id("/g/p")), None);
}

#[test]
fn an_upgrade_shows_its_rounds_within_the_capacities() {
    let spec = |floor: f64, over: f64| {
        let upgrade = json!({"minimumHealthCapacity": floor, "maximumOverCapacity": over});
        pod_with("/p", 1, 4, &json!({"scheduling": {"upgrade": upgrade}}))
    };
    let driver = running(&[spec(0.5, 0.0)]);
    let plan = |spec| story(&preview(&driver, &update(relabelled(spec), false)).unwrap().plan);
    insta::assert_snapshot!(plan(spec(0.5, 0.0)), @"
    step: RestartPod /p
    round 1: kill one of /p, kill one of /p
    round 2: start 2 of /p
    round 3: kill one of /p, kill one of /p
    round 4: start 2 of /p
    complete: true
    ");
    insta::assert_snapshot!(plan(spec(1.0, 0.25)), @"
    step: RestartPod /p
    round 1: start 1 of /p
    round 2: kill one of /p
    round 3: start 1 of /p
    round 4: kill one of /p
    round 5: start 1 of /p
    round 6: kill one of /p
    round 7: start 1 of /p
    round 8: kill one of /p
    complete: true
    ");
    insta::assert_snapshot!(plan(spec(1.0, 1.0)), @"
    step: RestartPod /p
    round 1: start 4 of /p
    round 2: kill one of /p, kill one of /p, kill one of /p, kill one of /p
    complete: true
    ");
}

#[test]
fn the_copies_that_would_end_are_those_that_do() {
    let mut driver = running(&[pod("/p", 1, 5)]);
    driver.crash(2);
    let command = update(pod("/p", 1, 2), false);
    let plan = preview(&driver, &command).unwrap().plan;
    let planned: Vec<_> = plan.kill.into_iter().map(|kill| kill.instance.unwrap()).collect();
    let before: Vec<_> = driver.instances().into_iter().map(|instance| instance.id).collect();
    driver.command(command).unwrap();
    driver.confirm_kills();
    let left: Vec<_> = driver.instances().into_iter().map(|instance| instance.id).collect();
    let mut gone: Vec<_> = before.into_iter().filter(|id| !left.contains(id)).collect();
    assert_eq!(gone.len(), 3);
    assert!(gone.contains(&planned[0]) && planned.len() == 3);
    let mut planned = planned;
    planned.sort();
    gone.sort();
    assert_eq!(planned, gone);
}

#[test]
fn a_deletion_names_every_copy() {
    let driver = running(&[pod("/p", 1, 2)]);
    let plan = preview(&driver, &Command::DeletePod { id: pod_id("/p"), force: false }).unwrap().plan;
    insta::assert_snapshot!(story(&plan), @"
    step: StopPod /p
    round 1: kill one of /p, kill one of /p
    complete: true
    ");
    assert!(plan.kill.iter().all(|kill| kill.instance.is_some()));
}

#[test]
fn a_group_goes_dependants_first() {
    let mut driver = running(&[pod("/shop/db/a", 1, 2), pod("/shop/web/x", 1, 1), pod("/other", 1, 1)]);
    let group = json!({"dependencies": ["../db"]});
    let group = read_group(&group, &GroupId::from("/shop/web"), &Rules::default()).unwrap().update;
    driver.command(Command::UpdateGroup { group }).unwrap();
    let plan = preview(&driver, &Command::DeleteGroup { id: "/shop".into(), force: false }).unwrap().plan;
    insta::assert_snapshot!(story(&plan), @"
    step: StopPod /shop/web/x
    step: StopPod /shop/db/a
    round 1: kill one of /shop/web/x
    round 2: kill one of /shop/db/a, kill one of /shop/db/a
    complete: true
    ");
}

#[test]
fn a_plan_says_for_whom_it_waits_and_what_comes_then() {
    let mut driver = running(&[pod("/db", 1, 1)]);
    let group = json!({"dependencies": ["/db"]});
    let group = read_group(&group, &GroupId::from("/shop"), &Rules::default()).unwrap().update;
    driver.command(Command::UpdateGroup { group }).unwrap();
    driver.crash(0);
    let command = Command::CreatePod { pod: pod("/shop/web", 1, 2), force: false, role_given: false };
    insta::assert_snapshot!(story(&preview(&driver, &command).unwrap().plan), @"
    step: StartPod /shop/web
    step: ScalePod /shop/web
    waits for /db, because group /shop depends on /db: 0 of its 1 instance healthy
    round 1: start 2 of /shop/web
    complete: true
    ");
}

#[test]
fn force_names_what_it_would_cancel() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 1, 1));
    let holder = driver.scheduler.deployments(driver.now)[0].id.clone();
    let refused = preview(&driver, &update(pod("/p", 1, 2), false)).unwrap_err();
    assert_eq!(refused, Refusal::Locked { deployments: vec![holder.clone()] });
    let plan = preview(&driver, &update(pod("/p", 1, 2), true)).unwrap().plan;
    assert_eq!(plan.cancels, [holder]);
    insta::assert_snapshot!(story(&plan), @"
    step: ScalePod /p
    round 1: start 1 of /p
    complete: true
    ");
}

#[test]
fn what_would_be_refused_is_refused() {
    let driver = running(&[pod("/p", 1, 1)]);
    let create = |id: &str| Command::CreatePod { pod: pod(id, 1, 1), force: false, role_given: false };
    assert_eq!(preview(&driver, &create("/p")).unwrap_err(), Refusal::AlreadyExists(pod_id("/p")));
    assert!(matches!(preview(&driver, &create("/p/q")), Err(Refusal::Invalid(_))));
    let delete = Command::DeletePod { id: pod_id("/q"), force: false };
    assert_eq!(preview(&driver, &delete).unwrap_err(), Refusal::UnknownPod(pod_id("/q")));
}

#[test]
fn nothing_to_do_is_an_empty_plan() {
    let driver = running(&[pod("/p", 1, 1)]);
    let plan = preview(&driver, &update(pod("/p", 1, 1), false)).unwrap().plan;
    assert_eq!(story(&plan), "complete: true");
}
