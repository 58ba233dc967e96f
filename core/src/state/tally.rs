//! How many instances of a pod are in which stage: what rollouts look at, kept up to date with every change,
//! so that a decision about a pod does not cost a walk over its instances.

use crate::model::instance::{Condition, Goal, Instance};

/// Where an instance is in its life, as far as counting goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Wanted, and nothing of it is left from an earlier launch.
    Waiting,
    /// Asked for and not yet running.
    Launching,
    /// Running, but not (or not yet) healthy.
    Unready,
    /// Running without health checks, and not yet for long enough to be relied on.
    Ready,
    /// Ready for so long, or checked and found healthy, that an older copy may end in its place.
    Available,
    /// Wanted, but its containers are ending; it will be launched again.
    Ending,
    /// Wanted and out of reach.
    Unreachable,
    /// Wanted and out of reach for so long that a replacement is wanted too.
    Inactive,
    /// Not wanted any more; its containers are ending.
    Stopping,
}

impl Stage {
    const COUNT: usize = 9;

    /// The stage of `instance`; `has_health_checks` says whether its definition has any.
    pub(crate) fn of(instance: &Instance, has_health_checks: bool) -> Self {
        if instance.goal != Goal::Running {
            return Self::Stopping;
        }
        if instance.has_ended() {
            return Self::Waiting;
        }
        match instance.condition {
            Condition::Unreachable => Self::Unreachable,
            Condition::UnreachableInactive => Self::Inactive,
            _ if instance.kill_requested.is_some() => Self::Ending,
            Condition::Scheduled | Condition::Provisioned | Condition::Staging | Condition::Starting => {
                Self::Launching
            }
            Condition::Running if !has_health_checks && !instance.available => Self::Ready,
            Condition::Running if has_health_checks && instance.healthy != Some(true) => Self::Unready,
            Condition::Running => Self::Available,
            Condition::Killing
            | Condition::Finished
            | Condition::Killed
            | Condition::Failed
            | Condition::Error
            | Condition::Dropped
            | Condition::Gone
            | Condition::Unknown => Self::Ending,
        }
    }
}

/// The number of instances in each stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts([u32; Stage::COUNT]);

impl Counts {
    /// So many are in `stage`.
    pub(crate) fn get(&self, stage: Stage) -> u32 {
        self.0[stage as usize]
    }

    /// So many serve.
    pub(crate) fn serving(&self) -> u32 {
        self.get(Stage::Ready) + self.get(Stage::Available)
    }

    /// So many are in reach and do not serve, though they may come to.
    pub(crate) fn idle(&self) -> u32 {
        self.get(Stage::Launching) + self.get(Stage::Unready)
    }

    /// So many count as copies: wanted, and not given up for a replacement.
    pub(crate) fn counted(&self) -> u32 {
        self.all() - self.get(Stage::Inactive) - self.get(Stage::Stopping)
    }

    /// So many are not ending for good, also if another one is wanted in their place: they may come back.
    pub(crate) fn wanted(&self) -> u32 {
        self.all() - self.get(Stage::Stopping)
    }

    /// So many there are in all.
    pub(crate) fn all(&self) -> u32 {
        self.0.iter().sum()
    }

    fn count(&mut self, stage: Stage) {
        self.0[stage as usize] += 1;
    }

    fn discount(&mut self, stage: Stage) {
        self.0[stage as usize] -= 1;
    }
}

impl std::ops::Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|stage| self.0[stage] + other.0[stage]))
    }
}

/// The instances of a pod by definition and stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Those of the current definition, or of one that differs only in settings.
    pub(crate) current: Counts,
    /// Those of older definitions.
    pub(crate) old: Counts,
}

impl Tally {
    /// Counts one more.
    pub(crate) fn add(&mut self, is_current: bool, stage: Stage) {
        if is_current { self.current.count(stage) } else { self.old.count(stage) }
    }

    /// Counts one less.
    pub(crate) fn remove(&mut self, is_current: bool, stage: Stage) {
        if is_current { self.current.discount(stage) } else { self.old.discount(stage) }
    }

    /// So many are in `stage`, whatever their definition.
    pub(crate) fn get(&self, stage: Stage) -> u32 {
        self.current.get(stage) + self.old.get(stage)
    }

    /// So many serve, whatever their definition.
    pub(crate) fn serving(&self) -> u32 {
        self.current.serving() + self.old.serving()
    }

    /// So many count as copies, whatever their definition.
    pub(crate) fn counted(&self) -> u32 {
        self.current.counted() + self.old.counted()
    }

    /// So many there are in all.
    pub(crate) fn all(&self) -> u32 {
        self.current.all() + self.old.all()
    }
}
