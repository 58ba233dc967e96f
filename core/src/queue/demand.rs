//! Whether we want offers, told to the master: `REVIVE`, `SUPPRESS`, and the set of roles.
//!
//! A role is wanted while some copy waits for its offers and may be launched. The master is told of a new
//! need at once, but not more often than `--min_revive_offers_interval`; while a need lasts, the request is
//! repeated now and then, because filters of earlier refusals may hide what has become free meanwhile. A role
//! without need is suppressed, so that its share of the cluster goes to others.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::ids::Role;
use crate::model::mesos::Call;
use crate::model::time::Timestamp;
use crate::scheduler::Scheduler;

/// A lasting need is repeated after so long.
const REPEAT: Duration = Duration::from_secs(30);

/// What the master knows of our needs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Demand {
    /// The roles we are subscribed with.
    roles: BTreeSet<Role>,
    /// Those of them that are suppressed.
    suppressed: BTreeSet<Role>,
    /// When offers were last asked for.
    last_revive: Option<Timestamp>,
    /// Somebody began to wait since then.
    is_new: bool,
    /// When to look again.
    deadline: Option<Timestamp>,
}

impl Demand {
    /// When to look again.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }
}

impl Scheduler {
    /// The roles that some definition or instance uses.
    fn used_roles(&self) -> BTreeSet<Role> {
        let mut roles: BTreeSet<Role> = self.pods().map(|spec| spec.role.clone()).collect();
        roles.insert(self.config.mesos_role.clone());
        roles.extend(self.wanted_roles());
        roles
    }

    /// The roles that copies wait for which may be launched now, and those for which something is reserved that
    /// nobody needs any more: it can only be given back when it is offered.
    fn wanted_roles(&self) -> BTreeSet<Role> {
        let leftovers = self.state.leftovers().map(|leftover| &leftover.role);
        self.state.waiting().wanted_roles().chain(leftovers).cloned().collect()
    }

    /// Somebody may be launched at once who had to wait before, or offers may have been missed.
    pub(crate) fn note_new_demand(&mut self) {
        self.state.changes.waiting_changed = true;
        self.state.changes.demand = true;
    }

    /// The roles to subscribe with at `now`, and those of them that want no offers then.
    pub(crate) fn roles_for_subscription(&self, now: Timestamp) -> (Vec<Role>, Vec<Role>) {
        let roles = self.used_roles();
        let mut wanted = self.wanted_roles();
        let due = self.state.waiting().due(now);
        wanted.extend(due.filter_map(|id| Some(self.pod(id)?.role.clone())));
        let suppressed = roles.difference(&wanted).cloned().collect();
        (roles.into_iter().collect(), suppressed)
    }

    /// There is a new subscription. What it asked for was decided before it was opened, and may be outdated by
    /// now: the master is told everything again.
    pub(crate) fn restart_demand(&mut self) {
        self.demand = Demand::default();
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
        let wanted = self.wanted_roles();
        let defined = std::mem::take(&mut self.state.changes.roles);
        let asked_for = |roles: &BTreeSet<Role>| roles.is_subset(&self.demand.roles);
        if self.demand.roles.is_empty() || !asked_for(&defined) || !asked_for(&wanted) {
            self.demand.roles = self.used_roles();
            let suppressed: Vec<Role> = self.demand.roles.difference(&wanted).cloned().collect();
            let mut framework_info = self.config.framework_info();
            framework_info.id = self.framework_id().cloned();
            framework_info.roles = self.demand.roles.iter().cloned().collect();
            self.demand.suppressed = suppressed.iter().cloned().collect();
            self.call(Call::UpdateFramework { framework_info, suppressed_roles: suppressed });
        }
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
        self.demand.deadline = None;
        let is_new = self.demand.is_new || wanted.iter().any(|role| self.demand.suppressed.contains(role));
        // For what is only to be given back it is enough that nothing is suppressed: filters end by themselves.
        let somebody_waits = self.state.waiting().wanted_roles().next().is_some();
        if wanted.is_empty() || !(is_new || somebody_waits) {
            return;
        }
        let pause = if is_new { self.config.min_revive_offers_interval } else { REPEAT };
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

    fn set_demand_deadline(&mut self, at: Timestamp) {
        self.demand.deadline = Some(self.demand.deadline.map_or(at, |deadline| deadline.min(at)));
    }
}
