//! Who runs a container.

use nix::unistd::{Uid, User, geteuid};

use super::LaunchError;
use crate::supervisor::Identity;

/// The user to switch to, if any.
///
/// A task's own user must be honoured. The framework's user is a default like the agent's `--switch_user`: only root
/// can follow it, anyone else runs everything as themselves.
pub(super) fn resolve(task: Option<&str>, framework: Option<&str>) -> Result<Option<Identity>, LaunchError> {
    resolve_as(geteuid(), task, framework)
}

fn resolve_as(
    own: Uid,
    task: Option<&str>,
    framework: Option<&str>,
) -> Result<Option<Identity>, LaunchError> {
    let Some(name) = task.or(framework.filter(|_| own.is_root())) else { return Ok(None) };
    let user = User::from_name(name)
        .map_err(|error| LaunchError::UserLookup { name: name.to_owned(), error: error.to_string() })?
        .ok_or_else(|| LaunchError::UnknownUser(name.to_owned()))?;
    if user.uid == own {
        return Ok(None);
    }
    if !own.is_root() {
        let own = User::from_uid(own).ok().flatten().map_or_else(|| own.to_string(), |user| user.name);
        return Err(LaunchError::NotRoot { wanted: name.to_owned(), own });
    }
    Ok(Some(Identity { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: Uid = Uid::from_raw(0);

    fn nobody() -> User {
        User::from_name("nobody").unwrap().expect("every Linux system has the user 'nobody'")
    }

    #[test]
    fn root_switches_to_the_task_s_user_or_else_the_framework_s() {
        let user = nobody();
        let identity = Identity { name: "nobody".into(), uid: user.uid.as_raw(), gid: user.gid.as_raw() };
        assert_eq!(resolve_as(ROOT, Some("nobody"), Some("root")).unwrap(), Some(identity.clone()));
        assert_eq!(resolve_as(ROOT, None, Some("nobody")).unwrap(), Some(identity));
        assert_eq!(resolve_as(ROOT, Some("root"), Some("nobody")).unwrap(), None);
        assert_eq!(resolve_as(ROOT, None, None).unwrap(), None);
    }

    #[test]
    fn others_cannot_switch() {
        let own = nobody().uid;
        assert_eq!(resolve_as(own, Some("nobody"), None).unwrap(), None);
        assert_eq!(resolve_as(own, None, Some("root")).unwrap(), None);
        let error = resolve_as(own, Some("root"), None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "User 'root': the embedded cluster runs as 'nobody' and only root can switch to another user. Leave 'user' \
             out, or run podium as root"
        );
    }

    #[test]
    fn an_unknown_user_is_named() {
        let error = resolve_as(ROOT, Some("no-such-user"), None).unwrap_err();
        assert_eq!(error.to_string(), "User 'no-such-user' does not exist on this machine");
    }
}
