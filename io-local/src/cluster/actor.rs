//! The one task that owns the cluster: it hands in what happens, in the order in which it happens, and carries out
//! what follows.
//!
//! ```text
//!   connections ──Message──►┌───────┐──Input──►┌─────────┐
//!   processes ──Happening──►│ Actor │          │ Cluster │  (the same that the simulator drives)
//!   the clock ─────────────►└───────┘◄─Output──└─────────┘
//!                             │ events and answers to connections, commands to containers
//! ```

use std::collections::BTreeMap;

use podium_core::model::mesos::{Call, Event};
use podium_sim::cluster::{
    Answer, Cluster, ClusterConfig, Input, OperatorCall, Output, RequestId, SchedulerCall, StreamId,
    Subscribe,
};
use tokio::sync::{mpsc, oneshot};

use super::clock::Clock;
use super::containers::{Containers, Happening};
use super::identity::Identity;
use crate::admin::{self, Command, Refusal};

/// What a subscription's connection is to send next.
#[derive(Debug)]
pub(crate) enum StreamItem {
    Event(Box<Event>),
    /// The last chunk.
    End,
    /// Nothing more: the connection breaks.
    Break,
}

/// A question or remark of a connection.
enum Message {
    Subscribe {
        subscribe: Box<Subscribe>,
        items: mpsc::UnboundedSender<StreamItem>,
        reply: oneshot::Sender<Answer>,
    },
    StreamClosed(StreamId),
    Call {
        call: Box<SchedulerCall>,
        reply: oneshot::Sender<Answer>,
    },
    Operator {
        call: OperatorCall,
        reply: oneshot::Sender<Answer>,
    },
    Admin {
        command: Command,
        reply: oneshot::Sender<Result<serde_json::Value, Refusal>>,
    },
}

/// Talks to the cluster. Once it has been shut down, every call is answered [`Answer::NoMaster`].
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    inbox: mpsc::UnboundedSender<Message>,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Message")
    }
}

impl Handle {
    /// Opens a stream. Its items follow a positive answer.
    pub(crate) async fn subscribe(
        &self,
        subscribe: Subscribe,
    ) -> (Answer, mpsc::UnboundedReceiver<StreamItem>) {
        let (items, receiver) = mpsc::unbounded_channel();
        let subscribe = Box::new(subscribe);
        (self.ask(|reply| Message::Subscribe { subscribe, items, reply }).await, receiver)
    }

    /// The stream's connection is gone.
    pub(crate) fn stream_closed(&self, stream: StreamId) {
        let _ = self.inbox.send(Message::StreamClosed(stream));
    }

    /// Returns when the call has had its effect.
    pub(crate) async fn call(&self, call: SchedulerCall) -> Answer {
        self.ask(|reply| Message::Call { call: Box::new(call), reply }).await
    }

    /// Whether there is a master that takes calls: otherwise what it, or nobody, would answer.
    pub(crate) async fn ready(&self) -> Result<(), Answer> {
        // A call of no framework is refused for being that, but last of all.
        let (request, call) = (RequestId(0), Call::Teardown);
        let call = SchedulerCall { request, framework_id: None, stream: None, principal: None, call };
        match self.call(call).await {
            absent @ (Answer::NoMaster | Answer::Rejected { status: 503, .. }) => Err(absent),
            Answer::Rejected { .. } | Answer::Accepted | Answer::Ok => Ok(()),
        }
    }

    /// Returns when the call to the operator API has had its effect.
    pub(crate) async fn operator(&self, call: OperatorCall) -> Answer {
        self.ask(|reply| Message::Operator { call, reply }).await
    }

    /// Returns when the cluster has been shut down.
    pub(crate) async fn shut_down(&self) {
        self.inbox.closed().await;
    }

    /// Carries out an administrator's command.
    pub(crate) async fn admin(&self, command: Command) -> Result<serde_json::Value, Refusal> {
        let (reply, answer) = oneshot::channel();
        let _ = self.inbox.send(Message::Admin { command, reply });
        answer.await.unwrap_or(Err(Refusal::ShutDown))
    }

    async fn ask(&self, message: impl FnOnce(oneshot::Sender<Answer>) -> Message) -> Answer {
        let (reply, answer) = oneshot::channel();
        let _ = self.inbox.send(message(reply));
        answer.await.unwrap_or(Answer::NoMaster)
    }
}

pub(super) struct Actor {
    clock: Clock,
    cluster: Cluster,
    identity: Identity,
    containers: Containers,
    happenings: mpsc::UnboundedReceiver<Happening>,
    inbox: mpsc::UnboundedReceiver<Message>,
    streams: BTreeMap<StreamId, mpsc::UnboundedSender<StreamItem>>,
    waiting: BTreeMap<RequestId, Waiting>,
    next_request: u64,
}

/// Who waits for an answer.
enum Waiting {
    Connection(oneshot::Sender<Answer>),
    Administrator(oneshot::Sender<Result<serde_json::Value, Refusal>>),
}

impl Actor {
    pub(super) fn new(
        config: ClusterConfig,
        identity: Identity,
        containers: Containers,
        happenings: mpsc::UnboundedReceiver<Happening>,
    ) -> (Self, Handle) {
        let (sender, inbox) = mpsc::unbounded_channel();
        let seed = uuid::Uuid::new_v4().as_u64_pair().0;
        let actor = Self {
            clock: Clock::start(),
            cluster: Cluster::new(config, seed),
            identity,
            containers,
            happenings,
            inbox,
            streams: BTreeMap::new(),
            waiting: BTreeMap::new(),
            next_request: 0,
        };
        (actor, Handle { inbox: sender })
    }

    /// Runs the cluster until `stop` is sent or dropped; then kills all containers.
    pub(super) async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        self.step(Input::Tick);
        loop {
            let deadline = self.cluster.deadline().map(|deadline| self.clock.instant(deadline));
            tokio::select! {
                _ = &mut stop => break,
                Some(message) = self.inbox.recv() => self.take(message),
                Some(happening) = self.happenings.recv() => {
                    if let Some(event) = self.containers.happened(happening) {
                        self.step(Input::Container(event));
                    }
                }
                () = sleep_until(deadline) => self.step(Input::Tick),
            }
        }
        self.streams.clear();
        self.containers.shut_down().await;
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Subscribe { mut subscribe, items, reply } => {
                subscribe.request = self.wait(Waiting::Connection(reply));
                self.streams.insert(subscribe.stream.clone(), items);
                self.step(Input::Subscribe(subscribe));
            }
            Message::StreamClosed(stream) => {
                if self.streams.remove(&stream).is_some() {
                    self.step(Input::StreamClosed { stream });
                }
            }
            Message::Call { mut call, reply } => {
                call.request = self.wait(Waiting::Connection(reply));
                self.step(Input::Call(call));
            }
            Message::Operator { call, reply } => self.operate(call, Waiting::Connection(reply)),
            Message::Admin { command, reply } => self.administrate(&command, reply),
        }
    }

    fn administrate(
        &mut self,
        command: &Command,
        reply: oneshot::Sender<Result<serde_json::Value, Refusal>>,
    ) {
        match admin::plan(command, &self.cluster) {
            Ok(admin::Plan::Faults(faults)) => {
                for fault in faults {
                    tracing::info!(?fault, "by an administrator's command");
                    self.step(Input::Fault(fault));
                }
                let _ = reply.send(Ok(Command::done()));
            }
            Ok(admin::Plan::Operator(call)) => self.operate(call, Waiting::Administrator(reply)),
            Ok(admin::Plan::Show) => {
                let state =
                    admin::state(&self.cluster, |container| self.containers.executor_sandbox(container));
                let _ = reply.send(Ok(state));
            }
            Err(refusal) => _ = reply.send(Err(refusal)),
        }
    }

    fn operate(&mut self, call: OperatorCall, waiting: Waiting) {
        tracing::info!(?call, "by an operator");
        let request = self.wait(waiting);
        self.step(Input::Operator { request, call });
    }

    fn wait(&mut self, waiting: Waiting) -> RequestId {
        let request = RequestId(self.next_request);
        self.next_request += 1;
        self.waiting.insert(request, waiting);
        request
    }

    fn step(&mut self, input: Input) {
        let mut outputs = Vec::new();
        self.cluster.step(self.clock.now(), input, &mut outputs);
        self.identity.keep(&self.cluster);
        for output in outputs {
            self.perform(output);
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Event { stream, event } => {
                // A connection that has just closed takes nothing any more; its message says so later.
                if let Some(items) = self.streams.get(&stream) {
                    let _ = items.send(StreamItem::Event(Box::new(event)));
                }
            }
            Output::CloseStream { stream, clean } => {
                if let Some(items) = self.streams.remove(&stream) {
                    let _ = items.send(if clean { StreamItem::End } else { StreamItem::Break });
                }
            }
            Output::Answer { request, answer } => match self.waiting.remove(&request) {
                Some(Waiting::Connection(reply)) => _ = reply.send(answer),
                Some(Waiting::Administrator(reply)) => _ = reply.send(Refusal::unless_done(answer)),
                None => {}
            },
            Output::Container(command) => {
                tracing::debug!(?command);
                self.containers.perform(command);
            }
        }
    }
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
