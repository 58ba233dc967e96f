//! `podium serve`.

use std::process::ExitStatus;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::api::{self, Reply};
use crate::folder::Folder;
use crate::process::Process;
use crate::program::{Program, cargo_run, podium};
use crate::wait::eventually;

/// A daemon with a folder of its own, which it can be started in again and again. Dropping it kills it, and fails the
/// test if a process that it started outlives it.
#[derive(Debug)]
pub struct Daemon {
    program: Option<Program>,
    flags: Vec<String>,
    folder: Folder,
    url: String,
}

impl Daemon {
    /// Starts one with the embedded cluster, and waits until it answers.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Like [`Daemon::start`], with further flags.
    pub fn start_with(flags: &[&str]) -> Self {
        let folder = Folder::new();
        let data = folder.path().join("data").display().to_string();
        let own = ["--http_port", "0", "--data_dir", &data];
        let flags = own.iter().chain(flags).map(ToString::to_string).collect();
        let mut daemon = Self { program: None, flags, folder, url: String::new() };
        daemon.start_again();
        daemon
    }

    /// Starts one with `cargo run --release`, whose flags are in the environment.
    pub fn start_through_cargo() -> Self {
        let folder = Folder::new();
        let mut command = cargo_run(&folder);
        command.env("PODIUM_HTTP_PORT", "0").env("PODIUM_DATA_DIR", folder.path().join("data"));
        let program = Program::start("cargo run", command, &folder);
        let mut daemon = Self { program: None, flags: Vec::new(), folder, url: String::new() };
        daemon.wait_until_ready(program);
        daemon
    }

    /// Starts it with the same folder and flags as before.
    ///
    /// # Panics
    /// It does not start, or runs already.
    pub fn start_again(&mut self) {
        assert!(self.program.is_none(), "it runs already");
        let mut command = podium(&self.folder);
        command.args(&self.flags);
        self.wait_until_ready(Program::start("podium serve", command, &self.folder));
    }

    /// The same with further flags, which it keeps.
    ///
    /// # Panics
    /// It does not start, or runs already.
    pub fn start_again_with(&mut self, flags: &[&str]) {
        self.flags.extend(flags.iter().map(ToString::to_string));
        self.start_again();
    }

    fn wait_until_ready(&mut self, mut program: Program) {
        let pods = program.announced("  API    ");
        self.url = pods.trim_end_matches("/v2/pods").to_owned();
        self.program = Some(program);
    }

    /// `kill -9`.
    ///
    /// # Panics
    /// It does not run.
    pub fn crash(&mut self) {
        self.end(Signal::SIGKILL);
    }

    /// Asks it to end (SIGTERM), and waits until it has.
    ///
    /// # Panics
    /// It does not run, or does not end.
    pub fn terminate(&mut self) -> ExitStatus {
        self.end(Signal::SIGTERM)
    }

    /// Waits until it has ended by itself: how, and what it has logged.
    ///
    /// # Panics
    /// It does not run, or does not end.
    pub fn wait_for_end(&mut self) -> (ExitStatus, String) {
        let mut program = self.program.take().expect("it runs");
        let status = program.wait();
        (status, program.errors())
    }

    fn end(&mut self, signal: Signal) -> ExitStatus {
        let mut program = self.program.take().expect("it runs");
        program.signal(signal);
        program.wait()
    }

    /// Where it is: `http://HOST:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The folder with its data and, with the embedded cluster, its containers' sandboxes.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Its process.
    ///
    /// # Panics
    /// It does not run.
    pub fn process(&self) -> Process {
        self.program.as_ref().expect("it runs").process()
    }

    /// What it has printed since it was started last.
    ///
    /// # Panics
    /// It does not run.
    pub fn output(&self) -> String {
        self.program.as_ref().expect("it runs").output()
    }

    /// What it has logged since it was started first.
    ///
    /// # Panics
    /// It does not run.
    pub fn log(&self) -> String {
        self.program.as_ref().expect("it runs").errors()
    }

    /// Sends a request and waits for the answer.
    ///
    /// # Panics
    /// There is no answer.
    #[track_caller]
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let reply = api::request(method, &format!("{}{path}", self.url), headers, body);
        reply.unwrap_or_else(|error| panic!("{error}"))
    }

    /// `GET`
    #[track_caller]
    pub fn get(&self, path: &str) -> Reply {
        self.request("GET", path, &[], "")
    }

    /// `DELETE`
    #[track_caller]
    pub fn delete(&self, path: &str) -> Reply {
        self.request("DELETE", path, &[], "")
    }

    /// Creates a pod, and returns its definition as it is kept.
    ///
    /// # Panics
    /// It is refused.
    #[track_caller]
    pub fn create(&self, pod: &Value) -> Value {
        self.request("POST", "/v2/pods", &[JSON], &pod.to_string()).expect(201)
    }

    /// Gives a pod a new definition, and returns that as it is kept.
    ///
    /// # Panics
    /// It is refused.
    #[track_caller]
    pub fn update(&self, pod: &Value) -> Value {
        let id = pod["id"].as_str().expect("a pod has an id");
        self.request("PUT", &format!("/v2/pods{id}"), &[JSON], &pod.to_string()).expect(200)
    }

    /// The status of the pod with this id.
    ///
    /// # Panics
    /// There is no such pod.
    #[track_caller]
    pub fn status(&self, id: &str) -> Value {
        self.get(&format!("/v2/pods{id}::status")).expect(200)
    }

    /// Waits until the status of a pod is as `wanted` says, which returns what it looked for.
    #[track_caller]
    pub fn wait_for_status<T>(&self, id: &str, what: &str, wanted: impl Fn(&Value) -> Option<T>) -> T {
        eventually(&format!("{id}: {what}"), || {
            let status = self.status(id);
            wanted(&status).ok_or_else(|| format!("{status:#}"))
        })
    }

    /// Waits until as many copies of a pod run as shall, no more and no less, and no deployment changes it; returns
    /// its status.
    #[track_caller]
    pub fn wait_until_stable(&self, id: &str) -> Value {
        let status = self.wait_for_status(id, "it is stable", |status| {
            let instances = status["instances"].as_array()?;
            let is_wanted = status["spec"]["scaling"]["instances"] == instances.len();
            let is_stable = |instance: &Value| instance["status"] == "STABLE";
            (status["status"] == "STABLE" && is_wanted && instances.iter().all(is_stable))
                .then(|| status.clone())
        });
        eventually(&format!("no deployment changes {id}"), || {
            let deployments = self.get("/v2/deployments").expect(200);
            let mut pods =
                deployments.as_array().into_iter().flatten().map(|deployment| &deployment["affectedPods"]);
            let is_changing =
                pods.any(|pods| pods.as_array().is_some_and(|pods| pods.iter().any(|pod| pod == id)));
            if is_changing { Err(deployments) } else { Ok(()) }
        });
        status
    }

    /// Waits until there is neither a pod of this id nor anything left of it.
    #[track_caller]
    pub fn wait_until_gone(&self, id: &str) {
        eventually(&format!("{id} is gone"), || {
            let reply = self.get(&format!("/v2/pods{id}::status"));
            if reply.status == 404 { Ok(()) } else { Err(reply.text) }
        });
    }
}

const JSON: (&str, &str) = ("Content-Type", "application/json");

impl Drop for Daemon {
    fn drop(&mut self) {
        self.program = None;
        if !std::thread::panicking() {
            self.folder.wait_until_deserted();
        }
    }
}
