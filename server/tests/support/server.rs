//! The API on a real socket, in front of a real driver.

use std::fmt::Write as _;
use std::sync::Arc;

use podium::api::{About, Api, EventLog, HttpSettings, bind};
use podium::driver::{self, DriverError, Handle};
use podium::store::{DataDir, EmbeddedStore, Store};
use podium_core::admission::Rules;
use podium_core::{Config, Scheduler};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::sync::oneshot;

use super::{Journal, JournalStore};

/// Headers that every answer has, and that only crowd snapshots.
const BORING: [&str; 9] = [
    "cache-control",
    "content-length",
    "date",
    "expires",
    "pragma",
    "vary",
    "x-frame-options",
    "x-marathon-leader",
    "x-xss-protection",
];

pub(crate) struct Server {
    pub(crate) base: String,
    pub(crate) driver: Handle,
    pub(crate) events: Arc<EventLog>,
    client: reqwest::Client,
    ended: oneshot::Receiver<Result<(), DriverError>>,
    _stop: oneshot::Sender<()>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(Config::default(), 1000).await
    }

    pub(crate) async fn with(config: Config, events: usize) -> Self {
        Self::with_all(config, events, HttpSettings::default()).await
    }

    pub(crate) async fn with_http(http: HttpSettings) -> Self {
        Self::with_all(Config::default(), 1000, http).await
    }

    pub(crate) async fn with_rules(rules: Rules) -> Self {
        let store = JournalStore::healthy(&Journal::default());
        Self::on(Scheduler::new(Config::default(), 1), store, 1000, HttpSettings::default(), rules).await
    }

    async fn with_all(config: Config, events: usize, http: HttpSettings) -> Self {
        let store = JournalStore::healthy(&Journal::default());
        Self::on(Scheduler::new(config, 1), store, events, http, Rules::default()).await
    }

    /// One that goes on with what `folder` holds, as a daemon does that is started again.
    pub(crate) async fn in_folder(folder: &DataDir) -> Self {
        let mut store = EmbeddedStore::open(folder).unwrap();
        let scheduler = Scheduler::restore(Config::default(), 1, store.load().unwrap()).unwrap();
        Self::on(scheduler, Box::new(store), 1000, HttpSettings::default(), Rules::default()).await
    }

    async fn on(
        scheduler: Scheduler,
        store: Box<dyn Store>,
        events: usize,
        http: HttpSettings,
        rules: Rules,
    ) -> Self {
        let listener = bind("127.0.0.1", 0).await.unwrap();
        let address = listener.address();
        let (api, ended) = api(scheduler, store, events, http, rules, address.port());
        let (driver, events) = (api.driver.clone(), api.events.clone());
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(listener.serve(api, stopped));
        // The embedded cluster's fetcher makes every client in this build able to speak TLS, which wants a
        // provider even where it is not spoken. Another test of this process may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { base: format!("http://{address}"), driver, events, client, ended, _stop: stop }
    }

    /// Ends it, and waits until it has let go of its store.
    pub(crate) async fn stop(self) {
        self.driver.stop().await;
        self.ended.await.unwrap().unwrap();
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let response = self.request("GET", path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.unwrap()
    }

    pub(crate) async fn post_pod(&self, pod: &Value) -> Response {
        self.request("POST", "/v2/pods").json(pod).send().await.unwrap()
    }

    pub(crate) async fn wait_for_no_deployments(&self) {
        super::eventually(async || {
            let deployments = self.get("/v2/deployments").await;
            (deployments == serde_json::json!([])).then_some(())
        })
        .await;
    }

    /// Sends requests, and writes down how each was answered.
    pub(crate) async fn transcript(&self, requests: &[(&str, &str, Option<&str>)]) -> String {
        let mut text = String::new();
        for (method, path, body) in requests {
            let mut request = self.request(method, path);
            if let Some(body) = body {
                request = request.header("content-type", "application/json").body((*body).to_owned());
            }
            let shown = body.map(|body| format!(" {body}")).unwrap_or_default();
            writeln!(text, "{}", self.redact(&format!("{method} {path}{shown}"))).unwrap();
            text += &self.show(request.send().await.unwrap()).await;
            text.push('\n');
        }
        text
    }

    /// Status, telling headers and body, without what differs from run to run.
    pub(crate) async fn show(&self, response: Response) -> String {
        let mut text = format!("  {}\n", response.status());
        for (name, value) in response.headers() {
            if !BORING.contains(&name.as_str()) {
                writeln!(text, "  {name}: {}", value.to_str().unwrap()).unwrap();
            }
        }
        let body = response.text().await.unwrap();
        if !body.is_empty() {
            writeln!(text, "  {body}").unwrap();
        }
        self.redact(&text)
    }

    /// Without what differs from run to run.
    pub(crate) fn redact(&self, text: &str) -> String {
        let host = self.base.strip_prefix("http://").unwrap();
        let text = text.replace(host, "HOST");
        // Ids and times differ; their form is the matter of other tests.
        let text = replace_shape(&text, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", "UUID");
        replace_shape(&text, "9999-99-99T99:99:99.999Z", "TIME")
    }
}

/// The API in front of a new driver, and how that ends.
pub(crate) fn api(
    scheduler: Scheduler,
    store: Box<dyn Store>,
    events: usize,
    http: HttpSettings,
    rules: Rules,
    http_port: u16,
) -> (Api, oneshot::Receiver<Result<(), DriverError>>) {
    let events = Arc::new(EventLog::new(events));
    let (driver, ended) = driver::start(scheduler, store, Box::new(events.clone()), None);
    let about = About {
        framework_name: "podium".to_owned(),
        leader: "leader.example:8080".to_owned(),
        http_port,
        settings: serde_json::Map::from_iter([("master".to_owned(), "embedded".into())]),
    };
    let api = Api {
        driver,
        events,
        rules: Arc::new(rules),
        about: Arc::new(about),
        http: Arc::new(http),
        metrics: Arc::default(),
        abdication: Arc::default(),
    };
    (api, ended)
}

/// Replaces what looks like `shape`, in which `x` stands for a hexadecimal digit and `9` for a decimal one.
fn replace_shape(text: &str, shape: &str, with: &str) -> String {
    let fits = |found: &[u8]| {
        found.iter().zip(shape.bytes()).all(|(found, wanted)| match wanted {
            b'x' => found.is_ascii_hexdigit(),
            b'9' => found.is_ascii_digit(),
            _ => *found == wanted,
        })
    };
    let mut result = String::new();
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        if rest.as_bytes().get(..shape.len()).is_some_and(fits) {
            result += with;
            rest = &rest[shape.len()..];
        } else {
            result.push(char);
            rest = &rest[char.len_utf8()..];
        }
    }
    result
}
