//! No instance is live twice.
//!
//! While anything of an earlier launch of an instance exists, nothing of a later one may: they would share an
//! executor id, a place in the service's membership, perhaps a volume.

use super::Violation;
use super::ledger::Ledger;
use crate::world::{Scene, Seen};

const NAME: &str = "single";

/// Looks at every container that is launched.
pub(super) fn see(seen: &Seen<'_>, ledger: &Ledger, scene: &Scene<'_>) -> Result<(), Violation> {
    let Seen::Launched(container) = seen else { return Ok(()) };
    let Some(task) = container.task() else { return Ok(()) };
    let other = ledger
        .groups_of(task.instance.uuid)
        .find(|group| group.incarnation != task.incarnation && group.is_live());
    if let Some(other) = other {
        return Err(Violation::new(
            NAME,
            format!(
                "launch {} of {} begins while containers of its launch {} still exist",
                task.incarnation, task.instance, other.incarnation
            ),
        ));
    }
    let twin = scene
        .containers
        .tasks()
        .find(|(other, twin)| other.ordinal != container.ordinal && twin.task_id == task.task_id);
    match twin {
        Some((other, _)) => Err(Violation::new(
            NAME,
            format!(
                "task {} runs on agent {} and on agent {}",
                task.task_id, other.agent.0, container.agent.0
            ),
        )),
        None => Ok(()),
    }
}
