//! The model of Mesos and the deterministic fault simulator that drives the scheduler.
//!
//! [`cluster`] is a pure state machine of a Mesos master, its agents and their executors: the simulator drives
//! it in virtual time, the embedded cluster in real time over real processes, and the recorded traffic of a
//! real Mesos keeps it honest. [`random`] is the only source of chance.

pub mod cluster;
pub mod random;
