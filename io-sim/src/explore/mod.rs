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
//! What can happen next is [`World::choices`]; the oracles judge each event as they do in every run. States are the
//! same if they are equal but for the time of day and for random names (see `canonical`); that an executor takes a
//! millisecond more or less to say something is no difference either.

mod canonical;
mod small;

use std::fmt::Debug;
use std::time::Duration;

use podium_core::Scheduler;
use rustc_hash::FxHashMap;

use self::canonical::Canonical;
use crate::oracle::{Jury, Violation};
use crate::panics::caught;
use crate::plan::Plan;
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
}

impl Default for Bounds {
    fn default() -> Self {
        Self { from: Duration::ZERO, depth: 10, delay: Duration::from_millis(100), states: u64::MAX }
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
    /// The events, a line for each, with the time since the run began.
    pub path: Vec<(Duration, String)>,
}

/// Explores `plan` with the scheduler.
pub fn explore(plan: &Plan, bounds: Bounds) -> Findings {
    explore_subject::<Scheduler>(plan, bounds)
}

/// Explores `plan` with whatever stands in for the scheduler. Of several violations the one with the fewest events
/// is found.
pub fn explore_subject<S: Subject + Debug>(plan: &Plan, bounds: Bounds) -> Findings {
    let mut findings = search::<S>(plan, bounds);
    while let Some(found) = &findings.violation {
        let Some(depth) = u32::try_from(found.path.len()).ok().and_then(|length| length.checked_sub(1))
        else {
            break;
        };
        let shorter = search::<S>(plan, Bounds { depth, ..bounds });
        if shorter.violation.is_none() {
            break;
        }
        findings.violation = shorter.violation;
    }
    findings
}

fn search<S: Subject + Debug>(plan: &Plan, bounds: Bounds) -> Findings {
    let mut world: World<'_, S, Jury> = World::new(plan, Jury::default());
    let mut search =
        Search { bounds, seen: FxHashMap::default(), path: Vec::new(), findings: Findings::default() };
    search.findings.complete = true;
    if let Err(violation) = caught(|| world.run_for(bounds.from)).flatten() {
        search.findings.violation = Some(Found { violation, path: Vec::new() });
        return search.findings;
    }
    search.visit(&world, bounds.depth);
    search.findings.states = search.seen.len() as u64;
    search.findings
}

struct Search {
    bounds: Bounds,
    /// How many events further each state was gone on from.
    seen: FxHashMap<u64, u32>,
    path: Vec<(Duration, String)>,
    findings: Findings,
}

impl Search {
    /// Goes on from a state by up to `left` events. False when the search is over.
    fn visit<S: Subject + Debug>(&mut self, world: &World<'_, S, Jury>, left: u32) -> bool {
        if self.is_known(world, left) {
            self.findings.merged += 1;
            return true;
        }
        if left == 0 {
            return true;
        }
        if self.seen.len() as u64 >= self.bounds.states {
            self.findings.complete = false;
            return false;
        }
        for choice in world.choices(self.bounds.delay) {
            let mut next = world.clone();
            let name = world.describe(choice);
            let verdict = caught(|| next.choose(choice)).flatten();
            self.findings.events += 1;
            self.path.push((next.elapsed(), name));
            if let Err(violation) = verdict {
                self.findings.violation = Some(Found { violation, path: std::mem::take(&mut self.path) });
                return false;
            }
            if !self.visit(&next, left - 1) {
                return false;
            }
            self.path.pop();
        }
        true
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
