//! What becomes of an instance when nothing happens to it: every timer of its life.

use std::time::Duration;

use crate::config::Config;
use crate::lifecycle::is_broken;
use crate::marks::Mark;
use crate::model::ids::Uuid;
use crate::model::instance::{Condition, Goal, GoalReason, Instance, KillReason, KillRequest, Task};
use crate::model::pod::UnreachableStrategy;
use crate::model::time::Timestamp;
use crate::scheduler::Scheduler;
use crate::state::Stage;

/// How long the rest of a group may outlive the container that took it down, and how long an executor may take to end
/// a container by itself. The default executor gives each member 3 s and then kills it; after more than three times that,
/// something is stuck, or has a long grace period, which a kill does not shorten.
const GROUP_END_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a launch may go without a word before Mesos is asked about it.
const LAUNCH_QUESTION_DELAY: Duration = Duration::from_secs(10);

/// What is due next for an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// It has run for long enough to be relied on.
    Available,
    /// Ask Mesos whether it knows of the launch.
    AskAboutLaunch,
    /// Give it up: it is forgotten and killed should it return.
    Expunge,
    /// Kill what is left of its group.
    KillRestOfGroup,
    /// Kill it: it did not start in time.
    LaunchTimeout,
    /// Want a replacement.
    Inactive,
}

/// When something becomes due for `instance`, which is in this `stage` and whose pod has this `strategy` now.
pub(crate) fn deadline(
    instance: &Instance,
    stage: Stage,
    strategy: UnreachableStrategy,
    config: &Config,
) -> Option<Timestamp> {
    due(instance, stage, strategy, config).map(|(at, _)| at)
}

fn due(
    instance: &Instance,
    stage: Stage,
    strategy: UnreachableStrategy,
    config: &Config,
) -> Option<(Timestamp, Due)> {
    if instance.goal != Goal::Running || instance.has_ended() {
        return None;
    }
    if let Some(since) = unreachable_since(instance) {
        return if instance.condition == Condition::UnreachableInactive {
            strategy.expunge_after().map(|after| (since + after, Due::Expunge))
        } else {
            strategy.inactive_after().map(|after| (since + after, Due::Inactive))
        };
    }
    if instance.kill_requested.is_some() {
        return None;
    }
    if is_broken(instance) {
        let ended = instance.tasks.iter().filter(|task| task.condition.is_terminal());
        return ended
            .map(|task| (task.since + GROUP_END_TIMEOUT, Due::KillRestOfGroup))
            .max_by_key(|due| due.0);
    }
    // Its executor is ending it by itself, because of its health check or its deadline, and the rest will follow. A
    // process that cannot be ended, since it waits for a disk or the network for ever, would stay so.
    let killing = instance.tasks.iter().filter(|task| task.condition == Condition::Killing);
    if let Some(since) = killing.map(|task| task.since).min() {
        return Some((since + GROUP_END_TIMEOUT, Due::KillRestOfGroup));
    }
    if stage == Stage::Ready {
        return Some((instance.since + config.minimum_ready, Due::Available));
    }
    instance.tasks.iter().filter_map(|task| due_of_launch(task, instance, config)).min_by_key(|due| due.0)
}

fn due_of_launch(task: &Task, instance: &Instance, config: &Config) -> Option<(Timestamp, Due)> {
    // Word about one container is word about the launch of all.
    let confirmed = instance.tasks.iter().any(|task| task.condition != Condition::Provisioned);
    match task.condition {
        Condition::Provisioned
            if !confirmed
                && !instance.launch_questioned
                && LAUNCH_QUESTION_DELAY < config.task_launch_confirm_timeout =>
        {
            Some((task.staged_at + LAUNCH_QUESTION_DELAY, Due::AskAboutLaunch))
        }
        Condition::Provisioned if !confirmed => {
            Some((task.staged_at + config.task_launch_confirm_timeout, Due::LaunchTimeout))
        }
        // Counted from the last progress, so that a slow image of one container does not condemn the others.
        Condition::Provisioned | Condition::Staging | Condition::Starting => {
            let progress = instance.tasks.iter().map(|task| task.since).max().unwrap_or(task.since);
            Some((progress + config.task_launch_timeout, Due::LaunchTimeout))
        }
        _ => None,
    }
}

/// Since when `instance` has been out of reach. Its containers are on one agent, so they count together, and what was
/// heard of one of them of a later partition is true for all. A master's clock that runs ahead of ours does not delay
/// anything: we heard of it when it was so already.
fn unreachable_since(instance: &Instance) -> Option<Timestamp> {
    let latest = instance.tasks.iter().filter_map(|task| task.unreachable_since).max()?;
    let of_latest = instance.tasks.iter().filter(|task| task.unreachable_since == Some(latest));
    of_latest.map(|task| latest.min(task.since)).min()
}

impl Scheduler {
    /// Does what is due for the instance `uuid`.
    pub(crate) fn on_instance_due(&mut self, uuid: Uuid) {
        let now = self.now;
        let Some(instance) = self.state.instance(uuid) else { return };
        let Some(pod) = self.state.pod(&instance.id.pod) else { return };
        let strategy = pod.unreachable_strategy();
        let Some((at, due)) = due(instance, pod.stage(instance), strategy, &self.config) else { return };
        if at > now {
            return;
        }
        match due {
            Due::Available => {
                self.state.edit(&self.config, uuid, |instance| instance.available = true);
            }
            Due::AskAboutLaunch => {
                self.mark(Mark::LaunchQuestioned);
                self.ask_about(uuid);
                self.state.edit(&self.config, uuid, |instance| instance.launch_questioned = true);
            }
            Due::Expunge => {
                self.mark(Mark::Expunged);
                self.decommission_instance(uuid, GoalReason::Unreachable);
            }
            Due::KillRestOfGroup => {
                self.mark(Mark::GroupOutlived);
                self.request_kill(uuid, KillReason::GroupEnded);
                // Perhaps it did end, and only the word of it got lost.
                self.ask_about(uuid);
            }
            Due::LaunchTimeout => {
                self.mark(Mark::LaunchTimedOut);
                self.request_kill(uuid, KillReason::LaunchTimeout);
                // Perhaps nobody knows of it any more.
                self.ask_about(uuid);
            }
            Due::Inactive => {
                self.mark(Mark::Inactive);
                self.state.edit(&self.config, uuid, |instance| {
                    instance.condition = Condition::UnreachableInactive;
                    instance.since = now;
                });
                // With `0/0`, or after time spent without a scheduler, it may be due to be forgotten as well.
                self.on_instance_due(uuid);
            }
        }
    }

    /// Has the containers of the instance `uuid` ended, whatever becomes of it afterwards.
    pub(crate) fn request_kill(&mut self, uuid: Uuid, reason: KillReason) {
        let now = self.now;
        self.state.edit(&self.config, uuid, |instance| {
            let request = instance.kill_requested.get_or_insert(KillRequest { at: now, reason });
            if reason == KillReason::UserRequest {
                // Nobody waits for what a person wants ended, whyever else it was to end.
                request.reason = reason;
            }
        });
    }
}
