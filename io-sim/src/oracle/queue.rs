//! `GET /v2/queue` shows every copy that waits to be launched, and nothing else.

use std::collections::BTreeMap;

use podium_core::model::ids::PodId;
use podium_core::model::instance::{Goal, Instance};
use podium_core::model::time::Timestamp;
use podium_core::view::QueueItem;
use podium_core::{Entry, Key};

use super::Violation;
use crate::world::Scene;

const NAME: &str = "queue";

/// Compares the `items` of the queue with the copies that wait, by what is durable.
pub(super) fn check(items: &[QueueItem], scene: &Scene<'_>) -> Result<(), Violation> {
    let mut waiting: BTreeMap<&PodId, (u32, Timestamp)> = BTreeMap::new();
    for entry in scene.store.entries() {
        let Entry::Instance(instance) = entry else { continue };
        // Copies of a pod that is deleted are ended in the next steps: nobody launches them.
        if waits(instance) && scene.store.spec(&instance.id.pod).is_some() {
            let (count, since) = waiting.entry(&instance.id.pod).or_insert((0, instance.since));
            *count += 1;
            *since = instance.since.min(*since);
        }
    }
    for item in items {
        let pod = &item.pod.id;
        let (count, since) = waiting.remove(pod).unwrap_or_default();
        if (item.count, item.since) != (count, since) {
            return bad(format!(
                "{} copies of {pod} wait by the queue, the first one since {}, and really {count}, since {since}",
                item.count, item.since
            ));
        }
        check_delay(item, scene)?;
    }
    match waiting.first_key_value() {
        Some((pod, (count, _))) => bad(format!("{count} copies of {pod} wait and are not in the queue")),
        None => Ok(()),
    }
}

/// Whether a copy is wanted, and nothing of it is left from an earlier launch.
pub(super) fn waits(instance: &Instance) -> bool {
    instance.goal == Goal::Running && instance.tasks.iter().all(|task| task.condition.is_terminal())
}

/// The delay ends when it was decided that it does.
fn check_delay(item: &QueueItem, scene: &Scene<'_>) -> Result<(), Violation> {
    let Some(Entry::Pod(state)) = scene.store.get(&Key::Pod(item.pod.id.clone())) else {
        return Ok(());
    };
    let left = state.delay.map(|delay| delay.until.since(scene.clock)).unwrap_or_default();
    if item.delay.time_left_seconds == left.as_secs() && item.delay.overdue == left.is_zero() {
        return Ok(());
    }
    bad(format!("{} waits for {left:?} more, and by the queue {:?}", item.pod.id, item.delay))
}

fn bad(sentence: String) -> Result<(), Violation> {
    Err(Violation::new(NAME, sentence))
}
