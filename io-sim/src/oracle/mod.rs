//! What must always hold, judged from outside: from calls and events on the wire, from what the API shows, from
//! what is durable, and from the containers that really exist. Never from the scheduler's own fields.
//!
//! | oracle | rule |
//! |---|---|
//! | `atomicity` | a group of containers is launched as defined, and lives and dies as one |
//! | `ceiling`, `floor` | a rollout never has more copies than allowed, nor fewer that serve |
//! | `convergence` | once everything is mended, everything becomes as clients want it |
//! | `deletion` | what was deleted is gone |
//! | `demand` | no offers are asked for when nobody needs any |
//! | `durability` | nothing is said to anybody before it is durable |
//! | `events` | what is published agrees with what the API shows, and no change goes without its event |
//! | `expectation` | what the author of a plan expects at certain times is true |
//! | `history` | versions grow, and what they were can be read for ever |
//! | `offers` | every offer is answered once, on its connection |
//! | `placement` | what is launched fits its offer and its pod's constraints |
//! | `questions` | Mesos is asked again and again, about each copy and what else there may be |
//! | `queue` | the queue shows every copy that waits |
//! | `rehearsal` | what a dry run says is what the request does then |
//! | `restore` | what is durable restores what is shown |
//! | `selection` | of copies too many the least useful ends, and of equal ones the one that `killSelection` names |
//! | `single` | no instance is live twice |
//! | `unknown` | the list of unknown tasks shows what runs without a record |
//! | `unreachable` | copies out of reach are replaced and given up in their windows, and killed if they return |
//! | `volumes` | a volume is there as long as its instance, and nothing is kept for instances that are gone |

mod atomicity;
mod capacity;
mod constraints;
mod convergence;
mod definitions;
mod deletion;
mod demand;
mod durability;
mod events;
mod expectations;
mod feasibility;
mod history;
mod launch;
mod ledger;
mod news;
mod offers;
mod placement;
mod questions;
mod queue;
mod rehearsal;
mod restore;
mod selection;
mod single;
mod unknown;
mod unreachable;
mod volumes;

use std::fmt;
use std::time::Duration;

use podium_core::model::ids::InstanceId;
use podium_core::model::time::Timestamp;

use self::atomicity::Atomicity;
use self::convergence::Convergence;
use self::deletion::Deletion;
use self::demand::Demand;
use self::durability::Durability;
use self::events::Events;
use self::expectations::Expectations;
use self::history::History;
use self::ledger::Ledger;
use self::news::News;
use self::offers::Offers;
use self::placement::Placement;
use self::questions::Questions;
use self::rehearsal::Rehearsal;
use self::restore::Restore;
use self::selection::Selection;
use self::single::Single;
use self::unknown::Unknown;
use self::unreachable::Unreachable;
use self::volumes::Volumes;
pub(crate) use self::volumes::resident;
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

    /// Whether the same rule was violated in the same way: the sentences differ in names and numbers only, or in
    /// what they give as the reason at their end, after a semicolon. What was expected must be wrong in the very same
    /// way: an expectation keeps its numbers, and without the thing that it is about each of them is wrong.
    pub fn is_like(&self, other: &Self) -> bool {
        self.oracle == other.oracle
            && match (self.disappointment(), other.disappointment()) {
                (None, None) => self.words().eq(other.words()),
                (ours, others) => ours == others,
            }
    }

    /// The words of its sentence that are neither names nor numbers.
    fn words(&self) -> impl Iterator<Item = &str> {
        let statement = self.sentence.split(';').next().unwrap_or_default();
        let words = statement.split_whitespace().map(|word| word.trim_end_matches([',', ':']));
        words.filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()))
    }

    /// How it is instead of as an author expects it.
    fn disappointment(&self) -> Option<&str> {
        let (_, how) = self.sentence.strip_prefix("expect[")?.split_once(": ")?;
        Some(how)
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
    deletion: Deletion,
    durability: Durability,
    events: Events,
    is_deaf: bool,
    expectations: Expectations,
    history: History,
    news: News,
    offers: Offers,
    placement: Placement,
    rehearsal: Rehearsal,
    restore: Restore,
    seldom: Seldom,
    selection: Selection,
    single: Single,
    unreachable: Unreachable,
    volumes: Volumes,
    calm_since: Option<Timestamp>,
}

/// Those who look at how things are twice a minute.
#[derive(Clone, Default)]
struct Seldom {
    next_look: Timestamp,
    demand: Demand,
    questions: Questions,
    unknown: Unknown,
}

/// They do not tell: states that differ in them alone have the same future.
impl fmt::Debug for Seldom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seldom")
    }
}

impl Seldom {
    const INTERVAL: Duration = Duration::from_secs(30);

    #[inline]
    fn look(&mut self, ledger: &Ledger, scene: &Scene<'_>) -> Result<(), Violation> {
        if self.next_look > scene.now { Ok(()) } else { self.look_closely(ledger, scene) }
    }

    fn look_closely(&mut self, ledger: &Ledger, scene: &Scene<'_>) -> Result<(), Violation> {
        self.next_look = scene.now + Self::INTERVAL;
        self.demand.look(ledger, scene)?;
        self.questions.look(ledger, scene)?;
        self.unknown.look(ledger, scene)
    }
}

impl Jury {
    /// One that compares a restored scheduler with the one that runs whenever time passes.
    pub fn thorough() -> Self {
        Self { restore: Restore::always(), ..Self::default() }
    }

    /// One that does not listen to what is published: a scheduler that mishears something also says the wrong thing
    /// about it, which may be known before what it leads to.
    pub fn deaf() -> Self {
        Self { is_deaf: true, ..Self::default() }
    }

    /// How many pods have not become as clients want them, and nobody could help it.
    pub fn excused(&self) -> usize {
        self.convergence.excused()
    }

    /// Time has passed, which it does more often than anything else happens: only those are asked who look at how
    /// things are, and it costs next to nothing that most of them do so only now and then.
    fn look(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        if !self.is_deaf {
            self.events.look(scene)?;
        }
        self.offers.look(scene)?;
        self.unreachable.look(&self.ledger, scene)?;
        self.history.look(scene)?;
        self.deletion.look(scene)?;
        self.seldom.look(&self.ledger, scene)?;
        self.restore.look(scene)?;
        self.volumes.look(&self.ledger, scene)?;
        self.atomicity.look(&self.ledger, scene)?;
        self.expectations.look(scene)?;
        self.convergence.look(&self.ledger, scene)
    }
}

impl Witness for Jury {
    fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        self.calm_since = scene.calm_since;
        if matches!(seen, Seen::Time) {
            return self.look(scene);
        }
        if matches!(seen, Seen::Published(_)) {
            // Whatever it says has been seen by all others already, and before it was said.
            if !self.is_deaf {
                self.events.see(seen, &self.ledger, scene)?;
            }
            return self.rehearsal.see(seen, scene);
        }
        self.ledger.see(seen, scene);
        self.durability.see(seen, scene)?;
        if !self.is_deaf {
            self.events.see(seen, &self.ledger, scene)?;
        }
        self.offers.see(seen, scene)?;
        self.single.see(seen, &self.ledger, scene)?;
        self.news.see(seen, &self.ledger, scene)?;
        capacity::see(seen, &self.ledger, scene)?;
        self.selection.see(seen, &self.ledger, scene)?;
        self.unreachable.see(seen, &self.ledger, &self.news, scene)?;
        self.placement.see(seen, &self.ledger, scene)?;
        self.history.see(seen)?;
        self.deletion.see(seen, &self.ledger, scene)?;
        self.seldom.questions.see(seen, &self.ledger, scene);
        self.rehearsal.see(seen, scene)?;
        self.restore.see(seen, scene)?;
        self.volumes.see(seen, &self.ledger, scene)?;
        self.atomicity.see(seen, &self.ledger, scene)?;
        self.expectations.see(seen);
        self.convergence.see(seen, &self.ledger, scene)
    }

    fn deadline(&self) -> Option<Timestamp> {
        let deadlines = [
            self.offers.deadline(),
            self.atomicity.deadline(self.calm_since),
            self.convergence.deadline(),
            self.expectations.deadline(),
            self.volumes.deadline(),
        ];
        deadlines.iter().filter_map(|at| *at).min()
    }

    fn is_satisfied(&self) -> bool {
        self.convergence.is_satisfied() && self.expectations.is_satisfied() && self.volumes.is_satisfied()
    }
}

/// An instance's name for people: its pod and the end of its uuid.
fn short(instance: &InstanceId) -> String {
    let uuid = instance.uuid.simple().to_string();
    format!("{}#{}", instance.pod, &uuid[uuid.len() - 6..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn violations_are_alike_whatever_the_names_and_numbers() {
        let stable = "5m 0s after everything was mended, pod /a/b has 1 of 3 instances stable and 4 in all";
        let pending = format!("{stable}; /a/b#9d12aa is Pending: waits for an offer");
        let smaller = "2s after everything was mended, pod /c has 0 of 1 instances stable and 1 in all";
        let stray = "2s after everything was mended, /c#9d12aa still runs, and nobody wants it";
        let found = Violation::new("convergence", pending);
        assert!(found.is_like(&Violation::new("convergence", smaller)));
        assert!(!found.is_like(&Violation::new("convergence", stray)));
        assert!(!found.is_like(&Violation::new("floor", smaller)));
        let refused = "the dry run was accepted, the request refused";
        let found = Violation::new("rehearsal", format!("{refused}: no pod has the id /a"));
        assert!(found.is_like(&Violation::new("rehearsal", format!("{refused}: no pod has the id /b/c"))));
        assert!(!found.is_like(&Violation::new("rehearsal", format!("{refused}: it is locked"))));
    }

    #[test]
    fn expectations_are_alike_only_if_they_are_wrong_in_the_same_way() {
        let wrong = |sentence: &str| Violation::new("expectation", sentence);
        let found = wrong("expect[1], at 1m: of pod /web, 2 instances are stable instead of 3");
        assert!(
            found.is_like(&wrong("expect[0], at 1m: of pod /web, 2 instances are stable instead of 3")),
            "there is an expectation less"
        );
        for other in [
            "expect[1], at 1m: there is no pod /web",
            "expect[1], at 1m: of pod /web, 0 instances are stable instead of 3",
            "expect[1], at 1m: of pod /web, 2 containers run instead of 3",
        ] {
            assert!(!found.is_like(&wrong(other)), "{other}");
        }
    }
}
