//! The ports that agents give to containers.

use std::fs::File;

/// A right to use the agents' ports, as long as the value lives.
#[derive(Debug)]
pub struct Lease {
    _lock: File,
}

/// Waits for the right to use the ports that agents give to containers. Agents of different clusters know nothing of
/// each other and give out the same ones, so a test whose containers listen needs it.
///
/// # Panics
/// The lock cannot be had.
pub fn lease_agent_ports() -> Lease {
    let path = std::env::temp_dir().join("podium-tests-agent-ports.lock");
    let lock = File::options().create(true).truncate(false).write(true).open(path).unwrap();
    // Ends with the process at the latest, even if it is killed.
    lock.lock().unwrap();
    Lease { _lock: lock }
}
