//! Health checks and checks, for real (`HealthCheck`, `CheckInfo`). How long a look may take is the executor's
//! business; dropping the future ends it.

use podium_core::model::mesos::{HttpScheme, Probe};
use podium_sim::cluster::ProbeResult;
use tokio::net::TcpStream;

use super::container::Container;

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
            match get(&url).await {
                Ok(code) => ProbeResult::Http(code.into()),
                Err(error) => ProbeResult::Failed(format!("GET {url}: {error}")),
            }
        }
        Probe::Tcp { port } => {
            ProbeResult::Tcp(TcpStream::connect(format!("127.0.0.1:{port}")).await.is_ok())
        }
    }
}

/// Follows redirects and takes any certificate, like the `curl -L -k` that Mesos runs.
async fn get(url: &str) -> Result<u16, String> {
    // A client for each look: it shall see whether the server takes connections, not whether it took one before.
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .tls_danger_accept_invalid_certs(true)
        .build()
        .map_err(|error| error.to_string())?;
    match client.get(url).send().await {
        Ok(response) => Ok(response.status().as_u16()),
        Err(error) => Err(root_cause(&error)),
    }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), root_cause)
}
