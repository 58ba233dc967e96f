//! The endless response to `SUBSCRIBE`.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use podium_core::model::mesos::Event;
use podium_mesos::codec::{self, MediaType};
use podium_mesos::recordio;
use podium_mesos::translate::{Format, Translate};
use podium_sim::cluster::StreamId;
use tokio::sync::mpsc;

use crate::cluster::{Handle, StreamItem};

/// The stream breaks off: the connection is closed without the last chunk.
#[derive(Debug, thiserror::Error)]
#[error("the subscription broke off")]
pub(super) struct Broken;

/// Tells the cluster when the connection is gone.
pub(super) struct Guard {
    pub(super) cluster: Handle,
    pub(super) stream: StreamId,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.cluster.stream_closed(self.stream.clone());
    }
}

/// One chunk for each event.
pub(super) struct EventStream {
    pub(super) items: mpsc::UnboundedReceiver<StreamItem>,
    pub(super) media: MediaType,
    pub(super) format: Format,
    pub(super) _guard: Guard,
}

impl Body for EventStream {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Poll::Ready(match ready!(self.items.poll_recv(context)) {
            Some(StreamItem::Event(event)) => Some(Ok(Frame::data(record(&event, self.media, self.format)))),
            Some(StreamItem::End) => None,
            // Without a word, the cluster has been shut down.
            Some(StreamItem::Break) | None => Some(Err(Broken)),
        })
    }
}

/// An event as it is written.
pub(super) fn record(event: &Event, media: MediaType, format: Format) -> Bytes {
    recordio::encode(&codec::encode(&event.to_proto(format), media))
}
