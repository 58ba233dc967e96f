//! What is refused, and how it is said. The snapshots list each mistake with the answer to it.

use std::fmt::Write as _;

use podium_core::admission::{Rejection, Rules, check_role, read_pod};
use podium_core::model::ids::Role;
use serde_json::{Value, json};

use crate::sample::{complete, minimal, resident, rules, with};

fn refusal(pod: &Value, rules: &Rules) -> Rejection {
    match read_pod(pod, rules) {
        Ok(admitted) => {
            panic!("this should have been refused:\n{:#}", serde_json::to_value(&admitted.pod).unwrap())
        }
        Err(rejection) => rejection,
    }
}

/// One line per mistake, below it the answer.
fn tell(mistakes: impl IntoIterator<Item = (&'static str, Value)>, base: &Value, rules: &Rules) -> String {
    let mut story = String::new();
    for (pointer, value) in mistakes {
        let Rejection { message, details } = refusal(&with(base.clone(), pointer, value.clone()), rules);
        let shown: String = value.to_string().chars().take(100).collect();
        writeln!(story, "{pointer} = {shown}\n    {message}").unwrap();
        for detail in details {
            for error in detail.errors {
                writeln!(story, "    {}: {error}", detail.path).unwrap();
            }
        }
    }
    story
}

#[test]
fn what_cannot_be_read() {
    let long = "x".repeat(2000);
    let story = tell(
        [
            ("", json!(null)),
            ("", json!([])),
            ("", json!({})),
            ("/id", json!(null)),
            ("/id", json!(7)),
            ("/version", json!("yesterday")),
            ("/version", json!(5)),
            ("/labels", json!(["a"])),
            ("/labels", json!({"a": 1, "b": null, "c": {}})),
            ("/user", json!(0)),
            (
                "/environment",
                json!({"1A": "x", "": "x", "A-B": "x", "OK": 3, "NO": null, "SECRET": {}, "S": {"secret": ""}}),
            ),
            ("/containers", json!(null)),
            ("/containers", json!([])),
            ("/containers", json!({})),
            ("/containers", json!([null, "a", {}])),
            ("/containers/0/name", json!("Sleep_1")),
            ("/containers/0/name", json!("-")),
            ("/containers/0/name", json!("")),
            ("/containers/0/name", json!("a".repeat(64))),
            ("/containers/0/resources", json!(null)),
            ("/containers/0/resources", json!({"cpus": 0, "mem": -1, "disk": -0.5, "gpus": 1.5})),
            ("/containers/0/resources", json!({"cpus": 1e308, "mem": "1", "disk": true, "gpus": 1e20})),
            ("/containers/0/resources", json!({"cpus": 1e-9, "mem": u64::MAX, "disk": i64::MIN, "gpus": -1})),
            ("/containers/0/resourceLimits", json!({"cpus": true, "mem": -1})),
            ("/containers/0/exec", json!({})),
            ("/containers/0/exec", json!({"command": {}, "overrideEntrypoint": "yes"})),
            ("/containers/0/exec", json!({"command": {"shell": 1}})),
            ("/containers/0/exec", json!({"command": {"argv": []}})),
            ("/containers/0/exec", json!({"command": {"argv": ["a", 1]}})),
            ("/containers/0/endpoints", json!([{}])),
            (
                "/containers/0/endpoints",
                json!([{"name": "e", "containerPort": 0, "hostPort": 65536, "protocol": []}]),
            ),
            (
                "/containers/0/endpoints",
                json!([{"name": "e", "containerPort": "80", "hostPort": -1, "protocol": "tcp"}]),
            ),
            ("/containers/0/image", json!({})),
            ("/containers/0/image", json!({"kind": "RKT", "id": long, "pullConfig": {}, "forcePull": 1})),
            (
                "/containers/0/healthCheck",
                json!({"http": {"scheme": "ftp", "path": ""}, "delaySeconds": -1, "timeoutSeconds": 1.5}),
            ),
            ("/containers/0/volumeMounts", json!([{"mountPath": "", "readOnly": "no"}])),
            ("/containers/0/artifacts", json!([{"destPath": "", "cache": 0}])),
            ("/containers/0/lifecycle", json!({"killGracePeriodSeconds": 1e300})),
            ("/containers/0/linuxInfo", json!({"seccomp": true, "ipcInfo": {"shmSize": -1}})),
            ("/containers/0/tty", json!("true")),
            ("/secrets", json!({"a": {}, "b": {"source": ""}, "c": "/path"})),
            ("/volumes", json!([{}, "data", {"name": "Data"}])),
            ("/volumes", json!([{"name": "p", "persistent": {"type": "tape", "maxSize": -1}}])),
            ("/volumes", json!([{"name": "s", "secret": ""}, {"name": "h", "host": 1}])),
            ("/networks", json!([{"mode": "bridge", "name": "My Network"}])),
            ("/networks", json!({"mode": "host"})),
            ("/scaling", json!(3)),
            ("/scaling", json!({"kind": "auto", "instances": "3", "maxInstances": 3_000_000_000_u32})),
            ("/scheduling", json!({"killSelection": "RANDOM", "unreachableStrategy": "off"})),
            (
                "/scheduling",
                json!({"unreachableStrategy": {"inactiveAfterSeconds": -1, "expungeAfterSeconds": 1e30}}),
            ),
            (
                "/scheduling",
                json!({"backoff": {"backoff": -1, "backoffFactor": 1e308, "maxLaunchDelay": "1h"}}),
            ),
            ("/scheduling", json!({"upgrade": {"minimumHealthCapacity": 1.01, "maximumOverCapacity": -0.1}})),
            ("/scheduling", json!({"unreachableStrategy": {"onReturn": "YOUNGEST_FIRST"}})),
            ("/scheduling", json!({"backoff": {"failingAgents": {"failures": 0}}})),
            ("/scheduling", json!({"upgrade": {"deadline": {}}})),
            ("/scheduling", json!({"upgrade": {"deadline": {"seconds": 0, "action": "PAUSE"}}})),
            (
                "/scheduling",
                json!({"placement": {"constraints": [{}, ["a"], ["a", "IS", "b", "c"], ["a", "NEAR"], [1, 2, 3], "a"]}}),
            ),
            (
                "/scheduling",
                json!({"placement": {"constraints": [{"fieldName": "a", "operator": "MAX_PER", "value": 3}]}}),
            ),
            ("/scheduling", json!({"placement": {"acceptedResourceRoles": "*"}})),
            ("/executorResources", json!({"cpus": 0.05, "mem": 31, "disk": 9.99})),
            ("/role", json!("")),
            ("/linuxInfo", json!({"ipcInfo": {}})),
            ("/legacySharedCgroups", json!("true")),
        ],
        &minimal(),
        &rules(),
    );
    insta::assert_snapshot!(story);
}

#[test]
fn what_is_against_a_rule() {
    let base = with(complete(), "/networks", json!([{"mode": "container", "name": "blue"}]));
    let story = tell(
        [
            ("/id", json!("everything")),
            ("/id", json!("/")),
            ("/id", json!("/dev/Team")),
            ("/id", json!("/dev/../p")),
            ("/id", json!("/dev/versions")),
            ("/id", json!(format!("/{}", "a".repeat(200)))),
            ("/user", json!("")),
            ("/environment", json!({"A": {"secret": "nothing"}})),
            ("/secrets", json!({"key": {"source": "/key"}, "": {"source": "/x"}})),
            ("/scaling", json!({"kind": "fixed", "instances": -1})),
            ("/scaling", json!({"instances": 6, "maxInstances": 5})),
            ("/scaling", json!({"instances": 2_000_000_000})),
            ("/linuxInfo", json!({"seccomp": {}})),
            ("/linuxInfo", json!({"ipcInfo": {"mode": "SHARE_PARENT", "shmSize": 1}})),
            ("/legacySharedCgroups", json!(true)),
            ("/volumes/0", json!({"name": "scratch", "hots": "/etc"})),
            ("/volumes/0", json!({"name": "scratch", "host": "/etc", "secret": "key"})),
            ("/volumes/0", json!({"name": "scratch", "secret": "nothing"})),
            (
                "/volumes/0",
                json!({"name": "scratch", "persistent": {"size": 1, "constraints": [["path", "IS", "x"]]}}),
            ),
            (
                "/volumes/0",
                json!({"name": "scratch", "persistent": {"size": 1, "constraints": [["path", "LIKE", "("]]}}),
            ),
            ("/volumes/1", json!({"name": "scratch"})),
            ("/volumes/1", json!({"name": "unmounted"})),
            ("/containers/1/name", json!("web")),
            ("/containers/0/user", json!("")),
            ("/containers/0/resourceLimits", json!({"cpus": 0.2, "mem": "infinite"})),
            ("/containers/0/image/pullConfig/secret", json!("nothing")),
            ("/containers/0/environment", json!({"A": {"secret": "nothing"}})),
            ("/containers/0/volumeMounts/0/name", json!("nothing")),
            ("/containers/0/linuxInfo", json!({"seccomp": {"profileName": "strict", "unconfined": true}})),
            ("/containers/0/linuxInfo", json!({"seccomp": {}})),
            ("/containers/0/linuxInfo", json!({"ipcInfo": {"mode": "SHARE_PARENT", "shmSize": 1}})),
            ("/containers/0/endpoints/0/networkNames", json!(["blue", "red"])),
            ("/containers/0/endpoints/0/protocol", json!(["tcp", "tcp"])),
            ("/containers/0/endpoints/0/containerPort", json!(null)),
            ("/containers/0/endpoints/0/containerPort", json!(8081)),
            ("/containers/0/endpoints/1/name", json!("http")),
            ("/containers/0/endpoints/1/hostPort", json!(31000)),
            ("/containers/0/healthCheck", json!({"intervalSeconds": 20, "tcp": {"endpoint": "http"}})),
            ("/containers/0/healthCheck", json!({})),
            ("/containers/0/healthCheck", json!({"tcp": {"endpoint": "http"}, "http": {"endpoint": "http"}})),
            ("/containers/0/healthCheck/http", json!({"endpoint": "other", "path": "health"})),
            ("/containers/1/healthCheck", json!({"tcp": {"endpoint": "http"}})),
            ("/containers/1/healthCheck", json!({"exec": {"command": {"shell": ""}}})),
            (
                "/scheduling/unreachableStrategy",
                json!({"inactiveAfterSeconds": 61, "expungeAfterSeconds": 60}),
            ),
            (
                "/scheduling/placement/acceptedResourceRoles",
                json!(["*", "prod", "", "..", "-a", "a b", "a/b"]),
            ),
        ],
        &base,
        &rules(),
    );
    insta::assert_snapshot!(story);
}

#[test]
fn constraints() {
    let cases = [
        json!({"fieldName": "", "operator": "UNIQUE"}),
        json!(["rack", "UNIQUE", "1"]),
        json!(["rack", "GROUP_BY", "two"]),
        json!(["rack", "GROUP_BY", "99999999999"]),
        json!(["rack", "MAX_PER"]),
        json!(["rack", "MAX_PER", "1.5"]),
        json!(["rack", "LIKE"]),
        json!(["rack", "UNLIKE", ""]),
        json!(["rack", "LIKE", "rack-(1"]),
        json!(["rack", "LIKE", "*"]),
        json!(["rack", "IS", "a b"]),
    ];
    let cases = cases.map(|constraint| ("/scheduling", json!({"placement": {"constraints": [constraint]}})));
    let story = tell(cases, &minimal(), &rules());
    insta::assert_snapshot!(story);
}

#[test]
fn networks() {
    let blue = json!({"name": "blue"});
    let endpoint = json!([{"name": "e", "containerPort": 80}]);
    let cases = [
        json!([{"mode": "host", "name": "blue"}]),
        json!([{"mode": "host", "labels": {"a": "b"}}]),
        json!([{"mode": "container/bridge", "name": "blue"}]),
        json!([blue, blue]),
        json!([{}, {}]),
        json!([{}, {"name": "dcos"}]),
        json!([{"mode": "host"}, {"mode": "host"}]),
        json!([{"mode": "container/bridge"}, {"mode": "container/bridge"}]),
        json!([{"mode": "container/bridge"}, blue]),
        json!([{"mode": "host"}, blue]),
        json!([{"mode": "host"}]),
    ];
    let base = with(minimal(), "/containers/0/endpoints", endpoint);
    let mut story = tell(cases.map(|networks| ("/networks", networks)), &base, &rules());
    let nameless = Rules { default_network_name: None, ..rules() };
    story += &tell([("/networks", json!([{"mode": "container"}]))], &base, &nameless);
    let portless = with(minimal(), "/containers/0/endpoints", json!([{"name": "e"}]));
    story += &tell(
        [("/networks", json!([{"mode": "container/bridge"}])), ("/networks", json!([blue]))],
        &portless,
        &rules(),
    );
    let on_two = with(minimal(), "/networks", json!([blue, {"name": "red"}]));
    let port = |networks: Value| json!([{"name": "e", "containerPort": 80, "hostPort": 0, "networkNames": networks}]);
    story += &tell(
        [
            ("/containers/0/endpoints", port(json!([]))),
            ("/containers/0/endpoints", port(json!(["red", "blue"]))),
        ],
        &on_two,
        &rules(),
    );
    insta::assert_snapshot!(story);
}

#[test]
fn persistent_volumes() {
    let story = tell(
        [
            ("/role", json!("*")),
            ("/scheduling", json!({"unreachableStrategy": {}})),
            ("/scheduling", json!({"upgrade": {}})),
            ("/scheduling", json!({"placement": {"acceptedResourceRoles": ["db"]}})),
            ("/scheduling", json!({"placement": {"acceptedResourceRoles": ["*", "db"]}})),
            ("/volumes/0/persistent", json!({"size": 0})),
            ("/volumes/0/persistent", json!({"size": 2, "maxSize": 1})),
            ("/volumes/0/persistent", json!({"type": "mount", "size": 2, "maxSize": 1})),
            ("/volumes/0/persistent", json!({"type": "root", "size": 2, "profileName": "fast"})),
            ("/volumes/0/persistent", json!({"size": 2, "constraints": [["path", "LIKE", "/mnt/.*"]]})),
            ("/volumes/0/name", json!("tasks")),
        ],
        &resident(),
        &rules(),
    );
    insta::assert_snapshot!(story);
}

#[test]
fn secrets_without_the_feature() {
    insta::assert_json_snapshot!(refusal(&complete(), &Rules { secrets: false, ..rules() }));
}

/// Mistakes all over the document are reported together.
#[test]
fn all_at_once() {
    let pod = json!({
        "containers": [
            {"name": "A", "exec": {"command": {}}, "resources": {"cpus": "1"}},
            {"resources": {}, "healthCheck": {"tcp": {}, "http": {"endpoint": "web"}}},
        ],
        "volumes": [{"name": "v", "hots": "/etc"}],
        "scaling": {"instances": -1},
        "scheduling": {"placement": {"constraints": [["rack", "NEAR"]]}},
    });
    insta::assert_json_snapshot!(refusal(&pod, &rules()));
}

#[test]
fn a_hopeless_document_gets_a_bounded_answer() {
    let rejection = refusal(&with(minimal(), "/containers", json!(vec![1; 100_000])), &rules());
    assert_eq!(rejection.details.len(), 501);
    assert_eq!(rejection.details[500].errors, ["and 99500 more errors"]);
    let echoed = refusal(&with(minimal(), "/role", json!(["x".repeat(100_000)])), &rules());
    assert!(echoed.to_string().len() < 200, "{echoed}");
    let echoed = refusal(&with(minimal(), "/scaling/kind", json!("x".repeat(100_000))), &rules());
    assert!(echoed.to_string().len() < 300, "{echoed}");
}

/// A role that the document does not give may still be replaced by that of a group, so the list of accepted
/// roles is then checked by the one who knows.
#[test]
fn roles_that_a_group_may_decide() {
    let accepted = json!({"placement": {"acceptedResourceRoles": ["dev"]}});
    let at_root = with(minimal(), "/scheduling", accepted);
    refusal(&at_root, &rules());
    let in_group = read_pod(&with(at_root, "/id", json!("/dev/p")), &rules()).unwrap();
    assert!(!in_group.role_given);
    let mut pod = in_group.pod;
    insta::assert_json_snapshot!(check_role(&pod).unwrap_err());
    pod.role = Role::new("dev");
    assert_eq!(check_role(&pod), Ok(()));
}
