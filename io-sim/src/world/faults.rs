//! Faults: how each begins, and how it is mended.

use std::collections::BTreeSet;
use std::time::Duration;

use podium_core::model::identity::Identity;
use podium_core::model::ids::AgentId;
use podium_core::model::mesos::Unavailability;
use podium_core::model::time::Timestamp;
use podium_core::{Entry, Key};

use super::containers::ContainerRole;
use super::daemon::Doom;
use super::link::Blocked;
use super::seen::Seen;
use super::subject::Subject;
use super::{Work, World};
use crate::cluster::{self, AgentIndex, AgentStanding, ContainerId, OperatorCall, RequestId};
use crate::oracle::Witness;
use crate::plan::{Boundary, Fault, Moment, Span, Target};

/// Operator calls need no answer.
const OPERATOR: RequestId = RequestId(u64::MAX);
/// So often a supervisor looks for agents that do not run, after everything was mended.
const SUPERVISION: Duration = Duration::from_secs(10);

/// When the operator declares that agents whose machines have new ones will never come back: after a master that
/// took over has given up waiting for them.
const FUNERAL: Duration = Duration::from_secs(12 * 60);

/// The plan's faults and how far they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    states: Vec<FaultState>,
    /// Those that wait for a moment.
    armed: Vec<(Wait, Armed)>,
    /// How many are to be mended.
    active: usize,
}

/// What waits for a moment, by its index in the plan.
#[derive(Clone, Copy, Debug)]
pub(super) enum Armed {
    Fault(usize),
    /// The end of a fault.
    End(usize),
    Order(usize),
}

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    pub(super) moment: Moment,
    /// How long before it.
    pub(super) before: Span,
    /// Only if it is about this machine, or about none.
    pub(super) agent: Option<AgentIndex>,
}

#[derive(Clone, Debug, Default)]
struct FaultState {
    began: bool,
    /// It has begun and is to be mended.
    active: bool,
    /// Whom it hit.
    agent_id: Option<AgentId>,
    container: Option<ContainerId>,
    /// The maintenance that is in the schedule because of it.
    window: Option<(AgentIndex, Unavailability)>,
}

impl Faults {
    pub(super) fn new(count: usize) -> Self {
        Self { states: vec![FaultState::default(); count], armed: Vec::new(), active: 0 }
    }

    /// Whether something is broken.
    pub(super) fn any_active(&self) -> bool {
        self.active > 0
    }

    /// Whether nothing waits for `moment`: the common case.
    pub(super) fn ignores(&self, moment: Moment) -> bool {
        self.armed.iter().all(|(wait, _)| wait.moment != moment)
    }

    /// From now on this waits.
    pub(super) fn arm(&mut self, wait: Wait, armed: Armed) {
        self.armed.push((wait, armed));
    }

    fn activate(&mut self, index: usize) {
        if !std::mem::replace(&mut self.states[index].active, true) {
            self.active += 1;
        }
    }

    /// Whether it was active.
    fn deactivate(&mut self, index: usize) -> bool {
        let was_active = std::mem::take(&mut self.states[index].active);
        self.active -= usize::from(was_active);
        was_active
    }

    /// Those that waited for `moment`, which is about `agent`, or for the time so long before it.
    fn take(&mut self, moment: Moment, before: Span, agent: Option<AgentIndex>) -> Vec<Armed> {
        let is_it = |wait: &Wait| {
            let is_here = wait.agent.is_none() || agent.is_none() || wait.agent == agent;
            wait.moment == moment && wait.before == before && is_here
        };
        self.armed.extract_if(.., |(wait, _)| is_it(wait)).map(|(_, armed)| armed).collect()
    }
}

impl<S: Subject, W: Witness> World<'_, S, W> {
    /// The time of a fault has come.
    pub(super) fn on_fault_due(&mut self, index: usize) {
        let planned = &self.plan.faults[index];
        match planned.on {
            Some(moment) => {
                let wait = Wait { moment, before: planned.before, agent: None };
                self.faults.arm(wait, Armed::Fault(index));
            }
            None => self.plan_fault(index, planned.after),
        }
    }

    /// Something of the kind `moment` happens: what waited for it begins.
    pub(super) fn moment(&mut self, moment: Moment) {
        self.moment_of(moment, Span::ZERO, None);
    }

    /// The same, of a moment that is about a machine, or of the time so long before one.
    pub(super) fn moment_of(&mut self, moment: Moment, before: Span, agent: Option<AgentIndex>) {
        if self.faults.ignores(moment) {
            return;
        }
        for armed in self.faults.take(moment, before, agent) {
            let index = match armed {
                Armed::Fault(index) => index,
                Armed::End(index) => {
                    let after = self.plan.faults[index].until.map(|aim| aim.after).unwrap_or_default();
                    self.queue.plan(self.now + after.to_duration(), Work::FaultEnds(index));
                    continue;
                }
                Armed::Order(index) => {
                    self.on_order_aimed(index);
                    continue;
                }
            };
            let planned = &self.plan.faults[index];
            // A process that is to die in the middle of what it does cannot wait for its turn in the queue.
            if let Fault::SchedulerCrashed { boundary, .. } = planned.what
                && planned.after == Span::ZERO
            {
                self.begin(index);
                self.doom(boundary, index);
            } else {
                self.plan_fault(index, planned.after);
            }
        }
    }

    fn plan_fault(&mut self, index: usize, after: Span) {
        self.queue.plan(self.now + after.to_duration(), Work::FaultBegins(index));
    }

    /// A fault begins.
    pub(super) fn on_fault_begins(&mut self, index: usize) {
        if self.mended {
            return;
        }
        let fault = &self.plan.faults[index].what;
        self.begin(index);
        if let Fault::SchedulerCrashed { boundary, .. } = *fault {
            self.doom(boundary, index);
            self.die_if_doomed(Boundary::Now);
            return;
        }
        if let Fault::StoreFails { .. } = fault {
            self.store_failure = Some(index);
            return;
        }
        self.apply(index, fault);
        self.end_later(index);
    }

    /// Plans the end of a fault that has begun, if it is one that ends.
    fn end_later(&mut self, index: usize) {
        let planned = &self.plan.faults[index];
        if let Some(lasts) = planned.what.lasts() {
            self.faults.activate(index);
            self.queue.plan(self.now + lasts.to_duration(), Work::FaultEnds(index));
            if let Some(aim) = planned.until {
                let agent = planned.what.agent().map(AgentIndex);
                let wait = Wait { moment: aim.on, before: aim.before, agent };
                self.faults.arm(wait, Armed::End(index));
            }
        }
    }

    fn begin(&mut self, index: usize) {
        if !std::mem::replace(&mut self.faults.states[index].began, true) {
            let fault = &self.plan.faults[index].what;
            self.see(&Seen::FaultBegan { index, fault });
        }
    }

    /// A fault is over.
    pub(super) fn on_fault_ends(&mut self, index: usize) {
        if !self.faults.deactivate(index) {
            return;
        }
        let fault = &self.plan.faults[index].what;
        self.mend(index, fault);
        self.see(&Seen::FaultEnded { index, fault });
    }

    /// Everything is mended, and nothing breaks any more.
    pub(super) fn on_mended(&mut self) {
        if self.queue.deadline().is_some_and(|at| at <= self.now) {
            // What breaks at this very instant breaks before.
            self.queue.plan(self.now, Work::Mended);
            return;
        }
        self.mended = true;
        self.faults.armed.clear();
        self.store_failure = None;
        for index in 0..self.plan.faults.len() {
            self.on_fault_ends(index);
        }
        if let Some(process) = &mut self.daemon.process {
            process.doom = None;
        }
        self.containers.mend();
        self.on_supervision();
        self.queue.plan(self.now + FUNERAL, Work::DeclareGone);
        self.see(&Seen::Mended);
    }

    /// Mesos itself never gives up on an agent that lost its id with its disk.
    pub(super) fn declare_lost_agents_gone(&mut self) {
        let lost = self.cluster.standings().zip(&self.roll).flat_map(|((present, _), known)| {
            known.agent_ids.iter().filter(move |id| present != Some(id)).cloned()
        });
        for agent_id in lost.collect::<Vec<AgentId>>() {
            self.operator_call(OperatorCall::MarkAgentGone { agent_id });
        }
    }

    /// Starts agents that do not run, and says again that agents may be used: there may have been no master to
    /// hear it the first time.
    pub(super) fn on_supervision(&mut self) {
        let down = |view: &cluster::AgentView<'_>| !view.running;
        let down: Vec<_> =
            self.cluster.agents().filter(down).map(|view| (view.index, view.standing)).collect();
        for (agent, standing) in down {
            if standing == AgentStanding::Gone {
                self.break_cluster(cluster::Fault::WipeAgent { agent, keeps_disk: false });
            }
            self.break_cluster(cluster::Fault::StartAgent { agent });
        }
        let states = self.plan.faults.iter().zip(&self.faults.states);
        let deactivated = states.filter(|(planned, _)| {
            matches!(planned.what, Fault::AgentDeactivated { .. } | Fault::AgentDrained { .. })
        });
        let deactivated: BTreeSet<AgentId> =
            deactivated.filter_map(|(_, state)| state.agent_id.clone()).collect();
        for agent_id in deactivated {
            self.operator_call(OperatorCall::ReactivateAgent { agent_id });
        }
        self.queue.plan(self.now + SUPERVISION, Work::Supervise);
    }

    fn apply(&mut self, index: usize, fault: &Fault) {
        use cluster::Fault as Mesos;
        match *fault {
            Fault::AcknowledgementLost { ref of } => {
                if let Some(task_id) = self.target_task(of) {
                    self.break_cluster(Mesos::DropAcknowledgement { task_id });
                }
            }
            Fault::AgentDeactivated { agent, .. } => {
                self.operate(index, agent, |agent_id| OperatorCall::DeactivateAgent { agent_id });
            }
            Fault::AgentDelayed { agent, extra, .. } => {
                self.break_cluster(Mesos::Delay { agent: AgentIndex(agent), extra: extra.to_duration() });
            }
            Fault::AgentDisconnected { agent } => {
                self.break_cluster(Mesos::Disconnect { agent: AgentIndex(agent) });
            }
            Fault::AgentDrained { agent, grace, mark_gone, .. } => self.operate(index, agent, |agent_id| {
                let max_grace_period = grace.map(Span::to_duration);
                OperatorCall::DrainAgent { agent_id, max_grace_period, mark_gone }
            }),
            Fault::AgentGone { agent, .. } => {
                self.operate(index, agent, |agent_id| OperatorCall::MarkAgentGone { agent_id });
            }
            Fault::AgentMaintenance { agent, opens, lasts } => {
                let start = self.now + opens.to_duration();
                let duration = Some(lasts.to_duration().saturating_sub(opens.to_duration()));
                let window = Unavailability { start, duration };
                self.faults.states[index].window = Some((AgentIndex(agent), window));
                self.schedule_maintenance();
            }
            Fault::AgentPartitioned { agent, loss, .. } => {
                self.break_cluster(Mesos::Partition { agent: AgentIndex(agent), loss });
            }
            Fault::AgentPowerOff { agent, wipe, keeps_disk, .. } => {
                self.break_cluster(Mesos::PowerOff { agent: AgentIndex(agent) });
                if wipe {
                    self.break_cluster(Mesos::WipeAgent { agent: AgentIndex(agent), keeps_disk });
                }
            }
            Fault::AgentShutDown { agent, .. } => {
                self.break_cluster(Mesos::ShutDownAgent { agent: AgentIndex(agent) });
            }
            Fault::AgentStopped { agent, .. } => {
                self.break_cluster(Mesos::StopAgent { agent: AgentIndex(agent) });
            }
            Fault::AgentSuspended { agent, .. } => {
                self.break_cluster(Mesos::SuspendAgent { agent: AgentIndex(agent) });
            }
            Fault::ClockSet { by, back } => {
                self.daemon.set_clock(self.now, by, back);
                self.run_scheduler();
            }
            Fault::ConnectionBroken {} => self.break_connection(true),
            Fault::ConnectionDelayed { extra, .. } => self.link.extra = extra.to_duration(),
            Fault::ConnectionPartitioned { direction, .. } => self.block(Blocked::of(direction)),
            Fault::ContainerExits { ref of, status } => {
                if let Some(ordinal) = self.containers.find(of).map(|container| container.ordinal) {
                    self.exit_container(ordinal, status.into());
                }
            }
            Fault::ContainerUnhealthy { ref of, lasts } => {
                let until = self.now + lasts.to_duration();
                if let Some(ordinal) = self.containers.find(of).map(|container| container.ordinal) {
                    self.containers.make_unhealthy(ordinal, until);
                }
            }
            Fault::ExecutorKilled { ref of } => {
                if let Some(container) = self.target_executor(of) {
                    self.break_cluster(Mesos::KillExecutor { container, signal: 9 });
                }
            }
            Fault::ExecutorSuspended { ref of, .. } => {
                if let Some(container) = self.target_executor(of) {
                    self.faults.states[index].container = Some(container.clone());
                    self.break_cluster(Mesos::SuspendExecutor { container });
                }
            }
            Fault::ExecutorsHang { agent, .. } => {
                self.break_cluster(Mesos::ExecutorsHang { agent: AgentIndex(agent), hang: true });
            }
            Fault::LaunchesFail { agent, .. } => {
                self.containers.failing.insert(AgentIndex(agent));
            }
            Fault::LeaderChanged { by, back } => {
                self.kill_scheduler(false, "another one leads");
                self.daemon.set_clock(self.now, by, back);
                self.start_scheduler();
            }
            Fault::FrameworkTornDown {} => {
                if let Some(Entry::Framework(Identity { id: Some(framework_id), .. })) =
                    self.store.get(&Key::Framework).cloned()
                {
                    self.operator_call(OperatorCall::Teardown { framework_id });
                }
            }
            Fault::MasterFailover {} => self.break_cluster(Mesos::MasterFailover),
            Fault::MasterStopped { .. } => self.break_cluster(Mesos::StopMaster),
            Fault::OffersRescinded { agent } => {
                self.break_cluster(Mesos::RescindOffers { agent: agent.map(AgentIndex) });
            }
            // Of one that refuses launches it is asked when one arrives.
            Fault::LaunchesRefused { .. } | Fault::SchedulerCrashed { .. } | Fault::StoreFails { .. } => {}
            Fault::SchedulerSuspended { .. } => {
                self.daemon.suspend(self.now);
                self.link.asleep = self.daemon.process.is_some();
            }
            Fault::StoreSlow { write, .. } => self.slow_write = Some(write.to_duration()),
            Fault::UpdateDoubled { ref of } => {
                if let Some(task_id) = self.target_task(of) {
                    self.break_cluster(Mesos::DuplicateUpdate { task_id });
                }
            }
            Fault::UpdateLost { ref of } => {
                if let Some(task_id) = self.target_task(of) {
                    self.break_cluster(Mesos::DropUpdate { task_id });
                }
            }
        }
    }

    /// Mends what `fault` broke, unless another fault still keeps it broken.
    fn mend(&mut self, index: usize, fault: &Fault) {
        use cluster::Fault as Mesos;
        let state = self.faults.states[index].clone();
        match *fault {
            Fault::AgentDeactivated { .. } | Fault::AgentDrained { .. } => {
                if let Some(agent_id) = state.agent_id {
                    self.operator_call(OperatorCall::ReactivateAgent { agent_id });
                }
                if let Fault::AgentDrained { agent, mark_gone: true, .. } = *fault {
                    self.replace_if_gone(AgentIndex(agent));
                }
            }
            Fault::AgentDelayed { agent, .. } => {
                if !self
                    .is_active(|other| matches!(other, Fault::AgentDelayed { agent: a, .. } if *a == agent))
                {
                    self.break_cluster(Mesos::Delay { agent: AgentIndex(agent), extra: Duration::ZERO });
                }
            }
            Fault::AgentGone { agent, .. } => {
                // It runs if nobody could say that it is gone: there was no master, or it had no id yet.
                self.break_cluster(Mesos::PowerOff { agent: AgentIndex(agent) });
                self.break_cluster(Mesos::WipeAgent { agent: AgentIndex(agent), keeps_disk: false });
                self.start_agent(agent);
            }
            Fault::AgentMaintenance { .. } => {
                self.faults.states[index].window = None;
                self.schedule_maintenance();
            }
            Fault::AgentPowerOff { agent, .. }
            | Fault::AgentShutDown { agent, .. }
            | Fault::AgentStopped { agent, .. } => self.start_agent(agent),
            Fault::AgentPartitioned { agent, .. } => {
                let same =
                    |other: &Fault| matches!(other, Fault::AgentPartitioned { agent: a, .. } if *a == agent);
                if !self.is_active(same) {
                    self.break_cluster(Mesos::Heal { agent: AgentIndex(agent) });
                }
            }
            Fault::AgentSuspended { agent, .. } => {
                let same =
                    |other: &Fault| matches!(other, Fault::AgentSuspended { agent: a, .. } if *a == agent);
                if !self.is_active(same) {
                    self.break_cluster(Mesos::ResumeAgent { agent: AgentIndex(agent) });
                }
            }
            Fault::ConnectionDelayed { .. } => self.link.extra = Duration::ZERO,
            Fault::ConnectionPartitioned { .. } => {
                if !self.is_active(|other| matches!(other, Fault::ConnectionPartitioned { .. })) {
                    self.unblock();
                }
            }
            Fault::ExecutorSuspended { .. } => {
                if let Some(container) = state.container {
                    self.break_cluster(Mesos::ResumeExecutor { container });
                }
            }
            Fault::ExecutorsHang { agent, .. } => {
                self.break_cluster(Mesos::ExecutorsHang { agent: AgentIndex(agent), hang: false });
            }
            Fault::LaunchesFail { agent, .. } => {
                self.containers.failing.remove(&AgentIndex(agent));
            }
            Fault::MasterStopped { .. } => {
                if !self.is_active(|other| matches!(other, Fault::MasterStopped { .. })) {
                    self.break_cluster(Mesos::StartMaster);
                }
            }
            Fault::SchedulerCrashed { .. } | Fault::StoreFails { .. } => self.start_scheduler(),
            Fault::SchedulerSuspended { .. } => {
                if !self.is_active(|other| matches!(other, Fault::SchedulerSuspended { .. })) {
                    self.daemon.resume(self.now);
                    self.wake_link();
                }
            }
            Fault::StoreSlow { .. } => self.slow_write = None,
            Fault::AcknowledgementLost { .. }
            | Fault::AgentDisconnected { .. }
            | Fault::ClockSet { .. }
            | Fault::ConnectionBroken {}
            | Fault::ContainerExits { .. }
            | Fault::ContainerUnhealthy { .. }
            | Fault::LaunchesRefused { .. }
            | Fault::ExecutorKilled { .. }
            | Fault::FrameworkTornDown {}
            | Fault::LeaderChanged { .. }
            | Fault::MasterFailover {}
            | Fault::OffersRescinded { .. }
            | Fault::UpdateDoubled { .. }
            | Fault::UpdateLost { .. } => {}
        }
    }

    /// The process is to die at `boundary`.
    fn doom(&mut self, boundary: Boundary, fault: usize) {
        match &mut self.daemon.process {
            Some(process) => process.doom = Some(Doom { boundary, fault }),
            // It is dead already: it stays so for longer, if this fault lasts longer.
            None => self.end_later(fault),
        }
    }

    /// The scheduler's process ends because of a fault, and is started again when the fault is over.
    pub(super) fn die_of(&mut self, fault: usize, why: &'static str) {
        let planned = &self.plan.faults[fault].what;
        let calls_lost = matches!(planned, Fault::SchedulerCrashed { calls_lost: true, .. });
        self.end_later(fault);
        self.kill_scheduler(calls_lost, why);
    }

    /// The operator replaces the schedule by what is in it now.
    fn schedule_maintenance(&mut self) {
        let windows = self.faults.states.iter().filter_map(|state| state.window.clone()).collect();
        self.operator_call(OperatorCall::UpdateMaintenanceSchedule { windows });
    }

    /// An agent that is gone for good comes back as a new one.
    fn replace_if_gone(&mut self, agent: AgentIndex) {
        let view = self.cluster.agents().nth(agent.0 as usize);
        if view.is_some_and(|view| view.standing == AgentStanding::Gone) {
            self.break_cluster(cluster::Fault::PowerOff { agent });
            self.break_cluster(cluster::Fault::WipeAgent { agent, keeps_disk: false });
            self.start_agent(agent.0);
        }
    }

    fn start_agent(&mut self, agent: u32) {
        let down = |other: &Fault| {
            let down = matches!(
                other,
                Fault::AgentPowerOff { .. }
                    | Fault::AgentShutDown { .. }
                    | Fault::AgentStopped { .. }
                    | Fault::AgentGone { .. }
            );
            down && other.agent() == Some(agent)
        };
        if !self.is_active(down) {
            self.break_cluster(cluster::Fault::StartAgent { agent: AgentIndex(agent) });
        }
    }

    pub(super) fn is_active(&self, kind: impl Fn(&Fault) -> bool) -> bool {
        self.plan
            .faults
            .iter()
            .zip(&self.faults.states)
            .any(|(planned, state)| state.active && kind(&planned.what))
    }

    fn operate(&mut self, index: usize, agent: u32, call: impl FnOnce(AgentId) -> OperatorCall) {
        let view = self.cluster.agents().nth(agent as usize);
        let Some(agent_id) = view.and_then(|view| view.agent_id.cloned()) else { return };
        self.faults.states[index].agent_id = Some(agent_id.clone());
        self.operator_call(call(agent_id));
    }

    fn operator_call(&mut self, call: OperatorCall) {
        self.step_cluster(cluster::Input::Operator { request: OPERATOR, call });
    }

    fn break_cluster(&mut self, fault: cluster::Fault) {
        self.step_cluster(cluster::Input::Fault(fault));
    }

    fn target_task(&self, target: &Target) -> Option<podium_core::model::ids::TaskId> {
        self.containers.find(target)?.task().map(|task| task.task_id.clone())
    }

    fn target_executor(&self, target: &Target) -> Option<ContainerId> {
        let parent = self.containers.find(target)?.task()?.parent;
        let executor = self.containers.get(parent)?;
        matches!(executor.role, ContainerRole::Executor { .. }).then(|| executor.id.clone())
    }

    /// When a fault that waits for the death of the process is to be forgotten.
    pub(super) fn time_of(&self, span: Span) -> Timestamp {
        self.start + span.to_duration()
    }
}
