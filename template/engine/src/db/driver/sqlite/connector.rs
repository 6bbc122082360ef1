//! How is a connection to SQLite opened, asked, reset and closed?
//!
//! With `synchronous = NORMAL`, a crash may cost the last commits, but never the file. SQLite has no timeout for a
//! statement, so each connection has a [`Brake`](super::brake::Brake).

use std::path::Path;
use std::time::Duration;

use sqlx::pool::PoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _};
use tokio::time::timeout;
use tracing_log::log::LevelFilter;

use super::super::super::timeouts::{CONNECT_TIMEOUT, unreached};
use super::super::super::unusable::Unusable;
use crate::config::DatabaseConfig;

/// sqlx's driver of the database of this build: here [`sqlx::Sqlite`]. Use it where sqlx wants a driver by name, for
/// example in a function that takes a pool as well as a transaction: `db: impl sqlx::Executor<'_, Database = Driver>`.
pub type Driver = sqlx::Sqlite;

/// The driver's own connection.
pub type Raw = SqliteConnection;

/// Opens connections.
#[derive(Clone, Debug)]
pub struct Connector {
    options: SqliteConnectOptions,
    connect_timeout: Duration,
    max_lifetime: Duration,
}

impl Connector {
    pub fn new(config: &DatabaseConfig) -> Result<Self, Unusable> {
        // A URL that is not valid was refused when the configuration was loaded.
        let options =
            config.options().map_err(|problem| Unusable::new(&config.url, &problem, "Correct it"))?;
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(config.lock_timeout)
            .statement_cache_capacity(config.statement_cache)
            // Slow statements are logged by our executor, where the request is known.
            .disable_statement_logging();
        Ok(Self { options, connect_timeout: config.connect_timeout, max_lifetime: config.max_lifetime })
    }

    /// The same connector, but only for reading, and only for a database that exists already.
    pub fn read_only(&self) -> Self {
        Self { options: self.options.clone().read_only(true).create_if_missing(false), ..self.clone() }
    }

    /// The folder of the file, if the URL names one.
    pub fn folder(&self) -> Option<&Path> {
        self.options.get_filename().parent().filter(|folder| !folder.as_os_str().is_empty())
    }

    pub fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    pub fn max_lifetime(&self) -> Duration {
        self.max_lifetime
    }

    pub async fn connect(&self) -> Result<SqliteConnection, sqlx::Error> {
        let opening = timeout(self.connect_timeout, self.options.connect());
        opening.await.map_err(|_| unreached(CONNECT_TIMEOUT))?
    }

    /// A pool of sqlx's own, which opens its connections as this connector does. It logs statements that are slower than
    /// `slow`.
    #[expect(clippy::disallowed_methods, reason = "this is the way in which owners get such a pool")]
    pub fn sqlx_pool(&self, pool: PoolOptions<Driver>, slow: Duration) -> sqlx::Pool<Driver> {
        pool.connect_lazy_with(self.options.clone().log_slow_statements(LevelFilter::Warn, slow))
    }

    /// Opens a connection that changes the schema, without foreign keys. SQLite rebuilds a table by dropping the old
    /// one. If foreign keys were enforced, that would delete the rows which refer to it. A migration cannot switch
    /// them off itself, since the pragma does nothing within a transaction
    /// (<https://www.sqlite.org/lang_altertable.html>).
    pub async fn connect_to_migrate(&self) -> Result<SqliteConnection, sqlx::Error> {
        self.options.clone().foreign_keys(false).connect().await
    }

    /// Takes nothing back: the connection is closed and another one is opened.
    pub async fn reset(&self, _raw: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
        Ok(false)
    }
}

/// The question behind readiness. It reads from the file, not from a cache.
pub async fn ask(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT count(*) FROM sqlite_schema").execute(connection).await.map(drop)
}

/// Closes a connection in order. The last connection to a file moves what is in the WAL into the file and deletes the WAL,
/// but only if it has opened the WAL, which a connection does with its first question. Otherwise the file alone would be
/// empty after `migrate`, and a copy of the file, too.
pub async fn close(mut connection: SqliteConnection) {
    let _ = ask(&mut connection).await;
    let _ = connection.close().await;
}

/// Closes a connection that is of no use. Its thread first ends what it is doing, and this waits for that.
pub async fn discard(connection: SqliteConnection) {
    let _ = connection.close().await;
}
