//! One run of a plan, from its beginning to its verdict.

use std::time::Duration;

use podium_core::Scheduler;
use podium_core::model::time::Timestamp;

use crate::digest::Digest;
use crate::oracle::{Jury, Violation, Witness};
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

/// Runs `plan` with whatever stands in for the scheduler.
pub fn run_subject<S: Subject>(plan: &Plan, traced: bool) -> Report {
    let court =
        Court { digest: Digest::default(), jury: Jury::default(), trace: traced.then(Trace::default) };
    let mut world: World<'_, S, Court> = World::new(plan, court);
    let violation = world.run().err();
    let (counts, elapsed) = (world.counts(), world.elapsed());
    let Court { digest, trace, .. } = world.into_witness();
    Report { digest: digest.finish(), counts, elapsed, violation, trace }
}

/// Everybody who watches.
#[derive(Clone, Debug)]
struct Court {
    digest: Digest,
    jury: Jury,
    trace: Option<Trace>,
}

impl Witness for Court {
    fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        if let Seen::Stepped { clock, input, output } = seen {
            self.digest.write_u64(clock.as_millis().unsigned_abs());
            self.digest.write(input);
            self.digest.write(output);
        }
        if let Some(trace) = &mut self.trace {
            trace.see(seen, scene);
        }
        let verdict = self.jury.see(seen, scene);
        if let (Some(trace), Err(violation)) = (&mut self.trace, &verdict) {
            trace.note_violation(violation, scene);
        }
        verdict
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.jury.deadline()
    }

    fn is_satisfied(&self) -> bool {
        self.jury.is_satisfied()
    }
}
