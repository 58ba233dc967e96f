//! A cluster for a test.

use std::fs;
use std::time::{Duration, Instant};

use podium_local::{Config, EmbeddedCluster, Running};
use podium_mesos::codec::MediaType;
use serde_json::Value;

use crate::scheduler::{PATIENCE, Scheduler};

/// The program that supervises containers in these tests.
pub(crate) const SUPERVISOR: &str = env!("CARGO_BIN_EXE_podium-local-test");

pub(crate) struct Cluster {
    pub(crate) running: Running,
    pub(crate) base: String,
    _folder: tempfile::TempDir,
    client: reqwest::Client,
}

impl Cluster {
    pub(crate) async fn start(agents: u32) -> Self {
        Self::start_with(agents, |_| {}).await
    }

    pub(crate) async fn start_with(agents: u32, change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new(folder.path(), agents);
        config.supervisor = Some(SUPERVISOR.into());
        config.cluster.master.allocation_interval = Duration::from_millis(50);
        change(&mut config);
        let running = EmbeddedCluster::start(config).await.unwrap();
        let base = format!("http://{}", running.address());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { running, base, _folder: folder, client }
    }

    pub(crate) async fn scheduler(&self) -> Scheduler {
        Scheduler::subscribe(&self.base, MediaType::Protobuf).await
    }

    /// Sends an administrator's command, which must be carried out.
    pub(crate) async fn admin(&self, command: &str) {
        let (status, body) = self.try_admin(command).await;
        assert_eq!(status, 200, "{command}: {body}");
    }

    pub(crate) async fn try_admin(&self, command: &str) -> (u16, Value) {
        let path = command.replace(' ', "/");
        let response = self.client.post(format!("{}/admin/{path}", self.base)).send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap())
    }

    pub(crate) async fn state(&self) -> Value {
        let response = self.client.get(format!("{}/admin/state", self.base)).send().await.unwrap();
        response.json().await.unwrap()
    }

    /// Waits until the cluster's state is as `condition` wants it.
    pub(crate) async fn reaches(&self, what: &str, condition: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let state = self.state().await;
            if condition(&state) {
                return;
            }
            assert!(Instant::now() < deadline, "waited in vain until {what}: {state:#}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What a task has written to its standard output.
    pub(crate) async fn stdout(&self, task: &str) -> String {
        let state = self.state().await;
        let containers = state["containers"].as_array().unwrap();
        let container = containers.iter().find(|container| container["task_id"] == task).unwrap();
        fs::read_to_string(format!("{}/stdout", container["sandbox"].as_str().unwrap())).unwrap()
    }
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A number that occurs in no other process' command line.
pub(crate) fn marker() -> String {
    format!("{}.{}", 100_000 + std::process::id(), uuid::Uuid::new_v4().as_u128() % 1_000_000_000)
}

/// The processes that run `sleep marker`.
pub(crate) fn sleepers(marker: &str) -> Vec<i32> {
    let wanted = format!("sleep\0{marker}\0");
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line == wanted.as_bytes()))
        .collect()
}
