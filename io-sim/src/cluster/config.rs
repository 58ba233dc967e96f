//! What a cluster is made of and every constant of its behaviour, with Mesos' defaults.

use std::collections::BTreeMap;
use std::time::Duration;

use podium_core::model::ids::{AgentId, Role};
use podium_core::model::mesos::{Attribute, FaultDomain, PortRange, Resource, ResourceKind};
use podium_core::model::number::Scalar;

/// A cluster: its machines and the flags of its processes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterConfig {
    /// The machines that run an agent each; [`super::AgentIndex`] counts in this list.
    pub agents: Vec<AgentConfig>,
    /// The master's flags and constants.
    pub master: MasterConfig,
    /// The agents' flags and constants.
    pub agent: AgentFlags,
    /// The default executor's constants.
    pub executor: ExecutorFlags,
    /// How long messages take.
    pub links: LinkConfig,
}

/// A machine and the agent on it.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentConfig {
    /// The name under which it is known to schedulers.
    pub hostname: String,
    /// Its address: what its containers report unless they say otherwise.
    pub ip: String,
    /// The port that the agent listens on.
    pub port: u16,
    /// What it has, with static reservations.
    pub resources: Vec<Resource>,
    /// Its attributes, in order.
    pub attributes: Vec<Attribute>,
    /// Its place.
    pub domain: Option<FaultDomain>,
    /// The id that it has from an earlier life of this cluster, of which agent and master's registry remember
    /// nothing else. The master gives it one if absent.
    pub agent_id: Option<AgentId>,
    /// What operations have made of parts of its resources in an earlier life: reservations and volumes. An agent keeps
    /// that on disk, like its id.
    pub converted: Vec<Resource>,
}

impl AgentConfig {
    /// A machine with these amounts and the ports 31000 to 32000.
    pub fn new(hostname: impl Into<String>, cpus: f64, mem: f64, disk: f64) -> Self {
        let scalar = |kind, amount| Resource::scalar(kind, Scalar::from_f64(amount));
        Self {
            hostname: hostname.into(),
            ip: "127.0.0.1".to_owned(),
            port: 5051,
            resources: vec![
                scalar(ResourceKind::Cpus, cpus),
                scalar(ResourceKind::Mem, mem),
                scalar(ResourceKind::Disk, disk),
                Resource::ports(vec![PortRange { begin: 31_000, end: 32_000 }]),
            ],
            attributes: Vec::new(),
            domain: None,
            agent_id: None,
            converted: Vec::new(),
        }
    }
}

/// Flags and constants of the master.
#[derive(Clone, Debug, PartialEq)]
pub struct MasterConfig {
    /// Its name for people and for `SUBSCRIBED`.
    pub hostname: String,
    /// Its port.
    pub port: u16,
    /// What it calls itself.
    pub version: String,
    /// Its place: agents elsewhere are offered only to `REGION_AWARE` frameworks.
    pub domain: Option<FaultDomain>,
    /// Time between heartbeats on a subscription.
    pub heartbeat_interval: Duration,
    /// `--allocation_interval`: time between batch allocations.
    pub allocation_interval: Duration,
    /// `--agent_ping_timeout`: time between pings, and how long each waits for its answer.
    pub agent_ping_timeout: Duration,
    /// `--max_agent_ping_timeouts`: so many in a row make an agent unreachable.
    pub max_agent_ping_timeouts: u32,
    /// `--agent_reregister_timeout`: how long a master that took over waits for the agents it read about.
    pub agent_reregister_timeout: Duration,
    /// `--registry_gc_interval`: time between collections of unreachable and gone agents.
    pub registry_gc_interval: Duration,
    /// `--registry_max_agent_age`: how long an unreachable or gone agent is remembered.
    pub registry_max_agent_age: Duration,
    /// `--registry_max_agent_count`: how many unreachable or gone agents are remembered.
    pub registry_max_agent_count: usize,
    /// `--max_completed_frameworks`: how many removed frameworks are remembered.
    pub max_completed_frameworks: usize,
    /// `--max_unreachable_tasks_per_framework`: how many tasks of unreachable agents are remembered.
    pub max_unreachable_tasks_per_framework: usize,
    /// `--offer_timeout`: outstanding offers are rescinded after this; never if absent.
    pub offer_timeout: Option<Duration>,
    /// `--min_allocatable_resources`: a piece is offered if it has one of these amounts.
    pub min_allocatable: Vec<(ResourceKind, Scalar)>,
    /// Time between the death of the leader and the next one's election, for
    /// [`super::Fault::MasterFailover`].
    pub election: Duration,
    /// Time that a new leader needs to read its registry; calls are answered 503 meanwhile.
    pub recovery: Duration,
    /// ACL `register_frameworks`: the roles that frameworks may have; any if absent.
    pub permitted_roles: Option<Vec<Role>>,
    /// ACL `run_tasks`: the system users that tasks may run as; any if absent.
    pub permitted_users: Option<Vec<String>>,
    /// Quota limits by role.
    pub quota: BTreeMap<Role, Vec<(ResourceKind, Scalar)>>,
}

impl Default for MasterConfig {
    fn default() -> Self {
        Self {
            hostname: "127.0.0.1".to_owned(),
            port: 5050,
            version: "1.12.0".to_owned(),
            domain: None,
            heartbeat_interval: Duration::from_secs(15),
            allocation_interval: Duration::from_secs(1),
            agent_ping_timeout: Duration::from_secs(15),
            max_agent_ping_timeouts: 5,
            agent_reregister_timeout: Duration::from_secs(10 * 60),
            registry_gc_interval: Duration::from_secs(15 * 60),
            registry_max_agent_age: Duration::from_secs(14 * 24 * 3600),
            registry_max_agent_count: 102_400,
            max_completed_frameworks: 50,
            max_unreachable_tasks_per_framework: 1000,
            offer_timeout: None,
            min_allocatable: vec![
                (ResourceKind::Cpus, Scalar::from_thousandths(10)),
                (ResourceKind::Mem, Scalar::from_thousandths(32_000)),
            ],
            election: Duration::from_secs(10),
            recovery: Duration::from_millis(500),
            permitted_roles: None,
            permitted_users: None,
            quota: BTreeMap::new(),
        }
    }
}

/// Flags and constants of the agents.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentFlags {
    /// `--executor_registration_timeout`: an executor that is silent for so long after its launch is killed.
    pub executor_registration_timeout: Duration,
    /// `--executor_reregistration_timeout`: how long a restarted agent waits for its executors.
    pub executor_reregistration_timeout: Duration,
    /// `--executor_shutdown_grace_period`: between asking an executor to end and destroying its container.
    pub executor_shutdown_grace_period: Duration,
    /// An unacknowledged status update is sent again after this, and after twice the time each next time.
    pub update_retry_min: Duration,
    /// The longest time between two tries.
    pub update_retry_max: Duration,
    /// `--registration_backoff_factor`: upper bound of the first random wait before registering.
    pub registration_backoff: Duration,
    /// Upper bound of all later ones.
    pub registration_backoff_max: Duration,
    /// How long it takes an agent to find out about a new leading master.
    pub master_detection: Latency,
    /// How long a frameworks' executors wait for a restarted agent (`--recovery_timeout`).
    pub recovery_timeout: Duration,
}

impl Default for AgentFlags {
    fn default() -> Self {
        Self {
            executor_registration_timeout: Duration::from_secs(60),
            executor_reregistration_timeout: Duration::from_secs(2),
            executor_shutdown_grace_period: Duration::from_secs(5),
            update_retry_min: Duration::from_secs(10),
            update_retry_max: Duration::from_secs(600),
            registration_backoff: Duration::from_secs(1),
            registration_backoff_max: Duration::from_secs(60),
            master_detection: Latency::millis(100, 1000),
            recovery_timeout: Duration::from_secs(15 * 60),
        }
    }
}

/// Constants of the default executor.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutorFlags {
    /// Time from SIGTERM to SIGKILL for a task without a kill policy, and for the members that a failed or
    /// killed one takes with it.
    pub kill_grace_period: Duration,
    /// How long an executor whose tasks have all ended waits for its agent to take their last updates.
    pub final_acknowledgement_timeout: Duration,
}

impl Default for ExecutorFlags {
    fn default() -> Self {
        Self {
            kill_grace_period: Duration::from_secs(3),
            final_acknowledgement_timeout: Duration::from_secs(60),
        }
    }
}

/// How long the messages inside the cluster take. Those between scheduler and master are the driver's business.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkConfig {
    /// Between the master and an agent, each way.
    pub master_agent: Latency,
    /// Between an agent and an executor on it, each way.
    pub agent_executor: Latency,
}

impl LinkConfig {
    /// No latency at all, for clusters whose latency is that of real processes.
    pub const INSTANT: Self = Self { master_agent: Latency::ZERO, agent_executor: Latency::ZERO };
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self { master_agent: Latency::millis(1, 10), agent_executor: Latency::millis(1, 5) }
    }
}

/// A range that latencies are drawn from evenly. Messages of one link never overtake each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// The shortest.
    pub min: Duration,
    /// The longest.
    pub max: Duration,
}

impl Latency {
    /// None at all.
    pub const ZERO: Self = Self { min: Duration::ZERO, max: Duration::ZERO };

    /// From `min` to `max` milliseconds.
    pub const fn millis(min: u64, max: u64) -> Self {
        Self { min: Duration::from_millis(min), max: Duration::from_millis(max) }
    }
}

/// A duration in Mesos' words: the largest unit that leaves at least one, such as `10mins` or `2secs`.
pub(super) fn describe_duration(duration: Duration) -> String {
    const UNITS: [(u128, &str); 6] = [
        (7 * 24 * 3_600_000, "weeks"),
        (24 * 3_600_000, "days"),
        (3_600_000, "hrs"),
        (60_000, "mins"),
        (1_000, "secs"),
        (1, "ms"),
    ];
    let millis = duration.as_millis();
    let (unit, name) = UNITS.into_iter().find(|(unit, _)| millis >= *unit).unwrap_or((1, "ms"));
    if millis.is_multiple_of(unit) {
        return format!("{}{name}", millis / unit);
    }
    #[expect(clippy::cast_precision_loss, reason = "a text for people")]
    let amount = millis as f64 / unit as f64;
    format!("{amount}{name}")
}
