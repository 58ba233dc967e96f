//! A pod, with everything that is derived from its instances; and all pods together.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;
use std::ops::Bound;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{Stage, Tally, WaitingCopies};
use crate::admission::{Change, change};
use crate::kill::Ranks;
use crate::model::ids::{DeploymentId, PodId, Uuid};
use crate::model::instance::{Instance, Termination};
use crate::model::path;
use crate::model::pod::{PodSpec, UnreachableStrategy};
use crate::model::time::Timestamp;
use crate::placement::{Constraints, PlacedCounts, RefusalStatistics};
use crate::record::{PodState, Stability};

/// A pod with everything that is derived from its instances.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    /// The durable part.
    pub(crate) state: PodState,
    /// Every definition it has had.
    pub(crate) versions: BTreeMap<Timestamp, Arc<PodSpec>>,
    /// How its instances ended lately, oldest first.
    pub(crate) terminations: Vec<Arc<Termination>>,
    /// Its instances, oldest first.
    pub(crate) instances: BTreeSet<Uuid>,
    /// Those of them that wait for an offer.
    pub(crate) waiting: WaitingCopies,
    /// How many of them are in which stage.
    pub(crate) tally: Tally,
    /// Them in the order in which they would have to go, while copies are chosen again and again.
    pub(crate) ranks: Option<Box<Ranks>>,
    /// The versions in use whose copies need not be replaced: they differ from the current definition at most
    /// in settings.
    pub(super) compatible: BTreeSet<Timestamp>,
    /// The constraints of its current definition, ready to be checked.
    pub(crate) constraints: Constraints,
    /// Where its copies are, as far as its constraints ask. Copies that a deployment will replace do not count.
    pub(crate) placed: PlacedCounts,
    /// What became of the offers that were looked at since copies of it began to wait.
    pub(crate) refusals: RefusalStatistics,
    /// The deployment that changes it, if one does.
    pub(crate) deployment: Option<DeploymentId>,
}

impl Pod {
    /// So many ends are kept.
    const MAX_TERMINATIONS: usize = 20;

    /// A pod that has no definition yet.
    pub(crate) fn new(id: PodId) -> Self {
        Self {
            state: PodState::new(id),
            versions: BTreeMap::new(),
            terminations: Vec::new(),
            instances: BTreeSet::new(),
            waiting: WaitingCopies::default(),
            tally: Tally::default(),
            ranks: None,
            compatible: BTreeSet::new(),
            constraints: Constraints::default(),
            placed: PlacedCounts::default(),
            refusals: RefusalStatistics::default(),
            deployment: None,
        }
    }

    /// The same without its instances and its past.
    fn outline(&self) -> Self {
        let PodState { current, newest, stability, .. } = self.state;
        let outline = Self::new(self.state.id.clone());
        Self {
            state: PodState { current, newest, stability, ..outline.state },
            versions: self.spec().map(|spec| (spec.version, spec.clone())).into_iter().collect(),
            tally: self.tally,
            deployment: self.deployment.clone(),
            ..outline
        }
    }

    /// Keeps how an instance ended, in its place by time. What is then too much is forgotten, and returned.
    pub(super) fn add_termination(&mut self, end: Arc<Termination>) -> Option<Arc<Termination>> {
        let order = |end: &Termination| (end.terminated_at, end.instance.uuid, end.incarnation);
        let place = self.terminations.partition_point(|other| order(other) <= order(&end));
        self.terminations.insert(place, end);
        (self.terminations.len() > Self::MAX_TERMINATIONS).then(|| self.terminations.remove(0))
    }

    /// Its current definition; none when it is deleted.
    pub(crate) fn spec(&self) -> Option<&Arc<PodSpec>> {
        self.versions.get(&self.state.current?)
    }

    /// Whether as many copies serve as shall, by the latest look at it.
    pub(crate) fn stability(&self) -> Stability {
        self.state.stability.unwrap_or(Stability { is_stable: false, since: self.state.newest })
    }

    /// The definition of `version`.
    pub(crate) fn spec_of(&self, version: Timestamp) -> Option<&Arc<PodSpec>> {
        self.versions.get(&version)
    }

    /// The version that was its definition at `version`; none if it was deleted then.
    pub(crate) fn version_at(&self, version: Timestamp) -> Option<Timestamp> {
        let (found, _) = self.versions.range(..=version).next_back()?;
        let is_gone = self.state.deleted.iter().any(|deleted| (found..=&version).contains(&deleted));
        (!is_gone).then_some(*found)
    }

    /// Whenever it was changed or deleted.
    pub(crate) fn changes(&self) -> impl Iterator<Item = Timestamp> {
        self.versions.keys().chain(&self.state.deleted).copied()
    }

    /// What happens to instances that cannot be reached: as the current definition says, also for instances of
    /// older ones. Those of a deleted pod are neither replaced nor waited for.
    pub(crate) fn unreachable_strategy(&self) -> UnreachableStrategy {
        self.spec().map_or(UnreachableStrategy::DISABLED, |spec| spec.scheduling.unreachable_strategy)
    }

    /// Whether an instance of this pod in `stage` need not be replaced. One that waits is launched from the
    /// current definition, whatever it was launched from before.
    pub(crate) fn counts_as_current(&self, instance: &Instance, stage: Stage) -> bool {
        stage == Stage::Waiting || self.is_in_use(instance.version)
    }

    /// Whether instances of `version` need not be replaced.
    pub(crate) fn is_in_use(&self, version: Timestamp) -> bool {
        self.compatible.contains(&version)
    }

    /// Those of `versions`, and the current one, whose copies need not be replaced.
    pub(super) fn compatible_of(&self, versions: BTreeSet<Timestamp>) -> BTreeSet<Timestamp> {
        let Some(current) = self.spec() else { return BTreeSet::new() };
        let reaches_no_copy = |version: &Timestamp| {
            self.spec_of(*version).is_some_and(|spec| change(spec, current) < Change::Upgrade)
        };
        versions.into_iter().filter(reaches_no_copy).chain(self.state.current).collect()
    }

    /// The stage of an instance of this pod.
    pub(crate) fn stage(&self, instance: &Instance) -> Stage {
        let has_health_checks = self.spec_of(instance.version).is_some_and(|spec| spec.has_health_checks());
        Stage::of(instance, has_health_checks)
    }
}

/// All pods that ever were. A step looks its pod up a dozen times, so one is found by the hash of its id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pods {
    /// Never iterated: order comes from `ids`.
    by_id: FxHashMap<PodId, Box<Pod>>,
    ids: BTreeSet<PodId>,
}

impl Pods {
    /// The pod `id`.
    pub(crate) fn get<Q>(&self, id: &Q) -> Option<&Pod>
    where
        PodId: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.by_id.get(id).map(|pod| &**pod)
    }

    /// The pod `id`, to be changed.
    pub(super) fn get_mut(&mut self, id: &PodId) -> Option<&mut Pod> {
        self.by_id.get_mut(id).map(|pod| &mut **pod)
    }

    /// The pod `id`, to be changed; it is made if it never was.
    pub(super) fn get_or_insert(&mut self, id: &PodId) -> &mut Pod {
        self.by_id.entry(id.clone()).or_insert_with(|| {
            self.ids.insert(id.clone());
            Box::new(Pod::new(id.clone()))
        })
    }

    /// All of them, by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Pod> {
        self.ids.iter().filter_map(|id| self.get(id))
    }

    /// Those whose ids come after `last`, if that is given, by id.
    pub(crate) fn after(&self, last: Option<&PodId>) -> impl Iterator<Item = &Pod> {
        let start = last.map_or(Bound::Unbounded, Bound::Excluded);
        self.ids.range::<PodId, _>((start, Bound::Unbounded)).filter_map(|id| self.get(id))
    }

    /// All ids, in order.
    pub(super) fn ids(&self) -> impl Iterator<Item = &PodId> {
        self.ids.iter()
    }

    /// Those whose paths lie below `group`, by id.
    pub(crate) fn below<'a>(&'a self, group: &str) -> impl Iterator<Item = &'a Pod> {
        self.ids.range::<str, _>(path::below(group)).filter_map(|id| self.get(id))
    }

    /// A copy with `whole` as they are and an outline of all others.
    pub(super) fn excerpt(&self, whole: &BTreeSet<PodId>) -> Self {
        let copy = |pod: &Pod| if whole.contains(&pod.state.id) { pod.clone() } else { pod.outline() };
        let by_id = self.iter().map(|pod| (pod.state.id.clone(), Box::new(copy(pod)))).collect();
        Self { by_id, ids: self.ids.clone() }
    }
}
