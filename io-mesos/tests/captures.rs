//! Recorded traffic of a real Mesos, byte for byte, through everything that reads and writes the wire.
//!
//! `tests/captures/` holds one folder per recording; `PODIUM_MESOS_CAPTURES` names another folder in the same
//! format:
//!
//! | file | content |
//! |---|---|
//! | `stream.bin`, `stream-2.bin`, … | the records of the n-th `SUBSCRIBE` response |
//! | `stream.http`, … | the same as raw bytes of the socket, for some |
//! | `events.jsonl` | every event: `stream`, decoded `event`, and for protobuf the record (`record_b64`) |
//! | `calls.jsonl` | every request: decoded `body`, for protobuf its bytes (`body_b64`), and the `response` |
//! | `meta.json` | the `encoding` |

mod support;

use podium_core::model::mesos::{Call, Event};
use podium_mesos::codec::{DecodeError, MediaType, decode, encode};
use podium_mesos::proto::scheduler;
use podium_mesos::recordio::Decoder;
use podium_mesos::translate::{Format, Invalid, Translate};

use support::capture::{Request, captures};
use support::normal::{assert_same_json, same_json, without_what_core_leaves_out};

#[test]
fn streams_decode_to_the_recorded_events_wherever_they_are_split() {
    for capture in captures() {
        for stream in &capture.streams {
            let expected =
                capture.events_of(stream.number).map(|event| event.record.clone()).collect::<Vec<_>>();
            for (how, pieces) in splits(&stream.bytes) {
                let mut decoder = Decoder::default();
                let mut records = Vec::new();
                for piece in pieces {
                    decoder.feed(piece);
                    while let Some(record) = decoder
                        .next_record()
                        .unwrap_or_else(|error| panic!("{}: {}, {how}: {error}", capture.name, stream.file))
                    {
                        records.push(record);
                    }
                }
                let at = format!("{}: {}, {how}", capture.name, stream.file);
                assert_eq!(records.len(), expected.len(), "{at}: number of records");
                for (index, (record, expected)) in records.iter().zip(&expected).enumerate() {
                    // The bytes of JSON records are not kept beside the stream.
                    if let Some(expected) = expected {
                        assert!(record == expected, "{at}: record {} differs", index + 1);
                    }
                }
            }
        }
    }
}

/// The whole stream; one byte at a time; cut in two, at every place of a short stream and at some of a long one.
fn splits(bytes: &[u8]) -> impl Iterator<Item = (String, Vec<&[u8]>)> {
    let step = if bytes.len() <= 2048 { 1 } else { bytes.len() / 128 };
    let cuts = (0..=bytes.len()).step_by(step).map(move |at| {
        let (head, tail) = bytes.split_at(at);
        (format!("cut at byte {at}"), vec![head, tail])
    });
    [("one byte at a time".to_owned(), bytes.chunks(1).collect())].into_iter().chain(cuts)
}

#[test]
fn sockets_carry_the_recorded_streams() {
    for capture in captures() {
        for (file, raw) in &capture.sockets {
            let stream = capture.streams.iter().find(|stream| stream.file == file.replace(".http", ".bin"));
            let stream = stream.unwrap_or_else(|| panic!("{}: {file} has no .bin", capture.name));
            let body = support::dechunk(raw).unwrap_or_else(|why| panic!("{}: {file}: {why}", capture.name));
            assert!(body == stream.bytes, "{}: {file} is not {}", capture.name, stream.file);
        }
    }
}

#[test]
fn events_keep_everything_in_both_encodings() {
    for capture in captures() {
        for stream in &capture.streams {
            let mut decoder = Decoder::default();
            decoder.feed(&stream.bytes);
            for recorded in capture.events_of(stream.number) {
                let at = &recorded.at;
                let record =
                    decoder.next_record().unwrap().unwrap_or_else(|| panic!("{at}: not in the stream"));
                let event: scheduler::Event =
                    decode(&record, capture.media).unwrap_or_else(|error| panic!("{at}: {error}"));
                match capture.media {
                    MediaType::Protobuf => {
                        assert!(encode(&event, MediaType::Protobuf) == record[..], "{at}: other bytes");
                    }
                    MediaType::Json => {
                        let written = serde_json::from_slice(&encode(&event, MediaType::Json)).unwrap();
                        assert_same_json(at, &written, &recorded.event);
                    }
                }
                // What another decoder made of it, and the way through the other encoding.
                let text = serde_json::to_vec(&recorded.event).unwrap();
                let decoded = decode(&text, MediaType::Json).unwrap_or_else(|error| panic!("{at}: {error}"));
                assert_eq!(event, decoded, "{at}");
                let other: scheduler::Event =
                    decode(&encode(&event, MediaType::Json), MediaType::Json).unwrap();
                let again: scheduler::Event =
                    decode(&encode(&other, MediaType::Json), MediaType::Json).unwrap();
                assert_eq!(other, again, "{at}");
            }
        }
    }
}

#[test]
fn events_survive_the_core() {
    for capture in captures() {
        for recorded in capture.events() {
            let at = &recorded.at;
            let text = serde_json::to_vec(&recorded.event).unwrap();
            let proto: scheduler::Event = decode(&text, MediaType::Json).unwrap();
            let event = Event::from_proto(proto.clone()).unwrap_or_else(|error| panic!("{at}: {error}"));
            assert_ne!(event, Event::Unknown, "{at}");
            let back = event.to_proto(capture.format);
            let recorded = without_what_core_leaves_out(&proto);
            assert_same_json(at, &without_what_core_leaves_out(&back), &recorded);
        }
    }
}

#[test]
fn calls_are_read_as_the_master_read_them() {
    for capture in captures() {
        for request in capture.scheduler_calls() {
            let at = &request.at;
            let read = decode::<scheduler::Call>(&request.body, request.media);
            match refusal(request) {
                Some(Refusal::Unreadable) => assert!(read.is_err(), "{at}: the master could not read it"),
                Some(Refusal::NotJson) => {
                    assert!(matches!(read, Err(DecodeError::JsonSyntax(_))), "{at}: {read:?}");
                }
                Some(Refusal::Json(reason)) => {
                    let error =
                        read.err().unwrap_or_else(|| panic!("{at}: the master said {reason}")).to_string();
                    // How base64 went wrong is said in other words.
                    let (reason, error) = match reason.split_once(": Invalid character") {
                        Some((reason, _)) => (reason, error.split(": ").next().unwrap_or_default()),
                        None => (reason, error.as_str()),
                    };
                    assert_eq!(error, reason, "{at}");
                }
                Some(Refusal::Absent(field)) => {
                    let call = read.unwrap_or_else(|error| panic!("{at}: {error}"));
                    match Call::from_proto(call) {
                        Err(Invalid::Absent { field: ours }) => assert_eq!(ours, field, "{at}"),
                        // Beyond the core's vocabulary, or not what this layer looks at.
                        Err(Invalid::Unusable { field: ours, .. }) => assert_eq!(ours, "type", "{at}"),
                        Ok(_) => assert!(matches!(field, "framework_id" | "agent_id"), "{at}: {field}"),
                    }
                }
                None => drop(read.unwrap_or_else(|error| panic!("{at}: {error}"))),
            }
        }
    }
}

/// Why the master refused to read a call.
enum Refusal<'a> {
    Absent(&'a str),
    Json(&'a str),
    NotJson,
    Unreadable,
}

fn refusal(request: &Request) -> Option<Refusal<'_>> {
    let said = |prefix| request.response_body.strip_prefix(prefix);
    if let Some(reason) = said("Failed to convert JSON into Call protobuf: ") {
        Some(Refusal::Json(reason))
    } else if said("Failed to parse body into JSON: ").is_some() {
        Some(Refusal::NotJson)
    } else if said("Failed to parse body into Call protobuf").is_some() {
        Some(Refusal::Unreadable)
    } else {
        let field = said("Failed to validate scheduler::Call: Expecting '")?;
        Some(Refusal::Absent(field.strip_suffix("' to be present")?))
    }
}

#[test]
fn calls_keep_everything_in_both_encodings() {
    for capture in captures() {
        for request in capture.scheduler_calls() {
            let Ok(call) = decode::<scheduler::Call>(&request.body, request.media) else { continue };
            let at = &request.at;
            let bytes = encode(&call, request.media);
            if request.media == MediaType::Protobuf && call.r#type.is_some() {
                assert!(bytes == request.body, "{at}: other bytes");
            }
            let again: scheduler::Call = decode(&bytes, request.media).unwrap();
            if request.media == MediaType::Protobuf {
                assert_eq!(again, call, "{at}");
            }
            if let Some(json) = &request.json {
                let text = serde_json::to_vec(json).unwrap();
                let decoded = decode(&text, MediaType::Json).unwrap_or_else(|error| panic!("{at}: {error}"));
                assert_eq!(call, decoded, "{at}");
            }
        }
    }
}

const OLD_FORMAT: Format = Format { multi_role: true, reservation_refinement: false };

#[test]
fn calls_survive_the_core() {
    let (mut survived, mut beyond) = (0, Vec::new());
    for capture in captures() {
        for request in capture.scheduler_calls() {
            let Ok(proto) = decode::<scheduler::Call>(&request.body, request.media) else { continue };
            let at = &request.at;
            match Call::from_proto(proto.clone()) {
                Ok(call) => {
                    let write = |format| {
                        let mut written = call.to_proto(format);
                        written.framework_id.clone_from(&proto.framework_id);
                        without_what_core_leaves_out(&written)
                    };
                    let recorded = without_what_core_leaves_out(&proto);
                    // Some recordings try what the master says to resources in the wrong format.
                    let format = [Format::CURRENT, OLD_FORMAT]
                        .into_iter()
                        .find(|format| same_json(&write(*format), &recorded))
                        .unwrap_or(capture.format);
                    assert_same_json(at, &write(format), &recorded);
                    survived += 1;
                }
                Err(invalid) => beyond.push(format!("{at}: {invalid}")),
            }
        }
    }
    assert!(survived > 0);
    if support::capture::is_default() {
        insta::assert_snapshot!("calls_beyond_the_core", beyond.join("\n"));
    }
}
