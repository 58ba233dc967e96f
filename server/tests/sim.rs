//! `podium sim` as a person meets it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn podium(args: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_podium"));
    command.arg("sim").args(args).current_dir(folder).stdin(Stdio::null());
    command
}

fn run(args: &[&str], folder: &Path) -> Output {
    podium(args, folder).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn any_number_of_jobs_gives_the_same_account() {
    let folder = tempfile::tempdir().unwrap();
    let account = |jobs| {
        let output = run(&["--seeds", "0..4", "--trace", "--jobs", jobs], folder.path());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let account = text(&output.stdout);
        // How long it took is the only thing that may differ.
        let timeless = account.lines().filter(|line| !line.contains("hours simulated in"));
        timeless.map(str::to_owned).collect::<Vec<_>>()
    };
    let first = account("1");
    assert!(first.last().is_some_and(|line| line.starts_with("digest ")), "{first:?}");
    assert!(first.len() > 400);
    assert_eq!(account("3"), first);
}

#[test]
fn runs_are_compared_with_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let plain = run(&["--seeds", "3..4"], folder.path());
    let checked = run(&["--seeds", "3..4", "--check"], folder.path());
    let digest = |output: &Output| text(&output.stdout).lines().last().map(str::to_owned);
    assert_eq!((checked.status.code(), digest(&checked)), (Some(0), digest(&plain)));
}

#[test]
fn it_ends_when_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&["--minutes", "0.01"], folder.path());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("0 failed"), "{}", text(&output.stdout));
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "nothing failed, nothing is kept");
}

#[test]
fn an_interrupt_ends_it_with_the_summary() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = podium(&["--minutes", "600", "--jobs", "2"], folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.starts_with("seeds from ") && first.ends_with("for 36000s"), "{first}");
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let mut summary = String::new();
    child.stdout.take().unwrap().read_to_string(&mut summary).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(summary.contains(" 0 failed, ") && summary.contains("\ndigest "), "{summary}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (args, words) in [
        (&["--seeds", "5"][..], "0..100"),
        (&["--minutes", "0"], "--minutes 0"),
        (&["--minutes=-1"], "--minutes -1"),
        (&["--minutes", "1", "--seeds", "0..1"], "--seeds"),
        (&["--jobs", "0"], "--jobs"),
        (&["run", "missing.json"], "missing.json"),
    ] {
        let output = run(args, folder.path());
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(words), "{args:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{args:?}: {said}");
    }
}
