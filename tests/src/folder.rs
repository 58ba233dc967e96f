//! Temporary folders.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::process::{self, Process};
use crate::wait::eventually;

/// A folder for one program and everything it starts, removed at the end.
#[derive(Debug)]
pub struct Folder {
    folder: TempDir,
}

impl Folder {
    /// A new one, which every user of the machine may enter: containers may run as another one.
    ///
    /// # Panics
    /// There is no place for it.
    #[expect(clippy::new_without_default, reason = "it does more than a default should")]
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("podium-test-").tempdir().unwrap();
        set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    /// Where it is, without symbolic links.
    ///
    /// # Panics
    /// It is gone.
    pub fn path(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    /// The processes that were started in it, or by a process that was.
    pub fn processes(&self) -> Vec<Process> {
        let path = self.path();
        process::find(|process| process.belongs_to(&path))
    }

    /// Waits until it has no processes.
    ///
    /// # Panics
    /// Some are left after all.
    pub fn wait_until_deserted(&self) {
        eventually("no process is left", || {
            let left = self.processes();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:#?}")) }
        });
    }

    /// The sandbox of the container with this task id, wherever below this folder an agent has made it.
    ///
    /// # Panics
    /// There is none.
    pub fn sandbox(&self, task_id: &str) -> PathBuf {
        // An agent's work directory: agents/*/frameworks/*/executors/*/runs/*/tasks/<task id>
        let sandbox = find_below(self.folder.path(), task_id);
        sandbox.unwrap_or_else(|| panic!("there is no sandbox of {task_id} below {}", self.path().display()))
    }
}

fn find_below(folder: &Path, task_id: &str) -> Option<PathBuf> {
    let candidate = folder.join("tasks").join(task_id);
    if candidate.exists() {
        return Some(candidate);
    }
    let entries = folder.read_dir().ok()?.flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path()).find_map(|folder| find_below(&folder, task_id))
}
