//! A client of `/v2/events`.

use futures_util::StreamExt as _;
use reqwest::Response;
use serde_json::Value;

use super::server::Server;

/// Reads server-sent events.
pub(crate) struct Events {
    response: std::pin::Pin<Box<dyn futures_util::Stream<Item = String> + Send>>,
    rest: String,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) kind: String,
    pub(crate) data: Value,
}

impl Events {
    fn new(response: Response) -> Self {
        assert_eq!(response.headers()["content-type"], "text/event-stream;charset=utf-8");
        let chunks = response.bytes_stream().map(|chunk| String::from_utf8(chunk.unwrap().to_vec()).unwrap());
        Self { response: Box::pin(chunks), rest: String::new() }
    }

    /// The next event; none at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((frame, rest)) = self.rest.split_once("\n\n") {
                let field = |name: &str| {
                    let line = frame.lines().find_map(|line| line.strip_prefix(name));
                    line.map(|value| value.trim_start().to_owned())
                };
                let event = field("event:").map(|kind| Event {
                    id: field("id:"),
                    kind,
                    data: serde_json::from_str(&field("data:").unwrap()).unwrap(),
                });
                self.rest = rest.to_owned();
                if event.is_some() {
                    return event;
                }
            } else {
                self.rest += &self.response.next().await?;
            }
        }
    }

    pub(crate) async fn until(&mut self, kind: &str) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            events.push(self.next().await.expect("the stream goes on"));
            if events.last().unwrap().kind == kind {
                return events;
            }
        }
    }
}

pub(crate) async fn listen(server: &Server, query: &str, last: Option<&str>) -> Events {
    let request = server.request("GET", &format!("/v2/events{query}"));
    let request = request.header("accept", "text/event-stream");
    let request = last.into_iter().fold(request, |request, last| request.header("last-event-id", last));
    Events::new(request.send().await.unwrap())
}
