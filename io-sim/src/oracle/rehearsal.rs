//! What a dry run says is what the request does then. That the dry run itself does nothing need not be looked at: it
//! borrows the scheduler, in which nothing can be changed that way.
//!
//! Where a plan's clients try every request first, what the answer was to be is compared with what it is: the same
//! refusal or the same kind of success, the same definition, the same steps. If all goes well until the deployment is
//! done, as a dry run supposes, it has started as many copies and ended those that the dry run said; or as many others if one
//! that stays came further meanwhile, since that one goes later then.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::RefUnwindSafe;
use std::time::Duration;

use podium_core::model::deployment::Deployment;
use podium_core::model::event::ApiEventKind;
use podium_core::model::ids::{DeploymentId, InstanceId, PodId};
use podium_core::model::instance::{Condition, Goal, GoalReason, Instance, KillReason};
use podium_core::model::pod::PodSpec;
use podium_core::model::time::Timestamp;
use podium_core::view::{Plan, StepStatus};
use podium_core::{Command, Entry, Key, Preview, Record, Refusal, Response, Scheduler};

use super::Violation;
use crate::world::{Scene, Seen};

const NAME: &str = "rehearsal";

/// After so long Mesos has been asked about everything, and has answered.
const ASKED_AFTER: Duration = Duration::from_secs(60);

/// Nothing in a scheduler is a cell.
const _: fn() = || {
    fn has_no_cells<T: RefUnwindSafe>() {}
    has_no_cells::<Scheduler>();
};

/// Tries requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Rehearsal {
    /// The request that was tried and is about to be made, and what came of that.
    tried: Option<(Command, Result<Preview, Refusal>)>,
    /// Since when there is a subscription.
    subscribed: Option<Timestamp>,
    /// The deployments of which a dry run said what they would do, as long as all goes well.
    foreseen: BTreeMap<DeploymentId, Foreseen>,
    /// The copies that there are, with their goals and conditions, and whether they are to end.
    copies: BTreeMap<InstanceId, (Goal, Condition, bool)>,
    /// The deployments on their way, with the pods that they change.
    deployments: BTreeMap<DeploymentId, BTreeSet<PodId>>,
}

/// What a deployment was to do, and what it has done.
#[derive(Clone, Debug)]
struct Foreseen {
    pods: BTreeSet<PodId>,
    /// The copies that were there before.
    named: BTreeSet<InstanceId>,
    /// Whether those that stay are as they were.
    names_hold: bool,
    was_to: Deeds,
    did: Deeds,
}

/// What became of copies: how many were started and ended of each pod, and who of those that were there before ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Deeds {
    started: BTreeMap<PodId, u32>,
    ended: BTreeMap<PodId, u32>,
    named: BTreeSet<InstanceId>,
}

impl Rehearsal {
    #[inline]
    pub(super) fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        if scene.plan.rehearsed { self.see_rehearsed(seen, scene) } else { Ok(()) }
    }

    fn see_rehearsed(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Asked(command) => {
                let Some(api) = scene.api else { return Ok(()) };
                let preview = api.rehearse(Command::clone(command)).play(scene.clock);
                self.tried = Some((Command::clone(command), preview));
            }
            Seen::Died { .. } => {
                self.tried = None;
                self.subscribed = None;
            }
            Seen::Disconnected => self.subscribed = None,
            Seen::Subscribed => self.subscribed = Some(scene.now),
            Seen::Decided { command, result } => {
                let Some((_, preview)) = self.tried.take().filter(|(tried, _)| tried == *command) else {
                    return Ok(());
                };
                let result = result.as_deref().map_err(|refusal| &**refusal);
                compare(&preview, result, scene)?;
                if let (Ok(preview), Ok(response)) = (preview, result) {
                    check_rounds(&preview.plan)?;
                    self.compare_cancelled(&preview.plan, response, scene)?;
                    self.follow(&preview, response, scene);
                }
            }
            Seen::Written(records) => records.iter().for_each(|record| self.take_down(record)),
            Seen::Published(event) => match &event.kind {
                ApiEventKind::DeploymentFailed { id, .. } => {
                    self.foreseen.remove(id);
                }
                ApiEventKind::DeploymentSuccess { id, .. } => match self.foreseen.remove(id) {
                    Some(foreseen) if !foreseen.is_done_as_foreseen() => {
                        let Foreseen { was_to, did, .. } = foreseen;
                        return bad(format!("deployment {id} was to do {was_to:?}, and did {did:?}"));
                    }
                    _ => {}
                },
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }

    /// What gives way to the deployment of a request is what the dry run said.
    fn compare_cancelled(
        &self,
        plan: &Plan,
        response: &Response,
        scene: &Scene<'_>,
    ) -> Result<(), Violation> {
        let is_there = |id: &DeploymentId| scene.store.get(&Key::Deployment(id.clone())).is_some();
        let Some(id) = response.deployment() else { return Ok(()) };
        let Some(Entry::Deployment(deployment)) = scene.store.get(&Key::Deployment(id.clone())) else {
            return Ok(());
        };
        // One that changes others, too, goes on for these, and may be done at once.
        let affected: BTreeSet<&PodId> = deployment.affected_pods().collect();
        let is_about_no_other = |pods: &BTreeSet<PodId>| pods.iter().all(|pod| affected.contains(pod));
        let cancelled = self.deployments.iter().filter(|(id, pods)| is_about_no_other(pods) && !is_there(id));
        match cancelled.map(|(id, _)| id).find(|id| !plan.cancels.contains(id)) {
            Some(id) => bad(format!("the request cancelled deployment {id}, and the dry run did not say so")),
            None => Ok(()),
        }
    }

    /// Looks on at what comes of a request that was tried.
    fn follow(&mut self, preview: &Preview, response: &Response, scene: &Scene<'_>) {
        if matches!(response, Response::InstancesKilled(_)) {
            // Whoever kills copies changes what deployments do to them.
            self.foreseen.clear();
        }
        // What is known of copies may be old news, and who goes is decided by what Mesos says.
        let knows_its_copies = self.subscribed.is_some_and(|at| scene.now.since(at) >= ASKED_AFTER);
        let Preview { plan, .. } = preview;
        let Some(id) = response
            .deployment()
            .filter(|_| knows_its_copies && plan.is_complete && plan.waits_for.is_none())
        else {
            return;
        };
        let Some(Entry::Deployment(deployment)) = scene.store.get(&Key::Deployment(id.clone())) else {
            return;
        };
        let pods: BTreeSet<PodId> = deployment.affected_pods().cloned().collect();
        let named: BTreeSet<InstanceId> =
            self.copies.keys().filter(|copy| pods.contains(&copy.pod)).cloned().collect();
        if named.iter().any(|id| is_coming_back(id, scene)) {
            return;
        }
        let was_to = Deeds::planned(plan);
        let did = Deeds::default();
        self.foreseen.insert(id.clone(), Foreseen { pods, named, names_hold: true, was_to, did });
    }

    fn take_down(&mut self, record: &Record) {
        match record {
            Record::Put(Entry::Instance(instance)) => {
                let id = &instance.id;
                let now = (instance.goal, instance.condition, is_to_end(instance));
                let before = self.copies.insert(id.clone(), now);
                // One that comes back makes one too many, of which a dry run knew nothing.
                let was_away = before.is_some_and(|(_, condition, _)| is_away(condition));
                let is_foreseen = is_well(instance) && !was_away;
                self.foreseen.retain(|_, foreseen| !foreseen.pods.contains(&id.pod) || is_foreseen);
                let Some(foreseen) = self.foreseen.values_mut().find(|one| one.pods.contains(&id.pod)) else {
                    return;
                };
                // Who goes is decided a portion at a time, and one that has come further meanwhile goes later.
                if before.is_some_and(|(_, condition, _)| condition != instance.condition)
                    && !is_to_end(instance)
                    && foreseen.named.contains(id)
                {
                    foreseen.names_hold = false;
                }
                if before.is_none() {
                    *foreseen.did.started.entry(id.pod.clone()).or_default() += 1;
                }
                let ended_before = before.is_some_and(|(.., is_to_end)| is_to_end);
                if is_to_end(instance) && !ended_before {
                    foreseen.ends(id);
                }
            }
            Record::Delete(Key::Instance(id)) => {
                let Some((Goal::Running, condition, _)) = self.copies.remove(id) else { return };
                if condition == Condition::Scheduled {
                    // One that was never launched is gone at once.
                    let foreseen = self.foreseen.values_mut().find(|one| one.pods.contains(&id.pod));
                    foreseen.into_iter().for_each(|foreseen| foreseen.ends(id));
                } else {
                    self.foreseen.retain(|_, foreseen| !foreseen.pods.contains(&id.pod));
                }
            }
            Record::Put(Entry::Deployment(deployment)) => {
                let pods: BTreeSet<PodId> = deployment.affected_pods().cloned().collect();
                // One that was in the way is no more, or goes on for its other pods.
                self.foreseen.retain(|id, one| match *id == deployment.id {
                    true => one.pods == pods,
                    false => one.pods.is_disjoint(&pods),
                });
                self.deployments.insert(deployment.id.clone(), pods);
            }
            Record::Delete(Key::Deployment(id)) => {
                self.deployments.remove(id);
            }
            Record::Put(_) | Record::Delete(_) => {}
        }
    }
}

impl Foreseen {
    fn is_done_as_foreseen(&self) -> bool {
        let Self { was_to, did, .. } = self;
        was_to.started == did.started
            && was_to.ended == did.ended
            && (!self.names_hold || was_to.named == did.named)
    }

    fn ends(&mut self, id: &InstanceId) {
        // One that came back may have to go all the same.
        if !self.named.contains(id) || self.did.named.insert(id.clone()) {
            *self.did.ended.entry(id.pod.clone()).or_default() += 1;
        }
    }
}

impl Deeds {
    fn planned(plan: &Plan) -> Self {
        let mut deeds = Self::default();
        for start in &plan.start {
            *deeds.started.entry(start.pod.clone()).or_default() += start.instances;
        }
        for kill in &plan.kill {
            *deeds.ended.entry(kill.pod.clone()).or_default() += 1;
            deeds.named.extend(kill.instance.clone());
        }
        deeds
    }
}

/// Whether a copy is on its way to run, runs, or ends because that was planned.
fn is_well(instance: &Instance) -> bool {
    let is_given_up = matches!(instance.goal_reason, Some(GoalReason::Unreachable | GoalReason::UserRequest));
    let is_well = match instance.condition {
        Condition::Scheduled
        | Condition::Provisioned
        | Condition::Staging
        | Condition::Starting
        | Condition::Running => true,
        away if is_away(away) => false,
        _ => is_to_end(instance),
    };
    is_well && !is_given_up && instance.healthy != Some(false)
}

/// Whether a copy was asked to end by a deployment, for good or to come back as the new version.
fn is_to_end(instance: &Instance) -> bool {
    instance.goal == Goal::Decommissioned
        || instance.kill_requested.is_some_and(|request| request.reason == KillReason::Upgrading)
}

/// Whether a copy that was to end was to be launched again before there was the deployment. If it has ended by then it
/// comes back as the new version, and before that it is an old one that does not serve.
fn is_coming_back(id: &InstanceId, scene: &Scene<'_>) -> bool {
    match scene.store.get(&Key::Instance(id.clone())) {
        Some(Entry::Instance(instance)) => {
            instance.goal == Goal::Running && instance.kill_requested.is_some()
        }
        _ => false,
    }
}

fn is_away(condition: Condition) -> bool {
    matches!(condition, Condition::Unreachable | Condition::UnreachableInactive)
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

/// The rounds of a plan are counted from 1, none of them is empty, and what is started in one is said once for each pod.
fn check_rounds(plan: &Plan) -> Result<(), Violation> {
    let rounds = plan.start.iter().map(|start| start.round).chain(plan.kill.iter().map(|kill| kill.round));
    let rounds: BTreeSet<u32> = rounds.collect();
    let said: BTreeSet<_> = plan.start.iter().map(|start| (start.round, &start.pod)).collect();
    if rounds.iter().copied().eq((1..).take(rounds.len())) && said.len() == plan.start.len() {
        return Ok(());
    }
    bad(format!("the dry run has rounds that are not counted one by one: {:?}, {:?}", plan.start, plan.kill))
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
