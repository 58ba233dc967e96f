//! What proto2 demands of a message and prost does not check.

use prost_reflect::{Cardinality, DynamicMessage, FieldDescriptor, Kind, ReflectMessage, Value};

/// Removes enum values that the descriptors do not know, everywhere in the tree. Says whether there were any.
pub(super) fn drop_unknown_enum_values(message: &mut DynamicMessage) -> bool {
    let mut changed = false;
    let mut unknown = Vec::new();
    for (field, value) in message.fields_mut() {
        match (field.kind(), value) {
            (Kind::Enum(known), Value::EnumNumber(number)) if known.get_value(*number).is_none() => {
                unknown.push(field);
            }
            (Kind::Enum(known), Value::List(items)) => {
                let before = items.len();
                items.retain(|item| item.as_enum_number().is_some_and(|n| known.get_value(n).is_some()));
                changed |= items.len() != before;
            }
            (Kind::Message(_), Value::Message(message)) => changed |= drop_unknown_enum_values(message),
            (Kind::Message(_), Value::List(items)) => {
                for message in items.iter_mut().filter_map(Value::as_message_mut) {
                    changed |= drop_unknown_enum_values(message);
                }
            }
            (Kind::Message(_), Value::Map(entries)) => {
                for message in entries.values_mut().filter_map(Value::as_message_mut) {
                    changed |= drop_unknown_enum_values(message);
                }
            }
            _ => {}
        }
    }
    for field in &unknown {
        message.clear_field(field);
    }
    changed || !unknown.is_empty()
}

/// The paths of all required fields that are absent, in the way protobuf prints them: `a.b[2].c`.
pub(super) fn missing_fields(message: &DynamicMessage) -> Vec<String> {
    let mut missing = Vec::new();
    collect_missing(message, "", &mut missing);
    missing
}

fn collect_missing(message: &DynamicMessage, prefix: &str, missing: &mut Vec<String>) {
    for field in message.descriptor().fields() {
        if field.cardinality() == Cardinality::Required && !message.has_field(&field) {
            missing.push(format!("{prefix}{}", field.name()));
        }
    }
    for (field, value) in message.fields() {
        if let Kind::Message(_) = field.kind() {
            collect_missing_below(&field, value, prefix, missing);
        }
    }
}

fn collect_missing_below(field: &FieldDescriptor, value: &Value, prefix: &str, missing: &mut Vec<String>) {
    let name = field.name();
    match value {
        Value::Message(message) => collect_missing(message, &format!("{prefix}{name}."), missing),
        Value::List(items) => {
            for (index, message) in items.iter().enumerate().filter_map(|(i, v)| Some((i, v.as_message()?))) {
                collect_missing(message, &format!("{prefix}{name}[{index}]."), missing);
            }
        }
        Value::Map(entries) => {
            for message in entries.values().filter_map(Value::as_message) {
                // Entries have no order that both sides would agree on, hence no index.
                collect_missing(message, &format!("{prefix}{name}[].value."), missing);
            }
        }
        _ => {}
    }
}
