//! Secrets: where their values are, and how they join a launch.
//!
//! The scheduler knows names only. The driver puts the values in when a launch is written out for Mesos, after
//! its records are durable, and nothing else ever holds them: no record, no event, no log line, no answer.

mod folder;
mod join;

pub use folder::{FolderError, FolderStore};
pub(crate) use join::join;

/// Where secrets are kept.
pub trait SecretStore: Send {
    /// The value of the secret that definitions call by this path (`secrets.NAME.source`), as it is now. Called on
    /// the driver's thread: a store that is far away keeps a copy at hand.
    ///
    /// # Errors
    /// There is no such secret, or it cannot be used.
    fn read(&self, path: &str) -> Result<Vec<u8>, SecretError>;
}

/// Why a secret cannot be had, for whoever looks at the pod that needs it: about the secret, not about the place
/// where secrets are kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// There is none.
    #[error("there is no such secret in the secret store")]
    Missing,
    /// It could not be one's path.
    #[error("its path is refused: {0}")]
    Path(&'static str),
    /// It is not to be trusted.
    #[error("it is refused: every user of the store's machine may write to it")]
    Exposed,
    /// It is too large.
    #[error("it has {size} bytes, expected {max} or less")]
    TooLarge {
        /// Its size.
        size: u64,
        /// The limit.
        max: u64,
    },
    /// It is there, but cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(std::io::ErrorKind),
    /// It is used where only text can be.
    #[error("it is no text without NUL bytes, which an environment variable must be")]
    NoText,
}
