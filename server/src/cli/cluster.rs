//! `podium cluster`: the embedded cluster as a process of its own.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use podium_local::{EmbeddedCluster, MAX_AGENTS};
use tokio::io::BufReader;

use crate::daemon::{self, Failure, Signals};

/// The flags of `podium cluster`.
#[derive(Debug, Args)]
#[command(rename_all = "snake_case")]
pub(super) struct ClusterArgs {
    /// So many agents; with several of them, each has a loopback address of its own
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_AGENTS)))]
    agents: u32,

    /// Listen on this address
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    http_address: IpAddr,

    /// Listen on this port; 0 is any free one
    #[arg(long, value_name = "PORT", default_value_t = 5050)]
    http_port: u16,

    /// The folder for the containers' sandboxes; created if there is none
    #[arg(long, value_name = "FOLDER", default_value = "podium-cluster")]
    data_dir: PathBuf,

    /// An agent has so long to answer a ping of the master (Mesos' flag)
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = seconds)]
    agent_ping_timeout: Duration,

    /// An agent that leaves so many pings in a row without an answer is unreachable (Mesos' flag)
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    max_agent_ping_timeouts: u32,
}

/// A time above zero. Tests use fractions of a second.
fn seconds(text: &str) -> Result<Duration, String> {
    let duration = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.filter(|duration| !duration.is_zero()).ok_or("expected a number of seconds above 0".to_owned())
}

/// Runs the cluster until a signal ends it.
pub(super) fn run(args: ClusterArgs) -> Result<(), Failure> {
    daemon::runtime()?.block_on(serve(args))
}

async fn serve(args: ClusterArgs) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let mut config = podium_local::Config::new(args.data_dir, args.agents);
    config.listen = (args.http_address, args.http_port).into();
    config.cluster.master.agent_ping_timeout = args.agent_ping_timeout;
    config.cluster.master.max_agent_ping_timeouts = args.max_agent_ping_timeouts;
    let cluster = EmbeddedCluster::start(config).await?;
    let address = cluster.address();
    println!("the cluster is ready: podium serve --master http://{address}");
    println!("commands: help, or curl http://{address}/admin/help");

    let admin = cluster.admin();
    let commands = tokio::spawn(async move {
        // Without a standard input there are no commands from there; the port still takes them.
        let _ = admin.serve_lines(BufReader::new(tokio::io::stdin()), tokio::io::stdout()).await;
    });
    signals.next().await;
    commands.abort();
    tokio::select! {
        () = cluster.shutdown() => {}
        () = signals.next() => tracing::warn!("asked a second time: ending at once"),
    }
    Ok(())
}
