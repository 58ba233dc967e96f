//! Health checks: run by the executor, which ends the group when one fails often enough.

use std::time::Duration;

use super::{Assembly, command_info};
use crate::model::mesos::{CommandInfo, HealthCheck, Probe};
use crate::model::pod::Probe as PodProbe;

impl Assembly<'_> {
    /// The health check of the container with this index, if it has one.
    pub(super) fn health_check(&self, index: usize) -> Option<HealthCheck> {
        let container = &self.spec.containers[index];
        let check = container.health_check.as_ref()?;
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let probe = match &check.probe {
            // As the container's user: the agent would run it as the executor's, which may do more.
            PodProbe::Exec { command } => {
                Some(Probe::Command(CommandInfo { user: self.user(container), ..command_info(command) }))
            }
            PodProbe::Http { endpoint, path, scheme } => self
                .port_of(index, endpoint)
                .map(|port| Probe::Http { port, path: path.clone(), scheme: Some((*scheme).into()) }),
            PodProbe::Tcp { endpoint } => self.port_of(index, endpoint).map(|port| Probe::Tcp { port }),
        };
        // Admission makes sure that the endpoint has a port. Should there be none all the same, a check without
        // a probe makes the master refuse the group, for all to see; without the check the container would
        // count as healthy for ever.
        Some(HealthCheck {
            probe,
            delay: seconds(check.delay_seconds),
            interval: seconds(check.interval_seconds),
            timeout: seconds(check.timeout_seconds),
            consecutive_failures: check.max_consecutive_failures,
            grace_period: seconds(check.grace_period_seconds),
        })
    }

    /// The port on which `endpoint` listens in the network that the containers share: one of the container
    /// with this index or, because the network is shared, of any other.
    fn port_of(&self, index: usize, endpoint: &str) -> Option<u32> {
        let own = self.endpoints[index].iter();
        own.chain(self.endpoints.iter().flatten())
            .find(|ports| ports.endpoint.name == endpoint)
            .and_then(super::ports::EndpointPorts::listening)
            .map(u32::from)
    }
}
