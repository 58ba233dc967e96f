//! Plays a recording to the model: the same calls and the same outside events at the same times.
//!
//! ```text
//!   recorded calls, in the model's names ──┐
//!   what was done to processes ────────────┼─► Cluster ──► events, ends of streams, answers
//!   what containers did (`containers`) ────┘      │
//!                        ▲                        │ container commands
//!                        └────────────────────────┘
//! ```
//!
//! A call that names an offer or an update which the model has not produced yet waits for it, as the recorder
//! waited for its own; everything after it waits too. After [`PATIENCE`] it goes out as it is.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use podium_core::model::ids::{AgentId, FrameworkId, OfferId};
use podium_core::model::mesos::{Call, Event, Offer, Resource};
use podium_core::model::time::Timestamp;
use podium_mesos::codec::{MediaType, decode};
use podium_mesos::proto::scheduler;
use podium_mesos::translate::Translate;
use podium_sim::cluster::{
    AgentIndex, Answer, Cluster, Fault, Input, Output, RequestId, SchedulerCall, StreamId, Subscribe,
};
use serde_json::Value as Json;

use crate::actions::Deed;
use crate::containers::{Containers, Planned};
use crate::names::{Labels, Names};
use crate::offers::{Amounts, amounts};
use crate::outside::{Outside, boot, is_beyond_words, is_refused_before_the_master, outside, recovery};
use crate::recording::{Millis, RecordedAnswer, RecordedCall, RecordedEvent, Recording, StreamEnd};
use crate::{flags, operator};

/// How long a call waits for what it refers to.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How long it goes on after the recording's end, for what is under way.
const AFTER: Duration = Duration::from_secs(2);

/// What the model made of a recording.
pub(crate) struct Played {
    pub(crate) events: Vec<RecordedEvent>,
    pub(crate) ends: Vec<StreamEnd>,
    /// The answers, with the position of the recorded call.
    pub(crate) answers: Vec<(usize, Millis, Answer)>,
    /// Offers that were used: when, and which, in the recording's time.
    pub(crate) used: Vec<(Millis, OfferId)>,
    pub(crate) recorded_labels: Labels,
    pub(crate) labels: Labels,
    pub(crate) names: Names,
    /// What of the recording could not be played.
    pub(crate) remarks: Vec<String>,
    /// Streams that could not be opened.
    pub(crate) left_out: BTreeSet<u64>,
}

pub(crate) fn play(recording: &Recording, draw: u32) -> Played {
    Player::new(recording, draw).run()
}

struct Player<'a> {
    recording: &'a Recording,
    draw: u32,
    cluster: Cluster,
    agents: Vec<String>,
    containers: Containers,
    planned: BTreeMap<(Timestamp, u64), Input>,
    next_plan: u64,
    /// Calls by the number of their request.
    requests: HashMap<RequestId, usize>,
    /// Recorded offers with their machine, not yet paired with one of the model.
    unpaired: Vec<(Millis, Place, Offer)>,
    offers: HashMap<OfferId, (Place, Offer)>,
    paired: HashSet<OfferId>,
    /// The stream that is open, by the number that the recording gives it.
    streams: HashMap<String, u64>,
    last_agent: Option<AgentIndex>,
    /// Recorded offers that were answered or taken back, among the first `passed` events.
    gone: HashSet<OfferId>,
    passed: usize,
    now: Timestamp,
    played: Played,
}

/// A machine, and which of its agents.
type Place = (usize, usize);

impl<'a> Player<'a> {
    fn new(recording: &'a Recording, draw: u32) -> Self {
        let mut remarks = recording.remarks.clone();
        if recording.has_foreign_offers() {
            remarks.push(
                "what is on offer is not compared: some of it was offered to another framework".to_owned(),
            );
        }
        let (mut config, agents) = flags::cluster(recording, &mut remarks);
        config.master.recovery = recovery(recording);
        let ports = Ports::new(recording, &agents);
        let (names, mut recorded_labels) = Names::new(recording, |event, agent| ports.machine(event, agent));
        let mut unpaired = Vec::new();
        for event in &recording.events {
            let Event::Offers(offers) = &event.event else { continue };
            for offer in offers {
                if let Some(machine) = ports.machine(event, &offer.agent_id) {
                    let place = recorded_labels.learn_agent(&offer.agent_id, machine);
                    unpaired.push((event.at, place, offer.clone()));
                }
            }
        }
        let offers = unpaired.iter().map(|(_, place, offer)| (offer.id.clone(), (*place, offer.clone())));
        Self {
            draw,
            cluster: Cluster::new(config, u64::from(draw)),
            agents,
            containers: Containers::new(recording),
            planned: BTreeMap::new(),
            next_plan: 0,
            requests: HashMap::new(),
            offers: offers.collect(),
            unpaired,
            paired: HashSet::new(),
            streams: recording
                .calls
                .iter()
                .filter_map(|call| call.opened.clone())
                .map(|(n, id)| (id, n))
                .collect(),
            last_agent: None,
            gone: HashSet::new(),
            passed: 0,
            now: Timestamp::EPOCH,
            played: Played {
                events: Vec::new(),
                ends: Vec::new(),
                answers: Vec::new(),
                used: Vec::new(),
                recorded_labels,
                labels: Labels::default(),
                names,
                remarks,
                left_out: BTreeSet::new(),
            },
            recording,
        }
    }

    fn run(mut self) -> Played {
        self.step(boot(self.recording, self.draw), Input::Tick);
        if self.recording.calls.first().is_some_and(|call| call.answer == RecordedAnswer::Refused) {
            // Nobody listens at the beginning.
            self.step(self.now, Input::Fault(Fault::StopMaster));
        }
        for (at, outside) in outside(self.recording, &self.agents, &mut self.played.remarks) {
            let due = self.recording.time(at);
            self.advance(due, None);
            self.forget_offers(at);
            let waits_for = match &outside {
                Outside::Call(call) => self.references(&self.recording.calls[*call].body),
                Outside::Deed { .. } => Vec::new(),
            };
            if !waits_for.is_empty() {
                self.advance(due + PATIENCE, Some(&waits_for));
            }
            self.take(outside);
        }
        self.advance(self.recording.time(self.recording.end) + AFTER, None);
        self.played
    }

    /// Lets time pass until `until`, or until all `waits_for` are known.
    fn advance(&mut self, until: Timestamp, waits_for: Option<&[String]>) {
        loop {
            if waits_for.is_some_and(|names| names.iter().all(|name| !self.is_missing(name))) {
                return;
            }
            let planned = self.planned.keys().next().map(|(at, _)| *at);
            let Some(next) = planned.into_iter().chain(self.cluster.deadline()).min() else { break };
            if next > until {
                break;
            }
            match planned {
                Some(at) if at <= next => {
                    if let Some((_, input)) = self.planned.pop_first()
                        && self.containers.happens(&input)
                    {
                        self.step(at, input);
                    }
                }
                _ => self.step(next, Input::Tick),
            }
        }
        if waits_for.is_none() {
            self.step(until, Input::Tick);
        }
    }

    fn step(&mut self, now: Timestamp, input: Input) {
        self.now = self.now.max(now);
        let now = self.now;
        let mut outputs = Vec::new();
        self.cluster.step(now, input, &mut outputs);
        for (machine, view) in self.cluster.agents().enumerate() {
            if let Some(id) = view.agent_id {
                let place = self.played.labels.learn_agent(id, machine);
                self.played.names.learn_agent(id, place);
            }
        }
        let at = self.recording.millis(now);
        for output in outputs {
            match output {
                Output::Event { stream, event } => self.on_event(at, &stream, event),
                Output::CloseStream { stream, clean } => {
                    self.played.ends.push(StreamEnd { at, stream: number(&stream), clean });
                }
                Output::Answer { request, answer } => {
                    if let Some(call) = self.requests.remove(&request) {
                        self.played.answers.push((call, at, answer));
                    }
                }
                Output::Container(command) => {
                    let planned = self.containers.command(now, command);
                    self.plan(planned);
                }
            }
        }
    }

    fn plan(&mut self, planned: Vec<Planned>) {
        for (at, input) in planned {
            self.next_plan += 1;
            self.planned.insert((at, self.next_plan), input);
        }
    }

    fn on_event(&mut self, at: Millis, stream: &StreamId, event: Event) {
        self.played.labels.learn(&event);
        self.played.names.learn(&event);
        if let Event::Offers(offers) = &event {
            for offer in offers {
                self.pair(at, offer);
            }
        }
        self.played.events.push(RecordedEvent { at, stream: number(stream), event, ports: Vec::new() });
    }

    // -- offers ------------------------------------------------------------------------------------------

    /// Finds the recorded offer that is most like this one.
    fn pair(&mut self, at: Millis, offer: &Offer) {
        const NEAR: Millis = 3000.0;
        let Some(place) = self.place(&offer.agent_id) else { return };
        let ours = amounts(&offer.resources);
        let alike = |(then, there, recorded): &(Millis, Place, Offer)| {
            (then - at).abs() < NEAR
                && *there == place
                && recorded.role == offer.role
                && amounts(&recorded.resources) == ours
        };
        let nearest = (0..self.unpaired.len())
            .filter(|&index| alike(&self.unpaired[index]))
            .min_by(|&a, &b| (self.unpaired[a].0 - at).abs().total_cmp(&(self.unpaired[b].0 - at).abs()));
        if let Some(index) = nearest {
            let (_, _, recorded) = self.unpaired.remove(index);
            self.played.names.learn_offer(recorded.id.as_str(), offer.id.as_str());
            self.paired.insert(offer.id.clone());
        }
    }

    /// An outstanding offer for one that was recorded, if resources were cut into offers in another way.
    fn substitute(&self, recorded: &OfferId) -> Option<OfferId> {
        let (place, wanted) = self.offers.get(recorded)?;
        let wants = amounts(&wanted.resources);
        let covers = |ours: &Amounts| wants.iter().all(|(kind, amount)| ours.get(kind) >= Some(amount));
        self.cluster
            .offers()
            .filter(|view| {
                self.place(view.agent_id) == Some(*place) && Some(view.role) == wanted.role.as_ref()
            })
            .filter(|view| covers(&amounts(view.resources)))
            .min_by_key(|view| self.paired.contains(view.id))
            .map(|view| view.id.clone())
    }

    /// The outstanding offer that has the most of what the recorded one had.
    fn most_alike(&self, recorded: &OfferId) -> Option<OfferId> {
        let (place, wanted) = self.offers.get(recorded)?;
        let wants = amounts(&wanted.resources);
        let has = |resources: &[Resource]| -> i64 {
            let ours = amounts(resources);
            let part = |(kind, wanted): (&String, &i64)| {
                ours.get(kind).map_or(0, |amount| amount.min(wanted) * 1000 / wanted)
            };
            wants.iter().map(part).sum()
        };
        self.cluster
            .offers()
            .filter(|view| {
                self.place(view.agent_id) == Some(*place) && Some(view.role) == wanted.role.as_ref()
            })
            .max_by_key(|view| has(view.resources))
            .map(|view| view.id.clone())
    }

    fn place(&self, agent: &AgentId) -> Option<Place> {
        self.played.labels.place(agent)
    }

    // -- what comes from outside -------------------------------------------------------------------------

    /// The offers and uuids that a call names.
    fn references(&self, body: &Json) -> Vec<String> {
        let mut names = Vec::new();
        for call in ["accept", "decline"] {
            for id in body[call]["offer_ids"].as_array().into_iter().flatten() {
                names.extend(id["value"].as_str().map(ToOwned::to_owned));
            }
        }
        for call in ["acknowledge", "acknowledge_operation_status"] {
            names.extend(body[call]["uuid"].as_str().map(ToOwned::to_owned));
        }
        names
    }

    fn is_missing(&self, name: &str) -> bool {
        let offer = OfferId::from(name);
        if self.offers.contains_key(&offer) {
            return self.needs_substitute(&offer) && self.substitute(&offer).is_none();
        }
        self.played.names.is_missing(name)
    }

    /// Whether an offer that was outstanding in the recording has no counterpart that is so in the model.
    fn needs_substitute(&self, recorded: &OfferId) -> bool {
        match self.played.names.get(recorded.as_str()) {
            None => true,
            Some(ours) => {
                !self.gone.contains(recorded) && !self.cluster.offers().any(|view| view.id.as_str() == ours)
            }
        }
    }

    /// What was no offer any more in the recording by then.
    fn forget_offers(&mut self, until: Millis) {
        while let Some(event) = self.recording.events.get(self.passed).filter(|event| event.at <= until) {
            self.passed += 1;
            match &event.event {
                Event::Rescind(id) => drop(self.gone.insert(id.clone())),
                Event::Subscribed { .. } => {
                    let earlier = self.recording.events[..self.passed].iter();
                    let offers = earlier.filter_map(|event| match &event.event {
                        Event::Offers(offers) => Some(offers),
                        _ => None,
                    });
                    self.gone.extend(offers.flatten().map(|offer| offer.id.clone()));
                }
                _ => {}
            }
        }
    }

    fn take(&mut self, outside: Outside) {
        match outside {
            Outside::Call(index) => {
                let call = &self.recording.calls[index];
                for name in self.references(&call.body) {
                    let id = OfferId::from(name.as_str());
                    if self.offers.contains_key(&id)
                        && self.needs_substitute(&id)
                        && let Some(ours) = self.substitute(&id).or_else(|| self.most_alike(&id))
                    {
                        self.played.names.learn_offer(&name, ours.as_str());
                    }
                }
                let names = self.references(&call.body);
                self.gone.extend(names.iter().map(|name| OfferId::from(name.as_str())));
                if let Some(input) = self.input(index, call) {
                    self.requests.insert(RequestId(index as u64), index);
                    if let Input::Call(sent) = &input
                        && let Call::Accept { offer_ids, .. } | Call::Decline { offer_ids, .. } = &sent.call
                    {
                        let at = self.recording.millis(self.now.max(self.recording.time(call.at)));
                        self.played.used.extend(offer_ids.iter().map(|id| (at, id.clone())));
                    }
                    self.step(self.recording.time(call.at), input);
                }
            }
            Outside::Deed { deed, stream } => self.perform(deed, stream),
        }
    }

    fn input(&mut self, index: usize, call: &RecordedCall) -> Option<Input> {
        let input = self.translate(index, call);
        if let (None, Some((stream, _))) = (&input, &call.opened) {
            self.played.left_out.insert(*stream);
            self.played
                .remarks
                .push(format!("stream {stream} is not compared: the model has no words for its SUBSCRIBE"));
        }
        input
    }

    fn translate(&self, index: usize, call: &RecordedCall) -> Option<Input> {
        let request = RequestId(index as u64);
        let mut body = call.body.clone();
        self.played.names.translate(&mut body);
        if is_beyond_words(&body) {
            // As good as refused: nothing of it is launched, and the offer is given back.
            body["accept"]["operations"] = Json::Array(Vec::new());
        }
        if !call.scheduler {
            let machines = u32::try_from(self.agents.len()).unwrap_or(u32::MAX);
            let call = operator::read(&body, machines)?;
            return Some(Input::Operator { request, call });
        }
        if is_refused_before_the_master(call) {
            return None;
        }
        let proto: scheduler::Call = decode(body.to_string().as_bytes(), MediaType::Json).ok()?;
        let framework_id = proto.framework_id.as_ref().map(|id| FrameworkId::from(id.value.as_str()));
        let call_stream = call.stream_id.as_ref();
        match Call::from_proto(proto) {
            Ok(Call::Subscribe { framework_info, suppressed_roles }) => {
                // A subscription that was refused opens a stream of its own number.
                let stream = call.opened.as_ref().map_or(1000 + index as u64, |(number, _)| *number);
                Some(Input::Subscribe(Box::new(Subscribe {
                    request,
                    stream: stream_id(stream),
                    framework_id,
                    framework_info,
                    suppressed_roles,
                    principal: call.principal.clone(),
                })))
            }
            Ok(body) => {
                let stream = call_stream.map(|id| {
                    self.streams
                        .get(id)
                        .map_or_else(|| StreamId(id.as_str().into()), |number| stream_id(*number))
                });
                Some(Input::Call(Box::new(SchedulerCall {
                    request,
                    framework_id,
                    stream,
                    principal: call.principal.clone(),
                    call: body,
                })))
            }
            Err(_) => None,
        }
    }

    fn perform(&mut self, deed: Deed, stream: Option<u64>) {
        let faults = match deed {
            Deed::StopAgent(agent) => {
                self.last_agent = Some(agent);
                vec![Fault::StopAgent { agent }]
            }
            Deed::StartAgent { agent, wiped: true } => {
                vec![Fault::WipeAgent { agent, keeps_disk: false }, Fault::StartAgent { agent }]
            }
            Deed::StartAgent { agent, wiped: false } => vec![Fault::StartAgent { agent }],
            Deed::SuspendAgent(agent) => vec![Fault::SuspendAgent { agent }],
            Deed::ResumeAgent(agent) => vec![Fault::ResumeAgent { agent }],
            Deed::ShutDownAgent(agent) => vec![Fault::ShutDownAgent { agent }],
            Deed::StopMaster => vec![Fault::StopMaster],
            Deed::StartMaster => vec![Fault::StartMaster],
            Deed::SignalExecutors { signal, of_last_agent } => {
                let agent = self.last_agent.filter(|_| of_last_agent);
                let executors = self.containers.executors(agent);
                executors
                    .map(|container| Fault::KillExecutor { container: container.clone(), signal })
                    .collect()
            }
            Deed::SuspendExecutors => {
                let executors = self.containers.executors(None);
                executors.map(|container| Fault::SuspendExecutor { container: container.clone() }).collect()
            }
            Deed::ResumeExecutors => {
                let executors = self.containers.executors(None);
                executors.map(|container| Fault::ResumeExecutor { container: container.clone() }).collect()
            }
            Deed::CloseStream => {
                let number = stream.unwrap_or(1);
                let at = self.recording.millis(self.now);
                self.played.ends.push(StreamEnd { at, stream: number, clean: false });
                let stream = stream_id(number);
                self.step(self.now, Input::StreamClosed { stream });
                Vec::new()
            }
            Deed::Nothing => Vec::new(),
        };
        for fault in faults {
            self.step(self.now, Input::Fault(fault));
        }
    }
}

/// Which machine an agent is on, by the ports of the agents.
struct Ports<'a> {
    recording: &'a Recording,
    agents: &'a [String],
    ports: Vec<u16>,
}

impl<'a> Ports<'a> {
    fn new(recording: &'a Recording, agents: &'a [String]) -> Self {
        let mut ports: Vec<u16> =
            recording.events.iter().flat_map(|event| &event.ports).map(|(_, port)| *port).collect();
        ports.sort_unstable();
        ports.dedup();
        Self { recording, agents, ports }
    }

    fn machine(&self, event: &RecordedEvent, agent: &AgentId) -> Option<usize> {
        if self.agents.len() == 1 {
            return Some(0);
        }
        let port = event.ports.iter().find(|(id, _)| id == agent)?.1;
        if self.ports.len() == self.agents.len() {
            return self.ports.iter().position(|known| *known == port);
        }
        let number = port.checked_sub(self.recording.master_port)?;
        self.agents.iter().position(|name| flags::number(name) == Some(number))
    }
}

fn stream_id(number: u64) -> StreamId {
    StreamId(number.to_string().into())
}

fn number(stream: &StreamId) -> u64 {
    stream.0.parse().unwrap_or_default()
}
