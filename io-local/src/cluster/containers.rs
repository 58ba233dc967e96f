//! Carries out the cluster's container commands with real processes.
//!
//! An executor has no process: what it decides is decided in the cluster. Its container is a folder that holds the
//! sandboxes of its tasks, and it has ended when the last of them has.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use nix::sys::signal::Signal as UnixSignal;
use podium_core::model::mesos::{ExecutorInfo, FrameworkInfo};
use podium_sim::cluster::{
    AgentIndex, ContainerCommand, ContainerEvent, ContainerId, ExecutorLaunch, Exit, ProbeId, Signal,
    TaskLaunch,
};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::sandboxes::Sandboxes;
use super::volumes::Volumes;
use crate::runtime::{self, Container, ContainerEventKind, ContainerSpec, Runtime};

/// What the containers tell the cluster.
#[derive(Debug)]
pub(super) enum Happening {
    /// To be passed on as it is.
    Event(ContainerEvent),
    /// Of a task's process.
    Process(runtime::ContainerEvent),
}

/// All containers of the cluster.
pub(super) struct Containers {
    runtime: Runtime,
    sandboxes: Sandboxes,
    volumes: Volumes,
    executors: BTreeMap<ContainerId, Executor>,
    tasks: BTreeMap<ContainerId, Task>,
    probes: BTreeMap<ProbeId, AbortHandle>,
    happenings: mpsc::UnboundedSender<Happening>,
    processes: mpsc::UnboundedSender<runtime::ContainerEvent>,
}

struct Executor {
    agent: AgentIndex,
    sandbox: PathBuf,
    /// To be reported as ended once it has no tasks.
    destroyed: bool,
}

struct Task {
    agent: AgentIndex,
    parent: ContainerId,
    container: Container,
}

impl Containers {
    /// No containers yet; `happenings` is told what becomes of those that are launched.
    pub(super) fn new(
        runtime: Runtime,
        data_dir: PathBuf,
        happenings: mpsc::UnboundedSender<Happening>,
    ) -> Self {
        let (processes, mut events) = mpsc::unbounded_channel();
        let forward = happenings.clone();
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                let _ = forward.send(Happening::Process(event));
            }
        });
        Self {
            runtime,
            volumes: Volumes::new(&data_dir),
            sandboxes: Sandboxes::new(data_dir),
            executors: BTreeMap::new(),
            tasks: BTreeMap::new(),
            probes: BTreeMap::new(),
            happenings,
            processes,
        }
    }

    pub(super) fn perform(&mut self, command: ContainerCommand) {
        match command {
            ContainerCommand::LaunchExecutor(launch) => self.launch_executor(&launch),
            ContainerCommand::LaunchTask(launch) => self.launch_task(*launch),
            ContainerCommand::Signal { container, signal } => {
                if let Some(task) = self.tasks.get(&container) {
                    match signal {
                        Signal::Term => task.container.signal(UnixSignal::SIGTERM),
                        Signal::Kill => task.container.kill(),
                    }
                }
            }
            ContainerCommand::Destroy { container } => {
                for task in self.tasks.values().filter(|task| task.parent == container) {
                    task.container.kill();
                }
                if let Some(executor) = self.executors.get_mut(&container) {
                    executor.destroyed = true;
                    self.finish_executor(&container);
                }
            }
            ContainerCommand::DestroyAll { agent } => {
                // Dropping a container kills it.
                self.tasks.retain(|_, task| task.agent != agent);
                for (_, executor) in self.executors.extract_if(.., |_, executor| executor.agent == agent) {
                    self.sandboxes.ended(executor.sandbox);
                }
            }
            ContainerCommand::RemoveVolume { agent_id, volume, .. } => {
                if let Some(agent_id) = agent_id {
                    self.volumes.remove(&agent_id, &volume);
                }
            }
            ContainerCommand::Probe { probe, container, what } => {
                // Its end is on its way if it is not there any more.
                if let Some(task) = self.tasks.get(&container) {
                    let (container, happenings) = (task.container.clone(), self.happenings.clone());
                    let look = tokio::spawn(async move {
                        let result = container.probe(&what).await;
                        let _ =
                            happenings.send(Happening::Event(ContainerEvent::ProbeResult { probe, result }));
                    });
                    self.probes.insert(probe, look.abort_handle());
                }
            }
            ContainerCommand::CancelProbe { probe } => {
                if let Some(look) = self.probes.remove(&probe) {
                    look.abort();
                }
            }
        }
    }

    /// What the cluster is to hear of a happening. Of containers that went down with their machine it hears nothing.
    pub(super) fn happened(&mut self, happening: Happening) -> Option<ContainerEvent> {
        let event = match happening {
            Happening::Event(event) => {
                if let ContainerEvent::ProbeResult { probe, .. } = &event {
                    self.probes.remove(probe)?;
                }
                return Some(event);
            }
            Happening::Process(event) => event,
        };
        let container = event.container_id;
        let (event, parent) = match event.kind {
            ContainerEventKind::Started { pid } => {
                self.tasks.get(&container)?;
                return Some(ContainerEvent::Started { container, networks: Vec::new(), pid: Some(pid) });
            }
            ContainerEventKind::Failed(error) => {
                let parent = self.tasks.remove(&container)?.parent;
                (ContainerEvent::LaunchFailed { container, message: error.to_string() }, parent)
            }
            ContainerEventKind::Exited(status) => {
                let parent = self.tasks.remove(&container)?.parent;
                (ContainerEvent::Exited { container, exit: exit(status) }, parent)
            }
        };
        self.finish_executor(&parent);
        Some(event)
    }

    /// The sandbox of an executor that exists.
    pub(super) fn executor_sandbox(&self, container: &ContainerId) -> Option<&Path> {
        self.executors.get(container).map(|executor| executor.sandbox.as_path())
    }

    /// Kills everything and waits until it is gone.
    pub(super) async fn shut_down(self) {
        let Self { runtime, tasks, probes, .. } = self;
        for look in probes.into_values() {
            look.abort();
        }
        drop(tasks);
        runtime.wait().await;
    }

    fn launch_executor(&mut self, launch: &ExecutorLaunch) {
        let container = launch.container.clone();
        let sandbox = self.sandboxes.path(launch);
        let result = unsupported(&launch.executor).and_then(|()| {
            std::fs::create_dir_all(&sandbox)
                .map_err(|error| format!("cannot make '{}': {error}", sandbox.display()))?;
            self.volumes.mount(&launch.agent_id, &launch.executor.resources, &sandbox)
        });
        let event = match result {
            Ok(()) => {
                let executor = Executor { agent: launch.agent, sandbox, destroyed: false };
                self.executors.insert(container.clone(), executor);
                ContainerEvent::Started { container, networks: Vec::new(), pid: None }
            }
            Err(message) => ContainerEvent::LaunchFailed { container, message },
        };
        let _ = self.happenings.send(Happening::Event(event));
    }

    fn launch_task(&mut self, launch: TaskLaunch) {
        let TaskLaunch { container, parent, agent, framework, task, .. } = launch;
        let Some(executor) = self.executors.get(&parent) else {
            let message = "The executor's container has ended".to_owned();
            let event = ContainerEvent::LaunchFailed { container, message };
            let _ = self.happenings.send(Happening::Event(event));
            return;
        };
        let FrameworkInfo { user, .. } = &*framework;
        let spec = ContainerSpec {
            container_id: container.clone(),
            role: task.resources.iter().find_map(|resource| resource.allocation_role.clone()),
            task: (*task).clone(),
            executor_sandbox: executor.sandbox.clone(),
            framework_user: Some(user.clone()).filter(|user| !user.is_empty()),
        };
        let running = self.runtime.launch(spec, self.processes.clone());
        self.tasks.insert(container, Task { agent, parent, container: running });
    }

    fn finish_executor(&mut self, container: &ContainerId) {
        if self.tasks.values().any(|task| task.parent == *container) {
            return;
        }
        if let Entry::Occupied(executor) = self.executors.entry(container.clone())
            && executor.get().destroyed
        {
            self.sandboxes.ended(executor.remove().sandbox);
            // It had no process whose end could be described.
            let event = ContainerEvent::Exited { container: container.clone(), exit: None };
            let _ = self.happenings.send(Happening::Event(event));
        }
    }
}

/// What an executor may want that plain processes cannot have.
fn unsupported(executor: &ExecutorInfo) -> Result<(), String> {
    let Some(container) = &executor.container else { return Ok(()) };
    if let Some(network) = container.network_infos.first() {
        let name = network.name.as_deref().unwrap_or_default();
        return Err(format!(
            "network '{name}': the embedded cluster runs plain processes, which share this machine's network. Use the \
             network mode 'host', or a Mesos agent with the isolator network/cni (start podium with --master \
             http://HOST:PORT of its master)"
        ));
    }
    if let Some(volume) = container.volumes.first() {
        let path = &volume.container_path;
        return Err(format!(
            "volume '{path}': the embedded cluster mounts volumes into tasks, not into executors"
        ));
    }
    Ok(())
}

fn exit(status: ExitStatus) -> Option<Exit> {
    let killed = || Some(Exit::Signal { number: status.signal()?, core: status.core_dumped() });
    status.code().map(Exit::Code).or_else(killed)
}
