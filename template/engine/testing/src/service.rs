//! What does the running program do? A test sends it requests, reads its log and its metrics, and ends it.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command};

use serde_json::Value;
use tempfile::TempDir;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::Database;
use crate::client::{Response, open, request, send};
use crate::eventually;

/// A running service. It is killed when this value is dropped.
pub struct Service {
    /// Its working directory. The folder is deleted when this value is dropped.
    pub dir: TempDir,
    /// Its database, so that a test can read and write it without the service.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub database: Database,
    /// The address where it serves its users.
    pub public: SocketAddr,
    /// The address of its admin listener.
    pub admin: SocketAddr,
    pub(crate) child: Killed,
}

/// A process that is killed when this value is dropped, so that it does not outlive its test.
pub(crate) struct Killed(pub(crate) Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait(); // unblock: allow(a test ends its program, and there is no event loop)
    }
}

impl Service {
    pub(crate) fn address_in(&mut self, message: &str) -> SocketAddr {
        eventually(message, || {
            if let Some(status) = self.child.0.try_wait().unwrap() {
                panic!("it ended with {status}: {}", self.stderr());
            }
            let line = self.log().into_iter().find(|line| line["message"] == message)?;
            Some(line["addr"].as_str().unwrap().parse().unwrap())
        })
    }

    /// Sends `GET` and reads the answer.
    pub fn get(&self, path: &str) -> Response {
        self.call("GET", path, &[], b"")
    }

    /// Sends a request and reads the answer.
    pub fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        send(self.public, &request(method, path, headers, body))
    }

    /// Sends `GET` to the admin listener and reads the answer.
    pub fn ask(&self, path: &str) -> Response {
        send(self.admin, &request("GET", path, &[], b""))
    }

    /// Sends `GET`, and does not read the answer: [`Response::read`] reads it from the stream that is returned.
    pub fn begin(&self, path: &str) -> TcpStream {
        open(self.public, &request("GET", path, &[], b""))
    }

    /// Waits until at least `count` requests are being served.
    pub fn await_in_flight(&self, count: f64) {
        self.await_metric("http_requests_in_flight", &[], |in_flight| in_flight >= count);
    }

    /// The sum of all series of the metric `name` that have these labels. It is 0 if there is no such series.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let text = self.ask("/metrics").text();
        let of_it = |line: &&str| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|(label, value)| line.contains(&format!("{label}=\"{value}\"")))
        };
        text.lines().filter(of_it).map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    }

    /// Waits until the value of a metric is as `wanted`, and returns the value.
    pub fn await_metric(&self, name: &str, labels: &[(&str, &str)], wanted: impl Fn(f64) -> bool) -> f64 {
        eventually(name, || Some(self.metric(name, labels)).filter(|value| wanted(*value)))
    }

    /// All lines that are in the program's log now.
    pub fn log(&self) -> Vec<Value> {
        read_log(self.dir.path())
    }

    /// Waits for a line of the log that is as `wanted`, and returns the line. `what` says in the error what was awaited.
    pub fn await_line(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || self.log().into_iter().find(&wanted))
    }

    /// Waits for the one line of the request with this id, and returns the line: it has the route, the outcome, the phases.
    pub fn request_line(&self, id: &str) -> Value {
        self.await_line("request line", |line| line["message"] == "request" && line["request_id"] == id)
    }

    /// What the program has written to stderr until now.
    pub fn stderr(&self) -> String {
        fs::read_to_string(self.dir.path().join("stderr")).unwrap()
    }

    /// The process id of the program.
    pub fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// Sends a signal to the program, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let killed = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.pid())]).status();
        assert!(killed.unwrap().success());
    }

    /// Waits for the end of the program, and returns its exit code.
    pub fn wait(&mut self) -> i32 {
        eventually("exit", || self.child.0.try_wait().unwrap()).code().expect("ended by a signal")
    }
}

/// All complete lines of the files in the folder `logs` of this folder. Each line must be JSON.
pub fn read_log(dir: &Path) -> Vec<Value> {
    let Ok(files) = fs::read_dir(dir.join("logs")) else { return Vec::new() };
    let mut lines = Vec::new();
    for file in files {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        lines.extend(whole.lines().map(|line| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in log line: {line}"))
        }));
    }
    lines
}
