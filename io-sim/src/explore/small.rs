//! Small worlds: one pod of two copies with two containers each, on one or two machines.

use serde_json::json;

use crate::plan::{Boundary, ExitStatus, Fault, Plan, Planned, Span, Target};

/// What breaks does so by then.
pub const LATE: Span = Span::from_secs(5 * 60);

/// A small world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Small {
    /// How many machines there are.
    pub agents: u32,
    /// The scheduler dies once, and is started again at once.
    pub crash: bool,
    /// The first machine is out of reach once, for ten seconds or less: its copies may be replaced after two and
    /// given up after four. From this time on at the latest, if any.
    pub partition: Option<Span>,
    /// A container ends badly once.
    pub exit: bool,
}

/// The plan of a small world. It is created at the beginning; what breaks does so late, unless somebody lets it
/// happen before. Messages take no time, so that only what is let happen makes time pass.
pub fn small_world(small: Small) -> Plan {
    let container = |name: &str| {
        json!({
            "name": name,
            "exec": { "command": { "shell": "serve" } },
            "resources": { "cpus": 0.1, "mem": 32 }
        })
    };
    let pod = json!({
        "id": "/p",
        "scaling": { "kind": "fixed", "instances": 2 },
        "networks": [{ "mode": "host" }],
        "containers": [container("a"), container("b")],
        "scheduling": {
            "backoff": { "backoff": 1, "backoffFactor": 1, "maxLaunchDelay": 1 },
            "unreachableStrategy": { "inactiveAfterSeconds": 2, "expungeAfterSeconds": 4 }
        }
    });
    let plan = json!({
        "about": "A small world, to be explored.",
        // One whose draws have a copy on the machine that is lost.
        "seed": 2,
        "cluster": {
            "agents": vec![json!({ "cpus": 1, "mem": 1024 }); small.agents as usize],
            "latency": ["0s", "0s"],
            "ping_timeout": "1s",
            "max_ping_timeouts": 2
        },
        "scheduler": { "latency": ["0s", "0s"], "write": ["0s", "0s"], "boot": "0s" },
        "workload": [{ "at": "0s", "do": { "create": { "pod": pod } } }],
        "mended_at": "10m"
    });
    let mut plan: Plan = serde_json::from_value(plan).expect("the text above is a plan");
    if small.crash {
        let (boundary, calls_lost, lasts) = (Boundary::AfterWrite, true, Span::ZERO);
        plan.faults.push(Planned::at(LATE, Fault::SchedulerCrashed { boundary, calls_lost, lasts }));
    }
    if let Some(at) = small.partition {
        let (agent, loss, lasts) = (0, true, Span::from_secs(10));
        plan.faults.push(Planned::at(at, Fault::AgentPartitioned { agent, loss, lasts }));
    }
    if small.exit {
        let (of, status) = (Target::default(), ExitStatus::Code(1));
        plan.faults.push(Planned::at(LATE, Fault::ContainerExits { of, status }));
    }
    plan
}
