//! The world that a plan describes: one queue of events in virtual time, and everything that takes part.
//!
//! ```text
//!   clients ── commands ──► daemon ── calls ──► link ──► cluster ── commands ──► containers
//!           ◄── answers ──    │    ◄─ events ──      ◄──         ◄── events ───
//!                             ▼
//!                           store            faults break any of them; witnesses see all of it
//! ```
//!
//! The daemon keeps the driver's contract (records durable, then actions in order) and can die at every
//! boundary of it. Nothing here looks into the scheduler: it is driven through its inputs and judged by what
//! comes out.

mod alarms;
mod choices;
mod clients;
mod connection;
mod containers;
mod daemon;
mod faults;
mod link;
mod process;
mod queue;
mod seen;
mod store;
mod subject;

use std::collections::BTreeSet;
use std::time::Duration;

use podium_core::model::ids::AgentId;
use podium_core::model::mesos::Call;
use podium_core::model::time::Timestamp;
use podium_core::{Config, Marks};

use self::alarms::{Alarm, Alarms};
use self::clients::Clients;
use self::containers::{Change, Timer};
use self::daemon::Daemon;
use self::faults::Faults;
use self::link::{Down, Link, Number, Up};
use self::queue::Queue;
use crate::cluster::{self, AgentStanding, Cluster, Exit};
use crate::digest::Digest;
use crate::oracle::{Violation, Witness};
use crate::plan::{Moment, Plan, Span};
use crate::random::Named;

pub use self::choices::Choice;
pub use self::containers::{Container, ContainerRole, Containers, TaskRole};
pub use self::seen::{Answer, Scene, Seen};
pub use self::store::Store;
pub use self::subject::Subject;

/// When every run begins: a round date makes timestamps easy to read.
const START: Timestamp = Timestamp::from_millis(1_577_836_800_000); // 2020-01-01T00:00:00Z
/// So soon after something happened in the cluster somebody looks whether the master thinks differently of an
/// agent.
const ROLL_CALL: Duration = Duration::from_millis(200);

/// The shortest time that passes.
const INSTANT: Duration = Duration::from_millis(1);

/// So much may happen without time passing.
const MOST_ROUNDS: u32 = 100_000;

/// A run.
#[derive(Clone, Debug)]
pub struct World<'p, S, W> {
    plan: &'p Plan,
    config: Config,
    start: Timestamp,
    now: Timestamp,
    end: Timestamp,
    queue: Queue<Work>,
    cluster: Cluster,
    containers: Containers,
    link: Link,
    daemon: Daemon<S>,
    store: Store,
    clients: Clients,
    faults: Faults,
    alarms: Alarms,
    witness: W,
    chance: Named,
    /// The next write fails because of this fault.
    store_failure: Option<usize>,
    /// The `UPDATE_FRAMEWORK` that the master is just being asked for: of that, the scheduler is told if it is refused.
    changes_framework: Option<Box<Call>>,
    /// How long writes take if not as usual.
    slow_write: Option<Duration>,
    mended: bool,
    /// When something last broke, was mended or changed for the scheduler.
    disturbed_at: Timestamp,
    /// What is known of each machine's agent.
    roll: Vec<Enrolled>,
    /// Whether somebody is going to look.
    roll_call: bool,
    /// How much has happened.
    pub(crate) counts: Counts,
    /// The rare paths that the scheduler took, in all its processes.
    marks: Marks,
    /// So much has happened without time passing.
    rounds: u32,
    /// When the witness was last told of the time.
    told_at: Timestamp,
    verdict: Option<Violation>,
    outputs: Vec<cluster::Output>,
    /// Where containers put what comes of something; empty in between.
    results: (Vec<(Duration, Timer)>, Vec<Change>),
}

/// What is known of a machine's agent.
#[derive(Clone, Debug)]
struct Enrolled {
    /// What the master thinks of it.
    standing: AgentStanding,
    /// The newest of its ids.
    agent_id: Option<AgentId>,
    /// All ids that it has had.
    agent_ids: BTreeSet<AgentId>,
}

impl Default for Enrolled {
    fn default() -> Self {
        Self { standing: AgentStanding::Unknown, agent_id: None, agent_ids: BTreeSet::new() }
    }
}

/// How much has happened in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Steps of the scheduler.
    pub steps: u64,
    /// Events of the world.
    pub events: u64,
    /// Containers that were launched.
    pub launches: u64,
}

/// What is planned.
#[derive(Clone, Debug)]
enum Work {
    Alarm(Box<Alarm>),
    Connect { process: u64 },
    ConnectTimeout { number: Number },
    Container(Timer),
    Down { number: Number, message: Down },
    DeclareGone,
    FaultBegins(usize),
    FaultDue(usize),
    FaultEnds(usize),
    Mended,
    Order(usize),
    OrderDue(usize),
    ReadAgain { process: u64 },
    RollCall,
    SilenceCheck { number: Number },
    Start,
    Supervise,
    UnansweredCheck { number: Number },
    Up { number: Number, message: Up },
    Written { process: u64 },
}

/// When the run of `plan` is over at the latest.
fn end_of(plan: &Plan) -> Timestamp {
    let settled = plan.mended_at() + plan.settle + plan.quiet;
    let expected = plan.expect.iter().map(|expectation| expectation.at).max().unwrap_or_default();
    // What is expected while the scheduler does something is judged a little later.
    START + settled.max(expected + Span::from_secs(60)).to_duration()
}

impl<'p, S: Subject, W: Witness> World<'p, S, W> {
    /// The world of `plan` before anything has happened.
    pub fn new(plan: &'p Plan, witness: W) -> Self {
        let seed = |name: &str| Digest::of(&[&plan.seed.to_string(), name]);
        let cluster = Cluster::new(plan.cluster.config(), seed("cluster"));
        let roll = vec![Enrolled::default(); plan.cluster.agents.len()];
        let mended_at = START + plan.mended_at().to_duration();
        let mut world = Self {
            plan,
            config: plan.scheduler.config(),
            start: START,
            now: START,
            end: end_of(plan),
            queue: Queue::new(),
            cluster,
            containers: Containers::new(seed("containers"), &plan.containers),
            link: Link::new(plan.scheduler.latency, Named::new(seed("link"))),
            daemon: Daemon::new(),
            store: Store::default(),
            clients: Clients::new(plan),
            faults: Faults::new(plan.faults.len()),
            alarms: Alarms::new(plan),
            witness,
            chance: Named::new(seed("world")),
            store_failure: None,
            changes_framework: None,
            slow_write: None,
            mended: false,
            disturbed_at: START,
            roll,
            roll_call: false,
            counts: Counts::default(),
            marks: Marks::default(),
            rounds: 0,
            told_at: START,
            verdict: None,
            outputs: Vec::new(),
            results: (Vec::new(), Vec::new()),
        };
        world.queue.plan(START, Work::Start);
        for (index, planned) in plan.workload.iter().enumerate() {
            world.queue.plan(world.time_of(planned.at), Work::OrderDue(index));
        }
        for (index, planned) in plan.faults.iter().enumerate() {
            world.queue.plan(world.time_of(planned.at), Work::FaultDue(index));
        }
        world.queue.plan(mended_at, Work::Mended);
        world
    }

    /// Runs to the end, or to the first violation.
    ///
    /// # Errors
    /// What was violated.
    pub fn run(&mut self) -> Result<(), Violation> {
        while self.advance() {}
        match self.verdict.take() {
            Some(violation) => Err(violation),
            None => Ok(()),
        }
    }

    /// Lets the next thing happen. False when nothing more does.
    pub fn advance(&mut self) -> bool {
        let queued = self.queue.deadline();
        // Whoever wants to know the time again at an instant that they were told of is told at the next one:
        // otherwise nothing would happen at this one, for ever.
        let told = self.witness.deadline().map(|at| at.max(self.told_at + INSTANT));
        let deadlines = [queued, self.cluster.deadline(), self.daemon.deadline(), told];
        // Not flattened: this is asked before everything that happens, and that takes ten times as long.
        let Some(next) = deadlines.iter().filter_map(|at| *at).min() else { return false };
        if next > self.end || self.verdict.is_some() || self.witness.is_satisfied() {
            return false;
        }
        let passes = next > self.now;
        self.now = self.now.max(next);
        self.counts.events += 1;
        self.rounds = if passes { 0 } else { self.rounds + 1 };
        if self.rounds > MOST_ROUNDS {
            let sentence = "events follow upon each other without time passing".to_owned();
            self.verdict = Some(Violation::new("rest", sentence));
            return false;
        }
        if let Some(work) = self.queue.pop_due(self.now) {
            self.work(work);
        } else if self.cluster.deadline().is_some_and(|at| at <= self.now) {
            self.step_cluster(cluster::Input::Tick);
        } else if self.daemon.deadline().is_some_and(|at| at <= self.now) {
            self.run_scheduler();
        }
        if passes {
            self.told_at = self.now;
            self.see(&Seen::Time);
        }
        true
    }

    /// Whoever watched.
    pub fn into_witness(self) -> W {
        self.witness
    }

    /// The same, while it goes on.
    pub fn witness(&self) -> &W {
        &self.witness
    }

    /// The same, to take from it what it has seen.
    pub fn witness_mut(&mut self) -> &mut W {
        &mut self.witness
    }

    /// How much has happened.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The rare paths that the scheduler took.
    pub fn marks(&self) -> Marks {
        self.marks
    }

    /// How much time has passed.
    pub fn elapsed(&self) -> Duration {
        self.now.since(self.start)
    }

    fn work(&mut self, work: Work) {
        match work {
            Work::Alarm(alarm) => self.on_alarm(&alarm),
            Work::Connect { process } => self.connect(process),
            Work::ConnectTimeout { number } => self.on_connect_timeout(number),
            Work::Container(timer) => self.on_container_timer(timer),
            Work::DeclareGone => self.declare_lost_agents_gone(),
            Work::Down { number, message } => self.on_down(number, message),
            Work::FaultBegins(index) => self.on_fault_begins(index),
            Work::FaultDue(index) => self.on_fault_due(index),
            Work::FaultEnds(index) => self.on_fault_ends(index),
            Work::Mended => self.on_mended(),
            Work::Order(index) => self.on_order(index),
            Work::OrderDue(index) => self.on_order_due(index),
            Work::ReadAgain { process } => self.on_read_again(process),
            Work::RollCall => self.call_roll(),
            Work::SilenceCheck { number } => self.on_silence_check(number),
            Work::Start => self.start_scheduler(),
            Work::Supervise => self.on_supervision(),
            Work::UnansweredCheck { number } => self.on_unanswered_check(number),
            Work::Up { number, message } => self.on_up(number, message),
            Work::Written { process } => self.on_written(process),
        }
    }

    /// Shows the witness what has happened.
    fn see(&mut self, seen: &Seen<'_>) {
        if self.verdict.is_some() {
            return;
        }
        if seen.is_disturbance() {
            self.disturbed_at = self.now;
        }
        let process = self.daemon.process.as_ref();
        let is_open = self.link.state == link::State::Open && !self.link.blocked.any();
        let is_calm =
            is_open && !self.faults.any_active() && process.is_some_and(|process| !process.suspended);
        let scene = Scene {
            now: self.now,
            start: self.start,
            plan: self.plan,
            cluster: &self.cluster,
            containers: &self.containers,
            store: &self.store,
            api: process
                .filter(|process| process.turn.is_none() && !process.performing)
                .map(|process| process.subject.scheduler()),
            clock: self.daemon.clock(self.now),
            awake_since: process.filter(|process| !process.suspended).map(|process| process.awake_since),
            aimed_requests: self.clients.aimed(),
            mended: self.mended,
            calm_since: is_calm.then_some(self.disturbed_at),
        };
        if let Err(violation) = self.witness.see(seen, &scene) {
            self.verdict = Some(violation);
        }
    }

    /// Notes whether the master thinks differently of an agent.
    fn call_roll(&mut self) {
        self.roll_call = false;
        self.cluster.calm();
        let mut changes: Vec<(cluster::AgentIndex, AgentStanding)> = Vec::new();
        for (index, ((agent_id, standing), known)) in (0..).zip(self.cluster.standings().zip(&mut self.roll))
        {
            if agent_id.is_some() && agent_id != known.agent_id.as_ref() {
                known.agent_id = agent_id.cloned();
                known.agent_ids.extend(agent_id.cloned());
            }
            if standing != known.standing {
                changes.push((cluster::AgentIndex(index), std::mem::replace(&mut known.standing, standing)));
            }
        }
        for (agent, from) in changes {
            let to = self.roll[agent.0 as usize].standing;
            self.see(&Seen::Agent { agent, from, to });
            if to == AgentStanding::Registered {
                self.moment_of(Moment::AgentReturn, Span::ZERO, Some(agent));
            }
        }
    }

    // -- the cluster and its containers --------------------------------------------------------------------

    fn step_cluster(&mut self, input: cluster::Input) {
        let mut outputs = std::mem::take(&mut self.outputs);
        self.cluster.step(self.now, input, &mut outputs);
        if self.cluster.is_stirred() && !std::mem::replace(&mut self.roll_call, true) {
            self.queue.plan(self.now + ROLL_CALL, Work::RollCall);
        }
        for output in outputs.drain(..) {
            match output {
                cluster::Output::Answer { request, answer } => self.on_answer(request, answer),
                cluster::Output::CloseStream { stream, .. } => {
                    if let Some(number) = Link::number_of(&stream) {
                        self.send_down(number, Down::Closed);
                    }
                }
                cluster::Output::Container(command) => {
                    let (mut timers, mut changes) = std::mem::take(&mut self.results);
                    self.containers.command(command, &mut timers, &mut changes);
                    self.note_containers(timers, changes);
                }
                cluster::Output::Event { stream, event } => {
                    if let Some(number) = Link::number_of(&stream) {
                        self.send_down(number, Down::Event(Box::new(event)));
                    }
                }
            }
        }
        self.outputs = outputs;
    }

    fn on_container_timer(&mut self, timer: Timer) {
        let (mut timers, mut changes) = std::mem::take(&mut self.results);
        let event = self.containers.fire(self.now, timer, &mut timers, &mut changes);
        self.note_containers(timers, changes);
        if let Some(event) = event {
            self.step_cluster(cluster::Input::Container(event));
        }
    }

    fn exit_container(&mut self, ordinal: u64, exit: Exit) {
        let mut changes = Vec::new();
        let event = self.containers.exit(ordinal, exit, &mut changes);
        self.note_containers(Vec::new(), changes);
        if let Some(event) = event {
            self.step_cluster(cluster::Input::Container(event));
        }
    }

    fn note_containers(&mut self, mut timers: Vec<(Duration, Timer)>, mut changes: Vec<Change>) {
        for (delay, timer) in timers.drain(..) {
            self.queue.plan(self.now + delay, Work::Container(timer));
        }
        for change in changes.drain(..) {
            match change {
                Change::Launched(container) => {
                    self.counts.launches += 1;
                    self.see(&Seen::Launched(&container));
                }
                Change::Started(container) => {
                    self.see(&Seen::Started(&container));
                    self.moment(Moment::ContainerStart);
                }
                Change::Ended(container, exit) => self.see(&Seen::Ended { container: &container, exit }),
            }
        }
        self.results = (timers, changes);
    }
}
