//! A program that embeds containers and clusters, for this crate's tests: it is the containers' supervisor, and it is
//! what a test kills to see what is left behind.
//!
//! - `podium-local-test container FOLDER COMMAND` runs `sh -c COMMAND` in a container under FOLDER, prints `started`
//!   and waits to be killed.
//! - `podium-local-test cluster FOLDER` runs a cluster of one agent, prints its address and waits to be killed.

use std::error::Error;
use std::path::Path;

use podium_core::model::ids::{AgentId, TaskId};
use podium_core::model::mesos::{CommandInfo, TaskInfo};
use podium_local::model::ContainerId;
use podium_local::runtime::{ContainerEventKind, ContainerSpec, Runtime};
use podium_local::{Config, EmbeddedCluster};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    podium_local::run_if_asked();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match arguments[..] {
        ["container", folder, command] => runtime.block_on(run_container(Path::new(folder), command)),
        ["cluster", folder] => runtime.block_on(run_cluster(Path::new(folder))),
        _ => {
            Err("usage: podium-local-test container FOLDER COMMAND, or: podium-local-test cluster FOLDER"
                .into())
        }
    }
}

async fn run_cluster(folder: &Path) -> Outcome {
    let running = EmbeddedCluster::start(Config::new(folder, 1)).await?;
    println!("{}", running.address());
    std::future::pending().await
}

async fn run_container(folder: &Path, command: &str) -> Outcome {
    let runtime = Runtime::new(None);
    let (events, mut happened) = tokio::sync::mpsc::unbounded_channel();
    let spec = ContainerSpec {
        container_id: ContainerId("executor.c".into()),
        task: shell_task(command),
        executor_sandbox: folder.to_owned(),
        framework_user: None,
        role: None,
    };
    let _container = runtime.launch(spec, events);
    match happened.recv().await.map(|event| event.kind) {
        Some(ContainerEventKind::Started { .. }) => println!("started"),
        other => return Err(format!("the container did not start: {other:?}").into()),
    }
    std::future::pending().await
}

fn shell_task(command: &str) -> TaskInfo {
    TaskInfo {
        name: "c".to_owned(),
        task_id: TaskId::new("c"),
        agent_id: AgentId::new("a"),
        resources: Vec::new(),
        limits: std::collections::BTreeMap::new(),
        command: Some(CommandInfo {
            shell: true,
            value: Some(command.to_owned()),
            arguments: Vec::new(),
            environment: Vec::new(),
            uris: Vec::new(),
            user: None,
        }),
        container: None,
        health_check: None,
        check: None,
        kill_grace_period: None,
        max_completion_time: None,
        labels: Vec::new(),
        discovery: None,
    }
}
