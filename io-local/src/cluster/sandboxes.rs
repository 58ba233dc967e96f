//! Where executors' files are, and how long they are kept.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use podium_sim::cluster::ExecutorLaunch;

/// How many sandboxes of executors that have ended are kept to be looked at: as many as a Mesos agent remembers
/// (`--max_completed_executors_per_framework`).
const KEPT: usize = 150;

/// The sandboxes below the data folder, in the layout of a Mesos agent's work directory.
#[derive(Debug)]
pub(super) struct Sandboxes {
    data_dir: PathBuf,
    /// Of executors that have ended, the oldest first.
    ended: VecDeque<PathBuf>,
}

impl Sandboxes {
    /// Whatever is in the folder is from earlier clusters, whose executors have all ended.
    pub(super) fn new(data_dir: PathBuf) -> Self {
        let mut found = Vec::new();
        // agents/<id>/frameworks/<id>/executors/<id>/runs/<id>
        collect(&data_dir.join("agents"), 7, &mut found);
        found.sort();
        let ended = found.into_iter().map(|(_, folder)| folder).collect();
        let mut sandboxes = Self { data_dir, ended };
        sandboxes.trim();
        sandboxes
    }

    /// The place for an executor's sandbox.
    pub(super) fn path(&self, launch: &ExecutorLaunch) -> PathBuf {
        let mut path = self.data_dir.clone();
        for part in [
            "agents",
            launch.agent_id.as_str(),
            "frameworks",
            launch.framework_id.as_str(),
            "executors",
            launch.executor.executor_id.as_str(),
            "runs",
            launch.container.as_str(),
        ] {
            path.push(part);
        }
        path
    }

    /// The executor has ended. Its sandbox stays until many others have, too.
    pub(super) fn ended(&mut self, sandbox: PathBuf) {
        self.ended.push_back(sandbox);
        self.trim();
    }

    fn trim(&mut self) {
        let excess = self.ended.len().saturating_sub(KEPT);
        let old: Vec<_> = self.ended.drain(..excess).collect();
        if !old.is_empty() {
            // Artifacts may make it long.
            tokio::task::spawn_blocking(move || old.iter().for_each(|sandbox| remove(sandbox)));
        }
    }
}

/// The folders `depth` levels below `folder`, with the time of their last change.
fn collect(folder: &Path, depth: u32, found: &mut Vec<(SystemTime, PathBuf)>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        if depth > 1 {
            collect(&entry.path(), depth - 1, found);
        } else if let Ok(changed) = entry.metadata().and_then(|metadata| metadata.modified()) {
            found.push((changed, entry.path()));
        }
    }
}

/// Removes a sandbox, and `runs` and the executor's folder above it if nothing else is in them.
fn remove(sandbox: &Path) {
    if let Err(error) = fs::remove_dir_all(sandbox) {
        tracing::warn!(sandbox = %sandbox.display(), %error, "an old sandbox cannot be removed");
    }
    for folder in sandbox.ancestors().skip(1).take(2) {
        if fs::remove_dir(folder).is_err() {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn old_sandboxes_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let executors = folder.path().join("agents/a/frameworks/f/executors");
        let run = |number: usize| executors.join(format!("e{number}/runs/r"));
        fs::create_dir_all(run(0)).unwrap();
        let mut sandboxes = Sandboxes::new(folder.path().to_owned());
        assert_eq!(sandboxes.ended, [run(0)]);
        for number in 1..=KEPT {
            fs::create_dir_all(run(number).join("containers/c")).unwrap();
            sandboxes.ended(run(number));
        }
        while executors.join("e0").exists() {
            tokio::task::yield_now().await;
        }
        assert!(run(1).exists());
        assert_eq!(sandboxes.ended.len(), KEPT);
    }
}
