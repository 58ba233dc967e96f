//! Each oracle reports the bug that it exists for, planted into an otherwise good scheduler.

use podium_core::model::mesos::{Call, Event, StatusSource, TaskState};
use podium_core::model::time::Timestamp;
use podium_core::{Action, Config, Entry, Input, Output, RestoreError, Scheduler};
use podium_sim::plan::Plan;
use podium_sim::run::{Report, run, run_subject};
use podium_sim::world::Subject;

/// A pod of two containers with three copies, one container of which ends badly.
const PLAN: &str = r#"{
  "cluster": { "agents": [{ "cpus": 4, "mem": 4096 }, { "cpus": 4, "mem": 4096 }] },
  "workload": [{ "at": "2s", "do": { "create": { "pod": {
    "id": "/web",
    "scaling": { "kind": "fixed", "instances": 3 },
    "networks": [{ "mode": "host" }],
    "containers": [
      { "name": "a", "exec": { "command": { "shell": "x" } }, "resources": { "cpus": 0.1, "mem": 32 } },
      { "name": "b", "exec": { "command": { "shell": "x" } }, "resources": { "cpus": 0.1, "mem": 32 } }
    ]
  } } } }],
  "faults": [
    { "at": "1m", "do": { "container_exits": { "of": {}, "status": { "code": 1 } } } },
    { "at": "2m", "do": { "scheduler_crashed": { "lasts": "20s" } } }
  ]
}"#;

fn plan() -> Plan {
    Plan::from_json(PLAN).unwrap()
}

/// What is wrong with a scheduler.
trait Bug: Clone + Default {
    fn hear(&mut self, input: Input) -> Input {
        input
    }

    fn say(&mut self, output: Output) -> Output {
        output
    }
}

#[derive(Clone)]
struct Planted<B> {
    scheduler: Scheduler,
    bug: B,
}

impl<B: Bug> Subject for Planted<B> {
    fn start(config: Config, seed: u64, entries: Vec<Entry>) -> Result<Self, RestoreError> {
        Ok(Self { scheduler: Scheduler::restore(config, seed, entries)?, bug: B::default() })
    }

    fn step(&mut self, now: Timestamp, input: Input) -> Output {
        let input = self.bug.hear(input);
        let output = self.scheduler.step(now, input);
        self.bug.say(output)
    }

    fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }
}

fn verdict<B: Bug>() -> &'static str {
    let report: Report = run_subject::<Planted<B>>(&plan(), false);
    report.violation.expect("the planted bug is found").oracle
}

#[test]
fn a_good_scheduler_is_found_good() {
    assert_eq!(run(&plan()).violation, None);
}

#[test]
fn an_offer_that_nobody_answers() {
    #[derive(Clone, Default)]
    struct Leak;
    impl Bug for Leak {
        fn say(&mut self, mut output: Output) -> Output {
            output.actions.retain(|action| !matches!(action, Action::Call(Call::Decline { .. })));
            output
        }
    }
    assert_eq!(verdict::<Leak>(), "offers");
}

#[test]
fn an_acknowledgement_before_its_record() {
    #[derive(Clone, Default)]
    struct Early(Vec<podium_core::Record>);
    impl Bug for Early {
        /// Records of status updates come one step late.
        fn say(&mut self, mut output: Output) -> Output {
            let acknowledges = |action: &Action| matches!(action, Action::Call(Call::Acknowledge { .. }));
            let mut records = std::mem::take(&mut self.0);
            if output.actions.iter().any(acknowledges) {
                self.0 = std::mem::take(&mut output.records);
            }
            records.append(&mut output.records);
            output.records = records;
            output
        }
    }
    assert_eq!(verdict::<Early>(), "durability");
}

#[test]
fn a_launch_of_half_a_group() {
    #[derive(Clone, Default)]
    struct Half;
    impl Bug for Half {
        fn say(&mut self, mut output: Output) -> Output {
            for action in &mut output.actions {
                let Action::Accept(accept) = action else { continue };
                for launch in &mut accept.launches {
                    let spec = std::sync::Arc::make_mut(&mut launch.spec);
                    spec.containers.truncate(1);
                    launch.draws.retain(|draw| draw.member != podium_core::placement::Member::Container(1));
                }
            }
            output
        }
    }
    assert_eq!(verdict::<Half>(), "atomicity");
}

#[test]
fn a_next_launch_beside_the_last_one() {
    #[derive(Clone, Default)]
    struct Hasty;
    impl Bug for Hasty {
        /// Takes a container that runs for one that has failed.
        fn hear(&mut self, mut input: Input) -> Input {
            if let Input::Event(event) = &mut input
                && let Event::Update(status) = &mut **event
                && status.state == TaskState::TaskRunning
                && status.source == Some(StatusSource::SourceExecutor)
            {
                status.state = TaskState::TaskFailed;
            }
            input
        }
    }
    let found = verdict::<Hasty>();
    assert!(["single", "durability"].contains(&found), "{found}");
}

#[test]
fn a_scheduler_that_forgets_what_is_wanted() {
    #[derive(Clone, Default)]
    struct Deaf;
    impl Bug for Deaf {
        /// Does not hear that anything has ended.
        fn hear(&mut self, input: Input) -> Input {
            match &input {
                Input::Event(event) => match &**event {
                    Event::Update(status) if status.state.is_terminal() => Input::Tick,
                    _ => input,
                },
                _ => input,
            }
        }
    }
    assert_eq!(verdict::<Deaf>(), "convergence");
}
