//! Rare paths, and whether they were taken.
//!
//! Some decisions are easy to write and hard to reach: a crash at the right moment, a word that comes late. Each
//! leaves a mark where it is made, so that the simulator can say which of them its runs have taken, and a test
//! fails when one is never reached. A mark is one bit: it is neither stored nor part of any output, nothing is
//! decided by it, and it is gone with the process.

/// A rare path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// Copies of a pod failed on an agent again and again, and its offer is not used for another one.
    AgentAvoided,
    /// The master said that an agent is lost on which there are copies.
    AgentLossHeard,
    /// Copies are not begun because their pod has to wait for another one.
    DependencyAwaited,
    /// A deployment was cancelled and everything left as it was.
    DeploymentAbandoned,
    /// A forced change took pods out of a deployment that changes others, too.
    DeploymentCurtailed,
    /// A deployment was not done by its deadline.
    DeploymentOverdue,
    /// A deployment was cancelled and another one leads back.
    DeploymentReverted,
    /// A deployment was not done by its deadline, and another one leads back.
    DeploymentRolledBack,
    /// A forced change took the place of a deployment that was on its way.
    DeploymentSuperseded,
    /// Mesos knows a later launch of a copy than the records do, which prove nothing about it.
    Disowned,
    /// Something of an earlier launch of a copy is alive, and is killed.
    EarlierLaunchReturned,
    /// A copy ended by the word of somebody who may be wrong: another one takes its place.
    EndedInDoubt,
    /// A container that was given up for ended is alive, and is killed.
    EndedReturned,
    /// The master said that an executor failed before its tasks' updates came.
    ExecutorFailureHeard,
    /// Asking did not help, and an executor was shut down as a whole.
    ExecutorShutDown,
    /// A copy out of reach was given up.
    Expunged,
    /// A copy that was given up was confirmed to have ended.
    ForgottenEnded,
    /// A copy that was given up came back, and is killed.
    ForgottenReturned,
    /// Mesos had removed the framework, which goes on under another id.
    FrameworkReborn,
    /// Part of a group ended, and the rest did not follow.
    GroupOutlived,
    /// An agent was declared gone, with the volumes that a copy has there.
    HomeGone,
    /// The volumes of a copy turned up on another agent, and the copy goes there.
    HomeMoved,
    /// A copy has been out of reach for so long that another one is wanted.
    Inactive,
    /// A container came up after its `KILL`, which had found nothing to end.
    KillIgnored,
    /// Somebody was asked to end once more.
    KillRepeated,
    /// A copy whose end a person had asked for went out of reach: another one takes its place.
    KilledUnreachable,
    /// Nothing was heard of a launch, and Mesos is asked about it.
    LaunchQuestioned,
    /// A launch took too long.
    LaunchTimedOut,
    /// What was kept for a copy that is gone is given back.
    LeftoverReleased,
    /// Copies would have gone if what was known of them had not been old news.
    OldNewsHeld,
    /// Old copies that do not serve go first.
    OldUnready,
    /// Old copies make place for new ones that found none beside them.
    PlaceMade,
    /// Mesos did not answer a question about tasks, which is asked again.
    ReconciledAgain,
    /// After an absence Mesos was asked about everything.
    Resumed,
    /// The master does not let us have a role that a pod needs.
    RoleRefused,
    /// Old copies would have gone if Mesos had answered what it was asked about others.
    SilenceHeld,
    /// A copy that returned is one too many.
    Surplus,
    /// Something is reserved for a copy that there is no record of.
    UnknownReservationSeen,
    /// A task that there is no record of has ended.
    UnknownTaskEnded,
    /// A task that there is no record of is alive.
    UnknownTaskHeard,
    /// A task that there is no record of is killed, as the settings say.
    UnknownTaskKilled,
    /// A copy that is to end went out of reach.
    UnwantedUnreachable,
}

impl Mark {
    /// All of them.
    pub const ALL: [Self; 42] = [
        Self::AgentAvoided,
        Self::AgentLossHeard,
        Self::DependencyAwaited,
        Self::DeploymentAbandoned,
        Self::DeploymentCurtailed,
        Self::DeploymentOverdue,
        Self::DeploymentReverted,
        Self::DeploymentRolledBack,
        Self::DeploymentSuperseded,
        Self::Disowned,
        Self::EarlierLaunchReturned,
        Self::EndedInDoubt,
        Self::EndedReturned,
        Self::ExecutorFailureHeard,
        Self::ExecutorShutDown,
        Self::Expunged,
        Self::ForgottenEnded,
        Self::ForgottenReturned,
        Self::FrameworkReborn,
        Self::GroupOutlived,
        Self::HomeGone,
        Self::HomeMoved,
        Self::Inactive,
        Self::KillIgnored,
        Self::KillRepeated,
        Self::KilledUnreachable,
        Self::LaunchQuestioned,
        Self::LaunchTimedOut,
        Self::LeftoverReleased,
        Self::OldNewsHeld,
        Self::OldUnready,
        Self::PlaceMade,
        Self::ReconciledAgain,
        Self::Resumed,
        Self::RoleRefused,
        Self::SilenceHeld,
        Self::Surplus,
        Self::UnknownReservationSeen,
        Self::UnknownTaskEnded,
        Self::UnknownTaskHeard,
        Self::UnknownTaskKilled,
        Self::UnwantedUnreachable,
    ];
}

/// The marks that were left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(u64);

impl Marks {
    /// Leaves `mark`.
    pub(crate) fn leave(&mut self, mark: Mark) {
        self.0 |= 1 << mark as u32;
    }

    /// Whether `mark` was left.
    pub fn has(self, mark: Mark) -> bool {
        self.0 & (1 << mark as u32) != 0
    }
}

impl std::ops::BitOrAssign for Marks {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_has_a_bit_of_its_own() {
        for (index, mark) in Mark::ALL.into_iter().enumerate() {
            let mut marks = Marks::default();
            marks.leave(mark);
            assert_eq!(Mark::ALL.into_iter().filter(|other| marks.has(*other)).count(), 1);
            assert_eq!(mark as usize, index, "{mark:?} is not in its place");
        }
    }
}
