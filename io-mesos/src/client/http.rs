//! Requests to a master.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::Config;
use super::master::Endpoint;
use super::verdict::Disconnect;
use crate::codec::MediaType;

/// Names the subscription in every call.
pub(super) const STREAM_ID: HeaderName = HeaderName::from_static("mesos-stream-id");

/// Must not begin with `libprocess/`, which Mesos takes for one of its own actors.
const AGENT: &str = concat!("podium/", env!("CARGO_PKG_VERSION"));

/// How much of an error's text is kept.
const MAX_REASON: usize = 8 << 10;

/// Who a framework is, for masters with `--authenticate_http_frameworks`.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    principal: String,
    header: HeaderValue,
}

/// The principal or the secret cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {0} of a Mesos credential must not contain ':'")]
pub struct InvalidCredential(&'static str);

impl Credential {
    /// A credential for Mesos' basic authentication.
    ///
    /// # Errors
    /// One of the two contains a colon: Mesos cuts the pair at every colon and wants two parts.
    pub fn new(principal: &str, secret: &str) -> Result<Self, InvalidCredential> {
        for (name, value) in [("principal", principal), ("secret", secret)] {
            if value.contains(':') {
                return Err(InvalidCredential(name));
            }
        }
        let pair = BASE64_STANDARD.encode(format!("{principal}:{secret}"));
        let mut header = HeaderValue::try_from(format!("Basic {pair}"))
            .expect("base64 consists of characters that a header may have");
        header.set_sensitive(true);
        Ok(Self { principal: principal.to_owned(), header })
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("principal", &self.principal).finish_non_exhaustive()
    }
}

/// Sends requests: each `SUBSCRIBE` over a connection that is used for nothing else, calls over a pool.
#[derive(Clone, Debug)]
pub(super) struct Http {
    streams: Client<HttpConnector, Full<Bytes>>,
    calls: Client<HttpConnector, Full<Bytes>>,
    media: MediaType,
    authorization: Option<HeaderValue>,
    timeout: Duration,
}

impl Http {
    pub(super) fn new(config: &Config) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(config.connect_timeout));
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new());
        Self {
            streams: builder.clone().pool_max_idle_per_host(0).build(connector.clone()),
            calls: builder.pool_max_idle_per_host(config.concurrent_calls).build(connector),
            media: config.media,
            authorization: config.credential.as_ref().map(|credential| credential.header.clone()),
            timeout: config.request_timeout,
        }
    }

    pub(super) async fn subscribe(
        &self,
        endpoint: &Endpoint,
        body: Vec<u8>,
    ) -> Result<Response<Incoming>, Disconnect> {
        self.post(&self.streams, endpoint, None, body).await
    }

    /// Status and text of the answer to a call.
    pub(super) async fn call(
        &self,
        endpoint: &Endpoint,
        stream_id: &HeaderValue,
        body: Vec<u8>,
    ) -> Result<(hyper::StatusCode, String), Disconnect> {
        let response = self.post(&self.calls, endpoint, Some(stream_id), body).await?;
        Ok((response.status(), self.reason(response).await))
    }

    /// The text of an answer that is not a stream, for people. What cannot be read is left out.
    pub(super) async fn reason(&self, response: Response<Incoming>) -> String {
        let body = Limited::new(response.into_body(), MAX_REASON).collect();
        match tokio::time::timeout(self.timeout, body).await {
            Ok(Ok(body)) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
            _ => String::new(),
        }
    }

    async fn post(
        &self,
        client: &Client<HttpConnector, Full<Bytes>>,
        endpoint: &Endpoint,
        stream_id: Option<&HeaderValue>,
        body: Vec<u8>,
    ) -> Result<Response<Incoming>, Disconnect> {
        let protocol = |reason: String| Disconnect::Protocol { endpoint: endpoint.to_string(), reason };
        let uri = endpoint.uri().map_err(|error| protocol(error.to_string()))?;
        let mut request = Request::post(uri)
            .header(CONTENT_TYPE, self.media.as_str())
            .header(ACCEPT, self.media.as_str())
            .header(USER_AGENT, AGENT)
            .body(Full::from(body))
            .map_err(|error| protocol(error.to_string()))?;
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        if let Some(stream_id) = stream_id {
            request.headers_mut().insert(STREAM_ID, stream_id.clone());
        }
        match tokio::time::timeout(self.timeout, client.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(Disconnect::Io { endpoint: endpoint.to_string(), reason: chain(&error) }),
            Err(_) => Err(Disconnect::Timeout { endpoint: endpoint.to_string(), timeout: self.timeout }),
        }
    }
}

/// An error with its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_sent_as_mesos_reads_them_and_not_printed() {
        let credential = Credential::new("podium", "s3cret").unwrap();
        assert_eq!(credential.header, "Basic cG9kaXVtOnMzY3JldA==");
        assert_eq!(format!("{credential:?}"), r#"Credential { principal: "podium", .. }"#);
        assert_eq!(Credential::new("a:b", "c"), Err(InvalidCredential("principal")));
        assert_eq!(Credential::new("a", "b:c"), Err(InvalidCredential("secret")));
    }
}
