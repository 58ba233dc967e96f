//! The embedded store under `kill -9`: what was acknowledged is there, and no commit is there by half.
//!
//! The test starts itself as a child process that commits in a loop and prints the number of each commit
//! after it returned; the parent kills it at many different moments and looks at what is left.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use podium::store::{DataDir, EmbeddedStore, Store as _};
use podium_core::model::identity::Identity;
use podium_core::model::ids::{FrameworkId, InstanceId, PodId, Uuid};
use podium_core::model::time::Timestamp;
use podium_core::record::{Entry, Forgotten, Key, Record};

const CHILD_FOLDER: &str = "PODIUM_TEST_CRASH_FOLDER";
const INSTANCES: i64 = 20;

/// The child's part; a plain success when it is not the child.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return };
    let mut out = std::io::stdout();
    writeln!(out, "commit 0").unwrap();
    let folder = DataDir::open(Path::new(&folder)).unwrap();
    let mut store = EmbeddedStore::open(&folder).unwrap();
    for number in newest(&store.load().unwrap()) + 1.. {
        store.commit(&commit(number)).unwrap();
        writeln!(out, "commit {number}").unwrap();
    }
}

#[test]
fn killed_at_any_moment_nothing_acknowledged_is_lost() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("long-lived");
    let mut acknowledged = 0;
    for round in 0..12 {
        let seen = kill_after(&folder, 1 + round * 5 % 17, Duration::from_micros(round * 130));
        acknowledged = seen.max(acknowledged);
        acknowledged = verify(&folder, acknowledged);
    }
    assert!(acknowledged > 50, "the child made {acknowledged} commits only");
}

#[test]
fn killed_at_birth_the_store_can_still_be_born() {
    let parent = tempfile::tempdir().unwrap();
    for round in 0..25 {
        let folder = parent.path().join(round.to_string());
        let seen = kill_after(&folder, 1, Duration::from_micros(round * 400));
        verify(&folder, seen);
    }
}

/// Commit `number`: several records that must appear together or not at all.
fn commit(number: i64) -> [Record; 3] {
    let instance = |number: i64| {
        let uuid = Uuid::from_u128(number.rem_euclid(INSTANCES).unsigned_abs().into());
        InstanceId { pod: PodId::new("/a/b"), uuid }
    };
    let since = Timestamp::from_millis(number);
    [
        Record::Put(Entry::Framework(FrameworkId::new(number.to_string()).into())),
        Record::Delete(Key::Forgotten(instance(number + INSTANCES / 2))),
        Record::Put(Entry::Forgotten(Forgotten { instance: instance(number), since, agent: None })),
    ]
}

/// The number of the newest commit.
fn newest(entries: &[Entry]) -> i64 {
    let framework = entries.iter().find_map(|entry| match entry {
        Entry::Framework(Identity { id: Some(id), .. }) => Some(id.as_str().parse::<i64>().unwrap()),
        _ => None,
    });
    framework.unwrap_or(0)
}

/// Lets a child commit until it has printed `lines` lines and `extra` has passed, and kills it. The number of
/// the last commit that it saw return.
fn kill_after(folder: &Path, lines: u64, extra: Duration) -> i64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD_FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut numbers = std::iter::from_fn(|| output.next())
        .filter_map(|line| line.unwrap().strip_prefix("commit ")?.parse().ok());
    let mut last = 0;
    for _ in 0..lines {
        last = numbers.next().expect("the child commits until it is killed");
    }
    spin(extra);
    kill(&mut child);
    // What it still managed to print was acknowledged, too.
    numbers.last().unwrap_or(last)
}

/// Only moves the moment of the kill; nothing depends on how long it really takes.
fn spin(duration: Duration) {
    let start = Instant::now();
    while start.elapsed() < duration {
        std::hint::spin_loop();
    }
}

fn kill(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Checks that the state is exactly that after some commit that is not older than `acknowledged`, whose number
/// it returns.
fn verify(folder: &Path, acknowledged: i64) -> i64 {
    let folder = DataDir::open(folder).unwrap();
    let mut store = EmbeddedStore::open(&folder).unwrap();
    let mut found = store.load().unwrap();
    let last = newest(&found);
    assert!(last >= acknowledged, "commit {acknowledged} was acknowledged, but the last one kept is {last}");
    let mut expected = std::collections::BTreeMap::new();
    for record in (1..=last).flat_map(commit) {
        match record {
            Record::Put(entry) => expected.insert(entry.key(), entry),
            Record::Delete(key) => expected.remove(&key),
        };
    }
    found.sort_by_key(Entry::key);
    assert_eq!(found, expected.into_values().collect::<Vec<_>>());
    last
}
