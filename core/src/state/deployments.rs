//! The deployments on their way, and when their time is up.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::deployment::Deployment;
use crate::model::ids::DeploymentId;
use crate::model::time::Timestamp;

/// The deployments on their way.
#[derive(Clone, Debug, Default)]
pub(super) struct Deployments {
    by_id: BTreeMap<DeploymentId, Deployment>,
    /// Those that have a deadline, by it.
    deadlines: BTreeSet<(Timestamp, DeploymentId)>,
}

impl Deployments {
    /// All of them, oldest first.
    pub(super) fn all(&self) -> &BTreeMap<DeploymentId, Deployment> {
        &self.by_id
    }

    /// Adds a deployment or changes it. Its deadline never changes.
    pub(super) fn insert(&mut self, deployment: Deployment) {
        let id = deployment.id.clone();
        self.deadlines.extend(deployment.deadline.map(|deadline| (deadline.at, id.clone())));
        self.by_id.insert(id, deployment);
    }

    /// Removes a deployment.
    pub(super) fn remove(&mut self, id: &DeploymentId) -> Option<Deployment> {
        let deployment = self.by_id.remove(id)?;
        if let Some(deadline) = deployment.deadline {
            self.deadlines.remove(&(deadline.at, id.clone()));
        }
        Some(deployment)
    }

    /// When the time of the first of them is up.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The one whose time was up first, if it is up at `now`.
    pub(super) fn overdue(&self, now: Timestamp) -> Option<&Deployment> {
        let (_, id) = self.deadlines.first().filter(|(at, _)| *at <= now)?;
        self.by_id.get(id)
    }
}
