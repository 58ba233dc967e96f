//! What a path below `/v2/pods` names.
//!
//! An id may contain slashes and the part of a pod is a suffix of the path (`/v2/pods/a/b::status`), which no
//! router can express; so the path is taken apart by hand, as leniently as Marathon's clients need: with
//! doubled, leading and trailing slashes, also before `::`, and with any character percent-encoded.

use axum::http::StatusCode;
use percent_encoding::percent_decode_str;
use podium_core::admission::{Rejection, instance_id_from_path, pod_id_from_path};
use podium_core::model::ids::{InstanceId, PodId};
use podium_core::model::time::Timestamp;

use super::error::ApiError;
use super::metrics::Template;

/// What a path below `/v2/pods` names.
#[derive(Debug, PartialEq)]
#[cfg_attr(test, derive(strum::EnumCount))]
pub(super) enum Target {
    /// `/v2/pods`
    Pods,
    /// `/v2/pods/::status`
    Statuses,
    /// `/v2/pods/{id}`
    Pod(PodId),
    /// `/v2/pods/{id}::status`
    Status(PodId),
    /// `/v2/pods/{id}::versions`
    Versions(PodId),
    /// `/v2/pods/{id}::versions/{version}`
    Version(PodId, Timestamp),
    /// `/v2/pods/{id}::instances`
    Instances(PodId),
    /// `/v2/pods/{id}::instances/{instanceId}`
    Instance(PodId, InstanceId),
}

impl Target {
    /// The path as the API's document has it.
    pub(super) fn template(&self) -> Template {
        Template(match self {
            Self::Pods => "/v2/pods",
            Self::Statuses => "/v2/pods/::status",
            Self::Pod(_) => "/v2/pods/{id}",
            Self::Status(_) => "/v2/pods/{id}::status",
            Self::Versions(_) => "/v2/pods/{id}::versions",
            Self::Version(..) => "/v2/pods/{id}::versions/{version}",
            Self::Instances(_) => "/v2/pods/{id}::instances",
            Self::Instance(..) => "/v2/pods/{id}::instances/{instanceId}",
        })
    }
}

/// Takes `path`, as it came in the request, apart.
///
/// # Errors
/// It is not UTF-8, an id in it is no id, or the suffix is unknown.
pub(super) fn parse(path: &str) -> Result<Target, ApiError> {
    let path = decode(path)?;
    let path = path.strip_prefix("/v2/pods").unwrap_or(&path);
    let Some((id, suffix)) = path.split_once("::") else {
        return if path.chars().all(|char| char == '/') {
            Ok(Target::Pods)
        } else {
            Ok(Target::Pod(pod(path)?))
        };
    };
    let (part, rest) = suffix.split_once('/').unwrap_or((suffix, ""));
    match (part, rest.trim_matches('/')) {
        ("status", "") if id.chars().all(|char| char == '/') => Ok(Target::Statuses),
        ("status", "") => Ok(Target::Status(pod(id)?)),
        ("versions", "") => Ok(Target::Versions(pod(id)?)),
        ("versions", version) => {
            // Marathon looks at the version first.
            let version = version
                .parse::<Timestamp>()
                .map_err(|error| ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))?;
            Ok(Target::Version(pod(id)?, version))
        }
        ("instances", "") => Ok(Target::Instances(pod(id)?)),
        ("instances", instance) => Ok(Target::Instance(pod(id)?, instance_id_from_path(instance)?)),
        _ => {
            let error = format!("a pod has ::status, ::versions and ::instances, but no '::{suffix}'");
            Err(Rejection::not_valid("/", error).into())
        }
    }
}

/// The pod that `text`, an already decoded part of a path, names.
pub(super) fn pod(text: &str) -> Result<PodId, ApiError> {
    Ok(pod_id_from_path(text)?)
}

/// Resolves percent-encoding.
pub(super) fn decode(path: &str) -> Result<String, ApiError> {
    let decoded = percent_decode_str(path).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| {
        ApiError::new(StatusCode::BAD_REQUEST, format!("the path '{path}' does not decode to UTF-8"))
    })
}

#[cfg(test)]
pub(super) use tests::{KINDS, kinds_named, template_of};

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use super::*;

    /// So many kinds of things can be named.
    pub(in crate::api) const KINDS: usize = <Target as strum::EnumCount>::COUNT;

    /// How many kinds of things `paths` name.
    pub(in crate::api) fn kinds_named(paths: &BTreeSet<String>) -> usize {
        let targets =
            paths.iter().filter(|path| path.starts_with("/v2/pods")).map(|path| parse(path).unwrap());
        targets.map(|target| std::mem::discriminant(&target)).collect::<HashSet<_>>().len()
    }

    pub(in crate::api) fn template_of(path: &str) -> Option<&'static str> {
        parse(path).ok().map(|target| target.template().0)
    }

    const INSTANCE: &str = "a_b.instance-0190163d-8694-739b-aea5-966c26f8ad91";

    fn id() -> PodId {
        PodId::new("/a/b")
    }

    #[test]
    fn every_spelling_of_an_id_is_understood() {
        for path in ["a/b", "/a/b", "//a/b", "a/b/", "/a//b//", "a%2Fb", "%2fa%2Fb", "a/./b", "x/../a/b"] {
            assert_eq!(parse(&format!("/v2/pods/{path}")).unwrap(), Target::Pod(id()), "{path}");
            let expected = [
                ("::status", Target::Status(id())),
                ("/::status", Target::Status(id())),
                ("::status/", Target::Status(id())),
                ("%3A%3Astatus", Target::Status(id())),
                ("::versions", Target::Versions(id())),
                ("/::versions/", Target::Versions(id())),
                ("::instances", Target::Instances(id())),
            ];
            for (suffix, target) in expected {
                assert_eq!(parse(&format!("/v2/pods/{path}{suffix}")).unwrap(), target, "{path}{suffix}");
            }
        }
    }

    #[test]
    fn the_collection_has_no_id() {
        for path in ["/v2/pods", "/v2/pods/", "/v2/pods//"] {
            assert_eq!(parse(path).unwrap(), Target::Pods);
        }
        for path in ["/v2/pods/::status", "/v2/pods::status", "/v2/pods//::status/"] {
            assert_eq!(parse(path).unwrap(), Target::Statuses);
        }
    }

    #[test]
    fn versions_and_instances_can_be_named() {
        let version = "2017-01-03T18:21:19.310Z".parse().unwrap();
        for text in
            ["2017-01-03T18:21:19.31Z", "2017-01-03T19:21:19.310%2B01:00", "2017-01-03T19:21:19.310+01:00"]
        {
            let target = parse(&format!("/v2/pods/a/b::versions/{text}")).unwrap();
            assert_eq!(target, Target::Version(id(), version), "{text}");
        }
        let target = parse(&format!("/v2/pods/a/b::instances/{INSTANCE}")).unwrap();
        assert_eq!(target, Target::Instance(id(), INSTANCE.parse().unwrap()));
    }

    #[test]
    fn nonsense_is_refused() {
        for path in [
            "/v2/pods/A",
            "/v2/pods/a::",
            "/v2/pods/a::bar",
            "/v2/pods/a::status/x",
            "/v2/pods/a::status::status",
            "/v2/pods/a::versions/yesterday",
            "/v2/pods/::versions",
            "/v2/pods/a::instances/x",
            "/v2/pods/a:status",
            "/v2/pods/%ff",
        ] {
            parse(path).expect_err(path);
        }
    }
}
