use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::admission::{Rules, read_pod};
use crate::model::ids::{AgentId, InstanceId, PodId, Role, Uuid};
use crate::model::instance::AgentInfo;
use crate::model::mesos::{
    EnvironmentValue, HttpScheme, PortRange, Probe, Reservation, ReservationType, Seccomp, VolumeSource,
};
use crate::model::number::Scalar;
use crate::model::pod::ScalarResources;
use crate::model::time::Timestamp;
use crate::placement::{Draw, PortDraw};

/// The page's example with this name.
macro_rules! example {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!("../../../tests/pods_page/", $name, ".json")))
            .unwrap()
    };
}

fn admit(json: &Value) -> PodSpec {
    let rules = Rules { default_network_name: Some("dcos".to_owned()), secrets: true, ..Rules::default() };
    let mut pod = read_pod(json, &rules).unwrap().pod;
    pod.version = Timestamp::from_millis(1_483_467_679_310);
    pod
}

/// `spec` placed on an agent that has enough of everything, unreserved.
fn launch(spec: PodSpec) -> Launch {
    let mut draws = Vec::new();
    let mut draw = |member, resources: ScalarResources| {
        let kinds = [
            (ResourceKind::Cpus, resources.cpus),
            (ResourceKind::Mem, resources.mem),
            (ResourceKind::Disk, resources.disk),
            (ResourceKind::Gpus, resources.gpus),
        ];
        draws.extend(kinds.into_iter().filter(|(_, amount)| !amount.is_zero()).map(|(kind, amount)| Draw {
            member,
            kind,
            amount,
            pool: 0,
        }));
    };
    draw(Member::Executor, spec.executor_resources.to_scalars());
    for (index, container) in spec.containers.iter().enumerate() {
        draw(Member::Container(index), container.resources.to_scalars());
    }
    let fixed_or_next = |(port, next)| if port == 0 { next } else { port };
    let endpoints = spec.containers.iter().flat_map(|container| &container.endpoints);
    let ports = endpoints.filter_map(|endpoint| endpoint.host_port).zip(31_000..).map(fixed_or_next);
    Launch {
        home: None,
        instance: InstanceId { pod: spec.id.clone(), uuid: Uuid::from_u128(0xfeed) },
        incarnation: 1,
        ports: ports.map(|port| PortDraw { port, pool: 0 }).collect(),
        agent: Arc::new(AgentInfo {
            agent_id: AgentId::new("agent-1"),
            host: "node1.example".to_owned(),
            domain: None,
            attributes: Vec::new(),
        }),
        role: Role::new("*"),
        pools: Arc::from([Arc::default()]),
        draws,
        spec: Arc::new(spec),
    }
}

fn group(launch: &Launch) -> LaunchGroup {
    launch.task_group(&Config::default(), &FrameworkId::new("framework-1"))
}

fn group_of(json: &Value) -> LaunchGroup {
    group(&launch(admit(json)))
}

/// A pod with one container `c`, whose definition `extra` adds to.
fn pod(extra: &Value) -> Value {
    let mut container = json!({ "name": "c", "resources": {} });
    merge(&mut container, extra);
    json!({ "id": "/shop/web", "networks": [{ "mode": "host" }], "containers": [container] })
}

fn merge(target: &mut Value, extra: &Value) {
    for (key, value) in extra.as_object().unwrap() {
        target[key] = value.clone();
    }
}

fn variable<'a>(task: &'a TaskInfo, name: &str) -> Option<&'a str> {
    let environment = &task.command.as_ref().unwrap().environment;
    let mut found = environment.iter().filter(|variable| variable.name == name);
    match &found.next()?.value {
        EnvironmentValue::Value(value) => {
            assert!(found.next().is_none(), "{name} is there twice");
            Some(value)
        }
        EnvironmentValue::Secret(secret) => panic!("{name} is {secret:?}"),
    }
}

#[test]
fn simple_pod() {
    insta::assert_json_snapshot!(group_of(&example!("quick_start")));
}

#[test]
fn multiple_containers() {
    insta::assert_json_snapshot!(group_of(&example!("multiple_containers")));
}

#[test]
fn ephemeral_volumes() {
    insta::assert_json_snapshot!(group_of(&example!("ephemeral_volumes")));
}

#[test]
fn complete_pod() {
    insta::assert_json_snapshot!(group_of(&example!("complete")));
}

#[test]
fn all_parameters() {
    insta::assert_json_snapshot!(group_of(&example!("all_parameters")));
}

#[test]
fn all_parameters_on_the_bridge() {
    let mut json = example!("all_parameters");
    json["networks"] = json!([{ "mode": "container/bridge", "labels": { "net_label": "net" } }]);
    insta::assert_json_snapshot!(group_of(&json));
}

#[test]
fn all_parameters_on_the_host() {
    let mut json = example!("all_parameters");
    json["networks"] = json!([{ "mode": "host" }]);
    for container in json["containers"].as_array_mut().unwrap() {
        for endpoint in container["endpoints"].as_array_mut().unwrap() {
            endpoint.as_object_mut().unwrap().remove("containerPort");
        }
    }
    insta::assert_json_snapshot!(group_of(&json));
}

#[test]
fn members_keep_their_ids_amounts_and_ports_in_every_incarnation() {
    let names = ["e", "d", "c", "b", "a", "f"];
    let containers: Vec<Value> = names
        .iter()
        .zip(1..)
        .map(|(name, number)| {
            json!({
                "name": name,
                "resources": { "cpus": number, "mem": 32 },
                "exec": { "command": { "shell": format!("run {name}") } },
                "endpoints": [{ "name": format!("{name}-port"), "hostPort": 0 }],
            })
        })
        .collect();
    let spec = admit(&json!({ "id": "/p", "networks": [{ "mode": "host" }], "containers": containers }));
    let mut launch = launch(spec);
    for incarnation in 1..4 {
        launch.incarnation = incarnation;
        for ((task, name), index) in group(&launch).tasks.iter().zip(names).zip(0_i64..) {
            let id = format!("p.instance-00000000-0000-0000-0000-00000000feed.{name}.{incarnation}");
            assert_eq!(task.task_id, TaskId::from(id));
            assert_eq!(task.name, name);
            assert_eq!(task.command.as_ref().unwrap().value, Some(format!("run {name}")));
            assert_eq!(task.resources[0].amount(), Scalar::from_thousandths((index + 1) * 1000));
            let ports = &task.discovery.as_ref().unwrap().ports;
            assert_eq!((ports.len(), i64::from(ports[0].number)), (1, 31_000 + index));
        }
    }
}

#[test]
fn one_amount_may_come_from_several_pools_and_equal_amounts_from_different_ones() {
    let reserved = Reservation {
        kind: ReservationType::Static,
        role: Role::new("web"),
        principal: None,
        labels: Vec::new(),
    };
    let mut json = pod(&json!({ "endpoints": [{ "name": "a" }, { "name": "b" }] }));
    let second = json!({ "name": "d", "resources": {} });
    json["containers"].as_array_mut().unwrap().push(second);
    let mut launch = launch(admit(&json));
    launch.role = Role::new("web");
    launch.pools = Arc::from([Arc::default(), Arc::from([reserved.clone()])]);
    let draw = |member, thousandths, pool| Draw {
        member,
        kind: ResourceKind::Cpus,
        amount: Scalar::from_thousandths(thousandths),
        pool,
    };
    launch.draws = vec![
        draw(Member::Container(0), 700, 1),
        draw(Member::Container(0), 300, 0),
        draw(Member::Container(1), 700, 0),
        draw(Member::Executor, 100, 1),
    ];
    launch.ports = vec![PortDraw { port: 31_000, pool: 1 }, PortDraw { port: 31_001, pool: 0 }];
    let resource = |kind, value, reservations: &[Reservation]| Resource {
        reservations: reservations.into(),
        ..Resource::new(kind, value).allocated_to(Role::new("web"))
    };
    let cpus = |thousandths, reservations: &[Reservation]| {
        let amount = Scalar::from_thousandths(thousandths);
        resource(ResourceKind::Cpus, ResourceValue::Scalar(amount), reservations)
    };
    let port = |port, reservations: &[Reservation]| {
        let ranges = vec![PortRange { begin: port, end: port }];
        resource(ResourceKind::Ports, ResourceValue::Ranges(ranges), reservations)
    };
    let from_role = std::slice::from_ref(&reserved);
    let group = group(&launch);
    assert_eq!(group.tasks[0].resources, [cpus(700, from_role), cpus(300, &[])]);
    assert_eq!(group.tasks[1].resources, [cpus(700, &[])]);
    assert_eq!(group.executor.resources, [cpus(100, from_role), port(31_001, &[]), port(31_000, from_role)]);
}

#[test]
fn what_is_run_and_by_whom() {
    let command = |extra: &Value| {
        let mut info = group_of(&pod(extra)).tasks[0].command.clone().unwrap();
        info.environment.clear();
        info
    };
    let image = json!({ "kind": "DOCKER", "id": "nginx" });
    assert_eq!(command(&json!({ "image": image })), image_entrypoint());
    assert_eq!(
        command(&json!({ "image": image, "exec": { "command": { "shell": "" } } })),
        image_entrypoint()
    );
    let argv = json!({ "argv": ["/bin/cat", "-n"] });
    let arguments = vec!["/bin/cat".to_owned(), "-n".to_owned()];
    let whole = CommandInfo {
        value: Some("/bin/cat".to_owned()),
        arguments: arguments.clone(),
        ..image_entrypoint()
    };
    let to_entrypoint = CommandInfo { arguments, ..image_entrypoint() };
    let with_argv = |over: Option<bool>| json!({ "command": argv, "overrideEntrypoint": over });
    assert_eq!(command(&json!({ "image": image, "exec": with_argv(None) })), whole);
    assert_eq!(command(&json!({ "image": image, "exec": with_argv(Some(true)) })), whole);
    assert_eq!(command(&json!({ "image": image, "exec": with_argv(Some(false)) })), to_entrypoint);
    assert_eq!(command(&json!({ "exec": with_argv(Some(false)) })), whole);

    let shell = json!({ "command": { "shell": "true" } });
    let as_user = |user: Option<&str>| CommandInfo {
        shell: true,
        value: Some("true".to_owned()),
        user: user.map(ToOwned::to_owned),
        ..image_entrypoint()
    };
    assert_eq!(command(&json!({ "exec": shell })), as_user(None));
    assert_eq!(command(&json!({ "exec": shell, "user": "nobody" })), as_user(Some("nobody")));
    let mut json = pod(&json!({ "exec": shell }));
    json["user"] = json!("web");
    assert_eq!(group_of(&json).tasks[0].command.as_ref().unwrap().user.as_deref(), Some("web"));
}

#[test]
fn the_definition_wins_over_what_is_generated() {
    let mut json = pod(&json!({
        "endpoints": [{ "name": "web" }],
        "environment": { "ENDPOINT_WEB": "container's", "SHARED": "container's" },
    }));
    json["environment"] =
        json!({ "HOST": "pod's", "ENDPOINT_WEB": "pod's", "SHARED": "pod's", "OWN": "pod's" });
    let task = &group_of(&json).tasks[0];
    assert_eq!(variable(task, "HOST"), Some("pod's"));
    assert_eq!(variable(task, "ENDPOINT_WEB"), Some("container's"));
    assert_eq!(variable(task, "SHARED"), Some("container's"));
    assert_eq!(variable(task, "OWN"), Some("pod's"));
    assert_eq!(variable(task, "EP_HOST_WEB"), Some("31000"));
}

#[test]
fn endpoint_variables_have_the_prefix_and_never_collide() {
    let endpoints = json!([{ "name": "a-b" }, { "name": "a--b" }, { "name": "a---b" }]);
    let launch = launch(admit(&pod(&json!({ "endpoints": endpoints }))));
    let config = Config { env_vars_prefix: "my_".to_owned(), ..Config::default() };
    let group = launch.task_group(&config, &FrameworkId::new("f"));
    let port = |name| variable(&group.tasks[0], name);
    assert_eq!(port("MY_ENDPOINT_A_B"), Some("31000"));
    assert_eq!(port("MY_ENDPOINT_A__B"), Some("31001"));
    assert_eq!(port("MY_EP_HOST_A___B"), Some("31002"));
    assert_eq!(port("ENDPOINT_A_B"), None);
}

#[test]
fn no_endpoint_takes_the_only_form_of_anothers_variables() {
    let endpoints = json!([{ "name": "a---b" }, { "name": "a--b" }, { "name": "a-b" }, { "name": "c--d" }]);
    let launch = launch(admit(&pod(&json!({ "endpoints": endpoints }))));
    let group = launch.task_group(&Config::default(), &FrameworkId::new("f"));
    let names = ["A___B", "A__B", "A_B", "C_D"].map(|name| format!("ENDPOINT_{name}"));
    let ports = names.each_ref().map(|name| variable(&group.tasks[0], name));
    assert_eq!(ports, ["31000", "31001", "31002", "31003"].map(Some));
}

#[test]
fn labels_as_variables_have_bounds_and_the_containers_cover_the_pods() {
    let mut json = pod(&json!({ "labels": { "tier": "container's", "a b": "1" } }));
    let (long_key, long_value) = ("k".repeat(493), "v".repeat(512));
    json["labels"] = json!({ "tier": "pod's", "owner": "zeus", long_key: "v", "long": long_value });
    let task = &group_of(&json).tasks[0];
    assert_eq!(variable(task, "MARATHON_APP_LABELS"), Some("A_B OWNER TIER"));
    assert_eq!(variable(task, "MARATHON_APP_LABEL_TIER"), Some("container's"));
    assert_eq!(variable(task, "MARATHON_APP_LABEL_OWNER"), Some("zeus"));
    assert_eq!(variable(task, "MARATHON_APP_LABEL_LONG"), None);
}

#[test]
fn the_group_role_is_announced() {
    let mut launch = launch(admit(&pod(&json!({}))));
    assert_eq!(variable(&group(&launch).tasks[0], "MARATHON_APP_ENFORCE_GROUP_ROLE"), Some("FALSE"));
    launch.role = Role::new("shop");
    assert_eq!(variable(&group(&launch).tasks[0], "MARATHON_APP_ENFORCE_GROUP_ROLE"), Some("TRUE"));
}

#[test]
fn secrets_are_references_to_their_sources() {
    let reference = |name: &str| Secret::Reference { name: name.to_owned(), key: None };
    let mut json = pod(&json!({
        "environment": { "PASSWORD": { "secret": "password" } },
        "volumeMounts": [{ "name": "key", "mountPath": "tls.key" }],
        "image": { "kind": "DOCKER", "id": "private", "pullConfig": { "secret": "registry" }, "forcePull": true },
    }));
    json["volumes"] = json!([{ "name": "key", "secret": "tls" }]);
    json["secrets"] = json!({
        "password": { "source": "/db/password" },
        "tls": { "source": "/tls" },
        "registry": { "source": "/registry" },
    });
    let task = &group_of(&json).tasks[0];
    let environment = &task.command.as_ref().unwrap().environment;
    let password = environment.iter().find(|variable| variable.name == "PASSWORD").unwrap();
    assert_eq!(password.value, EnvironmentValue::Secret(reference("/db/password")));
    let container = task.container.as_ref().unwrap();
    assert_eq!(container.volumes[0].source, VolumeSource::Secret(reference("/tls")));
    let image = container.image.as_ref().unwrap();
    assert_eq!((&image.pull_config, image.cached), (&Some(reference("/registry")), Some(false)));
}

#[test]
fn relative_host_volumes_lie_in_the_executors_sandbox() {
    let mount = |name: &str| json!({ "name": name, "mountPath": format!("mnt/{name}"), "readOnly": true });
    let mut json = pod(&json!({ "volumeMounts": [mount("absolute"), mount("relative")] }));
    json["volumes"] = json!([{ "name": "absolute", "host": "/etc" }, { "name": "relative", "host": "logs" }]);
    let group = group_of(&json);
    let volumes = &group.tasks[0].container.as_ref().unwrap().volumes;
    assert_eq!(volumes[0].source, VolumeSource::HostPath("/etc".to_owned()));
    assert_eq!(volumes[1].source, VolumeSource::SandboxParent("logs".to_owned()));
    assert!(volumes.iter().all(|volume| volume.read_only));
}

#[test]
fn an_endpoint_on_several_networks_is_mapped_on_each() {
    // With a host port, admission wants exactly one network; what is stored may be older.
    let networks = ["a", "b", "c"].map(|name| json!({ "mode": "container", "name": name }));
    let mut spec = admit(&json!({
        "id": "/p",
        "networks": networks,
        "containers": [{
            "name": "c",
            "resources": {},
            "endpoints": [{ "name": "web", "containerPort": 80, "networkNames": ["a", "c"], "protocol": ["udp"] }],
        }],
    }));
    let inside = group(&launch(spec.clone()));
    let ports = &inside.tasks[0].discovery.as_ref().unwrap().ports;
    let marks = |name: &str| {
        [("network-name", name), ("network-scope", "container")]
            .map(|(key, value)| Label { key: key.to_owned(), value: Some(value.to_owned()) })
    };
    assert_eq!(ports.iter().map(|port| port.number).collect::<Vec<_>>(), [80, 80]);
    assert_eq!(ports[0].labels, marks("a"));
    assert_eq!(ports[1].labels, marks("c"));

    spec.containers[0].endpoints[0].host_port = Some(0);
    let mapped = group(&launch(spec));
    let networks = mapped.executor.container.unwrap().network_infos;
    let mapping = PortMapping { host_port: 31_000, container_port: 80, protocol: Some("udp".to_owned()) };
    let mappings: Vec<_> = networks.iter().map(|network| network.port_mappings.as_slice()).collect();
    assert_eq!(mappings, [std::slice::from_ref(&mapping), &[], std::slice::from_ref(&mapping)]);
}

#[test]
fn protocols_are_transports_and_tcp_unless_said_otherwise() {
    let protocols = |protocol: Value| {
        let mut endpoint = json!({ "name": "web" });
        if !protocol.is_null() {
            endpoint["protocol"] = protocol;
        }
        let group = group_of(&pod(&json!({ "endpoints": [endpoint] })));
        let ports = group.tasks[0].discovery.clone().unwrap().ports;
        ports.into_iter().map(|port| port.protocol.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(protocols(Value::Null), ["tcp"]);
    assert_eq!(protocols(json!(["HTTP"])), ["tcp"]);
    assert_eq!(protocols(json!(["http", "tcp"])), ["tcp"]);
    assert_eq!(protocols(json!(["UDP", "https"])), ["udp", "tcp"]);
}

#[test]
fn on_a_network_of_its_own_an_endpoint_without_a_container_port_listens_on_its_host_port() {
    let mut json = pod(&json!({
        "endpoints": [{ "name": "web", "containerPort": 80 }],
        "healthCheck": { "tcp": { "endpoint": "web" } },
    }));
    json["networks"] = json!([{ "mode": "container/bridge" }]);
    // Admission wants the port; what is stored may be older.
    let mut spec = admit(&json);
    spec.containers[0].endpoints[0].container_port = None;
    let group = group(&launch(spec));
    let task = &group.tasks[0];
    assert_eq!(task.discovery.as_ref().unwrap().ports[0].number, 31_000);
    assert_eq!(task.health_check.as_ref().unwrap().probe, Some(Probe::Tcp { port: 31_000 }));
    assert_eq!(variable(task, "EP_CONTAINER_WEB"), Some("31000"));
    let networks = &group.executor.container.as_ref().unwrap().network_infos;
    let mapping = PortMapping { host_port: 31_000, container_port: 31_000, protocol: Some("tcp".to_owned()) };
    assert_eq!(networks[0].port_mappings, [mapping]);
}

#[test]
fn health_checks_find_their_port_and_are_never_left_out() {
    let check = |endpoint: &str| json!({ "http": { "endpoint": endpoint, "path": "/ping" }, "intervalSeconds": 5, "timeoutSeconds": 3 });
    let mut spec = admit(&pod(&json!({ "endpoints": [{ "name": "web" }], "healthCheck": check("web") })));
    let probe = |spec: &PodSpec| group(&launch(spec.clone())).tasks[0].health_check.clone().unwrap().probe;
    let http = |port| Probe::Http { port, path: Some("/ping".to_owned()), scheme: Some(HttpScheme::Http) };
    assert_eq!(probe(&spec), Some(http(31_000)));

    // What follows is beyond admission. An endpoint of another container is as good: the network is shared.
    let mut other = spec.containers[0].clone();
    other.name = "other".to_owned();
    other.health_check = None;
    spec.containers[0].endpoints.clear();
    spec.containers.push(other);
    assert_eq!(probe(&spec), Some(http(31_000)));
    spec.containers[1].endpoints.clear();
    assert_eq!(probe(&spec), None);
}

#[test]
fn exec_health_checks_run_as_the_containers_user() {
    let check = json!({ "exec": { "command": { "argv": ["/check", "-q"] } } });
    let group = group_of(&pod(&json!({ "user": "nobody", "healthCheck": check })));
    let command = CommandInfo {
        value: Some("/check".to_owned()),
        arguments: vec!["/check".to_owned(), "-q".to_owned()],
        user: Some("nobody".to_owned()),
        ..image_entrypoint()
    };
    assert_eq!(
        group.tasks[0].health_check,
        Some(crate::model::mesos::HealthCheck {
            probe: Some(Probe::Command(command)),
            delay: Duration::from_secs(2),
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(20),
            consecutive_failures: 3,
            grace_period: Duration::from_secs(300),
        })
    );
}

#[test]
fn the_executor_outlasts_its_slowest_container() {
    let grace = |seconds: &[Option<f64>]| {
        let containers: Vec<Value> = seconds
            .iter()
            .zip(1..)
            .map(|(seconds, number)| {
                let mut container = json!({ "name": format!("c{number}"), "resources": {} });
                if let Some(seconds) = seconds {
                    container["lifecycle"] = json!({ "killGracePeriodSeconds": seconds });
                }
                container
            })
            .collect();
        let group = group_of(&json!({ "id": "/p", "containers": containers }));
        let own = group.tasks.iter().map(|task| task.kill_grace_period).collect::<Vec<_>>();
        (own, group.executor.shutdown_grace_period)
    };
    assert_eq!(grace(&[None]), (vec![None], None));
    let (minute, half) = (Duration::from_secs(60), Duration::from_millis(500));
    assert_eq!(
        grace(&[Some(0.5), Some(60.0), None]),
        (vec![Some(half), Some(minute), None], Some(minute + SHUTDOWN_MARGIN))
    );
}

#[test]
fn isolation_and_limits() {
    let mut json = pod(&json!({
        "resourceLimits": { "cpus": "unlimited", "mem": 256.5 },
        "linuxInfo": {
            "seccomp": { "profileName": "strict", "unconfined": false },
            "ipcInfo": { "mode": "SHARE_PARENT" },
        },
        "tty": true,
    }));
    json["linuxInfo"] = json!({ "ipcInfo": { "mode": "PRIVATE", "shmSize": 64 } });
    let group = group_of(&json);
    let task = &group.tasks[0];
    let limits = [("cpus".to_owned(), f64::INFINITY), ("mem".to_owned(), 256.5)];
    assert_eq!(task.limits, BTreeMap::from(limits));
    let container = task.container.as_ref().unwrap();
    assert!(container.tty);
    let seccomp = Seccomp { profile_name: Some("strict".to_owned()), unconfined: Some(false) };
    assert_eq!(
        container.linux_info,
        Some(LinuxInfo {
            share_cgroups: Some(false),
            seccomp: Some(seccomp),
            ipc_mode: Some(crate::model::mesos::IpcMode::ShareParent),
            shm_size: None,
        })
    );
    assert_eq!(
        group.executor.container.unwrap().linux_info,
        Some(LinuxInfo {
            share_cgroups: Some(false),
            seccomp: None,
            ipc_mode: Some(crate::model::mesos::IpcMode::Private),
            shm_size: Some(64),
        })
    );
}

#[test]
fn members_that_share_control_groups_do_so_without_the_executor() {
    let mut json = pod(&json!({}));
    json["legacySharedCgroups"] = json!(true);
    let group = group_of(&json);
    let shared = |container: &Option<ContainerInfo>| {
        container.as_ref().and_then(|container| container.linux_info.as_ref()?.share_cgroups)
    };
    assert_eq!(shared(&group.tasks[0].container), Some(true));
    assert_eq!(shared(&group.executor.container), Some(false));
}

#[test]
fn the_discovery_name_leads_from_the_pod_outwards() {
    let mut launch = launch(admit(&pod(&json!({}))));
    let mut spec = (*launch.spec).clone();
    spec.id = PodId::new("/prod/shop/web");
    launch.spec = Arc::new(spec);
    let discovery = group(&launch).tasks[0].discovery.clone().unwrap();
    assert_eq!(discovery.name.as_deref(), Some("web.shop.prod"));
    assert_eq!(discovery.ports, []);
}
