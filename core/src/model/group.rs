//! Groups: what is said of all pods below a path at once.
//!
//! A group is there as soon as a pod's id implies it (`/shop/db/mysql` implies `/shop/db` and `/shop`). It needs
//! a definition of its own only to say something: on whom its pods depend, and which role they may use.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::{GroupId, PathId};
use super::pod::PodSpec;
use super::time::Timestamp;

/// One definition of a group, or its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// The group's absolute path.
    pub id: GroupId,
    /// When this definition was accepted: its name in the group's history.
    pub version: Timestamp,
    /// What it says; nothing when the group was deleted.
    pub settings: Option<GroupSettings>,
}

/// What a group says of its pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupSettings {
    /// Groups and pods that must be healthy before a deployment starts copies of a pod of this group. They need
    /// not exist.
    pub dependencies: BTreeSet<PathId>,
    /// Whether the pods may only use the role of the group's name. Only said of groups directly below the
    /// root; the others follow theirs.
    pub enforce_role: bool,
}

/// What a person wants a group to be (Marathon's `GroupUpdate`), with all paths made absolute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupUpdate {
    /// The group; may be relative to the path of the request or to the containing group.
    pub id: GroupId,
    /// Its new dependencies, which may be relative to it; absent, it keeps those it has.
    pub dependencies: Option<BTreeSet<PathId>>,
    /// All its direct sub-groups; absent, they are left alone.
    pub groups: Option<Vec<GroupUpdate>>,
    /// All its direct pods, which must be those it has: pods are read-only here. Absent, nothing is said of them.
    pub pods: Option<Vec<PodSpec>>,
    /// Whether its pods may only use the role of its name; absent, it stays as it is.
    pub enforce_role: Option<bool>,
    /// Alone: lead back to how things were at this version.
    pub version: Option<Timestamp>,
}

impl GroupUpdate {
    /// An update that says nothing.
    pub fn new(id: GroupId) -> Self {
        Self { id, dependencies: None, groups: None, pods: None, enforce_role: None, version: None }
    }
}
