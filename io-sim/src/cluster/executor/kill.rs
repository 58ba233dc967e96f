//! How members end: by themselves, by a kill, with their group, or with the executor.

use std::time::Duration;

use podium_core::model::ids::TaskId;
use podium_core::model::mesos::{FrameworkCapability, StatusReason, TaskState, TaskStatus};

use super::{Executor, Process, Real};
use crate::cluster::env::Env;
use crate::cluster::io::{ContainerCommand, Exit, Limit, Signal};
use crate::cluster::wire::ExecutorTimer;

impl Executor {
    /// `KILL`: ends one member. What is not launched, already ending or gone is not touched, silently.
    pub(super) fn kill_task(&mut self, env: &mut Env, task_id: &TaskId, grace: Option<Duration>) {
        if self.shutting_down {
            return;
        }
        let Some(member) = self.position(task_id) else { return };
        if self.members[member].ended || self.members[member].killing {
            return;
        }
        let grace = grace.or(self.members[member].task.kill_grace_period);
        self.kill(env, member, grace);
    }

    /// `SHUTDOWN`: ends all members, then itself.
    pub(super) fn shut_down(&mut self, env: &mut Env) {
        if self.shutting_down {
            return;
        }
        self.shutting_down = true;
        if self.live == 0 || self.agent_run.is_none() {
            self.exit_when_acknowledged(env);
            return;
        }
        for member in 0..self.members.len() {
            if !self.members[member].ended && !self.members[member].killing {
                self.kill(env, member, None);
            }
        }
    }

    /// Ends the executor's process. Its container is cleaned up by the agent, with what is left in it.
    pub(in crate::cluster) fn exit(&mut self, status: i32) {
        if !self.is_dead() {
            self.process = Process::Dead { status };
        }
    }

    pub(super) fn max_completion(&mut self, env: &mut Env, member: usize) {
        if self.members[member].ended || self.members[member].killing {
            return;
        }
        self.members[member].timed_out = true;
        self.kill(env, member, Some(Duration::ZERO));
    }

    /// SIGTERM was not enough. While the agent is away there is nobody to send the signal.
    pub(super) fn escalate(&mut self, env: &mut Env, member: usize) {
        if self.members[member].ended {
            return;
        }
        if self.agent_run.is_none() {
            let timer = ExecutorTimer::Escalate(member);
            let alarm = env.plan_executor((self.agent, self.number), Duration::from_secs(1), timer);
            self.members[member].escalation = Some(alarm);
            return;
        }
        let container = self.members[member].container.clone();
        env.output(ContainerCommand::Signal { container, signal: Signal::Kill });
    }

    /// Begins to end a member. Without its launch being known nothing happens.
    pub(super) fn kill(&mut self, env: &mut Env, member: usize, grace: Option<Duration>) {
        if !self.members[member].launched {
            return;
        }
        self.stop_probers(env, member);
        let timed_out = self.members[member].timed_out;
        self.members[member].killing = true;
        env.queue.cancel(self.members[member].completion.take());
        let grace = grace.unwrap_or(env.config.executor.kill_grace_period);
        let timer = ExecutorTimer::Escalate(member);
        let alarm = env.plan_executor((self.agent, self.number), grace, timer);
        self.members[member].escalation = Some(alarm);
        if !timed_out && self.has(FrameworkCapability::TaskKillingState) {
            self.send(env, member, TaskState::TaskKilling, |_| {});
        }
        if self.agent_run.is_some() {
            let container = self.members[member].container.clone();
            env.output(ContainerCommand::Signal { container, signal: Signal::Term });
        }
    }

    /// Sees whether a member's container has ended, and what follows from it.
    pub(super) fn wait(&mut self, env: &mut Env, member: usize) {
        let this = &self.members[member];
        if this.ended {
            return;
        }
        let (state, reason, message) = match &this.real {
            Real::Launching | Real::Running { .. } => return,
            Real::Failed(message) => (TaskState::TaskFailed, None, message.clone()),
            Real::Exited(None) => {
                (TaskState::TaskFailed, None, "Command terminated with unknown status".to_owned())
            }
            Real::Exited(Some(exit)) => {
                let message = describe(*exit);
                if this.timed_out {
                    let reason = StatusReason::ReasonMaxCompletionTimeReached;
                    (TaskState::TaskFailed, Some(reason), message)
                } else if this.killing {
                    (TaskState::TaskKilled, None, message)
                } else if *exit == Exit::Code(0) {
                    (TaskState::TaskFinished, None, message)
                } else {
                    (TaskState::TaskFailed, None, message)
                }
            }
        };
        self.ended(env, member, (state, reason, message));
    }

    fn ended(
        &mut self,
        env: &mut Env,
        member: usize,
        (mut state, mut reason, mut message): (TaskState, Option<StatusReason>, String),
    ) {
        self.stop_probers(env, member);
        let this = &mut self.members[member];
        env.queue.cancel(this.completion.take());
        env.queue.cancel(this.escalation.take());
        let mut limitation = Vec::new();
        if let Some(exceeded) = this.limit.take() {
            // The agent knows better than the exit status why the container ended.
            state = TaskState::TaskFailed;
            reason = Some(limit_reason(exceeded.limit));
            message = format!("{message}: {}", exceeded.message);
            limitation = exceeded.resources;
        }
        let unhealthy = self.unhealthy.then_some(false);
        self.send(env, member, state, |status: &mut TaskStatus| {
            status.reason = reason;
            status.message = Some(message);
            status.healthy = unhealthy;
            status.limitation = limitation;
        });
        self.members[member].ended = true;
        self.live -= 1;
        let group = self.members[member].group;
        let takes_others = matches!(state, TaskState::TaskFailed | TaskState::TaskKilled);
        if takes_others && !self.shutting_down && !self.groups[group].killing {
            self.groups[group].killing = true;
            for other in 0..self.members.len() {
                let this = &self.members[other];
                if this.group == group && !this.ended && !this.killing {
                    self.kill(env, other, None);
                }
            }
        }
        if self.live == 0 {
            self.exit_when_acknowledged(env);
        }
    }

    /// Waits for the agent to take the last updates, but not for ever.
    fn exit_when_acknowledged(&mut self, env: &mut Env) {
        if self.unacknowledged.is_empty() {
            self.exit(0);
        } else if self.exit_alarm.is_none() {
            let after = env.config.executor.final_acknowledgement_timeout;
            let alarm = env.plan_executor((self.agent, self.number), after, ExecutorTimer::FinalExit);
            self.exit_alarm = Some(alarm);
        }
    }
}

/// The reason that goes with a limit.
pub(in crate::cluster) fn limit_reason(limit: Limit) -> StatusReason {
    match limit {
        Limit::Disk => StatusReason::ReasonContainerLimitationDisk,
        Limit::Memory => StatusReason::ReasonContainerLimitationMemory,
    }
}

/// Mesos' words for the end of a process.
fn describe(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("Command exited with status {code}"),
        Exit::Signal { number, core } => {
            let dumped = if core { " (core dumped)" } else { "" };
            format!("Command terminated with signal {}{dumped}", signal_name(number))
        }
    }
}

/// `strsignal` of the common signals.
fn signal_name(number: i32) -> String {
    let name = match number {
        1 => "Hangup",
        2 => "Interrupt",
        3 => "Quit",
        4 => "Illegal instruction",
        5 => "Trace/breakpoint trap",
        6 => "Aborted",
        7 => "Bus error",
        8 => "Floating point exception",
        9 => "Killed",
        10 => "User defined signal 1",
        11 => "Segmentation fault",
        12 => "User defined signal 2",
        13 => "Broken pipe",
        14 => "Alarm clock",
        15 => "Terminated",
        24 => "CPU time limit exceeded",
        25 => "File size limit exceeded",
        31 => "Bad system call",
        other => return format!("Unknown signal {other}"),
    };
    name.to_owned()
}
