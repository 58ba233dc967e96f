//! Health checks and checks: when a member is looked at, and what the result means.
//!
//! A health check's first success, every failure, and a success after failures are reported; after enough
//! failures in a row the member is killed. Failures do not count during the grace period until the first
//! success. A check's result is reported when it differs from the one before, and never kills.

use std::sync::Arc;
use std::time::Duration;

use podium_core::model::mesos::{CheckStatus, Probe, StatusReason, TaskState};
use podium_core::model::time::Timestamp;

use super::{Executor, no_result};
use crate::cluster::env::{ContainerRef, Env};
use crate::cluster::io::{ContainerCommand, ProbeId, ProbeResult};
use crate::cluster::queue::Alarm;
use crate::cluster::wire::ExecutorTimer;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Health,
    Check,
}

/// Looks at a member again and again.
#[derive(Clone, Debug)]
pub(super) struct Prober {
    /// What a look is; absent if the message named nothing.
    what: Option<Arc<Probe>>,
    /// When the next look begins.
    next: Option<Alarm>,
    /// The look under way, and when it takes too long.
    running: Option<(ProbeId, Option<Alarm>)>,
    started: Timestamp,
    /// No success yet.
    initializing: bool,
    /// In a row.
    failures: u32,
}

impl Executor {
    /// The member was launched: its checks begin after their delays.
    pub(super) fn start_probers(&mut self, env: &mut Env, member: usize) {
        let this = &self.members[member];
        let delays = (this.task.health_check.as_ref().map(|health| health.delay), this.task.check.as_ref());
        let (health, check) = (delays.0, delays.1.map(|check| check.delay));
        self.members[member].check_status = self.members[member].task.check.as_ref().and_then(no_result);
        for (kind, delay) in [(Kind::Health, health), (Kind::Check, check)] {
            if let Some(delay) = delay {
                let next = self.plan_probe(env, member, kind, delay);
                let what = self.probe_of(member, kind).map(|(what, ..)| Arc::new(what.clone()));
                *self.prober(member, kind) = Some(Prober {
                    what,
                    next: Some(next),
                    running: None,
                    started: env.now,
                    initializing: true,
                    failures: 0,
                });
            }
        }
    }

    /// The member ends: no more looks.
    pub(super) fn stop_probers(&mut self, env: &mut Env, member: usize) {
        self.pause_probers(env, member);
        self.members[member].health = None;
        self.members[member].check = None;
    }

    /// The agent is away: looks wait.
    pub(super) fn pause_probers(&mut self, env: &mut Env, member: usize) {
        for kind in [Kind::Health, Kind::Check] {
            if let Some(prober) = self.prober(member, kind) {
                env.queue.cancel(prober.next.take());
                if let Some((probe, timeout)) = prober.running.take() {
                    env.queue.cancel(timeout);
                    env.probes.remove(&probe);
                    env.output(ContainerCommand::CancelProbe { probe });
                }
            }
        }
    }

    /// The agent is back: looks go on at once.
    pub(super) fn resume_probers(&mut self, env: &mut Env, member: usize) {
        for kind in [Kind::Health, Kind::Check] {
            if self.prober(member, kind).is_some() {
                self.start_probe(env, member, kind);
            }
        }
    }

    pub(super) fn start_probe(&mut self, env: &mut Env, member: usize, kind: Kind) {
        let Some((.., timeout)) = self.probe_of(member, kind) else { return };
        let container = self.members[member].container.clone();
        let reference = ContainerRef { agent: self.agent, executor: self.number, member: Some(member) };
        let Some(Prober { what: Some(what), running: None, .. }) = self.prober(member, kind) else { return };
        let what = what.clone();
        let probe = env.new_probe(reference);
        let timer = ExecutorTimer::ProbeTimeout(probe);
        // Zero means no limit.
        let timeout =
            (!timeout.is_zero()).then(|| env.plan_executor((self.agent, self.number), timeout, timer));
        if let Some(prober) = self.prober(member, kind) {
            prober.next = None;
            prober.running = Some((probe, timeout));
        }
        env.output(ContainerCommand::Probe { probe, container, what });
    }

    pub(super) fn probe_timed_out(&mut self, env: &mut Env, probe: ProbeId) {
        let Some(reference) = env.probes.remove(&probe) else { return };
        let Some(member) = reference.member else { return };
        env.output(ContainerCommand::CancelProbe { probe });
        self.probed(env, member, probe, &ProbeResult::Failed("timed out".to_owned()));
    }

    /// A look has a result.
    pub(in crate::cluster) fn probed(
        &mut self,
        env: &mut Env,
        member: usize,
        probe: ProbeId,
        result: &ProbeResult,
    ) {
        let is_running = |prober: &Option<Prober>| {
            prober.as_ref().and_then(|prober| prober.running).is_some_and(|(running, _)| running == probe)
        };
        let this = &self.members[member];
        let kind = match (is_running(&this.health), is_running(&this.check)) {
            (true, _) => Kind::Health,
            (_, true) => Kind::Check,
            _ => return,
        };
        let Some((_, interval, _)) = self.probe_of(member, kind) else { return };
        let next = self.plan_probe(env, member, kind, interval);
        if let Some(prober) = self.prober(member, kind) {
            env.queue.cancel(prober.running.take().and_then(|(_, timeout)| timeout));
            prober.next = Some(next);
        }
        match kind {
            Kind::Health => self.health_seen(env, member, is_success(result)),
            Kind::Check => self.check_seen(env, member, result),
        }
    }

    fn health_seen(&mut self, env: &mut Env, member: usize, healthy: bool) {
        let this = &mut self.members[member];
        let (Some(check), Some(prober)) = (&this.task.health_check, &mut this.health) else { return };
        let limit = check.consecutive_failures;
        if healthy {
            let news = prober.initializing || prober.failures > 0;
            prober.initializing = false;
            prober.failures = 0;
            if news {
                self.send_health(env, member, true);
            }
            return;
        }
        let in_grace = env.now.since(prober.started) <= check.grace_period && !check.grace_period.is_zero();
        if prober.initializing && in_grace {
            return;
        }
        prober.failures += 1;
        let kill = prober.failures >= limit;
        self.send_health(env, member, false);
        if kill {
            self.unhealthy = true;
            let task_id = self.members[member].task.task_id.clone();
            self.kill_task(env, &task_id, None);
        }
    }

    /// The newest `TASK_RUNNING` again, with the health.
    fn send_health(&mut self, env: &mut Env, member: usize, healthy: bool) {
        self.members[member].healthy = Some(healthy);
        self.send_running(env, member, StatusReason::ReasonTaskHealthCheckStatusUpdated);
    }

    fn check_seen(&mut self, env: &mut Env, member: usize, result: &ProbeResult) {
        let this = &mut self.members[member];
        let status = match (&this.check_status, result) {
            (Some(CheckStatus::Command(_)), ProbeResult::Command(code)) => CheckStatus::Command(Some(*code)),
            (Some(CheckStatus::Http(_)), ProbeResult::Http(code)) => CheckStatus::Http(Some(*code)),
            (Some(CheckStatus::Tcp(_)), ProbeResult::Tcp(connected)) => CheckStatus::Tcp(Some(*connected)),
            (Some(CheckStatus::Command(_)), _) => CheckStatus::Command(None),
            (Some(CheckStatus::Http(_)), _) => CheckStatus::Http(None),
            (Some(CheckStatus::Tcp(_)), _) => CheckStatus::Tcp(None),
            (None, _) => return,
        };
        if this.check_status.as_ref() != Some(&status) {
            this.check_status = Some(status);
            self.send_running(env, member, StatusReason::ReasonTaskCheckStatusUpdated);
        }
    }

    fn send_running(&mut self, env: &mut Env, member: usize, reason: StatusReason) {
        let healthy = self.members[member].healthy;
        let check_status = self.members[member].check_status.clone();
        self.send(env, member, TaskState::TaskRunning, |status| {
            status.reason = Some(reason);
            status.healthy = healthy;
            status.check_status = check_status;
        });
    }

    fn plan_probe(&mut self, env: &mut Env, member: usize, kind: Kind, after: Duration) -> Alarm {
        let timer = match kind {
            Kind::Health => ExecutorTimer::HealthCheck(member),
            Kind::Check => ExecutorTimer::Check(member),
        };
        env.plan_executor((self.agent, self.number), after, timer)
    }

    /// What a prober does, how often, and for how long.
    fn probe_of(&self, member: usize, kind: Kind) -> Option<(&Probe, Duration, Duration)> {
        let task = &self.members[member].task;
        match kind {
            Kind::Health => {
                let check = task.health_check.as_ref()?;
                Some((check.probe.as_ref()?, check.interval, check.timeout))
            }
            Kind::Check => {
                let check = task.check.as_ref()?;
                Some((check.probe.as_ref()?, check.interval, check.timeout))
            }
        }
    }

    fn prober(&mut self, member: usize, kind: Kind) -> &mut Option<Prober> {
        match kind {
            Kind::Health => &mut self.members[member].health,
            Kind::Check => &mut self.members[member].check,
        }
    }
}

fn is_success(result: &ProbeResult) -> bool {
    match result {
        ProbeResult::Command(code) => *code == 0,
        ProbeResult::Http(status) => (200..400).contains(status),
        ProbeResult::Tcp(connected) => *connected,
        ProbeResult::Failed(_) => false,
    }
}
