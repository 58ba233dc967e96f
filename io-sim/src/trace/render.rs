//! Lines, and words for what they say.

use podium_core::Response;
use serde_json::Value;

use super::Line;
use crate::cluster::Exit;
use crate::plan::{Aim, Planned, Request, Span};
use crate::world::{Answer, Scene};

/// `lines` under a heading, in columns.
pub(super) fn table<'a>(lines: impl IntoIterator<Item = &'a Line>) -> String {
    let mut text = row("time", "who", "from", "to", "why");
    for line in lines {
        let time = format!("{}.{:03}", line.at / 1000, line.at % 1000);
        text.push_str(&row(&time, &line.who, &line.from, &line.to, &line.why));
    }
    text
}

fn row(time: &str, who: &str, from: &str, to: &str, why: &str) -> String {
    let line = format!("{time:>10}  {who:<16}  {from:<24}  {to:<24}  {why}");
    format!("{}\n", line.trim_end())
}

pub(super) fn describe_exit(exit: Option<Exit>) -> String {
    match exit {
        None => "destroyed".to_owned(),
        Some(Exit::Code(code)) => format!("exit {code}"),
        Some(Exit::Signal { number, .. }) => format!("signal {number}"),
    }
}

pub(super) fn describe_request(request: &Request) -> String {
    let forced = |force: &bool| if *force { "?force" } else { "" };
    let id = |pod: &Value| pod.get("id").and_then(Value::as_str).unwrap_or("?").to_owned();
    match request {
        Request::Cancel { pod, force } => format!("cancel of {pod}{}", forced(force)),
        Request::Create { pod, force } => format!("POST {}{}", id(pod), forced(force)),
        Request::Delete { pod, force } => format!("DELETE {pod}{}", forced(force)),
        Request::DeleteGroup { group, force } => format!("DELETE group {group}{}", forced(force)),
        Request::EnforceRole { group, enforce } => format!("PATCH group {group} enforceRole {enforce}"),
        Request::Kill { pod, wipe, .. } => format!("kill of {pod}{}", if *wipe { "?wipe" } else { "" }),
        Request::ResetDelay { pod } => format!("reset delay of {pod}"),
        Request::Scale { pod, instances, force } => format!("PUT {pod} x{instances}{}", forced(force)),
        Request::UpdateGroup { group } => format!("PUT group {}", id(group)),
        Request::Update { pod, force } => format!("PUT {}{}", id(pod), forced(force)),
    }
}

/// The outcome, and more about it.
pub(super) fn describe_answer(answer: &Answer) -> (String, String) {
    match answer {
        Answer::Pointless => ("404".to_owned(), "there is nothing that it could be about".to_owned()),
        Answer::Rejected(reason) => ("422".to_owned(), reason.clone()),
        Answer::Scheduler(Err(refusal)) => ("refused".to_owned(), refusal.to_string()),
        Answer::Scheduler(Ok(response)) => {
            let why = match &**response {
                Response::InstancesKilled(killed) => format!("{} instances end", killed.len()),
                Response::PodCreated { pod, .. } | Response::PodUpdated { pod, .. } => {
                    format!("{} instances wanted", pod.instances())
                }
                _ => String::new(),
            };
            ("accepted".to_owned(), why)
        }
    }
}

/// What the fault with this index hits, and for how long.
pub(crate) fn describe_fault(index: usize, scene: &Scene<'_>) -> String {
    let Some(Planned { what: fault, until, .. }) = scene.plan.faults.get(index) else { return String::new() };
    let agents = &scene.plan.cluster.agents;
    let agent = fault.agent().and_then(|index| Some((index, agents.get(index as usize)?)));
    let mut words: Vec<String> =
        agent.map(|(index, agent)| agent.hostname(index as usize)).into_iter().collect();
    if let Value::Object(fields) = serde_json::to_value(fault).unwrap_or_default()
        && let Some((_, Value::Object(fields))) = fields.into_iter().next()
    {
        for (name, value) in fields {
            match value {
                _ if name == "agent" => {}
                Value::String(text) if name == "lasts" => words.push(format!("for {text}")),
                Value::String(text) => words.push(format!("{name} {text}")),
                Value::Bool(true) => words.push(name),
                Value::Bool(false) | Value::Null => {}
                other => words.push(format!("{name} {other}")),
            }
        }
    }
    if let Some(Aim { on, before, after }) = until {
        let moment = match (*before, *after) {
            (Span::ZERO, Span::ZERO) => on.name().to_owned(),
            (Span::ZERO, after) => format!("{after} after {}", on.name()),
            (before, _) => format!("{before} before {}", on.name()),
        };
        words.push(format!("or until {moment}"));
    }
    words.join(", ")
}
