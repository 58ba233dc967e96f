//! The folder that holds a daemon's data, held by one daemon at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use super::StoreError;

/// The daemon's data folder, locked against other daemons for as long as this value lives.
///
/// ```text
/// podium-data/
///   lock           held by the running daemon, and names its process
///   podium.redb    the scheduler's durable state
///   cluster/       what the embedded cluster's containers write
/// ```
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Creates the folder if there is none, and takes it.
    ///
    /// # Errors
    /// It cannot be created or written to, or another daemon has it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let io = |action| move |source| StoreError::Io { action, path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(io("create the data folder"))?;
        let path = path.canonicalize().map_err(io("open the data folder"))?;
        let lock = lock(&path)?;
        Ok(Self { path, _lock: lock })
    }

    /// The folder's absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of [`EmbeddedStore`](super::EmbeddedStore).
    pub fn store_file(&self) -> PathBuf {
        self.path.join("podium.redb")
    }

    /// The folder of the embedded cluster.
    pub fn cluster_dir(&self) -> PathBuf {
        self.path.join("cluster")
    }
}

/// Locks the folder. The system gives the lock back when the process ends, however it ends.
fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join("lock");
    let refused =
        |source| StoreError::Io { action: "write to the data folder", path: folder.to_owned(), source };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(refused)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StoreError::InUse { path: folder.to_owned(), pid: holder(&mut file) });
        }
        Err(TryLockError::Error(error)) => return Err(refused(error)),
    }
    name_holder(&mut file).map_err(refused)?;
    Ok(file)
}

/// Notes this process in the lock file, for whoever finds it locked.
fn name_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/b");
        let first = DataDir::open(&folder).unwrap();
        let second = DataDir::open(&folder).unwrap_err();
        assert!(
            matches!(second, StoreError::InUse { pid: Some(pid), .. } if pid == std::process::id()),
            "{second}"
        );
        drop(first);
        DataDir::open(&folder).unwrap();
    }

    #[test]
    fn a_file_is_no_folder() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = DataDir::open(file.path()).unwrap_err();
        assert!(error.to_string().starts_with("cannot create the data folder /"), "{error}");
    }
}
