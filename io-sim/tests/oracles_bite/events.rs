//! What is published.

use super::*;

/// Leaves out or doubles what it is to publish, once.
macro_rules! misreport {
    ($times:expr, $kind:pat) => {
        let misreports = bug!(say_with, bool, |is_done, output| {
            let is_it =
                |action: &Action| matches!(action, Action::Publish(event) if matches!(event.kind, $kind));
            if let Some(index) = output.actions.iter().position(is_it).filter(|_| !*is_done) {
                *is_done = true;
                let action = output.actions.remove(index);
                output.actions.splice(index..index, std::iter::repeat_n(action, $times));
            }
        });
        let found = violation(misreports, &plan()).to_string();
        assert!(found.starts_with("events: "), "{found}");
    };
}

#[test]
fn events_that_do_not_come() {
    misreport!(0, ApiEventKind::StatusUpdateEvent { .. });
    misreport!(0, ApiEventKind::InstanceChangedEvent { .. });
    misreport!(0, ApiEventKind::DeploymentInfo { .. });
    misreport!(0, ApiEventKind::DeploymentStepSuccess { .. });
    misreport!(0, ApiEventKind::DeploymentSuccess { .. });
    misreport!(0, ApiEventKind::PodCreatedEvent { .. });
    misreport!(0, ApiEventKind::PodDeletedEvent { .. });
    misreport!(0, ApiEventKind::GroupChangeSuccess { .. });
    misreport!(0, ApiEventKind::AppTerminatedEvent { .. });
    misreport!(0, ApiEventKind::SchedulerRegisteredEvent { .. });
}

#[test]
fn events_that_come_twice() {
    misreport!(2, ApiEventKind::StatusUpdateEvent { .. });
    misreport!(2, ApiEventKind::InstanceChangedEvent { .. });
    misreport!(2, ApiEventKind::DeploymentInfo { .. });
    misreport!(2, ApiEventKind::DeploymentSuccess { .. });
    misreport!(2, ApiEventKind::PodUpdatedEvent { .. });
    misreport!(2, ApiEventKind::AppTerminatedEvent { .. });
}

#[test]
fn a_health_that_is_not_the_one_that_is_shown() {
    let rosy = bug!(say, |output| {
        for action in &mut output.actions {
            if let Action::Publish(event) = action
                && let ApiEventKind::InstanceHealthChangedEvent { healthy, .. } = &mut event.kind
            {
                *healthy = healthy.map(|_| true);
            }
        }
    });
    let check = r#", "healthCheck": { "exec": { "command": { "shell": "check" } }, "intervalSeconds": 5,
                     "timeoutSeconds": 1, "maxConsecutiveFailures": 30, "gracePeriodSeconds": 5 }"#;
    let ill = r#", "faults": [
        { "at": "3m", "do": { "container_unhealthy": { "of": { "nth": 0 }, "lasts": "1m" } } }]"#;
    let found = violation(rosy, &surplus("", check, ill)).to_string();
    assert!(found.starts_with("events: the health of "), "{found}");
}
