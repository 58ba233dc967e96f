//! Persistent volumes: folders that outlive the executors that use them.
//!
//! ```text
//! <data folder>/
//!   volumes/<agent id>/<role>/<volume id>      made when it is used first, removed when it is destroyed
//!   agents/…/runs/<run>/<container path>       a link to it, in the sandbox of the executor that has it now
//! ```

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use podium_core::model::ids::AgentId;
use podium_core::model::mesos::Resource;
use podium_sim::cluster::VolumeId;

use crate::runtime::relative;

/// The volumes of all agents.
#[derive(Debug)]
pub(super) struct Volumes {
    folder: PathBuf,
}

impl Volumes {
    pub(super) fn new(data_dir: &Path) -> Self {
        Self { folder: data_dir.join("volumes") }
    }

    /// Puts the volumes among `resources` where the executor in `sandbox` finds them.
    ///
    /// # Errors
    /// A sentence for whoever launched it.
    pub(super) fn mount(
        &self,
        agent_id: &AgentId,
        resources: &[Resource],
        sandbox: &Path,
    ) -> Result<(), String> {
        for resource in resources {
            let Some(volume) = VolumeId::of(resource) else { continue };
            let path = resource.disk.as_ref().and_then(|disk| disk.container_path.as_deref());
            let target = sandbox.join(relative(path.unwrap_or_default())?);
            let folder = self.path(agent_id, &volume)?;
            make(&folder)
                .and_then(|()| link(&folder, &target))
                .map_err(|error| format!("cannot mount the persistent volume '{}': {error}", volume.id))?;
        }
        Ok(())
    }

    /// The volume was destroyed.
    pub(super) fn remove(&self, agent_id: &AgentId, volume: &VolumeId) {
        let Ok(folder) = self.path(agent_id, volume) else { return };
        match fs::remove_dir_all(&folder) {
            Ok(()) => {}
            // Nobody has used it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(volume = %folder.display(), %error, "a destroyed volume cannot be removed");
            }
        }
    }

    fn path(&self, agent_id: &AgentId, volume: &VolumeId) -> Result<PathBuf, String> {
        let mut path = self.folder.clone();
        for part in [agent_id.as_str(), volume.role.as_str(), &volume.id] {
            path.push(relative(part)?);
        }
        Ok(path)
    }
}

/// A folder that every container may write to, whatever user it runs as. What is there already stays as it is.
fn make(folder: &Path) -> io::Result<()> {
    if !folder.is_dir() {
        fs::create_dir_all(folder)?;
        fs::set_permissions(folder, Permissions::from_mode(0o777))?;
    }
    Ok(())
}

fn link(folder: &Path, target: &Path) -> io::Result<()> {
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    symlink(folder, target)
}

#[cfg(test)]
mod tests {
    use podium_core::model::ids::Role;
    use podium_core::model::mesos::{DiskInfo, Persistence, Reservation, ReservationType, ResourceKind};
    use podium_core::model::number::Scalar;

    use super::*;

    fn volume(id: &str, path: &str) -> Resource {
        let role = Role::from("dev/db");
        let reservation =
            Reservation { kind: ReservationType::Dynamic, role, principal: None, labels: Vec::new() };
        let disk = DiskInfo {
            persistence: Some(Persistence { id: id.to_owned(), principal: None }),
            container_path: Some(path.to_owned()),
            source: None,
        };
        Resource {
            reservations: [reservation].into(),
            disk: Some(Box::new(disk)),
            ..Resource::scalar(ResourceKind::Disk, Scalar::from_f64(1.0))
        }
    }

    #[test]
    fn what_one_executor_writes_the_next_one_finds_until_the_volume_is_destroyed() {
        let folder = tempfile::tempdir().unwrap();
        let volumes = Volumes::new(folder.path());
        let agent = AgentId::from("S0");
        let data = volume("db#data#1", "data");
        let sandbox = |name: &str| {
            let sandbox = folder.path().join(name);
            fs::create_dir(&sandbox).unwrap();
            volumes.mount(&agent, std::slice::from_ref(&data), &sandbox).unwrap();
            sandbox.join("data/file")
        };
        fs::write(sandbox("first"), "x").unwrap();
        let second = sandbox("second");
        assert_eq!(fs::read(&second).unwrap(), b"x");
        let other = AgentId::from("S1");
        volumes.remove(&other, &VolumeId::of(&data).unwrap());
        assert!(second.exists());
        volumes.remove(&agent, &VolumeId::of(&data).unwrap());
        assert!(!second.exists());
        assert!(!sandbox("third").exists());
    }

    #[test]
    fn no_volume_leads_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let volumes = Volumes::new(folder.path());
        for (id, path) in [("../x", "data"), ("x", "../data"), ("", "data"), ("x", "")] {
            let mounted = volumes.mount(&AgentId::from("S0"), &[volume(id, path)], folder.path());
            assert!(mounted.is_err(), "{id} {path}");
        }
    }
}
