//! Who this framework is to Mesos.

use serde::{Deserialize, Serialize};

use super::ids::FrameworkId;
use super::time::Timestamp;

/// This framework's ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The id that Mesos gave; absent until it has.
    pub id: Option<FrameworkId>,
    /// The ids it had before, oldest first. Mesos has removed the frameworks of these ids with their tasks; what was
    /// reserved under them is there still, and ours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<FrameworkId>,
    /// Since when it has had the present one, if it had another before: what was launched earlier was ended with that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

impl From<FrameworkId> for Identity {
    fn from(id: FrameworkId) -> Self {
        Self { id: Some(id), ..Self::default() }
    }
}

impl Identity {
    /// Whether the framework called `id` is or was this one.
    pub(crate) fn has_been(&self, id: &str) -> bool {
        self.id.iter().chain(&self.former).any(|own| own.as_str() == id)
    }

    /// Whether there never was an id.
    pub(crate) fn is_empty(&self) -> bool {
        self.id.is_none() && self.former.is_empty()
    }
}
