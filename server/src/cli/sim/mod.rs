//! `podium sim`: the scheduler against a model of Mesos in virtual time, with everything going wrong that can.

use std::fmt;
use std::io::IsTerminal as _;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use podium_sim::digest::Digest;
use podium_sim::oracle::Violation;
use podium_sim::plan::{Plan, generate};
use podium_sim::run::{Report, run, run_traced};

/// What to simulate.
#[derive(Debug, Args)]
pub(super) struct SimArgs {
    #[command(subcommand)]
    command: Option<SimCommand>,
    /// Run the plans of these seeds, the last one excluded
    #[arg(long, value_name = "A..B", default_value = "0..100")]
    seeds: Seeds,
    /// Print what happens, a line for each change
    #[arg(long)]
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

/// Does what was asked for. Fails at the first violation.
pub(super) fn execute(args: SimArgs) -> ExitCode {
    match args.command {
        None => run_seeds(&args.seeds.0, args.trace),
        Some(SimCommand::Plan { seed }) => {
            print!("{}", generate(seed).to_json());
            ExitCode::SUCCESS
        }
        Some(SimCommand::Run { file }) => {
            let text = std::fs::read_to_string(&file).map_err(|error| error.to_string());
            let plan = text.and_then(|text| Plan::from_json(&text).map_err(|error| error.to_string()));
            match plan {
                Ok(plan) => finish_traced(&run_traced(&plan)),
                Err(error) => {
                    eprintln!("podium: cannot run the plan in {}: {error}", file.display());
                    ExitCode::FAILURE
                }
            }
        }
    }
}

fn run_seeds(seeds: &Range<u64>, trace: bool) -> ExitCode {
    let bar = progress(seeds.end - seeds.start);
    let began = Instant::now();
    let mut summary = Summary::default();
    for seed in seeds.clone() {
        let plan = generate(seed);
        let report = if trace { run_traced(&plan) } else { run(&plan) };
        if let Some(trace) = &report.trace {
            print!("{}", trace.short());
        }
        summary.add(&report);
        bar.inc(1);
        if let Some(violation) = &report.violation {
            bar.finish_and_clear();
            complain(seed, violation);
            println!("{}", summary.after(began.elapsed()));
            return ExitCode::FAILURE;
        }
    }
    bar.finish_and_clear();
    println!("{}", summary.after(began.elapsed()));
    ExitCode::SUCCESS
}

fn complain(seed: u64, violation: &Violation) {
    eprintln!("podium: seed {seed}: {violation}");
    eprintln!("to see it happen: podium sim --seeds {seed}..{} --trace", seed + 1);
}

fn finish_traced(report: &Report) -> ExitCode {
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

/// A bar on a terminal, nothing elsewhere.
fn progress(length: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "{elapsed_precise} {wide_bar} {pos}/{len} seeds, {eta} left";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style)
}

/// What all runs so far came to.
#[derive(Default)]
struct Summary {
    seeds: u64,
    steps: u64,
    simulated: Duration,
    digest: Digest,
}

impl Summary {
    fn add(&mut self, report: &Report) {
        self.seeds += 1;
        self.steps += report.counts.steps;
        self.simulated += report.elapsed;
        self.digest.write_u64(report.digest);
    }

    fn after(self, took: Duration) -> impl fmt::Display {
        let seconds = took.as_secs_f64().max(f64::EPSILON);
        let (simulated, steps) =
            (self.simulated.as_secs_f64(), u32::try_from(self.steps).unwrap_or(u32::MAX));
        format!(
            "{} seeds, {:.1} hours simulated in {seconds:.1} s ({:.0} times as fast as real time), {:.0} steps/s\n\
             digest {:016x}",
            self.seeds,
            simulated / 3600.0,
            simulated / seconds,
            f64::from(steps) / seconds,
            self.digest.finish(),
        )
    }
}
