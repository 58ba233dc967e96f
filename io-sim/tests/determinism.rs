//! The same seed gives the same run, in every process.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "this test is about processes"
)]

use std::process::Command;

use podium_sim::plan::generate;
use podium_sim::run::run;

const SEEDS: std::ops::Range<u64> = 0..3;
const CHILD: &str = "PODIUM_SIM_DIGESTS";

#[test]
fn two_processes_agree_on_every_digest() {
    if std::env::var(CHILD).is_ok() {
        for seed in SEEDS {
            println!("digest {seed} {:016x}", run(&generate(seed)).digest);
        }
        return;
    }
    let digests = || {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "two_processes_agree_on_every_digest", "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        // The test runner writes its own words in front of the first line.
        let digests =
            text.lines().filter_map(|line| line.split_once("digest ").map(|(_, rest)| rest.to_owned()));
        digests.filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())).collect::<Vec<String>>()
    };
    let first = digests();
    assert_eq!(first.len(), SEEDS.count(), "{first:?}");
    assert_eq!(first, digests());
}
