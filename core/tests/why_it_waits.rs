//! What people are told of copies that wait: what is against the agents, and whether waiting is in vain.

mod harness;

use harness::{Driver, from_json, pod, pod_with};
use podium_core::Config;
use podium_core::model::ids::Role;
use podium_core::model::mesos::{FaultDomain, Offer};
use podium_core::model::pod::PodSpec;
use serde_json::json;

/// What is said of the newest copy.
fn message(driver: &Driver) -> String {
    driver.instances().last().and_then(|instance| instance.message.clone()).unwrap_or_default()
}

fn needing(id: &str, cpus: f64) -> PodSpec {
    pod_with(id, 1, 1, &json!({"executorResources": {"cpus": cpus - 0.1}}))
}

fn on_hosts(id: &str, like: &str) -> PodSpec {
    let constraint = json!([{"fieldName": "@hostname", "operator": "LIKE", "value": like}]);
    pod_with(id, 1, 1, &json!({"scheduling": {"placement": {"constraints": constraint}}}))
}

#[test]
fn waiting_is_not_in_vain_for_what_is_only_taken() {
    let mut driver = Driver::connected();
    driver.create(needing("/large", 8.0));
    driver.offer("s1", 8.0, 8192.0);
    driver.run(0);
    driver.create(on_hosts("/p", "s.*"));
    driver.offer("t1", 8.0, 8192.0);
    assert_eq!(message(&driver), "1 agent refuses it by constraint @hostname LIKE s.*");
    // Nor does a restart forget what an agent has beside what is free.
    driver.restart();
    driver.subscribe();
    driver.offer("s1", 0.05, 128.0);
    driver.offer("t1", 8.0, 8192.0);
    assert_eq!(
        message(&driver),
        "needs 0.15 more cpus on 1 agent; 1 agent refuses it by constraint @hostname LIKE s.*"
    );
    driver.create(needing("/p2", 8.05));
    assert_eq!(message(&driver), "needs at least 0.05 more cpus on 2 agents");
    driver.delete_pod_by_force("/p2");
    driver.create(needing("/p3", 8.06));
    assert_eq!(
        message(&driver),
        "needs at least 0.06 more cpus on 2 agents; no agent that was offered can ever take it, as far as offers show"
    );
}

#[test]
fn what_others_give_back_is_there_beside_what_is_in_use() {
    let mut driver = Driver::connected();
    driver.create(needing("/a", 3.0));
    driver.offer("s1", 4.0, 8192.0);
    driver.run(0);
    driver.offer("s1", 5.0, 8192.0);
    driver.create(needing("/b", 8.0));
    driver.offer("s1", 5.0, 8192.0);
    assert_eq!(message(&driver), "needs 3 more cpus on 1 agent");
    driver.create(needing("/c", 8.01));
    assert_eq!(
        message(&driver),
        "needs 3.01 more cpus on 1 agent; no agent that was offered can ever take it, as far as offers show"
    );
}

#[test]
fn whoever_waits_in_vain_is_told() {
    let told = |pod: PodSpec, change: &dyn Fn(&mut Offer)| {
        let mesos_role = pod.role.clone();
        let mut driver = Driver::connected_with(Config { mesos_role, ..Config::default() });
        driver.create(pod);
        for agent in ["s1", "s2"] {
            let mut offer = driver.make_offer(agent, 8.0, 8192.0);
            offer.role = Some(driver.scheduler.config().mesos_role.clone());
            change(&mut offer);
            driver.offer_all(vec![offer]);
        }
        message(&driver)
    };
    let with_ports = |ports: &[u16]| {
        let endpoint = |(n, port): (usize, &u16)| json!({"name": format!("e{n}"), "hostPort": port});
        let endpoints: Vec<_> = ports.iter().enumerate().map(endpoint).collect();
        let container = json!({
            "name": "a", "exec": {"command": {"shell": "x"}}, "resources": {"cpus": 0.1, "mem": 32},
            "endpoints": endpoints
        });
        from_json(&json!({"id": "/p", "containers": [container], "networks": [{"mode": "host"}]}))
    };
    let mut only_reserved = PodSpec { role: Role::from("dev"), ..pod("/p", 1, 1) };
    only_reserved.scheduling.placement.accepted_resource_roles = vec![Role::from("dev")];
    let abroad = |offer: &mut Offer| {
        offer.domain = Some(FaultDomain { region: "us".to_owned(), zone: "a".to_owned() });
    };
    let never = [
        told(needing("/p", 1000.0), &|_| {}),
        told(pod_with("/p", 1, 1, &json!({"executorResources": {"mem": 8192}})), &|_| {}),
        told(with_ports(&[80]), &|_| {}),
        told(with_ports(&[0; 11]), &|_| {}),
        told(only_reserved, &|_| {}),
        told(on_hosts("/p", "t.*"), &|_| {}),
        told(pod("/p", 1, 1), &abroad),
    ];
    insta::assert_snapshot!(never.join("\n"));
}

#[test]
fn all_agents_that_were_looked_at_are_counted() {
    let told = |agents: usize| {
        let mut driver = Driver::connected();
        driver.create(needing("/p", 9.0));
        let offers = (0..agents)
            .map(|n| driver.make_offer(&format!("s{n:04}"), if n == 0 { 8.0 } else { 1.0 }, 8192.0));
        let offers = offers.collect();
        driver.offer_all(offers);
        let queue = driver.scheduler.queue(driver.now);
        let last = &queue[0].processed_offers_summary.reject_summary_last_offers;
        format!(
            "{} of {}: {}",
            last.iter().map(|stage| stage.declined).sum::<u64>(),
            agents,
            message(&driver)
        )
    };
    insta::assert_snapshot!([told(1), told(100), told(1000), told(1001)].join("\n"));
}

#[test]
fn the_nearest_miss_is_what_an_agent_really_lacks() {
    let mut driver = Driver::connected();
    driver.create(pod_with(
        "/p",
        1,
        1,
        &json!({"containers": [
            {"name": "a", "exec": {"command": {"shell": "x"}}, "resources": {"cpus": 1.9, "mem": 4064}}
        ]}),
    ));
    // It needs 2 cpus and 4096 MiB. s1 lacks 0.5 cpus and nearly all memory, s2 lacks 0.6 cpus and 1 MiB.
    driver.offer("s1", 1.5, 96.0);
    driver.offer("s2", 1.4, 4095.0);
    assert!(!message(&driver).contains("at least 0.5 more cpus and 4000 MiB"), "{}", message(&driver));
}

/// What has been counted stays counted.
#[test]
fn the_number_of_offers_that_were_looked_at_never_falls() {
    let mut driver = Driver::connected();
    driver.create(pod_with("/p", 1, 2, &json!({"scheduling": {"placement": {"constraints": [{"fieldName": "@hostname", "operator": "UNIQUE"}]}}})));
    for _ in 0..10 {
        driver.offer("s1", 8.0, 8192.0);
        if driver.instances()[0].agent_id.is_some() && driver.picture()[0].ends_with("Pending") {
            driver.run(0);
        }
    }
    let count = |driver: &Driver| {
        driver.scheduler.queue(driver.now)[0].processed_offers_summary.processed_offers_count
    };
    let before = count(&driver);
    driver.crash(0);
    driver.wait(2.0);
    let after = count(&driver);
    assert!(after >= before, "{before} offers were looked at, then {after}");
}

/// A pod that has just come to a role was tried on none of the offers that there were before.
#[test]
fn offers_to_a_new_role_count_from_when_a_pod_has_it() {
    let large = |id: &str, role: &str| {
        pod_with(
            id,
            1,
            1,
            &json!({"role": role, "containers": [
                {"name": "a", "exec": {"command": {"shell": "x"}}, "resources": {"cpus": 1000, "mem": 32}}
            ]}),
        )
    };
    let mut driver = Driver::connected();
    driver.create(large("/dev/other", "dev"));
    for _ in 0..10 {
        let mut offer = driver.make_offer("s1", 8.0, 8192.0);
        offer.role = Some(Role::from("dev"));
        driver.offer_all(vec![offer]);
    }
    driver.create(large("/dev/p", "*"));
    driver.force_pod(large("/dev/p", "dev"));
    driver.wait(1.0);
    let queue = driver.scheduler.queue(driver.now);
    let item = queue.iter().find(|item| item.pod.id.as_str() == "/dev/p").unwrap();
    assert_eq!(item.processed_offers_summary.processed_offers_count, 0);
}
