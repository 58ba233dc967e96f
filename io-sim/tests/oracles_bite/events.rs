//! What is published.

use super::*;

/// Leaves out or doubles what it is to publish, once.
macro_rules! misreport {
    ($name:ident, $times:expr, $kind:pat) => {
        #[derive(Clone, Default)]
        struct $name(bool);
        impl Bug for $name {
            fn say(&mut self, mut output: Output) -> Output {
                let is_it = |action: &Action| {
                    matches!(action, Action::Publish(event) if matches!(event.kind, $kind))
                };
                if let Some(index) = output.actions.iter().position(is_it).filter(|_| !self.0) {
                    self.0 = true;
                    let action = output.actions.remove(index);
                    output.actions.splice(index..index, std::iter::repeat_n(action, $times));
                }
                output
            }
        }
        let found = violation::<$name>(&plan()).to_string();
        assert!(found.starts_with("events: "), "{found}");
    };
}

#[test]
fn events_that_do_not_come() {
    misreport!(Update, 0, ApiEventKind::StatusUpdateEvent { .. });
    misreport!(Instance, 0, ApiEventKind::InstanceChangedEvent { .. });
    misreport!(Begin, 0, ApiEventKind::DeploymentInfo { .. });
    misreport!(Step, 0, ApiEventKind::DeploymentStepSuccess { .. });
    misreport!(End, 0, ApiEventKind::DeploymentSuccess { .. });
    misreport!(Created, 0, ApiEventKind::PodCreatedEvent { .. });
    misreport!(Deleted, 0, ApiEventKind::PodDeletedEvent { .. });
    misreport!(Group, 0, ApiEventKind::GroupChangeSuccess { .. });
    misreport!(Terminated, 0, ApiEventKind::AppTerminatedEvent { .. });
    misreport!(Subscribed, 0, ApiEventKind::SchedulerRegisteredEvent { .. });
}

#[test]
fn events_that_come_twice() {
    misreport!(Update, 2, ApiEventKind::StatusUpdateEvent { .. });
    misreport!(Instance, 2, ApiEventKind::InstanceChangedEvent { .. });
    misreport!(Begin, 2, ApiEventKind::DeploymentInfo { .. });
    misreport!(End, 2, ApiEventKind::DeploymentSuccess { .. });
    misreport!(Changed, 2, ApiEventKind::PodUpdatedEvent { .. });
    misreport!(Terminated, 2, ApiEventKind::AppTerminatedEvent { .. });
}

#[test]
fn a_health_that_is_not_the_one_that_is_shown() {
    #[derive(Clone, Default)]
    struct Rosy;
    impl Bug for Rosy {
        fn say(&mut self, mut output: Output) -> Output {
            for action in &mut output.actions {
                if let Action::Publish(event) = action
                    && let ApiEventKind::InstanceHealthChangedEvent { healthy, .. } = &mut event.kind
                {
                    *healthy = healthy.map(|_| true);
                }
            }
            output
        }
    }
    let check = r#", "healthCheck": { "exec": { "command": { "shell": "check" } }, "intervalSeconds": 5,
                     "timeoutSeconds": 1, "maxConsecutiveFailures": 30, "gracePeriodSeconds": 5 }"#;
    let ill = r#", "faults": [
        { "at": "3m", "do": { "container_unhealthy": { "of": { "nth": 0 }, "lasts": "1m" } } }]"#;
    let found = violation::<Rosy>(&surplus("", check, ill)).to_string();
    assert!(found.starts_with("events: the health of "), "{found}");
}
