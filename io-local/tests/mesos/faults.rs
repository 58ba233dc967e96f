//! What an administrator can do to the cluster, as the scheduler sees it.

use std::time::{Duration, Instant};

use podium_core::model::mesos::{Call, Event, ReconcileTask, StatusReason, TaskState};
use podium_mesos::codec::MediaType;

use crate::fixture::{Cluster, eventually, marker, sleepers};
use crate::scheduler::{PATIENCE, Scheduler, task};

/// A cluster that notices a silent agent within a fraction of a second.
async fn nervous() -> Cluster {
    Cluster::start_with(1, |config| {
        config.cluster.master.agent_ping_timeout = Duration::from_millis(50);
        config.cluster.master.max_agent_ping_timeouts = 3;
        config.cluster.agent.registration_backoff = Duration::from_millis(10);
    })
    .await
}

async fn unreachable_and_back(away: &str, back: &str) {
    let cluster = nervous().await;
    let mut scheduler = cluster.scheduler().await;
    let mark = marker();
    scheduler.start("pod", vec![task("pod.a", &format!("exec sleep {mark}"))]).await;
    cluster.admin(away).await;
    let status = scheduler.state("pod.a", TaskState::TaskUnreachable).await;
    assert_eq!(status.reason, Some(StatusReason::ReasonAgentRemoved));
    assert!(status.unreachable_time.is_some());
    assert_eq!(sleepers(&mark).len(), 1, "nothing happens to what runs there");
    cluster.admin(back).await;
    let status = scheduler.state("pod.a", TaskState::TaskRunning).await;
    assert_eq!(status.reason, Some(StatusReason::ReasonAgentReregistered));
    assert_eq!(sleepers(&mark).len(), 1);
}

#[tokio::test]
async fn a_paused_agent_becomes_unreachable_and_comes_back() {
    unreachable_and_back("agent 0 pause", "agent 0 resume").await;
}

#[tokio::test]
async fn an_agent_that_is_cut_off_becomes_unreachable_and_comes_back() {
    unreachable_and_back("agent 0 cut-off", "agent 0 bring-back").await;
}

#[tokio::test]
async fn a_restarted_agent_keeps_its_tasks() {
    let cluster = nervous().await;
    let mut scheduler = cluster.scheduler().await;
    let mark = marker();
    let agent_id = scheduler.start("pod", vec![task("pod.a", &format!("exec sleep {mark}"))]).await;
    eventually("it sleeps", || sleepers(&mark).len() == 1).await;
    let pids = sleepers(&mark);
    cluster.admin("agent 0 restart").await;
    cluster.reaches("the agent is back", |state| state["agents"][0]["standing"] == "registered").await;
    assert_eq!(sleepers(&mark), pids);
    scheduler.kill("pod.a", &agent_id).await;
    scheduler.state("pod.a", TaskState::TaskKilled).await;
}

#[tokio::test]
async fn a_reboot_ends_every_process_of_the_agent() {
    let cluster = Cluster::start_with(2, |config| {
        config.cluster.agent.registration_backoff = Duration::from_millis(10);
    })
    .await;
    let mut scheduler = cluster.scheduler().await;
    let (first, second) = (marker(), marker());
    let offers = [scheduler.offer().await, scheduler.offer().await];
    assert_ne!(offers[0].agent_id, offers[1].agent_id);
    for (offer, mark) in offers.iter().zip([&first, &second]) {
        let id = format!("pod-{}", offer.hostname);
        scheduler.launch_on(offer, &id, vec![task(&format!("{id}.a"), &format!("sleep {mark}"))]).await;
    }
    eventually("both sleep", || sleepers(&first).len() + sleepers(&second).len() == 2).await;
    let agent = offers[0].agent_id.to_string();
    cluster.admin(&format!("agent {agent} reboot")).await;
    let status = scheduler.state(&format!("pod-{}.a", offers[0].hostname), TaskState::TaskFailed).await;
    assert_eq!(status.message.as_deref(), Some("Abnormal executor termination: unknown container"));
    eventually("the first is gone", || sleepers(&first).is_empty()).await;
    assert_eq!(sleepers(&second).len(), 1);
}

#[tokio::test]
async fn an_executor_can_be_killed() {
    let cluster = Cluster::start(1).await;
    let mut scheduler = cluster.scheduler().await;
    let mark = marker();
    let sleep = format!("sleep {mark}");
    scheduler.start("pod", vec![task("pod.a", &sleep), task("pod.b", &sleep)]).await;
    cluster.admin("executor pod kill").await;
    let ends = scheduler.ends(&["pod.a", "pod.b"]).await;
    for (state, message) in ends.into_values() {
        assert_eq!((state, message.as_str()), (TaskState::TaskFailed, "Executor terminated"));
    }
    eventually("the processes are gone", || sleepers(&mark).is_empty()).await;
    let (status, body) = cluster.try_admin("executor pod kill").await;
    assert_eq!((status, body["message"].as_str()), (404, Some("There is no executor 'pod'")));
}

#[tokio::test]
async fn a_drained_agent_loses_its_tasks_and_makes_no_offers() {
    let cluster = Cluster::start(1).await;
    let mut scheduler = cluster.scheduler().await;
    scheduler.start("pod", vec![task("pod.a", "exec sleep 1000")]).await;
    cluster.admin("agent 0 drain").await;
    let status = scheduler.state("pod.a", TaskState::TaskKilled).await;
    assert_eq!(status.reason, Some(StatusReason::ReasonAgentDraining));
    cluster.reaches("the agent is deactivated", |state| state["agents"][0]["deactivated"] == true).await;
    cluster.admin("agent 0 reactivate").await;
    scheduler.offer().await;
}

#[tokio::test]
async fn an_agent_can_be_marked_gone() {
    let cluster = Cluster::start(1).await;
    let mut scheduler = cluster.scheduler().await;
    let mark = marker();
    scheduler.start("pod", vec![task("pod.a", &format!("sleep {mark}"))]).await;
    cluster.admin("agent 0 mark-gone").await;
    scheduler.state("pod.a", TaskState::TaskGoneByOperator).await;
    eventually("its process is gone", || sleepers(&mark).is_empty()).await;
    let (status, _) = cluster.try_admin("agent 7 mark-gone").await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn offers_can_be_rescinded() {
    let cluster = Cluster::start(1).await;
    let mut scheduler = cluster.scheduler().await;
    let offer = scheduler.offer().await;
    cluster.admin("offers rescind").await;
    let rescinded = scheduler
        .wait_for("a rescind", |event| match event {
            Event::Rescind(offer_id) => Some(offer_id),
            _ => None,
        })
        .await;
    assert_eq!(rescinded, offer.id);
}

#[tokio::test]
async fn a_subscription_is_kept_alive_by_heartbeats() {
    let interval = Duration::from_millis(20);
    let cluster = Cluster::start_with(1, |config| config.cluster.master.heartbeat_interval = interval).await;
    let mut scheduler = cluster.scheduler().await;
    for _ in 0..5 {
        scheduler.wait_for("a heartbeat", |event| (event == Event::Heartbeat).then_some(())).await;
    }
}

#[tokio::test]
async fn a_second_subscription_ends_the_first() {
    let cluster = Cluster::start(1).await;
    let mut first = cluster.scheduler().await;
    let mut second = Scheduler::subscribe_as(&cluster.base, MediaType::Json, first.info()).await;
    let message = first
        .wait_for("an error", |event| match event {
            Event::Error { message } => Some(message),
            _ => None,
        })
        .await;
    assert_eq!(message, "Framework failed over");
    assert_eq!(first.try_next().await.unwrap(), None, "the stream ends in an orderly way");
    second.offer().await;
}

#[tokio::test]
async fn a_failed_over_master_breaks_the_stream_and_knows_the_tasks_again() {
    let cluster = Cluster::start_with(1, |config| {
        config.cluster.master.election = Duration::from_millis(300);
        config.cluster.master.recovery = Duration::from_millis(50);
        config.cluster.agent.registration_backoff = Duration::from_millis(10);
    })
    .await;
    let mut scheduler = cluster.scheduler().await;
    let agent_id = scheduler.start("pod", vec![task("pod.a", "exec sleep 1000")]).await;
    let info = scheduler.info();
    cluster.admin("master fail-over").await;
    // The stream breaks off; it does not end.
    let broken = loop {
        match scheduler.try_next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream should not end in an orderly way"),
            Err(error) => break error,
        }
    };
    assert!(broken.is_body() || broken.is_decode() || broken.is_request(), "{broken:?}");
    // Until there is a master again, nobody answers.
    let deadline = Instant::now() + PATIENCE;
    let mut scheduler = loop {
        assert!(Instant::now() < deadline, "waited in vain for a master");
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        match client.post(format!("{}/api/v1/scheduler", cluster.base)).send().await {
            // It is there, and complains about what is missing.
            Ok(response) if response.status() == 400 => {
                break Scheduler::subscribe_as(&cluster.base, MediaType::Protobuf, info).await;
            }
            Ok(response) => assert!([404, 503].contains(&response.status().as_u16()), "{response:?}"),
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    cluster.reaches("the agent is back", |state| state["agents"][0]["standing"] == "registered").await;
    let task_id = podium_core::model::ids::TaskId::new("pod.a");
    scheduler
        .call(Call::Reconcile { tasks: vec![ReconcileTask { task_id, agent_id: Some(agent_id) }] })
        .await;
    let status = scheduler.state("pod.a", TaskState::TaskRunning).await;
    assert_eq!(status.reason, Some(StatusReason::ReasonReconciliation));
}

#[tokio::test]
async fn a_cluster_that_starts_again_has_the_same_agents_without_their_tasks() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::start_with(1, |config| config.data_dir = folder.path().to_owned()).await;
    let mut scheduler = cluster.scheduler().await;
    let agent_id = scheduler.start("pod", vec![task("pod.a", "exec sleep 1000")]).await;
    let info = scheduler.info();
    cluster.running.shutdown().await;
    let cluster = Cluster::start_with(1, |config| config.data_dir = folder.path().to_owned()).await;
    let mut scheduler = Scheduler::subscribe_as(&cluster.base, MediaType::Protobuf, info).await;
    assert_eq!(scheduler.offer().await.agent_id, agent_id);
    let task_id = podium_core::model::ids::TaskId::new("pod.a");
    scheduler
        .call(Call::Reconcile { tasks: vec![ReconcileTask { task_id, agent_id: Some(agent_id) }] })
        .await;
    scheduler.state("pod.a", TaskState::TaskGone).await;
}

#[tokio::test]
async fn a_framework_can_be_torn_down() {
    let cluster = Cluster::start(1).await;
    let mut scheduler = cluster.scheduler().await;
    let mark = marker();
    scheduler.start("pod", vec![task("pod.a", &format!("sleep {mark}"))]).await;
    cluster.admin(&format!("framework {} tear-down", scheduler.framework_id())).await;
    while scheduler.try_next().await.unwrap().is_some() {}
    eventually("its process is gone", || sleepers(&mark).is_empty()).await;
}

#[tokio::test]
async fn commands_can_be_read_from_lines() {
    let cluster = Cluster::start(2).await;
    cluster.reaches("both agents are there", |state| state["agents"][1]["standing"] == "registered").await;
    let mut output = Vec::new();
    let input = "\nstate\nagent 9 pause\nmake tea\nhelp\nagent 1 deactivate\n";
    cluster.running.admin().serve_lines(input.as_bytes(), &mut output).await.unwrap();
    let output = String::from_utf8(output).unwrap();
    let mut lines = output.lines();
    assert!(lines.next().unwrap().starts_with(r#"{"agents":[{"agent":0,"#));
    assert_eq!(lines.next(), Some(r#"{"message":"There is no agent '9'; the numbers go from 0 to 1"}"#));
    assert_eq!(
        lines.next(),
        Some(r#"{"message":"There is no command 'make tea'; 'help' (GET /admin/help) lists the commands"}"#)
    );
    assert_eq!(lines.next_back(), Some(r#"{"done":true}"#));
    assert!(lines.any(|line| line.trim_start().starts_with("agent AGENT pause")));
}
