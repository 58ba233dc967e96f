//! How many files the process may have open. A connection is one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// So many files are kept for other things than connections: the store, the embedded cluster's containers,
/// the connection to Mesos.
const OTHERS: u64 = 256;

/// Raises the limit of open files to what the system allows at most, as servers do, and says how many of
/// `wanted` connections there can be.
///
/// The usual limit of 1024 is for programs that use `select`, which cannot count further.
pub(super) fn make_room(wanted: usize) -> usize {
    let limit = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, hard)) if soft < hard => match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
            Ok(()) => hard,
            Err(_) => soft,
        },
        Ok((soft, _)) => soft,
        // No system that tells no limit is known; if there is one, the limit shows when it is reached.
        Err(_) => return wanted,
    };
    // Few are better than none.
    let room = limit.saturating_sub(OTHERS.min(limit / 2)).max(1);
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    if room < wanted {
        tracing::warn!(
            "the system allows this process {limit} open files, which is room for {room} connections instead \
             of {wanted} (--http_max_connections)"
        );
    }
    wanted.min(room)
}
