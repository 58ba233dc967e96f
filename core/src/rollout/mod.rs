//! Many instances: how many of which definition there shall be, and the way there.
//!
//! ```text
//!   command ─► change.rs: new definition, deployment with its steps, locks
//!                              │
//!   any change of an instance ─┤
//!                              ▼
//!              drive.rs: for each pod that something happened to, compare
//!              what there is (tally) with what there shall be, and do what
//!              is missing: create, decommission; nothing if all is well
//!              search.rs: do new copies find a place beside the old ones?
//!              places.rs: if not, which of these make it
//!              doubt.rs: what cannot be done before Mesos has answered
//!                              │
//!                              ▼
//!              progress.rs: is the current step of its deployment done?
//!              deadline.rs: and if it is not, is its time up?
//! ```
//!
//! A new copy counts only once it can be relied on: its health checks say so or, without any, it has run for
//! `--minimum_ready` without interruption. One that loses that later does not count any more.
//!
//! Nothing here remembers how far it got: every decision is made from what there is at that moment. So an
//! instance lost midway is simply one that is missing, a restart of the scheduler resumes where things are, and
//! a floor or ceiling is kept at every moment and not only at the start.

mod capacity;
mod change;
mod deadline;
mod dependencies;
mod doubt;
mod drive;
mod groups;
mod places;
mod progress;
mod rehearsal;
mod roles;
mod search;

pub(crate) use dependencies::Dependencies;
pub use rehearsal::{Preview, Rehearsal};
pub(crate) use search::Searches;
