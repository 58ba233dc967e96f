//! Many seeds, on several cores: until the first violation, or for as long as there is time.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::ops::{ControlFlow, Range};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use podium_sim::oracle::Violation;
use podium_sim::plan::generate;

use super::files;
use super::interrupt;
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
    /// The file for tables of what was reached.
    pub(super) coverage: Option<PathBuf>,
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

    /// The seeds to be begun when it began then.
    fn seeds(&self, began: Instant) -> Box<dyn Iterator<Item = u64> + Send> {
        match self {
            Self::Seeds(range) => Box::new(range.clone()),
            Self::Time { first, .. } => {
                let limit = self.clone();
                Box::new((*first..).take_while(move |_| !limit.is_over(began)))
            }
        }
    }

    /// Whether there is no time left.
    fn is_over(&self, began: Instant) -> bool {
        match self {
            Self::Seeds(_) => false,
            Self::Time { time, .. } => began.elapsed() >= *time,
        }
    }

    /// How long the way is: in seeds, or in milliseconds.
    fn length(&self) -> u64 {
        match self {
            Self::Seeds(range) => range.end - range.start,
            Self::Time { time, .. } => millis(*time),
        }
    }

    /// How far it is on that way, after so many seeds.
    fn position(&self, seeds: u64, began: Instant) -> u64 {
        match self {
            Self::Seeds(_) => seeds,
            Self::Time { .. } => millis(began.elapsed()),
        }
    }
}

impl Hunt {
    /// Runs the seeds, until `stop` is set at the latest, and prints what came of them. Fails if something was violated.
    pub(super) fn run(self, stop: &AtomicBool) -> Result<ExitCode, Failure> {
        let began = Instant::now();
        if let Limit::Time { time, first } = self.limit {
            output::complain(&format!("seeds from {first} on, for {time:?}"));
        }
        let mut progress = Progress::new(Some(self.limit.length()));
        let mut summary = Summary::new();
        let mut failure = Ok(());
        let mut violated = BTreeSet::new();
        let work = |seed| (seed, (self.judge)(&generate(seed), self.how));
        in_order(self.limit.seeds(began), self.jobs, stop, work, |news| {
            let News::Done((seed, report)) = news else {
                progress.show(self.limit.position(summary.seeds, began), || summary.live());
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
                    let told = self.complain(seed, &violation, &progress).and_then(|()| {
                        // The first violation of each oracle is worth a small plan, too. Two runs that differ are not
                        // a property of the plan.
                        if !is_new || violation.oracle == DETERMINISM {
                            return Ok(());
                        }
                        self.shrink(seed, &violation, &mut progress, |limit| match limit.is_over(began) {
                            true => ControlFlow::Break(()),
                            false => interrupt::unless(stop),
                        })
                    });
                    let go_on = told.is_ok() && matches!(self.limit, Limit::Time { .. });
                    failure = told;
                    if go_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                }
            }
        });
        progress.finish();
        let printed = failure.and_then(|()| output::print(&format!("{summary}\n")));
        if let Some(file) = &self.coverage {
            files::write_text(file, &summary.coverage.tables())?;
        }
        output::verdict(printed, summary.failures > 0)
    }

    /// Says what was violated and how to see it happen, and keeps the plan.
    fn complain(&self, seed: u64, violation: &Violation, progress: &Progress) -> Result<(), Failure> {
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
        Ok(())
    }

    /// Makes the plan smaller as long as `go_on` lets it, and keeps what is left.
    fn shrink(
        &self,
        seed: u64,
        violation: &Violation,
        progress: &mut Progress,
        go_on: impl Fn(&Limit) -> ControlFlow<()>,
    ) -> Result<(), Failure> {
        let shrunk = shrink_plan(&generate(seed), violation, self.judge, |_, words| {
            progress.tell(|| words.to_owned());
            go_on(&self.limit)
        });
        if shrunk.runs == 0 {
            progress.complain(&format!("for a smaller one: podium sim shrink --seed {seed}"));
            return Ok(());
        }
        let file = files::write(&self.keep, &format!("seed-{seed}-shrunk"), &shrunk.plan)?;
        let events = shrunk.plan.event_count();
        let so_far = if shrunk.complete { "" } else { " so far" };
        progress
            .complain(&format!("the same with {events} events{so_far}: podium sim run {}", file.display()));
        Ok(())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A seed that no earlier run has come to: they count up from the time of day in milliseconds.
fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicU32, Ordering};

    use podium_core::model::time::Timestamp;
    use podium_core::{Action, Config, Entry, Input, Output, RestoreError, Scheduler};
    use podium_sim::plan::{Plan, Request};
    use podium_sim::run::{Report, run_subject};
    use podium_sim::world::Subject;

    use super::super::judge::tests::judge_moody;
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

    fn hunt(limit: Limit, keep: &Path, judge: Judge) -> Hunt {
        let how = How { traced: false, checked: true };
        Hunt { limit, jobs: NonZeroUsize::MIN, how, keep: keep.to_owned(), coverage: None, judge }
    }

    fn is_violated(hunt: Hunt, stop: &AtomicBool) -> bool {
        let code = hunt.run(stop).unwrap();
        format!("{code:?}") == format!("{:?}", ExitCode::FAILURE)
    }

    #[test]
    fn what_fails_is_kept_and_shrunk() {
        let folder = tempfile::tempdir().unwrap();
        let keep = folder.path().join("sim-failures");
        assert!(is_violated(hunt(Limit::Seeds(0..1), &keep, judge_shy), &AtomicBool::new(false)));
        assert_eq!(files::read(&keep.join("seed-0.json")), Ok(generate(0)));
        let shrunk = files::read(&keep.join("seed-0-shrunk.json")).unwrap();
        assert_eq!(shrunk.event_count(), 1, "{}", shrunk.to_json());
        // Somebody wants a copy, and gets none.
        let what = &shrunk.workload[0].what;
        assert!(matches!(what, Request::Create { .. } | Request::Update { .. }), "{}", shrunk.to_json());
        assert!(shrunk.about.starts_with("Showed: offers: "), "{}", shrunk.about);
        let how = How::default();
        let (whole, small) = (judge_shy(&generate(0), how), judge_shy(&shrunk, how));
        assert!(small.violation.unwrap().is_like(&whole.violation.unwrap()));
    }

    #[test]
    fn two_runs_that_differ_are_not_shrunk() {
        let folder = tempfile::tempdir().unwrap();
        assert!(is_violated(hunt(Limit::Seeds(0..1), folder.path(), judge_moody), &AtomicBool::new(false)));
        let kept: Vec<_> = folder.path().read_dir().unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(kept, ["seed-0.json"]);
    }

    /// As if somebody pressed Ctrl-C in the fifth run, which is the fourth one that makes the plan smaller.
    fn judge_shy_till_interrupted(plan: &Plan, how: How) -> Report {
        if RUNS.fetch_add(1, Ordering::Relaxed) == 4 {
            STOP.store(true, Ordering::Relaxed);
        }
        judge_shy(plan, how)
    }

    static RUNS: AtomicU32 = AtomicU32::new(0);
    static STOP: AtomicBool = AtomicBool::new(false);

    #[test]
    fn an_interrupt_ends_the_shrinking_with_the_smallest_plan_so_far() {
        let folder = tempfile::tempdir().unwrap();
        assert!(is_violated(hunt(Limit::Seeds(0..1), folder.path(), judge_shy_till_interrupted), &STOP));
        assert_eq!(RUNS.load(Ordering::Relaxed), 5);
        let shrunk = files::read(&folder.path().join("seed-0-shrunk.json")).unwrap();
        assert!((2..generate(0).event_count()).contains(&shrunk.event_count()), "{}", shrunk.to_json());
    }

    #[test]
    fn time_is_over_when_it_has_passed() {
        let limit = Limit::Time { time: Duration::from_secs(5), first: 3 };
        let now = Instant::now();
        assert!(!limit.is_over(now) && limit.seeds(now).next() == Some(3));
        let began = now.checked_sub(Duration::from_secs(5)).expect("the machine has run for longer");
        assert!(limit.is_over(began) && limit.seeds(began).next().is_none());
        assert!(!Limit::Seeds(0..1).is_over(began));
    }
}
