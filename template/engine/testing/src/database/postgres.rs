//! Where is the PostgreSQL database of a test? It is on the server that `DATABASE_URL` names, or on a server that is started
//! for all tests of a test program.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{self, Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::wait;

/// The same script as `ci/postgres` of a generated service.
const SCRIPT: &str = include_str!("postgres.sh");

/// An empty database. It is dropped with this value, unless it is on a server that ends with the test or the test program.
#[derive(Debug)]
pub struct Database {
    url: String,
    /// The URL of the server, if the server stays when the tests end. Then the database has to be dropped.
    cleanup: Option<String>,
}

impl Default for Database {
    fn default() -> Self {
        Self::new()
    }
}

impl Database {
    /// Creates a database on the server of all tests.
    pub fn new() -> Self {
        static SERVER: LazyLock<Result<String, Server>> =
            LazyLock::new(|| env::var("DATABASE_URL").map_err(|_| Server::start()));
        match &*SERVER {
            Ok(url) => Self { url: create(url), cleanup: Some(url.clone()) },
            Err(server) => Self::on(server),
        }
    }

    /// Creates a database on a server that only this test uses.
    pub fn on(server: &Server) -> Self {
        Self { url: create(&server.url), cleanup: None }
    }

    /// Its URL, for `database.url`.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Opens a connection that does not go through the service.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.unwrap()
    }

    /// Runs statements without the service, for example to insert the rows that a test begins with.
    pub fn execute(&self, statements: &str) {
        execute(&self.url, statements);
    }

    /// Runs a query without the service and returns its number, for example of `SELECT count(*) FROM items`.
    pub fn count(&self, question: &str) -> i64 {
        wait(async || {
            let mut connection = self.connect().await;
            sqlx::query_scalar(AssertSqlSafe(question)).fetch_one(&mut connection).await.unwrap()
        })
    }

    /// Its name. If a test creates a role with the same name, the role is dropped together with the database.
    pub fn name(&self) -> &str {
        let (url, _) = self.url.split_once('?').unwrap_or((&self.url, ""));
        url.rsplit_once('/').unwrap().1
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some(server) = &self.cleanup {
            let name = self.name();
            execute(server, &format!("DROP DATABASE {name} WITH (FORCE)"));
            execute(server, &format!("DROP ROLE IF EXISTS {name}"));
        }
    }
}

/// A server that a test may stop and start. It ends when this value is dropped, or when the test program ends.
#[derive(Debug)]
pub struct Server {
    url: String,
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

/// Returns the URL of a new database of the server with this URL.
fn create(server_url: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}_{}", process::id(), NUMBER.fetch_add(1, Relaxed));
    execute(server_url, &format!("CREATE DATABASE {name}"));
    let (server, parameters) = server_url.split_once('?').unwrap_or((server_url, ""));
    let (server, _) = server.rsplit_once('/').unwrap();
    format!("{server}/{name}?{parameters}")
}

fn execute(url: &str, statements: &str) {
    wait(async || {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}
