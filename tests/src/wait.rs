//! Waiting for conditions.

use std::fmt::Display;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// So long a condition may take. Far more than any needs: a busy machine shall not fail a test.
pub const DEADLINE: Duration = Duration::from_secs(90);

const PAUSE: Duration = Duration::from_millis(50);

/// Looks until there is something to return.
///
/// # Panics
/// With what `look` saw instead, when the deadline has passed.
#[track_caller]
pub fn eventually<T, W: Display>(what: &str, mut look: impl FnMut() -> Result<T, W>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if Instant::now() > deadline => {
                panic!("in vain for {} s: {what}. Seen last: {seen}", DEADLINE.as_secs())
            }
            Err(_) => sleep(PAUSE),
        }
    }
}
