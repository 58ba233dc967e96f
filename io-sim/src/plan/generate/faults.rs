//! Faults: which kinds a run has, how many of each, and when.

use super::aims::around;
use super::{below, index_below, pick_span, pods};
use crate::plan::{Boundary, Direction, ExitStatus, Fault, Moment, Planned, Span, Target};
use crate::random::Random;

/// Makes one fault of a kind.
type Make = fn(&mut Random, u32) -> Fault;

/// A kind of fault: how to make one, how many there are at most, and the moments that it is aimed at.
struct Kind {
    make: Make,
    most: u64,
    moments: &'static [Moment],
}

const fn kind(most: u64, moments: &'static [Moment], make: Make) -> Kind {
    Kind { make, most, moments }
}

use Moment::{
    Accept, Acknowledge, AgentReturn, BackOffEnd, ContainerStart, DeploymentStep, ExpungeTimer,
    InactiveTimer, Kill, KillRetry, Offers, Reply, Subscribed, Tick, Unreachable, Update, Write, WriteAccept,
    WriteKill, WriteReply,
};

const KINDS: &[Kind] = &[
    kind(8, &[Acknowledge, Update], |random, agents| Fault::AcknowledgementLost {
        of: target(random, agents),
    }),
    kind(2, &[], |random, agents| Fault::AgentDeactivated {
        agent: below(random, agents),
        lasts: long(random),
    }),
    kind(4, &[Accept, Kill], |random, agents| Fault::AgentDelayed {
        agent: below(random, agents),
        extra: pick_span(random, Span::from_millis(10), Span::from_secs(10)),
        lasts: long(random),
    }),
    kind(6, &[Accept, Kill, Update], |random, agents| Fault::AgentDisconnected {
        agent: below(random, agents),
    }),
    kind(2, &[DeploymentStep], |random, agents| Fault::AgentDrained {
        agent: below(random, agents),
        grace: grace(random),
        mark_gone: random.chance(300),
        lasts: long(random),
    }),
    kind(2, &[Unreachable], |random, agents| Fault::AgentGone {
        agent: below(random, agents),
        lasts: long(random),
    }),
    kind(5, &[Accept, DeploymentStep, ContainerStart], |random, agents| Fault::AgentPartitioned {
        agent: below(random, agents),
        loss: random.chance(500),
        lasts: short(random),
    }),
    kind(5, &[Accept, DeploymentStep, AgentReturn, Kill], |random, agents| Fault::AgentPartitioned {
        agent: below(random, agents),
        loss: random.chance(500),
        lasts: long(random),
    }),
    kind(3, &[DeploymentStep, ContainerStart], |random, agents| Fault::AgentPowerOff {
        agent: below(random, agents),
        wipe: random.chance(400),
        keeps_disk: random.chance(500),
        lasts: if random.chance(500) { short(random) } else { long(random) },
    }),
    kind(2, &[DeploymentStep], |random, agents| Fault::AgentShutDown {
        agent: below(random, agents),
        lasts: long(random),
    }),
    kind(4, &[Accept, Kill, ContainerStart], |random, agents| Fault::AgentStopped {
        agent: below(random, agents),
        lasts: if random.chance(700) { short(random) } else { long(random) },
    }),
    kind(3, &[Accept, Kill], |random, agents| Fault::AgentSuspended {
        agent: below(random, agents),
        lasts: if random.chance(500) { short(random) } else { long(random) },
    }),
    kind(2, &[Unreachable], |random, _| Fault::ClockSet {
        by: pick_span(random, Span::from_millis(1), Span::from_secs(120)),
        back: random.chance(500),
    }),
    kind(6, &[Accept, Kill, Acknowledge, Offers, WriteAccept, KillRetry, BackOffEnd], |_, _| {
        Fault::ConnectionBroken {}
    }),
    kind(2, &[], |random, _| Fault::ConnectionDelayed {
        extra: pick_span(random, Span::from_millis(10), Span::from_secs(5)),
        lasts: short(random),
    }),
    kind(3, &[Accept, Kill, Unreachable, InactiveTimer], |random, _| Fault::ConnectionPartitioned {
        direction: [Direction::Both, Direction::Calls, Direction::Events][index_below(random, 3)],
        lasts: if random.chance(600) { short(random) } else { long(random) },
    }),
    kind(20, &[ContainerStart, DeploymentStep], |random, agents| Fault::ContainerExits {
        of: target(random, agents),
        status: [ExitStatus::Code(0), ExitStatus::Code(1), ExitStatus::Signal(11)][index_below(random, 3)],
    }),
    kind(8, &[DeploymentStep], |random, agents| Fault::ContainerUnhealthy {
        of: target(random, agents),
        lasts: long(random),
    }),
    kind(6, &[ContainerStart, Kill], |random, agents| Fault::ExecutorKilled { of: target(random, agents) }),
    kind(3, &[Kill, ContainerStart], |random, agents| Fault::ExecutorSuspended {
        of: target(random, agents),
        lasts: long(random),
    }),
    kind(2, &[Accept], |random, agents| Fault::ExecutorsHang {
        agent: below(random, agents),
        lasts: long(random),
    }),
    kind(1, &[Accept, DeploymentStep, Kill, Unreachable, WriteAccept], |_, _| Fault::FrameworkTornDown {}),
    kind(3, &[Accept], |random, agents| Fault::LaunchesFail {
        agent: below(random, agents),
        lasts: long(random),
    }),
    kind(
        3,
        &[
            WriteAccept,
            Accept,
            Kill,
            Reply,
            DeploymentStep,
            Unreachable,
            AgentReturn,
            InactiveTimer,
            ExpungeTimer,
        ],
        |random, _| Fault::LeaderChanged { by: another_clock(random), back: random.chance(500) },
    ),
    kind(2, &[Accept, Kill, Unreachable, AgentReturn, InactiveTimer], |_, _| Fault::MasterFailover {}),
    kind(1, &[Accept], |random, _| Fault::MasterStopped { lasts: long(random) }),
    kind(6, &[Offers, WriteAccept, Accept, AgentReturn, BackOffEnd], |random, agents| {
        Fault::OffersRescinded { agent: random.chance(700).then(|| below(random, agents)) }
    }),
    kind(
        12,
        &[
            Write,
            WriteAccept,
            WriteKill,
            WriteReply,
            Accept,
            Acknowledge,
            Kill,
            Reply,
            Tick,
            Subscribed,
            Unreachable,
            AgentReturn,
            DeploymentStep,
            InactiveTimer,
            ExpungeTimer,
            BackOffEnd,
            KillRetry,
        ],
        |random, _| Fault::SchedulerCrashed {
            boundary: boundary(random),
            calls_lost: random.chance(500),
            lasts: if random.chance(800) { short(random) } else { long(random) },
        },
    ),
    kind(2, &[Kill, InactiveTimer], |random, _| Fault::SchedulerSuspended { lasts: short(random) }),
    kind(2, &[WriteAccept, WriteKill, WriteReply, ExpungeTimer], |random, _| Fault::StoreFails {
        applied: random.chance(500),
        lasts: short(random),
    }),
    kind(2, &[WriteAccept], |random, _| Fault::StoreSlow {
        write: pick_span(random, Span::from_millis(100), Span::from_secs(8)),
        lasts: short(random),
    }),
    kind(6, &[Update], |random, agents| Fault::UpdateDoubled { of: target(random, agents) }),
    kind(8, &[Kill, ContainerStart, KillRetry], |random, agents| Fault::UpdateLost {
        of: target(random, agents),
    }),
];

/// The faults of a run on so many agents.
pub(super) fn faults(random: &mut Random, agents: usize, mended_at: Span) -> Vec<Planned<Fault>> {
    let agents = u32::try_from(agents).unwrap_or(1);
    let mut faults = Vec::new();
    // A run with nearly all kinds, or with nearly none, is worth something, too.
    let enabled = [100, 250, 250, 400, 400, 700][index_below(random, 6)];
    for kind in KINDS {
        if !random.chance(enabled) {
            continue;
        }
        for _ in 0..random.between(1, kind.most) {
            let what = (kind.make)(random, agents);
            let at = pick_span(random, Span::from_secs(10), mended_at);
            let aimed = !kind.moments.is_empty() && random.chance(600);
            let on = aimed.then(|| kind.moments[index_below(random, kind.moments.len())]);
            let late = aimed && random.chance(300);
            let after = if late { Span::from_millis(random.between(0, 2000)) } else { Span::ZERO };
            let (before, after) = on.map_or((Span::ZERO, after), |on| around(random, on, after));
            faults.push(Planned { at, on, before, after, until: None, what });
        }
    }
    faults.sort_by_key(|planned| planned.at);
    faults
}

/// Has the master refuse launches for a while.
pub(super) fn refuse_launches(faults: &mut Vec<Planned<Fault>>, random: &mut Random, mended_at: Span) {
    for _ in 0..random.between(1, 3) {
        let at = pick_span(random, Span::from_secs(2), mended_at);
        let mut refused = Planned::at(at, Fault::LaunchesRefused { lasts: short(random) });
        refused.on = random.chance(500).then(|| [Accept, BackOffEnd, DeploymentStep][index_below(random, 3)]);
        faults.push(refused);
    }
    faults.sort_by_key(|planned| planned.at);
}

/// Has some machines come back as new agents with their volumes.
pub(super) fn rename_agents(
    faults: &mut Vec<Planned<Fault>>,
    random: &mut Random,
    agents: usize,
    mended_at: Span,
) {
    let agents = u32::try_from(agents).unwrap_or(1);
    for _ in 0..random.between(0, 5) {
        let at = pick_span(random, Span::from_secs(60), mended_at);
        let lasts = if random.chance(500) { short(random) } else { long(random) };
        let agent = below(random, agents);
        faults.push(Planned::at(at, Fault::AgentPowerOff { agent, wipe: true, keeps_disk: true, lasts }));
    }
    faults.sort_by_key(|planned| planned.at);
}

/// Has some machines in maintenance: they are drained when its window opens, and some are taken down a while later.
pub(super) fn maintain_agents(
    faults: &mut Vec<Planned<Fault>>,
    random: &mut Random,
    agents: usize,
    mended_at: Span,
) {
    let agents = u32::try_from(agents).unwrap_or(1);
    for _ in 0..random.between(1, 3) {
        let at = pick_span(random, Span::from_secs(30), mended_at);
        let opens = pick_span(random, Span::ZERO, Span::from_secs(4 * 60));
        let (agent, lasts) = (below(random, agents), long(random));
        faults.push(Planned::at(at, Fault::AgentMaintenance { agent, opens, lasts: opens + lasts }));
        let opened = (at + opens).min(mended_at);
        if random.chance(700) {
            let drained = Fault::AgentDrained { agent, grace: grace(random), mark_gone: false, lasts };
            faults.push(Planned::at(opened, drained));
        }
        if random.chance(400) {
            let off = (opened + Span::from_secs(40)).min(mended_at);
            let lasts = short(random);
            faults.push(Planned::at(
                off,
                Fault::AgentPowerOff { agent, wipe: false, keeps_disk: false, lasts },
            ));
        }
    }
    faults.sort_by_key(|planned| planned.at);
}

/// How long containers may take to end on a drained agent.
fn grace(random: &mut Random) -> Option<Span> {
    random.chance(300).then(|| pick_span(random, Span::ZERO, Span::from_secs(30)))
}

/// How far a machine's clock is from another one's: most are kept in time, few not at all.
fn another_clock(random: &mut Random) -> Span {
    match below(random, 10) {
        0..6 => pick_span(random, Span::ZERO, Span::from_secs(5)),
        6..9 => pick_span(random, Span::from_secs(5), Span::from_secs(10 * 60)),
        _ => pick_span(random, Span::from_secs(10 * 60), Span::from_secs(6 * 3600)),
    }
}

/// Shorter than it takes a master to give an agent up.
fn short(random: &mut Random) -> Span {
    pick_span(random, Span::from_millis(100), Span::from_secs(70))
}

/// Longer than that.
fn long(random: &mut Random) -> Span {
    pick_span(random, Span::from_secs(60), Span::from_secs(8 * 60))
}

fn target(random: &mut Random, agents: u32) -> Target {
    Target {
        pod: random.chance(500).then(|| pods::NAMES[index_below(random, pods::NAMES.len())].to_owned()),
        container: random.chance(200).then(|| "a".to_owned()),
        agent: random.chance(200).then(|| below(random, agents)),
        nth: below(random, 100),
    }
}

fn boundary(random: &mut Random) -> Boundary {
    match below(random, 6) {
        0 | 1 => Boundary::Now,
        2 => Boundary::BeforeWrite,
        3 => Boundary::DuringWrite(below(random, 4)),
        4 => Boundary::AfterWrite,
        _ => Boundary::AfterActions(1 + below(random, 4)),
    }
}
