//! The JSON documents of the Pods page, in its order, as printed. Fragments become whole in the page's first pod.
//!
//! The page itself gets two things wrong: it writes the executor's disk as `10mb`, which is not JSON, and it mounts a
//! volume `env` where it declares one named `etc`. Both are here as they must be meant, and as printed.

use serde_json::Value;

macro_rules! document {
    ($name:literal) => {
        ($name, include_str!(concat!($name, ".json")))
    };
}

/// Whole pods, by name.
pub(crate) const PODS: [(&str, &str); 11] = [
    document!("quick_start"),
    document!("private_registry"),
    document!("create_response"),
    document!("annotated_simple"),
    document!("all_parameters"),
    document!("multiple_containers"),
    document!("ephemeral_volumes"),
    document!("virtual_network"),
    document!("endpoint"),
    document!("health_check"),
    document!("complete"),
];

/// Pods around the fragments, by name.
pub(crate) fn completed_fragments() -> [(&'static str, Value); 5] {
    let mounts = include_str!("fragment_volume_mounts.json").replace("\"env\"", "\"etc\"");
    let mount = r#"{"volumeMounts": [{"name": "local", "mountPath": "/mnt/local"}]}"#;
    [
        ("executor_resources", completed(EXECUTOR_RESOURCES, "{}")),
        ("secrets", completed(include_str!("fragment_secrets.json"), "{}")),
        ("volumes", completed(include_str!("fragment_volumes.json"), &mounts)),
        ("host_volumes", completed(include_str!("fragment_host_volumes.json"), mount)),
        ("image", completed("{}", include_str!("fragment_image.json"))),
    ]
}

/// The pod with the volume that is mounted under another name.
pub(crate) fn volumes_as_printed() -> Value {
    completed(include_str!("fragment_volumes.json"), include_str!("fragment_volume_mounts.json"))
}

/// The text with an amount that is no number.
#[allow(dead_code, reason = "what is not JSON does not get as far as to the core")]
pub(crate) fn executor_resources_as_printed() -> String {
    EXECUTOR_RESOURCES.replace("\"disk\": 10", "\"disk\": 10mb")
}

const EXECUTOR_RESOURCES: &str = include_str!("fragment_executor_resources.json");

/// The page's first pod with fields added to it, and to its container.
fn completed(to_pod: &str, to_container: &str) -> Value {
    let parse = |text: &str| -> Value { serde_json::from_str(text).expect("the documents are JSON") };
    let (_, quick_start) = PODS[0];
    let mut pod = parse(quick_start);
    for (target, fragment) in [("/containers/0", to_container), ("", to_pod)] {
        let target = pod.pointer_mut(target).expect("the pod has a container");
        for (name, value) in parse(fragment).as_object().expect("fragments are objects") {
            target[name] = value.clone();
        }
    }
    pod
}
