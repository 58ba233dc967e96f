//! How far it is: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::hunt::Limit;
use super::output::{self, Failure};
use super::summary::Summary;

/// So often a line is printed where there is no terminal.
const LINE: Duration = Duration::from_secs(10);

/// Shows how far it is.
pub(super) struct Progress {
    bar: ProgressBar,
    length: Length,
    began: Instant,
    last_line: Instant,
}

/// What the bar measures.
enum Length {
    Seeds,
    Time,
}

impl Progress {
    pub(super) fn new(limit: &Limit) -> Self {
        let (length, bar) = match limit {
            Limit::Seeds(seeds) => (Length::Seeds, seeds.end - seeds.start),
            Limit::Time { time, .. } => (Length::Time, u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        };
        let now = Instant::now();
        Self { bar: self::bar(bar, "{elapsed_precise} {wide_bar} {msg}"), length, began: now, last_line: now }
    }

    /// Shows what there is so far.
    pub(super) fn show(&mut self, summary: &Summary) {
        let position = match self.length {
            Length::Seeds => summary.seeds,
            Length::Time => u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        self.bar.set_position(position);
        self.bar.set_message(summary.live());
        if self.bar.is_hidden() && self.last_line.elapsed() >= LINE {
            self.last_line = Instant::now();
            output::complain(&summary.live());
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

/// A bar on a terminal, nothing elsewhere.
pub(super) fn bar(length: u64, template: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style)
}
