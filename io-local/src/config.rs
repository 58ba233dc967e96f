//! What an embedded cluster consists of.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use podium_core::model::mesos::{PortRange, Resource, ResourceKind};
use podium_core::model::number::Scalar;
use podium_sim::cluster::{AgentConfig, AgentFlags, ClusterConfig, LinkConfig, MasterConfig};

/// The ports that the agents share out: those of Mesos' agents.
const PORTS: PortRange = PortRange { begin: 31_000, end: 32_000 };

/// The most agents that a cluster may have: each needs a few ports of its own on this machine.
pub const MAX_AGENTS: u32 = 100;

/// Every agent offers at least this many processors, 16 GiB of memory and 10 GiB of disk. Nothing is isolated, so
/// more than the machine has does no harm, and pods that are written for a real cluster find room.
const MIN_CPUS: f64 = 8.0;
const MIN_MEM: f64 = 16.0 * 1024.0;
const MIN_DISK: f64 = 10.0 * 1024.0;

/// Port that the first agent claims to listen on; the others follow.
const FIRST_AGENT_PORT: u16 = 5051;

/// An embedded cluster to be.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the master listens. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The folder for the sandboxes; created if it does not exist.
    pub data_dir: PathBuf,
    /// Its agents, and every flag of master, agents and executors.
    pub cluster: ClusterConfig,
    /// The program that supervises containers, which must call [`crate::run_if_asked`]; this process' own binary if
    /// absent.
    pub supervisor: Option<PathBuf>,
}

impl Config {
    /// A cluster of `agents` agents that share this machine, on a free port of the loopback interface, tuned to make
    /// offers within a fraction of a second.
    ///
    /// With several agents each has a loopback address of its own, `127.0.0.1`, `127.0.0.2`, …, under which its
    /// containers can be reached. `agents` is kept between 1 and [`MAX_AGENTS`].
    pub fn new(data_dir: impl Into<PathBuf>, agents: u32) -> Self {
        let data_dir = data_dir.into();
        let agents = agents.clamp(1, MAX_AGENTS);
        let machine = Machine::measure(&data_dir);
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            cluster: ClusterConfig {
                agents: (0..agents).map(|index| machine.agent(index, agents)).collect(),
                master: MasterConfig {
                    allocation_interval: Duration::from_millis(250),
                    election: Duration::from_secs(1),
                    ..MasterConfig::default()
                },
                agent: AgentFlags {
                    registration_backoff: Duration::from_millis(100),
                    ..AgentFlags::default()
                },
                // Real processes take their own time.
                links: LinkConfig::INSTANT,
                ..ClusterConfig::default()
            },
            data_dir,
            supervisor: None,
        }
    }
}

/// What this machine has.
#[derive(Clone, Copy, Debug)]
struct Machine {
    cpus: f64,
    mem: f64,
    disk: f64,
}

impl Machine {
    #[expect(clippy::cast_precision_loss, reason = "amounts of a machine stay far below 2^53")]
    fn measure(data_dir: &Path) -> Self {
        // The folder itself may still have to be made.
        let disk = data_dir.ancestors().find_map(|folder| nix::sys::statvfs::statvfs(folder).ok());
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        Self {
            cpus: std::thread::available_parallelism().map_or(1.0, |cpus| cpus.get() as f64),
            mem: total_memory(&meminfo).map_or(0.0, |kib| (kib / 1024) as f64),
            disk: disk.map_or(0.0, |disk| ((disk.blocks_available() * disk.fragment_size()) >> 20) as f64),
        }
    }

    fn agent(self, index: u32, agents: u32) -> AgentConfig {
        let share = |amount: f64, least: f64| (amount / f64::from(agents)).floor().max(least);
        let scalar = |kind, amount| Resource::scalar(kind, Scalar::from_f64(amount));
        let ip = loopback(index).to_string();
        AgentConfig {
            converted: Vec::new(),
            hostname: ip.clone(),
            ip,
            port: FIRST_AGENT_PORT + u16::try_from(index).unwrap_or_default(),
            resources: vec![
                scalar(ResourceKind::Cpus, share(self.cpus, MIN_CPUS)),
                scalar(ResourceKind::Mem, share(self.mem, MIN_MEM)),
                scalar(ResourceKind::Disk, share(self.disk, MIN_DISK)),
                Resource::ports(vec![ports(index, agents)]),
            ],
            attributes: Vec::new(),
            domain: None,
            agent_id: None,
        }
    }
}

/// The `index`-th loopback address, counted from 127.0.0.1.
fn loopback(index: u32) -> IpAddr {
    Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + index).into()
}

/// The `index`-th of `agents` shares of the ports, all of one size.
fn ports(index: u32, agents: u32) -> PortRange {
    let size = (PORTS.end - PORTS.begin + 1) / u64::from(agents);
    let begin = PORTS.begin + u64::from(index) * size;
    PortRange { begin, end: begin + size - 1 }
}

/// `MemTotal` of `/proc/meminfo`, in KiB.
fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_share_ports_and_have_addresses_of_their_own() {
        let range = |begin, end| PortRange { begin, end };
        assert_eq!(ports(0, 1), range(31_000, 32_000));
        assert_eq!((ports(0, 3), ports(2, 3)), (range(31_000, 31_332), range(31_666, 31_998)));
        let config = Config::new("/tmp", 3);
        let names: Vec<_> = config.cluster.agents.iter().map(|agent| agent.hostname.as_str()).collect();
        assert_eq!(names, ["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    }

    #[test]
    fn an_agent_has_room_whatever_the_machine() {
        let small = Machine { cpus: 1.0, mem: 512.0, disk: 100.0 };
        let agent = small.agent(0, 1);
        assert_eq!(agent.resources[0], Resource::scalar(ResourceKind::Cpus, Scalar::from_f64(8.0)));
        let big = Machine { cpus: 65.0, mem: 512.0, disk: 100.0 };
        assert_eq!(
            big.agent(1, 4).resources[0],
            Resource::scalar(ResourceKind::Cpus, Scalar::from_f64(16.0))
        );
    }

    #[test]
    fn reads_the_memory_s_size() {
        assert_eq!(total_memory("MemTotal:       24689 kB\nMemFree: 1 kB\n"), Some(24_689));
        assert_eq!(total_memory(""), None);
    }
}
