//! `podium cluster`: a Mesos that outlives daemons.

use serde_json::Value;

use crate::api;
use crate::folder::Folder;
use crate::program::{Program, podium};

/// A running cluster. Dropping it kills it, and fails the test if a process of its containers outlives it.
#[derive(Debug)]
pub struct Cluster {
    program: Option<Program>,
    folder: Folder,
    url: String,
}

impl Cluster {
    /// Starts one with so many agents, and waits until it takes calls.
    pub fn start(agents: u32) -> Self {
        Self::start_with(agents, &[])
    }

    /// Like [`Cluster::start`], with further flags.
    pub fn start_with(agents: u32, flags: &[&str]) -> Self {
        let folder = Folder::new();
        let data = folder.path().join("data").display().to_string();
        let agents = agents.to_string();
        let own = ["cluster", "--http_port", "0", "--agents", &agents, "--data_dir", &data];
        let mut command = podium(&folder);
        command.args(own).args(flags);
        let mut program = Program::start("podium cluster", command, &folder);
        let url = program.announced("--master ");
        Self { program: Some(program), folder, url }
    }

    /// Where the master is: `http://HOST:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The folder with its containers' sandboxes.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Gives it a command, such as `agent/0/pause`.
    ///
    /// # Panics
    /// It refuses.
    #[track_caller]
    pub fn command(&self, command: &str) {
        let reply = api::request("POST", &format!("{}/admin/{command}", self.url), &[], "");
        reply.expect("a cluster answers").expect(200);
    }

    /// Gives it a command on its standard input, such as `agent 0 pause`, and returns the line that it answers.
    ///
    /// # Panics
    /// It does not answer.
    pub fn ask(&mut self, line: &str) -> String {
        self.program.as_mut().expect("it runs until it is dropped").ask(line)
    }

    /// What there is: agents, frameworks, executors, tasks, offers.
    ///
    /// # Panics
    /// It does not say.
    #[track_caller]
    pub fn state(&self) -> Value {
        let reply = api::request("GET", &format!("{}/admin/state", self.url), &[], "");
        reply.expect("a cluster answers").expect(200)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.program = None;
        if !std::thread::panicking() {
            self.folder.wait_until_deserted();
        }
    }
}
