//! Is the database the slow link, and which part of it?
//!
//! A handler writes ordinary sqlx against [`Db::read`] and [`Db::write`]. Behind that, three things are
//! told apart: waiting for a permit (`db_pool_acquire_seconds`: the pool is too small, or held too
//! long), opening or checking a connection (`db_pool_connect_seconds`), and waiting for the database to
//! answer (`db_query_seconds`). The [`pool`] does the first two, the [`executor`] the third; the [`pulse`]
//! knows whether the database is there at all. The [`driver`] is the only part that knows which database
//! it is.

mod bound;
mod connection;
mod driver;
mod executor;
mod leftovers;
mod migrate;
mod opening;
mod pool;
mod pulse;
mod session;
mod steps;
mod trouble;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

pub use self::connection::{Connection, Transaction};
pub use self::driver::{Driver, look};
pub use self::pool::Pool;
pub use self::pulse::Pulse;
pub use self::steps::{Migrations, Step, step};
pub use self::trouble::Trouble;
use crate::config::{Config, Note};
use crate::identity::Identity;

/// While the start waits for the database, it tries this often. Higher: the service is up later than it
/// could be. Lower: replicas that start together knock on a struggling database's door.
const TRY_EVERY: Duration = Duration::from_millis(500);

/// What an open connection is asked at the start may take this long. Higher: a first packet that was lost holds up
/// the start. Lower: a database that is slow while it recovers, or far away, is never opened.
const ATTEMPT: Duration = Duration::from_secs(5);

/// The database: a pool for statements that read, and one for those that write. Cheap to clone.
///
/// With SQLite, the latter has one connection, since SQLite has one writer. With PostgreSQL, both are the same pool.
///
/// Queries are sqlx's own. `?` in a handler makes a [`Problem`](crate::Problem) of an error.
///
/// ```
/// use longpole::{Db, Problem};
///
/// async fn rename(db: &Db, id: i64, name: &str) -> Result<(), Problem> {
///     let rename = sqlx::query("UPDATE items SET name = $1 WHERE id = $2").bind(name).bind(id);
///     let done = rename.execute(&db.write).await?;
///     if done.rows_affected() == 1 { Ok(()) } else { Err(Problem::not_found()) }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Db {
    /// For statements that only read.
    pub read: Pool,
    /// For statements that write. Keep transactions short.
    pub write: Pool,
    about: Arc<About>,
}

#[derive(Debug)]
struct About {
    /// Without secrets.
    url: String,
    /// For the probe's own connection.
    reader: driver::Connector,
    /// Whether sessions last, as migrations need it.
    can_migrate: bool,
    pulse: Pulse,
}

/// Why the database cannot be used, and what to do.
#[derive(Debug)]
pub struct Unusable {
    text: String,
    /// Whether it may be usable soon.
    passing: bool,
}

impl Unusable {
    /// `url` is shown: it has no secret in it.
    fn new(url: &str, error: &dyn fmt::Display, advice: &str) -> Self {
        let text = format!("database.url {url}: {error}. {advice}");
        Self { text, passing: false }
    }

    fn passing(self) -> Self {
        Self { passing: true, ..self }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Unusable {}

/// Opens the database, and brings its schema up to date if `migrate`; otherwise only verifies it. Waits
/// for one that is not there yet.
///
/// # Errors
/// The URL is not one of this database, the database cannot be used within `database.startup_timeout`, or
/// its schema does not fit the `migrations`.
pub async fn open(
    config: &Config,
    identity: Identity,
    migrations: impl Into<Option<Migrations>>,
    migrate: bool,
) -> Result<Db, Unusable> {
    let migrations = migrations.into();
    if let Some(version) = migrations.as_ref().and_then(Migrations::twice) {
        let problem = format!("two migrations have the version {version}");
        return Err(Unusable::new(
            &config.database.url.to_string(),
            &problem,
            "Give each a version of its own",
        ));
    }
    let give_up = Instant::now() + config.database.startup_timeout;
    let mut last = driver::silent(&config.database.url.to_string());
    loop {
        let opened = async {
            // A host that swallows packets must not hold the start for longer than it may take. An attempt
            // that is cut short says less than the one before.
            let in_time = give_up.min(Instant::now() + config.database.connect_timeout + ATTEMPT);
            let (db, migrator) =
                timeout_at(in_time, driver::open(config, identity)).await.unwrap_or(Err(last))?;
            match &migrations {
                Some(migrations) => db.migrate(migrations, migrate, migrator, give_up).await?,
                None => driver::discard(migrator.raw).await, // the schema is somebody else's
            }
            Ok::<_, Unusable>(db)
        };
        match opened.await {
            Err(unusable) if unusable.passing && Instant::now() + TRY_EVERY < give_up => {
                tracing::warn!(error = %unusable, "waiting for the database");
                last = unusable;
                // Replicas that wait for each other's place at a pooler must not try in step.
                sleep(TRY_EVERY.mul_f64(0.5 + fastrand::f64())).await;
            }
            Err(unusable) if unusable.passing => {
                let startup_timeout = humantime::format_duration(config.database.startup_timeout);
                let text = format!("{unusable} (waited for database.startup_timeout, {startup_timeout})");
                return Err(Unusable { text, passing: true });
            }
            outcome => return outcome,
        }
    }
}

impl Db {
    /// Closes the pools, once every connection is back.
    pub(super) async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }

    /// What the database grants, held against what all replicas together may ask of it.
    ///
    /// # Errors
    /// It does not answer, or could not be used.
    pub(super) async fn limits(&self, config: &Config) -> Result<Vec<Note>, Unusable> {
        driver::limits(&self.about.reader, self.about.can_migrate, config).await
    }

    #[must_use]
    pub(crate) fn pulse(&self) -> Pulse {
        self.about.pulse.clone()
    }
}
