//! The scheduler's process: the driver's contract, with every place where a process can die.
//!
//! ```text
//!   inbox ─► step, step, … ─► write ─────────► perform, perform, …
//!              a turn     │           │       │        │
//!                         ▼           ▼       ▼        ▼
//!                    the process can die at each of these boundaries
//! ```
//!
//! All inputs that wait when a turn begins are stepped in it and share its write. What a turn decided becomes
//! visible to anybody only after its write.

use std::collections::VecDeque;
use std::time::Duration;

use podium_core::model::mesos::{Call, Event};
use podium_core::model::time::Timestamp;
use podium_core::{Action, Command, CommandId, Input, Origin, Output};

use super::link::Number;
use super::subject::Subject;
use crate::plan::{Boundary, Span};

/// So many inputs share one write at most.
const MAX_BATCH: usize = 1024;
/// A process that did not get to run for longer, or whose clock was set forward by more, doubts what it knows.
const LONGEST_ABSENCE: Duration = Duration::from_secs(60);

/// The process, or the place where it is to be.
#[derive(Clone, Debug)]
pub(super) struct Daemon<S> {
    pub(super) process: Option<Box<Process<S>>>,
    /// How often it was started.
    pub(super) starts: u64,
    /// How far the machine's clock is from the truth, in milliseconds.
    wall_offset: i64,
    /// How far the process' clock is, which never goes back.
    offset: i64,
}

/// A process that runs.
#[derive(Clone, Debug)]
pub(super) struct Process<S> {
    pub(super) subject: S,
    /// When the scheduler wants a tick: only a step changes that.
    deadline: Option<Timestamp>,
    inbox: VecDeque<Incoming>,
    /// What is being written.
    pub(super) turn: Option<Turn>,
    /// Where the calls go.
    pub(super) connection: Option<Number>,
    pub(super) suspended: bool,
    /// Since when, by its clock, it has been suspended or waits for its write.
    absent_since: Timestamp,
    /// Since when it has run without being suspended.
    pub(super) awake_since: Timestamp,
    /// It is in the middle of doing what a turn decided.
    pub(super) performing: bool,
    /// Where it is to die.
    pub(super) doom: Option<Doom>,
    /// How often a timer fired at one and the same time.
    ticks: (Timestamp, u32),
}

/// A death that is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Doom {
    pub(super) boundary: Boundary,
    pub(super) fault: usize,
}

/// What waits to be stepped.
#[derive(Clone, Debug)]
pub(super) enum Incoming {
    Command {
        id: CommandId,
        origin: Origin,
        command: Box<Command>,
    },
    /// There is a new connection; `SUBSCRIBED` follows.
    Connected(Number),
    Disconnected,
    Event(Box<Event>),
    FrameworkRemoved,
    Refused {
        call: Box<Call>,
        reason: String,
    },
    Resumed,
}

/// What was stepped and is to be written.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) steps: Vec<Step>,
}

/// One step of a turn.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// From here on calls go to this connection.
    Connected(Number),
    /// The scheduler's step.
    Taken { now: Timestamp, input: Input, output: Output },
}

impl Turn {
    pub(super) fn has_records(&self) -> bool {
        self.outputs().any(|output| !output.records.is_empty())
    }

    pub(super) fn actions(&self) -> impl Iterator<Item = &Action> {
        self.outputs().flat_map(|output| &output.actions)
    }

    fn outputs(&self) -> impl Iterator<Item = &Output> {
        self.steps.iter().filter_map(|step| match step {
            Step::Connected(_) => None,
            Step::Taken { output, .. } => Some(output),
        })
    }
}

impl<S: Subject> Daemon<S> {
    pub(super) fn new() -> Self {
        Self { process: None, starts: 0, wall_offset: 0, offset: 0 }
    }

    /// Starts the process. Its clock begins at the newest time that is stored, if the machine's is behind it.
    pub(super) fn start(&mut self, now: Timestamp, subject: S) {
        self.starts += 1;
        self.offset = self.wall_offset.max(subject.scheduler().now().as_millis() - now.as_millis());
        self.process = Some(Box::new(Process {
            deadline: subject.deadline(),
            subject,
            inbox: VecDeque::new(),
            turn: None,
            connection: None,
            suspended: false,
            absent_since: now,
            awake_since: now,
            performing: false,
            doom: None,
            ticks: (Timestamp::EPOCH, 0),
        }));
    }

    /// The machine's clock is set.
    pub(super) fn set_clock(&mut self, now: Timestamp, by: Span, back: bool) {
        let before = self.clock(now);
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.wall_offset += if back { -by } else { by };
        // The process' own clock goes on from where it was when the machine's is set back.
        self.offset = self.offset.max(self.wall_offset);
        if self.process.as_ref().is_some_and(|process| process.is_idle()) {
            self.note_absence(now, before);
        }
    }

    /// The process is suspended.
    pub(super) fn suspend(&mut self, now: Timestamp) {
        let clock = self.clock(now);
        if let Some(process) = self.process.as_mut().filter(|process| !process.suspended) {
            if process.turn.is_none() {
                process.absent_since = clock;
            }
            process.suspended = true;
        }
    }

    pub(super) fn is_suspended(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.suspended)
    }

    /// The process goes on.
    pub(super) fn resume(&mut self, now: Timestamp) {
        if let Some(process) = &mut self.process {
            process.suspended = false;
            process.awake_since = now;
            if process.turn.is_none() {
                let since = process.absent_since;
                self.note_absence(now, since);
            }
        }
    }

    /// The process waits until this turn is written.
    pub(super) fn begin_write(&mut self, now: Timestamp, turn: Turn) {
        let clock = self.clock(now);
        if let Some(process) = &mut self.process {
            process.absent_since = clock;
            process.turn = Some(turn);
        }
    }

    /// The turn that is being written, which is over.
    pub(super) fn end_write(&mut self, now: Timestamp) -> Option<Turn> {
        let process = self.process.as_mut()?;
        let turn = process.turn.take()?;
        if !process.suspended {
            let since = process.absent_since;
            self.note_absence(now, since);
        }
        Some(turn)
    }

    /// The process looks at its clock for the first time since it showed `since`.
    fn note_absence(&mut self, now: Timestamp, since: Timestamp) {
        let clock = self.clock(now);
        if let Some(process) = self.process.as_mut().filter(|_| clock.since(since) > LONGEST_ABSENCE) {
            process.inbox.push_front(Incoming::Resumed);
        }
    }

    /// What time it is for the process.
    pub(super) fn clock(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_millis(now.as_millis() + self.offset)
    }

    /// The true time at which the process' clock shows `clock`.
    pub(super) fn true_time(&self, clock: Timestamp) -> Timestamp {
        Timestamp::from_millis(clock.as_millis() - self.offset)
    }

    /// When the scheduler wants a tick, in true time; only if it can have one.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let process = self.process.as_ref().filter(|process| process.is_idle())?;
        let deadline = process.deadline?;
        Some(self.true_time(deadline))
    }

    /// Gives the process something to step. Without a process it is lost.
    pub(super) fn push(&mut self, incoming: Incoming) {
        if let Some(process) = &mut self.process {
            process.inbox.push_back(incoming);
        }
    }

    /// Steps everything that waits, if nothing is being written. None if there was nothing to do.
    ///
    /// # Errors
    /// The scheduler wants a tick again and again without time passing.
    pub(super) fn begin_turn(&mut self, now: Timestamp) -> Result<Option<Turn>, Restless> {
        let clock = self.clock(now);
        let Some(process) = self.process.as_mut().filter(|process| process.is_idle()) else {
            return Ok(None);
        };
        let mut steps = Vec::new();
        while steps.len() < MAX_BATCH
            && let Some(incoming) = process.inbox.pop_front()
        {
            let input = match incoming {
                Incoming::Command { id, origin, command } => Input::Command { id, origin, command },
                Incoming::Connected(number) => {
                    steps.push(Step::Connected(number));
                    continue;
                }
                Incoming::Disconnected => Input::Disconnected,
                Incoming::Event(event) => Input::Event(event),
                Incoming::FrameworkRemoved => Input::FrameworkRemoved,
                Incoming::Refused { call, reason } => Input::Refused { call, reason },
                Incoming::Resumed => Input::Resumed,
            };
            steps.push(process.step(clock, input));
        }
        if process.deadline.is_some_and(|deadline| deadline <= clock) {
            process.count_tick(clock)?;
            steps.push(process.step(clock, Input::Tick));
        }
        Ok((!steps.is_empty()).then_some(Turn { steps }))
    }
}

/// The scheduler wants a tick again and again without time passing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Restless;

impl<S: Subject> Process<S> {
    /// Whether it may begin a turn.
    pub(super) fn is_idle(&self) -> bool {
        self.turn.is_none() && !self.suspended && !self.performing
    }

    fn step(&mut self, now: Timestamp, input: Input) -> Step {
        let output = self.subject.step(now, input.clone());
        self.deadline = self.subject.deadline();
        Step::Taken { now, input, output }
    }

    fn count_tick(&mut self, now: Timestamp) -> Result<(), Restless> {
        const MOST: u32 = 1000;
        self.ticks = if self.ticks.0 == now { (now, self.ticks.1 + 1) } else { (now, 1) };
        if self.ticks.1 > MOST { Err(Restless) } else { Ok(()) }
    }
}
