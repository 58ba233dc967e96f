//! How we and Mesos come to agree on what runs: after every subscription, and from time to time.
//!
//! ```text
//!  subscribed, or the interval is over
//!        │
//!        ▼
//!  a round: all tasks that have not ended, asked about in chunks, always with their agent
//!        │    (and one of each copy that waits to go back to its volumes)
//!        │                                        then all that Mesos knows (implicit)
//!        ▼
//!  unanswered ones are asked about again, with growing pauses
//! ```
//!
//! Beside that, single copies are asked about out of turn when there is reason to: an executor or an agent is lost, a
//! launch is silent. These questions go out by themselves, and do not pull a round along.
//!
//! Answers come as ordinary status updates. No answer is legal: a master that has just taken over says
//! nothing about agents that have not come back yet. No rollout counts on copies there meanwhile (`rollout/doubt.rs`).
//!
//! What we know of a copy is old news until Mesos has been asked: it may be back in reach, up or ended by now. So no timer
//! of a copy acts without a connection, and after a subscription, or an absence, none does before all questions of the first round are
//! answered, or have had the time to be, which is counted from the last of them.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use crate::marks::Mark;
use crate::model::ids::{PodId, TaskId, Uuid};
use crate::model::instance::Instance;
use crate::model::mesos::{Call, ReconcileTask};
use crate::model::time::Timestamp;
use crate::scheduler::Scheduler;
use crate::state::Pod;

/// The pause between two chunks: a large cluster's answers should not come all at once.
const CHUNK_PAUSE: Duration = Duration::from_millis(100);

/// The first pause before unanswered questions are repeated; it doubles up to the interval between rounds.
const FIRST_RETRY: Duration = Duration::from_secs(15);

/// The longest one: a rollout may be waiting for the answer.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// Given-up instances are remembered so long. Mesos itself forgets lost agents after two weeks.
const FORGET_AFTER: Duration = Duration::from_secs(30 * 24 * 3600);

/// How far the comparison with Mesos has got.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reconciliation {
    /// Instances to be asked about out of turn.
    urgent: VecDeque<Uuid>,
    /// When the next of them may be asked about.
    next_urgent: Option<Timestamp>,
    /// The next instance to be asked about in this round, with its pod. The others follow by pod and age.
    next: Option<(PodId, Uuid)>,
    /// When this round began. Instances that came later are not part of it.
    began: Timestamp,
    /// Whether to ask for everything Mesos knows once all have been asked about.
    implicit: bool,
    /// Questions without an answer so far.
    unanswered: BTreeSet<TaskId>,
    /// Those of them to be asked once more.
    repeated: BTreeSet<TaskId>,
    /// When the next chunk may be sent.
    next_chunk: Option<Timestamp>,
    /// When to repeat what is unanswered, and the pause before that.
    retry: Option<(Timestamp, Duration)>,
    /// When the next round begins.
    next_round: Option<Timestamp>,
    trust: Trust,
}

/// Whether what is known can be acted upon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Trust {
    /// There is no connection.
    #[default]
    Never,
    /// Once Mesos has been asked about everything.
    OnceAsked,
    /// From then on.
    From(Timestamp),
}

impl Reconciliation {
    /// Nothing to ask: everything is as it is known to be.
    pub(crate) fn trusting(now: Timestamp) -> Self {
        Self { trust: Trust::From(now), ..Self::default() }
    }

    /// When something is to be asked.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let retry = self.retry.map(|(at, _)| at).filter(|_| !self.unanswered.is_empty());
        [self.next_urgent, self.next_chunk, retry, self.next_round].into_iter().flatten().min()
    }

    /// The copies of `pod` that a question is open about, those of which it is about several tasks more than once.
    pub(crate) fn asked_about(&self, pod: &PodId) -> impl Iterator<Item = Uuid> {
        let prefix = pod.instance_prefix();
        let open = [&self.unanswered, &self.repeated].into_iter();
        let open = open.flat_map(move |tasks| {
            let from = tasks.range::<str, _>((Bound::Included(&*prefix), Bound::Unbounded));
            let prefix = prefix.clone();
            from.take_while(move |task| task.as_str().starts_with(&prefix))
        });
        open.filter_map(|task| task.parse().ok().map(|id| id.uuid))
    }

    /// Mesos said something about `task`.
    fn answered(&mut self, task: &TaskId, now: Timestamp) {
        let was_open = self.unanswered.remove(task) || self.repeated.remove(task);
        if was_open && self.unanswered.is_empty() && self.repeated.is_empty() {
            // The pauses of later questions are their own.
            self.retry = None;
        }
        self.trust_if_complete(now);
    }

    fn trust_if_complete(&mut self, now: Timestamp) {
        if self.trust == Trust::OnceAsked && self.is_done() {
            self.trust = Trust::From(now + FIRST_RETRY);
        }
        if let Trust::From(at) = self.trust
            && self.is_done()
            && self.unanswered.is_empty()
        {
            self.trust = Trust::From(at.min(now));
        }
    }

    /// From when on what is known can be acted upon; absent while that cannot be said, and without a connection.
    pub(crate) fn trusted_from(&self) -> Option<Timestamp> {
        match self.trust {
            Trust::From(at) => Some(at),
            Trust::Never | Trust::OnceAsked => None,
        }
    }

    fn is_done(&self) -> bool {
        self.urgent.is_empty() && self.next.is_none() && self.repeated.is_empty()
    }

    /// The next instance to be asked about once more.
    fn next_repeated(&mut self) -> Option<Uuid> {
        let uuid_of = |task: &TaskId| task.parse().ok().map(|id| id.uuid);
        let uuid = uuid_of(&self.repeated.pop_first()?)?;
        // All tasks of an instance are asked about together. Their ids begin with its own.
        while self.repeated.first().is_some_and(|task| uuid_of(task) == Some(uuid)) {
            self.repeated.pop_first();
        }
        Some(uuid)
    }
}

/// The tasks of `instance`, one of `pod`, that have not ended; or one of its last launch if the copy waits to go back to its
/// volumes, also if that launch was never sent: of an agent where nothing runs Mesos does not say by itself that it is gone
/// for good.
fn tasks_to_ask_about<'a>(instance: &'a Instance, pod: &'a Pod) -> impl Iterator<Item = TaskId> + 'a {
    let alive = instance.tasks.iter().filter(|task| !task.condition.is_terminal());
    let spec = pod.spec_of(instance.version).filter(|_| instance.waits_for_its_home());
    let ended = spec.and_then(|spec| spec.containers.first()).map(|container| container.name.as_str());
    let containers = alive.map(|task| &*task.container).chain(ended);
    containers.map(|container| instance.id.task_id(container, instance.incarnation))
}

impl Scheduler {
    /// There is a new subscription, or it is doubtful what was heard: everything is uncertain.
    pub(crate) fn restart_reconciliation(&mut self) {
        self.reconciliation = Reconciliation::default();
        self.start_round();
        self.reconciliation.trust = Trust::OnceAsked;
    }

    /// Mesos said something about `task`.
    pub(crate) fn answered(&mut self, task: &TaskId) {
        self.reconciliation.answered(task, self.now);
        if !self.in_doubt.is_empty()
            && let Ok(task) = task.parse()
        {
            self.look_again_if_certain(&task.instance().pod);
        }
    }

    fn start_round(&mut self) {
        let unanswered = std::mem::take(&mut self.reconciliation.unanswered);
        self.reconciliation = Reconciliation {
            next: self.first_instance_after(None, self.now),
            began: self.now,
            implicit: true,
            next_chunk: Some(self.now),
            next_round: Some(self.now + self.config.reconciliation_interval),
            // What was asked before and has no answer is asked again, with all the others.
            unanswered,
            retry: self.reconciliation.retry,
            trust: self.reconciliation.trust,
            ..Reconciliation::default()
        };
    }

    /// The first instance of the pods that come after `pod`, if that was there when the round began.
    fn first_instance_after(&self, pod: Option<&PodId>, began: Timestamp) -> Option<(PodId, Uuid)> {
        let mut pods = self.state.pods().after(pod);
        pods.find_map(|pod| {
            let first = pod.instances.first().filter(|uuid| self.was_there(**uuid, began))?;
            Some((pod.state.id.clone(), *first))
        })
    }

    /// Whether an instance was there at `began`. So were all that come before it.
    fn was_there(&self, uuid: Uuid, began: Timestamp) -> bool {
        self.state.instance(uuid).is_some_and(|instance| instance.created <= began)
    }

    /// The next instance to be asked about in the round.
    fn next_in_round(&mut self) -> Option<Uuid> {
        let (pod, uuid) = self.reconciliation.next.take()?;
        let instances = self.state.pod(&pod).map(|pod| &pod.instances);
        let next = instances.and_then(|all| all.range((Bound::Excluded(uuid), Bound::Unbounded)).next());
        let began = self.reconciliation.began;
        self.reconciliation.next = match next.filter(|next| self.was_there(**next, began)) {
            Some(next) => Some((pod, *next)),
            None => self.first_instance_after(Some(&pod), began),
        };
        Some(uuid)
    }

    /// Asks about one instance, out of turn.
    pub(crate) fn ask_about(&mut self, uuid: Uuid) {
        self.reconciliation.urgent.push_back(uuid);
        self.reconciliation.next_urgent.get_or_insert(self.now);
    }

    /// Asks whatever is due to be asked.
    pub(crate) fn pump_reconciliation(&mut self) {
        let now = self.now;
        if !self.is_connected() {
            return;
        }
        if self.reconciliation.next_round.is_some_and(|at| at <= now) {
            let reconciliation = &mut self.reconciliation;
            if reconciliation.next.is_some() || !reconciliation.repeated.is_empty() {
                // The one that is on its way comes to its end first, or those that are asked about last never are.
                reconciliation.next_round = Some(now + CHUNK_PAUSE);
            } else {
                self.drop_gone_unknown_tasks();
                self.start_round();
                self.drop_old_forgotten();
            }
        }
        if self.reconciliation.next_urgent.is_some_and(|at| at <= now) {
            self.ask(|scheduler| scheduler.reconciliation.urgent.pop_front());
            let is_left = !self.reconciliation.urgent.is_empty();
            self.reconciliation.next_urgent = is_left.then(|| now + CHUNK_PAUSE);
        }
        if let Some((at, pause)) = self.reconciliation.retry
            && at <= now
            && !self.reconciliation.unanswered.is_empty()
        {
            let pause = (pause * 2).min(LONGEST_RETRY);
            self.reconciliation.retry = Some((now + pause, pause));
            self.mark(Mark::ReconciledAgain);
            self.look_again_at_those_in_doubt();
            self.repeat_unanswered();
        }
        if self.reconciliation.next_chunk.is_some_and(|at| at <= now) {
            self.send_chunk();
        }
    }

    /// Asks about the `next` copies, as many as one call has room for.
    fn ask(&mut self, mut next: impl FnMut(&mut Self) -> Option<Uuid>) {
        let mut tasks = Vec::new();
        let chunk = self.config.reconciliation_chunk;
        for _ in 0..chunk {
            if tasks.len() >= chunk {
                break;
            }
            let Some(uuid) = next(self) else { break };
            let Some(instance) = self.state.instance(uuid) else { continue };
            let Some(pod) = self.state.pod(&instance.id.pod) else { continue };
            tasks.extend(
                tasks_to_ask_about(instance, pod)
                    .map(|task_id| ReconcileTask { task_id, agent_id: instance.agent_id().cloned() }),
            );
        }
        if !tasks.is_empty() {
            self.reconciliation.unanswered.extend(tasks.iter().map(|task| task.task_id.clone()));
            self.reconciliation.retry.get_or_insert((self.now + FIRST_RETRY, FIRST_RETRY));
            self.call(Call::Reconcile { tasks });
        }
        self.reconciliation.trust_if_complete(self.now);
    }

    /// Asks the next questions of the round.
    fn send_chunk(&mut self) {
        self.ask(|scheduler| scheduler.next_in_round().or_else(|| scheduler.reconciliation.next_repeated()));
        let reconciliation = &mut self.reconciliation;
        let is_left = reconciliation.next.is_some() || !reconciliation.repeated.is_empty();
        reconciliation.next_chunk = is_left.then(|| self.now + CHUNK_PAUSE);
        if !is_left && std::mem::take(&mut reconciliation.implicit) {
            self.call(Call::Reconcile { tasks: Vec::new() });
        }
    }

    /// Asks again about what is unanswered and still matters.
    fn repeat_unanswered(&mut self) {
        if self.reconciliation.repeated.is_empty() {
            self.reconciliation.repeated = std::mem::take(&mut self.reconciliation.unanswered);
        }
        // While a round is on its way they wait for their turn in it.
        self.reconciliation.next_chunk.get_or_insert(self.now);
    }

    /// Takes tasks off the list of which the round that ends now brought no word: Mesos does not know them any more.
    fn drop_gone_unknown_tasks(&mut self) {
        let began = self.reconciliation.began;
        self.unknown_tasks.retain(|_, task| task.last_heard >= began);
    }

    fn drop_old_forgotten(&mut self) {
        let old: Vec<Uuid> = self
            .state
            .all_forgotten()
            .filter(|forgotten| self.now.since(forgotten.since) > FORGET_AFTER)
            .map(|forgotten| forgotten.instance.uuid)
            .collect();
        for uuid in old {
            self.state.drop_forgotten(uuid);
        }
        let old: Vec<Uuid> = self
            .state
            .leftovers()
            .filter(|leftover| self.now.since(leftover.since) > FORGET_AFTER)
            .map(|leftover| leftover.instance.uuid)
            .collect();
        for uuid in old {
            self.state.drop_leftover(uuid);
        }
    }
}
