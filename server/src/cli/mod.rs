//! The command line.
//!
//! `podium` alone is `podium serve`. Flags have Marathon's names where Marathon has them, and can also be set in
//! the environment, as `PODIUM_` and the flag's name in upper case. Flags that only Marathon has use for are
//! known as well (see `foreign`), so that none is ignored without a word.

mod cluster;
mod foreign;
mod serve;
mod sim;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::daemon;

/// Runs pods on Apache Mesos, with the pods API of Marathon.
///
/// `podium` alone is `podium serve`: it starts the daemon with an embedded cluster on this machine, and prints
/// how to post a first pod.
#[derive(Debug, Parser)]
#[command(name = "podium", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon (what podium does without a command)
    ///
    /// It serves Marathon's pods API over HTTP and runs the pods on Mesos: by default on an embedded cluster
    /// whose containers are processes of this machine, which end with the daemon. With --master it uses a real
    /// cluster, where pods keep running while the daemon is away.
    ///
    /// Every flag can also be set in the environment: PODIUM_HTTP_PORT=9090 is --http_port 9090. What is logged
    /// can be chosen with RUST_LOG: RUST_LOG=warn for less, RUST_LOG=debug for more.
    Serve(Box<serve::ServeArgs>),
    /// Run the embedded cluster alone, as a Mesos master for daemons in other processes
    ///
    /// It is a Mesos master with some agents behind one port; its containers are processes of this machine,
    /// which end with it. Daemons use it with --master http://127.0.0.1:PORT, and can come and go.
    ///
    /// It takes commands that disturb it, such as "agent 0 pause", "agent 0 cut-off" and "agent 0 bring-back":
    /// as lines on standard input, or as requests to the same port:
    /// curl -X POST http://127.0.0.1:PORT/admin/agent/0/pause. "help" (GET /admin/help) lists them, "state" (GET
    /// /admin/state) shows what there is.
    Cluster(cluster::ClusterArgs),
    /// Try the scheduler against a model of Mesos in virtual time, with faults drawn from seeds
    ///
    /// Each seed is a plan of its own: a cluster, what people ask of it, and what goes wrong. After each step it
    /// is checked what must always hold, and at the end that everything became as it was asked to be. The first
    /// violation ends it, with the command that replays it. Equal seeds give equal digests.
    Sim(sim::SimArgs),
}

/// Does what the command line says.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match parse(args) {
        Ok((cli, warnings)) => {
            log_to_stderr();
            for warning in warnings {
                tracing::warn!("{warning}");
            }
            execute(cli)
        }
        Err(Exit::Text(error)) => {
            // Nothing can be done when even that cannot be printed.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        Err(Exit::Usage(line)) => {
            eprintln!("podium: {line}");
            ExitCode::from(2)
        }
    }
}

/// Why there is nothing to execute.
#[derive(Debug)]
enum Exit {
    /// Help or a version was asked for.
    Text(clap::Error),
    /// The command line makes no sense; a line says why.
    Usage(String),
}

/// Reads the command line. With it come warnings about flags that have no effect.
fn parse(args: impl IntoIterator<Item = OsString>) -> Result<(Cli, Vec<String>), Exit> {
    let matches = command().try_get_matches_from(with_default_command(args)).map_err(explain)?;
    let warnings = match matches.subcommand() {
        Some(("serve", matches)) => foreign::check(matches).map_err(Exit::Usage)?,
        _ => Vec::new(),
    };
    let cli = Cli::from_arg_matches(&matches).map_err(explain)?;
    Ok((cli, warnings))
}

fn execute(cli: Cli) -> ExitCode {
    let result = match cli.command {
        Command::Serve(args) => args.into_settings().map_err(daemon::Failure::Settings).and_then(daemon::run),
        Command::Cluster(args) => cluster::run(args),
        Command::Sim(args) => return sim::execute(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("podium: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The whole command line, with the names in the environment.
fn command() -> clap::Command {
    let with_environment = |command: clap::Command| {
        command.mut_args(|arg| match arg.get_id().as_str() {
            "help" => arg,
            id => {
                let variable = format!("PODIUM_{}", id.to_uppercase());
                arg.env(variable).hide_env_values(true)
            }
        })
    };
    Cli::command()
        .mut_subcommand("serve", |serve| with_environment(foreign::add(serve)))
        .mut_subcommand("cluster", with_environment)
}

/// Puts `serve` where no command is named.
fn with_default_command(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<_> = args.into_iter().collect();
    let first = args.get(1).and_then(|arg| arg.to_str());
    let is_flag = first.is_none_or(|arg| arg.starts_with('-'));
    if is_flag && !matches!(first, Some("-h" | "--help" | "-V" | "--version")) {
        args.insert(args.len().min(1), "serve".into());
    }
    args
}

/// Makes one line of what clap has to say.
fn explain(error: clap::Error) -> Exit {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return Exit::Text(error);
    }
    let text = error.render().to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    // What looks like a flag is hardly ever meant as a value.
    let is_noise =
        |line: &&str| line.is_empty() || line.starts_with("For more") || line.starts_with("tip: to pass");
    let said = lines.filter(|line| !is_noise(line)).fold(String::new(), |said, line| {
        let between = if said.is_empty() {
            ""
        } else if said.ends_with(':') {
            " "
        } else {
            "; "
        };
        said + between + line
    });
    Exit::Usage(format!("{} (see podium --help)", said.strip_prefix("error: ").unwrap_or(&said)))
}

fn log_to_stderr() {
    let filter = EnvFilter::builder().with_default_directive(tracing::Level::INFO.into()).from_env_lossy();
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
}

/// Whether a flag was given, on the command line or in the environment.
fn is_given(matches: &ArgMatches, id: &str) -> bool {
    use clap::parser::ValueSource::{CommandLine, EnvVariable};
    matches!(matches.value_source(id), Some(CommandLine | EnvVariable))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<(Cli, Vec<String>), Exit> {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn refusal(line: &str) -> String {
        match parse_line(line) {
            Err(Exit::Usage(line)) => line,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_tree_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn podium_alone_serves() {
        for line in ["podium", "podium serve", "podium --http_port 8080", "podium serve --http_port=8080"] {
            let (cli, warnings) = parse_line(line).unwrap();
            assert!(matches!(cli.command, Command::Serve(_)), "{line}");
            assert_eq!(warnings, [""; 0]);
        }
        for line in
            ["podium --help", "podium help", "podium serve --help", "podium --version", "podium cluster -h"]
        {
            assert!(matches!(parse_line(line), Err(Exit::Text(_))), "{line}");
        }
    }

    #[test]
    fn a_bad_command_line_takes_one_line_to_explain() {
        for (line, words) in [
            ("podium --http_port 70000", "--http_port"),
            ("podium --http_prot 1", "--http_port"),
            ("podium fly", "fly"),
            ("podium serve extra", "extra"),
            ("podium --master zk://a:2181/mesos", "ZooKeeper"),
            ("podium --master ftp://a", "ftp://a"),
            ("podium --enable_features teleport", "teleport"),
            ("podium --failover_timeout soon", "--failover_timeout"),
            ("podium sim run", "arguments were not provided: <FILE> (see"),
            ("podium sim schema --seed", "unexpected argument '--seed' found (see"),
            ("podium sim run --seed 3", "podium sim --seeds 3..4 --trace runs a seed"),
            ("podium sim plan 7", "write --seed 7"),
            ("podium sim shrink", "not provided: <FILE|--seed <SEED>> (see"),
        ] {
            let said = refusal(line);
            assert!(said.contains(words) && !said.contains('\n'), "{line}: {said}");
        }
    }

    #[test]
    fn flags_that_only_marathon_has_are_not_ignored_in_silence() {
        let (_, warnings) = parse_line("podium --max_apps 5 --suppress_offers --disable_ha").unwrap();
        assert_eq!(warnings.len(), 3, "{warnings:?}");
        assert!(refusal("podium --zk zk://localhost:2181/marathon").contains("--zk"));
        assert!(refusal("podium --http_credentials a:b").contains("--http_credentials"));
    }

    /// Every flag that Marathon 1.11 documents, and the hidden ones.
    const MARATHONS: &str = "
        master mesos_leader_ui_url failover_timeout ha disable_ha checkpoint disable_checkpoint local_port_min
        local_port_max hostname webui_url http_max_concurrent_requests access_control_allow_origin mesos_role
        new_group_enforce_role default_accepted_resource_roles accepted_resource_roles_default_behavior
        graceful_shutdown_timeout task_launch_confirm_timeout task_launch_timeout task_reservation_timeout
        reconciliation_initial_delay reconciliation_interval scale_apps_initial_delay scale_apps_interval
        mesos_user framework_name mesos_authentication disable_mesos_authentication
        mesos_authentication_principal mesos_authentication_secret mesos_authentication_secret_file
        env_vars_prefix max_apps on_elected_prepare_timeout mesos_heartbeat_interval
        mesos_heartbeat_failure_threshold draining_seconds maintenance_mode disable_maintenance_mode
        gpu_scheduling_behavior max_concurrent_marathon_health_checks disable_http http_address http_port
        https_address https_port ssl_keystore_path ssl_keystore_password http_credentials http_realm
        http_compression disable_http_compression event_stream_max_outstanding_messages mesos_bridge_name
        default_network_name enable_features deprecated_features leader_proxy_max_open_connections
        leader_proxy_connection_timeout leader_proxy_read_timeout leader_proxy_ssl_ignore_hostname
        disable_leader_proxy_ssl_ignore_hostname plugin_conf plugin_dir metrics_prometheus
        disable_metrics_prometheus zk zk_timeout zk_session_timeout zk_connection_timeout zk_compression
        disable_zk_compression zk_compression_threshold zk_max_node_size zk_max_versions
        storage_compaction_interval storage_compaction_scan_batch_size group_versions_cache_size store_cache
        disable_store_cache internal_store_backend max_running_deployments max_queued_root_group_updates
        group_manager_request_timeout deployment_manager_request_timeout killsPerBatch killBatchDuration
        kill_chunk_size kill_retry_timeout task_lost_expunge_initial_delay task_lost_expunge_interval
        launch_tokens launch_token_refresh_interval launch_queue_request_timeout
        task_operation_notification_timeout decline_offer_duration min_revive_offers_interval suppress_offers
        disable_suppress_offers mesos_offer_constraints disable_mesos_offer_constraints
        min_mesos_offer_constraints_update_interval offer_matching_timeout max_instances_per_offer
        max_parallel_offers max_queued_offers";

    #[test]
    fn every_flag_of_marathon_is_known() {
        let serve = command().find_subcommand("serve").unwrap().clone();
        let known: Vec<_> = serve.get_arguments().filter_map(clap::Arg::get_long).collect();
        let unknown: Vec<_> = MARATHONS.split_whitespace().filter(|flag| !known.contains(flag)).collect();
        assert_eq!(unknown, [""; 0]);
    }

    fn settings(line: &str) -> daemon::Settings {
        let (cli, warnings) = parse_line(line).unwrap();
        assert_eq!(warnings, [""; 0], "{line}");
        match cli.command {
            Command::Serve(args) => args.into_settings().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_can_be_switched_off_is() {
        type Get = fn(&daemon::Settings) -> bool;
        let toggles: [(&str, Get); 3] = [
            ("checkpoint", |settings| settings.scheduler.checkpoint),
            ("http_compression", |settings| settings.http.compression),
            ("maintenance_mode", |settings| settings.scheduler.maintenance_mode),
        ];
        for (name, get) in toggles {
            for (line, expected) in [
                ("podium".to_owned(), true),
                (format!("podium --{name}"), true),
                (format!("podium --{name}=true"), true),
                (format!("podium --{name}=false"), false),
                (format!("podium --disable_{name}"), false),
            ] {
                let settings = settings(&line);
                assert_eq!(get(&settings), expected, "{line}");
                assert_eq!(settings.shown[name], expected, "what /v2/info shows after {line}");
                assert_eq!(settings.shown.get(&format!("disable_{name}")), None);
            }
            let both = refusal(&format!("podium --{name} --disable_{name}"));
            assert!(both.contains("cannot be used with"), "{both}");
        }
    }

    #[test]
    fn what_marathon_can_switch_off_has_both_forms() {
        for (name, on, off) in [
            ("ha", false, true),
            ("http", false, false),
            ("leader_proxy_ssl_ignore_hostname", true, true),
            ("mesos_authentication", true, true),
            ("mesos_offer_constraints", true, true),
            ("metrics_prometheus", true, true),
            ("store_cache", true, true),
            ("suppress_offers", true, false),
            ("zk_compression", true, true),
        ] {
            for (flag, is_accepted) in [(name.to_owned(), on), (format!("disable_{name}"), off)] {
                match parse_line(&format!("podium --{flag}")) {
                    Ok((_, warnings)) => {
                        assert!(
                            is_accepted && warnings[0].starts_with(&format!("--{flag} ")),
                            "{warnings:?}"
                        );
                    }
                    // `--http` is no flag of Marathon's.
                    Err(Exit::Usage(line)) => assert!(!is_accepted && line.contains(&flag), "{flag}: {line}"),
                    Err(other) => panic!("{other:?}"),
                }
            }
        }
    }
}
