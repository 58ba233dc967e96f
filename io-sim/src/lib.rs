//! The model of Mesos and the deterministic fault simulator that drives the scheduler.
//!
//! ```text
//!   plan ──► world ──► trace, digest
//!             │  ▲
//!             ▼  └── oracle: what must always hold
//!   the scheduler, and cluster: the model of Mesos
//! ```
//!
//! [`cluster`] is a pure state machine of a Mesos master, its agents and their executors: the simulator drives
//! it in virtual time, the embedded cluster in real time over real processes, and the recorded traffic of a
//! real Mesos keeps it honest. [`world`] puts the scheduler next to it and breaks things as a [`plan`] says;
//! [`oracle`] judges. [`random`] is the only source of chance.

pub mod cluster;
pub mod coverage;
pub mod digest;
pub mod explore;
pub mod oracle;
pub mod page;
pub mod panics;
pub mod plan;
pub mod random;
pub mod run;
pub mod shrink;
pub mod trace;
pub mod twins;
pub mod world;
