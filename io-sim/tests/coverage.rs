//! The seeds of every test run reach what is rare.

use podium_sim::coverage::Coverage;
use podium_sim::plan::generate;
use podium_sim::run::run;

/// So many seeds take every rare path; `scripts/test` runs as many.
const SEEDS: std::ops::Range<u64> = 0..40;

#[test]
fn every_rare_path_is_taken() {
    let mut coverage = Coverage::default();
    for seed in SEEDS {
        let report = run(&generate(seed));
        assert_eq!(report.violation, None, "seed {seed}");
        coverage.merge(&report.coverage);
        if coverage.missed().next().is_none() {
            return;
        }
    }
    panic!("{coverage}");
}
