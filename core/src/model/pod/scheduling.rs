//! How many copies of a pod, and when, where and how they are started, replaced and stopped.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::ids::Role;
use crate::model::number::Number;

/// How many copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scaling {
    /// How the number is found.
    pub kind: ScalingKind,
    /// The number of copies.
    pub instances: u32,
    /// No scaling may go beyond it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_instances: Option<u32>,
}

/// How the number of copies is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ScalingKind {
    /// A fixed number.
    Fixed,
}

/// When, where and how copies are started, replaced and stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scheduling {
    /// The delay after failures.
    pub backoff: Backoff,
    /// How a new definition replaces an old one.
    pub upgrade: Upgrade,
    /// Where copies may run.
    #[serde(default)]
    pub placement: Placement,
    /// Which copies go first when there are too many.
    pub kill_selection: KillSelection,
    /// What happens to copies that cannot be reached.
    pub unreachable_strategy: UnreachableStrategy,
}

/// The delay after failures. Times are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Backoff {
    /// After the first failure.
    pub backoff: Number,
    /// Grows by this factor with each further failure.
    pub backoff_factor: Number,
    /// Never longer than this.
    pub max_launch_delay: Number,
    /// Which agents are avoided because copies failed there; none if absent. Podium's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_agents: Option<FailingAgents>,
}

impl Backoff {
    /// The longest delay.
    pub(crate) fn longest(&self) -> Duration {
        Duration::try_from_secs_f64(self.max_launch_delay.0).unwrap_or(Duration::MAX)
    }
}

/// Which agents are avoided because copies of the pod failed there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailingAgents {
    /// So many failures make an agent one that is avoided.
    pub failures: u32,
    /// For so many seconds after the last failure; then its failures are forgotten.
    pub seconds: u64,
}

/// How a new definition replaces an old one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Upgrade {
    /// The part of the copies that stays healthy throughout, 0 to 1.
    pub minimum_health_capacity: Number,
    /// The part of the copies that may run in addition, 0 to 1.
    pub maximum_over_capacity: Number,
    /// When a deployment of the pod has to be done; never if absent. Podium's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Deadline>,
}

/// When a deployment has to be done, and what happens otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deadline {
    /// So many seconds after it was accepted.
    pub seconds: u64,
    /// What happens then.
    #[serde(default)]
    pub action: DeadlineAction,
}

/// What happens to a deployment that is not done in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeadlineAction {
    /// Another one leads back to the definition before; if there was none, the same as `STOP`.
    RollBack,
    /// It ends, and everything is left as it is.
    #[default]
    Stop,
}

/// Where copies may run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// All must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Constraint>,
    /// The roles whose resources may be used; the daemon's default if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted_resource_roles: Vec<Role>,
}

/// A condition on the agent of a copy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Constraint {
    /// `@hostname`, `@region`, `@zone` or the name of an attribute.
    pub field_name: String,
    /// The kind of condition.
    pub operator: ConstraintOperator,
    /// Its operand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// The kinds of [`Constraint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ConstraintOperator {
    /// All copies on one value.
    Cluster,
    /// Spread evenly over the values.
    GroupBy,
    /// The value is exactly this.
    Is,
    /// The value matches a regular expression.
    Like,
    /// At most so many copies on one value.
    MaxPer,
    /// Every copy on another value.
    Unique,
    /// The value does not match a regular expression.
    Unlike,
}

impl fmt::Display for ConstraintOperator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cluster => "CLUSTER",
            Self::GroupBy => "GROUP_BY",
            Self::Is => "IS",
            Self::Like => "LIKE",
            Self::MaxPer => "MAX_PER",
            Self::Unique => "UNIQUE",
            Self::Unlike => "UNLIKE",
        })
    }
}

/// Which copies go first when there are too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum KillSelection {
    /// Those that have run longest.
    OldestFirst,
    /// Those that have run shortest.
    #[default]
    YoungestFirst,
}

/// What happens to copies that cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum UnreachableStrategy {
    /// They are replaced, then forgotten.
    #[serde(rename_all = "camelCase")]
    Enabled {
        /// Seconds after which a replacement is wanted.
        inactive_after_seconds: u64,
        /// Seconds after which the copy is forgotten, and killed should it return.
        expunge_after_seconds: u64,
        /// Which copy stays when one returns that was replaced; as [`KillSelection`] says if absent. Podium's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on_return: Option<OnReturn>,
    },
    /// They are neither replaced nor forgotten.
    Disabled(Disabled),
}

impl UnreachableStrategy {
    /// Neither replace nor forget.
    pub const DISABLED: Self = Self::Disabled(Disabled::Disabled);

    /// Time until a replacement is wanted; never if absent.
    pub fn inactive_after(self) -> Option<Duration> {
        match self {
            Self::Enabled { inactive_after_seconds, .. } => Some(Duration::from_secs(inactive_after_seconds)),
            Self::Disabled(_) => None,
        }
    }

    /// Which copy stays when one returns that was replaced, if it is not for kill selection to say.
    pub fn on_return(self) -> Option<OnReturn> {
        match self {
            Self::Enabled { on_return, .. } => on_return,
            Self::Disabled(_) => None,
        }
    }

    /// Time until the copy is forgotten; never if absent. Never before it would be replaced.
    pub fn expunge_after(self) -> Option<Duration> {
        match self {
            Self::Enabled { inactive_after_seconds, expunge_after_seconds, .. } => {
                Some(Duration::from_secs(expunge_after_seconds.max(inactive_after_seconds)))
            }
            Self::Disabled(_) => None,
        }
    }
}

/// Which copy stays when one returns that was replaced. A copy that serves always stays before one that does
/// not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OnReturn {
    /// The one that has served for longest without interruption, as far as is known: what a copy did while it
    /// was out of reach is not.
    BestHealth,
    /// The one that returned.
    Original,
    /// The one that was launched in its place.
    Replacement,
}

/// The word `disabled`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Disabled {
    /// Neither replace nor forget.
    Disabled,
}
