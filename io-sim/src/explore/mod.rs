//! Every way in which a small world can go on, up to a number of events.
//!
//! A seed tries one order of events. Here all of them are tried: at each state everything that can happen next is
//! let happen to a copy of it, and a state that was seen before is not gone on from again.
//!
//! ```text
//!   the plan's world,         ┌─ the master gets ACCEPT ──► …
//!   run to where it       ●───┼─ a container starts ──────► …   until `depth` events deep
//!   becomes interesting       ├─ the partition begins ────► ●   seen before: same future
//!                             └─ a timer fires ───────────► ✗   violation: this path is the answer
//! ```
//!
//! Some oracles are patient: what a few events lead to they judge minutes later. With [`Bounds::finish`] each of the
//! deepest states is therefore run on as usual to the plan's end.
//!
//! What can happen next is [`World::choices`]; the oracles judge each event as they do in every run. States are the
//! same if they are equal but for the time of day and for random names (see `canonical`); that an executor takes a
//! millisecond more or less to say something is no difference either.

mod canonical;
mod small;

use std::fmt::Debug;
use std::ops::ControlFlow;
use std::time::Duration;

use podium_core::Scheduler;
use rustc_hash::FxHashMap;

use self::canonical::Canonical;
use crate::oracle::{Jury, Violation};
use crate::panics::caught;
use crate::plan::Plan;
use crate::run::{Report, drive_subject};
use crate::world::{Subject, World};

pub use self::small::{LATE, Small, small_world};

/// How far to go.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// So long the plan is run as usual first.
    pub from: Duration,
    /// So many events deep.
    pub depth: u32,
    /// So far timers may overtake messages.
    pub delay: Duration,
    /// Give up after so many states.
    pub states: u64,
    /// Whether the deepest states are run on as usual to the plan's end, so that every oracle judges what came of them.
    /// What the plan still has in store breaks then, at its time.
    pub finish: bool,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            from: Duration::ZERO,
            depth: 10,
            delay: Duration::from_millis(100),
            states: u64::MAX,
            finish: false,
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Different states.
    pub states: u64,
    /// Events that were let happen.
    pub events: u64,
    /// Events that led to a state that was seen before.
    pub merged: u64,
    /// States that were run on to the plan's end.
    pub finished: u64,
    /// Whether everything within the depth was seen.
    pub complete: bool,
    /// What was violated, if anything was.
    pub violation: Option<Found>,
}

/// A violation and what led to it.
#[derive(Clone, Debug)]
pub struct Found {
    /// What was violated.
    pub violation: Violation,
    /// The events, a line for each, with the time since the run began; and a line more if it was found after them, on
    /// the way to the plan's end.
    pub path: Vec<(Duration, String)>,
    /// Of all that could happen each time, what has this number did: for [`replay`].
    pub choices: Vec<usize>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Different states so far.
    pub states: u64,
    /// Events that were let happen so far.
    pub events: u64,
}

/// Explores `plan` with the scheduler.
pub fn explore(plan: &Plan, bounds: Bounds) -> Findings {
    explore_subject::<Scheduler>(plan, bounds)
}

/// Explores `plan` with whatever stands in for the scheduler. Of several violations the one with the fewest events
/// is found.
pub fn explore_subject<S: Subject + Debug>(plan: &Plan, bounds: Bounds) -> Findings {
    explore_watched::<S>(plan, bounds, |_| ControlFlow::Continue(()))
}

/// The same, and tells `watch` after each event. When that breaks, what there is so far has to do.
pub fn explore_watched<S: Subject + Debug>(
    plan: &Plan,
    bounds: Bounds,
    mut watch: impl FnMut(Progress) -> ControlFlow<()>,
) -> Findings {
    let mut findings = search::<S>(plan, bounds, &mut watch);
    while let Some(found) = &findings.violation {
        let Some(depth) = u32::try_from(found.choices.len()).ok().and_then(|length| length.checked_sub(1))
        else {
            break;
        };
        let shorter = search::<S>(plan, Bounds { depth, ..bounds }, &mut watch);
        if shorter.violation.is_none() {
            break;
        }
        findings.violation = shorter.violation;
    }
    findings
}

/// Goes one way through `plan`, with the scheduler: as usual first, then by these choices, and to the end as usual if
/// [`Bounds::finish`] says so. Neither [`Bounds::depth`] nor [`Bounds::states`] counts.
///
/// # Errors
/// There is no such choice: the plan or the code is another one.
pub fn replay(plan: &Plan, bounds: Bounds, choices: &[usize]) -> Result<Report, NoSuchChoice> {
    replay_subject::<Scheduler>(plan, bounds, choices)
}

/// The same with whatever stands in for the scheduler.
///
/// # Errors
/// There is no such choice: the plan or the code is another one.
pub fn replay_subject<S: Subject>(
    plan: &Plan,
    bounds: Bounds,
    choices: &[usize],
) -> Result<Report, NoSuchChoice> {
    let mut lost = None;
    let report = drive_subject::<S>(plan, |world| {
        world.run_for(bounds.from)?;
        for (place, number) in choices.iter().copied().enumerate() {
            let possible = world.choices(bounds.delay);
            let Some(choice) = possible.get(number) else {
                lost = Some(NoSuchChoice { place, number, possible: possible.len() });
                return Ok(());
            };
            world.choose(*choice)?;
        }
        if bounds.finish { world.run() } else { Ok(()) }
    });
    lost.map_or(Ok(report), Err)
}

/// A way leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("after {place} events there are {possible} choices, and none has the number {number}")]
pub struct NoSuchChoice {
    /// After so many events.
    pub place: usize,
    /// The number of the choice, counted from 0.
    pub number: usize,
    /// So many choices there are.
    pub possible: usize,
}

type Watch<'w> = &'w mut dyn FnMut(Progress) -> ControlFlow<()>;

fn search<S: Subject + Debug>(plan: &Plan, bounds: Bounds, watch: Watch<'_>) -> Findings {
    let mut world: World<'_, S, Jury> = World::new(plan, Jury::default());
    let mut search = Search {
        bounds,
        watch,
        seen: FxHashMap::default(),
        path: Vec::new(),
        choices: Vec::new(),
        findings: Findings::default(),
    };
    search.findings.complete = true;
    if let Err(violation) = caught(|| world.run_for(bounds.from)).flatten() {
        search.findings.violation = Some(Found { violation, path: Vec::new(), choices: Vec::new() });
        return search.findings;
    }
    search.visit(&world, bounds.depth);
    search.findings.states = search.seen.len() as u64;
    search.findings
}

struct Search<'w> {
    bounds: Bounds,
    watch: Watch<'w>,
    /// How many events further each state was gone on from.
    seen: FxHashMap<u64, u32>,
    path: Vec<(Duration, String)>,
    choices: Vec<usize>,
    findings: Findings,
}

impl Search<'_> {
    /// Goes on from a state by up to `left` events. False when the search is over.
    fn visit<S: Subject + Debug>(&mut self, world: &World<'_, S, Jury>, left: u32) -> bool {
        if self.is_known(world, left) {
            self.findings.merged += 1;
            return true;
        }
        if left == 0 {
            return !self.bounds.finish || self.run_on(world);
        }
        if self.seen.len() as u64 >= self.bounds.states {
            self.findings.complete = false;
            return false;
        }
        for (number, choice) in world.choices(self.bounds.delay).into_iter().enumerate() {
            let mut next = world.clone();
            let name = world.describe(choice);
            let verdict = caught(|| next.choose(choice)).flatten();
            self.findings.events += 1;
            self.path.push((next.elapsed(), name));
            self.choices.push(number);
            if let Err(violation) = verdict {
                self.found(violation);
                return false;
            }
            if !self.may_go_on() || !self.visit(&next, left - 1) {
                return false;
            }
            self.path.pop();
            self.choices.pop();
        }
        true
    }

    /// Runs a copy of a state on to the plan's end. False when the search is over.
    fn run_on<S: Subject + Debug>(&mut self, world: &World<'_, S, Jury>) -> bool {
        let mut world = world.clone();
        let begun = world.elapsed();
        self.findings.finished += 1;
        if let Err(violation) = caught(|| world.run()).flatten() {
            self.path.push((begun, format!("everything goes on as usual, until {:?}", world.elapsed())));
            self.found(violation);
            return false;
        }
        self.may_go_on()
    }

    /// Notes what was violated, and the path to it.
    fn found(&mut self, violation: Violation) {
        let (path, choices) = (std::mem::take(&mut self.path), std::mem::take(&mut self.choices));
        self.findings.violation = Some(Found { violation, path, choices });
    }

    /// Whether whoever watches wants to see more.
    fn may_go_on(&mut self) -> bool {
        let so_far = Progress { states: self.seen.len() as u64, events: self.findings.events };
        let goes_on = (self.watch)(so_far).is_continue();
        self.findings.complete &= goes_on;
        goes_on
    }

    /// Whether the state was gone on from at least as far before; notes that it is now.
    fn is_known<S: Subject + Debug>(&mut self, world: &World<'_, S, Jury>, left: u32) -> bool {
        let mut canonical = Canonical::new(world.now());
        // Writing to a string does not fail.
        let _ = world.write_state(&mut canonical);
        let further = self.seen.entry(canonical.finish()).or_default();
        // So that a state at the very end counts as seen, the count begins at one.
        let known = *further > left;
        *further = (*further).max(left + 1);
        known
    }
}
