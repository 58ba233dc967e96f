//! Task groups from launch to end.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpgid};
use podium_core::model::mesos::{
    CheckStatus, Event, HealthCheck, Image, ImageKind, LaunchGroup, NetworkInfo, Probe, StatusReason,
    TaskState, Volume, VolumeSource,
};
use podium_mesos::codec::MediaType;

use crate::fixture::{Cluster, eventually, marker, sleepers};
use crate::scheduler::{Scheduler, task};

/// A group of two is launched, found as real processes, and killed.
async fn launch_and_kill(media: MediaType) {
    let cluster = Cluster::start(1).await;
    let mut scheduler = Scheduler::subscribe(&cluster.base, media).await;
    assert_eq!(scheduler.next().await, Event::Heartbeat);
    let mark = marker();
    let sleep = format!("sleep {mark}");
    let agent_id = scheduler.launch("pod", vec![task("pod.a", &sleep), task("pod.b", &sleep)]).await;

    let mut states = Vec::new();
    for _ in 0..4 {
        let status = scheduler.update().await;
        assert_eq!(status.executor_id.as_ref().map(|id| id.as_str()), Some("pod"));
        states.push(status.state);
    }
    let (starting, running) = (TaskState::TaskStarting, TaskState::TaskRunning);
    assert_eq!(states, [starting, starting, running, running]);

    eventually("both sleep", || sleepers(&mark).len() == 2).await;
    let pids = sleepers(&mark);
    let groups: Vec<_> = pids.iter().map(|&pid| getpgid(Some(Pid::from_raw(pid))).unwrap()).collect();
    assert_ne!(groups[0], groups[1], "each container is a process group of its own");

    scheduler.kill("pod.a", &agent_id).await;
    let terminated = "Command terminated with signal Terminated".to_owned();
    let mut ends = scheduler.ends(&["pod.a", "pod.b"]).await;
    assert_eq!(ends.remove("pod.a"), Some((TaskState::TaskKilled, terminated.clone())));
    assert_eq!(ends.remove("pod.b"), Some((TaskState::TaskKilled, terminated)));
    assert!(sleepers(&mark).is_empty());
    let failure = scheduler.failure().await;
    assert_eq!(failure.status, Some(0));
    cluster.running.shutdown().await;
}

#[tokio::test]
async fn a_group_runs_and_dies_over_protobuf() {
    launch_and_kill(MediaType::Protobuf).await;
}

#[tokio::test]
async fn a_group_runs_and_dies_over_json() {
    launch_and_kill(MediaType::Json).await;
}

#[tokio::test]
async fn a_container_killed_from_outside_takes_its_group_along_but_no_other() {
    let cluster = Cluster::start(1).await;
    let mut scheduler = cluster.scheduler().await;
    let (mark, other) = (marker(), marker());
    scheduler.start("other", vec![task("other.a", &format!("exec sleep {other}"))]).await;
    let sleep = format!("exec sleep {mark}");
    scheduler.start("pod", vec![task("pod.a", &sleep), task("pod.b", &sleep)]).await;
    eventually("both sleep", || sleepers(&mark).len() == 2).await;
    kill(Pid::from_raw(sleepers(&mark)[0]), Signal::SIGKILL).unwrap();
    let mut ends: Vec<_> = scheduler.ends(&["pod.a", "pod.b"]).await.into_values().collect();
    ends.sort();
    assert_eq!(
        ends,
        [
            (TaskState::TaskFailed, "Command terminated with signal Killed".to_owned()),
            (TaskState::TaskKilled, "Command terminated with signal Terminated".to_owned()),
        ]
    );
    assert_eq!(sleepers(&other).len(), 1);
}

#[tokio::test]
async fn a_member_that_finishes_leaves_the_others_alone() {
    let cluster = Cluster::start(1).await;
    let mut scheduler = cluster.scheduler().await;
    let mark = marker();
    let tasks = vec![task("pod.a", "exit 0"), task("pod.b", &format!("sleep {mark}"))];
    scheduler.launch("pod", tasks).await;
    let status = scheduler.state("pod.a", TaskState::TaskFinished).await;
    assert_eq!(status.message.as_deref(), Some("Command exited with status 0"));
    let tasks = vec![task("next.a", "exit 3"), task("next.b", "exec sleep 1000")];
    scheduler.launch("next", tasks).await;
    let ends = scheduler.ends(&["next.a", "next.b"]).await;
    assert_eq!(ends["next.a"], (TaskState::TaskFailed, "Command exited with status 3".to_owned()));
    assert_eq!(ends["next.b"].0, TaskState::TaskKilled);
    assert_eq!(sleepers(&mark).len(), 1);
}

#[tokio::test]
async fn the_kill_policy_decides_how_long_a_deaf_task_lives() {
    let cluster = Cluster::start(1).await;
    let mut scheduler = cluster.scheduler().await;
    let mut polite = task("polite.a", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done");
    polite.kill_grace_period = Some(Duration::from_secs(3600));
    let mut deaf = task("deaf.a", "trap '' TERM; echo ready; while :; do sleep 0.01; done");
    deaf.kill_grace_period = Some(Duration::from_millis(200));
    let agent_id = scheduler.start("polite", vec![polite]).await;
    scheduler.start("deaf", vec![deaf]).await;
    for task in ["polite.a", "deaf.a"] {
        // The trap is set before the word is said.
        while cluster.stdout(task).await.is_empty() {
            tokio::task::yield_now().await;
        }
        scheduler.kill(task, &agent_id).await;
    }
    let ends = scheduler.ends(&["polite.a", "deaf.a"]).await;
    assert_eq!(ends["polite.a"], (TaskState::TaskKilled, "Command exited with status 7".to_owned()));
    assert_eq!(ends["deaf.a"], (TaskState::TaskKilled, "Command terminated with signal Killed".to_owned()));
}

#[tokio::test]
async fn an_image_fails_its_task_and_its_group() {
    let cluster = Cluster::start(1).await;
    let mut scheduler = cluster.scheduler().await;
    let mut image = task("pod.a", "sleep 1000");
    image.container.as_mut().unwrap().image = Some(Image {
        kind: ImageKind::Docker,
        name: "nginx".to_owned(),
        pull_config: None,
        cached: None,
        labels: Vec::new(),
    });
    scheduler.launch("pod", vec![image, task("pod.b", "exec sleep 1000")]).await;
    let ends = scheduler.ends(&["pod.a", "pod.b"]).await;
    let (state, message) = &ends["pod.a"];
    assert_eq!(*state, TaskState::TaskFailed);
    assert!(message.contains("cannot run container images"), "{message}");
    assert!(message.contains("docker/runtime"), "{message}");
    assert_eq!(ends["pod.b"].0, TaskState::TaskKilled);
}

#[tokio::test]
async fn a_container_network_fails_the_executor() {
    let cluster = Cluster::start(1).await;
    let mut scheduler = cluster.scheduler().await;
    let offer = scheduler.offer().await;
    let mut group = LaunchGroup {
        executor: podium_core::model::mesos::ExecutorInfo {
            executor_id: "pod".into(),
            framework_id: Some(scheduler.framework_id()),
            kind: Some(podium_core::model::mesos::ExecutorKind::Default),
            resources: task("x", "").resources,
            command: None,
            container: Some(podium_core::model::mesos::ContainerInfo::default()),
            shutdown_grace_period: None,
            labels: Vec::new(),
        },
        tasks: vec![task("pod.a", "true")],
    };
    group.tasks[0].agent_id = offer.agent_id.clone();
    let network =
        NetworkInfo { name: Some("dcos".to_owned()), labels: Vec::new(), port_mappings: Vec::new() };
    group.executor.container.as_mut().unwrap().network_infos.push(network);
    scheduler.accept(&offer, group).await;
    let status = scheduler.state("pod.a", TaskState::TaskFailed).await;
    assert_eq!(status.reason, Some(StatusReason::ReasonContainerLaunchFailed));
    let message = status.message.unwrap();
    assert!(message.starts_with("Failed to launch container: network 'dcos': "), "{message}");
    assert!(message.contains("network/cni"), "{message}");
}

#[tokio::test]
async fn members_share_a_volume() {
    let cluster = Cluster::start(1).await;
    let mut scheduler = cluster.scheduler().await;
    let volume = |path: &str| Volume {
        container_path: path.to_owned(),
        read_only: false,
        source: VolumeSource::SandboxParent("volumes/v1".to_owned()),
    };
    let mut writer = task("pod.a", "while :; do date > ./jdef-v1/clock; sleep 0.05; done");
    writer.container.as_mut().unwrap().volumes.push(volume("jdef-v1"));
    let mut reader = task("pod.b", "until [ -s etc/clock ]; do sleep 0.01; done; exit 0");
    reader.container.as_mut().unwrap().volumes.push(volume("etc"));
    scheduler.launch("pod", vec![writer, reader]).await;
    scheduler.state("pod.b", TaskState::TaskFinished).await;
}

fn health_check(probe: Probe) -> HealthCheck {
    HealthCheck {
        probe: Some(probe),
        delay: Duration::ZERO,
        interval: Duration::from_millis(50),
        timeout: Duration::from_secs(20),
        consecutive_failures: 2,
        grace_period: Duration::ZERO,
    }
}

#[tokio::test]
async fn a_health_check_is_really_made_and_kills() {
    let cluster = Cluster::start(1).await;
    let mut scheduler = cluster.scheduler().await;
    let mut sick = task("pod.a", "touch well; exec sleep 1000");
    sick.health_check = Some(health_check(Probe::Command(task("", "test -e well").command.unwrap())));
    scheduler.launch("pod", vec![sick, task("pod.b", "exec sleep 1000")]).await;
    while scheduler.update().await.healthy != Some(true) {}
    let state = cluster.state().await;
    let containers = state["containers"].as_array().unwrap();
    let sandbox = containers.iter().find(|container| container["task_id"] == "pod.a").unwrap();
    std::fs::remove_file(format!("{}/well", sandbox["sandbox"].as_str().unwrap())).unwrap();
    let ends = scheduler.ends(&["pod.a", "pod.b"]).await;
    assert_eq!(ends["pod.a"].0, TaskState::TaskKilled);
    assert_eq!(ends["pod.b"].0, TaskState::TaskKilled);
}

#[tokio::test]
async fn a_check_reports_what_the_server_answers() {
    let cluster = Cluster::start(1).await;
    let mut scheduler = cluster.scheduler().await;
    let router = axum::Router::new().route("/", axum::routing::get(|| async { "fine" }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = u32::from(listener.local_addr().unwrap().port());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut checked = task("pod.a", "exec sleep 1000");
    checked.check = Some(podium_core::model::mesos::Check {
        probe: Some(Probe::Http { port, path: Some("/".to_owned()), scheme: None }),
        delay: Duration::ZERO,
        interval: Duration::from_millis(50),
        timeout: Duration::from_secs(20),
    });
    scheduler.launch("pod", vec![checked]).await;
    loop {
        let status = scheduler.update().await;
        if status.check_status == Some(CheckStatus::Http(Some(200))) {
            break;
        }
    }
}
