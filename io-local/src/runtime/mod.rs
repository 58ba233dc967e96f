//! Containers as real processes of this machine.
//!
//! What a Mesos agent's containerizer, fetcher and health checkers do, without control groups and images, so that
//! it works on any Linux machine, as root or not:
//!
//! ```text
//!   launch ─► sandbox, volumes ─► artifacts ─► owner ─► supervisor ─► Started ─► … ─► Exited
//!                      └──────────────┴───────────┴─────────┴──────► Failed: a sentence that says why
//! ```
//!
//! Everything on disk lies under one folder, laid out like an agent's work directory:
//!
//! ```text
//! <executor's sandbox>/
//!   volumes/<name>/             ephemeral volumes, shared by the members
//!   containers/<container id>/  a member's sandbox: stdout, stderr, artifacts, mounted volumes
//!   tasks/<task id>             a link to the member's sandbox
//! ```

mod archive;
mod container;
mod environment;
mod fetch;
mod probe;
mod user;
mod volumes;
mod web;

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;

use podium_core::model::ids::Role;
use podium_core::model::mesos::TaskInfo;
use podium_sim::cluster::ContainerId;
use tokio::sync::mpsc;

pub use container::Container;
pub use fetch::FetchError;
pub(crate) use volumes::relative;

/// Starts containers.
#[derive(Debug)]
pub struct Runtime {
    host: Arc<Host>,
    /// Closes when the last container has ended and this runtime has let go of it.
    alive: mpsc::Sender<()>,
    ended: mpsc::Receiver<()>,
}

/// What containers need to know about the machine and this process.
#[derive(Debug)]
struct Host {
    /// The program that becomes a supervisor when started with [`crate::supervisor::ARGUMENT`].
    supervisor: PathBuf,
    /// Whether bind mounts in a private namespace are possible.
    can_mount: bool,
    fetcher: fetch::Fetcher,
}

/// A container to be launched: one task of a group.
#[derive(Clone, Debug)]
pub struct ContainerSpec {
    /// Names the container in its events; the part after the executor's names its sandbox.
    pub container_id: ContainerId,
    /// What to run.
    pub task: TaskInfo,
    /// The folder of the group's executor; the container's sandbox is made below it.
    pub executor_sandbox: PathBuf,
    /// The framework's user: who runs a task that names no user.
    pub framework_user: Option<String>,
    /// The role that the task's resources are allocated to.
    pub role: Option<Role>,
}

impl ContainerSpec {
    /// Where the container's files are.
    pub fn sandbox(&self) -> PathBuf {
        self.executor_sandbox.join("containers").join(self.own_id())
    }

    /// The id without the executor's in front.
    fn own_id(&self) -> &str {
        let id = self.container_id.as_str();
        id.rsplit_once('.').map_or(id, |(_, own)| own)
    }
}

/// What becomes of a container. First `Started` or `Failed`; after `Started`, once, `Exited`.
#[derive(Debug)]
pub struct ContainerEvent {
    /// Of which container.
    pub container_id: ContainerId,
    /// What happened.
    pub kind: ContainerEventKind,
}

/// See [`ContainerEvent`].
#[derive(Debug)]
pub enum ContainerEventKind {
    /// The program runs.
    Started {
        /// Its first process, which leads the process group of the same number.
        pid: u32,
    },
    /// It could not be started, and nothing of it is left.
    Failed(LaunchError),
    /// The first process has ended, and no other process of the container is left.
    Exited(ExitStatus),
}

/// A container could not be launched. The texts reach the pod's status, so they say what would work.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the texts are the documentation")]
pub enum LaunchError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(
        "Container image '{name}': the embedded cluster runs plain processes and cannot run container images. A Mesos \
         agent with the isolators filesystem/linux and docker/runtime and an image provider can: start podium with \
         --master http://HOST:PORT of its master"
    )]
    Image { name: String },
    #[error("The container was killed before it started")]
    Killed,
    #[error("No command: without a container image there is no entry point, so 'exec' must say what to run")]
    NoCommand,
    #[error(
        "User '{wanted}': the embedded cluster runs as '{own}' and only root can switch to another user. Leave 'user' \
         out, or run podium as root"
    )]
    NotRoot { wanted: String, own: String },
    /// The supervisor's or kernel's words.
    #[error("Failed to launch the container: {0}")]
    Process(String),
    #[error("Failed to prepare the sandbox: {what}: {error}")]
    Sandbox { what: String, error: std::io::Error },
    #[error(
        "Secret '{name}' of {place}: the embedded cluster has no secret resolver. A Mesos agent with a secret resolver \
         module can look secrets up"
    )]
    SecretReference { name: String, place: String },
    #[error("The secret of {0} is not UTF-8 text without NUL bytes")]
    SecretValue(String),
    #[error("User '{0}' does not exist on this machine")]
    UnknownUser(String),
    #[error("User '{name}' could not be looked up: {error}")]
    UserLookup { name: String, error: String },
    #[error("Volume at '{path}': {problem}")]
    Volume { path: String, problem: String },
}

impl LaunchError {
    fn sandbox(what: &str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let what = format!("{what} '{}'", path.display());
        |error| Self::Sandbox { what, error }
    }
}

impl Runtime {
    /// A runtime whose supervisors are started from `supervisor`, a program that calls
    /// [`crate::run_if_asked`]; this process' own binary if absent.
    pub fn new(supervisor: Option<PathBuf>) -> Self {
        let (alive, ended) = mpsc::channel(1);
        Self {
            host: Arc::new(Host {
                // Still this very binary when its file has been replaced by a newer one.
                supervisor: supervisor.unwrap_or_else(|| "/proc/self/exe".into()),
                can_mount: volumes::can_mount(),
                fetcher: fetch::Fetcher::new(),
            }),
            alive,
            ended,
        }
    }

    /// Launches a container; `events` is told what becomes of it. It is killed when the handle is dropped.
    pub fn launch(&self, spec: ContainerSpec, events: mpsc::UnboundedSender<ContainerEvent>) -> Container {
        Container::launch(self.host.clone(), spec, events, self.alive.clone())
    }

    /// Waits until every container has ended. Drop their handles first.
    pub async fn wait(self) {
        let Self { alive, mut ended, .. } = self;
        drop(alive);
        // Nothing is ever sent: this returns when the last sender is dropped.
        let _ = ended.recv().await;
    }
}
