//! Where the scheduler's durable state is kept.
//!
//! A store knows nothing of pods: it keeps the newest [`Entry`] of each [`Key`], takes changes in batches of
//! which all or none survive a crash, and hands everything back at the next start.

mod data_dir;
mod embedded;

use std::io;
use std::path::PathBuf;

use podium_core::record::{Entry, Key, Record};

pub use data_dir::DataDir;
pub use embedded::EmbeddedStore;

/// Keeps the scheduler's durable state. Calls block until the answer is known.
pub trait Store: Send {
    /// Everything that is kept, in no particular order.
    ///
    /// # Errors
    /// The data cannot be read, or not understood.
    fn load(&mut self) -> Result<Vec<Entry>, StoreError>;

    /// Makes `records` durable: when it returns, all of them survive a crash of the process and of the machine.
    ///
    /// # Errors
    /// Whether the records survive is unknown. The caller must not act on them and must not use the store any
    /// more, except to load from it after a restart.
    fn commit(&mut self, records: &[Record]) -> Result<(), StoreError>;
}

/// What goes wrong with stored data. Every text can stand alone as the last line of a daemon that gives up.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file is damaged, or was not written by Podium.
    #[error("{} is damaged or not Podium's: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody else uses the folder.
    #[error("the data folder {} is in use by another podium{}; stop it or give another --data_dir",
        path.display(), pid.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    InUse {
        /// The folder.
        path: PathBuf,
        /// By whom.
        pid: Option<u32>,
    },
    /// The machine refuses.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// The machine's words.
        source: io::Error,
    },
    /// The data was written by a newer Podium.
    #[error("the data in {} has format {found}, written by a newer podium; this one understands formats up to \
        {supported}: use the newer podium, or give another --data_dir", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The newest format that is understood.
        supported: u64,
    },
    /// A record makes no sense.
    #[error("the record '{key}' in {} cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The record.
        key: String,
        /// Why.
        reason: String,
    },
    /// A record could not be made durable.
    #[error("cannot write to {}: {reason}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// The key that `record` is about.
fn key_of(record: &Record) -> Key {
    match record {
        Record::Delete(key) => key.clone(),
        Record::Put(entry) => entry.key(),
    }
}
