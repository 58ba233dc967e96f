//! What a dry run says is what the request does then, and the dry run itself does nothing.
//!
//! Where a plan's clients try every request first, what the answer was to be is compared with what it is: the same
//! refusal or the same kind of success, the same definition, the same steps.

use podium_core::model::deployment::Deployment;
use podium_core::model::pod::PodSpec;
use podium_core::model::time::Timestamp;
use podium_core::view::StepStatus;
use podium_core::{Command, Entry, Key, Preview, Refusal, Response, Scheduler};

use super::Violation;
use crate::world::{Scene, Seen};

const NAME: &str = "rehearsal";

/// Tries requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Rehearsal {
    /// The request that was tried and is about to be made, and what came of that.
    tried: Option<(Command, Result<Preview, Refusal>)>,
}

impl Rehearsal {
    pub(super) fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Asked(command) if scene.plan.rehearsed => {
                let Some(api) = scene.api else { return Ok(()) };
                let before = outline(api, scene.clock);
                let preview = api.rehearse(Command::clone(command)).play(scene.clock);
                if outline(api, scene.clock) != before {
                    return bad("after a dry run the API shows something else".to_owned());
                }
                self.tried = Some((Command::clone(command), preview));
            }
            Seen::Died { .. } => self.tried = None,
            Seen::Decided { command, result } => {
                let Some((_, preview)) = self.tried.take().filter(|(tried, _)| tried == *command) else {
                    return Ok(());
                };
                return compare(&preview, result.as_deref().map_err(|refusal| &**refusal), scene);
            }
            _ => {}
        }
        Ok(())
    }
}

/// What everybody sees: the definitions and the deployments, with how far they are.
fn outline(api: &Scheduler, now: Timestamp) -> impl PartialEq + use<> {
    let specs: Vec<_> = api.pods().map(|spec| (spec.clone(), api.pod_versions(&spec.id))).collect();
    let statuses: Vec<_> = specs.iter().map(|(spec, _)| api.pod_status(&spec.id, now)).collect();
    (specs, statuses, api.deployments(), api.instance_count())
}

fn compare(
    preview: &Result<Preview, Refusal>,
    result: Result<&Response, &Refusal>,
    scene: &Scene<'_>,
) -> Result<(), Violation> {
    let (preview, response) = match (preview, result) {
        (Ok(preview), Ok(response)) => (preview, response),
        (Err(foreseen), Err(refusal)) if foreseen == refusal => return Ok(()),
        (Err(foreseen), Err(refusal)) => {
            return bad(format!(
                "the dry run was refused because of '{foreseen}', the request because of '{refusal}'"
            ));
        }
        (Ok(_), Err(refusal)) => {
            return bad(format!("the dry run was accepted, the request refused: {refusal}"));
        }
        (Err(foreseen), Ok(_)) => {
            return bad(format!("the dry run was refused, the request accepted: {foreseen}"));
        }
    };
    if !is_alike(&preview.response, response) {
        return bad(format!(
            "the dry run was answered with {:?}, the request with {response:?}",
            preview.response
        ));
    }
    let deployment = response.deployment().and_then(|id| scene.store.get(&Key::Deployment(id.clone())));
    if let Some(Entry::Deployment(Deployment { steps, .. })) = deployment {
        let steps: Vec<StepStatus> = steps.iter().map(StepStatus::from).collect();
        if steps != preview.plan.steps {
            return bad(format!(
                "the dry run showed the steps {:?}, the request has {steps:?}",
                preview.plan.steps
            ));
        }
    }
    let is_there = |id: &&_| scene.store.get(&Key::Deployment(Clone::clone(*id))).is_some();
    match preview.plan.cancels.iter().find(is_there) {
        Some(id) => bad(format!("the dry run would have cancelled deployment {id}, the request did not")),
        None => Ok(()),
    }
}

/// Whether two answers are the same but for versions and ids, which are made up in a dry run.
fn is_alike(one: &Response, other: &Response) -> bool {
    let is_same = |one: &PodSpec, other: &PodSpec| {
        PodSpec { version: Timestamp::EPOCH, ..one.clone() }
            == PodSpec { version: Timestamp::EPOCH, ..other.clone() }
    };
    match (one, other) {
        (Response::PodCreated { pod: one, .. }, Response::PodCreated { pod: other, .. })
        | (Response::PodUpdated { pod: one, .. }, Response::PodUpdated { pod: other, .. }) => {
            is_same(one, other)
        }
        (Response::InstancesKilled(one), Response::InstancesKilled(other)) => one == other,
        (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}

fn bad(sentence: String) -> Result<(), Violation> {
    Err(Violation::new(NAME, sentence))
}
