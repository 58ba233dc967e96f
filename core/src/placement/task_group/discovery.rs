//! Service discovery: what Mesos-DNS and its like make their records from.

use super::ports::EndpointPorts;
use super::{Assembly, labels};
use crate::model::mesos::{DiscoveryInfo, DiscoveryPort, Visibility};

const SCOPE: &str = "network-scope";
const NAME: &str = "network-name";

impl Assembly<'_> {
    /// The discovery info of the container with this index: the pod's path from the inside out
    /// (`/shop/web` is `web.shop`), and one port per way to reach one of its endpoints.
    pub(super) fn discovery(&self, index: usize) -> DiscoveryInfo {
        let mut name = String::new();
        for segment in self.spec.id.segments().rev() {
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(segment);
        }
        DiscoveryInfo {
            visibility: Visibility::Framework,
            name: Some(name),
            ports: self.endpoints[index].iter().flat_map(|ports| self.discovery_ports(ports)).collect(),
        }
    }

    /// One entry per transport and, where only the pod's own networks lead to the endpoint, per network.
    fn discovery_ports(&self, ports: &EndpointPorts<'_>) -> Vec<DiscoveryPort> {
        let Some(number) = ports.host.or(ports.container) else { return Vec::new() };
        let mut entries = Vec::new();
        for protocol in ports.transports() {
            let mut add = |marks: &[(&str, &str)]| {
                let mut all = ports.endpoint.labels.clone();
                all.extend(marks.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
                entries.push(DiscoveryPort {
                    number: number.into(),
                    name: Some(ports.endpoint.name.clone()),
                    protocol: Some(protocol.clone()),
                    labels: labels(&all),
                });
            };
            if self.host_network {
                add(&[]);
            } else if ports.host.is_some() {
                add(&[(SCOPE, "host")]);
            } else {
                for network in self.spec.networks.iter().filter(|network| ports.is_on(network)) {
                    match self.network_name(network) {
                        Some(name) => add(&[(SCOPE, "container"), (NAME, name)]),
                        None => add(&[(SCOPE, "container")]),
                    }
                }
            }
        }
        entries
    }
}
