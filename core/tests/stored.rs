//! Entries as stores have them: what was written once must be readable for ever.

mod harness;

use harness::{Driver, pod_id};
use podium_core::model::ids::Role;
use podium_core::model::time::Timestamp;
use podium_core::{Config, Entry, Input, Record, Scheduler};

/// `entries.jsonl` was written by the first version with that form of entries, `entries-first.jsonl` by one that did
/// not know all of their fields yet. In `entries-ends-apart.jsonl` each end of an instance has an entry of its own. They
/// are never to be changed: when entries get another form, a file is added.
#[test]
fn what_earlier_versions_stored_is_read() {
    let told = |lines: &str| {
        let entries: Vec<Entry> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}")))
            .collect();
        let config = Config { mesos_role: Role::from("dev"), ..Config::default() };
        let mut driver = Driver::with(config.clone());
        driver.scheduler = Scheduler::restore(config, 2, entries.iter().cloned()).unwrap();
        driver.store = entries.into_iter().map(|entry| (entry.key(), entry)).collect();
        driver.subscribe();
        let mut told = driver.picture();
        told.extend(driver.instances().into_iter().filter_map(|instance| instance.message));
        told.extend(driver.deployments());
        let ends = driver.status_of("/db").termination_history;
        told.push(format!(
            "{} ends of /db, {} versions of /shop/web",
            ends.len(),
            driver.scheduler.pod_versions(&pod_id("/shop/web")).len()
        ));
        told.extend(driver.story().lines().filter(|line| line.starts_with("RECONCILE")).map(str::to_owned));
        told.join("\n")
    };
    let first = told(include_str!("stored/entries-first.jsonl"));
    assert_eq!(told(include_str!("stored/entries.jsonl")), first);
    assert_eq!(told(include_str!("stored/entries-ends-apart.jsonl")), first);
    insta::assert_snapshot!(first);
}

/// Earlier versions kept the ends of a pod's instances in the pod's entry, which was written anew with each of them.
#[test]
fn ends_that_an_earlier_version_kept_with_their_pod_get_entries_of_their_own() {
    let entries =
        include_str!("stored/entries.jsonl").lines().map(|line| serde_json::from_str(line).unwrap());
    let mut scheduler = Scheduler::restore(Config::default(), 2, entries).unwrap();
    let records = scheduler.step(Timestamp::from_millis(1_600_000_100_000), Input::Tick).records;
    let ends: Vec<&Record> = records
        .iter()
        .filter(|record| {
            matches!(record, Record::Put(Entry::Termination(_)))
                || matches!(record, Record::Put(Entry::Pod(state)) if state.id == pod_id("/db"))
        })
        .collect();
    let [Record::Put(Entry::Pod(state)), Record::Put(Entry::Termination(end))] = &ends[..] else {
        panic!("{ends:?}");
    };
    assert!(state.terminations.is_empty());
    assert_eq!((end.instance.pod.as_str(), end.incarnation), ("/db", 1));
    let key = Entry::Termination(end.clone()).key();
    assert_eq!(key.to_string().parse(), Ok(key));
}
