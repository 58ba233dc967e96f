//! Which ports lead to which endpoint.

use smallvec::SmallVec;

use crate::model::mesos::PortRange;
use crate::model::pod::{Endpoint, Network, NetworkMode, PodSpec};
use crate::placement::PortDraw;

/// An endpoint with the ports under which it is reached.
pub(super) struct EndpointPorts<'a> {
    pub(super) endpoint: &'a Endpoint,
    /// The agent's port, if it has one.
    pub(super) host: Option<u16>,
    /// The port that the process listens on inside the pod's network; none on the agent's network. An endpoint
    /// that names none listens on the port that it has on the agent.
    pub(super) container: Option<u16>,
}

impl EndpointPorts<'_> {
    /// The port that the process listens on, whatever the network.
    pub(super) fn listening(&self) -> Option<u16> {
        self.container.or(self.host)
    }

    /// Whether the endpoint belongs to `network`, one of the pod's.
    pub(super) fn is_on(&self, network: &Network) -> bool {
        let names = &self.endpoint.network_names;
        match network.mode {
            NetworkMode::Host => false,
            NetworkMode::ContainerBridge => true,
            NetworkMode::Container => {
                names.is_empty() || network.name.as_ref().is_some_and(|name| names.contains(name))
            }
        }
    }

    /// The transport protocols, in the order of the definition. A definition may name an application protocol
    /// (`http`, in either case: Pods page, "Basic pod container fields"), but port mappings and SRV records
    /// (RFC 2782) know transports only. `tcp` if it names none.
    pub(super) fn transports(&self) -> SmallVec<[String; 1]> {
        let mut transports = SmallVec::new();
        for protocol in &self.endpoint.protocol {
            let mut transport = protocol.to_ascii_lowercase();
            if transport == "http" || transport == "https" {
                "tcp".clone_into(&mut transport);
            }
            if !transports.contains(&transport) {
                transports.push(transport);
            }
        }
        if transports.is_empty() {
            transports.push("tcp".to_owned());
        }
        transports
    }
}

/// The ports of all endpoints, by container and endpoint. `draws` has one entry per endpoint with a host port,
/// in the same order.
pub(super) fn of_endpoints<'a>(
    spec: &'a PodSpec,
    host_network: bool,
    draws: &[PortDraw],
) -> Vec<Vec<EndpointPorts<'a>>> {
    let mut draws = draws.iter();
    let mut ports = |endpoint: &'a Endpoint| {
        let host = endpoint.host_port.and_then(|_| draws.next()).map(|draw| draw.port);
        let container = if host_network { None } else { endpoint.container_port.or(host) };
        EndpointPorts { endpoint, host, container }
    };
    spec.containers.iter().map(|container| container.endpoints.iter().map(&mut ports).collect()).collect()
}

/// The ports taken from each pool, as few ascending ranges as possible.
pub(super) fn ranges_by_pool(draws: &[PortDraw]) -> Vec<(usize, Vec<PortRange>)> {
    let mut ports: Vec<(usize, u64)> = draws.iter().map(|draw| (draw.pool, draw.port.into())).collect();
    ports.sort_unstable();
    let mut pools: Vec<(usize, Vec<PortRange>)> = Vec::new();
    for (pool, port) in ports {
        match pools.last_mut() {
            Some((last_pool, ranges)) if *last_pool == pool => match ranges.last_mut() {
                Some(range) if range.end + 1 == port => range.end = port,
                _ => ranges.push(PortRange { begin: port, end: port }),
            },
            _ => pools.push((pool, vec![PortRange { begin: port, end: port }])),
        }
    }
    pools
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_ports_of_one_pool_are_one_range() {
        let draw = |port, pool| PortDraw { port, pool };
        let range = |begin, end| PortRange { begin, end };
        let draws = [draw(31_002, 1), draw(80, 0), draw(31_001, 1), draw(31_004, 1), draw(31_003, 0)];
        assert_eq!(
            ranges_by_pool(&draws),
            [
                (0, vec![range(80, 80), range(31_003, 31_003)]),
                (1, vec![range(31_001, 31_002), range(31_004, 31_004)])
            ]
        );
        assert_eq!(ranges_by_pool(&[]), []);
    }
}
