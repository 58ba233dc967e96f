//! Which role a pod may use (Marathon's `RoleSettings`).
//!
//! | the pod is | its top-level group | may use | uses if it names none |
//! |---|---|---|---|
//! | at the root | | `--mesos_role` | `--mesos_role` |
//! | in a group | does not enforce its role | `--mesos_role`, the group's name | `--mesos_role` |
//! | in a group | enforces its role | the group's name | the group's name |
//!
//! Everybody may keep the role they have.

use std::collections::BTreeSet;

use crate::admission::{Rejection, check_role};
use crate::model::ids::Role;
use crate::model::pod::PodSpec;
use crate::output::Refusal;
use crate::scheduler::Scheduler;

impl Scheduler {
    /// Gives `pod` the role of its group if it names none, and makes sure that it may use the one it has.
    ///
    /// # Errors
    /// It may not; or it has persistent volumes, whose reservations belong to another role, and `force` is not
    /// given.
    pub(super) fn settle_role(
        &self,
        pod: &mut PodSpec,
        role_given: bool,
        force: bool,
    ) -> Result<(), Refusal> {
        let mesos_role = &self.config.mesos_role;
        let group = pod.id.top_level_group();
        let group_role = group.as_ref().map(|group| Role::new(group.as_str().trim_start_matches('/')));
        let enforced = group_role
            .as_ref()
            .filter(|_| group.as_ref().is_some_and(|group| self.group_settings(group).enforce_role));
        if !role_given {
            pod.role = enforced.unwrap_or(mesos_role).clone();
        }
        let old = self.pod(&pod.id).map(|pod| &pod.role);
        let mut allowed: BTreeSet<&Role> = old.into_iter().chain(&group_role).collect();
        if enforced.is_none() {
            allowed.insert(mesos_role);
        }
        if !allowed.contains(&pod.role) {
            let allowed: Vec<&str> = allowed.into_iter().map(Role::as_str).collect();
            let error = format!("got {}, expected one of: [{}]", pod.role, allowed.join(", "));
            return Err(Rejection::not_valid("/role", error).into());
        }
        if let Some(old) = old.filter(|old| **old != pod.role && pod.is_resident() && !force) {
            let error = format!(
                "the pod's volumes are reserved for role '{old}': its copies would keep that role, and only new \
                 ones would get '{}'. If this is what you want, retry with ?force=true",
                pod.role
            );
            return Err(Rejection::not_valid("/role", error).into());
        }
        Ok(check_role(pod)?)
    }
}
