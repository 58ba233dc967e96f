//! What a turn's steps want done, held back until its records are durable.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use podium_core::model::mesos::Call;
use podium_core::record::Record;
use podium_core::{Accept, Action, CommandId, Output, Scheduler, SecretsReport};
use tokio::sync::oneshot;

use super::{Answer, Audience, Connection};
use crate::metrics::DriverMetrics;
use crate::secrets::{self, SecretStore};
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

    /// Does everything, in order. What the secret store said about it.
    ///
    /// # Panics
    /// When there are records that were not committed.
    pub(super) fn perform(
        &mut self,
        world: &mut World,
        scheduler: &Scheduler,
        metrics: &DriverMetrics,
    ) -> Vec<SecretsReport> {
        assert!(self.records.is_empty(), "actions are performed only when the records are durable");
        let mut reports = Vec::new();
        for effect in self.effects.drain(..) {
            if let Effect::Act(action) = &effect {
                metrics.acts(action);
            }
            match effect {
                Effect::Act(Action::Accept(accept)) => reports.extend(world.accept(scheduler, *accept)),
                Effect::Act(Action::LookUpSecrets(paths)) => reports.extend(world.look_up(paths)),
                Effect::Act(Action::Call(call)) => world.send(call),
                Effect::Act(Action::Publish(event)) => world.audience.publish(*event),
                Effect::Act(Action::Reply { id, result }) => world.reply(id, result),
                Effect::Connect(connection) => world.connection = Some(connection),
                Effect::Disconnect => world.connection = None,
            }
        }
        reports
    }
}

/// Whom actions reach.
pub(super) struct World {
    audience: Box<dyn Audience>,
    connection: Option<Box<dyn Connection>>,
    replies: HashMap<CommandId, oneshot::Sender<Answer>>,
    secrets: Option<Box<dyn SecretStore>>,
}

impl World {
    pub(super) fn new(audience: Box<dyn Audience>, secrets: Option<Box<dyn SecretStore>>) -> Self {
        Self { audience, connection: None, replies: HashMap::new(), secrets }
    }

    pub(super) fn expect_reply(&mut self, id: CommandId, reply: oneshot::Sender<Answer>) {
        self.replies.insert(id, reply);
    }

    /// Launches, with the values of secrets if there is a store of them. What that said, if something is missing.
    fn accept(&mut self, scheduler: &Scheduler, accept: Accept) -> Option<SecretsReport> {
        // Nobody would hear them: not even read.
        let store = self.secrets.as_deref().filter(|_| self.connection.is_some());
        let (call, report) = match store {
            Some(store) => secrets::join(scheduler, accept, store),
            None => (scheduler.accept_call(&accept), None),
        };
        if let Some(report) = &report {
            for (path, why) in &report.missing {
                tracing::warn!("launches wait for the secret '{path}': {why}");
            }
        }
        self.send(call);
        report
    }

    /// Which of the secrets can be had.
    fn look_up(&self, paths: BTreeSet<String>) -> Option<SecretsReport> {
        let store = self.secrets.as_deref()?;
        let mut report = SecretsReport::default();
        for path in paths {
            match store.read(&path) {
                Ok(_) => _ = report.found.insert(path),
                Err(error) => _ = report.missing.insert(path, error.to_string()),
            }
        }
        Some(report)
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
