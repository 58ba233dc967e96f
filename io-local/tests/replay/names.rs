//! What has another name in the recording than in the model: frameworks, agents, offers, updates.

use std::collections::{BTreeMap, HashMap, HashSet};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use podium_core::model::ids::{AgentId, TaskId};
use podium_core::model::mesos::{Event, StatusUuid};
use serde_json::Value as Json;

use crate::recording::{RecordedEvent, Recording};

/// The names of one side, in words that mean the same on both.
#[derive(Default)]
pub(crate) struct Labels {
    labels: BTreeMap<String, String>,
    agents: HashMap<AgentId, (usize, usize)>,
    generations: HashMap<usize, usize>,
}

impl Labels {
    pub(crate) fn learn_agent(&mut self, id: &AgentId, machine: usize) -> (usize, usize) {
        if let Some(known) = self.agents.get(id) {
            return *known;
        }
        let generation = self.generations.entry(machine).or_default();
        *generation += 1;
        let known = (machine, *generation);
        self.agents.insert(id.clone(), known);
        let label = format!("agent {}{}", machine + 1, "'".repeat(known.1 - 1));
        self.labels.insert(id.as_str().to_owned(), label);
        known
    }

    /// The machine of an agent, and which of its agents it is.
    pub(crate) fn place(&self, id: &AgentId) -> Option<(usize, usize)> {
        self.agents.get(id).copied()
    }

    pub(crate) fn learn(&mut self, event: &Event) {
        match event {
            Event::Subscribed { framework_id, .. } => {
                self.labels.insert(framework_id.as_str().to_owned(), "FRAMEWORK".to_owned());
            }
            Event::Offers(offers) => {
                for offer in offers {
                    self.labels.insert(offer.id.as_str().to_owned(), "OFFER".to_owned());
                }
            }
            _ => {}
        }
    }

    pub(crate) fn agent(&self, id: &AgentId) -> String {
        self.labels.get(id.as_str()).cloned().unwrap_or_else(|| id.to_string())
    }

    /// A text with all names replaced, the longest first: one may begin as another one does.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut names: Vec<_> = self.labels.iter().filter(|(name, _)| text.contains(*name)).collect();
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        names.into_iter().fold(text.to_owned(), |text, (name, label)| text.replace(name, label))
    }
}

/// From the recording's names to the model's.
pub(crate) struct Names {
    ours: HashMap<String, String>,
    /// The machine and the generation of the recorded agents.
    recorded_agents: HashMap<AgentId, (usize, usize)>,
    /// Recorded uuids of each task's updates, and of operations' by their ids, in order.
    recorded_uuids: HashMap<String, Vec<StatusUuid>>,
    seen_uuids: HashMap<String, usize>,
    learnt: HashSet<StatusUuid>,
    recorded_inverse: Vec<String>,
    inverse: usize,
    recorded_frameworks: Vec<String>,
    frameworks: Vec<String>,
}

impl Names {
    pub(crate) fn new(
        recording: &Recording,
        machine_of: impl Fn(&RecordedEvent, &AgentId) -> Option<usize>,
    ) -> (Self, Labels) {
        let mut labels = Labels::default();
        let (mut frameworks, mut uuids, mut seen) = (Vec::new(), HashMap::<_, Vec<_>>::new(), HashSet::new());
        let mut recorded_inverse = Vec::new();
        for event in &recording.events {
            labels.learn(&event.event);
            match &event.event {
                Event::Subscribed { framework_id, .. } => {
                    let id = framework_id.as_str().to_owned();
                    if !frameworks.contains(&id) {
                        frameworks.push(id);
                    }
                }
                Event::Offers(offers) => {
                    for offer in offers {
                        if let Some(machine) = machine_of(event, &offer.agent_id) {
                            labels.learn_agent(&offer.agent_id, machine);
                        }
                    }
                }
                Event::InverseOffers(offers) => {
                    recorded_inverse.extend(offers.iter().map(|offer| offer.id.as_str().to_owned()));
                }
                Event::Update(status) => {
                    if let Some(uuid) = status.uuid.filter(|uuid| seen.insert(*uuid)) {
                        uuids.entry(task_key(&status.task_id)).or_default().push(uuid);
                    }
                }
                Event::UpdateOperationStatus(status) => {
                    if let (Some(uuid), Some(id)) =
                        (status.uuid.filter(|uuid| seen.insert(*uuid)), &status.operation_id)
                    {
                        uuids.entry(format!("operation {id}")).or_default().push(uuid);
                    }
                }
                _ => {}
            }
        }
        let names = Self {
            ours: HashMap::new(),
            recorded_agents: labels.agents.clone(),
            recorded_uuids: uuids,
            seen_uuids: HashMap::new(),
            learnt: HashSet::new(),
            recorded_inverse,
            inverse: 0,
            recorded_frameworks: frameworks,
            frameworks: Vec::new(),
        };
        (names, labels)
    }

    /// An agent of the model got an id.
    pub(crate) fn learn_agent(&mut self, ours: &AgentId, place: (usize, usize)) {
        for (recorded, known) in &self.recorded_agents {
            if *known == place {
                self.ours.insert(recorded.as_str().to_owned(), ours.as_str().to_owned());
            }
        }
    }

    /// The model said something. Offers are paired elsewhere.
    pub(crate) fn learn(&mut self, event: &Event) {
        match event {
            Event::Subscribed { framework_id, .. } => {
                let id = framework_id.as_str().to_owned();
                if !self.frameworks.contains(&id) {
                    if let Some(recorded) = self.recorded_frameworks.get(self.frameworks.len()) {
                        self.ours.insert(recorded.clone(), id.clone());
                    }
                    self.frameworks.push(id);
                }
            }
            Event::InverseOffers(offers) => {
                for offer in offers {
                    if let Some(recorded) = self.recorded_inverse.get(self.inverse) {
                        self.ours.insert(recorded.clone(), offer.id.as_str().to_owned());
                    }
                    self.inverse += 1;
                }
            }
            Event::Update(status) => self.learn_uuid(&task_key(&status.task_id), status.uuid),
            Event::UpdateOperationStatus(status) => {
                if let Some(id) = &status.operation_id {
                    self.learn_uuid(&format!("operation {id}"), status.uuid);
                }
            }
            _ => {}
        }
    }

    pub(crate) fn learn_offer(&mut self, recorded: &str, ours: &str) {
        self.ours.insert(recorded.to_owned(), ours.to_owned());
    }

    pub(crate) fn get(&self, recorded: &str) -> Option<&String> {
        self.ours.get(recorded)
    }

    /// Whether the uuid was in the recording, but not in the model yet.
    pub(crate) fn is_missing(&self, recorded: &str) -> bool {
        !self.ours.contains_key(recorded)
            && self.recorded_uuids.values().flatten().any(|uuid| base64(*uuid) == recorded)
    }

    /// A call in the model's names.
    pub(crate) fn translate(&self, value: &mut Json) {
        match value {
            Json::String(text) => {
                if let Some(ours) = self.ours.get(text) {
                    *text = ours.clone();
                }
            }
            Json::Array(items) => items.iter_mut().for_each(|item| self.translate(item)),
            Json::Object(members) => members.values_mut().for_each(|member| self.translate(member)),
            Json::Null | Json::Bool(_) | Json::Number(_) => {}
        }
    }

    fn learn_uuid(&mut self, key: &str, uuid: Option<StatusUuid>) {
        let Some(uuid) = uuid.filter(|uuid| self.learnt.insert(*uuid)) else { return };
        let position = self.seen_uuids.entry(key.to_owned()).or_default();
        if let Some(recorded) = self.recorded_uuids.get(key).and_then(|uuids| uuids.get(*position)) {
            self.ours.insert(base64(*recorded), base64(uuid));
        }
        *position += 1;
    }
}

fn task_key(task_id: &TaskId) -> String {
    format!("task {task_id}")
}

fn base64(uuid: StatusUuid) -> String {
    BASE64_STANDARD.encode(uuid.as_bytes())
}
