//! Every JSON document of the Pods page is admitted, and this is what becomes of it.

#[path = "pods_page/corpus.rs"]
mod corpus;

use podium_core::admission::{Admitted, Rules, read_pod};
use podium_core::model::ids::Role;
use podium_core::model::pod::PodSpec;
use serde_json::Value;

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

#[test]
fn pods() {
    for (name, text) in corpus::PODS {
        insta::assert_json_snapshot!(name, admit(&serde_json::from_str(text).unwrap()));
    }
}

#[test]
fn fragments() {
    for (name, json) in corpus::completed_fragments() {
        let pod = admit(&json);
        let name = format!("fragment_{name}");
        match name.as_str() {
            "fragment_executor_resources" => insta::assert_json_snapshot!(name, pod.executor_resources),
            "fragment_secrets" => insta::assert_json_snapshot!(name, pod.secrets),
            "fragment_image" => insta::assert_json_snapshot!(name, pod.containers[0].image),
            "fragment_volumes" => {
                insta::assert_json_snapshot!(name, (pod.volumes, &pod.containers[0].volume_mounts));
            }
            _ => insta::assert_json_snapshot!(name, pod.volumes),
        }
    }
}

#[test]
fn volumes_as_printed() {
    let refused = read_pod(&corpus::volumes_as_printed(), &rules()).unwrap_err();
    insta::assert_json_snapshot!("fragment_volumes_as_printed", refused);
}
