//! Definitions to start from.

use podium_core::admission::Rules;
use podium_core::model::ids::Role;
use serde_json::{Value, json};

/// A daemon that allows everything.
pub(crate) fn rules() -> Rules {
    Rules { default_network_name: Some("dcos".to_owned()), mesos_role: Role::new("*"), secrets: true }
}

/// The least that is a pod.
pub(crate) fn minimal() -> Value {
    json!({"id": "/p", "containers": [{"name": "a", "resources": {}}]})
}

/// Every field of the schema, each with a value that is not its default.
pub(crate) fn complete() -> Value {
    json!({
        "id": "/dev/team/everything",
        "version": "2017-01-03T18:21:19.31Z",
        "labels": {"owner": "zeus", "": ""},
        "user": "root",
        "environment": {"PLAIN": "x", "_s3cret": {"secret": "key"}},
        "containers": [
            {
                "name": "web",
                "exec": {"command": {"argv": ["nginx", "-g", ""]}, "overrideEntrypoint": true},
                "resources": {"cpus": 0.25, "mem": 64.5, "disk": 7, "gpus": 1},
                "resourceLimits": {"cpus": "unlimited", "mem": 128.125},
                "endpoints": [
                    {
                        "name": "http",
                        "containerPort": 8080,
                        "hostPort": 31000,
                        "protocol": ["tcp", "UDP"],
                        "labels": {"VIP_0": "/web:80"},
                        "networkNames": ["blue", "blue"],
                    },
                    {"name": "admin", "containerPort": 8081},
                ],
                "image": {
                    "kind": "docker",
                    "id": "nginx:1",
                    "pullConfig": {"secret": "key"},
                    "forcePull": false,
                    "labels": {"a": "b"},
                },
                "environment": {"PLAIN": ""},
                "user": "www",
                "healthCheck": {
                    "http": {"endpoint": "http", "path": "/health", "scheme": "https"},
                    "gracePeriodSeconds": 1,
                    "intervalSeconds": 10,
                    "maxConsecutiveFailures": 0,
                    "timeoutSeconds": 9,
                    "delaySeconds": 4,
                },
                "volumeMounts": [
                    {"name": "scratch", "mountPath": "/scratch", "readOnly": true},
                    {"name": "etc", "mountPath": "etc"},
                    {"name": "key", "mountPath": "/run/key"},
                ],
                "artifacts": [
                    {"uri": "https://example.com/a.tgz", "extract": false, "executable": true, "cache": true, "destPath": "a"},
                ],
                "labels": {"tier": "front"},
                "lifecycle": {"killGracePeriodSeconds": 2.5},
                "linuxInfo": {
                    "seccomp": {"profileName": "strict", "unconfined": false},
                    "ipcInfo": {"mode": "private", "shmSize": 16},
                },
                "tty": true,
            },
            {
                "name": "side",
                "exec": {"command": {"shell": ""}},
                "resources": {},
                "image": {"kind": "APPC", "id": "example.com/app"},
                "healthCheck": {"exec": {"command": {"argv": ["true"]}}},
                "linuxInfo": {"seccomp": {"unconfined": true}, "ipcInfo": {"mode": "SHARE_PARENT"}},
            },
        ],
        "secrets": {"key": {"source": "/path/to/key"}},
        "volumes": [
            {"name": "scratch"},
            {"name": "etc", "host": "/etc"},
            {"name": "key", "secret": "key"},
        ],
        "networks": [
            {"mode": "container", "name": "blue", "labels": {"a": "b"}},
            {"mode": "CONTAINER"},
        ],
        "scaling": {"kind": "fixed", "instances": 3, "maxInstances": 5},
        "scheduling": {
            "backoff": {"backoff": 0.5, "backoffFactor": 2, "maxLaunchDelay": 60.125},
            "upgrade": {"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0.25},
            "placement": {
                "constraints": [
                    {"fieldName": "@hostname", "operator": "unique"},
                    {"fieldName": "rack", "operator": "LIKE", "value": "rack-[12]"},
                    ["zone", "GROUP_BY", "3"],
                ],
                "acceptedResourceRoles": ["*", "dev", "*"],
            },
            "killSelection": "Oldest_First",
            "unreachableStrategy": {"inactiveAfterSeconds": 60, "expungeAfterSeconds": 120},
        },
        "executorResources": {"cpus": 0.2, "mem": 48, "disk": 11},
        "role": "dev",
        "linuxInfo": {"ipcInfo": {"mode": "PRIVATE", "shmSize": 8}},
        "legacySharedCgroups": false,
    })
}

/// A pod with a persistent volume.
pub(crate) fn resident() -> Value {
    json!({
        "id": "/db",
        "role": "db",
        "containers": [{"name": "a", "resources": {}, "volumeMounts": [{"name": "data", "mountPath": "data"}]}],
        "volumes": [{"name": "data", "persistent": {"size": 1024}}],
    })
}

/// `pod` with the value at the JSON pointer replaced, or added; `null` stays `null`.
pub(crate) fn with(mut pod: Value, pointer: &str, value: Value) -> Value {
    let mut target = &mut pod;
    for step in pointer.split('/').skip(1) {
        target = match step.parse::<usize>() {
            Ok(index) if target.is_array() => {
                let items = target.as_array_mut().expect("it is one");
                items.resize(items.len().max(index + 1), Value::Null);
                &mut items[index]
            }
            _ => &mut target[step],
        };
    }
    *target = value;
    pod
}
