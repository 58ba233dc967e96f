//! The embedded cluster as a whole: started, reached over HTTP, shut down.

mod actor;
mod clock;
mod containers;
mod identity;
mod sandboxes;
mod volumes;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use self::actor::Actor;
pub(crate) use self::actor::{Handle, StreamItem};
use self::containers::Containers;
use self::identity::Identity;
use crate::admin::Admin;
use crate::config::Config;
use crate::http;
use crate::runtime::Runtime;

/// A Mesos cluster inside this process: one master, some agents, real processes.
#[derive(Debug)]
pub struct EmbeddedCluster;

/// The embedded cluster could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is in use, or not one of this machine's.
    #[error("The embedded cluster cannot listen on {address}: {error}")]
    Listen {
        /// Where it should have listened.
        address: SocketAddr,
        /// Why it could not.
        error: io::Error,
    },
    /// The folder for the sandboxes cannot be used.
    #[error("The embedded cluster cannot keep its sandboxes in '{}': {error}", folder.display())]
    DataDir {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        error: io::Error,
    },
}

/// A cluster that runs. Dropping it ends it, too, but does not wait for the end.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    admin: Admin,
    stop: oneshot::Sender<()>,
    actor: JoinHandle<()>,
    server: JoinHandle<()>,
}

impl EmbeddedCluster {
    /// Starts a cluster; when this returns, its master takes calls.
    ///
    /// Must be called within a tokio runtime. The program must call [`crate::run_if_asked`] first thing in its
    /// `main`.
    ///
    /// # Errors
    /// The address or the folder cannot be used; see [`StartError`].
    pub async fn start(config: Config) -> Result<Running, StartError> {
        let Config { listen, data_dir, mut cluster, supervisor } = config;
        // Relative paths would mean something else in every sandbox.
        let (data_dir, identity) = std::fs::create_dir_all(&data_dir)
            .and_then(|()| data_dir.canonicalize())
            .and_then(|folder| Ok((folder.clone(), Identity::recall(&folder, &mut cluster.agents)?)))
            .map_err(|error| StartError::DataDir { folder: data_dir, error })?;
        let listener =
            TcpListener::bind(listen).await.map_err(|error| StartError::Listen { address: listen, error })?;
        let address = listener.local_addr().map_err(|error| StartError::Listen { address: listen, error })?;
        cluster.master.port = address.port();

        let site = http::Site::new(&cluster.master);
        let (sender, happenings) = mpsc::unbounded_channel();
        let containers = Containers::new(Runtime::new(supervisor), data_dir, sender);
        let (actor, handle) = Actor::new(cluster, identity, containers, happenings);
        let (stop, stopped) = oneshot::channel();
        let admin = Admin::new(handle.clone());
        Ok(Running {
            address,
            admin,
            stop,
            actor: tokio::spawn(actor.run(stopped)),
            server: tokio::spawn(http::serve(listener, site, handle)),
        })
    }
}

impl Running {
    /// Where the master listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes commands that disturb the cluster, or show it.
    pub fn admin(&self) -> Admin {
        self.admin.clone()
    }

    /// Ends the cluster with all its containers, and waits until no process of it is left.
    pub async fn shutdown(self) {
        let Self { stop, actor, server, .. } = self;
        // It cannot have ended by itself.
        let _ = stop.send(());
        let _ = actor.await;
        server.abort();
        let _ = server.await;
    }
}
