//! The definitions of groups, and who depends on whom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::group::{Group, GroupSettings};
use crate::model::ids::{GroupId, PathId, PodId};
use crate::model::path;
use crate::model::time::Timestamp;

/// Every definition that groups have had. Groups that are merely implied by a pod's id have none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups {
    definitions: BTreeMap<GroupId, BTreeMap<Timestamp, Arc<Group>>>,
    /// The groups that declare a dependency on a path, by that path.
    dependants: BTreeMap<PathId, BTreeSet<GroupId>>,
}

impl Groups {
    /// Adds a definition, which is the current one if it is the newest.
    pub(super) fn insert(&mut self, group: Arc<Group>) {
        let id = group.id.clone();
        let before: Vec<PathId> = self.dependencies_of(&id).cloned().collect();
        for dependency in before {
            if let Some(groups) = self.dependants.get_mut(&dependency) {
                groups.remove(&id);
                if groups.is_empty() {
                    self.dependants.remove(&dependency);
                }
            }
        }
        self.definitions.entry(id.clone()).or_default().insert(group.version, group);
        let after: Vec<PathId> = self.dependencies_of(&id).cloned().collect();
        for dependency in after {
            self.dependants.entry(dependency).or_default().insert(id.clone());
        }
    }

    /// What a group says of its pods now; nothing if it has no definition.
    pub(crate) fn settings(&self, id: &GroupId) -> Option<&GroupSettings> {
        self.newest(id)?.settings.as_ref()
    }

    /// What a group said of its pods at `version`.
    pub(crate) fn settings_at(&self, id: &GroupId, version: Timestamp) -> Option<&GroupSettings> {
        self.definitions.get(id)?.range(..=version).next_back()?.1.settings.as_ref()
    }

    /// The newest definition of a group, or its end.
    pub(crate) fn newest(&self, id: &GroupId) -> Option<&Arc<Group>> {
        self.definitions.get(id)?.last_key_value().map(|(_, group)| group)
    }

    /// One definition of a group, or its end.
    pub(super) fn definition(&self, id: &GroupId, version: Timestamp) -> Option<&Arc<Group>> {
        self.definitions.get(id)?.get(&version)
    }

    /// The groups that ever had a definition: `id` and those below it.
    pub(crate) fn subtree(&self, id: &GroupId) -> impl Iterator<Item = &GroupId> {
        let itself = self.definitions.get_key_value(id).map(|(id, _)| id);
        itself.into_iter().chain(self.definitions.range::<str, _>(path::below(id.as_str())).map(|(id, _)| id))
    }

    /// When the definition of a group was changed, oldest first.
    pub(crate) fn versions(&self, id: &GroupId) -> impl Iterator<Item = Timestamp> {
        self.definitions.get(id).into_iter().flat_map(BTreeMap::keys).copied()
    }

    /// On whom the pods of a group depend because it says so itself.
    pub(crate) fn dependencies_of(&self, id: &GroupId) -> impl Iterator<Item = &PathId> {
        self.settings(id).into_iter().flat_map(|settings| &settings.dependencies)
    }

    /// On whom `pod` depends, with the group that says so, the innermost group first.
    pub(crate) fn dependencies_of_pod(&self, pod: &PodId) -> impl Iterator<Item = (&GroupId, &PathId)> {
        let groups = path::with_ancestors(pod.as_str()).skip(1).filter_map(|group| {
            let group = self.definitions.get(group)?.last_key_value()?.1;
            Some((&group.id, group.settings.as_ref()?))
        });
        groups.flat_map(|(group, settings)| settings.dependencies.iter().map(move |path| (group, path)))
    }

    /// Every dependency that is declared: a group, and a path that its pods depend on.
    pub(crate) fn dependencies(&self) -> impl Iterator<Item = (&GroupId, &PathId)> {
        self.dependants.iter().flat_map(|(path, groups)| groups.iter().map(move |group| (group, path)))
    }

    /// Whether somebody depends on `pod`, or on a group that it belongs to.
    pub(crate) fn is_depended_on(&self, pod: &PodId) -> bool {
        self.has_dependencies()
            && path::with_ancestors(pod.as_str()).any(|path| self.dependants.contains_key(path))
    }

    /// Whether any group declares dependencies.
    pub(crate) fn has_dependencies(&self) -> bool {
        !self.dependants.is_empty()
    }
}
