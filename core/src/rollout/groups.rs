//! Commands that change groups, and what pods and groups must keep to so that they make one tree.
//!
//! Pods are read-only here (Pods page, "Limitations"): whatever would change, add or drop one is refused, except
//! that the end of a group is the end of its pods. A change is first worked out as a whole, with everything that
//! is wrong with it, and then made or refused as a whole.

use std::collections::{BTreeMap, BTreeSet};

use super::dependencies::find_cycle;
use crate::admission::{self, Rejection, Violation};
use crate::model::deployment::{ActionKind, Deployment};
use crate::model::group::{Group, GroupSettings, GroupUpdate};
use crate::model::ids::{GroupId, PathId, PodId};
use crate::model::path;
use crate::model::pod::PodSpec;
use crate::model::time::Timestamp;
use crate::output::{Refusal, Response};
use crate::scheduler::Scheduler;

/// So many pods are named in an error.
const MAX_NAMED: usize = 10;

/// What to do with a group: give it settings, or take it away.
type Changes = BTreeMap<GroupId, Option<GroupSettings>>;

impl Scheduler {
    pub(super) fn create_group(&mut self, update: &GroupUpdate) -> Result<Response, Refusal> {
        if self.group_exists(&update.id) {
            return Err(Refusal::GroupExists(update.id.clone()));
        }
        self.update_group(update)
    }

    pub(super) fn update_group(&mut self, update: &GroupUpdate) -> Result<Response, Refusal> {
        let mut wanted = Wanted { changes: Changes::new(), violations: Vec::new() };
        match update.version {
            Some(version) => self.want_back(&update.id, version, &mut wanted)?,
            None => self.want(update, "", &mut wanted),
        }
        self.make(&update.id, wanted)
    }

    pub(super) fn enforce_group_role(
        &mut self,
        id: &GroupId,
        enforce_role: bool,
    ) -> Result<Response, Refusal> {
        if !id.is_top_level() {
            let error = format!("only groups directly below the root enforce their role, '{id}' is none");
            return Err(Rejection::not_valid("/", error).into());
        }
        if !self.group_exists(id) {
            return Err(Refusal::UnknownGroup(id.clone()));
        }
        let settings = GroupSettings { enforce_role, ..self.group_settings(id) };
        let changes = Changes::from([(id.clone(), Some(settings))]);
        self.make(id, Wanted { changes, violations: Vec::new() })
    }

    pub(super) fn delete_group(&mut self, id: &GroupId, force: bool) -> Result<Response, Refusal> {
        if !self.group_exists(id) {
            return Err(Refusal::UnknownGroup(id.clone()));
        }
        let pods: BTreeSet<PodId> = self.pods_below(id).map(|spec| spec.id.clone()).collect();
        let groups: Vec<GroupId> = self
            .state
            .groups()
            .subtree(id)
            .filter(|id| self.state.groups().settings(id).is_some())
            .cloned()
            .collect();
        if !pods.is_empty() {
            self.lock(&pods, force)?;
        }
        let version = self.new_version_of_all(&pods, &groups);
        // While the groups still say who depends on whom.
        let steps = self.stop_order(&pods);
        let mut original_groups = BTreeMap::new();
        for id in groups {
            if let Some(newest) = self.state.groups().newest(&id) {
                original_groups.insert(id.clone(), newest.version);
            }
            self.state.put_group(Group { id, version, settings: None });
        }
        let mut original = BTreeMap::new();
        for pod in &pods {
            original.insert(pod.clone(), self.pod(pod).map(|spec| spec.version));
            self.state.delete_spec(&self.config, pod, version);
        }
        self.announce_change(id.parent(), version);
        if pods.is_empty() {
            return Ok(Response::GroupDeleted { deployment: self.new_deployment_id(), version });
        }
        let stop = |pods: Vec<PodId>| pods.into_iter().map(|pod| (ActionKind::StopPod, pod)).collect();
        let steps = steps.into_iter().map(stop).collect();
        let deployment = self.deploy(original, original_groups, version, steps, None);
        Ok(Response::GroupDeleted { deployment, version })
    }

    /// Whether there is such a group: it has a definition, or a group or pod below it implies it. The root is
    /// always there.
    pub(crate) fn group_exists(&self, id: &GroupId) -> bool {
        let has_settings = |id: &GroupId| self.state.groups().settings(id).is_some();
        id.is_root()
            || self.state.groups().subtree(id).any(has_settings)
            || self.pods_below(id).next().is_some()
    }

    /// What a group says of its pods, or what it would say if it had a definition.
    pub(crate) fn group_settings(&self, id: &GroupId) -> GroupSettings {
        self.state.groups().settings(id).cloned().unwrap_or_else(|| self.implied_settings(id))
    }

    /// What a group says of its pods that has no definition.
    pub(crate) fn implied_settings(&self, id: &GroupId) -> GroupSettings {
        let enforce_role = id.is_top_level() && self.config.new_group_enforce_role;
        GroupSettings { dependencies: BTreeSet::new(), enforce_role }
    }

    /// The current definitions of all pods of a group and of the groups below it, by id.
    pub(crate) fn pods_below(&self, id: &GroupId) -> impl Iterator<Item = &std::sync::Arc<PodSpec>> {
        self.state.pods().below(id.as_str()).filter_map(|pod| pod.spec())
    }

    /// Makes sure that a new pod may have this id.
    pub(super) fn check_free_for_pod(&self, id: &PodId) -> Result<(), Rejection> {
        let group = GroupId::new(id.as_str());
        if self.group_exists(&group) {
            return Err(Rejection::not_valid("/", same_id(&format!("'{group}' is a group"))));
        }
        self.check_free_for_group(&id.group()).map_err(|error| Rejection::not_valid("/", error))
    }

    /// Makes sure that neither this group nor one that contains it has the id of a pod.
    fn check_free_for_group(&self, id: &GroupId) -> Result<(), String> {
        let mut paths = path::with_ancestors(id.as_str());
        match paths.find(|path| self.state.pods().get(*path).is_some_and(|pod| pod.spec().is_some())) {
            Some(pod) => Err(same_id(&format!("'{pod}' is a pod"))),
            None => Ok(()),
        }
    }

    /// Makes sure that what `deployment` took away can come back.
    pub(super) fn check_way_back(&self, deployment: &Deployment) -> Result<(), Refusal> {
        for (pod, before) in &deployment.original {
            if before.is_some() && self.pod(pod).is_none() {
                self.check_free_for_pod(pod)?;
            }
        }
        for (group, _) in self.lost_groups(&deployment.original_groups) {
            self.check_free_for_group(group).map_err(|error| Rejection::not_valid("/", error))?;
        }
        let changes: Changes = self
            .lost_groups(&deployment.original_groups)
            .map(|(id, settings)| (id.clone(), Some(settings.clone())))
            .collect();
        self.check_cycles(&changes).map_err(|error| Rejection::not_valid("/", error))?;
        Ok(())
    }

    /// Brings back those of `original` that are still gone.
    pub(super) fn restore_groups(&mut self, original: &BTreeMap<GroupId, Timestamp>, version: Timestamp) {
        let lost: Vec<Group> = self
            .lost_groups(original)
            .map(|(id, settings)| Group { id: id.clone(), version, settings: Some(settings.clone()) })
            .collect();
        for group in lost {
            self.state.put_group(group);
        }
    }

    fn lost_groups<'a>(
        &'a self,
        original: &'a BTreeMap<GroupId, Timestamp>,
    ) -> impl Iterator<Item = (&'a GroupId, &'a GroupSettings)> {
        let groups = self.state.groups();
        original
            .iter()
            .filter(move |(id, _)| groups.settings(id).is_none())
            .filter_map(move |(id, version)| Some((id, groups.settings_at(id, *version)?)))
    }

    /// Works out what `update` changes; `at` is its place in the document.
    fn want(&self, update: &GroupUpdate, at: &str, wanted: &mut Wanted) {
        let id = &update.id;
        if let Err(error) = self.check_free_for_group(id) {
            wanted.refuse(at, error);
        }
        if let Some(pods) = &update.pods {
            self.check_pods(id, pods, at, wanted);
        }
        if !id.is_root() {
            let mut settings = self.group_settings(id);
            if let Some(dependencies) = &update.dependencies {
                settings.dependencies.clone_from(dependencies);
            }
            if let Some(enforce_role) = update.enforce_role {
                settings.enforce_role = enforce_role;
            }
            wanted.changes.insert(id.clone(), Some(settings));
        }
        let Some(groups) = &update.groups else { return };
        let listed: BTreeSet<&GroupId> = groups.iter().map(|group| &group.id).collect();
        for dropped in self.direct_groups(id).into_iter().filter(|group| !listed.contains(group)) {
            let pods: Vec<&PodId> = self.pods_below(&dropped).map(|spec| &spec.id).collect();
            if pods.is_empty() {
                let gone = self.state.groups().subtree(&dropped);
                wanted.changes.extend(gone.map(|id| (id.clone(), None)));
            } else {
                let named: Vec<&str> = pods.iter().take(MAX_NAMED).map(|pod| pod.as_str()).collect();
                let more = if pods.len() > named.len() { ", …" } else { "" };
                let error = format!(
                    "leaves out the group {dropped}, whose pods would be deleted: {}{more}. List the group, or \
                     delete it with DELETE /v2/groups{dropped}",
                    named.join(", ")
                );
                wanted.refuse(&format!("{at}/groups"), error);
            }
        }
        for (index, group) in groups.iter().enumerate() {
            self.want(group, &format!("{at}/groups({index})"), wanted);
        }
    }

    /// Pods are read-only here: a list of them must be what there is.
    fn check_pods(&self, group: &GroupId, pods: &[PodSpec], at: &str, wanted: &mut Wanted) {
        for (index, pod) in pods.iter().enumerate() {
            let at = format!("{at}/pods({index})");
            match self.pod(&pod.id).filter(|_| pod.id.group() == *group) {
                None => {
                    let id = &pod.id;
                    wanted.refuse(
                        &at,
                        format!("there is no pod {id} in this group. {READ_ONLY}: use POST /v2/pods"),
                    );
                }
                Some(old) if admission::change(old, pod) != admission::Change::None => {
                    let id = &pod.id;
                    wanted.refuse(
                        &at,
                        format!("this would change the pod {id}. {READ_ONLY}: use PUT /v2/pods{id}"),
                    );
                }
                Some(_) => {}
            }
        }
        let listed: BTreeSet<&PodId> = pods.iter().map(|pod| &pod.id).collect();
        for spec in
            self.pods_below(group).filter(|spec| spec.id.group() == *group && !listed.contains(&spec.id))
        {
            let id = &spec.id;
            let error = format!("this would drop the pod {id}. {READ_ONLY}: use DELETE /v2/pods{id}");
            wanted.refuse(&format!("{at}/pods"), error);
        }
    }

    /// Works out how to lead the groups of a subtree back to what they were at `version`.
    fn want_back(&self, id: &GroupId, version: Timestamp, wanted: &mut Wanted) -> Result<(), Refusal> {
        if !self.group_versions(id).is_some_and(|versions| versions.contains(&version)) {
            return Err(Refusal::UnknownGroup(id.clone()));
        }
        for pod in self.state.pods().below(id.as_str()) {
            if pod.version_at(version) != pod.state.current {
                let pod = &pod.state.id;
                let error =
                    format!("the pod {pod} has changed since {version}. {READ_ONLY}: use /v2/pods first");
                wanted.refuse("/version", error);
            }
        }
        let groups = self.state.groups();
        let then = groups.subtree(id).map(|id| (id.clone(), groups.settings_at(id, version).cloned()));
        wanted.changes.extend(then);
        Ok(())
    }

    /// The groups directly below `id`, defined or implied.
    fn direct_groups(&self, id: &GroupId) -> BTreeSet<GroupId> {
        let defined = self.state.groups().subtree(id).filter(|id| self.state.groups().settings(id).is_some());
        let implied = self.pods_below(id).map(|spec| spec.id.group());
        // The last path on the way up that is not `id` itself.
        let direct = |group: GroupId| {
            let up = path::with_ancestors(group.as_str()).take_while(|path| *path != id.as_str());
            up.last().map(GroupId::from)
        };
        defined.cloned().chain(implied).filter_map(direct).collect()
    }

    /// Makes a change that was worked out, unless something is wrong with it.
    fn make(
        &mut self,
        id: &GroupId,
        Wanted { mut changes, mut violations }: Wanted,
    ) -> Result<Response, Refusal> {
        if let Err(error) = self.check_cycles(&changes) {
            violations.push(Violation { path: "/".to_owned(), errors: vec![error] });
        }
        if !violations.is_empty() {
            return Err(Rejection { message: Rejection::NOT_VALID.to_owned(), details: violations }.into());
        }
        changes.retain(|id, settings| self.state.groups().settings(id) != settings.as_ref());
        let version = self.new_version_of_all([], changes.keys());
        for (id, settings) in changes {
            self.state.put_group(Group { id, version, settings });
        }
        self.announce_change(id.parent(), version);
        let deployment = self.new_deployment_id();
        Ok(Response::GroupUpdated { id: id.clone(), deployment, version })
    }

    /// Makes sure that nobody would depend on itself after `changes`, in however many steps.
    fn check_cycles(&self, changes: &Changes) -> Result<(), String> {
        if changes.values().flatten().all(|settings| settings.dependencies.is_empty()) {
            return Ok(());
        }
        let kept = self.state.groups().dependencies().filter(|(group, _)| !changes.contains_key(*group));
        let changed = changes.iter().flat_map(|(group, settings)| {
            settings
                .iter()
                .flat_map(move |settings| settings.dependencies.iter().map(move |path| (group, path)))
        });
        let dependencies: Vec<(&GroupId, &PathId)> = kept.chain(changed).collect();
        let Some(cycle) = find_cycle(&dependencies) else { return Ok(()) };
        let chain: Vec<String> =
            cycle.iter().map(|(group, path)| format!("{group} depends on {path}")).collect();
        Err(format!("Dependency graph has cyclic dependencies. {}.", chain.join(", ")))
    }
}

/// What the errors about pods in a group have in common.
const READ_ONLY: &str = "Pods are read-only at /v2/groups";

fn same_id(which: &str) -> String {
    format!("Groups and Pods may not have the same identifier. {which}.")
}

/// A change that is being worked out.
struct Wanted {
    changes: Changes,
    violations: Vec<Violation>,
}

impl Wanted {
    fn refuse(&mut self, path: &str, error: String) {
        let path = if path.is_empty() { "/" } else { path };
        match self.violations.iter_mut().find(|violation| violation.path == path) {
            Some(violation) => violation.errors.push(error),
            None => self.violations.push(Violation { path: path.to_owned(), errors: vec![error] }),
        }
    }
}
