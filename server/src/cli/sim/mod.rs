//! `podium sim`: the scheduler against a model of Mesos in virtual time, with everything going wrong that can.

mod explore;
mod files;
mod hunt;
mod interrupt;
mod judge;
mod output;
mod parallel;
mod progress;
mod shrinking;
mod summary;

use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use clap::{ArgGroup, Args, Subcommand};
use podium_sim::plan::{Plan, generate};
use podium_sim::trace::Trace;

use self::hunt::Limit;
use self::interrupt::stop_on_interrupt;
use self::judge::{How, judge, judge_recorded};
use self::output::Failure;

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
    #[arg(long, value_name = "M", conflicts_with = "seeds", allow_negative_numbers = true)]
    minutes: Option<f64>,
    /// Begin with this seed and not with a fresh one
    #[arg(long, value_name = "SEED", requires = "minutes")]
    from: Option<u64>,
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
    /// Write tables of what was reached to a file: conditions and phases of deployments, with numbers and gaps
    #[arg(long, value_name = "FILE", conflicts_with = "html")]
    coverage: Option<PathBuf>,
    /// Write a page to look at the run of a single seed
    #[arg(long, value_name = "FILE", conflicts_with = "minutes")]
    html: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum SimCommand {
    /// Try every order of events in a small world, up to a number of events
    Explore(explore::ExploreArgs),
    /// Print the plan of a seed: the cluster, the workload and the faults, as a file that can be edited and run
    Plan {
        /// The seed
        #[arg(long)]
        seed: u64,
        /// A seed without its flag
        #[arg(hide = true, value_name = "SEED", value_parser = refuse_bare_seed)]
        bare: Option<String>,
    },
    /// Run the plan in a file, and print what happens
    Run {
        /// The file
        file: PathBuf,
        /// A seed instead of a file
        #[arg(long, hide = true, value_parser = refuse_seed)]
        seed: Option<String>,
        /// Do the run twice, side by side, and compare every output
        #[arg(long)]
        check: bool,
        /// Write a page to look at the run
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// Print the JSON schema of plan files
    Schema,
    /// Make a plan that violates something as small as possible, and write it to a file
    #[command(group(ArgGroup::new("plan").required(true).args(["file", "seed"])))]
    Shrink {
        /// The file with the plan
        file: Option<PathBuf>,
        /// The seed of the plan
        #[arg(long)]
        seed: Option<u64>,
        /// The folder for the smaller plan
        #[arg(long, value_name = "FOLDER", default_value = "sim-scenarios/regressions")]
        out: PathBuf,
        /// The name of the new file, without its ending [default: what was violated, and by which plan]
        #[arg(long)]
        name: Option<String>,
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

fn refuse_bare_seed(text: &str) -> Result<String, String> {
    Err(format!("write --seed {text}"))
}

fn refuse_seed(text: &str) -> Result<String, String> {
    match text.parse::<u64>() {
        Ok(seed) => Err(format!(
            "it takes a file; podium sim --seeds {seed}..{} --trace runs a seed",
            seed.saturating_add(1)
        )),
        Err(error) => Err(error.to_string()),
    }
}

/// Does what was asked for. Fails if something was violated.
pub(super) fn execute(args: SimArgs) -> ExitCode {
    let done = match args.command {
        None => hunt(args.hunt),
        Some(SimCommand::Explore(args)) => {
            stop_on_interrupt().map_err(Failure::from).and_then(|stop| explore::run(&args, &stop))
        }
        Some(SimCommand::Plan { seed, .. }) => {
            output::verdict(output::print(&generate(seed).to_json()), false)
        }
        Some(SimCommand::Schema) => output::verdict(output::print(&Plan::schema_text()), false),
        Some(SimCommand::Shrink { file, seed, out, name }) => shrink(file, seed, &out, name),
        Some(SimCommand::Run { file, check, html, .. }) => {
            let how = How { traced: true, checked: check };
            files::read(&file).map_err(Failure::from).and_then(|plan| run_one(&plan, how, html))
        }
    };
    done.unwrap_or_else(|failure| match failure {
        Failure::Unheard => ExitCode::SUCCESS,
        Failure::Because(sentence) => {
            output::complain(&format!("podium: {sentence}"));
            ExitCode::FAILURE
        }
    })
}

fn hunt(args: HuntArgs) -> Result<ExitCode, Failure> {
    let how = How { traced: args.trace, checked: args.check };
    if let Some(html) = args.html {
        let Range { start, end } = args.seeds.0;
        if end - start != 1 {
            let sentence =
                format!("--html shows one run: name one seed, such as --seeds {start}..{}", start + 1);
            return Err(sentence.into());
        }
        return run_one(&generate(start), how, Some(html));
    }
    let limit = match args.minutes {
        None => Limit::Seeds(args.seeds.0),
        Some(minutes) => Limit::from_minutes(minutes, args.from)?,
    };
    let jobs = args.jobs.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    hunt::Hunt { limit, jobs, how, keep: args.keep, coverage: args.coverage, judge }
        .run(&*stop_on_interrupt()?)
}

fn shrink(
    file: Option<PathBuf>,
    seed: Option<u64>,
    out: &Path,
    name: Option<String>,
) -> Result<ExitCode, Failure> {
    let stop = stop_on_interrupt()?;
    let plan = match file {
        Some(file) => files::read(&file)?,
        None => generate(seed.unwrap_or_default()),
    };
    output::verdict(shrinking::execute(&plan, out, name, &stop), false)
}

fn run_one(plan: &Plan, how: How, html: Option<PathBuf>) -> Result<ExitCode, Failure> {
    let report = match html {
        None => judge(plan, how),
        Some(file) => {
            let (report, page) = judge_recorded(plan, how);
            files::write_text(&file, &page)?;
            report
        }
    };
    let trace = report.trace.as_ref().filter(|_| how.traced).map(Trace::short).unwrap_or_default();
    let printed = output::print(&format!("{trace}digest {:016x}\n", report.digest));
    if let Some(violation) = &report.violation {
        output::complain(&format!("podium: {violation}"));
    }
    output::verdict(printed, report.violation.is_some())
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
