//! How containers behave.

use std::borrow::Cow;
use std::time::Duration;

use rand_core::Rng;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use super::span::Span;
use crate::cluster::Exit;
use crate::random::Random;

/// How the containers that it applies to behave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContainerRule {
    /// The pod whose containers it applies to; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// The name of the containers it applies to; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// First and last launch that it applies to: launches of containers of one pod and name are counted
    /// from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launches: Option<[u32; 2]>,
    /// Whether it goes on when everything is mended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lasting: bool,
    /// What they do.
    #[serde(rename = "do")]
    pub behaviour: Behaviour,
}

/// What a container does. Each launch draws its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// How long it takes to start.
    pub start: Range,
    /// How often it cannot be started at all.
    #[serde(skip_serializing_if = "Chance::is_never")]
    pub launch_fails: Chance,
    /// How often it ends by itself.
    #[serde(skip_serializing_if = "Chance::is_never")]
    pub exits: Chance,
    /// How long it runs if it ends by itself.
    #[serde(skip_serializing_if = "Behaviour::is_default_run")]
    pub runs: Range,
    /// How it ends if it ends by itself.
    #[serde(skip_serializing_if = "ExitStatus::is_success")]
    pub status: ExitStatus,
    /// How long it takes to end when it is asked to.
    pub stop: Range,
    /// How often it does not listen when it is asked to end, and has to be killed.
    #[serde(skip_serializing_if = "Chance::is_never")]
    pub deaf: Chance,
    /// How often a look at its health finds it bad.
    #[serde(skip_serializing_if = "Chance::is_never")]
    pub unhealthy: Chance,
    /// How long it is unhealthy after it has started, whatever [`Behaviour::unhealthy`] says.
    #[serde(skip_serializing_if = "Behaviour::is_zero")]
    pub warm_up: Span,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            start: Range::millis(100, 2000),
            launch_fails: Chance::NEVER,
            exits: Chance::NEVER,
            runs: Self::DEFAULT_RUN,
            status: ExitStatus::Code(0),
            stop: Range::millis(10, 500),
            deaf: Chance::NEVER,
            unhealthy: Chance::NEVER,
            warm_up: Span::ZERO,
        }
    }
}

impl Behaviour {
    const DEFAULT_RUN: Range = Range([Span::from_secs(1), Span::from_secs(60)]);

    fn is_default_run(range: &Range) -> bool {
        *range == Self::DEFAULT_RUN
    }

    fn is_zero(span: &Span) -> bool {
        *span == Span::ZERO
    }
}

/// How a process ends by itself.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, IntoStaticStr, VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ExitStatus {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl ExitStatus {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    fn is_success(&self) -> bool {
        *self == Self::Code(0)
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        match status {
            ExitStatus::Code(code) => Self::Code(code),
            ExitStatus::Signal(number) => Self::Signal { number, core: false },
        }
    }
}

/// So many times out of a thousand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Chance(#[schemars(range(min = 0, max = 1000))] pub u32);

impl Chance {
    /// Never.
    pub const NEVER: Self = Self(0);
    /// Always.
    pub const ALWAYS: Self = Self(1000);

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    fn is_never(&self) -> bool {
        *self == Self::NEVER
    }

    /// Draws.
    pub fn happens<G: Rng>(self, random: &mut Random<G>) -> bool {
        // What is certain costs no draw, so that making something certain does not shift the rest.
        self.0 >= 1000 || (self.0 > 0 && random.chance(self.0))
    }
}

/// The shortest and the longest of durations that are drawn evenly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Range(pub [Span; 2]);

impl Range {
    /// Always this long.
    pub const fn exactly(span: Span) -> Self {
        Self([span, span])
    }

    /// From `min` to `max` milliseconds.
    pub const fn millis(min: u64, max: u64) -> Self {
        Self([Span::from_millis(min), Span::from_millis(max)])
    }

    /// The shortest.
    pub fn min(self) -> Span {
        self.0[0]
    }

    /// The longest.
    pub fn max(self) -> Span {
        self.0[1].max(self.0[0])
    }

    /// Draws one.
    pub fn draw<G: Rng>(self, random: &mut Random<G>) -> Duration {
        Duration::from_millis(random.between(self.min().as_millis(), self.max().as_millis()))
    }
}

impl JsonSchema for Range {
    fn schema_name() -> Cow<'static, str> {
        super::schema_name("Range")
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let span = generator.subschema_for::<Span>();
        json_schema!({
            "description": "The shortest and the longest of durations that are drawn evenly.",
            "type": "array",
            "items": span,
            "minItems": 2,
            "maxItems": 2
        })
    }
}
