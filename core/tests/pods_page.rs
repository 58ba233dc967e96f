//! Every JSON document of the Pods page is admitted, and this is what becomes of it.
//!
//! `pods_page/` holds the documents as printed, with one correction: the page writes the executor's disk as
//! `10mb`, which is not JSON. Fragments are put into the page's first pod.

use podium_core::admission::{Admitted, Rules, read_pod};
use podium_core::model::ids::Role;
use podium_core::model::pod::PodSpec;
use serde_json::{Value, json};

/// A daemon on which all examples work: some use secrets, some a network without a name.
fn rules() -> Rules {
    Rules { default_network_name: Some("dcos".to_owned()), mesos_role: Role::new("*"), secrets: true }
}

fn admit(json: &Value) -> PodSpec {
    let Admitted { pod, unknown_fields, .. } =
        read_pod(json, &rules()).unwrap_or_else(|rejection| panic!("{rejection}\n{json:#}"));
    assert_eq!(unknown_fields, Vec::<String>::new());
    let stored = serde_json::to_string(&pod).unwrap();
    assert_eq!(serde_json::from_str::<PodSpec>(&stored).unwrap(), pod, "what is stored is what is loaded");
    let again = read_pod(&serde_json::from_str(&stored).unwrap(), &rules()).unwrap();
    assert_eq!(again.pod, pod, "what is answered is accepted without a change");
    pod
}

macro_rules! documents {
    ($($name:ident),* $(,)?) => { $(
        #[test]
        fn $name() {
            let text = include_str!(concat!("pods_page/", stringify!($name), ".json"));
            insta::assert_json_snapshot!(admit(&serde_json::from_str(text).unwrap()));
        }
    )* };
}

documents! {
    all_parameters,
    annotated_simple,
    complete,
    create_response,
    endpoint,
    ephemeral_volumes,
    health_check,
    multiple_containers,
    private_registry,
    quick_start,
    virtual_network,
}

fn fragment(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The page's first pod with the fragments' fields added to it, or to its container.
fn completed(to_pod: &[Value], to_container: &[Value]) -> Value {
    let mut pod: Value = serde_json::from_str(include_str!("pods_page/quick_start.json")).unwrap();
    let merge = |target: &mut Value, fragments: &[Value]| {
        for (name, value) in fragments.iter().flat_map(|fragment| fragment.as_object().unwrap()) {
            target[name] = value.clone();
        }
    };
    merge(&mut pod["containers"][0], to_container);
    merge(&mut pod, to_pod);
    pod
}

#[test]
fn fragment_executor_resources() {
    let pod = admit(&completed(&[fragment(include_str!("pods_page/fragment_executor_resources.json"))], &[]));
    insta::assert_json_snapshot!(pod.executor_resources);
}

#[test]
fn fragment_secrets() {
    let pod = admit(&completed(&[fragment(include_str!("pods_page/fragment_secrets.json"))], &[]));
    insta::assert_json_snapshot!(pod.secrets);
}

#[test]
fn fragment_image() {
    let pod = admit(&completed(&[], &[fragment(include_str!("pods_page/fragment_image.json"))]));
    insta::assert_json_snapshot!(pod.containers[0].image);
}

/// The page mounts a volume `env` where it declares one named `etc`, which cannot be meant.
#[test]
fn fragment_volumes() {
    let volumes = fragment(include_str!("pods_page/fragment_volumes.json"));
    let mut mounts = fragment(include_str!("pods_page/fragment_volume_mounts.json"));
    let as_printed = completed(std::slice::from_ref(&volumes), std::slice::from_ref(&mounts));
    insta::assert_json_snapshot!("fragment_volumes_as_printed", read_pod(&as_printed, &rules()).unwrap_err());

    mounts["volumeMounts"][0]["name"] = json!("etc");
    let pod = admit(&completed(&[volumes], &[mounts]));
    insta::assert_json_snapshot!((pod.volumes, &pod.containers[0].volume_mounts));
}

#[test]
fn fragment_host_volumes() {
    let volumes = fragment(include_str!("pods_page/fragment_host_volumes.json"));
    let mounts = json!({"volumeMounts": [{"name": "local", "mountPath": "/mnt/local"}]});
    let pod = admit(&completed(&[volumes], &[mounts]));
    insta::assert_json_snapshot!(pod.volumes);
}
