//! What is SQLite allowed to cost?

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteConnectOptions;

use crate::config::machine::cores;
use crate::config::range::{DAY, MILLISECOND, NONE, Range, Ranges};
use crate::config::secret::SecretUrl;

/// The database and its pools.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DatabaseConfig {
    /// The file of the database, `sqlite:PATH`. It is created if it is missing, with its folder.
    pub url: SecretUrl,
    /// Readers at once. There is also one writer, and one connection that asks whether the database is there.
    ///
    /// Default: four times the number of cores.
    /// Too high: the readers fight for cores and disk.
    /// Too low: requests wait in `db_pool_acquire_seconds` while the machine idles.
    pub max_connections: u32,
    /// Connections of sqlx's own pool, for crates that want such a pool (`Db::sqlx_pool`). 0: there is no such pool.
    ///
    /// Too high: more connections wait for the file's write lock at once.
    /// Too low: such a crate waits for a connection, and only its own errors say so.
    pub sqlx_pool_connections: u32,
    /// Longest wait for a connection. Then the client gets 503.
    ///
    /// Too high: a dead database holds every request for its whole timeout.
    /// Too low: short bursts are refused that would have been served.
    #[serde(with = "humantime_serde")]
    pub acquire_timeout: Duration,
    /// Longest time to open a connection. The attempt goes on when nobody waits for it any more, and the connection is
    /// kept.
    ///
    /// Too high: a disk that hangs holds a place of the pool for long.
    /// Too low: a slow disk counts as a disk that is gone.
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
    /// Too high: a file that was replaced by another one stays in use.
    /// Too low: connections are opened all the time.
    #[serde(with = "humantime_serde")]
    pub max_lifetime: Duration,
    /// Longest wait for the answer to a statement. Then the statement is interrupted, and the client gets 504.
    ///
    /// Too high: one bad statement holds a connection for long, and all writes if it writes.
    /// Too low: good statements become 504.
    #[serde(with = "humantime_serde")]
    pub statement_timeout: Duration,
    /// Longest wait for the write lock of the file while another process holds it. Then the client gets 503.
    ///
    /// Too high: writers queue behind the other process.
    /// Too low: a backup makes writes fail with 503.
    #[serde(with = "humantime_serde")]
    pub lock_timeout: Duration,
    /// Prepared statements that are kept for each connection.
    ///
    /// Too high: the statements fill the memory.
    /// Too low: each query is parsed anew.
    pub statement_cache: usize,
    /// How long the start waits for a file that another process has locked.
    ///
    /// Too high: a lock that stays is noticed late.
    /// Too low: the start fails while a backup ends.
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
            url: "sqlite:data/service.db".into(),
            max_connections: u32::try_from(4 * cores()).unwrap_or(u32::MAX),
            sqlx_pool_connections: 0,
            acquire_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(10 * 60),
            max_lifetime: Duration::from_secs(30 * 60),
            statement_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(2),
            statement_cache: 100,
            startup_timeout: Duration::from_secs(30),
            migrate_on_start: true,
        }
    }
}

impl DatabaseConfig {
    pub(crate) const RANGES: Ranges<Self> = &[
        ("url", Range::Valid(|s| s.options().map(drop), "a URL of SQLite")),
        ("max_connections", Range::Count(|s| s.max_connections.into(), 1, 10_000)),
        ("sqlx_pool_connections", Range::Count(|s| s.sqlx_pool_connections.into(), 0, 10_000)),
        ("acquire_timeout", Range::Time(|s| s.acquire_timeout, MILLISECOND, DAY)),
        ("connect_timeout", Range::Time(|s| s.connect_timeout, MILLISECOND, DAY)),
        ("idle_timeout", Range::Time(|s| s.idle_timeout, MILLISECOND, DAY)),
        ("max_lifetime", Range::Time(|s| s.max_lifetime, MILLISECOND, DAY)),
        ("statement_timeout", Range::Time(|s| s.statement_timeout, MILLISECOND, DAY)),
        ("lock_timeout", Range::Time(|s| s.lock_timeout, NONE, DAY)),
        ("statement_cache", Range::Count(|s| s.statement_cache as u64, 1, 100_000)),
        ("startup_timeout", Range::Time(|s| s.startup_timeout, NONE, DAY)),
    ];

    /// Reads the URL.
    ///
    /// # Errors
    /// The URL can never work.
    pub(crate) fn options(&self) -> Result<SqliteConnectOptions, String> {
        let wrong = |problem: &str| Err(format!("{problem}: write it like sqlite:data/service.db"));
        let url = self.url.expose_secret();
        if !url.starts_with("sqlite:") {
            return wrong("is not a SQLite URL");
        }
        let (_, parameters) = url.split_once('?').unwrap_or_default();
        for one in parameters.split('&').filter(|one| !one.is_empty()) {
            match one.split_once('=').unwrap_or((one, "")) {
                ("mode", "ro" | "rw" | "rwc" | "memory") | ("cache", "private" | "shared") | ("vfs", _) => {}
                ("immutable", "true" | "1" | "false" | "0") => {}
                (name @ ("mode" | "cache" | "immutable"), _) => {
                    return wrong(&format!("has an unknown {name}"));
                }
                // This may be a part of a password, so the message does not repeat it.
                _ => {
                    return wrong(
                        "has something behind the ? that is none of mode, cache, immutable and vfs",
                    );
                }
            }
        }
        let Ok(options) = SqliteConnectOptions::from_str(url) else {
            return wrong("is not valid UTF-8");
        };
        let path = options.get_filename().to_string_lossy().into_owned();
        let is_in_memory = |text: &str| text.contains(":memory:") || text.contains("mode=memory");
        if path.is_empty() || is_in_memory(&path) || is_in_memory(url) {
            return wrong("names no file, and each connection would see a database of its own");
        }
        if path.ends_with('/') {
            return wrong("names a folder");
        }
        Ok(options)
    }

    /// How many connections a process opens to the file, and the sum behind that number.
    pub(crate) fn connections(&self) -> (u64, String) {
        let (pools, sum) = super::of_the_pools(self.max_connections, self.sqlx_pool_connections);
        (pools + 2, format!("{sum} + 1 writer + 1 probe"))
    }

    /// Advice about `replicas` copies of this service, as far as it can be given without asking the database.
    pub(crate) fn advice(&self, replicas: u32) -> Option<String> {
        (replicas > 1).then(|| {
            format!(
                "platform.replicas is {replicas}, but a SQLite file serves the processes of one machine only"
            )
        })
    }
}
