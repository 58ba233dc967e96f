//! What is launched on an offer fits into it, and goes where its pod's constraints let it go.
//!
//! Amounts and ports are compared with the offers that the call names, constraints with the machines that the
//! other copies are really on. A scheduler that promises itself too much gets `TASK_ERROR` from Mesos, and one
//! that forgets a constraint gets nothing at all: both are its own fault.

use std::collections::{BTreeMap, BTreeSet};

use podium_core::Input;
use podium_core::model::ids::{AgentId, OfferId, Role};
use podium_core::model::mesos::{
    Call, Event, LaunchGroup, Offer, Operation, OperationInfo, PortRange, Resource, ResourceKind,
    ResourceValue,
};
use podium_core::model::number::Scalar;
use podium_core::model::pod::Constraint;

use super::definitions::replaces;
use super::ledger::{Copy, CopyChange, Group, GroupKey, Ledger};
use super::{Violation, capacity, constraints, short};
use crate::cluster::AgentConfig;
use crate::world::{Scene, Seen};

const NAME: &str = "placement";

/// Compares launches with offers.
#[derive(Clone, Debug, Default)]
pub(super) struct Placement {
    /// The offers that were not answered yet.
    offers: BTreeMap<OfferId, Offered>,
}

/// What matters of an offer.
#[derive(Clone, Debug)]
struct Offered {
    id: OfferId,
    agent_id: AgentId,
    role: Option<Role>,
    resources: Vec<Resource>,
}

impl From<&Offer> for Offered {
    fn from(offer: &Offer) -> Self {
        let (id, agent_id, role) = (offer.id.clone(), offer.agent_id.clone(), offer.role.clone());
        Self { id, agent_id, role, resources: offer.resources.clone() }
    }
}

impl Placement {
    pub(super) fn see(
        &mut self,
        seen: &Seen<'_>,
        ledger: &Ledger,
        scene: &Scene<'_>,
    ) -> Result<(), Violation> {
        match seen {
            Seen::Stepped { input: Input::Event(event), .. } => {
                if let Event::Offers(offers) = &**event {
                    self.offers.extend(offers.iter().map(|offer| (offer.id.clone(), offer.into())));
                }
            }
            Seen::Call(Call::Decline { offer_ids, .. }) => {
                for id in offer_ids {
                    self.offers.remove(id);
                }
            }
            Seen::Call(Call::Accept { offer_ids, operations, .. }) => {
                let offers: Vec<Offered> = offer_ids.iter().filter_map(|id| self.offers.remove(id)).collect();
                if offers.len() == offer_ids.len() {
                    return fits(&offers, operations);
                }
            }
            Seen::Written(_) => return obeys_constraints(ledger, scene),
            Seen::Died { .. } | Seen::Disconnected => self.offers.clear(),
            _ => {}
        }
        Ok(())
    }
}

/// Whether `offers` have all that `operations` use.
fn fits(offers: &[Offered], operations: &[Operation]) -> Result<(), Violation> {
    let Some(first) = offers.first() else { return Ok(()) };
    let bad = |sentence: String| Err(Violation::new(NAME, sentence));
    if let Some(other) =
        offers.iter().find(|other| (&other.agent_id, &other.role) != (&first.agent_id, &first.role))
    {
        return bad(format!("offers {} and {} are not of one agent and role", first.id, other.id));
    }
    let launches = || launches(operations);
    if let Some(task) =
        launches().flat_map(|launch| &launch.tasks).find(|task| task.agent_id != first.agent_id)
    {
        return bad(format!(
            "{} is to run on {}, but offer {} is of another agent",
            task.task_id, task.agent_id, first.id
        ));
    }
    let used = || {
        launches().flat_map(|launch| {
            launch.tasks.iter().flat_map(|task| &task.resources).chain(&launch.executor.resources)
        })
    };
    let offered = || offers.iter().flat_map(|offer| &offer.resources);
    // What is reserved in the same call was not reserved yet when it was offered.
    let only_launches = launches().count() == operations.len();
    let there = amounts(offered(), only_launches);
    for (pool, amount) in amounts(used(), only_launches) {
        let most = there.get(&pool).copied().unwrap_or_default();
        if amount > most {
            let (kind, _) = pool;
            return bad(format!("a launch uses {amount} {kind} of offer {}, which has {most}", first.id));
        }
    }
    let has = |port: u64| offered().flat_map(ranges).any(|range| (range.begin..=range.end).contains(&port));
    let mut taken = BTreeSet::new();
    for port in used().flat_map(ranges).flat_map(|range| range.begin..=range.end) {
        if !has(port) {
            return bad(format!("a launch uses port {port}, which offer {} does not have", first.id));
        }
        if !taken.insert(port) {
            return bad(format!("port {port} of offer {} is used twice", first.id));
        }
    }
    Ok(())
}

/// What there is of each kind, also by the role that it is reserved for if that matters.
fn amounts<'a>(
    resources: impl Iterator<Item = &'a Resource>,
    by_role: bool,
) -> BTreeMap<(&'a ResourceKind, Option<&'a Role>), Scalar> {
    let mut sums: BTreeMap<_, Scalar> = BTreeMap::new();
    for resource in resources {
        let role = resource.reserved_role().filter(|_| by_role);
        *sums.entry((&resource.kind, role)).or_default() += resource.amount();
    }
    sums
}

/// Whether each copy that the step gave a machine may be there beside those that were there already.
///
/// What counts is what was known at that step, not what has been heard until the call is sent. The order among
/// the launches of one step makes no difference, but where copies are spread evenly: what any other constraint
/// allows at last it has allowed before.
fn obeys_constraints(ledger: &Ledger, scene: &Scene<'_>) -> Result<(), Violation> {
    let is_launch = |change: &&CopyChange| {
        let before = change.was.as_ref().map_or(0, |copy| copy.incarnation);
        change.is.as_ref().is_some_and(|copy| copy.incarnation > before)
    };
    let launched = |change: &CopyChange| ledger.newest_of(change.id.uuid);
    let new: BTreeSet<GroupKey> =
        ledger.changes.iter().filter(is_launch).filter_map(launched).map(Group::key).collect();
    let mut to_come = new.clone();
    for (change, group) in
        ledger.changes.iter().filter(is_launch).filter_map(|change| Some((change, launched(change)?)))
    {
        to_come.remove(&group.key());
        let pod = &change.id.pod;
        let version = change.is.as_ref().map(|copy| copy.version);
        let Some(spec) = version.and_then(|version| scene.store.version(pod, version)) else { continue };
        let Some(agent) = config_of(group, scene) else { continue };
        // One that has volumes goes back to them: whether that is a good place was decided before.
        if spec.is_resident() && change.was.as_ref().is_some_and(|was| was.incarnation > 0) {
            continue;
        }
        if !constraints::in_reach(spec, agent, scene) {
            let copy = short(&group.instance);
            let sentence = format!("{copy} is launched on {}, in another region", agent.hostname);
            return Err(Violation::new(NAME, sentence));
        }
        if spec.scheduling.placement.constraints.is_empty() {
            continue;
        }
        let old_ones_stay = !ledger.is_deploying(pod);
        // Whoever has volumes goes back to them, as what the current definition says; one of an earlier pod of that name does
        // not.
        let holds_place = |copy: &Copy, group: &Group| {
            let old = || scene.store.version(pod, copy.version);
            let stays = || old_ones_stay || old().is_some_and(|old| !replaces(spec, old));
            let goes_back = spec.is_resident() && (copy.wanted || group.has_ended());
            goes_back || !group.has_ended() && (copy.version == spec.version || stays())
        };
        let others = ledger.copies_of(pod).filter(|copy| copy.id != change.id && !ledger.is_given_up(copy));
        let others = others.filter_map(|copy| {
            let group = ledger.newest_of(copy.id.uuid)?;
            (group.incarnation == copy.incarnation && holds_place(copy, group)).then_some(group)
        });
        let others: Vec<(&Group, &AgentConfig)> =
            others.filter_map(|group| Some((group, config_of(group, scene)?))).collect();
        let there = others.iter().filter(|(group, _)| !to_come.contains(&group.key()));
        let placed: Vec<&AgentConfig> = there.map(|(_, agent)| *agent).collect();
        // A deployment that was taken the place of may have left old copies that are still to end, which hold their places
        // until they have.
        let is_left =
            |copy: &Copy| scene.store.version(pod, copy.version).is_some_and(|old| replaces(spec, old));
        let old_ones_are_left =
            !old_ones_stay && !capacity::is_replacing(pod, scene) && ledger.copies_of(pod).any(is_left);
        let is_even = |rule: &Constraint| {
            let is_old = |group: &Group| !new.contains(&group.key());
            let only_launches =
                ledger.changes.iter().filter(|other| other.id.pod == *pod).all(|other| is_launch(&other));
            let is_sure = only_launches && !ledger.has_just_deployed(pod) && !old_ones_are_left;
            !constraints::spreads_evenly(rule) || !is_sure || stays_even(rule, agent, &others, is_old)
        };
        let is_counted = |rule: &Constraint| !constraints::spreads_evenly(rule);
        if !constraints::allow(spec, is_counted, agent, &placed)
            || !spec.scheduling.placement.constraints.iter().all(is_even)
        {
            let hosts: Vec<&str> = placed.iter().map(|agent| agent.hostname.as_str()).collect();
            let sentence = format!(
                "{} is launched on {} beside copies on {}, against a constraint of its pod",
                short(&group.instance),
                agent.hostname,
                hosts.join(", ")
            );
            return Err(Violation::new(NAME, sentence));
        }
    }
    Ok(())
}

/// Whether a copy may have come to `agent` by a `rule` that wants copies on all values alike: there were no more than
/// on any other value, at the latest when the last copy came. Nobody knows in which order those of one step came.
fn stays_even(
    rule: &Constraint,
    agent: &AgentConfig,
    others: &[(&Group, &AgentConfig)],
    is_old: impl Fn(&Group) -> bool,
) -> bool {
    let Some(value) = constraints::value(rule, agent) else { return false };
    let values = others.iter().map(|(group, agent)| (is_old(group), constraints::value(rule, agent)));
    let values: Vec<(bool, Option<String>)> = values.collect();
    let copies = |of: &String| values.iter().filter(|(_, other)| other.as_ref() == Some(of)).count();
    let mut old = values.iter().filter(|(is_old, _)| *is_old).filter_map(|(_, value)| value.as_ref());
    old.all(|other| *other == value || copies(&value) <= copies(other))
}

fn launches(operations: &[Operation]) -> impl Iterator<Item = &LaunchGroup> {
    operations.iter().filter_map(|operation| match &operation.info {
        OperationInfo::LaunchGroup(launch) => Some(&**launch),
        _ => None,
    })
}

fn config_of<'a>(group: &Group, scene: &Scene<'a>) -> Option<&'a AgentConfig> {
    scene.cluster.agent_config(group.agent?)
}

fn ranges(resource: &Resource) -> &[PortRange] {
    match &resource.value {
        ResourceValue::Ranges(ranges) => ranges,
        ResourceValue::Scalar(_) | ResourceValue::Set(_) => &[],
    }
}
