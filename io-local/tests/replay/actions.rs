//! What the recorder did to processes, as faults of the model.

use podium_sim::cluster::AgentIndex;

use crate::flags::number;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Deed {
    StopAgent(AgentIndex),
    /// With a new work directory, if `wiped`.
    StartAgent {
        agent: AgentIndex,
        wiped: bool,
    },
    SuspendAgent(AgentIndex),
    ResumeAgent(AgentIndex),
    ShutDownAgent(AgentIndex),
    StopMaster,
    StartMaster,
    /// A signal to the executors, of all machines or of the one that was touched last.
    SignalExecutors {
        signal: i32,
        of_last_agent: bool,
    },
    SuspendExecutors,
    ResumeExecutors,
    CloseStream,
    /// It did nothing to the cluster, or what it did to containers shows in their statuses.
    Nothing,
}

/// Reads what was done; `agents` are the names of the agents' processes.
pub(crate) fn read(text: &str, agents: &[String]) -> Option<Deed> {
    const HARMLESS: [&str; 6] =
        ["running", "recorder:", "now ", "container processes", "ZooKeeper says", "idle call"];
    if HARMLESS.iter().any(|start| text.starts_with(start)) {
        return Some(Deed::Nothing);
    }
    if text.starts_with("client closes") {
        return Some(Deed::CloseStream);
    }
    if let Some(process) = text.strip_prefix("start ") {
        if process == "master" {
            return Some(Deed::StartMaster);
        }
        let agent = agent(process, agents)?;
        return Some(Deed::StartAgent { agent, wiped: !agents.iter().any(|known| known == process) });
    }
    if let Some((signal, process)) = text.strip_prefix("signal ").and_then(|rest| rest.split_once(" to ")) {
        if process == "master" {
            return matches!(signal, "SIGKILL" | "SIGTERM").then_some(Deed::StopMaster);
        }
        let agent = agent(process, agents)?;
        return match signal {
            "SIGKILL" | "SIGTERM" => Some(Deed::StopAgent(agent)),
            "SIGSTOP" => Some(Deed::SuspendAgent(agent)),
            "SIGCONT" => Some(Deed::ResumeAgent(agent)),
            "SIGUSR1" => Some(Deed::ShutDownAgent(agent)),
            _ => None,
        };
    }
    let (signal, target) = text.split_once(" to ")?;
    if target.starts_with("the executor") || target.starts_with("all executors") {
        let of_last_agent = target.contains("that agent");
        return match signal {
            "SIGKILL" => Some(Deed::SignalExecutors { signal: 9, of_last_agent }),
            "SIGTERM" => Some(Deed::SignalExecutors { signal: 15, of_last_agent }),
            "SIGSTOP" => Some(Deed::SuspendExecutors),
            "SIGCONT" => Some(Deed::ResumeExecutors),
            _ => None,
        };
    }
    // A signal to a container's processes.
    (signal.starts_with("SIG") && target.starts_with("the ")).then_some(Deed::Nothing)
}

fn agent(process: &str, agents: &[String]) -> Option<AgentIndex> {
    let exact = agents.iter().position(|known| known == process);
    let same_number = || {
        let wanted = number(process)?;
        agents.iter().position(|known| number(known) == Some(wanted))
    };
    // The recorder's numbers may go on from an earlier recording of the same cluster.
    let only = || (process.starts_with("agent") && agents.len() == 1).then_some(0);
    exact.or_else(same_number).or_else(only).and_then(|index| u32::try_from(index).ok()).map(AgentIndex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deeds_are_read() {
        let agents = ["agent-1".to_owned(), "agent-2-disk".to_owned()];
        let read = |text| read(text, &agents);
        assert_eq!(read("signal SIGSTOP to agent-2"), Some(Deed::SuspendAgent(AgentIndex(1))));
        assert_eq!(read("start agent-1"), Some(Deed::StartAgent { agent: AgentIndex(0), wiped: false }));
        assert_eq!(read("start agent-1-new"), Some(Deed::StartAgent { agent: AgentIndex(0), wiped: true }));
        assert_eq!(
            read("SIGTERM to the executor process"),
            Some(Deed::SignalExecutors { signal: 15, of_last_agent: false })
        );
        assert_eq!(read("SIGKILL to the shell of p.a"), Some(Deed::Nothing));
        assert_eq!(read("signal SIGKILL to zookeeper"), None);
        assert_eq!(read("poured coffee over the rack"), None);
    }
}
