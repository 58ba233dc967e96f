//! Host ports: which of an agent's free ports a copy gets.
//!
//! An endpoint with a fixed host port needs exactly that one; one with host port 0 gets any other. Dynamic
//! ports are consecutive from a random start, so that a port just given back is not taken again at once.

use super::PortDraw;
use super::pool::Stack;
use crate::model::mesos::PortRange;
use crate::model::pod::PodSpec;

/// Ports for all endpoints of `spec` that have a host port, in order; none if some cannot be had.
pub(crate) fn choose(
    spec: &PodSpec,
    stacks: &[Stack],
    accepted: &[usize],
    random: u64,
) -> Option<Vec<PortDraw>> {
    let wanted: Vec<u16> = spec
        .containers
        .iter()
        .flat_map(|container| &container.endpoints)
        .filter_map(|endpoint| endpoint.host_port)
        .collect();
    if wanted.is_empty() {
        return Some(Vec::new());
    }
    let free: Vec<(usize, PortRange)> = accepted
        .iter()
        .flat_map(|index| stacks[*index].ports.iter().map(|range| (*index, *range)))
        .filter(|(_, range)| range.begin <= range.end && range.end <= u64::from(u16::MAX))
        .collect();
    let total: u64 = free.iter().map(|(_, range)| range.end - range.begin + 1).sum();
    if total == 0 {
        return None;
    }
    let fixed: Vec<u16> = wanted.iter().copied().filter(|port| *port != 0).collect();
    let start = random % total;
    let mut dynamic = (0..total)
        .filter_map(|step| nth(&free, (start + step) % total))
        .filter(|draw| !fixed.contains(&draw.port));
    wanted.iter().map(|port| if *port == 0 { dynamic.next() } else { find(&free, *port) }).collect()
}

/// Takes `port` out of `ranges`.
pub(crate) fn remove(ranges: &mut Vec<PortRange>, port: u16) {
    let port = u64::from(port);
    let Some(index) = ranges.iter().position(|range| range.begin <= port && port <= range.end) else {
        return;
    };
    let range = ranges.swap_remove(index);
    if range.begin < port {
        ranges.push(PortRange { begin: range.begin, end: port - 1 });
    }
    if port < range.end {
        ranges.push(PortRange { begin: port + 1, end: range.end });
    }
}

fn find(free: &[(usize, PortRange)], port: u16) -> Option<PortDraw> {
    let wanted = u64::from(port);
    let (pool, _) = free.iter().find(|(_, range)| range.begin <= wanted && wanted <= range.end)?;
    Some(PortDraw { port, pool: *pool })
}

fn nth(free: &[(usize, PortRange)], mut n: u64) -> Option<PortDraw> {
    for (pool, range) in free {
        let length = range.end - range.begin + 1;
        if n < length {
            return Some(PortDraw { port: u16::try_from(range.begin + n).ok()?, pool: *pool });
        }
        n -= length;
    }
    None
}
