//! What can happen next in a world, if it is not left to the clock: for whoever wants to see all of it.
//!
//! ```text
//!   messages  calls and events (each way in its order), containers that start and end, writes that complete:
//!             may come in any order, and may let timers overtake them for a while
//!   timers    of the scheduler, the cluster, the connection: in the order of time
//!   turns     what the plan breaks or asks for, and the end of what is broken: at any moment
//! ```

use std::fmt::{self, Debug};
use std::time::Duration;

use podium_core::model::time::Timestamp;

use super::containers::Timer;
use super::link::Down;
use super::link::Up;
use super::{Subject, Work, World};
use crate::cluster;
use crate::oracle::{Violation, Witness};
use crate::world::Seen;

/// Something that can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// What was planned under this number.
    Planned(u64),
    /// A timer of the cluster.
    Cluster,
    /// A timer of the scheduler.
    Scheduler,
    /// Time passes for those who watch.
    Witness,
}

/// How something planned may be moved about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// After everything else of the same line.
    Message(Line),
    Timer,
    Turn,
}

/// Things that do not overtake each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Calls,
    Events,
    Container(u64),
    Writes,
}

impl<S: Subject, W: Witness> World<'_, S, W> {
    /// Lets everything happen as usual for so long.
    ///
    /// # Errors
    /// What was violated.
    pub fn run_for(&mut self, span: Duration) -> Result<(), Violation> {
        let until = self.now + span;
        let next = |world: &Self| {
            let planned = world.queue.deadline();
            let all = [planned, world.cluster.deadline(), world.daemon.deadline(), world.witness.deadline()];
            all.into_iter().flatten().min()
        };
        while next(self).is_some_and(|at| at <= until) && self.advance() {}
        self.verdict.take().map_or(Ok(()), Err)
    }

    /// What can happen next, if timers may overtake messages by up to `delay`. Nothing at the plan's end.
    pub fn choices(&self, delay: Duration) -> Vec<Choice> {
        let mut planned: Vec<(Timestamp, u64, Kind)> =
            self.queue.iter().map(|(at, serial, work)| (at, serial, kind(work))).collect();
        planned.sort_unstable_by_key(|(at, serial, _)| (*at, *serial));
        let mut lines: Vec<(Line, Timestamp, u64)> = Vec::new();
        for (at, serial, kind) in &planned {
            if let Kind::Message(line) = kind
                && !lines.iter().any(|(other, ..)| other == line)
            {
                lines.push((*line, *at, *serial));
            }
        }
        let first_message = lines.iter().map(|(_, at, _)| *at).min();
        let timer = planned
            .iter()
            .find(|(_, _, kind)| *kind == Kind::Timer)
            .map(|(at, serial, _)| (*at, Choice::Planned(*serial)));
        let timers = [
            timer,
            self.cluster.deadline().map(|at| (at, Choice::Cluster)),
            self.daemon.deadline().map(|at| (at, Choice::Scheduler)),
            self.witness.deadline().map(|at| (at.max(self.told_at + super::INSTANT), Choice::Witness)),
        ];
        // Of those due at the same time the first one.
        let timer = timers.into_iter().flatten().min_by_key(|(at, _)| *at);
        let mut choices = Vec::new();
        for (_, at, serial) in lines {
            if timer.is_none_or(|(due, _)| at.max(self.now) <= due.max(self.now)) {
                choices.push(Choice::Planned(serial));
            }
        }
        if let Some((at, choice)) = timer
            && at <= self.end
            && first_message.is_none_or(|message| at <= message.max(self.now) + delay)
        {
            choices.push(choice);
        }
        let turns = planned.iter().filter(|(_, _, kind)| *kind == Kind::Turn);
        choices.extend(turns.map(|(_, serial, _)| Choice::Planned(*serial)));
        choices
    }

    /// Lets it happen.
    ///
    /// # Errors
    /// What was violated.
    pub fn choose(&mut self, choice: Choice) -> Result<(), Violation> {
        let before = self.now;
        self.counts.events += 1;
        match choice {
            Choice::Planned(serial) => {
                if let Some((at, work)) = self.queue.take(serial) {
                    if kind(&work) != Kind::Turn {
                        self.now = self.now.max(at);
                    }
                    self.work(work);
                }
            }
            Choice::Cluster => {
                self.now = self.cluster.deadline().map_or(self.now, |at| at.max(self.now));
                self.step_cluster(cluster::Input::Tick);
            }
            Choice::Scheduler => {
                self.now = self.daemon.deadline().map_or(self.now, |at| at.max(self.now));
                self.run_scheduler();
            }
            Choice::Witness => {
                let due = self.witness.deadline().map(|at| at.max(self.told_at + super::INSTANT));
                self.now = due.map_or(self.now, |at| at.max(self.now));
            }
        }
        if self.now > before {
            self.told_at = self.now;
            self.see(&Seen::Time);
        }
        self.verdict.take().map_or(Ok(()), Err)
    }

    /// What a choice is, for people.
    pub fn describe(&self, choice: Choice) -> String {
        match choice {
            Choice::Planned(serial) => self
                .queue
                .iter()
                .find(|(_, other, _)| *other == serial)
                .map_or_else(String::new, |(_, _, work)| self.name(work)),
            Choice::Cluster => "a timer of the cluster fires".to_owned(),
            Choice::Scheduler => "a timer of the scheduler fires".to_owned(),
            Choice::Witness => "time passes".to_owned(),
        }
    }

    fn name(&self, work: &Work) -> String {
        match work {
            Work::Up { message: Up::Call { call, .. }, .. } => {
                format!("the master gets {}", first_word(call))
            }
            Work::Up { message: Up::Subscribe(_), .. } => "the master gets SUBSCRIBE".to_owned(),
            Work::Up { message: Up::Close, .. } => "the master sees the connection end".to_owned(),
            Work::Down { message: Down::Event(event), .. } => {
                format!("the scheduler gets {}", first_word(event))
            }
            Work::Down { message: Down::Answered(answer), .. } => {
                format!("the scheduler is answered {answer:?}")
            }
            Work::Down { message: Down::Refused { call, .. }, .. } => {
                format!("the scheduler hears that {} is refused", first_word(call))
            }
            Work::Down { message: Down::Closed, .. } => "the scheduler sees the connection end".to_owned(),
            Work::Container(timer) => format!("container: {timer:?}"),
            Work::FaultDue(index) | Work::FaultBegins(index) => {
                format!("{} begins", self.plan.faults[*index].what.name())
            }
            Work::FaultEnds(index) => format!("{} ends", self.plan.faults[*index].what.name()),
            other => first_word(other),
        }
    }

    /// Everything that the future depends on, written out; but not the generators of chance, whose draws are names.
    pub(crate) fn write_state(&self, out: &mut impl fmt::Write) -> fmt::Result
    where
        S: Debug,
        W: Debug,
    {
        let mut planned: Vec<_> = self.queue.iter().collect();
        planned.sort_unstable_by_key(|(at, serial, work)| (line_number(kind(work)), *at, *serial));
        for (at, _, work) in planned {
            // What was planned for the past is as good as planned for now.
            write!(out, "{:?} {work:?};", at.max(self.now))?;
        }
        write!(out, "{:?}{:?}{:?}", self.cluster, self.containers, self.link)?;
        write!(out, "{:?}{:?}{:?}", self.daemon, self.store, self.clients)?;
        write!(out, "{:?}{:?}{:?}", self.faults, self.witness, self.store_failure)?;
        write!(out, "{:?}{}{}", self.roll, self.mended, self.roll_call)
    }

    /// The time, to which others are relative.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }
}

fn kind(work: &Work) -> Kind {
    match work {
        Work::Up { .. } => Kind::Message(Line::Calls),
        Work::Down { .. } => Kind::Message(Line::Events),
        Work::Written { .. } => Kind::Message(Line::Writes),
        Work::Container(
            Timer::Destroyed { ordinal }
            | Timer::Exit { ordinal, .. }
            | Timer::LaunchFailed { ordinal }
            | Timer::Started { ordinal },
        ) => Kind::Message(Line::Container(*ordinal)),
        Work::FaultDue(_) | Work::OrderDue(_) | Work::FaultEnds(_) => Kind::Turn,
        Work::Alarm(_)
        | Work::Connect { .. }
        | Work::ConnectTimeout { .. }
        | Work::Container(Timer::Probe { .. })
        | Work::DeclareGone
        | Work::FaultBegins(_)
        | Work::Mended
        | Work::Order(_)
        | Work::ReadAgain { .. }
        | Work::RollCall
        | Work::SilenceCheck { .. }
        | Work::Start
        | Work::Supervise
        | Work::UnansweredCheck { .. } => Kind::Timer,
    }
}

/// Lines in an order that does not depend on which was planned first.
fn line_number(kind: Kind) -> (u8, u64) {
    match kind {
        Kind::Message(Line::Calls) => (0, 0),
        Kind::Message(Line::Events) => (1, 0),
        Kind::Message(Line::Writes) => (2, 0),
        Kind::Message(Line::Container(ordinal)) => (3, ordinal),
        Kind::Timer => (4, 0),
        Kind::Turn => (5, 0),
    }
}

/// The name of a variant, with its beginning.
fn first_word(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    let short: String = text.chars().take(60).collect();
    if short.len() < text.len() { format!("{short}…") } else { text }
}
