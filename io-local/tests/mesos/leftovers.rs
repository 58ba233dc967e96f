//! The cluster's end is the end of its processes.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use podium_mesos::codec::MediaType;

use crate::fixture::{Cluster, SUPERVISOR, eventually, marker, sleepers};
use crate::scheduler::{Scheduler, task};

#[tokio::test]
async fn a_cluster_that_is_shut_down_leaves_nothing() {
    let cluster = Cluster::start(1).await;
    let mut scheduler = cluster.scheduler().await;
    let mark = marker();
    scheduler.start("pod", vec![task("pod.a", &format!("setsid sleep {mark} & exec sleep {mark}"))]).await;
    eventually("both sleep", || sleepers(&mark).len() == 2).await;
    cluster.running.shutdown().await;
    assert!(sleepers(&mark).is_empty());
}

#[tokio::test]
async fn a_cluster_that_is_dropped_leaves_nothing() {
    let cluster = Cluster::start(1).await;
    let mut scheduler = cluster.scheduler().await;
    let mark = marker();
    scheduler.start("pod", vec![task("pod.a", &format!("exec sleep {mark}"))]).await;
    drop(cluster.running);
    eventually("nothing is left", || sleepers(&mark).is_empty()).await;
}

#[tokio::test]
async fn a_daemon_that_is_killed_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut daemon = Command::new(SUPERVISOR)
        .arg("cluster")
        .arg(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut address = String::new();
    BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut address).unwrap();
    let mut scheduler =
        Scheduler::subscribe(&format!("http://{}", address.trim()), MediaType::Protobuf).await;
    let mark = marker();
    scheduler
        .start("pod", vec![task("pod.a", &format!("trap '' TERM; (setsid sleep {mark} &); sleep {mark}"))])
        .await;
    eventually("both sleep", || sleepers(&mark).len() == 2).await;
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    eventually("nothing is left", || sleepers(&mark).is_empty()).await;
}
