//! The agents' ids, kept across lives of the cluster.
//!
//! A cluster that starts again is like machines that were switched off and on: the agents are the same, their tasks
//! are gone. A scheduler that comes back can then be told so, instead of hearing of agents that nobody knows.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use podium_core::model::ids::AgentId;
use podium_sim::cluster::{AgentConfig, Cluster};

/// Keeps the agents' ids in a file.
#[derive(Debug)]
pub(super) struct Identity {
    file: PathBuf,
    /// By the machines' numbers; nothing for one that is not registered.
    ids: Vec<Option<AgentId>>,
}

impl Identity {
    /// Reads the file that an earlier life left in `data_dir`, if there is one, and gives `agents` their ids.
    ///
    /// # Errors
    /// The file cannot be read, or is not one of ours.
    pub(super) fn recall(data_dir: &Path, agents: &mut [AgentConfig]) -> io::Result<Self> {
        let file = data_dir.join("agents.json");
        let mut ids: Vec<Option<AgentId>> = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| io::Error::other(format!("'{}' is damaged: {error}", file.display())))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        ids.resize(agents.len(), None);
        for (agent, id) in agents.iter_mut().zip(&ids) {
            agent.agent_id.clone_from(id);
        }
        Ok(Self { file, ids })
    }

    /// Writes the file if an agent has got an id.
    pub(super) fn keep(&mut self, cluster: &Cluster) {
        let mut changed = false;
        for (known, view) in self.ids.iter_mut().zip(cluster.agents()) {
            if let Some(id) = view.agent_id.filter(|id| known.as_ref() != Some(*id)) {
                *known = Some(id.clone());
                changed = true;
            }
        }
        if changed && let Err(error) = self.write() {
            let file = self.file.display();
            tracing::warn!(%file, %error, "the agents' ids cannot be kept; they will be new after a restart");
        }
    }

    /// All or nothing.
    fn write(&self) -> io::Result<()> {
        let new = self.file.with_extension("new");
        fs::write(&new, serde_json::to_vec(&self.ids)?)?;
        fs::rename(new, &self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_recalled_by_number() {
        let folder = tempfile::tempdir().unwrap();
        let mut agents = vec![AgentConfig::new("a", 1.0, 1.0, 1.0); 2];
        let mut identity = Identity::recall(folder.path(), &mut agents).unwrap();
        assert_eq!(agents[0].agent_id, None);
        identity.ids = vec![Some("x".into()), None];
        identity.write().unwrap();
        let mut agents = vec![AgentConfig::new("a", 1.0, 1.0, 1.0); 3];
        Identity::recall(folder.path(), &mut agents).unwrap();
        let ids: Vec<_> = agents.into_iter().map(|agent| agent.agent_id).collect();
        assert_eq!(ids, [Some("x".into()), None, None]);
    }

    #[test]
    fn a_damaged_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("agents.json"), "{").unwrap();
        let error = Identity::recall(folder.path(), &mut []).unwrap_err();
        assert!(error.to_string().contains("agents.json' is damaged"), "{error}");
    }
}
