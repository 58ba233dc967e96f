//! What a run has reached: how an instance, its deployment, its agent and the connection were at the same time,
//! and which rare paths the scheduler has taken.

use std::collections::BTreeMap;
use std::fmt;

use podium_core::model::deployment::ActionKind;
use podium_core::model::instance::{Condition, Instance};
use podium_core::{Entry, Mark, Marks, Record};

use crate::cluster::AgentStanding;
use crate::world::{Scene, Seen};

/// How things were for an instance at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Combination {
    /// Its own state.
    pub condition: Condition,
    /// What a deployment is doing to its pod.
    pub deployment: Phase,
    /// What the master thinks of its agent; absent if it is on none, or on one that the machine has left behind.
    pub agent: Option<AgentStanding>,
    /// How the scheduler is connected.
    pub connection: Connection,
}

/// What a deployment is doing to a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// There is none.
    None,
    /// It is not the pod's turn, or not any more.
    Waiting,
    /// It begins the pod.
    Start,
    /// It changes the number of copies.
    Scale,
    /// It replaces copies.
    Restart,
    /// It ends all copies.
    Stop,
}

/// How the scheduler is connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Connection {
    /// It does not run.
    #[default]
    Down,
    /// It runs without a subscription.
    Disconnected,
    /// It is subscribed.
    Subscribed,
}

/// What runs have reached, and how many of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// In how many runs each combination came up.
    pub combinations: BTreeMap<Combination, u64>,
    /// How many runs took each rare path.
    pub marks: BTreeMap<Mark, u64>,
}

impl Coverage {
    /// Adds what other runs have reached.
    pub fn merge(&mut self, other: &Self) {
        for (combination, runs) in &other.combinations {
            *self.combinations.entry(*combination).or_default() += runs;
        }
        for (mark, runs) in &other.marks {
            *self.marks.entry(*mark).or_default() += runs;
        }
    }

    /// The rare paths that no run took.
    pub fn missed(&self) -> impl Iterator<Item = Mark> {
        Mark::ALL.into_iter().filter(|mark| !self.marks.contains_key(mark))
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let taken = self.marks.len();
        write!(
            f,
            "{} combinations of instance, deployment, agent and connection; {taken} of {} rare paths",
            self.combinations.len(),
            Mark::ALL.len()
        )?;
        let missed: Vec<String> = self.missed().map(|mark| format!("{mark:?}")).collect();
        if missed.is_empty() { Ok(()) } else { write!(f, ", not {}", missed.join(", ")) }
    }
}

/// Watches one run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surveyor {
    reached: BTreeMap<Combination, u64>,
    connection: Connection,
}

impl Surveyor {
    pub(crate) fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) {
        match seen {
            Seen::Written(records) => {
                for record in *records {
                    if let Record::Put(Entry::Instance(instance)) = record {
                        self.note(instance, scene);
                    }
                }
                return;
            }
            Seen::Agent { .. } => {}
            Seen::Died { .. } => self.connection = Connection::Down,
            Seen::Restarted | Seen::Disconnected => self.connection = Connection::Disconnected,
            Seen::Subscribed => self.connection = Connection::Subscribed,
            _ => return,
        }
        for entry in scene.store.entries() {
            if let Entry::Instance(instance) = entry {
                self.note(instance, scene);
            }
        }
    }

    fn note(&mut self, instance: &Instance, scene: &Scene<'_>) {
        let combination = Combination {
            condition: instance.condition,
            deployment: phase(instance, scene),
            agent: instance.agent_id().and_then(|id| Some(scene.cluster.standing(id)?.1)),
            connection: self.connection,
        };
        self.reached.insert(combination, 1);
    }

    /// What the run has reached, with the rare paths that its scheduler took.
    pub(crate) fn finish(self, marks: Marks) -> Coverage {
        let taken = Mark::ALL.into_iter().filter(|mark| marks.has(*mark));
        Coverage { combinations: self.reached, marks: taken.map(|mark| (mark, 1)).collect() }
    }
}

fn phase(instance: &Instance, scene: &Scene<'_>) -> Phase {
    let pod = &instance.id.pod;
    let mut deployments = scene.store.deployments();
    let Some(deployment) = deployments.find(|it| it.original.contains_key(pod)) else { return Phase::None };
    match deployment.current_action(pod).map(|action| action.action) {
        None => Phase::Waiting,
        Some(ActionKind::StartPod) => Phase::Start,
        Some(ActionKind::ScalePod) => Phase::Scale,
        Some(ActionKind::RestartPod) => Phase::Restart,
        Some(ActionKind::StopPod) => Phase::Stop,
    }
}
