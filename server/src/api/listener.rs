//! The listening socket and its connections.
//!
//! ```text
//!   accept ──► room for one more? ──yes──► HTTP/1.1, one task each ──► router
//!                     │
//!                     no ──► a few at a time: status 503 with a reason, closed
//! ```
//!
//! No client can hold more than its connection for long. One that sends nothing, or too slowly, is timed out by
//! hyper (the head of a request) and by `body`; one that takes nothing of what it is sent, or has vanished
//! without a word, by the kernel (`TCP_USER_TIMEOUT`).

use std::convert::Infallible;
use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use nix::sys::socket::{setsockopt, sockopt::TcpUserTimeout};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tower::Service as _;

use super::error::ApiError;
use super::{Api, ClientAddress, HttpMetrics, HttpSettings};

/// So many clients at once are told that there is no room.
const MAX_REFUSALS: usize = 64;

/// The time that a client has for asking when it will be refused anyway.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);

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
    pub async fn serve(self, api: Api, mut stop: oneshot::Receiver<()>) {
        let mut server = Server::new(api);
        loop {
            tokio::select! {
                biased;
                _ = &mut stop => break,
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, peer)) => server.take(stream, peer).await,
                    Err(error) => {
                        tracing::warn!("cannot accept a connection: {error}");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
        drop(self.socket);
        if tokio::time::timeout(FAREWELL, server.connections.shutdown()).await.is_err() {
            tracing::warn!("some requests were not answered within {} s", FAREWELL.as_secs());
        }
    }
}

struct Server {
    router: Router,
    metrics: Arc<HttpMetrics>,
    settings: Arc<HttpSettings>,
    connections: GracefulShutdown,
    room: Arc<Semaphore>,
    room_for_refusals: Arc<Semaphore>,
    is_full: bool,
}

impl Server {
    fn new(api: Api) -> Self {
        let settings = api.http.clone();
        Self {
            metrics: api.metrics.clone(),
            router: api.router(),
            connections: GracefulShutdown::new(),
            room: Arc::new(Semaphore::new(settings.max_connections.min(Semaphore::MAX_PERMITS))),
            room_for_refusals: Arc::new(Semaphore::new(MAX_REFUSALS)),
            is_full: false,
            settings,
        }
    }

    async fn take(&mut self, stream: TcpStream, peer: SocketAddr) {
        // Answers are written at once, in few pieces: waiting for more only costs time.
        let _ = stream.set_nodelay(true);
        let stall = u32::try_from(self.settings.stall_timeout.as_millis()).unwrap_or(u32::MAX);
        // Without it, connections of clients that vanished would only linger longer.
        let _ = setsockopt(&stream, TcpUserTimeout, &stall);
        match self.room.clone().try_acquire_owned() {
            Ok(permit) => {
                self.is_full = false;
                self.serve(stream, peer, permit);
            }
            Err(_) => self.refuse(stream, peer).await,
        }
    }

    fn serve(&self, stream: TcpStream, peer: SocketAddr, permit: OwnedSemaphorePermit) {
        let router = self.router.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ClientAddress(peer));
            router.clone().call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.settings.header_timeout)
            .serve_connection(TokioIo::new(stream), service);
        let connection = self.connections.watch(connection);
        let counted = self.metrics.connected();
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("connection of {peer}: {error}");
            }
            drop((permit, counted));
        });
    }

    /// Says that there is no room. Whoever comes while many are being told so waits to be accepted.
    async fn refuse(&mut self, stream: TcpStream, peer: SocketAddr) {
        let limit = self.settings.max_connections;
        if !std::mem::replace(&mut self.is_full, true) {
            tracing::warn!("{limit} connections are open (--http_max_connections): refusing more");
        }
        self.metrics.refused();
        let Ok(permit) = self.room_for_refusals.clone().acquire_owned().await else { return };
        let service = service_fn(move |_: Request<Incoming>| ready(Ok::<_, Infallible>(no_room(limit))));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(REFUSAL_TIMEOUT)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            if let Err(error) = tokio::time::timeout(REFUSAL_TIMEOUT, connection).await {
                tracing::debug!("refused connection of {peer}: {error}");
            }
            drop(permit);
        });
    }
}

fn no_room(limit: usize) -> Response {
    let message = format!("Too many connections! Allowed: {limit}.");
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message).into_response()
}
