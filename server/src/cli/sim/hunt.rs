//! Many seeds, on several cores: until the first violation, or for as long as there is time.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::ops::{ControlFlow, Range};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use podium_sim::oracle::Violation;
use podium_sim::plan::generate;

use super::files;
use super::judge::{DETERMINISM, How, Judge};
use super::output::{self, Failure};
use super::parallel::{News, in_order};
use super::progress::Progress;
use super::shrinking::shrink_plan;
use super::summary::Summary;

/// What to run.
pub(super) struct Hunt {
    pub(super) limit: Limit,
    pub(super) jobs: NonZeroUsize,
    pub(super) how: How,
    /// The folder for plan files of what fails.
    pub(super) keep: PathBuf,
    pub(super) judge: Judge,
}

/// Which seeds, and when to end.
#[derive(Clone, Debug)]
pub(super) enum Limit {
    /// These, or to the first violation.
    Seeds(Range<u64>),
    /// Seeds from `first` on, for so long, whatever fails.
    Time { time: Duration, first: u64 },
}

impl Limit {
    /// For so many minutes, the seeds from `first` on or, without it, fresh ones.
    pub(super) fn from_minutes(minutes: f64, first: Option<u64>) -> Result<Self, String> {
        let time = Duration::try_from_secs_f64(minutes * 60.0).ok().filter(|time| !time.is_zero());
        let time = time.ok_or_else(|| format!("--minutes {minutes} is no time; 0.5 or 90 would be"))?;
        Ok(Self::Time { time, first: first.unwrap_or_else(fresh_seed) })
    }

    /// The seeds to be begun from now on.
    fn seeds(&self) -> Box<dyn Iterator<Item = u64> + Send> {
        match self {
            Self::Seeds(range) => Box::new(range.clone()),
            Self::Time { time, first } => {
                let (began, first, time) = (Instant::now(), *first, *time);
                output::complain(&format!("seeds from {first} on, for {time:?}"));
                Box::new((first..).take_while(move |_| began.elapsed() < time))
            }
        }
    }
}

impl Hunt {
    /// Runs the seeds and prints what came of them. Fails if something was violated.
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let stop = stop_on_interrupt()?;
        let mut progress = Progress::new(&self.limit);
        let mut summary = Summary::new();
        let mut failure = Ok(());
        let mut violated = BTreeSet::new();
        let work = |seed| (seed, (self.judge)(&generate(seed), self.how));
        in_order(self.limit.seeds(), self.jobs, &stop, work, |news| {
            let News::Done((seed, report)) = news else {
                progress.show(&summary);
                return ControlFlow::Continue(());
            };
            if let Some(trace) = &report.trace
                && let Err(unheard) = progress.print(&trace.short())
            {
                failure = Err(unheard);
                return ControlFlow::Break(());
            }
            summary.add(&report);
            match report.violation {
                None => ControlFlow::Continue(()),
                Some(violation) => {
                    let is_new = violated.insert(violation.oracle);
                    let told = self.complain(seed, &violation, is_new, &progress);
                    let go_on = told.is_ok() && matches!(self.limit, Limit::Time { .. });
                    failure = told;
                    if go_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                }
            }
        });
        progress.finish();
        let printed = failure.and_then(|()| output::print(&format!("{summary}\n")));
        output::verdict(printed, summary.failures > 0)
    }

    /// Says what was violated and how to see it happen, and keeps the plan. The first violation of each oracle is
    /// worth a small plan, too.
    fn complain(
        &self,
        seed: u64,
        violation: &Violation,
        is_new: bool,
        progress: &Progress,
    ) -> Result<(), Failure> {
        let plan = generate(seed);
        let file = files::write(&self.keep, &format!("seed-{seed}"), &plan)?;
        progress.complain(&format!(
            "podium: seed {seed}: {violation}\n\
             to see it happen: podium sim --seeds {seed}..{} --trace\n\
             its plan, of {} events: {}",
            seed + 1,
            plan.event_count(),
            file.display(),
        ));
        // Two runs that differ are not a property of the plan.
        if is_new && violation.oracle != DETERMINISM {
            let shrunk = shrink_plan(&plan, violation, self.judge);
            let file = files::write(&self.keep, &format!("seed-{seed}-shrunk"), &shrunk.plan)?;
            let events = shrunk.plan.event_count();
            progress.complain(&format!("the same with {events} events: podium sim run {}", file.display()));
        }
        Ok(())
    }
}

/// A seed that no earlier run has come to: they count up from the time of day in milliseconds.
fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or_default()
}

/// Is set when the user presses Ctrl-C. A second time ends the process at once.
fn stop_on_interrupt() -> Result<Arc<AtomicBool>, String> {
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot wait for Ctrl-C: {error}"))?;
    // Registered before anything runs, so that no signal meets its default, which is to end the process.
    let interrupt = {
        let _entered = runtime.enter();
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
    };
    let mut interrupt = interrupt.map_err(|error| format!("cannot wait for Ctrl-C: {error}"))?;
    let stopping = stop.clone();
    std::thread::spawn(move || {
        runtime.block_on(async {
            interrupt.recv().await;
            stopping.store(true, Ordering::Relaxed);
            interrupt.recv().await;
            std::process::exit(130);
        });
    });
    Ok(stop)
}

#[cfg(test)]
mod tests {
    use podium_core::model::time::Timestamp;
    use podium_core::{Action, Config, Entry, Input, Output, RestoreError, Scheduler};
    use podium_sim::plan::{Plan, Request};
    use podium_sim::run::{Report, run_subject};
    use podium_sim::world::Subject;

    use super::*;

    /// A scheduler that does not send the launches that it decides on.
    #[derive(Clone)]
    struct Shy(Scheduler);

    impl Subject for Shy {
        fn start(config: Config, seed: u64, entries: Vec<Entry>) -> Result<Self, RestoreError> {
            Scheduler::restore(config, seed, entries).map(Self)
        }

        fn step(&mut self, now: Timestamp, input: Input) -> Output {
            let mut output = self.0.step(now, input);
            output.actions.retain(|action| !matches!(action, Action::Accept(_)));
            output
        }

        fn scheduler(&self) -> &Scheduler {
            &self.0
        }
    }

    fn judge_shy(plan: &Plan, _: How) -> Report {
        run_subject::<Shy>(plan, false)
    }

    #[test]
    fn what_fails_is_kept_and_shrunk() {
        let folder = tempfile::tempdir().unwrap();
        let keep = folder.path().join("sim-failures");
        let (limit, jobs, how) = (Limit::Seeds(0..1), NonZeroUsize::MIN, How::default());
        let code = Hunt { limit, jobs, how, keep: keep.clone(), judge: judge_shy }.run().unwrap();
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::FAILURE));
        assert_eq!(files::read(&keep.join("seed-0.json")), Ok(generate(0)));
        let shrunk = files::read(&keep.join("seed-0-shrunk.json")).unwrap();
        assert_eq!(shrunk.event_count(), 1, "{}", shrunk.to_json());
        assert!(matches!(shrunk.workload[0].what, Request::Create { .. }));
        assert!(shrunk.about.starts_with("Showed: offers: "), "{}", shrunk.about);
        let (whole, small) = (judge_shy(&generate(0), how), judge_shy(&shrunk, how));
        assert!(small.violation.unwrap().is_like(&whole.violation.unwrap()));
    }
}
