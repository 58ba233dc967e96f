//! What a person expects of a run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::span::Span;

/// Something that must be true at a certain time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// When.
    pub at: Span,
    /// What.
    pub that: Claim,
}

/// What the API says or is really there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Claim {
    /// So many deployments are on their way.
    Deployments(usize),
    /// There is no such pod, and nothing of it runs.
    Gone(String),
    /// How a pod is.
    Pod {
        /// The pod.
        id: String,
        /// So many of its copies are `STABLE`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stable: Option<usize>,
        /// The API shows so many copies.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instances: Option<usize>,
        /// So many containers of it really run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        containers: Option<usize>,
        /// So many launches there were in all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        launches: Option<usize>,
        /// This is what the first of its copies that is not `STABLE` waits for, in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        waits_for: Option<String>,
    },
}
