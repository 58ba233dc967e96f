use std::fmt::Debug;

use podium_core::model::mesos::*;
use podium_core::model::number::Scalar;
use proptest::prelude::*;
use prost::{Message, Name};

use super::*;
use crate::codec::{MediaType, decode, encode};
use crate::proto::scheduler;

mod arbitrary;

/// `value` after a journey through `P` and the bytes of both encodings.
fn over_the_wire<T>(value: &T, format: Format) -> Vec<T>
where
    T: Translate<Proto: Message + Name + Default + PartialEq + Debug>,
{
    let journey = |media| {
        let proto = value.to_proto(format);
        let read = decode::<T::Proto>(&encode(&proto, media), media).unwrap();
        // JSON also prints the defaults of absent fields.
        if media == MediaType::Protobuf {
            assert_eq!(read, proto);
        }
        T::from_proto(read).unwrap()
    };
    [MediaType::Protobuf, MediaType::Json].map(journey).into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn calls_round_trip(call in arbitrary::call()) {
        for read in over_the_wire(&call, Format::CURRENT) {
            prop_assert_eq!(&read, &call);
        }
    }

    #[test]
    fn events_round_trip(event in arbitrary::event()) {
        for read in over_the_wire(&event, Format::CURRENT) {
            prop_assert_eq!(&read, &event);
        }
    }

    #[test]
    fn the_old_resource_format_round_trips(resource in arbitrary::old_resource()) {
        let format = Format { multi_role: false, reservation_refinement: false };
        for read in over_the_wire(&resource, format) {
            prop_assert_eq!(&read, &resource);
        }
    }

    #[test]
    fn nothing_that_decodes_makes_translation_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(call) = decode::<scheduler::Call>(&bytes, MediaType::Protobuf) {
            let _ = Call::from_proto(call);
        }
        if let Ok(event) = decode::<scheduler::Event>(&bytes, MediaType::Protobuf) {
            let _ = Event::from_proto(event);
        }
    }
}

fn call(json: &str) -> Result<Call, String> {
    Call::from_proto(decode(json.as_bytes(), MediaType::Json).unwrap()).map_err(|error| error.to_string())
}

#[test]
fn errors_name_the_field() {
    for (json, error) in [
        ("{}", "Expecting 'type' to be present"),
        (r#"{"type":"KILL"}"#, "Expecting 'kill' to be present"),
        (
            r#"{"type":"REQUEST","request":{}}"#,
            "'type' is REQUEST, but the scheduler has no use for this call",
        ),
        (
            r#"{"type":"KILL","kill":{"task_id":{"value":"t"},"kill_policy":{"grace_period":{"nanoseconds":-5}}}}"#,
            "'kill.kill_policy.grace_period.nanoseconds' is -5, but a duration cannot be negative",
        ),
        (
            r#"{"type":"ACKNOWLEDGE","acknowledge":{"agent_id":{"value":"a"},"task_id":{"value":"t"},"uuid":"AAAA"}}"#,
            "'acknowledge.uuid' is 3 bytes long, but a UUID has 16 bytes",
        ),
        (
            r#"{"type":"ACCEPT","accept":{"operations":[{"type":"REVIVE"}]}}"#,
            "Expecting 'accept.operations[0].type' to be present",
        ),
        (
            r#"{"type":"ACCEPT","accept":{"operations":[{"type":"UNRESERVE","unreserve":{"resources":[
                {"name":"cpus","type":"SCALAR"}]}}]}}"#,
            "Expecting 'accept.operations[0].unreserve.resources[0].scalar' to be present",
        ),
        (
            r#"{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"u","name":"n","failover_timeout":1e300}}}"#,
            "'subscribe.framework_info.failover_timeout' is 1e300, but it must fit into 64 bits of nanoseconds (292 years)",
        ),
    ] {
        assert_eq!(call(json), Err(error.to_owned()), "{json}");
    }
}

#[test]
fn a_refusal_for_a_senseless_time_is_one_for_the_default_time() {
    for (seconds, refuse) in [
        ("-1", None),
        ("\"-Infinity\"", None),
        ("0", Some(Duration::ZERO)),
        ("2.5", Some(Duration::from_millis(2500))),
        ("1e300", Some(Duration::from_secs(31_536_000))),
    ] {
        let json = format!(r#"{{"type":"DECLINE","decline":{{"filters":{{"refuse_seconds":{seconds}}}}}}}"#);
        assert_eq!(call(&json), Ok(Call::Decline { offer_ids: Vec::new(), refuse }), "{seconds}");
    }
}

#[test]
fn reconciliation_of_everything_still_has_its_empty_message() {
    let bytes = encode(&Call::Reconcile { tasks: Vec::new() }.to_proto(Format::CURRENT), MediaType::Protobuf);
    assert_eq!(bytes, [0x10, 9, 0x4a, 0]);
}

fn reserved(kind: ReservationType, role: &str) -> Reservation {
    Reservation { kind, role: role.into(), principal: None, labels: Vec::new() }
}

#[test]
fn offers_are_written_for_the_frameworks_capabilities() {
    let mut cpus =
        Resource::scalar(ResourceKind::Cpus, Scalar::from_thousandths(1500)).allocated_to("a".into());
    let unreserved = cpus.clone();
    cpus.reservations = [reserved(ReservationType::Static, "a")].into();
    let reserved_cpus = cpus.clone();
    cpus.reservations =
        [reserved(ReservationType::Static, "a"), reserved(ReservationType::Dynamic, "a/b")].into();
    let offer = Offer {
        id: "o".into(),
        framework_id: "f".into(),
        agent_id: "s".into(),
        hostname: "h".into(),
        role: Some("a".into()),
        resources: vec![unreserved, reserved_cpus, cpus],
        attributes: Vec::new(),
        executor_ids: Vec::new(),
        domain: None,
        unavailability: None,
    };
    let resources = |multi_role, reservation_refinement| {
        let offer = offer.to_proto(Format { multi_role, reservation_refinement });
        assert_eq!(offer.allocation_info.is_some(), multi_role);
        let lines = offer.resources.iter().map(|resource| encode(resource, MediaType::Json));
        String::from_utf8(lines.collect::<Vec<_>>().join(&b'\n')).unwrap()
    };
    assert_eq!(
        resources(true, true),
        r#"{"name":"cpus","type":"SCALAR","scalar":{"value":1.5},"allocation_info":{"role":"a"}}
{"name":"cpus","type":"SCALAR","scalar":{"value":1.5},"allocation_info":{"role":"a"},"reservations":[{"role":"a","type":"STATIC"}]}
{"name":"cpus","type":"SCALAR","scalar":{"value":1.5},"allocation_info":{"role":"a"},"reservations":[{"role":"a","type":"STATIC"},{"role":"a/b","type":"DYNAMIC"}]}"#
    );
    // What cannot be said is not offered.
    assert_eq!(
        resources(false, false),
        r#"{"name":"cpus","type":"SCALAR","scalar":{"value":1.5},"role":"*"}
{"name":"cpus","type":"SCALAR","scalar":{"value":1.5},"role":"a"}"#
    );
}

#[test]
fn old_reservations_become_a_stack() {
    let read = |json: &str| {
        let json = format!(r#"{{"name":"mem","type":"SCALAR","scalar":{{"value":1}},{json}}}"#);
        Resource::from_proto(decode(json.as_bytes(), MediaType::Json).unwrap())
            .map(|resource| resource.reservations.to_vec())
    };
    assert_eq!(read(r#""role":"*""#), Ok(vec![]));
    assert_eq!(read(r#""role":"a""#), Ok(vec![reserved(ReservationType::Static, "a")]));
    assert_eq!(read(r#""role":"a","reservation":{}"#), Ok(vec![reserved(ReservationType::Dynamic, "a")]));
    assert_eq!(read(r#""reservation":{}"#), Err(Invalid::Absent { field: "role".into() }));
}

#[test]
fn events_without_their_member_are_unknown() {
    for json in ["{}", r#"{"type":"UPDATE"}"#, r#"{"type":"CONQUEST"}"#, r#"{"type":"UNKNOWN"}"#] {
        let event: scheduler::Event = decode(json.as_bytes(), MediaType::Json).unwrap();
        assert_eq!(Event::from_proto(event), Ok(Event::Unknown), "{json}");
    }
}
