//! From a seed to a plan.
//!
//! Every seed enables a random part of the kinds of faults and of requests, each with its own rate: what is off
//! leaves room for what is on, and combinations come up that a mixture of everything would hide. Each part of
//! the plan draws from a stream of its own, so that a new kind of fault does not change anybody's workload.

mod aims;
mod faults;
mod pods;

use std::collections::BTreeMap;

use podium_core::config::AcceptedResourceRoles;
use serde_json::{Value, json};

use self::pods::{PodMaker, Rarities};
use super::{
    AgentPlan, Behaviour, Chance, ClusterPlan, ContainerRule, DiskPlan, ExitStatus, Plan, Planned, Range,
    Request, ReservedPlan, SchedulerPlan, Span,
};
use crate::digest::Digest;
use crate::random::Random;

/// Things break for so long: from, to.
const CHAOS: (Span, Span) = (Span::from_secs(27 * 60), Span::from_secs(33 * 60));

/// The plan of `seed`.
pub fn generate(seed: u64) -> Plan {
    let stream = |name: &str| Random::new(Digest::of(&["plan", &seed.to_string(), name]));
    let mut random = stream("shape");
    let mended_at = pick_span(&mut random, CHAOS.0, CHAOS.1);
    let mut cluster = cluster(&mut random);
    let mut scheduler = scheduler(&mut stream("scheduler"));
    let role = reservations(&mut stream("reservations"), &mut cluster, &mut scheduler);
    let gpus = gpus(&mut stream("gpus"), &mut cluster, &mut scheduler);
    places(&mut stream("places"), &mut cluster);
    let agents = cluster.agents.len();
    let rarities = Rarities::new(stream("rarities"), stream("patience"), role, gpus);
    let mut faults = faults::faults(&mut stream("faults"), agents, mended_at);
    let mut maintenance = stream("maintenance");
    if maintenance.chance(200) {
        faults::maintain_agents(&mut faults, &mut maintenance, agents, mended_at);
    }
    if rarities.volumes {
        faults::rename_agents(&mut faults, &mut stream("names"), agents, mended_at);
    }
    aims::aim_ends(&mut stream("ends"), &mut faults);
    let mut refusals = stream("refusals");
    if refusals.chance(150) {
        faults::refuse_launches(&mut faults, &mut refusals, mended_at);
    }
    let mut workload = workload(&mut stream("workload"), rarities, agents, mended_at);
    aims::aim_requests(&mut stream("aims"), &mut workload);
    workload.extend(crowd(&mut stream("crowd"), &cluster, mended_at));
    Plan {
        about: format!("seed {seed}"),
        seed,
        cluster,
        scheduler,
        containers: containers(&mut stream("containers")),
        workload,
        rehearsed: stream("rehearsals").chance(150),
        faults,
        mended_at: Some(mended_at),
        ..Plan::default()
    }
}

fn cluster(random: &mut Random) -> ClusterPlan {
    let agents = random.between(10, 14);
    let racks = random.between(2, 4);
    let agent = |index: u64, random: &mut Random| {
        let cpus = [4.0, 6.0, 8.0][index_below(random, 3)];
        AgentPlan {
            attributes: BTreeMap::from([("rack".to_owned(), format!("r{}", index % racks))]),
            domain: Some(["east".to_owned(), format!("z{}", index % 3)]),
            ..AgentPlan::new(cpus, cpus * 1024.0)
        }
    };
    let mut plan = ClusterPlan {
        agents: (0..agents).map(|index| agent(index, random)).collect(),
        domain: Some(["east".to_owned(), "z0".to_owned()]),
        permitted_users: Some(vec!["root".to_owned()]),
        ..ClusterPlan::default()
    };
    // Losing agents sooner leaves more of a run for what follows from it.
    if random.chance(500) {
        plan.max_ping_timeouts = Some(2);
    }
    if random.chance(200) {
        plan.offer_timeout = Some(pick_span(random, Span::from_secs(5), Span::from_secs(60)));
    }
    if random.chance(300) {
        plan.latency = Some(Range::millis(1, random.between(20, 500)));
    }
    if random.chance(150) {
        plan.ping_timeout = Some(pick_span(random, Span::from_secs(5), Span::from_secs(20)));
    }
    if random.chance(150) {
        plan.reregister_timeout = Some(pick_span(random, Span::from_secs(60), Span::from_secs(600)));
    }
    if random.chance(150) {
        plan.allocation_interval = Some(pick_span(random, Span::from_millis(100), Span::from_secs(5)));
    }
    plan
}

fn scheduler(random: &mut Random) -> SchedulerPlan {
    let mut plan = SchedulerPlan::default();
    if random.chance(300) {
        plan.latency = Range::millis(1, random.between(10, 300));
    }
    if random.chance(300) {
        plan.write = Range::millis(1, random.between(5, 200));
    }
    if random.chance(300) {
        plan.reconciliation_interval = Some(pick_span(random, Span::from_secs(30), Span::from_secs(300)));
    }
    if random.chance(300) {
        plan.decline_offer_duration = Some(pick_span(random, Span::from_secs(5), Span::from_secs(60)));
    }
    if random.chance(300) {
        plan.task_launch_timeout = Some(pick_span(random, Span::from_secs(30), Span::from_secs(120)));
        plan.task_launch_confirm_timeout = Some(pick_span(random, Span::from_secs(30), Span::from_secs(120)));
    }
    if random.chance(200) {
        plan.kill_chunk_size = Some(index_below(random, 5) + 1);
    }
    if random.chance(300) {
        plan.portion = Some(index_below(random, 20) + 2);
    }
    if random.chance(300) {
        plan.reconciliation_chunk = Some(index_below(random, 5) + 1);
    }
    if random.chance(200) {
        plan.kill_retry_timeout = Some(pick_span(random, Span::from_secs(5), Span::from_secs(60)));
    }
    if random.chance(100) {
        plan.max_running_deployments = Some(index_below(random, 4) + 1);
    }
    if random.chance(200) {
        plan.boot = pick_span(random, Span::ZERO, Span::from_secs(20));
    }
    if random.chance(200) {
        plan.draining = Some(pick_span(random, Span::ZERO, Span::from_secs(5 * 60)));
    }
    plan.kill_unknown_tasks = random.chance(200);
    plan.new_group_enforce_role = random.chance(100);
    plan
}

/// Gives some runs machines with GPUs. Says whether pods ask for some.
fn gpus(random: &mut Random, cluster: &mut ClusterPlan, scheduler: &mut SchedulerPlan) -> bool {
    if !random.chance(150) {
        return false;
    }
    for agent in &mut cluster.agents {
        if random.chance(300) {
            agent.gpus = f64::from(1 + below(random, 4));
        }
    }
    // Who does not ask for them is offered no machine that has some.
    scheduler.gpu_resources = random.chance(850);
    scheduler.gpu_unrestricted = random.chance(400);
    true
}

/// Has machines of some runs in another region than the master, with few ports or with disks of their own.
fn places(random: &mut Random, cluster: &mut ClusterPlan) {
    let (far, few_ports, disks) = (random.chance(200), random.chance(100), random.chance(100));
    for (index, agent) in cluster.agents.iter_mut().enumerate() {
        if far && index % 4 == 3 {
            agent.domain = Some(["west".to_owned(), "z9".to_owned()]);
        }
        if few_ports {
            agent.ports = Some([31_000, 31_400]);
        }
        if disks && random.chance(500) {
            let size = f64::from(100 + below(random, 900));
            agent.disks.push(DiskPlan { root: "/disk1".to_owned(), size, whole: random.chance(500) });
        }
    }
}

/// Gives some runs a role of the scheduler's own, and machines on which something is reserved. Says the role.
fn reservations(
    random: &mut Random,
    cluster: &mut ClusterPlan,
    scheduler: &mut SchedulerPlan,
) -> Option<&'static str> {
    const ROLE: &str = "dev";
    if !random.chance(200) {
        return None;
    }
    scheduler.mesos_role = Some(ROLE.to_owned());
    let groups = pods::GROUPS.map(|group| group.trim_matches('/'));
    for agent in &mut cluster.agents {
        for role in [ROLE, groups[0], groups[1]] {
            if random.chance(400) {
                let cpus = [1.0, 2.0, 4.0][index_below(random, 3)];
                let (role, mem, disk) = (role.to_owned(), cpus * 1024.0, cpus * 1024.0);
                agent.reserved.push(ReservedPlan { role, cpus, mem, disk });
            }
        }
    }
    // Not every role may be had.
    if random.chance(500) {
        let roles = ["*", ROLE, groups[index_below(random, 2)]];
        cluster.permitted_roles = Some(roles.map(str::to_owned).to_vec());
    }
    if random.chance(300) {
        let choices =
            [AcceptedResourceRoles::Any, AcceptedResourceRoles::Reserved, AcceptedResourceRoles::Unreserved];
        scheduler.accepted_resource_roles_default_behavior = Some(choices[index_below(random, 3)]);
    }
    Some(ROLE)
}

/// How containers behave: some pods' containers are trouble, all others are well.
fn containers(random: &mut Random) -> Vec<ContainerRule> {
    let mut rules = Vec::new();
    for name in pods::NAMES {
        if !random.chance(300) {
            continue;
        }
        let behaviour = Behaviour {
            start: Range::millis(50, random.between(100, 20_000)),
            launch_fails: Chance(if random.chance(300) { below(random, 300) } else { 0 }),
            exits: Chance(if random.chance(600) { below(random, 700) } else { 0 }),
            runs: Range::millis(100, random.between(1000, 300_000)),
            status: [ExitStatus::Code(0), ExitStatus::Code(1), ExitStatus::Signal(9)][index_below(random, 3)],
            stop: Range::millis(10, random.between(100, 30_000)),
            deaf: Chance(if random.chance(300) { below(random, 1000) } else { 0 }),
            unhealthy: Chance(if random.chance(300) { below(random, 300) } else { 0 }),
            warm_up: if random.chance(300) {
                pick_span(random, Span::ZERO, Span::from_secs(60))
            } else {
                Span::ZERO
            },
        };
        let container = random.chance(500).then(|| "a".to_owned());
        rules.push(ContainerRule {
            pod: Some(name.to_owned()),
            container,
            launches: random.chance(300).then(|| [1, 1 + below(random, 10)]),
            // What ends again and again never becomes as it shall be.
            lasting: is_harmless(&behaviour) && random.chance(500),
            behaviour,
        });
    }
    rules
}

/// Whether containers that always do so are well in the end.
fn is_harmless(behaviour: &Behaviour) -> bool {
    [behaviour.launch_fails, behaviour.exits, behaviour.unhealthy]
        .iter()
        .all(|chance| *chance == Chance::NEVER)
}

/// Pods come up in the first minutes; then everything that a client can ask for happens to them.
fn workload(
    random: &mut Random,
    rarities: Rarities,
    agents: usize,
    mended_at: Span,
) -> Vec<Planned<Request>> {
    let mut maker = PodMaker::new(random, rarities, agents);
    let mut orders: Vec<Planned<Request>> = Vec::new();
    let first = 6 + index_below(random, pods::NAMES.len() - 5);
    for name in &pods::NAMES[..first] {
        let pod = maker.make(random, name);
        let at = pick_span(random, Span::from_secs(1), Span::from_secs(90));
        orders.push(Planned::at(at, Request::Create { pod, force: false }));
    }
    if random.chance(40) {
        for nth in 0..random.between(100, 300) {
            let pod = maker.make_small(random, &format!("/fleet/p{nth}"));
            let at = pick_span(random, Span::from_secs(1), Span::from_secs(300));
            orders.push(Planned::at(at, Request::Create { pod, force: false }));
        }
    }
    if random.chance(300) {
        orders.extend(dependencies(random, mended_at));
    }
    let weight = |random: &mut Random, per_mille, most| {
        if random.chance(per_mille) { random.between(1, most) } else { 0 }
    };
    let mut weights: Vec<u64> = (0..8).map(|_| weight(random, 650, 10)).collect();
    // A group is many pods.
    weights.extend((0..2).map(|_| weight(random, 300, 3)));
    let count = if weights.iter().sum::<u64>() == 0 { 0 } else { random.between(0, 40) };
    let mut times: Vec<Span> =
        (0..count).map(|_| pick_span(random, Span::from_secs(60), mended_at)).collect();
    // Many at once, each in the way of the others.
    if count > 0 && random.chance(150) {
        let at = pick_span(random, Span::from_secs(120), mended_at);
        let within = |random: &mut Random| at + Span::from_millis(random.between(0, 5000));
        times.extend((0..random.between(20, 60)).map(|_| within(random)));
    }
    times.sort_unstable();
    for at in times {
        let name = pods::NAMES[index_below(random, first)];
        let force = random.chance(400);
        let pod = name.to_owned();
        let what = match weighted(random, &weights) {
            0 => Request::Scale { pod, instances: below(random, 16), force },
            1 | 2 => Request::Update { pod: maker.change(random, name), force },
            3 => Request::Delete { pod, force },
            4 => Request::Create { pod: maker.make(random, name), force },
            5 => Request::Kill { pod, nth: nths(random), wipe: random.chance(300) },
            6 => Request::Cancel { pod, force },
            7 => Request::ResetDelay { pod },
            8 => Request::DeleteGroup { group: group(random), force },
            _ => Request::EnforceRole { group: group(random), enforce: random.chance(500) },
        };
        // Somebody wants one of its pods back while the others still end.
        let wanted_back = match &what {
            Request::DeleteGroup { group, .. } if random.chance(600) => {
                pods::NAMES[..first].iter().find(|name| name.starts_with(&format!("{group}/")))
            }
            _ => None,
        };
        orders.push(Planned::at(at, what));
        if let Some(name) = wanted_back {
            let pod = maker.make(random, name);
            let soon = at + Span::from_millis(random.between(0, 3000));
            orders.push(Planned::at(soon, Request::Create { pod, force: true }));
        }
        // Some come in bursts.
        if random.chance(150) {
            let pod = name.to_owned();
            let again = Request::Scale { pod, instances: below(random, 16), force: random.chance(700) };
            orders.push(Planned::at(at + Span::from_millis(random.between(0, 3000)), again));
        }
    }
    orders
}

/// Has some runs update a pod with a fixed host port whose copies are wherever they can be: new ones find no place beside
/// them.
fn crowd(random: &mut Random, cluster: &ClusterPlan, mended_at: Span) -> Vec<Planned<Request>> {
    if !random.chance(60) {
        return Vec::new();
    }
    let is_near = |agent: &&AgentPlan| {
        agent.domain.as_ref().map(|[region, _]| region) == cluster.domain.as_ref().map(|[region, _]| region)
    };
    let places = cluster.agents.iter().filter(is_near).count();
    let mut pod = pods::crowded(random, places);
    let at = pick_span(random, Span::from_secs(1), Span::from_secs(60));
    let mut orders = vec![Planned::at(at, Request::Create { pod: pod.clone(), force: false })];
    for revision in 1..=random.between(1, 4) {
        pod["environment"] = json!({ "REVISION": revision.to_string() });
        let at = pick_span(random, Span::from_secs(120), mended_at);
        orders.push(Planned::at(at, Request::Update { pod: pod.clone(), force: random.chance(400) }));
    }
    orders
}

/// Groups whose pods wait for others.
fn dependencies(random: &mut Random, mended_at: Span) -> Vec<Planned<Request>> {
    let change = |random: &mut Random| {
        let id = ["/shop", "/edge"][index_below(random, 2)];
        let on: Vec<&str> = ["/db", "/cache", "/log"].into_iter().filter(|_| random.chance(500)).collect();
        let at = if random.chance(500) {
            Span::from_millis(1)
        } else {
            pick_span(random, Span::from_secs(1), mended_at)
        };
        Planned::at(at, Request::UpdateGroup { group: json!({ "id": id, "dependencies": on }) })
    };
    (0..random.between(1, 4)).map(|_| change(random)).collect()
}

fn group(random: &mut Random) -> String {
    pods::GROUPS[index_below(random, pods::GROUPS.len())].trim_end_matches('/').to_owned()
}

fn nths(random: &mut Random) -> Vec<u32> {
    (0..random.between(1, 4)).map(|_| below(random, 12)).collect()
}

/// An index into `weights`, as likely as its weight.
fn weighted(random: &mut Random, weights: &[u64]) -> usize {
    let mut rest = random.below(weights.iter().sum());
    weights
        .iter()
        .position(|weight| match rest.checked_sub(*weight) {
            None => true,
            Some(left) => {
                rest = left;
                false
            }
        })
        .unwrap_or_default()
}

fn below(random: &mut Random, n: u32) -> u32 {
    u32::try_from(random.below(u64::from(n))).unwrap_or_default()
}

fn index_below(random: &mut Random, n: usize) -> usize {
    usize::try_from(random.below(n as u64)).unwrap_or_default()
}

/// A span from `low` to `high`, rounded so that a person can read it.
fn pick_span(random: &mut Random, low: Span, high: Span) -> Span {
    let millis = random.between(low.as_millis(), high.as_millis());
    let unit = match millis {
        0..1000 => 1,
        1000..60_000 => 100,
        _ => 1000,
    };
    Span::from_millis(millis / unit * unit)
}

/// One of `values`.
fn one_of<const N: usize>(random: &mut Random, values: [Value; N]) -> Value {
    let index = index_below(random, N);
    values.into_iter().nth(index).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_valid_and_survive_being_written() {
        for seed in 0..200 {
            let plan = generate(seed);
            plan.check().unwrap();
            assert_eq!(Plan::from_json(&plan.to_json()).unwrap(), plan, "seed {seed}");
        }
    }

    #[test]
    fn equal_seeds_give_equal_plans_and_others_other_ones() {
        assert_eq!(generate(7), generate(7));
        assert_ne!(generate(7).workload, generate(8).workload);
    }

    #[test]
    fn weights_are_weights() {
        let mut random = Random::new(1);
        let mut hits = [0; 3];
        for _ in 0..1000 {
            hits[weighted(&mut random, &[1, 0, 3])] += 1;
        }
        assert!((200..300).contains(&hits[0]) && hits[1] == 0, "{hits:?}");
    }
}
