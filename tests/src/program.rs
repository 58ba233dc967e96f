//! Running the `podium` program.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::folder::Folder;
use crate::process::Process;
use crate::wait::eventually;

/// The end of a program's output that a failed test shows.
const SHOWN_LINES: usize = 150;

/// The program that is tested: `PODIUM_BINARY`, or what `cargo build --release` makes of this repository.
///
/// # Panics
/// It cannot be built.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("PODIUM_BINARY") {
        Some(path) => path.into(),
        None => build(),
    })
}

fn build() -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["build", "--release", "--package", "podium", "--message-format", "json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo, which runs this test, can be started");
    assert!(output.status.success(), "podium does not build");
    let messages = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let executable = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    };
    messages.lines().find_map(executable).expect("the package podium has a program")
}

/// A running program, whose output goes to files.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    name: &'static str,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Program {
    /// Starts `command`, which must come from [`podium`] or [`cargo_run`], in `folder`. What it logs is added to what
    /// an earlier one of this name has logged there.
    pub(crate) fn start(name: &'static str, mut command: Command, folder: &Folder) -> Self {
        let path = |stream: &str| folder.path().join(format!("{name}.{stream}"));
        let append = |path: &Path| {
            File::options().create(true).append(true).open(path).expect("the folder is new and ours")
        };
        let (stdout, stderr) = (path("stdout"), path("stderr"));
        fs::write(&stdout, "").expect("the folder is new and ours");
        let child = command
            .stdin(Stdio::piped())
            .stdout(append(&stdout))
            .stderr(append(&stderr))
            .spawn()
            .expect("the program exists");
        Self { child, name, stdout, stderr }
    }

    /// What comes after `before` on a line of its standard output, up to the first white space. Waits for it.
    pub(crate) fn announced(&mut self, before: &str) -> String {
        let what = format!("{} says '{before}'", self.name);
        eventually(&what, || {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("{} ended ({status}) before it was ready:\n{}", self.name, self.errors());
            }
            let output = fs::read_to_string(&self.stdout).unwrap_or_default();
            // The last line may be half written.
            let lines = output.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
            let mut found = lines.filter_map(|line| line.split_once(before)?.1.split_whitespace().next());
            found.next().map(str::to_owned).ok_or(output.clone())
        })
    }

    /// Writes a line to its standard input, and returns the line that it answers.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        let before = self.output().len();
        let input = self.child.stdin.as_mut().expect("the input is a pipe and nobody has taken it");
        writeln!(input, "{line}").expect("it reads its input");
        eventually(&format!("{} answers '{line}'", self.name), || {
            let output = self.output();
            output[before..].split_once('\n').map(|(answer, _)| answer.to_owned()).ok_or(output)
        })
    }

    /// Its process.
    pub(crate) fn process(&self) -> Process {
        Process::look(self.pid().as_raw()).expect("it runs")
    }

    /// What it has written to its standard output.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(&self.stdout).unwrap_or_default()
    }

    /// What it, and earlier ones like it, have written to standard error: the log.
    pub(crate) fn errors(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // That it has ended is no error.
        let _ = kill(self.pid(), signal);
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        eventually(&format!("{} ends", self.name), || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err("it runs".to_owned()),
            Err(error) => Err(error.to_string()),
        })
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().expect("process numbers are small"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A child that has been waited for has no number any more that a signal could reach.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            for (stream, text) in [("output", self.output()), ("log", self.errors())] {
                let lines: Vec<_> = text.lines().collect();
                let end = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
                eprintln!("---- {} of {}:\n{}", stream, self.name, end.join("\n"));
            }
        }
    }
}

/// How a program ended that was to end by itself.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// Runs `podium` to its end.
pub fn run(args: &[&str]) -> Outcome {
    run_with(args, &[])
}

/// Runs `podium` to its end, with these variables in its environment.
pub fn run_with(args: &[&str], variables: &[(&str, &str)]) -> Outcome {
    let folder = Folder::new();
    let mut command = podium(&folder);
    command.args(args).envs(variables.iter().copied());
    let mut program = Program::start("podium", command, &folder);
    let status = program.wait();
    Outcome { status, stdout: program.output(), stderr: program.errors() }
}

/// `podium` in an environment that says nothing to it, working in `folder`.
pub(crate) fn podium(folder: &Folder) -> Command {
    let mut command = Command::new(binary());
    command.current_dir(folder.path());
    isolate(&mut command, folder);
    command
}

/// `cargo run --release` in the repository, as a person does it.
pub(crate) fn cargo_run(folder: &Folder) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--release"]).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    // What cargo tells this test about itself makes it build anew what looks at that, which can take minutes.
    let of_test = ["CARGO_PKG_", "CARGO_MANIFEST_"];
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| of_test.iter().any(|start| name.to_string_lossy().starts_with(start))) {
        command.env_remove(name);
    }
    isolate(&mut command, folder);
    command
}

fn isolate(command: &mut Command, folder: &Folder) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PODIUM_")) {
        command.env_remove(name);
    }
    // All that it starts can be found by this, wherever it works.
    command.env("TEST_FOLDER", folder.path()).env("RUST_LOG", "info");
}
