//! How is SQLite opened here, and why two pools?
//!
//! SQLite has one writer at a time. With a pool of one writer, waiting for the lock is a wait for the
//! pool, in order and measured; without, it hides as a busy loop inside the query. Readers go on
//! beside the writer (WAL). What a crash may cost with `synchronous = NORMAL`: the last commits, never
//! the file.

use std::sync::Arc;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _};

use super::super::pool::Pool;
use super::super::{About, Db, Pulse, Trouble, Unusable};
use crate::engine::config::align::Note;
use crate::engine::config::report::without_secrets;
use crate::engine::config::{Config, Database};

/// The sqlx driver: the one type that the rest of the service names.
pub type Driver = sqlx::Sqlite;

/// One file has one program: a schema that is newer than the program is a mistake.
pub const NEWER_IS_REFUSED: bool = true;

/// Fails where there is nothing to commit.
pub const COMMIT: &str = "COMMIT";

/// Opens connections.
#[derive(Clone, Debug)]
pub struct Connector(SqliteConnectOptions);

impl Connector {
    fn new(config: &Database) -> Result<Self, Unusable> {
        // Whoever loaded the configuration has seen that already.
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
        Ok(Self(options))
    }

    /// The same for a database that must be there already, to read from.
    fn read_only(&self) -> Self {
        Self(self.0.clone().read_only(true).create_if_missing(false))
    }

    pub async fn connect(&self) -> Result<SqliteConnection, sqlx::Error> {
        self.0.connect().await
    }
}

/// Opens the file (made if missing, with its folder) and connects once to each pool.
///
/// # Errors
/// The URL is not one of a file, or the file cannot be opened.
pub async fn open(config: &Config) -> Result<Db, Unusable> {
    let config = &config.database;
    let url = config.url.as_str();
    let writer = Connector::new(config)?;
    if let Some(folder) = writer.0.get_filename().parent().filter(|folder| !folder.as_os_str().is_empty()) {
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
    for pool in [&write, &read] {
        pool.acquire().await.map_err(|error| unusable(url, &error))?;
    }
    let url = without_secrets(url);
    Ok(Db { read, write, about: Arc::new(About { url, reader, owner: Some(writer), pulse }) })
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

/// What a result code means (<https://www.sqlite.org/rescode.html>); the lowest byte is the primary code.
pub fn trouble(code: &str) -> Trouble {
    const BUSY: u32 = 5;
    const LOCKED: u32 = 6;
    const IOERR: u32 = 10;
    const CORRUPT: u32 = 11;
    const FULL: u32 = 13;
    const CANTOPEN: u32 = 14;
    match code.parse::<u32>().map(|code| code & 0xff) {
        Ok(BUSY | LOCKED) => Trouble::Busy,
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
pub async fn look(config: &Config) -> Result<Vec<Note>, Unusable> {
    let connector = Connector::new(&config.database)?.read_only();
    let asked = async { ask(&mut connector.connect().await?).await };
    let advice = "If it does not exist yet, the start will make it";
    asked.await.map_err(|error| Unusable::new(&config.database.url, &error, advice))?;
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
