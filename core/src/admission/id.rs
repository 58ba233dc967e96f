//! Pod ids and instance ids as people write them.

use serde_json::Value;

use super::reader::{At, quote, string};
use super::report::{Rejection, Report};
use crate::model::ids::{GroupId, InstanceId, PathId, PodId};

/// What a segment of an id looks like, as Marathon prints it. Its `.` and `..` never reach it here: they are
/// resolved in URL paths and refused in definitions.
const SEGMENT: &str =
    r"^(([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])\.)*([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])|(\.|\.\.)$";

/// Last segments that would be mistaken for a part of the API.
const RESERVED: [&str; 3] = ["restart", "tasks", "versions"];

/// What an instance id looks like, as Marathon prints it for pods.
const INSTANCE: &str = r"^(.+)\.(instance-)([^\.]+)$";

/// Mesos keeps ids as file names: 255 bytes (`common::validation::validateID`).
const MAX_MESOS_ID: usize = 255;

/// The longest container name.
const MAX_NAME: usize = 63;

/// The longest id: a task id, `<path>.instance-<uuid>.<container>.<incarnation>`, must still fit.
const MAX_ID: usize = MAX_MESOS_ID - ".instance-".len() - 36 - 1 - MAX_NAME - 1 - "4294967295".len();

/// Where an id was written, which decides how it is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// In a definition: absolute and without `..`.
    Absolute,
    /// In a URL path: relative to the root, with `.` and `..` resolved.
    UrlPath,
}

/// The id that a URL path means: with or without leading, doubled or trailing slashes, `.` and `..` resolved.
/// `text` is percent-decoded.
///
/// # Errors
/// The text is no pod id. The path of the violation is `/`, as in Marathon.
pub fn pod_id_from_path(text: &str) -> Result<PodId, Rejection> {
    canonical(text, Form::UrlPath).map_err(|error| Rejection::not_valid("/", error))
}

/// The group that a URL path means, as for [`pod_id_from_path`]; nothing at all means the root.
///
/// # Errors
/// The text is no path of a group. The path of the violation is `/`, as in Marathon.
pub fn group_id_from_path(text: &str) -> Result<GroupId, Rejection> {
    let path = resolve(&GroupId::root(), text).map_err(|error| Rejection::not_valid("/", error))?;
    Ok(GroupId::new(path.as_str()))
}

/// The instance id that a URL path names.
///
/// # Errors
/// The text is no instance id. The path of the violation is `/`, as in Marathon.
pub fn instance_id_from_path(text: &str) -> Result<InstanceId, Rejection> {
    instance_id(text).map_err(|error| Rejection::not_valid("/", error))
}

/// The body of `DELETE ::instances`: a list of instance ids. Repeated ids count once.
///
/// # Errors
/// The value is no list of strings, or some are no instance ids; all of these are named.
pub fn read_instance_ids(json: &Value) -> Result<Vec<InstanceId>, Rejection> {
    let mut report = Report::default();
    let ids = At::document(json, &mut report).list(|at| match at.value {
        Value::String(text) => instance_id(text).map_err(|error| at.violation(error)).ok(),
        _ => {
            string(at);
            None
        }
    });
    if !report.is_clean() {
        return Err(report.into_rejection());
    }
    let mut seen = rustc_hash::FxHashSet::default();
    Ok(ids.into_iter().flatten().filter(|id| seen.insert(id.clone())).collect())
}

/// Reads the body of `POST /v2/tasks/delete`: `{"ids": ["…"]}`.
///
/// # Errors
/// Everything that is wrong with the document.
pub fn read_task_ids(json: &Value) -> Result<Vec<String>, Rejection> {
    let mut report = Report::default();
    let ids = At::document(json, &mut report).object(|fields| fields.required("ids", |at| at.list(string)));
    if report.is_clean() { Ok(ids) } else { Err(report.into_rejection()) }
}

fn instance_id(text: &str) -> Result<InstanceId, String> {
    text.parse().map_err(|error| match error {
        crate::model::ids::InvalidId::Uuid(_) => error.to_string(),
        _ => format!("must fully match regular expression '{INSTANCE}', {} does not", quote(text)),
    })
}

/// The one spelling of an id.
pub(super) fn canonical(text: &str, form: Form) -> Result<PodId, String> {
    if form == Form::Absolute && !text.starts_with('/') {
        return Err(format!("Path needs to be absolute, try {}", quote(&format!("/{text}"))));
    }
    let segments = segments("/", text, form)?;
    if segments.is_empty() {
        return Err("Path must contain at least one path element".to_owned());
    }
    path_of(&segments).map(PodId::new)
}

/// The one spelling of a path that is written in a group: absolute, or relative to `base`.
pub(super) fn resolve(base: &GroupId, text: &str) -> Result<PathId, String> {
    path_of(&segments(base.as_str(), text, Form::UrlPath)?).map(PathId::new)
}

fn segments<'a>(base: &'a str, text: &'a str, form: Form) -> Result<Vec<&'a str>, String> {
    let base = if text.starts_with('/') { "/" } else { base };
    let mut segments: Vec<&str> = base.split('/').filter(|segment| !segment.is_empty()).collect();
    for segment in text.split('/') {
        match (segment, form) {
            ("", _) | (".", Form::UrlPath) => {}
            ("..", Form::UrlPath) => {
                segments.pop();
            }
            ("." | "..", Form::Absolute) => {
                return Err(format!("an id is written without . and .. segments, {} has one", quote(text)));
            }
            _ if is_segment(segment) => segments.push(segment),
            _ => {
                return Err(format!(
                    "must fully match regular expression '{SEGMENT}', {} does not",
                    quote(segment)
                ));
            }
        }
    }
    Ok(segments)
}

fn path_of(segments: &[&str]) -> Result<String, String> {
    if segments.last().is_some_and(|last| RESERVED.contains(last)) {
        return Err(
            "must not end with any of the following reserved keywords: restart, tasks, versions, ., .."
                .to_owned(),
        );
    }
    let id = format!("/{}", segments.join("/"));
    if id.len() > MAX_ID {
        return Err(format!("the id has {} characters, Mesos' task ids leave room for {MAX_ID}", id.len()));
    }
    Ok(id)
}

/// Lower-case letters, digits and inner hyphens, in parts that are separated by dots.
fn is_segment(segment: &str) -> bool {
    let edge = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit();
    segment.split('.').all(|part| {
        part.starts_with(edge) && part.ends_with(edge) && part.chars().all(|char| edge(char) || char == '-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_path(text: &str) -> Result<String, String> {
        pod_id_from_path(text).map(|id| id.to_string()).map_err(|rejection| {
            assert_eq!((rejection.message.as_str(), rejection.details.len()), (Rejection::NOT_VALID, 1));
            assert_eq!(rejection.details[0].path, "/");
            rejection.details[0].errors.join(", ")
        })
    }

    #[test]
    fn url_paths_are_made_canonical() {
        for text in ["a/b", "/a/b", "//a//b/", "a/./b", "a/c/../b", "../../a/b/"] {
            assert_eq!(from_path(text).as_deref(), Ok("/a/b"), "{text}");
        }
        assert_eq!(from_path("a.b-c.9/x").as_deref(), Ok("/a.b-c.9/x"));
        assert_eq!(from_path("versions/x").as_deref(), Ok("/versions/x"));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "/", "..", "a/.."] {
            assert_eq!(from_path(text).unwrap_err(), "Path must contain at least one path element", "{text}");
        }
        for text in ["A", "a_b", "-a", "a-", "a..b", ".a", "foo::bar", "a b", "é", "a/...", "a\0"] {
            assert!(from_path(text).unwrap_err().starts_with("must fully match regular"), "{text}");
        }
        for text in ["restart", "a/tasks", "a/b/versions"] {
            assert!(from_path(text).unwrap_err().starts_with("must not end with any of"), "{text}");
        }
    }

    #[test]
    fn definitions_are_stricter_than_urls() {
        assert_eq!(canonical("/a//b/", Form::Absolute), Ok(PodId::new("/a/b")));
        assert_eq!(canonical("a", Form::Absolute), Err("Path needs to be absolute, try '/a'".into()));
        assert!(canonical("/a/../b", Form::Absolute).is_err());
        assert!(canonical("/a/./b", Form::Absolute).is_err());
    }

    #[test]
    fn the_longest_id_makes_the_longest_task_id() {
        let longest = format!("/{}", "a".repeat(MAX_ID - 1));
        let id = canonical(&longest, Form::Absolute).unwrap();
        let uuid = crate::model::ids::new_uuid(crate::model::time::Timestamp::EPOCH, [0; 10]);
        let task = InstanceId { pod: id, uuid }.task_id(&"c".repeat(MAX_NAME), u32::MAX);
        // One to spare: the path's leading slash is not part of a task id.
        assert_eq!(task.as_str().len(), MAX_MESOS_ID - 1);
        assert!(canonical(&format!("{longest}a"), Form::Absolute).is_err());
    }

    #[test]
    fn instance_ids_are_read_all_at_once() {
        let good = "a_b.instance-0190163d-8694-739b-aea5-966c26f8ad91";
        let ids = read_instance_ids(&serde_json::json!([good, good])).unwrap();
        assert_eq!(ids, [good.parse().unwrap()]);
        assert_eq!(instance_id_from_path(good), Ok(good.parse().unwrap()));
        let rejection = read_instance_ids(&serde_json::json!([good, "x", 3, "a.instance-1"])).unwrap_err();
        insta::assert_json_snapshot!(rejection);
        assert_eq!(read_instance_ids(&serde_json::json!({})).unwrap_err().message, Rejection::INVALID_JSON);
    }
}
