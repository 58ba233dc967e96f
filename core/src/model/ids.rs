//! Identifiers and their text forms (Marathon's, so that tools which parse them keep working).
//!
//! | id | text |
//! |---|---|
//! | pod | `/group/pod` |
//! | instance | `group_pod.instance-<uuid>` |
//! | executor | `instance-group_pod.<uuid>`, the same for every incarnation |
//! | task | `group_pod.instance-<uuid>.<container>.<incarnation>` |

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
pub use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::time::Timestamp;

macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Eq, JsonSchema)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id with this text.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The id's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        // Equal ids are mostly clones of each other: then the texts need not be looked at.
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.0.hash(state);
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.0.cmp(&other.0) }
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<str>::deserialize(deserializer).map(|text| Self::new(&*text))
            }
        }
    };
}

string_id! {
    /// An agent's id, chosen by the master (`AgentID`).
    AgentId
}
string_id! {
    /// The absolute path of a pod, `/group/pod`. Admission makes sure that ids a person sends are canonical.
    PodId
}
string_id! {
    /// The absolute path of a group of pods; `/` is the root.
    GroupId
}
string_id! {
    /// The absolute path of a group or a pod (see [`path`](super::path)).
    PathId
}
string_id! {
    /// An executor's id (`ExecutorID`).
    ExecutorId
}
string_id! {
    /// This framework's id, chosen by the master at the first subscription (`FrameworkID`).
    FrameworkId
}
string_id! {
    /// An offer's id, chosen by the master (`OfferID`).
    OfferId
}
string_id! {
    /// A task's id (`TaskID`).
    TaskId
}
string_id! {
    /// A Mesos role: the pool of resources that an offer is made from.
    Role
}
string_id! {
    /// A deployment's id: a UUID as text.
    DeploymentId
}

impl PodId {
    /// The path without its leading slash and with `_` for every other slash. Reversible, because a path
    /// segment cannot contain `_`.
    pub fn safe_path(&self) -> String {
        let mut path = String::with_capacity(self.as_str().len());
        self.push_safe_path(&mut path);
        path
    }

    fn push_safe_path(&self, text: &mut String) {
        let path = self.as_str().trim_start_matches('/');
        text.extend(path.chars().map(|char| if char == '/' { '_' } else { char }));
    }

    fn from_safe_path(text: &str) -> Self {
        let mut path = String::with_capacity(1 + text.len());
        path.push('/');
        path.extend(text.chars().map(|char| if char == '_' { '/' } else { char }));
        Self::new(path)
    }

    /// What the ids of all its instances begin with, and those of no other pod's.
    pub(crate) fn instance_prefix(&self) -> String {
        let mut text = String::with_capacity(self.as_str().len() + 1 + INSTANCE_LENGTH);
        self.push_safe_path(&mut text);
        text.push('.');
        text.push_str(PREFIX);
        text
    }

    /// The path's segments, outermost first.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.as_str().split('/').filter(|segment| !segment.is_empty())
    }

    /// The group that contains this pod directly; `/` for a pod at the root.
    pub fn group(&self) -> GroupId {
        match self.as_str().rfind('/') {
            None | Some(0) => GroupId::new("/"),
            Some(end) => GroupId::new(&self.as_str()[..end]),
        }
    }

    /// The group directly below the root that contains this pod; none for a pod at the root.
    pub fn top_level_group(&self) -> Option<GroupId> {
        let mut segments = self.segments();
        let first = segments.next()?;
        segments.next()?;
        Some(GroupId::new(format!("/{first}")))
    }
}

impl From<&PodId> for PathId {
    fn from(id: &PodId) -> Self {
        Self(id.0.clone())
    }
}

impl From<&GroupId> for PathId {
    fn from(id: &GroupId) -> Self {
        Self(id.0.clone())
    }
}

/// A new version 7 UUID: ordered by time, the rest from `random`.
pub fn new_uuid(now: Timestamp, random: [u8; 10]) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(now.as_millis().max(0).unsigned_abs(), &random).into_uuid()
}

/// When a version 7 UUID was made.
pub(crate) fn time_of_uuid(uuid: Uuid) -> Option<Timestamp> {
    let (seconds, nanos) = uuid.get_timestamp()?.to_unix();
    let millis = seconds.checked_mul(1000)?.checked_add(u64::from(nanos) / 1_000_000)?;
    i64::try_from(millis).ok().map(Timestamp::from_millis)
}

/// The text is not an id of the expected form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Not `<pod>.instance-<uuid>`.
    #[error("'{0}' is not an instance id; one looks like group_pod.instance-<uuid>")]
    Instance(String),
    /// Not `<instance id>.<container>.<incarnation>`.
    #[error("'{0}' is not a task id; one looks like group_pod.instance-<uuid>.<container>.<incarnation>")]
    Task(String),
    /// Not a UUID.
    #[error("Invalid UUID string: {0}")]
    Uuid(String),
}

/// One copy of a pod. The id stays the same when the copy is relaunched after its containers ended; each
/// relaunch is a new *incarnation* with new task ids.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId {
    /// The pod that this is a copy of.
    pub pod: PodId,
    /// Distinguishes this copy from every other one, past and present.
    pub uuid: Uuid,
}

impl InstanceId {
    /// The id of the Mesos executor that runs this instance. Equal for all incarnations.
    pub fn executor_id(&self) -> ExecutorId {
        let mut text = self.text_with_room(0);
        text.push_str(PREFIX);
        self.pod.push_safe_path(&mut text);
        text.push('.');
        push_uuid(&mut text, self.uuid);
        ExecutorId::new(text)
    }

    /// The id of the Mesos task that runs `container` in the `incarnation`-th launch, counted from 1.
    pub fn task_id(&self, container: &str, incarnation: u32) -> TaskId {
        // Two dots, and the digits of nearly every incarnation.
        let mut text = self.text_with_room(2 + container.len() + 4);
        self.push_to(&mut text);
        text.push('.');
        text.push_str(container);
        text.push('.');
        match u8::try_from(incarnation) {
            // Nearly all of them.
            Ok(digit @ 0..=9) => text.push(char::from(b'0' + digit)),
            // Writing to a string cannot fail.
            _ => drop(write!(text, "{incarnation}")),
        }
        TaskId::new(text)
    }

    fn push_to(&self, text: &mut String) {
        self.pod.push_safe_path(text);
        text.push('.');
        text.push_str(PREFIX);
        push_uuid(text, self.uuid);
    }

    /// An empty text with room for the id and `more` bytes.
    fn text_with_room(&self, more: usize) -> String {
        String::with_capacity(self.pod.as_str().len() + 1 + INSTANCE_LENGTH + more)
    }
}

/// What the last part of an instance's id begins with.
const PREFIX: &str = "instance-";
/// The length of that part.
const INSTANCE_LENGTH: usize = PREFIX.len() + Hyphenated::LENGTH;

fn push_uuid(text: &mut String, uuid: Uuid) {
    text.push_str(uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
}

// Ids are written by the hundred thousand: by hand, because formatting takes several times as long.
impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.text_with_room(0);
        self.push_to(&mut text);
        f.write_str(&text)
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for InstanceId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (path, uuid) = text
            .rsplit_once('.')
            .and_then(|(path, last)| Some((path, last.strip_prefix(PREFIX)?)))
            .filter(|(path, _)| !path.is_empty())
            .ok_or_else(|| InvalidId::Instance(text.to_owned()))?;
        let uuid = Uuid::try_parse(uuid).map_err(|_| InvalidId::Uuid(uuid.to_owned()))?;
        Ok(Self { pod: PodId::from_safe_path(path), uuid })
    }
}

// Formats that are not for people get the parts.
impl Serialize for InstanceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            (&self.pod, self.uuid).serialize(serializer)
        }
    }
}

impl JsonSchema for InstanceId {
    fn schema_name() -> Cow<'static, str> {
        "InstanceId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "One copy of a pod.",
            "type": "string",
            "pattern": r"^.+\.instance-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
            "examples": ["group_pod.instance-0190163d-8694-739b-aea5-966c26f8ad91"]
        })
    }
}

impl<'de> Deserialize<'de> for InstanceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return Deserialize::deserialize(deserializer).map(|(pod, uuid)| Self { pod, uuid });
        }
        Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// What a task id says. Borrowed, because status updates come by the hundred thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParsedTaskId<'a> {
    /// The pod's path, with `_` for `/`.
    safe_path: &'a str,
    /// The instance's uuid.
    pub uuid: Uuid,
    /// The container's name.
    pub container: &'a str,
    /// Which launch of the instance, counted from 1.
    pub incarnation: u32,
}

impl ParsedTaskId<'_> {
    /// The instance that the task belongs to.
    pub fn instance(&self) -> InstanceId {
        InstanceId { pod: PodId::from_safe_path(self.safe_path), uuid: self.uuid }
    }

    /// Whether the task belongs to `instance`.
    pub fn is_of(&self, instance: &InstanceId) -> bool {
        let path = instance.pod.as_str().bytes().skip(1).map(|byte| if byte == b'/' { b'_' } else { byte });
        self.uuid == instance.uuid && path.eq(self.safe_path.bytes())
    }
}

impl TaskId {
    /// Takes the id apart.
    ///
    /// # Errors
    /// The id is not one of ours.
    pub fn parse(&self) -> Result<ParsedTaskId<'_>, InvalidId> {
        let invalid = || InvalidId::Task(self.as_str().to_owned());
        let mut rest = self.as_str();
        // By hand, because searching strings is made for longer ones.
        let mut part = || {
            let dot = rest.bytes().rposition(|byte| byte == b'.').ok_or_else(invalid)?;
            let part = &rest[dot + 1..];
            rest = &rest[..dot];
            Ok(part)
        };
        let (incarnation, container) = (part()?, part()?);
        let split = rest.len().checked_sub(INSTANCE_LENGTH).and_then(|at| rest.split_at_checked(at));
        let (safe_path, instance) = split.ok_or_else(invalid)?;
        let safe_path = safe_path.strip_suffix('.').filter(|path| !path.is_empty()).ok_or_else(invalid)?;
        let uuid = instance.strip_prefix(PREFIX).ok_or_else(invalid)?;
        Ok(ParsedTaskId {
            safe_path,
            uuid: Uuid::try_parse(uuid).map_err(|_| InvalidId::Uuid(uuid.to_owned()))?,
            container,
            incarnation: incarnation.parse().map_err(|_| invalid())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance() -> InstanceId {
        "a.b_c.instance-0190163d-8694-739b-aea5-966c26f8ad91".parse().unwrap()
    }

    #[test]
    fn texts_round_trip() {
        assert_eq!(instance().pod, PodId::new("/a.b/c"));
        assert_eq!(instance().to_string(), "a.b_c.instance-0190163d-8694-739b-aea5-966c26f8ad91");
        assert_eq!(instance().executor_id().as_str(), "instance-a.b_c.0190163d-8694-739b-aea5-966c26f8ad91");
        let task = instance().task_id("ct-1", 3);
        let parsed = task.parse().unwrap();
        assert_eq!((parsed.instance(), parsed.container, parsed.incarnation), (instance(), "ct-1", 3));
        assert!(parsed.is_of(&instance()));
        assert!(!parsed.is_of(&InstanceId { pod: PodId::new("/a.b/d"), ..instance() }));
    }

    #[test]
    fn foreign_ids_are_refused() {
        for text in
            ["", "x", "x.y.1", "x.instance-1.c.1", "x.instance-0190163d-8694-739b-aea5-966c26f8ad91.c.x"]
        {
            assert!(TaskId::new(text).parse().is_err(), "{text}");
        }
        // As long as one of ours, but where that would begin there is the middle of a character.
        assert!(TaskId::new(format!("pé{}.c.1", "x".repeat(44))).parse().is_err());
        assert_eq!("p.instance-1".parse::<InstanceId>(), Err(InvalidId::Uuid("1".into())));
    }

    #[test]
    fn a_uuid_carries_the_time() {
        let uuid = new_uuid(Timestamp::from_millis(0x0190_163d_8694), [0xff; 10]);
        assert_eq!(uuid.to_string(), "0190163d-8694-7fff-bfff-ffffffffffff");
    }

    #[test]
    fn a_pod_knows_its_group() {
        assert_eq!(PodId::new("/a/b/c").group(), GroupId::new("/a/b"));
        assert_eq!(PodId::new("/a").group(), GroupId::new("/"));
    }
}
