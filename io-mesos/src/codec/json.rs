//! Mesos' JSON: field names as in the `.proto` files, enums by name, bytes in base64, 64-bit integers as
//! numbers, and the special doubles as `"Infinity"` and `"-Infinity"`.
//!
//! Mesos reads more than it writes: numbers may be text, `null` is an absent field, unknown names are
//! skipped, a single value will do for a list. It is strict elsewhere: an enum as a number is refused, and
//! so are the camel-case names of standard protobuf JSON. When writing it also prints every absent field
//! that has an explicit default, unless the field is deprecated.

use std::collections::HashMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use prost_reflect::{
    Cardinality, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor,
    ReflectMessage, SerializeOptions, Value,
};
use serde_json::{Map, Value as Json};

use super::DecodeError;

/// Writes a message.
pub(super) fn to_vec(mut message: DynamicMessage) -> Vec<u8> {
    let options = SerializeOptions::new().stringify_64_bit_integers(false).use_proto_field_name(true);
    fill_defaults(&mut message);
    let mut serializer = serde_json::Serializer::new(Vec::new());
    message
        .serialize_with_options(&mut serializer, &options)
        .expect("writing to memory cannot fail, and the messages have only text as map keys");
    serializer.into_inner()
}

/// Reads a message, without the check for required fields.
pub(super) fn from_slice(descriptor: MessageDescriptor, bytes: &[u8]) -> Result<DynamicMessage, DecodeError> {
    match serde_json::from_slice(bytes) {
        Ok(Json::Object(object)) => message(descriptor, object).map_err(DecodeError::JsonMapping),
        Ok(_) => Err(DecodeError::JsonMapping("Expecting a JSON object".to_owned())),
        Err(error) => Err(DecodeError::JsonSyntax(error.to_string())),
    }
}

fn fill_defaults(message: &mut DynamicMessage) {
    for field in message.descriptor().fields() {
        let proto = field.field_descriptor_proto();
        let deprecated = proto.options.as_ref().is_some_and(|options| options.deprecated());
        if proto.default_value.is_some()
            && field.cardinality() == Cardinality::Optional
            && !deprecated
            && !message.has_field(&field)
        {
            message.set_field(&field, field.default_value());
        }
    }
    for (_, value) in message.fields_mut() {
        match value {
            Value::Message(message) => fill_defaults(message),
            Value::List(items) => items.iter_mut().filter_map(Value::as_message_mut).for_each(fill_defaults),
            Value::Map(entries) => {
                entries.values_mut().filter_map(Value::as_message_mut).for_each(fill_defaults);
            }
            _ => {}
        }
    }
}

fn message(descriptor: MessageDescriptor, object: Map<String, Json>) -> Result<DynamicMessage, String> {
    let mut message = DynamicMessage::new(descriptor.clone());
    for (name, json) in object {
        let Some(field) = descriptor.get_field_by_name(&name) else { continue };
        let value = match json {
            Json::Null => None,
            json if field.is_map() => Some(map(&field, json)?),
            Json::Array(items) if field.is_list() => Some(Value::List(list(&field, items)?)),
            json if field.is_list() => Some(Value::List(list(&field, vec![json])?)),
            json => single(&field, json)?,
        };
        if let Some(value) = value {
            message.try_set_field(&field, value).map_err(|error| error.to_string())?;
        }
    }
    Ok(message)
}

fn list(field: &FieldDescriptor, items: Vec<Json>) -> Result<Vec<Value>, String> {
    items.into_iter().filter_map(|item| single(field, item).transpose()).collect()
}

fn map(field: &FieldDescriptor, json: Json) -> Result<Value, String> {
    let Json::Object(object) = json else { return Err(unexpected(field, &json)) };
    let entry = field.kind();
    let value_field = entry.as_message().ok_or("map without entries")?.map_entry_value_field();
    let mut entries = HashMap::new();
    for (key, json) in object {
        if let Some(value) = single(&value_field, json)? {
            entries.insert(MapKey::String(key), value);
        }
    }
    Ok(Value::Map(entries))
}

/// One value, or nothing if it is an enum's that is not known.
fn single(field: &FieldDescriptor, json: Json) -> Result<Option<Value>, String> {
    let unexpected = unexpected(field, &json);
    let value = match (&field.kind(), json) {
        (Kind::Message(descriptor), Json::Object(object)) => {
            Value::Message(message(descriptor.clone(), object)?)
        }
        (Kind::Enum(descriptor), Json::String(name)) => return Ok(enum_value(descriptor, &name)),
        (Kind::Bool, Json::Bool(value)) => Value::Bool(value),
        (Kind::String, Json::String(text)) => Value::String(text),
        (Kind::Bytes, Json::String(text)) => Value::Bytes(
            BASE64_STANDARD
                .decode(text)
                .map_err(|error| format!("Failed to base64 decode bytes field '{}': {error}", field.name()))?
                .into(),
        ),
        (kind, Json::Number(number)) => number_value(kind, &number.to_string()).ok_or(unexpected)?,
        (kind, Json::String(text)) => number_value(kind, &text).ok_or(unexpected)?,
        _ => return Err(unexpected),
    };
    Ok(Some(value))
}

fn enum_value(descriptor: &EnumDescriptor, name: &str) -> Option<Value> {
    descriptor.get_value_by_name(name).map(|value| Value::EnumNumber(value.number()))
}

/// A number from its text. Whole numbers may be written with a fraction of zero, as `5.0`.
fn number_value(kind: &Kind, text: &str) -> Option<Value> {
    fn whole<T: TryFrom<i128>>(text: &str) -> Option<T> {
        let value = text.parse::<i128>().ok().or_else(|| {
            let float = text.parse::<f64>().ok().filter(|float| float.fract() == 0.0)?;
            #[expect(clippy::cast_possible_truncation, reason = "whole; what is out of range saturates")]
            Some(float as i128)
        })?;
        T::try_from(value).ok()
    }
    Some(match kind {
        Kind::Double => Value::F64(match text {
            "Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            text => text.parse().ok()?,
        }),
        Kind::Int32 => Value::I32(whole(text)?),
        Kind::Int64 => Value::I64(whole(text)?),
        Kind::Uint32 => Value::U32(whole(text)?),
        Kind::Uint64 => Value::U64(whole(text)?),
        // Mesos' messages use no other kinds of numbers.
        _ => return None,
    })
}

fn unexpected(field: &FieldDescriptor, json: &Json) -> String {
    let what = match json {
        Json::Array(_) => "array",
        Json::Bool(_) => "boolean",
        Json::Null => "null",
        Json::Number(_) => "number",
        Json::Object(_) => "object",
        Json::String(_) => "string",
    };
    format!("Not expecting a JSON {what} for field '{}'", field.name())
}

#[cfg(test)]
mod tests {
    use crate::codec::{DecodeError, MediaType, decode, encode};
    use crate::proto::scheduler::Call;
    use crate::proto::{FrameworkInfo, NetworkInfo, TaskInfo, TimeInfo, network_info, value};

    fn read<M: prost::Message + prost::Name + Default>(text: &str) -> Result<M, String> {
        decode(text.as_bytes(), MediaType::Json).map_err(|error| error.to_string())
    }

    fn write<M: prost::Message + prost::Name>(message: &M) -> String {
        String::from_utf8(encode(message, MediaType::Json)).unwrap()
    }

    #[test]
    fn numbers_may_be_text() {
        for text in ["5000000000", "\"5000000000\"", "5e9", "5000000000.0"] {
            let read = read(&format!(r#"{{"nanoseconds":{text}}}"#));
            assert_eq!(read, Ok(TimeInfo { nanoseconds: 5_000_000_000 }), "{text}");
        }
        for text in ["5.5", "\"\"", "\"five\"", "1e30", "true", "[5]", "{}"] {
            assert!(read::<TimeInfo>(&format!(r#"{{"nanoseconds":{text}}}"#)).is_err(), "{text}");
        }
        assert_eq!(write(&TimeInfo { nanoseconds: i64::MAX }), r#"{"nanoseconds":9223372036854775807}"#);
    }

    #[test]
    fn infinity_is_a_word() {
        let text = r#"{"name":"t","task_id":{"value":"t"},"agent_id":{"value":"a"},"limits":{"cpus":{"value":"Infinity"}}}"#;
        let task: TaskInfo = read(text).unwrap();
        assert_eq!(task.limits["cpus"], value::Scalar { value: f64::INFINITY });
        assert_eq!(write(&task), text);
    }

    #[test]
    fn absent_fields_with_a_default_are_printed_unless_deprecated() {
        let framework = FrameworkInfo { user: "u".into(), name: "n".into(), ..Default::default() };
        assert_eq!(write(&framework), r#"{"user":"u","name":"n","failover_timeout":0.0,"checkpoint":false}"#);
        let network = NetworkInfo { ip_addresses: vec![Default::default()], ..Default::default() };
        assert_eq!(write(&network), r#"{"ip_addresses":[{"protocol":"IPv4"}]}"#);
        let read: NetworkInfo = read(&write(&network)).unwrap();
        assert_eq!(read.ip_addresses[0].protocol, Some(network_info::Protocol::IPv4.into()));
    }

    #[test]
    fn what_does_not_fit_is_refused_in_mesos_words() {
        for (text, error) in [
            ("[]", "Expecting a JSON object"),
            (r#"{"type":1}"#, "Not expecting a JSON number for field 'type'"),
            (r#"{"framework_id":"x"}"#, "Not expecting a JSON string for field 'framework_id'"),
            (r#"{"framework_id":{}}"#, "Missing required fields: framework_id.value"),
            (r#"{"revive":{"roles":[1]}}"#, "Not expecting a JSON number for field 'roles'"),
            (r#"{"accept":[]}"#, "Not expecting a JSON array for field 'accept'"),
        ] {
            assert_eq!(read::<Call>(text), Err(error.to_owned()), "{text}");
        }
        let error = read::<Call>(r#"{"acknowledge":{"uuid":"***"}}"#).unwrap_err();
        assert!(error.starts_with("Failed to base64 decode bytes field 'uuid': "), "{error}");
        let error = decode::<Call>(b"{\"type\":", MediaType::Json).unwrap_err();
        assert!(matches!(error, DecodeError::JsonSyntax(_)), "{error}");
    }

    #[test]
    fn null_is_absent_and_a_single_value_is_a_list() {
        let call: Call =
            read(r#"{"framework_id":null,"frameworkId":{"value":"x"},"revive":{"roles":"a"}}"#).unwrap();
        assert_eq!(call.framework_id, None);
        assert_eq!(call.revive.unwrap().roles, ["a"]);
    }
}
