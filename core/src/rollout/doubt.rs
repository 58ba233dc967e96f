//! Rollouts while Mesos owes an answer.
//!
//! ```text
//!   the master takes over ──► copies on agents that have come back: answered at once
//!                        └──► copies on agents that have not: no answer, until they come or ten minutes are over
//! ```
//!
//! What a copy was found to be the last time says nothing of what it is now while a question about it is open. So when copies
//! are replaced, it counts as out of reach: it takes its room, no older one goes in its place, and it does not help to keep
//! the floor. Whoever ends copies that serve ends only what the others, of which was heard, leave to spare.

use std::collections::BTreeSet;

use super::drive::Moves;
use crate::marks::Mark;
use crate::model::ids::{PodId, Uuid};
use crate::scheduler::Scheduler;
use crate::state::{Pod, Stage, Tally};

impl Scheduler {
    /// What there is of `pod`, of which copies are to be replaced, if those that a question is open about count as out of
    /// reach; none if there is no such question.
    fn tally_in_doubt(&self, pod: &Pod) -> Option<Tally> {
        let mut tally = pod.tally;
        let doubted: BTreeSet<Uuid> = self.doubted_copies(pod).collect();
        for uuid in doubted {
            let Some(instance) = self.state.instance(uuid) else { continue };
            let stage = pod.stage(instance);
            let is_current = pod.counts_as_current(instance, stage);
            tally.remove(is_current, stage);
            tally.add(is_current, Stage::Unreachable);
        }
        (tally != pod.tally).then_some(tally)
    }

    /// The copies of `pod` that served when last heard of, and that a question is open about; those with several containers
    /// perhaps more than once.
    fn doubted_copies(&self, pod: &Pod) -> impl Iterator<Item = Uuid> {
        let served = |uuid: &Uuid| {
            let stage = self.state.instance(*uuid).map(|instance| pod.stage(instance));
            matches!(stage, Some(Stage::Ready | Stage::Available))
        };
        self.reconciliation.asked_about(&pod.state.id).filter(served)
    }

    /// Of `moves`, which replace copies of the pod `id`, leaves out what can be done only if Mesos answers as it did the last
    /// time. `plan` says what there is to be done by how many copies are what.
    pub(super) fn wait_for_answers(
        &mut self,
        id: &PodId,
        moves: Moves,
        plan: impl FnOnce(Tally) -> Moves,
    ) -> Moves {
        // Before that nobody who serves goes in any case.
        if !moves.may_end_serving() || !self.is_up_to_date() {
            return moves;
        }
        let Some(pod) = self.state.pod(id) else { return moves };
        let Some(tally) = self.tally_in_doubt(pod) else { return moves };
        let sure = moves.only_sure(plan(tally), pod.tally);
        if sure != moves {
            self.mark(Mark::SilenceHeld);
            self.in_doubt.insert(id.clone());
        }
        sure
    }

    /// Mesos said something about a task of the pod `id`. If that was the last answer it is looked at again: thousands of
    /// answers shall not be thousands of looks at all that are still to come.
    pub(crate) fn look_again_if_certain(&mut self, id: &PodId) {
        let is_certain = |pod: &Pod| self.doubted_copies(pod).next().is_none();
        if self.in_doubt.contains(id) && self.state.pod(id).is_none_or(is_certain) {
            self.state.changes.touched.insert(id.clone());
        }
    }

    /// Looks again at all pods that wait for answers, some of which may have come.
    pub(crate) fn look_again_at_those_in_doubt(&mut self) {
        self.state.changes.touched.append(&mut self.in_doubt);
    }

    /// How many copies of `pod` Mesos has not spoken of since it was asked, if others would go if it did.
    pub(super) fn copies_waited_for(&self, pod: &Pod) -> Option<u32> {
        let doubted = || self.doubted_copies(pod).collect::<BTreeSet<Uuid>>().len();
        let waited_for = || u32::try_from(doubted()).unwrap_or(u32::MAX);
        self.in_doubt.contains(&pod.state.id).then(waited_for).filter(|count| *count > 0)
    }
}
