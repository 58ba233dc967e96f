//! Groups as people write them (Marathon's `GroupUpdate`).
//!
//! Paths in a group may be relative: the id to where the request was sent or to the containing group,
//! dependencies to the group itself. What can be decided without knowing the other groups is decided here.

use std::collections::BTreeSet;

use serde_json::Value;

use super::id::resolve;
use super::reader::{At, Fields, boolean, string};
use super::report::{Rejection, Report};
use super::{Rules, read_pod};
use crate::model::group::GroupUpdate;
use crate::model::ids::{GroupId, PathId};
use crate::model::pod::PodSpec;
use crate::model::time::Timestamp;

/// A group that keeps all rules which do not depend on others.
#[derive(Clone, Debug, PartialEq)]
pub struct AdmittedGroup {
    /// What the group shall be.
    pub update: GroupUpdate,
    /// The paths of fields that mean nothing to Podium, in the document's order.
    pub unknown_fields: Vec<String>,
}

/// Reads and checks the body of a request to change the group `base`, or one in it that the document names.
///
/// # Errors
/// Everything that is wrong with the document.
pub fn read_group(json: &Value, base: &GroupId, rules: &Rules) -> Result<AdmittedGroup, Rejection> {
    let mut report = Report::default();
    let reader = Reader { rules };
    let update = At::document(json, &mut report).object(|fields| reader.document(fields, base));
    finish(update, report, |update, unknown_fields| AdmittedGroup { update, unknown_fields })
}

/// Reads the body of `PATCH /v2/groups/{id}`: `{"enforceRole": true}`.
///
/// # Errors
/// Everything that is wrong with the document.
pub fn read_enforce_role(json: &Value) -> Result<bool, Rejection> {
    let mut report = Report::default();
    let enforce = At::document(json, &mut report).object(|fields| fields.required("enforceRole", boolean));
    finish(enforce, report, |enforce, _| enforce)
}

fn finish<T, R>(read: T, report: Report, done: impl FnOnce(T, Vec<String>) -> R) -> Result<R, Rejection> {
    if report.is_clean() { Ok(done(read, report.unknown_fields)) } else { Err(report.into_rejection()) }
}

struct Reader<'a> {
    rules: &'a Rules,
}

impl Reader<'_> {
    fn document(&self, fields: &mut Fields<'_>, base: &GroupId) -> GroupUpdate {
        let version = fields.optional("version", version);
        let others = ["id", "apps", "groups", "pods", "dependencies", "enforceRole"];
        let found = others.into_iter().find(|name| fields.has(name));
        if let (Some(_), Some(found)) = (version, found) {
            fields.violation_of(
                "version",
                format!(
                    "not allowed in conjunction with other properties. Send it alone to lead the group back to \
                     that version, or leave it out to change '{found}'"
                ),
            );
        }
        let id = fields.optional("id", |at| group_id(at, base)).unwrap_or_else(|| base.clone());
        GroupUpdate { version, ..self.group(fields, id) }
    }

    /// Everything but `id` and `version`.
    fn group(&self, fields: &mut Fields<'_>, id: GroupId) -> GroupUpdate {
        fields.optional("apps", |at| {
            if at.value.as_array().is_none_or(|apps| !apps.is_empty()) {
                at.violation("must be empty: Podium runs pods. Use /v2/pods");
            }
        });
        fields.optional("scaleBy", |at| {
            at.violation("scales apps only, of which there are none. Use PUT /v2/pods to scale pods");
        });
        let enforce_role = fields.optional("enforceRole", |at| self.enforce_role(at, &id));
        GroupUpdate {
            dependencies: fields.optional("dependencies", |at| {
                at.list(|at| dependency(at, &id)).into_iter().collect::<BTreeSet<PathId>>()
            }),
            groups: fields.optional("groups", |at| self.sub_groups(at, &id)),
            pods: fields.optional("pods", |at| at.list(|at| self.pod(at)).into_iter().flatten().collect()),
            enforce_role: enforce_role.flatten(),
            version: None,
            id,
        }
    }

    fn sub_groups(&self, at: At<'_>, parent: &GroupId) -> Vec<GroupUpdate> {
        let mut seen = BTreeSet::new();
        at.list(|at| {
            at.object(|fields| {
                fields.optional("version", |at| {
                    at.violation("not allowed in conjunction with other properties");
                });
                let id = fields.required("id", |at| sub_group_id(at, parent));
                if !seen.insert(id.clone()) {
                    fields.violation_of("id", format!("must be unique: {id} appears more than once"));
                }
                self.group(fields, id)
            })
        })
    }

    /// What is false says nothing new of a group whose role is not its own affair.
    fn enforce_role(&self, at: At<'_>, id: &GroupId) -> Option<bool> {
        if at.value.as_bool() == Some(true) && !id.is_top_level() {
            at.violation("only groups directly below the root can enforce their role");
            return None;
        }
        Some(boolean(at)).filter(|_| id.is_top_level())
    }

    /// A pod as `GET /v2/groups` or `GET /v2/pods` shows it. It can only be what there is already, so that a
    /// document that was read can be sent back; one that is wrong is none of those.
    fn pod(&self, at: At<'_>) -> Option<PodSpec> {
        let spec = at.value.get("spec").filter(|spec| spec.is_object());
        let pod = read_pod(spec.unwrap_or(at.value), self.rules);
        match pod {
            Ok(admitted) => Some(admitted.pod),
            Err(_) => {
                at.violation("Pods are read-only at /v2/groups: use /v2/pods");
                None
            }
        }
    }
}

fn version(at: At<'_>) -> Timestamp {
    match at.value.as_str().and_then(|text| text.parse().ok()) {
        Some(version) => version,
        None => {
            let found = super::reader::echo(at.value);
            at.unreadable(format!(
                "error.expected.date.isoformat: got {found}, expected e.g. 2017-01-03T18:21:19.31Z"
            ));
            Timestamp::EPOCH
        }
    }
}

fn group_id(at: At<'_>, base: &GroupId) -> GroupId {
    GroupId::new(path(at, base).as_str())
}

fn sub_group_id(at: At<'_>, parent: &GroupId) -> GroupId {
    let Value::String(text) = at.value else {
        return GroupId::new(string(at));
    };
    match resolve(parent, text) {
        Ok(path) if GroupId::new(path.as_str()).parent() == *parent && path.as_str() != parent.as_str() => {
            GroupId::new(path.as_str())
        }
        Ok(path) => {
            at.violation(format!("Identifier is not child of '{parent}': got '{path}'"));
            GroupId::new(path.as_str())
        }
        Err(error) => {
            at.violation(error);
            GroupId::root()
        }
    }
}

fn dependency(at: At<'_>, group: &GroupId) -> PathId {
    let is_root = group.is_root();
    if is_root {
        let text = "the root group contains whatever it could depend on. Say it of the groups in it";
        at.violation(text);
        return PathId::new("/");
    }
    path(at, group)
}

fn path(at: At<'_>, base: &GroupId) -> PathId {
    let Value::String(text) = at.value else {
        return PathId::new(string(at));
    };
    resolve(base, text).unwrap_or_else(|error| {
        at.violation(error);
        PathId::from(base)
    })
}
