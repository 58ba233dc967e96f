//! The supervisor's life: launch, obey, reap, report, leave nothing behind.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getpid, setsid};

use super::exec::{Surroundings, spawn};
use super::{Identity, Launch, Report, Request, mounts, process_tree};

/// How long to wait before looking again for processes that were forked while others were being killed.
const SWEEP: u16 = 20; // milliseconds

/// What a supervisor shows in a process list. Not the binary's name, so that whoever kills the daemon by its name
/// does not hit those who clean up after it.
const NAME: &std::ffi::CStr = c"pod-supervisor";

/// Runs one container to its end.
///
/// # Errors
/// Something the supervisor itself needs did not work; what fails for the container's part is reported instead.
pub(super) fn supervise() -> Result<(), Box<dyn std::error::Error>> {
    close_inherited_files();
    // Fails only for a process that leads its group already, such as one started by hand in a terminal.
    let _ = setsid();
    prctl::set_name(NAME)?;
    prctl::set_child_subreaper(true)?;
    let signals = SigSet::from_iter([
        Signal::SIGCHLD,
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ]);
    signals.thread_block()?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;

    let mut input = BufReader::new(File::from(io::stdin().as_fd().try_clone_to_owned()?));
    let Some(Request::Launch(launch)) = next_request(&mut input)? else { return Ok(()) };
    let mut supervisor = match Supervisor::launch(launch) {
        Ok(supervisor) => supervisor,
        Err(message) => {
            report(&Report::Failed { message });
            return Ok(());
        }
    };
    report(&Report::Started { pid: supervisor.first.as_raw() });

    let mut open = true;
    loop {
        // The input comes last, so that it can be left out.
        let mut ready = [
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(input.get_ref().as_fd(), PollFlags::POLLIN),
        ];
        let watched = if open { &mut ready[..] } else { &mut ready[..1] };
        let timeout = if supervisor.sweeping() { PollTimeout::from(SWEEP) } else { PollTimeout::NONE };
        match poll(watched, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut more = open && ready[1].any().unwrap_or(false);
        while let Some(signal) = signals.read_signal()? {
            supervisor.doomed |= signal.ssi_signo != Signal::SIGCHLD as u32;
        }
        while more {
            match next_request(&mut input)? {
                Some(request) => supervisor.obey(request),
                None => (supervisor.doomed, open) = (true, false),
            }
            // What the buffer holds, `poll` does not show.
            more = open && !input.buffer().is_empty();
        }
        supervisor.reap();
        if supervisor.sweeping() {
            process_tree::kill_descendants(getpid());
            supervisor.reap();
        }
        if supervisor.childless {
            report(&Report::Exited { wait_status: supervisor.ended.unwrap_or(libc::SIGKILL) });
            return Ok(());
        }
    }
}

/// Closes what the daemon has itself inherited from whoever started it, lest it reach every container.
fn close_inherited_files() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<i32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for number in open.into_iter().filter(|number| *number > 2) {
        // SAFETY: nothing in this process has opened a file yet, except for the listing, which is closed again.
        unsafe { libc::close(number) };
    }
}

/// The next line; nothing at the end of the input, when the daemon has died or let go of the container.
fn next_request(input: &mut BufReader<File>) -> Result<Option<Request>, Box<dyn std::error::Error>> {
    let mut line = String::new();
    match input.read_line(&mut line)? {
        0 => Ok(None),
        // A daemon that dies in the middle of a line leaves half of it.
        _ if !line.ends_with('\n') => Ok(None),
        _ => Ok(Some(serde_json::from_str(&line)?)),
    }
}

/// Errors mean that the daemon is gone, which the end of the input says as well.
fn report(report: &Report) {
    if let Ok(mut line) = serde_json::to_vec(report) {
        line.push(b'\n');
        let mut output = io::stdout().lock();
        let _ = output.write_all(&line).and_then(|()| output.flush());
    }
}

struct Supervisor {
    sandbox: PathBuf,
    identity: Option<Identity>,
    /// The container's first process.
    first: Pid,
    /// How the first process ended.
    ended: Option<i32>,
    /// All is to be killed.
    doomed: bool,
    /// There was no child left to wait for.
    childless: bool,
    /// Health checks that are running, by process.
    runs: BTreeMap<i32, u64>,
}

impl Supervisor {
    fn launch(launch: Launch) -> Result<Self, String> {
        let Launch { sandbox, execute, mounts, identity } = launch;
        mounts::establish(&mounts)?;
        let first = spawn(
            &execute,
            &Surroundings {
                sandbox: &sandbox,
                identity: identity.as_ref(),
                stdout: &Surroundings::output(&sandbox, "stdout")?,
                stderr: &Surroundings::output(&sandbox, "stderr")?,
            },
        )?;
        Ok(Self {
            sandbox,
            identity,
            first,
            ended: None,
            doomed: false,
            childless: false,
            runs: BTreeMap::new(),
        })
    }

    /// Whether to kill whatever is left, again and again.
    const fn sweeping(&self) -> bool {
        self.doomed || self.ended.is_some()
    }

    fn obey(&mut self, request: Request) {
        match request {
            Request::Signal(number) => {
                // Once it has been waited for, its number may belong to someone else.
                if let (None, Ok(signal)) = (self.ended, Signal::try_from(number)) {
                    let _ = killpg(self.first, signal);
                }
            }
            Request::Kill => self.doomed = true,
            Request::Run { id, execute } => {
                let result = if self.sweeping() {
                    Err("the container has ended".to_owned())
                } else {
                    self.run(&execute)
                };
                match result {
                    Ok(pid) => _ = self.runs.insert(pid.as_raw(), id),
                    Err(message) => report(&Report::Ran { id, result: Err(message) }),
                }
            }
            Request::Abort { id } => {
                if let Some((&pid, _)) = self.runs.iter().find(|&(_, &run)| run == id) {
                    process_tree::kill_descendants(Pid::from_raw(pid));
                    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                }
            }
            // There is one container for each supervisor.
            Request::Launch(_) => {}
        }
    }

    /// What health checks print is not the container's output, so it goes nowhere.
    fn run(&self, execute: &super::Execute) -> Result<Pid, String> {
        let null = File::create("/dev/null").map_err(|error| format!("cannot open '/dev/null': {error}"))?;
        let (sandbox, identity) = (self.sandbox.as_path(), self.identity.as_ref());
        spawn(execute, &Surroundings { sandbox, identity, stdout: &null, stderr: &null })
    }

    /// Waits for all that have ended: the container's own, and what was left to the supervisor.
    fn reap(&mut self) {
        loop {
            let mut status = 0;
            // Not nix' `waitpid`: it has no value for a process that a real-time signal ended.
            // SAFETY: `status` is valid for writing.
            match unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) } {
                0 => return,
                -1 if Errno::last() == Errno::EINTR => {}
                -1 => {
                    self.childless = true;
                    return;
                }
                pid if pid == self.first.as_raw() => self.ended = Some(status),
                pid => {
                    if let Some(id) = self.runs.remove(&pid) {
                        report(&Report::Ran { id, result: Ok(status) });
                    }
                }
            }
        }
    }
}
