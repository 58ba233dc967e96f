//! What of a recording comes from outside, and when: calls, what was done to processes, and how long these took to come
//! up, which is the machine's doing and no rule of Mesos.

use std::time::Duration;

use podium_core::model::mesos::{Call, Event};
use podium_core::model::time::Timestamp;
use podium_mesos::codec::{MediaType, decode};
use podium_mesos::proto::scheduler;
use podium_mesos::translate::Translate;
use serde_json::Value as Json;

use crate::actions::{self, Deed};
use crate::recording::{Millis, RecordedAnswer, RecordedCall, RecordedEvent, Recording};

/// How long the cluster has been running when the recording begins.
const BEFORE: Duration = Duration::from_secs(20);

/// Something of the recording that comes from outside.
pub(crate) enum Outside {
    Call(usize),
    Deed { deed: Deed, stream: Option<u64> },
}

/// Everything that comes from outside, in order.
pub(crate) fn outside(
    recording: &Recording,
    agents: &[String],
    remarks: &mut Vec<String>,
) -> Vec<(Millis, Outside)> {
    let mut all: Vec<_> =
        recording.calls.iter().enumerate().map(|(index, call)| (call.at, Outside::Call(index))).collect();
    for action in &recording.actions {
        match actions::read(&action.text, agents) {
            Some(Deed::Nothing) => {}
            Some(Deed::StartMaster) => {
                // A process needs time to come up: it is there when it first answers.
                let at = up(recording, action.at).map_or(action.at, |call| call.at - 1.0);
                all.push((at, Outside::Deed { deed: Deed::StartMaster, stream: None }));
            }
            Some(deed @ Deed::StartAgent { wiped, .. }) => {
                let at = action.at + agent_start(recording, action.at, wiped);
                all.push((at, Outside::Deed { deed, stream: None }));
            }
            Some(deed) => all.push((action.at, Outside::Deed { deed, stream: action.stream })),
            None => remarks.push(format!("action not understood: {}", action.text)),
        }
    }
    all.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    all
}

/// How long it took from the start of an agent's process until it did something: until the recording shows a sign of
/// life, less the time that an agent waits for its executors.
fn agent_start(recording: &Recording, at: Millis, wiped: bool) -> Millis {
    let waits = if wiped { 0.0 } else { 2000.0 };
    let lives = |event: &&RecordedEvent| {
        event.at > at
            && match &event.event {
                Event::Offers(_) => true,
                Event::Failure(failure) => failure.executor_id.is_some(),
                Event::Update(status) => status.uuid.is_some(),
                _ => false,
            }
    };
    let sign = recording.events.iter().find(lives).map_or(at, |event| event.at);
    (sign - at - waits - 100.0).clamp(300.0, 2500.0)
}

/// The first call after `at` that a master answers.
fn up(recording: &Recording, at: Millis) -> Option<&RecordedCall> {
    let is_up = |answer: &RecordedAnswer| match answer {
        RecordedAnswer::Refused | RecordedAnswer::Status(404, _) => false,
        RecordedAnswer::Status(_, body) => body != "No leader elected",
    };
    recording.calls.iter().find(|call| call.at > at && is_up(&call.answer))
}

/// How long a started master says 503.
pub(crate) fn recovery(recording: &Recording) -> Duration {
    let restart = recording.actions.iter().find(|action| action.text == "start master");
    let Some(first) = restart.and_then(|restart| up(recording, restart.at)) else { return Duration::ZERO };
    let recovered = |call: &&RecordedCall| {
        call.at >= first.at && matches!(call.answer, RecordedAnswer::Status(200 | 202, _))
    };
    let done = recording.calls.iter().find(recovered).map_or(first.at, |call| call.at);
    Duration::from_secs_f64(((done - first.at) / 1000.0).max(0.0))
}

/// When the cluster is started: so that its allocations come when the recorded ones did.
pub(crate) fn boot(recording: &Recording, draw: u32) -> Timestamp {
    const INTERVAL: Millis = 1000.0;
    let mut phases: Vec<Millis> = Vec::new();
    for event in recording.events.iter().filter(|event| matches!(event.event, Event::Offers(_))) {
        // Offers that follow a subscription or a call at once are no batch.
        let prompted = recording.calls.iter().any(|call| {
            let kind = call.body["type"].as_str().unwrap_or_default();
            matches!(kind, "SUBSCRIBE" | "REVIVE" | "UPDATE_FRAMEWORK")
                && (0.0..150.0).contains(&(event.at - call.at))
        });
        if !prompted {
            phases.push(event.at % INTERVAL);
        }
    }
    // The phase that most others are near to, on the circle.
    let distance = |a: Millis, b: Millis| {
        let straight = (a - b).abs();
        straight.min(INTERVAL - straight)
    };
    let near = |phase: Millis| phases.iter().filter(|other| distance(phase, **other) < 60.0).count();
    let phase = phases.iter().copied().max_by_key(|phase| near(*phase)).unwrap_or(500.0);
    // An offer arrives a little after its allocation: how much is chance.
    const DELAYS: [Millis; 12] =
        [15.0, 60.0, 0.0, 30.0, 100.0, -30.0, 200.0, -100.0, -200.0, 350.0, 500.0, -350.0];
    let delay = DELAYS[draw as usize % DELAYS.len()];
    recording.time(phase - delay) - BEFORE
}

/// The tasks that an operation launches.
pub(crate) fn tasks_of(operation: &Json) -> impl Iterator<Item = &Json> {
    let group = operation["launch_group"]["task_group"]["tasks"].as_array();
    group.into_iter().chain(operation["launch"]["task_infos"].as_array()).flatten()
}

/// Whether an `ACCEPT` has something that core's types leave out since a master refuses it anyway: an executor of a
/// task's own, a check without the member that its type names, a negative duration, a variable without its
/// value.
pub(crate) fn is_beyond_words(body: &Json) -> bool {
    let operations = || body["accept"]["operations"].as_array().into_iter().flatten();
    let tasks = || operations().flat_map(tasks_of);
    let untyped = |check: &Json| {
        let kind = check["type"].as_str().map(str::to_ascii_lowercase);
        kind.is_some_and(|kind| check.is_object() && check.get(kind).is_none())
    };
    let left_out = |task: &Json| {
        task.get("executor").is_some() || untyped(&task["health_check"]) || untyped(&task["check"])
    };
    let parsed = || {
        let proto: Option<scheduler::Call> = decode(body.to_string().as_bytes(), MediaType::Json).ok();
        proto.map(Call::from_proto)
    };
    operations().next().is_some() && (tasks().any(left_out) || matches!(parsed(), Some(Err(_)) | None))
}

/// Refusals of the HTTP front, which is tested with real requests.
pub(crate) fn is_refused_before_the_master(call: &RecordedCall) -> bool {
    const WORDS: [&str; 4] = ["Failed to validate", "Failed to parse", "Failed to convert", "Expecting"];
    match &call.answer {
        RecordedAnswer::Status(400, body) => {
            WORDS.iter().any(|words| body.starts_with(words)) || body.contains("Mesos-Stream-Id")
        }
        RecordedAnswer::Status(307 | 401 | 405 | 406 | 415 | 501, _) => true,
        RecordedAnswer::Status(503, body) => body == "No leader elected",
        RecordedAnswer::Status(..) | RecordedAnswer::Refused => false,
    }
}
