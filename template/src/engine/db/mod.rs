//! Is the database the slow link, and which part of it?
//!
//! A handler writes ordinary sqlx against [`Db::read`] and [`Db::write`]. Behind that, three things are
//! told apart: waiting for a permit (`db_pool_acquire_seconds`: the pool is too small, or held too
//! long), opening a connection (`db_pool_connect_seconds`), and waiting for the database to answer
//! (`db_query_seconds`). The [`pool`] does the first two, the [`executor`] the third, [`sqlite`] is the
//! only file that knows which database it is.

mod executor;
mod pool;
mod sqlite;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use sqlx::migrate::{MigrateError, Migrator};

pub use self::pool::{Connection, Pool, Transaction};
pub use self::sqlite::{Driver, look, open};
use crate::engine::config::report::without_secrets;
use crate::engine::log::millis;

/// Readiness turns 503 after this long without an answer of the database. Higher: users see the outage
/// first. Lower: one slow checkpoint takes the service out of rotation.
pub const UNREADY_AFTER: Duration = Duration::from_secs(2);
/// A quiet service asks the database this often whether it is there.
const PROBE_EVERY: Duration = Duration::from_millis(500);

/// The pools. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Db {
    /// For statements that only read.
    pub read: Pool,
    /// For statements that write. With SQLite it has one connection: waiting for the file's write lock
    /// is then a wait for the pool, where it can be seen. Keep transactions short.
    pub write: Pool,
    about: Arc<About>,
}

#[derive(Debug)]
struct About {
    url: String,
    /// For the probe's own connection.
    options: pool::Options,
    last_answer: LastAnswer,
}

/// When the database last answered.
#[derive(Clone, Debug)]
pub struct LastAnswer {
    origin: Instant,
    millis: Arc<AtomicU64>,
}

impl LastAnswer {
    fn now() -> Self {
        Self { origin: Instant::now(), millis: Arc::default() }
    }

    fn stamp(&self) {
        self.millis.store(self.origin.elapsed().as_millis() as u64, Relaxed);
    }

    /// Time since the database last answered anything.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.origin.elapsed().saturating_sub(Duration::from_millis(self.millis.load(Relaxed)))
    }
}

/// What an error of the database means to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The statement cannot be done, the database is well.
    Refused,
    /// Somebody else holds the lock.
    Busy,
    /// The file cannot be read or written, or the connection is lost.
    Away,
}

impl Trouble {
    #[must_use]
    pub fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => sqlite::trouble(error.code().as_deref()),
            sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => Self::Away,
            _ => Self::Refused,
        }
    }
}

/// Why the database cannot be used, and what to do.
#[derive(Debug)]
pub struct Unusable(pub String);

impl Unusable {
    fn new(url: &str, error: &dyn fmt::Display, advice: &str) -> Self {
        Self(format!("database.url {}: {error}. {advice}", without_secrets(url)))
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unusable {}

impl Db {
    /// Applies pending migrations, or only verifies that none is.
    ///
    /// # Errors
    /// The database is newer than this program, an applied migration was edited, or one is pending
    /// although `apply` is off.
    pub async fn migrate(&self, migrations: &Migrator, apply: bool) -> Result<(), Unusable> {
        let url = &self.about.url;
        let mut connection = self
            .write
            .acquire()
            .await
            .map_err(|error| Unusable::new(url, &error, "Is the file readable and writable?"))?;
        let outcome = if apply {
            migrations.run_direct(None, connection.raw(), false).await
        } else {
            sqlite::verify(migrations, connection.raw()).await
        };
        outcome.map_err(|error| match error {
            MigrateError::VersionMissing(version) => Unusable::new(
                url,
                &format!("it has migration {version}, which this program does not know"),
                "The database is newer: deploy the program that brought it there, or a later one",
            ),
            MigrateError::VersionMismatch(version) => Unusable::new(
                url,
                &format!("migration {version} was edited after it was applied"),
                "Restore the file in `migrations` and write a new migration instead",
            ),
            MigrateError::VersionNotPresent(version) => Unusable::new(
                url,
                &format!("migration {version} is pending and database.migrate_on_start is off"),
                "Run the `migrate` command of this program first",
            ),
            other => Unusable::new(url, &other, "Is it a database of this service?"),
        })
    }

    /// Closes the pools, once every connection is back.
    pub(super) async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }

    #[must_use]
    pub fn last_answer(&self) -> LastAnswer {
        self.about.last_answer.clone()
    }

    /// Asks the database whether it is there whenever no request did lately. Has a connection of its
    /// own: a saturated pool is not an outage.
    pub(super) async fn probe(self, stop: tokio_util::sync::CancellationToken) {
        let answer = self.last_answer();
        let mut connection = None;
        while stop.run_until_cancelled(tokio::time::sleep(PROBE_EVERY)).await.is_some() {
            if answer.age() < PROBE_EVERY {
                continue;
            }
            let asked =
                tokio::time::timeout(UNREADY_AFTER, sqlite::ask(&mut connection, &self.about.options)).await;
            match asked {
                Ok(Ok(())) => answer.stamp(),
                failure => {
                    connection = None;
                    let error = failure.map_or_else(|_| "no answer".to_owned(), |e| format!("{:?}", e.err()));
                    tracing::warn!(error, unanswered_ms = millis(answer.age()), "database does not answer");
                }
            }
        }
    }
}
