//! When timers of the scheduler are due, for what a plan aims at these instants: seen from what is durable and from what
//! the scheduler has asked for.
//!
//! ```text
//!   records, calls ──► due at T ──┬─► T - before   (what is to happen before it)
//!                                 └─► T            (what is to happen at it or after it)
//! ```
//!
//! What happens at T itself happens before the timer fires, and its end a millisecond later at the earliest falls into
//! the write of what the timer led to. A run whose plan aims at none of them pays nothing for it.

use std::collections::BTreeSet;

use podium_core::model::ids::{InstanceId, PodId, TaskId};
use podium_core::model::instance::{Condition, Goal, Instance};
use podium_core::model::pod::UnreachableStrategy;
use podium_core::model::time::Timestamp;
use podium_core::{Entry, Key, Record};
use rustc_hash::FxHashMap;

use super::subject::Subject;
use super::{Work, World};
use crate::cluster::AgentIndex;
use crate::oracle::Witness;
use crate::plan::{Boundary, Moment, Plan, Span};

/// What is to be noticed, and what has been.
#[derive(Clone, Debug, Default)]
pub(super) struct Alarms {
    /// The timers that the plan aims at, with how long before.
    aims: BTreeSet<(Moment, Span)>,
    /// What was planned for that.
    planned: BTreeSet<Alarm>,
    /// How often each task's end was asked for on this connection, and when it is asked for again.
    kills: FxHashMap<TaskId, (u32, Timestamp)>,
}

/// A timer, with how long before it fires.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Alarm {
    moment: Moment,
    before: Span,
    of: Owner,
    /// By the scheduler's clock.
    due: Timestamp,
}

/// Whose timer it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Instance(InstanceId),
    Pod(PodId),
    Task(TaskId),
}

impl Alarms {
    pub(super) fn new(plan: &Plan) -> Self {
        let begins = plan.faults.iter().filter_map(|planned| Some((planned.on?, planned.before)));
        let ends = plan.faults.iter().filter_map(|planned| planned.until.as_ref());
        let ends = ends.map(|aim| (aim.on, aim.before));
        let orders = plan.workload.iter().filter_map(|planned| Some((planned.on?, planned.before)));
        let aims = begins.chain(ends).chain(orders).filter(|(moment, _)| moment.is_timer()).collect();
        Self { aims, ..Self::default() }
    }

    /// There is another connection, or none: nobody waits for an answer to an earlier one.
    pub(super) fn forget_kills(&mut self) {
        self.kills.clear();
    }
}

impl<S: Subject, W: Witness> World<'_, S, W> {
    /// Records are durable: timers may be due at other times.
    pub(super) fn watch_records(&mut self, records: &[Record]) {
        if self.alarms.aims.is_empty() {
            return;
        }
        for record in records {
            let of = match record {
                Record::Put(Entry::Instance(instance)) => Owner::Instance(instance.id.clone()),
                Record::Put(Entry::Pod(pod)) => Owner::Pod(pod.id.clone()),
                _ => continue,
            };
            if let Some((moment, due)) = self.due(&of) {
                self.plan_alarms(moment, &of, due);
            }
        }
    }

    /// The scheduler asks for the end of a task, in a step that it took at `clock`.
    pub(super) fn watch_kill(&mut self, task_id: &TaskId, clock: Timestamp) {
        if self.alarms.aims.iter().all(|(moment, _)| *moment != Moment::KillRetry) {
            return;
        }
        let (made, due) = self.alarms.kills.entry(task_id.clone()).or_insert((0, clock));
        *due = clock + self.config.kill_pause(*made);
        *made += 1;
        let due = *due;
        self.plan_alarms(Moment::KillRetry, &Owner::Task(task_id.clone()), due);
    }

    /// A timer is due, or will be soon.
    pub(super) fn on_alarm(&mut self, alarm: &Alarm) {
        self.alarms.planned.remove(alarm);
        // Something may have happened to it meanwhile, or to the clock.
        let Some((moment, due)) = self.due(&alarm.of) else { return };
        if moment != alarm.moment {
            return;
        }
        if self.alarm_at(due, alarm.before) > self.now {
            self.plan_alarms(moment, &alarm.of, due);
            return;
        }
        let agent = self.agent_of(&alarm.of);
        self.moment_of(moment, alarm.before, agent);
        self.die_if_doomed(Boundary::Now);
    }

    fn plan_alarms(&mut self, moment: Moment, of: &Owner, due: Timestamp) {
        let before = self.alarms.aims.iter().filter(|(aim, _)| *aim == moment).map(|(_, before)| *before);
        for before in before.collect::<Vec<Span>>() {
            let at = self.alarm_at(due, before);
            let alarm = Alarm { moment, before, of: of.clone(), due };
            // It is too late to do something before it.
            let is_missed = at < self.now && before > Span::ZERO;
            if !is_missed && self.alarms.planned.insert(alarm.clone()) {
                self.queue.plan(at.max(self.now), Work::Alarm(Box::new(alarm)));
            }
        }
    }

    /// When, in true time, it is so long before `due`.
    fn alarm_at(&self, due: Timestamp, before: Span) -> Timestamp {
        let before = i64::try_from(before.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(self.daemon.true_time(due).as_millis().saturating_sub(before))
    }

    /// Which timer is due next, and when, by what is durable now.
    fn due(&self, of: &Owner) -> Option<(Moment, Timestamp)> {
        match of {
            Owner::Instance(id) => {
                let Some(Entry::Instance(instance)) = self.store.get(&Key::Instance(id.clone())) else {
                    return None;
                };
                let spec = self.store.spec(&id.pod)?;
                out_of_reach(instance, spec.scheduling.unreachable_strategy)
            }
            Owner::Pod(id) => {
                let Some(Entry::Pod(pod)) = self.store.get(&Key::Pod(id.clone())) else { return None };
                Some((Moment::BackOffEnd, pod.delay?.until))
            }
            Owner::Task(id) => {
                let (_, due) = self.alarms.kills.get(id)?;
                let parsed = id.parse().ok()?;
                let uuid = parsed.uuid;
                let Some(Entry::Instance(instance)) = self.store.get(&Key::Instance(parsed.instance()))
                else {
                    return None;
                };
                let is_wanted = instance.goal == Goal::Decommissioned || instance.kill_requested.is_some();
                (is_wanted && instance.id.uuid == uuid && !instance.has_ended())
                    .then_some((Moment::KillRetry, *due))
            }
        }
    }

    fn agent_of(&self, of: &Owner) -> Option<AgentIndex> {
        let instance = match of {
            Owner::Instance(id) => id.clone(),
            Owner::Pod(_) => return None,
            Owner::Task(id) => id.parse().ok()?.instance(),
        };
        let Some(Entry::Instance(instance)) = self.store.get(&Key::Instance(instance)) else { return None };
        let agent_id = instance.agent_id()?;
        let index = self.roll.iter().position(|enrolled| enrolled.agent_ids.contains(agent_id))?;
        u32::try_from(index).ok().map(AgentIndex)
    }
}

/// When a copy that is out of reach is replaced, or given up.
fn out_of_reach(instance: &Instance, strategy: UnreachableStrategy) -> Option<(Moment, Timestamp)> {
    if instance.goal != Goal::Running || instance.has_ended() {
        return None;
    }
    let since =
        instance.tasks.iter().filter_map(|task| Some(task.unreachable_since?.min(task.since))).min()?;
    if instance.condition == Condition::UnreachableInactive {
        Some((Moment::ExpungeTimer, since + strategy.expunge_after()?))
    } else {
        Some((Moment::InactiveTimer, since + strategy.inactive_after()?))
    }
}
