//! The same seed gives the same run, in every process.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "this test is about processes"
)]

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use podium_core::model::mesos::Call;
use podium_core::model::time::Timestamp;
use podium_core::{Action, Config, Entry, Input, Output, RestoreError, Scheduler};
use podium_sim::plan::generate;
use podium_sim::run::run;
use podium_sim::twins;
use podium_sim::world::Subject;

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

/// A scheduler that does not depend on its inputs alone: every second one that is started says less, from the
/// hundredth step on.
#[derive(Clone)]
struct Moody {
    scheduler: Scheduler,
    is_odd: bool,
    steps: u32,
}

static STARTED: AtomicU32 = AtomicU32::new(0);

impl Subject for Moody {
    fn start(config: Config, seed: u64, entries: Vec<Entry>) -> Result<Self, RestoreError> {
        let is_odd = STARTED.fetch_add(1, Ordering::Relaxed) % 2 == 1;
        Ok(Self { scheduler: Scheduler::restore(config, seed, entries)?, is_odd, steps: 0 })
    }

    fn step(&mut self, now: Timestamp, input: Input) -> Output {
        let mut output = self.scheduler.step(now, input);
        self.steps += 1;
        if self.is_odd && self.steps >= 100 {
            output.actions.retain(|action| !matches!(action, Action::Call(Call::Acknowledge { .. })));
        }
        output
    }

    fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }
}

#[test]
fn a_difference_between_two_runs_is_named() {
    let difference = twins::compare::<Moody>(&generate(0)).unwrap_err();
    assert!(difference.step >= 100, "{difference}");
    assert_eq!(difference.what, "the actions");
    assert!(
        difference.first.contains("Acknowledge") || difference.second.contains("Acknowledge"),
        "{difference}"
    );
    assert!(difference.to_string().contains("part at step"), "{difference}");
}

#[test]
fn the_scheduler_has_no_moods() {
    assert_eq!(twins::compare::<Scheduler>(&generate(1)), Ok(()));
}
