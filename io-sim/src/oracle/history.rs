//! Versions grow, and history is permanent.
//!
//! Every change of a pod gets a version greater than all before it, also when the clock was set back and when
//! the pod was deleted in between. A definition that a client was told of can be read for ever as it was.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use podium_core::model::ids::{GroupId, PodId};
use podium_core::model::pod::PodSpec;
use podium_core::model::time::Timestamp;
use podium_core::{Entry, Key, Record, Response, Scheduler};

use super::Violation;
use crate::world::{Scene, Seen};

const NAME: &str = "history";
/// So often somebody reads all of it.
const INTERVAL: Duration = Duration::from_secs(120);

/// Remembers every definition.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// What clients were told, oldest first.
    told: BTreeMap<PodId, Vec<Arc<PodSpec>>>,
    /// What is durable.
    written: BTreeMap<(PodId, Timestamp), Arc<PodSpec>>,
    /// The version that each pod has, or that it had before it was deleted.
    current: BTreeMap<PodId, Timestamp>,
    /// The newest version of each group.
    groups: BTreeMap<GroupId, Timestamp>,
    next_look: Option<Timestamp>,
}

impl History {
    pub(super) fn see(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Decided { result: Ok(response), .. } => {
                if let Response::PodCreated { pod, .. } | Response::PodUpdated { pod, .. } = &**response {
                    return self.tell(pod);
                }
            }
            Seen::Written(records) => {
                for record in *records {
                    self.write(record)?;
                }
            }
            // A process that starts knows only what was stored.
            Seen::Restarted => self.next_look = None,
            _ => {}
        }
        Ok(())
    }

    #[inline]
    pub(super) fn look(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        if let Some(api) = scene.api
            && self.next_look.is_none_or(|at| at <= scene.now)
        {
            self.next_look = Some(scene.now + INTERVAL);
            return self.read(api);
        }
        Ok(())
    }

    fn tell(&mut self, pod: &Arc<PodSpec>) -> Result<(), Violation> {
        let told = self.told.entry(pod.id.clone()).or_default();
        if let Some(last) = told.last() {
            // A change that changes nothing is answered with what there is.
            if last == pod {
                return Ok(());
            }
            if last.version >= pod.version {
                let sentence = format!(
                    "a change of pod {} got version {}, but version {} came before it",
                    pod.id, pod.version, last.version
                );
                return Err(Violation::new(NAME, sentence));
            }
        }
        told.push(pod.clone());
        Ok(())
    }

    fn write(&mut self, record: &Record) -> Result<(), Violation> {
        match record {
            Record::Delete(key @ (Key::Group(..) | Key::PodVersion(..))) => {
                Err(Violation::new(NAME, format!("{key} was deleted")))
            }
            Record::Put(Entry::PodVersion(spec)) => {
                let before = self.written.insert((spec.id.clone(), spec.version), spec.clone());
                match before.filter(|before| before != spec) {
                    Some(_) => {
                        let sentence = format!("version {} of pod {} was overwritten", spec.version, spec.id);
                        Err(Violation::new(NAME, sentence))
                    }
                    None => Ok(()),
                }
            }
            Record::Put(Entry::Pod(pod)) => match pod.current {
                Some(version) => {
                    grows(pod.id.as_str(), version, self.current.insert(pod.id.clone(), version))
                }
                None => Ok(()),
            },
            Record::Put(Entry::Group(group)) => {
                let before = self.groups.insert(group.id.clone(), group.version);
                grows(group.id.as_str(), group.version, before)
            }
            Record::Delete(_) | Record::Put(_) => Ok(()),
        }
    }

    fn read(&self, api: &Scheduler) -> Result<(), Violation> {
        for spec in self.told.values().flatten() {
            let sentence = match api.pod_version(&spec.id, spec.version) {
                Some(found) if found == spec => continue,
                Some(_) => format!("version {} of pod {} is not what it was", spec.version, spec.id),
                None => format!("version {} of pod {} cannot be read any more", spec.version, spec.id),
            };
            return Err(Violation::new(NAME, sentence));
        }
        Ok(())
    }
}

/// Whether a change of `what` has got a greater `version` than the one `before`, or there was none.
fn grows(what: &str, version: Timestamp, before: Option<Timestamp>) -> Result<(), Violation> {
    match before.filter(|before| version < *before) {
        Some(before) => {
            Err(Violation::new(NAME, format!("{what} went from version {before} to version {version}")))
        }
        None => Ok(()),
    }
}
