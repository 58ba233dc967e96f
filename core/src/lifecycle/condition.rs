//! From what Mesos says to what we call it: the condition of a container, and of an instance as a whole.
//!
//! | Mesos state | condition |
//! |---|---|
//! | `TASK_STAGING`, `_STARTING`, `_RUNNING`, `_KILLING` | Staging, Starting, Running, Killing |
//! | `TASK_FINISHED`, `_FAILED`, `_KILLED`, `_ERROR`, `_DROPPED` | Finished, Failed, Killed, Error, Dropped |
//! | `TASK_GONE`, `TASK_GONE_BY_OPERATOR` | Gone |
//! | `TASK_UNKNOWN` | Unknown |
//! | `TASK_UNREACHABLE` | Unreachable |
//! | `TASK_LOST`, "Reconciliation: Task is unknown to the …" | Unknown |
//! | `TASK_LOST` because of reconciliation or the agent's disconnection or removal | Unreachable |
//! | `TASK_LOST` otherwise | Gone |
//!
//! An instance's condition follows from those of its containers, the first row that applies:
//!
//! | containers | instance |
//! |---|---|
//! | none | Scheduled |
//! | some Unreachable | Unreachable: nothing can be said about the group until its agent is back |
//! | some Error, Failed, Gone, Dropped or Unknown | the first of these, in this order: it takes the group down |
//! | all ended | Finished if one finished, else Killed |
//! | some Killed or Killing | Killing: the rest follows |
//! | some Starting, Staging or Provisioned | the first of these, in this order |
//! | otherwise | Running (beside Finished ones) |

use crate::model::instance::{Condition, Instance, Task};
use crate::model::mesos::{StatusReason, TaskState, TaskStatus};
use crate::model::pod::PodSpec;

/// What a status update says about its container.
pub(crate) fn condition_of(status: &TaskStatus) -> Condition {
    match status.state {
        TaskState::TaskStaging => Condition::Staging,
        TaskState::TaskStarting => Condition::Starting,
        TaskState::TaskRunning => Condition::Running,
        TaskState::TaskKilling => Condition::Killing,
        TaskState::TaskFinished => Condition::Finished,
        TaskState::TaskFailed => Condition::Failed,
        TaskState::TaskKilled => Condition::Killed,
        TaskState::TaskError => Condition::Error,
        TaskState::TaskDropped => Condition::Dropped,
        TaskState::TaskGone | TaskState::TaskGoneByOperator => Condition::Gone,
        TaskState::TaskUnknown => Condition::Unknown,
        TaskState::TaskUnreachable => Condition::Unreachable,
        TaskState::TaskLost => condition_of_lost(status),
    }
}

/// Masters send `TASK_LOST` to frameworks that cannot tell partitions from losses and, to all, when an agent
/// unregisters.
fn condition_of_lost(status: &TaskStatus) -> Condition {
    let message = status.message.as_deref().unwrap_or_default();
    if message.starts_with("Reconciliation: Task is unknown to the") {
        return Condition::Unknown;
    }
    match status.reason {
        Some(StatusReason::ReasonTaskUnknown) => Condition::Unknown,
        Some(
            StatusReason::ReasonReconciliation
            | StatusReason::ReasonAgentDisconnected
            | StatusReason::ReasonAgentRemoved,
        ) => Condition::Unreachable,
        _ => Condition::Gone,
    }
}

/// The condition of an instance with these containers. See the table above.
pub(crate) fn condition_of_instance(tasks: &[Task]) -> Condition {
    let some = |condition: Condition| tasks.iter().any(|task| task.condition == condition);
    let first = |order: &[Condition]| order.iter().copied().find(|condition| some(*condition));
    if tasks.is_empty() {
        return Condition::Scheduled;
    }
    if some(Condition::Unreachable) {
        return Condition::Unreachable;
    }
    let fatal =
        [Condition::Error, Condition::Failed, Condition::Gone, Condition::Dropped, Condition::Unknown];
    if let Some(condition) = first(&fatal) {
        return condition;
    }
    if tasks.iter().all(|task| task.condition.is_terminal()) {
        return if some(Condition::Finished) { Condition::Finished } else { Condition::Killed };
    }
    if some(Condition::Killed) || some(Condition::Killing) {
        return Condition::Killing;
    }
    first(&[Condition::Starting, Condition::Staging, Condition::Provisioned]).unwrap_or(Condition::Running)
}

/// The verdict of all health checks: unhealthy if one says so, healthy if all say so, otherwise none. A
/// container that finished has nothing left to be checked, so when all that are checked have finished, nothing
/// speaks against the others.
pub(crate) fn health_of_instance(tasks: &[Task], spec: &PodSpec) -> Option<bool> {
    let checked =
        || spec.containers.iter().zip(tasks).filter(|(container, _)| container.health_check.is_some());
    checked().next()?;
    let verdicts =
        || checked().filter(|(_, task)| task.condition != Condition::Finished).map(|(_, task)| task.healthy);
    if verdicts().any(|healthy| healthy == Some(false)) {
        return Some(false);
    }
    verdicts().all(|healthy| healthy == Some(true)).then_some(true)
}

/// Whether a container ended in a way that takes its group down while others have not ended yet.
pub(crate) fn is_broken(instance: &Instance) -> bool {
    !instance.has_ended()
        && instance
            .tasks
            .iter()
            .any(|task| task.condition.is_terminal() && task.condition != Condition::Finished)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::TaskId;
    use crate::model::time::Timestamp;

    const ALL: [Condition; 13] = [
        Condition::Provisioned,
        Condition::Staging,
        Condition::Starting,
        Condition::Running,
        Condition::Killing,
        Condition::Unreachable,
        Condition::Finished,
        Condition::Killed,
        Condition::Failed,
        Condition::Error,
        Condition::Dropped,
        Condition::Gone,
        Condition::Unknown,
    ];

    fn tasks(conditions: &[Condition]) -> Vec<Task> {
        let task = |condition: &Condition| Task {
            condition: *condition,
            ..Task::provisioned("c".into(), Vec::new(), Timestamp::EPOCH)
        };
        conditions.iter().map(task).collect()
    }

    fn of(conditions: &[Condition]) -> Condition {
        condition_of_instance(&tasks(conditions))
    }

    #[test]
    fn every_state_has_a_condition() {
        let table: Vec<String> = TaskState::ALL
            .iter()
            .map(|state| format!("{state} {}", condition_of(&TaskStatus::new(TaskId::from("t"), *state))))
            .collect();
        insta::assert_snapshot!(table.join("\n"));
    }

    #[test]
    fn a_lost_task_may_be_out_of_reach_unknown_or_gone() {
        let lost = |reason, message: &str| {
            let mut status = TaskStatus::new(TaskId::from("t"), TaskState::TaskLost);
            status.reason = reason;
            status.message = Some(message.to_owned());
            condition_of(&status)
        };
        let reconciled = Some(StatusReason::ReasonReconciliation);
        assert_eq!(lost(reconciled, "Reconciliation: Task is unknown to the agent"), Condition::Unknown);
        assert_eq!(lost(reconciled, "Reconciliation: Task is unreachable"), Condition::Unreachable);
        assert_eq!(lost(None, ""), Condition::Gone);
        for reason in StatusReason::ALL {
            let expected = match reason {
                StatusReason::ReasonTaskUnknown => Condition::Unknown,
                StatusReason::ReasonAgentDisconnected
                | StatusReason::ReasonAgentRemoved
                | StatusReason::ReasonReconciliation => Condition::Unreachable,
                _ => Condition::Gone,
            };
            assert_eq!(lost(Some(reason), ""), expected, "{reason:?}");
        }
    }

    #[test]
    fn the_reason_decides_about_lost_tasks_only() {
        for state in TaskState::ALL.into_iter().filter(|state| *state != TaskState::TaskLost) {
            let mut status = TaskStatus::new(TaskId::from("t"), state);
            let without = condition_of(&status);
            for reason in StatusReason::ALL {
                status.reason = Some(reason);
                assert_eq!(condition_of(&status), without, "{state} {reason:?}");
            }
        }
    }

    /// The first of these that a group has is its condition, while something of it may be alive.
    const ALIVE: [(Condition, Condition); 13] = [
        (Condition::Unreachable, Condition::Unreachable),
        (Condition::Error, Condition::Error),
        (Condition::Failed, Condition::Failed),
        (Condition::Gone, Condition::Gone),
        (Condition::Dropped, Condition::Dropped),
        (Condition::Unknown, Condition::Unknown),
        (Condition::Killing, Condition::Killing),
        (Condition::Killed, Condition::Killing),
        (Condition::Starting, Condition::Starting),
        (Condition::Staging, Condition::Staging),
        (Condition::Provisioned, Condition::Provisioned),
        (Condition::Running, Condition::Running),
        (Condition::Finished, Condition::Running),
    ];

    /// The same when all of it has ended.
    const ENDED: [(Condition, Condition); 7] = [
        (Condition::Error, Condition::Error),
        (Condition::Failed, Condition::Failed),
        (Condition::Gone, Condition::Gone),
        (Condition::Dropped, Condition::Dropped),
        (Condition::Unknown, Condition::Unknown),
        (Condition::Finished, Condition::Finished),
        (Condition::Killed, Condition::Killed),
    ];

    /// Exhaustive over groups of three, which no larger group goes beyond: the condition depends on which
    /// conditions there are, and not on how many or in which order.
    #[test]
    fn the_condition_of_every_group_of_three() {
        for a in ALL {
            for b in ALL {
                for c in ALL {
                    let group = of(&[a, b, c]);
                    for other in [[a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]] {
                        assert_eq!(of(&other), group, "{other:?}");
                    }
                    let members = [a, b, c];
                    assert_eq!(of(&[a, b, c, b, a, a]), group, "{members:?}, several times");
                    let ended = members.iter().all(|member| member.is_terminal());
                    let order: &[(Condition, Condition)] = if ended { &ENDED } else { &ALIVE };
                    let first = order.iter().find(|(member, _)| members.contains(member));
                    assert_eq!(first.map(|(_, group)| *group), Some(group), "{members:?}");
                }
            }
        }
    }

    #[test]
    fn one_condition_for_all_is_the_instances() {
        for condition in ALL {
            assert_eq!(of(&[condition, condition]), condition);
        }
        assert_eq!(of(&[]), Condition::Scheduled);
    }

    #[test]
    fn a_killed_container_takes_the_group_with_it() {
        assert_eq!(of(&[Condition::Killed, Condition::Running]), Condition::Killing);
        assert_eq!(of(&[Condition::Finished, Condition::Killed]), Condition::Finished);
    }
}
