//! Secrets that are missing: who waits, how long, and what people are told.

mod harness;

use std::collections::{BTreeMap, BTreeSet};

use harness::{Driver, pod};
use podium_core::admission::{Rules, read_pod};
use podium_core::model::mesos::{Call, Secret, TaskState};
use podium_core::model::pod::PodSpec;
use podium_core::{Action, Input, SecretsReport};
use serde_json::json;

/// A pod that needs `/db` in its environment and `/key` as a file, and has no use for a third secret.
fn secretive(id: &str) -> PodSpec {
    let mut json = serde_json::to_value(pod(id, 1, 1)).unwrap();
    json["secrets"] =
        json!({ "db": { "source": "/db" }, "key": { "source": "/key" }, "spare": { "source": "/spare" } });
    json["environment"] = json!({ "PASSWORD": { "secret": "db" } });
    json["volumes"] = json!([{ "name": "key", "secret": "key" }]);
    json["containers"][0]["volumeMounts"] = json!([{ "name": "key", "mountPath": "key" }]);
    read_pod(&json, &Rules { secrets: true, ..Rules::default() }).unwrap().pod
}

/// The driver could not send the newest launch of the `n`-th instance.
fn unsent(driver: &mut Driver, n: usize, missing: &[(&str, &str)]) {
    let (instance, incarnation, _) = driver.instance(n);
    let report = SecretsReport {
        missing: missing.iter().map(|(path, why)| ((*path).into(), (*why).into())).collect(),
        unsent: vec![(instance, incarnation)],
        ..SecretsReport::default()
    };
    let _ = driver.step(Input::Secrets(report));
}

fn message(driver: &Driver, n: usize) -> String {
    driver.instances()[n].message.clone().unwrap_or_default()
}

#[test]
fn a_launch_takes_the_secrets_that_are_referred_to() {
    assert_eq!(secretive("/p").secrets_in_use(), BTreeSet::from(["/db", "/key"]));
    let mut driver = Driver::connected();
    driver.create(secretive("/p"));
    let calls = driver.offer("s1", 8.0, 8192.0);
    let text = format!("{calls:?}");
    for path in ["/db", "/key"] {
        let reference = format!("{:?}", Secret::Reference { name: path.to_owned(), key: None });
        assert!(text.contains(&reference), "no {reference} in {text}");
    }
    let secret = Secret::Value(b"s3cret".to_vec());
    assert_eq!(format!("{secret:?}"), "Value(<6 bytes>)");
    assert_eq!(serde_json::to_value(secret).unwrap(), json!({"value": [0, 0, 0, 0, 0, 0]}));
}

#[test]
fn who_lacks_a_secret_waits_and_says_so_and_others_do_not_wait() {
    let mut driver = Driver::connected();
    driver.create(secretive("/p"));
    driver.offer("s1", 8.0, 8192.0);
    unsent(&mut driver, 0, &[("/key", "there is no such secret")]);
    assert_eq!(driver.picture(), ["v1.1 s1 Pending"]);
    assert_eq!(message(&driver, 0), "waits for the secret '/key': there is no such secret");
    let [item] = &driver.scheduler.queue(driver.now)[..] else { panic!("one pod waits") };
    assert_eq!(item.message.as_deref(), Some("waits for the secret '/key': there is no such secret"));
    assert!(driver.status_of("/p").termination_history.is_empty(), "nothing has ended");

    driver.calls.clear();
    driver.create(pod("/q", 1, 1));
    driver.offer("s1", 8.0, 8192.0);
    assert_eq!(driver.picture(), ["v1.1 s1 Pending", "v1.1 s1 Pending"]);
    driver.run(1);
    assert_eq!(message(&driver, 0), "waits for the secret '/key': there is no such secret");
    driver.calls.clear();
    driver.wait(3600.0);
    let revives = driver.calls.iter().any(|call| matches!(call, Call::Revive { .. }));
    assert!(!revives, "nobody asks for offers that nobody can use");
}

#[test]
fn a_secret_that_turns_up_lets_the_launch_go_on() {
    let mut driver = Driver::connected();
    driver.create(secretive("/p"));
    driver.offer("s1", 8.0, 8192.0);
    unsent(&mut driver, 0, &[("/db", "missing"), ("/key", "missing")]);
    driver.now = driver.scheduler.deadline().unwrap();
    let output = driver.step(Input::Tick);
    let asked = BTreeSet::from(["/db".to_owned(), "/key".to_owned()]);
    assert_eq!(output.actions, [Action::LookUpSecrets(asked)]);

    let found = BTreeSet::from(["/db".to_owned()]);
    let missing = BTreeMap::from([("/key".to_owned(), "too large".to_owned())]);
    let _ = driver.step(Input::Secrets(SecretsReport { found, missing, unsent: Vec::new() }));
    assert_eq!(message(&driver, 0), "waits for the secret '/key': too large");
    driver.calls.clear();
    let found = BTreeSet::from(["/key".to_owned()]);
    let _ = driver.step(Input::Secrets(SecretsReport { found, ..SecretsReport::default() }));
    driver.wait(5.0);
    assert!(driver.calls.iter().any(|call| matches!(call, Call::Revive { .. })), "{:?}", driver.calls);
    driver.offer("s1", 8.0, 8192.0);
    driver.run(0);
    assert_eq!(driver.picture(), ["v1.2 s1 Stable"]);
}

#[test]
fn nobody_looks_for_secrets_that_nobody_needs() {
    let mut driver = Driver::connected();
    driver.create(secretive("/p"));
    driver.offer("s1", 8.0, 8192.0);
    unsent(&mut driver, 0, &[("/db", "missing")]);
    driver.delete_pod_by_force("/p");
    assert_eq!(driver.picture(), [""; 0]);
    driver.now = driver.now + std::time::Duration::from_secs(6);
    let output = driver.step(Input::Tick);
    assert_eq!(output.actions, []);
}

#[test]
fn a_pod_deleted_while_its_launch_was_on_its_way_out_is_gone() {
    let mut driver = Driver::connected();
    driver.create(secretive("/p"));
    driver.offer("s1", 8.0, 8192.0);
    let (instance, incarnation, _) = driver.instance(0);
    driver.delete_pod_by_force("/p");
    assert_eq!(driver.scheduler.instance_count(), 1, "it may be alive");
    let report = SecretsReport { unsent: vec![(instance, incarnation)], ..SecretsReport::default() };
    let _ = driver.step(Input::Secrets(report));
    assert_eq!(driver.scheduler.instance_count(), 0);
}

#[test]
fn a_report_about_an_earlier_launch_changes_nothing() {
    let mut driver = Driver::connected();
    driver.create(secretive("/p"));
    driver.offer("s1", 8.0, 8192.0);
    let (instance, incarnation, _) = driver.instance(0);
    driver.crash(0);
    driver.wait(400.0);
    driver.offer("s1", 8.0, 8192.0);
    driver.update(0, "a", TaskState::TaskRunning);
    let report = SecretsReport { unsent: vec![(instance, incarnation)], ..SecretsReport::default() };
    let output = driver.step(Input::Secrets(report));
    assert_eq!(output.records, []);
    assert_eq!(driver.picture(), ["v1.2 s1 Stable"]);
}

/// Many launches leave at once, and the driver says of one after the other that it could not send it.
#[test]
fn launches_that_lack_the_same_secret_together_are_one_that_does() {
    let mut driver = Driver::connected();
    let mut definition = serde_json::to_value(secretive("/p")).unwrap();
    definition["scaling"]["instances"] = json!(8);
    let rules = Rules { secrets: true, ..Rules::default() };
    driver.create(read_pod(&definition, &rules).unwrap().pod);
    driver.offer("s1", 8.0, 8192.0);
    for n in 0..8 {
        unsent(&mut driver, n, &[("/db", "is not there")]);
    }
    driver.now = driver.now + std::time::Duration::from_secs(5);
    let looks = driver.step(Input::Tick).actions;
    assert!(looks.contains(&Action::LookUpSecrets(["/db".to_owned()].into())), "{looks:?}");
}

/// As with a secret that is there, but is no text, for a variable: the driver's look finds it, each launch lacks it.
#[test]
fn a_secret_that_is_found_and_yet_of_no_use_is_not_tried_every_few_seconds() {
    let mut definition = serde_json::to_value(pod("/p", 1, 1)).unwrap();
    definition["secrets"] = json!({ "db": { "source": "/db" } });
    definition["environment"] = json!({ "PASSWORD": { "secret": "db" } });
    let rules = Rules { secrets: true, ..Rules::default() };
    let mut driver = Driver::connected();
    driver.create(read_pod(&definition, &rules).unwrap().pod);
    let mut launches = 0;
    for second in 0..600 {
        let calls = driver.offer(&format!("s{second}"), 8.0, 8192.0);
        if calls.iter().any(|call| matches!(call, Call::Accept { .. })) {
            launches += 1;
            let (instance, incarnation, _) = driver.instance(0);
            let missing = [("/db".to_owned(), "is no text".to_owned())].into();
            let report =
                SecretsReport { missing, unsent: vec![(instance, incarnation)], ..Default::default() };
            let _ = driver.step(Input::Secrets(report));
        }
        driver.now = driver.now + std::time::Duration::from_secs(1);
        for action in driver.step(Input::Tick).actions {
            if let Action::LookUpSecrets(found) = action {
                let _ = driver.step(Input::Secrets(SecretsReport { found, ..Default::default() }));
            }
        }
    }
    assert!(launches < 30, "{launches} launches in 10 minutes");
}
