//! Launches: what is placed where, what waits, how long, and what becomes of launches that come to nothing.

mod harness;

use std::time::Duration;

use harness::{Driver, checked_pod, from_json, pod, pod_id, pod_with};
use podium_core::model::ids::Role;
use podium_core::model::mesos::{
    Attribute, AttributeValue, Call, Event, FaultDomain, LaunchGroup, Offer, OperationInfo, Resource,
    ResourceKind, TaskState, TaskStatus, Unavailability,
};
use podium_core::model::number::Scalar;
use podium_core::placement::Reason;
use podium_core::{Action, Command, Config, Entry, Input, Record};
use serde_json::json;

const NOTHING: [&str; 0] = [];

fn groups(calls: &[Call]) -> Vec<&LaunchGroup> {
    calls
        .iter()
        .filter_map(|call| match call {
            Call::Accept { operations, .. } => Some(operations),
            _ => None,
        })
        .flatten()
        .filter_map(|operation| match &operation.info {
            OperationInfo::LaunchGroup(group) => Some(&**group),
            _ => None,
        })
        .collect()
}

#[test]
fn a_group_by_without_a_number_spreads_also_what_comes_later() {
    let constraint = json!([{"fieldName": "rack", "operator": "GROUP_BY"}]);
    let more = json!({"scheduling": {"placement": {"constraints": constraint}}});
    let racks = |driver: &mut Driver| -> Vec<Offer> {
        ["r1", "r2", "r3"]
            .iter()
            .map(|rack| {
                let mut offer = driver.make_offer(&format!("agent-{rack}"), 8.0, 8192.0);
                let value = AttributeValue::Text((*rack).to_owned());
                offer.attributes.push(Attribute { name: "rack".to_owned(), value });
                offer
            })
            .collect()
    };
    let mut driver = Driver::connected();
    driver.create(pod_with("/p", 1, 2, &more));
    let offers = racks(&mut driver);
    driver.offer_all(offers);
    driver.run(0);
    driver.run(1);
    driver.update_pod(pod_with("/p", 1, 6, &more));
    for _ in 0..4 {
        let offers = racks(&mut driver);
        driver.offer_all(offers);
    }
    let mut agents: Vec<String> =
        driver.instances().iter().filter_map(|i| i.agent_id.as_ref().map(ToString::to_string)).collect();
    agents.sort();
    assert_eq!(agents, ["agent-r1", "agent-r1", "agent-r2", "agent-r2", "agent-r3", "agent-r3"]);
}

/// The master is asked to spare us no offers because of constraints.
#[test]
fn what_a_group_by_has_no_use_for_is_declined_for_a_while() {
    let constraint = json!([{"fieldName": "rack", "operator": "GROUP_BY", "value": "2"}]);
    let mut driver = Driver::connected();
    driver.create(pod_with("/p", 1, 2, &json!({"scheduling": {"placement": {"constraints": constraint}}})));
    let offer = |driver: &mut Driver, rack: &str| {
        let mut offer = driver.make_offer(&format!("agent-{rack}"), 8.0, 8192.0);
        let value = AttributeValue::Text(rack.to_owned());
        offer.attributes.push(Attribute { name: "rack".to_owned(), value });
        driver.offer_all(vec![offer])
    };
    offer(&mut driver, "r1");
    assert_eq!(driver.picture(), ["v1.1 agent-r1 Pending", "v1.0 - Pending"]);
    let calls = offer(&mut driver, "r1");
    let a_while = Some(Config::default().decline_offer_duration);
    assert!(matches!(&calls[..], [Call::Decline { refuse, .. }] if *refuse == a_while), "{calls:?}");
    offer(&mut driver, "r2");
    assert_eq!(driver.picture(), ["v1.1 agent-r1 Pending", "v1.1 agent-r2 Pending"]);
}

#[test]
fn a_launch_is_kept_together_with_being_asked_for() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 2, 1));
    let offer = driver.make_offer("s1", 8.0, 8192.0);
    let output = driver.step(Input::Event(Box::new(Event::Offers(vec![offer]))));
    let [Record::Put(Entry::Instance(instance))] = &output.records[..] else {
        panic!("{:?}", output.records)
    };
    let [Action::Accept(accept), ..] = &output.actions[..] else { panic!("{:?}", output.actions) };
    assert_eq!(accept.launches[0].instance, instance.id);
    assert_eq!((accept.launches[0].incarnation, instance.incarnation), (1, 1));
}

#[test]
fn a_large_group_keeps_its_names_ids_and_ports_when_it_is_launched_again() {
    let containers: Vec<serde_json::Value> = ["g", "b", "e", "a", "f", "d", "c"]
        .iter()
        .enumerate()
        .map(|(index, name)| {
            json!({
                "name": name,
                "exec": {"command": {"shell": format!("run {name}")}},
                "resources": {"cpus": 0.1, "mem": 32},
                "endpoints": [{"name": format!("e{name}"), "hostPort": 31_000 + index}]
            })
        })
        .collect();
    let mut driver = Driver::connected();
    driver.create(from_json(&json!({"id": "/p", "containers": containers, "networks": [{"mode": "host"}]})));
    for incarnation in 1..=3 {
        driver.wait(100.0);
        let calls = driver.offer("s1", 8.0, 8192.0);
        for (index, task) in groups(&calls)[0].tasks.iter().enumerate() {
            let id = task.task_id.parse().unwrap();
            assert_eq!((id.container, id.incarnation), (&*task.name, incarnation));
            let command = task.command.as_ref().unwrap();
            assert_eq!(command.value.as_deref(), Some(&*format!("run {}", task.name)));
            let port = format!("ENDPOINT_E{}", task.name.to_uppercase());
            let port = command.environment.iter().find(|variable| variable.name == port).expect("its port");
            assert!(format!("{:?}", port.value).contains(&(31_000 + index).to_string()), "{port:?}");
        }
        driver.run(0);
        driver.crash(0);
    }
}

#[test]
fn a_pod_that_fails_and_one_that_finds_no_place_delay_nobody_else() {
    let mut driver = Driver::connected();
    driver.create(pod("/fails", 1, 1));
    driver.create(pod_with("/huge", 1, 50, &json!({"executorResources": {"cpus": 1000}})));
    driver.offer("s1", 1.0, 8192.0);
    driver.run(0);
    driver.crash(0);
    driver.create(pod("/fine", 1, 3));
    let before = driver.picture();
    driver.offer("s1", 1.0, 8192.0);
    let after = driver.picture();
    let changed: Vec<&String> = after.iter().zip(&before).filter(|(a, b)| a != b).map(|(a, _)| a).collect();
    assert_eq!(changed, ["v1.1 s1 Pending"; 3]);
}

#[test]
fn no_launch_slips_through_before_a_new_delay() {
    let mut driver = Driver::running(pod("/p", 1, 2));
    for millis in [1000, 1150, 1323, 1521] {
        driver.crash(0);
        driver.wait(f64::from(millis - 1) / 1000.0);
        driver.offer("s1", 8.0, 8192.0);
        assert!(driver.picture()[0].ends_with("Pending"));
        let launches = driver.instance(0).1;
        driver.wait(0.001);
        driver.offer("s1", 8.0, 8192.0);
        assert_eq!(driver.instance(0).1, launches + 1, "after {millis} ms");
        driver.run(0);
    }
}

#[test]
fn offers_are_asked_for_as_soon_as_somebody_waits_and_no_longer() {
    let mut driver = Driver::connected();
    driver.wait(60.0);
    driver.calls.clear();
    driver.create(pod("/p", 1, 1));
    assert_eq!(driver.story(), "Revive { roles: [\"*\"] }\n");
    driver.offer("s1", 8.0, 8192.0);
    assert!(driver.story().contains("Suppress { roles: [\"*\"] }"));
}

#[test]
fn offers_are_asked_for_at_most_so_often_and_again_while_they_are_needed() {
    let asked_with = |config| {
        let mut driver = Driver::connected_with(config);
        driver.wait(60.0);
        driver.calls.clear();
        let begin = driver.now;
        let mut asked = Vec::new();
        for n in 0..100 {
            if n < 4 {
                driver.create(pod(&format!("/p{n}"), 1, 1));
            }
            driver.wait(1.0);
            for call in std::mem::take(&mut driver.calls) {
                asked.extend(matches!(call, Call::Revive { .. }).then(|| driver.now.since(begin).as_secs()));
            }
        }
        asked
    };
    let asked = asked_with(Config::default());
    assert_eq!(asked, [1, 5, 35, 65, 95], "at once, with the later needs after 5 s, then every 30 s");
    let min_revive_offers_interval = Duration::from_secs(40);
    assert_eq!(asked_with(Config { min_revive_offers_interval, ..Config::default() }), [1, 40, 80]);
}

#[test]
fn what_agents_are_kept_from_or_for_is_respected_and_told() {
    let told = |change: &dyn Fn(&mut Driver, &mut Offer)| {
        let mut driver = Driver::connected();
        driver.create(pod("/p", 1, 1));
        let mut offer = driver.make_offer("s1", 8.0, 8192.0);
        change(&mut driver, &mut offer);
        assert_eq!(groups(&driver.offer_all(vec![offer])).len(), 0);
        let queue = driver.scheduler.queue(driver.now);
        let reasons = &queue[0].processed_offers_summary.reject_summary_launch_attempt;
        let reason = reasons.iter().find(|summary| summary.declined == 1).expect("it was declined").reason;
        (reason, driver.status_of("/p").instances[0].message.clone().unwrap_or_default())
    };
    let elsewhere = told(&|_, offer| {
        offer.domain = Some(FaultDomain { region: "us".to_owned(), zone: "a".to_owned() });
    });
    let in_maintenance = told(&|driver, offer| {
        offer.unavailability = Some(Unavailability { start: driver.now, duration: None });
    });
    let has_gpus = told(&|_, offer| {
        offer
            .resources
            .push(Resource::scalar(ResourceKind::Gpus, Scalar::from_f64(1.0)).allocated_to(Role::from("*")));
    });
    assert_eq!(
        elsewhere,
        (
            Reason::RegionMismatch,
            "1 agent is in another region; no agent that was offered can ever take it, as far as offers show"
                .to_owned()
        )
    );
    assert_eq!(in_maintenance, (Reason::AgentMaintenance, "1 agent leaves for maintenance".to_owned()));
    assert_eq!(
        has_gpus,
        (Reason::DeclinedScarceResources, "1 agent is kept for pods that need GPUs".to_owned())
    );
}

#[test]
fn an_agent_is_kept_for_nobody_once_others_use_its_gpus() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 1, 1));
    let mut offer = driver.make_offer("s1", 8.0, 8192.0);
    let gpu = Resource::scalar(ResourceKind::Gpus, Scalar::from_f64(1.0)).allocated_to(Role::from("*"));
    offer.resources.push(gpu);
    assert_eq!(groups(&driver.offer_all(vec![offer])).len(), 0);
    assert_eq!(groups(&driver.offer("s1", 7.0, 8192.0)).len(), 1);
}

#[test]
fn an_offer_is_looked_at_once_for_all_copies_that_wait() {
    let mut driver = Driver::connected();
    let constraint = json!([{"fieldName": "@hostname", "operator": "LIKE", "value": "t.*"}]);
    driver.create(pod_with(
        "/p",
        1,
        1000,
        &json!({"scheduling": {"placement": {"constraints": constraint}}}),
    ));
    let offers = (0..10).map(|n| driver.make_offer(&format!("s{n}"), 8.0, 8192.0)).collect();
    driver.offer_all(offers);
    let queue = driver.scheduler.queue(driver.now);
    assert_eq!((queue[0].count, queue[0].processed_offers_summary.processed_offers_count), (1000, 10));
}

#[test]
fn a_deleted_pod_leaves_no_wish_for_offers() {
    let mut driver = Driver::connected();
    driver.wait(60.0);
    driver.create(pod_with("/p", 1, 5, &json!({"executorResources": {"cpus": 1000}})));
    driver.offer("s1", 8.0, 8192.0);
    driver.calls.clear();
    driver.delete_pod_by_force("/p");
    assert_eq!(driver.story(), "Suppress { roles: [\"*\"] }\n");
    driver.wait(1000.0);
    assert!(!driver.story().contains("Revive"));
    assert_eq!(driver.scheduler.queue(driver.now), []);
}

#[test]
fn a_launch_that_got_lost_is_asked_about_and_repeated() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 1, 1));
    driver.offer("s1", 8.0, 8192.0);
    driver.calls.clear();
    driver.wait(10.0);
    assert_eq!(driver.story(), "RECONCILE /p.a.1 on Some(\"s1\")\n");
    driver.update_all(0, TaskState::TaskGone);
    driver.wait(1.0);
    driver.offer("s1", 8.0, 8192.0);
    assert_eq!(driver.picture(), ["v1.2 s1 Pending"]);
}

/// What was asked about with its agent, since the last time.
fn questions(driver: &mut Driver) -> Vec<String> {
    let calls = std::mem::take(&mut driver.calls);
    let tasks = calls.into_iter().filter_map(|call| match call {
        Call::Reconcile { tasks } => Some(tasks),
        _ => None,
    });
    let text = |task: podium_core::model::mesos::ReconcileTask| {
        format!(
            "{} on {}",
            harness::short(&task.task_id),
            task.agent_id.map_or_else(String::new, |id| id.to_string())
        )
    };
    tasks.flatten().map(text).collect()
}

/// A master that has just taken over says nothing about agents that have not come back yet. An offer says that
/// one has.
#[test]
fn a_launch_without_a_word_is_asked_about_when_its_agent_makes_an_offer() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 1, 1));
    driver.offer("s1", 8.0, 8192.0);
    driver.wait(100.0);
    assert_eq!(questions(&mut driver).len(), 3, "at 10, 25 and 55 s");
    driver.offer("s2", 8.0, 8192.0);
    assert_eq!(questions(&mut driver), NOTHING, "another agent's offer says nothing");
    driver.offer("s1", 8.0, 8192.0);
    assert_eq!(questions(&mut driver), ["/p.a.1 on s1"]);
    driver.wait(5.0);
    driver.offer("s1", 8.0, 8192.0);
    assert_eq!(questions(&mut driver), NOTHING, "the answer is on its way");
    // The master's own word that it has passed the launch on does not come from the agent.
    driver.update(0, "a", TaskState::TaskStaging);
    driver.wait(10.0);
    questions(&mut driver);
    driver.offer("s1", 8.0, 8192.0);
    assert_eq!(questions(&mut driver), ["/p.a.1 on s1"]);
    driver.update(0, "a", TaskState::TaskStarting);
    driver.wait(60.0);
    driver.offer("s1", 8.0, 8192.0);
    assert_eq!(questions(&mut driver), NOTHING, "it has spoken");
}

#[test]
fn a_launch_without_a_word_is_asked_about_after_a_restart_when_its_agent_makes_an_offer() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 1, 1));
    driver.offer("s1", 8.0, 8192.0);
    driver.wait(20.0);
    driver.restart();
    driver.subscribe();
    driver.wait(1.0);
    questions(&mut driver);
    driver.offer("s1", 8.0, 8192.0);
    assert_eq!(questions(&mut driver), ["/p.a.1 on s1"]);
}

#[test]
fn a_launch_on_an_offer_that_was_withdrawn_is_repeated() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 2, 1));
    let offer = driver.make_offer("s1", 8.0, 8192.0);
    let id = offer.id.clone();
    driver.offer_all(vec![offer]);
    driver.event(Event::Rescind(id));
    driver.update_all(0, TaskState::TaskDropped);
    driver.wait(1.0);
    driver.offer("s1", 8.0, 8192.0);
    assert_eq!(driver.picture(), ["v1.2 s1 Pending"]);
}

#[test]
fn a_launch_that_nobody_ever_confirms_ends() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 1, 1));
    driver.offer("s1", 8.0, 8192.0);
    driver.wait(299.0);
    assert_eq!(driver.kills(), NOTHING);
    driver.wait(1.0);
    let calls = driver.calls.clone();
    assert_eq!(driver.kills(), ["/p.a.1"]);
    driver.calls.clone_from(&calls);
    assert_eq!(questions(&mut driver), ["/p.a.1 on s1"], "perhaps nobody knows of it any more");
    assert_eq!(driver.picture(), ["v1.1 s1 Terminal"]);
    let message = driver.status_of("/p").instances[0].message.clone();
    assert_eq!(message.as_deref(), Some("did not start in time and is being killed"));
    driver.calls = calls;
    driver.confirm_kills();
    let status = driver.status_of("/p");
    assert_eq!(
        status.instances[0].message.as_deref(),
        Some("did not start in time and was killed; waits 1.0 s more before the next launch (back-off)")
    );
    let said = status.termination_history[0].message.as_deref();
    assert_eq!(said, Some("did not start in time and was killed"), "and not only that somebody killed it");
}

#[test]
fn how_long_a_start_may_take_can_be_set() {
    let config = Config { task_launch_timeout: Duration::from_secs(1000), ..Config::default() };
    let mut driver = Driver::connected_with(config);
    driver.create(pod("/p", 1, 1));
    driver.offer("s1", 8.0, 8192.0);
    driver.update_all(0, TaskState::TaskStarting);
    driver.wait(999.0);
    assert_eq!(driver.kills(), NOTHING);
    driver.wait(1.0);
    assert_eq!(driver.kills(), ["/p.a.1"]);
}

#[test]
fn one_slow_container_does_not_condemn_a_group_that_makes_progress() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 3, 1));
    driver.offer("s1", 8.0, 8192.0);
    for container in ["a", "b"] {
        driver.wait(250.0);
        driver.update(0, container, TaskState::TaskStarting);
        driver.update(0, container, TaskState::TaskRunning);
    }
    driver.update(0, "c", TaskState::TaskStarting);
    driver.wait(299.0);
    assert_eq!(driver.kills(), NOTHING);
    driver.wait(1.0);
    assert_eq!(driver.kills(), ["/p.a.1", "/p.b.1", "/p.c.1"]);
}

#[test]
fn every_offer_of_a_burst_is_answered_at_once_and_only_once() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 1, 100));
    driver.create(pod("/q", 1, 100));
    let offers: Vec<Offer> =
        (0..1000).map(|n| driver.make_offer(&format!("s{}", n % 400), 0.4, 512.0)).collect();
    let mut asked: Vec<_> = offers.iter().map(|offer| offer.id.clone()).collect();
    let calls = driver.offer_all(offers);
    let mut answered: Vec<_> = calls
        .into_iter()
        .flat_map(|call| match call {
            Call::Accept { offer_ids, .. } | Call::Decline { offer_ids, .. } => offer_ids,
            _ => Vec::new(),
        })
        .collect();
    asked.sort();
    answered.sort();
    assert_eq!(answered, asked);
    assert!(driver.picture().iter().all(|line| line.starts_with("v1.1 ")));
}

#[test]
fn one_offer_carries_as_many_copies_as_fit() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 1, 300));
    let calls = driver.offer("s1", 50.0, 1e6);
    assert_eq!(groups(&calls).len(), 250);
}

#[test]
fn all_roles_are_stated_once_there_is_a_subscription() {
    let mut driver = Driver::connected();
    driver.create(pod_with("/web/p", 1, 1, &json!({"role": "web"})));
    driver.restart();
    let subscription = driver.scheduler.subscription(driver.now);
    assert_eq!(subscription.framework_info.roles, [Role::from("*")]);
    assert_eq!(subscription.suppressed_roles, [Role::from("*")]);
    // A master might refuse it for any other role; what else is wanted is told once it is there.
    driver.create(pod_with("/db/p", 1, 1, &json!({"role": "db"})));
    driver.subscribe();
    let told = driver.calls.iter().find_map(|call| match call {
        Call::UpdateFramework { framework_info, .. } => Some(framework_info.roles.clone()),
        _ => None,
    });
    assert_eq!(told, Some(vec![Role::from("*"), Role::from("db"), Role::from("web")]));
}

#[test]
fn a_new_subscription_asks_for_offers_for_what_became_due_while_nobody_was_there() {
    let mut driver = Driver::running(pod("/p", 1, 1));
    driver.crash(0);
    let delay_is_over = driver.now + Duration::from_secs(1);
    driver.restart();
    let suppressed = |now| driver.scheduler.subscription(now).suppressed_roles;
    assert_eq!(suppressed(driver.now), [Role::from("*")]);
    assert_eq!(suppressed(delay_is_over), []);
}

#[test]
fn an_agent_that_still_knows_the_last_launch_is_asked_again_in_a_moment() {
    let mut driver = Driver::running(pod("/p", 1, 1));
    driver.kill(0, false);
    driver.confirm_kills();
    let declined = |refuse: u64, calls: &[Call]| matches!(calls, [Call::Decline { refuse: Some(asked), .. }] if *asked == Duration::from_secs(refuse));
    // The acknowledgement of its last words may still be on its way.
    assert!(declined(1, &driver.offer("s1", 8.0, 8192.0)));
    let why = driver.status_of("/p").instances[0].message.clone();
    assert_eq!(
        why.as_deref(),
        Some("container 'a' is TASK_KILLED; its last launch is still ending on 1 agent")
    );
    driver.wait(1.0);
    assert_eq!(groups(&driver.offer("s1", 8.0, 8192.0)).len(), 1);
    // Other agents never knew it.
    driver.run(0);
    driver.kill(0, false);
    driver.confirm_kills();
    assert_eq!(groups(&driver.offer("s2", 8.0, 8192.0)).len(), 1);
    assert!(declined(120, &driver.offer("s1", 8.0, 8192.0)));
}

#[test]
fn an_agent_where_copies_fail_again_and_again_is_avoided_for_a_while_if_the_pod_says_so() {
    let backoff = json!({"maxLaunchDelay": 1, "failingAgents": {"failures": 3, "seconds": 600}});
    let wary = pod_with("/p", 1, 1, &json!({"scheduling": {"backoff": backoff}}));
    let mut driver = Driver::connected();
    driver.create(wary.clone());
    let fail = |driver: &mut Driver, agent: &str| {
        driver.offer(agent, 8.0, 8192.0);
        driver.crash(0);
        driver.wait(1.0);
    };
    fail(&mut driver, "s1");
    fail(&mut driver, "s2");
    fail(&mut driver, "s1");
    fail(&mut driver, "s1");
    driver.restart();
    driver.subscribe();
    assert_eq!(groups(&driver.offer("s1", 8.0, 8192.0)).len(), 0);
    assert_eq!(
        driver.status_of("/p").instances[0].message.as_deref(),
        Some(
            "container 'a' is TASK_FAILED: Command exited with status 1; its copies failed again and again on 1 \
             agent, which is avoided for now"
        )
    );
    // Offers are asked for again when its time is over, although nothing else has changed.
    driver.wait(30.0);
    driver.calls.clear();
    driver.wait(568.0);
    assert_eq!(groups(&driver.offer("s1", 8.0, 8192.0)).len(), 0);
    driver.calls.clear();
    driver.wait(1.0);
    assert!(driver.calls.iter().any(|call| matches!(call, Call::Revive { .. })));
    assert_eq!(groups(&driver.offer("s1", 8.0, 8192.0)).len(), 1);
    // Its failures are forgotten, so the next one is the first again.
    driver.crash(0);
    driver.wait(1.0);
    assert_eq!(groups(&driver.offer("s1", 8.0, 8192.0)).len(), 1);
}

#[test]
fn nobody_is_avoided_by_another_definition_or_once_the_delay_is_reset_or_if_nobody_asked_for_it() {
    let launches_after = |seconds: Option<u32>, change: &dyn Fn(&mut Driver)| {
        let rule = seconds.map(|seconds| json!({"failures": 1, "seconds": seconds}));
        let backoff = json!({"maxLaunchDelay": 1, "failingAgents": rule});
        let mut driver = Driver::running(pod_with("/p", 1, 1, &json!({"scheduling": {"backoff": backoff}})));
        driver.crash(0);
        driver.wait(1.0);
        change(&mut driver);
        groups(&driver.offer("s1", 8.0, 8192.0)).len()
    };
    assert_eq!(launches_after(Some(600), &|_| {}), 0);
    assert_eq!(launches_after(None, &|_| {}), 1);
    let reset = |driver: &mut Driver| {
        driver.command(Command::ResetDelay { pod: pod_id("/p") }).unwrap();
    };
    assert_eq!(launches_after(Some(600), &reset), 1);
    let mend = |driver: &mut Driver| {
        let spec = (*driver.status_of("/p").spec).clone();
        driver.update_pod(harness::changed(spec, "2"));
    };
    assert_eq!(launches_after(Some(600), &mend), 1);
    // Another number of copies, or other settings, do not make an agent any better.
    let scale = |driver: &mut Driver| {
        let mut spec = (*driver.status_of("/p").spec).clone();
        spec.scaling.instances = 2;
        driver.update_pod(spec);
    };
    assert_eq!(launches_after(Some(600), &scale), 0);
}

#[test]
fn copies_of_an_older_definition_that_fail_say_nothing_about_an_agent() {
    let rule = json!({"failures": 1, "seconds": 600});
    let upgrade = json!({"minimumHealthCapacity": 1.0, "maximumOverCapacity": 1.0});
    let scheduling = json!({"backoff": {"maxLaunchDelay": 1, "failingAgents": rule}, "upgrade": upgrade});
    let first = pod_with("/p", 1, 2, &json!({"scheduling": scheduling}));
    let mut driver = Driver::running(first.clone());
    driver.update_pod(harness::changed(first, "2"));
    driver.crash(0);
    driver.wait(1.0);
    assert_eq!(groups(&driver.offer("s1", 8.0, 8192.0)).len(), 2, "both of the new definition");
}

#[test]
fn a_pod_that_needs_a_role_gets_it_without_a_new_subscription() {
    let mut driver = Driver::connected();
    driver.create(pod_with("/web/p", 1, 1, &json!({"role": "web"})));
    driver.wait(5.0);
    let roles = driver.calls.iter().find_map(|call| match call {
        Call::UpdateFramework { framework_info, suppressed_roles } => {
            Some((framework_info.roles.clone(), suppressed_roles.clone()))
        }
        _ => None,
    });
    assert_eq!(roles, Some((vec![Role::from("*"), Role::from("web")], vec![Role::from("*")])));
}

#[test]
fn a_copy_that_was_asked_to_end_before_its_launch_was_confirmed_does_not_stay() {
    let mut driver = Driver::connected();
    driver.create(checked_pod("/p", 1, &json!({})));
    driver.offer("s1", 8.0, 8192.0);
    driver.force_pod(checked_pod("/p", 0, &json!({})));
    assert_eq!(driver.picture(), ["v1.1 s1 Terminal"]);
    let task = driver.status(0, "a", TaskState::TaskRunning).task_id;
    // The kill overtook the launch and got lost; it is repeated until the end is confirmed.
    driver.event(Event::Update(TaskStatus::new(task, TaskState::TaskRunning)));
    driver.calls.clear();
    driver.wait(60.0);
    assert!(driver.confirm_kills() > 0);
    assert_eq!(driver.picture(), NOTHING);
}

/// The executor of one copy lingers on the only agent.
#[test]
fn a_copy_whose_last_launch_is_still_ending_holds_up_no_other() {
    let mut driver = Driver::running(pod("/p", 1, 1));
    let executor = driver.instance(0).0.executor_id();
    driver.crash(0);
    driver.update_pod(pod("/p", 1, 2));
    driver.wait(5.0);
    let mut offer = driver.make_offer("s1", 8.0, 8192.0);
    offer.executor_ids.push(executor);
    driver.offer_all(vec![offer]);
    assert_eq!(driver.picture(), ["v1.1 s1 Pending", "v2.1 s1 Pending"], "the other one is launched");
    assert_eq!(driver.scheduler.queue(driver.now)[0].count, 1);
}

#[test]
fn an_accept_that_the_master_refuses_launches_nothing_and_gives_its_offers_back() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 1, 1));
    let accept = driver.offer("s1", 8.0, 8192.0).into_iter().find(|call| matches!(call, Call::Accept { .. }));
    let Some(Call::Accept { offer_ids, .. }) = accept.clone() else { panic!("it is launched") };
    let (call, reason) = (Box::new(accept.unwrap()), "no".to_owned());
    driver.calls.clear();
    let _ = driver.step(Input::Refused { call, reason });
    let gives_back =
        |call: &Call| matches!(call, Call::Decline { offer_ids: given, .. } if *given == offer_ids);
    assert!(driver.calls.iter().any(gives_back), "{:?}", driver.calls);
    assert_eq!(driver.scheduler.queue(driver.now)[0].count, 1, "it waits again");
    let ended = driver.status_of("/p").termination_history[0].message.clone();
    assert_eq!(ended.as_deref(), Some("the Mesos master refused the launch: no"));
    driver.wait(1.0);
    driver.offer("s2", 8.0, 8192.0);
    assert_eq!(driver.picture(), ["v1.2 s2 Pending"]);
}
