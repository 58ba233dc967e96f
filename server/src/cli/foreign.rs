//! Marathon's flags that Podium has no use for.
//!
//! A command line that was written for Marathon shall work, or fail with a reason. A flag that only tunes the
//! inside of Marathon is accepted with a warning; one whose promise Podium does not keep is refused.

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::is_given;
use Verdict::{Refuse, Warn};

/// A flag that only Marathon has.
struct Foreign {
    name: &'static str,
    verdict: Verdict,
}

enum Verdict {
    /// Starting without it would not be what was asked for.
    Refuse(&'static str),
    /// Podium does as well without it.
    Warn(&'static str),
}

const fn refuse(name: &'static str, reason: &'static str) -> Foreign {
    Foreign { name, verdict: Refuse(reason) }
}

const fn warn(name: &'static str, reason: &'static str) -> Foreign {
    Foreign { name, verdict: Warn(reason) }
}

const APPS: &str = "it concerns apps, and Podium runs pods only";
const EVERY_EVENT: &str = "Podium acts on every event at once instead of looking again after some time";
const NO_INSIDE: &str = "it tunes a part that Podium does not have";
const ONE_DAEMON: &str = "there is one daemon only, which answers all requests itself";
const ONE_STORE: &str = "state is kept in the file of --data_dir";
const NOT_YET_AUTH: &str = "access control is not supported yet";
const NOT_YET_TLS: &str = "TLS is not supported yet; put a proxy in front";
const NOT_YET_ZK: &str = "ZooKeeper is not supported yet; state is kept in --data_dir";

/// Every one of them, in the order of Marathon's documentation of its flags.
static FLAGS: &[Foreign] = &[
    warn("mesos_leader_ui_url", "Podium links to no page of the master"),
    refuse("ha", "high availability needs ZooKeeper, which is not supported yet"),
    warn("disable_ha", "Podium runs alone anyway"),
    warn("local_port_min", APPS),
    warn("local_port_max", APPS),
    refuse("default_accepted_resource_roles", "use --accepted_resource_roles_default_behavior"),
    warn("graceful_shutdown_timeout", "Podium waits for requests in progress only"),
    warn("task_reservation_timeout", NO_INSIDE),
    warn("reconciliation_initial_delay", "Podium compares its tasks with Mesos as soon as it is subscribed"),
    warn("scale_apps_initial_delay", EVERY_EVENT),
    warn("scale_apps_interval", EVERY_EVENT),
    warn("mesos_authentication", "--mesos_authentication_principal alone switches it on"),
    refuse(
        "mesos_authentication_secret",
        "everybody on this machine could read it in the list of \
        processes; use --mesos_authentication_secret_file",
    ),
    warn("max_apps", APPS),
    warn("on_elected_prepare_timeout", ONE_DAEMON),
    warn("mesos_heartbeat_interval", "the master says how often it sends one"),
    warn("mesos_heartbeat_failure_threshold", NO_INSIDE),
    warn("max_concurrent_marathon_health_checks", APPS),
    refuse("disable_http", "there is no other way in"),
    refuse("https_address", NOT_YET_TLS),
    refuse("https_port", NOT_YET_TLS),
    refuse("ssl_keystore_path", NOT_YET_TLS),
    refuse("ssl_keystore_password", NOT_YET_TLS),
    refuse("http_credentials", NOT_YET_AUTH),
    refuse("http_realm", NOT_YET_AUTH),
    warn("deprecated_features", "Podium has none of them"),
    warn("leader_proxy_max_open_connections", ONE_DAEMON),
    warn("leader_proxy_connection_timeout", ONE_DAEMON),
    warn("leader_proxy_read_timeout", ONE_DAEMON),
    warn("leader_proxy_ssl_ignore_hostname", ONE_DAEMON),
    refuse("plugin_conf", "plugins are classes of Marathon's Java machine"),
    refuse("plugin_dir", "plugins are classes of Marathon's Java machine"),
    warn("metrics_prometheus", "/metrics is always there"),
    refuse("zk", NOT_YET_ZK),
    warn("zk_timeout", NOT_YET_ZK),
    warn("zk_session_timeout", NOT_YET_ZK),
    warn("zk_connection_timeout", NOT_YET_ZK),
    warn("zk_compression", NOT_YET_ZK),
    warn("zk_compression_threshold", NOT_YET_ZK),
    warn("zk_max_node_size", NOT_YET_ZK),
    warn("zk_max_versions", "history is permanent"),
    warn("storage_compaction_interval", ONE_STORE),
    warn("storage_compaction_scan_batch_size", ONE_STORE),
    warn("group_versions_cache_size", ONE_STORE),
    warn("store_cache", ONE_STORE),
    refuse("internal_store_backend", ONE_STORE),
    warn("max_queued_root_group_updates", NO_INSIDE),
    warn("group_manager_request_timeout", NO_INSIDE),
    warn("deployment_manager_request_timeout", NO_INSIDE),
    warn("killsPerBatch", "use --kill_chunk_size"),
    warn("killBatchDuration", "use --kill_retry_timeout"),
    warn("task_lost_expunge_initial_delay", EVERY_EVENT),
    warn("task_lost_expunge_interval", EVERY_EVENT),
    warn("launch_tokens", NO_INSIDE),
    warn("launch_token_refresh_interval", NO_INSIDE),
    warn("launch_queue_request_timeout", NO_INSIDE),
    warn("task_operation_notification_timeout", NO_INSIDE),
    warn("suppress_offers", "Podium always does that"),
    refuse("disable_suppress_offers", "Podium always suppresses offers while nothing waits for them"),
    warn("mesos_offer_constraints", "the scheduler looks at every offer itself"),
    warn("min_mesos_offer_constraints_update_interval", NO_INSIDE),
    warn("offer_matching_timeout", "every offer is answered at once"),
    warn("max_instances_per_offer", "an offer is used for as many instances as fit"),
    warn("max_parallel_offers", NO_INSIDE),
    warn("max_queued_offers", NO_INSIDE),
    warn("disable_mesos_authentication", "it is off without --mesos_authentication_principal"),
    warn("disable_leader_proxy_ssl_ignore_hostname", ONE_DAEMON),
    warn("disable_zk_compression", NOT_YET_ZK),
    warn("disable_store_cache", ONE_STORE),
    warn("disable_mesos_offer_constraints", "the scheduler looks at every offer itself anyway"),
    warn("disable_metrics_prometheus", "nothing is measured unless somebody asks"),
    warn("logging_level", "use the environment variable RUST_LOG"),
];

/// Makes the flags known, each with or without a value, without showing them in the help.
pub(super) fn add(command: Command) -> Command {
    command.args(
        FLAGS.iter().map(|flag| {
            Arg::new(flag.name).long(flag.name).hide(true).num_args(0..=1).action(ArgAction::Append)
        }),
    )
}

/// Finds the ones that were given.
///
/// # Errors
/// A line about the first one that is refused.
pub(super) fn check(matches: &ArgMatches) -> Result<Vec<String>, String> {
    let mut warnings = Vec::new();
    for Foreign { name, verdict } in FLAGS.iter().filter(|flag| is_given(matches, flag.name)) {
        match verdict {
            Refuse(reason) => {
                return Err(format!("--{name} is a flag of Marathon that Podium refuses: {reason}"));
            }
            Warn(reason) => {
                warnings.push(format!("--{name} is a flag of Marathon without effect here: {reason}"));
            }
        }
    }
    Ok(warnings)
}
