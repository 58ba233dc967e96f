//! A program that embeds containers, for this crate's tests: it is the containers' supervisor, and it is what a test
//! kills to see what is left behind.
//!
//! `podium-local-test FOLDER COMMAND`: runs `sh -c COMMAND` in a container under FOLDER, prints `started` and waits
//! to be killed.

use std::error::Error;
use std::path::PathBuf;

use podium_core::model::ids::{AgentId, TaskId};
use podium_core::model::mesos::{CommandInfo, TaskInfo};
use podium_local::runtime::{ContainerEventKind, ContainerSpec, Runtime};
use podium_sim::cluster::ContainerId;

fn main() -> Result<(), Box<dyn Error>> {
    podium_local::run_if_asked();
    let mut arguments = std::env::args().skip(1);
    let (Some(folder), Some(command)) = (arguments.next(), arguments.next()) else {
        return Err("usage: podium-local-test FOLDER COMMAND".into());
    };
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(folder.into(), command))
}

async fn run(folder: PathBuf, command: String) -> Result<(), Box<dyn Error>> {
    let runtime = Runtime::new(None);
    let (events, mut happened) = tokio::sync::mpsc::unbounded_channel();
    let spec = ContainerSpec {
        container_id: ContainerId("executor.c".into()),
        task: shell_task(command),
        executor_sandbox: folder,
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

fn shell_task(command: String) -> TaskInfo {
    TaskInfo {
        name: "c".to_owned(),
        task_id: TaskId::new("c"),
        agent_id: AgentId::new("a"),
        resources: Vec::new(),
        limits: std::collections::BTreeMap::new(),
        command: Some(CommandInfo {
            shell: true,
            value: Some(command),
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
