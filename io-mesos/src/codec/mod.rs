//! The two encodings of the API: protobuf and Mesos' own flavour of JSON.
//!
//! Both are checked the way Mesos (proto2 in C++) does it, which prost alone does not:
//!
//! ```text
//!  bytes ──► DynamicMessage ──► drop unknown enum values ──► required fields? ──► typed message
//! ```
//!
//! Unknown fields are skipped, an enum value that is not known counts as absent, and a message that lacks a
//! required field anywhere in its tree is refused with the path of every such field.

mod json;
mod strict;

use prost::{Message, Name};
use prost_reflect::DynamicMessage;

use crate::proto;

/// How messages are written, by the `Content-Type` that says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MediaType {
    /// `application/json`.
    Json,
    /// `application/x-protobuf`.
    #[default]
    Protobuf,
}

impl MediaType {
    /// The header value. Mesos compares it byte for byte: no parameters, no other case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/x-protobuf",
        }
    }

    /// The media type that is written exactly like this.
    pub fn from_header(value: &str) -> Option<Self> {
        [Self::Json, Self::Protobuf].into_iter().find(|media| media.as_str() == value)
    }
}

/// The bytes are not the expected message. The texts are Mesos' own where it has one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON at all.
    #[error("{0}")]
    JsonSyntax(String),
    /// JSON that does not fit the message.
    #[error("{0}")]
    JsonMapping(String),
    /// Required fields are absent, or hold an enum value that nobody knows.
    #[error("Missing required fields: {}", .0.join(", "))]
    MissingFields(Vec<String>),
    /// Not protobuf, or text that is not UTF-8.
    #[error("{0}")]
    Protobuf(#[from] prost::DecodeError),
}

/// Writes `message`.
pub fn encode<M: Message + Name>(message: &M, media: MediaType) -> Vec<u8> {
    let bytes = message.encode_to_vec();
    match media {
        MediaType::Protobuf => bytes,
        MediaType::Json => {
            let message = DynamicMessage::decode(proto::descriptor::<M>(), bytes.as_slice())
                .expect("a message's own encoding can be read back");
            json::to_vec(message)
        }
    }
}

/// Reads a message.
///
/// # Errors
/// The bytes are no such message; see [`DecodeError`].
pub fn decode<M: Message + Name + Default>(bytes: &[u8], media: MediaType) -> Result<M, DecodeError> {
    let descriptor = proto::descriptor::<M>();
    let (mut message, mut changed) = match media {
        MediaType::Json => (json::from_slice(descriptor, bytes)?, true),
        MediaType::Protobuf => (DynamicMessage::decode(descriptor, bytes)?, false),
    };
    changed |= strict::drop_unknown_enum_values(&mut message);
    let missing = strict::missing_fields(&message);
    if !missing.is_empty() {
        return Err(DecodeError::MissingFields(missing));
    }
    // The typed reader sees the same bytes, unless they had to be changed for it.
    Ok(if changed { message.transcode_to()? } else { M::decode(bytes)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::scheduler::{Call, Event};

    fn json<M: Message + Name + Default>(text: &str) -> Result<M, DecodeError> {
        decode(text.as_bytes(), MediaType::Json)
    }

    #[test]
    fn missing_fields_are_named_by_their_path() {
        let call = Call {
            accept: Some(proto::scheduler::call::Accept {
                operations: vec![Default::default()],
                ..Default::default()
            }),
            ..Default::default()
        };
        assert_eq!(decode(&call.encode_to_vec(), MediaType::Protobuf), Ok(call));
        // Tag 4, accept, with tag 2, an operation, with tag 7, an empty launch_group.
        assert_eq!(
            decode::<Call>(&[0x22, 4, 0x12, 2, 0x3a, 0], MediaType::Protobuf),
            Err(DecodeError::MissingFields(vec![
                "accept.operations[0].launch_group.executor".into(),
                "accept.operations[0].launch_group.task_group".into(),
            ]))
        );
        assert_eq!(
            json::<Call>(r#"{"type":"KILL","kill":{"task_id":{},"agent_id":null}}"#).unwrap_err().to_string(),
            "Missing required fields: kill.task_id.value"
        );
    }

    #[test]
    fn unknown_enum_values_count_as_absent() {
        for call in [
            decode::<Call>(&[0x10, 99], MediaType::Protobuf),
            json(r#"{"type":"CONQUER","conquer":{"of":"the world"}}"#),
        ] {
            assert_eq!(call, Ok(Call::default()));
        }
        let mut status = proto::TaskStatus { state: 77, ..Default::default() };
        status.task_id.value = "t".into();
        status.reason = Some(1234);
        let expected = Err(DecodeError::MissingFields(vec!["state".into()]));
        assert_eq!(decode::<proto::TaskStatus>(&status.encode_to_vec(), MediaType::Protobuf), expected);
        status.state = 1;
        let known = proto::TaskStatus { reason: None, ..status.clone() };
        assert_eq!(decode(&status.encode_to_vec(), MediaType::Protobuf), Ok(known));
    }

    #[test]
    fn unknown_fields_are_skipped() {
        let bytes = [0x08, 8, 0xfa, 0x3f, 2, 1, 2];
        let heartbeat = Event { r#type: Some(8), ..Default::default() };
        assert_eq!(decode(&bytes, MediaType::Protobuf), Ok(heartbeat));
    }

    #[test]
    fn media_types_are_compared_byte_for_byte() {
        assert_eq!(MediaType::from_header("application/x-protobuf"), Some(MediaType::Protobuf));
        assert_eq!(MediaType::from_header("application/json; charset=utf-8"), None);
        assert_eq!(MediaType::from_header("Application/json"), None);
    }
}
