//! Nothing that a container started is left behind, however it ends.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fixture::{Fixture, SUPERVISOR, code, eventually, marker, processes, shell, signal};

/// Starts three sleepers: one in the group, one in a session of its own, one that has forked twice. All carry the
/// mark; then does `last`.
fn sleepers(mark: &str, last: &str) -> String {
    format!(
        "sleep {mark} & setsid sleep {mark} & (setsid sh -c 'sleep {mark} & sleep {mark}' &) ; echo ready; {last}"
    )
}

const SLEEPERS: usize = 4;

fn sleeping(mark: &str) -> usize {
    processes(&format!("sleep\0{mark}")).len()
}

#[tokio::test]
async fn descendants_do_not_outlive_the_first_process() {
    let fixture = Fixture::new();
    let mark = marker();
    let mut launched =
        fixture.start(&sleepers(&mark, "while [ ! -e done ]; do sleep 0.01; done; exit 5")).await;
    eventually("all sleep", || sleeping(&mark) == SLEEPERS).await;
    std::fs::write(launched.sandbox.join("done"), "").unwrap();
    assert_eq!(launched.exited().await, code(5));
    assert!(processes(&mark).is_empty());
}

#[tokio::test]
async fn kill_reaches_every_descendant() {
    let fixture = Fixture::new();
    let mark = marker();
    let mut launched = fixture.start(&sleepers(&mark, "wait")).await;
    eventually("all sleep", || sleeping(&mark) == SLEEPERS).await;
    launched.container.kill();
    assert_eq!(launched.exited().await, signal(9));
    assert!(processes(&mark).is_empty());
}

#[tokio::test]
async fn a_process_that_never_stops_forking_is_caught() {
    let fixture = Fixture::new();
    let mark = marker();
    // Each generation starts the next one in a new session and ends.
    let fork = format!("f() {{ setsid sh -c \"$0\" \"$0\" {mark} & }}; f");
    let mut launched = fixture.start(&format!("sh -c '{fork}' '{fork}' {mark}; exec sleep {mark}")).await;
    eventually("it forks", || !processes(&mark).is_empty()).await;
    launched.container.kill();
    assert_eq!(launched.exited().await, signal(9));
    assert!(processes(&mark).is_empty());
}

#[tokio::test]
async fn a_killed_supervisor_takes_its_container_along() {
    let fixture = Fixture::new();
    let mark = marker();
    let mut task = shell("c", &format!("sleep {mark} & sleep {mark}"));
    task.task_id = format!("task-{mark}").into();
    let mut launched = fixture.launch(task);
    launched.started().await;
    eventually("both sleep", || sleeping(&mark) == 2).await;
    let supervisors = processes(&format!("__container\0task-{mark}"));
    assert_eq!(supervisors.len(), 1);
    kill(Pid::from_raw(supervisors[0].cast_signed()), Signal::SIGKILL).unwrap();
    assert_eq!(launched.exited().await, signal(9));
    eventually("all are gone", || processes(&mark).is_empty()).await;
}

#[tokio::test]
async fn a_killed_daemon_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mark = marker();
    let mut daemon = Command::new(SUPERVISOR)
        .arg("container")
        .arg(folder.path())
        .arg(sleepers(&mark, &format!("trap '' TERM HUP; sleep {mark}")))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "started\n");
    eventually("all sleep", || sleeping(&mark) == SLEEPERS + 1).await;
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    eventually("all are gone", || processes(&mark).is_empty()).await;
    // Nor is there a supervisor left, which would carry the folder in its environment or command line no more than
    // this, so look for its open files.
    eventually("no process has a file of the sandbox open", || {
        let sandbox = folder.path().to_str().unwrap();
        !std::fs::read_dir("/proc").unwrap().flatten().any(|process| {
            std::fs::read_dir(process.path().join("fd")).is_ok_and(|files| {
                files.flatten().any(|file| {
                    std::fs::read_link(file.path()).is_ok_and(|target| target.starts_with(sandbox))
                })
            })
        })
    })
    .await;
}

#[tokio::test]
async fn killing_by_name_spares_the_supervisors() {
    let fixture = Fixture::new();
    let mark = marker();
    let mut task = shell("c", "sleep 1000");
    task.task_id = format!("task-{mark}").into();
    let mut launched = fixture.launch(task);
    launched.started().await;
    for pid in processes(&format!("task-{mark}")) {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
        assert_eq!(name, "pod-supervisor\n");
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        assert_eq!(line, format!("pod-supervisor\0__container\0task-{mark}\0"));
    }
    launched.container.kill();
    launched.exited().await;
}
