//! The seeds of every test run reach what is rare; what they cannot reach is aimed at.

use std::sync::Arc;

use podium_core::model::instance::{Condition, Instance};
use podium_core::model::time::Timestamp;
use podium_core::{Config, Entry, Input, Mark, Output, RestoreError, Scheduler};
use podium_sim::coverage::Coverage;
use podium_sim::oracle::{Violation, Witness};
use podium_sim::plan::{Plan, generate};
use podium_sim::run::run;
use podium_sim::world::{Scene, Seen, Subject, World};

/// So many seeds take every rare path but those that are aimed at; `scripts/test` runs as many.
const SEEDS: std::ops::Range<u64> = 0..40;

/// What seeds do not take, and the tests below do.
const AIMED: [Mark; 7] = [
    Mark::Disowned,
    Mark::EarlierLaunchReturned,
    Mark::EndedReturned,
    Mark::HomeGone,
    Mark::KilledUnreachable,
    Mark::SilenceHeld,
    Mark::UnknownReservationSeen,
];

#[test]
fn every_rare_path_is_taken() {
    let mut coverage = Coverage::default();
    for seed in SEEDS {
        let report = run(&generate(seed));
        assert_eq!(report.violation, None, "seed {seed}");
        coverage.merge(&report.coverage);
        if coverage.missed().all(|mark| AIMED.contains(&mark)) {
            return;
        }
    }
    panic!("{coverage}");
}

/// Too rarely an agent goes out of reach just when somebody wants its copy ended, or one with volumes is declared gone, or one
/// does not come to a new master while a pod that is on it is updated.
#[test]
fn what_seeds_draw_too_rarely_is_aimed_at() {
    let killed =
        include_str!("../../sim-scenarios/regressions/a-copy-is-killed-again-once-it-is-out-of-reach.json");
    let gone = resident(r#"{ "at": "1m", "do": { "agent_gone": { "agent": 0, "lasts": "10s" } } }"#);
    let silent = include_str!("../../sim-scenarios/regressions/an-agent-that-a-new-master-waits-for.json");
    for (plan, mark) in
        [(killed, Mark::KilledUnreachable), (&gone, Mark::HomeGone), (silent, Mark::SilenceHeld)]
    {
        let report = run(&Plan::from_json(plan).unwrap());
        assert_eq!(report.violation, None);
        assert!(report.coverage.marks.contains_key(&mark), "{mark:?}");
    }
}

/// Nobody who judges could bear what comes of other records than those that were written.
struct Nobody;

impl Witness for Nobody {
    fn see(&mut self, _: &Seen<'_>, _: &Scene<'_>) -> Result<(), Violation> {
        Ok(())
    }
}

/// The rare paths of a scheduler that starts again with other records than it left: the change is made to each instance.
macro_rules! from_other_records {
    ($plan:expr, $change:expr) => {{
        #[derive(Clone)]
        struct Other(Scheduler);
        impl Subject for Other {
            fn start(config: Config, seed: u64, mut entries: Vec<Entry>) -> Result<Self, RestoreError> {
                let change: fn(&mut Instance) -> bool = $change;
                entries.retain_mut(|entry| match entry {
                    Entry::Instance(instance) => change(Arc::make_mut(instance)),
                    Entry::Leftover(_) => false,
                    _ => true,
                });
                Ok(Self(Scheduler::restore(config, seed, entries)?))
            }

            fn step(&mut self, now: Timestamp, input: Input) -> Output {
                self.0.step(now, input)
            }

            fn scheduler(&self) -> &Scheduler {
                &self.0
            }
        }
        let plan = Plan::from_json($plan).unwrap();
        let mut world: World<'_, Other, Nobody> = World::new(&plan, Nobody);
        world.run().unwrap();
        world.marks()
    }};
}

/// Nothing durable is lost in a run, and a master of the model does not contradict itself. Somebody may bring records back
/// from a backup, though.
#[test]
fn records_that_are_not_what_mesos_knows_are_aimed_at() {
    let crash = r#"{ "at": "50s", "do": { "scheduler_crashed": { "lasts": "3s" } } }"#;
    let relaunched = EVENTFUL.replace(
        r#""faults": ["#,
        r#""faults": [{ "at": "20s", "do": { "container_exits": { "of": {}, "status": { "code": 1 } } } },"#,
    );
    let earlier = from_other_records!(&relaunched, |instance| {
        instance.incarnation -= 1;
        end(instance, Condition::Failed);
        true
    });
    assert!(earlier.has(Mark::Disowned));
    let later = from_other_records!(EVENTFUL, |instance| {
        instance.incarnation += 1;
        end(instance, Condition::Failed);
        true
    });
    assert!(later.has(Mark::EarlierLaunchReturned));
    let ended = from_other_records!(&resident(crash), |instance| {
        end(instance, Condition::Unknown);
        true
    });
    assert!(ended.has(Mark::EndedReturned));
    let crash = r#"{ "at": "1m58s", "do": { "scheduler_crashed": { "lasts": "10s" } } }"#;
    let deleted = from_other_records!(&resident(crash), |_| false);
    assert!(deleted.has(Mark::UnknownReservationSeen));
}

/// A scheduler that finds no record of any copy when it starts.
#[derive(Clone)]
struct Forgetful(Scheduler);

impl Subject for Forgetful {
    fn start(config: Config, seed: u64, mut entries: Vec<Entry>) -> Result<Self, RestoreError> {
        entries.retain(|entry| !matches!(entry, Entry::Instance(_)));
        Ok(Self(Scheduler::restore(config, seed, entries)?))
    }

    fn step(&mut self, now: Timestamp, input: Input) -> Output {
        self.0.step(now, input)
    }

    fn scheduler(&self) -> &Scheduler {
        &self.0
    }
}

/// How many tasks without a record were listed, one after the other.
#[derive(Default)]
struct Listed(Vec<usize>);

impl Witness for Listed {
    fn see(&mut self, _: &Seen<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        let listed = scene.api.map(|api| api.unknown_tasks().count());
        if let Some(listed) = listed.filter(|listed| self.0.last() != Some(listed)) {
            self.0.push(listed);
        }
        Ok(())
    }
}

/// Nobody says that it has ended: it does so while there is no connection. The next round of questions brings no word of it.
#[test]
fn a_task_without_a_record_is_listed_until_mesos_does_not_know_it_any_more() {
    let plan = r#"{
      "cluster": { "agents": [{ "cpus": 4, "mem": 4096 }] }, "scheduler": { "reconciliation_interval": "30s" },
      "workload": [
        { "at": "2s", "do": { "create": { "pod": { "id": "/p", "scaling": { "kind": "fixed", "instances": 1 },
          "containers": [{ "name": "c", "exec": { "command": { "shell": "x" } },
            "resources": { "cpus": 0.1, "mem": 32 } }] } } } },
        { "at": "9m", "do": { "scale": { "pod": "/p", "instances": 2 } } }
      ],
      "faults": [
        { "at": "30s", "do": { "scheduler_crashed": { "lasts": "3s" } } },
        { "at": "4m", "do": { "connection_partitioned": { "direction": "both", "lasts": "3m" } } },
        { "at": "250s", "do": { "agent_gone": { "agent": 0, "lasts": "10s" } } }
      ]
    }"#;
    let plan = Plan::from_json(plan).unwrap();
    let mut world: World<'_, Forgetful, Listed> = World::new(&plan, Listed::default());
    world.run().unwrap();
    assert_eq!(world.witness().0, [0, 1, 0]);
}

fn end(instance: &mut Instance, condition: Condition) {
    instance.condition = condition;
    instance.tasks.iter_mut().for_each(|task| task.condition = condition);
}

/// A copy with a volume; its container ends after two minutes. `fault` is what happens before.
fn resident(fault: &str) -> String {
    let text = r#"{
      "cluster": { "agents": [{ "cpus": 4, "mem": 4096 }] }, "scheduler": { "mesos_role": "dev" },
      "workload": [{ "at": "2s", "do": { "create": { "pod": {
        "id": "/db", "scaling": { "kind": "fixed", "instances": 1 }, "networks": [{ "mode": "host" }],
        "volumes": [{ "name": "data", "persistent": { "size": 10 } }],
        "containers": [{ "name": "a", "exec": { "command": { "shell": "x" } },
          "resources": { "cpus": 0.1, "mem": 32 },
          "volumeMounts": [{ "name": "data", "mountPath": "data" }] }] } } } }],
      "faults": [FAULT, { "at": "2m", "do": { "container_exits": { "of": {}, "status": { "code": 1 } } } }]
    }"#;
    text.replace("FAULT", fault)
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
