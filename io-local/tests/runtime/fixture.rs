//! Starts containers and waits for what becomes of them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use podium_core::model::ids::{AgentId, Role, TaskId};
use podium_core::model::mesos::{CommandInfo, ContainerInfo, TaskInfo};
use podium_local::runtime::{Container, ContainerEvent, ContainerEventKind, ContainerSpec, Runtime};
use podium_sim::cluster::ContainerId;
use tokio::sync::mpsc;

/// For everything that should take milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program that supervises containers in these tests.
pub(crate) const SUPERVISOR: &str = env!("CARGO_BIN_EXE_podium-local-test");

/// A runtime with an executor's sandbox.
pub(crate) struct Fixture {
    pub(crate) runtime: Runtime,
    pub(crate) folder: tempfile::TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self { runtime: Runtime::new(Some(SUPERVISOR.into())), folder: tempfile::tempdir().unwrap() }
    }

    /// Launches the task under its own id.
    pub(crate) fn launch(&self, task: TaskInfo) -> Launched {
        let (events, happened) = mpsc::unbounded_channel();
        let spec = ContainerSpec {
            container_id: ContainerId(format!("executor.{}", task.task_id.as_str().replace('.', "-")).into()),
            task,
            executor_sandbox: self.folder.path().to_owned(),
            framework_user: None,
            role: Some(Role::new("pods")),
        };
        let sandbox = spec.sandbox();
        Launched { container: self.runtime.launch(spec, events), happened, sandbox }
    }

    /// Launches `sh -c command` and waits until it runs.
    pub(crate) async fn start(&self, command: &str) -> Launched {
        let mut launched = self.launch(shell("c", command));
        launched.started().await;
        launched
    }

    /// Runs `sh -c command` to its end: its exit status, output and error output.
    pub(crate) async fn run(&self, command: &str) -> (ExitStatus, String, String) {
        let mut launched = self.start(command).await;
        let status = launched.exited().await;
        (status, launched.stdout(), fs::read_to_string(launched.sandbox.join("stderr")).unwrap())
    }

    /// Launches what cannot be launched, and returns why.
    pub(crate) async fn refused(&self, task: TaskInfo) -> String {
        self.launch(task).failed().await
    }
}

pub(crate) struct Launched {
    pub(crate) container: Container,
    happened: mpsc::UnboundedReceiver<ContainerEvent>,
    pub(crate) sandbox: PathBuf,
}

impl Launched {
    async fn next(&mut self) -> ContainerEventKind {
        let event = tokio::time::timeout(PATIENCE, self.happened.recv()).await;
        event.expect("something happens in time").expect("the runtime tells what happens").kind
    }

    pub(crate) async fn started(&mut self) -> u32 {
        match self.next().await {
            ContainerEventKind::Started { pid } => pid,
            other => panic!("expected the container to start, not {other:?}"),
        }
    }

    pub(crate) async fn exited(&mut self) -> ExitStatus {
        match self.next().await {
            ContainerEventKind::Exited(status) => status,
            other => panic!("expected the container to end, not {other:?}"),
        }
    }

    pub(crate) async fn failed(&mut self) -> String {
        match self.next().await {
            ContainerEventKind::Failed(error) => error.to_string(),
            other => panic!("expected the launch to fail, not {other:?}"),
        }
    }

    /// Waits until the container has written a line that holds `text`.
    pub(crate) async fn prints(&self, text: &str) {
        eventually(&format!("the container prints {text:?}"), || self.stdout().contains(text)).await;
    }

    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(self.sandbox.join("stdout")).unwrap_or_default()
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

pub(crate) fn code(code: i32) -> ExitStatus {
    ExitStatus::from_raw(code << 8)
}

pub(crate) fn signal(number: i32) -> ExitStatus {
    ExitStatus::from_raw(number)
}

/// A task that runs `sh -c command`.
pub(crate) fn shell(name: &str, command: &str) -> TaskInfo {
    TaskInfo {
        name: name.to_owned(),
        task_id: TaskId::new(name),
        agent_id: AgentId::new("agent"),
        resources: Vec::new(),
        limits: BTreeMap::new(),
        command: Some(CommandInfo {
            shell: true,
            value: Some(command.to_owned()),
            arguments: Vec::new(),
            environment: Vec::new(),
            uris: Vec::new(),
            user: None,
        }),
        container: Some(ContainerInfo::default()),
        health_check: None,
        check: None,
        kill_grace_period: None,
        max_completion_time: None,
        labels: Vec::new(),
        discovery: None,
    }
}

/// A number that occurs in no other process' command line.
pub(crate) fn marker() -> String {
    format!("{}.{}", 100_000 + std::process::id(), uuid::Uuid::new_v4().as_u128() % 1_000_000_000)
}

/// The processes whose command line holds `marker` and which are more than zombies.
pub(crate) fn processes(marker: &str) -> Vec<u32> {
    let own = std::process::id();
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&pid| pid != own)
        // A zombie's command line is empty.
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(marker))
        })
        .collect()
}

pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}
