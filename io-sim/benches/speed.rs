//! How fast the simulator is: `cargo bench -p podium-sim [-- SEEDS]`. One core, everything judged by all oracles.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "it measures"
)]

use std::time::Instant;

use podium_sim::plan::{AgentPlan, ClusterPlan, Plan, Planned, Request, Span, generate};
use podium_sim::run::{Report, run};
use serde_json::json;

/// The `podium` program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// So many plans are run if nobody says otherwise.
const SEEDS: u64 = 100;
/// The quiet cluster's machines, and how long it is left alone.
const AGENTS: usize = 1000;
const QUIET: Span = Span::from_secs(6 * 3600);

fn main() {
    let seeds = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(SEEDS);
    chaos(seeds);
    quiet();
}

/// Plans that seeds say: half an hour of faults on ten machines or more.
fn chaos(seeds: u64) {
    let began = Instant::now();
    let reports: Vec<Report> = (0..seeds).map(|seed| run(&generate(seed))).collect();
    let seconds = began.elapsed().as_secs_f64();
    let simulated: f64 = reports.iter().map(|report| report.elapsed.as_secs_f64()).sum();
    let steps: f64 = reports.iter().map(|report| count(report.counts.steps)).sum();
    let launches = reports.iter().map(|report| report.counts.launches).min().unwrap_or_default();
    println!(
        "chaos: {:.0} runs a minute; {:.0} times real time, {:.0} steps/s; {seeds} runs of {:.0} minutes, \
         {launches} containers launched or more; {} violated something",
        count(seeds) / seconds * 60.0,
        simulated / seconds,
        steps / seconds,
        simulated / count(seeds) / 60.0,
        reports.iter().filter(|report| report.violation.is_some()).count(),
    );
}

/// A thousand machines with a thousand copies on which nothing happens.
fn quiet() {
    let pod = |index: usize| {
        json!({
            "id": format!("/pod-{index}"),
            "scaling": { "kind": "fixed", "instances": 10 },
            "containers": [{
                "name": "a",
                "exec": { "command": { "shell": "serve" } },
                "resources": { "cpus": 0.1, "mem": 32 }
            }],
            "networks": [{ "mode": "host" }]
        })
    };
    let create = |index| Planned::at(Span::from_secs(1), Request::Create { pod: pod(index), force: false });
    let agents = vec![AgentPlan::new(8.0, 8192.0); AGENTS];
    let plan = Plan {
        cluster: ClusterPlan { agents, ..ClusterPlan::default() },
        workload: (0..100).map(create).collect(),
        mended_at: Some(QUIET),
        ..Plan::default()
    };
    let began = Instant::now();
    let report = run(&plan);
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "quiet: {:.0} times real time; {AGENTS} agents for {:.1} hours, {} events, {} containers; violated: {:?}",
        report.elapsed.as_secs_f64() / seconds,
        report.elapsed.as_secs_f64() / 3600.0,
        report.counts.events,
        report.counts.launches,
        report.violation,
    );
}

fn count(n: u64) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}
