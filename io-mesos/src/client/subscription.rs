//! One subscription, from finding a master to the end of the stream.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, LOCATION};
use hyper::{Response, StatusCode};
use podium_core::model::ids::FrameworkId;
use podium_core::model::mesos::{Call, Event, StatusUuid};
use prost::Message;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::calls::{CallSender, Link};
use super::http::{STREAM_ID, chain};
use super::master::Endpoint;
use super::verdict::{Disconnect, Ended, Stop, of_error_event, of_subscribe_status};
use super::{Notice, Task};
use crate::codec::{DecodeError, MediaType, decode, encode};
use crate::proto::scheduler;
use crate::recordio::Decoder;
use crate::translate::{Format, Translate};

/// What a master sends every so often if it does not say otherwise (`DEFAULT_HEARTBEAT_INTERVAL`).
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);

/// How an attempt to subscribe went.
pub(super) struct Attempt {
    /// Whether there was a subscription.
    pub(super) subscribed: bool,
    /// For how long.
    pub(super) lasted: Duration,
    pub(super) stop: Stop,
}

impl Task {
    /// Subscribes, and stays until the subscription ends.
    pub(super) async fn subscribe(&mut self) -> Attempt {
        let failed = |stop| Attempt { subscribed: false, lasted: Duration::ZERO, stop };
        let subscription = self.current_subscription();
        let asked = subscription.framework_info.id.clone();
        let format = Format::of(&subscription.framework_info);
        let call = Call::Subscribe {
            framework_info: subscription.framework_info,
            suppressed_roles: subscription.suppressed_roles,
        };
        let body = encode(&call.to_proto(format), self.config.media);
        let (endpoint, response) = match self.open(body).await {
            Ok(opened) => opened,
            Err(stop) => return failed(stop),
        };
        let Some(stream_id) = response.headers().get(STREAM_ID).cloned() else {
            let reason = "no Mesos-Stream-Id header".to_owned();
            return failed(Disconnect::Protocol { endpoint: endpoint.to_string(), reason }.into());
        };
        let mut stream = Stream {
            body: response.into_body(),
            decoder: Decoder::new(self.config.max_event),
            media: self.config.media,
            patience: self.config.request_timeout,
        };
        let (framework_id, event) = match stream.first_event(asked).await {
            Ok(first) => first,
            Err(stop) => return failed(stop),
        };
        tracing::info!(%endpoint, %framework_id, "subscribed");
        self.framework_id = Some(framework_id.clone());
        if let Event::Subscribed { heartbeat_interval, .. } = &event {
            let interval = heartbeat_interval.filter(|interval| !interval.is_zero());
            stream.patience =
                interval.unwrap_or(HEARTBEAT_INTERVAL).saturating_mul(self.config.missed_heartbeats);
        }

        let since = Instant::now();
        let tearing_down = AtomicBool::new(false);
        let (calls, queue) = CallSender::new();
        let link = Link {
            http: &self.http,
            endpoint,
            stream_id,
            framework_id,
            format,
            media: self.config.media,
            window: self.config.concurrent_calls.max(1),
            notices: &self.notices,
            tearing_down: &tearing_down,
        };
        let Err(stop) = tokio::select! {
            never = stream.deliver(event, calls, &self.notices) => never,
            never = link.pump(queue) => never,
        };
        let stop = match stop {
            // A torn down framework's stream ends without another word, perhaps before the answer is here.
            Stop::Disconnect(_) if tearing_down.load(Ordering::Relaxed) => Ended::TornDown.into(),
            stop => stop,
        };
        Attempt { subscribed: true, lasted: since.elapsed(), stop }
    }

    /// Finds the leader and posts the `SUBSCRIBE` there.
    async fn open(&mut self, body: Vec<u8>) -> Result<(Endpoint, Response<Incoming>), Stop> {
        let mut endpoint = self.detector.detect().await?;
        for _ in 0..=self.config.max_redirects {
            let response = self.http.subscribe(&endpoint, body.clone()).await?;
            let header = |name| text_header(response.headers(), &name);
            match response.status() {
                StatusCode::OK if header(CONTENT_TYPE) == Some(self.config.media.as_str()) => {
                    return Ok((endpoint, response));
                }
                StatusCode::OK => {
                    let reason = format!("content type {:?}", header(CONTENT_TYPE).unwrap_or_default());
                    return Err(Disconnect::Protocol { endpoint: endpoint.to_string(), reason }.into());
                }
                StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => {
                    let location = header(LOCATION).unwrap_or_default();
                    tracing::debug!(%endpoint, location, "redirected");
                    endpoint = endpoint
                        .redirected(location)
                        .map_err(|source| Disconnect::Redirect { endpoint: endpoint.to_string(), source })?;
                }
                status => {
                    let reason = self.http.reason(response).await;
                    return Err(of_subscribe_status(endpoint.to_string(), status, reason));
                }
            }
        }
        Err(Disconnect::TooManyRedirects(self.config.max_redirects).into())
    }
}

fn text_header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The event stream of one subscription.
struct Stream {
    body: Incoming,
    decoder: Decoder,
    media: MediaType,
    /// How long the master may be silent. Any byte counts: a huge event may take its time.
    patience: Duration,
}

impl Stream {
    /// Reads up to `SUBSCRIBED`, which must be the first event.
    async fn first_event(&mut self, asked: Option<FrameworkId>) -> Result<(FrameworkId, Event), Stop> {
        let record = self.next_record().await?;
        let event = read_event(&record, self.media).map_err(|error| match error {
            Unreadable::Decode(error) => Disconnect::Undecodable(error),
            Unreadable::Invalid(_) => Disconnect::NotSubscribed,
        })?;
        match event {
            Event::Subscribed { ref framework_id, .. } => match asked {
                Some(asked) if asked != *framework_id => {
                    Err(Ended::WrongFramework { asked, given: framework_id.clone() }.into())
                }
                _ => Ok((framework_id.clone(), event)),
            },
            Event::Error { message } => Err(of_error_event(message, true)),
            _ => Err(Disconnect::NotSubscribed.into()),
        }
    }

    /// Hands on the events, beginning with `first`, until the stream ends.
    async fn deliver(
        mut self,
        first: Event,
        calls: CallSender,
        notices: &mpsc::Sender<Notice>,
    ) -> Result<Infallible, Stop> {
        let notify = async |notice| notices.send(notice).await.map_err(|_| Stop::Unheard);
        notify(Notice::Subscribed(calls.clone())).await?;
        notify(Notice::Event(first)).await?;
        loop {
            let record = self.next_record().await?;
            let event = read_event(&record, self.media).unwrap_or_else(|error| {
                tracing::error!(%error, "an event cannot be understood");
                acknowledge_unread(&record, self.media, &calls);
                Event::Unknown
            });
            let error = match &event {
                Event::Error { message } => Some(message.clone()),
                _ => None,
            };
            notify(Notice::Event(event)).await?;
            if let Some(message) = error {
                return Err(of_error_event(message, false));
            }
        }
    }

    async fn next_record(&mut self) -> Result<bytes::Bytes, Disconnect> {
        loop {
            if let Some(record) = self.decoder.next_record()? {
                return Ok(record);
            }
            match tokio::time::timeout(self.patience, self.body.frame()).await {
                Err(_) => return Err(Disconnect::Silence(self.patience)),
                Ok(None) => return Err(Disconnect::EndOfStream),
                Ok(Some(Err(error))) => return Err(Disconnect::Stream(chain(&error))),
                Ok(Some(Ok(frame))) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.decoder.feed(bytes);
                    }
                }
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Invalid(#[from] crate::translate::Invalid),
}

fn read_event(record: &[u8], media: MediaType) -> Result<Event, Unreadable> {
    Ok(Event::from_proto(decode::<scheduler::Event>(record, media)?)?)
}

/// Acknowledges a status update that cannot be understood, such as one with a state of the future: the agent
/// would send it for ever, and nothing after it.
fn acknowledge_unread(record: &[u8], media: MediaType, calls: &CallSender) {
    if media != MediaType::Protobuf {
        return;
    }
    let status = scheduler::Event::decode(record).ok().and_then(|event| Some(event.update?.status));
    let Some(status) = status else { return };
    if let (Some(agent_id), Some(Ok(uuid))) =
        (status.agent_id, status.uuid.as_deref().map(StatusUuid::from_slice))
    {
        let call =
            Call::Acknowledge { agent_id: agent_id.value.into(), task_id: status.task_id.value.into(), uuid };
        // If the subscription is over, the update comes again with the next.
        let _ = calls.send(call);
    }
}
