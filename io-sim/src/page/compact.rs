//! JSON with less in it: a page holds thousands of moments.

use podium_core::model::mesos::{Call, Event, Offer, Resource, ResourceValue};
use podium_core::{Action, Input};
use serde_json::{Map, Value, json};

/// What the scheduler was told, in short and in full.
pub(super) fn input(input: &Input) -> (String, Value) {
    match input {
        Input::Command { command, .. } => {
            let command = clean(serde_json::to_value(command).unwrap_or_default());
            (format!("command {}", tag(&command)), command)
        }
        Input::Disconnected => ("disconnected".to_owned(), Value::Null),
        Input::FrameworkRemoved => ("framework removed".to_owned(), Value::Null),
        Input::Refused { call, reason } => {
            let call = clean(serde_json::to_value(call).unwrap_or_default());
            (format!("{} refused", tag(&call)), json!({ "call": call, "reason": reason }))
        }
        Input::Secrets(report) => ("secrets".to_owned(), serde_json::to_value(report).unwrap_or_default()),
        Input::Resumed => ("resumed".to_owned(), Value::Null),
        Input::Tick => ("tick".to_owned(), Value::Null),
        Input::Event(event) => match &**event {
            // The greater part of all data, were it not shortened.
            Event::Offers(offers) => (format!("{} offers", offers.len()), offers.iter().map(offer).collect()),
            Event::Update(status) => (
                format!("{} for {}", status.state.as_str(), status.task_id),
                clean(serde_json::to_value(status).unwrap_or_default()),
            ),
            event => {
                let event = clean(serde_json::to_value(event).unwrap_or_default());
                (format!("event {}", tag(&event)), event)
            }
        },
    }
}

/// An action, in short and in full.
pub(super) fn action(action: &Action) -> (String, Value) {
    let value = match action {
        Action::Accept(accept) => {
            let launches = accept.launches.iter().map(|launch| {
                json!({ "instance": launch.instance.to_string(), "incarnation": launch.incarnation })
            });
            let mut value = json!({ "offers": accept.offer_ids, "launches": launches.collect::<Vec<_>>() });
            if !accept.release.is_empty() {
                value["release"] = serde_json::to_value(&accept.release).unwrap_or_default();
            }
            value
        }
        // An acknowledgement repeats what was acknowledged.
        Action::Call(Call::Acknowledge { task_id, .. }) => json!({ "acknowledge": task_id }),
        Action::Call(call) => serde_json::to_value(call).unwrap_or_default(),
        Action::LookUpSecrets(paths) => json!(paths),
        Action::Publish(event) => {
            let mut event = serde_json::to_value(&event.kind).unwrap_or_default();
            // What is said of a task is there as the input already.
            if event["eventType"] == "status_update_event"
                && let Some(fields) = event.as_object_mut()
            {
                fields.retain(|name, _| ["eventType", "taskId", "taskStatus"].contains(&name.as_str()));
            }
            // And what became of an instance is in its record.
            if event["eventType"] == "instance_changed_event"
                && let Some(fields) = event.as_object_mut()
            {
                fields.retain(|name, _| ["eventType", "instanceId", "condition"].contains(&name.as_str()));
            }
            event
        }
        Action::Reply { result, .. } => serde_json::to_value(result).unwrap_or_default(),
    };
    let value = clean(value);
    let what = match action {
        Action::Accept(_) => "accept".to_owned(),
        Action::Call(_) => format!("call {}", tag(&value)),
        Action::LookUpSecrets(_) => "look up secrets".to_owned(),
        Action::Publish(_) => {
            format!("publish {}", value.get("eventType").and_then(Value::as_str).unwrap_or_default())
        }
        Action::Reply { result, .. } => if result.is_ok() { "reply" } else { "refusal" }.to_owned(),
    };
    (what, value)
}

/// `value` without what is absent or empty.
pub(super) fn clean(value: Value) -> Value {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(elements) => elements.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    match value {
        Value::Array(elements) => elements.into_iter().map(clean).collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, clean(value)));
            Value::Object(fields.filter(|(_, value)| !is_empty(value)).collect())
        }
        other => other,
    }
}

/// What differs between two values: path, old, new.
pub(super) fn difference(old: &Value, new: &Value) -> Vec<(String, Value, Value)> {
    let mut found = Vec::new();
    compare(old, new, &mut String::new(), &mut found);
    found
}

fn compare(old: &Value, new: &Value, path: &mut String, found: &mut Vec<(String, Value, Value)>) {
    if old == new {
        return;
    }
    let empty = Map::new();
    if let (Value::Array(old), Value::Array(new)) = (old, new) {
        // A list of what happened lately loses its oldest elements when it gets new ones.
        if let Some(gone) = (0..old.len()).find(|gone| new.starts_with(&old[*gone..])) {
            let lost = old[..gone].iter().enumerate();
            found.extend(lost.map(|(index, old)| (format!("{path}[{index}]"), old.clone(), Value::Null)));
            let added = new.iter().enumerate().skip(old.len() - gone);
            found.extend(added.map(|(index, new)| (format!("{path}[{index}]"), Value::Null, new.clone())));
            return;
        }
        if old.len() == new.len() {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                let length = path.len();
                path.push_str(&format!("[{index}]"));
                compare(old, new, path, found);
                path.truncate(length);
            }
            return;
        }
    }
    let (old_fields, new_fields) = match (old, new) {
        (Value::Object(old), Value::Object(new)) => (old, new),
        (Value::Object(old), Value::Null) => (old, &empty),
        (Value::Null, Value::Object(new)) => (&empty, new),
        _ => {
            found.push((path.clone(), old.clone(), new.clone()));
            return;
        }
    };
    let added = new_fields.keys().filter(|name| !old_fields.contains_key(*name));
    for name in old_fields.keys().chain(added) {
        let length = path.len();
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(name);
        let [old, new] = [old_fields, new_fields].map(|fields| fields.get(name).unwrap_or(&Value::Null));
        compare(old, new, path, found);
        path.truncate(length);
    }
}

/// The name of an enum's variant.
fn tag(value: &Value) -> &str {
    match value {
        Value::String(text) => text,
        Value::Object(fields) => fields.keys().next().map_or("", String::as_str),
        _ => "",
    }
}

fn offer(offer: &Offer) -> Value {
    let resources: Vec<String> = offer.resources.iter().map(resource).collect();
    json!(format!("{} of {}: {}", offer.id, offer.hostname, resources.join(", ")))
}

fn resource(resource: &Resource) -> String {
    let role = resource.reserved_role().map(|role| format!(" for {role}")).unwrap_or_default();
    let amount = match &resource.value {
        ResourceValue::Scalar(amount) => amount.to_string(),
        ResourceValue::Ranges(ranges) => {
            let ranges: Vec<String> =
                ranges.iter().map(|range| format!("{}-{}", range.begin, range.end)).collect();
            ranges.join(" ")
        }
        ResourceValue::Set(items) => items.join(" "),
    };
    format!("{:?} {amount}{role}", resource.kind).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named_by_their_paths() {
        let old = json!({ "a": { "b": 1, "c": [1], "d": [1, 2] }, "gone": { "x": true } });
        let new = json!({ "a": { "b": 2, "c": [1, 2], "d": [1, 3] }, "new": "n" });
        let expected = [
            ("a.b", json!(1), json!(2)),
            ("a.c[1]", Value::Null, json!(2)),
            ("a.d[1]", json!(2), json!(3)),
            ("gone.x", json!(true), Value::Null),
            ("new", Value::Null, json!("n")),
        ];
        assert_eq!(difference(&old, &new), expected.map(|(path, old, new)| (path.to_owned(), old, new)));
    }

    #[test]
    fn of_lists_only_what_came_and_went_is_named() {
        let (old, new) = (json!({ "l": [1, 2, 3] }), json!({ "l": [2, 3, 4] }));
        let expected = [("l[0]", json!(1), Value::Null), ("l[2]", Value::Null, json!(4))];
        assert_eq!(difference(&old, &new), expected.map(|(path, old, new)| (path.to_owned(), old, new)));
    }

    #[test]
    fn what_is_empty_is_left_out() {
        assert_eq!(clean(json!({ "a": null, "b": [], "c": { "d": {} }, "e": 0 })), json!({ "e": 0 }));
    }
}
