//! A database on a real server: the one that `DATABASE_URL` names, or one that is started for all tests of a program.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{self, Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::wait;

/// The same as `ci/postgres` of a generated service.
const SCRIPT: &str = include_str!("postgres.sh");

/// An empty database; dropped with this, unless its whole server is.
#[derive(Debug)]
pub struct Database {
    url: String,
    /// The URL of the server, if somebody goes on using it.
    cleanup: Option<String>,
}

impl Default for Database {
    fn default() -> Self {
        Self::new()
    }
}

impl Database {
    /// A database of its own on the server of all tests.
    pub fn new() -> Self {
        static SERVER: LazyLock<Result<String, Server>> =
            LazyLock::new(|| env::var("DATABASE_URL").map_err(|_| Server::start()));
        match &*SERVER {
            Ok(url) => Self { url: create(url), cleanup: Some(url.clone()) },
            Err(server) => Self::on(server),
        }
    }

    /// A database on a server of the test's own.
    pub fn on(server: &Server) -> Self {
        Self { url: create(&server.url), cleanup: None }
    }

    /// For `database.url`.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// A connection past the service.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.unwrap()
    }

    /// Runs statements past the service, such as rows that a test begins with.
    pub fn execute(&self, statements: &str) {
        execute(&self.url, statements);
    }

    /// Asks past the service for a number, such as `SELECT count(*) FROM items`.
    pub fn count(&self, question: &str) -> i64 {
        wait(async || {
            let mut connection = self.connect().await;
            sqlx::query_scalar(AssertSqlSafe(question)).fetch_one(&mut connection).await.unwrap()
        })
    }

    /// Its name, which is a role's as well if a test makes one: the role is dropped with it.
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

/// A server that a test may stop and start. It ends when this is dropped, or when the test's program ends.
#[derive(Debug)]
pub struct Server {
    url: String,
    script: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Server {
    /// Starts a server of the test's own.
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

    /// Stops it as for an upgrade: connections are closed. Its data stay.
    pub fn stop(&mut self) {
        self.tell("stop", "stopped");
    }

    /// Stops it without a goodbye. Its data stay.
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
