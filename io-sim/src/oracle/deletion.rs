//! What was deleted is gone.
//!
//! From the moment at which the deletion of a pod, or of a group that it is in, is confirmed the API does not show it, and nothing of it is launched
//! any more, until a client makes it again or takes the deletion back.

use std::collections::BTreeSet;
use std::time::Duration;

use podium_core::model::ids::PodId;
use podium_core::model::time::Timestamp;
use podium_core::{Command, Entry, Response, Scheduler};

use super::definitions::is_below;
use super::ledger::Ledger;
use super::{Violation, short};
use crate::world::{Scene, Seen};

const NAME: &str = "deletion";
/// So often somebody looks for what is gone.
const INTERVAL: Duration = Duration::from_secs(1);

/// Remembers what was deleted.
#[derive(Clone, Debug, Default)]
pub(super) struct Deletion {
    gone: BTreeSet<PodId>,
    next_look: Timestamp,
}

impl Deletion {
    pub(super) fn see(
        &mut self,
        seen: &Seen<'_>,
        ledger: &Ledger,
        scene: &Scene<'_>,
    ) -> Result<(), Violation> {
        match seen {
            Seen::Decided { command, result: Ok(response) } => match (&**response, command) {
                (Response::PodDeleted { .. }, Command::DeletePod { id, .. }) => {
                    self.gone.insert(id.clone());
                }
                (Response::GroupDeleted { .. }, Command::DeleteGroup { id, .. }) => {
                    let pods = scene.store.entries().filter_map(|entry| match entry {
                        Entry::Pod(pod) => Some(&pod.id),
                        _ => None,
                    });
                    self.gone.extend(pods.filter(|pod| is_below(pod, id)).cloned());
                }
                (Response::PodCreated { pod, .. } | Response::PodUpdated { pod, .. }, _) => {
                    self.gone.remove(&pod.id);
                }
                // What was deleted may be there again; the API says whether it is.
                (Response::DeploymentReverted { .. }, _) => {
                    self.gone.retain(|pod| scene.store.spec(pod).is_none());
                }
                _ => {}
            },
            Seen::Written(_) => {
                let launched = ledger.changes.iter().find(|change| {
                    let launches =
                        |copy: &Option<super::ledger::Copy>| copy.as_ref().map_or(0, |c| c.incarnation);
                    launches(&change.is) > launches(&change.was) && self.gone.contains(&change.id.pod)
                });
                if let Some(launched) = launched {
                    let sentence = format!("{} is launched, but its pod was deleted", short(&launched.id));
                    return Err(Violation::new(NAME, sentence));
                }
            }
            _ => {}
        }
        Ok(())
    }

    #[inline]
    pub(super) fn look(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        match scene.api {
            Some(api) if self.next_look <= scene.now => self.look_closely(api, scene.now),
            _ => Ok(()),
        }
    }

    fn look_closely(&mut self, api: &Scheduler, now: Timestamp) -> Result<(), Violation> {
        self.next_look = now + INTERVAL;
        match self.gone.iter().find(|pod| api.pod(pod).is_some()) {
            Some(pod) => {
                let sentence = format!("pod {pod} was deleted, and the API still shows it");
                Err(Violation::new(NAME, sentence))
            }
            None => Ok(()),
        }
    }
}
