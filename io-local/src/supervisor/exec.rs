//! From `fork` to `exec`: the few steps in which a copy of the supervisor becomes the container's program.

use std::convert::Infallible;
use std::ffi::{CString, NulError};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::prctl;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};
use nix::unistd::{
    AccessFlags, ForkResult, Gid, Pid, Uid, access, dup2_stderr, dup2_stdin, dup2_stdout, execve, fork,
    getpid, getppid, initgroups, pipe2, setgid, setsid, setuid,
};

use super::{Execute, Identity};

/// Where a program runs and where its output goes.
pub(super) struct Surroundings<'a> {
    pub(super) sandbox: &'a Path,
    pub(super) identity: Option<&'a Identity>,
    pub(super) stdout: &'a File,
    pub(super) stderr: &'a File,
}

impl Surroundings<'_> {
    /// The sandbox's file of this name, for appending.
    pub(super) fn output(sandbox: &Path, name: &str) -> Result<File, String> {
        let path = sandbox.join(name);
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|error| format!("cannot open '{}': {error}", path.display()))
    }
}

/// Starts the program as the leader of a new session and process group. Returns once it runs.
///
/// # Errors
/// A sentence for people: which step failed, on what, and why.
pub(super) fn spawn(execute: &Execute, surroundings: &Surroundings<'_>) -> Result<Pid, String> {
    let prepared =
        Prepared::new(execute).map_err(|_| "a NUL byte in the command or environment".to_owned())?;
    // The pipe closes by itself when the program starts; until then it takes what went wrong.
    let (mut failure, report) = pipe2(OFlag::O_CLOEXEC)
        .map(|(read, write)| (File::from(read), File::from(write)))
        .map_err(|error| format!("cannot make a pipe: {error}"))?;
    let supervisor = getpid();
    // SAFETY: the supervisor has a single thread, so its copy may do whatever the supervisor may.
    match unsafe { fork() } {
        Err(error) => Err(format!("cannot fork: {error}")),
        Ok(ForkResult::Child) => {
            drop(failure);
            let Err(message) = become_program(&prepared, surroundings, supervisor);
            let mut report = report;
            let _ = report.write_all(message.as_bytes());
            // SAFETY: ends the copy at once, without running the supervisor's destructors a second time.
            unsafe { libc::_exit(127) }
        }
        Ok(ForkResult::Parent { child }) => {
            drop(report);
            let mut message = String::new();
            match failure.read_to_string(&mut message) {
                Ok(0) => Ok(child),
                Ok(_) => Err(message),
                Err(error) => Err(format!("cannot read from a pipe: {error}")),
            }
        }
    }
}

fn become_program(
    prepared: &Prepared,
    surroundings: &Surroundings<'_>,
    supervisor: Pid,
) -> Result<Infallible, String> {
    let step = |what: &str| {
        let what = what.to_owned();
        move |error: Errno| format!("cannot {what}: {error}")
    };
    setsid().map_err(step("start a session"))?;
    let null = File::open("/dev/null").map_err(|error| format!("cannot open '/dev/null': {error}"))?;
    dup2_stdin(null.as_fd()).map_err(step("redirect the input"))?;
    dup2_stdout(surroundings.stdout.as_fd()).map_err(step("redirect the output"))?;
    dup2_stderr(surroundings.stderr.as_fd()).map_err(step("redirect the error output"))?;
    // While still the daemon's user, who can certainly reach the sandbox.
    std::env::set_current_dir(surroundings.sandbox)
        .map_err(|error| format!("cannot enter '{}': {error}", surroundings.sandbox.display()))?;
    restore_signals().map_err(step("restore the signals"))?;
    if let Some(Identity { name, uid, gid }) = surroundings.identity {
        let name_c = CString::new(name.as_str()).map_err(|error| error.to_string())?;
        initgroups(&name_c, Gid::from_raw(*gid))
            .map_err(step(&format!("take the groups of user '{name}'")))?;
        setgid(Gid::from_raw(*gid)).map_err(step(&format!("take the group of user '{name}'")))?;
        setuid(Uid::from_raw(*uid)).map_err(step(&format!("become user '{name}'")))?;
    }
    // Changing the user would undo it, so it comes after.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(step("tie itself to its supervisor"))?;
    if getppid() != supervisor {
        return Err("the supervisor has ended".to_owned());
    }
    Err(prepared.execute())
}

/// Gives the program the signals that every program expects. The supervisor blocks some, and Rust ignores SIGPIPE.
fn restore_signals() -> nix::Result<()> {
    for number in Signal::iterator().filter(|number| !matches!(number, Signal::SIGKILL | Signal::SIGSTOP)) {
        // SAFETY: the default action is no handler that could break anything.
        unsafe { signal(number, SigHandler::SigDfl) }?;
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
}

/// A program in the form the kernel wants it.
struct Prepared {
    name: String,
    candidates: Vec<CString>,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Prepared {
    fn new(execute: &Execute) -> Result<Self, NulError> {
        let Execute { program, arguments, environment } = execute;
        let path = environment.iter().rev().find(|(name, _)| name == "PATH").map_or("", |(_, value)| value);
        let candidates = if program.contains('/') {
            vec![CString::new(program.as_str())?]
        } else {
            path.split(':')
                // An empty entry means the working directory.
                .map(|folder| if folder.is_empty() { "." } else { folder })
                .map(|folder| CString::new(format!("{folder}/{program}")))
                .collect::<Result<_, _>>()?
        };
        Ok(Self {
            name: program.clone(),
            candidates,
            arguments: arguments
                .iter()
                .map(|argument| CString::new(argument.as_str()))
                .collect::<Result<_, _>>()?,
            environment: environment
                .iter()
                .map(|(name, value)| CString::new(format!("{name}={value}")))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Does not return if it succeeds.
    fn execute(&self) -> String {
        let mut worst = Errno::ENOENT;
        for candidate in &self.candidates {
            let Err(error) = execve(candidate, &self.arguments, &self.environment);
            // A program that is there but cannot be run says more than those that are not there.
            if access(candidate.as_c_str(), AccessFlags::F_OK).is_ok() {
                worst = error;
            }
        }
        format!("cannot run '{}': {worst}", self.name)
    }
}
