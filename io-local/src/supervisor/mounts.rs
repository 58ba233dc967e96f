//! Bind mounts in a mount namespace of the container's own.

use std::fs::{self, File};
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::BindMount;

/// Moves this process, and with it all that it will start, into a new mount namespace and mounts there.
///
/// A mount point that does not exist is made, in the namespace's file systems and so on the machine's: an empty
/// directory (or file) stays behind. A Mesos agent refuses such a container path.
///
/// # Errors
/// A sentence for people.
pub(super) fn establish(mounts: &[BindMount]) -> Result<(), String> {
    if mounts.is_empty() {
        return Ok(());
    }
    unshare(CloneFlags::CLONE_NEWNS).map_err(|error| format!("cannot make a mount namespace: {error}"))?;
    // Nothing that is mounted here may show outside; what is mounted outside later may show here.
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none)
        .map_err(|error| format!("cannot make the mounts private: {error}"))?;
    mounts.iter().try_for_each(bind)
}

fn bind(BindMount { source, target, read_only }: &BindMount) -> Result<(), String> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        format!("cannot mount '{}' at '{}': {what}: {error}", source.display(), target.display())
    };
    make_mount_point(source, target).map_err(|error| failed("making the mount point", &error))?;
    let none = None::<&str>;
    mount(Some(source), target, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)
        .map_err(|error| failed("bind mount", &error))?;
    if *read_only {
        // Only a second step can take the right to write away from a bind mount.
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(none, target, none, flags, none).map_err(|error| failed("making it read-only", &error))?;
    }
    Ok(())
}

fn make_mount_point(source: &Path, target: &Path) -> std::io::Result<()> {
    if target.exists() {
        return Ok(());
    }
    if fs::metadata(source)?.is_dir() {
        return fs::create_dir_all(target);
    }
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    File::create(target).map(drop)
}
