//! The embedded cluster: a Mesos of real processes on this machine, for trying Podium out and for testing it.
//!
//! ```text
//!                       ┌────────────────────── this crate ──────────────────────┐
//!   a scheduler ─HTTP─► │ http ─► cluster: podium_sim::cluster ─► runtime        │ ─► supervisor ─► processes
//!                       │          (master, agents, executors)   (sandboxes, …)  │    (one for each container)
//!                       └────────────────────────────────────────────────────────┘
//! ```
//!
//! What Mesos would decide is decided by the model that the simulator uses, in real time; what it would do to
//! processes is done to processes. Nothing is isolated but what [`runtime`] says.
//!
//! A program that embeds a cluster calls [`run_if_asked`] first thing in its `main`, then
//! [`EmbeddedCluster::start`].

pub mod admin;
mod cluster;
mod config;
mod http;
pub mod runtime;
mod supervisor;

pub use cluster::{EmbeddedCluster, Running, StartError};
pub use config::{Config, MAX_AGENTS};
pub use podium_sim::cluster as model;
pub use supervisor::run_if_asked;
