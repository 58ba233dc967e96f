//! Reads JSON values into types, and finds every mistake at once.
//!
//! ```text
//!            At ──── a value, where it stands, and the report
//!             │
//!   ┌─────────┼───────────┬──────────────┐
//! string   integer  …   list           object
//!                         │ At per item    │ Fields: required, optional, or, section, …
//!                         ▼                ▼ At per field
//! ```
//!
//! A read never stops at an error. It writes the error into the report and returns a *stand-in* (an empty
//! string, zero, the first choice), so that its caller goes on and finds the next one. Whoever started the
//! reading must look at the report before believing the result. Fields that nobody asked for are noted as
//! unknown when their object has been read.
//!
//! Error texts begin with the code that Marathon's reader (play-json) uses, followed by what was found and
//! what would work.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::report::Report;
use crate::model::number::Number;

/// So much of a wrong value is repeated in an error.
const MAX_ECHO: usize = 60;

/// Where a value stands in its document; prints as in `/containers(0)/name`.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Document,
    Field(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Document => Ok(()),
            Place::Field(parent, name) => write!(f, "{parent}/{name}"),
            Place::Item(parent, index) => write!(f, "{parent}({index})"),
        }
    }
}

/// A value that is about to be read.
pub(super) struct At<'a> {
    pub(super) value: &'a Value,
    place: Place<'a>,
    report: &'a mut Report,
}

impl<'a> At<'a> {
    pub(super) fn document(value: &'a Value, report: &'a mut Report) -> Self {
        Self { value, place: Place::Document, report }
    }

    /// The value cannot be read.
    pub(super) fn unreadable(self, error: impl Into<String>) {
        self.report.unreadable(self.place, error);
    }

    /// The value can be read, but is against a rule.
    pub(super) fn violation(self, error: impl Into<String>) {
        self.report.violation(self.place, error);
    }

    fn expected(self, code: &str) {
        let found = echo(self.value);
        self.unreadable(format!("error.expected.{code}: got {found}"));
    }

    /// A string of so many characters.
    pub(super) fn text(self, length: RangeInclusive<usize>) -> String {
        if let Value::String(text) = self.value {
            let found = text.chars().count();
            if found < *length.start() {
                self.unreadable(format!(
                    "error.minLength: got {found} characters, expected {} or more",
                    length.start()
                ));
                return String::new();
            }
            if found > *length.end() {
                self.unreadable(format!(
                    "error.maxLength: got {found} characters, expected {} or less",
                    length.end()
                ));
                return String::new();
            }
        }
        string(self)
    }

    /// One of the words, in any case, as what it stands for. The first word is the stand-in.
    pub(super) fn choice<T: Copy>(self, choices: &[(&str, T)]) -> T {
        let found = match self.value {
            Value::String(text) => choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)),
            _ => {
                self.expected("jsstring");
                return choices[0].1;
            }
        };
        match found {
            Some((_, choice)) => *choice,
            None => {
                let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
                let found = echo(self.value);
                self.unreadable(format!(
                    "error.unknown.enum.literal: got {found}, expected one of: {}",
                    words.join(", ")
                ));
                choices[0].1
            }
        }
    }

    /// A whole number; `3.0` and `3e0` are whole.
    pub(super) fn integer<T: TryFrom<i64> + Default>(self, range: RangeInclusive<i64>) -> T {
        let whole = self.value.as_i64().or_else(|| {
            let value = self.value.as_f64().filter(|value| value.fract() == 0.0)?;
            #[expect(clippy::cast_possible_truncation, reason = "float-to-int casts saturate")]
            Some(value as i64)
        });
        match whole {
            None => self.expected("int"),
            Some(value) if value < *range.start() => {
                let found = echo(self.value);
                self.unreadable(format!("error.min: got {found}, expected {} or more", range.start()));
            }
            Some(value) if value > *range.end() => {
                let found = echo(self.value);
                self.unreadable(format!("error.max: got {found}, expected {} or less", range.end()));
            }
            // Callers give ranges that lie within `T`.
            Some(value) => return T::try_from(value).unwrap_or_default(),
        }
        T::default()
    }

    /// A number. The start of the range is the stand-in.
    pub(super) fn number(self, range: RangeInclusive<f64>) -> Number {
        match self.value.as_f64() {
            None => self.expected("jsnumber"),
            Some(value) if value < *range.start() => {
                let found = echo(self.value);
                self.unreadable(format!("error.min: got {found}, expected {} or more", range.start()));
            }
            Some(value) if value > *range.end() => {
                let found = echo(self.value);
                self.unreadable(format!("error.max: got {found}, expected {} or less", range.end()));
            }
            Some(value) => return Number(value),
        }
        Number(*range.start())
    }

    pub(super) fn list<T>(self, mut read: impl FnMut(At<'_>) -> T) -> Vec<T> {
        let Value::Array(items) = self.value else {
            self.expected("jsarray");
            return Vec::new();
        };
        let mut list = Vec::with_capacity(items.len());
        for (index, value) in items.iter().enumerate() {
            list.push(read(At { value, place: Place::Item(&self.place, index), report: self.report }));
        }
        list
    }

    /// The item of a list, if the value is one and has so many.
    pub(super) fn item(&mut self, index: usize) -> Option<At<'_>> {
        let value = self.value.as_array()?.get(index)?;
        Some(At { value, place: Place::Item(&self.place, index), report: self.report })
    }

    /// A list of at least one item.
    pub(super) fn filled_list<T>(self, read: impl FnMut(At<'_>) -> T) -> Vec<T> {
        if self.value.as_array().is_some_and(Vec::is_empty) {
            self.unreadable("error.minLength: got an empty list, expected 1 item or more");
            return Vec::new();
        }
        self.list(read)
    }

    /// An object that is used as a map: any field names.
    pub(super) fn map<T>(self, mut read: impl FnMut(&str, At<'_>) -> T) -> BTreeMap<String, T> {
        let Value::Object(fields) = self.value else {
            self.expected("jsobject");
            return BTreeMap::new();
        };
        let mut map = BTreeMap::new();
        for (name, value) in fields {
            let at = At { value, place: Place::Field(&self.place, name), report: self.report };
            map.insert(name.clone(), read(name, at));
        }
        map
    }

    /// An object with known fields. If the value is none, `read` makes the stand-in from an empty object.
    pub(super) fn object<T>(self, read: impl FnOnce(&mut Fields<'_>) -> T) -> T {
        let Value::Object(map) = self.value else {
            let place = self.place;
            self.expected("jsobject");
            let (empty, mut unheard) = (Map::new(), Report::default());
            return read(&mut Fields { map: &empty, place, known: Vec::new(), report: &mut unheard });
        };
        let mut fields = Fields { map, place: self.place, known: Vec::new(), report: self.report };
        let object = read(&mut fields);
        fields.note_unknown();
        object
    }
}

/// The fields of an object that is being read.
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    place: Place<'a>,
    known: Vec<&'static str>,
    report: &'a mut Report,
}

impl Fields<'_> {
    /// What is at `name`, unless there is nothing or `null`.
    fn get(&mut self, name: &'static str) -> Option<At<'_>> {
        self.known.push(name);
        let value = self.map.get(name).filter(|value| !value.is_null())?;
        Some(At { value, place: Place::Field(&self.place, name), report: self.report })
    }

    pub(super) fn optional<T>(&mut self, name: &'static str, read: impl FnOnce(At<'_>) -> T) -> Option<T> {
        self.get(name).map(read)
    }

    pub(super) fn or<T>(&mut self, name: &'static str, default: T, read: impl FnOnce(At<'_>) -> T) -> T {
        self.optional(name, read).unwrap_or(default)
    }

    pub(super) fn required<T>(&mut self, name: &'static str, read: impl FnOnce(At<'_>) -> T) -> T {
        self.known.push(name);
        let place = Place::Field(&self.place, name);
        match self.map.get(name) {
            Some(value) => read(At { value, place, report: self.report }),
            None => {
                self.report.unreadable(place, "error.path.missing: this field is required");
                read(At { value: &Value::Null, place, report: &mut Report::default() })
            }
        }
    }

    /// An object all of whose fields have defaults; absent, it is read from an empty one.
    pub(super) fn section<T>(&mut self, name: &'static str, read: impl FnOnce(At<'_>) -> T) -> T {
        self.known.push(name);
        let empty = Value::Object(Map::new());
        let value = self.map.get(name).filter(|value| !value.is_null()).unwrap_or(&empty);
        read(At { value, place: Place::Field(&self.place, name), report: self.report })
    }

    /// A list that may be absent.
    pub(super) fn list<T>(&mut self, name: &'static str, read: impl FnMut(At<'_>) -> T) -> Vec<T> {
        self.or(name, Vec::new(), |at| at.list(read))
    }

    /// A map of strings that may be absent.
    pub(super) fn strings(&mut self, name: &'static str) -> BTreeMap<String, String> {
        self.or(name, BTreeMap::new(), |at| at.map(|_, at| string(at)))
    }

    /// Whether there is something at `name` other than `null`; does not count as asking for it.
    pub(super) fn has(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(|value| !value.is_null())
    }

    /// The fields that have not been asked for and are not `null`.
    pub(super) fn others(&self) -> impl Iterator<Item = &str> {
        let others =
            self.map.iter().filter(|(name, value)| !value.is_null() && !self.known.contains(&name.as_str()));
        others.map(|(name, _)| name.as_str())
    }

    /// The object as a whole cannot be read.
    pub(super) fn unreadable(&mut self, error: impl Into<String>) {
        self.report.unreadable(self.place, error);
    }

    /// The object as a whole is against a rule.
    pub(super) fn violation(&mut self, error: impl Into<String>) {
        self.report.violation(self.place, error);
    }

    /// The field `name` is against a rule.
    pub(super) fn violation_of(&mut self, name: &str, error: impl Into<String>) {
        self.report.violation(Place::Field(&self.place, name), error);
    }

    fn note_unknown(self) {
        for name in self.map.keys().filter(|name| !self.known.contains(&name.as_str())) {
            self.report.unknown_fields.push(Place::Field(&self.place, name).to_string());
        }
    }
}

/// Reads `true` or `false`.
pub(super) fn boolean(at: At<'_>) -> bool {
    at.value.as_bool().unwrap_or_else(|| {
        at.expected("jsboolean");
        false
    })
}

/// Reads a string.
pub(super) fn string(at: At<'_>) -> String {
    if let Value::String(text) = at.value {
        return text.clone();
    }
    at.expected("jsstring");
    String::new()
}

/// The value as an error shows it: scalars as they are, if short.
pub(super) fn echo(value: &Value) -> String {
    match value {
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) => quote(text),
        scalar => scalar.to_string(),
    }
}

/// The text in quotes, cut if it is long.
pub(super) fn quote(text: &str) -> String {
    match text.char_indices().nth(MAX_ECHO) {
        None => format!("'{text}'"),
        Some((end, _)) => format!("'{}…'", &text[..end]),
    }
}
