//! One run of a plan, from its beginning to its verdict.

use std::time::Duration;

use podium_core::Scheduler;
use podium_core::model::time::Timestamp;

use crate::coverage::{Coverage, Surveyor};
use crate::digest::Digest;
use crate::oracle::{Jury, Violation, Witness};
use crate::page::Recorder;
use crate::panics::caught;
use crate::plan::Plan;
use crate::trace::Trace;
use crate::world::{Counts, Scene, Seen, Subject, World};

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The hash of everything that the scheduler was told and decided, and when.
    pub digest: u64,
    /// How much happened.
    pub counts: Counts,
    /// What was reached.
    pub coverage: Coverage,
    /// How many pods had not become as clients want them in the end, and nobody could help it.
    pub excused: usize,
    /// How much time passed in the world.
    pub elapsed: Duration,
    /// What was violated, if anything was.
    pub violation: Option<Violation>,
    /// What happened, a line for each change; only if it was asked for.
    pub trace: Option<Trace>,
}

/// Runs `plan` with the scheduler.
pub fn run(plan: &Plan) -> Report {
    run_subject::<Scheduler>(plan, false)
}

/// Runs `plan` with the scheduler and writes down what happens.
pub fn run_traced(plan: &Plan) -> Report {
    run_subject::<Scheduler>(plan, true)
}

/// Runs `plan` with the scheduler and writes a page about it.
pub fn run_recorded(plan: &Plan) -> (Report, String) {
    run_subject_recorded::<Scheduler>(plan)
}

/// Runs `plan` with whatever stands in for the scheduler and writes a page about it.
pub fn run_subject_recorded<S: Subject>(plan: &Plan) -> (Report, String) {
    let court = Court { recorder: Some(Box::default()), trace: Some(Trace::default()), ..Court::default() };
    let (report, recorder) = hold::<S>(plan, court, |world| world.run());
    let page = recorder.unwrap_or_default().page(plan, report.violation.as_ref());
    (report, page)
}

/// Runs `plan` with whatever stands in for the scheduler.
pub fn run_subject<S: Subject>(plan: &Plan, traced: bool) -> Report {
    hold::<S>(plan, Court { trace: traced.then(Trace::default), ..Court::default() }, |world| world.run()).0
}

/// Takes the world of `plan` from its beginning to wherever `drive` takes it, and writes down what happens.
pub(crate) fn drive_subject<S: Subject>(
    plan: &Plan,
    drive: impl FnOnce(&mut World<'_, S, Court>) -> Result<(), Violation>,
) -> Report {
    hold(plan, Court { trace: Some(Trace::default()), ..Court::default() }, drive).0
}

fn hold<S: Subject>(
    plan: &Plan,
    court: Court,
    drive: impl FnOnce(&mut World<'_, S, Court>) -> Result<(), Violation>,
) -> (Report, Option<Box<Recorder>>) {
    let mut world: World<'_, S, Court> = World::new(plan, court);
    // Whoever watches has seen what came before a panic.
    let violation = caught(|| drive(&mut world)).flatten().err();
    let (counts, elapsed, marks) = (world.counts(), world.elapsed(), world.marks());
    let Court { digest, jury, surveyor, mut trace, mut recorder } = world.into_witness();
    if let Some(violation) = &violation {
        let at = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        if let Some(trace) = &mut trace {
            trace.note_violation(violation, at);
        }
        if let Some(recorder) = &mut recorder {
            recorder.note_violation(violation, at);
        }
    }
    let (coverage, excused) = (surveyor.finish(marks), jury.excused());
    (Report { digest: digest.finish(), counts, coverage, excused, elapsed, violation, trace }, recorder)
}

/// Everybody who watches.
#[derive(Clone, Debug, Default)]
pub(crate) struct Court {
    digest: Digest,
    jury: Jury,
    surveyor: Surveyor,
    trace: Option<Trace>,
    recorder: Option<Box<Recorder>>,
}

impl Witness for Court {
    fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        if let Seen::Stepped { clock, input, output } = seen {
            self.digest.write_u64(clock.as_millis().unsigned_abs());
            self.digest.write(input);
            self.digest.write(output);
        }
        self.surveyor.see(seen, scene);
        if let Some(trace) = &mut self.trace {
            trace.see(seen, scene);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.see(seen, scene);
        }
        self.jury.see(seen, scene)
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.jury.deadline()
    }

    fn is_satisfied(&self) -> bool {
        self.jury.is_satisfied()
    }
}
