//! `/v2/groups` and everything below it.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use podium_core::admission::{AdmittedGroup, group_id_from_path, read_enforce_role, read_group};
use podium_core::model::ids::{DeploymentId, GroupId};
use podium_core::model::time::Timestamp;
use podium_core::view::{GroupEmbed, GroupInfo, PodStatus, PodVersion};
use podium_core::{Command, Refusal, Response as Reply};
use schemars::JsonSchema;
use serde::Serialize;

use super::error::ApiError;
use super::metrics::Template;
use super::pods::other;
use super::{Api, Asked, body, dry_run, headers, json, path, status, unexpected};

/// What a path below `/v2/groups` names.
#[derive(Debug, PartialEq)]
#[cfg_attr(test, derive(strum::EnumCount))]
enum Target {
    /// `/v2/groups` or `/v2/groups/{id}`
    Group(GroupId),
    /// `/v2/groups/{id}/apps`
    Apps,
    /// `/v2/groups/{id}/versions`
    Versions(GroupId),
    /// `/v2/groups/{id}/versions/{version}`
    Version(GroupId, Timestamp),
}

impl Target {
    /// The path as the API's document has it.
    fn template(&self) -> Template {
        Template(match self {
            Self::Group(id) if id.is_root() => "/v2/groups",
            Self::Group(_) => "/v2/groups/{id}",
            Self::Apps => "/v2/groups/{id}/apps",
            Self::Versions(id) if id.is_root() => "/v2/groups/versions",
            Self::Versions(_) => "/v2/groups/{id}/versions",
            Self::Version(id, _) if id.is_root() => "/v2/groups/versions/{version}",
            Self::Version(..) => "/v2/groups/{id}/versions/{version}",
        })
    }
}

/// Finds out what a path means.
pub(super) async fn dispatch(State(api): State<Api>, request: Request) -> Response {
    match parse(request.uri().path()) {
        Ok(target) => (Extension(target.template()), answer(api, target, request).await).into_response(),
        Err(error) => error.into_response(),
    }
}

/// Does what is asked of `target`.
async fn answer(api: Api, target: Target, request: Request) -> Result<Response, ApiError> {
    let method = request.method().clone();
    match (target, method.as_str()) {
        (Target::Group(id), "GET" | "HEAD") => read(&api, id, None, &Asked::of(&request)).await,
        (Target::Group(id), "POST") => create(&api, &id, request).await,
        (Target::Group(id), "PUT") => update(&api, &id, request).await,
        (Target::Group(id), "PATCH") => enforce_role(&api, id, request).await,
        (Target::Group(id), "DELETE") => remove(&api, id, Asked::of(&request)).await,
        (Target::Group(_), method) => other(method, "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),

        // Podium runs pods only.
        (Target::Apps, "GET" | "HEAD") => Ok(json(StatusCode::OK, &[(); 0])),
        (Target::Versions(id), "GET" | "HEAD") => versions(&api, id).await,
        (Target::Version(id, version), "GET" | "HEAD") => {
            read(&api, id, Some(version), &Asked::of(&request)).await
        }
        (Target::Apps | Target::Versions(_) | Target::Version(..), method) => {
            other(method, "GET, HEAD, OPTIONS")
        }
    }
}

/// Takes `path`, as it came in the request, apart. Like Marathon, by its last segments: no group can be called
/// `versions`.
fn parse(path: &str) -> Result<Target, ApiError> {
    let path = path::decode(path)?;
    let path = path.strip_prefix("/v2/groups").unwrap_or(&path).trim_matches('/');
    let (parent, last) = path.rsplit_once('/').unwrap_or(("", path));
    match last {
        "apps" => return Ok(Target::Apps),
        "versions" => return Ok(Target::Versions(group_id_from_path(parent)?)),
        _ => {}
    }
    let (group, word) = parent.rsplit_once('/').unwrap_or(("", parent));
    if word == "versions" {
        let version = last
            .parse::<Timestamp>()
            .map_err(|error| ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))?;
        return Ok(Target::Version(group_id_from_path(group)?, version));
    }
    Ok(Target::Group(group_id_from_path(path)?))
}

async fn read(
    api: &Api,
    id: GroupId,
    version: Option<Timestamp>,
    asked: &Asked,
) -> Result<Response, ApiError> {
    let (wanted, embed) = (id.clone(), embed(asked));
    let group = api
        .driver
        .query(move |scheduler, _| match version {
            None => scheduler.group(&wanted, embed),
            Some(version) => scheduler.group_version(&wanted, version, embed),
        })
        .await?
        .ok_or(Refusal::UnknownGroup(id))?;
    Ok(json(StatusCode::OK, &with_statuses(api, group).await?))
}

/// What is to be shown: everything unless something is asked for. Unknown words are passed over, as in Marathon.
fn embed(asked: &Asked) -> GroupEmbed {
    let mut words =
        asked.parameters.iter().filter(|(key, _)| key == "embed").map(|(_, word)| word).peekable();
    if words.peek().is_none() {
        return GroupEmbed::ALL;
    }
    words.fold(GroupEmbed { pods: false, groups: false }, |embed, word| GroupEmbed {
        pods: embed.pods || word == "group.pods",
        groups: embed.groups || word == "group.groups",
    })
}

/// A group with the states of all pods in it. Those that are gone by now are left out.
async fn with_statuses(api: &Api, group: GroupInfo<PodVersion>) -> Result<GroupInfo<PodStatus>, ApiError> {
    let pods: Vec<_> = group.all_pods().into_iter().map(|pod| (pod.id.clone(), Some(pod.version))).collect();
    let mut statuses = status::of(api, pods).await?.into_iter().peekable();
    Ok(group.map_pods(&mut |pod| statuses.next_if(|status| status.id == pod.id)))
}

async fn versions(api: &Api, id: GroupId) -> Result<Response, ApiError> {
    let wanted = id.clone();
    let versions = api.driver.query(move |scheduler, _| scheduler.group_versions(&wanted)).await?;
    Ok(json(StatusCode::OK, &versions.ok_or(Refusal::UnknownGroup(id))?))
}

async fn create(api: &Api, base: &GroupId, request: Request) -> Result<Response, ApiError> {
    let asked = Asked::of(&request);
    let AdmittedGroup { update, unknown_fields } =
        read_group(&body::read_json(api, request).await?, base, &api.rules)?;
    let path = format!("/v2/groups{}", update.id);
    let mut response =
        change(api, &asked, StatusCode::CREATED, Command::CreateGroup { group: update }).await?;
    if response.status() == StatusCode::CREATED {
        headers::add_location(&mut response, &asked.headers, &path);
    }
    headers::add_warnings(&mut response, &unknown_fields);
    Ok(response)
}

async fn update(api: &Api, base: &GroupId, request: Request) -> Result<Response, ApiError> {
    let asked = Asked::of(&request);
    let AdmittedGroup { update, unknown_fields } =
        read_group(&body::read_json(api, request).await?, base, &api.rules)?;
    let mut response = change(api, &asked, StatusCode::OK, Command::UpdateGroup { group: update }).await?;
    headers::add_warnings(&mut response, &unknown_fields);
    Ok(response)
}

async fn remove(api: &Api, id: GroupId, asked: Asked) -> Result<Response, ApiError> {
    let command = Command::DeleteGroup { id, force: asked.flag("force") };
    change(api, &asked, StatusCode::OK, command).await
}

async fn enforce_role(api: &Api, id: GroupId, request: Request) -> Result<Response, ApiError> {
    let asked = Asked::of(&request);
    let enforce_role = read_enforce_role(&body::read_json(api, request).await?)?;
    api.command(&asked, Command::EnforceGroupRole { id, enforce_role }).await?;
    Ok(StatusCode::OK.into_response())
}

/// Has a group changed, or says what that would do.
async fn change(
    api: &Api,
    asked: &Asked,
    status: StatusCode,
    command: Command,
) -> Result<Response, ApiError> {
    if dry_run::is_wanted(asked)? {
        return Ok(json(StatusCode::OK, &dry_run::preview(api, command).await?.plan));
    }
    match api.command(asked, command).await? {
        Reply::GroupUpdated { deployment, version, .. } | Reply::GroupDeleted { deployment, version } => {
            let mut response = json(status, &Changed { version, deployment_id: &deployment });
            headers::add_deployment(&mut response, &deployment);
            Ok(response)
        }
        _ => Err(unexpected()),
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Changed<'a> {
    version: Timestamp,
    deployment_id: &'a DeploymentId,
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
        let paths = paths.iter().filter(|path| path.starts_with("/v2/groups"));
        let targets = paths.map(|path| parse(path).unwrap());
        targets.map(|target| std::mem::discriminant(&target)).collect::<HashSet<_>>().len()
    }

    pub(in crate::api) fn template_of(path: &str) -> Option<&'static str> {
        parse(path).ok().map(|target| target.template().0)
    }

    #[test]
    fn every_path_names_something() {
        let group = |id: &str| Target::Group(GroupId::from(id));
        let version: Timestamp = "2017-01-03T18:21:19.310Z".parse().unwrap();
        for (path, target) in [
            ("", group("/")),
            ("/", group("/")),
            ("/a/b", group("/a/b")),
            ("//a%2Fb/", group("/a/b")),
            ("/apps", Target::Apps),
            ("/a/apps", Target::Apps),
            ("/versions", Target::Versions(GroupId::root())),
            ("/a/b/versions", Target::Versions("/a/b".into())),
            ("/versions/2017-01-03T18:21:19.31Z", Target::Version(GroupId::root(), version)),
            ("/a/versions/2017-01-03T18:21:19.31Z", Target::Version("/a".into(), version)),
        ] {
            assert_eq!(parse(&format!("/v2/groups{path}")).unwrap(), target, "{path}");
        }
        for path in ["/A", "/a/versions/yesterday", "/a/tasks", "/%ff"] {
            parse(&format!("/v2/groups{path}")).expect_err(path);
        }
    }
}
