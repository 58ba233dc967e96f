//! A container's program, arguments and environment variables.

use std::collections::BTreeMap;
use std::path::Path;

use podium_core::model::ids::{Role, TaskId};
use podium_core::model::mesos::{CommandInfo, EnvironmentValue, Secret};

use super::LaunchError;
use crate::supervisor::Execute;

/// Used when this process has no `PATH` itself.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What surrounds the command.
pub(super) struct Context<'a> {
    pub(super) sandbox: &'a Path,
    pub(super) task_id: &'a TaskId,
    pub(super) role: Option<&'a Role>,
}

/// The container's main program.
pub(super) fn main_program(
    command: Option<&CommandInfo>,
    context: &Context<'_>,
) -> Result<Execute, LaunchError> {
    let command = command.ok_or(LaunchError::NoCommand)?;
    let mut variables = BTreeMap::from([
        // Of this process' environment only the way to the programs, so that a pod finds what its author finds.
        ("PATH".to_owned(), std::env::var("PATH").unwrap_or_else(|_| DEFAULT_PATH.to_owned())),
        ("MESOS_TASK_ID".to_owned(), context.task_id.to_string()),
    ]);
    extend(&mut variables, command)?;
    // Mesos' own variables come last.
    variables.insert("MESOS_SANDBOX".to_owned(), context.sandbox.display().to_string());
    variables.insert("MESOS_CONTAINER_IP".to_owned(), "127.0.0.1".to_owned());
    if let Some(role) = context.role {
        variables.insert("MESOS_ALLOCATION_ROLE".to_owned(), role.to_string());
    }
    program(command, variables)
}

/// A health check's command: in the environment of the container's main program, plus its own variables.
pub(super) fn check_program(command: &CommandInfo, main: &Execute) -> Result<Execute, LaunchError> {
    let mut variables = main.environment.iter().cloned().collect();
    extend(&mut variables, command)?;
    program(command, variables)
}

fn program(command: &CommandInfo, variables: BTreeMap<String, String>) -> Result<Execute, LaunchError> {
    let CommandInfo { shell, value, arguments, .. } = command;
    let value = value.clone().filter(|value| !value.is_empty());
    let (program, arguments) = match (shell, value, arguments.first()) {
        (true, Some(value), _) => ("sh".to_owned(), vec!["sh".to_owned(), "-c".to_owned(), value]),
        (false, Some(value), Some(_)) => (value, arguments.clone()),
        (false, Some(value), None) => (value.clone(), vec![value]),
        // An argv for an image's entry point; without an image its first word is the program.
        (false, None, Some(first)) => (first.clone(), arguments.clone()),
        (true, None, _) | (false, None, None) => return Err(LaunchError::NoCommand),
    };
    Ok(Execute { program, arguments, environment: variables.into_iter().collect() })
}

fn extend(variables: &mut BTreeMap<String, String>, command: &CommandInfo) -> Result<(), LaunchError> {
    for variable in &command.environment {
        let place = || format!("environment variable {}", variable.name);
        let value = match &variable.value {
            EnvironmentValue::Value(value) => value.clone(),
            EnvironmentValue::Secret(Secret::Reference { name, .. }) => {
                return Err(LaunchError::SecretReference { name: name.clone(), place: place() });
            }
            EnvironmentValue::Secret(Secret::Value(bytes)) => std::str::from_utf8(bytes)
                .ok()
                .filter(|text| !text.contains('\0'))
                .map(ToOwned::to_owned)
                .ok_or_else(|| LaunchError::SecretValue(place()))?,
        };
        variables.insert(variable.name.clone(), value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use podium_core::model::mesos::EnvironmentVariable;

    use super::*;

    fn context<'a>(task_id: &'a TaskId, role: &'a Role) -> Context<'a> {
        Context { sandbox: Path::new("/sandbox"), task_id, role: Some(role) }
    }

    fn command(shell: bool, value: Option<&str>, arguments: &[&str]) -> CommandInfo {
        CommandInfo {
            shell,
            value: value.map(ToOwned::to_owned),
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            environment: Vec::new(),
            uris: Vec::new(),
            user: None,
        }
    }

    fn variable(name: &str, value: EnvironmentValue) -> EnvironmentVariable {
        EnvironmentVariable { name: name.to_owned(), value }
    }

    fn run(command: &CommandInfo) -> Result<(String, Vec<String>), String> {
        main_program(Some(command), &context(&TaskId::new("t"), &Role::new("r")))
            .map(|execute| (execute.program, execute.arguments))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn shell_and_argv() {
        let strings = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            run(&command(true, Some("a b"), &["c"])),
            Ok(("sh".into(), strings(&["sh", "-c", "a b"])))
        );
        assert_eq!(run(&command(false, Some("/p"), &["p", "x"])), Ok(("/p".into(), strings(&["p", "x"]))));
        assert_eq!(run(&command(false, Some("/p"), &[])), Ok(("/p".into(), strings(&["/p"]))));
        assert_eq!(run(&command(false, None, &["p", "x"])), Ok(("p".into(), strings(&["p", "x"]))));
        assert_eq!(run(&command(true, Some(""), &[])), Err(LaunchError::NoCommand.to_string()));
        assert_eq!(run(&command(false, None, &[])), Err(LaunchError::NoCommand.to_string()));
    }

    #[test]
    fn later_variables_win_and_mesos_last() {
        let mut command = command(true, Some("x"), &[]);
        for (name, value) in
            [("A", "1"), ("A", "2"), ("MESOS_TASK_ID", "own"), ("MESOS_SANDBOX", "lie"), ("PATH", "/p")]
        {
            command.environment.push(variable(name, EnvironmentValue::Value(value.to_owned())));
        }
        command.environment.push(variable("S", EnvironmentValue::Secret(Secret::Value(b"secret".to_vec()))));
        let main = main_program(Some(&command), &context(&TaskId::new("t"), &Role::new("r"))).unwrap();
        let pairs = |list: &[(&str, &str)]| {
            list.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>()
        };
        let expected = pairs(&[
            ("A", "2"),
            ("MESOS_ALLOCATION_ROLE", "r"),
            ("MESOS_CONTAINER_IP", "127.0.0.1"),
            ("MESOS_SANDBOX", "/sandbox"),
            ("MESOS_TASK_ID", "own"),
            ("PATH", "/p"),
            ("S", "secret"),
        ]);
        assert_eq!(main.environment, expected);

        command.environment = vec![variable("A", EnvironmentValue::Value("3".to_owned()))];
        let check = check_program(&command, &main).unwrap();
        assert_eq!(check.environment[0], ("A".to_owned(), "3".to_owned()));
        assert_eq!(check.environment[1..], expected[1..]);
    }

    #[test]
    fn secrets_by_reference_are_refused() {
        let mut command = command(true, Some("x"), &[]);
        let reference = Secret::Reference { name: "/db".to_owned(), key: None };
        command.environment.push(variable("PASSWORD", EnvironmentValue::Secret(reference)));
        assert_eq!(
            run(&command).unwrap_err(),
            "Secret '/db' of environment variable PASSWORD: the embedded cluster has no secret resolver. A Mesos agent \
             with a secret resolver module can look secrets up"
        );
        command.environment = vec![variable("P", EnvironmentValue::Secret(Secret::Value(vec![0])))];
        assert_eq!(
            run(&command).unwrap_err(),
            "The secret of environment variable P is not UTF-8 text without NUL bytes"
        );
    }
}
