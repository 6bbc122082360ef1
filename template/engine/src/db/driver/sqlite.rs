//! How is SQLite opened here, and why two pools?
//!
//! SQLite has one writer at a time. With a pool of one writer, waiting for the lock is a wait for the
//! pool, in order and measured; without, it hides as a busy loop inside the query. Readers go on
//! beside the writer (WAL). What a crash may cost with `synchronous = NORMAL`: the last commits, never
//! the file. SQLite has no timeout for a statement, so each connection has a [`Brake`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _, Error, Row, query, query_scalar, raw_sql};
use tokio::time::timeout;

pub use self::brake::Brake;
use super::super::leftovers::{Change, creates_temporary, mentions};
use super::super::migrate::Flaws;
use super::super::opening::{CONNECT_TIMEOUT, unreached};
use super::super::pool::Pool;
use super::super::session::Session;
use super::super::steps::Step;
use super::super::{About, Db, Pulse, Trouble, Unusable};
use crate::config::{Config, DatabaseConfig, Note};
use crate::identity::Identity;

mod brake;

/// sqlx's driver of the database of this build: here [`sqlx::Sqlite`]. For what names a driver, such as
/// `Executor<'_, Database = Driver>`.
pub type Driver = sqlx::Sqlite;

/// One file has one program: a schema that is newer than the program is a mistake.
pub const NEWER_IS_REFUSED: bool = true;

/// Fails where there is nothing to commit.
pub const COMMIT: &str = "COMMIT";

/// Begins a transaction that will write: it takes the lock now, so that it cannot fail half-way for want of it.
pub const BEGIN_TO_WRITE: &str = "BEGIN IMMEDIATE";

/// What an owner does about rows that a migration would leave pointing at nothing.
pub const CURE_OF_FLAWS: &str = "Let the migration carry these rows along or delete them. While it runs, foreign keys \
                                 are not enforced, and afterwards they must hold";

/// How many flaws an error names. Higher: longer messages. Lower: fewer places to look at.
const FLAWS_SHOWN: i64 = 5;

/// A connection is opened anew in well under a millisecond: that undoes everything.
pub fn changes_session(first: &str, rest: &str) -> Change {
    let is = |word: &str| first.eq_ignore_ascii_case(word);
    let sets = || {
        let asks = ["_info", "_xinfo", "_list", "_check"];
        rest.contains('=') || (rest.contains('(') && !asks.iter().any(|ask| mentions(rest, ask)))
    };
    match is("ATTACH") || is("DETACH") || (is("PRAGMA") && sets()) || creates_temporary(first, rest) {
        true => Change::BeyondRepair,
        false => Change::Nothing,
    }
}
#[cfg(test)]
pub const CHANGES: &[(&str, Change)] = &[
    ("PRAGMA foreign_keys = OFF", Change::BeyondRepair),
    ("pragma cache_size(10)", Change::BeyondRepair),
    ("ATTACH 'other.db' AS other", Change::BeyondRepair),
    ("DETACH other", Change::BeyondRepair),
    ("CREATE TEMP TABLE t (n)", Change::BeyondRepair),
    ("create temporary view v as select 1", Change::BeyondRepair),
];
#[cfg(test)]
pub const LEAVE_NOTHING: &[&str] =
    &["PRAGMA foreign_keys", "PRAGMA table_info(items)", "PRAGMA foreign_key_check"];

/// Opens connections.
#[derive(Clone, Debug)]
pub struct Connector {
    options: SqliteConnectOptions,
    connect_timeout: Duration,
    lifetime: Duration,
}

impl Connector {
    fn new(config: &DatabaseConfig) -> Result<Self, Unusable> {
        // Whoever loaded the configuration has seen that already.
        let options = config
            .options()
            .map_err(|problem| Unusable::new(&config.url.to_string(), &problem, "Correct it"))?;
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(config.lock_timeout)
            .statement_cache_capacity(config.statement_cache)
            // Slow statements are logged by our executor, where the request is known.
            .disable_statement_logging();
        Ok(Self { options, connect_timeout: config.connect_timeout, lifetime: config.max_lifetime })
    }

    /// The same for a database that must be there already, to read from.
    fn read_only(&self) -> Self {
        Self { options: self.options.clone().read_only(true).create_if_missing(false), ..self.clone() }
    }

    pub fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    pub async fn connect(&self) -> Result<Session, sqlx::Error> {
        let opening = timeout(self.connect_timeout, self.options.connect());
        let mut raw = opening.await.map_err(|_| unreached(CONNECT_TIMEOUT))??;
        let brake = Brake::of(&mut raw).await?;
        Ok(Session::new(raw, brake, self.lifetime))
    }

    /// A connection that changes the schema. SQLite rebuilds a table by dropping the old one, and with foreign
    /// keys enforced that would delete the rows which refer to it; a migration cannot switch them off itself,
    /// since the pragma does nothing within a transaction (<https://www.sqlite.org/lang_altertable.html>).
    async fn connect_to_migrate(&self) -> Result<SqliteConnection, sqlx::Error> {
        self.options.clone().foreign_keys(false).connect().await
    }

    /// Nothing is taken back on a connection here: it is opened anew.
    pub async fn reset(&self, _raw: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
        Ok(false)
    }
}

/// Opens the file (made if missing, with its folder) and connects once to each pool, and once more for the
/// migrations.
///
/// # Errors
/// The URL is not one of a file, or the file cannot be opened.
pub async fn open(config: &Config, _: Identity) -> Result<(Db, Migrator), Unusable> {
    let config = &config.database;
    let url = &*config.url.to_string();
    let writer = Connector::new(config)?;
    if let Some(folder) =
        writer.options.get_filename().parent().filter(|folder| !folder.as_os_str().is_empty())
    {
        let made = tokio::fs::create_dir_all(folder).await;
        made.map_err(|error| {
            Unusable::new(url, &error, &format!("Its folder {} cannot be made", folder.display()))
        })?;
    }
    let pulse = Pulse::now();
    // A transaction that begins as a reader and then writes fails at once if another has written in
    // between, so writers take the lock when they begin.
    let write = Pool::new("write", 1, "BEGIN IMMEDIATE", config, writer.clone(), pulse.clone());
    let reader = writer.read_only();
    let read = Pool::new("read", config.max_connections, "BEGIN", config, reader.clone(), pulse.clone());
    for (pool, connector) in [(&write, &writer), (&read, &reader)] {
        let begun = Instant::now();
        let first = connector.connect().await.map_err(|error| unusable(url, &error))?;
        pool.adopt(first, begun.elapsed());
    }
    let migrator = writer.connect_to_migrate().await.map_err(|error| unusable(url, &error))?;
    let about = About { url: url.to_owned(), reader, can_migrate: true, pulse };
    Ok((Db { read, write, about: Arc::new(about) }, Migrator { raw: migrator }))
}

/// A connection that changes the schema.
pub struct Migrator {
    pub raw: SqliteConnection,
}

impl Migrator {
    /// Puts back what a step before may have changed for good: foreign keys must not be enforced, or the rebuild of a
    /// table deletes the rows that refer to it.
    pub async fn begin_step(&mut self) -> Result<(), sqlx::Error> {
        raw_sql("PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = OFF; PRAGMA writable_schema = OFF")
            .execute(&mut self.raw)
            .await?;
        let enforced: i64 = query_scalar("PRAGMA foreign_keys").fetch_one(&mut self.raw).await?;
        match enforced {
            0 => Ok(()),
            _ => Err(Error::Protocol("a transaction that a migration began is still open".to_owned())),
        }
    }
}

/// One process writes at a time anyhow, and a migration looks again once it has the lock.
pub async fn try_lock(_connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    Ok(true)
}

/// A step outside a transaction has no other bounds than one inside.
pub async fn unbounded(_connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    Ok(())
}

/// Rows that refer to a row which does not exist.
pub async fn flaws(
    connection: &mut SqliteConnection,
    _: &Step,
    before: &Flaws,
) -> Result<Flaws, sqlx::Error> {
    let counted =
        query_scalar("SELECT count(*) FROM pragma_foreign_key_check").fetch_one(&mut *connection).await;
    let count: i64 = match counted {
        Ok(0) => return Ok(Flaws::default()),
        Ok(count) => count,
        // A reference to columns that are not unique. What was so before the step is not the step's fault.
        Err(Error::Database(error)) if error.message().contains("foreign key mismatch") => {
            let all = vec![error.message().to_owned()];
            let shown = if before.all == all { Vec::new() } else { all.clone() };
            return Ok(Flaws { count: shown.len(), shown, all });
        }
        Err(error) => return Err(error),
    };
    let first =
        query("SELECT \"table\", rowid, parent FROM pragma_foreign_key_check LIMIT $1").bind(FLAWS_SHOWN);
    let mut shown = Vec::new();
    for row in first.fetch_all(connection).await? {
        let (table, parent): (String, String) = (row.try_get(0)?, row.try_get(2)?);
        let row = row.try_get::<Option<i64>, _>(1)?.map_or("a row".to_owned(), |row| format!("row {row}"));
        shown.push(format!("{row} of {table} refers to a row of {parent} that does not exist"));
    }
    if before.count > 0
        && let Some(first) = shown.first_mut()
    {
        first.insert_str(0, &format!("(before it there were {} such rows) ", before.count));
    }
    Ok(Flaws { count: usize::try_from(count).unwrap_or(usize::MAX), shown, all: Vec::new() })
}

/// Ends the transaction that is open, if one is. `ours` is one that was begun here and not ended.
pub async fn roll_back(connection: &mut SqliteConnection, _ours: bool) -> Result<bool, sqlx::Error> {
    // The driver knows whether a transaction is open, and says so here alone.
    match connection.begin_with("").await {
        Ok(open) => open.rollback().await.map(|()| true),
        Err(Error::BeginFailed) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A statement that was given up while it ran is interrupted, which ends its whole transaction.
pub const GIVEN_UP_ENDS_TRANSACTION: bool = true;

/// After these errors SQLite has rolled the whole transaction back by itself
/// (<https://www.sqlite.org/lang_transaction.html>), and what follows would be committed alone.
pub fn ends_transaction(error: &sqlx::Error) -> bool {
    const PRIMARY: [u32; 5] = [BUSY, NOMEM, INTERRUPT, IOERR, FULL];
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    code.is_some_and(|code| PRIMARY.contains(&(code & 0xff)))
}

/// Why the file cannot be used. Another process that holds its lock will let go of it.
pub fn unusable(url: &str, error: &sqlx::Error) -> Unusable {
    let unusable = Unusable::new(url, error, "Is it a SQLite database that this user can read and write?");
    if Trouble::of(error) == Trouble::Busy { unusable.passing() } else { unusable }
}

/// The file was not opened in time.
pub fn silent(url: &str) -> Unusable {
    let advice = "Does another process hold its lock, and does its disk answer?";
    Unusable::new(url, &"the file is not opened in time", advice).passing()
}

const BUSY: u32 = 5;
const LOCKED: u32 = 6;
const NOMEM: u32 = 7;
const INTERRUPT: u32 = 9;
const IOERR: u32 = 10;
const CORRUPT: u32 = 11;
const FULL: u32 = 13;
const CANTOPEN: u32 = 14;

/// What a result code means (<https://www.sqlite.org/rescode.html>); the lowest byte is the primary code.
pub fn trouble(code: &str) -> Trouble {
    match code.parse::<u32>().map(|code| code & 0xff) {
        Ok(BUSY | LOCKED) => Trouble::Busy,
        Ok(INTERRUPT) => Trouble::Slow,
        Ok(IOERR | CORRUPT | FULL | CANTOPEN) => Trouble::Away,
        _ => Trouble::Refused,
    }
}

/// SQLite prepares a statement anew when the schema has changed.
pub fn is_stale(_error: &sqlx::Error) -> bool {
    false
}

pub fn no_such_table(error: &sqlx::Error) -> bool {
    error.to_string().contains("no such table")
}

/// Asks a database that is there, and makes none. There is nothing to reckon up.
///
/// # Errors
/// There is none, or it does not answer.
pub async fn look(config: &Config, _: Identity) -> Result<Vec<Note>, Unusable> {
    let connector = Connector::new(&config.database)?.read_only();
    let asked = async { ask(&mut connector.connect().await?.raw).await };
    let advice = "If it does not exist yet, the start will make it";
    asked.await.map_err(|error| Unusable::new(&config.database.url.to_string(), &error, advice))?;
    Ok(Vec::new())
}

/// There is nothing to reckon up.
///
/// # Errors
/// None.
pub async fn limits(_: &Connector, _is_straight: bool, _: &Config) -> Result<Vec<Note>, Unusable> {
    Ok(Vec::new())
}

/// Reads from the file, not from a cache: the question behind readiness.
pub async fn ask(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT count(*) FROM sqlite_schema").execute(connection).await.map(drop)
}

/// Closes a connection that is of no use. Its thread first ends what it is at, and so does this.
pub async fn discard(connection: SqliteConnection) {
    let _ = connection.close().await;
}
