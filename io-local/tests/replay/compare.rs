//! Whether the model did what was recorded.
//!
//! What must agree, and what is chance:
//!
//! * the answer to each call: status and text;
//! * the updates of one task on one subscription, in order, with everything a scheduler can decide by;
//! * the order in which an executor *made* its updates (`TaskStatus.timestamp`), wherever one is the other's cause:
//!   those of two members commute unless one is KILLING and the other an end. The order of arrival of two tasks'
//!   updates is chance, since each task has a stream of its own that waits for its own acknowledgements;
//! * the order of everything that the master or an agent says by itself: rescinded offers, losses, failures, errors,
//!   the stream's beginning and end. Updates about different tasks commute;
//! * what is on offer (see `offers`) and the heartbeats;
//! * the time of each of them, within [`TOLERANCE`].
//!
//! An update that is sent again within [`AGAIN`] counts once: an agent that registers again sends the heads of its
//! streams up to three times, as its timers and the master's messages happen to come.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use podium_core::model::ids::OfferId;
use podium_core::model::mesos::{CheckStatus, Event, StatusReason, StatusSource, TaskState, TaskStatus};
use podium_sim::cluster::Answer;

use crate::names::Labels;
use crate::offers;
use crate::outside::{is_beyond_words, tasks_of};
use crate::player::Played;
use crate::recording::{Millis, RecordedAnswer, RecordedEvent, Recording, StreamEnd, whole};

/// The recordings were made on two slow cores: up to a second of each latency is load.
const TOLERANCE: Millis = 1500.0;
const AGAIN: Millis = 1500.0;

/// Where model and recording part.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Difference {
    pub(crate) at: Millis,
    pub(crate) expected: String,
    pub(crate) got: String,
}

/// All differences, the first one first.
pub(crate) fn differences(recording: &Recording, played: &Played) -> Vec<Difference> {
    let mut recorded = items(&recording.events, &recording.ends, &played.recorded_labels);
    let beyond_words = tasks_beyond_words(recording);
    recorded.retain(|item| {
        !played.left_out.contains(&item.stream)
            && !item.about.as_ref().is_some_and(|about| beyond_words.contains(about))
    });
    let ours = items(&played.events, &played.ends, &played.labels);
    let mut found = Vec::new();
    answers(recording, played, &mut found);
    streams_of_tasks(&recorded, &ours, recording.end, &mut found);
    orders(&recorded, &ours, recording.end, &mut found);
    heartbeats(recording, played, &mut found);
    if !recording.has_foreign_offers() {
        on_offer(recording, played, &mut found);
    }
    found.sort_by(|a, b| a.at.total_cmp(&b.at));
    found
}

/// Tasks of calls that the model cannot hear.
fn tasks_beyond_words(recording: &Recording) -> BTreeSet<String> {
    let calls = recording.calls.iter().map(|call| &call.body).filter(|body| is_beyond_words(body));
    let operations = calls.flat_map(|body| body["accept"]["operations"].as_array()).flatten();
    let tasks = operations.flat_map(tasks_of);
    tasks.filter_map(|task| Some(format!("task {}", task["task_id"]["value"].as_str()?))).collect()
}

/// An event in words that are the same on both sides.
#[derive(Clone, Debug)]
struct Item {
    at: Millis,
    /// When the sender made it.
    made: Millis,
    stream: u64,
    /// The task or operation that it is about.
    about: Option<String>,
    executor: Option<String>,
    agent: Option<String>,
    kind: Kind,
    text: String,
}

impl Item {
    /// Whether it is neither of an agent nor of an executor: the stream begins or ends.
    fn is_of_stream(&self) -> bool {
        self.agent.is_none() && self.executor.is_none()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Made by an executor.
    Executor(Phase),
    /// Made by an agent, or by the master when it loses or regains one.
    Loss,
    /// An answer to `RECONCILE` or `KILL`, or an operation's status.
    Answer,
    /// Not about a task.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    Killing,
    Ended,
}

fn items(events: &[RecordedEvent], ends: &[StreamEnd], labels: &Labels) -> Vec<Item> {
    let mut seen = Seen::default();
    let mut items: Vec<Item> = events.iter().filter_map(|event| item(event, labels, &mut seen)).collect();
    items.extend(ends.iter().map(|end| Item {
        at: end.at,
        made: end.at,
        stream: end.stream,
        about: None,
        executor: None,
        agent: None,
        kind: Kind::Other,
        text: format!("the stream {}", if end.clean { "ends" } else { "breaks off" }),
    }));
    items.sort_by(|a, b| a.at.total_cmp(&b.at));
    items
}

/// What earlier events told.
#[derive(Default)]
struct Seen {
    uuids: HashMap<(u64, String), Millis>,
    offers: HashMap<OfferId, String>,
}

fn item(event: &RecordedEvent, labels: &Labels, seen: &mut Seen) -> Option<Item> {
    let agent = |id: &Option<_>| id.as_ref().map_or("no agent".to_owned(), |id| labels.agent(id));
    let mut made = event.at;
    let (mut executor, mut of_agent) = (None, None);
    let (about, kind, text) = match &event.event {
        // Compared on their own.
        Event::Offers(offers) => {
            seen.offers.extend(offers.iter().map(|offer| (offer.id.clone(), labels.agent(&offer.agent_id))));
            return None;
        }
        Event::Heartbeat => return None,
        Event::Update(status) => {
            let mut text = words(status, labels);
            if let Some(uuid) = status.uuid {
                match seen.uuids.insert((event.stream, uuid.to_string()), event.at) {
                    Some(last) if event.at - last < AGAIN => return None,
                    Some(_) => text.push_str(", again"),
                    None => {}
                }
            }
            #[expect(clippy::cast_precision_loss, reason = "milliseconds of this century are exact")]
            if let Some(timestamp) = status.timestamp {
                made = timestamp.as_millis() as f64;
            }
            executor = status.executor_id.as_ref().map(ToString::to_string);
            of_agent = status.agent_id.as_ref().map(|id| labels.agent(id));
            (Some(format!("task {}", status.task_id)), kind(status), text)
        }
        Event::UpdateOperationStatus(status) => {
            if let Some(uuid) = status.uuid
                && seen
                    .uuids
                    .insert((event.stream, uuid.to_string()), event.at)
                    .is_some_and(|last| event.at - last < AGAIN)
            {
                return None;
            }
            let id = status.operation_id.clone().unwrap_or_default();
            let text = format!(
                "operation {id} {:?} '{}' on {}{}",
                status.state,
                labels.text(status.message.as_deref().unwrap_or_default()),
                agent(&status.agent_id),
                if status.uuid.is_some() { ", to be acknowledged" } else { "" },
            );
            (Some(format!("operation {id}")), Kind::Answer, text)
        }
        Event::Error { message } => (None, Kind::Other, format!("ERROR '{}'", labels.text(message))),
        Event::Failure(failure) => {
            of_agent = failure.agent_id.as_ref().map(|id| labels.agent(id));
            executor = failure.executor_id.as_ref().map(ToString::to_string);
            let text = match (&failure.executor_id, failure.status) {
                (Some(executor), status) => {
                    format!(
                        "FAILURE of executor {executor} on {}, status {status:?}",
                        agent(&failure.agent_id)
                    )
                }
                (None, _) => format!("FAILURE of {}", agent(&failure.agent_id)),
            };
            (None, Kind::Other, text)
        }
        Event::InverseOffers(offers) => {
            let agents: Vec<_> = offers.iter().map(|offer| agent(&offer.agent_id)).collect();
            (None, Kind::Other, format!("INVERSE_OFFERS for {}", agents.join(", ")))
        }
        Event::Message { executor_id, .. } => (None, Kind::Other, format!("MESSAGE of {executor_id}")),
        Event::Rescind(id) => {
            of_agent = seen.offers.get(id).cloned();
            (None, Kind::Other, format!("RESCIND of {}", of_agent.as_deref().unwrap_or("an unknown offer")))
        }
        Event::RescindInverseOffer(_) => (None, Kind::Other, "RESCIND_INVERSE_OFFER".to_owned()),
        Event::Subscribed { heartbeat_interval, .. } => {
            (None, Kind::Other, format!("SUBSCRIBED, heartbeat every {heartbeat_interval:?}"))
        }
        Event::Unknown => (None, Kind::Other, "an event that nobody knows".to_owned()),
    };
    Some(Item { at: event.at, made, stream: event.stream, about, executor, agent: of_agent, kind, text })
}

fn kind(status: &TaskStatus) -> Kind {
    match (status.source, status.reason) {
        (Some(StatusSource::SourceExecutor), _) => Kind::Executor(match status.state {
            TaskState::TaskKilling => Phase::Killing,
            state if state.is_terminal() => Phase::Ended,
            _ => Phase::Running,
        }),
        (Some(StatusSource::SourceMaster), Some(StatusReason::ReasonReconciliation)) => Kind::Answer,
        (
            Some(StatusSource::SourceMaster),
            Some(
                StatusReason::ReasonAgentRemoved
                | StatusReason::ReasonAgentDisconnected
                | StatusReason::ReasonAgentRemovedByOperator,
            ),
        ) => Kind::Loss,
        // An agent says so by the way, whatever becomes of the executor.
        (_, Some(StatusReason::ReasonTaskKilledDuringLaunch)) => Kind::Answer,
        (Some(StatusSource::SourceAgent), _) => Kind::Loss,
        _ => Kind::Answer,
    }
}

/// An update in words: all that a scheduler can decide by.
fn words(status: &TaskStatus, labels: &Labels) -> String {
    let mut text = format!("{} {}", status.task_id, status.state);
    let mut add = |what: &str| {
        text.push_str(", ");
        text.push_str(what);
    };
    if let Some(source) = status.source {
        add(&format!("{source:?}"));
    }
    if let Some(reason) = status.reason {
        add(&format!("{reason:?}"));
    }
    if let Some(message) = &status.message {
        // The statistics below the first line are a machine's own.
        add(&format!("'{}'", free_of_chance(&labels.text(message.lines().next().unwrap_or_default()))));
    }
    match &status.agent_id {
        Some(agent) => add(&labels.agent(agent)),
        None => add("no agent"),
    }
    if let Some(executor) = &status.executor_id {
        add(&format!("executor {executor}"));
    }
    if status.uuid.is_some() {
        add("to be acknowledged");
    }
    if let Some(healthy) = status.healthy {
        add(if healthy { "healthy" } else { "unhealthy" });
    }
    match &status.check_status {
        Some(CheckStatus::Command(code)) => add(&format!("check {code:?}")),
        Some(CheckStatus::Http(code)) => add(&format!("HTTP check {code:?}")),
        Some(CheckStatus::Tcp(open)) => add(&format!("TCP check {open:?}")),
        None => {}
    }
    if status.container_id.is_some() {
        add("with its container");
    }
    if status.unreachable_time.is_some() {
        add("unreachable for some time");
    }
    if !status.limitation.is_empty() {
        add("with the limit");
    }
    text
}

/// A text without the amounts of an offer: how free resources are cut into offers is chance.
fn free_of_chance(text: &str) -> String {
    match text.split_once(" are more than available ") {
        Some((before, _)) => format!("{before} are more than available"),
        None => text.to_owned(),
    }
}

// -- answers -----------------------------------------------------------------------------------------------------

fn answers(recording: &Recording, played: &Played, found: &mut Vec<Difference>) {
    for (index, _, answer) in &played.answers {
        let call = &recording.calls[*index];
        let kind = call.body["type"].as_str().unwrap_or_default();
        let expected = match &call.answer {
            RecordedAnswer::Refused | RecordedAnswer::Status(404, _) if call.scheduler => {
                "no master".to_owned()
            }
            RecordedAnswer::Refused => "no master".to_owned(),
            RecordedAnswer::Status(status @ (200 | 202), _) => status.to_string(),
            RecordedAnswer::Status(status, body) => {
                format!("{status} '{}'", streamless(&played.recorded_labels.text(body)))
            }
        };
        let got = match answer {
            Answer::Ok => "200".to_owned(),
            Answer::Accepted => "202".to_owned(),
            Answer::NoMaster => "no master".to_owned(),
            Answer::Rejected { status, message } => {
                format!("{status} '{}'", streamless(&played.labels.text(message)))
            }
        };
        if expected != got {
            found.push(Difference {
                at: call.at,
                expected: format!("{kind} answered {expected}"),
                got: format!("{kind} answered {got}"),
            });
        }
    }
}

/// A text without the ids of streams, which each side makes up.
fn streamless(text: &str) -> String {
    const BEFORE: &str = "The stream ID '";
    let Some((start, rest)) = text.split_once(BEFORE) else { return text.to_owned() };
    let rest = rest.split_once('\'').map_or(rest, |(_, rest)| rest);
    format!("{start}{BEFORE}STREAM'{rest}")
}

// -- order -------------------------------------------------------------------------------------------------------

fn streams_of_tasks(recorded: &[Item], ours: &[Item], end: Millis, found: &mut Vec<Difference>) {
    fn by_task(items: &[Item]) -> BTreeMap<(u64, &str), Vec<&Item>> {
        let mut tasks: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for item in items {
            if let Some(about) = &item.about {
                tasks.entry((item.stream, &**about)).or_default().push(item);
            }
        }
        tasks
    }
    let (recorded, ours) = (by_task(recorded), by_task(ours));
    let keys: BTreeSet<_> = recorded.keys().chain(ours.keys()).copied().collect();
    for key in keys {
        let nothing = Vec::new();
        let expected = recorded.get(&key).unwrap_or(&nothing);
        let got = ours.get(&key).unwrap_or(&nothing);
        for index in 0..expected.len().max(got.len()) {
            let difference = match (expected.get(index), got.get(index)) {
                (Some(expected), Some(got)) if expected.text == got.text => too_far(expected, got),
                (Some(expected), got) => Some(Difference {
                    at: expected.at,
                    expected: expected.text.clone(),
                    got: got.map_or("nothing more of it".to_owned(), |got| got.text.clone()),
                }),
                // What comes right at the end may not have arrived before the recorder stopped.
                (None, Some(got)) if got.at < end - TOLERANCE => Some(Difference {
                    at: got.at,
                    expected: format!("nothing more of {}", key.1),
                    got: got.text.clone(),
                }),
                _ => None,
            };
            if let Some(difference) = difference {
                found.push(difference);
                break;
            }
        }
    }
}

fn too_far(expected: &Item, got: &Item) -> Option<Difference> {
    // Either of the two will do: what is under way for long is load.
    let apart = (expected.at - got.at).abs().min((expected.made - got.made).abs());
    (apart > TOLERANCE).then(|| Difference {
        at: expected.at,
        expected: format!("{} at {:.1} s", expected.text, expected.at / 1000.0),
        got: format!("the same at {:.1} s", got.at / 1000.0),
    })
}

fn orders(recorded: &[Item], ours: &[Item], end: Millis, found: &mut Vec<Difference>) {
    // What the master and the agents say by themselves, on each stream.
    let streams: BTreeSet<u64> = recorded.iter().chain(ours).map(|item| item.stream).collect();
    let loss = |item: &&Item| matches!(item.kind, Kind::Loss | Kind::Other);
    for stream in streams {
        let of = |items: &[Item]| -> Vec<Item> {
            let mut items: Vec<Item> =
                items.iter().filter(|item| item.stream == stream).filter(loss).cloned().collect();
            // How many offers there were is chance.
            items.dedup_by(|a, b| a.text == b.text && a.text.starts_with("RESCIND"));
            items
        };
        let dependent = |a: &Item, b: &Item| match (&a.about, &b.about) {
            _ if a.is_of_stream() || b.is_of_stream() => true,
            (Some(a), Some(b)) => a == b,
            // What an agent says of an executor waits for that executor only.
            _ if is_failure(a) || is_failure(b) => a.executor == b.executor,
            _ => a.agent == b.agent,
        };
        same_order(&of(recorded), &of(ours), end, dependent, found);
    }
    // What each executor made.
    let executors: BTreeSet<_> = recorded.iter().filter_map(|item| item.executor.as_ref()).collect();
    for executor in executors {
        let of = |items: &[Item]| -> Vec<Item> {
            let mut seen = BTreeSet::new();
            let mut items: Vec<Item> = items
                .iter()
                .filter(|item| {
                    item.executor.as_ref() == Some(executor) && matches!(item.kind, Kind::Executor(_))
                })
                .filter(|item| {
                    !item.text.ends_with(", again") && seen.insert((item.text.clone(), item.made.to_bits()))
                })
                .cloned()
                .collect();
            items.sort_by(|a, b| a.made.total_cmp(&b.made));
            items
        };
        let dependent = |a: &Item, b: &Item| {
            let phases = [a.kind, b.kind];
            // What was made in the same millisecond is not ordered.
            a.about == b.about
                || whole(a.made) != whole(b.made)
                    && phases.contains(&Kind::Executor(Phase::Killing))
                    && phases.contains(&Kind::Executor(Phase::Ended))
        };
        same_order(&of(recorded), &of(ours), end, dependent, found);
    }
}

/// Whether it is the end of an executor.
fn is_failure(item: &Item) -> bool {
    item.about.is_none() && item.executor.is_some()
}

/// Whether two sequences are the same but for the order of what does not depend on each other.
fn same_order(
    recorded: &[Item],
    ours: &[Item],
    end: Millis,
    dependent: impl Fn(&Item, &Item) -> bool,
    found: &mut Vec<Difference>,
) {
    let mut left: Vec<&Item> = ours.iter().collect();
    for expected in recorded {
        let position = left.iter().position(|item| item.text == expected.text);
        let free = |position: usize| !left[..position].iter().any(|before| dependent(before, left[position]));
        match position {
            Some(position) if free(position) => {
                let got = left.remove(position);
                found.extend(too_far(expected, got));
            }
            Some(position) => {
                let before = left[..position].iter().find(|before| dependent(before, left[position]));
                let before = before.map_or(String::new(), |item| item.text.clone());
                found.push(Difference {
                    at: expected.at,
                    expected: expected.text.clone(),
                    got: format!("before it: {before}"),
                });
                return;
            }
            None => {
                let instead = left.first().map_or("nothing".to_owned(), |item| item.text.clone());
                found.push(Difference { at: expected.at, expected: expected.text.clone(), got: instead });
                return;
            }
        }
    }
    if let Some(more) = left.iter().find(|item| item.at < end - TOLERANCE) {
        found.push(Difference { at: more.at, expected: "nothing".to_owned(), got: more.text.clone() });
    }
}

// -- heartbeats and offers ---------------------------------------------------------------------------------------

fn heartbeats(recording: &Recording, played: &Played, found: &mut Vec<Difference>) {
    let of = |events: &[RecordedEvent]| -> Vec<(u64, Millis)> {
        let beats = events.iter().filter(|event| event.event == Event::Heartbeat);
        beats.map(|event| (event.stream, event.at)).collect()
    };
    let (recorded, ours) = (of(&recording.events), of(&played.events));
    let lacks = |beats: &[(u64, Millis)], (stream, at): (u64, Millis)| {
        !beats.iter().any(|(of, other)| *of == stream && (other - at).abs() < TOLERANCE)
    };
    let left_out = |(stream, _): &(u64, Millis)| played.left_out.contains(stream);
    let missing = recorded.iter().filter(|beat| !left_out(beat) && lacks(&ours, **beat));
    found.extend(missing.map(|(_, at)| Difference {
        at: *at,
        expected: "HEARTBEAT".to_owned(),
        got: "none".to_owned(),
    }));
    let more = ours.iter().filter(|beat| beat.1 < recording.end - TOLERANCE && lacks(&recorded, **beat));
    found.extend(more.map(|(_, at)| Difference {
        at: *at,
        expected: "no HEARTBEAT".to_owned(),
        got: "one".to_owned(),
    }));
}

fn on_offer(recording: &Recording, played: &Played, found: &mut Vec<Difference>) {
    let mut used = Vec::new();
    for call in &recording.calls {
        for kind in ["accept", "decline"] {
            for id in call.body[kind]["offer_ids"].as_array().into_iter().flatten() {
                used.extend(id["value"].as_str().map(|id| (call.at, id.into())));
            }
        }
    }
    let ends = |ends: &[StreamEnd]| ends.iter().map(|end| end.at).collect::<Vec<_>>();
    let recorded =
        offers::timeline(&recording.events, &ends(&recording.ends), &used, &played.recorded_labels);
    let ours = offers::timeline(&played.events, &ends(&played.ends), &played.used, &played.labels);
    if let Some((at, expected, got)) = offers::difference(&recorded, &ours, recording.end) {
        found.push(Difference { at, expected, got });
    }
}
