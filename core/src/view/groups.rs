//! Groups as `/v2/groups` shows them (Marathon's `GroupInfo`).

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::group::GroupSettings;
use crate::model::ids::{GroupId, PathId, PodId};
use crate::model::time::Timestamp;
use crate::scheduler::Scheduler;

/// A group with what is in it. Its pods are `P`: at first [`PodVersion`]s, which cost little, so that a large
/// tree need not be looked at in one go; then their states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupInfo<P> {
    /// The group.
    pub id: GroupId,
    /// Always empty: Podium runs pods only. Kept because clients read it.
    pub apps: [PodId; 0],
    /// The pods directly in it.
    pub pods: Vec<P>,
    /// The groups directly in it.
    pub groups: Vec<GroupInfo<P>>,
    /// What its pods depend on because it says so.
    pub dependencies: BTreeSet<PathId>,
    /// When anything in it was last changed.
    pub version: Timestamp,
    /// Whether its pods may only use the role of its name; only said of groups directly below the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforce_role: Option<bool>,
}

/// A pod of a group, in the definition that counts there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PodVersion {
    /// The pod.
    pub id: PodId,
    /// The definition.
    pub version: Timestamp,
}

/// What of a group is shown (the query parameter `embed`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupEmbed {
    /// Its pods (`group.pods`).
    pub pods: bool,
    /// The groups in it (`group.groups`).
    pub groups: bool,
}

impl GroupEmbed {
    /// Everything: what is shown if nothing is asked for.
    pub const ALL: Self = Self { pods: true, groups: true };
}

impl<P> GroupInfo<P> {
    /// All pods in it and in the groups below, the group's own first.
    pub fn all_pods(&self) -> Vec<&P> {
        self.pods.iter().chain(self.groups.iter().flat_map(Self::all_pods)).collect()
    }

    /// The same group with each pod shown as `show` says, in the order of [`GroupInfo::all_pods`]; those that it
    /// has nothing for are left out.
    pub fn map_pods<Q>(self, show: &mut impl FnMut(P) -> Option<Q>) -> GroupInfo<Q> {
        GroupInfo {
            id: self.id,
            apps: self.apps,
            pods: self.pods.into_iter().filter_map(&mut *show).collect(),
            groups: self.groups.into_iter().map(|group| group.map_pods(show)).collect(),
            dependencies: self.dependencies,
            version: self.version,
            enforce_role: self.enforce_role,
        }
    }
}

impl Scheduler {
    /// A group; none if there is no such group. The root is always there.
    pub fn group(&self, id: &GroupId, embed: GroupEmbed) -> Option<GroupInfo<PodVersion>> {
        self.group_until(id, None, embed)
    }

    /// A group as it was at `version`, which must be one of [`Scheduler::group_versions`].
    pub fn group_version(
        &self,
        id: &GroupId,
        version: Timestamp,
        embed: GroupEmbed,
    ) -> Option<GroupInfo<PodVersion>> {
        let is_known = self.group_versions(id)?.contains(&version);
        is_known.then(|| self.group_until(id, Some(version), embed))?
    }

    /// Whenever anything in a group was changed, oldest first; none if there is no such group.
    pub fn group_versions(&self, id: &GroupId) -> Option<BTreeSet<Timestamp>> {
        if !self.group_exists(id) {
            return None;
        }
        let groups = self.state.groups();
        let groups = groups.subtree(id).flat_map(|id| groups.versions(id));
        let pods = self.state.pods().below(id.as_str());
        Some(groups.chain(pods.flat_map(|pod| pod.changes())).collect())
    }

    /// A group with what was in it after all changes, or those up to `until`.
    fn group_until(
        &self,
        id: &GroupId,
        until: Option<Timestamp>,
        embed: GroupEmbed,
    ) -> Option<GroupInfo<PodVersion>> {
        let counts = |version: &Timestamp| until.is_none_or(|until| *version <= until);
        let mut tree = Tree { top: id.clone(), nodes: BTreeMap::new() };
        for group in self.state.groups().subtree(id) {
            let Some(newest) = self.state.groups().versions(group).filter(counts).last() else { continue };
            let settings = self.state.groups().settings_at(group, newest);
            tree.add(group, newest, settings.is_some());
            tree.node(group).settings = settings.cloned();
        }
        for pod in self.state.pods().below(id.as_str()) {
            let id = &pod.state.id;
            let Some(newest) = pod.changes().filter(counts).max() else { continue };
            let group = id.group();
            let version = pod.version_at(newest);
            tree.add(&group, newest, version.is_some());
            tree.node(&group).pods.extend(version.map(|version| PodVersion { id: id.clone(), version }));
        }
        if id.is_root() {
            tree.add(id, Timestamp::EPOCH, true);
        }
        self.info(&tree, id, embed)
    }

    fn info(&self, tree: &Tree, id: &GroupId, embed: GroupEmbed) -> Option<GroupInfo<PodVersion>> {
        let node = tree.nodes.get(id).filter(|node| node.is_there)?;
        let GroupSettings { dependencies, enforce_role } =
            node.settings.clone().unwrap_or_else(|| self.implied_settings(id));
        let groups = node.groups.iter().filter(|_| embed.groups);
        Some(GroupInfo {
            id: id.clone(),
            apps: [],
            pods: if embed.pods { node.pods.clone() } else { Vec::new() },
            groups: groups.filter_map(|group| self.info(tree, group, embed)).collect(),
            dependencies,
            version: node.version,
            enforce_role: id.is_top_level().then_some(enforce_role),
        })
    }
}

/// The groups of a subtree while it is put together.
struct Tree {
    top: GroupId,
    nodes: BTreeMap<GroupId, Node>,
}

#[derive(Default)]
struct Node {
    is_there: bool,
    version: Timestamp,
    settings: Option<GroupSettings>,
    pods: Vec<PodVersion>,
    groups: BTreeSet<GroupId>,
}

impl Tree {
    fn node(&mut self, id: &GroupId) -> &mut Node {
        self.nodes.entry(id.clone()).or_default()
    }

    /// Something in `group` was changed at `version`; if it `is_there`, so are all groups that contain it.
    fn add(&mut self, group: &GroupId, version: Timestamp, is_there: bool) {
        let mut group = group.clone();
        let mut below = None;
        loop {
            let is_top = group == self.top;
            let node = self.node(&group);
            node.version = node.version.max(version);
            node.is_there |= is_there;
            node.groups.extend(below);
            if is_top || group.is_root() {
                return;
            }
            let parent = group.parent();
            below = Some(group);
            group = parent;
        }
    }
}
