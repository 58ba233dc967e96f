//! The calls of one subscription: sent in order, each answered before the next that depends on it goes out.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hyper::header::HeaderValue;
use podium_core::model::ids::FrameworkId;
use podium_core::model::mesos::Call;
use tokio::sync::mpsc;

use super::Notice;
use super::http::Http;
use super::master::Endpoint;
use super::verdict::{CallVerdict, Disconnect, Ended, Stop, of_call_status};
use crate::codec::{MediaType, encode};
use crate::proto::scheduler::call::Type;
use crate::translate::{Format, Translate};

/// Sends calls to the master that a subscription is with.
#[derive(Clone, Debug)]
pub struct CallSender(mpsc::UnboundedSender<Call>);

/// The subscription is over, and the call went nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the subscription that this call belongs to is over")]
pub struct NotSubscribed;

impl CallSender {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Call>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Queues a call behind those sent before.
    ///
    /// # Errors
    /// The subscription is over.
    pub fn send(&self, call: Call) -> Result<(), NotSubscribed> {
        self.0.send(call).map_err(|_| NotSubscribed)
    }
}

/// Where the calls of a subscription go, and how they are written.
pub(super) struct Link<'a> {
    pub(super) http: &'a Http,
    pub(super) endpoint: Endpoint,
    pub(super) stream_id: HeaderValue,
    pub(super) framework_id: FrameworkId,
    pub(super) format: Format,
    pub(super) media: MediaType,
    /// How many calls may be on the way at once.
    pub(super) window: usize,
    pub(super) notices: &'a mpsc::Sender<Notice>,
    /// Set once `TEARDOWN` is on its way: then the end of the stream is no accident.
    pub(super) tearing_down: &'a AtomicBool,
}

impl Link<'_> {
    /// Sends what is queued until something goes wrong.
    pub(super) async fn pump(&self, mut queue: mpsc::UnboundedReceiver<Call>) -> Result<Infallible, Stop> {
        let mut on_the_way = FuturesUnordered::new();
        let mut independent = true;
        let mut held: Option<Call> = None;
        loop {
            let may_start = held.as_ref().is_some_and(|call| {
                on_the_way.is_empty()
                    || (independent && is_independent(call) && on_the_way.len() < self.window)
            });
            if may_start && let Some(call) = held.take() {
                independent = is_independent(&call);
                on_the_way.push(self.send(call));
            }
            tokio::select! {
                Some(answer) = on_the_way.next() => answer?,
                Some(call) = queue.recv(), if held.is_none() => held = Some(call),
                // Nothing on the way, nothing held, and all senders gone: the stream may still say something.
                else => std::future::pending().await,
            }
        }
    }

    async fn send(&self, call: Call) -> Result<(), Stop> {
        let mut proto = call.to_proto(self.format);
        let name = proto.r#type().as_str_name();
        if proto.r#type() == Type::Subscribe {
            return self.refuse(call, 0, "a subscription is the client's own business".to_owned()).await;
        }
        proto.framework_id = Some(self.framework_id.to_proto(self.format));
        if call == Call::Teardown {
            self.tearing_down.store(true, Ordering::Relaxed);
        }
        let body = encode(&proto, self.media);
        let (status, reason) = self
            .http
            .call(&self.endpoint, &self.stream_id, body)
            .await
            .map_err(|error| Disconnect::CallUnanswered { call: name, reason: error.to_string() })?;
        match of_call_status(name, status, &reason) {
            CallVerdict::Accepted if call == Call::Teardown => Err(Ended::TornDown.into()),
            CallVerdict::Accepted => Ok(()),
            CallVerdict::Refused => self.refuse(call, status.as_u16(), reason).await,
            CallVerdict::Stop(stop) => Err(stop),
        }
    }

    async fn refuse(&self, call: Call, status: u16, reason: String) -> Result<(), Stop> {
        if call == Call::Teardown {
            self.tearing_down.store(false, Ordering::Relaxed);
        }
        tracing::error!(?call, status, reason, "a call was refused");
        let notice = Notice::Refused { call: Box::new(call), status, reason };
        self.notices.send(notice).await.map_err(|_| Stop::Unheard)
    }
}

/// Whether a call has the same effect before and after every other call of this kind.
///
/// An agent sends a task's next update only after the one before was acknowledged, so two acknowledgements
/// that are queued at the same time are never about successive updates of one task.
fn is_independent(call: &Call) -> bool {
    matches!(call, Call::Acknowledge { .. } | Call::AcknowledgeOperation { .. } | Call::Decline { .. })
}
