//! Commands that disturb a cluster on purpose, and show it.
//!
//! A command is a few words: a line of standard input (`agent 0 pause`), or the path of a request
//! (`POST /admin/agent/0/pause`).

mod command;
mod state;

use podium_sim::cluster::{AgentView, Cluster, ContainerId, Fault, OperatorCall};
use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt};

pub(crate) use self::command::{AgentAction, Command, ExecutorAction, MasterAction};
pub use self::command::{Refusal, help};
pub(crate) use self::state::state;
use crate::cluster::Handle;

/// Gives a running cluster commands.
#[derive(Clone, Debug)]
pub struct Admin {
    cluster: Handle,
}

impl Admin {
    pub(crate) fn new(cluster: Handle) -> Self {
        Self { cluster }
    }

    /// Carries out the command that `words` make; [`help`] lists them. Returns when it has had its effect.
    ///
    /// # Errors
    /// There is no such command, or the cluster refuses it.
    pub async fn execute(&self, words: &[&str]) -> Result<Value, Refusal> {
        self.cluster.admin(Command::parse(words)?).await
    }

    /// Carries out the commands that `input` holds, one per line, and writes one line of JSON for each, until the
    /// input ends. `help` writes the list of commands.
    ///
    /// # Errors
    /// `input` or `output` failed.
    pub async fn serve_lines(
        &self,
        input: impl AsyncBufRead + Unpin,
        mut output: impl AsyncWrite + Unpin,
    ) -> std::io::Result<()> {
        let mut lines = input.lines();
        while let Some(line) = lines.next_line().await? {
            let words: Vec<_> = line.split_whitespace().collect();
            let answer = match words[..] {
                [] => continue,
                ["help"] => help(),
                _ => {
                    let answer = self.execute(&words).await.unwrap_or_else(|refusal| refusal.to_json());
                    format!("{answer}\n")
                }
            };
            output.write_all(answer.as_bytes()).await?;
            output.flush().await?;
        }
        Ok(())
    }
}

/// What a command comes to.
#[derive(Debug, PartialEq)]
pub(crate) enum Plan {
    /// These, one after the other.
    Faults(Vec<Fault>),
    /// A call to Mesos' operator API, which may be refused.
    Operator(OperatorCall),
    /// The cluster's state.
    Show,
}

/// What to do for a command, given the cluster as it is.
pub(crate) fn plan(command: &Command, cluster: &Cluster) -> Result<Plan, Refusal> {
    Ok(match command {
        Command::Agent { agent, action } => {
            let view = find_agent(agent, cluster)?;
            plan_for_agent(*action, &view)?
        }
        Command::Executor { executor_id, action } => {
            let containers: Vec<ContainerId> = cluster
                .executors()
                .filter(|executor| executor.alive && executor.executor_id.as_str() == executor_id)
                .map(|executor| executor.container.clone())
                .collect();
            if containers.is_empty() {
                return Err(Refusal::NotFound(format!("There is no executor '{executor_id}'")));
            }
            let fault = |container| match action {
                ExecutorAction::Kill => Fault::KillExecutor { container, signal: 9 },
                ExecutorAction::Pause => Fault::SuspendExecutor { container },
                ExecutorAction::Resume => Fault::ResumeExecutor { container },
            };
            Plan::Faults(containers.into_iter().map(fault).collect())
        }
        Command::Master(MasterAction::FailOver) => Plan::Faults(vec![Fault::MasterFailover]),
        Command::Master(MasterAction::Start) => Plan::Faults(vec![Fault::StartMaster]),
        Command::Master(MasterAction::Stop) => Plan::Faults(vec![Fault::StopMaster]),
        Command::RescindOffers { agent } => {
            let agent = match agent {
                Some(agent) => Some(find_agent(agent, cluster)?.index),
                None => None,
            };
            Plan::Faults(vec![Fault::RescindOffers { agent }])
        }
        Command::Show => Plan::Show,
        Command::TearDown { framework_id } => {
            Plan::Operator(OperatorCall::Teardown { framework_id: framework_id.as_str().into() })
        }
    })
}

fn plan_for_agent(action: AgentAction, view: &AgentView<'_>) -> Result<Plan, Refusal> {
    let agent = view.index;
    let faults = |faults: Vec<Fault>| Ok(Plan::Faults(faults));
    let agent_id = || {
        let refusal = || Refusal::NotFound(format!("The agent on machine {} is not registered", agent.0));
        view.agent_id.cloned().ok_or_else(refusal)
    };
    match action {
        AgentAction::BringBack => faults(vec![Fault::Heal { agent }, Fault::ResumeAgent { agent }]),
        AgentAction::CutOff => faults(vec![Fault::Partition { agent, loss: true }]),
        AgentAction::Disconnect => faults(vec![Fault::Disconnect { agent }]),
        AgentAction::Pause => faults(vec![Fault::SuspendAgent { agent }]),
        AgentAction::PowerOff => faults(vec![Fault::PowerOff { agent }]),
        AgentAction::Reboot => faults(vec![Fault::PowerOff { agent }, Fault::StartAgent { agent }]),
        AgentAction::Restart => faults(vec![Fault::StopAgent { agent }, Fault::StartAgent { agent }]),
        AgentAction::Resume => faults(vec![Fault::ResumeAgent { agent }]),
        AgentAction::ShutDown => faults(vec![Fault::ShutDownAgent { agent }]),
        AgentAction::Start => faults(vec![Fault::StartAgent { agent }]),
        AgentAction::Stop => faults(vec![Fault::StopAgent { agent }]),
        AgentAction::Wipe => {
            let (off, wipe) = (Fault::PowerOff { agent }, Fault::WipeAgent { agent, keeps_disk: false });
            faults(vec![off, wipe, Fault::StartAgent { agent }])
        }
        AgentAction::Deactivate => {
            Ok(Plan::Operator(OperatorCall::DeactivateAgent { agent_id: agent_id()? }))
        }
        AgentAction::Drain { mark_gone } => Ok(Plan::Operator(OperatorCall::DrainAgent {
            agent_id: agent_id()?,
            max_grace_period: None,
            mark_gone,
        })),
        AgentAction::MarkGone => Ok(Plan::Operator(OperatorCall::MarkAgentGone { agent_id: agent_id()? })),
        AgentAction::Reactivate => {
            Ok(Plan::Operator(OperatorCall::ReactivateAgent { agent_id: agent_id()? }))
        }
    }
}

/// The agent with this number or id.
fn find_agent<'a>(name: &str, cluster: &'a Cluster) -> Result<AgentView<'a>, Refusal> {
    let by_number = |view: &AgentView<'_>| name.parse() == Ok(view.index.0);
    let by_id = |view: &AgentView<'_>| view.agent_id.is_some_and(|id| id.as_str() == name);
    cluster.agents().find(|view| by_number(view) || by_id(view)).ok_or_else(|| {
        let last = cluster.agents().count().saturating_sub(1);
        Refusal::NotFound(format!("There is no agent '{name}'; the numbers go from 0 to {last}"))
    })
}
