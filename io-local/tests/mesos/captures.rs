//! Recorded requests to a real master, sent to ours: the answers must be the same, but for what is listed here.
//!
//! The recordings are those that `podium-mesos` is tested with.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::{env, fs};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use podium_mesos::recordio::Decoder;
use serde_json::{Value, json};

use crate::fixture::Cluster;
use crate::scheduler::PATIENCE;

fn recording(name: &str, file: &str) -> Vec<Value> {
    let default = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../io-mesos/tests/captures");
    let folder = env::var_os("PODIUM_MESOS_CAPTURES").map_or(default, PathBuf::from);
    let path = folder.join(name).join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What has another name here than in the recording: ids and ports.
#[derive(Default)]
struct Names(Vec<(String, String)>);

impl Names {
    fn learn(&mut self, recorded: &str, ours: &str) {
        self.0.push((recorded.to_owned(), ours.to_owned()));
    }

    fn ours(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (recorded, ours)| text.replace(recorded, ours))
    }
}

async fn send(address: SocketAddr, request: hyper::Request<Full<Bytes>>) -> hyper::Response<Incoming> {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender.send_request(request).await.unwrap()
}

fn header(headers: &Value, name: &str) -> Option<String> {
    let pairs = headers.as_array()?;
    let pair = pairs.iter().find(|pair| pair[0].as_str().unwrap().eq_ignore_ascii_case(name))?;
    Some(pair[1].as_str().unwrap().to_owned())
}

/// Answers whose text differs on purpose: how much of it must agree, and why not all.
const OTHER_WORDS: [(u64, &str, &str); 9] = [
    (13, "", "the web page"),
    (26, "Failed to parse body into JSON: ", "the parser's own words"),
    (27, "Failed to parse body into JSON: ", "the parser's own words"),
    (28, "Failed to parse body into JSON: ", "the parser's own words"),
    (37, "Failed to parse body into JSON: ", "the parser's own words"),
    (38, "Failed to parse body into JSON: ", "the parser's own words"),
    (39, "Failed to parse body into JSON: ", "the parser's own words"),
    (
        65,
        "Failed to convert JSON into Call protobuf: Failed to base64 decode bytes field 'uuid': ",
        "the parser's own words",
    ),
    (116, "{\"", "this master was not built by anybody"),
];

#[tokio::test]
async fn invalid_requests_are_refused_as_by_a_real_master() {
    let cluster = Cluster::start(1).await;
    let address = cluster.running.address();
    let events = recording("15-invalid-requests", "events.jsonl");
    let mut names = Names::default();
    names.learn("127.0.0.1:5050", &address.to_string());
    let mut streams = Vec::new();
    let mut compared = 0;
    for call in recording("15-invalid-requests", "calls.jsonl") {
        let n = call["n"].as_u64().unwrap();
        if n == 104 {
            // "client closes the SUBSCRIBE connection"
            streams.clear();
            cluster
                .reaches("the master notices", |state| {
                    state["frameworks"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .all(|framework| framework["connected"] == false)
                })
                .await;
        }
        let response = send(address, request(&call, &names)).await;
        let at = format!("call {n} ({})", call["note"].as_str().unwrap_or_default());
        let recorded = &call["response"];
        let status = recorded["status_line"].as_str().unwrap().split(' ').nth(1).unwrap();
        assert_eq!(response.status().as_str(), status, "{at}");
        for name in ["Allow", "Content-Type", "Location"] {
            let ours = response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(
                ours,
                header(&recorded["headers"], name).map(|text| names.ours(&text)),
                "{at}: {name}"
            );
        }
        compared += 1;
        if let Some(number) = recorded["stream"].as_u64() {
            let stream = response.headers()["mesos-stream-id"].to_str().unwrap();
            names.learn(&header(&recorded["headers"], "Mesos-Stream-Id").unwrap(), stream);
            let of_stream = events.iter().filter(|event| event["stream"] == number);
            let expected = of_stream.filter_map(|line| line.get("event")).next().unwrap();
            let (event, response) = first_event(response).await;
            if let Some(recorded_id) = expected["subscribed"]["framework_id"]["value"].as_str() {
                let ours = event["subscribed"]["framework_id"]["value"].as_str().unwrap();
                names.learn(recorded_id, ours);
                // Agents are named after the master, too.
                names.learn(recorded_id.rsplit_once('-').unwrap().0, ours.rsplit_once('-').unwrap().0);
                streams.push(response);
                assert_eq!(event["type"], "SUBSCRIBED", "{at}");
            } else {
                assert_eq!(event, *expected, "{at}");
            }
            continue;
        }
        if call["method"] == "HEAD" {
            continue;
        }
        let body = String::from_utf8(response.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        match OTHER_WORDS.iter().find(|(number, ..)| *number == n) {
            Some((_, beginning, _)) => assert!(body.starts_with(beginning), "{at}: {body}"),
            None => assert_eq!(body, names.ours(recorded["body"].as_str().unwrap()), "{at}"),
        }
    }
    assert_eq!(compared, 126);
}

fn request(call: &Value, names: &Names) -> hyper::Request<Full<Bytes>> {
    let mut request = hyper::Request::builder()
        .method(call["method"].as_str().unwrap())
        .uri(call["path"].as_str().unwrap())
        .header("Host", "master");
    for (name, value) in call["headers"].as_object().unwrap() {
        if !["Host", "Content-Length"].contains(&name.as_str()) {
            request = request.header(name, names.ours(value.as_str().unwrap()));
        }
    }
    let body = match (&call["body_b64"], &call["body_text"], &call["body"]) {
        (Value::String(bytes), ..) => BASE64_STANDARD.decode(bytes).unwrap(),
        (_, Value::String(text), _) => names.ours(text).into_bytes(),
        (_, _, body) => names.ours(&body.to_string()).into_bytes(),
    };
    request.body(Full::new(body.into())).unwrap()
}

/// The first event of a JSON stream, and the response to keep it open.
async fn first_event(mut response: hyper::Response<Incoming>) -> (Value, hyper::Response<Incoming>) {
    let mut decoder = Decoder::default();
    loop {
        let frame = response.frame().await.expect("the stream begins with an event").unwrap();
        decoder.feed(&frame.into_data().unwrap());
        if let Some(record) = decoder.next_record().unwrap() {
            return (serde_json::from_slice(&record).unwrap(), response);
        }
    }
}

/// An answer, as far as it is the same each time.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status_line: String,
    content_type: Option<String>,
    chunked: bool,
    body: Option<String>,
}

/// Details in which hyper, on purpose, does not do what a Mesos master does.
const OTHER_WAYS: [(&str, &str); 6] = [
    ("SUBSCRIBE as HTTP/1.0", "chunks were unknown to HTTP/1.0"),
    ("REVIVE as HTTP/1.0", "the answer says HTTP/1.0"),
    ("REVIVE with Expect: 100-continue, body sent 1 s later", "the client is told to continue"),
    ("a call pipelined behind the SUBSCRIBE", "the answer has to wait, instead of breaking the stream"),
    ("bad Content-Length", "refused with a word"),
    ("not HTTP", "refused with a word"),
];

#[tokio::test(flavor = "multi_thread")]
async fn http_is_spoken_as_by_a_real_master() {
    let cluster = Cluster::start(1).await;
    let address = cluster.running.address();
    let calls = recording("29-http-details", "calls.jsonl");
    let mut names = Names::default();
    // The framework that the calls belong to; a master that does not know its id takes it as it is.
    let id = calls.iter().find_map(|call| call["body"]["framework_id"]["value"].as_str()).unwrap();
    let mut subscribe = calls[0].clone();
    subscribe["headers"] = json!({ "Content-Type": "application/json", "Accept": "application/json" });
    subscribe["body_b64"] = Value::Null;
    subscribe["body"]["framework_id"] = json!({ "value": id });
    subscribe["body"]["subscribe"]["framework_info"]["id"] = json!({ "value": id });
    let response = send(address, request(&subscribe, &names)).await;
    let stream_id = response.headers()["mesos-stream-id"].to_str().unwrap();
    names.learn(&header(&calls[0]["response"]["headers"], "Mesos-Stream-Id").unwrap(), stream_id);
    let _open = response;

    let mut compared = 0;
    for call in calls.iter().filter(|call| call.get("request_raw").is_some()) {
        let note = call["note"].as_str().unwrap();
        let later = call["request_raw_later"].as_array().into_iter().flatten();
        let text: String = std::iter::once(&call["request_raw"]).chain(later).map(raw).collect();
        let bytes = names.ours(&text).into_bytes();
        let expected = raw(&call["response_raw"]);
        let count = expected.matches("HTTP/1.1 ").count();
        let expected = answers(expected.as_bytes(), count, &names);
        let ours = tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(&bytes).unwrap();
            answers(stream, count, &Names::default())
        });
        if OTHER_WAYS.iter().any(|(beginning, _)| note.starts_with(beginning)) || note.contains("HTTP/2") {
            // It must not hang or bring anything down, which what follows shows.
            ours.abort();
            continue;
        }
        assert_eq!(ours.await.unwrap(), expected, "{note}");
        compared += 1;
    }
    assert_eq!(compared, 23);
}

/// Bytes as text, one character for each.
fn raw(value: &Value) -> String {
    match (value["text"].as_str(), value["b64"].as_str()) {
        (Some(text), _) => text.to_owned(),
        (None, Some(bytes)) => BASE64_STANDARD.decode(bytes).unwrap().into_iter().map(char::from).collect(),
        (None, None) => String::new(),
    }
}

/// The first `count` answers that `input` holds. Of a stream only the type of the first event counts.
fn answers(input: impl Read, count: usize, names: &Names) -> Vec<Answer> {
    let mut input = BufReader::new(input);
    let mut answers = Vec::new();
    for _ in 0..count {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            input.read_line(&mut line).unwrap();
            if line.trim_end().is_empty() {
                break;
            }
            head.push(line.trim_end().to_owned());
        }
        let field = |name: &str| {
            head.iter().skip(1).find_map(|line| {
                let (key, value) = line.split_once(": ")?;
                key.eq_ignore_ascii_case(name).then(|| value.to_owned())
            })
        };
        let chunked = field("Transfer-Encoding").is_some();
        let body = field("Content-Length").map(|length| {
            let mut body = vec![0; length.parse().unwrap()];
            input.read_exact(&mut body).unwrap();
            names.ours(&String::from_utf8(body).unwrap())
        });
        answers.push(Answer {
            status_line: head.first().cloned().unwrap_or_default(),
            content_type: field("Content-Type"),
            chunked,
            body,
        });
        if chunked {
            break;
        }
    }
    answers
}
