//! Which PostgreSQL server can a test stop, crash and start again?

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The same script as `ci/postgres` of a generated service.
const SCRIPT: &str = include_str!("../postgres.sh");

/// A server that a test may stop and start. It ends when this value is dropped, or when the test program ends.
///
/// ```no_run
/// # macro_rules! setup { () => { longpole_testing::Setup::of("my-service") } }
/// use longpole_testing::Server;
///
/// let mut server = Server::start();
/// let service = setup!().on(&server).start();
///
/// server.crash();
/// service.await_not_ready();
/// service.get("/items").problem(503);
/// server.resume();
/// service.await_ready();
/// ```
#[derive(Debug)]
pub struct Server {
    pub(super) url: String,
    script: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Server {
    /// Starts a server that only this test uses.
    pub fn start() -> Self {
        let mut script = Command::new("sh");
        script.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = script.spawn().unwrap();
        let input = script.stdin.take().unwrap();
        let output = BufReader::new(script.stdout.take().unwrap());
        let mut server = Self { url: String::new(), script, input, output };
        server.url = server.line();
        assert!(server.url.starts_with("postgres://"), "PostgreSQL does not start: {}", server.url);
        server
    }

    /// Stops it as for an upgrade: the server closes its connections. Its data stay.
    pub fn stop(&mut self) {
        self.tell("stop", "stopped");
    }

    /// Stops it at once, as in a crash. Its data stay.
    pub fn crash(&mut self) {
        self.tell("crash", "crashed");
    }

    /// Starts it again, on the same port.
    pub fn resume(&mut self) {
        self.tell("start", "started");
    }

    fn tell(&mut self, word: &str, done: &str) {
        writeln!(self.input, "{word}").unwrap();
        assert_eq!(self.line(), done);
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.script.id().to_string()).status();
        let _ = self.script.wait();
    }
}
