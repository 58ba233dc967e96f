//! A connection that can be cut.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Stands in for a server at another address: passes connections on to it, or closes them while it has nobody to pass
/// them on to.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// `HOST:PORT`
    target: Option<String>,
    /// Both ends of all connections there were.
    connections: Vec<TcpStream>,
}

impl Proxy {
    /// One that closes all connections, for now.
    ///
    /// # Panics
    /// The system has no free port.
    #[expect(clippy::new_without_default, reason = "it does more than a default should")]
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<Mutex<State>>::default();
        let shared = state.clone();
        // Ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A connection that fails is closed, which is all that its client is to see.
                let _ = pass_on(client, &mut lock(&shared));
            }
        });
        Self { address, state }
    }

    /// Where it listens: `http://HOST:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on passes connections on to `url`, `http://HOST:PORT`.
    pub fn connect(&self, url: &str) {
        lock(&self.state).target = Some(url.trim_start_matches("http://").to_owned());
    }

    /// From now on, and among those that exist, closes all connections.
    pub fn cut(&self) {
        let mut state = lock(&self.state);
        state.target = None;
        for connection in state.connections.drain(..) {
            // It may have ended by itself.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pass_on(client: TcpStream, state: &mut State) -> io::Result<()> {
    let Some(target) = &state.target else { return Ok(()) };
    let server = TcpStream::connect(target)?;
    for (from, to) in [(&client, &server), (&server, &client)] {
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
    state.connections.extend([client, server]);
    Ok(())
}
