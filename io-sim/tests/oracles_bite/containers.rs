//! What containers do that no scheduler can help. The model of Mesos does no such thing, so the jury is shown something
//! else than what happens.

use podium_sim::cluster::AgentIndex;
use podium_sim::oracle::Witness;
use podium_sim::world::{Container, Scene, Seen};

use super::*;

/// A jury that hears of everything from somebody else.
struct Misled<F> {
    jury: Jury,
    tell: F,
}

impl<F: FnMut(&mut Jury, &Seen<'_>, &Scene<'_>) -> Result<(), Violation>> Witness for Misled<F> {
    fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        (self.tell)(&mut self.jury, seen, scene)
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.jury.deadline()
    }

    fn is_satisfied(&self) -> bool {
        self.jury.is_satisfied()
    }
}

fn verdict_of_misled(
    plan: &Plan,
    tell: impl FnMut(&mut Jury, &Seen<'_>, &Scene<'_>) -> Result<(), Violation>,
) -> String {
    let mut world: World<'_, Scheduler, _> = World::new(plan, Misled { jury: Jury::deaf(), tell });
    world.run().expect_err("it is found").to_string()
}

#[test]
fn a_container_that_outlives_its_group() {
    let mut plan = plan_with(
        r#""backoff": { "backoff": 600, "maxLaunchDelay": 600 }"#,
        r#", "faults": [
          { "at": "1m", "do": { "container_exits": { "of": { "container": "a" }, "status": { "code": 1 } } } }]"#,
    );
    plan.workload.truncate(1);
    assert_eq!(run(&plan).violation, None);
    let found = verdict_of_misled(&plan, |jury, seen, scene| match seen {
        Seen::Ended { container, .. } if container.task().is_some_and(|task| *task.name == *"b") => Ok(()),
        _ => jury.see(seen, scene),
    });
    assert!(found.starts_with("atomicity: launch 1 of ") && found.ends_with("and b still runs"), "{found}");
}

#[test]
fn a_task_on_two_agents() {
    let found = verdict_of_misled(&plan(), |jury, seen, scene| {
        jury.see(seen, scene)?;
        match seen {
            Seen::Launched(container) if container.task().is_some() => {
                let (agent, ordinal) = (AgentIndex(1 - container.agent.0), container.ordinal + 1000);
                let twin = Arc::new(Container { agent, ordinal, ..Container::clone(container) });
                jury.see(&Seen::Launched(&twin), scene)
            }
            _ => Ok(()),
        }
    });
    assert!(found.starts_with("single: task ") && found.contains(" and on agent "), "{found}");
}
