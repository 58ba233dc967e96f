//! `podium sim explore`: every order of events in a small world.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use clap::Args;
use podium_core::Scheduler;
use podium_sim::explore::{Bounds, Findings, LATE, Small, explore_watched, replay, small_world};
use podium_sim::plan::{Plan, Span};
use podium_sim::trace::Trace;

use super::output::{self, Failure};
use super::progress::Progress;
use super::{files, interrupt};

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
    /// Run the deepest states on as usual to the plan's end, so that oracles that wait judge them, too
    #[arg(long)]
    finish: bool,
    /// Go only this way, which a violation came with, and print what happens
    #[arg(long, value_name = "CHOICES", conflicts_with_all = ["depth", "states"])]
    path: Option<Way>,
}

/// The numbers of choices, such as `0.3.1`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Way(Vec<usize>);

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(usize::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

impl FromStr for Way {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split('.').map(str::parse).collect::<Result<_, _>>();
        numbers
            .map(Self)
            .map_err(|_| format!("'{text}' names no choices; 0.3.1 are the first, the fourth and the second"))
    }
}

impl ExploreArgs {
    fn plan(&self) -> Result<Plan, String> {
        match &self.file {
            Some(file) => files::read(file),
            None => {
                Ok(small_world(Small { agents: self.agents, crash: true, partition: Some(LATE), exit: true }))
            }
        }
    }

    /// The command that goes the way of these choices.
    fn command(&self, choices: &[usize]) -> String {
        let world = match &self.file {
            Some(file) => file.display().to_string(),
            None => format!("--agents {}", self.agents),
        };
        let (from, delay, way) = (self.from, self.delay, Way(choices.to_vec()));
        let finish = if self.finish { " --finish" } else { "" };
        format!("podium sim explore {world} --from {from} --delay {delay}{finish} --path {way}")
    }
}

/// Explores until `stop` is set at the latest, and prints what was seen. Fails if something was violated.
pub(super) fn run(args: &ExploreArgs, stop: &AtomicBool) -> Result<ExitCode, Failure> {
    let plan = args.plan()?;
    let bounds = Bounds {
        from: args.from.to_duration(),
        depth: args.depth,
        delay: args.delay.to_duration(),
        states: args.states,
        finish: args.finish,
    };
    if let Some(Way(choices)) = &args.path {
        let report = replay(&plan, bounds, choices).map_err(|lost| format!("--path: {lost}"))?;
        let trace = report.trace.as_ref().map(Trace::short).unwrap_or_default();
        let verdict = match &report.violation {
            Some(violation) => format!("violated: {violation}\n"),
            None => "nothing is violated\n".to_owned(),
        };
        return output::verdict(output::print(&(trace + &verdict)), report.violation.is_some());
    }
    let begun = Instant::now();
    let mut progress = Progress::new(None);
    let findings = explore_watched::<Scheduler>(&plan, bounds, |so_far| {
        progress.show(so_far.states, || format!("{} states, {} events tried", so_far.states, so_far.events));
        interrupt::unless(stop)
    });
    progress.finish();
    let printed = output::print(&describe(&findings, args, begun.elapsed()));
    output::verdict(printed, findings.violation.is_some())
}

fn describe(findings: &Findings, args: &ExploreArgs, took: Duration) -> String {
    let mut text = String::new();
    if let Some(found) = &findings.violation {
        for (at, event) in &found.path {
            text.push_str(&format!("{:>10.3}  {event}\n", at.as_secs_f64()));
        }
        text.push_str(&format!("violated: {}\n", found.violation));
        if !found.choices.is_empty() {
            text.push_str(&format!("to see it happen: {}\n", args.command(&found.choices)));
        }
    }
    let Findings { states, events, merged, finished, complete, .. } = findings;
    let rate = *states as f64 / took.as_secs_f64().max(1e-9);
    text.push_str(&format!(
        "{states} states, {} events deep, {events} events tried, {merged} of them to states seen before, {finished} \
         states run on to the end, in {:.1} s ({rate:.0} states/s)\n",
        args.depth,
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
        let mut args = ExploreArgs {
            file: None,
            agents: 2,
            from: Span::from_secs(1),
            depth: 4,
            delay: Span::from_millis(100),
            states: 100,
            finish: false,
            path: None,
        };
        let found = Found {
            violation: Violation::new("single", "an instance is live twice"),
            path: vec![(Duration::from_millis(1500), "the master gets Accept".to_owned())],
            choices: vec![3, 0, 12],
        };
        let mut findings = Findings {
            states: 10,
            events: 30,
            merged: 20,
            finished: 5,
            complete: true,
            violation: Some(found),
        };
        let describe =
            |findings: &Findings, args: &ExploreArgs| describe(findings, args, Duration::from_secs(2));
        assert_eq!(
            describe(&findings, &args),
            "     1.500  the master gets Accept\n\
             violated: single: an instance is live twice\n\
             to see it happen: podium sim explore --agents 2 --from 1s --delay 100ms --path 3.0.12\n\
             10 states, 4 events deep, 30 events tried, 20 of them to states seen before, 5 states run on to the end, \
             in 2.0 s (5 states/s)\n"
        );
        args.file = Some("plan.json".into());
        args.finish = true;
        let way = "explore plan.json --from 1s --delay 100ms --finish --path 3.0.12\n";
        assert!(describe(&findings, &args).contains(way));
        findings.violation = None;
        findings.complete = false;
        assert!(describe(&findings, &args).ends_with("so far: given up\n"));
    }

    #[test]
    fn a_way_is_a_row_of_numbers() {
        assert_eq!("3.0.12".parse(), Ok(Way(vec![3, 0, 12])));
        for text in ["", "a", "1..2", "1.", "-1"] {
            assert!(text.parse::<Way>().is_err(), "{text}");
        }
    }
}
