//! A real browser without a window: Chromium, told what to do through ChromeDriver.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::api::request;
use crate::folder::Folder;
use crate::wait::eventually;

/// A browser with one page. It ends with it.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    /// The session's address.
    session: String,
    /// Where it keeps what it knows.
    _profile: Folder,
}

/// The key under which WebDriver gives elements their names.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

impl Browser {
    /// Opens the page at `url` in a window of this size.
    ///
    /// # Panics
    /// There is no Chromium or no ChromeDriver: `scripts/test` installs them.
    #[track_caller]
    pub fn open(url: &str, [width, height]: [u32; 2]) -> Self {
        let profile = Folder::new();
        let port = free_port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("ChromeDriver is installed: Debian's package chromium-driver");
        let address = format!("http://127.0.0.1:{port}");
        let mut browser = Self { driver, session: address.clone(), _profile: profile };
        eventually("ChromeDriver answers", || {
            let status = request("GET", &format!("{address}/status"), &[], "")?;
            if status.json()["value"]["ready"] == true { Ok(()) } else { Err(status.text) }
        });
        let arguments = [
            "--headless".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            format!("--window-size={width},{height}"),
            format!("--user-data-dir={}", browser._profile.path().display()),
        ];
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        } } });
        let session = browser.tell("POST", "/session", &capabilities);
        let id = session["sessionId"].as_str().expect("a new session has an id");
        browser.session = format!("{address}/session/{id}");
        browser.tell("POST", "/url", &json!({ "url": url }));
        browser
    }

    /// What a script of one expression comes to on the page.
    #[track_caller]
    pub fn evaluate(&self, expression: &str) -> Value {
        self.tell("POST", "/execute/sync", &json!({ "script": format!("return ({expression})"), "args": [] }))
    }

    /// Clicks on the first element that `selector` names.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        let element = self.find(selector);
        self.tell("POST", &format!("/element/{element}/click"), &json!({}));
    }

    /// Types into the first element that `selector` names.
    #[track_caller]
    pub fn write(&self, selector: &str, text: &str) {
        let element = self.find(selector);
        self.tell("POST", &format!("/element/{element}/value"), &json!({ "text": text }));
    }

    /// The text that a person sees of the first element that `selector` names.
    #[track_caller]
    pub fn text(&self, selector: &str) -> String {
        let element = self.find(selector);
        let text = self.tell("GET", &format!("/element/{element}/text"), &Value::Null);
        text.as_str().unwrap_or_default().to_owned()
    }

    /// What the page has written to the console.
    #[track_caller]
    pub fn console(&self) -> Vec<Value> {
        let log = self.tell("POST", "/se/log", &json!({ "type": "browser" }));
        log.as_array().cloned().unwrap_or_default()
    }

    /// The addresses that the page has asked for, its own first. What the browser's first, empty page asked for is not
    /// among them.
    #[track_caller]
    pub fn requests(&self) -> Vec<String> {
        let page = self.tell("GET", "/url", &Value::Null);
        let log = self.tell("POST", "/se/log", &json!({ "type": "performance" }));
        let messages = log.as_array().cloned().unwrap_or_default().into_iter().filter_map(|entry| {
            let message: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let message = &message["message"];
            let is_request =
                message["method"] == "Network.requestWillBeSent" && message["params"]["documentURL"] == page;
            let url = message["params"]["request"]["url"].as_str().filter(|_| is_request)?;
            Some(url.to_owned())
        });
        messages.collect()
    }

    fn find(&self, selector: &str) -> String {
        let found = self.tell("POST", "/element", &json!({ "using": "css selector", "value": selector }));
        found[ELEMENT].as_str().expect("an element has a name").to_owned()
    }

    #[track_caller]
    fn tell(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("content-type", "application/json")];
        let reply = request(method, &format!("{}{path}", self.session), &headers, &body);
        let mut answer = reply.expect("ChromeDriver answers").expect(200);
        answer["value"].take()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser ends with its session; without one there is no browser.
        let _ = request("DELETE", &self.session, &[], "");
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.local_addr().expect("it is bound").port()
}
