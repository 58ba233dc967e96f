//! How long a commit takes, by the number of its records: `cargo bench -p podium --bench store [FOLDER]`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use podium::store::{DataDir, EmbeddedStore, Store as _};
use podium_core::model::ids::{InstanceId, PodId, Role, Uuid};
use podium_core::model::instance::Instance;
use podium_core::model::time::Timestamp;
use podium_core::record::{Entry, Record};

const ROUNDS: u32 = 200;

fn main() {
    // Cargo adds `--bench`.
    let parent = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).map(PathBuf::from);
    let folder =
        tempfile::tempdir_in(parent.unwrap_or_else(std::env::temp_dir)).expect("a folder to write in");
    let folder = DataDir::open(folder.path()).expect("the folder is new");
    let mut store = EmbeddedStore::open(&folder).expect("the folder is new");
    let mut number = 0;
    for size in [1, 10, 100, 1000] {
        let mut times: Vec<Duration> = (0..ROUNDS)
            .map(|_| {
                let records: Vec<_> = (0..size).map(|_| record(&mut number)).collect();
                let start = Instant::now();
                store.commit(&records).expect("the disk takes it");
                start.elapsed()
            })
            .collect();
        times.sort();
        let at = |part: f64| times[(f64::from(ROUNDS - 1) * part) as usize];
        println!("{size:5} records: median {:?}, 99 % {:?}", at(0.5), at(0.99));
    }
    let start = Instant::now();
    let count = store.load().expect("it was written just now").len();
    println!("{count} records loaded in {:?}", start.elapsed());
}

/// The next of many instances.
fn record(number: &mut u128) -> Record {
    *number += 1;
    let id = InstanceId { pod: PodId::new("/group/pod"), uuid: Uuid::from_u128(*number) };
    let instance = Instance::scheduled(id, Timestamp::EPOCH, Role::new("*"), Timestamp::EPOCH);
    Record::Put(Entry::Instance(instance.into()))
}
