//! Secrets as files in a folder: `/db/password` is the file `db/password` in it, to the last byte.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use super::{SecretError, SecretStore};

/// The largest secret. Mesos carries them in its messages.
const MAX_SIZE: u64 = 1 << 20;

/// What others than owner and group may do, as mode bits.
const OTHERS_WRITE: u32 = 0o002;
const OTHERS_ENTER: u32 = 0o001;

/// A folder with secrets.
#[derive(Clone, Debug)]
pub struct FolderStore {
    /// Its path without symbolic links.
    folder: PathBuf,
}

/// A folder that secrets cannot be read from.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It is not there, or not for us.
    #[error("cannot open the folder {}: {source}", path.display())]
    Open {
        /// The folder.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// It is something else.
    #[error("{} is not a folder", path.display())]
    NoFolder {
        /// The file.
        path: PathBuf,
    },
    /// Anybody could change the secrets.
    #[error("every user of this machine may write to the folder {}: chmod 700 makes it safe", path.display())]
    Exposed {
        /// The folder.
        path: PathBuf,
    },
}

impl FolderStore {
    /// The secrets in the folder `path`. Warns in the log when every user of this machine may look into it.
    ///
    /// # Errors
    /// It cannot be used or is not safe.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let error = |source| FolderError::Open { path: path.to_owned(), source };
        let folder = path.canonicalize().map_err(error)?;
        let metadata = fs::metadata(&folder).map_err(error)?;
        if !metadata.is_dir() {
            return Err(FolderError::NoFolder { path: folder });
        }
        if others_may(&metadata, OTHERS_WRITE) {
            return Err(FolderError::Exposed { path: folder });
        }
        if others_may(&metadata, OTHERS_ENTER) {
            let folder = folder.display();
            tracing::warn!("every user of this machine may look into the folder of secrets {folder}");
        }
        Ok(Self { folder })
    }

    /// The file of the secret `path`, which is in the folder even if symbolic links lead to it.
    fn file(&self, path: &str) -> Result<PathBuf, SecretError> {
        let file = self.folder.join(relative(path)?).canonicalize().map_err(|error| read_error(&error))?;
        if !file.starts_with(&self.folder) {
            return Err(SecretError::Path("it leads out of the secret store"));
        }
        Ok(file)
    }
}

impl SecretStore for FolderStore {
    fn read(&self, path: &str) -> Result<Vec<u8>, SecretError> {
        let path = self.file(path)?;
        // Looked at before it is opened: opening a pipe would wait for its other end.
        if !fs::metadata(&path).map_err(|error| read_error(&error))?.is_file() {
            return Err(SecretError::Missing);
        }
        let file = File::open(path).map_err(|error| read_error(&error))?;
        let metadata = file.metadata().map_err(|error| read_error(&error))?;
        if others_may(&metadata, OTHERS_WRITE) {
            return Err(SecretError::Exposed);
        }
        let mut bytes = Vec::new();
        file.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(|error| read_error(&error))?;
        if bytes.len() as u64 > MAX_SIZE {
            return Err(SecretError::TooLarge { size: metadata.len(), max: MAX_SIZE });
        }
        Ok(bytes)
    }
}

/// `path` below the folder.
fn relative(path: &str) -> Result<&Path, SecretError> {
    if path.contains('\0') {
        return Err(SecretError::Path("it contains a NUL"));
    }
    let relative = Path::new(path.trim_start_matches('/'));
    if !relative.components().all(|component| matches!(component, Component::Normal(_))) {
        return Err(SecretError::Path("it contains '.' or '..'"));
    }
    if relative.as_os_str().is_empty() { Err(SecretError::Path("it names no secret")) } else { Ok(relative) }
}

fn others_may(metadata: &Metadata, bits: u32) -> bool {
    metadata.permissions().mode() & bits != 0
}

fn read_error(error: &io::Error) -> SecretError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => SecretError::Missing,
        kind => SecretError::Unreadable(kind),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::symlink;

    use super::*;

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    /// A folder with the secret `/db/password` beside a file that is none of them.
    fn folder() -> (tempfile::TempDir, FolderStore) {
        let parent = tempfile::tempdir().unwrap();
        let secrets = parent.path().join("secrets");
        fs::create_dir_all(secrets.join("db")).unwrap();
        chmod(&secrets, 0o700);
        fs::write(secrets.join("db/password"), b"s3cr\xffet\n").unwrap();
        fs::write(parent.path().join("outside"), "x").unwrap();
        let store = FolderStore::open(&secrets).unwrap();
        (parent, store)
    }

    #[test]
    fn a_secret_is_the_file_of_its_path_to_the_last_byte() {
        let (_parent, store) = folder();
        for path in ["/db/password", "db/password", "//db//password"] {
            assert_eq!(store.read(path).as_deref(), Ok(&b"s3cr\xffet\n"[..]), "{path}");
        }
        for path in ["/db/none", "/db/password/deeper", "/db"] {
            assert_eq!(store.read(path), Err(SecretError::Missing), "{path}");
        }
    }

    #[test]
    fn no_path_leads_out_of_the_folder() {
        let (parent, store) = folder();
        let secrets = parent.path().join("secrets");
        symlink("../outside", secrets.join("link")).unwrap();
        symlink(parent.path(), secrets.join("up")).unwrap();
        symlink("db/password", secrets.join("alias")).unwrap();
        assert_eq!(store.read("/alias").as_deref(), Ok(&b"s3cr\xffet\n"[..]));
        let out = Err(SecretError::Path("it leads out of the secret store"));
        for path in ["/link", "/up/outside"] {
            assert_eq!(store.read(path), out, "{path}");
        }
        let dots = Err(SecretError::Path("it contains '.' or '..'"));
        for path in ["/../outside", "..", "/db/../../outside", "./db/password"] {
            assert_eq!(store.read(path), dots, "{path}");
        }
        for path in ["", "/", "a\0b"] {
            assert!(matches!(store.read(path), Err(SecretError::Path(_))), "{path:?}");
        }
    }

    #[test]
    fn what_is_too_large_or_open_to_all_is_refused() {
        let (parent, store) = folder();
        let secrets = parent.path().join("secrets");
        fs::write(secrets.join("max"), vec![b'x'; 1 << 20]).unwrap();
        fs::write(secrets.join("more"), vec![b'x'; (1 << 20) + 1]).unwrap();
        assert_eq!(store.read("/max").map(|bytes| bytes.len()), Ok(1 << 20));
        assert_eq!(store.read("/more"), Err(SecretError::TooLarge { size: (1 << 20) + 1, max: 1 << 20 }));
        chmod(&secrets.join("max"), 0o646);
        assert_eq!(store.read("/max"), Err(SecretError::Exposed));
        nix::unistd::mkfifo(&secrets.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(store.read("/pipe"), Err(SecretError::Missing));
    }

    #[test]
    fn a_folder_that_is_none_or_not_safe_is_refused() {
        let (parent, _) = folder();
        let secrets = parent.path().join("secrets");
        chmod(&secrets, 0o707);
        assert!(matches!(FolderStore::open(&secrets), Err(FolderError::Exposed { .. })));
        chmod(&secrets, 0o755);
        FolderStore::open(&secrets).unwrap();
        assert!(matches!(
            FolderStore::open(&parent.path().join("outside")),
            Err(FolderError::NoFolder { .. })
        ));
        assert!(matches!(FolderStore::open(&parent.path().join("none")), Err(FolderError::Open { .. })));
    }
}
