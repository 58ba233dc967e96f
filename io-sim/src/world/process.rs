//! The life of the scheduler's process: starting, taking turns, and dying in the middle of them.

use std::time::Duration;

use podium_core::model::event::ApiEventKind;
use podium_core::model::ids::FrameworkId;
use podium_core::model::mesos::{Call, Event};
use podium_core::{Action, Input, Output};

use super::daemon::{Step, Turn};
use super::link::{Number, event_key};
use super::seen::Seen;
use super::subject::Subject;
use super::{Work, World};
use crate::digest::Digest;
use crate::oracle::{Violation, Witness};
use crate::plan::{Boundary, Fault, Moment};
use crate::random::Key;

impl<S: Subject, W: Witness> World<'_, S, W> {
    /// Starts the scheduler's process from what is durable.
    pub(super) fn start_scheduler(&mut self) {
        let keeps_down =
            |fault: &Fault| matches!(fault, Fault::SchedulerCrashed { .. } | Fault::StoreFails { .. });
        if self.daemon.process.is_some() || self.is_active(keeps_down) {
            return;
        }
        let nth = self.daemon.starts + 1;
        let seed = Digest::of(&[&self.plan.seed.to_string(), "scheduler", &nth.to_string()]);
        let entries = self.store.read_back(&self.chance, nth);
        let subject = match S::start(self.config.clone(), seed, entries) {
            Ok(subject) => subject,
            Err(error) => {
                let sentence = format!("the scheduler cannot continue from what it made durable: {error}");
                self.verdict = Some(Violation::new("restore", sentence));
                return;
            }
        };
        self.daemon.start(self.now, subject);
        self.link.start_over();
        let connect = Work::Connect { process: self.daemon.starts };
        self.queue.plan(self.now + self.plan.scheduler.boot.to_duration(), connect);
        self.see(&Seen::Restarted);
    }

    /// Ends the scheduler's process. What was not written is lost with it.
    pub(super) fn kill_scheduler(&mut self, calls_lost: bool, why: &'static str) {
        if self.daemon.process.take().is_none() {
            return;
        }
        self.drop_connection(calls_lost);
        self.ask_again_later();
        self.see(&Seen::Died { why });
    }

    /// Lets the scheduler take turns as long as there is something to do and nothing is being written.
    pub(super) fn run_scheduler(&mut self) {
        while self.verdict.is_none() && self.take_turn() {}
        self.let_clients_ask();
    }

    fn take_turn(&mut self) -> bool {
        if self.daemon.process.as_ref().is_none_or(|process| process.performing) {
            return false;
        }
        let turn = match self.daemon.begin_turn(self.now) {
            Ok(Some(turn)) => turn,
            Ok(None) => return false,
            Err(_) => {
                let sentence = "the scheduler wants a tick again and again without time passing".to_owned();
                self.verdict = Some(Violation::new("rest", sentence));
                return false;
            }
        };
        for step in &turn.steps {
            if let Step::Taken { now, input, output } = step {
                self.counts.steps += 1;
                self.see(&Seen::Stepped { clock: *now, input, output });
                if matches!(input, Input::Tick) {
                    self.moment(Moment::Tick);
                }
            }
        }
        if let Some(process) = &self.daemon.process {
            self.marks |= process.subject.scheduler().marks();
        }
        if !turn.has_records() {
            self.perform(turn);
            return true;
        }
        self.foresee(&turn);
        if self.die_if_doomed(Boundary::BeforeWrite) {
            return false;
        }
        let write = self.slow_write.unwrap_or_else(|| self.time_to_write(&turn));
        let process = self.daemon.starts;
        self.daemon.begin_write(self.now, turn);
        if write > Duration::ZERO {
            self.queue.plan(self.now + write, Work::Written { process });
            return false;
        }
        self.on_written(process);
        true
    }

    /// How long it takes to write what a turn decided: drawn by the first event that it was about.
    fn time_to_write(&mut self, turn: &Turn) -> Duration {
        let events = turn.steps.iter().find_map(|step| match step {
            Step::Taken { input: Input::Event(event), .. } => Some(event),
            _ => None,
        });
        let key = Key::of("write");
        let key = events.map_or_else(|| key.moment(self.now), |event| event_key(key, event, self.now));
        self.plan.scheduler.write.draw(&mut self.chance.next(key))
    }

    /// What a turn is about to do are moments of their own: to die before it is done.
    fn foresee(&mut self, turn: &Turn) {
        self.moment(Moment::Write);
        for action in turn.actions() {
            let moment = match action {
                Action::Accept(_) => Moment::WriteAccept,
                Action::Call(Call::Kill { .. }) => Moment::WriteKill,
                Action::Reply { .. } => Moment::WriteReply,
                Action::Call(_) | Action::LookUpSecrets(_) | Action::Publish(_) => continue,
            };
            self.moment(moment);
        }
    }

    /// A write is done.
    pub(super) fn on_written(&mut self, process: u64) {
        if self.daemon.starts != process {
            return;
        }
        let Some(turn) = self.daemon.end_write(self.now) else { return };
        if let Some(fault) = self.store_failure.take() {
            if matches!(self.plan.faults[fault].what, Fault::StoreFails { applied: true, .. }) {
                self.make_durable(&turn, usize::MAX);
            }
            self.die_of(fault, "a write failed");
            return;
        }
        if let Some(doom) = self.daemon.process.as_ref().and_then(|running| running.doom)
            && let Boundary::DuringWrite(steps) = doom.boundary
        {
            self.make_durable(&turn, steps as usize);
            self.die_of(doom.fault, "it crashed in the middle of a write");
            return;
        }
        self.make_durable(&turn, usize::MAX);
        if self.die_if_doomed(Boundary::AfterWrite) {
            return;
        }
        self.perform(turn);
        self.run_scheduler();
    }

    /// Makes what the first so many steps of a turn led to durable, step by step.
    fn make_durable(&mut self, turn: &Turn, steps: usize) {
        let taken = turn.steps.iter().filter_map(|step| match step {
            Step::Connected(_) => None,
            Step::Taken { input, output, .. } => Some((input, output)),
        });
        for (input, output) in taken.take(steps) {
            self.store.apply(output.records.iter().cloned());
            self.watch_records(&output.records);
            self.announce(input, output);
            if !output.records.is_empty() {
                self.see(&Seen::Written(&output.records));
            }
        }
    }

    /// What a step was told is now known to whatever process comes after this one.
    fn announce(&mut self, input: &Input, output: &Output) {
        match input {
            Input::Event(event) => self.see(&Seen::Heard(event)),
            Input::Command { id, command, .. } => {
                let reply = output.actions.iter().find_map(|action| match action {
                    Action::Reply { id: of, result } if of == id => Some(result),
                    _ => None,
                });
                if let Some(result) = reply {
                    self.see(&Seen::Decided { command, result });
                }
            }
            Input::Disconnected
            | Input::FrameworkRemoved
            | Input::Refused { .. }
            | Input::Resumed
            | Input::Secrets(_)
            | Input::Tick => {}
        }
    }

    /// Does what a turn decided, in order.
    fn perform(&mut self, turn: Turn) {
        if !turn.has_records() {
            self.make_durable(&turn, usize::MAX);
        }
        let count = turn.actions().count();
        let mut done = 0;
        self.set_performing(true);
        for step in turn.steps {
            match step {
                Step::Connected(number) => self.set_connection(Some(number)),
                Step::Taken { now, input, output } => {
                    match input {
                        Input::Disconnected => {
                            self.set_connection(None);
                            self.see(&Seen::Disconnected);
                        }
                        Input::Event(event) if is_subscribed(&event) => self.see(&Seen::Subscribed),
                        _ => {}
                    }
                    for action in output.actions {
                        if self.verdict.is_some() {
                            return;
                        }
                        if let Action::Call(Call::Kill { task_id, .. }) = &action {
                            self.watch_kill(task_id, now);
                        }
                        self.act(action);
                        done += 1;
                        if self.is_doomed_after(done, count) {
                            self.die();
                            return;
                        }
                    }
                }
            }
        }
        self.set_performing(false);
        self.die_if_doomed(Boundary::Now);
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Accept(accept) => {
                let Some(process) = &self.daemon.process else { return };
                let call = process.subject.scheduler().accept_call(&accept);
                self.say(call, Some(Moment::Accept));
            }
            Action::Call(call) => {
                let moment = match &call {
                    Call::Acknowledge { .. } => Some(Moment::Acknowledge),
                    Call::Kill { .. } => Some(Moment::Kill),
                    _ => None,
                };
                self.say(call, moment);
            }
            // The simulated daemon has no secret store: references go to the agents.
            Action::LookUpSecrets(_) => {}
            Action::Publish(event) => {
                self.see(&Seen::Published(&event));
                if matches!(event.kind, ApiEventKind::DeploymentInfo { .. }) {
                    self.moment(Moment::DeploymentStep);
                }
            }
            Action::Reply { id, result } => {
                self.answer_command(id, result);
                self.moment(Moment::Reply);
            }
        }
    }

    fn say(&mut self, call: Call, moment: Option<Moment>) {
        let connection = self.daemon.process.as_ref().and_then(|process| process.connection);
        if connection.is_some() {
            self.see(&Seen::Call(&call));
        }
        self.send_call(connection, call);
        if let Some(moment) = moment {
            self.moment(moment);
        }
    }

    fn set_connection(&mut self, connection: Option<Number>) {
        self.alarms.forget_kills();
        if let Some(process) = &mut self.daemon.process {
            process.connection = connection;
        }
    }

    pub(super) fn set_performing(&mut self, performing: bool) {
        if let Some(process) = &mut self.daemon.process {
            process.performing = performing;
        }
    }

    /// Whether the process is to die after `done` of `count` actions.
    fn is_doomed_after(&self, done: usize, count: usize) -> bool {
        match self.doomed_at() {
            Some(Boundary::Now) => true,
            Some(Boundary::AfterActions(actions)) => {
                done == (actions as usize).clamp(1, count.saturating_sub(1).max(1))
            }
            _ => false,
        }
    }

    fn doomed_at(&self) -> Option<Boundary> {
        Some(self.daemon.process.as_ref()?.doom?.boundary)
    }

    /// Lets the process die if it is to die at `boundary`, or wherever it is. Says whether it did.
    pub(super) fn die_if_doomed(&mut self, boundary: Boundary) -> bool {
        let due = self.doomed_at().is_some_and(|doomed| doomed == boundary || doomed == Boundary::Now);
        if due {
            self.die();
        }
        due
    }

    /// Lets the process die of what it is doomed by.
    fn die(&mut self) {
        if let Some(doom) = self.daemon.process.as_ref().and_then(|process| process.doom) {
            self.die_of(doom.fault, "it crashed");
        }
    }

    /// The framework's id as the process knows it: part of every call.
    pub(super) fn store_framework_id(&self) -> Option<FrameworkId> {
        self.daemon.process.as_ref()?.subject.scheduler().framework_id().cloned()
    }
}

fn is_subscribed(event: &Event) -> bool {
    matches!(event, Event::Subscribed { .. })
}
