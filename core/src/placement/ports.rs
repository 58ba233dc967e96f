//! Host ports: which of an agent's free ports a copy gets.
//!
//! An endpoint with a fixed host port needs exactly that one; one with host port 0 gets any other. Dynamic
//! ports are consecutive from a random start, so that a port just given back is not taken again at once.

use super::PortDraw;
use super::pool::Stack;
use crate::model::mesos::PortRange;
use crate::model::pod::PodSpec;

/// The host ports that a copy needs cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPorts {
    /// This fixed port is not free.
    Fixed(u16),
    /// There are not enough others.
    Dynamic {
        /// So many more are needed.
        missing: u32,
    },
}

/// Ports for all endpoints of `spec` that have a host port, in order, out of those free in the `accepted` ones
/// of `stacks`.
pub(crate) fn choose(
    spec: &PodSpec,
    stacks: &[Stack],
    accepted: &[usize],
    random: u64,
) -> Result<Vec<PortDraw>, NoPorts> {
    let endpoints = spec.containers.iter().flat_map(|container| &container.endpoints);
    let wanted: Vec<u16> = endpoints.filter_map(|endpoint| endpoint.host_port).collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let free = accepted.iter().flat_map(|index| stacks[*index].ports.iter().map(|range| (*index, *range)));
    choose_from(&wanted, &free.filter_map(usable).collect::<Vec<_>>(), random)
}

/// The ports of `spec`'s endpoints as they were `before`, if all of them are free in the `accepted` ones of `stacks`.
pub(crate) fn choose_again(
    spec: &PodSpec,
    stacks: &[Stack],
    accepted: &[usize],
    before: &[u16],
) -> Option<Vec<PortDraw>> {
    let endpoints = spec.containers.iter().flat_map(|container| &container.endpoints);
    let wanted: Vec<u16> = endpoints.filter_map(|endpoint| endpoint.host_port).collect();
    let is_same = wanted.len() == before.len()
        && wanted.iter().zip(before).all(|(wanted, before)| *wanted == 0 || wanted == before);
    let free = accepted.iter().flat_map(|index| stacks[*index].ports.iter().map(|range| (*index, *range)));
    let free: Vec<(usize, PortRange)> = free.filter_map(usable).collect();
    let draws = before.iter().map(|port| find(&free, *port));
    if is_same { draws.collect() } else { None }
}

/// The part of a range that can be used: there is no port 0 and none beyond 65535.
fn usable((pool, range): (usize, PortRange)) -> Option<(usize, PortRange)> {
    let range = PortRange { begin: range.begin.max(1), end: range.end.min(u16::MAX.into()) };
    (range.begin <= range.end).then_some((pool, range))
}

fn choose_from(wanted: &[u16], free: &[(usize, PortRange)], random: u64) -> Result<Vec<PortDraw>, NoPorts> {
    let fixed: Vec<u16> = wanted.iter().copied().filter(|port| *port != 0).collect();
    let total: u64 = free.iter().map(|(_, range)| range.end - range.begin + 1).sum();
    let start = random.checked_rem(total).unwrap_or(0);
    let mut dynamic = (0..total)
        .filter_map(|step| nth(free, (start + step) % total))
        .filter(|draw| !fixed.contains(&draw.port));
    let mut missing = 0;
    let mut draws = Vec::with_capacity(wanted.len());
    for port in wanted {
        match if *port == 0 { dynamic.next() } else { find(free, *port) } {
            Some(draw) => draws.push(draw),
            None if *port == 0 => missing += 1,
            None => return Err(NoPorts::Fixed(*port)),
        }
    }
    if missing == 0 { Ok(draws) } else { Err(NoPorts::Dynamic { missing }) }
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

/// Adds `range` to `ranges`, which do not touch each other before or afterwards.
pub(crate) fn add(ranges: &mut Vec<PortRange>, mut range: PortRange) {
    let is_part_of = |known: &PortRange| known.begin <= range.begin && range.end <= known.end;
    if range.begin > range.end || ranges.iter().any(is_part_of) {
        return;
    }
    let touches = |known: &PortRange, range: &PortRange| {
        known.begin <= range.end.saturating_add(1) && range.begin <= known.end.saturating_add(1)
    };
    ranges.retain(|known| {
        let is_part = touches(known, &range);
        if is_part {
            range = PortRange { begin: known.begin.min(range.begin), end: known.end.max(range.end) };
        }
        !is_part
    });
    ranges.push(range);
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn range(begin: u64, end: u64) -> PortRange {
        PortRange { begin, end }
    }

    fn ports(draws: &[PortDraw]) -> Vec<u16> {
        draws.iter().map(|draw| draw.port).collect()
    }

    #[test]
    fn dynamic_ports_follow_each_other_around_the_end_and_leave_out_fixed_ones() {
        let free = [(0, range(31_000, 31_002)), (1, range(80, 81))];
        let chosen = |wanted: &[u16], random| choose_from(wanted, &free, random).map(|draws| ports(&draws));
        assert_eq!(chosen(&[0, 0, 0], 1), Ok(vec![31_001, 31_002, 80]));
        assert_eq!(chosen(&[0, 0, 0], 4), Ok(vec![81, 31_000, 31_001]));
        assert_eq!(chosen(&[0, 80, 0], 2), Ok(vec![31_002, 80, 81]));
        assert_eq!(chosen(&[0, 0, 0, 0, 0, 0, 0], 7), Err(NoPorts::Dynamic { missing: 2 }));
        assert_eq!(chosen(&[0, 443], 0), Err(NoPorts::Fixed(443)));
        assert_eq!(choose_from(&[0], &[], 7), Err(NoPorts::Dynamic { missing: 1 }));
        assert_eq!(choose_from(&[80], &free, 0), Ok(vec![PortDraw { port: 80, pool: 1 }]));
    }

    #[test]
    fn what_is_not_a_port_is_not_used() {
        assert_eq!(usable((0, range(0, 0))), None);
        assert_eq!(usable((0, range(5, 4))), None);
        assert_eq!(usable((0, range(70_000, 80_000))), None);
        assert_eq!(usable((3, range(0, 80_000))), Some((3, range(1, 65_535))));
    }

    /// Ranges that do not touch each other, alternating between two pools.
    fn any_ranges() -> impl Strategy<Value = Vec<(usize, PortRange)>> {
        prop::collection::vec((2_u64..20, 0_u64..6), 0..6).prop_map(|gaps| {
            let mut end = 0;
            let next = |(index, (gap, length)): (usize, (u64, u64))| {
                let begin = end + gap;
                end = begin + length;
                (index % 2, range(begin, end))
            };
            gaps.into_iter().enumerate().map(next).collect()
        })
    }

    #[test]
    fn ranges_that_touch_become_one() {
        let mut ranges = Vec::new();
        for (begin, end) in
            [(20, 29), (40, 49), (25, 27), (9, 5), (60, 69), (30, 38), (39, 39), (u64::MAX, u64::MAX)]
        {
            add(&mut ranges, range(begin, end));
        }
        ranges.sort_unstable();
        assert_eq!(ranges, [range(20, 49), range(60, 69), range(u64::MAX, u64::MAX)]);
    }

    proptest! {
        #[test]
        fn ports_are_distinct_free_and_as_wanted(
            free in any_ranges(),
            fixed in prop::collection::btree_set(1_u16..60, 0..4),
            dynamic in 0_usize..6,
            random in any::<u64>(),
        ) {
            let all: Vec<(usize, u16)> = free
                .iter()
                .flat_map(|(pool, range)| (range.begin..=range.end).map(|port| (*pool, u16::try_from(port).unwrap())))
                .collect();
            let mut wanted: Vec<u16> = fixed.iter().copied().chain(std::iter::repeat_n(0, dynamic)).collect();
            let rotation = if wanted.is_empty() { 0 } else { random as usize % wanted.len() };
            wanted.rotate_left(rotation);
            let unavailable = fixed.iter().any(|port| all.iter().all(|(_, free)| free != port));
            let spare = all.iter().filter(|(_, port)| !fixed.contains(port)).count();
            match choose_from(&wanted, &free, random) {
                Ok(draws) => {
                    prop_assert!(!unavailable && dynamic <= spare);
                    prop_assert_eq!(draws.len(), wanted.len());
                    let distinct: BTreeSet<u16> = draws.iter().map(|draw| draw.port).collect();
                    prop_assert_eq!(distinct.len(), draws.len());
                    for (draw, wanted) in draws.iter().zip(&wanted) {
                        prop_assert!(all.contains(&(draw.pool, draw.port)));
                        prop_assert!(*wanted == draw.port || (*wanted == 0 && !fixed.contains(&draw.port)));
                    }
                    let mut ranges: Vec<PortRange> = free.iter().map(|(_, range)| *range).collect();
                    for draw in &draws {
                        remove(&mut ranges, draw.port);
                    }
                    let left: u64 = ranges.iter().map(|range| range.end - range.begin + 1).sum();
                    prop_assert_eq!(left as usize, all.len() - draws.len());
                    let taken: Vec<u64> = draws.iter().map(|draw| draw.port.into()).collect();
                    let left_out = ranges.iter().all(|range| {
                        taken.iter().all(|port| *port < range.begin || range.end < *port)
                    });
                    prop_assert!(left_out);
                }
                Err(NoPorts::Fixed(port)) => {
                    prop_assert!(fixed.contains(&port) && all.iter().all(|(_, free)| *free != port));
                }
                Err(NoPorts::Dynamic { missing }) => {
                    prop_assert!(!unavailable);
                    prop_assert_eq!(missing as usize, dynamic - spare);
                }
            }
        }
    }
}
