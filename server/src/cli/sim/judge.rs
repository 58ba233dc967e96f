//! One run and its verdict, whatever happens in it.

use podium_core::Scheduler;
use podium_sim::oracle::Violation;
use podium_sim::panics::caught;
use podium_sim::plan::Plan;
use podium_sim::run::{Report, run_subject, run_subject_recorded};
use podium_sim::twins;
use podium_sim::world::Subject;

/// The oracle that two runs of a plan are equal.
pub(super) const DETERMINISM: &str = "determinism";

/// How to run a plan.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct How {
    /// Write down what happens.
    pub(super) traced: bool,
    /// Run it twice and compare.
    pub(super) checked: bool,
}

/// Whoever runs a plan and says what came of it.
pub(super) type Judge = fn(&Plan, How) -> Report;

/// Runs `plan`.
pub(super) fn judge(plan: &Plan, how: How) -> Report {
    judge_subject::<Scheduler>(plan, how)
}

/// Runs `plan` and writes a page about it.
pub(super) fn judge_recorded(plan: &Plan, how: How) -> (Report, String) {
    judge_subject_recorded::<Scheduler>(plan, how)
}

/// Runs `plan` with whatever stands in for the scheduler.
fn judge_subject<S: Subject>(plan: &Plan, how: How) -> Report {
    compared::<S>(plan, how, run_subject::<S>(plan, how.traced))
}

fn judge_subject_recorded<S: Subject>(plan: &Plan, how: How) -> (Report, String) {
    let (report, page) = run_subject_recorded::<S>(plan);
    (compared::<S>(plan, how, report), page)
}

/// The report of a run, with what two others have to say about it if that is asked for.
fn compared<S: Subject>(plan: &Plan, how: How, report: Report) -> Report {
    if !how.checked {
        return report;
    }
    let difference = match caught(|| twins::compare::<S>(plan)) {
        Ok(Ok(())) => return report,
        Ok(Err(difference)) => Violation::new(DETERMINISM, difference.to_string()),
        Err(panic) => report.violation.unwrap_or(panic),
    };
    Report { violation: Some(difference), ..report }
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::Cell;

    use podium_core::model::time::Timestamp;
    use podium_core::{Config, Entry, Input, Output, RestoreError};
    use podium_sim::plan::generate;

    use super::*;

    thread_local! {
        /// So many processes there were.
        static COUNT: Cell<u64> = const { Cell::new(0) };
    }

    /// Each process is another one: those with odd numbers say nothing any more after some steps.
    #[derive(Clone)]
    struct Moody {
        scheduler: Scheduler,
        number: u64,
        steps: u32,
    }

    impl Subject for Moody {
        fn start(config: Config, seed: u64, entries: Vec<Entry>) -> Result<Self, RestoreError> {
            let number = COUNT.replace(COUNT.get() + 1);
            Ok(Self { scheduler: Scheduler::restore(config, seed, entries)?, number, steps: 0 })
        }

        fn step(&mut self, now: Timestamp, input: Input) -> Output {
            self.steps += 1;
            let mut output = self.scheduler.step(now, input);
            if self.steps > 20 && !self.number.is_multiple_of(2) {
                output.actions.clear();
            }
            output
        }

        fn scheduler(&self) -> &Scheduler {
            &self.scheduler
        }
    }

    /// Whatever `plan` is judged by, it is run by one that is not always the same.
    pub(in super::super) fn judge_moody(plan: &Plan, how: How) -> Report {
        judge_subject::<Moody>(plan, how)
    }

    #[test]
    fn two_runs_that_differ_are_a_violation() {
        let how = How { traced: false, checked: true };
        let (report, page) = judge_subject_recorded::<Moody>(&generate(0), how);
        for report in [judge_moody(&generate(0), how), report] {
            let found = report.violation.expect("the difference is seen");
            assert_eq!(found.oracle, DETERMINISM);
            let words = ["two runs of the plan part at step ", ", in the actions: '"];
            assert!(words.iter().all(|word| found.sentence.contains(word)), "{found}");
        }
        assert!(page.starts_with("<!doctype html>"), "{}", &page[..40]);
    }

    /// Does not know what to do about a broken connection.
    #[derive(Clone)]
    struct Fragile(Scheduler);

    impl Subject for Fragile {
        fn start(config: Config, seed: u64, entries: Vec<Entry>) -> Result<Self, RestoreError> {
            Scheduler::restore(config, seed, entries).map(Self)
        }

        fn step(&mut self, now: Timestamp, input: Input) -> Output {
            assert!(!matches!(input, Input::Disconnected), "nobody\nis there");
            self.0.step(now, input)
        }

        fn scheduler(&self) -> &Scheduler {
            &self.0
        }
    }

    #[test]
    fn a_panic_is_a_violation_like_any_other() {
        let plan = r#"{
            "cluster": { "agents": [{ "cpus": 4, "mem": 4096 }] },
            "faults": [{ "at": "30s", "do": { "connection_broken": {} } }]
        }"#;
        let plan = Plan::from_json(plan).unwrap();
        let how = How { traced: true, checked: true };
        let (report, page) = judge_subject_recorded::<Fragile>(&plan, how);
        assert!(page.contains("</html>"));
        for report in [judge_subject::<Fragile>(&plan, how), report] {
            let found = report.violation.expect("it panics");
            assert!(
                found.to_string().starts_with("panic: panicked at server/src/cli/sim/judge.rs:"),
                "{found}"
            );
            assert!(found.sentence.ends_with(": nobody is there"), "{found}");
            let trace = report.trace.expect("it was asked for").short();
            let last = trace.lines().last().unwrap_or_default();
            assert!(last.trim_start().starts_with("30.0") && last.contains("VIOLATED"), "{trace}");
        }
    }
}
