//! How far a change of a definition reaches.

use std::collections::BTreeSet;

use crate::model::pod::{Placement, PodSpec, Scheduling};

/// What a new definition asks of the copies that run, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Nothing: the definitions are equal.
    None,
    /// Only how copies are looked after (kill selection, unreachable strategy, back-off, upgrade strategy,
    /// upper bound): it applies to running copies as they are.
    Settings,
    /// Another number of copies, perhaps with other settings; those that stay are not touched.
    Scaling,
    /// Something that reaches Mesos or decides where copies may run: they are replaced.
    Upgrade,
}

/// Compares two definitions of one pod, apart from their versions.
pub fn change(old: &PodSpec, new: &PodSpec) -> Change {
    // Taken apart completely, so that a new field cannot be forgotten here.
    let PodSpec {
        id: _,
        version: _,
        labels,
        user,
        environment,
        containers,
        secrets,
        volumes,
        networks,
        scaling,
        scheduling,
        executor_resources,
        role,
        linux_info,
        legacy_shared_cgroups,
    } = old;
    let Scheduling { backoff: _, upgrade: _, placement, kill_selection: _, unreachable_strategy: _ } =
        scheduling;
    let upgrade = *labels != new.labels
        || *user != new.user
        || *environment != new.environment
        || *containers != new.containers
        || *secrets != new.secrets
        || *volumes != new.volumes
        || *networks != new.networks
        || *executor_resources != new.executor_resources
        || *role != new.role
        || *linux_info != new.linux_info
        || *legacy_shared_cgroups != new.legacy_shared_cgroups
        || !allow_the_same(placement, &new.scheduling.placement);
    if upgrade {
        Change::Upgrade
    } else if scaling.instances != new.scaling.instances {
        Change::Scaling
    } else if scaling != &new.scaling || scheduling != &new.scheduling {
        Change::Settings
    } else {
        Change::None
    }
}

/// Both parts are sets: their order says nothing.
fn allow_the_same(old: &Placement, new: &Placement) -> bool {
    fn same<T: Ord>(old: &[T], new: &[T]) -> bool {
        old == new || old.iter().collect::<BTreeSet<_>>() == new.iter().collect::<BTreeSet<_>>()
    }
    let Placement { constraints, accepted_resource_roles } = old;
    same(constraints, &new.constraints) && same(accepted_resource_roles, &new.accepted_resource_roles)
}
