//! What a page needs to know of a run.

use std::collections::{BTreeMap, BTreeSet};

use podium_core::model::event::{ApiEvent, ApiEventKind};
use podium_core::model::ids::InstanceId;
use podium_core::model::instance::{Condition, Goal};
use podium_core::{Entry, Input, Key, Output, Record};
use serde::Serialize;
use serde_json::Value;

use super::compact;
use crate::oracle::Violation;
use crate::trace::{Trace, describe_fault, hostname, millis};
use crate::world::{Scene, Seen};

/// Watches a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Recorder {
    moments: Vec<Moment>,
    bars: Vec<Bar>,
    faults: Vec<Shade>,
    deployments: Vec<Stretch>,
    scheduler: Vec<Stretch>,
    #[serde(skip)]
    trace: Trace,
    /// How much of the trace belongs to the moments so far.
    #[serde(skip)]
    told: usize,
    /// The bar of each instance that is not over.
    #[serde(skip)]
    open: BTreeMap<InstanceId, usize>,
    /// Instances that are not part of the durable state any more.
    #[serde(skip)]
    gone: BTreeSet<InstanceId>,
    /// The durable state, entry by entry.
    #[serde(skip)]
    state: BTreeMap<Key, Value>,
    #[serde(skip)]
    now: u64,
}

/// Something happened.
#[derive(Clone, Debug, Serialize)]
struct Moment {
    /// In milliseconds since the start.
    at: u64,
    /// In short.
    what: String,
    /// What the scheduler was told; absent if something happened outside.
    #[serde(skip_serializing_if = "Value::is_null")]
    input: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    records: Vec<Change>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actions: Vec<(String, Value)>,
    /// What followed: lines of the trace.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    story: Vec<[String; 4]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    violation: Option<String>,
}

/// What a record changed in the durable state.
#[derive(Clone, Debug, Serialize)]
struct Change {
    key: String,
    /// Whose record it is: to be named once the story has named it.
    #[serde(skip)]
    instance: Option<InstanceId>,
    /// Path, old value, new value.
    difference: Vec<(String, Value, Value)>,
}

/// An instance on one agent, or waiting.
#[derive(Clone, Debug, Serialize)]
struct Bar {
    name: String,
    /// The agent's name; absent while it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    end: Option<u64>,
    /// Since when, its condition, whether it is to end, and the moment that made it so.
    parts: Vec<(u64, Condition, bool, usize)>,
}

/// A fault.
#[derive(Clone, Debug, Serialize)]
struct Shade {
    /// The fault's index in the plan; absent for what only the master believes.
    index: Option<usize>,
    what: String,
    agent: Option<u32>,
    from: u64,
    to: Option<u64>,
    moment: usize,
}

/// Something that was so for a while.
#[derive(Clone, Debug, Serialize)]
struct Stretch {
    what: String,
    from: u64,
    to: Option<u64>,
    moment: usize,
}

impl Recorder {
    /// Writes down what has happened.
    pub(crate) fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) {
        self.now = millis(scene.start, scene.now);
        if let Seen::Stepped { input, output, .. } = seen {
            self.add_step(input, output);
        }
        self.trace.see(seen, scene);
        let is_new = self.trace.lines().len() > self.told;
        if is_new && is_outside(seen) {
            self.add_moment(String::new());
        }
        self.tell();
        self.follow(seen, scene);
    }

    /// Writes down what ended the run, after so many milliseconds.
    pub(crate) fn note_violation(&mut self, violation: &Violation, at: u64) {
        self.now = at;
        self.trace.note_violation(violation, at);
        // What is judged because time has passed has a moment of its own.
        if self.moments.last().is_none_or(|last| last.at < at) {
            self.add_moment(String::new());
        }
        self.tell();
        if let Some(moment) = self.moments.last_mut() {
            moment.violation = Some(violation.to_string());
        }
    }

    /// When the run ended, in milliseconds.
    pub(super) fn end(&self) -> u64 {
        self.now
    }

    /// Ends what is still going on.
    pub(super) fn finish(&mut self) {
        let now = Some(self.now);
        let names = self.trace.names();
        for change in self.moments.iter_mut().flat_map(|moment| &mut moment.records) {
            if let Some(id) = change.instance.take() {
                change.key = format!("{}: {}", names.instance(&id), change.key);
            }
        }
        self.bars.iter_mut().for_each(|bar| bar.end = bar.end.or(now));
        self.faults.iter_mut().for_each(|shade| shade.to = shade.to.or(now));
        self.deployments.iter_mut().chain(&mut self.scheduler).for_each(|it| it.to = it.to.or(now));
    }

    fn add_moment(&mut self, what: String) {
        self.moments.push(Moment {
            at: self.now,
            what,
            input: Value::Null,
            records: Vec::new(),
            actions: Vec::new(),
            story: Vec::new(),
            violation: None,
        });
    }

    fn add_step(&mut self, input: &Input, output: &Output) {
        let (what, input) = compact::input(input);
        self.add_moment(what);
        let records = output.records.iter().map(|record| self.change(record)).collect();
        if let Some(moment) = self.moments.last_mut() {
            moment.input = input;
            moment.records = records;
            moment.actions = output.actions.iter().map(compact::action).collect();
        }
    }

    fn change(&mut self, record: &Record) -> Change {
        let (key, new) = match record {
            Record::Delete(key) => (key.clone(), Value::Null),
            Record::Put(entry) => {
                (entry.key(), compact::clean(serde_json::to_value(entry).unwrap_or_default()))
            }
        };
        let old = self.state.remove(&key).unwrap_or_default();
        let difference = compact::difference(&old, &new);
        let shown = key.to_string();
        let instance = match &key {
            Key::Instance(id) | Key::Forgotten(id) => Some(id.clone()),
            _ => None,
        };
        if !new.is_null() {
            self.state.insert(key, new);
        }
        Change { key: shown, instance, difference }
    }

    /// Adds the new lines of the trace to the newest moment.
    fn tell(&mut self) {
        let Some(moment) = self.moments.last_mut() else { return };
        for line in &self.trace.lines()[self.told..] {
            if moment.what.is_empty() {
                moment.what = format!("{} {} {}", line.who, line.to, line.why).trim_end().to_owned();
            }
            moment.story.push([&line.who, &line.from, &line.to, &line.why].map(Clone::clone));
        }
        self.told = self.trace.lines().len();
    }

    /// Draws bars, shades and stretches.
    fn follow(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) {
        let moment = self.moments.len().saturating_sub(1);
        let (now, start) = (self.now, |what: &str| Stretch {
            what: what.to_owned(),
            from: millis(scene.start, scene.now),
            to: None,
            moment,
        });
        match seen {
            Seen::FaultBegan { index, fault } => self.faults.push(Shade {
                index: Some(*index),
                what: format!("{} {}", fault.name(), describe_fault(*index, scene)),
                agent: fault.agent(),
                from: now,
                // What has no end is not announced as over.
                to: fault.lasts().is_none().then_some(now),
                moment,
            }),
            Seen::FaultEnded { index, .. } => {
                let begun = self.faults.iter_mut().filter(|shade| shade.index == Some(*index));
                begun.for_each(|shade| shade.to = Some(now));
            }
            Seen::Agent { agent, to, .. } => {
                let index = agent.0;
                let open =
                    self.faults.iter_mut().rev().find(|shade| {
                        shade.index.is_none() && shade.agent == Some(index) && shade.to.is_none()
                    });
                if let Some(shade) = open {
                    shade.to = Some(now);
                }
                if *to != crate::cluster::AgentStanding::Registered {
                    let what = format!("the master takes {} for {to:?}", hostname(*agent, scene));
                    let agent = Some(index);
                    self.faults.push(Shade { index: None, what, agent, from: now, to: None, moment });
                }
            }
            Seen::Restarted => self.change_scheduler(start("connecting")),
            Seen::Subscribed => self.change_scheduler(start("subscribed")),
            Seen::Disconnected => self.change_scheduler(start("disconnected")),
            Seen::Died { why } => self.change_scheduler(start(&format!("down: {why}"))),
            Seen::Published(event) => self.follow_event(event, moment),
            Seen::Written(records) => records.iter().for_each(|record| self.follow_record(record)),
            _ => {}
        }
    }

    fn follow_record(&mut self, record: &Record) {
        match record {
            Record::Delete(Key::Instance(id)) => {
                self.close_bar(id);
                self.gone.insert(id.clone());
            }
            Record::Put(Entry::Instance(instance)) => _ = self.gone.remove(&instance.id),
            _ => {}
        }
    }

    fn change_scheduler(&mut self, next: Stretch) {
        if let Some(last) = self.scheduler.last_mut() {
            last.to = Some(next.from);
        }
        self.scheduler.push(next);
    }

    fn follow_event(&mut self, event: &ApiEvent, moment: usize) {
        match &event.kind {
            ApiEventKind::InstanceChangedEvent { instance_id, condition, goal, host, .. } => {
                let agent = host.clone().filter(|_| *condition != Condition::Scheduled);
                let part = (self.now, *condition, *goal != Goal::Running, moment);
                self.add_part(instance_id, agent, part);
            }
            ApiEventKind::DeploymentInfo { plan, .. } => {
                let name = self.trace.names().deployment(&plan.id);
                if !self.deployments.iter().any(|it| it.to.is_none() && it.what.starts_with(&name)) {
                    let pods = plan.steps.iter().flat_map(|step| &step.actions).map(|it| it.pod.to_string());
                    let pods: BTreeSet<String> = pods.collect();
                    let pods: Vec<String> = pods.into_iter().collect();
                    let what = format!("{name}: {}", pods.join(", "));
                    self.deployments.push(Stretch { what, from: self.now, to: None, moment });
                }
            }
            ApiEventKind::DeploymentSuccess { id, .. } | ApiEventKind::DeploymentFailed { id, .. } => {
                let name = format!("{}:", self.trace.names().deployment(id));
                let open = self.deployments.iter_mut().filter(|it| it.what.starts_with(&name));
                open.for_each(|it| it.to = it.to.or(Some(self.now)));
            }
            _ => {}
        }
    }

    fn add_part(&mut self, id: &InstanceId, agent: Option<String>, part: (u64, Condition, bool, usize)) {
        let name = self.trace.names().instance(id);
        if self.gone.contains(id) {
            // The last that is heard of it comes after its record is gone.
            let last = self.bars.iter_mut().rev().find(|bar| bar.name == name);
            last.into_iter().for_each(|bar| bar.parts.push(part));
            return;
        }
        let is_over = part.1.is_terminal();
        let open = self.open.get(id).map(|index| &mut self.bars[*index]);
        match open {
            Some(bar) if bar.agent == agent || is_over => bar.parts.push(part),
            _ => {
                self.close_bar(id);
                self.open.insert(id.clone(), self.bars.len());
                self.bars.push(Bar { name, agent, end: None, parts: vec![part] });
            }
        }
        if is_over {
            self.close_bar(id);
        }
    }

    fn close_bar(&mut self, id: &InstanceId) {
        if let Some(index) = self.open.remove(id) {
            self.bars[index].end = Some(self.now);
        }
    }
}

/// Whether it happens outside of the scheduler, and not because of its last step.
fn is_outside(seen: &Seen<'_>) -> bool {
    matches!(
        seen,
        Seen::Agent { .. }
            | Seen::Died { .. }
            | Seen::Ended { .. }
            | Seen::FaultBegan { .. }
            | Seen::FaultEnded { .. }
            | Seen::Launched(_)
            | Seen::Mended
            | Seen::Restarted
            | Seen::Started(_)
    )
}
