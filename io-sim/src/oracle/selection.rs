//! Of copies that are too many the least useful ones end, and of equally useful ones those that the pod's
//! `killSelection` or, when a copy has come back that was replaced, `onReturn` names.
//!
//! ```text
//!   too many: ─► wait ─► ending anyway ─► out of reach ─► being launched ─► unhealthy ─► serve
//!             first                                                                       last
//!             of equal ones: from where most are (GROUP_BY), then the youngest or the oldest
//! ```
//!
//! A copy that the scheduler ends by its own choice is compared with each that it could have ended instead and
//! left alone. What it knew of them at that step is what had been heard up to it; copies that the same step made
//! something else of are compared with nobody, since nobody can say what came first.

use std::cmp::Ordering;
use std::time::Duration;

use podium_core::model::deployment::{ActionKind, Deployment, DeploymentAction};
use podium_core::model::ids::PodId;
use podium_core::model::mesos::TaskState;
use podium_core::model::pod::{ConstraintOperator, KillSelection, OnReturn, PodSpec};
use podium_core::model::time::Timestamp;
use podium_core::{Entry, Record};

use super::definitions::replaces;
use super::ledger::{Copy, CopyChange, Group, Ledger};
use super::{Violation, constraints, short};
use crate::world::{Scene, Seen};

const NAME: &str = "selection";

/// A copy that has run for so long can be relied on, whatever came between (`--minimum_ready`, 5 s).
const PROVEN: Duration = Duration::from_secs(120);
/// One that has run for less than this cannot.
const JUST_STARTED: Duration = Duration::from_secs(4);

/// Looks at every step that ends copies.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    /// The step whose records are about to be written was a command's.
    is_command: bool,
}

/// How useful a copy is, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    Waits,
    Ends,
    OutOfReach,
    Starts,
    Unhealthy,
    Serves,
}

/// A copy, and what was known of it when somebody had to choose.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    copy: &'a Copy,
    /// Its newest launch, if there was one.
    group: Option<&'a Group>,
    usefulness: Use,
    /// Whether it is of the pod's present definition, or of one that differs in settings only.
    is_current: bool,
}

impl Selection {
    pub(super) fn see(
        &mut self,
        seen: &Seen<'_>,
        ledger: &Ledger,
        scene: &Scene<'_>,
    ) -> Result<(), Violation> {
        match seen {
            Seen::Decided { .. } => self.is_command = true,
            Seen::Heard(_) => self.is_command = false,
            Seen::Written(records) => {
                let is_command = std::mem::take(&mut self.is_command);
                for change in ledger.changes.iter().filter(|change| is_ended(change, ledger)) {
                    let Some(spec) = scene.store.spec(&change.id.pod) else { continue };
                    if definitions(records, &spec.id) <= usize::from(is_command) {
                        Choice { spec, ledger, scene }.judge(change)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Whether a copy ends now that was wanted, and not because a client said that this one shall.
pub(super) fn is_ended(change: &CopyChange, ledger: &Ledger) -> bool {
    let is_wanted = change.is.as_ref().is_some_and(|copy| copy.wanted);
    change.was.as_ref().is_some_and(|was| was.wanted && !is_wanted && !ledger.is_killed(was))
}

/// How many definitions of `pod` a step brought. A command's comes before anybody is chosen; any other one comes
/// after that, from a deployment whose time is up.
fn definitions(records: &[Record], pod: &PodId) -> usize {
    let of_pod = |record: &&Record| matches!(record, Record::Put(Entry::PodVersion(spec)) if spec.id == *pod);
    records.iter().filter(of_pod).count()
}

/// That of the copies of one pod some have to end.
#[derive(Clone, Copy)]
struct Choice<'a> {
    spec: &'a PodSpec,
    ledger: &'a Ledger,
    scene: &'a Scene<'a>,
}

impl<'a> Choice<'a> {
    fn judge(self, ended: &'a CopyChange) -> Result<(), Violation> {
        let Some(victim) = ended.was.as_ref().and_then(|was| self.candidate(was)) else { return Ok(()) };
        let was_ending = ended.is.as_ref().is_none_or(|is| is.ending == victim.copy.ending);
        // One whose launch has ended may go because nobody can be sure of that; one that is out of reach, because
        // its time is over.
        let may_have_to_go = match victim.usefulness {
            Use::Waits => victim.copy.incarnation > 0,
            Use::OutOfReach => true,
            Use::Ends | Use::Starts | Use::Unhealthy | Use::Serves => !was_ending,
        };
        if may_have_to_go {
            return Ok(());
        }
        let is_left_alone =
            |copy: &&Copy| copy.wanted && !copy.inactive && !self.is_changed(copy) && copy.id != ended.id;
        for copy in self.ledger.copies_of(&self.spec.id).filter(is_left_alone) {
            let Some(kept) = self.candidate(copy).filter(|kept| self.are_rivals(victim, *kept)) else {
                continue;
            };
            if let Some(why) = self.objection(victim, kept) {
                let (victim, kept) = (short(&ended.id), short(&copy.id));
                return Err(Violation::new(NAME, format!("{victim} is ended and {kept} is not, {why}")));
            }
        }
        Ok(())
    }

    fn candidate(self, copy: &'a Copy) -> Option<Candidate<'a>> {
        let group = self.ledger.newest_of(copy.id.uuid).filter(|group| group.incarnation == copy.incarnation);
        let launched_from = self.scene.store.version(&self.spec.id, copy.version)?;
        let usefulness = match group {
            Some(group) => usefulness(copy, group, launched_from)?,
            None if copy.incarnation == 0 => Use::Waits,
            None => return None,
        };
        // What waits is launched from the present definition, whatever it was launched from before.
        let is_current = usefulness == Use::Waits || !replaces(self.spec, launched_from);
        Some(Candidate { copy, group, usefulness, is_current })
    }

    fn is_changed(self, copy: &Copy) -> bool {
        self.ledger.changes.iter().any(|change| change.id == copy.id)
    }

    /// Whether `kept` could have ended in place of `victim`: while copies are being replaced, old and new ones end for
    /// different reasons, and where new ones find no place, an old one that is out of reach or ending makes none by
    /// being asked to end, and one on another agent perhaps none that they can have.
    fn are_rivals(self, victim: Candidate<'_>, kept: Candidate<'_>) -> bool {
        if !self.may_replace() {
            return true;
        }
        let agent = |copy: Candidate<'_>| copy.group.and_then(|group| group.agent);
        let makes_no_place = !kept.is_current
            && (matches!(kept.usefulness, Use::OutOfReach | Use::Ends) || agent(kept) != agent(victim));
        victim.is_current == kept.is_current && !(makes_no_place && self.may_lack_place())
    }

    /// Whether some copy waits that could go anywhere.
    fn may_lack_place(self) -> bool {
        let mut copies = self.ledger.copies_of(&self.spec.id).filter_map(|copy| self.candidate(copy));
        !self.spec.is_resident() && copies.any(|copy| copy.usefulness == Use::Waits)
    }

    /// Whether a deployment may be replacing copies: one that has just ended may have.
    fn may_replace(self) -> bool {
        let restarts =
            |action: &DeploymentAction| action.pod == self.spec.id && action.action == ActionKind::RestartPod;
        let mut actions = self
            .scene
            .store
            .deployments()
            .flat_map(|deployment: &Deployment| deployment.steps.iter().flat_map(|step| &step.actions));
        self.ledger.has_just_deployed(&self.spec.id) || actions.any(restarts)
    }

    /// Since when a deployment has been changing how many copies there are, and nothing else.
    fn scaling_since(self) -> Option<Timestamp> {
        let mut deployments = self.scene.store.deployments();
        let changes = |deployment: &&Deployment| deployment.affected_pods().any(|pod| *pod == self.spec.id);
        let deployment = deployments.find(changes).filter(|_| !self.may_replace())?;
        let mut actions = deployment.steps.iter().flat_map(|step| &step.actions);
        let mut own = actions.by_ref().filter(|action| action.pod == self.spec.id);
        own.all(|action| action.action == ActionKind::ScalePod).then_some(deployment.version)
    }

    /// What speaks against `victim` having ended while `kept` stays.
    fn objection(self, victim: Candidate<'_>, kept: Candidate<'_>) -> Option<String> {
        match victim.usefulness.cmp(&kept.usefulness) {
            Ordering::Less => None,
            Ordering::Greater => {
                Some(format!("although the one {} and the other {}", victim.words(), kept.words()))
            }
            Ordering::Equal => self.objection_among_equals(victim, kept),
        }
    }

    fn objection_among_equals(self, victim: Candidate<'_>, kept: Candidate<'_>) -> Option<String> {
        // How far a launch has come, or an end, is a matter of its own.
        if !matches!(victim.usefulness, Use::Waits | Use::Unhealthy | Use::Serves) {
            return None;
        }
        if let Some(on_return) = self.spec.scheduling.unreachable_strategy.on_return() {
            let mut copies = self.ledger.copies_of(&self.spec.id);
            if victim.has_returned() || kept.has_returned() {
                // Where fewer are wanted, that has nothing to do with it, unless it happened since.
                let decides = match self.scaling_since() {
                    Some(since) => victim.copy.returned.max(kept.copy.returned) > Some(since),
                    None => !self.ledger.is_deploying(&self.spec.id),
                };
                return decides.then(|| objection_on_return(on_return, victim, kept)).flatten();
            }
            if copies.any(|copy| copy.was_inactive) {
                return None;
            }
        }
        if self.is_proven(victim) && self.has_just_started(kept) {
            return Some("although the other one has only just started".to_owned());
        }
        let (from, to) = (self.places(victim)?, self.places(kept)?);
        match from == to {
            true => self.objection_by_age(victim, kept),
            // One that may not be relied on yet goes first wherever it is.
            false if victim.usefulness == Use::Serves && !self.is_proven(victim) => None,
            false => self.objection_by_place(&from, &to),
        }
    }

    /// Whether a copy that serves has run for a good while.
    fn is_proven(self, copy: Candidate<'_>) -> bool {
        copy.usefulness == Use::Serves && self.ran(copy).is_some_and(|ran| ran >= PROVEN)
    }

    /// Whether a copy that serves cannot be relied on yet. Where there are health checks their verdict says that.
    fn has_just_started(self, copy: Candidate<'_>) -> bool {
        let is_checked = self.spec.containers.iter().any(|container| container.health_check.is_some());
        let is_young = self.ran(copy).is_some_and(|ran| ran < JUST_STARTED);
        copy.usefulness == Use::Serves && !is_checked && is_young
    }

    fn ran(self, copy: Candidate<'_>) -> Option<Duration> {
        Some(self.scene.clock.since(copy.started_at()?))
    }

    fn objection_by_age(self, victim: Candidate<'_>, kept: Candidate<'_>) -> Option<String> {
        let ages = if victim.usefulness == Use::Waits {
            // Names of copies are in the order in which they were made.
            (kept.copy.incarnation == 0).then(|| victim.copy.id.uuid.cmp(&kept.copy.id.uuid))
        } else {
            victim.started_at().zip(kept.started_at()).map(|(victim, kept)| victim.cmp(&kept))
        };
        let (selection, word) = match (self.spec.scheduling.kill_selection, ages?) {
            (KillSelection::YoungestFirst, Ordering::Less) => ("YOUNGEST_FIRST", "older"),
            // One that may not be relied on yet goes before one that can.
            (KillSelection::OldestFirst, Ordering::Greater)
                if victim.usefulness != Use::Serves || self.is_proven(victim) =>
            {
                ("OLDEST_FIRST", "younger")
            }
            _ => return None,
        };
        Some(format!("although it is the {word} one and killSelection is {selection}"))
    }

    /// A copy ends where most are. Those that ended in the same step were there before.
    fn objection_by_place(self, from: &[String], to: &[String]) -> Option<String> {
        let mut changes = self.ledger.changes.iter();
        let is_certain = from.len() == 1
            && !self.may_replace()
            && changes.all(|change| change.id.pod != self.spec.id || is_ended(change, self.ledger));
        if !is_certain {
            return None;
        }
        let copies = self.ledger.copies_of(&self.spec.id).filter(|copy| copy.wanted && !copy.inactive);
        let mut there: Vec<Vec<String>> = Vec::new();
        for copy in copies {
            let candidate = self.candidate(copy)?;
            if candidate.usefulness != Use::Waits {
                there.push(self.places(candidate)?);
            }
        }
        let count = |place: &[String]| there.iter().filter(|other| *other == place).count();
        (count(to) > count(from) + 1).then(|| {
            let (left, right) = (count(from), count(to));
            format!("although that leaves {left} copies on {} and {right} on {}", from.concat(), to.concat())
        })
    }

    /// The values that the pod's copies are spread over, where the candidate is. None if it has no value.
    fn places(self, candidate: Candidate<'_>) -> Option<Vec<String>> {
        let rules = &self.spec.scheduling.placement.constraints;
        let mut rules = rules.iter().filter(|rule| rule.operator == ConstraintOperator::GroupBy).peekable();
        if candidate.usefulness == Use::Waits || rules.peek().is_none() {
            return Some(Vec::new());
        }
        let agent = self.scene.cluster.agent_config(candidate.group?.agent?)?;
        rules.map(|rule| constraints::value(rule, agent)).collect()
    }
}

impl Candidate<'_> {
    fn has_returned(self) -> bool {
        self.copy.was_inactive
    }

    fn started_at(self) -> Option<Timestamp> {
        self.group?.started_at()
    }

    fn words(self) -> &'static str {
        match self.usefulness {
            Use::Waits => "waits to be launched",
            Use::Ends => "is ending anyway",
            Use::OutOfReach => "is out of reach",
            Use::Starts => "is being launched",
            Use::Unhealthy => "is not healthy",
            Use::Serves => "serves",
        }
    }
}

/// What is known of a copy's use; none if it is not certain.
fn usefulness(copy: &Copy, group: &Group, spec: &PodSpec) -> Option<Use> {
    let heard = |state: TaskState| group.members.values().any(|member| member.heard == Some(state));
    if heard(TaskState::TaskUnknown) {
        return None;
    }
    if group.has_ended() {
        // With the data on its volumes it would take more to replace it.
        return (!spec.is_resident()).then_some(Use::Waits);
    }
    if group.members.values().any(|member| member.unreachable_since.is_some()) {
        return Some(Use::OutOfReach);
    }
    if copy.ending {
        return Some(Use::Ends);
    }
    if group.kill_sent {
        return None;
    }
    let has_broken = |state: TaskState| {
        state == TaskState::TaskKilling || state.is_terminal() && state != TaskState::TaskFinished
    };
    let mut heard = group.members.values().map(|member| member.heard);
    if heard.clone().flatten().any(has_broken) {
        return Some(Use::Ends);
    }
    let is_up =
        |state: Option<TaskState>| matches!(state, Some(TaskState::TaskRunning | TaskState::TaskFinished));
    Some(match heard.all(is_up) {
        false => Use::Starts,
        true if group.serves(spec) => Use::Serves,
        true => Use::Unhealthy,
    })
}

/// What `on_return` has against it, of two copies that are equally useful and of which one has returned at least.
fn objection_on_return(on_return: OnReturn, victim: Candidate<'_>, kept: Candidate<'_>) -> Option<String> {
    let (word, is_wrong) = match on_return {
        OnReturn::Original => ("ORIGINAL", victim.has_returned() && !kept.has_returned()),
        OnReturn::Replacement => ("REPLACEMENT", !victim.has_returned() && kept.has_returned()),
        OnReturn::BestHealth => {
            let has_finished = |group: &Group| {
                group.members.values().any(|member| member.heard == Some(TaskState::TaskFinished))
            };
            let serves_since =
                |one: Candidate<'_>| one.group.filter(|group| !has_finished(group))?.serves_since;
            let since = serves_since(victim).zip(serves_since(kept));
            ("BEST_HEALTH", since.is_some_and(|(victim, kept)| victim < kept))
        }
    };
    let returned = if victim.has_returned() { "the one that" } else { "the other one" };
    is_wrong.then(|| format!("although onReturn is {word}: {returned} was out of reach"))
}
