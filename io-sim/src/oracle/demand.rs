//! Nobody asks for offers that nobody needs: they are withheld from other frameworks.

use std::time::Duration;

use podium_core::Entry;
use podium_core::model::ids::{AgentId, Role};
use podium_core::model::instance::Instance;
use podium_core::model::time::Timestamp;

use super::ledger::Ledger;
use super::{Violation, queue, volumes};
use crate::cluster::AgentStanding;
use crate::world::Scene;

const NAME: &str = "demand";
/// So long the master may go on making offers after the last one who waited for them.
const PATIENCE: Duration = Duration::from_secs(60);
/// So long it may take until it is clear that everything was given back that was kept for copies which are gone.
const RELEASE_PATIENCE: Duration = Duration::from_secs(20 * 60);

/// Looks whom the master makes offers.
#[derive(Clone, Debug, Default)]
pub(super) struct Demand {
    /// The role whose offers nobody needed the last time, and since when.
    idle: Option<(Role, Timestamp)>,
    /// Since when nothing is kept for copies that are gone.
    released: Option<Timestamp>,
}

impl Demand {
    pub(super) fn look(&mut self, ledger: &Ledger, scene: &Scene<'_>) -> Result<(), Violation> {
        // What was said to a master that is out of reach was said in vain.
        let (Some(api), Some(_)) = (scene.api, scene.calm_since) else {
            *self = Self::default();
            return Ok(());
        };
        let framework =
            scene.cluster.frameworks().find(|framework| api.framework_id() == Some(framework.framework_id));
        let Some(framework) = framework else { return Ok(()) };
        let offered = framework.info.roles.iter().filter(|role| !framework.suppressed.contains(role));
        let offered: Vec<&Role> = offered.collect();
        if offered.is_empty() {
            self.idle = None;
            return Ok(());
        }
        self.released = match volumes::reserved_for_gone(ledger, scene).is_empty() {
            true => self.released.or(Some(scene.now)),
            false => None,
        };
        let is_released = self.released.is_some_and(|at| scene.now.since(at) > RELEASE_PATIENCE);
        let idle = offered.into_iter().find(|role| !is_needed(role, is_released, scene));
        let before = self.idle.take().filter(|(role, _)| Some(role) == idle);
        self.idle = before.or_else(|| idle.map(|role| (role.clone(), scene.now)));
        match &self.idle {
            Some((role, since)) if scene.now.since(*since) > PATIENCE => {
                let waited = scene.now.since(*since);
                let sentence = format!(
                    "for {waited:?} offers to the role {role} are asked for, and nobody waits for any"
                );
                Err(Violation::new(NAME, sentence))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a copy waits for offers to `role`, that of its definition or of its volumes, or did less than a minute ago, since
/// one that fails again and again waits between two looks; or something may be reserved for it that is to be given back. An
/// agent that is away may come back with that.
fn is_needed(role: &Role, is_released: bool, scene: &Scene<'_>) -> bool {
    let is_of_definition =
        |instance: &Instance| scene.store.spec(&instance.id.pod).is_some_and(|spec| spec.role == *role);
    let is_there = |agent: &AgentId| {
        scene.cluster.standing(agent).is_some_and(|(_, standing)| standing == AgentStanding::Registered)
    };
    scene.store.entries().any(|entry| match entry {
        Entry::Instance(instance) => {
            let staged_at = instance.tasks.first().map(|task| task.staged_at);
            let has_waited = staged_at.is_some_and(|at| scene.clock.since(at) < PATIENCE);
            (queue::waits(instance) || has_waited) && (instance.role == *role || is_of_definition(instance))
        }
        Entry::Leftover(leftover) => {
            leftover.role == *role && !(is_released && is_there(&leftover.agent.agent_id))
        }
        _ => false,
    })
}
