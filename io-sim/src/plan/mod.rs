//! A plan says all that a run is made of: the cluster, what clients ask for, and what breaks when.
//!
//! ```text
//!   seed ──► generate ──┐
//!                       ├──► Plan ──► world: a run is a function of (code, plan) alone
//!   a person writes ────┘     ▲
//!                             └── shrink drops what a failure does not need
//! ```
//!
//! A plan consists of decisions, not of random draws: it replays the same run after unrelated code has changed,
//! and one event can be taken out without shifting the others. What is left to chance (how long a message
//! takes, how long a container needs to start) is drawn from [`Plan::seed`] by stable names.
//!
//! Plans are JSON. Times are spans since the start of the run, such as `1m30s`; indices count from 0.

mod behaviour;
mod check;
mod cluster;
mod expect;
mod fault;
mod generate;
mod span;
mod workload;

use std::borrow::Cow;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};

pub use self::behaviour::{Behaviour, Chance, ContainerRule, ExitStatus, Range};
pub use self::check::InvalidPlan;
pub use self::cluster::{AgentPlan, ClusterPlan, DiskPlan, ReservedPlan, SchedulerPlan};
pub use self::expect::{Claim, Expectation};
pub use self::fault::{Boundary, Direction, Fault, Target};
pub use self::generate::generate;
pub use self::span::{InvalidSpan, Span};
pub use self::workload::Request;

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The schema of this file, for editors.
    #[serde(rename = "$schema", default, skip_serializing_if = "String::is_empty")]
    pub schema: String,
    /// What it is about, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// Chance that is not worth a decision, such as the latency of each message.
    #[serde(default)]
    pub seed: u64,
    /// The machines and Mesos' settings.
    #[serde(default)]
    pub cluster: ClusterPlan,
    /// The scheduler's settings, and how fast what is around it is.
    #[serde(default, skip_serializing_if = "SchedulerPlan::is_default")]
    pub scheduler: SchedulerPlan,
    /// How containers behave: the first rule that applies counts. Without one they start soon and run for ever.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<ContainerRule>,
    /// What clients ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workload: Vec<Planned<Request>>,
    /// Clients try each request (`?dryRun=true`) before they make it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rehearsed: bool,
    /// What breaks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Planned<Fault>>,
    /// When everything that is broken is mended at the latest and nothing breaks any more; if absent, when the
    /// last event of the plan is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mended_at: Option<Span>,
    /// Whether everything becomes as clients want it once everything is mended, and stays so.
    #[serde(default = "Plan::yes", skip_serializing_if = "Plan::is_yes")]
    pub converges: bool,
    /// How long it may take from then on until everything is as clients want it.
    #[serde(default = "Plan::default_settle", skip_serializing_if = "Plan::is_default_settle")]
    pub settle: Span,
    /// How long nothing may change after that.
    #[serde(default = "Plan::default_quiet", skip_serializing_if = "Plan::is_default_quiet")]
    pub quiet: Span,
    /// What must be true at certain times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Expectation>,
}

/// Something that happens at a certain time or, from then on, at the first moment of a certain kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Planned<T> {
    /// When, or from when on.
    pub at: Span,
    /// The kind of moment that it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Moment>,
    /// How long before that moment, if it is one of the scheduler's timers: of anything else nobody knows before.
    #[serde(default, skip_serializing_if = "Planned::<()>::is_zero")]
    pub before: Span,
    /// How long after that moment.
    #[serde(default, skip_serializing_if = "Planned::<()>::is_zero")]
    pub after: Span,
    /// The moment at which a fault ends; after the time that it lasts it does so in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Aim>,
    /// What.
    #[serde(rename = "do")]
    pub what: T,
}

/// A moment that is aimed at. If the fault names an agent, and the moment is about one, it has to be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Aim {
    /// The first moment of this kind.
    pub on: Moment,
    /// How long before that moment, if it is one of the scheduler's timers.
    #[serde(default, skip_serializing_if = "Planned::<()>::is_zero")]
    pub before: Span,
    /// How long after that moment.
    #[serde(default, skip_serializing_if = "Planned::<()>::is_zero")]
    pub after: Span,
}

/// Kinds of moments at which it is worth to break something.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    IntoStaticStr,
    EnumString,
    VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Moment {
    /// The scheduler sends an `ACCEPT` with a launch.
    Accept,
    /// The scheduler sends an `ACKNOWLEDGE`.
    Acknowledge,
    /// An agent registers, anew or again.
    AgentReturn,
    /// The delay after failures of a pod ends.
    BackOffEnd,
    /// A container starts to run.
    ContainerStart,
    /// A deployment begins, or begins its next step.
    DeploymentStep,
    /// A copy that was given up for a while is given up for good (`expungeAfterSeconds`).
    ExpungeTimer,
    /// A copy that is out of reach is given up for a while, and replaced (`inactiveAfterSeconds`).
    InactiveTimer,
    /// The scheduler sends a `KILL`.
    Kill,
    /// The scheduler is about to send a `KILL` again.
    KillRetry,
    /// Offers reach the scheduler.
    Offers,
    /// A client is answered.
    Reply,
    /// The scheduler is subscribed.
    Subscribed,
    /// A timer of the scheduler fires.
    Tick,
    /// `TASK_UNREACHABLE` reaches the scheduler.
    Unreachable,
    /// A status update reaches the scheduler.
    Update,
    /// The scheduler begins to write records.
    Write,
    /// It begins to write records that a launch goes with.
    WriteAccept,
    /// It begins to write records that a `KILL` goes with.
    WriteKill,
    /// It begins to write records that an answer goes with.
    WriteReply,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            schema: String::new(),
            about: String::new(),
            seed: 0,
            cluster: ClusterPlan::default(),
            scheduler: SchedulerPlan::default(),
            containers: Vec::new(),
            workload: Vec::new(),
            rehearsed: false,
            faults: Vec::new(),
            mended_at: None,
            converges: true,
            settle: Self::default_settle(),
            quiet: Self::default_quiet(),
            expect: Vec::new(),
        }
    }
}

impl Moment {
    /// Whether it is a timer of the scheduler, of which is known before when it fires.
    pub fn is_timer(self) -> bool {
        matches!(self, Self::BackOffEnd | Self::ExpungeTimer | Self::InactiveTimer | Self::KillRetry)
    }

    /// Its name, as in a plan.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl<T> Planned<T> {
    /// At a fixed time.
    pub fn at(at: Span, what: T) -> Self {
        Self { at, on: None, before: Span::ZERO, after: Span::ZERO, until: None, what }
    }

    fn is_zero(span: &Span) -> bool {
        *span == Span::ZERO
    }
}

impl Plan {
    /// Writes it out for people to read.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// The JSON schema of plans.
    pub fn schema() -> Schema {
        schemars::schema_for!(Plan)
    }

    /// The JSON schema of plans, as the file that editors use.
    pub fn schema_text() -> String {
        serde_json::to_string_pretty(&Self::schema()).unwrap_or_default() + "\n"
    }

    /// When everything is mended.
    pub fn mended_at(&self) -> Span {
        let orders = self.workload.iter().map(|planned| planned.at + planned.after);
        let faults = self
            .faults
            .iter()
            .map(|planned| planned.at + planned.after + planned.what.lasts().unwrap_or_default());
        self.mended_at.unwrap_or_else(|| orders.chain(faults).max().unwrap_or_default())
    }

    fn yes() -> bool {
        true
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    fn is_yes(yes: &bool) -> bool {
        *yes
    }

    fn default_settle() -> Span {
        Span::from_secs(30 * 60)
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    fn is_default_settle(span: &Span) -> bool {
        *span == Self::default_settle()
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    fn is_default_quiet(span: &Span) -> bool {
        *span == Self::default_quiet()
    }

    fn default_quiet() -> Span {
        Span::from_secs(5 * 60)
    }
}

/// A free-form JSON object in the schema: what a client posts.
fn any_object(_: &mut schemars::SchemaGenerator) -> Schema {
    schemars::json_schema!({ "type": "object", "description": "As it would be sent to the API." })
}

/// A name for a [`Range`] in the schema.
fn schema_name(name: &'static str) -> Cow<'static, str> {
    Cow::Borrowed(name)
}
