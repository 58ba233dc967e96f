//! Clients of the API: they ask for what the plan says, and ask again when nobody answers.

use std::collections::BTreeMap;
use std::time::Duration;

use podium_core::admission::{Admitted, Rules, read_group, read_pod};
use podium_core::model::ids::{GroupId, PodId};
use podium_core::model::time::Timestamp;
use podium_core::{Command, CommandId, Origin, Refusal, Response, Scheduler};

use super::daemon::Incoming;
use super::faults::{Armed, Wait};
use super::seen::{Answer, Seen};
use super::subject::Subject;
use super::{Work, World};
use crate::oracle::{Violation, Witness};
use crate::plan::{Plan, Request};

/// How long a client waits before it asks again.
const RETRY: Duration = Duration::from_secs(1);

/// All clients.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    rules: Rules,
    /// The commands that were sent and not answered yet, with their index in the plan.
    open: BTreeMap<CommandId, usize>,
    /// The requests that wait until the scheduler listens again.
    waiting: Vec<usize>,
    next: u64,
    /// How many requests that wait for a moment have seen it come.
    aimed: usize,
}

impl Clients {
    pub(super) fn new(plan: &Plan) -> Self {
        let rules = Rules { mesos_role: plan.scheduler.config().mesos_role, ..Rules::default() };
        Self { rules, open: BTreeMap::new(), waiting: Vec::new(), next: 0, aimed: 0 }
    }

    pub(super) fn aimed(&self) -> usize {
        self.aimed
    }
}

impl<S: Subject, W: Witness> World<'_, S, W> {
    /// The time of a request has come.
    pub(super) fn on_order_due(&mut self, index: usize) {
        let planned = &self.plan.workload[index];
        match planned.on {
            Some(moment) => {
                let wait = Wait { moment, before: planned.before, agent: None };
                self.faults.arm(wait, Armed::Order(index));
            }
            None => self.plan_order(index, planned.after.to_duration()),
        }
    }

    /// The moment of a request has come.
    pub(super) fn on_order_aimed(&mut self, index: usize) {
        self.clients.aimed += 1;
        self.plan_order(index, self.plan.workload[index].after.to_duration());
    }

    fn plan_order(&mut self, index: usize, after: Duration) {
        self.queue.plan(self.now + after, Work::Order(index));
    }

    /// A client asks.
    pub(super) fn on_order(&mut self, index: usize) {
        let Some(process) = self.daemon.process.as_ref() else {
            self.plan_order(index, RETRY);
            return;
        };
        if !process.is_idle() {
            self.clients.waiting.push(index);
            return;
        }
        let request = &self.plan.workload[index].what;
        let api = (process.subject.scheduler(), self.daemon.clock(self.now));
        match command_of(request, api, &self.clients.rules) {
            Ok(command) => {
                self.see(&Seen::Asked(&command));
                self.clients.next += 1;
                let id = CommandId(self.clients.next);
                self.clients.open.insert(id, index);
                let origin = Origin { client_ip: "10.1.0.1".to_owned(), uri: "/v2/pods".to_owned() };
                self.daemon.push(Incoming::Command { id, origin, command: Box::new(command) });
                self.run_scheduler();
            }
            Err(answer) => self.see(&Seen::Answered { order: index, request, answer: &answer }),
        }
    }

    /// The scheduler answers a command.
    pub(super) fn answer_command(&mut self, id: CommandId, result: Result<Box<Response>, Box<Refusal>>) {
        let Some(order) = self.clients.open.remove(&id) else {
            let sentence = format!("command {} was answered although nobody waits for an answer", id.0);
            self.verdict = Some(Violation::new("answers", sentence));
            return;
        };
        let request = &self.plan.workload[order].what;
        self.see(&Seen::Answered { order, request, answer: &Answer::Scheduler(result) });
    }

    /// The scheduler listens again.
    pub(super) fn let_clients_ask(&mut self) {
        if !self.clients.waiting.is_empty()
            && self.daemon.process.as_ref().is_some_and(|process| process.is_idle())
        {
            for order in std::mem::take(&mut self.clients.waiting) {
                self.plan_order(order, Duration::ZERO);
            }
        }
    }

    /// The process is gone, and with it everybody's connection to it: they ask again.
    pub(super) fn ask_again_later(&mut self) {
        let waiting = std::mem::take(&mut self.clients.waiting);
        for order in std::mem::take(&mut self.clients.open).into_values().chain(waiting) {
            self.plan_order(order, RETRY);
        }
    }
}

/// What the scheduler is told of `request`, by a client that looks at the API first where it has to.
fn command_of(
    request: &Request,
    (api, now): (&Scheduler, Timestamp),
    rules: &Rules,
) -> Result<Command, Answer> {
    let read = |pod| match read_pod(pod, rules) {
        Ok(Admitted { pod, role_given, .. }) => Ok((pod, role_given)),
        Err(rejection) => Err(Answer::Rejected(rejection.to_string())),
    };
    Ok(match request {
        Request::Cancel { pod, force } => {
            let id = PodId::from(pod.as_str());
            let deployments = api.deployments(now);
            let of_pod = deployments.into_iter().find(|deployment| deployment.affected_pods.contains(&id));
            let deployment = of_pod.ok_or(Answer::Pointless)?;
            Command::CancelDeployment { id: deployment.id, force: *force }
        }
        Request::Create { pod, force } => {
            let (pod, role_given) = read(pod)?;
            Command::CreatePod { pod, role_given, force: *force }
        }
        Request::Delete { pod, force } => Command::DeletePod { id: PodId::from(pod.as_str()), force: *force },
        Request::DeleteGroup { group, force } => {
            Command::DeleteGroup { id: GroupId::from(group.as_str()), force: *force }
        }
        Request::EnforceRole { group, enforce } => {
            Command::EnforceGroupRole { id: GroupId::from(group.as_str()), enforce_role: *enforce }
        }
        Request::Kill { pod, nth, wipe } => {
            let pod = PodId::from(pod.as_str());
            let status = api.pod_status(&pod, now).ok_or(Answer::Pointless)?;
            let count = status.instances.len();
            let ids = nth.iter().filter_map(|nth| (*nth as usize).checked_rem(count));
            let instances = ids.map(|nth| status.instances[nth].id.clone()).collect();
            Command::KillInstances { pod, instances, wipe: *wipe }
        }
        Request::ResetDelay { pod } => Command::ResetDelay { pod: PodId::from(pod.as_str()) },
        Request::Scale { pod, instances, force } => {
            let pod = api.pod(&PodId::from(pod.as_str())).ok_or(Answer::Pointless)?;
            let mut pod = serde_json::to_value(pod).map_err(|error| Answer::Rejected(error.to_string()))?;
            pod["scaling"]["instances"] = (*instances).into();
            let (pod, role_given) = read(&pod)?;
            Command::UpdatePod { pod, role_given, force: *force }
        }
        Request::UpdateGroup { group } => {
            let admitted = read_group(group, &GroupId::from("/"), rules);
            let update = admitted.map_err(|rejection| Answer::Rejected(rejection.to_string()))?.update;
            Command::UpdateGroup { group: update }
        }
        Request::Update { pod, force } => {
            let (pod, role_given) = read(pod)?;
            Command::UpdatePod { pod, role_given, force: *force }
        }
    })
}
