//! What the world drives: the scheduler, or one that misbehaves on purpose.

use podium_core::model::time::Timestamp;
use podium_core::{Config, Entry, Input, Output, RestoreError, Scheduler};

/// A scheduler under test.
///
/// The world touches it as a driver does: through steps and deadlines. What stands between the two may be
/// tampered with, which is how the oracles are shown to bite.
pub trait Subject: Clone {
    /// Starts from what is stored, which is nothing the first time.
    ///
    /// # Errors
    /// The entries contradict each other.
    fn start(config: Config, seed: u64, entries: Vec<Entry>) -> Result<Self, RestoreError>;

    /// See [`Scheduler::step`].
    fn step(&mut self, now: Timestamp, input: Input) -> Output;

    /// See [`Scheduler::deadline`].
    fn deadline(&self) -> Option<Timestamp> {
        self.scheduler().deadline()
    }

    /// For reading only.
    fn scheduler(&self) -> &Scheduler;
}

impl Subject for Scheduler {
    fn start(config: Config, seed: u64, entries: Vec<Entry>) -> Result<Self, RestoreError> {
        Self::restore(config, seed, entries)
    }

    fn step(&mut self, now: Timestamp, input: Input) -> Output {
        Self::step(self, now, input)
    }

    fn scheduler(&self) -> &Scheduler {
        self
    }
}
