//! One container, from its sandbox to its end.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::task::Poll;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use podium_core::model::mesos::{CommandInfo, Probe};
use podium_sim::cluster::ProbeResult;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot};

use super::environment::{self, Context};
use super::volumes::{self, Places};
use super::{ContainerEvent, ContainerEventKind, ContainerSpec, Host, LaunchError, probe, user};
use crate::supervisor::{self, Execute, Launch, Report, Request};

/// A container that was launched. Dropping it kills every process of the container.
#[derive(Clone, Debug)]
pub struct Container {
    commands: mpsc::UnboundedSender<Order>,
}

/// What the owner of a [`Container`] wants from the task that looks after it.
#[derive(Debug)]
enum Order {
    Signal(Signal),
    Kill,
    Run { command: CommandInfo, reply: RunReply },
}

/// Takes how a program inside the container ended, or a sentence about why it could not be run. Closed when nobody
/// wants to know any more.
type RunReply = oneshot::Sender<Result<ExitStatus, String>>;

impl Container {
    pub(super) fn launch(
        host: Arc<Host>,
        spec: ContainerSpec,
        events: mpsc::UnboundedSender<ContainerEvent>,
        alive: mpsc::Sender<()>,
    ) -> Self {
        let (commands, orders) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let container_id = spec.container_id.clone();
            let tell = |kind| {
                // Nobody listens when the cluster is being shut down.
                let _ = events.send(ContainerEvent { container_id: container_id.clone(), kind });
            };
            look_after(&host, &spec, orders, tell).await;
            drop(alive);
        });
        Self { commands }
    }

    /// Sends a signal to the process group of the container's first process. Nothing happens before it has started
    /// or after it has ended.
    pub fn signal(&self, signal: Signal) {
        let _ = self.commands.send(Order::Signal(signal));
    }

    /// Sends SIGKILL to every process of the container, whatever group or session it is in.
    pub fn kill(&self) {
        let _ = self.commands.send(Order::Kill);
    }

    /// Runs a health check or check. Dropping the future ends it.
    pub async fn probe(&self, probe: &Probe) -> ProbeResult {
        probe::probe(self, probe).await
    }

    /// Runs a command in the container's sandbox and environment, as its user.
    pub(super) async fn run(&self, command: &CommandInfo) -> Result<ExitStatus, String> {
        let (reply, result) = oneshot::channel();
        let _ = self.commands.send(Order::Run { command: command.clone(), reply });
        result.await.unwrap_or_else(|_| Err("The container has ended".to_owned()))
    }
}

async fn look_after(
    host: &Host,
    spec: &ContainerSpec,
    mut orders: mpsc::UnboundedReceiver<Order>,
    tell: impl Fn(ContainerEventKind),
) {
    let launch = tokio::select! {
        launch = prepare(host, spec) => launch,
        () = wait_for_kill(&mut orders) => Err(LaunchError::Killed),
    };
    let supervised = match launch {
        Ok(launch) => Supervised::start(host, spec, launch).await,
        Err(error) => Err(error),
    };
    match supervised {
        Ok(supervised) => supervised.follow(orders, tell).await,
        Err(error) => tell(ContainerEventKind::Failed(error)),
    }
}

/// Returns when the container is not wanted any more, though it has not even started.
async fn wait_for_kill(orders: &mut mpsc::UnboundedReceiver<Order>) {
    while let Some(order) = orders.recv().await {
        match order {
            Order::Kill => return,
            // There is no process that could get it, and no program to run beside.
            Order::Signal(_) | Order::Run { .. } => {}
        }
    }
}

/// Makes everything ready: the sandbox with its volumes and artifacts, owned by the container's user.
async fn prepare(host: &Host, spec: &ContainerSpec) -> Result<Launch, LaunchError> {
    let ContainerSpec { task, executor_sandbox, framework_user, role, .. } = spec;
    if let Some(image) = task.container.as_ref().and_then(|container| container.image.as_ref()) {
        return Err(LaunchError::Image { name: image.name.clone() });
    }
    let sandbox = spec.sandbox();
    let context = Context { sandbox: &sandbox, task_id: &task.task_id, role: role.as_ref() };
    let execute = environment::main_program(task.command.as_ref(), &context)?;
    let wanted = task.command.as_ref().and_then(|command| command.user.as_deref());
    let identity = user::resolve(wanted, framework_user.as_deref())?;

    make_sandbox(spec, &sandbox).await?;
    let volumes = task.container.as_ref().map_or(&[][..], |container| &container.volumes);
    let places = Places { sandbox: &sandbox, executor_sandbox };
    let prepared = volumes::prepare(volumes, &places, host.can_mount)?;
    for note in &prepared.notes {
        let text = format!("{note}\n");
        let file = sandbox.join("stderr");
        tokio::fs::write(&file, text).await.map_err(LaunchError::sandbox("writing file", &file))?;
    }
    if let Some(command) = &task.command {
        host.fetcher.fetch(&command.uris, &sandbox).await?;
    }
    if let Some(identity) = &identity {
        let (uid, gid, sandbox) = (identity.uid, identity.gid, sandbox.clone());
        tokio::task::spawn_blocking(move || give_to(&sandbox, uid, gid))
            .await
            .map_err(io::Error::other)
            .flatten()
            .map_err(LaunchError::sandbox("changing the owner of", &spec.sandbox()))?;
    }
    Ok(Launch { sandbox, execute, mounts: prepared.mounts, identity })
}

async fn make_sandbox(spec: &ContainerSpec, sandbox: &Path) -> Result<(), LaunchError> {
    let tasks = spec.executor_sandbox.join("tasks");
    for folder in [sandbox, &tasks] {
        tokio::fs::create_dir_all(folder).await.map_err(LaunchError::sandbox("making folder", folder))?;
    }
    for name in ["stdout", "stderr"] {
        let file = sandbox.join(name);
        tokio::fs::write(&file, "").await.map_err(LaunchError::sandbox("making file", &file))?;
    }
    let link = tasks.join(spec.task.task_id.as_str());
    match symlink(Path::new("../containers").join(spec.own_id()), &link) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(LaunchError::sandbox("making link", &link)(error))
        }
        _ => Ok(()),
    }
}

/// Changes the owner of the folder and of everything in it; links themselves, not what they lead to.
fn give_to(folder: &Path, uid: u32, gid: u32) -> io::Result<()> {
    std::os::unix::fs::lchown(folder, Some(uid), Some(gid))?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            give_to(&entry.path(), uid, gid)?;
        } else {
            std::os::unix::fs::lchown(entry.path(), Some(uid), Some(gid))?;
        }
    }
    // A folder whose owner may not enter it would be of no use.
    let mode = std::fs::metadata(folder)?.permissions().mode();
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode | 0o700))
}

/// A container whose supervisor runs.
struct Supervised {
    child: Child,
    requests: ChildStdin,
    reports: tokio::io::Lines<BufReader<ChildStdout>>,
    main: Execute,
    pid: i32,
    runs: BTreeMap<u64, RunReply>,
    next_run: u64,
}

impl Supervised {
    /// Returns once the container's program runs.
    async fn start(host: &Host, spec: &ContainerSpec, launch: Launch) -> Result<Self, LaunchError> {
        let broken = |error: &dyn std::fmt::Display| LaunchError::Process(format!("the supervisor: {error}"));
        let log = launch.sandbox.join("stderr");
        let log = std::fs::OpenOptions::new()
            .append(true)
            .open(&log)
            .map_err(LaunchError::sandbox("opening file", &log))?;
        let mut child = Command::new(&host.supervisor)
            // Not our own name: who kills the daemon by name shall not hit those who clean up after it.
            .arg0("pod-supervisor")
            .arg(supervisor::ARGUMENT)
            .arg(spec.task.task_id.as_str())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|error| broken(&error))?;
        let (Some(mut requests), Some(reports)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(broken(&"its pipes are missing"));
        };
        let main = launch.execute.clone();
        send(&mut requests, &Request::Launch(launch)).await.map_err(|error| broken(&error))?;
        let mut reports = BufReader::new(reports).lines();
        match next(&mut reports).await {
            Some(Report::Started { pid }) => {
                Ok(Self { child, requests, reports, main, pid, runs: BTreeMap::new(), next_run: 0 })
            }
            Some(Report::Failed { message }) => {
                let _ = child.wait().await;
                Err(LaunchError::Process(message))
            }
            other => {
                drop(requests);
                let status = child.wait().await.map_err(|error| broken(&error))?;
                Err(broken(&format!("it ended with {status} and said {other:?}")))
            }
        }
    }

    /// Follows the container to its end.
    async fn follow(mut self, mut orders: mpsc::UnboundedReceiver<Order>, tell: impl Fn(ContainerEventKind)) {
        tell(ContainerEventKind::Started { pid: self.pid.unsigned_abs() });
        let mut wanted = true;
        let exited = loop {
            tokio::select! {
                report = next(&mut self.reports) => match report {
                    Some(Report::Exited { wait_status }) => break Some(wait_status),
                    Some(Report::Ran { id, result }) => {
                        if let Some(reply) = self.runs.remove(&id) {
                            let _ = reply.send(result.map(ExitStatus::from_raw));
                        }
                    }
                    Some(Report::Started { .. } | Report::Failed { .. }) | None => break None,
                },
                order = orders.recv(), if wanted => match order {
                    Some(Order::Run { command, reply }) => self.run(&command, reply).await,
                    Some(Order::Signal(signal)) => self.send(&Request::Signal(signal as i32)).await,
                    Some(Order::Kill) => self.send(&Request::Kill).await,
                    None => {
                        wanted = false;
                        self.send(&Request::Kill).await;
                    }
                },
                id = unwanted(&mut self.runs) => {
                    self.runs.remove(&id);
                    self.send(&Request::Abort { id }).await;
                }
            }
        };
        let wait_status = exited.unwrap_or_else(|| {
            // The supervisor was killed, and with it the container's first process. The others of its group are
            // still there, and their number is not given to anyone else while they are.
            let _ = killpg(Pid::from_raw(self.pid), Signal::SIGKILL);
            Signal::SIGKILL as i32
        });
        drop(self.requests);
        let _ = self.child.wait().await;
        tell(ContainerEventKind::Exited(ExitStatus::from_raw(wait_status)));
    }

    async fn run(&mut self, command: &CommandInfo, reply: RunReply) {
        match environment::check_program(command, &self.main) {
            Ok(execute) => {
                let id = self.next_run;
                self.next_run += 1;
                self.runs.insert(id, reply);
                self.send(&Request::Run { id, execute }).await;
            }
            Err(error) => _ = reply.send(Err(error.to_string())),
        }
    }

    /// A supervisor that does not take requests has ended, which its reports will show.
    async fn send(&mut self, request: &Request) {
        let _ = send(&mut self.requests, request).await;
    }
}

/// The first run whose end nobody waits for any more.
async fn unwanted(runs: &mut BTreeMap<u64, RunReply>) -> u64 {
    std::future::poll_fn(|context| {
        runs.iter_mut()
            .find_map(|(&id, reply)| reply.poll_closed(context).is_ready().then_some(id))
            .map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

async fn send(requests: &mut ChildStdin, request: &Request) -> io::Result<()> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    requests.write_all(&line).await?;
    requests.flush().await
}

/// The supervisor's next report; nothing when it has ended.
async fn next(reports: &mut tokio::io::Lines<BufReader<ChildStdout>>) -> Option<Report> {
    let line = reports.next_line().await.ok()??;
    serde_json::from_str(&line).ok()
}
