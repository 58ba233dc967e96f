//! Start, end, signals and what is reported of them.

use nix::sys::signal::Signal;
use podium_core::model::mesos::{CommandInfo, Image, ImageKind};

use crate::fixture::{Fixture, code, eventually, marker, processes, shell, signal};

#[tokio::test]
async fn the_exit_status_is_reported_exactly() {
    let fixture = Fixture::new();
    assert_eq!(fixture.run("exit 0").await.0, code(0));
    assert_eq!(fixture.run("exit 3").await.0, code(3));
    assert_eq!(fixture.run("exit 255").await.0, code(255));
    assert_eq!(fixture.run("kill -KILL $$").await.0, signal(9));
    assert_eq!(fixture.run("kill -TERM $$").await.0, signal(15));
    // A real-time signal, for which Rust's libraries have no name.
    assert_eq!(fixture.run("kill -40 $$").await.0, signal(40));
    assert_eq!(fixture.run("no-such-command-anywhere").await.0, code(127));
}

#[tokio::test]
async fn output_goes_to_files_in_the_sandbox() {
    let fixture = Fixture::new();
    let (_, stdout, stderr) = fixture.run("echo out; echo err >&2; pwd; echo $MESOS_SANDBOX; cat").await;
    let own = fixture.folder.path().join("containers/c");
    assert_eq!(stdout, format!("out\n{0}\n{0}\n", own.display()));
    assert_eq!(stderr, "err\n");
}

#[tokio::test]
async fn the_sandbox_can_be_found_by_the_task_s_id() {
    let fixture = Fixture::new();
    fixture.run("echo here").await;
    let stdout = fixture.folder.path().join("tasks/c/stdout");
    assert_eq!(std::fs::read_to_string(stdout).unwrap(), "here\n");
}

#[tokio::test]
async fn signals_reach_a_trap() {
    let fixture = Fixture::new();
    let mut launched =
        fixture.start("trap 'echo trapped; exit 7' TERM; echo ready; while :; do sleep 1; done").await;
    launched.prints("ready").await;
    launched.container.signal(Signal::SIGTERM);
    assert_eq!(launched.exited().await, code(7));
    assert_eq!(launched.stdout(), "ready\ntrapped\n");
}

#[tokio::test]
async fn a_deaf_process_ends_by_kill_only() {
    let fixture = Fixture::new();
    let mut launched = fixture.start("trap 'echo deaf' TERM; echo ready; while :; do sleep 0.01; done").await;
    launched.prints("ready").await;
    launched.container.signal(Signal::SIGTERM);
    launched.prints("deaf").await;
    launched.container.kill();
    assert_eq!(launched.exited().await, signal(9));
}

#[tokio::test]
async fn signals_go_to_the_whole_group_and_not_beyond() {
    let fixture = Fixture::new();
    let mark = marker();
    let mut other = fixture.launch(shell("other", &format!("sleep {mark} & wait")));
    other.started().await;
    // The child ends only when it is told to, and its parent only after it.
    let child = "trap 'touch told; exit' TERM; echo ready; while :; do sleep 0.01; done";
    let parent = "trap 'while [ ! -e told ]; do sleep 0.01; done; exit 6' TERM; wait";
    let mut launched = fixture.start(&format!("sh -c \"{child}\" & {parent}")).await;
    launched.prints("ready").await;
    launched.container.signal(Signal::SIGTERM);
    assert_eq!(launched.exited().await, code(6));
    assert_eq!(processes(&format!("sleep\0{mark}")).len(), 1);
    other.container.kill();
    other.exited().await;
}

#[tokio::test]
async fn programs_start_with_clean_signals() {
    // A reader that goes away: with SIGPIPE ignored, as Rust programs have it, `yes` would complain.
    let fixture = Fixture::new();
    let (status, _, stderr) = fixture.run("(yes; echo $? >&2) | head -1").await;
    assert_eq!((status, stderr.as_str()), (code(0), "141\n"));
    let (_, masks, _) = fixture.run("grep -E 'SigBlk|SigIgn' /proc/self/status").await;
    for line in masks.lines() {
        let mask = u64::from_str_radix(line.split_once(":\t").unwrap().1, 16).unwrap();
        // Above 31 there are the real-time signals, of which the C library keeps some for itself.
        assert_eq!(mask & 0x7fff_ffff, 0, "{line}");
    }
}

#[tokio::test]
async fn nothing_of_the_daemon_s_environment_leaks_but_the_path() {
    let (_, text, _) = Fixture::new().run("env").await;
    let mut names = text.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect::<Vec<_>>();
    names.sort_unstable();
    names.retain(|name| !matches!(*name, "_" | "SHLVL" | "OLDPWD")); // the shell's own
    assert_eq!(
        names,
        ["MESOS_ALLOCATION_ROLE", "MESOS_CONTAINER_IP", "MESOS_SANDBOX", "MESOS_TASK_ID", "PATH", "PWD"]
    );
}

#[tokio::test]
async fn no_file_of_the_daemon_leaks() {
    let (_, files, _) = Fixture::new().run("ls /proc/$$/fd").await;
    assert_eq!(files, "0\n1\n2\n");
}

fn argv(name: &str, arguments: &[&str]) -> podium_core::model::mesos::TaskInfo {
    let mut task = shell(name, "");
    task.command = Some(CommandInfo {
        shell: false,
        value: None,
        arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
        ..task.command.unwrap()
    });
    task
}

#[tokio::test]
async fn an_argv_is_run_without_a_shell() {
    let fixture = Fixture::new();
    let mut launched = fixture.launch(argv("argv", &["echo", "$HOME", "a  b"]));
    launched.started().await;
    assert_eq!(launched.exited().await, code(0));
    assert_eq!(launched.stdout(), "$HOME a  b\n");
    assert_eq!(
        fixture.refused(argv("missing", &["no-such-program", "x"])).await,
        "Failed to launch the container: cannot run 'no-such-program': ENOENT: No such file or directory"
    );
    assert_eq!(
        fixture.refused(argv("folder", &["/etc"])).await,
        "Failed to launch the container: cannot run '/etc': EACCES: Permission denied"
    );
}

#[tokio::test]
async fn an_image_is_refused_with_what_can_run_it() {
    let mut task = shell("image", "sleep 1000");
    task.container.as_mut().unwrap().image = Some(Image {
        kind: ImageKind::Docker,
        name: "python:3.5.2-alpine".to_owned(),
        pull_config: None,
        cached: None,
        labels: Vec::new(),
    });
    assert_eq!(
        Fixture::new().refused(task).await,
        "Container image 'python:3.5.2-alpine': the embedded cluster runs plain processes and cannot run container \
         images. A Mesos agent with the isolators filesystem/linux and docker/runtime and an image provider can: start \
         podium with --master http://HOST:PORT of its master"
    );
}

#[tokio::test]
async fn without_a_command_there_is_nothing_to_run() {
    let mut task = shell("empty", "");
    task.command = None;
    assert_eq!(
        Fixture::new().refused(task).await,
        "No command: without a container image there is no entry point, so 'exec' must say what to run"
    );
}

#[tokio::test]
async fn dropping_the_handle_kills() {
    let fixture = Fixture::new();
    let mark = marker();
    let launched = fixture.start(&format!("sleep {mark}")).await;
    eventually("it runs", || !processes(&mark).is_empty()).await;
    drop(launched.container);
    fixture.runtime.wait().await;
    assert!(processes(&mark).is_empty());
}
