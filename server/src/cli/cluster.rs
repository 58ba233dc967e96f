//! `podium cluster`: the embedded cluster as a process of its own.

use std::net::IpAddr;
use std::path::PathBuf;

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
}

/// Runs the cluster until a signal ends it.
pub(super) fn run(args: ClusterArgs) -> Result<(), Failure> {
    daemon::runtime()?.block_on(serve(args))
}

async fn serve(args: ClusterArgs) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let mut config = podium_local::Config::new(args.data_dir, args.agents);
    config.listen = (args.http_address, args.http_port).into();
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
