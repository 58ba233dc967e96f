//! How much there is of everything: what an operator watches from afar.

use std::time::Duration;

use crate::model::time::Timestamp;
use crate::scheduler::Scheduler;
use crate::state::Stage;

/// How much there is of everything. Making one costs a step per pod, whatever the number of instances.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Pods of which as many copies serve as shall.
    pub stable_pods: u32,
    /// Pods of which fewer do.
    pub degraded_pods: u32,
    /// Deleted pods of which copies are still ending.
    pub terminal_pods: u32,
    /// Copies by where they are in their lives, with the name of that stage; every stage is there.
    pub instances: [(&'static str, u32); 9],
    /// Deployments under way.
    pub deployments: u32,
    /// Pods of which copies wait for an offer or for their back-off to end.
    pub waiting_pods: u32,
    /// How long the oldest copy that waits has been waiting; of each pod the copy that was made first counts.
    pub oldest_wait: Duration,
    /// Tasks that Mesos reported and that there is no record of.
    pub unknown_tasks: u32,
}

/// The stages under the names that people see.
const STAGES: [(&str, Stage); 9] = [
    ("waiting", Stage::Waiting),
    ("launching", Stage::Launching),
    ("unready", Stage::Unready),
    ("ready", Stage::Ready),
    ("available", Stage::Available),
    ("ending", Stage::Ending),
    ("unreachable", Stage::Unreachable),
    ("inactive", Stage::Inactive),
    ("stopping", Stage::Stopping),
];

impl Scheduler {
    /// Counts everything at `now`.
    pub fn census(&self, now: Timestamp) -> Census {
        let mut census = Census {
            instances: STAGES.map(|(name, _)| (name, 0)),
            deployments: count(self.state.deployments().len()),
            unknown_tasks: count(self.unknown_tasks.len()),
            ..Census::default()
        };
        for pod in self.state.pods().iter() {
            match pod.spec() {
                Some(_) if pod.stability().is_stable => census.stable_pods += 1,
                Some(_) => census.degraded_pods += 1,
                None if pod.tally.all() > 0 => census.terminal_pods += 1,
                // Only its history is left.
                None => continue,
            }
            for ((_, sum), (_, stage)) in census.instances.iter_mut().zip(STAGES) {
                *sum += pod.tally.get(stage);
            }
            if let Some(oldest) = pod.waiting.after(None).next().and_then(|uuid| self.state.instance(uuid)) {
                census.waiting_pods += 1;
                census.oldest_wait = census.oldest_wait.max(now.since(oldest.since));
            }
        }
        census
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
