//! Is the database the slow link, and which part of it?
//!
//! A handler writes ordinary sqlx against [`Db::read`] and [`Db::write`]. Behind that, three waits are told apart: for a
//! permit (`db_pool_acquire_seconds`: the pool is too small, or connections are held too long), for a connection to be
//! opened or checked (`db_pool_connect_seconds`), and for the database to answer (`db_query_seconds`).
//!
//! The files in the order in which they can be read, since none of them uses a file below it:
//!
//! | file | the question it answers |
//! |---|---|
//! | `trouble.rs` | What can an error of the database mean to a request? |
//! | `timeouts.rs` | Which error says that a bound of ours was reached? |
//! | `unusable.rs` | Why can the database not be used, and what can be done about it? |
//! | `statement.rs` | What can be seen in the text of a statement? |
//! | `steps.rs`, `flaws.rs` | What changes the schema, and what must the schema not have afterwards? |
//! | `driver/` | Which database is it? |
//! | `session.rs` | What does the pool have to know about an open connection between two users? |
//! | `leftovers.rs` | What may a statement leave behind on its connection? |
//! | `pulse.rs` | Is the database there? |
//! | `bound.rs` | When is an answer of the database no longer waited for? |
//! | `opening.rs` | How is a connection opened, when an attempt may get no answer at all? |
//! | `idle.rs`, `meters.rs` | Which idle connection is used next, and what do the metrics say about a pool? |
//! | `pool.rs` | Who waits for a connection, and for how long? |
//! | `settle.rs` | How is a connection made fit for its next user? |
//! | `connection.rs` | What becomes of a connection when its user is done with it? |
//! | `executor.rs` | How long does the database take to answer? |
//! | `transaction.rs` | Was a transaction done, or is it undone? |
//! | `sqlx_pool.rs` | What do crates get that want a pool of sqlx's own? |
//! | `tries.rs` | How often and for how long does the start try? |
//! | `probe.rs` | Who asks the database whether it is there, when no request does? |
//! | `schema_fault.rs`, `migrate.rs` | Does the schema fit this program, and who brings it up to date? |
//! | `mod.rs` | How is all of this opened and closed? |

mod bound;
mod connection;
mod driver;
mod executor;
mod flaws;
mod idle;
mod leftovers;
mod meters;
mod migrate;
mod opening;
mod pool;
mod probe;
mod pulse;
mod schema_fault;
mod session;
mod settle;
mod sqlx_pool;
mod statement;
mod steps;
mod timeouts;
mod transaction;
mod tries;
mod trouble;
mod unusable;

use std::sync::Arc;

use futures_util::future::join;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

pub use self::connection::Connection;
use self::driver::{Connector, Migrator, Opened};
pub use self::driver::{Driver, look};
pub use self::pool::Pool;
use self::probe::Probe;
pub use self::pulse::Pulse;
use self::sqlx_pool::SqlxPool;
pub use self::steps::{Migrations, Step, step};
pub use self::transaction::Transaction;
use self::tries::{ATTEMPT, TRY_EVERY};
pub use self::trouble::Trouble;
pub use self::unusable::Unusable;
use crate::config::Config;
use crate::config::Note;
use crate::identity::Identity;

/// The database: one pool for statements that read, and one for statements that write. Cheap to clone.
///
/// With SQLite, the pool that writes has one connection, since SQLite has one writer. With PostgreSQL, both are the
/// same pool.
///
/// Queries are sqlx's own. `?` in a handler turns an error into a [`Problem`](crate::Problem). [`Pool`] says what bounds
/// the wait for a connection and the time of a statement.
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
    /// For statements that only read. With SQLite, its connections are read-only: a statement that writes fails, and `?`
    /// makes 500 of that. A transaction of this pool is for several statements that have to see the same state of the data;
    /// with PostgreSQL, such a transaction has to begin with `SET TRANSACTION ISOLATION LEVEL REPEATABLE READ`.
    pub read: Pool,
    /// For statements that write. Keep transactions short: with SQLite, every other writer waits for their end. A
    /// transaction of this pool may read as well.
    pub write: Pool,
    about: Arc<About>,
}

#[derive(Debug)]
struct About {
    /// For the probe's own connection, and for questions that need no pool.
    reader: Connector,
    /// Whether nothing stands between us and the server that changes servers under our sessions.
    is_straight: bool,
    pulse: Pulse,
    /// For crates that want a pool of sqlx's own.
    sqlx_pool: Option<SqlxPool>,
}

/// Opens the database. Brings its schema up to date if `migrate`, and otherwise only verifies it. Waits for a
/// database that is not there yet.
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
    let url = &config.database.url;
    if let Some(version) = migrations.as_ref().and_then(Migrations::twice) {
        let problem = format!("two migrations have the version {version}");
        return Err(Unusable::new(url, &problem, "Give each a version of its own"));
    }
    let give_up = Instant::now() + config.database.startup_timeout;
    let mut last = driver::silent(url);
    loop {
        let opened = async {
            // A host that swallows packets must not hold up the start for longer than the start may take. The error of an
            // attempt that is cut short says less than the error of the attempt before.
            let in_time = give_up.min(Instant::now() + config.database.connect_timeout + ATTEMPT);
            let (db, migrator) = timeout_at(in_time, connect(config, identity)).await.unwrap_or(Err(last))?;
            match &migrations {
                Some(migrations) => {
                    let migrated =
                        migrate::migrate(migrations, migrate, migrator, db.about.is_straight, give_up);
                    migrated.await.map_err(|fault| fault.explain(url))?;
                }
                None => driver::discard(migrator.raw).await, // others take care of the schema
            }
            Ok::<_, Unusable>(db)
        };
        match opened.await {
            Err(unusable) if unusable.is_passing() && Instant::now() + TRY_EVERY < give_up => {
                tracing::warn!(error = %unusable, "waiting for the database");
                last = unusable;
                tries::until_the_next().await;
            }
            Err(unusable) if unusable.is_passing() => {
                let startup_timeout = humantime::format_duration(config.database.startup_timeout);
                let waited = format!("waited for database.startup_timeout, {startup_timeout}");
                return Err(unusable.after(&waited));
            }
            outcome => return outcome,
        }
    }
}

/// Connects, and builds the pools.
async fn connect(config: &Config, identity: Identity) -> Result<(Db, Migrator), Unusable> {
    let Opened { write, read, migrator, can_migrate, round_trip } = driver::open(config, identity).await?;
    let pulse = Pulse::now();
    if let Some(took) = round_trip {
        pulse.round_trip(took);
    }
    let reader = read.as_ref().unwrap_or(&write).connector.clone();
    let sqlx_pool = SqlxPool::new(&config.database, &write.connector);
    let build = async |plan| {
        let pool = Pool::new(plan, &config.database, pulse.clone()).await;
        pool.map_err(|error| driver::unusable(&config.database.url, &error))
    };
    let write = build(write).await?;
    let read = match read {
        Some(read) => build(read).await?,
        None => write.clone(),
    };
    let about = Arc::new(About { reader, is_straight: can_migrate, pulse, sqlx_pool });
    Ok((Db { read, write, about }, migrator))
}

impl Db {
    /// A pool of sqlx's own, for a crate that cannot use [`Pool`], such as a store of sessions or a queue of jobs. It has
    /// `database.sqlx_pool_connections` connections, which are opened when they are asked for. They are not among
    /// `database.max_connections`. Each call returns a handle of the same pool.
    ///
    /// The shutdown closes the pool when the background tasks have ended. Tasks that use it should be
    /// [background tasks](crate::Background) for that reason. Nothing measures the statements of this pool:
    /// `db_query_seconds` and the phases of the database do not have them. Within
    /// [`wait(Phase::DbQuery, …)`](crate::wait) their time is a phase of the request. Use [`Pool`] for queries of your own.
    ///
    /// With SQLite, its connections write beside [`write`](Self::write), and wait for the lock of the file for up to
    /// `database.lock_timeout`. With PostgreSQL, `statement_timeout` and the other bounds are set on each connection.
    ///
    /// ```
    /// use axum::Router;
    /// use longpole::{Links, sqlx};
    ///
    /// async fn start(links: &Links, _settings: &()) -> Result<Router, sqlx::Error> {
    ///     let pool = links.db.sqlx_pool()?;
    ///     sqlx::query("SELECT 1").execute(&pool).await?; // a crate would do this
    ///     Ok(Router::new())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`sqlx::Error::Configuration`] if `database.sqlx_pool_connections` is 0, which is the default.
    pub fn sqlx_pool(&self) -> Result<sqlx::Pool<Driver>, sqlx::Error> {
        let pool = self.about.sqlx_pool.as_ref().map(SqlxPool::handle);
        pool.ok_or_else(|| {
            sqlx::Error::Configuration(
                "the program asks for a pool of sqlx's own, and database.sqlx_pool_connections is 0: set how many \
                 connections that pool may have"
                    .into(),
            )
        })
    }

    /// Closes the pools when every connection is back. None of them waits for another one to begin. The pool that writes
    /// is the last to end, because with SQLite the last connection tidies the file up, and must be one that may write.
    pub(super) async fn close(&self) {
        let of_sqlx = async {
            if let Some(pool) = &self.about.sqlx_pool {
                let closed = pool.close().await;
                tracing::info!(connections = closed, "shutdown: sqlx's own pool closed");
            }
        };
        self.write.begin_to_close();
        join(of_sqlx, self.read.close()).await;
        self.write.close().await;
    }

    /// Asks from time to time whether the database is there, until `stop`, and closes connections that nobody uses.
    pub(crate) async fn probe(self, stop: CancellationToken) {
        let (connector, pulse) = (self.about.reader.clone(), self.pulse());
        let sqlx_pool = self.about.sqlx_pool.clone();
        Probe { pools: [self.read, self.write], sqlx_pool, connector, pulse }.run(stop).await;
    }

    /// Compares what the database grants with what all replicas together may ask of it.
    ///
    /// # Errors
    /// The database does not answer, or could not be used.
    pub(super) async fn limits(&self, config: &Config) -> Result<Vec<Note>, Unusable> {
        driver::limits(&self.about.reader, self.about.is_straight, config).await
    }

    #[must_use]
    pub(crate) fn pulse(&self) -> Pulse {
        self.about.pulse.clone()
    }
}
