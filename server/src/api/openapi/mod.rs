//! `/v2/openapi.json`: what the API takes and answers, as an OpenAPI 3.1 document.
//!
//! ```text
//!   operations   a table: method, path, parameters, bodies, answers ──┐
//!   the types that handlers serialise ──► schemas (schemars) ─────────┴──► the document
//! ```
//!
//! Fields cannot be forgotten, because schemas are derived from the types that are serialised. That the table says
//! what the router does is what the tests beside it and in `tests/openapi.rs` are for.

mod operations;
mod schemas;

use std::sync::LazyLock;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};

use operations::{Answer, Content, OPERATIONS, Operation, Parameter, Place, Shape};
use schemas::Schemas;

/// The document; always the same for one build.
static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

/// `GET /v2/openapi.json`
pub(super) async fn show() -> Response {
    super::json(StatusCode::OK, &*DOCUMENT)
}

/// What can be wrong with any request: status, and what it means.
const ALWAYS: [(u16, &str); 3] = [
    (400, "The path is not UTF-8"),
    (406, "The client reads nothing that this answers with"),
    (503, "Too many requests at once, or the daemon is ending"),
];

/// What can be wrong with a body.
const WITH_BODY: [(u16, &str); 4] = [
    (408, "The body did not arrive in time"),
    (413, "The body is too large"),
    (415, "The body is not application/json"),
    (422, "The body breaks a rule; details say where and which"),
];

fn document() -> Value {
    let mut schemas = Schemas::new();
    let error = schemas.error();
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let item = paths.entry(operation.path).or_insert_with(|| json!({}));
        item[operation.method.to_lowercase()] = describe(operation, &mut schemas, &error);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Podium",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The pods API of Marathon. Where there is GET there is HEAD as well, and every path \
                answers OPTIONS. Pod and group ids are paths: their slashes need not be encoded, and the \
                leading one may be left out.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}
        },
        "paths": paths,
        "components": {"schemas": schemas.into_components()}
    })
}

fn describe(operation: &Operation, schemas: &mut Schemas, error: &Value) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": operation.parameters.iter().map(show_parameter).collect::<Vec<_>>(),
    });
    if let Some(body) = operation.body {
        let schema = show_shape(body, schemas);
        described["requestBody"] =
            json!({"required": true, "content": {"application/json": {"schema": schema}}});
    }
    let mut responses = Map::new();
    for answer in operation.answers {
        responses.insert(answer.status.to_string(), show_answer(answer, schemas));
    }
    let with_body: &[(u16, &str)] = if operation.body.is_some() { &WITH_BODY } else { &[] };
    for (status, description) in operation.refusals.iter().chain(with_body).chain(&ALWAYS) {
        responses.entry(status.to_string()).or_insert_with(
            || json!({"description": description, "content": {"application/json": {"schema": error}}}),
        );
    }
    described["responses"] = Value::Object(responses);
    described
}

fn show_parameter(parameter: &Parameter) -> Value {
    let place = match parameter.place {
        Place::Header => "header",
        Place::Path => "path",
        Place::Query => "query",
    };
    let mut shown = json!({
        "name": parameter.name,
        "in": place,
        "required": matches!(parameter.place, Place::Path),
        "description": parameter.description,
        "schema": schemas::of_parameter(parameter.kind),
    });
    if let Some(example) = schemas::example(parameter.kind) {
        shown["example"] = example;
    }
    shown
}

fn show_answer(answer: &Answer, schemas: &mut Schemas) -> Value {
    let mut shown = json!({"description": answer.description});
    match answer.content {
        Content::Nothing => {}
        Content::Json(shape) => {
            shown["content"] = json!({"application/json": {"schema": show_shape(shape, schemas)}});
        }
        Content::Text(types) => {
            let types = types.iter().map(|name| ((*name).to_owned(), json!({"schema": {"type": "string"}})));
            shown["content"] = Value::Object(types.collect());
        }
    }
    if !answer.headers.is_empty() {
        let headers = answer.headers.iter().map(|(name, description)| {
            ((*name).to_owned(), json!({"description": description, "schema": {"type": "string"}}))
        });
        shown["headers"] = Value::Object(headers.collect());
    }
    shown
}

fn show_shape(shape: Shape, schemas: &mut Schemas) -> Value {
    match shape {
        Shape::One(schema) => schema(schemas),
        Shape::List(schema) => json!({"type": "array", "items": schema(schemas)}),
        Shape::Either(one, other) => json!({"anyOf": [one(schemas), other(schemas)]}),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api;

    /// A path of the document with something in the place of each parameter.
    fn filled_in(path: &str) -> String {
        path.replace("{version}", "2017-01-03T18:21:19.310Z")
            .replace("{instanceId}", "a_b.instance-0190163d-8694-739b-aea5-966c26f8ad91")
            .replace("{id}", "a/b")
    }

    #[test]
    fn paths_are_those_of_the_router() {
        let documented: BTreeSet<&str> = OPERATIONS.iter().map(|operation| operation.path).collect();
        let mut rooms = BTreeSet::new();
        for (pattern, _) in api::routes() {
            match pattern.strip_suffix("{*rest}") {
                // A part of the API that takes paths apart itself.
                Some(room) => {
                    rooms.insert(room);
                }
                None => assert!(documented.contains(pattern), "{pattern} is not in the document"),
            }
        }
        assert_eq!(Vec::from_iter(rooms), ["/v2/groups/", "/v2/pods/", "/v2/queue/"]);
        let patterns: BTreeSet<&str> = api::routes().into_iter().map(|(pattern, _)| pattern).collect();
        for path in documented {
            let template = match path {
                path if path.starts_with("/v2/pods") => api::path::template_of(&filled_in(path)),
                path if path.starts_with("/v2/groups") => api::groups::template_of(&filled_in(path)),
                path if path.starts_with("/v2/queue/") => Some("/v2/queue/{id}/delay"),
                path => patterns.get(path).copied(),
            };
            assert_eq!(template, Some(path));
        }
    }

    #[test]
    fn whatever_a_path_can_name_is_documented() {
        let paths: BTreeSet<String> = OPERATIONS.iter().map(|operation| filled_in(operation.path)).collect();
        assert_eq!(api::path::kinds_named(&paths), api::path::KINDS);
        assert_eq!(api::groups::kinds_named(&paths), api::groups::KINDS);
    }

    #[test]
    fn every_operation_is_there_once() {
        let operations: BTreeSet<_> =
            OPERATIONS.iter().map(|operation| (operation.path, operation.method)).collect();
        let ids: BTreeSet<_> = OPERATIONS.iter().map(|operation| operation.id).collect();
        assert_eq!((operations.len(), ids.len()), (OPERATIONS.len(), OPERATIONS.len()));
        for operation in OPERATIONS {
            let in_path = operation.parameters.iter().filter(|parameter| parameter.place == Place::Path);
            let named: Vec<String> = in_path.map(|parameter| format!("{{{}}}", parameter.name)).collect();
            assert_eq!(named.len(), operation.path.matches('{').count(), "{}", operation.path);
            assert!(named.iter().all(|name| operation.path.contains(name)), "{}", operation.path);
        }
    }
}
