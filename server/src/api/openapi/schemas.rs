//! The schemas of the document: of what is answered, derived from the types that are serialised, and of what may
//! be sent, which is the same with less required.

use podium_core::model::group::GroupUpdate;
use podium_core::model::ids::InstanceId;
use podium_core::model::pod::PodSpec;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::api::error;

/// Where components are.
const COMPONENTS: &str = "#/components/schemas/";

/// Sets the types of what is sent apart from those of what is answered.
const INPUT: &str = "Input";

/// The fields that a client has to send, by type. Everything else has a default; what readers insist on is checked
/// against this by a test.
const REQUIRED: [(&str, &[&str]); 14] = [
    ("Artifact", &["uri"]),
    ("Constraint", &["fieldName", "operator"]),
    ("Container", &["name", "resources"]),
    ("Deadline", &["seconds"]),
    ("Endpoint", &["name"]),
    ("Exec", &["command"]),
    ("Image", &["kind", "id"]),
    ("IpcInfo", &["mode"]),
    ("PersistentVolume", &["size"]),
    ("PodSpec", &["id", "containers"]),
    ("PullConfig", &["secret"]),
    ("SecretSource", &["source"]),
    ("Volume", &["name"]),
    ("VolumeMount", &["name", "mountPath"]),
];

/// A name (Marathon's `strings.Name`).
const NAME: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// What admission demands of single fields, by type. It knows rules between fields as well, which no schema can say.
fn limits() -> [(&'static str, &'static str, Value); 32] {
    let name = || json!({"pattern": NAME, "minLength": 1, "maxLength": 63});
    let not_negative = || json!({"minimum": 0});
    let path = || json!({"minLength": 1, "maxLength": 1024});
    [
        ("Artifact", "destPath", path()),
        ("Artifact", "uri", path()),
        ("Backoff", "backoff", not_negative()),
        ("Backoff", "backoffFactor", not_negative()),
        ("Backoff", "maxLaunchDelay", not_negative()),
        ("Container", "name", name()),
        ("Container", "environment", json!({"propertyNames": {"pattern": "^[a-zA-Z_][a-zA-Z0-9_]{0,253}$"}})),
        ("Deadline", "seconds", json!({"minimum": 1})),
        ("Endpoint", "containerPort", json!({"minimum": 1, "maximum": 65535})),
        ("Endpoint", "hostPort", json!({"minimum": 0, "maximum": 65535})),
        ("Endpoint", "name", name()),
        ("Endpoint", "protocol", json!({"minItems": 1})),
        ("ExecutorResources", "cpus", json!({"minimum": 0.1})),
        ("ExecutorResources", "disk", json!({"minimum": 10})),
        ("ExecutorResources", "mem", json!({"minimum": 32})),
        ("FailingAgents", "failures", json!({"minimum": 1})),
        ("FailingAgents", "seconds", json!({"minimum": 1})),
        ("Image", "id", path()),
        ("Lifecycle", "killGracePeriodSeconds", not_negative()),
        ("Network", "name", json!({"pattern": "^[a-z0-9]([-a-z0-9_]*[a-z0-9])?$", "maxLength": 63})),
        ("PodSpec", "containers", json!({"minItems": 1})),
        ("PodSpec", "environment", json!({"propertyNames": {"pattern": "^[a-zA-Z_][a-zA-Z0-9_]{0,253}$"}})),
        (
            "PodSpec",
            "id",
            json!({"pattern": "^/[a-z0-9]([-a-z0-9]*[a-z0-9])?(/[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"}),
        ),
        ("PodSpec", "user", json!({"minLength": 1})),
        ("PullConfig", "secret", json!({"minLength": 1})),
        ("Resources", "cpus", json!({"minimum": 0.001})),
        ("Resources", "disk", not_negative()),
        ("Resources", "mem", json!({"minimum": 0.001})),
        ("SecretSource", "source", json!({"minLength": 1})),
        ("Upgrade", "maximumOverCapacity", json!({"minimum": 0, "maximum": 1})),
        ("Upgrade", "minimumHealthCapacity", json!({"minimum": 0, "maximum": 1})),
        ("VolumeMount", "mountPath", path()),
    ]
}

/// What a parameter may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Flag,
    GroupEmbed,
    /// Of a pod or a group.
    Id,
    InstanceId,
    QueueEmbed,
    TaskStates,
    Timestamp,
    Word,
    Words,
}

/// The schema of a parameter.
pub(super) fn of_parameter(kind: Kind) -> Value {
    match kind {
        Kind::Flag => json!({"type": "boolean", "default": false}),
        Kind::GroupEmbed => {
            json!({"type": "array", "items": {"type": "string", "enum": ["group.pods", "group.groups"]}})
        }
        Kind::Id => json!({"type": "string", "pattern": "^/?[a-z0-9]+(/[a-z0-9]+)*$"}),
        Kind::InstanceId => {
            json!({"type": "string", "pattern": r"^.+\.instance-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"})
        }
        Kind::QueueEmbed => {
            json!({"type": "array", "items": {"type": "string", "enum": ["lastUnusedOffers"]}})
        }
        Kind::TaskStates => {
            json!({"type": "array", "items": {"type": "string", "enum": ["running", "staging"]}})
        }
        Kind::Timestamp => json!({"type": "string", "format": "date-time"}),
        Kind::Word => json!({"type": "string"}),
        Kind::Words => json!({"type": "array", "items": {"type": "string"}}),
    }
}

/// A value that helps people to understand a parameter.
pub(super) fn example(kind: Kind) -> Option<Value> {
    match kind {
        Kind::Id => Some(json!("simplepod")),
        Kind::Timestamp => Some(json!("2017-01-03T18:21:19.310Z")),
        Kind::InstanceId => Some(json!("simplepod.instance-0190163d-8694-739b-aea5-966c26f8ad91")),
        Kind::Flag | Kind::GroupEmbed | Kind::QueueEmbed | Kind::TaskStates | Kind::Word | Kind::Words => {
            None
        }
    }
}

/// Collects schemas while the document is written.
pub(super) struct Schemas {
    output: SchemaGenerator,
    input: SchemaGenerator,
}

impl Schemas {
    pub(super) fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = COMPONENTS.trim_start_matches('#').trim_end_matches('/').into();
                settings.meta_schema = None;
            })
        };
        Self {
            output: settings().for_serialize().into_generator(),
            input: settings().for_serialize().into_generator(),
        }
    }

    /// What is answered.
    pub(super) fn output<T: JsonSchema>(&mut self) -> Value {
        self.output.subschema_for::<T>().to_value()
    }

    /// The body of every refusal.
    pub(super) fn error(&mut self) -> Value {
        self.output::<error::Body>()
    }

    /// The body of a request that begins or changes a pod.
    pub(super) fn pod_definition(&mut self) -> Value {
        as_input(self.input.subschema_for::<PodSpec>().to_value())
    }

    /// The body of a request that begins or changes a group.
    pub(super) fn group_update(&mut self) -> Value {
        as_input(self.input.subschema_for::<GroupUpdate>().to_value())
    }

    /// The body of a `PATCH` of a group.
    pub(super) fn enforce_role(&mut self) -> Value {
        json!({"type": "object", "properties": {"enforceRole": {"type": "boolean"}}, "required": ["enforceRole"]})
    }

    /// An instance's id as clients send it.
    pub(super) fn instance_id(&mut self) -> Value {
        self.output::<InstanceId>()
    }

    pub(super) fn task_ids(&mut self) -> Value {
        let ids = json!({"type": "array", "items": {"type": "string"}});
        json!({"type": "object", "properties": {"ids": ids}, "required": ["ids"]})
    }

    pub(super) fn any_object(&mut self) -> Value {
        json!({"type": "object"})
    }

    /// Everything that was referred to.
    pub(super) fn into_components(mut self) -> Map<String, Value> {
        let mut components = Map::new();
        for (name, mut schema) in self.output.take_definitions(true) {
            close(&mut schema);
            never_null(&mut schema);
            plain_words(&mut schema);
            components.insert(name, schema);
        }
        for (name, schema) in self.input.take_definitions(true) {
            let mut schema = as_input(schema);
            open(&mut schema);
            require(&name, &mut schema);
            limit(&name, &mut schema);
            if name == "GroupUpdate" {
                complete_group_update(&mut schema);
            }
            plain_words(&mut schema);
            components.insert(format!("{name}{INPUT}"), schema);
        }
        components
    }
}

/// Answers have no fields that the document does not name.
fn close(schema: &mut Value) {
    if schema["type"] == "object" && schema.get("properties").is_some() {
        schema["unevaluatedProperties"] = json!(false);
        if let Some(schema) = schema.as_object_mut() {
            schema.remove("additionalProperties");
        }
    }
}

/// What is absent from an answer is left out. What is required may still be `null`.
fn never_null(schema: &mut Value) {
    walk(schema, &mut |schema| {
        let required = schema.get("required").cloned().unwrap_or_default();
        let is_required = |name: &str| {
            required.as_array().is_some_and(|required| required.iter().any(|field| field == name))
        };
        let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
        for (_, property) in properties.iter_mut().filter(|(name, _)| !is_required(name)) {
            if let Some(Value::Array(types)) = property.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [only] = &types[..] {
                    property["type"] = only.clone();
                }
            }
            if let Some(Value::Array(alternatives)) = property.get_mut("anyOf") {
                alternatives.retain(|alternative| alternative["type"] != "null");
            }
        }
    });
}

/// Requests may have any.
fn open(schema: &mut Value) {
    walk(schema, &mut |schema| {
        for word in ["additionalProperties", "unevaluatedProperties"] {
            if schema.get(word) == Some(&json!(false)) {
                schema.remove(word);
            }
        }
    });
}

/// Leaves out of `required` what has a default.
fn require(name: &str, schema: &mut Value) {
    let fields = REQUIRED.iter().find(|(found, _)| *found == name).map_or(&[][..], |(_, fields)| fields);
    let Some(schema) = schema.as_object_mut() else { return };
    if schema.contains_key("properties") {
        schema.remove("required");
        if !fields.is_empty() {
            schema.insert("required".to_owned(), json!(fields));
        }
    }
    // Of alternatives, only what tells them apart is asked for.
    walk_values(schema.get_mut("anyOf").filter(|_| name == "UnreachableStrategy"), &mut |schema| {
        schema.remove("required");
    });
    walk_values(schema.get_mut("oneOf").filter(|_| name == "HealthCheck"), &mut |schema| {
        if let Some(Value::Array(required)) = schema.get_mut("required") {
            required.retain(|field| field != "scheme");
        }
    });
}

/// Adds what admission demands.
fn limit(name: &str, schema: &mut Value) {
    for (_, field, limits) in limits().into_iter().filter(|(found, ..)| *found == name) {
        if let (Value::Object(property), Value::Object(limits)) = (&mut schema["properties"][field], limits) {
            property.extend(limits);
        }
    }
}

/// Adds what is read and not kept.
fn complete_group_update(schema: &mut Value) {
    schema["description"] = json!("What a group shall be");
    let properties = &mut schema["properties"];
    properties["apps"] =
        json!({"type": "array", "maxItems": 0, "description": "Must be empty: there are no apps"});
    // As `GET` of a group or of a pod shows it.
    properties["pods"]["items"] = json!({"type": "object"});
    // The one that the request is sent to need not be named.
    let group = properties["groups"]["items"].take();
    properties["groups"]["items"] = json!({"allOf": [group, {"required": ["id"]}]});
}

/// Refers to the types of what is sent.
fn as_input(mut schema: Value) -> Value {
    walk(&mut schema, &mut |schema| {
        if let Some(Value::String(reference)) = schema.get_mut("$ref") {
            reference.push_str(INPUT);
        }
    });
    schema
}

/// Descriptions come from the code, where names are links.
fn plain_words(schema: &mut Value) {
    walk(schema, &mut |schema| {
        if let Some(Value::String(text)) = schema.get_mut("description") {
            while let Some(start) = text.find("`](") {
                let end = text[start..].find(')').map_or(text.len(), |length| start + length + 1);
                text.replace_range(start..end, "`");
            }
            *text = text.replace("[`", "`").replace("`]", "`");
        }
    });
}

/// Visits every object in part of a schema, if there is that part.
fn walk_values(schema: Option<&mut Value>, visit: &mut impl FnMut(&mut Map<String, Value>)) {
    if let Some(schema) = schema {
        walk(schema, visit);
    }
}

/// Visits every object in a schema.
fn walk(schema: &mut Value, visit: &mut impl FnMut(&mut Map<String, Value>)) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, visit)),
        Value::Object(object) => {
            visit(object);
            object.values_mut().for_each(|value| walk(value, visit));
        }
        _ => {}
    }
}
