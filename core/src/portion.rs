//! How much one step does, so that none holds up the next input for long.
//!
//! An input can lead to any amount of work: a pod of 100,000 copies is created by one command, and their timers
//! fall due in one moment. A step does a portion of it, counted in copies and pods and never in time, so that equal
//! histories stay equal. What is left stays where it is kept anyway (among the timers that are due, or the pods that
//! were touched), [`Scheduler::deadline`](crate::Scheduler::deadline) has come already, and the next step of
//! whatever kind goes on. A crash in between loses nothing: all of it follows from what is durable.
//!
//! What is never cut: the command itself, which is accepted whole or not at all; the answer to a batch of offers,
//! because no offer is kept; and the first choice of copies that go, which puts all of their pod's in order
//! (`kill/ranks.rs`).

/// What a step may still do for pods: an instance made or ended costs one, and so does a look at a pod.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portion(usize);

impl Portion {
    /// For one step: [`Config::portion`](crate::Config::portion).
    pub(crate) const fn new(portion: usize) -> Self {
        Self(portion)
    }

    /// For a rehearsal, which holds nobody up.
    pub(crate) const fn unlimited() -> Self {
        Self(usize::MAX)
    }

    /// Whether nothing is left.
    pub(crate) fn is_used_up(self) -> bool {
        self.0 == 0
    }

    /// How much is left.
    pub(crate) fn left(self) -> usize {
        self.0
    }

    /// Takes `wanted`, or what is left.
    pub(crate) fn take(&mut self, wanted: usize) -> usize {
        let taken = wanted.min(self.0);
        self.0 -= taken;
        taken
    }
}
