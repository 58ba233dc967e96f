//! Puts the values of secrets into launches.

use std::collections::BTreeMap;

use podium_core::model::ids::ExecutorId;
use podium_core::model::mesos::{
    Call, CommandInfo, EnvironmentValue, LaunchGroup, OperationInfo, Probe, Secret, TaskInfo, VolumeSource,
};
use podium_core::{Accept, Scheduler, SecretsReport};

use super::{SecretError, SecretStore};

/// The call for `accept`, with values in the place of all references to secrets. Launches whose secrets cannot be
/// had are left out, and reported.
pub(crate) fn join(
    scheduler: &Scheduler,
    mut accept: Accept,
    store: &dyn SecretStore,
) -> (Call, Option<SecretsReport>) {
    let mut values = Values { store, read: BTreeMap::new() };
    let mut report = SecretsReport::default();
    loop {
        let mut call = scheduler.accept_call(&accept);
        let refused = values.put_into(&mut call);
        if refused.is_empty() {
            return (call, (report != SecretsReport::default()).then_some(report));
        }
        // What was left out leaves its offer to whoever comes next. Written out once more without it: what belongs
        // to a launch may be more than its task group.
        accept.launches.retain(|launch| match refused.get(&launch.instance.executor_id()) {
            Some((path, error)) => {
                report.missing.insert(path.clone(), error.to_string());
                report.unsent.push((launch.instance.clone(), launch.incarnation));
                false
            }
            None => true,
        });
    }
}

/// Values read so far.
struct Values<'a> {
    store: &'a dyn SecretStore,
    read: BTreeMap<String, Result<Vec<u8>, SecretError>>,
}

/// A secret's path, and why it cannot be used.
type Unusable = (String, SecretError);

impl Values<'_> {
    /// The launches of `call` that lack a secret.
    fn put_into(&mut self, call: &mut Call) -> BTreeMap<ExecutorId, Unusable> {
        let Call::Accept { operations, .. } = call else { return BTreeMap::new() };
        let groups = operations.iter_mut().filter_map(|operation| match &mut operation.info {
            OperationInfo::LaunchGroup(group) => Some(group),
            _ => None,
        });
        let refused = groups.filter_map(|group| {
            let error = self.put_into_group(group).err()?;
            Some((group.executor.executor_id.clone(), error))
        });
        refused.collect()
    }

    fn put_into_group(&mut self, group: &mut LaunchGroup) -> Result<(), Unusable> {
        group.tasks.iter_mut().try_for_each(|task| self.put_into_task(task))
    }

    fn put_into_task(&mut self, task: &mut TaskInfo) -> Result<(), Unusable> {
        let health = task.health_check.as_mut().and_then(|check| check.probe.as_mut());
        let check = task.check.as_mut().and_then(|check| check.probe.as_mut());
        let probes = health.into_iter().chain(check).filter_map(|probe| match probe {
            Probe::Command(command) => Some(command),
            Probe::Http { .. } | Probe::Tcp { .. } => None,
        });
        for command in task.command.iter_mut().chain(probes) {
            self.put_into_environment(command)?;
        }
        let Some(container) = &mut task.container else { return Ok(()) };
        for volume in &mut container.volumes {
            if let VolumeSource::Secret(secret) = &mut volume.source {
                self.resolve(secret)?;
            }
        }
        let pull_config = container.image.as_mut().and_then(|image| image.pull_config.as_mut());
        pull_config.map_or(Ok(()), |secret| self.resolve(secret))
    }

    fn put_into_environment(&mut self, command: &mut CommandInfo) -> Result<(), Unusable> {
        for variable in &mut command.environment {
            let EnvironmentValue::Secret(secret) = &mut variable.value else { continue };
            let Secret::Reference { name, .. } = secret else { continue };
            let name = name.clone();
            self.resolve(secret)?;
            if let Secret::Value(bytes) = secret
                && std::str::from_utf8(bytes).map_or(true, |text| text.contains('\0'))
            {
                return Err((name, SecretError::NoText));
            }
        }
        Ok(())
    }

    fn resolve(&mut self, secret: &mut Secret) -> Result<(), Unusable> {
        let Secret::Reference { name, .. } = &*secret else { return Ok(()) };
        let store = self.store;
        let value = self.read.entry(name.clone()).or_insert_with(|| store.read(name));
        *secret = Secret::Value(value.clone().map_err(|error| (name.clone(), error))?);
        Ok(())
    }
}
