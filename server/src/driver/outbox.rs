//! What a turn's steps want done, held back until its records are durable.

use std::collections::HashMap;
use std::time::Instant;

use podium_core::model::mesos::Call;
use podium_core::record::Record;
use podium_core::{Action, CommandId, Output, Scheduler};
use tokio::sync::oneshot;

use super::{Answer, Audience, Connection};
use crate::metrics::DriverMetrics;
use crate::store::{Store, StoreError};

/// The outputs of one turn, in order.
#[derive(Default)]
pub(super) struct Outbox {
    records: Vec<Record>,
    effects: Vec<Effect>,
}

/// Something to do once the records are durable. Changes of the connection are among them, so that every call
/// goes to the connection that was there when the scheduler decided on it.
#[expect(clippy::large_enum_variant, reason = "the large ones, calls, are the common ones")]
enum Effect {
    Act(Action),
    Connect(Box<dyn Connection>),
    Disconnect,
}

impl Outbox {
    pub(super) fn add(&mut self, output: Output) {
        self.records.extend(output.records);
        self.effects.extend(output.actions.into_iter().map(Effect::Act));
    }

    pub(super) fn connect(&mut self, connection: Box<dyn Connection>) {
        self.effects.push(Effect::Connect(connection));
    }

    pub(super) fn disconnect(&mut self) {
        self.effects.push(Effect::Disconnect);
    }

    /// Makes all records durable in one write.
    pub(super) fn commit(
        &mut self,
        store: &mut dyn Store,
        metrics: &DriverMetrics,
    ) -> Result<(), StoreError> {
        if !self.records.is_empty() {
            let began = Instant::now();
            store.commit(&self.records)?;
            metrics.wrote(self.records.len(), began.elapsed());
            self.records.clear();
        }
        Ok(())
    }

    /// Does everything, in order.
    ///
    /// # Panics
    /// When there are records that were not committed.
    pub(super) fn perform(&mut self, world: &mut World, scheduler: &Scheduler, metrics: &DriverMetrics) {
        assert!(self.records.is_empty(), "actions are performed only when the records are durable");
        for effect in self.effects.drain(..) {
            if let Effect::Act(action) = &effect {
                metrics.acts(action);
            }
            match effect {
                Effect::Act(Action::Accept(accept)) => world.send(scheduler.accept_call(&accept)),
                Effect::Act(Action::Call(call)) => world.send(call),
                Effect::Act(Action::Publish(event)) => world.audience.publish(*event),
                Effect::Act(Action::Reply { id, result }) => world.reply(id, result),
                Effect::Connect(connection) => world.connection = Some(connection),
                Effect::Disconnect => world.connection = None,
            }
        }
    }
}

/// Whom actions reach.
pub(super) struct World {
    audience: Box<dyn Audience>,
    connection: Option<Box<dyn Connection>>,
    replies: HashMap<CommandId, oneshot::Sender<Answer>>,
}

impl World {
    pub(super) fn new(audience: Box<dyn Audience>) -> Self {
        Self { audience, connection: None, replies: HashMap::new() }
    }

    pub(super) fn expect_reply(&mut self, id: CommandId, reply: oneshot::Sender<Answer>) {
        self.replies.insert(id, reply);
    }

    fn send(&mut self, call: Call) {
        match &mut self.connection {
            Some(connection) => connection.send(call),
            None => tracing::debug!("not connected, dropping {call:?}"),
        }
    }

    fn reply(&mut self, id: CommandId, answer: Answer) {
        if let Some(reply) = self.replies.remove(&id) {
            // The asker may have gone away.
            let _ = reply.send(answer);
        }
    }
}
