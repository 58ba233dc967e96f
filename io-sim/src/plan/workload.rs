//! What clients ask for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::{IntoStaticStr, VariantNames};

/// A request to the API. If nobody answers, it is made again until somebody does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[strum(serialize_all = "snake_case")]
pub enum Request {
    /// `DELETE /v2/deployments/{id}`: of the deployment that changes the pod, if there is one.
    Cancel {
        /// The pod.
        pod: String,
        /// Leave everything as it is instead of leading back.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
    },
    /// `POST /v2/pods`.
    Create {
        /// The definition.
        #[schemars(schema_with = "super::any_object")]
        pod: Value,
        /// Cancel deployments that are in the way.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
    },
    /// `DELETE /v2/pods/{id}`.
    Delete {
        /// The pod.
        pod: String,
        /// Cancel deployments that are in the way.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
    },
    /// `DELETE /v2/groups/{id}`.
    DeleteGroup {
        /// The group.
        group: String,
        /// Cancel deployments that are in the way.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
    },
    /// `PATCH /v2/groups/{id}`.
    EnforceRole {
        /// The group.
        group: String,
        /// Whether its pods use its role.
        enforce: bool,
    },
    /// `DELETE /v2/pods/{id}::instances`.
    Kill {
        /// The pod.
        pod: String,
        /// Which of its copies, counted from the oldest; a number too great counts on from the oldest.
        nth: Vec<u32>,
        /// Forget them.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        wipe: bool,
    },
    /// `DELETE /v2/queue/{id}/delay`.
    ResetDelay {
        /// The pod.
        pod: String,
    },
    /// `PUT /v2/pods/{id}` with the present definition and another number of copies.
    Scale {
        /// The pod.
        pod: String,
        /// So many copies.
        instances: u32,
        /// Cancel deployments that are in the way.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
    },
    /// `PUT /v2/groups/{id}`.
    UpdateGroup {
        /// What the group shall be.
        #[schemars(schema_with = "super::any_object")]
        group: Value,
    },
    /// `PUT /v2/pods/{id}`.
    Update {
        /// The definition.
        #[schemars(schema_with = "super::any_object")]
        pod: Value,
        /// Cancel deployments that are in the way.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
    },
}

impl Request {
    /// The pod that it is about, if the definition names one.
    pub fn pod(&self) -> Option<&str> {
        match self {
            Self::Cancel { pod, .. }
            | Self::Delete { pod, .. }
            | Self::Kill { pod, .. }
            | Self::ResetDelay { pod }
            | Self::Scale { pod, .. } => Some(pod),
            Self::Create { pod, .. } | Self::Update { pod, .. } => pod.get("id").and_then(Value::as_str),
            Self::DeleteGroup { .. } | Self::EnforceRole { .. } | Self::UpdateGroup { .. } => None,
        }
    }
}
