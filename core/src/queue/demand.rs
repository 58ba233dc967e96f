//! Whether we want offers, told to the master: `REVIVE`, `SUPPRESS`, and the set of roles.
//!
//! A role is wanted while some copy waits for its offers and may be launched. The master is told of a new
//! need at once, but not more often than `--min_revive_offers_interval`; while a need lasts, the request is
//! repeated now and then, because filters of earlier refusals may hide what has become free meanwhile. A role
//! without need is suppressed, so that its share of the cluster goes to others.
//!
//! A master may refuse a role: then it refuses all that was asked for with it. So a subscription asks only for roles that
//! it cannot do without, those of copies that run, and the others are added to it. If that is refused they are added one
//! after the other, those that it does not want are left out and tried again now and then, and the pods that need them
//! say why they wait. One pod's role never keeps the others from their offers, nor the scheduler from its subscription.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::marks::Mark;
use crate::model::ids::{OfferId, Role};
use crate::model::mesos::{Call, Operation, OperationInfo};
use crate::model::time::Timestamp;
use crate::scheduler::Scheduler;

/// A lasting need is repeated after so long.
const REPEAT: Duration = Duration::from_secs(30);

/// A role that was asked for is taken for granted if it was not refused for so long.
const GRANTED_AFTER: Duration = Duration::from_secs(3);

/// A role that was refused is asked for again after so long: somebody may have been permitted to use it.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(300);

/// What the master knows of our needs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Demand {
    /// The roles we are subscribed with, or have asked for.
    roles: BTreeSet<Role>,
    /// Those of them that the master has not refused when it could.
    granted: BTreeSet<Role>,
    /// When roles were last asked for that are not granted yet.
    asked: Option<Timestamp>,
    /// One of several was refused: they are asked for one by one.
    is_careful: bool,
    /// Those that the master does not let us have.
    refused: BTreeMap<Role, RefusedRole>,
    /// Those of them that are suppressed.
    suppressed: BTreeSet<Role>,
    /// When offers were last asked for.
    last_revive: Option<Timestamp>,
    /// Somebody began to wait since then.
    is_new: bool,
    /// When to look again.
    deadline: Option<Timestamp>,
}

/// A role that the master does not let us have.
#[derive(Clone, Debug)]
struct RefusedRole {
    /// The master's words.
    reason: String,
    /// When to ask again.
    until: Timestamp,
}

impl Demand {
    /// When to look again.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    /// The master's words, if it does not let us have `role`.
    pub(crate) fn refusal(&self, role: &Role) -> Option<&str> {
        self.refused.get(role).map(|refused| refused.reason.as_str())
    }

    /// Of the roles that are `needed`, those to be subscribed with now.
    fn roles_to_ask_for(&mut self, needed: BTreeSet<Role>, now: Timestamp) -> BTreeSet<Role> {
        self.refused.retain(|role, refused| refused.until > now && needed.contains(role));
        let is_new = |role: &&Role| !self.granted.contains(*role) && !self.refused.contains_key(*role);
        let new = needed.iter().filter(is_new).take(if self.is_careful { 1 } else { usize::MAX });
        needed.intersection(&self.granted).chain(new).cloned().collect()
    }
}

impl Scheduler {
    /// The roles that some definition uses or some copy waits for, and that of the scheduler.
    fn used_roles(&self) -> BTreeSet<Role> {
        let mut roles: BTreeSet<Role> = self.pods().map(|spec| spec.role.clone()).collect();
        roles.insert(self.config.mesos_role.clone());
        roles.extend(self.needed_roles());
        roles
    }

    /// The roles that copies wait for, as far as the master lets us have them.
    fn wanted_roles(&self) -> BTreeSet<Role> {
        let mut roles = self.needed_roles();
        roles.retain(|role| !self.demand.refused.contains_key(role));
        roles
    }

    /// The roles that copies wait for which may be launched now, and those for which something is reserved that
    /// nobody needs any more: it can only be given back when it is offered.
    fn needed_roles(&self) -> BTreeSet<Role> {
        self.state.waiting().wanted_roles().chain(self.state.roles_of_leftovers()).cloned().collect()
    }

    /// Somebody may be launched at once who had to wait before, or offers may have been missed.
    pub(crate) fn note_new_demand(&mut self) {
        self.state.changes.waiting_changed = true;
        self.state.changes.demand = true;
    }

    /// The roles that copies run in or have volumes in, and that of the scheduler: a subscription without them is of no
    /// use.
    fn indispensable_roles(&self) -> BTreeSet<Role> {
        let instances = self.state.pods().iter().flat_map(|pod| self.state.instances_of(pod));
        let launched = instances.filter(|instance| {
            instance.residence.is_some() || !instance.tasks.is_empty() && !instance.has_ended()
        });
        let mut roles: BTreeSet<Role> = launched.map(|instance| instance.role.clone()).collect();
        roles.insert(self.config.mesos_role.clone());
        roles
    }

    /// The roles to subscribe with at `now`, and those of them that want no offers then.
    pub(crate) fn roles_for_subscription(&self, now: Timestamp) -> (Vec<Role>, Vec<Role>) {
        let roles = self.indispensable_roles();
        let mut wanted = self.needed_roles();
        let due = self.state.waiting().due(now);
        wanted.extend(due.filter_map(|id| Some(self.pod(id)?.role.clone())));
        let suppressed = roles.difference(&wanted).cloned().collect();
        (roles.into_iter().collect(), suppressed)
    }

    /// There is a new subscription. What it asked for was decided before it was opened, and may be outdated by
    /// now: the master is told everything again.
    pub(crate) fn restart_demand(&mut self) {
        let granted = self.indispensable_roles();
        self.demand = Demand { granted, ..Demand::default() };
    }

    /// The master has refused a call.
    pub(crate) fn on_refused(&mut self, call: &Call, reason: String) {
        let framework_info = match call {
            Call::Accept { offer_ids, operations, .. } => {
                return self.on_refused_accept(offer_ids, operations, &reason);
            }
            Call::UpdateFramework { framework_info, .. } => framework_info,
            _ => return,
        };
        let mut suspects: BTreeSet<&Role> = framework_info.roles.iter().collect();
        suspects
            .retain(|role| !self.demand.granted.contains(*role) && !self.demand.refused.contains_key(*role));
        let Some(role) = suspects.pop_first() else {
            // The answer came late: what was taken for granted since then may not be so. If it was not about roles, those
            // that are added again are refused one by one, and then nothing more is asked for.
            self.demand.granted = self.indispensable_roles();
            self.demand.roles = self.demand.granted.clone();
            self.demand.is_careful = true;
            self.demand.asked = None;
            self.note_new_demand();
            return;
        };
        if suspects.is_empty() {
            self.mark(Mark::RoleRefused);
            let until = self.now + ASK_AGAIN_AFTER;
            self.demand.refused.insert(role.clone(), RefusedRole { reason, until });
        } else {
            self.demand.is_careful = true;
        }
        self.demand.roles = self.demand.granted.clone();
        self.demand.asked = None;
        self.note_new_demand();
    }

    /// Nothing of what was to be launched is anywhere, and the offers are as they were.
    fn on_refused_accept(&mut self, offer_ids: &[OfferId], operations: &[Operation], why: &str) {
        for operation in operations {
            let OperationInfo::LaunchGroup(group) = &operation.info else { continue };
            if let Some(Ok(task)) = group.tasks.first().map(|task| task.task_id.parse()) {
                self.on_launch_refused(&task.instance(), task.incarnation, why);
            }
        }
        self.call(Call::Decline { offer_ids: offer_ids.to_vec(), refuse: Some(Duration::ZERO) });
    }

    /// Tells the master what has changed about our needs.
    pub(crate) fn pump_demand(&mut self) {
        self.demand.is_new |= std::mem::take(&mut self.state.changes.demand);
        let changed = std::mem::take(&mut self.state.changes.waiting_changed)
            || self.demand.deadline.is_some_and(|at| at <= self.now);
        // Most steps have nothing to do with waiting.
        if !changed || !self.is_connected() {
            return;
        }
        self.demand.deadline = None;
        if self.demand.asked.is_some_and(|at| self.now.since(at) >= GRANTED_AFTER) {
            self.demand.asked = None;
            self.demand.granted.clone_from(&self.demand.roles);
        }
        // One question after the other, so that it is clear what an answer is about.
        if self.demand.asked.is_none() {
            let is_retry = self.demand.refused.values().any(|refused| refused.until <= self.now);
            let defined = std::mem::take(&mut self.state.changes.roles);
            let wanted = self.wanted_roles();
            let roles = &self.demand.roles;
            let is_asked_for = !roles.is_empty() && defined.is_subset(roles) && wanted.is_subset(roles);
            if !is_asked_for || self.demand.is_careful || is_retry {
                self.ask_for_roles();
            }
        }
        if let Some(at) = self.demand.asked {
            // Nothing else is asked before.
            self.set_demand_deadline(at + GRANTED_AFTER);
        } else if let Some(at) = self.demand.refused.values().map(|refused| refused.until).min() {
            self.set_demand_deadline(at);
        }
        // What is not asked for yet gets no offers.
        let mut wanted = self.wanted_roles();
        wanted.retain(|role| self.demand.roles.contains(role));
        let unwanted: Vec<Role> = self
            .demand
            .roles
            .iter()
            .filter(|role| !wanted.contains(*role) && !self.demand.suppressed.contains(*role))
            .cloned()
            .collect();
        if !unwanted.is_empty() {
            self.demand.suppressed.extend(unwanted.iter().cloned());
            self.call(Call::Suppress { roles: unwanted });
        }
        let is_new = self.demand.is_new || wanted.iter().any(|role| self.demand.suppressed.contains(role));
        // For what is only to be given back it is enough that nothing is suppressed: filters end by themselves.
        let somebody_waits = self.state.waiting().wanted_roles().next().is_some();
        if wanted.is_empty() || !(is_new || somebody_waits) {
            return;
        }
        let shortest = self.config.min_revive_offers_interval;
        let pause = if is_new { shortest } else { REPEAT.max(shortest) };
        let due = self.demand.last_revive.map_or(self.now, |last| last + pause);
        if due <= self.now {
            self.demand.last_revive = Some(self.now);
            self.demand.is_new = false;
            self.demand.suppressed.retain(|role| !wanted.contains(role));
            self.call(Call::Revive { roles: wanted.into_iter().collect() });
            if somebody_waits {
                self.set_demand_deadline(self.now + REPEAT);
            }
        } else {
            self.set_demand_deadline(due);
        }
    }

    /// Changes the roles of the subscription to those that are needed, as far as the master lets us have them.
    fn ask_for_roles(&mut self) {
        let needed = self.used_roles();
        let roles = self.demand.roles_to_ask_for(needed, self.now);
        if roles == self.demand.roles {
            self.demand.is_careful = false;
            return;
        }
        let wanted = self.wanted_roles();
        let suppressed: Vec<Role> = roles.difference(&wanted).cloned().collect();
        let mut framework_info = self.config.framework_info();
        framework_info.id = self.framework_id().cloned();
        framework_info.roles = roles.iter().cloned().collect();
        self.demand.asked = (!roles.is_subset(&self.demand.granted)).then_some(self.now);
        self.demand.roles = roles;
        self.demand.suppressed = suppressed.iter().cloned().collect();
        self.call(Call::UpdateFramework { framework_info, suppressed_roles: suppressed });
    }

    fn set_demand_deadline(&mut self, at: Timestamp) {
        self.demand.deadline = Some(self.demand.deadline.map_or(at, |deadline| deadline.min(at)));
    }
}
