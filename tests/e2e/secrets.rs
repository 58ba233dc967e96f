//! Secrets reach the containers that need them, and nobody else.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use podium_tests::{Cluster, Daemon, Folder, eventually};
use serde_json::{Value, json};

use crate::pod::{all_task_ids, container, pod, text};

const VALUE: &str = "Tr0ub4dor-and-3";

/// A folder for secrets.
fn secrets() -> (Folder, String) {
    let folder = Folder::new();
    let path = folder.path().join("secrets");
    fs::create_dir_all(path.join("db")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
    (folder, path.display().to_string())
}

/// A pod that proves that it knows the secret without telling it.
fn secretive() -> Value {
    let prove = r#"printf %s "$PASSWORD" | cksum; cksum < key; echo the end; exec sleep 1000"#;
    let mut definition = pod("/secretive", 1, &[container("main", prove)]);
    definition["secrets"] = json!({ "password": { "source": "/db/password" } });
    definition["containers"][0]["environment"] = json!({ "PASSWORD": { "secret": "password" } });
    definition["volumes"] = json!([{ "name": "file", "secret": "password" }]);
    definition["containers"][0]["volumeMounts"] = json!([{ "name": "file", "mountPath": "key" }]);
    definition
}

/// The files below `folder` that contain the value.
fn files_that_tell(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            found.extend(files_that_tell(&entry.path()));
        } else if kind.is_file() {
            let bytes = fs::read(entry.path()).unwrap_or_default();
            if bytes.windows(VALUE.len()).any(|window| window == VALUE.as_bytes()) {
                found.push(entry.path().display().to_string());
            }
        }
    }
    found
}

#[test]
fn a_container_finds_its_secrets_and_nobody_else_does() {
    let (_folder, path) = secrets();
    fs::write(format!("{path}/db/password"), VALUE).unwrap();
    let cluster = Cluster::start(1);
    let daemon = Daemon::start_with(&["--master", cluster.url(), "--secrets_dir", &path]);
    daemon.create(&secretive());
    let task_id = all_task_ids(&daemon.wait_until_stable("/secretive")).remove(0);
    let sandbox = cluster.folder().sandbox(&task_id).canonicalize().unwrap();
    let output = eventually("it has looked at its secret", || {
        let output = fs::read_to_string(sandbox.join("stdout")).unwrap_or_default();
        if output.contains("the end") { Ok(output) } else { Err(output) }
    });
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[0], lines[1], "variable and file are the same");
    assert!(lines[0].ends_with(&format!(" {}", VALUE.len())), "{output}");

    // Of all that was written down on the way, only the container's own file holds it.
    let own = sandbox.join(".secrets/0").display().to_string();
    let mut found = files_that_tell(&daemon.folder().path());
    found.extend(files_that_tell(&cluster.folder().path()));
    assert_eq!(found, [own]);
    assert!(!daemon.log().contains(VALUE));
    let pages =
        ["/v2/pods", "/v2/pods/secretive", "/v2/pods/secretive::status", "/v2/pods/::status", "/v2/info"];
    for page in pages.into_iter().chain(["/v2/queue", "/v2/deployments", "/v2/groups"]) {
        let answer = daemon.get(page).expect(200).to_string();
        assert!(!answer.contains(VALUE), "{page}: {answer}");
    }
    let state = cluster.state().to_string();
    assert!(state.contains(&task_id) && !state.contains(VALUE), "{state}");
}

#[test]
fn a_pod_waits_for_a_secret_that_is_missing_and_says_so() {
    let (_folder, path) = secrets();
    let daemon = Daemon::start_with(&["--secrets_dir", &path]);
    daemon.create(&secretive());
    let waits = daemon.wait_for_status("/secretive", "it says what it waits for", |status| {
        status["instances"][0]["message"]
            .as_str()
            .filter(|text| text.contains("secret"))
            .map(ToOwned::to_owned)
    });
    assert_eq!(waits, "waits for the secret '/db/password': there is no such secret in the secret store");
    let status = daemon.get("/v2/pods/secretive::status").expect(200);
    assert_eq!(text(&status["instances"][0], "status"), "PENDING");
    assert_eq!(status["terminationHistory"], json!([]), "it has not crashed");
    fs::write(format!("{path}/db/password"), VALUE).unwrap();
    daemon.wait_until_stable("/secretive");
}
