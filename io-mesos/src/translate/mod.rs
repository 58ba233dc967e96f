//! Between Mesos' messages ([`crate::proto`]) and the core's vocabulary ([`podium_core::model::mesos`]), in
//! both directions: a scheduler writes calls and reads events, a master does the opposite.
//!
//! The core's types carry less than the messages. What they leave out is dropped when reading, as if this
//! side had never heard of it: free-form fields that nobody evaluates (`FrameworkInfo.labels`,
//! `TaskInfo.data`, …) and features that Podium does not use (`offer_filters`, `offer_constraints`, the
//! executor of single tasks, …). What the core cannot express but must not ignore, such as a volume of an
//! unknown kind, is an [`Invalid`].

mod call;
mod check;
mod container;
mod enums;
mod event;
mod offer;
mod operation;
mod resource;
mod status;
mod task;

use std::fmt::Display;
use std::time::Duration;

use podium_core::model::ids::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
use podium_core::model::mesos::{FrameworkCapability, FrameworkInfo, Label, StatusUuid};
use podium_core::model::time::Timestamp;

use crate::proto;

/// A type of the core with its Mesos message.
pub trait Translate: Sized {
    /// The message.
    type Proto;

    /// The message that says the same.
    fn to_proto(&self, format: Format) -> Self::Proto;

    /// What the message says.
    ///
    /// # Errors
    /// The message says something that is contradictory or beyond the core's vocabulary.
    fn from_proto(proto: Self::Proto) -> Result<Self, Invalid>;
}

/// How resources are written for a framework. Both formats are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Offers and resources say which role they are allocated to.
    pub multi_role: bool,
    /// Reservations are a stack; otherwise a resource has a `role` and at most one `reservation`.
    pub reservation_refinement: bool,
}

impl Format {
    /// The format of a framework with the capabilities that Podium has.
    pub const CURRENT: Self = Self { multi_role: true, reservation_refinement: true };

    /// The format that goes with a framework's capabilities.
    pub fn of(framework: &FrameworkInfo) -> Self {
        Self {
            multi_role: framework.capabilities.contains(&FrameworkCapability::MultiRole),
            reservation_refinement: framework
                .capabilities
                .contains(&FrameworkCapability::ReservationRefinement),
        }
    }
}

/// A message does not say what it must, or says what the core has no words for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A field that is needed here is absent.
    #[error("Expecting '{field}' to be present")]
    Absent {
        /// The path of the field, such as `accept.operations[0].launch_group`.
        field: String,
    },
    /// A field has a value that will not do.
    #[error("'{field}' is {value}, but {rule}")]
    Unusable {
        /// The path of the field.
        field: String,
        /// Its value.
        value: String,
        /// What would do.
        rule: &'static str,
    },
}

impl Invalid {
    fn absent(field: &str) -> Self {
        Self::Absent { field: field.to_owned() }
    }

    fn unusable(field: &str, value: impl Display, rule: &'static str) -> Self {
        Self::Unusable { field: field.to_owned(), value: value.to_string(), rule }
    }

    /// The path of the field.
    pub fn field(&self) -> &str {
        match self {
            Self::Absent { field } | Self::Unusable { field, .. } => field,
        }
    }

    fn below(mut self, parent: impl Display) -> Self {
        let (Self::Absent { field } | Self::Unusable { field, .. }) = &mut self;
        *field = format!("{parent}.{field}");
        self
    }
}

/// Puts the name of the field that was being read in front of the error's path.
trait At {
    fn at(self, field: &str) -> Self;
}

impl<T> At for Result<T, Invalid> {
    fn at(self, field: &str) -> Self {
        self.map_err(|invalid| invalid.below(field))
    }
}

fn read<T: Translate>(field: &str, proto: T::Proto) -> Result<T, Invalid> {
    T::from_proto(proto).at(field)
}

fn read_some<T: Translate>(field: &str, proto: Option<T::Proto>) -> Result<Option<T>, Invalid> {
    proto.map(|proto| read(field, proto)).transpose()
}

fn read_all<T: Translate>(field: &str, protos: Vec<T::Proto>) -> Result<Vec<T>, Invalid> {
    let read = |(index, proto)| {
        T::from_proto(proto).map_err(|invalid| invalid.below(format_args!("{field}[{index}]")))
    };
    protos.into_iter().enumerate().map(read).collect()
}

fn write_some<T: Translate>(value: Option<&T>, format: Format) -> Option<T::Proto> {
    value.map(|value| value.to_proto(format))
}

fn write_all<T: Translate>(values: &[T], format: Format) -> Vec<T::Proto> {
    values.iter().map(|value| value.to_proto(format)).collect()
}

macro_rules! translate_id {
    ($($id:ident),*) => {$(
        impl Translate for $id {
            type Proto = proto::$id;

            fn to_proto(&self, _: Format) -> proto::$id {
                proto::$id { value: self.as_str().to_owned() }
            }

            fn from_proto(proto: proto::$id) -> Result<Self, Invalid> {
                Ok(Self::new(proto.value))
            }
        }
    )*};
}

translate_id!(AgentId, ExecutorId, FrameworkId, OfferId, TaskId);

impl Translate for Label {
    type Proto = proto::Label;

    fn to_proto(&self, _: Format) -> proto::Label {
        proto::Label { key: self.key.clone(), value: self.value.clone() }
    }

    fn from_proto(proto: proto::Label) -> Result<Self, Invalid> {
        Ok(Self { key: proto.key, value: proto.value })
    }
}

fn read_labels(labels: Option<proto::Labels>) -> Result<Vec<Label>, Invalid> {
    read_all("labels", labels.unwrap_or_default().labels).at("labels")
}

fn write_labels(labels: &[Label], format: Format) -> Option<proto::Labels> {
    (!labels.is_empty()).then(|| proto::Labels { labels: write_all(labels, format) })
}

impl Translate for Duration {
    type Proto = proto::DurationInfo;

    fn to_proto(&self, _: Format) -> proto::DurationInfo {
        proto::DurationInfo { nanoseconds: i64::try_from(self.as_nanos()).unwrap_or(i64::MAX) }
    }

    fn from_proto(proto: proto::DurationInfo) -> Result<Self, Invalid> {
        let nanos = proto.nanoseconds;
        u64::try_from(nanos)
            .map(Self::from_nanos)
            .map_err(|_| Invalid::unusable("nanoseconds", nanos, "a duration cannot be negative"))
    }
}

/// A duration in seconds, as Mesos writes most of them.
fn read_seconds(field: &str, seconds: f64) -> Result<Duration, Invalid> {
    duration_from_seconds(seconds).ok_or_else(|| {
        Invalid::unusable(
            field,
            format_args!("{seconds:?}"),
            "a duration is a number of seconds from 0 to 1.8e13",
        )
    })
}

/// In whole microseconds: a double of seconds has no meaningful digits beyond them.
fn duration_from_seconds(seconds: f64) -> Option<Duration> {
    let micros = (seconds * 1e6).round();
    #[expect(clippy::cast_precision_loss, reason = "the bound need not be exact")]
    let in_range = (0.0..u64::MAX as f64).contains(&micros);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and in range")]
    in_range.then_some(Duration::from_micros(micros as u64))
}

impl Translate for Timestamp {
    type Proto = proto::TimeInfo;

    fn to_proto(&self, _: Format) -> proto::TimeInfo {
        proto::TimeInfo { nanoseconds: self.as_millis().saturating_mul(1_000_000) }
    }

    fn from_proto(proto: proto::TimeInfo) -> Result<Self, Invalid> {
        Ok(Self::from_millis(proto.nanoseconds.div_euclid(1_000_000)))
    }
}

fn read_uuid(field: &str, bytes: &[u8]) -> Result<StatusUuid, Invalid> {
    StatusUuid::from_slice(bytes).map_err(|_| {
        Invalid::unusable(field, format_args!("{} bytes long", bytes.len()), "a UUID has 16 bytes")
    })
}

#[cfg(test)]
mod tests;
