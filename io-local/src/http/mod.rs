//! The master's HTTP side: what a real master's port answers, as far as schedulers and people need it.

mod operator;
mod response;
mod scheduler;
mod stream;
mod validation;

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{HeaderMap, LOCATION, USER_AGENT};
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use podium_sim::cluster::{Answer, MasterConfig};
use serde_json::json;
use tokio::net::TcpListener;

use self::response::{Response, json, not_found, text};
use crate::admin::{self, Admin, Command, Refusal};
use crate::cluster::Handle;

/// Mesos has no limit of its own; this one is only there to protect this process.
const MAX_BODY: usize = 256 << 20;

/// Wait after an accept has failed, for instance because there were too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the master says about itself.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    version: String,
    /// `host:port`
    authority: String,
}

impl Site {
    pub(crate) fn new(master: &MasterConfig) -> Self {
        Self { version: master.version.clone(), authority: format!("{}:{}", master.hostname, master.port) }
    }
}

/// Serves until the cluster has been shut down.
pub(crate) async fn serve(listener: TcpListener, site: Site, cluster: Handle) {
    let site = Arc::new(site);
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "the embedded master cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            // Forget connections that have ended.
            Some(_) = connections.join_next() => continue,
            () = cluster.shut_down() => return,
        };
        // Events are small and shall not wait for each other.
        let _ = stream.set_nodelay(true);
        let (site, cluster) = (site.clone(), cluster.clone());
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let (site, cluster) = (site.clone(), cluster.clone());
                async move { route(request, &site, &cluster).await }
            });
            // An error is the other side's doing, or a master that is not there.
            let _ = hyper::server::conn::http1::Builder::new()
                .title_case_headers(true)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// There is no master: the connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("there is no leading master")]
struct NoMaster;

async fn route(request: Request<Incoming>, site: &Site, cluster: &Handle) -> Result<Response, NoMaster> {
    let path = request.uri().path().to_owned();
    if path.contains("/..") || is_libprocess(request.headers()) {
        return Ok(not_found());
    }
    if let Some(command) = path.strip_prefix("/admin/") {
        return Ok(administrate(request.method(), command, cluster).await);
    }
    let ready = cluster.ready().await;
    if ready == Err(Answer::NoMaster) {
        return Err(NoMaster);
    }
    // Every endpoint of the process `master` is known under its short name, too.
    let path = path.strip_prefix("/master").filter(|rest| rest.starts_with('/')).unwrap_or(&path);
    match path {
        "/" => Ok(response::html(format!(
            "<!doctype html><title>Mesos</title><h1>Embedded Mesos cluster</h1>\
             <p>Version {}. <a href=\"/admin/state\">State</a>, <a href=\"/admin/help\">commands</a>.</p>",
            site.version
        ))),
        "/health" => Ok(response::empty(StatusCode::OK)),
        "/redirect" => {
            let mut redirect = response::empty(StatusCode::TEMPORARY_REDIRECT);
            if let Ok(location) = format!("//{}", site.authority).parse() {
                redirect.headers_mut().insert(LOCATION, location);
            }
            Ok(redirect)
        }
        "/version" => Ok(json(StatusCode::OK, &json!({ "version": site.version }))),
        // A route also takes the paths below it.
        _ if path.starts_with("/api/v1") => match ready {
            Err(answer) => scheduler::respond(answer),
            Ok(()) if is_below(path, "/api/v1/scheduler") => scheduler::handle(request, cluster).await,
            Ok(()) if is_below(path, "/api/v1") => operator::handle(request, cluster).await,
            Ok(()) => Ok(not_found()),
        },
        _ => Ok(not_found()),
    }
}

fn is_below(path: &str, route: &str) -> bool {
    path.strip_prefix(route).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Requests that a Mesos process takes for messages of another one, and finds no receiver for.
fn is_libprocess(headers: &HeaderMap) -> bool {
    headers.contains_key("libprocess-from")
        || headers.get(USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"libprocess/"))
}

async fn administrate(method: &Method, command: &str, cluster: &Handle) -> Response {
    if command == "help" {
        return text(StatusCode::OK, admin::help());
    }
    let words: Vec<_> = command.split('/').filter(|word| !word.is_empty()).collect();
    let result = match Command::parse(&words) {
        Ok(Command::Show) if *method == Method::GET => Admin::new(cluster.clone()).execute(&words).await,
        Ok(Command::Show) => return response::method_not_allowed(method, "GET"),
        Ok(_) if *method != Method::POST => return response::method_not_allowed(method, "POST"),
        Ok(command) => cluster.admin(command).await,
        Err(refusal) => Err(refusal),
    };
    let status =
        |refusal: &Refusal| StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    match result {
        Ok(value) => json(StatusCode::OK, &value),
        Err(refusal) => json(status(&refusal), &refusal.to_json()),
    }
}

/// The whole body of a request.
async fn body(request: Request<Incoming>) -> Result<bytes::Bytes, Response> {
    let limited = Limited::new(request.into_body(), MAX_BODY);
    match limited.collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => Err(text(StatusCode::BAD_REQUEST, format!("Failed to read the body: {error}"))),
    }
}
