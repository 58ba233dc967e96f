//! What must always hold, judged from outside: from calls and events on the wire, from what the API shows, from
//! what is durable, and from the containers that really exist. Never from the scheduler's own fields.
//!
//! | oracle | rule |
//! |---|---|
//! | `atomicity` | a group of containers lives and dies as one |
//! | `convergence` | once everything is mended, everything becomes as clients want it |
//! | `durability` | nothing is said to anybody before it is durable |
//! | `expectation` | what the author of a plan expects at certain times is true |
//! | `offers` | every offer is answered once |
//! | `single` | no instance is live twice |

mod atomicity;
mod constraints;
mod convergence;
mod durability;
mod expectations;
mod feasibility;
mod ledger;
mod offers;
mod single;

use podium_core::model::ids::InstanceId;
use podium_core::model::time::Timestamp;

use self::atomicity::Atomicity;
use self::convergence::Convergence;
use self::durability::Durability;
use self::expectations::Expectations;
use self::ledger::Ledger;
use self::offers::Offers;
use crate::world::{Scene, Seen};

/// Something that must not happen has happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{oracle}: {sentence}")]
pub struct Violation {
    /// Whose rule it is.
    pub oracle: &'static str,
    /// What has happened, in a sentence.
    pub sentence: String,
}

impl Violation {
    /// A violation of `oracle`'s rule.
    pub fn new(oracle: &'static str, sentence: impl Into<String>) -> Self {
        Self { oracle, sentence: sentence.into() }
    }
}

/// Whoever watches a run.
pub trait Witness {
    /// Something has just happened.
    ///
    /// # Errors
    /// It must not happen: the run ends.
    fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) -> Result<(), Violation>;

    /// When to be told of the time at the latest.
    fn deadline(&self) -> Option<Timestamp> {
        None
    }

    /// Whether there is nothing left to wait for.
    fn is_satisfied(&self) -> bool {
        false
    }
}

/// All oracles.
#[derive(Clone, Debug, Default)]
pub struct Jury {
    ledger: Ledger,
    atomicity: Atomicity,
    convergence: Convergence,
    durability: Durability,
    expectations: Expectations,
    offers: Offers,
    calm_since: Option<Timestamp>,
}

impl Witness for Jury {
    fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        self.calm_since = scene.calm_since;
        self.ledger.see(seen, scene);
        self.durability.see(seen, scene)?;
        self.offers.see(seen, scene)?;
        single::see(seen, &self.ledger, scene)?;
        self.atomicity.see(seen, &self.ledger, scene)?;
        self.expectations.see(seen, scene)?;
        self.convergence.see(seen, &self.ledger, scene)
    }

    fn deadline(&self) -> Option<Timestamp> {
        let deadlines = [
            self.offers.deadline(),
            self.atomicity.deadline(self.calm_since),
            self.convergence.deadline(),
            self.expectations.deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    fn is_satisfied(&self) -> bool {
        self.convergence.is_satisfied() && self.expectations.is_satisfied()
    }
}

/// An instance's name for people: its pod and the end of its uuid.
fn short(instance: &InstanceId) -> String {
    let uuid = instance.uuid.simple().to_string();
    format!("{}#{}", instance.pod, &uuid[uuid.len() - 6..])
}
