//! A real Chromium, headless, driven by its ChromeDriver.

use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{PATIENCE, Process, poll};

/// One window of the browser. The browser ends when this is dropped.
pub struct Browser {
    session: String,
    agent: ureq::Agent,
    _driver: Process,
    _profile: TempDir,
}

impl Browser {
    pub fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("chromedriver");
        let driver = Process::start(command.arg(format!("--port={port}")).stdout(Stdio::null()));
        poll("chromedriver", PATIENCE, || TcpStream::connect(("127.0.0.1", port)).ok());
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        let profile = tempfile::tempdir().unwrap();
        // Without these arguments, Chromium asks hosts of its maker at every start.
        let quiet = [
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
        ];
        let mut arguments =
            vec!["--headless".to_owned(), "--no-sandbox".to_owned(), "--disable-gpu".to_owned()];
        arguments.extend(quiet.map(str::to_owned));
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        }}});
        let mut browser = Self {
            session: format!("http://127.0.0.1:{port}/session"),
            agent,
            _driver: driver,
            _profile: profile,
        };
        let session = browser.command("", &capabilities);
        browser.session = format!("{}/{}", browser.session, session["sessionId"].as_str().unwrap());
        browser
    }

    pub fn go(&self, url: &str) {
        self.command("/url", &json!({ "url": url }));
    }

    pub fn resize(&self, width: u32, height: u32) {
        self.command("/window/rect", &json!({ "width": width, "height": height }));
    }

    /// Runs a script in the page, and returns what it returns.
    pub fn run(&self, script: &str) -> Value {
        self.command("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// A PNG of what the window shows.
    pub fn screenshot(&self) -> Vec<u8> {
        let request = self.agent.get(format!("{}/screenshot", self.session));
        let answer: Value = serde_json::from_reader(request.call().unwrap().body_mut().as_reader()).unwrap();
        BASE64_STANDARD.decode(answer["value"].as_str().unwrap()).unwrap()
    }

    /// The messages on the console since the last call.
    pub fn console(&self) -> Vec<String> {
        let lines = self.command("/se/log", &json!({ "type": "browser" }));
        lines.as_array().unwrap().iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect()
    }

    /// The addresses that the browser has asked since the last call.
    pub fn asked(&self) -> Vec<String> {
        let events = self.command("/se/log", &json!({ "type": "performance" }));
        let url = |event: &Value| {
            let event: Value = serde_json::from_str(event["message"].as_str()?).ok()?;
            let is_request = event["message"]["method"] == "Network.requestWillBeSent";
            let url = event["message"]["params"]["request"]["url"].as_str()?.to_owned();
            is_request.then_some(url)
        };
        events.as_array().unwrap().iter().filter_map(url).collect()
    }

    fn command(&self, path: &str, body: &Value) -> Value {
        let request = ureq::http::Request::post(format!("{}{path}", self.session));
        let mut answer = self.agent.run(request.body(body.to_string()).unwrap()).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert!(answer["value"].get("error").is_none(), "{path}: {answer}");
        answer["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.agent.delete(&self.session).call();
    }
}
