//! Volumes: how they get to the place where the container expects them.
//!
//! | container path | as root | otherwise |
//! |---|---|---|
//! | relative, writable | a symbolic link in the sandbox | the same |
//! | relative, read-only | a read-only bind mount | a symbolic link, and a note in `stderr` that it is writable |
//! | absolute | a bind mount in a mount namespace of the container's own | refused |

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use podium_core::model::mesos::{Secret, Volume, VolumeSource};

use super::LaunchError;
use crate::supervisor::BindMount;

/// Number of `CAP_SYS_ADMIN` in the kernel's capability sets.
const CAP_SYS_ADMIN: u32 = 21;

/// The sandboxes that volumes refer to.
pub(super) struct Places<'a> {
    pub(super) sandbox: &'a Path,
    pub(super) executor_sandbox: &'a Path,
}

/// What is left to do after [`prepare`].
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Prepared {
    /// For the supervisor.
    pub(super) mounts: Vec<BindMount>,
    /// For the container's `stderr`.
    pub(super) notes: Vec<String>,
}

/// Whether this process may make mount namespaces: root can, except inside most containers.
pub(super) fn can_mount() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| has_capability(&status, CAP_SYS_ADMIN))
}

fn has_capability(status: &str, number: u32) -> bool {
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .is_some_and(|set| set & (1 << number) != 0)
}

/// Makes the folders and links of a container's volumes.
pub(super) fn prepare(
    volumes: &[Volume],
    places: &Places<'_>,
    can_mount: bool,
) -> Result<Prepared, LaunchError> {
    let mut prepared = Prepared::default();
    for (index, volume) in volumes.iter().enumerate() {
        let Volume { container_path, read_only, .. } = volume;
        let problem = |problem: String| LaunchError::Volume { path: container_path.clone(), problem };
        let source = source(volume, index, places)?;
        if Path::new(container_path).is_absolute() {
            if !can_mount {
                return Err(problem(
                    "the embedded cluster can mount at an absolute path only when it runs as root with the right to \
                     mount (CAP_SYS_ADMIN). Use a path relative to the sandbox, run podium as root, or use a Mesos \
                     agent with the isolator filesystem/linux"
                        .to_owned(),
                ));
            }
            prepared.mounts.push(BindMount { source, target: container_path.into(), read_only: *read_only });
            continue;
        }
        let target = places.sandbox.join(relative(container_path).map_err(problem)?);
        if *read_only && can_mount {
            prepared.mounts.push(BindMount { source, target, read_only: true });
            continue;
        }
        if *read_only {
            prepared.notes.push(format!(
                "The volume at '{container_path}' is writable: only as root can the embedded cluster make it read-only"
            ));
        }
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(LaunchError::sandbox("making folder", parent))?;
        }
        symlink(&source, &target)
            .map_err(|error| problem(format!("cannot link to '{}': {error}", source.display())))?;
    }
    Ok(prepared)
}

/// The file or folder on this machine that the volume is made of.
fn source(volume: &Volume, index: usize, places: &Places<'_>) -> Result<PathBuf, LaunchError> {
    let problem = |problem: String| LaunchError::Volume { path: volume.container_path.clone(), problem };
    match &volume.source {
        VolumeSource::HostPath(path) if Path::new(path).is_absolute() => match fs::metadata(path) {
            Ok(_) => Ok(path.into()),
            Err(error) => Err(problem(format!("host path '{path}': {error}"))),
        },
        // Pods page, "Basic pod fields": "or else the relative path of the directory in the executor's sandbox".
        VolumeSource::HostPath(path) | VolumeSource::SandboxParent(path) => {
            shared_folder(&places.executor_sandbox.join(relative(path).map_err(problem)?))
        }
        VolumeSource::SandboxSelf(path) => {
            shared_folder(&places.sandbox.join(relative(path).map_err(problem)?))
        }
        VolumeSource::Secret(Secret::Reference { name, .. }) => Err(LaunchError::SecretReference {
            name: name.clone(),
            place: format!("the volume at '{}'", volume.container_path),
        }),
        VolumeSource::Secret(Secret::Value(bytes)) => {
            let folder = places.sandbox.join(".secrets");
            fs::create_dir_all(&folder).map_err(LaunchError::sandbox("making folder", &folder))?;
            let file = folder.join(index.to_string());
            fs::write(&file, bytes)
                .and_then(|()| fs::set_permissions(&file, Permissions::from_mode(0o400)))
                .map_err(LaunchError::sandbox("writing file", &file))?;
            Ok(file)
        }
    }
}

/// A folder that every member of the group may write to, whatever user it runs as.
fn shared_folder(path: &Path) -> Result<PathBuf, LaunchError> {
    if !path.is_dir() {
        fs::create_dir_all(path)
            .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o777)))
            .map_err(LaunchError::sandbox("making folder", path))?;
    }
    Ok(path.to_owned())
}

/// The path without `.`; an error if it is empty or could lead out of the folder it is relative to.
pub(crate) fn relative(path: &str) -> Result<PathBuf, String> {
    let mut clean = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::CurDir => {}
            Component::Normal(name) => clean.push(name),
            Component::ParentDir | Component::Prefix(_) | Component::RootDir => {
                return Err(format!("path '{path}' must be relative and must not contain '..'"));
            }
        }
    }
    if clean.as_os_str().is_empty() { Err(format!("path '{path}' names no file")) } else { Ok(clean) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(container_path: &str, source: VolumeSource, read_only: bool) -> Volume {
        Volume { container_path: container_path.to_owned(), read_only, source }
    }

    fn shared(container_path: &str) -> Volume {
        volume(container_path, VolumeSource::SandboxParent("volumes/v".to_owned()), false)
    }

    /// An executor's sandbox with one member's below it.
    fn places(folder: &tempfile::TempDir) -> (PathBuf, PathBuf) {
        let sandbox = folder.path().join("containers/c");
        fs::create_dir_all(&sandbox).unwrap();
        (sandbox, folder.path().to_owned())
    }

    fn prepare_in(
        folder: &tempfile::TempDir,
        volumes: &[Volume],
        can_mount: bool,
    ) -> Result<Prepared, String> {
        let (sandbox, executor_sandbox) = places(folder);
        let places = Places { sandbox: &sandbox, executor_sandbox: &executor_sandbox };
        prepare(volumes, &places, can_mount).map_err(|error| error.to_string())
    }

    #[test]
    fn a_relative_path_becomes_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let prepared = prepare_in(&folder, &[shared("a/b"), shared("./c/")], true).unwrap();
        assert_eq!(prepared, Prepared::default());
        fs::write(folder.path().join("containers/c/a/b/file"), "x").unwrap();
        assert_eq!(fs::read(folder.path().join("containers/c/c/file")).unwrap(), b"x");
        assert_eq!(fs::read(folder.path().join("volumes/v/file")).unwrap(), b"x");
    }

    #[test]
    fn an_absolute_path_needs_a_mount() {
        let folder = tempfile::tempdir().unwrap();
        let mount =
            BindMount { source: folder.path().join("volumes/v"), target: "/mnt/v".into(), read_only: false };
        assert_eq!(
            prepare_in(&folder, &[shared("/mnt/v")], true).unwrap(),
            Prepared { mounts: vec![mount], notes: Vec::new() }
        );
        let error = prepare_in(&folder, &[shared("/mnt/v")], false).unwrap_err();
        assert!(
            error.starts_with("Volume at '/mnt/v': the embedded cluster can mount at an absolute path only")
        );
    }

    #[test]
    fn read_only_is_kept_or_confessed() {
        let folder = tempfile::tempdir().unwrap();
        let etc = volume("etc", VolumeSource::HostPath("/etc".to_owned()), true);
        let prepared = prepare_in(&folder, std::slice::from_ref(&etc), true).unwrap();
        let target = folder.path().join("containers/c/etc");
        assert_eq!(
            prepared.mounts,
            [BindMount { source: "/etc".into(), target: target.clone(), read_only: true }]
        );
        let prepared = prepare_in(&folder, &[etc], false).unwrap();
        assert_eq!(fs::read_link(target).unwrap(), Path::new("/etc"));
        assert_eq!(
            prepared.notes,
            ["The volume at 'etc' is writable: only as root can the embedded cluster make it read-only"]
        );
    }

    #[test]
    fn bad_paths_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let cases = [
            (shared("../x"), "Volume at '../x': path '../x' must be relative and must not contain '..'"),
            (shared("."), "Volume at '.': path '.' names no file"),
            (
                volume("x", VolumeSource::SandboxParent("volumes/../../y".to_owned()), false),
                "Volume at 'x': path 'volumes/../../y' must be relative and must not contain '..'",
            ),
            (
                volume("x", VolumeSource::HostPath("/no/such".to_owned()), false),
                "Volume at 'x': host path '/no/such': No such file or directory (os error 2)",
            ),
            (
                volume(
                    "x",
                    VolumeSource::Secret(Secret::Reference { name: "s".to_owned(), key: None }),
                    true,
                ),
                "Secret 's' of the volume at 'x': the embedded cluster has no secret resolver. A Mesos agent with a \
                 secret resolver module can look secrets up",
            ),
        ];
        for (volume, expected) in cases {
            assert_eq!(prepare_in(&folder, &[volume], false), Err(expected.to_owned()));
        }
    }

    #[test]
    fn a_secret_becomes_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let secret = volume("key", VolumeSource::Secret(Secret::Value(b"s3".to_vec())), false);
        prepare_in(&folder, &[secret], false).unwrap();
        assert_eq!(fs::read(folder.path().join("containers/c/key")).unwrap(), b"s3");
    }

    #[test]
    fn reads_the_kernel_s_capability_sets() {
        assert!(has_capability("CapPrm:\t0\nCapEff:\t000001ffffffffff\n", CAP_SYS_ADMIN));
        assert!(!has_capability("CapEff:\t00000000a80425fb\n", CAP_SYS_ADMIN));
        assert!(!has_capability("", CAP_SYS_ADMIN));
    }
}
