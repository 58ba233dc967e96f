//! Every offer is answered, and answered once, while it is valid.
//!
//! An offer that nobody answers holds an agent's resources for ever. One that is answered twice makes the
//! master drop what the second answer launches.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use podium_core::Input;
use podium_core::model::ids::OfferId;
use podium_core::model::mesos::{Call, Event};
use podium_core::model::time::Timestamp;

use super::Violation;
use crate::world::{Scene, Seen};

const NAME: &str = "offers";
/// So long an offer may go without an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// So soon somebody looks again if it could not be said the last time whether one is late.
const INTERVAL: Duration = Duration::from_secs(1);

/// Watches over offers.
#[derive(Clone, Debug, Default)]
pub(super) struct Offers {
    /// Those that the scheduler got on this connection and has not answered, with when it got them.
    open: BTreeMap<OfferId, Timestamp>,
    /// Those that were taken back, or came on a connection that is gone: an answer that is under way by then is no fault.
    rescinded: BTreeSet<OfferId>,
    /// No offer is late before.
    next_look: Option<Timestamp>,
}

/// When an offer that came at `at` is late.
fn late(at: Timestamp) -> Timestamp {
    at + PATIENCE + Duration::from_millis(1)
}

impl Offers {
    pub(super) fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Stepped { input: Input::Event(event), .. } => match &**event {
                Event::Offers(offers) => {
                    self.open.extend(offers.iter().map(|offer| (offer.id.clone(), scene.now)));
                    self.next_look.get_or_insert(late(scene.now));
                }
                Event::Rescind(id) => self.rescinded.extend(self.open.remove(id).map(|_| id.clone())),
                _ => {}
            },
            // It is as if nothing had been said.
            Seen::Stepped { input: Input::Refused { call, .. }, .. } => {
                if let Call::Accept { offer_ids, .. } = &**call {
                    self.open.extend(offer_ids.iter().map(|id| (id.clone(), scene.now)));
                    self.next_look.get_or_insert(late(scene.now));
                }
            }
            // The answers of earlier steps of the same turn are still to be performed.
            Seen::Stepped { input: Input::Disconnected, .. } => {
                self.rescinded.extend(std::mem::take(&mut self.open).into_keys());
            }
            Seen::Call(Call::Accept { offer_ids, .. }) => self.answer(offer_ids, "accepted")?,
            Seen::Call(Call::Decline { offer_ids, .. }) => self.answer(offer_ids, "declined")?,
            Seen::Died { .. } => {
                self.open.clear();
                self.rescinded.clear();
                self.next_look = None;
            }
            _ => {}
        }
        Ok(())
    }

    #[inline]
    pub(super) fn look(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        let is_due = self.next_look.is_some_and(|at| at <= scene.now);
        if is_due || !self.rescinded.is_empty() { self.look_closely(scene) } else { Ok(()) }
    }

    fn look_closely(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        if scene.api.is_some() {
            // What was under way has been said by now.
            self.rescinded.clear();
        }
        if self.next_look.is_none_or(|at| at > scene.now) {
            return Ok(());
        }
        if scene.api.is_none() {
            // Whoever is in the middle of something may be about to answer.
            self.next_look = Some(scene.now + INTERVAL);
            return Ok(());
        }
        if let Some((id, _)) = self.open.iter().find(|(_, at)| scene.now.since(**at) > PATIENCE) {
            let sentence = format!("offer {id} has had no answer for more than {PATIENCE:?}");
            return Err(Violation::new(NAME, sentence));
        }
        self.next_look = self.open.values().min().map(|at| late(*at));
        Ok(())
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.next_look
    }

    fn answer(&mut self, ids: &[OfferId], how: &str) -> Result<(), Violation> {
        for id in ids {
            if self.open.remove(id).is_none() && !self.rescinded.remove(id) {
                let sentence = format!(
                    "offer {id} was {how}, but it is not open: it was answered before, or never made"
                );
                return Err(Violation::new(NAME, sentence));
            }
        }
        Ok(())
    }
}
