//! How far it is: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::output::{self, Failure};

/// So often a line is printed where there is no terminal.
const LINE: Duration = Duration::from_secs(10);
/// So often words change on a terminal.
const FRAME: Duration = Duration::from_millis(100);

/// Shows how far it is.
pub(super) struct Progress {
    bar: ProgressBar,
    last_told: Instant,
}

impl Progress {
    /// Shows the way to `length`, if anybody knows how long it is.
    pub(super) fn new(length: Option<u64>) -> Self {
        Self { bar: bar(length), last_told: Instant::now() }
    }

    /// Shows what there is so far. It may be told more often than anybody can look.
    pub(super) fn show(&mut self, position: u64, words: impl FnOnce() -> String) {
        self.bar.set_position(position);
        self.tell(words);
    }

    /// The same, at the same position.
    pub(super) fn tell(&mut self, words: impl FnOnce() -> String) {
        let interval = if self.bar.is_hidden() { LINE } else { FRAME };
        if self.last_told.elapsed() < interval {
            return;
        }
        self.last_told = Instant::now();
        if self.bar.is_hidden() {
            output::complain(&words());
        } else {
            self.bar.set_message(words());
        }
    }

    /// Prints on standard output, without getting in the way of the bar.
    pub(super) fn print(&self, text: &str) -> Result<(), Failure> {
        self.bar.suspend(|| output::print(text))
    }

    /// Prints on standard error.
    pub(super) fn complain(&self, text: &str) {
        self.bar.suspend(|| output::complain(text));
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// A bar on a terminal, with the words below it so that there is room for both; nothing elsewhere.
fn bar(length: Option<u64>) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match length {
        Some(length) => (ProgressBar::new(length), "{elapsed_precise} {wide_bar}\n{wide_msg}"),
        None => (ProgressBar::new_spinner(), "{elapsed_precise} {wide_msg}"),
    };
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}
