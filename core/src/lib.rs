//! The scheduler as one pure, synchronous state machine.
//!
//! ```text
//!    HTTP API, CLI                       Mesos master
//!         │ Command                           │ Offers, Update, Rescind, …
//!         ▼                                   ▼
//!   now, Input ───►  Scheduler::step  ───►  Output { records, actions }
//!                         │                      │         │
//!                         ▼                      ▼         ▼
//!              deadline: when to Tick    made durable   then performed,
//!                                           first          in order
//! ```
//!
//! An [`Input`] goes in, an [`Output`] comes out, and that is all: no I/O, no clock, no thread, no environment,
//! no order that could differ between two processes. Equal histories give equal outputs.
//!
//! **The driver's contract.** For each input, in order: call [`Scheduler::step`] with a time that never goes
//! back; make the output's records durable, all or none; then perform its actions, in order. Several outputs may
//! share one write. If the write fails, stop. Send [`Input::Tick`] when [`Scheduler::deadline`] has come, and
//! [`Input::Resumed`] before anything else when more than a minute has passed in which nobody looked at the clock. After
//! a crash, [`Scheduler::restore`] continues from the stored entries.
//!
//! Where things live: `model` says what things are, `admission` what a person may ask for, `lifecycle` what
//! becomes of one instance, `placement` what fits an offer, `rollout` how many instances of which definition
//! there shall be, `queue` what waits and why, `secrets` who waits for which secret, `kill` how things end, `reconcile` how we and Mesos come to agree,
//! and `view` how all of it looks from outside.

pub mod admission;
pub mod config;
pub mod input;
mod kill;
mod lifecycle;
mod marks;
pub mod model;
pub mod output;
pub mod placement;
mod portion;
mod queue;
mod random;
mod reconcile;
pub mod record;
mod rollout;
mod scheduler;
mod secrets;
mod state;
pub mod view;

pub use config::Config;
pub use input::{Command, CommandId, Input, Origin, SecretsReport};
pub use marks::{Mark, Marks};
pub use output::{Accept, Action, Output, Refusal, Response};
pub use record::{Entry, Key, Record};
pub use rollout::{Preview, Rehearsal};
pub use scheduler::{RestoreError, Scheduler, Subscription};
