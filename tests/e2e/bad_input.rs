//! Requests that make no sense get Marathon's error shapes, and change nothing.

use podium_tests::Daemon;
use serde_json::{Value, json};

use crate::pod::{container, pod, sleeper};

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A pod that is fine but for the value at a JSON pointer.
fn with(pointer: &str, value: Value) -> String {
    let mut pod = pod("/bad", 1, &[sleeper("main")]);
    pod["containers"][0]["endpoints"] = json!([{ "name": "web", "hostPort": 0 }]);
    *pod.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
    pod.to_string()
}

/// The body's `message`, and the paths of its `details` if that is a list.
fn shape(body: &Value) -> (String, Vec<String>) {
    let message = body["message"].as_str().unwrap_or_else(|| panic!("no message in {body:#}")).to_owned();
    let details = body["details"].as_array().into_iter().flatten();
    let paths = details.map(|detail| {
        let errors = detail["errors"].as_array().unwrap_or_else(|| panic!("no errors in {body:#}"));
        assert!(!errors.is_empty() && errors.iter().all(Value::is_string), "{body:#}");
        detail["path"].as_str().unwrap_or_else(|| panic!("no path in {body:#}")).to_owned()
    });
    (message, paths.collect())
}

#[test]
fn definitions_that_are_refused_say_where_and_why_and_change_nothing() {
    let daemon = Daemon::start();
    let twice = pod("/bad", 1, &[sleeper("main"), sleeper("main")]);
    let mut timeout = pod("/bad", 1, &[sleeper("main")]);
    timeout["containers"][0]["healthCheck"] =
        json!({ "exec": { "command": { "shell": "true" } }, "intervalSeconds": 2, "timeoutSeconds": 2 });
    let mut mount = pod("/bad", 1, &[sleeper("main")]);
    mount["containers"][0]["volumeMounts"] = json!([{ "name": "nowhere", "mountPath": "x" }]);
    let mut unnamed = pod("/bad", 1, &[sleeper("main")]);
    unnamed["networks"] = json!([{ "mode": "container" }]);
    let no_containers = json!({ "id": "/bad", "networks": [{ "mode": "host" }] });

    let (unreadable, invalid) = ("Invalid JSON", "Object is not valid");
    let cases: [(String, u16, &str, &[&str]); 17] = [
        (with("/id", json!("/Bad")), 422, invalid, &["/id"]),
        (with("/id", json!(7)), 422, unreadable, &["/id"]),
        (with("/containers", json!([])), 422, unreadable, &["/containers"]),
        (no_containers.to_string(), 422, unreadable, &["/containers"]),
        (with("/containers/0/name", json!("Main")), 422, unreadable, &["/containers(0)/name"]),
        (
            with("/containers/0/resources/cpus", json!("much")),
            422,
            unreadable,
            &["/containers(0)/resources/cpus"],
        ),
        (with("/containers/0/resources/mem", json!(-1)), 422, unreadable, &["/containers(0)/resources/mem"]),
        (with("/containers/0/exec/command", json!({})), 422, unreadable, &["/containers(0)/exec/command"]),
        (
            with("/containers/0/endpoints/0/hostPort", json!(70_000)),
            422,
            unreadable,
            &["/containers(0)/endpoints(0)/hostPort"],
        ),
        (with("/scaling/instances", json!(-1)), 422, invalid, &["/scaling/instances"]),
        (with("/networks/0/mode", json!("carrier pigeon")), 422, unreadable, &["/networks(0)/mode"]),
        (unnamed.to_string(), 422, invalid, &["/networks"]),
        (twice.to_string(), 422, invalid, &["/containers"]),
        (timeout.to_string(), 422, invalid, &["/containers(0)/healthCheck/timeoutSeconds"]),
        (mount.to_string(), 422, invalid, &["/containers(0)/volumeMounts(0)/name"]),
        (json!([]).to_string(), 422, unreadable, &["/"]),
        (json!("pod").to_string(), 422, unreadable, &["/"]),
    ];
    for (body, status, message, paths) in cases {
        for (method, path) in [("POST", "/v2/pods"), ("PUT", "/v2/pods/bad")] {
            let reply = daemon.request(method, path, &[JSON], &body).expect(status);
            let (said, found) = shape(&reply);
            assert_eq!(
                (said.as_str(), found.iter().map(String::as_str).collect::<Vec<_>>()),
                (message, paths.to_vec()),
                "{body} {reply:#}"
            );
        }
    }

    // Syntax errors have a text for details.
    for (body, message) in
        [("{\"id\":", "Invalid JSON"), ("", "Please specify data in JSON format"), ("{}}", "Invalid JSON")]
    {
        let reply = daemon.request("POST", "/v2/pods", &[JSON], body).expect(400);
        assert_eq!(reply["message"], message);
        assert!(reply["details"].is_string(), "{reply:#}");
    }
    assert_eq!(daemon.get("/v2/pods").expect(200), json!([]));
    assert_eq!(daemon.get("/v2/deployments").expect(200), json!([]));
}

#[test]
fn all_errors_of_a_definition_are_reported_at_once() {
    let daemon = Daemon::start();
    let mut bad = pod("/bad", 1, &[sleeper("A"), sleeper("b")]);
    bad["containers"][1]["resources"]["cpus"] = json!(-1);
    bad["scaling"]["instances"] = json!("two");
    let reply = daemon.request("POST", "/v2/pods", &[JSON], &bad.to_string()).expect(422);
    let (message, paths) = shape(&reply);
    assert_eq!(message, "Invalid JSON");
    assert_eq!(paths, ["/containers(0)/name", "/containers(1)/resources/cpus", "/scaling/instances"]);
}

#[test]
fn requests_that_do_not_fit_what_there_is_are_refused_and_change_nothing() {
    let daemon = Daemon::start();
    let definition = pod("/web", 1, &[sleeper("main")]);
    let created = daemon.create(&definition);
    let status = daemon.wait_until_stable("/web");
    let other = pod("/other", 1, &[sleeper("main")]).to_string();
    let no_such_pod = json!({ "message": "Pod '/none' does not exist", "details": [] });
    let instance = "web.instance-0190163d-8694-739b-aea5-966c26f8ad91";

    for (method, path, body, status, expected) in [
        ("GET", "/v2/pods/none", "", 404, no_such_pod.clone()),
        ("DELETE", "/v2/pods/none", "", 404, no_such_pod.clone()),
        ("GET", "/v2/pods/none::status", "", 404, no_such_pod.clone()),
        ("GET", "/v2/pods/none::versions", "", 404, no_such_pod),
        (
            "POST",
            "/v2/pods",
            &definition.to_string(),
            409,
            json!({ "message": "A pod with id [/web] already exists." }),
        ),
        (
            "PUT",
            "/v2/pods/web",
            &other,
            400,
            json!({ "message": "'/web' does not match definition's id ('/other')" }),
        ),
    ] {
        let reply = daemon.request(method, path, &[JSON], body).expect(status);
        assert_eq!(reply, expected, "{method} {path}");
    }
    for (method, path, headers, body, status) in [
        ("GET", "/v2/pods/web::versions/yesterday", &[][..], "", 422),
        ("GET", "/v2/pods/web::versions/2001-01-01T00:00:00.000Z", &[], "", 404),
        ("GET", "/v2/pods/web::nothing", &[], "", 422),
        ("GET", "/v2/pods/Web", &[], "", 422),
        ("DELETE", &format!("/v2/pods/web::instances/{instance}"), &[], "", 404),
        ("DELETE", "/v2/pods/web::instances/nonsense", &[], "", 422),
        ("DELETE", "/v2/pods/web::instances", &[JSON], "{}", 422),
        ("DELETE", "/v2/deployments/none", &[], "", 404),
        ("POST", "/v2/pods", &[("Content-Type", "text/plain")], &other, 415),
        ("PATCH", "/v2/pods/web", &[], "", 405),
        ("POST", "/v2/pods/web::status", &[JSON], &other, 405),
        ("GET", "/v2/nothing", &[], "", 404),
    ] {
        let reply = daemon.request(method, path, headers, body).expect(status);
        assert!(reply["message"].is_string(), "{method} {path}: {reply:#}");
    }

    assert_eq!(daemon.get("/v2/pods").expect(200), json!([created]));
    let after = daemon.status("/web");
    assert_eq!(after["instances"][0]["containers"], status["instances"][0]["containers"]);
}

#[test]
fn no_input_stops_the_daemon() {
    let daemon = Daemon::start();
    let deep = "[".repeat(100_000);
    let long = "x".repeat(1_000_000);
    let mut many = pod("/many", 1, &[]);
    many["containers"] = (0..2_000).map(|number| container(&format!("c{number}"), "true")).collect();
    many["scaling"]["instances"] = json!(0);
    let bodies = [
        deep,
        with("/id", json!(format!("/{long}"))),
        with("/containers/0/exec/command/shell", json!(long)),
        with("/containers/0/resources/cpus", json!(f64::MAX)),
        with("/containers/0/resources/mem", json!(1e-300)),
        with("/scaling/instances", json!(u64::MAX)),
        with("/id", json!("/\u{0}")),
        with("/containers/0/exec/command/shell", json!("\u{0}\u{202e}\u{1F980}")),
        "\u{feff}{}".to_owned(),
        "nul".to_owned(),
        many.to_string(),
    ];
    for body in &bodies {
        let start: String = body.chars().take(80).collect();
        let reply = daemon.request("POST", "/v2/pods", &[JSON], body);
        assert!(reply.status < 500, "{start}: {reply:?}");
        assert_eq!(daemon.get("/ping").text, "pong", "after {start}");
    }
    let ids = daemon.get("/v2/pods").expect(200);
    for id in ids.as_array().unwrap().iter().filter_map(|pod| pod["id"].as_str()) {
        daemon.delete(&format!("/v2/pods{id}?force=true")).expect(202);
        daemon.wait_until_gone(id);
    }
    let log = daemon.log();
    assert!(!log.contains("panicked"), "{log}");
}
