//! The API's document against the API: methods, and what the definitions of pods and groups may and must have.

mod support;

use std::collections::BTreeSet;

use podium_core::admission::{Rules, read_enforce_role, read_group, read_pod};
use podium_core::model::group::GroupUpdate;
use podium_core::model::ids::GroupId;
use serde_json::{Map, Value, json};
use support::server::Server;

#[tokio::test]
async fn methods_are_those_of_the_document() {
    let server = Server::start().await;
    let document = server.get("/v2/openapi.json").await;
    for (path, item) in document["paths"].as_object().unwrap() {
        let mut documented: BTreeSet<String> =
            item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        if documented.contains("GET") {
            documented.insert("HEAD".to_owned());
        }
        let path = path
            .replace("{version}", "2017-01-03T18:21:19.310Z")
            .replace("{instanceId}", "a_b.instance-0190163d-8694-739b-aea5-966c26f8ad91")
            .replace("{id}", "a");
        let options = server.request("OPTIONS", &path).send().await.unwrap();
        let Some(allowed) = options.headers().get("allow") else { panic!("{path}: {options:?}") };
        let allowed = allowed.to_str().unwrap().split(',').map(|word| word.trim().to_owned());
        let allowed: BTreeSet<String> = allowed.filter(|method| method != "OPTIONS").collect();
        assert_eq!(allowed, documented, "{path}");
        for method in ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT", "TRACE"] {
            let status = server.request(method, &path).send().await.unwrap().status();
            assert_eq!(status != 405, documented.contains(method), "{method} {path}: {status}");
        }
    }
}

/// Definitions that together have every field of the document, each of them valid.
fn complete_pods() -> [Value; 3] {
    let mount = |name: &str| json!({"name": name, "mountPath": name, "readOnly": true});
    let mounts = json!([mount("ephemeral"), mount("host"), mount("secret")]);
    let container = |name: &str, port: u16, health_check: Value, more: Value| {
        let mut container = json!({
            "name": name,
            "exec": {"command": {"shell": "sleep 1000"}, "overrideEntrypoint": true},
            "resources": {"cpus": 0.1, "mem": 32, "disk": 1, "gpus": 0},
            "resourceLimits": {"cpus": 1, "mem": "unlimited"},
            "endpoints": [{
                "name": format!("web-{name}"), "containerPort": port, "hostPort": 0, "protocol": ["tcp"],
                "labels": {"l": "v"}, "networkNames": ["net"]
            }],
            "image": {
                "kind": "DOCKER", "id": "alpine", "pullConfig": {"secret": "pull"}, "forcePull": true,
                "labels": {"l": "v"}
            },
            "environment": {"A": "b", "S": {"secret": "pull"}},
            "user": "nobody",
            "healthCheck": health_check,
            "volumeMounts": mounts,
            "artifacts": [{
                "uri": "http://a/b", "extract": true, "executable": false, "cache": true, "destPath": "c"
            }],
            "labels": {"l": "v"},
            "lifecycle": {"killGracePeriodSeconds": 1.5},
            "linuxInfo": {"seccomp": {"profileName": "p", "unconfined": false}, "ipcInfo": {
                "mode": "PRIVATE", "shmSize": 8
            }},
            "tty": false
        });
        let (Value::Object(fields), Value::Object(more)) = (&mut container, more) else { panic!() };
        fields.extend(more);
        container
    };
    let times = |probe: Value| {
        let mut check = json!({
            "gracePeriodSeconds": 300, "intervalSeconds": 60, "maxConsecutiveFailures": 3,
            "timeoutSeconds": 20, "delaySeconds": 2
        });
        let (Value::Object(fields), Value::Object(probe)) = (&mut check, probe) else { panic!() };
        fields.extend(probe);
        check
    };
    let argv = json!({"exec": {"command": {"argv": ["sleep", "1"]}}});
    let pod = json!({
        "id": "/a/b",
        "version": "2017-01-03T18:21:19.310Z",
        "labels": {"l": "v"},
        "user": "nobody",
        "environment": {"A": "b", "S": {"secret": "pull"}},
        "containers": [
            container("http", 80, times(json!({
                "http": {"endpoint": "web-http", "path": "/", "scheme": "HTTP"}
            })), json!({})),
            container("tcp", 81, times(json!({"tcp": {"endpoint": "web-tcp"}})), argv),
            container("exec", 82, times(json!({"exec": {"command": {"argv": ["true"]}}})), json!({})),
            container("shell", 83, times(json!({"exec": {"command": {"shell": "true"}}})), json!({})),
        ],
        "secrets": {"pull": {"source": "/s"}},
        "volumes": [{"name": "ephemeral"}, {"name": "host", "host": "/h"}, {"name": "secret", "secret": "pull"}],
        "networks": [{"mode": "container", "name": "net", "labels": {"l": "v"}}],
        "scaling": {"kind": "fixed", "instances": 1, "maxInstances": 2},
        "scheduling": {
            "backoff": {
                "backoff": 1, "backoffFactor": 1.15, "maxLaunchDelay": 3600,
                "failingAgents": {"failures": 3, "seconds": 60}
            },
            "upgrade": {
                "minimumHealthCapacity": 1, "maximumOverCapacity": 1,
                "deadline": {"seconds": 60, "action": "STOP"}
            },
            "placement": {
                "constraints": [{"fieldName": "@hostname", "operator": "LIKE", "value": "a.*"}],
                "acceptedResourceRoles": ["*"]
            },
            "killSelection": "YOUNGEST_FIRST",
            "unreachableStrategy": {
                "inactiveAfterSeconds": 1, "expungeAfterSeconds": 2, "onReturn": "BEST_HEALTH"
            }
        },
        "executorResources": {"cpus": 0.1, "mem": 32, "disk": 10},
        "role": "*",
        "linuxInfo": {"ipcInfo": {"mode": "PRIVATE", "shmSize": 8}}
    });
    let mut persistent = pod.clone();
    for container in persistent["containers"].as_array_mut().unwrap() {
        container["volumeMounts"] = json!([mount("ephemeral"), mount("persistent")]);
        container.as_object_mut().unwrap().remove("resourceLimits");
    }
    persistent["legacySharedCgroups"] = json!(true);
    persistent["role"] = json!("a");
    persistent["volumes"] = json!([{"name": "ephemeral"}, {"name": "persistent", "persistent": {
        "type": "mount", "size": 1, "maxSize": 2, "profileName": "p", "constraints": [["path", "LIKE", "a"]]
    }}]);
    persistent["scheduling"]["upgrade"]["maximumOverCapacity"] = json!(0);
    persistent["scheduling"]["unreachableStrategy"] = json!("disabled");
    let mut limited = pod.clone();
    limited["containers"][0]["resourceLimits"] = json!({"cpus": "unlimited", "mem": 64});
    [pod, persistent, limited]
}

fn rules() -> Rules {
    // With the network's name, which may be left out then.
    Rules { secrets: true, default_network_name: Some("net".to_owned()), ..Rules::default() }
}

/// A walk through values and their schemas side by side.
struct Walk<'a> {
    components: &'a Map<String, Value>,
    /// Properties that were met, with the schema they belong to.
    met: BTreeSet<(String, String)>,
    /// Fields that are there, by their paths in the value, and whether they are required.
    fields: Vec<(String, bool)>,
}

impl<'a> Walk<'a> {
    fn new(document: &'a Value) -> Self {
        let components = document["components"]["schemas"].as_object().unwrap();
        Self { components, met: BTreeSet::new(), fields: Vec::new() }
    }

    fn resolve(&self, name: &str, schema: &'a Value) -> (String, &'a Value) {
        match schema["$ref"].as_str() {
            Some(reference) => {
                let name = reference.rsplit('/').next().unwrap();
                (name.to_owned(), &self.components[name])
            }
            None => (name.to_owned(), schema),
        }
    }

    /// All properties below `schema`, with the schema they belong to.
    fn properties(&self, name: &str, schema: &'a Value, found: &mut BTreeSet<(String, String)>) {
        let (name, schema) = self.resolve(name, schema);
        for (property, schema) in schema["properties"].as_object().into_iter().flatten() {
            if found.insert((name.clone(), property.clone())) {
                self.properties(&format!("{name}.{property}"), schema, found);
            }
        }
        for part in ["anyOf", "oneOf"] {
            for schema in schema[part].as_array().into_iter().flatten() {
                self.properties(&name, schema, found);
            }
        }
        for part in ["items", "additionalProperties"] {
            if schema[part].is_object() {
                self.properties(&name, &schema[part], found);
            }
        }
    }

    fn walk(&mut self, name: &str, schema: &'a Value, value: &Value, path: &str) {
        let (name, schema) = self.resolve(name, schema);
        for part in ["anyOf", "oneOf"] {
            for schema in schema[part].as_array().into_iter().flatten() {
                // What tells alternatives apart is neither required nor optional.
                let fields = self.fields.len();
                self.walk(&name, schema, value, path);
                let depth = path.matches('/').count() + 1;
                let new = self.fields.split_off(fields);
                self.fields.extend(new.into_iter().filter(|(field, _)| field.matches('/').count() > depth));
            }
        }
        match value {
            Value::Array(items) if schema["items"].is_object() => {
                for (index, item) in items.iter().enumerate() {
                    self.walk(&name, &schema["items"], item, &format!("{path}/{index}"));
                }
            }
            Value::Object(fields) => {
                let required = schema["required"].as_array();
                for (field, value) in fields {
                    let path = format!("{path}/{field}");
                    if let Some(schema) = schema["properties"].get(field) {
                        self.met.insert((name.clone(), field.clone()));
                        let is_required =
                            required.is_some_and(|required| required.iter().any(|name| name == field));
                        self.fields.push((path.clone(), is_required));
                        self.walk(&format!("{name}.{field}"), schema, value, &path);
                    } else if schema["additionalProperties"].is_object() {
                        self.walk(&name, &schema["additionalProperties"], value, &path);
                    }
                }
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn pod_definitions_have_the_documented_fields() {
    let document = Server::start().await.get("/v2/openapi.json").await;
    let schema = json!({"$ref": "#/components/schemas/PodSpecInput"});
    let mut walk = Walk::new(&document);
    let mut documented = BTreeSet::new();
    walk.properties("", &schema, &mut documented);
    for pod in complete_pods() {
        walk.fields.clear();
        walk.walk("", &schema, &pod, "");
        let read = read_pod(&pod, &rules()).unwrap();
        assert_eq!(read.unknown_fields, [""; 0], "documented, but not known");
        // What is answered has no other fields either.
        let shown = serde_json::to_value(&read.pod).unwrap();
        walk.walk("", &schema, &shown, "");
        for (path, is_required) in walk.fields.clone() {
            let mut without = pod.clone();
            let (parent, field) = path.rsplit_once('/').unwrap();
            let Some(parent) = without.pointer_mut(parent).and_then(Value::as_object_mut) else { continue };
            parent.remove(field);
            let result = read_pod(&without, &rules());
            let missing = result.as_ref().is_err_and(|error| {
                error.details.iter().any(|violation| {
                    violation.path.replace(['(', ')'], "/").replace("//", "/") == path
                        && violation.errors.iter().any(|error| error.starts_with("error.path.missing"))
                })
            });
            assert_eq!(missing, is_required, "without {path}: {result:?}");
        }
    }
    let unused: Vec<_> = documented.difference(&walk.met).collect();
    assert!(unused.is_empty(), "no definition has {unused:?}");
}

fn names(object: &Value) -> BTreeSet<String> {
    object.as_object().unwrap().keys().cloned().collect()
}

#[tokio::test]
async fn groups_have_the_documented_fields() {
    let server = Server::start().await;
    let document = server.get("/v2/openapi.json").await;
    let documented = names(&document["components"]["schemas"]["GroupUpdateInput"]["properties"]);
    let read = |body: &Value| read_group(body, &"/g".into(), &rules());

    // What is documented is known.
    let fields = |id: &str, groups: Value| json!({"id": id, "apps": [], "dependencies": ["/x"], "enforceRole": false, "groups": groups, "pods": []});
    let group = fields("/g", json!([fields("a", json!([]))]));
    assert_eq!(read(&group).unwrap().unknown_fields, [""; 0]);
    assert!(read(&json!({"version": "2017-01-03T18:21:19.310Z"})).unwrap().update.version.is_some());
    let mut known = names(&group);
    known.insert("version".to_owned());
    assert_eq!(known, documented);

    // What is kept, or answered, is documented.
    let kept = names(&serde_json::to_value(GroupUpdate::new(GroupId::root())).unwrap());
    let sent = server.request("PUT", "/v2/groups").json(&group).send().await.unwrap();
    assert_eq!(sent.status(), 200, "{}", sent.text().await.unwrap());
    let answered = names(&server.get("/v2/groups/g").await);
    assert_eq!(kept.union(&answered).collect::<Vec<_>>(), Vec::from_iter(&documented));

    // The only thing that is required is the id of a group in another one.
    for path in ["", "/groups/0"] {
        for field in &documented {
            let mut without = group.clone();
            without.pointer_mut(path).unwrap().as_object_mut().unwrap().remove(field);
            assert_eq!(
                read(&without).is_err(),
                (path, field.as_str()) == ("/groups/0", "id"),
                "{path} {field}"
            );
        }
    }
    let schema = &document["components"]["schemas"]["GroupUpdateInput"];
    assert_eq!(schema.get("required"), None);
    assert_eq!(schema["properties"]["groups"]["items"]["allOf"][1], json!({"required": ["id"]}));

    // The body that only says whether the role is enforced.
    let patch = document["paths"]["/v2/groups/{id}"]["patch"]["requestBody"].clone();
    let patch = &patch["content"]["application/json"]["schema"];
    assert_eq!(names(&patch["properties"]), BTreeSet::from(["enforceRole".to_owned()]));
    assert_eq!(read_enforce_role(&json!({"enforceRole": true})), Ok(true));
    assert!(patch["required"] == json!(["enforceRole"]) && read_enforce_role(&json!({})).is_err());
}
