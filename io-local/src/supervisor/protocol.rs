//! What the daemon and a supervisor say to each other: one JSON value per line.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// From the daemon. The first request is always [`Request::Launch`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Start the container. Answered by [`Report::Started`] or [`Report::Failed`].
    Launch(Launch),
    /// Send a signal to the process group of the container's first process.
    Signal(i32),
    /// Send SIGKILL to every process of the container.
    Kill,
    /// Run a second program in the container (a health check). Answered by [`Report::Ran`].
    Run {
        /// Names the run in its report.
        id: u64,
        /// What to run.
        execute: Execute,
    },
    /// End a run that takes too long.
    Abort {
        /// The run.
        id: u64,
    },
}

/// A container to be.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Launch {
    /// The working directory; its files `stdout` and `stderr` take the output.
    pub(crate) sandbox: PathBuf,
    /// The program.
    pub(crate) execute: Execute,
    /// What to mount, in this order. With none, no mount namespace is made.
    pub(crate) mounts: Vec<BindMount>,
    /// Who runs it; the daemon's own user if absent.
    pub(crate) identity: Option<Identity>,
}

/// A program with its arguments and environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Execute {
    /// Looked up in the environment's `PATH` unless it contains a slash.
    pub(crate) program: String,
    /// The whole argv.
    pub(crate) arguments: Vec<String>,
    /// The whole environment.
    pub(crate) environment: Vec<(String, String)>,
}

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// Its name, from which the supplementary groups follow.
    pub(crate) name: String,
    /// Its number.
    pub(crate) uid: u32,
    /// Its primary group.
    pub(crate) gid: u32,
}

/// A file or directory that is to appear in a second place, in this container only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BindMount {
    /// What.
    pub(crate) source: PathBuf,
    /// Where; an absolute path. Created if it does not exist.
    pub(crate) target: PathBuf,
    /// Not writable through this mount.
    pub(crate) read_only: bool,
}

/// From the supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// The program is running.
    Started {
        /// Of the container's first process, which leads the process group of the same number.
        pid: i32,
    },
    /// The program could not be started; the supervisor ends.
    Failed {
        /// A sentence for people.
        message: String,
    },
    /// The first process has ended and no other process of the container is left; the supervisor ends.
    Exited {
        /// As `waitpid` gives it.
        wait_status: i32,
    },
    /// A [`Request::Run`] came to its end.
    Ran {
        /// The run.
        id: u64,
        /// As `waitpid` gives it, or why it could not be started.
        result: Result<i32, String>,
    },
}
