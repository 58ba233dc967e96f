//! How the scheduler's process and the master talk over the link.

use podium_core::model::mesos::{Call, Event};

use super::daemon::Incoming;
use super::link::{Blocked, CONNECT, Down, Link, Number, SILENCE, State, UNANSWERED, Up};
use super::subject::Subject;
use super::{INSTANT, Work, World};
use crate::cluster::{self, Answer, RequestId};
use crate::oracle::Witness;
use crate::plan::{Fault, Moment};
use crate::random::Key;

impl<S: Subject, W: Witness> World<'_, S, W> {
    /// The process tries to subscribe.
    pub(super) fn connect(&mut self, process: u64) {
        let Some(running) = self.daemon.process.as_ref().filter(|_| self.daemon.starts == process) else {
            return;
        };
        if self.link.state != State::Closed {
            return;
        }
        let subscription = running.subject.scheduler().subscription(self.daemon.clock(self.now));
        let number = self.link.open(self.now);
        if self.link.blocked.any() {
            self.queue.plan(self.now + CONNECT, Work::ConnectTimeout { number });
            return;
        }
        self.send_up(number, Up::Subscribe(Box::new(subscription)));
        self.queue.plan(self.now + SILENCE, Work::SilenceCheck { number });
    }

    /// The process sends a call. One for a connection that is over goes nowhere.
    pub(super) fn send_call(&mut self, connection: Option<Number>, call: Call) {
        if connection != Some(self.link.number) || self.link.state == State::Closed {
            return;
        }
        let framework_id = self.store_framework_id();
        self.send_up(self.link.number, Up::Call { framework_id, call: Box::new(call) });
    }

    fn send_up(&mut self, number: Number, message: Up) {
        let at = self.link.up_arrival(self.now, &message);
        self.queue.plan(at, Work::Up { number, message });
    }

    /// The master sends something.
    pub(super) fn send_down(&mut self, number: Number, message: Down) {
        let at = self.link.down_arrival(self.now, &message);
        self.queue.plan(at, Work::Down { number, message });
    }

    /// Something arrives at the master.
    pub(super) fn on_up(&mut self, number: Number, message: Up) {
        let Some(message) = self.link.arrives_up(number, message) else {
            if self.link.has_unanswered() {
                let number = self.link.number;
                self.queue.plan(self.now + UNANSWERED, Work::UnansweredCheck { number });
            }
            return;
        };
        let stream = Link::stream(number);
        // Requests are told apart by their connection alone: what becomes of a call is told by its answer.
        let request = RequestId(number);
        match message {
            Up::Call { call, .. } if matches!(*call, Call::Accept { .. }) && self.refuses_launches() => {
                let reason = "the master launches nothing".to_owned();
                self.send_down(number, Down::Refused { call, reason });
            }
            Up::Call { framework_id, call } => {
                self.changes_framework = matches!(*call, Call::UpdateFramework { .. }).then(|| call.clone());
                let call = cluster::SchedulerCall {
                    request,
                    framework_id,
                    stream: Some(stream),
                    principal: None,
                    call: *call,
                };
                self.step_cluster(cluster::Input::Call(Box::new(call)));
                self.changes_framework = None;
            }
            Up::Close => self.step_cluster(cluster::Input::StreamClosed { stream }),
            Up::Subscribe(subscription) => {
                let subscribe = cluster::Subscribe {
                    request,
                    stream,
                    framework_id: subscription.framework_info.id.clone(),
                    framework_info: subscription.framework_info,
                    suppressed_roles: subscription.suppressed_roles,
                    principal: None,
                };
                self.step_cluster(cluster::Input::Subscribe(Box::new(subscribe)));
            }
        }
    }

    fn refuses_launches(&self) -> bool {
        self.is_active(|fault| matches!(fault, Fault::LaunchesRefused { .. }))
    }

    /// The master answers.
    pub(super) fn on_answer(&mut self, request: RequestId, answer: Answer) {
        let message = match (self.changes_framework.take(), answer) {
            // Good answers carry no news: the events of a subscription follow by themselves.
            (_, Answer::Accepted | Answer::Ok) => return,
            (Some(call), Answer::Rejected { status, message: reason })
                if !ends_subscription(&Answer::Rejected { status, message: reason.clone() }) =>
            {
                Down::Refused { call, reason }
            }
            (_, answer) => Down::Answered(answer),
        };
        self.send_down(request.0, message);
    }

    /// Something arrives at the scheduler's process.
    pub(super) fn on_down(&mut self, number: Number, message: Down) {
        let Some(message) = self.link.arrives_down(self.now, number, message) else { return };
        match message {
            Down::Answered(answer) => {
                if self.link.state == State::Subscribing || ends_subscription(&answer) {
                    self.hang_up(number);
                }
            }
            Down::Closed => self.hang_up(number),
            Down::Refused { call, reason } => {
                self.daemon.push(Incoming::Refused { call, reason });
                self.run_scheduler();
            }
            Down::Event(event) => self.on_event(number, event),
        }
    }

    fn on_event(&mut self, number: Number, event: Box<Event>) {
        if self.link.state == State::Subscribing {
            if !matches!(*event, Event::Subscribed { .. }) {
                // Refused; the stream ends with it.
                if is_removed(&event) {
                    self.daemon.push(Incoming::FrameworkRemoved);
                    self.run_scheduler();
                }
                self.hang_up(number);
                return;
            }
            self.link.opened(self.now);
            self.daemon.push(Incoming::Connected(number));
        }
        let is_error = matches!(*event, Event::Error { .. });
        let moment = match &*event {
            Event::Offers(_) => Some(Moment::Offers),
            Event::Subscribed { .. } => Some(Moment::Subscribed),
            Event::Update(status) if status.unreachable_time.is_some() => Some(Moment::Unreachable),
            Event::Update(_) => Some(Moment::Update),
            _ => None,
        };
        self.daemon.push(Incoming::Event(event));
        self.run_scheduler();
        if let Some(moment) = moment {
            self.moment(moment);
            self.die_if_doomed(crate::plan::Boundary::Now);
        }
        if is_error {
            self.hang_up(number);
        }
    }

    /// The process gives its connection up, tells the master, and tries again after a while.
    pub(super) fn hang_up(&mut self, number: Number) {
        if number != self.link.number || self.link.state == State::Closed {
            return;
        }
        self.send_up(number, Up::Close);
        self.lose_connection();
    }

    /// A fault breaks the connection: what is on its way is lost, and both ends are told.
    pub(super) fn break_connection(&mut self, calls_lost: bool) {
        if self.link.state == State::Closed {
            return;
        }
        if calls_lost {
            self.link.lose_calls();
        }
        self.hang_up(self.link.number);
    }

    fn lose_connection(&mut self) {
        let was_open = self.link.state == State::Open;
        self.link.closed(self.now);
        if self.daemon.process.is_none() {
            return;
        }
        let pause = self.link.pause();
        self.queue.plan(self.now + pause, Work::Connect { process: self.daemon.starts });
        if was_open {
            self.daemon.push(Incoming::Disconnected);
            self.run_scheduler();
        }
    }

    /// The process is gone: its connection closes.
    pub(super) fn drop_connection(&mut self, calls_lost: bool) {
        if self.link.state == State::Closed {
            return;
        }
        if calls_lost {
            self.link.lose_calls();
        }
        self.send_up(self.link.number, Up::Close);
        self.link.closed(self.now);
    }

    pub(super) fn on_connect_timeout(&mut self, number: Number) {
        if self.link.number == number && self.link.state == State::Subscribing {
            self.lose_connection();
        }
    }

    /// Has the master been silent for too long?
    pub(super) fn on_silence_check(&mut self, number: Number) {
        if self.link.number != number || self.link.state == State::Closed {
            return;
        }
        let due = self.link.heard_at + SILENCE;
        if self.link.asleep {
            // A process that goes on looks first at what has come.
            self.queue.plan(self.now + SILENCE, Work::SilenceCheck { number });
        } else if due <= self.now {
            self.hang_up(number);
        } else {
            self.queue.plan(due, Work::SilenceCheck { number });
        }
    }

    /// Has a call gone without an answer for too long?
    pub(super) fn on_unanswered_check(&mut self, number: Number) {
        if self.link.number == number && self.link.has_unanswered() {
            self.hang_up(number);
        }
    }

    /// A partition between scheduler and master begins.
    pub(super) fn block(&mut self, blocked: Blocked) {
        self.link.blocked.up |= blocked.up;
        self.link.blocked.down |= blocked.down;
    }

    /// The process goes on. Its timers come first, or what waits in its socket: that is chance.
    pub(super) fn wake_link(&mut self) {
        let mut draw = self.chance.next(Key::of("wake").moment(self.now));
        if draw.chance(500) {
            self.read_again();
        } else {
            self.queue.plan(self.now + INSTANT, Work::ReadAgain { process: self.daemon.starts });
        }
        self.run_scheduler();
    }

    pub(super) fn on_read_again(&mut self, process: u64) {
        if self.daemon.starts == process && !self.daemon.is_suspended() {
            self.read_again();
            self.run_scheduler();
        }
    }

    /// The process reads all that has come at once, so that it is stepped in one turn.
    pub(super) fn read_again(&mut self) {
        self.set_performing(true);
        for (number, message) in self.link.wake() {
            self.on_down(number, message);
        }
        self.set_performing(false);
    }

    /// It ends: what waited arrives.
    pub(super) fn unblock(&mut self) {
        let (up, down) = self.link.unblock();
        for (number, message) in up {
            self.send_up(number, message);
        }
        for (number, message) in down {
            self.send_down(number, message);
        }
    }
}

/// Whether the master says that the framework is no more.
fn is_removed(event: &Event) -> bool {
    matches!(event, Event::Error { message } if message == "Framework has been removed")
}

/// Whether the answer to a call means that the subscription is not what the master knows of.
fn ends_subscription(answer: &Answer) -> bool {
    match answer {
        Answer::Accepted | Answer::Ok => false,
        Answer::NoMaster => true,
        Answer::Rejected { status, message } => {
            let stale = ["Framework cannot be found", "Framework is not", "The stream ID"];
            !(400..500).contains(status) || stale.iter().any(|prefix| message.starts_with(prefix))
        }
    }
}
