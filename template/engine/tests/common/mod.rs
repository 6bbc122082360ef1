//! The built binary in a folder of its own, and a client that speaks plain HTTP/1.1.
//!
//! Nothing here waits for a fixed time: it polls for what it wants to see, up to [`PATIENCE`].

#![allow(dead_code, reason = "each test crate uses its part of it")]

pub mod client;
pub mod database;
pub mod http2;
pub mod proxy;
pub mod upstream;

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub use self::client::{Response, request, send};
pub use self::database::Database;

/// Longer than anything takes on a machine that is busy with something else.
pub const PATIENCE: Duration = Duration::from_secs(30);

const BINARY: &str = env!(concat!("CARGO_BIN_EXE_", env!("CARGO_PKG_NAME")));

/// A service that is not started yet.
pub struct Setup {
    pub dir: TempDir,
    pub database: Database,
    variables: BTreeMap<String, String>,
    /// What the shell sets before it: `ulimit`s.
    limits: Vec<String>,
    /// Where its stderr goes, if not into a file.
    stderr: Option<Stdio>,
}

/// A running service; killed when dropped.
pub struct Service {
    pub dir: TempDir,
    pub database: Database,
    pub public: SocketAddr,
    pub admin: SocketAddr,
    child: Killed,
}

/// Does not outlive its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn setup() -> Setup {
    let database = Database::new();
    let url = database.url();
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup { dir, database, variables: BTreeMap::new(), limits: Vec::new(), stderr: None };
    let setup = setup.variable("LONGPOLE_DRILL", "1"); // for tests of a release
    setup.set("server.addr", "127.0.0.1:0").set("admin.addr", "127.0.0.1:0").set("database.url", &url)
}

impl Setup {
    /// Sets a configuration key through its environment variable.
    pub fn set(self, key: &str, value: &str) -> Self {
        let name = format!("APP__{}", key.replace('.', "__").to_uppercase());
        self.variable(&name, value)
    }

    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn file(self, path: &str, content: &str) -> Self {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// A named pipe: see [`hold`].
    pub fn pipe(self, path: &str) -> Self {
        assert!(Command::new("mkfifo").arg(self.dir.path().join(path)).status().unwrap().success());
        self
    }

    /// No file can grow beyond this, as on a full disk.
    pub fn disk(mut self, kilobytes: u32) -> Self {
        self.limits.push(format!("trap '' XFSZ; ulimit -f {kilobytes}"));
        self
    }

    /// It can have no more than this many files and sockets open.
    pub fn files(mut self, most: u32) -> Self {
        self.limits.push(format!("ulimit -n {most}"));
        self
    }

    /// It asks this resolver and no other. None where this user may not arrange that.
    pub fn resolver(mut self, addr: &str) -> Option<Self> {
        let enter =
            "exec unshare -rm sh -c 'mount --bind resolv.conf /etc/resolv.conf && exec \"$0\"' \"$0\"";
        self = self.file("resolv.conf", &format!("nameserver {addr}\noptions timeout:30 attempts:5\n"));
        self.limits.push(enter.to_owned());
        let may = Command::new("unshare")
            .args(["-rm", "mount", "--bind", "/etc/hosts", "/etc/resolv.conf"])
            .output();
        may.is_ok_and(|ended| ended.status.success()).then_some(self)
    }

    pub fn without_stderr(mut self) -> Self {
        self.limits.push("exec 2>&-".to_owned());
        self
    }

    pub fn stderr(mut self, to: impl Into<Stdio>) -> Self {
        self.stderr = Some(to.into());
        self
    }

    pub fn command(&self) -> Command {
        let mut command = match self.limits.is_empty() {
            true => Command::new(BINARY),
            false => {
                let mut shell = Command::new("bash");
                shell.args(["-c", &format!("{}; exec \"$0\"", self.limits.join("; ")), BINARY]);
                shell
            }
        };
        command.current_dir(&self.dir).env_clear().envs(&self.variables).stdin(Stdio::null());
        command
    }

    /// Runs it to its end. One that goes on to serve is killed, and the test fails.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let output = |name| fs::File::create(self.dir.path().join(name)).unwrap();
        let mut command = self.command();
        command.args(arguments).stdout(output("stdout")).stderr(output("stderr"));
        let mut child = Killed(command.spawn().unwrap());
        let status = eventually("exit", || child.0.try_wait().unwrap());
        let read = |name| fs::read(self.dir.path().join(name)).unwrap();
        Output { status, stdout: read("stdout"), stderr: read("stderr") }
    }

    /// Starts it with a `log.dir` elsewhere, and waits until it serves.
    pub fn start_logging_to(self, logs: &Path) -> Service {
        std::os::unix::fs::symlink(logs, self.dir.path().join("logs")).unwrap();
        self.start()
    }

    /// Starts it, and waits for nothing.
    pub fn spawn(mut self) -> Service {
        let stderr = self.stderr.take();
        let stderr =
            stderr.unwrap_or_else(|| fs::File::create(self.dir.path().join("stderr")).unwrap().into());
        let child = Killed(self.command().stderr(stderr).spawn().unwrap());
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let (dir, database) = (self.dir, self.database);
        Service { dir, database, public: nowhere, admin: nowhere, child }
    }

    /// Starts it, and waits for its admin listener alone.
    pub fn start_admin(self) -> Service {
        let mut service = self.spawn();
        service.admin = service.address_in("admin listener ready");
        service
    }

    /// Starts it, and waits until it serves.
    pub fn start(self) -> Service {
        let mut service = self.start_admin();
        service.public = service.address_in("serving");
        service
    }
}

impl Service {
    fn address_in(&mut self, message: &str) -> SocketAddr {
        eventually(message, || {
            if let Some(status) = self.child.0.try_wait().unwrap() {
                panic!("it ended with {status}: {}", self.stderr());
            }
            let line = self.log().into_iter().find(|line| line["message"] == message)?;
            Some(line["addr"].as_str().unwrap().parse().unwrap())
        })
    }

    pub fn get(&self, path: &str) -> Response {
        send(self.public, &request("GET", path, &[], b""))
    }

    pub fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        send(self.public, &request(method, path, headers, body))
    }

    /// Asks the admin listener.
    pub fn ask(&self, path: &str) -> Response {
        send(self.admin, &request("GET", path, &[], b""))
    }

    /// Sends a request and leaves its answer to whoever reads the stream.
    pub fn begin(&self, path: &str) -> TcpStream {
        client::open(self.public, &request("GET", path, &[], b""))
    }

    /// Waits until `count` requests of this route are being served.
    pub fn await_in_flight(&self, count: f64) {
        eventually("requests in flight", || {
            (self.metric("http_requests_in_flight", &[]) >= count).then_some(())
        });
    }

    /// The sum over all series of `name` that have these labels.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let text = self.ask("/metrics").text();
        let of_it = |line: &&str| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|(label, value)| line.contains(&format!("{label}=\"{value}\"")))
        };
        text.lines().filter(of_it).map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    }

    /// Waits until a metric is as wanted, and returns it.
    pub fn await_metric(&self, name: &str, labels: &[(&str, &str)], wanted: impl Fn(f64) -> bool) -> f64 {
        eventually(name, || Some(self.metric(name, labels)).filter(|value| wanted(*value)))
    }

    /// Every line of the log so far; each must be JSON.
    pub fn log(&self) -> Vec<Value> {
        read_log(self.dir.path())
    }

    /// Waits for a line.
    pub fn await_line(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || self.log().into_iter().find(&wanted))
    }

    /// The one line that closes the request with this id.
    pub fn request_line(&self, id: &str) -> Value {
        self.await_line("request line", |line| line["message"] == "request" && line["request_id"] == id)
    }

    pub fn pid(&self) -> u32 {
        self.child.0.id()
    }

    pub fn signal(&self, name: &str) {
        let killed = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.pid())]).status();
        assert!(killed.unwrap().success());
    }

    /// Waits for its end. Returns the exit code.
    pub fn wait(&mut self) -> i32 {
        eventually("exit", || self.child.0.try_wait().unwrap()).code().expect("ended by a signal")
    }

    pub fn stderr(&self) -> String {
        without_drill(&fs::read_to_string(self.dir.path().join("stderr")).unwrap())
    }
}

/// Tests of a release have the drill in it, and stderr says so.
pub fn without_drill(stderr: &str) -> String {
    stderr.split_inclusive('\n').filter(|line| !line.contains("LONGPOLE_DRILL")).collect()
}

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

/// Waits until somebody reads a named pipe. Whoever does waits until this is dropped.
pub fn hold(pipe: &Path) -> fs::File {
    const O_NONBLOCK: i32 = 0o4000; // of Linux: fails while nobody reads
    eventually("a reader of the pipe", || {
        fs::File::options().write(true).custom_flags(O_NONBLOCK).open(pipe).ok()
    })
}

/// Polls until there is something, or fails after [`PATIENCE`].
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        sleep(Duration::from_millis(5));
    }
}
