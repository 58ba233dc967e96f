//! The words that commands are made of.

use std::fmt::Write;

use podium_sim::cluster::Answer;
use serde_json::{Value, json};

/// An administrator's command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Agent {
        /// A number or an agent id.
        agent: String,
        action: AgentAction,
    },
    Executor {
        executor_id: String,
        action: ExecutorAction,
    },
    Master(MasterAction),
    RescindOffers {
        /// A number or an agent id; all agents if absent.
        agent: Option<String>,
    },
    Show,
    TearDown {
        framework_id: String,
    },
}

/// What can be done to an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AgentAction {
    BringBack,
    CutOff,
    Deactivate,
    Disconnect,
    Drain { mark_gone: bool },
    MarkGone,
    Pause,
    PowerOff,
    Reactivate,
    Reboot,
    Restart,
    Resume,
    ShutDown,
    Start,
    Stop,
    Wipe,
}

/// What can be done to an executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExecutorAction {
    Kill,
    Pause,
    Resume,
}

/// What can be done to the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MasterAction {
    FailOver,
    Start,
    Stop,
}

const AGENT_ACTIONS: [(&str, AgentAction, &str); 17] = [
    ("pause", AgentAction::Pause, "stop its process for a while: it answers nothing (SIGSTOP)"),
    ("resume", AgentAction::Resume, "let its process go on (SIGCONT)"),
    ("cut-off", AgentAction::CutOff, "let nothing pass between it and the master: a network partition"),
    ("bring-back", AgentAction::BringBack, "undo pause and cut-off"),
    ("disconnect", AgentAction::Disconnect, "break its connection to the master; it registers again"),
    ("stop", AgentAction::Stop, "kill its process; its containers go on (SIGKILL)"),
    ("start", AgentAction::Start, "start its process, or its machine after power-off"),
    ("restart", AgentAction::Restart, "stop and start"),
    ("shut-down", AgentAction::ShutDown, "end it with its containers and let it unregister (SIGUSR1)"),
    ("power-off", AgentAction::PowerOff, "switch its machine off: all its containers are gone"),
    ("reboot", AgentAction::Reboot, "power-off and start: it comes back empty, under its old id"),
    ("wipe", AgentAction::Wipe, "reboot, and lose its work directory: it comes back under a new id"),
    ("drain", AgentAction::Drain { mark_gone: false }, "kill its tasks and offer nothing of it"),
    ("drain-gone", AgentAction::Drain { mark_gone: true }, "drain, then mark-gone"),
    ("deactivate", AgentAction::Deactivate, "offer nothing of it; its tasks go on"),
    ("reactivate", AgentAction::Reactivate, "undo drain and deactivate"),
    ("mark-gone", AgentAction::MarkGone, "declare that it will never come back"),
];

const EXECUTOR_ACTIONS: [(&str, ExecutorAction, &str); 3] = [
    ("kill", ExecutorAction::Kill, "kill its process, and with it its tasks (SIGKILL)"),
    ("pause", ExecutorAction::Pause, "stop its process for a while: it obeys nothing (SIGSTOP)"),
    ("resume", ExecutorAction::Resume, "let its process go on (SIGCONT)"),
];

const MASTER_ACTIONS: [(&str, MasterAction, &str); 3] = [
    ("fail-over", MasterAction::FailOver, "let it die and another one take over"),
    ("stop", MasterAction::Stop, "let it die"),
    ("start", MasterAction::Start, "let another one take over"),
];

/// The list of commands, for people.
pub fn help() -> String {
    let mut text =
        "Commands of the embedded cluster. AGENT is a number from 0 or an agent id. Over HTTP a command is\n\
                    a path: POST /admin/agent/0/pause, GET /admin/state.\n\n"
            .to_owned();
    let mut line = |command: String, what: &str| _ = writeln!(text, "  {command:<27} {what}");
    line("state".to_owned(), "agents, frameworks, executors, tasks with their sandboxes, and offers");
    for (name, _, what) in AGENT_ACTIONS {
        line(format!("agent AGENT {name}"), what);
    }
    for (name, _, what) in EXECUTOR_ACTIONS {
        line(format!("executor EXECUTOR_ID {name}"), what);
    }
    for (name, _, what) in MASTER_ACTIONS {
        line(format!("master {name}"), what);
    }
    line("offers rescind [AGENT]".to_owned(), "take outstanding offers back");
    line("framework ID tear-down".to_owned(), "remove a framework with all its tasks");
    line("help".to_owned(), "this list");
    text
}

impl Command {
    /// # Errors
    /// [`Refusal::Unknown`] with what would work.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, Refusal> {
        match *words {
            ["state"] => Ok(Self::Show),
            ["agent", agent, action] => Ok(Self::Agent {
                agent: agent.to_owned(),
                action: lookup(&AGENT_ACTIONS, "agent AGENT", action)?,
            }),
            ["executor", executor_id, action] => Ok(Self::Executor {
                executor_id: executor_id.to_owned(),
                action: lookup(&EXECUTOR_ACTIONS, "executor EXECUTOR_ID", action)?,
            }),
            ["master", action] => Ok(Self::Master(lookup(&MASTER_ACTIONS, "master", action)?)),
            ["offers", "rescind"] => Ok(Self::RescindOffers { agent: None }),
            ["offers", "rescind", agent] => Ok(Self::RescindOffers { agent: Some(agent.to_owned()) }),
            ["framework", framework_id, "tear-down"] => {
                Ok(Self::TearDown { framework_id: framework_id.to_owned() })
            }
            _ => Err(Refusal::Unknown(format!(
                "There is no command '{}'; 'help' (GET /admin/help) lists the commands",
                words.join(" ")
            ))),
        }
    }

    /// What to say when it has been carried out.
    pub(crate) fn done() -> Value {
        json!({ "done": true })
    }
}

fn lookup<T: Copy>(table: &[(&str, T, &str)], subject: &str, action: &str) -> Result<T, Refusal> {
    table.iter().find(|(name, ..)| *name == action).map(|&(_, found, _)| found).ok_or_else(|| {
        let names: Vec<_> = table.iter().map(|(name, ..)| *name).collect();
        Refusal::Unknown(format!("There is no command '{subject} {action}'; there are: {}", names.join(", ")))
    })
}

/// A command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such agent or executor.
    #[error("{0}")]
    NotFound(String),
    /// Mesos refused it.
    #[error("{message}")]
    Rejected {
        /// The status code.
        status: u16,
        /// Mesos' words.
        message: String,
    },
    /// The cluster has been shut down.
    #[error("The cluster has been shut down")]
    ShutDown,
    /// There is no such command.
    #[error("{0}")]
    Unknown(String),
}

impl Refusal {
    /// The HTTP status code that goes with it.
    pub fn status(&self) -> u16 {
        match self {
            Self::NotFound(_) => 404,
            Self::Rejected { status, .. } => *status,
            Self::ShutDown => 503,
            Self::Unknown(_) => 400,
        }
    }

    /// The refusal as an administrator sees it.
    pub fn to_json(&self) -> Value {
        json!({ "message": self.to_string() })
    }

    pub(crate) fn unless_done(answer: Answer) -> Result<Value, Self> {
        match answer {
            Answer::Accepted | Answer::Ok => Ok(Command::done()),
            Answer::Rejected { status, message } => Err(Self::Rejected { status, message }),
            Answer::NoMaster => {
                Err(Self::Rejected { status: 503, message: "There is no leading master".to_owned() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        let words: Vec<_> = line.split_whitespace().collect();
        Command::parse(&words).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn every_command_in_the_help_exists() {
        let help = help();
        let commands = help.lines().skip(3).map(|line| line[2..29].trim());
        for command in commands.filter(|command| *command != "help") {
            let line = command.replace(['[', ']'], "");
            assert!(parse(&line).is_ok(), "{line}");
        }
    }

    #[test]
    fn words_become_commands() {
        let agent = "1".to_owned();
        assert_eq!(
            parse("agent 1 drain-gone"),
            Ok(Command::Agent { agent, action: AgentAction::Drain { mark_gone: true } })
        );
        assert_eq!(parse("offers rescind"), Ok(Command::RescindOffers { agent: None }));
    }

    #[test]
    fn what_is_no_command_is_told_what_is() {
        assert_eq!(
            parse("master sleep"),
            Err("There is no command 'master sleep'; there are: fail-over, stop, start".to_owned())
        );
        assert_eq!(
            parse("make tea"),
            Err("There is no command 'make tea'; 'help' (GET /admin/help) lists the commands".to_owned())
        );
    }
}
