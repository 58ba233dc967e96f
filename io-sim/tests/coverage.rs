//! The seeds of every test run reach what is rare.

use podium_sim::coverage::Coverage;
use podium_sim::plan::{Plan, generate};
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

/// A pod loses its scheduler and then its machine for a while, grows, and is deleted.
const EVENTFUL: &str = r#"{
  "cluster": { "agents": [{ "cpus": 4, "mem": 4096 }] },
  "workload": [
    { "at": "5s", "do": { "create": { "pod": { "id": "/p", "scaling": { "kind": "fixed", "instances": 1 },
      "scheduling": { "unreachableStrategy": { "inactiveAfterSeconds": 60, "expungeAfterSeconds": 600 } },
      "containers": [{ "name": "c", "exec": { "command": { "shell": "x" } }, "resources": { "cpus": 0.1, "mem": 32 } }] } } } },
    { "at": "5m", "do": { "scale": { "pod": "/p", "instances": 2 } } },
    { "at": "6m", "do": { "delete": { "pod": "/p" } } }
  ],
  "faults": [
    { "at": "30s", "do": { "connection_broken": {} } },
    { "at": "40s", "do": { "scheduler_crashed": { "lasts": "3s" } } },
    { "at": "50s", "do": { "agent_partitioned": { "agent": 0, "loss": true, "lasts": "3m" } } }
  ]
}"#;

#[test]
fn what_a_run_reaches_is_noted() {
    let report = run(&Plan::from_json(EVENTFUL).unwrap());
    assert_eq!(report.violation, None);
    insta::assert_snapshot!(report.coverage.tables());
}
