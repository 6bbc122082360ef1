//! What does the running program do? A test sends it requests, reads its log and its metrics, and ends it.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command};

use serde_json::Value;
use tempfile::TempDir;

use crate::client::{Response, open, request, send};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::database::Database;
use crate::patience::eventually;

/// A running service. It is killed when this value is dropped, also if the test panics. Then its database and its folder are
/// removed.
pub struct Service {
    pub(crate) child: Killed, // first, since the fields are dropped in this order
    /// Its database, so that a test can read and write it without the service.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub database: Database,
    /// Its working directory. The folder is deleted when this value is dropped.
    pub dir: TempDir,
    /// The address where it serves its users.
    pub public: SocketAddr,
    /// The address of its admin listener.
    pub admin: SocketAddr,
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

    /// Waits until the service is ready for requests: `/readyz` says 200.
    pub fn await_ready(&self) {
        eventually("ready", || (self.ask("/readyz").status == 200).then_some(()));
    }

    /// Waits until the service is not ready for requests, and returns the answer of `/readyz`, which says why.
    pub fn await_not_ready(&self) -> Response {
        eventually("not ready", || Some(self.ask("/readyz")).filter(|answer| answer.status == 503))
    }

    /// Waits until the program has written this text to stderr.
    pub fn await_stderr(&self, text: &str) {
        eventually(&format!("{text:?} on stderr"), || self.stderr().contains(text).then_some(()));
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

    /// Tells the program to end, as an operator does with SIGTERM, waits for its end, and returns its exit code.
    pub fn stop(&mut self) -> i32 {
        self.signal("TERM");
        self.wait()
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
