//! What is aimed at moments, and how closely.

use super::{index_below, pick_span};
use crate::plan::{Aim, Fault, Moment, Planned, Request, Span};
use crate::random::Random;

use Moment::{
    Accept, AgentReturn, BackOffEnd, DeploymentStep, ExpungeTimer, InactiveTimer, Kill, KillRetry, Offers,
    Tick, Unreachable, Update, Write, WriteAccept, WriteKill, WriteReply,
};

/// Moments at which clients ask for something.
const OF_REQUESTS: &[Moment] = &[
    Accept,
    AgentReturn,
    BackOffEnd,
    DeploymentStep,
    ExpungeTimer,
    InactiveTimer,
    Kill,
    KillRetry,
    Offers,
    Tick,
    Unreachable,
    Update,
    Write,
    WriteAccept,
    WriteKill,
    WriteReply,
];

/// Moments at which something is mended.
const OF_ENDS: &[Moment] = &[
    Accept,
    BackOffEnd,
    DeploymentStep,
    ExpungeTimer,
    InactiveTimer,
    InactiveTimer,
    Kill,
    KillRetry,
    Unreachable,
    WriteAccept,
    WriteKill,
];

/// How long before `moment` something happens, and how long after it: otherwise `after`. Timers are hit just before they
/// fire, at that instant, or in the write of what they lead to.
pub(super) fn around(random: &mut Random, moment: Moment, after: Span) -> (Span, Span) {
    if !moment.is_timer() {
        return (Span::ZERO, after);
    }
    match index_below(random, 3) {
        0 => (pick_span(random, Span::from_millis(1), Span::from_millis(3000)), Span::ZERO),
        1 => (Span::ZERO, Span::ZERO),
        _ => (Span::ZERO, Span::from_millis(random.between(1, 500))),
    }
}

/// Has some faults end at a moment: some agents return just when their copies are given up, or killed again.
pub(super) fn aim_ends(random: &mut Random, faults: &mut [Planned<Fault>]) {
    let often = [0, 100, 300, 600][index_below(random, 4)];
    for planned in faults.iter_mut().filter(|planned| planned.what.lasts().is_some()) {
        if random.chance(often) {
            let on = OF_ENDS[index_below(random, OF_ENDS.len())];
            let after = Span::from_millis(random.between(0, 100));
            let (before, after) = around(random, on, after);
            planned.until = Some(Aim { on, before, after });
        }
    }
}

/// Has clients ask for some things at a moment, once everything has been created.
pub(super) fn aim_requests(random: &mut Random, orders: &mut [Planned<Request>]) {
    let often = [0, 0, 100, 300][index_below(random, 4)];
    for planned in orders.iter_mut().filter(|planned| planned.at >= Span::from_secs(100)) {
        if random.chance(often) {
            let on = OF_REQUESTS[index_below(random, OF_REQUESTS.len())];
            let after = Span::from_millis(if random.chance(500) { 0 } else { random.between(1, 100) });
            planned.on = Some(on);
            (planned.before, planned.after) = around(random, on, after);
        }
    }
}
