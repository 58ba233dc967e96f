//! Who waits for whom: the dependencies of groups, which are implicit for their pods (Pods page,
//! "Limitations").
//!
//! ```text
//!   group /shop depends on /db                 /db/a settled   /db/b not
//!                │                                               ▲
//!   pod /shop/web: its deployment starts nothing ── waits for ───┘
//!                                                    looked at again when /db/b is settled
//! ```
//!
//! A pod is *settled* when as many copies serve as shall and no deployment has anything left to do to it. While
//! a pod that it depends on is not settled, the deployment of a pod starts and replaces nothing; it keeps up
//! what there was when it began. Whatever no deployment changes does not wait: a copy that fails is launched
//! again whoever else is ill.
//!
//! Waiting cannot end in a circle. Groups whose dependencies would make one are refused, a pod waits for what
//! others do to a pod and never for a deployment as a whole, and pods that are deleted or do not exist are
//! waited for by nobody.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::ids::{GroupId, PathId, PodId};
use crate::model::path;
use crate::scheduler::Scheduler;

/// Who is waited for and who waits. Derived from the state; kept so that a change of one pod does not cost a
/// look at all others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dependencies {
    /// The pods on whom somebody depends and that are not settled.
    unsettled: BTreeSet<PodId>,
    /// The pods that wait, by the pod they wait for.
    waiting: BTreeMap<PodId, BTreeSet<PodId>>,
}

/// Why a pod waits for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unmet {
    /// The group that declares the dependency.
    group: GroupId,
    /// What it depends on.
    dependency: PathId,
    /// The pod there that is not settled.
    pod: PodId,
}

impl Dependencies {
    fn first_unsettled(&self, path: &PathId) -> Option<&PodId> {
        let itself = self.unsettled.get(path.as_str());
        itself.or_else(|| self.unsettled.range::<str, _>(path::below(path.as_str())).next())
    }
}

impl Scheduler {
    /// Brings up to date who of the pods that something happened to is settled.
    pub(crate) fn note_settled_pods(&mut self) {
        if self.state.groups().has_dependencies() || !self.dependencies.unsettled.is_empty() {
            let touched: Vec<PodId> = self.state.changes.touched.iter().cloned().collect();
            for pod in touched {
                self.note_settled(&pod);
            }
        }
    }

    /// Brings up to date whether `pod` is settled. If it became so, those who waited for it are looked at again.
    pub(super) fn note_settled(&mut self, pod: &PodId) {
        if self.state.groups().is_depended_on(pod) && !self.is_settled(pod) {
            self.dependencies.unsettled.insert(pod.clone());
        } else if self.dependencies.unsettled.remove(pod)
            && let Some(waiting) = self.dependencies.waiting.remove(pod)
        {
            self.state.changes.touched.extend(waiting);
        }
    }

    /// Whether the deployment of `pod` has to wait for others. If so, the pod is looked at again when that changes.
    pub(super) fn has_to_wait(&mut self, pod: &PodId) -> bool {
        let Some(unmet) = self.unmet_dependency(pod) else { return false };
        self.dependencies.waiting.entry(unmet.pod).or_default().insert(pod.clone());
        true
    }

    /// Whom `pod` has to wait for.
    pub(super) fn unmet_dependency(&self, pod: &PodId) -> Option<Unmet> {
        if self.dependencies.unsettled.is_empty() {
            return None;
        }
        self.state.groups().dependencies_of_pod(pod).find_map(|(group, dependency)| {
            let pod = self.dependencies.first_unsettled(dependency)?.clone();
            Some(Unmet { group: group.clone(), dependency: dependency.clone(), pod })
        })
    }

    /// Who is waited for and why, in words.
    pub(super) fn describe(&self, Unmet { group, dependency, pod }: &Unmet) -> String {
        let found = self.state.pod(pod);
        let serving = found.map_or(0, |pod| pod.tally.serving());
        let wanted = found.and_then(|pod| pod.spec()).map_or(0, |spec| spec.instances());
        let what = if serving < wanted {
            let instances = if wanted == 1 { "instance" } else { "instances" };
            format!("{serving} of its {wanted} {instances} healthy")
        } else {
            "its own deployment is not done".to_owned()
        };
        format!("waits for {pod}, because group {group} depends on {dependency}: {what}")
    }

    fn is_settled(&self, id: &PodId) -> bool {
        let Some(pod) = self.state.pod(id) else { return true };
        let Some(spec) = pod.spec() else { return true };
        if pod.tally.serving() < spec.instances() {
            return false;
        }
        let deployment = pod.deployment.as_ref().and_then(|id| self.state.deployments().get(id));
        match deployment.and_then(|deployment| deployment.next_action(id)) {
            None => true,
            // The last one may be done while others of the same deployment are not.
            Some((action, is_now)) => {
                let is_last = deployment.is_none_or(|deployment| deployment.is_last_for(id));
                is_now && is_last && self.is_done(action)
            }
        }
    }

    /// Groups `pods` into steps in which they can be stopped: those that depend on others before them.
    pub(super) fn stop_order(&self, pods: &BTreeSet<PodId>) -> Vec<Vec<PodId>> {
        let mut ranks: BTreeMap<PodId, usize> = pods.iter().map(|pod| (pod.clone(), 0)).collect();
        // The dependencies make no circle, so this comes to rest after as many rounds as the longest chain is
        // long. Should they do so nevertheless, the order does not matter.
        for _ in 0..=pods.len() {
            let mut moved = false;
            for (group, dependency) in self.state.groups().dependencies() {
                let dependants = ranks.range::<str, _>(path::below(group.as_str()));
                let Some(last) = dependants.map(|(_, rank)| *rank).max() else { continue };
                if let Some(rank) = ranks.get_mut(dependency.as_str()) {
                    moved |= put_after(rank, last);
                }
                for (_, rank) in ranks.range_mut::<str, _>(path::below(dependency.as_str())) {
                    moved |= put_after(rank, last);
                }
            }
            if !moved {
                break;
            }
        }
        let mut steps: BTreeMap<usize, Vec<PodId>> = BTreeMap::new();
        for (pod, rank) in ranks {
            steps.entry(rank).or_default().push(pod);
        }
        steps.into_values().collect()
    }
}

/// Makes sure that `rank` comes after `other`, and says whether it had to be changed.
fn put_after(rank: &mut usize, other: usize) -> bool {
    let changed = *rank <= other;
    *rank = (*rank).max(other + 1);
    changed
}

/// A circle among `dependencies`, each a group and a path that its pods depend on: some of them of which each
/// leads to the next, and the last to the first.
pub(super) fn find_cycle<'a>(
    dependencies: &[(&'a GroupId, &'a PathId)],
) -> Option<Vec<(&'a GroupId, &'a PathId)>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        OnPath,
        Done,
    }
    // A pod that is in both places waits for the first one's dependants and makes the second one's wait.
    let leads_to = |from: usize, to: usize| {
        let (dependency, group) = (dependencies[from].1, dependencies[to].0);
        dependency.contains(group.as_str()) || PathId::from(group).contains(dependency.as_str())
    };
    let mut marks = vec![Mark::New; dependencies.len()];
    for start in 0..dependencies.len() {
        // Depth first, with an explicit stack: where we are, and whom we have tried from there.
        let mut trail: Vec<(usize, usize)> = Vec::new();
        if marks[start] == Mark::New {
            marks[start] = Mark::OnPath;
            trail.push((start, 0));
        }
        while let Some((at, next)) = trail.last_mut() {
            let (from, to) = (*at, *next);
            *next += 1;
            if to == dependencies.len() {
                marks[from] = Mark::Done;
                trail.pop();
            } else if leads_to(from, to) {
                match marks[to] {
                    Mark::New => {
                        marks[to] = Mark::OnPath;
                        trail.push((to, 0));
                    }
                    Mark::OnPath => {
                        let circle = trail.iter().map(|(at, _)| *at).skip_while(|at| *at != to);
                        return Some(circle.map(|at| dependencies[at]).collect());
                    }
                    Mark::Done => {}
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycle_of(dependencies: &[(&str, &str)]) -> Option<Vec<String>> {
        let owned: Vec<(GroupId, PathId)> =
            dependencies.iter().map(|(group, path)| (GroupId::from(*group), PathId::from(*path))).collect();
        let borrowed: Vec<_> = owned.iter().map(|(group, path)| (group, path)).collect();
        let found = find_cycle(&borrowed)?;
        Some(found.into_iter().map(|(group, path)| format!("{group} > {path}")).collect())
    }

    #[test]
    fn circles_are_found_through_any_level_of_the_tree() {
        assert_eq!(cycle_of(&[("/a", "/b"), ("/b", "/c"), ("/a", "/c"), ("/d", "/a/x")]), None);
        assert_eq!(cycle_of(&[("/a", "/b"), ("/c", "/d"), ("/b", "/a")]).unwrap(), ["/a > /b", "/b > /a"]);
        assert_eq!(cycle_of(&[("/a", "/b"), ("/b/x", "/c"), ("/c/y", "/a/z")]).unwrap().len(), 3);
        for (group, path) in [("/a", "/a"), ("/a", "/a/b"), ("/a/b", "/a"), ("/a", "/")] {
            assert_eq!(cycle_of(&[(group, path)]).unwrap(), [format!("{group} > {path}")]);
        }
        assert_eq!(cycle_of(&[("/a", "/ab"), ("/ab", "/a-b"), ("/a/b", "/a/c")]), None);
    }
}
