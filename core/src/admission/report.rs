//! What admission answers when it refuses: every error of a document, in Marathon's shape.

use std::fmt;

use rustc_hash::FxHashMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// So many errors are listed; a document with more is hopeless, and the answer must not outgrow it.
const MAX_VIOLATIONS: usize = 500;

/// Why a document is refused. Serialises to the body of Marathon's answer with status 422.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}{}", Listed(details))]
pub struct Rejection {
    /// [`Self::INVALID_JSON`] or [`Self::NOT_VALID`].
    pub message: String,
    /// What is wrong where; never empty.
    pub details: Vec<Violation>,
}

/// What is wrong with one part of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Violation {
    /// The part, as in `/containers(0)/name`; `/` is the whole document.
    pub path: String,
    /// What is wrong with it.
    pub errors: Vec<String>,
}

impl Rejection {
    /// The message of a document that could not be read: a field is missing, of the wrong type or out of range.
    pub const INVALID_JSON: &str = "Invalid JSON";
    /// The message of a document that was read but breaks a rule.
    pub const NOT_VALID: &str = "Object is not valid";

    /// A broken rule.
    pub fn not_valid(path: impl fmt::Display, error: impl Into<String>) -> Self {
        let mut report = Report::default();
        report.violation(path, error);
        report.into_rejection()
    }
}

struct Listed<'a>(&'a [Violation]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Violation { path, errors }) in self.0.iter().enumerate() {
            write!(f, "{} {path} {}", if index == 0 { ":" } else { ";" }, errors.join(", "))?;
        }
        Ok(())
    }
}

/// Collects what is found while a document is read and checked.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Path and text, in the order of discovery.
    errors: Vec<(String, String)>,
    /// Errors that were found but not kept.
    omitted: usize,
    /// Whether something could not be read, as opposed to being against a rule.
    pub(super) unreadable: bool,
    /// The paths of fields that nothing reads.
    pub(super) unknown_fields: Vec<String>,
}

impl Report {
    /// Something at `path` cannot be read.
    pub(super) fn unreadable(&mut self, path: impl fmt::Display, error: impl Into<String>) {
        self.unreadable = true;
        self.violation(path, error);
    }

    /// Something at `path` is against a rule.
    pub(super) fn violation(&mut self, path: impl fmt::Display, error: impl Into<String>) {
        if self.errors.len() < MAX_VIOLATIONS {
            let path = path.to_string();
            self.errors.push((if path.is_empty() { "/".to_owned() } else { path }, error.into()));
        } else {
            self.omitted += 1;
        }
    }

    pub(super) fn is_clean(&self) -> bool {
        self.errors.is_empty()
    }

    /// The answer, with the errors grouped by path.
    pub(super) fn into_rejection(self) -> Rejection {
        let mut details: Vec<Violation> = Vec::new();
        let mut index = FxHashMap::default();
        for (path, error) in self.errors {
            let slot = *index.entry(path.clone()).or_insert(details.len());
            if slot == details.len() {
                details.push(Violation { path, errors: Vec::new() });
            }
            details[slot].errors.push(error);
        }
        if self.omitted > 0 {
            details.push(Violation {
                path: "/".to_owned(),
                errors: vec![format!("and {} more errors", self.omitted)],
            });
        }
        let message = if self.unreadable { Rejection::INVALID_JSON } else { Rejection::NOT_VALID };
        Rejection { message: message.to_owned(), details }
    }
}
