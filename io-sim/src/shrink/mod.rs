//! Makes a failing plan so small that a person can read it.
//!
//! ```text
//!   plan ──► without pods ──► without events ──► without agents ──► simpler pieces ──┐
//!             ▲                                                                      │
//!             └────────────── again, as long as something could be left out ◄────────┘
//! ```
//!
//! Each step proposes a simpler plan, runs it, and keeps it if the same oracle still says the same, names and numbers
//! apart: one may judge several ways of being wrong, and they are not the same bug. Lists are thinned
//! out in chunks that get smaller and smaller (delta debugging). What is left is taken to pieces as JSON: fields go
//! back to their defaults, elements of lists go, times and numbers become small and round.
//!
//! What decides whether a plan can be fulfilled at all (how long there is to settle, how much time a container has to
//! become healthy, the timeouts of the scheduler and of Mesos) is left alone or goes back to its default, or else the
//! end would be a plan that nobody could fulfil. The same goes for machines and for what is asked for where the author
//! expects something of it.

mod pieces;
mod without;

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::digest::Digest;
use crate::oracle::Violation;
use crate::plan::Plan;

/// A plan that cannot be made smaller, or not with so many runs or in so much time.
#[derive(Clone, Debug, PartialEq)]
pub struct Shrunk {
    /// The smallest plan that was found.
    pub plan: Plan,
    /// What it violates: the same rule in the same way.
    pub violation: Violation,
    /// So many runs it took.
    pub runs: u32,
    /// Whether nothing more can be left out; otherwise it was given up before.
    pub complete: bool,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// So many runs have been made.
    pub runs: u32,
    /// So many events the smallest plan has.
    pub events: usize,
}

/// Makes `plan`, which violates `violation`, as small as possible with at most `most_runs` runs by `judge`, and tells
/// `watch` before each of them. When that breaks, the smallest plan so far has to do.
pub fn shrink(
    plan: &Plan,
    violation: &Violation,
    most_runs: u32,
    judge: impl FnMut(&Plan) -> Option<Violation>,
    watch: impl FnMut(Progress) -> ControlFlow<()>,
) -> Shrunk {
    let (plan, violation) = (plan.clone(), violation.clone());
    let tried = BTreeSet::from([fingerprint(&plan)]);
    let best = Shrunk { plan, violation, runs: 0, complete: false };
    let mut search = Search { best, most_runs, tried, judge, watch, is_stopped: false };
    loop {
        let before = search.best.plan.clone();
        search.drop_pods();
        search.drop_chunks(Plan::event_count, without::events);
        search.drop_chunks(|plan| plan.cluster.agents.len(), without::agents);
        search.simplify_pieces();
        if search.best.plan == before || search.is_exhausted() {
            return Shrunk { complete: !search.is_exhausted(), ..search.best };
        }
    }
}

struct Search<J, W> {
    best: Shrunk,
    most_runs: u32,
    /// Plans that need not be tried again.
    tried: BTreeSet<u64>,
    judge: J,
    watch: W,
    /// Whoever watches has seen enough.
    is_stopped: bool,
}

impl<J: FnMut(&Plan) -> Option<Violation>, W: FnMut(Progress) -> ControlFlow<()>> Search<J, W> {
    fn is_exhausted(&self) -> bool {
        self.is_stopped || self.best.runs >= self.most_runs
    }

    /// Keeps `candidate` if it violates the same rule. Says whether it does.
    fn attempt(&mut self, candidate: Plan) -> bool {
        if self.is_exhausted() || candidate.check().is_err() || !self.tried.insert(fingerprint(&candidate)) {
            return false;
        }
        let so_far = Progress { runs: self.best.runs, events: self.best.plan.event_count() };
        if (self.watch)(so_far).is_break() {
            self.is_stopped = true;
            return false;
        }
        self.best.runs += 1;
        let found = (self.judge)(&candidate).filter(|found| found.is_like(&self.best.violation));
        let is_better = found.is_some();
        if let Some(violation) = found {
            self.best.plan = candidate;
            self.best.violation = violation;
        }
        is_better
    }

    /// Tries to do without each pod and all that is about it.
    fn drop_pods(&mut self) {
        let pods: BTreeSet<String> =
            self.best.plan.workload.iter().filter_map(|order| order.what.pod().map(str::to_owned)).collect();
        for pod in pods {
            self.attempt(without::pod(&self.best.plan, &pod));
        }
    }

    /// Tries to do without large parts of a list first, and then without smaller and smaller ones.
    fn drop_chunks(
        &mut self,
        count: impl Fn(&Plan) -> usize,
        without: impl Fn(&Plan, std::ops::Range<usize>) -> Plan,
    ) {
        let mut size = count(&self.best.plan);
        while size > 0 {
            let mut from = 0;
            while from < count(&self.best.plan) && !self.is_exhausted() {
                let to = (from + size).min(count(&self.best.plan));
                if !self.attempt(without(&self.best.plan, from..to)) {
                    from = to;
                }
            }
            size /= 2;
        }
    }

    /// Tries to make each piece of the plan simpler, until none can be.
    fn simplify_pieces(&mut self) {
        let mut at = 0;
        while !self.is_exhausted() {
            // Pieces come and go as the plan becomes simpler; what is at this position now is next.
            let Some(simpler) = pieces::simpler(&self.best.plan, at) else { return };
            let improved = simpler.into_iter().any(|plan| self.attempt(plan));
            at += usize::from(!improved);
        }
    }
}

fn fingerprint(plan: &Plan) -> u64 {
    Digest::of(&[&plan.to_json()])
}
