//! Why an offer was not used for a pod, as data: counted for `GET /v2/queue`, and put into a sentence for people.
//!
//! ```text
//!   matcher ── NoMatch ──┬──► RefusalStatistics ──► funnel: how many offers each reason has stopped
//!                        │    (one per pod)
//!                        └──► Refusals ──► sentence: "needs 0.2 more cpus on 3 agents; …"
//!                             (when asked)
//! ```
//!
//! Only the first thing that is against an offer counts, in the order of [`Reason::ALL`].

use std::collections::BTreeMap;
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::constraints::{ConstraintRefusal, Constraints};
use super::ports::NoPorts;
use crate::model::number::Scalar;
use crate::model::pod::ScalarResources;
use crate::model::time::Timestamp;
use crate::view::{ProcessedOffersSummary, RejectSummary};

/// What is against placing a copy on an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoMatch {
    /// Nothing that is free there is for the pod's roles.
    Role,
    /// The agent's region is not the master's, and the pod does not say that it may go elsewhere.
    Region,
    /// The copy's persistent volumes are not there.
    Reservation,
    /// A placement constraint.
    Constraint(ConstraintRefusal),
    /// The agent is, or will soon be, in maintenance.
    Maintenance,
    /// There is not enough; so much more of each is needed.
    Insufficient(ScalarResources),
    /// There are large enough disks, but none of a type and size that a volume of its own wants.
    Disk,
    /// The host ports are not free.
    Ports(NoPorts),
    /// What the agent has is kept for pods that need it (GPUs).
    Scarce,
    /// The executor of the copy's last launch is still ending there; the next one has the same id.
    ExecutorStillAlive,
    /// Copies failed there again and again, and the pod avoids such agents for a while.
    CopiesFailedThere,
}

/// The kinds of `NoMatch`: Marathon's reasons under its names, then Podium's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "see NoMatch")]
pub enum Reason {
    UnfulfilledRole,
    UnfulfilledConstraint,
    NoCorrespondingReservationFound,
    AgentMaintenance,
    InsufficientCpus,
    InsufficientMemory,
    InsufficientDisk,
    InsufficientGpus,
    InsufficientPorts,
    DeclinedScarceResources,
    RegionMismatch,
    ExecutorStillAlive,
    CopiesFailedThere,
}

impl Reason {
    /// All of them, in the order of Marathon's funnel.
    pub const ALL: [Self; 13] = [
        Self::UnfulfilledRole,
        Self::UnfulfilledConstraint,
        Self::NoCorrespondingReservationFound,
        Self::AgentMaintenance,
        Self::InsufficientCpus,
        Self::InsufficientMemory,
        Self::InsufficientDisk,
        Self::InsufficientGpus,
        Self::InsufficientPorts,
        Self::DeclinedScarceResources,
        Self::RegionMismatch,
        Self::ExecutorStillAlive,
        Self::CopiesFailedThere,
    ];
}

impl NoMatch {
    /// What is missing of `needed` where `free` is free, if something is.
    pub(crate) fn insufficient(needed: ScalarResources, free: ScalarResources) -> Option<Self> {
        let missing = needed.saturating_sub(free);
        (missing != ScalarResources::default()).then_some(Self::Insufficient(missing))
    }

    /// Whether it passes by itself, within a moment.
    pub(crate) fn is_momentary(self) -> bool {
        self == Self::ExecutorStillAlive
    }

    /// Under which name it is counted.
    pub(crate) fn reason(self) -> Reason {
        match self {
            Self::Role => Reason::UnfulfilledRole,
            Self::Region => Reason::RegionMismatch,
            Self::Constraint(_) => Reason::UnfulfilledConstraint,
            Self::Reservation => Reason::NoCorrespondingReservationFound,
            Self::Maintenance => Reason::AgentMaintenance,
            Self::Insufficient(missing) if !missing.cpus.is_zero() => Reason::InsufficientCpus,
            Self::Insufficient(missing) if !missing.mem.is_zero() => Reason::InsufficientMemory,
            Self::Insufficient(missing) if !missing.disk.is_zero() => Reason::InsufficientDisk,
            Self::Insufficient(_) => Reason::InsufficientGpus,
            Self::Disk => Reason::InsufficientDisk,
            Self::Ports(_) => Reason::InsufficientPorts,
            Self::Scarce => Reason::DeclinedScarceResources,
            Self::ExecutorStillAlive => Reason::ExecutorStillAlive,
            Self::CopiesFailedThere => Reason::CopiesFailedThere,
        }
    }
}

/// What became of the offers that were looked at for a pod since it began to wait.
#[derive(Clone, Debug, Default)]
pub(crate) struct RefusalStatistics {
    /// The number of offers there had been before.
    begin: u64,
    used: u64,
    last_used: Option<Timestamp>,
    last_unused: Option<Timestamp>,
    /// By reason, how many offers it has stopped.
    refused: [u64; Reason::ALL.len()],
}

/// What is against placing a copy on each of many agents.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusals {
    /// One for each agent.
    pub(crate) whys: Vec<NoMatch>,
    /// Whether there are agents that were not looked at.
    pub(crate) are_cut: bool,
}

/// The offers that came for a role.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OfferCount {
    /// So many.
    pub(crate) count: u64,
    /// When the last one came.
    pub(crate) last: Timestamp,
}

impl RefusalStatistics {
    /// Nothing yet, while there have been the offers `before`.
    pub(crate) fn begin(before: OfferCount) -> Self {
        Self { begin: before.count, ..Self::default() }
    }

    /// An offer was not used.
    pub(crate) fn refused(&mut self, why: NoMatch, now: Timestamp) {
        self.refused[why.reason() as usize] += 1;
        self.last_unused = Some(now);
    }

    /// An offer was used.
    pub(crate) fn used(&mut self, now: Timestamp) {
        self.used += 1;
        self.last_used = Some(now);
    }

    /// The part of `GET /v2/queue` that is about offers. Of `offers`, which came for the pod's role, many were not
    /// tried on it, because it was known that they could not fit: these are counted under the reasons that are
    /// against the agents `now`.
    pub(crate) fn summary(&self, offers: OfferCount, now: &Refusals) -> ProcessedOffersSummary {
        let last = now.by_reason();
        let tried: u64 = self.refused.iter().sum();
        let untried = offers.count.saturating_sub(self.begin).saturating_sub(self.used + tried);
        let mut refused = self.refused;
        let known = share(untried, &last);
        refused.iter_mut().zip(known).for_each(|(refused, known)| *refused += known);
        // Of some it is not known any more what was against them.
        let unused = tried + untried;
        let last_unused = (untried > 0).then_some(offers.last).max(self.last_unused);
        ProcessedOffersSummary {
            processed_offers_count: self.used + unused,
            unused_offers_count: unused,
            last_unused_offer_at: last_unused,
            last_used_offer_at: self.last_used,
            reject_summary_last_offers: funnel(now.whys.len() as u64, &last),
            reject_summary_launch_attempt: funnel(self.used + unused, &refused),
        }
    }
}

impl Refusals {
    /// By reason, how many agents it is against.
    fn by_reason(&self) -> [u64; Reason::ALL.len()] {
        let mut counts = [0; Reason::ALL.len()];
        for why in &self.whys {
            counts[why.reason() as usize] += 1;
        }
        counts
    }

    /// Why a pod with these `constraints`, a copy of which `needs` so much, waits, as one sentence: what most agents lack
    /// comes first, with the nearest miss. Nothing if nothing was refused.
    pub(crate) fn sentence(&self, constraints: &Constraints, needs: ScalarResources) -> Option<String> {
        let mut groups: BTreeMap<Group, Agents> = BTreeMap::new();
        for why in &self.whys {
            groups.entry(Group::of(*why)).or_default().add(*why, needs);
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_key(|(_, agents)| std::cmp::Reverse(agents.count));
        let parts: Vec<String> =
            groups.into_iter().map(|(group, agents)| group.describe(&agents, constraints)).collect();
        let scope =
            if self.are_cut { format!("of {} agents looked at: ", self.whys.len()) } else { String::new() };
        (!parts.is_empty()).then(|| scope + &parts.join("; "))
    }
}

/// Divides `count` like `parts`; what is left over goes to the greatest.
fn share(count: u64, parts: &[u64; Reason::ALL.len()]) -> [u64; Reason::ALL.len()] {
    let total: u64 = parts.iter().sum();
    if total == 0 {
        return [0; Reason::ALL.len()];
    }
    let mut shares = parts.map(|part| count / total * part + count % total * part / total);
    let rest = count - shares.iter().sum::<u64>();
    if let Some((_, greatest)) = parts.iter().zip(&mut shares).max_by_key(|(part, _)| **part) {
        *greatest += rest;
    }
    shares
}

/// `processed` offers went in; what a stage declines does not reach the next one.
fn funnel(mut processed: u64, declined: &[u64; Reason::ALL.len()]) -> Vec<RejectSummary> {
    let stage = |(reason, declined): (Reason, &u64)| {
        let stage = RejectSummary { reason, declined: *declined, processed };
        processed -= declined;
        stage
    };
    Reason::ALL.into_iter().zip(declined).map(stage).collect()
}

/// Refusals that are told together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    /// Lacking the same resources: cpus, memory, disk, gpus.
    Lacking([bool; 4]),
    FixedPort(u16),
    DynamicPorts,
    Constraint(usize),
    Other(Reason),
}

/// The agents of a group.
#[derive(Clone, Copy, Debug, Default)]
struct Agents {
    count: usize,
    /// What is missing on the one that lacks least, in the resources' own order.
    nearest: Option<[Scalar; 4]>,
    /// Whether another one lacks more.
    differ: bool,
}

impl Agents {
    fn add(&mut self, why: NoMatch, needs: ScalarResources) {
        self.count += 1;
        let missing = match why {
            NoMatch::Insufficient(missing) => [missing.cpus, missing.mem, missing.disk, missing.gpus],
            NoMatch::Ports(NoPorts::Dynamic { missing }) => [
                Scalar::from_thousandths(i64::from(missing) * 1000),
                Scalar::ZERO,
                Scalar::ZERO,
                Scalar::ZERO,
            ],
            _ => return,
        };
        self.differ |= self.nearest.is_some_and(|nearest| nearest != missing);
        let needs = [needs.cpus, needs.mem, needs.disk, needs.gpus];
        self.nearest = Some(
            self.nearest
                .into_iter()
                .chain([missing])
                .min_by_key(|one| shortage(one, needs))
                .unwrap_or(missing),
        );
    }
}

/// The greatest part of what is needed of something that is missing, in millionths.
fn shortage(missing: &[Scalar; 4], needs: [Scalar; 4]) -> i128 {
    let part = |(missing, needed): (&Scalar, Scalar)| {
        i128::from(missing.as_thousandths()) * 1_000_000 / i128::from(needed.as_thousandths().max(1))
    };
    missing.iter().zip(needs).map(part).max().unwrap_or_default()
}

impl Group {
    fn of(why: NoMatch) -> Self {
        match why {
            NoMatch::Insufficient(missing) => Self::Lacking(
                [missing.cpus, missing.mem, missing.disk, missing.gpus].map(|one| !one.is_zero()),
            ),
            NoMatch::Ports(NoPorts::Fixed(port)) => Self::FixedPort(port),
            NoMatch::Ports(NoPorts::Dynamic { .. }) => Self::DynamicPorts,
            NoMatch::Constraint(refusal) => Self::Constraint(refusal.index),
            _ => Self::Other(why.reason()),
        }
    }

    fn describe(self, agents: &Agents, constraints: &Constraints) -> String {
        let count = agents.count;
        let one = count == 1;
        let noun = if one { "agent" } else { "agents" };
        let verb = |singular, plural| if one { singular } else { plural };
        let at_least = if agents.differ { "at least " } else { "" };
        let nearest = agents.nearest.unwrap_or_default();
        match self {
            // Others may lack less of one thing and more of another.
            Self::Lacking(lacking) if agents.differ && lacking.iter().filter(|lacks| **lacks).count() > 1 => {
                format!("needs {} on the nearest of {count} {noun}", amounts(&nearest))
            }
            Self::Lacking(_) => format!("needs {at_least}{} on {count} {noun}", amounts(&nearest)),
            Self::FixedPort(port) => format!("port {port} is not free on {count} {noun}"),
            Self::DynamicPorts => format!("needs {at_least}{} more ports on {count} {noun}", nearest[0]),
            Self::Constraint(index) => {
                let name = constraints.name(index);
                format!("{count} {noun} {} it by constraint {name}", verb("refuses", "refuse"))
            }
            Self::Other(Reason::UnfulfilledRole) => {
                format!("nothing that is free on {count} {noun} is for its roles")
            }
            Self::Other(Reason::RegionMismatch) => {
                format!("{count} {noun} {} in another region", verb("is", "are"))
            }
            Self::Other(Reason::AgentMaintenance) => {
                format!("{count} {noun} {} for maintenance", verb("leaves", "leave"))
            }
            Self::Other(Reason::DeclinedScarceResources) => {
                format!("{count} {noun} {} kept for pods that need GPUs", verb("is", "are"))
            }
            Self::Other(Reason::ExecutorStillAlive) => {
                format!("its last launch is still ending on {count} {noun}")
            }
            Self::Other(Reason::CopiesFailedThere) => {
                format!(
                    "its copies failed again and again on {count} {noun}, which {} avoided for now",
                    verb("is", "are")
                )
            }
            Self::Other(Reason::InsufficientDisk) => {
                format!("no disk of {count} {noun} is as its volumes want it")
            }
            Self::Other(Reason::NoCorrespondingReservationFound) => {
                format!("its volumes are not on {count} {noun}")
            }
            // Told by the groups of their own above.
            Self::Other(reason) => format!("{count} {noun}: {reason:?}"),
        }
    }
}

/// `0.2 more cpus and 64 MiB more memory`.
fn amounts(missing: &[Scalar; 4]) -> String {
    let units = [" more cpus", " MiB more memory", " MiB more disk", " more GPUs"];
    let mut text = String::new();
    for (amount, unit) in missing.iter().zip(units).filter(|(amount, _)| !amount.is_zero()) {
        let and = if text.is_empty() { "" } else { " and " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{and}{amount}{unit}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::pod::{Constraint, ConstraintOperator};
    use crate::placement::constraints::ConstraintReason;

    fn scalars(cpus: f64, mem: f64, disk: f64, gpus: f64) -> ScalarResources {
        ScalarResources {
            cpus: Scalar::from_f64(cpus),
            mem: Scalar::from_f64(mem),
            disk: Scalar::from_f64(disk),
            gpus: Scalar::from_f64(gpus),
        }
    }

    fn lacking(cpus: f64, mem: f64) -> NoMatch {
        NoMatch::Insufficient(scalars(cpus, mem, 0.0, 0.0))
    }

    fn zone_unique() -> Constraints {
        Constraints::compile(&[Constraint {
            field_name: "@zone".to_owned(),
            operator: ConstraintOperator::Unique,
            value: None,
        }])
    }

    const BY_CONSTRAINT: NoMatch =
        NoMatch::Constraint(ConstraintRefusal { index: 0, reason: ConstraintReason::NoSuchField });

    fn refusals(whys: &[NoMatch]) -> Refusals {
        Refusals { whys: whys.to_vec(), are_cut: false }
    }

    fn sentence(whys: &[NoMatch]) -> Option<String> {
        refusals(whys).sentence(&zone_unique(), scalars(1.0, 100.0, 1.0, 1.0))
    }

    #[test]
    fn what_is_missing_is_the_difference() {
        let free = scalars(1.0, 64.0, 0.0, 0.0);
        assert_eq!(NoMatch::insufficient(free, free), None);
        assert_eq!(
            NoMatch::insufficient(scalars(1.2, 32.0, 10.0, 1.0), free),
            Some(NoMatch::Insufficient(scalars(0.2, 0.0, 10.0, 1.0)))
        );
        let reasons = [
            (scalars(0.1, 1.0, 1.0, 1.0), Reason::InsufficientCpus),
            (scalars(0.0, 1.0, 1.0, 1.0), Reason::InsufficientMemory),
            (scalars(0.0, 0.0, 1.0, 1.0), Reason::InsufficientDisk),
            (scalars(0.0, 0.0, 0.0, 1.0), Reason::InsufficientGpus),
        ];
        for (missing, reason) in reasons {
            assert_eq!(NoMatch::Insufficient(missing).reason(), reason);
        }
    }

    #[test]
    fn the_sentence_begins_with_what_most_agents_lack_and_names_the_nearest_miss() {
        assert_eq!(sentence(&[]), None);
        let all = [lacking(0.2, 0.0), BY_CONSTRAINT, lacking(0.2, 0.0), BY_CONSTRAINT, lacking(0.2, 0.0)];
        assert_eq!(
            sentence(&all).unwrap(),
            "needs 0.2 more cpus on 3 agents; 2 agents refuse it by constraint @zone UNIQUE"
        );
        assert_eq!(
            sentence(&[lacking(4.0, 0.0), lacking(0.5, 0.0)]).unwrap(),
            "needs at least 0.5 more cpus on 2 agents"
        );
        assert_eq!(
            sentence(&[lacking(0.5, 64.0), lacking(0.0, 32.5)]).unwrap(),
            "needs 32.5 MiB more memory on 1 agent; needs 0.5 cpus"
                .replace("needs 0.5 cpus", "needs 0.5 more cpus and 64 MiB more memory on 1 agent")
        );
    }

    #[test]
    fn every_reason_has_words() {
        let whys = [
            NoMatch::Role,
            NoMatch::Region,
            NoMatch::Reservation,
            BY_CONSTRAINT,
            NoMatch::Maintenance,
            NoMatch::Insufficient(scalars(1.0, 1.0, 1.0, 1.0)),
            NoMatch::Ports(NoPorts::Fixed(8080)),
            NoMatch::Ports(NoPorts::Dynamic { missing: 2 }),
            NoMatch::Scarce,
            NoMatch::ExecutorStillAlive,
            NoMatch::CopiesFailedThere,
        ];
        let reasons: BTreeSet<Reason> = whys.iter().map(|why| why.reason()).collect();
        let told_with_cpus = [Reason::InsufficientMemory, Reason::InsufficientDisk, Reason::InsufficientGpus];
        assert_eq!(reasons.len() + told_with_cpus.len(), Reason::ALL.len());
        let one: Vec<String> = whys.iter().map(|why| sentence(&[*why]).unwrap()).collect();
        let two: Vec<String> = whys.iter().map(|why| sentence(&[*why, *why]).unwrap()).collect();
        insta::assert_snapshot!([one, two].concat().join("\n"));
    }

    #[test]
    fn the_summary_is_a_funnel() {
        let mut statistics = RefusalStatistics::default();
        for (at, why) in
            [(1, NoMatch::Role), (1, lacking(1.0, 0.0)), (1, BY_CONSTRAINT), (5, NoMatch::Scarce)]
        {
            statistics.refused(why, Timestamp::from_millis(at));
        }
        statistics.used(Timestamp::from_millis(3));
        let now = refusals(&[NoMatch::Role, NoMatch::Scarce, BY_CONSTRAINT]);
        insta::assert_json_snapshot!(statistics.summary(OfferCount::default(), &now));
    }

    #[test]
    fn offers_that_were_not_tried_count_like_those_of_their_agents() {
        let now = refusals(&[lacking(1.0, 0.0), BY_CONSTRAINT, lacking(2.0, 0.0)]);
        let before = OfferCount { count: 100, last: Timestamp::from_millis(1) };
        let mut statistics = RefusalStatistics::begin(before);
        statistics.refused(NoMatch::Scarce, Timestamp::from_millis(2));
        statistics.used(Timestamp::from_millis(2));
        let offers = OfferCount { count: 113, last: Timestamp::from_millis(3) };
        let summary = statistics.summary(offers, &now);
        assert_eq!((summary.processed_offers_count, summary.unused_offers_count), (13, 12));
        assert_eq!(summary.last_unused_offer_at, Some(offers.last));
        let declined = summary.reject_summary_launch_attempt.iter().filter(|stage| stage.declined > 0);
        let declined: Vec<_> = declined.map(|stage| (stage.reason, stage.declined)).collect();
        assert_eq!(
            declined,
            [
                (Reason::UnfulfilledConstraint, 3),
                (Reason::InsufficientCpus, 8),
                (Reason::DeclinedScarceResources, 1)
            ]
        );
        assert_eq!(share(7, &[0; Reason::ALL.len()]), [0; Reason::ALL.len()]);
    }
}
