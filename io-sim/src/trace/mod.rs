//! What happened in a run, for people: one aligned line for each change.
//!
//! ```text
//!      time  who               from             to               why
//!     1.306  web#1             Scheduled        Provisioned      on agent-0
//! ```
//!
//! Times are seconds since the start of the run. Instances are named after their pod and numbered in the order
//! in which they were first heard of.

mod names;
mod render;

use std::collections::{BTreeMap, BTreeSet};

use podium_core::model::event::{ApiEvent, ApiEventKind};
use podium_core::model::ids::{InstanceId, TaskId};
use podium_core::model::instance::Goal;
use podium_core::model::mesos::{Call, OperationInfo, TaskState};
use podium_core::model::time::Timestamp;

use self::names::Names;
pub(crate) use self::render::describe_fault;
use self::render::{describe_answer, describe_exit, describe_request};
use crate::cluster::AgentIndex;
use crate::oracle::{Violation, resident};
use crate::world::{Scene, Seen};

/// What happened in a run.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    lines: Vec<Line>,
    names: Names,
    /// The state that each instance and each task was last said to be in.
    last: BTreeMap<String, String>,
}

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When, in milliseconds since the start of the run.
    pub at: u64,
    /// Whether it is about a single container, a call or the like, and left out of a short account.
    pub is_detail: bool,
    /// Who or what changed.
    pub who: String,
    /// What it was.
    pub from: String,
    /// What it is.
    pub to: String,
    /// Why.
    pub why: String,
}

impl Trace {
    /// The changes in order.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Everything but details, a line each, under a heading.
    pub fn short(&self) -> String {
        render::table(self.lines.iter().filter(|line| !line.is_detail))
    }

    /// Everything, a line each, under a heading.
    pub fn full(&self) -> String {
        render::table(&self.lines)
    }

    /// The names that it gives to things.
    pub(crate) fn names(&mut self) -> &mut Names {
        &mut self.names
    }

    /// Writes down what has happened, if it is a change.
    pub(crate) fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) {
        match seen {
            Seen::Agent { agent, from, to } => {
                let who = hostname(*agent, scene);
                self.add(scene, false, (&who, &format!("{from:?}"), &format!("{to:?}"), "the master thinks"));
            }
            Seen::Answered { request, answer, .. } => {
                let (to, why) = describe_answer(answer);
                self.add(scene, false, ("client", &describe_request(request), &to, &why));
            }
            Seen::Call(call) => self.see_call(call, scene),
            Seen::Died { why } => self.add(scene, false, ("scheduler", "up", "down", why)),
            Seen::Disconnected => self.add(scene, false, ("scheduler", "subscribed", "disconnected", "")),
            Seen::Ended { container, exit } => {
                let Some(task) = container.task() else { return };
                let who = self.names.task(&task.task_id);
                let why = format!("really, on {}", hostname(container.agent, scene));
                let was_started = self.last.remove(&format!("truth {who}")).unwrap_or_default();
                self.add(scene, true, (&who, &was_started, &describe_exit(*exit), &why));
            }
            Seen::FaultBegan { index, fault } => {
                self.add(scene, false, ("fault", "", fault.name(), &describe_fault(*index, scene)));
            }
            Seen::FaultEnded { index, fault } => {
                self.add(scene, false, ("fault", fault.name(), "over", &describe_fault(*index, scene)));
            }
            Seen::Launched(container) => self.see_container("launching", container, scene),
            Seen::Started(container) => self.see_container("started", container, scene),
            Seen::Mended => self.add(scene, false, ("fault", "", "all mended", "nothing breaks any more")),
            Seen::Published(event) => self.see_event(event, scene),
            Seen::Restarted => self.add(scene, false, ("scheduler", "down", "up", "")),
            Seen::Subscribed => self.add(scene, false, ("scheduler", "", "subscribed", "")),
            Seen::Asked(_)
            | Seen::Decided { .. }
            | Seen::Heard(_)
            | Seen::Stepped { .. }
            | Seen::Time
            | Seen::Written(_) => {}
        }
    }

    /// Writes down what ended the run, after so many milliseconds.
    pub(crate) fn note_violation(&mut self, violation: &Violation, at: u64) {
        self.add_line(at, false, ("ORACLE", violation.oracle, "VIOLATED", &violation.sentence));
    }

    fn see_call(&mut self, call: &Call, scene: &Scene<'_>) {
        match call {
            Call::Accept { operations, .. } => {
                let given_back = operations.iter().filter_map(|operation| match &operation.info {
                    OperationInfo::Unreserve(resources) => Some(resources),
                    _ => None,
                });
                let instances: BTreeSet<InstanceId> = given_back.flatten().filter_map(resident).collect();
                for instance in instances {
                    let whose = format!("what was kept for {}", self.names.instance(&instance));
                    self.add(scene, false, ("scheduler", "", "UNRESERVE", &whose));
                }
            }
            Call::Kill { task_id, .. } => {
                let who = self.names.task(task_id);
                self.add(scene, true, (&who, "", "KILL", "asked by the scheduler"));
            }
            Call::Reconcile { tasks } => {
                let what =
                    if tasks.is_empty() { "all tasks".to_owned() } else { format!("{} tasks", tasks.len()) };
                self.add(scene, true, ("scheduler", "", "RECONCILE", &what));
            }
            Call::Revive { roles } => {
                let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
                self.add(scene, true, ("scheduler", "", "REVIVE", &roles.join(", ")));
            }
            Call::Suppress { roles } => {
                let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
                self.add(scene, true, ("scheduler", "", "SUPPRESS", &roles.join(", ")));
            }
            Call::Shutdown { executor_id, .. } => {
                self.add(scene, true, ("scheduler", "", "SHUTDOWN", executor_id.as_str()));
            }
            _ => {}
        }
    }

    fn see_container(&mut self, to: &str, container: &crate::world::Container, scene: &Scene<'_>) {
        let Some(task) = container.task() else { return };
        let who = self.names.task(&task.task_id);
        let why = format!("really, on {}", hostname(container.agent, scene));
        let from = self.last.insert(format!("truth {who}"), to.to_owned()).unwrap_or_default();
        self.add(scene, true, (&who, &from, to, &why));
    }

    fn see_event(&mut self, event: &ApiEvent, scene: &Scene<'_>) {
        match &event.kind {
            ApiEventKind::InstanceChangedEvent { instance_id, condition, goal, host, .. } => {
                let who = self.names.instance(instance_id);
                let to = match goal {
                    Goal::Running => condition.to_string(),
                    Goal::Decommissioned => format!("{condition} {goal:?}"),
                };
                let on = host.as_ref().map(|host| format!("on {host}")).unwrap_or_default();
                let from = self.last.insert(who.clone(), to.clone()).unwrap_or_default();
                self.add(scene, false, (&who, &from, &to, &on));
            }
            ApiEventKind::InstanceHealthChangedEvent { instance_id, healthy, .. } => {
                let who = self.names.instance(instance_id);
                let to = match healthy {
                    Some(true) => "healthy",
                    Some(false) => "unhealthy",
                    None => "health unknown",
                };
                let from = self.last.insert(format!("health {who}"), to.to_owned()).unwrap_or_default();
                self.add(scene, false, (&who, &from, to, ""));
            }
            ApiEventKind::StatusUpdateEvent { task_id, task_status, message, .. } => {
                self.see_status(task_id, *task_status, message, scene);
            }
            ApiEventKind::DeploymentInfo { plan, current_step } => {
                let who = self.names.deployment(&plan.id);
                let what: Vec<String> = current_step
                    .actions
                    .iter()
                    .map(|action| format!("{:?} {}", action.action, action.pod))
                    .collect();
                let to =
                    if self.last.insert(who.clone(), String::new()).is_none() { "begins" } else { "goes on" };
                self.add(scene, false, (&who, "", to, &what.join(", ")));
            }
            ApiEventKind::DeploymentSuccess { id, .. } => {
                let who = self.names.deployment(id);
                self.add(scene, false, (&who, "", "done", ""));
            }
            ApiEventKind::DeploymentFailed { id, reason, .. } => {
                let who = self.names.deployment(id);
                self.add(scene, false, (&who, "", "cancelled", reason));
            }
            ApiEventKind::UnknownInstanceTerminatedEvent { instance_id, condition, .. } => {
                let who = self.names.instance(instance_id);
                self.add(scene, false, (&who, "given up", &condition.to_string(), "it has ended at last"));
            }
            _ => {}
        }
    }

    fn see_status(&mut self, task_id: &TaskId, state: TaskState, message: &str, scene: &Scene<'_>) {
        let who = self.names.task(task_id);
        let from = self.last.insert(who.clone(), state.to_string()).unwrap_or_default();
        self.add(scene, true, (&who, &from, state.as_str(), message));
    }

    fn add(&mut self, scene: &Scene<'_>, is_detail: bool, what: (&str, &str, &str, &str)) {
        self.add_line(millis(scene.start, scene.now), is_detail, what);
    }

    fn add_line(&mut self, at: u64, is_detail: bool, (who, from, to, why): (&str, &str, &str, &str)) {
        self.lines.push(Line {
            at,
            is_detail,
            who: who.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            why: why.to_owned(),
        });
    }
}

/// The name of a machine.
pub(crate) fn hostname(agent: AgentIndex, scene: &Scene<'_>) -> String {
    let index = agent.0 as usize;
    scene.plan.cluster.agents.get(index).map_or_else(String::new, |agent| agent.hostname(index))
}

/// How long the run has gone on, in milliseconds.
pub(crate) fn millis(start: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.since(start).as_millis()).unwrap_or(u64::MAX)
}
