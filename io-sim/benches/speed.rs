//! How fast the simulator is: `cargo bench -p podium-sim [-- [COUNT] [seeds|small|quiet]]`. One core, everything judged
//! by all oracles.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    clippy::cast_precision_loss,
    reason = "it measures"
)]

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use podium_sim::digest::Digest;
use podium_sim::plan::{AgentPlan, ClusterPlan, Plan, Planned, Request, Span, generate};
use podium_sim::run::{Report, run};
use serde_json::json;

/// The `podium` program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// So many plans of each kind are run if nobody says otherwise.
const SEEDS: usize = 100;
/// What is the least that the aim, 2,000 runs a minute, is about.
const FEWEST_AGENTS: usize = 10;
const FEW_INSTANCES: Range<u64> = 50..60;
/// The quiet cluster's machines, how long it has to launch everything, and how long it is left alone then.
const AGENTS: usize = 1000;
const LAUNCHED: Duration = Duration::from_secs(3600);
const QUIET: Duration = Duration::from_secs(24 * 3600);

fn main() {
    let count = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(SEEDS);
    let named: Vec<String> =
        std::env::args().skip(1).filter(|arg| ["seeds", "small", "quiet"].contains(&arg.as_str())).collect();
    let is_asked_for = |name: &str| named.is_empty() || named.iter().any(|one| one == name);
    if is_asked_for("seeds") {
        chaos("seeds", &(0..count as u64).map(generate).collect::<Vec<Plan>>());
    }
    if is_asked_for("small") {
        chaos("small", &(0..).map(generate).filter(is_small).take(count).collect::<Vec<Plan>>());
    }
    if is_asked_for("quiet") {
        quiet();
    }
}

/// Whether a plan is as small as one may be that the aim counts: ten machines and some fifty instances. Nothing else is
/// looked at, so all kinds of faults come up as often as in other plans.
fn is_small(plan: &Plan) -> bool {
    plan.cluster.agents.len() == FEWEST_AGENTS && FEW_INSTANCES.contains(&instances(plan))
}

/// The instances that a plan begins with: those of each pod when it is created first.
fn instances(plan: &Plan) -> u64 {
    let creations = plan.workload.iter().filter_map(|planned| match &planned.what {
        Request::Create { pod, .. } => Some((pod["id"].as_str(), pod["scaling"]["instances"].as_u64())),
        _ => None,
    });
    let mut pods = BTreeMap::new();
    for (pod, instances) in creations {
        pods.entry(pod).or_insert(instances.unwrap_or_default());
    }
    pods.values().sum()
}

/// Half an hour of faults, and whatever it takes until everything is as it should be.
fn chaos(name: &str, plans: &[Plan]) {
    let began = Instant::now();
    let reports: Vec<Report> = plans.iter().map(run).collect();
    let seconds = began.elapsed().as_secs_f64();
    let runs = plans.len() as f64;
    let minutes = || reports.iter().map(|report| report.elapsed.as_secs_f64() / 60.0);
    let steps: f64 = reports.iter().map(|report| report.counts.steps as f64).sum();
    println!(
        "{name}: {:.0} runs a minute; {:.0} times real time, {:.0} steps/s; {runs} runs of {:.0} minutes, at least {:.0}; \
         {:.1} agents, at least {}; {:.0} instances at first, at least {}; {} violated something; digest {:016x}",
        runs / seconds * 60.0,
        minutes().sum::<f64>() * 60.0 / seconds,
        steps / seconds,
        minutes().sum::<f64>() / runs,
        minutes().fold(f64::INFINITY, f64::min),
        plans.iter().map(|plan| plan.cluster.agents.len() as f64).sum::<f64>() / runs,
        plans.iter().map(|plan| plan.cluster.agents.len()).min().unwrap_or_default(),
        plans.iter().map(|plan| instances(plan) as f64).sum::<f64>() / runs,
        plans.iter().map(instances).min().unwrap_or_default(),
        reports.iter().filter(|report| report.violation.is_some()).count(),
        digest(&reports),
    );
}

/// The digest of all runs: a version that is only faster has the same.
fn digest(reports: &[Report]) -> u64 {
    let mut digest = Digest::default();
    reports.iter().for_each(|report| digest.write_u64(report.digest));
    digest.finish()
}

/// A thousand machines with a thousand copies on which nothing happens for a day. What it takes to launch them is not
/// counted: it is what a run without that day takes.
fn quiet() {
    let (launched, beginning) = run_quietly(LAUNCHED);
    let (report, all) = run_quietly(LAUNCHED + QUIET);
    let quiet = report.elapsed.saturating_sub(launched.elapsed);
    println!(
        "quiet: {:.0} times real time; {AGENTS} agents for {:.1} hours, {} events; {} containers were launched before, \
         with which it is {:.0} times; violated: {:?}",
        quiet.as_secs_f64() / all.saturating_sub(beginning).as_secs_f64(),
        quiet.as_secs_f64() / 3600.0,
        report.counts.events - launched.counts.events,
        report.counts.launches,
        report.elapsed.as_secs_f64() / all.as_secs_f64(),
        report.violation,
    );
}

/// Has everything launched at once and then nothing happen, and says how long that took.
fn run_quietly(time: Duration) -> (Report, Duration) {
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
        mended_at: Some(Span::from_secs(time.as_secs())),
        ..Plan::default()
    };
    let began = Instant::now();
    (run(&plan), began.elapsed())
}
