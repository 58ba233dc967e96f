//! What happens to pods, as one line of the log per event.

use std::fmt;

use podium_core::model::deployment::Step;
use podium_core::model::event::ApiEventKind;
use podium_core::model::ids::AgentId;
use tracing::info;

/// Logs `event`.
pub(super) fn tell(event: &ApiEventKind) {
    if tracing::enabled!(target: "podium", tracing::Level::INFO) {
        info!(target: "podium", "{}", Line(event));
    }
}

struct Line<'a>(&'a ApiEventKind);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ApiEventKind as Kind;
        match self.0 {
            Kind::AppTerminatedEvent { app_id } => write!(f, "{app_id}: all instances have ended"),
            Kind::DeploymentFailed { id, reason, .. } => write!(f, "deployment {id} failed: {reason}"),
            Kind::DeploymentInfo { plan, current_step } => {
                write!(f, "deployment {} begins to {}", plan.id, Steps(current_step))
            }
            Kind::DeploymentStepSuccess { plan, current_step } => {
                write!(f, "deployment {} is done with {}", plan.id, Steps(current_step))
            }
            Kind::DeploymentSuccess { id, .. } => write!(f, "deployment {id} succeeded"),
            Kind::FrameworkMessageEvent { executor_id, slave_id, message } => {
                write!(f, "executor {executor_id} on agent {slave_id} says {} bytes", message.len())
            }
            Kind::GroupChangeFailed { group_id, reason, .. } => {
                write!(f, "a change in group {group_id} was refused: {reason}")
            }
            Kind::GroupChangeSuccess { group_id, version } => {
                write!(f, "group {group_id} changed, version {version}")
            }
            Kind::InstanceChangedEvent { instance_id, condition, goal, agent_id, host, .. } => {
                write!(f, "{instance_id}: {condition}, goal {goal:?}{}", Place(agent_id, host))
            }
            Kind::InstanceHealthChangedEvent { instance_id, healthy, .. } => {
                let health = match healthy {
                    Some(true) => "healthy",
                    Some(false) => "unhealthy",
                    None => "of unknown health",
                };
                write!(f, "{instance_id}: {health}")
            }
            Kind::PodCreatedEvent { client_ip, uri } => write!(f, "pod created by {client_ip}: POST {uri}"),
            Kind::PodDeletedEvent { client_ip, uri } => write!(f, "pod deleted by {client_ip}: DELETE {uri}"),
            Kind::PodUpdatedEvent { client_ip, uri } => write!(f, "pod updated by {client_ip}: PUT {uri}"),
            Kind::SchedulerDisconnectedEvent {} => write!(f, "the subscription has ended"),
            Kind::SchedulerRegisteredEvent { framework_id, master } => {
                write!(f, "registered with {master} as framework {framework_id}")
            }
            Kind::SchedulerReregisteredEvent { master } => write!(f, "registered again with {master}"),
            Kind::StatusUpdateEvent { slave_id, task_id, task_status, message, host, .. } => {
                write!(f, "{task_id}: {}{}", task_status.as_str(), Place(slave_id, host))?;
                if message.is_empty() { Ok(()) } else { write!(f, ": {message}") }
            }
            Kind::UnknownInstanceTerminatedEvent { instance_id, condition, .. } => {
                write!(f, "{instance_id}, which we have no record of: {condition}")
            }
        }
    }
}

/// Where something runs.
struct Place<'a>(&'a Option<AgentId>, &'a Option<String>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(Some(agent), Some(host)) => write!(f, " on {host} (agent {agent})"),
            Self(Some(agent), None) => write!(f, " on agent {agent}"),
            Self(None, Some(host)) => write!(f, " on {host}"),
            Self(None, None) => Ok(()),
        }
    }
}

struct Steps<'a>(&'a Step);

impl fmt::Display for Steps<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, action) in self.0.actions.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{:?} {}", action.action, action.pod)?;
        }
        Ok(())
    }
}
