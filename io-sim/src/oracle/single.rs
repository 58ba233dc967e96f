//! No instance is live twice.
//!
//! While anything of an earlier launch of an instance exists, nothing of a later one may: they would share an
//! executor id, a place in the service's membership, perhaps a volume.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use podium_core::model::ids::TaskId;
use podium_core::model::time::Timestamp;

use super::Violation;
use super::ledger::{Group, GroupKey, Ledger};
use crate::plan::Fault;
use crate::world::{Container, Scene, Seen};

const NAME: &str = "single";

/// An agent that has not heard of something after so long is given up.
const HEARD_AFTER: Duration = Duration::from_secs(75);

/// Looks at every container that is launched.
#[derive(Clone, Debug, Default)]
pub(super) struct Single {
    /// The newest container of each task that has one.
    live: BTreeMap<TaskId, Arc<Container>>,
    /// What ran when a framework was torn down, and when that was.
    doomed: BTreeMap<GroupKey, Timestamp>,
}

impl Single {
    pub(super) fn see(
        &mut self,
        seen: &Seen<'_>,
        ledger: &Ledger,
        scene: &Scene<'_>,
    ) -> Result<(), Violation> {
        match seen {
            Seen::FaultBegan { fault: Fault::FrameworkTornDown {}, .. } => {
                let live = ledger.groups.iter().filter(|(_, group)| group.is_live());
                self.doomed.extend(live.map(|(key, _)| (*key, scene.now)));
                Ok(())
            }
            Seen::Launched(container) => self.launched(container, ledger, scene),
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

    /// Whether the master has offered what a launch uses although it may still run, and nobody can know for how long: its
    /// framework was torn down, and its agent has not heard of that although it had all the time that it may take.
    fn is_out_of_hand(&self, group: &Group, scene: &Scene<'_>) -> bool {
        self.doomed.get(&group.key()).is_some_and(|since| scene.now.since(*since) > HEARD_AFTER)
    }

    fn launched(
        &mut self,
        container: &Arc<Container>,
        ledger: &Ledger,
        scene: &Scene<'_>,
    ) -> Result<(), Violation> {
        let Some(task) = container.task() else { return Ok(()) };
        let other = ledger.groups_of(task.instance.uuid).find(|group| {
            group.incarnation != task.incarnation && group.is_live() && !self.is_out_of_hand(group, scene)
        });
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
