//! A panic in a run is a violation like any other.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::oracle::Violation;

/// Whose violation a panic is.
const NAME: &str = "panic";

thread_local! {
    /// So many calls of [`caught`] this thread is in.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// What the last panic of this thread said that was caught.
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What `run` gives.
///
/// # Errors
/// It panics. What it says, and where, becomes a violation and is not also printed; panics elsewhere in the process are
/// printed as ever.
pub fn caught<T>(run: impl FnOnce() -> T) -> Result<T, Violation> {
    listen();
    DEPTH.set(DEPTH.get() + 1);
    let done = panic::catch_unwind(AssertUnwindSafe(run));
    DEPTH.set(DEPTH.get() - 1);
    done.map_err(|_| Violation::new(NAME, LAST.take()))
}

/// Only a hook is told where a panic comes from.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let earlier = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if DEPTH.get() == 0 {
                earlier(info);
            } else {
                LAST.set(info.to_string().replace('\n', " "));
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_violation_that_says_where() {
        let found = caught(|| panic!("there is no way")).unwrap_err();
        assert_eq!(found.oracle, "panic");
        let said = &found.sentence;
        assert!(said.starts_with("panicked at io-sim/src/panics.rs:"), "{said}");
        assert!(said.ends_with(": there is no way"), "{said}");
        assert_eq!(caught(|| 3), Ok(3));
    }
}
