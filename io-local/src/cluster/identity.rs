//! What agents keep across lives of the cluster: their ids, and what was made of their resources.
//!
//! A cluster that starts again is like machines that were switched off and on: the agents are the same, with their
//! reservations and volumes, and their tasks are gone. A scheduler that comes back can then be told so, instead of hearing of agents that nobody knows.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use podium_core::model::ids::AgentId;
use podium_core::model::mesos::{ReservationType, Resource};
use podium_sim::cluster::{AgentConfig, Cluster};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Keeps it in two files, a list by the machines' numbers each.
#[derive(Debug)]
pub(super) struct Identity {
    /// The ids; nothing for one that is not registered.
    ids: Kept<Option<AgentId>>,
    /// Reservations and volumes.
    resources: Kept<Vec<Resource>>,
}

/// A list in a file.
#[derive(Debug)]
struct Kept<T> {
    file: PathBuf,
    items: Vec<T>,
}

impl Identity {
    /// Reads what an earlier life left in `data_dir`, if there was one, and gives it back to `agents`.
    ///
    /// # Errors
    /// A file cannot be read, or is not one of ours.
    pub(super) fn recall(data_dir: &Path, agents: &mut [AgentConfig]) -> io::Result<Self> {
        let ids = Kept::<Option<AgentId>>::read(data_dir.join("agents.json"), agents.len())?;
        let resources = Kept::<Vec<Resource>>::read(data_dir.join("resources.json"), agents.len())?;
        for ((agent, id), resources) in agents.iter_mut().zip(&ids.items).zip(&resources.items) {
            agent.agent_id.clone_from(id);
            agent.converted.clone_from(resources);
        }
        Ok(Self { ids, resources })
    }

    /// Writes down what is new.
    pub(super) fn keep(&mut self, cluster: &Cluster) {
        let mut ids_changed = false;
        let mut resources_changed = false;
        let known = self.ids.items.iter_mut().zip(&mut self.resources.items);
        for ((id, resources), view) in known.zip(cluster.agents()) {
            if let Some(new) = view.agent_id.filter(|new| id.as_ref() != Some(*new)) {
                *id = Some(new.clone());
                ids_changed = true;
            }
            let converted = || view.total.iter().filter(|resource| is_converted(resource));
            if !converted().eq(&*resources) {
                *resources = converted().cloned().collect();
                resources_changed = true;
            }
        }
        let ids = ids_changed.then(|| self.ids.write());
        let resources = resources_changed.then(|| self.resources.write());
        for error in [ids, resources].into_iter().flatten().filter_map(Result::err) {
            tracing::warn!(%error, "what agents have cannot be kept; they will be new after a restart");
        }
    }
}

fn is_converted(resource: &Resource) -> bool {
    resource.reservations.iter().any(|reservation| reservation.kind == ReservationType::Dynamic)
}

impl<T: Clone + Default + Serialize + DeserializeOwned> Kept<T> {
    fn read(file: PathBuf, count: usize) -> io::Result<Self> {
        let mut items: Vec<T> = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| io::Error::other(format!("'{}' is damaged: {error}", file.display())))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        items.resize(count, T::default());
        Ok(Self { file, items })
    }

    /// All or nothing.
    fn write(&self) -> io::Result<()> {
        let new = self.file.with_extension("new");
        fs::write(&new, serde_json::to_vec(&self.items)?)?;
        fs::rename(new, &self.file)
    }
}

#[cfg(test)]
mod tests {
    use podium_core::model::ids::Role;
    use podium_core::model::mesos::{Reservation, ResourceKind};
    use podium_core::model::number::Scalar;

    use super::*;

    #[test]
    fn what_agents_have_is_recalled_by_number() {
        let folder = tempfile::tempdir().unwrap();
        let mut agents = vec![AgentConfig::new("a", 1.0, 1.0, 1.0); 2];
        let mut identity = Identity::recall(folder.path(), &mut agents).unwrap();
        assert_eq!(agents[0].agent_id, None);
        let reserved = Resource {
            reservations: [Reservation {
                kind: ReservationType::Dynamic,
                role: Role::from("dev"),
                principal: None,
                labels: Vec::new(),
            }]
            .into(),
            ..Resource::scalar(ResourceKind::Cpus, Scalar::from_f64(0.5))
        };
        identity.ids.items = vec![Some("x".into()), None];
        identity.ids.write().unwrap();
        identity.resources.items = vec![vec![reserved.clone()], Vec::new()];
        identity.resources.write().unwrap();
        let mut agents = vec![AgentConfig::new("a", 1.0, 1.0, 1.0); 3];
        Identity::recall(folder.path(), &mut agents).unwrap();
        let recalled: Vec<_> = agents.into_iter().map(|agent| (agent.agent_id, agent.converted)).collect();
        assert_eq!(recalled, [(Some("x".into()), vec![reserved]), (None, vec![]), (None, vec![])]);
    }

    #[test]
    fn a_damaged_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("agents.json"), "{").unwrap();
        let error = Identity::recall(folder.path(), &mut []).unwrap_err();
        assert!(error.to_string().contains("agents.json' is damaged"), "{error}");
    }
}
