//! Volumes and users.

use podium_core::model::mesos::{TaskInfo, Volume, VolumeSource};

use podium_sim::cluster::ProbeResult;

use crate::fixture::{Fixture, code, is_root, shell};

fn with_volume(mut task: TaskInfo, container_path: &str, source: VolumeSource, read_only: bool) -> TaskInfo {
    let volume = Volume { container_path: container_path.to_owned(), read_only, source };
    task.container.get_or_insert_default().volumes.push(volume);
    task
}

fn ephemeral() -> VolumeSource {
    VolumeSource::SandboxParent("volumes/v1".to_owned())
}

#[tokio::test]
async fn one_container_reads_what_another_writes() {
    let fixture = Fixture::new();
    let writer = "while true; do echo the current time is $(date) > ./jdef-v1/clock; sleep 0.05; done";
    let reader = "while true; do cat ./etc/clock; sleep 0.05; done";
    let mut writer = fixture.launch(with_volume(shell("ct1", writer), "jdef-v1", ephemeral(), false));
    let mut reader = fixture.launch(with_volume(shell("ct2", reader), "etc", ephemeral(), false));
    writer.started().await;
    reader.started().await;
    reader.prints("the current time is").await;
    for mut launched in [writer, reader] {
        launched.container.kill();
        launched.exited().await;
    }
}

#[tokio::test]
async fn a_host_folder_appears_in_the_sandbox() {
    let fixture = Fixture::new();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in"), "from outside\n").unwrap();
    let source = VolumeSource::HostPath(folder.path().to_str().unwrap().to_owned());
    let task = with_volume(shell("c", "cat data/in; echo inside > data/out"), "data", source, false);
    let mut launched = fixture.launch(task);
    launched.started().await;
    assert_eq!(launched.exited().await, code(0));
    assert_eq!(launched.stdout(), "from outside\n");
    assert_eq!(std::fs::read_to_string(folder.path().join("out")).unwrap(), "inside\n");
}

#[tokio::test]
async fn an_absolute_path_is_mounted_for_root_and_refused_to_others() {
    let fixture = Fixture::new();
    // Under the temporary folder, so that the mount point leaves nothing behind elsewhere.
    let target = fixture.folder.path().join("mnt/etc");
    let path = target.to_str().unwrap();
    let write = format!("echo shared > {path}/file && cat {path}/file");
    let task = with_volume(shell("c", &write), path, ephemeral(), false);
    if !is_root() {
        let message = fixture.refused(task).await;
        assert!(message.contains("at an absolute path only when it runs as root"), "{message}");
        return;
    }
    let mut launched = fixture.launch(task);
    launched.started().await;
    assert_eq!(launched.exited().await, code(0));
    assert_eq!(launched.stdout(), "shared\n");
    assert_eq!(std::fs::read_to_string(fixture.folder.path().join("volumes/v1/file")).unwrap(), "shared\n");
    assert!(!target.join("file").exists(), "the mount shows in the container only");
}

#[tokio::test]
async fn read_only_means_read_only_for_root_and_is_noted_for_others() {
    let fixture = Fixture::new();
    let mut writer = fixture.launch(with_volume(shell("w", "echo x > v/x"), "v", ephemeral(), false));
    writer.started().await;
    assert_eq!(writer.exited().await, code(0));
    let task = with_volume(shell("r", "cat v/x; echo y > v/y"), "v", ephemeral(), true);
    let mut launched = fixture.launch(task);
    launched.started().await;
    let status = launched.exited().await;
    assert_eq!(launched.stdout(), "x\n");
    let errors = std::fs::read_to_string(launched.sandbox.join("stderr")).unwrap();
    if is_root() {
        assert_ne!(status, code(0));
        assert!(errors.contains("Read-only file system"), "{errors}");
    } else {
        assert_eq!(status, code(0));
        assert!(errors.contains("The volume at 'v' is writable"), "{errors}");
    }
}

#[tokio::test]
async fn a_check_sees_the_container_s_mounts() {
    if !is_root() {
        return; // Others have no mounts.
    }
    let fixture = Fixture::new();
    let path = fixture.folder.path().join("mnt").to_str().unwrap().to_owned();
    let command = format!("echo x > {path}/file; echo ready; sleep 1000");
    let mut launched = fixture.launch(with_volume(shell("c", &command), &path, ephemeral(), false));
    launched.started().await;
    launched.prints("ready").await;
    let check = shell("check", &format!("test -e {path}/file")).command.unwrap();
    let probe = podium_core::model::mesos::Probe::Command(check);
    assert_eq!(launched.container.probe(&probe).await, ProbeResult::Command(0));
    launched.container.kill();
    launched.exited().await;
}

fn as_user(mut task: TaskInfo, user: &str) -> TaskInfo {
    task.command.as_mut().unwrap().user = Some(user.to_owned());
    task
}

#[tokio::test]
async fn a_container_runs_as_its_user() {
    let fixture = Fixture::new();
    let task = shell("c", "id -un; id -Gn; echo x > own-file && echo written");
    if !is_root() {
        let message = fixture.refused(as_user(task, "root")).await;
        assert!(message.contains("only root can switch to another user"), "{message}");
        return;
    }
    let mut launched = fixture.launch(as_user(task, "nobody"));
    launched.started().await;
    assert_eq!(launched.exited().await, code(0));
    let groups =
        String::from_utf8(std::process::Command::new("id").args(["-Gn", "nobody"]).output().unwrap().stdout);
    assert_eq!(launched.stdout(), format!("nobody\n{}written\n", groups.unwrap()));
}

#[tokio::test]
async fn an_unknown_user_is_refused() {
    assert_eq!(
        Fixture::new().refused(as_user(shell("c", "true"), "no-such-user")).await,
        "User 'no-such-user' does not exist on this machine"
    );
}
