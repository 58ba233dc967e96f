//! `GET /v2/unknown_tasks` shows what runs without a record, and nothing that has ended.

use std::time::Duration;

use podium_core::model::ids::TaskId;
use podium_core::{Config, Scheduler};

use super::ledger::{Group, Ledger};
use super::{Violation, short};
use crate::plan::Fault;
use crate::world::Scene;

const NAME: &str = "unknown";
/// So long, beside two rounds of questions, it may take until both know the same.
const PATIENCE: Duration = Duration::from_secs(3 * 60);

/// Looks from time to time.
#[derive(Clone, Debug, Default)]
pub(super) struct Unknown {
    /// The task that was listed and did not run the last time, or the other way round.
    suspect: Option<TaskId>,
}

impl Unknown {
    pub(super) fn look(&mut self, ledger: &Ledger, scene: &Scene<'_>) -> Result<(), Violation> {
        let settings = &scene.plan.scheduler;
        let interval = match settings.reconciliation_interval {
            Some(interval) => interval.to_duration(),
            None => Config::default().reconciliation_interval,
        };
        let is_calm = scene.calm_since.is_some_and(|at| scene.now.since(at) > 2 * interval + PATIENCE);
        let Some(api) = scene.api.filter(|_| is_calm) else {
            self.suspect = None;
            return Ok(());
        };
        let mut listed =
            api.unknown_tasks().map(|task| &task.task_id).chain(api.strays().map(|task| &task.task_id));
        let (suspect, sentence) = match listed.find(|task| !ledger.is_live(task)) {
            Some(task) => {
                (Some(task.clone()), format!("{task} is listed as a task without a place, and does not run"))
            }
            None => match unlisted(api, ledger, scene) {
                Some((task, group)) => {
                    let name = short(&group.instance);
                    (Some(task), format!("something of {name} runs without a record and is not listed"))
                }
                None => (None, String::new()),
            },
        };
        // The word may be on its way.
        if suspect.is_some() && suspect == self.suspect {
            return Err(Violation::new(NAME, sentence));
        }
        self.suspect = suspect;
        Ok(())
    }
}

/// A task that runs, of which there is no record, and that is on no list.
fn unlisted<'a>(api: &Scheduler, ledger: &'a Ledger, scene: &Scene<'_>) -> Option<(TaskId, &'a Group)> {
    // What a framework left that was removed, nobody may know any more to be there.
    let is_removed = |fault: &Fault| matches!(fault, Fault::FrameworkTornDown {});
    if scene.plan.faults.iter().any(|planned| is_removed(&planned.what)) {
        return None;
    }
    let has_record = |group: &Group| {
        let copies = ledger.copies.get(&group.instance.pod);
        copies.is_some_and(|copies| copies.contains_key(&group.instance.uuid))
    };
    let mut strangers = ledger.groups.values().filter(|group| group.is_live() && !has_record(group));
    strangers.find_map(|group| {
        let mut tasks = group.task_ids().filter(|task| ledger.is_live(task));
        let is_listed = |task: &TaskId| {
            api.unknown_tasks().any(|it| it.task_id == *task) || api.strays().any(|it| it.task_id == *task)
        };
        Some((tasks.find(|task| !is_listed(task))?, group))
    })
}
