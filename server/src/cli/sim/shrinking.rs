//! `podium sim shrink`, and the small plan that comes with every failure.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use podium_sim::oracle::Violation;
use podium_sim::plan::Plan;
use podium_sim::shrink::{Shrunk, shrink};

use super::files;
use super::interrupt;
use super::judge::{How, Judge, judge};
use super::output::{self, Failure};
use super::progress::Progress;

/// So many runs are worth a small plan.
const MOST_RUNS: u32 = 2000;

/// Makes `plan` small. `watch` is told of each run how far it is, in words, and ends it when it breaks.
pub(super) fn shrink_plan(
    plan: &Plan,
    violation: &Violation,
    judge: Judge,
    mut watch: impl FnMut(u32, &str) -> ControlFlow<()>,
) -> Shrunk {
    let judge = |plan: &Plan| judge(plan, How::default()).violation;
    let mut shrunk = shrink(plan, violation, MOST_RUNS, judge, |so_far| {
        let (runs, events) = (so_far.runs, so_far.events);
        watch(runs, &format!("{runs} of {MOST_RUNS} runs to make a plan smaller, {events} events so far"))
    });
    let origin = if plan.about.is_empty() { "a plan" } else { plan.about.as_str() };
    shrunk.plan.about = format!("Showed: {}. Shrunk from {origin}.", shrunk.violation);
    shrunk
}

/// Shrinks `plan` and keeps what is left in `folder`, also if `stop` is set before it is done. An error if it violates
/// nothing.
pub(super) fn execute(
    plan: &Plan,
    folder: &Path,
    name: Option<String>,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let report = judge(plan, How::default());
    let violation = report
        .violation
        .ok_or_else(|| "the plan violates nothing: there is nothing to shrink it for".to_owned())?;
    let mut progress = Progress::new(Some(u64::from(MOST_RUNS)));
    progress.complain(&format!("to be shown by a smaller plan: {violation}"));
    let shrunk = shrink_plan(plan, &violation, judge, |runs, words| {
        progress.show(u64::from(runs), || words.to_owned());
        interrupt::unless(stop)
    });
    progress.finish();
    let name = name.unwrap_or_else(|| file_name(&shrunk.violation, &plan.about));
    let file = files::write(folder, &name, &shrunk.plan)?;
    let Shrunk { plan: small, violation, runs, complete } = &shrunk;
    let so_far = if *complete { "" } else { ", and it may become smaller yet" };
    output::print(&format!(
        "{violation}\n\
         {} of {} events are left after {runs} runs{so_far}: {file}\n\
         to see it happen: podium sim run {file}\n",
        small.event_count(),
        plan.event_count(),
        file = file.display(),
    ))
}

/// The oracle and where the plan comes from, as a file's name.
fn file_name(violation: &Violation, about: &str) -> String {
    let words = about.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).take(6);
    let words: Vec<String> = words.map(str::to_lowercase).collect();
    [violation.oracle].into_iter().chain(words.iter().map(String::as_str)).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_say_what_was_shown() {
        let violation = Violation::new("convergence", "something is missing");
        assert_eq!(file_name(&violation, "seed 78"), "convergence-seed-78");
        assert_eq!(
            file_name(&violation, "Pods page, Status: “/web” is …"),
            "convergence-pods-page-status-web-is"
        );
    }
}
