//! One run and its verdict, whatever happens in it.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use podium_core::Scheduler;
use podium_sim::oracle::Violation;
use podium_sim::plan::Plan;
use podium_sim::run::{Report, run, run_traced};
use podium_sim::twins;

/// The oracle that two runs of a plan are equal.
pub(super) const DETERMINISM: &str = "determinism";

/// How to run a plan.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct How {
    /// Write down what happens.
    pub(super) traced: bool,
    /// Run it twice and compare.
    pub(super) checked: bool,
}

/// Whoever runs a plan and says what came of it.
pub(super) type Judge = fn(&Plan, How) -> Report;

/// Runs `plan`. A panic is a violation like any other.
pub(super) fn judge(plan: &Plan, how: How) -> Report {
    keep_panics_quiet();
    let verdict = panic::catch_unwind(AssertUnwindSafe(|| {
        if how.checked
            && let Err(difference) = twins::compare::<Scheduler>(plan)
        {
            let violation = Violation::new(DETERMINISM, difference.to_string());
            return Report { violation: Some(violation), ..Report::default() };
        }
        if how.traced { run_traced(plan) } else { run(plan) }
    }));
    verdict.unwrap_or_else(|_| {
        let said = LAST_PANIC.with_borrow_mut(std::mem::take);
        Report { violation: Some(Violation::new("panic", said)), ..Report::default() }
    })
}

thread_local! {
    /// What the last panic of this thread said.
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Panics of runs become violations: they are not also printed.
fn keep_panics_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        panic::set_hook(Box::new(|info| {
            LAST_PANIC.with_borrow_mut(|said| *said = info.to_string().replace('\n', " "));
        }));
    });
}
