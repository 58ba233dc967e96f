//! The embedded cluster: a Mesos of real processes on this machine.

pub mod runtime;
mod supervisor;

pub use supervisor::run_if_asked;
