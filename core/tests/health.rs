//! Health checks, and what people are shown.

mod harness;

use harness::{Driver, checked_pod, from_json, pod};
use podium_core::Entry;
use podium_core::admission::{Rules, read_pod};
use podium_core::model::mesos::{Event, TaskState};
use podium_core::model::pod::PodSpec;
use podium_core::view::{PodInstanceState, PodState, PodStatus};
use serde_json::json;

/// Containers with these names; those in `checked` have a health check.
fn checked(names: &[&str], checked: &[&str]) -> PodSpec {
    let containers: Vec<serde_json::Value> = names
        .iter()
        .map(|name| {
            let mut container = json!({
                "name": name,
                "exec": {"command": {"shell": "sleep 1000"}},
                "resources": {"cpus": 0.1, "mem": 32}
            });
            if checked.contains(name) {
                container["healthCheck"] = json!({"exec": {"command": {"shell": "true"}}});
            }
            container
        })
        .collect();
    from_json(&json!({"id": "/p", "containers": containers, "networks": [{"mode": "host"}]}))
}

fn started(spec: PodSpec) -> Driver {
    let mut driver = Driver::connected();
    driver.create(spec);
    driver.offer("s1", 8.0, 8192.0);
    driver.run(0);
    driver
}

fn instance(driver: &Driver) -> (PodInstanceState, String) {
    let instance = &driver.status_of("/p").instances[0];
    (instance.status, instance.message.clone().unwrap_or_default())
}

#[test]
fn one_verdict_of_unhealthy_decides_whatever_the_order_of_the_containers() {
    for names in [["a", "b", "c"], ["c", "a", "b"], ["b", "c", "a"], ["c", "b", "a"]] {
        let mut driver = started(checked(&names, &["a", "b", "c"]));
        driver.health(0, "a", true);
        driver.health(0, "b", false);
        let unhealthy = (PodInstanceState::Degraded, "at least one container is not healthy".to_owned());
        assert_eq!(instance(&driver), unhealthy, "{names:?}");
    }
}

#[test]
fn a_copy_is_healthy_when_all_of_its_checks_say_so() {
    let mut driver = started(checked(&["a", "b", "c"], &["a", "c"]));
    let waits = (PodInstanceState::Staging, "waits for the first result of its health checks".to_owned());
    assert_eq!(instance(&driver), waits);
    driver.health(0, "a", true);
    assert_eq!(instance(&driver), waits);
    driver.health(0, "c", true);
    assert_eq!(instance(&driver), (PodInstanceState::Stable, String::new()));
    // One that finished has nothing left to be checked.
    driver.health(0, "a", false);
    driver.update(0, "a", TaskState::TaskFinished);
    assert_eq!(instance(&driver), (PodInstanceState::Stable, String::new()));
}

#[test]
fn a_verdict_from_before_the_end_says_nothing_about_the_others() {
    let mut driver = started(checked(&["a", "b"], &["a", "b"]));
    driver.health(0, "a", false);
    driver.update(0, "a", TaskState::TaskFinished);
    let waits = (PodInstanceState::Staging, "waits for the first result of its health checks".to_owned());
    assert_eq!(instance(&driver), waits);
}

#[test]
fn a_copy_that_was_not_checked_yet_is_starting_and_its_container_says_so() {
    let mut driver = started(checked_pod("/p", 1, &json!({})));
    let status = driver.status_of("/p");
    assert_eq!(status.status, PodState::Degraded, "it does not serve yet");
    assert_eq!(instance(&driver).0, PodInstanceState::Staging);
    let condition = status.instances[0].containers[0].conditions[0].clone();
    assert_eq!((condition.value, condition.reason), ("false", "health-unreported-by-mesos"));
    driver.wait(400.0);
    driver.health(0, "a", false);
    assert_eq!(instance(&driver).0, PodInstanceState::Degraded);
    let condition = driver.status_of("/p").instances[0].containers[0].conditions[0].clone();
    assert_eq!((condition.value, condition.reason), ("false", "health-reported-by-mesos"));
}

#[test]
fn what_has_no_effect_is_named() {
    let mut pod = serde_json::to_value(pod("/p", 1, 1)).unwrap();
    pod["containers"][0]["check"] = json!({"exec": {"command": {"shell": "true"}}});
    let admitted = read_pod(&pod, &Rules::default()).unwrap();
    assert_eq!(admitted.unknown_fields, ["/containers(0)/check"]);
}

/// The times in a status, in seconds since its pod was created.
fn times(status: &PodStatus) -> String {
    let since = |at: podium_core::model::time::Timestamp| at.since(status.spec.version).as_secs();
    let mut lines = vec![format!(
        "pod {:?} since {}, changed {}",
        status.status,
        since(status.status_since),
        since(status.last_changed)
    )];
    for instance in &status.instances {
        lines.push(format!(
            "  instance {:?} since {}, changed {}, updated {}",
            instance.status,
            since(instance.status_since),
            since(instance.last_changed),
            since(instance.last_updated)
        ));
        for container in &instance.containers {
            let health = container.conditions.iter().map(|condition| {
                format!(
                    ", healthy {} since {}, said {}",
                    condition.value,
                    since(condition.last_changed),
                    since(condition.last_updated)
                )
            });
            lines.push(format!(
                "    {} {} since {}, changed {}, updated {}{}",
                container.name,
                container.status,
                since(container.status_since),
                since(container.last_changed),
                since(container.last_updated),
                health.collect::<String>()
            ));
        }
    }
    lines.join("\n")
}

#[test]
fn times_say_since_when_things_are_as_they_are() {
    let mut driver = Driver::connected();
    let mut story = Vec::new();
    let mut tell = |driver: &mut Driver, what: &str| {
        story.push(format!("{what}\n{}", times(&driver.status_of("/p"))));
        driver.wait(10.0);
    };
    driver.create(checked(&["a", "b"], &["a"]));
    tell(&mut driver, "created");
    driver.offer("s1", 8.0, 8192.0);
    tell(&mut driver, "launched");
    driver.update_all(0, TaskState::TaskStarting);
    tell(&mut driver, "confirmed");
    driver.update_all(0, TaskState::TaskRunning);
    tell(&mut driver, "runs");
    driver.health(0, "a", true);
    tell(&mut driver, "is healthy");
    driver.health(0, "a", true);
    tell(&mut driver, "is still healthy");
    driver.health(0, "a", false);
    tell(&mut driver, "is unhealthy");
    driver.update_all(0, TaskState::TaskUnreachable);
    tell(&mut driver, "is out of reach");
    driver.update_all(0, TaskState::TaskRunning);
    tell(&mut driver, "is back");
    driver.health(0, "a", true);
    tell(&mut driver, "is healthy again");
    driver.kill(0, false);
    tell(&mut driver, "is being killed");
    driver.confirm_kills();
    tell(&mut driver, "has ended");
    insta::assert_snapshot!(story.join("\n\n"));
}

#[test]
fn a_pods_status_does_not_move_with_copies_that_make_no_difference() {
    let mut driver = Driver::running(pod("/p", 1, 2));
    let stable_since = driver.status_of("/p").status_since;
    driver.update_pod(pod("/p", 1, 3));
    let degraded_since = driver.status_of("/p").status_since;
    assert_eq!(degraded_since, driver.now);
    driver.wait(10.0);
    driver.offer("s2", 8.0, 8192.0);
    driver.wait(10.0);
    assert_eq!(driver.status_of("/p").status_since, degraded_since, "it still lacks a copy");
    driver.run(2);
    assert_eq!(driver.status_of("/p").status_since, driver.now);
    assert!(stable_since < degraded_since);
    driver.wait(10.0);
    let before = driver.status_of("/p");
    driver.restart();
    assert_eq!(driver.status_of("/p"), before, "a restart is no news");
}

#[test]
fn repeated_words_are_no_news() {
    let mut driver = Driver::running(pod("/p", 1, 1));
    let again = driver.status(0, "a", TaskState::TaskRunning);
    let before = driver.status_of("/p");
    driver.event(Event::Update(again));
    assert_eq!(driver.status_of("/p"), before);
}

#[test]
fn what_has_finished_needs_no_health() {
    let mut driver = started(checked(&["a", "b"], &["a"]));
    driver.update(0, "a", TaskState::TaskFinished);
    assert_eq!(instance(&driver).0, PodInstanceState::Stable);
    assert_eq!(driver.scheduler.deployments(driver.now), []);
}

/// The executor ends a group because of the health check of its container `a`, as a real one does: three
/// failures, and then `healthy: false` at the end of every container.
fn fail_health_check(driver: &mut Driver, names: &[&str], message: &str) {
    for _ in 0..3 {
        driver.health(0, "a", false);
        driver.wait(1.0);
    }
    for name in names {
        driver.update(0, name, TaskState::TaskKilling);
    }
    for name in names {
        let mut status = driver.status(0, name, TaskState::TaskKilled);
        status.healthy = Some(false);
        status.message = Some(message.to_owned());
        driver.event(Event::Update(status));
        driver.wait(1.0);
    }
}

#[test]
fn an_end_by_a_health_check_says_so() {
    // Whoever ends first: the one that is not to blame here.
    let mut driver = started(checked(&["b", "a"], &["a", "b"]));
    for name in ["a", "b"] {
        driver.health(0, name, true);
    }
    fail_health_check(&mut driver, &["b", "a"], "Command exited with status 3");
    let history = &driver.status_of("/p").termination_history[0];
    let said = "container 'a' was killed because its health check failed: Command exited with status 3";
    assert_eq!(history.message.as_deref(), Some(said));
    let of_containers: Vec<_> = history
        .containers
        .iter()
        .map(|container| (container.termination.exit_code, container.termination.message.as_deref().unwrap()))
        .collect();
    assert_eq!(
        of_containers,
        [
            (Some(3), "Command exited with status 3"),
            (Some(3), "was killed because its health check failed: Command exited with status 3")
        ]
    );
    let (state, message) = instance(&driver);
    assert_eq!(state, PodInstanceState::Pending);
    assert!(
        message.starts_with("container 'a' is TASK_KILLED, because its health check failed: Command exited"),
        "{message}"
    );
    let before = driver.status_of("/p");
    driver.restart();
    driver.subscribe();
    assert_eq!(driver.status_of("/p").termination_history, before.termination_history);
}

/// One of its containers prepares something and is done, the other serves. Mesos calls an end by a health check
/// `TASK_KILLED`, and a group of which one was killed and one has finished has finished.
#[test]
fn an_end_by_a_health_check_is_one_also_if_another_container_was_done_before() {
    let mut driver = started(checked(&["b", "a"], &["a"]));
    let mut delays = Vec::new();
    for _ in 0..2 {
        driver.update(0, "b", TaskState::TaskFinished);
        driver.wait(1.0);
        fail_health_check(&mut driver, &["a"], "");
        let (_, message) = instance(&driver);
        assert!(
            message.starts_with("container 'a' is TASK_KILLED, because its health check failed; "),
            "{message}"
        );
        delays.extend(driver.store.values().find_map(|entry| match entry {
            Entry::Pod(pod) => pod.delay.map(|delay| delay.millis),
            _ => None,
        }));
        driver.wait(10.0);
        driver.offer("s1", 8.0, 8192.0);
        driver.run(0);
    }
    assert_eq!(delays, [1000, 1150], "it did not finish");
    let history = &driver.status_of("/p").termination_history[0];
    let said = "container 'a' was killed because its health check failed";
    assert_eq!(history.message.as_deref(), Some(said));
}

#[test]
fn an_unhealthy_copy_that_ends_for_another_reason_is_not_blamed_on_its_check() {
    let mut driver = started(checked(&["a"], &["a"]));
    driver.health(0, "a", false);
    driver.crash(0);
    let history = &driver.status_of("/p").termination_history[0];
    assert_eq!(history.message.as_deref(), Some("Command exited with status 1"));
}

#[test]
fn the_history_of_ends_is_bounded_and_keeps_the_newest() {
    let mut driver = started(checked(&["a"], &["a"]));
    for _ in 0..25 {
        driver.crash(0);
        driver.wait(3600.0);
        driver.offer("s1", 8.0, 8192.0);
        driver.run(0);
    }
    let history = driver.status_of("/p").termination_history;
    assert_eq!(history.len(), 20);
    assert!(history.is_sorted_by(|newer, older| newer.terminated_at > older.terminated_at));
    let launch = |end: &podium_core::view::TerminationHistory| {
        end.containers[0].container_id.as_str().rsplit_once('.').unwrap().1.to_owned()
    };
    assert_eq!((launch(&history[0]), launch(&history[19])), ("25".to_owned(), "6".to_owned()));
}

#[test]
fn a_container_that_its_health_check_cannot_end_is_hunted() {
    let mut driver = Driver::running(checked_pod("/p", 1, &json!({})));
    driver.health(0, "a", true);
    driver.wait(60.0);
    driver.calls.clear();
    driver.update(0, "a", TaskState::TaskKilling);
    driver.wait(9.9);
    assert_eq!(driver.kills(), [""; 0], "its executor has it in hand");
    driver.wait(0.2);
    let story = driver.story();
    assert!(story.contains("KILL /p.a.1") && story.contains("RECONCILE /p.a.1"), "{story}");
    driver.wait(300.0);
    assert!(driver.story().contains("SHUTDOWN on s1"), "in the end its executor has to go");
}
