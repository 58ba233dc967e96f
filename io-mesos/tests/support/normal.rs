//! Messages without the differences that mean nothing.

use podium_mesos::proto;
use prost_reflect::{DynamicMessage, FieldDescriptor, ReflectMessage, Value};
use serde_json::Value as Json;

/// Fields that the core's types leave out.
const LEFT_OUT: &[&str] = &[
    "mesos.v1.CgroupInfo.net_cls",
    "mesos.v1.ContainerInfo.docker",
    "mesos.v1.ContainerStatus.executor_pid",
    "mesos.v1.DiscoveryInfo.environment",
    "mesos.v1.DiscoveryInfo.location",
    "mesos.v1.DiscoveryInfo.version",
    "mesos.v1.ExecutorInfo.name",
    "mesos.v1.FrameworkInfo.labels",
    "mesos.v1.FrameworkInfo.offer_filters",
    "mesos.v1.InverseOffer.framework_id",
    "mesos.v1.InverseOffer.url",
    "mesos.v1.MasterInfo.address",
    "mesos.v1.MasterInfo.capabilities",
    "mesos.v1.MasterInfo.ip",
    "mesos.v1.MasterInfo.pid",
    "mesos.v1.Offer.url",
    "mesos.v1.Port.visibility",
    "mesos.v1.TaskInfo.executor",
];

/// The message as the core sees it: without what it leaves out, with explicit defaults absent, empty members
/// absent, and numbers with as many digits as the core keeps.
pub(crate) fn without_what_core_leaves_out<M: prost::Message + prost::Name>(message: &M) -> Json {
    let mut dynamic = DynamicMessage::new(proto::descriptor::<M>());
    dynamic.transcode_from(message).unwrap();
    simplify(&mut dynamic);
    serde_json::to_value(dynamic).unwrap()
}

fn simplify(message: &mut DynamicMessage) {
    if ["HealthCheck", "CheckInfo"].contains(&message.descriptor().name()) {
        // A type without its member is as good as none, and a member without its type as well.
        const MEMBERS: [&str; 3] = ["command", "http", "tcp"];
        let kind = message.get_field_by_name("type").and_then(|kind| kind.as_enum_number()).unwrap_or(0);
        let member = usize::try_from(kind).ok().and_then(|kind| MEMBERS.get(kind.wrapping_sub(1)));
        if !member.is_some_and(|member| message.has_field_by_name(member)) {
            MEMBERS.iter().chain(&["type"]).for_each(|name| message.clear_field_by_name(name));
        }
    }
    let mut unwanted = Vec::new();
    for (field, value) in message.fields_mut() {
        match value {
            Value::Message(inner) => simplify(inner),
            Value::List(items) => items.iter_mut().filter_map(Value::as_message_mut).for_each(simplify),
            Value::F64(seconds) if field.full_name() == "mesos.v1.TaskStatus.timestamp" => {
                *seconds = (*seconds * 1000.0).round() / 1000.0;
            }
            Value::I64(nanos) if field.full_name() == "mesos.v1.TimeInfo.nanoseconds" => {
                *nanos -= nanos.rem_euclid(1_000_000);
            }
            // What a master takes a negative number for.
            Value::F64(seconds) if field.name() == "refuse_seconds" && *seconds < 0.0 => *seconds = 5.0,
            Value::F64(seconds) if field.name() == "failover_timeout" && *seconds < 0.0 => *seconds = 0.0,
            _ => {}
        }
        if LEFT_OUT.contains(&field.full_name()) || is_default(&field, value) || is_empty(value) {
            unwanted.push(field);
        }
    }
    for field in &unwanted {
        message.clear_field(field);
    }
}

fn is_default(field: &FieldDescriptor, value: &Value) -> bool {
    let explicit = field.field_descriptor_proto().default_value.is_some();
    let implied = matches!(field.name(), "executable" | "cache");
    (explicit || implied) && field.supports_presence() && *value == field.default_value()
}

fn is_empty(value: &Value) -> bool {
    value.as_message().is_some_and(|message| message.fields().next().is_none())
}

/// Whether `written` says what `recorded` says; numbers may be written as `15` or `15.0`.
pub(crate) fn assert_same_json(at: &str, written: &Json, recorded: &Json) {
    if let Some(difference) = difference("", written, recorded) {
        panic!("{at}: {difference}");
    }
}

/// The first place where two values differ, and how.
fn difference(path: &str, written: &Json, recorded: &Json) -> Option<String> {
    let say = |what: &str| Some(format!("{path}: {what}\n  written  {written}\n  recorded {recorded}"));
    match (written, recorded) {
        (Json::Object(ours), Json::Object(theirs)) => {
            if let Some(name) = theirs.keys().find(|name| !ours.contains_key(*name)) {
                return say(&format!("'{name}' is lost"));
            }
            ours.iter().find_map(|(name, ours)| match theirs.get(name) {
                Some(theirs) => difference(&format!("{path}.{name}"), ours, theirs),
                None => say(&format!("'{name}' is new")),
            })
        }
        (Json::Array(ours), Json::Array(theirs)) if ours.len() == theirs.len() => ours
            .iter()
            .zip(theirs)
            .enumerate()
            .find_map(|(index, (ours, theirs))| difference(&format!("{path}[{index}]"), ours, theirs)),
        (Json::Number(ours), Json::Number(theirs)) if ours.as_f64() == theirs.as_f64() => None,
        _ if written == recorded => None,
        _ => say("differs"),
    }
}

/// Nothing, if the two are the same.
pub(crate) fn same_json(written: &Json, recorded: &Json) -> bool {
    difference("", written, recorded).is_none()
}
