//! The daemon from start to end: `podium serve`.
//!
//! ```text
//!   start   data folder ─► stored state ─► port ─► embedded cluster ─► driver ─► API, subscription
//!   end     API: no new requests ─► driver: the rest of the inputs ─► embedded cluster with all containers
//! ```
//!
//! Whatever can go wrong for good goes wrong before the first request is answered, and is one line for a
//! person to read. On a real cluster the end of the daemon ends no pod: Mesos keeps them for the failover
//! timeout, and the next daemon with the same data finds them.

mod files;
mod master;
mod mesos;

use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use podium_core::admission::Rules;
use podium_core::{Config, RestoreError, Scheduler};
use podium_local::EmbeddedCluster;
use podium_mesos::client::StaticMasters;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, oneshot};

pub use master::{InvalidMaster, Master};

use crate::api::{self, About, Api, EventLog, HttpSettings, Listener};
use crate::driver::{self, DriverError};
use crate::metrics;
use crate::secrets::{FolderStore, SecretStore};
use crate::store::{DataDir, EmbeddedStore, Store as _, StoreError};

/// What a daemon is to do.
#[derive(Debug)]
pub struct Settings {
    /// What concerns decisions.
    pub scheduler: Config,
    /// What concerns pod definitions.
    pub rules: Rules,
    /// Where to listen.
    pub http_address: String,
    /// Where to listen; 0 is any free port.
    pub http_port: u16,
    /// How the API is served.
    pub http: HttpSettings,
    /// The name under which others reach this daemon.
    pub hostname: String,
    /// The folder for everything that is kept.
    pub data_dir: PathBuf,
    /// Where the Mesos master is.
    pub master: Master,
    /// The number of the embedded cluster's agents.
    pub agents: u32,
    /// The folder with the secrets of pods; without one, references to secrets go to the agents.
    pub secrets_dir: Option<PathBuf>,
    /// The secret that goes with the principal.
    pub secret: Option<String>,
    /// So many events are kept.
    pub event_log_capacity: usize,
    /// The flags as `/v2/info` shows them.
    pub shown: serde_json::Map<String, serde_json::Value>,
}

/// Why a daemon did not start, or did not end as it should. A line for a person.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// `DELETE /v2/leader`. Not a failure of its own, but a supervisor that restarts only what fails must see one.
    #[error(
        "gave up leadership, as DELETE /v2/leader asked: whoever watches over this process is to start it again"
    )]
    Abdicated,
    /// The embedded cluster does not start.
    #[error(transparent)]
    Cluster(#[from] podium_local::StartError),
    /// The scheduler cannot go on.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The scheduler's thread is gone without a reason.
    #[error("the scheduler's thread has ended")]
    DriverGone,
    /// The port cannot be had.
    #[error("cannot listen on {address}:{port} (--http_address, --http_port): {source}")]
    Listen {
        /// The address.
        address: String,
        /// The port.
        port: u16,
        /// The system's words.
        source: std::io::Error,
    },
    /// Mesos will not have us.
    #[error("the connection to Mesos has ended for good: {0}")]
    Mesos(String),
    /// What is stored makes no sense.
    #[error("the data in {} contradicts itself: {source}", path.display())]
    Restore {
        /// The file.
        path: PathBuf,
        /// How.
        source: RestoreError,
    },
    /// A flag makes no sense.
    #[error("{0}")]
    Settings(String),
    /// The data cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system refuses something that every process may do.
    #[error("the system refuses {what}: {source}")]
    System {
        /// What.
        what: &'static str,
        /// Its words.
        source: std::io::Error,
    },
}

/// Runs a daemon until a signal or `DELETE /v2/leader` ends it.
///
/// # Errors
/// It could not start, or had to stop.
pub fn run(settings: Settings) -> Result<(), Failure> {
    runtime()?.block_on(serve(settings))
}

/// The runtime that everything but the driver runs on.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|source| Failure::System { what: "threads", source })
}

async fn serve(mut settings: Settings) -> Result<(), Failure> {
    metrics::note_start();
    settings.http.max_connections = files::make_room(settings.http.max_connections);
    let mut signals = Signals::listen()?;
    let secrets = secret_store(settings.secrets_dir.as_deref())?;
    let folder = DataDir::open(&settings.data_dir)?;
    let mut store = EmbeddedStore::open(&folder)?;
    let entries = store.load()?;
    let listener = listen(&settings).await?;
    let (advertised, about) = describe(&settings, listener.address());

    let mut config = settings.scheduler;
    config.webui_url.get_or_insert_with(|| format!("http://{advertised}"));
    let credential = mesos::credential(config.principal.as_deref(), settings.secret.as_deref())?;
    let scheduler = Scheduler::restore(config, seed(), entries)
        .map_err(|source| Failure::Restore { path: folder.store_file(), source })?;

    let (masters, cluster) = match &settings.master {
        Master::At { masters, .. } => (masters.clone(), None),
        Master::Embedded => {
            let config = podium_local::Config::new(folder.cluster_dir(), settings.agents);
            let cluster = EmbeddedCluster::start(config).await?;
            let masters = cluster.address().to_string().parse::<StaticMasters>();
            (masters.map_err(|error| Failure::Settings(error.to_string()))?, Some(cluster))
        }
    };
    let mesos = match &cluster {
        None => settings.master.to_string(),
        Some(cluster) => format!("embedded cluster at http://{}", cluster.address()),
    };

    let events = Arc::new(EventLog::new(settings.event_log_capacity));
    let (driver, mut ended) = driver::start(scheduler, Box::new(store), Box::new(events.clone()), secrets);
    let (stop_api, stopped) = oneshot::channel();
    let abdication = Arc::new(Notify::new());
    let api = Api {
        driver: driver.clone(),
        events: events.clone(),
        rules: settings.rules.into(),
        about: about.into(),
        http: settings.http.into(),
        metrics: Arc::default(),
        abdication: abdication.clone(),
    };
    let address = listener.address();
    let api = tokio::spawn(listener.serve(api, stopped));
    let mut subscription = tokio::spawn(mesos::keep_subscribed(masters, credential, driver.clone()));
    print!("{}", Greeting { address, folder: &folder, mesos: &mesos });

    let result = tokio::select! {
        () = signals.next() => Ok(()),
        () = abdication.notified() => Err(Failure::Abdicated),
        end = &mut ended => Err(end.map_or(Failure::DriverGone, driver_failure)),
        end = &mut subscription => Err(Failure::Mesos(end.unwrap_or_else(|error| error.to_string()))),
    };
    let farewell = async {
        subscription.abort();
        events.close();
        drop(stop_api);
        // A panic of the server has been reported already.
        let _ = api.await;
        if !ended.is_terminated() {
            driver.stop().await;
            // What it says now does not change the reason for ending.
            let _ = (&mut ended).await;
        }
        if let Some(cluster) = cluster {
            tracing::info!("ending the embedded cluster with all its containers");
            cluster.shutdown().await;
        }
    };
    tokio::select! {
        () = farewell => {}
        // Whoever asks twice is in a hurry. The containers end with this process in any case.
        () = signals.next() => tracing::warn!("asked a second time: ending at once"),
    }
    result
}

async fn listen(settings: &Settings) -> Result<Listener, Failure> {
    let (address, port) = (settings.http_address.clone(), settings.http_port);
    api::bind(&address, port).await.map_err(|source| Failure::Listen { address, port, source })
}

fn secret_store(folder: Option<&Path>) -> Result<Option<Box<dyn SecretStore>>, Failure> {
    let Some(folder) = folder else { return Ok(None) };
    let store =
        FolderStore::open(folder).map_err(|error| Failure::Settings(format!("--secrets_dir: {error}")))?;
    Ok(Some(Box::new(store)))
}

/// The address for others, and what `/v2/info` says.
fn describe(settings: &Settings, address: SocketAddr) -> (String, About) {
    let advertised = format!("{}:{}", settings.hostname, address.port());
    let about = About {
        framework_name: settings.scheduler.framework_name.clone(),
        leader: advertised.clone(),
        http_port: address.port(),
        settings: settings.shown.clone(),
    };
    (advertised, about)
}

/// Only a stop ends the driver well, and nobody has asked for one.
fn driver_failure(end: Result<(), DriverError>) -> Failure {
    end.map_or_else(Failure::from, |()| Failure::DriverGone)
}

/// A number that no other start has had.
fn seed() -> u64 {
    // The standard library seeds every hash map differently, from the system's randomness.
    RandomState::new().build_hasher().finish()
}

/// The signals that end a daemon.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen =
            |kind| signal(kind).map_err(|source| Failure::System { what: "signal handlers", source });
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// What a daemon prints when it is ready.
struct Greeting<'a> {
    address: SocketAddr,
    folder: &'a DataDir,
    mesos: &'a str,
}

impl fmt::Display for Greeting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let api = format!("http://{}", reachable(self.address));
        writeln!(f, "podium {} is ready", env!("CARGO_PKG_VERSION"))?;
        writeln!(f, "  API    {api}/v2/pods")?;
        writeln!(f, "  data   {}", self.folder.path().display())?;
        writeln!(f, "  Mesos  {}", self.mesos)?;
        writeln!(f, "\nPost a first pod, and look at it:")?;
        writeln!(f, "  curl -X POST -H 'Content-type: application/json' {api}/v2/pods -d '{FIRST_POD}'")?;
        writeln!(f, "  curl {api}/v2/pods/simplepod::status\n")
    }
}

/// The pod of the Pods page's Quick Start, in one line.
const FIRST_POD: &str = concat!(
    r#"{"id":"/simplepod","scaling":{"kind":"fixed","instances":1},"#,
    r#""containers":[{"name":"sleep1","exec":{"command":{"shell":"sleep 1000"}},"#,
    r#""resources":{"cpus":0.1,"mem":32}}],"networks":[{"mode":"host"}]}"#
);

/// An address that leads to a socket that listens on `address`, from this machine.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        ip if !ip.is_unspecified() => {}
        std::net::IpAddr::V4(_) => address.set_ip(std::net::Ipv4Addr::LOCALHOST.into()),
        std::net::IpAddr::V6(_) => address.set_ip(std::net::Ipv6Addr::LOCALHOST.into()),
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_pod_is_one() {
        let document = serde_json::from_str(FIRST_POD).unwrap();
        let admitted = podium_core::admission::read_pod(&document, &Rules::default()).unwrap();
        assert_eq!((admitted.pod.id.as_str(), admitted.unknown_fields), ("/simplepod", Vec::new()));
    }

    #[test]
    fn the_greeting_shows_addresses_that_work() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataDir::open(parent.path()).unwrap();
        let address = "0.0.0.0:8080".parse().unwrap();
        let greeting = Greeting { address, folder: &folder, mesos: "http://a:5050,b:5050" }.to_string();
        let folder = folder.path().display().to_string();
        insta::assert_snapshot!(
            greeting.replace(&folder, "FOLDER").replace(env!("CARGO_PKG_VERSION"), "VERSION")
        );
    }
}
