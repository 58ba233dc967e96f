//! The processes of this machine, as `/proc` shows them.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A process, as it was when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// When it was started, in the kernel's ticks. With the number it names a process for ever.
    pub started: u64,
    /// Its parent's number.
    parent: i32,
    /// Its process group.
    pub group: i32,
    /// Its command line.
    pub args: Vec<String>,
    /// Its working directory, if it can be seen.
    pub folder: Option<PathBuf>,
    /// Its environment at its start, as `NAME=value`.
    environment: Vec<String>,
}

/// All processes that `wanted` wants. Ones that have ended and only wait for their parent to notice are no processes.
///
/// # Panics
/// The system has no `/proc`.
pub fn find(wanted: impl Fn(&Process) -> bool) -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("every Linux has a /proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // What ends while it is being looked at is passed over.
    let mut found: Vec<_> = pids.filter_map(Process::look).filter(wanted).collect();
    found.sort_by_key(|process| process.pid);
    found
}

/// The processes of the container with this task id: its first one and all that this one has started.
pub fn of_container(task_id: &str) -> Vec<Process> {
    let variable = format!("MESOS_TASK_ID={task_id}");
    find(|process| process.environment.contains(&variable))
}

impl Process {
    /// The process with this number, if there is one.
    pub fn look(pid: i32) -> Option<Self> {
        let folder = Path::new("/proc").join(pid.to_string());
        let stat = fs::read_to_string(folder.join("stat")).ok()?;
        // The name, in parentheses, may hold anything.
        let fields: Vec<_> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let [state, parent, group, ..] = fields[..] else { return None };
        if matches!(state, "Z" | "X") {
            return None;
        }
        Some(Self {
            pid,
            started: fields.get(19)?.parse().ok()?,
            parent: parent.parse().ok()?,
            group: group.parse().ok()?,
            args: strings(&folder.join("cmdline")),
            folder: fs::read_link(folder.join("cwd")).ok(),
            environment: strings(&folder.join("environ")),
        })
    }

    /// The value of a variable in its environment.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.iter().find_map(|variable| variable.strip_prefix(name)?.strip_prefix('='))
    }

    /// Whether `ancestor` has started it, or has started a process that has, and so on.
    pub fn descends_from(&self, ancestor: &Self) -> bool {
        let parent = Self::look(self.parent);
        parent.is_some_and(|parent| parent.pid == ancestor.pid || parent.descends_from(ancestor))
    }

    /// Whether it was started with this command line.
    pub fn has_args(&self, args: &[&str]) -> bool {
        self.args == args
    }

    /// Whether it is still there.
    pub fn is_alive(&self) -> bool {
        Self::look(self.pid).is_some_and(|now| now.started == self.started)
    }

    /// Sends it a signal. That it has ended is no error.
    pub fn signal(&self, signal: Signal) {
        if self.is_alive() {
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Whether it works in `folder` or below, or was told of it in its environment.
    pub(crate) fn belongs_to(&self, folder: &Path) -> bool {
        let is_told = || {
            let folder = folder.to_string_lossy();
            self.environment.iter().any(|variable| variable.contains(&*folder))
        };
        self.folder.as_ref().is_some_and(|own| own.starts_with(folder)) || is_told()
    }
}

/// Strings that end with NUL bytes.
fn strings(path: &Path) -> Vec<String> {
    let bytes = fs::read(path).unwrap_or_default();
    let strings = bytes.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
    let mut strings: Vec<_> = strings.collect();
    // There is nothing after the last NUL.
    strings.pop();
    strings
}
