//! A database of each test's own on a real server: the one that `DATABASE_URL` names, or one that
//! `ci/postgres` starts for all tests of this program.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::{env, process, thread};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// An empty database; dropped with this, unless its whole server is.
#[derive(Debug)]
pub struct Database {
    url: String,
    /// Of the server, if somebody goes on using it.
    cleanup: Option<String>,
}

impl Database {
    /// The `pool` label of the connections that write.
    pub const WRITE: &str = "main";

    pub fn new() -> Self {
        static SERVER: LazyLock<Result<String, Server>> =
            LazyLock::new(|| env::var("DATABASE_URL").map_err(|_| Server::start()));
        match &*SERVER {
            Ok(url) => Self { url: create(url), cleanup: Some(url.clone()) },
            Err(server) => Self::on(server),
        }
    }

    /// On a server of the test's own.
    pub fn on(server: &Server) -> Self {
        Self { url: create(&server.url), cleanup: None }
    }

    /// For `database.url`.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    pub fn addr(&self) -> SocketAddr {
        self.server().parse().unwrap()
    }

    /// The same, by way of another address.
    pub fn url_by(&self, addr: SocketAddr) -> String {
        self.url.replace(self.server(), &addr.to_string())
    }

    /// Host and port.
    fn server(&self) -> &str {
        self.url.split_once('@').unwrap().1.split_once('/').unwrap().0
    }

    /// Past the service.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.unwrap()
    }

    /// A new role that may do what it likes in this database, and the URL to use it.
    pub async fn role(&self) -> (String, String) {
        let role = self.name().to_owned();
        self.execute(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'hunter2'; GRANT ALL ON SCHEMA public TO {role}"
        ))
        .await;
        let url = format!("postgres://{role}:hunter2@{}/{role}", self.server());
        (role, url)
    }

    fn name(&self) -> &str {
        let (url, _) = self.url.split_once('?').unwrap_or((&self.url, ""));
        url.rsplit_once('/').unwrap().1
    }

    /// Runs statements past the service.
    pub async fn execute(&self, statements: &str) {
        let mut connection = self.connect().await;
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// The same for tests without a runtime.
    pub fn execute_sync(&self, statement: &str) {
        runtime().block_on(self.execute(statement));
    }

    /// Asks past the service for a number.
    pub fn count_sync(&self, question: &str) -> i64 {
        self.numbers_sync(question)[0]
    }

    /// Asks past the service for numbers.
    pub fn numbers_sync(&self, question: &str) -> Vec<i64> {
        runtime().block_on(async {
            let mut connection = self.connect().await;
            sqlx::query_scalar(AssertSqlSafe(question)).fetch_all(&mut connection).await.unwrap()
        })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some(server) = &self.cleanup {
            let name = self.name();
            run(server, format!("DROP DATABASE {name} WITH (FORCE)"));
            run(server, format!("DROP ROLE IF EXISTS {name}"));
        }
    }
}

/// A server that can be stopped and started. It ends when this is dropped, or the test program ends.
#[derive(Debug)]
pub struct Server {
    pub url: String,
    script: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Server {
    pub fn start() -> Self {
        let mut script = Command::new("sh")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/ci/postgres"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = script.stdin.take().unwrap();
        let output = BufReader::new(script.stdout.take().unwrap());
        let mut server = Self { url: String::new(), script, input, output };
        server.url = server.line();
        assert!(server.url.starts_with("postgres://"), "ci/postgres: {}", server.url);
        server
    }

    /// Says `stop`, `start` or `crash`, and waits until it is done.
    pub fn tell(&mut self, word: &str, done: &str) {
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
    run(server_url, format!("CREATE DATABASE {name}"));
    let (server, parameters) = server_url.split_once('?').unwrap_or((server_url, ""));
    let (server, _) = server.rsplit_once('/').unwrap();
    format!("{server}/{name}?{parameters}")
}

/// On a thread of its own, for the test may be inside a runtime.
fn run(url: &str, statement: String) {
    let url = url.to_owned();
    let statement = move || {
        runtime().block_on(async {
            let mut connection = PgConnection::connect(&url).await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        });
    };
    thread::spawn(statement).join().unwrap();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
