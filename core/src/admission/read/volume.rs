//! Volumes (Pods page, "Volumes") and networks (Pods page, "Networking").

use super::{MAX_AMOUNT, name, network_name, non_empty};
use crate::admission::reader::{At, Fields, quote, string};
use crate::model::pod::{Network, NetworkMode, PersistentVolume, PersistentVolumeType, Volume, VolumeKind};
use crate::model::regex::JavaRegex;

/// The field of a volume's kind decides. Unlike elsewhere an unknown field is an error: a mistyped kind must
/// not become an ephemeral volume, whose content is lost.
pub(super) fn volume(at: At<'_>) -> Volume {
    at.object(|fields| {
        let kinds: Vec<_> = ["persistent", "secret", "host"].into_iter().filter(|kind| fields.has(kind)).collect();
        if kinds.len() > 1 {
            fields.violation(format!("a volume has one kind, this one has {}", kinds.join(" and ")));
        }
        let name = fields.required("name", name);
        let persistent = fields.optional("persistent", |at| at.object(persistent));
        let secret = fields.optional("secret", non_empty);
        let host = fields.optional("host", string);
        let kind = match (persistent, secret, host) {
            (Some(persistent), _, _) => VolumeKind::Persistent { persistent },
            (None, Some(secret), _) => VolumeKind::Secret { secret },
            (None, None, Some(host)) => VolumeKind::Host { host },
            (None, None, None) => {
                let other = fields.others().next().map(quote);
                if let Some(other) = other {
                    fields.violation(format!(
                        "{other} is no kind of volume, expected host, persistent, secret, or only a name for an \
                         ephemeral volume"
                    ));
                }
                VolumeKind::Ephemeral {}
            }
        };
        Volume { name, kind }
    })
}

fn persistent(fields: &mut Fields<'_>) -> PersistentVolume {
    #[expect(clippy::cast_possible_truncation, reason = "a whole number in range")]
    let mebibytes = |at: At<'_>| at.integer(0..=MAX_AMOUNT as i64);
    let profile_name = fields.optional("profileName", string);
    let default =
        if profile_name.is_some() { PersistentVolumeType::Mount } else { PersistentVolumeType::Root };
    PersistentVolume {
        kind: fields.or("type", default, |at| {
            at.choice(&[
                ("root", PersistentVolumeType::Root),
                ("path", PersistentVolumeType::Path),
                ("mount", PersistentVolumeType::Mount),
            ])
        }),
        size: fields.required("size", mebibytes),
        max_size: fields.optional("maxSize", mebibytes),
        profile_name,
        constraints: fields.list("constraints", disk_constraint),
    }
}

/// `["path", "LIKE", <regex>]` is the only condition there is on disks.
fn disk_constraint(at: At<'_>) -> Vec<String> {
    let words: Vec<&str> =
        at.value.as_array().into_iter().flatten().filter_map(|word| word.as_str()).collect();
    match words[..] {
        ["path", operator, regex] if operator.eq_ignore_ascii_case("LIKE") => match JavaRegex::new(regex) {
            Ok(_) => return vec!["path".to_owned(), "LIKE".to_owned(), regex.to_owned()],
            Err(error) => at.violation(error.to_string()),
        },
        _ => at.violation("expected [\"path\", \"LIKE\", <regular expression>]"),
    }
    Vec::new()
}

pub(super) fn network(at: At<'_>) -> Network {
    at.object(|fields| Network {
        mode: fields.or("mode", NetworkMode::Container, |at| {
            at.choice(&[
                ("container", NetworkMode::Container),
                ("container/bridge", NetworkMode::ContainerBridge),
                ("host", NetworkMode::Host),
            ])
        }),
        name: fields.optional("name", network_name),
        labels: fields.strings("labels"),
    })
}
