//! A recording read into memory. What is not understood is kept as a remark and never stops the reading.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{fs, io};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use podium_core::model::ids::AgentId;
use podium_core::model::mesos::{Event, StatusSource, TaskStatus};
use podium_core::model::time::Timestamp;
use podium_mesos::codec::{MediaType, decode};
use podium_mesos::proto::scheduler;
use podium_mesos::translate::Translate;
use serde_json::Value as Json;

/// Milliseconds since the recording began.
pub(crate) type Millis = f64;

pub(crate) struct Recording {
    /// When the recording began, by the clock of the processes.
    pub(crate) epoch: Timestamp,
    /// Flags of the processes, by their names.
    pub(crate) processes: BTreeMap<String, Vec<String>>,
    /// The port of the master that was talked to.
    pub(crate) master_port: u16,
    pub(crate) calls: Vec<RecordedCall>,
    pub(crate) events: Vec<RecordedEvent>,
    pub(crate) ends: Vec<StreamEnd>,
    pub(crate) actions: Vec<Action>,
    pub(crate) end: Millis,
    /// What was not understood.
    pub(crate) remarks: Vec<String>,
}

pub(crate) struct RecordedCall {
    pub(crate) at: Millis,
    pub(crate) scheduler: bool,
    pub(crate) stream_id: Option<String>,
    /// As whom it was authenticated, if the master asked.
    pub(crate) principal: Option<String>,
    pub(crate) body: Json,
    pub(crate) answer: RecordedAnswer,
    /// What the `SUBSCRIBE` opened: number and `Mesos-Stream-Id`.
    pub(crate) opened: Option<(u64, String)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RecordedAnswer {
    /// Nobody listened.
    Refused,
    Status(u16, String),
}

#[derive(Clone)]
pub(crate) struct RecordedEvent {
    pub(crate) at: Millis,
    pub(crate) stream: u64,
    pub(crate) event: Event,
    /// The ports of the agents in `OFFERS`, which tell the machines apart.
    pub(crate) ports: Vec<(AgentId, u16)>,
}

#[derive(Clone, Copy)]
pub(crate) struct StreamEnd {
    pub(crate) at: Millis,
    pub(crate) stream: u64,
    pub(crate) clean: bool,
}

pub(crate) struct Action {
    pub(crate) at: Millis,
    pub(crate) text: String,
    pub(crate) stream: Option<u64>,
}

impl Recording {
    pub(crate) fn read(folder: &Path) -> Result<Self, String> {
        let mut remarks = unknown_files(folder).map_err(|error| error.to_string())?;
        let meta: Json = serde_json::from_str(&text(folder, "meta.json")?)
            .map_err(|error| format!("meta.json: {error}"))?;
        let media = meta["encoding"].as_str().and_then(MediaType::from_header).unwrap_or_default();

        let mut calls = Vec::new();
        let mut master_port = 5050;
        for line in lines(folder, "calls.jsonl", &mut remarks)? {
            if let Some(port) = line["port"].as_u64().filter(|_| calls.is_empty()) {
                master_port = u16::try_from(port).unwrap_or(master_port);
            }
            calls.push(RecordedCall::read(&line));
        }
        let (mut events, mut ends) = (Vec::new(), Vec::new());
        for line in lines(folder, "events.jsonl", &mut remarks)? {
            let (at, stream) = (millis(&line["t_ms"]), line["stream"].as_u64().unwrap_or(1));
            if let Some(how) = line["end_of_stream"].as_str() {
                ends.push(StreamEnd { at, stream, clean: how == "last chunk" });
                continue;
            }
            match event(&line, media) {
                Ok(event) => {
                    events.push(RecordedEvent { at, stream, event, ports: ports(&line["event"]) });
                }
                Err(problem) => remarks.push(format!("event {}: {problem}", line["n"])),
            }
        }
        // Absent where nothing was done.
        let actions = if folder.join("actions.jsonl").exists() {
            lines(folder, "actions.jsonl", &mut remarks)?.iter().map(Action::read).collect()
        } else {
            Vec::new()
        };
        let last = |times: &[Millis]| times.iter().copied().fold(0.0, f64::max);
        let end = last(&[
            millis(&meta["duration_ms"]),
            last(&events.iter().map(|event| event.at).collect::<Vec<_>>()),
            last(&calls.iter().map(|call| call.at).collect::<Vec<_>>()),
        ]);
        let processes = meta["processes"].as_object().into_iter().flatten().map(|(process, flags)| {
            let flags = flags.as_array().into_iter().flatten().filter_map(Json::as_str);
            (process.clone(), flags.map(ToOwned::to_owned).collect())
        });
        Ok(Self {
            epoch: epoch(&events, &meta),
            processes: processes.collect(),
            master_port,
            calls,
            events,
            ends,
            actions,
            end,
            remarks,
        })
    }

    /// A point of the recording by the processes' clock.
    pub(crate) fn time(&self, at: Millis) -> Timestamp {
        Timestamp::from_millis(self.epoch.as_millis() + whole(at))
    }

    /// A point by the processes' clock in the recording.
    #[expect(clippy::cast_precision_loss, reason = "recordings are short")]
    pub(crate) fn millis(&self, at: Timestamp) -> Millis {
        (at.as_millis() - self.epoch.as_millis()) as f64
    }

    /// Whether a process came up only in the course of the recording.
    pub(crate) fn starts_later(&self, process: &str) -> bool {
        let mention = self
            .actions
            .iter()
            .find(|action| action.text.split(' ').next_back().is_some_and(|word| word == process));
        mention.is_some_and(|action| action.text.starts_with("start "))
    }

    /// Whether there were offers that are not in the recording: those to another framework. The master numbers
    /// all its offers.
    pub(crate) fn has_foreign_offers(&self) -> bool {
        let mut numbers: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        let mut add = |id: &str| {
            if let Some((master, number)) = id.rsplit_once("-O")
                && let Ok(number) = number.parse()
            {
                numbers.entry(master.to_owned()).or_default().insert(number);
            }
        };
        for event in &self.events {
            match &event.event {
                Event::Offers(offers) => offers.iter().for_each(|offer| add(offer.id.as_str())),
                Event::InverseOffers(offers) => offers.iter().for_each(|offer| add(offer.id.as_str())),
                _ => {}
            }
        }
        numbers.values().any(|numbers| {
            let (first, last) = (numbers.first().copied(), numbers.last().copied());
            first.zip(last).is_some_and(|(first, last)| last - first + 1 > numbers.len() as u64)
        })
    }

    pub(crate) fn updates(&self) -> impl Iterator<Item = (Millis, &TaskStatus)> {
        self.events.iter().filter_map(|event| match &event.event {
            Event::Update(status) => Some((event.at, status)),
            _ => None,
        })
    }
}

impl RecordedCall {
    fn read(line: &Json) -> Self {
        let path = line["path"].as_str().unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default().trim_start_matches("/master");
        let response = &line["response"];
        let status = response["status_line"].as_str().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let header = |name: &str| {
            let pairs = response["headers"].as_array()?;
            let pair = pairs
                .iter()
                .find(|pair| pair[0].as_str().is_some_and(|given| given.eq_ignore_ascii_case(name)))?;
            Some(pair[1].as_str()?.to_owned())
        };
        Self {
            at: millis(&line["t_ms"]),
            scheduler: path.starts_with("/api/v1/scheduler"),
            stream_id: line["headers"]["Mesos-Stream-Id"].as_str().map(ToOwned::to_owned),
            principal: principal(&line["headers"]["Authorization"]),
            body: if line["method"] == "POST" { line["body"].clone() } else { Json::Null },
            answer: status.map_or(RecordedAnswer::Refused, |status| {
                let body = response["body"].as_str().unwrap_or_default();
                RecordedAnswer::Status(status, body.to_owned())
            }),
            opened: response["stream"].as_u64().zip(header("Mesos-Stream-Id")),
        }
    }
}

impl Action {
    fn read(line: &Json) -> Self {
        Self {
            at: millis(&line["t_ms"]),
            text: line["action"].as_str().unwrap_or_default().to_owned(),
            stream: line["stream"].as_u64(),
        }
    }
}

/// The name in `Authorization: Basic`.
fn principal(header: &Json) -> Option<String> {
    let credentials = BASE64_STANDARD.decode(header.as_str()?.strip_prefix("Basic ")?).ok()?;
    Some(String::from_utf8(credentials).ok()?.split_once(':')?.0.to_owned())
}

/// Whole milliseconds.
#[expect(clippy::cast_possible_truncation, reason = "recordings are short")]
pub(crate) fn whole(at: Millis) -> i64 {
    at.round() as i64
}

fn event(line: &Json, media: MediaType) -> Result<Event, String> {
    let proto: scheduler::Event = match line["record_b64"].as_str() {
        Some(record) => {
            let bytes = BASE64_STANDARD.decode(record).map_err(|error| error.to_string())?;
            decode(&bytes, media).map_err(|error| error.to_string())?
        }
        None => decode(line["event"].to_string().as_bytes(), MediaType::Json)
            .map_err(|error| error.to_string())?,
    };
    Event::from_proto(proto).map_err(|error| error.to_string())
}

fn ports(event: &Json) -> Vec<(AgentId, u16)> {
    let offers = event["offers"]["offers"].as_array().into_iter().flatten();
    offers
        .filter_map(|offer| {
            let port = u16::try_from(offer["url"]["address"]["port"].as_u64()?).ok()?;
            Some((AgentId::from(offer["agent_id"]["value"].as_str()?), port))
        })
        .collect()
}

/// When the recording began: statuses say when they were made, and the quickest of them came at once.
fn epoch(events: &[RecordedEvent], meta: &Json) -> Timestamp {
    let made = |event: &RecordedEvent| match &event.event {
        Event::Update(status) if status.source != Some(StatusSource::SourceAgent) => {
            Some(status.timestamp?.as_millis() - whole(event.at))
        }
        _ => None,
    };
    // The quickest is the one that was made the latest relative to its arrival.
    let quickest = events.iter().filter_map(made).max().map(Timestamp::from_millis);
    let recorded_at = || meta["recorded_at"].as_str().and_then(|text| text.parse().ok());
    quickest.or_else(recorded_at).unwrap_or(Timestamp::from_millis(1_700_000_000_000))
}

fn unknown_files(folder: &Path) -> io::Result<Vec<String>> {
    const KNOWN: [&str; 6] =
        ["meta.json", "calls.jsonl", "events.jsonl", "actions.jsonl", "timeline.txt", "SUMMARY.md"];
    let mut unknown = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let stream = name.starts_with("stream") && (name.ends_with(".bin") || name.ends_with(".http"));
        if !stream && !KNOWN.contains(&&*name) {
            unknown.insert(format!("file {name} is not looked at"));
        }
    }
    Ok(unknown.into_iter().collect())
}

fn text(folder: &Path, file: &str) -> Result<String, String> {
    fs::read_to_string(folder.join(file)).map_err(|error| format!("{file}: {error}"))
}

fn lines(folder: &Path, file: &str, remarks: &mut Vec<String>) -> Result<Vec<Json>, String> {
    let text = text(folder, file)?;
    let mut values = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(value) => values.push(value),
            Err(error) => remarks.push(format!("{file}, line {}: {error}", number + 1)),
        }
    }
    Ok(values)
}

fn millis(value: &Json) -> Millis {
    value.as_f64().unwrap_or_default()
}
