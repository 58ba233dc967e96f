//! What a run has reached: how an instance, its deployment, its agent and the connection were at the same time,
//! and which rare paths the scheduler has taken.

use std::collections::BTreeMap;
use std::fmt;

use podium_core::model::deployment::ActionKind;
use podium_core::model::instance::{Condition, Instance};
use podium_core::{Entry, Mark, Marks, Record};
use strum::{EnumIter, IntoEnumIterator as _};

use crate::cluster::AgentStanding;
use crate::world::{Scene, Seen};

/// All conditions.
const CONDITIONS: [Condition; 15] = [
    Condition::Scheduled,
    Condition::Provisioned,
    Condition::Staging,
    Condition::Starting,
    Condition::Running,
    Condition::Killing,
    Condition::Unreachable,
    Condition::UnreachableInactive,
    Condition::Finished,
    Condition::Killed,
    Condition::Failed,
    Condition::Error,
    Condition::Dropped,
    Condition::Gone,
    Condition::Unknown,
];

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, EnumIter)]
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
    /// In how many runs an instance was in this condition in this phase, whatever its agent and the connection.
    pub phases: BTreeMap<(Condition, Phase), u64>,
    /// How many runs took each rare path.
    pub marks: BTreeMap<Mark, u64>,
}

impl Coverage {
    /// Adds what other runs have reached.
    pub fn merge(&mut self, other: &Self) {
        for (combination, runs) in &other.combinations {
            *self.combinations.entry(*combination).or_default() += runs;
        }
        for (phase, runs) in &other.phases {
            *self.phases.entry(*phase).or_default() += runs;
        }
        for (mark, runs) in &other.marks {
            *self.marks.entry(*mark).or_default() += runs;
        }
    }

    /// All of it in tables, for people: in how many runs each condition met each phase, which of them never did, and
    /// the same for combinations and rare paths.
    pub fn tables(&self) -> String {
        let mut text =
            "In how many runs an instance was in a condition while a deployment did this to its pod:\n\n"
                .to_owned();
        let phases: Vec<Phase> = Phase::iter().collect();
        let row = |name: &str, cells: Vec<String>| {
            let cells: String = cells.into_iter().map(|cell| format!("{cell:>9}")).collect();
            format!("{name:<20}{cells}\n")
        };
        text += &row("", phases.iter().map(|phase| format!("{phase:?}")).collect());
        for condition in CONDITIONS {
            let runs = |phase: &Phase| self.phases.get(&(condition, *phase)).copied().unwrap_or_default();
            text +=
                &row(&condition.to_string(), phases.iter().map(|phase| runs(phase).to_string()).collect());
        }
        text += "\nNever:\n\n";
        for condition in CONDITIONS {
            let never = phases.iter().filter(|phase| !self.phases.contains_key(&(condition, **phase)));
            let never: Vec<String> = never.map(|phase| format!("{phase:?}")).collect();
            if !never.is_empty() {
                text += &format!("{:<20}  {}\n", condition.to_string(), never.join(", "));
            }
        }
        text += "\nIn how many runs all of this came together:\n\n";
        text += &format!(
            "{:<20}  {:<10}  {:<12}  {:<12}  {:>6}\n",
            "condition", "deployment", "agent", "connection", "runs"
        );
        for (Combination { condition, deployment, agent, connection }, runs) in &self.combinations {
            let [condition, deployment] = [condition.to_string(), format!("{deployment:?}")];
            let agent = agent.map_or_else(|| "none".to_owned(), |standing| format!("{standing:?}"));
            let connection = format!("{connection:?}");
            text += &format!("{condition:<20}  {deployment:<10}  {agent:<12}  {connection:<12}  {runs:>6}\n");
        }
        text += "\nHow many runs took each rare path:\n\n";
        for mark in Mark::ALL {
            let runs = self.marks.get(&mark).copied().unwrap_or_default();
            text += &format!("{:<40}{runs:>9}\n", format!("{mark:?}"));
        }
        text
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
    /// The last of them: often the next one is the same.
    last: Option<Combination>,
    connection: Connection,
}

impl Surveyor {
    #[inline]
    pub(crate) fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) {
        match seen {
            Seen::Written(records) => return self.note_written(records, scene),
            Seen::Agent { .. } => {}
            Seen::Died { .. } => self.connection = Connection::Down,
            Seen::Restarted | Seen::Disconnected => self.connection = Connection::Disconnected,
            Seen::Subscribed => self.connection = Connection::Subscribed,
            _ => return,
        }
        self.note_stored(scene);
    }

    fn note_written(&mut self, records: &[Record], scene: &Scene<'_>) {
        for record in records {
            if let Record::Put(Entry::Instance(instance)) = record {
                self.note(instance, scene);
            }
        }
    }

    fn note_stored(&mut self, scene: &Scene<'_>) {
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
        if self.last.replace(combination) != Some(combination) {
            self.reached.insert(combination, 1);
        }
    }

    /// What the run has reached, with the rare paths that its scheduler took.
    pub(crate) fn finish(self, marks: Marks) -> Coverage {
        let taken = Mark::ALL.into_iter().filter(|mark| marks.has(*mark));
        let phases = self.reached.keys().map(|reached| ((reached.condition, reached.deployment), 1));
        Coverage {
            phases: phases.collect(),
            combinations: self.reached,
            marks: taken.map(|mark| (mark, 1)).collect(),
        }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_condition_has_its_row() {
        let schema = serde_json::to_value(schemars::schema_for!(Condition)).unwrap();
        let all: BTreeSet<&str> =
            schema["oneOf"].as_array().unwrap().iter().filter_map(|one| one["const"].as_str()).collect();
        let rows = CONDITIONS.map(|condition| condition.to_string());
        assert_eq!(rows.iter().map(String::as_str).collect::<BTreeSet<_>>(), all);
    }

    #[test]
    fn runs_are_added_up() {
        let reached = |condition, deployment, agent| Combination {
            condition,
            deployment,
            agent,
            connection: Connection::Subscribed,
        };
        let survey = |reached: &[Combination]| {
            let reached = reached.iter().map(|reached| (*reached, 1)).collect();
            Surveyor { reached, ..Surveyor::default() }.finish(Marks::default())
        };
        let waits = reached(Condition::Scheduled, Phase::Start, None);
        let runs = reached(Condition::Running, Phase::None, Some(AgentStanding::Registered));
        let is_cut_off = Combination { agent: Some(AgentStanding::Unreachable), ..runs };
        let mut all = survey(&[waits, runs, is_cut_off]);
        all.merge(&survey(&[runs]));
        assert_eq!(all.combinations, [(waits, 1), (runs, 2), (is_cut_off, 1)].into());
        // Two combinations of one run count once.
        let phases = [((waits.condition, waits.deployment), 1), ((runs.condition, runs.deployment), 2)];
        assert_eq!(all.phases, phases.into());
    }
}
