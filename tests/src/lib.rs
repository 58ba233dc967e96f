//! What the end-to-end tests work with: real `podium` processes, looked at from outside only.
//!
//! ```text
//!   a test ──HTTP──► Daemon ──HTTP──► Cluster ──► supervisors ──► containers
//!     │              (podium serve)   (podium cluster, or within the daemon)
//!     └── /proc, signals, sandboxes: what really happens on this machine
//! ```
//!
//! - **Nothing is assumed about time.** Tests wait [`eventually`] for a condition; the deadline only ends a wait that
//!   is in vain, so it is generous.
//! - **Nothing is shared.** Every daemon and cluster has a folder of its own and ports that the system chose.
//! - **Nothing is left.** When a daemon or cluster goes out of scope it is killed, and the test fails if any process
//!   that it started is still there after that. When a test fails, it shows what its programs have written.

pub mod api;
mod browser;
mod cluster;
mod daemon;
mod folder;
mod ports;
pub mod process;
mod program;
mod proxy;
mod wait;

pub use browser::Browser;
pub use cluster::Cluster;
pub use daemon::Daemon;
pub use folder::Folder;
pub use ports::lease_agent_ports;
pub use program::{Outcome, binary, run, run_with};
pub use proxy::Proxy;
pub use wait::{DEADLINE, eventually};
