//! One small process per container, between the daemon and what the container runs.
//!
//! ```text
//!   daemon ──stdin: Request──► supervisor ──fork──► the container's first process ─► its children …
//!          ◄─stdout: Report───  own session,          own session and group,
//!                               child subreaper       dies with the supervisor
//! ```
//!
//! What makes it necessary is that nothing a container starts may be left behind, whatever happens:
//!
//! - **A process that forks twice, or takes a session of its own**, leaves its process group and its parent. As
//!   the *child subreaper* the supervisor becomes its new parent, so every process of the container stays among
//!   the supervisor's descendants, and they can all be found and killed.
//! - **The daemon dies, be it by `kill -9`.** The kernel closes its end of the pipe; the supervisor reads the
//!   end of its input, kills all descendants and ends. (`PR_SET_PDEATHSIG` would not do here: it fires when the
//!   *thread* that forked ends, and a thread of an async runtime may end at any time.)
//! - **The supervisor dies.** The container's first process has asked for SIGKILL at its parent's death; the
//!   supervisor has a single thread, so here that is reliable. The daemon then kills the process group.
//!
//! The supervisor is the daemon's own binary, started with the argument [`ARGUMENT`]. A program that embeds a
//! cluster therefore has to call [`run_if_asked`] first thing in its `main`, while it has but one thread.

mod exec;
mod mounts;
mod process_tree;
mod protocol;
mod run;

pub(crate) use protocol::{BindMount, Execute, Identity, Launch, Report, Request};

/// The hidden sub-command: `podium __container <id>`. The id is there for whoever looks at a process list.
pub(crate) const ARGUMENT: &str = "__container";

/// Becomes a container's supervisor if that is what this process was started for; returns otherwise.
///
/// Must be called first in `main`, before any thread is started: it forks.
pub fn run_if_asked() {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == ARGUMENT) {
        let code = match run::supervise() {
            Ok(()) => 0,
            Err(error) => {
                // Standard error is the container's own `stderr` file.
                eprintln!("The supervisor of this container failed: {error}");
                1
            }
        };
        std::process::exit(code);
    }
}
