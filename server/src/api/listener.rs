//! The listening socket and its connections.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tower::Service as _;

use super::ClientAddress;

/// A connection on which no request arrives within this time is closed (Marathon's idle timeout).
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// When the daemon ends, requests that are being answered may take so long.
const FAREWELL: Duration = Duration::from_secs(5);

/// After the system refused a connection, for want of file descriptors mostly, some time passes before the
/// next attempt.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A port that is ours. Connections wait until [`Listener::serve`].
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

/// Takes a port.
///
/// # Errors
/// The system's; most likely the port is in use.
pub async fn bind(address: &str, port: u16) -> std::io::Result<Listener> {
    let socket = TcpListener::bind((address, port)).await?;
    let address = socket.local_addr()?;
    Ok(Listener { socket, address })
}

impl Listener {
    /// The address, with the port that the system chose if none was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `stop` is sent or dropped; what is being answered then is finished.
    pub async fn serve(self, router: Router, mut stop: oneshot::Receiver<()>) {
        let connections = GracefulShutdown::new();
        loop {
            tokio::select! {
                biased;
                _ = &mut stop => break,
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, peer)) => serve_connection(stream, peer, router.clone(), &connections),
                    Err(error) => {
                        tracing::warn!("cannot accept a connection: {error}");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
        drop(self.socket);
        if tokio::time::timeout(FAREWELL, connections.shutdown()).await.is_err() {
            tracing::warn!("some requests were not answered within {} s", FAREWELL.as_secs());
        }
    }
}

fn serve_connection(stream: TcpStream, peer: SocketAddr, router: Router, connections: &GracefulShutdown) {
    // Answers are written at once, in few pieces: waiting for more only costs time.
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ClientAddress(peer));
        router.clone().call(request)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!("connection of {peer}: {error}");
        }
    });
}
