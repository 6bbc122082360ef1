//! Where is the PostgreSQL database of a test? It is on the server that `DATABASE_URL` names, or on a server that is started
//! for all tests of a test program.

mod admin;
mod name;
mod server;
mod template;

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, OnceLock};

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use self::admin::Home;
pub use self::server::Server;
use self::template::Template;
use super::blocking::wait;

/// A database that only this test uses.
///
/// It is dropped with this value, also if the test panics, unless it is on a server that ends with the test or the test
/// program. If it cannot be dropped, the reason is printed on stderr.
#[derive(Debug)]
pub struct Database {
    home: Option<Home>,
    template: Option<Arc<Template>>,
    /// The database is created when its URL is asked for first: a test that uses another database pays nothing for this one.
    url: OnceLock<String>,
}

impl Default for Database {
    fn default() -> Self {
        Self::new()
    }
}

impl Database {
    /// Creates an empty database on the server of all tests.
    pub fn new() -> Self {
        let database = Self::later(None);
        database.url();
        database
    }

    /// Creates an empty database on a server that only this test uses.
    pub fn on(server: &Server) -> Self {
        let database = Self::later(Some(server));
        database.url();
        database
    }

    /// Creates an empty database when it is needed, on this server or on the server of all tests.
    pub(crate) fn later(server: Option<&Server>) -> Self {
        let home = server.map(|server| Home::of_test(server.url.clone()));
        Self { home, template: None, url: OnceLock::new() }
    }

    /// Makes it a copy of a database that `migrate` has prepared, on the same server. `migrate` is called with the URL of an
    /// empty database, once for all tests that give the same `key` at the same time.
    pub(crate) fn fill(&mut self, key: &str, migrate: impl FnOnce(&str)) {
        assert!(self.url.get().is_none(), "`migrated` has to come before the database is used");
        self.template = Some(template::of(self.home(), key, migrate));
    }

    /// Its URL, for `database.url`.
    pub fn url(&self) -> String {
        let create = || {
            let home = self.home();
            let name = name::new();
            let of = self.template.as_ref().map_or(String::new(), |of| format!(" TEMPLATE {}", of.name()));
            home.execute(&[&format!("CREATE DATABASE {name}{of}")]).unwrap_or_else(|error| panic!("{error}"));
            home.url_of(&name)
        };
        self.url.get_or_init(create).clone()
    }

    /// Its URL at another address, for example at that of a [`Proxy`](crate::Proxy).
    pub fn url_at(&self, addr: SocketAddr) -> String {
        let url = self.url();
        let (server, _) = admin::parts(&url);
        let host = server.rfind(['@', '/']).map_or(0, |before| before + 1);
        format!("{}{addr}{}", &url[..host], &url[server.len()..])
    }

    /// The address of its server.
    pub fn addr(&self) -> SocketAddr {
        let url = &self.home().url;
        let options: PgConnectOptions = url.parse().unwrap_or_else(|error| panic!("DATABASE_URL: {error}"));
        let address = (options.get_host(), options.get_port());
        let mut found = address.to_socket_addrs().unwrap_or_else(|error| panic!("{address:?}: {error}"));
        found.next().unwrap_or_else(|| panic!("{address:?} has no address"))
    }

    /// Opens a connection that does not go through the service.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.unwrap()
    }

    /// Runs statements without the service, for example to insert the rows that a test begins with.
    pub fn execute(&self, statements: &str) {
        wait(async || {
            let mut connection = self.connect().await;
            sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        });
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
        if self.url.get().is_none() {
            self.url();
        }
        self.url.get().map(|url| admin::parts(url).1).unwrap()
    }

    fn home(&self) -> &Home {
        self.home.as_ref().unwrap_or_else(|| Home::of_all_tests())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.url.get().is_some() {
            self.home().remove(self.name());
        }
    }
}
