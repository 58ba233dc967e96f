//! A scheduler that is restored from what is durable shows what the one that runs shows.
//!
//! Whatever a client has seen must be there after a crash at that very moment. What only says why something
//! waits may be lost: it speaks of offers, and the next ones make it again.

use std::time::Duration;

use podium_core::Scheduler;
use podium_core::model::ids::GroupId;
use podium_core::model::time::Timestamp;
use podium_core::view::{GroupEmbed, PodInstanceState, PodStatus, QueueItem};

use super::{Violation, queue};
use crate::world::{Scene, Seen};

const NAME: &str = "restore";
/// So often somebody compares. Every comparison costs as much as a restart.
const INTERVAL: Duration = Duration::from_secs(5 * 60);
/// The pause grows to this while nothing is written.
const LONGEST_INTERVAL: Duration = Duration::from_secs(2 * 3600);

/// Compares from time to time.
#[derive(Clone, Debug)]
pub(super) struct Restore {
    next_look: Timestamp,
    /// How long nobody looks after the next time.
    interval: Duration,
    /// Compare whenever time passes.
    always: bool,
}

impl Default for Restore {
    fn default() -> Self {
        Self { next_look: Timestamp::EPOCH, interval: INTERVAL, always: false }
    }
}

impl Restore {
    /// One that compares whenever time passes.
    pub(super) fn always() -> Self {
        Self { always: true, ..Self::default() }
    }

    pub(super) fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Mended => self.compare(scene),
            Seen::Written(_) => {
                self.interval = INTERVAL;
                self.next_look = self.next_look.min(scene.now + INTERVAL);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    #[inline]
    pub(super) fn look(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        if self.always || self.next_look <= scene.now { self.compare(scene) } else { Ok(()) }
    }

    fn compare(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        let Some(live) = scene.api else { return Ok(()) };
        self.next_look = scene.now + self.interval;
        self.interval = (self.interval * 2).min(LONGEST_INTERVAL);
        compare(live, scene)
    }
}

fn compare(live: &Scheduler, scene: &Scene<'_>) -> Result<(), Violation> {
    let config = live.config().clone();
    let restored = Scheduler::restore(config, 0, scene.store.entries().cloned())
        .map_err(|error| Violation::new(NAME, format!("what is durable cannot be restored: {error}")))?;
    let differs = |what: String| Err(Violation::new(NAME, format!("after a crash, {what}")));
    if restored.framework_id() != live.framework_id() {
        return differs("the framework's id would be another one".to_owned());
    }
    if !restored.pods().eq(live.pods()) {
        return differs("the definitions of the pods would be other ones".to_owned());
    }
    let (before, after) = (live.deployments(scene.clock), restored.deployments(scene.clock));
    let outline = |all: &[podium_core::view::DeploymentStatus]| -> Vec<_> {
        all.iter().map(|it| (it.id.clone(), it.version, it.steps.clone(), it.current_step)).collect()
    };
    if outline(&before) != outline(&after) {
        return differs(format!(
            "{} deployments would be on their way, or at other steps, instead of {}",
            after.len(),
            before.len()
        ));
    }
    let root = GroupId::root();
    let groups = |api: &Scheduler| (api.group(&root, GroupEmbed::ALL), api.group_versions(&root));
    if groups(live) != groups(&restored) {
        return differs("the groups, or what they say, would be other ones".to_owned());
    }
    let outline = |queue: Vec<QueueItem>| -> Vec<_> {
        let of_item = |item: QueueItem| (item.pod.id.clone(), item.count, item.role, item.delay, item.since);
        queue.into_iter().map(of_item).collect()
    };
    let queue = live.queue(scene.clock);
    queue::check(&queue, scene)?;
    let (before, after) = (outline(queue), outline(restored.queue(scene.clock)));
    if let Some((before, after)) = before.iter().zip(&after).find(|(before, after)| before != after) {
        return differs(format!("in the queue would be {after:?} instead of {before:?}"));
    }
    if before.len() != after.len() {
        return differs(format!("{} pods would be in the queue instead of {}", after.len(), before.len()));
    }
    for spec in live.pods() {
        if restored.pod_versions(&spec.id) != live.pod_versions(&spec.id) {
            return differs(format!("pod {} would have another history", spec.id));
        }
        let status = |api: &Scheduler| api.pod_status(&spec.id, scene.clock).map(without_reasons);
        let (before, after) = (status(live), status(&restored));
        if before != after {
            let text = |status: &Option<PodStatus>| serde_json::to_string(status).unwrap_or_default();
            let (before, after) = (text(&before), text(&after));
            let same = before.bytes().zip(after.bytes()).take_while(|(a, b)| a == b).count();
            let part =
                |text: &str| -> String { text.chars().skip(same.saturating_sub(40)).take(120).collect() };
            return differs(format!(
                "the status of pod {} would be …{}… instead of …{}…",
                spec.id,
                part(&after),
                part(&before)
            ));
        }
    }
    Ok(())
}

/// The status without what only says why something waits.
fn without_reasons(mut status: PodStatus) -> PodStatus {
    status.message = None;
    for instance in &mut status.instances {
        if instance.status == PodInstanceState::Pending {
            instance.message = None;
        }
    }
    status
}
