//! The daemon: everything around the scheduler that touches the world.
//!
//! ```text
//!   cli ──► daemon ──► store     what survives a crash
//!                 ├──► driver    owns the scheduler: inputs in, durable, actions out
//!                 │        └──► secrets   their values, which join launches on their way out
//!                 ├──► api       HTTP: Marathon's pods API
//!                 └──► mesos     keeps a subscription with the master
//! ```

pub mod api;
pub mod cli;
mod clock;
pub mod daemon;
pub mod driver;
mod metrics;
pub mod secrets;
pub mod store;
