//! Short names for things with long ids.

use std::collections::BTreeMap;

use podium_core::model::ids::{DeploymentId, InstanceId, PodId, TaskId, Uuid};

/// Names given so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    instances: BTreeMap<Uuid, u32>,
    counts: BTreeMap<PodId, u32>,
    deployments: BTreeMap<DeploymentId, usize>,
}

impl Names {
    /// `web#1` for the first instance of `/web` that was heard of.
    pub(crate) fn instance(&mut self, id: &InstanceId) -> String {
        let count = self.counts.entry(id.pod.clone()).or_default();
        let number = self.instances.entry(id.uuid).or_insert_with(|| {
            *count += 1;
            *count
        });
        format!("{}#{number}", id.pod.as_str().trim_start_matches('/'))
    }

    /// `web#1.a.2` for container `a` of the second launch of that instance.
    pub(crate) fn task(&mut self, id: &TaskId) -> String {
        match id.parse() {
            Ok(task) => {
                format!("{}.{}.{}", self.instance(&task.instance()), task.container, task.incarnation)
            }
            Err(_) => id.to_string(),
        }
    }

    /// `deployment 1` for the first deployment.
    pub(crate) fn deployment(&mut self, id: &DeploymentId) -> String {
        let next = self.deployments.len() + 1;
        format!("deployment {}", self.deployments.entry(id.clone()).or_insert(next))
    }
}
