//! Secrets that cannot be had: who waits for them, and when to look again.
//!
//! The scheduler knows secrets by their names only; their values never enter it, its records or its events. They
//! join a launch on its way out:
//!
//! ```text
//!   Action::Accept ──► driver: call with references ──► secret store ──► call with values ──► Mesos
//!                                                            │ not there
//!                        Input::Secrets { missing, unsent } ◄┘
//!                          │
//!                          ▼
//!   the copies wait again; their pods want no offers ──► Action::LookUpSecrets, every few seconds
//! ```
//!
//! What is missing is not durable: after a restart the next launch finds out again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::input::SecretsReport;
use crate::model::ids::InstanceId;
use crate::model::instance::{Condition, Goal, Instance};
use crate::model::time::Timestamp;
use crate::output::Action;
use crate::scheduler::Scheduler;

/// The pause between two looks for what is missing.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// The longest pause before a look for something that was found and was of no use all the same.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// A secret that launches lacked: it may be there, and yet be none that they can use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LackedSecret {
    /// How long it is not looked for.
    pause: Duration,
    /// Until when.
    until: Timestamp,
}

impl Scheduler {
    /// Takes in what the secret store said.
    pub(crate) fn on_secrets(&mut self, report: SecretsReport) {
        let mut missing = self.state.missing_secrets().clone();
        let before = missing.len();
        missing.retain(|source, _| !report.found.contains(source));
        if missing.len() < before {
            self.note_new_demand();
        }
        if !report.unsent.is_empty() {
            for path in report.missing.keys() {
                self.note_lacked(path);
            }
        }
        missing.extend(report.missing);
        self.state.set_missing_secrets(missing);
        for (instance, incarnation) in report.unsent {
            self.on_unsent(&instance, incarnation);
        }
    }

    /// A launch lacked the secret at `path`. If that follows a look that found it, the next look comes later each time.
    fn note_lacked(&mut self, path: &str) {
        if self.lacked_secrets.get(path).is_some_and(|lacked| lacked.until > self.now) {
            // Of several launches on their way out this is not the first to say so.
            return;
        }
        let before = self.lacked_secrets.get(path).filter(|lacked| {
            let pause = self.now.since(lacked.until);
            pause <= lacked.pause + LOOK_INTERVAL
        });
        let pause = before.map_or(LOOK_INTERVAL, |lacked| (lacked.pause * 2).min(LONGEST_PAUSE));
        self.lacked_secrets.insert(path.to_owned(), LackedSecret { pause, until: self.now + pause });
    }

    /// A launch was never sent: nothing of it is anywhere.
    pub(crate) fn on_unsent(&mut self, id: &InstanceId, incarnation: u32) {
        let now = self.now;
        let is_meant = |instance: &&Instance| instance.id == *id && instance.incarnation == incarnation;
        let Some(instance) = self.state.instance(id.uuid).filter(is_meant) else { return };
        let goal = instance.goal;
        // It uses nothing any more, ports included.
        self.state.edit(&self.config, id.uuid, |instance| {
            instance.tasks.iter_mut().for_each(|task| task.condition = Condition::Dropped);
        });
        self.state.edit(&self.config, id.uuid, |instance| {
            instance.tasks.clear();
            instance.condition = Condition::Scheduled;
            instance.since = now;
            instance.kill_requested = None;
            instance.launch_questioned = false;
            // What was to be reserved with the launch was not.
            instance.residence.take_if(|residence| !residence.is_confirmed);
        });
        if goal == Goal::Decommissioned {
            self.let_go(id.uuid);
        }
    }

    /// Looks again for what is missing, if it is time.
    pub(crate) fn pump_secrets(&mut self) {
        if self.state.missing_secrets().is_empty() {
            self.next_look_for_secrets = None;
            return;
        }
        let at = *self.next_look_for_secrets.get_or_insert(self.now + LOOK_INTERVAL);
        if at > self.now {
            return;
        }
        self.next_look_for_secrets = Some(self.now + LOOK_INTERVAL);
        let waiting = self.state.waiting().iter().filter_map(|id| self.state.pod(id)?.spec());
        let needed: Vec<&str> = waiting.flat_map(|spec| spec.secrets_in_use()).collect();
        let missing: BTreeMap<String, String> = self
            .state
            .missing_secrets()
            .iter()
            .filter(|(source, _)| needed.contains(&source.as_str()))
            .map(|(source, why)| (source.clone(), why.clone()))
            .collect();
        let is_due =
            |path: &&String| self.lacked_secrets.get(*path).is_none_or(|lacked| lacked.until <= self.now);
        let due: BTreeSet<String> = missing.keys().filter(is_due).cloned().collect();
        if missing.is_empty() {
            self.next_look_for_secrets = None;
        } else if !due.is_empty() {
            self.actions.push(Action::LookUpSecrets(due));
        }
        self.state.set_missing_secrets(missing);
    }
}
