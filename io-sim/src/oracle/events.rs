//! What is published agrees with what the API shows, event by event.
//!
//! ```text
//!   a turn:   step, step, … ─► write ─► perform: publish, publish, …
//!                                │                 │
//!              how things were ──┴─ how they are   └─ each leads on from what was shown or said last, and the last
//!                                                     ones say how things are
//! ```
//!
//! Whoever listens and has read the API once knows all along what the API would say: each change is said once, in
//! order, and nothing is said that did not happen. A process that dies takes with it what it was about to say: then a
//! listener has to read again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use podium_core::model::deployment::ActionKind;
use podium_core::model::event::{ApiEvent, ApiEventKind, IpAddress};
use podium_core::model::ids::{AgentId, DeploymentId, InstanceId, PodId, TaskId, Uuid};
use podium_core::model::instance::{Condition, Goal, Instance};
use podium_core::model::mesos::{Event, TaskState, TaskStatus};
use podium_core::model::time::Timestamp;
use podium_core::{Command, Entry, Key, Record, Response};

use super::ledger::{About, Ledger};
use super::{Violation, short};
use crate::world::{Scene, Seen};

const NAME: &str = "events";

/// Listens.
#[derive(Clone, Debug, Default)]
pub(super) struct Events {
    /// How each copy is.
    copies: BTreeMap<Uuid, Shown>,
    /// The step that each deployment is at.
    deployments: BTreeMap<DeploymentId, usize>,
    /// What was said last of each container, by instance.
    containers: BTreeMap<Uuid, BTreeMap<TaskId, (TaskState, Vec<IpAddress>)>>,
    /// When each pod was deleted last.
    deletions: BTreeMap<PodId, Timestamp>,
    is_connected: bool,
    /// What has become durable and is to be said.
    turn: Turn,
    /// Whether anything has happened since a turn was over.
    is_turn_open: bool,
}

/// What happened in a turn, and what has been said of it.
#[derive(Clone, Debug, Default)]
struct Turn {
    copies: BTreeMap<Uuid, CopyNews>,
    deployments: BTreeMap<DeploymentId, DeploymentNews>,
    /// What Mesos said about containers, in order, each with whether it changed what is known.
    heard: Vec<(TaskId, TaskState, bool)>,
    /// What was published of that.
    published: Vec<(TaskId, TaskState)>,
    /// Instances that nobody has a record of, and of which a container has ended.
    strangers: BTreeSet<Uuid>,
    /// How often each of [`ANNOUNCEMENTS`] is still to be said.
    announcements: [i32; 6],
    /// The versions of definitions that came, or went, with a change of a group, and those that were said to.
    changes: BTreeSet<Timestamp>,
    changes_said: BTreeSet<Timestamp>,
    /// The pods of which it was said that all copies have ended, until the deployment that ended them is said to be done.
    terminated: Vec<PodId>,
}

/// What people see of a copy, as far as events say it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    condition: Condition,
    goal: Goal,
    healthy: Option<bool>,
    version: Timestamp,
    agent: Option<AgentId>,
}

/// What a turn made of a copy.
#[derive(Clone, Debug)]
struct CopyNews {
    id: InstanceId,
    /// The condition and goal that a listener knows.
    said: Option<(Condition, Goal)>,
    /// The health that a listener knows.
    health_said: Option<bool>,
    /// How it became, step by step, as far as that is still to be said.
    to_say: VecDeque<Shown>,
    health_to_say: VecDeque<Option<bool>>,
}

/// What a turn made of a deployment.
#[derive(Clone, Debug, Default)]
struct DeploymentNews {
    was_at: Option<usize>,
    is_at: Option<usize>,
    /// How many steps began and ended, as it was said.
    began: usize,
    ended: usize,
    /// How often its success and its failure were said.
    succeeded: usize,
    failed: usize,
}

/// What Mesos said about a container, and what was published of that.
#[derive(Clone, Debug, Default)]
struct UpdateNews {
    /// The states, each with whether it changed what is known of the container.
    heard: Vec<(TaskState, bool)>,
    published: Vec<TaskState>,
}

impl Events {
    pub(super) fn see(
        &mut self,
        seen: &Seen<'_>,
        ledger: &Ledger,
        scene: &Scene<'_>,
    ) -> Result<(), Violation> {
        if let Seen::Stepped { .. } = seen {
            return self.end_turn();
        }
        self.is_turn_open = true;
        match seen {
            Seen::Died { .. } => {
                self.turn = Turn::default();
                self.containers.clear();
                self.is_connected = false;
            }
            Seen::Heard(Event::Update(status)) => self.turn.hear(status, ledger.heard),
            Seen::Decided { command, result: Err(refusal) } => {
                let is_due = command.changed_group().is_some() && !refusal.is_about_something_unknown();
                self.turn.announcements[5] += i32::from(is_due);
            }
            Seen::Decided { command, result: Ok(response) } => match (command, &**response) {
                (_, Response::GroupUpdated { version, .. } | Response::GroupDeleted { version, .. }) => {
                    self.turn.changes.insert(*version);
                }
                (Command::CreatePod { .. } | Command::UpdatePod { .. }, Response::PodCreated { .. }) => {
                    self.turn.announcements[0] += 1;
                }
                (Command::UpdatePod { .. }, Response::PodUpdated { .. }) => self.turn.announcements[1] += 1,
                (Command::DeletePod { .. }, _) => self.turn.announcements[2] += 1,
                _ => {}
            },
            Seen::Subscribed => {
                self.is_connected = true;
                self.turn.announcements[3] += 1;
            }
            Seen::Disconnected => {
                self.turn.announcements[4] += i32::from(std::mem::take(&mut self.is_connected));
            }
            Seen::Written(records) => {
                for record in *records {
                    self.take_down(record);
                }
            }
            Seen::Published(event) => return self.listen(event, ledger, scene),
            _ => {}
        }
        Ok(())
    }

    /// With an API to be asked, the last turn is over.
    #[inline]
    pub(super) fn look(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        if self.is_turn_open && scene.api.is_some() { self.end_turn() } else { Ok(()) }
    }

    fn take_down(&mut self, record: &Record) {
        match record {
            Record::Put(Entry::Instance(instance)) => {
                let shown = Shown::of(instance);
                let before = self.copies.insert(instance.id.uuid, shown.clone());
                let news = self.turn.news_of(&instance.id, before.as_ref());
                let before = before.map(|before| (before.condition, before.goal, before.healthy));
                if before.is_none_or(|(condition, goal, _)| (condition, goal) != shown.key()) {
                    news.to_say.push_back(shown.clone());
                }
                if before.and_then(|(.., healthy)| healthy) != shown.healthy {
                    news.health_to_say.push_back(shown.healthy);
                }
            }
            Record::Delete(Key::Instance(id)) => {
                self.containers.remove(&id.uuid);
                let before = self.copies.remove(&id.uuid);
                self.turn.news_of(id, before.as_ref());
            }
            Record::Put(Entry::Deployment(deployment)) => {
                let was_at = self.deployments.insert(deployment.id.clone(), deployment.current_step);
                let news = self.turn.deployments.entry(deployment.id.clone());
                news.or_insert_with(|| DeploymentNews { was_at, ..DeploymentNews::default() }).is_at =
                    Some(deployment.current_step);
            }
            Record::Delete(Key::Deployment(id)) => {
                let was_at = self.deployments.remove(id);
                let news = self.turn.deployments.entry(id.clone());
                news.or_insert_with(|| DeploymentNews { was_at, ..DeploymentNews::default() }).is_at = None;
            }
            Record::Put(Entry::PodVersion(spec)) => {
                self.turn.changes.insert(spec.version);
            }
            Record::Put(Entry::Group(group)) => {
                self.turn.changes.insert(group.version);
            }
            Record::Put(Entry::Pod(pod)) => {
                if let Some(deleted) = pod.deleted.last()
                    && self.deletions.insert(pod.id.clone(), *deleted) != Some(*deleted)
                {
                    self.turn.changes.insert(*deleted);
                }
            }
            Record::Put(_) | Record::Delete(_) => {}
        }
    }

    fn listen(&mut self, event: &ApiEvent, ledger: &Ledger, scene: &Scene<'_>) -> Result<(), Violation> {
        let turn = &mut self.turn;
        match &event.kind {
            ApiEventKind::InstanceChangedEvent {
                instance_id,
                condition,
                goal,
                run_spec_version,
                agent_id,
                ..
            } => turn.listen_to_copy(instance_id, (*condition, *goal), *run_spec_version, agent_id.as_ref()),
            ApiEventKind::InstanceHealthChangedEvent { instance_id, healthy, .. } => {
                turn.listen_to_health(instance_id, *healthy)
            }
            ApiEventKind::StatusUpdateEvent { task_id, task_status, ip_addresses, .. } => {
                turn.published.push((task_id.clone(), *task_status));
                let Ok(id) = task_id.parse() else { return Ok(()) };
                let of_instance = self.containers.entry(id.uuid).or_default();
                let before = of_instance.insert(task_id.clone(), (*task_status, ip_addresses.clone()));
                let is_same = before.is_some_and(|(state, at)| state == *task_status && at == *ip_addresses);
                let is_news = || turn.heard.iter().any(|(of, _, is_news)| of == task_id && *is_news);
                if is_same && !is_news() {
                    return bad(format!("it was said twice that {task_id} is {task_status}"));
                }
                Ok(())
            }
            ApiEventKind::UnknownInstanceTerminatedEvent { instance_id, .. } => {
                if turn.strangers.contains(&instance_id.uuid) {
                    return Ok(());
                }
                bad(format!(
                    "{} is said to be unknown and to have ended, which it is not",
                    short(instance_id)
                ))
            }
            ApiEventKind::AppTerminatedEvent { app_id } => {
                turn.terminated.push(app_id.clone());
                if scene.store.spec(app_id).is_some() || ledger.copies_of(app_id).next().is_none() {
                    return Ok(());
                }
                bad(format!("all copies of pod {app_id} are said to have ended, and there are some"))
            }
            ApiEventKind::DeploymentInfo { plan, .. } => turn.listen_to_deployment(&plan.id, |news| {
                news.began += 1;
                news.began == news.ended + usize::from(news.was_at.is_none())
            }),
            ApiEventKind::DeploymentStepSuccess { plan, .. } => turn.listen_to_deployment(&plan.id, |news| {
                news.ended += 1;
                news.ended == news.began + usize::from(news.was_at.is_some())
            }),
            ApiEventKind::DeploymentSuccess { id, plan } => {
                let steps = plan.steps.len();
                let actions = plan.steps.iter().flat_map(|step| &step.actions);
                let stopped = actions.filter(|action| action.action == ActionKind::StopPod);
                if !stopped.map(|action| &action.pod).eq(&std::mem::take(&mut turn.terminated)) {
                    return bad(format!(
                        "deployment {id} ended other pods than those that are said to have ended"
                    ));
                }
                turn.listen_to_deployment(id, |news| {
                    news.succeeded += 1;
                    news.was_at.unwrap_or_default() + news.ended == steps
                })
            }
            ApiEventKind::DeploymentFailed { id, .. } => turn.listen_to_deployment(id, |news| {
                news.failed += 1;
                true
            }),
            ApiEventKind::PodCreatedEvent { .. } => turn.announced(0),
            ApiEventKind::PodUpdatedEvent { .. } => turn.announced(1),
            ApiEventKind::PodDeletedEvent { .. } => turn.announced(2),
            ApiEventKind::SchedulerRegisteredEvent { .. }
            | ApiEventKind::SchedulerReregisteredEvent { .. } => turn.announced(3),
            ApiEventKind::SchedulerDisconnectedEvent {} => turn.announced(4),
            ApiEventKind::GroupChangeFailed { .. } => turn.announced(5),
            ApiEventKind::GroupChangeSuccess { version, .. } => {
                turn.changes_said.insert(*version);
                Ok(())
            }
            ApiEventKind::FrameworkMessageEvent { .. } => Ok(()),
        }
    }

    /// Everything has been done: whatever had to be said has been said.
    fn end_turn(&mut self) -> Result<(), Violation> {
        // At most times nothing has happened, or nothing is to be said.
        if !std::mem::take(&mut self.is_turn_open) {
            return Ok(());
        }
        if self.turn.is_nothing_new() {
            self.turn.heard.clear();
            self.turn.changes.clear();
            self.turn.changes_said.clear();
            return Ok(());
        }
        let turn = std::mem::take(&mut self.turn);
        if let Some((task_id, news)) =
            turn.updates().iter().find(|(_, news)| !is_told(&news.heard, &news.published))
        {
            let said = |states: &mut dyn Iterator<Item = TaskState>| {
                let states: Vec<String> = states.map(|state| state.to_string()).collect();
                if states.is_empty() { "nothing".to_owned() } else { states.join(", ") }
            };
            let heard = said(&mut news.heard.iter().filter(|(_, is_news)| *is_news).map(|(state, _)| *state));
            let published = said(&mut news.published.iter().copied());
            return bad(format!("of {task_id} {heard} was heard as news, and {published} was published"));
        }
        for (uuid, news) in &turn.copies {
            news.check(self.copies.get(uuid))?;
        }
        for (id, news) in &turn.deployments {
            news.check(id)?;
        }
        if let Some(version) = turn.changes.symmetric_difference(&turn.changes_said).next() {
            return bad(format!("a group changed at {version} and no event says so, or the other way round"));
        }
        if let Some(pod) = turn.terminated.first() {
            return bad(format!("pod {pod} is said to have ended, and no deployment that ended it"));
        }
        match turn.announcements.iter().position(|missing| *missing != 0) {
            Some(index) => bad(format!("{} was not published", ANNOUNCEMENTS[index])),
            None => Ok(()),
        }
    }
}

/// What is counted in [`Turn::announcements`].
const ANNOUNCEMENTS: [&str; 6] = [
    "the creation of a pod",
    "the change of a pod",
    "the deletion of a pod",
    "a subscription",
    "the end of a subscription",
    "the refusal to change a group",
];

impl Shown {
    fn of(instance: &Instance) -> Self {
        Self {
            condition: instance.condition,
            goal: instance.goal,
            healthy: instance.healthy,
            version: instance.version,
            agent: instance.agent_id().cloned(),
        }
    }

    fn key(&self) -> (Condition, Goal) {
        (self.condition, self.goal)
    }
}

impl Turn {
    /// Whether all that happened is that something known was heard once more.
    fn is_nothing_new(&self) -> bool {
        self.copies.is_empty()
            && self.deployments.is_empty()
            && self.published.is_empty()
            && self.strangers.is_empty()
            && self.announcements == [0; 6]
            && self.changes == self.changes_said
            && self.terminated.is_empty()
            && !self.heard.iter().any(|(.., is_news)| *is_news)
    }

    fn hear(&mut self, status: &TaskStatus, about: About) {
        match about {
            About::Copy { is_news } => self.heard.push((status.task_id.clone(), status.state, is_news)),
            About::Stranger(uuid) => {
                self.strangers.insert(uuid);
            }
            About::NoMatter => {}
        }
    }

    /// What was heard and published of each container.
    fn updates(&self) -> BTreeMap<&TaskId, UpdateNews> {
        let mut updates: BTreeMap<&TaskId, UpdateNews> = BTreeMap::new();
        for (task_id, state, is_news) in &self.heard {
            updates.entry(task_id).or_default().heard.push((*state, *is_news));
        }
        for (task_id, state) in &self.published {
            updates.entry(task_id).or_default().published.push(*state);
        }
        updates
    }

    fn news_of(&mut self, id: &InstanceId, before: Option<&Shown>) -> &mut CopyNews {
        self.copies.entry(id.uuid).or_insert_with(|| CopyNews {
            id: id.clone(),
            said: before.map(Shown::key),
            health_said: before.and_then(|before| before.healthy),
            to_say: VecDeque::new(),
            health_to_say: VecDeque::new(),
        })
    }

    fn listen_to_copy(
        &mut self,
        id: &InstanceId,
        now: (Condition, Goal),
        version: Timestamp,
        agent: Option<&AgentId>,
    ) -> Result<(), Violation> {
        let name = || format!("{} is said to be {} with the goal {:?}", short(id), now.0, now.1);
        let Some(news) = self.copies.get_mut(&id.uuid) else {
            return bad(format!("{}, and nothing has happened to it", name()));
        };
        if news.said.replace(now) == Some(now) {
            return bad(format!("{}, which it was before", name()));
        }
        if let Some(next) = pop_if(&mut news.to_say, |next| next.key() == now)
            && (next.version, next.agent.as_ref()) != (version, agent)
        {
            return bad(format!("{}, of another version or on another agent than it is", name()));
        }
        Ok(())
    }

    fn listen_to_health(&mut self, id: &InstanceId, healthy: Option<bool>) -> Result<(), Violation> {
        let news = self.copies.get_mut(&id.uuid).filter(|news| news.health_said != healthy);
        let Some(news) = news else {
            return bad(format!("the health of {} is said to have changed, and it has not", short(id)));
        };
        news.health_said = healthy;
        pop_if(&mut news.health_to_say, |next| *next == healthy);
        Ok(())
    }

    /// Notes what is said of a deployment with `note`, which says whether it may be said just then.
    fn listen_to_deployment(
        &mut self,
        id: &DeploymentId,
        note: impl FnOnce(&mut DeploymentNews) -> bool,
    ) -> Result<(), Violation> {
        let news = self.deployments.get_mut(id);
        let may_be_said = news.is_some_and(|news| news.succeeded + news.failed == 0 && note(news));
        if may_be_said {
            Ok(())
        } else {
            bad(format!("something is said of deployment {id} that did not happen"))
        }
    }

    fn announced(&mut self, index: usize) -> Result<(), Violation> {
        self.announcements[index] -= 1;
        if self.announcements[index] >= 0 {
            return Ok(());
        }
        bad(format!("{} is published, which did not happen", ANNOUNCEMENTS[index]))
    }
}

impl CopyNews {
    /// Whether a listener knows how the copy `is`; one that is gone must have been said to end.
    fn check(&self, is: Option<&Shown>) -> Result<(), Violation> {
        let name = || short(&self.id);
        if let Some(missing) = self.to_say.front() {
            let (condition, goal) = missing.key();
            let name = name();
            return bad(format!("{name} became {condition} with the goal {goal:?}, and no event says so"));
        }
        if let Some(missing) = self.health_to_say.front() {
            return bad(format!("the health of {} became {missing:?}, and no event says so", name()));
        }
        let is_right = match is {
            Some(is) => self.said == Some(is.key()) && self.health_said == is.healthy,
            None => {
                self.said.is_none_or(|(condition, goal)| condition.is_terminal() || goal != Goal::Running)
            }
        };
        if is_right {
            return Ok(());
        }
        let is = is.map_or("gone".to_owned(), |is| format!("{:?}", is.key()));
        bad(format!("{} is {is}, and what was said of it last is {:?}", name(), self.said))
    }
}

impl DeploymentNews {
    fn check(&self, id: &DeploymentId) -> Result<(), Violation> {
        let steps = self.is_at.unwrap_or_default().saturating_sub(self.was_at.unwrap_or_default());
        let ends = self.succeeded + self.failed;
        if ends != usize::from(self.is_at.is_none()) {
            return bad(format!("the end of deployment {id} was published {ends} times"));
        }
        if self.is_at.is_some()
            && (self.ended, self.began) != (steps, steps + usize::from(self.was_at.is_none()))
        {
            return bad(format!(
                "deployment {id} went on by {steps} steps, and {} were published",
                self.ended
            ));
        }
        Ok(())
    }
}

/// Whether `published` consists of what was `heard`, in order, without leaving out what is news.
fn is_told(heard: &[(TaskState, bool)], published: &[TaskState]) -> bool {
    let Some(((state, is_news), heard)) = heard.split_first() else { return published.is_empty() };
    let is_said = published.split_first().is_some_and(|(first, rest)| first == state && is_told(heard, rest));
    is_said || !is_news && is_told(heard, published)
}

fn bad<T>(sentence: String) -> Result<T, Violation> {
    Err(Violation::new(NAME, sentence))
}

/// Takes the first of `queue` if it is what `is_it` means.
fn pop_if<T>(queue: &mut VecDeque<T>, is_it: impl FnOnce(&T) -> bool) -> Option<T> {
    if is_it(queue.front()?) { queue.pop_front() } else { None }
}
