//! Asking Mesos what there is: in what order, how much at once, and from when on the answers count.

mod harness;

use harness::{Driver, pod, pod_with};
use podium_core::model::ids::{AgentId, TaskId};
use podium_core::model::mesos::{
    Call, Event, ExecutorFailure, StatusReason, StatusSource, TaskState, TaskStatus,
};
use podium_core::{Config, Input};
use serde_json::json;

const NOTHING: [&str; 0] = [];

/// The tasks that each question since the calls were last taken was about.
fn questions(driver: &mut Driver) -> Vec<Vec<TaskId>> {
    let calls = std::mem::take(&mut driver.calls);
    let questions = calls.into_iter().filter_map(|call| match call {
        Call::Reconcile { tasks } if !tasks.is_empty() => Some(tasks),
        _ => None,
    });
    questions.map(|tasks| tasks.into_iter().map(|task| task.task_id).collect()).collect()
}

fn lost(agent: &str) -> Event {
    Event::Failure(ExecutorFailure { agent_id: Some(AgentId::from(agent)), executor_id: None, status: None })
}

/// A cluster may be so large that asking about all of it takes longer than an answer.
#[test]
fn nothing_is_given_up_before_mesos_was_asked_about_it() {
    let strategy = json!({"inactiveAfterSeconds": 60, "expungeAfterSeconds": 120});
    let more = json!({"scheduling": {"unreachableStrategy": strategy}});
    // 200 questions of one copy each take 20 s.
    let mut driver = Driver::connected_with(Config { reconciliation_chunk: 1, ..Config::default() });
    driver.create(pod("/a", 1, 200));
    driver.create(pod_with("/z", 1, 1, &more));
    for n in 0..8 {
        driver.offer(&format!("s{n}"), 8.0, 8192.0);
    }
    for n in 0..201 {
        driver.run(n);
    }
    driver.wait(100.0);
    driver.update_all(200, TaskState::TaskUnreachable);
    let (copy, incarnation, agent) = driver.instance(200);
    let task = copy.task_id("a", incarnation);
    // It is back while nobody hears of it.
    driver.restart();
    driver.now = driver.now + std::time::Duration::from_secs(3600);
    driver.subscribe();
    let begun = driver.now;
    let mut asked_after = None;
    while driver.now.since(begun).as_secs() < 120 {
        for asked in questions(&mut driver).concat() {
            if asked == task {
                asked_after = Some(driver.now.since(begun).as_secs());
            }
            let mut status = TaskStatus::new(asked, TaskState::TaskRunning);
            status.agent_id.clone_from(&agent);
            driver.event(Event::Update(status));
        }
        driver.wait(0.1);
    }
    assert_eq!(asked_after, Some(20), "when there was time for it");
    assert!(driver.instances().iter().any(|instance| instance.id == copy), "it was not given up");
    assert_eq!(driver.kills(), [""; 0]);
}

#[test]
fn a_round_goes_its_pace_whatever_is_asked_out_of_turn() {
    let mut driver = Driver::connected_with(Config { reconciliation_chunk: 10, ..Config::default() });
    driver.create(pod("/p", 1, 50));
    driver.offer("s1", 80.0, 80_000.0);
    driver.offer("s2", 80.0, 80_000.0);
    for n in 0..50 {
        driver.run(n);
    }
    driver.restart();
    driver.subscribe();
    assert_eq!(questions(&mut driver).iter().map(Vec::len).collect::<Vec<_>>(), [10]);
    for n in [40, 41, 42] {
        let (instance, _, agent_id) = driver.instance(n);
        let executor_id = Some(instance.executor_id());
        driver.event(Event::Failure(ExecutorFailure { agent_id, executor_id, status: Some(9) }));
    }
    assert_eq!(questions(&mut driver).iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
    driver.wait(0.1);
    assert_eq!(questions(&mut driver).iter().map(Vec::len).collect::<Vec<_>>(), [10]);
}

/// A launch may be on its way still when the master is asked about it.
#[test]
fn a_round_is_about_the_copies_that_there_were_when_it_began() {
    let mut driver = Driver::connected_with(Config { reconciliation_chunk: 2, ..Config::default() });
    driver.create(pod("/a", 1, 3));
    driver.create(pod("/b", 1, 1));
    driver.offer("s1", 8.0, 8192.0);
    for n in 0..4 {
        driver.run(n);
    }
    driver.restart();
    driver.subscribe();
    driver.wait(0.001);
    driver.create(pod("/aa", 1, 1));
    driver.update_pod(pod("/a", 1, 4));
    driver.offer("s2", 8.0, 8192.0);
    for _ in 0..10 {
        driver.wait(0.1);
    }
    let asked: Vec<String> = questions(&mut driver).concat().iter().map(harness::short).collect();
    assert_eq!(asked, ["/a.a.1", "/a.a.1", "/a.a.1", "/b.a.1"]);
}

#[test]
fn all_copies_on_an_agent_that_is_lost_are_asked_about_at_once() {
    let mut driver = Driver::connected();
    driver.create(pod("/p", 2, 3));
    driver.offer("s1", 0.6, 512.0);
    driver.offer("s2", 8.0, 8192.0);
    for n in 0..3 {
        driver.run(n);
    }
    driver.wait(10.0);
    driver.calls.clear();
    // A master that took over, and gave up waiting for the agent, says nothing of its tasks.
    driver.event(lost("s2"));
    assert_eq!(
        driver.story(),
        "RECONCILE /p.a.1 on Some(\"s2\"), /p.b.1 on Some(\"s2\")\n",
        "{:?}",
        driver.picture()
    );
    driver.event(lost("s3"));
    assert_eq!(driver.story(), "", "nothing of ours was there");
}

#[test]
fn a_copy_on_an_agent_that_left_is_replaced_without_waiting_for_the_next_round() {
    let mut driver = Driver::running(pod("/p", 1, 1));
    let mut status = driver.status(0, "a", TaskState::TaskLost);
    status.source = Some(StatusSource::SourceMaster);
    status.reason = Some(StatusReason::ReasonAgentRemoved);
    status.uuid = None;
    driver.event(Event::Update(status));
    driver.event(lost("s1"));
    let [asked] = &questions(&mut driver)[..] else { panic!("it was not asked about") };
    let mut unknown = TaskStatus::new(asked[0].clone(), TaskState::TaskUnknown);
    unknown.source = Some(StatusSource::SourceMaster);
    unknown.reason = Some(StatusReason::ReasonReconciliation);
    driver.event(Event::Update(unknown));
    assert_eq!(driver.picture(), ["v1.0 - Pending"]);
}

/// Who was replaced is back, and the other one has died: the first answer alone says that there is one too many.
#[test]
fn no_copy_goes_before_mesos_has_said_how_the_others_are() {
    let strategy = json!({"inactiveAfterSeconds": 60, "expungeAfterSeconds": 6000});
    let scheduling = json!({"killSelection": "OLDEST_FIRST", "unreachableStrategy": strategy});
    let mut driver = Driver::running(pod_with("/p", 1, 1, &json!({ "scheduling": scheduling })));
    let back = driver.status(0, "a", TaskState::TaskRunning);
    driver.update_all(0, TaskState::TaskUnreachable);
    driver.wait(60.0);
    driver.offer("s2", 8.0, 8192.0);
    driver.run(1);
    driver.wait(60.0);
    for restarts in [true, false] {
        let mut driver = driver.clone();
        let dead = driver.status(1, "a", TaskState::TaskFailed);
        if restarts {
            driver.restart();
        } else {
            let _ = driver.step(podium_core::Input::Disconnected);
        }
        driver.subscribe();
        driver.calls.clear();
        driver.event(Event::Update(back.clone()));
        driver.wait(1.0);
        assert_eq!(driver.kills(), NOTHING);
        driver.event(Event::Update(dead.clone()));
        driver.wait(60.0);
        assert_eq!(driver.picture(), ["v1.1 s1 Stable"]);
    }
    // If the other one is well, the oldest goes after all.
    let well = driver.status(1, "a", TaskState::TaskRunning);
    driver.restart();
    driver.subscribe();
    driver.calls.clear();
    driver.event(Event::Update(back));
    driver.event(Event::Update(well));
    assert_eq!(driver.kills(), ["/p.a.1"]);
}

/// The first answer makes one more new copy healthy, and the old one that has died meanwhile is not heard of yet: by old
/// news one of the others could be spared.
#[test]
fn a_rollout_ends_no_old_copy_before_mesos_has_said_how_they_all_are() {
    let checked = |instances| harness::checked_pod("/p", instances, &json!({}));
    let mut driver = Driver::connected();
    driver.create(checked(2));
    for n in 0..2 {
        driver.offer("s1", 8.0, 8192.0);
        driver.run(n);
        driver.health(n, "a", true);
    }
    driver.update_pod(harness::changed(checked(2), "2"));
    for n in 2..4 {
        driver.offer("s2", 8.0, 8192.0);
        driver.run(n);
    }
    driver.wait(60.0);
    let all: Vec<TaskStatus> = (0..4).map(|n| driver.status(n, "a", TaskState::TaskRunning)).collect();
    let healthy = |n: usize| TaskStatus { healthy: Some(true), ..all[n].clone() };
    let dead = driver.status(0, "a", TaskState::TaskFailed);
    driver.restart();
    driver.subscribe();
    driver.calls.clear();
    driver.event(Event::Update(healthy(2)));
    driver.wait(1.0);
    assert_eq!(driver.kills(), NOTHING);
    driver.event(Event::Update(dead));
    driver.event(Event::Update(healthy(1)));
    driver.event(Event::Update(all[3].clone()));
    driver.wait(1.0);
    assert_eq!(driver.kills(), NOTHING, "two serve, which is the floor");
    driver.event(Event::Update(healthy(3)));
    assert_eq!(driver.kills(), ["/p.a.1"], "and now there is one to spare");
}

/// A new master says nothing of agents that have not come back: what was on them may be gone.
#[test]
fn a_rollout_counts_on_no_copy_that_mesos_says_nothing_of() {
    let spec = |instances| pod("/p", 1, instances);
    let mut driver = Driver::running(spec(2));
    driver.update_pod(harness::changed(spec(2), "2"));
    driver.offer("s2", 8.0, 8192.0);
    let heard = driver.status(0, "a", TaskState::TaskRunning);
    let silent = driver.status(1, "a", TaskState::TaskRunning);
    driver.restart();
    driver.subscribe();
    driver.event(Event::Update(heard.clone()));
    driver.run(2);
    driver.wait(30.0);
    assert_eq!(driver.kills(), NOTHING);
    assert_eq!(
        driver.deployments(),
        [
            "RestartPod /p: waits for 2 instances of the new version to be ready: 1 is so, 1 is starting; Mesos has \
             not answered yet what became of 1 instance: until then older ones that serve stay"
        ]
    );
    let mut later = driver.clone();
    later.run(3);
    later.wait(5.0);
    assert_eq!(later.kills(), ["/p.a.1", "/p.a.1"], "two must serve, and two new ones are known to");
    for (state, kills) in
        [(TaskState::TaskRunning, 1), (TaskState::TaskFailed, 0), (TaskState::TaskUnreachable, 0)]
    {
        let mut driver = driver.clone();
        driver.calls.clear();
        driver.event(Event::Update(TaskStatus { state, ..silent.clone() }));
        assert_eq!((state, driver.kills().len()), (state, kills));
        assert!(!driver.deployments()[0].contains("Mesos has not answered"), "{:?}", driver.deployments());
    }
    // Another connection asks anew, and its answers count as well.
    let mut again = driver.clone();
    let _ = again.step(Input::Disconnected);
    again.subscribe();
    again.wait(0.2);
    again.calls.clear();
    let new: Vec<TaskStatus> = (2..4).map(|n| again.status(n, "a", TaskState::TaskRunning)).collect();
    for status in [silent.clone(), heard].into_iter().chain(new) {
        assert_eq!(again.kills(), NOTHING);
        again.event(Event::Update(status));
    }
    again.wait(0.1);
    assert_eq!(again.kills(), ["/p.a.1"]);
    // It is asked again each minute, also when the next round has begun.
    driver.wait(90.0);
    for _ in 0..15 {
        driver.wait(60.0);
        assert!(questions(&mut driver).concat().contains(&silent.task_id));
    }
}

/// Answers come one by one, and what they leave to spare goes before the last one has come.
#[test]
fn a_rollout_goes_on_within_a_minute_as_far_as_answers_have_come() {
    let spec = |instances| pod("/p", 1, instances);
    let mut driver = Driver::running(spec(3));
    driver.update_pod(harness::changed(spec(3), "2"));
    driver.offer("s2", 8.0, 8192.0);
    let old: Vec<TaskStatus> = (0..3).map(|n| driver.status(n, "a", TaskState::TaskRunning)).collect();
    driver.restart();
    driver.subscribe();
    driver.event(Event::Update(old[0].clone()));
    driver.run(3);
    driver.run(4);
    driver.wait(60.0);
    assert_eq!(driver.kills(), NOTHING, "three are known to serve, and three must");
    driver.event(Event::Update(old[1].clone()));
    driver.wait(60.0);
    let mut picture = driver.picture();
    picture.sort();
    let old = ["v1.1 s1 Stable", "v1.1 s1 Terminal", "v1.1 s1 Terminal"];
    assert_eq!(picture[..3], old, "the one that nobody knows of, and one of four others");
}

/// Without word from Mesos nobody goes, and whoever scaled the pod down is not told that it is done.
#[test]
fn scaling_down_without_a_connection_is_not_done_before_the_copies_go() {
    let mut driver = Driver::running(pod("/p", 1, 3));
    let _ = driver.step(podium_core::Input::Disconnected);
    driver.update_pod(pod("/p", 1, 1));
    assert_eq!(driver.picture(), ["v1.1 s1 Stable"; 3]);
    assert_eq!(driver.deployments().len(), 1);
    let well: Vec<TaskStatus> = (0..3).map(|n| driver.status(n, "a", TaskState::TaskRunning)).collect();
    driver.subscribe();
    driver.wait(0.1);
    let words = "ScalePod /p: waits for word from Mesos of what became of its instances since it was last heard of them";
    assert_eq!(driver.deployments(), [words]);
    for status in well {
        driver.event(Event::Update(status));
    }
    driver.confirm_kills();
    assert_eq!((driver.picture(), driver.deployments().len()), (vec!["v1.1 s1 Stable".to_owned()], 0));
}

/// The machine slept, or the clock was set forward: the subscription goes on, and what Mesos said meanwhile is still to be
/// read. Timers that are over by the clock wait for its word.
#[test]
fn nothing_is_given_up_by_old_news_after_an_absence() {
    let strategy = json!({"inactiveAfterSeconds": 60, "expungeAfterSeconds": 600});
    let more = json!({"scheduling": {"unreachableStrategy": strategy}});
    let mut driver = Driver::running(pod_with("/p", 1, 1, &more));
    let back = driver.status(0, "a", TaskState::TaskRunning);
    driver.update_all(0, TaskState::TaskUnreachable);
    let away = driver.status(0, "a", TaskState::TaskUnreachable);
    driver.calls.clear();
    driver.now = driver.now + std::time::Duration::from_secs(3600);
    let _ = driver.step(Input::Resumed);
    let _ = driver.step(Input::Tick);
    assert_eq!(questions(&mut driver), [[away.task_id.clone()]]);
    assert_eq!(driver.picture(), ["v1.1 s1 Degraded"]);
    let mut returned = driver.clone();
    returned.event(Event::Update(back));
    returned.wait(60.0);
    assert_eq!(returned.picture(), ["v1.1 s1 Stable"]);
    // If it is still away, or Mesos says nothing at all, its time is over.
    let mut silent = driver.clone();
    driver.event(Event::Update(away));
    assert_eq!(driver.picture(), ["v1.0 - Pending"]);
    silent.wait(14.0);
    assert_eq!(silent.picture(), ["v1.1 s1 Degraded"]);
    silent.wait(1.1);
    assert_eq!(silent.picture(), ["v1.0 - Pending"]);
}

/// Without a subscription nobody can be asked: the next one asks.
#[test]
fn an_absence_without_a_subscription_changes_nothing() {
    let mut driver = Driver::running(pod("/p", 1, 1));
    let _ = driver.step(Input::Disconnected);
    assert_eq!(driver.step(Input::Resumed), podium_core::Output::default());
}
