//! What is PostgreSQL allowed to cost?

mod url;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use self::url::Address;
use crate::config::machine::cores;
use crate::config::range::{DAY, MILLISECOND, NONE, Range, Ranges};
use crate::config::secret::SecretUrl;

/// The database and its pool.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DatabaseConfig {
    /// Where the database is, `postgres://USER:PASSWORD@HOST:5432/NAME`. Over a network add `?sslmode=verify-full`, and
    /// `&sslrootcert=FILE` for a certificate authority of your own.
    pub url: SecretUrl,
    /// Connections at once. One more connection asks whether the database is there.
    ///
    /// Default: four times the number of cores.
    /// Too high: the connections fight for the server's cores, and the replicas together exceed what the server accepts.
    /// Too low: requests wait in `db_pool_acquire_seconds` while the server idles.
    pub max_connections: u32,
    /// Connections of sqlx's own pool, for crates that want such a pool (`Db::sqlx_pool`). 0: there is no such pool.
    ///
    /// Too high: the replicas together exceed what the server accepts.
    /// Too low: such a crate waits for a connection, and only its own errors say so.
    pub sqlx_pool_connections: u32,
    /// Longest wait for a connection. Then the client gets 503.
    ///
    /// Too high: a dead database holds every request for its whole timeout.
    /// Too low: short bursts are refused that would have been served.
    #[serde(with = "humantime_serde")]
    pub acquire_timeout: Duration,
    /// Longest time to open a connection: to find the host, to greet it and to log in. `connect_timeout` in the URL wins.
    /// The attempt goes on when nobody waits for it any more, and the connection is kept.
    ///
    /// Too high: a host that swallows packets holds a place of the pool for long.
    /// Too low: a server that is far or busy is never reached.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// A connection that nobody has used for so long is closed.
    ///
    /// Too high: the connections of the last peak stay open.
    /// Too low: after each lull the connections have to be opened again.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// A connection is replaced by a new one after this time, or up to a tenth earlier.
    ///
    /// Too high: after a failover behind the same name, old connections stay with the old server.
    /// Too low: connections are opened all the time.
    #[serde(with = "humantime_serde")]
    pub max_lifetime: Duration,
    /// The server gives up a statement after this time. Then the client gets 504.
    ///
    /// Too high: one bad statement holds a connection, and its locks, for long.
    /// Too low: good statements become 504.
    #[serde(with = "humantime_serde")]
    pub statement_timeout: Duration,
    /// Longest wait for a lock that another transaction holds. Then the client gets 503.
    ///
    /// Too high: requests queue behind one long transaction.
    /// Too low: short contention makes writes fail with 503.
    #[serde(with = "humantime_serde")]
    pub lock_timeout: Duration,
    /// The server ends a connection whose transaction waits this long for its next statement.
    ///
    /// Too high: a forgotten transaction keeps its locks, and keeps vacuum from its work.
    /// Too low: a transaction that computes between its statements is lost.
    #[serde(with = "humantime_serde")]
    pub idle_in_transaction_timeout: Duration,
    /// Prepared statements that are kept for each connection.
    ///
    /// Too high: the statements fill the memory of the service and of the server.
    /// Too low: each query takes one more round trip, and is planned anew.
    pub statement_cache: usize,
    /// How long the start waits for a server that is not there yet.
    ///
    /// Too high: a wrong host is noticed late.
    /// Too low: the service has to be started again if it comes up before its database.
    #[serde(with = "humantime_serde")]
    pub startup_timeout: Duration,
    /// Whether the start applies pending migrations. Otherwise the start refuses an older database until the command
    /// `migrate` was run.
    ///
    /// true: a new version changes the schema as soon as its first replica starts.
    /// false: each version with a migration needs the command before it can start.
    pub migrate_on_start: bool,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self {
            url: "postgres://postgres@127.0.0.1:5432/postgres".into(),
            max_connections: u32::try_from(4 * cores()).unwrap_or(u32::MAX),
            sqlx_pool_connections: 0,
            acquire_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(10 * 60),
            max_lifetime: Duration::from_secs(30 * 60),
            statement_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(2),
            idle_in_transaction_timeout: Duration::from_secs(5),
            statement_cache: 100,
            startup_timeout: Duration::from_secs(30),
            migrate_on_start: true,
        }
    }
}

impl DatabaseConfig {
    pub(crate) const RANGES: Ranges<Self> = &[
        ("url", Range::Valid(|s| s.address().map(drop), "a URL of PostgreSQL")),
        ("max_connections", Range::Count(|s| s.max_connections.into(), 1, 10_000)),
        ("sqlx_pool_connections", Range::Count(|s| s.sqlx_pool_connections.into(), 0, 10_000)),
        ("acquire_timeout", Range::Time(|s| s.acquire_timeout, MILLISECOND, DAY)),
        ("connect_timeout", Range::Time(|s| s.connect_timeout, MILLISECOND, DAY)),
        ("idle_timeout", Range::Time(|s| s.idle_timeout, MILLISECOND, DAY)),
        ("max_lifetime", Range::Time(|s| s.max_lifetime, MILLISECOND, DAY)),
        ("statement_timeout", Range::Time(|s| s.statement_timeout, MILLISECOND, DAY)),
        ("lock_timeout", Range::Time(|s| s.lock_timeout, MILLISECOND, DAY)),
        ("idle_in_transaction_timeout", Range::Time(|s| s.idle_in_transaction_timeout, MILLISECOND, DAY)),
        ("statement_cache", Range::Count(|s| s.statement_cache as u64, 1, 100_000)),
        ("startup_timeout", Range::Time(|s| s.startup_timeout, NONE, DAY)),
    ];

    /// Reads the URL.
    ///
    /// # Errors
    /// The URL can never work.
    pub(crate) fn address(&self) -> Result<Address, String> {
        url::read(self.url.expose_secret())
    }

    /// How many connections each replica may have, and the sum behind that number: those of the pools, and the one that asks
    /// whether the server is there.
    pub(crate) fn connections(&self) -> (u64, String) {
        let (pools, sum) = super::of_the_pools(self.max_connections, self.sqlx_pool_connections);
        (pools + 1, format!("{sum} + 1"))
    }

    /// Advice about `replicas` copies of this service, as far as it can be given without asking the database.
    pub(crate) fn advice(&self, _replicas: u32) -> Option<String> {
        None // the server knows its limits, and `check` asks it
    }
}
