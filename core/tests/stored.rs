//! Entries as stores have them: what was written once must be readable for ever.

mod harness;

use harness::{Driver, pod_id};
use podium_core::model::ids::Role;
use podium_core::{Config, Entry, Scheduler};

/// `entries.jsonl` was written by the first version with that form of entries, `entries-first.jsonl` by one that did
/// not know all of their fields yet. They are never to be changed: when entries get another form, a file is added.
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
    insta::assert_snapshot!(first);
}
