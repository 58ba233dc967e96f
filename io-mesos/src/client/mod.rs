//! The connection of one framework to the leading master, kept up for as long as anybody listens.
//!
//! ```text
//!              watch: Subscription                       mpsc: Notice
//!  driver ───────────────────────────►  client task  ──────────────────────► driver
//!     │                                  │      ▲
//!     │ CallSender, a new one            │      │  SUBSCRIBE: a connection of its own,
//!     │ for each subscription            │      │  whose answer is the endless event stream
//!     ▼                                  ▼      │
//!   call queue ── in order ─► calls: pooled connections ─► master, each answered by 202
//! ```
//!
//! The task finds a master, subscribes, hands on what the stream says, and starts again with a randomised,
//! growing delay when anything breaks. What a lost connection did to the calls in flight is unknown: they are
//! never repeated, the scheduler reconciles instead. A [`CallSender`] therefore belongs to one subscription;
//! what is sent to it later goes nowhere.
//!
//! Calls take effect in the order in which they were sent: a call waits until those before it are answered.
//! Acknowledgements and declined offers do not depend on each other, so a run of them may be on the way at
//! the same time. A call is never sent over the stream's connection: a master would write its answer
//! into the middle of the stream.

mod backoff;
mod calls;
mod http;
mod master;
mod subscription;
mod verdict;

use std::time::Duration;

use podium_core::model::ids::{FrameworkId, Role};
use podium_core::model::mesos::{Call, Event, FrameworkInfo};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub use self::calls::{CallSender, NotSubscribed};
pub use self::http::{Credential, InvalidCredential};
pub use self::master::{DetectError, Endpoint, InvalidEndpoint, MasterDetector, StaticMasters};
pub use self::verdict::{Disconnect, Ended};

use self::backoff::Backoff;
use self::http::Http;
use self::verdict::Stop;
use crate::codec::MediaType;
use crate::recordio;

/// How many notices wait for the driver before the stream is no longer read.
const NOTICES: usize = 256;

/// How the client behaves. The defaults are what Mesos recommends.
#[derive(Clone, Debug)]
pub struct Config {
    /// How messages are written.
    pub media: MediaType,
    /// Who this is, for masters that demand it.
    pub credential: Option<Credential>,
    /// After how many heartbeat intervals without a byte a stream counts as dead.
    pub missed_heartbeats: u32,
    /// How long a master may take to answer a request, and to send the first event.
    pub request_timeout: Duration,
    /// How long it may take to open a connection.
    pub connect_timeout: Duration,
    /// The upper bound of the first delay before another attempt; it doubles with every failure.
    pub first_delay: Duration,
    /// The upper bound of every delay. A subscription that lasted longer makes the delays start anew.
    pub max_delay: Duration,
    /// How many redirects to follow in one attempt.
    pub max_redirects: u32,
    /// How many calls that do not depend on each other may be on the way at once.
    pub concurrent_calls: usize,
    /// The longest event that is accepted, in bytes.
    pub max_event: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            media: MediaType::Protobuf,
            credential: None,
            missed_heartbeats: 5,
            request_timeout: Duration::from_secs(75),
            connect_timeout: Duration::from_secs(10),
            first_delay: Duration::from_millis(250),
            max_delay: Duration::from_secs(15),
            max_redirects: 5,
            concurrent_calls: 8,
            max_event: recordio::DEFAULT_MAX_RECORD,
        }
    }
}

/// What the next `SUBSCRIBE` says. Without an id in it the client uses the one that a master gave it before.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    /// Who subscribes.
    pub framework_info: FrameworkInfo,
    /// Roles that want no offers for now.
    pub suppressed_roles: Vec<Role>,
}

/// What happens to the connection.
#[derive(Clone, Debug)]
pub enum Notice {
    /// A subscription begins; its calls go here. [`Event::Subscribed`] follows.
    Subscribed(CallSender),
    /// The master said something. What cannot be understood is [`Event::Unknown`].
    Event(Event),
    /// A master refused a call; the subscription goes on. The call did nothing.
    Refused {
        /// The call.
        call: Box<Call>,
        /// HTTP's status.
        status: u16,
        /// The master's words.
        reason: String,
    },
    /// The subscription is over: offers are void, calls in flight may or may not have taken effect.
    Disconnected(Disconnect),
    /// An attempt to subscribe failed.
    AttemptFailed {
        /// Why.
        reason: Disconnect,
        /// How long until the next one.
        delay: Duration,
    },
    /// The client has given up. This is the last notice.
    Ended(Ended),
}

/// A running client. It stops, and closes its connections, when this is dropped.
#[derive(Debug)]
pub struct Client {
    notices: mpsc::Receiver<Notice>,
    task: JoinHandle<()>,
}

impl Client {
    /// Starts a client on the current runtime.
    pub fn start(
        config: Config,
        detector: Box<dyn MasterDetector>,
        subscription: watch::Receiver<Subscription>,
    ) -> Self {
        let (sender, notices) = mpsc::channel(NOTICES);
        let task = Task {
            http: Http::new(&config),
            backoff: Backoff::new(config.first_delay, config.max_delay),
            framework_id: None,
            notices: sender,
            config,
            detector,
            subscription,
        };
        Self { notices, task: tokio::spawn(task.run()) }
    }

    /// The next notice; none after [`Notice::Ended`]. May be dropped and called again without loss.
    pub async fn next(&mut self) -> Option<Notice> {
        self.notices.recv().await
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The client's state across subscriptions.
struct Task {
    config: Config,
    http: Http,
    detector: Box<dyn MasterDetector>,
    subscription: watch::Receiver<Subscription>,
    /// Given by a master in this process' life; the store may not know it yet.
    framework_id: Option<FrameworkId>,
    backoff: Backoff,
    notices: mpsc::Sender<Notice>,
}

impl Task {
    async fn run(mut self) {
        loop {
            let attempt = self.subscribe().await;
            match attempt.stop {
                Stop::Unheard => return,
                Stop::Ended(ended) => {
                    tracing::error!(reason = %ended, "the subscription has ended for good");
                    let _ = self.notices.send(Notice::Ended(ended)).await;
                    return;
                }
                Stop::Disconnect(reason) => {
                    if attempt.lasted >= self.config.max_delay {
                        self.backoff.reset();
                    }
                    let delay = self.backoff.next(backoff::chance());
                    tracing::warn!(%reason, ?delay, subscribed = attempt.subscribed, "not connected to a master");
                    let notice = if attempt.subscribed {
                        Notice::Disconnected(reason)
                    } else {
                        Notice::AttemptFailed { reason, delay }
                    };
                    if self.notices.send(notice).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(delay).await;
                }
            }
        }
    }

    /// What to subscribe with now.
    fn current_subscription(&self) -> Subscription {
        let mut subscription = self.subscription.borrow().clone();
        if subscription.framework_info.id.is_none() {
            subscription.framework_info.id.clone_from(&self.framework_id);
        }
        subscription
    }
}
