//! What the system says about this process, under the names that Prometheus' own clients use.

use std::sync::LazyLock;
use std::time::SystemTime;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeValLike as _;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

/// When the first look was taken, at the daemon's start.
static START: LazyLock<f64> = LazyLock::new(|| {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map(|since| since.as_secs_f64()).unwrap_or_default()
});

/// Adds what the system tells; what it does not tell is left out.
pub(super) fn register(registry: &mut Registry) {
    let registry = registry.sub_registry_with_prefix("process");
    if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
        let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        let seconds = ConstCounter::new(micros as f64 / 1e6);
        registry.register_with_unit("cpu", "User and system CPU time", Unit::Seconds, seconds);
    }
    if let Some(bytes) = resident_memory() {
        let bytes = ConstGauge::new(bytes);
        registry.register_with_unit("resident_memory", "Resident memory", Unit::Bytes, bytes);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        registry.register("open_fds", "Open file descriptors", ConstGauge::new(files.count() as u64));
    }
    if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
        registry.register("max_fds", "Most file descriptors that may be open", ConstGauge::new(soft));
    }
    registry.register_with_unit(
        "start_time",
        "Start of the daemon since the Unix epoch",
        Unit::Seconds,
        ConstGauge::new(*START),
    );
}

/// Notes the time of the start.
pub(super) fn note_start() {
    LazyLock::force(&START);
}

fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}
