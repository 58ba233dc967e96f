//! Health checks and checks, for real (`HealthCheck`, `CheckInfo`). How long a look may take is the executor's
//! business; dropping the future ends it.

use podium_core::model::mesos::{HttpScheme, Probe};
use podium_sim::cluster::ProbeResult;
use tokio::net::TcpStream;

use super::container::Container;
use super::web::{Trust, Web};

/// Looks at a container on this machine's network, or runs the command in it.
pub(super) async fn probe(container: &Container, probe: &Probe) -> ProbeResult {
    match probe {
        Probe::Command(command) => match container.run(command).await {
            // The standard library's words: "signal: 9 (SIGKILL)".
            Ok(status) => status.code().map_or_else(
                || ProbeResult::Failed(format!("The command ended by {status}")),
                ProbeResult::Command,
            ),
            Err(error) => ProbeResult::Failed(error),
        },
        Probe::Http { port, path, scheme } => {
            let scheme = match scheme {
                Some(HttpScheme::Https) => "https",
                Some(HttpScheme::Http) | None => "http",
            };
            let url = format!("{scheme}://127.0.0.1:{port}{}", path.as_deref().unwrap_or(""));
            // As the `curl -L -k` that Mesos runs: follows redirects, takes any certificate.
            match Web::new(Trust::Everyone, None).get(&url).await {
                Ok(response) => ProbeResult::Http(response.status().as_u16().into()),
                Err(error) => ProbeResult::Failed(format!("GET {url}: {error}")),
            }
        }
        Probe::Tcp { port } => {
            ProbeResult::Tcp(TcpStream::connect(format!("127.0.0.1:{port}")).await.is_ok())
        }
    }
}
