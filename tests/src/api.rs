//! HTTP requests to a daemon or cluster.

use std::time::Duration;

use serde_json::Value;
use ureq::http::{HeaderMap, Request};
use ureq::{Agent, Body};

/// What came back.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The header.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

impl Reply {
    /// The body as JSON.
    ///
    /// # Panics
    /// It is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The body as JSON, if the status is this one.
    ///
    /// # Panics
    /// It is another one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// A field of the header; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Sends a request and waits for the answer.
///
/// # Errors
/// There was no answer, in words.
pub fn request(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Result<Reply, String> {
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .max_redirects(0)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into();
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let send = || -> Result<Reply, ureq::Error> {
        // A body, even an empty one, makes a request that some methods should not have.
        let answer =
            if body.is_empty() { agent.run(request.body(())?)? } else { agent.run(request.body(body)?)? };
        let (parts, mut body): (_, Body) = answer.into_parts();
        Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, text: body.read_to_string()? })
    };
    send().map_err(|error| format!("{method} {url}: {error}"))
}
