//! A failing plan becomes so small that a person can read it.

use std::ops::ControlFlow;

use podium_core::model::mesos::{Call, Event};
use podium_core::model::time::Timestamp;
use podium_core::{Action, Config, Entry, Input, Output, RestoreError, Scheduler};
use podium_sim::oracle::Violation;
use podium_sim::plan::{Fault, Plan, Request, Span, generate};
use podium_sim::run::run_subject;
use podium_sim::shrink::{Progress, Shrunk, shrink};
use podium_sim::world::Subject;
use serde_json::json;

/// Shrinks the first plan that `S` fails on, and checks that what is left shows the same.
fn shrink_first<S: Subject>(about: &str, oracle: &str, minutes: u64) -> Shrunk {
    let judge = |plan: &Plan| run_subject::<S>(plan, false).violation;
    let (plan, violation) = (0..200)
        .find_map(|seed| {
            let plan = short(generate(seed), minutes);
            judge(&plan).filter(|found| found.oracle == oracle).map(|violation| (plan, violation))
        })
        .expect("the planted bug shows in some seed");
    let mut next = 0;
    let shrunk = shrink(&plan, &violation, 2000, judge, |progress| {
        assert_eq!(progress.runs, next);
        next += 1;
        ControlFlow::Continue(())
    });
    let text = format!("{about}: {} runs\n{}", shrunk.runs, shrunk.plan.to_json());
    assert!(shrunk.plan.event_count() <= 10 && plan.event_count() > 10, "{text}");
    assert_eq!(shrunk.violation.oracle, violation.oracle);
    assert_eq!(judge(&shrunk.plan).as_ref(), Some(&shrunk.violation), "{text}");
    assert_eq!(judge(&Plan::from_json(&shrunk.plan.to_json()).unwrap()), Some(shrunk.violation.clone()));
    shrunk
}

/// The first minutes of `plan`, so that a test does not take long.
fn short(mut plan: Plan, minutes: u64) -> Plan {
    let end = Span::from_secs(minutes * 60);
    plan.workload.retain(|planned| planned.at < end);
    plan.faults.retain(|planned| planned.at < end);
    Plan { mended_at: Some(end), settle: end, quiet: Span::from_secs(10), ..plan }
}

/// Forgets to give offers back once it has been disconnected twice.
#[derive(Clone)]
struct Leak {
    scheduler: Scheduler,
    disconnected: u32,
}

impl Subject for Leak {
    fn start(config: Config, seed: u64, entries: Vec<Entry>) -> Result<Self, RestoreError> {
        Ok(Self { scheduler: Scheduler::restore(config, seed, entries)?, disconnected: 0 })
    }

    fn step(&mut self, now: Timestamp, input: Input) -> Output {
        self.disconnected += u32::from(matches!(input, Input::Disconnected));
        let mut output = self.scheduler.step(now, input);
        if self.disconnected >= 2 {
            output.actions.retain(|action| !matches!(action, Action::Call(Call::Decline { .. })));
        }
        output
    }

    fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }
}

#[test]
fn what_takes_two_disconnections_is_shrunk_to_them() {
    let shrunk = shrink_first::<Leak>("a leak of offers", "offers", 4);
    assert_eq!(shrunk.violation.oracle, "offers");
    assert_eq!(shrunk.plan.cluster.agents.len(), 1);
}

/// Does not hear that a container has failed.
#[derive(Clone)]
struct Deaf(Scheduler);

impl Subject for Deaf {
    fn start(config: Config, seed: u64, entries: Vec<Entry>) -> Result<Self, RestoreError> {
        Scheduler::restore(config, seed, entries).map(Self)
    }

    fn step(&mut self, now: Timestamp, input: Input) -> Output {
        let is_failure = match &input {
            Input::Event(event) => match &**event {
                Event::Update(status) => status.state == podium_core::model::mesos::TaskState::TaskFailed,
                _ => false,
            },
            _ => false,
        };
        self.0.step(now, if is_failure { Input::Tick } else { input })
    }

    fn scheduler(&self) -> &Scheduler {
        &self.0
    }
}

#[test]
fn what_takes_a_failed_container_is_shrunk_to_one() {
    let shrunk = shrink_first::<Deaf>("a missed failure", "convergence", 2);
    let pods: Vec<_> = shrunk.plan.workload.iter().filter_map(|order| order.what.pod()).collect();
    assert_eq!(pods.len(), 1, "{}", shrunk.plan.to_json());
    let breaks: Vec<&str> = shrunk.plan.faults.iter().map(|planned| planned.what.name()).collect();
    assert!(breaks.len() + shrunk.plan.containers.len() <= 2, "{breaks:?}");
    assert!(!shrunk.plan.faults.iter().any(|planned| matches!(planned.what, Fault::ClockSet { .. })));
}

#[test]
fn what_is_left_is_wrong_in_the_same_way() {
    let judge = |plan: &Plan| {
        let events = plan.event_count();
        let sentence = if events < 5 { "an offer was declined twice" } else { "an offer has had no answer" };
        Some(Violation::new("offers", format!("{sentence}, with {events} events")))
    };
    let plan = generate(0);
    let violation = judge(&plan).expect("it always finds something");
    let shrunk = shrink(&plan, &violation, 200, judge, |_| ControlFlow::Continue(()));
    assert_eq!(shrunk.plan.event_count(), 5);
    assert_eq!(shrunk.violation.sentence, "an offer has had no answer, with 5 events");
}

#[test]
fn what_was_left_out_before_it_was_stopped_stays_out() {
    let judge = |_: &Plan| Some(Violation::new("offers", "an offer has had no answer"));
    let plan = generate(0);
    let violation = judge(&plan).expect("it always finds something");
    let enough = |progress: Progress| match progress.events < plan.event_count() {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    let stopped = shrink(&plan, &violation, 200, judge, enough);
    assert_eq!((stopped.runs, stopped.complete), (1, false));
    assert!(stopped.plan.event_count() < plan.event_count());
    let exhausted = shrink(&plan, &violation, 3, judge, |_| ControlFlow::Continue(()));
    assert_eq!((exhausted.runs, exhausted.complete), (3, false));
    let complete = shrink(&plan, &violation, 2000, judge, |_| ControlFlow::Continue(()));
    assert_eq!((complete.plan.event_count(), complete.complete), (0, true));
}

/// Of three copies one fails shortly before all of them are expected, and other things happen, too.
const ONE_OF_THREE: &str = r#"{
  "cluster": { "agents": [{ "cpus": 4, "mem": 4096 }, { "cpus": 4, "mem": 4096 }] },
  "workload": [
    { "at": "1s", "do": { "create": { "pod": { "id": "/other", "scaling": { "kind": "fixed", "instances": 2 },
      "containers": [{ "name": "c", "exec": { "command": { "shell": "x" } }, "resources": { "cpus": 0.1, "mem": 32 } }] } } } },
    { "at": "2s", "do": { "create": { "pod": { "id": "/web", "scaling": { "kind": "fixed", "instances": 3 },
      "scheduling": { "backoff": { "backoff": 60 } },
      "containers": [{ "name": "c", "exec": { "command": { "shell": "x" } }, "resources": { "cpus": 0.1, "mem": 32 } }] } } } }
  ],
  "faults": [
    { "at": "20s", "do": { "connection_broken": {} } },
    { "at": "50s", "do": { "container_exits": { "of": { "pod": "/web" }, "status": { "code": 1 } } } }
  ],
  "expect": [
    { "at": "40s", "that": { "pod": { "id": "/other", "stable": 2 } } },
    { "at": "1m", "that": { "pod": { "id": "/web", "stable": 3 } } }
  ]
}"#;

#[test]
fn what_an_expectation_is_about_stays() {
    let judge = |plan: &Plan| run_subject::<Scheduler>(plan, false).violation;
    let plan = Plan::from_json(ONE_OF_THREE).unwrap();
    let violation = judge(&plan).expect("a copy is missing");
    let wrong = "at 1m: of pod /web, 2 instances are stable instead of 3";
    assert_eq!(violation.sentence, format!("expect[1], {wrong}"));
    let shrunk = shrink(&plan, &violation, 2000, judge, |_| ControlFlow::Continue(()));
    let text = shrunk.plan.to_json();
    assert_eq!(shrunk.violation.sentence, format!("expect[0], {wrong}"), "{text}");
    let Plan { workload, faults, expect, .. } = &shrunk.plan;
    assert_eq!((workload.len(), faults.len(), expect.len()), (1, 1, 1), "{text}");
    assert!(matches!(&workload[0].what, Request::Create { pod, .. } if pod["id"] == "/web"), "{text}");
    assert!(matches!(faults[0].what, Fault::ContainerExits { .. }), "{text}");
}

#[test]
fn containers_and_their_rules_are_left_out_too() {
    let container = |name: &str| json!({ "name": name, "exec": { "command": { "shell": "x" } } });
    let rules = ["a", "b", "c"].map(|name| json!({ "container": name, "do": { "exits": 1000 } }));
    let pod = json!({ "id": "/p", "containers": (["a", "b", "c", "d"].map(container)) });
    let plan = json!({
        "cluster": { "agents": [{ "cpus": 4, "mem": 4096 }] },
        "containers": rules,
        "workload": [{ "at": "1s", "do": { "create": { "pod": pod } } }],
    });
    let plan = Plan::from_json(&plan.to_string()).unwrap();
    let names = |plan: &Plan| -> Vec<String> {
        let pods = plan.workload.iter().filter_map(|order| match &order.what {
            Request::Create { pod, .. } => pod["containers"].as_array(),
            _ => None,
        });
        pods.flatten().map(|container| container["name"].to_string()).collect()
    };
    // It takes two of the four, and what one of them does.
    let judge = |plan: &Plan| {
        let names = names(plan);
        let has_rule = plan.containers.iter().any(|rule| rule.container.as_deref() == Some("b"));
        let is_wrong =
            names.contains(&r#""b""#.to_owned()) && names.contains(&r#""d""#.to_owned()) && has_rule;
        is_wrong.then(|| Violation::new("atomicity", "half of a group runs"))
    };
    let violation = judge(&plan).expect("both are there");
    let shrunk = shrink(&plan, &violation, 2000, judge, |_| ControlFlow::Continue(()));
    assert_eq!(names(&shrunk.plan), [r#""b""#, r#""d""#]);
    assert_eq!(shrunk.plan.containers.len(), 1, "{}", shrunk.plan.to_json());
}
