//! No instance is live twice.
//!
//! While anything of an earlier launch of an instance exists, nothing of a later one may: they would share an
//! executor id, a place in the service's membership, perhaps a volume.

use std::collections::BTreeMap;
use std::sync::Arc;

use podium_core::model::ids::TaskId;

use super::Violation;
use super::ledger::Ledger;
use crate::world::{Container, Seen};

const NAME: &str = "single";

/// Looks at every container that is launched.
#[derive(Clone, Debug, Default)]
pub(super) struct Single {
    /// The newest container of each task that has one.
    live: BTreeMap<TaskId, Arc<Container>>,
}

impl Single {
    pub(super) fn see(&mut self, seen: &Seen<'_>, ledger: &Ledger) -> Result<(), Violation> {
        match seen {
            Seen::Launched(container) => self.launched(container, ledger),
            Seen::Ended { container, .. } => {
                if let Some(task) = container.task()
                    && self.live.get(&task.task_id).is_some_and(|live| live.ordinal == container.ordinal)
                {
                    self.live.remove(&task.task_id);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn launched(&mut self, container: &Arc<Container>, ledger: &Ledger) -> Result<(), Violation> {
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
        match self.live.insert(task.task_id.clone(), container.clone()) {
            Some(other) => Err(Violation::new(
                NAME,
                format!(
                    "task {} runs on agent {} and on agent {}",
                    task.task_id, other.agent.0, container.agent.0
                ),
            )),
            None => Ok(()),
        }
    }
}
