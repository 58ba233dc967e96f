//! `podium sim`: the scheduler against a model of Mesos in virtual time, with everything going wrong that can.

mod files;
mod hunt;
mod judge;
mod parallel;
mod progress;
mod summary;

use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::{Args, Subcommand};
use podium_sim::plan::{Plan, generate};

use self::hunt::Limit;
use self::judge::{How, judge};

/// What to simulate.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct SimArgs {
    #[command(subcommand)]
    command: Option<SimCommand>,
    #[command(flatten)]
    hunt: HuntArgs,
}

#[derive(Debug, Args)]
struct HuntArgs {
    /// Run the plans of these seeds, the last one excluded; end at the first violation
    #[arg(long, value_name = "A..B", default_value = "0..100")]
    seeds: Seeds,
    /// Run the plans of fresh seeds for so many minutes instead, and keep what fails as plan files
    #[arg(long, value_name = "M", conflicts_with = "seeds")]
    minutes: Option<f64>,
    /// So many runs at once [default: one per core]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// The folder for plan files of what fails
    #[arg(long, value_name = "FOLDER", default_value = "sim-failures")]
    keep: PathBuf,
    /// Do each run twice, side by side, and compare every output
    #[arg(long)]
    check: bool,
    /// Print what happens, a line for each change
    #[arg(long, conflicts_with = "minutes")]
    trace: bool,
}

#[derive(Debug, Subcommand)]
enum SimCommand {
    /// Print the plan of a seed: the cluster, the workload and the faults, as a file that can be edited and run
    Plan {
        /// The seed
        #[arg(long)]
        seed: u64,
    },
    /// Run the plan in a file, and print what happens
    Run {
        /// The file
        file: PathBuf,
        /// Do the run twice, side by side, and compare every output
        #[arg(long)]
        check: bool,
    },
}

/// Seeds from the first to before the last.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seeds(Range<u64>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
        match parsed {
            Some(range) if !Range::is_empty(&range) => Ok(Self(range)),
            _ => Err(format!("'{text}' names no seeds; 0..100 are the hundred seeds from 0 to 99")),
        }
    }
}

/// Does what was asked for. Fails if something was violated.
pub(super) fn execute(args: SimArgs) -> ExitCode {
    let done = match args.command {
        None => hunt(args.hunt),
        Some(SimCommand::Plan { seed }) => {
            print!("{}", generate(seed).to_json());
            Ok(ExitCode::SUCCESS)
        }
        Some(SimCommand::Run { file, check }) => files::read(&file).map(|plan| run_one(&plan, check)),
    };
    done.unwrap_or_else(|error| {
        eprintln!("podium: {error}");
        ExitCode::FAILURE
    })
}

fn hunt(args: HuntArgs) -> Result<ExitCode, String> {
    let limit = match args.minutes {
        None => Limit::Seeds(args.seeds.0),
        Some(minutes) => Limit::from_minutes(minutes)?,
    };
    let jobs = args.jobs.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    let how = How { traced: args.trace, checked: args.check };
    hunt::Hunt { limit, jobs, how, keep: args.keep }.run()
}

fn run_one(plan: &Plan, checked: bool) -> ExitCode {
    let report = judge(plan, How { traced: true, checked });
    if let Some(trace) = &report.trace {
        print!("{}", trace.short());
    }
    println!("digest {:016x}", report.digest);
    match &report.violation {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            eprintln!("podium: {violation}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_range() {
        assert_eq!("3..5".parse(), Ok(Seeds(3..5)));
        for text in ["", "5", "5..", "5..5", "6..5", "a..b", "1..2..3"] {
            assert!(text.parse::<Seeds>().unwrap_err().contains("0..100"), "{text}");
        }
    }
}
