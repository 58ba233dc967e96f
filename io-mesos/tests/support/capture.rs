//! The recordings, read into memory.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::{env, fs};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use podium_core::model::mesos::FrameworkInfo;
use podium_mesos::codec::{MediaType, decode};
use podium_mesos::proto::scheduler;
use podium_mesos::translate::{Format, Translate};
use serde_json::Value as Json;

/// One recording.
pub(crate) struct Capture {
    pub(crate) name: String,
    pub(crate) media: MediaType,
    /// How this framework wants its resources written.
    pub(crate) format: Format,
    pub(crate) streams: Vec<Stream>,
    /// Raw bytes of sockets, by file name.
    pub(crate) sockets: Vec<(String, Vec<u8>)>,
    events: Vec<RecordedEvent>,
    requests: Vec<Request>,
}

/// One `SUBSCRIBE` response without HTTP's framing.
pub(crate) struct Stream {
    pub(crate) number: u64,
    pub(crate) file: String,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) struct RecordedEvent {
    /// Where it stands, for messages.
    pub(crate) at: String,
    stream: u64,
    pub(crate) event: Json,
    pub(crate) record: Option<Bytes>,
}

/// One request to the scheduler endpoint.
pub(crate) struct Request {
    /// Where it stands, for messages.
    pub(crate) at: String,
    pub(crate) media: MediaType,
    pub(crate) body: Vec<u8>,
    /// What the recorder's own decoder made of a protobuf body.
    pub(crate) json: Option<Json>,
    pub(crate) response_body: String,
}

const FOLDER: &str = "PODIUM_MESOS_CAPTURES";

/// Whether the recordings are the repository's own.
pub(crate) fn is_default() -> bool {
    env::var_os(FOLDER).is_none()
}

/// All recordings, in the order of their names.
pub(crate) fn captures() -> &'static [Capture] {
    static CAPTURES: LazyLock<Vec<Capture>> = LazyLock::new(read);
    &CAPTURES
}

fn read() -> Vec<Capture> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    let folder = env::var_os(FOLDER).map_or(default, PathBuf::from);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.join("calls.jsonl").exists()).collect();
    folders.sort();
    assert!(!folders.is_empty(), "{} holds no recordings", folder.display());
    folders.iter().map(|folder| Capture::read(folder)).collect()
}

impl Capture {
    fn read(folder: &Path) -> Self {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let meta: Json = parse(&folder.join("meta.json"), &text(&folder.join("meta.json")));
        let media = meta["encoding"].as_str().and_then(MediaType::from_header).unwrap_or_default();
        let calls = lines(folder, "calls.jsonl");
        let read_event = |line: &Json| RecordedEvent {
            at: format!("{name}: event {}", line["n"]),
            stream: line["stream"].as_u64().unwrap(),
            event: line["event"].clone(),
            record: base64(&line["record_b64"]).map(Bytes::from),
        };
        Self {
            media,
            format: format_of(&calls),
            streams: files(folder, ".bin").into_iter().map(Stream::from).collect(),
            sockets: files(folder, ".http"),
            events: lines(folder, "events.jsonl")
                .iter()
                .filter(|line| line.get("event").is_some())
                .map(read_event)
                .collect(),
            requests: calls.iter().filter_map(|line| Request::read(&name, line)).collect(),
            name,
        }
    }

    pub(crate) fn events(&self) -> impl Iterator<Item = &RecordedEvent> {
        self.events.iter()
    }

    pub(crate) fn events_of(&self, stream: u64) -> impl Iterator<Item = &RecordedEvent> {
        self.events.iter().filter(move |event| event.stream == stream)
    }

    /// The requests that reached the scheduler endpoint with a body it would look at.
    pub(crate) fn scheduler_calls(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter()
    }
}

impl From<(String, Vec<u8>)> for Stream {
    fn from((file, bytes): (String, Vec<u8>)) -> Self {
        let number = file.trim_end_matches(".bin").rsplit_once('-').map_or(1, |(_, n)| n.parse().unwrap());
        Self { number, file, bytes }
    }
}

impl Request {
    fn read(capture: &str, line: &Json) -> Option<Self> {
        let path = line["path"].as_str()?.split('?').next()?;
        let scheduler = ["/api/v1/scheduler", "/master/api/v1/scheduler"].contains(&path);
        if !scheduler || line["method"] != "POST" {
            return None;
        }
        let media = MediaType::from_header(line["headers"]["Content-Type"].as_str()?)?;
        let body = base64(&line["body_b64"])
            .or_else(|| line["body_text"].as_str().map(|text| text.as_bytes().to_vec()))
            .or_else(|| Some(serde_json::to_vec(line.get("body")?).unwrap()))?;
        Some(Self {
            at: format!("{capture}: call {}", line["n"]),
            media,
            body,
            json: line.get("body").filter(|_| line.get("body_b64").is_some()).cloned(),
            response_body: match base64(&line["response"]["body_b64"]) {
                Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                None => line["response"]["body"].as_str().unwrap_or_default().to_owned(),
            },
        })
    }
}

/// The format that goes with the capabilities of the first subscription.
fn format_of(calls: &[Json]) -> Format {
    let framework = calls.iter().find_map(|line| {
        let text = serde_json::to_vec(line.get("body")?).ok()?;
        let call: scheduler::Call = decode(&text, MediaType::Json).ok()?;
        FrameworkInfo::from_proto(call.subscribe?.framework_info).ok()
    });
    framework.map_or(Format::CURRENT, |framework| Format::of(&framework))
}

fn lines(folder: &Path, file: &str) -> Vec<Json> {
    let path = folder.join(file);
    text(&path).lines().map(|line| parse(&path, line)).collect()
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn parse(path: &Path, text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files(folder: &Path, ending: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .filter(|(name, _)| name.starts_with("stream") && name.ends_with(ending))
        .map(|(name, path)| (name, fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

fn base64(text: &Json) -> Option<Vec<u8>> {
    Some(BASE64_STANDARD.decode(text.as_str()?).unwrap())
}
