//! Updates where no agent has room for new copies beside the old ones.

mod harness;

use std::collections::BTreeMap;
use std::time::Duration;

use harness::{Driver, changed, checked_pod, pod_with};
use podium_core::admission::{Rules, read_pod};
use podium_core::model::ids::Role;
use podium_core::model::mesos::{Event, Offer, Resource, ResourceKind, TaskState, Unavailability};
use podium_core::model::number::{Number, Scalar};
use podium_core::model::pod::PodSpec;
use podium_core::{Config, Input, SecretsReport};
use serde_json::json;

const NOTHING: [&str; 0] = [];

/// `instances` copies of which `floor` (a share) must stay healthy and that may grow by `over`.
fn elastic(instances: u32, floor: f64, over: f64) -> PodSpec {
    let upgrade = json!({"minimumHealthCapacity": floor, "maximumOverCapacity": over});
    pod_with("/p", 1, instances, &json!({"scheduling": {"upgrade": upgrade}}))
}

/// There may be twice as many copies, but there is no room for them, and half of them may be given up.
#[test]
fn old_copies_make_place_for_new_ones_that_find_none_beside_them() {
    for restarts in [false, true] {
        let mut driver = Driver::running(elastic(2, 0.5, 1.0));
        driver.answers = true;
        driver.update_pod(changed(elastic(2, 0.5, 1.0), "2"));
        if restarts {
            driver.wait(50.0);
            driver.restart();
            driver.subscribe();
            driver.wait(15.0);
        }
        driver.offer("s1", 0.1, 16.0);
        driver.kills();
        driver.wait(44.0);
        assert_eq!(driver.kills(), NOTHING);
        let until = if restarts { "12:28:35.002Z" } else { "12:27:45.002Z" };
        let said = format!("; if they find no place beside older ones by 2020-09-13T{until}, those make it");
        assert!(driver.deployments()[0].contains(&said), "{:?}", driver.deployments());
        driver.wait(16.0);
        assert_eq!(
            driver.picture(),
            ["v1.1 s1 Stable", "v1.1 s1 Terminal", "v2.0 - Pending", "v2.0 - Pending"]
        );
        driver.wait(1000.0);
        assert_eq!(serving(&driver), 1);
        let ended = driver.status(1, "a", TaskState::TaskKilled);
        driver.event(Event::Update(ended));
        driver.offer("s1", 0.2, 64.0);
        driver.run(1);
        driver.wait(59.0);
        assert_eq!(driver.picture(), ["v1.1 s1 Stable", "v2.1 s1 Stable", "v2.0 - Pending"]);
        driver.wait(1.0);
        assert_eq!(driver.picture(), ["v1.1 s1 Terminal", "v2.1 s1 Stable", "v2.0 - Pending"]);
    }
}

/// What has ended leaves a place that nobody has found yet: no further copy need make one meanwhile.
#[test]
fn no_more_old_copies_make_place_than_new_ones_lack_it() {
    let mut driver = Driver::running(elastic(3, 0.0, 1.0));
    driver.update_pod(changed(elastic(3, 0.0, 1.0), "2"));
    driver.offer("s2", 0.2, 64.0);
    driver.offer("s1", 0.1, 16.0);
    driver.wait(61.0);
    let making = ["v1.1 s1 Stable", "v1.1 s1 Terminal", "v1.1 s1 Terminal"];
    assert_eq!(driver.picture()[..3], making);
    let ended = driver.status(2, "a", TaskState::TaskKilled);
    driver.event(Event::Update(ended));
    assert_eq!(driver.picture()[..2], making[..2]);
    let ended = driver.status(1, "a", TaskState::TaskKilled);
    driver.event(Event::Update(ended));
    driver.wait(59.0);
    assert_eq!(driver.picture()[0], "v1.1 s1 Stable");
    // It was of no use to the new ones, or somebody else has taken it.
    driver.wait(2.0);
    assert_eq!(driver.picture()[0], "v1.1 s1 Terminal");
}

/// A version that is ill is no use to anybody, and one that is out of reach makes no place.
#[test]
fn what_does_not_serve_makes_place_and_what_is_out_of_reach_does_not() {
    let patient = json!({"scheduling": {
        "upgrade": {"minimumHealthCapacity": 0.5, "maximumOverCapacity": 1},
        "unreachableStrategy": {"inactiveAfterSeconds": 36000, "expungeAfterSeconds": 36000}
    }});
    let mut driver = Driver::running(checked_pod("/p", 3, &patient));
    (0..3).for_each(|n| driver.health(n, "a", true));
    driver.health(2, "a", false);
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.update_pod(changed(checked_pod("/p", 3, &patient), "2"));
    driver.offer("s1", 0.1, 16.0);
    driver.kills();
    driver.wait(61.0);
    assert_eq!(driver.picture()[..3], ["v1.1 s1 Degraded", "v1.1 s1 Stable", "v1.1 s1 Terminal"]);
    driver.wait(1000.0);
    assert_eq!(driver.picture()[..3], ["v1.1 s1 Degraded", "v1.1 s1 Stable", "v1.1 s1 Terminal"]);
}

/// Nobody is offered a machine on which nothing is free: what it has is not known after a restart.
#[test]
fn what_is_not_offered_may_have_a_place_once_somebody_leaves_it() {
    let mut driver = Driver::running(elastic(2, 0.5, 1.0));
    driver.answers = true;
    driver.update_pod(changed(elastic(2, 0.5, 1.0), "2"));
    driver.restart();
    driver.subscribe();
    driver.offer("s2", 0.1, 16.0);
    driver.wait(80.0);
    assert_eq!(driver.picture()[..2], ["v1.1 s1 Stable", "v1.1 s1 Terminal"]);
}

#[test]
fn no_old_copy_makes_place_where_that_would_not_help() {
    let waits_in_vain = |update: PodSpec| {
        let mut driver = Driver::running(elastic(2, 0.5, 1.0));
        driver.update_pod(update);
        driver.offer("s1", 0.1, 16.0);
        for _ in 0..20 {
            driver.wait(60.0);
        }
        assert_eq!(driver.picture()[..2], ["v1.1 s1 Stable"; 2]);
    };
    // No agent could ever take it.
    let mut large = elastic(2, 0.5, 1.0);
    large.containers[0].resources.cpus = Number(1000.0);
    waits_in_vain(large);
    // It may not go where the old ones are.
    let constraints = json!([["hostname", "LIKE", "s2.*"]]);
    let elsewhere = json!({"scheduling": {"placement": {"constraints": constraints}}});
    waits_in_vain({
        let mut pod = pod_with("/p", 1, 2, &elsewhere);
        pod.scheduling.upgrade = elastic(2, 0.5, 1.0).scheduling.upgrade;
        pod
    });
    // No agent has that port.
    waits_in_vain({
        let container = json!({
            "name": "a",
            "exec": {"command": {"shell": "sleep 1000"}},
            "resources": {"cpus": 0.1, "mem": 32},
            "endpoints": [{"name": "http", "hostPort": 80}]
        });
        let mut pod = pod_with("/p", 1, 2, &json!({"containers": [container]}));
        pod.scheduling.upgrade = elastic(2, 0.5, 1.0).scheduling.upgrade;
        pod
    });
    // None may be given up.
    waits_in_vain(changed(elastic(2, 1.0, 1.0), "2"));
    // It is the back-off that they wait for.
    let mut driver = Driver::running(elastic(1, 0.0, 1.0));
    let slow = json!({"backoff": 600, "backoffFactor": 10});
    let upgrade = json!({"minimumHealthCapacity": 0, "maximumOverCapacity": 1});
    let slow = pod_with("/p", 1, 1, &json!({"scheduling": {"upgrade": upgrade, "backoff": slow}}));
    driver.update_pod(changed(slow, "2"));
    for _ in 0..3 {
        driver.offer("s2", 8.0, 8192.0);
        driver.crash(1);
        driver.wait(500.0);
        assert_eq!(driver.picture()[0], "v1.1 s1 Stable");
        driver.wait(100.0);
    }
}

/// A place that is made can be found before the next copy goes, however long that took.
#[test]
fn no_more_old_copies_go_than_there_are_places_to_be_found() {
    let mut driver = Driver::running(elastic(3, 0.0, 1.0));
    let constraints = json!([["hostname", "MAX_PER", "1"]]);
    let mut pod = pod_with("/p", 1, 3, &json!({"scheduling": {"placement": {"constraints": constraints}}}));
    pod.scheduling.upgrade = elastic(3, 0.0, 1.0).scheduling.upgrade;
    driver.update_pod(pod);
    driver.offer("s1", 0.1, 16.0);
    driver.wait(60.0);
    assert_eq!(serving(&driver), 2);
    driver.wait(50.0);
    driver.kills();
    let ended = driver.status(2, "a", TaskState::TaskKilled);
    driver.event(Event::Update(ended));
    // Somebody else has taken it.
    driver.offer("s1", 0.1, 16.0);
    driver.wait(59.0);
    assert_eq!(serving(&driver), 2);
    driver.wait(1.0);
    assert_eq!(serving(&driver), 1);
}

/// What would go for nothing stays: copies where no new one may be, or too few of them on one agent.
#[test]
fn old_copies_go_from_where_new_ones_find_a_place() {
    let agents = ["s1", "s2", "s3"];
    type Change<'a> = &'a dyn Fn(&mut Driver, &mut Offer);
    let with_offers = |mut pod: PodSpec, floor, change: Change<'_>| -> Vec<String> {
        let mut driver = Driver::connected();
        driver.create(elastic(6, 0.5, 1.0));
        for agent in agents {
            driver.offer(agent, 0.4, 128.0);
        }
        (0..6).for_each(|n| driver.run(n));
        driver.wait(5.0);
        pod.scheduling.upgrade.minimum_health_capacity = Number(floor);
        driver.update_pod(pod);
        for agent in agents {
            let mut offer = driver.make_offer(agent, 0.1, 32.0);
            change(&mut driver, &mut offer);
            driver.offer_all(vec![offer]);
        }
        driver.wait(1000.0);
        let picture = driver.picture();
        picture.iter().filter_map(|line| line.strip_suffix(" Terminal")).map(str::to_owned).collect()
    };
    let where_copies_go = |pod, floor| with_offers(pod, floor, &|_, _| ());
    // Only one of the agents will do for the new version.
    let there = |operator: &str, value: &str| {
        let constraints = json!([["hostname", operator, value]]);
        pod_with("/p", 1, 6, &json!({"scheduling": {"placement": {"constraints": constraints}}}))
    };
    assert_eq!(where_copies_go(there("LIKE", "s3.*"), 0.5), ["v1.1 s3", "v1.1 s3"]);
    // One copy of the new version on each of them.
    assert_eq!(where_copies_go(there("MAX_PER", "1"), 0.0), ["v1.1 s1", "v1.1 s2", "v1.1 s3"]);
    // Where one of the new version is to be, both old ones have to go: each leaves 0.2 cpus beside 0.1 that are free.
    let mut larger = pod_with("/p", 1, 6, &json!({}));
    larger.containers[0].resources.cpus = Number(0.25);
    assert_eq!(where_copies_go(larger.clone(), 0.5), ["v1.1 s3", "v1.1 s3"], "a third one would be no use");
    assert_eq!(where_copies_go(larger, 0.75), NOTHING);
    // Those that will be in maintenance, or have GPUs for others, take none.
    let except_on = |agent: &'static str, change: Change<'_>| {
        let pod = pod_with("/p", 1, 6, &json!({"labels": {"GPU_SCHEDULING_BEHAVIOR": "restricted"}}));
        with_offers(pod, 0.0, &|driver, offer| {
            if offer.agent_id.as_str() != agent {
                change(driver, offer);
            }
        })
    };
    let ends = |driver: &mut Driver, offer: &mut Offer| {
        offer.unavailability = Some(Unavailability { start: driver.now, duration: None });
    };
    assert_eq!(except_on("s2", &ends), ["v1.1 s2", "v1.1 s2"]);
    let has_gpus = |_: &mut Driver, offer: &mut Offer| {
        let gpus = Resource::scalar(ResourceKind::Gpus, Scalar::from_f64(1.0));
        offer.resources.push(gpus.allocated_to(Role::from("*")));
    };
    assert_eq!(except_on("s2", &has_gpus), ["v1.1 s2", "v1.1 s2"]);
}

/// A role may have a limit, so that nothing is offered to it although much is free.
#[test]
fn one_old_copy_after_the_other_goes_where_nobody_knows_what_is_free() {
    let mut driver = Driver::connected();
    driver.answers = true;
    driver.create(elastic(3, 0.0, 1.0));
    for agent in ["s1", "s2", "s3"] {
        driver.offer(agent, 0.2, 64.0);
    }
    (0..3).for_each(|n| driver.run(n));
    driver.wait(5.0);
    driver.restart();
    driver.subscribe();
    driver.wait(20.0);
    let mut larger = elastic(3, 0.0, 1.0);
    larger.containers[0].resources.cpus = Number(0.25);
    driver.update_pod(larger);
    driver.wait(1000.0);
    assert_eq!(serving(&driver), 2);
    assert_eq!(driver.picture()[2], "v1.1 s3 Terminal");
    driver.update(2, "a", TaskState::TaskKilled);
    driver.offer("s3", 8.0, 64.0);
    driver.run(2);
    driver.wait(60.0);
    assert_eq!(driver.picture()[..3], ["v1.1 s1 Stable", "v1.1 s2 Terminal", "v2.1 s3 Stable"]);
}

/// A fixed port is free once its user has ended, and nobody else can give it.
#[test]
fn old_copies_make_place_where_they_have_the_port_that_new_ones_need() {
    let with_port = |id: &str, instances: u32, floor: f64| {
        let container = json!({
            "name": "a",
            "exec": {"command": {"shell": "sleep 1000"}},
            "resources": {"cpus": 0.1, "mem": 32},
            "endpoints": [{"name": "http", "hostPort": 31005}]
        });
        let mut pod = pod_with(id, 1, instances, &json!({"containers": [container]}));
        pod.scheduling.upgrade = elastic(instances, floor, 1.0).scheduling.upgrade;
        pod
    };
    let everywhere = |driver: &mut Driver, ports: [bool; 3]| {
        for (agent, is_free) in ["s1", "s2", "s3"].into_iter().zip(ports) {
            let mut offer = driver.make_offer(agent, 0.8, 256.0);
            if !is_free {
                offer.resources.retain(|resource| resource.kind != ResourceKind::Ports);
            }
            driver.offer_all(vec![offer]);
        }
    };
    // The old version has no port. On s1 another pod has it, and the first new copies have it on s2 and s3.
    let mut driver = Driver::connected();
    driver.create(elastic(6, 0.0, 1.0));
    everywhere(&mut driver, [true; 3]);
    driver.create(with_port("/a", 1, 1.0));
    driver.offer("s1", 0.2, 64.0);
    (0..7).for_each(|n| driver.run(n));
    driver.wait(5.0);
    driver.update_pod(with_port("/p", 6, 0.0));
    everywhere(&mut driver, [false, true, true]);
    (7..9).for_each(|n| driver.run(n));
    driver.wait(5.0);
    assert_eq!(serving(&driver), 7, "{:?}", driver.picture());
    driver.wait(1000.0);
    assert_eq!(serving(&driver), 7, "four are left of the old ones, for whom no new one could come");
    // There is room for one new copy on each agent, however many old ones leave.
    let mut driver = Driver::connected();
    driver.create(elastic(6, 0.0, 1.0));
    for agent in ["s1", "s2", "s3"] {
        driver.offer(agent, 0.4, 128.0);
    }
    (0..6).for_each(|n| driver.run(n));
    driver.wait(5.0);
    driver.update_pod(with_port("/p", 6, 0.0));
    for agent in ["s1", "s2", "s3"] {
        driver.offer(agent, 0.1, 128.0);
    }
    driver.wait(1000.0);
    assert_eq!(serving(&driver), 3);
    // The old version has it, too.
    let mut driver = Driver::connected();
    driver.create(with_port("/p", 3, 0.0));
    everywhere(&mut driver, [true; 3]);
    (0..3).for_each(|n| driver.run(n));
    driver.wait(5.0);
    driver.update_pod(changed(with_port("/p", 3, 0.0), "2"));
    everywhere(&mut driver, [false; 3]);
    driver.wait(60.0);
    assert_eq!(serving(&driver), 0);
}

/// Nobody makes place where new copies failed and which they avoid therefore.
#[test]
fn no_old_copy_makes_place_on_an_agent_that_new_ones_avoid() {
    let mut driver = Driver::running(elastic(2, 0.5, 1.0));
    driver.answers = true;
    let careful = json!({"scheduling": {
        "backoff": {"failingAgents": {"failures": 1, "seconds": 600}},
        "upgrade": {"minimumHealthCapacity": 0.5, "maximumOverCapacity": 1}
    }});
    driver.update_pod(changed(pod_with("/p", 1, 2, &careful), "2"));
    driver.offer("s1", 0.2, 64.0);
    driver.crash(2);
    driver.offer("s1", 0.1, 16.0);
    driver.wait(590.0);
    assert_eq!(serving(&driver), 2);
    driver.wait(100.0);
    assert_eq!(serving(&driver), 1);
}

/// Who could use no offer has not looked for a place.
#[test]
fn new_copies_look_for_a_place_once_their_secret_is_there() {
    let mut json = serde_json::to_value(elastic(2, 0.5, 1.0)).unwrap();
    json["secrets"] = json!({"db": {"source": "/db"}});
    json["environment"] = json!({"PASSWORD": {"secret": "db"}});
    let secretive = read_pod(&json, &Rules { secrets: true, ..Rules::default() }).unwrap().pod;
    let mut driver = Driver::running(elastic(2, 0.5, 1.0));
    driver.update_pod(secretive);
    let missing = BTreeMap::from([("/db".to_owned(), "there is none".to_owned())]);
    let _ = driver.step(Input::Secrets(SecretsReport { missing, ..SecretsReport::default() }));
    driver.offer("s1", 0.1, 16.0);
    for _ in 0..5 {
        // The end of a search comes just after the secret has.
        driver.wait(59.0);
    }
    let found = ["/db".to_owned()].into();
    let _ = driver.step(Input::Secrets(SecretsReport { found, ..SecretsReport::default() }));
    driver.wait(60.0);
    assert_eq!(serving(&driver), 2);
    driver.wait(60.0);
    assert_eq!(serving(&driver), 1);
}

/// Where offers are asked for seldom, they have to be asked for before anybody can say that there is no place.
#[test]
fn new_copies_look_for_a_place_until_offers_have_been_asked_for() {
    let min_revive_offers_interval = Duration::from_secs(100);
    let mut driver = Driver::connected_with(Config { min_revive_offers_interval, ..Config::default() });
    driver.create(elastic(2, 0.5, 1.0));
    driver.offer("s1", 8.0, 8192.0);
    (0..2).for_each(|n| driver.run(n));
    driver.wait(5.0);
    driver.update_pod(changed(elastic(2, 0.5, 1.0), "2"));
    driver.offer("s1", 0.1, 16.0);
    driver.wait(190.0);
    assert_eq!(serving(&driver), 2);
    driver.wait(15.0);
    assert_eq!(serving(&driver), 1);
}

/// What a version lacked says nothing about the next one.
#[test]
fn another_version_looks_for_a_place_anew() {
    let mut driver = Driver::running(elastic(2, 0.5, 1.0));
    driver.update_pod(changed(elastic(2, 0.5, 1.0), "2"));
    driver.offer("s1", 0.1, 16.0);
    driver.wait(50.0);
    driver.force_pod(changed(elastic(2, 0.5, 1.0), "3"));
    driver.kills();
    driver.wait(59.0);
    assert_eq!(driver.kills(), NOTHING);
    driver.wait(2.0);
    assert_eq!(driver.kills(), ["/p.a.1"]);
}

/// A step does its portion: who has to make place goes all the same.
#[test]
fn more_copies_than_one_step_is_enough_for_make_place() {
    let config = Config { portion: 4, ..Config::default() };
    let mut driver = Driver::connected_with(config);
    driver.create(elastic(20, 0.5, 1.0));
    driver.offer("s1", 4.0, 1280.0);
    (0..20).for_each(|n| driver.run(n));
    driver.wait(5.0);
    driver.update_pod(changed(elastic(20, 0.5, 1.0), "2"));
    driver.offer("s1", 0.1, 16.0);
    driver.wait(60.0);
    assert_eq!(serving(&driver), 10);
}

fn serving(driver: &Driver) -> usize {
    driver.picture().iter().filter(|line| line.ends_with("Stable")).count()
}
