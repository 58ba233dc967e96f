//! Marathon's rules one by one: each is broken by a definition that keeps all others.
//!
//! The order is that of Marathon's validators. What its reader refuses is in `refused.rs`; roles are in `roles.rs`,
//! the rules between groups and pods in `groups/`.

use podium_core::admission::{Rejection, Rules, check_residents, read_pod};
use podium_core::model::pod::PodSpec;
use serde_json::{Value, json};

use crate::sample::{minimal, resident, rules, with};

/// Where a violation is expected, and how it begins.
type Expected = (&'static str, &'static str);

/// A rule, what breaks it, and what is said then.
struct Rule {
    name: &'static str,
    changes: Vec<(&'static str, Value)>,
    expected: Expected,
}

fn rule<const N: usize>(name: &'static str, changes: [(&'static str, Value); N], expected: Expected) -> Rule {
    Rule { name, changes: changes.into(), expected }
}

fn apply(pod: Value, changes: &[(&'static str, Value)]) -> Value {
    changes.iter().fold(pod, |pod, (pointer, value)| with(pod, pointer, value.clone()))
}

fn assert_violates(rule: &Rule, rejection: &Rejection) {
    let (path, error) = rule.expected;
    let details: Vec<_> =
        rejection.details.iter().map(|detail| (detail.path.as_str(), &detail.errors[..])).collect();
    let [(found, [said])] = details[..] else {
        panic!("{}: more than one violation: {rejection}", rule.name)
    };
    assert!(found == path && said.starts_with(error), "{}: {rejection}", rule.name);
    assert_eq!(rejection.message, Rejection::NOT_VALID, "{}", rule.name);
}

fn check(base: &Value, daemon: &Rules, table: impl IntoIterator<Item = Rule>) {
    read_pod(base, daemon).expect("the base keeps all rules");
    for rule in table {
        let pod = apply(base.clone(), &rule.changes);
        match read_pod(&pod, daemon) {
            Ok(_) => panic!("{} is no rule", rule.name),
            Err(rejection) => assert_violates(&rule, &rejection),
        }
    }
}

#[test]
fn of_ids() {
    let id = |name, id: &str, error| rule(name, [("/id", json!(id))], ("/id", error));
    check(
        &minimal(),
        &rules(),
        [
            id(
                "segments are lower-case names",
                "/dev/my_app",
                "must fully match regular expression '^(([a-z0-9]",
            ),
            id("the last segment is not reserved", "/dev/restart", "must not end with any of the following"),
            id("ids are canonical", "/dev/../pod", "an id is written without . and .. segments"),
            id("ids are absolute", "dev/pod", "Path needs to be absolute"),
            id("the root is no pod", "/", "Path must contain at least one path element"),
        ],
    );
}

#[test]
fn of_pods() {
    let container = |name: &str| json!({"name": name, "resources": {}});
    let with_endpoint =
        |name: &str, endpoint: Value| json!({"name": name, "resources": {}, "endpoints": [endpoint]});
    let two = |one: Value, other: Value| {
        ("/containers", json!([with_endpoint("a", one), with_endpoint("b", other)]))
    };
    let bridge = ("/networks", json!([{"mode": "container/bridge"}]));
    let mounts = ("/containers/0/volumeMounts", json!([{"name": "v", "mountPath": "v"}]));
    check(
        &minimal(),
        &rules(),
        [
            rule("a user is not empty", [("/user", json!(""))], ("/user", "must not be empty")),
            rule(
                "secrets of the environment are declared",
                [("/environment", json!({"A": {"secret": "s"}}))],
                ("/environment/A/secret", "references an undefined secret"),
            ),
            rule(
                "secrets of volumes are declared",
                [("/volumes", json!([{"name": "v", "secret": "s"}])), mounts.clone()],
                ("/volumes(0)/secret", "volume.secret must refer to an existing secret"),
            ),
            rule(
                "volumes are mounted",
                [("/volumes", json!([{"name": "v"}]))],
                ("/volumes(0)", "volume must be referenced by at least one container"),
            ),
            rule(
                "volumes have names of their own",
                [("/volumes", json!([{"name": "v"}, {"name": "v", "host": "/v"}])), mounts],
                ("/volumes", "volume names must be unique"),
            ),
            rule(
                "containers have names of their own",
                [("/containers", json!([container("a"), container("a")]))],
                ("/containers", "container names must be unique"),
            ),
            rule(
                "secrets have names",
                [("/secrets", json!({"": {"source": "/s"}}))],
                ("/secrets", "names must not be empty"),
            ),
            rule(
                "instances are not negative",
                [("/scaling", json!({"instances": -1}))],
                ("/scaling/instances", "got -1, expected 0 or more"),
            ),
            rule(
                "endpoints have names of their own",
                [two(json!({"name": "e"}), json!({"name": "e"}))],
                ("/", "endpoint names must be unique across all containers"),
            ),
            rule(
                "container ports differ",
                [
                    bridge,
                    two(json!({"name": "e", "containerPort": 80}), json!({"name": "f", "containerPort": 80})),
                ],
                ("/", "container ports must be unique across all containers"),
            ),
            rule(
                "host ports differ",
                [two(json!({"name": "e", "hostPort": 80}), json!({"name": "f", "hostPort": 80}))],
                ("/", "host ports must be unique across all containers"),
            ),
            rule(
                "executors have no seccomp profile",
                [("/linuxInfo", json!({"seccomp": {}}))],
                ("/linuxInfo/seccomp", "Seccomp configuration on executor level is not supported"),
            ),
            rule(
                "executors that share have no size of their own",
                [("/linuxInfo", json!({"ipcInfo": {"mode": "SHARE_PARENT", "shmSize": 1}}))],
                ("/linuxInfo/ipcInfo", "ipcInfo shmSize can NOT be set when mode is SHARE_PARENT"),
            ),
        ],
    );
}

/// What is not said of one rule is said of two: the rule, and the flag.
#[test]
fn of_secrets_without_the_feature() {
    let off = Rules { secrets: false, ..rules() };
    let declared = ("/secrets", json!({"s": {"source": "/s"}}));
    let flag = "Feature secrets is not enabled. Enable with --enable_features secrets";
    let told = |changes: &[(&'static str, Value)]| -> Vec<(String, String)> {
        let rejection = read_pod(&apply(minimal(), changes), &off).unwrap_err();
        let errors = |one: podium_core::admission::Violation| {
            let path = one.path;
            one.errors.into_iter().map(move |error| (path.clone(), error))
        };
        rejection.details.into_iter().flat_map(errors).filter(|(path, _)| path != "/secrets").collect()
    };
    let pairs = |path: &str, errors: &[&str]| -> Vec<(String, String)> {
        errors.iter().map(|error| (path.to_owned(), (*error).to_owned())).collect()
    };
    let rejection = read_pod(&apply(minimal(), std::slice::from_ref(&declared)), &off).unwrap_err();
    assert_eq!(
        (&*rejection.details[0].path, &*rejection.details[0].errors),
        ("/secrets", &["must be empty".to_owned(), flag.to_owned()][..])
    );
    let secret = json!({"A": {"secret": "s"}});
    let needs = "use of secret-references in the environment requires the secrets feature to be enabled";
    for (place, path) in
        [("/environment", "/environment"), ("/containers/0/environment", "/containers(0)/environment")]
    {
        assert_eq!(told(&[declared.clone(), (place, secret.clone())]), pairs(path, &[needs, flag]));
    }
    let volume = [
        declared.clone(),
        ("/volumes", json!([{"name": "v", "secret": "s"}])),
        ("/containers/0/volumeMounts", json!([{"name": "v", "mountPath": "v"}])),
    ];
    assert_eq!(told(&volume), pairs("/volumes(0)/secret", &[flag]));
    let image = ("/containers/0/image", json!({"kind": "DOCKER", "id": "i", "pullConfig": {"secret": "s"}}));
    assert_eq!(told(&[declared, image]), pairs("/containers(0)/image/pullConfig", &["must be empty", flag]));
}

#[test]
fn of_networks() {
    let networks = |name, networks: Value, error| rule(name, [("/networks", networks)], ("/networks", error));
    let single =
        "May specify a single host network, single bridge network, or else 1-to-n container networks";
    check(
        &minimal(),
        &rules(),
        [
            networks(
                "host networks have no name",
                json!([{"mode": "host", "name": "n"}]),
                "Host networks may not have names or labels",
            ),
            networks(
                "host networks have no labels",
                json!([{"mode": "host", "labels": {"a": "b"}}]),
                "Host networks may not have names or labels",
            ),
            networks(
                "bridge networks have no name",
                json!([{"mode": "container/bridge", "name": "n"}]),
                "Bridge networks may not have names",
            ),
            networks(
                "networks have names of their own",
                json!([{"name": "n"}, {"name": "n"}]),
                "Duplicate networks are not allowed",
            ),
            networks(
                "one container network has no name",
                json!([{}, {}]),
                "Duplicate networks are not allowed",
            ),
            networks("modes are not mixed", json!([{"mode": "host"}, {"name": "n"}]), single),
            networks("one network is the host's", json!([{"mode": "host"}, {"mode": "host"}]), single),
            networks(
                "one network is a bridge",
                json!([{"mode": "container/bridge"}, {"mode": "container/bridge"}]),
                single,
            ),
        ],
    );
    check(
        &minimal(),
        &Rules { default_network_name: None, ..rules() },
        [networks(
            "container networks have names",
            json!([{"mode": "container"}]),
            "Network name must be specified when container network is selected.",
        )],
    );
}

#[test]
fn of_containers() {
    let limits = |name, limits: Value, path, error| {
        rule(name, [("/containers/0/resourceLimits", limits)], (path, error))
    };
    let linux =
        |name, info: Value, path, error| rule(name, [("/containers/0/linuxInfo", info)], (path, error));
    let too_low = "resource limit must be greater than or equal to requested resource";
    check(
        &minimal(),
        &rules(),
        [
            limits("cpus are not below", json!({"cpus": 0.9}), "/containers(0)/resourceLimits/cpus", too_low),
            limits("mem is not below", json!({"mem": 127}), "/containers(0)/resourceLimits/mem", too_low),
            limits(
                "limits are numbers or unlimited",
                json!({"mem": "much"}),
                "/containers(0)/resourceLimits/mem",
                "'much' is an invalid resource limit. It must be 'unlimited' or a number",
            ),
            rule(
                "limits need cgroups of their own",
                [("/legacySharedCgroups", json!(true)), ("/containers/0/resourceLimits", json!({"cpus": 2}))],
                (
                    "/containers(0)/resourceLimits",
                    "resourceLimits cannot be defined if legacySharedCgroups is enabled",
                ),
            ),
            rule(
                "secrets of images are declared",
                [(
                    "/containers/0/image",
                    json!({"kind": "DOCKER", "id": "i", "pullConfig": {"secret": "s"}}),
                )],
                ("/containers(0)/image/pullConfig", "pullConfig.secret must refer to an existing secret"),
            ),
            rule(
                "secrets of the environment are declared",
                [("/containers/0/environment", json!({"A": {"secret": "s"}}))],
                ("/containers(0)/environment/A/secret", "references an undefined secret"),
            ),
            rule(
                "mounts are of volumes",
                [("/containers/0/volumeMounts", json!([{"name": "v", "mountPath": "v"}]))],
                ("/containers(0)/volumeMounts(0)/name", "Referenced Volume in VolumeMount should exist"),
            ),
            linux(
                "a profile is confined",
                json!({"seccomp": {"profileName": "p", "unconfined": true}}),
                "/containers(0)/linuxInfo/seccomp",
                "Seccomp unconfined can NOT be true when Profile is defined",
            ),
            linux(
                "without a profile nothing is confined",
                json!({"seccomp": {}}),
                "/containers(0)/linuxInfo/seccomp",
                "Seccomp unconfined must be true when Profile is NOT defined",
            ),
            linux(
                "containers that share have no size of their own",
                json!({"ipcInfo": {"mode": "SHARE_PARENT", "shmSize": 1}}),
                "/containers(0)/linuxInfo/ipcInfo",
                "ipcInfo shmSize can NOT be set when mode is SHARE_PARENT",
            ),
        ],
    );
}

#[test]
fn of_endpoints() {
    let endpoint = |name, networks: Value, endpoint: Value, path, error| {
        let endpoints = json!([with(endpoint, "/name", json!("e"))]);
        rule(name, [("/networks", networks), ("/containers/0/endpoints", endpoints)], (path, error))
    };
    let two = json!([{"name": "blue"}, {"name": "red"}]);
    check(
        &minimal(),
        &rules(),
        [
            endpoint(
                "networks of endpoints are the pod's",
                json!([{"name": "blue"}]),
                json!({"containerPort": 80, "networkNames": ["red"]}),
                "/containers(0)/endpoints(0)/networkNames(0)",
                "is not one of (blue)",
            ),
            endpoint(
                "host networks have host ports",
                json!([{"mode": "host"}]),
                json!({"containerPort": 80}),
                "/containers(0)/endpoints(0)/containerPort",
                "is not allowed when using host-mode networking",
            ),
            endpoint(
                "container networks have container ports",
                json!([{"name": "blue"}]),
                json!({}),
                "/containers(0)/endpoints(0)/containerPort",
                "is required when using container-mode networking",
            ),
            endpoint(
                "protocols differ",
                json!([]),
                json!({"protocol": ["tcp", "udp", "tcp"]}),
                "/containers(0)/endpoints(0)/protocol",
                "Duplicate protocols within the same endpoint are not allowed",
            ),
            endpoint(
                "a host port leads to one network: not to none",
                two.clone(),
                json!({"containerPort": 80, "hostPort": 0}),
                "/containers(0)/endpoints(0)",
                "networkNames must be a single item list when hostPort is specified",
            ),
            endpoint(
                "a host port leads to one network: not to two",
                two,
                json!({"containerPort": 80, "hostPort": 0, "networkNames": ["blue", "red"]}),
                "/containers(0)/endpoints(0)",
                "networkNames must be a single item list when hostPort is specified",
            ),
        ],
    );
}

#[test]
fn of_health_checks() {
    let base = with(minimal(), "/containers/0/endpoints", json!([{"name": "e"}]));
    let base = with(
        base,
        "/containers/1",
        json!({"name": "b", "resources": {}, "endpoints": [{"name": "elsewhere"}]}),
    );
    let health =
        |name, check: Value, path, error| rule(name, [("/containers/0/healthCheck", check)], (path, error));
    let one = "Only one of http, tcp, or exec may be specified";
    check(
        &base,
        &rules(),
        [
            health(
                "a check ends before the next one",
                json!({"tcp": {"endpoint": "e"}, "intervalSeconds": 5, "timeoutSeconds": 5}),
                "/containers(0)/healthCheck/timeoutSeconds",
                "got 5, expected less than 5",
            ),
            health("something is checked", json!({}), "/containers(0)/healthCheck", one),
            health(
                "one thing is checked",
                json!({"tcp": {"endpoint": "e"}, "exec": {"command": {"shell": "true"}}}),
                "/containers(0)/healthCheck",
                one,
            ),
            health(
                "an endpoint of the container is checked by HTTP",
                json!({"http": {"endpoint": "elsewhere"}}),
                "/containers(0)/healthCheck/http/endpoint",
                "must be contained in the container endpoints",
            ),
            health(
                "an endpoint of the container is checked by TCP",
                json!({"tcp": {"endpoint": "elsewhere"}}),
                "/containers(0)/healthCheck/tcp/endpoint",
                "must be contained in the container endpoints",
            ),
        ],
    );
}

#[test]
fn of_constraints() {
    let constraint = |name, constraint: Value, error| {
        let placement = json!({"placement": {"constraints": [constraint]}});
        rule(name, [("/scheduling", placement)], ("/scheduling/placement/constraints(0)", error))
    };
    check(
        &minimal(),
        &rules(),
        [
            constraint(
                "a field is named",
                json!(["", "CLUSTER"]),
                "missing field for constraint declaration",
            ),
            constraint("UNIQUE has no value", json!(["a", "UNIQUE", "1"]), "UNIQUE does not accept a value"),
            constraint(
                "GROUP_BY has a number",
                json!(["a", "GROUP_BY", "1.5"]),
                "GROUP BY must define an integer value or else no value at all",
            ),
            constraint("MAX_PER has a value", json!(["a", "MAX_PER"]), "MAX_PER requires an integer value"),
            constraint(
                "MAX_PER has a number",
                json!(["a", "MAX_PER", "one"]),
                "MAX_PER requires an integer value",
            ),
            constraint(
                "LIKE has a value",
                json!(["a", "LIKE"]),
                "LIKE and UNLIKE require a non-empty, regular expression value",
            ),
            constraint(
                "UNLIKE has a value",
                json!(["a", "UNLIKE"]),
                "LIKE and UNLIKE require a non-empty, regular expression value",
            ),
            constraint("LIKE has a pattern", json!(["a", "LIKE", "("]), "is not a valid regular expression"),
            constraint(
                "UNLIKE has a pattern",
                json!(["a", "UNLIKE", "*"]),
                "is not a valid regular expression",
            ),
            constraint(
                "IS has a text of Mesos",
                json!(["a", "IS", "a b"]),
                "IS only supports Mesos text and float values",
            ),
        ],
    );
}

#[test]
fn of_accepted_roles() {
    const PATH: &str = "/scheduling/placement/acceptedResourceRoles";
    let roles = |roles: Value| [("/scheduling", json!({"placement": {"acceptedResourceRoles": roles}}))];
    check(
        &minimal(),
        &rules(),
        [rule(
            "only the pod's role and * are accepted",
            roles(json!(["*", "other"])),
            (PATH, "acceptedResourceRoles can only contain *, got 'other'"),
        )],
    );
    // A name that cannot be one is not the pod's either.
    for (name, error) in [
        ("", "A role name must not be \"\"."),
        (".", "A role name must not be \".\"."),
        ("..", "A role name must not be \"..\"."),
        ("-a", "A role name must not start with a '-'."),
        ("a\tb", "A role name must not include a tab character."),
        ("a\nb", "A role name must not include a line feed character."),
        ("a\u{b}b", "A role name must not include a vertical tab character."),
        ("a\u{c}b", "A role name must not include a form feed character."),
        ("a\rb", "A role name must not include a carriage return character."),
        ("a b", "A role name must not include a space character."),
        ("a/b", "A role name must not include a slash character."),
        ("a\u{7f}b", "A role name must not include a delete character."),
    ] {
        let rejection = read_pod(&apply(minimal(), &roles(json!([name]))), &rules()).unwrap_err();
        let details: Vec<_> = rejection.details.iter().map(|one| (&*one.path, &*one.errors[0])).collect();
        assert_eq!(details[0], (&*format!("{PATH}(0)"), error));
        assert!(
            details.len() == 2 && details[1].1.starts_with("acceptedResourceRoles can only"),
            "{rejection}"
        );
    }
}

#[test]
fn of_persistent_volumes() {
    let scheduling = |name, value: Value, path, error| rule(name, [("/scheduling", value)], (path, error));
    let accepted = |roles: Value| json!({"placement": {"acceptedResourceRoles": roles}});
    let only_unreserved = "A resident pod must have `acceptedResourceRoles = [\"*\"]`.";
    check(
        &resident(),
        &rules(),
        [
            rule(
                "copies have a role of their own",
                [("/role", json!("*"))],
                ("/role", "Resident pods cannot have the role *"),
            ),
            scheduling(
                "old copies make place for new ones",
                json!({"upgrade": {"maximumOverCapacity": 0.1}}),
                "/scheduling/upgrade/maximumOverCapacity",
                "got 0.1, expected 0",
            ),
            scheduling(
                "copies out of reach are not replaced",
                json!({"unreachableStrategy": {}}),
                "/scheduling/unreachableStrategy",
                "unreachableStrategy must be disabled for pods with persistent volumes",
            ),
            scheduling(
                "what is reserved is taken from what is not",
                accepted(json!(["db"])),
                "/scheduling/placement/acceptedResourceRoles",
                only_unreserved,
            ),
            scheduling(
                "what is reserved is taken only from what is not",
                accepted(json!(["*", "db"])),
                "/scheduling/placement/acceptedResourceRoles",
                only_unreserved,
            ),
        ],
    );
}

/// A new definition must fit what is reserved for the copies of the old one.
#[test]
fn of_changes_with_persistent_volumes() {
    let read = |pod: &Value| -> PodSpec { read_pod(pod, &rules()).unwrap().pod };
    let resources =
        |kind: &'static str| -> (&'static str, Value) { ("/containers/0/resources", json!({ kind: 2 })) };
    let host_port = |port: u16| ("/containers/0/endpoints", json!([{"name": "e", "hostPort": port}]));
    let base = apply(
        resident(),
        &[
            (
                "/volumes/1",
                json!({"name": "log", "persistent": {"type": "path", "size": 1, "constraints": [["path", "LIKE", "/a"], ["path", "LIKE", "/b"]]}}),
            ),
            ("/containers/0/volumeMounts/1", json!({"name": "log", "mountPath": "log"})),
            host_port(80),
        ],
    );
    let volumes = ("/volumes", "persistent volumes cannot be updated");
    let other = json!({"size": 1});
    for rule in [
        rule("volumes stay as they are", [("/volumes/0/persistent/size", json!(2))], volumes),
        rule("volumes keep their type", [("/volumes/0/persistent/type", json!("path"))], volumes),
        rule(
            "volumes keep their names",
            [("/volumes/0/name", json!("d")), ("/containers/0/volumeMounts/0/name", json!("d"))],
            volumes,
        ),
        rule("volumes do not go", [("/volumes/0", json!({"name": "data"}))], volumes),
        rule(
            "volumes do not come",
            [
                ("/volumes/2", json!({"name": "more", "persistent": other})),
                ("/containers/0/volumeMounts/2", json!({"name": "more", "mountPath": "more"})),
            ],
            volumes,
        ),
        rule("cpus stay", [resources("cpus")], ("/containers", "cpus cannot be updated")),
        rule("mem stays", [resources("mem")], ("/containers", "mem cannot be updated")),
        rule("disk stays", [resources("disk")], ("/containers", "disk cannot be updated")),
        rule("gpus stay", [resources("gpus")], ("/containers", "gpus cannot be updated")),
        rule(
            "the executor's resources stay",
            [("/executorResources", json!({"mem": 64}))],
            ("/containers", "mem cannot be updated"),
        ),
        rule("host ports stay", [host_port(81)], ("/containers", "host ports cannot be updated")),
        rule(
            "as many host ports stay",
            [("/containers/0/endpoints", json!([]))],
            ("/containers", "host ports cannot be updated"),
        ),
    ] {
        let rejection = check_residents(&read(&base), &read(&apply(base.clone(), &rule.changes)));
        assert_violates(&rule, &rejection.expect_err(rule.name));
    }
    let plain = with(minimal(), "/id", json!("/db"));
    let becomes = check_residents(&read(&plain), &read(&resident())).unwrap_err();
    let was = check_residents(&read(&resident()), &read(&plain)).unwrap_err();
    assert_eq!((&*becomes.details[0].path, &becomes.details), ("/volumes", &was.details));

    // What says the same, or concerns no reservation.
    for changes in [
        vec![("/volumes", json!([base["volumes"][1], base["volumes"][0]]))],
        vec![("/volumes/1/persistent/constraints", json!([["path", "LIKE", "/b"], ["path", "like", "/a"]]))],
        vec![
            ("/volumes/2", json!({"name": "scratch"})),
            ("/containers/0/volumeMounts/2", json!({"name": "scratch", "mountPath": "s"})),
        ],
        vec![
            ("/containers/0/exec", json!({"command": {"shell": "true"}})),
            ("/scaling", json!({"instances": 9})),
        ],
    ] {
        assert_eq!(
            check_residents(&read(&base), &read(&apply(base.clone(), &changes))),
            Ok(()),
            "{changes:?}"
        );
    }
}
