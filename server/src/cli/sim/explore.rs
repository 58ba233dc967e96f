//! `podium sim explore`: every order of events in a small world.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use podium_sim::explore::{Bounds, Findings, LATE, Small, explore, small_world};
use podium_sim::plan::Span;

use super::files;
use super::output::{self, Failure};

/// What to explore, and how far.
#[derive(Debug, Args)]
pub(super) struct ExploreArgs {
    /// The plan; a pod of two copies with two containers each if absent, of which the scheduler, a container and the
    /// first machine's connection break once, at any moment
    file: Option<PathBuf>,
    /// The machines of the small world
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=9), conflicts_with = "file")]
    agents: u32,
    /// Run the plan as usual for so long first
    #[arg(long, value_name = "SPAN", default_value = "0s")]
    from: Span,
    /// Then try every order of so many events
    #[arg(long, value_name = "N", default_value_t = 8)]
    depth: u32,
    /// Timers may overtake messages by so much
    #[arg(long, value_name = "SPAN", default_value = "100ms")]
    delay: Span,
    /// Give up after so many states
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    states: u64,
}

/// Explores, and prints what was seen. Fails if something was violated.
pub(super) fn run(args: &ExploreArgs) -> Result<ExitCode, Failure> {
    let plan = match &args.file {
        Some(file) => files::read(file)?,
        None => small_world(Small { agents: args.agents, crash: true, partition: Some(LATE), exit: true }),
    };
    let bounds = Bounds {
        from: args.from.to_duration(),
        depth: args.depth,
        delay: args.delay.to_duration(),
        states: args.states,
    };
    let begun = Instant::now();
    let findings = explore(&plan, bounds);
    let printed = output::print(&describe(&findings, args.depth, begun.elapsed()));
    output::verdict(printed, findings.violation.is_some())
}

fn describe(findings: &Findings, depth: u32, took: Duration) -> String {
    let mut text = String::new();
    if let Some(found) = &findings.violation {
        for (at, event) in &found.path {
            text.push_str(&format!("{:>10.3}  {event}\n", at.as_secs_f64()));
        }
        text.push_str(&format!("violated: {}\n", found.violation));
    }
    let Findings { states, events, merged, complete, .. } = findings;
    let rate = *states as f64 / took.as_secs_f64().max(1e-9);
    text.push_str(&format!(
        "{states} states, {depth} events deep, {events} events tried, {merged} of them to states seen before, in {:.1} s \
         ({rate:.0} states/s)\n",
        took.as_secs_f64(),
    ));
    if findings.violation.is_none() {
        text.push_str(if *complete {
            "nothing is violated\n"
        } else {
            "nothing is violated so far: given up\n"
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use podium_sim::explore::Found;
    use podium_sim::oracle::Violation;

    use super::*;

    #[test]
    fn findings_tell_how_it_came_to_it() {
        let found = Found {
            violation: Violation::new("single", "an instance is live twice"),
            path: vec![(Duration::from_millis(1500), "the master gets Accept".to_owned())],
        };
        let mut findings =
            Findings { states: 10, events: 30, merged: 20, complete: true, violation: Some(found) };
        assert_eq!(
            describe(&findings, 4, Duration::from_secs(2)),
            "     1.500  the master gets Accept\n\
             violated: single: an instance is live twice\n\
             10 states, 4 events deep, 30 events tried, 20 of them to states seen before, in 2.0 s (5 states/s)\n"
        );
        findings.violation = None;
        findings.complete = false;
        assert!(describe(&findings, 4, Duration::from_secs(2)).ends_with("so far: given up\n"));
    }
}
